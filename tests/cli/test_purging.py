"""Purges for quota in real runs: what somebody agrees to, and what a killed process leaves to the next one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fleets import clean_environment, command, reconcile_at_terminal
from tests.cli.test_quota import POOL, seeded
from tests.support.simulated import Azure, azure, reconcile

FLEET = """\
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: keepers}
spec:
  subscription: '${AZURE_SUBSCRIPTION_ID}'
  location: swedencentral
  resourceGroup: rg-tellers
  allow: [purge]
  purge: blocking
---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai-new}
spec:
  publicNetworkAccess: Disabled
  deployments:
    - {name: a, model: {name: gpt-4o, version: "2024-11-20"}, sku: {name: GlobalStandard, capacity: 150}}
"""


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Azure]:
    """A region that is full of three soft-deleted accounts of ours and of one of somebody else."""
    with azure(tmp_path) as running:
        running.control("PUT", "settings", {"purge_returns": 300})
        ours = {"tags": {"reconciler-fleet": "keepers"}}
        running.seed(
            deletedAccounts=[
                seeded(running, "aoai-first", 100, deletionDate="2025-10-28T04:00:00Z", **ours),
                seeded(running, "aoai-second", 100, deletionDate="2025-10-28T05:00:00Z", **ours),
                seeded(running, "aoai-third", 100, deletionDate="2025-10-28T06:00:00Z", **ours),
                seeded(running, "aoai-theirs", 100, deletionDate="2025-10-28T01:00:00Z"),
            ],
            limits={running.subscription: {"swedencentral": {POOL: 400}}},
        )
        yield running


@pytest.fixture
def home(tmp_path: Path) -> str:
    folder = tmp_path / "desired"
    folder.mkdir()
    (folder / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    return str(folder)


def left(running: Azure) -> set[str]:
    return {each["account"]["id"].rpartition("/")[2] for each in running.control("GET", "state")["graves"]}


def test_whoever_agrees_to_the_plan_agrees_to_the_purges_that_it_says_may_follow(full: Azure, home: str) -> None:
    words = ["once", home]
    done = reconcile_at_terminal(words, full.environment, "yes\n", "taken for a yes")
    assert done.code == 0, done.out + done.err
    assert left(full) == {"aoai-third", "aoai-theirs"}
    assert "purge follows: only if what DeletedAccount/aoai-first gives back is not" in done.out
    assert f"gave back 100 of {POOL} after 3" in " ".join(done.out.split())


def test_a_killed_process_purges_no_more_than_it_takes_when_it_comes_back(full: Azure, home: str) -> None:
    process = subprocess.Popen(
        command("once", "--yes", home),
        env=clean_environment(full.environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "purged; waits for usages to show what it gave back of" in line:
            break
    process.kill()
    process.wait()
    process.stderr.close()
    assert left(full) == {"aoai-second", "aoai-third", "aoai-theirs"}
    done = reconcile(full, "once", "--yes", home)
    assert done.code == 0, done.out + done.err
    assert left(full) == {"aoai-third", "aoai-theirs"}
    created = [each["path"] for each in full.writes() if each["method"] == "PUT" and each["path"].endswith("/a")]
    assert len(created) == 1
    again = reconcile(full, "once", "--dry-run", home)
    assert again.code == 0, again.out
