"""Writes, and following what they begin."""

from __future__ import annotations

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.plan import Verb
from reconciler.model.ports import Answer, Cloud, Poll, Progress, Write
from reconciler.model.resource import Live, LiveState
from reconciler.model.wire import JsonObject
from tests.cloud.conftest import Azure
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time

ACCOUNT: JsonObject = {
    "location": "swedencentral",
    "kind": "OpenAI",
    "sku": {"name": "S0"},
    "properties": {"publicNetworkAccess": "Disabled"},
}


async def follow(cloud: Cloud, azure: Azure, answer: Answer, pause: float = 5.0) -> Poll:
    """Poll to the end, as the executor does."""
    assert answer.operation is not None
    poll = await cloud.poll(answer.operation)
    while poll.progress is Progress.RUNNING:
        await azure.clock.sleep(poll.pause or pause)
        poll = await cloud.poll(answer.operation)
    return poll


async def test_an_account_is_created_followed_and_read_back(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    id = azure.account()
    answer = await cloud.write(Write(verb=Verb.PUT, id=id, body=ACCOUNT))
    assert answer.fault is None
    assert answer.live is not None
    assert answer.live.state is LiveState.IN_PROGRESS
    poll = await follow(cloud, azure, answer)
    assert poll == Poll(progress=Progress.SUCCEEDED)
    live = await cloud.read(id)
    assert isinstance(live, Live)
    assert live.state is LiveState.SETTLED
    assert live.modified_by == azure.sim.client_id
    assert passed() >= 1.0


async def test_what_does_not_exist_reads_as_absent(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    fault = await cloud.read(azure.account("nobody"))
    assert isinstance(fault, Fault)
    assert fault.cls is FaultClass.ABSENT
