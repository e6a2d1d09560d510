"""Law: what soft-deleted accounts hold is freed one account at a time, no more of it than it takes, and never what was
somebody else's.

The counting is the simulation's own, which shares no code with the product. There, what was purged comes back late.
"""

from __future__ import annotations

from typing import Any

import pytest

from armsim.clock import EPOCH, iso_fine
from reconciler.model.outcome import Result
from reconciler.model.plan import Action, DecisionState, Plan, Verb
from tests.laws.stage import Document, Stage, failures, fleet_document, told
from tests.laws.test_quota import POOLS, REGION, Account, body, documents, owned_group, refused, used

pytestmark = pytest.mark.virtual_time

POOL = "OpenAI.GlobalStandard.gpt-4o"
LATE = 120.0
BLOCKING: Document = {"policy": "blocking"}


def buried(azure: Stage, name: str, units: int, owner: str = "", hours: float = 5) -> dict[str, Any]:
    """A soft-deleted account that holds so much of the first model, deleted so many hours ago."""
    account: Account = {"d0": (0, units)} if units else {}
    return {**body(azure, name, account, owner), "deletionDate": iso_fine(EPOCH - hours * 3600)}


async def full_region(azure: Stage, *deleted: dict[str, Any], limit: int) -> None:
    await azure.set(purge_returns=LATE)
    await azure.seed_world(
        resources=[owned_group(azure)],
        deletedAccounts=list(deleted),
        limits={azure.sim.subscription_id: {REGION: {POOLS[0]: limit}}},
    )


def wanting(units: int, purge: object = BLOCKING, **spec: object) -> list[Document]:
    first, *rest = documents({"new": {"d0": (0, units)}})
    return [{**first, "spec": {**first["spec"], "purge": purge, **spec}}, *rest]


async def left_buried(azure: Stage) -> list[str]:
    state = await azure.sim.control("GET", "/_sim/state")
    return sorted(each["account"]["id"].rpartition("/")[2] for each in state["graves"])


async def test_a_full_region_is_purged_one_account_at_a_time_until_what_is_wanted_fits(azure: Stage) -> None:
    await full_region(
        azure,
        buried(azure, "first", 100, "law", hours=9),
        buried(azure, "second", 100, "law", hours=8),
        buried(azure, "third", 100, "law", hours=7),
        buried(azure, "theirs", 100, hours=20),
        limit=400,
    )
    fleet = azure.load(wanting(150))
    plan = await azure.dry_run(fleet)
    print(told(plan))
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    print([(o.step.name, o.because, o.ended - o.began) for r in reports for o in r.outcomes])
    assert await refused(azure) == []
    print(await left_buried(azure))
    assert 0
