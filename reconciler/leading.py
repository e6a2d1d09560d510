"""Which lease stands between us and whoever else writes: none, one of Kubernetes, or the lock on a file."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from reconciler.model.ports import Alone, Chance, Lease
from reconciler.runtime.clock import SystemClock
from reconciler.runtime.flock import FileLease
from reconciler.runtime.kube import Kube, Place
from reconciler.runtime.lease import Candidate, Elector, Heed, Terms, stand

_log = structlog.get_logger("reconciler")

_AT_ONCE = 1.0  # seconds
_FILE_PATIENCE = 2.0  # seconds: whoever holds a lock does not let go of it because somebody waits


class LeaseHeldError(Exception):
    """Somebody else leads, or nobody can say who; the message says which lease and whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseChoice:
    """The lease to take: the one called `name` of the cluster at `place`, or the lock on `file`; with neither, none.
    `who` is this machine's or this pod's name."""

    name: str = ""
    place: Place | None = None
    file: str = ""
    who: str = ""
    terms: Terms = field(default_factory=Terms)

    @property
    def patience(self) -> float:
        """Seconds after which whoever has not got it will not get it: a lease that was left behind has run out."""
        return self.terms.duration + 2 * self.terms.retry if self.place else _FILE_PATIENCE


@asynccontextmanager
async def compete(choice: LeaseChoice, chance: Chance, heed: Heed) -> AsyncIterator[Lease]:
    """The lease that everything in the block is covered by, once it is had. It is free again when the block has ended.
    OSError where the file cannot be opened or the certificates cannot be read."""
    async with _open(choice, chance) as candidate:
        if candidate is None:
            _log.info("lease.off")
            heed("")
            yield Alone()
            return
        async with stand(candidate, heed):
            yield candidate


@asynccontextmanager
async def lead(
    choice: LeaseChoice, chance: Chance, lost: Callable[[str], None], tell: Callable[[str], None]
) -> AsyncIterator[Lease]:
    """The lease, had; LeaseHeldError where it is not to be had. `lost` hears why it is gone: there is no second term.
    `tell` hears a line about what is waited for."""
    began = asyncio.Event()

    def heed(why: str) -> None:
        if why:
            lost(why)
        began.set()

    async with _open(choice, chance) as candidate:
        if candidate is None:
            yield Alone()
            return
        async with stand(candidate, heed):
            with candidate.work():
                await _await(began, candidate, choice.patience, tell)
                yield candidate


async def _await(began: asyncio.Event, candidate: Candidate, seconds: float, tell: Callable[[str], None]) -> None:
    if await _happens(began, _AT_ONCE):
        return
    tell(f"Waiting for the lease {candidate.name}, which {candidate.why}.\n")
    if not await _happens(began, seconds):
        raise LeaseHeldError(f"{candidate.look().told}; nothing was written")


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


@asynccontextmanager
async def _open(choice: LeaseChoice, chance: Chance) -> AsyncIterator[Candidate | None]:
    # A process that comes back under an old name is another one: what the old one has sent may still be under way.
    identity = f"{choice.who or socket.gethostname()}_{os.urandom(4).hex()}"
    # Not the clock of the product, which runs faster in a simulation: rivals and the API server live on the wall's.
    clock = SystemClock()
    if choice.file:
        yield FileLease(choice.file, identity=f"{identity}, process {os.getpid()}", clock=clock)
    elif choice.place is not None:
        async with Kube.open(choice.place) as kube:
            yield Elector(kube, choice.name, identity=identity, terms=choice.terms, clock=clock, chance=chance)
    else:
        yield None
