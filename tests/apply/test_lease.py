"""Writes under a lease: none begins that it does not cover, whatever a step was waiting for before."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from reconciler.apply import Budget, run_plan
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Verb
from reconciler.model.ports import Alone, Write
from reconciler.runtime.halt import Brake
from tests.laws.stage import Stage, account_document, account_id, deployment, fleet_document, group_document

pytestmark = pytest.mark.virtual_time

UNCOVERED = "the lease does not cover a write any more; whoever leads goes on"


class Until(Alone):
    """A lease that covers what begins before `end`, and counts how often it was asked."""

    def __init__(self, end: float) -> None:
        self.end = end
        self.asked = 0

    def remaining(self) -> float:
        self.asked += 1
        return self.end - asyncio.get_running_loop().time()


def now() -> float:
    return asyncio.get_running_loop().time()


async def carry_out(azure: Stage, lease: Until, brake: Brake | None = None) -> dict[str, Outcome]:
    fleet = azure.load(
        [fleet_document("law"), group_document(), account_document("aoai-a", deployments=[deployment("chat")])]
    )
    plan = await azure.dry_run(fleet)
    await azure.forget()
    async with azure.world(fleet, lease=lease) as world:
        covered = replace(world, halt=brake) if brake else world
        outcomes = await run_plan(plan, covered, Budget(seconds=7200))
    return {outcome.step.name: outcome for outcome in outcomes}


async def test_without_a_lease_nothing_is_sent(azure: Stage) -> None:
    outcomes = await carry_out(azure, Until(0.0))
    first = outcomes["ResourceGroup/rg-law#create"]
    assert (first.result, first.because) == (Result.NOT_STARTED, UNCOVERED)
    assert {outcome.result for outcome in outcomes.values()} == {Result.NOT_STARTED}
    assert await azure.writes() == []


async def test_what_waits_behind_another_begins_no_more_when_the_lease_has_run_out(azure: Stage) -> None:
    await azure.set(account_create=[60.0, 60.0])
    outcomes = await carry_out(azure, Until(now() + 30.0))
    assert outcomes["Account/aoai-a#create"].result is Result.DONE
    late = outcomes["Account/aoai-a/deployments/chat#create"]
    assert (late.result, late.because) == (Result.NOT_STARTED, UNCOVERED)


async def test_what_is_retried_is_not_sent_again_without_a_lease(azure: Stage) -> None:
    await azure.fault(
        kind="status", status=503, code="ServerBusy", count=99, match={"method": "PUT", "path": "/accounts/"}
    )
    outcomes = await carry_out(azure, Until(now() + 10.0))
    tried = outcomes["Account/aoai-a#create"]
    assert (tried.result, tried.because) == (Result.NOT_STARTED, UNCOVERED)


async def test_a_lost_lease_cuts_what_waits_and_says_why(azure: Stage) -> None:
    await azure.set(account_create=[600.0, 600.0])
    brake = Brake(azure.clock)
    asyncio.get_running_loop().call_later(60.0, brake.pull, "the lease is held by b now", 0.0)
    outcomes = await carry_out(azure, Until(now() + 3600.0), brake)
    cut = outcomes["Account/aoai-a#create"]
    assert cut.result is Result.IN_PROGRESS
    assert cut.because == "not waited for any longer: the lease is held by b now"


async def test_a_write_that_waits_for_its_turn_is_held_to_the_lease_where_it_leaves(azure: Stage) -> None:
    """Between the question and the wire there may be minutes: throttled, or a token to be fetched."""
    fleet = azure.load([fleet_document("law"), group_document(), account_document("aoai-a")])
    lease = Until(now() + 30.0)
    id = account_id(azure, "aoai-a").child("deployments", "chat")
    async with azure.world(fleet, lease=lease) as world:
        await world.cloud.read(id)
        await azure.fault(kind="throttle", retry_after=60, match={"method": "PUT"})
        first = await world.cloud.write(Write(verb=Verb.PUT, id=id, body={"properties": {}}))
        assert first.fault is not None
        assert first.fault.retry_after is not None
        await azure.forget()
        second = await world.cloud.write(Write(verb=Verb.PUT, id=id, body={"properties": {}}))
        assert second.fault is not None
        assert (second.fault.code, second.fault.applied) == ("lease_lost", False)
        assert str(second.fault) == "lease_lost: the lease does not cover it any more"
        assert await azure.writes() == []
        # What only reads goes on, and the connection is as good as it was.
        await world.cloud.read(id)
