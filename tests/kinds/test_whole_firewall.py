"""A declared firewall is declared whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.desired import load_estate
from reconciler.kinds import account
from reconciler.kinds.diff import compare

HEAD = """
apiVersion: reconciler/v1
kind: Fleet
metadata: {name: prod}
spec: {subscription: 00000000-0000-0000-0000-000000000001, resourceGroup: rg, location: swedencentral}
---
apiVersion: reconciler/v1
kind: Account
metadata: {name: aoai}
spec:
  customSubDomainName: aoai-firewall
"""
OPENED = {
    "ipRules": [{"value": "198.51.100.7"}],
    "virtualNetworkRules": [{"id": "/subscriptions/s/resourceGroups/g/providers/N/virtualNetworks/v/subnets/x"}],
}


@pytest.mark.parametrize(
    ("posture", "seen"),
    [
        (
            "  publicNetworkAccess: Enabled\n  networkAcls: {defaultAction: Deny}\n",
            ["networkAcls.ipRules", "networkAcls.virtualNetworkRules"],
        ),
        ("  publicNetworkAccess: Disabled\n", []),
    ],
    ids=["firewall declared without rules", "no firewall declared"],
)
def test_rules_behind_our_back_are_drift_exactly_where_a_firewall_is_declared(
    tmp_path: Path, posture: str, seen: list[str]
) -> None:
    (tmp_path / "fleet.yaml").write_text(HEAD + posture)
    (fleet,) = load_estate((tmp_path,), {}).fleets
    (desired,) = fleet.desired.values()
    posture_fields = {path: value for path, value in desired.fields.items() if path.startswith("networkAcls.")}
    wire = {"properties": {"networkAcls": {"defaultAction": "Deny", **OPENED}}}
    changes = compare(account.TYPE, posture_fields, wire)  # type: ignore[arg-type]
    assert [change.path for change in changes] == seen
    assert all(change.closes for change in changes)
