"""A process that goes on: what it has taken so far, what it logs, whom it tells, and who asks it how it is.

Everything is seen from outside, as a kubelet, a Prometheus and a receiver of alerts would see it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.measure import WrongEndError

_TICK = os.sysconf("SC_CLK_TCK")
_KIB = 1024  # in a MiB
_CPU_FIELDS = slice(11, 13)  # of /proc/PID/stat behind the name: user and system time, in ticks
# How often whom is asked: the chart's probes, and Prometheus twice as often as by the chart.
PROBES = {"/livez": 20.0, "/readyz": 10.0, "/metrics": 15.0}


@dataclass(frozen=True, slots=True)
class Sample:
    """At `at` (epoch seconds) a process has spent `processor` seconds and has `resident` MiB in memory."""

    at: float
    processor: float
    resident: float


@dataclass
class Watched:
    """A running process whose log is JSON lines. Only Linux tells what another process takes."""

    process: subprocess.Popen[bytes]
    log: Path
    samples: list[Sample] = field(default_factory=list)
    _events: list[dict[str, Any]] = field(default_factory=list)
    _read: int = 0

    def sample(self) -> Sample:
        """What it takes now, which is also kept."""
        if self.process.poll() is not None:
            raise WrongEndError(f"it ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}")
        home = Path("/proc") / str(self.process.pid)
        ticks = (home / "stat").read_text().rpartition(") ")[2].split()[_CPU_FIELDS]
        taken = Sample(time.time(), sum(map(int, ticks)) / _TICK, self._memory("VmRSS"))
        self.samples.append(taken)
        return taken

    @property
    def peak(self) -> float:
        """The most MiB that it ever had in memory."""
        return self._memory("VmHWM")

    def _memory(self, word: str) -> float:
        lines = (Path("/proc") / str(self.process.pid) / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{word}:")) / _KIB

    def events(self, name: str) -> list[dict[str, Any]]:
        """What it has logged under this name; `at` in epoch seconds."""
        with self.log.open("rb") as lines:
            lines.seek(self._read)
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                if line.startswith(b"{"):
                    told = json.loads(line)
                    self._events.append({**told, "at": datetime.fromisoformat(told["at"]).timestamp()})
        return [each for each in self._events if each["event"] == name]

    def await_events(self, name: str, count: int, seconds: float) -> list[dict[str, Any]]:
        """Wait until it has logged `name` so often, sampling all the time."""
        end = time.monotonic() + seconds
        while len(found := self.events(name)) < count:
            if time.monotonic() > end:
                raise WrongEndError(f"no {name} within {seconds:g} s:\n{self.log.read_text()[-3000:]}")
            self.rest(0.2)
        return found

    def rest(self, seconds: float) -> None:
        self.sample()
        time.sleep(seconds)


@contextmanager
def watching(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[Watched]:
    """The process while the block runs. It is asked to end then, and has to do so in order."""
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own words
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    try:
        yield Watched(process, log)
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0:
            raise WrongEndError(f"it ended with {process.returncode}:\n{log.read_text()[-3000:]}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@dataclass
class Inbox:
    """What was delivered to a path that begins with /hook, and when (epoch seconds)."""

    url: str = ""
    letters: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def opened(self) -> dict[str, float]:
        """When the first word of each resource's drift came, by the folded id of the resource."""
        found: dict[str, float] = {}
        for at, letter in list(self.letters):
            id = letter["data"]["details"].get("id")
            if id and letter["type"] == "reconciler.alert.opened":
                found.setdefault(id.lower(), at)
        return found


@contextmanager
def receiving() -> Iterator[Inbox]:
    """A receiver of webhooks that also takes whatever an Alertmanager is told."""
    inbox = Inbox()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path.startswith("/hook"):
                inbox.letters.append((time.time(), json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *words: object) -> None:
            del words

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        inbox.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.1,))
        thread.start()
        try:
            yield inbox
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def probing(url: str) -> Iterator[dict[str, int]]:
    """Ask as a cluster does, while the block runs; gives how often each path answered."""
    answered = dict.fromkeys(PROBES, 0)
    over = threading.Event()

    def ask(path: str, every: float) -> None:
        while not over.wait(every):
            # A daemon that is not ready yet says so with 503, and is asked again.
            with suppress(urllib.error.HTTPError), urllib.request.urlopen(url + path, timeout=5) as answer:  # noqa: S310
                answer.read()
                answered[path] += 1

    threads = [threading.Thread(target=ask, args=each) for each in PROBES.items()]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        over.set()
        for thread in threads:
            thread.join()
