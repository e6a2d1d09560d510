"""What a daemon looks after, written twice: as desired state, and as what Azure holds when nothing is to do.

The fleet of accounts in one subscription, with networks, endpoints and names beside it. Promises that both say the
same. Also what somebody may do to it behind the daemon's back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.fleet import FIREWALL, Account, Fleet, write_yaml
from bench.networks import make_rule

Row = Mapping[str, object]

SECURITY_GROUPS, RULES, MOST_RULES = 5, 3, 200  # in each region; the very first one has as many rules as one reads
NETWORKS, SUBNETS, MOST_SUBNETS = 4, 3, 100  # likewise
_HUB = "privatelink.openai.azure.com"  # one zone for all endpoints; every region but the first has another one
_TAGS = {"team": "ai", "reconciler-fleet": "bench"}


@dataclass(frozen=True, slots=True)
class Piece:
    """One document, and what it declares as it stands in Azure: the resource, then what is below it."""

    document: Row
    standing: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """A request of somebody else's: what is changed, in a word, and the id of the resource that drifts by it."""

    word: str
    drifts: str
    method: str
    path: str
    body: Row | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """One region of the fleet: its resource group with everything in it."""

    number: int
    group: str  # an ARM id
    location: str
    accounts: tuple[Account, ...]

    def account(self, account: Account) -> str:
        return f"{self.group}/providers/Microsoft.CognitiveServices/accounts/{account.name}"

    def network(self, kind: str, name: str) -> str:
        return f"{self.group}/providers/Microsoft.Network/{kind}/{name}"

    @property
    def zone(self) -> str:
        return f"bench-{self.number}.example.com" if self.number else _HUB


def split(fleet: Fleet, subscription: str) -> tuple[Region, ...]:
    return tuple(
        Region(
            number=number,
            group=f"/subscriptions/{subscription}/resourceGroups/{group}",
            location=location,
            accounts=tuple(each for each in fleet.accounts if each.group == group),
        )
        for number, (group, location) in enumerate(fleet.groups)
    )


def count_networks(regions: tuple[Region, ...]) -> int:
    """Security groups, networks, zones and endpoints; not what is in them."""
    return sum(SECURITY_GROUPS + NETWORKS + 1 + len(region.accounts) for region in regions)


def write_estate(fleet: Fleet, regions: tuple[Region, ...], folder: Path) -> None:
    """The desired state: the fleet's own documents, and those of its networks in a file for each region."""
    write_yaml(fleet, folder)
    for region in regions:
        # JSON is YAML.
        text = "\n---\n".join(json.dumps(piece.document) for piece in _pieces(region, regions))
        (folder / f"networks-{region.location}.yaml").write_text(text, encoding="utf-8")


def seed_estate(regions: tuple[Region, ...]) -> list[Row]:
    """The same as it stands in Azure, for the simulation's seed."""
    return [
        *({"id": region.group, "location": region.location, "tags": _TAGS} for region in regions),
        *(_account(region, account) for region in regions for account in region.accounts),
        *(each for region in regions for piece in _pieces(region, regions) for each in piece.standing),
    ]


def make_edits(region: Region) -> tuple[Edit, ...]:
    """One of each kind of resource, all in `region`."""
    account, member = region.accounts[0], region.accounts[0].deployments[0]
    home, guard = region.account(account), region.network("networkSecurityGroups", f"nsg-{region.number}-1")
    network = region.network("virtualNetworks", f"vnet-{region.number}-1")
    names = f"{region.network('privateEndpoints', f'pe-{account.name}')}/privateDnsZoneGroups/default"
    link = f"{region.network('privateDnsZones', region.zone)}/virtualNetworkLinks/link-{region.number}"
    served, subnet = f"{home}/deployments/{member.name}", f"{network}/subnets/net-01"
    opened = {"properties": {"networkAcls": {"defaultAction": "Allow"}}}
    smaller = {"sku": {"name": member.sku, "capacity": member.capacity - 1}}
    anybody = {"properties": {**make_rule(RULES), "sourceAddressPrefix": "*", "sourcePortRange": "*"}}
    tagged: Row = {"tags": {"team": "another"}}
    return (
        Edit("an account opened", home, "PATCH", home, opened),
        Edit("a deployment shrunk", served, "PATCH", served, smaller),
        Edit("a rule added", guard, "PUT", f"{guard}/securityRules/anybody", anybody),
        Edit("a network tagged", network, "PATCH", network, tagged),
        Edit("a subnet unguarded", subnet, "PATCH", subnet, {"properties": {"networkSecurityGroup": None}}),
        Edit("an endpoint nameless", names, "DELETE", names),
        Edit("a zone unlinked", link, "DELETE", link),
        Edit("a group tagged", region.group, "PATCH", region.group, tagged),
    )


def _account(region: Region, account: Account) -> Row:
    deployments = [
        {
            "name": each.name,
            "sku": {"name": each.sku, "capacity": each.capacity},
            "properties": {"model": {"format": "OpenAI", "name": each.model, "version": each.version}},
        }
        for each in account.deployments
    ]
    properties = {
        "customSubDomainName": account.name,
        "disableLocalAuth": True,
        "publicNetworkAccess": "Enabled",
        "networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": each} for each in FIREWALL]},
    }
    whole = {"kind": "OpenAI", "sku": {"name": "S0"}, "deployments": deployments}
    return {**_resource(region.account(account), region.location, properties), **whole}


def _resource(id: str, location: str, properties: Row) -> Row:
    return {"id": id, "location": location, "tags": _TAGS, "properties": properties}


def _pieces(region: Region, regions: tuple[Region, ...]) -> Iterator[Piece]:
    yield from (_security_group(region, number) for number in range(SECURITY_GROUPS))
    yield from (_network(region, number) for number in range(NETWORKS))
    yield _zone(region, (region,) if region.number else regions)
    yield from (_endpoint(region, account, regions[0]) for account in region.accounts)


def _document(region: Region, kind: str, name: str, spec: Row) -> Row:
    placed = {"resourceGroup": region.group.rpartition("/")[2], **spec}
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": placed}


def _security_group(region: Region, number: int) -> Piece:
    name, count = f"nsg-{region.number}-{number}", RULES if region.number or number else MOST_RULES
    rules = {f"rule-{at:03}": make_rule(at) for at in range(count)}
    declared = [{"name": rule, **said} for rule, said in rules.items()]
    listed = [{"name": rule, "properties": {**said, "sourcePortRange": "*"}} for rule, said in rules.items()]
    id = region.network("networkSecurityGroups", name)
    return Piece(
        _document(region, "NetworkSecurityGroup", name, {"location": region.location, "securityRules": declared}),
        (_resource(id, region.location, {"securityRules": listed}),),
    )


def _network(region: Region, number: int) -> Piece:
    name, first = f"vnet-{region.number}-{number}", f"10.{region.number * NETWORKS + number}"
    space = {"addressPrefixes": [f"{first}.0.0/16"]}
    declared, listed = [], []
    for at in range(SUBNETS if region.number or number else MOST_SUBNETS):
        guard = f"nsg-{region.number}-{at % SECURITY_GROUPS}"
        # Or the group would not act on endpoints.
        said = {"addressPrefix": f"{first}.{at}.0/24", "privateEndpointNetworkPolicies": "NetworkSecurityGroupEnabled"}
        declared.append({"name": f"net-{at:02}", "networkSecurityGroup": guard, **said})
        guarded = {"networkSecurityGroup": {"id": region.network("networkSecurityGroups", guard)}, **said}
        listed.append({"name": f"net-{at:02}", "properties": guarded})
    spec = {"location": region.location, "addressSpace": space, "subnets": declared}
    id = region.network("virtualNetworks", name)
    return Piece(
        _document(region, "VirtualNetwork", name, spec),
        (_resource(id, region.location, {"addressSpace": space, "subnets": listed}),),
    )


def _zone(region: Region, linked: tuple[Region, ...]) -> Piece:
    id = region.network("privateDnsZones", region.zone)
    declared = [{"name": f"link-{each.number}", "virtualNetwork": f"vnet-{each.number}-0"} for each in linked]
    links = (
        _resource(
            f"{id}/virtualNetworkLinks/link-{each.number}",
            "global",
            {
                "virtualNetwork": {"id": each.network("virtualNetworks", f"vnet-{each.number}-0")},
                "registrationEnabled": False,
            },
        )
        for each in linked
    )
    return Piece(
        _document(region, "PrivateDnsZone", region.zone, {"virtualNetworkLinks": declared}),
        (_resource(id, "global", {}), *links),
    )


def _endpoint(region: Region, account: Account, hub: Region) -> Piece:
    name, network = f"pe-{account.name}", f"vnet-{region.number}-0"
    spec: Row = {"account": account.name, "subnet": f"{network}/net-00", "privateDnsZones": [hub.zone]}
    id = region.network("privateEndpoints", name)
    leads = {"privateLinkServiceId": region.account(account), "groupIds": ["account"]}
    properties: Row = {
        "subnet": {"id": f"{region.network('virtualNetworks', network)}/subnets/net-00"},
        "privateLinkServiceConnections": [{"name": name, "properties": leads}],
    }
    named: Row = {"privateDnsZoneId": hub.network("privateDnsZones", hub.zone)}
    configs = [{"name": hub.zone.replace(".", "-"), "properties": named}]
    group: Row = {"id": f"{id}/privateDnsZoneGroups/default", "properties": {"privateDnsZoneConfigs": configs}}
    return Piece(
        _document(region, "PrivateEndpoint", name, {"location": region.location, **spec}),
        (_resource(id, region.location, properties), group),
    )
