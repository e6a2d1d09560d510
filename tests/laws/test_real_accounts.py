"""Law: what real Azure holds, declared as it is, plans empty; one change plans exactly itself; an import plans empty.

The recorded accounts are evidence that is not shipped; without them the same facts are tried in our own words.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reconciler.cli.importing import Choice, describe_live
from reconciler.cloud.live import to_live
from reconciler.desired.writer import write_documents
from reconciler.kinds.catalog import type_of
from reconciler.model.finding import Severity
from reconciler.model.ids import ArmId
from reconciler.model.plan import Plan
from reconciler.model.resource import OWNER_TAG, Fleet, Live, LiveState, Scope, Snapshot
from reconciler.plan import make_plan
from tests.contracts.recorded.exchanges import load, recordings
from tests.laws.stage import Document, Stage, account_document, changed, fleet_document, told

pytestmark = pytest.mark.virtual_time

ZERO = "00000000-0000-0000-0000-000000000000"
ACCOUNT = "microsoft.cognitiveservices/accounts"
DEPLOYMENT = f"{ACCOUNT}/deployments"

Body = dict[str, Any]

# The last settled state of each account that is in a recording, and how its documents call it.
FILES = (
    "cog_account_openai_and_deployment_2025-10.json",
    "cog_account_openai_and_deployment_2023-05-01.json",
    "cog_account_models_2023-05-01.json",
    "cog_account_crud_tags_keys.json",
    "cog_account_custom_domain.json",
    "cog_account_identity_patch.json",
    "cog_account_sync_create.json",
    "cog_private_endpoint_connection.json",
    "cog_soft_delete_restore_purge_2022.json",
)

OURS: tuple[Body, ...] = (
    {
        "id": f"/subscriptions/{ZERO}/resourceGroups/rg-ours/providers/Microsoft.CognitiveServices/accounts/Ours-1",
        "name": "Ours-1",
        "type": "Microsoft.CognitiveServices/accounts",
        "etag": '"1234"',
        "location": "JAPANEAST",
        "sku": {"name": "S0"},
        "kind": "OpenAI",
        "properties": {
            "endpoint": "https://ours-1.openai.azure.com/",
            "internalId": "0123456789abcdef",
            "dateCreated": "2025-10-28T14:00:00.1234567Z",
            "apiProperties": {},
            "callRateLimit": {"rules": [{"key": "openai.dalle.post", "renewalPeriod": 1, "count": 30}]},
            "isMigrated": False,
            "customSubDomainName": "ours-1",
            "networkAcls": {
                "defaultAction": "Deny",
                "virtualNetworkRules": [],
                "ipRules": [{"value": "203.0.113.9"}, {"value": "198.51.100.0/24"}],
            },
            "privateEndpointConnections": [],
            "publicNetworkAccess": "Enabled",
            "capabilities": [{"name": "VirtualNetworks"}, {"name": "TrustedServices", "value": "a,b"}],
            "endpoints": {"OpenAI Language Model Instance API": "https://ours-1.openai.azure.com/"},
            "provisioningState": "Succeeded",
        },
        "identity": {"principalId": "5b04df58", "tenantId": "1111", "type": "SystemAssigned"},
        "systemData": {"lastModifiedBy": "somebody@example.com", "lastModifiedAt": "2025-10-28T14:00:00Z"},
    },
    {
        "id": f"/subscriptions/{ZERO}/resourceGroups/rg-ours/providers/Microsoft.CognitiveServices/accounts/Ours-1"
        "/deployments/Chat",
        "name": "Chat",
        "type": "Microsoft.CognitiveServices/accounts/deployments",
        "sku": {"name": "Standard", "capacity": 1},
        "properties": {
            "model": {"format": "OpenAI", "name": "gpt-35-turbo", "version": "0125"},
            "versionUpgradeOption": "OnceNewDefaultVersionAvailable",
            "currentCapacity": 1,
            "capabilities": {"chatCompletion": "true"},
            "provisioningState": "Succeeded",
            "rateLimits": [{"key": "token", "renewalPeriod": 60, "count": 1000}],
        },
        "systemData": {"lastModifiedBy": "somebody@example.com"},
        "etag": '"guid"',
    },
)


def recorded(name: str) -> tuple[Body, ...]:
    """The last settled body of every account and deployment in a recording. Our tool declares two kinds of account;
    what the others answered is taken as if one of these two had."""
    if recordings() is None:
        pytest.skip("the recordings of real Azure are not on this machine")
    found: dict[str, Body] = {}
    for exchange in load(name):
        body = exchange.body
        if not isinstance(body, dict) or str(body.get("type", "")).lower() not in (ACCOUNT, DEPLOYMENT):
            continue
        if body["properties"].get("provisioningState") == "Succeeded":
            found[str(body["id"]).lower()] = body
    return tuple(_ours(body) for body in found.values())


def _ours(body: Body) -> Body:
    if body["type"].lower() != ACCOUNT:
        return body
    kind = body["kind"] if body["kind"] in ("OpenAI", "AIServices") else "AIServices"
    return {**body, "kind": kind, "sku": {"name": "S0"}}


def owned(bodies: tuple[Body, ...]) -> Snapshot:
    """The bodies as a snapshot, with the one thing added that we would have put on them: our tag."""
    live: dict[ArmId, Live] = {}
    for body in bodies:
        type_ = type_of(body["type"])
        assert type_ is not None
        wire = copy.deepcopy(body)
        if type_.taggable:
            wire["tags"] = {**(wire.get("tags") or {}), OWNER_TAG: "real"}
        each = to_live(type_, wire, "real")
        live[each.id] = each
        group = ArmId(subscription=each.id.subscription, group=each.id.group)
        live[group] = Live(id=group, wire={"id": str(group), "location": "japaneast"}, state=LiveState.SETTLED)
    return Snapshot(taken_at=0.0, live=live)


def imported(azure: Stage, snapshot: Snapshot, policy: str | None = None) -> Fleet:
    """What `import` writes about a snapshot, read again."""
    first = next(iter(snapshot.live)).subscription
    documents, unclear = describe_live(snapshot, Choice(subscription=first, fleet="real"))
    assert not unclear
    if policy is not None:
        documents = [
            {**each, "lifecycle": {"policy": policy}} if each["kind"] == "Account" else each for each in documents
        ]
    return azure.load(write_documents(documents))


def plan_of(fleet: Fleet, snapshot: Snapshot) -> Plan:
    return make_plan(fleet, snapshot)


def sources() -> list[Any]:
    return [pytest.param("ours", id="in-our-words"), *(pytest.param(name, id=name[4:-5]) for name in FILES)]


def bodies_of(source: str) -> tuple[Body, ...]:
    return OURS if source == "ours" else recorded(source)


@pytest.mark.parametrize("source", sources())
@pytest.mark.parametrize("policy", ["observe", "manage"])
async def test_an_import_of_a_real_account_plans_empty(azure: Stage, source: str, policy: str) -> None:
    snapshot = owned(bodies_of(source))
    fleet = imported(azure, snapshot, policy)
    assert [id for id in fleet.desired if id.segments]
    plan = plan_of(fleet, snapshot)
    assert told(plan) == []
    assert not plan.steps
    assert not [finding for finding in fleet.findings if finding.severity is Severity.ERROR]


# By hand: the two recorded OpenAI accounts with their deployments, and ours, as somebody would declare them.
def written(source: str) -> list[Document]:
    fleet = fleet_document("real", subscription=ZERO, location="japaneast")
    if source == "ours":
        account = account_document(
            "Ours-1",
            resourceGroup="rg-ours",
            location="Japan East",
            kind="OpenAI",
            customSubDomainName="Ours-1",
            disableLocalAuth=False,
            publicNetworkAccess="Enabled",
            networkAcls={"defaultAction": "Deny", "ipRules": ["198.51.100.0/24", {"value": "203.0.113.9"}]},
            identity={"type": "SystemAssigned"},
            allowProjectManagement=False,
            deployments=[model("Chat", "0125")],
        )
        return [fleet, account]
    account = account_document(
        "cs_cli_test_000002",
        resourceGroup="clitest.rg000001",
        location="japaneast",
        kind="OpenAI",
        disableLocalAuth=False,
        publicNetworkAccess="Enabled",
        networkAcls={"defaultAction": "Allow"},
        identity={"type": "None"},
        restrictOutboundNetworkAccess=False,
        allowedFqdnList=[],
        deployments=[model(dpy(source), "0613" if "2023" in source else "0125")],
    )
    return [fleet, account]


def dpy(source: str) -> str:
    return next(str(body["id"]).rpartition("/")[2] for body in recorded(source) if body["type"].lower() == DEPLOYMENT)


def model(name: str, version: str) -> Document:
    return {
        "name": name,
        "model": {"format": "OpenAI", "name": "gpt-35-turbo", "version": version},
        "sku": {"name": "Standard", "capacity": 1},
        "versionUpgradeOption": "OnceNewDefaultVersionAvailable",
        "dynamicThrottlingEnabled": False,
    }


BY_HAND = ("ours", *FILES[:2])

EDITS: tuple[tuple[str, Document], ...] = (
    ("disableLocalAuth", {"disableLocalAuth": True}),
    ("publicNetworkAccess", {"publicNetworkAccess": "Disabled"}),
    ("identity.type", {"identity": {"type": "None"}}),
    ("restrictOutboundNetworkAccess", {"restrictOutboundNetworkAccess": True}),
    ("allowedFqdnList", {"allowedFqdnList": ["example.com"]}),
    ("tags.team", {"tags": {"team": "x"}}),
    ("kind", {"kind": "AIServices"}),
)
DEPLOYMENT_EDITS: tuple[tuple[str, Document], ...] = (
    ("sku.capacity", {"sku": {"name": "Standard", "capacity": 2}}),
    ("sku.name", {"sku": {"name": "GlobalStandard", "capacity": 1}}),
    ("model.version", {"model": {"name": "gpt-35-turbo", "version": "1106"}}),
    ("model.name", {"model": {"name": "gpt-4o"}}),
    ("versionUpgradeOption", {"versionUpgradeOption": "NoAutoUpgrade"}),
    ("raiPolicyName", {"raiPolicyName": "Microsoft.DefaultV2"}),
    ("dynamicThrottlingEnabled", {"dynamicThrottlingEnabled": True}),
)


@pytest.mark.parametrize("source", BY_HAND)
async def test_a_desired_state_written_for_a_real_account_plans_empty(azure: Stage, source: str) -> None:
    snapshot = owned(bodies_of(source))
    assert told(plan_of(azure.load(written(source)), snapshot)) == []


@pytest.mark.parametrize("source", BY_HAND)
async def test_one_changed_field_plans_exactly_that_field(azure: Stage, source: str) -> None:
    snapshot = owned(bodies_of(source))
    for path, edit in EDITS:
        fleet, account = written(source)
        edited = {**account, "spec": {**account["spec"], **edit}}
        if path == "identity.type" and source != "ours":
            edited["spec"]["identity"] = {"type": "SystemAssigned"}
        found = changed(plan_of(azure.load([fleet, edited]), snapshot))
        assert list(found.values()) == [{path}], (path, found)
    for path, edit in DEPLOYMENT_EDITS:
        fleet, account = written(source)
        one = {**account["spec"]["deployments"][0], **edit}
        edited = {**account, "spec": {**account["spec"], "deployments": [one]}}
        found = changed(plan_of(azure.load([fleet, edited]), snapshot))
        assert list(found.values()) == [{path}], (path, found)


@pytest.mark.parametrize("source", sources())
async def test_a_real_account_seen_over_the_wire_is_imported_and_plans_empty(azure: Stage, source: str) -> None:
    """The same bodies, held by the simulation and read through the SDK: not one request more than reads."""
    bodies = bodies_of(source)
    await azure.seed_world(subscriptions=[{"subscriptionId": ZERO}], resources=list(bodies))
    anybody = azure.load([fleet_document("real", subscription=ZERO)])
    async with azure.world(anybody, read_only=True) as world:
        scope = Scope(subscription=ZERO, fleet="real", ids=(), everything=True)
        snapshot = await world.cloud.observe(scope)
    assert {str(body["id"]).lower() for body in bodies} <= {id.key for id in snapshot.live}
    fleet = imported(azure, snapshot)
    assert told(await azure.dry_run(fleet)) == []
    await azure.converge(fleet)
    assert await azure.writes() == []
