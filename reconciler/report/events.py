"""Report: what the executor does, as log events with fields. Keeps the `Watcher` port, for machines that read logs."""

from __future__ import annotations

import structlog

from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Plan, Step
from reconciler.report.summary import summarise

_log = structlog.get_logger("reconciler")


class Events:
    """Tells every step as an event; what did not end well is a warning. What is as it was told before is for debugging:
    the plan of a quiet pass, and Azure still working on something."""

    def __init__(self) -> None:
        self._plans: dict[str, str] = {}  # the digest of each fleet's last
        self._waits: dict[str, str] = {}  # what each step waits for

    def planned(self, plan: Plan) -> None:
        summary = summarise(plan)
        known = self._plans.get(plan.fleet) == plan.digest and not plan.steps
        self._plans[plan.fleet] = plan.digest
        told = _log.debug if known else _log.info
        told(
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
        known = self._waits.get(step.name) == why
        self._waits[step.name] = why
        told = _log.debug if known else _log.info
        told("step.waiting", step=step.name, id=str(step.id), why=why, seconds=round(seconds, 1))

    def finished(self, outcome: Outcome) -> None:
        self._waits.pop(outcome.step.name, None)
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
