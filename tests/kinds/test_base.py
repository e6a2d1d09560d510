"""The field table at work: read, compare, compose, describe; each from the same line of the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.kinds import account, catalog, deployment, rai_policy, resource_group
from reconciler.kinds.base import (
    ResourceType,
    Setting,
    compose,
    compose_patch,
    declare,
    describe,
    project,
    settle,
)
from reconciler.kinds.catalog import KINDS, TYPES, kind_named, type_of
from reconciler.kinds.common import child_lifecycle
from reconciler.kinds.diff import compare, is_ignored
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import Lifecycle
from reconciler.model.plan import Effect
from reconciler.model.resource import OWNER_TAG, LiveState
from reconciler.model.wire import Json, JsonObject
from tests.support.builders import (
    FLEET,
    SETTING,
    SUBSCRIPTION,
    account_id,
    account_spec,
    declare_account,
    declare_group,
    decorate,
    deployment_id,
    deployment_spec,
    document,
    filter_id,
    group_id,
    live_of,
    open_spec,
)

VNET = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/V/subnets/X"


def changed(type_: ResourceType, fields: dict[str, Json], wire: JsonObject, *ignore: str) -> list[str]:
    return [change.path for change in compare(type_, fields, wire, ignore)]


def test_every_type_is_found_by_its_name_in_any_case() -> None:
    for type_ in TYPES:
        assert type_of(type_.arm_type.upper()) is type_
    assert type_of("Microsoft.Compute/virtualMachines") is None
    assert [kind_named(kind.name) for kind in KINDS] == list(KINDS)
    assert kind_named("Nothing") is None


# --- what people write


def test_only_what_was_written_is_owned() -> None:
    (each,) = declare_account(spec=account_spec())
    assert set(each.fields) == {"kind", "sku.name", "location", "publicNetworkAccess", f"tags.{OWNER_TAG}"}


def test_properties_that_no_table_knows_pass_through_leaf_by_leaf() -> None:
    fields = declare(account.TYPE, {"additionalProperties": {"encryption": {"keySource": "x"}, "empty": {}, "n": None}})
    assert fields == {"encryption.keySource": "x", "empty": {}, "n": None}
    body = compose(account.TYPE, fields, None)
    assert body["properties"] == {"encryption": {"keySource": "x"}, "empty": {}}


def test_a_null_map_or_list_of_named_items_owns_nothing() -> None:
    assert declare(deployment.TYPE, {"tags": None}) == {}
    assert declare(rai_policy.TYPE, {"contentFilters": None, "customBlocklists": []}) == {}


def test_a_list_that_is_no_list_of_items_owns_nothing() -> None:
    assert declare(rai_policy.TYPE, {"contentFilters": ["x"]}) == {}


def test_null_says_azures_default_where_there_is_one() -> None:
    assert declare(account.TYPE, {"disableLocalAuth": None}) == {"disableLocalAuth": False}


def test_a_tag_is_one_tag_in_whatever_case_and_the_document_has_the_last_word() -> None:
    setting = Setting(
        fleet=FLEET, subscription=SUBSCRIPTION, group="rg-ai", location="x", tags={"Team": "ai", "stage": "prod"}
    )
    for desired in (
        declare_account(spec=account_spec(tags={"team": "other"}), setting=setting)[0],
        declare_group(spec={"tags": {"team": "other"}}, setting=setting)[0],
    ):
        tags = {path: value for path, value in desired.fields.items() if path.startswith("tags.")}
        assert tags == {"tags.team": "other", "tags.stage": "prod", f"tags.{OWNER_TAG}": FLEET}
    assert declare(deployment.TYPE, {"tags": {"A": "1", "a": "2"}}) == {"tags.a": "2"}


def test_identities_that_the_type_leaves_no_place_for_are_declared_away() -> None:
    (each,) = declare_account(spec=account_spec(identity={"type": "SystemAssigned"}))
    assert each.fields["identity.userAssignedIdentities"] == []
    both = {"type": "UserAssigned", "userAssignedIdentities": [_identity("A")]}
    (each,) = declare_account(spec=account_spec(identity=both))
    assert each.fields["identity.userAssignedIdentities"] == [_identity("A").lower()]


def _identity(name: str) -> str:
    return f"/subscriptions/S/resourceGroups/G/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"


# --- what is live


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Succeeded", LiveState.SETTLED),
        ("", LiveState.SETTLED),
        ("Disabled", LiveState.SETTLED),
        ("FAILED", LiveState.FAILED),
        ("Canceled", LiveState.FAILED),
        ("Deleting", LiveState.DELETING),
        ("Accepted", LiveState.IN_PROGRESS),
        ("SomethingNew", LiveState.IN_PROGRESS),
    ],
)
def test_a_provisioning_state_means_one_of_four_things(word: str, state: LiveState) -> None:
    assert settle(account.TYPE, {"properties": {"provisioningState": word}}) == (state, word)


def test_a_resource_without_a_provisioning_state_is_settled() -> None:
    assert settle(resource_group.TYPE, {"location": "x"}) == (LiveState.SETTLED, "")
    assert settle(resource_group.TYPE, {"properties": {"provisioningState": 7}}) == (LiveState.SETTLED, "")


FULL_ACCOUNT: dict[str, Any] = account_spec(
    kind="OpenAI",
    customSubDomainName="one",
    disableLocalAuth=True,
    publicNetworkAccess="Enabled",
    networkAcls={
        "defaultAction": "Deny",
        "bypass": "None",
        "ipRules": ["203.0.113.0/24", "198.51.100.7"],
        "virtualNetworkRules": [VNET],
    },
    identity={"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": [_identity("A")]},
    restrictOutboundNetworkAccess=True,
    allowedFqdnList=["b.example.com", "a.example.com"],
    allowProjectManagement=True,
    tags={"team": "ai"},
    additionalProperties={"encryption": {"keySource": "Microsoft.KeyVault"}},
)
FULL_DEPLOYMENT: dict[str, Any] = {
    "model": {"format": "OpenAI", "name": "gpt-4o", "version": "1", "publisher": "p", "source": "s"},
    "sku": {"name": "Standard", "capacity": 10},
    "versionUpgradeOption": "NoAutoUpgrade",
    "raiPolicyName": "s",
    "dynamicThrottlingEnabled": True,
    "spilloverDeploymentName": "e",
    "tags": {"team": "ai"},
}
FULL_FILTER: dict[str, Any] = {
    "basePolicyName": "Microsoft.DefaultV2",
    "mode": "Default",
    "contentFilters": [{"name": "Hate", "source": "Prompt", "enabled": True, "blocking": False}],
    "customBlocklists": [{"blocklistName": "a:b", "source": "Prompt", "blocking": True}],
}


def _account_fields() -> dict[str, Json]:
    return dict(declare_account(spec=FULL_ACCOUNT)[0].fields)


FULL: list[tuple[ResourceType, dict[str, Json]]] = [
    (account.TYPE, _account_fields()),
    (deployment.TYPE, declare(deployment.TYPE, FULL_DEPLOYMENT)),
    (rai_policy.TYPE, declare(rai_policy.TYPE, FULL_FILTER)),
    (resource_group.TYPE, {"location": "swedencentral", "tags.team": "ai"}),
]
EACH_FIELD = [(type_, fields, path) for type_, fields in FULL for path in fields]


@pytest.mark.parametrize(("type_", "fields"), FULL, ids=lambda value: getattr(value, "word", None))
def test_what_was_composed_compares_equal_and_projects_to_itself(type_: ResourceType, fields: dict[str, Json]) -> None:
    body = compose(type_, fields, None)
    assert compare(type_, fields, body) == ()
    assert project(type_, body, fields) == fields


@pytest.mark.parametrize(
    ("type_", "fields", "path"), EACH_FIELD, ids=lambda value: value if isinstance(value, str) else ""
)
def test_any_owned_field_that_changes_is_named_alone(type_: ResourceType, fields: dict[str, Json], path: str) -> None:
    body = compose(type_, fields, None)
    without = type_.lens(path).write(body, None)
    different = type_.lens(path).write(body, _another(fields[path]))
    assert changed(type_, fields, different) == [path]
    implied = type_.lens(path).field.default == fields[path]
    assert changed(type_, fields, without) == ([] if implied else [path])


def _another(value: Json) -> Json:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case list():
            return [value[0] if isinstance(value[0], dict) else "192.0.2.1", "192.0.2.2"] if value else ["192.0.2.1"]
        case _:
            return f"{value}x"


@pytest.mark.parametrize(("type_", "fields"), FULL, ids=lambda value: getattr(value, "word", None))
def test_what_servers_add_is_not_a_change(type_: ResourceType, fields: dict[str, Json]) -> None:
    id = account_id() if type_ is account.TYPE else deployment_id()
    wire = decorate(id, compose(type_, fields, None))
    wire = type_.lens("somethingNew").write(wire, {"a": 1})
    assert compare(type_, fields, wire) == ()


@pytest.mark.parametrize(
    ("path", "spelling"),
    [
        ("location", "Sweden Central"),
        ("customSubDomainName", "ONE"),
        ("networkAcls.ipRules", [{"value": "198.51.100.7/32"}, {"value": "203.0.113.0/24"}]),
        ("networkAcls.virtualNetworkRules", [{"id": VNET.upper(), "state": "Succeeded"}]),
        ("identity.type", "SystemAssigned,UserAssigned"),
        ("identity.userAssignedIdentities", {_identity("A").upper(): {"clientId": "c", "principalId": "p"}}),
        ("allowedFqdnList", ["a.example.com", "b.example.com"]),
    ],
)
def test_azures_spelling_of_the_same_is_not_a_change(path: str, spelling: Json) -> None:
    fields = _account_fields()
    wire = compose(account.TYPE, fields, None)
    place = account.TYPE.lens(path).field.wire
    raw: Any = wire
    for key in place[:-1]:
        raw = raw[key]
    raw[place[-1]] = spelling
    assert compare(account.TYPE, fields, wire) == ()
    again = compose(account.TYPE, {path: fields[path]}, wire)
    assert project(account.TYPE, again, [path]) == {path: fields[path]}


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_absent_null_and_empty_are_the_same_nothing(nothing: Json) -> None:
    live: JsonObject = {"properties": {"encryption": nothing, "customSubDomainName": nothing}}
    assert changed(account.TYPE, {"encryption": None}, live) == []
    assert changed(account.TYPE, {"encryption": {}}, live) == []
    assert changed(account.TYPE, {"encryption": []}, {"properties": {}}) == []
    (change,) = compare(account.TYPE, {"customSubDomainName": "one"}, live)
    assert change.effect is Effect.IN_PLACE


def test_an_empty_tag_is_a_tag() -> None:
    assert changed(account.TYPE, {"tags.marker": ""}, {"tags": {"marker": ""}}) == []
    assert changed(account.TYPE, {"tags.marker": ""}, {"tags": {}}) == ["tags.marker"]


def test_a_tag_is_found_in_any_case_and_tags_of_others_are_silent() -> None:
    assert changed(account.TYPE, {"tags.team": "ai"}, {"tags": {"TEAM": "ai", "theirs": "x"}}) == []
    assert changed(account.TYPE, {"tags.team": None}, {"tags": {"TEAM": "ai"}}) == ["tags.team"]


@pytest.mark.parametrize("wire", [{"tags": ["x"]}, {"tags": 3}, {"tags": None}, {}])
def test_a_map_of_another_type_holds_no_key(wire: JsonObject) -> None:
    assert changed(account.TYPE, {"tags.team": "ai"}, wire) == ["tags.team"]
    assert compose_patch(account.TYPE, {"tags.team": "ai"}, wire) == {"tags": {"team": "ai"}}


@pytest.mark.parametrize("items", [None, "x", [None, 3, {}], [{"source": "Prompt"}], [{"name": "Hate"}]])
def test_items_without_their_keys_are_nobodys(items: Json) -> None:
    fields = declare(rai_policy.TYPE, {"contentFilters": [{"name": "Hate", "source": "Prompt", "enabled": True}]})
    assert changed(rai_policy.TYPE, fields, {"properties": {"contentFilters": items}}) == list(fields)
    body: Any = compose(rai_policy.TYPE, fields, {"properties": {"contentFilters": items}})
    assert {"name": "Hate", "source": "Prompt", "enabled": True} in body["properties"]["contentFilters"]


def test_a_key_that_holds_a_colon_is_written_back_whole() -> None:
    fields = declare(rai_policy.TYPE, FULL_FILTER)
    body: Any = compose(rai_policy.TYPE, fields, None)
    assert body["properties"]["customBlocklists"] == FULL_FILTER["customBlocklists"]
    alone: dict[str, Any] = {"customBlocklists": [{"blocklistName": "a:b", "source": "Prompt"}]}
    body = compose(rai_policy.TYPE, declare(rai_policy.TYPE, alone), None)
    assert body["properties"]["customBlocklists"] == alone["customBlocklists"]


# --- what is sent


def test_a_patch_of_the_firewall_carries_all_of_it() -> None:
    acls: JsonObject = {"defaultAction": "Deny", "bypass": "None", "ipRules": [{"value": "192.0.2.1"}]}
    live: JsonObject = {"properties": {"networkAcls": acls, "endpoint": "https://x"}, "location": "x"}
    body = compose_patch(account.TYPE, {"networkAcls.defaultAction": "Allow"}, live)
    assert body == {"properties": {"networkAcls": {**acls, "defaultAction": "Allow"}}}
    assert acls["defaultAction"] == "Deny"


def test_a_patch_of_a_tag_keeps_the_tags_of_others() -> None:
    live: JsonObject = {"tags": {"theirs": "x", "Team": "old"}}
    assert compose_patch(account.TYPE, {"tags.team": "ai"}, live) == {"tags": {"theirs": "x", "team": "ai"}}
    assert compose_patch(account.TYPE, {"tags.team": None}, live) == {"tags": {"theirs": "x"}}


def test_a_patch_of_an_identity_sends_nothing_that_the_service_made() -> None:
    live: JsonObject = {
        "identity": {
            "type": "UserAssigned",
            "principalId": "p",
            "tenantId": "t",
            "userAssignedIdentities": {"/A": {"clientId": "c", "principalId": "p"}, "/B": None},
        }
    }
    body = compose_patch(account.TYPE, {"identity.type": "SystemAssigned, UserAssigned"}, live)
    assert body == {
        "identity": {"type": "SystemAssigned, UserAssigned", "userAssignedIdentities": {"/A": {}, "/B": None}}
    }


def test_a_put_keeps_what_we_do_not_own_and_leaves_out_what_is_read_only() -> None:
    (one, of) = declare_account(spec=open_spec(deployments=[deployment_spec()]))
    for type_, desired in ((account.TYPE, one), (deployment.TYPE, of)):
        wire: Any = decorate(desired.id, compose(type_, desired.fields, None))
        wire["properties"]["theirs"] = {"a": 1}
        body: Any = compose(type_, desired.fields, wire)
        assert body["properties"]["theirs"] == {"a": 1}
        assert not {"id", "name", "type", "etag", "systemData"} & set(body)
        made = {"provisioningState", "endpoint", "endpoints", "internalId", "isMigrated", "capabilities", "dateCreated"}
        made |= {"callRateLimit", "privateEndpointConnections", "currentCapacity", "rateLimits", "quotaLimit"}
        assert not made & set(body["properties"])


def test_a_create_says_no_null_and_nothing_that_an_absent_object_implies() -> None:
    fields = declare(
        account.TYPE, {"customSubDomainName": None, "networkAcls": {"defaultAction": "Allow", "ipRules": []}}
    )
    assert compose(account.TYPE, fields, None) == {"properties": {}}
    denied = declare(account.TYPE, {"networkAcls": {"defaultAction": "Deny", "ipRules": []}})
    body: Any = compose(account.TYPE, denied, None)
    assert body["properties"] == {"networkAcls": {"defaultAction": "Deny"}}


def test_a_put_takes_away_what_must_be_absent() -> None:
    live: JsonObject = {"properties": {"raiPolicyName": "s", "model": {"name": "m"}}}
    assert compose(deployment.TYPE, {"raiPolicyName": None}, live) == {"properties": {"model": {"name": "m"}}}


# --- what a change takes


@pytest.mark.parametrize(
    ("fields", "wire", "effect"),
    [
        ({"location": "eastus"}, {"location": "westus"}, Effect.REPLACE),
        ({"kind": "AIServices"}, {"kind": "OpenAI"}, Effect.IN_PLACE),
        ({"kind": "OpenAI"}, {"kind": "AIServices"}, Effect.IN_PLACE),
        ({"kind": "OpenAI"}, {"kind": "Face"}, Effect.REPLACE),
        ({"kind": "OpenAI"}, {"kind": ["Face"]}, Effect.REPLACE),
        ({"customSubDomainName": "one"}, {"properties": {"customSubDomainName": "two"}}, Effect.REPLACE),
        ({"allowProjectManagement": True}, {}, Effect.IN_PLACE),
        ({"allowProjectManagement": False}, {"properties": {"allowProjectManagement": True}}, Effect.ONE_WAY),
    ],
)
def test_each_field_knows_what_changing_it_takes(fields: dict[str, Json], wire: JsonObject, effect: Effect) -> None:
    (change,) = compare(account.TYPE, fields, wire)
    assert change.effect is effect


@pytest.mark.parametrize("path", ["model.format", "model.name", "model.publisher", "sku.name"])
def test_a_deployment_is_made_again_for_another_value_but_never_because_azure_left_one_out(path: str) -> None:
    fields = declare(deployment.TYPE, FULL_DEPLOYMENT)
    body = compose(deployment.TYPE, fields, None)
    (other,) = compare(deployment.TYPE, fields, deployment.TYPE.lens(path).write(body, "other"))
    (left_out,) = compare(deployment.TYPE, fields, deployment.TYPE.lens(path).write(body, None))
    assert (other.effect, left_out.effect) == (Effect.REPLACE, Effect.IN_PLACE)


@pytest.mark.parametrize(
    ("fields", "wire", "opens", "closes"),
    [
        ({"publicNetworkAccess": "Enabled"}, {"publicNetworkAccess": "Disabled"}, True, False),
        ({"publicNetworkAccess": "Disabled"}, {}, False, True),
        ({"networkAcls.defaultAction": "Deny"}, {}, False, True),
        ({"networkAcls.defaultAction": "Allow"}, {"networkAcls": {"defaultAction": "Deny"}}, True, False),
        ({"networkAcls.ipRules": ["192.0.2.1"]}, {}, True, False),
        ({"networkAcls.ipRules": []}, {"networkAcls": {"ipRules": [{"value": "192.0.2.1"}]}}, False, True),
        ({"networkAcls.bypass": "AzureServices"}, {"networkAcls": {"bypass": "None"}}, True, False),
        ({"networkAcls.bypass": "None"}, {"networkAcls": {"bypass": "AzureServices"}}, False, True),
        ({"disableLocalAuth": True}, {}, False, True),
        ({"disableLocalAuth": False}, {"disableLocalAuth": True}, True, False),
        ({"restrictOutboundNetworkAccess": True}, {}, False, True),
        ({"allowedFqdnList": ["a"]}, {"allowedFqdnList": "nonsense"}, True, False),
    ],
)
def test_each_change_of_exposure_knows_its_direction(
    fields: dict[str, Json], wire: JsonObject, opens: bool, closes: bool
) -> None:
    (change,) = compare(account.TYPE, fields, {"properties": wire})
    assert (change.opens, change.closes) == (opens, closes)


def test_capacity_and_model_never_change_in_one_write_and_less_comes_first() -> None:
    wire: JsonObject = {"properties": {"model": {"version": "1"}}, "sku": {"capacity": 10}}
    split = deployment.TYPE.split
    shrink = compare(deployment.TYPE, {"model.version": "2", "sku.capacity": 5, "raiPolicyName": "s"}, wire)
    grow = compare(deployment.TYPE, {"model.version": "2", "sku.capacity": 20}, wire)
    only = compare(deployment.TYPE, {"sku.capacity": 20, "raiPolicyName": "s"}, wire)
    assert split(shrink) == (("sku.capacity",), ("model.version", "raiPolicyName"))
    assert split(grow) == (("model.version",), ("sku.capacity",))
    assert split(only) == (("raiPolicyName", "sku.capacity"),)


def test_the_subdomain_comes_before_the_firewall_that_needs_it() -> None:
    fields = declare(account.TYPE, open_spec(disableLocalAuth=True))
    changes = compare(account.TYPE, fields, {"properties": {"publicNetworkAccess": "Disabled"}})
    first, second = account.TYPE.split(changes)
    assert "customSubDomainName" in first
    assert second == ("networkAcls.defaultAction", "networkAcls.ipRules", "publicNetworkAccess")
    assert account.TYPE.split(changes[1:2]) == ((changes[1].path,),)


@pytest.mark.parametrize(
    ("fields", "units"),
    [
        ({"sku.name": "GlobalProvisionedManaged", "sku.capacity": 15}, 15),
        ({"sku.name": "ProvisionedManaged"}, 1),
        ({"sku.name": "GlobalStandard", "sku.capacity": 15}, 0),
        ({}, 0),
    ],
)
def test_provisioned_units_are_the_ones_that_are_billed(fields: dict[str, Json], units: int) -> None:
    assert deployment.TYPE.billed(fields) == units
    assert account.TYPE.billed(fields) == 0


# --- what is not looked at


@pytest.mark.parametrize(
    ("path", "pattern", "ignored"),
    [
        ("tags.costCentre", "tags.costcentre", True),
        ("tags.costCentre", "tags.cost*", True),
        ("tags.costCentre", "tags", True),
        ("tags.team", "tags.cost*", False),
        ("tagsandmore", "tags", False),
        ("tags.a[b]c", "tags.a[b]c", True),
        ("tags.ab", "tags.a[b]", False),
        ("tags.größe", "tags.GRÖSSE", False),
        ("tags.größe", "TAGS.GRÖßE", True),
        ("networkAcls.ipRules", "networkAcls", True),
        ("contentFilters[Hate:Prompt].enabled", "contentFilters", True),
        ("contentFilters[Hate:Prompt].enabled", "contentFilters[hate:prompt]", True),
        ("contentFilters[Hate:Prompt].enabled", "contentFilters[*].enabled", True),
        ("contentFilters[Hate:Prompt].enabled", "contentFilters[Hate:Completion]", False),
        ("sku.capacity", "*", True),
    ],
)
def test_a_pattern_ignores_a_path_and_all_below_it(path: str, pattern: str, ignored: bool) -> None:
    assert is_ignored(path, [pattern]) is ignored


@pytest.mark.parametrize(
    ("pattern", "for_child"),
    [
        ("deployments[gpt-4o].sku.capacity", ("sku.capacity",)),
        ("Deployments[GPT-4O].sku", ("sku",)),
        ("deployments[gpt-*].sku.capacity", ("sku.capacity",)),
        ("deployments[*].tags.cost*", ("tags.cost*",)),
        ("deployments[gpt-4o]", ("*",)),
        ("deployments", ("*",)),
        ("deployments[gpt-4].sku.capacity", ()),
        ("deployments[gpt-4o]x.sku", ()),
        ("raiPolicies[gpt-4o].mode", ()),
        ("tags.team", ()),
    ],
)
def test_a_child_ignores_what_its_document_says_about_it(pattern: str, for_child: tuple[str, ...]) -> None:
    lifecycle = Lifecycle(ignore=(pattern,), adopt=True, prevent_destroy=True, allow=frozenset({"delete"}))
    child = child_lifecycle(lifecycle, "deployments[gpt-4o]")
    assert child == Lifecycle(ignore=for_child, adopt=True, prevent_destroy=True, allow=frozenset({"delete"}))


# --- what documents stand for


def test_an_account_document_stands_for_the_account_and_each_child_and_they_need_each_other() -> None:
    filters = [{"name": "Strict", "basePolicyName": "Microsoft.DefaultV2"}]
    one, filter_, of = declare_account(
        spec=account_spec(raiPolicies=filters, deployments=[deployment_spec(raiPolicyName="strict")])
    )
    assert one.needs == (one.id.parent,)
    assert filter_.needs == (one.id,)
    assert of.needs == (one.id, filter_.id)
    assert [str(each.ref) for each in (one, filter_, of)] == [
        "Account/one",
        "Account/one/raiPolicies/Strict",
        "Account/one/deployments/d",
    ]


def test_tokens_per_minute_remember_the_offer_that_they_are_counted_in() -> None:
    spec = {"name": "d", "model": {"name": "GPT-4o"}, "sku": {"name": "Standard", "tpm": "1.5M"}}
    _, of = declare_account(spec=account_spec(deployments=[spec]))
    assert of.throughput is not None
    assert of.throughput.tokens_per_minute == 1_500_000
    assert of.throughput.offer.model == "gpt-4o"
    assert of.throughput.offer.version == ""
    assert [deployment.read_tpm(text) for text in ("450000", "450k", "0.5M")] == [450_000, 450_000, 500_000]


def test_a_renamed_document_keeps_its_name_in_azure() -> None:
    moved = Setting(
        fleet=FLEET,
        subscription=SUBSCRIPTION,
        location="x",
        moved={Ref(kind="Account", name="new"): "old", Ref(kind="ResourceGroup", name="home"): "rg-old"},
    )
    (one,) = declare_account("new", account_spec(resourceGroup="home"), setting=moved)
    (home,) = declare_group("home", setting=moved)
    assert one.id == account_id("old", "rg-old")
    assert one.needs == (home.id,)


def test_a_group_says_only_where_it_is_and_its_tags() -> None:
    (group,) = declare_group(spec={"tags": {"team": None}})
    assert dict(group.fields) == {"location": "swedencentral", "tags.team": None, f"tags.{OWNER_TAG}": FLEET}
    assert compose(resource_group.TYPE, group.fields, None) == {
        "location": "swedencentral",
        "tags": {OWNER_TAG: FLEET},
    }
    assert SETTING.name_of(group.ref) == "rg-ai"


def test_describing_what_is_live_gives_the_table_back() -> None:
    wire = compose(deployment.TYPE, declare(deployment.TYPE, FULL_DEPLOYMENT), None)
    described = describe(deployment.TYPE, wire)
    assert declare(deployment.TYPE, described) == declare(deployment.TYPE, FULL_DEPLOYMENT)
    kept = describe(deployment.TYPE, {}, keep=frozenset({"sku.capacity"}))
    assert kept == {"sku": {"capacity": 1}}


def test_describing_an_account_gives_a_document_that_declares_it_as_it_is() -> None:
    declared = declare_account(spec=FULL_ACCOUNT | {"raiPolicies": [{"name": "s", **FULL_FILTER}]})
    one, filter_ = (live_of(each.id, compose(_type_of(each.id), each.fields, None)) for each in declared)
    of = live_of(deployment_id(), compose(deployment.TYPE, declare(deployment.TYPE, FULL_DEPLOYMENT), None))
    own = live_of(filter_id("microsoft.DefaultV2"), {"properties": {"mode": "Default"}})
    other = live_of(group_id(), {})
    spec: Any = account.KIND.describe(one, (of, filter_, own, other))
    assert [each["name"] for each in spec["raiPolicies"]] == ["s"]
    assert [each["name"] for each in spec["deployments"]] == ["d"]
    assert spec["resourceGroup"] == "rg-ai"
    assert declare(account.TYPE, spec).items() <= dict(declared[0].fields).items()


@pytest.mark.parametrize(
    ("properties", "acls"),
    [
        ({}, {"defaultAction": "Allow"}),
        ({"networkAcls": {"ipRules": [{"value": "192.0.2.1"}]}}, {"defaultAction": "Allow", "ipRules": ["192.0.2.1"]}),
        ({"publicNetworkAccess": "Disabled"}, None),
    ],
)
def test_describing_an_open_account_says_that_it_is_open(properties: JsonObject, acls: Json) -> None:
    spec = account.KIND.describe(live_of(account_id(), {"properties": properties}), ())
    assert spec.get("networkAcls") == acls
    assert "deployments" not in spec


def test_describing_a_group_says_where_it_is() -> None:
    assert resource_group.KIND.describe(live_of(group_id(), {"location": "x", "tags": {}}), ()) == {"location": "x"}


def _type_of(id: ArmId) -> ResourceType:
    type_ = type_of(id.type)
    assert type_
    return type_


def test_a_document_without_a_region_anywhere_is_told_where_to_write_one() -> None:
    nowhere = Setting(fleet=FLEET, subscription=SUBSCRIPTION, group="rg-ai")
    expansion = account.KIND.expand(document(account.KIND, "one", account_spec()), nowhere)
    assert [finding.code for finding in expansion.findings] == ["location_missing"]
    assert expansion.desired == ()


def test_two_kinds_of_one_name_are_refused_at_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "KIND", resource_group.KIND)
    with pytest.raises(ImportError, match="same name"):
        exec(compile(Path(catalog.__file__).read_text(), catalog.__file__, "exec"), {"__name__": "again"})


def test_a_map_key_is_looked_for_in_its_own_map_only() -> None:
    assert account.TYPE.lens("tagsome").field.wire == ("properties", "tagsome")
    assert rai_policy.TYPE.lens("contentFilters[broken").field.wire == ("properties", "contentFilters[broken")
    assert compose_patch(account.TYPE, {"disableLocalAuth": True}, {"identity": None}) == {
        "properties": {"disableLocalAuth": True}
    }
