"""The daemon killed at a hundred random moments of one long converge, and started again each time: nothing is lost."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.fleets import clean_environment, command
from tests.e2e.test_kill_storm import ACCOUNT, FLEET
from tests.support.simulated import azure, reconcile

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1200)]

ACCOUNTS = 20
KILLS = 100
START = 1.5  # seconds until a daemon has begun, on a machine with nothing else to do


def test_a_hundred_kills_of_the_daemon_lose_nothing_and_make_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(2026)
    locations = ("swedencentral", "eastus2", "francecentral", "australiaeast")
    accounts = (ACCOUNT.format(number=number, location=locations[number % 4]) for number in range(1, ACCOUNTS + 1))
    home = tmp_path / "desired"
    home.mkdir()
    (home / "fleet.yaml").write_text(FLEET + "".join(accounts))
    words = command("run", "--interval", "60s", "--grace", "5s", str(home))
    with azure(tmp_path, 60.0) as sim:
        # A converge that outlasts the storm: each account takes up to forty minutes of Azure's time.
        sim.control("PUT", "settings", {"account_create": [600.0, 2400.0], "account_update": 120.0})
        environment = clean_environment({**sim.environment, "RECONCILER_LISTEN": "off"})
        for _ in range(KILLS):
            process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(START + chance.expovariate(1.0))
            process.kill()
            assert process.wait() == -signal.SIGKILL, "it ended by itself"
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stderr=log)
            end = time.monotonic() + 600
            while reconcile(sim, "once", "--dry-run", str(home)).code != 0:
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < end, (tmp_path / "log").read_text()[-4000:]
                time.sleep(2)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0
        writes = sim.writes()
        made = [id for id in sim.resources() if id.lower().count("/") == 8 and "storm-" in id]
        states = {body["properties"].get("provisioningState") for body in sim.resources().values()}
    assert len(made) == ACCOUNTS
    assert states == {"Succeeded"}
    bodies: dict[tuple[str, str], set[str]] = {}
    for write in writes:
        assert write["method"] != "DELETE"
        bodies.setdefault((write["method"], write["path"].lower()), set()).add(write["body_sha256"])
    assert {len(each) for each in bodies.values()} == {1}, "a write was repeated with another body"
