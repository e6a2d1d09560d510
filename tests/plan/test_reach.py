"""Reach itself: what rules let through, who is told, on documents and bodies small enough to judge by eye."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.ids import ArmId
from reconciler.model.reach import Way
from reconciler.model.wire import JsonObject
from reconciler.plan import declared_ways, live_ways
from reconciler.plan.reach.grid import JOINED, make_grid, read_ends, tell_span
from reconciler.plan.reach.security import Columns, Place, pass_rules, read_rules
from tests.plan.networks import (
    COGNITIVE,
    GROUP,
    Document,
    account,
    backend,
    deny,
    endpoint,
    fleet,
    group,
    network,
    rule,
    standing,
    subnet,
)

GUARD = group("guard", rule("app", 100, "10.0.1.0/24"), deny())


def told(*documents: Document) -> set[tuple[str, str, str]]:
    return {(way.source, way.path, way.ports) for way in declared_ways(fleet(*documents))}


def enters(rules: list[Document], address: str, port: int, *, joined: bool = False) -> bool:
    """Whether an address gets in to 10.0.2.4 through these rules of a network 10.0.0.0/16."""
    wire: JsonObject = {"properties": {"securityRules": [{"name": each["name"], "properties": each} for each in rules]}}
    told = read_rules(wire, "Inbound")
    ports = [str(each[key]) for each in rules for key in ("destinationPortRange",)]
    words = {str(each["sourceAddressPrefix"]) for each in rules} | {"10.0.0.0/16", "10.0.2.0/24", address}
    grid = make_grid(words, [*ports, str(port)], {JOINED, "from:Storage"})
    columns = Columns(places=(Place(address="10.0.2.4"),), ports=tuple(range(len(grid.gates))))
    cells = pass_rules(told, "Inbound", grid, grid.addresses("10.0.0.0/16"), columns)
    (number,) = grid.ports([str(port)])
    callers = columns.read(grid, cells, columns.find(0, [number], [0])[0]) & grid.addresses(address)
    flagged = grid.flagged(JOINED) if joined else grid.everybody & ~grid.flagged(JOINED)
    return bool(callers & flagged & ~grid.flagged("from:Storage"))


ALL = {"destinationPortRange": "Any"}


@pytest.mark.parametrize(
    ("rules", "address", "port", "answer"),
    [
        ([], "10.0.1.4", 443, True),  # Azure lets a network talk to itself
        ([], "203.0.113.9", 443, False),  # and nobody else
        ([], "168.63.129.16", 80, True),  # but its load balancer
        ([rule("a", 100)], "203.0.113.9", 443, True),
        ([rule("a", 100)], "203.0.113.9", 80, False),
        ([rule("a", 100, protocol="Udp")], "203.0.113.9", 443, False),
        ([rule("a", 100, "203.0.113.0/25")], "203.0.113.127", 443, True),
        ([rule("a", 100, "203.0.113.0/25")], "203.0.113.128", 443, False),
        ([deny("d", 100), rule("a", 200)], "203.0.113.9", 443, False),
        ([deny("d", 200), rule("a", 100)], "203.0.113.9", 443, True),
        ([deny("d", 200), rule("a", 100, "VirtualNetwork")], "10.0.9.9", 443, True),
        ([deny("d", 200), rule("a", 100, "VirtualNetwork")], "203.0.113.9", 443, False),
        ([rule("a", 100, "Internet", **ALL)], "203.0.113.9", 22, True),
        ([rule("a", 100, destinationAddressPrefix="10.0.2.0/25")], "203.0.113.9", 443, True),
        ([rule("a", 100, destinationAddressPrefix="10.0.2.5")], "203.0.113.9", 443, False),
        ([rule("a", 100, direction="Outbound")], "203.0.113.9", 443, False),
        ([rule("a", 100, "Storage")], "203.0.113.9", 443, False),  # an address that is not Storage's
        ([rule("a", 100, destinationPortRange="400-500")], "203.0.113.9", 443, True),
    ],
)
def test_rules_let_through_what_azure_would(rules: list[Document], address: str, port: int, answer: bool) -> None:
    assert enters(rules, address, port) is answer


def test_who_is_joined_to_a_network_counts_as_part_of_it() -> None:
    assert enters([], "192.168.7.7", 443, joined=True)
    assert not enters([], "192.168.7.7", 443)
    only = [deny("d", 100, sourceAddressPrefix="VirtualNetwork"), rule("a", 200)]
    assert enters(only, "192.168.7.7", 443)
    assert not enters(only, "192.168.7.7", 443, joined=True)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), min_size=1, max_size=6))
def test_a_grid_tells_exactly_the_prefixes_that_it_was_made_of(pairs: list[tuple[int, int]]) -> None:
    prefixes = [f"{tell_span(at, at)[0]}/{length}" for at, length in pairs]
    grid = make_grid(prefixes, (), {JOINED})
    for prefix in prefixes:
        spans = grid.intervals(grid.addresses(prefix), whole=True)
        assert spans == [read_ends(prefix)]
        assert grid.intervals(grid.everybody & ~grid.addresses(prefix), whole=True) != spans


def test_an_account_that_says_nothing_is_reached_by_nobody() -> None:
    assert told(account()) == set()


def test_the_public_endpoint_is_open_to_those_it_names_or_to_all() -> None:
    named = account(publicNetworkAccess="Enabled", acls={"ipRules": ["203.0.113.0/24", "198.51.100.7"]})
    assert told(named) == {("203.0.113.0/24", "public endpoint", "443"), ("198.51.100.7", "public endpoint", "443")}
    every = account(publicNetworkAccess="Enabled", acls={"defaultAction": "Allow"})
    assert told(every) == {
        ("everybody", "public endpoint", "443"),
        ("trusted Azure services", "trusted services", "443"),
    }


def test_a_firewall_that_does_not_mention_trusted_services_lets_them_in() -> None:
    said = {"customSubDomainName": "one", "publicNetworkAccess": "Disabled", "networkAcls": {"defaultAction": "Deny"}}
    silent = {**account(), "spec": said}
    assert told(silent) == {("trusted Azure services", "trusted services", "443")}


def test_a_subnet_comes_by_its_service_endpoint_while_its_own_group_lets_it_out() -> None:
    ruled = account(publicNetworkAccess="Enabled", acls={"virtualNetworkRules": ["net/app"]})
    app = subnet("app", 1, "out", serviceEndpoints=[COGNITIVE])
    shut = deny("d", 100, direction="Outbound", destinationAddressPrefix="Internet")
    assert told(ruled, network(app), group("out")) == {("net/app", "service endpoint", "443")}
    assert told(ruled, network(app), group("out", shut)) == set()


def test_the_group_of_an_endpoint_counts_only_where_its_subnet_says_so() -> None:
    ways = told(account(), endpoint(), GUARD, network(subnet("app", 1), backend("guard")))
    assert ways == {("net/app", "private endpoint pe", "443")}
    idle = backend("guard", privateEndpointNetworkPolicies="Disabled")
    open_ways = told(account(), endpoint(), GUARD, network(subnet("app", 1), idle))
    assert open_ways == {("VirtualNetwork", "private endpoint pe", "any")}


def test_who_is_beside_an_endpoint_is_stopped_by_its_group_on_the_way_out() -> None:
    """One subnet, one group, two gates: out of it and into it."""
    shut = rule("out", 100, access="Deny", direction="Outbound")
    ways = told(account(), endpoint(), group("guard", shut), network(subnet("app", 1), backend("guard")))
    assert ("net/app", "private endpoint pe", "443") in ways
    assert not any(source == "net/backend" for source, _, ports in ways if ports == "443")
    assert ("VirtualNetwork", "private endpoint pe", "0-442, 444-65535") in ways


def test_an_endpoint_that_asks_lets_nobody_in_before_it_is_answered() -> None:
    asking = endpoint(approval="manual")
    assert told(account(), asking, GUARD, network(subnet("app", 1), backend("guard"))) == set()


def test_a_connection_of_somebody_elses_endpoint_is_told_by_its_name() -> None:
    azure = standing(account())
    host = GROUP.resource("Microsoft.CognitiveServices/accounts", "one")
    theirs = "/subscriptions/x/resourceGroups/y/providers/Microsoft.Network/privateEndpoints/pe-theirs"
    for status, known in (("Approved", True), ("Pending", False), ("Rejected", False)):
        state: JsonObject = {"status": status}
        body: JsonObject = {"privateEndpoint": {"id": theirs}, "privateLinkServiceConnectionState": state}
        azure.add(host.child("privateEndpointConnections", "pe-theirs.1"), {"properties": body})
        ways = live_ways(fleet(account()), azure.snapshot())
        wanted = Way(
            source="any address behind it",
            target=host,
            path="private endpoint pe-theirs",
            ports="443",
            via=ArmId.parse(theirs),
        )
        assert ways == ((wanted,) if known else ())
