"""What is seeded, what is changed behind everybody's back, and who is named for it."""

from urllib.parse import quote

import pytest

from armsim.settings import OBJECT
from tests.armsim.asking import ACCOUNTS, GROUP, SUB, Asker
from tests.armsim.networking import (
    APP,
    NSG,
    OF_SUB,
    PE,
    VNET,
    ZONE,
    endpoint,
    mutate,
    names,
    network,
    ready,
    rule,
    security_group,
    subnet,
    zone_group,
)

LOG = f"/subscriptions/{SUB}/providers/Microsoft.Insights/eventtypes/management/values"
ACCOUNT = {
    "id": f"{ACCOUNTS}/a1",
    "kind": "OpenAI",
    "location": "westeurope",
    "properties": {"customSubDomainName": "names-a1"},
}
# In the least helpful order.
ALL = [
    {"id": f"{PE}/privateDnsZoneGroups/default", **zone_group(ZONE)},
    {"id": f"{ZONE}/virtualNetworkLinks/l1", "properties": {"virtualNetwork": {"id": VNET}}},
    {"id": PE, **endpoint()},
    {"id": ZONE},
    {"id": VNET, **network(subnet(networkSecurityGroup={"id": NSG}))},
    ACCOUNT,
    {"id": NSG, **security_group(rule("one"))},
]


async def events(asker: Asker, **wanted: str) -> list[dict[str, object]]:
    terms = ["eventTimestamp ge '2020-01-01T00:00:00Z'", *(f"{name} eq '{each}'" for name, each in wanted.items())]
    answer = await asker.get(f"{LOG}?api-version=2015-04-01&$filter={quote(' and '.join(terms))}")
    assert answer.status == 200, answer.text
    rows: list[dict[str, object]] = answer.body["value"]
    return rows


async def test_everything_can_be_seeded_in_any_order_and_is_whole(slow: Asker) -> None:
    await slow.seed(resources=ALL)
    assert (await slow.get(NSG)).body["properties"]["subnets"] == [{"id": APP}]
    assert (await slow.get(APP)).body["properties"]["privateEndpoints"] == [{"id": PE}]
    connections = (await slow.get(f"{ACCOUNTS}/a1/privateEndpointConnections")).body["value"]
    assert [each["properties"]["privateEndpoint"]["id"] for each in connections] == [PE]
    record = (await slow.get(f"{ZONE}/A/names-a1")).body["properties"]
    assert record["aRecords"] == [{"ipv4Address": "10.0.1.4"}]
    assert (await slow.get(ZONE)).body["properties"]["numberOfVirtualNetworkLinks"] == 1
    for path in (NSG, VNET, APP, PE, ZONE, f"{PE}/privateDnsZoneGroups/default"):
        assert (await slow.get(path)).body["properties"]["provisioningState"] == "Succeeded"


async def test_a_seed_that_makes_no_sense_says_so(slow: Asker) -> None:
    with pytest.raises(ValueError, match="SecurityRuleConflict"):
        await slow.seed(resources=[{"id": NSG, **security_group(rule("one"), rule("two"))}])


async def test_children_can_be_seeded_alone(slow: Asker) -> None:
    await slow.seed(resources=[{"id": APP, "properties": {"addressPrefix": "10.7.0.0/24"}}])
    await slow.seed(resources=[{"id": f"{NSG}/securityRules/r", **rule("r")}])
    assert (await slow.get(VNET)).body["properties"]["addressSpace"]["addressPrefixes"] == ["10.7.0.0/24"]
    assert names((await slow.get(NSG)).body["properties"]["securityRules"]) == ["r"]


@pytest.mark.parametrize(
    ("method", "id", "body"),
    [
        ("PUT", f"{NSG}/securityRules/portal", rule("portal", 300)),
        ("DELETE", f"{NSG}/securityRules/one", {}),
        ("PATCH", APP, {"properties": {"networkSecurityGroup": None}}),
        ("PATCH", PE, {"tags": {"lost": "yes"}}),
        ("DELETE", f"{ZONE}/virtualNetworkLinks/l1", {}),
        ("PATCH", f"{ACCOUNTS}/a1", {"properties": {"publicNetworkAccess": "Enabled"}}),
    ],
)
async def test_an_edit_behind_the_back_is_logged_some_time_later(
    slow: Asker, method: str, id: str, body: dict[str, object]
) -> None:
    await slow.seed(resources=ALL)
    await mutate(slow, method, id, body, "bob@example.com")
    assert await events(slow, resourceUri=id) == []
    await slow.advance(121)
    found = await events(slow, resourceUri=id)
    assert [each["caller"] for each in found] == ["bob@example.com"]
    operation = found[0]["operationName"]
    assert str(operation["value"]).endswith("delete" if method == "DELETE" else "write")  # type: ignore[index]


async def test_requests_are_logged_with_the_application_that_sent_them(slow: Asker) -> None:
    await ready(slow, await slow.put(NSG, security_group()))
    await slow.put(NSG, {"location": "nowhere"})
    await slow.advance(121)
    found = await events(slow, resourceGroupName="rg", resourceUri=NSG)
    assert [each["caller"] for each in found] == [OBJECT]
    assert found[0]["claims"]["appid"] == slow.sim.client_id  # type: ignore[index]
    assert found[0]["operationName"]["value"] == "Microsoft.Network/networkSecurityGroups/write"  # type: ignore[index]
    assert (await slow.get(f"{LOG}?api-version=2015-04-01")).status == 400


async def test_a_public_account_and_a_lost_tag_do_not_disturb_the_endpoint(slow: Asker) -> None:
    await slow.seed(resources=ALL)
    await mutate(slow, "PATCH", PE, {"tags": {"lost": "yes"}})
    body = (await slow.get(PE)).body
    assert body["tags"] == {"lost": "yes"}
    assert body["properties"]["networkInterfaces"]
    assert (await slow.get(f"{ZONE}/A/names-a1")).status == 200


async def test_a_deleted_endpoint_is_gone_on_every_side(slow: Asker) -> None:
    await slow.seed(resources=ALL)
    await mutate(slow, "DELETE", PE)
    assert (await slow.get(f"{ACCOUNTS}/a1/privateEndpointConnections")).body["value"] == []
    assert (await slow.get(f"{ZONE}/A")).body["value"] == []
    assert "privateEndpoints" not in (await slow.get(APP)).body["properties"]


async def test_generic_lists_and_tags_know_networks_too(slow: Asker) -> None:
    await slow.seed(resources=ALL)
    rows = (await slow.get(f"{GROUP}/resources")).body["value"]
    assert {"networkSecurityGroups", "virtualNetworks", "privateEndpoints"} <= {
        each["type"].rpartition("/")[2] for each in rows
    }
    one = (await slow.get(f"{GROUP}/resources?$filter=resourceType eq 'Microsoft.Network/virtualNetworks'")).body
    assert names(one["value"]) == ["v1"]
    sent = {"operation": "Merge", "properties": {"tags": {"a": "b"}}}
    assert (await slow.patch(f"{PE}/providers/Microsoft.Resources/tags/default", sent)).status == 200
    assert (await slow.get(PE)).body["tags"] == {"a": "b"}
    assert (await slow.get(f"{OF_SUB}/privateEndpoints")).body["value"][0]["tags"] == {"a": "b"}


async def test_two_hundred_rules_come_in_one_answer(slow: Asker) -> None:
    many = [rule(f"r{number}", 100 + number) for number in range(200)]
    await slow.seed(resources=[{"id": NSG, **security_group(*many)}])
    assert len((await slow.get(NSG)).body["properties"]["securityRules"]) == 200
