"""Every drift names its author as far as Azure says, and what is not known is said to be unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.lifecycle import Lifecycle, ManagePolicy
from reconciler.model.plan import DecisionState, Plan
from reconciler.model.resource import Activity, Actor, Fleet, Snapshot
from reconciler.plan import find_unexplained, make_plan
from tests.support.builders import (
    DEPLOYMENTS,
    PlainAzure,
    account_id,
    account_spec,
    blind_to,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    fleet_of,
)

US, ALICE = "us", "alice@example.com"
AT, SECOND = "2025-10-28T14:48:20.8058959Z", "2025-10-28T14:48:20Z"
WRITTEN = (
    f"the last change in Azure's activity log was ours at {SECOND}: the document changed since, "
    "or the log does not say yet who changed it"
)
KNOWN = f"it was last written by us at {SECOND}, and Azure's activity log does not say yet who deleted it"
WROTE = Actor(name=ALICE, at=AT, operation="Microsoft.CognitiveServices/accounts/write")
DELETED = Actor(name=ALICE, at=AT, operation="Microsoft.CognitiveServices/accounts/Delete")
WITHIN = "Microsoft.CognitiveServices/accounts/deployments"
SPEC = account_spec(deployments=[deployment_spec(capacity=20)])


def drifted(**policy: Any) -> tuple[Fleet, PlainAzure]:
    """A fleet whose deployment somebody gave more than its document does."""
    fleet, azure = converged(declare_account(spec=SPEC), **policy)
    azure.edit(deployment_id(), "sku.capacity", 99)
    return fleet, azure


def told(snapshot: Snapshot, *asked: ArmId, **said: Any) -> Snapshot:
    return replace(snapshot, principal=US, activity=Activity(asked=frozenset(asked), **said))


def reason(plan: Plan, id: ArmId) -> str:
    return decided(plan, id).reason


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"last": {deployment_id(): WROTE}}, f"last changed in Azure by {ALICE} at {SECOND}"),
        ({}, "Azure's activity log does not say yet who changed it"),
        (
            {"last": {deployment_id(): replace(WROTE, name="US")}},
            WRITTEN,
        ),
        (
            {"unread": {account_id().subscription.lower(): Fault(cls=FaultClass.FORBIDDEN, code="No", message="no")}},
            "Azure's activity log could not be read, so who changed it is not known: No",
        ),
    ],
    ids=["somebody", "nobody yet", "us", "not to be read"],
)
def test_what_the_log_says_is_the_end_of_the_reason(said: dict[str, Any], words: str) -> None:
    fleet, azure = drifted(allow=frozenset({"capacityCut"}))
    plan = make_plan(fleet, told(azure.snapshot(), deployment_id(), **said))
    assert reason(plan, deployment_id()) == f"differs from its document; {words}"


def test_what_is_not_permitted_is_somebodys_doing_all_the_same() -> None:
    fleet, azure = drifted()
    plan = make_plan(fleet, told(azure.snapshot(), deployment_id(), last={deployment_id(): WROTE}))
    decision = decided(plan, deployment_id())
    assert decision.state is DecisionState.BLOCKED
    assert decision.reason == f"would lose capacity; last changed in Azure by {ALICE} at {SECOND}"
    assert decision.author == WROTE


def test_what_only_is_observed_names_its_author_too() -> None:
    _, azure = converged(declare_account(spec=SPEC))
    observed = fleet_of(declare_account(spec=SPEC, lifecycle=Lifecycle(policy=ManagePolicy.OBSERVE)))
    del azure.live[deployment_id()]
    azure.edit(account_id(), "sku.name", "S1")
    last = {account_id(): WROTE, deployment_id(): DELETED}
    plan = make_plan(observed, told(azure.snapshot(), *last, last=last))
    assert reason(plan, account_id()).startswith(f"differs from its document; last changed in Azure by {ALICE}")
    assert reason(plan, deployment_id()).startswith(f"does not exist; observed only; deleted by {ALICE}")


def test_the_resource_itself_is_believed_before_the_log() -> None:
    fleet, azure = drifted()
    snapshot = azure.snapshot()
    live = replace(snapshot.live[deployment_id()], modified_by="bob", modified_at=AT)
    snapshot = replace(snapshot, live={**snapshot.live, deployment_id(): live})
    plan = make_plan(fleet, told(snapshot, deployment_id(), last={deployment_id(): WROTE}))
    assert reason(plan, deployment_id()).endswith(f"; last changed in Azure by bob at {SECOND}")
    assert find_unexplained(plan.decisions, snapshot) == frozenset()


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (DELETED, f"does not exist; deleted by {ALICE} at {SECOND}"),
        (replace(DELETED, name="Us"), f"does not exist; deleted by us at {SECOND}"),
        (replace(WROTE, name=US, operation=f"{WITHIN}/write"), f"does not exist; {KNOWN}"),
        (replace(WROTE, name=US, operation="Microsoft.Resources/tags/write"), f"does not exist; {KNOWN}"),
        # Of the account alone that we wrote it: nobody has deleted a deployment that was refused.
        (replace(WROTE, name=US), "does not exist"),
        (None, "does not exist"),
    ],
)
def test_what_is_gone_names_whoever_deleted_it_and_what_never_was_names_nobody(last: Actor | None, words: str) -> None:
    fleet, azure = converged(declare_account(spec=SPEC))
    del azure.live[deployment_id()]
    said = {deployment_id(): last} if last else {}
    plan = make_plan(fleet, told(azure.snapshot(), deployment_id(), last=said))
    assert reason(plan, deployment_id()) == words


def test_a_tag_that_we_wrote_is_not_lost_by_a_change_of_the_document() -> None:
    fleet, azure = converged(declare_account(spec=SPEC))
    azure.edit(account_id(), "tags", {})
    ours = replace(WROTE, name=US)
    plan = make_plan(fleet, told(azure.snapshot(), account_id(), last={account_id(): ours}))
    assert reason(plan, account_id()).endswith(
        f"activity log was ours at {SECOND}, and the log does not say yet who changed it since"
    )


def test_only_what_is_not_as_declared_is_asked_about() -> None:
    fleet, azure = drifted()
    azure.add(deployment_id("surplus"), {"sku": {"name": "Standard"}})
    snapshot = azure.snapshot()
    assert find_unexplained(make_plan(fleet, snapshot).decisions, snapshot) == {deployment_id()}


def test_what_could_not_be_seen_is_not_asked_about() -> None:
    fleet, azure = converged(declare_account(spec=SPEC))
    del azure.live[deployment_id()]
    snapshot = azure.snapshot()
    assert find_unexplained(make_plan(fleet, snapshot).decisions, snapshot) == {deployment_id()}
    blind = azure.snapshot(blind=(blind_to(DEPLOYMENTS),))
    assert find_unexplained(make_plan(fleet, blind).decisions, blind) == frozenset()


def test_who_did_it_is_no_part_of_what_a_plan_is_known_by() -> None:
    fleet, azure = drifted(allow=frozenset({"capacityCut"}))
    snapshot = azure.snapshot()
    digests = {
        make_plan(fleet, seen).digest
        for seen in (
            snapshot,
            told(snapshot, deployment_id()),
            told(snapshot, deployment_id(), last={deployment_id(): WROTE}),
            told(snapshot, deployment_id(), last={deployment_id(): replace(WROTE, name=US)}),
        )
    }
    assert len(digests) == 1
    azure.edit(deployment_id(), "sku.capacity", 98)
    assert make_plan(fleet, azure.snapshot()).digest not in digests
