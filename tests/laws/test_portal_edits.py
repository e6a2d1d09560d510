"""Law: what somebody does in the portal is told with field, before, after and who, and put right, and nothing else."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from armsim.settings import Settings
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.resource import OWNER_TAG, Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    failures,
    fleet_document,
    group_document,
    network_document,
    network_id,
    rule,
    stage,
    told,
)
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

ALICE = "alice@example.com"
HOUR = 3600.0
LAG = 121.0
ZONE = "privatelink.openai.azure.com"
VOLATILE = ("etag",)
NUMBER = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NOT_YET = "log does not say yet"

DOCUMENTS: tuple[Document, ...] = (
    fleet_document("law"),
    group_document("rg-law", tags={"team": "law"}),
    network_document(
        "NetworkSecurityGroup",
        "nsg",
        securityRules=[
            rule("allow-app", 100),
            rule("allow-admin", 200, sourceAddressPrefix="10.1.9.0/24"),
            rule("deny-rest", 4096, "Deny", sourceAddressPrefix="*", destinationPortRange="*"),
        ],
        tags={"team": "law"},
    ),
    network_document(
        "VirtualNetwork",
        "vnet",
        addressSpace={"addressPrefixes": ["10.1.0.0/16"]},
        dhcpOptions={"dnsServers": ["10.1.0.4"]},
        subnets=[
            {
                "name": "app",
                "addressPrefix": "10.1.1.0/24",
                "networkSecurityGroup": "nsg",
                "serviceEndpoints": ["Microsoft.CognitiveServices"],
                "delegations": [],
            },
            {
                "name": "pe",
                "addressPrefix": "10.1.2.0/24",
                "networkSecurityGroup": "nsg",
                "privateEndpointNetworkPolicies": "NetworkSecurityGroupEnabled",
            },
            {"name": "jobs", "addressPrefix": "10.1.4.0/23", "delegations": ["Microsoft.App/environments"]},
        ],
        tags={"team": "law"},
    ),
    network_document(
        "PrivateDnsZone",
        ZONE,
        virtualNetworkLinks=[{"name": "link", "virtualNetwork": "vnet", "registrationEnabled": False}],
        tags={"team": "law"},
    ),
    network_document(
        "PrivateEndpoint",
        "pe-back",
        account="aoai-back",
        subnet="vnet/pe",
        privateDnsZones=[ZONE],
        tags={"team": "law"},
    ),
    account_document(
        "aoai-front",
        customSubDomainName="aoai-front",
        publicNetworkAccess="Enabled",
        networkAcls={
            "defaultAction": "Deny",
            "ipRules": ["203.0.113.0/24"],
            "virtualNetworkRules": ["vnet/app"],
        },
        disableLocalAuth=True,
        tags={"team": "law"},
        deployments=[deployment("chat", 30, versionUpgradeOption="NoAutoUpgrade")],
    ),
    account_document(
        "aoai-back",
        customSubDomainName="aoai-back",
        networkAcls={"defaultAction": "Deny"},
        disableLocalAuth=True,
        privateEndpointConnections=[{"match": "pe-back", "status": "Approved", "description": "by law"}],
    ),
)

Places = Mapping[str, ArmId]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What alice does, and what a plan has to say about it.

    `place` is what she writes to, `below` the child of it that no kind knows; `ref` is what drifts, and `changes` how,
    by path from before to after. `told_at_once`: the resource itself names her.
    """

    place: str
    below: tuple[str, str] | None = None
    method: str = "PATCH"
    body: Document = field(default_factory=dict)
    ref: str
    changes: Mapping[str, tuple[object, object]]
    told_at_once: bool = False


def _properties(**values: object) -> Document:
    return {"properties": values}


def _on(place: str, ref: str, **values: object) -> Document:
    return {"place": place, "ref": ref, **values}


def _rule(name: str, /, **values: object) -> Document:
    return _on("nsg", "NetworkSecurityGroup/nsg", below=("securityRules", name), body=_properties(**values))


def _subnet(name: str, /, **values: object) -> Document:
    return _on(name, f"VirtualNetwork/vnet/subnets/{name}", body=_properties(**values))


_APP = "VirtualNetwork/vnet/subnets/app"
_VNET = _on("vnet", "VirtualNetwork/vnet")
_FRONT = _on("front", "Account/aoai-front", told_at_once=True)
_BACK = _on("back", "Account/aoai-back", told_at_once=True)
_CHAT = _on("chat", "Account/aoai-front/deployments/chat", told_at_once=True)
_TAG: Document = {"body": {"tags": {"team": "alice"}}, "changes": {"tags.team": ("alice", "law")}}
_SERVICE = "Microsoft.App/environments"
_STATE = "privateLinkServiceConnectionState"
_ADMIN = "securityRules[allow-admin]"

EDITS: dict[str, Edit] = {
    "rule added": Edit(
        **_rule("portal", **{**rule("portal", 300, sourceAddressPrefix="*"), "sourcePortRange": "*"})
        | {"method": "PUT"},
        changes={
            "securityRules": (
                ["allow-admin", "allow-app", "deny-rest", "portal"],
                ["allow-admin", "allow-app", "deny-rest"],
            )
        },
    ),
    "rule removed": Edit(
        **_rule("allow-admin") | {"method": "DELETE"},
        changes={
            "securityRules": (["allow-app", "deny-rest"], ["allow-admin", "allow-app", "deny-rest"]),
            f"{_ADMIN}.access": (None, "Allow"),
            f"{_ADMIN}.destinationAddressPrefixes": (None, ["10.1.2.0/24"]),
            f"{_ADMIN}.destinationPortRanges": (None, ["443"]),
            f"{_ADMIN}.direction": (None, "Inbound"),
            f"{_ADMIN}.priority": (None, 200),
            f"{_ADMIN}.protocol": (None, "Tcp"),
            f"{_ADMIN}.sourceAddressPrefixes": (None, ["10.1.9.0/24"]),
            f"{_ADMIN}.sourcePortRanges": (None, ["*"]),
        },
    ),
    "rule allows instead of denying": Edit(
        **_rule("deny-rest", access="Allow"), changes={"securityRules[deny-rest].access": ("Allow", "Deny")}
    ),
    "rule's priority changed": Edit(
        **_rule("allow-app", priority=150), changes={"securityRules[allow-app].priority": (150, 100)}
    ),
    "rule's port widened": Edit(
        **_rule("allow-app", destinationPortRange="1-65535"),
        changes={"securityRules[allow-app].destinationPortRanges": (["1-65535"], ["443"])},
    ),
    "rule's source widened": Edit(
        **_rule("allow-app", sourceAddressPrefix="Internet"),
        changes={"securityRules[allow-app].sourceAddressPrefixes": (["Internet"], ["10.1.1.0/24"])},
    ),
    "security group's tag changed": Edit(**_on("nsg", "NetworkSecurityGroup/nsg"), **_TAG),
    "subnet unassociated": Edit(
        **_subnet("app", networkSecurityGroup=None), changes={"networkSecurityGroup": (None, "nsg")}
    ),
    "subnet's service endpoint removed": Edit(
        **_subnet("app", serviceEndpoints=[]), changes={"serviceEndpoints": ([], ["Microsoft.CognitiveServices"])}
    ),
    "subnet delegated": Edit(
        **_subnet("app", delegations=[{"name": "web", "properties": {"serviceName": "Microsoft.Web/serverFarms"}}]),
        changes={"delegations": (["Microsoft.Web/serverFarms"], [])},
    ),
    "subnet's delegation removed": Edit(**_subnet("jobs", delegations=[]), changes={"delegations": ([], [_SERVICE])}),
    "network policies disabled": Edit(
        **_subnet("pe", privateEndpointNetworkPolicies="Disabled"),
        changes={"privateEndpointNetworkPolicies": ("Disabled", "NetworkSecurityGroupEnabled")},
    ),
    "network's tag changed": Edit(**_VNET, **_TAG),
    "network's addresses widened": Edit(
        **_VNET,
        body=_properties(addressSpace={"addressPrefixes": ["10.1.0.0/16", "10.7.0.0/16"]}),
        changes={"addressSpace.addressPrefixes": (["10.1.0.0/16", "10.7.0.0/16"], ["10.1.0.0/16"])},
    ),
    "network's name servers changed": Edit(
        **_VNET,
        body=_properties(dhcpOptions={"dnsServers": ["198.51.100.9"]}),
        changes={"dhcpOptions.dnsServers": (["198.51.100.9"], ["10.1.0.4"])},
    ),
    "public access on": Edit(
        **_BACK,
        body=_properties(publicNetworkAccess="Enabled"),
        changes={"publicNetworkAccess": ("Enabled", "Disabled")},
    ),
    "address let through the firewall": Edit(
        **_FRONT,
        body=_properties(networkAcls={"ipRules": [{"value": "203.0.113.0/24"}, {"value": "198.51.100.7"}]}),
        changes={"networkAcls.ipRules": (["198.51.100.7", "203.0.113.0/24"], ["203.0.113.0/24"])},
    ),
    "subnet taken off the firewall": Edit(
        **_FRONT,
        body=_properties(networkAcls={"virtualNetworkRules": []}),
        changes={"networkAcls.virtualNetworkRules": ([], ["app"])},
    ),
    "firewall lets everybody in": Edit(
        **_FRONT,
        body=_properties(networkAcls={"defaultAction": "Allow"}),
        changes={"networkAcls.defaultAction": ("Allow", "Deny")},
    ),
    "keys enabled": Edit(
        **_FRONT, body=_properties(disableLocalAuth=False), changes={"disableLocalAuth": (False, True)}
    ),
    "account's tag changed": Edit(**_FRONT, **_TAG),
    "deployment's capacity changed": Edit(
        **_CHAT, body={"sku": {"name": "GlobalStandard", "capacity": 70}}, changes={"sku.capacity": (70, 30)}
    ),
    "deployment's upgrades changed": Edit(
        **_CHAT,
        body=_properties(versionUpgradeOption="OnceCurrentVersionExpired"),
        changes={"versionUpgradeOption": ("OnceCurrentVersionExpired", "NoAutoUpgrade")},
    ),
    "connection rejected": Edit(
        **_on("connection", "Account/aoai-back/privateEndpointConnections/pe-back"),
        body=_properties(**{_STATE: {"status": "Rejected", "description": "no"}}),
        changes={"description": ("no", "by law"), "status": ("Rejected", "Approved")},
    ),
    "endpoint's tag changed": Edit(**_on("endpoint", "PrivateEndpoint/pe-back"), **_TAG),
    "zone's tag changed": Edit(**_on("zone", f"PrivateDnsZone/{ZONE}"), **_TAG),
    "link registers machines": Edit(
        **_on("link", f"PrivateDnsZone/{ZONE}/virtualNetworkLinks/link"),
        body=_properties(registrationEnabled=True),
        changes={"registrationEnabled": (True, False)},
    ),
    "zone group emptied": Edit(
        **_on("zone group", "PrivateEndpoint/pe-back/dnsZoneGroup"),
        body=_properties(privateDnsZoneConfigs=[]),
        changes={"privateDnsZones": ([], [ZONE])},
    ),
    "group's tag changed": Edit(**_on("group", "ResourceGroup/rg-law"), **_TAG),
}


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What alice deletes, and what is gone with it. `numbered`: Azure gives the new one other numbers."""

    place: str
    gone: tuple[str, ...]
    refs: tuple[str, ...]
    numbered: bool = False


LOSSES: dict[str, Loss] = {
    "subnet deleted": Loss(place="jobs", gone=("jobs",), refs=("VirtualNetwork/vnet/subnets/jobs",)),
    "link deleted": Loss(place="link", gone=("link",), refs=(f"PrivateDnsZone/{ZONE}/virtualNetworkLinks/link",)),
    "zone group deleted": Loss(
        place="zone group", gone=("zone group",), refs=("PrivateEndpoint/pe-back/dnsZoneGroup",)
    ),
    "deployment deleted": Loss(place="chat", gone=("chat",), refs=("Account/aoai-front/deployments/chat",)),
    "endpoint deleted": Loss(
        place="endpoint",
        gone=("endpoint", "zone group"),
        refs=("PrivateEndpoint/pe-back", "PrivateEndpoint/pe-back/dnsZoneGroup"),
        numbered=True,
    ),
}

OWNED = {
    "account": ("front", "Account/aoai-front", True),
    "security group": ("nsg", "NetworkSecurityGroup/nsg", False),
    "network": ("vnet", "VirtualNetwork/vnet", False),
    "endpoint": ("endpoint", "PrivateEndpoint/pe-back", False),
    "zone": ("zone", f"PrivateDnsZone/{ZONE}", False),
}


@pytest.fixture(scope="module")
def saved() -> dict[str, Any]:
    """The world as it was when the fleet had converged, made by the first test that needs it."""
    return {}


@pytest.fixture
async def azure(ca_dir: Path, settings: Settings, saved: dict[str, Any]) -> AsyncIterator[Stage]:
    """An Azure in which everything has been as declared for an hour."""
    async with stage(settings, ca_dir) as opened:
        if not saved:
            fleet = opened.load(DOCUMENTS)
            await opened.seed_world(limits=plenty(fleet.subscription))
            reports = await opened.converge(fleet)
            assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
            saved.update(copy.deepcopy(await opened.sim.control("GET", "/_sim/state")))
        else:
            await opened.sim.control("PUT", "/_sim/state", copy.deepcopy(saved))
        await asyncio.sleep(HOUR)
        await opened.forget()
        yield opened


def places(azure: Stage) -> Places:
    """Everything by the name it goes by here."""
    nsg, vnet = network_id(azure, "networkSecurityGroups", "nsg"), network_id(azure, "virtualNetworks", "vnet")
    zone, endpoint = network_id(azure, "privateDnsZones", ZONE), network_id(azure, "privateEndpoints", "pe-back")
    front, back = account_id(azure, "aoai-front"), account_id(azure, "aoai-back")
    connection = next(id for id in azure.resources() if "/privateendpointconnections/" in id)
    return {
        "group": ArmId(subscription=nsg.subscription, group=nsg.group),
        "nsg": nsg,
        "vnet": vnet,
        **{name: vnet.child("subnets", name) for name in ("app", "pe", "jobs")},
        "zone": zone,
        "link": zone.child("virtualNetworkLinks", "link"),
        "endpoint": endpoint,
        "zone group": endpoint.child("privateDnsZoneGroups", "default"),
        "front": front,
        "chat": front.child("deployments", "chat"),
        "back": back,
        "connection": ArmId.parse(connection),
    }


def world(azure: Stage, *written_to: ArmId, numbered: bool = True) -> dict[str, Any]:
    """All bodies but for what moves without a change; who touched them last counts, unless they had to be written to.
    Networks hold their subnets in them. Without numbers, what Azure numbers anew is the same."""
    found = {id: _still(body) for id, body in azure.resources().items()}
    for id in written_to:
        found.get(id.key, {}).pop("systemData", None)
    told = json.dumps(found) if numbered else NUMBER.sub("*", json.dumps(found))
    kept: dict[str, Any] = json.loads(told)
    return kept


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _still(each) for name, each in value.items() if name not in VOLATILE}
    if not isinstance(value, list):
        return value
    # Rules, subnets and those who use them are told apart by their ids and stand in no order.
    apart = all(isinstance(each, dict) and "id" in each for each in value)
    return sorted((_still(each) for each in value), key=lambda each: each["id"]) if apart else [*map(_still, value)]


def decided(plan: Plan, ref: str) -> Decision:
    return next(each for each in plan.decisions if str(each.ref) == ref)


def drifts(plan: Plan) -> dict[str, dict[str, tuple[object, object]]]:
    """What a plan says differs: by reference and path, from before to after."""
    return {
        str(each.ref): {change.path: (_named(change.before), _named(change.after)) for change in each.changes}
        for each in plan.decisions
        if each.changes
    }


def _named(value: object) -> object:
    """Ids by their last part."""
    if isinstance(value, str):
        return value.rpartition("/")[2] if value.lower().startswith("/subscriptions/") else value
    if isinstance(value, list | tuple):
        return [_named(each.get("id") if isinstance(each, dict) else each) for each in value]
    return value


async def repair(azure: Stage, fleet: Fleet) -> list[str]:
    """Converge, and the places that were written to."""
    await azure.forget()
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert told(await azure.dry_run(fleet)) == []
    return [each["path"].lower() for each in await azure.writes()]


@pytest.mark.parametrize("name", EDITS)
async def test_an_edit_is_told_with_its_author_and_put_right_alone(azure: Stage, name: str) -> None:
    edit, fleet, known = EDITS[name], azure.load(DOCUMENTS), places(azure)
    place = known[edit.place]
    before = world(azure, place)
    target = place.child(*edit.below) if edit.below else place
    await azure.mutate(edit.method, target, edit.body, ALICE)

    early = decided(await azure.dry_run(fleet), edit.ref)
    assert (ALICE in early.reason) is edit.told_at_once, early.reason
    assert (NOT_YET in early.reason) is not edit.told_at_once, early.reason
    await asyncio.sleep(LAG)
    plan = await azure.dry_run(fleet)
    assert drifts(plan) == {edit.ref: edit.changes}
    decision = decided(plan, edit.ref)
    assert f"last changed in Azure by {ALICE} at 2025-10-28T" in decision.reason
    assert decision.author
    assert decision.author.name == ALICE
    assert not await azure.writes()

    written = await repair(azure, fleet)
    assert {*written} == {place.key}
    assert world(azure, place) == before


@pytest.mark.parametrize("name", LOSSES)
async def test_a_deleted_resource_is_told_with_whoever_deleted_it_and_made_again(azure: Stage, name: str) -> None:
    loss, fleet, known = LOSSES[name], azure.load(DOCUMENTS), places(azure)
    gone = tuple(known[each] for each in loss.gone)
    before = world(azure, *gone, numbered=not loss.numbered)
    await azure.mutate("DELETE", known[loss.place], actor=ALICE)

    for ref in loss.refs:
        reason = decided(await azure.dry_run(fleet), ref).reason
        assert reason.startswith("does not exist; it was last written by us at 2025-10-28T"), reason
        assert f"{NOT_YET} who deleted it" in reason
    await asyncio.sleep(LAG)
    plan = await azure.dry_run(fleet)
    assert drifts(plan).keys() == {*loss.refs}
    for ref in loss.refs:
        decision = decided(plan, ref)
        assert decision.action is Action.CREATE
        assert decision.reason.startswith(f"does not exist; deleted by {ALICE} at 2025-10-28T"), decision.reason
    assert not await azure.writes()

    again = {known["connection"].parent} if loss.numbered else set()
    written = {ArmId.parse(path) for path in await repair(azure, fleet)}
    # A rule of its account approves the new endpoint's connection, which is another one.
    assert {each.parent if each.type == known["connection"].type else each for each in written} == {*gone, *again}
    assert world(azure, *gone, numbered=not loss.numbered) == before


@pytest.mark.parametrize("word", OWNED)
async def test_a_lost_ownership_tag_is_told_with_whoever_took_it_and_left_alone(azure: Stage, word: str) -> None:
    name, ref, told_at_once = OWNED[word]
    fleet, place = azure.load(DOCUMENTS), places(azure)[name]
    await azure.mutate("PATCH", place, {"tags": {OWNER_TAG: None}}, ALICE)
    edited = world(azure)
    early = decided(await azure.dry_run(fleet), ref).reason
    assert (ALICE in early) is told_at_once, early
    assert (NOT_YET in early) is not told_at_once, early
    await asyncio.sleep(LAG)
    decision = decided(await azure.dry_run(fleet), ref)
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "not_owned")
    assert f"last changed in Azure by {ALICE} at 2025-10-28T" in decision.reason
    assert {change.path: change.before for change in decision.changes} == {f"tags.{OWNER_TAG}": None}
    await azure.forget()
    await azure.converge(fleet)
    assert await azure.writes() == []
    assert world(azure) == edited


async def test_a_deleted_account_is_told_and_not_made_again_over_its_own_remains(azure: Stage) -> None:
    """Its name is held, and neither restoring nor purging is anybody's wish yet."""
    fleet, front = azure.load(DOCUMENTS), places(azure)["front"]
    await azure.mutate("DELETE", front, actor=ALICE)
    await asyncio.sleep(LAG)
    decision = decided(await azure.dry_run(fleet), "Account/aoai-front")
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "soft_deleted")
    assert f"; deleted by {ALICE} at 2025-10-28T" in decision.reason
    await azure.forget()
    await azure.converge(fleet)
    assert await azure.writes() == []


async def test_a_subnet_that_a_write_to_the_whole_network_changed_names_whoever_wrote_it(azure: Stage) -> None:
    fleet, known = azure.load(DOCUMENTS), places(azure)
    subnets = copy.deepcopy(azure.resource(known["vnet"])["properties"]["subnets"])
    for each in subnets:
        each["properties"].pop("serviceEndpoints", None)
    await azure.mutate("PATCH", known["vnet"], _properties(subnets=subnets), ALICE)
    await asyncio.sleep(LAG)
    plan = await azure.dry_run(fleet)
    assert drifts(plan) == {_APP: {"serviceEndpoints": ([], ["Microsoft.CognitiveServices"])}}
    assert f"last changed in Azure by {ALICE}" in decided(plan, _APP).reason
    assert await repair(azure, fleet) == [known["app"].key]


async def test_a_connection_that_is_not_ours_to_approve_stays_rejected_and_says_by_whom(azure: Stage) -> None:
    *others, back = DOCUMENTS
    fleet = azure.load([*others, {**back, "lifecycle": {"policy": "observe"}}])
    known = places(azure)
    await azure.mutate("PATCH", known["connection"], _properties(**{_STATE: {"status": "Rejected"}}), ALICE)
    await asyncio.sleep(LAG)
    decision = decided(await azure.dry_run(fleet), "PrivateEndpoint/pe-back")
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "rejected")
    assert f"last changed in Azure by {ALICE}" in decision.reason
    await azure.converge(fleet)
    assert await azure.writes() == []


async def test_a_changed_document_accuses_nobody(azure: Stage) -> None:
    """Our own writes are in the log as well, and a network does not say when it was changed."""
    wanted = copy.deepcopy(DOCUMENTS)
    nsg, front = wanted[2], wanted[6]
    nsg["spec"]["tags"] = front["spec"]["tags"] = {"team": "other"}
    plan = await azure.dry_run(azure.load(wanted))
    reason = decided(plan, "NetworkSecurityGroup/nsg").reason
    assert "the last change in Azure's activity log was ours at 2025-10-28T" in reason
    assert reason.endswith(f"the document changed since, or the {NOT_YET} who changed it")
    assert decided(plan, "Account/aoai-front").reason.endswith("; the last change in Azure was ours")


async def test_nobody_is_asked_where_nothing_is_to_be_explained(azure: Stage) -> None:
    fleet, known = azure.load(DOCUMENTS), places(azure)
    assert told(await azure.dry_run(fleet)) == []
    # An account says itself who it was.
    await azure.mutate("PATCH", known["front"], {"tags": {"team": "alice"}}, ALICE)
    await azure.dry_run(fleet)
    assert await asked(azure) == 0


async def test_one_question_explains_a_whole_run(azure: Stage) -> None:
    fleet, known = azure.load(DOCUMENTS), places(azure)
    for name in ("nsg", "vnet", "zone", "group"):
        await azure.mutate("PATCH", known[name], {"tags": {"team": "alice"}}, ALICE)
    await azure.mutate("PATCH", known["endpoint"], {"tags": {OWNER_TAG: None}}, ALICE)
    await azure.mutate("DELETE", known["link"], actor=ALICE)
    await asyncio.sleep(LAG)
    reports = await azure.converge(fleet)
    assert len(reports) > 1
    assert await asked(azure) == 1
    assert all(ALICE in each.reason for each in reports[0].plan.decisions if each.state is not DecisionState.IN_SYNC)
    left = decided(reports[-1].plan, "PrivateEndpoint/pe-back")
    assert left.state is DecisionState.BLOCKED
    assert ALICE in left.reason
    assert sum(report.requests for report in reports) == len(await azure.requests())


@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 403}, {"kind": "status", "status": 500}, {"kind": "cut_before"}, {"kind": "hang"}],
    ids=["forbidden", "in trouble", "cut off", "silent"],
)
async def test_a_log_that_cannot_be_read_keeps_nobody_from_anything(azure: Stage, fault: Document) -> None:
    fleet, known = azure.load(DOCUMENTS), places(azure)
    await azure.mutate("PATCH", known["nsg"], {"tags": {"team": "alice"}}, ALICE)
    await azure.mutate("DELETE", known["link"], actor=ALICE)
    await azure.fault(**fault, count=-1, match={"method": "GET", "path": "eventtypes"})
    plan = await azure.dry_run(fleet)
    reason = decided(plan, "NetworkSecurityGroup/nsg").reason
    assert "Azure's activity log could not be read, so who changed it is not known" in reason
    assert plan.complete
    assert {*await repair(azure, fleet)} == {known["nsg"].key, known["link"].key}


async def test_a_plan_that_was_saved_before_the_log_told_still_holds(azure: Stage) -> None:
    fleet, known = azure.load(DOCUMENTS), places(azure)
    await azure.mutate("PATCH", known["nsg"], {"tags": {"team": "alice"}}, ALICE)
    await azure.mutate("DELETE", known["link"], actor=ALICE)
    early = await azure.dry_run(fleet)
    await asyncio.sleep(LAG)
    late = await azure.dry_run(fleet)
    assert [each.reason for each in early.decisions] != [each.reason for each in late.decisions]
    assert early.digest == late.digest


async def asked(azure: Stage) -> int:
    """How often the activity log was."""
    return sum("eventtypes" in each["path"].lower() for each in await azure.requests())


async def test_whoever_deletes_the_whole_group_is_named_for_everything_in_it(azure: Stage) -> None:
    fleet, known = azure.load(DOCUMENTS), places(azure)
    await azure.mutate("DELETE", known["group"], actor=ALICE)
    assert "/resourcegroups/rg-law/" not in "".join(azure.resources())
    await asyncio.sleep(LAG)
    plan = await azure.dry_run(fleet)
    assert len(plan.decisions) > 9
    for each in plan.decisions:
        assert f"deleted by {ALICE} at 2025-10-28T" in each.reason, (str(each.ref), each.reason)
