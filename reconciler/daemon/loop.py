"""For ever: wait for a trigger, look whether we lead, one pass over all fleets at once, close it; end in order.

A fleet whose cycle breaks off spoils only itself. Knows no class that keeps a port, and nothing of time but the clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from math import isinf
from typing import Protocol, TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from reconciler.apply import Budget
from reconciler.cycle import CycleRequest, Gauge, Hearing, run_cycle
from reconciler.daemon.crew import LAST_WORDS, Crew
from reconciler.model.finding import Fault, FaultClass, Finding
from reconciler.model.ids import ArmId
from reconciler.model.memory import NOTHING, Memory
from reconciler.model.moment import show_time
from reconciler.model.outcome import CycleReport, Pass, Result
from reconciler.model.pause import Pause
from reconciler.model.plan import DecisionState, Plan
from reconciler.model.ports import Chance, Clock, Lease, Onlooker, Pauses, Tracer, Untraced, Unwatched, World
from reconciler.model.resource import Estate, Fleet
from reconciler.plan import remember_failures
from reconciler.runtime.halt import Brake
from reconciler.runtime.trigger import Bell

_log = structlog.get_logger("reconciler")

T = TypeVar("T")
Closer = Callable[[Pass], Coroutine[object, object, None]]

OBSERVED = "observe-only mode: nothing is written"
# A pass that got something done is followed by another at once, but not for ever: two that undo each other always do.
_MOST_IN_A_ROW = 10
_CLOSING = 3.0  # seconds in which the last pass is told; what is told last of all has a few more
_LONGEST = 86_400.0  # seconds; whatever is waited for at the end is cut long before


class Worlds(Protocol):
    """Keeps a world open for each fleet from pass to pass."""

    async def open(self, fleets: tuple[Fleet, ...]) -> Mapping[str, World]:
        """The world of each fleet by its name; what no fleet needs any more is closed."""
        ...


class Chronicle(Protocol):
    """Remembers longer than a process, and tells people."""

    async def begin(self, *, fresh: bool) -> None:
        """Before each pass; `fresh` where this process has just begun to lead."""
        ...

    def remind(self, fleet: str, memory: Memory) -> Memory:
        """The memory of a fleet's last cycle, with what else its next one has to know."""
        ...

    def wonder(self, fleet: str) -> frozenset[ArmId]:
        """The resources of which a cycle shall ask who changed them, whether or not they are as declared."""
        ...

    async def note(self, plan: Plan) -> str:
        """What a plan finds, before anything is done about it: "", or why nothing may be done."""
        ...

    async def close(self, done: Pass) -> None: ...


class Forgetful:
    """Keeps the `Chronicle` port and remembers nothing."""

    async def begin(self, *, fresh: bool) -> None: ...

    def remind(self, fleet: str, memory: Memory) -> Memory:
        del fleet
        return memory

    def wonder(self, fleet: str) -> frozenset[ArmId]:
        del fleet
        return frozenset()

    async def note(self, plan: Plan) -> str:
        del plan
        return ""

    async def close(self, done: Pass) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the loop is made of. A pass waits for a fleet `patience` seconds, and leaves it to a later one then. Without
    `budget` nothing is ever written. What is told of quota is asked anew after `quota_age` seconds. `chronicle` and
    then the `closers` are told every pass, one after the other: whoever remembers, alerts, or shows it."""

    load: Callable[[], Coroutine[object, object, Estate]]
    worlds: Worlds
    pauses: Pauses
    lease: Lease
    bell: Bell
    brake: Brake
    clock: Clock
    chance: Chance
    budget: Budget | None
    patience: float = 60.0
    quota_age: float = 600.0
    chronicle: Chronicle = field(default_factory=Forgetful)
    closers: tuple[Closer, ...] = ()
    onlooker: Onlooker = field(default_factory=Unwatched)
    tracer: Tracer = field(default_factory=Untraced)


async def run_forever(service: Service) -> None:
    """Passes until the bell is closed. Returns when nothing is under way any more, at the latest when the brake's grace
    is over."""
    await _Loop(service).run()


@dataclass(slots=True)
class _Recollection:
    """What the passes over one fleet tell each other; `done` are the steps that the last one brought about."""

    gauge: Gauge
    memory: Memory = NOTHING
    hearing: Hearing = field(default_factory=Hearing)
    done: frozenset[str] = frozenset()
    moved: bool = False


class _Loop:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[str, _Recollection] = {}
        self._numbers = count(1)
        self._in_a_row = 0
        self._leads = False
        self._standing_by = ""
        self._term: int | None = None
        self._fresh = True
        self._findings: tuple[Finding, ...] = ()
        self._pauses: tuple[Pause, ...] = ()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            crew = Crew(group, self._service.brake, self._service.clock)
            keeper = group.create_task(crew.heed(), name="brake")
            passes = group.create_task(self._pass_on(crew), name="passes")
            warden = group.create_task(self._cut(passes), name="warden")
            await asyncio.wait({passes})
            await crew.finish()
            keeper.cancel()
            warden.cancel()

    async def _cut(self, passes: asyncio.Task[None]) -> None:
        """End the pass when the grace is over and everybody had time to say how it ended."""
        await self._service.bell.closed()
        await self._service.brake.cut()
        await self._service.clock.sleep(LAST_WORDS + _CLOSING)
        passes.cancel()

    async def _pass_on(self, crew: Crew) -> None:
        service = self._service
        while triggers := await service.bell.wait():
            service.onlooker.heard(triggers)
            if not self._leading():
                continue
            with (
                service.lease.work(),
                bound_contextvars(cycle=next(self._numbers), trigger=triggers[0]),
                service.tracer.span("pass", {"reconciler.trigger": triggers[0]}),
            ):
                await self._close(await self._look_after(crew, triggers))
            self._in_a_row = self._in_a_row + 1 if self._moved() else 0
            if 0 < self._in_a_row <= _MOST_IN_A_ROW:
                service.bell.fire("progress")

        if crew.fleets:
            await self._close(await self._await_rest(crew))

    async def _close(self, done: Pass) -> None:
        for closer in (self._service.chronicle.close, *self._service.closers):
            await _fence(closer(done))

    async def _await_rest(self, crew: Crew) -> Pass:
        """What became of the cycles that no pass has told of when the end came."""
        began = self._service.clock.now()
        found = await crew.gather(_LONGEST)
        return replace(_sort(found), began=began, ended=self._service.clock.now(), trigger="stop")

    def _leading(self) -> bool:
        """Whether this process may look after the fleets; whoever only stands by says so once."""
        lease = self._service.lease
        leads = lease.remaining() > 0
        if leads is not self._leads:
            _log.info("leader.began" if leads else "leader.ended")
            self._leads = leads
        seen = None if leads else lease.look()
        why = seen.told if seen else ""
        if why != self._standing_by:
            if why:
                _log.info("leader.awaited", why=why)
            self._standing_by = why
        if leads and self._term != lease.term:
            # Somebody else may have led meanwhile: what was remembered is not how things stand.
            self._term, self._known, self._fresh = lease.term, {}, True
        return leads

    async def _look_after(self, crew: Crew, triggers: tuple[str, ...]) -> Pass:
        """One pass, whatever happens in it."""
        clock = self._service.clock
        began, mark = clock.now(), clock.monotonic()
        told = _log.debug if triggers == ("interval",) else _log.info
        told("pass.started", triggers=list(triggers))
        prepared = await _fence(self._prepare(crew))
        if isinstance(prepared, Fault):
            done = Pass(began=began, ended=clock.now(), trigger=triggers[0], faults={"": prepared})
        else:
            for fleet in prepared.estate.fleets:
                if not crew.has(fleet.name):
                    paused = replace(fleet, pauses=prepared.pauses)
                    crew.start(paused, self._look_into(crew, prepared.worlds[fleet.name], paused))
            found = await crew.gather(self._service.patience)
            done = replace(
                _sort(found),
                began=began,
                ended=clock.now(),
                trigger=triggers[0],
                under_way=tuple(fleet.name for fleet in crew.fleets),
                findings=prepared.estate.findings,
                pauses=prepared.pauses,
            )
        _tell(done, clock.monotonic() - mark)
        return done

    async def _prepare(self, crew: Crew) -> _Prepared:
        now = self._service.clock.now()
        await self._service.chronicle.begin(fresh=self._fresh)
        self._fresh = False
        pauses = tuple(each for each in await self._service.pauses.load() if each.until > now)
        self._tell_pauses(pauses)
        estate = await self._service.load()
        self._tell_findings(estate.findings)
        self._known = {fleet.name: self._known.get(fleet.name) or self._meet() for fleet in estate.fleets}
        # The world of a cycle that is under way stays open, also where its fleet has moved since or is gone.
        worlds = await self._service.worlds.open((*crew.fleets, *estate.fleets))
        return _Prepared(estate=estate, pauses=pauses, worlds=worlds)

    def _meet(self) -> _Recollection:
        return _Recollection(gauge=Gauge(age=self._service.quota_age))

    def _tell_pauses(self, pauses: tuple[Pause, ...]) -> None:
        """Why nothing is written is told when it begins and when it is over; what cannot be read has no end."""
        for pause in pauses:
            if pause not in self._pauses:
                told = _log.warning if isinf(pause.until) else _log.info
                told("pause.began", **_tell_pause(pause))
        for pause in self._pauses:
            if pause not in pauses:
                _log.info("pause.ended", **_tell_pause(pause))
        self._pauses = pauses

    def _tell_findings(self, findings: tuple[Finding, ...]) -> None:
        """What is wrong with documents is told once, and again when it has changed."""
        for finding in findings if findings != self._findings else ():
            place = str(finding.origin) if finding.origin else ""
            _log.warning("document.wrong", place=place, code=finding.code, message=finding.message, hint=finding.hint)
        self._findings = findings

    async def _look_into(self, crew: Crew, world: World, fleet: Fleet) -> CycleReport | Fault:
        """One cycle, whatever happens in it."""
        with self._service.lease.work(), bound_contextvars(fleet=fleet.name):
            return await _fence(self._run_cycle(crew, world, fleet))

    async def _run_cycle(self, crew: Crew, world: World, fleet: Fleet) -> CycleReport:
        known, budget, chronicle = self._known[fleet.name], self._service.budget, self._service.chronicle

        async def consent(plan: Plan) -> str:
            crew.begin_writing(fleet.name)
            # What nobody wrote down would be told by nobody if this process ended now.
            untold = str(await _fence(chronicle.note(plan)))
            return self._service.brake.because or untold

        request = CycleRequest(
            budget=budget,
            consent=consent,
            hearing=known.hearing,
            memory=chronicle.remind(fleet.name, known.memory),
            wonder=chronicle.wonder(fleet.name),
            gauge=known.gauge,
        )
        known.moved = False
        report = await run_cycle(world, fleet, request)
        self._recollect(known, report)
        return replace(report, refused=OBSERVED) if budget is None and report.plan.applicable else report

    def _recollect(self, known: _Recollection, report: CycleReport) -> None:
        clock, chance = self._service.clock, self._service.chance
        known.memory = remember_failures(
            report.memory, report.plan, report.outcomes, clock.now(), lambda: chance.uniform(0.8, 1.2)
        )
        waits = any(each.state is DecisionState.IN_PROGRESS for each in report.plan.decisions)
        if not (report.plan.steps or waits):
            # What is limited per run begins anew: there is nothing left of the run that purged them.
            known.memory = replace(known.memory, purged=())
        done = frozenset(each.step.name for each in report.outcomes if each.result is Result.DONE)
        stale = any(each.result is Result.STALE for each in report.outcomes)
        known.done, known.moved = done, stale or bool(done - known.done)

    def _moved(self) -> bool:
        return any(known.moved for known in self._known.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What a pass begins with."""

    estate: Estate
    pauses: tuple[Pause, ...]
    worlds: Mapping[str, World]


def _sort(found: Mapping[str, CycleReport | Fault]) -> Pass:
    return Pass(
        began=0.0,
        ended=0.0,
        trigger="",
        reports={name: each for name, each in found.items() if isinstance(each, CycleReport)},
        faults={name: each for name, each in found.items() if isinstance(each, Fault)},
    )


def _tell_pause(pause: Pause) -> dict[str, str]:
    until = "" if isinf(pause.until) else show_time(pause.until)
    names = {"fleet": pause.fleet, "kind": pause.kind, "target": pause.target}
    return {**names, "until": until, "by": pause.by, "reason": pause.reason}


def _tell(done: Pass, seconds: float) -> None:
    told = _log.warning if done.faults else _log.info
    told(
        "pass.finished",
        fleets=len(done.reports),
        broken_off=sorted(done.faults),
        under_way=list(done.under_way),
        unread=sum(len(report.plan.blind) for report in done.reports.values()),
        findings=len(done.findings),
        requests=sum(report.requests for report in done.reports.values()),
        seconds=round(seconds, 3),
    )


async def _fence(work: Coroutine[object, object, T]) -> T | Fault:
    """The one place where what nobody expected stops spreading: it is told, and the loop goes on."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - an unexpected one must not end the loop; it is told with its trace
        _log.exception("cycle.crashed")
        return Fault(cls=FaultClass.UNKNOWN, code="crashed", message=f"{type(error).__name__}: {error}")
