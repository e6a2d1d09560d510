"""The step of a purge: a look before it is sent, and the wait for what it gives back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.apply import Budget, run_plan
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Plan, Verb
from reconciler.model.resource import Fleet
from tests.laws.stage import Stage
from tests.laws.test_purge import LATE, POOL, buried, seed_full, wanting
from tests.laws.test_quota import POOLS

pytestmark = pytest.mark.virtual_time


async def planned(azure: Stage, units: int = 100) -> tuple[Fleet, Plan]:
    """A plan that purges the one account that fills its region."""
    await seed_full(azure, buried(azure, "old", units, "law"), limit=units)
    fleet = azure.load(wanting(50))
    plan = await azure.dry_run(fleet)
    only = tuple(step for step in plan.steps if step.verb is Verb.PURGE)
    assert len(only) == 1
    await azure.forget()
    return fleet, replace(plan, steps=only)


async def carry_out(azure: Stage, fleet: Fleet, plan: Plan, seconds: float = 7200) -> Outcome:
    async with azure.world(fleet) as world:
        (outcome,) = await run_plan(plan, world, Budget(seconds=seconds))
    return outcome


async def test_a_purge_reads_the_account_and_its_pools_first_and_never_the_list_of_models(azure: Stage) -> None:
    fleet, plan = await planned(azure)
    outcome = await carry_out(azure, fleet, plan)
    assert (outcome.result, outcome.because) == (Result.DONE, f"gave back 100 of {POOL} after 130 s")
    asked = [(each["method"], each["path"].rpartition("/")[2]) for each in await azure.requests()]
    assert asked[:3] == [("GET", "old"), ("GET", "usages"), ("DELETE", "old")]
    assert not [name for _, name in asked if name == "models"]
    assert outcome.requests == len(asked)
    assert len(asked) < 20
    why = {why for _, why, _ in azure.watched.waits}
    assert f"purged; waits for usages to show what it gave back of {POOL}" in why


async def test_an_account_that_was_deleted_again_since_the_plan_is_kept(azure: Stage) -> None:
    fleet, plan = await planned(azure)
    (step,) = plan.steps
    outcome = await carry_out(azure, fleet, replace(plan, steps=(replace(step, deleted_at="2025-10-01T00:00:00Z"),)))
    assert outcome.result is Result.STALE
    assert outcome.because.startswith("it was deleted again at 2025-10-28T09:00:00")
    assert outcome.because.endswith(", after the plan; it is kept")
    assert await azure.writes() == []


async def test_an_account_that_is_gone_is_not_purged_and_what_it_held_is_waited_for(azure: Stage) -> None:
    fleet, plan = await planned(azure)
    await carry_out(azure, fleet, plan)
    await azure.forget()
    again = replace(plan.steps[0], awaits={POOLS[0]: 0})
    outcome = await carry_out(azure, fleet, replace(plan, steps=(again,)))
    assert outcome.result is Result.DONE
    assert outcome.because == f"was already gone; nothing of {POOL} was seen to come back within 10 min"
    assert await azure.writes() == []


async def test_a_purge_that_is_not_needed_any_more_is_left_to_the_next_plan(azure: Stage) -> None:
    fleet, plan = await planned(azure)
    (step,) = plan.steps
    fuller = replace(step, awaits={name: used + 1 for name, used in step.awaits.items()})
    outcome = await carry_out(azure, fleet, replace(plan, steps=(fuller,)))
    assert (outcome.result, outcome.because) == (
        Result.STALE,
        f"less of {POOL} is used than when the plan was made; the next plan decides",
    )
    assert await azure.writes() == []


async def test_nothing_that_comes_back_is_waited_for_ten_minutes_and_no_longer(azure: Stage) -> None:
    fleet, plan = await planned(azure)
    await azure.set(purge_returns=3600)
    outcome = await carry_out(azure, fleet, plan)
    assert outcome.because == f"nothing of {POOL} was seen to come back within 10 min"
    assert 570 < outcome.ended - outcome.began < 700


async def test_a_look_that_fails_in_the_wait_is_repeated(azure: Stage) -> None:
    fleet, plan = await planned(azure)
    await azure.fault(
        kind="status", match={"path": "/usages$"}, status=403, code="AuthorizationFailed", count=2, skip=1
    )
    outcome = await carry_out(azure, fleet, plan)
    assert outcome.because.startswith(f"gave back 100 of {POOL} after ")


@pytest.mark.parametrize("path", ["/usages$", "/deletedAccounts/old$"])
async def test_what_may_not_be_read_before_it_keeps_the_account(azure: Stage, path: str) -> None:
    fleet, plan = await planned(azure)
    match = {"path": path, "method": "GET"}
    await azure.fault(kind="status", match=match, status=403, code="AuthorizationFailed", count=-1)
    outcome = await carry_out(azure, fleet, plan)
    assert outcome.result is Result.BLOCKED
    assert outcome.fault is not None
    assert outcome.fault.code == "AuthorizationFailed"
    assert await azure.writes() == []


async def test_a_purge_that_is_refused_is_told_as_it_was(azure: Stage) -> None:
    fleet, plan = await planned(azure)
    match = {"path": "/deletedAccounts/old$", "method": "DELETE"}
    await azure.fault(kind="status", match=match, status=403, code="AuthorizationFailed", count=-1)
    outcome = await carry_out(azure, fleet, plan)
    assert outcome.result is Result.BLOCKED
    assert "usages" not in outcome.because


async def test_time_that_is_over_before_anything_came_back_is_no_failure(azure: Stage) -> None:
    fleet, plan = await planned(azure)
    outcome = await carry_out(azure, fleet, plan, seconds=LATE / 2)
    assert (outcome.result, outcome.because) == (
        Result.IN_PROGRESS,
        f"purged; usages do not show yet what it gave back of {POOL}",
    )
