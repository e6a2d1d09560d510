"""A kill at any moment is harmless: the process is ended before and after every single write, and run again."""

from __future__ import annotations

import re
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

NETWORK_FLEET = FLEET.replace(
    "prune: {deployments: true}", "prune: {deployments: true, subnets: true, virtualNetworkLinks: true}"
)

# Who may come in by the subnet app, an endpoint with its names, and rules between the two.
NETWORK = """
apiVersion: reconciler/v1
kind: NetworkSecurityGroup
metadata: {name: nsg-a}
spec:
  securityRules:
    - {name: web, direction: Inbound, access: Allow, priority: PRIORITY_WEB, protocol: Tcp, destinationPortRange: "443",
       sourceAddressPrefix: 10.1.1.0/24, destinationAddressPrefix: 10.1.2.0/24}
    - {name: stop, direction: Inbound, access: Deny, priority: PRIORITY_STOP, protocol: Tcp, destinationPortRange: "22",
       sourceAddressPrefix: "*", destinationAddressPrefix: "*"}
---
apiVersion: reconciler/v1
kind: NetworkSecurityGroup
metadata: {name: nsg-b}
spec: {securityRules: []}
---
apiVersion: reconciler/v1
kind: VirtualNetwork
metadata: {name: vnet}
spec:
  addressSpace: {addressPrefixes: [10.1.0.0/16]}
  subnets:
    - {name: app, addressPrefix: 10.1.1.0/24, networkSecurityGroup: GROUP_OF_APP,
       serviceEndpoints: [Microsoft.CognitiveServices]}
    - {name: endpoints, addressPrefix: 10.1.2.0/24, privateEndpointNetworkPolicies: Enabled}
    - {name: others, addressPrefix: 10.1.3.0/24}
---
apiVersion: reconciler/v1
kind: PrivateDnsZone
metadata: {name: privatelink.openai.azure.com}
spec: {virtualNetworkLinks: [LINKS]}
---
apiVersion: reconciler/v1
kind: Account
metadata: {name: kill-net}
spec:
  customSubDomainName: kill-net
  publicNetworkAccess: Enabled
  networkAcls: {defaultAction: Deny, virtualNetworkRules: [vnet/app]}
---
apiVersion: reconciler/v1
kind: PrivateEndpoint
metadata: {name: pe}
spec:
  account: kill-net
  subnet: vnet/SUBNET
  customNetworkInterfaceName: nic-pe
  privateDnsZones: [privatelink.openai.azure.com]
"""


def network(**words: str) -> str:
    said = NETWORK
    for word, value in words.items():
        said = said.replace(word, value)
    return said


BUILT = network(
    PRIORITY_WEB="200", PRIORITY_STOP="100", GROUP_OF_APP="nsg-a", LINKS="{name: link, virtualNetwork: vnet}",
    SUBNET="endpoints",
)  # fmt: skip
# Priorities swapped, another security group, another subnet for the endpoint, and the link is not declared any more.
MOVED = network(PRIORITY_WEB="100", PRIORITY_STOP="200", GROUP_OF_APP="nsg-b", LINKS="", SUBNET="others")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Sent = tuple[str, str, str | None]


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azure]:
    with azure(tmp_path_factory.mktemp("azure"), 200.0) as running:
        yield running


def write_desired(folder: Path, accounts: str) -> str:
    (folder / "fleet.yaml").write_text(NETWORK_FLEET if "VirtualNetwork" in accounts else FLEET)
    (folder / "accounts.yaml").write_text(accounts)
    return str(folder)


def sent(azure: Azure) -> list[Sent]:
    """The writes that left, each with the digest of its body."""
    return [(each["method"], each["path"].lower(), each["body_sha256"]) for each in azure.writes()]


def shape(azure: Azure) -> dict[str, Any]:
    """What exists, without what no two worlds share."""
    return {
        GUID.sub("", id.lower()): (body.get("sku"), body.get("tags"), body["properties"].get("provisioningState"))
        for id, body in azure.resources().items()
    }


FIRST_FLEETS = [("", BEFORE, 9), (BEFORE, AFTER, 8)]
NETWORKS = [("", BUILT, 12), (BUILT, MOVED, 6)]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("start", "goal", "writes"), FIRST_FLEETS, ids=["create", "change"])
def test_a_kill_at_any_write_loses_nothing_and_makes_nothing_twice(
    sim: Azure, tmp_path: Path, start: str, goal: str, writes: int, when: str
) -> None:
    assert_harmless(sim, tmp_path, (start, goal), writes, when)


# Each write of a network is killed in virtual time by tests/laws/test_kills.py; here it is done to real processes.
@pytest.mark.e2e
@pytest.mark.timeout(900)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("start", "goal", "writes"), NETWORKS, ids=["create", "change"])
def test_a_kill_at_any_write_of_a_network_loses_nothing_and_makes_nothing_twice(
    sim: Azure, tmp_path: Path, start: str, goal: str, writes: int, when: str
) -> None:
    assert_harmless(sim, tmp_path, (start, goal), writes, when)


def assert_harmless(sim: Azure, tmp_path: Path, way: tuple[str, str], writes: int, when: str) -> None:
    """Kill a converge at each of its writes: whatever it left, the next one ends where a quiet one does."""
    start, goal = way
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

    # A write that Azure was not ready for is sent again, and how often is chance.
    for number in range(len(set(allowed))):
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
