"""A Kubernetes API server in three verbs, as seen from a pod: get, create, replace.

Promises one request per call, each with a time limit of its own, and faults as values: an API server that is silent,
slow, sore or gone is an everyday thing. Certificates and token are files that somebody else replaces, so they are
looked at anew for each request. Knows nothing of what the objects are for.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.wire import JsonObject

if TYPE_CHECKING:
    import aiohttp

SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_PATIENCE = 5.0  # seconds for one request, where nobody says otherwise


class Resource(Enum):
    """What is asked for here: the path of its group and version, and its name in the plural."""

    LEASES = ("apis/coordination.k8s.io/v1", "leases")
    CONFIG_MAPS = ("api/v1", "configmaps")
    EVENTS = ("apis/events.k8s.io/v1", "events")

    @property
    def group(self) -> str:
        return self.value[0]

    @property
    def plural(self) -> str:
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an API server is and how it is spoken to. `folder` holds ca.crt and token; `namespace` is where the objects
    are."""

    url: str
    folder: Path
    namespace: str


def find_place(environment: Mapping[str, str], folder: str, namespace: str) -> Place:
    """The API server of the cluster that this pod is in. ValueError says what is missing, in words for whoever asked
    for it on a machine that is in no cluster."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ValueError("this is no pod of a Kubernetes cluster: KUBERNETES_SERVICE_HOST is not set")
    place = Path(folder or SERVICE_ACCOUNT)
    for name in ("ca.crt", "token"):
        if not (place / name).is_file():
            raise ValueError(f"{place} holds no {name}; is a service account mounted there?")
    if not namespace:
        try:
            namespace = (place / "namespace").read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ValueError(f"no namespace is named, and {place / 'namespace'}: {error.strerror}") from error
    written = f"[{host}]" if ":" in host else host
    return Place(url=f"https://{written}:{port}", folder=place, namespace=namespace)


class Kube:
    """One API server, one namespace. Every call gives the object as the server has it, or a `Fault`.

    A fault's `code` is the server's own reason (`NotFound`, `AlreadyExists`, `Conflict`, …) or one of ours in lower
    case where there was no answer; `applied` is False only where the request certainly had no effect.
    """

    def __init__(self, place: Place, session: aiohttp.ClientSession, trust: ssl.SSLContext) -> None:
        self.namespace = place.namespace
        self._place = place
        self._session = session
        self._trust = trust
        self._trusted: int = 0

    @classmethod
    @asynccontextmanager
    async def open(cls, place: Place) -> AsyncIterator[Kube]:
        import aiohttp  # noqa: PLC0415 - commands that need no cluster need not wait for it

        trust = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(place.folder / "ca.crt"))
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust), cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        async with session:
            yield cls(place, session, trust)

    async def get(self, resource: Resource, name: str, seconds: float = _PATIENCE) -> JsonObject | Fault:
        return await self._ask("GET", f"{self._path(resource)}/{name}", None, seconds)

    async def create(self, resource: Resource, body: JsonObject, seconds: float = _PATIENCE) -> JsonObject | Fault:
        return await self._ask("POST", self._path(resource), body, seconds)

    async def replace(
        self, resource: Resource, name: str, body: JsonObject, seconds: float = _PATIENCE
    ) -> JsonObject | Fault:
        """The whole object. With the resourceVersion that was read, somebody else's change in between is a conflict."""
        return await self._ask("PUT", f"{self._path(resource)}/{name}", body, seconds)

    def _path(self, resource: Resource) -> str:
        return f"{self._place.url}/{resource.group}/namespaces/{self.namespace}/{resource.plural}"

    async def _ask(self, method: str, url: str, body: JsonObject | None, seconds: float) -> JsonObject | Fault:
        import aiohttp  # noqa: PLC0415 - loaded already

        limit = aiohttp.ClientTimeout(total=max(seconds, 0.001))
        try:
            headers = {"Authorization": f"Bearer {self._read_files()}", "Accept": "application/json"}
            async with self._session.request(
                method, url, json=body, headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                return _read_answer(response, await _read_json(response))
        except TimeoutError:
            return _silence("no_answer", f"no answer within {seconds:.1f} s")
        except (aiohttp.ClientError, OSError) as error:
            refused = isinstance(error, aiohttp.ClientConnectorError) or not isinstance(error, aiohttp.ClientError)
            return _silence("no_connection", str(error) or type(error).__name__, applied=not refused)
        except ValueError as error:
            # Never its words: they may be those of the token.
            return _silence("no_connection", f"the token cannot be sent: {type(error).__name__}", applied=False)

    def _read_files(self) -> str:
        """The token of this moment. A certificate authority that has come to the file is believed from now on, too."""
        authority = self._place.folder / "ca.crt"
        if (written := authority.stat().st_mtime_ns) != self._trusted:
            self._trust.load_verify_locations(cafile=str(authority))
            self._trusted = written
        return (self._place.folder / "token").read_text(encoding="utf-8").strip()


async def _read_json(response: aiohttp.ClientResponse) -> JsonObject:
    """The body, or nothing where it is no JSON object, as behind a load balancer that is out of sorts."""
    try:
        body = await response.json(content_type=None)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


_CLASSES = {
    401: FaultClass.FORBIDDEN,
    403: FaultClass.FORBIDDEN,
    404: FaultClass.ABSENT,
    409: FaultClass.CONFLICT,
    429: FaultClass.THROTTLED,
}


def _read_answer(response: aiohttp.ClientResponse, body: JsonObject) -> JsonObject | Fault:
    status = response.status
    if status < 300 and body:
        return body
    if status < 400:
        return Fault(cls=FaultClass.TRANSIENT, code="unreadable_answer", message="no JSON object", status=status)
    pause = response.headers.get("Retry-After", "")
    reason, message = body.get("reason"), body.get("message")
    return Fault(
        cls=_CLASSES.get(status, FaultClass.TRANSIENT if status >= 500 else FaultClass.INVALID),
        code=reason if isinstance(reason, str) and reason else f"status_{status}",
        message=message if isinstance(message, str) and message else f"HTTP {status}",
        status=status,
        retry_after=float(pause) if pause.isdecimal() else None,
        applied=status >= 500,
    )


def _silence(code: str, message: str, *, applied: bool = True) -> Fault:
    return Fault(cls=FaultClass.TRANSIENT, code=code, message=message, applied=applied)
