"""Who did it: what Azure's activity log tells of, and what it leaves unsaid."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from reconciler.cloud.activity import Endpoints, find_last
from reconciler.model.ids import ArmId
from reconciler.model.ports import Cloud
from reconciler.model.resource import Activity, Actor, Scope
from reconciler.model.wire import JsonObject, read_path
from tests.cloud.canned import Answer, canned
from tests.cloud.conftest import Azure
from tests.support.builders import live_of

pytestmark = pytest.mark.virtual_time

ALICE, BOB, US = "alice@example.com", "bob@example.com", "11111111-1111-1111-1111-111111111111"
DAY = 86_400.0
GROUP = ArmId(subscription="S", group="rg")
NSG = GROUP.resource("Microsoft.Network/networkSecurityGroups", "nsg")
VNET = GROUP.resource("Microsoft.Network/virtualNetworks", "vnet")
APP = VNET.child("subnets", "app")
ENDPOINT = GROUP.resource("Microsoft.Network/privateEndpoints", "pe")
ACCOUNT = GROUP.resource("Microsoft.CognitiveServices/accounts", "aoai")


def event(id: object, minute: int, by: str = ALICE, did: str = "write", **more: Any) -> JsonObject:
    """An entry of the log; `did` may name the whole operation."""
    place = str(id)
    operation = did if "/" in did else f"{ArmId.parse(place).type}/{did}"
    return {
        "resourceId": place,
        "eventTimestamp": f"2025-10-28T14:{minute:02}:00.1234567Z",
        "operationName": {"value": operation},
        "status": {"value": "Succeeded"},
        "operationId": f"op-{place}-{minute}",
        "caller": by,
        "claims": {"appid": "the-portal" if "@" in by else by},
        **more,
    }


def authors(ids: list[ArmId], *events: JsonObject) -> dict[str, str]:
    """By the last part of an id: who did last what."""
    return {id.name: actor.name for id, actor in find_last(ids, events, US).items()}


def test_the_newest_write_counts_in_whatever_order_and_letters_the_log_has_them() -> None:
    later, earlier = event(str(NSG).upper(), 5, BOB), event(NSG, 3)
    for events in ((later, earlier), (earlier, later)):
        found = find_last([NSG], events, US)
        assert found == {
            NSG: Actor(
                name=BOB,
                at="2025-10-28T14:05:00.1234567Z",
                operation="MICROSOFT.NETWORK/NETWORKSECURITYGROUPS/write",
            )
        }


def test_a_security_rule_is_a_part_of_its_group_and_a_subnet_is_none_of_its_network() -> None:
    rule = NSG.child("securityRules", "portal")
    assert authors([NSG], event(NSG, 1, US), event(rule, 2, did="delete")) == {"nsg": ALICE}
    assert authors([VNET], event(VNET, 1, BOB), event(APP, 2)) == {"vnet": BOB}


def test_a_write_to_the_whole_network_explains_a_subnet_only_where_nobody_wrote_to_it_since_us() -> None:
    assert authors([APP], event(VNET, 2)) == {"app": ALICE}
    assert authors([APP], event(APP, 1, US), event(VNET, 2)) == {"app": ALICE}
    assert authors([APP], event(APP, 1, BOB), event(VNET, 2)) == {"app": BOB}
    assert authors([APP], event(APP, 1, ALICE), event(VNET, 2, US)) == {"app": ALICE}
    assert authors([APP], event(APP, 3, US), event(VNET, 2)) == {"app": US}


def test_whoever_deletes_what_is_around_a_resource_deletes_it_too() -> None:
    group = ArmId(subscription="S", group="RG")
    for above in (VNET, group):
        found = find_last([APP], [event(APP, 1, US), event(above, 2, did="delete")], US)
        assert found[APP].removed
        assert found[APP].name == ALICE
    assert authors([APP], event(group, 2)) == {}


def test_a_connection_shows_in_its_endpoint() -> None:
    connection = ACCOUNT.child("privateEndpointConnections", "PE.0f0f")
    assert authors([ENDPOINT], event(ENDPOINT, 1, US), event(connection, 2)) == {"pe": ALICE}


def test_a_connection_shows_in_the_endpoint_that_is_behind_it_and_in_none_of_the_same_name() -> None:
    twin = ArmId(subscription="S", group="other").resource("Microsoft.Network/privateEndpoints", "pe")
    connection = ACCOUNT.child("privateEndpointConnections", "pe.0f0f")
    told = [event(ENDPOINT, 1, US), event(twin, 1, US), event(connection, 2)]
    assert {each.name for each in find_last([ENDPOINT, twin], told, US).values()} == {US}
    known = Endpoints(ids={ENDPOINT, twin})
    assert find_last([ENDPOINT], told, US, known)[ENDPOINT].name == US
    known.learn({connection: live_of(connection, {"properties": {"privateEndpoint": {"id": str(twin).upper()}}})})
    found = find_last([ENDPOINT, twin], told, US, known)
    assert (found[ENDPOINT].name, found[twin].name) == (US, ALICE)


async def test_whose_a_connection_is_has_been_seen_when_the_log_is_asked(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    mine, twin = [await _connected(azure, group) for group in ("rg-ai", "rg-hub")]
    snapshot = await cloud.observe(
        Scope(subscription=azure.sim.subscription_id, fleet="prod", ids=(mine, twin, azure.account()))
    )
    (connection,) = [
        id
        for id, live in snapshot.live.items()
        if str(read_path(live.wire, ("properties", "privateEndpoint", "id"))).lower() == twin.key
    ]
    await azure.sim.control("POST", "/_sim/mutate", {"method": "DELETE", "id": str(connection), "actor": BOB})
    await _advance(azure, 121)
    last = (await cloud.who([mine, twin], DAY)).last
    assert (last[mine].name, last[twin].name) == (ALICE, BOB)


def test_tags_that_are_written_on_their_own_are_those_of_their_resource() -> None:
    tags = f"{NSG}/providers/Microsoft.Resources/tags/default"
    assert authors([NSG], event(tags, 1, did="Microsoft.Resources/tags/write")) == {"nsg": ALICE}


@pytest.mark.parametrize(
    "other",
    [
        event(NSG, 2, BOB, status={"value": "Failed"}),
        event(NSG, 2, BOB, status={"value": "Started"}),
        event(NSG, 2, BOB, did="action"),
        event(NSG, 2, ""),
        event(f"{NSG}/providers/Microsoft.Authorization/locks/keep", 2, BOB, "Microsoft.Authorization/locks/write"),
        event(GROUP.resource("Microsoft.Network/networkSecurityGroups", "nsg2"), 2, BOB),
        event(NSG, 2, BOB, eventTimestamp="yesterday"),
        event(NSG, 2, BOB) | {"resourceId": "nonsense"},
        {},
    ],
    ids=["failed", "only begun", "an action", "nobody", "a lock on it", "a neighbour", "no time", "no id", "nothing"],
)
def test_what_changed_nothing_names_nobody(other: JsonObject) -> None:
    assert authors([NSG], event(NSG, 1), other) == {"nsg": ALICE}
    assert authors([NSG], other) == {}


def test_an_operation_that_was_accepted_and_then_failed_changed_nothing() -> None:
    begun = event(NSG, 2, BOB, status={"value": "Accepted"}, operationId="op")
    assert authors([NSG], begun) == {"nsg": BOB}
    ended = event(NSG, 3, BOB, status={"value": "Failed"}, operationId="op")
    assert authors([NSG], event(NSG, 1), begun, ended) == {"nsg": ALICE}


def test_an_application_goes_by_its_client_id_and_a_person_by_their_name() -> None:
    assert authors([NSG], event(NSG, 1, "object-id", claims={"appid": US})) == {"nsg": US}
    assert authors([NSG], event(NSG, 1, "object-id", claims={})) == {"nsg": "object-id"}
    assert authors([NSG], event(NSG, 1, ALICE, claims={"appid": US})) == {"nsg": ALICE}


async def test_one_request_answers_for_everything_in_a_subscription(azure: Azure, cloud: Cloud) -> None:
    ids = [await _grown(azure, f"nsg-{number}") for number in range(30)]
    await _advance(azure, 121)
    before = len(await azure.requests())
    activity = await cloud.who(ids, DAY)
    assert {actor.name for actor in activity.last.values()} == {ALICE}
    assert activity.last.keys() == {*ids} == activity.asked
    assert len(await azure.requests()) - before == activity.requests == 1


async def test_the_log_is_late_and_says_nothing_until_then(azure: Azure, cloud: Cloud) -> None:
    id = await _grown(azure, "nsg")
    assert (await cloud.who([id], DAY)).last == {}
    await _advance(azure, 121)
    assert (await cloud.who([id], DAY)).last[id].name == ALICE
    assert (await cloud.who([id], 60)).last == {}


async def test_the_time_looked_back_is_counted_on_azures_clock(azure: Azure, cloud: Cloud) -> None:
    """A machine that is years ahead asks for the same hours."""
    id = await _grown(azure, "nsg")
    await _advance(azure, 5 * 365 * DAY)
    await _grown(azure, "nsg")
    await _advance(azure, 121)
    await cloud.read(azure.account())
    assert (await cloud.who([id], 600)).last[id].name == ALICE


async def test_a_log_that_may_not_be_read_is_a_value_and_one_warning(azure: Azure, cloud: Cloud) -> None:
    id = await _grown(azure, "nsg")
    await azure.fault(kind="status", status=403, count=-1, match={"method": "GET", "path": "eventtypes"})
    with capture_logs() as logs:
        for _ in range(3):
            activity = await cloud.who([id], DAY)
            assert activity.last == {}
            assert activity.unread[id.subscription.lower()].status == 403
    assert [each["log_level"] for each in logs if each["event"] == "activity.unread"] == ["warning"]


async def test_a_log_in_trouble_is_not_asked_twice(azure: Azure, cloud: Cloud) -> None:
    id = await _grown(azure, "nsg")
    await azure.fault(kind="status", status=500, count=-1, match={"method": "GET", "path": "eventtypes"})
    activity = await cloud.who([id], DAY)
    assert (activity.requests, activity.unread[id.subscription.lower()].status) == (1, 500)


async def test_a_session_that_only_looks_may_ask_who(azure: Azure) -> None:
    id = await _grown(azure, "nsg")
    await _advance(azure, 121)
    async with azure.open(read_only=True) as cloud:
        assert (await cloud.who([id], DAY)).last[id].name == ALICE


async def test_the_log_of_a_busy_subscription_is_not_read_to_its_end(azure: Azure, tmp_path: Path) -> None:
    found, missed = NSG, VNET
    async with canned(tmp_path) as server:
        filters: list[str] = []

        def answer(request: web.BaseRequest) -> Answer:
            filters.extend(parse_qs(urlsplit(request.path_qs).query).get("$filter", []))
            page = len(server.lines)
            following = f"{server.endpoint}/subscriptions/S/next?page={page}"
            return 200, {}, {"value": [event(found, 59 - page)], "nextLink": following}

        server.answer = answer
        azure.settings = type(azure.settings)(
            environment=azure.settings.environment, ca_bundle=server.bundle, budgets=azure.settings.budgets
        )
        async with azure.open(endpoint=server.endpoint, authority=server.endpoint) as cloud:
            activity: Activity = await cloud.who([found, missed], DAY)
    assert activity.requests == len(server.lines) == 10
    assert activity.last[found].at == "2025-10-28T14:58:00.1234567Z"
    assert activity.unread["s"].code == "list_too_long"
    (terms,) = filters
    assert terms.endswith(" and resourceGroupName eq 'rg'")


async def test_what_we_put_right_does_not_hide_whose_doing_it_was(azure: Azure) -> None:
    home, untouched = (ArmId(subscription=azure.sim.subscription_id, group=name) for name in ("rg-one", "rg-two"))
    for id, actor in ((home, ALICE), (home, azure.sim.client_id), (untouched, azure.sim.client_id)):
        body = {"location": "swedencentral"}
        await azure.sim.control("POST", "/_sim/mutate", {"method": "PUT", "id": str(id), "body": body, "actor": actor})
        await asyncio.sleep(1)
    await asyncio.sleep(600)
    async with azure.open() as cloud:
        activity = await cloud.who([home, untouched], DAY)
    assert activity.last[home].name == azure.sim.client_id
    assert {id: actor.name for id, actor in activity.others.items()} == {home: ALICE}


async def _connected(azure: Azure, group: str) -> ArmId:
    """An endpoint called pe that alice has just made, in a network of that group, for the account."""
    home = ArmId(subscription=azure.sim.subscription_id, group=group)
    network = home.resource("Microsoft.Network/virtualNetworks", "net")
    space = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    subnets = [{"name": "back", "properties": {"addressPrefix": "10.0.1.0/24"}}]
    endpoint = home.resource("Microsoft.Network/privateEndpoints", "pe")
    said = {"privateLinkServiceId": str(azure.account()), "groupIds": ["account"]}
    leads = {
        "subnet": {"id": str(network.child("subnets", "back"))},
        "privateLinkServiceConnections": [{"name": "aoai", "properties": said}],
    }
    for id, properties in ((home, None), (network, {**space, "subnets": subnets}), (endpoint, leads)):
        body = {"location": "swedencentral", **({"properties": properties} if properties else {})}
        await azure.sim.control("POST", "/_sim/mutate", {"method": "PUT", "id": str(id), "body": body, "actor": ALICE})
        await _advance(azure, 700)
    return endpoint


async def _grown(azure: Azure, name: str) -> ArmId:
    """A security group that alice has just made."""
    id = azure.group.resource("Microsoft.Network/networkSecurityGroups", name)
    change = {"method": "PUT", "id": str(id), "body": {"location": "swedencentral"}, "actor": ALICE}
    await azure.sim.control("POST", "/_sim/mutate", change)
    return id


async def _advance(azure: Azure, seconds: float) -> None:
    await azure.sim.control("POST", "/_sim/clock", {"advance": seconds})
