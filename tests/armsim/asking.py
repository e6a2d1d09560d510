"""A plain HTTP client of the simulation: what a test says is what goes over the wire."""

import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from yarl import URL

from armsim.server import Simulator

SUB = Simulator.subscription_id
GROUP = f"/subscriptions/{SUB}/resourceGroups/rg"
ACCOUNTS = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts"
CS = f"/subscriptions/{SUB}/providers/Microsoft.CognitiveServices"
VERSION = "2025-09-01"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any
    text: str

    @property
    def code(self) -> str | None:
        return self.body["error"]["code"] if isinstance(self.body, dict) and "error" in self.body else None

    @property
    def message(self) -> str:
        return str(self.body["error"]["message"])


class Asker:
    """Signs in and asks."""

    def __init__(self, sim: Simulator) -> None:
        self.sim = sim
        self.token = ""
        context = ssl.create_default_context(cafile=sim.ca_bundle)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0))
        # aiohttp repeats a request of its own accord when a kept connection is cut; here cuts must be seen.
        self.session._retry_connection = False

    async def __aenter__(self) -> Self:
        self.token = await self.sign_in()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def sign_in(self, **form: str) -> str:
        answer = await self.token_for(**form)
        return str(answer.body["access_token"])

    async def token_for(self, tenant: str = Simulator.tenant_id, **form: str) -> Answer:
        filled = {
            "grant_type": "client_credentials",
            "client_id": self.sim.client_id,
            "client_secret": self.sim.client_secret,
            "scope": f"{self.sim.endpoint}/.default",
        } | form
        return await self.raw(
            "POST", f"{self.sim.endpoint}/{tenant}/oauth2/v2.0/token", data={k: v for k, v in filled.items() if v}
        )

    async def raw(self, method: str, url: str, **options: Any) -> Answer:
        async with self.session.request(method, URL(url, encoded=True), allow_redirects=False, **options) as response:
            text = await response.text()
            is_json = "json" in response.headers.get("content-type", "")
            body = await response.json() if is_json and text else None
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, body, text)

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """One ARM request; a path with its own api-version, or a whole URL, is left alone."""
        url = path if path.startswith("http") else self.sim.endpoint + path
        if "api-version" not in url:
            url += f"{'&' if '?' in url else '?'}api-version={query.pop('version', VERSION)}"
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.raw(method, url.replace(" ", "%20"), json=body, headers=headers)

    async def get(self, path: str) -> Answer:
        return await self.ask("GET", path)

    async def put(self, path: str, body: Any = None) -> Answer:
        return await self.ask("PUT", path, body or {})

    async def patch(self, path: str, body: Any = None) -> Answer:
        return await self.ask("PATCH", path, {} if body is None else body)

    async def delete(self, path: str) -> Answer:
        return await self.ask("DELETE", path)

    async def post(self, path: str, body: Any = None) -> Answer:
        return await self.ask("POST", path, body or {})

    # -- the world

    async def advance(self, seconds: float) -> None:
        await self.sim.control("POST", "/_sim/clock", {"advance": seconds})

    async def fault(self, kind: str, **spec: Any) -> None:
        await self.sim.control("POST", "/_sim/faults", {"kind": kind, **spec})

    async def seed(self, **what: Any) -> None:
        await self.sim.control("POST", "/_sim/seed", what)

    async def group(self, name: str = "rg", location: str = "westeurope") -> None:
        answer = await self.put(f"/subscriptions/{SUB}/resourceGroups/{name}", {"location": location})
        assert answer.status in {200, 201}

    async def account(self, name: str = "a1", location: str = "westeurope", **properties: Any) -> dict[str, Any]:
        """An account that is ready."""
        body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": location, "properties": properties}
        created = await self.put(f"{ACCOUNTS}/{name}", body)
        assert created.status == 201, created.text
        await self.advance(41)
        return dict((await self.get(f"{ACCOUNTS}/{name}")).body)

    async def deploy(self, name: str = "d1", account: str = "a1", capacity: Any = 10, **more: Any) -> Answer:
        return await self.put(f"{ACCOUNTS}/{account}/deployments/{name}", model(capacity=capacity, **more))


def model(
    name: str = "gpt-4o", version: str | None = "2024-11-20", sku: str = "GlobalStandard", capacity: Any = 10
) -> dict[str, Any]:
    what = {"format": "OpenAI", "name": name} | ({"version": version} if version else {})
    return {"sku": {"name": sku, "capacity": capacity}, "properties": {"model": what}}
