"""A cloud on a simulated Azure, as the product opens it, and the ids that the tests write to."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import pytest

from armsim.server import Simulator
from reconciler.cloud import Budgets, CloudSettings, open_cloud
from reconciler.model.ids import ArmId
from reconciler.model.ports import Cloud
from reconciler.model.resource import CloudTarget
from tests.support.virtual_time import LoopClock


class Azure:
    """A simulated Azure with what a test asks of it, and the ways into it."""

    def __init__(self, sim: Simulator, clock: LoopClock) -> None:
        self.sim = sim
        self.clock = clock
        self.group = ArmId(subscription=sim.subscription_id, group="rg-ai")
        self.target = CloudTarget(
            endpoint=sim.endpoint,
            authority=sim.authority,
            audience="https://management.azure.com",
            credential="clientSecret",
            tenant=sim.tenant_id,
            client_id=sim.client_id,
        )
        self.settings = CloudSettings(
            environment={"AZURE_CLIENT_SECRET": sim.client_secret}, ca_bundle=sim.ca_bundle, budgets=Budgets()
        )

    def open(self, read_only: bool = False, **target: str) -> AbstractAsyncContextManager[Cloud]:
        return open_cloud(
            replace(self.target, **target),
            self.clock,
            random.Random(7),
            read_only=read_only,
            settings=self.settings,
        )

    def account(self, name: str = "aoai") -> ArmId:
        return self.group.resource("Microsoft.CognitiveServices/accounts", name)

    async def seed(self, **world: object) -> None:
        await self.sim.control("POST", "/_sim/seed", world)

    async def seed_accounts(self, *names: str, fleet: str = "prod", deployments: int = 0) -> None:
        """The group and accounts that carry the fleet's tag, each with some deployments."""
        bodies: list[object] = [{"id": str(self.group), "location": "swedencentral"}]
        for name in names:
            id = self.account(name)
            bodies.append(
                {
                    "id": str(id),
                    "location": "swedencentral",
                    "kind": "OpenAI",
                    "sku": {"name": "S0"},
                    "tags": {"reconciler-fleet": fleet},
                    "properties": {"publicNetworkAccess": "Disabled"},
                }
            )
            bodies += [deployment(id, f"d{number}") for number in range(deployments)]
        await self.seed(resources=bodies)

    async def fault(self, **fault: object) -> None:
        await self.sim.control("POST", "/_sim/faults", [fault])

    async def requests(self) -> list[dict[str, object]]:
        """What has arrived, oldest first."""
        answer = await self.sim.control("GET", "/_sim/requests")
        return list(answer["requests"])

    async def summary(self) -> dict[str, object]:
        return dict(await self.sim.control("GET", "/_sim/requests/summary"))


def deployment(account: ArmId, name: str, capacity: int = 1) -> dict[str, object]:
    return {
        "id": str(account.child("deployments", name)),
        "sku": {"name": "GlobalStandard", "capacity": capacity},
        "properties": {"model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}},
    }


def number(value: object) -> float:
    """A number out of the simulation's ledger."""
    assert isinstance(value, int | float)
    return float(value)


@pytest.fixture
async def azure(sim: Simulator, clock: LoopClock) -> Azure:
    return Azure(sim, clock)


@pytest.fixture
async def cloud(azure: Azure) -> AsyncIterator[Cloud]:
    async with azure.open() as opened:
        yield opened
