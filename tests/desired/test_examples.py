"""The examples are right, complete, and ask for models that the simulated Azure sells in those regions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.desired import load_estate
from reconciler.kinds.deployment import SKUS
from reconciler.model.resource import Desired, Estate
from tests.desired.trees import SUBSCRIPTION

ROOT = Path(__file__).parents[2]
EXAMPLES = [ROOT / "desired_state" / "demo", *sorted((ROOT / "desired_state" / "examples").iterdir())]
ENVIRONMENT = {
    "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
    "AZURE_TENANT_ID": SUBSCRIPTION,
    "AZURE_CLIENT_ID": SUBSCRIPTION,
    "AZURE_CLIENT_SECRET": "secret",
}
DEPLOYMENTS = "Microsoft.CognitiveServices/accounts/deployments"


def estate_of(name: str) -> Estate:
    return load_estate([next(each for each in EXAMPLES if each.name == name)], ENVIRONMENT)


def wanted(estate: Estate) -> list[Desired]:
    return [each for fleet in estate.fleets for each in fleet.desired.values()]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_an_example_has_nothing_wrong_with_it(example: Path) -> None:
    estate = load_estate([example], ENVIRONMENT)
    assert estate.findings == ()
    assert wanted(estate)


def test_all_examples_stand_side_by_side() -> None:
    assert load_estate([ROOT / "desired_state"], ENVIRONMENT).findings == ()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.name)
def test_an_example_asks_for_models_that_are_sold_in_its_regions(example: Path) -> None:
    catalogue: list[dict[str, Any]] = json.loads((ROOT / "armsim" / "data" / "models.json").read_text())
    by_id = {each.id: each for each in wanted(load_estate([example], ENVIRONMENT))}
    for each in by_id.values():
        if each.type != DEPLOYMENTS or each.id.parent is None:
            continue
        account = by_id[each.id.parent].fields
        sold = [
            sku["name"]
            for entry in catalogue
            if account["location"] in entry["locations"] and account["kind"] in entry["kind"]
            if (entry["model"]["name"], entry["model"]["version"])
            == (each.fields["model.name"], each.fields["model.version"])
            for sku in entry["model"]["skus"]
        ]
        assert each.fields["sku.name"] in sold, each.ref


def test_every_deployment_type_has_an_example() -> None:
    used = {each.fields["sku.name"] for each in wanted(estate_of("deployment-types")) if each.type == DEPLOYMENTS}
    assert used == set(SKUS)


def test_the_regions_of_the_gateway_are_those_of_its_models() -> None:
    estate = estate_of("regions-and-models")
    accounts = {each.id: each.fields.get("location") for each in wanted(estate)}
    spread: dict[object, set[object]] = {}
    for each in wanted(estate):
        if each.type == DEPLOYMENTS and each.id.parent:
            spread.setdefault(each.fields["model.name"], set()).add(accounts[each.id.parent])
    assert spread == {
        "gpt-4-32k": {"swedencentral", "switzerlandnorth"},
        "gpt-35-turbo-16k": {"australiaeast"},
        "text-embedding-ada-002": {"canadaeast"},
    }


def test_the_secure_account_is_closed_and_has_no_keys() -> None:
    (account,) = [each for each in wanted(estate_of("secure-account")) if each.type.endswith("/accounts")]
    assert account.fields["publicNetworkAccess"] == "Disabled"
    assert account.fields["networkAcls.defaultAction"] == "Deny"
    assert account.fields["disableLocalAuth"] is True


def test_two_clouds_are_two_fleets_with_their_own_endpoints() -> None:
    targets = {fleet.name: (fleet.target.endpoint, fleet.target.credential) for fleet in estate_of("two-clouds").fleets}
    assert targets == {
        "america": ("https://management.privatelink.azure.com", "clientSecret"),
        "europe": ("https://management.azure.com", "default"),
    }


def of_type(estate: Estate, type_: str) -> list[Desired]:
    return [each for each in wanted(estate) if each.type.lower() == type_.lower()]


@pytest.mark.parametrize("name", ["app-and-backend", "private-endpoints", "isolated-subscription"])
def test_an_account_of_a_private_example_is_reached_by_its_endpoint_only_and_without_keys(name: str) -> None:
    estate = estate_of(name)
    accounts = of_type(estate, "Microsoft.CognitiveServices/accounts")
    assert accounts
    led_to = {each.fields["privateLinkServiceId"] for each in of_type(estate, "Microsoft.Network/privateEndpoints")}
    for account in accounts:
        assert account.fields["publicNetworkAccess"] == "Disabled"
        assert account.fields["disableLocalAuth"] is True
        assert str(account.id).lower() in led_to


@pytest.mark.parametrize("name", ["app-and-backend", "private-endpoints", "isolated-subscription"])
def test_a_subnet_with_endpoints_lets_in_one_port_and_nothing_else(name: str) -> None:
    estate = estate_of(name)
    by_id = {str(each.id).lower(): each for each in wanted(estate)}
    for endpoint in of_type(estate, "Microsoft.Network/privateEndpoints"):
        subnet = by_id[str(endpoint.fields["subnet"])]
        assert subnet.fields["privateEndpointNetworkPolicies"] == "NetworkSecurityGroupEnabled"
        group = by_id[str(subnet.fields["networkSecurityGroup"])].fields
        rules = {path.split("[")[1].split("]")[0] for path in group if path.startswith("securityRules[")}
        told = sorted(
            (
                group[f"securityRules[{rule}].priority"],
                group[f"securityRules[{rule}].access"],
                group[f"securityRules[{rule}].destinationPortRanges"],
            )
            for rule in rules
        )
        assert told == [(100, "Allow", ["443"]), (4096, "Deny", ["*"])]


@pytest.mark.parametrize("name", ["app-and-backend", "private-endpoints", "isolated-subscription"])
def test_the_network_of_an_endpoint_resolves_its_zones(name: str) -> None:
    estate = estate_of(name)
    linked = {
        (str(each.id.parent).lower(), each.fields["virtualNetwork"])
        for each in of_type(estate, "Microsoft.Network/privateDnsZones/virtualNetworkLinks")
    }
    groups = of_type(estate, "Microsoft.Network/privateEndpoints/privateDnsZoneGroups")
    assert groups
    by_id = {each.id: each for each in wanted(estate)}
    for group in groups:
        assert group.id.parent is not None
        network = str(by_id[group.id.parent].fields["subnet"]).rpartition("/subnets/")[0]
        zones = group.fields["privateDnsZones"]
        assert isinstance(zones, list)
        assert {(str(zone), network) for zone in zones} <= linked


def test_the_isolated_subscription_is_entered_by_one_endpoint() -> None:
    fleets = {fleet.name: fleet for fleet in estate_of("isolated-subscription").fleets}
    main, isolated = fleets["main"], fleets["isolated"]
    assert main.subscription != isolated.subscription
    (endpoint,) = [each for each in main.desired.values() if each.type == "Microsoft.Network/privateEndpoints"]
    assert f"/subscriptions/{isolated.subscription}/" in str(endpoint.fields["privateLinkServiceId"])
    assert not [each for each in isolated.desired.values() if str(main.subscription) in str(each.fields)]
