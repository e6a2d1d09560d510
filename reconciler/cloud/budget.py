"""One request budget per subscription and principal: what ARM would refuse is not sent.

ARM gives each principal a token bucket per subscription and class of request. Ours mirror them, are corrected by what
the answers say is left, and close altogether while a Retry-After runs. Knows nothing of what the requests are for.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import IntEnum, StrEnum
from itertools import count
from typing import NamedTuple

from reconciler.model.ports import Chance, Clock


class Toll(StrEnum):
    """The classes that ARM counts apart."""

    READS = "reads"
    WRITES = "writes"
    DELETES = "deletes"

    @classmethod
    def of(cls, method: str) -> Toll:
        """A POST counts as a write, even where it only reads."""
        if method in ("GET", "HEAD", "OPTIONS"):
            return cls.READS
        return cls.DELETES if method == "DELETE" else cls.WRITES


class Urgency(IntEnum):
    """Who goes first within a class: what somebody's write waits for, then the look before a write, then lists."""

    WAITED_FOR = 0
    STEP = 1
    LIST = 2


class _Size(NamedTuple):
    tokens: float
    per_second: float
    at_once: int


# https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling. `at_once` is ours:
# writes to deployments block for many seconds and run side by side across accounts, reads are short.
_SIZES = {
    Toll.READS: _Size(250, 25, 16),
    Toll.WRITES: _Size(200, 10, 256),
    Toll.DELETES: _Size(200, 10, 256),
}
# Requests that left one after the other may arrive together, so the last tenth of a bucket is never counted on.
_RESERVE = 0.1
_LONGEST_WAIT = 300.0


class Passage(NamedTuple):
    """When a request was let through, and as which of its class."""

    at: float
    number: int


class GateClosedError(Exception):
    """Azure asked for a pause longer than anybody here should wait for; nothing was sent."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Azure asked for a pause of {math.ceil(seconds)} more seconds")
        self.seconds = seconds


class Gate:
    """One class of requests of one principal in one subscription."""

    def __init__(self, toll: Toll, clock: Clock, chance: Chance) -> None:
        self._toll = toll
        self._clock = clock
        self._chance = chance
        size = _SIZES[toll]
        self._size = size.tokens
        self._rate = size.per_second
        self._at_once = size.at_once
        self._level = size.tokens
        self._filled_at = clock.monotonic()
        self._closed_until = -math.inf
        self._flying = 0
        self._passed = 0
        self._order = count()
        self._queue: list[tuple[Urgency, int, asyncio.Event]] = []

    @asynccontextmanager
    async def admit(self, urgency: Urgency) -> AsyncIterator[Passage]:
        """Hold a place for one request once it may be sent. Raises GateClosedError instead of waiting very long."""
        ticket = (urgency, next(self._order), asyncio.Event())
        heapq.heappush(self._queue, ticket)
        try:
            await self._wait_turn(ticket)
            self._level -= 1.0
            self._flying += 1
            self._passed += 1
            passage = Passage(self._clock.monotonic(), self._passed)
        finally:
            self._leave(ticket)
            self._wake_next()
        try:
            yield passage
        finally:
            self._flying -= 1
            self._wake_next()

    def learn(self, passage: Passage, status: int, headers: Mapping[str, str]) -> None:
        """Correct the level by what an answer says was left when its request arrived; close for as long as it asks."""
        self._refill()
        own = _number(headers.get(f"x-ms-ratelimit-remaining-subscription-{self._toll}"))
        shared = _number(headers.get(f"x-ms-ratelimit-remaining-subscription-global-{self._toll}"))
        if own is not None and own >= self._size:
            self._grow(own + 1)
        # The answer may be old: a deployment's PUT blocks. What was sent or refilled since is not in its number.
        sent_since = self._passed - passage.number
        refilled = (self._clock.monotonic() - passage.at) * self._rate
        for left in (own, shared):
            if left is not None:
                self._level = min(self._level, left - sent_since + refilled)
        if status != 429:
            return
        self._level = min(self._level, 0.0)
        pause = retry_after(headers)
        if pause is not None:
            self.close(pause)

    @property
    def left(self) -> float:
        """How many more may leave now."""
        self._refill()
        return 0.0 if self._closed_until > self._clock.monotonic() else max(0.0, self._level)

    def close(self, seconds: float) -> None:
        """Let nobody through before `seconds` have passed, and not everybody in the same instant after."""
        until = self._clock.monotonic() + seconds + self._chance.uniform(0.05, 0.05 + min(1.0, seconds * 0.1))
        self._closed_until = max(self._closed_until, until)

    async def _wait_turn(self, ticket: tuple[Urgency, int, asyncio.Event]) -> None:
        turn = ticket[2]
        while True:
            closed = self._closed_until - self._clock.monotonic()
            if closed > _LONGEST_WAIT:
                raise GateClosedError(closed)
            if self._queue[0] is not ticket or self._flying >= self._at_once:
                turn.clear()
                await turn.wait()
                continue
            delay = max(closed, self._until_token())
            if delay <= 0:
                return
            await self._clock.sleep(delay)

    def _leave(self, ticket: tuple[Urgency, int, asyncio.Event]) -> None:
        if self._queue[0] is ticket:
            heapq.heappop(self._queue)
            return
        # Whoever gives up may stand anywhere.
        self._queue.remove(ticket)
        heapq.heapify(self._queue)

    def _until_token(self) -> float:
        self._refill()
        missing = 1.0 + self._size * _RESERVE - self._level
        # A wait that a clock cannot tell from none would go round and round.
        return max(missing / self._rate, 0.001) if missing > 1e-6 else 0.0

    def _refill(self) -> None:
        now = self._clock.monotonic()
        self._level = min(self._size, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def _grow(self, tokens: float) -> None:
        """This subscription's bucket is larger than the documented one; it refills as much faster."""
        self._rate *= tokens / self._size
        self._level += tokens - self._size
        self._size = tokens

    def _wake_next(self) -> None:
        if self._queue:
            self._queue[0][2].set()


class Budgets:
    """The gates of everybody in this process; clouds that share it share the buckets of a common principal."""

    def __init__(self) -> None:
        self._gates: dict[tuple[str, str, str, Toll], Gate] = {}
        self.answers: Counter[str] = Counter()
        self.answered_at = 0.0  # on the monotonic clock

    def gate(self, place: tuple[str, str, str], toll: Toll, clock: Clock, chance: Chance) -> Gate:
        """The gate of (endpoint, subscription, principal) for a class of requests."""
        key = (*place, toll)
        if key not in self._gates:
            self._gates[key] = Gate(toll, clock, chance)
        return self._gates[key]

    def tally(self, status: str, clock: Clock) -> None:
        """Count what came back: an HTTP status, or `none`."""
        self.answers[status] += 1
        self.answered_at = clock.monotonic()

    def allowances(self) -> dict[str, float]:
        """What is granted yet of each class, where it is least."""
        left: dict[str, float] = {}
        for (*_, toll), gate in self._gates.items():
            left[toll.value] = min(left.get(toll.value, math.inf), gate.left)
        return left


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait; Azure writes whole seconds, or milliseconds in a header of its own."""
    milliseconds = _number(headers.get("retry-after-ms")) or _number(headers.get("x-ms-retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000.0
    return _number(headers.get("retry-after"))


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return value if value >= 0 and math.isfinite(value) else None
