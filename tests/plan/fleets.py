"""Account specs out of a hat, for properties of plans."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.support.builders import Spec, account_spec

ADDRESSES = ("203.0.113.0/24", "198.51.100.7", "192.0.2.0/25", "203.0.113.9")
VNET = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/V/subnets/{}"
IDENTITY = "/subscriptions/S/resourceGroups/G/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{}"
MODELS = ("gpt-4o", "gpt-4.1")
SKUS = ("GlobalStandard", "Standard", "ProvisionedManaged")


def sometimes(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


POSTURES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"publicNetworkAccess": st.sampled_from(["Enabled", "Disabled"])},
    optional={
        "disableLocalAuth": st.booleans(),
        "restrictOutboundNetworkAccess": st.booleans(),
        "allowedFqdnList": st.lists(st.sampled_from(["a.example.com", "b.example.com"]), unique=True),
    },
)
ACLS = st.fixed_dictionaries(
    {"defaultAction": st.sampled_from(["Allow", "Deny"])},
    optional={
        "bypass": st.sampled_from(["None", "AzureServices"]),
        "ipRules": st.lists(st.sampled_from(ADDRESSES), unique=True),
        "virtualNetworkRules": st.lists(
            st.sampled_from("XY").map(VNET.format)
            | st.booleans().map(lambda flag: {"id": VNET.format("Z"), "ignoreMissingVnetServiceEndpoint": flag}),
            max_size=2,
            unique_by=str,
        ),
    },
)
IDENTITIES = st.sampled_from(
    [
        {"type": "None"},
        {"type": "SystemAssigned"},
        {"type": "UserAssigned", "userAssignedIdentities": [IDENTITY.format("A")]},
        {
            "type": "SystemAssigned, UserAssigned",
            "userAssignedIdentities": [IDENTITY.format("B"), IDENTITY.format("A")],
        },
    ]
)


@st.composite
def postures(draw: st.DrawFn) -> Spec:
    """Who may reach an account, in every mixture that a document may say."""
    spec = draw(POSTURES)
    if spec["publicNetworkAccess"] == "Enabled" or draw(st.booleans()):
        spec["networkAcls"] = draw(ACLS)
        spec["customSubDomainName"] = "one"
    return account_spec(**spec)


@st.composite
def deployments(draw: st.DrawFn, name: str) -> Spec:
    model: Spec = {"name": draw(st.sampled_from(MODELS))}
    if version := draw(sometimes(st.sampled_from(["1", "2"]))):
        model["version"] = version
    each: Spec = {
        "name": name,
        "model": model,
        "sku": {"name": draw(st.sampled_from(SKUS)), "capacity": draw(st.integers(1, 30))},
    }
    choices = {
        "versionUpgradeOption": sometimes(st.sampled_from(["OnceNewDefaultVersionAvailable", "NoAutoUpgrade"])),
        "raiPolicyName": sometimes(st.sampled_from(["strict", "Microsoft.DefaultV2"])),
        "dynamicThrottlingEnabled": sometimes(st.booleans()),
        "tags": sometimes(st.just({"team": "ai", "Stage": ""})),
    }
    said = {key: draw(choice) for key, choice in choices.items()}
    return each | {key: value for key, value in said.items() if value is not None}


@st.composite
def accounts(draw: st.DrawFn) -> Spec:
    """A whole account: posture, tags, identity, filters, deployments."""
    spec = draw(postures())
    spec["location"] = draw(st.sampled_from(["swedencentral", "Sweden Central", "westeurope"]))
    spec["kind"] = draw(st.sampled_from(["OpenAI", "AIServices"]))
    if identity := draw(sometimes(IDENTITIES)):
        spec["identity"] = identity
    spec["tags"] = draw(st.dictionaries(st.sampled_from(["team", "TEAM", "größe"]), st.sampled_from(["", "x", None])))
    filters = [{"name": "Hate", "source": "Prompt", "enabled": draw(st.booleans()), "severityThreshold": "Low"}]
    spec["raiPolicies"] = [{"name": "Strict", "basePolicyName": "Microsoft.DefaultV2", "contentFilters": filters}]
    names = draw(st.lists(st.sampled_from(["d", "e", "f"]), unique=True))
    spec["deployments"] = [draw(deployments(name)) for name in names]
    return spec
