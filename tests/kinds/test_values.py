"""Normal forms: total, idempotent, and blind to what Azure is blind to."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds import account, dns_zone_group, rules, subnet, values
from reconciler.kinds.addresses import prefixes
from reconciler.kinds.base import ResourceType, compose, declare
from reconciler.kinds.catalog import TYPES
from reconciler.model.wire import Json, JsonObject
from tests.model.test_wire import JSONS

NORMALS = [
    values.location,
    values.folded,
    values.names,
    values.one_of("Deny"),
    values.networks,
    values.subnet_rules,
    values.identity_type,
    values.id_keys,
    values.whole_number,
]
NSG = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/networkSecurityGroups/Guard"
ZONE = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/privateDnsZones/Privatelink.X"
EMPTY: JsonObject = {"sourceAddressPrefixes": []}
VNET = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/virtualNetworks/V/subnets/X"


@pytest.mark.parametrize("normal", NORMALS)
@given(value=JSONS | st.floats())
def test_a_normal_form_takes_any_json_and_is_its_own_normal_form(normal: object, value: Json) -> None:
    assert callable(normal)
    once = normal(value)
    assert repr(normal(once)) == repr(once)


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.word)
@given(value=JSONS, other=JSONS)
def test_no_field_stumbles_over_a_live_value_of_an_unexpected_type(type_: object, value: Json, other: Json) -> None:
    for each in type_.fields:  # type: ignore[attr-defined]
        before, after = each.normal(value), each.normal(other)
        each.effect(before, after)
        each.opens(before, after)
        each.cuts(before, after)
        each.to_wire(after)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["203.0.113.7/32"], ["203.0.113.7"]),
        ([{"value": "203.0.113.0/24"}, "198.51.100.7"], ["198.51.100.7", "203.0.113.0/24"]),
        (["203.0.113.9/24"], ["203.0.113.0/24"]),
        ([" 203.0.113.7 ", "203.0.113.7"], ["203.0.113.7"]),
    ],
)
def test_ip_rules_are_a_set_of_networks(one: Json, other: Json) -> None:
    assert values.networks(one) == values.networks(other)


def test_what_is_no_network_stays_as_it_is() -> None:
    assert values.networks(["everybody", {"other": 1}]) == ["None", "everybody"]
    assert values.networks_to_wire(["203.0.113.7"]) == [{"value": "203.0.113.7"}]
    assert values.networks_to_wire("x") == "x"


def test_subnet_rules_are_a_set_of_ids_in_any_case() -> None:
    assert values.subnet_rules([VNET, VNET.lower()]) == values.subnet_rules(
        [{"id": VNET.upper(), "ignoreMissingVnetServiceEndpoint": False, "state": "Succeeded"}]
    )
    assert values.subnet_rules([VNET]) != values.subnet_rules([{"id": VNET, "ignoreMissingVnetServiceEndpoint": True}])


def test_identities_are_compared_without_order_spacing_or_what_azure_keeps_with_them() -> None:
    assert values.identity_type("UserAssigned,SystemAssigned") == values.identity_type("SystemAssigned, UserAssigned")
    assert values.id_keys({"/A": {"clientId": "c"}}) == values.id_keys(["/a"]) == ["/a"]
    assert values.id_keys_to_wire(["/a"]) == {"/a": {}}
    assert values.id_keys_to_wire(None) is None


@given(st.text())
def test_a_folded_word_is_compared_in_lower_case_and_written_as_it_was_said(word: str) -> None:
    folded = values.Folded(word)
    assert folded == word.lower() == values.Folded(word.lower())
    assert hash(folded) == hash(word.lower())
    assert values.as_said(folded) == values.as_said(values.Folded(folded)) == word
    assert type(values.as_said(folded)) is str
    assert json.dumps(folded) == json.dumps(word.lower())


@given(JSONS)
def test_what_nobody_folded_is_said_as_it_is(value: Json) -> None:
    assert values.as_said(value) == value


@pytest.mark.parametrize(
    ("type_", "path", "value", "wire"),
    [
        (subnet.TYPE, "networkSecurityGroup", NSG, {"networkSecurityGroup": {"id": NSG}}),
        (subnet.TYPE, "serviceEndpoints", ["Contoso.Things"], {"serviceEndpoints": [{"service": "Contoso.Things"}]}),
        (
            account.TYPE,
            "networkAcls.virtualNetworkRules",
            [VNET],
            {"networkAcls": {"virtualNetworkRules": [{"id": VNET, "ignoreMissingVnetServiceEndpoint": False}]}},
        ),
        (account.TYPE, "customSubDomainName", "Aoai-One", {"customSubDomainName": "Aoai-One"}),
        (
            dns_zone_group.TYPE,
            "privateDnsZones",
            [ZONE],
            {"privateDnsZoneConfigs": [{"name": "privatelink-x", "properties": {"privateDnsZoneId": ZONE}}]},
        ),
    ],
)
def test_a_write_keeps_the_spelling_of_whoever_said_it_last(
    type_: ResourceType, path: str, value: Json, wire: JsonObject
) -> None:
    spec: JsonObject = {}
    for key in reversed(path.split(".")):
        spec = {key: spec or value}
    fields = declare(type_, spec)
    assert compose(type_, fields, None)["properties"] == wire
    shouted: Json = json.loads(json.dumps({"properties": wire}).replace("Aoai", "AOAI").replace("/S/", "/s/"))
    assert isinstance(shouted, dict)
    assert compose(type_, fields, shouted) == shouted


def test_a_service_tag_that_is_not_known_here_is_written_as_it_was_said() -> None:
    rule = rules.write_rule({"name": "r"}, "sourceAddressPrefixes", values.as_said(prefixes(["ContosoTag.WestEurope"])))
    assert rule == {"name": "r", "properties": {"sourceAddressPrefix": "ContosoTag.WestEurope", **EMPTY}}
    assert prefixes(["contosotag.westeurope"]) == prefixes(["ContosoTag.WestEurope"])


def test_a_number_is_whole_however_azure_writes_it() -> None:
    assert values.whole_number(10.0) == 10
    assert values.whole_number(10.5) == 10.5


def test_a_closed_word_has_the_spelling_that_is_known_and_another_stays_as_it_was_said() -> None:
    fold = values.one_of("AzureServices", "None")
    assert fold("AZURESERVICES") == "AzureServices"
    assert fold("Unheard") == fold("UNHEARD")
    assert values.as_said(fold("Unheard")) == "Unheard"
