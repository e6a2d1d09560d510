"""The cycles that are under way, one for each fleet. Each takes as long as it takes and holds up no other one.

A pass starts those that are not under way, and tells of all that have ended by its own end. Ends them in order when the
brake is pulled: at once what only reads, after the grace what waits; a write that has left is awaited all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.outcome import CycleReport
from reconciler.model.ports import Clock
from reconciler.model.resource import Fleet
from reconciler.runtime.halt import Brake

STOPPED: Final = Fault(cls=FaultClass.TRANSIENT, code="stopped", message="the daemon was stopped before it had looked")
LAST_WORDS: Final = 5.0  # seconds in which a step that was cut says how it ended
_ROUND = 1.0  # seconds between two looks whether the brake is still pulled

Work = Coroutine[object, object, CycleReport | Fault]


@dataclass(slots=True, kw_only=True)
class _Cycle:
    """One cycle. While it only `reads`, nothing is lost if it is cut."""

    fleet: Fleet
    task: asyncio.Task[CycleReport | Fault]
    reads: bool = True


class Crew:
    """Keeps cycles in `group`, from pass to pass."""

    def __init__(self, group: asyncio.TaskGroup, brake: Brake, clock: Clock) -> None:
        self._group = group
        self._brake = brake
        self._clock = clock
        self._cycles: dict[str, _Cycle] = {}

    @property
    def fleets(self) -> tuple[Fleet, ...]:
        """Those with a cycle under way, as that cycle knows them."""
        return tuple(cycle.fleet for cycle in self._cycles.values())

    def has(self, name: str) -> bool:
        return name in self._cycles

    def start(self, fleet: Fleet, work: Work) -> None:
        """Begin a cycle, or tell of it as of one that was stopped where the brake is pulled already."""
        cycle = _Cycle(fleet=fleet, task=self._group.create_task(work, name=fleet.name))
        if self._brake.because:
            cycle.task.cancel()
        self._cycles[fleet.name] = cycle

    def begin_writing(self, name: str) -> None:
        self._cycles[name].reads = False

    async def gather(self, seconds: float) -> Mapping[str, CycleReport | Fault]:
        """How each cycle ended that has ended; all of them are waited for, up to so many seconds."""
        timer = self._group.create_task(self._clock.sleep(seconds), name="patience")
        try:
            while (tasks := [each.task for each in self._cycles.values() if not each.task.done()]) and not timer.done():
                await asyncio.wait({*tasks, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        ended = {name: cycle.task for name, cycle in self._cycles.items() if cycle.task.done()}
        for name in ended:
            del self._cycles[name]
        return {name: STOPPED if task.cancelled() else task.result() for name, task in ended.items()}

    async def finish(self) -> None:
        """Wait for all of them, however they end."""
        if self._cycles:
            await asyncio.wait([cycle.task for cycle in self._cycles.values()])

    async def heed(self) -> None:
        """End cycles whenever the brake is pulled, for ever."""
        while True:
            await self._brake.pulled()
            self._cancel(reading=True)
            await self._brake.cut()
            await self._clock.sleep(LAST_WORDS)
            if self._brake.because:
                self._cancel(reading=False)
            while self._brake.because:
                await self._clock.sleep(_ROUND)

    def _cancel(self, *, reading: bool) -> None:
        for cycle in self._cycles.values():
            if cycle.reads or not reading:
                cycle.task.cancel()
