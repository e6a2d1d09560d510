"""Injected faults, throttling, the log of requests, and what a control request changes."""

import asyncio
import io
import json

import aiohttp
import pytest

from armsim.settings import Settings
from tests.armsim.asking import ACCOUNTS, CS, GROUP, SUB, Asker, model

BODY = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope", "properties": {}}


async def test_an_injected_status_happens_as_often_as_it_was_asked_for(asker: Asker) -> None:
    await asker.fault(
        "status", status=503, html=True, count=2, skip=1, match={"method": "GET", "path": "/resourcegroups/rg$"}
    )
    assert [(await asker.get(GROUP)).status for _ in range(5)] == [200, 503, 503, 200, 200]
    described = await asker.sim.control("GET", "/_sim/faults")
    assert [each["hits"] for each in described["faults"]] == [2]


async def test_an_injected_refusal_carries_its_code_and_pause(asker: Asker) -> None:
    await asker.fault("status", status=409, code="RequestConflict", message="busy", retry_after=7)
    refused = await asker.get(GROUP)
    assert (refused.status, refused.code, refused.headers["retry-after"]) == (409, "RequestConflict", "7")


async def test_a_throttled_caller_is_refused_again_until_the_pause_is_over(slow: Asker) -> None:
    await slow.fault("throttle", retry_after=10)
    assert (await slow.get(GROUP)).headers["retry-after"] == "10"
    await slow.advance(6)
    again = await slow.get(GROUP)
    assert (again.status, again.headers["retry-after"]) == (429, "4")
    await slow.advance(5)
    assert (await slow.get(GROUP)).status == 200


async def test_a_gateway_timeout_may_have_worked(asker: Asker) -> None:
    await asker.fault("applied_504", match={"method": "PUT"})
    assert (await asker.put(f"{ACCOUNTS}/a1", BODY)).code == "GatewayTimeout"
    assert (await asker.get(f"{ACCOUNTS}/a1")).status == 200


@pytest.mark.parametrize(("kind", "status"), [("cut_before", 404), ("cut_after", 200)])
async def test_a_cut_connection_leaves_the_write_undone_or_done(asker: Asker, kind: str, status: int) -> None:
    await asker.fault(kind, match={"method": "PUT"})
    with pytest.raises(aiohttp.ClientError):
        await asker.put(f"{ACCOUNTS}/a1", BODY)
    assert (await asker.get(f"{ACCOUNTS}/a1")).status == status


async def test_a_hanging_request_ends_in_a_cut_or_an_answer(asker: Asker) -> None:
    await asker.fault("hang", seconds=10)
    with pytest.raises(aiohttp.ClientError):
        await asker.get(GROUP)
    await asker.fault("hang", seconds=10, then="answer")
    before = asker.sim.clock.now()
    assert (await asker.get(GROUP)).status == 200
    assert asker.sim.clock.now() - before >= 10


async def test_an_operation_can_fail_and_the_resource_with_it(asker: Asker) -> None:
    await asker.fault("lro_fail", code="CustomDomainInUse", message="taken")
    await asker.get(GROUP)
    created = await asker.put(f"{ACCOUNTS}/a1", BODY)
    await asker.advance(41)
    poll = await asker.get(created.headers["azure-asyncoperation"])
    assert (poll.status, poll.body["status"], poll.body["error"]["code"]) == (200, "Failed", "CustomDomainInUse")
    assert (await asker.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Failed"
    assert (await asker.deploy()).status == 400
    repaired = await asker.put(f"{ACCOUNTS}/a1", BODY)
    assert repaired.status == 200
    await asker.advance(32)
    assert (await asker.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Succeeded"


async def test_a_failed_create_can_succeed_by_itself(slow: Asker) -> None:
    await slow.fault("lro_fail_then_succeed", seconds=60, match={"method": "PUT"})
    await slow.put(f"{ACCOUNTS}/a1", BODY)
    await slow.advance(41)
    assert (await slow.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Failed"
    await slow.advance(61)
    assert (await slow.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Succeeded"


async def test_a_stuck_operation_ends_when_the_faults_are_cleared(asker: Asker) -> None:
    await asker.fault("lro_stuck", match={"method": "PUT"})
    await asker.put(f"{ACCOUNTS}/a1", BODY)
    await asker.advance(36000)
    assert (await asker.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Creating"
    await asker.sim.control("DELETE", "/_sim/faults")
    assert (await asker.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Succeeded"


async def test_an_operation_can_be_slow(slow: Asker) -> None:
    await slow.fault("slow", seconds=139, match={"method": "PUT"})
    created = await slow.put(f"{ACCOUNTS}/a1", BODY)
    await slow.advance(138)
    assert (await slow.get(created.headers["azure-asyncoperation"])).body["status"] == "Creating"
    await slow.advance(2)
    assert (await slow.get(created.headers["azure-asyncoperation"])).body["status"] == "Succeeded"


async def test_a_deployment_can_fail_or_be_left_creating(asker: Asker) -> None:
    await asker.account()
    await asker.fault("lro_stuck", match={"method": "PUT"})
    created = await asker.deploy()
    assert (created.status, created.body["properties"]["provisioningState"]) == (201, "Creating")
    assert "azure-asyncoperation" not in created.headers
    assert (await asker.deploy("d2")).code == "RequestConflict"


async def test_a_stale_read_shows_the_world_as_it_was(slow: Asker) -> None:
    await slow.account("a1")
    await slow.advance(100)
    await slow.put(f"{ACCOUNTS}/a2", BODY)
    await slow.patch(f"{ACCOUNTS}/a1", {"tags": {"new": "yes"}})
    await slow.fault("stale_read", seconds=50, count=-1)
    assert (await slow.get(f"{ACCOUNTS}/a2")).status == 404
    assert "tags" not in (await slow.get(f"{ACCOUNTS}/a1")).body
    for path in (ACCOUNTS, f"{CS}/accounts"):
        assert [each["name"] for each in (await slow.get(path)).body["value"]] == ["a1"]
    await slow.advance(60)
    assert (await slow.get(f"{ACCOUNTS}/a2")).status == 200


async def test_a_region_can_lag_in_the_list_of_the_subscription(slow: Asker) -> None:
    for name, place in (("a1", "westeurope"), ("a2", "eastus")):
        await slow.put(f"{ACCOUNTS}/{name}", BODY | {"location": place})
    await slow.fault("list_lag", location="eastus", seconds=60, count=-1)
    assert [each["name"] for each in (await slow.get(f"{CS}/accounts")).body["value"]] == ["a1"]
    assert (await slow.get(f"{ACCOUNTS}/a2")).status == 200
    await slow.advance(61)
    assert len((await slow.get(f"{CS}/accounts")).body["value"]) == 2


async def test_a_write_can_be_ignored_in_silence(asker: Asker) -> None:
    await asker.account()
    await asker.fault("ignore_write", paths=["properties.publicNetworkAccess"], match={"method": "PATCH"})
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"publicNetworkAccess": "Disabled"}})).status == 202
    assert (await asker.get(f"{ACCOUNTS}/a1")).body["properties"]["publicNetworkAccess"] == "Enabled"


async def test_a_new_resource_can_be_missing_for_a_while(slow: Asker) -> None:
    await slow.fault("not_found_after_create", seconds=5, match={"method": "PUT"})
    assert (await slow.put(f"{ACCOUNTS}/a1", BODY)).status == 201
    assert (await slow.get(f"{ACCOUNTS}/a1")).code == "ResourceNotFound"
    await slow.advance(5.1)
    assert (await slow.get(f"{ACCOUNTS}/a1")).status == 200


async def test_a_fault_for_operations_waits_for_one(asker: Asker) -> None:
    await asker.account()
    await asker.fault("lro_fail")
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"tags": {"a": "b"}})).status == 200
    await asker.patch(f"{ACCOUNTS}/a1", {"properties": {}})
    await asker.advance(32)
    assert (await asker.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Failed"


async def test_a_nonsensical_fault_is_refused_with_words(asker: Asker) -> None:
    with pytest.raises(ValueError, match="no such fault kind"):
        await asker.fault("gremlins")


# -- throttling


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    return Settings(reads=(5.0, 2.0), global_factor=3.0)


async def test_buckets_empty_and_fill_again(slow: Asker) -> None:
    answers = [await slow.get(GROUP) for _ in range(6)]
    assert [each.status for each in answers] == [200] * 5 + [429]
    left = [each.headers["x-ms-ratelimit-remaining-subscription-reads"] for each in answers[:5]]
    assert left == ["4", "3", "2", "1", "0"]
    assert answers[0].headers["x-ms-ratelimit-remaining-subscription-global-reads"] == "14"
    assert (answers[5].code, answers[5].headers["retry-after"]) == ("SubscriptionRequestsThrottled", "1")
    assert (await slow.put(f"{ACCOUNTS}/a1", BODY)).status == 201
    await slow.advance(1.01)
    assert (await slow.get(GROUP)).status == 200
    summary = await slow.sim.control("GET", "/_sim/requests/summary")
    assert summary["self_inflicted"] == {"409": 0, "429": 1}


async def test_what_is_left_is_told_per_kind_of_operation(slow: Asker) -> None:
    await slow.put(f"{ACCOUNTS}/a1", BODY)
    await slow.advance(41)
    keys = await slow.post(f"{ACCOUNTS}/a1/listKeys")
    assert "x-ms-ratelimit-remaining-subscription-writes" in keys.headers
    gone = await slow.delete(f"{ACCOUNTS}/none")
    assert gone.headers["x-ms-ratelimit-remaining-subscription-deletes"] == "199"


# -- the log and the control path


async def test_the_log_tells_who_asked_what_and_whether_it_changed_anything(slow: Asker) -> None:
    first = (await slow.sim.control("GET", "/_sim/requests"))["next"]
    await slow.put(f"{ACCOUNTS}/a1", BODY)
    await slow.get(f"{ACCOUNTS}/a1")
    await slow.put(f"{ACCOUNTS}/a1/deployments/d1", model())
    lines = (await slow.sim.control("GET", f"/_sim/requests?since={first}"))["requests"]
    assert [(each["method"], each["status"], each["mutated"], each["code"]) for each in lines] == [
        ("PUT", 201, True, None),
        ("GET", 200, False, None),
        ("PUT", 409, False, "RequestConflict"),
    ]
    assert lines[0]["principal"] == slow.sim.client_id
    assert lines[0]["body_sha256"]
    assert lines[1]["body_sha256"] is None


async def test_a_mutation_goes_behind_everybodys_back(asker: Asker) -> None:
    before = await asker.account()
    change = {"properties": {"publicNetworkAccess": "Disabled"}, "tags": {"by": "hand"}}
    await asker.sim.control(
        "POST",
        "/_sim/mutate",
        {"method": "PATCH", "id": f"{ACCOUNTS}/a1", "body": change, "actor": "alice@example.com"},
    )
    after = (await asker.get(f"{ACCOUNTS}/a1")).body
    assert (after["properties"]["publicNetworkAccess"], after["tags"]) == ("Disabled", {"by": "hand"})
    assert after["systemData"]["lastModifiedBy"] == "alice@example.com"
    assert after["systemData"]["lastModifiedByType"] == "User"
    assert after["etag"] != before["etag"]
    await asker.sim.control("POST", "/_sim/mutate", {"method": "DELETE", "id": f"{ACCOUNTS}/a1"})
    assert (await asker.get(f"{ACCOUNTS}/a1")).status == 404
    assert len((await asker.get(f"{CS}/deletedAccounts")).body["value"]) == 1


async def test_seeds_are_there_at_once_and_count(asker: Asker) -> None:
    deployment = model(capacity=7) | {"name": "old"}
    grave = {
        "id": f"{ACCOUNTS}/dead",
        "location": "westeurope",
        "deletionDate": "2025-10-28T10:00:00Z",
        "deployments": [deployment],
    }
    await asker.seed(
        resources=[{"id": f"{ACCOUNTS}/b1/deployments/d", **model()}, {"id": f"{ACCOUNTS}/b1", "location": "eastus"}],
        deletedAccounts=[grave],
    )
    assert (await asker.get(f"{ACCOUNTS}/b1/deployments/d")).body["properties"]["provisioningState"] == "Succeeded"
    dead = (await asker.get(f"{CS}/locations/westeurope/resourceGroups/rg/deletedAccounts/dead")).body
    assert dead["properties"]["scheduledPurgeDate"].startswith("2025-10-30T10:00:00")
    used = (await asker.sim.control("GET", "/_sim/state"))["usages"]
    assert [SUB, "westeurope", "openai.globalstandard.gpt-4o", 7.0] in used
    assert [SUB, "eastus", "openai.globalstandard.gpt-4o", 10.0] in used


async def test_a_world_survives_its_process(slow: Asker) -> None:
    await slow.account("a1", customSubDomainName="dom")
    await slow.put(f"{ACCOUNTS}/a2", BODY | {"location": "West Europe"})
    await slow.seed(
        deletedAccounts=[{"id": f"{ACCOUNTS}/dead", "location": "East US", "deployments": [model() | {"name": "x"}]}]
    )
    await slow.seed(locks=[{"scope": f"{ACCOUNTS}/a1", "level": "CanNotDelete"}])
    saved = await slow.sim.control("GET", "/_sim/state")
    await slow.advance(5000)
    await slow.sim.control("PUT", "/_sim/state", saved)
    again = await slow.sim.control("GET", "/_sim/state")
    for name in ("now", "byId", "usages", "graves", "operations", "due", "locks", "limits", "subscriptions"):
        assert again[name] == saved[name], name
    assert (await slow.get(f"{ACCOUNTS}/a2")).body["properties"]["provisioningState"] == "Creating"
    await slow.advance(41)
    assert (await slow.get(f"{ACCOUNTS}/a2")).body["properties"]["provisioningState"] == "Succeeded"
    assert (await slow.delete(f"{ACCOUNTS}/a1")).code == "ScopeLocked"
    purge = f"{CS}/locations/eastus/resourceGroups/rg/deletedAccounts/dead"
    assert (await slow.delete(purge)).status == 202


async def test_sleepers_wake_when_the_clock_is_moved(slow: Asker) -> None:
    await slow.account()
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(slow.deploy())
        while (await slow.get(f"{ACCOUNTS}/a1/deployments/d1")).status == 404:
            pass
        await slow.sim.control("POST", "/_sim/clock", {"pace": 10000})
    assert writing.result().status == 201


async def test_a_large_world_comes_in_one_request(asker: Asker) -> None:
    resources = [{"id": f"{ACCOUNTS}/x{n}", "location": "eastus", "tags": {"long": "x" * 200}} for n in range(4000)]
    url = f"{asker.sim.endpoint}/_sim/seed"
    body = io.BytesIO(json.dumps({"resources": resources}).encode())
    answer = await asker.raw("POST", url, data=body)
    assert (answer.status, answer.body) == (200, {"seeded": 4000})


async def test_a_fault_meets_a_sign_in_only_when_its_path_asks_for_it(asker: Asker) -> None:
    await asker.fault("status", status=503)
    assert (await asker.token_for()).status == 200
    await asker.sim.control("DELETE", "/_sim/faults")
    await asker.fault("status", status=503, match={"path": "/oauth2/v2.0/token$"})
    assert [(await asker.token_for()).status for _ in range(2)] == [503, 200]


async def test_a_control_request_that_makes_no_sense_is_refused_with_words(asker: Asker) -> None:
    for method, path, body in (
        ("POST", "/_sim/seed", {"resources": [{"location": "eastus"}]}),
        ("PUT", "/_sim/settings", {"colour": "red"}),
        ("GET", "/_sim/nothing", None),
    ):
        answer = await asker.raw(method, asker.sim.endpoint + path, json=body)
        assert answer.status in {400, 404}
        assert answer.body["error"]
