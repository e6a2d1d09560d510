"""The whole daemon as `reconciler run` wires it, for days that pass in seconds, and everybody whom it talks to.

Real are the loop, its triggers, the herald and its journal on disk, the sinks, the front door, the library that reads
the documents, the Azure packages and the credential's cache; left out are sockets, threads and real time.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import json
import logging
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final

import aiohttp
import apscheduler.executors.base
import apscheduler.schedulers.base
import apscheduler.triggers.interval
import pytest
import structlog
from aiohttp import web

from armsim.rp.network_planting import body_of
from reconciler.app import Duty, Telling, Wiring, _serve_under
from reconciler.apply import Budget
from reconciler.daemon.library import Library
from reconciler.daemon.outside import Door
from reconciler.desired.fleet import Endpoints, load_estate
from reconciler.desired.tree import Tree
from reconciler.model.alert import Route, SinkKind
from reconciler.report.events import Events
from reconciler.runtime import trigger
from reconciler.runtime.halt import Brake
from reconciler.runtime.trigger import Bell, Timing
from tests.daemon.meddling import DAY, FIGHTS, HOUR, INTERVAL, MALLORY, Edit, Script, Wish
from tests.daemon.running import GRACE, Lead, Pausing
from tests.laws.stage import Stage
from tests.support.memory_net import MemoryLoop
from tests.support.virtual_time import LoopClock

DOOR, HOOK, KEEPER = 8080, 9000, 9093
SECRET: Final = "soak-secret"
STOPPING, LOST = "the daemon is stopping", "the lease is somebody else's"
FLEETS: Final = frozenset({"north", "south"})
TASKS: Final = FLEETS | frozenset(
    {"herald", "files", "insist", "brake", "passes", "warden", "sinks", "journal", "hook", "keeper"}
)
NEVER: Final = frozenset(
    {"cycle.crashed", "sink.crashed", "journal.unreadable", "journal.unwritten", "letter.dead", "drain.started"}
)


@contextmanager
def on_the_wall(clock: LoopClock) -> Iterator[None]:
    """Whoever looks at the clock on the wall, credentials and the scheduler, sees `clock`."""

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(clock.now(), tz)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", clock.now)
        patch.setattr(trigger, "_LOOK_EVERY", INTERVAL / 10)
        for module in (apscheduler.schedulers.base, apscheduler.triggers.interval, apscheduler.executors.base):
            patch.setattr(module, "datetime", Now)
        yield


@dataclass
class Census:
    """What is looked at at the end of every pass, by what the daemon logs about it."""

    passes: int = 0
    events: Counter[str] = field(default_factory=Counter)
    strangers: set[str] = field(default_factory=set)
    most: Counter[str] = field(default_factory=Counter)
    # Whatever ran in this process before may have left some.
    threads: int = field(default_factory=threading.active_count)

    def __call__(self, _logger: object, _method: str, event: Any) -> Any:
        name = str(event["event"])
        self.events[name] += 1
        if name in NEVER:
            sys.stderr.write(f"{event}\n")
        if name == "pass.finished":
            self.passes += 1
            # What is still at work has as many tasks as it needs.
            if not event["under_way"]:
                self._count()
        raise structlog.DropEvent

    def _count(self) -> None:
        tasks = [task for task in asyncio.all_tasks() if not task.cancelling()]
        served = [task for task in tasks if "RequestHandler.start" in repr(task.get_coro())]
        named = Counter(task.get_name() for task in tasks if task not in served)
        ours = {name: number for name, number in named.items() if not name.startswith("test")}
        self.strangers |= {f"{number} {name}" for name, number in ours.items() if name not in TASKS or number > 1}
        self._see("connections served", len(served))
        self._see("files open", len([*Path("/proc/self/fd").iterdir()]))
        self._see("more threads", threading.active_count() - self.threads)

    def _see(self, what: str, number: int) -> None:
        self.most[what] = max(self.most[what], number)


class Hook:
    """A webhook's receiver, which writes down what it takes."""

    def __init__(self, place: Path) -> None:
        self._book = place.open("a", encoding="utf-8")
        self.down = False
        self.forged = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if self.down:
            return web.Response(status=503)
        stamp = request.headers["Reconciler-Timestamp"]
        mark = hmac.digest(SECRET.encode(), stamp.encode() + b"." + body, "sha256").hex()
        self.forged += request.headers["Reconciler-Signature"] != f"v1={mark}"
        self._book.write(body.decode() + "\n")
        self._book.flush()
        return web.Response(status=202)

    def close(self) -> None:
        self._book.close()


class Keeper:
    """As much of Alertmanager as knows what is open: alerts by their labels, and when each ends."""

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        for each in json.loads(await request.read()):
            self._ends[json.dumps(each["labels"], sort_keys=True)] = datetime.fromisoformat(each["endsAt"]).timestamp()
        now = self._clock.now()
        self._ends = {labels: ends for labels, ends in self._ends.items() if ends > now}
        return web.Response(status=200)

    @property
    def firing(self) -> list[str]:
        return [labels for labels, ends in self._ends.items() if ends > self._clock.now()]


@asynccontextmanager
async def serving(port: int, answer: Any) -> AsyncIterator[None]:
    runner = web.ServerRunner(web.Server(answer), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Sample:
    """How much there is of everything at a quiet moment."""

    blocks: int
    journal: int
    series: int
    passes: int
    kinds: Counter[type]


@dataclass
class Soak:
    """One soak: Azure, the documents on disk, the receivers, and the process that runs now."""

    azure: Stage
    folder: Path
    hook: Hook
    keeper: Keeper
    census: Census
    journal: Path
    wish: Wish = field(default_factory=Wish)
    lead: Lead = field(default_factory=Lead)
    samples: list[Sample] = field(default_factory=list)
    starts: int = 0
    said: list[str] = field(default_factory=list)
    _bell: Bell = field(default_factory=Bell)
    _brake: Brake | None = None
    _process: asyncio.Task[None] | None = None
    _undo: dict[str, Any] = field(default_factory=dict)
    _broken: set[str] = field(default_factory=set)
    _others: list[asyncio.Task[None]] = field(default_factory=list)

    # -- the process

    def start(self) -> None:
        azure, self.starts = self.azure, self.starts + 1
        self._bell, self._brake = Bell(), Brake(azure.clock)
        tree, place = (
            Tree((self.folder / "desired",)),
            Endpoints(endpoint=azure.sim.endpoint, authority=azure.sim.authority, audience=azure.sim.endpoint),
        )
        library = Library(
            look=tree.digest,
            read=lambda: load_estate((self.folder / "desired",), azure.environment, place),
            clock=azure.clock,
        )
        routes = (
            Route(
                name="hook",
                sink=SinkKind.WEBHOOK,
                urls=(f"http://127.0.0.1:{HOOK}/",),
                secret_variable="HOOK_SECRET",
            ),
            Route(name="keeper", sink=SinkKind.ALERTMANAGER, urls=(f"http://127.0.0.1:{KEEPER}",)),
        )
        duty = Duty(
            library=library,
            timing=Timing(interval=INTERVAL, jitter=INTERVAL / 10),
            pauses=Pausing(),
            budget=Budget(seconds=0.75 * INTERVAL),
            telling=Telling(routes=routes, file=str(self.journal)),
            door=Door(host="127.0.0.1", port=DOOR),
        )
        wiring = Wiring(
            environment={**azure.environment, "HOOK_SECRET": SECRET},
            clock=azure.clock,
            watcher=Events(),
            ca_bundle=str(azure.sim.ca_bundle),
            chance=random.Random(self.starts),
            lease=self.lead,
            halt=self._brake,
        )
        serve = _serve_under(duty, wiring, self._bell, self._brake)
        self._process = asyncio.create_task(serve, name="test process")
        self._bell.fire("start")

    async def stop(self, *, kill: bool = False) -> None:
        """What SIGTERM does, or as much of SIGKILL as can be done to a part of a process."""
        assert self._process is not None
        assert self._brake is not None
        if kill:
            self._process.cancel()
        else:
            self._brake.pull(STOPPING, GRACE)
            self._bell.close()
        with suppress(asyncio.CancelledError):
            await self._process

    def check(self) -> None:
        """That it still runs."""
        assert self._process is not None
        if self._process.done():
            self._process.result()
            raise AssertionError("the daemon has ended by itself")

    # -- what befalls it

    async def play(self, script: Script) -> None:
        """Everything that is written, at its time; a look at what there is in between every noon and midnight."""
        began = self.azure.clock.now()
        for at, _, name, what in script.acts:
            await self._until(began + at)
            self.check()
            await getattr(self, f"do_{name}")(what)

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self.azure.clock.now()))

    async def do_edit(self, edit: Edit) -> None:
        place = self._find(edit.id)
        if edit.by_hand:
            stored = body_of(self.azure.sim.cloud, place)
            assert stored is not None, place
            self._undo[edit.about] = _inverse(edit.body or {}, stored)
        await self.azure.mutate(edit.method, place, edit.body, MALLORY)

    async def do_undo(self, edit: Edit) -> None:
        await self.azure.mutate("PATCH", self._find(edit.id), self._undo.pop(edit.about), MALLORY)

    async def do_fight(self, edit: Edit) -> None:
        """Not before our write is over: whoever undoes it sooner is taken for Azure that does not do it."""
        place, end = self._find(edit.id), self.azure.clock.now() + FIGHTS

        async def undo_each_time() -> None:
            while self.azure.clock.now() < end:
                known = self.azure.resource(place)["properties"]
                if (known["publicNetworkAccess"], known["provisioningState"]) == ("Disabled", "Succeeded"):
                    await self.azure.mutate("PATCH", place, edit.body, MALLORY)
                await asyncio.sleep(40)

        self._others.append(asyncio.create_task(undo_each_time(), name="test fight"))

    def _find(self, id: str) -> str:
        """An id as Azure has it; the number of a connection is not known before."""
        if not id.endswith("/*"):
            return id.lower()
        return next(each for each in self.azure.resources() if each.startswith(id[:-1].lower()))

    async def do_declare(self, what: tuple[str, Any]) -> None:
        self.wish.knobs[what[0]] = what[1]
        self.write()

    def write(self) -> None:
        for name, text in self.wish.write().items():
            place = self.folder / "desired" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            said = f"{text}---\n{{]\n" if name in self._broken else text
            if not place.exists() or place.read_text() != said:
                place.write_text(said)

    async def do_broken(self, what: tuple[bool, str]) -> None:
        (self._broken.add if what[0] else self._broken.discard)(what[1])
        self.write()

    async def do_restart(self, kill: bool) -> None:
        await self.stop(kill=kill)
        self.start()

    async def do_refused(self, what: tuple[bool, None]) -> None:
        loop, port = _loop(), int(self.azure.sim.endpoint.rpartition(":")[2])
        (loop.closed.add if what[0] else loop.closed.discard)(port)
        loop.break_off(port)

    async def do_failing(self, what: tuple[bool, None]) -> None:
        await self._bend(what[0], kind="status", status=503, count=-1, match={"path": "^/subscriptions"})

    async def do_nameless(self, what: tuple[bool, None]) -> None:
        await self._bend(what[0], kind="status", status=500, count=-1, match={"path": "oauth2/v2.0/token"})

    async def do_throttled(self, what: tuple[bool, int]) -> None:
        await self._bend(what[0], kind="throttle", retry_after=what[1], count=-1, probability=0.2)

    async def _bend(self, begins: bool, **fault: Any) -> None:
        if begins:
            await self.azure.fault(**fault)
        else:
            await self.azure.mend()

    async def do_unled(self, what: tuple[bool, None]) -> None:
        assert self._brake is not None
        self.lead.seconds = 0.0 if what[0] else DAY
        if what[0]:
            self._brake.pull(LOST, 0.0)
        else:
            self._brake.lift(LOST)
            self._bell.fire("lease")

    async def do_unheard(self, what: tuple[bool, None]) -> None:
        self.hook.down = what[0]

    async def do_sample(self, _what: None) -> None:
        self.samples.append(await self.sample())

    async def idle(self, passes: int) -> int:
        """Have a process that remembers nothing make passes in which nothing happens, and tell how many blocks of
        memory it has kept of them."""
        await self.stop()
        self.journal = self.folder / "idle.json"
        self.start()
        blocks = []
        for number in (passes // 2, passes):
            for _ in range(number):
                self._bell.fire("idle")
                await asyncio.sleep(INTERVAL / 10)
            blocks.append(min([await self._count_blocks() for _ in range(4)]))
        return blocks[1] - blocks[0]

    async def _count_blocks(self) -> int:
        """A minute from now, when no cycle is under way: of memory that is in use and no garbage."""
        await asyncio.sleep(67)
        cycles = [task for task in asyncio.all_tasks() if task.get_name() in FLEETS]
        if cycles:
            await asyncio.wait(cycles)
        self._forget_for_azure()
        _loop().drop_cancelled()
        gc.collect()
        return sys.getallocatedblocks()

    # -- what there is of everything

    async def sample(self) -> Sample:
        series = await self._scrape()
        blocks = await self._count_blocks()
        # By class, not by its name: a thousand new names for each sample would look like a leak.
        kinds = Counter(map(type, gc.get_objects()))
        journal = self.journal.stat().st_size
        return Sample(blocks, journal, series, self.census.passes, kinds)

    async def _scrape(self) -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{DOOR}/metrics") as answer,
        ):
            lines = (await answer.text()).splitlines()
        return sum(not line.startswith("#") for line in lines)

    def _forget_for_azure(self) -> None:
        """What the simulation remembers would look like a leak. At a quiet moment nobody will ask for it."""
        door, world, now = self.azure.sim.door, self.azure.sim.world, self.azure.clock.now()
        door.ledger.clear()
        world.activity.clear()
        world.journal.clear()
        for id in [id for id, each in world.operations.items() if each.end and each.end < now - HOUR]:
            del world.operations[id]
        known = door.identity._known
        for token in [token for token, each in known.items() if each.ends < now]:
            del known[token]
        self._others = [task for task in self._others if not task.done()]


def _loop() -> MemoryLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, MemoryLoop)
    return loop


def _inverse(body: Any, stored: Any) -> Any:
    """What takes a merge with `body` back where there was `stored`."""
    if not isinstance(body, dict):
        return stored
    there = stored if isinstance(stored, dict) else {}
    return {name: _inverse(value, there.get(name)) for name, value in body.items()}


@contextmanager
def counting() -> Iterator[Census]:
    census, before, azure = Census(), structlog.get_config(), logging.getLogger("azure")
    level = azure.level
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO), processors=[census])
    # What is logged would be kept for the report of a failure, and look like a leak.
    azure.setLevel(logging.CRITICAL)
    try:
        yield census
    finally:
        structlog.configure(**before)
        azure.setLevel(level)
