"""The front door over a real socket: a few addresses, honest answers, and little to be had for whoever wants much."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import aiohttp
import pytest

from reconciler.model.health import Health
from reconciler.model.ports import Clock
from reconciler.runtime import server
from reconciler.runtime.clock import SystemClock
from reconciler.runtime.server import Front, Place, Ringer, Views, open_front
from tests.support.logged import logged

TOKEN = "a-token-that-nobody-guesses"
HEALTH = Health(taken_at=0.0, began_at=0.0, interval=60.0, patience=900.0)


GONE = (ConnectionError, asyncio.IncompleteReadError)


class Shop:
    """A front with views that a test sets, and what was rung."""

    def __init__(self, token: str = TOKEN, clock: Clock | None = None) -> None:
        self.health = HEALTH
        self.draw: Callable[[], str] = lambda: "<p>hello \ud800"
        self.live = self.ready = ""
        self.drawn = 0
        self.rung = 0
        views = Views(
            look=lambda: self.health,
            live=lambda _: self.live,
            ready=lambda _: self.ready,
            metrics=lambda _, accept: (b"up 1\n", accept or "text/plain"),
            status=lambda _: "{}",
            page=self._draw,
            policy="default-src 'none'; img-src data:",
        )
        clock = clock or SystemClock()
        self.front = Front(views, Ringer(token, self._ring, clock), clock)
        self.url = ""
        self.session: aiohttp.ClientSession

    def _draw(self, _health: Health) -> str:
        self.drawn += 1
        return self.draw()

    def _ring(self) -> None:
        self.rung += 1

    async def ask(self, method: str, path: str, **more: str) -> tuple[int, aiohttp.ClientResponse, str]:
        async with self.session.request(method, self.url + path, headers=more) as answer:
            return answer.status, answer, await answer.text()


@asynccontextmanager
async def connected(shop: Shop) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(shop.url.rpartition(":")[2]))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.fixture
def token() -> str:
    return TOKEN


@pytest.fixture
async def shop(token: str) -> AsyncIterator[Shop]:
    async with opened(Shop(token)) as shop:
        yield shop


@asynccontextmanager
async def opened(shop: Shop) -> AsyncIterator[Shop]:
    async with (
        open_front(Place(host="127.0.0.1", port=0), shop.front) as place,
        aiohttp.ClientSession() as session,
    ):
        shop.url, shop.session = f"http://127.0.0.1:{place.port}", session
        yield shop


async def test_whoever_lives_and_is_ready_says_so(shop: Shop) -> None:
    assert (await shop.ask("GET", "/livez"))[::2] == (200, "ok\n")
    assert (await shop.ask("GET", "/readyz"))[::2] == (200, "ok, leading\n")
    shop.health = replace(HEALTH, leads=False)
    assert (await shop.ask("GET", "/readyz"))[::2] == (200, "ok, standing by\n")


async def test_whoever_does_not_says_why(shop: Shop) -> None:
    shop.live, shop.ready = "stuck: nothing for 20 min", "draining"
    assert (await shop.ask("GET", "/livez"))[::2] == (503, "stuck: nothing for 20 min\n")
    assert (await shop.ask("GET", "/readyz"))[::2] == (503, "draining\n")


async def test_metrics_are_of_the_type_that_was_asked_for(shop: Shop) -> None:
    status, answer, text = await shop.ask("GET", "/metrics", Accept="application/openmetrics-text")
    assert (status, answer.headers["Content-Type"], text) == (200, "application/openmetrics-text", "up 1\n")


async def test_status_is_json_and_the_page_is_html(shop: Shop) -> None:
    _, status, _ = await shop.ask("GET", "/status")
    _, page, text = await shop.ask("GET", "/")
    assert status.headers["Content-Type"] == "application/json"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert text == "<p>hello ?"  # half a character, as Azure may send it


async def test_every_answer_is_strict(shop: Shop) -> None:
    asked = [("GET", "/"), ("GET", "/status"), ("GET", "/metrics"), ("GET", "/livez"), ("GET", "/no"), ("PUT", "/")]
    for method, path in (*asked, ("GET", "/reconcile"), ("POST", "/reconcile")):
        _, answer, _ = await shop.ask(method, path)
        headers = answer.headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'"), path
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["Referrer-Policy"] == "no-referrer", path
        assert headers["X-Frame-Options"] == "DENY", path
        assert headers["Cache-Control"] == "no-store", path
        assert headers["Server"] == "reconciler", path
        assert headers["Connection"] == "close", path


async def test_only_the_page_loads_more_than_nothing(shop: Shop) -> None:
    _, page, _ = await shop.ask("GET", "/")
    _, status, _ = await shop.ask("GET", "/status")
    assert page.headers["Content-Security-Policy"] == "default-src 'none'; img-src data:"
    assert status.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    "path", ["/no", "/livez/", "/status/..", "//", "/%2e%2e/etc/passwd", "/metrics%00", "/static/", "/favicon.ico"]
)
async def test_there_is_nothing_else(shop: Shop, path: str) -> None:
    async with connected(shop) as (reader, writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert (await reader.readline()).split()[1] in (b"404", b"400")


@pytest.mark.parametrize("path", ["/", "/status", "/metrics", "/livez", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
async def test_what_only_reads_refuses_everything_else(shop: Shop, path: str, method: str) -> None:
    status, answer, _ = await shop.ask(method, path)
    assert (status, answer.headers["Allow"]) == (405, "GET, HEAD")


async def test_a_head_is_a_get_without_its_body(shop: Shop) -> None:
    status, answer, text = await shop.ask("HEAD", "/status")
    assert (status, answer.headers["Content-Length"], text) == (200, "2", "")


async def test_a_page_is_drawn_once_a_second_however_many_ask(shop: Shop) -> None:
    for _ in range(5):
        await shop.ask("GET", "/")
    assert shop.drawn == 1


async def test_a_page_that_takes_long_is_drawn_beside_the_loop_and_by_one_at_a_time(shop: Shop) -> None:
    loop, went_on = asyncio.get_running_loop(), threading.Event()
    waits: list[bool] = []

    def draw() -> str:
        loop.call_soon_threadsafe(went_on.set)
        waits.append(went_on.wait(5))
        return "<p>"

    shop.draw = draw
    answers = await asyncio.gather(*(shop.ask("GET", "/") for _ in range(5)))
    assert [status for status, _, _ in answers] == [200] * 5
    assert waits == [True]


class Hand(SystemClock):
    """A clock that somebody moves."""

    at = 1000.0

    def monotonic(self) -> float:
        return self.at


async def test_a_page_that_takes_long_is_drawn_less_often() -> None:
    hand = Hand()

    def draw() -> str:
        hand.at += 3.0
        return "<p>"

    async with opened(Shop(clock=hand)) as shop:
        shop.draw = draw
        for _ in range(3):
            assert (await shop.ask("GET", "/"))[0] == 200
            hand.at += 5.0
        assert shop.drawn == 1
        hand.at += 30.0
        await shop.ask("GET", "/")
        assert shop.drawn == 2


@pytest.mark.parametrize(
    ("every", "header"),
    [("30", "30"), ("1", "5"), ("9999", "9999"), ("99999", None), ("x", None), ("", None), ("٣٠", None), ("-3", None)],
)
async def test_a_page_looks_again_by_itself_where_it_was_asked_to(shop: Shop, every: str, header: str | None) -> None:
    _, answer, _ = await shop.ask("GET", f"/?every={every}")
    assert answer.headers.get("Refresh") == header


async def test_who_shows_the_token_sets_off_a_pass(shop: Shop) -> None:
    status, _, text = await shop.ask("POST", "/reconcile", Authorization=f"Bearer {TOKEN}")
    assert (status, text, shop.rung) == (202, "a pass follows\n", 1)


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        ("", "Bearer"),
        ("Bearer", "Bearer"),
        (f"Basic {TOKEN}", "Bearer"),
        ("Bearer wrong", 'Bearer error="invalid_token"'),
        (f"Bearer {TOKEN}x", 'Bearer error="invalid_token"'),
        (f"Bearer {TOKEN[:-1]}", 'Bearer error="invalid_token"'),
        ("Bearer \u00e9", 'Bearer error="invalid_token"'),
    ],
)
async def test_who_does_not_is_sent_away(shop: Shop, header: str, challenge: str) -> None:
    status, answer, _ = await shop.ask("POST", "/reconcile", Authorization=header)
    assert (status, answer.headers["WWW-Authenticate"], shop.rung) == (401, challenge, 0)


async def test_a_token_that_was_wrong_is_not_logged(shop: Shop) -> None:
    with logged() as logs:
        await shop.ask("POST", "/reconcile", Authorization="Bearer something-like-a-token")
    assert [each["event"] for each in logs] == ["reconcile.refused"]
    assert "something-like" not in str(logs)


async def test_passes_cannot_be_asked_for_without_end(shop: Shop) -> None:
    answers = [await shop.ask("POST", "/reconcile", Authorization=f"Bearer {TOKEN}") for _ in range(7)]
    assert [status for status, _, _ in answers] == [202] * 5 + [429] * 2
    assert 1 <= int(answers[-1][1].headers["Retry-After"]) <= 10
    assert shop.rung == 5


async def test_who_reads_where_one_rings_is_told_how(shop: Shop) -> None:
    status, answer, _ = await shop.ask("GET", "/reconcile")
    assert (status, answer.headers["Allow"]) == (405, "POST")


async def test_who_stands_by_or_stops_makes_no_pass(shop: Shop) -> None:
    for health, words in (
        (replace(HEALTH, leads=False), "this replica stands by; ask the one that leads\n"),
        (replace(HEALTH, stopping="the daemon is stopping"), "the daemon is stopping\n"),
    ):
        shop.health = health
        status, answer, text = await shop.ask("POST", "/reconcile", Authorization=f"Bearer {TOKEN}")
        assert (status, text, answer.headers["Retry-After"], shop.rung) == (503, words, "15", 0)


@pytest.mark.parametrize("token", [""])
async def test_without_a_token_nobody_may(shop: Shop) -> None:
    for header in ("Bearer x", "Bearer ", ""):
        status, _, text = await shop.ask("POST", "/reconcile", Authorization=header)
        assert (status, text) == (403, "nobody may ask for a pass: no token is set for it\n")
    assert shop.rung == 0


async def test_a_body_is_not_waited_for(shop: Shop) -> None:
    async with shop.session.post(shop.url + "/reconcile", data=b"x" * 2000) as answer:
        assert answer.status == 413


async def test_what_is_no_request_is_told_so_and_no_more(shop: Shop) -> None:
    for sent in (b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\n\r\n"):
        async with connected(shop) as (reader, writer):
            writer.write(sent)
            answer = await reader.read()
        assert answer.split()[1] == b"400"
        assert answer.endswith(b"this is no request\n")


async def test_an_answer_that_cannot_be_made_is_told_to_us_alone(shop: Shop) -> None:
    shop.health = None  # type: ignore[assignment]
    with logged() as logs:
        status, answer, text = await shop.ask("GET", "/readyz")
    assert (status, text) == (500, "this could not be answered\n")
    assert answer.headers["Content-Security-Policy"]
    assert [each["event"] for each in logs] == ["server.crashed"]


async def test_who_says_nothing_is_hung_up_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_LIFE", 0.2)
    async with asyncio.timeout(5), connected(shop) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: ")
        with pytest.raises(GONE):
            await reader.readexactly(1)


async def test_only_so_many_may_wait_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_CONNECTIONS", 3)
    async with connected(shop), connected(shop), connected(shop):
        await asyncio.sleep(0.05)
        async with connected(shop) as (reader, writer):
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            with pytest.raises(GONE):
                await reader.readexactly(1)


async def test_only_a_few_take_what_is_large_at_once_however_slowly(shop: Shop) -> None:
    large = "x" * 32 * 1024 * 1024  # more than lies in the buffers of sockets
    shop.draw = lambda: large
    with logged() as lines:
        async with AsyncExitStack() as slow:
            for _ in range(4):
                reader, writer = await slow.enter_async_context(connected(shop))
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            status, answer, text = await shop.ask("GET", "/")
            assert (status, answer.headers["Retry-After"]) == (503, "10")
            assert text == "others are taking what is large; ask again in a moment\n"
            assert (await shop.ask("GET", "/status"))[0] == 200
            assert (await shop.ask("HEAD", "/"))[0] == 200
        while shop.front._large:  # noqa: ASYNC110 - the connections end by themselves
            await asyncio.sleep(0.01)
        assert len((await shop.ask("GET", "/"))[2]) == len(large)
    assert lines == []


async def test_a_place_that_is_taken_is_refused_at_once(shop: Shop) -> None:
    place = Place(host="127.0.0.1", port=int(shop.url.rpartition(":")[2]))
    why = "Address already in use; name another place with --listen, or off"
    told = f"^nobody can listen at 127.0.0.1:{place.port}: {why}$"
    with pytest.raises(OSError, match=told):
        async with open_front(place, shop.front):
            pass


async def test_a_place_that_has_no_address_is_told_by_its_name(shop: Shop) -> None:
    with pytest.raises(OSError, match=r"^nobody can listen at nowhere\.invalid:80: .*[Nn]ame.*; name another place"):
        async with open_front(Place(host="nowhere.invalid", port=80), shop.front):
            pass
