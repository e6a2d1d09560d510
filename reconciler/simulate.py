"""Starts and stops the simulated Azure as a child process, and hands out where it is and who we are there.

Knows the simulation's command line, its ready line and its control path, never its code: the two meet over HTTPS only.
"""

from __future__ import annotations

import json
import os
import selectors
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final
from urllib.request import Request, urlopen

from reconciler.model.wire import Json, JsonObject

_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 10


class SimulationError(Exception):
    """The simulation did not start, or did not answer; the message says what it said last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationRequest:
    """What to start: `state` is a file that keeps its world between runs, `env_file` one that is written for others."""

    pace: float
    port: int = 0
    state: str = ""
    env_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A running simulation. The secret opens nothing but this simulation, and is handed on by environment only."""

    process: subprocess.Popen[str]
    ready: Mapping[str, str]
    pace: float

    @property
    def endpoint(self) -> str:
        return self.ready["endpoint"]

    @property
    def authority(self) -> str:
        return self.ready["authority"]

    @property
    def ca_bundle(self) -> str:
        return self.ready["ca_bundle"]

    @property
    def environment(self) -> dict[str, str]:
        """What a client of the simulation needs in its environment."""
        return {
            "AZURE_TENANT_ID": self.ready["tenant_id"],
            "AZURE_CLIENT_ID": self.ready["client_id"],
            "AZURE_CLIENT_SECRET": self.ready["client_secret"],
            "AZURE_SUBSCRIPTION_ID": self.ready["subscription_id"],
        }

    def wait(self) -> int:
        """Block until the simulation ends by itself; its exit code."""
        return self.process.wait()

    def know_subscriptions(self, subscriptions: Mapping[str, str]) -> None:
        """Make the simulation know these subscriptions, each with its tenant."""
        entries: list[Json] = [
            {"subscriptionId": id, "tenantId": tenant or self.ready["tenant_id"], "displayName": f"Simulated {id}"}
            for id, tenant in subscriptions.items()
        ]
        self._post("/_sim/seed", {"subscriptions": entries})

    def _post(self, path: str, body: JsonObject) -> None:
        request = Request(  # noqa: S310 - our own child, https only
            self.endpoint + path,
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        context = ssl.create_default_context(cafile=self.ca_bundle)
        try:
            with urlopen(request, timeout=_START_SECONDS, context=context):  # noqa: S310
                pass
        except OSError as error:
            raise SimulationError(f"the simulation refused {path}: {error}") from error


@contextmanager
def run_simulation(wanted: SimulationRequest) -> Iterator[Simulation]:
    """A simulation that answers, stopped when the block ends; it also ends by itself when this process is gone."""
    with tempfile.TemporaryFile("w+") as log:
        process = _start(wanted, log)
        try:
            yield Simulation(process=process, ready=_await_ready(process, log), pace=wanted.pace)
        finally:
            _stop(process)


def _start(wanted: SimulationRequest, log: IO[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "armsim", "--parent-pid", str(os.getpid())]
    command += ["--port", str(wanted.port), "--pace", f"{wanted.pace:g}"]
    command += ["--state", wanted.state] if wanted.state else []
    command += ["--env-file", wanted.env_file] if wanted.env_file else []
    # A group of its own: Ctrl-C in the terminal stops us first, and we stop the simulation when we no longer need it.
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)  # noqa: S603


def _await_ready(process: subprocess.Popen[str], log: IO[str]) -> Mapping[str, str]:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(_START_SECONDS) else ""
    try:
        ready = json.loads(line)
        return {str(key): str(value) for key, value in ready.items()}
    except (ValueError, AttributeError):
        log.seek(0)
        said = log.read().strip().split("\n")[-1] or f"nothing within {_START_SECONDS} s"
        raise SimulationError(f"the simulation did not start: {said}") from None


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
