"""Sinks against a receiver on the loopback: what arrives, how it is signed, and what becomes of what does not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import kubernetes_validate
import pytest
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from reconciler.model.alert import Alert, Letter, Level, Route, Shape, SinkKind, Turn
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.wire import JsonObject
from reconciler.report.letters import name_media, shape_alerts, shape_letter
from reconciler.runtime.sinks import (
    Alertmanager,
    Courier,
    Deliver,
    KubeEvents,
    Poster,
    Receipt,
    Regarding,
    Shapes,
    Sinks,
    Surroundings,
    Webhook,
)
from tests.support.virtual_time import LoopClock, passed

pytestmark = pytest.mark.virtual_time

NOW = 1_760_000_000.0
SECRET = "s3cr3t"
SHAPES = Shapes(letter=shape_letter, media=name_media, alerts=shape_alerts)
ALERT = Alert(
    key="drift-1",
    name="ReconcilerDrift",
    level=Level.CRITICAL,
    labels={"fleet": "prod", "kind": "Account", "resource": "one"},
    summary="Account/one: publicNetworkAccess is Enabled, declared Disabled",
    description="Exposure: more can get in than declared.",
    began=NOW,
)
LETTER = Letter(sink="hook", turn=Turn.OPENED, alert=ALERT, written=NOW)


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """A server that keeps what it is sent, and answers as `answer` says: a status, or seconds to hang for."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    hangs: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append(Request(path=request.path, headers=dict(request.headers), body=body))
        if self.hangs:
            await asyncio.sleep(self.hangs)
        return web.Response(status=self.answers.pop(0) if self.answers else 200, headers=self.headers)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    async with Poster.open("") as opened:
        yield opened


@pytest.fixture
async def time() -> LoopClock:
    return LoopClock(NOW)


def hook(receiver: Receiver, poster: Poster, time: LoopClock, **route: Any) -> Webhook:
    written = Route(**{"name": "hook", "sink": SinkKind.WEBHOOK, "urls": (f"{receiver.url}/hook?to=me",), **route})
    environment = {"SECRET": SECRET, "TOKEN": "t0ken", "URL": receiver.url}
    return Webhook(written, poster, time, Surroundings(environment=environment, shapes=SHAPES))


async def deliver_all(courier: Courier, seconds: float = 3600.0, leads: Callable[[], bool] = lambda: True) -> None:
    """Until there is nothing left, or time is over."""
    end = passed() + seconds
    async with asyncio.TaskGroup() as group:
        task = group.create_task(courier.run(leads, lambda: None))
        while courier.letters and passed() < end:  # noqa: ASYNC110 - nothing tells when it is done
            await asyncio.sleep(min(seconds / 100, 5.0) if seconds < 86_400 else 600.0)
        task.cancel()


def courier_of(deliver: Deliver, time: LoopClock) -> Courier:
    return Courier("hook", deliver, time, random.Random(7))


async def test_a_cloudevent_arrives_signed_over_its_time_and_its_body(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    assert await hook(receiver, poster, time, secret_variable="SECRET")(LETTER) == Receipt()
    (request,) = receiver.requests
    assert request.headers["Content-Type"] == "application/cloudevents+json"
    timestamp, mark = request.headers["Reconciler-Timestamp"], request.headers["Reconciler-Signature"]
    assert int(timestamp) == int(NOW + passed()) or abs(int(timestamp) - NOW) < 5
    # As a receiver would do it that has nothing of ours.
    expected = hmac.digest(SECRET.encode(), f"{timestamp}.".encode() + request.body, "sha256").hex()
    assert mark == f"v1={expected}"
    assert hashlib.sha256(SECRET.encode()).hexdigest() not in request.body.decode()
    assert SECRET.encode() not in request.body


async def test_a_cloudevent_has_what_version_1_0_demands(receiver: Receiver, poster: Poster, time: LoopClock) -> None:
    await hook(receiver, poster, time)(LETTER)
    event = receiver.requests[0].json
    assert event["specversion"] == "1.0"
    assert all(isinstance(event[name], str) and event[name] for name in ("id", "source", "type"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
    assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in event)
    assert event["type"] == "reconciler.alert.opened"
    assert event["subject"] == "drift-1"
    assert event["data"]["labels"] == ALERT.labels
    assert event["data"]["open"] is True


@pytest.mark.parametrize("turn", list(Turn))
async def test_a_cloudevent_is_one_to_somebody_elses_reader(
    receiver: Receiver, poster: Poster, time: LoopClock, turn: Turn
) -> None:
    letter = replace(LETTER, turn=turn)
    await hook(receiver, poster, time)(letter)
    (request,) = receiver.requests
    event = from_http_event(HTTPMessage(headers=request.headers, body=request.body))
    assert event.get_id() == letter.id
    assert event.get_type() == f"reconciler.alert.{turn}"
    assert event.get_source() == "/reconciler"
    assert event.get_specversion() == "1.0"
    moment = event.get_time()
    assert moment is not None
    assert moment.timestamp() == NOW
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["summary"] == ALERT.summary


async def test_every_attempt_to_deliver_a_letter_has_the_same_id_and_every_letter_another(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    receiver.answers = [500, 503, 200, 200]
    courier = courier_of(hook(receiver, poster, time), time)
    ended = replace(ALERT, ended=NOW + 60, revision=2)
    courier.take((LETTER, replace(LETTER, turn=Turn.RESOLVED, alert=ended)))
    await deliver_all(courier)
    ids = [request.json["id"] for request in receiver.requests]
    assert ids[0] == ids[1] == ids[2] != ids[3]
    assert [request.json["type"].rpartition(".")[2] for request in receiver.requests] == [
        "opened",
        "opened",
        "opened",
        "resolved",
    ]
    assert (courier.delivered, courier.dead) == (2, 0)


def test_a_letter_that_says_something_else_is_another_one_though_nobody_remembers_the_first() -> None:
    """It was sent while the journal could not be written, and its process was killed: a receiver keeps both."""
    first = replace(LETTER, turn=Turn.AMENDED, alert=replace(ALERT, revision=2, essence="by nobody known"))
    assert replace(first, tries=3, due=NOW + 60).id == first.id
    assert replace(first, alert=replace(first.alert, essence="by mallory")).id != first.id


async def test_pauses_grow_and_a_receiver_may_ask_for_longer_ones(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    receiver.answers, receiver.headers = [429, 200], {"Retry-After": "120"}
    courier = courier_of(hook(receiver, poster, time), time)
    courier.take((LETTER,))
    began = passed()
    await deliver_all(courier)
    assert passed() - began >= 120
    assert courier.delivered == 1


async def test_a_letter_that_is_due_by_a_clock_that_was_hours_ahead_goes_out_at_once(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    courier = courier_of(hook(receiver, poster, time), time)
    courier.take((replace(LETTER, due=NOW + 5 * 3600),))
    began = passed()
    await deliver_all(courier)
    assert courier.delivered == 1
    assert passed() - began < 60


async def test_what_is_refused_is_dead_after_a_few_tries_and_the_next_letter_goes_on(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    receiver.answers = [400] * 5
    courier = courier_of(hook(receiver, poster, time), time)
    courier.take((LETTER, replace(LETTER, turn=Turn.RESOLVED)))
    await deliver_all(courier)
    assert (courier.delivered, courier.dead, len(receiver.requests)) == (1, 1, 6)


def about(name: str, turn: Turn = Turn.OPENED) -> Letter:
    return replace(LETTER, turn=turn, alert=replace(ALERT, key=name))


async def test_a_letter_that_a_receiver_cannot_digest_keeps_nobody_else_s_waiting(time: LoopClock) -> None:
    taken: list[tuple[str, Turn]] = []

    async def fussy(letter: Letter) -> Receipt:
        if letter.alert.key == "odd" and passed() - began < 60:
            return Receipt(why="HTTP 500")
        taken.append((letter.alert.key, letter.turn))
        return Receipt()

    courier = courier_of(fussy, time)
    courier.take((about("odd"), about("odd", Turn.RESOLVED), about("b"), about("c"), about("d")))
    began = passed()
    await deliver_all(courier, 10.0)
    assert taken == [("b", Turn.OPENED), ("c", Turn.OPENED), ("d", Turn.OPENED)]
    await deliver_all(courier)
    assert taken[3:] == [("odd", Turn.OPENED), ("odd", Turn.RESOLVED)]


async def test_a_receiver_that_is_down_is_not_pressed_by_however_many_letters(time: LoopClock) -> None:
    tries: list[float] = []

    async def silent(_letter: Letter) -> Receipt:
        tries.append(passed())
        return Receipt(why="ClientConnectorError")

    courier = courier_of(silent, time)
    courier.take(about(f"alert-{number}") for number in range(200))
    await deliver_all(courier, 3600.0)
    assert len(tries) < 25


async def test_what_nobody_answers_is_tried_for_a_day(time: LoopClock) -> None:
    tries: list[float] = []

    async def silent(_letter: Letter) -> Receipt:
        tries.append(passed())
        return Receipt(why="no answer within 10 s")

    courier = courier_of(silent, time)
    courier.take((replace(LETTER, written=time.now()),))
    await deliver_all(courier, 3 * 86_400)
    assert courier.dead == 1
    assert 86_400 <= tries[-1] - tries[0] <= 86_400 + 400
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert max(gaps) <= 400


async def test_a_receiver_that_hangs_is_left_after_ten_seconds(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    receiver.hangs = 3600.0
    began = passed()
    receipt = await hook(receiver, poster, time)(LETTER)
    assert receipt == Receipt(why="no answer within 10 s")
    assert passed() - began < 11


async def test_nothing_leaves_while_somebody_else_leads(receiver: Receiver, poster: Poster, time: LoopClock) -> None:
    courier = courier_of(hook(receiver, poster, time), time)
    courier.take((LETTER,))
    await deliver_all(courier, 30.0, leads=lambda: False)
    assert receiver.requests == []
    assert len(courier.letters) == 1


async def test_redirects_are_not_followed_and_of_a_url_only_the_host_is_told(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    receiver.answers, receiver.headers = [302], {"Location": f"{receiver.url}/elsewhere"}
    assert (await hook(receiver, poster, time)(LETTER)).why == "HTTP 302"
    assert len(receiver.requests) == 1
    gone = hook(receiver, poster, time, urls=("http://127.0.0.1:1/services/T000/s3cr3t",))
    why = (await gone(LETTER)).why
    assert why == "cannot connect to 127.0.0.1:1: Connection refused"


async def test_a_url_and_a_token_come_from_the_environment(receiver: Receiver, poster: Poster, time: LoopClock) -> None:
    await hook(receiver, poster, time, urls=(), url_variable="URL", token_variable="TOKEN")(LETTER)
    assert receiver.requests[0].headers["Authorization"] == "Bearer t0ken"
    assert (await hook(receiver, poster, time, urls=(), url_variable="NONE")(LETTER)).why == "NONE is not set"


async def test_more_letters_than_there_is_room_for_lose_the_oldest(time: LoopClock) -> None:
    async def never(_letter: Letter) -> Receipt:
        raise AssertionError

    courier = courier_of(never, time)
    courier.take(replace(LETTER, alert=replace(ALERT, revision=number)) for number in range(310))
    assert (len(courier.letters), courier.dropped) == (300, 10)
    assert courier.letters[0].alert.revision == 10


async def test_what_breaks_in_one_sink_is_told_and_breaks_no_other(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    async def broken(_letter: Letter) -> Receipt:
        raise RuntimeError("a bug")

    bad, good = courier_of(broken, time), courier_of(hook(receiver, poster, time), time)
    sinks = Sinks(couriers={"bad": bad, "good": good})
    for courier in (bad, good):
        courier.take((LETTER,))
    async with asyncio.TaskGroup() as group:
        task = group.create_task(sinks.run(lambda: True, lambda: None))
        await asyncio.sleep(300)
        task.cancel()
    assert (good.delivered, bad.dead) == (1, 1)


# -- Alertmanager


def manager(receiver: Receiver, poster: Poster, time: LoopClock, level: Level = Level.INFO) -> Alertmanager:
    route = Route(name="am", sink=SinkKind.ALERTMANAGER, urls=(receiver.url,), level=level, token_variable="TOKEN")
    return Alertmanager(
        route, receiver.url + "/", poster, time, Surroundings(environment={"TOKEN": "t0ken"}, shapes=SHAPES)
    )


async def tell(sinks: Sinks | Alertmanager, act: Callable[[], Awaitable[None]]) -> None:
    sinks = sinks if isinstance(sinks, Sinks) else Sinks(alertmanagers=[sinks])
    async with asyncio.TaskGroup() as group:
        task = group.create_task(sinks.run(lambda: True, lambda: None))
        await act()
        task.cancel()


def check_alerts(items: Any) -> None:
    """The rules of Alertmanager's v2 API: postableAlerts."""
    moment = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
    assert isinstance(items, list)
    for item in items:
        assert set(item) <= {"labels", "annotations", "startsAt", "endsAt", "generatorURL"}
        assert item["labels"]["alertname"]
        for labels in (item["labels"], item["annotations"]):
            assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in labels)
            assert all(isinstance(value, str) for value in labels.values())
        assert moment.fullmatch(item["startsAt"])
        assert moment.fullmatch(item["endsAt"])
        assert item["startsAt"] < item["endsAt"]


async def test_every_alertmanager_is_told_all_that_is_open_each_time(poster: Poster, time: LoopClock) -> None:
    async with receiving() as one, receiving() as two:
        both = [manager(one, poster, time), manager(two, poster, time)]

        async def act() -> None:
            for _ in range(2):
                for sink in both:
                    sink.tell([ALERT], 180.0)
                await asyncio.sleep(59)

        await tell(Sinks(alertmanagers=both), act)
        for receiver in (one, two):
            assert [request.path for request in receiver.requests] == ["/api/v2/alerts"] * 2
            for request in receiver.requests:
                check_alerts(request.json)
                assert request.headers["Authorization"] == "Bearer t0ken"
            first, second = (request.json[0] for request in receiver.requests)
            assert first["labels"] == second["labels"]
            assert first["labels"]["severity"] == "critical"
            assert first["startsAt"] == "2025-10-09T08:53:20.000Z"
            assert first["endsAt"] < second["endsAt"]


async def test_what_is_open_stays_open_while_a_pass_takes_long(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    sink = manager(receiver, poster, time)

    async def act() -> None:
        sink.tell([ALERT], 180.0)
        await asyncio.sleep(600)

    await tell(sink, act)
    ends = [request.json[0]["endsAt"] for request in receiver.requests]
    assert len(ends) == 10
    assert ends == sorted(ends)


async def test_whoever_leads_no_more_tells_nothing(receiver: Receiver, poster: Poster, time: LoopClock) -> None:
    sink = manager(receiver, poster, time)
    leads = False
    async with asyncio.TaskGroup() as group:
        task = group.create_task(sink.run(lambda: leads))
        sink.tell([ALERT], 180.0)
        await asyncio.sleep(60)
        leads = True
        await asyncio.sleep(600)
        task.cancel()
    assert receiver.requests == []


async def test_what_ended_is_told_as_ended(receiver: Receiver, poster: Poster, time: LoopClock) -> None:
    sink = manager(receiver, poster, time)

    async def act() -> None:
        sink.tell([replace(ALERT, ended=NOW + 60)], 180.0)
        await asyncio.sleep(1)

    await tell(sink, act)
    (item,) = receiver.requests[0].json
    check_alerts([item])
    assert item["endsAt"] == "2025-10-09T08:54:20.000Z"


async def test_what_got_worse_is_another_alert_and_the_former_one_is_over(
    receiver: Receiver, poster: Poster, time: LoopClock
) -> None:
    sink = manager(receiver, poster, time)

    async def act() -> None:
        sink.tell([replace(ALERT, level=Level.INFO)], 180.0)
        await asyncio.sleep(59)
        sink.tell([ALERT], 180.0)
        await asyncio.sleep(59)
        sink.tell([ALERT], 180.0)
        await asyncio.sleep(59)

    await tell(sink, act)
    _, second, third = (request.json for request in receiver.requests)
    check_alerts(second)
    by_level = {item["labels"]["severity"]: item["endsAt"] for item in second}
    assert by_level["info"] < by_level["critical"]
    assert len(third) == 1


async def test_one_alertmanager_that_is_down_keeps_nothing_from_the_other(poster: Poster, time: LoopClock) -> None:
    async with receiving() as one, receiving() as two:
        one.answers = [500, 500]
        both = [manager(one, poster, time), manager(two, poster, time)]

        async def act() -> None:
            for sink in both:
                sink.tell([ALERT], 180.0)
            await asyncio.sleep(45)

        await tell(Sinks(alertmanagers=both), act)
        assert len(two.requests) == 1
        assert len(one.requests) == 3  # told again until it answers
        assert (both[0].failures, both[0].why) == (2, "")


async def test_what_a_route_does_not_take_is_not_told(receiver: Receiver, poster: Poster, time: LoopClock) -> None:
    sink = manager(receiver, poster, time, level=Level.CRITICAL)

    async def act() -> None:
        sink.tell([replace(ALERT, level=Level.WARNING)], 180.0)
        await asyncio.sleep(1)

    await tell(sink, act)
    assert receiver.requests == []


async def test_many_alerts_go_in_several_requests(receiver: Receiver, poster: Poster, time: LoopClock) -> None:
    sink = manager(receiver, poster, time)

    async def act() -> None:
        sink.tell([replace(ALERT, key=f"drift-{number}") for number in range(450)], 180.0)
        await asyncio.sleep(1)

    await tell(sink, act)
    assert [len(request.json) for request in receiver.requests] == [200, 200, 50]


# -- Kubernetes Events


@dataclass
class Cluster:
    """As much of an API server as an event needs."""

    namespace: str = "ai"
    made: list[JsonObject] = field(default_factory=list)
    fault: Fault | None = None

    async def create(self, _resource: object, body: JsonObject, _seconds: float) -> JsonObject | Fault:
        self.made.append(body)
        return self.fault or body


def events(cluster: Cluster, time: LoopClock) -> KubeEvents:
    return KubeEvents(cluster, Regarding(name="reconciler-0", uid="u-1"), time)  # type: ignore[arg-type]


async def test_an_event_is_about_our_own_pod_and_has_the_time_as_kubernetes_wants_it(time: LoopClock) -> None:
    cluster = Cluster()
    assert await events(cluster, time)(LETTER) == Receipt()
    (event,) = cluster.made
    assert event["regarding"] == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "reconciler-0",
        "namespace": "ai",
        "uid": "u-1",
    }
    assert event["eventTime"] == "2025-10-09T08:53:20.000000Z"
    assert event["reason"] == "ReconcilerDrift"
    assert event["action"] == "Opened"
    assert event["type"] == "Warning"
    assert len(str(event["note"]).encode()) <= 1024


async def test_whatever_an_alert_says_its_event_is_one_that_kubernetes_takes(time: LoopClock) -> None:
    cluster = Cluster()
    hostile = "\x1b[31m<b>\u202e\ud800\n" + "ü" * 4000
    alert = replace(LETTER.alert, summary=hostile, description=hostile)
    assert await events(cluster, time)(replace(LETTER, alert=alert)) == Receipt()
    (event,) = cluster.made
    for version in ("1.27", "1.32"):
        kubernetes_validate.validate(event, version, strict=True)
    note = str(event["note"])
    assert len(note.encode()) <= 1024
    assert all(line.isprintable() for line in note.split("\n")), note


async def test_an_event_that_is_there_already_has_arrived_and_one_that_is_refused_is_let_go(time: LoopClock) -> None:
    there = Fault(cls=FaultClass.CONFLICT, code="AlreadyExists", message="it is there")
    assert await events(Cluster(fault=there), time)(LETTER) == Receipt()
    forbidden = Fault(cls=FaultClass.FORBIDDEN, code="Forbidden", message="no")
    assert (await events(Cluster(fault=forbidden), time)(LETTER)).final


async def test_events_are_few_at_a_time(time: LoopClock) -> None:
    cluster = Cluster()
    sink = events(cluster, time)
    receipts = [await sink(LETTER) for _ in range(30)]
    assert len(cluster.made) == 20
    assert receipts[-1] == Receipt(why="too many events at once", final=True)
    await asyncio.sleep(60)
    assert await sink(LETTER) == Receipt()


@pytest.mark.parametrize("shape", list(Shape))
async def test_every_shape_is_posted_as_json(receiver: Receiver, poster: Poster, time: LoopClock, shape: Shape) -> None:
    await hook(receiver, poster, time, shape=shape)(LETTER)
    assert receiver.requests[0].headers["Content-Type"].endswith("json")
    assert receiver.requests[0].json
