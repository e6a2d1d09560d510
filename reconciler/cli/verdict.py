"""From what was found to an exit code. Pure; the worst fleet decides, and an error is worse than a stop."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.cli.parser import Exit
from reconciler.model.outcome import CycleReport, Result
from reconciler.model.plan import DecisionState, Plan
from reconciler.report.summary import merge_outcomes

_WORST_FIRST = (Exit.ERROR, Exit.STOPPED, Exit.CHANGES, Exit.BLOCKED, Exit.OK)
_WAITING = (DecisionState.BLOCKED, DecisionState.IN_PROGRESS)


def judge_plans(plans: Iterable[Plan]) -> Exit:
    """A dry run: whether anything could not be read, would be stopped, would be done, or is held up."""
    return _worst(_judge_plan(plan) for plan in plans)


def judge_runs(runs: Iterable[tuple[CycleReport, ...]]) -> Exit:
    """A run: whether everything is as declared, and if not, what kept it."""
    return _worst(_judge_run(reports) for reports in runs)


def judge_outcome(result: Result) -> Exit:
    """A single write: whether it is done, and if not, what kept it."""
    if result is Result.STALE:
        return Exit.STOPPED
    if result in (Result.BLOCKED, Result.IN_PROGRESS):
        return Exit.BLOCKED
    return Exit.OK if result is Result.DONE else Exit.ERROR


def _judge_plan(plan: Plan) -> Exit:
    if not plan.complete:
        return Exit.ERROR
    if plan.stopped:
        return Exit.STOPPED
    if any(decision.acts for decision in plan.decisions):
        return Exit.CHANGES
    return Exit.BLOCKED if _waits(plan) else Exit.OK


def _judge_run(reports: tuple[CycleReport, ...]) -> Exit:
    last = reports[-1]
    results = {outcome.result for outcome in merge_outcomes(reports)}
    if not last.plan.complete or results & {Result.FAILED, Result.NOT_CONVERGING}:
        return Exit.ERROR
    if last.plan.stopped or last.refused:
        return Exit.STOPPED
    if results - {Result.DONE} or _waits(last.plan):
        return Exit.BLOCKED
    # Writes that were never begun, because the time was over before the first of them.
    undone = any(decision.acts for decision in last.plan.decisions) and not last.outcomes
    return Exit.BLOCKED if undone else Exit.OK


def _waits(plan: Plan) -> bool:
    """Whether anything is held up, or a pool lacks something that nobody can give it."""
    lacks = any(spread.shortfall for spread in plan.spreads)
    return lacks or any(decision.state in _WAITING for decision in plan.decisions)


def _worst(codes: Iterable[Exit]) -> Exit:
    found = set(codes)
    return next((code for code in _WORST_FIRST if code in found), Exit.OK)
