"""Private DNS: zones and links by 202, records at once, conditions, refusals without an envelope."""

import pytest

from armsim.server import Simulator
from tests.armsim.asking import Asker
from tests.armsim.networking import HERE, NET, OF_SUB, VNET, ZONE, has_network, mutate, names, ready

LINK = f"{ZONE}/virtualNetworkLinks/l1"
RECORD = f"{ZONE}/A/web"


def link(network: str = VNET, registration: bool = False) -> dict[str, object]:
    return {
        "location": "global",
        "properties": {"virtualNetwork": {"id": network}, "registrationEnabled": registration},
    }


async def zone(asker: Asker) -> None:
    await ready(asker, await asker.put(ZONE, {"location": "global"}))


async def conditional(asker: Asker, path: str, body: object, **headers: str) -> tuple[int, dict[str, str]]:
    """A PUT with If-Match or If-None-Match."""
    sent = {"Authorization": f"Bearer {asker.token}"} | {name.replace("_", "-"): each for name, each in headers.items()}
    url = f"{asker.sim.endpoint}{path}?api-version=2024-06-01"
    answer = await asker.raw("PUT", url, json=body, headers=sent)
    return answer.status, answer.body


async def test_a_zone_is_written_by_an_empty_object_and_polls_that_say_202(slow: Asker) -> None:
    answer = await slow.put(ZONE, {"location": "global", "tags": {"a": "b"}})
    assert (answer.status, answer.body) == (202, {})
    assert "retry-after" not in answer.headers
    assert "/privateDnsOperationStatuses/" in answer.headers["azure-asyncoperation"]
    poll = await slow.get(answer.headers["azure-asyncoperation"])
    assert (poll.status, poll.body) == (202, {"status": "InProgress"})
    assert {"azure-asyncoperation", "location"} <= set(poll.headers)
    await ready(slow, answer)
    result = await slow.get(answer.headers["location"])
    assert (result.status, result.body["tags"]) == (200, {"a": "b"})
    body = (await slow.get(ZONE)).body
    assert body["properties"]["numberOfRecordSets"] == 1
    assert '"' not in body["etag"]


async def test_a_link_is_completed_some_time_after_it_succeeded(slow: Asker) -> None:
    await has_network(slow)
    await zone(slow)
    answer = await slow.put(LINK, link())
    assert answer.status == 202
    await ready(slow, answer, 46)
    properties = (await slow.get(LINK)).body["properties"]
    assert (properties["provisioningState"], properties["virtualNetworkLinkState"]) == ("Succeeded", "InProgress")
    await slow.advance(10)
    body = (await slow.get(LINK)).body
    assert body["properties"]["virtualNetworkLinkState"] == "Completed"
    assert body["etag"].startswith('"')
    assert (await slow.get(ZONE)).body["properties"]["numberOfVirtualNetworkLinks"] == 1


async def test_a_zone_with_links_cannot_be_deleted(slow: Asker) -> None:
    await has_network(slow)
    await zone(slow)
    await ready(slow, await slow.put(LINK, link()))
    refused = await slow.delete(ZONE)
    assert (refused.status, refused.code) == (409, "CannotDeleteResource")
    assert "virtualNetworkLinks/l1" in refused.message
    await ready(slow, await slow.delete(LINK))
    await slow.put(RECORD, {"properties": {"ttl": 10, "aRecords": [{"ipv4Address": "10.0.0.9"}]}})
    await ready(slow, await slow.delete(ZONE))
    assert (await slow.get(ZONE)).status == 404
    assert (await slow.delete(ZONE)).status == 204
    assert (await slow.put(RECORD, {"properties": {"ttl": 10}})).code == "ParentResourceNotFound"


async def test_a_network_is_linked_once_to_zones_of_one_name_and_a_link_keeps_its_network(slow: Asker) -> None:
    await has_network(slow)
    await zone(slow)
    await ready(slow, await slow.put(LINK, link()))
    again = await slow.put(f"{ZONE}/virtualNetworkLinks/l2", link())
    assert (again.status, again.body["code"]) == (409, "Conflict")
    other = f"{NET}/virtualNetworks/v2"
    body = {"location": HERE, "properties": {"addressSpace": {"addressPrefixes": ["10.2.0.0/16"]}}}
    await ready(slow, await slow.put(other, body))
    assert (await slow.put(LINK, link(other))).body["code"] == "Conflict"
    assert (await slow.put(f"{ZONE}/virtualNetworkLinks/l3", link(f"{VNET}x"))).body["code"] == "BadRequest"


async def test_records_are_synchronous(slow: Asker) -> None:
    await zone(slow)
    sent = {"properties": {"ttl": 30, "aRecords": [{"ipv4Address": "10.0.0.9"}]}}
    made = await slow.put(RECORD, sent)
    assert made.status == 201
    assert made.body["properties"]["fqdn"] == "web.privatelink.openai.azure.com."
    assert made.body["properties"]["isAutoRegistered"] is False
    assert (await slow.put(RECORD, sent)).status == 200
    assert (await slow.patch(RECORD, {"properties": {"ttl": 60}})).body["properties"]["ttl"] == 60
    assert names((await slow.get(f"{ZONE}/A")).body["value"]) == ["web"]
    assert names((await slow.get(f"{ZONE}/ALL")).body["value"]) == ["web", "@"]
    assert (await slow.get(ZONE)).body["properties"]["numberOfRecordSets"] == 2
    assert (await slow.delete(RECORD)).status == 200
    assert (await slow.delete(RECORD)).status == 204
    missing = await slow.get(RECORD)
    assert (missing.status, set(missing.body), missing.body["code"]) == (404, {"code", "message"}, "NotFound")


@pytest.mark.parametrize(
    "properties", [{}, {"ttl": 0}, {"ttl": "soon"}, {"ttl": 10, "aRecords": [{"ipv4Address": "10.0.0.999"}]}]
)
async def test_a_record_that_makes_no_sense_is_refused(slow: Asker, properties: dict[str, object]) -> None:
    await zone(slow)
    answer = await slow.put(RECORD, {"properties": properties})
    assert (answer.status, answer.body["code"]) == (400, "BadRequest")


async def test_conditions_are_honoured(slow: Asker) -> None:
    await zone(slow)
    sent = {"properties": {"ttl": 30}}
    assert (await conditional(slow, RECORD, sent, if_match="*"))[0] == 412
    status, body = await conditional(slow, RECORD, sent, if_none_match="*")
    assert status == 201
    status, refused = await conditional(slow, RECORD, sent, if_none_match="*")
    assert (status, refused["code"]) == (412, "PreconditionFailed")
    assert (await conditional(slow, RECORD, sent, if_match="other"))[0] == 412
    assert (await conditional(slow, RECORD, sent, if_match=body["etag"]))[0] == 200
    assert (await conditional(slow, ZONE, {"location": "global"}, if_none_match="*"))[0] == 412


async def test_zones_are_listed_by_subscription_and_tagged_by_patch(slow: Asker) -> None:
    await zone(slow)
    await ready(slow, await slow.patch(ZONE, {"tags": {"a": "b"}}))
    rows = (await slow.get(f"{OF_SUB}/privateDnsZones")).body["value"]
    assert [each["tags"] for each in rows] == [{"a": "b"}]


async def test_private_dns_counts_reads_on_its_own(slow: Asker) -> None:
    await zone(slow)
    assert int((await slow.get(ZONE)).headers["x-ms-ratelimit-remaining-subscription-resource-requests"]) < 500
    await slow.sim.control("PUT", "/_sim/settings", {"dns_reads": [1, 300]})
    await slow.get(ZONE)
    refused = await slow.get(ZONE)
    assert (refused.status, refused.code) == (429, "TooManyRequests")


async def test_a_link_deleted_behind_the_back_is_gone_and_counted(slow: Asker) -> None:
    await has_network(slow)
    await zone(slow)
    await ready(slow, await slow.put(LINK, link()))
    await mutate(slow, "DELETE", LINK)
    assert (await slow.get(LINK)).status == 404
    assert (await slow.get(ZONE)).body["properties"]["numberOfVirtualNetworkLinks"] == 0


async def test_a_world_with_networks_survives_a_restart(slow: Asker, sim: Simulator) -> None:
    await has_network(slow)
    await zone(slow)
    running = await slow.put(LINK, link())
    saved = await slow.sim.control("GET", "/_sim/state")
    async with Asker(sim) as later:
        await sim.control("PUT", "/_sim/state", saved)
        await later.advance(60)
        assert (await later.get(LINK)).body["properties"]["virtualNetworkLinkState"] == "Completed"
        path = running.headers["azure-asyncoperation"].removeprefix(slow.sim.endpoint)
        assert (await later.get(path)).body == {"status": "Succeeded"}
