"""Law: where Azure has quota and no hardware, a pool goes elsewhere, nobody hammers, and everybody is told.

What the refusal looks like is not on record: the simulation can answer in several ways, and none of them may matter.
"""

from __future__ import annotations

import pytest

from reconciler.apply import Budget
from reconciler.cycle import CycleRequest, run_cycle
from reconciler.model.finding import FaultClass
from reconciler.model.memory import NOTHING, Memory
from reconciler.model.outcome import CycleReport, Outcome, Result
from reconciler.model.plan import DecisionState
from tests.laws.stage import Stage, account_document, deployment, fleet_document, group_document
from tests.laws.test_model_pools import REGIONS, converged, documents, limit, pool_document, spread_of, units_of

pytestmark = pytest.mark.virtual_time

ANSWERS = ("BadRequest", "InsufficientCapacity", "ServiceUnavailable")


async def hardware(azure: Stage, **available: int | None) -> None:
    rows = [{"location": REGIONS[name], "model": "gpt-4o", "available": units} for name, units in available.items()]
    await azure.seed_world(capacities=rows)


async def puts(azure: Stage) -> list[tuple[str, int]]:
    """Writes of deployments: which account, and what came of it."""
    return [
        (each["path"].partition("/accounts/aoai-")[2][:3], each["status"])
        for each in await azure.requests()
        if each["method"] == "PUT" and "/deployments/" in each["path"]
    ]


async def test_a_pool_is_placed_where_there_is_hardware(azure: Stage) -> None:
    """Azure is asked beforehand, in one request, so that nothing is refused."""
    await limit(azure, fra=100, pol=100, swe=100)
    await hardware(azure, fra=10)
    reports = await converged(azure, documents(pool_document(150)))
    units = units_of(azure)
    assert sum(units.values()) == 150
    assert units.get(("fra", "DataZoneStandard"), 0) <= 10
    assert reports[-1].plan.converged
    await azure.forget()
    await azure.dry_run(azure.load(documents(pool_document(250))))
    asked = [each["path"] for each in await azure.requests() if each["path"].endswith("/modelCapacities")]
    assert len(asked) == 1


@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_refusal_sends_a_pool_elsewhere_in_the_same_run(azure: Stage, answer: str) -> None:
    await azure.set(no_capacity=answer)
    await limit(azure, fra=100, pol=100, swe=100)
    await hardware(azure, fra=0)
    # Azure does not tell beforehand.
    await azure.fault(
        kind="status", status=403, code="AuthorizationFailed", match={"path": "/modelCapacities$"}, count=-1
    )
    reports = await azure.converge(azure.load(documents(pool_document(150))))
    assert [outcome.fault.cls for outcome in refused(reports) if outcome.fault] == [FaultClass.CAPACITY]
    assert {name for name, _ in units_of(azure)} == {"pol", "swe"}
    assert sum(units_of(azure).values()) == 150
    assert len([each for each in await puts(azure) if each[0] == "fra"]) == 1
    spread = spread_of(reports[-1].plan)
    assert spread.shortfall == 0
    (there,) = [share for share in spread_of(reports[1].plan).shares if share.location == REGIONS["fra"]]
    assert there.reason.startswith("Azure had no hardware for gpt-4o as datazonestandard in francecentral at ")


def refused(reports: tuple[CycleReport, ...]) -> list[Outcome]:
    return [each for report in reports for each in report.outcomes if each.result is Result.BLOCKED]


async def test_a_run_without_any_hardware_tries_each_place_once_and_ends(azure: Stage) -> None:
    await limit(azure, fra=100, pol=100, swe=100)
    await hardware(azure, fra=0, pol=0, swe=0)
    await azure.fault(
        kind="status", status=403, code="AuthorizationFailed", match={"path": "/modelCapacities$"}, count=-1
    )
    reports = await azure.converge(azure.load(documents(pool_document(50))))
    assert sorted(name for name, _ in await puts(azure)) == ["fra", "pol", "swe"]
    assert spread_of(reports[-1].plan).shortfall == 50_000
    assert len(reports) == 4


async def test_a_pause_doubles_with_each_refusal_and_ends_with_a_success(azure: Stage) -> None:
    own = [deployment("own", 20, "DataZoneStandard")]
    fleet = azure.load([fleet_document(), group_document(), account_document("one", deployments=own)])
    await hardware(azure, swe=0)
    memory: Memory = NOTHING
    pauses: list[float] = []
    async with azure.world(fleet) as world:
        for _ in range(7):
            request = CycleRequest(budget=Budget(seconds=600.0), memory=memory)
            report = await run_cycle(world, fleet, request)
            ((_, shunned),) = report.memory.shunned.items()
            pauses.append(shunned.until - shunned.at)
            held = await run_cycle(world, fleet, CycleRequest(budget=Budget(seconds=600.0), memory=report.memory))
            assert held.outcomes == ()
            (waits,) = [each for each in held.plan.decisions if each.state is DecisionState.BLOCKED]
            assert waits.code == "no_hardware"
            memory = held.memory
            await azure.clock.sleep(shunned.until - azure.clock.now() + 1)
        for at, pause in enumerate(pauses):
            usual = min(7200.0, 300.0 * 2**at)
            assert 0.8 * usual <= pause <= 1.2 * usual
        await hardware(azure, swe=None)
        report = await run_cycle(world, fleet, CycleRequest(budget=Budget(seconds=600.0), memory=memory))
    assert report.memory.shunned == {}
    assert (await azure.dry_run(fleet)).converged


async def test_a_plain_deployment_is_refused_once_in_a_run(azure: Stage) -> None:
    own = [deployment("own", 20, "DataZoneStandard")]
    fleet = azure.load([fleet_document(), group_document(), account_document("one", deployments=own)])
    await hardware(azure, swe=0)
    reports = await azure.converge(fleet)
    assert len(await puts(azure)) == 1
    (held,) = [each for each in reports[-1].plan.decisions if each.state is DecisionState.BLOCKED]
    assert held.reason.startswith("Azure had no hardware for gpt-4o as datazonestandard in swedencentral at ")
