"""VirtualNetwork: an address space with its subnets. Undeclared subnets stay unless pruning them is permitted."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Annotated

from pydantic import Field as Described

from reconciler.kinds import subnet
from reconciler.kinds.addresses import Network, contains, prefixes, read_network
from reconciler.kinds.base import (
    Binding,
    Document,
    Expansion,
    Field,
    Kind,
    Patience,
    ResourceType,
    Setting,
    Shape,
    declare,
    describe,
    once,
)
from reconciler.kinds.common import (
    HomeGroup,
    HomeRegion,
    OwnTags,
    Unknowns,
    check_home,
    check_name,
    check_repeats,
    home_of,
    is_nowhere,
    near,
    owned_tags,
    resolve_location,
    want,
    want_below,
)
from reconciler.kinds.scalars import DnsServer, NetworkPrefix
from reconciler.kinds.spec import Spec
from reconciler.kinds.subnet import DelegationSpec, ServiceEndpointSpec, SubnetSpec, fold_service
from reconciler.kinds.subnet_relations import relate
from reconciler.kinds.values import location
from reconciler.model.finding import Finding, Origin, Severity
from reconciler.model.ids import ArmId
from reconciler.model.resource import Desired, Live
from reconciler.model.wire import Json, JsonObject

TYPE = ResourceType(
    arm_type="Microsoft.Network/virtualNetworks",
    word="virtual network",
    binding=Binding(
        client="network",
        group="virtual_networks",
        names=("resource_group_name", "virtual_network_name"),
        get="get",
        put="begin_create_or_update",
        body="parameters",
        delete="begin_delete",
        list_all="list_all",
    ),
    fields=(
        Field(path="location", wire=("location",), normal=location, effect=once),
        Field(
            path="addressSpace.addressPrefixes",
            wire=("properties", "addressSpace", "addressPrefixes"),
            normal=prefixes,
            default=[],
        ),
        Field(path="dhcpOptions.dnsServers", wire=("properties", "dhcpOptions", "dnsServers"), default=[]),
        Field(path="tags", wire=("tags",), shape=Shape.MAP, whole=("tags",)),
    ),
    readonly=(
        ("properties", "defaultPublicNatGateway"),
        ("properties", "flowLogs"),
        ("properties", "resourceGuid"),
        ("properties", "subnets", "*", "etag"),
        ("properties", "subnets", "*", "properties", "provisioningState"),
        *(("properties", "subnets", "*", *path) for path in subnet.TYPE.readonly),
        ("properties", "virtualNetworkPeerings", "*", "etag"),
        ("properties", "virtualNetworkPeerings", "*", "properties", "provisioningState"),
    ),
    taggable=True,
    on_demand=True,
    users=tuple(("properties", "subnets", "*", *path) for path in subnet.USERS),
    # A PUT repeats its subnets as they are, and so names all that they name.
    joins=tuple((("properties", "subnets", "*", *path), end) for path, end in subnet.TYPE.joins),
    patience=Patience(create=900.0, update=900.0, delete=900.0, usual_create=5, usual_update=5),
)

_NAME = r"^[A-Za-z0-9]([A-Za-z0-9_.\-]{0,62}[A-Za-z0-9_])?$"


class AddressSpaceSpec(Spec):
    """The addresses of the network."""

    address_prefixes: Annotated[
        list[NetworkPrefix],
        Described(
            min_length=1,
            description="Networks in CIDR notation; subnets lie inside them.",
            examples=["[10.1.0.0/16]"],
        ),
    ]


class DhcpOptionsSpec(Spec):
    """What machines in the network are told."""

    dns_servers: Annotated[
        list[DnsServer] | None, Described(description="Addresses of DNS servers, in order; [] for Azure's own.")
    ] = None


class VirtualNetworkSpec(Spec):
    """A virtual network with its subnets."""

    resource_group: HomeGroup = None
    location: HomeRegion = None
    address_space: Annotated[AddressSpaceSpec, Described(description="The addresses of the network.")]
    dhcp_options: Annotated[DhcpOptionsSpec | None, Described(description="DNS servers of the network.")] = None
    subnets: Annotated[
        list[SubnetSpec] | None,
        Described(
            max_length=3000, description="Subnets; others that exist are left alone unless Fleet spec.prune.subnets."
        ),
    ] = None
    tags: OwnTags = None
    additional_properties: Unknowns = None


def expand(document: Document, setting: Setting) -> Expansion:
    """The network, and each subnet as a resource of its own that needs the network and its security group."""
    spec = document.spec
    assert isinstance(spec, VirtualNetworkSpec)
    region, missing = resolve_location(document, setting)
    findings = (
        *missing,
        *check_name(document, setting, _NAME, TYPE.word),
        *check_home(document, setting),
        *_check_space(document, spec),
        *_check_subnets(document, spec),
        *_check_references(document, spec, setting),
    )
    if is_nowhere(findings):
        return Expansion(findings=findings)
    group = home_of(document, setting)
    id = group.resource(TYPE.arm_type, setting.name_of(document.ref))
    fields = declare(TYPE, {**spec.written(), "location": region, "tags": owned_tags(document, setting)})
    network = want(document, id, fields, (group,))
    return Expansion(desired=(network, *_subnets(document, spec, setting, id)), findings=findings)


def _subnets(document: Document, spec: VirtualNetworkSpec, setting: Setting, network: ArmId) -> Iterator[Desired]:
    for at, each in enumerate(spec.subnets or ()):
        written = each.written()
        prefix = written.pop("addressPrefix", None)
        if prefix is not None:
            written["addressPrefixes"] = [prefix]
        if each.delegations is not None:
            written["delegations"] = [_service(one) for one in each.delegations]
        if each.network_security_group is not None:
            del written["networkSecurityGroup"]
            guard = _group_of(each, setting)
            written |= {"networkSecurityGroup": str(guard)} if guard else {}
        fields = declare(subnet.TYPE, written)
        used = (fields.get(name) for name in ("networkSecurityGroup", "routeTable", "natGateway"))
        needs = tuple(ArmId.parse(id) for id in used if isinstance(id, str))
        wanted = want_below(document, network.child("subnets", each.name), ("subnets", at), fields, needs)
        if prefix is not None:
            written_as = document.place(("subnets", at, "addressPrefix"))
            wanted = replace(wanted, origins={**wanted.origins, "addressPrefixes": written_as})
        yield wanted


def _service(delegation: str | DelegationSpec) -> str:
    return fold_service(delegation.service_name if isinstance(delegation, DelegationSpec) else delegation)


def _group_of(each: SubnetSpec, setting: Setting) -> ArmId | None:
    """The security group that a subnet names: an id as it stands, or that of a document."""
    named = each.network_security_group
    if named is None:
        return None
    return ArmId.parse(named) if named.startswith("/") else setting.find("NetworkSecurityGroup", named)


def _check_references(document: Document, spec: VirtualNetworkSpec, setting: Setting) -> Iterator[Finding]:
    for at, each in enumerate(spec.subnets or ()):
        named = each.network_security_group
        if named is not None and _group_of(each, setting) is None:
            yield Finding(
                code="dangling",
                message=f"subnets[{each.name}].networkSecurityGroup names {named}, which no document declares",
                hint=near(named, setting.names("NetworkSecurityGroup"))
                or f"declare a NetworkSecurityGroup named {named}, or write the ARM id of one",
                origin=document.place(("subnets", at, "networkSecurityGroup")),
            )


def _check_space(document: Document, spec: VirtualNetworkSpec) -> Iterator[Finding]:
    spaces = [(text, at) for at, text in enumerate(spec.address_space.address_prefixes)]
    for (one, _), (other, at) in combinations(spaces, 2):
        if _overlap(_network(one), _network(other)):
            yield Finding(
                code="overlap",
                message=f"addressSpace: {other} overlaps {one}",
                hint="keep the wider one, or choose another",
                origin=document.place(("addressSpace", "addressPrefixes", at)),
            )


def _written_prefixes(each: SubnetSpec, at: int) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Every prefix of a subnet with its place in the document."""
    if each.address_prefix is not None:
        yield each.address_prefix, ("subnets", at, "addressPrefix")
    for index, prefix in enumerate(each.address_prefixes or ()):
        yield prefix, ("subnets", at, "addressPrefixes", index)


def _check_subnets(document: Document, spec: VirtualNetworkSpec) -> Iterator[Finding]:
    spaces = [_network(text) for text in spec.address_space.address_prefixes]
    seen: list[tuple[Network, str, Origin]] = []
    for at, each in enumerate(spec.subnets or ()):
        yield from _check_amount(document, at, each)
        yield from _check_services(document, at, each)
        yield from _check_delegations(document, at, each)
        yield from _check_guard(document, at, each)
        for prefix, path in _written_prefixes(each, at):
            network, place = _network(prefix), document.place(path)
            yield from _check_prefix(each, network, spaces, place)
            for other, name, where in seen:
                if _overlap(network, other):
                    yield Finding(
                        code="overlap",
                        message=f"subnets[{each.name}]: {network} overlaps {other} of {name}",
                        hint=f"the other one is at {where}; choose addresses that nobody has",
                        origin=place,
                    )
            seen.append((network, each.name, place))


def _check_amount(document: Document, at: int, each: SubnetSpec) -> Iterator[Finding]:
    if each.address_prefix is None and not each.address_prefixes:
        yield Finding(
            code="missing",
            message=f"subnets[{each.name}] has no addresses",
            hint="add addressPrefix, such as 10.1.1.0/24",
            origin=document.place(("subnets", at, "name")),
        )
    if each.address_prefix is not None and each.address_prefixes:
        yield Finding(
            code="contradiction",
            message=f"subnets[{each.name}] says both addressPrefix and addressPrefixes",
            hint="keep one of them",
            origin=document.place(("subnets", at, "addressPrefix")),
        )


def _check_services(document: Document, at: int, each: SubnetSpec) -> Iterator[Finding]:
    """Words that are almost the name of a service; one that nobody knows here may be new."""
    endpoints = [one.service if isinstance(one, ServiceEndpointSpec) else one for one in each.service_endpoints or ()]
    delegated = [one.service_name if isinstance(one, DelegationSpec) else one for one in each.delegations or ()]
    for key, words, known in (
        ("serviceEndpoints", endpoints, subnet.ENDPOINTS),
        ("delegations", delegated, tuple(subnet.DELEGATIONS)),
    ):
        folded = [fold_service(word) for word in words]
        yield from check_repeats(f"subnets[{each.name}].{key}", folded, _places(document, at, key))
        for index, word in enumerate(words):
            guess = "" if fold_service(word) in known else near(word, known, cutoff=0.85)
            if guess:
                yield Finding(
                    severity=Severity.WARNING,
                    code="service",
                    message=f"subnets[{each.name}].{key}: {word} is no service that is known here",
                    hint=guess,
                    origin=document.place(("subnets", at, key, index)),
                )


def _places(document: Document, at: int, key: str) -> Callable[[int], Origin]:
    return lambda index: document.place(("subnets", at, key, index))


def _check_delegations(document: Document, at: int, each: SubnetSpec) -> Iterator[Finding]:
    services = {_service(one) for one in each.delegations or ()}
    if len(services) > 1:
        yield Finding(
            severity=Severity.WARNING,
            code="delegations",
            message=f"subnets[{each.name}] is delegated to {len(services)} services; Azure gives a subnet to one only",
            hint="give each service a subnet of its own",
            origin=document.place(("subnets", at, "delegations")),
        )


def _check_guard(document: Document, at: int, each: SubnetSpec) -> Iterator[Finding]:
    if each.network_security_group is not None and each.name.lower() in subnet.UNGUARDED:
        yield Finding(
            severity=Severity.WARNING,
            code="no_effect",
            message=f"subnets[{each.name}].networkSecurityGroup: Azure supports no security group on {each.name}",
            hint="remove it; the gateway or firewall in that subnet has rules of its own",
            origin=document.place(("subnets", at, "networkSecurityGroup")),
        )


def _check_prefix(each: SubnetSpec, network: Network, spaces: list[Network], place: Origin) -> Iterator[Finding]:
    if not any(contains(space, network) for space in spaces):
        yield Finding(
            code="outside",
            message=f"subnets[{each.name}]: {network} lies outside the network's addresses",
            hint=f"choose addresses inside {', '.join(str(space) for space in spaces)}, or widen addressSpace",
            origin=place,
        )
    if network.version == 6:
        if network.prefixlen != 64:
            yield Finding(
                code="subnet_size",
                message=f"subnets[{each.name}]: {network} is IPv6 and no /64",
                hint="Azure takes /64 only",
                origin=place,
            )
        return
    longest, why = _longest(each)
    if network.prefixlen > longest:
        yield Finding(
            code="subnet_size",
            message=f"subnets[{each.name}]: {network} is too small{why}",
            hint=f"use /{longest} or a shorter prefix; Azure keeps five addresses of every subnet",
            origin=place,
        )


def _longest(each: SubnetSpec) -> tuple[int, str]:
    """The longest prefix that is large enough for what the subnet is for."""
    limits = [(subnet.SMALLEST, ""), (subnet.NAMED.get(each.name.lower(), subnet.SMALLEST), f" for {each.name}")]
    for one in each.delegations or ():
        service = _service(one)
        limits.append((subnet.DELEGATIONS.get(service, subnet.SMALLEST), f" for {service}"))
    return min(limits, key=lambda limit: limit[0])


def _network(text: str) -> Network:
    network = read_network(text)
    return network if network is not None else ipaddress.ip_network("0.0.0.0/32")


def _overlap(one: Network, other: Network) -> bool:
    return contains(one, other) or contains(other, one)


def describe_network(live: Live, below: tuple[Live, ...]) -> JsonObject:
    """The spec that declares `live` and all its subnets exactly as they are."""
    spec = describe(TYPE, live.wire, keep=frozenset({"location", "addressSpace.addressPrefixes"}))
    spec["resourceGroup"] = live.id.group
    subnets: list[Json] = [
        {"name": each.id.name, **_describe_subnet(each)}
        for each in sorted(below, key=lambda child: child.id.key)
        if each.type.lower() == subnet.TYPE.arm_type.lower()
    ]
    if subnets:
        spec["subnets"] = subnets
    return spec


def _describe_subnet(live: Live) -> JsonObject:
    spec = describe(subnet.TYPE, live.wire)
    listed = spec.get("addressPrefixes")
    if isinstance(listed, list) and len(listed) == 1:
        spec = {
            "addressPrefix": listed[0],
            **{name: value for name, value in spec.items() if name != "addressPrefixes"},
        }
    return spec


KIND = Kind(
    name="VirtualNetwork",
    spec=VirtualNetworkSpec,
    types=(TYPE, subnet.TYPE),
    expand=expand,
    describe=describe_network,
    summary="A virtual network with its subnets.",
    relate=relate,
)
