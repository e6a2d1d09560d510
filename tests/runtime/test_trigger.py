"""What sets a pass off: rings that become one, time, cron, and files that change."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.desired.tree import Tree
from reconciler.runtime.trigger import Bell, Timing, insist, keep_time, make_cron_trigger, watch
from tests.support.virtual_time import LoopClock, passed


async def test_rings_that_nobody_has_heard_yet_become_one() -> None:
    bell = Bell()
    for trigger in ("interval", "files", "interval"):
        bell.fire(trigger)
    assert await bell.wait() == ("interval", "files")
    bell.fire("sighup")
    assert await bell.wait() == ("sighup",)


async def test_whoever_waits_is_woken() -> None:
    bell = Bell()
    async with asyncio.TaskGroup() as group:
        heard = group.create_task(bell.wait())
        await asyncio.sleep(0)
        bell.fire("request")
    assert heard.result() == ("request",)


async def test_nobody_waits_for_a_closed_bell_whatever_rings() -> None:
    bell = Bell()
    bell.fire("interval")
    bell.close()
    assert await bell.wait() == ()
    bell.fire("interval")
    assert await bell.wait() == ()
    await bell.closed()


async def test_the_interval_rings_in_the_loop_s_own_thread_and_stops_with_its_block() -> None:
    """On the real clock, because the scheduler knows no other: a minute at six hundred times the pace."""
    bell = Bell()
    with keep_time(bell, Timing(interval=60, jitter=6, pace=600)):
        for _ in range(3):
            async with asyncio.timeout(5):
                assert await bell.wait() == ("interval",)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await bell.wait()


@pytest.mark.parametrize(
    ("expression", "zone", "after", "then"),
    [
        # Monday is 1, as in crontab(5): the scheduler's own reading would take it for Tuesday.
        ("0 6 * * 1", "UTC", "2026-11-28T12:00:00+00:00", "2026-11-30T06:00:00+00:00"),
        ("0 6 * * mon-fri", "UTC", "2026-11-30T06:00:00+00:00", "2026-12-01T06:00:00+00:00"),
        ("0 6 * * *", "Europe/Stockholm", "2026-07-01T00:00:00+00:00", "2026-07-01T04:00:00+00:00"),
    ],
)
def test_cron_is_read_as_crontab_is(expression: str, zone: str, after: str, then: str) -> None:
    trigger = make_cron_trigger(expression, zone)
    now = datetime.fromisoformat(after)
    assert trigger.get_next_fire_time(None, now) == datetime.fromisoformat(then)
    assert trigger.get_next_fire_time(now, datetime(2020, 1, 1, tzinfo=UTC)) == datetime.fromisoformat(then)


async def test_cron_rings_under_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    bell = Bell()
    monkeypatch.setattr("reconciler.runtime.trigger.next_strike", lambda _expression, _zone, moment: moment + 0.01)
    with keep_time(bell, Timing(interval=3600, cron=("0 6 * * *",))):
        async with asyncio.timeout(5):
            assert await bell.wait() == ("cron",)


@pytest.mark.virtual_time
async def test_files_ring_once_they_have_changed_and_come_to_rest() -> None:
    bell, clock = Bell(), LoopClock(0.0)
    # At 3 s something changes, at 6 s it changes again, from 9 s on it rests; at 18 s it is as it was in the beginning.
    looks = iter(["a", "b", "c", "c", "c", "c", "a", "a", "a"])
    heard: list[tuple[str, float]] = []
    async with asyncio.TaskGroup() as group:
        watcher = group.create_task(watch(bell, clock, lambda: next(looks, "a")))
        for _ in range(2):
            (trigger,) = await bell.wait()
            heard.append((trigger, round(passed())))
        watcher.cancel()
    assert heard == [("files", 9), ("files", 21)]


@pytest.mark.virtual_time
async def test_where_nobody_rings_for_two_intervals_somebody_does() -> None:
    """The scheduler's clock is that on the wall: set back by an hour, it is silent for one."""
    bell, clock = Bell(), LoopClock(0.0)
    async with asyncio.TaskGroup() as group:
        reminder = group.create_task(insist(bell, clock, 60.0))
        await asyncio.sleep(110)
        bell.fire("interval")
        await bell.wait()
        await asyncio.sleep(120)
        assert bell.rings == 1
        assert await bell.wait() == ("interval",)
        assert round(passed()) == 240
        reminder.cancel()


def write(place: Path, text: str = "kind: Fleet\n") -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_a_tree_is_named_by_what_is_in_it(tmp_path: Path) -> None:
    write(tmp_path / "fleet.yaml")
    tree = Tree([tmp_path])
    first = tree.digest()
    os.utime(tmp_path / "fleet.yaml", (1, 1))
    assert tree.digest() == first  # touched, not changed
    write(tmp_path / "notes.txt", "not a document")
    assert tree.digest() == first
    write(tmp_path / "below" / "account.yaml", "kind: Account\n")
    second = tree.digest()
    assert second != first
    (tmp_path / "below" / "account.yaml").unlink()
    assert tree.digest() == first


def test_a_swapped_link_of_a_mounted_config_map_is_a_change(tmp_path: Path) -> None:
    """Kubernetes writes a new directory and turns `..data` to it; the names that are read stay what they are."""
    write(tmp_path / "..2026_1" / "fleet.yaml", "kind: Fleet # one\n")
    write(tmp_path / "..2026_2" / "fleet.yaml", "kind: Fleet # two\n")
    (tmp_path / "..data").symlink_to("..2026_1")
    (tmp_path / "fleet.yaml").symlink_to("..data/fleet.yaml")
    tree = Tree([tmp_path])
    first = tree.digest()
    (tmp_path / "..new").symlink_to("..2026_2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert tree.digest() != first


def test_a_checkout_that_is_swapped_for_another_is_a_change(tmp_path: Path) -> None:
    """git-sync checks a commit out beside the last one and turns one link."""
    write(tmp_path / "a1b2" / "prod" / "fleet.yaml", "kind: Fleet # one\n")
    write(tmp_path / "c3d4" / "prod" / "fleet.yaml", "kind: Fleet # two\n")
    (tmp_path / "current").symlink_to("a1b2")
    tree = Tree([tmp_path / "current" / "prod"])
    first = tree.digest()
    (tmp_path / "new").symlink_to("c3d4")
    (tmp_path / "new").replace(tmp_path / "current")
    assert tree.digest() != first


def test_a_tree_that_cannot_be_walked_has_a_name_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "fleet.yaml")
    tree = Tree([tmp_path])
    first = tree.digest()

    def refuse(_sources: object) -> None:
        raise PermissionError(13, "Permission denied", "/somewhere")

    with monkeypatch.context() as patch:
        patch.setattr("reconciler.desired.tree.walk_sources", refuse)
        assert tree.digest() == "cannot be walked: [Errno 13] Permission denied: '/somewhere'"
    assert tree.digest() == first


def test_a_file_that_cannot_be_read_is_something_else_than_one_that_can(tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").symlink_to(tmp_path / "nothing")
    tree = Tree([tmp_path])
    first = tree.digest()
    write(tmp_path / "nothing")
    assert tree.digest() != first
