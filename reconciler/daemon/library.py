"""The desired state from pass to pass: read again only when something in it has changed, and when it is at rest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.model.ports import Clock
from reconciler.model.resource import Estate

_REST = 1.0  # seconds without a change
_PATIENCE = 30  # such rests; a tree that is written to for ever is read as it is
_ATTEMPTS = 3  # to read it again because it changed meanwhile


@dataclass(slots=True, kw_only=True)
class Library:
    """`look` names what is in the tree and `read` reads it; both may take their time and are given a thread each."""

    look: Callable[[], str]
    read: Callable[[], Estate]
    clock: Clock
    _name: str = ""
    _estate: Estate | None = None

    async def load(self) -> Estate:
        """What is declared now. Of documents that are being copied some are there before the others, and what is not
        there yet would be taken for what is not wanted any more."""
        name = await asyncio.to_thread(self.look)
        if self._estate is not None and name == self._name:
            return self._estate
        if self._estate is not None:
            name = await self._await_rest(name)
        estate, now = await self._read()
        for _ in range(_ATTEMPTS):
            if now == name:
                break
            # Some files may have been read as they were before, and others as they are now.
            name = await self._await_rest(now)
            estate, now = await self._read()
        self._estate, self._name = estate, name
        return estate

    async def _read(self) -> tuple[Estate, str]:
        """What the tree holds, and its name when all of it had been read."""
        return await asyncio.to_thread(self.read), await asyncio.to_thread(self.look)

    async def _await_rest(self, name: str) -> str:
        for _ in range(_PATIENCE):
            await self.clock.sleep(_REST)
            before, name = name, await asyncio.to_thread(self.look)
            if name == before:
                break
        return name
