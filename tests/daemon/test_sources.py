"""What sets a pass off and what holds it back, on the whole way: mounted documents that are swapped, hours, pauses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.daemon.library import Library
from reconciler.desired.tree import Tree
from reconciler.model.pause import Pause
from reconciler.model.plan import DecisionState
from reconciler.runtime.trigger import watch
from tests.daemon.running import INTERVAL, Running, running, sign_in
from tests.daemon.test_broken_documents import write
from tests.daemon.test_loop import fleet_of, open_up, quiet, state
from tests.laws.stage import Stage, account_id, fleet_document

pytestmark = pytest.mark.virtual_time


@asynccontextmanager
async def reading(azure: Stage, source: Path) -> AsyncIterator[Running]:
    """A daemon that reads and watches `source` as `run` does, and that no interval rings for."""
    tree = Tree([source])
    library = Library(look=tree.digest, read=lambda: sign_in(azure, azure._read(source)), clock=azure.clock)
    async with running(azure, azure._read(source)) as daemon, asyncio.TaskGroup() as group:
        daemon.source = library.load
        eyes = group.create_task(watch(daemon.bell, azure.clock, Tree([source]).digest))
        await daemon.until(quiet)
        yield daemon
        eyes.cancel()
        daemon.stop()


def mount_config_map(home: Path, sensible: bool) -> None:
    """As the kubelet does: a new directory, and `..data` turned to it at once."""
    place = home / f"..2026_{sensible}"
    write(place / "fleet.yaml", *fleet_of("aoai-a", disableLocalAuth=sensible))
    turn(home / "..data", place)
    if not (home / "fleet.yaml").is_symlink():
        (home / "fleet.yaml").symlink_to("..data/fleet.yaml")


def check_out(home: Path, sensible: bool) -> None:
    """As git-sync does: a worktree for each commit, and one link turned to it."""
    place = home.parent / f"worktree-{sensible}"
    write(place / "prod" / "fleet.yaml", *fleet_of("aoai-a", disableLocalAuth=sensible))
    turn(home, place)


def turn(link: Path, target: Path) -> None:
    new = link.with_name(f"{link.name}.new")
    new.symlink_to(target)
    new.replace(link)


@pytest.mark.parametrize("swap", [mount_config_map, check_out])
async def test_documents_that_are_swapped_are_obeyed_without_waiting_for_the_interval(
    azure: Stage, tmp_path: Path, swap: Callable[[Path, bool], None]
) -> None:
    home = tmp_path / "documents"
    if swap is mount_config_map:
        home.mkdir()
    swap(home, False)
    async with reading(azure, home) as daemon:
        id = account_id(azure, "aoai-a")
        assert not azure.resource(id)["properties"].get("disableLocalAuth")
        await azure.forget()
        swap(home, True)
        assert (await daemon.next_pass()).trigger == "files"
        assert azure.resource(id)["properties"]["disableLocalAuth"] is True
        assert [each["method"] for each in await azure.writes()] == ["PATCH"]


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


async def test_hours_are_those_of_a_zone_before_and_after_its_clocks_change(azure: Stage) -> None:
    """New York has UTC-4 until 2025-11-02 and UTC-5 from then on; it is written to from nine to ten in the morning."""
    hours = {"timeZone": "America/New_York", "allow": [{"start": "0 9 * * *", "duration": "1h"}]}
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await daemon.until(quiet)
        daemon.estate = sign_in(azure, azure.load_estate([fleet_document(maintenance=hours), *fleet_of("aoai-a")[1:]]))
        for moment, open_ in (
            ("2025-11-01T12:55:00", False),
            ("2025-11-01T13:05:00", True),
            ("2025-11-03T13:05:00", False),
            ("2025-11-03T14:05:00", True),
            ("2025-11-03T15:05:00", False),
        ):
            await asyncio.sleep(at(moment) - azure.clock.now())
            await open_up(azure, account_id(azure, "aoai-a"))
            await azure.forget()
            done = await daemon.next_pass("interval")
            assert bool(await azure.writes()) is open_, moment
            if not open_:
                assert state(done, "Account/aoai-a") is DecisionState.BLOCKED


@pytest.mark.parametrize("scope", [{}, {"fleet": "law"}, {"kind": "Account"}])
async def test_a_pause_of_a_fleet_or_a_kind_ends_by_itself(azure: Stage, scope: dict[str, str]) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        daemon.pausing.pauses = (
            Pause(until=azure.clock.now() + 600, **scope),  # type: ignore[arg-type]
            Pause(until=azure.clock.now() + 9e6, fleet="another"),
        )
        await azure.forget()
        while azure.clock.now() < daemon.pausing.pauses[0].until - 1:
            done = await daemon.next_pass("interval")
            assert state(done, "Account/aoai-a") is DecisionState.BLOCKED
            await asyncio.sleep(min(INTERVAL, daemon.pausing.pauses[0].until - azure.clock.now()))
        assert await azure.writes() == []
        await daemon.next_pass("interval")
        assert len(await azure.writes()) == 1


async def test_a_pause_of_one_resource_holds_up_nobody_else_and_ends_by_itself(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a", "aoai-b")) as daemon:
        await daemon.until(quiet)
        for name in ("aoai-a", "aoai-b"):
            await open_up(azure, account_id(azure, name))
        daemon.pausing.pauses = (Pause(until=azure.clock.now() + 600, target="Account/aoai-a"),)
        await azure.forget()
        done = await daemon.next_pass("interval")
        assert state(done, "Account/aoai-a") is DecisionState.BLOCKED
        assert [each["path"].rpartition("/")[2] for each in await azure.writes()] == ["aoai-b"]
        await asyncio.sleep(600)
        await daemon.next_pass("interval")
        assert [each["path"].rpartition("/")[2] for each in await azure.writes()] == ["aoai-b", "aoai-a"]
