"""Whether it lives, is ready, and what is wrong: in one sentence, and then one by one, the most urgent first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.alert import Alert, Journal, Level
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.health import FleetHealth, Health, Leadership
from reconciler.model.outcome import Result
from reconciler.model.plan import Plan
from reconciler.report.conditions import find_conditions
from reconciler.report.overview import Mood, judge_live, judge_ready, survey
from tests.report import healths
from tests.report.healths import NOW
from tests.report.samples import CONVERGED, CREATE, CREATE_STEP, FORBIDDEN, MIXED, WAITING, outcome

LOST = Fault(cls=FaultClass.UNKNOWN, code="crashed", message="KeyError: 1")


def test_a_loop_that_was_heard_of_lately_lives() -> None:
    assert judge_live(replace(healths.quiet(), silence=900.0)) == ""
    assert judge_live(replace(healths.quiet(), silence=901.0)) == "the loop has given no sign of life for 15 min 1 s"


def test_who_does_not_look_after_the_lease_any_more_does_not_live() -> None:
    lease = Leadership(name="ai/reconciler", identity="pod-a_1", why="is held by pod-a_1", silence=20.0, patience=20.0)
    assert judge_live(replace(healths.quiet(), leadership=lease)) == ""
    stuck = replace(healths.quiet(), leadership=replace(lease, silence=21.0))
    assert judge_live(stuck) == "nobody has looked after the lease ai/reconciler for 21 s"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({}, ""),
        ({"leads": False, "succeeded_at": None, "passes": ()}, ""),
        ({"stopping": "the daemon is stopping"}, "draining: the daemon is stopping"),
        ({"silence": 1000.0}, "the loop has given no sign of life for 16 min 40 s"),
        ({"leads": False, "silence": 1000.0}, "the loop has given no sign of life for 16 min 40 s"),
        ({"succeeded_at": None, "passes": ()}, "no pass has seen every fleet yet"),
        ({"fault": LOST}, "the last pass broke off: crashed: KeyError: 1"),
    ],
)
def test_who_leads_is_ready_once_it_has_seen_everything_and_a_standby_while_it_lives(
    more: dict[str, object], why: str
) -> None:
    assert judge_ready(replace(healths.quiet(), **more)) == why  # type: ignore[arg-type]


def test_who_cannot_sign_in_is_not_ready() -> None:
    told = "the credential of fleet test does not work: credential_failed: AADSTS7000222: the client secret has expired"
    assert judge_ready(healths.bad()) == told


def test_why_nothing_was_seen_yet_is_told() -> None:
    bad = healths.bad()
    fleets = tuple(replace(each, fault=replace(LOST, message="boom") if each.fault else None) for each in bad.fleets)
    told = judge_ready(replace(bad, succeeded_at=None, fleets=fleets))
    assert told.startswith("no pass has seen every fleet yet: test: credential_failed")


@pytest.mark.parametrize(
    ("health", "mood", "verdict"),
    [
        (healths.quiet(), Mood.CALM, "All is as declared"),
        (healths.bad(), Mood.ALARM, "3 things need attention now, and 5 things besides"),
        (healths.large(100), Mood.ALARM, "60 things need attention now"),
        (replace(healths.bad(), leads=False), Mood.STANDBY, "Standing by: somebody else looks after the fleets"),
        (
            replace(
                healths.quiet(),
                leads=False,
                leadership=Leadership(name="prod", identity="pod-b", why="is held by pod-a"),
            ),
            Mood.STANDBY,
            "Standing by: the lease prod is held by pod-a",
        ),
        (replace(healths.quiet(), passes=()), Mood.UNKNOWN, "Looking for the first time"),
        (healths.health(), Mood.NOTICE, "No document declares a fleet"),
        (
            healths.health(FleetHealth(name="prod", under_way=True)),
            Mood.UNKNOWN,
            "Nothing is wrong so far; 1 fleet not seen yet",
        ),
        (replace(healths.quiet(), stopping="x"), Mood.UNKNOWN, "Stopping: nothing new is begun"),
        (
            replace(healths.quiet(), silence=1000.0),
            Mood.ALARM,
            "Stuck: the loop has given no sign of life for 16 min 40 s",
        ),
        (
            replace(healths.bad(), succeeded_at=NOW - 1000),
            Mood.ALARM,
            "Blind: no pass has seen every fleet for 16 min 40 s",
        ),
        (
            replace(healths.quiet(), pauses=healths.bad().pauses),
            Mood.NOTICE,
            "Nothing is wrong; some is paused",
        ),
    ],
)
def test_the_first_sentence_says_how_it_is(health: Health, mood: Mood, verdict: str) -> None:
    overview = survey(health)
    assert (overview.mood, overview.verdict) == (mood, verdict)


def test_what_is_under_way_or_was_just_done_is_no_trouble() -> None:
    busy = healths.health(healths.fleet(Plan(fleet="prod", decisions=(WAITING,), steps=())))
    assert survey(busy).verdict == "Nothing is wrong; 1 resource under way"
    written = Plan(fleet="prod", decisions=(CREATE,), steps=(CREATE_STEP,))
    done = healths.health(healths.fleet(written, outcome(CREATE_STEP, Result.DONE)))
    assert survey(done).verdict == "Nothing is wrong; 1 resource written just now"
    assert [(each.ref, each.why, each.done) for each in survey(done).waits] == [
        ("Account/aoai-swc/deployments/gpt-4o", "create done", True)
    ]


def test_one_thing_needs_and_two_need() -> None:
    one = healths.health(healths.fleet(CONVERGED), journal=Journal(drifts={"a": healths.drift()}))
    assert survey(one).verdict == "1 thing needs attention now"


def test_the_most_urgent_and_among_those_the_oldest_come_first() -> None:
    levels = [each.level.rank for each in survey(healths.bad()).concerns]
    assert levels == sorted(levels)
    ages = [each.since for each in survey(healths.large(100)).concerns if each.since is not None]
    assert ages == sorted(ages)


def test_a_fleet_that_no_document_declares_any_more_is_not_forgotten_while_documents_have_errors() -> None:
    known = Journal(looked={"prod": NOW - 300, "lost": NOW - 300}, waiting={"*/unseen:lost": NOW - 120})
    broken = replace(healths.quiet(), journal=known, findings=healths.bad().findings)
    told = {each.fleet: each.what for each in survey(broken).concerns if each.name == "ReconcilerFleetUnseen"}
    assert told == {"lost": "fleet lost: no document without errors declares it any more, so nobody looks at it"}


def test_a_door_that_is_open_comes_before_what_has_days_left() -> None:
    urgent = [each.name for each in survey(healths.bad()).concerns if each.level is Level.CRITICAL]
    assert urgent == ["ReconcilerDrift", "ReconcilerCredentials", "ReconcilerRetirement"]


def test_a_drift_says_since_when_who_and_what_becomes_of_it() -> None:
    concern = next(each for each in survey(healths.bad()).concerns if each.drift and each.level is Level.CRITICAL)
    assert concern.what == "Account/aoai-swc: publicNetworkAccess is Enabled, declared Disabled (and 1 more field)"
    assert (concern.since, concern.who) == (NOW - 252, "mallory@example.com")
    assert concern.doing.startswith("It is not put right: outside the hours that spec.maintenance allows")


def test_what_is_not_known_of_a_drift_is_told_as_unknown() -> None:
    concern = next(each for each in survey(healths.bad()).concerns if each.drift and each.level is Level.WARNING)
    assert (concern.who, concern.doing) == ("unknown yet", "It is being put right.")


def test_an_alert_that_is_open_says_since_when_and_one_that_ended_does_not() -> None:
    bad = healths.bad()
    assert next(each.since for each in survey(bad).concerns if each.key == "invalid") == NOW - 5000
    alert = bad.journal.alerts["invalid"]
    ended = replace(bad, journal=replace(bad.journal, alerts={"invalid": replace(alert, ended=NOW - 60)}))
    assert next(each.since for each in survey(ended).concerns if each.key == "invalid") is None


def test_what_usually_ends_by_itself_is_told_once_it_has_lasted() -> None:
    plan = Plan(fleet="prod", decisions=(WAITING,), steps=())
    fresh = healths.health(healths.fleet(plan))
    assert survey(fresh).concerns == ()
    key = next(iter(_stuck(plan)))
    waiting = replace(fresh, journal=Journal(waiting={f"prod/{key}": NOW - 7200}))
    assert [each.name for each in survey(waiting).concerns] == ["ReconcilerStuck"]


def _stuck(plan: Plan) -> dict[str, object]:
    return dict(find_conditions(Journal(), plan).conditions)


def test_a_fleet_that_broke_off_is_told_once_by_its_best_name() -> None:
    assert [each.name for each in survey(healths.bad()).concerns if each.fleet == "test"] == ["ReconcilerCredentials"]
    bad = healths.bad()
    crashed = replace(bad, fleets=(replace(bad.fleets[1], fault=LOST),))
    (concern,) = (each for each in survey(crashed).concerns if each.fleet == "test")
    assert (concern.what, concern.doing) == (
        "fleet test broke off: crashed: KeyError: 1",
        "It is tried again with the next pass.",
    )


def test_a_fleet_that_is_not_seen_for_long_is_told_as_its_alert_tells_it() -> None:
    bad = healths.bad()
    journal = replace(bad.journal, waiting={"*/unseen:test": NOW - 1000.0})
    crashed = replace(bad, fleets=(replace(bad.fleets[1], fault=LOST),), journal=journal)
    (concern,) = (each for each in survey(crashed).concerns if each.fleet == "test")
    assert (concern.name, concern.level) == ("ReconcilerFleetUnseen", Level.CRITICAL)
    assert concern.what == "fleet test: each look at it breaks off"
    plan = Plan(fleet="prod", decisions=(), steps=(), blind=(("accounts", FORBIDDEN), ("groups", FORBIDDEN)))
    blind = healths.health(healths.fleet(plan), journal=Journal(waiting={"*/unseen:prod": NOW - 100.0}))
    assert [(each.name, each.level) for each in survey(blind).concerns] == [("ReconcilerFleetUnseen", Level.WARNING)]
    assert [each.name for each in survey(replace(blind, journal=Journal())).concerns] == ["Unread"]


def test_a_journal_that_is_not_kept_is_told_and_nobody_counts_on_who_has_it() -> None:
    full = replace(healths.quiet(), unkept="the journal cannot be written: j.json: No space left on device")
    (concern,) = survey(full).concerns
    assert (concern.name, concern.what, concern.level) == ("ReconcilerJournal", full.unkept, Level.WARNING)
    assert judge_ready(full) == f"{full.unkept}; nothing is written until it can"
    assert judge_ready(replace(full, leads=False)) == ""


def test_a_pass_that_saw_nothing_at_all_is_told() -> None:
    (concern,) = survey(replace(healths.quiet(), fault=LOST)).concerns
    assert concern.what == "the whole pass broke off: crashed: KeyError: 1"


def test_what_could_not_be_read_is_told_with_what_helps() -> None:
    concern = next(each for each in survey(healths.bad()).concerns if each.name == "Unread")
    assert concern.what == "1 place could not be read: AuthorizationFailed: The client has no permission"
    assert concern.doing == "What helps: grant the role Reader on the subscription"


def test_what_is_left_alone_is_told_by_reason() -> None:
    paused = next(each for each in survey(healths.bad()).holds if each.code == "paused")
    assert len(paused.refs) == 5
    assert paused.why == (
        "paused by ada until 2026-11-28T18:00:00Z: load test. What helps: wait, or end it with `reconciler resume`"
    )


def test_a_plan_that_nobody_agreed_to_says_why_it_waits() -> None:
    fleet = healths.fleet(Plan(fleet="prod", decisions=(CREATE,), steps=(CREATE_STEP,)))
    assert fleet.report is not None
    refused = replace(fleet, report=replace(fleet.report, refused="observe-only mode: nothing is written"))
    assert [each.why for each in survey(healths.health(refused)).waits] == ["observe-only mode: nothing is written"]


def test_a_digest_of_everything_is_no_longer_than_what_is_wrong() -> None:
    assert len(survey(healths.large(100)).concerns) == 60
    assert not survey(healths.health(healths.fleet(MIXED))).concerns[0].drift


def test_an_alert_of_another_key_is_nothing_to_a_condition() -> None:
    alert = Alert(key="other", name="x", level=Level.INFO, summary="", began=1.0)
    health = replace(healths.bad(), journal=Journal(alerts={"other": alert}))
    assert next(each.since for each in survey(health).concerns if each.key == "invalid") is None
