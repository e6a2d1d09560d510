"""Deployments, content filters, models and quota."""

import asyncio

import pytest

from tests.armsim.asking import ACCOUNTS, CS, SUB, Asker, model

D1 = f"{ACCOUNTS}/a1/deployments/d1"


async def usage(asker: Asker, pool: str, location: str = "westeurope") -> tuple[float, float]:
    rows = (await asker.get(f"{CS}/locations/{location}/usages")).body["value"]
    row = next(each for each in rows if each["name"]["value"] == pool)
    return row["currentValue"], row["limit"]


async def test_a_create_blocks_and_answers_when_it_is_done(slow: Asker) -> None:
    await slow.account()
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(slow.deploy())
        while (await slow.get(D1)).status == 404:
            pass
        assert (await slow.get(D1)).body["properties"]["provisioningState"] == "Creating"
        second = await slow.deploy("d2")
        assert (second.status, second.code) == (409, "RequestConflict")
        assert (await slow.patch(f"{ACCOUNTS}/a1", {"tags": {}})).code == "RequestConflict"
        assert not writing.done()
        await slow.advance(16.1)
    created = writing.result()
    assert (created.status, created.body["properties"]["provisioningState"]) == (201, "Succeeded")
    assert "azure-asyncoperation" not in created.headers
    assert created.headers["etag"] == created.body["etag"]


async def test_the_service_fills_in_what_was_not_sent(asker: Asker) -> None:
    await asker.account()
    created = await asker.put(
        D1,
        {
            "properties": {"model": {"format": "OpenAI", "name": "text-embedding-3-small"}},
            "sku": {"name": "GlobalStandard"},
        },
    )
    if created.status == 400:
        created = await asker.put(
            D1, {"properties": {"model": {"format": "OpenAI", "name": "gpt-4o"}}, "sku": {"name": "GlobalStandard"}}
        )
    assert created.status == 201, created.text
    properties = created.body["properties"]
    assert created.body["sku"]["capacity"] == properties["currentCapacity"] == 1
    assert properties["model"]["version"]
    assert properties["versionUpgradeOption"] == "OnceNewDefaultVersionAvailable"
    assert "raiPolicyName" not in properties
    assert created.body["type"] == "Microsoft.CognitiveServices/accounts/deployments"


async def test_the_service_can_fill_in_the_content_filter(asker: Asker) -> None:
    await asker.sim.control("PUT", "/_sim/settings", {"rai_policy_default": "Microsoft.DefaultV2"})
    await asker.account()
    assert (await asker.deploy()).body["properties"]["raiPolicyName"] == "Microsoft.DefaultV2"


async def test_rate_limits_grow_with_the_capacity(asker: Asker) -> None:
    await asker.account()
    one = (await asker.deploy("d1", capacity=1)).body["properties"]["rateLimits"]
    ten = (await asker.deploy("d2", capacity="10")).body["properties"]["rateLimits"]
    assert [each["count"] * 10 for each in one] == [each["count"] for each in ten]
    assert {each["key"] for each in one} == {"request", "token"}


async def test_a_sku_that_is_not_at_the_root_does_not_count(asker: Asker) -> None:
    await asker.account()
    body = model()
    body["properties"]["sku"] = body.pop("sku")
    refused = await asker.put(D1, body)
    assert (refused.code, "Standard" in refused.message) == ("InvalidResourceProperties", True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (model("no-such-model"), "DeploymentModelNotSupported"),
        (model("gpt-4o", "1999-01-01"), "DeploymentModelNotSupported"),
        (model("gpt-35-turbo", "0301", "Standard"), "ServiceModelDeprecated"),
        (model(sku="Nonsense"), "InvalidResourceProperties"),
        (model(sku="GlobalProvisionedManaged", capacity=16), "InvalidResourceProperties"),
        (model(capacity=0), "InvalidResourceProperties"),
        (model(capacity="many"), "InvalidRequestContent"),
        ({"properties": {}}, "InvalidResourceProperties"),
        (
            {**model(), "properties": {**model()["properties"], "scaleSettings": {"scaleType": "Standard"}}},
            "InvalidResourceProperties",
        ),
        (
            {**model(), "properties": {**model()["properties"], "versionUpgradeOption": "Never"}},
            "InvalidResourceProperties",
        ),
    ],
)
async def test_what_cannot_be_deployed_is_refused_with_its_code(
    asker: Asker, body: dict[str, object], code: str
) -> None:
    await asker.account()
    refused = await asker.put(D1, body)
    assert (refused.status, refused.code) == (400, code)
    assert (await asker.get(D1)).status == 404


async def test_a_model_that_is_being_withdrawn_takes_no_new_deployments(asker: Asker) -> None:
    sku = {"name": "Standard", "usageName": "OpenAI.Standard.x", "capacity": {"maximum": 10, "default": 1}}
    entry = {
        "model": {
            "format": "OpenAI",
            "name": "x",
            "version": "1",
            "isDefaultVersion": True,
            "skus": [sku],
            "lifecycleStatus": "Deprecating",
        }
    }
    await asker.seed(models={"westeurope": [entry]}, limits={SUB: {"westeurope": {"OpenAI.Standard.x": 10}}})
    await asker.account()
    assert (await asker.put(D1, model("x", "1", "Standard", 1))).code == "ServiceModelDeprecating"


async def test_an_update_answers_200_and_keeps_the_creation(asker: Asker) -> None:
    await asker.account()
    before = (await asker.deploy()).body
    after = await asker.deploy(capacity=20)
    assert (after.status, after.body["sku"]["capacity"]) == (200, 20)
    assert after.body["systemData"]["createdAt"] == before["systemData"]["createdAt"]
    assert after.body["etag"] != before["etag"]
    again = await asker.deploy(capacity=20)
    assert again.status == 200


async def test_capacity_and_version_change_in_two_steps_only(asker: Asker) -> None:
    await asker.account()
    await asker.deploy()
    assert (await asker.deploy(version="2024-08-06", capacity=20)).status == 400
    assert (await asker.deploy(version="2024-08-06")).status == 200
    assert (await asker.deploy(version="2024-08-06", capacity=20)).status == 200


async def test_model_name_and_sku_name_never_change(asker: Asker) -> None:
    await asker.account()
    await asker.deploy()
    assert (await asker.deploy(sku="DataZoneStandard")).status == 400
    assert (await asker.deploy(name="d1", version="2024-07-18")).status == 400
    assert (await asker.put(D1, model("gpt-4o-mini", "2024-07-18"))).status == 400


async def test_a_patch_scales_and_tags(asker: Asker) -> None:
    await asker.account()
    await asker.deploy()
    answer = await asker.patch(D1, {"sku": {"name": "GlobalStandard", "capacity": "30"}, "tags": {"a": "b"}})
    assert (answer.status, answer.body["sku"]["capacity"], answer.body["tags"]) == (200, 30, {"a": "b"})
    assert answer.body["properties"]["versionUpgradeOption"] == "OnceNewDefaultVersionAvailable"


async def test_a_delete_is_synchronous_and_repeatable(asker: Asker) -> None:
    await asker.account()
    await asker.deploy()
    assert [(await asker.delete(D1)).status for _ in range(2)] == [200, 204]
    assert (await asker.get(f"{ACCOUNTS}/a1/deployments")).body == {"value": []}
    assert (await asker.get(D1)).code == "DeploymentNotFound"


async def test_a_child_of_a_missing_account_names_the_parent(asker: Asker) -> None:
    read = await asker.get(f"{ACCOUNTS}/none/deployments/d1")
    assert (read.status, read.code) == (404, "ResourceNotFound")
    assert "accounts/none'" in read.message
    written = await asker.put(f"{ACCOUNTS}/none/deployments/d1", model())
    assert (written.status, written.code) == (404, "ParentResourceNotFound")
    assert f"{ACCOUNTS}/none" in written.message


async def test_a_region_has_one_pool_for_all_its_accounts(asker: Asker) -> None:
    pool = "OpenAI.GlobalStandard.gpt-4o"
    await asker.seed(limits={SUB: {"westeurope": {pool: 50}}})
    await asker.account("a1")
    await asker.account("a2")
    assert (await asker.deploy(capacity=30)).status == 201
    refused = await asker.deploy(account="a2", capacity=30)
    assert (refused.status, refused.code) == (400, "InsufficientQuota")
    for part in ("require 30 new capacity", "available capacity 20", "usage is 30", "limit is 50"):
        assert part in refused.message
    assert await usage(asker, pool) == (30, 50)
    assert (await asker.deploy(capacity=50)).status == 200
    assert (await asker.deploy(capacity=51)).code == "InsufficientQuota"


async def test_a_deleted_account_keeps_its_quota_until_it_is_purged(asker: Asker) -> None:
    pool = "OpenAI.GlobalStandard.gpt-4o"
    await asker.account()
    await asker.deploy(capacity=30)
    await asker.delete(f"{ACCOUNTS}/a1")
    assert (await usage(asker, pool))[0] == 30
    assert (await usage(asker, "OpenAI.S0.AccountCount"))[0] == 1
    await asker.delete(f"{CS}/locations/westeurope/resourceGroups/rg/deletedAccounts/a1")
    await asker.advance(2 + 90)
    assert (await usage(asker, pool))[0] == 0
    assert (await usage(asker, "OpenAI.S0.AccountCount"))[0] == 0


async def test_a_deleted_deployment_frees_its_quota(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(capacity=30)
    await asker.delete(D1)
    assert (await usage(asker, "OpenAI.GlobalStandard.gpt-4o"))[0] == 0


async def test_what_a_deployment_gives_up_may_be_late_to_come_back(slow: Asker) -> None:
    pool = "OpenAI.GlobalStandard.gpt-4o"
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_returns": 120.0, "deployment_write": [0.0, 0.0]})
    await slow.sim.control("PUT", "/_sim/settings", {"deployment_delete": 0.0})
    await slow.seed(limits={SUB: {"westeurope": {pool: 40}}})
    await slow.account()
    await slow.deploy(capacity=30)
    assert (await slow.deploy(capacity=10)).status == 200
    assert (await usage(slow, pool))[0] == 30
    assert (await slow.deploy("d2", capacity=11)).code == "InsufficientQuota"
    await slow.advance(60)
    await slow.delete(D1)
    assert (await usage(slow, pool))[0] == 30
    await slow.advance(61)
    assert (await usage(slow, pool))[0] == 10
    await slow.advance(60)
    assert (await usage(slow, pool))[0] == 0


async def test_a_deployment_deleted_before_its_account_holds_nothing_afterwards(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(capacity=30)
    await asker.deploy("d2", capacity=5)
    await asker.delete(D1)
    await asker.delete(f"{ACCOUNTS}/a1")
    assert (await usage(asker, "OpenAI.GlobalStandard.gpt-4o"))[0] == 5


async def test_a_restored_account_has_its_deployments_and_their_quota_again(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(capacity=30)
    before = (await asker.get(D1)).body
    await asker.delete(f"{ACCOUNTS}/a1")
    assert (await asker.get(D1)).status == 404
    await asker.put(f"{ACCOUNTS}/a1", {"location": "westeurope", "properties": {"restore": True}})
    assert (await asker.get(D1)).body == before
    assert [each["name"] for each in (await asker.get(f"{ACCOUNTS}/a1/deployments")).body["value"]] == ["d1"]
    assert (await usage(asker, "OpenAI.GlobalStandard.gpt-4o"))[0] == 30
    await asker.delete(D1)
    assert (await usage(asker, "OpenAI.GlobalStandard.gpt-4o"))[0] == 0


async def test_a_restored_account_holds_its_quota_once(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(capacity=30)
    await asker.delete(f"{ACCOUNTS}/a1")
    await asker.put(f"{ACCOUNTS}/a1", {"location": "westeurope", "properties": {"restore": True}})
    assert (await usage(asker, "OpenAI.GlobalStandard.gpt-4o"))[0] == 30
    assert (await usage(asker, "AccountCount"))[0] == 1


async def test_an_account_takes_so_many_deployments(asker: Asker) -> None:
    await asker.sim.control("PUT", "/_sim/settings", {"deployments_per_account": 2})
    await asker.account()
    statuses = [(await asker.deploy(f"d{n}", capacity=1)).status for n in range(3)]
    assert statuses == [201, 201, 400]
    assert (await asker.deploy("batch", sku="GlobalBatch", capacity=1)).status == 201


async def test_models_are_listed_by_region_and_by_account(asker: Asker) -> None:
    rows = (await asker.get(f"{CS}/locations/westeurope/models")).body["value"]
    entry = next(each for each in rows if each["model"]["name"] == "gpt-4o")
    assert entry["location"] == "WestEurope"
    assert entry["id"].endswith(f"/locations/WestEurope/models/OpenAI.gpt-4o.{entry['model']['version']}")
    assert {each["kind"] for each in rows} >= {"OpenAI", "AIServices"}
    await asker.account()
    own = (await asker.get(f"{ACCOUNTS}/a1/models")).body["value"]
    assert {each["name"] for each in own} == {each["model"]["name"] for each in rows if each["kind"] == "OpenAI"}


async def test_lists_of_the_subscription_answer(asker: Asker) -> None:
    await asker.account()
    for path in (
        "skus",
        "quotaTiers",
        "locations/westeurope/modelCapacities?modelFormat=OpenAI&modelName=gpt-4o&modelVersion=2024-11-20",
    ):
        assert (await asker.get(f"{CS}/{path}")).body["value"], path
    for path in ("skus", "privateLinkResources"):
        assert (await asker.get(f"{ACCOUNTS}/a1/{path}")).body["value"], path
    assert (await asker.get(f"{ACCOUNTS}/a1/usages")).body["value"] == []
    skus = await asker.post(
        f"{CS}/locations/westeurope/checkSkuAvailability", {"kind": "OpenAI", "type": "x", "skus": ["S0", "F0"]}
    )
    assert [each["skuAvailable"] for each in skus.body["value"]] == [True, False]


# -- content filters


FILTER = {"name": "Hate", "blocking": "true", "enabled": True, "severityThreshold": "high", "source": "Prompt"}
POLICY = {"properties": {"mode": "Blocking", "basePolicyName": "Microsoft.DefaultV2", "contentFilters": [FILTER]}}
P1 = f"{ACCOUNTS}/a1/raiPolicies/p1"


async def test_content_filters_stand_beside_those_of_the_system(asker: Asker) -> None:
    await asker.account()
    created = await asker.put(P1, POLICY)
    assert (created.status, created.body["properties"]["type"]) == (201, "UserManaged")
    assert created.body["properties"]["contentFilters"][0]["severityThreshold"] == "High"
    assert created.body["properties"]["contentFilters"][0]["blocking"] is True
    await asker.advance(2)
    assert (await asker.put(P1, POLICY)).status == 200
    names = [each["name"] for each in (await asker.get(f"{ACCOUNTS}/a1/raiPolicies")).body["value"]]
    assert names == ["Microsoft.Default", "Microsoft.DefaultV2", "p1"]
    assert (await asker.put(f"{ACCOUNTS}/a1/raiPolicies/Microsoft.Default", POLICY)).status == 400


async def test_a_content_filter_is_deleted_with_202_and_never_with_200(asker: Asker) -> None:
    await asker.account()
    await asker.put(P1, POLICY)
    await asker.advance(2)
    deleted = await asker.delete(P1)
    assert (deleted.status, "location" in deleted.headers) == (202, True)
    await asker.advance(2)
    assert (await asker.get(P1)).status == 404
    assert (await asker.delete(P1)).status == 204


async def test_a_content_filter_that_does_not_exist_is_accepted_and_one_in_use_stays(asker: Asker) -> None:
    await asker.account()
    body = model()
    body["properties"]["raiPolicyName"] = "p1"
    assert (await asker.put(D1, body)).status == 201
    await asker.put(P1, POLICY)
    await asker.advance(2)
    assert (await asker.delete(P1)).status == 400


@pytest.mark.parametrize(
    "properties",
    [
        None,
        {"basePolicyName": "Microsoft.Default", "mode": "Sometimes"},
        {"mode": "Default"},
        {"basePolicyName": "Microsoft.Default", "contentFilters": [{}]},
        {"basePolicyName": "Microsoft.Default", "contentFilters": [{"name": "Hate", "blocking": "perhaps"}]},
        {"basePolicyName": "Microsoft.Default", "contentFilters": [{"name": "Hate", "severityThreshold": "Odd"}]},
    ],
)
async def test_a_content_filter_that_makes_no_sense_is_refused(asker: Asker, properties: object) -> None:
    await asker.account()
    assert (await asker.put(P1, {"properties": properties})).status == 400
    assert (await asker.get(P1)).status == 404


async def test_the_filters_of_the_system_are_read_and_never_deleted(asker: Asker) -> None:
    await asker.account()
    system = await asker.get(f"{ACCOUNTS}/a1/raiPolicies/microsoft.defaultv2")
    assert system.body["properties"]["type"] == "SystemManaged"
    assert (await asker.delete(f"{ACCOUNTS}/a1/raiPolicies/Microsoft.Default")).status == 400


async def test_a_deployment_tells_what_it_could_be_scaled_to(asker: Asker) -> None:
    await asker.account()
    assert (await asker.get(f"{D1}/skus")).status == 404
    assert (await asker.patch(D1, {"tags": {}})).status == 404
    await asker.deploy()
    rows = (await asker.get(f"{D1}/skus")).body["value"]
    assert "GlobalStandard" in {each["sku"]["name"] for each in rows}


@pytest.mark.parametrize(
    "change",
    [
        {"sku": "Standard"},
        {"sku": {"name": "GlobalStandard", "capacity": 2.5}},
        {"sku": {"name": "GlobalStandard", "capacity": True}},
        {"properties": {**model()["properties"], "dynamicThrottlingEnabled": "perhaps"}},
        {"properties": {"model": "gpt-4o"}},
        {"properties": None},
    ],
)
async def test_a_deployment_that_makes_no_sense_is_refused(asker: Asker, change: dict[str, object]) -> None:
    await asker.account()
    refused = await asker.put(D1, {**model(), **change})
    assert refused.status == 400, refused.text
    assert (await asker.get(D1)).status == 404


async def test_usages_can_be_filtered_and_unknown_regions_are_not_found(asker: Asker) -> None:
    path = f"{CS}/locations/westeurope/usages?$filter=name.value%20eq%20'AccountCount'"
    assert [each["name"]["value"] for each in (await asker.get(path)).body["value"]] == ["AccountCount"]
    assert (await asker.get(f"{CS}/locations/atlantis/usages")).status == 404


async def test_what_a_purged_account_held_may_be_late_to_come_back(asker: Asker) -> None:
    pool = "OpenAI.GlobalStandard.gpt-4o"
    await asker.sim.control("PUT", "/_sim/settings", {"purge_returns": 300.0})
    await asker.account()
    assert (await asker.deploy()).status == 201
    used, limit = await usage(asker, pool)
    assert used > 0
    await asker.delete(f"{ACCOUNTS}/a1")
    assert await usage(asker, pool) == (used, limit)
    await asker.delete(f"{CS}/locations/westeurope/resourceGroups/rg/deletedAccounts/a1")
    await asker.advance(200)
    assert (await asker.get(f"{CS}/deletedAccounts")).body["value"] == []
    assert await usage(asker, pool) == (used, limit)
    saved = await asker.sim.control("GET", "/_sim/state")
    await asker.sim.control("PUT", "/_sim/state", saved)
    assert await usage(asker, pool) == (used, limit)
    await asker.advance(120)
    assert await usage(asker, pool) == (0, limit)
