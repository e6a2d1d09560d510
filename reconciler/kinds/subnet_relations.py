"""What is wrong between the subnets of a network, their security groups, and the endpoints that stand in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.kinds.common import lie_apart
from reconciler.kinds.scalars import PRIVATE_ENDPOINT_TYPE
from reconciler.kinds.subnet import UNGUARDED
from reconciler.model.finding import Finding, Severity
from reconciler.model.ids import ArmId
from reconciler.model.resource import Desired

_GROUPS_ACT = ("Enabled", "NetworkSecurityGroupEnabled")


def relate(own: tuple[Desired, ...], fleet: Mapping[ArmId, Desired]) -> tuple[Finding, ...]:
    """Security groups that Azure refuses on a subnet, or that do not act on what stands in it."""
    network, guarded = own[0], [each for each in own[1:] if each.fields.get("networkSecurityGroup")]
    inside = _find_endpoints(fleet) if guarded else {}
    return tuple(
        finding
        for each in sorted(guarded, key=lambda subnet: subnet.id)
        for finding in (*_relate_location(each, network, fleet), *_relate_policies(each, inside.get(each.id)))
    )


def _find_endpoints(fleet: Mapping[ArmId, Desired]) -> Mapping[ArmId, Desired]:
    """The first endpoint of every subnet that has any."""
    inside: dict[ArmId, Desired] = {}
    for each in sorted(fleet.values(), key=lambda other: other.id):
        if each.type.lower() == PRIVATE_ENDPOINT_TYPE.lower():
            inside.setdefault(ArmId.parse(str(each.fields["subnet"])), each)
    return inside


def _relate_location(subnet: Desired, network: Desired, fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    group = fleet.get(ArmId.parse(str(subnet.fields["networkSecurityGroup"])))
    if group is None:
        return
    home, away = network.fields["location"], group.fields["location"]
    if lie_apart(home, away):
        yield Finding(
            code="location",
            message=f"{subnet.ref} is in {home}, its security group {group.ref.name} in {away}; Azure takes a group "
            "only where the network is",
            hint=f"write `location: {home}` in the group at {group.origin}, or name another group",
            origin=subnet.origins["networkSecurityGroup"],
        )


def _relate_policies(subnet: Desired, endpoint: Desired | None) -> Iterator[Finding]:
    """A security group has no effect on endpoints until their subnet says that it has."""
    policies = subnet.fields.get("privateEndpointNetworkPolicies", "Disabled")
    if endpoint is None or policies in _GROUPS_ACT or subnet.id.name.lower() in UNGUARDED:
        return
    yield Finding(
        severity=Severity.WARNING,
        code="no_effect",
        message=f"{subnet.ref}: its security group does not act on {endpoint.ref}, because the subnet's "
        f"privateEndpointNetworkPolicies is {policies}",
        hint="add `privateEndpointNetworkPolicies: NetworkSecurityGroupEnabled` to the subnet",
        origin=subnet.origins["networkSecurityGroup"],
    )
