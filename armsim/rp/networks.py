"""`virtualNetworks` with their subnets, inline and as children; `networkInterfaces` as far as others own them.

A PUT replaces a network and every subnet it lists, and resets in a subnet what it leaves out. What it does with subnets
when it lists none depends on the api-version.
"""

import ipaddress
import re
from typing import Final

from armsim import errors
from armsim.cloud import Call, Cloud, Reply
from armsim.gate import require_linked
from armsim.rp import network
from armsim.rp.base import place, require_group, require_stay
from armsim.rp.network import INTERFACES, NETWORKS, Write
from armsim.store import Resource
from armsim.wire import Body, Json, look, to_bool

NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?")
Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network
# Kept in a subnet whatever is sent: others put them there.
GIVEN: Final = ("ipConfigurations", "privateEndpoints", "serviceAssociationLinks", "resourceNavigationLinks", "purpose")
ECHOED: Final = (
    "dhcpOptions",
    "encryption",
    "flowTimeoutInMinutes",
    "bgpCommunities",
    "ddosProtectionPlan",
    "ipAllocations",
)
REFERENCES: Final = ("routeTable", "natGateway")
JOINED: Final = {
    "networkSecurityGroup": "networkSecurityGroups",
    "routeTable": "routeTables",
    "natGateway": "natGateways",
}
POLICIES: Final = ("Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled")
# Since about then answers hold more than was asked for.
WORDY: Final = "2024-01-01"
SMALLEST: Final = {
    "Microsoft.App/environments": 27,
    "Microsoft.Sql/managedInstances": 27,
    "Microsoft.Netapp/volumes": 28,
}


def put(cloud: Cloud, call: Call) -> Reply:
    id_ = network.id_of(cloud, call, NETWORKS)
    before = cloud.world.get(id_.lower())
    location = network.require_location(call, NETWORKS)
    sent = look(call.mapping, "properties.subnets")
    for each in sent if isinstance(sent, list) else []:
        _require_joins(cloud, call, each)
    if before is not None:
        require_stay(before, location)
        network.require_free(cloud, call, before.key, before.id)
        id_ = before.id
    body = build(cloud, id_, call.mapping, before, call.query["api-version"])
    kept = {each["name"].lower() for each in body["properties"]["subnets"]}
    for each in [] if before is None else before.body["properties"]["subnets"]:
        if each["name"].lower() not in kept:
            require_unused(each)
    _require_references(cloud, body["properties"]["subnets"], before, location)
    return network.put(cloud, call, before, Write(NETWORKS, body, cloud.settings.network_write))


def delete(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    found = cloud.world.get(network.key_of(call, NETWORKS))
    if found is None:
        return Reply(204)
    network.require_free(cloud, call, found.key, found.id)
    for each in found.body["properties"]["subnets"]:
        require_unused(each)
    return network.delete(cloud, call, found, NETWORKS, cloud.settings.network_delete)


def put_subnet(cloud: Cloud, call: Call) -> Reply:
    found = network.require_parent(cloud, call, NETWORKS)
    _require_joins(cloud, call, call.mapping)
    name = call.names[3]
    stored = network.child_of(found.body, "subnets", name)
    id_ = f"{found.id}/subnets/{name}" if stored is None else str(stored["id"])
    network.require_free(cloud, call, found.key, id_)
    network.require_repaired(found)
    child = subnet(id_, network.properties_of(call), stored, call.query["api-version"])
    body = network.with_child(found.body, "subnets", child)
    require_plan(found.name, _space(body), body["properties"]["subnets"])
    _require_references(cloud, [child], found, found.location)
    return network.put(cloud, call, found, Write(NETWORKS, body, cloud.settings.subnet_write, child))


def delete_subnet(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    found = cloud.world.get(network.key_of(call, NETWORKS))
    stored = None if found is None else network.child_of(found.body, "subnets", call.names[3])
    if found is None or stored is None:
        return Reply(204)
    network.require_free(cloud, call, found.key, str(stored["id"]))
    require_unused(stored)
    return network.delete_child(cloud, call, found, NETWORKS, stored)


def delete_interface(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    found = cloud.world.get(network.key_of(call, INTERFACES))
    if found is None:
        return Reply(204)
    owner = look(found.body, "properties.virtualMachine.id") or look(found.body, "properties.privateEndpoint.id")
    if owner:
        raise errors.network(
            "NicInUse",
            f"Network Interface {found.id} is used by existing resource {owner}. In order to delete the network "
            "interface, it must be dissociated from the resource. To learn more, see aka.ms/deletenic.",
        )
    return network.delete(cloud, call, found, INTERFACES, cloud.settings.network_delete)


# -- the stored form


def build(cloud: Cloud, id_: str, sent: Body, before: Resource | None, version: str) -> Body:
    """The whole network, Succeeded; its guid and what others put into its subnets are kept from before."""
    properties: Body = sent.get("properties") or {}
    old: list[Body] = [] if before is None else before.body["properties"]["subnets"]
    space = network.words_of(look(properties, "addressSpace.addressPrefixes"), "addressPrefixes")
    for each in space:
        parse_prefix(each, id_)
    if not space and not look(properties, "addressSpace.ipamPoolPrefixAllocations"):
        raise errors.network(
            "InvalidRequestFormat", "Cannot parse the request: addressSpace must hold at least one address prefix."
        )
    if properties.get("subnets") is None and version >= cloud.settings.subnets_kept_since:
        subnets = old
    else:
        subnets = _inline(id_, network.rows_of(properties.get("subnets"), "subnets"), old, version)
    require_plan(id_.rsplit("/", 1)[1], space, subnets)
    kept: Body = {} if before is None else before.body["properties"]
    body = network.begin(id_, NETWORKS, sent)
    body["properties"] = {
        "provisioningState": "Succeeded",
        "resourceGuid": kept.get("resourceGuid") or cloud.chance.guid(),
        "addressSpace": {"addressPrefixes": space},
        **{name: properties[name] for name in ECHOED if properties.get(name) is not None},
        "subnets": subnets,
        "virtualNetworkPeerings": network.rows_of(properties.get("virtualNetworkPeerings"), "virtualNetworkPeerings"),
        "enableDdosProtection": _flag(properties.get("enableDdosProtection")),
    }
    if version >= WORDY:
        body["properties"]["privateEndpointVNetPolicies"] = properties.get("privateEndpointVNetPolicies") or "Disabled"
    return body


def subnet(id_: str, sent: Body, before: Body | None, version: str) -> Body:
    """A subnet as it is answered; what was not sent is not there any more."""
    name = id_.rsplit("/", 1)[1]
    if NAME.fullmatch(name) is None:
        raise errors.network("InvalidResourceName", f"Resource name {name} is invalid.")
    properties: Body = {"provisioningState": "Succeeded", **_prefixes(id_, sent)}
    if group := look(sent, "networkSecurityGroup.id"):
        properties["networkSecurityGroup"] = {"id": str(group)}
    for each in REFERENCES:
        if target := look(sent, f"{each}.id"):
            properties[each] = {"id": str(target)}
    endpoints = [_endpoint(each) for each in network.rows_of(sent.get("serviceEndpoints"), "serviceEndpoints")]
    if endpoints or version >= WORDY:
        properties["serviceEndpoints"] = endpoints
    if sent.get("serviceEndpointPolicies"):
        properties["serviceEndpointPolicies"] = sent["serviceEndpointPolicies"]
    delegations = network.rows_of(sent.get("delegations"), "delegations")
    network.named(delegations, "delegations")
    properties["delegations"] = [_delegation(id_, each) for each in delegations]
    old: Body = {} if before is None else before["properties"]
    properties |= {each: old[each] for each in GIVEN if each in old}
    properties["privateEndpointNetworkPolicies"] = _policy(sent.get("privateEndpointNetworkPolicies"), "Disabled")
    properties["privateLinkServiceNetworkPolicies"] = _policy(sent.get("privateLinkServiceNetworkPolicies"), "Enabled")
    if sent.get("defaultOutboundAccess") is not None or version >= WORDY:
        properties["defaultOutboundAccess"] = _flag(sent.get("defaultOutboundAccess", True))
    return {"name": name, "id": id_, "etag": "", "properties": properties, "type": f"{NETWORKS.type}/subnets"}


def _inline(id_: str, rows: list[Body], old: list[Body], version: str) -> list[Body]:
    known = {each["name"].lower(): each for each in old}
    subnets = []
    for name, each in zip(network.named(rows, "subnets"), rows, strict=True):
        before = known.get(name.lower())
        child = f"{id_}/subnets/{name}" if before is None else str(before["id"])
        subnets.append(subnet(child, each.get("properties") or {}, before, version))
    return subnets


def _prefixes(id_: str, sent: Body) -> Body:
    """One prefix or a list of them; what comes back follows what was sent."""
    single, several = sent.get("addressPrefix"), network.words_of(sent.get("addressPrefixes"), "addressPrefixes")
    if not single and not several:
        raise errors.network(
            "InvalidRequestFormat", f"Cannot parse the request: subnet {id_} must have an address prefix."
        )
    for each in several or [str(single)]:
        parse_prefix(each, id_)
    result: Body = {"addressPrefix": str(single)} if single else {}
    if several:
        result["addressPrefixes"] = several
    return result


def _endpoint(sent: Body) -> Body:
    service = str(sent.get("service") or "")
    if "." not in service:
        raise errors.network("InvalidServiceEndpoint", f"The service '{service}' cannot have a service endpoint.")
    return {"provisioningState": "Succeeded", "service": service, "locations": sent.get("locations") or ["*"]}


def _delegation(id_: str, sent: Body) -> Body:
    service = look(sent, "properties.serviceName")
    if not service:
        raise errors.network("InvalidRequestFormat", "Cannot parse the request: a delegation needs a serviceName.")
    return {
        "name": sent["name"],
        "id": f"{id_}/delegations/{sent['name']}",
        "etag": "",
        "properties": {
            "provisioningState": "Succeeded",
            "serviceName": str(service),
            "actions": ["Microsoft.Network/virtualNetworks/subnets/action"],
        },
        "type": f"{NETWORKS.type}/subnets/delegations",
    }


# -- what is refused


def parse_prefix(text: str, owner: str) -> Prefix:
    """A prefix in canonical form. What is not even a number after the slash makes the real service stumble."""
    address, slash, length = text.partition("/")
    if slash and not length.isdigit():
        raise _stumble()
    try:
        parsed = ipaddress.ip_network(text, strict=False)
    except ValueError as problem:
        raise errors.network(
            "InvalidAddressPrefixFormat",
            f"Address prefix {text} of resource {owner} is not formatted correctly. It should follow CIDR notation, "
            "for example 10.0.0.0/24.",
        ) from problem
    if str(parsed.network_address) != str(ipaddress.ip_address(address)):
        raise errors.network(
            "InvalidCIDRNotation",
            f"The address prefix {text} in resource {owner} has an invalid CIDR notation. For the given prefix length, "
            f"the address prefix should be {parsed}.",
        )
    return parsed


def _stumble() -> errors.ArmError:
    error = errors.network("InternalServerError", "An error occurred.", 500)
    error.cause = "service"
    return error


def require_plan(name: str, space: list[str], subnets: list[Body]) -> None:
    """Every subnet inside the space of its network, none over another, none too small or too large."""
    inside = [ipaddress.ip_network(each) for each in space]
    taken: list[tuple[str, Prefix]] = []
    for each in subnets:
        for prefix in prefixes_of(each):
            _require_size(each, prefix)
            if not any(prefix.version == outer.version and prefix.subnet_of(outer) for outer in inside):  # type: ignore[arg-type]
                raise errors.network(
                    "NetcfgInvalidSubnet",
                    f"Subnet '{each['name']}' is not valid because its IP address range is outside the IP address "
                    f"range of virtual network '{name}'.",
                )
            for other, range_ in taken:
                if prefix.overlaps(range_):
                    raise errors.network(
                        "NetcfgSubnetRangesOverlap",
                        f"Subnet '{each['name']}' is not valid because its IP address range overlaps with that of an "
                        f"existing subnet in virtual network '{name}'. (It is subnet '{other}'.)",
                    )
            taken.append((each["name"], prefix))


def _require_size(each: Body, prefix: Prefix) -> None:
    least = 29 if prefix.version == 4 else 64
    for delegation in each["properties"]["delegations"]:
        least = min(least, SMALLEST.get(delegation["properties"]["serviceName"], least))
    if prefix.prefixlen > least or (prefix.version == 4 and prefix.prefixlen < 2):
        raise errors.network(
            "NetcfgInvalidSubnet",
            f"Subnet '{each['name']}' is not valid because its prefix {prefix} is not between /2 and /{least}.",
        )


def require_unused(each: Body) -> None:
    """A subnet goes only when nothing is in it; says who is."""
    properties = each["properties"]
    holders = [
        str(row.get("id") or row.get("name"))
        for field in ("ipConfigurations", "serviceAssociationLinks", "resourceNavigationLinks")
        for row in properties.get(field) or []
    ] or [str(row["id"]) for row in properties.get("privateEndpoints") or []]
    if holders:
        raise errors.network(
            "InUseSubnetCannotBeDeleted",
            f"Subnet {each['name']} is in use by {', '.join(holders)} and cannot be deleted. In order to delete the "
            "subnet, delete all the resources within the subnet. See aka.ms/deletesubnet.",
        )


def _require_references(cloud: Cloud, subnets: list[Body], before: Resource | None, location: str) -> None:
    """Security groups that are newly referred to: there, in the same region, settled."""
    known: set[str] = set()
    for each in [] if before is None else before.body["properties"]["subnets"]:
        known.add(f"{each['name']} {look(each, 'properties.networkSecurityGroup.id')}".lower())
    for each in subnets:
        target = look(each, "properties.networkSecurityGroup.id")
        if not target or f"{each['name']} {target}".lower() in known:
            continue
        group = cloud.world.get(str(target).lower())
        if group is None or group.location != location:
            raise errors.reference_not_found(str(target), str(each["id"]))
        network.require_settled(cloud, group.key, group.id, str(each["id"]), group.state)


def _require_joins(cloud: Cloud, call: Call, sent: Body) -> None:
    """The right to use what a subnet names, every time it is named: ARM looks at the request, not at what changes."""
    for name, kind in JOINED.items():
        target = look(sent, f"properties.{name}.id")
        if target:
            require_linked(cloud, call, f"{network.PROVIDER}/{kind}/join/action", str(target))


def prefixes_of(each: Body) -> list[Prefix]:
    properties = each["properties"]
    return [ipaddress.ip_network(text) for text in properties.get("addressPrefixes") or [properties["addressPrefix"]]]


def _space(body: Body) -> list[str]:
    return list(body["properties"]["addressSpace"]["addressPrefixes"])


def _policy(value: Json, default: str) -> str:
    if value is None:
        return default
    for choice in POLICIES:
        if str(value).lower() == choice.lower():
            return choice
    raise errors.network("InvalidRequestFormat", f"Cannot parse the request: '{value}' is no network policy.")


def _flag(value: Json) -> bool:
    return value is not None and to_bool(value)
