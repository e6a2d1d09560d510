"""Wire JSON in, wire JSON out, through the operations of the Azure SDK that a binding names.

One call is one request (a list: one per page). The SDK makes the request, a hook catches the answer as it came, and no
model of the SDK is ever made. What is no 2xx comes back as a `Fault`. Never retries, never polls.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any, NamedTuple, Self
from urllib.parse import quote

import aiohttp
from azure.core import AsyncPipelineClient
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    SerializationError,
    ServiceRequestTimeoutError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.policies import (
    CustomHookPolicy,
    DistributedTracingPolicy,
    HeadersPolicy,
    RequestIdPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

from reconciler.cloud.budget import GateClosedError, Urgency
from reconciler.cloud.connection import Connection
from reconciler.cloud.faults import own_fault, read_fault, request_id
from reconciler.cloud.policies import BearerPolicy, ReadOnlyPolicy, lower
from reconciler.cloud.sdk import sparingly
from reconciler.cloud.transport import UncoveredError
from reconciler.kinds.base import Binding
from reconciler.kinds.catalog import TYPES
from reconciler.model.finding import LEASE_LOST, Fault
from reconciler.model.ids import ArmId
from reconciler.model.plan import Verb
from reconciler.model.ports import Write
from reconciler.model.wire import Json, JsonObject

# A list over a whole subscription asks every region; what blocks longer than this will not answer at all.
_READ_PATIENCE = 100.0

# What Entra answers when it has trouble of its own.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})

_PERMISSIONS = "2022-04-01"

Operation = Callable[..., Any]


class _Bounds(NamedTuple):
    """How far a list is followed: so many pages, each waited for so many seconds."""

    pages: int
    seconds: float


_WHOLE = _Bounds(pages=sys.maxsize, seconds=_READ_PATIENCE)
# Events explain and decide nothing: no run is held up for long to read all of a busy subscription's day.
_NEWEST = _Bounds(pages=10, seconds=20.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A 2xx. Header names are lower-case; `body` is None where there was none."""

    status: int
    headers: dict[str, str]
    body: Json

    @property
    def request_id(self) -> str | None:
        return request_id(self.headers)


class _Answered(Exception):  # noqa: N818 — no error: it leaves the SDK
    """The answer is here, and nothing that the SDK would do with it is wanted."""


@dataclass(slots=True)
class _Heard:
    """The answer to a call, caught by a hook before a model is made of it: the models drop what they do not know, cost
    more than the request, and one raises at a 200 that Azure gives it."""

    response: Any = None

    def hear(self, response: Any) -> None:
        self.response = response.http_response
        raise _Answered


@dataclass(slots=True)
class Page:
    """What a list gave before it ended: all of it, or what came before `fault`."""

    items: list[JsonObject] = field(default_factory=list)
    fault: Fault | None = None


class Gateway:
    """The SDK's clients over one connection, one per subscription, made when first asked for."""

    def __init__(self, connection: Connection, *, read_only: bool) -> None:
        self._connection = connection
        agent = f"reconciler/{version('reconciler')}"
        self._policies = [
            CustomHookPolicy(),
            RequestIdPolicy(),
            HeadersPolicy(),
            UserAgentPolicy(base_user_agent=agent, user_agent_overwrite=True),
            *([ReadOnlyPolicy()] if read_only else []),
            BearerPolicy(connection.credential, connection.scope),
            connection.budget,
            # Within the budget: how long a request waits for its turn is not Azure's time. Does nothing unless asked.
            DistributedTracingPolicy(),
        ]
        self._plain: AsyncPipelineClient[HttpRequest, Any] = AsyncPipelineClient(
            connection.endpoint, policies=self._policies, transport=connection.transport
        )
        self._clients: dict[tuple[str, str], Any] = {}
        self._date = ""

    @property
    def now(self) -> float | None:
        """Azure's own time by its newest answer, in epoch seconds; None before there was one."""
        try:
            return parsedate_to_datetime(self._date).timestamp()
        except ValueError:
            return None

    @property
    def requests(self) -> int:
        """How many requests have left."""
        return self._connection.budget.sent

    @property
    def endpoint(self) -> str:
        return self._connection.endpoint

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._clients.values():
            await client.close()
        await self._plain.close()

    async def principal(self) -> str | Fault | None:
        try:
            return await self._connection.principal()
        except AzureError as error:
            return _silence(error)

    async def get(self, binding: Binding, id: ArmId, urgency: Urgency = Urgency.STEP) -> Reply | Fault:
        operation = self._operation(binding, binding.get, id.subscription)
        return await self._read(operation, urgency, **_names(binding, id))

    async def list_all(self, binding: Binding, subscription: str) -> Page:
        return await self._list(self._operation(binding, binding.list_all, subscription))

    async def list_children(self, binding: Binding, parent: ArmId) -> Page:
        names = _names(binding, parent)
        return await self._list(self._operation(binding, binding.list_children, parent.subscription), **names)

    async def list_deleted(self, binding: Binding, subscription: str) -> Page:
        group = getattr(self._client(binding, subscription), binding.deleted_group)
        return await self._list(getattr(group, binding.deleted_list))

    async def get_deleted(self, binding: Binding, id: ArmId, location: str) -> Reply | Fault:
        """A soft-deleted resource by the id that it had alive; Azure finds it in its own location only."""
        group = getattr(self._client(binding, id.subscription), binding.deleted_group)
        operation = getattr(group, binding.deleted_get)
        return await self._read(operation, Urgency.STEP, **_names(binding, id), location=location)

    async def send(self, binding: Binding, write: Write) -> Reply | Fault:
        """One mutating request, answered by whatever Azure says first."""
        names: dict[str, Any] = _names(binding, write.id)
        body = json.dumps(write.body, ensure_ascii=False).encode() if write.body is not None else b""
        match write.verb:
            case Verb.PUT | Verb.RESTORE:
                operation, names[binding.body] = binding.put, body
            case Verb.PATCH:
                operation, names[binding.patch_body] = binding.patch, body
            case Verb.DELETE:
                operation = binding.delete
            case Verb.PURGE:
                operation, names["location"] = binding.purge, write.location
        group = binding.deleted_group if write.verb is Verb.PURGE else binding.group
        call = getattr(getattr(self._client(binding, write.id.subscription), group), operation)
        if operation.startswith("begin_"):
            names["polling"] = False
        return await self._hear(lambda heard: call(**names, urgency=Urgency.WAITED_FOR, raw_response_hook=heard.hear))

    async def follow(
        self, url: str, urgency: Urgency = Urgency.WAITED_FOR, seconds: float = _READ_PATIENCE
    ) -> Reply | Fault:
        """GET a URL that Azure has handed out, byte for byte."""
        request = HttpRequest("GET", url, headers={"Accept": "application/json"})
        return await self._hear(
            lambda heard: self._plain.send_request(
                request, urgency=urgency, raw_response_hook=heard.hear, read_timeout=seconds
            )
        )

    async def check_subdomain(self, subscription: str, arm_type: str, name: str, kind: str) -> Reply | Fault:
        client = self._client_named("cognitiveservices", subscription)
        return await self._read(
            client.check_domain_availability, Urgency.STEP, subdomain_name=name, type=arm_type, kind=kind
        )

    async def list_models(self, subscription: str, location: str) -> Page:
        """The models that a region sells: megabytes, so only where somebody needs to know."""
        client = self._client_named("cognitiveservices", subscription)
        return await self._list(client.models.list, location=location)

    async def list_usages(self, subscription: str, location: str) -> Page:
        """The pools of quota of a region: about 170 short lines."""
        client = self._client_named("cognitiveservices", subscription)
        return await self._list(client.usages.list, location=location)

    async def list_capacities(self, subscription: str, model: tuple[str, str, str]) -> Page:
        """How much of a model, by format, name and version, there is hardware for, in every region at once."""
        client = self._client_named("cognitiveservices", subscription)
        format_, name, version = model
        return await self._list(
            client.model_capacities.list, model_format=format_, model_name=name, model_version=version
        )

    async def list_events(self, subscription: str, terms: str) -> Page:
        """What the activity log holds, newest first; of a busy subscription no more than its newest pages."""
        client = self._client_named("monitor", subscription)
        return await self._list(client.activity_logs.list, _NEWEST, filter=terms)

    async def list_permissions(self, place: ArmId) -> Page:
        """What we are granted at a place. Azure answers for a subscription too, though no SDK knows that URL:
        https://github.com/Azure/azure-rest-api-specs/issues/19473"""
        path = quote(f"{place}/providers/Microsoft.Authorization/permissions", safe="/()")
        first = f"{self.endpoint}{path}?api-version={_PERMISSIONS}"
        return await self._pages(await self.follow(first, Urgency.LIST), _WHOLE)

    async def get_provider(self, subscription: str, namespace: str) -> Reply | Fault:
        client = self._client_named("resources", subscription)
        return await self._read(client.providers.get, Urgency.LIST, resource_provider_namespace=namespace)

    async def _list(self, operation: Operation, bounds: _Bounds = _WHOLE, /, **names: str) -> Page:
        async def first(heard: _Heard) -> None:
            pages = operation(
                **names, urgency=Urgency.LIST, raw_response_hook=heard.hear, read_timeout=bounds.seconds
            ).by_page()
            await anext(pages, None)

        return await self._pages(await self._hear(first), bounds)

    async def _pages(self, reply: Reply | Fault, bounds: _Bounds) -> Page:
        """All that follows a first page, and what is in it."""
        page, left = Page(), bounds.pages
        while not isinstance(reply, Fault):
            if not isinstance(reply.body, dict) or not isinstance(reply.body.get("value"), list):
                reply = own_fault("unreadable_answer", "A list came without its items", request_id=reply.request_id)
                break
            page.items += [item for item in _items(reply.body) if isinstance(item, dict)]
            following = reply.body.get("nextLink")
            if not isinstance(following, str) or not following:
                return page
            left -= 1
            if not left:
                reply = own_fault("list_too_long", f"Only its first {bounds.pages} pages were read")
                break
            reply = await self.follow(following, Urgency.LIST, bounds.seconds)
        page.fault = reply
        return page

    async def _read(self, operation: Operation, urgency: Urgency, **names: str) -> Reply | Fault:
        return await self._hear(
            lambda heard: operation(**names, urgency=urgency, raw_response_hook=heard.hear, read_timeout=_READ_PATIENCE)
        )

    async def _hear(self, call: Callable[[_Heard], Awaitable[Any]]) -> Reply | Fault:
        heard = _Heard()
        try:
            try:
                await call(heard)
            except _Answered:
                if not heard.response.is_stream_consumed:
                    await heard.response.read()
        except (AzureError, SerializationError, GateClosedError, aiohttp.ClientError) as error:
            return _silence(error)
        self._date = heard.response.headers.get("date", self._date)
        return _answer(heard.response)

    def _operation(self, binding: Binding, name: str, subscription: str) -> Operation:
        operation: Operation = getattr(getattr(self._client(binding, subscription), binding.group), name)
        return operation

    def _client(self, binding: Binding, subscription: str) -> Any:
        return self._client_named(binding.client, subscription)

    def _client_named(self, name: str, subscription: str) -> Any:
        key = (name, subscription.lower())
        if key not in self._clients:
            self._clients[key] = client_class(name)(
                self._connection.credential,
                subscription,
                base_url=self._connection.endpoint,
                credential_scopes=[self._connection.scope],
                policies=self._policies,
                transport=self._connection.transport,
            )
        return self._clients[key]


def client_class(name: str) -> Any:
    """The SDK's client for a binding's word; each package is loaded when it is first needed."""
    with sparingly(type_.binding.group for type_ in TYPES if type_.binding.client == name):
        return _load_client(name)


def _load_client(name: str) -> Any:
    if name == "cognitiveservices":
        from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient  # noqa: PLC0415

        return CognitiveServicesManagementClient
    if name == "resources":
        from azure.mgmt.resource.resources.aio import ResourceManagementClient  # noqa: PLC0415

        return ResourceManagementClient
    if name == "network":
        from azure.mgmt.network.aio import NetworkManagementClient  # noqa: PLC0415

        return NetworkManagementClient
    if name == "privatedns":
        from azure.mgmt.privatedns.aio import PrivateDnsManagementClient  # noqa: PLC0415

        return PrivateDnsManagementClient
    if name == "monitor":
        from azure.mgmt.monitor.aio import MonitorManagementClient  # noqa: PLC0415

        return MonitorManagementClient
    raise LookupError(f"no SDK client is known as {name!r}")


def _names(binding: Binding, id: ArmId) -> dict[str, str]:
    """The names in an id by the keywords that take them; a parent's id fills as many as it has. What lies in no group
    has no keyword for one."""
    values = (*([id.group] if id.group else []), *(name for _, name in id.segments))
    return dict(zip(binding.names, values, strict=False))


def _items(body: JsonObject) -> list[Json]:
    value = body.get("value")
    return value if isinstance(value, list) else []


def _answer(response: Any) -> Reply | Fault:
    headers = lower(response.headers)
    text = response.content.decode("utf-8-sig", "replace")
    body, readable = _parse(text)
    if response.status_code >= 300:
        return read_fault(response.status_code, headers, text, body)
    if not readable:
        return own_fault("unreadable_answer", text[:200], request_id=request_id(headers))
    return Reply(status=response.status_code, headers=headers, body=body)


def _parse(text: str) -> tuple[Json, bool]:
    if not text.strip():
        return None, True
    try:
        body: Json = json.loads(text)
    except ValueError:
        return None, False
    return body, True


# What there was instead of an answer, first match first: our code, and whether the request may have had its effect.
_SILENCES: tuple[tuple[tuple[type[Exception], ...], str, bool], ...] = (
    ((UncoveredError,), LEASE_LOST, False),
    ((ClientAuthenticationError,), "credential_failed", False),
    ((SerializationError,), "refused_by_client", False),
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError), "certificate_untrusted", False),
    ((aiohttp.ClientConnectorError, ServiceRequestTimeoutError), "connection_refused", False),
    ((ServiceResponseTimeoutError,), "connection_timeout", True),
)


# A chain of credentials leaves nothing but text of what went wrong. That nobody answers where machines ask for their
# managed identity is no trouble with the network: there is none.
_UNREACHED = re.compile(r"Cannot connect to host (?!169\.254\.)")


def _silence(error: Exception) -> Fault:
    """What it means that there was no answer."""
    if isinstance(error, GateClosedError):
        return own_fault("throttled", str(error), applied=False, retry_after=error.seconds)
    message = _first_line(error) or type(error).__name__
    if getattr(getattr(error, "response", None), "status_code", 0) in _PASSING:
        return own_fault("sign_in_unavailable", message, applied=False)
    if isinstance(error, ClientAuthenticationError) and _UNREACHED.search(message) and "AADSTS" not in message:
        return own_fault("sign_in_unavailable", message, applied=False)
    cause = getattr(error, "inner_exception", None)
    for types, code, applied in _SILENCES:
        if isinstance(error, types) or isinstance(cause, types):
            return own_fault(code, message, applied=applied)
    return own_fault("connection_cut", message)


def _first_line(error: Exception) -> str:
    """What an error says first; where it is about several attempts, each with why it failed."""
    lines = str(error).strip().splitlines()
    attempts = [line.strip() for line in lines[1:] if line.startswith("\t")]
    return " ".join(part for part in (*lines[:1], "; ".join(attempts)) if part)
