"""Ends the writing of this process in order: at a signal, or when somebody else leads."""

from __future__ import annotations

import asyncio

from reconciler.model.ports import Clock

_PIECE = 1.0  # seconds


class Brake:
    """Keeps the `Halt` port. Once pulled it holds until it is lifted, for each reason by itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}  # by reason
        self._pulled = asyncio.Event()

    @property
    def because(self) -> str:
        return next(iter(self._until), "")

    def pull(self, because: str, grace: float) -> None:
        """From now on nothing starts, and in `grace` seconds nothing that only waits is waited for any more. The first
        reason is told; a later pull can only make it sooner."""
        until = self._clock.monotonic() + grace
        self._until[because] = min(self._until.get(because, until), until)
        self._pulled.set()

    def lift(self, because: str) -> None:
        self._until.pop(because, None)
        if not self._until:
            self._pulled.clear()

    async def pulled(self) -> None:
        await self._pulled.wait()

    async def cut(self) -> None:
        await self._pulled.wait()
        while (left := min(self._until.values(), default=0.0) - self._clock.monotonic()) > 0:
            # In pieces: whoever pulls again may want it sooner.
            await self._clock.sleep(min(left, _PIECE))
