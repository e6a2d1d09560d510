"""Every path that is answered, by whom; and what the end of each kind of operation means."""

from armsim import operations
from armsim.cloud import Cloud
from armsim.routes import Answer, Route, Routes
from armsim.rp import (
    accounts,
    activity,
    authorization,
    connections,
    deleted,
    deployments,
    locations,
    network_table,
    rai,
    resources,
    tiers,
    upgrades,
)
from armsim.store import Operation

CS = "Microsoft.CognitiveServices"
S = "subscriptions/*"
G = f"{S}/resourcegroups/*"
P = f"{S}/providers/{CS}"
A = f"{G}/providers/{CS}/accounts"
L = f"{P}/locations/*"
D = f"{L}/resourcegroups/*/deletedaccounts/*"

READS: dict[str, tuple[Answer, str]] = {
    "subscriptions": (resources.list_subscriptions, "Microsoft.Resources/subscriptions"),
    "tenants": (resources.list_tenants, "Microsoft.Resources/tenants"),
    "providers": (resources.list_providers, "Microsoft.Resources/providers"),
    "providers/*": (resources.get_provider, "Microsoft.Resources/providers"),
    S: (resources.get_subscription, "Microsoft.Resources/subscriptions"),
    f"{S}/locations": (resources.list_locations, "Microsoft.Resources/subscriptions/locations"),
    f"{S}/providers": (resources.list_providers, "Microsoft.Resources/subscriptions/providers"),
    f"{S}/providers/*": (resources.get_provider, "Microsoft.Resources/subscriptions/providers"),
    f"{S}/resourcegroups": (resources.list_groups, "Microsoft.Resources/subscriptions/resourceGroups"),
    f"{S}/resources": (resources.list_resources, "Microsoft.Resources/subscriptions/resources"),
    f"{G}/resources": (resources.list_resources, "Microsoft.Resources/subscriptions/resourceGroups/resources"),
    f"{S}/providers/microsoft.insights/eventtypes/management/values": (
        activity.list_events,
        "Microsoft.Insights/eventtypes/values",
    ),
    f"{S}/tagnames": (resources.tag_names, "Microsoft.Resources/subscriptions/tagNames"),
    f"{S}/operationresults/*": (resources.poll_group, "Microsoft.Resources/subscriptions/operationresults"),
    f"{P}/accounts": (accounts.list_by_subscription, f"{CS}/accounts"),
    f"{P}/deletedaccounts": (deleted.list_by_subscription, f"{CS}/deletedAccounts"),
    f"{P}/skus": (locations.skus, f"{CS}/skus"),
    f"{P}/modelcapacities": (locations.model_capacities, f"{CS}/modelCapacities"),
    f"{P}/quotatiers": (tiers.list_all, f"{CS}/quotaTiers"),
    f"{L}/usages": (locations.usages, f"{CS}/locations/usages"),
    f"{L}/models": (locations.models, f"{CS}/locations/models"),
    f"{L}/modelcapacities": (locations.model_capacities, f"{CS}/locations/modelCapacities"),
    f"{L}/operationresults/*": (operations.poll, f"{CS}/locations/operationResults"),
    A: (accounts.list_by_group, f"{CS}/accounts"),
    f"{A}/*/deployments": (deployments.list_all, f"{CS}/accounts/deployments"),
    f"{A}/*/deployments/*/skus": (deployments.list_skus, f"{CS}/accounts/deployments/skus"),
    f"{A}/*/raipolicies": (rai.list_all, f"{CS}/accounts/raiPolicies"),
    f"{A}/*/models": (locations.account_models, f"{CS}/accounts/models"),
    f"{A}/*/skus": (locations.account_skus, f"{CS}/accounts/skus"),
    f"{A}/*/usages": (locations.account_usages, f"{CS}/accounts/usages"),
    f"{A}/*/privatelinkresources": (locations.private_links, f"{CS}/accounts/privateLinkResources"),
    f"{A}/*/privateendpointconnections": (connections.list_all, f"{CS}/accounts/privateEndpointConnections"),
    f"{A}/*/projects": (locations.no_rows, f"{CS}/accounts/projects"),
    f"{A}/*/raiblocklists": (locations.no_rows, f"{CS}/accounts/raiBlocklists"),
}

ACTIONS: dict[str, tuple[Answer, str]] = {
    f"{S}/providers/*/register": (resources.register, "Microsoft.Resources/subscriptions/providers/register/action"),
    f"{S}/providers/*/unregister": (
        resources.unregister,
        "Microsoft.Resources/subscriptions/providers/unregister/action",
    ),
    f"{P}/checkdomainavailability": (locations.check_domain, f"{CS}/checkDomainAvailability/action"),
    f"{L}/checkskuavailability": (locations.check_skus, f"{CS}/locations/checkSkuAvailability/action"),
    f"{A}/*/listkeys": (accounts.list_keys, f"{CS}/accounts/listKeys/action"),
    f"{A}/*/regeneratekey": (accounts.regenerate_key, f"{CS}/accounts/regenerateKey/action"),
}

RESOURCES: dict[str, tuple[dict[str, Answer], str]] = {
    G: (
        {
            "GET": resources.get_group,
            "HEAD": resources.has_group,
            "PUT": resources.put_group,
            "PATCH": resources.patch_group,
            "DELETE": resources.delete_group,
        },
        "Microsoft.Resources/subscriptions/resourceGroups",
    ),
    f"{A}/*": (
        {"GET": accounts.get, "PUT": accounts.put, "PATCH": accounts.patch, "DELETE": accounts.delete},
        f"{CS}/accounts",
    ),
    f"{A}/*/deployments/*": (
        {"GET": deployments.get, "PUT": deployments.put, "PATCH": deployments.patch, "DELETE": deployments.delete},
        f"{CS}/accounts/deployments",
    ),
    f"{A}/*/raipolicies/*": (
        {"GET": rai.get, "PUT": rai.put, "DELETE": rai.delete},
        f"{CS}/accounts/raiPolicies",
    ),
    f"{A}/*/privateendpointconnections/*": (
        {"GET": connections.get, "PUT": connections.put, "DELETE": connections.delete},
        f"{CS}/accounts/privateEndpointConnections",
    ),
    f"{P}/quotatiers/default": ({"GET": tiers.get, "PUT": tiers.put, "PATCH": tiers.put}, f"{CS}/quotaTiers"),
    D: ({"GET": deleted.get, "DELETE": deleted.purge}, f"{CS}/locations/resourceGroups/deletedAccounts"),
}

# Below any scope, after `/providers/`.
EXTENSIONS: dict[str, tuple[dict[str, Answer], str]] = {
    "microsoft.resources/tags/default": (
        {
            "GET": resources.get_tags,
            "PUT": resources.put_tags,
            "PATCH": resources.patch_tags,
            "DELETE": resources.delete_tags,
        },
        "Microsoft.Resources/tags",
    ),
    "microsoft.authorization/locks": ({"GET": authorization.list_locks}, "Microsoft.Authorization/locks"),
    "microsoft.authorization/locks/*": (
        {"GET": authorization.get_lock, "PUT": authorization.put_lock, "DELETE": authorization.delete_lock},
        "Microsoft.Authorization/locks",
    ),
    "microsoft.authorization/permissions": ({"GET": authorization.permissions}, "Microsoft.Authorization/permissions"),
    "microsoft.authorization/roleassignments": (
        {"GET": authorization.no_rows},
        "Microsoft.Authorization/roleAssignments",
    ),
}


def build() -> tuple[Routes, Routes]:
    """The routes of ARM, and those of what hangs on any scope."""
    routes, extensions = Routes(), Routes()
    for pattern, (read, action) in {**READS, **network_table.READS}.items():
        routes.add(pattern, Route({"GET": read}, action))
    for pattern, (act, action) in ACTIONS.items():
        routes.add(pattern, Route({"POST": act}, action, ""))
    for pattern, (answers, action) in {**RESOURCES, **network_table.RESOURCES}.items():
        routes.add(pattern, Route(answers, action))
    for pattern, (answers, action) in EXTENSIONS.items():
        extensions.add(pattern, Route(answers, action))
    return routes, extensions


def wire(cloud: Cloud) -> None:
    """Tell the world what to do when something is due."""
    cloud.on = {
        "operation": operations.finish,
        "recovery": operations.recover,
        "expiry": deleted.expire,
        "return": deleted.give_back,
        "registration": resources.settle_registration,
        "rights": authorization.change_rights,
        "tier": tiers.upgrade,
        "upgrade": upgrades.move_on,
        "new-default": upgrades.move_to_default,
    }
    network_table.wire(cloud)
    operations.EFFECTS.update(
        {
            "account-ready": accounts.settle_state,
            "account-deleted": accounts.settle_delete,
            "account-purged": deleted.settle_purge,
            "child-ready": upgrades.settle_child,
            "child-deleted": deployments.settle_child_delete,
            "policy-deleted": deployments.settle_child_delete,
            "group-deleted": resources.settle_group,
            "nothing": _nothing,
        }
    )


def _nothing(_cloud: Cloud, _operation: Operation, _at: float) -> None:
    """Content filters have no provisioning state: only the account was busy."""
