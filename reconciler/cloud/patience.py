"""How often a read is asked again, and how long is waited between: on the injected clock, Azure's own wish first.

Only for reads. A write is never sent twice from this room.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from reconciler.model.finding import Fault
from reconciler.model.ports import Chance, Clock

_log = structlog.get_logger("reconciler")

T = TypeVar("T")
Ask = Callable[[], Awaitable[T]]
FaultIn = Callable[[T], Fault | None]

_TRIES = 6
_LONGEST = 180.0  # seconds, over all tries
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0

_CUTS = frozenset({"connection_cut", "connection_refused"})
_CUT_TRIES = 3


class Patience:
    def __init__(self, clock: Clock, chance: Chance) -> None:
        self._clock = clock
        self._chance = chance

    async def through_faults(self, ask: Ask[T], fault_in: FaultIn[T]) -> T:
        """Ask until there is an answer, or what is wrong does not heal by waiting, or patience ends."""
        began = self._clock.monotonic()
        for tried in range(1, _TRIES):
            answer = await ask()
            fault = fault_in(answer)
            if fault is None or not fault.cls.retryable:
                return answer
            pause = self._pause(fault, tried)
            if self._clock.monotonic() + pause - began > _LONGEST:
                return answer
            # Once is a hiccup. At the second time somebody is waiting and should know for what.
            told = _log.warning if tried == 2 else _log.debug
            told("read.retried", code=fault.code, message=fault.message, tried=tried, seconds=round(pause, 1))
            await self._clock.sleep(pause)
        return await ask()

    async def through_cuts(self, ask: Callable[[], Awaitable[T | Fault]]) -> T | Fault:
        """Ask again only where the connection failed: whoever asked decides about everything Azure says."""
        for tried in range(1, _CUT_TRIES):
            answer = await ask()
            if not isinstance(answer, Fault) or answer.code not in _CUTS:
                return answer
            await self._clock.sleep(self._pause(answer, tried))
        return await ask()

    def _pause(self, fault: Fault, tried: int) -> float:
        """Never below what Azure asked for; without a wish of Azure's, longer each time and at random."""
        ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (tried - 1))
        if fault.retry_after is not None:
            return fault.retry_after + self._chance.uniform(0.0, min(1.0, ceiling))
        return self._chance.uniform(ceiling / 2, ceiling)
