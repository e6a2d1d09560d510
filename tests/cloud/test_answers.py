"""Answers of Azure that the simulation does not give: odd headers, odd bodies, odd times to be settled."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.plan import Verb
from reconciler.model.ports import Cloud, Operation, Progress, Write
from reconciler.model.resource import Live, LiveState, Scope
from reconciler.model.wire import Json, JsonObject
from tests.cloud.canned import Answer, Canned, canned
from tests.cloud.test_transport import open_at

pytestmark = pytest.mark.virtual_time

GROUP = ArmId(subscription="s", group="g")
ACCOUNT = GROUP.resource("Microsoft.CognitiveServices/accounts", "aoai")
DEPLOYMENT = ACCOUNT.child("deployments", "d")


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Canned]:
    async with canned(tmp_path) as opened:
        yield opened


@pytest.fixture
async def cloud(server: Canned) -> AsyncIterator[Cloud]:
    async with open_at(server) as opened:
        yield opened


GONE: Json = {"error": {"code": "ResourceNotFound", "message": "not there"}}


def say(server: Canned, *answers: Answer) -> None:
    """These answers in turn; the last one for ever."""
    queue = list(answers)
    server.answer = lambda _request: queue.pop(0) if len(queue) > 1 else queue[0]


def resource(id: ArmId, state: str) -> JsonObject:
    return {"id": str(id), "name": id.name, "properties": {"provisioningState": state}}


async def test_a_create_in_progress_without_a_header_is_followed_on_the_resource(server: Canned, cloud: Cloud) -> None:
    say(server, (201, {}, resource(DEPLOYMENT, "Creating")))
    answer = await cloud.write(Write(verb=Verb.PUT, id=DEPLOYMENT, body={}))
    assert answer.live is not None
    assert answer.live.state is LiveState.IN_PROGRESS
    assert answer.operation is not None
    missing: Json = {"error": {"code": "DeploymentNotFound", "message": "not yet"}}
    say(
        server,
        (404, {}, missing),
        (200, {}, resource(DEPLOYMENT, "Creating")),
        (500, {}, None),
        (200, {}, resource(DEPLOYMENT, "Succeeded")),
    )
    polls = [await cloud.poll(answer.operation) for _ in range(4)]
    assert [poll.progress for poll in polls] == [Progress.RUNNING] * 3 + [Progress.SUCCEEDED]
    assert polls[2].fault is not None


@pytest.mark.parametrize(("state", "code"), [("Failed", "provisioning_failed"), ("Canceled", "provisioning_canceled")])
async def test_a_resource_that_ends_badly_without_a_header_is_a_failed_operation(
    server: Canned, cloud: Cloud, state: str, code: str
) -> None:
    say(server, (201, {}, resource(DEPLOYMENT, "Creating")), (200, {}, resource(DEPLOYMENT, state)))
    answer = await cloud.write(Write(verb=Verb.PUT, id=DEPLOYMENT, body={}))
    assert answer.operation is not None
    poll = await cloud.poll(answer.operation)
    assert poll.progress is Progress.FAILED
    assert poll.fault is not None
    assert poll.fault.code == code


async def test_a_delete_accepted_without_a_header_ends_when_the_resource_is_gone(server: Canned, cloud: Cloud) -> None:
    say(server, (202, {}, None), (200, {}, resource(ACCOUNT, "Deleting")), (404, {}, GONE))
    answer = await cloud.write(Write(verb=Verb.DELETE, id=ACCOUNT))
    assert answer.operation is not None
    assert [(await cloud.poll(answer.operation)).progress for _ in range(2)] == [Progress.RUNNING, Progress.SUCCEEDED]


@pytest.mark.parametrize("verb", [Verb.DELETE, Verb.PURGE])
async def test_deleting_what_is_gone_has_worked(server: Canned, cloud: Cloud, verb: Verb) -> None:
    say(server, (404, {"x-ms-request-id": "r"}, GONE))
    answer = await cloud.write(Write(verb=verb, id=ACCOUNT, location="l"))
    assert (answer.fault, answer.operation, answer.request_id) == (None, None, "r")


async def test_a_404_of_a_stranger_is_neither_absence_nor_a_deletion(server: Canned, cloud: Cloud) -> None:
    say(server, (404, {}, "<html>no such page</html>"))
    answer = await cloud.write(Write(verb=Verb.DELETE, id=ACCOUNT))
    assert answer.fault is not None
    found = await cloud.read(ACCOUNT)
    assert isinstance(found, Fault)
    assert found.cls is FaultClass.INVALID
    snapshot = await cloud.observe(Scope(subscription="s", fleet="f", ids=(ACCOUNT,)))
    assert snapshot.hidden(ACCOUNT) is not None


async def test_an_answer_about_something_else_is_no_answer(server: Canned, cloud: Cloud) -> None:
    say(server, (200, {}, {"id": "not/an/id", "name": "x"}))
    fault = await cloud.read(ACCOUNT)
    assert isinstance(fault, Fault)
    assert fault.code == "unreadable_answer"


async def test_an_operation_that_azure_has_forgotten_is_judged_by_its_resource(server: Canned, cloud: Cloud) -> None:
    say(server, (404, {}, None), (200, {}, resource(ACCOUNT, "Failed")))
    poll = await cloud.poll(Operation(id=ACCOUNT, url=f"{server.endpoint}/x"))
    assert poll.progress is Progress.FAILED


async def test_a_look_that_may_not_be_taken_for_lack_of_a_sign_in_is_no_failed_operation(
    server: Canned, cloud: Cloud
) -> None:
    say(server, (401, {}, {"error": {"code": "ExpiredAuthenticationToken", "message": "old"}}))
    poll = await cloud.poll(Operation(id=ACCOUNT, url=f"{server.endpoint}/x"))
    assert poll.progress is Progress.RUNNING
    assert poll.fault is not None


async def test_every_request_is_counted(server: Canned) -> None:
    async with open_at(server) as cloud:
        say(server, (200, {}, resource(ACCOUNT, "Succeeded")))
        for _ in range(3):
            await cloud.read(ACCOUNT)
        assert cloud.requests == 3


async def test_an_accepted_write_with_only_a_location_is_followed_by_it(server: Canned, cloud: Cloud) -> None:
    there = f"{server.endpoint}/result?t=1"
    say(server, (202, {"location": there, "retry-after": "7"}, {}), (202, {"retry-after": "8"}, None), (204, {}, None))
    answer = await cloud.write(Write(verb=Verb.PATCH, id=ACCOUNT, body={}))
    assert answer.operation == Operation(id=ACCOUNT, url=there, pause=7.0)
    first, second = await cloud.poll(answer.operation), await cloud.poll(answer.operation)
    assert (first.progress, first.pause, second.progress) == (Progress.RUNNING, 8.0, Progress.SUCCEEDED)


async def test_the_location_of_what_was_created_is_no_operation(server: Canned, cloud: Cloud) -> None:
    say(server, (201, {"location": f"{server.endpoint}/somewhere"}, resource(ACCOUNT, "Succeeded")))
    answer = await cloud.write(Write(verb=Verb.PUT, id=ACCOUNT, body={}))
    assert (answer.fault, answer.operation) == (None, None)


async def test_a_location_that_answers_with_an_error_is_a_failed_operation(server: Canned, cloud: Cloud) -> None:
    say(server, (409, {}, {"error": {"code": "ResourceGroupDeletionBlocked", "message": "something stays"}}))
    poll = await cloud.poll(Operation(id=GROUP, url=f"{server.endpoint}/x"))
    assert poll.progress is Progress.FAILED
    assert poll.fault is not None
    assert poll.fault.code == "ResourceGroupDeletionBlocked"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, {"status": "Succeeded"}, Progress.SUCCEEDED),
        (200, {"status": "succeeded"}, Progress.SUCCEEDED),
        (202, {"status": "InProgress"}, Progress.RUNNING),
        (200, {"status": "Creating"}, Progress.RUNNING),
        (200, {"status": "Canceled"}, Progress.FAILED),
        (200, {"status": "Failed", "error": {"code": "X", "message": "y"}}, Progress.FAILED),
        (202, None, Progress.RUNNING),
        (200, None, Progress.SUCCEEDED),
        (204, None, Progress.SUCCEEDED),
        (200, {"id": "/x", "properties": {}}, Progress.SUCCEEDED),
    ],
)
async def test_what_an_operation_url_says(
    server: Canned, cloud: Cloud, status: int, body: Json, expected: Progress
) -> None:
    say(server, (status, {}, body))
    assert (await cloud.poll(Operation(id=ACCOUNT, url=f"{server.endpoint}/x"))).progress is expected


@pytest.mark.parametrize("content", ["<html>a proxy's page</html>", "{", b"\xff\xfe"])
async def test_an_answer_that_is_not_azure_s_is_a_passing_fault(
    server: Canned, cloud: Cloud, content: str | bytes
) -> None:
    say(server, (200, {}, content))
    fault = await cloud.read(ACCOUNT)
    assert isinstance(fault, Fault)
    assert (fault.cls, fault.code) == (FaultClass.TRANSIENT, "unreadable_answer")


async def test_a_redirect_is_not_followed(server: Canned, cloud: Cloud) -> None:
    say(server, (307, {"location": f"{server.endpoint}/elsewhere"}, None))
    assert isinstance(await cloud.read(ACCOUNT), Fault)
    assert len(server.lines) == 1


async def test_what_the_models_of_the_sdk_could_not_take_is_kept_as_it_came(server: Canned, cloud: Cloud) -> None:
    odd: JsonObject = {
        "id": str(DEPLOYMENT),
        "sku": {"name": "GlobalStandard", "capacity": "lots"},
        "properties": {"costs": [{"odd": None}], "model": "text"},
        "systemData": {"createdAt": "yesterday", "lastModifiedBy": "me"},
    }
    say(server, (200, {}, odd))
    live = await cloud.read(DEPLOYMENT)
    assert isinstance(live, Live)
    assert live.wire == odd
    written = await cloud.write(Write(verb=Verb.PUT, id=DEPLOYMENT, body=odd))
    assert written.live is not None
    assert written.live.wire == odd


async def test_lists_follow_their_links_byte_for_byte_over_empty_pages(server: Canned, cloud: Cloud) -> None:
    link = "/subscriptions/s/providers/x/accounts?api-version=1&%24skipToken=a%2Bb%3D%3D"
    pages: dict[str, Json] = {
        link: {"value": [], "nextLink": f"{server.endpoint}{link}2"},
        f"{link}2": {"value": [resource(ACCOUNT, "Succeeded")]},
    }

    def answer(request: object) -> Answer:
        path = str(getattr(request, "raw_path"))  # noqa: B009 — aiohttp's request, whatever its class
        if path in pages:
            return 200, {}, pages[path]
        if path.partition("?")[0].endswith("/subscriptions/s/providers/Microsoft.CognitiveServices/accounts"):
            return 200, {}, {"value": [], "nextLink": f"{server.endpoint}{link}"}
        return 200, {}, {"value": []}

    server.answer = answer
    snapshot = await cloud.observe(Scope(subscription="s", fleet="f", ids=()))
    assert ACCOUNT in snapshot.live
    assert f"GET {link}" in server.lines
    assert f"GET {link}2" in server.lines


async def test_a_list_without_its_items_is_a_blind_spot(server: Canned, cloud: Cloud) -> None:
    say(server, (200, {}, {"something": "else"}))
    snapshot = await cloud.observe(Scope(subscription="s", fleet="f", ids=()))
    assert {blind.fault.code for blind in snapshot.blind} == {"unreadable_answer"}
    assert len(snapshot.blind) == 3


async def test_an_item_without_an_id_is_a_blind_spot_and_the_others_are_seen(server: Canned, cloud: Cloud) -> None:
    say(server, (200, {}, {"value": [{"name": "?"}, resource(ACCOUNT, "Succeeded")]}))
    snapshot = await cloud.observe(Scope(subscription="s", fleet="f", ids=()))
    assert ACCOUNT in snapshot.live
    assert snapshot.hidden(GROUP.resource("Microsoft.CognitiveServices/accounts", "other")) is not None


async def test_nothing_registers_a_provider_behind_our_back(server: Canned, cloud: Cloud) -> None:
    say(server, (409, {}, {"error": {"code": "MissingSubscriptionRegistration", "message": "register 'Microsoft.X'"}}))
    await cloud.write(Write(verb=Verb.PUT, id=ACCOUNT, body={}))
    assert len(server.lines) == 1
