"""One process, measured from outside: wall clock, processor time, peak memory; and what it asked of the simulation."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tests.support.simulated import Azure

_FULL_BUCKETS = 120.0  # simulated seconds after which no request of an earlier run is remembered by the throttle


@dataclass(frozen=True, slots=True)
class Spent:
    """What one process took. `peak` is its resident memory at its highest, in MiB."""

    code: int
    seconds: float
    processor: float
    peak: float


@dataclass(frozen=True, slots=True)
class Pass:
    """What one run over the fleet took and asked. `simulated` are the seconds of Azure's clock; `refused` are the
    409 and 429 answers that it brought upon itself."""

    spent: Spent
    simulated: float
    requests: int
    writes: int
    refused: int


class WrongEndError(Exception):
    """A measured process did not end as it should have: its numbers would mean nothing."""


def describe_machine() -> dict[str, str]:
    """On what is measured, and how busy it was before."""
    model = "unknown processor"
    cpus = Path("/proc/cpuinfo")
    if cpus.exists():
        lines = (line for line in cpus.read_text(encoding="utf-8").splitlines() if line.startswith("model name"))
        model = next(lines, model).partition(":")[2].strip() or model
    return {
        "machine": f"{model}, {os.cpu_count()} processors, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load before": " ".join(f"{each:.2f}" for each in os.getloadavg()),
    }


def run(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Spent:
    """Run `command` to its end. The kernel counts memory from the fork on, so whoever measures has to stay small."""
    with log.open("wb") as out:
        began = perf_counter()
        process = subprocess.Popen(  # noqa: S603 — our own words
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    scale = 1024**2 if sys.platform == "darwin" else 1024
    return Spent(process.returncode, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / scale)


def run_pass(azure: Azure, command: Sequence[str], log: Path, expected: int) -> Pass:
    """Run a client against the simulation, every bucket of requests full, and count what it asked."""
    azure.control("POST", "clock", {"advance": _FULL_BUCKETS})
    azure.forget_requests()
    began = azure.control("GET", "clock")["now"]
    spent = run(command, environment_for(azure, log.parent), log)
    ended = azure.control("GET", "clock")["now"]
    if spent.code != expected:
        tail = log.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise WrongEndError(f"{' '.join(command)} ended with {spent.code}, not {expected}:\n{tail}")
    told = azure.control("GET", "requests/summary")
    return Pass(
        spent=spent,
        simulated=ended - began,
        requests=told["total"],
        writes=sum(told["method"].get(method, 0) for method in ("PUT", "PATCH", "DELETE")),
        refused=sum(told["self_inflicted"].values()),
    )


def start_up(command: Sequence[str], times: int, log: Path) -> float:
    """The median of the seconds that `command` takes, files warm."""
    environment = _clean(log.parent)
    run(command, environment, log)
    return statistics.median(run(command, environment, log).seconds for _ in range(times))


def environment_for(azure: Azure, folder: Path) -> dict[str, str]:
    """What points a client at the simulation, and nothing else that points it anywhere."""
    # The plain script believes what OpenSSL believes.
    return {**_clean(folder), **azure.environment, "SSL_CERT_FILE": azure.ready["ca_bundle"], "NO_COLOR": "1"}


def _clean(folder: Path) -> dict[str, str]:
    """The environment without what points a client anywhere. Bytecode is kept in `folder`: what is installed has its
    own, and a checkout that is not allowed to must not be compiled again for every measured run."""
    unwanted = ("AZURE_", "RECONCILER_", "ARM_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
