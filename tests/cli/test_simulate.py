"""The simulated Azure as the command line runs it: for one command, for people, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.simulate import SimulationError, SimulationRequest, run_simulation
from tests.cli.fleets import clean_environment, command, reconcile_bare, write_fleet


def test_simulate_runs_an_azure_for_one_command_and_keeps_its_world(tmp_path: Path) -> None:
    home, world = write_fleet(tmp_path, "small"), str(tmp_path / "world.json")
    words = ("--simulate", "--simulate-state", world, home)
    assert reconcile_bare("once", "--dry-run", *words).code == 2
    applied = reconcile_bare("once", "--yes", *words)
    assert applied.code == 0, applied.err
    assert "Simulated Azure at https://127.0.0.1:" in applied.err
    assert "its time passes 30 times as fast" in applied.err
    assert reconcile_bare("once", "--dry-run", *words).code == 0
    assert reconcile_bare("once", "--dry-run", "--simulate", home).code == 2, "without its state it begins empty"


def test_a_simulation_is_never_left_for_the_real_azure(tmp_path: Path) -> None:
    """A fleet that names the public cloud, a subscription, a tenant and a credential of its own stays in it."""
    home = tmp_path / "real"
    home.mkdir()
    (home / "fleet.yaml").write_text("""\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: real}
spec:
  subscription: 12345678-1234-1234-1234-123456789012
  tenant: 87654321-1234-1234-1234-123456789012
  cloud: public
  credential: {type: workloadIdentity, clientId: 99999999-1234-1234-1234-123456789012, tokenFile: /nowhere}
  location: swedencentral
---
apiVersion: reconciler/v1
kind: ResourceGroup
metadata: {name: rg-real}
""")
    done = reconcile_bare("once", "--yes", "--simulate", "-o", "json", str(home))
    assert done.code == 0, done.out + done.err
    assert done.document["fleets"][0]["outcomes"][0]["result"] == "done"


def test_a_simulation_that_cannot_start_says_why(tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "small")
    (tmp_path / "broken.json").write_text("{")
    done = reconcile_bare("once", "-n", "--simulate", "--simulate-state", str(tmp_path / "broken.json"), home)
    assert done.code == 1
    assert "the simulation did not start" in done.err
    assert "Traceback" not in done.err
    wanted = SimulationRequest(pace=30, state=str(tmp_path / "broken.json"))
    with pytest.raises(SimulationError, match="did not start"), run_simulation(wanted):
        pytest.fail("it must not start")


@pytest.mark.parametrize("where", ["nowhere/world.json", "a-file/world.json"])
def test_a_world_that_cannot_be_kept_is_said_before_anybody_works_in_it(tmp_path: Path, where: str) -> None:
    (tmp_path / "a-file").write_text("")
    done = reconcile_bare("simulate", "--state", str(tmp_path / where))
    assert done.code == 1
    assert f"the world cannot be kept in {tmp_path / where}" in done.err


def test_a_simulation_that_was_ended_by_somebody_else_says_so() -> None:
    with _simulated() as (process, ready):
        os.kill(int(ready["pid"]), signal.SIGKILL)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "the simulation ended by itself" in err


@contextmanager
def _simulated(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        command("simulate", "--output", "json", *words),
        env=clean_environment({}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, json.loads(_read_document(process))["ready"]
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _read_document(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            break
    return text


def _answers(ready: dict[str, Any]) -> bool:
    try:
        context = ssl.create_default_context(cafile=ready["ca_bundle"])
        with urllib.request.urlopen(ready["endpoint"] + "/_sim/health", context=context, timeout=10):
            return True
    except (OSError, urllib.error.URLError):
        return False


def test_simulate_says_where_it_is_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    env_file = tmp_path / "sim.env"
    with _simulated("--env-file", str(env_file)) as (process, ready):
        assert _answers(ready)
        assert "client_secret" not in ready
        assert f"export ARM_ENDPOINT={ready['endpoint']}" in env_file.read_text()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "Traceback" not in err
    assert not _answers(ready)


def test_simulate_ends_with_ctrl_c_also_when_a_script_started_it_in_the_background() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with _simulated() as (process, _ready):
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)
            assert process.returncode == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_simulate_for_people_is_text(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("simulate"), env=clean_environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "A simulated Azure is ready; Ctrl-C ends it.\n"
        assert process.stdout.readline().startswith("  endpoint ")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_a_simulation_ends_when_whoever_started_it_is_killed() -> None:
    with _simulated() as (process, ready):
        process.kill()
        process.wait()
        end = time.monotonic() + 30
        while time.monotonic() < end and _exists(int(ready["pid"])):
            time.sleep(0.1)
        assert not _exists(int(ready["pid"]))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
