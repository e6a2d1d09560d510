"""A soak: days in which documents change by the hour, people edit behind our back, and everything fails for a while.

What must be told is written down before it begins, by whoever wrote what happens; what the daemon says of itself does
not count.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from armsim.settings import Settings
from reconciler.model.drift import Gravity
from tests.daemon.meddling import CONNECTION, HOUR, Author, Episode, Script
from tests.daemon.soaking import FLEETS, HOOK, KEEPER, NEVER, Hook, Keeper, Soak, counting, on_the_wall, serving
from tests.laws.stage import Stage, stage, told
from tests.laws.test_fixpoint import plenty
from tests.support.memory_net import MemoryLoop

SEED = 2026
DRIFT = "ReconcilerDrift"
Letter = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of it: the letters in the order in which they came, and when the script began."""

    script: Script
    letters: list[Letter]
    began: float
    soak: Soak
    kept: int  # blocks of memory after the idle passes that were not there before them
    left: list[str]  # what is not as declared at the end

    def at(self, moment: str) -> float:
        """Seconds since the script began."""
        return datetime.fromisoformat(moment).timestamp() - self.began


async def soak_for(days: int, edits: int, idle: int, folder: Path, ca_dir: Path) -> Told:
    script = Author(SEED, days, edits).write()
    hook, journal = Hook(folder / "letters"), folder / "journal.json"
    asyncio.current_task().set_name("test")  # type: ignore[union-attr]  # it is running this
    with closing(hook), counting() as census:
        async with stage(Settings(latency=0.05, log_size=20_000), ca_dir) as azure:
            keeper = Keeper(azure.clock)
            soak = Soak(azure, folder, hook, keeper, census, journal)
            with on_the_wall(azure.clock):
                async with serving(HOOK, hook), serving(KEEPER, keeper):
                    await azure.seed_world(limits=plenty(azure.sim.subscription_id))
                    soak.write()
                    soak.start()
                    await asyncio.sleep(HOUR / 2)
                    began = azure.clock.now()
                    await soak.play(script)
                    kept = await soak.idle(idle)
                    await soak.stop()
                left = await differences(azure, folder)
    letters = [json.loads(line) for line in (folder / "letters").read_text().splitlines()]
    return Told(script=script, letters=letters, began=began, soak=soak, kept=kept, left=left)


async def differences(azure: Stage, folder: Path) -> list[str]:
    """What somebody who comes new and remembers nothing would still do."""
    estate = azure.load_estate(folder / "desired")
    return [line for fleet in estate.fleets for line in told(await azure.dry_run(fleet))]


def run(days: int, edits: int, idle: int, folder: Path, ca_dir: Path) -> Told:
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        return runner.run(soak_for(days, edits, idle, folder, ca_dir))


# -- the book against the letters


def once(letters: list[Letter]) -> list[Letter]:
    """Each letter the first time that it came. One that comes again says the same."""
    first: dict[str, Letter] = {}
    for each in letters:
        assert first.setdefault(each["id"], each) == each
    return [*first.values()]


def find_wrong(told: Told) -> list[str]:
    """What was told that is not in the book, and what is in it and was not told as often as it should be."""
    book: dict[str, list[Episode]] = defaultdict(list)
    for episode in told.script.book:
        book[episode.about.lower()].append(episode)
    heard: dict[str, list[Letter]] = defaultdict(list)
    for letter in once(told.letters):
        if letter["data"]["name"] == DRIFT:
            heard[_about(letter)].append(letter)
    wrong = []
    for id in sorted({*book, *heard}):
        wrong += [f"{id}: {each}" for each in _compare(told, book[id], heard[id])]
    return wrong


def _about(letter: Letter) -> str:
    id = str(letter["data"]["details"]["id"]).lower()
    return CONNECTION.lower() if id.startswith(CONNECTION[:-1].lower()) else id


def _compare(told: Told, episodes: list[Episode], letters: list[Letter]) -> Iterator[str]:
    """An episode may come again under the same key, but not while it is open."""
    began: dict[float, str] = {}
    open_ = ""
    for each in letters:
        turn, of = each["type"].rpartition(".")[2], each["data"]["began"]
        if turn == "opened":
            if open_:
                yield f"opened at {of} while open since {open_}"
            began[told.at(of)] = each["data"]["summary"]
            open_ = of
        elif turn == "resolved":
            if of != open_:
                yield f"over, which began at {of}, and open is {open_ or 'nothing'}"
            open_ = ""
        elif told.at(of) not in began:
            yield f"amended, which began at {of}, and nobody heard of it"
    if open_:
        yield f"never over, since {open_}"
    starts = [*(each.began for each in episodes), float("inf")]
    words = {at: f"at {at / HOUR:.2f} h {summary!r}" for at, summary in began.items()}
    yield from (f"told of nothing: {words[at]}" for at in began if at < starts[0])
    for episode, end in zip(episodes, starts[1:], strict=True):
        heard = [words[at] for at in began if episode.began <= at < end]
        if not episode.fewest <= len(heard) <= episode.most:
            what = f"{episode.what} at {episode.began / HOUR:.2f} h, {episode.why}"
            yield f"told {len(heard)} times of {what}: {', '.join(heard)}"


def count_turns(told: Told, name: str) -> tuple[int, int]:
    """How often alerts of this name began, and how often they were over."""
    turns = Counter(each["type"].rpartition(".")[2] for each in once(told.letters) if each["data"]["name"] == name)
    return turns["opened"], turns["resolved"]


def check(told: Told) -> None:
    script, soak = told.script, told.soak
    census = soak.census
    assert find_wrong(told) == []
    drifts = [each for each in told.letters if each["data"]["name"] == DRIFT]
    keys = {(each["subject"], each["data"]["details"]["id"]) for each in drifts}
    assert len({key for key, _ in keys}) == len({id for _, id in keys}) == len(keys), "one key for each resource"
    assert {each["data"]["labels"]["gravity"] for each in drifts} == {*Gravity}
    assert told.left == []
    names = {each["data"]["name"] for each in told.letters}
    known = {"Drift", "Fight", "InvalidDesiredState", "Throttled", "FleetUnseen"}
    assert names <= {f"Reconciler{name}" for name in known}
    fights = count_turns(told, "ReconcilerFight")
    assert fights == (len(script.fights), len(script.fights))
    broken = sum(map(len, script.trouble.broken.values()))
    assert count_turns(told, "ReconcilerInvalidDesiredState") == (broken, broken)
    # Each fleet is unseen once in each outage, and once in the hour without tokens.
    blind = [*script.trouble.outages, *script.trouble.nameless]
    assert count_turns(told, "ReconcilerFleetUnseen") == (len(FLEETS) * len(blind),) * 2
    throttled = count_turns(told, "ReconcilerThrottled")
    assert throttled[0] == throttled[1]
    assert soak.hook.forged == 0
    assert soak.keeper.firing == []
    journal = json.loads((soak.folder / "journal.json").read_text())
    assert [journal[name] for name in ("drifts", "letters")] == [[], []], journal
    assert census.strangers == set(), "tasks that nobody knows, or that are there twice"
    assert not {name: census.events[name] for name in NEVER if census.events[name]}
    assert census.most["more threads"] == 0
    # Connections are kept for the next request: as many as there ever were requests at once.
    assert census.most["connections served"] < 30
    assert census.most["files open"] < 40


@pytest.fixture(scope="module")
def ca_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ca")


@pytest.mark.timeout(900)
def test_a_day_of_trouble_is_told_once_each_and_leaves_nothing_behind(tmp_path: Path, ca_dir: Path) -> None:
    told = run(1, 150, 100, tmp_path, ca_dir)
    check(told)
    assert told.kept < 2 * 100, "blocks of memory that passes have kept, of which a small object takes one"


@pytest.mark.e2e
@pytest.mark.timeout(1800)
def test_a_week_of_trouble_is_told_once_each_and_leaves_nothing_behind(tmp_path: Path, ca_dir: Path) -> None:
    """With ten minutes between passes, to be done in minutes: it shows that each is told once, not how soon."""
    told = run(7, 1300, 300, tmp_path, ca_dir)
    check(told)
    surely = [each for each in told.script.book if each.fewest == each.most == 1]
    assert len(surely) >= 1000, told.script.tell()
    assert told.kept < 0.75 * 300
    # The first day fills what is kept for a day: what came back, who was heard of.
    _, second, *_, last = told.soak.samples
    assert last.passes - second.passes > 1400
    assert last.blocks - second.blocks < 4000, (last.kinds - second.kinds).most_common(20)
    assert last.journal < 1.5 * second.journal
    assert last.series < second.series + 20
