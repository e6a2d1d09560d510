"""Laws of private endpoints: what they wait for, who approves them, whose their names are, and how they go."""

from __future__ import annotations

import pytest

from armsim.settings import Settings
from reconciler.model.ids import ArmId
from reconciler.model.outcome import CycleReport
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.resource import Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    fleet_document,
    group_document,
    network_document,
    network_id,
    told,
)
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

ZONE = "privatelink.openai.azure.com"
ENDPOINTS = "privateEndpoints"
ZONES = "privateDnsZones"
STATE = "privateLinkServiceConnectionState"


def network() -> Document:
    subnets = [{"name": "endpoints", "addressPrefix": "10.1.2.0/24"}]
    return network_document(
        "VirtualNetwork", "vnet", addressSpace={"addressPrefixes": ["10.1.0.0/16"]}, subnets=subnets
    )


def zone(*links: Document) -> Document:
    link = {"name": "vnet", "virtualNetwork": "vnet"}
    return network_document("PrivateDnsZone", ZONE, virtualNetworkLinks=list(links) or [link])


def account(*rules: Document, bare: bool = False) -> Document:
    model = {"name": "gpt-4o", "version": "2024-11-20"}
    deployments = [] if bare else [{"name": "chat", "model": model, "sku": {"name": "Standard", "capacity": 1}}]
    judged = {"privateEndpointConnections": list(rules)} if rules else {}
    document = account_document("aoai", customSubDomainName="aoai-law", deployments=deployments)
    return {**document, "spec": {**document["spec"], **judged}}


def endpoint(**spec: object) -> Document:
    return network_document("PrivateEndpoint", "pe", **{"account": "aoai", "subnet": "vnet/endpoints", **spec})


def named(**spec: object) -> Document:
    return endpoint(privateDnsZones=[ZONE], **spec)


def load(azure: Stage, *documents: Document, **spec: object) -> Fleet:
    return azure.load([fleet_document("law", **spec), group_document(), *documents])


async def converge(azure: Stage, *documents: Document, **spec: object) -> tuple[CycleReport, ...]:
    fleet = load(azure, *documents, **spec)
    await azure.seed_world(limits=plenty(fleet.subscription))
    return await azure.converge(fleet)


async def settled(azure: Stage, *documents: Document, **spec: object) -> Fleet:
    """A fleet that is as declared."""
    reports = await converge(azure, *documents, **spec)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    return load(azure, *documents, **spec)


def decided(plan: Plan, ref: str) -> Decision:
    return next(each for each in plan.decisions if str(each.ref) == ref)


def endpoint_id(azure: Stage) -> ArmId:
    return network_id(azure, ENDPOINTS, "pe")


def connection_of(azure: Stage) -> str:
    return next(id for id in azure.resources() if "/privateendpointconnections/" in id)


def records(azure: Stage) -> list[str]:
    return [id.rpartition("/")[2] for id in azure.resources() if f"{ZONE}/a/" in id]


async def asked(azure: Stage) -> list[tuple[str, str, int]]:
    """Method, last type and name, and status of every write, oldest first."""
    writes = [(each["method"], each["path"].rstrip("/").split("/"), each["status"]) for each in await azure.writes()]
    return [(method, "/".join(path[-2:]), status) for method, path, status in writes]


async def test_an_endpoint_comes_after_all_of_its_account_and_its_names_after_their_zone(azure: Stage) -> None:
    await settled(azure, network(), zone(), account(), named())
    written = [name for _, name, _ in await asked(azure)]
    order = ["deployments/chat", "privateEndpoints/pe", "privateDnsZoneGroups/default"]
    assert sorted(order, key=written.index) == order
    zones = [f"privateDnsZones/{ZONE}", "virtualNetworkLinks/vnet"]
    assert sorted(zones, key=written.index) == zones
    assert written.index(zones[0]) < written.index(order[-1])
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
    assert records(azure) == ["aoai-law"]


@pytest.mark.parametrize("settings", [Settings(account_view_lag=120.0)])
async def test_an_account_that_the_network_does_not_see_yet_is_waited_for(azure: Stage) -> None:
    (first, *_) = await converge(azure, network(), account(bare=True), endpoint())
    assert all(outcome.result.value == "done" for outcome in first.outcomes)
    early = [status for _, name, status in await asked(azure) if name == "privateEndpoints/pe"]
    assert early[0] == 400
    assert early[-1] == 201


@pytest.mark.parametrize("settings", [Settings(account_view_lag=120.0, account_view_fails_operation=True)])
async def test_an_endpoint_that_failed_on_the_way_is_written_again(azure: Stage) -> None:
    await settled(azure, network(), account(bare=True), endpoint())
    assert azure.resource(endpoint_id(azure))["properties"]["provisioningState"] == "Succeeded"


async def test_a_link_counts_only_when_the_network_resolves_by_it(azure: Stage) -> None:
    (first, *_) = await converge(azure, network(), zone())
    link = next(body for id, body in azure.resources().items() if "/virtualnetworklinks/" in id)
    assert link["properties"]["virtualNetworkLinkState"] == "Completed"
    (outcome,) = [each for each in first.outcomes if each.step.id.type.endswith("virtualNetworkLinks")]
    assert outcome.ended - outcome.began > Settings().dns_link_write


async def test_a_manual_endpoint_waits_for_the_owner_and_says_so(azure: Stage) -> None:
    manual = endpoint(approval="manual", requestMessage="from law")
    reports = await converge(azure, network(), account(), manual)
    decision = decided(reports[-1].plan, "PrivateEndpoint/pe")
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "approval_pending")
    assert decision.reason == "waits for the owner of aoai to approve the connection: from law"
    approving = account({"match": "pe", "status": "Approved"})
    (first, *_) = await converge(azure, network(), approving, manual)
    assert decided(first.plan, "PrivateEndpoint/pe").state is DecisionState.IN_PROGRESS
    judged = decided(first.plan, "Account/aoai/privateEndpointConnections/pe")
    assert [(each.path, each.before, each.after, each.opens) for each in judged.changes] == [
        ("description", "from law", "Approved", False),
        ("status", "Pending", "Approved", True),
    ]
    assert told(await azure.dry_run(load(azure, network(), approving, manual))) == []


async def test_rules_reject_whom_they_name_first(azure: Stage) -> None:
    rules = [
        {"match": "*/privateEndpoints/PE", "status": "Rejected", "description": "not you"},
        {"match": "*", "status": "Approved"},
    ]
    reports = await converge(azure, network(), account(*rules), endpoint(approval="manual"))
    connection = azure.resource(connection_of(azure))["properties"][STATE]
    assert (connection["status"], connection["description"]) == ("Rejected", "not you")
    decision = decided(reports[-1].plan, "PrivateEndpoint/pe")
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "rejected")
    assert "not you" in decision.reason


async def test_an_endpoint_that_somebody_rejects_is_drift_and_is_approved_again(azure: Stage) -> None:
    fleet = await settled(azure, network(), account(), endpoint())
    wants = decided(await azure.dry_run(fleet), "Account/aoai/privateEndpointConnections/pe").wants
    await azure.mutate("PATCH", connection_of(azure), {"properties": {STATE: {"status": "Rejected"}}})
    plan = await azure.dry_run(fleet)
    judged = decided(plan, "Account/aoai/privateEndpointConnections/pe")
    # The words that an approval takes with it are nobody's wish: it is not the document that has changed.
    assert judged.wants == wants
    assert [(each.path, each.before, each.after) for each in judged.changes if each.path == "status"] == [
        ("status", "Rejected", "Approved")
    ]
    await azure.converge(fleet)
    assert azure.resource(connection_of(azure))["properties"][STATE]["status"] == "Approved"
    assert told(await azure.dry_run(fleet)) == []


async def test_a_connection_that_was_cut_off_is_made_anew_with_permission(azure: Stage) -> None:
    fleet = await settled(azure, network(), zone(), account(), named())
    await azure.mutate("DELETE", connection_of(azure))
    careful = load(azure, network(), zone(), account(), named(), allow=[])
    assert decided(await azure.dry_run(careful), "PrivateEndpoint/pe").code == "replace_not_permitted"
    plan = await azure.dry_run(fleet)
    assert decided(plan, "PrivateEndpoint/pe").action is Action.REPLACE
    await azure.converge(fleet)
    assert told(await azure.dry_run(fleet)) == []
    assert records(azure) == ["aoai-law"]


async def test_a_tag_is_changed_by_a_put_that_keeps_everything_else(azure: Stage) -> None:
    static = {"ipConfigurations": [{"privateIPAddress": "10.1.2.9"}], "customNetworkInterfaceName": "nic-pe"}
    await settled(azure, network(), zone(), account(), named(**static))
    before = azure.resource(endpoint_id(azure))["properties"]
    await settled(azure, network(), zone(), account(), named(**static, tags={"team": "ai"}))
    after = azure.resource(endpoint_id(azure))
    assert after["tags"]["team"] == "ai"
    for name in ("subnet", "networkInterfaces", "resourceGuid"):
        assert after["properties"][name] == before[name]
    assert [each["properties"]["privateIPAddress"] for each in after["properties"]["ipConfigurations"]] == ["10.1.2.9"]
    assert after["properties"]["networkInterfaces"][0]["id"].endswith("/nic-pe")


async def test_a_link_that_somebody_deleted_comes_back(azure: Stage) -> None:
    fleet = await settled(azure, network(), zone())
    await azure.mutate("DELETE", next(id for id in azure.resources() if "/virtualnetworklinks/" in id))
    plan = await azure.dry_run(fleet)
    assert [str(step.id).rpartition("/")[2] for step in plan.steps] == ["vnet"]
    await azure.converge(fleet)
    assert told(await azure.dry_run(fleet)) == []


async def test_a_zone_group_of_another_name_is_the_one_that_is_meant(azure: Stage) -> None:
    await settled(azure, network(), zone(), account(), endpoint())
    id = f"{endpoint_id(azure)}/privateDnsZoneGroups/deployedByPolicy"
    config = {"name": "policy", "properties": {"privateDnsZoneId": str(network_id(azure, ZONES, ZONE))}}
    await azure.mutate("PUT", id, {"properties": {"privateDnsZoneConfigs": [config]}})
    owned = load(azure, network(), zone(), account(), named())
    assert told(await azure.dry_run(owned)) == []
    left = load(azure, network(), zone(), account(), endpoint(), prune={"privateEndpoints": True})
    await azure.converge(left)
    assert id.lower() in azure.resources()


async def test_a_required_zone_group_is_waited_for_and_never_written(azure: Stage) -> None:
    documents = (network(), zone(), account(), named(dnsZoneGroup="require"))
    reports = await converge(azure, *documents)
    decision = decided(reports[-1].plan, "PrivateEndpoint/pe/dnsZoneGroup")
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "required")
    assert not [name for _, name, _ in await asked(azure) if name.startswith("privateDnsZoneGroups")]
    fleet = load(azure, *documents)
    config = {"name": "policy", "properties": {"privateDnsZoneId": str(network_id(azure, ZONES, ZONE))}}
    id = f"{endpoint_id(azure)}/privateDnsZoneGroups/deployedByPolicy"
    await azure.mutate("PUT", id, {"properties": {"privateDnsZoneConfigs": [config]}})
    assert told(await azure.dry_run(fleet)) == []


async def test_what_is_not_declared_any_more_goes_the_other_way_round(azure: Stage) -> None:
    await settled(azure, network(), zone(), account(), named())
    await azure.forget()
    words = ("privateEndpoints", "privateDnsZones", "virtualNetworks", "accounts")
    prune = dict.fromkeys(words, True)
    await settled(azure, prune=prune, allowEmpty=True)
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
    gone = [name for method, name, status in await asked(azure) if method == "DELETE" and status < 300]
    for order in (
        ["privateDnsZoneGroups/default", "privateEndpoints/pe", "accounts/aoai"],
        ["privateDnsZoneGroups/default", f"privateDnsZones/{ZONE}"],
        ["virtualNetworkLinks/vnet", f"privateDnsZones/{ZONE}"],
        ["privateEndpoints/pe", "virtualNetworks/vnet"],
    ):
        assert sorted(order, key=gone.index) == order
    assert not [id for id in azure.resources() if "microsoft.network" in id]


async def test_an_account_alone_costs_no_request_more(azure: Stage) -> None:
    fleet = await settled(azure, account())
    await azure.forget()
    await azure.dry_run(fleet)
    assert not [each for each in await azure.requests() if "Microsoft.Network".lower() in each["path"].lower()]
    assert account_id(azure, "aoai") in fleet.desired
