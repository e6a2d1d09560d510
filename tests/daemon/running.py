"""A daemon in the test's own loop: everything it is made of is at hand, and every pass it has made."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from reconciler.app import KeptWorlds, Wiring
from reconciler.apply import Budget
from reconciler.daemon import Chronicle, Forgetful, Service, run_forever
from reconciler.model.health import Leadership
from reconciler.model.outcome import Pass
from reconciler.model.pause import Pause
from reconciler.model.ports import Alone, Tracer, Untraced, World
from reconciler.model.resource import Estate, Fleet
from reconciler.runtime.halt import Brake
from reconciler.runtime.trigger import Bell
from tests.laws.stage import Document, Stage

INTERVAL = 60.0
GRACE = 30.0
DAY = 86_400.0


class Lead(Alone):
    """A lease that a test gives and takes."""

    def __init__(self) -> None:
        self.seconds = DAY
        self.holder = ""
        self.term = 1

    def remaining(self) -> float:
        return self.seconds

    def look(self) -> Leadership:
        return Leadership(name="prod", identity="here", holder=self.holder, why=f"is held by {self.holder or 'nobody'}")


@dataclass
class Pausing:
    """Pauses that nobody has to write down."""

    pauses: tuple[Pause, ...] = ()

    async def load(self) -> tuple[Pause, ...]:
        return self.pauses

    async def save(self, pauses: tuple[Pause, ...]) -> None:
        self.pauses = pauses


@dataclass
class Running:
    """The daemon under test. `estate` is what it loads; a test may put another one there, or an error to be raised."""

    azure: Stage
    estate: Estate | Exception
    bell: Bell
    brake: Brake
    lead: Lead
    pausing: Pausing
    passes: list[Pass] = field(default_factory=list)
    after: Callable[[], Coroutine[object, object, None]] | None = None
    source: Callable[[], Coroutine[object, object, Estate]] | None = None  # instead of `estate`
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    async def load(self) -> Estate:
        if self.source is not None:
            return await self.source()
        if isinstance(self.estate, Exception):
            raise self.estate
        return self.estate

    async def close(self, done: Pass) -> None:
        self.passes.append(done)
        self._told.set()
        if self.after is not None:
            await self.after()

    async def next_pass(self, trigger: str = "") -> Pass:
        """Ring, if there is something to ring for, and wait for the next pass to end."""
        count = len(self.passes)
        if trigger:
            self.bell.fire(trigger)
        while len(self.passes) == count:
            self._told.clear()
            await self._told.wait()
        return self.passes[-1]

    async def until(self, good: Callable[[Pass], bool], passes: int = 60) -> Pass:
        """The first pass that is good, one interval after the other."""
        for _ in range(passes):
            if good(done := await self.next_pass("interval")):
                return done
            await asyncio.sleep(INTERVAL)
        raise AssertionError(f"{passes} passes and none was good")

    def stop(self) -> None:
        """What SIGTERM does."""
        self.brake.pull("the daemon is stopping", GRACE)
        self.bell.close()


class BrittleWorlds:
    """Worlds of which some are broken: the cloud of a fleet named here raises what nobody expected."""

    def __init__(self, worlds: KeptWorlds, broken: Mapping[str, World]) -> None:
        self._worlds = worlds
        self._broken = broken

    async def open(self, fleets: tuple[Fleet, ...]) -> Mapping[str, World]:
        return {**await self._worlds.open(fleets), **self._broken}


@asynccontextmanager
async def running(
    azure: Stage,
    documents: Iterable[Document] | Estate,
    broken: Mapping[str, World] | None = None,
    budget: Budget | None = Budget(seconds=0.75 * INTERVAL),  # noqa: B008 - a frozen value
    remember: Callable[[Running], Chronicle] = lambda _daemon: Forgetful(),
    tracer: Tracer | None = None,
) -> AsyncIterator[Running]:
    """A daemon that has not been rung yet; stopped, if the test has not done so, when the block ends."""
    estate = documents if isinstance(documents, Estate) else azure.load_estate(documents)
    daemon = Running(azure, sign_in(azure, estate), Bell(), Brake(azure.clock), Lead(), Pausing())
    wiring = Wiring(
        environment=azure.environment,
        clock=azure.clock,
        watcher=azure.watched,
        ca_bundle=str(azure.sim.ca_bundle),
        chance=random.Random(azure.seed),
        budgets=azure.budgets,
        lease=daemon.lead,
        halt=daemon.brake,
        tracer=tracer or Untraced(),
    )
    async with KeptWorlds.keep(wiring, read_only=budget is None) as worlds, asyncio.TaskGroup() as group:
        service = Service(
            load=daemon.load,
            worlds=BrittleWorlds(worlds, broken or {}),
            pauses=daemon.pausing,
            lease=daemon.lead,
            bell=daemon.bell,
            brake=daemon.brake,
            clock=azure.clock,
            chance=wiring.chance,
            budget=budget,
            chronicle=remember(daemon),
            closers=(daemon.close,),
            tracer=wiring.tracer,
        )

        async def run() -> None:
            await run_forever(service)
            daemon.ended.set()

        group.create_task(run())
        yield daemon
        daemon.stop()


def sign_in(azure: Stage, estate: Estate) -> Estate:
    """The estate with the one client that the simulation knows."""
    fleets = tuple(
        replace(
            fleet,
            target=replace(
                fleet.target,
                credential="clientSecret",
                tenant=azure.sim.tenant_id,
                client_id=azure.sim.client_id,
                secret_variable="AZURE_CLIENT_SECRET",
            ),
        )
        for fleet in estate.fleets
    )
    return replace(estate, fleets=fleets)
