"""A write leaves once, whatever happens to the connection."""

from __future__ import annotations

import pytest

from reconciler.model.finding import FaultClass
from reconciler.model.plan import Verb
from reconciler.model.ports import Cloud, Write
from reconciler.model.wire import JsonObject
from tests.cloud.conftest import Azure

pytestmark = pytest.mark.virtual_time

BODY: JsonObject = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "swedencentral", "properties": {}}


@pytest.mark.parametrize("kind", ["cut_before", "cut_after"])
@pytest.mark.parametrize("verb", [Verb.PUT, Verb.DELETE])
async def test_a_write_whose_connection_is_cut_is_not_sent_again(
    azure: Azure, cloud: Cloud, verb: Verb, kind: str
) -> None:
    await azure.seed_accounts("aoai")
    await cloud.read(azure.account())  # a kept connection: only on one of those would the transport try again
    await azure.fault(kind=kind, match={"method": verb.value.upper()}, count=-1)
    answer = await cloud.write(Write(verb=verb, id=azure.account(), body=BODY if verb is Verb.PUT else None))
    assert answer.fault is not None
    assert answer.fault.cls is FaultClass.TRANSIENT
    assert answer.fault.applied, "nobody can know that it was not"
    assert [each["method"] for each in await azure.requests()].count(verb.value.upper()) == 1
