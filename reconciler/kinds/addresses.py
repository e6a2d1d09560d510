"""Address prefixes, service tags and ports: their one spelling each, and which of them hold which others.

Normal forms are total and idempotent. Knows nothing of rules or networks, only of what their words mean.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache

from reconciler.kinds.values import Folded
from reconciler.model.wire import Json

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANY = "*"
LAST_PORT = 65535

# What Azure calls groups of addresses. A tag may have a region behind it, as in Storage.WestEurope.
SERVICE_TAGS = (
    "ActionGroup",
    "ApiManagement",
    "AppConfiguration",
    "AppService",
    "AppServiceManagement",
    "AzureActiveDirectory",
    "AzureActiveDirectoryDomainServices",
    "AzureArcInfrastructure",
    "AzureBackup",
    "AzureBotService",
    "AzureCloud",
    "AzureCognitiveSearch",
    "AzureConnectors",
    "AzureContainerRegistry",
    "AzureCosmosDB",
    "AzureDatabricks",
    "AzureDataExplorerManagement",
    "AzureDevOps",
    "AzureDigitalTwins",
    "AzureEventGrid",
    "AzureFrontDoor.Backend",
    "AzureFrontDoor.FirstParty",
    "AzureFrontDoor.Frontend",
    "AzureHealthcareAPIs",
    "AzureInformationProtection",
    "AzureIoTHub",
    "AzureKeyVault",
    "AzureLoadBalancer",
    "AzureMachineLearning",
    "AzureMachineLearningInference",
    "AzureManagedGrafana",
    "AzureMonitor",
    "AzureOpenDatasets",
    "AzurePlatformDNS",
    "AzurePlatformIMDS",
    "AzurePlatformLKM",
    "AzureResourceManager",
    "AzureSentinel",
    "AzureSignalR",
    "AzureSiteRecovery",
    "AzureTrafficManager",
    "AzureUpdateDelivery",
    "AzureWebPubSub",
    "BatchNodeManagement",
    "ChaosStudio",
    "CognitiveServicesFrontend",
    "CognitiveServicesManagement",
    "DataFactory",
    "DataFactoryManagement",
    "Dynamics365ForMarketingEmail",
    "EventHub",
    "GatewayManager",
    "GuestAndHybridManagement",
    "HDInsight",
    "Internet",
    "KustoAnalytics",
    "LogicApps",
    "LogicAppsManagement",
    "MicrosoftCloudAppSecurity",
    "MicrosoftContainerRegistry",
    "MicrosoftDefenderForEndpoint",
    "MicrosoftPurviewPolicyDistribution",
    "PowerBI",
    "PowerPlatformInfra",
    "PowerQueryOnline",
    "ServiceBus",
    "ServiceFabric",
    "Sql",
    "SqlManagement",
    "Storage",
    "StorageMover",
    "StorageSyncService",
    "VirtualDesktop",
    "VirtualNetwork",
    "WindowsVirtualDesktop",
)
_TAGS = {tag.lower(): tag for tag in SERVICE_TAGS}
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9]*(\.[A-Za-z0-9]+){0,2}")


@lru_cache(maxsize=4096)
def read_network(text: str) -> Network | None:
    """The network or single address that `text` says, or None; bits beyond the prefix are forgiven."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def fold_prefix(text: str) -> str:
    """One spelling for an address, a network, a service tag, or any address at all."""
    word = text.strip()
    if word.lower() in ("any", ANY):
        return ANY
    network = read_network(word)
    if network is not None:
        return str(network.network_address) if network.num_addresses == 1 else str(network)
    folded = word.lower()
    service, dot, region = folded.rpartition(".")
    return _TAGS.get(folded) or Folded(word, _TAGS.get(service, service) + dot + region)


@lru_cache(maxsize=4096)
def fold_port(text: str) -> str:
    """One spelling for a port, a range of them, or any port at all."""
    word = text.strip()
    ends = _read_ends(word)
    if ends == (0, LAST_PORT) or word.lower() in ("any", ANY):
        return ANY
    if ends is None:
        return word.lower()
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"


def _read_ends(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"\s*([0-9]{1,5})\s*(?:-\s*([0-9]{1,5})\s*)?", text)
    if match is None:
        return None
    first = int(match[1])
    return first, int(match[2] or first)


def port_ends(text: str) -> tuple[int, int] | None:
    """The first and the last port that `text` names, None where it names none."""
    return (0, LAST_PORT) if text == ANY else _read_ends(text)


def prefixes(value: Json) -> Json:
    """A list that is a set of prefixes; one alone may stand without the list."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        return value
    return [*sorted({each if isinstance(each, Folded) else fold_prefix(str(each)) for each in listed})]


def ports(value: Json) -> Json:
    """A list that is a set of ports and ranges; one alone may stand without the list."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list):
        return value
    return [*sorted({fold_port(str(each)) for each in listed}, key=_by_number)]


def _by_number(port: str) -> tuple[int, int, str]:
    return (*(_read_ends(port) or (-1, -1)), port)


def is_tag(text: str) -> bool:
    """Whether `text` could be a service tag, known here or not."""
    return _TAG.fullmatch(text) is not None


def guess_tag(text: str) -> str:
    """The known service tag that `text` is probably a slip of, "" where it is one or is nothing like one."""
    prefix = fold_prefix(text)
    if prefix == ANY or read_network(text) is not None:
        return ""
    if prefix in SERVICE_TAGS or prefix.rpartition(".")[0] in SERVICE_TAGS:
        return ""
    near = get_close_matches(text.strip().lower(), list(_TAGS), n=1, cutoff=0.75)
    return _TAGS[near[0]] if near else ""


def within_prefixes(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """Whether every prefix of `inner` lies in one of `outer`; what a tag stands for is known to Azure only."""
    wide = tuple(outer)
    return ANY in wide or all(any(_holds(each, one) for each in wide) for one in inner)


def _holds(outer: str, inner: str) -> bool:
    if outer == inner:
        return True
    wide, narrow = read_network(outer), read_network(inner)
    return wide is not None and narrow is not None and contains(wide, narrow)


def contains(outer: Network, inner: Network) -> bool:
    """Whether `inner` lies in `outer`; IPv4 and IPv6 never do."""
    if isinstance(outer, ipaddress.IPv4Network):
        return isinstance(inner, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(inner, ipaddress.IPv6Network) and inner.subnet_of(outer)


def may_meet(one: str, other: str) -> bool:
    """Whether two prefixes may have an address in common; what a tag stands for is known to Azure only."""
    left, right = read_network(one), read_network(other)
    return left is None or right is None or contains(left, right) or contains(right, left)


def is_private(prefix: str) -> bool:
    """Whether a prefix names addresses that only a virtual network or what is joined to it can have."""
    if prefix == "VirtualNetwork":
        return True
    network = read_network(prefix)
    return network is not None and any(contains(each, network) for each in _PRIVATE)


_PRIVATE = tuple(
    ipaddress.ip_network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)


def within_ports(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """Whether every port of `inner` is one of `outer`."""
    wide = _merge(outer)
    return all(any(low <= first and last <= high for low, high in wide) for first, last in _merge(inner))


def _merge(ranges: Iterable[str]) -> list[tuple[int, int]]:
    """Ranges of ports, those that touch made one."""
    ends = sorted((0, LAST_PORT) if each == ANY else (_read_ends(each) or (-1, -1)) for each in ranges)
    merged: list[tuple[int, int]] = []
    for first, last in ends:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged
