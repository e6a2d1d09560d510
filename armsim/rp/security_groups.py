"""`networkSecurityGroups` with their rules, inline and as children.

A PUT of the group replaces all rules; a PUT of one keeps the others. Rules stay in the order in which they came.
"""

import ipaddress
import re
from typing import Final

from armsim import errors
from armsim.cloud import Call, Cloud, Reply
from armsim.rp import network
from armsim.rp.base import place, require_group, require_stay
from armsim.rp.network import SECURITY_GROUPS, Write
from armsim.store import Resource
from armsim.wire import Body, Json, to_int

NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,78}[A-Za-z0-9_])?")
PROTOCOLS: Final = ("*", "Tcp", "Udp", "Icmp", "Ah", "Esp")
ACCESS: Final = ("Allow", "Deny")
DIRECTIONS: Final = ("Inbound", "Outbound")
PAIRS: Final = (
    ("sourcePortRange", "sourcePortRanges"),
    ("destinationPortRange", "destinationPortRanges"),
    ("sourceAddressPrefix", "sourceAddressPrefixes"),
    ("destinationAddressPrefix", "destinationAddressPrefixes"),
)
GROUPS: Final = {
    "sourceAddressPrefix": "sourceApplicationSecurityGroups",
    "destinationAddressPrefix": "destinationApplicationSecurityGroups",
}
LIMIT: Final = 1000
# name, description, source, destination, access, priority, direction
DEFAULTS: Final = (
    ("AllowVnetInBound", "Allow inbound traffic from all VMs in VNET",
     "VirtualNetwork", "VirtualNetwork", "Allow", 65000, "Inbound"),
    ("AllowAzureLoadBalancerInBound", "Allow inbound traffic from azure load balancer",
     "AzureLoadBalancer", "*", "Allow", 65001, "Inbound"),
    ("DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", 65500, "Inbound"),
    ("AllowVnetOutBound", "Allow outbound traffic from all VMs to all VMs in VNET",
     "VirtualNetwork", "VirtualNetwork", "Allow", 65000, "Outbound"),
    ("AllowInternetOutBound", "Allow outbound traffic from all VMs to Internet",
     "*", "Internet", "Allow", 65001, "Outbound"),
    ("DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", 65500, "Outbound"),
)  # fmt: skip


def put(cloud: Cloud, call: Call) -> Reply:
    id_ = network.id_of(cloud, call, SECURITY_GROUPS)
    before = cloud.world.get(id_.lower())
    location = network.require_location(call, SECURITY_GROUPS)
    if before is not None:
        require_stay(before, location)
        network.require_free(cloud, call, before.key, before.id)
        id_ = before.id
    body = build(cloud, id_, call.mapping, before)
    return network.put(cloud, call, before, Write(SECURITY_GROUPS, body, cloud.settings.security_group_write))


def delete(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    group = cloud.world.get(network.key_of(call, SECURITY_GROUPS))
    if group is None:
        return Reply(204)
    network.require_free(cloud, call, group.key, group.id)
    properties = group.body["properties"]
    holders = [each["id"] for field in ("networkInterfaces", "subnets") for each in properties.get(field, [])]
    if holders:
        raise errors.network(
            "InUseNetworkSecurityGroupCannotBeDeleted",
            f"Network security group {group.id} cannot be deleted because it is in use by the following resources: "
            f"{', '.join(holders)}. In order to delete the Network security group, remove the association with the "
            "resource(s). To learn how to do this, see aka.ms/deletensg.",
        )
    return network.delete(cloud, call, group, SECURITY_GROUPS, cloud.settings.network_delete)


def put_rule(cloud: Cloud, call: Call) -> Reply:
    group = network.require_parent(cloud, call, SECURITY_GROUPS)
    name = call.names[3]
    stored = network.child_of(group.body, "securityRules", name)
    id_ = f"{group.id}/securityRules/{name}" if stored is None else str(stored["id"])
    network.require_free(cloud, call, group.key, id_)
    network.require_repaired(group)
    child = rule(id_, network.properties_of(call))
    body = network.with_child(group.body, "securityRules", child)
    require_no_conflict(body["properties"]["securityRules"])
    write = Write(SECURITY_GROUPS, body, cloud.settings.security_rule_write, child)
    return network.put(cloud, call, group, write)


def delete_rule(cloud: Cloud, call: Call) -> Reply:
    require_group(cloud, place(call))
    group = cloud.world.get(network.key_of(call, SECURITY_GROUPS))
    stored = None if group is None else network.child_of(group.body, "securityRules", call.names[3])
    if group is None or stored is None:
        return Reply(204)
    network.require_free(cloud, call, group.key, str(stored["id"]))
    return network.delete_child(cloud, call, group, SECURITY_GROUPS, stored)


# -- the stored form


def build(cloud: Cloud, id_: str, sent: Body, before: Resource | None) -> Body:
    """The whole group, Succeeded; who uses it and its guid are kept from before."""
    properties: Body = sent.get("properties") or {}
    rows = network.rows_of(properties.get("securityRules"), "securityRules")
    names = network.named(rows, "securityRules")
    if len(rows) > LIMIT:
        raise errors.network(
            "SecurityRuleCountLimitReached", f"A network security group can hold at most {LIMIT} rules."
        )
    rules = [
        rule(f"{id_}/securityRules/{name}", each.get("properties") or {})
        for name, each in zip(names, rows, strict=True)
    ]
    require_no_conflict(rules)
    kept: Body = {} if before is None else before.body["properties"]
    body = network.begin(id_, SECURITY_GROUPS, sent)
    body["properties"] = {
        "provisioningState": "Succeeded",
        "resourceGuid": kept.get("resourceGuid") or cloud.chance.guid(),
        **({"flushConnection": properties["flushConnection"]} if "flushConnection" in properties else {}),
        "securityRules": rules,
        "defaultSecurityRules": [_default(id_, row) for row in DEFAULTS],
        **{name: kept[name] for name in ("networkInterfaces", "subnets") if name in kept},
    }
    return body


def rule(id_: str, sent: Body) -> Body:
    """A rule as it is answered: the four plural lists always, a singular only when it was used."""
    name = id_.rsplit("/", 1)[1]
    if NAME.fullmatch(name) is None:
        raise errors.network("InvalidResourceName", f"Resource name {name} is invalid.")
    folded: Body = {key.lower(): value for key, value in sent.items()}
    properties: Body = {"provisioningState": "Succeeded"}
    if folded.get("description") is not None:
        properties["description"] = _description(name, folded["description"])
    properties["protocol"] = _choice(name, "Protocol", folded.get("protocol"), PROTOCOLS)
    for one, many in PAIRS:
        properties |= _pair(name, folded, one, many)
    properties["access"] = _choice(name, "Access", folded.get("access"), ACCESS)
    properties["priority"] = _priority(name, folded.get("priority"))
    properties["direction"] = _choice(name, "Direction", folded.get("direction"), DIRECTIONS)
    for groups in GROUPS.values():
        if folded.get(groups.lower()):
            rows = network.rows_of(folded[groups.lower()], groups)
            properties[groups] = [{"id": str(each.get("id"))} for each in rows]
    return {
        "name": name,
        "id": id_,
        "etag": "",
        "type": f"{SECURITY_GROUPS.type}/securityRules",
        "properties": properties,
    }


def require_no_conflict(rules: list[Body]) -> None:
    taken: dict[tuple[str, int], str] = {}
    for each in rules:
        place_ = (each["properties"]["direction"], each["properties"]["priority"])
        other = taken.setdefault(place_, each["name"])
        if other != each["name"]:
            raise errors.network(
                "SecurityRuleConflict",
                f"Security rule {other} conflicts with rule {each['name']}. Rules cannot have the same Priority and "
                "Direction. To learn more, see aka.ms/nsgrules.",
            )


def _default(id_: str, row: tuple[str, str, str, str, str, int, str]) -> Body:
    name, description, source, destination, access, priority, direction = row
    return {
        "name": name,
        "id": f"{id_}/defaultSecurityRules/{name}",
        "etag": "",
        "type": f"{SECURITY_GROUPS.type}/defaultSecurityRules",
        "properties": {
            "provisioningState": "Succeeded",
            "description": description,
            "protocol": "*",
            "sourcePortRange": "*",
            "destinationPortRange": "*",
            "sourceAddressPrefix": source,
            "destinationAddressPrefix": destination,
            "access": access,
            "priority": priority,
            "direction": direction,
            "sourcePortRanges": [],
            "destinationPortRanges": [],
            "sourceAddressPrefixes": [],
            "destinationAddressPrefixes": [],
        },
    }


def _pair(name: str, folded: Body, one: str, many: str) -> Body:
    """A singular or a plural of ports or prefixes, never both, never neither."""
    single = folded.get(one.lower()) or None
    several = network.words_of(folded.get(many.lower()), many)
    grouped = bool(folded.get(GROUPS.get(one, "").lower()))
    if [single is not None, bool(several), grouped].count(True) != 1:
        raise errors.network(
            "SecurityRuleParameterConflict",
            f"Security rule {name} must specify exactly one of {one} and {many}.",
        )
    if "*" in several and len(several) > 1:
        raise _invalid(name, many, "*")
    for value in [str(single)] if single is not None else several:
        if "Port" in one:
            _require_ports(name, one, value)
        else:
            _require_prefix(name, one, value)
    return {**({one: str(single)} if single is not None else {}), many: several}


def _require_ports(name: str, field: str, value: str) -> None:
    if value == "*":
        return
    low, dash, high = value.partition("-")
    numbers = [low, high] if dash else [low]
    if not all(each.isdigit() and int(each) <= 65535 for each in numbers) or int(numbers[0]) > int(numbers[-1]):
        raise errors.network(
            "SecurityRuleInvalidPortRange",
            f"Security rule has invalid Port range. Value provided: {value}. Value should be an integer OR integer "
            f"range with '-' delimiter. Valid range 0-65535. ({name}, {field})",
        )


def _require_prefix(name: str, field: str, value: str) -> None:
    """Whatever is not written like an address may be a service tag."""
    if value[:1].isdigit() is False or ("/" not in value and "." not in value):
        return
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError as problem:
        raise _invalid(name, field, value) from problem


def _invalid(name: str, field: str, value: str) -> errors.ArmError:
    return errors.network(
        "SecurityRuleInvalidAddressPrefix",
        f"Security rule {name} has invalid Address prefix. Value provided: {value} ({field}).",
    )


def _choice(name: str, what: str, value: Json, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if str(value).lower() == choice.lower():
            return choice
    raise errors.network(
        f"SecurityRuleInvalid{what}",
        f"Security rule {name} has invalid {what}. Value provided: {value}. Allowed values are {', '.join(choices)}.",
    )


def _priority(name: str, value: Json) -> int:
    try:
        number = to_int(value)
    except (TypeError, ValueError):
        number = -1
    if 100 <= number <= 4096:
        return number
    raise errors.network(
        "SecurityRuleInvalidPriority",
        f"Security rule has invalid Priority. Value provided: {value} Allowed range 100-4096. Rule: {name}.",
    )


def _description(name: str, value: Json) -> str:
    text = str(value)
    if len(text) > 140:
        raise errors.network(
            "SecurityRuleDescriptionTooLong", f"The description of security rule {name} is longer than 140 characters."
        )
    return text
