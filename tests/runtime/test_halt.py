"""The brake: nothing starts once it is pulled, and what only waits is cut when the grace is over."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.runtime.halt import Brake
from tests.support.virtual_time import LoopClock, passed

pytestmark = pytest.mark.virtual_time


async def test_the_grace_begins_when_it_is_pulled() -> None:
    brake = Brake(LoopClock(0.0))
    assert brake.because == ""
    async with asyncio.TaskGroup() as group:
        cut = group.create_task(brake.cut())
        await asyncio.sleep(5)
        brake.pull("the daemon is stopping", 30.0)
        assert brake.because == "the daemon is stopping"
        await asyncio.sleep(29)
        assert not cut.done()
    assert passed() == pytest.approx(35)


async def test_pulled_again_it_can_only_be_sooner() -> None:
    brake = Brake(LoopClock(0.0))
    brake.pull("the daemon is stopping", 30.0)
    brake.pull("the lease was lost", 0.0)
    brake.pull("whatever", 100.0)
    assert brake.because == "the daemon is stopping"
    await brake.cut()
    assert passed() == 0


async def test_a_pull_that_comes_while_the_grace_runs_ends_it_sooner() -> None:
    brake = Brake(LoopClock(0.0))
    brake.pull("the daemon is stopping", 30.0)
    async with asyncio.TaskGroup() as group:
        group.create_task(brake.cut())
        await asyncio.sleep(5)
        brake.pull("the lease was lost", 0.0)
    assert passed() <= 6


async def test_lifted_it_lets_everything_through_until_it_is_pulled_again() -> None:
    brake = Brake(LoopClock(0.0))
    brake.pull("the lease was lost", 0.0)
    brake.lift("the lease was lost")
    assert brake.because == ""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await brake.cut()


async def test_a_brake_that_was_pulled_twice_holds_until_both_are_lifted() -> None:
    brake = Brake(LoopClock(0.0))
    brake.pull("the lease was lost", 0.0)
    brake.pull("the daemon is stopping", 30.0)
    brake.lift("the lease was lost")
    assert brake.because == "the daemon is stopping"
    await brake.cut()
    assert passed() == pytest.approx(30)
