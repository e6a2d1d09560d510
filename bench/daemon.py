"""`python -m bench.daemon`: how soon `reconciler run` notices a change, and what it takes while nothing changes.

The daemon as it runs in a cluster: a lease, a journal and events at a Kubernetes API server, alerts to a webhook and an
Alertmanager, probed and scraped. Ends with 1 where an aim is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from operator import attrgetter
from pathlib import Path
from typing import Any

import yaml

from bench.estate import Edit, Region, count_networks, make_edits, seed_estate, split, write_estate
from bench.fleet import Fleet, make_fleet
from bench.measure import WrongEndError, describe_machine, environment_for
from bench.table import Aim, Row, Run, Section, describe, missed, render
from bench.watched import Inbox, Sample, Watched, probing, receiving, watching
from tests.support.kubernetes import ApiServer, served_apart
from tests.support.simulated import Azure, azure

INTERVAL = 60.0
_SETTLED = 1.0  # seconds after a pass in which it is written down and told
_START, _LATE = 60.0, 30.0  # seconds that the first pass, and any pass beyond its interval, may take at most
_ROUND = 60.0  # seconds over which the edits of a round are spread
_POD = "reconciler-bench"

# What Azure grants one identity, in requests per second. ARM refills a bucket for each subscription; the providers of
# networks and of private DNS count five minutes, for each subscription and region.
ARM_READS = 25.0
NETWORK_READS = 10_000 / 300
DNS_READS = 500 / 300


@dataclass(frozen=True, slots=True)
class Asked:
    """What a pass asked of Resource Manager, which is refilled in the `seconds` since the pass before it began."""

    seconds: float
    reads: int = 0
    network: int = 0
    dns: int = 0
    writes: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Quiet:
    """One interval in which nothing was to do, of so many `seconds`: `processor` seconds of a core, `of_pass` of them
    in its pass, which took `took` seconds. `idle` is the memory just before the pass, in MiB, and `resident` the most
    that was seen."""

    asked: Asked
    seconds: float
    processor: float
    of_pass: float
    took: float
    idle: float
    resident: float


def count(requests: Sequence[Mapping[str, Any]], seconds: float) -> Asked:
    """Sort the lines of the simulation's log. A POST takes from the budget of writes."""
    reads = [each["path"].lower() for each in requests if each["method"] in ("GET", "HEAD")]
    network = [path for path in reads if "/providers/microsoft.network/" in path]
    dns = [path for path in network if "/providers/microsoft.network/privatedns" in path]
    return Asked(
        seconds=seconds,
        reads=len(reads),
        network=len(network) - len(dns),
        dns=len(dns),
        writes=len(requests) - len(reads),
        refused=sum(each["status"] in (409, 429) for each in requests),
    )


def read_image_memory() -> dict[str, str]:
    """How the image has memory given back."""
    return dict(
        re.findall(r"\b(MALLOC_\w+)=(\S+)", (Path(__file__).parents[1] / "Dockerfile").read_text(encoding="utf-8"))
    )


def spent_until(samples: Sequence[Sample], moment: float) -> float:
    """Processor seconds at `moment`, on the straight line between the samples around it."""
    after = bisect_left(samples, moment, key=lambda each: each.at)
    one, two = samples[max(after - 1, 0)], samples[min(after, len(samples) - 1)]
    part = (moment - one.at) / (two.at - one.at) if two.at > one.at else 0.0
    return one.processor + part * (two.processor - one.processor)


def tell_quiet(intervals: Sequence[Quiet], peak: float) -> Section:
    """What the intervals took; of what has an aim the worst of them, but for processor time, which is an average."""
    seconds = sum(each.seconds for each in intervals)
    processor = sum(each.processor for each in intervals)
    worst = max(intervals, key=lambda each: each.asked.reads)

    def share(read: Callable[[Asked], int], rate: float) -> float:
        return max(100 * read(each.asked) / (rate * each.asked.seconds) for each in intervals)

    return Section(
        f"{len(intervals)} quiet intervals",
        (
            Row("seconds of one", seconds / len(intervals)),
            Row("seconds of a pass", statistics.mean(each.took for each in intervals)),
            Row("reads of a pass", worst.asked.reads),
            Row("% of ARM's refill", share(attrgetter("reads"), ARM_READS), aim=Aim(20, inclusive=False)),
            Row("% of Network's", share(attrgetter("network"), NETWORK_READS)),
            Row("% of private DNS's", share(attrgetter("dns"), DNS_READS)),
            Row("writes", sum(each.asked.writes for each in intervals), aim=Aim(0)),
            Row("refused 409, 429", sum(each.asked.refused for each in intervals), aim=Aim(0)),
            Row("processor s of a pass", statistics.mean(each.of_pass for each in intervals)),
            Row("and until the next one", statistics.mean(each.processor - each.of_pass for each in intervals)),
            Row("processor, % of a core", 100 * processor / seconds, aim=Aim(10, inclusive=False)),
            Row("idle memory, MiB", max(each.idle for each in intervals), aim=Aim(120, inclusive=False)),
            Row("at its peak", max(each.resident for each in intervals)),
            Row("since start", peak),
        ),
        other="",
    )


def tell_noticed(waits: Mapping[str, Sequence[float]], longest: float) -> Section:
    """Seconds from an edit to its alert, by the kind of edit. A pass that took the `longest` may come on top."""
    every = sorted(each for row in waits.values() for each in row)
    return Section(
        f"{len(every)} edits noticed after",
        (
            *(Row(f"{word}, s", max(row)) for word, row in waits.items()),
            Row("half of all, s", statistics.median(every)),
            Row("95 of 100, s", every[ceil(0.95 * len(every)) - 1]),
            Row("the last one, s", every[-1], aim=Aim(round(INTERVAL + longest, 1))),
        ),
        other="",
    )


@dataclass(frozen=True, slots=True)
class Bench:
    """Where one run keeps its files, and how much it watches."""

    folder: Path
    fleet: Fleet
    latency: float  # milliseconds
    python: str
    intervals: int
    rounds: int

    def run(self) -> tuple[Section, ...]:
        desired = self.folder / "desired"
        with (
            azure(self.folder, 1.0, "--latency-ms", str(self.latency)) as sim,
            served_apart(ApiServer()) as cluster,
            receiving() as inbox,
        ):
            regions = split(self.fleet, sim.subscription)
            write_estate(self.fleet, regions, desired)
            sim.seed(resources=seed_estate(regions))
            environment = {
                **environment_for(sim, self.folder),
                **read_image_memory(),
                **cluster.client("bench", self.folder / "account"),
                "RECONCILER_CONFIG": str(self._write_settings(desired, inbox)),
                "POD_NAME": _POD,
            }
            command = [self.python, "-m", "reconciler", "run"]
            # Once unmeasured, so that all of its bytecode is there, as it is in the image.
            tell("once unmeasured, for the bytecode")
            with watching(command, environment, self.folder / "first.log") as daemon:
                daemon.await_events("pass.finished", 1, _START)
            tell(f"the first pass, and {self.intervals} intervals of {INTERVAL:g} s")
            with watching(command, environment, self.folder / "log") as daemon, self._asking(daemon):
                quiet = self._watch(daemon, sim)
                peak = daemon.peak
                waits = self._edit(daemon, sim, inbox, regions)
                longest = max(each.took for each in quiet)
        noticed = (tell_noticed(waits, longest),) if waits else ()
        return tell_quiet(quiet, peak), *noticed

    def _write_settings(self, desired: Path, inbox: Inbox) -> Path:
        """As the chart writes them, but for where things are."""
        settings = {
            "sources": [str(desired)],
            "interval": f"{INTERVAL:g}s",
            "listen": "127.0.0.1:0",
            "lease": "kubernetes",
            "serviceAccount": str(self.folder / "account"),
            "journalMap": "reconciler-journal",
            "pauseMap": "reconciler-pauses",
            "logFormat": "json",
            "alerts": [
                {"sink": "alertmanager", "urls": [inbox.url]},
                {"sink": "webhook", "url": f"{inbox.url}/hook"},
                {"sink": "events"},
            ],
        }
        path = self.folder / "reconciler.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return path

    @contextmanager
    def _asking(self, daemon: Watched) -> Iterator[None]:
        port = daemon.await_events("server.listening", 1, _START)[0]["port"]
        with probing(f"http://127.0.0.1:{port}") as answered:
            yield
        if not all(answered.values()):
            raise WrongEndError(f"not every probe was answered: {answered}")

    def _watch(self, daemon: Watched, sim: Azure) -> list[Quiet]:
        """The intervals after the first pass, each from when one pass has settled until the next one has."""
        daemon.await_events("pass.finished", 1, _START)
        daemon.await_events("pass.finished", 1 + self.intervals, self.intervals * INTERVAL + _LATE)
        daemon.rest(_SETTLED)
        ahead = sim.control("GET", "health")["now"] - daemon.sample().at
        requests = [{**each, "at": each["at"] - ahead} for each in sim.requests()]
        passes = daemon.events("pass.finished")
        ends = [each["at"] + _SETTLED for each in passes]
        changes = sum(each["changes"] for each in daemon.events("cycle.planned"))
        if changes:
            raise WrongEndError(f"{changes} changes were planned where nothing is to do")
        found = []
        for number in range(self.intervals):
            began, ended, took = ends[number], ends[number + 1], passes[number + 1]["seconds"]
            before, started = (each["at"] - each["seconds"] for each in passes[number : number + 2])
            spent = [spent_until(daemon.samples, each) for each in (began, started, ended)]
            within = [each for each in requests if began < each["at"] <= ended]
            found.append(
                Quiet(
                    asked=count(within, started - before),
                    seconds=ended - began,
                    processor=spent[2] - spent[0],
                    of_pass=spent[2] - spent[1],
                    took=took,
                    idle=[each for each in daemon.samples if each.at <= started][-1].resident,
                    resident=max(each.resident for each in daemon.samples if began < each.at <= ended),
                )
            )
        return found

    def _edit(self, daemon: Watched, sim: Azure, inbox: Inbox, regions: tuple[Region, ...]) -> dict[str, list[float]]:
        """Each round edits one resource of each kind in another region, at random moments, and waits for all alerts."""
        chance = random.Random(2026)  # noqa: S311 - moments, not secrets
        waits: dict[str, list[float]] = {}
        for region in regions[1 : 1 + self.rounds]:
            edits = [*make_edits(region)]
            chance.shuffle(edits)
            tell(f"{len(edits)} edits within {_ROUND:g} s in {region.location}")
            began = daemon.sample().at
            done: dict[str, tuple[Edit, float]] = {}
            for edit, moment in zip(edits, sorted(chance.uniform(0, _ROUND) for _ in edits), strict=True):
                while daemon.sample().at < began + moment:
                    daemon.rest(0.05)
                sim.mutate(edit.method, edit.path, edit.body)
                done[edit.drifts.lower()] = edit, daemon.sample().at
            while done.keys() - (told := inbox.opened()).keys():
                if daemon.sample().at > began + _ROUND + INTERVAL + _LATE:
                    raise WrongEndError(f"nobody was told of {sorted(done.keys() - told.keys())}")
                daemon.rest(0.05)
            for id, (edit, at) in done.items():
                waits.setdefault(edit.word, []).append(told[id] - at)
        return waits


def tell(words: str) -> None:
    sys.stderr.write(f"{words} ...\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.daemon", description="How soon the daemon notices, and what it takes.")
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--deployments", type=int, default=10, help="in each account, at most 32")
    parser.add_argument("--latency-ms", type=float, default=150.0, help="what every request takes")
    parser.add_argument("--intervals", type=int, default=3, help="in which nobody changes anything")
    parser.add_argument("--rounds", type=int, default=2, help="of eight edits each; 0 makes none")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that the daemon is run with")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    fleet = make_fleet(options.accounts, options.deployments)
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        sections = Bench(
            Path(folder), fleet, options.latency_ms, options.python, options.intervals, options.rounds
        ).run()
    told = (
        f"{len(fleet.accounts)} accounts, {fleet.deployments:,} deployments, "
        f"{count_networks(split(fleet, ''))} network objects in {len(fleet.groups)} regions, "
        f"{options.latency_ms:g} ms per request"
    )
    run = Run(told, machine, sections)
    sys.stdout.write(json.dumps(describe(run), indent=2) + "\n" if options.output == "json" else render(run))
    return 1 if [*missed(sections)] else 0


if __name__ == "__main__":
    sys.exit(main())
