"""Drives the recorded exchanges of one file against the simulation, in order, on the recorded clock.

Promises the differences per exchange; does not judge them.
"""

import asyncio
import json
import re
import ssl
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiohttp
from yarl import URL

from armsim.clock import from_iso
from armsim.server import Simulator
from armsim.settings import Settings, change
from tests.contracts.recorded.compare import AZURE, GUID, Comparison, Difference, Names, Rules
from tests.contracts.recorded.exchanges import Exchange, Json, load
from tests.contracts.recorded.scenes import Scene

NOBODY = "00000000-0000-0000-0000-000000000000"
TENANT = "11111111-1111-1111-1111-111111111111"
USER = "user@example.com"
# What is seeded has been there for a while.
EARLIER = 60.0
# How long a request may take before simulated time is moved on, and by how much.
PATIENCE, STEP = 0.05, 0.5
# Writes that block in the simulation begin this long before the recorded answer.
BLOCKING = {"PUT": 1.0, "DELETE": 1.0}
QUICK = {
    "deployment_write": (1.0, 1.0),
    "account_delete": (1.0, 1.0),
    "account_create": (30.0, 30.0),
    "deployment_delete": 0.5,
    "connection_write": (1.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A difference and the exchange it was seen in."""

    number: int
    difference: Difference


def replay(scene: Scene) -> list[Found]:
    """All differences of one file."""
    return asyncio.run(_replay(scene))


async def _replay(scene: Scene) -> list[Found]:
    exchanges = load(scene.file)
    settings = change(Settings(throttle=False), QUICK | scene.settings)
    async with Simulator(settings=settings) as sim:
        trust = ssl.create_default_context(cafile=str(sim.ca_bundle))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
            player = _Player(session, sim.endpoint, scene, exchanges)
            await player.prepare(sim.client_id, sim.client_secret)
            return await player.play()


class _Player:
    def __init__(self, session: aiohttp.ClientSession, endpoint: str, scene: Scene, exchanges: list[Exchange]) -> None:
        self._session = session
        self._endpoint = endpoint
        self._scene = scene
        self._exchanges = exchanges
        self._names = Names(same=(NOBODY, TENANT))
        self._rules = Rules(endpoint, scene.unfiltered, scene.shortened, scene.ordered)
        # Recorded operation and page URLs, and what the simulation handed out in their place.
        self._links: dict[str, str] = {}
        self._form: dict[str, str] = {}

    async def prepare(self, client: str, secret: str) -> None:
        """The clock, the subscription, and what was there."""
        start = self._exchanges[0].date.timestamp() - EARLIER
        await self._control("POST", "clock", {"set": start})
        subscription = {"subscriptionId": NOBODY, "tenantId": TENANT, "displayName": "recorded"}
        seed = {"subscriptions": [subscription], "resources": self._scene.resources}
        await self._control("POST", "seed", seed | _seed_of(self._scene, self._exchanges))
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client,
            "client_secret": secret,
            "scope": "https://management.azure.com/.default",
        }

    async def play(self) -> list[Found]:
        found: list[Found] = []
        for exchange in self._exchanges:
            if exchange.number not in self._scene.left_out:
                found += [Found(exchange.number, each) for each in await self._step(exchange)]
        return found

    async def _step(self, exchange: Exchange) -> list[Difference]:
        await self._move_clock(exchange)
        if exchange.number in self._scene.meanwhile:
            await self._control("POST", "seed", {"resources": self._scene.meanwhile[exchange.number]})
        await self._inject(exchange)
        status, headers, body = await self._send(exchange)
        comparison = Comparison(self._names, self._rules)
        if status != exchange.status:
            comparison.note("status", "value", exchange.status, f"{status} {str(body)[:300]}")
        comparison.headers(exchange.headers, headers)
        comparison.json("body", exchange.body, body)
        self._learn(exchange, headers, body)
        return comparison.found

    async def _move_clock(self, exchange: Exchange) -> None:
        now = (await self._control("GET", "clock", None))["now"]
        target = exchange.date.timestamp() - BLOCKING.get(exchange.method, 0.0)
        if target > now:
            await self._control("POST", "clock", {"set": target})

    async def _inject(self, exchange: Exchange) -> None:
        fault = self._scene.faults.get(exchange.number) or self._as_slow_as_recorded(exchange)
        if fault:
            path = "^" + re.escape(unquote(urlsplit(exchange.url).path)) + "$"
            match = {"method": exchange.method, "path": path}
            await self._control("DELETE", "faults", None)
            await self._control("POST", "faults", [{"match": match} | fault])

    def _as_slow_as_recorded(self, exchange: Exchange) -> Json:
        """An operation of the service takes its time; the polls that follow say how much."""
        link = exchange.headers.get("azure-asyncoperation", "")
        operation = re.search(f"CognitiveServices/.*/operationResults/({GUID})", link)
        if operation is None:
            return None
        for later in self._exchanges[exchange.number :]:
            body = later.body if isinstance(later.body, dict) else {}
            if body.get("name") == operation[1] and "endTime" in body:
                return {
                    "kind": "slow",
                    "seconds": max(0.2, from_iso(body["endTime"]) - exchange.date.timestamp() + 0.8),
                }
        return None

    async def _send(self, exchange: Exchange) -> tuple[int, dict[str, str], Json]:
        recorded = unquote(exchange.url)
        url = self._links.get(recorded) or self._endpoint + _unmask(self._names.translate(exchange.url))
        sent = None
        if exchange.sent is not None:
            sent = self._names.translate(json.dumps(exchange.sent)).encode()
        headers = await self._authorise() | ({"content-type": "application/json"} if sent else {})
        headers |= self._scene.sending.get(exchange.number, {})
        address = URL(url.replace(" ", "%20"), encoded=True)

        async def ask() -> tuple[int, dict[str, str], Json]:
            async with self._session.request(exchange.method, address, data=sent, headers=headers) as answer:
                text = await answer.text()
                known = {name.lower(): value for name, value in answer.headers.items()}
                return answer.status, known, _parse(text)

        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(ask())
            while not asked.done():
                await asyncio.wait([asked], timeout=PATIENCE)
                if not asked.done():
                    await self._control("POST", "clock", {"advance": STEP})
        return asked.result()

    async def _authorise(self) -> dict[str, str]:
        """A fresh token each time: the recorded clock may have moved on by days."""
        async with self._session.post(f"{self._endpoint}/{TENANT}/oauth2/v2.0/token", data=self._form) as answer:
            token = (await answer.json())["access_token"]
        return {"authorization": f"Bearer {token}"}

    def _learn(self, exchange: Exchange, headers: dict[str, str], body: Json) -> None:
        for name in ("azure-asyncoperation", "location"):
            if name in exchange.headers and name in headers:
                self._links[_bare(exchange.headers[name])] = headers[name]
        if isinstance(exchange.body, dict) and isinstance(body, dict) and "nextLink" in exchange.body:
            self._links[_bare(exchange.body["nextLink"])] = body.get("nextLink", "")

    async def _control(self, method: str, path: str, body: Json) -> Json:
        async with self._session.request(method, f"{self._endpoint}/_sim/{path}", json=body) as answer:
            text = await answer.text()
            if answer.status >= 300:
                raise AssertionError(f"{method} /_sim/{path} answered {answer.status}: {text}")
            return _parse(text)


def _bare(link: str) -> str:
    return unquote(AZURE.sub("", link))


def _unmask(url: str) -> str:
    """The azure-cli test suite masks the name of a deployment in URLs, but not in bodies."""
    return url.replace("/deployments/mock-deployment", "/deployments/dpy")


def _parse(text: str) -> Json:
    if not text:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _seed_of(scene: Scene, exchanges: list[Exchange]) -> Json:
    """What only the recording itself can tell: models and limits of a day that is not the catalogue's."""
    seed = dict(scene.seed)
    if "models_2023" in scene.file:
        listed = next(each.body["value"] for each in exchanges if "/models?" in each.url)
        seed["models"] = {"westeurope": [_as_listed(each) for each in listed]}
    if "usages_2023" in scene.file:
        limits = {each["name"]["value"]: each["limit"] for each in exchanges[0].body["value"]}
        seed["limits"] = {NOBODY: {"westeurope": limits}}
    return seed


def _as_listed(model: Json) -> Json:
    return model if "model" in model else {"kind": "OpenAI", "skuName": "S0", "model": model}
