"""Quota is not capacity: a region that has nothing left to run a model on."""

import pytest

from tests.armsim.asking import ACCOUNTS, CS, SUB, Asker, model

D1 = f"{ACCOUNTS}/a1/deployments/d1"
QUERY = "modelFormat=OpenAI&modelName=gpt-4o&modelVersion=2024-11-20"
SHORT = {"location": "West Europe", "model": "gpt-4o", "version": "2024-11-20", "sku": "GlobalStandard"}
POOL = "OpenAI.GlobalStandard.gpt-4o"


async def available(asker: Asker, location: str = "WestEurope", sku: str = "GlobalStandard") -> int:
    everywhere = (await asker.get(f"{CS}/modelCapacities?{QUERY}")).body["value"]
    here = (await asker.get(f"{CS}/locations/{location}/modelCapacities?{QUERY}")).body["value"]
    assert here == [each for each in everywhere if each["location"] == location]
    return int(next(each["properties"]["availableCapacity"] for each in here if each["name"] == sku))


async def test_capacity_is_told_in_the_words_of_the_service(asker: Asker) -> None:
    rows = (await asker.get(f"{CS}/locations/westeurope/modelCapacities?{QUERY}")).body["value"]
    row = next(each for each in rows if each["name"] == "GlobalStandard")
    assert row == {
        "id": f"{CS}/locations/WestEurope/models/OpenAI.gpt-4o.2024-11-20/skuCapacities/GlobalStandard",
        "type": "Microsoft.CognitiveServices/locations/models/skuCapacities",
        "name": "GlobalStandard",
        "location": "WestEurope",
        "properties": {
            "model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"},
            "skuName": "GlobalStandard",
            "availableCapacity": 450,
            "availableFinetuneCapacity": 0,
        },
    }
    refused = await asker.get(f"{CS}/modelCapacities?modelFormat=OpenAI")
    assert (refused.status, "modelName, modelVersion" in refused.message) == (400, True)


async def test_a_model_of_another_kind_of_account_has_capacity_too(asker: Asker) -> None:
    path = f"{CS}/modelCapacities?modelFormat=DeepSeek&modelName=DeepSeek-R1&modelVersion=1"
    assert (await asker.get(path)).body["value"]


async def test_what_is_told_is_the_lesser_of_quota_and_hardware(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(capacity=30)
    assert await available(asker) == 420
    await asker.seed(capacities=[{**SHORT, "available": 12}])
    assert await available(asker) == 12
    assert await available(asker, "EastUS") == 450
    await asker.seed(limits={SUB: {"westeurope": {POOL: 35}}})
    assert await available(asker) == 5
    await asker.sim.control("PUT", "/_sim/settings", {"capacities_within_quota": False})
    assert await available(asker) == 12
    assert await available(asker, "EastUS") == 1_000_000


async def test_a_deployment_that_grows_beyond_the_hardware_is_refused(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(capacity=30)
    await asker.seed(capacities=[{**SHORT, "available": 12}])
    refused = await asker.deploy(capacity=43)
    assert (refused.status, refused.code) == (400, "BadRequest")
    assert "The region 'westeurope' does not currently have sufficient capacity for 43 units" in refused.message
    assert (await asker.deploy("d2", capacity=13)).status == 400
    assert (await asker.deploy(capacity=42)).status == 200
    assert await available(asker) == 0
    assert (await asker.deploy(capacity=42)).status == 200
    assert (await asker.deploy("d2", sku="DataZoneStandard", capacity=5)).status == 201
    assert (await asker.deploy(capacity=20)).status == 200
    assert await available(asker) == 22
    assert (await asker.deploy("d3", capacity=22)).status == 201


async def test_quota_is_judged_before_hardware(asker: Asker) -> None:
    await asker.account()
    await asker.seed(capacities=[{**SHORT, "available": 0}], limits={SUB: {"westeurope": {POOL: 5}}})
    assert (await asker.deploy(capacity=6)).code == "InsufficientQuota"
    assert (await asker.deploy(capacity=5)).code == "BadRequest"


async def test_another_version_runs_on_its_own_hardware(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(version="2024-08-06", capacity=10)
    await asker.seed(capacities=[{**SHORT, "available": 9}])
    assert (await asker.deploy(version="2024-11-20", capacity=10)).status == 400
    await asker.seed(capacities=[{**SHORT, "available": 10}])
    assert (await asker.deploy(version="2024-11-20", capacity=10)).status == 200


async def test_a_region_may_be_short_of_all_that_a_model_runs_on(asker: Asker) -> None:
    await asker.account()
    await asker.seed(capacities=[{"location": "westeurope", "model": "gpt-4o", "available": 10}])
    assert (await asker.deploy(capacity=6)).status == 201
    assert (await asker.deploy("d2", sku="DataZoneStandard", capacity=6)).status == 400
    assert (await asker.deploy("d2", sku="DataZoneStandard", capacity=4)).status == 201
    saved = await asker.sim.control("GET", "/_sim/state")
    await asker.sim.control("PUT", "/_sim/state", saved)
    assert (await asker.deploy("d3", capacity=1)).status == 400
    await asker.seed(capacities=[{"location": "westeurope", "model": "gpt-4o", "available": None}])
    assert (await asker.deploy("d3", capacity=1)).status == 201


async def test_hardware_comes_back_with_what_is_deleted_and_not_with_an_account(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(capacity=10)
    await asker.deploy("d2", capacity=10)
    await asker.seed(capacities=[{**SHORT, "available": 0}])
    await asker.delete(D1)
    assert await available(asker) == 10
    await asker.delete(f"{ACCOUNTS}/a1")
    assert await available(asker) == 10


@pytest.mark.parametrize(
    ("variant", "status"), [("BadRequest", 400), ("InsufficientCapacity", 409), ("ServiceUnavailable", 503)]
)
async def test_the_refusal_comes_in_several_forms(asker: Asker, variant: str, status: int) -> None:
    await asker.sim.control("PUT", "/_sim/settings", {"no_capacity": variant})
    await asker.seed(capacities=[{**SHORT, "available": 0}])
    await asker.account()
    refused = await asker.deploy()
    assert (refused.status, refused.code) == (status, variant)
    assert (await asker.get(D1)).status == 404


async def test_a_deployment_may_be_taken_and_fail_for_lack_of_hardware(asker: Asker) -> None:
    await asker.sim.control("PUT", "/_sim/settings", {"no_capacity": "Failed"})
    await asker.seed(capacities=[{**SHORT, "available": 0}])
    await asker.account()
    taken = await asker.deploy()
    assert (taken.status, taken.body["properties"]["provisioningState"]) == (201, "Creating")
    await asker.advance(20)
    assert (await asker.get(D1)).body["properties"]["provisioningState"] == "Failed"
    await asker.seed(capacities=[{**SHORT, "available": 100}])
    assert (await asker.put(D1, model())).status == 200
    assert (await asker.get(D1)).body["properties"]["provisioningState"] == "Succeeded"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"capacities": [{**SHORT, "available": -1}]}, "available must not be negative; it is -1"),
        ({"capacities": [{"location": "westeurope", "model": "gpt-4o"}]}, "available"),
    ],
)
async def test_capacities_that_make_no_sense_are_refused(asker: Asker, body: object, words: str) -> None:
    answer = await asker.raw("POST", f"{asker.sim.endpoint}/_sim/seed", json=body)
    assert answer.status == 400
    assert words in answer.body["error"]


async def test_a_refusal_that_does_not_exist_is_named(asker: Asker) -> None:
    answer = await asker.raw("PUT", f"{asker.sim.endpoint}/_sim/settings", json={"no_capacity": "Never"})
    assert answer.status == 400
    assert "no_capacity is one of BadRequest, InsufficientCapacity, ServiceUnavailable, Failed" in answer.body["error"]
