"""What is a drift and what is not, what it costs, whose it is, and when it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.alert import BLANK, Journal
from reconciler.model.drift import UNKNOWN_YET, Correction, Drift, Edit, Ending, Gravity
from reconciler.model.finding import Fault, FaultClass, Finding
from reconciler.model.ids import ArmId, Ref
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Decision, DecisionState, FieldChange, Phase, Plan, Step, Verb
from reconciler.model.reach import Way
from reconciler.model.resource import Actor
from reconciler.report.drift import (
    ASKED_FOR,
    Look,
    Rounds,
    find_wondered,
    follow_drifts,
    forget_fleet,
    hold_fights,
)
from tests.support.builders import ORIGIN, account_id, deployment_id, group_id

US, MALLORY = "11111111-1111-1111-1111-111111111111", "mallory@example.com"
ONE = account_id("one")
NSG = group_id().resource("Microsoft.Network/networkSecurityGroups", "nsg")
LOCAL_AUTH = FieldChange(path="disableLocalAuth", before=False, after=True)
MINUTE = 60.0


def decide(id: ArmId = ONE, **more: Any) -> Decision:
    written: dict[str, Any] = {
        "id": id,
        "ref": Ref(kind="Account", name=id.name),
        "state": DecisionState.IN_SYNC,
        "reason": "as declared",
        "origin": ORIGIN,
        "wants": "w1",
        "owned": True,
    }
    return Decision(**{**written, **more})


def differing(id: ArmId = ONE, **more: Any) -> Decision:
    written = {"state": DecisionState.ACT, "action": Action.UPDATE, "reason": "differs", "changes": (LOCAL_AUTH,)}
    return decide(id, **{**written, **more})


def plan_of(*decisions: Decision, **more: Any) -> Plan:
    return Plan(fleet="prod", decisions=decisions, steps=(), principal=US, **more)


def outcome(id: ArmId = ONE, result: Result = Result.DONE, verb: Verb = Verb.PATCH, **more: Any) -> Outcome:
    step = Step(name=f"{id.name}#update", id=id, verb=verb, action=Action.UPDATE, phase=Phase.BUILD)
    return Outcome(step=step, result=result, began=0.0, ended=0.0, **more)


def look(now: float, *decisions: Decision, **more: Any) -> Look:
    return Look(plan=plan_of(*decisions, looked_at=now), now=now, **more)


def settled(*decisions: Decision) -> Journal:
    """A journal that has seen them as declared."""
    return follow_drifts(BLANK, look(1000.0, *(decisions or (decide(),))))


def open_drift(journal: Journal) -> Drift:
    (drift,) = journal.drifts.values()
    return drift


def test_a_difference_of_what_had_been_as_declared_is_a_drift() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing()))
    drift = open_drift(journal)
    assert drift.changes == (Edit(path="disableLocalAuth", before=True, after=False),)
    assert (drift.first_seen, drift.last_seen, drift.after) == (1060.0, 1060.0, 1000.0)
    assert (drift.actor, drift.gravity, drift.gone) == (UNKNOWN_YET, Gravity.SECURITY, False)


def test_a_difference_that_a_document_brought_is_none() -> None:
    assert not follow_drifts(settled(), look(1060.0, differing(wants="w2"))).drifts


def test_a_document_that_goes_back_to_what_it_said_before_brings_none_either() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing(wants="w2")))
    assert not follow_drifts(journal, look(1120.0, differing())).drifts


@pytest.mark.parametrize("author", [US, US.upper(), MALLORY])
def test_of_what_nothing_is_remembered_only_another_author_makes_a_drift(author: str) -> None:
    journal = follow_drifts(BLANK, look(1000.0, differing(author=Actor(name=author))))
    assert bool(journal.drifts) is (author == MALLORY)


def test_what_changed_with_its_document_is_no_drift_whoever_wrote_to_it_last() -> None:
    changed = differing(wants="w2", author=Actor(name=MALLORY))
    journal = follow_drifts(settled(), look(1060.0, changed))
    assert not follow_drifts(journal, look(1060.0, changed)).drifts


# -- while Azure has yet to follow a document


DOORS = FieldChange(path="publicNetworkAccess", before="Enabled", after="Disabled", closes=True)


LATELY = Actor(name=MALLORY, at="1970-01-01T00:18:20Z")  # 1100 s


def waiting(*changes: FieldChange, **more: Any) -> Decision:
    """What a document wants by now, and what is kept from being done."""
    kept = {"state": DecisionState.BLOCKED, "code": "paused", "wants": "w2", "changes": changes or (LOCAL_AUTH,)}
    return differing(**{**kept, **more})


def after_a_change(*decisions: Decision) -> Journal:
    return follow_drifts(settled(), look(1060.0, *(decisions or (waiting(),))))


def test_what_somebody_does_while_azure_has_yet_to_follow_a_document_is_a_drift_of_its_own() -> None:
    journal = after_a_change()
    opened = waiting(LOCAL_AUTH, DOORS, author=LATELY)
    journal = follow_drifts(journal, look(1120.0, opened))
    drift = open_drift(journal)
    assert drift.changes == (Edit(path="publicNetworkAccess", before="Disabled", after="Enabled"),)
    assert (drift.actor, drift.gravity, drift.wants) == (MALLORY, Gravity.EXPOSURE, "w2")
    assert follow_drifts(journal, look(1180.0, opened)).drifts
    journal = follow_drifts(journal, look(1240.0, waiting()))
    assert (journal.drifts, journal.past[0].ending) == ({}, Ending.SOMEBODY)


@pytest.mark.parametrize(
    "later",
    [
        waiting(author=LATELY),  # something that is not declared
        waiting(LOCAL_AUTH, DOORS, author=replace(LATELY, name=US)),  # half of what we are about to do
        waiting(LOCAL_AUTH, DOORS),  # nobody knows
        waiting(LOCAL_AUTH, DOORS, author=Actor(name=MALLORY, at="1970-01-01T00:01:00Z")),  # long before, and we since
        waiting(LOCAL_AUTH, DOORS, wants="w3", author=LATELY),  # its document changed once more
    ],
)
def test_what_a_document_still_waits_for_is_none_whoever_wrote_last(later: Decision) -> None:
    journal = follow_drifts(after_a_change(), look(1120.0, later))
    assert not journal.drifts
    assert not follow_drifts(journal, look(1180.0, later)).drifts


@pytest.mark.parametrize("missing", [False, True])
def test_of_what_was_not_seen_when_its_document_changed_nothing_is_concluded(missing: bool) -> None:
    unread = decide(state=DecisionState.BLOCKED, code="unknown", wants="w2", missing=missing)
    seen = waiting(LOCAL_AUTH, DOORS, author=LATELY)
    assert not follow_drifts(after_a_change(unread), look(1120.0, seen)).drifts


def test_what_somebody_deletes_meanwhile_is_a_drift_and_what_was_never_there_is_none() -> None:
    gone = waiting(DOORS, missing=True, author=Actor(name=MALLORY, operation="x/delete"))
    assert open_drift(follow_drifts(after_a_change(), look(1120.0, gone))).gone
    assert not follow_drifts(after_a_change(gone), look(1120.0, gone)).drifts


def test_a_change_of_a_document_does_not_end_what_it_says_nothing_about() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing(changes=(DOORS,))))
    journal = follow_drifts(journal, look(1120.0, waiting(LOCAL_AUTH, DOORS)))
    drift = open_drift(journal)
    assert (drift.first_seen, drift.wants) == (1060.0, "w2")
    assert drift.changes == (Edit(path="publicNetworkAccess", before="Disabled", after="Enabled"),)
    journal = follow_drifts(journal, look(1180.0, waiting(LOCAL_AUTH, DOORS)))
    assert (open_drift(journal).first_seen, open_drift(journal).changes) == (1060.0, drift.changes)
    journal = follow_drifts(journal, look(1240.0, decide(wants="w2")))
    assert journal.past[0].ending is Ending.SOMEBODY


def test_what_is_new_or_taken_over_is_no_drift() -> None:
    new = differing(action=Action.CREATE, missing=True, author=None)
    taken = differing(account_id("two"), action=Action.ADOPT, author=Actor(name=MALLORY))
    assert not follow_drifts(BLANK, look(1000.0, new, taken)).drifts


def test_what_is_gone_is_a_drift_where_it_had_been_there_or_azure_knows_who_deleted_it() -> None:
    gone = differing(action=Action.CREATE, missing=True, changes=())
    drift = open_drift(follow_drifts(settled(), look(1060.0, gone)))
    assert (drift.gone, drift.gravity, drift.changes) == (True, Gravity.CAPACITY, ())
    deleted = Actor(name=MALLORY, operation="Microsoft.CognitiveServices/accounts/delete")
    drift = open_drift(follow_drifts(BLANK, look(1060.0, replace(gone, author=deleted))))
    assert drift.actor == MALLORY
    wrote = Actor(name=MALLORY, operation="Microsoft.CognitiveServices/accounts/write")
    assert not follow_drifts(BLANK, look(1060.0, replace(gone, author=wrote))).drifts


def test_what_is_gone_with_what_it_lay_in_is_a_part_of_that() -> None:
    chat = deployment_id("chat")
    both = (decide(), decide(chat))
    gone = [replace(differing(id, action=Action.CREATE, missing=True, changes=())) for id in (ONE, chat)]
    journal = follow_drifts(settled(*both), look(1060.0, *gone))
    account, child = sorted(journal.drifts.values(), key=lambda each: each.id)
    assert child.within == account.key
    assert account.within == ""


def test_a_deployment_whose_own_deletion_we_began_is_no_drift() -> None:
    replaced = differing(action=Action.REPLACE)
    outcomes = (outcome(verb=Verb.DELETE), outcome(verb=Verb.PUT, result=Result.FAILED))
    journal = settled(decide(wants="w0"))
    journal = follow_drifts(journal, look(1060.0, replaced, outcomes=outcomes))
    missing = differing(action=Action.CREATE, missing=True)
    assert not follow_drifts(journal, look(1120.0, missing)).drifts


def test_what_goes_and_comes_back_with_what_it_lies_in_is_no_drift_whoever_finds_it_gone() -> None:
    """Its account is replaced because of its document; the process is killed when the deployment has gone."""
    chat = deployment_id("chat")
    journal = settled(decide(), decide(chat))
    replaced = differing(action=Action.REPLACE, wants="w2")
    journal = follow_drifts(journal, look(1060.0, replaced, differing(chat, action=Action.CREATE)))
    assert not journal.drifts
    gone = [differing(id, action=Action.CREATE, missing=True, wants=wants) for id, wants in ((ONE, "w2"), (chat, "w1"))]
    assert not follow_drifts(journal, look(1120.0, *gone)).drifts


def test_what_is_replaced_because_it_drifts_drifts_until_it_is_back() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing(action=Action.REPLACE)))
    (drift,) = journal.drifts.values()
    journal = follow_drifts(journal, look(1120.0, differing(action=Action.CREATE, missing=True)))
    assert [each.first_seen for each in journal.drifts.values()] == [drift.first_seen]


@pytest.mark.parametrize(
    ("change", "gravity"),
    [
        (FieldChange(path="publicNetworkAccess", before="Enabled", after="Disabled", closes=True), Gravity.EXPOSURE),
        (FieldChange(path="publicNetworkAccess", before="Disabled", after="Enabled", opens=True), Gravity.CAPACITY),
        (LOCAL_AUTH, Gravity.SECURITY),
        (FieldChange(path="identity.type", before="None", after="SystemAssigned"), Gravity.SECURITY),
        (FieldChange(path="tags.team", before="b", after="a"), Gravity.COSMETIC),
        (FieldChange(path="tags.reconciler-fleet", before=None, after="prod"), Gravity.SECURITY),
    ],
)
def test_what_an_edit_costs(change: FieldChange, gravity: Gravity) -> None:
    drift = open_drift(follow_drifts(settled(), look(1060.0, differing(changes=(change,)))))
    assert drift.gravity is gravity


@pytest.mark.parametrize(("live", "gravity"), [(5, Gravity.CAPACITY), (20, Gravity.COSMETIC)])
def test_less_capacity_costs_and_more_does_not(live: int, gravity: Gravity) -> None:
    chat = deployment_id("chat")
    change = FieldChange(path="sku.capacity", before=live, after=10)
    journal = follow_drifts(settled(decide(chat)), look(1060.0, differing(chat, changes=(change,))))
    assert open_drift(journal).gravity is gravity


def test_a_way_in_that_a_plan_takes_away_again_is_an_exposure() -> None:
    way = Way(source="everybody", target=ONE, path="public endpoint", ports="443")
    journal = follow_drifts(settled(decide(NSG)), look(1060.0, differing(NSG, changes=(), closed=(way,))))
    assert open_drift(journal).gravity is Gravity.EXPOSURE


def test_a_guardian_that_is_gone_guards_no_more() -> None:
    gone = differing(NSG, action=Action.CREATE, missing=True, changes=())
    assert open_drift(follow_drifts(settled(decide(NSG)), look(1060.0, gone))).gravity is Gravity.SECURITY


def test_secrets_are_masked_and_long_values_are_cut() -> None:
    changes = (
        FieldChange(path="key", before="hunter2", after=None, sensitive=True),
        FieldChange(path="networkAcls.ipRules", before=[f"203.0.113.{n}" for n in range(256)], after=[]),
        *(FieldChange(path=f"tags.t{n:02}", before="b", after="a") for n in range(30)),
    )
    drift = open_drift(follow_drifts(settled(), look(1060.0, differing(changes=changes))))
    assert drift.changes[0] == Edit(path="key", before=None, after="(sensitive)")
    assert len(str(drift.changes[1].after)) <= 400
    assert (len(drift.changes), drift.omitted) == (20, 12)


def test_its_key_is_the_same_in_every_process_and_whatever_the_letters() -> None:
    one = open_drift(follow_drifts(settled(), look(1060.0, differing())))
    shouted = ArmId.parse(str(ONE).upper())
    other = open_drift(follow_drifts(settled(decide(shouted)), look(9000.0, differing(shouted))))
    assert one.key == other.key == "drift-b8ff169ffec1fe4f"


# -- what becomes of it


@pytest.mark.parametrize(
    ("correction", "ending"),
    [
        (Correction.DONE, Ending.US),
        (Correction.DUE, Ending.UNSEEN),
        (Correction.BLOCKED, Ending.SOMEBODY),
        (Correction.OBSERVED, Ending.SOMEBODY),
    ],
)
def test_who_ended_it(correction: Correction, ending: Ending) -> None:
    journal = follow_drifts(settled(), look(1060.0, differing()))
    drift = replace(open_drift(journal), correction=correction)
    journal = follow_drifts(replace(journal, drifts={drift.key: drift}), look(1120.0, decide()))
    assert not journal.drifts
    assert (journal.past[0].ending, journal.past[0].ended) == (ending, 1120.0)


@pytest.mark.parametrize(
    ("decision", "more", "correction", "because"),
    [
        (differing(), {}, Correction.DUE, ""),
        (differing(), {"outcomes": (outcome(),)}, Correction.DONE, ""),
        (
            differing(),
            {"outcomes": (outcome(result=Result.FAILED, because="Azure said no"),)},
            Correction.BLOCKED,
            "Azure said no",
        ),
        (differing(), {"outcomes": (outcome(result=Result.STALE, because="it moved"),)}, Correction.DUE, "it moved"),
        (differing(), {"refused": "the daemon only observes"}, Correction.OBSERVED, "the daemon only observes"),
        (
            differing(
                state=DecisionState.BLOCKED,
                code="paused",
                reason="paused; last changed by X",
                who="; last changed by X",
            ),
            {},
            Correction.BLOCKED,
            "paused",
        ),
        (differing(state=DecisionState.DRIFTED, action=None), {}, Correction.OBSERVED, "it is only observed"),
        (differing(state=DecisionState.IN_PROGRESS, reason="follows"), {}, Correction.DUE, "follows"),
        (differing(state=DecisionState.BLOCKED, code="given_up"), {}, Correction.GIVEN_UP, "differs"),
    ],
)
def test_what_becomes_of_its_correction(
    decision: Decision, more: dict[str, Any], correction: Correction, because: str
) -> None:
    drift = open_drift(follow_drifts(settled(), look(1060.0, decision, **more)))
    assert (drift.correction, drift.because) == (correction, because)


def test_a_safety_limit_keeps_it_from_being_put_right() -> None:
    plan = plan_of(differing(), stopped="too many changes")
    drift = open_drift(follow_drifts(settled(), Look(plan=plan, now=1060.0)))
    assert (drift.correction, drift.because) == (Correction.BLOCKED, "too many changes")


def test_another_wish_in_its_document_ends_it() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing()))
    other = replace(LOCAL_AUTH, after=None)
    journal = follow_drifts(journal, look(1120.0, differing(wants="w2", changes=(other,))))
    assert not journal.drifts
    assert journal.past[0].ending is Ending.DOCUMENT


@pytest.mark.parametrize("ignored", [True, False])
def test_a_document_that_lets_go_of_it_or_is_gone_ends_it(ignored: bool) -> None:
    journal = follow_drifts(settled(), look(1060.0, differing()))
    now = (decide(state=DecisionState.IGNORED),) if ignored else ()
    journal = follow_drifts(journal, look(1120.0, *now))
    assert journal.past[0].ending is Ending.DOCUMENT


def test_what_no_document_declares_for_a_while_is_nobody_s_to_keep_as_it_was() -> None:
    """What others did to it meanwhile was theirs to do; and what is forgotten takes no room."""
    journal = follow_drifts(settled(), look(1060.0))
    assert journal.settled == {}
    assert not follow_drifts(journal, look(1120.0, differing())).drifts


def test_one_fleet_forgets_nothing_of_another_and_takes_what_it_knew_with_it() -> None:
    journal = settled()
    other = replace(look(1060.0, decide()), plan=replace(plan_of(decide()), fleet="dev"))
    both = follow_drifts(journal, other)
    assert len(both.settled) == 2
    assert follow_drifts(both, replace(other, plan=replace(plan_of(), fleet="dev"))).settled == journal.settled
    assert forget_fleet(both, "dev", 1120.0).settled == journal.settled


def test_while_documents_are_broken_what_is_in_none_is_not_over() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing()))
    broken = plan_of(findings=(Finding(code="x", message="broken"),))
    assert follow_drifts(journal, Look(plan=broken, now=1120.0)).drifts == journal.drifts


def test_a_connection_whose_account_is_not_read_is_neither_over_nor_forgotten() -> None:
    connection = ONE.child("privateEndpointConnections", "c1")
    unread = decide(state=DecisionState.BLOCKED, code="unknown", missing=True)
    journal = follow_drifts(settled(decide(), decide(connection)), look(1060.0, decide(), differing(connection)))
    during = follow_drifts(journal, look(1120.0, unread))
    assert (during.drifts, during.settled) == (journal.drifts, journal.settled)
    assert follow_drifts(during, look(1180.0, decide())).past[0].ending is Ending.DOCUMENT


def test_what_a_broken_document_may_declare_is_neither_over_nor_forgotten() -> None:
    broken = (Finding(code="x", message="broken"),)
    left = decide(wants="", state=DecisionState.BLOCKED, code="incomplete")
    journal = follow_drifts(settled(), look(1060.0, differing()))
    during = follow_drifts(journal, Look(plan=plan_of(left, findings=broken), now=1120.0))
    assert (during.drifts, during.settled) == (journal.drifts, journal.settled)
    quiet = follow_drifts(settled(), Look(plan=plan_of(left, findings=broken), now=1120.0))
    assert follow_drifts(quiet, look(1180.0, differing())).drifts


@pytest.mark.parametrize(
    "unread",
    [
        decide(state=DecisionState.BLOCKED, code="unknown", reason="could not be read"),
        decide(state=DecisionState.IN_PROGRESS, reason="Azure is still working on it"),
    ],
)
def test_what_could_not_be_seen_is_neither_new_nor_over(unread: Decision) -> None:
    journal = follow_drifts(settled(), look(1060.0, unread))
    assert not journal.drifts
    journal = follow_drifts(journal, look(1120.0, differing()))
    drifts = journal.drifts
    assert follow_drifts(journal, look(1180.0, unread)).drifts == drifts


def test_another_fleets_drifts_are_left_alone_and_a_fleet_that_is_gone_has_none() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing()))
    other = replace(look(1120.0), plan=replace(plan_of(), fleet="dev"))
    assert follow_drifts(journal, other).drifts == journal.drifts
    assert not forget_fleet(journal, "prod", 1180.0).drifts
    assert forget_fleet(journal, "dev", 1180.0).drifts == journal.drifts


# -- whose it is


def test_whoever_its_decision_names_is_its_author() -> None:
    author = Actor(name=MALLORY, at="1970-01-01T00:17:20Z")
    drift = open_drift(follow_drifts(settled(), look(1060.0, differing(author=author))))
    assert (drift.actor, drift.since) == (MALLORY, "1970-01-01T00:17:20Z")


def test_we_are_not_and_nobody_is_who_was_there_before() -> None:
    """Two minutes before the look that found all as declared, at 1000 s, somebody else did something else."""
    for author in (Actor(name=US), Actor(name=MALLORY, at="1970-01-01T00:14:40Z")):
        drift = open_drift(follow_drifts(settled(), look(1060.0, differing(author=author))))
        assert drift.actor == UNKNOWN_YET


def test_who_it_was_may_be_heard_when_it_is_over() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing(), outcomes=(outcome(),)))
    journal = follow_drifts(journal, look(1120.0, decide()))
    assert find_wondered(journal, "prod", 1180.0) == {ONE}
    heard = {ONE: Actor(name=MALLORY, at="1970-01-01T00:17:20Z")}
    journal = follow_drifts(journal, look(1180.0, decide(), heard=heard))
    assert journal.past[0].actor == MALLORY
    assert not find_wondered(journal, "prod", 1180.0)


def test_who_wrote_to_something_has_not_taken_it_away() -> None:
    """The log lags: of what is gone it may tell no more yet than who wrote to it before."""
    wrote = Actor(name="eve", at="1970-01-01T00:17:20Z", operation="Microsoft.CognitiveServices/accounts/write")
    took = Actor(name=MALLORY, at="1970-01-01T00:17:30Z", operation="Microsoft.CognitiveServices/accounts/delete")
    gone = differing(missing=True, changes=())
    journal = follow_drifts(settled(), look(1060.0, gone, outcomes=(outcome(),), heard={ONE: wrote}))
    assert open_drift(journal).actor == UNKNOWN_YET
    over = follow_drifts(journal, look(1120.0, decide(), heard={ONE: wrote}))
    assert over.past[0].actor == UNKNOWN_YET
    assert follow_drifts(over, look(1180.0, decide(), heard={ONE: took})).past[0].actor == MALLORY


def test_whoever_came_after_it_was_over_had_nothing_to_do_with_it() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing(), outcomes=(outcome(),)))
    over = follow_drifts(journal, look(1120.0, decide()))
    later = {ONE: Actor(name="eve", at="1970-01-01T00:18:50Z")}  # 1130 s
    assert follow_drifts(over, look(1180.0, decide(), heard=later)).past[0].actor == UNKNOWN_YET


def test_whoever_was_put_right_is_not_named_for_what_somebody_does_right_after_that() -> None:
    """The log lags: of an edit twenty seconds after the first it tells no more yet than who made the first."""
    first, second = Actor(name="eve", at="1970-01-01T00:17:20Z"), Actor(name=MALLORY, at="1970-01-01T00:17:45Z")
    journal = follow_drifts(settled(), look(1045.0, differing(), outcomes=(outcome(),), heard={ONE: first}))
    over = follow_drifts(journal, look(1060.0, decide()))
    assert over.past[0].actor == "eve"
    back = follow_drifts(over, look(1075.0, differing(), heard={ONE: first}))
    assert open_drift(back).actor == UNKNOWN_YET
    assert open_drift(follow_drifts(back, look(1090.0, differing(), heard={ONE: second}))).actor == MALLORY


def test_it_is_asked_for_a_quarter_of_an_hour() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing()))
    assert find_wondered(journal, "prod", 1060.0 + ASKED_FOR) == {ONE}
    assert not find_wondered(journal, "prod", 1061.0 + ASKED_FOR)
    assert not find_wondered(journal, "dev", 1060.0)


def test_names_that_would_move_a_cursor_are_shown() -> None:
    author = Actor(name="evil\x1b[31m\n")
    drift = open_drift(follow_drifts(settled(), look(1060.0, differing(author=author))))
    assert drift.actor == "evil\\x1b[31m\\n"


# -- what comes back


def undo(journal: Journal, times: int, began: float = 1060.0) -> tuple[Journal, float]:
    """Somebody undoes us so often, right after each correction."""
    now = began
    for _ in range(times):
        journal = follow_drifts(journal, look(now, differing(), outcomes=(outcome(),)))
        journal = follow_drifts(journal, look(now + 1, decide()))
        now += MINUTE
    return journal, now


def test_what_comes_back_is_known_again() -> None:
    journal, now = undo(settled(), 2)
    drift = open_drift(follow_drifts(journal, look(now, differing())))
    assert (drift.returns, len(drift.undone)) == (2, 2)
    assert drift.first_seen == now


def test_what_comes_back_before_anybody_saw_it_right_counts_too() -> None:
    journal = settled()
    for number in range(3):
        journal = follow_drifts(journal, look(1060.0 + number * MINUTE, differing(), outcomes=(outcome(),)))
    assert open_drift(journal).returns == 2


def test_whoever_undoes_us_is_asked_for_anew() -> None:
    first, other = Actor(name=MALLORY, at="1970-01-01T00:17:20Z"), Actor(name="eve", at="1970-01-01T01:06:40Z")
    journal = follow_drifts(settled(), look(1060.0, differing(), outcomes=(outcome(),), heard={ONE: first}))
    assert open_drift(journal).actor == MALLORY
    back = follow_drifts(journal, look(4660.0, differing()))
    assert (open_drift(back).actor, open_drift(back).since) == (UNKNOWN_YET, "")
    assert find_wondered(back, "prod", 4660.0 + ASKED_FOR) == {ONE}
    assert not find_wondered(back, "prod", 4661.0 + ASKED_FOR)
    # The log lags: at first it still tells of the one before.
    late = follow_drifts(back, look(4720.0, differing(), heard={ONE: first}))
    assert open_drift(late).actor == UNKNOWN_YET
    assert open_drift(follow_drifts(late, look(4780.0, differing(), heard={ONE: other}))).actor == "eve"


def test_the_same_look_told_twice_counts_once() -> None:
    journal = follow_drifts(settled(), look(1060.0, differing(), outcomes=(outcome(),)))
    once = follow_drifts(journal, look(1120.0, differing()))
    assert follow_drifts(once, look(1120.0, differing())) == once


def test_what_somebody_else_put_right_is_no_fight_when_it_comes_back() -> None:
    blocked = differing(state=DecisionState.BLOCKED, code="paused")
    journal = settled()
    for number in range(5):
        journal = follow_drifts(journal, look(1060.0 + number * 120, blocked))
        journal = follow_drifts(journal, look(1120.0 + number * 120, decide()))
    drift = open_drift(follow_drifts(journal, look(2000.0, blocked)))
    assert (drift.returns, drift.undone) == (5, ())


@pytest.mark.parametrize(("times", "held"), [(1, False), (2, False), (3, True)])
def test_a_fight_is_not_gone_on_with_after_so_many_rounds(times: int, held: bool) -> None:
    journal, now = undo(settled(), times)
    assert bool(hold_fights(journal, "prod", now, Rounds())) is held


def test_edits_of_one_field_after_another_are_no_fight() -> None:
    journal, now = settled(), 1060.0
    for number in range(5):
        other = FieldChange(path=f"tags.{number}", before="x", after="y")
        journal = follow_drifts(journal, look(now, differing(changes=(other,)), outcomes=(outcome(),)))
        journal = follow_drifts(journal, look(now + 60, decide()))
        now += 120
    assert journal.past[-1].returns == 4
    assert not hold_fights(journal, "prod", now, Rounds())


def test_a_fight_is_about_the_fields_that_are_undone() -> None:
    journal, now = undo(settled(), 3)
    (held,) = hold_fights(journal, "prod", now, Rounds()).values()
    assert held.paths == {"disableLocalAuth"}


def test_rounds_that_are_far_apart_are_no_fight() -> None:
    journal, now = settled(), 1060.0
    for _ in range(5):
        journal, _end = undo(journal, 1, began=now)
        now += 3700.0
    assert not hold_fights(journal, "prod", now, Rounds())


def test_a_fight_that_was_given_up_rests_for_hours_and_one_more_round_is_enough() -> None:
    journal, now = undo(settled(), 3)
    (held,) = hold_fights(journal, "prod", now, Rounds()).values()
    assert held.wants == "w1"
    assert held.reason == "somebody (unknown yet) undid it 3 times, so it is left as it is"
    given_up = differing(state=DecisionState.BLOCKED, code="given_up")
    journal = follow_drifts(journal, look(now, given_up))
    assert open_drift(journal).yielded == now
    rest = 6 * 3600.0
    assert hold_fights(journal, "prod", now + rest - 1, Rounds())
    assert not hold_fights(journal, "prod", now + rest, Rounds())
    journal, now = undo(journal, 1, began=now + rest)
    assert hold_fights(journal, "prod", now, Rounds())


def test_a_fight_tells_how_often_it_was_undone_of_late_before_it_is_given_up_and_after() -> None:
    """What came back on quieter days is not a part of it."""
    journal, now = settled(), 1060.0
    for _ in range(3):
        journal, _end = undo(journal, 1, began=now)
        now += 3700.0
    journal, now = undo(journal, 2, began=now)
    (held,) = hold_fights(journal, "prod", now, Rounds()).values()
    journal = follow_drifts(journal, look(now, differing(state=DecisionState.BLOCKED, code="given_up")))
    (after,) = hold_fights(journal, "prod", now + MINUTE, Rounds()).values()
    assert (held.times, after.times) == (3, 3)


def test_a_fight_of_another_fleet_is_none_of_ours() -> None:
    journal, now = undo(settled(), 3)
    assert not hold_fights(journal, "dev", now, Rounds())


def test_a_fault_without_words_is_told_by_itself() -> None:
    fault = Fault(cls=FaultClass.INVALID, code="Bad", message="no")
    failed = outcome(result=Result.FAILED, fault=fault)
    drift = open_drift(follow_drifts(settled(), look(1060.0, differing(), outcomes=(failed,))))
    assert drift.because == "Bad: no"
