"""What the bodies of resources say about who gets through, as Azure or a plan holds them."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.kinds import account, subnet
from reconciler.model.ids import ArmId
from reconciler.model.wire import JsonObject, read_path
from reconciler.plan.reach.state import read_id


def answers(wire: JsonObject) -> bool:
    """Whether the public endpoint of an account is on."""
    return account.TYPE.lens("publicNetworkAccess").read(wire) == "Enabled"


def default_allows(wire: JsonObject) -> bool:
    """Whether the firewall lets in whom no rule names."""
    return account.TYPE.lens("networkAcls.defaultAction").read(wire) != "Deny"


def trusts(wire: JsonObject) -> bool:
    """Trusted services pass a firewall that does not say otherwise, also where the public endpoint is off."""
    acls = read_path(wire, ("properties", "networkAcls"))
    if answers(wire) and default_allows(wire):
        return True
    return isinstance(acls, dict) and acls.get("bypass", "AzureServices") != "None"


def allowed(wire: JsonObject) -> list[str]:
    """The addresses that the firewall lets in."""
    return list_texts(account.TYPE.lens("networkAcls.ipRules").read(wire))


def ruled_subnets(wire: JsonObject) -> set[ArmId]:
    """The subnets that the firewall lets in."""
    rules = account.TYPE.lens("networkAcls.virtualNetworkRules").read(wire)
    listed = rules if isinstance(rules, list) else []
    return {id for each in listed if isinstance(each, dict) and (id := read_id(each.get("id")))}


def group_of(wire: JsonObject) -> ArmId | None:
    """The security group of a subnet."""
    return read_id(read_path(wire, ("properties", "networkSecurityGroup", "id")))


def home_of(wire: JsonObject) -> str:
    """The id of the subnet that a private endpoint stands in."""
    return str(read_path(wire, ("properties", "subnet", "id")))


def prefixes_of(wire: JsonObject) -> list[str]:
    """The addresses of a subnet."""
    return list_texts(subnet.TYPE.lens("addressPrefixes").read(wire))


def peers(wire: JsonObject) -> Iterator[ArmId]:
    """The networks that are peered with a network."""
    listed = read_path(wire, ("properties", "virtualNetworkPeerings"))
    for each in listed if isinstance(listed, list) else ():
        peer = read_id(read_path(each, ("properties", "remoteVirtualNetwork", "id")))
        if peer is not None:
            yield peer


def list_texts(value: object) -> list[str]:
    """The items of a list as text; none of what is no list."""
    return [str(each) for each in value] if isinstance(value, list) else []
