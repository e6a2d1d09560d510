"""Report: what the executor does, as log events with fields. Keeps the `Watcher` port, for machines that read logs."""

from __future__ import annotations

import structlog

from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Plan, Step
from reconciler.report.summary import summarise

_log = structlog.get_logger("reconciler")


class Events:
    """Tells every step as an event; what did not end well is a warning."""

    def planned(self, plan: Plan) -> None:
        summary = summarise(plan)
        _log.info(
            "cycle.planned",
            fleet=plan.fleet,
            digest=plan.digest,
            changes=summary.changes,
            writes=len(plan.steps),
            requests=plan.requests_spent,
            stopped=plan.stopped,
        )

    def started(self, step: Step) -> None:
        _log.info("step.started", step=step.name, id=str(step.id), action=step.action.value)

    def waiting(self, step: Step, why: str, seconds: float) -> None:
        _log.info("step.waiting", step=step.name, id=str(step.id), why=why, seconds=round(seconds, 1))

    def finished(self, outcome: Outcome) -> None:
        told = _log.info if outcome.result is Result.DONE else _log.warning
        told(
            "step.finished",
            step=outcome.step.name,
            id=str(outcome.step.id),
            action=outcome.step.action.value,
            result=outcome.result.value,
            because=outcome.because,
            fault=outcome.fault.code if outcome.fault else None,
            request_id=outcome.fault.request_id if outcome.fault else None,
            seconds=round(outcome.ended - outcome.began, 3),
            requests=outcome.requests,
        )
