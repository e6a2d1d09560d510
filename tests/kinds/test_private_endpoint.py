"""Private endpoints: where they lead, what cannot change, what a write keeps, and what is wrong between documents."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds import dns_zone_group, endpoint, private_endpoint
from reconciler.kinds.base import compose, project, read_links
from reconciler.kinds.diff import compare
from reconciler.model.finding import Finding, Severity
from reconciler.model.ids import ArmId
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.plan import DecisionState, Effect
from reconciler.model.resource import Desired, Live
from reconciler.model.wire import Json, JsonObject
from tests.desired.trees import GROUP, SUBSCRIPTION, account, load
from tests.kinds.test_private_dns_zone import NAME, link, zone
from tests.kinds.test_virtual_network import app, network, word_at

HOME = ArmId(subscription=SUBSCRIPTION, group="rg-ai")
ID = HOME.resource(endpoint.TYPE.arm_type, "pe")
ACCOUNT = HOME.resource("Microsoft.CognitiveServices/accounts", "aoai")
SUBNET = HOME.resource("Microsoft.Network/virtualNetworks", "vnet-ai").child("subnets", "app")
ELSEWHERE = "/subscriptions/00000000-0000-0000-0000-0000000000ff/resourceGroups/Rg-Far/providers"
VAULT = f"{ELSEWHERE}/Microsoft.KeyVault/vaults/Kv-Far"
SERVICE = f"{ELSEWHERE}/Microsoft.Network/privateLinkServices/Pls-Far"
AOAI = account("aoai", "publicNetworkAccess: Disabled, customSubDomainName: aoai-1")
RECORDED = Path(os.environ.get("RECONCILER_RECORDINGS", Path(__file__).parents[2].parent / "shared/azure/recorded"))


def written(spec: str = "account: aoai", name: str = "pe", subnet: str = "vnet-ai/app") -> str:
    head = f"apiVersion: reconciler/v1\nkind: PrivateEndpoint\nmetadata: {{name: {name}}}\nspec:\n"
    return f"{head}  subnet: {subnet}\n" + "".join(f"  {line}\n" for line in spec.split("; "))


def wanted(root: Path, *documents: str) -> dict[ArmId, Desired]:
    estate = load(root, GROUP, network(app()), AOAI, *documents)
    assert [each for each in estate.findings if each.severity is Severity.ERROR] == []
    return dict(estate.fleets[0].desired)


def live_endpoint(status: str = "Approved", manual: bool = False, **more: Json) -> JsonObject:
    """An endpoint as Azure answers it."""
    state: JsonObject = {"status": status, "description": "words", "actionsRequired": "None"}
    row: JsonObject = {
        "name": "theirs",
        "id": f"{ID}/privateLinkServiceConnections/theirs",
        "etag": "1",
        "type": "x",
        "properties": {
            "provisioningState": "Succeeded",
            "privateLinkServiceId": str(ACCOUNT).upper(),
            "groupIds": ["Account"],
            "privateLinkServiceConnectionState": state,
        },
    }
    lists = ("manualPrivateLinkServiceConnections", "privateLinkServiceConnections")
    properties: JsonObject = {
        "provisioningState": "Succeeded",
        "resourceGuid": "g",
        lists[manual]: [],
        lists[not manual]: [row],
        "customNetworkInterfaceName": "",
        "subnet": {"id": str(SUBNET).upper()},
        "ipConfigurations": [],
        "networkInterfaces": [{"id": "nic"}],
        "customDnsConfigs": [{"fqdn": "a"}],
        "applicationSecurityGroups": [{"id": "theirs"}],
    }
    return {"name": "pe", "location": "swedencentral", "etag": "1", "properties": {**properties, **more}}


def test_an_endpoint_needs_its_group_its_subnet_and_its_account(tmp_path: Path) -> None:
    desired = wanted(tmp_path, written())[ID]
    assert desired.needs == (HOME, SUBNET, ACCOUNT)
    assert desired.fields["privateLinkServiceId"] == ACCOUNT.key
    assert desired.fields["groupIds"] == ["account"]


@pytest.mark.parametrize(("target", "groups"), [(VAULT, "; groupIds: [vault]"), (SERVICE, "")])
def test_an_endpoint_leads_to_anything_anywhere(tmp_path: Path, target: str, groups: str) -> None:
    desired = wanted(tmp_path, written(f"privateLinkServiceId: {target}{groups}"))[ID]
    body: Any = compose(endpoint.TYPE, desired.fields, None)
    (row,) = body["properties"]["privateLinkServiceConnections"]
    assert row["properties"]["privateLinkServiceId"] == target
    assert row["name"] == target.rpartition("/")[2]
    assert row["properties"].get("groupIds", []) == (["vault"] if groups else [])


def test_what_azure_spells_its_own_way_is_silence(tmp_path: Path) -> None:
    desired = wanted(tmp_path, written())[ID]
    fields = {path: value for path, value in desired.fields.items() if not path.startswith("tags.")}
    assert compare(endpoint.TYPE, fields, live_endpoint()) == ()


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (f"privateLinkServiceId: {VAULT}; groupIds: [vault]", "privateLinkServiceId"),
        (f"privateLinkServiceId: {VAULT}; groupIds: [vault]", "groupIds"),
        ("account: aoai; approval: manual", "approval"),
        ("account: aoai; approval: manual; requestMessage: x", "requestMessage"),
        ("account: aoai; ipConfigurations: [{privateIPAddress: 10.1.1.9}]", "ipConfigurations"),
        ("account: aoai; customNetworkInterfaceName: nic", "customNetworkInterfaceName"),
    ],
)
def test_what_cannot_be_changed_takes_a_new_endpoint(tmp_path: Path, spec: str, path: str) -> None:
    changes = compare(endpoint.TYPE, wanted(tmp_path, written(spec))[ID].fields, live_endpoint())
    assert {each.path: each.effect for each in changes}[path] is Effect.REPLACE


def test_another_subnet_takes_a_new_endpoint(tmp_path: Path) -> None:
    other = network(app(), app(prefix="10.1.9.0/24", name="other"))
    estate = load(tmp_path, GROUP, other, AOAI, written(subnet="vnet-ai/other"))
    (change,) = [
        each
        for each in compare(endpoint.TYPE, estate.fleets[0].desired[ID].fields, live_endpoint())
        if each.path == "subnet"
    ]
    assert change.effect is Effect.REPLACE


def test_to_connect_at_once_opens_and_to_ask_does_not(tmp_path: Path) -> None:
    def opening(spec: str, live: JsonObject) -> set[str]:
        return {
            each.path for each in compare(endpoint.TYPE, wanted(tmp_path, written(spec))[ID].fields, live) if each.opens
        }

    assert opening("account: aoai", {}) == {"approval"}
    assert opening("account: aoai; approval: manual", {}) == set()
    assert opening(f"privateLinkServiceId: {VAULT}; groupIds: [vault]", live_endpoint()) == {"privateLinkServiceId"}


def test_a_put_for_a_tag_keeps_all_that_is_there_and_sends_nothing_that_azure_made() -> None:
    live = live_endpoint(
        ipConfigurations=[{"name": "default", "id": "i", "etag": "1", "properties": {"privateIPAddress": "10.1.1.9"}}]
    )
    body: Any = compose(endpoint.TYPE, {"tags.team": "ai", "approval": "automatic"}, live)
    assert body["tags"] == {"team": "ai"}
    assert body["properties"] == {
        "privateLinkServiceConnections": [
            {
                "name": "theirs",
                "properties": {"privateLinkServiceId": str(ACCOUNT).upper(), "groupIds": ["Account"]},
            }
        ],
        "manualPrivateLinkServiceConnections": [],
        "customNetworkInterfaceName": "",
        "subnet": {"id": str(SUBNET).upper()},
        "ipConfigurations": [{"name": "default", "properties": {"privateIPAddress": "10.1.1.9"}}],
        "applicationSecurityGroups": [{"id": "theirs"}],
    }


def test_a_manual_connection_is_written_into_the_list_of_those_who_ask(tmp_path: Path) -> None:
    fields = wanted(tmp_path, written("account: aoai; approval: manual; requestMessage: please"))[ID].fields
    for order in (fields, {path: fields[path] for path in reversed([*fields])}):
        body: Any = compose(endpoint.TYPE, order, None)
        (row,) = body["properties"]["manualPrivateLinkServiceConnections"]
        assert not body["properties"].get("privateLinkServiceConnections")
        assert row["name"] == "aoai"
        assert row["properties"]["requestMessage"] == "please"


def test_static_addresses_say_what_they_are_for(tmp_path: Path) -> None:
    fields = wanted(tmp_path, written("account: aoai; ipConfigurations: [{privateIPAddress: 10.1.1.9}]"))[ID].fields
    body: Any = compose(endpoint.TYPE, fields, None)
    assert body["properties"]["ipConfigurations"] == [
        {
            "name": "default",
            "properties": {"groupId": "account", "memberName": "default", "privateIPAddress": "10.1.1.9"},
        }
    ]
    assert project(endpoint.TYPE, body, ["ipConfigurations"]) == {"ipConfigurations": fields["ipConfigurations"]}


def test_an_endpoint_uses_its_subnet_and_its_target_until_it_goes() -> None:
    assert {*read_links(endpoint.TYPE, live_endpoint())} == {SUBNET.key, ACCOUNT.key}


@pytest.mark.parametrize(
    ("status", "manual", "state", "word"),
    [
        ("Pending", True, DecisionState.BLOCKED, "waits for the owner"),
        ("Rejected", False, DecisionState.BLOCKED, "rejected the connection: words"),
        ("Disconnected", False, DecisionState.ACT, "does not connect a second time"),
    ],
)
def test_a_connection_that_is_not_let_through_says_why(
    status: str, manual: bool, state: DecisionState, word: str
) -> None:
    hold = endpoint.TYPE.held(live_endpoint(status, manual))
    assert hold is not None
    assert hold.state is state
    assert word in hold.reason


def test_an_approved_connection_holds_nothing_up() -> None:
    assert endpoint.TYPE.held(live_endpoint()) is None
    assert endpoint.TYPE.held({}) is None


# -- zone groups


def test_zones_make_a_zone_group_that_needs_them(tmp_path: Path) -> None:
    found = wanted(tmp_path, zone(link()), written(f"account: aoai; privateDnsZones: [{NAME}]"))
    group_ = found[ID.child("privateDnsZoneGroups", "default")]
    zone_id = HOME.resource("Microsoft.Network/privateDnsZones", NAME)
    assert group_.needs == (ID, zone_id)
    assert group_.fields == {"privateDnsZones": [zone_id.key]}
    assert found[ID].leaves == frozenset()


def test_a_zone_group_that_others_keep_is_watched_or_not_looked_at(tmp_path: Path) -> None:
    zones = f"privateDnsZones: [{NAME}]"
    required = wanted(tmp_path, zone(link()), written(f"account: aoai; {zones}; dnsZoneGroup: require"))
    assert required[ID.child("privateDnsZoneGroups", "default")].lifecycle.policy is ManagePolicy.REQUIRE
    left = wanted(tmp_path, written("account: aoai"))
    assert ID.child("privateDnsZoneGroups", "default") not in left
    assert left[ID].leaves == {dns_zone_group.TYPE.arm_type.lower()}


def test_a_configuration_never_changes_its_zone() -> None:
    old, new = "/a/privatednszones/z.example", "/b/privatednszones/z.example"
    config: JsonObject = {"name": "z-example", "properties": {"privateDnsZoneId": old, "recordSets": [{}]}}
    live: JsonObject = {"properties": {"privateDnsZoneConfigs": [config]}}
    body: Any = compose(dns_zone_group.TYPE, {"privateDnsZones": [new]}, live)
    (made,) = body["properties"]["privateDnsZoneConfigs"]
    assert made == {"name": "z-example-2", "properties": {"privateDnsZoneId": new}}


@given(st.lists(st.sampled_from([f"/{group}/privatednszones/{name}" for group in "ab" for name in "xyz"]), unique=True))
def test_whatever_zones_there_were_those_that_are_wanted_are_written_and_keep_their_names(zones: list[str]) -> None:
    before: Any = compose(dns_zone_group.TYPE, {"privateDnsZones": [*sorted(zones[::2])]}, None)
    after: Any = compose(dns_zone_group.TYPE, {"privateDnsZones": [*sorted(zones)]}, copy.deepcopy(before))
    configs = after["properties"].get("privateDnsZoneConfigs", [])
    assert sorted(each["properties"]["privateDnsZoneId"] for each in configs) == sorted(zones)
    assert len({each["name"] for each in configs}) == len(configs)
    for each in before["properties"].get("privateDnsZoneConfigs", []):
        assert each in configs


# -- mistakes


@pytest.mark.parametrize(
    ("spec", "said", "hint", "at"),
    [
        ("tags: {a: b}", "does not say where it leads", "add `account`", "apiVersion"),
        ("account: aoia", "which no document declares", "did you mean aoai?", "aoia"),
        (f"account: aoai; privateLinkServiceId: {VAULT}", "both account and privateLinkServiceId", "keep one", VAULT),
        (f"privateLinkServiceId: {VAULT}", "does not say what of Kv-Far it means", "add groupIds", VAULT),
        (f"privateLinkServiceId: {SERVICE}; groupIds: [x]", "a private link service has none", "remove", "groupIds"),
        ("privateLinkServiceId: vault", "'vault' is not an ARM id", "/subscriptions/", "vault"),
        ("account: aoai; groupIds: [openai]", "an account offers account, not openai", "remove groupIds", "groupIds"),
        ("account: aoai; requestMessage: x", "who is not asked", "approval: manual", "x"),
        ("account: aoai; approval: auto", "approval cannot be 'auto'", "automatic", "auto"),
        ("account: aoai; dnsZoneGroup: own", "dnsZoneGroup: own needs privateDnsZones", "name the zones", "own"),
        (
            f"account: aoai; privateDnsZones: [{NAME}]; dnsZoneGroup: leave",
            "leave does not look at them",
            "own",
            "leave",
        ),
        (
            "account: aoai; privateDnsZones: [privatelink.opnai.azure.com]",
            "no document declares",
            NAME,
            "privatelink.opn",
        ),
        (f"account: aoai; privateDnsZones: [{NAME}, {NAME}]", "names privatelink.openai.azure.com twice", "keep", NAME),
        (
            "account: aoai; ipConfigurations: [{privateIPAddress: 10.1.1}]",
            "'10.1.1' is not an IP",
            "10.1.2.10",
            "10.1.1",
        ),
        (
            "account: aoai; ipConfigurations: [{privateIPAddress: 10.1.9.9}]",
            "is not an address of",
            "choose",
            "10.1.9.9",
        ),
        (
            "account: aoai; ipConfigurations: [{privateIPAddress: 10.1.1.3}]",
            "that Azure keeps",
            "10.1.1.4 on",
            "10.1.1.3",
        ),
        (
            "account: aoai; ipConfigurations: [{privateIPAddress: 10.1.1.255}]",
            "that Azure keeps",
            "10.1.1.4",
            "10.1.1.255",
        ),
        (
            (
                "account: aoai; ipConfigurations: [{privateIPAddress: 10.1.1.9}, "
                "{privateIPAddress: 10.1.1.9, memberName: a}]"
            ),
            "names 10.1.1.9 twice",
            "change or remove",
            "10.1.1.9, memberName",
        ),
        (
            "account: aoai; location: eastus",
            "is in eastus, its network vnet-ai in swedencentral",
            "swedencentral",
            "east",
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(tmp_path: Path, spec: str, said: str, hint: str, at: str) -> None:
    finding = only(load(tmp_path, GROUP, network(app()), AOAI, zone(link()), written(spec)).findings)
    assert said in finding.message
    assert hint in finding.hint
    assert word_at(tmp_path, finding).startswith(at)


@pytest.mark.parametrize(
    ("subnet", "said", "hint"),
    [
        ("vnet-ia/app", "no document declares a VirtualNetwork vnet-ia", "did you mean vnet-ai?"),
        ("vnet-ai/ap", "VirtualNetwork/vnet-ai declares no such subnet", "did you mean app?"),
        ("app", "'app' does not name a subnet", "network/subnet"),
    ],
)
def test_a_subnet_that_is_not_there_is_told(tmp_path: Path, subnet: str, said: str, hint: str) -> None:
    finding = only(load(tmp_path, GROUP, network(app()), AOAI, written(subnet=subnet)).findings)
    assert said in finding.message
    assert hint in finding.hint
    assert word_at(tmp_path, finding).startswith(subnet)


def test_an_account_without_a_subdomain_cannot_be_reached(tmp_path: Path) -> None:
    finding = only(load(tmp_path, GROUP, network(app()), account("aoai"), written()).findings)
    assert "has no customSubDomainName; Azure refuses" in finding.message
    assert word_at(tmp_path, finding).startswith("aoai")


def test_two_endpoints_cannot_have_one_address(tmp_path: Path) -> None:
    spec = "account: aoai; ipConfigurations: [{privateIPAddress: 10.1.1.9}]"
    finding = only(load(tmp_path, GROUP, network(app()), AOAI, written(spec), written(spec, "pe-2")).findings)
    assert "10.1.1.9 is taken by PrivateEndpoint/pe" in finding.message


@pytest.mark.parametrize(
    ("kind", "zones", "lacking"),
    [
        ("OpenAI", (NAME,), ()),
        ("OpenAI", ("privatelink.cognitiveservices.azure.com",), (NAME,)),
        ("AIServices", (NAME,), ("privatelink.cognitiveservices.azure.com", "privatelink.services.ai.azure.com")),
        ("OpenAI", ("privatelink.openai.azure.us",), ()),
        (
            "AIServices",
            ("privatelink.openai.azure.us", "privatelink.services.ai.azure.us"),
            ("privatelink.cognitiveservices.azure.us",),
        ),
        ("FormRecognizer", (), ()),
    ],
)
def test_every_kind_of_account_has_its_own_zones(kind: str, zones: tuple[str, ...], lacking: tuple[str, ...]) -> None:
    assert dns_zone_group.missing_zones(kind, zones) == lacking


def test_a_zone_that_clients_need_and_nobody_names_is_a_warning(tmp_path: Path) -> None:
    kind = account("aoai", "kind: AIServices, publicNetworkAccess: Disabled, customSubDomainName: aoai-1")
    spec = f"account: aoai; privateDnsZones: [{NAME}]"
    finding = only(load(tmp_path, GROUP, network(app()), kind, zone(link()), written(spec)).findings)
    assert finding.severity is Severity.WARNING
    assert "privatelink.cognitiveservices.azure.com, privatelink.services.ai.azure.com" in finding.message
    assert word_at(tmp_path, finding).startswith("privateDnsZones")


def test_what_is_live_is_described_so_that_it_would_be_silence(tmp_path: Path) -> None:
    live = Live(id=ID, wire=live_endpoint())
    spec: Any = private_endpoint.describe_endpoint(live, ())
    assert spec["subnet"] == str(SUBNET).upper()
    assert spec["approval"] == "automatic"
    assert "ipConfigurations" not in spec
    text = json.dumps({key: value for key, value in spec.items() if key != "subnet"}, indent=None)
    document = written(f"additionalProperties: {{}}; {text[1:-1].replace(', ', '; ')}", subnet=spec["subnet"])
    fields = load(tmp_path, GROUP, document.replace("  additionalProperties: {}\n", "")).fleets[0].desired[ID].fields
    assert compare(endpoint.TYPE, {k: v for k, v in fields.items() if not k.startswith("tags.")}, live.wire) == ()


@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recordings are not beside this checkout")
def test_a_recorded_endpoint_reads_as_it_was_asked_for() -> None:
    recorded: Any = json.loads((RECORDED / "cog_private_endpoint_connection.json").read_text())
    bodies = [
        each["response"]["body"]
        for each in recorded["exchanges"]
        if "/privateEndpoints/" in each["request"]["url"] and each["request"]["method"] == "GET"
    ]
    read = project(
        endpoint.TYPE, bodies[-1], ["approval", "groupIds", "ipConfigurations", "customNetworkInterfaceName"]
    )
    assert read == {
        "approval": "automatic",
        "groupIds": ["account"],
        "ipConfigurations": [],
        "customNetworkInterfaceName": None,
    }
    assert endpoint.TYPE.held(bodies[-1]) is None


def only(findings: tuple[Finding, ...]) -> Finding:
    (finding,) = findings
    return finding
