"""Plans as JSON: stable, masked, and read back to hold a later run to them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.model.ids import Ref
from reconciler.model.outcome import Result
from reconciler.model.plan import Decision, Plan
from reconciler.model.resource import Actor
from reconciler.report.document import (
    Envelope,
    Selection,
    read_plan,
    render_plans,
    render_runs,
    tell_stale,
)
from tests.report.samples import (
    CONVERGED,
    CREATE_STEP,
    DELETE,
    FORBIDDEN,
    MIXED,
    OTHER,
    SECRET,
    SHRINK,
    UPDATE,
    outcome,
    report,
)

ENVELOPE = Envelope(exit_code=2, selection=Selection(targets=("Account/a",), selector="tier=prod"))


def test_a_plan_document_has_a_version_sorted_keys_and_the_digest() -> None:
    text = render_plans([MIXED], ENVELOPE)
    document = json.loads(text)
    assert text == json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False) + "\n"
    assert document["format_version"] == "1.3"
    assert document["kind"] == "plan"
    assert document["exit_code"] == 2
    fleet = document["fleets"][0]
    assert fleet["digest"] == MIXED.digest
    assert fleet["summary"]["actions"] == {
        "create": 1,
        "update": 1,
        "replace": 0,
        "delete": 1,
        "purge": 0,
        "restore": 0,
        "adopt": 0,
    }
    assert fleet["summary"]["usual_seconds"] == 41
    assert [each["ref"] for each in fleet["decisions"]][1] == "Account/aoai-old"
    assert [each["name"] for each in fleet["steps"]] == [step.name for step in MIXED.steps]


def test_a_secret_is_masked_in_json_too() -> None:
    assert "hunter" not in render_plans([SECRET], ENVELOPE)


def test_a_saved_plan_reads_back_and_holds_for_the_same_plan() -> None:
    saved = read_plan(render_plans([MIXED, replace(CONVERGED, fleet="test")], ENVELOPE))
    assert saved.selection == Selection(targets=("Account/a",), selector="tier=prod")
    assert tell_stale(saved, [replace(CONVERGED, fleet="test"), MIXED]) == ""


def test_request_counts_do_not_make_a_saved_plan_stale() -> None:
    saved = read_plan(render_plans([MIXED], ENVELOPE))
    assert tell_stale(saved, [replace(MIXED, requests_spent=99)]) == ""


def test_learning_who_did_it_does_not_make_a_saved_plan_stale() -> None:
    def told(who: str) -> Decision:
        return replace(UPDATE, reason=UPDATE.reason + who, who=who, author=Actor(name="alice"))

    early, late = told("; nobody knows"), told("; alice did it")
    others = tuple(each for each in MIXED.decisions if each is not UPDATE)
    saved = read_plan(render_plans([replace(MIXED, decisions=(*others, early))], ENVELOPE))
    assert tell_stale(saved, [replace(MIXED, decisions=(*others, late))]) == ""
    fewer = tuple(each for each in others if each is not DELETE)
    moved = tell_stale(saved, [replace(MIXED, decisions=(*fewer, late))])
    assert "aoai-old" in moved
    assert "aoai-swc" not in moved


def test_what_is_only_told_does_not_make_a_saved_plan_stale() -> None:
    def judged(reason: str) -> Plan:
        wish = replace(SHRINK, id=OTHER, ref=Ref(kind="Quota", name="sweden/pool"), reason=reason, told_only=True)
        return replace(MIXED, decisions=(*MIXED.decisions, wish))

    saved = read_plan(render_plans([judged("40 left")], ENVELOPE))
    assert tell_stale(saved, [judged("30 left")]) == ""
    moved = tell_stale(saved, [replace(judged("30 left"), decisions=judged("30 left").decisions[1:])])
    assert "Quota/" not in moved
    assert moved != ""


def test_a_stale_plan_says_what_moved() -> None:
    saved = read_plan(render_plans([MIXED], ENVELOPE))
    fewer = replace(UPDATE, changes=UPDATE.changes[:1])
    decisions = tuple(fewer if each is UPDATE else each for each in MIXED.decisions if each is not DELETE)
    moved = tell_stale(saved, [replace(MIXED, decisions=decisions)])
    assert moved == (
        "What moved since the plan was saved:\n"
        "  Account/aoai-old: delete when saved, not there now\n"
        "  Account/aoai-swc: update (disableLocalAuth, networkAcls.ipRules, tags.team) when saved, "
        "update (disableLocalAuth) now"
    )


def test_a_plan_is_stale_when_fleets_come_or_go() -> None:
    saved = read_plan(render_plans([MIXED], ENVELOPE))
    moved = tell_stale(saved, [Plan(fleet="new", decisions=(), steps=())])
    assert "fleet prod is no longer declared" in moved
    assert "fleet new was not there when it was saved" in moved


def test_a_change_of_steps_alone_is_noticed() -> None:
    saved = read_plan(render_plans([MIXED], ENVELOPE))
    assert "the order or the values of its writes" in tell_stale(saved, [replace(MIXED, steps=MIXED.steps[:1])])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "not JSON"),
        ("[]", "not a plan"),
        ('{"kind": "report"}', "not a plan"),
        ('{"kind": "plan", "format_version": "2.0"}', "format_version is 2.0"),
        ('{"kind": "plan", "format_version": "1.0"}', "damaged"),
        ('{"kind": "plan", "format_version": "1.3", "fleets": [{"fleet": "a"}], "selection": {}}', "damaged"),
        (
            '{"kind": "plan", "format_version": "1.0", "fleets": [{"fleet": "a", "digest": "", "decisions": 1}]}',
            "damaged",
        ),
    ],
)
def test_what_is_no_plan_is_refused_with_a_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_plan(text)


def test_a_later_minor_version_still_reads() -> None:
    text = render_plans([MIXED], ENVELOPE).replace('"format_version": "1.3"', '"format_version": "1.7"')
    assert read_plan(text).fleets["prod"].digest == MIXED.digest


def test_a_report_holds_the_first_plan_the_outcomes_and_what_is_left() -> None:
    failed = outcome(CREATE_STEP, Result.FAILED, fault=FORBIDDEN, because="no")
    document = json.loads(render_runs([(report(MIXED, failed), report(MIXED))], Envelope(exit_code=1)))
    fleet = document["fleets"][0]
    assert document["kind"] == "report"
    assert fleet["digest"] == MIXED.digest
    assert fleet["left"]["converged"] is False
    assert fleet["cycles"] == 2
    assert fleet["requests"] == 34
    assert fleet["outcomes"] == [
        {
            "step": CREATE_STEP.name,
            "id": str(CREATE_STEP.id),
            "action": "create",
            "result": "failed",
            "because": "no",
            "fault": {
                "class": "forbidden",
                "code": "AuthorizationFailed",
                "message": "The client has no permission",
                "advice": "grant the role Reader on the subscription",
                "status": 403,
                "request_id": "req-1",
            },
            "seconds": 41.0,
            "requests": 3,
        }
    ]
