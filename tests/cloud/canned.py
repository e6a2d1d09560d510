"""A server that answers what a test has laid out, over TLS: for answers of Azure that the simulation never gives."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from aiohttp import web

Answer = tuple[int, Mapping[str, str], object]


@dataclass
class Canned:
    """`answer` says what a request gets; `lines` is each request as it stood on the wire, tokens excepted."""

    bundle: str
    answer: Callable[[web.BaseRequest], Answer] = lambda _request: (404, {}, None)
    endpoint: str = ""
    lines: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    connections: set[object] = field(default_factory=set)
    expires_in: int = 3600
    signed_in: int = 0

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        self.connections.add(request.transport)
        if request.path.endswith("/token"):
            self.signed_in += 1
            token = {"access_token": f"token-{self.signed_in}", "token_type": "Bearer", "expires_in": self.expires_in}
            return web.json_response(token)
        self.lines.append(f"{request.method} {request.raw_path}")
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        status, headers, body = self.answer(request)
        if isinstance(body, str | bytes):
            content = body.encode() if isinstance(body, str) else body
        else:
            content = b"" if body is None else json.dumps(body).encode()
        given = {"content-type": "application/json", **headers}
        return web.Response(status=status, body=content, headers=given)


@asynccontextmanager
async def canned(folder: Path) -> AsyncIterator[Canned]:
    authority = trustme.CA()
    bundle = folder / "canned.pem"
    authority.cert_pem.write_to_path(str(bundle))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = Canned(str(bundle))
    runner = web.ServerRunner(web.Server(server.serve), shutdown_timeout=0.5, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        server.endpoint = f"https://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
