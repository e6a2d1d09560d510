"""What Azure tells an identity of its rights and of its providers, and what is made of half an answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.model.finding import FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.ports import Cloud
from reconciler.model.rights import Grant, Rights, RightsScope
from tests.cloud.canned import Canned, canned
from tests.cloud.conftest import Azure
from tests.cloud.test_transport import open_at

pytestmark = pytest.mark.virtual_time

CS, NETWORK = "Microsoft.CognitiveServices", "Microsoft.Network"
READ = "Microsoft.Authorization/permissions/read"


def scope(azure: Azure, *places: ArmId, namespaces: tuple[str, ...] = ()) -> RightsScope:
    return RightsScope(
        subscription=azure.sim.subscription_id, places=frozenset(places), namespaces=frozenset(namespaces)
    )


async def grant(azure: Azure, place: ArmId, *actions: str) -> None:
    await azure.seed(grants=[{"principal": "*", "scope": str(place), "actions": [READ, *actions]}])


async def test_each_place_tells_what_it_grants_with_what_it_inherits(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("one")
    here, one = ArmId(subscription=azure.sim.subscription_id), azure.account("one")
    for place, action in ((here, "*/read"), (azure.group, f"{CS}/accounts/write"), (one, f"{CS}/accounts/delete")):
        await grant(azure, place, action)
    found = await cloud.rights(scope(azure, here, azure.group, one))
    assert found.requests == len(await azure.requests()) == 3
    assert [len(found.grants[place]) for place in (here, azure.group, one)] == [1, 2, 3]
    assert found.allows(f"{CS}/accounts/write", one) is True
    assert found.allows(f"{CS}/accounts/write", here) is False
    assert found.unread == {}


async def test_a_place_that_may_not_be_read_or_is_not_there_is_unknown(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    await grant(azure, azure.group, "*")
    here, gone = ArmId(subscription=azure.sim.subscription_id), azure.account("gone")
    found = await cloud.rights(scope(azure, here, azure.group, gone))
    assert [*found.grants] == [azure.group]
    assert {id: fault.cls for id, fault in found.unread.items()} == {
        here: FaultClass.FORBIDDEN,
        gone: FaultClass.ABSENT,
    }


async def test_it_is_believed_for_ten_minutes_and_what_failed_is_asked_again(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("one")
    asked = scope(azure, azure.group, namespaces=(CS,))
    await azure.fault(kind="status", status=403, code="AuthorizationFailed", match={"path": "/permissions$"})
    assert [*(await cloud.rights(asked)).unread] == [azure.group]
    assert (await cloud.rights(asked)).requests == 1
    known = await cloud.rights(asked)
    assert (known.requests, known.allows("x/write", azure.group)) == (0, True)
    await azure.clock.sleep(601)
    assert (await cloud.rights(asked)).requests == 2


async def test_a_provider_is_told_by_azures_word_and_asked_again_until_it_is_registered(
    azure: Azure, cloud: Cloud
) -> None:
    await azure.seed(unregisteredProviders=[{"subscriptionId": azure.sim.subscription_id, "namespace": CS}])
    asked = scope(azure, namespaces=(CS, NETWORK))
    first = await cloud.rights(asked)
    assert (first.unregistered, first.unsure, first.requests) == ({CS.lower(): "NotRegistered"}, {}, 2)
    assert (await cloud.rights(asked)).requests == 1
    await azure.fault(kind="status", status=403, code="AuthorizationFailed", match={"path": f"/{CS}$"})
    unsure = await cloud.rights(asked)
    assert unsure.unregistered == {}
    assert unsure.unsure[CS.lower()].cls is FaultClass.FORBIDDEN


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Canned]:
    async with canned(tmp_path) as opened:
        yield opened


GROUP = ArmId(subscription="s", group="rg (old)")


async def ask(server: Canned, body: object, status: int = 200, namespaces: tuple[str, ...] = ()) -> Rights:
    server.answer = lambda _request: (status, {}, body)
    places = frozenset() if namespaces else frozenset({GROUP})
    async with open_at(server) as cloud:
        found: Rights = await cloud.rights(
            RightsScope(subscription="s", places=places, namespaces=frozenset(namespaces))
        )
        return found


async def test_all_pages_are_read_and_a_null_says_nothing(server: Canned) -> None:
    first = {
        "value": [{"actions": ["*"], "notActions": None, "dataActions": ["x/y"]}],
        "nextLink": f"{server.endpoint}/more?page=2",
    }
    answers = [first, {"value": [{"actions": ["a/b/write"], "notActions": ["a/*"]}]}]
    server.answer = lambda _request: (200, {}, answers.pop(0))
    async with open_at(server) as cloud:
        found = await cloud.rights(RightsScope(subscription="s", places=frozenset({GROUP})))
    assert found.grants == {GROUP: (Grant(actions=("*",)), Grant(actions=("a/b/write",), not_actions=("a/*",)))}
    place = "/subscriptions/s/resourceGroups/rg%20(old)"
    first_page = f"GET {place}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
    assert server.lines == [first_page, "GET /more?page=2"]


@pytest.mark.parametrize("body", [{"value": [{"actions": [1]}]}, {"value": [{"actions": {"a": 1}}]}, {"odd": 1}, []])
async def test_an_answer_that_cannot_be_understood_grants_and_refuses_nothing(server: Canned, body: object) -> None:
    found = await ask(server, body)
    assert found.grants == {}
    assert found.unread[GROUP].code == "unreadable_answer"
    assert found.allows("a/write", GROUP) is None


@pytest.mark.parametrize("body", [{"namespace": CS}, [], {"registrationState": 7}])
async def test_a_provider_without_its_state_is_neither_registered_nor_not(server: Canned, body: object) -> None:
    found = await ask(server, body, namespaces=(CS,))
    assert found.unregistered == {}
    assert found.unsure[CS.lower()].message == f"{CS} came without its registration state"
