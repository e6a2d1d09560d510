"""What the daemon knows of itself, kept from pass to pass, and given as a frozen `Health` to whoever shows it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict

from reconciler.model.alert import BLANK, Journal
from reconciler.model.finding import Fault
from reconciler.model.health import BOUNDS, Durations, FleetHealth, Health, PassRecord, PassResult, Tallies
from reconciler.model.outcome import CycleReport, Pass, Result
from reconciler.model.ports import Alone, Clock, Lease
from reconciler.model.quota import Ledger

_KEPT = 30  # passes
_PATIENCE = 900.0  # seconds; Azure may ask for a pause of some minutes, and answer slowly after it
_ABOUT_PASSES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What the way to Azure knows of itself: answers by status, when the last one came on the monotonic clock, and the
    requests that are granted yet by class."""

    answers: Mapping[str, int] = field(default_factory=dict)
    answered_at: float = 0.0
    allowances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is asked for at the moment when somebody looks."""

    clock: Clock
    lease: Lease = field(default_factory=Alone)
    stopping: Callable[[], str] = str
    traffic: Callable[[], Traffic] = Traffic
    journal: Callable[[], Journal] = lambda: BLANK
    unkept: Callable[[], str] = str


class Pulse:
    """Keeps the `Onlooker` port. `close` is told every pass."""

    def __init__(self, sources: Sources, *, interval: float, observes: bool = False, version: str = "") -> None:
        self._sources = sources
        self._interval = interval
        clock = sources.clock
        self._beat = clock.monotonic()
        self._health = Health(
            taken_at=clock.now(),
            began_at=clock.now(),
            version=version,
            interval=interval,
            observes=observes,
            patience=max(_PATIENCE, _ABOUT_PASSES * interval),
        )
        self._fleets: dict[str, FleetHealth] = {}
        self._passes: deque[PassRecord] = deque(maxlen=_KEPT)
        self._results: Counter[PassResult] = Counter()
        self._triggers: Counter[str] = Counter()
        self._actions: Counter[tuple[str, str, str]] = Counter()
        self._durations = Durations()

    def heard(self, triggers: tuple[str, ...]) -> None:
        self._beat = self._sources.clock.monotonic()
        self._triggers.update(triggers)
        self._health = replace(self._health, passing_since=self._sources.clock.now() if self._leads else None)

    async def close(self, done: Pass) -> None:
        self._beat = self._sources.clock.monotonic()
        record = _record(done)
        self._passes.appendleft(record)
        self._results[record.result] += 1
        self._durations = _add(self._durations, done.ended - done.began)
        self._count_actions(done)
        # A pass that saw no documents says nothing about which fleets there are.
        if "" not in done.faults:
            names = sorted({*done.reports, *done.faults, *done.under_way})
            self._fleets = {name: self._follow(name, done) for name in names}
        self._health = replace(
            self._health,
            passing_since=None,
            succeeded_at=done.ended if self._succeeded(record) else self._health.succeeded_at,
            fault=done.faults.get(""),
            findings=done.findings,
            pauses=done.pauses,
        )

    def look(self) -> Health:
        """How everything is now."""
        clock, traffic = self._sources.clock, self._sources.traffic()
        alive = max(self._beat, traffic.answered_at)
        return replace(
            self._health,
            taken_at=clock.now(),
            leads=self._leads,
            leadership=self._sources.lease.look(),
            stopping=self._sources.stopping(),
            silence=max(0.0, clock.monotonic() - alive),
            passing_since=self._health.passing_since if self._leads else None,
            fleets=tuple(self._fleets.values()),
            passes=tuple(self._passes),
            journal=self._sources.journal(),
            unkept=self._sources.unkept(),
            tallies=Tallies(
                passes=dict(self._results),
                triggers=dict(self._triggers),
                actions=dict(self._actions),
                requests=dict(traffic.answers),
                durations=self._durations,
            ),
            allowances=dict(traffic.allowances),
        )

    @property
    def _leads(self) -> bool:
        return self._sources.lease.remaining() > 0

    def _follow(self, name: str, done: Pass) -> FleetHealth:
        known = self._fleets.get(name) or FleetHealth(name=name)
        known = replace(known, under_way=name in done.under_way)
        report = done.reports.get(name)
        if report is None:
            return replace(known, fault=done.faults.get(name, known.fault if known.under_way else None))
        plan = report.plan
        return replace(
            known,
            report=report,
            fault=None,
            looked_at=report.ended,
            in_sync_at=report.ended if plan.converged else known.in_sync_at,
            **_measure(known, report),
        )

    def _succeeded(self, record: PassRecord) -> bool:
        """Whether every fleet was seen, by this pass or by one shortly before."""
        since = record.ended - _ABOUT_PASSES * self._interval
        slow = [each for each in self._fleets.values() if each.under_way and (each.looked_at or 0.0) < since]
        return record.result is not PassResult.FAILED and not slow

    def _count_actions(self, done: Pass) -> None:
        for fleet, report in done.reports.items():
            for outcome in report.outcomes:
                self._actions[fleet, outcome.step.action.value, outcome.result.value] += 1


class _Measured(TypedDict):
    ledger: Ledger | None
    measured: Mapping[str, float]


def _measure(known: FleetHealth, report: CycleReport) -> _Measured:
    """What is known of quota after a cycle, region by region: of one that could not be read what was known before."""
    ledger, measured = known.ledger, dict(known.measured)
    for fresh in (report.ledger, report.plan.ledger):
        if fresh is None:
            continue
        old = ledger or Ledger()
        regions = {pool.location for pool in fresh.pools}
        unread = {place: fault for place, fault in old.unread.items() if place not in regions}
        ledger = replace(
            fresh if fresh is report.plan.ledger else old,
            pools=(*(pool for pool in old.pools if pool.location not in regions), *fresh.pools),
            unread={**unread, **fresh.unread},
        )
        measured |= dict.fromkeys(regions, report.ended)
    if ledger is None or not report.regions:
        return {"ledger": ledger, "measured": measured}
    pools = tuple(pool for pool in ledger.pools if pool.location in report.regions)
    unread = {place: fault for place, fault in ledger.unread.items() if place in report.regions}
    measured = {place: at for place, at in measured.items() if place in report.regions}
    return {"ledger": replace(ledger, pools=pools, unread=unread), "measured": measured}


def _record(done: Pass) -> PassRecord:
    results = Counter(each.result for report in done.reports.values() for each in report.outcomes)
    well = (Result.DONE, Result.IN_PROGRESS, Result.NOT_STARTED)
    return PassRecord(
        began=done.began,
        ended=done.ended,
        trigger=done.trigger,
        result=_judge(done),
        fleets=len({*done.reports, *done.faults, *done.under_way} - {""}),
        writes=results[Result.DONE],
        failed=sum(number for result, number in results.items() if result not in well),
        waits=results[Result.IN_PROGRESS],
        requests=sum(report.requests for report in done.reports.values()),
        why=_tell_why(done),
    )


def _judge(done: Pass) -> PassResult:
    reports: list[CycleReport] = [*done.reports.values()]
    if done.faults or any(report.plan.unseen for report in reports):
        return PassResult.FAILED
    return PassResult.OK if all(report.plan.complete for report in reports) else PassResult.PARTIAL


def _tell_why(done: Pass) -> str:
    faults: list[tuple[str, Fault]] = [*done.faults.items()]
    faults += [(name, fault) for name, report in done.reports.items() for _, fault in report.plan.blind]
    if not faults:
        return ""
    name, fault = faults[0]
    return f"{name}: {fault}" if name else str(fault)


def _add(known: Durations, seconds: float) -> Durations:
    first = bisect_left(BOUNDS, seconds)
    within = tuple(number + (place >= first) for place, number in enumerate(known.within))
    return Durations(within=within, number=known.number + 1, seconds=known.seconds + seconds)
