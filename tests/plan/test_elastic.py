"""Capacities between a floor and a wish: who gets how much, who is asked, and what is said about the rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.plan import Action, DecisionState, Plan, Verb
from reconciler.model.quota import Quotas, Terms
from reconciler.model.resource import Fleet, PurgePolicy, PurgeWhen
from reconciler.model.wire import JsonObject
from reconciler.plan import find_asked, make_plan
from tests.plan.markets import GPT_4O, GPT_41, PTU, REGION, market, offer, plan_with, pool_of, quotas, surveyed
from tests.support.builders import (
    EVERY_WORD,
    PlainAzure,
    Spec,
    account_id,
    account_spec,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    fault_of,
    fleet_of,
)


def elastic(name: str, want: int, least: int, sku: str = "GlobalStandard", **more: Any) -> Spec:
    return deployment_spec(name, **{"sku": {"name": sku, "capacity": {"want": want, "min": least}}, **more})


def gpt_41() -> Spec:
    return {"name": "gpt-4.1", "version": "2025-04-14"}


def fleet_with(*deployments: Spec, **policy: Any) -> Fleet:
    policy.setdefault("allow", EVERY_WORD)
    return fleet_of(declare_account("one", account_spec(deployments=list(deployments))), **policy)


def azure_with(*deployments: Spec) -> PlainAzure:
    _, azure = converged(declare_account("one", account_spec(deployments=list(deployments))), allow=EVERY_WORD)
    return azure


def wanted_of(plan: Plan, name: str) -> int | None:
    """The capacity that a plan writes to a deployment, None where it leaves it alone."""
    steps = [step for step in plan.steps if step.id == deployment_id(name) and "sku.capacity" in step.fields]
    written = [step.fields["sku.capacity"] for step in steps]
    return int(str(written[-1])) if written else None


def test_it_gets_all_that_it_wants_where_that_is_there() -> None:
    plan = plan_with(fleet_with(elastic("a", 300, 50)), azure_with(), surveyed(0, 300))
    assert wanted_of(plan, "a") == 300
    assert decided(plan, deployment_id("a")).short == 0
    assert pool_of(plan).short == 0


def test_it_takes_what_is_there_and_says_what_is_missing() -> None:
    plan = plan_with(fleet_with(elastic("a", 300, 50)), azure_with(), surveyed(180, 300))
    decision = decided(plan, deployment_id("a"))
    assert (decision.action, wanted_of(plan, "a"), decision.short) == (Action.CREATE, 120, 180)
    assert decision.reason == (
        "does not exist; gets 120 of the 300 that it wants: 180 of 300 are used (0 by this fleet, 0 by others, up to "
        "180 by nobody that can be seen): 120 left for it"
    )
    assert [change.after for change in decision.changes if change.path == "sku.capacity"] == [120]
    assert (pool_of(plan).takes, pool_of(plan).short) == (120, 180)


def test_it_is_blocked_only_below_its_floor() -> None:
    plan = plan_with(fleet_with(elastic("a", 300, 50)), azure_with(), surveyed(251, 300))
    decision = decided(plan, deployment_id("a"))
    assert (decision.state, decision.code, decision.short) == (DecisionState.BLOCKED, "insufficient_quota", 0)
    assert decision.reason.startswith("asks at least 50 of gpt-4o GlobalStandard in swedencentral; 251 of 300 are used")
    assert decision.permit == (
        "declare a min of 49, 1 fewer; or run it again in some minutes: Azure may be late to give back up to 251; "
        "or free 1 of this pool, or ask Azure for a higher limit"
    )
    assert pool_of(plan).short == 300


def test_what_is_below_its_floor_asks_for_the_rest_of_it() -> None:
    azure = azure_with(deployment_spec("a", 20))
    plan = plan_with(fleet_with(elastic("a", 300, 50)), azure, surveyed(290, 300))
    assert decided(plan, deployment_id("a")).reason.startswith("asks at least 30 more of gpt-4o GlobalStandard")


def test_it_grows_as_quota_appears_and_rests_when_there_is_none() -> None:
    azure = azure_with(deployment_spec("a", 120))
    fleet = fleet_with(elastic("a", 300, 50))
    grown = plan_with(fleet, azure, surveyed(120, 200))
    assert wanted_of(grown, "a") == 200
    resting = plan_with(fleet, azure, surveyed(120, 120))
    decision = decided(resting, deployment_id("a"))
    assert (decision.state, decision.action, decision.changes, decision.short) == (
        DecisionState.IN_SYNC,
        None,
        (),
        180,
    )
    assert decision.reason == (
        "has 120 of the 300 that it wants: 120 of 120 are used (120 by this fleet, 0 by others): 0 left for it"
    )
    assert resting.converged
    assert resting.steps == ()
    assert pool_of(resting).short == 180


def test_only_what_has_less_than_it_wants_makes_a_pass_ask_for_quota() -> None:
    azure = azure_with(deployment_spec("a", 120))
    for want, asked in ((300, {REGION}), (120, set())):
        fleet = fleet_with(elastic("a", want, 50))
        plan = make_plan(fleet, azure.snapshot())
        assert find_asked(plan, fleet, azure.snapshot()) == asked


def test_a_limit_below_what_is_used_takes_nothing_from_it() -> None:
    azure = azure_with(deployment_spec("a", 120))
    plan = plan_with(fleet_with(elastic("a", 300, 50), deployment_spec("b", 30)), azure, surveyed(120, 60))
    assert plan.steps == ()
    assert decided(plan, deployment_id("a")).state is DecisionState.IN_SYNC
    assert decided(plan, deployment_id("b")).state is DecisionState.BLOCKED


def test_plain_capacities_are_served_first_whatever_they_are_called() -> None:
    fleet = fleet_with(elastic("a", 300, 50), deployment_spec("z", 100))
    plan = plan_with(fleet, azure_with(), surveyed(0, 300))
    assert (wanted_of(plan, "a"), wanted_of(plan, "z")) == (200, 100)


def test_it_waits_for_what_others_give_back() -> None:
    azure = azure_with(deployment_spec("a", 100), deployment_spec("b", 200))
    fleet = fleet_with(elastic("a", 400, 50), deployment_spec("b", 50))
    plan = plan_with(fleet, azure, surveyed(300, 300))
    assert wanted_of(plan, "a") == 250
    assert [step.id.name for step in plan.steps] == ["b", "a"]


def test_more_than_it_wants_is_a_capacity_cut_like_any_other() -> None:
    azure = azure_with(deployment_spec("a", 400))
    plan = plan_with(fleet_with(elastic("a", 300, 50), allow=frozenset()), azure, surveyed(400, 400))
    assert decided(plan, deployment_id("a")).code == "capacityCut_not_permitted"
    plan = plan_with(fleet_with(elastic("a", 300, 50)), azure, surveyed(400, 400))
    assert wanted_of(plan, "a") == 300


def test_whole_steps_are_taken_and_a_rest_is_left() -> None:
    fleet = fleet_with(elastic("a", 100, 15, sku="GlobalProvisionedManaged"))
    plan = plan_with(fleet, azure_with(), quotas({PTU: 0}, {PTU: 48}))
    assert wanted_of(plan, "a") == 45
    plan = plan_with(fleet, azure_with(), quotas({PTU: 34}, {PTU: 48}))
    assert decided(plan, deployment_id("a")).reason.startswith("asks at least 15 of gpt-4o GlobalProvisionedManaged")


def test_only_capacities_that_are_sold_are_taken() -> None:
    terms = Terms(usage=GPT_4O, tokens=1000, allowed=(10, 50, 100))
    sold = Quotas(markets={REGION: market({}, {GPT_4O: 80}, {offer(): terms})})
    plan = plan_with(fleet_with(elastic("a", 100, 10)), azure_with(), sold)
    assert wanted_of(plan, "a") == 50


def test_a_replacement_that_would_end_below_the_floor_is_not_begun() -> None:
    azure = azure_with(deployment_spec("a", 80))
    fleet = fleet_with(elastic("a", 100, 60, model=gpt_41()))
    plan = plan_with(fleet, azure, quotas({GPT_4O: 80}, {GPT_4O: 100, GPT_41: 59}))
    decision = decided(plan, deployment_id("a"))
    assert (decision.state, decision.action, plan.steps) == (DecisionState.BLOCKED, Action.REPLACE, ())
    assert decision.reason.startswith(
        "would be left with less than its min of 60: asks at least 60 of gpt-4.1 GlobalStandard in swedencentral"
    )
    plan = plan_with(fleet, azure, quotas({GPT_4O: 80}, {GPT_4O: 100, GPT_41: 70}))
    assert [step.verb.value for step in plan.steps] == ["delete", "put"]
    assert wanted_of(plan, "a") == 70


def test_what_nothing_is_known_about_is_not_grown_and_begins_with_its_floor() -> None:
    unread = Quotas(unread={REGION: fault_of()})
    fleet = fleet_with(elastic("a", 300, 50))
    plan = plan_with(fleet, azure_with(), unread)
    assert wanted_of(plan, "a") == 50
    plan = plan_with(fleet, azure_with(deployment_spec("a", 120)), unread)
    assert plan.steps == ()
    decision = decided(plan, deployment_id("a"))
    assert decision.reason == "has 120 of the 300 that it wants: how much quota is left there is not known"


def test_what_has_more_than_it_wants_is_cut_also_where_nothing_is_known() -> None:
    azure = azure_with(deployment_spec("a", 400))
    plan = plan_with(fleet_with(elastic("a", 300, 50)), azure, Quotas(unread={REGION: fault_of()}))
    assert wanted_of(plan, "a") == 300


def test_tokens_per_minute_become_units_of_both() -> None:
    sku = {"name": "GlobalStandard", "tpm": {"want": "300k", "min": "50.5k"}}
    fleet = fleet_with(deployment_spec("a", sku=sku))
    plan = plan_with(fleet, azure_with(), surveyed(240, 300), rates={offer(): 1000})
    assert wanted_of(plan, "a") == 60
    plan = plan_with(fleet, azure_with(), surveyed(250, 300), rates={offer(): 1000})
    assert decided(plan, deployment_id("a")).reason.startswith("asks at least 51 of gpt-4o")


def test_what_goes_and_comes_back_with_its_account_keeps_its_floor() -> None:
    _, azure = converged(declare_account("one", account_spec(deployments=[deployment_spec("a", 80)])))
    moved = account_spec(location="westeurope", deployments=[elastic("a", 100, 60)])
    fleet = fleet_of(declare_account("one", moved), allow=EVERY_WORD)
    there = {offer(at="westeurope"): 1000}
    for left, state in ((70, DecisionState.ACT), (59, DecisionState.BLOCKED)):
        home = surveyed(80, 100).markets[REGION]
        west = quotas({}, {GPT_4O: left}).markets[REGION]
        sold = {offer(at="westeurope"): west.terms[offer()]}
        quota = Quotas(markets={REGION: home, "westeurope": type(west)(usages=west.usages, terms=sold)})
        plan = plan_with(fleet, azure, quota, rates=there)
        assert decided(plan, deployment_id("a")).state is state, decided(plan, deployment_id("a")).reason
    assert plan.steps == ()


@given(
    wants=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=4),
    plain=st.integers(0, 60),
    room=st.integers(0, 150),
)
def test_nothing_that_fits_is_left_and_nothing_is_overdrawn(
    wants: list[tuple[int, int]], plain: int, room: int
) -> None:
    names = [f"e{number}" for number in range(len(wants))]
    specs = [elastic(name, max(pair), min(pair)) for name, pair in zip(names, wants, strict=True)]
    specs += [deployment_spec("p", plain)] if plain else []
    plan = plan_with(fleet_with(*specs), azure_with(), surveyed(0, room))
    got = {name: wanted_of(plan, name) or 0 for name in [*names, "p"]}
    assert sum(got.values()) <= room
    assert got["p"] == (plain if plain <= room else 0)
    left = room - sum(got.values())
    for name, pair in zip(names, wants, strict=True):
        assert got[name] == 0 or min(pair) <= got[name] <= max(pair)
        assert got[name] == max(pair) or left < (min(pair) if not got[name] else 1)
        assert decided(plan, deployment_id(name)).acts == bool(got[name])


@pytest.mark.parametrize("sku", ["GlobalStandard", "GlobalProvisionedManaged"])
def test_a_second_look_at_what_was_written_is_quiet(sku: str) -> None:
    azure = azure_with()
    fleet = fleet_with(elastic("a", 100, 15, sku=sku))
    azure.apply(plan_with(fleet, azure, quotas({}, {GPT_4O: 48, PTU: 48})))
    used = 48 if sku == "GlobalStandard" else 45
    again = plan_with(fleet, azure, quotas({GPT_4O: used, PTU: used}, {GPT_4O: 48, PTU: 48}))
    assert again.converged
    assert again.steps == ()


def test_what_it_lacks_is_a_reason_to_purge_and_what_is_there_is_taken_meanwhile() -> None:
    azure = azure_with()
    owned: JsonObject = {"location": "Sweden Central", "kind": "OpenAI", "tags": {"reconciler-fleet": "prod"}}
    azure.deleted[account_id("gone")] = owned
    purge = PurgePolicy(when=PurgeWhen.BLOCKING, minimum_age=0.0)
    fleet = fleet_with(elastic("a", 300, 50), purge=purge)
    plan = plan_with(fleet, azure, surveyed(180, 300), taken_at=2_000_000_000.0)
    assert (wanted_of(plan, "a"), decided(plan, deployment_id("a")).short) == (120, 180)
    (sent,) = [step for step in plan.steps if step.verb is Verb.PURGE]
    assert sent.id == account_id("gone")
    low = plan_with(fleet, azure, surveyed(270, 300), taken_at=2_000_000_000.0)
    waits = decided(low, deployment_id("a"))
    assert (waits.state, waits.action) == (DecisionState.IN_PROGRESS, Action.CREATE)
    assert waits.reason.startswith("waits for the purge of DeletedAccount/gone, and for usages to show what that gives")
    assert waits.reason.endswith("asks at least 50 of gpt-4o GlobalStandard in swedencentral")
