"""One converge, ended again and again wherever it happens to be, and always run again on what is there."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.support.simulated import azure, held, reconcile, resume

pytestmark = pytest.mark.e2e

FLEET = """
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: storm}
spec:
  subscription: ${AZURE_SUBSCRIPTION_ID}
  tenant: ${AZURE_TENANT_ID}
  credential: {type: clientSecret, clientId: "${AZURE_CLIENT_ID}", secretVariable: AZURE_CLIENT_SECRET}
  resourceGroup: rg-storm
---
apiVersion: reconciler/v1
kind: ResourceGroup
metadata: {name: rg-storm}
spec: {location: swedencentral}
"""

ACCOUNT = """---
apiVersion: reconciler/v1
kind: Account
metadata: {{name: storm-{number:02}}}
spec:
  location: {location}
  customSubDomainName: storm-{number:02}
  disableLocalAuth: true
  publicNetworkAccess: Enabled
  networkAcls: {{defaultAction: Deny, ipRules: [203.0.113.{number}]}}
  deployments:
    - {{name: mini, model: {{name: gpt-4o-mini, version: 2024-07-18}}, sku: {{name: GlobalStandard, capacity: 10}}}}
    - {{name: embed, model: {{name: text-embedding-3-large, version: "1"}}, sku: {{name: Standard, capacity: 5}}}}
"""

ACCOUNTS = 20
KILLS = 40
WRITES_OF_A_QUIET_RUN = 1 + ACCOUNTS * 4  # the group; then the account closed, two deployments, the account opened


def test_forty_kills_in_one_converge_lose_nothing_and_repeat_only_what_was_the_same(tmp_path: Path) -> None:
    chance = random.Random(2026)
    locations = ("swedencentral", "eastus2", "francecentral", "australiaeast")
    accounts = (ACCOUNT.format(number=number, location=locations[number % 4]) for number in range(1, ACCOUNTS + 1))
    (tmp_path / "fleet.yaml").write_text(FLEET + "".join(accounts))
    killed = 0
    with azure(tmp_path, 200.0) as sim:
        for _ in range(KILLS):
            with held(sim, ["once", "--yes", str(tmp_path / "fleet.yaml")]) as process:
                sim.control("DELETE", "faults")
                sim.fault(
                    kind="kill",
                    match={"method": chance.choice(("PUT|PATCH", "GET", "PUT|PATCH|GET"))},
                    skip=chance.randrange(12),
                    when=chance.choice(("before", "after")),
                    pid=process.pid,
                )
                done = resume(process)
            killed += done.code == -signal.SIGKILL
        sim.control("DELETE", "faults")
        last = reconcile(sim, "once", "--yes", str(tmp_path / "fleet.yaml"))
        assert last.code == 0, last.out + last.err
        writes = sim.writes()
        accounts_made = [id for id in sim.resources() if id.lower().count("/") == 8 and "storm-" in id]
        states = {body["properties"].get("provisioningState") for body in sim.resources().values()}

    assert killed >= KILLS // 2, "the storm was no storm"
    assert len(accounts_made) == ACCOUNTS
    assert states == {"Succeeded"}
    bodies: dict[tuple[str, str], set[str]] = {}
    for write in writes:
        bodies.setdefault((write["method"], write["path"].lower()), set()).add(write["body_sha256"])
    assert len(bodies) == WRITES_OF_A_QUIET_RUN
    assert {len(each) for each in bodies.values()} == {1}, "a write was repeated with another body"
