"""The simulation as an object: loopback ports for ARM and Entra over TLS, for managed identity, and for the proxy.

    async with Simulator() as sim:
        ...  # sim.endpoint, sim.ca_bundle, sim.client_secret

Promises that nothing listens any more once the block is left.
"""

import asyncio
import json
import ssl
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from armsim import control, tls
from armsim import settings as defaults
from armsim.clock import Clock
from armsim.cloud import Cloud
from armsim.door import Door
from armsim.identity import Identity
from armsim.ledger import Ledger
from armsim.proxy import Proxy
from armsim.settings import Settings
from armsim.store import Subscription, World
from armsim.wire import Body, Json, encode

SHUTDOWN = 0.5
# A whole world comes in one request.
LARGEST = 2**30


class Simulator:
    tenant_id = defaults.TENANT
    client_id = defaults.CLIENT
    client_secret = defaults.CLIENT_SECRET
    subscription_id = defaults.SUBSCRIPTION

    def __init__(
        self,
        clock: Clock | None = None,
        port: int = 0,
        settings: Settings | None = None,
        host: str = "127.0.0.1",
        ca_dir: Path | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.clock = clock or Clock()
        self._port = port
        self._host = host
        self._ca_dir = ca_dir
        self._stack = AsyncExitStack()
        self.cloud = Cloud(self.clock, self.settings)
        self.cloud.world.subscriptions[defaults.SUBSCRIPTION] = Subscription(
            defaults.SUBSCRIPTION, defaults.TENANT, "Simulated subscription"
        )
        self.identity = Identity(self.clock, self.settings.seed)
        self.door = Door(self.cloud, self.identity, Ledger(self.settings.log_size))
        self.endpoint = ""
        self.imds = ""
        self.proxy = ""
        self.ca_bundle = ""
        self.federated_token_file = ""

    @property
    def world(self) -> World:
        return self.cloud.world

    @property
    def authority(self) -> str:
        return self.endpoint

    async def __aenter__(self) -> Self:
        folder = self._ca_dir
        if folder is None:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="armsim-")))
        bundle, context = tls.prepare(folder)
        self.ca_bundle = str(bundle)
        token_file = folder / "federated.jwt"
        tls.write_private(token_file, self.identity.federated().encode())
        self.federated_token_file = str(token_file)
        arm = await self._open(web.Server(self.door.serve, request_factory=_request), context)
        self.endpoint = f"https://{self._host}:{arm}"
        self._port = 0
        metadata = await self._open(web.Server(self.door.serve_metadata), None)
        self.imds = f"http://{self._host}:{metadata}"
        proxy = Proxy((self._host, arm))
        self.proxy = await proxy.start(self._host)
        self._stack.push_async_callback(proxy.stop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def control(self, method: str, path: str, body: Json = None) -> Json:
        """A control request without HTTP: `await sim.control("POST", "/_sim/clock", {"advance": 60})`."""
        plain, _, query = path.partition("?")
        content = encode(body) if body is not None else b""
        status, answer = await control.answer(self.door, method, plain, query, content)
        result = json.loads(answer)
        if status >= 400:
            raise ValueError(f"{method} {path}: {result['error']}")
        return result

    def describe(self) -> Body:
        """What a client needs to know to come here."""
        return {
            "endpoint": self.endpoint,
            "authority": self.authority,
            "imds": self.imds,
            "proxy": self.proxy,
            "ca_bundle": self.ca_bundle,
            "tenant_id": self.tenant_id,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "subscription_id": self.subscription_id,
            "federated_token_file": self.federated_token_file,
        }

    async def _open(self, server: web.Server, context: ssl.SSLContext | None) -> int:
        runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, self._host, self._port, ssl_context=context)
        await site.start()
        return int(runner.addresses[0][1])


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=LARGEST)
