"""What became of a plan: an `Outcome` for every step, a `CycleReport` for the whole, a `Pass` for all fleets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.finding import Fault, Finding
from reconciler.model.ids import ArmId
from reconciler.model.memory import NOTHING, Memory
from reconciler.model.pause import Pause
from reconciler.model.plan import Plan, Step
from reconciler.model.quota import Ledger
from reconciler.model.reach import Way
from reconciler.model.resource import Actor


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
    `heard` is who else than us wrote last to what the cycle was asked to wonder about, as far as Azure tells yet.
    `ledger` are pools that were asked about besides the plan, and `regions` those that have anything to do with the
    fleet, where somebody wanted to know.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...] = ()
    refused: str = ""
    began: float
    ended: float
    requests: int = 0
    ways: tuple[Way, ...] = ()
    memory: Memory = NOTHING
    heard: Mapping[ArmId, Actor] = field(default_factory=dict)
    ledger: Ledger | None = None
    regions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass of the daemon over all fleets; times are epoch seconds. `trigger` is what set it off first.

    A fleet is in `reports` by its name, or in `faults` where its cycle broke off, or in `under_way` where a later pass
    will tell. `findings` are all that is wrong with
    the desired-state tree: a fleet whose own document is broken is in neither of the two. `pauses` are those that were
    in force.
    """

    began: float
    ended: float
    trigger: str
    reports: Mapping[str, CycleReport] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    faults: Mapping[str, Fault] = field(default_factory=dict)
    under_way: tuple[str, ...] = ()
    pauses: tuple[Pause, ...] = ()
