"""What is wrong between a private endpoint and the account, the subnet, the zones and the endpoints beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.kinds import dns_zone_group, subnet
from reconciler.kinds.addresses import read_network
from reconciler.kinds.common import lie_apart, near
from reconciler.kinds.endpoint import AUTOMATIC, TYPE
from reconciler.kinds.endpoint_connection import find_judgement
from reconciler.kinds.scalars import ACCOUNT_TYPE
from reconciler.model.finding import Finding, Severity
from reconciler.model.ids import ArmId
from reconciler.model.resource import Desired
from reconciler.model.wire import Json

_RESERVED = 4  # the first addresses of a subnet are Azure's, and the last one


def relate(own: tuple[Desired, ...], fleet: Mapping[ArmId, Desired]) -> tuple[Finding, ...]:
    """What is wrong between an endpoint and the account, the subnet, the zones and the endpoints beside it."""
    endpoint, group = own[0], own[1] if own[1:] else None
    return (
        *_relate_account(endpoint, group, fleet),
        *_relate_zones(endpoint, group, fleet),
        *_relate_subnet(endpoint, fleet),
        *_relate_addresses(endpoint, fleet),
    )


def _relate_account(endpoint: Desired, group: Desired | None, fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    account = fleet.get(ArmId.parse(str(endpoint.fields["privateLinkServiceId"])))
    if account is None or account.type.lower() != ACCOUNT_TYPE.lower():
        return
    if not account.fields.get("customSubDomainName"):
        yield Finding(
            code="subdomain_missing",
            message=f"{endpoint.ref} leads to {account.ref}, which has no customSubDomainName; Azure refuses that",
            hint=f"add customSubDomainName to the account at {account.origin}",
            origin=endpoint.origins["privateLinkServiceId"],
        )
    rule = find_judgement(account.judgements, str(endpoint.id))
    if rule is not None and rule.status == "Rejected" and endpoint.fields.get("approval") == AUTOMATIC:
        yield Finding(
            code="contradiction",
            message=f"{endpoint.ref} connects to {account.ref} by itself, whose privateEndpointConnections reject it; "
            "it would be let in until then",
            hint=f"write `approval: manual` here, or change the rule at {rule.origin}",
            origin=endpoint.origins.get("approval", endpoint.origin),
        )
    zones = _listed(group.fields.get("privateDnsZones")) if group else ()
    kind = str(account.fields.get("kind") or "OpenAI")
    lacking = dns_zone_group.missing_zones(kind, tuple(zone.rpartition("/")[2] for zone in zones)) if group else ()
    if group is not None and lacking:
        yield Finding(
            severity=Severity.WARNING,
            code="zone_missing",
            message=f"{endpoint.ref}: an account of kind {kind} is resolved by {', '.join(lacking)}, which "
            "privateDnsZones does not name",
            hint="add it; what the account's private link resource names is not all that its clients ask for",
            origin=group.origins["privateDnsZones"],
        )
    idle = dns_zone_group.foreign_zones(tuple(zone.rpartition("/")[2] for zone in zones))
    if group is not None and idle:
        yield Finding(
            severity=Severity.WARNING,
            code="no_effect",
            message=f"{endpoint.ref}: no name of an account is in {', '.join(idle)}, which privateDnsZones names",
            hint="remove it",
            origin=group.origins["privateDnsZones"],
        )


def _relate_zones(endpoint: Desired, group: Desired | None, fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    """Zones of ours that the endpoint's network does not ask: what is written into them is found by nobody there."""
    home = ArmId.parse(str(endpoint.fields["subnet"])).parent
    network = fleet.get(home) if home else None
    if group is None or network is None or network.fields.get("dhcpOptions.dnsServers"):
        # Whoever brings DNS servers of his own links the zone to the network that those are in.
        return
    zones = {ArmId.parse(zone) for zone in _listed(group.fields.get("privateDnsZones"))}
    asking = {id.parent for id, each in fleet.items() if each.fields.get("virtualNetwork") == network.id.key}
    for zone in sorted(zones - asking):
        if zone in fleet:
            yield Finding(
                severity=Severity.WARNING,
                code="zone_unlinked",
                message=f"{endpoint.ref}: {network.ref.name} does not resolve {zone.name}, which has no link to it",
                hint=f"add `{{name: {network.ref.name}, virtualNetwork: {network.ref.name}}}` to virtualNetworkLinks "
                f"of the zone at {fleet[zone].origin}",
                origin=group.origins["privateDnsZones"],
            )


def _listed(value: Json) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _relate_subnet(endpoint: Desired, fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    id = ArmId.parse(str(endpoint.fields["subnet"]))
    place = endpoint.origins.get("subnet", endpoint.origin)
    network = fleet.get(id.parent) if id.parent else None
    if network is None:
        return
    if lie_apart(network.fields.get("location"), endpoint.fields["location"]):
        yield Finding(
            code="location",
            message=f"{endpoint.ref} is in {endpoint.fields['location']}, its network {network.ref.name} in "
            f"{network.fields.get('location')}; Azure takes an endpoint only where its network is",
            hint=f"write `location: {network.fields.get('location')}`; the target may be anywhere",
            origin=endpoint.origins.get("location", endpoint.origin),
        )
    home = fleet.get(id)
    if home is None:
        known = [each.name for each in fleet if each.parent == network.id]
        yield Finding(
            code="dangling",
            message=f"subnet names {network.ref.name}/{id.name}, but {network.ref} declares no such subnet",
            hint=near(id.name, known) or f"declare the subnet {id.name} there",
            origin=place,
        )
        return
    yield from _check_room(endpoint, home, fleet)
    yield from _check_static(endpoint, home)
    yield from _check_use(endpoint, home)


def _check_use(endpoint: Desired, home: Desired) -> Iterator[Finding]:
    """A subnet that is kept for something else: Azure takes endpoints into few of those, and says so only then."""
    services = _listed(home.fields.get("delegations"))
    if not services and home.id.name.lower() not in subnet.NAMED:
        return
    use = f"is delegated to {', '.join(services)}" if services else "is kept for what its name says"
    yield Finding(
        severity=Severity.WARNING,
        code="subnet_use",
        message=f"{endpoint.ref} stands in {home.id.name}, which {use}; Azure may refuse that",
        hint="give endpoints a subnet of their own",
        origin=endpoint.origins.get("subnet", endpoint.origin),
    )


def _check_room(endpoint: Desired, home: Desired, fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    """More endpoints than a subnet has addresses; said of those for which none is left. One takes at least one."""
    networks = [network for text in _listed(home.fields.get("addressPrefixes")) if (network := read_network(text))]
    room = sum(network.num_addresses - _RESERVED - 1 for network in networks if network.version == 4)
    if not networks or room >= len(fleet):
        return
    beside = [id for id, each in fleet.items() if _stands_in(each, home)]
    if sum(id < endpoint.id for id in beside) >= room:
        yield Finding(
            code="subnet_full",
            message=f"{endpoint.ref}: {home.ref.name} has {room} addresses, and {len(beside)} endpoints stand in it",
            hint="give the subnet a shorter prefix, or put the endpoint into another; Azure keeps five addresses",
            origin=endpoint.origins.get("subnet", endpoint.origin),
        )


def _stands_in(each: Desired, home: Desired) -> bool:
    return each.type.lower() == TYPE.arm_type.lower() and each.fields.get("subnet") == home.id.key


def _check_static(endpoint: Desired, home: Desired) -> Iterator[Finding]:
    """Static addresses that the subnet does not have, or that Azure keeps."""
    networks = [network for text in _listed(home.fields.get("addressPrefixes")) if (network := read_network(text))]
    for text in _statics(endpoint):
        address = read_network(text)
        holder = next((each for each in networks if address and address.network_address in each), None)
        if address is None or not networks:
            continue
        place = endpoint.origins.get(f"ipConfigurations[{text}]", endpoint.origin)
        if holder is None:
            spaces = ", ".join(str(each) for each in networks)
            message = f"ipConfigurations: {text} is not an address of {home.ref.name}, which has {spaces}"
            yield Finding(code="outside", message=message, hint="choose one of its addresses", origin=place)
        elif not _RESERVED <= int(address.network_address) - int(holder.network_address) < holder.num_addresses - 1:
            message = f"ipConfigurations: {text} is one of the five addresses that Azure keeps of {holder}"
            yield Finding(code="outside", message=message, hint=f"choose from {holder[_RESERVED]} on", origin=place)


def _statics(endpoint: Desired) -> tuple[str, ...]:
    rows = endpoint.fields.get("ipConfigurations")
    return (
        tuple(str(each["privateIPAddress"]) for each in rows if isinstance(each, dict))
        if isinstance(rows, list)
        else ()
    )


def _relate_addresses(endpoint: Desired, fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    """Static addresses that another endpoint of the same subnet has; said once, of the later of the two."""
    mine = _statics(endpoint)
    for id, other in fleet.items() if mine else ():
        beside = id.type.lower() == TYPE.arm_type.lower() and other.fields.get("subnet") == endpoint.fields["subnet"]
        if not beside or not id < endpoint.id:
            continue
        for address in _statics(other):
            if address in mine:
                yield Finding(
                    code="duplicate_value",
                    message=f"ipConfigurations: {address} is taken by {other.ref}",
                    hint=f"the other one is at {other.origin}; choose another address",
                    origin=endpoint.origins.get(f"ipConfigurations[{address}]", endpoint.origin),
                )
