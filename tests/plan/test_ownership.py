"""What is not ours is never touched; what is ours is only touched as its document says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.lifecycle import Lifecycle, ManagePolicy
from reconciler.model.plan import Action, DecisionState
from reconciler.model.resource import OWNER_TAG
from reconciler.plan import make_plan
from tests.support.builders import (
    DEPLOYMENTS,
    EVERY_WORD,
    GROUPS,
    PlainAzure,
    account_id,
    account_spec,
    converged,
    decided,
    declare_account,
    declare_group,
    deployment_id,
    deployment_spec,
    filter_id,
    fleet_of,
    group_id,
    open_spec,
    paths_of,
    steps_of,
)

CHANGED = account_spec(deployments=[deployment_spec(capacity=20)], disableLocalAuth=True)
MADE = account_spec(deployments=[deployment_spec(capacity=10)])
ADOPT = Lifecycle(adopt=True)
PRUNE = frozenset({account_id().type.lower(), DEPLOYMENTS.lower(), filter_id("s").type.lower()})


def made_by(owner: str | None, tag: str = OWNER_TAG) -> PlainAzure:
    """The account and deployment of MADE, carrying the tag of `owner`."""
    _, azure = converged(declare_account(spec=MADE))
    azure.live[account_id()]["tags"] = {"theirs": "x"} if owner is None else {"theirs": "x", tag: owner}
    return azure


@pytest.mark.parametrize("owner", [None, "", "other", "PROD"])
@pytest.mark.parametrize("policy", [{}, {"prune": PRUNE, "allow": EVERY_WORD}])
def test_a_stranger_is_not_touched_and_neither_is_what_lies_in_it(owner: str | None, policy: dict[str, Any]) -> None:
    azure = made_by(owner)
    azure.add(deployment_id("undeclared"), {"sku": {"name": "Standard"}})
    plan = make_plan(fleet_of(declare_account(spec=CHANGED), **policy), azure.snapshot())
    assert plan.steps == ()
    one = decided(plan, account_id())
    assert (one.state, one.code, one.owned) == (DecisionState.BLOCKED, "not_owned", False)
    assert one.permit
    assert decided(plan, deployment_id()).code == "not_owned"
    assert len(plan.decisions) == 2


def test_an_account_that_lost_its_tag_says_so_and_how_to_take_it_back() -> None:
    plan = make_plan(fleet_of(declare_account(spec=MADE)), made_by(None).snapshot())
    one = decided(plan, account_id())
    assert OWNER_TAG in one.reason
    assert "removed" in one.reason
    assert "lifecycle.adopt" in one.permit


def test_a_stranger_that_no_document_names_is_not_even_mentioned() -> None:
    for owner in (None, "other"):
        assert make_plan(fleet_of(prune=PRUNE, allow=EVERY_WORD), made_by(owner).snapshot()).decisions == ()


def test_a_document_that_says_adopt_takes_over_what_nobody_owns() -> None:
    fleet, azure = fleet_of(declare_account(spec=CHANGED, lifecycle=ADOPT)), made_by(None)
    plan = azure.converge(fleet)
    assert decided(plan, account_id()).action is Action.ADOPT
    assert azure.live[account_id()]["tags"] == {"theirs": "x", OWNER_TAG: "prod"}
    assert make_plan(fleet, azure.snapshot()).converged


def test_a_fleet_that_adopts_all_takes_over_what_nobody_owns() -> None:
    fleet, azure = fleet_of(declare_account(spec=CHANGED), adopt_all=True), made_by(None)
    assert decided(azure.converge(fleet), account_id()).action is Action.ADOPT
    assert make_plan(fleet, azure.snapshot()).converged


@pytest.mark.parametrize(("lifecycle", "adopt_all"), [(ADOPT, False), (Lifecycle(), True), (ADOPT, True)])
def test_nothing_takes_over_what_another_fleet_owns(lifecycle: Lifecycle, adopt_all: bool) -> None:
    fleet = fleet_of(declare_account(spec=CHANGED, lifecycle=lifecycle), adopt_all=adopt_all)
    plan = make_plan(fleet, made_by("other").snapshot())
    assert plan.steps == ()
    assert "other" in decided(plan, account_id()).reason
    assert OWNER_TAG in decided(plan, account_id()).permit


def test_adopting_never_destroys() -> None:
    spec = account_spec(location="westeurope", deployments=[deployment_spec()])
    fleet = fleet_of(declare_account(spec=spec, lifecycle=ADOPT), allow=EVERY_WORD)
    plan = make_plan(fleet, made_by(None).snapshot())
    assert plan.steps == ()
    one = decided(plan, account_id())
    assert one.state is DecisionState.BLOCKED
    assert "location" in one.reason
    assert one.permit


def test_a_failed_resource_that_is_adopted_is_repaired_with_its_tag() -> None:
    azure = made_by(None)
    azure.edit(account_id(), "properties.provisioningState", "Failed")
    fleet = fleet_of(declare_account(spec=MADE, lifecycle=ADOPT))
    plan = azure.converge(fleet)
    assert decided(plan, account_id()).action is Action.ADOPT
    assert make_plan(fleet, azure.snapshot()).converged


def test_the_tag_is_ours_in_whatever_case_its_name_comes_back() -> None:
    plan = make_plan(fleet_of(declare_account(spec=MADE)), made_by("prod", "Reconciler-FLEET").snapshot())
    assert plan.converged
    assert plan.steps == ()


@pytest.mark.parametrize("spec", [CHANGED, account_spec(location="westeurope", deployments=[deployment_spec("other")])])
def test_what_is_only_observed_is_never_written_and_its_drift_is_shown(spec: dict[str, Any]) -> None:
    watched = declare_account(spec=spec, lifecycle=Lifecycle(policy=ManagePolicy.OBSERVE, adopt=True))
    for azure in (made_by("prod"), made_by(None), made_by("other")):
        azure.add(deployment_id("undeclared"), {"sku": {"name": "Standard"}})
        plan = make_plan(fleet_of(watched, prune=PRUNE, allow=EVERY_WORD, adopt_all=True), azure.snapshot())
        assert plan.steps == ()
        assert decided(plan, account_id()).state is DecisionState.DRIFTED
        assert f"tags.{OWNER_TAG}" not in paths_of(decided(plan, account_id()))
        assert plan.converged


def test_what_is_observed_and_not_there_or_in_sync_is_not_written_either() -> None:
    watched = declare_account(spec=MADE, lifecycle=Lifecycle(policy=ManagePolicy.OBSERVE))
    assert make_plan(fleet_of(watched), made_by("other").snapshot()).steps == ()
    azure = made_by("prod")
    assert {each.state for each in make_plan(fleet_of(watched), azure.snapshot()).decisions} == {DecisionState.IN_SYNC}
    azure.live.clear()
    plan = make_plan(fleet_of(watched), azure.snapshot())
    assert {each.state for each in plan.decisions} == {DecisionState.DRIFTED}
    assert plan.steps == ()
    azure.add(account_id(), {})
    azure.deleted[account_id()] = azure.live.pop(account_id())
    assert make_plan(fleet_of(watched, soft_deleted="purge", allow=EVERY_WORD), azure.snapshot()).steps == ()


def test_what_is_detached_is_left_alone_with_all_that_lies_in_it() -> None:
    let_go = declare_account(spec=CHANGED, lifecycle=Lifecycle(policy=ManagePolicy.DETACH))
    azure = made_by("prod")
    azure.add(deployment_id("undeclared"), {"sku": {"name": "Standard"}})
    plan = make_plan(fleet_of(let_go, prune=PRUNE, allow=EVERY_WORD), azure.snapshot())
    assert {each.state for each in plan.decisions} == {DecisionState.IGNORED}
    assert {each.id.name for each in plan.decisions} == {"one", "d", "undeclared"}
    assert plan.converged
    azure.live.clear()
    assert make_plan(fleet_of(let_go), azure.snapshot()).steps == ()


def test_an_account_in_a_strangers_group_is_ours_all_the_same() -> None:
    azure = PlainAzure()
    azure.add(group_id(), {"location": "westeurope"})
    plan = make_plan(fleet_of(declare_group(), declare_account()), azure.snapshot())
    assert decided(plan, group_id()).code == "not_owned"
    assert steps_of(plan) == [("put", "one")]


def test_a_group_is_never_replaced_and_never_deleted() -> None:
    azure = PlainAzure()
    azure.add(group_id(), {"location": "westeurope", "tags": {OWNER_TAG: "prod"}})
    azure.add(group_id("rg-old"), {"location": "westeurope", "tags": {OWNER_TAG: "prod"}})
    prune = frozenset({GROUPS.lower()})
    fleet = fleet_of(declare_group(), declare_account(), prune=prune, allow=EVERY_WORD, allow_empty=True)
    plan = make_plan(fleet, azure.snapshot())
    assert decided(plan, group_id()).code == "group_fixed"
    assert [each.id.name for each in plan.decisions] == ["rg-ai", "one"]
    assert steps_of(plan) == [("put", "one")]


@pytest.mark.parametrize("word", ["Accepted", "Creating", "Deleting", "Moving", "ResolvingDNS"])
def test_what_azure_works_on_is_waited_for_with_all_that_needs_it(word: str) -> None:
    azure = made_by("prod")
    azure.edit(account_id(), "properties.provisioningState", word)
    azure.add(deployment_id("undeclared"), {"sku": {"name": "Standard"}})
    plan = make_plan(fleet_of(declare_account(spec=CHANGED), prune=PRUNE, allow=EVERY_WORD), azure.snapshot())
    assert plan.steps == ()
    assert {each.state for each in plan.decisions} == {DecisionState.IN_PROGRESS}
    assert word in decided(plan, account_id()).reason
    assert "Account/one" in decided(plan, deployment_id()).reason
    assert not plan.converged


@pytest.mark.parametrize("pattern", ["deployments[d].sku.capacity", "deployments[*]", "deployments"])
def test_what_others_may_change_is_neither_reported_nor_written(pattern: str) -> None:
    fleet, azure = converged(
        declare_account(
            spec=open_spec(tags={"costCentre": "1"}, deployments=[deployment_spec()]),
            lifecycle=Lifecycle(ignore=("tags.cost*", "networkAcls.ipRules", pattern)),
        )
    )
    azure.edit(deployment_id(), "sku.capacity", 99)
    azure.edit(account_id(), "tags.costCentre", "2")
    azure.edit(account_id(), "properties.networkAcls.ipRules", [])
    plan = make_plan(fleet, azure.snapshot())
    assert plan.converged
    assert plan.steps == ()


def test_a_repair_leaves_what_others_may_change() -> None:
    ignore = Lifecycle(ignore=("publicNetworkAccess", "tags.team", "deployments[d].sku.capacity"))
    spec = open_spec(tags={"team": "ai"}, deployments=[deployment_spec()])
    fleet, azure = converged(declare_account(spec=spec, lifecycle=ignore))
    azure.edit(account_id(), "properties.publicNetworkAccess", "Disabled")
    azure.edit(account_id(), "tags.team", "other")
    azure.edit(deployment_id(), "sku.capacity", 99)
    for id in (account_id(), deployment_id()):
        azure.edit(id, "properties.provisioningState", "Failed")
    plan = azure.converge(fleet)
    assert steps_of(plan) == [("put", "one"), ("put", "d")]
    assert azure.live[account_id()]["properties"]["publicNetworkAccess"] == "Disabled"  # type: ignore[index, call-overload]
    assert azure.live[account_id()]["tags"]["team"] == "other"  # type: ignore[index, call-overload]
    assert azure.live[deployment_id()]["sku"]["capacity"] == 99  # type: ignore[index, call-overload]


def test_the_reason_tells_who_changed_it_as_far_as_azure_says() -> None:
    azure = made_by("prod")
    fleet = fleet_of(declare_account(spec=CHANGED))

    def reason(by: str | None, at: str | None) -> str:
        snapshot = azure.snapshot(principal="Us")
        live = {**snapshot.live, account_id(): replace(snapshot.live[account_id()], modified_by=by, modified_at=at)}
        return decided(make_plan(fleet, replace(snapshot, live=live)), account_id()).reason

    assert "does not say who" in reason(None, None)
    assert "was ours" in reason("US", None)
    assert reason("mallory", None).endswith("by mallory")
    assert reason("mallory", "noon").endswith("by mallory at noon")


def test_adopting_does_not_do_what_azure_cannot() -> None:
    azure = made_by(None)
    azure.edit(account_id(), "properties.allowProjectManagement", True)
    back = declare_account(spec=account_spec(allowProjectManagement=False), lifecycle=ADOPT)
    plan = make_plan(fleet_of(back), azure.snapshot())
    assert decided(plan, account_id()).code == "one_way"
    assert plan.steps == ()
