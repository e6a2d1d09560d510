"""The judge is judged: one rule at a time, each expectation written by hand."""

from __future__ import annotations

from typing import Any

import pytest

from armsim.store import Resource, World
from tests.support.reaching import TRUSTED, Caller, reaches, reaches_subnet

Body = dict[str, Any]

HOME = "/subscriptions/s/resourceGroups/g/providers"
ACCOUNT = f"{HOME}/Microsoft.CognitiveServices/accounts/a"
NETWORK = f"{HOME}/Microsoft.Network/virtualNetworks/v"
GROUP = f"{HOME}/Microsoft.Network/networkSecurityGroups/n"
ENDPOINT = f"{HOME}/Microsoft.Network/privateEndpoints/p"
INTERFACE = f"{HOME}/Microsoft.Network/networkInterfaces/i"
CONNECTION = f"{ACCOUNT}/privateEndpointConnections/p.1"
APP = f"{NETWORK}/subnets/app".lower()
ENDS = f"{NETWORK}/subnets/ends".lower()
WORKLOAD = Caller("10.1.1.4", APP)
NEIGHBOUR = Caller("10.1.2.7", ENDS)
BRANCH = Caller("192.168.0.1")
STRANGER = Caller("203.0.113.9")
PRIVATELY = {f"private:{ENDPOINT.lower()}"}


def world(*resources: tuple[str, Body]) -> World:
    made = World()
    for id, properties in resources:
        made.put(Resource(id, {"id": id, "properties": properties}, 0.0), 0.0)
    return made


def account(public: str = "Enabled", action: str = "Deny", **acls: object) -> tuple[str, Body]:
    rules = {"defaultAction": action, "ipRules": [], "virtualNetworkRules": [], "bypass": "None", **acls}
    return ACCOUNT, {"publicNetworkAccess": public, "networkAcls": rules}


def network(app: Body | None = None, ends: Body | None = None) -> tuple[str, Body]:
    subnets = [
        {"id": f"{NETWORK}/subnets/app", "properties": {"addressPrefix": "10.1.1.0/24", **(app or {})}},
        {"id": f"{NETWORK}/subnets/ends", "properties": {"addressPrefixes": ["10.1.2.0/24"], **(ends or {})}},
    ]
    return NETWORK, {"addressSpace": {"addressPrefixes": ["10.1.0.0/16"]}, "subnets": subnets}


def guarded(**more: object) -> Body:
    return {"networkSecurityGroup": {"id": GROUP.upper()}, "privateEndpointNetworkPolicies": "Enabled", **more}


def group(*rules: Body) -> tuple[str, Body]:
    return GROUP, {"securityRules": [{"name": str(at), "properties": each} for at, each in enumerate(rules)]}


def rule(access: str = "Deny", priority: int = 100, **more: object) -> Body:
    any_side: Body = {f"{side}AddressPrefix": "*" for side in ("source", "destination")}
    any_port: Body = {f"{side}PortRange": "*" for side in ("source", "destination")}
    plain = {"access": access, "priority": priority, "direction": "Inbound", "protocol": "*", **any_side, **any_port}
    return {**plain, **more}


def endpoint(status: str = "Approved") -> list[tuple[str, Body]]:
    state = {"privateLinkServiceConnectionState": {"status": status}}
    row = {"name": "c", "properties": {"privateLinkServiceId": ACCOUNT.upper(), **state}}
    address = {"properties": {"privateIPAddress": "10.1.2.9"}}
    return [
        (
            ENDPOINT,
            {
                "subnet": {"id": ENDS.upper()},
                "privateLinkServiceConnections": [row],
                "networkInterfaces": [{"id": INTERFACE}],
            },
        ),
        (INTERFACE, {"ipConfigurations": [address]}),
        (CONNECTION, {"privateEndpoint": {"id": ENDPOINT.upper()}, **state}),
    ]


def entered(caller: Caller, *rules: Body, port: int = 443, ends: Body | None = None, app: Body | None = None) -> bool:
    """Whether somebody comes through the endpoint whose subnet is guarded by these rules."""
    made = world(account("Disabled"), network(app, guarded() if ends is None else ends), group(*rules), *endpoint())
    return reaches(made, caller, ACCOUNT, port) == PRIVATELY


# -- the public endpoint


@pytest.mark.parametrize(
    ("public", "action", "expected"),
    [("Enabled", "Allow", {"public"}), ("Enabled", "Deny", set()), ("Disabled", "Allow", set())],
)
def test_everybody_comes_in_where_public_access_is_on_and_nothing_denies(
    public: str, action: str, expected: set[str]
) -> None:
    assert reaches(world(account(public, action)), STRANGER, ACCOUNT, 443) == expected


def test_an_account_without_acls_lets_everybody_in() -> None:
    assert reaches(world((ACCOUNT, {})), STRANGER, ACCOUNT, 443) == {"public"}


@pytest.mark.parametrize("port", [80, 22])
def test_the_public_endpoint_listens_on_443_only(port: int) -> None:
    assert reaches(world(account(action="Allow")), STRANGER, ACCOUNT, port) == set()


@pytest.mark.parametrize(
    ("rules", "inside"),
    [(["203.0.113.0/24"], True), (["203.0.113.9"], True), (["203.0.113.8"], False), (["203.0.112.0/24"], False)],
)
def test_an_ip_rule_lets_its_own_addresses_in(rules: list[str], inside: bool) -> None:
    made = world(account(ipRules=[{"value": each} for each in rules]))
    assert reaches(made, STRANGER, ACCOUNT, 443) == ({"public"} if inside else set())
    shut = world(account("Disabled", ipRules=[{"value": each} for each in rules]))
    assert reaches(shut, STRANGER, ACCOUNT, 443) == set()


def test_an_account_that_is_not_there_is_reached_by_nobody() -> None:
    assert reaches(world(), STRANGER, ACCOUNT, 443) == set()


# -- trusted services


@pytest.mark.parametrize(
    ("public", "action", "bypass", "expected"),
    [
        ("Enabled", "Deny", "AzureServices", {"trusted"}),
        ("Disabled", "Deny", "AzureServices", {"trusted"}),
        ("Enabled", "Deny", "None", set()),
        ("Disabled", "Allow", "None", set()),
        ("Enabled", "Allow", "None", {"trusted", "public"}),
    ],
)
def test_trusted_services_pass_by_the_firewall_where_it_says_so(
    public: str, action: str, bypass: str, expected: set[str]
) -> None:
    assert reaches(world(account(public, action, bypass=bypass)), TRUSTED, ACCOUNT, 443) == expected


def test_whoever_is_no_trusted_service_does_not() -> None:
    made = world(account(bypass="AzureServices"))
    assert reaches(made, Caller(tag="Storage"), ACCOUNT, 443) == set()


# -- service endpoints

SERVES = {"serviceEndpoints": [{"service": "Microsoft.CognitiveServices"}]}


@pytest.mark.parametrize(
    ("public", "listed", "subnet", "expected"),
    [
        ("Enabled", APP, SERVES, {"service endpoint"}),
        ("Enabled", APP, {}, set()),
        ("Enabled", APP, {"serviceEndpoints": [{"service": "Microsoft.Storage"}]}, set()),
        ("Enabled", ENDS, SERVES, set()),
        ("Disabled", APP, SERVES, set()),
    ],
)
def test_a_service_endpoint_needs_the_rule_the_endpoint_and_public_access(
    public: str, listed: str, subnet: Body, expected: set[str]
) -> None:
    made = world(account(public, virtualNetworkRules=[{"id": listed.upper()}]), network(subnet))
    assert reaches(made, WORKLOAD, ACCOUNT, 443) == expected


@pytest.mark.parametrize("destination", ["*", "Internet", "CognitiveServicesManagement"])
def test_a_workload_that_may_not_get_out_reaches_no_public_endpoint(destination: str) -> None:
    deny = rule(direction="Outbound", destinationAddressPrefix=destination)
    made = world(
        account(virtualNetworkRules=[{"id": APP}]),
        network({**SERVES, "networkSecurityGroup": {"id": GROUP}}),
        group(deny),
    )
    assert reaches(made, WORKLOAD, ACCOUNT, 443) == set()


# -- private endpoints


@pytest.mark.parametrize("caller", [WORKLOAD, NEIGHBOUR, BRANCH], ids=str)
def test_who_is_in_the_network_or_connected_to_it_comes_through_an_approved_endpoint(caller: Caller) -> None:
    made = world(account("Disabled"), network(), *endpoint())
    assert [reaches(made, caller, ACCOUNT, port) for port in (443, 80)] == [PRIVATELY, PRIVATELY]


@pytest.mark.parametrize("caller", [STRANGER, TRUSTED, Caller(tag="Storage"), Caller("10.1.9.9")], ids=str)
def test_an_endpoint_has_no_way_for_the_internet_nor_for_an_address_that_nobody_has(caller: Caller) -> None:
    made = world(account("Disabled"), network(), *endpoint())
    assert reaches(made, caller, ACCOUNT, 443) == set()


@pytest.mark.parametrize("status", ["Pending", "Rejected", "Disconnected"])
def test_a_connection_that_is_not_approved_leads_nowhere(status: str) -> None:
    assert reaches(world(account(), network(), *endpoint(status)), WORKLOAD, ACCOUNT, 443) == set()


def test_the_connections_that_an_account_repeats_count_too() -> None:
    state = {"privateLinkServiceConnectionState": {"status": "Approved"}, "privateEndpoint": {"id": ENDPOINT}}
    id, properties = account("Disabled")
    made = world(
        (id, {**properties, "privateEndpointConnections": [{"properties": state}]}), network(), *endpoint("Pending")
    )
    assert reaches(made, WORKLOAD, ACCOUNT, 443) == PRIVATELY


@pytest.mark.parametrize(
    ("policies", "through"),
    [
        ("Enabled", False),
        ("NetworkSecurityGroupEnabled", False),
        ("RouteTableEnabled", True),
        ("Disabled", True),
        (None, True),
    ],
)
def test_a_group_guards_endpoints_only_where_the_subnet_has_it_so(policies: str | None, through: bool) -> None:
    ends = {key: value for key, value in guarded(privateEndpointNetworkPolicies=policies).items() if value}
    assert entered(WORKLOAD, rule(), ends=ends) is through


# -- rules of a group


def test_without_a_group_everything_passes_and_with_an_empty_one_the_network_does() -> None:
    assert entered(WORKLOAD, ends={})
    assert entered(WORKLOAD)
    assert entered(BRANCH)


def test_the_lowest_priority_number_decides_whatever_the_order_in_the_list() -> None:
    assert entered(WORKLOAD, rule(priority=200), rule("Allow", 100))
    assert not entered(WORKLOAD, rule("Allow", 200), rule(priority=100))


@pytest.mark.parametrize(
    ("source", "kept_out"),
    [
        ("*", True),
        ("0.0.0.0/0", True),
        ("VirtualNetwork", True),
        ("virtualnetwork", True),
        ("Internet", False),
        ("AzureLoadBalancer", False),
        ("10.1.1.0/24", True),
        ("10.1.1.4", True),
        ("10.1.1.5", False),
        ("10.1.0.0/24", False),
    ],
)
def test_a_rule_is_about_the_sources_it_names(source: str, kept_out: bool) -> None:
    assert entered(WORKLOAD, rule(sourceAddressPrefix=source)) is not kept_out


def test_the_plural_names_each_of_its_members() -> None:
    several: Body = {"sourceAddressPrefix": None, "sourceAddressPrefixes": ["10.1.2.0/24", "10.1.1.4/32"]}
    assert not entered(WORKLOAD, rule(**several))
    assert entered(Caller("10.1.1.5", APP), rule(**several))


@pytest.mark.parametrize(("destination", "kept_out"), [("10.1.2.9", True), ("10.1.2.8", False), ("Internet", False)])
def test_a_rule_is_about_the_destinations_it_names(destination: str, kept_out: bool) -> None:
    assert entered(WORKLOAD, rule(destinationAddressPrefix=destination)) is not kept_out


@pytest.mark.parametrize(
    ("ports", "kept_out"),
    [
        ({"destinationPortRange": "443"}, True),
        ({"destinationPortRange": "444"}, False),
        ({"destinationPortRange": "400-443"}, True),
        ({"destinationPortRange": None, "destinationPortRanges": ["80", "440-450"]}, True),
        ({"destinationPortRange": None, "destinationPortRanges": ["80", "444-450"]}, False),
    ],
)
def test_a_rule_is_about_the_ports_it_names(ports: Body, kept_out: bool) -> None:
    assert entered(WORKLOAD, rule(**ports)) is not kept_out


@pytest.mark.parametrize(("protocol", "kept_out"), [("*", True), ("TCP", True), ("Udp", False), ("Icmp", False)])
def test_a_rule_is_about_its_protocol(protocol: str, kept_out: bool) -> None:
    assert entered(WORKLOAD, rule(protocol=protocol)) is not kept_out


def test_who_may_choose_a_source_port_chooses_one_that_is_let_through() -> None:
    assert entered(WORKLOAD, rule(sourcePortRange="1-60000"))
    assert entered(WORKLOAD, rule("Allow", sourcePortRange="7"), rule(priority=200))
    assert not entered(WORKLOAD, rule(sourcePortRange="0-65535"))


def test_inbound_rules_are_not_asked_on_the_way_out_nor_the_other_way_round() -> None:
    assert entered(WORKLOAD, rule(direction="Outbound"))
    app = {"networkSecurityGroup": {"id": GROUP}}
    assert entered(WORKLOAD, rule(sourceAddressPrefix="10.9.9.9"), app=app, ends={})
    assert not entered(WORKLOAD, rule(direction="Outbound"), app=app, ends={})
    assert not entered(WORKLOAD, rule(direction="Outbound", destinationAddressPrefix="10.1.2.0/24"), app=app, ends={})


def test_within_one_subnet_both_directions_are_asked() -> None:
    assert not entered(NEIGHBOUR, rule())
    assert not entered(NEIGHBOUR, rule(direction="Outbound"))


def test_a_workload_without_its_subnet_reaches_nothing() -> None:
    made = world(account(action="Allow"), network(), *endpoint())
    assert reaches(made, Caller("10.1.2.7", APP), ACCOUNT, 443) == set()
    assert reaches(made, Caller("10.1.1.4", APP.replace("app", "gone")), ACCOUNT, 443) == set()


# -- subnets


def into(caller: Caller, *rules: Body, port: int = 443, protocol: str = "Tcp") -> bool:
    made = world(network(None, {"networkSecurityGroup": {"id": GROUP}}), group(*rules))
    return reaches_subnet(made, caller, ENDS, port, protocol)


def test_azures_own_rules_let_the_network_and_the_load_balancer_in_and_nobody_else() -> None:
    assert [into(each) for each in (WORKLOAD, BRANCH, Caller("168.63.129.16"))] == [True, True, True]
    assert [into(each) for each in (STRANGER, Caller(tag="Storage"))] == [False, False]


def test_a_subnet_without_a_group_is_open() -> None:
    assert reaches_subnet(world(network()), STRANGER, ENDS, 22)


def test_a_subnet_that_is_not_there_is_not() -> None:
    assert not reaches_subnet(world(), STRANGER, ENDS, 22)


@pytest.mark.parametrize("source", ["Storage", "Storage.WestEurope", "Internet", "*"])
def test_a_member_of_a_tag_is_let_in_by_its_tag(source: str) -> None:
    member = Caller(tag="Storage.WestEurope")
    assert into(member, rule("Allow", sourceAddressPrefix=source))
    assert not into(member, rule("Allow", sourceAddressPrefix="Storage.NorthEurope"))


def test_one_address_that_is_let_through_opens_a_subnet() -> None:
    only = rule("Allow", destinationAddressPrefix="10.1.2.77")
    assert into(STRANGER, only)
    assert not into(STRANGER, rule("Allow", destinationAddressPrefix="10.1.3.0/24"))
    spared = [rule(destinationAddressPrefix="10.1.2.0/25"), rule("Allow", 200)]
    assert into(STRANGER, *spared)


def test_the_protocol_of_a_subnets_rules_counts() -> None:
    assert into(STRANGER, rule("Allow", protocol="Udp"), protocol="Udp")
    assert not into(STRANGER, rule("Allow", protocol="Udp"))


def test_an_application_group_may_hold_anybody() -> None:
    grouped: Body = {"sourceAddressPrefix": None, "sourceApplicationSecurityGroups": [{"id": "/asg"}]}
    assert into(STRANGER, rule("Allow", **grouped))
    assert into(WORKLOAD, rule(**grouped))
