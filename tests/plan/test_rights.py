"""What each write needs to be permitted, what is blocked because it is not, and what is only told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, DecisionState, Plan
from reconciler.model.resource import Fleet
from reconciler.model.rights import Grant, Lack, Mandate, Rights
from reconciler.plan import approve, find_closer, find_places, make_plan
from reconciler.plan.rights import forbid_purge
from tests.plan.networks import (
    GROUP,
    Document,
    account,
    backend,
    decision,
    endpoint,
    fleet,
    group,
    network,
    rule,
    standing,
    subnet,
)
from tests.support.builders import SUBSCRIPTION, PlainAzure, fault_of

CS, NET = "Microsoft.CognitiveServices", "Microsoft.Network"
HERE = ArmId(subscription=SUBSCRIPTION)
GROUPS = "Microsoft.Resources/subscriptions/resourceGroups"
EVERY = {"allow": ["replace", "delete", "purge", "capacityCut"], "softDeleted": "purge"}
DEPLOYMENT = {"name": "d", "model": {"name": "gpt-4o", "version": "1"}, "sku": {"name": "Standard", "capacity": 1}}


def document(kind: str, name: str, **spec: Any) -> Document:
    return {"apiVersion": "reconciler/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def zone(**spec: Any) -> Document:
    return document("PrivateDnsZone", ZONE, **spec)


def granted(*actions: str, at: ArmId = GROUP, **more: Any) -> Rights:
    """These actions at one place and nothing in the subscription."""
    return Rights(grants={HERE: (), at: (Grant(actions=actions),)}, **more)


def needed(azure: PlainAzure, wanted: Fleet) -> dict[str, set[str]]:
    """What whoever carries the plan out has to be permitted, by the end of the place."""
    plan = make_plan(wanted, azure.snapshot(rights=Rights(grants={HERE: (), GROUP: ()}, binding=False)))
    assert plan.mandate is not None
    return {lack.place.removesuffix(" in resource group rg-ai"): {*lack.actions} for lack in plan.mandate.lacks}


IDENTITY = str(GROUP.resource("Microsoft.ManagedIdentity/userAssignedIdentities", "app"))
PROVIDER = f"--namespace {CS} --subscription {SUBSCRIPTION}"
IN_GROUP = "in resource group rg-ai"
ON_SUBSCRIPTION = f"on subscription {SUBSCRIPTION}"
ZONE = "privatelink.openai.azure.com"


@pytest.mark.parametrize(
    ("before", "after", "actions"),
    [
        ([], [account()], {IN_GROUP: {f"{CS}/accounts/write"}}),
        ([account()], [account(tags={"a": "b"})], {IN_GROUP: {f"{CS}/accounts/write"}}),
        ([account()], [account(deployments=[DEPLOYMENT])], {IN_GROUP: {f"{CS}/accounts/deployments/write"}}),
        (
            [account()],
            [account(raiPolicies=[{"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}])],
            {IN_GROUP: {f"{CS}/accounts/raiPolicies/write"}},
        ),
        (
            [account(deployments=[DEPLOYMENT])],
            [account(deployments=[])],
            {IN_GROUP: {f"{CS}/accounts/deployments/delete"}},
        ),
        (
            [account(location="swedencentral")],
            [account(location="westeurope")],
            {
                IN_GROUP: {f"{CS}/accounts/delete", f"{CS}/accounts/write"},
                ON_SUBSCRIPTION: {f"{CS}/locations/resourceGroups/deletedAccounts/delete"},
            },
        ),
        (
            [network(subnet("a", 1, serviceEndpoints=[CS])), account()],
            [network(subnet("a", 1, serviceEndpoints=[CS])), account(acls={"virtualNetworkRules": ["net/a"]})],
            {
                IN_GROUP: {f"{CS}/accounts/write"},
                "on virtualNetworks/net/subnets/a": {f"{NET}/virtualNetworks/subnets/joinViaServiceEndpoint/action"},
            },
        ),
        (
            [account(identity={"type": "SystemAssigned"})],
            [account(identity={"type": "UserAssigned", "userAssignedIdentities": [IDENTITY]})],
            {
                IN_GROUP: {f"{CS}/accounts/write"},
                "on userAssignedIdentities/app": {"Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"},
            },
        ),
        (
            [],
            [group("nsg", rule("in", 100)), network(subnet("a", 1, "nsg"))],
            {
                IN_GROUP: {
                    f"{NET}/networkSecurityGroups/write",
                    f"{NET}/networkSecurityGroups/join/action",
                    f"{NET}/virtualNetworks/write",
                    f"{NET}/virtualNetworks/subnets/write",
                }
            },
        ),
        (
            [network(backend()), account()],
            [network(backend()), account(), endpoint()],
            {
                IN_GROUP: {f"{NET}/privateEndpoints/write"},
                "on virtualNetworks/net/subnets/backend": {f"{NET}/virtualNetworks/subnets/join/action"},
                "on accounts/one": {f"{CS}/accounts/privateEndpointConnectionsApproval/action"},
            },
        ),
        (
            [network(backend()), account()],
            [network(backend()), account(), endpoint(approval="manual", requestMessage="please")],
            {
                IN_GROUP: {f"{NET}/privateEndpoints/write"},
                "on virtualNetworks/net/subnets/backend": {f"{NET}/virtualNetworks/subnets/join/action"},
            },
        ),
        (
            [network(subnet("a", 1))],
            [network(subnet("a", 1)), zone(virtualNetworkLinks=[{"name": "l", "virtualNetwork": "net"}])],
            {
                IN_GROUP: {f"{NET}/privateDnsZones/write", f"{NET}/privateDnsZones/virtualNetworkLinks/write"},
                "on virtualNetworks/net": {f"{NET}/virtualNetworks/join/action"},
            },
        ),
        (
            [network(backend()), account(), zone(), endpoint()],
            [
                network(backend()),
                account(),
                zone(),
                endpoint(privateDnsZones=[ZONE]),
            ],
            {
                IN_GROUP: {f"{NET}/privateEndpoints/privateDnsZoneGroups/write"},
                f"on privateDnsZones/{ZONE}": {f"{NET}/privateDnsZones/join/action"},
            },
        ),
    ],
    ids=[
        "create", "tag", "deploy", "filter", "delete", "replace", "service-endpoint", "identity", "network", "endpoint",
        "manual-endpoint", "zone-link", "zone-group",
    ],
)  # fmt: skip
def test_each_write_needs_its_own_action_and_the_right_to_use_what_it_names(
    before: list[Document], after: list[Document], actions: Mapping[str, set[str]]
) -> None:
    spec = {**EVERY, "prune": {"deployments": True}}
    assert needed(standing(*before, **spec), fleet(*after, **spec)) == actions


def plan_with(azure: PlainAzure, wanted: Fleet, rights: Rights, **more: Any) -> Plan:
    return make_plan(wanted, azure.snapshot(rights=rights, **more))


def test_what_is_not_permitted_is_blocked_with_who_what_where_and_the_role_that_would_do() -> None:
    azure, wanted = standing(account()), fleet(account(), account("two", deployments=[DEPLOYMENT]))
    plan = plan_with(azure, wanted, granted(f"{CS}/*/read"), principal="us")
    two = decision(plan, "Account/two")
    assert (two.state, two.code, two.action) == (DecisionState.BLOCKED, "not_permitted_by_azure", Action.CREATE)
    assert two.reason == f"us is not granted {CS}/accounts/write in resource group rg-ai"
    assert two.permit == (
        "grant it Cognitive Services Contributor in resource group rg-ai; a new grant takes some minutes to act"
    )
    assert decision(plan, "Account/two/deployments/d").code == "not_permitted_by_azure"
    assert plan.steps == ()
    assert plan.mandate == Mandate()


def test_whoever_has_no_name_is_this_identity() -> None:
    plan = plan_with(standing(), fleet(account()), granted())
    assert decision(plan, "Account/one").reason.startswith("this identity is not granted ")


def test_the_rest_goes_on() -> None:
    azure, wanted = standing(account()), fleet(account(tags={"a": "b"}, deployments=[DEPLOYMENT]))
    plan = plan_with(azure, wanted, granted(f"{CS}/accounts/deployments/*"))
    assert [step.name for step in plan.steps] == ["Account/one/deployments/d#create"]
    plan = plan_with(azure, wanted, granted(f"{CS}/accounts/write"))
    assert [step.name for step in plan.steps] == ["Account/one#write-1"]
    blocked = decision(plan, "Account/one/deployments/d")
    assert blocked.permit.startswith("grant it Cognitive Services OpenAI Contributor in resource group rg-ai; ")


def test_nothing_is_deleted_that_could_not_be_made_again() -> None:
    """A replacement takes an account's deployments with it, and they have to come back."""
    before, after = account(deployments=[DEPLOYMENT]), account(location="westeurope", deployments=[DEPLOYMENT])
    azure, wanted = standing(before, **EVERY), fleet(after, **EVERY)
    plan = plan_with(
        azure, wanted, Rights(grants={HERE: (Grant(actions=("*",), not_actions=("*/deployments/write",)),)})
    )
    assert plan.steps == ()
    assert decision(plan, "Account/one/deployments/d").code == "not_permitted_by_azure"
    plan = plan_with(
        azure, wanted, Rights(grants={HERE: (Grant(actions=("*",), not_actions=("*/deletedAccounts/*",)),)})
    )
    assert plan.steps == ()
    one = decision(plan, "Account/one")
    purge = f"{CS}/locations/resourceGroups/deletedAccounts/delete"
    assert one.reason.startswith(f"this identity is not granted {purge} on subscription {SUBSCRIPTION}")
    assert "(Azure checks purges there, whatever is granted in a group)" in one.permit


def test_several_places_and_roles_are_told_together() -> None:
    azure = standing(network(backend()), account())
    plan = plan_with(azure, fleet(network(backend()), account(), endpoint()), granted("*/read"))
    pe = decision(plan, "PrivateEndpoint/pe")
    assert pe.reason == (
        f"this identity is not granted {NET}/privateEndpoints/write in resource group rg-ai and "
        f"{CS}/accounts/privateEndpointConnectionsApproval/action on accounts/one in resource group rg-ai and "
        f"{NET}/virtualNetworks/subnets/join/action on virtualNetworks/net/subnets/backend in resource group rg-ai"
    )
    assert pe.permit == (
        "grant it Network Contributor in resource group rg-ai and Cognitive Services Contributor on accounts/one in "
        "resource group rg-ai and Network Contributor on virtualNetworks/net/subnets/backend in resource group rg-ai; "
        "a new grant takes some minutes to act"
    )


def test_a_wider_role_makes_the_narrower_one_needless() -> None:
    wanted = fleet(account(deployments=[DEPLOYMENT]), zone(), network())
    rights = Rights(grants={HERE: (), GROUP: ()}, binding=False)
    plan = plan_with(standing(), wanted, rights)
    assert plan.mandate is not None
    (lack,) = plan.mandate.lacks
    assert lack.roles == ("Cognitive Services Contributor", "Network Contributor")


def test_whoever_only_looks_is_told_once_for_each_place_and_nothing_is_blocked() -> None:
    azure = standing(account())
    wanted = fleet(account(tags={"a": "b"}, deployments=[DEPLOYMENT]))
    plan = plan_with(azure, wanted, granted("*/read", binding=False))
    assert plan.mandate == Mandate(
        lacks=(
            Lack(
                place="in resource group rg-ai",
                actions=(f"{CS}/accounts/deployments/write", f"{CS}/accounts/write"),
                refs=("Account/one", "Account/one/deployments/d"),
                roles=("Cognitive Services Contributor",),
            ),
        )
    )
    without = make_plan(wanted, azure.snapshot())
    assert (plan.digest, plan.steps) == (without.digest, without.steps)
    assert without.mandate is None


def test_what_is_unknown_blocks_nothing_and_is_told_once() -> None:
    azure, wanted = standing(), fleet(account(deployments=[DEPLOYMENT]))
    rights = Rights(grants={HERE: ()}, unread={GROUP: fault_of()}, unsure={CS.lower(): fault_of("Odd")})
    plan = plan_with(azure, wanted, rights)
    assert len(plan.steps) == 2
    assert plan.mandate == Mandate(
        unread=(
            ("what is granted in resource group rg-ai", fault_of()),
            (f"whether {CS.lower()} is registered", fault_of("Odd")),
        )
    )
    assert plan.complete


@pytest.mark.parametrize("binding", [True, False])
@pytest.mark.parametrize(
    ("word", "permit"),
    [
        (
            "NotRegistered",
            f"run `az provider register {PROVIDER}`, which takes some minutes",
        ),
        (
            "Registering",
            f"wait until `az provider show {PROVIDER} --query registrationState` says Registered",
        ),
    ],
)
def test_a_provider_that_is_not_registered_blocks_what_is_new_of_it(word: str, permit: str, binding: bool) -> None:
    rights = Rights(grants={HERE: (Grant(actions=("*",)),)}, unregistered={CS.lower(): word}, binding=binding)
    plan = plan_with(standing(), fleet(account(deployments=[DEPLOYMENT]), network()), rights)
    one = decision(plan, "Account/one")
    assert (one.state, one.code) == (DecisionState.BLOCKED, "provider_unregistered")
    assert one.reason == f"the subscription is not registered to use {CS}: Azure says {word}"
    assert one.permit == permit
    assert decision(plan, "Account/one/deployments/d").code == "needs"
    assert [step.name for step in plan.steps] == ["VirtualNetwork/net#create"]


def test_only_where_the_plan_writes_it_is_asked_what_may_be_done() -> None:
    azure = standing(account())
    assert find_places(make_plan(fleet(account()), azure.snapshot()), azure.snapshot()) is None


def test_it_is_asked_in_the_groups_that_are_there_and_about_providers_of_which_nothing_lives() -> None:
    azure = standing(network(backend()))
    foreign = f"/subscriptions/other/resourceGroups/hub/providers/{NET}/virtualNetworks/hub/subnets/ends"
    other = document("ResourceGroup", "rg-new")
    wanted = fleet(
        network(backend()), other, account(), account("two", resourceGroup="rg-new"), endpoint(subnet=foreign)
    )
    scope = find_places(make_plan(wanted, azure.snapshot()), azure.snapshot())
    assert scope is not None
    assert scope.places == {HERE, GROUP, ArmId(subscription="other"), ArmId(subscription="other", group="hub")}
    assert scope.namespaces == {CS}


def test_before_anybody_is_refused_it_is_asked_at_the_resource_itself() -> None:
    azure = standing(network(backend()), account(), account("two"))
    wanted = fleet(
        network(backend()),
        account(deployments=[DEPLOYMENT]),
        account("two", tags={"a": "b"}),
        account("three", deployments=[DEPLOYMENT]),
        endpoint(),
    )
    plan = make_plan(wanted, azure.snapshot())
    found = find_closer(plan, azure.snapshot(rights=granted(f"{NET}/privateEndpoints/*")))
    names = {id.name for id in found}
    assert names == {"one", "two", "backend"}
    known = granted(f"{NET}/privateEndpoints/*", unread={id: fault_of() for id in found if id.name != "two"})
    again = find_closer(plan, azure.snapshot(rights=known))
    assert {id.name for id in again} == {"two"}


def test_a_role_on_a_resource_itself_is_enough() -> None:
    azure = standing(account(), account("two"))
    wanted = fleet(account(deployments=[DEPLOYMENT]), account("two", deployments=[DEPLOYMENT]))
    plan = plan_with(azure, wanted, granted(f"{CS}/*", at=GROUP.resource(f"{CS}/accounts", "two")))
    assert [step.name for step in plan.steps] == ["Account/two/deployments/d#create"]


def test_a_group_that_is_to_be_made_is_judged_at_the_subscription() -> None:
    azure, wanted = PlainAzure(), fleet(account())
    scope = find_places(make_plan(wanted, azure.snapshot()), azure.snapshot())
    assert scope is not None
    assert scope.places == {HERE}
    plan = plan_with(azure, wanted, Rights(grants={HERE: (Grant(actions=(f"{CS}/*",)),)}))
    assert decision(plan, "ResourceGroup/rg-ai").reason == (
        f"this identity is not granted {GROUPS}/write on subscription {SUBSCRIPTION}"
    )
    assert decision(plan, "ResourceGroup/rg-ai").permit == (
        f"grant it Contributor on subscription {SUBSCRIPTION}; a new grant takes some minutes to act"
    )


def test_what_others_put_into_a_subnet_is_used_by_our_write_too() -> None:
    """A PUT of a subnet names its route table again, which nobody declares, and may name what is no id at all."""
    azure = standing(network(subnet("a", 1)))
    table = GROUP.resource(f"{NET}/routeTables", "routes")
    vnet = GROUP.resource(f"{NET}/virtualNetworks", "net")
    azure.edit(vnet.child("subnets", "a"), "properties.routeTable", {"id": str(table)})
    azure.edit(vnet.child("subnets", "a"), "properties.natGateway", {"id": "nonsense"})
    wanted = network(subnet("a", 1, serviceEndpoints=[CS]))
    assert needed(azure, fleet(wanted)) == {
        IN_GROUP: {f"{NET}/virtualNetworks/subnets/write"},
        "on routeTables/routes": {f"{NET}/routeTables/join/action"},
    }


def test_why_nothing_can_be_purged_is_said_only_where_it_is_certain() -> None:
    azure = PlainAzure()
    sure = azure.snapshot(rights=granted("*"), principal="us")
    action = f"{CS}/locations/resourceGroups/deletedAccounts/delete"
    assert forbid_purge(sure, SUBSCRIPTION) == f"us is not granted {action} on subscription {SUBSCRIPTION}"
    for rights in (None, granted("*", binding=False), Rights(unread={HERE: fault_of()}), granted("*", at=HERE)):
        assert forbid_purge(azure.snapshot(rights=rights), SUBSCRIPTION) == ""


def test_a_plan_that_needs_nothing_it_may_not_do_is_the_same_plan() -> None:
    azure, wanted = standing(), fleet(account())
    plan = make_plan(wanted, azure.snapshot())
    for rights in (granted("*"), Rights(unread={HERE: fault_of()}), granted("*", binding=False)):
        snapshot = azure.snapshot(rights=rights, requests=7)
        assert approve(plan, snapshot) == make_plan(wanted, snapshot)
    for rights in (granted("*/read"), granted("*", unregistered={CS.lower(): "NotRegistered"})):
        assert approve(plan, azure.snapshot(rights=rights)) is None
