"""A private endpoint, its names and its connection, every field declared; and what each field could be otherwise."""

from __future__ import annotations

from reconciler.model.ids import ArmId
from tests.laws.stage import Document, Stage, account_id, network_document, network_id

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
ENDPOINT = "Microsoft.Network/privateEndpoints"
ZONE_GROUP = f"{ENDPOINT}/privateDnsZoneGroups"
ZONE = "Microsoft.Network/privateDnsZones"
LINK = f"{ZONE}/virtualNetworkLinks"
CONNECTION = "Microsoft.CognitiveServices/accounts/privateEndpointConnections"

_HOME = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-law/providers"
_ACCOUNT = f"{_HOME}/Microsoft.CognitiveServices/accounts/aoai-full"
_NAME = "privatelink.openai.azure.com"
_STATE = "privateLinkServiceConnectionState"

RULES: list[Document] = [{"match": "pe-full", "status": "Approved", "description": "by law"}]


def around(network: str, *, full: bool) -> list[Document]:
    """The documents beside the account; `full` says every field, otherwise no more than has to be said."""
    space = {"addressPrefixes": ["10.9.0.0/16"]}
    home = network_document(
        "VirtualNetwork", network, addressSpace=space, subnets=[{"name": "pe", "addressPrefix": "10.9.1.0/24"}]
    )
    link: Document = {"name": "link", "virtualNetwork": network}
    endpoint: Document = {
        "subnet": f"{network}/pe",
        "account": "aoai-full",
        "privateDnsZones": [_NAME],
        "approval": "manual",
    }
    if full:
        link |= {"registrationEnabled": True, "resolutionPolicy": "NxDomainRedirect"}
        endpoint |= {
            "requestMessage": "for law",
            "ipConfigurations": [{"privateIPAddress": "10.9.1.9"}],
            "customNetworkInterfaceName": "nic-full",
            "tags": {"team": "law"},
        }
    return [
        home,
        network_document(
            "PrivateDnsZone", _NAME, virtualNetworkLinks=[link], **({"tags": {"team": "law"}} if full else {})
        ),
        network_document("PrivateEndpoint", "pe-full", **endpoint),
    ]


def row(approval: str = "manual", **said: object) -> Document:
    """The properties of the endpoint with its one connection saying something else."""
    lists = {"automatic": "privateLinkServiceConnections", "manual": "manualPrivateLinkServiceConnections"}
    state = {"status": "Approved", "description": "by law", "actionsRequired": "None"}
    inner = {
        "privateLinkServiceId": _ACCOUNT,
        "groupIds": ["account"],
        "requestMessage": "for law",
        _STATE: state,
        **said,
    }
    made: Document = {name: [] for name in lists.values()}
    return {"properties": {**made, lists[approval]: [{"name": "aoai-full", "properties": inner}]}}


def config(group: str, name: str = _NAME) -> Document:
    id = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}/providers/{ZONE}/{name}"
    return {"properties": {"privateDnsZoneConfigs": [{"name": "theirs", "properties": {"privateDnsZoneId": id}}]}}


def address(text: str, **more: object) -> Document:
    inner = {"groupId": "account", "memberName": "default", "privateIPAddress": text}
    return {"properties": {"ipConfigurations": [{"name": "theirs", "properties": inner, **more}]}}


OTHERWISE: dict[str, dict[str, Document]] = {
    ENDPOINT: {
        "location": {"location": "westus"},
        "subnet": {"properties": {"subnet": {"id": f"{_HOME}/Microsoft.Network/virtualNetworks/v/subnets/other"}}},
        "privateLinkServiceId": row(privateLinkServiceId=f"{_ACCOUNT}-2"),
        "groupIds": row(groupIds=["vault"]),
        "approval": row("automatic"),
        "requestMessage": row(requestMessage="for somebody"),
        "ipConfigurations": address("10.9.1.10"),
        "customNetworkInterfaceName": {"properties": {"customNetworkInterfaceName": "nic-other"}},
        "tags.team": {"tags": {"team": "other"}},
    },
    ZONE_GROUP: {"privateDnsZones": config("rg-other")},
    ZONE: {"tags.team": {"tags": {"team": "other"}}},
    LINK: {
        "virtualNetwork": {
            "properties": {"virtualNetwork": {"id": f"{_HOME}/Microsoft.Network/virtualNetworks/other"}}
        },
        "registrationEnabled": {"properties": {"registrationEnabled": False}},
        "resolutionPolicy": {"properties": {"resolutionPolicy": "Default"}},
    },
    CONNECTION: {
        "description": {"properties": {_STATE: {"description": "by somebody"}}},
        "status": {"properties": {_STATE: {"status": "Rejected", "description": "by law"}}},
    },
}

# Azure keeps zones and links in no region.
IMMOVABLE = {ZONE: {"location"}, LINK: {"location"}}
# What a rule says about a connection without being asked.
JUDGED = {"status"}

SAME: dict[str, list[Document]] = {
    ENDPOINT: [
        {"location": "Sweden Central"},
        row(privateLinkServiceId=_ACCOUNT.upper(), groupIds=["Account"]),
        address("10.9.1.9", etag="2"),
        {"properties": {"customNetworkInterfaceName": "NIC-Full"}},
        {"tags": {"team": None, "Team": "law"}},
    ],
    ZONE_GROUP: [config("RG-Law", _NAME.upper())],
    ZONE: [{"location": "Global"}, {"properties": {"numberOfRecordSets": 7}}],
    LINK: [{"location": "Global"}],
    CONNECTION: [{"properties": {_STATE: {"status": "approved"}}}],
}


def target(azure: Stage, arm_type: str) -> tuple[ArmId, str]:
    """The resource of a type, and its reference."""
    endpoint, zone = network_id(azure, "privateEndpoints", "pe-full"), network_id(azure, "privateDnsZones", _NAME)
    account = account_id(azure, "aoai-full")
    found = {
        ENDPOINT: (endpoint, "PrivateEndpoint/pe-full"),
        ZONE_GROUP: (endpoint.child("privateDnsZoneGroups", "default"), "PrivateEndpoint/pe-full/dnsZoneGroup"),
        ZONE: (zone, f"PrivateDnsZone/{_NAME}"),
        LINK: (zone.child("virtualNetworkLinks", "link"), f"PrivateDnsZone/{_NAME}/virtualNetworkLinks/link"),
    }
    if arm_type in found:
        return found[arm_type]
    names = (id.rpartition("/")[2] for id in azure.resources() if "/privateendpointconnections/" in id)
    connection = account.child("privateEndpointConnections", next(names))
    return connection, "Account/aoai-full/privateEndpointConnections/pe-full"
