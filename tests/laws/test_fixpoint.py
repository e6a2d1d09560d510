"""Law: what has converged plans empty, and a second pass writes nothing, whatever Azure made of the first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from armsim import catalogue
from reconciler.model.resource import Fleet
from tests.laws.fleets import fleets, shuffled
from tests.laws.stage import Document, Stage, failures, stage, told
from tests.support.virtual_time import run

EXAMPLES = Path(__file__).parents[2] / "desired_state"
ENOUGH = 1_000_000_000
FLEETS = int(os.environ.get("RECONCILER_LAW_EXAMPLES", "40"))


def find_examples() -> list[Path]:
    """Each tree of documents that the project ships: one per directory of `desired_state` and of its `examples`."""
    if not EXAMPLES.is_dir():
        return []
    places = [*EXAMPLES.iterdir(), *(EXAMPLES / "examples").glob("*")]
    return sorted(place for place in places if place.name != "examples" and any(place.rglob("*.y*ml")))


def plenty(subscription: str) -> Mapping[str, Mapping[str, Mapping[str, int]]]:
    """Limits that no fleet reaches: quota is not what this law is about."""
    return {subscription: {region: dict.fromkeys(catalogue.pools(), ENOUGH) for region in catalogue.regions()}}


async def assert_fixpoint(azure: Stage, fleet: Fleet) -> None:
    await azure.seed_world(limits=plenty(fleet.subscription))
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
    await azure.forget()
    again = await azure.dry_run(fleet)
    assert again.steps == ()
    assert told(again) == []
    second = await azure.converge(fleet)
    assert len(second) == 1
    assert await azure.writes() == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("example", find_examples(), ids=lambda place: place.name)
async def test_every_example_converges_and_then_plans_empty(azure: Stage, example: Path) -> None:
    for fleet in azure.load_estate(example).fleets:
        tenant = fleet.target.tenant or azure.sim.tenant_id
        await azure.seed_world(subscriptions=[{"subscriptionId": fleet.subscription, "tenantId": tenant}])
        await assert_fixpoint(azure, fleet)


# Not shrunk: each try is a whole converge, and what fails here is readable as it is.
@settings(
    max_examples=FLEETS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)
@given(documents=fleets(), data=st.data())
def test_a_generated_fleet_converges_and_then_plans_empty_in_any_order(
    documents: list[Document], data: st.DataObject, ca_dir: Path
) -> None:
    other = shuffled(documents, data)

    async def law() -> None:
        async with stage(ca_dir=ca_dir) as azure:
            fleet = azure.load(documents)
            await assert_fixpoint(azure, fleet)
            await azure.forget()
            moved = azure.load(other)
            plan = await azure.dry_run(moved)
            assert told(plan) == []
            assert plan.digest == (await azure.dry_run(fleet)).digest
            await azure.converge(moved)
            assert await azure.writes() == []

    run(law())
