"""Groups, providers, tags, locks, policies, permissions, paths: what ARM itself answers."""

import pytest

from tests.armsim.asking import ACCOUNTS, CS, GROUP, SUB, Asker

S = f"/subscriptions/{SUB}"


async def test_a_group_is_created_changed_and_seen_synchronously(asker: Asker) -> None:
    path = f"{S}/resourcegroups/New"
    assert (await asker.ask("HEAD", path)).status == 404
    created = await asker.put(path, {"location": "Central US EUAP", "tags": {"a": "b"}, "managedBy": "me"})
    assert (created.status, created.body["location"]) == (201, "centraluseuap")
    assert created.body["id"] == f"{S}/resourceGroups/New"
    assert (await asker.ask("HEAD", path.lower())).status == 204
    changed = await asker.put(
        path.upper().replace("SUBSCRIPTIONS", "subscriptions"), {"location": "centraluseuap", "tags": {}}
    )
    assert (changed.status, changed.body["tags"], changed.body["name"]) == (200, {}, "New")
    patched = await asker.patch(path, {"tags": {"c": "d"}})
    assert (patched.status, patched.body["tags"]) == (200, {"c": "d"})
    assert (await asker.put(path, {"location": "eastus"})).code == "InvalidResourceGroupLocation"


async def test_deleting_a_group_takes_a_minute_and_buries_its_accounts(slow: Asker) -> None:
    await slow.account()
    deleted = await slow.delete(GROUP)
    assert (deleted.status, deleted.headers["retry-after"]) == (202, "15")
    poll = await slow.get(deleted.headers["location"])
    assert (poll.status, poll.headers["retry-after"], poll.headers["location"]) == (
        202,
        "15",
        deleted.headers["location"],
    )
    assert (await slow.get(GROUP)).body["properties"]["provisioningState"] == "Deleting"
    refused = await slow.put(f"{ACCOUNTS}/a2", {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "eastus"})
    assert (refused.status, refused.code) == (409, "ResourceGroupBeingDeleted")
    await slow.advance(78)
    assert (await slow.get(deleted.headers["location"])).status == 200
    gone = await slow.get(GROUP)
    assert (gone.status, gone.code, gone.headers["x-ms-failure-cause"]) == (404, "ResourceGroupNotFound", "gateway")
    assert [each["name"] for each in (await slow.get(f"{CS}/deletedAccounts")).body["value"]] == ["a1"]


async def test_paths_are_read_in_any_case_with_doubled_slashes_and_any_dated_version(asker: Asker) -> None:
    await asker.account()
    for path in (f"{ACCOUNTS}/a1".upper(), f"{ACCOUNTS}//a1".replace("/providers", "//providers"), f"{ACCOUNTS}/A1/"):
        answer = await asker.get(path)
        assert (answer.status, answer.body["name"]) == (200, "a1")
    for version in ("2017-04-18", "2026-05-15-preview", "2099-12-31"):
        assert (await asker.ask("GET", f"{ACCOUNTS}/a1", version=version)).status == 200


async def test_a_request_without_a_dated_version_is_refused(asker: Asker) -> None:
    headers = {"Authorization": f"Bearer {asker.token}"}
    assert (await asker.raw("GET", asker.sim.endpoint + GROUP, headers=headers)).code == "MissingApiVersionParameter"
    assert (await asker.ask("GET", GROUP, version="latest")).code == "InvalidApiVersionParameter"


async def test_links_are_built_from_the_host_that_was_asked(asker: Asker) -> None:
    local = asker.sim.endpoint.replace("127.0.0.1", "localhost")
    body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "eastus", "properties": {}}
    created = await asker.put(f"{local}{ACCOUNTS}/a1?api-version=2025-09-01", body)
    assert created.headers["azure-asyncoperation"].startswith(f"{local}/subscriptions/")


async def test_every_answer_carries_the_ids_and_the_date_of_the_simulation(asker: Asker) -> None:
    for path in (GROUP, f"{S}/resourceGroups/none"):
        headers = (await asker.get(path)).headers
        assert {"x-ms-request-id", "x-ms-correlation-request-id", "x-ms-routing-request-id"} <= set(headers)
        assert headers["date"].startswith("Tue, 28 Oct 2025")


async def test_a_type_nobody_serves_and_a_subscription_nobody_has(asker: Asker) -> None:
    unknown = await asker.get(f"{GROUP}/providers/Microsoft.CognitiveServices/toasters/t")
    assert (unknown.status, unknown.code) == (404, "InvalidResourceType")
    other = await asker.get("/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/rg")
    assert (other.status, other.code) == (404, "SubscriptionNotFound")


async def test_bodies_that_are_no_json_are_refused(asker: Asker) -> None:
    headers = {"Authorization": f"Bearer {asker.token}", "Content-Type": "application/json"}
    url = f"{asker.sim.endpoint}{ACCOUNTS}/a1?api-version=2025-09-01"
    assert (await asker.raw("PUT", url, data="{", headers=headers)).code == "InvalidRequestContent"
    headers["Content-Type"] = "text/plain"
    assert (await asker.raw("PUT", url, data="{}", headers=headers)).status == 415


async def test_a_lock_names_itself(asker: Asker) -> None:
    await asker.account()
    await asker.seed(locks=[{"scope": f"{ACCOUNTS}/a1", "level": "CanNotDelete"}])
    for path in (f"{ACCOUNTS}/a1", GROUP, f"{ACCOUNTS}/a1/deployments/d1"):
        refused = await asker.delete(path)
        assert (refused.status, refused.code) == (409, "ScopeLocked")
        assert f"{ACCOUNTS}/a1" in refused.message
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"tags": {"a": "b"}})).status == 200
    await asker.put(f"{GROUP}/providers/Microsoft.Authorization/locks/l", {"properties": {"level": "ReadOnly"}})
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"tags": {"a": "c"}})).code == "ScopeLocked"
    assert (await asker.delete(f"{GROUP}/providers/Microsoft.Authorization/locks/l")).status == 200
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"tags": {"a": "c"}})).status == 200


@pytest.mark.parametrize(
    ("deny", "status"),
    [
        ({}, 403),
        ({"field": "tags.owner"}, 403),
        ({"field": "location", "equals": "westeurope"}, 403),
        ({"field": "location", "notEquals": "westeurope"}, 201),
    ],
)
async def test_a_policy_denies_what_it_describes(asker: Asker, deny: dict[str, str], status: int) -> None:
    await asker.seed(
        policies=[
            {"scope": S, "deny": {"type": "Microsoft.CognitiveServices/accounts", "message": "House rule", **deny}}
        ]
    )
    body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope", "properties": {}}
    answer = await asker.put(f"{ACCOUNTS}/a1", body)
    assert answer.status == status
    if status == 403:
        assert (answer.code, "House rule" in answer.message) == ("RequestDisallowedByPolicy", True)


async def test_a_provider_must_be_registered_before_it_is_written_to(asker: Asker) -> None:
    await asker.seed(unregisteredProviders=[{"subscriptionId": SUB, "namespace": "Microsoft.CognitiveServices"}])
    body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope", "properties": {}}
    refused = await asker.put(f"{ACCOUNTS}/a1", body)
    assert (refused.status, refused.code) == (409, "MissingSubscriptionRegistration")
    path = f"{S}/providers/Microsoft.CognitiveServices"
    assert (await asker.get(path)).body["registrationState"] == "NotRegistered"
    assert (await asker.post(f"{path}/register")).body["registrationState"] == "Registering"
    await asker.advance(11)
    assert (await asker.get(path)).body["registrationState"] == "Registered"
    assert (await asker.put(f"{ACCOUNTS}/a1", body)).status == 201


async def test_a_right_that_is_missing_is_named(asker: Asker) -> None:
    await asker.seed(denied=[{"principal": "*", "scope": S, "action": "*/deletedAccounts/delete"}])
    await asker.account()
    await asker.delete(f"{ACCOUNTS}/a1")
    refused = await asker.delete(f"{CS}/locations/westeurope/resourceGroups/rg/deletedAccounts/a1")
    assert (refused.status, refused.code) == (403, "AuthorizationFailed")
    assert "Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts/delete" in refused.message
    assert f"over scope '/subscriptions/{SUB}'" in refused.message


async def test_tags_can_be_changed_at_any_scope(asker: Asker) -> None:
    await asker.account()
    for scope in (GROUP, f"{ACCOUNTS}/a1"):
        path = f"{scope}/providers/Microsoft.Resources/tags/default"
        await asker.put(path, {"properties": {"tags": {"a": "1", "b": "2"}}})
        await asker.patch(path, {"operation": "Merge", "properties": {"tags": {"c": "3"}}})
        await asker.patch(path, {"operation": "Delete", "properties": {"tags": {"a": "1"}}})
        assert (await asker.get(path)).body["properties"]["tags"] == {"b": "2", "c": "3"}
        assert (await asker.get(scope)).body["tags"] == {"b": "2", "c": "3"}


async def test_generic_lists_filter_by_type_and_tag(asker: Asker) -> None:
    await asker.account()
    await asker.patch(f"{ACCOUNTS}/a1", {"tags": {"team": "x"}})
    for wanted, count in (
        ("resourceType eq 'Microsoft.CognitiveServices/accounts'", 1),
        ("resourceType eq 'Microsoft.Storage/storageAccounts'", 0),
        ("tagName eq 'team' and tagValue eq 'x'", 1),
        ("tagName eq 'team' and tagValue eq 'y'", 0),
    ):
        answer = await asker.get(f"{S}/resources?$filter={wanted.replace(' ', '%20')}")
        assert len(answer.body["value"]) == count, wanted
    assert len((await asker.get(f"{GROUP}/resources")).body["value"]) == 1


async def test_clients_find_their_way_around(asker: Asker) -> None:
    assert [each["subscriptionId"] for each in (await asker.get("/subscriptions")).body["value"]] == [SUB]
    assert (await asker.get(S)).body["tenantId"] == asker.sim.tenant_id
    assert (await asker.get("/tenants")).body["value"][0]["tenantId"] == asker.sim.tenant_id
    assert "westeurope" in {each["name"] for each in (await asker.get(f"{S}/locations")).body["value"]}
    provider = (await asker.get(f"{S}/providers/microsoft.cognitiveservices")).body
    assert "accounts/deployments" in {each["resourceType"] for each in provider["resourceTypes"]}
    assert len((await asker.get(f"{S}/providers")).body["value"]) > 1
    old = await asker.raw("GET", f"{asker.sim.endpoint}/metadata/endpoints?api-version=2015-01-01")
    assert old.body["authentication"]["loginEndpoint"].startswith(asker.sim.endpoint)
    many = await asker.raw("GET", f"{asker.sim.endpoint}/metadata/endpoints?api-version=2019-05-01")
    assert many.body[0]["resourceManager"].startswith(asker.sim.endpoint)
    one = await asker.raw("GET", f"{asker.sim.endpoint}/metadata/endpoints?api-version=2022-09-01")
    assert one.body["resourceManager"].startswith(asker.sim.endpoint)


async def test_a_group_that_makes_no_sense_is_refused(asker: Asker) -> None:
    for name, body, code in (
        ("g", {}, "LocationRequired"),
        ("g", {"location": "atlantis"}, "LocationNotAvailableForResourceGroup"),
        ("g!", {"location": "eastus"}, "InvalidResourceGroup"),
    ):
        assert (await asker.put(f"{S}/resourceGroups/{name}", body)).code == code
    assert [each["name"] for each in (await asker.get(f"{S}/resourcegroups")).body["value"]] == ["rg"]


async def test_a_group_that_is_being_deleted_is_deleted_once(slow: Asker) -> None:
    first, second = await slow.delete(GROUP), await slow.delete(GROUP)
    assert first.headers["location"] == second.headers["location"]
    assert (await slow.put(GROUP, {"location": "westeurope"})).code == "ResourceGroupBeingDeleted"
    assert (await slow.get(f"{S}/operationresults/none")).status == 404


async def test_a_group_can_fail_to_be_deleted(slow: Asker) -> None:
    await slow.fault("lro_fail", code="ResourceGroupDeletionBlocked", message="blocked", match={"method": "DELETE"})
    deleted = await slow.delete(GROUP)
    await slow.advance(78)
    refused = await slow.get(deleted.headers["location"])
    assert (refused.status, refused.code) == (409, "ResourceGroupDeletionBlocked")
    assert (await slow.get(GROUP)).status == 200


async def test_locks_are_resources_too(asker: Asker) -> None:
    locks = f"{GROUP}/providers/Microsoft.Authorization/locks"
    assert (await asker.put(f"{locks}/l", {"properties": {"level": "Sometimes"}})).status == 400
    assert (await asker.put(f"{locks}/l", {"properties": {"level": "CanNotDelete"}})).status == 201
    assert (await asker.put(f"{locks}/l", {"properties": {"level": "CanNotDelete"}})).status == 200
    assert (await asker.get(f"{locks}/l")).body["properties"]["level"] == "CanNotDelete"
    assert len((await asker.get(locks)).body["value"]) == 1
    assert [(await asker.delete(f"{locks}/l")).status for _ in range(2)] == [200, 204]
    assert (await asker.get(f"{locks}/l")).status == 404
    for name in ("permissions", "roleAssignments"):
        assert (await asker.get(f"{GROUP}/providers/Microsoft.Authorization/{name}")).status == 200


async def test_providers_come_and_go(asker: Asker) -> None:
    path = f"{S}/providers/Microsoft.CognitiveServices"
    assert (await asker.post(f"{path}/unregister")).body["registrationState"] == "NotRegistered"
    assert (await asker.get(f"{CS}/locations/westeurope/usages")).code == "MissingSubscriptionRegistration"
    assert (await asker.get(f"{S}/providers/Contoso.Toasters")).code == "InvalidResourceNamespace"


async def test_a_change_of_tags_must_say_which(asker: Asker) -> None:
    path = f"{GROUP}/providers/Microsoft.Resources/tags/default"
    assert (await asker.patch(path, {"properties": {"tags": {}}})).status == 400
    await asker.patch(path, {"operation": "replace", "properties": {"tags": {"a": "b"}}})
    assert (await asker.delete(path)).status == 200
    assert (await asker.get(GROUP)).body["tags"] == {}
    assert (await asker.get(f"{S}/resourceGroups/none/providers/Microsoft.Resources/tags/default")).status == 404
