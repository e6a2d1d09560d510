"""What is deleted or made again lets nobody fall who still uses it; what would wait for itself is refused."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.kinds.addresses import may_meet
from reconciler.kinds.base import read_links
from reconciler.kinds.catalog import type_of
from reconciler.kinds.subnet import TYPE as SUBNET
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, DecisionState, Plan, Step, Verb
from reconciler.plan import make_plan
from tests.plan.networks import (
    COGNITIVE,
    GROUP,
    Document,
    account,
    backend,
    blocked,
    decision,
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
from tests.support.builders import PlainAzure

KINDS = ("privateEndpoints", "subnets", "networkSecurityGroups", "virtualNetworks", "accounts")
FREE: dict[str, Any] = {
    "limits": {"deletes": {"count": 500, "percent": 100}, "changes": {"count": 500, "percent": 100}},
    "allow": ["replace", "delete", "purge"],
    "softDeleted": "purge",
}
PRUNE: dict[str, Any] = {**FREE, "prune": dict.fromkeys(KINDS, True), "allowEmpty": True}
FRANCE = "francecentral"
SERVICE: dict[str, Any] = {"serviceEndpoints": [COGNITIVE]}
GUARD = group("guard", rule("app", 100, "10.0.1.0/24"), deny())
PE = "PrivateEndpoint/pe"
NET = "VirtualNetwork/net"


def moved(document: Document, place: str = FRANCE) -> Document:
    """The same somewhere else, which takes a replacement."""
    return {**document, "spec": {**document["spec"], "location": place}}


def staying(document: Document) -> Document:
    """The same, wherever it is."""
    return {**document, "lifecycle": {"ignore": ["location"]}}


def ruled(*subnets: str, name: str = "one", **more: Any) -> Document:
    rules = [f"net/{each}" for each in subnets]
    return account(name, publicNetworkAccess="Enabled", acls={"virtualNetworkRules": rules}, **more)


class Strict(PlainAzure):
    """Deletes nothing that somebody still uses, and gives nobody addresses that another has, as Azure."""

    def write(self, step: Step) -> None:
        if step.verb is Verb.DELETE:
            assert not (users := [id for id in self.live if self._uses(id, step.id)]), (step.name, users)
        super().write(step)
        if step.id.type == SUBNET.arm_type and step.verb is Verb.PUT:
            beside = [each for each in self.live if each.parent == step.id.parent and each != step.id]
            shared = [
                each for each in beside if any(may_meet(a, b) for a in self._space(each) for b in self._space(step.id))
            ]
            assert not shared, (step.name, shared)

    def _uses(self, user: ArmId, used: ArmId) -> bool:
        type_ = type_of(user.type)
        # An account may go while an endpoint leads to it.
        if type_ is None or used.covers(user) or used.type.endswith("/accounts"):
            return False
        return any(f"{link}/".startswith(f"{used.key}/") for link in read_links(type_, self.live[user]))

    def _space(self, id: ArmId) -> list[str]:
        listed = SUBNET.lens("addressPrefixes").read(self.live[id])
        return [str(each) for each in listed] if isinstance(listed, list) else []


def strict(azure: PlainAzure) -> Strict:
    return Strict(live=copy.deepcopy(azure.live), deleted=copy.deepcopy(azure.deleted))


# -- circles


def test_an_account_that_lets_go_of_a_network_for_a_part_of_the_next_one_is_a_circle_that_is_named() -> None:
    azure = standing(network(subnet("app", 1, **SERVICE)), ruled("app"))
    plan = plan_of(azure, moved(network(subnet("web", 2, **SERVICE))), ruled("web"), **PRUNE)
    code, reason = blocked(plan)[NET]
    assert code == "circle"
    for each in ("Account/one", f"{NET}/subnets/web", f"{NET}/subnets/app"):
        assert each in reason
    assert "commit of its own" in decision(plan, NET).permit
    assert "VirtualNetwork/net#delete" not in names_of(plan)


def test_an_endpoint_leaves_a_subnet_that_goes_and_comes_back_into_one_that_is_made() -> None:
    azure = strict(standing(network(backend()), account(), endpoint()))
    other = {**backend(), "name": "other", "addressPrefix": "10.0.3.0/24"}
    plan = plan_of(azure, moved(network(other)), account(), moved(endpoint(subnet="net/other")), **PRUNE)
    assert blocked(plan) == {}
    names = names_of(plan)
    wanted = [f"{PE}#delete", f"{NET}/subnets/backend#delete", f"{NET}#delete", f"{NET}#create", f"{PE}#create"]
    assert [name for name in names if name in wanted] == wanted
    azure.apply(plan)
    assert f"{NET}/subnets/other#create" in waits_for(plan, f"{PE}#create")


def world(chance: Random) -> list[Document]:
    """A few networks and accounts, sometimes in another region, that hold on to each other."""
    place = chance.choice(["swedencentral", "swedencentral", FRANCE])
    groups = [name for name in "ab" if chance.random() < 0.8]
    made = [
        moved(group(name, rule("in", 100, chance.choice(["10.0.1.0/24", "Any"])), deny()), place) for name in groups
    ]
    subnets: list[Document] = []
    for number, name in enumerate(("s1", "s2", "s3"), start=1):
        if chance.random() < 0.8:
            guard = chance.choice([*groups, None])
            space = chance.choice([number, number, number, 4])
            if all(each["addressPrefix"] != f"10.0.{space}.0/24" for each in subnets):
                subnets.append({**subnet(name, space, guard, **SERVICE), "networkSecurityGroup": guard})
    made.append(moved(network(*subnets), place))
    named = [each["name"] for each in subnets]
    accounts = [name for name in ("one", "two") if chance.random() < 0.9]
    for name in accounts:
        region = chance.choice(["swedencentral", "swedencentral", FRANCE])
        made.append(moved(ruled(*(each for each in named if chance.random() < 0.5), name=name), region))
    leading = [name for name in "pq" if accounts and named and chance.random() < 0.7]
    ends = [endpoint(name, chance.choice(accounts), f"net/{chance.choice(named)}") for name in leading]
    return [*made, *(moved(each, place) for each in ends)]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 100_000))
def test_no_two_fleets_make_a_plan_that_raises_or_asks_for_what_azure_refuses(seed: int) -> None:
    chance = Random(seed)
    before, after = fleet(*world(chance), **PRUNE), fleet(*world(chance), **PRUNE)
    azure = PlainAzure()
    for _ in range(4):
        azure.converge(before)
    tried = strict(azure)
    for _ in range(8):
        plan = make_plan(after, tried.snapshot())
        if not plan.steps:
            break
        tried.apply(plan)
    assert not plan.steps, names_of(plan)
    assert all(each.reason for each in plan.decisions if each.state is DecisionState.BLOCKED)


# -- what is made again while somebody uses it


def test_a_group_is_not_made_again_under_a_subnet_that_keeps_it() -> None:
    azure = standing(GUARD, network(backend("guard")))
    for changed in (backend("guard"), backend("guard", **SERVICE)):
        plan = plan_of(azure, moved(GUARD), staying(moved(network(changed))), account(), **FREE)
        code, reason = blocked(plan)["NetworkSecurityGroup/guard"]
        assert (code, reason.partition(";")[0]) == ("in_use", f"{NET}/subnets/backend still uses it")
        assert decision(plan, "NetworkSecurityGroup/guard").permit == (
            f"have {NET}/subnets/backend use another network security group, or none, in a commit of its own"
        )
        assert not any("guard" in name for name in names_of(plan))


def test_a_group_is_made_again_after_its_subnet_has_left_it() -> None:
    azure = strict(standing(GUARD, network(backend("guard"))))
    plan = plan_of(azure, moved(GUARD), network({**backend(), "networkSecurityGroup": None}), **FREE)
    names = names_of(plan)
    assert f"{NET}/subnets/backend#write-1" in waits_for(plan, "NetworkSecurityGroup/guard#delete")
    assert names[-1] == "NetworkSecurityGroup/guard#create"
    azure.apply(plan)


def test_a_network_is_not_made_again_under_what_stays_in_it() -> None:
    azure = standing(network(backend()), account(), endpoint())
    plan = plan_of(azure, moved(network(backend())), account(), staying(moved(endpoint())), **FREE)
    code, reason = blocked(plan)[NET]
    assert (code, reason.partition(";")[0]) == ("in_use", f"{PE} still uses backend in it")
    assert names_of(plan) == []


def test_a_network_an_endpoint_and_a_group_move_together_in_the_one_order_that_azure_takes() -> None:
    azure = strict(standing(GUARD, network(subnet("app", 1), backend("guard")), account(), endpoint()))
    after = [moved(GUARD), moved(network(subnet("app", 1), backend("guard"))), account(), moved(endpoint())]
    plan = plan_of(azure, *after, **FREE)
    assert blocked(plan) == {}
    azure.apply(plan)
    assert plan_of(azure, *after, **FREE).converged
    names = names_of(plan)
    assert names.index(f"{PE}#delete") < names.index(f"{NET}#delete")
    assert f"{NET}#delete" in waits_for(plan, "NetworkSecurityGroup/guard#delete")
    assert {f"{NET}/subnets/backend#create", "NetworkSecurityGroup/guard#create"} <= waits_for(plan, f"{PE}#create")


def test_a_network_is_not_made_again_under_a_rule_that_would_die_with_it() -> None:
    azure = standing(network(subnet("app", 1, **SERVICE)), ruled("app"))
    plan = plan_of(azure, moved(network(subnet("app", 1, **SERVICE))), ruled("app"), **FREE)
    code, reason = blocked(plan)[NET]
    assert (code, reason.partition(";")[0]) == ("in_use", "Account/one still uses app in it")
    assert names_of(plan) == []


# -- those that go with their parent


OFFICE = "203.0.113.0/24"
MODEL = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-08-06"}
DEPLOYMENTS = [{"name": "gpt", "model": MODEL, "sku": {"name": "Standard", "capacity": 10}}]
CALLED: dict[str, Any] = {"publicNetworkAccess": "Enabled", "acls": {"ipRules": [OFFICE]}, "deployments": DEPLOYMENTS}


@pytest.mark.parametrize("capacity", [10, 20])
def test_a_replacement_that_is_refused_late_leaves_what_lies_in_it_to_itself(capacity: int) -> None:
    azure = standing(account(**CALLED))
    grown = {**CALLED, "deployments": [{**DEPLOYMENTS[0], "sku": {"name": "Standard", "capacity": capacity}}]}
    plan = plan_of(azure, moved(account(**grown)), neverCutOff=[OFFICE], **FREE)
    assert blocked(plan).keys() == {"Account/one"}
    assert blocked(plan)["Account/one"][0] == "cut_off"
    gpt = decision(plan, "Account/one/deployments/gpt")
    wanted = (DecisionState.IN_SYNC, None) if capacity == 10 else (DecisionState.ACT, Action.UPDATE)
    assert (gpt.state, gpt.action) == wanted
    assert names_of(plan) == (["Account/one/deployments/gpt#write-1"] if capacity == 20 else [])


# -- addresses that somebody has


def spaces(plan: Plan) -> list[str]:
    return [name.rpartition("/")[2] for name in names_of(plan)]


def test_a_subnet_that_is_renamed_goes_before_the_new_one_comes() -> None:
    azure = strict(standing(network(subnet("zoo", 1)), account()))
    plan = plan_of(azure, network(subnet("app", 1)), account(), **PRUNE)
    assert spaces(plan) == ["zoo#delete", "app#create"]
    assert waits_for(plan, f"{NET}/subnets/app#create") == {f"{NET}/subnets/zoo#delete"}
    azure.apply(plan)


def test_a_subnet_does_not_come_where_the_old_one_stays() -> None:
    azure = standing(network(subnet("zoo", 1)), account())
    plan = plan_of(azure, network(subnet("app", 1)), account(), **FREE)
    code, reason = blocked(plan)[f"{NET}/subnets/app"]
    assert code == "overlap"
    assert reason.startswith("VirtualNetwork/net/subnets/zoo has 10.0.1.0/24, which overlaps what it is to get")
    assert "spec.prune" in decision(plan, f"{NET}/subnets/app").permit
    assert plan.steps == ()


def test_a_subnet_takes_the_addresses_of_another_after_that_has_moved() -> None:
    azure = strict(standing(network(subnet("app", 1), subnet("zoo", 2)), account()))
    plan = plan_of(azure, network(subnet("app", 2), subnet("zoo", 3)), account(), **FREE)
    assert spaces(plan) == ["zoo#write-1", "app#write-1"]
    assert waits_for(plan, f"{NET}/subnets/app#write-1") == {f"{NET}/subnets/zoo#write-1"}
    azure.apply(plan)


def test_two_subnets_that_exchange_their_addresses_are_refused_by_name() -> None:
    azure = standing(network(subnet("app", 1), subnet("zoo", 2)), account())
    plan = plan_of(azure, network(subnet("app", 2), subnet("zoo", 1)), account(), **FREE)
    refused = blocked(plan)
    assert refused[f"{NET}/subnets/app"][0] == "circle"
    assert f"{NET}/subnets/zoo" in refused[f"{NET}/subnets/app"][1]
    assert refused[f"{NET}/subnets/zoo"][0] == "overlap"
    assert plan.steps == ()


# -- what a live resource does not take


def shared(*rules: Document) -> Document:
    return group("guard", *rules, rules="shared")


def test_a_priority_that_a_strangers_rule_has_is_refused_until_that_is_gone() -> None:
    app, mine = rule("app", 100, "10.0.1.0/24"), rule("mine", 150, "10.0.4.0/24")
    azure = standing(shared(app))
    theirs: Document = {"name": "theirs", "properties": {"priority": 150, "direction": "Inbound", "access": "Allow"}}
    guard = azure.live[GROUP.resource("Microsoft.Network/networkSecurityGroups", "guard")]
    before = copy.deepcopy(guard["properties"])
    assert isinstance(before, dict)
    listed = before["securityRules"]
    assert isinstance(listed, list)
    guard["properties"] = {**before, "securityRules": [*listed, theirs]}
    plan = plan_of(azure, shared(app, mine))
    code, reason = blocked(plan)["NetworkSecurityGroup/guard"]
    assert code == "priority_taken"
    assert reason.startswith("securityRules[mine].priority 150 is taken by theirs, also Inbound")
    assert "151 is free" in decision(plan, "NetworkSecurityGroup/guard").permit
    assert plan.steps == ()
    assert names_of(plan_of(azure, group("guard", app, mine))) == ["NetworkSecurityGroup/guard#write-1"]
    out = {**mine, "direction": "Outbound"}
    assert names_of(plan_of(azure, shared(app, out))) == ["NetworkSecurityGroup/guard#write-1"]
    guard["properties"] = before
    assert names_of(plan_of(azure, shared(app, mine))) == ["NetworkSecurityGroup/guard#write-1"]


def test_an_endpoint_with_two_connections_is_not_made_again_for_one_of_them() -> None:
    documents = (network(backend()), account("one"), account("two"))
    azure = standing(*documents, endpoint())
    pe = azure.live[GROUP.resource("Microsoft.Network/privateEndpoints", "pe")]["properties"]
    assert isinstance(pe, dict)
    rows = pe["privateLinkServiceConnections"]
    assert isinstance(rows, list)
    first: Document = rows[0]  # type: ignore[assignment]
    two = str(GROUP.resource("Microsoft.CognitiveServices/accounts", "two"))
    second: Document = {"name": "second", "properties": {**first["properties"], "privateLinkServiceId": two}}
    pe["privateLinkServiceConnections"] = [second, first]
    plan = plan_of(azure, *documents, endpoint(), **FREE)
    code, reason = blocked(plan)[PE]
    assert code == "many_connections"
    assert "one and two" in reason
    assert plan.steps == ()
    pe["privateLinkServiceConnections"] = [first, second]
    assert plan_of(azure, *documents, endpoint(), **FREE).converged
    cut = {**first["properties"], "privateLinkServiceConnectionState": {"status": "Disconnected"}}
    pe["privateLinkServiceConnections"] = [{**first, "properties": cut}, second]
    assert blocked(plan_of(azure, *documents, endpoint(), **FREE))[PE][0] == "many_connections"
    pe["privateLinkServiceConnections"] = [{**first, "properties": cut}]
    assert names_of(plan_of(azure, *documents, endpoint(), **FREE)) == [f"{PE}#delete", f"{PE}#create"]
