"""Soft-deleted accounts one by one, and how full a region is: what a purge looks at before it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ports import Cloud
from reconciler.model.resource import DeletedAccount
from tests.cloud.canned import Canned, canned
from tests.cloud.conftest import Azure
from tests.cloud.test_answers import ACCOUNT, say
from tests.cloud.test_transport import open_at

pytestmark = pytest.mark.virtual_time


async def bury(azure: Azure, name: str) -> None:
    await azure.seed_accounts(name)
    change = {"method": "DELETE", "id": str(azure.account(name)), "actor": "mallory@example.com"}
    await azure.sim.control("POST", "/_sim/mutate", change)


async def test_what_is_deleted_softly_is_read_by_the_id_that_it_had(azure: Azure, cloud: Cloud) -> None:
    await bury(azure, "gone")
    found = await cloud.read_deleted(azure.account("gone"), "Sweden Central")
    assert isinstance(found, DeletedAccount)
    assert found.id == azure.account("gone")
    assert found.deleted_at.startswith("20")


@pytest.mark.parametrize(("name", "location"), [("gone", "eastus"), ("never", "swedencentral")])
async def test_in_another_region_and_under_another_name_there_is_nothing(
    azure: Azure, cloud: Cloud, name: str, location: str
) -> None:
    await bury(azure, "gone")
    found = await cloud.read_deleted(azure.account(name), location)
    assert isinstance(found, Fault)
    assert found.cls is FaultClass.ABSENT


async def test_how_full_a_region_is_takes_one_list(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("one", deployments=3)
    found = await cloud.read_usages(azure.sim.subscription_id, "swedencentral")
    assert not isinstance(found, Fault)
    assert found["openai.globalstandard.gpt-4o"].used == 3
    assert len(await azure.requests()) == 1


async def test_a_list_that_may_not_be_read_is_a_fault(azure: Azure, cloud: Cloud) -> None:
    await azure.fault(kind="status", status=403, code="AuthorizationFailed", match={"path": "/usages$"}, count=-1)
    found = await cloud.read_usages(azure.sim.subscription_id, "swedencentral")
    assert isinstance(found, Fault)
    assert found.cls is FaultClass.FORBIDDEN


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Canned]:
    async with canned(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("body", [None, [], {"id": "/subscriptions/s/providers/Microsoft.X/y/z"}])
async def test_an_answer_that_is_no_deleted_account_is_a_fault(server: Canned, body: object) -> None:
    async with open_at(server) as opened:
        say(server, (200, {}, body))
        found = await opened.read_deleted(ACCOUNT, "swedencentral")
    assert isinstance(found, Fault)
    assert found.code == "unreadable_answer"
