"""Law: a large fleet converges as fast as Azure lets it, without one refusal that we have brought upon ourselves."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from tests.laws.stage import (
    WRITES,
    Document,
    Stage,
    account_document,
    deployment,
    fleet_document,
    group_document,
    told,
)
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

REGIONS = (
    "swedencentral", "eastus2", "westeurope", "uksouth", "francecentral",
    "japaneast", "australiaeast", "canadaeast", "westus", "norwayeast",
)  # fmt: skip
ACCOUNTS, DEPLOYMENTS = 100, 5


def fleet_of(count: int) -> list[Document]:
    members = [
        account_document(
            f"aoai-{number:03}",
            location=REGIONS[number % len(REGIONS)],
            customSubDomainName=f"aoai-{number:03}",
            publicNetworkAccess="Enabled",
            networkAcls={"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"]},
            deployments=[deployment(f"d{index}", index + 1) for index in range(DEPLOYMENTS)],
        )
        for number in range(count)
    ]
    return [fleet_document(), group_document(), *members]


def seen_at(duration: float) -> float:
    """When we notice that an operation of this duration is over. Azure asks for no pace here, so it is the one that
    is asked of us: looks after 5 s, then after 7.5, 10, 12.5, and every 15 s from there on."""
    looked, pause = 0.0, 5.0
    while looked < duration:
        looked, pause = looked + pause, min(pause + 2.5, 15.0)
    return looked


def serial_work(azure: Stage, requests: list[dict[str, Any]]) -> dict[str, float]:
    """What Azure makes one lane wait for: requests that block (deployments), operations that must be looked at."""
    work: dict[str, float] = defaultdict(float)
    for each in requests:
        if each["method"] in WRITES and "/deployments/" in each["path"]:
            work[each["path"].lower().rpartition("/deployments/")[0]] += each["took"]
    for operation in azure.sim.world.operations.values():
        if "/deployments/" not in operation.target:
            assert operation.end is not None
            work[operation.target] += seen_at(operation.end - operation.start)
    return work


async def test_a_hundred_accounts_converge_in_the_time_of_the_slowest_one(azure: Stage) -> None:
    await azure.seed_world(limits=plenty(azure.sim.subscription_id))
    fleet = azure.load(fleet_of(ACCOUNTS))
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)[:5]
    assert await azure.self_inflicted() == {"409": 0, "429": 0}

    requests = await azure.requests()
    writes = await azure.writes()
    assert len(writes) == 1 + ACCOUNTS * (2 + DEPLOYMENTS)
    slowest = max(serial_work(azure, requests).values())
    # A bucket of 200 writes that refills by 10 a second.
    budget = (len(writes) - azure.sim.settings.writes[0]) / azure.sim.settings.writes[1]
    elapsed = max(each["at"] + each["took"] for each in requests) - requests[0]["at"]
    assert elapsed <= max(slowest, budget) * 1.15, (elapsed, slowest, budget)


async def test_an_update_of_every_deployment_stays_within_the_write_budget(azure: Stage) -> None:
    await azure.seed_world(limits=plenty(azure.sim.subscription_id))
    documents = fleet_of(30)
    assert (await azure.converge(azure.load(documents)))[-1].plan.converged
    for document in documents[2:]:
        for each in document["spec"]["deployments"]:
            each["sku"]["capacity"] += 1
            each["model"] = {"name": "gpt-4o", "version": "2024-08-06"}
    await azure.forget()
    reports = await azure.converge(azure.load(documents))
    assert reports[-1].plan.converged, told(reports[-1].plan)[:5]
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
    # Version first, capacity after: Azure refuses both at once.
    assert len(await azure.writes()) == 30 * DEPLOYMENTS * 2
