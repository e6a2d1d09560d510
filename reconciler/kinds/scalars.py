"""Named texts that kinds share: each refuses what Azure would refuse, with what would be right, by itself alone."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from reconciler.cron import check_cron, check_zone
from reconciler.kinds.addresses import ANY, LAST_PORT, fold_port, fold_prefix, is_tag, read_network
from reconciler.kinds.spec import Text, refuse
from reconciler.model.ids import ArmId
from reconciler.model.resource import OWNER_TAG

SUBNET_TYPE = "Microsoft.Network/virtualNetworks/subnets"
SECURITY_GROUP_TYPE = "Microsoft.Network/networkSecurityGroups"
APPLICATION_GROUP_TYPE = "Microsoft.Network/applicationSecurityGroups"
ROUTE_TABLE_TYPE = "Microsoft.Network/routeTables"
NAT_GATEWAY_TYPE = "Microsoft.Network/natGateways"
NETWORK_TYPE = "Microsoft.Network/virtualNetworks"
PRIVATE_ENDPOINT_TYPE = "Microsoft.Network/privateEndpoints"
PRIVATE_ZONE_TYPE = "Microsoft.Network/privateDnsZones"
ACCOUNT_TYPE = "Microsoft.CognitiveServices/accounts"
IDENTITY_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"
# What is named by nothing but its id.
ID_TYPES = (APPLICATION_GROUP_TYPE, ROUTE_TABLE_TYPE, NAT_GATEWAY_TYPE, IDENTITY_TYPE)

_GROUP = re.compile(r"[\w().-]{0,89}[\w()-]")
_REGION = re.compile(r"[A-Za-z][A-Za-z0-9 ]*")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DIGITS = re.compile(r"[0-9]+(\.[0-9]+)+(/[0-9]*)?")
_PATTERN = re.compile(r"[A-Za-z0-9._*?-]{1,64}")
_SAID = 3  # letters and digits that a pattern must have at least
_DURATION = re.compile(r"(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
_HOST = re.compile(
    r"(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def _check_group(text: str) -> str:
    if text.startswith("/"):
        raise refuse(f"{text!r} is an id, not a name", f"write the name: {text.rstrip('/').rpartition('/')[2]}")
    if not _GROUP.fullmatch(text):
        hint = "up to 90 letters, digits, - _ . ( ) and no dot at the end"
        raise refuse(f"{text!r} cannot be a resource group", hint)
    return text


def _check_region(text: str) -> str:
    if not _REGION.fullmatch(text):
        raise refuse(
            f"{text!r} cannot be a region", "write it as Azure does, for example swedencentral or Sweden Central"
        )
    return text


def _check_guid(text: str) -> str:
    if not _GUID.fullmatch(text):
        raise refuse(
            f"{text!r} is not an id", "write the GUID, such as 00000000-0000-0000-0000-000000000000, not a name"
        )
    return text


def _check_address(text: str) -> str:
    """What the firewall of Cognitive Services takes: public IPv4, networks up to /30, single addresses bare."""
    address, slash, _ = text.partition("/")
    try:
        network = ipaddress.ip_network(text, strict=False)
        lonely = ipaddress.ip_address(address)
    except ValueError:
        raise refuse(
            f"{text!r} is not an IPv4 address or network", "write it like 203.0.113.7 or 203.0.113.0/24"
        ) from None
    if network.version != 4:
        raise refuse(f"{text} is IPv6", "the firewall takes IPv4 only")
    if slash and network.prefixlen >= 31:
        both = " and ".join(str(each) for each in network)
        raise refuse(f"{text}: Azure refuses /{network.prefixlen}", f"write the address without it: {both}")
    if slash and lonely != network.network_address:
        raise refuse(f"{text} has bits set beyond its prefix", f"write {network}, or {address} for this address alone")
    if any(network.overlaps(private) for private in _PRIVATE) and network.prefixlen:
        raise refuse(f"{text} is private; the firewall takes public addresses only", "use a private endpoint instead")
    return text


_PRIVATE = tuple(ipaddress.ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))


def _check_subnet(text: str) -> str:
    """The id of a subnet, or `network/subnet` for one that a VirtualNetwork document declares."""
    if text.startswith("/"):
        return _check_id(text, SUBNET_TYPE)
    if not re.fullmatch(r"[^/\s]+/[^/\s]+", text):
        raise refuse(f"{text!r} does not name a subnet", "write network/subnet, such as vnet-ai/gateway, or its ARM id")
    return text


def _check_party(text: str) -> str:
    """Somebody who calls: an IPv4 address or network, or a subnet."""
    network = read_network(text)
    if network is None and _DIGITS.fullmatch(text):
        address, _, prefix = text.partition("/")
        if read_network(address) is not None:
            raise refuse(f"{text}: no IPv4 network has the prefix /{prefix}", f"write /0 to /32, such as {address}/24")
        raise refuse(f"{address} is no IPv4 address", "write four numbers up to 255, like 203.0.113.7")
    if network is None:
        return _check_subnet(text)
    if network.version != 4:
        raise refuse(f"{text} is an IPv6 address, and no account is reached by one", "write IPv4 addresses")
    return _check_network(text) if "/" in text else text


def _check_reference(arm_type: str) -> Callable[[str], str]:
    """The check of a document's name or the id of something unmanaged."""

    def check(text: str) -> str:
        if text.startswith("/"):
            return _check_id(text, arm_type)
        if "/" in text or not text.strip():
            raise refuse(f"{text!r} is neither a name nor an id", "write the name of a document, or a full ARM id")
        return text

    return check


def _check_id_of(arm_type: str) -> Callable[[str], str]:
    return lambda text: _check_id(text, arm_type)


def _check_network(text: str) -> str:
    """A network of addresses in CIDR notation, canonical."""
    address, slash, _ = text.partition("/")
    network = read_network(text)
    if network is None or not slash:
        raise refuse(f"{text!r} is not a network", "write it like 10.1.0.0/16")
    if ipaddress.ip_address(address) != network.network_address:
        raise refuse(f"{text} has bits set beyond its prefix", f"write {network}")
    return text


def _check_dns_server(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise refuse(f"{text!r} is not an IP address", "write it like 10.1.0.4") from None
    return text


def _check_prefix(text: str) -> str:
    """What Azure takes as one end of a security rule."""
    if fold_prefix(text) == ANY or (read_network(text) is None and is_tag(text)):
        return text
    if read_network(text) is None:
        hint = "write an address, a network such as 10.1.2.0/24, a service tag such as VirtualNetwork, or Any"
        raise refuse(f"{text!r} is no address, network or service tag", hint)
    return _check_network(text) if "/" in text else text


def _check_port(text: str) -> str:
    """A port, a range of ports, or all of them."""
    if fold_port(text) == ANY:
        return text
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", text)
    if match is None:
        raise refuse(f"{text!r} is no port", "write a port such as 443, a range such as 8000-8080, or Any")
    first, last = int(match[1]), int(match[2] or match[1])
    if max(first, last) > LAST_PORT:
        raise refuse(f"{text}: ports end at {LAST_PORT}", f"write a number from 0 to {LAST_PORT}")
    if last < first:
        raise refuse(f"{text} ends before it begins", f"write {last}-{first}")
    return text


def _check_target(text: str) -> str:
    """The id of any resource that a private endpoint may lead to."""
    try:
        id = ArmId.parse(text)
    except ValueError:
        raise refuse(f"{text!r} is not an ARM id", "write the full id: /subscriptions/…/providers/…") from None
    if not id.group or not id.segments:
        raise refuse("this is not the id of a resource", "write the full id: /subscriptions/…/providers/…")
    return text


def _check_private_address(text: str) -> str:
    """One address of a subnet."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise refuse(f"{text!r} is not an IP address", "write one address, like 10.1.2.10") from None
    if str(address) != text:
        raise refuse(f"{text} is not how Azure writes it", f"write {address}")
    return text


def _check_identity(text: str) -> str:
    return _check_id(text, IDENTITY_TYPE)


def _check_id(text: str, arm_type: str) -> str:
    provider, _, path = arm_type.partition("/")
    example = f"/subscriptions/…/providers/{provider}/" + "/".join(f"{each}/…" for each in path.split("/"))
    try:
        id = ArmId.parse(text)
    except ValueError:
        raise refuse(f"{text!r} is not an ARM id", f"write {example}") from None
    if id.type.lower() != arm_type.lower():
        raise refuse(f"this is the id of a {id.type}", f"write {example}")
    return text


def _check_host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise refuse(f"{text!r} is not a host name", "write the name only, without https:// and path")
    return text


def _check_pattern(text: str) -> str:
    """Names of accounts, with * and ?. A purge cannot be undone, so that a pattern has to say whom it means."""
    if not _PATTERN.fullmatch(text):
        hint = "write letters, digits, - _ and . of its name, * for any of them and ? for one"
        raise refuse(f"{text!r} cannot be an account", hint)
    said = sum(each.isalnum() for each in text)
    if said < _SAID and set(text) & set("*?"):
        hint = (
            f"write at least {_SAID} letters of their names, such as aoai-old-*; what carried this fleet's tag needs "
        )
        raise refuse(f"{text!r} would purge accounts of anybody", f"{hint}no pattern")
    return text


def _check_duration(text: str) -> str:
    try:
        read_seconds(text)
    except ValueError as error:
        raise refuse(f"{text!r} is no duration", str(error)) from None
    return text


def read_seconds(text: str) -> float:
    """Seconds from `90`, `90s`, `10m`, `2h`, `1h30m` or `2d`; ValueError says how to write it."""
    if text.isascii() and text.isdigit():
        return float(text)
    match = _DURATION.fullmatch(text)
    if not match or not text:
        raise ValueError("write it like 90s, 10m, 1h30m or 2d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def _check_cron(text: str) -> str:
    try:
        check_cron(text)
    except ValueError as error:
        raise refuse(f"{text!r} is no cron expression", str(error)) from None
    return text


def _check_zone(text: str) -> str:
    try:
        check_zone(text)
    except ValueError as error:
        raise refuse(f"there is no time zone {text!r}", str(error)) from None
    return text


def _check_tag_name(text: str) -> str:
    if text.lower() == OWNER_TAG:
        raise refuse(f"the tag {OWNER_TAG} marks ownership and is set by the reconciler", "remove it")
    if not text or len(text) > 512 or set(text) & set("<>%&\\?/"):
        raise refuse(f"{text!r} cannot be a tag", "up to 512 characters, none of < > % & \\ ? /")
    return text


def _check_tag_value(text: str) -> str:
    if len(text) > 256:
        raise refuse(f"a tag value of {len(text)} characters", "it may have at most 256")
    return text


AccountPattern = Annotated[Text, AfterValidator(_check_pattern)]
Cron = Annotated[Text, AfterValidator(_check_cron)]
Duration = Annotated[Text, AfterValidator(_check_duration)]
TimeZone = Annotated[Text, AfterValidator(_check_zone)]
GroupName = Annotated[Text, AfterValidator(_check_group)]
Region = Annotated[Text, AfterValidator(_check_region)]
Guid = Annotated[Text, AfterValidator(_check_guid)]
Address = Annotated[Text, AfterValidator(_check_address)]
SubnetId = Annotated[Text, AfterValidator(_check_subnet)]
Party = Annotated[Text, AfterValidator(_check_party)]
NetworkPrefix = Annotated[Text, AfterValidator(_check_network)]
DnsServer = Annotated[Text, AfterValidator(_check_dns_server)]
RulePrefix = Annotated[Text, AfterValidator(_check_prefix)]
PortRange = Annotated[Text, AfterValidator(_check_port)]
SecurityGroupRef = Annotated[Text, AfterValidator(_check_reference(SECURITY_GROUP_TYPE))]
ApplicationGroupId = Annotated[Text, AfterValidator(_check_id_of(APPLICATION_GROUP_TYPE))]
RouteTableId = Annotated[Text, AfterValidator(_check_id_of(ROUTE_TABLE_TYPE))]
NetworkRef = Annotated[Text, AfterValidator(_check_reference(NETWORK_TYPE))]
ZoneRef = Annotated[Text, AfterValidator(_check_reference(PRIVATE_ZONE_TYPE))]
TargetId = Annotated[Text, AfterValidator(_check_target)]
PrivateAddress = Annotated[Text, AfterValidator(_check_private_address)]
NatGatewayId = Annotated[Text, AfterValidator(_check_id_of(NAT_GATEWAY_TYPE))]
IdentityId = Annotated[Text, AfterValidator(_check_identity)]
HostName = Annotated[Text, AfterValidator(_check_host)]
TagName = Annotated[Text, AfterValidator(_check_tag_name)]
TagValue = Annotated[Text, AfterValidator(_check_tag_value)]
