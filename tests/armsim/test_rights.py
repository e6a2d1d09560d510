"""What a caller may do: the permissions API says what is enforced, and what is enforced is said."""

import random
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.armsim.asking import ACCOUNTS, CS, GROUP, SUB, Answer, Asker, model

S = f"/subscriptions/{SUB}"
NET = f"{GROUP}/providers/Microsoft.Network"
API = "providers/Microsoft.Authorization/permissions?api-version=2022-04-01"
GRAVE = f"{CS}/locations/westeurope/resourceGroups/rg/deletedAccounts/a1"
READER = {"scope": GROUP, "actions": ["*/read"], "notActions": []}
CONTRIBUTOR = {
    "scope": GROUP,
    "actions": ["Microsoft.CognitiveServices/*", "Microsoft.Authorization/*/read", "*/resourceGroups/read"],
    "notActions": ["Microsoft.CognitiveServices/accounts/listKeys/action"],
}
USAGES_READER = {"scope": S, "actions": ["Microsoft.CognitiveServices/locations/usages/read"]}


async def told(asker: Asker, scope: str) -> list[dict[str, Any]]:
    answer = await asker.get(f"{scope}/{API}")
    assert answer.status == 200, answer.text
    rows: list[dict[str, Any]] = answer.body["value"]
    return rows


def covered(rows: Sequence[dict[str, Any]], action: str) -> bool:
    """What a client makes of the answer: one entry is enough, and it has to give and not to take."""

    def named(patterns: Sequence[str]) -> bool:
        return any(re.fullmatch(".*".join(map(re.escape, each.split("*"))), action, re.IGNORECASE) for each in patterns)

    return any(named(row["actions"]) and not named(row["notActions"]) for row in rows)


def refused(answer: Answer, scope: str) -> bool:
    return (answer.status, answer.code) == (403, "AuthorizationFailed") and f"over scope '{scope}'" in answer.message


@pytest.mark.parametrize("scope", [S, GROUP, f"{ACCOUNTS}/a1", f"{ACCOUNTS}/a1/deployments/d1"])
async def test_everything_may_be_done_as_long_as_nothing_is_granted(asker: Asker, scope: str) -> None:
    await asker.account()
    await asker.deploy()
    assert await told(asker, scope) == [{"actions": ["*"], "notActions": [], "dataActions": [], "notDataActions": []}]


async def test_permissions_of_what_is_not_there_are_not_told(asker: Asker) -> None:
    assert (await asker.get(f"{S}/resourceGroups/none/{API}")).code == "ResourceGroupNotFound"
    assert (await asker.get(f"{ACCOUNTS}/none/{API}")).code == "ResourceNotFound"


async def test_a_denied_action_is_told_where_it_is_denied_and_below(asker: Asker) -> None:
    await asker.account()
    await asker.seed(denied=[{"scope": GROUP, "action": "Microsoft.CognitiveServices/accounts/deployments/*"}])
    written = "Microsoft.CognitiveServices/accounts/deployments/write"
    assert covered(await told(asker, S), written)
    assert not covered(await told(asker, GROUP), written)
    assert not covered(await told(asker, f"{ACCOUNTS}/a1"), written)
    answer = await asker.deploy()
    assert refused(answer, f"{ACCOUNTS}/a1/deployments/d1")
    assert written in answer.message


async def test_a_grant_holds_for_its_scope_and_below_and_for_whom_it_names(asker: Asker) -> None:
    await asker.seed(grants=[CONTRIBUTOR, {**READER, "scope": S, "principal": "somebody-else"}])
    await asker.account()
    assert (await asker.deploy()).status == 201
    assert await told(asker, GROUP) == [
        {
            "actions": CONTRIBUTOR["actions"],
            "notActions": CONTRIBUTOR["notActions"],
            "dataActions": [],
            "notDataActions": [],
        }
    ]
    assert refused(await asker.post(f"{ACCOUNTS}/a1/listKeys"), f"{ACCOUNTS}/a1")
    assert refused(await asker.get(f"{S}/{API}"), S)
    assert refused(
        await asker.put(f"{S}/resourceGroups/other", {"location": "westeurope"}), f"{S}/resourceGroups/other"
    )
    assert refused(await asker.delete(GROUP), GROUP)


async def test_a_purge_needs_its_right_at_the_subscription(asker: Asker) -> None:
    await asker.seed(grants=[{**CONTRIBUTOR, "actions": ["*"]}])
    await asker.account()
    await asker.delete(f"{ACCOUNTS}/a1")
    answer = await asker.delete(GRAVE)
    assert refused(answer, S)
    assert "Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts/delete" in answer.message
    assert refused(await asker.get(f"{CS}/deletedAccounts"), S)
    await asker.seed(grants=[{"scope": S, "actions": ["*/deletedAccounts/delete"]}])
    assert (await asker.delete(GRAVE)).status == 202


@pytest.mark.parametrize(
    "path",
    [
        f"{CS}/locations/westeurope/usages",
        f"{CS}/locations/westeurope/models",
        f"{CS}/modelCapacities?modelFormat=OpenAI&modelName=gpt-4o&modelVersion=2024-11-20",
        f"{CS}/quotaTiers/default",
        f"{CS}/skus",
        f"{S}/providers",
    ],
)
async def test_what_belongs_to_the_subscription_is_not_read_by_a_right_on_a_group(asker: Asker, path: str) -> None:
    await asker.seed(grants=[CONTRIBUTOR, READER])
    assert refused(await asker.get(path), S)
    await asker.seed(grants=[{"scope": S, "actions": ["*/read"]}])
    assert (await asker.get(path)).status == 200


async def test_a_reader_of_usages_reads_usages_and_nothing_else(asker: Asker) -> None:
    await asker.account()
    await asker.seed(grants=[USAGES_READER])
    assert (await asker.get(f"{CS}/locations/westeurope/usages")).status == 200
    assert (await asker.get(f"{CS}/locations/westeurope/models")).status == 403
    assert (await asker.get(f"{ACCOUNTS}/a1")).status == 403
    assert refused(await asker.get(ACCOUNTS), GROUP)
    assert (await asker.get(f"{CS}/accounts")).status == 403


async def test_lists_of_the_subscription_show_what_the_caller_may_read(asker: Asker) -> None:
    await asker.group("other")
    await asker.account("a1")
    other = ACCOUNTS.replace("/rg/", "/other/")
    await asker.seed(resources=[{"id": f"{other}/a2", "location": "westeurope"}], grants=[READER])
    for path, count in ((f"{CS}/accounts", 1), (f"{S}/resourceGroups", 1), (f"{S}/resources", 1)):
        assert len((await asker.get(path)).body["value"]) == count, path
    assert (await asker.get(f"{S}/providers/Microsoft.Network/virtualNetworks")).body["value"] == []
    await asker.seed(grants=[{**READER, "scope": S}])
    assert len((await asker.get(f"{CS}/accounts")).body["value"]) == 2


async def test_who_was_granted_nothing_knows_no_subscription(asker: Asker) -> None:
    await asker.seed(grants=[{**READER, "principal": "somebody-else"}])
    assert (await asker.get("/subscriptions")).body["value"] == []
    assert refused(await asker.get(S), S)
    assert (await asker.get("/tenants")).status == 200
    await asker.seed(grants=[READER])
    assert [each["subscriptionId"] for each in (await asker.get("/subscriptions")).body["value"]] == [SUB]
    assert (await asker.get(S)).status == 200


async def test_a_resource_of_a_provider_that_is_not_simulated_needs_its_right_too(asker: Asker) -> None:
    address = f"{GROUP}/providers/Microsoft.Network/publicIPAddresses/one"
    await asker.seed(resources=[{"id": address, "location": "westeurope"}], grants=[CONTRIBUTOR])
    answer = await asker.get(address)
    assert refused(answer, address)
    assert "Microsoft.Network/publicIPAddresses/read" in answer.message
    await asker.seed(grants=[READER])
    assert (await asker.get(address)).status == 200


async def test_an_operation_may_be_polled_by_who_may_read_operations_wherever_that_was_granted(asker: Asker) -> None:
    await asker.seed(grants=[CONTRIBUTOR])
    body = {"kind": "OpenAI", "sku": {"name": "S0"}, "location": "westeurope", "properties": {}}
    created = await asker.put(f"{ACCOUNTS}/a1", body)
    address = created.headers["azure-asyncoperation"]
    assert (await asker.get(address)).status == 200
    await asker.sim.control("PUT", "/_sim/settings", {"rights_lag": 0.0})
    writes = {"scope": GROUP, "actions": ["Microsoft.CognitiveServices/accounts/*"]}
    await asker.sim.control("PUT", "/_sim/rights", {"grants": [writes]})
    answer = await asker.get(address)
    assert refused(answer, S)
    assert "Microsoft.CognitiveServices/locations/operationResults/read" in answer.message


async def test_a_changed_right_takes_its_time(slow: Asker) -> None:
    await slow.account()
    await slow.sim.control("PUT", "/_sim/rights", {"grants": [READER]})
    assert (await slow.patch(f"{ACCOUNTS}/a1", {"tags": {}})).status == 200
    await slow.advance(599)
    assert await told(slow, GROUP) != [{**READER, "dataActions": [], "notDataActions": []}]
    saved = await slow.sim.control("GET", "/_sim/state")
    await slow.sim.control("PUT", "/_sim/state", saved)
    await slow.advance(2)
    assert refused(await slow.patch(f"{ACCOUNTS}/a1", {"tags": {}}), f"{ACCOUNTS}/a1")
    assert (await told(slow, GROUP))[0]["actions"] == ["*/read"]
    await slow.sim.control("PUT", "/_sim/settings", {"rights_lag": 0.0})
    await slow.sim.control("PUT", "/_sim/rights", {"grants": None, "denied": []})
    assert (await slow.patch(f"{ACCOUNTS}/a1", {"tags": {}})).status == 200
    rights = await slow.sim.control("GET", "/_sim/rights")
    assert rights == {"grants": None, "denied": [], "coming": []}


OF_SUBNET = {"addressPrefix": "10.0.1.0/24"}
USED = {"networkSecurityGroup": "networkSecurityGroups", "routeTable": "routeTables", "natGateway": "natGateways"}


@pytest.mark.parametrize("name", USED)
async def test_a_subnet_is_written_by_who_may_join_all_that_it_names_though_it_names_it_already(
    asker: Asker, name: str
) -> None:
    network, target = f"{NET}/virtualNetworks/v", f"{NET}/{USED[name]}/used"
    properties: dict[str, Any] = {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}
    body = {"location": "westeurope", "properties": properties}
    subnet = {"name": "s", "properties": {**OF_SUBNET, name: {"id": target}}}
    await asker.group()
    await asker.put(f"{NET}/networkSecurityGroups/used", {"location": "westeurope", "properties": {}})
    assert (await asker.put(network, body)).status == 201
    await asker.advance(60)
    assert (await asker.put(f"{network}/subnets/s", subnet)).status == 201
    await asker.advance(60)
    join = f"Microsoft.Network/{USED[name]}/join/action"
    await asker.seed(grants=[{"scope": S, "actions": ["*"], "notActions": [join]}])
    whole = {**body, "properties": {**properties, "subnets": [subnet]}}
    for path, sent in ((f"{network}/subnets/s", subnet), (network, whole)):
        answer = await asker.put(path, sent)
        assert (answer.status, answer.code) == (403, "LinkedAuthorizationFailed")
        assert join in answer.message
        assert target in answer.message
    assert (await asker.put(network, body)).status == 200


async def test_the_log_tells_by_which_actions_a_request_was_judged(asker: Asker) -> None:
    await asker.account(customSubDomainName="one")
    network = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/v"
    rule = {"id": f"{network}/subnets/s", "ignoreMissingVnetServiceEndpoint": True}
    acls = {"defaultAction": "Deny", "virtualNetworkRules": [rule]}
    await asker.sim.control("DELETE", "/_sim/requests")
    await asker.patch(f"{ACCOUNTS}/a1", {"properties": {"networkAcls": acls}})
    await asker.get(f"{S}/providers/microsoft.insights/eventtypes/management/values?$filter=x&api-version=2015-04-01")
    written, read = (await asker.sim.control("GET", "/_sim/requests"))["requests"][:2]
    assert written["actions"] == [
        "Microsoft.CognitiveServices/accounts/write",
        "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action",
    ]
    assert read["actions"] == ["Microsoft.Insights/eventtypes/values/read"]


async def test_rights_that_do_not_exist_are_named(asker: Asker) -> None:
    answer = await asker.raw("PUT", f"{asker.sim.endpoint}/_sim/rights", json={"roles": []})
    assert (answer.status, answer.body) == (
        400,
        {"error": "ValueError: no such rights: roles; there are denied, grants"},
    )


ACTIONS: dict[str, tuple[str, str, Any]] = {
    "Microsoft.CognitiveServices/accounts/read": ("GET", f"{ACCOUNTS}/a1", None),
    "Microsoft.CognitiveServices/accounts/write": ("PATCH", f"{ACCOUNTS}/a1", {"tags": {}}),
    "Microsoft.CognitiveServices/accounts/deployments/read": ("GET", f"{ACCOUNTS}/a1/deployments/d1", None),
    "Microsoft.CognitiveServices/accounts/deployments/write": ("PUT", f"{ACCOUNTS}/a1/deployments/d1", model()),
    "Microsoft.CognitiveServices/accounts/listKeys/action": ("POST", f"{ACCOUNTS}/a1/listKeys", {}),
}
PATTERNS = ("*", "*/read", "*/write", "Microsoft.CognitiveServices/*", "*/deployments/*", "*/accounts/*", *ACTIONS)
SCOPES = ("/", S, GROUP, f"{ACCOUNTS}/a1", f"{ACCOUNTS}/a2")


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_told_is_what_is_enforced(asker: Asker, seed: int) -> None:
    chance = random.Random(seed)
    await asker.account()
    await asker.deploy()
    grants = [
        {
            "scope": chance.choice(SCOPES),
            "actions": chance.sample(PATTERNS, chance.randrange(1, 4)),
            "notActions": chance.sample(PATTERNS[1:], chance.randrange(3)),
        }
        for _ in range(chance.randrange(1, 4))
    ]
    denied = [
        {"scope": chance.choice(SCOPES), "action": chance.choice(PATTERNS[1:])} for _ in range(chance.randrange(3))
    ]
    await asker.sim.control("PUT", "/_sim/settings", {"rights_lag": 0.0})
    asking = {"scope": "/", "actions": ["Microsoft.Authorization/permissions/read"]}
    await asker.sim.control("PUT", "/_sim/rights", {"grants": [*grants, asking], "denied": denied})
    for action, (method, path, body) in ACTIONS.items():
        answer = await asker.ask(method, path, body)
        target = re.sub("/listKeys$", "", path)
        if any(re.fullmatch(each["action"].replace("*", ".*"), asking["actions"][0]) for each in denied):
            continue
        assert covered(await told(asker, target), action) == (answer.status != 403), action


JOIN = "Microsoft.Network/virtualNetworks/subnets/joinViaServiceEndpoint/action"
ASSIGN = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/elsewhere/subnets/app"
IDENTITY = f"{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/app"


@pytest.mark.parametrize(
    ("action", "linked", "body"),
    [
        (JOIN, SUBNET, {"properties": {"networkAcls": {"virtualNetworkRules": [{"id": SUBNET}]}}}),
        (ASSIGN, IDENTITY, {"identity": {"type": "UserAssigned", "userAssignedIdentities": {IDENTITY: {}}}}),
    ],
)
async def test_an_account_uses_only_what_its_writer_may_use(
    asker: Asker, action: str, linked: str, body: dict[str, Any]
) -> None:
    await asker.account(customSubDomainName="names-a1")
    await asker.seed(denied=[{"scope": linked, "action": action}])
    answer = await asker.patch(f"{ACCOUNTS}/a1", body)
    assert (answer.status, answer.code) == (403, "LinkedAuthorizationFailed")
    assert action in answer.message
    assert linked in answer.message
    assert (await asker.patch(f"{ACCOUNTS}/a1", {"tags": {"a": "b"}})).status == 200
