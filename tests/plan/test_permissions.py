"""Replace, purge, cutting capacity and paying by the hour: each needs its own word, and then happens in order."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.lifecycle import Lifecycle
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.resource import OWNER_TAG, Cap
from reconciler.plan import make_plan
from tests.support.builders import (
    EVERY_WORD,
    PlainAzure,
    account_id,
    account_spec,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    filter_id,
    fleet_of,
    open_spec,
    paths_of,
    steps_of,
)

STRICT = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}


def with_sku(name: str, capacity: int) -> dict[str, Any]:
    return account_spec(deployments=[deployment_spec() | {"sku": {"name": name, "capacity": capacity}}])


def with_model(**model: Any) -> dict[str, Any]:
    return account_spec(
        deployments=[deployment_spec() | {"model": {"name": "gpt-4o", "version": "2024-11-20"} | model}]
    )


MADE = with_sku("GlobalStandard", 10)
NEEDS_WORDS = [
    (MADE, account_spec(location="westeurope", deployments=MADE["deployments"]), account_id(), {"replace", "purge"}),
    (MADE, with_model(name="gpt-4.1"), deployment_id(), {"replace"}),
    (MADE, with_sku("GlobalStandard", 9), deployment_id(), {"capacityCut"}),
    (MADE, with_sku("GlobalProvisionedManaged", 15), deployment_id(), {"replace", "provisioned"}),
    (account_spec(), with_sku("ProvisionedManaged", 15), deployment_id(), {"provisioned"}),
    (with_sku("ProvisionedManaged", 50), with_sku("ProvisionedManaged", 100), deployment_id(), {"provisioned"}),
    (with_sku("ProvisionedManaged", 100), with_sku("ProvisionedManaged", 50), deployment_id(), {"capacityCut"}),
]


@pytest.mark.parametrize(("made", "wanted", "id", "words"), NEEDS_WORDS)
def test_what_is_dangerous_needs_every_one_of_its_words_and_says_which(
    made: dict[str, Any], wanted: dict[str, Any], id: Any, words: set[str]
) -> None:
    azure = converged(declare_account(spec=made), allow=EVERY_WORD)[1]
    for missing in sorted(words):
        fleet = fleet_of(declare_account(spec=wanted), allow=EVERY_WORD - {missing})
        plan = make_plan(fleet, azure.snapshot())
        one = decided(plan, id)
        assert plan.steps == ()
        assert one.state is DecisionState.BLOCKED
        assert one.code == f"{missing}_not_permitted"
        assert missing in one.permit
        assert paths_of(one)
    lifecycle = Lifecycle(allow=frozenset(words))
    for fleet in (
        fleet_of(declare_account(spec=wanted), allow=frozenset(words)),
        fleet_of(declare_account(spec=wanted, lifecycle=lifecycle)),
    ):
        again = converged(declare_account(spec=made), allow=EVERY_WORD)[1]
        assert again.converge(fleet).steps
        assert make_plan(fleet, again.snapshot()).converged


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (MADE, with_sku("GlobalStandard", 11)),
        (MADE, with_model(version="2025-01-01")),
        (with_sku("ProvisionedManaged", 50), {**with_sku("ProvisionedManaged", 50), "tags": {"a": "b"}}),
    ],
)
def test_what_is_not_dangerous_needs_no_word(made: dict[str, Any], wanted: dict[str, Any]) -> None:
    azure = converged(declare_account(spec=made), allow=EVERY_WORD)[1]
    assert make_plan(fleet_of(declare_account(spec=wanted)), azure.snapshot()).applicable


def test_a_refused_replacement_leaves_what_lies_in_the_account_to_itself() -> None:
    _, azure = converged(declare_account(spec=MADE))
    moved = {**with_sku("GlobalStandard", 11), "location": "westeurope"}
    plan = make_plan(fleet_of(declare_account(spec=moved)), azure.snapshot())
    assert decided(plan, account_id()).code == "replace_not_permitted"
    assert decided(plan, deployment_id()).action is Action.UPDATE
    assert steps_of(plan) == [("put", "d")]


def test_a_replacement_goes_in_order_and_comes_back_closed_with_all_it_had() -> None:
    spec = open_spec(raiPolicies=[STRICT], deployments=[deployment_spec(raiPolicyName="strict")])
    _, azure = converged(declare_account(spec=spec))
    azure.add(deployment_id("undeclared"), {"sku": {"name": "Standard"}})
    moved = {**spec, "location": "westeurope"}
    prune = frozenset({deployment_id().type.lower()})
    fleet = fleet_of(declare_account(spec=moved), allow=EVERY_WORD, prune=prune)
    plan = azure.converge(fleet)
    assert steps_of(plan) == [
        ("delete", "undeclared"),
        ("delete", "d"),
        ("delete", "one"),
        ("purge", "one"),
        ("put", "one"),
        ("put", "strict"),
        ("put", "d"),
        ("patch", "one"),
    ]
    removal, purge, birth = plan.steps[2:5]
    assert removal.expects == {f"tags.{OWNER_TAG}": "prod", "location": "swedencentral"}
    assert purge.location == "swedencentral"
    assert birth.fields["publicNetworkAccess"] == "Disabled"
    assert {each.reason for each in plan.decisions if each.action is Action.CREATE} == {
        "goes and comes back with its account"
    }
    assert make_plan(fleet, azure.snapshot()).converged


def replaced(azure: PlainAzure, spec: dict[str, Any], **policy: Any) -> Plan:
    fleet = fleet_of(declare_account(spec={**spec, "location": "westeurope"}), **{"allow": EVERY_WORD, **policy})
    return make_plan(fleet, azure.snapshot())


def held(plan: Plan) -> Decision:
    assert plan.steps == () or account_id() not in {step.id for step in plan.steps}
    return decided(plan, account_id())


def test_an_account_is_not_replaced_over_what_no_document_declares() -> None:
    _, azure = converged(declare_account(spec=MADE))
    azure.add(deployment_id("undeclared"), {"sku": {"name": "Standard"}})
    one = held(replaced(azure, MADE))
    assert one.state is DecisionState.BLOCKED
    assert "undeclared" in one.reason
    assert "prune" in one.permit


def test_an_account_is_not_replaced_over_something_blocked_or_busy_in_it() -> None:
    _, azure = converged(declare_account(spec=MADE))
    one = held(replaced(azure, with_sku("GlobalStandard", 5), allow=EVERY_WORD - {"capacityCut"}))
    assert one.state is DecisionState.BLOCKED
    assert "capacityCut" in one.permit
    azure.edit(deployment_id(), "properties.provisioningState", "Updating")
    assert held(replaced(azure, MADE)).state is DecisionState.IN_PROGRESS


def test_prevent_destroy_outlives_every_word() -> None:
    _, azure = converged(declare_account(spec=MADE))
    kept = Lifecycle(prevent_destroy=True, allow=EVERY_WORD)
    for spec in ({**MADE, "location": "westeurope"}, with_model(name="gpt-4.1")):
        plan = make_plan(fleet_of(declare_account(spec=spec, lifecycle=kept), allow=EVERY_WORD), azure.snapshot())
        assert plan.steps == ()
        assert "prevent_destroy" in {each.code for each in plan.decisions}
        assert all("preventDestroy" in each.permit for each in plan.decisions if each.code == "prevent_destroy")


def test_a_deployment_is_deleted_only_once_the_filter_it_is_made_again_with_stands() -> None:
    _, azure = converged(declare_account(spec=MADE))
    used = deployment_spec(raiPolicyName="strict") | {"model": {"name": "gpt-4.1"}}
    fleet = fleet_of(declare_account(spec=account_spec(raiPolicies=[STRICT], deployments=[used])), allow=EVERY_WORD)
    plan = azure.converge(fleet)
    assert steps_of(plan) == [("put", "strict"), ("delete", "d"), ("put", "d")]
    assert plan.steps[1].after == (plan.steps[0].name,)
    assert plan.steps[1].expects == {"model.name": "gpt-4o"}
    assert make_plan(fleet, azure.snapshot()).converged


@pytest.mark.parametrize(("capacity", "first"), [(5, "sku.capacity"), (20, "model.version")])
def test_capacity_and_version_are_two_writes_and_less_comes_first(capacity: int, first: str) -> None:
    _, azure = converged(declare_account(spec=MADE))
    wanted = with_model(version="2025-01-01")
    wanted["deployments"][0]["sku"]["capacity"] = capacity
    fleet = fleet_of(declare_account(spec=wanted), allow=EVERY_WORD)
    plan = azure.converge(fleet)
    assert list(plan.steps[0].fields) == [first]
    assert len(plan.steps) == 2
    assert plan.steps[1].after == (plan.steps[0].name,)
    assert make_plan(fleet, azure.snapshot()).converged


def test_what_failed_is_written_again_whole_and_in_as_many_writes_as_azure_takes() -> None:
    _, azure = converged(declare_account(spec=MADE))
    azure.edit(deployment_id(), "properties.provisioningState", "Failed")
    wanted = with_model(version="2025-01-01")
    wanted["deployments"][0]["sku"]["capacity"] = 20
    fleet = fleet_of(declare_account(spec=wanted))
    plan = make_plan(fleet, azure.snapshot())
    assert steps_of(plan) == [("put", "d"), ("put", "d")]
    repair, grow = plan.steps
    assert "sku.capacity" not in repair.fields
    assert repair.fields["model.version"] == "2025-01-01"
    assert repair.expects is not None
    assert repair.expects["model.version"] == "2024-11-20"
    assert dict(grow.fields) == {"sku.capacity": 20}
    assert grow.after == (repair.name,)
    unchanged = make_plan(fleet_of(declare_account(spec=MADE)), azure.snapshot())
    assert [each.reason for each in unchanged.decisions if each.acts] == [
        "its last operation failed in Azure; it is written again"
    ]


def test_what_azure_cannot_do_is_blocked_with_a_sentence() -> None:
    _, azure = converged(declare_account(spec=account_spec(allowProjectManagement=True)))
    back = declare_account(spec=account_spec(allowProjectManagement=False))
    plan = make_plan(fleet_of(back, allow=EVERY_WORD), azure.snapshot())
    assert decided(plan, account_id()).code == "one_way"
    assert decided(plan, account_id()).permit
    more = account_spec(additionalProperties={"encryption": {"keySource": "x"}})
    _, azure = converged(declare_account(spec=more))
    less = account_spec(additionalProperties={"encryption": {"keySource": None}})
    plan = make_plan(fleet_of(declare_account(spec=less), allow=EVERY_WORD), azure.snapshot())
    assert decided(plan, account_id()).code == "not_removable"
    assert decided(plan, account_id()).permit


def test_a_subdomain_is_set_once_in_place_and_never_again() -> None:
    _, azure = converged(declare_account())
    fleet = fleet_of(declare_account(spec=open_spec()), deletes=Cap(count=0, percent=0))
    assert {verb for verb, _ in steps_of(azure.converge(fleet))} == {"patch"}
    other = declare_account(spec={**open_spec(), "customSubDomainName": "two"})
    assert decided(make_plan(fleet_of(other), azure.snapshot()), account_id()).code == "replace_not_permitted"
    assert filter_id("x").name == "x"


def test_what_gives_capacity_back_runs_before_what_takes_it() -> None:
    made = with_sku("GlobalStandard", 10)
    _, azure = converged(*(declare_account(name, made) for name in ("one", "two")))
    less, more = with_sku("GlobalStandard", 5), with_sku("GlobalStandard", 15)
    plan = make_plan(
        fleet_of(declare_account("one", more), declare_account("two", less), allow=EVERY_WORD), azure.snapshot()
    )
    assert [step.id for step in plan.steps] == [deployment_id(of="two"), deployment_id(of="one")]
