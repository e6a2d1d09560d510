"""The walk over a plan: what starts when, what a failure takes with it, and how it ends when time is over."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from reconciler.apply import Budget, run_plan
from reconciler.model.outcome import Result
from reconciler.model.plan import DecisionState
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    failures,
    fleet_document,
    group_document,
    told,
)

pytestmark = pytest.mark.virtual_time


def fleet_of(*names: str, deployments: int = 2) -> list[Document]:
    members = [
        account_document(name, deployments=[deployment(f"d{index}") for index in range(deployments)]) for name in names
    ]
    return [fleet_document(), group_document(), *members]


def overlap(spans: list[tuple[float, float]]) -> int:
    """How many spans there are at once, at most."""
    edges = sorted([(began, 1) for began, _ in spans] + [(ended, -1) for _, ended in spans])
    highest = now = 0
    for _, step in edges:
        now += step
        highest = max(highest, now)
    return highest


async def test_a_failure_takes_what_waited_for_it_and_nothing_else(azure: Stage) -> None:
    await azure.fault(
        kind="status", status=400, code="InvalidTemplate", count=-1, match={"method": "PUT", "path": "/accounts/bad$"}
    )
    reports = await azure.converge(azure.load(fleet_of("bad", "good")), seconds=3600)
    results = {each.step.name: each for each in reports[0].outcomes}
    assert results["Account/bad#create"].result is Result.FAILED
    for index in range(2):
        lost = results[f"Account/bad/deployments/d{index}#create"]
        assert lost.result is Result.NOT_STARTED
        assert "Account/bad#create" in lost.because
        assert results[f"Account/good/deployments/d{index}#create"].result is Result.DONE
    states = {str(each.ref): each.state for each in reports[-1].plan.decisions}
    assert states["Account/good"] is DecisionState.IN_SYNC


async def test_only_the_root_cause_is_named(azure: Stage) -> None:
    """Group, account, deployment: what is furthest down names the group, not the account."""
    await azure.fault(kind="status", status=400, code="Odd", count=-1, match={"method": "PUT", "path": "/rg-law$"})
    report = await azure.cycle(azure.load(fleet_of("aoai-a")))
    lost = [each for each in report.outcomes if each.result is Result.NOT_STARTED]
    assert len(lost) == 3
    assert all("ResourceGroup/rg-law#create" in each.because for each in lost)


async def test_one_failing_deployment_does_not_stop_its_siblings(azure: Stage) -> None:
    await azure.fault(
        kind="status", status=400, code="Odd", count=-1, match={"method": "PUT", "path": "/deployments/d0$"}
    )
    report = await azure.cycle(azure.load(fleet_of("aoai-a", deployments=3)))
    results = {each.step.name.rpartition("/")[2]: each.result for each in report.outcomes}
    assert results["d0#create"] is Result.FAILED
    assert results["d1#create"] is results["d2#create"] is Result.DONE


@pytest.mark.parametrize("parallel", [1, 3])
async def test_no_more_steps_are_under_way_than_allowed(azure: Stage, parallel: int) -> None:
    reports = await azure.converge(azure.load(fleet_of(*(f"aoai-{index}" for index in range(6)))), parallel=parallel)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    spans = [
        (each.began, each.ended)
        for report in reports
        for each in report.outcomes
        if each.ended > each.began  # a step that took no time overlaps nothing
    ]
    assert overlap(spans) == parallel


async def test_every_step_has_exactly_one_outcome_in_the_order_of_the_plan(azure: Stage) -> None:
    report = await azure.cycle(azure.load(fleet_of("aoai-a", "aoai-b")))
    assert [each.step for each in report.outcomes] == list(report.plan.steps)
    assert len(azure.watched.ended) == len(report.plan.steps)
    assert {each.name for each in azure.watched.begun} == {each.name for each in report.plan.steps}


async def test_when_time_is_over_nothing_starts_and_what_runs_is_in_progress(azure: Stage) -> None:
    await azure.set(account_create=[300.0, 300.0])
    fleet = azure.load(fleet_of("aoai-a"))
    report = await azure.cycle(fleet, seconds=60)
    results = {each.step.name: each.result for each in report.outcomes}
    assert results["ResourceGroup/rg-law#create"] is Result.DONE
    assert results["Account/aoai-a#create"] is Result.IN_PROGRESS
    assert results["Account/aoai-a/deployments/d0#create"] is Result.NOT_STARTED
    assert report.ended - report.began <= 60
    # An hour of provisioning blinds nobody: the next cycle sees it and goes on.
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, failures(reports)


async def test_time_that_is_over_before_the_first_step_writes_nothing(azure: Stage) -> None:
    report = await azure.cycle(azure.load(fleet_of("aoai-a")), seconds=0)
    assert {each.result for each in report.outcomes} == {Result.NOT_STARTED}
    assert await azure.writes() == []


async def test_an_operation_is_followed_gently_and_not_faster_than_azure_asks(azure: Stage) -> None:
    await azure.set(account_create=[200.0, 200.0])
    await azure.converge(azure.load(fleet_of("aoai-a")))
    polls = [each["at"] for each in await azure.requests() if "operationResults" in each["path"]]
    pauses = [round(later - earlier, 1) for earlier, later in pairwise(polls)]
    assert pauses[:3] == [7.5, 10.0, 12.5]
    assert set(pauses[3:]) == {15.0}


async def run_in(azure: Stage, documents: list[Document]) -> None:
    fleet = azure.load(documents)
    plan = await azure.dry_run(fleet)
    async with azure.world(fleet) as world:
        await run_plan(plan, world, Budget())


async def cancel_after(azure: Stage, seconds: float, work: asyncio.Task[None]) -> float:
    """Cancel the work, and say how long it took to end."""
    await azure.clock.sleep(seconds)
    work.cancel()
    began = azure.clock.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await work
    return azure.clock.monotonic() - began


async def test_cancelling_cuts_the_waiting_between_polls_at_once(azure: Stage) -> None:
    await azure.set(account_create=[3000.0, 3000.0])
    work = asyncio.get_running_loop().create_task(run_in(azure, fleet_of("aoai-a")))
    assert await cancel_after(azure, 100.0, work) < 1.0
    writes = await azure.writes()
    assert [each["status"] for each in writes] == [201, 201]


async def test_cancelling_awaits_the_answer_of_a_request_that_has_left(azure: Stage) -> None:
    """A deployment's PUT blocks. Cut off, Azure would go on with it and nobody would know how it ended."""
    await azure.set(account_create=[1.0, 1.0], deployment_write=[200.0, 200.0])
    work = asyncio.get_running_loop().create_task(run_in(azure, fleet_of("aoai-a")))
    took = await cancel_after(azure, 50.0, work)
    assert 100.0 < took < 250.0
    answered = [each for each in await azure.writes() if "/deployments/" in each["path"]]
    assert [each["status"] for each in answered] == [201]
    assert azure.resource(account_id(azure, "aoai-a").child("deployments", "d0"))


async def test_cancelling_lets_no_write_leave_that_still_waits_for_its_turn(azure: Stage) -> None:
    await azure.fault(kind="throttle", retry_after=200, match={"method": "PUT"}, skip=1)
    work = asyncio.get_running_loop().create_task(run_in(azure, fleet_of("aoai-a", "aoai-b")))
    assert await cancel_after(azure, 50.0, work) < 1.0
    await azure.clock.sleep(1000.0)
    assert [each["status"] for each in await azure.writes() if each["status"] != 429] == [201]


async def test_a_request_that_fails_after_the_cancel_is_nobodys_surprise(azure: Stage) -> None:
    await azure.fault(kind="hang", seconds=30, match={"method": "PUT", "path": "/accounts/"})
    work = asyncio.get_running_loop().create_task(run_in(azure, fleet_of("aoai-a")))
    assert 10.0 < await cancel_after(azure, 10.0, work) < 40.0
