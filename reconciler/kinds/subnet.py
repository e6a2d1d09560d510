"""Subnets of a virtual network: one ARM child type, declared inside the VirtualNetwork document.

Azure answers them inside their network, and takes each by itself; a write carries all that a fresh read held, because
Azure drops from a subnet whatever a PUT leaves out, its security group included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field as Described

from reconciler.kinds.addresses import prefixes
from reconciler.kinds.base import Binding, Field, Patience, ResourceType
from reconciler.kinds.common import Unknowns
from reconciler.kinds.scalars import SUBNET_TYPE, NatGatewayId, NetworkPrefix, RouteTableId, SecurityGroupRef
from reconciler.kinds.spec import Spec, Text
from reconciler.kinds.values import Folded, reference, reference_to_wire
from reconciler.model.wire import Json, JsonObject, read_path

# The longest prefix that still holds what the service needs; Azure refuses a smaller subnet, or the service does. Those
# of API Management, container groups and application gateways are no more than what every subnet needs; those of NetApp
# volumes and of server farms are from memory, the others are documented.
DELEGATIONS = {
    "Microsoft.ApiManagement/service": 29,
    "Microsoft.App/environments": 27,
    "Microsoft.ContainerInstance/containerGroups": 29,
    "Microsoft.DBforMySQL/flexibleServers": 29,
    "Microsoft.DBforPostgreSQL/flexibleServers": 28,
    "Microsoft.Databricks/workspaces": 26,
    "Microsoft.Netapp/volumes": 28,
    "Microsoft.Network/applicationGateways": 29,
    "Microsoft.Network/dnsResolvers": 28,
    "Microsoft.Sql/managedInstances": 27,
    "Microsoft.Web/hostingEnvironments": 27,
    "Microsoft.Web/serverFarms": 28,
}
# Subnets that Azure knows by their name.
NAMED = {"azurebastionsubnet": 26, "azurefirewallsubnet": 26, "azurefirewallmanagementsubnet": 26, "gatewaysubnet": 29}
SMALLEST = 29
# Subnets whose only inhabitant stops working behind a security group, or where Azure turns it off.
UNGUARDED = frozenset({"azurefirewallsubnet", "azurefirewallmanagementsubnet", "gatewaysubnet"})

COGNITIVE_SERVICES = "Microsoft.CognitiveServices"
ENDPOINTS = (
    "Microsoft.AzureActiveDirectory",
    "Microsoft.AzureCosmosDB",
    COGNITIVE_SERVICES,
    "Microsoft.ContainerRegistry",
    "Microsoft.EventHub",
    "Microsoft.KeyVault",
    "Microsoft.ServiceBus",
    "Microsoft.Sql",
    "Microsoft.Storage",
    "Microsoft.Storage.Global",
    "Microsoft.Web",
)
_SPELLINGS = {each.lower(): each for each in (*ENDPOINTS, *DELEGATIONS)}
_POLICIES = {each.lower(): each for each in ("Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled")}


def fold_service(name: str) -> str:
    """One spelling for a service or a delegation, which Azure tells apart without regard to case."""
    return _SPELLINGS.get(name.lower()) or Folded(name)


def _address_space(value: Json) -> Json:
    """The prefixes of a subnet: its own list, or what Azure keeps in either of two keys."""
    if not isinstance(value, dict):
        return prefixes(value)
    listed, single = value.get("addressPrefixes"), value.get("addressPrefix")
    both = [*(listed if isinstance(listed, list) else []), *([single] if isinstance(single, str) and single else [])]
    return prefixes(both)


def _write_address_space(properties: Json, value: Json) -> Json:
    kept = dict(properties) if isinstance(properties, dict) else {}
    kept.pop("addressPrefix", None)
    kept.pop("addressPrefixes", None)
    listed = value if isinstance(value, list) else []
    if len(listed) == 1:
        return {**kept, "addressPrefix": listed[0]}
    return {**kept, "addressPrefixes": listed} if listed else kept


def _services(value: Json) -> Json:
    """Service endpoints as a set of services; what Azure adds about each is its own."""
    return _names(value, ("service",))


def _delegations(value: Json) -> Json:
    return _names(value, ("properties", "serviceName"))


def _names(value: Json, path: tuple[str, ...]) -> Json:
    if not isinstance(value, list):
        return value
    return [*sorted({_name(each, path) for each in value})]


def _name(item: Json, path: tuple[str, ...]) -> str:
    for key in path:
        item = item.get(key) if isinstance(item, dict) else item
    return fold_service(item if isinstance(item, str) else str(item))


def _write_services(current: Json, value: Json) -> Json:
    return _overlay(current, value, ("service",), lambda name: {"service": name})


def _write_delegations(current: Json, value: Json) -> Json:
    return _overlay(
        current,
        value,
        ("properties", "serviceName"),
        lambda name: {"name": name.replace("/", "."), "properties": {"serviceName": name}},
    )


def _overlay(current: Json, value: Json, path: tuple[str, ...], make: Callable[[str], JsonObject]) -> Json:
    """The items that `value` names: those that are there as they are, the others made."""
    there = {_name(each, path): each for each in current} if isinstance(current, list) else {}
    wanted = value if isinstance(value, list) else []
    return [there.get(fold_service(str(name)), make(str(name))) for name in wanted]


def _policy(value: Json) -> Json:
    return _POLICIES.get(value.lower(), value) if isinstance(value, str) else value


def _unguards(before: Json, after: Json) -> bool:
    """A subnet that loses its security group, or gets another, may let more through; one that gets one does not."""
    return before is not None and before != after


def _unpolices(before: Json, after: Json) -> bool:
    """Without the policy, no security group acts on private endpoints."""
    guarded = ("Enabled", "NetworkSecurityGroupEnabled")
    return before in guarded and after not in guarded


USERS = (("properties", "privateEndpoints", "*", "id"), ("properties", "ipConfigurations", "*", "id"))
_LINKS = ("serviceAssociationLinks", "resourceNavigationLinks")


def find_lingering(wire: JsonObject) -> tuple[str, ...]:
    """Services that still have their hand on the subnet; the link of one stays for a while after its resource went."""
    found = []
    for name in _LINKS:
        rows = read_path(wire, ("properties", name))
        for row in rows if isinstance(rows, list) else []:
            inner = row.get("properties") if isinstance(row, dict) else None
            said = inner if isinstance(inner, dict) else {}
            if isinstance(row, dict) and said.get("allowDelete") is not True:
                found.append(f"{said.get('linkedResourceType') or row.get('name') or name} by {name}")
    return tuple(dict.fromkeys(found))


_USED = tuple(("properties", name, "id") for name in ("networkSecurityGroup", "routeTable", "natGateway"))

TYPE = ResourceType(
    arm_type=SUBNET_TYPE,
    word="subnet",
    binding=Binding(
        client="network",
        group="subnets",
        names=("resource_group_name", "virtual_network_name", "subnet_name"),
        get="get",
        put="begin_create_or_update",
        body="subnet_parameters",
        delete="begin_delete",
    ),
    fields=(
        Field(
            path="addressPrefixes",
            wire=("properties",),
            normal=_address_space,
            overlay=_write_address_space,
            default=[],
        ),
        Field(
            path="networkSecurityGroup",
            wire=("properties", "networkSecurityGroup"),
            normal=reference,
            to_wire=reference_to_wire,
            opens=_unguards,
        ),
        Field(
            path="routeTable",
            wire=("properties", "routeTable"),
            normal=reference,
            to_wire=reference_to_wire,
        ),
        Field(
            path="natGateway",
            wire=("properties", "natGateway"),
            normal=reference,
            to_wire=reference_to_wire,
        ),
        Field(
            path="serviceEndpoints",
            wire=("properties", "serviceEndpoints"),
            normal=_services,
            overlay=_write_services,
            default=[],
        ),
        Field(
            path="delegations",
            wire=("properties", "delegations"),
            normal=_delegations,
            overlay=_write_delegations,
            default=[],
        ),
        Field(
            path="privateEndpointNetworkPolicies",
            wire=("properties", "privateEndpointNetworkPolicies"),
            normal=_policy,
            default="Disabled",
            opens=_unpolices,
        ),
        Field(
            path="privateLinkServiceNetworkPolicies",
            wire=("properties", "privateLinkServiceNetworkPolicies"),
            normal=_policy,
            default="Enabled",
        ),
    ),
    readonly=tuple(
        ("properties", *path)
        for path in (
            ("applicationGatewayIPConfigurations",),
            ("delegations", "*", "etag"),
            ("delegations", "*", "id"),
            ("delegations", "*", "properties", "actions"),
            ("delegations", "*", "properties", "provisioningState"),
            ("delegations", "*", "type"),
            ("ipConfigurationProfiles",),
            ("ipConfigurations",),
            ("privateEndpoints",),
            ("purpose",),
            ("resourceNavigationLinks",),
            ("serviceAssociationLinks",),
            ("serviceEndpoints", "*", "locations"),
            ("serviceEndpoints", "*", "provisioningState"),
        )
    ),
    embedded=("properties", "subnets"),
    users=USERS,
    claims="addressPrefixes",
    lingers=find_lingering,
    links=_USED,
    joins=tuple((path, "join/action") for path in _USED),
    patience=Patience(create=900.0, update=900.0, delete=900.0, usual_create=4, usual_update=4),
)


class ServiceEndpointSpec(Spec):
    """A service endpoint as Azure writes it; the service alone says the same."""

    service: Annotated[Text, Described(description="The service, such as Microsoft.CognitiveServices.")]


class DelegationSpec(Spec):
    """A delegation as Azure writes it; the service alone says the same."""

    name: Annotated[Text | None, Described(description="A name for it; kept where Azure has one already.")] = None
    service_name: Annotated[Text, Described(description="The service, such as Microsoft.App/environments.")]


class SubnetSpec(Spec):
    """A subnet of the network. What it does not say is left as it is."""

    name: Annotated[
        Text,
        Described(
            description="The subnet's name; others refer to it as network/subnet.",
            pattern=r"^[A-Za-z0-9]([A-Za-z0-9_.\-]{0,78}[A-Za-z0-9_])?$",
            examples=["app"],
            json_schema_extra={"rule": "use up to 80 letters, digits, - _ . and begin with a letter or digit"},
        ),
    ]
    address_prefix: Annotated[
        NetworkPrefix | None,
        Described(
            description="Its addresses, inside addressSpace.",
            examples=["10.1.1.0/24"],
            json_schema_extra={"needed": True},
        ),
    ] = None
    address_prefixes: Annotated[
        list[NetworkPrefix] | None, Described(description="Several of what addressPrefix takes.")
    ] = None
    network_security_group: Annotated[
        SecurityGroupRef | None,
        Described(
            description="Name of a NetworkSecurityGroup document, or an ARM id; null takes the group off.",
            examples=["nsg-app"],
        ),
    ] = None
    route_table: Annotated[
        RouteTableId | None, Described(description="ARM id of a route table; null takes it off.")
    ] = None
    nat_gateway: Annotated[
        NatGatewayId | None, Described(description="ARM id of a NAT gateway; null takes it off.")
    ] = None
    service_endpoints: Annotated[
        list[Text | ServiceEndpointSpec] | None,
        Described(
            description="Services that are reached from the subnet by its own identity; all of them, [] for none.",
            examples=["[Microsoft.CognitiveServices]"],
        ),
    ] = None
    delegations: Annotated[
        list[Text | DelegationSpec] | None,
        Described(
            description="Services that may put their resources into the subnet; all of them, [] for none.",
            examples=["[Microsoft.App/environments]"],
        ),
    ] = None
    private_endpoint_network_policies: Annotated[
        Literal["Disabled", "Enabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled"] | None,
        Described(description="Whether security groups and routes act on private endpoints; Azure begins Disabled."),
    ] = None
    private_link_service_network_policies: Annotated[
        Literal["Disabled", "Enabled"] | None,
        Described(description="Whether security groups act on private link services; Azure begins Enabled."),
    ] = None
    additional_properties: Unknowns = None
