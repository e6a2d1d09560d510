"""The proxy leads Azure's names to the simulation and nothing else anywhere."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from armsim.proxy import Proxy


async def _shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def _tunnel_to_a_shouter(request: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    target = await asyncio.start_server(_shout, "127.0.0.1", 0)
    proxy = Proxy(("127.0.0.1", target.sockets[0].getsockname()[1]))
    address = urlsplit(await proxy.start("127.0.0.1"))
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(request)
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()
        await proxy.stop()
        target.close()


async def test_a_tunnel_to_azure_ends_at_the_simulation() -> None:
    async with _tunnel_to_a_shouter(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n") as (reader, writer):
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"hello\n")
        assert await reader.readline() == b"HELLO\n"


@pytest.mark.parametrize(
    "line",
    ["CONNECT example.com:443", "CONNECT management.azure.com:22", "CONNECT azure.com.example.com:443", "GET /"],
)
async def test_no_other_host_is_reached(line: str) -> None:
    async with _tunnel_to_a_shouter(f"{line} HTTP/1.1\r\n\r\n".encode()) as (reader, _):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
        assert await reader.read() == b""
