"""A Kubernetes API server with the rules that naive clients break on: an object store, not canned answers.

Leases, ConfigMaps and Events (events.k8s.io/v1) with resourceVersion, uid, conflicts, validation, watches, discovery;
TLS by an authority of its own; a bearer token for each client, and faults for each client. Where the real one was not
seen to do something, the harsher behaviour. `served` runs it in the test's own loop, `served_apart` in a thread.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import itertools
import json
import re
import ssl
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from pathlib import Path
from typing import Any

import trustme
from aiohttp import web

Document = dict[str, Any]

NAMESPACE = "reconciler"
NAMESPACES = (NAMESPACE, "default")
_MICRO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
# What each method is called where rights are given.
_VERBS = {"GET": "get", "PUT": "update", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
_LARGEST = 1024 * 1024
_VERSION = {"major": "1", "minor": "32", "gitVersion": "v1.32.0", "platform": "linux/amd64"}


class Refusal(Exception):  # noqa: N818 - what it is called in the answers
    """An answer that is no object."""

    def __init__(self, status: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": details,
            "code": status,
        }


@dataclass(frozen=True)
class Sort:
    """One resource: its rules as a table. `check` gives what is invalid in an object, given the one before it."""

    group: str
    version: str
    kind: str
    plural: str
    check: Callable[[Document, Document | None], list[str]]
    times: tuple[str, ...] = ()
    creates_on_update: bool = False
    unconditional: bool = True

    @property
    def title(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


def _check_lease(body: Document, _before: Document | None) -> list[str]:
    spec = body.get("spec", {})
    wrong = []
    for name, least in (("leaseDurationSeconds", 1), ("leaseTransitions", 0)):
        if name in spec and spec[name] is not None and spec[name] < least:
            word = "greater than 0" if least else "greater than or equal to 0"
            wrong.append(f"spec.{name}: Invalid value: {spec[name]}: must be {word}")
    return wrong


def _check_config_map(body: Document, before: Document | None) -> list[str]:
    data, binary = body.get("data") or {}, body.get("binaryData") or {}
    wrong = [f"data[{key}]: Invalid value: a valid config key" for key in (*data, *binary) if not _KEY.fullmatch(key)]
    size = sum(len(value.encode()) for value in data.values())
    size += sum(len(base64.b64decode(value)) for value in binary.values())
    if size > _LARGEST:
        wrong.append(f"[]: Too long: may not be more than {_LARGEST} bytes")
    if before and before.get("immutable") and (data, binary) != (before.get("data") or {}, before.get("binaryData")):
        wrong.append("data: Forbidden: field is immutable when `immutable` is set")
    return wrong


def _check_event(body: Document, before: Document | None) -> list[str]:
    wrong = []
    if not _QUALIFIED.fullmatch(body.get("reportingController") or ""):
        wrong.append("reportingController: Invalid value: a qualified name")
    for name, longest in (("reportingInstance", 128), ("action", 128), ("reason", 128)):
        if not 0 < len(body.get(name) or "") <= longest:
            wrong.append(f"{name}: Required value: with at most {longest} bytes")
    if not body.get("eventTime"):
        wrong.append("eventTime: Required value")
    if len(body.get("note") or "") > 1024:
        wrong.append("note: Invalid value: can have at most 1024 characters")
    if body.get("type") not in ("Normal", "Warning"):
        wrong.append('type: Invalid value: has only two valid values: "Normal", "Warning"')
    if (body.get("regarding") or {}).get("namespace", "") not in ("", body["metadata"]["namespace"]):
        wrong.append("regarding.namespace: Invalid value: does not match event.namespace")
    old = ("deprecatedCount", "deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp")
    wrong += [f"{name}: Invalid value: needs to be unset" for name in old if body.get(name)]
    series = body.get("series")
    if series and (series.get("count", 0) < 2 or not series.get("lastObservedTime")):
        wrong.append("series.count: Invalid value: should be at least 2, with a lastObservedTime")
    if before:
        wrong += [
            f"{name}: Invalid value: field is immutable"
            for name in {*body, *before} - {"series", "metadata", "apiVersion", "kind"}
            if body.get(name) != before.get(name)
        ]
    return wrong


LEASES = Sort(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    plural="leases",
    check=_check_lease,
    times=("spec.acquireTime", "spec.renewTime"),
    creates_on_update=True,
    unconditional=False,
)
CONFIG_MAPS = Sort(group="", version="v1", kind="ConfigMap", plural="configmaps", check=_check_config_map)
EVENTS = Sort(
    group="events.k8s.io",
    version="v1",
    kind="Event",
    plural="events",
    check=_check_event,
    times=("eventTime", "series.lastObservedTime"),
    creates_on_update=True,
)
SORTS = (LEASES, CONFIG_MAPS, EVENTS)

# What a Go decoder would not take for what it should be; unknown fields are in no table and are refused as well.
_FIELDS: dict[str, dict[str, type]] = {
    "Lease": {"spec": dict},
    "Lease.spec": {
        "holderIdentity": str,
        "leaseDurationSeconds": int,
        "acquireTime": str,
        "renewTime": str,
        "leaseTransitions": int,
        "strategy": str,
        "preferredHolder": str,
    },
    "ConfigMap": {"data": dict, "binaryData": dict, "immutable": bool},
    "Event": {
        "eventTime": str,
        "series": dict,
        "reportingController": str,
        "reportingInstance": str,
        "action": str,
        "reason": str,
        "regarding": dict,
        "related": dict,
        "note": str,
        "type": str,
        "deprecatedSource": dict,
        "deprecatedFirstTimestamp": str,
        "deprecatedLastTimestamp": str,
        "deprecatedCount": int,
    },
}


@dataclass(frozen=True)
class Fault:
    """What a client meets instead of an answer: `abort` cuts the connection, `hang` says nothing for `seconds`, `slow`
    answers after `seconds`, `lost` does what was asked and then cuts, `status` refuses with `status`."""

    kind: str
    status: int = 500
    seconds: float = 3600.0
    retry_after: int = 0


@dataclass(frozen=True)
class Right:
    """What a request has to be granted. `name` is "" where none can be given: what is created has none yet."""

    group: str
    resource: str
    name: str
    verb: str


@dataclass(frozen=True)
class Seen:
    """One request: who, what, how it was answered, whether that was `heard`, and when by the monotonic clock."""

    client: str
    verb: str
    resource: str
    name: str
    status: int
    at: float
    body: Document | None = None
    rights: tuple[Right, ...] = ()
    heard: bool = True


@dataclass
class ApiServer:
    """The store and its rules. `faults` by client may be changed at any time, from any thread. `roles` are the rules of
    a Role in the namespace, by client; who is not in there may do everything. Its wall clock is `skew` seconds wrong.
    """

    faults: dict[str, Fault] = field(default_factory=dict)
    roles: dict[str, list[Document]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    history: int = 1000
    skew: float = 0.0

    def __post_init__(self) -> None:
        self.authority = trustme.CA()
        self.url = ""
        self._tokens: dict[str, str] = {}
        self._folders: dict[str, Path] = {}
        self._objects: dict[tuple[str, str, str], Document] = {}
        self._version = 100
        self._events: list[tuple[int, str, Sort, Document]] = []
        self._moved: list[asyncio.Event] = []
        self._numbers = itertools.count(1)

    # What a test says to it

    def client(self, name: str, folder: Path) -> dict[str, str]:
        """A service account for `name`, mounted at `folder`; what its pod has in the environment."""
        folder.mkdir(parents=True, exist_ok=True)
        self.authority.cert_pem.write_to_path(str(folder / "ca.crt"))
        (folder / "namespace").write_text(NAMESPACE)
        self._folders[name] = folder
        self.rotate(name)
        host, _, port = self.url.removeprefix("https://").rpartition(":")
        return {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}

    def rotate(self, name: str) -> None:
        """A new token for `name`; the old one is no good any more."""
        self._tokens = {token: client for token, client in self._tokens.items() if client != name}
        token = f"{name}.{next(self._numbers)}"
        self._tokens[token] = name
        beside = self._folders[name] / "token.new"
        beside.write_text(token)
        beside.replace(self._folders[name] / "token")

    def token(self, name: str) -> str:
        return next(token for token, client in self._tokens.items() if client == name)

    def find(self, sort: Sort, name: str, namespace: str = NAMESPACE) -> Document | None:
        return copy.deepcopy(self._objects.get((sort.plural, namespace, name)))

    def put(self, sort: Sort, name: str, change: Callable[[Document], None]) -> None:
        """What an administrator does with `kubectl edit`."""
        body = copy.deepcopy(self._objects[(sort.plural, NAMESPACE, name)])
        change(body)
        self._store(sort, body)

    def remove(self, sort: Sort, name: str) -> None:
        self._delete(sort, NAMESPACE, name, None)

    # What HTTP says to it

    def application(self) -> web.Application:
        app = web.Application(client_max_size=3 * _LARGEST)
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        client = self._tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "), "")
        fault = self.faults.get(client)
        if fault is not None and (met := await self._meet(fault, request)) is not None:
            return met
        body: Document | None = None
        needed = self._rights(request)
        rights = tuple(right for right, _ in needed)
        try:
            body = await _read_body(request)
            for right, namespace in needed:
                self._authorize(client, right, namespace)
            found = self._route(request, client, body)
        except Refusal as refusal:
            found = (refusal.status, refusal.body)
        if callable(found):
            self._note(request, client, 200, body, rights)
            return await self._watch(request, *found())
        status, answer = found
        self._note(request, client, status, body, rights)
        if fault is not None and fault.kind == "lost":
            self.seen[-1] = replace(self.seen[-1], heard=False)
            _cut(request)
        response = _json(status, answer)
        response.headers["Date"] = formatdate(self._now().timestamp(), usegmt=True)
        return response

    async def _meet(self, fault: Fault, request: web.Request) -> web.Response | None:
        if fault.kind == "abort":
            _cut(request)
            return web.Response(status=500)
        if fault.kind in ("hang", "slow"):
            await asyncio.sleep(fault.seconds)
        if fault.kind == "status":
            refusal = Refusal(fault.status, "InternalError", "injected")
            answer = _json(fault.status, refusal.body)
            if fault.retry_after:
                answer.headers["Retry-After"] = str(fault.retry_after)
            return answer
        return None

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.skew)

    def _note(
        self, request: web.Request, client: str, status: int, body: Document | None, rights: tuple[Right, ...]
    ) -> None:
        parts = request.path.strip("/").split("/")
        place = parts.index("namespaces") + 2 if "namespaces" in parts else len(parts)
        resource, name = [*parts[place:], "", ""][:2]
        seen = Seen(client, request.method, resource, name, status, asyncio.get_running_loop().time(), body, rights)
        self.seen.append(seen)

    def _route(self, request: web.Request, client: str, body: Document | None) -> Any:
        path = request.path.rstrip("/")
        if not client:
            raise Refusal(401, "Unauthorized", "Unauthorized")
        if path == "/version":
            return 200, _VERSION
        if (found := _discover(path) or _find_namespace(path)) is not None:
            return 200, found
        sort, namespace, name = _find_sort(path)
        if not name:
            return self._on_collection(request, sort, namespace, body)
        return self._on_object(request, sort, namespace, name, body)

    def _rights(self, request: web.Request) -> list[tuple[Right, str]]:
        """What the request has to be granted, and where. A PUT of what is not there yet takes both."""
        try:
            sort, namespace, name = _find_sort(request.path.rstrip("/"))
        except Refusal:
            return []
        verb = _VERBS[request.method]
        if not name:
            watching = request.query.get("watch") in ("1", "true")
            verb = {"get": "watch" if watching else "list", "delete": "deletecollection"}.get(verb, verb)
            selected = re.fullmatch("metadata.name=(.+)", request.query.get("fieldSelector", ""))
            name = selected[1] if selected else ""
        rights = [Right(sort.group, sort.plural, name, verb)]
        if verb == "update" and sort.creates_on_update and (sort.plural, namespace, name) not in self._objects:
            rights.append(Right(sort.group, sort.plural, "", "create"))
        return [(right, namespace) for right in rights]

    def _authorize(self, client: str, right: Right, namespace: str) -> None:
        rules = self.roles.get(client)
        if rules is None or (namespace == NAMESPACE and any(_grants(rule, right) for rule in rules)):
            return
        who = f"system:serviceaccount:{NAMESPACE}:{client}"
        title = f"{right.resource}.{right.group}" if right.group else right.resource
        named = f'{title} "{right.name}"' if right.name else title
        message = (
            f'{named} is forbidden: User "{who}" cannot {right.verb} resource "{right.resource}" in API group '
            f'"{right.group}" in the namespace "{namespace}"'
        )
        raise Refusal(403, "Forbidden", message, name=right.name, group=right.group, kind=right.resource)

    def _on_object(self, request: web.Request, sort: Sort, namespace: str, name: str, body: Document | None) -> Any:
        match request.method:
            case "GET":
                return 200, self._get(sort, namespace, name)
            case "PUT":
                return self._put(sort, namespace, name, _expect(body))
            case "PATCH":
                return self._patch(request, sort, namespace, name, _expect(body))
            case "DELETE":
                return 200, self._delete(sort, namespace, name, body)
        raise Refusal(405, "MethodNotAllowed", f"the server does not allow {request.method}")

    def _on_collection(self, request: web.Request, sort: Sort, namespace: str, body: Document | None) -> Any:
        if request.method == "POST":
            return 201, self._post(sort, namespace, _expect(body))
        if request.method != "GET":
            raise Refusal(405, "MethodNotAllowed", f"the server does not allow {request.method}")
        if request.query.get("watch") in ("1", "true"):
            return lambda: (sort, namespace)
        name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        items = [
            each
            for (plural, place, own), each in sorted(self._objects.items())
            if plural == sort.plural and namespace in ("", place) and name in ("", own)
        ]
        listed = {"kind": f"{sort.kind}List", "apiVersion": sort.api_version}
        return 200, {**listed, "metadata": {"resourceVersion": str(self._version)}, "items": items}

    def _get(self, sort: Sort, namespace: str, name: str) -> Document:
        found = self._objects.get((sort.plural, namespace, name))
        if found is None:
            raise Refusal(
                404, "NotFound", f'{sort.title} "{name}" not found', name=name, group=sort.group, kind=sort.plural
            )
        return found

    def _post(self, sort: Sort, namespace: str, body: Document) -> Document:
        metadata = body.setdefault("metadata", {})
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + uuid.uuid4().hex[:5]
        name = metadata.get("name") or ""
        _decode(sort, namespace, name, body)
        _find_namespace(f"/api/v1/namespaces/{namespace}")
        if metadata.get("resourceVersion"):
            raise Refusal(400, "BadRequest", "resourceVersion should not be set on objects to be created")
        if (sort.plural, namespace, name) in self._objects:
            raise Refusal(
                409,
                "AlreadyExists",
                f'{sort.title} "{name}" already exists',
                name=name,
                group=sort.group,
                kind=sort.plural,
            )
        _validate(sort, body, None)
        return self._store(sort, body)

    def _put(self, sort: Sort, namespace: str, name: str, body: Document) -> tuple[int, Document]:
        _decode(sort, namespace, name, body)
        metadata = body["metadata"]
        before = self._objects.get((sort.plural, namespace, name))
        if metadata.get("uid") and metadata["uid"] != (before or {"metadata": {"uid": ""}})["metadata"]["uid"]:
            raise _conflict(sort, name, "Precondition failed: UID in precondition")
        if before is None:
            if not sort.creates_on_update:
                raise Refusal(
                    404, "NotFound", f'{sort.title} "{name}" not found', name=name, group=sort.group, kind=sort.plural
                )
            metadata.pop("resourceVersion", None)
            return 201, self._post(sort, namespace, body)
        version = metadata.get("resourceVersion")
        if not version and not sort.unconditional:
            raise _invalid(sort, name, ["metadata.resourceVersion: Invalid value: 0: must be specified for an update"])
        if version and version != before["metadata"]["resourceVersion"]:
            raise _conflict(sort, name, "the object has been modified; please apply your changes to the latest version")
        _validate(sort, body, before)
        return 200, self._store(sort, body)

    def _patch(
        self, request: web.Request, sort: Sort, namespace: str, name: str, body: Document
    ) -> tuple[int, Document]:
        kind = request.content_type
        if kind not in (
            "application/merge-patch+json",
            "application/strategic-merge-patch+json",
            "application/apply-patch+yaml",
        ):
            raise Refusal(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {kind}")
        before = self._objects.get((sort.plural, namespace, name))
        if before is None:
            if kind != "application/apply-patch+yaml":
                raise Refusal(
                    404, "NotFound", f'{sort.title} "{name}" not found', name=name, group=sort.group, kind=sort.plural
                )
            return 201, self._post(sort, namespace, body)
        merged = _merge(copy.deepcopy(before), body)
        merged["metadata"].setdefault("resourceVersion", before["metadata"]["resourceVersion"])
        return self._put(sort, namespace, name, merged)

    def _delete(self, sort: Sort, namespace: str, name: str, options: Document | None) -> Document:
        found = self._get(sort, namespace, name)
        for key, wanted in ((options or {}).get("preconditions") or {}).items():
            if found["metadata"].get(key) != wanted:
                raise _conflict(sort, name, f"Precondition failed: {key} in precondition: {wanted}")
        del self._objects[(sort.plural, namespace, name)]
        self._version += 1
        gone = copy.deepcopy(found)
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._tell("DELETED", sort, gone)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": {"name": name}}

    def _store(self, sort: Sort, body: Document) -> Document:
        metadata = body["metadata"]
        key = (sort.plural, metadata["namespace"], metadata["name"])
        before = self._objects.get(key)
        own = before["metadata"] if before else {"uid": str(uuid.uuid4()), "creationTimestamp": _show(self._now())}
        metadata |= {name: own[name] for name in ("uid", "creationTimestamp")}
        stored = {**body, "apiVersion": sort.api_version, "kind": sort.kind}
        if before is not None and _bare(before) == _bare(stored):
            return before
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        self._objects[key] = stored
        self._tell("MODIFIED" if before else "ADDED", sort, stored)
        return stored

    def _tell(self, turn: str, sort: Sort, body: Document) -> None:
        self._events.append((self._version, turn, sort, copy.deepcopy(body)))
        del self._events[: -self.history]
        for moved in self._moved:
            moved.set()

    async def _watch(self, request: web.Request, sort: Sort, namespace: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        since = int(request.query.get("resourceVersion") or self._version)
        name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        end = asyncio.get_running_loop().time() + float(request.query.get("timeoutSeconds", "3600"))
        moved = asyncio.Event()
        self._moved.append(moved)
        try:
            if self._events and len(self._events) >= self.history and since < self._events[0][0] - 1:
                await _say(response, "ERROR", Refusal(410, "Expired", "too old resource version").body)
                return response
            while True:
                for version, turn, kind, body in list(self._events):
                    place, own = body["metadata"]["namespace"], body["metadata"]["name"]
                    if version > since and kind is sort and namespace in ("", place) and name in ("", own):
                        await _say(response, turn, body)
                since = max(since, self._version)
                moved.clear()
                try:
                    async with asyncio.timeout_at(end):
                        await moved.wait()
                except TimeoutError:
                    if request.query.get("allowWatchBookmarks") in ("1", "true"):
                        mark = {"kind": sort.kind, "apiVersion": sort.api_version}
                        await _say(response, "BOOKMARK", {**mark, "metadata": {"resourceVersion": str(since)}})
                    return response
        finally:
            self._moved.remove(moved)


def _grants(rule: Document, right: Right) -> bool:
    """A rule with names grants nothing that has none."""
    names = rule.get("resourceNames") or []
    return (
        right.group in rule["apiGroups"]
        and right.resource in rule["resources"]
        and right.verb in rule["verbs"]
        and (not names or right.name in names)
    )


async def _say(response: web.StreamResponse, turn: str, body: Document) -> None:
    await response.write(json.dumps({"type": turn, "object": body}).encode() + b"\n")


async def _read_body(request: web.Request) -> Document | None:
    raw = await request.read()
    if not raw:
        return None
    if "protobuf" in request.content_type:
        raise Refusal(415, "UnsupportedMediaType", "the body of the request was in an unknown format: protobuf")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, "BadRequest", f"the object provided is unrecognized: {error}") from None
    if not isinstance(body, dict):
        raise Refusal(400, "BadRequest", "json: cannot unmarshal into Go value")
    return body


def _expect(body: Document | None) -> Document:
    if body is None:
        raise Refusal(400, "BadRequest", "the body is empty")
    return copy.deepcopy(body)


def _decode(sort: Sort, namespace: str, name: str, body: Document) -> None:
    """What comes before validation: whether it is an object of this sort, for this place, as Go reads it."""
    if (body.get("apiVersion", sort.api_version), body.get("kind", sort.kind)) != (sort.api_version, sort.kind):
        raise Refusal(400, "BadRequest", f"{body.get('kind')} in version {body.get('apiVersion')!r} is no {sort.kind}")
    metadata = body.setdefault("metadata", {})
    if metadata.setdefault("name", name) != name:
        raise Refusal(400, "BadRequest", f"the name of the object ({metadata['name']}) does not match the URL ({name})")
    if metadata.setdefault("namespace", namespace) != namespace:
        raise Refusal(400, "BadRequest", "the namespace of the provided object does not match the namespace of the URL")
    _check_types(sort, sort.kind, {key: body[key] for key in body.keys() - {"apiVersion", "kind", "metadata"}})
    for path in sort.times:
        value: Any = body
        for part in path.split("."):
            value = (value or {}).get(part)
        if value is not None and not _MICRO_TIME.fullmatch(str(value)):
            layout = "2006-01-02T15:04:05.000000Z07:00"
            raise Refusal(
                400,
                "BadRequest",
                f'{sort.kind} in version "{sort.version}" cannot be handled as a {sort.kind}: '
                f'parsing time "{value}" as "{layout}": cannot parse "{str(value)[19:]}" as ".000000"',
            )


def _check_types(sort: Sort, at: str, part: Document) -> None:
    for key, value in part.items():
        wanted = _FIELDS[at].get(key)
        if wanted is None:
            raise Refusal(400, "BadRequest", f'strict decoding error: unknown field "{at}.{key}"')
        if value is None:
            continue
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            found = type(value).__name__
            raise Refusal(400, "BadRequest", f"json: cannot unmarshal {found} into Go struct field {at}.{key}")
        if isinstance(value, dict) and f"{at}.{key}" in _FIELDS:
            _check_types(sort, f"{at}.{key}", value)
        elif (
            at == "ConfigMap" and isinstance(value, dict) and not all(isinstance(each, str) for each in value.values())
        ):
            raise Refusal(400, "BadRequest", f"json: cannot unmarshal into Go struct field {at}.{key} of type string")


def _validate(sort: Sort, body: Document, before: Document | None) -> None:
    name = body["metadata"]["name"]
    wrong = sort.check(body, before)
    if not name:
        wrong.insert(0, "metadata.name: Required value: name or generateName is required")
    elif len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        wrong.insert(0, f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain must consist of')
    if wrong:
        raise _invalid(sort, name, wrong)


def _invalid(sort: Sort, name: str, wrong: list[str]) -> Refusal:
    told = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
    causes = [
        {"reason": "FieldValueInvalid", "message": why.partition(": ")[2], "field": why.partition(": ")[0]}
        for why in wrong
    ]
    title = f"{sort.kind}.{sort.group}" if sort.group else sort.kind
    message = f'{title} "{name}" is invalid: {told}'
    return Refusal(422, "Invalid", message, name=name, group=sort.group, kind=sort.kind, causes=causes)


def _conflict(sort: Sort, name: str, why: str) -> Refusal:
    message = f'Operation cannot be fulfilled on {sort.title} "{name}": {why}'
    return Refusal(409, "Conflict", message, name=name, group=sort.group, kind=sort.plural)


def _merge(target: Document, patch: Document) -> Document:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
    return target


def _bare(body: Document) -> Document:
    metadata = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    return {**body, "metadata": metadata}


def _show(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


def _json(status: int, body: Document) -> web.Response:
    # Exactly this type: some clients take an answer with a charset for no JSON.
    return web.Response(status=status, body=json.dumps(body).encode(), headers={"Content-Type": "application/json"})


def _discover(path: str) -> Document | None:
    groups = [sort for sort in SORTS if sort.group]
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        listed = [_group(sort) for sort in groups]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    for sort in groups:
        if path == f"/apis/{sort.group}":
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(sort)}
    for sort in SORTS:
        root = f"/apis/{sort.api_version}" if sort.group else "/api/v1"
        if path == root:
            resource = {
                "name": sort.plural,
                "singularName": sort.kind.lower(),
                "namespaced": True,
                "kind": sort.kind,
                "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
            }
            listed_in = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": sort.api_version}
            return {**listed_in, "resources": [resource]}
    return None


def _group(sort: Sort) -> Document:
    version = {"groupVersion": sort.api_version, "version": sort.version}
    return {"name": sort.group, "versions": [version], "preferredVersion": version}


def _find_namespace(path: str) -> Document | None:
    """kubectl asks whether there is one where it does not find an object."""
    match = re.fullmatch(r"/api/v1/namespaces/([^/]+)", path)
    if match is None:
        return None
    if match[1] not in NAMESPACES:
        raise Refusal(404, "NotFound", f'namespaces "{match[1]}" not found', name=match[1], kind="namespaces")
    return {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": match[1]}, "status": {"phase": "Active"}}


def _find_sort(path: str) -> tuple[Sort, str, str]:
    for sort in SORTS:
        root = f"/apis/{sort.api_version}" if sort.group else "/api/v1"
        match = re.fullmatch(rf"{root}(?:/namespaces/([^/]+))?/{sort.plural}(?:/([^/]+))?", path)
        if match:
            return sort, match[1] or "", match[2] or ""
    raise Refusal(404, "NotFound", "the server could not find the requested resource")


@asynccontextmanager
async def served(server: ApiServer, port: int = 0) -> AsyncIterator[ApiServer]:
    """Run in this loop, over TLS on loopback; on the same `port` again after having been gone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    runner = web.AppRunner(server.application(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context)
    await site.start()
    server.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()


@contextmanager
def served_apart(server: ApiServer) -> Iterator[ApiServer]:
    """Run in a thread of its own, for tests of processes."""
    ready, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with served(server):
            ready.set()
            await over.wait()
        await asyncio.sleep(0.05)  # until what was cut off is closed

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(20)
        loop.close()
