"""The simulation and the command line as real processes, for tests that promise something about both.

`Azure` is one `python -m armsim`; it is ended by its process id and ends by itself when the test is gone. `reconcile`
runs the command line against it as a user would, with nothing but the environment.
"""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACE = 60.0


@dataclass(frozen=True)
class Finished:
    """What a run of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class Azure:
    """One running simulation: its control path, and the environment that points a client at it."""

    def __init__(self, ready: Mapping[str, Any], pace: float) -> None:
        self.ready = ready
        self.pace = pace
        self.subscription: str = ready["subscription_id"]
        self._tls = ssl.create_default_context(cafile=ready["ca_bundle"])

    def control(self, method: str, path: str, body: object = None) -> Any:
        """One call of the control path; the answer as JSON."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.ready['endpoint']}/_sim/{path}", data=data, method=method)
        with urllib.request.urlopen(request, context=self._tls, timeout=60) as answer:
            return json.load(answer)

    def seed(self, **world: object) -> None:
        self.control("POST", "seed", world)

    def mutate(self, method: str, id: str, body: object = None, actor: str = "mallory@example.com") -> None:
        self.control("POST", "mutate", {"method": method, "id": id, "body": body, "actor": actor})

    def fault(self, **fault: object) -> str:
        return str(self.control("POST", "faults", [fault])["ids"][0])

    def requests(self, since: int = 0) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.control("GET", f"requests?since={since}")["requests"]
        return [each for each in listed if not each["path"].startswith("/_sim")]

    def writes(self, since: int = 0) -> list[dict[str, Any]]:
        """Requests that may have changed something: every PUT, PATCH, DELETE, and POSTs that are not questions."""
        return [
            each
            for each in self.requests(since)
            if each["path"].lower().startswith("/subscriptions") and each["method"] in ("PUT", "PATCH", "DELETE")
        ]

    def forget_requests(self) -> None:
        self.control("DELETE", "requests")

    def resources(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = self.control("GET", "state")["byId"]
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What a user exports to work against this simulation."""
        return {
            "AZURE_SUBSCRIPTION_ID": self.subscription,
            "AZURE_TENANT_ID": self.ready["tenant_id"],
            "AZURE_CLIENT_ID": self.ready["client_id"],
            "AZURE_CLIENT_SECRET": self.ready["client_secret"],
            "RECONCILER_ENDPOINT": self.ready["endpoint"],
            "RECONCILER_AUTHORITY": self.ready["authority"],
            "RECONCILER_CA_BUNDLE": self.ready["ca_bundle"],
            "RECONCILER_CLOCK_RATE": str(self.pace),
        }


@contextmanager
def azure(folder: Path, pace: float = PACE, *options: str) -> Iterator[Azure]:
    """A simulation of its own in `folder`; gone when the block ends."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "armsim", "--ready-file", str(ready), "--ca-dir", str(folder / "ca")]
    command += ["--pace", str(pace), "--parent-pid", str(os.getpid()), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield Azure(_await_ready(process, ready), pace)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def _await_ready(process: subprocess.Popen[bytes], ready: Path) -> dict[str, Any]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if ready.exists():
            found: dict[str, Any] = json.loads(ready.read_text())
            return found
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError("the simulation did not start: " + (process.stderr.read().decode() if process.stderr else ""))


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "RECONCILER_", "ARM_"))}
    return {**kept, "NO_COLOR": "1", **extra}


def reconcile(
    azure: Azure, *words: str, timeout: float = 240, environment: Mapping[str, str] | None = None
) -> Finished:
    """Run the command line to its end, with `environment` besides what points it at `azure`."""
    command = [sys.executable, "-m", "reconciler", *words]
    done = subprocess.run(
        command,
        env=clean_environment({**azure.environment, **(environment or {})}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@contextmanager
def held(azure: Azure, words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """The command line stopped before its first instruction, so that a fault can be aimed at its process id."""
    command = ["/bin/sh", "-c", 'kill -STOP $$; exec "$@"', "sh", sys.executable, "-m", "reconciler", *words]
    process = subprocess.Popen(
        command,
        env=clean_environment(azure.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        os.waitpid(process.pid, os.WUNTRACED)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def resume(process: subprocess.Popen[str], timeout: float = 240) -> Finished:
    """Let a held command line run to its end, however it ends."""
    os.kill(process.pid, signal.SIGCONT)
    out, err = process.communicate(timeout=timeout)
    return Finished(process.returncode, out, err)
