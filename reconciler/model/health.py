"""How the daemon is: all that is shown of it outside, as values of one moment. Who shows them looks nothing up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import Final

from reconciler.model.alert import BLANK, Journal
from reconciler.model.finding import Fault, Finding
from reconciler.model.outcome import CycleReport
from reconciler.model.pause import Pause
from reconciler.model.quota import Ledger

# Seconds: a quiet pass takes a few, one that waits for provisioning the whole interval and more.
BOUNDS: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class PassResult(StrEnum):
    """How a pass went: every fleet was looked at whole, something could not be read, or a fleet was not seen at all. A
    fleet that takes longer than a pass has been seen by an earlier one, or has not been yet."""

    OK = "ok"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRecord:
    """One pass in numbers; times are epoch seconds. `writes` are steps that were done, `failed` those that did not end
    well, and `waits` those that go on."""

    began: float
    ended: float
    trigger: str
    result: PassResult
    fleets: int
    writes: int = 0
    failed: int = 0
    waits: int = 0
    requests: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetHealth:
    """One fleet. `report` is of the last pass that saw it, at `looked_at`; `fault` says why the last one did not.

    `in_sync_at` is when all of it was last found as declared, None while that never was. `ledger` is what is known of
    its quota, of each region since the moment that `measured` says: a quiet pass asks about few. `under_way`: its last
    cycle takes longer than a pass.
    """

    name: str
    under_way: bool = False
    report: CycleReport | None = None
    fault: Fault | None = None
    looked_at: float | None = None
    in_sync_at: float | None = None
    ledger: Ledger | None = None
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def measured_at(self) -> float | None:
        """Since when all that is known of its quota has been known."""
        return min(self.measured.values(), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """How long passes took: how many no longer than each of `BOUNDS`, how many in all, and their seconds together."""

    within: tuple[int, ...] = (0,) * len(BOUNDS)
    number: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tallies:
    """What has been counted since the process began. `actions` is by fleet, action and result; `requests` by HTTP
    status, or `none` where no answer came."""

    passes: Mapping[PassResult, int] = field(default_factory=dict)
    triggers: Mapping[str, int] = field(default_factory=dict)
    actions: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    durations: Durations = Durations()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership:
    """A lease as this process, which is `identity` to others, knows it. `holder` is whose it is, "" while nobody's or
    not known. `term` counts from whoever led first, and `renewed_at` is when the lease was last renewed, by us or seen
    to be: None where that is not known, or there is no such thing. `silence` is for how many seconds nobody has looked
    after it, and `patience` how many that may be. `why` is for people, such as "is held by pod-a"."""

    name: str
    identity: str
    holder: str = ""
    term: int | None = None
    renewed_at: float | None = None
    silence: float = 0.0
    patience: float = inf
    why: str

    @property
    def told(self) -> str:
        return f"the lease {self.name} {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The daemon at `taken_at`; times are epoch seconds, the rest seconds.

    `silence` is for how long the loop has given no sign of life, and `patience` how long it may. `succeeded_at` is when
    a pass last ended that was not `failed`. `stopping` says why nothing is begun any more, `fault` why the last pass
    saw nothing at all, `unkept` why the journal is not kept. `allowances` are the requests that Azure still grants, by
    class, where that is tightest. Without a lease there is no `leadership`.
    """

    taken_at: float
    began_at: float
    version: str = ""
    interval: float
    leads: bool = True
    leadership: Leadership | None = None
    observes: bool = False
    stopping: str = ""
    silence: float = 0.0
    patience: float
    passing_since: float | None = None
    succeeded_at: float | None = None
    fault: Fault | None = None
    fleets: tuple[FleetHealth, ...] = ()
    passes: tuple[PassRecord, ...] = ()  # the newest first
    findings: tuple[Finding, ...] = ()
    pauses: tuple[Pause, ...] = ()
    journal: Journal = BLANK
    unkept: str = ""
    tallies: Tallies = Tallies()
    allowances: Mapping[str, float] = field(default_factory=dict)
