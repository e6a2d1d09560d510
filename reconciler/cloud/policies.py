"""Our own list of what happens to each request on its way out and to each answer on its way in.

What is not in it: azure-core's retries (the reader and the executor own those), the registration of resource providers
behind our back, redirects, and any logging of bodies and headers.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import structlog
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import (
    AsyncBearerTokenCredentialPolicy,
    AsyncHTTPPolicy,
    SansIOHTTPPolicy,
)
from azure.core.rest import AsyncHttpResponse, HttpRequest

from reconciler.cloud.budget import Budgets, Gate, Toll, Urgency
from reconciler.cloud.credential import read_principal
from reconciler.cloud.session import ReadOnlyViolation
from reconciler.model.ports import Chance, Clock

_log = structlog.get_logger("reconciler")

Request = PipelineRequest[HttpRequest]
Response = PipelineResponse[HttpRequest, AsyncHttpResponse]

# POSTs that ask and change nothing.
_ASKING = ("/checkdomainavailability", "/calculatemodelcapacity", "/checkskuavailability")


class ReadOnlyPolicy(SansIOHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Refuses whatever could change something: the second lock on a dry run."""

    def on_request(self, request: Request) -> None:
        if _changes(request.http_request):
            path = urlsplit(request.http_request.url).path
            raise ReadOnlyViolation(f"{request.http_request.method} {path} must not be sent: this session only reads")


def _changes(request: HttpRequest) -> bool:
    asks = request.method == "POST" and urlsplit(request.url).path.lower().endswith(_ASKING)
    return request.method not in ("GET", "HEAD") and not asks


class BearerPolicy(AsyncBearerTokenCredentialPolicy[HttpRequest, AsyncHttpResponse]):
    """Puts the token on; asks once for a new one when Azure does not take it."""

    async def on_challenge(self, request: Request, response: Response) -> bool:
        if await super().on_challenge(request, response):
            return True
        # Claims, even if they ask for nothing, are what makes a credential pass by its own cache.
        await self.authorize_request(request, *self._scopes, claims='{"access_token":{}}')
        return True


class BudgetPolicy(AsyncHTTPPolicy[HttpRequest, AsyncHttpResponse]):
    """Lets a request out when the budget of its subscription and principal has room; counts what left."""

    def __init__(self, endpoint: str, budgets: Budgets, clock: Clock, chance: Chance) -> None:
        super().__init__()
        self.sent = 0
        self._endpoint = endpoint
        self._budgets = budgets
        self._clock = clock
        self._chance = chance
        self._principals: dict[str, str] = {}

    async def send(self, request: Request) -> Response:
        urgency = request.context.options.pop("urgency", Urgency.STEP)
        gate = self._gate(request.http_request)
        async with gate.admit(urgency) as passage:
            self.sent += 1
            try:
                response = await self._await_answer(request)
            except Exception:
                self._budgets.tally("none", self._clock)
                raise
            answer = response.http_response
            self._budgets.tally(str(answer.status_code), self._clock)
            headers = lower(answer.headers)
            gate.learn(passage, answer.status_code, headers)
        # The path alone: a query may carry a signature.
        _log.debug(
            "request.answered",
            method=request.http_request.method,
            path=urlsplit(request.http_request.url).path,
            status=answer.status_code,
            request_id=headers.get("x-ms-correlation-request-id", ""),
        )
        return response

    async def _await_answer(self, request: Request) -> Response:
        """A write that has left is awaited to its answer, also when whoever sent it is cancelled meanwhile: cut off,
        Azure would go on with it and nobody would know how it ended."""
        if request.http_request.method in ("GET", "HEAD"):
            return await self.next.send(request)
        sending = asyncio.ensure_future(self.next.send(request))
        cancelled: asyncio.CancelledError | None = None
        while not sending.done():
            try:
                await asyncio.wait({sending})
            except asyncio.CancelledError as error:
                cancelled = error  # and perhaps again: whoever waits for several of us may lose patience twice
        if cancelled is not None:
            sending.exception()  # whatever it was, nobody waits for it any more
            raise cancelled
        return sending.result()

    def _gate(self, request: HttpRequest) -> Gate:
        parts = urlsplit(request.url).path.lower().split("/")
        subscription = parts[parts.index("subscriptions") + 1] if "subscriptions" in parts[:-1] else ""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self._principals:
            self._principals = {token: read_principal(token) or ""}
        place = (self._endpoint, subscription, self._principals[token])
        return self._budgets.gate(place, Toll.of(request.method), self._clock, self._chance)


def lower(headers: Any) -> dict[str, str]:
    """Headers by lower-case name."""
    return {name.lower(): value for name, value in headers.items()}
