"""The loop that jumps: exact, patient with sockets and threads, and in order."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.virtual_time import LoopClock, passed, run

pytestmark = pytest.mark.virtual_time


async def test_hours_pass_at_once_and_exactly() -> None:
    began = time.monotonic()
    await asyncio.sleep(48 * 3600 + 0.1)
    assert passed() == pytest.approx(48 * 3600 + 0.1, abs=1e-6)
    assert time.monotonic() - began < 5


async def test_timers_go_off_in_their_order() -> None:
    order: list[float] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (30.0, 0.001, 3600.0, 30.5):
            group.create_task(sleep(seconds))
    assert order == [0.001, 30.0, 30.5, 3600.0]


async def test_computing_takes_no_time() -> None:
    sum(range(200_000))
    await asyncio.sleep(0)
    assert passed() == 0.0


async def test_a_thread_is_waited_for_in_real_time() -> None:
    async with asyncio.timeout(0.001):  # virtual, so it has not passed while a thread works
        await asyncio.to_thread(time.sleep, 0.05)
    assert passed() == 0.0


async def test_a_server_that_thinks_for_an_hour_answers_before_a_client_that_waits_for_two() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        await asyncio.sleep(3600)
        writer.write(b"done\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"ask\n")
        async with asyncio.timeout(7200):
            assert await reader.readline() == b"done\n"
        writer.close()
        await writer.wait_closed()
    assert passed() == pytest.approx(3600, abs=0.001)


async def test_the_clock_of_the_product_follows_the_loop() -> None:
    clock = LoopClock(500.0)
    await clock.sleep(60)
    await clock.sleep(-1)
    assert clock.now() == 560.0


def test_it_runs_without_pytest_too() -> None:
    async def main() -> float:
        await asyncio.sleep(100)
        return passed()

    assert run(main()) == 100.0
