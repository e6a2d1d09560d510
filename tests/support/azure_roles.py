"""What the two roles in deploy/azure permit, out of the product's own tables: the kinds, and what `cloud` asks besides.

Azure refuses a role with an action that it does not know, so what is in here is spelled as its providers list it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.kinds.base import ResourceType
from reconciler.kinds.catalog import TYPES
from reconciler.model.ids import GROUP_TYPE

CS, NET = "Microsoft.CognitiveServices", "Microsoft.Network"
PLACEHOLDER = "SUBSCRIPTION_ID"

# What each call of the gateway takes that is not about one type of the catalog.
ASKED: Mapping[str, tuple[str, ...]] = {
    "check_subdomain": (f"{CS}/checkDomainAvailability/action",),
    "get_deleted": (f"{CS}/locations/resourceGroups/deletedAccounts/read",),
    "get_provider": ("Microsoft.Resources/subscriptions/providers/read",),
    "list_capacities": (f"{CS}/modelCapacities/read",),
    "list_deleted": (f"{CS}/deletedAccounts/read",),
    "list_events": ("Microsoft.Insights/eventtypes/values/Read",),
    "list_models": (f"{CS}/locations/models/read",),
    "list_permissions": ("Microsoft.Authorization/permissions/read",),
    "list_usages": (f"{CS}/locations/usages/read",),
}
BEFORE_WRITES = ("get_deleted",)
# What a write leads to: Azure hands out URLs of these. Of two for one operation the one that tells more is followed.
FOLLOWED = (
    f"{CS}/locations/operationResults/read",
    f"{NET}/locations/operations/read",
    f"{NET}/privateDnsOperationStatuses/read",
)
# What is named where an id stands in a body, by the end of the path to it.
NAMED: Mapping[str, str] = {
    "networkSecurityGroup": f"{NET}/networkSecurityGroups",
    "routeTable": f"{NET}/routeTables",
    "natGateway": f"{NET}/natGateways",
    "virtualNetwork": f"{NET}/virtualNetworks",
    "virtualNetworkRules": f"{NET}/virtualNetworks/subnets",
    "userAssignedIdentities": "Microsoft.ManagedIdentity/userAssignedIdentities",
    "subnet": f"{NET}/virtualNetworks/subnets",
    "privateLinkServiceId": f"{CS}/accounts",
    "privateDnsZoneId": f"{NET}/privateDnsZones",
}


def make_roles() -> dict[str, dict[str, Any]]:
    """Each role as `az role definition create` takes it, by the name of its file."""
    reads = {*_reads()}
    return {
        "reader.json": _role(
            "Reconciler Reader",
            "Plans what reconciler would do, for pull requests: reads, and writes nothing.",
            reads,
        ),
        "writer.json": _role(
            "Reconciler Writer",
            "Keeps Azure OpenAI accounts and the networks around them as declared: what reconciler does, and no more.",
            {*reads, *_writes()},
        ),
    }


def _role(name: str, description: str, actions: set[str]) -> dict[str, Any]:
    return {
        "Name": name,
        "IsCustom": True,
        "Description": description,
        "Actions": sorted(actions, key=str.lower),
        "NotActions": [],
        "DataActions": [],
        "NotDataActions": [],
        "AssignableScopes": [f"/subscriptions/{PLACEHOLDER}"],
    }


def spell(type_: ResourceType) -> str:
    """The type as actions name it."""
    return "Microsoft.Resources/subscriptions/resourceGroups" if type_.arm_type == GROUP_TYPE else type_.arm_type


def _reads() -> Iterator[str]:
    """What is looked at. What its parent's answer holds is looked at there."""
    yield from (f"{spell(type_)}/read" for type_ in TYPES if not type_.embedded)
    for call, actions in ASKED.items():
        if call not in BEFORE_WRITES:
            yield from actions


def _writes() -> Iterator[str]:
    """What is written, and what is read once more just before it."""
    for call in BEFORE_WRITES:
        yield from ASKED[call]
    for type_ in TYPES:
        yield f"{spell(type_)}/read"
        yield f"{spell(type_)}/write"
        if type_.binding.delete:
            yield f"{spell(type_)}/delete"
        yield from (f"{NAMED[_last_word(path)]}/{end}" for path, end in type_.joins)
    yield f"{CS}/locations/resourceGroups/deletedAccounts/delete"
    yield from FOLLOWED


def _last_word(path: tuple[str, ...]) -> str:
    return next(word for word in reversed(path) if word not in ("id", "*"))
