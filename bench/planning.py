"""`python -m bench.planning`: what a plan costs that fills every pool, at one size and at twice that size.

Measures the plan alone: no network, documents read once and told apart. Each plan is made in a process of its own that
inherits what was read. Judges nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from time import process_time

from bench.markets import (
    OFFERS,
    POOLS,
    REGIONS,
    change_one,
    forsake,
    load,
    look_at,
    make_fleet,
    measure,
    rename,
    reshuffle,
)
from bench.measure import WrongEndError, describe_machine
from reconciler.model.resource import Fleet, Snapshot
from reconciler.plan import make_plan

_DEPLOYMENTS = 10  # of an account
_READING = "reading the documents"
_EMPTY = Snapshot(taken_at=0.0, live={})


@dataclass(frozen=True, slots=True)
class Case:
    """Something to plan: `make` is given the fleet and an Azure that is as it wants; `writes` tells how many writes may
    be planned for so many resources."""

    name: str
    make: Callable[[Fleet, Snapshot], tuple[Fleet, Snapshot]]
    writes: Callable[[int], range]
    pools: bool = False  # whether the fleet's pools of models are wanted

    def ask(self, fleet: Fleet, azure: Snapshot) -> tuple[Fleet, Snapshot]:
        """The fleet and the Azure that are to be planned for."""
        return self.make(fleet if self.pools else replace(fleet, wishes=()), azure)


def _nothing(fleet: Fleet, azure: Snapshot) -> tuple[Fleet, Snapshot]:
    return fleet, azure


def _pools(fleet: Fleet, azure: Snapshot) -> tuple[Fleet, Snapshot]:
    return fleet, replace(azure, quotas=measure(fleet, limit=1.5))


def _one(fleet: Fleet, azure: Snapshot) -> tuple[Fleet, Snapshot]:
    return change_one(fleet), replace(azure, quotas=measure(fleet))


def _all_new(fleet: Fleet, _azure: Snapshot) -> tuple[Fleet, Snapshot]:
    return fleet, replace(_EMPTY, quotas=measure(fleet, used=0.0))


def _all_moved(fleet: Fleet, azure: Snapshot) -> tuple[Fleet, Snapshot]:
    return reshuffle(fleet), replace(azure, quotas=measure(fleet))


def _all_replaced(fleet: Fleet, azure: Snapshot) -> tuple[Fleet, Snapshot]:
    return rename(fleet), replace(azure, quotas=measure(fleet))


def _all_pruned(fleet: Fleet, azure: Snapshot) -> tuple[Fleet, Snapshot]:
    return forsake(fleet), replace(azure, quotas=measure(fleet))


def _half_fits(fleet: Fleet, _azure: Snapshot) -> tuple[Fleet, Snapshot]:
    return fleet, replace(_EMPTY, quotas=measure(fleet, used=0.0, limit=0.5))


# Whatever else can be wanted of a fleet is one more line here.
CASES = (
    Case("nothing to do", _nothing, lambda _resources: range(1)),
    Case("one change", _one, lambda _resources: range(1, 2)),
    Case("all to create", _all_new, lambda resources: range(resources, 2 * resources)),
    Case("all to create, half of it fits", _half_fits, range),
    Case("all capacities reshuffled", _all_moved, range),
    Case("all accounts replaced", _all_replaced, lambda resources: range(2 * resources, 4 * resources)),
    Case(f"{POOLS} pools of models placed", _pools, lambda resources: range(1, resources), pools=True),
    Case("all accounts pruned", _all_pruned, lambda resources: range(resources - len(REGIONS), resources)),
)


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of processor time, and MiB of Python's memory at its highest beyond what was there before."""

    seconds: float
    peak: float


@dataclass(frozen=True, slots=True)
class Figure:
    """What one thing took, at each size."""

    name: str
    spent: tuple[Spent, ...]


def run(sizes: Sequence[int], tries: int) -> Iterator[Figure]:
    """A figure for reading the documents and for each case; of several tries the quickest."""
    found: dict[str, list[Spent]] = {}
    for accounts in sizes:
        with tempfile.TemporaryDirectory() as folder:
            read = partial(load, make_fleet(accounts, _DEPLOYMENTS), Path(folder) / "desired")
            found.setdefault(_READING, []).append(_spend(read, tries, f"{accounts} accounts, {_READING}"))
            fleet = read()
        azure = look_at(fleet)
        for case in CASES:
            plan = partial(_plan, case, *case.ask(fleet, azure))
            found.setdefault(case.name, []).append(_spend(plan, tries, f"{accounts} accounts, {case.name}"))
    return (Figure(name, tuple(spent)) for name, spent in found.items())


def _spend(task: Callable[[], object], tries: int, words: str) -> Spent:
    """Do it in processes that end with it, so that nothing pays for what was before; watching memory takes time, so
    that is done once more."""
    sys.stderr.write(f"{words} ...\n")
    gc.collect()
    seconds = min(_fork(partial(_clock, task)) for _ in range(tries))
    return Spent(seconds, _fork(partial(_weigh, task)))


def _fork(figure: Callable[[], float]) -> float:
    reading, writing = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.write(writing, repr(figure()).encode())
        except WrongEndError as problem:
            sys.stderr.write(f"{problem}\n")
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    os.waitpid(process, 0)
    if not text:
        raise WrongEndError("a process ended without a figure")
    return float(text)


def _clock(task: Callable[[], object]) -> float:
    began = process_time()
    task()
    return process_time() - began


def _weigh(task: Callable[[], object]) -> float:
    tracemalloc.start()
    task()
    return tracemalloc.get_traced_memory()[1] / 1024**2


def _plan(case: Case, fleet: Fleet, azure: Snapshot) -> None:
    plan = make_plan(fleet, azure)
    if plan.stopped or len(plan.steps) not in case.writes(len(azure.live) or len(fleet.desired)):
        raise WrongEndError(f"{case.name}: {len(plan.steps)} writes were planned; {plan.stopped or 'not stopped'}")


def render(figures: Sequence[Figure], sizes: Sequence[int], machine: dict[str, str]) -> str:
    """A table: seconds, then memory, each at every size and how much more the last one takes than the first."""
    heads = [f"{accounts * _DEPLOYMENTS:,}" for accounts in sizes]
    lines = [
        f"plans of {' and '.join(heads)} deployments in {len(REGIONS)} regions with {len(OFFERS)} full pools each",
        *(f"{name}: {value}" for name, value in machine.items()),
        "",
        f"{'':<32}{'processor seconds':>24}{'peak memory, MiB':>26}",
        f"{'':<32}" + 2 * ("".join(f"{head:>9}" for head in heads) + f"{'growth':>8}"),
    ]
    for figure in figures:
        seconds = [each.seconds for each in figure.spent]
        peaks = [each.peak for each in figure.spent]
        told = "".join(f"{each:>9.2f}" for each in seconds) + f"{seconds[-1] / seconds[0]:>7.1f}x"
        told += "".join(f"{each:>9.0f}" for each in peaks) + f"{peaks[-1] / peaks[0]:>7.1f}x"
        lines.append(f"{figure.name:<32}{told}")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.planning", description="What a plan costs, at one size and at twice it."
    )
    parser.add_argument("--accounts", type=int, default=500, help=f"of {_DEPLOYMENTS} deployments each")
    parser.add_argument("--tries", type=int, default=2, help="the quickest of them counts")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    machine = describe_machine()
    sizes = (options.accounts, 2 * options.accounts)
    figures = [*run(sizes, options.tries)]
    told = {"format_version": 1, "accounts": sizes, "machine": machine, "figures": [asdict(each) for each in figures]}
    sys.stdout.write(json.dumps(told, indent=2) + "\n" if options.output == "json" else render(figures, sizes, machine))
    return 0


if __name__ == "__main__":
    sys.exit(main())
