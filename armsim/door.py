"""The front door: one function from an HTTP request to an HTTP answer.

Folds paths, asks the gate, bends the request by an injected fault, hands it to its provider, holds the answer back as
long as the provider blocks, and writes everything into the ledger.
"""

import hashlib
import json
import math
import os
import signal
from typing import Final, NamedTuple
from urllib.parse import unquote, unquote_plus

from aiohttp import web

from armsim import control, errors, gate, identity
from armsim.clock import Stamps, iso
from armsim.cloud import Call, Cloud, Principal, Reply
from armsim.faults import OPERATION_KINDS, Fault
from armsim.identity import Identity, TokenError
from armsim.ledger import Ledger, Line
from armsim.routes import Route
from armsim.rp import activity, elsewhere, resources, table
from armsim.throttle import Throttle
from armsim.wire import Json, encode

JSON_TYPE: Final = "application/json; charset=utf-8"
NOBODY: Final = Principal("", "", "")


class _CutError(Exception):
    """The connection is closed instead of an answer."""


class _Outcome(NamedTuple):
    status: int
    body: bytes | None
    headers: dict[str, str]
    code: str | None = None


class _Request(NamedTuple):
    """What the wire brought, before any judgement."""

    method: str
    raw_path: str
    raw_query: str
    path: str
    base: str
    headers: dict[str, str]
    body: bytes


class Door:
    def __init__(self, cloud: Cloud, entra: Identity, ledger: Ledger) -> None:
        self.cloud = cloud
        self.identity = entra
        self.ledger = ledger
        self.throttle = Throttle()
        self.stamps = Stamps()
        self.routes, self.extensions = table.build()
        self.touched = 0
        table.wire(cloud)

    # -- from and to the wire

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.touched += 1
        arrived = await _read(request)
        if arrived.path.startswith("/_sim"):
            return _response(await control.answer(self, arrived.method, arrived.path, arrived.raw_query, arrived.body))
        try:
            await self._bend_sign_in(arrived)
            if (token := self._identity(arrived)) is not None:
                return _response(token)
            outcome = await self._arm(arrived)
        except errors.ArmError as error:
            outcome = _refusal(error)
        except _CutError:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.Response(status=outcome.status, body=outcome.body, headers=outcome.headers)

    async def serve_metadata(self, request: web.BaseRequest) -> web.StreamResponse:
        """The plain-http port: managed identity and nothing else."""
        self.touched += 1
        arrived = await _read(request)
        if not arrived.path.lower().startswith("/metadata/identity/oauth2/token"):
            return web.Response(status=404)
        if arrived.headers.get("metadata", "").lower() != "true":
            body = {"error": "invalid_request", "error_description": "Required metadata header not specified"}
            return _response((400, encode(body)))
        try:
            return _response((200, encode(self.identity.managed(_query(arrived.raw_query), arrived.base))))
        except identity.IdentityError as error:
            body = {"error": error.code, "error_description": error.description}
            return _response((error.status, encode(body)))

    # -- Entra

    async def _bend_sign_in(self, arrived: _Request) -> None:
        """Faults meet requests for tokens only when their path asks for it."""
        if not arrived.path.lower().endswith("/token"):
            return
        fault = self.cloud.faults.pick(arrived.method, arrived.path, None)
        if fault is None:
            return
        now = self.cloud.clock.now()
        await self._before(Call(arrived.method, arrived.path, [], {}, "", None, NOBODY, arrived.base, now, fault=fault))

    def _identity(self, arrived: _Request) -> tuple[int, bytes] | None:
        parts = [part for part in arrived.path.split("/") if part]
        low = [part.lower() for part in parts]
        if low == ["common", "discovery", "instance"]:
            return 200, encode(self.identity.instance(arrived.base))
        try:
            if low[-2:] == [".well-known", "openid-configuration"] and len(low) in {3, 4}:
                return 200, encode(self.identity.openid(parts[0], arrived.base))
            if low[1:] == ["discovery", "v2.0", "keys"]:
                return 200, encode({"keys": []})
            if low[1:] in (["oauth2", "v2.0", "token"], ["oauth2", "token"]):
                form = _query(arrived.body.decode())
                return 200, encode(self.identity.token(parts[0], form, arrived.base))
        except identity.IdentityError as error:
            return error.status, identity.refusal(error, iso(self.cloud.clock.now()))
        return None

    # -- ARM

    async def _arm(self, arrived: _Request) -> _Outcome:
        cloud = self.cloud
        started = cloud.settle()
        principal, refused = self._who(arrived)
        about = (arrived.method, arrived.path, principal.client)
        held = cloud.faults.held(*about, started)
        if held is not None:
            fault: Fault | None = held[0]
            refused = _throttle(held[1])
        else:
            fault = cloud.faults.pick(*about) if refused is None else None
        segments = [unquote(part) for part in arrived.raw_path.split("/") if part]
        call = Call(
            arrived.method,
            arrived.path,
            segments,
            {},
            arrived.raw_query,
            None,
            principal,
            arrived.base,
            started,
            fault=fault,
        )
        try:
            if refused is not None:
                raise refused
            if cloud.settings.latency:
                await cloud.clock.sleep(cloud.settings.latency)
            await self._before(call)
            call.now = cloud.settle()
            outcome = await self._after(call, self._respond(call, arrived))
        except errors.ArmError as error:
            outcome = _refusal(error)
        except _CutError:
            self._log(arrived, call, _Outcome(0, None, {}, "ConnectionClosed"))
            raise
        self._log(arrived, call, outcome)
        return outcome._replace(headers=self._headers(arrived, outcome, call.limits))

    def _who(self, arrived: _Request) -> tuple[Principal, errors.ArmError | None]:
        if arrived.path.lower().startswith("/metadata/endpoints"):
            return NOBODY, None
        try:
            return self.identity.accept(arrived.headers.get("authorization"), arrived.base), None
        except TokenError as problem:
            return NOBODY, gate.unauthorised(problem, arrived.base)

    def _respond(self, call: Call, arrived: _Request) -> Reply:
        """The answer; a client that is to be killed after it is killed after a refusal as well."""
        try:
            return self._answer(call, arrived)
        except errors.ArmError:
            if call.fault is not None and call.fault.kind == "kill" and call.fault.text("when", "before") == "after":
                _kill(call.fault)
            raise

    def _answer(self, call: Call, arrived: _Request) -> Reply:
        """Through the gate to the provider, without waiting for anything."""
        cloud, fault = self.cloud, call.fault
        call.query = _query(arrived.raw_query)
        call.headers = arrived.headers
        if call.path.lower() == "/metadata/endpoints":
            return resources.cloud_metadata(cloud, call)
        gate.require_version(call)
        subscription = gate.require_subscription(cloud, call)
        call.limits = gate.take_token(cloud, self.throttle, call, subscription)
        found = self._find(call)
        if found is None and elsewhere.serves(call):
            gate.require_permission(cloud, call, Route({}, elsewhere.kind_of(call)))
            return elsewhere.respond(cloud, call)
        if found is None:
            raise _no_route(call)
        route, call.names = found
        answer = route.answers.get(call.method)
        if answer is None:
            raise errors.method_not_allowed(call.method)
        call.body = _parse(call.method, arrived)
        gate.require_leave(cloud, call, route, subscription)
        version = cloud.world.version
        if fault is not None:
            fault.spent = False
        try:
            reply = answer(cloud, call)
        except ValueError as problem:
            # A value that cannot be read, wherever a provider noticed it.
            if call.method not in gate.WRITES:
                raise
            raise errors.gateway(
                400, "InvalidRequestContent", f"The request content was invalid: {problem}"
            ) from problem
        else:
            if call.method in gate.WRITES and cloud.world.version != version:
                activity.record(cloud, call, route.action)
            return reply
        finally:
            call.mutated = cloud.world.version != version
            if fault is not None and fault.kind in OPERATION_KINDS and not fault.spent:
                cloud.faults.give_back(fault)
                call.fault = None

    def _find(self, call: Call) -> tuple[Route, list[str]] | None:
        found = self.routes.find(call.segments)
        if found is not None:
            return found
        low = [each.lower() for each in call.segments]
        if "providers" not in low:
            return None
        at = len(low) - 1 - low[::-1].index("providers")
        if low[at + 1 : at + 2] not in (["microsoft.resources"], ["microsoft.authorization"]):
            return None
        call.scope = "/" + "/".join(call.segments[:at])
        return self.extensions.find(call.segments[at + 1 :])

    # -- faults around the call

    async def _before(self, call: Call) -> None:
        cloud, fault = self.cloud, call.fault
        if fault is None:
            return
        match fault.kind:
            case "status":
                raise _injected(fault)
            case "throttle":
                seconds = fault.number("retry_after", 5.0)
                cloud.faults.hold(fault, call.principal.client, call.now + seconds)
                raise _throttle(seconds)
            case "cut_before":
                raise _CutError
            case "hang":
                await cloud.clock.sleep(fault.number("seconds", 300.0))
                if fault.text("then", "cut") == "cut":
                    raise _CutError
            case "delay":
                await cloud.clock.sleep(fault.number("seconds", 5.0))
            case "kill" if fault.text("when", "before") == "before":
                _kill(fault)
            case _:
                pass

    async def _after(self, call: Call, reply: Reply) -> _Outcome:
        cloud, fault = self.cloud, call.fault
        if fault is not None:
            match fault.kind:
                case "applied_504":
                    raise errors.ArmError(
                        504,
                        "GatewayTimeout",
                        "The gateway did not receive a response from 'Microsoft.CognitiveServices' within the "
                        "specified time period.",
                    )
                case "cut_after":
                    raise _CutError
                case "kill" if fault.text("when", "before") == "after":
                    _kill(fault)
                case _:
                    pass
        if reply.until is not None:
            await cloud.clock.sleep_until(reply.until)
            cloud.settle()
            if reply.late is not None:
                reply = reply.late()
        return _Outcome(reply.status, reply.body, reply.headers)

    # -- telling

    def _headers(self, arrived: _Request, outcome: _Outcome, limits: dict[str, str]) -> dict[str, str]:
        cloud = self.cloud
        now = cloud.clock.now()
        guid = cloud.chance.guid()
        correlation = arrived.headers.get("x-ms-correlation-request-id") or guid
        headers = {
            "date": self.stamps.http_date(now),
            "cache-control": "no-cache",
            "pragma": "no-cache",
            "expires": "-1",
            "strict-transport-security": "max-age=31536000; includeSubDomains",
            "x-content-type-options": "nosniff",
            "x-ms-request-id": guid,
            "x-ms-correlation-request-id": correlation,
            "x-ms-routing-request-id": f"SIMULATION:{self.stamps.routing(now)}:{correlation}",
            **limits,
            **outcome.headers,
        }
        if outcome.body and "content-type" not in headers:
            headers["content-type"] = JSON_TYPE
        if arrived.headers.get("x-ms-return-client-request-id", "").lower() == "true":
            headers["x-ms-client-request-id"] = arrived.headers.get("x-ms-client-request-id", "")
        return headers

    def _log(self, arrived: _Request, call: Call, outcome: _Outcome) -> None:
        fault = call.fault
        writing = call.method in gate.WRITES and arrived.body
        self.ledger.write(
            Line(
                0,
                call.now,
                call.method,
                call.path,
                call.raw_query,
                outcome.status,
                outcome.code,
                call.principal.client,
                len(outcome.body or b""),
                call.mutated,
                fault.id if fault is not None else None,
                self.cloud.clock.now() - call.now,
                outcome.status == 429 and fault is None,
                hashlib.sha256(arrived.body).hexdigest() if writing else None,
                arrived.headers.get("x-ms-client-request-id"),
                call.actions,
            )
        )


# -- reading the wire


async def _read(request: web.BaseRequest) -> _Request:
    raw = request.raw_path if hasattr(request, "raw_path") else request.path_qs
    raw_path, _, raw_query = raw.partition("?")
    if "//" in raw_path:
        raw_path = "/" + "/".join(part for part in raw_path.split("/") if part)
    path = unquote(raw_path).rstrip("/") or "/"
    headers = {name.lower(): value for name, value in request.headers.items()}
    scheme = "https" if request.secure else "http"
    body = await request.read() if request.body_exists else b""
    return _Request(request.method, raw_path, raw_query, path, f"{scheme}://{headers.get('host', '')}", headers, body)


def _query(text: str) -> dict[str, str]:
    """A query or a form, decoded; the last value of a name counts."""
    result: dict[str, str] = {}
    for part in text.split("&"):
        name, found, value = part.partition("=")
        if found:
            result[unquote_plus(name)] = unquote_plus(value)
    return result


def _parse(method: str, arrived: _Request) -> Json:
    if method not in gate.WRITES or not arrived.body:
        return None
    kind = arrived.headers.get("content-type", "application/json")
    if "json" not in kind.lower():
        raise errors.gateway(
            415,
            "UnsupportedMediaType",
            f"The content media type '{kind}' is not supported. Only 'application/json' is supported.",
        )
    try:
        return json.loads(arrived.body)
    except ValueError as problem:
        raise errors.gateway(
            400,
            "InvalidRequestContent",
            f"The request content was invalid and could not be deserialized: '{problem}'.",
        ) from problem


def _response(answer: tuple[int, bytes]) -> web.Response:
    status, body = answer
    return web.Response(status=status, body=body, content_type="application/json")


# -- refusals


def _refusal(error: errors.ArmError) -> _Outcome:
    headers = dict(error.headers)
    if error.page is not None:
        headers["content-type"] = "text/html"
    elif error.cause:
        headers["x-ms-failure-cause"] = error.cause
    return _Outcome(error.status, error.render(), headers, error.code or None)


def _no_route(call: Call) -> errors.ArmError:
    low = [each.lower() for each in call.segments]
    if "providers" in low and len(low) > low.index("providers") + 2:
        at = low.index("providers")
        kind = "/".join(call.segments[at + 2 :: 2])
        return errors.unknown_type(kind, call.segments[at + 1], call.query["api-version"])
    return errors.gateway(404, "HttpResourceNotFound", f"The request url {call.base}{call.path} is not found.")


def _throttle(seconds: float) -> errors.ArmError:
    error = errors.gateway(429, "TooManyRequests", f"Too many requests. Please try again after '{seconds:g}' seconds.")
    error.headers["retry-after"] = str(max(1, math.ceil(seconds)))
    return error


def _injected(fault: Fault) -> errors.ArmError:
    status = int(fault.number("status", 500))
    if fault.detail.get("html"):
        error = errors.page(status, errors.UNAVAILABLE_PAGE)
    else:
        words = {429: "TooManyRequests", 503: "ServerTimeout", 504: "GatewayTimeout"}
        code = fault.text("code", words.get(status, "InternalServerError"))
        error = errors.ArmError(status, code, fault.text("message", "An error occurred."))
    if "retry_after" in fault.detail:
        error.headers["retry-after"] = str(fault.detail["retry_after"])
    return error


def _kill(fault: Fault) -> None:
    os.kill(int(fault.number("pid", 0)), signal.SIGKILL)
    raise _CutError
