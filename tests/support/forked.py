"""Processes of the command line that begin where its imports have ended, so that a hundred of them cost what ten do.

`Nursery` is one process that has loaded everything and does nothing but fork. What it forks is a process like any
other: it has an environment, a log and signals of its own, and is ended by its process id.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from reconciler.cli import main

_PR_SET_PDEATHSIG = 1

# What `run` loads only once it needs it.
_LATE = (
    "reconciler.cli.dispatch",
    "reconciler.report.metrics",
    "reconciler.report.page",
    "reconciler.report.status",
    "reconciler.runtime.server",
    "azure.identity.aio",
    "azure.mgmt.cognitiveservices.aio",
    "azure.mgmt.resource.resources.aio",
)


class Nursery:
    """Starts one child at a time; `lines` are what all of them logged, in order."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.lines: list[dict[str, Any]] = []
        self.noise: list[str] = []  # what was no line of a log, nor the half of one
        self._process = process
        self._more = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def start(self, words: Sequence[str], environment: Mapping[str, str]) -> int:
        """The process id of a command line that has begun."""
        self._say({"words": [*words], "environment": dict(environment)})
        return self._hear()

    def kill(self, pid: int) -> int:
        """End it as a machine does that runs out of memory; what a shell would say of how it ended."""
        os.kill(pid, signal.SIGKILL)
        return self._hear()

    def stop(self, pid: int) -> int:
        """End it in order; its exit code."""
        os.kill(pid, signal.SIGTERM)
        return self._hear()

    def await_event(self, names: Sequence[str], since: int, seconds: float) -> bool:
        """Wait until one of these events was logged after line `since`; False where none was for so long."""
        with self._more:
            return self._more.wait_for(lambda: any(each["event"] in names for each in self.lines[since:]), seconds)

    def _say(self, order: Mapping[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def _hear(self) -> int:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, f"the nursery has ended: {self.noise}"
        return int(answer)

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            with self._more:
                self._take(line.decode(errors="replace").strip())
                self._more.notify_all()

    def _take(self, line: str) -> None:
        try:
            self.lines.append(json.loads(line))
        except ValueError:
            if line and not line.startswith("{"):
                self.noise.append(line)


@contextmanager
def nursery() -> Iterator[Nursery]:
    """Gone with what it has started when the block ends."""
    command = [sys.executable, "-m", "tests.support.forked"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        nest = Nursery(process)
        try:
            yield nest
        finally:
            process.kill()
            nest.reader.join(20)


def _fork_on_demand() -> None:
    """For each order a child; its process id is told, and how it has ended."""
    _die_with_parent()
    for name in _LATE:
        importlib.import_module(name)
    for line in sys.stdin.buffer:
        child = os.fork()
        if not child:
            _become(json.loads(line))
        _tell(child)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(2, b"\n")  # it may have been killed in the middle of a line
        _tell(ended)


def _tell(number: int) -> None:
    os.write(1, b"%d\n" % number)


def _become(order: Mapping[str, Any]) -> NoReturn:
    _die_with_parent()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    os.environ.clear()
    os.environ.update(order["environment"])
    raise SystemExit(main(order["words"]))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _fork_on_demand()
