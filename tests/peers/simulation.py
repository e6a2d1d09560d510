"""A simulation in a process of its own for the length of a peer's run. Knows nothing of the peers."""

import json
import os
import shlex
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 20.0
STOP_SECONDS = 10.0
# Simulated seconds per second: a create of forty seconds is over before a client polls it for the first time.
PACE = 3000.0


@dataclass(frozen=True, slots=True)
class Simulation:
    """Where it listens, and what it wrote for other clients."""

    ready: dict[str, Any]
    environment: dict[str, str]
    folder: Path

    @property
    def endpoint(self) -> str:
        return str(self.ready["endpoint"])

    def control(self, path: str, body: object) -> dict[str, Any]:
        """An answer of the control path; GET without a body, POST with one."""
        trust = ssl.create_default_context(cafile=self.ready["ca_bundle"])
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.endpoint}/_sim/{path}", data, {"content-type": "application/json"})
        with urllib.request.urlopen(request, context=trust) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def simulation() -> Iterator[Simulation]:
    """Starts one, waits until it is ready, stops it by its process id."""
    with tempfile.TemporaryDirectory(prefix="armsim-peer-") as name:
        folder = Path(name)
        ready, env = folder / "ready.json", folder / "armsim.env"
        command = [sys.executable, "-m", "armsim", "--port", "0", "--pace", str(PACE), "--seed", "1"]
        command += ["--ready-file", str(ready), "--env-file", str(env), "--ca-dir", str(folder / "ca")]
        command += ["--parent-pid", str(os.getpid())]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            _wait_for(ready, process)
            yield Simulation(json.loads(ready.read_text()), _read_env(env), folder)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(ready: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not ready.exists():
        if process.poll() is not None:
            raise RuntimeError(f"the simulation ended with {process.returncode} before it was ready")
        if time.monotonic() > deadline:
            raise RuntimeError(f"the simulation was not ready after {READY_SECONDS:.0f} s")
        time.sleep(0.05)


def _read_env(path: Path) -> dict[str, str]:
    lines = (line.removeprefix("export ") for line in path.read_text().splitlines() if "=" in line)
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name: "".join(shlex.split(value)) for name, _, value in pairs}
