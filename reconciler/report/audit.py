"""Report: every write as two log events, for whoever asks later what was done and why. Keeps the `Auditor` port.

`write.sending` says all about it before it leaves, so that nothing that ends the process leaves a write untold;
`write.answered` what Azure said. What is sensitive is masked, and no body is told.
"""

from __future__ import annotations

import logging
from typing import Final

import structlog
from structlog.typing import FilteringBoundLogger

from reconciler.model.plan import FieldChange, Step, Warrant
from reconciler.model.ports import Answer
from reconciler.model.text import plain
from reconciler.report.words import is_sensitive, tell_change

_LONGEST: Final = 1000  # characters of one field


class AuditLog:
    """Tells every write at the level of information."""

    def __init__(self) -> None:
        self._log: FilteringBoundLogger = structlog.get_logger("reconciler")

    def sending(self, warrant: Warrant, step: Step) -> None:
        self._log.info(
            "write.sending",
            fleet=warrant.fleet,
            plan=warrant.plan,
            step=step.name,
            id=str(step.id),
            verb=step.verb.value,
            action=step.action.value,
            reason=plain(warrant.reason),
            diff=tell_diff(step),
            actor=warrant.principal,
        )

    def answered(self, warrant: Warrant, step: Step, answer: Answer | None) -> None:
        fault = answer.fault if answer else None
        request_id = answer.request_id if answer else None
        self._log.info(
            "write.answered",
            fleet=warrant.fleet,
            plan=warrant.plan,
            step=step.name,
            id=str(step.id),
            result=_tell_result(answer),
            status=fault.status if fault else None,
            code=fault.code if fault else None,
            request_id=request_id or (fault.request_id if fault else None),
            actor=warrant.principal,
        )


class AuditTrail(AuditLog):
    """The same whatever level the log has: who wants it quiet does not want to lose what was written, and why."""

    def __init__(self) -> None:
        self._log = structlog.wrap_logger(None, wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET))


def _tell_result(answer: Answer | None) -> str:
    """Whether Azure took it: `unsent` where it certainly never left, `unknown` where nobody heard what came of it."""
    if answer is None:
        return "unknown"
    if answer.fault is None:
        return "accepted"
    if not answer.fault.applied and answer.fault.status is None:
        return "unsent"
    return "refused" if answer.fault.status is not None else "unknown"


def tell_diff(step: Step) -> dict[str, str]:
    """What the write changes, by path; of a list what comes and goes."""
    before = step.expects or {}
    told: dict[str, str] = {}
    for path, after in step.fields.items():
        change = FieldChange(path=path, before=before.get(path), after=after, sensitive=is_sensitive(step.id, path))
        if change.before != change.after:
            told[path] = _cut(", ".join(tell_change(change)))
    return told


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
