"""The daemon seen from outside: a few addresses over HTTP that only read, and one that rings, for those with its token.

Promises that whoever asks can take little: a connection lives for seconds, there are only so many at once, a request is
small, an answer is made at most once a second, beside the loop, and less often where that takes long, and only a few
take a large one at once. It shows no file, has no secret, and knows nothing of what it shows.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import structlog
from aiohttp import web

from reconciler.model.health import Health
from reconciler.model.ports import Clock

_log = structlog.get_logger("reconciler")

_LIFE = 10.0  # seconds of a connection, whatever it does
_CONNECTIONS = 64
_LARGE, _MOST_LARGE = 1024 * 1024, 4  # bytes of an answer, and how many of those are on their way at once
_LINE, _FIELD, _BODY = 2048, 4096, 1024  # bytes
_FRESH = 1.0  # seconds for which an answer is given again
_CROWDED = "10"  # seconds, a connection's life
_PAUSE = 9.0  # times as long as it took to make, at least
_OFTENEST = 5  # seconds between two times that a page looks again by itself
_RINGS, _REFILL = 5.0, 10.0  # so many at once, and one more after so many seconds
_READS: Final = ("GET", "HEAD")
_TEXT, _JSON, _HTML = "text/plain; charset=utf-8", "application/json", "text/html; charset=utf-8"
_NOTHING: Final = "default-src 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    "Server": "reconciler",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to listen. Port 0 takes whichever is free."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What there is to see, and how to draw it: `live` and `ready` give "" or why not, `metrics` a body and its type
    for an Accept header, and `policy` is what the page may load."""

    look: Callable[[], Health]
    live: Callable[[Health], str]
    ready: Callable[[Health], str]
    metrics: Callable[[Health, str], tuple[bytes, str]]
    status: Callable[[Health], str]
    page: Callable[[Health], str]
    policy: str


class Ringer:
    """Lets those in who know the token, and rings for them, but not without end. Without a token it lets nobody in."""

    def __init__(self, token: str, ring: Callable[[], None], clock: Clock) -> None:
        self._digest = sha256(token.encode()).digest() if token else b""
        self._ring = ring
        self._clock = clock
        self._left = _RINGS
        self._at = clock.monotonic()

    @property
    def open(self) -> bool:
        return bool(self._digest)

    def knows(self, token: str) -> bool:
        """Takes as long for every token that is wrong."""
        return hmac.compare_digest(sha256(token.encode("utf-8", "surrogateescape")).digest(), self._digest)

    def ring(self) -> float:
        """Ring, or tell for how many seconds that must wait."""
        now = self._clock.monotonic()
        self._left = min(_RINGS, self._left + (now - self._at) / _REFILL)
        self._at = now
        if self._left < 1.0:
            return (1.0 - self._left) * _REFILL
        self._left -= 1.0
        self._ring()
        return 0.0


class Front:
    """Answers requests."""

    def __init__(self, views: Views, ringer: Ringer, clock: Clock) -> None:
        self._views = views
        self._ringer = ringer
        self._clock = clock
        self._drawn: dict[str, tuple[float, bytes]] = {}
        self._drawing = asyncio.Lock()
        self._large = 0  # answers on their way
        self._routes: Mapping[str, Callable[[web.BaseRequest], Coroutine[object, object, web.Response]]] = {
            "/livez": self._live,
            "/readyz": self._ready,
            "/metrics": self._metrics,
            "/status": self._status,
            "/": self._page,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        response = await self._choose(request)
        response.force_close()
        if request.method == "GET" and (response.content_length or 0) > _LARGE:
            return await self._send_large(request, response)
        return response

    async def _send_large(self, request: web.BaseRequest, response: web.Response) -> web.Response:
        """Each connection holds a copy of its own until the last of it has been read."""
        if self._large >= _MOST_LARGE:
            crowded = _say(503, "others are taking what is large; ask again in a moment", {"Retry-After": _CROWDED})
            crowded.force_close()
            return crowded
        self._large += 1
        try:
            with suppress(ConnectionError):  # whoever asked has gone
                await response.prepare(request)
                await response.write_eof()
        finally:
            self._large -= 1
        return response

    async def _choose(self, request: web.BaseRequest) -> web.Response:
        if (request.content_length or 0) > _BODY:
            return _say(413, "a request needs no body")
        if request.path == "/reconcile":
            return self._reconcile(request)
        route = self._routes.get(request.path)
        if route is None:
            return _say(404, "there is nothing here; see /, /status, /metrics, /livez, /readyz")
        if request.method not in _READS:
            return _say(405, "this only reads", {"Allow": ", ".join(_READS)})
        return await route(request)

    async def _live(self, _request: web.BaseRequest) -> web.Response:
        why = self._views.live(self._views.look())
        return _say(503, why) if why else _say(200, "ok")

    async def _ready(self, _request: web.BaseRequest) -> web.Response:
        health = self._views.look()
        why = self._views.ready(health)
        if why:
            return _say(503, why)
        return _say(200, "ok, leading" if health.leads else "ok, standing by")

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        accept = request.headers.get("Accept", "")
        body, media = self._views.metrics(self._views.look(), accept)
        return _give(body, media)

    async def _status(self, _request: web.BaseRequest) -> web.Response:
        return _give(await self._draw("/status", self._views.status), _JSON)

    async def _page(self, request: web.BaseRequest) -> web.Response:
        page = _give(await self._draw("/", self._views.page), _HTML, self._views.policy)
        every = request.query.get("every", "")
        if every.isascii() and every.isdigit() and len(every) < 5:
            page.headers["Refresh"] = str(max(_OFTENEST, int(every)))
        return page

    async def _draw(self, path: str, draw: Callable[[Health], str]) -> bytes:
        """What was drawn a moment ago, or is drawn anew: a large fleet takes its time."""
        async with self._drawing:
            began = self._clock.monotonic()
            until, body = self._drawn.get(path, (-math.inf, b""))
            if began < until:
                return body
            text = await asyncio.to_thread(draw, self._views.look())
            body, ended = text.encode(errors="replace"), self._clock.monotonic()
            self._drawn[path] = (ended + max(_FRESH, _PAUSE * (ended - began)), body)
            return body

    def _reconcile(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            return _say(405, "POST asks for a pass", {"Allow": "POST"})
        refusal = self._refuse(request)
        if refusal is not None:
            return refusal
        health = self._views.look()
        if health.stopping or not health.leads:
            return _say(503, health.stopping or "this replica stands by; ask the one that leads", {"Retry-After": "15"})
        if wait := self._ringer.ring():
            return _say(429, "passes were asked for just now", {"Retry-After": str(math.ceil(wait))})
        _log.info("reconcile.asked", remote=request.remote)
        return _say(202, "a pass follows")

    def _refuse(self, request: web.BaseRequest) -> web.Response | None:
        if not self._ringer.open:
            return _say(403, "nobody may ask for a pass: no token is set for it")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return _say(401, "who asks for a pass shows a bearer token", {"WWW-Authenticate": "Bearer"})
        if not self._ringer.knows(token.strip()):
            _log.warning("reconcile.refused", remote=request.remote)
            return _say(401, "this is not the token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return None


def _say(status: int, words: str, more: Mapping[str, str] | None = None) -> web.Response:
    headers = {**_HEADERS, "Content-Type": _TEXT, "Content-Security-Policy": _NOTHING, **(more or {})}
    return web.Response(status=status, body=f"{words}\n".encode(errors="replace"), headers=headers)


def _give(body: bytes, media: str, policy: str = _NOTHING) -> web.Response:
    return web.Response(body=body, headers={**_HEADERS, "Content-Type": media, "Content-Security-Policy": policy})


class _Visit(web.RequestHandler):
    """One connection, which ends by itself."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        # One that is not even read from would never be closed: what is left of an answer would be waited for.
        asyncio.get_running_loop().call_later(_LIFE, transport.abort)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What was wrong with a request is for whoever sent it, what was wrong with the answer is for us."""
        del message  # repeats what was sent
        if status >= 500:
            _log.error("server.crashed", path=request.path, exc_info=exc)
        response = _say(status, "this could not be answered" if status >= 500 else "this is no request")
        response.force_close()
        return response


@asynccontextmanager
async def open_front(place: Place, front: Front) -> AsyncIterator[Place]:
    """Listen at `place` while the block runs, and tell where that is. OSError where that cannot be."""
    loop = asyncio.get_running_loop()
    door = web.Server(front.answer)

    def admit() -> asyncio.BaseProtocol:
        if len(door.connections) >= _CONNECTIONS:
            return _Refusal()
        return _Visit(
            door,
            loop=loop,
            keepalive_timeout=_LIFE,
            lingering_time=0.0,
            max_line_size=_LINE,
            max_field_size=_FIELD,
            max_headers=64,
        )

    try:
        server = await loop.create_server(admit, place.host, place.port)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        told = f"nobody can listen at {place.host}:{place.port}: {why}; name another place with --listen, or off"
        raise OSError(told) from error
    taken = Place(host=place.host, port=server.sockets[0].getsockname()[1])
    _log.info("server.listening", host=taken.host, port=taken.port)
    try:
        yield taken
    finally:
        server.close()
        await door.shutdown(1.0)


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
