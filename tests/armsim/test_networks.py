"""Virtual networks: subnets inline and as children, what a PUT leaves out, what is refused, one write at a time."""

import pytest

from armsim.settings import Settings
from tests.armsim.asking import ACCOUNTS, Asker
from tests.armsim.networking import (
    APP,
    HERE,
    NSG,
    OF_SUB,
    VNET,
    essence,
    has_endpoint,
    has_network,
    mutate,
    names,
    network,
    ready,
    security_group,
    subnet,
)

COGNITIVE = [{"service": "Microsoft.CognitiveServices"}]


async def test_a_network_is_answered_with_what_it_was_not_asked_for(slow: Asker) -> None:
    await has_network(slow, subnet(serviceEndpoints=COGNITIVE))
    properties = (await slow.get(VNET)).body["properties"]
    assert properties["virtualNetworkPeerings"] == []
    assert properties["enableDdosProtection"] is False
    app = (await slow.get(APP)).body["properties"]
    assert app["delegations"] == []
    assert app["privateEndpointNetworkPolicies"] == "Disabled"
    assert app["privateLinkServiceNetworkPolicies"] == "Enabled"
    assert app["serviceEndpoints"] == [
        {"provisioningState": "Succeeded", "service": "Microsoft.CognitiveServices", "locations": ["*"]}
    ]


@pytest.mark.parametrize(("version", "kept"), [("2023-09-01", False), ("2023-11-01", True), ("2026-03-01", True)])
async def test_what_a_put_without_subnets_does_depends_on_the_version(slow: Asker, version: str, kept: bool) -> None:
    await has_network(slow)
    body = {"location": HERE, "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}
    await ready(slow, await slow.ask("PUT", VNET, body, version=version))
    assert names((await slow.get(f"{VNET}/subnets")).body["value"]) == (["app"] if kept else [])


async def test_an_empty_list_of_subnets_removes_them_whatever_the_version(slow: Asker) -> None:
    await has_network(slow)
    await ready(slow, await slow.ask("PUT", VNET, network(), version="2026-03-01"))
    assert (await slow.get(VNET)).body["properties"]["subnets"] == []


async def test_a_put_of_a_network_replaces_each_subnet_it_lists(slow: Asker) -> None:
    await has_network(slow, subnet(serviceEndpoints=COGNITIVE), subnet("db", "10.0.2.0/24"))
    await ready(slow, await slow.put(VNET, network(subnet())))
    subnets = (await slow.get(VNET)).body["properties"]["subnets"]
    assert names(subnets) == ["app"]
    assert not subnets[0]["properties"].get("serviceEndpoints")


async def test_a_put_of_a_subnet_resets_what_it_leaves_out(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group()))
    delegation = {"name": "d", "properties": {"serviceName": "Microsoft.ContainerInstance/containerGroups"}}
    full = subnet(
        networkSecurityGroup={"id": NSG},
        routeTable={"id": f"{VNET}/../routeTables/r"},
        serviceEndpoints=COGNITIVE,
        delegations=[delegation],
    )
    await has_network(slow, full)
    before = (await slow.get(APP)).body["properties"]
    assert before["networkSecurityGroup"] == {"id": NSG}
    assert before["delegations"][0]["properties"]["actions"]
    await ready(slow, await slow.put(APP, subnet()))
    after = (await slow.get(APP)).body["properties"]
    assert not {"networkSecurityGroup", "routeTable"} & set(after)
    assert after["delegations"] == []
    assert not after.get("serviceEndpoints")
    assert "subnets" not in (await slow.get(NSG)).body["properties"]


async def test_what_a_network_answers_can_be_sent_back_and_changes_nothing(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group()))
    await has_network(slow, subnet(networkSecurityGroup={"id": NSG}, serviceEndpoints=COGNITIVE))
    for path in (VNET, APP):
        before = (await slow.get(path)).body
        answer = await slow.put(path, before)
        assert (answer.status, answer.body["properties"]["provisioningState"]) == (200, "Succeeded")
        assert essence(answer.body) == essence(before)


@pytest.mark.parametrize(
    ("subnets", "code"),
    [
        ([subnet("a", "10.0.0.0/24"), subnet("b", "10.0.0.128/25")], "NetcfgSubnetRangesOverlap"),
        ([subnet("a", "10.1.0.0/24")], "NetcfgInvalidSubnet"),
        ([subnet("a", "10.0.0.0/30")], "NetcfgInvalidSubnet"),
        ([subnet("a", "10.0.0.5/24")], "InvalidCIDRNotation"),
        ([subnet("a", "here")], "InvalidAddressPrefixFormat"),
        ([subnet("a"), subnet("A", "10.0.3.0/24")], "InvalidRequestFormat"),
        ([{"name": "a", "properties": {}}], "InvalidRequestFormat"),
        ([{"properties": {"addressPrefix": "10.0.0.0/24"}}], "InvalidRequestFormat"),
    ],
)
async def test_subnets_that_do_not_fit_are_refused(slow: Asker, subnets: list[dict[str, object]], code: str) -> None:
    answer = await slow.put(VNET, network(*subnets))
    assert (answer.status, answer.code) == (400, code)


async def test_a_subnet_that_overlaps_or_leaves_the_network_is_refused_as_a_child_too(slow: Asker) -> None:
    await has_network(slow)
    over = await slow.put(f"{VNET}/subnets/b", subnet("b", "10.0.1.0/25"))
    assert over.code == "NetcfgSubnetRangesOverlap"
    outside = await slow.put(f"{VNET}/subnets/b", subnet("b", "10.9.1.0/25"))
    assert outside.code == "NetcfgInvalidSubnet"
    assert (await slow.put(VNET, network(subnet(), space="10.0.2.0/24"))).code == "NetcfgInvalidSubnet"


async def test_prefixes_come_back_in_the_number_in_which_they_were_sent(slow: Asker) -> None:
    several = {"name": "app", "properties": {"addressPrefixes": ["10.0.1.0/24", "10.0.2.0/24"]}}
    await has_network(slow, several)
    properties = (await slow.get(APP)).body["properties"]
    assert properties["addressPrefixes"] == ["10.0.1.0/24", "10.0.2.0/24"]
    assert "addressPrefix" not in properties


async def test_a_network_takes_one_write_at_a_time_with_all_its_subnets(slow: Asker) -> None:
    await has_network(slow)
    running = await slow.put(APP, subnet(serviceEndpoints=COGNITIVE))
    assert (await slow.get(VNET)).body["properties"]["provisioningState"] == "Updating"
    other = await slow.put(f"{VNET}/subnets/b", subnet("b", "10.0.2.0/24"))
    assert (other.status, other.code) == (409, "AnotherOperationInProgress")
    same = await slow.delete(APP)
    assert (same.status, same.code) == (429, "RetryableError")
    await ready(slow, running)
    assert (await slow.put(f"{VNET}/subnets/b", subnet("b", "10.0.2.0/24"))).status == 201


@pytest.mark.parametrize("settings", [Settings(subnet_settles=20.0)])
async def test_a_subnet_can_be_updating_after_its_operation_has_ended(slow: Asker) -> None:
    await slow.account(customSubDomainName="names-a1")
    await has_network(slow)
    await slow.advance(30)
    answer = await slow.put(APP, subnet(serviceEndpoints=COGNITIVE))
    await slow.advance(2)
    assert (await slow.get(answer.headers["azure-asyncoperation"])).body == {"status": "Succeeded"}
    for path in (APP, VNET):
        assert (await slow.get(path)).body["properties"]["provisioningState"] == "Updating"
    await slow.advance(20)
    for path in (APP, VNET):
        assert (await slow.get(path)).body["properties"]["provisioningState"] == "Succeeded"


async def test_a_subnet_with_something_in_it_cannot_go_by_any_way(slow: Asker) -> None:
    await has_endpoint(slow)
    nic = (await slow.get(APP)).body["properties"]["ipConfigurations"][0]["id"]
    for answer in (
        await slow.delete(APP),
        await slow.delete(VNET),
        await slow.put(VNET, network()),
        await slow.put(VNET, network(subnet("other", "10.0.9.0/24"))),
    ):
        assert (answer.status, answer.code) == (400, "InUseSubnetCannotBeDeleted")
        assert nic in answer.message


async def test_an_association_link_holds_a_subnet_until_it_is_gone(slow: Asker) -> None:
    await has_network(slow)
    link = {"id": f"{APP}/serviceAssociationLinks/acisal", "name": "acisal"}
    await mutate(slow, "PATCH", APP, {"properties": {"serviceAssociationLinks": [link]}})
    refused = await slow.delete(APP)
    assert (refused.code, "acisal" in refused.message) == ("InUseSubnetCannotBeDeleted", True)
    await mutate(slow, "PATCH", APP, {"properties": {"serviceAssociationLinks": []}})
    assert (await slow.delete(APP)).status == 202
    await slow.advance(11)
    missing = await slow.get(APP)
    assert (missing.status, missing.code) == (404, "NotFound")


async def test_a_subnet_below_a_missing_network_is_refused_by_arm(slow: Asker) -> None:
    answer = await slow.put(APP, subnet())
    assert (answer.status, answer.code) == (404, "ParentResourceNotFound")
    assert (await slow.get(APP)).code == "ResourceNotFound"
    assert (await slow.delete(APP)).status == 204


async def test_an_account_lets_in_only_a_subnet_with_the_service_endpoint(slow: Asker) -> None:
    await has_network(slow)
    await slow.account(customSubDomainName="names-a1")
    acls = {"defaultAction": "Deny", "virtualNetworkRules": [{"id": APP}]}
    without = await slow.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": acls}})
    assert (without.status, without.code) == (400, "SubnetsHaveNoServiceEndpointsConfigured")
    await ready(slow, await slow.put(APP, subnet(serviceEndpoints=COGNITIVE)))
    assert (await slow.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": acls}})).status == 202
    await slow.advance(40)
    missing = {"defaultAction": "Deny", "virtualNetworkRules": [{"id": f"{VNET}/subnets/none"}]}
    refused = await slow.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": missing}})
    assert refused.code == "InvalidResourceReference"


async def test_an_association_taken_away_behind_the_back_shows_on_both_sides(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group()))
    await has_network(slow, subnet(networkSecurityGroup={"id": NSG}))
    await mutate(slow, "PATCH", APP, {"properties": {"networkSecurityGroup": None}})
    assert "networkSecurityGroup" not in (await slow.get(APP)).body["properties"]
    assert "subnets" not in (await slow.get(NSG)).body["properties"]


async def test_a_subnet_edited_behind_the_back_while_its_network_is_updated_settles_with_it(slow: Asker) -> None:
    await has_network(slow)
    written = await slow.put(VNET, network(subnet(), space="10.0.0.0/15"))
    await mutate(slow, "PATCH", APP, {"properties": {"serviceEndpoints": COGNITIVE}})
    await ready(slow, written)
    for place in (VNET, APP):
        assert (await slow.get(place)).body["properties"]["provisioningState"] == "Succeeded"
    await ready(slow, await slow.put(APP, subnet()))
    assert (await slow.get(VNET)).body["properties"]["provisioningState"] == "Succeeded"


async def test_the_network_provider_counts_writes_on_its_own(slow: Asker) -> None:
    await slow.sim.control("PUT", "/_sim/settings", {"network_writes": [2, 300]})
    await slow.put(NSG, security_group())
    await slow.put(VNET, network())
    answer = await slow.delete(VNET)
    assert (answer.status, answer.code) == (429, "TooManyRequests")
    assert answer.headers["retry-after"] == "150"


async def test_a_linked_right_that_is_missing_is_named_with_its_scope(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group()))
    action = "Microsoft.Network/networkSecurityGroups/join/action"
    await slow.seed(denied=[{"principal": "*", "scope": NSG, "action": action}])
    answer = await slow.put(VNET, network(subnet(networkSecurityGroup={"id": NSG})))
    assert (answer.status, answer.code) == (403, "LinkedAuthorizationFailed")
    assert action in answer.message
    assert NSG in answer.message


async def test_a_hundred_subnets_come_in_one_answer(slow: Asker) -> None:
    many = [subnet(f"s{number}", f"10.0.{number}.0/24") for number in range(100)]
    await has_network(slow, *many)
    listed = (await slow.get(f"{OF_SUB}/virtualNetworks")).body
    assert len(listed["value"][0]["properties"]["subnets"]) == 100
    assert "nextLink" not in listed


async def test_a_stale_list_shows_the_network_as_it_was(slow: Asker) -> None:
    await has_network(slow)
    await ready(slow, await slow.put(f"{VNET}/subnets/b", subnet("b", "10.0.2.0/24")))
    await slow.fault("stale_read", match={"method": "GET"}, seconds=75)
    old = (await slow.get(f"{OF_SUB}/virtualNetworks")).body["value"]
    assert names(old[0]["properties"]["subnets"]) == ["app"]
    assert names((await slow.get(VNET)).body["properties"]["subnets"]) == ["app", "b"]
