"""What every test may ask for: virtual time (`tests/support/virtual_time.py`), a simulated Azure in the same loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import structlog

from armsim.clock import EPOCH, Clock
from armsim.server import Simulator
from armsim.settings import Settings
from tests.support.virtual_time import LoopClock, VirtualLoop


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: the test's event loop jumps over all waiting")
    # What no test has asked to see would bury the report of a failure.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("virtual_time"):
        return {"virtual": VirtualLoop}
    return {"real": asyncio.new_event_loop}


@pytest.fixture
def settings() -> Settings:
    """How the simulated Azure of this test is set; override it per module or test."""
    return Settings()


@pytest.fixture
async def sim(settings: Settings) -> AsyncIterator[Simulator]:
    """A simulated Azure in the test's own loop; its clock is the loop's."""
    async with Simulator(Clock(EPOCH), settings=settings) as simulator:
        yield simulator


@pytest.fixture
async def clock(sim: Simulator) -> LoopClock:
    """The product's clock, in step with the simulation's."""
    return LoopClock(sim.clock.now())
