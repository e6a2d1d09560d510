"""Fleets out of a hat: everything a document can say and Azure takes, in every mixture.

What is on offer comes from the simulation's catalogue, so a generated fleet is one that Azure would accept.
"""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from armsim import catalogue
from reconciler.kinds.deployment import SKUS
from tests.laws.stage import Document, account_document, fleet_document, group_document

REGIONS = ("swedencentral", "eastus2", "westeurope")
SUBNET = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-net/providers/"
    "Microsoft.Network/virtualNetworks/vnet-{}/subnets/Gateway"
)
IDENTITY = (
    "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-id/providers/"
    "Microsoft.ManagedIdentity/userAssignedIdentities/{}"
)
HARMS = ("Hate", "Sexual", "Violence", "Selfharm")
TODAY = "2025-10-28"


@cache
def offers(region: str, kind: str) -> tuple[tuple[str, str, str, int, int], ...]:
    """(sku, model, version, least, step) of everything that can be deployed today."""
    found = []
    for entry in catalogue.load_models(region):
        model = entry["model"]
        ends = str((model.get("deprecation") or {}).get("inference") or "9")
        if entry["kind"] != kind or model["format"] != "OpenAI" or model["lifecycleStatus"] != "GenerallyAvailable":
            continue
        for sku in model["skus"]:
            if sku["name"] in SKUS and str(sku.get("deprecationDate") or "9") > TODAY and ends > TODAY:
                rule = sku.get("capacity") or {}
                step = int(rule.get("step", 1))
                least = max(int(rule.get("minimum", 1)), step)
                found.append((str(sku["name"]), str(model["name"]), str(model["version"]), least, step))
    return tuple(sorted(found))


@st.composite
def deployments(draw: st.DrawFn, region: str, kind: str, names: list[str], filters: list[str]) -> list[Document]:
    listed = []
    by_sku: dict[str, list[tuple[str, str, str, int, int]]] = {}
    for offer in offers(region, kind):
        by_sku.setdefault(offer[0], []).append(offer)
    for name in names:
        # By type first: most models are offered as Standard, and the others would hardly ever be drawn.
        sku, model, version, least, step = draw(st.sampled_from(by_sku[draw(st.sampled_from(sorted(by_sku)))]))
        each: Document = {
            "name": name,
            "model": {"name": model},
            "sku": {"name": sku, "capacity": least + step * draw(st.integers(0, 3))},
        }
        if draw(st.booleans()):
            each["model"]["version"] = version
        option = draw(
            st.sampled_from([None, "OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"])
        )
        policy = draw(st.sampled_from([None, "Microsoft.DefaultV2", *filters]))
        dynamic = draw(st.sampled_from([None, True, False]))
        wanted = {"versionUpgradeOption": option, "raiPolicyName": policy, "dynamicThrottlingEnabled": dynamic}
        listed.append(each | {key: value for key, value in wanted.items() if value is not None})
    if len(listed) > 1 and draw(st.booleans()):
        listed[0]["spilloverDeploymentName"] = listed[1]["name"]
    return [_versioned(each, region, kind) for each in listed]


def _versioned(each: Document, region: str, kind: str) -> Document:
    """Without a version Azure takes the model's default, which not every deployment type offers."""
    model, sku = each["model"], each["sku"]["name"]
    if "version" in model:
        return each
    versions = [offer[2] for offer in offers(region, kind) if offer[:2] == (sku, model["name"])]
    return {**each, "model": {**model, "version": versions[-1]}} if len(versions) > 1 else each


@st.composite
def content_filters(draw: st.DrawFn) -> list[Document]:
    listed = []
    for number in range(draw(st.integers(0, 2))):
        harms = draw(st.lists(st.sampled_from(HARMS), unique=True, max_size=3))
        listed.append(
            {
                "name": f"Filter-{number}",
                "basePolicyName": draw(st.sampled_from(["Microsoft.Default", "Microsoft.DefaultV2"])),
                "mode": draw(st.sampled_from(["Default", "Blocking"])),
                "contentFilters": [
                    {
                        "name": harm,
                        "source": draw(st.sampled_from(["Prompt", "Completion"])),
                        "enabled": True,
                        "blocking": draw(st.booleans()),
                        "severityThreshold": draw(st.sampled_from(["Low", "Medium", "High"])),
                    }
                    for harm in harms
                ],
                "customBlocklists": [
                    {"blocklistName": name, "source": "Prompt", "blocking": draw(st.booleans())}
                    for name in draw(st.lists(st.sampled_from(["words", "names"]), unique=True))
                ],
            }
        )
    return listed


@st.composite
def firewalls(draw: st.DrawFn) -> Document:
    acls: Document = {"defaultAction": draw(st.sampled_from(["Allow", "Deny"]))}
    if draw(st.booleans()):
        acls["bypass"] = draw(st.sampled_from(["None", "AzureServices"]))
    addresses = ["203.0.113.0/24", "198.51.100.7", "8.8.8.0/28", "20.1.0.0/16"]
    rules = draw(st.lists(st.sampled_from(addresses), unique=True, max_size=4))
    if draw(st.booleans()) or rules:
        # As people write them, and as Azure does.
        wrapped = draw(st.booleans())
        acls["ipRules"] = [{"value": rule} for rule in rules] if wrapped else rules
    subnets = draw(st.lists(st.sampled_from(["a", "b", "c"]), unique=True, max_size=3))
    ignored = draw(st.booleans())
    if subnets:
        acls["virtualNetworkRules"] = [
            {"id": SUBNET.format(each), "ignoreMissingVnetServiceEndpoint": ignored} for each in subnets
        ]
    return acls


@st.composite
def identities(draw: st.DrawFn) -> Document:
    kind = draw(st.sampled_from(["None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned"]))
    if "UserAssigned" not in kind:
        return {"type": kind}
    names = draw(st.lists(st.sampled_from(["one", "Two", "three"]), unique=True, min_size=1, max_size=2))
    return {"type": kind, "userAssignedIdentities": [IDENTITY.format(name) for name in names]}


@st.composite
def accounts(draw: st.DrawFn, name: str) -> Document:
    region = draw(st.sampled_from(REGIONS))
    kind = draw(st.sampled_from(["OpenAI", "AIServices"]))
    spec: Document = {"location": draw(st.sampled_from([region, catalogue.regions()[region].display])), "kind": kind}
    if draw(st.booleans()):
        spec["sku"] = {"name": "S0"}
    access = draw(st.sampled_from(["Enabled", "Disabled"]))
    spec["publicNetworkAccess"] = access
    if draw(st.booleans()):
        spec["customSubDomainName"] = f"{name}-{draw(st.sampled_from(['x', 'Y']))}"
        if access == "Enabled" or draw(st.booleans()):
            spec["networkAcls"] = draw(firewalls())
    elif access == "Enabled":
        spec["networkAcls"] = {"defaultAction": "Allow"}
    for flag in ("disableLocalAuth", "restrictOutboundNetworkAccess"):
        value = draw(st.sampled_from([None, True, False]))
        spec |= {} if value is None else {flag: value}
    if spec.get("restrictOutboundNetworkAccess"):
        hosts = draw(st.lists(st.sampled_from(["b.example.com", "a.example.com"]), unique=True, max_size=2))
        spec |= {"allowedFqdnList": hosts} if hosts else {}
    if draw(st.booleans()):
        spec["identity"] = draw(identities())
    tags = draw(st.dictionaries(st.sampled_from(["team", "Cost-Centre", "env"]), st.sampled_from(["a", "Ü 1", ""])))
    spec |= {"tags": tags} if tags else {}
    spec["raiPolicies"] = draw(content_filters())
    names = [f"d{number}" for number in range(draw(st.integers(0, 3)))]
    named = [each["name"] for each in spec["raiPolicies"]]
    spec["deployments"] = draw(deployments(region, kind, names, named))
    return account_document(name, **spec)


@st.composite
def fleets(draw: st.DrawFn) -> list[Document]:
    """The documents of one fleet."""
    tags = draw(st.dictionaries(st.sampled_from(["owner", "team"]), st.sampled_from(["ops", "ml"])))
    names = [f"aoai-{letter}" for letter in "abc"[: draw(st.integers(1, 3))]]
    group: Document = {"tags": {"purpose": "law"}} if draw(st.booleans()) else {}
    members = [draw(accounts(name)) for name in names]
    fleet: Document = {"tags": tags} if tags else {}
    return [fleet_document("law", **fleet), group_document("rg-law", **group), *members]


def shuffled(documents: list[Document], draw: st.DataObject) -> list[Document]:
    """The same fleet in another order: of documents, and of every list whose order means nothing."""
    moved = [_shuffle(document, draw) for document in documents]
    return list(draw.draw(st.permutations(moved)))


def _shuffle(document: Document, draw: st.DataObject) -> Document:
    spec = dict(document["spec"])
    for name in ("deployments", "raiPolicies", "allowedFqdnList"):
        if spec.get(name):
            spec[name] = draw.draw(st.permutations(spec[name]))
    if spec.get("networkAcls"):
        spec["networkAcls"] = {
            name: draw.draw(st.permutations(value)) if isinstance(value, list) else value
            for name, value in spec["networkAcls"].items()
        }
    return {**document, "spec": spec}
