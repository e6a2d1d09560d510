"""Documents become typed specs; YAML's traps do not reach them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.resource import Desired, Estate
from tests.desired.trees import account, load, tell

FIREWALL = "publicNetworkAccess: Enabled, customSubDomainName: x1"
BASE = "basePolicyName: Microsoft.DefaultV2"
HATE = "{name: Hate, source: Prompt}"
TWICE = f"contentFilters: [{HATE}, {HATE}]"
IDENTITY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"
IDENTITIES = f"userAssignedIdentities: [{IDENTITY}]"


def wanted(estate: Estate, ref: str) -> Desired:
    assert estate.findings == ()
    return next(each for each in estate.fleets[0].desired.values() if str(each.ref) == ref)


def deploy(model: str = "name: gpt-4, version: 0613", sku: str = "name: Standard, capacity: 1") -> str:
    return f"publicNetworkAccess: Disabled, deployments: [{{name: d, model: {{{model}}}, sku: {{{sku}}}}}]"


def test_a_version_that_looks_like_an_octal_number_stays_text(tmp_path: Path) -> None:
    estate = load(tmp_path, account(spec=deploy()))
    assert wanted(estate, "Account/aoai/deployments/d").fields["model.version"] == "0613"


def test_a_version_that_looks_like_a_date_stays_text(tmp_path: Path) -> None:
    estate = load(tmp_path, account(spec=deploy("name: gpt-4o, version: 2024-11-20")))
    assert wanted(estate, "Account/aoai/deployments/d").fields["model.version"] == "2024-11-20"


def test_words_that_yaml_takes_for_booleans_are_text_where_text_is_meant(tmp_path: Path) -> None:
    estate = load(tmp_path, account(spec="publicNetworkAccess: Disabled, tags: {on: no, y: off, n: 1e3, v: 1:30}"))
    fields = wanted(estate, "Account/aoai").fields
    assert {key: fields[f"tags.{key}"] for key in ("on", "y", "n", "v")} == {
        "on": "no",
        "y": "off",
        "n": "1e3",
        "v": "1:30",
    }


def test_null_says_that_a_tag_must_be_absent(tmp_path: Path) -> None:
    estate = load(tmp_path, account(spec="publicNetworkAccess: Disabled, tags: {old: null}"))
    assert wanted(estate, "Account/aoai").fields["tags.old"] is None


def test_unknown_properties_pass_through_as_json_would_have_them(tmp_path: Path) -> None:
    spec = "publicNetworkAccess: Disabled, additionalProperties: {a: {b: 3, c: 1.5}, d: true, e: 0613, f: '7', g: on}"
    fields = wanted(load(tmp_path, account(spec=spec)), "Account/aoai").fields
    passed = [fields[path] for path in ("a.b", "a.c", "d", "e", "f", "g")]
    assert passed == [3, 1.5, True, "0613", "7", "on"]


@pytest.mark.parametrize("capacity", ["300", "1_000", "+5"])
def test_whole_numbers_are_read(tmp_path: Path, capacity: str) -> None:
    estate = load(tmp_path, account(spec=deploy(sku=f"name: Standard, capacity: {capacity}")))
    assert wanted(estate, "Account/aoai/deployments/d").fields["sku.capacity"] == int(capacity)


@pytest.mark.parametrize("capacity", ["010", "1.0", "0x10", "1e3", "300k", "on", "1_"])
def test_what_is_not_a_whole_number_is_refused(tmp_path: Path, capacity: str) -> None:
    (finding,) = load(tmp_path, account(spec=deploy(sku=f"name: Standard, capacity: {capacity}"))).findings
    assert f"{capacity!r} is not a whole number" in finding.message


def test_the_lifecycle_reaches_every_resource_of_the_document(tmp_path: Path) -> None:
    lifecycle = "policy: observe, adopt: true, preventDestroy: true, ignore: [tags.x, 'deployments[d].sku.capacity']"
    estate = load(tmp_path, account(spec=deploy(), lifecycle=lifecycle))
    above, below = wanted(estate, "Account/aoai").lifecycle, wanted(estate, "Account/aoai/deployments/d").lifecycle
    assert above.policy is below.policy is ManagePolicy.OBSERVE
    assert (above.adopt, above.prevent_destroy) == (True, True)
    assert below.ignore == ("sku.capacity",)


def test_an_ip_rule_is_an_address_or_what_azure_writes(tmp_path: Path) -> None:
    acls = "networkAcls: {defaultAction: Deny, ipRules: [203.0.113.7, {value: 198.51.100.0/24}]}"
    spec = f"publicNetworkAccess: Enabled, customSubDomainName: x1, {acls}"
    fields = wanted(load(tmp_path, account(spec=spec)), "Account/aoai").fields
    assert fields["networkAcls.ipRules"] == ["198.51.100.0/24", "203.0.113.7"]


def test_each_field_knows_where_it_was_written(tmp_path: Path) -> None:
    found = wanted(load(tmp_path, account(spec=deploy())), "Account/aoai/deployments/d")
    text = (tmp_path / "all.yaml").read_text().splitlines()
    place = found.origins["model.version"]
    assert text[place.line - 1][place.column - 1 :].startswith("0613")


def test_an_identity_is_named_by_its_id(tmp_path: Path) -> None:
    spec = f"publicNetworkAccess: Disabled, identity: {{type: UserAssigned, {IDENTITIES}}}"
    fields = wanted(load(tmp_path, account(spec=spec)), "Account/aoai").fields
    assert fields["identity.userAssignedIdentities"] == [IDENTITY.lower()]


def test_an_enabled_endpoint_open_to_all_can_be_declared_without_a_subdomain(tmp_path: Path) -> None:
    spec = "publicNetworkAccess: Enabled, networkAcls: {defaultAction: Allow}"
    assert load(tmp_path, account(spec=spec)).findings == ()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (account(spec="publicNetworkAccess: on"), "publicNetworkAccess cannot be 'on' (write Enabled or Disabled)"),
        (account(spec="publicNetworkAccess: ~"), "publicNetworkAccess is empty (give it a value"),
        (account(spec="publicNetworkAccess: [Disabled]"), "publicNetworkAccess must be text, not a list"),
        (account(spec="publicNetworkAccess: Disabled, tpm: 3"), "unknown field tpm in spec (tpm belongs below sku"),
        (account(spec="publicNetworkAccess: Disabled, capacity: 3"), "unknown field capacity in spec"),
        (
            account(spec="publicNetworkAccess: Disabled, identity: {type: None, userAssignedIdentities: [x]}"),
            "'x' is not an ARM id (write /subscriptions/…/providers/Microsoft.ManagedIdentity/userAssignedIdentities",
        ),
        (
            account(spec="publicNetworkAccess: Disabled, resourceGroup: /subscriptions/s/resourceGroups/rg"),
            "write the name: rg",
        ),
        (account(spec="publicNetworkAccess: Disabled, location: 'a/b'"), "'a/b' cannot be a region"),
        (account(spec="publicNetworkAccess: Disabled, allowedFqdnList: ['https://x.y/z']"), "is not a host name"),
        (
            account(lifecycle="preventDestroy: true, allow: [delete]"),
            "lifecycle.allow cannot be: preventDestroy forbids",
        ),
        (account(lifecycle="adopt: true, policy: detach"), "lifecycle.adopt cannot be: policy detach"),
        (account(lifecycle="ignore: [deployment.x]"), "lifecycle.ignore names deployment.x, which a document"),
        (account(spec=f"publicNetworkAccess: Disabled, tags: {{k: {'v' * 257}}}"), "a tag value of 257 characters"),
        (account(spec="publicNetworkAccess: Disabled, tags: {'a/b': c}"), "'a/b' cannot be a tag"),
        (account(spec="publicNetworkAccess: Disabled, resourceGroup: 'rg.'"), "'rg.' cannot be a resource group"),
        (
            account(spec=f"{FIREWALL}, networkAcls: {{defaultAction: Deny, virtualNetworkRules: [/subscriptions/s]}}"),
            "this is the id of a Microsoft.Resources/subscriptions",
        ),
        (
            account(spec=f"publicNetworkAccess: Disabled, identity: {{type: SystemAssigned, {IDENTITIES}}}"),
            "write `type: SystemAssigned, UserAssigned`, or remove the list",
        ),
        (
            account(spec=f"publicNetworkAccess: Disabled, raiPolicies: [{{name: Microsoft.X, {BASE}}}]"),
            "the content filter Microsoft.X would be one of Azure's own",
        ),
        (
            account(spec=f"publicNetworkAccess: Disabled, raiPolicies: [{{name: x, {BASE}, {TWICE}}}]"),
            "contentFilters names hate for Prompt twice",
        ),
        (
            "apiVersion: reconciler/v1\nkind: ResourceGroup\nmetadata: {name: 'a b'}\n",
            "a resource group cannot be called 'a b'",
        ),
        (account(lifecycle="preventDestroy: 'true'"), "must be true or false, not quoted text"),
        (account(spec="publicNetworkAccess: Disabled, deployments: {}"), "write each item on a line of its own"),
        (account(name="'${X}'"), "the environment variable X is not set"),
        (account(name='""'), "metadata.name is empty"),
        ("kind: ResourceGroup\nmetadata: {name: rg-x}\n", "apiVersion is missing (add `apiVersion: reconciler/v1`"),
        (
            "apiVersion: reconciler/v1\nkind: Fleet\nmetadata: {name: x}\nspec: {}\nlifecycle: {}\n",
            "unknown field lifecycle",
        ),
    ],
)
def test_a_mistake_is_told_in_words(tmp_path: Path, document: str, expected: str) -> None:
    assert any(expected in line for line in tell(load(tmp_path, document), tmp_path))


def test_a_hundred_and_one_ip_rules_are_too_many(tmp_path: Path) -> None:
    rules = ", ".join(f"203.0.113.{at}" for at in range(101))
    acls = f"networkAcls: {{defaultAction: Deny, ipRules: [{rules}]}}"
    spec = f"publicNetworkAccess: Enabled, customSubDomainName: x1, {acls}"
    (finding,) = load(tmp_path, account(spec=spec)).findings
    assert (finding.message, finding.hint) == ("networkAcls.ipRules is 101 long", "it may have at most 100 items")


def test_both_halves_of_a_31_are_written_out(tmp_path: Path) -> None:
    acls = "networkAcls: {defaultAction: Deny, ipRules: [203.0.113.8/31]}"
    (finding,) = load(tmp_path, account(spec=f"publicNetworkAccess: Enabled, customSubDomainName: x1, {acls}")).findings
    assert finding.hint == "write the address without it: 203.0.113.8 and 203.0.113.9"
