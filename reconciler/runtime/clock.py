"""Time as it really passes. The one place of the product where the system's clock is read or a task sleeps."""

from __future__ import annotations

import asyncio
import time

# A machine that was suspended has not stopped time for anybody else: what must have happened by then is late.
_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _ticks() -> float:
    return time.clock_gettime(_BOOT)


class SystemClock:
    """Keeps the `Clock` port. With a `rate` above 1 a second of ours passes faster than one on the wall: a simulation
    that runs at the same pace is then waited for at its own speed."""

    def __init__(self, rate: float = 1.0) -> None:
        if rate <= 0:
            raise ValueError("a clock's rate is above zero")
        self._rate = rate
        self._began = time.time()
        self._mark = _ticks()

    @property
    def rate(self) -> float:
        return self._rate

    def now(self) -> float:
        """Epoch seconds; follows corrections of the system's clock only at the natural rate."""
        if self._rate == 1.0:
            return time.time()
        return self._began + (_ticks() - self._mark) * self._rate

    def monotonic(self) -> float:
        return (_ticks() - self._mark) * self._rate

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self._rate)
