"""A lock on a file: one of two, and the other one when the first has gone."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import pytest

from reconciler.runtime.flock import FileLease
from reconciler.runtime.lease import stand
from tests.support.virtual_time import LoopClock

pytestmark = pytest.mark.virtual_time


async def test_one_leads_and_the_next_one_follows(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = FileLease(path, identity="first", clock=LoopClock(0.0))
    second = FileLease(path, identity="second", clock=LoopClock(0.0))
    heard: list[str] = []
    async with stand(second, heard.append):
        pass
    second = FileLease(path, identity="second", clock=LoopClock(0.0))
    async with stand(first, heard.append):
        await asyncio.sleep(1)
        assert first.remaining() == math.inf
        waiting = asyncio.ensure_future(_await(second, heard))
        await asyncio.sleep(10)
        assert second.remaining() == 0.0
        assert second.why == "is held by first"
        seen = second.look()
        assert (seen.identity, seen.holder, seen.term, seen.renewed_at) == ("second", "first", None, None)
        assert seen.told == f"the lease {path} is held by first"
    await waiting
    assert heard == ["", ""]
    assert (tmp_path / "lock").read_text() == ""


async def _await(lease: FileLease, heard: list[str]) -> None:
    async with stand(lease, heard.append):
        while not lease.remaining():
            await lease._clock.sleep(0.5)
        assert lease.name.endswith("/lock")
        assert lease.why == "is held by second"
        with lease.work():
            assert lease.remaining() == math.inf


async def test_what_the_work_raises_is_raised_as_it_is_and_the_lock_is_free(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with pytest.raises(RuntimeError, match=r"^the work crashed$"):
        await _crash(FileLease(path, identity="first", clock=LoopClock(0.0)))
    second = FileLease(path, identity="second", clock=LoopClock(0.0))
    async with stand(second, lambda _: None):
        await asyncio.sleep(1)
        assert second.remaining() == math.inf


async def _crash(lease: FileLease) -> None:
    async with stand(lease, lambda _: None):
        await asyncio.sleep(1)
        raise RuntimeError("the work crashed")


async def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("keep")
    (tmp_path / "lock").symlink_to(tmp_path / "real")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        FileLease(str(tmp_path / "lock"), identity="x", clock=LoopClock(0.0))


async def test_a_lock_in_a_folder_that_is_not_there_is_told_by_its_setting(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "lock"
    told = rf"^the lease file {path} cannot be opened: No such file or directory; leaseFile names a file in a folder"
    with pytest.raises(OSError, match=told):
        FileLease(str(path), identity="x", clock=LoopClock(0.0))
