"""Which pool of quota each thing counts against."""

from typing import Any

import pytest

from tests.armsim.asking import ACCOUNTS, CS, SUB, Asker, model
from tests.armsim.test_deployments import usage

GLOBAL = "OpenAI.GlobalStandard.gpt-4o"
TUNED = "OpenAI.FineTuned.Deployments"
PTU = ("OpenAI.GlobalProvisionedManaged", "OpenAI.DataZoneProvisionedManaged")
SOURCE = {"source": f"{ACCOUNTS}/a1", "sourceAccount": f"{ACCOUNTS}/a1"}


def tuned(capacity: int = 10, sku: str = "GlobalStandard", source: dict[str, str] | None = None) -> dict[str, Any]:
    body = model(capacity=capacity, sku=sku)
    body["properties"]["model"] |= SOURCE if source is None else source
    return body


async def test_the_versions_of_a_model_share_a_pool(asker: Asker) -> None:
    await asker.account()
    await asker.deploy("d1", capacity=20, version="2024-08-06")
    await asker.deploy("d2", capacity=30, version="2024-11-20")
    assert (await usage(asker, GLOBAL))[0] == 50
    assert (await usage(asker, "OpenAI.DataZoneStandard.gpt-4o"))[0] == 0


@pytest.mark.parametrize("sku", ["GlobalStandard", "DataZoneStandard"])
async def test_a_global_pool_is_counted_where_the_account_is(asker: Asker, sku: str) -> None:
    await asker.account("a1", "westeurope")
    await asker.account("a2", "swedencentral")
    await asker.deploy(account="a1", capacity=20, sku=sku)
    await asker.deploy(account="a2", capacity=30, sku=sku)
    for location, used in (("westeurope", 20), ("swedencentral", 30), ("eastus", 0)):
        assert (await usage(asker, f"OpenAI.{sku}.gpt-4o", location))[0] == used
    await asker.seed(limits={SUB: {"westeurope": {f"OpenAI.{sku}.gpt-4o": 20}}})
    assert (await asker.deploy("d2", account="a1", capacity=1, sku=sku)).code == "InsufficientQuota"
    assert (await asker.deploy("d2", account="a2", capacity=1, sku=sku)).status == 201


async def test_accounts_and_groups_of_a_region_share_its_pools(asker: Asker) -> None:
    await asker.group("other")
    other = {"id": f"{ACCOUNTS.replace('/rg/', '/other/')}/a2", "location": "West Europe"}
    await asker.seed(resources=[{**other, "deployments": [{"name": "d", **model(capacity=7)}]}])
    await asker.account("a1")
    await asker.deploy(capacity=5)
    assert (await usage(asker, GLOBAL))[0] == 12


@pytest.mark.parametrize(
    ("sku", "pool"), [("GlobalProvisionedManaged", PTU[0]), ("DataZoneProvisionedManaged", PTU[1])]
)
async def test_provisioned_units_of_all_models_share_a_pool(asker: Asker, sku: str, pool: str) -> None:
    await asker.account(location="eastus2")
    assert (await asker.deploy("d1", capacity=50, sku=sku)).status == 201
    other = model("gpt-4.1", "2025-04-14", sku, 50)
    assert (await asker.put(f"{ACCOUNTS}/a1/deployments/d2", other)).status == 201
    assert (await usage(asker, pool, "eastus2"))[0] == 100


async def test_regional_provisioned_units_have_the_pool_that_the_model_list_names(asker: Asker) -> None:
    await asker.account(location="eastus2")
    rows = (await asker.get(f"{CS}/locations/eastus2/models")).body["value"]
    entry = next(
        sku
        for each in rows
        if (each["model"]["name"], each["model"]["version"]) == ("gpt-4o", "2024-11-20")
        for sku in each["model"]["skus"]
        if sku["name"] == "ProvisionedManaged"
    )
    await asker.seed(limits={SUB: {"eastus2": {entry["usageName"]: 100}}})
    assert (await asker.deploy(capacity=50, sku="ProvisionedManaged")).status == 201
    assert (await usage(asker, entry["usageName"], "eastus2")) == (50, 100)


async def test_accounts_count_by_kind_and_all_together_also_when_they_are_deleted(asker: Asker) -> None:
    await asker.account("a1")
    services = {"kind": "AIServices", "sku": {"name": "S0"}, "location": "westeurope", "properties": {}}
    other = {**services, "kind": "TextAnalytics", "sku": {"name": "S"}}
    assert (await asker.put(f"{ACCOUNTS}/a2", services)).status == 201
    assert (await asker.put(f"{ACCOUNTS}/a3", other)).status == 201
    counts = {"OpenAI.S0.AccountCount": 1, "AIServices.S0.AccountCount": 1, "AccountCount": 3}
    assert {pool: (await usage(asker, pool))[0] for pool in counts} == counts
    await asker.advance(41)
    for name in ("a1", "a2", "a3"):
        await asker.delete(f"{ACCOUNTS}/{name}")
    assert {pool: (await usage(asker, pool))[0] for pool in counts} == counts


@pytest.mark.parametrize("pool", ["OpenAI.S0.AccountCount", "AccountCount"])
async def test_an_account_too_many_is_refused(asker: Asker, pool: str) -> None:
    await asker.seed(limits={SUB: {"westeurope": {pool: 1}}})
    await asker.account("a1")
    body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope", "properties": {}}
    assert (await asker.put(f"{ACCOUNTS}/a2", body)).code == "InsufficientQuota"
    await asker.delete(f"{ACCOUNTS}/a1")
    assert (await asker.put(f"{ACCOUNTS}/a2", body)).code == "InsufficientQuota"
    assert (await asker.put(f"{ACCOUNTS}/a2", {**body, "location": "eastus"})).status == 201


async def test_an_account_that_changes_its_kind_changes_its_count(asker: Asker) -> None:
    await asker.account("a1")
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"kind": "AIServices"})).status == 202
    assert (await usage(asker, "OpenAI.S0.AccountCount"))[0] == 0
    assert (await usage(asker, "AIServices.S0.AccountCount"))[0] == 1
    assert (await usage(asker, "AccountCount"))[0] == 1


@pytest.mark.parametrize("source", [{"source": SOURCE["source"]}, {"sourceAccount": SOURCE["sourceAccount"]}])
async def test_a_fine_tuned_deployment_counts_among_its_like(asker: Asker, source: dict[str, str]) -> None:
    await asker.account()
    created = await asker.put(f"{ACCOUNTS}/a1/deployments/d1", tuned(source=source))
    assert (created.status, created.body["properties"]["model"].items() >= source.items()) == (201, True)
    assert (await usage(asker, TUNED)) == (1, 8)
    assert (await usage(asker, f"{GLOBAL}-finetune"))[0] == 10
    assert (await usage(asker, GLOBAL))[0] == 0
    assert (await asker.patch(f"{ACCOUNTS}/a1/deployments/d1", {"sku": {"capacity": 12}})).status == 200
    assert (await usage(asker, TUNED))[0] == 1
    assert (await usage(asker, f"{GLOBAL}-finetune"))[0] == 12
    await asker.delete(f"{ACCOUNTS}/a1/deployments/d1")
    assert (await usage(asker, TUNED))[0] == 0


async def test_fine_tuned_deployments_are_limited_in_number(asker: Asker) -> None:
    await asker.seed(limits={SUB: {"westeurope": {TUNED: 2}}})
    await asker.seed(resources=[{"id": f"{ACCOUNTS}/a0", "deployments": [{"name": "d", **tuned(1)}]}])
    await asker.account()
    assert (await asker.put(f"{ACCOUNTS}/a1/deployments/d1", tuned(1))).status == 201
    refused = await asker.put(f"{ACCOUNTS}/a1/deployments/d2", tuned(1))
    assert (refused.code, "Standard Fine-Tuned Deployments" in refused.message) == ("InsufficientQuota", True)
    assert (await asker.put(f"{ACCOUNTS}/a1/deployments/d1", tuned(2))).status == 200
    assert (await asker.deploy("d2", capacity=1)).status == 201


async def test_a_fine_tuned_model_without_a_pool_of_its_own_counts_with_the_model(asker: Asker) -> None:
    await asker.account()
    created = await asker.put(f"{ACCOUNTS}/a1/deployments/d1", tuned(sku="DataZoneStandard"))
    assert created.status == 201
    assert (await usage(asker, "OpenAI.DataZoneStandard.gpt-4o"))[0] == 10
    assert (await usage(asker, TUNED))[0] == 1
