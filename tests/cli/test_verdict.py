"""Exit codes as a table: what was found, and what the pipeline is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.cli.parser import Exit
from reconciler.cli.verdict import judge_plans, judge_runs
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.plan import Decision, Plan
from tests.report.samples import (
    BLOCKED,
    CONVERGED,
    CREATE,
    CREATE_STEP,
    DELETE_STEP,
    FORBIDDEN,
    QUIET,
    WAITING,
    outcome,
    report,
)


def _plan(*decisions: Decision) -> Plan:
    return Plan(fleet="prod", decisions=decisions, steps=())


BLIND = replace(CONVERGED, blind=(("x", FORBIDDEN),))
STOPPED = replace(_plan(CREATE), stopped="too much")


@pytest.mark.parametrize(
    ("plans", "code"),
    [
        ((), Exit.OK),
        ((CONVERGED,), Exit.OK),
        ((_plan(CREATE),), Exit.CHANGES),
        ((_plan(CREATE, BLOCKED),), Exit.CHANGES),
        ((_plan(BLOCKED),), Exit.BLOCKED),
        ((_plan(WAITING, QUIET),), Exit.BLOCKED),
        ((BLIND,), Exit.ERROR),
        ((STOPPED,), Exit.STOPPED),
        ((_plan(BLOCKED), _plan(CREATE)), Exit.CHANGES),
        ((_plan(CREATE), STOPPED, CONVERGED), Exit.STOPPED),
        ((STOPPED, BLIND), Exit.ERROR),
    ],
)
def test_a_dry_run_ends_with(plans: tuple[Plan, ...], code: Exit) -> None:
    assert judge_plans(plans) is code


def _run(plan: Plan, *outcomes: Outcome, refused: str = "") -> tuple[CycleReport, ...]:
    return (report(plan, *outcomes, refused=refused),)


DONE = outcome(CREATE_STEP, Result.DONE)


@pytest.mark.parametrize(
    ("run", "code"),
    [
        (_run(CONVERGED), Exit.OK),
        ((*_run(_plan(CREATE), DONE), *_run(CONVERGED)), Exit.OK),
        (_run(_plan(CREATE), DONE), Exit.OK),
        (_run(_plan(CREATE), outcome(CREATE_STEP, Result.FAILED)), Exit.ERROR),
        (_run(_plan(CREATE), outcome(CREATE_STEP, Result.NOT_CONVERGING)), Exit.ERROR),
        (_run(_plan(CREATE), outcome(CREATE_STEP, Result.BLOCKED)), Exit.BLOCKED),
        (_run(_plan(CREATE), outcome(CREATE_STEP, Result.IN_PROGRESS)), Exit.BLOCKED),
        (_run(_plan(CREATE), DONE, outcome(DELETE_STEP, Result.NOT_STARTED)), Exit.BLOCKED),
        ((*_run(_plan(CREATE, BLOCKED), DONE), *_run(_plan(BLOCKED, QUIET))), Exit.BLOCKED),
        (_run(_plan(WAITING)), Exit.BLOCKED),
        (_run(_plan(CREATE)), Exit.BLOCKED),
        (_run(BLIND), Exit.ERROR),
        (_run(STOPPED), Exit.STOPPED),
        (_run(_plan(CREATE), refused="no"), Exit.STOPPED),
    ],
)
def test_a_run_ends_with(run: tuple[CycleReport, ...], code: Exit) -> None:
    assert judge_runs([run]) is code


def test_the_worst_fleet_decides() -> None:
    blocked, failed = _run(_plan(BLOCKED)), _run(_plan(CREATE), outcome(CREATE_STEP, Result.FAILED))
    assert judge_runs([_run(CONVERGED), blocked, failed]) is Exit.ERROR
    assert judge_runs([_run(CONVERGED), blocked]) is Exit.BLOCKED
