"""Who gets through to an account or into a subnet, judged from the JSON that the simulated Azure stores.

A reading of its own: nothing of the product is asked. Where Azure's documents leave a doubt it takes the reading in
which more gets through. Knows concrete callers only: an address, a workload of a subnet, a trusted service, a member of
a tag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Any, NamedTuple

from armsim.store import ACCOUNT, CONNECTION, ENDPOINT, INTERFACE, NETWORK, SECURITY_GROUP, Resource, World

Body = Mapping[str, Any]
Span = tuple[int, int]
Fact = tuple["Caller", str, int, str]

HTTPS = 443
SERVICE = "microsoft.cognitiveservices"
PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
HOST = int(ip_address("168.63.129.16"))
# What an account's public address is a member of.
PUBLIC_TAGS = frozenset({"internet", "azurecloud", "cognitiveservicesmanagement", "cognitiveservicesfrontend"})
NETWORK_TAGS = frozenset({"virtualnetwork"})
ACTING = frozenset({"enabled", "networksecuritygroupenabled"})
ANYWHERE = frozenset({"*", "any", "0.0.0.0/0"})
# From where a caller calls when nobody looks at source ports.
EPHEMERAL = 50_000


class Caller(NamedTuple):
    """Somebody who calls. With `subnet` (a folded id), a workload in there; without, an address on the internet or, if
    it is private, behind a peering; `tag` is the service tag it is a member of."""

    address: str = ""
    subnet: str = ""
    tag: str = ""
    trusted: bool = False

    def __str__(self) -> str:
        place = f" in {self.subnet.rsplit('/', 1)[1]}" if self.subnet else ""
        return f"{self.address or self.tag or 'a trusted service'}{place}"


TRUSTED = Caller(trusted=True, tag="AzureCloud")


@dataclass(frozen=True, slots=True, eq=False)
class Party:
    """One end of a packet: its address, where it is known, and the tags that it is a member of. Made by `party_of`,
    which makes each only once: they are looked up very often."""

    address: int | None
    tags: frozenset[str]


@cache
def party_of(address: int | None, tags: frozenset[str]) -> Party:
    return Party(address, tags)


PUBLIC_END = party_of(None, PUBLIC_TAGS)


class Packet(NamedTuple):
    """The first of a connection, from any port of the source. The protocol is folded."""

    source: Party
    destination: Party
    port: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Side:
    """The addresses or tags that one side of a rule names."""

    everybody: bool
    spans: tuple[Span, ...]
    tags: frozenset[str]

    def covers(self, party: Party) -> bool:
        if self.everybody or not self.tags.isdisjoint(party.tags):
            return True
        address = party.address
        return address is not None and any(low <= address <= high for low, high in self.spans)


@dataclass(frozen=True, slots=True)
class Rule:
    priority: int
    inbound: bool
    allows: bool
    protocol: str
    source: Side
    source_ports: tuple[Span, ...]
    destination: Side
    ports: tuple[Span, ...]

    def takes(self, packet: Packet, source_port: int) -> bool:
        return (
            self.protocol in ("*", packet.protocol)
            and _inside(packet.port, self.ports)
            and _inside(source_port, self.source_ports)
            and self.source.covers(packet.source)
            and self.destination.covers(packet.destination)
        )


@dataclass(slots=True, eq=False)
class Group:
    """The rules of a security group, the default ones included, in the order in which they are tried."""

    rules: tuple[Rule, ...]
    verdicts: dict[tuple[bool, Packet], bool] = field(default_factory=dict)

    def lets(self, packet: Packet, *, inbound: bool) -> bool:
        """Whether there is a source port from which this gets through."""
        key = (inbound, packet)
        if key not in self.verdicts:
            tried = [rule for rule in self.rules if rule.inbound == inbound]
            edges = {edge for rule in tried for low, high in rule.source_ports for edge in (low, high + 1)}
            ports = {EPHEMERAL, *(edge for edge in edges if 0 < edge <= 65535)}
            self.verdicts[key] = any(_first_allows(tried, packet, port) for port in ports)
        return self.verdicts[key]


def _first_allows(rules: list[Rule], packet: Packet, source_port: int) -> bool:
    return next((rule.allows for rule in rules if rule.takes(packet, source_port)), False)


@dataclass(frozen=True, slots=True)
class Subnet:
    id: str
    spans: tuple[Span, ...]
    group: str
    serves: bool
    guards_endpoints: bool

    def holds(self, address: int) -> bool:
        return any(low <= address <= high for low, high in self.spans)


@dataclass(frozen=True, slots=True)
class Network:
    spans: tuple[Span, ...]
    subnets: tuple[Subnet, ...]


@dataclass(frozen=True, slots=True)
class Account:
    enabled: bool
    allows: bool
    spans: tuple[Span, ...]
    subnets: frozenset[str]
    bypass: bool
    approved: frozenset[str]


@dataclass(frozen=True, slots=True)
class Endpoint:
    subnet: str
    target: str
    interfaces: tuple[str, ...]


class Reader:
    """Scenes of one world after the other. What did not change is not read again."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[Resource, object]] = {}
        self._groups: dict[tuple[Rule, ...], Group] = {}

    def scene(self, world: World) -> Scene:
        scene = Scene()
        for key, resource in world.resources.items():
            parsed = self._parse(key, resource)
            if isinstance(parsed, Account):
                scene.accounts[key] = parsed
            elif isinstance(parsed, Network):
                scene.networks[key] = parsed
                scene.subnets |= {each.id: each for each in parsed.subnets}
            elif isinstance(parsed, Group):
                scene.groups[key] = parsed
            elif isinstance(parsed, Endpoint):
                scene.endpoints[key] = parsed
            elif resource.type == INTERFACE:
                scene.addresses[key] = parsed  # type: ignore[assignment]  # what _addresses gave
            elif resource.type == CONNECTION and parsed:
                scene.connections.setdefault(resource.parent, set()).add(str(parsed))
        return scene

    def _parse(self, key: str, resource: Resource) -> object:
        known = self._read.get(key)
        if known is not None and known[0] is resource:
            return known[1]
        parsed = self._parse_body(resource)
        self._read[key] = (resource, parsed)
        return parsed

    def _parse_body(self, resource: Resource) -> object:
        body = resource.body
        if resource.type == ACCOUNT:
            return read_account(body)
        if resource.type == NETWORK:
            return read_network(body)
        if resource.type == SECURITY_GROUP:
            rules = read_rules(body)
            return self._groups.setdefault(rules, Group(rules))
        if resource.type == ENDPOINT:
            return read_endpoint(body)
        if resource.type == INTERFACE:
            return _addresses(body)
        return _approved(body) if resource.type == CONNECTION else None


@dataclass(slots=True)
class Scene:
    """All that decides who gets where, at one moment. Keys are folded ids."""

    accounts: dict[str, Account] = field(default_factory=dict)
    networks: dict[str, Network] = field(default_factory=dict)
    subnets: dict[str, Subnet] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    addresses: dict[str, tuple[int, ...]] = field(default_factory=dict)
    connections: dict[str, set[str]] = field(default_factory=dict)
    _parties: dict[Caller, Party | None] = field(default_factory=dict)
    _places: dict[str, tuple[Party, Subnet | None]] = field(default_factory=dict)

    @property
    def essence(self) -> tuple[object, ...]:
        """Two scenes with the same essence let the same through."""
        return (
            self.accounts,
            self.networks,
            {key: id(group) for key, group in self.groups.items()},
            self.endpoints,
            self.addresses,
            self.connections,
        )

    # -- accounts

    def paths(self, caller: Caller, account_id: str, port: int) -> Iterator[str]:
        """Every way in which this caller gets through to this account."""
        account = self.accounts.get(account_id.lower())
        party = self.party(caller)
        if account is None or party is None:
            return
        if port == HTTPS and account.enabled and self._gets_out(caller, Packet(party, PUBLIC_END, port)):
            if account.allows or (party.address is not None and _inside(party.address, account.spans)):
                yield "public"
            held = self.subnets.get(caller.subnet)
            if held is not None and held.serves and held.id in account.subnets:
                yield "service endpoint"
        if port == HTTPS and caller.trusted and (account.bypass or (account.enabled and account.allows)):
            yield "trusted"
        if NETWORK_TAGS.isdisjoint(party.tags):  # an endpoint has no public address
            return
        for endpoint_id, endpoint in self.endpoints.items():
            if endpoint.target == account_id.lower() and self._is_approved(account_id.lower(), endpoint_id):
                yield from self._through(caller, party, endpoint_id, port)

    def _through(self, caller: Caller, party: Party, endpoint_id: str, port: int) -> Iterator[str]:
        endpoint = self.endpoints[endpoint_id]
        addresses = (each for interface in endpoint.interfaces for each in self.addresses.get(interface, ()))
        packets = (Packet(party, party_of(address, NETWORK_TAGS), port) for address in addresses)
        if any(self._gets_out(caller, packet) and self._gets_in(endpoint, packet) for packet in packets):
            yield f"private:{endpoint_id}"

    def _gets_in(self, endpoint: Endpoint, packet: Packet) -> bool:
        subnet = self.subnets.get(endpoint.subnet)
        group = self.groups.get(subnet.group) if subnet is not None and subnet.guards_endpoints else None
        return group is None or group.lets(packet, inbound=True)

    def _is_approved(self, account_id: str, endpoint_id: str) -> bool:
        """The account repeats its connections; while the two disagree, the one that says Approved is believed."""
        return endpoint_id in self.accounts[account_id].approved or endpoint_id in self.connections.get(
            account_id, set()
        )

    # -- subnets

    def enters(self, caller: Caller, address: str, port: int, protocol: str = "Tcp") -> bool:
        """Whether this caller gets to an address of a subnet, as far as security groups are asked."""
        there, subnet = self._place(address)
        party = self.party(caller)
        if subnet is None or party is None:
            return False
        packet = Packet(party, there, port, protocol.lower())
        group = self.groups.get(subnet.group)
        return self._gets_out(caller, packet) and (group is None or group.lets(packet, inbound=True))

    def _place(self, address: str) -> tuple[Party, Subnet | None]:
        if address not in self._places:
            number = int(ip_address(address))
            subnet = next((each for each in self.subnets.values() if each.holds(number)), None)
            self._places[address] = party_of(number, NETWORK_TAGS), subnet
        return self._places[address]

    def holds(self, address: str) -> bool:
        """Whether a subnet has this address."""
        return self._place(address)[1] is not None

    # -- callers

    def party(self, caller: Caller) -> Party | None:
        """The caller as security groups see it; None for one that does not exist: in a network, but in no subnet, or
        in a subnet that does not hold its address."""
        if caller not in self._parties:
            self._parties[caller] = self._find_party(caller)
        return self._parties[caller]

    def _find_party(self, caller: Caller) -> Party | None:
        if not caller.address:
            tags = {"internet", caller.tag.lower(), caller.tag.lower().partition(".")[0]}
            return party_of(None, frozenset(tags - {""}))
        number = int(ip_address(caller.address))
        if caller.subnet:
            subnet = self.subnets.get(caller.subnet)
            return party_of(number, NETWORK_TAGS) if subnet and subnet.holds(number) else None
        if any(_inside(number, network.spans) for network in self.networks.values()):
            return None
        if number == HOST:
            return party_of(number, NETWORK_TAGS | {"azureloadbalancer"})
        if any(ip_address(caller.address) in each for each in PRIVATE):
            return party_of(number, NETWORK_TAGS)
        return party_of(number, frozenset({"internet", caller.tag.lower()} - {""}))

    def _gets_out(self, caller: Caller, packet: Packet) -> bool:
        subnet = self.subnets.get(caller.subnet)
        group = self.groups.get(subnet.group) if subnet else None
        return group is None or group.lets(packet, inbound=False)


def reaches(world: World, caller: Caller, account_id: str, port: int) -> set[str]:
    """The paths on which this caller reaches this account: `public`, `service endpoint`, `trusted`, `private:<id>`."""
    return set(Reader().scene(world).paths(caller, account_id, port))


def reaches_subnet(world: World, caller: Caller, subnet: str, port: int, protocol: str = "Tcp") -> bool:
    """Whether this caller gets through to some address of a subnet."""
    scene = Reader().scene(world)
    found = scene.subnets.get(subnet.lower())
    if found is None:
        return False
    group = scene.groups.get(found.group)
    edges = {edge for rule in (group.rules if group else ()) for span in rule.destination.spans for edge in span}
    probes = {low for low, _ in found.spans} | {each for each in edges if found.holds(each)}
    probes |= {high + 1 for high in edges if found.holds(high + 1)}
    return any(scene.enters(caller, str(ip_address(each)), port, protocol) for each in probes)


# -- reading Azure's JSON


def read_account(body: Body) -> Account:
    properties = body["properties"]
    acls = properties.get("networkAcls")
    rows = [*properties.get("privateEndpointConnections", ())]
    return Account(
        enabled=str(properties.get("publicNetworkAccess") or "Enabled").lower() != "disabled",
        allows=acls is None or str(acls.get("defaultAction") or "Allow").lower() == "allow",
        spans=tuple(_span(str(rule["value"])) for rule in (acls or {}).get("ipRules") or ()),
        subnets=frozenset(str(rule["id"]).lower() for rule in (acls or {}).get("virtualNetworkRules") or ()),
        bypass=acls is not None and str(acls.get("bypass") or "None").lower() == "azureservices",
        approved=frozenset(_approved(row) for row in rows) - {""},
    )


def read_network(body: Body) -> Network:
    properties = body["properties"]
    return Network(
        spans=tuple(_span(text) for text in properties["addressSpace"]["addressPrefixes"]),
        subnets=tuple(_read_subnet(each) for each in properties.get("subnets") or ()),
    )


def _read_subnet(body: Body) -> Subnet:
    properties = body["properties"]
    prefixes = properties.get("addressPrefixes") or [properties["addressPrefix"]]
    services = properties.get("serviceEndpoints") or ()
    return Subnet(
        id=str(body["id"]).lower(),
        spans=tuple(_span(text) for text in prefixes),
        group=str((properties.get("networkSecurityGroup") or {}).get("id") or "").lower(),
        serves=any(str(each.get("service")).lower() == SERVICE for each in services),
        guards_endpoints=str(properties.get("privateEndpointNetworkPolicies") or "Disabled").lower() in ACTING,
    )


def read_endpoint(body: Body) -> Endpoint:
    properties = body["properties"]
    rows = [
        *(properties.get("privateLinkServiceConnections") or ()),
        *(properties.get("manualPrivateLinkServiceConnections") or ()),
    ]
    return Endpoint(
        subnet=str(properties["subnet"]["id"]).lower(),
        target=str(rows[0]["properties"]["privateLinkServiceId"]).lower() if rows else "",
        interfaces=tuple(str(each["id"]).lower() for each in properties.get("networkInterfaces") or ()),
    )


def _addresses(body: Body) -> tuple[int, ...]:
    rows = body["properties"].get("ipConfigurations") or ()
    return tuple(int(ip_address(row["properties"]["privateIPAddress"])) for row in rows)


def _approved(body: Body) -> str:
    """The folded id of the endpoint if its connection is approved, else nothing."""
    properties = body["properties"]
    state = properties.get("privateLinkServiceConnectionState") or {}
    if str(state.get("status")).lower() != "approved":
        return ""
    return str((properties.get("privateEndpoint") or {}).get("id") or "").lower()


def read_rules(body: Body) -> tuple[Rule, ...]:
    """The rules in the order in which they are tried; Azure's own come with the group."""
    properties = body["properties"]
    own = [read_rule(each["properties"]) for each in properties.get("securityRules") or ()]
    return tuple(sorted([*own, *DEFAULTS], key=lambda rule: rule.priority))


def read_rule(said: Body) -> Rule:
    return Rule(
        priority=int(said["priority"]),
        inbound=str(said["direction"]).lower() == "inbound",
        allows=str(said["access"]).lower() == "allow",
        protocol=str(said["protocol"]).lower(),
        source=_side(said, "source"),
        source_ports=_ports(said, "source"),
        destination=_side(said, "destination"),
        ports=_ports(said, "destination"),
    )


def _side(said: Body, end: str) -> Side:
    """An application security group may hold anybody: an Allow for one lets all through, a Deny keeps nobody out."""
    words = _both(said, f"{end}AddressPrefix", f"{end}AddressPrefixes")
    grouped = bool(said.get(f"{end}ApplicationSecurityGroups"))
    everybody = any(word.lower() in ANYWHERE for word in words)
    spans = tuple(_span(word) for word in words if word[0].isdigit())
    tags = frozenset(word.lower() for word in words if word.isascii() and word[0].isalpha())
    return Side(everybody or (grouped and str(said["access"]).lower() == "allow"), spans, tags - ANYWHERE)


def _ports(said: Body, end: str) -> tuple[Span, ...]:
    spans = []
    for word in _both(said, f"{end}PortRange", f"{end}PortRanges"):
        low, _, high = word.partition("-")
        spans.append((0, 65535) if word == "*" else (int(low), int(high or low)))
    return tuple(spans)


def _both(said: Body, single: str, several: str) -> list[str]:
    one = said.get(single)
    return [*([str(one)] if one else []), *(str(each) for each in said.get(several) or ())]


def _span(text: str) -> Span:
    network = ip_network(text, strict=False)
    return int(network.network_address), int(network.broadcast_address)


def _inside(number: int, spans: Iterable[Span]) -> bool:
    return any(low <= number <= high for low, high in spans)


def _default(priority: int, direction: str, access: str, source: str, destination: str) -> Rule:
    return read_rule(
        {
            "priority": priority,
            "direction": direction,
            "access": access,
            "protocol": "*",
            "sourceAddressPrefix": source,
            "destinationAddressPrefix": destination,
            "sourcePortRange": "*",
            "destinationPortRange": "*",
        }
    )


DEFAULTS = (
    _default(65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    _default(65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    _default(65500, "Inbound", "Deny", "*", "*"),
    _default(65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    _default(65001, "Outbound", "Allow", "*", "Internet"),
    _default(65500, "Outbound", "Deny", "*", "*"),
)
