"""Named texts that kinds share: each refuses what Azure would refuse, with what would be right, by itself alone."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

from reconciler.kinds.spec import Text, refuse
from reconciler.model.ids import ArmId
from reconciler.model.resource import OWNER_TAG

SUBNET_TYPE = "Microsoft.Network/virtualNetworks/subnets"
IDENTITY_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"

_GROUP = re.compile(r"[\w().-]{0,89}[\w()-]")
_REGION = re.compile(r"[A-Za-z][A-Za-z0-9 ]*")
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
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
    if "/" in text and not text.startswith("/"):
        raise refuse(
            f"{text!r} names a subnet by virtual network, a kind this version does not have",
            f"write the subnet's id: /subscriptions/…/virtualNetworks/{text.replace('/', '/subnets/', 1)}",
        )
    return _check_id(text, SUBNET_TYPE)


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


GroupName = Annotated[Text, AfterValidator(_check_group)]
Region = Annotated[Text, AfterValidator(_check_region)]
Guid = Annotated[Text, AfterValidator(_check_guid)]
Address = Annotated[Text, AfterValidator(_check_address)]
SubnetId = Annotated[Text, AfterValidator(_check_subnet)]
IdentityId = Annotated[Text, AfterValidator(_check_identity)]
HostName = Annotated[Text, AfterValidator(_check_host)]
TagName = Annotated[Text, AfterValidator(_check_tag_name)]
TagValue = Annotated[Text, AfterValidator(_check_tag_value)]
