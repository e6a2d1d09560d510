"""Pauses in a ConfigMap, over a strict API server: kept, not overwritten, and never taken for none."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.model.pause import Pause
from reconciler.runtime.kube import Place, find_place
from reconciler.runtime.pauses import PauseMap
from tests.support.kubernetes import CONFIG_MAPS, NAMESPACE, ApiServer, Fault, served

NAME = "reconciler-pauses"
PAUSE = Pause(until=1_800_000_000.0, fleet="prod", by="ann", reason="release", since=1.0)


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    async with served(ApiServer()) as running:
        yield running


@pytest.fixture
def place(server: ApiServer, tmp_path: Path) -> Place:
    return find_place(server.client("a", tmp_path / "a"), str(tmp_path / "a"), NAMESPACE)


async def test_pauses_are_kept_from_one_process_to_the_next(place: Place) -> None:
    store = PauseMap(place, NAME)
    assert await store.load() == ()
    await store.save((PAUSE,))
    again = PauseMap(place, NAME)
    assert await again.load() == (PAUSE,)
    await again.save(())
    assert await store.load() == ()


async def test_what_somebody_else_changed_meanwhile_is_not_overwritten(place: Place) -> None:
    first, second = PauseMap(place, NAME), PauseMap(place, NAME)
    await first.load()
    await second.load()
    await first.save((PAUSE,))
    with pytest.raises(OSError, match="somebody else changed it just now, say it again"):
        await second.save(())
    await second.load()
    await second.save(())


async def test_an_api_server_that_is_sore_pauses_everything(server: ApiServer, place: Place) -> None:
    server.faults["a"] = Fault("status", status=500)
    (pause,) = await PauseMap(place, NAME).load()
    assert pause.until == math.inf
    assert pause.reason.startswith(f"the pauses in ConfigMap {NAMESPACE}/{NAME} cannot be read: ")


async def test_a_map_that_says_something_else_pauses_everything(server: ApiServer, place: Place) -> None:
    await PauseMap(place, NAME).save((PAUSE,))
    server.put(CONFIG_MAPS, NAME, lambda body: body.update(data={"pauses.json": "soon"}))
    (pause,) = await PauseMap(place, NAME).load()
    assert "cannot be read: Expecting value" in pause.reason
