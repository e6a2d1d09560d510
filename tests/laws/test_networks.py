"""Laws of networks: rules change places without a gap, what is not ours stays, nothing forgets its security group."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import pytest

from reconciler.cli.importing import Choice, describe_live
from reconciler.desired.writer import write_documents
from reconciler.model.outcome import CycleReport
from reconciler.model.plan import DecisionState, Plan
from reconciler.model.resource import Fleet, Scope
from reconciler.model.wish import PoolWish
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    changed,
    failures,
    fleet_document,
    group_document,
    network_document,
    network_id,
    rule,
    told,
)
from tests.laws.test_fixpoint import find_examples, plenty

pytestmark = pytest.mark.virtual_time

ENDPOINT = "Microsoft.CognitiveServices"


def group(*rules: Document, **spec: object) -> Document:
    return network_document("NetworkSecurityGroup", "nsg", securityRules=list(rules), **spec)


def network(*subnets: Document, **spec: object) -> Document:
    space = {"addressPrefixes": ["10.1.0.0/16"]}
    return network_document("VirtualNetwork", "vnet", addressSpace=space, subnets=list(subnets), **spec)


def adopted(document: Document) -> Document:
    return {**document, "lifecycle": {"adopt": True}}


def app(**spec: object) -> Document:
    return {"name": "app", "addressPrefix": "10.1.1.0/24", "networkSecurityGroup": "nsg", **spec}


def load(azure: Stage, *documents: Document, **spec: object) -> Fleet:
    return azure.load([fleet_document("law", **spec), group_document(), *documents])


async def converge(azure: Stage, fleet: Fleet) -> tuple[CycleReport, ...]:
    await azure.seed_world(limits=plenty(fleet.subscription))
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    return reports


def state_of(plan: Plan, ref: str) -> tuple[DecisionState, str]:
    decision = next(each for each in plan.decisions if str(each.ref) == ref)
    return decision.state, decision.reason


async def test_a_priority_that_somebody_else_has_taken_is_never_asked_for(azure: Stage) -> None:
    first, mine = rule("first"), rule("mine", 150)
    await converge(azure, load(azure, group(first, rules="shared")))
    id = network_id(azure, "networkSecurityGroups", "nsg")
    before = azure.resource(id)
    theirs = copy.deepcopy(before["properties"]["securityRules"][0])
    theirs = {"name": "theirs", "properties": {**theirs["properties"], "priority": 150}}
    listed = [*before["properties"]["securityRules"], theirs]
    await azure.mutate("PUT", id, {**before, "properties": {**before["properties"], "securityRules": listed}})
    wanted = load(azure, group(first, mine, rules="shared"))
    await azure.forget()
    reports = await azure.converge(wanted)
    state, reason = state_of(reports[-1].plan, "NetworkSecurityGroup/nsg")
    assert state is DecisionState.BLOCKED
    assert reason.startswith("securityRules[mine].priority 150 is taken by theirs, also Inbound")
    assert await azure.writes() == []
    await azure.mutate("DELETE", id.child("securityRules", "theirs"))
    await converge(azure, wanted)
    assert {each["name"] for each in azure.resource(id)["properties"]["securityRules"]} == {"first", "mine"}


@pytest.mark.parametrize("renamed", [False, True])
async def test_a_network_moves_to_another_region_with_all_that_holds_on_to_it(azure: Stage, renamed: bool) -> None:
    def documents(place: str, name: str) -> tuple[Document, ...]:
        return (
            group(rule("in"), location=place),
            network({**app(), "name": name}, location=place),
            account_document("aoai", customSubDomainName="aoai-moves"),
            network_document("PrivateEndpoint", "pe", account="aoai", subnet=f"vnet/{name}", location=place),
        )

    await converge(azure, load(azure, *documents("swedencentral", "app")))
    await azure.forget()
    prune = {"subnets": True}
    reports = await converge(azure, load(azure, *documents("francecentral", "new" if renamed else "app"), prune=prune))
    assert failures(reports) == []
    assert not any((await azure.self_inflicted()).values())
    assert azure.resource(network_id(azure, "virtualNetworks", "vnet"))["location"] == "francecentral"


async def test_a_subnet_is_renamed_where_pruning_is_permitted_and_else_refused_before_azure_does(azure: Stage) -> None:
    await converge(azure, load(azure, group(), network(app())))
    wanted = (group(), network({**app(), "name": "a-new-name"}))
    await azure.forget()
    reports = await azure.converge(load(azure, *wanted))
    assert state_of(reports[-1].plan, "VirtualNetwork/vnet/subnets/a-new-name")[0] is DecisionState.BLOCKED
    assert await azure.writes() == []
    assert failures(await converge(azure, load(azure, *wanted, prune={"subnets": True}, allowEmpty=True))) == []


@pytest.mark.parametrize("example", find_examples(), ids=lambda place: place.name)
async def test_an_import_of_an_example_plans_empty(azure: Stage, example: Path) -> None:
    for fleet in await settled(azure, example):
        groups = {id.group for id in fleet.desired if id.group}
        async with azure.world(fleet, read_only=True) as world:
            scope = Scope(subscription=fleet.subscription, fleet="", ids=(), everything=True)
            snapshot = await world.cloud.observe(scope)
        names = {name for wish in fleet.wishes if isinstance(wish, PoolWish) for name in wish.names.values()}
        pooled = [id for id in snapshot.live if id.name in names]
        choice = Choice(subscription=fleet.subscription, fleet=fleet.name, groups=tuple(groups))
        described, unclear = describe_live(snapshot, choice)
        assert not unclear
        managed = [{key: item for key, item in each.items() if key != "lifecycle"} for each in described]
        written = [str(fleet.desired[id].id).lower() for id in fleet.desired if len(id.segments) > 0]
        for documents in (described, managed):
            text = write_documents(documents)
            assert not [id for id in written if id in text.lower()]
            imported = azure.load(text)
            # What pools of models have become is written as plain deployments.
            assert {*imported.desired} == {id for id in (*fleet.desired, *pooled) if id.group}
            assert told(await azure.dry_run(imported)) == []


async def settled(azure: Stage, example: Path) -> list[Fleet]:
    """The fleets of an example, each as declared, one after the other in an Azure that has seen none of them."""
    fleets = azure.load_estate(example).fleets
    for fleet in fleets:
        tenant = fleet.target.tenant or azure.sim.tenant_id
        await azure.seed_world(subscriptions=[{"subscriptionId": fleet.subscription, "tenantId": tenant}])
        await converge(azure, fleet)
    return [*fleets]


def numbers() -> Iterator[tuple[int, ...]]:
    yield from permutations((100, 200, 300, 400))


async def test_rules_change_their_priorities_in_one_write_whatever_the_order(azure: Stage) -> None:
    names = ("a", "b", "c", "d")
    ports = {name: str(1000 + at) for at, name in enumerate(names)}

    def wanted(order: tuple[int, ...]) -> Fleet:
        pairs = zip(names, order, strict=True)
        return load(azure, group(*(rule(name, at, destinationPortRange=ports[name]) for name, at in pairs)))

    await converge(azure, wanted((100, 200, 300, 400)))
    for order in numbers():
        await azure.forget()
        await converge(azure, wanted(order))
        assert len(await azure.writes()) <= 1
        live = azure.resource(network_id(azure, "networkSecurityGroups", "nsg"))
        told_rules = {each["name"]: each["properties"]["priority"] for each in live["properties"]["securityRules"]}
        assert told_rules == dict(zip(names, order, strict=True))
    assert await azure.self_inflicted() == {"409": 0, "429": 0}


async def test_a_rule_made_in_the_portal_goes_from_an_exclusive_group_and_stays_in_a_shared_one(azure: Stage) -> None:
    nsg = network_id(azure, "networkSecurityGroups", "nsg")
    extra = {"name": "extra", "properties": {**rule("extra", 150), "sourcePortRange": "*"}}
    for word, kept in (("shared", {"allow", "extra"}), ("exclusive", {"allow"})):
        fleet = load(azure, group(rule("allow"), rules=word))
        await converge(azure, fleet)
        held = azure.resource(nsg)["properties"]["securityRules"]
        rules = [each for each in held if each["name"] != "extra"]
        await azure.mutate("PATCH", nsg, {"properties": {"securityRules": [*rules, extra]}})
        plan = await azure.dry_run(fleet)
        assert changed(plan) == ({} if word == "shared" else {"NetworkSecurityGroup/nsg": {"securityRules"}})
        await converge(azure, fleet)
        assert {each["name"] for each in azure.resource(nsg)["properties"]["securityRules"]} == kept


async def test_a_change_of_one_rule_carries_those_that_are_not_ours(azure: Stage) -> None:
    nsg = network_id(azure, "networkSecurityGroups", "nsg")
    await converge(azure, load(azure, group(rule("allow"), rules="shared")))
    other = {"name": "theirs", "properties": {**rule("theirs", 150), "sourcePortRange": "1024-65535"}}
    rules = azure.resource(nsg)["properties"]["securityRules"]
    await azure.mutate("PATCH", nsg, {"properties": {"securityRules": [*rules, other]}})
    await converge(azure, load(azure, group(rule("allow", 120), rules="shared")))
    live = {each["name"]: each["properties"] for each in azure.resource(nsg)["properties"]["securityRules"]}
    assert live["allow"]["priority"] == 120
    assert live["theirs"]["sourcePortRange"] == "1024-65535"


async def test_a_write_to_a_subnet_keeps_all_that_the_documents_do_not_say(azure: Stage) -> None:
    """A PUT that leaves out the security group, an endpoint or a delegation takes it away, and opens a door."""
    full = app(serviceEndpoints=[ENDPOINT], delegations=["Microsoft.App/environments"])
    await converge(azure, load(azure, group(rule("allow")), network(full)))
    bare = {"name": "app", "addressPrefix": "10.1.1.0/24", "privateEndpointNetworkPolicies": "Enabled"}
    await converge(azure, load(azure, group(rule("allow")), network(bare)))
    (live,) = azure.resource(network_id(azure, "virtualNetworks", "vnet"))["properties"]["subnets"]
    assert live["properties"]["privateEndpointNetworkPolicies"] == "Enabled"
    assert live["properties"]["networkSecurityGroup"]["id"].lower().endswith("/nsg")
    assert [each["service"] for each in live["properties"]["serviceEndpoints"]] == [ENDPOINT]
    assert len(live["properties"]["delegations"]) == 1


async def test_a_write_to_a_network_keeps_its_subnets_as_they_are(azure: Stage) -> None:
    await converge(azure, load(azure, group(rule("allow")), network(app(serviceEndpoints=[ENDPOINT]))))
    vnet = network_id(azure, "virtualNetworks", "vnet")
    await azure.mutate("PUT", vnet.child("subnets", "theirs"), {"properties": {"addressPrefix": "10.1.9.0/24"}})
    await converge(azure, load(azure, group(rule("allow")), network(app(), tags={"team": "law"})))
    live = {each["name"]: each["properties"] for each in azure.resource(vnet)["properties"]["subnets"]}
    assert {*live} == {"app", "theirs"}
    assert live["app"]["networkSecurityGroup"]["id"].lower().endswith("/nsg")
    assert [each["service"] for each in live["app"]["serviceEndpoints"]] == [ENDPOINT]


async def test_an_undeclared_subnet_goes_only_where_pruning_is_permitted(azure: Stage) -> None:
    vnet = network_id(azure, "virtualNetworks", "vnet")
    await converge(azure, load(azure, group(), network(app(), {"name": "old", "addressPrefix": "10.1.2.0/24"})))
    account = account_document("aoai-x")
    await azure.converge(load(azure, account, group(), network(app())))
    names = [each["name"] for each in azure.resource(vnet)["properties"]["subnets"]]
    assert names == ["app", "old"]
    await azure.converge(load(azure, account, group(), network(app()), prune={"subnets": True}))
    assert [each["name"] for each in azure.resource(vnet)["properties"]["subnets"]] == ["app"]


async def test_everything_goes_in_an_order_that_azure_takes(azure: Stage) -> None:
    ruled = account_document(
        "aoai-ruled",
        customSubDomainName="aoai-ruled",
        publicNetworkAccess="Enabled",
        networkAcls={"defaultAction": "Deny", "virtualNetworkRules": ["vnet/app"]},
    )
    await converge(azure, load(azure, group(rule("allow")), network(app(serviceEndpoints=[ENDPOINT])), ruled))
    await azure.forget()
    permits = {"virtualNetworks": True, "networkSecurityGroups": True, "accounts": True}
    emptied = load(azure, account_document("aoai-left"), prune=permits)
    # What is looked at on demand is named here by the permission to prune it.
    await azure.converge(emptied)
    assert not [id for id in azure.resources() if "/microsoft.network/" in id]
    gone = [each["path"].rpartition("/")[2] for each in await azure.writes() if each["method"] == "DELETE"]
    assert gone.index("app") < gone.index("vnet")
    assert gone.index("app") < gone.index("nsg")
    refused = [each for each in await azure.requests() if each["status"] in (400, 409, 429)]
    assert refused == []


async def test_a_group_that_a_subnet_still_uses_is_not_deleted_and_says_by_whom(azure: Stage) -> None:
    await converge(azure, load(azure, group(rule("allow")), network(app())))
    named = str(network_id(azure, "networkSecurityGroups", "nsg"))
    left = load(
        azure,
        account_document("aoai-x"),
        network(app(networkSecurityGroup=named)),
        prune={"networkSecurityGroups": True},
    )
    plan = await azure.dry_run(left)
    state, reason = state_of(plan, "NetworkSecurityGroup/nsg")
    assert state is DecisionState.BLOCKED
    assert "VirtualNetwork/vnet/subnets/app still uses it" in reason


async def test_a_group_that_exists_is_not_taken_over_without_a_word(azure: Stage) -> None:
    await converge(azure, load(azure))
    nsg = network_id(azure, "networkSecurityGroups", "nsg")
    mine = {"name": "mine", "properties": {**rule("mine", 150), "sourcePortRange": "*"}}
    await azure.mutate("PUT", nsg, {"location": "swedencentral", "properties": {"securityRules": [mine]}})
    plan = await azure.dry_run(load(azure, group(rule("allow"))))
    assert state_of(plan, "NetworkSecurityGroup/nsg")[0] is DecisionState.BLOCKED
    await converge(azure, load(azure, adopted(group(rule("allow"), rules="shared"))))
    assert {each["name"] for each in azure.resource(nsg)["properties"]["securityRules"]} == {"mine", "allow"}


async def test_a_lost_ownership_tag_is_told_and_not_put_right(azure: Stage) -> None:
    fleet = load(azure, group(rule("allow")), network(app()))
    await converge(azure, fleet)
    await azure.mutate("PATCH", network_id(azure, "virtualNetworks", "vnet"), {"tags": {"reconciler-fleet": None}})
    await azure.forget()
    plan = await azure.dry_run(fleet)
    assert state_of(plan, "VirtualNetwork/vnet")[0] is DecisionState.BLOCKED
    await azure.converge(fleet)
    assert await azure.writes() == []


async def test_a_large_network_is_read_with_one_request_each(azure: Stage) -> None:
    rules = [rule(f"rule-{at}", 100 + at, destinationPortRange=str(1000 + at)) for at in range(200)]
    subnets = [
        {"name": f"net-{at}", "addressPrefix": f"10.1.{at}.0/24", "networkSecurityGroup": "nsg"} for at in range(100)
    ]
    fleet = load(azure, group(*rules), network(*subnets))
    await converge(azure, fleet)
    await azure.forget()
    assert told(await azure.dry_run(fleet)) == []
    asked = [each["path"].lower() for each in await azure.requests()]
    assert len([path for path in asked if "networksecuritygroups" in path]) == 1
    assert len([path for path in asked if "virtualnetworks" in path]) == 1


async def test_a_fleet_of_accounts_asks_nothing_about_networks(azure: Stage) -> None:
    fleet = load(azure, account_document("aoai-alone"))
    await converge(azure, fleet)
    assert not [each for each in await azure.requests() if "microsoft.network" in each["path"].lower()]


async def test_a_network_that_cannot_be_read_leaves_its_subnets_unknown(azure: Stage) -> None:
    fleet = load(azure, group(rule("allow")), network(app()))
    await converge(azure, fleet)
    await azure.fault(kind="status", status=403, count=-1, match={"method": "GET", "path": r"/virtualNetworks"})
    await azure.forget()
    plan = await azure.dry_run(fleet)
    for ref in ("VirtualNetwork/vnet", "VirtualNetwork/vnet/subnets/app"):
        assert state_of(plan, ref)[0] is DecisionState.BLOCKED
    assert plan.steps == ()


async def test_an_account_waits_for_the_subnet_that_its_rule_names(azure: Stage) -> None:
    """Azure takes a rule only for a subnet that has the service endpoint."""
    ruled = account_document(
        "aoai-ruled",
        customSubDomainName="aoai-ruled",
        publicNetworkAccess="Enabled",
        networkAcls={"defaultAction": "Deny", "virtualNetworkRules": ["vnet/app"]},
    )
    fleet = load(azure, group(rule("allow")), network(app(serviceEndpoints=[ENDPOINT])), ruled)
    await converge(azure, fleet)
    rules = azure.resource(account_id(azure, "aoai-ruled"))["properties"]["networkAcls"]["virtualNetworkRules"]
    assert [each["id"].lower().rpartition("/")[2] for each in rules] == ["app"]
    assert [each["status"] for each in await azure.requests() if each["status"] == 400] == []
