"""A proxy for clients that take no other endpoint than Azure's own: it leads those names to the simulation.

Promises that nothing it is asked for reaches any other host. Knows neither ARM nor tokens; it moves bytes.
"""

import asyncio
from contextlib import suppress
from typing import Final

# ARM and Entra of the public cloud and of the sovereign ones; the simulation's certificate covers them.
AZURE_HOSTS: Final = (
    "management.azure.com",
    "management.core.windows.net",
    "login.microsoftonline.com",
    "login.windows.net",
    "login.microsoft.com",
    "management.usgovcloudapi.net",
    "login.microsoftonline.us",
    "management.chinacloudapi.cn",
    "login.chinacloudapi.cn",
    "login.partner.microsoftonline.cn",
)
CHUNK: Final = 65_536
REFUSED: Final = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
OPENED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


class Proxy:
    """Listens on a loopback port of its own; every tunnel ends at one place."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._tunnels: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, host: str, port: int = 0) -> str:
        """Its URL."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound = self._server.sockets[0].getsockname()[1]
        return f"http://{host}:{bound}"

    async def stop(self) -> None:
        """Every tunnel is cut and gone when this returns."""
        if self._server is None:
            return
        self._server.close()
        tunnels = dict(self._tunnels)
        for writer in tunnels.values():
            writer.transport.abort()
        if tunnels:
            await asyncio.wait(tunnels)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tunnels[task] = writer
        try:
            # Either side may go away at any time; there is nobody to tell.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._answer(reader, writer)
        finally:
            await _close(writer)
            del self._tunnels[task]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await _asked_for(reader) not in AZURE_HOSTS:
            writer.write(REFUSED)
            await writer.drain()
            return
        onward, back = await asyncio.open_connection(*self._target)
        try:
            writer.write(OPENED)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(_pump(reader, back))
                directions.create_task(_pump(onward, writer))
        finally:
            await _close(back)


async def _asked_for(reader: asyncio.StreamReader) -> str:
    """The host of a CONNECT to the port of TLS, or nothing."""
    head = await reader.readuntil(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or words[0] != "CONNECT":
        return ""
    host, _, port = words[1].rpartition(":")
    return host.lower() if port == "443" else ""


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends or a side is cut; then the sink is closed, which ends the other direction too."""
    with suppress(OSError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    sink.close()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
