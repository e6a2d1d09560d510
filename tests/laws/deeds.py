"""All that the product does at Azure, as short stories: each a fleet that comes, changes or goes.

Together they take every action that the product ever asks for. None of them knows what it may do: a test grants that
beforehand, and looks afterwards at what was asked for and refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from reconciler.model.outcome import CycleReport
from reconciler.model.resource import Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    fleet_document,
    group_document,
    network_document,
    network_id,
)
from tests.laws.test_fixpoint import plenty

EXAMPLES = Path(__file__).parents[2] / "desired_state" / "examples"
# One fleet each, all of it in one subscription.
FLEETS = ("app-and-backend", "gateway-subnet", "private-endpoints", "regions-and-models", "secure-account")

NET = "Microsoft.Network"
ZONE = "privatelink.openai.azure.com"
PRUNE = (
    "accounts",
    "deployments",
    "raiPolicies",
    "networkSecurityGroups",
    "virtualNetworks",
    "subnets",
    "privateEndpoints",
    "privateDnsZones",
    "virtualNetworkLinks",
)

Story = Callable[[Stage], Awaitable[list[CycleReport]]]


def load(azure: Stage, *documents: Document, **spec: object) -> Fleet:
    return azure.load([fleet_document("law", **spec), group_document(tags={"team": "ai"}), *documents])


async def converge(azure: Stage, *documents: Document, **spec: object) -> list[CycleReport]:
    fleet = load(azure, *documents, **spec)
    await azure.seed_world(limits=plenty(fleet.subscription))
    return list(await azure.converge(fleet))


def grown(azure: Stage) -> list[Document]:
    """Something of every kind, and of all that a body can name."""
    group = f"/subscriptions/{azure.sim.subscription_id}/resourceGroups/rg-law/providers"
    subnets: list[Document] = [
        {
            "name": "apps",
            "addressPrefix": "10.1.1.0/24",
            "serviceEndpoints": ["Microsoft.CognitiveServices"],
            "networkSecurityGroup": "guard",
            "routeTable": f"{group}/{NET}/routeTables/routes",
            "natGateway": f"{group}/{NET}/natGateways/nat",
        },
        {"name": "ends", "addressPrefix": "10.1.2.0/24"},
        {"name": "spare", "addressPrefix": "10.1.3.0/24"},
    ]
    space = {"addressPrefixes": ["10.1.0.0/16"]}
    identity = f"{group}/Microsoft.ManagedIdentity/userAssignedIdentities/us"
    return [
        network_document("NetworkSecurityGroup", "guard", securityRules=[]),
        network_document("VirtualNetwork", "vnet", addressSpace=space, subnets=subnets),
        network_document("PrivateDnsZone", ZONE, virtualNetworkLinks=[{"name": "here", "virtualNetwork": "vnet"}]),
        account_document(
            "one",
            customSubDomainName="one",
            networkAcls={"defaultAction": "Deny", "virtualNetworkRules": ["vnet/apps"]},
            identity={"type": "UserAssigned", "userAssignedIdentities": [identity]},
            raiPolicies=[{"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}],
            deployments=[deployment("chat"), deployment("more")],
        ),
        network_document("PrivateEndpoint", "pe", subnet="vnet/ends", account="one", privateDnsZones=[ZONE]),
    ]


async def grow_and_go(azure: Stage) -> list[CycleReport]:
    """Everything is made; then every part goes that can go alone, then all the rest, and what that leaves is purged."""
    prune = dict.fromkeys(PRUNE, True)
    documents = grown(azure)
    reports = await converge(azure, *documents, prune=prune)
    guard, network, zone, account, _ = documents
    smaller = [
        guard,
        {**network, "spec": {**network["spec"], "subnets": network["spec"]["subnets"][:2]}},
        {**zone, "spec": {**zone["spec"], "virtualNetworkLinks": []}},
        {**account, "spec": {**account["spec"], "raiPolicies": [], "deployments": [deployment("chat")]}},
    ]
    reports += await converge(azure, *smaller, prune=prune)
    purge = {"policy": "always", "minimumAge": "0h"}
    reports += await converge(azure, prune=prune, allowEmpty=True, purge=purge)
    return reports + await converge(azure, prune=prune, allowEmpty=True, purge=purge)


async def restore(azure: Stage) -> list[CycleReport]:
    reports = await converge(azure, account_document("one", deployments=[deployment("chat")]))
    await azure.mutate("DELETE", account_id(azure, "one"))
    account = account_document("one", deployments=[deployment("chat")])
    return reports + await converge(azure, account, softDeleted="restore")


async def judge(azure: Stage) -> list[CycleReport]:
    """Somebody else's endpoint asks to be let in, and the account's owner says what becomes of it."""
    subnets = [{"name": "ends", "addressPrefix": "10.1.2.0/24"}]
    space = {"addressPrefixes": ["10.1.0.0/16"]}
    return await converge(
        azure,
        network_document("VirtualNetwork", "vnet", addressSpace=space, subnets=subnets),
        account_document(
            "one", customSubDomainName="one", privateEndpointConnections=[{"match": "pe", "status": "Approved"}]
        ),
        network_document("PrivateEndpoint", "pe", subnet="vnet/ends", account="one", approval="manual"),
    )


async def mend(azure: Stage) -> list[CycleReport]:
    """Somebody changes behind its back what leaves no name behind; the activity log tells it."""
    group = network_document("NetworkSecurityGroup", "guard", securityRules=[])
    reports = await converge(azure, group)
    await azure.mutate("PATCH", network_id(azure, "networkSecurityGroups", "guard"), {"tags": {"team": "alice"}})
    return reports + await converge(azure, group)


def pooled() -> list[Document]:
    account = account_document("one", location="swedencentral")
    pool: Document = {
        "model": {"name": "gpt-4o", "version": "2024-11-20"},
        "tpm": "20k",
        "deploymentTypes": ["GlobalStandard"],
        "accounts": {"matchLabels": {"serves": "chat"}},
    }
    return [
        {**account, "metadata": {**account["metadata"], "labels": {"serves": "chat"}}},
        {"apiVersion": "reconciler/v1", "kind": "ModelPool", "metadata": {"name": "chat"}, "spec": pool},
    ]


async def place(azure: Stage) -> list[CycleReport]:
    """A pool of a model looks for quota and for hardware."""
    return await converge(azure, *pooled())


async def tier(azure: Stage) -> list[CycleReport]:
    tier = {"tierUpgradePolicy": "OnceUpgradeIsAvailable", "currentTierName": "Tier-1"}
    await azure.seed_world(quotaTiers=[{"subscriptionId": azure.sim.subscription_id, **tier}])
    return await converge(azure, quota={"tierUpgrade": "NoAutoUpgrade"})


STORIES: dict[str, Story] = {
    "grow_and_go": grow_and_go,
    "restore": restore,
    "judge": judge,
    "mend": mend,
    "place": place,
    "tier": tier,
}
