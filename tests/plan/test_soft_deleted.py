"""A wanted name that a soft-deleted account holds: stop, bring it back, or purge it; each only where it is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.ids import Ref
from reconciler.model.lifecycle import Lifecycle
from reconciler.model.plan import Action, DecisionState, Risk
from reconciler.model.resource import OWNER_TAG, Cap
from reconciler.plan import make_plan
from tests.support.builders import (
    EVERY_WORD,
    SETTING,
    PlainAzure,
    account_id,
    account_spec,
    converged,
    decided,
    declare_account,
    declare_group,
    deployment_id,
    deployment_spec,
    fleet_of,
    group_id,
    open_spec,
    steps_of,
)

PURGE: dict[str, Any] = {"soft_deleted": "purge", "allow": frozenset({"purge"})}


def buried(spec: dict[str, Any] | None = None, owner: str | None = "prod", *names: str) -> PlainAzure:
    """Accounts made of `spec` and deleted."""
    names = names or ("one",)
    _, azure = converged(*(declare_account(name, spec or account_spec()) for name in names))
    for name in names:
        azure.live[account_id(name)]["tags"] = {OWNER_TAG: owner} if owner else {}
        azure.deleted[account_id(name)] = azure.live.pop(account_id(name))
    return azure


def test_by_default_a_held_name_stops_the_account_and_what_lies_in_it_and_says_until_when() -> None:
    fleet = fleet_of(declare_account(spec=account_spec(deployments=[deployment_spec()])), allow=EVERY_WORD)
    plan = make_plan(fleet, buried().snapshot())
    assert plan.steps == ()
    one = decided(plan, account_id())
    assert one.code == "soft_deleted"
    assert "2025-10-03" in one.reason
    assert "softDeleted" in one.permit
    assert decided(plan, deployment_id()).code == "needs"


def test_a_restore_brings_back_and_then_changes_what_differs() -> None:
    fleet = fleet_of(declare_account(spec=account_spec(disableLocalAuth=True, tags={"a": "b"})), soft_deleted="restore")
    azure = buried(account_spec(disableLocalAuth=True))
    plan = azure.converge(fleet)
    assert steps_of(plan) == [("restore", "one"), ("patch", "one")]
    assert plan.steps[1].after == (plan.steps[0].name,)
    assert make_plan(fleet, azure.snapshot()).converged
    same = fleet_of(declare_account(spec=account_spec()), soft_deleted="restore")
    assert steps_of(make_plan(same, buried().snapshot())) == [("restore", "one")]


WIDER = [
    (account_spec(), open_spec()),
    (open_spec(), {**open_spec(), "networkAcls": {"defaultAction": "Allow"}}),
    (open_spec(), {**open_spec(), "networkAcls": {"defaultAction": "Deny", "ipRules": ["192.0.2.1"]}}),
    ({**open_spec(), "networkAcls": {"defaultAction": "Deny"}}, open_spec()),
    (account_spec(disableLocalAuth=True), account_spec()),
    (
        account_spec(restrictOutboundNetworkAccess=True),
        account_spec(restrictOutboundNetworkAccess=False, allowedFqdnList=["a.example.com"]),
    ),
]


@pytest.mark.parametrize(("wanted", "had"), WIDER)
def test_nothing_is_restored_that_would_open_a_door(wanted: dict[str, Any], had: dict[str, Any]) -> None:
    plan = make_plan(fleet_of(declare_account(spec=wanted), soft_deleted="restore"), buried(had).snapshot())
    assert plan.steps == ()
    assert decided(plan, account_id()).code == "restore_widens"
    assert decided(plan, account_id()).permit


def test_what_a_document_ignores_can_still_open_a_door() -> None:
    ignoring = declare_account(spec=account_spec(), lifecycle=Lifecycle(ignore=("publicNetworkAccess",)))
    plan = make_plan(fleet_of(ignoring, soft_deleted="restore"), buried(open_spec()).snapshot())
    assert decided(plan, account_id()).code == "restore_widens"


def test_nothing_is_restored_that_cannot_become_what_is_declared() -> None:
    moved = fleet_of(declare_account(spec=account_spec(location="westeurope")), soft_deleted="restore")
    plan = make_plan(moved, buried().snapshot())
    assert decided(plan, account_id()).code == "restore_differs"
    assert "location" in decided(plan, account_id()).reason


@pytest.mark.parametrize("policy", [{"soft_deleted": "restore"}, PURGE])
@pytest.mark.parametrize(("owner", "adopt", "acts"), [("prod", False, True), (None, False, False), (None, True, True)])
def test_what_was_not_ours_is_neither_restored_nor_purged_unless_we_may_adopt_it(
    policy: dict[str, Any], owner: str | None, adopt: bool, acts: bool
) -> None:
    fleet = fleet_of(declare_account(lifecycle=Lifecycle(adopt=adopt)), **policy)
    plan = make_plan(fleet, buried(owner=owner).snapshot())
    assert bool(plan.steps) is acts
    assert acts or decided(plan, account_id()).code == "not_owned"
    assert acts or "lifecycle.adopt" in decided(plan, account_id()).permit


@pytest.mark.parametrize("policy", [{"soft_deleted": "restore"}, PURGE])
def test_what_another_fleet_buried_is_its_own(policy: dict[str, Any]) -> None:
    fleet = fleet_of(declare_account(lifecycle=Lifecycle(adopt=True)), adopt_all=True, **policy)
    plan = make_plan(fleet, buried(owner="other").snapshot())
    assert plan.steps == ()
    assert "other" in decided(plan, account_id()).reason


def test_a_purge_needs_its_word_and_is_a_decision_of_its_own_which_the_account_waits_for() -> None:
    fleet = fleet_of(declare_account(), soft_deleted="purge")
    refused = make_plan(fleet, buried().snapshot())
    assert refused.steps == ()
    assert {each.state for each in refused.decisions} == {DecisionState.BLOCKED}
    assert all("purge" in each.permit for each in refused.decisions)
    assert decided(refused, account_id()).reason.startswith("needs the purge of DeletedAccount/one: ")
    azure = buried()
    plan = azure.converge(fleet_of(declare_account(), **PURGE))
    assert steps_of(plan) == [("purge", "one"), ("put", "one")]
    assert plan.steps[1].after == (plan.steps[0].name,)
    (purge,) = [each for each in plan.decisions if each.action is Action.PURGE]
    assert (purge.ref.kind, purge.risk) == ("DeletedAccount", Risk.DESTROYS)
    assert any("fine-tuned" in warning for warning in purge.warnings)
    assert make_plan(fleet, azure.snapshot()).converged


def test_a_purge_says_where_the_account_was() -> None:
    azure = buried()
    azure.deleted[account_id()]["location"] = "West Europe"
    plan = make_plan(fleet_of(declare_account(), **PURGE), azure.snapshot())
    assert plan.steps[0].location == "West Europe"
    assert plan.steps[1].location == "swedencentral"


def test_nothing_is_purged_for_an_account_that_would_not_be_made() -> None:
    azure = buried()
    del azure.live[group_id()]
    assert make_plan(fleet_of(declare_account(), **PURGE), azure.snapshot()).steps == ()
    azure.add(group_id(), {"properties": {"provisioningState": "Deleting"}, "location": "x"})
    plan = make_plan(fleet_of(declare_group(), declare_account(), **PURGE), azure.snapshot())
    assert plan.steps == ()
    kept = fleet_of(declare_account(lifecycle=Lifecycle(prevent_destroy=True)), **PURGE)
    assert make_plan(kept, buried().snapshot()).steps == ()


def test_a_purge_counts_as_destroying_and_one_is_always_within_the_limit() -> None:
    one = fleet_of(declare_account(), **PURGE)
    assert make_plan(one, buried().snapshot()).applicable
    names = [f"acc{number}" for number in range(4)]
    many = fleet_of(*(declare_account(name) for name in names), **PURGE)
    assert make_plan(many, buried(None, "prod", *names).snapshot()).stopped


def test_two_buried_accounts_of_one_name_are_purged_apart() -> None:
    azure = buried()
    azure.add(group_id("rg-b"), {"location": "x"})
    azure.deleted[account_id("one", "rg-b")] = dict(azure.deleted[account_id()])
    moved = replace(SETTING, moved={Ref(kind="Account", name="two"): "one"})
    other = declare_account("two", account_spec(resourceGroup="rg-b"), setting=moved)
    fleet = fleet_of(declare_account("one"), other, deletes=Cap(count=99, percent=100), **PURGE)
    plan = make_plan(fleet, azure.snapshot())
    assert sorted(steps_of(plan)) == [("purge", "one"), ("purge", "one"), ("put", "one"), ("put", "one")]


def test_a_subdomain_that_is_taken_is_seen_before_the_account_is_made() -> None:
    fleet = fleet_of(declare_account(spec=open_spec()))
    azure = PlainAzure()
    azure.add(group_id(), {"location": "x"})
    plan = make_plan(fleet, azure.snapshot(taken=frozenset({account_id()})))
    assert decided(plan, account_id()).code == "subdomain_taken"
    assert "another customSubDomainName" in decided(plan, account_id()).permit
    for name, wire in (("other", {}), ("holder", {"properties": {"customSubDomainName": "ONE"}})):
        azure.deleted[account_id(name)] = wire  # type: ignore[assignment]
    plan = make_plan(fleet, azure.snapshot(taken=frozenset({account_id()})))
    assert plan.steps == ()
    assert "holder" in decided(plan, account_id()).reason
    assert "purge" in decided(plan, account_id()).permit
