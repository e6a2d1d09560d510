"""Virtual networks: what subnets say, what cannot be, whom they name, and that no write forgets what was there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kinds import subnet, virtual_network
from reconciler.kinds.base import compose, read_links
from reconciler.kinds.diff import compare
from reconciler.model.finding import Finding, Severity
from reconciler.model.ids import ArmId, Ref
from reconciler.model.plan import Action, DecisionState, Plan
from reconciler.model.resource import Desired, Estate, Live, Snapshot
from reconciler.model.wire import Json, JsonObject
from reconciler.plan import make_plan
from tests.desired.trees import GROUP, SUBSCRIPTION, account, load

HOME = ArmId(subscription=SUBSCRIPTION, group="rg-ai")
ID = HOME.resource(virtual_network.TYPE.arm_type, "vnet-ai")
NSG = HOME.resource("Microsoft.Network/networkSecurityGroups", "nsg-app")
OTHER_NSG = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/Rg-Hub/providers/Microsoft.Network/networkSecurityGroups/Nsg-Hub"
)
ENDPOINT = "serviceEndpoints: [Microsoft.CognitiveServices]"
DENY = (
    "{name: deny, priority: 4096, direction: Inbound, access: Deny, protocol: Any, sourceAddressPrefix: Any, "
    "destinationAddressPrefix: Any, destinationPortRange: Any}"
)


def network(*subnets: str, space: str = "10.1.0.0/16", name: str = "vnet-ai", spec: str = "") -> str:
    lines = "".join(f"    - {{{each}}}\n" for each in subnets)
    listed = f"  subnets:\n{lines}" if lines else ""
    head = f"apiVersion: reconciler/v1\nkind: VirtualNetwork\nmetadata: {{name: {name}}}\nspec:\n"
    return f"{head}  addressSpace: {{addressPrefixes: [{space}]}}\n{listed}{spec}"


def group(name: str = "nsg-app", spec: str = "") -> str:
    head = f"apiVersion: reconciler/v1\nkind: NetworkSecurityGroup\nmetadata: {{name: {name}}}\nspec:\n"
    return f"{head}  securityRules: [{DENY}]\n{spec}"


def ruled(rule: str, name: str = "aoai") -> str:
    acls = f"networkAcls: {{defaultAction: Deny, virtualNetworkRules: [{rule}]}}"
    return account(name, f"publicNetworkAccess: Enabled, customSubDomainName: {name}-1, {acls}")


def app(more: str = "", prefix: str = "10.1.1.0/24", name: str = "app") -> str:
    return f"name: {name}, addressPrefix: {prefix}" + (f", {more}" if more else "")


def wanted(estate: Estate, name: str = "app") -> Desired:
    assert [each for each in estate.findings if each.severity is Severity.ERROR] == []
    return estate.fleets[0].desired[ID.child("subnets", name)]


def only(estate: Estate) -> Finding:
    (finding,) = estate.findings
    return finding


def word_at(root: Path, finding: Finding) -> str:
    assert finding.origin is not None
    line = (root / "all.yaml").read_text().splitlines()[finding.origin.line - 1]
    return line[finding.origin.column - 1 :]


# ------------------------------------------------------------------ what a subnet says


def test_a_subnet_is_a_resource_that_needs_its_network_and_its_group(tmp_path: Path) -> None:
    each = wanted(load(tmp_path, group(), network(app("networkSecurityGroup: nsg-app"))))
    assert each.ref == Ref(kind="VirtualNetwork", name="vnet-ai/subnets/app")
    assert each.fields == {"addressPrefixes": ["10.1.1.0/24"], "networkSecurityGroup": NSG.key}
    assert each.needs == (ID, NSG)
    assert each.id.lane == ID.key


def test_a_group_of_another_resource_group_is_named_by_its_document_all_the_same(tmp_path: Path) -> None:
    elsewhere = group(spec="  resourceGroup: rg-hub\n")
    each = wanted(load(tmp_path, elsewhere, network(app("networkSecurityGroup: NSG-app"))))
    assert str(each.fields["networkSecurityGroup"]).startswith(f"/subscriptions/{SUBSCRIPTION}/resourcegroups/rg-hub/")


def test_an_id_names_what_nobody_here_manages(tmp_path: Path) -> None:
    each = wanted(load(tmp_path, network(app(f"networkSecurityGroup: {OTHER_NSG}"))))
    assert each.fields["networkSecurityGroup"] == OTHER_NSG.lower()


def test_null_takes_the_group_off_and_silence_leaves_it(tmp_path: Path) -> None:
    off = wanted(load(tmp_path, network(app("networkSecurityGroup: null"))))
    wire = live_subnet()
    (change,) = compare(subnet.TYPE, off.fields, wire)
    assert (change.path, change.after, change.opens) == ("networkSecurityGroup", None, True)
    properties = compose(subnet.TYPE, {"networkSecurityGroup": None}, wire)["properties"]
    assert isinstance(properties, dict)
    assert "networkSecurityGroup" not in properties
    assert compare(subnet.TYPE, wanted(load(tmp_path, network(app()))).fields, wire) == ()


def live_subnet(**more: Json) -> JsonObject:
    """A subnet as Azure answers it, with everything in it that a careless write would lose."""
    return {
        "name": "app",
        "id": str(ID.child("subnets", "app")),
        "etag": "W/1",
        "type": subnet.TYPE.arm_type,
        "properties": {
            "provisioningState": "Succeeded",
            "addressPrefix": "10.1.1.0/24",
            "networkSecurityGroup": {"id": str(NSG)},
            "routeTable": {"id": "/subscriptions/s/rt"},
            "natGateway": {"id": "/subscriptions/s/nat"},
            "serviceEndpoints": [
                {"service": "Microsoft.CognitiveServices", "provisioningState": "Succeeded", "locations": ["*"]}
            ],
            "delegations": [
                {
                    "name": "0",
                    "id": "x",
                    "etag": "W/1",
                    "properties": {
                        "serviceName": "Microsoft.App/environments",
                        "actions": ["join"],
                        "provisioningState": "Succeeded",
                    },
                }
            ],
            "ipConfigurations": [{"id": "x"}],
            "privateEndpoints": [{"id": "y"}],
            "privateEndpointNetworkPolicies": "Disabled",
            "defaultOutboundAccess": False,
            **more,
        },
    }


def test_a_write_to_a_subnet_carries_all_that_was_read_and_is_not_azures_own() -> None:
    body = compose(subnet.TYPE, {"privateEndpointNetworkPolicies": "Enabled"}, live_subnet())
    assert body == {
        "properties": {
            "addressPrefix": "10.1.1.0/24",
            "networkSecurityGroup": {"id": str(NSG)},
            "routeTable": {"id": "/subscriptions/s/rt"},
            "natGateway": {"id": "/subscriptions/s/nat"},
            "serviceEndpoints": [{"service": "Microsoft.CognitiveServices"}],
            "delegations": [{"name": "0", "properties": {"serviceName": "Microsoft.App/environments"}}],
            "privateEndpointNetworkPolicies": "Enabled",
            "defaultOutboundAccess": False,
        }
    }


def test_a_write_to_a_network_carries_its_subnets() -> None:
    wire: JsonObject = {
        "id": str(ID),
        "location": "swedencentral",
        "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": [live_subnet()]},
    }
    body = compose(virtual_network.TYPE, {"tags.team": "ai"}, wire)
    properties = body["properties"]
    assert isinstance(properties, dict)
    subnets = properties["subnets"]
    assert isinstance(subnets, list)
    (inside,) = subnets
    assert isinstance(inside, dict)
    kept = inside["properties"]
    assert isinstance(kept, dict)
    assert {"networkSecurityGroup", "routeTable", "natGateway", "serviceEndpoints", "delegations"} <= {*kept}
    assert "etag" not in inside
    assert "provisioningState" not in kept


@pytest.mark.parametrize(
    "more",
    [
        {"addressPrefix": "", "addressPrefixes": ["10.1.1.0/24"]},
        {"networkSecurityGroup": {"id": str(NSG).upper()}},
        {"serviceEndpoints": [{"service": "microsoft.cognitiveservices", "locations": ["westeurope"]}]},
        {"delegations": [{"name": "other", "properties": {"serviceName": "MICROSOFT.APP/environments"}}]},
        {"privateEndpointNetworkPolicies": None, "privateLinkServiceNetworkPolicies": "enabled"},
    ],
)
def test_what_azure_spells_its_own_way_is_silence(tmp_path: Path, more: JsonObject) -> None:
    said = (
        f"networkSecurityGroup: nsg-app, {ENDPOINT}, delegations: [Microsoft.App/environments], "
        "privateEndpointNetworkPolicies: Disabled, privateLinkServiceNetworkPolicies: Enabled"
    )
    each = wanted(load(tmp_path, group(), network(app(said))))
    assert compare(subnet.TYPE, each.fields, live_subnet(**more)) == ()


def test_endpoints_and_delegations_may_be_written_as_azure_does(tmp_path: Path) -> None:
    long = (
        "serviceEndpoints: [{service: microsoft.cognitiveservices}], "
        "delegations: [{name: mine, serviceName: microsoft.app/environments}]"
    )
    short = f"{ENDPOINT}, delegations: [Microsoft.App/environments]"
    one, other = (wanted(load(tmp_path, network(app(said)))) for said in (long, short))
    assert one.fields == other.fields


SUBNETS = st.fixed_dictionaries(
    {
        "addressPrefixes": st.lists(st.sampled_from(["10.1.1.0/24", "10.1.2.0/24"]), unique=True, min_size=1).map(
            sorted
        ),
        "networkSecurityGroup": st.sampled_from([None, NSG.key, OTHER_NSG.lower()]),
        "serviceEndpoints": st.sampled_from(
            [[], ["Microsoft.CognitiveServices"], ["Microsoft.Sql", "Microsoft.Storage"]]
        ),
        "delegations": st.sampled_from([[], ["Microsoft.App/environments"]]),
        "privateEndpointNetworkPolicies": st.sampled_from(["Disabled", "Enabled"]),
    }
)


@given(before=SUBNETS, after=SUBNETS)
def test_a_subnet_that_is_written_over_another_says_what_was_meant(before: JsonObject, after: JsonObject) -> None:
    wire: JsonObject | None = None
    for fields in (before, after):
        wire = compose(subnet.TYPE, fields, wire)
        assert compare(subnet.TYPE, fields, wire) == ()


def test_a_network_that_is_imported_says_what_is_there(tmp_path: Path) -> None:
    wire: JsonObject = {
        "location": "swedencentral",
        "properties": {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "dhcpOptions": {"dnsServers": []}},
    }
    below = Live(id=ID.child("subnets", "app"), wire=live_subnet(routeTable=None, natGateway=None))
    spec = virtual_network.describe_network(Live(id=ID, wire=wire), (below,))
    assert spec == {
        "location": "swedencentral",
        "resourceGroup": "rg-ai",
        "addressSpace": {"addressPrefixes": ["10.1.0.0/16"]},
        "subnets": [
            {
                "name": "app",
                "addressPrefix": "10.1.1.0/24",
                "networkSecurityGroup": str(NSG),
                "serviceEndpoints": ["Microsoft.CognitiveServices"],
                "delegations": ["Microsoft.App/environments"],
            }
        ],
    }


# ------------------------------------------------------------------ what cannot be


@pytest.mark.parametrize(
    ("subnets", "word", "code", "wrong", "right"),
    [
        ([app(prefix="10.1.1.0")], "10.1.1.0", "value", "'10.1.1.0' is not a network", "10.1.0.0/16"),
        ([app(prefix="10.1.1.7/24")], "10.1.1.7/24", "value", "bits set beyond its prefix", "write 10.1.1.0/24"),
        ([app(prefix="10.2.1.0/24")], "10.2.1.0/24", "outside", "lies outside", "10.1.0.0/16"),
        ([app(prefix="10.1.0.0/15")], "10.1.0.0/15", "value", "bits set", "10.0.0.0/15"),
        ([app(prefix="10.1.1.0/30")], "10.1.1.0/30", "subnet_size", "is too small", "/29"),
        (
            [app("delegations: [Microsoft.App/environments]", "10.1.1.0/28")],
            "10.1.1.0/28",
            "subnet_size",
            "too small for Microsoft.App/environments",
            "/27",
        ),
        (
            [app(prefix="10.1.1.0/27", name="AzureBastionSubnet")],
            "10.1.1.0/27",
            "subnet_size",
            "for AzureBastionSubnet",
            "/26",
        ),
        (
            [app(), app(name="b", prefix="10.1.1.128/25")],
            "10.1.1.128/25",
            "overlap",
            "overlaps 10.1.1.0/24 of app",
            "nobody",
        ),
        (
            [app(), app(name="b", prefix="10.1.0.0/20")],
            "10.1.0.0/20",
            "overlap",
            "overlaps 10.1.1.0/24 of app",
            "all.yaml:",
        ),
        ([app(), app(name="App", prefix="10.1.2.0/24")], "{name: App", "duplicate_id", "declared twice", "rename"),
        (["name: app"], "app}", "missing", "has no addresses", "addressPrefix"),
        ([app("addressPrefixes: [10.1.2.0/24]")], "10.1.1.0/24", "contradiction", "both", "keep one"),
        (
            [app("networkSecurityGroup: nsg-ap")],
            "nsg-ap",
            "dangling",
            "which no document declares",
            "did you mean nsg-app?",
        ),
        ([app("networkSecurityGroup: a/b")], "a/b", "value", "neither a name nor an id", "name of a document"),
        ([app(f"routeTable: {OTHER_NSG}")], "/subscriptions", "value", "networkSecurityGroups", "routeTables"),
    ],
)
def test_a_mistake_is_one_line_at_its_place(
    tmp_path: Path, subnets: list[str], word: str, code: str, wrong: str, right: str
) -> None:
    finding = only(load(tmp_path, group(), network(*subnets)))
    assert (finding.code, finding.severity) == (code, Severity.ERROR)
    assert wrong in finding.message
    assert right in finding.hint
    assert word_at(tmp_path, finding).startswith(word)


@pytest.mark.parametrize(
    ("space", "word", "code", "wrong"),
    [
        ("10.1.0.0/16, 10.1.128.0/17", "10.1.128.0/17", "overlap", "overlaps 10.1.0.0/16"),
        ("10.1.0.0/33", "10.1.0.0/33", "value", "is not a network"),
        ("", "addressPrefixes: []", "value", "addressPrefixes is 0 long"),
    ],
)
def test_an_address_space_that_cannot_be_is_named(tmp_path: Path, space: str, word: str, code: str, wrong: str) -> None:
    finding = only(load(tmp_path, network(space=space)))
    assert finding.code == code
    assert wrong in finding.message
    assert word_at(tmp_path, finding).startswith(word)


def test_ipv6_subnets_are_of_one_size(tmp_path: Path) -> None:
    space = "10.1.0.0/16, 'fd00:db8::/48'"
    both = "name: app, addressPrefixes: [10.1.1.0/24, 'fd00:db8:0:1::/64']"
    assert load(tmp_path, network(both, space=space)).findings == ()
    finding = only(load(tmp_path, network(both.replace("1::/64", "1::/80"), space=space)))
    assert (finding.code, finding.hint) == ("subnet_size", "Azure takes /64 only")


# ------------------------------------------------------------------ what documents say of each other


def test_an_account_names_a_subnet_by_its_network(tmp_path: Path) -> None:
    estate = load(tmp_path, network(app(ENDPOINT)), ruled("vnet-ai/app"))
    assert estate.findings == ()
    each = estate.fleets[0].desired[HOME.resource("Microsoft.CognitiveServices/accounts", "aoai")]
    named = ID.child("subnets", "app")
    assert each.fields["networkAcls.virtualNetworkRules"] == [
        {"id": named.key, "ignoreMissingVnetServiceEndpoint": False}
    ]
    assert named in each.needs


@pytest.mark.parametrize(
    ("rule", "subnets", "code", "wrong", "right"),
    [
        (
            "vnet-a/app",
            [app(ENDPOINT)],
            "dangling",
            "no document declares a VirtualNetwork vnet-a",
            "did you mean vnet-ai?",
        ),
        ("vnet-ai/ap", [app(ENDPOINT)], "dangling", "declares no such subnet", "did you mean app?"),
        ("vnet-ai/app", [app()], "service_endpoint_missing", "no service endpoint", ENDPOINT),
        (
            "vnet-ai/app",
            [app("serviceEndpoints: [Microsoft.Storage]")],
            "service_endpoint_missing",
            "no service",
            ENDPOINT,
        ),
        (str(ID.child("subnets", "app")), [app()], "service_endpoint_missing", "no service endpoint", ENDPOINT),
        ("{id: vnet-ai/app}", [app()], "service_endpoint_missing", "Azure refuses the rule", "ignoreMissing"),
    ],
)
def test_a_rule_that_azure_would_refuse_is_found_before_anything_is_asked(
    tmp_path: Path, rule: str, subnets: list[str], code: str, wrong: str, right: str
) -> None:
    finding = only(load(tmp_path, network(*subnets), ruled(rule)))
    assert (finding.code, finding.severity) == (code, Severity.ERROR)
    assert wrong in finding.message
    assert right in finding.hint
    assert word_at(tmp_path, finding).startswith(rule)


def test_a_rule_may_do_without_the_endpoint_if_it_says_so(tmp_path: Path) -> None:
    rule = "{id: vnet-ai/app, ignoreMissingVnetServiceEndpoint: true}"
    assert load(tmp_path, network(app()), ruled(rule)).findings == ()


def test_a_rule_for_an_unmanaged_network_is_left_to_azure(tmp_path: Path) -> None:
    id = str(ID).replace("vnet-ai", "vnet-hub") + "/subnets/gateway"
    assert load(tmp_path, ruled(id)).findings == ()


def test_what_names_a_broken_document_falls_with_it_and_is_not_wrong_itself(tmp_path: Path) -> None:
    broken = network(app("delegations: yes, serviceEndpoints: [Microsoft.CognitiveServices]"))
    estate = load(tmp_path, broken, ruled("vnet-ai/app"), account("alone"))
    assert [finding.code for finding in estate.findings] == ["value"]
    (fleet,) = estate.fleets
    assert {each.ref.name for each in fleet.desired.values()} == {"alone"}
    assert [finding.code for finding in fleet.broken[Ref(kind="Account", name="aoai")]] == ["needs_broken"]


def test_a_subnet_of_a_broken_group_falls_with_it(tmp_path: Path) -> None:
    broken = group().replace("4096", "5000")
    estate = load(tmp_path, broken, network(app("networkSecurityGroup: nsg-app")))
    assert [finding.code for finding in estate.findings] == ["value"]
    (fleet,) = estate.fleets
    assert [finding.code for finding in fleet.broken[Ref(kind="VirtualNetwork", name="vnet-ai")]] == ["needs_broken"]


# ------------------------------------------------------------------ order


def plan(estate: Estate, live: dict[ArmId, Live] | None = None) -> Plan:
    return make_plan(estate.fleets[0], Snapshot(taken_at=0, live=live or {}))


def test_group_then_guard_then_network_then_subnet_then_account(tmp_path: Path) -> None:
    said = f"networkSecurityGroup: nsg-app, {ENDPOINT}"
    made = plan(load(tmp_path, ruled("vnet-ai/app"), network(app(said)), group(), GROUP + "spec: {}\n"))
    at = {step.name: position for position, step in enumerate(made.steps)}
    names = (
        "ResourceGroup/rg-ai",
        "NetworkSecurityGroup/nsg-app",
        "VirtualNetwork/vnet-ai/subnets/app",
        "Account/aoai",
    )
    order = [at[f"{name}#create"] for name in names]
    assert order == sorted(order)
    assert at["VirtualNetwork/vnet-ai#create"] < at["VirtualNetwork/vnet-ai/subnets/app#create"]
    (inside,) = [step for step in made.steps if "subnets" in step.name]
    assert {*inside.after} >= {"NetworkSecurityGroup/nsg-app#create", "VirtualNetwork/vnet-ai#create"}


def test_subnets_of_one_network_share_its_lane(tmp_path: Path) -> None:
    estate = load(tmp_path, network(app(), app(name="b", prefix="10.1.2.0/24")), GROUP + "spec: {}\n")
    lanes = {step.lane for step in plan(estate).steps if "vnet-ai" in step.name}
    assert lanes == {ID.key}


def test_undeclared_subnets_are_named_and_left_alone(tmp_path: Path) -> None:
    estate = load(tmp_path, network(app()))
    wire: JsonObject = {"tags": {"reconciler-fleet": "prod"}}
    old = Live(id=ID.child("subnets", "old"), wire=live_subnet(), owner="prod")
    made = plan(estate, {ID: Live(id=ID, wire=wire, owner="prod"), old.id: old})
    decision = next(each for each in made.decisions if each.id == old.id)
    assert (decision.state, str(decision.ref)) == (DecisionState.IGNORED, "VirtualNetwork/vnet-ai/subnets/old")
    assert Action.DELETE not in {step.action for step in made.steps}


def test_a_subnet_tells_whom_it_uses() -> None:
    assert [*read_links(subnet.TYPE, live_subnet())] == [NSG.key, "/subscriptions/s/rt", "/subscriptions/s/nat"]


# ------------------------------------------------------------------ groups without effect


def endpoint() -> str:
    head = "apiVersion: reconciler/v1\nkind: PrivateEndpoint\nmetadata: {name: pe}\nspec:\n"
    return f"{head}  account: aoai\n  subnet: vnet-ai/app\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("networkSecurityGroup: nsg-app", 1),
        ("networkSecurityGroup: nsg-app, privateEndpointNetworkPolicies: RouteTableEnabled", 1),
        ("networkSecurityGroup: nsg-app, privateEndpointNetworkPolicies: NetworkSecurityGroupEnabled", 0),
        ("privateEndpointNetworkPolicies: Disabled", 0),
    ],
)
def test_a_group_on_private_endpoints_that_does_not_act_is_a_warning(tmp_path: Path, said: str, told: int) -> None:
    target = account("aoai", "publicNetworkAccess: Disabled, customSubDomainName: aoai-1")
    estate = load(tmp_path, group(), network(app(said)), target, endpoint())
    found = [finding for finding in estate.findings if finding.code == "no_effect"]
    assert len(found) == told
    for finding in found:
        assert finding.severity is Severity.WARNING
        assert "does not act on PrivateEndpoint/pe" in finding.message
        assert word_at(tmp_path, finding).startswith("nsg-app")
