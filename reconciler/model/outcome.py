"""What became of a plan: an `Outcome` for every step, a `CycleReport` for the whole."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.finding import Fault
from reconciler.model.memory import NOTHING, Memory
from reconciler.model.plan import Plan, Step
from reconciler.model.reach import Way


class Result(StrEnum):
    """How a step ended. `stale`: the world moved first. `not_converging`: Azure took the write and did not do it."""

    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    STALE = "stale"
    NOT_CONVERGING = "not_converging"
    IN_PROGRESS = "in_progress"
    NOT_STARTED = "not_started"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one step; times are epoch seconds on the injected clock. `because` is a sentence for people."""

    step: Step
    result: Result
    because: str = ""
    fault: Fault | None = None
    began: float
    ended: float
    requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleReport:
    """One cycle over one fleet, start to end. `refused` says why nothing was written although something was to do.

    `ways` are those that were there when the cycle looked, where somebody asked for them. `memory` is for the next one.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    refused: str = ""
    began: float
    ended: float
    requests: int = 0
    ways: tuple[Way, ...] = ()
    memory: Memory = NOTHING
