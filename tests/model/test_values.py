"""What the values say about themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.model.finding import Fault, FaultClass, Finding, Origin, Severity
from reconciler.model.plan import Action, Decision, DecisionState, Effect, FieldChange, Phase, Plan, Step, Verb
from reconciler.model.resource import OWNER_TAG, Blind, Cap, DeletedAccount, Snapshot
from tests.support.builders import (
    ACCOUNTS,
    DEPLOYMENTS,
    GROUPS,
    account_id,
    blind_to,
    decided,
    declare_account,
    deployment_id,
    fault_of,
    fleet_of,
    group_id,
    live_of,
)

DECISION = Decision(id=account_id(), ref=declare_account()[0].ref, state=DecisionState.IN_SYNC, reason="as declared")
STEP = Step(name="s", id=account_id(), verb=Verb.PATCH, action=Action.UPDATE, phase=Phase.BUILD)


def test_findings_and_faults_read_as_one_line() -> None:
    origin = Origin(file="a.yaml", line=3, column=7)
    finding = Finding(code="c", message="wrong", hint="right", origin=origin)
    assert str(finding) == "a.yaml:3:7: error: wrong (right)"
    assert str(Finding(code="c", message="wrong", severity=Severity.WARNING)) == "warning: wrong"
    assert str(fault_of("Code")) == "Code: no"


def test_only_what_heals_by_waiting_is_retried_and_only_states_of_the_world_block() -> None:
    assert {cls for cls in FaultClass if cls.retryable} == {
        FaultClass.TRANSIENT,
        FaultClass.THROTTLED,
        FaultClass.CONFLICT,
    }
    assert {cls for cls in FaultClass if cls.blocking} == {
        FaultClass.QUOTA,
        FaultClass.CAPACITY,
        FaultClass.FORBIDDEN,
        FaultClass.SOFT_DELETED,
    }
    assert Fault(cls=FaultClass.UNKNOWN, code="x", message="").applied


@pytest.mark.parametrize(
    ("count", "percent", "total", "allowed"),
    [(5, 20, 100, 5), (5, 20, 10, 2), (5, 20, 6, 2), (5, 20, 1, 1), (5, 20, 0, 0), (0, 100, 9, 0), (9, 0, 9, 0)],
)
def test_a_cap_is_the_smaller_of_count_and_percentage(count: int, percent: int, total: int, allowed: int) -> None:
    assert Cap(count=count, percent=percent).allowed(total) == allowed


def test_a_blind_spot_hides_its_type_and_what_lies_below_but_not_its_neighbours() -> None:
    accounts = blind_to(ACCOUNTS)
    assert accounts.hides(account_id())
    assert accounts.hides(deployment_id())
    assert not accounts.hides(group_id())
    assert not blind_to(ACCOUNTS, group_id("other")).hides(account_id())
    assert not blind_to(DEPLOYMENTS, account_id("a")).hides(account_id("a"))
    assert blind_to(DEPLOYMENTS.upper(), account_id("A")).hides(deployment_id(of="a"))
    assert not blind_to(f"{ACCOUNTS}Elsewhere").hides(account_id())


def test_what_was_seen_is_not_hidden_and_what_was_not_is() -> None:
    snapshot = Snapshot(
        taken_at=0.0,
        live={account_id("a"): live_of(account_id("a"), {})},
        blind=(blind_to(ACCOUNTS), blind_to(GROUPS)),
    )
    assert snapshot.hidden(account_id("a")) is None
    assert snapshot.hidden(account_id("b")) == fault_of()
    assert replace(snapshot, blind=()).hidden(account_id("b")) is None


def test_children_of_an_account_that_was_seen_are_not_hidden_by_a_list_of_accounts_that_broke_off() -> None:
    live = {account_id("a"): live_of(account_id("a"), {})}
    blind = (blind_to(ACCOUNTS),)
    snapshot = Snapshot(taken_at=0.0, live=live, blind=blind)
    assert snapshot.hidden(deployment_id(of="a")) is None
    assert snapshot.hidden(deployment_id(of="b")) == fault_of()
    children = replace(snapshot, blind=(*blind, blind_to(DEPLOYMENTS, account_id("a"))))
    assert children.hidden(deployment_id(of="a")) == fault_of()


@pytest.mark.parametrize("name", [OWNER_TAG, "Reconciler-Fleet"])
def test_a_deleted_account_tells_its_owner_whatever_the_case_of_the_tag(name: str) -> None:
    deleted = DeletedAccount(id=account_id(), location="x", deleted_at="", purge_after="", wire={"tags": {name: "f"}})
    assert deleted.owner == "f"
    assert replace(deleted, wire={"tags": {name: 3}}).owner is None
    assert replace(deleted, wire={"tags": None}).owner is None
    assert replace(deleted, wire={}).owner is None


def test_complete_applicable_and_converged_are_three_different_facts() -> None:
    quiet = Plan(fleet="f", decisions=(DECISION,), steps=())
    assert (quiet.complete, quiet.applicable, quiet.converged) == (True, False, True)
    blind = replace(quiet, blind=(("accounts", fault_of()),))
    assert (blind.complete, blind.applicable, blind.converged) == (False, False, False)
    acting = replace(DECISION, state=DecisionState.ACT)
    busy = replace(quiet, decisions=(acting,), steps=(STEP,))
    assert (busy.complete, busy.applicable, busy.converged) == (True, True, False)
    assert not replace(busy, stopped="too much").applicable
    for state in (DecisionState.BLOCKED, DecisionState.IN_PROGRESS):
        assert not replace(quiet, decisions=(replace(DECISION, state=state),)).converged


def test_a_digest_knows_every_write_and_reason_and_no_count_or_clock() -> None:
    change = FieldChange(path="p", before=1, after=2, effect=Effect.IN_PLACE)
    plan = Plan(fleet="f", decisions=(replace(DECISION, changes=(change,)),), steps=(STEP,))
    others = [
        replace(plan, fleet="g"),
        replace(plan, stopped="yes"),
        replace(plan, decisions=(replace(plan.decisions[0], reason="because"),)),
        replace(plan, decisions=(replace(plan.decisions[0], action=Action.UPDATE),)),
        replace(plan, decisions=(replace(plan.decisions[0], changes=(replace(change, after=3),)),)),
        replace(plan, steps=(replace(STEP, fields={"a": 1}),)),
        replace(plan, steps=(replace(STEP, expects={}),)),
        replace(plan, steps=(replace(STEP, after=("x",)),)),
        replace(plan, steps=(replace(STEP, location="elsewhere"),)),
        replace(plan, steps=()),
    ]
    assert len({plan.digest, *(each.digest for each in others)}) == len(others) + 1
    assert replace(plan, requests_spent=9).digest == plan.digest
    assert plan.digest.startswith("sha256:")


def test_a_step_writes_in_its_accounts_lane_and_a_blind_spot_is_a_value() -> None:
    assert STEP.lane == account_id().lane
    assert blind_to(ACCOUNTS) == Blind(scope=blind_to(ACCOUNTS).scope, type=ACCOUNTS, fault=fault_of())


def test_a_fleet_with_a_broken_document_is_not_complete() -> None:
    fleet = fleet_of(declare_account())
    assert fleet.complete
    assert not replace(fleet, broken={DECISION.ref: ()}).complete


def test_desired_and_live_tell_their_arm_type() -> None:
    assert declare_account()[0].type == ACCOUNTS
    assert live_of(deployment_id(), {}).type == DEPLOYMENTS
    assert decided(Plan(fleet="f", decisions=(DECISION,), steps=()), account_id()) is DECISION
