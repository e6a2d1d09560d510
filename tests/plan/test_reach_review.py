"""What is not known is never taken for closed, and who is protected is protected in every set-up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.plan import Plan
from reconciler.model.resource import Snapshot
from reconciler.plan import make_plan
from tests.plan.networks import (
    COGNITIVE,
    GROUP,
    Document,
    account,
    backend,
    blocked,
    deny,
    endpoint,
    fleet,
    group,
    names_of,
    network,
    plan_of,
    rule,
    standing,
    subnet,
    waits_for,
)
from tests.support.builders import PlainAzure, blind_to

OUT: Document = {"direction": "Outbound", "destinationAddressPrefix": "Any"}
NETWORKS = "Microsoft.Network/virtualNetworks"
GROUPS = "Microsoft.Network/networkSecurityGroups"


def only(source: str) -> list[Document]:
    """Let `source` in on 443 and nobody else."""
    return [rule("in", 110, source), deny()]


def plan_without(azure: PlainAzure, arm_type: str, *documents: Document, **spec: object) -> Plan:
    """A plan made while a type could not be read."""
    seen = azure.snapshot()
    prefix = f"{arm_type}/".lower()
    kept = {id: live for id, live in seen.live.items() if not f"{id.type}/".lower().startswith(prefix)}
    snapshot: Snapshot = replace(seen, live=kept, blind=(blind_to(arm_type),))
    return make_plan(fleet(*documents, **spec), snapshot)


def test_an_endpoint_is_not_made_behind_a_group_that_could_not_be_read() -> None:
    azure = standing(group("guard", rule("all", 100)), network(backend("guard")), account())
    plan = plan_without(
        azure, GROUPS, group("guard", *only("10.0.1.0/24")), network(backend("guard")), account(), endpoint()
    )
    assert names_of(plan) == []
    assert blocked(plan)["PrivateEndpoint/pe"][0] == "never_more_open"


@pytest.mark.parametrize("hidden", [GROUPS, NETWORKS])
def test_a_way_in_is_not_opened_while_the_way_out_behind_it_could_not_be_read(hidden: str) -> None:
    def documents(access: str, source: str) -> list[Document]:
        app = group("zapp", rule("out", 100, access=access, **OUT))
        guard = group("guard", *only(source))
        return [app, guard, network(subnet("app", 1, "zapp"), backend("guard")), account(), endpoint()]

    azure = standing(*documents("Allow", "10.0.9.0/24"))
    plan = plan_without(azure, hidden, *documents("Deny", "10.0.1.0/24"))
    opens, closes = "NetworkSecurityGroup/guard#write-1", "NetworkSecurityGroup/zapp#write-1"
    assert opens not in names_of(plan) or closes in waits_for(plan, opens)


def test_who_is_protected_keeps_what_cannot_be_seen() -> None:
    documents = [network(backend("guard")), account(), endpoint()]
    azure = standing(group("guard", *only("10.0.9.0/24")), *documents)
    shut = group("guard", *only("10.0.1.0/24"))
    plan = plan_without(azure, "Microsoft.CognitiveServices/accounts", shut, *documents, neverCutOff=["10.0.9.0/24"])
    assert blocked(plan)["NetworkSecurityGroup/guard"][0] == "cut_off"


def test_two_writes_that_only_together_cut_somebody_off_are_both_refused() -> None:
    """The new group lets everybody in today and shall not; the old one lets the app in."""
    guard, wide = group("guard", *only("10.0.1.0/24")), group("next", rule("all", 100))
    azure = standing(guard, wide, network(subnet("app", 1), backend("guard")), account(), endpoint())
    after = [guard, group("next", *only("10.0.9.0/24")), network(subnet("app", 1), backend("next"))]
    plan = plan_of(azure, *after, account(), endpoint(), neverCutOff=["net/app"])
    assert {code for code, _ in blocked(plan).values()} == {"cut_off"}
    assert plan.steps == ()


def test_an_order_without_a_gap_is_taken_where_there_is_one() -> None:
    def rules(*sources: str) -> list[Document]:
        return [*(rule(f"r{at}", 100 + at, source) for at, source in enumerate(sources)), deny()]

    def documents(first: list[str], second: list[str], home: str) -> list[Document]:
        net = network(subnet("app", 1), backend(home))
        return [group("aguard", *rules(*first)), group("next", *rules(*second)), net, account(), endpoint()]

    azure = standing(*documents(["10.0.1.0/24", "10.0.9.0/24"], ["10.0.8.0/24"], "aguard"))
    after = documents(["10.0.9.0/24"], ["10.0.1.0/24", "10.0.7.0/24"], "next")
    plan = plan_of(azure, *after, neverCutOff=["net/app"])
    assert not blocked(plan)
    moved = "VirtualNetwork/net/subnets/backend#write-1"
    assert "NetworkSecurityGroup/next#write-1" in waits_for(plan, moved)
    assert moved in waits_for(plan, "NetworkSecurityGroup/aguard#write-1")


def test_a_rule_that_may_mean_the_protected_does_not_hide_them() -> None:
    """Nobody here knows whom the tag means; the app gets in unless it is among them."""
    tagged = deny("tag", 100, sourceAddressPrefix="AzureBackup")
    net = network(subnet("app", 1), backend("guard"))
    azure = standing(group("guard", tagged, *only("10.0.1.0/24")), net, account(), endpoint())
    plan = plan_of(azure, group("guard", tagged, deny()), net, account(), endpoint(), neverCutOff=["net/app"])
    assert blocked(plan)["NetworkSecurityGroup/guard"][0] == "cut_off"


@pytest.mark.parametrize("party", ["10.0.1.0/24", "net/app"])
def test_addresses_are_protected_on_a_service_endpoint_too(party: str) -> None:
    net = network(subnet("app", 1, serviceEndpoints=[COGNITIVE]))
    azure = standing(net, account(publicNetworkAccess="Enabled", acls={"virtualNetworkRules": ["net/app"]}))
    plan = plan_of(azure, net, account(publicNetworkAccess="Enabled"), neverCutOff=[party])
    assert blocked(plan)["Account/one"][0] == "cut_off"


def test_a_subnet_that_is_not_ours_is_protected_where_it_is_named() -> None:
    theirs = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/app"
    azure = standing(account(publicNetworkAccess="Enabled", acls={"virtualNetworkRules": [theirs]}))
    plan = plan_of(azure, account(publicNetworkAccess="Enabled"), neverCutOff=[theirs])
    assert blocked(plan)["Account/one"][0] == "cut_off"


def test_a_network_that_is_made_anew_takes_its_subnets_with_it() -> None:
    net = network(subnet("app", 1, serviceEndpoints=[COGNITIVE]))
    ruled = account(publicNetworkAccess="Enabled", acls={"virtualNetworkRules": ["net/app"]})
    azure = standing(net, ruled)
    moved = {**net, "spec": {**net["spec"], "location": "francecentral"}}
    permits = {"allow": ["replace"], "limits": {"deletes": {"count": 9, "percent": 100}}}
    plan = plan_of(azure, moved, ruled, neverCutOff=["net/app"], **permits)
    assert "VirtualNetwork/net#delete" not in names_of(plan)


def test_a_subnet_does_not_move_to_a_group_whose_tightening_is_withheld() -> None:
    guard, wide = group("guard", *only("10.0.1.0/24")), group("next", rule("all", 100))
    azure = standing(guard, wide, network(subnet("vm", 3, "guard")))
    azure.edit(GROUP.resource(GROUPS, "next"), "tags", {})
    plan = plan_of(azure, guard, group("next", *only("10.0.9.0/24")), network(subnet("vm", 3, "next")))
    assert names_of(plan) == []


def test_a_subnet_that_is_called_something_else_is_where_it_was() -> None:
    def documents(name: str, own: str, source: str) -> list[Document]:
        groups = [group("ga"), group("gb", rule("out", 100, access="Deny", **OUT)), group("guard", *only(source))]
        return [*groups, network(subnet(name, 1, own), backend("guard")), account(), endpoint()]

    azure = standing(*documents("app", "ga", "10.0.9.0/24"))
    prune = {"prune": {"subnets": True}, "allow": ["delete"], "limits": {"deletes": {"count": 5, "percent": 100}}}
    plan = plan_of(azure, *documents("front", "gb", "10.0.1.0/24"), **prune)
    assert "VirtualNetwork/net/subnets/app#delete" in waits_for(plan, "NetworkSecurityGroup/guard#write-1")


def test_groups_that_are_not_ours_do_not_make_a_plan_slow() -> None:
    """Each could be a state of its own; what never changes is no state."""
    theirs = [group(f"g{at}", rule("out", 100, f"10.0.{at}.0/24", **OUT)) for at in range(40)]
    subnets = [subnet(f"s{at}", at, f"g{at}") for at in range(10, 40)]
    net = network(*subnets, backend("guard"))
    azure = standing(*theirs, group("guard", *only("10.0.9.0/24")), net, account(), endpoint())
    for each in range(40):
        azure.edit(GROUP.resource(GROUPS, f"g{each}"), "tags", {})
    changed = [group(f"g{at}", rule("out", 100, "10.0.99.0/24", access="Deny", **OUT)) for at in range(40)]
    plan = plan_of(azure, *changed, group("guard", *only("10.0.1.0/24")), net, account(), endpoint())
    assert names_of(plan) == ["NetworkSecurityGroup/guard#write-1"]


def test_everybody_who_waits_for_the_same_is_refused_at_once() -> None:
    names = [f"a{at}" for at in range(60)]
    wide = [group("guard", rule("all", 100)), network(backend("guard")), *(account(name) for name in names)]
    azure = standing(*wide)
    azure.edit(GROUP.resource(GROUPS, "guard"), "tags", {})
    tight = [group("guard", *only("10.0.1.0/24")), *wide[1:], *(endpoint(f"pe-{name}", name) for name in names)]
    plan = plan_of(azure, *tight)
    assert sum(code == "never_more_open" for code, _ in blocked(plan).values()) == 60
