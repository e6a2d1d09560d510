"""An account's virtual network rules: from `network/subnet` to an id, and whether Azure will take the rule.

The service endpoint that Azure demands is checked between documents, before anything is asked of Azure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.kinds.base import Document, Setting
from reconciler.kinds.common import near
from reconciler.kinds.subnet import COGNITIVE_SERVICES
from reconciler.model.finding import Finding, Origin
from reconciler.model.ids import ArmId
from reconciler.model.resource import Desired
from reconciler.model.wire import JsonObject

if TYPE_CHECKING:
    from reconciler.kinds.account import AccountSpec

_PATH = "networkAcls.virtualNetworkRules"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetRule:
    """One rule: the subnet, the rule as Azure writes it, where it was written and, of a reference, its words."""

    subnet: ArmId
    wire: JsonObject
    origin: Origin


def resolve_rules(
    document: Document, spec: AccountSpec, setting: Setting
) -> tuple[tuple[SubnetRule, ...], tuple[Finding, ...]]:
    """The rules of an account with ids for references, and what is wrong with those that lead nowhere."""
    rules: list[SubnetRule] = []
    findings: list[Finding] = []
    listed = (spec.network_acls.virtual_network_rules if spec.network_acls else None) or []
    for at, each in enumerate(listed):
        named = each if isinstance(each, str) else each.id
        place = document.place(("networkAcls", "virtualNetworkRules", at))
        subnet = find_subnet(named, setting)
        if subnet is None:
            network = named.partition("/")[0]
            findings.append(
                Finding(
                    code="dangling",
                    message=f"{_PATH} names {named}, but no document declares a VirtualNetwork {network}",
                    hint=near(network, setting.names("VirtualNetwork"))
                    or "declare the network, or write the subnet's id: /subscriptions/…/virtualNetworks/"
                    + named.replace("/", "/subnets/", 1),
                    origin=place,
                )
            )
            continue
        wire: JsonObject = {"id": str(subnet)}
        if not isinstance(each, str):
            wire["ignoreMissingVnetServiceEndpoint"] = bool(each.ignore_missing_vnet_service_endpoint)
        rules.append(SubnetRule(subnet=subnet, wire=wire, origin=place))
    return tuple(rules), tuple(findings)


def find_subnet(named: str, setting: Setting) -> ArmId | None:
    """The id of `network/subnet`, or of an id as it stands; None where no document declares the network."""
    if named.startswith("/"):
        return ArmId.parse(named)
    network, _, name = named.partition("/")
    found = setting.find("VirtualNetwork", network)
    return found.child("subnets", name) if found else None


def place_rules(rules: Iterable[SubnetRule]) -> Mapping[str, Origin]:
    """Where each rule was written, by a path that holds the subnet's id."""
    return {f"{_PATH}[{rule.subnet.key}]": rule.origin for rule in rules}


def relate_rules(own: tuple[Desired, ...], fleet: Mapping[ArmId, Desired]) -> tuple[Finding, ...]:
    """Rules for subnets that a declared network does not have, or that lack the service endpoint."""
    return tuple(finding for account in own for finding in _relate(account, fleet))


def _relate(account: Desired, fleet: Mapping[ArmId, Desired]) -> Iterator[Finding]:
    rules = account.fields.get(_PATH)
    for rule in rules if isinstance(rules, list) else ():
        if not isinstance(rule, dict):
            continue
        id = ArmId.parse(str(rule["id"]))
        place = account.origins.get(f"{_PATH}[{id.key}]", account.origin)
        network = fleet.get(id.parent) if id.parent else None
        if network is None:
            continue
        subnet = fleet.get(id)
        if subnet is None:
            known = [each.name for each in fleet if each.parent == network.id]
            yield Finding(
                code="dangling",
                message=f"{_PATH} names {network.ref.name}/{id.name}, but {network.ref} declares no such subnet",
                hint=near(id.name, known) or f"declare the subnet {id.name} there, or remove the rule",
                origin=place,
            )
        elif not rule.get("ignoreMissingVnetServiceEndpoint") and not _has_endpoint(subnet):
            yield Finding(
                code="service_endpoint_missing",
                message=f"{_PATH} names {network.ref.name}/{id.name}, which has no service endpoint "
                f"{COGNITIVE_SERVICES}; Azure refuses the rule",
                hint=f"add `serviceEndpoints: [{COGNITIVE_SERVICES}]` to the subnet at {subnet.origin}, or "
                "ignoreMissingVnetServiceEndpoint: true to the rule",
                origin=place,
            )


def _has_endpoint(subnet: Desired) -> bool:
    services = subnet.fields.get("serviceEndpoints")
    return isinstance(services, list) and COGNITIVE_SERVICES in services
