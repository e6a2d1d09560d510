"""Electors at work in one loop: each writes for as long as it may, and the record shows who wrote when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from reconciler.runtime.kube import Kube, find_place
from reconciler.runtime.lease import Elector, Terms, stand
from tests.support.kubernetes import LEASES, ApiServer, Document
from tests.support.virtual_time import LoopClock

NAME = "reconciler"
STEP = 0.4  # seconds between two writes


@dataclass(frozen=True)
class Mark:
    """One write: who began it, when on the loop's clock, in which term."""

    who: str
    at: float
    term: int


@dataclass
class Replica:
    """One process, as far as the lease is concerned. `log` holds what `heed` heard."""

    name: str
    elector: Elector
    marks: list[Mark]
    log: list[str] = field(default_factory=list)
    crash: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    unwinding: float = 0.0  # seconds that the work still takes when it is told to end

    async def run(self) -> None:
        async with stand(self.elector, self.log.append):
            await self._work()

    async def _work(self) -> None:
        while not self.crash.is_set():
            if self.elector.remaining() > 0:
                with self.elector.work():
                    await self._write()
            await asyncio.sleep(STEP)
        raise RuntimeError("the work crashed")

    async def _write(self) -> None:
        """As in a pass: the term it began in is the only one it may write in."""
        terms = len(self.log)
        while self.elector.remaining() > 0 and len(self.log) == terms and not self.crash.is_set():
            self.marks.append(Mark(self.name, asyncio.get_running_loop().time(), self.elector.term))
            await asyncio.sleep(STEP)
        await asyncio.sleep(self.unwinding)

    async def stop(self) -> None:
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})


@dataclass
class Electorate:
    """Replicas over one API server."""

    server: ApiServer
    folder: Path
    terms: Terms
    marks: list[Mark] = field(default_factory=list)
    replicas: dict[str, Replica] = field(default_factory=dict)
    group: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)

    @asynccontextmanager
    async def kube(self, name: str) -> AsyncIterator[Kube]:
        environment = self.server.client(name, self.folder / name)
        async with Kube.open(find_place(environment, str(self.folder / name), "")) as kube:
            yield kube

    async def start(self, name: str, skew: float = 0.0) -> Replica:
        """A replica whose wall clock is wrong by `skew` seconds."""
        ready: asyncio.Future[Replica] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            async with self.kube(name) as kube:
                clock = LoopClock(1.8e9 + skew)
                elector = Elector(kube, NAME, identity=name, terms=self.terms, clock=clock, chance=Random(name))
                replica = Replica(name, elector, self.marks)
                ready.set_result(replica)
                try:
                    await replica.run()
                except* RuntimeError:
                    replica.log.append("crashed")

        task = self.group.create_task(live())
        replica = self.replicas[name] = await ready
        replica.task = task
        return replica

    async def led_by(self, *names: str, within: float) -> float:
        """Wait until one of `names` writes; how many seconds that took."""
        began = asyncio.get_running_loop().time()
        while not any(mark.who in names and mark.at >= began for mark in self.marks):
            await asyncio.sleep(STEP)
            waited = asyncio.get_running_loop().time() - began
            assert waited < within + 2 * STEP, f"nobody of {names} leads after {waited:.2f} s: {self.find()}"
        return asyncio.get_running_loop().time() - began

    def find(self) -> Document | None:
        return self.server.find(LEASES, NAME)

    def check(self) -> None:
        """Never two at once: whoever wrote in a term is alone in it, and a term is over when the next one begins."""
        owners: dict[int, str] = {}
        last = -1
        for mark in self.marks:
            assert owners.setdefault(mark.term, mark.who) == mark.who, f"two in one term: {mark}, {owners}"
            assert mark.term >= last, f"{mark} after term {last} had begun"
            last = mark.term
        for mark in self.marks:
            assert mark.at <= self._renewed(mark) + self.terms.deadline, f"{mark} is after its own deadline"

    def _renewed(self, mark: Mark) -> float:
        """When the last renewal before a write arrived: it was sent before."""
        return max(
            seen.at
            for seen in self.server.seen
            if seen.client == mark.who and seen.verb in ("PUT", "POST") and seen.status < 300 and seen.at <= mark.at
        )
