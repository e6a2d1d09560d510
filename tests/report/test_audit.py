"""A write as an event: its diff, in people's words, and what came of it."""

from __future__ import annotations

import io
import json

import pytest
import structlog

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.plan import Action, Phase, Step, Verb, Warrant
from reconciler.model.ports import Answer
from reconciler.report.audit import AuditLog, AuditTrail, tell_diff
from reconciler.runtime.logs import configure_logs
from tests.report.samples import ACCOUNT, CREATE_STEP, DELETE_STEP, FORBIDDEN, UPDATE_STEP
from tests.support.logged import logged

WARRANT = Warrant(fleet="prod", plan="sha256:1", reason="differs\x1b[31m", principal="us")


def test_of_an_update_only_what_changes_is_told() -> None:
    assert tell_diff(UPDATE_STEP) == {"disableLocalAuth": "false -> true"}


def test_of_something_new_everything_is_told() -> None:
    assert tell_diff(CREATE_STEP) == {"model.name": "none -> gpt-4o"}


def test_a_delete_changes_no_field() -> None:
    assert tell_diff(DELETE_STEP) == {}


def test_of_a_list_is_told_what_comes_and_goes_and_never_without_end() -> None:
    rules = [f"203.0.113.{number}" for number in range(256)]
    step = Step(
        name="a#write-1",
        id=ACCOUNT,
        verb=Verb.PATCH,
        action=Action.UPDATE,
        phase=Phase.LOOSEN,
        fields={"networkAcls.ipRules": ["192.0.2.1", "192.0.2.2"], "tags.a": "x" * 5000},
        expects={"networkAcls.ipRules": ["192.0.2.2", *rules[:1]], "tags.a": None},
    )
    diff = tell_diff(step)
    assert diff["networkAcls.ipRules"] == "+192.0.2.1, -203.0.113.0"
    assert len(diff["tags.a"]) == 1000


def test_what_moves_a_cursor_is_told_as_text() -> None:
    with logged() as logs:
        AuditLog().sending(WARRANT, UPDATE_STEP)
    assert logs[0]["reason"] == "differs\\x1b[31m"


@pytest.mark.parametrize(("auditor", "told"), [(AuditLog(), 0), (AuditTrail(), 2)])
def test_a_trail_is_written_however_quiet_the_log_is(auditor: AuditLog, told: int) -> None:
    before, stream = structlog.get_config(), io.StringIO()
    try:
        configure_logs("json", "error", stream)
        auditor.sending(WARRANT, UPDATE_STEP)
        auditor.answered(WARRANT, UPDATE_STEP, Answer(request_id="r"))
        structlog.get_logger("reconciler").warning("lease.lost")
    finally:
        structlog.configure(**before)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(each["event"], each["level"]) for each in lines] == [
        ("write.sending", "info"),
        ("write.answered", "info"),
    ][:told]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (Answer(request_id="r"), "accepted"),
        (Answer(fault=FORBIDDEN), "refused"),
        (Answer(fault=Fault(cls=FaultClass.TRANSIENT, code="cut", message="cut")), "unknown"),
        (Answer(fault=Fault(cls=FaultClass.TRANSIENT, code="gate", message="closed", applied=False)), "unsent"),
        (None, "unknown"),
    ],
)
def test_what_came_of_it_is_one_word(answer: Answer | None, result: str) -> None:
    with logged() as logs:
        AuditLog().answered(WARRANT, UPDATE_STEP, answer)
    assert logs[0]["result"] == result
    assert logs[0]["request_id"] == {"accepted": "r", "refused": "req-1"}.get(result)
