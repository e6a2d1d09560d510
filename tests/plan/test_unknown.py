"""What could not be read is neither absent nor unchanged: nothing is made, and nothing goes, because of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.plan import Action, DecisionState
from reconciler.model.resource import Snapshot
from reconciler.plan import make_plan
from tests.support.builders import (
    ACCOUNTS,
    DEPLOYMENTS,
    EVERY_WORD,
    FILTERS,
    GROUPS,
    PlainAzure,
    account_id,
    account_spec,
    blind_to,
    converged,
    decided,
    declare_account,
    declare_group,
    deployment_id,
    deployment_spec,
    filter_id,
    fleet_of,
    group_id,
    steps_of,
)

DELETED = "Microsoft.CognitiveServices/deletedAccounts"
STRICT = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}
SPEC = account_spec(raiPolicies=[STRICT], deployments=[deployment_spec(raiPolicyName="strict")])


def bare() -> PlainAzure:
    azure = PlainAzure()
    azure.add(group_id(), {"location": "x"})
    return azure


@pytest.mark.parametrize("scope", [None, group_id(), account_id()])
def test_an_account_that_could_not_be_read_is_not_made_and_neither_is_what_lies_in_it(scope: None) -> None:
    snapshot = bare().snapshot(blind=(blind_to(ACCOUNTS, scope),))
    plan = make_plan(fleet_of(declare_account(spec=SPEC)), snapshot)
    assert plan.steps == ()
    assert {each.state for each in plan.decisions} == {DecisionState.BLOCKED}
    assert {each.code for each in plan.decisions} == {"unknown"}
    assert all(each.permit for each in plan.decisions)


@pytest.mark.parametrize(
    ("arm_type", "made"), [(DEPLOYMENTS, ["strict"]), (FILTERS, [])], ids=["deployments", "filters"]
)
def test_children_that_could_not_be_read_are_not_made_nor_what_stands_on_them(arm_type: str, made: list[str]) -> None:
    fleet, azure = converged(declare_account(spec=SPEC))
    for id in (deployment_id(), filter_id("strict")):
        del azure.live[id]
    plan = make_plan(fleet, azure.snapshot(blind=(blind_to(arm_type, account_id()),)))
    assert [step.id.name for step in plan.steps] == made
    assert decided(plan, deployment_id()).state is DecisionState.BLOCKED


def test_nothing_is_made_in_a_group_that_could_not_be_read_or_is_not_there() -> None:
    blind = Snapshot(taken_at=0.0, live={}, blind=(blind_to(GROUPS),))
    for declared in ([declare_account()], [declare_group(), declare_account()]):
        plan = make_plan(fleet_of(*declared), blind)
        assert plan.steps == ()
        assert decided(plan, account_id()).permit
    plan = make_plan(fleet_of(declare_account(spec=SPEC)), replace(blind, blind=()))
    assert plan.steps == ()
    assert decided(plan, account_id()).code == "group_missing"
    assert "rg-ai" in decided(plan, account_id()).permit
    assert decided(plan, deployment_id()).code == "group_missing"


@pytest.mark.parametrize("policy", ["stop", "restore", "purge"])
def test_no_account_is_made_while_soft_deleted_ones_could_not_be_read(policy: str) -> None:
    fleet = fleet_of(declare_account(spec=SPEC), soft_deleted=policy, allow=EVERY_WORD)
    plan = make_plan(fleet, bare().snapshot(blind=(blind_to(DELETED),)))
    assert plan.steps == ()
    assert decided(plan, account_id()).code == "unknown"
    assert decided(plan, account_id()).permit


def test_what_was_seen_goes_on_while_something_else_was_not() -> None:
    _, azure = converged(declare_account(spec=SPEC))
    fleet = fleet_of(declare_account(spec={**SPEC, "disableLocalAuth": True}), declare_account("two"))
    plan = make_plan(fleet, azure.snapshot(blind=(blind_to(ACCOUNTS), blind_to(DELETED))))
    assert steps_of(plan) == [("patch", "one")]
    assert decided(plan, account_id("two")).code == "unknown"
    assert not plan.converged


@pytest.mark.parametrize("scope", [None, account_id()])
def test_an_account_is_not_replaced_while_what_lies_in_it_could_not_be_read(scope: None) -> None:
    _, azure = converged(declare_account())
    fleet = fleet_of(declare_account(spec=account_spec(location="westeurope")), allow=EVERY_WORD)
    assert decided(make_plan(fleet, azure.snapshot()), account_id()).action is Action.REPLACE
    elsewhere = azure.snapshot(blind=(blind_to(DEPLOYMENTS, account_id("two")), blind_to(ACCOUNTS)))
    assert decided(make_plan(fleet, elsewhere), account_id()).action is Action.REPLACE
    plan = make_plan(fleet, azure.snapshot(blind=(blind_to(DEPLOYMENTS, scope),)))
    assert plan.steps == ()
    assert decided(plan, account_id()).code == "unknown"
    assert decided(plan, account_id()).permit
