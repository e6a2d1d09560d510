"""For ever: wait for a trigger, look whether we lead, one pass over all fleets at once, close it; end in order.

A fleet whose cycle breaks off spoils only itself. Knows no class that keeps a port, and nothing of time but the clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol, TypeVar

import structlog
from structlog.contextvars import bound_contextvars

from reconciler.apply import Budget
from reconciler.cycle import CycleRequest, Hearing, run_cycle
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.memory import NOTHING, Memory
from reconciler.model.outcome import CycleReport, Pass
from reconciler.model.ports import Clock, World
from reconciler.model.resource import Estate, Fleet
from reconciler.runtime.halt import Brake
from reconciler.runtime.trigger import Bell

_log = structlog.get_logger("reconciler")

T = TypeVar("T")
Closer = Callable[[Pass], Coroutine[object, object, None]]


class Worlds(Protocol):
    """Keeps a world open for each fleet from pass to pass."""

    async def open(self, fleets: tuple[Fleet, ...]) -> Mapping[str, World]:
        """The world of each fleet by its name; what no fleet needs any more is closed."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the loop is made of. Without `budget` nothing is ever written. `closers` are told every pass, one after the
    other: whoever remembers, alerts, or shows it."""

    load: Callable[[], Awaitable[Estate]]
    worlds: Worlds
    bell: Bell
    brake: Brake
    clock: Clock
    budget: Budget | None
    closers: tuple[Closer, ...] = ()


@dataclass(slots=True)
class _Recollection:
    """What the cycles of one fleet tell each other."""

    memory: Memory = NOTHING
    hearing: Hearing = field(default_factory=Hearing)


async def run_forever(service: Service) -> None:
    """Passes until the brake is pulled for good. Returns when nothing is under way any more."""
    await _Loop(service).run()


class _Loop:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: dict[str, _Recollection] = {}
        self._numbers = count(1)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            passes = group.create_task(self._pass_on(), name="passes")
            warden = group.create_task(self._cut(passes), name="warden")
            await asyncio.wait({passes})
            warden.cancel()

    async def _pass_on(self) -> None:
        while triggers := await self._service.bell.wait():
            with bound_contextvars(cycle=next(self._numbers)):
                await self._pass(triggers)

    async def _cut(self, passes: asyncio.Task[None]) -> None:
        """End what still reads when the grace is over; a write that has left is awaited all the same."""
        await self._service.brake.cut()
        passes.cancel()

    async def _pass(self, triggers: tuple[str, ...]) -> None:
        clock = self._service.clock
        _log.info("pass.started", triggers=list(triggers))
        began, mark = clock.now(), clock.monotonic()
        estate = Estate(fleets=())
        loaded = await _fence(self._load())
        reports: dict[str, CycleReport] = {}
        faults: dict[str, Fault] = {}
        if isinstance(loaded, Fault):
            faults[""] = loaded
        else:
            estate, worlds = loaded
            async with asyncio.TaskGroup() as group:
                tasks = {
                    fleet.name: group.create_task(self._cycle(worlds[fleet.name], fleet), name=fleet.name)
                    for fleet in estate.fleets
                }
            for name, task in tasks.items():
                found = task.result()
                if isinstance(found, Fault):
                    faults[name] = found
                else:
                    reports[name] = found
        done = Pass(
            began=began,
            ended=clock.now(),
            trigger=triggers[0],
            reports=reports,
            findings=estate.findings,
            faults=faults,
        )
        _log.info(
            "pass.finished",
            fleets=len(reports),
            broken_off=len(faults),
            findings=len(done.findings),
            seconds=round(clock.monotonic() - mark, 3),
        )
        for closer in self._service.closers:
            await _fence(closer(done))

    async def _load(self) -> tuple[Estate, Mapping[str, World]]:
        estate = await self._service.load()
        names = {fleet.name for fleet in estate.fleets}
        self._known = {name: known for name, known in self._known.items() if name in names}
        return estate, await self._service.worlds.open(estate.fleets)

    async def _cycle(self, world: World, fleet: Fleet) -> CycleReport | Fault:
        known = self._known.setdefault(fleet.name, _Recollection())
        request = CycleRequest(budget=self._service.budget, hearing=known.hearing, memory=known.memory)
        with bound_contextvars(fleet=fleet.name):
            report = await _fence(run_cycle(world, fleet, request))
        if isinstance(report, CycleReport):
            known.memory = report.memory
        return report


async def _fence(work: Coroutine[object, object, T]) -> T | Fault:
    """The one place where what nobody expected stops spreading: it is told, and the loop goes on."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - an unexpected one must not end the loop; it is told with its trace
        _log.exception("cycle.crashed")
        return Fault(cls=FaultClass.UNKNOWN, code="crashed", message=f"{type(error).__name__}: {error}")
