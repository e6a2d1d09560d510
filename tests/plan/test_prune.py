"""Deleting: off by default, never on half a picture, never more than the limits, and always said how to permit it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.finding import FaultClass
from reconciler.model.ids import Ref
from reconciler.model.lifecycle import Lifecycle
from reconciler.model.plan import Action, DecisionState, Plan, Risk
from reconciler.model.resource import OWNER_TAG, Cap
from reconciler.plan import make_plan
from tests.support.builders import (
    ACCOUNTS,
    DEPLOYMENTS,
    FILTERS,
    GROUPS,
    PlainAzure,
    account_id,
    account_spec,
    blind_to,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    fault_of,
    filter_id,
    fleet_of,
    group_id,
    steps_of,
)

ALL = frozenset({ACCOUNTS.lower(), DEPLOYMENTS.lower(), FILTERS.lower()})
DELETE = frozenset({"delete"})
WIDE = Cap(count=1000, percent=100)
FREE: dict[str, Any] = {"prune": ALL, "allow": DELETE, "deletes": WIDE}
STRICT = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}
BOTH = account_spec(deployments=[deployment_spec("d"), deployment_spec("e")], raiPolicies=[STRICT])


def two_accounts() -> PlainAzure:
    _, azure = converged(declare_account("one", BOTH), declare_account("two", BOTH))
    azure.add(filter_id("Microsoft.DefaultV2"), {"properties": {"type": "SystemManaged"}})
    azure.add(filter_id("microsoft.default", of="two"), {"properties": {"type": "SystemManaged"}})
    return azure


def plan_for_one(**policy: Any) -> Plan:
    """Only `one` is declared, and of it only the deployment d; everything else is surplus."""
    fleet = fleet_of(declare_account("one", account_spec(deployments=[deployment_spec("d")])), **policy)
    return make_plan(fleet, two_accounts().snapshot())


SURPLUS = [
    deployment_id("e"),
    filter_id("strict"),
    account_id("two"),
    deployment_id("d", of="two"),
    deployment_id("e", of="two"),
    filter_id("strict", of="two"),
]


def test_nothing_is_pruned_unless_the_fleet_says_so_and_the_reason_says_how() -> None:
    plan = plan_for_one(allow=DELETE)
    assert plan.steps == ()
    assert plan.converged
    for id in SURPLUS:
        one = decided(plan, id)
        assert one.state is DecisionState.IGNORED
        assert "spec.prune" in one.permit


def test_pruning_needs_the_word_delete_as_well() -> None:
    plan = plan_for_one(prune=ALL, deletes=WIDE)
    assert plan.steps == ()
    for id in SURPLUS:
        assert decided(plan, id).state is DecisionState.BLOCKED
        assert decided(plan, id).permit == "add delete to spec.allow of the Fleet"
        assert decided(plan, id).action is Action.DELETE


def test_with_both_what_lies_in_an_account_goes_before_it_and_azures_own_filters_stay() -> None:
    plan = plan_for_one(**FREE)
    steps = [str(step.id) for step in plan.steps]
    assert sorted(steps) == sorted(str(id) for id in SURPLUS)
    assert steps.index(str(account_id("two"))) == max(steps.index(str(id)) for id in SURPLUS[2:])
    last = next(step for step in plan.steps if step.id == account_id("two"))
    assert len(last.after) == 3
    assert last.expects == {f"tags.{OWNER_TAG}": "prod"}
    one = decided(plan, account_id("two"))
    assert (one.action, one.risk) == (Action.DELETE, Risk.DESTROYS)
    assert any("fine-tuned" in warning for warning in one.warnings)
    assert not any(decided(plan, id).permit for id in SURPLUS)
    assert not any(each.id.name.lower().startswith("microsoft.") for each in plan.decisions)


def test_pruning_deployments_alone_keeps_the_accounts() -> None:
    plan = plan_for_one(**{**FREE, "prune": frozenset({DEPLOYMENTS.lower()})})
    assert {str(step.id) for step in plan.steps} == {
        str(deployment_id("e")),
        str(deployment_id("d", of="two")),
        str(deployment_id("e", of="two")),
    }


def test_pruning_accounts_alone_takes_what_lies_in_them_and_no_other_deployment() -> None:
    plan = plan_for_one(**{**FREE, "prune": frozenset({ACCOUNTS.lower()})})
    assert {str(step.id) for step in plan.steps} == {str(id) for id in SURPLUS[2:]}


@pytest.mark.parametrize("arm_type", [ACCOUNTS, DEPLOYMENTS, FILTERS, GROUPS])
def test_nothing_is_pruned_while_anything_could_not_be_read(arm_type: str) -> None:
    fleet = fleet_of(declare_account("one", BOTH), **FREE)
    elsewhere = blind_to(arm_type, group_id("elsewhere"))
    plan = make_plan(fleet, two_accounts().snapshot(blind=(elsewhere,)))
    assert plan.steps == ()
    one = decided(plan, account_id("two"))
    assert one.state is DecisionState.BLOCKED
    assert one.code == "unknown"
    assert one.permit
    assert not plan.complete


def test_nothing_is_pruned_while_a_document_is_broken() -> None:
    """That very one is only looked at, and what nobody declares is kept as well: who knows what was meant."""
    only_d = declare_account("one", account_spec(deployments=[deployment_spec("d")]))
    fleet = replace(fleet_of(only_d, **FREE), broken={Ref(kind="Account", name="two"): ()})
    plan = make_plan(fleet, two_accounts().snapshot())
    assert plan.steps == ()
    for id, state in ((account_id("two"), DecisionState.IGNORED), (deployment_id("e"), DecisionState.BLOCKED)):
        kept = decided(plan, id)
        assert kept.state is state
        assert "Account/two" in kept.reason
        assert kept.permit


def test_a_fleet_that_declares_no_account_at_all_prunes_nothing_unless_it_says_so() -> None:
    azure = two_accounts()
    plan = make_plan(fleet_of(**FREE), azure.snapshot())
    assert plan.steps == ()
    assert {each.code for each in plan.decisions} == {"empty_fleet"}
    assert all("allowEmpty" in each.permit for each in plan.decisions)
    assert len(make_plan(fleet_of(**FREE, allow_empty=True), azure.snapshot()).steps) == 8


def test_prevent_destroy_keeps_what_the_document_no_longer_names() -> None:
    kept = declare_account("one", account_spec(), lifecycle=Lifecycle(prevent_destroy=True))
    plan = make_plan(fleet_of(kept, **FREE), two_accounts().snapshot())
    for id in SURPLUS[:2]:
        assert decided(plan, id).code == "prevent_destroy"
        assert "preventDestroy" in decided(plan, id).permit


def test_an_account_stays_while_anything_in_it_must() -> None:
    azure = two_accounts()
    azure.edit(deployment_id("d", of="two"), "properties.provisioningState", "Creating")
    fleet = fleet_of(declare_account("one", BOTH), **{**FREE, "prune": frozenset({ACCOUNTS.lower()})})
    plan = make_plan(fleet, azure.snapshot())
    assert plan.steps == ()
    assert decided(plan, account_id("two")).state is DecisionState.IN_PROGRESS
    assert {decided(plan, id).state for id in SURPLUS[3:]} <= {DecisionState.IN_PROGRESS, DecisionState.BLOCKED}


def test_a_filter_goes_after_the_deployments_that_leave_it() -> None:
    used = deployment_spec("d", raiPolicyName="strict")
    _, azure = converged(declare_account(spec=account_spec(raiPolicies=[STRICT], deployments=[used])))
    left = deployment_spec("d", raiPolicyName="Microsoft.DefaultV2")
    plan = make_plan(fleet_of(declare_account(spec=account_spec(deployments=[left])), **FREE), azure.snapshot())
    assert steps_of(plan) == [("put", "d"), ("delete", "strict")]
    assert plan.steps[1].after == (plan.steps[0].name,)


# --- limits


def owned(count: int, each: int = 0) -> PlainAzure:
    """As many accounts that we own, with as many deployments in each."""
    spec = account_spec(deployments=[deployment_spec(f"d{number}") for number in range(each)])
    return converged(*(declare_account(f"acc{number:03}", spec) for number in range(count)))[1]


@pytest.mark.parametrize(
    ("accounts", "deployments", "kept", "stopped"),
    [
        (1, 0, 0, False),
        (2, 0, 1, False),
        (2, 0, 0, True),
        (2, 50, 1, False),
        (2, 50, 0, True),
        (10, 0, 8, False),
        (10, 0, 7, True),
        (40, 0, 35, False),
        (40, 0, 34, True),
    ],
)
def test_a_run_destroys_no_more_than_its_share_in_number_and_percent(
    accounts: int, deployments: int, kept: int, stopped: bool
) -> None:
    spec = account_spec(deployments=[deployment_spec(f"d{number}") for number in range(deployments)])
    declared = [declare_account(f"acc{number:03}", spec) for number in range(kept)]
    fleet = fleet_of(*declared, prune=ALL, allow=DELETE, allow_empty=True)
    plan = make_plan(fleet, owned(accounts, deployments).snapshot())
    assert bool(plan.stopped) is stopped
    assert bool(plan.steps) is not stopped
    assert not stopped or "spec.limits.deletes" in plan.stopped
    assert sum(each.action is Action.DELETE for each in plan.decisions) == (accounts - kept) * (1 + deployments)


def test_strangers_do_not_make_the_share_larger() -> None:
    azure = owned(2)
    for number in range(30):
        azure.add(account_id(f"theirs{number}"), {"location": "swedencentral", "kind": "OpenAI"})
    strangers = [declare_account(f"theirs{number}") for number in range(30)]
    plan = make_plan(fleet_of(*strangers, prune=ALL, allow=DELETE), azure.snapshot())
    assert plan.stopped


def test_a_run_changes_no_more_than_its_share() -> None:
    azure = owned(10)
    changed = [declare_account(f"acc{number:03}", account_spec(disableLocalAuth=True)) for number in range(10)]
    plan = make_plan(fleet_of(*changed, changes=Cap(count=100, percent=50)), azure.snapshot())
    assert plan.stopped
    assert plan.steps == ()
    assert "spec.limits.changes" in plan.stopped
    assert make_plan(fleet_of(*changed, changes=Cap(count=10, percent=100)), azure.snapshot()).applicable
    assert make_plan(fleet_of(*changed, changes=Cap(count=9, percent=100)), azure.snapshot()).stopped


def test_creating_counts_as_neither() -> None:
    fleet = fleet_of(*(declare_account(f"acc{number}") for number in range(9)), changes=Cap(count=0, percent=0))
    azure = PlainAzure()
    azure.add(group_id(), {"location": "x"})
    assert make_plan(fleet, azure.snapshot()).applicable


def test_a_surplus_account_of_the_same_name_elsewhere_is_told_apart() -> None:
    azure = two_accounts()
    azure.add(group_id("rg-new"), {"location": "x"})
    spec = {**BOTH, "resourceGroup": "rg-new"}
    plan = make_plan(fleet_of(declare_account("one", BOTH), declare_account("two", spec), **FREE), azure.snapshot())
    assert len({step.name for step in plan.steps}) == len(plan.steps) == 8
    assert len({each.ref for each in plan.decisions}) == len(plan.decisions)


def test_a_fault_says_what_to_do_about_it() -> None:
    advised = replace(fault_of(cls=FaultClass.FORBIDDEN), advice="ask for Reader")
    fleet = fleet_of(declare_account("one", BOTH), **FREE)
    blind = replace(blind_to(GROUPS), fault=advised)
    assert (
        decided(make_plan(fleet, two_accounts().snapshot(blind=(blind,))), account_id("two")).permit == advised.advice
    )
