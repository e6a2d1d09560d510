"""`python -m bench`: a simulation of its own, the reconciler and a plain SDK script against it in turn, one table.

Promises that a figure is only printed for a process that ended as it should. Judges nothing but its own aims, and an
aim that is missed is said, never an exit code: a machine may be slow.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.fleet import Fleet, make_fleet, write_json, write_yaml
from bench.measure import Pass, describe_machine, run_pass, start_up
from bench.networks import NETWORK_TYPES, OBJECTS, ZONES, seed_networks, write_networks
from bench.table import HANDFUL, Aim, Run, Section, describe, render, rows_of
from bench.table import Row as Figure
from tests.support.simulated import Azure, azure

HELP_RUNS = 11
_NOTHING, _CHANGES = 0, 2  # exit codes of a plan, of both clients


@dataclass(frozen=True, slots=True)
class Bench:
    """Where one run keeps its files, and what it measures."""

    folder: Path
    fleet: Fleet
    latency: float  # milliseconds
    pace: float  # of the converge

    @contextmanager
    def simulation(self, name: str) -> Iterator[Azure]:
        """An empty Azure of its own, at the natural pace."""
        home = self.folder / name
        home.mkdir()
        with azure(home, 1.0, "--latency-ms", str(self.latency)) as running:
            yield running

    def measure(self, running: Azure, words: Sequence[str], expected: int, title: str) -> Pass:
        tell(f"{title}: {' '.join(words[:3])} ...")
        return run_pass(running, [sys.executable, "-m", *words], self.folder / "log", expected)

    def ours(self, running: Azure, expected: int, title: str, *words: str) -> Pass:
        return self.measure(running, ("reconciler", "once", *words, str(self.folder / "desired")), expected, title)

    def plain(self, running: Azure, expected: int, title: str, *words: str) -> Pass:
        return self.measure(running, ("bench.plain_sdk", *words, str(self.folder / "fleet.json")), expected, title)

    def run(self) -> tuple[Section, ...]:
        """Everything, in an order that needs as few worlds as possible."""
        write_yaml(self.fleet, self.folder / "desired")
        write_json(self.fleet, self.folder / "fleet.json")
        with self.simulation("ours") as running:
            for title in ("once unmeasured, for the bytecode", "a plan from nothing"):
                planned = self.ours(running, _CHANGES, title, "--dry-run"), self.plain(running, _CHANGES, title)
            converged = self._converge(running)
            silent = "a pass with nothing to do"
            quiet = self.ours(running, _NOTHING, silent, "--dry-run"), self.plain(running, _NOTHING, silent)
        with self.simulation("plain") as running, self._hurried(running) as hurried:
            created = self.plain(hurried, _NOTHING, "a full converge", "--apply")
        memory = Aim(150, inclusive=False)
        aims = {
            "requests": Aim(len(self.fleet.accounts) + HANDFUL),
            "of them writes": Aim(0),
            "seconds": Aim(5, inclusive=False),
            "peak memory, MiB": memory,
        }
        return (
            Section("pass, nothing to do", rows_of(*quiet, aims)),
            Section("plan from nothing", rows_of(*planned, {"of them writes": Aim(0), "peak memory, MiB": memory})),
            Section(
                "full converge",
                rows_of(converged, created, {"refused 409, 429": Aim(0), "peak memory, MiB": memory}, paced=True),
            ),
            self._networks(),
            self._start_up(),
        )

    def _converge(self, running: Azure) -> Pass:
        with self._hurried(running) as hurried:
            return self.ours(hurried, _NOTHING, "a full converge", "--yes", "--quiet")

    @contextmanager
    def _hurried(self, running: Azure) -> Iterator[Azure]:
        """The same simulation while its clock, and that of its clients, goes faster."""
        running.control("POST", "clock", {"pace": self.pace})
        try:
            yield Azure(running.ready, self.pace)
        finally:
            running.control("POST", "clock", {"pace": 1.0})

    def _networks(self) -> Section:
        """Networks in which nothing is to do, beside a fleet of nothing but a group: what they cost alone."""
        desired, bare = self.folder / "networks", self.folder / "bare"
        write_networks(desired)
        bare.mkdir()
        (bare / "fleet.yaml").write_text((desired / "fleet.yaml").read_text(encoding="utf-8"), encoding="utf-8")
        with self.simulation("networked") as running:
            running.seed(resources=seed_networks(running.subscription))
            looks = [
                self.measure(running, ("reconciler", "once", "--dry-run", str(place)), _NOTHING, "networks")
                # Once unmeasured: networks are another package of the SDK, whose bytecode is not there yet.
                for place in (desired, desired, bare)
            ]
        _, full, empty = looks
        aims = {
            "requests": Aim(empty.requests + ZONES + len(NETWORK_TYPES)),
            "of them writes": Aim(0),
            "peak memory, MiB": Aim(150, inclusive=False),
        }
        alone = full.spent.processor - empty.spent.processor
        more = Figure("of it for networks", alone, 0, Aim(2, inclusive=False))
        rows = rows_of(full, empty, aims)
        at = next(at for at, row in enumerate(rows) if row.name == "processor seconds") + 1
        return Section(f"{OBJECTS} network objects", (*rows[:at], more, *rows[at:]), "a group alone")

    def _start_up(self) -> Section:
        tell("start-up")
        log = self.folder / "log"
        ours = start_up([sys.executable, "-m", "reconciler", "--help"], HELP_RUNS, log)
        nothing = start_up([sys.executable, "-c", "pass"], HELP_RUNS, log)
        row = Figure("seconds, median", ours, nothing, Aim(0.2, inclusive=False))
        return Section("reconciler --help", (row,), "python -c pass")


def tell(words: str) -> None:
    sys.stderr.write(f"{words}\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description="What a fleet costs, beside a plain SDK script.")
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--deployments", type=int, default=10, help="in each account, at most 32")
    parser.add_argument("--latency-ms", type=float, default=150.0, help="what every request takes")
    parser.add_argument("--pace", type=float, default=4.0, help="of Azure's clock while the fleet is made")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    fleet = make_fleet(options.accounts, options.deployments)
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        sections = Bench(Path(folder), fleet, options.latency_ms, options.pace).run()
    told = (
        f"{len(fleet.accounts)} accounts and {fleet.deployments:,} deployments in {len(fleet.groups)} regions, "
        f"{options.latency_ms:g} ms per request, converge at {options.pace:g} times real time"
    )
    run = Run(told, machine, sections)
    sys.stdout.write(json.dumps(describe(run), indent=2) + "\n" if options.output == "json" else render(run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
