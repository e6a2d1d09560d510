"""Who leads on one machine: whoever holds the lock on a file. It goes with the process, however that ends."""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from reconciler.model.health import Leadership
from reconciler.model.ports import Clock
from reconciler.runtime.lease import Heed

_log = structlog.get_logger("reconciler")

_LOOK_EVERY = 1.0  # seconds


class FileLease:
    """Keeps the `Lease` port by a lock on `path`; what stands in the file is only for people. OSError where the file
    cannot be opened."""

    term = 0  # a lock is never lost

    def __init__(self, path: str, *, identity: str, clock: Clock) -> None:
        self._path = Path(path)
        self._identity = identity
        self._clock = clock
        self._file = _open(path)
        self._held = False

    @property
    def name(self) -> str:
        return str(self._path)

    @property
    def why(self) -> str:
        return f"is held by {self._holder or 'another process'}"

    @property
    def _holder(self) -> str:
        return os.pread(self._file, 256, 0).decode("utf-8", "replace").strip()

    def look(self) -> Leadership:
        return Leadership(name=self.name, identity=self._identity, holder=self._holder, why=self.why)

    def remaining(self) -> float:
        return math.inf if self._held else 0.0

    @contextmanager
    def work(self) -> Iterator[None]:
        """A lock is never lost, so no work outlives a term."""
        yield

    async def keep(self, heed: Heed) -> None:
        while not self._lock():
            await self._clock.sleep(_LOOK_EVERY)
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{self._identity}\n".encode(), 0)
        self._held = True
        _log.info("lease.acquired", lease=self.name, identity=self._identity)
        heed("")
        await asyncio.get_running_loop().create_future()

    async def release(self) -> None:
        if self._held:
            os.ftruncate(self._file, 0)
            _log.info("lease.released", lease=self.name)
        self._held = False
        os.close(self._file)

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        hint = "leaseFile names a file in a folder that is there"
        raise OSError(f"the lease file {path} cannot be opened: {error.strerror}; {hint}") from error
