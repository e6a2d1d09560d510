"""The daemon by the roles that are shipped: for days, whatever happens, Azure refuses it nothing."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.apply import Budget
from tests.daemon.running import DAY, INTERVAL, running
from tests.laws.deeds import grown, pooled
from tests.laws.stage import Stage, account_id, fleet_document, group_document, network_id
from tests.laws.test_fixpoint import plenty
from tests.laws.test_roles import asked, grant, refused, role

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("name", ["writer", "reader"])
async def test_a_role_is_enough_for_days_of_work(azure: Stage, name: str) -> None:
    """With the reader's it only observes."""
    pool = [{**each, "metadata": {**each["metadata"], "name": f"pooled-{n}"}} for n, each in enumerate(pooled())]
    documents = [fleet_document(quota={"tierUpgrade": "NoAutoUpgrade"}), group_document(), *grown(azure), *pool]
    await azure.seed_world(limits=plenty(azure.sim.subscription_id))
    if name == "reader":
        assert (await azure.converge(azure.load(documents)))[-1].plan.converged
    await grant(azure, azure.sim.subscription_id, role(name))
    await azure.forget()
    budget = Budget(seconds=0.75 * INTERVAL) if name == "writer" else None
    async with running(azure, documents, budget=budget) as daemon:
        if name == "writer":
            await daemon.until(lambda done: all(each.plan.converged for each in done.reports.values()))
        for _ in range(2):
            await azure.mutate("PATCH", network_id(azure, "networkSecurityGroups", "guard"), {"tags": {"a": "b"}})
            await azure.mutate("DELETE", account_id(azure, "one").child("deployments", "more"))
            for _ in range(20):
                await daemon.next_pass("interval")
                await asyncio.sleep(INTERVAL)
            await azure.clock.sleep(DAY)
        assert await refused(azure) == []
        assert await asked(azure) <= {each.lower() for each in role(name)}
        assert [each.faults for each in daemon.passes if each.faults] == []
