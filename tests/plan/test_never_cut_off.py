"""Fleet spec.neverCutOff: who must keep what they reach, however the change is made."""

from __future__ import annotations

from tests.plan.networks import (
    COGNITIVE,
    Document,
    account,
    backend,
    blocked,
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

OFFICE = "203.0.113.0/24"
GUARD = group("guard", rule("app", 100, "10.0.1.0/24"), deny())
NET = network(subnet("app", 1), backend("guard"))


def called(*addresses: str) -> Document:
    return account(publicNetworkAccess="Enabled", acls={"ipRules": list(addresses)})


def test_an_address_range_that_reaches_an_account_keeps_it() -> None:
    azure = standing(called(OFFICE))
    plan = plan_of(azure, called("198.51.100.7"), neverCutOff=[OFFICE])
    code, reason = blocked(plan)["Account/one"]
    assert code == "cut_off"
    assert reason.startswith(f"would cut {OFFICE} off from Account/one, which Fleet spec.neverCutOff forbids")
    assert plan.steps == ()


def test_a_part_of_a_range_counts_as_much_as_all_of_it() -> None:
    azure = standing(called(OFFICE))
    assert blocked(plan_of(azure, called("203.0.113.0/25"), neverCutOff=[OFFICE]))["Account/one"][0] == "cut_off"


def test_who_does_not_reach_it_today_loses_nothing() -> None:
    azure = standing(called("198.51.100.7"))
    plan = plan_of(azure, called("192.0.2.1"), neverCutOff=[OFFICE])
    assert names_of(plan) == ["Account/one#write-1"]


def test_it_can_be_allowed_for_the_fleet_or_in_the_document() -> None:
    azure = standing(called(OFFICE))
    assert names_of(plan_of(azure, called(), neverCutOff=[OFFICE], allow=["cutOff"])) == ["Account/one#write-1"]
    allowed = {**called(), "lifecycle": {"allow": ["cutOff"]}}
    assert names_of(plan_of(azure, allowed, neverCutOff=[OFFICE])) == ["Account/one#write-1"]


def test_a_subnet_is_protected_on_its_private_way() -> None:
    azure = standing(GUARD, NET, account(), endpoint())
    shut = group("guard", rule("app", 100, "10.0.7.0/24"), deny())
    plan = plan_of(azure, shut, NET, account(), endpoint(), neverCutOff=["net/app"])
    assert blocked(plan)["NetworkSecurityGroup/guard"][1].startswith("would cut net/app off from Account/one,")
    assert names_of(plan_of(azure, shut, NET, account(), endpoint(), neverCutOff=["net/backend"]))


def test_a_subnet_is_protected_on_its_service_endpoint() -> None:
    app = network(subnet("app", 1, serviceEndpoints=[COGNITIVE]))
    ruled = account(publicNetworkAccess="Enabled", acls={"virtualNetworkRules": ["net/app"]})
    azure = standing(app, ruled)
    plan = plan_of(azure, app, account(publicNetworkAccess="Enabled"), neverCutOff=["net/app"])
    assert blocked(plan)["Account/one"][0] == "cut_off"


def test_a_way_is_exchanged_for_another_by_opening_the_new_one_first() -> None:
    app = network(subnet("app", 1, serviceEndpoints=[COGNITIVE]), backend("guard"))
    ruled = account(publicNetworkAccess="Enabled", acls={"virtualNetworkRules": ["net/app"]})
    azure = standing(GUARD, app, ruled)
    plan = plan_of(azure, GUARD, app, account(), endpoint(), neverCutOff=["net/app"])
    assert not blocked(plan)
    assert "PrivateEndpoint/pe#create" in waits_for(plan, "Account/one#write-1")


def test_what_would_be_gone_for_a_while_is_refused_too() -> None:
    azure = standing(GUARD, network(subnet("app", 1), backend("guard"), subnet("other", 3)), account(), endpoint())
    moved = endpoint(subnet="net/other")
    documents = [GUARD, network(subnet("app", 1), backend("guard"), subnet("other", 3)), account(), moved]
    allowed = {"allow": ["replace"], "limits": {"deletes": {"count": 5, "percent": 100}}}
    plan = plan_of(azure, *documents, neverCutOff=["net/app"], **allowed)
    code, reason = blocked(plan)["PrivateEndpoint/pe"]
    assert code == "cut_off"
    assert "would cut net/app off from Account/one while it is written" in reason


def test_a_second_way_makes_the_first_one_free_to_go() -> None:
    both = [endpoint(), endpoint("spare")]
    azure = standing(GUARD, NET, account(), *both)
    prune = {"prune": {"privateEndpoints": True}, "allow": ["delete"], "limits": {"deletes": {"count": 5}}}
    plan = plan_of(azure, GUARD, NET, account(), both[0], neverCutOff=["net/app"], **prune)
    assert names_of(plan) == ["PrivateEndpoint/spare#delete"]
    plan = plan_of(azure, GUARD, NET, account(), neverCutOff=["net/app"], **prune)
    assert {code for code, _ in blocked(plan).values()} == {"cut_off"}
