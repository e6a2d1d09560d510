"""The last step before the wire: sends a URL exactly as it is written and sleeps on the injected clock.

Operation URLs carry a signature over their own spelling, and aiohttp would respell them. Knows nothing of ARM.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # public, but typeshed lacks it

import aiohttp
from aiohttp.connector import Connection
from azure.core.pipeline.transport._aiohttp import AioHttpTransport  # the public name is not typed
from azure.core.rest import AsyncHttpResponse, HttpRequest
from yarl import URL

from reconciler.model.ports import Clock

# Everything that may not stand in a URL as it is; a percent sign may, it belongs to an encoding that is kept.
_ILLEGAL = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")

# A deployment's PUT blocks for half a minute at times.
_CONNECT_TIMEOUT = 30.0
_READ_TIMEOUT = 300.0


def exact_url(text: str) -> URL:
    """`text` byte for byte; only what cannot stand in a URL, such as a raw space, is encoded."""
    return URL(_ILLEGAL.sub(lambda match: quote(match[0]), text), encoded=True)


class CutError(aiohttp.ClientError):
    """The connection broke under a request that may have changed something."""


class UncoveredError(aiohttp.ClientError):
    """A write was ready to leave when nothing may be written any more; nothing was sent."""


class CoveredConnector(aiohttp.TCPConnector):
    """Gives a write its connection only while `barred` says nothing against it. Until there has been a wait for a place
    in the budget, a token and a handshake; after it there is none."""

    def __init__(self, barred: Callable[[], str], **options: Any) -> None:
        super().__init__(**options)
        self._barred = barred

    async def connect(self, req: aiohttp.ClientRequest, *rest: Any, **named: Any) -> Connection:
        connection = await super().connect(req, *rest, **named)
        if req.method in ("PUT", "PATCH", "DELETE") and (why := self._barred()):
            connection.release()
            raise UncoveredError(why)
        return connection


async def send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a PUT or a DELETE again when a kept connection breaks under it, because HTTP calls them repeatable.
    Azure refuses the second one while it works on the first, so whether to repeat is for whoever can look first."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method in ("GET", "HEAD") or isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise CutError(str(error)) from error


class Proxies:
    """Which proxy the environment names for a URL. Asked once per host: aiohttp would ask in two threads per request,
    and look for passwords in ~/.netrc on the way."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        named = {name.lower(): value for name, value in environment.items() if value}
        self._proxies = {scheme: named.get(f"{scheme}_proxy") or named.get("all_proxy") for scheme in ("http", "https")}
        self._spared = {"no": named.get("no_proxy", "")}
        self._known: dict[tuple[str, str], str | None] = {}

    def proxy_for(self, url: str) -> str | None:
        parts = urlsplit(url)
        place = (parts.scheme.lower(), parts.netloc.lower())
        if place not in self._known:
            spared = bool(proxy_bypass_environment(place[1], self._spared))
            self._known[place] = None if spared else self._proxies.get(place[0])
        return self._known[place]


class ExactTransport(AioHttpTransport):
    """aiohttp under the Azure packages. The session belongs to whoever made it."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, proxies: Proxies) -> None:
        # No connection_verify here: a path in it would build a new TLS context for every request.
        super().__init__(
            session=session, session_owner=False, connection_timeout=_CONNECT_TIMEOUT, read_timeout=_READ_TIMEOUT
        )
        self._clock = clock
        self._proxies = proxies

    async def send(  # type: ignore[override]  # the base says the same in two overloads
        self, request: HttpRequest, **options: object
    ) -> AsyncHttpResponse:
        written = request.url
        options.setdefault("proxy", self._proxies.proxy_for(written))
        request.url = exact_url(written)  # type: ignore[assignment]  # aiohttp, to which it goes, takes either
        try:
            response: AsyncHttpResponse = await super().send(request, **options)  # type: ignore[call-overload]
        finally:
            request.url = written
        return response

    async def sleep(self, duration: float) -> None:
        await self._clock.sleep(duration)
