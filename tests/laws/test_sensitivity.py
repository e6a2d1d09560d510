"""Law: change any owned field behind our back and exactly that path changes; change any other and there is silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.kinds import quota_tier
from reconciler.kinds.base import ResourceType, Shape
from reconciler.kinds.catalog import TYPES
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, DecisionState
from reconciler.model.resource import OWNER_TAG, Fleet
from tests.laws import endpoints
from tests.laws.fleets import IDENTITY, SUBNET
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    changed,
    fleet_document,
    group_document,
    network_document,
    network_id,
    rule,
    told,
)
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

GROUP = "Microsoft.Resources/resourceGroups"
ACCOUNT = "Microsoft.CognitiveServices/accounts"
DEPLOYMENT = f"{ACCOUNT}/deployments"
FILTER = f"{ACCOUNT}/raiPolicies"
SECURITY_GROUP = "Microsoft.Network/networkSecurityGroups"
NETWORK = "Microsoft.Network/virtualNetworks"
SUBNET_TYPE = f"{NETWORK}/subnets"

FULL = account_document(
    "aoai-full",
    location="swedencentral",
    kind="OpenAI",
    sku={"name": "S0"},
    customSubDomainName="aoai-full",
    disableLocalAuth=True,
    publicNetworkAccess="Enabled",
    networkAcls={
        "defaultAction": "Deny",
        "bypass": "None",
        "ipRules": ["203.0.113.0/24", "198.51.100.7"],
        "virtualNetworkRules": [SUBNET.format("a"), {"id": SUBNET.format("b")}],
    },
    identity={"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": [IDENTITY.format("one")]},
    restrictOutboundNetworkAccess=True,
    allowedFqdnList=["b.example.com", "a.example.com"],
    allowProjectManagement=False,
    tags={"team": "law"},
    raiPolicies=[
        {
            "name": "strict",
            "basePolicyName": "Microsoft.DefaultV2",
            "mode": "Default",
            "contentFilters": [
                {"name": "Hate", "source": "Prompt", "enabled": True, "blocking": True, "severityThreshold": "Low"}
            ],
            "customBlocklists": [{"blocklistName": "words", "source": "Prompt", "blocking": True}],
        }
    ],
    deployments=[
        {
            "name": "chat",
            "model": {
                "format": "OpenAI",
                "name": "gpt-4o",
                "version": "2024-11-20",
                "publisher": "OpenAI",
                "source": "mine",
                "sourceAccount": "there",
            },
            "sku": {"name": "GlobalStandard", "capacity": 10},
            "versionUpgradeOption": "NoAutoUpgrade",
            "raiPolicyName": "strict",
            "dynamicThrottlingEnabled": True,
            "spilloverDeploymentName": "other",
            "tags": {"team": "law"},
        },
        {"name": "other", "model": {"name": "gpt-4o-mini"}, "sku": {"name": "GlobalStandard", "capacity": 1}},
    ],
    privateEndpointConnections=endpoints.RULES,
)
LEAST = account_document(
    "aoai-full",
    customSubDomainName="aoai-full",
    privateEndpointConnections=[{"match": "*", "status": "Approved"}],
    deployments=[{"name": "chat", "model": {"name": "gpt-4o"}, "sku": {"name": "GlobalStandard", "capacity": 10}}],
    raiPolicies=[{"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}],
)

GUARDED = [
    network_document(
        "NetworkSecurityGroup",
        "nsg-full",
        securityRules=[
            rule("allow-app", sourceAddressPrefixes=["10.1.1.0/24", "10.1.3.0/24"], description="from the app"),
            rule("deny-rest", 4096, "Deny", protocol="Any", sourceAddressPrefix="Any", destinationPortRange="Any"),
        ],
        flushConnection=True,
        tags={"team": "law"},
    ),
    network_document(
        "VirtualNetwork",
        "vnet-full",
        addressSpace={"addressPrefixes": ["10.1.0.0/16", "10.2.0.0/16"]},
        dhcpOptions={"dnsServers": ["10.1.0.4", "10.1.0.5"]},
        subnets=[
            {
                "name": "app",
                "addressPrefix": "10.1.1.0/24",
                "networkSecurityGroup": "nsg-full",
                "routeTable": None,
                "natGateway": None,
                "serviceEndpoints": ["Microsoft.CognitiveServices", "Microsoft.Storage"],
                "delegations": ["Microsoft.App/environments"],
                "privateEndpointNetworkPolicies": "NetworkSecurityGroupEnabled",
                "privateLinkServiceNetworkPolicies": "Disabled",
            }
        ],
        tags={"team": "law"},
    ),
    *endpoints.around("vnet-endpoints", full=True),
]
del GUARDED[0]["spec"]["securityRules"][0]["sourceAddressPrefix"]
OPEN = [
    network_document("NetworkSecurityGroup", "nsg-full", rules="shared", securityRules=[]),
    network_document(
        "VirtualNetwork",
        "vnet-full",
        addressSpace={"addressPrefixes": ["10.1.0.0/16", "10.2.0.0/16"]},
        subnets=[{"name": "app", "addressPrefix": "10.1.1.0/24"}],
    ),
    *endpoints.around("vnet-endpoints", full=False),
]
ALLOW: Document = {
    "name": "allow-app",
    "properties": {
        "description": "from the app",
        "direction": "Inbound",
        "access": "Allow",
        "priority": 100,
        "protocol": "Tcp",
        "sourceAddressPrefixes": ["10.1.1.0/24", "10.1.3.0/24"],
        "sourcePortRange": "*",
        "destinationAddressPrefix": "10.1.2.0/24",
        "destinationPortRange": "443",
    },
}
DENY: Document = {
    "name": "deny-rest",
    "properties": {
        "direction": "Inbound",
        "access": "Deny",
        "priority": 4096,
        "protocol": "*",
        "sourceAddressPrefix": "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "10.1.2.0/24",
        "destinationPortRange": "*",
    },
}


def rules(*listed: Document) -> Document:
    return {"properties": {"securityRules": list(listed)}}


def but(rule: Document, **other: object) -> Document:
    """A live rule that says something else, or no longer says what is None."""
    said = {**rule["properties"], **other}
    return {**rule, "properties": {name: value for name, value in said.items() if value is not None}}


ANOTHER = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-net/providers/Microsoft.Network/{}/x"

HATE = {"name": "Hate", "source": "Prompt", "enabled": True, "blocking": True, "severityThreshold": "Low"}
WORDS = {"blocklistName": "words", "source": "Prompt", "blocking": True}

# By ARM type and path: another live value, as a merge patch of Azure's JSON. Every field of every table is in here.
OTHERWISE: dict[str, dict[str, Document]] = {
    GROUP: {"location": {"location": "westus"}, "tags.purpose": {"tags": {"purpose": "other"}}},
    ACCOUNT: {
        "location": {"location": "West US"},
        "kind": {"kind": "AIServices"},
        "sku.name": {"sku": {"name": "S1"}},
        "customSubDomainName": {"properties": {"customSubDomainName": "another"}},
        "disableLocalAuth": {"properties": {"disableLocalAuth": False}},
        "publicNetworkAccess": {"properties": {"publicNetworkAccess": "Disabled"}},
        "networkAcls.defaultAction": {"properties": {"networkAcls": {"defaultAction": "Allow"}}},
        "networkAcls.bypass": {"properties": {"networkAcls": {"bypass": "AzureServices"}}},
        "networkAcls.ipRules": {"properties": {"networkAcls": {"ipRules": [{"value": "203.0.113.0/24"}]}}},
        "networkAcls.virtualNetworkRules": {"properties": {"networkAcls": {"virtualNetworkRules": []}}},
        "identity.type": {"identity": {"type": "UserAssigned"}},
        "identity.userAssignedIdentities": {"identity": {"userAssignedIdentities": {IDENTITY.format("two"): {}}}},
        "restrictOutboundNetworkAccess": {"properties": {"restrictOutboundNetworkAccess": None}},
        "allowedFqdnList": {"properties": {"allowedFqdnList": ["a.example.com"]}},
        "allowProjectManagement": {"properties": {"allowProjectManagement": True}},
        "tags.team": {"tags": {"team": None}},
    },
    DEPLOYMENT: {
        "model.format": {"properties": {"model": {"format": "Meta"}}},
        "model.name": {"properties": {"model": {"name": "gpt-4.1"}}},
        "model.version": {"properties": {"model": {"version": "2024-08-06"}}},
        "model.publisher": {"properties": {"model": {"publisher": "Another"}}},
        "model.source": {"properties": {"model": {"source": "theirs"}}},
        "model.sourceAccount": {"properties": {"model": {"sourceAccount": "elsewhere"}}},
        "sku.name": {"sku": {"name": "Standard"}},
        "sku.capacity": {"sku": {"capacity": 11}},
        "versionUpgradeOption": {"properties": {"versionUpgradeOption": "OnceCurrentVersionExpired"}},
        "raiPolicyName": {"properties": {"raiPolicyName": "Microsoft.Default"}},
        "dynamicThrottlingEnabled": {"properties": {"dynamicThrottlingEnabled": False}},
        "spilloverDeploymentName": {"properties": {"spilloverDeploymentName": None}},
        "tags.team": {"tags": {"team": "other"}},
    },
    FILTER: {
        "basePolicyName": {"properties": {"basePolicyName": "Microsoft.Default"}},
        "mode": {"properties": {"mode": "Blocking"}},
        "contentFilters[Hate:Prompt].severityThreshold": {
            "properties": {"contentFilters": [{**HATE, "severityThreshold": "High"}]}
        },
        "contentFilters[Hate:Prompt].blocking": {"properties": {"contentFilters": [{**HATE, "blocking": False}]}},
        "contentFilters[Hate:Prompt].enabled": {"properties": {"contentFilters": [{**HATE, "enabled": False}]}},
        "customBlocklists[words:Prompt].blocking": {"properties": {"customBlocklists": [{**WORDS, "blocking": False}]}},
    },
}

OTHERWISE |= {
    SECURITY_GROUP: {
        "location": {"location": "westus"},
        "securityRules": rules(ALLOW, DENY, but({**ALLOW, "name": "extra"}, priority=200)),
        "securityRules[allow-app].access": rules(but(ALLOW, access="Deny"), DENY),
        "securityRules[allow-app].direction": rules(but(ALLOW, direction="Outbound"), DENY),
        "securityRules[allow-app].priority": rules(but(ALLOW, priority=110), DENY),
        "securityRules[allow-app].protocol": rules(but(ALLOW, protocol="Udp"), DENY),
        "securityRules[allow-app].description": rules(but(ALLOW, description="from elsewhere"), DENY),
        "securityRules[allow-app].sourceAddressPrefixes": rules(
            but(ALLOW, sourceAddressPrefixes=["10.1.1.0/24", "Internet"]), DENY
        ),
        "securityRules[allow-app].sourcePortRanges": rules(but(ALLOW, sourcePortRange="1024-65535"), DENY),
        "securityRules[allow-app].destinationAddressPrefixes": rules(
            but(ALLOW, destinationAddressPrefix="VirtualNetwork"), DENY
        ),
        "securityRules[allow-app].destinationPortRanges": rules(
            but(ALLOW, destinationPortRange=None, destinationPortRanges=["443", "22"]), DENY
        ),
        "flushConnection": {"properties": {"flushConnection": False}},
        "tags.team": {"tags": {"team": None}},
    },
    NETWORK: {
        "location": {"location": "westus"},
        "addressSpace.addressPrefixes": {"properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}}},
        "dhcpOptions.dnsServers": {"properties": {"dhcpOptions": {"dnsServers": ["10.1.0.5", "10.1.0.4"]}}},
        "tags.team": {"tags": {"team": "other"}},
    },
    SUBNET_TYPE: {
        "addressPrefixes": {"properties": {"addressPrefix": "10.1.4.0/24", "addressPrefixes": None}},
        "networkSecurityGroup": {"properties": {"networkSecurityGroup": None}},
        "routeTable": {"properties": {"routeTable": {"id": ANOTHER.format("routeTables")}}},
        "natGateway": {"properties": {"natGateway": {"id": ANOTHER.format("natGateways")}}},
        "serviceEndpoints": {"properties": {"serviceEndpoints": [{"service": "Microsoft.CognitiveServices"}]}},
        "delegations": {"properties": {"delegations": []}},
        "privateEndpointNetworkPolicies": {"properties": {"privateEndpointNetworkPolicies": "Disabled"}},
        "privateLinkServiceNetworkPolicies": {"properties": {"privateLinkServiceNetworkPolicies": "Enabled"}},
    },
}

OTHERWISE |= endpoints.OTHERWISE

# The same world in other words: what Azure may make of case, order, spacing and absence.
SAME: dict[str, list[Document]] = {
    GROUP: [{"location": "Sweden Central"}],
    ACCOUNT: [
        {"location": "Sweden Central"},
        {"location": "SWEDENCENTRAL"},
        {"properties": {"customSubDomainName": "AOAI-Full"}},
        {"properties": {"networkAcls": {"ipRules": [{"value": "198.51.100.7"}, {"value": "203.0.113.0/24"}]}}},
        {
            "properties": {
                "networkAcls": {
                    "virtualNetworkRules": [
                        {"id": SUBNET.format("b").upper(), "state": "Succeeded"},
                        {"id": SUBNET.format("a").lower(), "ignoreMissingVnetServiceEndpoint": False},
                    ]
                }
            }
        },
        {"properties": {"allowedFqdnList": ["a.example.com", "b.example.com"]}},
        {"properties": {"allowProjectManagement": None}},
        {"identity": {"type": "UserAssigned,SystemAssigned"}},
        {
            "identity": {
                "userAssignedIdentities": {
                    IDENTITY.format("one").lower(): None,
                    IDENTITY.format("ONE"): {"clientId": "x"},
                }
            }
        },
        {"tags": {"team": None, "Team": "law"}},
    ],
    DEPLOYMENT: [{"sku": {"capacity": 10.0}}, {"properties": {"currentCapacity": 7}}],
    FILTER: [
        {"properties": {"contentFilters": [{"name": "Jailbreak", "source": "Prompt", "enabled": True}, HATE]}},
        {"properties": {"contentFilters": [{**HATE, "name": "hate", "action": "NONE"}]}},
    ],
}

SAME |= {
    SECURITY_GROUP: [
        {"location": "Sweden Central"},
        rules(DENY, ALLOW),
        rules({**ALLOW, "name": "Allow-App"}, DENY),
        rules(but(ALLOW, protocol="TCP", access="Allow"), but(DENY, sourceAddressPrefix="Any")),
        rules(but(ALLOW, sourceAddressPrefixes=["10.1.3.0/24", "10.1.1.0/24"]), but(DENY, sourcePortRange="0-65535")),
        rules(but(ALLOW, destinationPortRange=None, destinationPortRanges=["443"]), DENY),
        {"tags": {"team": None, "Team": "law"}},
    ],
    NETWORK: [
        {"location": "SWEDENCENTRAL"},
        {"properties": {"addressSpace": {"addressPrefixes": ["10.2.0.0/16", "10.1.0.0/16"]}}},
        {"tags": {"team": None, "Team": "law"}},
    ],
    SUBNET_TYPE: [
        {"properties": {"addressPrefix": None, "addressPrefixes": ["10.1.1.0/24"]}},
        {
            "properties": {
                "serviceEndpoints": [
                    {"service": "microsoft.storage", "locations": ["*"]},
                    {"service": "Microsoft.CognitiveServices"},
                ]
            }
        },
        {
            "properties": {
                "delegations": [
                    {"name": "0", "properties": {"serviceName": "microsoft.app/Environments", "actions": []}}
                ]
            }
        },
    ],
}


SAME |= endpoints.SAME


def documents(account: Document) -> list[Document]:
    around = GUARDED if account is FULL else OPEN
    return [fleet_document(), group_document("rg-law", tags={"purpose": "law"}), *around, account]


def target(azure: Stage, type_: ResourceType) -> tuple[ArmId, str]:
    """The resource of a type in the fleet of this module, and its reference."""
    if type_.arm_type in endpoints.OTHERWISE:
        return endpoints.target(azure, type_.arm_type)
    account = account_id(azure, "aoai-full")
    return {
        GROUP: (ArmId(subscription=account.subscription, group="rg-law"), "ResourceGroup/rg-law"),
        ACCOUNT: (account, "Account/aoai-full"),
        DEPLOYMENT: (account.child("deployments", "chat"), "Account/aoai-full/deployments/chat"),
        FILTER: (account.child("raiPolicies", "strict"), "Account/aoai-full/raiPolicies/strict"),
        SECURITY_GROUP: (network_id(azure, "networkSecurityGroups", "nsg-full"), "NetworkSecurityGroup/nsg-full"),
        NETWORK: (network_id(azure, "virtualNetworks", "vnet-full"), "VirtualNetwork/vnet-full"),
        SUBNET_TYPE: (
            network_id(azure, "virtualNetworks", "vnet-full").child("subnets", "app"),
            "VirtualNetwork/vnet-full/subnets/app",
        ),
    }[type_.arm_type]


async def converged(azure: Stage, account: Document = FULL) -> Fleet:
    await azure.seed_world(limits=plenty(azure.sim.subscription_id))
    fleet = azure.load(documents(account))
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    return fleet


# The quota tier is nothing that anybody makes or that can be changed as resources are: see `test_quota_tier`.
TRIED = tuple(each for each in TYPES if each is not quota_tier.TYPE)


def by_type(types: tuple[ResourceType, ...] = TRIED) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("type_", types, ids=lambda type_: type_.word.replace(" ", "-"))


@by_type()
def test_every_field_of_the_table_is_tried(type_: ResourceType) -> None:
    tried = {type_.lens(path).field.path for path in OTHERWISE[type_.arm_type]}
    assert tried == {field.path for field in type_.fields} - endpoints.IMMOVABLE.get(type_.arm_type, set())


@by_type()
async def test_an_owned_field_changed_live_is_exactly_what_changes(azure: Stage, type_: ResourceType) -> None:
    fleet = await converged(azure)
    id, ref = target(azure, type_)
    wishes = {each.id: each.wants for each in (await azure.dry_run(fleet)).decisions}
    began = await azure.sim.control("GET", "/_sim/state")
    for path, patch in OTHERWISE[type_.arm_type].items():
        await azure.mutate("PATCH", id, patch)
        plan = await azure.dry_run(fleet)
        assert changed(plan)[ref] == {path}, path
        # What a document says does not hang on what somebody does in Azure, or it would be no drift.
        assert {each.id: each.wants for each in plan.decisions} == wishes, path
        others = {other for other in changed(plan) if not other.startswith(ref)}
        assert not others, path
        acting = [each for each in plan.decisions if str(each.ref) == ref]
        assert acting[0].state in (DecisionState.ACT, DecisionState.BLOCKED), path
        assert type_.arm_type != GROUP or acting[0].action is not Action.REPLACE
        if acting[0].action is Action.UPDATE:
            reports = await azure.converge(fleet)
            assert reports[-1].plan.converged, (path, told(reports[-1].plan))
        await azure.sim.control("PUT", "/_sim/state", began)


@by_type()
async def test_another_spelling_of_the_same_is_silence(azure: Stage, type_: ResourceType) -> None:
    fleet = await converged(azure)
    id, _ = target(azure, type_)
    began = await azure.sim.control("GET", "/_sim/state")
    for patch in SAME[type_.arm_type]:
        await azure.mutate("PATCH", id, patch)
        assert told(await azure.dry_run(fleet)) == [], patch
        await azure.sim.control("PUT", "/_sim/state", began)


@by_type()
async def test_what_a_document_leaves_out_may_be_anything(azure: Stage, type_: ResourceType) -> None:
    fleet = await converged(azure, LEAST)
    id, _ = target(azure, type_)
    ours = {path for each in fleet.desired.values() if each.id == id for path in each.fields}
    ours |= endpoints.JUDGED if type_.guest else set()
    began = await azure.sim.control("GET", "/_sim/state")
    for path, patch in OTHERWISE[type_.arm_type].items():
        # A network posture and what makes a resource what it is are always declared.
        if path not in ours:
            await azure.mutate("PATCH", id, patch)
            assert told(await azure.dry_run(fleet)) == [], path
            await azure.sim.control("PUT", "/_sim/state", began)


@by_type(tuple(each for each in TRIED if not each.embedded))
async def test_what_no_table_names_may_be_anything(azure: Stage, type_: ResourceType) -> None:
    """Every value Azure holds beside the fields of the table is changed at once, and something new put beside each."""
    fleet = await converged(azure)
    id, _ = target(azure, type_)
    live = azure.resource(id)
    patch: Document = {"managedBy": "somebody"}
    for path, value in leaves(live):
        if not is_owned(type_, path) and path not in CHILDREN:
            place(patch, path, otherwise(value))
            place(patch, (*path[:-1], "somethingNew"), "new")
    await azure.mutate("PATCH", id, patch)
    assert told(await azure.dry_run(fleet)) == []


# Resources of their own, which Azure would not take for anything else.
CHILDREN = {
    ("properties", "privateEndpointConnections"),
    ("properties", "subnets"),
    ("properties", "virtualNetworkPeerings"),
}
FIXED = {("id",), ("name",), ("type",), ("tags", OWNER_TAG)}


def is_owned(type_: ResourceType, path: tuple[str, ...]) -> bool:
    if path in FIXED or path in (type_.state, type_.later):
        return True
    return any(path[: len(field.wire)] == field.wire for field in type_.fields if field.shape is not Shape.MAP)


def leaves(value: Document, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield from leaves(item, (*at, key))
        elif key not in {"team", "purpose"}:
            yield (*at, key), item


def place(patch: Document, path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        patch = patch.setdefault(key, {})
    patch[path[-1]] = value


def otherwise(value: object) -> object:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1
    if isinstance(value, str):
        return value + "-else"
    return ["else"] if isinstance(value, list) else "else"
