"""What sets a pass off: time, changed files, signals. They only ring the bell; the loop decides what to do about it.

APScheduler cancels what still runs when it is shut down, leaves out what comes while an earlier one runs, and forgets
what is late. So all that it ever runs is one synchronous line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from reconciler.cron import next_strike
from reconciler.model.ports import Clock

if TYPE_CHECKING:
    from apscheduler.triggers.base import BaseTrigger

_LOOK_EVERY = 3.0  # seconds between two looks at the files


class Bell:
    """However often it is rung while nobody listens, whoever comes to listen hears it once."""

    def __init__(self) -> None:
        self._rung: dict[str, None] = {}
        self.rings = 0
        self._heard = asyncio.Event()
        self._closed = asyncio.Event()

    def fire(self, trigger: str) -> None:
        self.rings += 1
        self._rung[trigger] = None
        self._heard.set()

    def close(self) -> None:
        """Let nobody wait any more, whatever rings."""
        self._closed.set()
        self._heard.set()

    @property
    def shut(self) -> bool:
        return self._closed.is_set()

    async def closed(self) -> None:
        await self._closed.wait()

    async def wait(self) -> tuple[str, ...]:
        """What rang since the last time, the first one first; nothing once it is closed."""
        await self._heard.wait()
        if self._closed.is_set():
            return ()
        rung, self._rung = tuple(self._rung), {}
        self._heard.clear()
        return rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When passes are due: every `interval` seconds, up to `jitter` sooner, so that several processes do not keep step;
    and whenever one of the `cron` expressions strikes in `zone`. The interval passes at the `pace` of the clock."""

    interval: float
    jitter: float = 0.0
    cron: tuple[str, ...] = ()
    zone: str = "UTC"
    pace: float = 1.0


@contextmanager
def keep_time(bell: Bell, timing: Timing) -> Iterator[None]:
    """Ring `bell` as `timing` says, while the block runs."""
    # Loaded late: no other command needs it, and it takes a tenth of a second.
    from apscheduler.executors.debug import DebugExecutor  # noqa: PLC0415
    from apscheduler.schedulers.asyncio import AsyncIOScheduler  # noqa: PLC0415
    from apscheduler.triggers.interval import IntervalTrigger  # noqa: PLC0415

    # Its own executor would ring from a thread.
    scheduler = AsyncIOScheduler(timezone=UTC, executors={"default": DebugExecutor()})
    options = {"misfire_grace_time": None, "coalesce": True}
    jitter = min(timing.jitter, timing.interval / 2)
    seconds, spread = (timing.interval - jitter) / timing.pace, jitter / timing.pace
    every = IntervalTrigger(seconds=seconds, jitter=spread, timezone=UTC)
    scheduler.add_job(bell.fire, every, args=["interval"], **options)
    for expression in timing.cron:
        scheduler.add_job(bell.fire, make_cron_trigger(expression, timing.zone), args=["cron"], **options)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)


def make_cron_trigger(expression: str, zone: str) -> BaseTrigger:
    """A trigger of the scheduler's that reads cron as the rest of the product does: its own counts weekdays from 0 for
    Monday."""
    from apscheduler.triggers.base import BaseTrigger  # noqa: PLC0415

    class Cron(BaseTrigger):  # type: ignore[misc]  # the package has no types
        def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime | None:
            after = max(now, previous) if previous else now
            moment = next_strike(expression, zone, after.timestamp())
            return datetime.fromtimestamp(moment, UTC) if moment is not None else None

    return Cron()


async def insist(bell: Bell, clock: Clock, interval: float) -> None:
    """Ring where nobody has for two intervals: the scheduler goes by the clock on the wall, and somebody may set that
    back by an hour."""
    while True:
        rings = bell.rings
        await clock.sleep(2 * interval)
        if bell.rings == rings:
            bell.fire("interval")


async def watch(bell: Bell, clock: Clock, look: Callable[[], str]) -> None:
    """Ring `bell` when what `look` gives has changed and has come to rest: of many files that are copied one after the
    other, some are there before the others. `look` may take its time."""
    told = seen = await asyncio.to_thread(look)
    while True:
        await clock.sleep(_LOOK_EVERY)
        before, seen = seen, await asyncio.to_thread(look)
        if seen == before and seen != told:
            told = seen
            bell.fire("files")
