"""`networkAcls` of an account: what the service refuses and what it makes of the rest. Knows no account."""

import ipaddress
from typing import Final

from armsim import errors
from armsim.rp.base import find_subnet
from armsim.store import World
from armsim.wire import Body, Json, look, to_bool

# Kinds that let trusted Azure services through.
BYPASS_KINDS: Final = frozenset({"openai", "aiservices", "textanalytics"})
LIMIT: Final = 100
PRIVATE: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16")
)


def normalise(world: World, kind: str, acls: Json) -> Body:
    """The stored form: three keys always, lists echoed in the order sent; raises what the service refuses."""
    if not isinstance(acls, dict):
        raise errors.bad_request("The networkAcls property must be an object.")
    result: Body = {
        "defaultAction": _choice(acls.get("defaultAction", "Allow"), "defaultAction", ("Allow", "Deny")),
        "virtualNetworkRules": [_subnet(world, rule) for rule in _rules(acls, "virtualNetworkRules")],
        "ipRules": [_address(rule) for rule in _rules(acls, "ipRules")],
    }
    bypass = acls.get("bypass")
    if kind.lower() in BYPASS_KINDS:
        result["bypass"] = _choice(bypass or "AzureServices", "bypass", ("AzureServices", "None"))
    elif bypass not in (None, "None"):
        raise errors.bad_request(f"Kind '{kind}' does not support networkAcls.bypass.", "NetworkAclsBypassNotSupported")
    return result


def _rules(acls: Body, name: str) -> list[Json]:
    rules = acls.get(name) or []
    if not isinstance(rules, list):
        raise errors.bad_request(f"networkAcls.{name} must be a list.")
    if len(rules) > LIMIT:
        raise errors.bad_request(f"networkAcls.{name} holds {len(rules)} rules; at most {LIMIT} are allowed.")
    return rules


def _choice(value: Json, name: str, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if str(value).lower() == choice.lower():
            return choice
    raise errors.bad_request(f"networkAcls.{name} must be one of {', '.join(choices)}; it is '{value}'.")


def _address(rule: Json) -> Body:
    value = rule.get("value") if isinstance(rule, dict) else None
    try:
        network = ipaddress.IPv4Network(str(value))
    except ValueError as problem:
        raise errors.bad_request(f"The IP rule '{value}' is not a valid IPv4 address or range.") from problem
    if "/" in str(value) and network.prefixlen >= 31:
        raise errors.bad_request(
            f"The IP rule '{value}' is not valid: prefixes /31 and /32 are not supported, use single addresses."
        )
    if any(network.overlaps(private) for private in PRIVATE):
        raise errors.bad_request(f"The IP rule '{value}' is not valid: only public addresses are allowed.")
    return {"value": str(value)}


def _subnet(world: World, rule: Json) -> Body:
    """A subnet that the world knows must have the service endpoint; of others nothing is known."""
    subnet = rule.get("id") if isinstance(rule, dict) else None
    if not isinstance(subnet, str) or "/subnets/" not in subnet.lower():
        raise errors.bad_request(f"The virtual network rule '{subnet}' is not the id of a subnet.")
    try:
        ignore = to_bool(rule.get("ignoreMissingVnetServiceEndpoint") or False)
    except ValueError as problem:
        raise errors.bad_request("ignoreMissingVnetServiceEndpoint must be a boolean.") from problem
    network, known = find_subnet(world, subnet)
    if network is not None and known is None:
        raise errors.reference_not_found(subnet, "networkAcls")
    if known is not None and not ignore:
        endpoints = look(known, "properties.serviceEndpoints") or []
        if not any(str(each.get("service")).lower() == "microsoft.cognitiveservices" for each in endpoints):
            raise errors.bad_request(
                f"Subnets {known['name']} of virtual network {subnet.split('/')[8]} do not have ServiceEndpoints for "
                "Microsoft.CognitiveServices resources configured. Add Microsoft.CognitiveServices to subnet's "
                "ServiceEndpoints collection before trying to ACL Microsoft.CognitiveServices resources to these "
                "subnets.",
                "SubnetsHaveNoServiceEndpointsConfigured",
            )
    return {"id": subnet, "ignoreMissingVnetServiceEndpoint": ignore}
