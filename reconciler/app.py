"""Wires the ports: opens a world for each fleet and closes it. Nothing else names the classes that keep them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from reconciler.apply import Budget, run_plan
from reconciler.cloud import Budgets, CloudSettings, open_cloud
from reconciler.cloud.session import trust
from reconciler.cycle import CycleRequest, converge, run_cycle
from reconciler.deleted import survey_deleted
from reconciler.model.burial import Graveyard
from reconciler.model.outcome import CycleReport, Outcome
from reconciler.model.plan import Plan
from reconciler.model.ports import Chance, Clock, Watcher, World
from reconciler.model.resource import CloudTarget, Fleet, Scope, Snapshot

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What all fleets of one command share: surroundings, time, chance, and who is told. One request budget for all."""

    environment: Mapping[str, str]
    clock: Clock
    watcher: Watcher
    ca_bundle: str = ""
    chance: Chance = field(default_factory=Random)  # jitter only
    budgets: Budgets = field(default_factory=Budgets)


def wire(environment: Mapping[str, str], clock: Clock, watcher: Watcher, ca_bundle: str) -> Wiring:
    """A wiring whose certificates can be read; ValueError says which cannot, before any fleet is looked at."""
    trust(CloudSettings(environment=environment, ca_bundle=ca_bundle))
    return Wiring(environment=environment, clock=clock, watcher=watcher, ca_bundle=ca_bundle)


async def plan_fleets(fleets: tuple[Fleet, ...], wiring: Wiring, request: CycleRequest) -> tuple[CycleReport, ...]:
    """One look and one plan per fleet, all at once. The clouds refuse to write."""
    return await _each(fleets, wiring, lambda world, fleet: run_cycle(world, fleet, request), read_only=True)


async def converge_fleets(
    fleets: tuple[Fleet, ...], wiring: Wiring, request: CycleRequest
) -> tuple[tuple[CycleReport, ...], ...]:
    """Every fleet's cycles until nothing is left, all fleets at once."""
    return await _each(fleets, wiring, lambda world, fleet: converge(world, fleet, request), read_only=False)


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


@asynccontextmanager
async def open_world(target: CloudTarget, wiring: Wiring, *, read_only: bool) -> AsyncIterator[World]:
    """The ports for one target, closed when the block is left."""
    settings = CloudSettings(environment=wiring.environment, ca_bundle=wiring.ca_bundle, budgets=wiring.budgets)
    async with open_cloud(target, wiring.clock, wiring.chance, read_only=read_only, settings=settings) as cloud:
        yield World(cloud=cloud, clock=wiring.clock, chance=wiring.chance, watcher=wiring.watcher)


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
