"""The paths of Microsoft.Network, and what the end of each kind of its operations means."""

from armsim import operations
from armsim.cloud import Cloud
from armsim.routes import Answer
from armsim.rp import network, network_operations, networks, private_endpoints, security_groups, zone_groups, zones
from armsim.rp.network import ENDPOINTS, INTERFACES, NETWORKS, SECURITY_GROUPS, Kind
from armsim.rp.zones import ZONES

N = network.PROVIDER
S = "subscriptions/*"
P = f"{S}/providers/{N}"
G = f"{S}/resourcegroups/*/providers/{N}"
L = f"{P}/locations/*"
KINDS = (SECURITY_GROUPS, NETWORKS, ENDPOINTS, INTERFACES, ZONES)


def _at(kind: Kind) -> str:
    return f"{G}/{kind.path}/*"


NSG, VNET, PE, NIC, ZONE = (_at(kind) for kind in KINDS)

READS: dict[str, tuple[Answer, str]] = {
    f"{L}/operations/*": (network_operations.poll_status, f"{N}/locations/operations"),
    f"{L}/operationresults/*": (network_operations.poll_result, f"{N}/locations/operationResults"),
    f"{G}/privatednsoperationstatuses/*": (zones.poll_status, f"{N}/privateDnsOperationStatuses"),
    f"{G}/privatednsoperationresults/*": (zones.poll_result, f"{N}/privateDnsOperationResults"),
    **{f"{P}/{kind.path}": (network.list_by_subscription(kind), kind.type) for kind in KINDS},
    **{f"{G}/{kind.path}": (network.list_by_group(kind), kind.type) for kind in KINDS},
    f"{NSG}/securityrules": (
        network.list_children(SECURITY_GROUPS, "securityRules"),
        f"{N}/networkSecurityGroups/securityRules",
    ),
    f"{NSG}/defaultsecurityrules": (
        network.list_children(SECURITY_GROUPS, "defaultSecurityRules"),
        f"{N}/networkSecurityGroups/defaultSecurityRules",
    ),
    f"{NSG}/defaultsecurityrules/*": (
        network.get_child(SECURITY_GROUPS, "defaultSecurityRules"),
        f"{N}/networkSecurityGroups/defaultSecurityRules",
    ),
    f"{VNET}/subnets": (network.list_children(NETWORKS, "subnets"), f"{N}/virtualNetworks/subnets"),
    f"{PE}/privatednszonegroups": (zone_groups.list_all, f"{N}/privateEndpoints/privateDnsZoneGroups"),
    f"{ZONE}/virtualnetworklinks": (zones.list_links, f"{N}/privateDnsZones/virtualNetworkLinks"),
    f"{ZONE}/all": (zones.list_records(None), f"{N}/privateDnsZones/ALL"),
    f"{ZONE}/recordsets": (zones.list_records(None), f"{N}/privateDnsZones/recordsets"),
    **{f"{ZONE}/{kind}": (zones.list_records(kind), f"{N}/privateDnsZones/{kind}") for kind in zones.RECORDS},
}

RESOURCES: dict[str, tuple[dict[str, Answer], str]] = {
    NSG: (
        {
            "GET": network.get(SECURITY_GROUPS),
            "PUT": security_groups.put,
            "PATCH": network.patch_tags(SECURITY_GROUPS),
            "DELETE": security_groups.delete,
        },
        SECURITY_GROUPS.type,
    ),
    f"{NSG}/securityrules/*": (
        {
            "GET": network.get_child(SECURITY_GROUPS, "securityRules"),
            "PUT": security_groups.put_rule,
            "DELETE": security_groups.delete_rule,
        },
        f"{N}/networkSecurityGroups/securityRules",
    ),
    VNET: (
        {
            "GET": network.get(NETWORKS),
            "PUT": networks.put,
            "PATCH": network.patch_tags(NETWORKS),
            "DELETE": networks.delete,
        },
        NETWORKS.type,
    ),
    f"{VNET}/subnets/*": (
        {
            "GET": network.get_child(NETWORKS, "subnets"),
            "PUT": networks.put_subnet,
            "DELETE": networks.delete_subnet,
        },
        f"{N}/virtualNetworks/subnets",
    ),
    NIC: ({"GET": network.get(INTERFACES), "DELETE": networks.delete_interface}, INTERFACES.type),
    PE: (
        {"GET": network.get(ENDPOINTS), "PUT": private_endpoints.put, "DELETE": private_endpoints.delete},
        ENDPOINTS.type,
    ),
    f"{PE}/privatednszonegroups/*": (
        {"GET": zone_groups.get, "PUT": zone_groups.put, "DELETE": zone_groups.delete},
        f"{N}/privateEndpoints/privateDnsZoneGroups",
    ),
    ZONE: (
        {
            "GET": network.get(ZONES),
            "PUT": zones.put_zone,
            "PATCH": zones.patch_zone,
            "DELETE": zones.delete_zone,
        },
        ZONES.type,
    ),
    f"{ZONE}/virtualnetworklinks/*": (
        {"GET": zones.get_link, "PUT": zones.put_link, "PATCH": zones.patch_link, "DELETE": zones.delete_link},
        f"{N}/privateDnsZones/virtualNetworkLinks",
    ),
    **{
        f"{ZONE}/{kind}/*": (
            {
                "GET": zones.get_record(kind),
                "PUT": zones.put_record(kind),
                "PATCH": zones.put_record(kind),
                "DELETE": zones.delete_record(kind),
            },
            f"{N}/privateDnsZones/{kind}",
        )
        for kind in zones.RECORDS
    },
}


def wire(cloud: Cloud) -> None:
    """Tell the world what to do when something is due."""
    cloud.on |= {"network-settled": network.settle_late, "link-completed": zones.complete_link}
    operations.EFFECTS.update(
        {
            "network-ready": network.settle,
            "network-deleted": network.settle_delete,
            "network-child-deleted": network.settle_child_delete,
            "endpoint-made": private_endpoints.settle,
            "endpoint-deleted": private_endpoints.settle_delete,
            "connection-made": private_endpoints.settle_connection,
            "connection-gone": private_endpoints.settle_disconnection,
            "zone-group-ready": zone_groups.settle,
            "zone-group-deleted": zone_groups.settle_delete,
            "dns-ready": zones.settle,
            "dns-deleted": zones.settle_delete,
        }
    )
