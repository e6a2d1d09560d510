"""The last step before the wire: sends a URL exactly as it is written and sleeps on the injected clock.

Operation URLs carry a signature over their own spelling, and aiohttp would respell them. Knows nothing of ARM.
"""

from __future__ import annotations

import re
from urllib.parse import quote

import aiohttp
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


async def send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a PUT or a DELETE again when a kept connection breaks under it, because HTTP calls them repeatable.
    Azure refuses the second one while it works on the first, so whether to repeat is for whoever can look first."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method in ("GET", "HEAD") or isinstance(error, aiohttp.ClientConnectorError):
            raise
        raise CutError(str(error)) from error


class ExactTransport(AioHttpTransport):
    """aiohttp under the Azure packages. The session belongs to whoever made it."""

    def __init__(self, session: aiohttp.ClientSession, clock: Clock) -> None:
        # No connection_verify here: a path in it would build a new TLS context for every request.
        super().__init__(
            session=session, session_owner=False, connection_timeout=_CONNECT_TIMEOUT, read_timeout=_READ_TIMEOUT
        )
        self._clock = clock

    async def send(  # type: ignore[override]  # the base says the same in two overloads
        self, request: HttpRequest, **options: object
    ) -> AsyncHttpResponse:
        written = request.url
        request.url = exact_url(written)  # type: ignore[assignment]  # aiohttp, to which it goes, takes either
        try:
            response: AsyncHttpResponse = await super().send(request, **options)  # type: ignore[call-overload]
        finally:
            request.url = written
        return response

    async def sleep(self, duration: float) -> None:
        await self._clock.sleep(duration)
