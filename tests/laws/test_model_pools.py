"""Law: a pool of a model has what it wants wherever Azure has room for it, moves no more than it must, and a pass with
nothing to do asks for no quota.

What is counted is the simulation's own, which shares no code with the product.
"""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.cycle import CycleRequest, Regions, run_cycle
from reconciler.model.outcome import CycleReport
from reconciler.model.plan import DecisionState, Plan
from reconciler.model.spread import Spread
from reconciler.plan import select
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

CASES = int(os.environ.get("RECONCILER_LAW_EXAMPLES", "20"))
REGIONS = {"fra": "francecentral", "pol": "polandcentral", "swe": "swedencentral"}
POOLS = {
    "DataZoneStandard": "openai.datazonestandard.gpt-4o",
    "GlobalStandard": "openai.globalstandard.gpt-4o",
    "Standard": "openai.standard.gpt-4o",
}
MODEL = {"name": "gpt-4o", "version": "2024-11-20"}

pytestmark = pytest.mark.virtual_time


def pool_document(tpm: int, *types: str, name: str = "chat", **more: object) -> Document:
    spec: Document = {
        "model": MODEL,
        "tpm": f"{tpm}k",
        "deploymentTypes": list(types or ("DataZoneStandard",)),
        "accounts": {"matchLabels": {"serves": "gpt-4o"}},
        **more,
    }
    return {"apiVersion": "reconciler/v1", "kind": "ModelPool", "metadata": {"name": name}, "spec": spec}


def account(name: str, *deployments: Document) -> Document:
    document = account_document(f"aoai-{name}", location=REGIONS[name], deployments=[*deployments])
    return {**document, "metadata": {**document["metadata"], "labels": {"serves": "gpt-4o"}}}


def documents(*pools: Document, names: tuple[str, ...] = ("fra", "pol", "swe"), **accounts: Document) -> list[Document]:
    members = [accounts.get(name) or account(name) for name in names]
    return [fleet_document(allowEmpty=True), group_document(), *members, *pools]


async def limit(azure: Stage, sku: str = "DataZoneStandard", **limits: int) -> None:
    by_region = {REGIONS[name]: {POOLS[sku]: units} for name, units in limits.items()}
    await azure.seed_world(limits={azure.sim.subscription_id: by_region})


def units_of(azure: Stage, name: str = "chat") -> dict[tuple[str, str], int]:
    """Capacity by account and type of what lives under the names of a pool."""
    found: dict[tuple[str, str], int] = {}
    for id, body in azure.resources().items():
        _, _, below = id.partition("/accounts/")
        account, _, own = below.partition("/deployments/")
        if own.startswith(f"{name}-"):
            found[account.removeprefix("aoai-"), body["sku"]["name"]] = body["sku"]["capacity"]
    return found


def spread_of(plan: Plan, name: str = "chat") -> Spread:
    (found,) = [each for each in plan.spreads if each.ref.name == name]
    return found


async def refused(azure: Stage) -> list[Any]:
    return [each for each in await azure.requests() if each["method"] == "PUT" and each["status"] >= 400]


async def converged(azure: Stage, written: list[Document]) -> tuple[CycleReport, ...]:
    """A run to the end, of which no write is refused, and after which there is nothing to do."""
    fleet = azure.load(written)
    await azure.forget()
    reports = await azure.converge(fleet)
    assert await refused(azure) == []
    await azure.forget()
    assert len(await azure.converge(fleet)) == 1
    assert await azure.writes() == []
    return reports


async def test_a_pool_is_placed_from_nothing_and_a_quiet_pass_asks_for_no_quota(azure: Stage) -> None:
    await limit(azure, fra=50, pol=60, swe=70)
    written = documents(pool_document(150))
    reports = await converged(azure, written)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert sum(units_of(azure).values()) == 150
    await azure.forget()
    plan = await azure.dry_run(azure.load(written))
    assert (plan.converged, plan.steps, plan.ledger) == (True, (), None)
    asked = [each["path"] for each in await azure.requests()]
    assert not [path for path in asked if path.endswith(("/usages", "/modelCapacities"))]


async def test_a_pool_that_lacks_something_says_so_and_grows_when_there_is_more(azure: Stage) -> None:
    await limit(azure, fra=50, pol=60, swe=70)
    written = documents(pool_document(250))
    reports = await converged(azure, written)
    spread = spread_of(reports[-1].plan)
    assert (spread.placed, spread.shortfall, reports[-1].plan.converged) == (180_000, 70_000, False)
    await limit(azure, swe=200)
    reports = await converged(azure, written)
    assert reports[-1].plan.converged
    assert units_of(azure)["swe", "DataZoneStandard"] == 140


async def test_a_limit_that_is_cut_moves_the_least(azure: Stage) -> None:
    await limit(azure, fra=50, pol=60, swe=70)
    written = documents(pool_document(150))
    await converged(azure, written)
    before = units_of(azure)
    await limit(azure, swe=40)
    fleet = azure.load(written)
    # Azure takes nothing away from what runs, so a quiet pass leaves it alone; who looks at quota sees it.
    assert (await azure.dry_run(fleet)).steps == ()
    async with azure.world(fleet, read_only=True) as world:
        plan = (await run_cycle(world, fleet, CycleRequest(regions=Regions()))).plan
    moved = {str(each.ref).split("/")[2]: each.changes for each in plan.decisions if each.acts}
    taken = before["swe", "DataZoneStandard"] - 40
    assert sum(abs(change.after - (change.before or 0)) for each in moved.values() for change in each) == 2 * taken  # type: ignore[operator]


async def test_a_region_that_is_lost_is_left_and_the_others_have_what_it_had(azure: Stage) -> None:
    await limit(azure, fra=100, pol=100, swe=100)
    await converged(azure, documents(pool_document(150)))
    lost = next(name for name, _ in units_of(azure))
    rest = [region for name, region in REGIONS.items() if name != lost]
    reports = await converged(azure, documents(pool_document(150, regions=rest)))
    assert reports[-1].plan.converged, told(reports[-1].plan)
    units = units_of(azure)
    assert sum(units.values()) == 150
    assert lost not in {name for name, _ in units}
    names = [outcome.step.name for report in reports for outcome in report.outcomes]
    gone = next(at for at, name in enumerate(names) if name.endswith("#delete"))
    assert gone == len(names) - 1


async def test_a_wish_is_raised_and_lowered(azure: Stage) -> None:
    await limit(azure, fra=100, pol=100, swe=100)
    for tpm in (100, 270, 60, 130):
        reports = await converged(azure, documents(pool_document(tpm, maxSharePerRegion=60)))
        assert reports[-1].plan.converged, told(reports[-1].plan)
        units = units_of(azure)
        assert sum(units.values()) == tpm
        assert max(units.values()) <= tpm * 60 // 100


async def test_pools_and_plain_deployments_share_the_quota_in_their_order(azure: Stage) -> None:
    await limit(azure, fra=100, pol=100, swe=100)
    own = [
        deployment("own", 30, "DataZoneStandard"),
        deployment("rest", 0, "DataZoneStandard") | {"sku": _elastic(300, 5)},
    ]
    written = documents(pool_document(120, name="alpha"), pool_document(200, name="beta"), fra=account("fra", *own))
    reports = await converged(azure, written)
    assert sum(units_of(azure, "alpha").values()) == 120
    assert sum(units_of(azure, "beta").values()) == 150
    blocked = [each for each in reports[-1].plan.decisions if each.state is DecisionState.BLOCKED]
    assert [each.id.name for each in blocked] == ["rest"]
    held = sum(body["sku"]["capacity"] for id, body in azure.resources().items() if "/deployments/" in id)
    assert held == 300


def _elastic(want: int, least: int) -> Document:
    return {"name": "DataZoneStandard", "capacity": {"want": want, "min": least}}


async def test_documents_in_another_order_are_the_same_plan(azure: Stage) -> None:
    await limit(azure, fra=50, pol=60, swe=70)
    written = documents(pool_document(100), pool_document(60, name="draft"), pool_document(30, name="notes"))
    digest = (await azure.dry_run(azure.load(written))).digest
    for seed in range(4):
        shuffled = random.Random(seed).sample(written, len(written))
        assert (await azure.dry_run(azure.load(shuffled))).digest == digest


async def test_a_pool_is_selected_by_its_name(azure: Stage) -> None:
    fleet = azure.load(documents(pool_document(100)))
    chosen = select([fleet], ("ModelPool/chat",), {})
    async with azure.world(fleet, read_only=True) as world:
        plan = (await run_cycle(world, fleet, CycleRequest(chosen=chosen))).plan
    assert spread_of(plan).shortfall == 0
    assert [each for each in plan.decisions if each.acts and each.ref.kind == "ModelPool"]


# -- any wish, any room

WISHES = st.fixed_dictionaries(
    {"tpm": st.integers(1, 200)},
    optional={"maxSharePerRegion": st.sampled_from([40, 60, 80]), "minRegions": st.integers(1, 3)},
)
TYPES = st.permutations(["DataZoneStandard", "GlobalStandard"]).flatmap(
    lambda order: st.integers(1, 2).map(lambda number: tuple(order[:number]))
)
LIMITS = st.fixed_dictionaries({name: st.integers(0, 100) for name in REGIONS})


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(wishes=st.tuples(WISHES, WISHES), types=TYPES, limits=st.tuples(LIMITS, LIMITS))
def test_no_write_is_refused_and_twice_is_quiet_whatever_is_wished_and_wherever_there_is_room(
    wishes: tuple[dict[str, Any], dict[str, Any]], types: tuple[str, ...], limits: tuple[dict[str, int], dict[str, int]]
) -> None:
    async def law() -> None:
        async with stage() as azure:
            await limit(azure, "DataZoneStandard", **limits[0])
            await limit(azure, "GlobalStandard", **limits[1])
            for wish in wishes:
                said = {key: value for key, value in wish.items() if key != "tpm"}
                reports = await converged(azure, documents(pool_document(wish["tpm"], *types, **said)))
                last = reports[-1].plan
                spread = spread_of(last)
                held = sum(units_of(azure).values())
                assert spread.placed == held * 1000
                assert last.converged == (not spread.shortfall), told(last)
                room = sum(limits[0 if sku == "DataZoneStandard" else 1][name] for sku in types for name in REGIONS)
                if "maxSharePerRegion" not in said and said.get("minRegions", 1) == 1:
                    assert held == min(wish["tpm"], room)

    run(law())


async def test_what_a_pool_lacks_is_what_purges_are_for(azure: Stage) -> None:
    """Soft-deleted accounts hold what the pool wants: one after the other is purged until it has it, and no more."""
    await limit(azure, fra=0, pol=100, swe=0)
    graves = [_grave(azure, name, 40) for name in ("old", "older")]
    group = {"id": str(account_id(azure, "x").parent), "location": REGIONS["swe"], "tags": {"reconciler-fleet": "law"}}
    await azure.seed_world(resources=[group], deletedAccounts=graves)
    written = documents(pool_document(60))
    written[0]["spec"]["purge"] = {"policy": "blocking", "minimumAge": "0s"}
    reports = await azure.converge(azure.load(written))
    assert await refused(azure) == []
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert units_of(azure) == {("pol", "DataZoneStandard"): 60}
    assert len([each for each in await azure.writes() if "deletedaccounts" in each["path"].lower()]) == 1


def _grave(azure: Stage, name: str, units: int) -> Document:
    model = {"format": "OpenAI", **MODEL}
    held = {"name": "d", "sku": {"name": "DataZoneStandard", "capacity": units}, "properties": {"model": model}}
    return {
        "id": str(account_id(azure, name)),
        "location": REGIONS["pol"],
        "kind": "OpenAI",
        "sku": {"name": "S0"},
        "tags": {"reconciler-fleet": "law"},
        "properties": {"publicNetworkAccess": "Disabled"},
        "deployments": [held],
    }
