"""Accounts: create, read, change, delete, restore, and everything that is refused."""

import pytest

from tests.armsim.asking import ACCOUNTS, CS, GROUP, SUB, Asker

BODY = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope", "properties": {}}
DENY = {"defaultAction": "Deny", "ipRules": [{"value": "20.1.2.3"}]}


async def test_a_create_answers_at_once_and_ends_later(slow: Asker) -> None:
    created = await slow.put(f"{ACCOUNTS}/a1", BODY)
    assert created.status == 201
    assert created.body["properties"]["provisioningState"] == "Creating"
    assert "location" not in created.headers
    assert "retry-after" not in created.headers
    assert created.headers["etag"] == created.body["etag"]
    link = created.headers["azure-asyncoperation"]
    poll = await slow.get(link)
    assert poll.body["status"] == "Creating"
    assert "endTime" not in poll.body
    await slow.advance(41)
    poll = await slow.get(link)
    assert (poll.body["status"], "endTime" in poll.body) == ("Succeeded", True)
    ready = await slow.get(f"{ACCOUNTS}/a1")
    assert ready.body["properties"]["provisioningState"] == "Succeeded"
    assert ready.body["etag"] != created.body["etag"]


async def test_create_times_differ_by_name_and_never_by_run(slow: Asker) -> None:
    for name in ("a1", "a2", "a3", "a4"):
        await slow.put(f"{ACCOUNTS}/{name}", BODY)
    ends = [operation.end for operation in slow.sim.world.operations.values()]
    seconds = [end - slow.sim.clock.now() for end in ends if end is not None]
    assert len({round(each, 3) for each in seconds}) == 4
    assert all(1 <= each <= 40 for each in seconds)
    low, high = slow.sim.settings.account_create
    key = f"{ACCOUNTS}/a1".lower()
    assert seconds[0] == pytest.approx(slow.sim.cloud.chance.spread(f"create:{key}", low, high), abs=0.01)


async def test_a_create_can_be_synchronous(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"sync_create": True})
    created = await slow.put(f"{ACCOUNTS}/a1", BODY)
    assert (created.status, created.body["properties"]["provisioningState"]) == (201, "Succeeded")
    assert "azure-asyncoperation" not in created.headers


async def test_the_defaults_are_filled_in_and_the_optional_is_absent(asker: Asker) -> None:
    body = await asker.account()
    properties = body["properties"]
    assert properties["publicNetworkAccess"] == "Enabled"
    assert properties["endpoint"] == "https://westeurope.api.cognitive.microsoft.com/"
    assert properties["isMigrated"] is False
    assert properties["allowProjectManagement"] is False
    assert properties["privateEndpointConnections"] == []
    assert {"internalId", "dateCreated", "callRateLimit", "capabilities", "endpoints", "apiProperties"} <= set(
        properties
    )
    assert not {"networkAcls", "customSubDomainName", "disableLocalAuth", "restore"} & set(properties)
    assert not {"tags", "identity"} & set(body)
    assert body["sku"] == {"name": "S0"}


async def test_a_subdomain_makes_the_endpoint_of_its_kind(asker: Asker) -> None:
    assert (await asker.account("a1", customSubDomainName="My-Name"))["properties"]["endpoint"] == (
        "https://my-name.openai.azure.com/"
    )


async def test_the_location_of_an_account_is_echoed_and_that_of_a_group_is_not(asker: Asker) -> None:
    account = await asker.account("a1", location="West Europe")
    assert account["location"] == "West Europe"
    group = await asker.put(f"/subscriptions/{SUB}/resourceGroups/other", {"location": "West Europe"})
    assert group.body["location"] == "westeurope"


async def test_a_location_with_spaces_stays_raw_in_the_header_of_a_create_and_encoded_in_that_of_a_purge(
    asker: Asker,
) -> None:
    created = await asker.put(f"{ACCOUNTS}/a1", BODY | {"location": "West Europe"})
    assert "/locations/West Europe/operationResults/" in created.headers["azure-asyncoperation"]
    await asker.advance(41)
    assert (await asker.get(created.headers["azure-asyncoperation"])).body["status"] == "Succeeded"
    await asker.delete(f"{ACCOUNTS}/a1")
    purged = await asker.delete(f"{CS}/locations/westeurope/resourceGroups/rg/deletedAccounts/a1")
    assert "/locations/West%20Europe/operationResults/" in purged.headers["azure-asyncoperation"]


async def test_an_operation_url_is_long_and_refused_when_a_byte_of_its_query_differs(asker: Asker) -> None:
    created = await asker.put(f"{ACCOUNTS}/a1", BODY)
    link = created.headers["azure-asyncoperation"]
    assert len(link) > 4000
    path, query = link.split("?")
    assert [part.split("=")[0] for part in query.split("&")] == ["api-version", "t", "c", "s", "h"]
    swapped = "A" if query[-1] != "A" else "B"
    for altered in (
        query[:-1] + swapped,
        query.replace("api-version=2017-04-18", "api-version=2025-09-01"),
        query + "&x=1",
    ):
        assert 400 <= (await asker.get(f"{path}?{altered}")).status < 500


async def test_a_patch_of_tags_is_synchronous_and_replaces_them(slow: Asker) -> None:
    await slow.account()
    await slow.patch(f"{ACCOUNTS}/a1", {"tags": {"a": "1", "b": "2"}})
    answer = await slow.patch(f"{ACCOUNTS}/a1", {"sku": {"name": "S0"}, "tags": {"c": 3}, "properties": {}})
    assert (answer.status, answer.body["tags"]) == (200, {"c": "3"})
    assert answer.body["properties"]["provisioningState"] == "Succeeded"
    assert "azure-asyncoperation" not in answer.headers


@pytest.mark.parametrize(
    "body", [{}, {"properties": {}}, {"properties": {"publicNetworkAccess": "Enabled"}}, {"identity": {"type": "None"}}]
)
async def test_any_other_patch_takes_half_a_minute_even_when_nothing_changes(
    slow: Asker, body: dict[str, object]
) -> None:
    await slow.account()
    answer = await slow.patch(f"{ACCOUNTS}/a1", body)
    assert (answer.status, answer.body["properties"]["provisioningState"]) == (202, "Accepted")
    assert "&operationResultResponseType=Location" in answer.headers["location"]
    await slow.advance(30)
    assert (await slow.get(answer.headers["azure-asyncoperation"])).body["status"] == "Updating"
    assert (await slow.get(answer.headers["location"])).status == 202
    await slow.advance(1.5)
    assert (await slow.get(answer.headers["azure-asyncoperation"])).body["status"] == "Succeeded"
    assert (await slow.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Succeeded"


async def test_a_patch_touches_what_it_names_and_replaces_the_firewall_whole(asker: Asker) -> None:
    await asker.account(customSubDomainName="dom", disableLocalAuth="true")
    await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": DENY}})
    await asker.advance(32)
    await asker.patch(
        f"{ACCOUNTS}/a1", {"properties": {"networkAcls": {"defaultAction": "Deny"}, "disableLocalAuth": None}}
    )
    properties = (await asker.get(f"{ACCOUNTS}/a1")).body["properties"]
    assert properties["networkAcls"]["ipRules"] == []
    assert properties["disableLocalAuth"] is True


async def test_the_firewall_is_absent_until_set_and_then_whole_forever(asker: Asker) -> None:
    await asker.account(customSubDomainName="dom")
    answer = await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": {"defaultAction": "deny"}}})
    assert list(answer.body["properties"]["networkAcls"])[:3] == ["defaultAction", "virtualNetworkRules", "ipRules"]
    assert answer.body["properties"]["networkAcls"]["defaultAction"] == "Deny"


@pytest.mark.parametrize(
    "value", ["10.1.2.3", "192.168.0.0/24", "172.16.5.0/24", "20.1.2.0/31", "20.1.2.3/32", "20.1.2.3/24", "::1", "text"]
)
async def test_an_address_that_is_not_a_public_range_is_refused(asker: Asker, value: str) -> None:
    await asker.account(customSubDomainName="dom")
    acls = {"defaultAction": "Deny", "ipRules": [{"value": value}]}
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": acls}})).status == 400
    assert "networkAcls" not in (await asker.get(f"{ACCOUNTS}/a1")).body["properties"]


async def test_a_hundred_address_rules_fit_and_one_more_does_not(asker: Asker) -> None:
    await asker.account(customSubDomainName="dom")
    rules = [{"value": f"20.1.{n // 256}.{n % 256}"} for n in range(101)]
    for count, status in ((101, 400), (100, 202)):
        acls = {"defaultAction": "Deny", "ipRules": rules[:count]}
        assert (await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": acls}})).status == status


async def test_rules_keep_the_order_and_spelling_in_which_they_were_sent(asker: Asker) -> None:
    await asker.account(customSubDomainName="dom")
    subnet = "/subscriptions/x/resourceGroups/Y/providers/Microsoft.Network/virtualNetworks/V/subnets/S"
    acls = {
        "defaultAction": "Deny",
        "ipRules": [{"value": "20.9.0.0/16"}, {"value": "20.1.1.1"}],
        "virtualNetworkRules": [{"id": subnet}],
    }
    answer = await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": acls}})
    stored = answer.body["properties"]["networkAcls"]
    assert [each["value"] for each in stored["ipRules"]] == ["20.9.0.0/16", "20.1.1.1"]
    assert stored["virtualNetworkRules"] == [{"id": subnet, "ignoreMissingVnetServiceEndpoint": False}]


async def test_a_known_subnet_without_the_service_endpoint_is_refused(asker: Asker) -> None:
    subnet = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
    await asker.seed(resources=[{"id": subnet, "properties": {"serviceEndpoints": []}}])
    await asker.account(customSubDomainName="dom")
    rule = {"id": subnet}
    acls = {"defaultAction": "Deny", "virtualNetworkRules": [rule]}
    answer = await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": acls}})
    assert (answer.status, answer.code) == (400, "SubnetsHaveNoServiceEndpointsConfigured")
    acls["virtualNetworkRules"] = [rule | {"ignoreMissingVnetServiceEndpoint": True}]
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": acls}})).status == 202


async def test_a_bypass_needs_a_kind_that_knows_it(asker: Asker) -> None:
    body = {"kind": "FormRecognizer", "sku": {"name": "S0"}, "location": "westeurope"}
    body["properties"] = {"customSubDomainName": "dom", "networkAcls": DENY | {"bypass": "AzureServices"}}
    refused = await asker.put(f"{ACCOUNTS}/a1", body)
    assert (refused.status, refused.code) == (400, "NetworkAclsBypassNotSupported")


async def test_a_firewall_needs_a_subdomain_first(asker: Asker) -> None:
    assert (await asker.put(f"{ACCOUNTS}/a1", BODY | {"properties": {"networkAcls": DENY}})).status == 400
    await asker.account()
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": DENY}})).status == 400
    both = {"networkAcls": DENY, "customSubDomainName": "dom"}
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"properties": both})).status == 202


async def test_a_put_that_leaves_out_a_stored_firewall_is_refused(asker: Asker) -> None:
    await asker.account(customSubDomainName="dom", networkAcls=DENY)
    refused = await asker.put(f"{ACCOUNTS}/a1", BODY | {"properties": {"customSubDomainName": "dom"}})
    assert (refused.status, refused.code) == (400, "BadRequest")
    assert "NetworkAcls is required" in refused.message


async def test_a_put_on_an_account_replaces_what_is_writable(asker: Asker) -> None:
    before = await asker.account(customSubDomainName="dom", disableLocalAuth=True, publicNetworkAccess="Disabled")
    answer = await asker.put(f"{ACCOUNTS}/a1", BODY | {"properties": {"customSubDomainName": "dom"}})
    assert (answer.status, answer.body["properties"]["provisioningState"]) == (200, "Accepted")
    properties = answer.body["properties"]
    assert "disableLocalAuth" not in properties
    assert properties["publicNetworkAccess"] == "Enabled"
    assert properties["internalId"] == before["properties"]["internalId"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"location": "eastus"}, 409),
        ({"kind": "FormRecognizer"}, 400),
        ({"sku": {"name": "S1"}}, 400),
        ({"properties": {"customSubDomainName": "other"}}, 400),
        ({"properties": {"dynamicThrottlingEnabled": True}}, 400),
        ({"properties": {"publicNetworkAccess": "Sometimes"}}, 400),
    ],
)
async def test_what_cannot_change_is_refused(asker: Asker, change: dict[str, object], status: int) -> None:
    before = await asker.account(customSubDomainName="dom")
    assert (await asker.patch(f"{ACCOUNTS}/a1", change)).status == status
    assert (await asker.get(f"{ACCOUNTS}/a1")).body == before


async def test_only_openai_and_ai_services_turn_into_each_other(asker: Asker) -> None:
    await asker.account(customSubDomainName="dom")
    answer = await asker.patch(f"{ACCOUNTS}/a1", {"kind": "AIServices"})
    assert (answer.status, answer.body["kind"]) == (202, "AIServices")
    assert answer.body["properties"]["endpoint"] == "https://dom.cognitiveservices.azure.com/"


async def test_an_identity_comes_with_a_principal_and_leaves_a_none_behind(asker: Asker) -> None:
    await asker.account()
    answer = await asker.patch(f"{ACCOUNTS}/a1", {"identity": {"type": "SystemAssigned"}})
    assert set(answer.body["identity"]) == {"principalId", "tenantId", "type"}
    await asker.advance(32)
    await asker.patch(f"{ACCOUNTS}/a1", {"identity": {"type": "None"}})
    assert (await asker.get(f"{ACCOUNTS}/a1")).body["identity"] == {"type": "None"}


async def test_a_subdomain_is_taken_everywhere_also_by_a_deleted_account(asker: Asker) -> None:
    await asker.account(customSubDomainName="dom")
    await asker.group("other")
    other = f"/subscriptions/{SUB}/resourceGroups/other/providers/Microsoft.CognitiveServices/accounts/b1"
    body = BODY | {"properties": {"customSubDomainName": "DOM"}, "location": "eastus"}
    assert (await asker.put(other, body)).code == "CustomDomainInUse"
    await asker.delete(f"{ACCOUNTS}/a1")
    refused = await asker.put(other, body)
    assert (refused.status, refused.code) == (409, "CustomDomainInUse")
    check = await asker.post(f"{CS}/checkDomainAvailability", {"subdomainName": "dom", "type": "x", "kind": "OpenAI"})
    assert check.body["isSubdomainAvailable"] is False
    await asker.delete(f"{CS}/locations/westeurope/resourceGroups/rg/deletedAccounts/a1")
    await asker.advance(2)
    check = await asker.post(f"{CS}/checkDomainAvailability", {"subdomainName": "dom"})
    assert check.body["isSubdomainAvailable"] is True
    assert (await asker.put(other, body)).status == 201


async def test_a_delete_is_synchronous_and_soft_for_two_days(asker: Asker) -> None:
    before = await asker.account(customSubDomainName="dom")
    assert (await asker.delete(f"{ACCOUNTS}/a1")).status == 200
    assert (await asker.delete(f"{ACCOUNTS}/a1")).status == 204
    assert (await asker.get(f"{ACCOUNTS}/a1")).code == "ResourceNotFound"
    grave = (await asker.get(f"{CS}/locations/westeurope/resourceGroups/rg/deletedAccounts/a1")).body
    assert grave["type"] == "Microsoft.CognitiveServices/deletedAccounts"
    assert grave["properties"]["internalId"] == before["properties"]["internalId"]
    assert {"deletionDate", "scheduledPurgeDate"} <= set(grave["properties"])
    assert grave["etag"] != before["etag"]
    listed = await asker.get(f"{CS}/deletedAccounts")
    assert [each["name"] for each in listed.body["value"]] == ["a1"]
    assert len(listed.headers["x-ms-original-request-ids"].split(",")) == 34
    await asker.advance(48 * 3600 - 60)
    assert len((await asker.get(f"{CS}/deletedAccounts")).body["value"]) == 1
    await asker.advance(120)
    assert (await asker.get(f"{CS}/deletedAccounts")).body["value"] == []


async def test_a_name_that_is_buried_must_be_restored_or_purged(asker: Asker) -> None:
    before = await asker.account(customSubDomainName="dom")
    await asker.deploy()
    await asker.delete(f"{ACCOUNTS}/a1")
    refused = await asker.put(f"{ACCOUNTS}/a1", BODY)
    assert (refused.status, refused.code) == (409, "FlagMustBeSetForRestore")
    assert f"{ACCOUNTS}/a1" in refused.message
    restored = await asker.put(f"{ACCOUNTS}/a1", {"location": "westeurope", "properties": {"restore": "true"}})
    assert (restored.status, restored.body["properties"]["provisioningState"]) == (201, "Succeeded")
    assert "azure-asyncoperation" not in restored.headers
    assert restored.body["properties"]["internalId"] == before["properties"]["internalId"]
    assert (restored.body["sku"], restored.body["kind"]) == ({"name": "S0"}, "OpenAI")
    assert restored.body["etag"] != before["etag"]
    assert [each["name"] for each in (await asker.get(f"{ACCOUNTS}/a1/deployments")).body["value"]] == ["d1"]
    assert (await asker.get(f"{CS}/deletedAccounts")).body["value"] == []


async def test_a_restore_needs_its_group(asker: Asker) -> None:
    await asker.account()
    await asker.delete(GROUP)
    await asker.advance(80)
    again = {"location": "westeurope", "properties": {"restore": True}}
    assert (await asker.put(f"{ACCOUNTS}/a1", again)).code == "ResourceGroupNotFound"
    await asker.group()
    assert (await asker.put(f"{ACCOUNTS}/a1", again)).status == 201


async def test_a_purge_works_in_its_own_location_only(asker: Asker) -> None:
    await asker.account()
    await asker.delete(f"{ACCOUNTS}/a1")
    assert (await asker.delete(f"{CS}/locations/eastus/resourceGroups/rg/deletedAccounts/a1")).status == 204
    purge = await asker.delete(f"{CS}/locations/West%20Europe/resourceGroups/rg/deletedAccounts/a1")
    assert (purge.status, purge.text) == (202, "")
    await asker.advance(2)
    done = await asker.get(purge.headers["location"])
    assert (done.status, done.text) == (200, "")
    assert (await asker.put(f"{ACCOUNTS}/a1", BODY)).status == 201


async def test_keys_are_listed_by_post_and_changed_one_by_one(asker: Asker) -> None:
    await asker.account()
    first = (await asker.post(f"{ACCOUNTS}/a1/listKeys")).body
    etag = (await asker.get(f"{ACCOUNTS}/a1")).body["etag"]
    second = (await asker.post(f"{ACCOUNTS}/a1/regenerateKey", {"keyName": "Key1"})).body
    assert (first["key1"] != second["key1"], first["key2"] == second["key2"]) == (True, True)
    assert (await asker.get(f"{ACCOUNTS}/a1")).body["etag"] != etag


async def test_keys_stay_closed_without_local_auth(asker: Asker) -> None:
    await asker.account(disableLocalAuth=True)
    assert (await asker.post(f"{ACCOUNTS}/a1/listKeys")).status == 400


async def test_accounts_are_listed_in_pages_in_order_of_creation(asker: Asker) -> None:
    await asker.sim.control("PUT", "/_sim/settings", {"page_size": 2})
    names = ["c", "a", "b", "e", "d"]
    await asker.seed(
        resources=[
            {
                "id": f"{ACCOUNTS}/{name}",
                "location": "eastus",
                "systemData": {"createdAt": f"2025-01-0{n + 1}T00:00:00Z"},
            }
            for n, name in enumerate(names)
        ]
    )
    seen, pages = [], 0
    link: str | None = ACCOUNTS
    while link:
        answer = await asker.get(link)
        seen += [each["name"] for each in answer.body["value"]]
        link, pages = answer.body.get("nextLink"), pages + 1
        assert link is None or ("%24skipToken=" in link and link.startswith(asker.sim.endpoint))
    assert (seen, pages) == (names, 3)


async def test_the_list_of_a_subscription_goes_by_region(asker: Asker) -> None:
    places = ["westeurope", "eastus", "swedencentral"]
    await asker.seed(resources=[{"id": f"{ACCOUNTS}/{place}", "location": place} for place in places])
    answer = await asker.get(f"{CS}/accounts")
    assert [each["name"] for each in answer.body["value"]] == sorted(places)
    assert "x-ms-original-request-ids" in answer.headers


async def test_the_number_of_accounts_in_a_region_is_limited_and_the_deleted_count(asker: Asker) -> None:
    await asker.seed(limits={SUB: {"westeurope": {"OpenAI.S0.AccountCount": 1}}})
    await asker.account()
    await asker.delete(f"{ACCOUNTS}/a1")
    assert (await asker.put(f"{ACCOUNTS}/a2", BODY)).code == "InsufficientQuota"
    assert (await asker.put(f"{ACCOUNTS}/a2", BODY | {"location": "eastus"})).status == 201


async def test_an_unknown_region_and_a_missing_one_are_refused(asker: Asker) -> None:
    assert (
        await asker.put(f"{ACCOUNTS}/a1", BODY | {"location": "atlantis"})
    ).code == "LocationNotAvailableForResourceType"
    assert (await asker.put(f"{ACCOUNTS}/a1", {"kind": "OpenAI"})).code == "LocationRequired"


async def test_a_name_that_the_front_end_rejects_is_a_page(asker: Asker) -> None:
    answer = await asker.put(f"{ACCOUNTS}/a%20b", BODY)
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (404, "text/html")


async def test_a_second_write_while_one_runs_is_a_conflict(slow: Asker) -> None:
    await slow.put(f"{ACCOUNTS}/a1", BODY)
    for answer in (
        await slow.patch(f"{ACCOUNTS}/a1", {"tags": {"a": "b"}}),
        await slow.deploy(),
        await slow.put(f"{ACCOUNTS}/a1/raiPolicies/p", {"properties": {"basePolicyName": "Microsoft.Default"}}),
        await slow.delete(f"{ACCOUNTS}/a1"),
    ):
        assert (answer.status, answer.code) == (409, "RequestConflict")
        assert f"{ACCOUNTS}/a1" in answer.message
    assert (await slow.put(f"{ACCOUNTS}/a2", BODY)).status == 201


async def test_user_assigned_identities_get_their_values_from_the_service(asker: Asker) -> None:
    await asker.account()
    own = "/subscriptions/x/resourcegroups/y/providers/Microsoft.ManagedIdentity/userAssignedIdentities/Z"
    wish = {"type": "systemassigned,UserAssigned", "userAssignedIdentities": {own: {}}}
    identity = (await asker.patch(f"{ACCOUNTS}/a1", {"identity": wish})).body["identity"]
    assert identity["type"] == "SystemAssigned, UserAssigned"
    assert set(identity["userAssignedIdentities"][own]) == {"principalId", "clientId"}
    await asker.advance(32)
    again = (await asker.patch(f"{ACCOUNTS}/a1", {"identity": wish})).body["identity"]
    assert again == identity


@pytest.mark.parametrize(
    "identity",
    [{"type": "Sometimes"}, {"type": "UserAssigned"}, {"type": "UserAssigned", "userAssignedIdentities": []}],
)
async def test_an_identity_that_makes_no_sense_is_refused(asker: Asker, identity: dict[str, object]) -> None:
    await asker.account()
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"identity": identity})).status == 400


async def test_there_is_nothing_to_restore_where_nothing_is_buried(asker: Asker) -> None:
    refused = await asker.put(f"{ACCOUNTS}/a1", {"location": "eastus", "properties": {"restore": True}})
    assert (refused.status, refused.code) == (400, "CanNotRestoreANonExistingResource")


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "Toaster"},
        {"kind": None},
        {"sku": None},
        {"sku": {"name": "F0"}},
        {"properties": []},
        {"properties": {"customSubDomainName": "not a name"}},
        {"properties": {"disableLocalAuth": "perhaps"}},
        {"properties": {"networkAcls": [], "customSubDomainName": "dom"}},
        {"properties": {"networkAcls": {"defaultAction": "Maybe"}, "customSubDomainName": "dom"}},
        {"properties": {"networkAcls": {"ipRules": {"value": "1"}}, "customSubDomainName": "dom"}},
        {"properties": {"networkAcls": {"virtualNetworkRules": [{"id": "/x"}]}, "customSubDomainName": "dom"}},
        {"tags": []},
        {"tags": {"a": {}}},
        {"tags": {str(n): "" for n in range(51)}},
    ],
)
async def test_a_body_that_makes_no_sense_creates_nothing(asker: Asker, change: dict[str, object]) -> None:
    refused = await asker.put(f"{ACCOUNTS}/a1", BODY | change)
    assert refused.status == 400, refused.text
    assert (await asker.get(f"{ACCOUNTS}/a1")).status == 404


async def test_project_management_is_turned_on_and_never_off(asker: Asker) -> None:
    await asker.account()
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"allowProjectManagement": True}})).status == 202
    await asker.advance(32)
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"allowProjectManagement": False}})).status == 400
    kept = await asker.put(f"{ACCOUNTS}/a1", BODY)
    assert (kept.status, kept.body["properties"]["allowProjectManagement"]) == (200, True)


async def test_a_token_of_a_page_that_nobody_gave_is_refused(asker: Asker) -> None:
    await asker.account()
    assert (await asker.get(f"{ACCOUNTS}?$skipToken=xx")).status == 400
    assert (await asker.post(f"{ACCOUNTS}/a1/regenerateKey", {"keyName": "Key3"})).status == 400
