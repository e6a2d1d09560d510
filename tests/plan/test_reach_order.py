"""Nothing is open in passing: which write has to wait for which, between resources."""

from __future__ import annotations

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
    group,
    names_of,
    network,
    plan_of,
    rule,
    standing,
    subnet,
    waits_for,
)

OUT: Document = {"direction": "Outbound", "destinationAddressPrefix": "Any"}
GUARD = group("guard", rule("app", 100, "10.0.1.0/24"), deny())


def test_a_group_that_tightens_is_written_before_an_endpoint_opens_behind_it() -> None:
    wide = group("guard", rule("all", 100))
    azure = standing(wide, network(backend("guard")), account())
    plan = plan_of(azure, GUARD, network(backend("guard")), account(), endpoint())
    assert "NetworkSecurityGroup/guard#write-1" in waits_for(plan, "PrivateEndpoint/pe#create")


def test_an_endpoint_that_goes_does_so_before_its_subnet_opens() -> None:
    azure = standing(GUARD, network(backend("guard")), account(), endpoint())
    wide = group("guard", rule("all", 100))
    plan = plan_of(
        azure,
        wide,
        network(backend("guard")),
        account(),
        prune={"privateEndpoints": True},
        allow=["delete"],
        limits={"deletes": {"count": 5, "percent": 100}},
    )
    assert "PrivateEndpoint/pe#delete" in waits_for(plan, "NetworkSecurityGroup/guard#write-1")


def test_a_group_is_tightened_before_a_subnet_that_it_shall_guard_comes_to_it() -> None:
    loose = group("next", rule("all", 100))
    azure = standing(GUARD, loose, network(backend("guard")), account(), endpoint())
    tight = group("next", rule("ops", 100, "10.0.9.0/24"), deny())
    plan = plan_of(azure, GUARD, tight, network(backend("next")), account(), endpoint())
    moved = "VirtualNetwork/net/subnets/backend#write-1"
    assert "NetworkSecurityGroup/next#write-1" in waits_for(plan, moved)


def test_a_group_is_loosened_after_the_subnet_that_it_no_longer_guards_has_left() -> None:
    tight = group("next", rule("ops", 100, "10.0.9.0/24"), deny())
    azure = standing(GUARD, tight, network(backend("guard")), account(), endpoint())
    loose = group("guard", rule("all", 100))
    plan = plan_of(azure, loose, tight, network(backend("next")), account(), endpoint())
    assert "VirtualNetwork/net/subnets/backend#write-1" in waits_for(plan, "NetworkSecurityGroup/guard#write-1")


def test_a_way_out_is_closed_before_the_way_in_behind_it_opens() -> None:
    def documents(out: str, source: str) -> list[Document]:
        app = group("app", rule("out", 100, access=out, **OUT))
        return [
            app,
            group("guard", rule("in", 100, source), deny()),
            network(subnet("app", 1, "app"), backend("guard")),
        ]

    azure = standing(*documents("Allow", "10.0.9.0/24"), account(), endpoint())
    plan = plan_of(azure, *documents("Deny", "10.0.1.0/24"), account(), endpoint())
    assert "NetworkSecurityGroup/app#write-1" in waits_for(plan, "NetworkSecurityGroup/guard#write-1")
    back = standing(*documents("Deny", "10.0.1.0/24"), account(), endpoint())
    plan = plan_of(back, *documents("Allow", "10.0.9.0/24"), account(), endpoint())
    assert "NetworkSecurityGroup/guard#write-1" in waits_for(plan, "NetworkSecurityGroup/app#write-1")


def test_changes_that_have_nothing_to_do_with_each_other_do_not_wait() -> None:
    documents = [network(backend("guard"), subnet("app", 1, "app")), account(), endpoint()]
    azure = standing(GUARD, group("app", rule("in", 100)), *documents)
    wide = group("guard", rule("app", 100, "10.0.0.0/20"), deny())
    plan = plan_of(azure, wide, group("app", rule("in", 100, "10.0.7.0/24"), deny()), *documents)
    assert [step.after for step in plan.steps] == [(), ()]


def ruled(*names: str) -> Document:
    rules = [f"net/{name}" for name in names]
    return account(publicNetworkAccess="Enabled", acls={"virtualNetworkRules": rules})


def test_a_firewall_that_closes_and_opens_does_so_in_two_writes_where_one_would_be_open_in_passing() -> None:
    """The group is about to let `b` stay in and `a` out; the account the other way round."""

    def out(source: str) -> Document:
        return group("out", rule("out", 100, source, **OUT), deny(**{**OUT, "priority": 200}))

    both = [subnet(name, at, "out", serviceEndpoints=[COGNITIVE]) for at, name in enumerate("ab", start=1)]
    azure = standing(out("10.0.2.0/24"), network(*both), ruled("a"))
    plan = plan_of(azure, out("10.0.1.0/24"), network(*both), ruled("b"))
    assert names_of(plan) == ["Account/one#write-1", "NetworkSecurityGroup/out#write-1", "Account/one#write-2"]
    assert waits_for(plan, "Account/one#write-2") == {"Account/one#write-1", "NetworkSecurityGroup/out#write-1"}
    assert plan.steps[0].fields["networkAcls.virtualNetworkRules"] == []
    assert not blocked(plan)


def test_two_groups_that_each_open_what_the_other_closes_are_refused_and_named() -> None:
    def documents(allowed: str, entering: str) -> list[Document]:
        app = group("app", rule("out", 100, allowed, **OUT), deny(**{**OUT, "priority": 200}))
        guard = group("guard", rule("in", 100, entering), deny())
        return [app, guard, network(subnet("app", 1, "app"), backend("guard")), account(), endpoint()]

    azure = standing(*documents("10.0.1.0/25", "10.0.1.128/25"))
    plan = plan_of(azure, *documents("10.0.1.128/25", "10.0.1.0/25"))
    assert plan.steps == ()
    codes = {ref: code for ref, (code, _) in blocked(plan).items()}
    assert codes == {"NetworkSecurityGroup/app": "never_more_open", "NetworkSecurityGroup/guard": "never_more_open"}
    reasons = " ".join(reason for _, reason in blocked(plan).values())
    assert "no order of writes keeps it from letting somebody in before NetworkSecurityGroup/" in reasons


def test_an_endpoint_is_not_made_behind_a_group_that_may_not_be_tightened() -> None:
    """The group is somebody else's, so its document changes nothing; what it should have stopped must not get in."""
    azure = standing(group("guard", rule("all", 100)), network(backend("guard")), account())
    azure.edit(GROUP.resource("Microsoft.Network/networkSecurityGroups", "guard"), "tags", {})
    plan = plan_of(azure, GUARD, network(backend("guard")), account(), endpoint())
    refused = blocked(plan)
    assert refused["NetworkSecurityGroup/guard"][0] == "not_owned"
    code, reason = refused["PrivateEndpoint/pe"]
    assert code == "never_more_open"
    assert reason.startswith("would let somebody in whom NetworkSecurityGroup/guard is declared to stop, and that is")
    assert plan.steps == ()


def test_what_closes_is_done_while_what_opens_waits() -> None:
    """The group of `b` is not ours, so the account does not let `b` in; `a` loses its way all the same."""
    shut = group("shut", deny("out", 100, **OUT))
    both = [subnet("a", 1, serviceEndpoints=[COGNITIVE]), subnet("b", 2, "shut", serviceEndpoints=[COGNITIVE])]
    azure = standing(group("shut"), network(*both), ruled("a"))
    azure.edit(GROUP.resource("Microsoft.Network/networkSecurityGroups", "shut"), "tags", {})
    plan = plan_of(azure, shut, network(*both), ruled("b"))
    assert names_of(plan) == ["Account/one#write-1"]
    assert plan.steps[0].fields["networkAcls.virtualNetworkRules"] == []
    (warning,) = decision(plan, "Account/one").warnings
    assert warning.startswith("what it opens waits for NetworkSecurityGroup/shut: ")


def test_each_way_is_told_once_of_the_write_that_opens_or_closes_it() -> None:
    azure = standing(group("guard", rule("all", 100)), network(subnet("app", 1), backend("guard")), account())
    plan = plan_of(azure, GUARD, network(subnet("app", 1), backend("guard")), account(), endpoint())
    told = {str(each.ref): each.opened for each in plan.decisions if each.opened}
    assert {*told} == {"PrivateEndpoint/pe"}
    (way,) = told["PrivateEndpoint/pe"]
    assert (way.source, way.path, way.ports, way.target.name) == ("net/app", "private endpoint pe", "443", "one")
    azure.apply(plan)
    plan = plan_of(azure, group("guard", deny()), network(subnet("app", 1), backend("guard")), account(), endpoint())
    told = {str(each.ref): each.closed for each in plan.decisions if each.closed}
    assert told == {"NetworkSecurityGroup/guard": (way,)}


def test_a_changed_tag_is_nobodys_way_in_or_out() -> None:
    documents = [network(backend("guard")), account(), endpoint()]
    azure = standing(GUARD, *documents)
    plan = plan_of(azure, {**GUARD, "spec": {**GUARD["spec"], "tags": {"team": "ai"}}}, *documents)
    assert names_of(plan) == ["NetworkSecurityGroup/guard#write-1"]
    assert all(not each.opened and not each.closed for each in plan.decisions)
