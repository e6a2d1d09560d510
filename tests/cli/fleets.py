"""Desired states for tests of the command line, and ways to run it that a plain call cannot."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.simulated import Finished


def write_fleet(folder: Path, name: str, *documents: str, policy: str = "") -> str:
    """A Fleet with a resource group of its own and the documents given; the path of its directory."""
    home = folder / name
    home.mkdir(parents=True, exist_ok=True)
    head = f"""\
apiVersion: reconciler/v1
kind: Fleet
metadata: {{name: {name}}}
spec:
  subscription: ${{AZURE_SUBSCRIPTION_ID}}
  tenant: ${{AZURE_TENANT_ID}}
  credential: {{type: clientSecret, clientId: "${{AZURE_CLIENT_ID}}", secretVariable: AZURE_CLIENT_SECRET}}
  resourceGroup: rg-{name}
  location: swedencentral
{policy}---
apiVersion: reconciler/v1
kind: ResourceGroup
metadata: {{name: rg-{name}}}
"""
    (home / "fleet.yaml").write_text("---\n".join((head, *documents)))
    return str(home)


def account(name: str, *, tier: str = "prod", capacity: int = 10, lifecycle: str = "") -> str:
    return f"""\
apiVersion: reconciler/v1
kind: Account
metadata: {{name: {name}, labels: {{tier: {tier}}}}}
spec:
  disableLocalAuth: true
  publicNetworkAccess: Disabled
  deployments:
    - {{name: chat, model: {{name: gpt-4o, version: 2024-08-06}}, sku: {{name: GlobalStandard, capacity: {capacity}}}}}
{lifecycle}"""


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would point the command line somewhere or colour it."""
    unwanted = ("AZURE_", "RECONCILER_", "ARM_", "NO_COLOR", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "TERM": "xterm", **extra}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "reconciler", *words]


def reconcile_bare(*words: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None) -> Finished:
    """The command line with nothing around it: no Azure, no terminal."""
    done = subprocess.run(
        command(*words),
        env=clean_environment(environment or {}),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def reconcile_at_terminal(
    words: Sequence[str], environment: Mapping[str, str], typed: str | signal.Signals, after: str
) -> Finished:
    """The command line at a terminal of its own; `typed` is entered, or the signal sent, once `after` was shown.
    stdout stays a pipe."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command(*words),
        env=clean_environment(environment),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        shown = _converse(ours, process, typed, after)
        out, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
    return Finished(process.returncode, out, shown)


def _converse(terminal: int, process: subprocess.Popen[str], typed: str | signal.Signals, after: str) -> str:
    shown, entered, end = "", False, time.monotonic() + 90
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other side has closed
            break
        if not piece:
            break
        shown += piece.decode(errors="replace")
        if not entered and after in shown:
            process.send_signal(typed) if isinstance(typed, signal.Signals) else os.write(terminal, typed.encode())
            entered = True
    return shown
