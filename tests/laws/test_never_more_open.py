"""Law: after every single write no one gets through who does not get through before the change or after it.

Who gets through is judged by a reading of its own (`tests/support/reaching.py`) of what the simulated Azure stores, after
every change of anything. Most pairs run without sockets, so that there can be thousands; some run over the real ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from armsim.server import Simulator
from armsim.settings import SUBSCRIPTION
from reconciler.model.outcome import CycleReport
from reconciler.model.plan import DecisionState
from reconciler.model.resource import Fleet
from tests.laws.pairs import ACCOUNTS, callers, documents, draw_fleet, edit, prefixes_of, probes
from tests.laws.stage import Document, failures, stage, told
from tests.laws.witness import Witness, in_space
from tests.support import virtual_time
from tests.support.direct import DirectStage, Trouble, run

HOME = f"/subscriptions/{SUBSCRIPTION}/resourcegroups/rg-law/providers/microsoft.network/virtualnetworks/vnet"
LENGTH = 10
# A connection waits for its owner, or he has said no: that is where these fleets may end.
JUDGED = frozenset({"approval_pending", "rejected"})


class Ground(Protocol):
    """Where a pair is tried."""

    sim: Simulator

    def load(self, source: list[Document]) -> Fleet: ...

    async def converge(self, fleet: Fleet) -> tuple[CycleReport, ...]: ...


@dataclass(slots=True)
class Pair:
    """One change, and everybody who watches it."""

    name: str
    before: Document
    after: Document
    chance: Random


def pairs(seed: int) -> Iterator[Pair]:
    """A chain: from nothing to a fleet, and from each fleet to the next by a few edits."""
    chance = Random(f"chain {seed}")
    before: Document = {"groups": {}, "subnets": {}, "accounts": {}, "endpoints": {}}
    after = draw_fleet(chance)
    for number in range(LENGTH):
        yield Pair(f"chain {seed}, pair {number}", before, after, chance)
        before, after = after, edit(chance, after, chance.choice((1, 2, 3, 4, 6)))


def witness(pair: Pair, ground: Ground) -> Witness:
    addresses = probes(pair.chance, prefixes_of(pair.before, pair.after))
    asked = callers(addresses, HOME, pair.before, pair.after)
    watching = Witness(asked, in_space(asked))
    watching.watch(ground.sim.world)
    watching.look(ground.sim.world, "before")
    return watching


def judge(pair: Pair, watching: Witness) -> list[str]:
    first, last = watching.moments[0].scene, watching.moments[-1].scene
    return [f"{pair.name}: after {breach}" for breach in watching.breaches(first, last)]


def left_over(pair: Pair, reports: tuple[CycleReport, ...]) -> list[str]:
    """What was not done although nothing stood in its way: a law about changes is empty where nothing changes."""
    plan = reports[-1].plan
    blocked = {each.code for each in plan.decisions if each.state is DecisionState.BLOCKED} - JUDGED
    open_ones = [each.ref for each in plan.decisions if each.state is DecisionState.ACT]
    failed = failures(reports[-1:])
    return [f"{pair.name}: {told(plan)} {failed}"] if plan.stopped or blocked or open_ones or failed else []


async def follow(ground: Ground, seed: int) -> list[str]:
    """A chain on quiet ground: what is wrong with it."""
    wrong = []
    for pair in pairs(seed):
        watching = witness(pair, ground)
        reports = await ground.converge(ground.load(documents(pair.after)))
        wrong += judge(pair, watching) or left_over(pair, reports)
    return wrong


async def stumble(ground: DirectStage, seed: int) -> list[str]:
    """The same with writes that overtake each other or are refused, and processes that die between any two of them."""
    wrong = []
    chance = Random(f"trouble {seed}")
    for pair in pairs(seed):
        watching = witness(pair, ground)
        fleet = ground.load(documents(pair.after))
        for _ in range(chance.choice((1, 1, 2, 3))):
            trouble = Trouble(
                chance,
                late=chance.choice((0.0, 60.0, 300.0)),
                refused=chance.choice((0.0, 0.0, 0.3)),
                dies_at=chance.choice((0, 1, 2, 3, 5)),
            )
            await ground.converge(fleet, trouble)
        reports = await ground.converge(fleet)
        wrong += judge(pair, watching) or left_over(pair, reports)
    return wrong


def no_more_than(wrong: list[str]) -> None:
    """Fail with the first few."""
    assert not wrong, "\n".join([f"{len(wrong)} wrong", *wrong[:6]])


@pytest.mark.parametrize("block", range(5))
def test_whatever_changes_nobody_gets_through_in_passing(block: int, tmp_path: Path) -> None:
    async def law(seed: int) -> list[str]:
        return await follow(DirectStage(tmp_path), seed)

    no_more_than([each for seed in range(block * 20, block * 20 + 20) for each in run(law(seed))])


@pytest.mark.parametrize("block", range(5))
def test_nor_when_writes_overtake_each_other_or_fail_or_the_process_dies(block: int, tmp_path: Path) -> None:
    async def law(seed: int) -> list[str]:
        return await stumble(DirectStage(tmp_path), seed)

    no_more_than([each for seed in range(block * 20, block * 20 + 20) for each in run(law(1000 + seed))])


async def over_sockets(seed: int, ca_dir: Path) -> list[str]:
    async with stage(ca_dir=ca_dir) as azure:
        return await follow(azure, seed)  # type: ignore[arg-type]  # a Stage loads more than documents


@pytest.mark.parametrize("seed", range(2000, 2004))
def test_it_holds_over_real_sockets_too(seed: int, ca_dir: Path) -> None:
    no_more_than(virtual_time.run(over_sockets(seed, ca_dir)))


@pytest.mark.e2e
@pytest.mark.parametrize("seed", range(2004, 2044))
def test_it_holds_over_real_sockets_for_long(seed: int, ca_dir: Path) -> None:
    no_more_than(virtual_time.run(over_sockets(seed, ca_dir)))
