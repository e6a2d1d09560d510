"""Private endpoints: both ends of the connection, addresses, names in zones, the account that is seen too late."""

import pytest

from armsim.settings import Settings
from tests.armsim.asking import ACCOUNTS, GROUP, Asker
from tests.armsim.networking import (
    APP,
    NET,
    PE,
    VNET,
    ZONE,
    endpoint,
    has_endpoint,
    has_network,
    mutate,
    names,
    ready,
    subnet,
    zone_group,
)

A1 = f"{ACCOUNTS}/a1"
GROUPS = f"{PE}/privateDnsZoneGroups/default"
RECORD = f"{ZONE}/A/names-a1"


def status(body: dict[str, object], kind: str = "privateLinkServiceConnections") -> tuple[str, str]:
    properties: dict[str, list[dict[str, dict[str, dict[str, str]]]]] = body["properties"]  # type: ignore[assignment]
    state = properties[kind][0]["properties"]["privateLinkServiceConnectionState"]
    return state["status"], state["description"]


async def zoned(slow: Asker) -> None:
    """A zone, and the endpoint's name in it."""
    await ready(slow, await slow.put(ZONE, {"location": "global"}))
    await ready(slow, await slow.put(GROUPS, zone_group(ZONE)))


async def test_an_endpoint_connects_its_account_while_it_is_made(slow: Asker) -> None:
    await slow.account(customSubDomainName="names-a1")
    await has_network(slow)
    answer = await slow.put(PE, endpoint())
    assert (answer.status, answer.headers["retry-after"]) == (201, "10")
    assert answer.body["properties"]["provisioningState"] == "Updating"
    assert status(answer.body) == ("Approved", "Auto Approved")
    assert answer.body["properties"]["customDnsConfigs"] == []
    assert (await slow.get(A1)).body["properties"]["provisioningState"] == "Accepted"
    await slow.advance(13)
    account = (await slow.get(A1)).body["properties"]
    assert account["provisioningState"] == "Succeeded"
    guid = answer.body["properties"]["resourceGuid"]
    assert names(account["privateEndpointConnections"]) == [f"a1/p1.{guid}"]
    assert (await slow.get(answer.headers["azure-asyncoperation"])).headers["retry-after"] == "20"
    await slow.advance(20)
    done = (await slow.get(PE)).body
    assert status(done) == ("Approved", "Approved")
    assert done["properties"]["customDnsConfigs"] == [
        {"fqdn": "names-a1.openai.azure.com", "ipAddresses": ["10.0.1.4"]}
    ]


async def test_the_subnet_shows_who_is_in_it_and_a_put_of_it_forgets_nobody(slow: Asker) -> None:
    await has_endpoint(slow)
    for _ in range(2):
        properties = (await slow.get(APP)).body["properties"]
        assert properties["privateEndpoints"] == [{"id": PE}]
        assert len(properties["ipConfigurations"]) == 1
        await ready(slow, await slow.put(APP, subnet()))
    nic = (await slow.get(PE)).body["properties"]["networkInterfaces"][0]["id"]
    assert (await slow.get(nic)).body["properties"]["privateEndpoint"] == {"id": PE}
    assert (await slow.delete(nic)).code == "NicInUse"


@pytest.mark.parametrize("settings", [Settings(connection_write=(0.0, 0.0))])
async def test_a_manual_connection_waits_for_the_other_side(slow: Asker) -> None:
    manual = "manualPrivateLinkServiceConnections"
    body = await has_endpoint(slow, manual=True)
    assert status(body, manual) == ("Pending", "please")
    assert body["properties"]["provisioningState"] == "Succeeded"
    assert body["properties"]["customDnsConfigs"] == []
    connection = (await slow.get(f"{A1}/privateEndpointConnections")).body["value"][0]
    sent = {"properties": {"privateLinkServiceConnectionState": {"status": "Approved", "description": "fine"}}}
    assert (await slow.put(connection["id"], sent)).status == 200
    approved = (await slow.get(PE)).body
    assert status(approved, manual) == ("Approved", "fine")
    assert approved["properties"]["customDnsConfigs"][0]["ipAddresses"] == ["10.0.1.4"]


async def test_without_the_right_to_approve_a_connection_can_only_ask_to_be_judged(slow: Asker) -> None:
    await slow.account(customSubDomainName="names-a1")
    await has_network(slow)
    await slow.advance(30)
    action = "Microsoft.CognitiveServices/accounts/privateEndpointConnectionsApproval/action"
    await slow.seed(denied=[{"principal": "*", "scope": A1, "action": action}])
    refused = await slow.put(PE, endpoint())
    assert (refused.status, refused.code) == (403, "LinkedAuthorizationFailed")
    assert action in refused.message
    manual = "manualPrivateLinkServiceConnections"
    assert status(await has_endpoint(slow, manual=True), manual)[0] == "Pending"


async def test_the_right_to_approve_is_asked_for_at_every_write(slow: Asker) -> None:
    await has_endpoint(slow)
    action = "Microsoft.CognitiveServices/accounts/privateEndpointConnectionsApproval/action"
    await slow.seed(denied=[{"principal": "*", "scope": A1, "action": action}])
    refused = await slow.put(PE, {**endpoint(), "tags": {"team": "ai"}})
    assert (refused.status, refused.code) == (403, "LinkedAuthorizationFailed")
    assert action in refused.message


@pytest.mark.parametrize("how", ["reject", "delete", "account"])
async def test_what_the_other_side_does_is_seen_on_the_endpoint(slow: Asker, how: str) -> None:
    await has_endpoint(slow)
    connection = (await slow.get(f"{A1}/privateEndpointConnections")).body["value"][0]["id"]
    if how == "reject":
        await mutate(
            slow, "PATCH", connection, {"properties": {"privateLinkServiceConnectionState": {"status": "Rejected"}}}
        )
    elif how == "delete":
        await mutate(slow, "DELETE", connection)
    else:
        await mutate(slow, "DELETE", A1)
    body = (await slow.get(PE)).body
    assert status(body)[0] == ("Rejected" if how == "reject" else "Disconnected")
    assert body["properties"]["customDnsConfigs"] == []


async def test_an_account_that_has_just_settled_is_still_accepted_for_the_network(slow: Asker) -> None:
    await has_network(slow)
    body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope"}
    made = await slow.put(A1, body | {"properties": {"customSubDomainName": "names-a1"}})
    assert made.status == 201
    early = await slow.put(PE, endpoint())
    assert (early.status, early.code) == (400, "AccountProvisioningStateInvalid")
    for _ in range(60):
        await slow.advance(1)
        if (await slow.get(A1)).body["properties"]["provisioningState"] == "Succeeded":
            break
    late = await slow.put(PE, endpoint())
    assert (late.code, "in state Accepted" in late.message) == ("AccountProvisioningStateInvalid", True)
    await slow.advance(6)
    assert (await slow.put(PE, endpoint())).status == 201


@pytest.mark.parametrize("settings", [Settings(account_view_fails_operation=True)])
async def test_the_same_can_come_as_a_failed_operation_that_a_put_repairs(slow: Asker) -> None:
    await has_network(slow)
    body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope"}
    await slow.put(A1, body | {"properties": {"customSubDomainName": "names-a1"}})
    answer = await slow.put(PE, endpoint())
    assert answer.status == 201
    await slow.advance(61)
    poll = (await slow.get(answer.headers["azure-asyncoperation"])).body
    assert (poll["status"], poll["error"]["code"]) == ("Failed", "AccountProvisioningStateInvalid")
    assert (await slow.get(PE)).body["properties"]["provisioningState"] == "Failed"
    await ready(slow, await slow.put(PE, endpoint()))
    assert len((await slow.get(f"{A1}/privateEndpointConnections")).body["value"]) == 1


async def test_a_subnet_that_is_still_written_holds_an_endpoint_up(slow: Asker) -> None:
    await slow.account(customSubDomainName="names-a1")
    await has_network(slow)
    await slow.advance(30)
    await slow.put(APP, subnet(serviceEndpoints=[{"service": "Microsoft.Storage"}]))
    answer = await slow.put(PE, endpoint())
    assert (answer.status, answer.code) == (429, "RetryableError")
    assert answer.body["error"]["details"][0]["code"] == "ReferencedResourceNotProvisioned"


async def test_two_endpoints_of_one_network_come_one_after_the_other(slow: Asker) -> None:
    await slow.account(customSubDomainName="names-a1")
    await slow.account("a2", customSubDomainName="names-a2")
    await has_network(slow)
    await slow.put(PE, endpoint())
    second = await slow.put(f"{NET}/privateEndpoints/p2", endpoint(f"{ACCOUNTS}/a2"))
    assert (second.status, second.code) == (409, "AnotherOperationInProgress")
    assert (await slow.put(APP, subnet())).code == "AnotherOperationInProgress"
    await slow.advance(33)
    assert (await slow.put(f"{NET}/privateEndpoints/p2", endpoint(f"{ACCOUNTS}/a2"))).status == 201


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("10.0.1.3", "PrivateIPAddressInReservedRange"),
        ("10.0.1.255", "PrivateIPAddressInReservedRange"),
        ("10.0.2.9", "PrivateIPAddressNotInSubnet"),
        ("nine", "InvalidIPAddressFormat"),
        ("10.0.1.9", None),
    ],
)
async def test_a_static_address_must_be_free_in_the_subnet(slow: Asker, address: str, code: str | None) -> None:
    await slow.account(customSubDomainName="names-a1")
    await has_network(slow)
    await slow.advance(30)
    row = {"name": "ip", "properties": {"groupId": "account", "memberName": "default", "privateIPAddress": address}}
    answer = await slow.put(PE, endpoint(ipConfigurations=[row]))
    assert answer.code == code
    if code is None:
        await ready(slow, answer)
        assert (await slow.get(PE)).body["properties"]["customDnsConfigs"][0]["ipAddresses"] == [address]
        taken = await slow.put(f"{NET}/privateEndpoints/p2", endpoint(ipConfigurations=[row]))
        assert taken.code == "PrivateIPAddressIsAllocated"


async def test_a_full_subnet_takes_no_endpoint(slow: Asker) -> None:
    await slow.account(customSubDomainName="names-a1")
    await has_network(slow, subnet(prefix="10.0.1.0/29"))
    await slow.advance(30)
    for number in range(3):
        await ready(slow, await slow.put(f"{NET}/privateEndpoints/q{number}", endpoint()))
    assert (await slow.put(PE, endpoint())).code == "SubnetIsFull"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"place": f"{VNET}/subnets/other"}, "PrivateEndpointCannotBeChanged"),
        ({"target": f"{ACCOUNTS}/a2"}, "PrivateEndpointCannotBeChanged"),
        ({"manual": True}, "PrivateEndpointCannotBeChanged"),
        ({"place": f"{VNET}/subnets/none"}, "InvalidResourceReference"),
        ({"groups": "other"}, "PrivateEndpointCannotBeChanged"),
    ],
)
async def test_what_an_endpoint_joins_cannot_be_changed(slow: Asker, change: dict[str, object], code: str) -> None:
    await slow.account(customSubDomainName="names-a1")
    await slow.account("a2", customSubDomainName="names-a2")
    await has_network(slow, subnet(), subnet("other", "10.0.2.0/24"))
    await has_endpoint(slow)
    assert (await slow.put(PE, endpoint(**change))).code == code  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("account", "change", "code"),
    [
        ("names-a1", {"target": f"{ACCOUNTS}/none"}, "InvalidResourceReference"),
        ("names-a1", {"groups": "blob"}, "InvalidGroupId"),
        (None, {}, "BadRequest"),
    ],
)
async def test_an_endpoint_needs_an_account_that_can_be_connected(
    slow: Asker, account: str | None, change: dict[str, str], code: str
) -> None:
    await slow.account(**({"customSubDomainName": account} if account else {}))
    await has_network(slow)
    await slow.advance(30)
    assert (await slow.put(PE, endpoint(**change))).code == code  # type: ignore[arg-type]


async def test_tags_of_an_endpoint_change_by_a_put_of_the_whole(slow: Asker) -> None:
    before = await has_endpoint(slow)
    answer = await slow.put(PE, before | {"tags": {"a": "b"}})
    assert answer.status == 200
    await ready(slow, answer)
    after = (await slow.get(PE)).body
    assert after["tags"] == {"a": "b"}
    assert after["properties"]["networkInterfaces"] == before["properties"]["networkInterfaces"]
    assert (await slow.patch(PE, {"tags": {}})).status == 405


async def test_a_zone_group_puts_the_name_into_the_zone_and_takes_it_from_the_endpoint(slow: Asker) -> None:
    await has_endpoint(slow)
    await ready(slow, await slow.put(ZONE, {"location": "global"}))
    made = await slow.put(GROUPS, zone_group(ZONE))
    assert (made.status, made.body["properties"]["provisioningState"]) == (201, "Updating")
    await ready(slow, made)
    record = (await slow.get(RECORD)).body["properties"]
    assert record["aRecords"] == [{"ipv4Address": "10.0.1.4"}]
    config = (await slow.get(GROUPS)).body["properties"]["privateDnsZoneConfigs"][0]["properties"]
    assert config["recordSets"][0]["fqdn"] == "names-a1.privatelink.openai.azure.com"
    assert (await slow.get(PE)).body["properties"]["customDnsConfigs"] == []
    gone = await slow.delete(GROUPS)
    assert gone.status == 202
    await slow.advance(1)
    assert (await slow.get(RECORD)).status == 404
    assert (await slow.get(PE)).body["properties"]["customDnsConfigs"] != []


async def test_a_zone_that_fits_no_name_gets_no_record(slow: Asker) -> None:
    await has_endpoint(slow)
    wrong = ZONE.replace("openai", "cognitiveservices")
    await ready(slow, await slow.put(wrong, {"location": "global"}))
    await ready(slow, await slow.put(GROUPS, zone_group(wrong)))
    assert (await slow.get(f"{wrong}/A")).body["value"] == []
    config = (await slow.get(GROUPS)).body["properties"]["privateDnsZoneConfigs"][0]["properties"]
    assert config["recordSets"] == []


async def test_an_endpoint_has_one_zone_group_whose_configurations_keep_their_zone(slow: Asker) -> None:
    await has_endpoint(slow)
    await zoned(slow)
    second = await slow.put(f"{PE}/privateDnsZoneGroups/second", zone_group(ZONE))
    assert second.code == "MoreThanOnePrivateDnsZoneGroupPerPrivateEndpointNotAllowed"
    other = ZONE.replace("openai", "cognitiveservices")
    await ready(slow, await slow.put(other, {"location": "global"}))
    changed = zone_group(ZONE)
    changed["properties"]["privateDnsZoneConfigs"][0]["properties"]["privateDnsZoneId"] = other
    assert (await slow.put(GROUPS, changed)).code == "PrivateDnsZoneConfigCannotBeChanged"
    assert (await slow.put(GROUPS, zone_group(ZONE, f"{NET}/privateDnsZones/no.where"))).code == (
        "InvalidResourceReference"
    )


async def test_a_deleted_endpoint_takes_connection_record_and_addresses_along(slow: Asker) -> None:
    body = await has_endpoint(slow)
    await zoned(slow)
    gone = await slow.delete(PE)
    assert gone.status == 202
    assert (await slow.get(PE)).body["properties"]["provisioningState"] == "Deleting"
    await slow.advance(13)
    assert (await slow.get(gone.headers["location"])).status == 204
    assert (await slow.get(RECORD)).status == 404
    assert (await slow.get(f"{A1}/privateEndpointConnections")).body["value"] == []
    assert (await slow.get(A1)).body["properties"]["provisioningState"] == "Succeeded"
    assert (await slow.get(body["properties"]["networkInterfaces"][0]["id"])).status == 404
    assert (await slow.delete(APP)).status == 202


async def test_an_aiservices_account_answers_to_three_names(slow: Asker) -> None:
    body = {"kind": "AIServices", "sku": {"name": "S0"}, "location": "westeurope"}
    assert (await slow.put(A1, body | {"properties": {"customSubDomainName": "names-a1"}})).status == 201
    await slow.advance(60)
    configs = (await has_endpoint(slow))["properties"]["customDnsConfigs"]
    assert [each["fqdn"].partition(".")[2] for each in configs] == [
        "cognitiveservices.azure.com",
        "openai.azure.com",
        "services.ai.azure.com",
    ]
    assert len({each["ipAddresses"][0] for each in configs}) == 3


async def test_an_endpoint_to_another_kind_of_resource_is_taken_at_its_word(slow: Asker) -> None:
    await has_network(slow)
    target = f"{GROUP}/providers/Microsoft.Storage/storageAccounts/s"
    await ready(slow, await slow.put(PE, endpoint(target, groups="blob")))
    assert status((await slow.get(PE)).body)[0] == "Approved"


async def test_an_endpoint_in_another_group_is_forgotten_with_that_group(slow: Asker) -> None:
    await slow.account(customSubDomainName="names-a1")
    await has_network(slow)
    await slow.group("edge")
    await slow.advance(30)
    there = PE.replace("/rg/", "/edge/")
    await ready(slow, await slow.put(there, endpoint()))
    assert (await slow.delete(GROUP.replace("/rg", "/edge"))).status == 202
    await slow.advance(80)
    assert (await slow.get(f"{A1}/privateEndpointConnections")).body["value"] == []
    assert "privateEndpoints" not in (await slow.get(APP)).body["properties"]
