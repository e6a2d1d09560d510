"""What documents want of quota: held against what Azure grants and what the plan leaves, told and never done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.parser import Exit
from reconciler.cli.verdict import judge_plans
from reconciler.kinds import quota
from reconciler.model.finding import Severity
from reconciler.model.ids import ArmId
from reconciler.model.lifecycle import Lifecycle, ManagePolicy
from reconciler.model.plan import Decision, DecisionState, FieldChange, Plan
from reconciler.model.quota import Quotas, Terms
from reconciler.model.resource import Fleet
from reconciler.model.wish import QuotaWish
from reconciler.plan import find_asked, find_regions, find_unexplained, find_watched, make_plan, select
from reconciler.report.words import tell_converged
from tests.plan.markets import GPT_4O, GPT_41, PTU, REGION, SOLD, market, offer, plan_with, pool_of, quotas, surveyed
from tests.support.builders import (
    DEPLOYMENTS,
    EVERY_WORD,
    SETTING,
    SUBSCRIPTION,
    PlainAzure,
    Spec,
    account_spec,
    converged,
    declare_account,
    deployment_spec,
    document,
    fault_of,
    fleet_of,
)

MANAGED = Lifecycle()
ACCOUNTS = "AccountCount"


def wishes(*pools: Spec, name: str = "sweden", lifecycle: Lifecycle = MANAGED) -> tuple[QuotaWish, ...]:
    expansion = quota.KIND.expand(document(quota.KIND, name, {"pools": [*pools]}, lifecycle, team="ai"), SETTING)
    errors = [each for each in expansion.findings if each.severity is Severity.ERROR]
    assert not errors, errors
    found = tuple(each for each in expansion.wishes if isinstance(each, QuotaWish))
    assert found == expansion.wishes
    return found


def by_usage(name: str = GPT_4O, **wanted: Any) -> Spec:
    return {"usage": name, **wanted}


def by_model(model: str = "gpt-4o", sku: str = "GlobalStandard", version: str = "", **wanted: Any) -> Spec:
    named = {"name": model, **({"version": version} if version else {})}
    return {"model": named, "sku": {"name": sku}, **wanted}


def watching(*pools: Spec, deployments: tuple[Spec, ...] = (), **more: Any) -> Fleet:
    account = declare_account("one", account_spec(deployments=[*deployments]))
    return replace(fleet_of(account, allow=EVERY_WORD), wishes=wishes(*pools, **more))


def azure_with(*deployments: Spec) -> PlainAzure:
    _, azure = converged(declare_account("one", account_spec(deployments=[*deployments])), allow=EVERY_WORD)
    return azure


def judged(quota: Quotas, *pools: Spec, **more: Any) -> Decision:
    """The one decision about a wish of a fleet that has nothing to do."""
    return told(plan_with(watching(*pools, **more), azure_with(), quota))


def told(plan: Plan) -> Decision:
    (found,) = [each for each in plan.decisions if each.told_only]
    return found


def usages(used: int, limit: int, name: str = GPT_4O) -> Quotas:
    """A region of which the usages alone are known."""
    return Quotas(usages={REGION: market({name: used}, {name: limit}).usages})


def standing(decision: Decision) -> tuple[DecisionState, str, str]:
    return decision.state, decision.code, decision.reason


def test_what_is_granted_and_left_as_wanted_is_in_sync() -> None:
    decision = judged(usages(380, 500), by_usage(limit=500, headroom="10%"))
    reason = "500 of at least 500 granted, 120 left, at least 50 wanted"
    assert standing(decision) == (DecisionState.IN_SYNC, "", reason)
    assert decision.changes == ()
    assert str(decision.ref) == f"Quota/sweden/{GPT_4O}"
    place = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/locations/{REGION}/usages/{GPT_4O}"
    assert decision.id == ArmId.parse(place)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"limit": 300}, "500 of at least 300 granted, 120 left"),
        ({"headroom": "50"}, "500 granted, 120 left, at least 50 wanted"),
        ({"headroom": "24%"}, "500 granted, 120 left, at least 120 wanted"),
    ],
)
def test_more_than_is_wanted_is_as_good(wanted: Spec, reason: str) -> None:
    assert standing(judged(usages(380, 500), by_usage(**wanted))) == (DecisionState.IN_SYNC, "", reason)


def test_a_lower_limit_than_declared_is_drift_with_what_to_do_about_it() -> None:
    decision = judged(usages(100, 300), by_usage(limit=500))
    reason = "Azure grants 300, 200 fewer than declared: ask Azure for 500, or declare 300"
    assert standing(decision) == (DecisionState.DRIFTED, "limit", reason)
    assert decision.changes == (FieldChange(path="limit", before=300, after=500),)


def test_a_pool_without_any_quota_is_drift_and_the_document_may_say_so() -> None:
    decision = judged(usages(0, 0), by_usage(limit=10))
    assert decision.reason == "Azure grants 0, 10 fewer than declared: ask Azure for 10, or remove the limit"


def test_headroom_that_is_not_there_is_told_with_the_arithmetic() -> None:
    decision = judged(usages(460, 500), by_usage(headroom="10%"))
    told_first = "460 of 500 are used: 40 left, 10 fewer than the headroom of 50"
    reason = f"{told_first}: free as much of this pool, or ask Azure for more"
    assert standing(decision) == (DecisionState.DRIFTED, "headroom", reason)
    assert decision.changes == (FieldChange(path="headroom", before=40, after=50),)


def test_both_at_once_are_told_in_one_decision_with_the_more_urgent_code() -> None:
    decision = judged(usages(290, 300), by_usage(limit=500, headroom="50"))
    assert decision.code == "headroom"
    assert [change.path for change in decision.changes] == ["headroom", "limit"]
    assert decision.reason.startswith("Azure grants 300, 200 fewer than declared")
    assert "; 290 of 300 are used: 10 left, 40 fewer than the headroom of 50" in decision.reason


def test_what_the_plan_takes_counts_against_the_headroom() -> None:
    fleet = watching(by_usage(headroom="50"), deployments=(deployment_spec("a", 30),))
    plan = plan_with(fleet, azure_with(), quotas({GPT_4O: 440}, {GPT_4O: 500}))
    decision = told(plan)
    assert standing(decision)[:2] == (DecisionState.DRIFTED, "headroom")
    assert decision.reason.startswith(
        "440 of 500 are used, this plan takes 30: 30 left, 20 fewer than the headroom of 50"
    )
    assert [step.id.name for step in plan.steps] == ["a"]


def test_what_the_plan_gives_back_counts_too() -> None:
    fleet = watching(by_usage(headroom="50"), deployments=(deployment_spec("a", 10), deployment_spec("b", 5)))
    azure = azure_with(deployment_spec("a", 40))
    decision = told(plan_with(fleet, azure, quotas({GPT_4O: 475}, {GPT_4O: 500})))
    reason = "500 granted, 50 left when this plan is done, at least 50 wanted"
    assert standing(decision) == (DecisionState.IN_SYNC, "", reason)
    azure = azure_with(deployment_spec("a", 20))
    decision = told(plan_with(fleet, azure, quotas({GPT_4O: 475}, {GPT_4O: 500})))
    assert "this plan takes 5 and gives back 10: 30 left" in decision.reason
    azure = azure_with(deployment_spec("a", 20), deployment_spec("b", 5))
    decision = told(plan_with(fleet, azure, quotas({GPT_4O: 475}, {GPT_4O: 500})))
    assert "this plan gives back 10: 35 left" in decision.reason


def test_what_does_not_fit_is_not_taken_and_not_counted() -> None:
    fleet = watching(by_usage(headroom="1"), deployments=(deployment_spec("a", 30),))
    plan = plan_with(fleet, azure_with(), quotas({GPT_4O: 490}, {GPT_4O: 500}))
    assert plan.steps == ()
    assert told(plan).reason == "500 granted, 10 left, at least 1 wanted"


def test_a_usage_is_named_in_any_case() -> None:
    decision = judged(usages(1, 10), by_usage(GPT_4O.upper(), limit=10))
    assert decision.state is DecisionState.IN_SYNC


def test_a_usage_that_no_model_draws_on_is_watched_as_well() -> None:
    decision = judged(usages(28, 30, ACCOUNTS), by_usage(ACCOUNTS, headroom="5"))
    assert standing(decision)[:2] == (DecisionState.DRIFTED, "headroom")


def test_a_usage_that_the_region_does_not_have_is_told_with_close_names() -> None:
    decision = judged(usages(1, 10), by_usage("OpenAI.GlobalStandard.gpt4o", limit=10))
    reason = f"swedencentral has no usage OpenAI.GlobalStandard.gpt4o; close to it: {GPT_4O}"
    assert standing(decision) == (DecisionState.BLOCKED, "unknown_usage", reason)
    assert decision.permit == "write a usage as `reconciler quota -v` lists it for the region"
    assert judged(usages(1, 10), by_usage("x", limit=10)).reason == "swedencentral has no usage x"


def test_usages_that_could_not_be_read_are_unknown_and_not_nothing() -> None:
    decision = judged(Quotas(unread={REGION: fault_of()}), by_usage(limit=10))
    reason = "the usages of swedencentral could not be read, so nothing is known about it: AuthorizationFailed"
    assert standing(decision) == (DecisionState.BLOCKED, "unknown", reason)
    assert decision.permit
    unasked = told(make_plan(watching(by_usage(limit=10)), azure_with().snapshot()))
    assert standing(unasked) == (DecisionState.BLOCKED, "unknown", reason.partition(":")[0])


def test_a_pool_is_found_by_the_model_and_type_that_draw_on_it() -> None:
    known = quotas({GPT_41: 10}, {GPT_4O: 50, GPT_41: 90})
    decision = judged(known, by_model("gpt-4.1", version="2025-04-14", limit=90))
    assert decision.reason == "90 of at least 90 granted, 80 left"
    assert str(decision.ref) == "Quota/sweden/gpt-4.1 2025-04-14 GlobalStandard"
    assert str(decision.id).endswith("/models/OpenAI.gpt-4.1.2025-04-14/usages/GlobalStandard")
    # No default version is listed, but all of them draw on one pool.
    assert judged(known, by_model("GPT-4.1", limit=90)).reason == decision.reason


@pytest.mark.parametrize(
    ("pool", "reason", "permit"),
    [
        (
            by_model("gpt4o", limit=1),
            "swedencentral sells no model gpt4o; close to it: gpt-4o, gpt-4.1",
            "that the region sells",
        ),
        (by_model("zzz", limit=1), "swedencentral sells no model zzz", "that the region sells"),
        (
            by_model(sku="DataZoneStandard", limit=1),
            "swedencentral sells gpt-4o as GlobalStandard, GlobalProvisionedManaged, not as DataZoneStandard",
            "write one of those types",
        ),
    ],
)
def test_what_the_region_does_not_sell_is_told_with_what_it_does(pool: Spec, reason: str, permit: str) -> None:
    decision = judged(quotas({}, {GPT_4O: 5}), pool)
    assert standing(decision) == (DecisionState.BLOCKED, "not_sold", reason)
    assert permit in decision.permit


def test_a_version_with_a_pool_of_its_own_has_to_be_one_that_is_sold() -> None:
    sold = {offer(version="a"): Terms(usage="A"), offer(version="b"): Terms(usage="B")}
    known = Quotas(markets={REGION: market({}, {"A": 1, "B": 2}, sold)})
    assert judged(known, by_model(version="b", limit=2)).state is DecisionState.IN_SYNC
    decision = judged(known, by_model(version="c", limit=2))
    assert decision.reason == "swedencentral sells gpt-4o as GlobalStandard in versions a, b"
    assert decision.permit == "write one of those versions"


def test_a_pool_that_only_one_of_azures_lists_knows_is_told() -> None:
    decision = judged(quotas({}, {GPT_41: 5}), by_model(limit=1))
    assert standing(decision) == (
        DecisionState.BLOCKED,
        "unknown_usage",
        f"swedencentral says that it draws on {GPT_4O}, which is none of the region's usages",
    )


def test_tokens_are_turned_into_units_by_the_regions_rate_and_rounded_up() -> None:
    known = quotas({GPT_4O: 440}, {GPT_4O: 500})
    for pool in (by_usage(tpm="500k", headroomTpm="59.1k"), by_model(tpm="500k", headroomTpm="59.1k")):
        decision = judged(known, pool)
        assert decision.reason == "500 of at least 500 granted, 60 left, at least 60 wanted"


def test_tokens_of_a_pool_with_several_rates_are_not_guessed() -> None:
    sold = {**SOLD, offer("o1", "1"): Terms(usage=GPT_4O, tokens=6000)}
    known = Quotas(markets={REGION: market({}, {GPT_4O: 500}, sold)})
    decision = judged(known, by_usage(tpm="500k"))
    reason = f"a unit of {GPT_4O} is worth 1,000 or 6,000 tokens per minute, which depends on the model"
    assert standing(decision) == (DecisionState.BLOCKED, "unrated", reason)
    assert judged(known, by_model("o1", version="1", tpm="3M")).reason == "500 of at least 500 granted, 500 left"


def test_tokens_of_a_pool_without_a_rate_are_not_guessed() -> None:
    known = quotas({}, {PTU: 500, ACCOUNTS: 3})
    for pool in (by_usage(PTU, headroomTpm="5k"), by_usage(ACCOUNTS, tpm="5k")):
        decision = judged(known, pool)
        assert (decision.state, decision.code) == (DecisionState.BLOCKED, "unrated")
        assert decision.reason.endswith(
            "does not say what a unit of " + pool["usage"] + " is worth in tokens per minute"
        )
    assert judged(usages(0, 1), by_usage(tpm="5k")).code == "unrated"


def test_a_detached_document_is_not_asked_about_and_says_so() -> None:
    fleet = watching(by_usage(limit=5), lifecycle=Lifecycle(policy=ManagePolicy.DETACH))
    assert find_watched(fleet, None) == (frozenset(), frozenset())
    decision = told(make_plan(fleet, azure_with().snapshot()))
    assert standing(decision) == (DecisionState.IGNORED, "", "detached: its document says lifecycle.policy: detach")


def test_an_observed_document_is_judged_like_any_other() -> None:
    decision = judged(usages(1, 3), by_usage(limit=5), lifecycle=Lifecycle(policy=ManagePolicy.OBSERVE))
    assert decision.code == "limit"


def test_only_what_is_selected_is_asked_about_and_judged() -> None:
    fleet = watching(by_usage(limit=5), by_usage(GPT_41, limit=5))
    (other,) = select([fleet], [f"Quota/sweden/{GPT_41}"], {})
    assert find_watched(fleet, frozenset({other})) == (frozenset(), frozenset({REGION}))
    plan = make_plan(fleet, azure_with().snapshot(quotas=usages(1, 3)), frozenset({other}))
    first, second = (each for each in plan.decisions if each.told_only)
    assert standing(first) == (DecisionState.IGNORED, "not_selected", "not selected")
    assert second.code == "unknown_usage"
    assert select([fleet], ["Quota/sweden"], {"team": "ai"}) == {first.id, second.id}
    account = select([fleet], ["Account/one"], {})
    assert find_watched(fleet, account) == (frozenset(), frozenset())


def test_the_model_list_is_asked_for_only_where_a_document_needs_it() -> None:
    assert find_watched(watching(by_usage(limit=5, headroom="5%")), None) == (frozenset(), frozenset({REGION}))
    for pool in (by_usage(tpm="5k"), by_usage(headroomTpm="5k"), by_model(limit=5)):
        assert find_watched(watching(by_usage(limit=1), pool), None) == (frozenset({REGION}), frozenset())


def test_the_quota_of_a_region_that_a_document_speaks_of_is_told_by_the_quota_command() -> None:
    fleet = fleet_of()
    assert find_regions(fleet, PlainAzure().snapshot()) == frozenset()
    fleet = replace(fleet, wishes=wishes(by_usage(limit=1)))
    assert find_regions(fleet, PlainAzure().snapshot()) == {REGION}


def test_the_ledger_says_the_most_that_anybody_wants_of_a_pool() -> None:
    fleet = watching(by_usage(limit=500), by_model(limit=400, headroom="10%"), by_usage(ACCOUNTS, limit=3))
    plan = plan_with(fleet, azure_with(), quotas({}, {GPT_4O: 300, GPT_41: 5, ACCOUNTS: 3}))
    assert (pool_of(plan).declared, pool_of(plan).headroom, pool_of(plan).touched) == (500, 30, True)
    assert (pool_of(plan, GPT_41).declared, pool_of(plan, GPT_41).touched) == (0, False)


def test_what_is_only_told_blocks_nothing_and_is_no_part_of_what_is_agreed_to() -> None:
    fleet = watching(by_usage(limit=900, headroom="900"), deployments=(deployment_spec("a", 5),))
    before = plan_with(fleet, azure_with(), quotas({GPT_4O: 20}, {GPT_4O: 500}))
    after = plan_with(fleet, azure_with(), quotas({GPT_4O: 30}, {GPT_4O: 400}))
    assert told(before).reason != told(after).reason
    assert before.digest == after.digest
    assert [step.name for step in after.steps] == [step.name for step in before.steps]
    assert judge_plans([after]) is Exit.CHANGES


@pytest.mark.parametrize(
    ("quota", "code"),
    [(usages(1, 500), Exit.OK), (usages(1, 3), Exit.OK), (Quotas(unread={REGION: fault_of()}), Exit.BLOCKED)],
)
def test_drift_of_quota_is_no_reason_to_fail_and_an_unknown_one_is(quota: Quotas, code: Exit) -> None:
    plan = plan_with(watching(by_usage(limit=5)), azure_with(), quota)
    assert judge_plans([plan]) is code
    assert plan.converged is (code is Exit.OK)


def test_the_last_word_on_drift_of_quota_is_that_it_is_azures_to_grant() -> None:
    plan = plan_with(watching(by_usage(limit=5)), azure_with(), usages(1, 3))
    assert tell_converged(plan) == "what differs is Azure's to grant"


def test_nobody_is_asked_who_changed_a_limit() -> None:
    azure = azure_with()
    plan = plan_with(watching(by_usage(limit=5)), azure, usages(1, 3))
    assert find_unexplained(plan.decisions, azure.snapshot()) == frozenset()
    assert find_asked(plan, fleet_of(), azure.snapshot()) == frozenset()


UNITS = st.integers(0, 60)
HELD = st.dictionaries(st.sampled_from("abc"), st.integers(1, 60))
SHARES = st.integers(0, 300).map(str) | st.integers(1, 100).map(lambda number: f"{number}%")


@settings(max_examples=150, deadline=None)
@given(before=HELD, after=HELD, room=st.tuples(UNITS, UNITS), limit=st.integers(1, 300), headroom=SHARES)
def test_a_verdict_is_what_the_numbers_say_and_changes_nothing_of_what_is_done(
    before: dict[str, int], after: dict[str, int], room: tuple[int, int], limit: int, headroom: str
) -> None:
    others, spare = room
    azure = azure_with(*(deployment_spec(name, units) for name, units in before.items()))
    used = sum(before.values()) + others
    granted = used + spare
    if not headroom.endswith("%") and int(headroom) > limit:
        headroom = "0"
    said: Spec = {"limit": limit, **({} if headroom == "0" else {"headroom": headroom})}
    deployments = tuple(deployment_spec(name, units) for name, units in after.items())
    fleet = watching(by_usage(**said), deployments=deployments)
    fleet = replace(fleet, policy=replace(fleet.policy, prune=frozenset({DEPLOYMENTS.lower()})))
    plan, silent = (plan_with(each, azure, surveyed(used, granted)) for each in (fleet, replace(fleet, wishes=())))
    assert (plan.digest, plan.steps, plan.stopped) == (silent.digest, silent.steps, silent.stopped)
    blocked = {each.id.name for each in plan.decisions if each.state is DecisionState.BLOCKED}
    moved = {name: after.get(name, 0) for name in {*before, *after} - blocked}
    left = granted - others - sum({**before, **moved}.values())
    least = -(-granted * int(headroom[:-1]) // 100) if headroom.endswith("%") else int(headroom)
    low, thin = granted < limit, left < least
    code = "headroom" if thin else "limit" if low else ""
    decision = told(plan)
    assert (decision.state is DecisionState.DRIFTED, decision.code) == (bool(code), code), decision.reason
    changes = {change.path: (change.before, change.after) for change in decision.changes}
    assert changes == {**({"headroom": (left, least)} if thin else {}), **({"limit": (granted, limit)} if low else {})}
