"""Ends the writing of this process in order: at a signal, or when somebody else leads."""

from __future__ import annotations

import asyncio

from reconciler.model.ports import Clock

_PIECE = 1.0  # seconds


class Brake:
    """Keeps the `Halt` port. Once pulled it holds until it is lifted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._because = ""
        self._until = 0.0
        self._pulled = asyncio.Event()

    @property
    def because(self) -> str:
        return self._because

    def pull(self, because: str, grace: float) -> None:
        """From now on nothing starts, and in `grace` seconds nothing that only waits is waited for any more. The first
        reason is kept; a later pull can only make it sooner."""
        until = self._clock.monotonic() + grace
        self._until = min(self._until, until) if self._because else until
        self._because = self._because or because
        self._pulled.set()

    def lift(self) -> None:
        self._because = ""
        self._pulled.clear()

    async def cut(self) -> None:
        await self._pulled.wait()
        while (left := self._until - self._clock.monotonic()) > 0:
            # In pieces: whoever pulls again may want it sooner.
            await self._clock.sleep(min(left, _PIECE))
