"""Who leads: holds a Kubernetes Lease while it can be sure of it, and competes for it while somebody else does.

Promises: whoever leads by its own reckoning has a lease that no rival takes yet. The reckoning is on the monotonic
clock, from before a renewal was sent to well before the lease runs out; wall clocks, its own and its rivals', decide
nothing. The lease is given back only when the work has ended. Knows nothing of what the work is.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.health import Leadership
from reconciler.model.ports import Chance, Clock, Lease
from reconciler.model.wire import JsonObject
from reconciler.runtime.kube import Kube, Resource

_log = structlog.get_logger("reconciler")

Heed = Callable[[str], None]

# Go's parser of these times wants six digits, and Python leaves them out once in a million times: where they are zero.
_SLOW: Final = 5.0  # seconds that a machine with too much to do may be late by

_MICRO_TIME: Final = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """In seconds: for how long a rival leaves a lease alone that it sees unchanged, after how long without a renewal we
    give up ourselves, and how often we renew. ValueError where they do not leave room for each other."""

    duration: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0

    def __post_init__(self) -> None:
        if self.duration != int(self.duration) or self.duration < 1:
            raise ValueError(f"a lease lasts whole seconds and at least one, not {self.duration:g} s")
        if not self.duration > self.deadline > 1.2 * self.retry > 0:
            told = f"{self.duration:g} s, {self.deadline:g} s, {self.retry:g} s"
            raise ValueError(f"a lease lasts longer than its deadline, and that longer than 1.2 retries, not {told}")


class Candidate(Lease, Protocol):
    """A `Lease` that has to be competed for. `name` and `why` are for people: which lease, and why it is not ours, such
    as "is held by pod-a"."""

    @property
    def name(self) -> str: ...

    @property
    def why(self) -> str: ...

    def look(self) -> Leadership: ...

    async def keep(self, heed: Heed) -> None:
        """Compete, hold, lose, for ever. `heed` hears "" when a term begins, and why when it has ended."""
        ...

    async def release(self) -> None:
        """Let somebody else lead at once. Never before all that the lease covered has ended."""
        ...


@asynccontextmanager
async def stand(candidate: Candidate, heed: Heed) -> AsyncIterator[None]:
    """Compete while the block runs. What was begun in the block must have ended with it: then the lease is free. What
    the block raises is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(candidate.keep(heed), name="lease")
            yield
            keeper.cancel()
    except BaseExceptionGroup as crashed:
        if len(crashed.exceptions) > 1:
            raise
        raise crashed.exceptions[0] from None
    finally:
        await candidate.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """What a Lease says, and the object that it stands in, which may be gone by now. `duration` is in seconds, 0 where
    it says nothing."""

    holder: str
    renewed: str
    duration: float
    transitions: int
    body: JsonObject
    gone: bool = False

    @property
    def words(self) -> tuple[str, str, int]:
        return self.holder, self.renewed, self.transitions


class Elector:
    """Keeps the `Lease` port by a Lease of Kubernetes. `identity` is this process's alone. `clock` passes as that of
    the wall does, for so does that of its rivals. `term` counts from whoever led first."""

    def __init__(self, kube: Kube, name: str, *, identity: str, terms: Terms, clock: Clock, chance: Chance) -> None:
        self.term = -1
        self.beat = clock.monotonic()  # when the keeper last came round
        self.fault: Fault | None = None  # what was wrong with the last request
        self._kube = kube
        self._name = name
        self._identity = identity
        self._terms = terms
        self._clock = clock
        self._chance = chance
        self._seen: _Record | None = None
        self._seen_at = -math.inf
        self._until = -math.inf
        self._leads = False
        self._lapsed = False  # whether a term is over, and what it began is not
        self._unsure = False  # whether what was sent last may have arrived
        self._works = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def name(self) -> str:
        return f"{self._kube.namespace}/{self._name}"

    @property
    def holder(self) -> str:
        return self._seen.holder if self._seen else ""

    @property
    def why(self) -> str:
        if self.fault:
            return f"cannot be had: {self.fault}"
        return f"is held by {self.holder}" if self.holder else "is held by nobody yet"

    @property
    def leads(self) -> bool:
        return self._leads

    def look(self) -> Leadership:
        now = self._clock.monotonic()
        return Leadership(
            name=self.name,
            identity=self._identity,
            holder=self.holder,
            term=self._seen.transitions if self._seen else None,
            renewed_at=self._clock.now() - (now - self._seen_at) if self._seen else None,
            silence=0.0 if self._lapsed else now - self.beat,
            patience=max(self._terms.duration, 5 * self._terms.retry) + _SLOW,
            why=self.why,
        )

    def remaining(self) -> float:
        """The last retry before the deadline is not for beginning anything: what is sent needs time to leave."""
        return self._until - self._terms.retry - self._clock.monotonic() if self._leads else 0.0

    @contextmanager
    def work(self) -> Iterator[None]:
        self._works += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._works -= 1
            if not self._works:
                self._idle.set()

    async def keep(self, heed: Heed) -> None:
        while True:
            await self._compete()
            heed("")
            lost = await self._hold()
            self._leads = False
            _log.warning("lease.lost", lease=self.name, term=self.term, because=lost)
            heed(lost)
            # What this term began must have ended, lest the next one be taken for its own.
            self._lapsed = True
            await self._idle.wait()
            self._lapsed = False

    async def release(self) -> None:
        self._leads = False
        if not self._unsure and self.holder != self._identity:
            return
        if await self._look() and self.holder == self._identity and await self._free() is None:
            _log.info("lease.released", lease=self.name, term=self.term)

    async def _compete(self) -> None:
        while not (await self._look() and self._may_take() and await self._take() is None):
            self.beat = self._clock.monotonic()
            # Twice as often as a leader renews: a lease that was given back should not lie about.
            await self._clock.sleep(self._chance.uniform(0.3, 0.5) * self._terms.retry)
        assert self._seen is not None
        self.term = self._seen.transitions
        self._leads = True
        _log.info("lease.acquired", lease=self.name, term=self.term, identity=self._identity)

    async def _hold(self) -> str:
        """Renew for as long as that goes well; then say why it does not any more."""
        began = self._clock.monotonic()
        while True:
            now = self.beat = self._clock.monotonic()
            pause = max(0.1 * self._terms.retry, self._chance.uniform(0.6, 1.0) * self._terms.retry - (now - began))
            # A request for which there is hardly any time left would only hide why the one before it failed.
            soon = now + pause > self._until - 0.1 * self._terms.retry
            await self._clock.sleep(self._until - now if soon else pause)
            began = self._clock.monotonic()
            # Whoever was stopped for long wakes up here, and must not renew what a rival may have by now.
            if began >= self._until:
                why = f": {self.fault}" if self.fault else ""
                return f"the lease {self.name} could not be renewed in time{why}"
            if await self._renew_through_conflicts():
                continue
            if self.holder != self._identity:
                return f"the lease {self.name} is held by {self.holder or 'nobody'} now"

    async def _renew_through_conflicts(self) -> bool:
        """Renew; where the Lease is not as we left it, look at what it is."""
        fault = await self._renew()
        if fault is not None and fault.cls in (FaultClass.CONFLICT, FaultClass.ABSENT):
            await self._look()
            if self.holder == self._identity:
                fault = await self._renew()
        return fault is None

    def _may_take(self) -> bool:
        """Whether nobody else can think that it leads, by what we have seen and our own clock."""
        seen = self._seen
        if seen is None or seen.holder in ("", self._identity):
            return True
        return self._clock.monotonic() >= self._seen_at + max(seen.duration, self._terms.duration)

    async def _look(self) -> bool:
        """See what the Lease says; whether it could be seen. Gone, it says nothing: who led may still think it does."""
        found = await self._kube.get(Resource.LEASES, self._name, self._patience())
        if not isinstance(found, Fault):
            self._hear(None)
            self._note(found)
            return True
        if found.cls is not FaultClass.ABSENT:
            self._hear(found)
            return False
        self._hear(None)
        self._seen = replace(self._seen, gone=True) if self._seen else None
        return True

    async def _take(self) -> Fault | None:
        now = self._stamp()
        transitions = self._seen.transitions + 1 if self._seen else 0
        return await self._write(
            {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._terms.duration),
                "acquireTime": now,
                "renewTime": now,
                "leaseTransitions": transitions,
            }
        )

    async def _renew(self) -> Fault | None:
        return await self._write({"holderIdentity": self._identity, "renewTime": self._stamp()})

    async def _free(self) -> Fault | None:
        now = self._stamp()
        return await self._write(
            {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": now, "renewTime": now}
        )

    async def _write(self, spec: JsonObject) -> Fault | None:
        """Send the Lease as it was seen but for `spec`; what went well covers us from before it was sent."""
        sent = self._clock.monotonic()
        body = self._compose(spec)
        seconds = self._patience()
        self._unsure = True
        if self._seen and not self._seen.gone:
            answer = await self._kube.replace(Resource.LEASES, self._name, body, seconds)
        else:
            answer = await self._kube.create(Resource.LEASES, body, seconds)
        self._unsure = isinstance(answer, Fault) and answer.applied
        if isinstance(answer, Fault):
            self._hear(answer)
            return answer
        self._hear(None)
        self._note(answer)
        self._until = sent + self._terms.deadline
        return None

    def _compose(self, spec: JsonObject) -> JsonObject:
        body = self._seen.body if self._seen else {}
        before = body.get("spec")
        # With the version and the uid that were seen: whatever somebody else did meanwhile is a conflict.
        metadata = body.get("metadata")
        if self._seen is None or self._seen.gone:
            metadata = {"name": self._name, "namespace": self._kube.namespace}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {**(before if isinstance(before, dict) else {}), **spec},
        }

    def _note(self, body: JsonObject) -> None:
        record = _read_record(body)
        if self._seen is None or record.words != self._seen.words:
            self._seen_at = self._clock.monotonic()
        self._seen = record

    def _stamp(self) -> str:
        """The time on the wall, for people and for being another one than before: a rival sees that we live."""
        now = datetime.fromtimestamp(self._clock.now(), UTC)
        stamp = now.strftime(_MICRO_TIME)
        if self._seen and stamp == self._seen.renewed:
            stamp = (now + timedelta(microseconds=1)).strftime(_MICRO_TIME)
        return stamp

    def _patience(self) -> float:
        """Seconds for one request; never beyond our own deadline."""
        patience = 2 * self._terms.retry
        return min(patience, max(self._until - self._clock.monotonic(), 0.0)) if self._leads else patience

    def _hear(self, fault: Fault | None) -> None:
        """What goes wrong again and again is told once."""
        if fault is not None and fault.cls is not FaultClass.CONFLICT:
            tell = _log.debug if self.fault and self.fault.code == fault.code else _log.warning
            tell("lease.failed", lease=self.name, code=fault.code, message=fault.message)
        self.fault = fault


def _read_record(body: JsonObject) -> _Record:
    """What a Lease says, whoever wrote it and with whatever care."""
    spec = body.get("spec")
    said = spec if isinstance(spec, dict) else {}
    duration, transitions = said.get("leaseDurationSeconds"), said.get("leaseTransitions")
    return _Record(
        holder=str(said.get("holderIdentity") or ""),
        renewed=str(said.get("renewTime") or ""),
        duration=float(duration) if isinstance(duration, (int, float)) else 0.0,
        transitions=transitions if isinstance(transitions, int) else 0,
        body=body,
    )
