"""A kill at any moment is harmless: the process is ended before and after every single write, and run again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulated import Azure, azure, held, reconcile, resume

WRITES = "PUT|PATCH|DELETE"

FLEET = """
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: kill}
spec:
  subscription: ${AZURE_SUBSCRIPTION_ID}
  tenant: ${AZURE_TENANT_ID}
  credential: {type: clientSecret, clientId: "${AZURE_CLIENT_ID}", secretVariable: AZURE_CLIENT_SECRET}
  resourceGroup: rg-kill
  location: swedencentral
  prune: {deployments: true}
  allow: [delete, replace, capacityCut]
  limits: {deletes: {count: 5, percent: 50}}
---
apiVersion: reconciler/v1
kind: ResourceGroup
metadata: {name: rg-kill}
"""

BEFORE = """
apiVersion: reconciler/v1
kind: Account
metadata: {name: kill-open}
spec:
  customSubDomainName: kill-open
  disableLocalAuth: true
  publicNetworkAccess: Enabled
  networkAcls: {defaultAction: Deny, ipRules: [203.0.113.0/24]}
  raiPolicies:
    - name: strict
      basePolicyName: Microsoft.DefaultV2
      contentFilters: [{name: Hate, source: Prompt, enabled: true, blocking: true, severityThreshold: Low}]
  deployments:
    - name: chat
      model: {name: gpt-4o, version: 2024-08-06}
      sku: {name: GlobalStandard, capacity: 40}
      raiPolicyName: strict
    - {name: mini, model: {name: gpt-4o-mini, version: 2024-07-18}, sku: {name: GlobalStandard, capacity: 20}}
    - {name: spare, model: {name: gpt-4o-mini, version: 2024-07-18}, sku: {name: GlobalStandard, capacity: 5}}
---
apiVersion: reconciler/v1
kind: Account
metadata: {name: kill-closed}
spec:
  publicNetworkAccess: Disabled
  identity: {type: SystemAssigned}
  deployments:
    - {name: embed, model: {name: text-embedding-3-large, version: "1"}, sku: {name: Standard, capacity: 10}}
"""

# Everything an update can be: firewall, tags, shrink with a new version, grow, another type, one undeclared.
AFTER = """
apiVersion: reconciler/v1
kind: Account
metadata: {name: kill-open}
spec:
  customSubDomainName: kill-open
  disableLocalAuth: true
  publicNetworkAccess: Enabled
  networkAcls: {defaultAction: Deny, ipRules: [203.0.113.0/24, 198.51.100.7]}
  tags: {stage: second}
  raiPolicies:
    - name: strict
      basePolicyName: Microsoft.DefaultV2
      contentFilters: [{name: Hate, source: Prompt, enabled: true, blocking: true, severityThreshold: Medium}]
  deployments:
    - name: chat
      model: {name: gpt-4o, version: 2024-11-20}
      sku: {name: GlobalStandard, capacity: 30}
      raiPolicyName: strict
    - {name: mini, model: {name: gpt-4o-mini, version: 2024-07-18}, sku: {name: GlobalStandard, capacity: 25}}
---
apiVersion: reconciler/v1
kind: Account
metadata: {name: kill-closed}
spec:
  publicNetworkAccess: Disabled
  identity: {type: SystemAssigned}
  deployments:
    - {name: embed, model: {name: text-embedding-3-large, version: "1"}, sku: {name: GlobalStandard, capacity: 10}}
"""

Sent = tuple[str, str, str | None]


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    with azure(tmp_path_factory.mktemp("azure"), 200.0) as running:
        yield running


def write_desired(folder: Path, accounts: str) -> str:
    (folder / "fleet.yaml").write_text(FLEET)
    (folder / "accounts.yaml").write_text(accounts)
    return str(folder)


def sent(azure: Azure) -> list[Sent]:
    """The writes that left, each with the digest of its body."""
    return [(each["method"], each["path"].lower(), each["body_sha256"]) for each in azure.writes()]


def shape(azure: Azure) -> dict[str, Any]:
    """What exists, without what no two worlds share."""
    return {
        id.lower(): (body.get("sku"), body.get("tags"), body["properties"].get("provisioningState"))
        for id, body in azure.resources().items()
    }


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("start", "goal", "writes"), [("", BEFORE, 9), (BEFORE, AFTER, 8)], ids=["create", "change"])
def test_a_kill_at_any_write_loses_nothing_and_makes_nothing_twice(
    sim: Azure, tmp_path: Path, start: str, goal: str, writes: int, when: str
) -> None:
    sim.control("DELETE", "faults")
    empty = sim.control("GET", "state")
    if start:
        assert reconcile(sim, "once", "--yes", write_desired(tmp_path, start)).code == 0
    began = sim.control("GET", "state")
    desired = write_desired(tmp_path, goal)

    sim.forget_requests()
    reference = reconcile(sim, "once", "--yes", desired)
    assert reference.code == 0, reference.err + reference.out
    allowed, wanted = sent(sim), shape(sim)
    assert len(allowed) >= writes, allowed

    for number in range(len(allowed)):
        sim.control("PUT", "state", began)
        sim.forget_requests()
        with held(sim, ["once", "--yes", desired]) as process:
            sim.fault(kind="kill", match={"method": WRITES}, skip=number, when=when, pid=process.pid)
            killed = resume(process)
        sim.control("DELETE", "faults")
        assert killed.code == -signal.SIGKILL, f"write {number}: {killed.err}{killed.out}"
        again = reconcile(sim, "once", "--yes", desired)
        assert again.code == 0, f"killed {when} write {number}: {again.out}{again.err}"
        assert shape(sim) == wanted, f"killed {when} write {number}"
        assert set(sent(sim)) <= set(allowed), f"killed {when} write {number}: a write that no quiet run sends"
        before = len(sent(sim))
        assert reconcile(sim, "once", "--yes", desired).code == 0
        assert len(sent(sim)) == before, f"killed {when} write {number}: something was sent again"
    sim.control("PUT", "state", empty)
