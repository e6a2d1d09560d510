"""The end: nothing starts any more, what has left is awaited, what only waits is cut, and it is over in time."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.apply import Budget
from reconciler.cloud.budget import Toll
from reconciler.model.outcome import Result
from reconciler.model.pause import Pause
from tests.daemon.running import GRACE, INTERVAL, Running, running
from tests.daemon.test_loop import fleet_of, open_up, quiet
from tests.laws.stage import Stage, account_id, fleet_document, group_document
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time


async def under_way(azure: Stage, daemon: Running, path: str) -> None:
    """Wait until a write to `path` has reached Azure."""
    daemon.bell.fire("start")
    for _ in range(1000):
        if any(step.id.name == path for step in azure.watched.begun):
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"no write to {path} was begun")


async def ended(daemon: Running) -> float:
    """Stop the daemon; the seconds that took."""
    began = passed()
    daemon.stop()
    await daemon.ended.wait()
    return passed() - began


async def test_an_idle_daemon_ends_at_once(azure: Stage) -> None:
    async with running(azure, [fleet_document(), group_document()]) as daemon:
        await daemon.until(quiet)
        assert await ended(daemon) < 1


async def test_no_step_starts_after_the_stop_and_what_is_under_way_has_a_grace(azure: Stage) -> None:
    """Four accounts of which one at a time is made; the one under way is finished, the others are not begun."""
    await azure.set(account_create=[20.0, 20.0])
    async with running(azure, fleet_of("aoai-a", "aoai-b")) as daemon:
        await under_way(azure, daemon, "aoai-a")
        await asyncio.sleep(2)
        begun = list(azure.watched.begun)
        assert await ended(daemon) <= GRACE
        assert azure.watched.begun == begun
        results = {each.step.name: (each.result, each.because) for each in daemon.passes[-1].reports["law"].outcomes}
        assert results["Account/aoai-a#create"] == (Result.DONE, "")
        stopped = (Result.NOT_STARTED, "the daemon is stopping")
        assert results["Account/aoai-a/deployments/chat#create"] == stopped


async def test_no_write_leaves_after_the_stop(azure: Stage) -> None:
    """A step that has begun and only looked so far does not send what it was about to."""
    await azure.set(latency=3.0)
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await under_way(azure, daemon, "rg-law")
        await asyncio.sleep(1)
        await ended(daemon)
        assert await azure.writes() == []
        (outcome, *_) = daemon.passes[-1].reports["law"].outcomes
        assert (outcome.result, outcome.because) == (Result.NOT_STARTED, "the daemon is stopping")


@pytest.mark.parametrize("way", ["stop", "lease"])
async def test_a_write_that_waits_for_its_turn_does_not_leave_any_more(azure: Stage, way: str) -> None:
    """Azure has asked for a pause, and the write stands at the gate when the daemon is stopped or another one leads."""
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        await azure.forget()
        for gate in azure.budgets._gates.values():
            if gate._toll is Toll.WRITES:
                gate.close(20.0)
        count = len(azure.watched.begun)
        daemon.bell.fire("interval")
        await asyncio.sleep(5)
        assert len(azure.watched.begun) == count + 1
        if way == "stop":
            assert await ended(daemon) < GRACE
        else:
            daemon.lead.seconds = 0.0
            await daemon.next_pass()
        assert await azure.writes() == []
        (outcome,) = daemon.passes[-1].reports["law"].outcomes
        assert outcome.result in (Result.NOT_STARTED, Result.IN_PROGRESS)


async def test_what_takes_longer_than_the_grace_is_left_to_azure_and_the_next_process_goes_on(azure: Stage) -> None:
    await azure.set(account_create=[1200.0, 1200.0])
    async with running(azure, fleet_of("aoai-a"), budget=Budget(seconds=600)) as daemon:
        await under_way(azure, daemon, "aoai-a")
        await asyncio.sleep(10)
        took = await ended(daemon)
        assert GRACE - 1 <= took <= GRACE + 2
        results = {each.step.name: (each.result, each.because) for each in daemon.passes[-1].reports["law"].outcomes}
        assert results["Account/aoai-a#create"] == (
            Result.IN_PROGRESS,
            "not waited for any longer: the daemon is stopping",
        )
    await azure.forget()
    async with running(azure, fleet_of("aoai-a")) as successor:
        await successor.until(quiet)
    made = [each["method"] for each in await azure.writes() if each["path"].lower().endswith("/accounts/aoai-a")]
    assert "PUT" not in made


async def test_a_request_that_has_left_is_awaited_even_beyond_the_grace(azure: Stage) -> None:
    """A deployment's PUT blocks as long as Azure takes."""
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await azure.set(deployment_write=[50.0, 50.0])
        await under_way(azure, daemon, "chat")
        while not any(each["method"] == "PUT" and "/deployments/" in each["path"] for each in await azure.requests()):
            if any(operation.target.endswith("chat") for operation in azure.sim.world.operations.values()):
                break
            await asyncio.sleep(1)
        took = await ended(daemon)
    (write,) = [each for each in await azure.writes() if "/deployments/" in each["path"]]
    assert write["status"] in (200, 201)
    assert 30 < took < 60


async def test_what_only_looks_is_cut_at_once(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await azure.set(latency=300.0)
        daemon.bell.fire("start")
        await asyncio.sleep(5)
        assert await ended(daemon) < 1
        assert str(daemon.passes[-1].faults["law"]) == "stopped: the daemon was stopped before it had looked"


async def test_a_pass_that_was_about_to_look_does_not_look_any_more(azure: Stage) -> None:
    """Documents that are being copied are waited for, and somebody may stop the daemon meanwhile."""
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await azure.set(latency=300.0)

        async def load_late() -> tuple[Pause, ...]:
            await asyncio.sleep(1)
            return ()

        daemon.pausing.load = load_late  # type: ignore[method-assign]
        daemon.bell.fire("start")
        await asyncio.sleep(0.5)
        assert await ended(daemon) < 5
        assert daemon.passes[-1].faults["law"].code == "stopped"


async def test_nothing_that_rings_after_the_stop_is_heard(azure: Stage) -> None:
    async with running(azure, [fleet_document(), group_document()]) as daemon:
        await daemon.until(quiet)
        count = len(daemon.passes)
        daemon.stop()
        daemon.bell.fire("interval")
        await asyncio.sleep(INTERVAL)
        assert len(daemon.passes) == count


async def test_a_lost_lease_ends_the_writing_and_not_the_loop(azure: Stage) -> None:
    await azure.set(account_create=[600.0, 600.0])
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await under_way(azure, daemon, "aoai-a")
        await asyncio.sleep(5)
        daemon.lead.seconds = 0.0
        daemon.brake.pull("the lease was lost", 0.0)
        done = await daemon.next_pass()
        results = {each.step.name: each.result for each in done.reports["law"].outcomes}
        assert results["Account/aoai-a#create"] is Result.IN_PROGRESS
        await azure.forget()
        daemon.bell.fire("interval")
        await asyncio.sleep(INTERVAL)
        assert await azure.requests() == []
        daemon.lead.seconds = 10.0
        daemon.brake.lift("the lease was lost")
        await daemon.until(quiet)
