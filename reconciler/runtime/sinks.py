"""Where alerts go: letters to webhooks and to Kubernetes, and the whole of what is open to Alertmanager.

Each sink has a task of its own, so that a slow or dead one holds up nobody, and every wait in here has an end. A letter
goes out until it has arrived, with ever longer pauses; what nobody takes for a day is dead, and counted.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import os
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import aiohttp
import structlog

from reconciler.model.alert import Alert, Letter, Level, Route, Shape
from reconciler.model.finding import Fault
from reconciler.model.moment import show_moment
from reconciler.model.ports import Chance, Clock
from reconciler.model.text import plain_lines
from reconciler.model.wire import Json, JsonObject, canonical_bytes
from reconciler.runtime.kube import Kube, Resource

_log = structlog.get_logger("reconciler")

SIGNATURE: Final = "Reconciler-Signature"
TIMESTAMP: Final = "Reconciler-Timestamp"
_LIMIT = 10.0  # seconds for one request
_LONGEST_PAUSE, _LONGEST_ASKED = 300.0, 3600.0
_AGAIN = 10.0  # seconds after which Alertmanager is told again where it did not answer
_PATIENCE = 24 * 3600.0  # seconds that a letter is tried for
_TRIES = 5  # of what a receiver refuses
_MOST_LETTERS = 300  # for one sink
_MOST_ALERTS = 200  # in one request
_MOST_EVENTS, _EVENT_WINDOW = 20, 60.0
_HEALS = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What came of sending: `why` is "" where it arrived. `final`: it would be refused again. `pause` is how long the
    receiver asked to be left alone, in seconds."""

    why: str = ""
    final: bool = False
    pause: float = 0.0


class Deliver(Protocol):
    """Sends one letter. Never raises, never waits longer than a request may take."""

    async def __call__(self, letter: Letter, /) -> Receipt: ...


class Poster:
    """Posts over connections of its own. Redirects are not followed: what was signed is for one receiver."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def open(cls, ca_bundle: str) -> AsyncIterator[Poster]:
        connector = aiohttp.TCPConnector(ssl=_trust(ca_bundle), limit_per_host=4)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar, trust_env=True) as session:
            yield cls(session)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Receipt:
        """Never tells more of the URL than its host: it may be a secret."""
        limit = aiohttp.ClientTimeout(total=_LIMIT)
        try:
            async with self._session.post(
                url, data=body, headers=headers, timeout=limit, allow_redirects=False
            ) as response:
                return _judge(response.status, response.headers.get("Retry-After", ""))
        except TimeoutError:
            return Receipt(why=f"no answer within {_LIMIT:.0f} s")
        except aiohttp.ClientConnectorError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else type(error).__name__
            return Receipt(why=f"cannot connect to {error.host}:{error.port}: {why}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Receipt(why=type(error).__name__)


def _trust(ca_bundle: str) -> ssl.SSLContext:
    trust = ssl.create_default_context()
    if ca_bundle:
        trust.load_verify_locations(**{"capath" if Path(ca_bundle).is_dir() else "cafile": ca_bundle})
    return trust


def _judge(status: int, pause: str) -> Receipt:
    if 200 <= status < 300:
        return Receipt()
    final = status < 500 and status not in _HEALS
    return Receipt(why=f"HTTP {status}", final=final, pause=float(pause) if pause.isdecimal() else 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """How alerts are written down: the body of a letter and its media type, and what Alertmanager is told."""

    letter: Callable[[Letter, Shape], bytes]
    media: Callable[[Shape], str]
    alerts: Callable[[Iterable[Alert], float, float], list[JsonObject]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where secrets are, and how alerts are written down."""

    environment: Mapping[str, str]
    shapes: Shapes


class Webhook:
    """Delivers letters to one URL, signed where there is a secret."""

    def __init__(self, route: Route, poster: Poster, clock: Clock, desk: Surroundings) -> None:
        self._route = route
        self._poster = poster
        self._clock = clock
        self._desk = desk

    async def __call__(self, letter: Letter) -> Receipt:
        route, environment = self._route, self._desk.environment
        url = environment.get(route.url_variable, "") if route.url_variable else route.urls[0]
        if not url:
            return Receipt(why=f"{route.url_variable} is not set")
        body = self._desk.shapes.letter(letter, route.shape)
        headers = {"Content-Type": self._desk.shapes.media(route.shape), "User-Agent": "reconciler"}
        if route.token_variable:
            headers["Authorization"] = f"Bearer {environment.get(route.token_variable, '')}"
        if route.secret_variable:
            headers |= sign(environment.get(route.secret_variable, ""), body, self._clock.now())
        return await self._poster.post(url, body, headers)


def sign(secret: str, body: bytes, now: float) -> dict[str, str]:
    """The headers by which a receiver knows that a body is ours, and how old it is: HMAC-SHA256 over the timestamp, a
    full stop and the body."""
    timestamp = str(int(now))
    mark = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {TIMESTAMP: timestamp, SIGNATURE: f"v1={mark}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Regarding:
    """The pod that this process is, by the names that its environment gives it."""

    name: str
    uid: str = ""


class KubeEvents:
    """Delivers letters as events about our own pod. A courtesy: only so many a minute, and each of them once."""

    def __init__(self, kube: Kube, pod: Regarding, clock: Clock) -> None:
        self._kube = kube
        self._pod = pod
        self._clock = clock
        self._sent: deque[float] = deque()

    async def __call__(self, letter: Letter) -> Receipt:
        now = self._clock.monotonic()
        while self._sent and now - self._sent[0] >= _EVENT_WINDOW:
            self._sent.popleft()
        if len(self._sent) >= _MOST_EVENTS:
            return Receipt(why="too many events at once", final=True)
        self._sent.append(now)
        answer = await self._kube.create(Resource.EVENTS, self._shape(letter), _LIMIT)
        if isinstance(answer, Fault) and answer.code != "AlreadyExists":
            return Receipt(why=str(answer), final=True)
        return Receipt()

    def _shape(self, letter: Letter) -> JsonObject:
        alert, namespace = letter.alert, self._kube.namespace
        pod: JsonObject = {"apiVersion": "v1", "kind": "Pod", "name": self._pod.name, "namespace": namespace}
        if self._pod.uid:
            pod["uid"] = self._pod.uid
        note = plain_lines(f"{alert.summary}\n{alert.description}").encode()[:1000].decode(errors="ignore")
        calm = not alert.open or alert.level is Level.INFO
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{self._pod.name[:200]}.{letter.id[:16]}", "namespace": namespace},
            "eventTime": _show_micro_time(letter.written),
            "reportingController": "reconciler",
            "reportingInstance": self._pod.name[:128],
            "action": letter.turn.value.capitalize(),
            "reason": alert.name,
            "regarding": pod,
            "note": note,
            "type": "Normal" if calm else "Warning",
        }


def _show_micro_time(seconds: float) -> str:
    """Six digits always: anything else is refused."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Courier:
    """One sink's letters in the order they were written, delivered one after the other while `leads` says so.

    `settled` is told when there is less to do, so that somebody remembers it. Of one alert the first letter is kept
    until it has arrived: what is over must not be told before it began. Other alerts' letters do not wait for it, but a
    sink that fails is left alone for longer and longer, whatever there is for it.
    """

    def __init__(self, name: str, deliver: Deliver, clock: Clock, chance: Chance) -> None:
        self.name = name
        self.letters: deque[Letter] = deque()
        self.delivered = self.dead = self.dropped = 0
        self.why = ""
        self._deliver = deliver
        self._clock = clock
        self._chance = chance
        self._more = asyncio.Event()
        self._failed = 0  # in a row
        self._rests_until = 0.0

    def take(self, letters: Iterable[Letter]) -> None:
        self.letters.extend(letters)
        while len(self.letters) > _MOST_LETTERS:
            self.letters.popleft()
            self.dropped += 1
        self._more.set()

    def forget(self) -> None:
        self.letters.clear()
        self.dead = self.dropped = 0

    async def run(self, leads: Callable[[], bool], settled: Callable[[], None]) -> None:
        while True:
            if not self.letters:
                self._more.clear()
                await self._more.wait()
                continue
            wait = self.due - self._clock.now()
            # Nothing is put off for longer: a clock that was ahead, ours or another process's, has been set back.
            wait = 0.0 if wait > _LONGEST_ASKED else wait
            if wait > 0 or not leads():
                await self._clock.sleep(min(max(wait, 0.5), _LONGEST_PAUSE))
                continue
            await self._try(self._next)
            settled()

    @property
    def due(self) -> float:
        """When there is something to be sent, in epoch seconds."""
        return max(self._next.due, self._rests_until) if self.letters else math.inf

    @property
    def _next(self) -> Letter:
        """Of each alert's first letters the one that is due first, of several the oldest."""
        firsts: dict[str, Letter] = {}
        for letter in self.letters:
            firsts.setdefault(letter.alert.key, letter)
        return min(firsts.values(), key=lambda each: each.due)

    async def _try(self, letter: Letter) -> None:
        receipt = await self._send(letter)
        place = next((place for place, each in enumerate(self.letters) if each is letter), None)
        if place is None:
            return  # dropped meanwhile, or taken back
        self.why = receipt.why
        if not receipt.why:
            del self.letters[place]
            self.delivered += 1
            self._failed, self._rests_until = 0, 0.0
            return
        tries, now, asked = letter.tries + 1, self._clock.now(), min(receipt.pause, _LONGEST_ASKED)
        self._failed += 1
        self._rests_until = now + max(self._pause(self._failed), asked)
        if (receipt.final and tries >= _TRIES) or now - letter.written >= _PATIENCE:
            del self.letters[place]
            self.dead += 1
            _log.warning("letter.dead", sink=self.name, letter=letter.id, alert=letter.alert.key, why=receipt.why)
            return
        self.letters[place] = replace(letter, tries=tries, due=now + max(self._pause(tries), asked))
        _log.info("letter.delayed", sink=self.name, letter=letter.id, why=receipt.why, tries=tries)

    def _pause(self, failed: int) -> float:
        return min(_LONGEST_PAUSE, 2.0 ** min(failed, 20)) * self._chance.uniform(0.8, 1.2)

    async def _send(self, letter: Letter) -> Receipt:
        try:
            return await self._deliver(letter)
        except Exception:  # noqa: BLE001 - what nobody expected of one sink must not end the others
            _log.exception("sink.crashed", sink=self.name)
            return Receipt(why="crashed", final=True)


@dataclass(slots=True)
class _Said:
    """What Alertmanager shall be told next."""

    alerts: tuple[Alert, ...] = ()
    lifetime: float = 180.0


class Alertmanager:
    """Tells one URL all that is open, and what has ended: each time that somebody says so, and in between so often that
    nothing is taken for over only because a pass takes long."""

    def __init__(self, route: Route, url: str, poster: Poster, clock: Clock, desk: Surroundings) -> None:
        self.name = route.name
        self.failures = 0
        self.why = ""
        self._route = route
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
        self._poster = poster
        self._clock = clock
        self._desk = desk
        self._said = _Said()
        self._told: dict[str, JsonObject] = {}
        self._more = asyncio.Event()
        self._waits = False

    @property
    def busy(self) -> bool:
        """Whether something is to be told, or is being told, that has not been tried before."""
        return self._more.is_set() and not self._waits

    def tell(self, alerts: Iterable[Alert], lifetime: float) -> None:
        """Open alerts, which are open for `lifetime` seconds from then, and those that have ended lately. Whatever was
        not told yet is replaced by it."""
        taken = tuple(each for each in alerts if self._route.takes(each))
        self._said = _Said(alerts=taken, lifetime=lifetime)
        self._more.set()

    def forget(self) -> None:
        """What another process tells by now."""
        self._said = _Said()
        self._more.clear()

    async def run(self, leads: Callable[[], bool]) -> None:
        while True:
            await self._await_more()
            if not leads():
                self.forget()
                continue
            said = self._said
            receipt = await self._try(said)
            if receipt.why and receipt.why != self.why:
                _log.warning("alertmanager.unreached", sink=self.name, why=receipt.why)
            self.why = receipt.why
            if receipt.why:
                self.failures += 1
                self._waits = True
                await self._clock.sleep(_AGAIN)
                self._waits = False
            elif said is self._said:
                self._more.clear()

    async def _await_more(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._said.lifetime / 3 if self._said.alerts else None):
                await self._more.wait()

    async def _try(self, said: _Said) -> Receipt:
        try:
            return await self._post(said)
        except Exception:  # noqa: BLE001 - what nobody expected of one sink must not end the others
            _log.exception("sink.crashed", sink=self.name)
            return Receipt(why="crashed")

    async def _post(self, said: _Said) -> Receipt:
        now = self._clock.now()
        shaped = self._desk.shapes.alerts(said.alerts, now, said.lifetime)
        named = {alert.key: each for alert, each in zip(said.alerts, shaped, strict=True)}
        # Alertmanager knows an alert by its labels alone: one that got worse is another one to it.
        gone = [each for key, each in self._told.items() if key in named and each["labels"] != named[key]["labels"]]
        items = [*shaped, *({**each, "endsAt": show_moment(now)} for each in gone)]
        for start in range(0, len(items), _MOST_ALERTS):
            batch: list[Json] = [*items[start : start + _MOST_ALERTS]]
            receipt = await self._poster.post(self._url, canonical_bytes(batch), self._headers())
            if receipt.why:
                return receipt
        self._told = named
        return Receipt()

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "reconciler"}
        if variable := self._route.token_variable:
            headers["Authorization"] = f"Bearer {self._desk.environment.get(variable, '')}"
        return headers


@dataclass(slots=True, kw_only=True)
class Sinks:
    """All sinks of one process."""

    couriers: dict[str, Courier] = field(default_factory=dict)
    alertmanagers: list[Alertmanager] = field(default_factory=list)

    async def run(self, leads: Callable[[], bool], settled: Callable[[], None]) -> None:
        async with asyncio.TaskGroup() as group:
            for courier in self.couriers.values():
                group.create_task(courier.run(leads, settled), name=courier.name)
            for each in self.alertmanagers:
                group.create_task(each.run(leads), name=each.name)

    def forget(self) -> None:
        """Begin anew: what is to be sent is what another process left."""
        for courier in self.couriers.values():
            courier.forget()
        for each in self.alertmanagers:
            each.forget()

    def idle(self, now: float) -> bool:
        """Whether nothing is waiting to be sent at once."""
        due = any(courier.due <= now for courier in self.couriers.values())
        return not due and not any(each.busy for each in self.alertmanagers)

    @property
    def letters(self) -> tuple[Letter, ...]:
        return tuple(letter for courier in self.couriers.values() for letter in courier.letters)
