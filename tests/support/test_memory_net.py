"""Connections in memory behave as those of a kernel do, as far as aiohttp can tell, and what leaks is seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.support.memory_net import MemoryLoop
from tests.support.virtual_time import passed

PORT = 80


def run(main: Callable[[MemoryLoop], Coroutine[object, object, None]]) -> None:
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, MemoryLoop)
        runner.run(main(loop))


def count_files() -> int:
    return len([*Path("/proc/self/fd").iterdir()])


@asynccontextmanager
async def echo() -> AsyncIterator[aiohttp.ClientSession]:
    """A server that gives back what it is sent, after a minute where it is asked to wait."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/slow":
            await asyncio.sleep(60)
        return web.Response(body=body)

    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()
    async with aiohttp.ClientSession("http://127.0.0.1") as session:
        yield session
    await runner.cleanup()


def test_what_is_sent_comes_back_however_long_it_is() -> None:
    async def main(_loop: MemoryLoop) -> None:
        async with echo() as session:
            for body in (b"", b"short", bytes(range(256)) * 4000):
                async with session.post("/", data=body) as answer:
                    assert await answer.read() == body

    run(main)


def test_waiting_takes_no_real_time_and_as_much_of_its_own_as_it_says() -> None:
    async def main(_loop: MemoryLoop) -> None:
        async with echo() as session:
            await asyncio.gather(*(session.post("/slow") for _ in range(3)))
        assert 60 <= passed() < 61

    run(main)


def test_a_connection_is_used_again_and_its_file_closed_with_it() -> None:
    async def main(_loop: MemoryLoop) -> None:
        before = count_files()
        async with echo() as session:
            for _ in range(5):
                async with session.post("/", data=b"x"):
                    pass
                assert count_files() == before + 1
        await asyncio.sleep(0)
        assert count_files() == before

    run(main)


def test_a_closed_port_refuses_and_what_breaks_off_is_told() -> None:
    async def main(loop: MemoryLoop) -> None:
        async with echo() as session:
            loop.closed.add(PORT)
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.post("/")
            loop.closed.clear()
            asking = asyncio.create_task(session.post("/slow"))
            await asyncio.sleep(1)
            loop.break_off(PORT)
            with pytest.raises(aiohttp.ServerDisconnectedError):
                await asking

    run(main)


def test_what_an_executor_would_run_is_done_at_once_and_fails_as_it_would() -> None:
    async def main(_loop: MemoryLoop) -> None:
        assert await asyncio.to_thread(int, "7") == 7
        with pytest.raises(ValueError, match="seven"):
            await asyncio.to_thread(int, "seven")

    run(main)
