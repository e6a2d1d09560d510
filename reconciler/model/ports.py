"""What the product asks of the outside world. The rooms know these protocols; only `app.py` knows who keeps them.

Expected failures are values (`Fault`), never exceptions. An exception from a port is a broken promise of ours.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection, Mapping, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from reconciler.model.finding import Fault
from reconciler.model.health import Leadership
from reconciler.model.ids import ArmId
from reconciler.model.outcome import Outcome
from reconciler.model.pause import Pause
from reconciler.model.plan import Plan, Step, Verb, Warrant
from reconciler.model.quota import Catalogue, Quotas, QuotaScope, Usage
from reconciler.model.resource import Activity, DeletedAccount, Live, Scope, Snapshot
from reconciler.model.rights import Rights, RightsScope
from reconciler.model.wire import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One mutating request. `location` is needed by purge and restore only; `body` is None for delete and purge."""

    verb: Verb
    id: ArmId
    body: JsonObject | None = None
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A long-running operation that Azure has accepted. `url` is replayed byte for byte; `pause` is what Azure asked
    for in seconds (Retry-After), None where it asked for nothing."""

    id: ArmId
    url: str
    pause: float | None = None


class Progress(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Azure said to a write: exactly one of `fault` or a 2xx; `live` where the body held the resource."""

    fault: Fault | None = None
    live: Live | None = None
    operation: Operation | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """One look at a long-running operation. A fault while RUNNING means that the look failed, not the operation."""

    progress: Progress
    pause: float | None = None
    fault: Fault | None = None


class Cloud(Protocol):
    """Azure, for one credential. Every call is one request (or one paged list) and honours the shared request budget.

    Must: return faults as values; wait out Retry-After before the next request of the same kind.
    May: retry connection errors of reads. Never: retry a write, poll on its own, write anything it was not asked to.
    """

    async def observe(self, scope: Scope) -> Snapshot: ...

    async def read(self, id: ArmId) -> Live | Fault:
        """A fresh GET; a resource that does not exist is a fault of class `absent`."""
        ...

    async def who(self, ids: Collection[ArmId], seconds: float) -> Activity:
        """Who wrote to `ids`, or deleted them, in the last `seconds` of Azure's own clock: one list per subscription,
        asked once and not again, because nothing waits for the answer."""
        ...

    async def measure(self, scope: QuotaScope) -> Quotas:
        """What the regions of `scope` allow and sell, two lists each, or one where only usages are wanted, and one
        list for each account and model of `scope`."""
        ...

    async def rights(self, scope: RightsScope) -> Rights:
        """What this identity is granted at the places of `scope`, one list each, and how its providers stand, one GET
        each. What was read just now is not asked again."""
        ...

    async def browse(self, subscription: str, locations: Set[str]) -> Catalogue:
        """What the regions sell and until when: one list each, believed for some minutes, so mostly none."""
        ...

    async def read_deleted(self, id: ArmId, location: str) -> DeletedAccount | Fault:
        """A fresh GET of what was deleted softly, by the id that it had alive and in the region that it was in."""
        ...

    async def read_usages(self, subscription: str, location: str) -> Mapping[str, Usage] | Fault:
        """How full the pools of one folded region are, by folded name: one list, without what the region sells."""
        ...

    async def write(self, write: Write) -> Answer: ...

    async def poll(self, operation: Operation) -> Poll: ...


class Clock(Protocol):
    """Time. `now` is epoch seconds, `monotonic` only ever grows; both may run faster than the wall for a simulation."""

    def now(self) -> float: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class Chance(Protocol):
    """Randomness for jitter only; `random.Random` keeps it."""

    def uniform(self, a: float, b: float) -> float: ...


class Watcher(Protocol):
    """Who is told what the executor does while it does it: a terminal, log lines. Must not raise or wait."""

    def planned(self, plan: Plan) -> None: ...

    def started(self, step: Step) -> None: ...

    def waiting(self, step: Step, why: str, seconds: float) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...


class Lease(Protocol):
    """Who may write. `remaining` is for how many seconds, on the monotonic clock, starting a write is still covered; at
    most 0 where somebody else leads. `term` is another number where somebody else may have led meanwhile. `look` tells
    people of it, and None where there is no lease."""

    @property
    def term(self) -> int: ...

    def remaining(self) -> float: ...

    def work(self) -> AbstractContextManager[None]:
        """While any such block runs, no new term begins: what an old one planned never acts under it."""
        ...

    def look(self) -> Leadership | None: ...


class Halt(Protocol):
    """Whether writing shall come to an end. While `because` says something no step and no write starts; `cut` returns
    once nothing that only waits shall be waited for any more."""

    @property
    def because(self) -> str: ...

    async def cut(self) -> None: ...


class Pauses(Protocol):
    """Where pauses are kept, so that whoever writes finds them. `load` gives a pause of everything where they cannot be
    read: unknown is not absent. `save` raises OSError where they cannot be kept."""

    async def load(self) -> tuple[Pause, ...]: ...

    async def save(self, pauses: tuple[Pause, ...]) -> None: ...


class Auditor(Protocol):
    """Who writes down every write: when it is about to leave, and what Azure said to it, None where nobody waited for
    that. Must not raise or wait."""

    def sending(self, warrant: Warrant, step: Step) -> None: ...

    def answered(self, warrant: Warrant, step: Step, answer: Answer | None) -> None: ...


class Unaudited:
    """Keeps the `Auditor` port where nothing is written down."""

    def sending(self, warrant: Warrant, step: Step) -> None:
        del warrant, step

    def answered(self, warrant: Warrant, step: Step, answer: Answer | None) -> None:
        del warrant, step, answer


class Tracer(Protocol):
    """Who is told what takes how long, as spans within spans: whatever is awaited in the block is part of it. `facts`
    are names and numbers, never what is secret. Must not raise or wait."""

    def span(self, name: str, facts: Mapping[str, str | int]) -> AbstractContextManager[object]: ...


class Untraced:
    """Keeps the `Tracer` port where nobody is told."""

    def span(self, name: str, facts: Mapping[str, str | int]) -> AbstractContextManager[object]:
        del name, facts
        return nullcontext()


class Onlooker(Protocol):
    """Who is told that the loop is alive, and what woke it. Must not raise or wait."""

    def heard(self, triggers: tuple[str, ...]) -> None: ...


class Unwatched:
    """Keeps the `Onlooker` port where nobody looks."""

    def heard(self, triggers: tuple[str, ...]) -> None:
        del triggers


class Alone:
    """Keeps the `Lease` port where nobody else is: always covered."""

    term = 0

    def remaining(self) -> float:
        return math.inf

    def work(self) -> AbstractContextManager[None]:
        return nullcontext()

    def look(self) -> Leadership | None:
        return None


class Unhalted:
    """Keeps the `Halt` port where nothing but a cancellation ends a run."""

    @property
    def because(self) -> str:
        return ""

    async def cut(self) -> None:
        await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The ports that one fleet's cycle runs in."""

    cloud: Cloud
    clock: Clock
    chance: Chance
    watcher: Watcher
    lease: Lease = field(default_factory=Alone)
    halt: Halt = field(default_factory=Unhalted)
    auditor: Auditor = field(default_factory=Unaudited)
    tracer: Tracer = field(default_factory=Untraced)
