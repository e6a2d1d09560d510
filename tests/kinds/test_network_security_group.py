"""Security groups: what a rule says, what opens, what a document may and may not say, how a write is put together."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired import load_estate
from reconciler.kinds import addresses
from reconciler.kinds.base import compose, project
from reconciler.kinds.diff import compare
from reconciler.kinds.network_security_group import TYPE, describe_group
from reconciler.kinds.rules import find_shadowed, opens_rule, read_rule, within, write_rule
from reconciler.model.finding import Finding, Severity
from reconciler.model.ids import ArmId
from reconciler.model.plan import FieldChange
from reconciler.model.resource import Desired, Live
from reconciler.model.wire import Json, JsonObject
from tests.desired.trees import FLEET, load, plant
from tests.model.test_wire import JSONS

S = "00000000-0000-0000-0000-000000000001"
ID = ArmId(subscription=S, group="rg-ai").resource(TYPE.arm_type, "nsg")
APP_GROUP = f"/subscriptions/{S}/resourceGroups/g/providers/Microsoft.Network/applicationSecurityGroups/Asg-App"

HTTPS = (
    "direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: 10.1.1.0/24, "
    "destinationAddressPrefix: 10.1.2.0/24, destinationPortRange: 443"
)
DENY = (
    "{name: deny, priority: 4096, direction: Inbound, access: Deny, protocol: Any, sourceAddressPrefix: Any, "
    "destinationAddressPrefix: Any, destinationPortRange: Any}"
)


def document(*rules: str, spec: str = "", lifecycle: str = "") -> str:
    """A group; every rule stands on a line of its own, the first on line 11 of the file."""
    lines = "".join(f"    - {rule}\n" for rule in rules) or "    []\n"
    more = f"  {spec}\n" if spec else ""
    after = f"lifecycle: {{{lifecycle}}}\n" if lifecycle else ""
    head = "apiVersion: reconciler/v1\nkind: NetworkSecurityGroup\nmetadata: {name: nsg}\nspec:\n  securityRules:\n"
    return head + lines + more + after


def https(name: str = "allow", priority: int = 100, said: str = HTTPS) -> str:
    return f"{{name: {name}, priority: {priority}, {said}}}"


def findings(root: Path, *rules: str, spec: str = "", lifecycle: str = "") -> tuple[Finding, ...]:
    return load(root, document(*rules, spec=spec, lifecycle=lifecycle)).findings


def wanted(root: Path, *rules: str, spec: str = "", lifecycle: str = "") -> Desired:
    estate = load(root, document(*rules, spec=spec, lifecycle=lifecycle))
    assert [each for each in estate.findings if each.severity is Severity.ERROR] == []
    return estate.fleets[0].desired[ID]


def live_rule(name: str = "allow", **said: Json) -> JsonObject:
    rule: JsonObject = {
        "protocol": "Tcp",
        "sourcePortRange": "*",
        "destinationPortRange": "443",
        "sourceAddressPrefix": "10.1.1.0/24",
        "destinationAddressPrefix": "10.1.2.0/24",
        "access": "Allow",
        "priority": 100,
        "direction": "Inbound",
        "sourcePortRanges": [],
        "destinationPortRanges": [],
        "sourceAddressPrefixes": [],
        "destinationAddressPrefixes": [],
        "provisioningState": "Succeeded",
        **said,
    }
    kept: JsonObject = {key: value for key, value in rule.items() if value is not None}
    return {"name": name, "id": f"{ID}/securityRules/{name}", "etag": "W/1", "properties": kept}


def live(*rules: JsonObject) -> JsonObject:
    return {
        "id": str(ID),
        "name": "nsg",
        "etag": "W/1",
        "location": "swedencentral",
        "tags": {"reconciler-fleet": "prod"},
        "properties": {
            "provisioningState": "Succeeded",
            "resourceGuid": "g",
            "securityRules": [*rules],
            "defaultSecurityRules": [live_rule("AllowVnetInBound", priority=65000)],
            "subnets": [{"id": "/subscriptions/s/x"}],
        },
    }


def changes(desired: Desired, wire: JsonObject) -> dict[str, FieldChange]:
    return {change.path: change for change in compare(TYPE, desired.fields, wire)}


# ------------------------------------------------------------------ what a rule says


def test_singular_and_plural_say_the_same() -> None:
    one = live_rule()
    many = live_rule(
        sourceAddressPrefix=None,
        sourceAddressPrefixes=["10.1.1.0/24"],
        destinationPortRange=None,
        destinationPortRanges=["443"],
    )
    assert read_rule(one) == read_rule(many)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"protocol": "TCP"}, {"protocol": "tcp"}),
        ({"protocol": "*"}, {"protocol": "Any"}),
        ({"access": "allow", "direction": "INBOUND"}, {"access": "Allow", "direction": "Inbound"}),
        ({"sourceAddressPrefix": "10.1.1.4/32"}, {"sourceAddressPrefix": "10.1.1.4"}),
        ({"sourceAddressPrefix": "virtualnetwork"}, {"sourceAddressPrefix": "VirtualNetwork"}),
        ({"sourceAddressPrefix": "storage.WestEurope"}, {"sourceAddressPrefix": "Storage.westeurope"}),
        ({"sourceAddressPrefix": "2001:DB8::/32"}, {"sourceAddressPrefix": "2001:db8:0::/32"}),
        ({"sourcePortRange": "0-65535"}, {"sourcePortRange": "*"}),
        ({"sourcePortRange": "80-80"}, {"sourcePortRange": "80"}),
        (
            {"sourceAddressPrefixes": ["10.2.0.0/16", "10.1.0.0/16"]},
            {"sourceAddressPrefixes": ["10.1.0.0/16", "10.2.0.0/16"]},
        ),
        ({"priority": 100.0}, {"priority": 100}),
    ],
)
def test_two_spellings_of_a_rule_are_one(one: JsonObject, other: JsonObject) -> None:
    assert read_rule(one) == read_rule(other)


@given(item=JSONS, other=JSONS)
def test_no_rule_of_unexpected_json_is_stumbled_over(item: Json, other: Json) -> None:
    rule: JsonObject = item if isinstance(item, dict) else {"properties": item}
    told = read_rule(rule)
    assert read_rule({"properties": told}) == told
    again = read_rule(other if isinstance(other, dict) else {"sourceAddressPrefixes": other})
    opens_rule(told, again)
    within(told, again)


@given(value=JSONS)
def test_prefixes_and_ports_are_their_own_normal_forms(value: Json) -> None:
    for normal in (addresses.prefixes, addresses.ports):
        assert repr(normal(normal(value))) == repr(normal(value))


ATTRIBUTES = st.fixed_dictionaries(
    {
        "priority": st.integers(100, 4096),
        "access": st.sampled_from(["Allow", "Deny"]),
        "direction": st.sampled_from(["Inbound", "Outbound"]),
        "protocol": st.sampled_from(["*", "Tcp", "Udp", "Icmp", "Esp", "Ah"]),
        "sourceAddressPrefixes": st.lists(st.sampled_from(["10.1.0.0/16", "10.2.3.4", "Internet"]), unique=True),
        "destinationPortRanges": st.lists(st.sampled_from(["22", "443", "8000-8080"]), unique=True, min_size=1),
        "sourceApplicationSecurityGroups": st.lists(st.just(APP_GROUP.lower()), max_size=1),
    }
)


@given(before=ATTRIBUTES, after=ATTRIBUTES)
def test_a_rule_that_is_written_over_another_says_what_was_meant(before: JsonObject, after: JsonObject) -> None:
    item: JsonObject = {"name": "r"}
    for told in (read_rule(before), read_rule(after)):
        for attribute, value in told.items():
            item = write_rule(item, attribute, value)
        assert read_rule(item) == told


def test_one_is_written_as_the_singular_and_several_as_the_plural() -> None:
    item = write_rule(live_rule(), "destinationPortRanges", ["22", "443"])
    inner = item["properties"]
    assert isinstance(inner, dict)
    assert "destinationPortRange" not in inner
    assert inner["destinationPortRanges"] == ["22", "443"]
    back = write_rule(item, "destinationPortRanges", ["443"])["properties"]
    assert isinstance(back, dict)
    assert (back["destinationPortRange"], back["destinationPortRanges"]) == ("443", [])


# ------------------------------------------------------------------ what opens


@pytest.mark.parametrize(
    ("before", "after", "opens", "closes"),
    [
        (None, {}, True, False),
        (None, {"access": "Deny"}, False, True),
        ({"access": "Deny"}, {}, True, False),
        ({}, {"sourceAddressPrefix": "10.1.0.0/16"}, True, False),
        ({}, {"sourceAddressPrefix": "10.1.1.0/25"}, False, True),
        ({}, {"sourceAddressPrefix": "10.9.0.0/16"}, True, True),
        ({}, {"sourceAddressPrefix": "*"}, True, False),
        ({}, {"destinationPortRange": "400-500"}, True, False),
        ({}, {"priority": 90}, True, False),
        ({}, {"priority": 110}, False, True),
        ({}, {"protocol": "*"}, True, False),
        ({}, {"direction": "Outbound"}, True, True),
        ({}, {"description": "other words"}, False, False),
        ({"access": "Deny"}, {"access": "Deny", "sourceAddressPrefix": "10.1.1.0/25"}, True, False),
        ({"access": "Deny"}, {"access": "Deny", "priority": 90}, False, True),
    ],
)
def test_what_a_changed_rule_opens_and_closes(
    before: JsonObject | None, after: JsonObject, opens: bool, closes: bool
) -> None:
    old = None if before is None else read_rule(live_rule("r", **before))
    new = read_rule(live_rule("r", **after))
    assert (opens_rule(old, new), opens_rule(new, old)) == (opens, closes)


def test_the_diff_reads_as_rules(tmp_path: Path) -> None:
    found = changes(wanted(tmp_path, https(priority=110), DENY), live(live_rule()))
    told = found["securityRules[allow].priority"]
    assert (told.before, told.after, told.opens, told.closes) == (100, 110, False, True)
    assert found["securityRules"].after == ["allow", "deny"]
    assert found["securityRules[deny].access"].closes
    assert {path for path in found if path.startswith("securityRules[allow]")} == {"securityRules[allow].priority"}


def test_a_deny_that_is_taken_away_opens(tmp_path: Path) -> None:
    block = live_rule("block", access="Deny", priority=90)
    found = changes(wanted(tmp_path, https()), live(live_rule(), block))
    assert {*found} == {"securityRules"}
    assert found["securityRules"].opens
    assert not found["securityRules"].closes


def test_what_azure_orders_and_spells_its_own_way_is_silence(tmp_path: Path) -> None:
    desired = wanted(tmp_path, https(), DENY)
    deny = live_rule(
        "DENY",
        access="deny",
        priority=4096,
        protocol="*",
        sourceAddressPrefix="*",
        destinationAddressPrefix="*",
        destinationPortRange="*",
    )
    assert changes(desired, live(deny, live_rule("Allow", protocol="TCP"))) == {}


# ------------------------------------------------------------------ how a write is put together


def test_a_write_is_the_whole_group_as_it_was_read_with_what_changes(tmp_path: Path) -> None:
    wire = live(live_rule(), live_rule("theirs", priority=200, description="not ours"))
    desired = wanted(tmp_path, https(priority=110), spec="rules: shared")
    found = {path: change.after for path, change in changes(desired, wire).items()}
    body = compose(TYPE, found, wire)
    properties = body["properties"]
    assert isinstance(properties, dict)
    assert {*properties} == {"securityRules"}
    rules = properties["securityRules"]
    assert isinstance(rules, list)
    assert [each["name"] for each in rules if isinstance(each, dict)] == ["allow", "theirs"]
    assert not [each for each in rules if isinstance(each, dict) and {"etag", "id"} & {*each}]
    assert project(TYPE, body, found) == found


def test_a_new_group_says_everything(tmp_path: Path) -> None:
    desired = wanted(tmp_path, https(), DENY)
    body = compose(TYPE, desired.fields, None)
    assert compare(TYPE, desired.fields, body) == ()
    properties = body["properties"]
    assert isinstance(properties, dict)
    rules = properties["securityRules"]
    assert isinstance(rules, list)
    first = rules[0]
    assert isinstance(first, dict)
    assert first["properties"] == {
        "access": "Allow",
        "direction": "Inbound",
        "protocol": "Tcp",
        "priority": 100,
        "sourceAddressPrefix": "10.1.1.0/24",
        "sourceAddressPrefixes": [],
        "destinationAddressPrefix": "10.1.2.0/24",
        "destinationAddressPrefixes": [],
        "sourcePortRange": "*",
        "sourcePortRanges": [],
        "destinationPortRange": "443",
        "destinationPortRanges": [],
    }


def test_application_security_groups_are_compared_and_written_by_id(tmp_path: Path) -> None:
    said = HTTPS.replace("sourceAddressPrefix: 10.1.1.0/24", f"sourceApplicationSecurityGroups: [{APP_GROUP}]")
    desired = wanted(tmp_path, https(said=said), DENY)
    body = compose(TYPE, desired.fields, None)
    assert compare(TYPE, desired.fields, body) == ()
    held = live_rule(sourceAddressPrefix=None, sourceApplicationSecurityGroups=[{"id": APP_GROUP.upper()}])
    assert "securityRules[allow].sourceApplicationSecurityGroups" not in changes(desired, live(held))


def test_an_imported_group_says_what_is_there(tmp_path: Path) -> None:
    many = live_rule("many", priority=200, sourceAddressPrefix=None, sourceAddressPrefixes=["10.1.0.0/16", "Internet"])
    wire = live(live_rule(description="from the app"), many)
    spec = describe_group(Live(id=ID, wire=wire), ())
    rules = spec["securityRules"]
    assert isinstance(rules, list)
    assert rules[0] == {
        "name": "allow",
        "description": "from the app",
        "direction": "Inbound",
        "access": "Allow",
        "priority": 100,
        "protocol": "Tcp",
        "sourceAddressPrefix": "10.1.1.0/24",
        "destinationAddressPrefix": "10.1.2.0/24",
        "destinationPortRange": "443",
    }
    assert spec["rules"] == "exclusive"
    written = load(tmp_path, document(*(str(each) for each in rules), spec="rules: exclusive"))
    assert changes(written.fleets[0].desired[ID], wire) == {}


# ------------------------------------------------------------------ exclusive, shared, adopted


def test_a_group_owns_which_rules_there_are_unless_it_shares_them(tmp_path: Path) -> None:
    assert wanted(tmp_path, https()).fields["securityRules"] == ["allow"]
    assert "securityRules" not in wanted(tmp_path, https(), spec="rules: shared").fields


def test_no_rules_at_all_is_something_to_own(tmp_path: Path) -> None:
    estate = load(tmp_path, document().replace("securityRules:\n    []", "securityRules: []"))
    assert estate.findings == ()
    assert estate.fleets[0].desired[ID].fields["securityRules"] == []


def test_a_group_that_may_be_adopted_says_what_becomes_of_its_other_rules(tmp_path: Path) -> None:
    (finding,) = findings(tmp_path, https(), DENY, lifecycle="adopt: true")
    assert finding.code == "rules_unsaid"
    assert "rules: exclusive" in finding.hint
    assert findings(tmp_path, https(), DENY, spec="rules: shared", lifecycle="adopt: true") == ()


def test_in_a_fleet_that_adopts_all_every_group_says_what_becomes_of_other_rules(tmp_path: Path) -> None:
    fleet = FLEET.replace("location: swedencentral}", "location: swedencentral, adoption: all}")
    plant(tmp_path, {"fleet.yaml": fleet, "group.yaml": document(https(), DENY)})
    (finding,) = load_estate([tmp_path], {}).findings
    assert finding.code == "rules_unsaid"


# ------------------------------------------------------------------ what is wrong, where, and what would be right


@pytest.mark.parametrize(
    ("said", "word", "wrong", "right"),
    [
        (HTTPS.replace("443", "70000"), "70000", "70000: ports end at 65535", "0 to 65535"),
        (HTTPS.replace("443", "500-400"), "500-400", "500-400 ends before it begins", "write 400-500"),
        (HTTPS.replace("443", "https"), "https", "'https' is no port", "443"),
        (HTTPS.replace("10.1.1.0/24", "10.1.1.9/24"), "10.1.1.9/24", "10.1.1.9/24 has bits set", "write 10.1.1.0/24"),
        (
            HTTPS.replace("10.1.1.0/24", "10.1.1.300"),
            "10.1.1.300",
            "no address, network or service tag",
            "VirtualNetwork",
        ),
        (HTTPS.replace("10.1.1.0/24", "my network"), "my network", "no address, network or service tag", "Any"),
        (HTTPS.replace("Tcp", "tcp"), "tcp", "protocol cannot be 'tcp'", "did you mean Tcp?"),
        (HTTPS.replace("Allow", "Permit"), "Permit", "access cannot be 'Permit'", "Allow or Deny"),
    ],
)
def test_a_bad_value_is_named_at_its_place(tmp_path: Path, said: str, word: str, wrong: str, right: str) -> None:
    (finding,) = findings(tmp_path, https(said=said), DENY)
    assert wrong in finding.message
    assert right in finding.hint
    assert finding.origin is not None
    line = (tmp_path / "all.yaml").read_text().splitlines()[finding.origin.line - 1]
    assert line[finding.origin.column - 1 :].startswith(word)


@pytest.mark.parametrize(
    ("rules", "line", "code", "wrong", "right"),
    [
        ((https(priority=99), DENY), 11, "value", "priority is 99", "at least 100"),
        ((https(priority=4097), DENY), 11, "value", "priority is 4097", "at most 4096"),
        (
            (https(), https("again", said=HTTPS.replace("443", "22")), DENY),
            12,
            "duplicate_priority",
            "taken by allow",
            "101 is free",
        ),
        (
            (https(), https("Allow", 200, HTTPS.replace("443", "22")), DENY),
            12,
            "duplicate_name",
            "names Allow twice",
            "rename",
        ),
        (
            (https(said=HTTPS.replace(", destinationPortRange: 443", "")), DENY),
            11,
            "missing",
            "no destinationPortRange",
            "Any",
        ),
        (
            (https(said=HTTPS.replace("sourceAddressPrefix: 10.1.1.0/24, ", "")), DENY),
            11,
            "missing",
            "no sourceAddressPrefix",
            "add",
        ),
        (
            (https(said=HTTPS + ", destinationPortRanges: [22]"), DENY),
            11,
            "contradiction",
            "both destinationPortRange and",
            "keep one",
        ),
        (
            (https(said=HTTPS.replace("Range: 443", "Ranges: [Any, 443]")), DENY),
            11,
            "any_in_list",
            "Any beside others",
            "alone",
        ),
    ],
)
def test_a_mistake_between_fields_is_named_at_its_line(
    tmp_path: Path, rules: tuple[str, ...], line: int, code: str, wrong: str, right: str
) -> None:
    (finding,) = findings(tmp_path, *rules)
    assert (finding.code, finding.severity) == (code, Severity.ERROR)
    assert finding.origin is not None
    assert finding.origin.line == line
    assert wrong in finding.message
    assert right in finding.hint


@pytest.mark.parametrize(
    ("rules", "line", "code", "wrong"),
    [
        (
            (https(), https("narrow", 200, HTTPS.replace("1.0/24", "1.0/28")), DENY),
            12,
            "shadowed",
            "narrow] adds nothing",
        ),
        ((https(), https("block", 200, HTTPS.replace("Allow", "Deny"))), 12, "shadowed", "block] never acts"),
        ((https(),), 11, "no_effect", "AllowVnetInBound"),
        (
            (https(said=HTTPS.replace("10.1.2.0/24", "CognitiveServicesManagement")), DENY),
            11,
            "no_effect",
            "is in no subnet",
        ),
        ((https(said=HTTPS.replace("10.1.1.0/24", "VirtualNetwrk")), DENY), 11, "service_tag", "no service tag"),
    ],
)
def test_a_rule_without_the_effect_its_author_meant_is_a_warning(
    tmp_path: Path, rules: tuple[str, ...], line: int, code: str, wrong: str
) -> None:
    (finding,) = findings(tmp_path, *rules)
    assert (finding.code, finding.severity) == (code, Severity.WARNING)
    assert finding.origin is not None
    assert finding.origin.line == line
    assert wrong in finding.message


def test_one_priority_may_be_had_once_in_each_direction(tmp_path: Path) -> None:
    out = HTTPS.replace("Inbound", "Outbound")
    assert findings(tmp_path, https(), https("out", said=out), DENY) == ()


@given(rules=st.lists(ATTRIBUTES, max_size=6))
def test_what_is_called_shadowed_lies_wholly_within_an_earlier_rule(rules: list[JsonObject]) -> None:
    named = [(str(at), read_rule(rule)) for at, rule in enumerate(rules)]
    told = dict(named)
    for name, earlier, same in find_shadowed(named):
        late, early = told[name], told[earlier]
        assert within(late, early)
        assert late["direction"] == early["direction"]
        assert same == (late["access"] == early["access"])


def test_two_hundred_rules_are_compared_and_composed_in_no_time(tmp_path: Path) -> None:
    rules = [https(f"rule-{at}", 100 + at, HTTPS.replace("443", str(1000 + at))) for at in range(200)]
    desired = wanted(tmp_path, *rules, DENY)
    wire = compose(TYPE, desired.fields, None)
    began = time.process_time()
    assert compare(TYPE, desired.fields, wire) == ()
    compose(TYPE, desired.fields, wire)
    assert time.process_time() - began < 2.0
