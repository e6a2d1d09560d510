"""Which alerts begin, change and end: one for what is so, one digest for many, and none for what only flickers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from reconciler.desired.fleet import load_estate
from reconciler.model.alert import BLANK, Alert, Journal, Level, Turn
from reconciler.model.drift import Correction, Drift, Edit, Ending, Gravity, name_drift
from reconciler.model.finding import Fault, FaultClass, Finding, Origin, Severity
from reconciler.model.ids import Ref
from reconciler.model.outcome import CycleReport, Outcome, Pass, Result
from reconciler.model.outlook import Nearness, Outlook, Retirement
from reconciler.model.plan import Action, Decision, DecisionState
from reconciler.model.quota import Offer
from reconciler.model.spread import Share, Spread
from reconciler.report.alerts import FORGOTTEN, Message, Storm, turn_alerts
from reconciler.report.conditions import Finds, find_conditions, find_invalid
from reconciler.report.sight import find_fleets
from tests.report.test_drift import MALLORY, decide, differing, outcome, plan_of
from tests.support.builders import account_id, deployment_id

NOW = 1_760_000_000.0
STORM = Storm()


def drift_of(name: str = "one", **more: Any) -> Drift:
    written: dict[str, Any] = {
        "key": name_drift("prod", account_id(name)),
        "fleet": "prod",
        "id": account_id(name),
        "ref": Ref(kind="Account", name=name),
        "labels": {"tier": "prod", "fleet": "not ours"},
        "gravity": Gravity.EXPOSURE,
        "changes": (Edit(path="publicNetworkAccess", before="Disabled", after="Enabled"),),
        "first_seen": NOW,
        "last_seen": NOW,
    }
    return Drift(**{**written, **more})


def drifting(*drifts: Drift, **more: Any) -> Journal:
    return Journal(drifts={each.key: each for each in drifts}, **more)


def turn(journal: Journal, now: float = NOW, storm: Storm = STORM, **plan: Any) -> tuple[Journal, tuple[Message, ...]]:
    return turn_alerts(journal, find_conditions(journal, plan_of(**plan)), now, storm)


def told(messages: tuple[Message, ...]) -> list[tuple[Turn, str]]:
    return [(each.turn, each.alert.name) for each in messages]


def with_drifts(journal: Journal, *drifts: Drift) -> Journal:
    return replace(journal, drifts={each.key: each for each in drifts})


def ended(drift: Drift, ending: Ending = Ending.US, at: float = NOW + 60) -> Drift:
    return replace(drift, ending=ending, ended=at)


def test_a_drift_opens_one_alert_that_says_everything() -> None:
    drift = drift_of(actor=MALLORY, since="2025-10-09T08:50:00.0134003Z", returns=1)
    journal, (message,) = turn(drifting(drift))
    alert = message.alert
    assert message.turn is Turn.OPENED
    assert (alert.name, alert.level) == ("ReconcilerDrift", Level.CRITICAL)
    assert alert.labels == {
        "fleet": "prod",
        "kind": "Account",
        "resource": "one",
        "gravity": "exposure",
        "tier": "prod",
    }
    assert alert.summary == "Account/one: publicNetworkAccess is Enabled, declared Disabled"
    assert alert.description.split("\n") == [
        "Exposure: more can get in than declared.",
        f"By: {MALLORY} at 2025-10-09T08:50:00Z.",
        "- publicNetworkAccess: declared Disabled, found Enabled",
        "It came back 1 time.",
        f"Where: {drift.id}",
        "It is being put right.",
    ]
    assert alert.details["changes"] == [{"path": "publicNetworkAccess", "declared": "Disabled", "found": "Enabled"}]
    again, messages = turn(journal, NOW + 60)
    assert messages == ()
    assert again.alerts == journal.alerts


@pytest.mark.parametrize(
    ("more", "amends"),
    [
        ({"actor": MALLORY}, True),
        ({"gravity": Gravity.COSMETIC}, True),
        ({"correction": Correction.BLOCKED, "because": "paused"}, True),
        ({"returns": 1}, True),
        ({"changes": (Edit(path="tags.a", before="1", after="2"),)}, True),
        ({"last_seen": NOW + 60}, False),
        ({"correction": Correction.DONE}, False),
        ({"because": "in a moment"}, False),
    ],
)
def test_what_changes_about_it_amends_it_where_people_want_to_know(more: dict[str, Any], amends: bool) -> None:
    journal, _ = turn(drifting(drift_of()))
    journal, messages = turn(with_drifts(journal, drift_of(**more)), NOW + 60)
    assert told(messages) == ([(Turn.AMENDED, "ReconcilerDrift")] if amends else [])
    for message in messages:
        assert message.alert.revision == 2
        assert message.alert.level is Level.CRITICAL  # what was urgent stays urgent until it is over


@pytest.mark.parametrize("ending", list(Ending))
def test_it_ends_once_and_says_how(ending: Ending) -> None:
    journal, _ = turn(drifting(drift_of()))
    journal = replace(journal, drifts={}, past=(ended(drift_of(), ending),))
    journal, (message,) = turn(journal, NOW + 90)
    assert message.turn is Turn.RESOLVED
    words = ending.value[0].upper() + ending.value[1:]
    assert message.alert.description.startswith(f"{words} after 1 min 30 s.\nExposure: ")
    assert "It is being put right" not in message.alert.description
    assert (message.alert.ended, message.alert.revision) == (NOW + 90, 2)
    journal, messages = turn(journal, NOW + 150)
    assert messages == ()
    journal, _ = turn(journal, NOW + 90 + FORGOTTEN)
    assert journal.alerts == {}


def test_who_it_was_is_told_when_it_is_over_too_and_once() -> None:
    journal, _ = turn(drifting(drift_of()))
    journal, _ = turn(replace(journal, drifts={}, past=(ended(drift_of()),)), NOW + 60)
    journal = replace(journal, past=(ended(drift_of(actor=MALLORY)),))
    journal, (message,) = turn(journal, NOW + 300)
    assert message.turn is Turn.AMENDED
    assert message.alert.ended == NOW + 60
    assert message.alert.summary.endswith(f"(by {MALLORY})")
    assert f"\nBy: {MALLORY}.\n" in message.alert.description
    assert "unknown yet" not in message.alert.description
    assert message.alert.details["actor"] == MALLORY
    assert turn(journal, NOW + 360)[1] == ()


def test_what_is_gone_with_what_it_lay_in_has_no_alert_of_its_own() -> None:
    parent = drift_of(gone=True, changes=(), gravity=Gravity.CAPACITY)
    child = drift_of("chat", gone=True, changes=(), within=parent.key)
    _, (message,) = turn(drifting(parent, child))
    assert message.alert.summary == "Account/one: does not exist any more"
    assert "With it went 1 resource below it." in message.alert.description


def test_a_lost_owner_and_several_fields_are_told_on_one_line() -> None:
    edits = tuple(Edit(path=f"tags.t{n}", before="a", after=None) for n in range(3))
    _, (message,) = turn(drifting(drift_of(changes=edits, omitted=2)))
    assert message.alert.summary == "Account/one: tags.t0 is none, declared a (and 4 more fields)"
    assert "- and 2 more fields" in message.alert.description
    _, (message,) = turn(drifting(drift_of(changes=())))
    assert message.alert.summary == "Account/one: is not this fleet's any more"


def test_a_fight_is_an_alert_besides() -> None:
    fought = drift_of(correction=Correction.GIVEN_UP, because="x undid it 3 times", actor=MALLORY)
    journal, messages = turn(drifting(fought))
    assert told(messages) == [(Turn.OPENED, "ReconcilerDrift"), (Turn.OPENED, "ReconcilerFight")]
    assert messages[1].alert.summary == f"Account/one: {MALLORY} undoes each time what its document says"
    assert "It is not put right any more: x undid it 3 times." in messages[1].alert.description
    journal, messages = turn(with_drifts(journal, replace(fought, correction=Correction.DUE)), NOW + 60)
    assert (Turn.RESOLVED, "ReconcilerFight") in told(messages)


# -- storms


def many(number: int, **more: Any) -> tuple[Drift, ...]:
    return tuple(drift_of(f"a{n:02}", **more) for n in range(number))


@pytest.mark.parametrize(("number", "alerts"), [(10, 10), (11, 1), (50, 1)])
def test_more_than_ten_at_once_are_one(number: int, alerts: int) -> None:
    _, messages = turn(drifting(*many(number)))
    assert len(messages) == alerts


def test_a_digest_has_the_worst_level_and_lists_the_worst_first() -> None:
    drifts = [*many(12, gravity=Gravity.COSMETIC), drift_of("zz")]
    _, (message,) = turn(drifting(*drifts))
    alert = message.alert
    assert alert.level is Level.CRITICAL
    assert alert.summary == "fleet prod: 13 resources are not as declared"
    assert alert.description.startswith("- critical: Account/zz: ")
    assert len(alert.members) == 13


def test_a_digest_ends_when_the_last_of_it_is_over() -> None:
    drifts = many(12)
    journal, _ = turn(drifting(*drifts))
    past = tuple(ended(each) for each in drifts[:-1])
    journal, messages = turn(replace(journal, drifts={drifts[-1].key: drifts[-1]}, past=past), NOW + 60)
    assert messages == ()
    past = (*past, ended(drifts[-1], Ending.DOCUMENT))
    journal, (message,) = turn(replace(journal, drifts={}, past=past), NOW + 120)
    assert message.turn is Turn.RESOLVED
    assert message.alert.description.startswith(
        "All 12 are over: 1 its document changed and 11 put right by us, after 2 min."
    )


def test_what_comes_back_while_the_rest_of_a_storm_goes_on_is_told() -> None:
    """One that is never put right keeps its digest open for days."""
    first, *others = many(12)
    journal, _ = turn(drifting(first, *others))
    past = tuple(ended(each) for each in others)
    journal, messages = turn(replace(journal, drifts={first.key: first}, past=past), NOW + 60)
    assert messages == ()
    journal, (message,) = turn(with_drifts(journal, first, replace(others[0], returns=1)), NOW + 3600)
    assert (message.turn, message.alert.key) == (Turn.OPENED, others[0].key)
    journal, (message,) = turn(with_drifts(journal, first), NOW + 3660)
    assert (message.turn, message.alert.key) == (Turn.RESOLVED, others[0].key)
    journal, (message,) = turn(with_drifts(journal), NOW + 3720)
    assert (message.turn, len(message.alert.members)) == (Turn.RESOLVED, 12)


def test_what_comes_back_soon_joins_its_storm_again_and_is_waited_for() -> None:
    drifts = many(12)
    journal, _ = turn(drifting(*drifts))
    journal, _ = turn(with_drifts(journal, *drifts[1:]), NOW + 60)
    journal, (message,) = turn(with_drifts(journal, *drifts[:2]), NOW + 120)
    assert (message.turn, len(message.alert.members)) == (Turn.AMENDED, 12)
    assert message.alert.summary == "fleet prod: 2 of 12 resources are not as declared"
    assert turn(journal, NOW + 180)[1] == ()
    assert [each.turn for each in turn(with_drifts(journal), NOW + 180)[1]] == [Turn.RESOLVED]


def test_every_one_of_a_storm_that_turns_critical_is_told() -> None:
    one, two, *others = many(12, gravity=Gravity.COSMETIC)
    journal, _ = turn(drifting(one, two, *others))
    opened = [replace(each, gravity=Gravity.EXPOSURE) for each in (one, two)]
    journal, (message,) = turn(with_drifts(journal, opened[0], two, *others), NOW + 10)
    assert (message.turn, message.alert.level) == (Turn.AMENDED, Level.CRITICAL)
    journal, (message,) = turn(with_drifts(journal, *opened, *others), NOW + 20)
    assert (message.turn, message.alert.level) == (Turn.AMENDED, Level.CRITICAL)
    assert turn(journal, NOW + 30)[1] == ()


@pytest.mark.parametrize("gone", [False, True])
def test_a_storm_of_thousands_is_looked_through_once(gone: bool) -> None:
    """Measured in seconds of the processor: 0.2 for each where nothing is looked for among all others."""
    ids = [account_id(f"a{number}") for number in range(5000)]
    journal = drifting(*(drift_of(id.name, gone=gone) for id in ids))
    outcomes = tuple(outcome(id) for id in ids)
    report = CycleReport(plan=plan_of(*map(differing, ids)), outcomes=outcomes, began=NOW, ended=NOW)
    began = process_time()
    finds = find_conditions(journal, report.plan, report)
    assert process_time() - began < 1.2
    assert (len(finds.conditions), finds.unseen) == (5000, frozenset())


def test_what_follows_a_storm_joins_it_for_a_while() -> None:
    drifts = many(12)
    journal, _ = turn(drifting(*drifts))
    journal, (message,) = turn(with_drifts(journal, *drifts, drift_of("late")), NOW + 60)
    assert (message.turn, len(message.alert.members)) == (Turn.AMENDED, 13)
    journal, (message,) = turn(with_drifts(journal, *drifts, drift_of("late"), drift_of("later")), NOW + 1000)
    assert (message.turn, message.alert.members) == (Turn.OPENED, ())


def test_a_storm_of_whose_author_more_is_known_says_so() -> None:
    journal, _ = turn(drifting(*many(12)))
    journal, (message,) = turn(with_drifts(journal, *many(12, actor=MALLORY)), NOW + 120)
    assert message.turn is Turn.AMENDED
    assert message.alert.summary.endswith(f", by {MALLORY}")
    assert turn(journal, NOW + 180)[1] == ()


def test_a_storm_that_is_over_says_whose_it_was_as_soon_as_that_is_known() -> None:
    drifts = many(12)
    journal, _ = turn(drifting(*drifts))
    journal, _ = turn(replace(journal, drifts={}, past=tuple(ended(each) for each in drifts)), NOW + 60)
    known = tuple(ended(replace(each, actor=MALLORY)) for each in drifts)
    _, (message,) = turn(replace(journal, past=known), NOW + 120)
    assert (message.turn, message.alert.actors) == (Turn.AMENDED, (MALLORY,))


# -- what else is wrong


BLOCKED = decide(
    state=DecisionState.BLOCKED, code="prevent_destroy", reason="must not be destroyed", permit="change it"
)


def lasting(*decisions: Any, seconds: float = 121.0, **plan: Any) -> tuple[Journal, tuple[Message, ...]]:
    journal, messages = turn_alerts(BLANK, find_conditions(BLANK, plan_of(*decisions, **plan)), NOW, STORM)
    assert messages == ()
    return turn_alerts(journal, find_conditions(journal, plan_of(*decisions, **plan)), NOW + seconds, STORM)


def test_what_is_blocked_for_two_minutes_is_told() -> None:
    journal, (message,) = lasting(BLOCKED)
    alert = message.alert
    assert (alert.name, alert.level) == ("ReconcilerBlocked", Level.WARNING)
    assert alert.labels == {"fleet": "prod", "kind": "Account", "resource": "one", "code": "prevent_destroy"}
    assert alert.summary == "Account/one: blocked: must not be destroyed"
    assert alert.description == "must not be destroyed\nWhat helps: change it"
    _, messages = turn_alerts(journal, find_conditions(journal, plan_of(decide())), NOW + 180, STORM)
    assert told(messages) == [(Turn.RESOLVED, "ReconcilerBlocked")]


def test_what_fails_again_and_again_is_told_once_and_goes_by_one_name() -> None:
    """Between two tries it is held back, and how often it failed is counted: that is no other message."""
    fault = Fault(cls=FaultClass.FORBIDDEN, code="RequestDisallowedByPolicy", message="no", advice="comply")
    journal, messages = BLANK, list[Message]()
    for number in range(40):
        tries = "once" if number < 20 else f"{number} times"
        reason = f"failed {tries}: RequestDisallowedByPolicy: no; tried again at 2025-10-28T14:15:{number:02}Z"
        held = decide(state=DecisionState.BLOCKED, code="held", reason=reason, permit="comply")
        failed = report_of(outcome(result=Result.BLOCKED, fault=fault))
        finds = find_conditions(journal, plan_of(held))
        if number % 20 == 0:
            finds = find_conditions(journal, failed.plan, failed)
        journal, told_ = turn_alerts(journal, finds, NOW + number * 60, STORM)
        messages += told_
    (message,) = messages
    assert message.alert.labels["code"] == "failed"
    assert message.alert.summary == "Account/one: failed: RequestDisallowedByPolicy: no"
    assert message.alert.description.startswith(
        "failed once: RequestDisallowedByPolicy: no; tried again at 2025-10-28T"
    )


def test_once_it_is_over_nobody_is_told_any_more_what_would_help() -> None:
    journal, _ = lasting(BLOCKED)
    _, (message,) = turn_alerts(journal, find_conditions(journal, plan_of(decide())), NOW + 180, STORM)
    assert message.alert.description == "This is not so any more after 59 s.\nmust not be destroyed"


def test_what_flickers_is_not_told() -> None:
    journal = BLANK
    for number in range(20):
        decisions = (BLOCKED,) if number % 2 else (decide(),)
        finds = find_conditions(journal, plan_of(*decisions))
        journal, messages = turn_alerts(journal, finds, NOW + number * 60, STORM)
        assert messages == ()


def test_a_reason_whose_numbers_move_is_not_told_each_time() -> None:
    journal, _ = lasting(BLOCKED)
    times = []
    for number in range(1, 31):
        moved = replace(BLOCKED, reason=f"needs {number}")
        now = NOW + 121 + number * 60
        journal, messages = turn_alerts(journal, find_conditions(journal, plan_of(moved)), now, STORM)
        times += [number for _ in messages]
    assert times == [15, 30]


@pytest.mark.parametrize("code", ["insufficient_quota", "too_many_accounts"])
def test_quota_is_an_alert_of_its_own(code: str) -> None:
    short = decide(state=DecisionState.BLOCKED, code=code, reason="takes 50, 30 are left")
    _, (message,) = lasting(short)
    assert message.alert.name == "ReconcilerQuota"
    assert message.alert.description == "takes 50, 30 are left"


def test_a_pool_of_a_model_that_finds_no_place_is_a_matter_of_quota() -> None:
    share = Share(location="swedencentral", choice="kept", held=0, placed=700_000, reason="no more quota")
    spread = Spread(
        ref=Ref(kind="ModelPool", name="chat"),
        origin=Origin(file="f", line=1, column=1),
        model="gpt-4o",
        wanted=1_000_000,
        shares=(share,),
    )
    _, (message,) = lasting(spreads=(spread,))
    assert message.alert.name == "ReconcilerQuota"
    assert message.alert.summary == "ModelPool/chat: 300,000 of 1,000,000 tokens per minute of gpt-4o have no place"
    assert message.alert.description == "- swedencentral: no more quota"
    assert lasting(spreads=(replace(spread, wanted=700_000),))[1] == ()


@pytest.mark.parametrize("code", ["needs", "unknown", "paused", "maintenance", "given_up", "not_selected"])
def test_what_is_told_elsewhere_or_known_is_not_told(code: str) -> None:
    _, messages = lasting(decide(state=DecisionState.BLOCKED, code=code))
    assert messages == ()


def test_a_drift_that_is_blocked_is_one_alert() -> None:
    journal = drifting(drift_of())
    blocked = replace(BLOCKED, id=account_id("one"))
    journal, first = turn_alerts(journal, find_conditions(journal, plan_of(blocked)), NOW, STORM)
    _, later = turn_alerts(journal, find_conditions(journal, plan_of(blocked)), NOW + 600, STORM)
    assert told((*first, *later)) == [(Turn.OPENED, "ReconcilerDrift")]


def report_of(*outcomes: Outcome, **plan: Any) -> CycleReport:
    return CycleReport(plan=plan_of(differing(), **plan), outcomes=outcomes, began=NOW, ended=NOW)


def test_what_fails_again_and_again_is_told_and_not_taken_back_while_it_is_tried() -> None:
    failed = outcome(result=Result.FAILED, because="Azure said no")
    held = decide(state=DecisionState.BLOCKED, code="held", reason="failed 2 times: Azure said no")
    journal, names = BLANK, []
    for number in range(6):
        plan = plan_of(held) if number % 2 else plan_of(differing())
        report = None if number % 2 else report_of(failed)
        finds = find_conditions(journal, plan, report)
        journal, messages = turn_alerts(journal, finds, NOW + number * 60, STORM)
        names += told(messages)
    stale = report_of(outcome(result=Result.STALE))
    journal, messages = turn_alerts(journal, find_conditions(journal, stale.plan, stale), NOW + 400, STORM)
    assert [*names, *told(messages)] == [(Turn.OPENED, "ReconcilerBlocked")]


def test_a_step_that_fails_for_quota_is_a_matter_of_quota() -> None:
    fault = Fault(cls=FaultClass.QUOTA, code="InsufficientQuota", message="no quota", advice="ask for more")
    failed = report_of(outcome(result=Result.BLOCKED, fault=fault))
    journal, _ = turn_alerts(BLANK, find_conditions(BLANK, failed.plan, failed), NOW, STORM)
    _, (message,) = turn_alerts(journal, find_conditions(journal, failed.plan, failed), NOW + 121, STORM)
    assert message.alert.name == "ReconcilerQuota"
    assert message.alert.description == "InsufficientQuota: no quota\nWhat helps: ask for more"


def test_what_azure_works_on_for_much_longer_than_usual_is_stuck() -> None:
    slow = decide(
        deployment_id("chat"), state=DecisionState.IN_PROGRESS, reason="Azure is still working on it (Creating)"
    )
    assert lasting(slow, seconds=600.0)[1] == ()
    _, (message,) = lasting(slow, seconds=3600.0)
    assert message.alert.name == "ReconcilerStuck"
    assert "Azure has been working on it for more than 15 min" in message.alert.summary


def test_pauses_that_nobody_can_read_are_one_alert_of_their_fleet() -> None:
    shut = [
        decide(
            account_id(f"a{number}"),
            state=DecisionState.BLOCKED,
            code="pauses_unreadable",
            reason=f"paused: the pauses in p.json cannot be read: it is no list of pauses; ann changed a{number}",
            who=f"; ann changed a{number}",
            permit="delete it",
        )
        for number in range(30)
    ]
    journal, (message,) = lasting(*shut)
    assert (message.alert.name, message.alert.members) == ("ReconcilerBlocked", ())
    assert message.alert.labels == {"fleet": "prod", "code": "pauses_unreadable"}
    assert message.alert.summary == ("fleet prod: paused: the pauses in p.json cannot be read: it is no list of pauses")
    assert message.alert.description == "Nothing is written.\nWhat helps: delete it"
    _, messages = turn_alerts(journal, find_conditions(journal, plan_of(decide())), NOW + 180, STORM)
    assert told(messages) == [(Turn.RESOLVED, "ReconcilerBlocked")]


def test_a_plan_that_a_safety_limit_stops_is_told() -> None:
    _, (message,) = lasting(stopped="too many deletes")
    assert message.alert.labels == {"fleet": "prod", "code": "stopped"}
    assert message.alert.summary == "fleet prod: too many deletes"


SIGN_IN = Fault(cls=FaultClass.FORBIDDEN, code="credential_failed", message="no token", advice="check it")
THROTTLED = Fault(cls=FaultClass.THROTTLED, code="TooManyRequests", message="slow down")


CRASH = Fault(cls=FaultClass.UNKNOWN, code="crashed", message="a bug")
OUTAGE = Fault(cls=FaultClass.TRANSIENT, code="ServiceUnavailable", message="no", status=503)


def passed(*reports: CycleReport, **more: Any) -> Pass:
    return Pass(
        began=NOW, ended=NOW + 1, trigger="interval", reports={each.plan.fleet: each for each in reports}, **more
    )


def after_passes(done: Pass, *seconds: float) -> tuple[Journal, list[Message]]:
    """What has been told once the same has been found at each of these times."""
    journal, messages = BLANK, list[Message]()
    for each in seconds:
        journal, told = turn_alerts(journal, find_fleets(journal, done), NOW + each, STORM)
        messages += told
    return journal, messages


def report_on(*decisions: Decision, **plan: Any) -> CycleReport:
    return CycleReport(plan=plan_of(*decisions, **plan), began=NOW, ended=NOW)


UNREAD = decide(state=DecisionState.BLOCKED, code="unknown")


def test_a_credential_that_does_not_work_is_told_at_once_whether_or_not_anything_was_seen() -> None:
    blind = (("accounts", SIGN_IN), ("groups", replace(SIGN_IN, code="x", status=401)), ("networks", OUTAGE))
    for done in (passed(report_on(UNREAD, blind=blind)), passed(faults={"prod": SIGN_IN})):
        _, (message,) = after_passes(done, 0.0)
        assert (message.alert.name, message.alert.level) == ("ReconcilerCredentials", Level.CRITICAL)
        assert message.alert.summary == "fleet prod: its credential does not work"
        assert "What helps: check it" in message.alert.description


def test_throttling_that_lasts_is_told_sooner_where_it_hides_everything() -> None:
    blind = (("accounts", THROTTLED),)
    for done, soon in (
        (passed(report_on(decide(), blind=blind)), 300.0),
        (passed(report_on(UNREAD, blind=blind)), 90.0),
        (passed(faults={"prod": THROTTLED}), 90.0),
    ):
        assert after_passes(done, 0.0, soon - 1)[1] == []
        _, (message,) = after_passes(done, 0.0, soon)
        assert message.alert.name == "ReconcilerThrottled"


@pytest.mark.parametrize(
    ("done", "code", "critical"),
    [
        (passed(faults={"prod": CRASH}), "crashed", True),
        (passed(report_on(UNREAD, blind=(("accounts", OUTAGE),))), "unread", True),
        (passed(report_on(UNREAD, blind=(("accounts", OUTAGE), ("groups", THROTTLED)))), "unread", True),
        (passed(under_way=("prod",)), "slow", False),
        (passed(report_on(decide(), blind=(("accounts", OUTAGE),))), "partly", False),
    ],
)
def test_a_fleet_that_is_not_seen_is_told_by_why_and_gets_critical(done: Pass, code: str, critical: bool) -> None:
    _, messages = after_passes(done, 0.0, 89.0, 90.0, 899.0, 900.0, 2000.0)
    levels = [message.alert.level for message in messages if message.alert.name == "ReconcilerFleetUnseen"]
    assert levels == ([Level.WARNING, Level.CRITICAL] if critical else [Level.WARNING])
    assert {message.alert.labels["code"] for message in messages if message.alert.name == "ReconcilerFleetUnseen"} == {
        code
    }


def test_a_fleet_whose_document_is_broken_is_told_as_not_seen_once_that_lasts_and_over_when_it_is_right() -> None:
    """Its drift is in nobody's sight, which errors in documents alone do not say."""
    lost = passed(findings=(finding(1),))
    journal, messages = replace(BLANK, looked={"prod": NOW}), list[Message]()
    for each in (0.0, 90.0, 900.0):
        journal, some = turn_alerts(journal, find_fleets(journal, lost), NOW + each, STORM)
        messages += some
    assert [(each.turn, each.alert.name, each.alert.level) for each in messages] == [
        (Turn.OPENED, "ReconcilerFleetUnseen", Level.WARNING),
        (Turn.AMENDED, "ReconcilerFleetUnseen", Level.CRITICAL),
    ]
    assert messages[0].alert.labels == {"fleet": "prod", "code": "undeclared"}
    assert messages[0].alert.summary.startswith("fleet prod: no document without errors declares it any more")
    again = passed(CycleReport(plan=plan_of(), outcomes=(), began=NOW, ended=NOW))
    _, (message,) = turn_alerts(journal, find_fleets(journal, again), NOW + 960, STORM)
    assert message.turn is Turn.RESOLVED


def test_a_fleet_that_nobody_declares_any_more_is_no_news_while_all_documents_are_right() -> None:
    journal = replace(BLANK, looked={"prod": NOW})
    warning = finding(1, Severity.WARNING)
    for done in (passed(), passed(findings=(warning,)), passed(findings=(finding(1),), under_way=("prod",))):
        assert "unseen:prod" not in {
            key for key, each in find_fleets(journal, done).conditions.items() if each.labels["code"] == "undeclared"
        }


def test_a_look_that_we_ended_ourselves_says_nothing() -> None:
    journal, _ = after_passes(passed(faults={"prod": CRASH}), 0.0, 90.0)
    stopped = passed(faults={"prod": replace(CRASH, code="stopped")})
    after, messages = turn_alerts(journal, find_fleets(journal, stopped), NOW + 120, STORM)
    assert messages == ()
    assert after == journal


def test_a_fleet_of_which_nothing_was_seen_keeps_its_alerts() -> None:
    journal, _ = turn(drifting(drift_of()))
    for done in (passed(faults={"prod": CRASH}), passed(faults={"": CRASH})):
        after, messages = turn_alerts(journal, find_fleets(journal, done), NOW + 60, STORM)
        assert messages == ()
        assert after.alerts == journal.alerts


def test_what_could_not_be_read_keeps_its_alert() -> None:
    journal, _ = lasting(BLOCKED)
    unread = decide(state=DecisionState.BLOCKED, code="unknown")
    _, messages = turn_alerts(journal, find_conditions(journal, plan_of(unread)), NOW + 180, STORM)
    assert messages == ()


def finding(line: int, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(
        severity=severity, code="x", message="unknown field", origin=Origin(file="prod.yaml", line=line, column=3)
    )


def test_everything_that_is_wrong_with_documents_is_one_alert() -> None:
    journal, (message,) = turn_alerts(BLANK, find_invalid([finding(n) for n in range(1, 31)]), NOW, STORM)
    alert = message.alert
    assert (alert.name, alert.level) == ("ReconcilerInvalidDesiredState", Level.WARNING)
    assert alert.summary == "30 errors in the desired state: prod.yaml:10:3: error: unknown field"
    assert "- prod.yaml:1:3: error: unknown field" in alert.description
    assert alert.description.endswith("- and 10 more")
    journal, (message,) = turn_alerts(journal, find_invalid([finding(1)]), NOW + 60, STORM)
    assert message.turn is Turn.AMENDED
    assert message.alert.summary == "1 error in the desired state: prod.yaml:1:3: error: unknown field"
    warning = finding(1, Severity.WARNING)
    _, (message,) = turn_alerts(journal, find_invalid([warning]), NOW + 120, STORM)
    assert message.turn is Turn.RESOLVED
    assert message.alert.description.startswith("Every document is valid again after 2 min.")


def test_a_digest_says_how_urgent_each_is_where_not_all_are_alike() -> None:
    few = dict.fromkeys(range(2), Gravity.EXPOSURE)
    mixed = [drift_of(f"a{number:02}", gravity=few.get(number, Gravity.COSMETIC)) for number in range(12)]
    _, (message,) = turn(drifting(*mixed))
    lines = message.alert.description.split("\n")
    assert [line.partition(":")[0] for line in lines] == ["- critical"] * 2 + ["- info"] * 10
    _, (message,) = turn(drifting(*(drift_of(f"a{number:02}") for number in range(12))))
    assert message.alert.description.startswith("- Account/a00: ")


def test_a_desired_state_without_any_fleet_is_urgent_because_nobody_looks_at_anything(tmp_path: Path) -> None:
    nothing = load_estate([tmp_path], {}).findings
    _, (message,) = turn_alerts(BLANK, find_invalid(nothing), NOW, STORM)
    assert message.alert.level is Level.CRITICAL
    assert "there is no Fleet in the desired state" in message.alert.summary


def retirement(nearness: Nearness, **more: Any) -> Retirement:
    offer = Offer(location="swedencentral", format="openai", model="gpt-4o", version="2024-11-20", sku="standard")
    written: dict[str, Any] = {
        "offer": offer,
        "model": "gpt-4o",
        "version": "2024-11-20",
        "usage": "OpenAI.Standard.gpt-4o",
        "deployments": (deployment_id("chat"),),
        "units": 10,
        "at": int(NOW) + 86_400,
        "days": 1,
        "nearness": nearness,
        "told": "retires soon",
        "advice": "move on",
    }
    return Retirement(**{**written, **more})


@pytest.mark.parametrize(
    ("nearness", "level"),
    [
        (Nearness.FAR, None),
        (Nearness.NOTICE, Level.INFO),
        (Nearness.WARNING, Level.WARNING),
        (Nearness.URGENT, Level.WARNING),
        (Nearness.CRITICAL, Level.CRITICAL),
        (Nearness.RETIRED, Level.CRITICAL),
    ],
)
def test_the_nearer_a_retirement_the_more_urgent(nearness: Nearness, level: Level | None) -> None:
    _, messages = turn(BLANK, outlook=Outlook(retirements=(retirement(nearness),)))
    assert [each.alert.level for each in messages] == ([level] if level else [])


def test_a_retirement_is_one_alert_that_gets_more_urgent() -> None:
    journal, (message,) = turn(BLANK, outlook=Outlook(retirements=(retirement(Nearness.NOTICE),)))
    alert = message.alert
    assert alert.name == "ReconcilerRetirement"
    assert alert.summary == "gpt-4o 2024-11-20 retires on 2025-10-10 as Standard in swedencentral"
    assert alert.description == "retires soon\nWhat helps: move on\n- Account/one/deployments/chat"
    journal, (message,) = turn(journal, NOW + 60, outlook=Outlook(retirements=(retirement(Nearness.CRITICAL),)))
    assert (message.turn, message.alert.level) == (Turn.AMENDED, Level.CRITICAL)
    unread = Outlook(unread={"swedencentral": THROTTLED})
    journal, messages = turn(journal, NOW + 120, outlook=unread)
    assert messages == ()
    _, (message,) = turn(journal, NOW + 180)
    assert message.turn is Turn.RESOLVED
    assert message.alert.description.startswith("Nothing that retires is deployed any more")


def test_one_fleets_look_says_nothing_about_another() -> None:
    journal, _ = turn(drifting(drift_of()))
    _, messages = turn_alerts(journal, Finds(fleet="dev", conditions={}), NOW + 60, STORM)
    assert messages == ()


def test_what_begins_again_is_a_new_alert_of_the_same_key() -> None:
    journal, (first,) = turn(drifting(drift_of()))
    journal, _ = turn(replace(journal, drifts={}, past=(ended(drift_of()),)), NOW + 60)
    _, (second,) = turn(with_drifts(journal, drift_of(returns=1)), NOW + 120)
    assert (second.turn, second.alert.key) == (Turn.OPENED, first.alert.key)
    assert (second.alert.began, second.alert.revision) == (NOW + 120, 1)


def test_an_alert_is_open_until_it_has_ended() -> None:
    alert = Alert(key="k", name="n", level=Level.INFO, summary="s", began=NOW)
    assert alert.open
    assert not replace(alert, ended=NOW).open


def test_hostile_names_stay_on_their_line() -> None:
    hostile = drift_of(
        ref=Ref(kind="Account", name="x\nBy: nobody\x1b[2J"),
        changes=(Edit(path="tags.<!channel>", before="a\nb", after="\u202e"),),
    )
    _, (message,) = turn(drifting(hostile))
    assert "\x1b" not in message.alert.summary + message.alert.description
    assert "\u202e" not in message.alert.summary
    assert "\n" not in message.alert.summary
    assert message.alert.description.count("\nBy: ") == 1


def test_what_a_create_needs_is_not_stuck() -> None:
    waiting = decide(state=DecisionState.IN_PROGRESS, action=Action.CREATE, missing=True)
    assert lasting(waiting, seconds=86_400.0)[1] == ()
