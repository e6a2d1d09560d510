"""Changes that the law of reach has found to be open, or shut for ever, in passing; each as small as it could be made.

The law itself, over thousands of changes, is `tests/laws/test_never_more_open.py`.
"""

from __future__ import annotations

import pytest

from tests.plan.networks import (
    Document,
    account,
    backend,
    blocked,
    deny,
    endpoint,
    fleet,
    group,
    network,
    plan_of,
    rule,
    standing,
    subnet,
    waits_for,
)

MOVES: Document = {
    "allow": ["replace", "delete"],
    "prune": {"privateEndpoints": True, "subnets": True},
    "limits": {"deletes": {"count": 5, "percent": 100}},
}
OUT: Document = {"direction": "Outbound", "destinationAddressPrefix": "Any", "destinationPortRange": "Any"}
NOBODY_OUT = rule("out", 100, access="Deny", protocol="Any", **OUT)
APP = "VirtualNetwork/net/subnets/app"
BACKEND = "VirtualNetwork/net/subnets/backend"


@pytest.mark.parametrize("source", ["Any", "VirtualNetwork", "10.0.1.0/24", "192.168.7.0/24"])
@pytest.mark.parametrize("new", [True, False], ids=["new", "standing"])
def test_a_group_opens_only_after_its_subnet_has_left_for_another_that_says_the_same(source: str, new: bool) -> None:
    """The subnet's write opens and closes nothing by itself; but before it, the group's own does."""
    keeps = deny("keeps", 120, sourceAddressPrefix=source)
    before = [group("old", keeps), *([] if new else [group("next")])]
    azure = standing(*before, network(subnet("app", 1), backend("old")), account(), endpoint())
    after = [group("old"), group("next", keeps), network(subnet("app", 1), backend("next"))]
    plan = plan_of(azure, *after, account(), endpoint())
    assert f"{BACKEND}#write-1" in waits_for(plan, "NetworkSecurityGroup/old#write-1")


def test_a_way_out_opens_only_after_its_subnet_has_left_for_a_group_that_closes_it_too() -> None:
    azure = standing(group("old", NOBODY_OUT), network(subnet("app", 1, "old"), backend()), account(), endpoint())
    after = [group("old"), group("next", NOBODY_OUT), network(subnet("app", 1, "next"), backend())]
    plan = plan_of(azure, *after, account(), endpoint())
    assert f"{APP}#write-1" in waits_for(plan, "NetworkSecurityGroup/old#write-1")


def test_a_group_that_keeps_its_own_subnet_in_is_no_obstacle_to_making_everything() -> None:
    """Who is in the subnet of an endpoint gets out before the group that stops them is there: so it is made first."""
    documents = [group("guard", NOBODY_OUT), network(subnet("app", 1), backend("guard")), account(), endpoint()]
    plan = plan_of(standing(), *documents)
    assert blocked(plan) == {}
    assert {"NetworkSecurityGroup/guard#create", f"{BACKEND}#create"} <= waits_for(plan, "PrivateEndpoint/pe#create")


def test_an_address_of_the_internet_does_not_come_through_a_private_endpoint() -> None:
    """An endpoint without a security group is no other way for the office: it has no public address."""
    office = "203.0.113.0/24"
    opened = account(publicNetworkAccess="Enabled", acls={"ipRules": [office]})
    azure = standing(network(backend()), opened, endpoint())
    shut = account(publicNetworkAccess="Enabled", acls={"ipRules": []})
    plan = plan_of(azure, network(backend()), shut, endpoint(), neverCutOff=[office])
    assert blocked(plan)["Account/one"][0] == "cut_off"


def test_a_subnet_moves_before_an_endpoint_opens_to_where_it_was() -> None:
    azure = standing(network(subnet("app", 1), backend()), account())
    plan = plan_of(azure, network(subnet("app", 5), backend()), account(), endpoint())
    assert f"{APP}#write-1" in waits_for(plan, "PrivateEndpoint/pe#create")


def test_a_subnet_goes_before_an_endpoint_opens_to_it() -> None:
    azure = standing(network(subnet("app", 1), subnet("old", 3), backend()), account())
    plan = plan_of(azure, network(subnet("app", 1), backend()), account(), endpoint(), **MOVES)
    assert "VirtualNetwork/net/subnets/old#delete" in waits_for(plan, "PrivateEndpoint/pe#create")


def test_an_endpoint_goes_before_a_subnet_comes_that_would_reach_it() -> None:
    azure = standing(network(backend()), account(), endpoint())
    plan = plan_of(azure, network(subnet("app", 1), backend()), account(), **MOVES)
    assert "PrivateEndpoint/pe#delete" in waits_for(plan, f"{APP}#create")


def test_an_account_opens_to_everybody_after_a_subnet_has_left_its_old_addresses() -> None:
    azure = standing(network(subnet("app", 1)), account())
    opened = account(publicNetworkAccess="Enabled", acls={"defaultAction": "Allow"})
    plan = plan_of(azure, network(subnet("app", 5)), opened)
    assert f"{APP}#write-1" in waits_for(plan, "Account/one#write-1")


def test_a_group_lets_a_subnet_out_after_it_has_moved() -> None:
    azure = standing(group("app", NOBODY_OUT), network(subnet("app", 1, "app"), backend()), account(), endpoint())
    after = [group("app"), network(subnet("app", 5, "app"), backend())]
    plan = plan_of(azure, *after, account(), endpoint())
    assert f"{APP}#write-1" in waits_for(plan, "NetworkSecurityGroup/app#write-1")


@pytest.mark.parametrize("match", ["pe", "*", "/subscriptions/*/privateEndpoints/pe"])
def test_an_endpoint_whose_connection_is_to_be_rejected_may_not_connect_by_itself(match: str) -> None:
    """Azure approves an automatic connection at once; the rejection would come too late."""
    judged = account(privateEndpointConnections=[{"match": match, "status": "Rejected"}])
    with pytest.raises(AssertionError, match="PrivateEndpoint/pe connects to Account/one by itself, whose"):
        fleet(network(backend()), judged, endpoint())
    assert fleet(network(backend()), judged, endpoint(approval="manual"))


def test_an_endpoint_moves_to_a_subnet_that_is_made_with_it() -> None:
    """It would rather stay until the new subnet stands, but those who will be in there may not reach the old one."""
    azure = standing(network(backend()), account(), endpoint())
    documents = [network(backend(), subnet("new", 5)), account(), endpoint(subnet="net/new")]
    plan = plan_of(azure, *documents, **MOVES)
    assert blocked(plan) == {}
    assert "PrivateEndpoint/pe#delete" in waits_for(plan, "VirtualNetwork/net/subnets/new#create")
    assert "VirtualNetwork/net/subnets/new#create" in waits_for(plan, "PrivateEndpoint/pe#create")
