"""A plan as a value: every resource once, the same bytes for the same input, a total order, and how it is cut down."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.kinds.base import settle
from reconciler.kinds.catalog import type_of
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, DecisionState, Phase, Plan, Risk
from reconciler.model.quota import Offer
from reconciler.model.resource import Desired, Fleet, LiveState, Snapshot, Throughput
from reconciler.plan import NothingSelectedError, make_plan, select
from reconciler.plan.decide import decide
from reconciler.plan.order import order
from tests.support.builders import (
    ACCOUNTS,
    DEPLOYMENTS,
    EVERY_WORD,
    FILTERS,
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
    fleet_of,
    group_id,
    open_spec,
    steps_of,
)

ALL = frozenset({ACCOUNTS.lower(), DEPLOYMENTS.lower(), FILTERS.lower()})
STRICT = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}


def busy() -> tuple[Fleet, Snapshot]:
    """A fleet with something of everything to do, and an Azure that is not as it wants it."""
    made = open_spec(raiPolicies=[STRICT], deployments=[deployment_spec("d"), deployment_spec("e")])
    _, azure = converged(*(declare_account(name, {**made, "customSubDomainName": name}) for name in ("one", "two")))
    azure.edit(account_id("one"), "properties.provisioningState", "Failed")
    azure.edit(deployment_id("e", of="two"), "properties.provisioningState", "Creating")
    azure.add(account_id("buried"), {"location": "swedencentral", "kind": "OpenAI"})
    azure.deleted[account_id("buried")] = azure.live.pop(account_id("buried"))
    wanted = account_spec(deployments=[deployment_spec("d", 5), deployment_spec("new")], disableLocalAuth=True)
    fleet = fleet_of(
        declare_group(),
        declare_account("one", {**wanted, "location": "westeurope"}),
        declare_account("two", wanted),
        declare_account("three", open_spec(deployments=[deployment_spec()])),
        declare_account("buried", wanted),
        prune=ALL,
        allow=EVERY_WORD,
        soft_deleted="purge",
        adopt_all=True,
    )
    return fleet, azure.snapshot(blind=(blind_to(ACCOUNTS, group_id("x")), blind_to(DEPLOYMENTS, group_id("y"))))


def test_every_resource_has_exactly_one_decision() -> None:
    fleet, snapshot = busy()
    plan = make_plan(fleet, snapshot)
    ids = [each.id for each in plan.decisions]
    assert len(ids) == len(set(ids))
    purges = {each.id for each in plan.decisions if each.action is Action.PURGE}
    surplus = {id for id, live in snapshot.live.items() if live.owner == "prod" and id.segments}
    assert set(ids) - purges == set(fleet.desired) | surplus
    assert all(each.reason for each in plan.decisions)
    assert all(each.permit for each in plan.decisions if each.state is DecisionState.BLOCKED)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_neither_the_order_of_documents_nor_of_lists_shows_in_a_plan(data: st.DataObject) -> None:
    fleet, snapshot = busy()
    wanted = dict(data.draw(st.permutations(list(fleet.desired.items()))))
    live = dict(data.draw(st.permutations(list(snapshot.live.items()))))
    blind = tuple(data.draw(st.permutations(snapshot.blind)))
    shuffled = {id: replace(each, fields=dict(reversed(list(each.fields.items())))) for id, each in wanted.items()}
    again = make_plan(replace(fleet, desired=shuffled), replace(snapshot, live=live, blind=blind))
    assert again.digest == make_plan(fleet, snapshot).digest


def test_the_seed_of_hashes_does_not_show_in_a_plan() -> None:
    command = "from tests.plan.test_facts import busy, make_plan; print(make_plan(*busy()).digest)"

    def digest(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert digest("1") == digest("2") == f"{make_plan(*busy()).digest}\n"


def test_steps_stand_after_what_they_wait_for_and_have_names_of_their_own() -> None:
    plan = make_plan(*busy())
    names = [step.name for step in plan.steps]
    assert len(set(names)) == len(names) > 5
    for position, step in enumerate(plan.steps):
        assert all(names.index(blocker) < position for blocker in step.after)


def test_edges_decide_and_phases_break_ties() -> None:
    made = open_spec(raiPolicies=[STRICT], deployments=[deployment_spec(raiPolicyName="strict")])
    fleet = fleet_of(declare_group(), declare_account(spec=made), declare_account("zzz"))
    plan = make_plan(fleet, Snapshot(taken_at=0.0, live={}))
    assert steps_of(plan) == [
        ("put", "rg-ai"),
        ("put", "one"),
        ("put", "zzz"),
        ("put", "strict"),
        ("put", "d"),
        ("patch", "one"),
    ]


def test_what_closes_runs_before_what_opens() -> None:
    _, azure = converged(declare_account("aaa"), declare_account("zzz", open_spec()))
    closing = declare_account("zzz", account_spec(customSubDomainName="one", networkAcls={"defaultAction": "Deny"}))
    plan = make_plan(
        fleet_of(declare_account("aaa", {**open_spec(), "customSubDomainName": "aaa"}), closing), azure.snapshot()
    )
    assert steps_of(plan)[0] == ("patch", "zzz")


def test_what_waits_for_each_other_is_refused_and_named() -> None:
    one, two = declare_account("one")[0], declare_account("two")[0]
    fleet = fleet_of([replace(one, needs=(two.id,)), replace(two, needs=(one.id,))])
    azure = PlainAzure()
    azure.add(group_id(), {"location": "x"})
    plan = make_plan(fleet, azure.snapshot())
    assert plan.steps == ()
    first, second = decided(plan, one.id), decided(plan, two.id)
    assert (first.code, second.code) == ("circle", "needs")
    assert first.reason == ("would have to wait for itself: it waits for Account/two, which waits for Account/one")
    with pytest.raises(ValueError, match="in a circle"):
        order(decide(fleet, azure.snapshot()), "prod")
    assert order({}, "prod") == ()


def test_only_what_acts_has_steps_and_costs_requests() -> None:
    plan = make_plan(*busy())
    acting = {each.id for each in plan.decisions if each.acts}
    assert {step.id for step in plan.steps if step.verb.value != "purge"} <= acting
    for each in plan.decisions:
        assert bool(each.requests) is bool(each.seconds) is each.acts


def test_a_birth_that_opens_costs_two_writes() -> None:
    def cost(spec: dict[str, Any]) -> int:
        return decided(make_plan(fleet_of(declare_group(), declare_account(spec=spec)), EMPTY), account_id()).requests

    assert cost(open_spec()) == 2 * cost(account_spec())


EMPTY = Snapshot(taken_at=0.0, live={})


@pytest.mark.parametrize(
    ("made", "wanted", "risk"),
    [
        (account_spec(), open_spec(), Risk.OPENS),
        (open_spec(), account_spec(), Risk.CLOSES),
        (account_spec(), account_spec(tags={"a": "b"}), Risk.NONE),
        (account_spec(), account_spec(location="westeurope"), Risk.DESTROYS),
    ],
)
def test_a_decision_says_what_a_mistake_would_cost(made: dict[str, Any], wanted: dict[str, Any], risk: Risk) -> None:
    _, azure = converged(declare_account(spec=made))
    plan = make_plan(fleet_of(declare_account(spec=wanted), allow=EVERY_WORD), azure.snapshot())
    assert decided(plan, account_id()).risk is risk


def test_a_finding_of_the_fleet_and_what_was_spent_are_handed_on() -> None:
    fleet, snapshot = busy()
    plan = make_plan(fleet, replace(snapshot, requests=7))
    assert plan.requests_spent == 7
    assert plan.findings == fleet.findings
    assert [scope for scope, _ in plan.blind] == sorted(scope for scope, _ in plan.blind)


# --- tokens per minute

OFFER = Offer(location="swedencentral", format="openai", model="gpt-4o", version="", sku="standard")


def by_tokens(tpm: int) -> tuple[Desired, ...]:
    one, of = declare_account(spec=account_spec(deployments=[deployment_spec()]))
    fields = {path: value for path, value in of.fields.items() if path != "sku.capacity"}
    return one, replace(of, fields=fields, throughput=Throughput(tokens_per_minute=tpm, offer=OFFER))


@pytest.mark.parametrize(("tpm", "rate", "units"), [(300_000, 1000, 300), (300_001, 1000, 301), (1, 2500, 1)])
def test_tokens_become_whole_units_at_the_rate_of_the_region(tpm: int, rate: int, units: int) -> None:
    plan = make_plan(fleet_of(declare_group(), by_tokens(tpm)), replace(EMPTY, rates={OFFER: rate}))
    (made,) = [step for step in plan.steps if step.id == deployment_id()]
    assert made.fields["sku.capacity"] == units


@pytest.mark.parametrize("version", ["", "2024"])
@pytest.mark.parametrize("rates", [{}, {OFFER: 0}])
def test_tokens_without_a_rate_are_blocked_whatever_is_live(rates: dict[Offer, int], version: str) -> None:
    one, of = by_tokens(300_000)
    assert of.throughput
    offer = replace(OFFER, version=version)
    fleet = fleet_of([one, replace(of, throughput=replace(of.throughput, offer=offer))], allow=EVERY_WORD)
    _, azure = converged(declare_account(spec=account_spec(deployments=[deployment_spec()])))
    plan = make_plan(fleet, azure.snapshot(rates=rates))
    assert decided(plan, deployment_id()).code == "unrated"
    assert "sku.capacity" in decided(plan, deployment_id()).permit
    hidden = make_plan(fleet, replace(EMPTY, rates=rates, blind=(blind_to(ACCOUNTS),)))
    assert decided(hidden, deployment_id()).code == "unknown"
    moved = [replace(one, fields={**one.fields, "location": "westeurope"}), of]
    plan = make_plan(fleet_of(moved, allow=EVERY_WORD), azure.snapshot(rates=rates))
    assert plan.steps == ()
    assert decided(plan, account_id()).code == "needs"


# --- selection


def chosen(*targets: str, **labels: str) -> set[str]:
    fleets = [
        fleet_of(
            declare_group(),
            declare_account("one", account_spec(deployments=[deployment_spec(), deployment_spec("e")]), tier="prod"),
            declare_account("two", account_spec(deployments=[deployment_spec()]), tier="test"),
        )
    ]
    return {str(id).rpartition("/")[2] if id.group else "" for id in select(fleets, targets, labels)} | {
        str(len(select(fleets, targets, labels)))
    }


def test_a_selection_takes_what_it_needs_and_what_lies_below() -> None:
    assert chosen("Account/two") == {"rg-ai", "two", "d", "3"}
    assert chosen("account/ONE") == {"rg-ai", "one", "d", "e", "4"}
    assert chosen("Account/one/deployments/e") == {"rg-ai", "one", "e", "3"}
    assert chosen(str(account_id("one")).upper()) == {"rg-ai", "one", "d", "e", "4"}
    assert chosen(f"/{deployment_id('d', of='two')}") == {"rg-ai", "two", "d", "3"}
    assert chosen(tier="test") == {"rg-ai", "two", "d", "3"}
    assert chosen("Account/one", tier="prod") == {"rg-ai", "one", "d", "e", "4"}


def test_a_selection_of_nothing_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(NothingSelectedError, match="did you mean Account/one"):
        chosen("Account/on")
    with pytest.raises(NothingSelectedError, match=r"names no document$"):
        chosen("??")
    with pytest.raises(NothingSelectedError, match="-l tier=none matches no document"):
        chosen(tier="none")
    with pytest.raises(NothingSelectedError):
        chosen("Account/one", tier="test")


def run(fleet: Fleet, snapshot: Snapshot, *targets: str) -> Plan:
    return make_plan(fleet, snapshot, select([fleet], targets, {}))


def test_what_was_not_selected_is_left_alone() -> None:
    fleet, snapshot = busy()
    plan = run(fleet, snapshot, "Account/three")
    assert {step.id.top.name for step in plan.steps} <= {"three", "rg-ai"}
    assert {each.state for each in plan.decisions if each.id.top.name == "two"} == {DecisionState.IGNORED}
    assert {each.code for each in plan.decisions if each.id.top.name == "two"} == {"not_selected"}


def test_selecting_a_buried_account_selects_the_purge_it_needs() -> None:
    fleet, snapshot = busy()
    plan = run(fleet, replace(snapshot, blind=()), "Account/buried")
    assert [each.action for each in plan.decisions if each.action is Action.PURGE] == [Action.PURGE]


def test_a_replacement_takes_along_what_was_not_selected_and_brings_it_back() -> None:
    made = account_spec(deployments=[deployment_spec("d"), deployment_spec("e")])
    _, azure = converged(declare_account(spec=made))
    fleet = fleet_of(declare_account(spec={**made, "location": "westeurope"}), allow=EVERY_WORD)
    plan = run(fleet, azure.snapshot(), "Account/one/deployments/d")
    assert {step.id.name for step in plan.steps} == {"one", "d", "e"}
    azure.add(deployment_id("undeclared"), {"sku": {"name": "Standard"}})
    assert run(fleet, azure.snapshot(), "Account/one").steps == ()


def test_states_settle_as_the_table_says() -> None:
    type_ = type_of(ACCOUNTS)
    assert type_
    assert settle(type_, {})[0] is LiveState.SETTLED
    assert ArmId(subscription="s").covers(ArmId(subscription="S", group="g"))


def test_what_only_opens_is_loosening_and_children_need_not_wait_for_it() -> None:
    _, azure = converged(declare_account(spec=open_spec()))
    azure.edit(account_id(), "properties.publicNetworkAccess", "Disabled")
    fleet = fleet_of(declare_account(spec=open_spec(deployments=[deployment_spec()])))
    made, opened = make_plan(fleet, azure.snapshot()).steps
    assert (made.id, made.after) == (deployment_id(), ())
    assert opened.phase is Phase.LOOSEN
