"""What sets a pass off: time, changed files, signals. They only ring the bell; the loop decides what to do about it.

APScheduler cancels what still runs when it is shut down, leaves out what comes while an earlier one runs, and forgets
what is late. So all that it ever runs is one synchronous line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC

from apscheduler.executors.debug import DebugExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger


class Bell:
    """However often it is rung while nobody listens, whoever comes to listen hears it once."""

    def __init__(self) -> None:
        self._rung: dict[str, None] = {}
        self._heard = asyncio.Event()
        self._closed = False

    def fire(self, trigger: str) -> None:
        self._rung[trigger] = None
        self._heard.set()

    def close(self) -> None:
        """Let nobody wait any more, whatever rings."""
        self._closed = True
        self._heard.set()

    async def wait(self) -> tuple[str, ...]:
        """What rang since the last time, the first one first; nothing once it is closed."""
        await self._heard.wait()
        if self._closed:
            return ()
        rung, self._rung = tuple(self._rung), {}
        self._heard.clear()
        return rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When passes are due: every `interval` seconds, up to `jitter` sooner or later. `pace` is that of the clock."""

    interval: float
    jitter: float
    pace: float = 1.0


@contextmanager
def keep_time(bell: Bell, timing: Timing) -> Iterator[None]:
    """Ring `bell` as `timing` says, while the block runs."""
    # Its own loop executor would ring from a thread.
    scheduler = AsyncIOScheduler(timezone=UTC, executors={"default": DebugExecutor()})
    options = {"misfire_grace_time": None, "coalesce": True}
    every = IntervalTrigger(seconds=timing.interval / timing.pace, jitter=timing.jitter / timing.pace, timezone=UTC)
    scheduler.add_job(bell.fire, every, args=["interval"], **options)
    scheduler.start()
    try:
        yield
    finally:
        scheduler.shutdown(wait=False)
