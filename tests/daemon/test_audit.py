"""What is written down of writes: each exactly once before it leaves and once after, why, as whom, and no secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from reconciler.model.outcome import Pass
from tests.daemon.running import running
from tests.laws.stage import Stage, account_document, account_id, deployment, fleet_document, group_document
from tests.support.logged import Event, logged, told

pytestmark = pytest.mark.virtual_time

VERBS = {"put": "PUT", "patch": "PATCH", "delete": "DELETE", "purge": "DELETE", "restore": "PUT"}
DOCUMENTS = [fleet_document(), group_document(), account_document("aoai-a", deployments=[deployment("chat")])]


@pytest.fixture
def logs() -> Iterator[list[Event]]:
    with logged() as events:
        yield events


def quiet(done: Pass) -> bool:
    return bool(done.reports) and all(report.plan.converged for report in done.reports.values())


async def test_every_write_is_written_down_once_before_it_leaves_and_once_after(
    azure: Stage, logs: list[Event]
) -> None:
    await azure.fault(kind="status", status=409, count=2, match={"method": "PUT", "path": "/deployments/"})
    async with running(azure, DOCUMENTS) as daemon:
        await daemon.until(quiet)
        await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"publicNetworkAccess": "Enabled"}})
        await daemon.until(quiet)
    made = Counter((each["method"], each["path"].lower()) for each in await azure.writes())
    for name in ("write.sending", "write.answered"):
        assert Counter((_method(each, logs), each["id"].lower()) for each in told(logs, name)) == made


def _method(event: Event, logs: list[Event]) -> str:
    return next(VERBS[each["verb"]] for each in told(logs, "write.sending") if each["step"] == event["step"])


async def test_a_write_says_why_what_as_whom_and_what_set_it_off(azure: Stage, logs: list[Event]) -> None:
    async with running(azure, DOCUMENTS) as daemon:
        await daemon.until(quiet)
        await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"publicNetworkAccess": "Enabled"}})
        logs.clear()
        done = await daemon.next_pass("interval")
    plan = done.reports["law"].plan
    (sent,), (answered,) = told(logs, "write.sending"), told(logs, "write.answered")
    assert sent["fleet"] == answered["fleet"] == "law"
    assert sent["plan"] == answered["plan"] == plan.digest
    assert sent["actor"] == plan.principal != ""
    assert sent["diff"] == {"publicNetworkAccess": "Enabled -> Disabled"}
    assert "mallory@example.com" in sent["reason"]
    assert (sent["verb"], sent["action"], sent["trigger"]) == ("patch", "update", "interval")
    assert answered["result"] == "accepted"
    assert answered["request_id"]
    assert isinstance(sent["cycle"], int)


async def test_a_refused_write_says_by_what_answer(azure: Stage, logs: list[Event]) -> None:
    async with running(azure, DOCUMENTS) as daemon:
        await daemon.until(quiet)
        await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"publicNetworkAccess": "Enabled"}})
        await azure.fault(kind="status", status=403, match={"method": "PATCH"}, code="RequestDisallowedByPolicy")
        logs.clear()
        await daemon.next_pass("interval")
    (answered,) = told(logs, "write.answered")
    assert (answered["result"], answered["status"], answered["code"]) == ("refused", 403, "RequestDisallowedByPolicy")


async def test_a_daemon_that_only_observes_writes_nothing_down(azure: Stage, logs: list[Event]) -> None:
    async with running(azure, DOCUMENTS, budget=None) as daemon:
        await daemon.next_pass("start")
    assert told(logs, "write.sending") == told(logs, "write.answered") == []


async def test_nothing_secret_is_written_down(azure: Stage, logs: list[Event]) -> None:
    async with running(azure, DOCUMENTS) as daemon:
        await daemon.until(quiet)
    assert told(logs, "write.sending")
    assert azure.secret not in str(logs)
