"""A simulation of a test's own, at a pace at which nothing takes long, and a client that has signed in."""

from collections.abc import AsyncIterator

import pytest

from armsim.clock import EPOCH, Clock
from armsim.server import Simulator
from armsim.settings import Settings
from tests.armsim.asking import Asker


@pytest.fixture
def settings() -> Settings:
    return Settings()


@pytest.fixture
async def sim(settings: Settings) -> AsyncIterator[Simulator]:
    """Blocking answers of 16 s take a hundredth of a second; operations are ended by `advance`."""
    async with Simulator(Clock(EPOCH, pace=200.0), settings=settings) as simulator:
        yield simulator


@pytest.fixture
async def slow(settings: Settings) -> AsyncIterator[Asker]:
    """Time passes by `advance` only, for tests in which something must still be running."""
    async with Simulator(Clock(EPOCH, pace=0.0), settings=settings) as simulator, Asker(simulator) as asker:
        await asker.group()
        yield asker


@pytest.fixture
async def asker(sim: Simulator) -> AsyncIterator[Asker]:
    async with Asker(sim) as client:
        await client.group()
        yield client
