"""Two or more `reconciler run` over one simulated Azure and one Kubernetes API server, as real processes.

Each replica signs in to Azure by a name of its own, so that the simulation's log tells who has written what and when.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.runtime.lease import Terms
from tests.support.kubernetes import LEASES, ApiServer, Seen
from tests.support.simulated import Azure, clean_environment

NAME = "reconciler"

_CLOCK = 0.05  # seconds that reading two clocks may take

# A wall clock that is wrong and jumps about; Python loads a module of this name before anything else.
SKEW = """
import time
_real = time.time
time.time = lambda: _real() + ({hours} * 3600 if int(time.monotonic()) // 3 % 2 else -{hours} * 3600)
"""


@dataclass(frozen=True)
class Sent:
    """One write as Azure has seen it; `at` is on the monotonic clock of this machine."""

    who: str
    at: float
    method: str
    path: str
    status: int
    body: str


@dataclass
class Replicas:
    """`running` are the processes that are there, by name; `logs` hold what they said."""

    azure: Azure
    kubernetes: ApiServer
    folder: Path
    terms: Terms
    settings: Mapping[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _clients: dict[str, str] = field(default_factory=dict)
    _skews: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def start(self, name: str, skewed_by: float = 0.0) -> None:
        """`skewed_by` is in hours: the replica's wall clock is that far ahead, then behind, and so on."""
        self._skews.setdefault(name, []).append((time.monotonic(), skewed_by))
        environment = {**clean_environment(self.azure.environment), **self.environment(name)}
        if skewed_by:
            place = self.folder / f"skewed-{name}"
            place.mkdir(exist_ok=True)
            (place / "sitecustomize.py").write_text(SKEW.format(hours=skewed_by))
            environment["PYTHONPATH"] = os.pathsep.join([str(place), environment.get("PYTHONPATH", "")])
        with self.log(name).open("ab") as log:
            command = [sys.executable, "-m", "reconciler", "run", str(self.folder / "fleet.yaml")]
            self.running[name] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def environment(self, name: str) -> dict[str, str]:
        """What the pod of `name` has in its environment."""
        if name not in self._clients:
            client = f"00000000-0000-4000-8000-{len(self._clients) + 1:012}"
            secret = f"secret-of-{name}"
            self.azure.seed(clients=[{"clientId": client, "clientSecret": secret, "objectId": client}])
            self._clients[name] = client
        return {
            **self.kubernetes.client(name, self.folder / "accounts" / name),
            "RECONCILER_LISTEN": "127.0.0.1:0",
            "AZURE_CLIENT_ID": self._clients[name],
            "AZURE_CLIENT_SECRET": f"secret-of-{name}",
            "RECONCILER_LEASE": "kubernetes",
            "RECONCILER_LEASE_IDENTITY": name,
            "RECONCILER_LEASE_DURATION": f"{self.terms.duration:g}",
            "RECONCILER_LEASE_DEADLINE": f"{self.terms.deadline:g}",
            "RECONCILER_LEASE_RETRY": f"{self.terms.retry:g}",
            "RECONCILER_SERVICE_ACCOUNT": str(self.folder / "accounts" / name),
            "RECONCILER_LOG_FORMAT": "json",
            "RECONCILER_LOG_LEVEL": "info",
            **self.settings,
        }

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def signal(self, name: str, number: int) -> None:
        self.running[name].send_signal(number)

    def end(self, name: str, number: int) -> int:
        """Stop it for good; its exit code."""
        self.signal(name, number)
        code = self.running[name].wait(60)
        del self.running[name]
        return code

    def leader(self) -> str:
        lease = self.kubernetes.find(LEASES, NAME)
        return str(lease["spec"]["holderIdentity"]).partition("_")[0] if lease else ""

    def await_leader(self, *, but: str = "", within: float) -> float:
        """Seconds until somebody leads who is not `but`; an error after `within`."""
        began = time.monotonic()
        while True:
            waited = time.monotonic() - began
            leader = self.leader()
            if leader and leader != but:
                return waited
            assert waited < within, f"nobody but {leader or 'nobody'} leads after {waited:.1f} s"
            time.sleep(0.02)

    def await_standing(self, name: str, within: float = 30.0) -> None:
        """Wait until `name` has looked who leads."""
        began = time.monotonic()
        while not any(seen.client == name and seen.at >= began for seen in list(self.kubernetes.seen)):
            assert time.monotonic() < began + within, f"{name} does not come up"
            time.sleep(0.05)

    def term(self) -> int:
        lease = self.kubernetes.find(LEASES, NAME)
        return int(lease["spec"]["leaseTransitions"]) if lease else -1

    def await_term(self, *, after: int, within: float) -> None:
        """Wait until somebody leads anew: what the Lease says may be what is left of the last term."""
        end = time.monotonic() + within
        while self.term() <= after:
            assert time.monotonic() < end, f"nobody leads after {within:.1f} s"
            time.sleep(0.02)

    def renewals(self, name: str) -> list[Seen]:
        """Every time that `name` has got or renewed the lease."""
        return [
            seen
            for seen in list(self.kubernetes.seen)
            if seen.client == name
            and seen.verb in ("PUT", "POST")
            and seen.status < 300
            and seen.body is not None
            and seen.body["spec"]["holderIdentity"]
        ]

    def writes(self) -> list[Sent]:
        """In the order of their arrival."""
        before = time.monotonic()
        now = float(self.azure.control("GET", "health")["now"])
        # Halfway through the question is when the answer was true.
        mark = (before + time.monotonic()) / 2
        names = {client: name for name, client in self._clients.items()}
        sent = [
            Sent(
                who=names[each["principal"]],
                at=mark - (now - float(each["at"])) / self.azure.pace,
                method=each["method"],
                path=each["path"].lower(),
                status=each["status"],
                body=each["body_sha256"] or "",
            )
            for each in self.azure.writes()
            if each["principal"] in names
        ]
        return sorted(sent, key=lambda each: each.at)

    def check(self) -> None:
        """Nobody has begun a write after its own deadline, and nobody has while somebody else led."""
        terms = self._terms()
        renewals = {name: [seen for seen in self.renewals(name) if seen.heard] for name in self._clients}
        for sent in self.writes():
            renewed = [self._left(seen) for seen in renewals[sent.who] if seen.at <= sent.at]
            assert renewed, f"{sent} without any lease"
            late = sent.at - renewed[-1] - self.terms.deadline
            assert late <= 0, f"{sent} is {late:.2f} s after its own deadline"
            led = [(at, who) for at, who in terms if at <= sent.at]
            assert led[-1][1] == sent.who, f"{sent} while {led[-1][1]} led, for {sent.at - led[-1][0]:.2f} s"

    def _left(self, renewal: Seen) -> float:
        """When a renewal was sent, on this machine's monotonic clock: it carries the time of a wall clock, and how that
        is wrong is known."""
        assert renewal.body is not None
        stamp = datetime.fromisoformat(renewal.body["spec"]["renewTime"]).timestamp()
        skew = 3600 * [hours for since, hours in self._skews[renewal.client] if since < renewal.at][-1]
        told = [stamp - time.time() + time.monotonic() + wrong for wrong in (skew, -skew)]
        left = max(each for each in told if each <= renewal.at + _CLOCK)
        assert left > renewal.at - 2 * self.terms.retry, f"{renewal} was sent at another time than it says"
        return left

    def _terms(self) -> list[tuple[float, str]]:
        """When each term began, and whose it is."""
        found: dict[int, tuple[float, str]] = {}
        for name in self._clients:
            for seen in self.renewals(name):
                assert seen.body is not None
                found.setdefault(seen.body["spec"]["leaseTransitions"], (seen.at, name))
        return sorted(found.values())


@contextmanager
def replicas(replicated: Replicas) -> Iterator[Replicas]:
    """Whatever of it still runs when the block ends is killed, and continued first so that it can be."""
    try:
        yield replicated
    finally:
        for process in replicated.running.values():
            for number in (signal.SIGKILL, signal.SIGCONT):
                process.send_signal(number)
            process.wait(20)


def told(log: Path, event: str) -> list[dict[str, Any]]:
    """The lines of a log in JSON that tell `event`."""
    import json

    lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
    return [found for line in lines if (found := json.loads(line)).get("event") == event]
