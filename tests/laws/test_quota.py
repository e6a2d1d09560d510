"""Law: no write of ours is refused for quota, nothing that fits is left out, and what is told is what Azure counts.

The counting is the simulation's own, which shares no code with the product.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from armsim.settings import Settings
from reconciler.apply import Budget
from reconciler.cycle import CycleRequest, Regions, run_cycle
from reconciler.model.plan import DecisionState, Plan
from reconciler.model.resource import Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    fleet_document,
    group_document,
    stage,
    told,
)
from tests.support.virtual_time import run

CASES = int(os.environ.get("RECONCILER_LAW_EXAMPLES", "25"))
REGION = "swedencentral"
# Two models whose pools no name tells: Azure writes one of them without the model's dash.
MODELS = (
    ("gpt-4o", "2024-11-20", "openai.globalstandard.gpt-4o"),
    ("gpt-4.1", "2025-04-14", "openai.globalstandard.gpt4.1"),
)
POOLS = tuple(pool for _, _, pool in MODELS)

Account = dict[str, tuple[int, int]]  # deployments by name: which model, how many units
World = dict[str, Account]

UNITS = st.tuples(st.integers(0, 1), st.integers(1, 50))
ACCOUNTS = st.dictionaries(st.sampled_from(["d0", "d1", "d2"]), UNITS, max_size=3)
WORLDS = st.fixed_dictionaries({f"a{number}": ACCOUNTS for number in range(4)})


def documents(world: World) -> list[Document]:
    prune = {"deployments": True}
    members = [
        account_document(
            name,
            location=REGION,
            deployments=[
                deployment(each, units, model={"name": MODELS[model][0], "version": MODELS[model][1]})
                for each, (model, units) in account.items()
            ],
        )
        for name, account in world.items()
    ]
    return [fleet_document(prune=prune, allowEmpty=True), group_document(), *members]


def body(azure: Stage, name: str, account: Account, owner: str = "") -> dict[str, Any]:
    return {
        "id": str(account_id(azure, name)),
        "location": "Sweden Central",
        "kind": "OpenAI",
        "sku": {"name": "S0"},
        "tags": {"reconciler-fleet": owner} if owner else {},
        "properties": {"publicNetworkAccess": "Disabled"},
        "deployments": [
            {
                "name": each,
                "sku": {"name": "GlobalStandard", "capacity": units},
                "properties": {
                    "model": {"format": "OpenAI", "name": MODELS[model][0], "version": MODELS[model][1]},
                },
            }
            for each, (model, units) in account.items()
        ],
    }


def owned_group(azure: Stage) -> dict[str, Any]:
    return {"id": str(account_id(azure, "x").parent), "location": REGION, "tags": {"reconciler-fleet": "law"}}


async def used(azure: Stage) -> dict[str, float]:
    state = await azure.sim.control("GET", "/_sim/state")
    return {pool: amount for _, location, pool, amount in state["usages"] if location == REGION and pool in POOLS}


def held(world: World) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for account in world.values():
        for model, units in account.values():
            found[POOLS[model]] += units
    return found


async def look(azure: Stage, fleet: Fleet) -> Plan:
    async with azure.world(fleet, read_only=True) as world:
        return (await run_cycle(world, fleet, CycleRequest(regions=Regions()))).plan


async def refused(azure: Stage) -> list[Any]:
    """Writes that Azure has not taken."""
    return [each for each in await azure.requests() if each["method"] == "PUT" and each["status"] >= 400]


async def assert_within_quota(
    azure: Stage, worlds: tuple[World, World, Account, Account], spare: tuple[int, int]
) -> None:
    before, after, theirs, gone = worlds
    everybody = {**before, "theirs": theirs, "gone": gone}
    limits = {pool: max(1, held(everybody)[pool] + more) for pool, more in zip(POOLS, spare, strict=True)}
    await azure.seed_world(
        resources=[
            owned_group(azure),
            *(body(azure, name, account, "law") for name, account in before.items()),
            body(azure, "theirs", theirs),
        ],
        deletedAccounts=[body(azure, "gone", gone)],
        limits={azure.sim.subscription_id: {REGION: limits}},
    )
    fleet = azure.load(documents(after))
    plan = await look(azure, fleet)
    assert plan.ledger is not None
    counted = await used(azure)
    for pool in plan.ledger.pools:
        if (name := pool.usage.lower()) in POOLS:
            assert (pool.used, pool.limit) == (counted.get(name, 0), limits[name])
            assert (pool.ours, pool.others) == (held(before)[name], held({"": theirs})[name])
            assert pool.residue == held({"": gone})[name]

    reports = await azure.converge(fleet)
    assert await refused(azure) == []
    last = reports[-1].plan
    assert not last.steps, told(last)
    left = {pool: limits[pool] - (await used(azure)).get(pool, 0) for pool in POOLS}
    for decision in last.decisions:
        if decision.state is not DecisionState.BLOCKED:
            continue
        assert decision.code == "insufficient_quota", decision
        account, name = decision.id.top.name, decision.id.name
        model, units = after[account][name]
        had_model, had = before[account].get(name, (model, 0))
        assert units - (had if had_model == model else 0) > left[POOLS[model]], decision.reason
    await azure.forget()
    assert len(await azure.converge(fleet)) == 1
    assert await azure.writes() == []


async def case(worlds: tuple[World, World, Account, Account], spare: tuple[int, int]) -> None:
    async with stage() as azure:
        await assert_within_quota(azure, worlds, spare)


# Not shrunk: each try is a whole converge, and what fails here is readable as it is.
@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(
    worlds=st.tuples(WORLDS, WORLDS, ACCOUNTS, ACCOUNTS),
    spare=st.tuples(st.integers(-30, 60), st.integers(-30, 60)),
)
def test_no_write_is_refused_and_nothing_that_fits_is_left_out(
    worlds: tuple[World, World, Account, Account], spare: tuple[int, int]
) -> None:
    run(case(worlds, spare))


@pytest.mark.virtual_time
async def test_a_full_pool_is_reshuffled_between_ten_deployments_in_five_accounts(azure: Stage) -> None:
    """Every unit is taken before and after, and no deployment is ever smaller than the lesser of the two."""
    names = [(f"a{number}", f"d{each}") for number in range(5) for each in range(2)]
    units = [10, 20, 30, 40, 50, 60, 70, 80, 90, 50]
    before: World = defaultdict(dict)
    after: World = defaultdict(dict)
    for (account, name), had, wanted in zip(names, units, reversed(units), strict=True):
        before[account][name], after[account][name] = (0, had), (0, wanted)
    await assert_within_quota(azure, ({**before}, {**after}, {}, {}), (0, 0))
    final = await azure.sim.control("GET", "/_sim/state")
    for (account, name), wanted in zip(names, reversed(units), strict=True):
        stored = final["byId"][str(account_id(azure, account).child("deployments", name))]
        assert stored["sku"]["capacity"] == wanted


async def fill(azure: Stage) -> Fleet:
    """A region full of one of ours and one of strangers, both soft-deleted, and a fleet that wants ours anew."""
    full: Account = {"d0": (0, 300)}
    await azure.seed_world(
        resources=[owned_group(azure)],
        deletedAccounts=[body(azure, "a0", full, "law"), body(azure, "theirs", {"d0": (0, 100)})],
        limits={azure.sim.subscription_id: {REGION: {POOLS[0]: 400}}},
    )
    first, *rest = documents({"a0": full})
    return azure.load([{**first, "spec": {**first["spec"], "softDeleted": "purge"}}, *rest])


@pytest.mark.virtual_time
@pytest.mark.parametrize("settings", [Settings(purge_returns=0.0)])
async def test_a_region_full_of_an_account_that_is_purged_is_deployed_to_in_one_run(azure: Stage) -> None:
    fleet = await fill(azure)
    waiting = [each for each in (await azure.dry_run(fleet)).decisions if each.state is DecisionState.IN_PROGRESS]
    assert [each.id.name for each in waiting] == ["d0"]
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert await refused(azure) == []
    # The account of strangers stays, with what it holds.
    assert await used(azure) == {POOLS[0]: 400}


@pytest.mark.virtual_time
async def test_what_a_purge_frees_late_is_deployed_to_when_it_is_there(azure: Stage) -> None:
    fleet = await fill(azure)
    await azure.converge(fleet)
    await azure.sim.control("POST", "/_sim/clock", {"advance": Settings().purge_returns})
    assert (await azure.converge(fleet))[-1].plan.converged
    assert await refused(azure) == []
    assert await used(azure) == {POOLS[0]: 400}


@pytest.mark.virtual_time
async def test_a_pass_with_nothing_to_do_asks_for_no_quota(azure: Stage) -> None:
    fleet = azure.load(documents({"a0": {"d0": (0, 5)}}))
    await azure.converge(fleet)
    await azure.forget()
    plan = await azure.dry_run(fleet)
    assert plan.converged
    assert plan.ledger is None
    asked = [each["path"].rpartition("/")[2] for each in await azure.requests()]
    # One list tells when what is deployed retires.
    assert (asked.count("usages"), asked.count("models")) == (0, 1)


@pytest.mark.virtual_time
async def test_a_run_reads_the_model_list_of_a_region_once(azure: Stage) -> None:
    fleet = azure.load(documents({"a0": {"d0": (0, 5)}, "a1": {"d0": (1, 5)}}))
    async with azure.world(fleet) as world:
        for _ in range(2):
            await run_cycle(world, fleet, CycleRequest(budget=Budget(seconds=1.0), regions=Regions()))
    asked = [each["path"].rpartition("/")[2] for each in await azure.requests()]
    assert (asked.count("models"), asked.count("usages")) == (1, 2)


@pytest.mark.virtual_time
async def test_usages_that_may_not_be_read_stop_nothing_and_are_told(azure: Stage) -> None:
    await azure.fault(kind="status", match={"path": "/usages$"}, status=403, code="AuthorizationFailed", count=-1)
    fleet = azure.load(documents({"a0": {"d0": (0, 5)}}))
    plan = await azure.dry_run(fleet)
    assert plan.complete
    assert plan.ledger is not None
    assert [*plan.ledger.unread] == [REGION]
    assert plan.ledger.pools == ()
    assert (await azure.converge(fleet))[-1].plan.converged
