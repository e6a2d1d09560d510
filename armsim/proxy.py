"""A proxy for clients that take no other endpoint than Azure's own: it leads those names to the simulation.

Promises that nothing it is asked for reaches any other host. Knows neither ARM nor tokens; it moves bytes.
"""

import asyncio
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
        self._tunnels: set[asyncio.StreamWriter] = set()

    async def start(self, host: str, port: int = 0) -> str:
        """Its URL."""
        self._server = await asyncio.start_server(self._serve, host, port)
        bound = self._server.sockets[0].getsockname()[1]
        return f"http://{host}:{bound}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in list(self._tunnels):
            writer.transport.abort()
        if self._server is not None:
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tunnels.add(writer)
        try:
            if await _asked_for(reader) in AZURE_HOSTS:
                await self._tunnel(reader, writer)
            else:
                writer.write(REFUSED)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # Either side may go away at any time; there is nobody to tell.
        finally:
            self._tunnels.discard(writer)
            writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, back = await asyncio.open_connection(*self._target)
        self._tunnels.add(back)
        try:
            writer.write(OPENED)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(_pump(reader, back))
                directions.create_task(_pump(onward, writer))
        finally:
            self._tunnels.discard(back)
            back.close()


async def _asked_for(reader: asyncio.StreamReader) -> str:
    """The host of a CONNECT to the port of TLS, or nothing."""
    head = await reader.readuntil(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or words[0] != "CONNECT":
        return ""
    host, _, port = words[1].rpartition(":")
    return host.lower() if port == "443" else ""


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends; then the sink is told, so that the other direction ends too."""
    try:
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    except OSError:
        pass  # A side that was cut is an end like any other.
    finally:
        if not sink.is_closing():
            sink.close()
