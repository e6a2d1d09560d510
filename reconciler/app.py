"""Wires the ports: opens a world for each fleet and closes it. Nothing else names the classes that keep them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import TypeVar

from reconciler.apply import Budget, run_plan
from reconciler.cloud import Budgets, CloudSettings, open_cloud
from reconciler.cloud.session import trace_requests, trust
from reconciler.cycle import CycleRequest, converge, run_cycle
from reconciler.daemon import Service, run_forever
from reconciler.daemon.herald import Desk, Herald
from reconciler.daemon.library import Library
from reconciler.daemon.outside import Door, open_door
from reconciler.deleted import survey_deleted
from reconciler.leading import LeaseChoice, compete, lead
from reconciler.model.alert import Route, SinkKind
from reconciler.model.burial import Graveyard
from reconciler.model.outcome import CycleReport, Outcome, Pass
from reconciler.model.plan import Plan
from reconciler.model.ports import (
    Alone,
    Auditor,
    Chance,
    Clock,
    Halt,
    Lease,
    Pauses,
    Tracer,
    Unhalted,
    Untraced,
    Watcher,
    World,
)
from reconciler.model.resource import CloudTarget, Fleet, Scope, Snapshot
from reconciler.report.alerts import Storm
from reconciler.report.audit import AuditLog
from reconciler.report.drift import Rounds
from reconciler.report.letters import name_media, shape_alerts, shape_letter
from reconciler.runtime.halt import Brake
from reconciler.runtime.journal import ConfigMapStore, FileStore, NoStore, Store
from reconciler.runtime.kube import Kube, Place
from reconciler.runtime.memory import give_back
from reconciler.runtime.pulse import Pulse, Sources, Traffic
from reconciler.runtime.sinks import (
    Alertmanager,
    Courier,
    Deliver,
    KubeEvents,
    Poster,
    Regarding,
    Shapes,
    Sinks,
    Surroundings,
    Webhook,
)
from reconciler.runtime.traces import open_traces
from reconciler.runtime.trigger import Bell, Timing, insist, keep_time, watch

Result = TypeVar("Result")
_SHORTEST_PATIENCE = 45.0  # seconds
_FLUSH = 5.0  # seconds that alerts have to leave in when the daemon stops


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What all fleets of one command share: surroundings, time, chance, and who is told. One request budget for all."""

    environment: Mapping[str, str]
    clock: Clock
    watcher: Watcher
    ca_bundle: str = ""
    chance: Chance = field(default_factory=Random)  # jitter only
    budgets: Budgets = field(default_factory=Budgets)
    model_age: float = 600.0  # seconds
    choice: LeaseChoice = field(default_factory=LeaseChoice)
    lease: Lease = field(default_factory=Alone)
    halt: Halt = field(default_factory=Unhalted)
    auditor: Auditor = field(default_factory=AuditLog)
    tracer: Tracer = field(default_factory=Untraced)

    def bar(self) -> str:
        """Why nothing may be written at this moment, or ""."""
        return self.halt.because or ("" if self.lease.remaining() > 0 else "the lease does not cover it any more")


def wire(environment: Mapping[str, str], clock: Clock, watcher: Watcher, ca_bundle: str) -> Wiring:
    """A wiring whose certificates can be read; ValueError says which cannot, before any fleet is looked at."""
    trust(CloudSettings(environment=environment, ca_bundle=ca_bundle))
    return Wiring(environment=environment, clock=clock, watcher=watcher, ca_bundle=ca_bundle)


async def plan_fleets(fleets: tuple[Fleet, ...], wiring: Wiring, request: CycleRequest) -> tuple[CycleReport, ...]:
    """One look and one plan per fleet, all at once. The clouds refuse to write."""
    return await _each(fleets, wiring, lambda world, fleet: run_cycle(world, fleet, request), read_only=True)


async def converge_fleets(
    fleets: tuple[Fleet, ...], wiring: Wiring, request: CycleRequest, tell: Callable[[str], None]
) -> tuple[tuple[CycleReport, ...], ...]:
    """Every fleet's cycles until nothing is left, all fleets at once."""
    async with covered(wiring, tell) as leading:
        return await _each(fleets, leading, lambda world, fleet: converge(world, fleet, request), read_only=False)


@asynccontextmanager
async def covered(wiring: Wiring, tell: Callable[[str], None]) -> AsyncIterator[Wiring]:
    """A wiring that may write while the block runs, unless the lease is lost; `tell` hears what is waited for before.
    Raises LeaseHeldError before anything is looked at, where somebody else leads."""
    brake = Brake(wiring.clock)
    async with lead(wiring.choice, wiring.chance, lambda lost: brake.pull(lost, 0.0), tell) as lease:
        yield replace(wiring, lease=lease, halt=brake)


async def survey_fleets(fleets: tuple[Fleet, ...], wiring: Wiring, regions: frozenset[str]) -> tuple[Graveyard, ...]:
    """What is deleted softly in every fleet's subscription. The clouds refuse to write."""
    return await _each(fleets, wiring, lambda world, fleet: survey_deleted(world, fleet, regions), read_only=True)


async def carry_out(target: CloudTarget, plan: Plan, wiring: Wiring, budget: Budget) -> tuple[Outcome, ...]:
    """Exactly this plan, which somebody has agreed to."""
    async with open_world(target, wiring, read_only=False) as world:
        world.watcher.planned(plan)
        return await run_plan(plan, world, budget)


async def look(target: CloudTarget, scope: Scope, wiring: Wiring) -> Snapshot:
    """What is live, without a fleet. The cloud refuses to write."""
    async with open_world(target, wiring, read_only=True) as world:
        return await world.cloud.observe(scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """Whom the daemon tells, and where it remembers that: in `file`, in the ConfigMap `map` at `place`, or nowhere.
    `pod` is what events in the cluster are about, `runbook` the page that alerts send people to."""

    routes: tuple[Route, ...] = ()
    file: str = ""
    map: str = ""
    place: Place | None = None
    pod: Regarding = field(default_factory=lambda: Regarding(name="reconciler"))
    runbook: str = ""
    storm: Storm = field(default_factory=Storm)
    rounds: Rounds = field(default_factory=Rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What the daemon is asked for. Without `budget` nothing is written, and the clouds refuse to."""

    library: Library
    timing: Timing
    pauses: Pauses
    budget: Budget | None
    quota_age: float = 600.0
    telling: Telling = field(default_factory=Telling)
    door: Door = field(default_factory=Door)
    traced: bool = False


async def serve(duty: Duty, wiring: Wiring, bell: Bell, brake: Brake) -> None:
    """Passes over all fleets until `bell` is closed, while we lead; returns when all is in order."""
    lost = ""

    def heed(why: str) -> None:
        nonlocal lost
        if why:
            brake.pull(why, 0.0)
        else:
            brake.lift(lost)
            bell.fire("lease" if lost else "start")
        lost = why

    async with _open_tracer(duty) as tracer, compete(wiring.choice, wiring.chance, heed) as lease:
        await _serve_under(duty, replace(wiring, lease=lease, halt=brake, tracer=tracer), bell, brake)


@asynccontextmanager
async def _open_tracer(duty: Duty) -> AsyncIterator[Tracer]:
    if not duty.traced:
        yield Untraced()
        return
    trace_requests()
    async with open_traces(version("reconciler")) as traces:
        yield traces


async def _serve_under(duty: Duty, wiring: Wiring, bell: Bell, brake: Brake) -> None:
    async with (
        KeptWorlds.keep(wiring, read_only=duty.budget is None) as worlds,
        open_herald(duty, wiring) as herald,
        open_pulse(duty, wiring, (bell, brake), herald) as pulse,
    ):
        service = Service(
            load=duty.library.load,
            worlds=worlds,
            pauses=duty.pauses,
            lease=wiring.lease,
            bell=bell,
            brake=brake,
            clock=wiring.clock,
            chance=wiring.chance,
            budget=duty.budget,
            patience=max(duty.timing.interval, _SHORTEST_PATIENCE),
            quota_age=duty.quota_age,
            chronicle=herald,
            closers=(pulse.close, let_go),
            onlooker=pulse,
            tracer=wiring.tracer,
        )
        async with asyncio.TaskGroup() as group:
            herald_ = group.create_task(herald.run(), name="herald")
            watcher = group.create_task(watch(bell, wiring.clock, duty.library.look), name="files")
            reminder = group.create_task(insist(bell, wiring.clock, duty.timing.interval), name="insist")
            with keep_time(bell, duty.timing):
                await run_forever(service)
            await herald.flush(_FLUSH)
            herald_.cancel()
            watcher.cancel()
            reminder.cancel()


async def let_go(_done: Pass) -> None:
    """Nothing happens until the next pass, and others have use for what this one took."""
    give_back()


@asynccontextmanager
async def open_pulse(duty: Duty, wiring: Wiring, stop: tuple[Bell, Brake], herald: Herald) -> AsyncIterator[Pulse]:
    """What is known of how the daemon is, and the door at which it is shown."""
    bell, brake = stop
    budgets = wiring.budgets
    sources = Sources(
        clock=wiring.clock,
        lease=wiring.lease,
        stopping=lambda: brake.because if bell.shut else "",
        traffic=lambda: Traffic(
            answers=budgets.answers, answered_at=budgets.answered_at, allowances=budgets.allowances()
        ),
        journal=lambda: herald.journal,
        unkept=lambda: herald.unkept,
    )
    observes = duty.budget is None
    pulse = Pulse(sources, interval=duty.timing.interval, observes=observes, version=version("reconciler"))
    async with open_door(duty.door, pulse, lambda: bell.fire("request"), wiring.clock):
        yield pulse


@asynccontextmanager
async def open_herald(duty: Duty, wiring: Wiring) -> AsyncIterator[Herald]:
    """The herald with its journal and its sinks."""
    telling = duty.telling
    async with AsyncExitStack() as stack:
        kube = await stack.enter_async_context(Kube.open(telling.place)) if telling.place else None
        poster = await stack.enter_async_context(Poster.open(wiring.ca_bundle))
        yield Herald(
            Desk(
                store=_open_store(telling, kube, wiring.lease),
                sinks=_open_sinks(telling, wiring, poster, kube),
                routes=telling.routes,
                clock=wiring.clock,
                lease=wiring.lease,
                interval=max(duty.timing.interval, duty.budget.seconds if duty.budget else 0.0),
                storm=telling.storm,
                rounds=telling.rounds,
                observes=duty.budget is None,
            )
        )


def _open_store(telling: Telling, kube: Kube | None, lease: Lease) -> Store:
    if telling.map:
        assert kube is not None
        return ConfigMapStore(kube, telling.map, lease)
    return FileStore(Path(telling.file)) if telling.file else NoStore()


def _open_sinks(telling: Telling, wiring: Wiring, poster: Poster, kube: Kube | None) -> Sinks:
    environment, clock = wiring.environment, wiring.clock
    shapes = Shapes(
        letter=partial(shape_letter, runbook=telling.runbook),
        media=name_media,
        alerts=partial(shape_alerts, runbook=telling.runbook),
    )
    desk = Surroundings(environment=environment, shapes=shapes)
    sinks = Sinks()
    for route in telling.routes:
        if route.sink is SinkKind.ALERTMANAGER:
            urls = (environment.get(route.url_variable, ""),) if route.url_variable else route.urls
            sinks.alertmanagers += [Alertmanager(route, url, poster, clock, desk) for url in urls]
            continue
        deliver: Deliver = Webhook(route, poster, clock, desk)
        if route.sink is SinkKind.EVENTS:
            assert kube is not None
            deliver = KubeEvents(kube, telling.pod, clock)
        sinks.couriers[route.name] = Courier(route.name, deliver, clock, wiring.chance)
    return sinks


class KeptWorlds:
    """Keeps the daemon's `Worlds` port: one world for each place and identity, with its connections, caches and request
    budgets, for as long as a fleet has it for its target."""

    def __init__(self, wiring: Wiring, *, read_only: bool) -> None:
        self._wiring = wiring
        self._read_only = read_only
        self._open: dict[CloudTarget, tuple[AsyncExitStack, World]] = {}

    @classmethod
    @asynccontextmanager
    async def keep(cls, wiring: Wiring, *, read_only: bool) -> AsyncIterator[KeptWorlds]:
        worlds = cls(wiring, read_only=read_only)
        try:
            yield worlds
        finally:
            await worlds.open(())

    async def open(self, fleets: tuple[Fleet, ...]) -> Mapping[str, World]:
        wanted = {fleet.target for fleet in fleets}
        for target in [target for target in self._open if target not in wanted]:
            stack, _ = self._open.pop(target)
            await stack.aclose()
        for target in wanted - self._open.keys():
            stack = AsyncExitStack()
            world = await stack.enter_async_context(open_world(target, self._wiring, read_only=self._read_only))
            self._open[target] = (stack, world)
        return {fleet.name: self._open[fleet.target][1] for fleet in fleets}


@asynccontextmanager
async def open_world(target: CloudTarget, wiring: Wiring, *, read_only: bool) -> AsyncIterator[World]:
    """The ports for one target, closed when the block is left."""
    settings = CloudSettings(
        environment=wiring.environment,
        ca_bundle=wiring.ca_bundle,
        budgets=wiring.budgets,
        model_age=wiring.model_age,
        barred=wiring.bar,
    )
    async with open_cloud(target, wiring.clock, wiring.chance, read_only=read_only, settings=settings) as cloud:
        yield World(
            cloud=cloud,
            clock=wiring.clock,
            chance=wiring.chance,
            watcher=wiring.watcher,
            lease=wiring.lease,
            halt=wiring.halt,
            auditor=wiring.auditor,
            tracer=wiring.tracer,
        )


async def _each(
    fleets: tuple[Fleet, ...],
    wiring: Wiring,
    run: Callable[[World, Fleet], Awaitable[Result]],
    *,
    read_only: bool,
) -> tuple[Result, ...]:
    async def one(fleet: Fleet) -> Result:
        async with open_world(fleet.target, wiring, read_only=read_only) as world:
            return await run(world, fleet)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(fleet), name=fleet.name) for fleet in fleets]
    return tuple(task.result() for task in tasks)
