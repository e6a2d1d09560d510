"""Two hundred objects of networks, written twice: as desired state, and as what Azure holds when nothing is to do.

Promises that both say the same. Made by nobody's requests: hundreds of subnets one after the other take an hour.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

Row = dict[str, object]

GROUP, LOCATION = "rg-bench-networks", "swedencentral"
SECURITY_GROUPS, RULES, MOST_RULES = 40, 3, 200
NETWORKS, SUBNETS, MOST_SUBNETS = 10, 5, 100
ZONES = 5
NETWORK_TYPES = ("networkSecurityGroups", "virtualNetworks", "privateDnsZones")
OBJECTS = SECURITY_GROUPS + NETWORKS + MOST_SUBNETS + (NETWORKS - 1) * SUBNETS + ZONES
_TAGS = {"reconciler-fleet": "bench-networks"}


def write_networks(folder: Path) -> None:
    """The desired state, in a file for each kind. JSON is YAML."""
    folder.mkdir(parents=True, exist_ok=True)
    head: list[Row] = [_document("Fleet", "bench-networks", _fleet()), _document("ResourceGroup", GROUP, {})]
    groups = [
        _document("NetworkSecurityGroup", name, {"securityRules": [{"name": rule, **said} for rule, said in rules]})
        for name, rules in _security_groups()
    ]
    networks = [
        _document(
            "VirtualNetwork",
            name,
            {
                "addressSpace": {"addressPrefixes": [space]},
                "subnets": [
                    {"name": inner, "addressPrefix": prefix, "networkSecurityGroup": group}
                    for inner, prefix, group in subnets
                ],
            },
        )
        for name, space, subnets in _networks()
    ]
    zones = [_document("PrivateDnsZone", name, {}) for name in _zones()]
    for file, documents in (("fleet", head), ("groups", groups), ("networks", networks), ("zones", zones)):
        text = "\n---\n".join(json.dumps(each) for each in documents)
        (folder / f"{file}.yaml").write_text(text, encoding="utf-8")


def seed_networks(subscription: str) -> list[Row]:
    """The same as it stands in Azure, for the simulation's seed."""
    home = f"/subscriptions/{subscription}/resourceGroups/{GROUP}"
    network = f"{home}/providers/Microsoft.Network"
    found: list[Row] = [{"id": home, "location": LOCATION, "tags": _TAGS}]
    for name, rules in _security_groups():
        listed = [{"name": rule, "properties": {**said, "sourcePortRange": "*"}} for rule, said in rules]
        found.append(_resource(f"{network}/networkSecurityGroups/{name}", {"securityRules": listed}))
    for name, space, subnets in _networks():
        inside = [
            {
                "name": inner,
                "properties": {
                    "addressPrefix": prefix,
                    "networkSecurityGroup": {"id": f"{network}/networkSecurityGroups/{group}"},
                },
            }
            for inner, prefix, group in subnets
        ]
        properties: Row = {"addressSpace": {"addressPrefixes": [space]}, "subnets": inside}
        found.append(_resource(f"{network}/virtualNetworks/{name}", properties))
    return [*found, *(_resource(f"{network}/privateDnsZones/{name}", {}, "global") for name in _zones())]


def _document(kind: str, name: str, spec: Row) -> Row:
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _resource(id: str, properties: Row, location: str = LOCATION) -> Row:
    return {"id": id, "location": location, "tags": _TAGS, "properties": properties}


def _fleet() -> Row:
    return {
        "subscription": "${AZURE_SUBSCRIPTION_ID}",
        "tenant": "${AZURE_TENANT_ID}",
        "resourceGroup": GROUP,
        "location": LOCATION,
    }


def _security_groups() -> Iterator[tuple[str, list[tuple[str, Row]]]]:
    """Names and rules; the first has as many as one reads in practice."""
    for number in range(SECURITY_GROUPS):
        count = RULES if number else MOST_RULES
        yield f"nsg-{number:02}", [(f"rule-{at:03}", make_rule(at)) for at in range(count)]


def make_rule(at: int) -> Row:
    return {
        "direction": "Inbound",
        "access": "Allow",
        "priority": 100 + at,
        "protocol": "Tcp",
        "sourceAddressPrefix": f"203.0.113.{at}",
        "destinationAddressPrefix": "*",
        "destinationPortRange": "443",
    }


def _networks() -> Iterator[tuple[str, str, list[tuple[str, str, str]]]]:
    """Names, address spaces, and of each subnet name, prefix and security group."""
    for number in range(NETWORKS):
        count = SUBNETS if number else MOST_SUBNETS
        subnets = [(f"net-{at:02}", f"10.{number}.{at}.0/24", f"nsg-{at % SECURITY_GROUPS:02}") for at in range(count)]
        yield f"vnet-{number:02}", f"10.{number}.0.0/16", subnets


def _zones() -> list[str]:
    return [f"bench-{number}.example.com" for number in range(ZONES)]
