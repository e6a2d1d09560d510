"""Purges that no document asks for: which account, what for, what it may free, what is said where none may."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.cli.consent import agree_to
from reconciler.model.lifecycle import Lifecycle
from reconciler.model.memory import Memory
from reconciler.model.moment import show_time
from reconciler.model.pause import Pause
from reconciler.model.plan import Action, Decision, DecisionState, Plan, Risk, Verb
from reconciler.model.quota import Holding, Quotas, Usage
from reconciler.model.resource import OWNER_TAG, Cap, DeletedAccount, Fleet, PurgePolicy, PurgeWhen, Snapshot
from reconciler.model.wire import JsonObject
from reconciler.plan import find_lingering, make_plan
from tests.plan.markets import GPT_4O, GPT_41, PTU, REGION, market, offer, pool_of, quotas, surveyed
from tests.support.builders import (
    EVERY_WORD,
    FILTERS,
    PlainAzure,
    account_id,
    account_spec,
    blind_to,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    fault_of,
    fleet_of,
    open_spec,
)

NOW = 1_760_000_000.0  # 2025-10-09T08:53:20Z
BLOCKING = PurgePolicy(when=PurgeWhen.BLOCKING)


def grave(name: str, hours: float = 5, owner: str | None = "prod", group: str = "rg-ai", **wire: Any) -> DeletedAccount:
    tags: JsonObject = {OWNER_TAG: owner} if owner else {}
    seconds = NOW - hours * 3600
    return DeletedAccount(
        id=account_id(name, group),
        location="Sweden Central",
        deleted_at=show_time(seconds),
        purge_after=show_time(seconds + 48 * 3600),
        wire={"location": "Sweden Central", "kind": "OpenAI", "tags": tags, **wire},
    )


def wanting(*deployments: Any, purge: PurgePolicy = BLOCKING, **policy: Any) -> Fleet:
    policy.setdefault("allow", EVERY_WORD)
    return fleet_of(declare_account("one", account_spec(deployments=[*deployments])), purge=purge, **policy)


def seen(
    *graves: DeletedAccount, quota: Quotas | None = None, azure: PlainAzure | None = None, **more: Any
) -> Snapshot:
    if azure is None:
        _, azure = converged(declare_account("one", account_spec(deployments=[])), allow=EVERY_WORD)
    deleted = {each.id: each for each in graves}
    return replace(azure.snapshot(quotas=quota or surveyed(100, 100), **more), taken_at=NOW, deleted=deleted)


def purges_of(plan: Plan) -> dict[str, Decision]:
    return {each.ref.name: each for each in plan.decisions if each.action is Action.PURGE}


def states_of(plan: Plan) -> dict[str, DecisionState]:
    return {name: each.state for name, each in purges_of(plan).items()}


FULL = deployment_spec("d", 50)


def test_the_account_that_was_deleted_first_is_purged_and_the_others_may_follow() -> None:
    plan = make_plan(wanting(FULL), seen(grave("b", 6), grave("a", 6), grave("c", 9), grave("young", 0.5)))
    assert states_of(plan) == {
        "c": DecisionState.ACT,
        "a": DecisionState.IN_PROGRESS,
        "b": DecisionState.IN_PROGRESS,
    }
    first = purges_of(plan)["c"]
    assert (first.risk, first.frees, first.location) == (Risk.DESTROYS, {GPT_4O: 100}, "Sweden Central")
    assert any("fine-tuned" in warning for warning in first.warnings)
    (step,) = plan.steps
    assert (step.id, step.deleted_at, step.awaits) == (
        account_id("c"),
        show_time(NOW - 9 * 3600),
        {GPT_4O.lower(): 100},
    )
    waiting = decided(plan, deployment_id("d", "one"))
    assert waiting.reason == (
        "waits for the purge of DeletedAccount/c, and for usages to show what that gives back: asks 50 of gpt-4o "
        "GlobalStandard in swedencentral"
    )
    assert pool_of(plan).short == 50


def test_what_may_follow_is_agreed_to_and_what_was_never_named_is_not() -> None:
    graves = [grave("a", 9), grave("b", 8)]
    first = make_plan(wanting(FULL), seen(*graves))
    later = make_plan(wanting(FULL), seen(grave("b", 8)))
    assert states_of(later) == {"b": DecisionState.ACT}
    assert agree_to(first).exceeded_by(later) == ()
    other = make_plan(wanting(FULL), seen(grave("c", 7)))
    assert [each.ref.name for each in agree_to(first).exceeded_by(other)] == ["c"]


def test_a_small_one_that_fits_now_does_not_take_what_one_before_it_waits_for() -> None:
    fleet = wanting(deployment_spec("a", 40), deployment_spec("b", 15))
    plan = make_plan(fleet, seen(grave("x"), quota=surveyed(85, 100)))
    assert decided(plan, deployment_id("a", "one")).state is DecisionState.IN_PROGRESS
    assert decided(plan, deployment_id("b", "one")).acts, "there is enough for both once all has come back"
    tight = make_plan(fleet, seen(grave("x"), quota=surveyed(85, 100, theirs(60))))
    assert decided(tight, deployment_id("a", "one")).state is DecisionState.IN_PROGRESS
    refused = decided(tight, deployment_id("b", "one"))
    assert refused.reason == (
        "asks 15 of gpt-4o GlobalStandard in swedencentral; 85 of 100 are used (0 by this fleet, 60 by others, up to "
        "25 by soft-deleted accounts), purges can free 25 at most, this plan gives back 0 and needs 40 elsewhere: 0 "
        "left for it"
    )


def theirs(units: int) -> Holding:
    return Holding(id=deployment_id("x", of="theirs"), offer=offer(), units=units)


def test_nothing_is_purged_where_all_that_can_come_back_is_too_little() -> None:
    plan = make_plan(wanting(FULL), seen(grave("a"), quota=surveyed(100, 100, theirs(51))))
    assert purges_of(plan) == {}
    assert decided(plan, deployment_id("d", "one")).code == "insufficient_quota"


def test_what_gives_back_comes_before_a_purge_which_expects_that() -> None:
    spec = [deployment_spec("big", 40), deployment_spec("d", 5)]
    _, azure = converged(declare_account("one", account_spec(deployments=spec)), allow=EVERY_WORD)
    fleet = wanting(deployment_spec("big", 30), deployment_spec("d", 60))
    plan = make_plan(fleet, seen(grave("a"), azure=azure))
    (purge,) = [step for step in plan.steps if step.id == account_id("a")]
    assert purge.after == ("Account/one/deployments/big#write-1",)
    assert purge.awaits == {GPT_4O.lower(): 90}


def test_whoever_waits_for_what_somebody_who_waits_gives_back_waits_too() -> None:
    swap = {"model": {"name": "gpt-4.1", "version": "2025-04-14"}}
    _, azure = converged(declare_account("one", account_spec(deployments=[FULL])), allow=EVERY_WORD)
    fleet = wanting(deployment_spec("d", 50, **swap), deployment_spec("e", 50))
    quota = replace(quotas({GPT_4O: 50, GPT_41: 60}, {GPT_4O: 50, GPT_41: 60}), surveyed=frozenset({REGION}))
    plan = make_plan(fleet, seen(grave("a"), azure=azure, quota=quota))
    assert purges_of(plan)["a"].frees == {GPT_41: 60}
    assert decided(plan, deployment_id("e", "one")).reason == (
        "waits for what others of this plan give back, who wait for a purge: asks 50 of gpt-4o GlobalStandard in "
        "swedencentral"
    )


def test_provisioned_units_are_said_to_be_billed() -> None:
    spec = deployment_spec("d", 50, sku={"name": "GlobalProvisionedManaged", "capacity": 50})
    quota = replace(quotas({PTU: 50}, {PTU: 50}), surveyed=frozenset({REGION}))
    plan = make_plan(wanting(spec), seen(grave("a"), quota=quota))
    assert "provisioned units of a soft-deleted account are billed until it is purged" in purges_of(plan)["a"].warnings


WAYS = [
    (PurgePolicy(), EVERY_WORD, ": set Fleet spec.purge to blocking, or reconciler purge a; or"),
    (
        PurgePolicy(),
        frozenset(),
        ": set Fleet spec.purge to blocking and add purge to spec.allow of the Fleet, or reconciler purge a; or",
    ),
    (BLOCKING, frozenset(), ": add purge to spec.allow of the Fleet, or reconciler purge a; or"),
    (
        replace(BLOCKING, minimum_age=24 * 3600.0),
        EVERY_WORD,
        ", by hand: reconciler purge a (it may be purged from 2025-10-10T03:53:20Z on (Fleet spec.purge.minimumAge)); ",
    ),
]


@pytest.mark.parametrize(("policy", "allow", "way"), WAYS)
def test_who_may_not_purge_is_told_how_it_would_be_permitted(
    policy: PurgePolicy, allow: frozenset[str], way: str
) -> None:
    plan = make_plan(wanting(FULL, purge=policy, allow=allow), seen(grave("a")))
    blocked = decided(plan, deployment_id("d", "one"))
    assert f"purge what is soft-deleted there (a), which frees 100 at most{way}" in blocked.permit
    assert purges_of(plan) == {}


def dateless(name: str) -> DeletedAccount:
    return replace(grave(name), deleted_at="yesterday")


SPARED = [
    (grave("a", owner="other"), "it was fleet other's"),
    (grave("a", owner=None), "it did not carry this fleet's tag, nor does Fleet spec.purge.names name it"),
    (dateless("a"), "Azure does not say when it was deleted"),
]


@pytest.mark.parametrize(("spared", "why"), SPARED)
def test_whom_the_policy_does_not_cover_stays_with_the_reason(spared: DeletedAccount, why: str) -> None:
    plan = make_plan(wanting(FULL), seen(spared))
    assert f", by hand: reconciler purge a ({why}); or" in decided(plan, deployment_id("d", "one")).permit
    assert plan.steps == ()


ADVICE = [
    ("a", [grave("theirs", 9, owner="other"), grave("nobodys", 8, owner=None), grave("a", 5)]),
    ("nobodys", [grave("theirs", 9, owner="other"), grave("nobodys", 8, owner=None)]),
    ("theirs", [grave("theirs", 9, owner="other")]),
]


@pytest.mark.parametrize(("name", "graves"), ADVICE)
def test_nobody_is_advised_to_purge_what_is_somebody_elses_before_what_is_ours(
    name: str, graves: list[DeletedAccount]
) -> None:
    never = wanting(FULL, purge=PurgePolicy(), allow=frozenset())
    advice = decided(make_plan(never, seen(*graves)), deployment_id("d", "one")).permit
    assert f"purge what is soft-deleted there ({name}), which frees 100 at most" in advice
    assert f"reconciler purge {name}" in advice
    assert advice.count("reconciler purge") == 1


def test_a_pattern_names_accounts_of_nobody_and_never_those_of_another_fleet() -> None:
    policy = replace(BLOCKING, names=("old-*",))
    graves = [grave("Old-1", owner=None), grave("old-2", owner="other"), grave("new", owner=None)]
    assert states_of(make_plan(wanting(FULL, purge=policy), seen(*graves))) == {"Old-1": DecisionState.ACT}


def test_what_a_document_names_and_what_cannot_have_deployments_is_no_candidate() -> None:
    fleet = fleet_of(
        declare_account("one", account_spec(deployments=[FULL])),
        declare_account("two", account_spec()),
        purge=BLOCKING,
        allow=EVERY_WORD,
        soft_deleted="restore",
    )
    plan = make_plan(fleet, seen(grave("two"), grave("speech", kind="SpeechServices"), grave("a")))
    assert states_of(plan) == {"a": DecisionState.ACT}
    alone = make_plan(fleet, seen(grave("two")))
    assert ", by hand: reconciler purge two (Account/two wants its name)" in (
        decided(alone, deployment_id("d", "one")).permit
    )


def test_accounts_of_one_name_are_told_apart_by_their_groups() -> None:
    plan = make_plan(wanting(FULL), seen(grave("a", 9), grave("a", 8, group="rg-b")))
    assert set(purges_of(plan)) == {"rg-ai/a", "rg-b/a"}


@pytest.mark.parametrize(
    "more",
    [
        {"blind": (blind_to(FILTERS),)},
        {"quota": replace(surveyed(100, 100), unseen={account_id("x"): fault_of()})},
    ],
)
def test_nothing_is_purged_for_quota_while_somebody_may_hold_it_unseen(more: dict[str, Any]) -> None:
    plan = make_plan(wanting(FULL), seen(grave("a"), **more))
    assert purges_of(plan) == {}
    said = ", which waits until all accounts can be read: AuthorizationFailed"
    assert said in decided(plan, deployment_id("d", "one")).permit


def test_before_it_is_known_who_else_holds_what_nothing_is_purged() -> None:
    plan = make_plan(wanting(FULL), seen(grave("a"), quota=quotas({GPT_4O: 100}, {GPT_4O: 100})))
    assert purges_of(plan) == {}
    assert ", which waits until it is known who else holds what" in decided(plan, deployment_id("d", "one")).permit


def test_what_this_run_has_purged_counts() -> None:
    gone = tuple(account_id(name) for name in ("x", "y"))
    graves = (grave("a", 9), grave("b", 8))
    plan = make_plan(wanting(FULL), seen(*graves), memory=Memory(purged=gone))
    assert states_of(plan) == {"a": DecisionState.ACT}
    plan = make_plan(wanting(FULL), seen(*graves), memory=Memory(purged=(*gone, account_id("z"))))
    assert purges_of(plan) == {}
    assert (
        "which frees 100 at most; no more than 3 are purged in one run: run it again, or raise spec.purge.most"
    ) in decided(plan, deployment_id("d", "one")).permit


def test_what_has_not_come_back_yet_is_waited_for_before_the_next_one_goes() -> None:
    waiting = Memory(purged=(account_id("x"),), returning={REGION: NOW + 1})
    plan = make_plan(wanting(FULL), seen(grave("a")), memory=waiting)
    assert states_of(plan) == {"a": DecisionState.IN_PROGRESS}
    assert decided(plan, deployment_id("d", "one")).reason.startswith(
        "waits for usages to show what was purged in swedencentral gives back: asks 50"
    )
    over = replace(waiting, returning={REGION: NOW})
    assert states_of(make_plan(wanting(FULL), seen(grave("a")), memory=over)) == {"a": DecisionState.ACT}


def counted(places: int) -> Quotas:
    quota = surveyed(100, 100)
    here = quota.markets[REGION]
    usages = {**here.usages, "accountcount": Usage(name="AccountCount", used=places, limit=200)}
    return replace(quota, markets={REGION: replace(here, usages=usages)})


def test_an_account_that_is_gone_and_still_counted_is_waited_for_only_so_long() -> None:
    known, one_more = seen(grave("a"), quota=counted(2)), seen(grave("a"), quota=counted(3))
    assert (find_lingering(known), find_lingering(one_more)) == (frozenset(), frozenset({REGION}))
    assert find_lingering(replace(known, quotas=None)) == frozenset()
    assert states_of(make_plan(wanting(FULL), known)) == {"a": DecisionState.ACT}
    assert states_of(make_plan(wanting(FULL), one_more)) == {"a": DecisionState.IN_PROGRESS}
    over = Memory(lingering={REGION: NOW})
    assert states_of(make_plan(wanting(FULL), one_more, memory=over)) == {"a": DecisionState.ACT}


def two_regions(most: int) -> tuple[Fleet, Snapshot]:
    west = deployment_spec("w", 50)
    fleet = fleet_of(
        declare_account("one", account_spec(deployments=[FULL])),
        declare_account("two", account_spec(location="westeurope", deployments=[west])),
        purge=replace(BLOCKING, most=most),
        allow=EVERY_WORD,
    )
    _, azure = converged(
        declare_account("one", account_spec(deployments=[])),
        declare_account("two", account_spec(location="westeurope", deployments=[])),
        allow=EVERY_WORD,
    )
    full = market({GPT_4O: 100}, {GPT_4O: 100})
    there = {replace(key, location="westeurope"): terms for key, terms in full.terms.items()}
    quota = Quotas(
        markets={REGION: full, "westeurope": replace(full, terms=there)}, surveyed=frozenset({REGION, "westeurope"})
    )
    west_grave = replace(grave("w", 9), location="westeurope")
    return fleet, seen(grave("s", 8), west_grave, quota=quota, azure=azure)


def test_each_region_has_a_purge_of_its_own_until_there_are_too_many() -> None:
    assert states_of(make_plan(*two_regions(2))) == {"s": DecisionState.ACT, "w": DecisionState.ACT}
    plan = make_plan(*two_regions(1))
    assert states_of(plan) == {"w": DecisionState.ACT}
    blocked = decided(plan, deployment_id("d", "one"))
    assert "no more than 1 are purged in one run: run it again, or raise spec.purge.most" in blocked.permit


def test_purges_for_quota_are_held_against_no_other_limit() -> None:
    fleet = wanting(FULL, deletes=Cap(count=0, percent=0))
    plan = make_plan(fleet, seen(grave("a")))
    assert plan.stopped == ""
    assert states_of(plan) == {"a": DecisionState.ACT}


def test_a_purge_for_a_name_frees_what_else_is_waited_for() -> None:
    fleet = fleet_of(
        declare_account("one", account_spec(deployments=[FULL])),
        declare_account("two", account_spec()),
        purge=BLOCKING,
        allow=EVERY_WORD,
    )
    plan = make_plan(fleet, seen(grave("two", 2), grave("a", 9)))
    assert states_of(plan) == {"two": DecisionState.ACT, "a": DecisionState.IN_PROGRESS}
    assert purges_of(plan)["a"].reason.startswith("only if what DeletedAccount/two gives back is not enough; ")
    (step,) = [each for each in plan.steps if each.id == account_id("two") and each.action is Action.PURGE]
    assert step.awaits == {GPT_4O.lower(): 100}


def test_a_name_is_purged_free_where_the_policy_covers_its_holder_and_else_stops_with_the_reason() -> None:
    fleet = fleet_of(declare_account("two"), purge=BLOCKING, allow=EVERY_WORD)
    plan = make_plan(fleet, seen(grave("two", 2)))
    assert [(step.verb.value, step.id.name) for step in plan.steps] == [("purge", "two"), ("put", "two")]
    young = make_plan(fleet, seen(grave("two", 0.5)))
    assert young.steps == ()
    assert decided(young, account_id("two")).reason.endswith(
        "; it may be purged from 2025-10-09T09:23:20Z on (Fleet spec.purge.minimumAge)"
    )
    never = make_plan(fleet_of(declare_account("two"), allow=EVERY_WORD), seen(grave("two", 2)))
    assert decided(never, account_id("two")).reason.endswith("Z")


def test_until_when_a_name_is_held_is_told_to_the_second() -> None:
    fleet = fleet_of(declare_account("two"), allow=EVERY_WORD)
    fine = replace(grave("two", 2), purge_after="2025-10-30T04:00:00.0000000Z")
    assert decided(make_plan(fleet, seen(fine)), account_id("two")).reason.endswith(" until 2025-10-30T04:00:00Z")
    odd = replace(fine, purge_after="soon")
    assert decided(make_plan(fleet, seen(odd)), account_id("two")).reason.endswith(" until soon")


def test_names_beyond_the_most_wait_for_the_next_run() -> None:
    fleet = fleet_of(
        declare_account("two"), declare_account("three"), purge=replace(BLOCKING, most=1), allow=EVERY_WORD
    )
    plan = make_plan(fleet, seen(grave("two", 9), grave("three", 2)))
    assert states_of(plan) == {"two": DecisionState.ACT, "three": DecisionState.BLOCKED}
    blocked = purges_of(plan)["three"]
    assert (blocked.code, blocked.reason, blocked.permit) == (
        "purge_most",
        "no more than 1 are purged in one run (Fleet spec.purge.most)",
        "run it again, or raise spec.purge.most",
    )
    assert decided(plan, account_id("three")).code == "needs"


def test_what_is_not_purged_after_all_takes_no_place_from_what_is() -> None:
    kept = Lifecycle(prevent_destroy=True)
    fleet = fleet_of(
        declare_account("two", lifecycle=kept),
        declare_account("three"),
        purge=replace(BLOCKING, most=1),
        allow=EVERY_WORD,
    )
    graves = (grave("two", 9), grave("three", 2))
    assert states_of(make_plan(fleet, seen(*graves))) == {"two": DecisionState.BLOCKED, "three": DecisionState.ACT}
    free = fleet_of(declare_account("two"), declare_account("three"), purge=replace(BLOCKING, most=1), allow=EVERY_WORD)
    chosen = make_plan(free, seen(*graves), frozenset({account_id("three")}))
    assert purges_of(chosen)["three"].acts


def taken(*graves: DeletedAccount, **policy: Any) -> Plan:
    fleet = fleet_of(declare_account("two", open_spec()), allow=EVERY_WORD, **policy)
    return make_plan(fleet, replace(seen(*graves), taken=frozenset({account_id("two")})))


def test_a_subdomain_is_purged_free_where_the_policy_covers_its_holder() -> None:
    holder = grave("holder", properties={"customSubDomainName": "ONE"})
    plan = taken(holder, purge=BLOCKING)
    assert [(step.verb.value, step.id.name) for step in plan.steps][:2] == [("purge", "holder"), ("put", "two")]
    assert purges_of(plan)["holder"].reason.startswith("holds the subdomain one, which Account/two wants until 2025")
    foreign = taken(replace(holder, wire={**holder.wire, "tags": {}}), purge=BLOCKING)
    assert decided(foreign, account_id("two")).reason.endswith(
        "; it did not carry this fleet's tag, nor does Fleet spec.purge.names name it"
    )
    assert decided(foreign, account_id("two")).permit == "purge or restore that account by hand, or wait"
    assert decided(taken(holder), account_id("two")).permit == "purge or restore that account, or wait"


def test_whoever_is_chosen_is_chosen_with_the_purge_for_its_subdomain() -> None:
    fleet = fleet_of(declare_account("two", open_spec()), purge=BLOCKING, allow=EVERY_WORD)
    holder = grave("holder", properties={"customSubDomainName": "ONE"})
    snapshot = replace(seen(holder), taken=frozenset({account_id("two")}))
    assert states_of(make_plan(fleet, snapshot, frozenset({account_id("two")}))) == {"holder": DecisionState.ACT}
    assert make_plan(fleet, snapshot, frozenset({account_id("one")})).steps == ()


def test_whoever_must_go_for_a_subdomain_goes_whatever_else_is_purged_in_its_region() -> None:
    fleet = fleet_of(
        declare_account("one", account_spec(deployments=[FULL])),
        declare_account("two", {**open_spec(), "customSubDomainName": "wanted"}),
        declare_account("three", account_spec()),
        purge=BLOCKING,
        allow=EVERY_WORD,
    )
    graves = [grave("three", 9), grave("holder", properties={"customSubDomainName": "wanted"}), grave("last", 2)]
    plan = make_plan(fleet, replace(seen(*graves), taken=frozenset({account_id("two")})))
    assert states_of(plan) == {
        "three": DecisionState.ACT,
        "holder": DecisionState.ACT,
        "last": DecisionState.IN_PROGRESS,
    }
    assert purges_of(plan)["last"].reason.startswith(
        "only if what DeletedAccount/three and DeletedAccount/holder give back is not enough; "
    )
    assert decided(plan, account_id("two")).acts
    assert decided(plan, deployment_id("d", "one")).reason.startswith(
        "waits for the purge of DeletedAccount/three and DeletedAccount/holder, and for usages to show what that gives"
    )


def test_always_purges_what_the_policy_covers_and_leaves_the_rest_to_the_next_run() -> None:
    policy = PurgePolicy(when=PurgeWhen.ALWAYS, most=1)
    fleet = fleet_of(declare_account("one", account_spec(deployments=[])), purge=policy, allow=EVERY_WORD)
    graves = (grave("a", 2), grave("b", 3), grave("theirs", owner=None), grave("one", 9))
    plan = make_plan(fleet, seen(*graves, quota=surveyed(0, 100)))
    assert [(step.verb.value, step.id.name) for step in plan.steps] == [("purge", "b")]
    assert purges_of(plan)["b"].reason == ("Fleet spec.purge is always; an account of fleet prod is purged for good")
    (left,) = [each for each in plan.decisions if each.ref.name == "a"]
    assert (left.state, left.reason) == (
        DecisionState.IGNORED,
        "no more than 1 are purged in one run (Fleet spec.purge.most)",
    )
    unpermitted = make_plan(replace(fleet, policy=replace(fleet.policy, allow=frozenset())), seen(*graves))
    assert purges_of(unpermitted)["b"].code == "purge_not_permitted"


@pytest.mark.parametrize(
    ("scope", "kept"),
    [
        ({}, True),
        ({"kind": "account"}, True),
        ({"target": "Account/a"}, True),
        ({"target": str(grave("a").id)}, True),
        ({"kind": "VirtualNetwork"}, False),
        ({"target": "Account/aa"}, False),
    ],
)
def test_a_pause_of_an_account_holds_for_what_is_left_of_it(scope: dict[str, Any], kept: bool) -> None:
    policy = PurgePolicy(when=PurgeWhen.ALWAYS)
    fleet = replace(fleet_of(purge=policy, allow=EVERY_WORD), pauses=(Pause(until=4e9, **scope),))
    purge = purges_of(make_plan(fleet, seen(grave("a"))))["a"]
    assert (purge.code == "paused") is kept
    assert purge.acts is not kept


def test_nothing_waits_for_the_purge_of_an_account_that_is_replaced() -> None:
    """Its deployments are deleted before it, and give back at once."""
    before, after = open_spec(deployments=[FULL]), {**open_spec(deployments=[FULL]), "customSubDomainName": "other"}
    _, azure = converged(declare_account("one", before), allow=EVERY_WORD)
    plan = make_plan(
        fleet_of(declare_account("one", after), allow=EVERY_WORD), seen(quota=surveyed(50, 50), azure=azure)
    )
    assert decided(plan, account_id("one")).action is Action.REPLACE
    assert decided(plan, deployment_id("d", "one")).acts
    (purge,) = [step for step in plan.steps if step.verb is Verb.PURGE]
    assert purge.awaits == {}


def test_a_purge_is_for_what_was_chosen_and_nothing_else() -> None:
    chosen = frozenset({account_id("one"), deployment_id("d", "one")})
    plan = make_plan(wanting(FULL), seen(grave("a")), chosen)
    assert states_of(plan) == {"a": DecisionState.ACT}
    others = make_plan(wanting(FULL), seen(grave("a")), frozenset({account_id("two")}))
    assert others.steps == ()
    always = wanting(purge=PurgePolicy(when=PurgeWhen.ALWAYS))
    (left,) = [each for each in make_plan(always, seen(grave("a")), chosen).decisions if each.ref.name == "a"]
    assert (left.state, left.code) == (DecisionState.IGNORED, "not_selected")
