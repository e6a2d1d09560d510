"""The simulation's time and chance, the only place where either comes from.

Simulated time = epoch + time of the running loop x pace + what was advanced by hand. A loop with virtual time
therefore drives everything. Chance is drawn from a seed, or derived from names so that it does not depend on order.
"""

import asyncio
import hashlib
import random
import time
from datetime import UTC, datetime
from email.utils import formatdate

# The day of the newest recordings. Fixed, so that the retirement dates in the model catalogue mean the same on every
# day somebody runs the simulation.
EPOCH = datetime(2025, 10, 28, 14, 0, tzinfo=UTC).timestamp()


def wall() -> float:
    """The real time: token lifetimes are told to clients that look at their own clock."""
    return time.time()


async def pause(seconds: float) -> None:
    """Let real (or the loop's) time pass; for housekeeping, never for behaviour."""
    await asyncio.sleep(seconds)


class Clock:
    """Simulated time with a pace; sleepers wake when it is advanced."""

    def __init__(self, epoch: float = EPOCH, pace: float = 1.0) -> None:
        self._base = epoch
        self._pace = pace
        self._mark: float | None = None
        self._sleepers: set[asyncio.Future[None]] = set()

    @property
    def pace(self) -> float:
        return self._pace

    def now(self) -> float:
        loop_time = asyncio.get_running_loop().time()
        if self._mark is None:
            self._mark = loop_time
        return self._base + (loop_time - self._mark) * self._pace

    def advance(self, seconds: float) -> None:
        self._rebase(self.now() + seconds)

    def set(self, now: float) -> None:
        self._rebase(now)

    def set_pace(self, pace: float) -> None:
        self._rebase(self.now())
        self._pace = pace

    async def sleep_until(self, moment: float) -> None:
        loop = asyncio.get_running_loop()
        while (left := moment - self.now()) > 0:
            sleeper: asyncio.Future[None] = loop.create_future()
            timer = loop.call_later(left / self._pace + 1e-6, _wake, sleeper) if self._pace > 0 else None
            self._sleepers.add(sleeper)
            try:
                await sleeper
            finally:
                self._sleepers.discard(sleeper)
                if timer is not None:
                    timer.cancel()

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + seconds)

    def _rebase(self, now: float) -> None:
        self._base = now
        self._mark = asyncio.get_running_loop().time()
        for sleeper in self._sleepers:
            _wake(sleeper)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)


class Chance:
    """Seeded chance: draws that depend on order, and spreads that depend on names only."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._random = random.Random(seed)  # noqa: S311 — reproducible on purpose, nothing secret hangs on it

    def draw(self) -> float:
        return self._random.random()

    def guid(self) -> str:
        text = f"{self._random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def reseed(self, salt: int) -> None:
        """A world that is loaded again must not hand out the ids it has handed out before."""
        self._random = random.Random(f"{self.seed}:{salt}")  # noqa: S311

    def spread(self, name: str, low: float, high: float) -> float:
        """A number between low and high that is the same for the same seed and name."""
        digest = hashlib.blake2b(f"{self.seed}:{name}".encode(), digest_size=8).digest()
        return low + (high - low) * int.from_bytes(digest, "big") / 2**64


class Stamps:
    """Times as text; formatting costs more than a request should spend on it, so the last second is kept."""

    def __init__(self) -> None:
        self._second = -1
        self._date = ""
        self._routing = ""

    def http_date(self, now: float) -> str:
        self._refresh(now)
        return self._date

    def routing(self, now: float) -> str:
        self._refresh(now)
        return self._routing

    def _refresh(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True)
            self._routing = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")


def iso(now: float) -> str:
    """`2025-10-28T14:48:22Z`, as operations carry it."""
    return datetime.fromtimestamp(int(now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_fine(now: float) -> str:
    """`2025-10-28T14:48:20.8058959Z`, seven digits, as resources carry it."""
    whole = int(now)
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{int((now - whole) * 1e7):07d}Z"


def from_iso(text: str) -> float:
    """Seconds since 1970 of either form."""
    return datetime.fromisoformat(text).timestamp()
