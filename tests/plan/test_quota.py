"""Quota in a plan: who holds what, who gets what is there, in which order, and what is said where it is not enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.consent import agree_to
from reconciler.model.plan import Action, DecisionState, Plan, Verb
from reconciler.model.quota import Holding, Quotas, Terms
from reconciler.model.resource import Cap, Desired, Fleet
from reconciler.model.wire import JsonObject
from reconciler.plan import find_asked, find_strangers, make_plan
from tests.plan.markets import (
    GPT_4O,
    GPT_41,
    PTU,
    REGION,
    after_of,
    held_in,
    holdings,
    market,
    offer,
    plan_with,
    pool_of,
    quotas,
    ready,
    surveyed,
    without_quota,
)
from tests.support.builders import (
    EVERY_WORD,
    PlainAzure,
    Spec,
    account_id,
    account_spec,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    fault_of,
    fleet_of,
)

UNLIMITED = Cap(count=100, percent=100)


def fleet_with(*deployments: Spec, name: str = "one", **policy: Any) -> Fleet:
    policy.setdefault("allow", EVERY_WORD)
    return fleet_of(declare_account(name, account_spec(deployments=list(deployments))), **policy)


def azure_with(*deployments: Spec, name: str = "one") -> PlainAzure:
    _, azure = converged(declare_account(name, account_spec(deployments=list(deployments))), allow=EVERY_WORD)
    return azure


def gpt_41(name: str, capacity: int) -> Spec:
    return deployment_spec(name, capacity, model={"name": "gpt-4.1", "version": "2025-04-14"})


def test_the_ledger_tells_ours_from_others_and_from_what_nobody_alive_holds() -> None:
    azure = azure_with(deployment_spec("a", 200))
    theirs = Holding(id=deployment_id("x", of="theirs"), offer=offer(version="2024-08-06"), units=60)
    plan = plan_with(fleet_with(deployment_spec("a", 230)), azure, surveyed(300, 350, theirs))
    pool = pool_of(plan)
    assert (pool.limit, pool.used, pool.ours, pool.others, pool.residue) == (350, 300, 200, 60, 40)
    assert (pool.takes, pool.gives, pool.asked, pool.left, pool.left_after) == (30, 0, 30, 50, 20)
    assert (pool.tokens, pool.requests) == ((1000,), (6.0, 10.0))


def test_a_pool_is_found_by_the_model_list_and_never_by_its_name() -> None:
    azure = azure_with(gpt_41("a", 7))
    plan = plan_with(fleet_with(gpt_41("a", 9)), azure, quotas({GPT_41: 7}, {GPT_41: 100}))
    assert (pool_of(plan, GPT_41).ours, pool_of(plan, GPT_41).takes) == (7, 2)


def test_a_version_that_is_no_longer_listed_counts_in_the_pool_of_its_model() -> None:
    azure = azure_with(deployment_spec("a", 7))
    azure.edit(deployment_id("a"), "properties.model.version", "2024-05-13")
    fleet = fleet_with(deployment_spec("a", 7), deployment_spec("b", 1))
    assert pool_of(plan_with(fleet, azure, quotas({GPT_4O: 7}, {GPT_4O: 100}))).ours == 7


def test_a_deployment_without_a_pool_is_told_and_not_counted() -> None:
    azure = azure_with()
    quota = without_quota(quotas({}, {GPT_4O: 10, GPT_41: 10}), GPT_4O)
    plan = plan_with(fleet_with(deployment_spec("a", 7)), azure, quota)
    assert decided(plan, deployment_id("a")).acts
    assert plan.ledger is not None
    assert plan.ledger.strays == (f"one/a (gpt-4o 2024-11-20 as globalstandard in {REGION})",)


def test_what_could_not_be_read_blocks_nothing_and_is_no_empty_pool() -> None:
    azure = azure_with()
    plan = plan_with(fleet_with(deployment_spec("a", 7)), azure, Quotas(unread={REGION: fault_of()}))
    assert decided(plan, deployment_id("a")).acts
    assert plan.ledger is not None
    assert plan.ledger.pools == ()
    assert plan.ledger.unread == {REGION: fault_of()}
    assert not plan.ledger.complete


def test_where_azure_may_be_late_to_give_back_somebody_is_told_to_come_again() -> None:
    fleet = fleet_with(deployment_spec("a", 200), deployment_spec("b", 50))
    quota = quotas({GPT_4O: 300}, {GPT_4O: 300}, surveyed=frozenset({REGION}))
    blocked = decided(plan_with(fleet, azure_with(deployment_spec("a", 200)), quota), deployment_id("b"))
    assert "up to 100 by nobody that can be seen" in blocked.reason
    assert blocked.permit == (
        "run it again in some minutes: Azure may be late to give back up to 100; or free 50 of this pool, or ask Azure "
        "for a higher limit"
    )


def test_what_will_not_fit_is_blocked_with_the_arithmetic_and_the_rest_goes_on() -> None:
    azure = azure_with(deployment_spec("a", 200))
    theirs = Holding(id=deployment_id("x", of="theirs"), offer=offer(), units=60)
    azure.deleted[account_id("gone")] = {"location": "Sweden Central", "kind": "OpenAI"}
    azure.deleted[account_id("language")] = {"location": "Sweden Central", "kind": "TextAnalytics"}
    fleet = fleet_with(deployment_spec("a", 200), deployment_spec("b", 50), gpt_41("c", 5))
    quota = quotas({GPT_4O: 290}, {GPT_4O: 300, GPT_41: 5}, surveyed=frozenset({REGION}), strangers=(theirs,))
    plan = plan_with(fleet, azure, quota)
    blocked = decided(plan, deployment_id("b"))
    assert (blocked.state, blocked.action, blocked.code) == (
        DecisionState.BLOCKED,
        Action.CREATE,
        "insufficient_quota",
    )
    assert blocked.reason == (
        "asks 50 of gpt-4o GlobalStandard in swedencentral; 290 of 300 are used (200 by this fleet, 60 by others, "
        "up to 30 by soft-deleted accounts): 10 left for it"
    )
    assert blocked.permit == (
        "declare a capacity of 10, 40 fewer; or purge what is soft-deleted there (gone), which frees 30 at most, "
        "by hand: reconciler purge gone (it did not carry this fleet's tag, nor does Fleet spec.purge.names name it); "
        "or free 40 of this pool, or ask Azure for a higher limit"
    )
    assert decided(plan, deployment_id("c")).acts
    assert pool_of(plan).short == 50


def test_only_the_increase_has_to_fit() -> None:
    azure = azure_with(deployment_spec("a", 90))
    plan = plan_with(fleet_with(deployment_spec("a", 100)), azure, surveyed(90, 100))
    assert decided(plan, deployment_id("a")).acts
    plan = plan_with(fleet_with(deployment_spec("a", 101)), azure, surveyed(90, 100))
    assert decided(plan, deployment_id("a")).reason.startswith("asks 11 more of gpt-4o GlobalStandard")


def test_two_deployments_that_fill_the_pool_swap_their_capacity() -> None:
    azure = azure_with(deployment_spec("a", 20), deployment_spec("b", 80))
    plan = plan_with(fleet_with(deployment_spec("a", 80), deployment_spec("b", 20)), azure, surveyed(100, 100))
    assert [step.id.name for step in plan.steps] == ["b", "a"]
    assert after_of(plan, "deployments/a#write-1") == ("b#write-1",)
    assert (pool_of(plan).takes, pool_of(plan).gives, pool_of(plan).left_after) == (60, 60, 0)


def test_a_delete_makes_room_for_what_another_account_creates() -> None:
    azure = azure_with(deployment_spec("old", 100))
    fleet = fleet_of(
        declare_account("one", account_spec(deployments=[])),
        declare_account("two", account_spec(deployments=[deployment_spec("new", 100)])),
        allow=EVERY_WORD,
        prune=frozenset({"microsoft.cognitiveservices/accounts/deployments"}),
        allow_empty=True,
    )
    fleet = replace(fleet, policy=replace(fleet.policy, deletes=Cap(count=100, percent=100)))
    plan = plan_with(fleet, azure, surveyed(100, 100))
    assert "old#delete" in after_of(plan, "deployments/new#create")


def test_without_permission_to_cut_the_other_one_is_told_what_it_waits_for() -> None:
    azure = azure_with(deployment_spec("a", 20), deployment_spec("b", 80))
    fleet = fleet_with(deployment_spec("a", 80), deployment_spec("b", 20), allow=frozenset())
    plan = plan_with(fleet, azure, surveyed(100, 100))
    assert decided(plan, deployment_id("b")).code == "capacityCut_not_permitted"
    grows = decided(plan, deployment_id("a"))
    assert grows.code == "insufficient_quota"
    assert grows.permit.startswith("permit what Account/one/deployments/b would give back (60); or ")


def test_a_limit_lowered_below_what_is_used_is_paid_back_before_anything_grows() -> None:
    azure = azure_with(deployment_spec("a", 100), deployment_spec("b", 20))
    fleet = fleet_with(deployment_spec("a", 50), deployment_spec("b", 30))
    assert after_of(plan_with(fleet, azure, surveyed(120, 100)), "deployments/b#write-1") == ("a#write-1",)
    plan = plan_with(fleet, azure, surveyed(120, 75))
    assert decided(plan, deployment_id("a")).acts
    refused = decided(plan, deployment_id("b"))
    assert refused.reason.removesuffix(refused.who) == (
        "asks 10 more of gpt-4o GlobalStandard in swedencentral; 120 of 75 are used (120 by this fleet, 0 by others), "
        "this plan gives back 50 and needs 0 elsewhere: 5 left for it"
    )


def test_a_deployment_that_is_replaced_keeps_what_it_gave_back() -> None:
    azure = azure_with(deployment_spec("a", 10), gpt_41("b", 90))
    # Another model under the same name: it is deleted and made again, within the same pool or another one.
    fleet = fleet_with(deployment_spec("a", 10), deployment_spec("b", 80))
    plan = plan_with(fleet, azure, quotas({GPT_4O: 10, GPT_41: 90}, {GPT_4O: 90, GPT_41: 90}))
    assert decided(plan, deployment_id("b")).action is Action.REPLACE
    assert (pool_of(plan).takes, pool_of(plan, GPT_41).gives) == (80, 90)


def test_a_replacement_that_would_not_fit_deletes_nothing() -> None:
    azure = azure_with(gpt_41("b", 90))
    plan = plan_with(fleet_with(deployment_spec("b", 80)), azure, quotas({GPT_41: 90}, {GPT_4O: 79, GPT_41: 90}))
    assert decided(plan, deployment_id("b")).code == "insufficient_quota"
    assert plan.steps == ()


def test_what_a_purge_frees_is_waited_for_and_not_counted_on() -> None:
    azure = azure_with()
    del azure.live[account_id()]
    azure.deleted[account_id()] = {"location": REGION, "kind": "OpenAI", "tags": {"reconciler-fleet": "prod"}}
    fleet = fleet_with(deployment_spec("a", 50), soft_deleted="purge")
    plan = plan_with(fleet, azure, surveyed(100, 100))
    assert decided(plan, account_id()).acts
    waiting = decided(plan, deployment_id("a"))
    assert (waiting.state, waiting.action) == (DecisionState.IN_PROGRESS, Action.CREATE)
    assert waiting.reason == (
        "waits for the purge of DeletedAccount/one, and for usages to show what that gives back: "
        "asks 50 of gpt-4o GlobalStandard in swedencentral"
    )
    # Whoever agreed to the purge has seen what it is for.
    azure.apply(plan)
    second = plan_with(fleet, azure, surveyed(0, 100))
    assert [step.id.name for step in second.steps] == ["a"]
    assert agree_to(plan).exceeded_by(second) == ()
    # Nothing came back: then it is blocked, and nobody waits for ever.
    assert decided(plan_with(fleet, azure, surveyed(100, 100)), deployment_id("a")).code == "insufficient_quota"


def test_what_a_restore_brings_back_is_waited_for_and_not_counted_on() -> None:
    azure = azure_with()
    azure.deleted[account_id()] = azure.live.pop(account_id())
    fleet = fleet_with(deployment_spec("a", 50), soft_deleted="restore")
    plan = plan_with(fleet, azure, surveyed(100, 100))
    waiting = decided(plan, deployment_id("a"))
    assert (waiting.state, waiting.action) == (DecisionState.IN_PROGRESS, Action.CREATE)
    assert waiting.reason == (
        "waits for the restore of Account/one, which may bring it back with what it holds: "
        "asks 50 of gpt-4o GlobalStandard in swedencentral"
    )
    azure.apply(plan)
    azure.add(deployment_id("a"), wire_of(50))
    assert plan_with(fleet, azure, surveyed(100, 100)).converged
    # It came back empty.
    del azure.live[deployment_id("a")]
    assert decided(plan_with(fleet, azure, surveyed(100, 100)), deployment_id("a")).code == "insufficient_quota"
    assert decided(plan_with(fleet, azure, surveyed(50, 100)), deployment_id("a")).acts


def wire_of(capacity: int) -> JsonObject:
    """A deployment as `deployment_spec` declares one, made by somebody else."""
    model: JsonObject = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}
    return {"sku": {"name": "GlobalStandard", "capacity": capacity}, "properties": {"model": model}}


def replaced(before: list[Spec], after: list[Spec], *beside: tuple[Desired, ...]) -> tuple[Fleet, PlainAzure]:
    """An account that is wanted under another subdomain, for which it has to go and come back in its region."""

    def declare(subdomain: str, members: list[Spec]) -> tuple[Desired, ...]:
        return declare_account("one", account_spec(customSubDomainName=subdomain, deployments=members))

    _, azure = converged(declare("first", before), allow=EVERY_WORD)
    return fleet_of(declare("second", after), *beside, allow=EVERY_WORD, deletes=UNLIMITED), azure


def test_an_account_that_is_replaced_gives_back_before_it_goes() -> None:
    members = [deployment_spec("a", 60), deployment_spec("b", 40)]
    fleet, azure = replaced(members, members)
    plan = plan_with(fleet, azure, surveyed(100, 100))
    assert [step.name.rpartition("/")[2] for step in plan.steps] == [
        *("a#delete", "b#delete", "one#delete", "one#purge", "one#create", "a#create", "b#create"),
    ]
    assert after_of(plan, "one#delete") == ("a#delete", "b#delete")
    assert (pool_of(plan).takes, pool_of(plan).gives, pool_of(plan).left_after) == (100, 100, 0)
    # One line for each of them, with what both of its writes cost.
    assert [each.ref.name for each in plan.decisions if each.acts] == ["one", "one/deployments/a", "one/deployments/b"]
    assert decided(plan, deployment_id("a")).requests == 6
    # What they held is free at once, and what the purge gives back late was nothing.
    azure.apply(plan)
    assert plan_with(fleet, azure, surveyed(100, 100)).converged


def test_what_a_replaced_account_gives_back_goes_to_others_only_if_it_does_not_need_it() -> None:
    wanted = declare_account("two", account_spec(deployments=[deployment_spec("c", 30)]))
    fleet, azure = replaced([deployment_spec("a", 100)], [deployment_spec("a", 70)], wanted)
    plan = plan_with(fleet, azure, surveyed(100, 100))
    assert "a#delete" in after_of(plan, "c#create")
    fleet, azure = replaced([deployment_spec("a", 100)], [deployment_spec("a", 71)], wanted)
    plan = plan_with(fleet, azure, surveyed(100, 100))
    assert decided(plan, deployment_id("a")).acts
    assert decided(plan, deployment_id("c", of="two")).code == "insufficient_quota"


def test_an_account_that_would_not_fit_elsewhere_stays_whole_and_takes_nothing_from_others() -> None:
    members = [deployment_spec("a", 60), deployment_spec("b", 40)]
    azure = azure_with(*members)
    fleet = fleet_of(
        declare_account("one", account_spec(location="westeurope", deployments=members)),
        declare_account("two", account_spec(location="westeurope", deployments=[deployment_spec("c", 40)])),
        allow=EVERY_WORD,
        deletes=UNLIMITED,
    )
    sold = {offer(at="westeurope"): Terms(usage=GPT_4O)}
    quota = Quotas(
        markets={
            REGION: market({GPT_4O: 100}, {GPT_4O: 100}),
            "westeurope": market({GPT_4O: 0}, {GPT_4O: 90}, sold),
        }
    )
    plan = plan_with(fleet, azure, quota)
    told = "asks 40 of gpt-4o GlobalStandard in westeurope; 0 of 90 are used (0 by this fleet)"
    assert decided(plan, deployment_id("b")).reason.startswith(told)
    assert decided(plan, account_id()).reason.startswith(f"Account/one/deployments/b in it is blocked: {told}")
    assert decided(plan, deployment_id("a")).state is DecisionState.IN_SYNC
    assert [(step.verb, step.id.name) for step in plan.steps] == [(Verb.PUT, "two"), (Verb.PUT, "c")]


def test_two_deployments_that_fill_both_their_pools_exchange_them() -> None:
    azure = azure_with(deployment_spec("a", 90), gpt_41("b", 80))
    fleet = fleet_with(gpt_41("a", 80), deployment_spec("b", 90), deletes=UNLIMITED)
    full = quotas({GPT_4O: 90, GPT_41: 80}, {GPT_4O: 90, GPT_41: 80})
    plan = plan_with(fleet, azure, full)
    assert [step.name.rpartition("/")[2] for step in plan.steps] == ["a#delete", "b#delete", "a#create", "b#create"]
    assert "b#delete" in after_of(plan, "deployments/a#create")
    assert "a#delete" in after_of(plan, "deployments/b#create")
    # One of them asks a unit too many: both stay, and nothing is deleted for nothing.
    plan = plan_with(fleet_with(gpt_41("a", 81), deployment_spec("b", 90), deletes=UNLIMITED), azure, full)
    assert plan.steps == ()
    assert {decided(plan, deployment_id(name)).code for name in "ab"} == {"insufficient_quota"}


def test_version_and_capacity_that_change_at_once_keep_to_the_lesser_of_both() -> None:
    old = {"name": "gpt-4o", "version": "2024-08-06"}
    azure = azure_with(deployment_spec("a", 30, model=old), deployment_spec("b", 70, model=old))
    plan = plan_with(fleet_with(deployment_spec("a", 70), deployment_spec("b", 30)), azure, surveyed(100, 100))
    assert [(step.name.rpartition("/")[2], *step.fields.values()) for step in plan.steps] == [
        ("b#write-1", 30),
        ("a#write-1", "2024-11-20"),
        ("a#write-2", 70),
        ("b#write-2", "2024-11-20"),
    ]
    assert after_of(plan, "deployments/a#write-2") == ("a#write-1", "b#write-1")


def test_steps_and_minimum_of_provisioned_throughput_are_kept_to() -> None:
    spec = deployment_spec("a", 50, sku={"name": "GlobalProvisionedManaged", "capacity": 50})
    quota = quotas({PTU: 10}, {PTU: 48})
    plan = plan_with(fleet_with(spec), azure_with(), quota)
    assert decided(plan, deployment_id("a")).permit.startswith("declare a capacity of 35, 15 fewer; or")
    plan = plan_with(fleet_with(spec), azure_with(), quotas({PTU: 40}, {PTU: 48}))
    assert decided(plan, deployment_id("a")).permit.startswith("free 42 of this pool")
    assert pool_of(plan, PTU).billed


def test_without_quotas_a_plan_has_no_ledger() -> None:
    assert plan_of(fleet_with(deployment_spec()), azure_with()).ledger is None


def plan_of(fleet: Fleet, azure: PlainAzure) -> Plan:
    return make_plan(fleet, azure.snapshot())


def test_quota_is_asked_for_only_where_a_plan_changes_what_deployments_hold() -> None:
    azure = azure_with(deployment_spec("a", 10))

    def asked(fleet: Fleet) -> frozenset[str]:
        return find_asked(plan_of(fleet, azure), fleet, azure.snapshot())

    assert asked(fleet_with(deployment_spec("a", 10))) == frozenset()
    assert asked(fleet_with(deployment_spec("a", 10, raiPolicyName="Microsoft.Default"))) == frozenset()
    assert asked(fleet_with(deployment_spec("a", 11))) == {REGION}
    assert asked(fleet_with(deployment_spec("a", 10), deployment_spec("b"))) == {REGION}


def test_strangers_are_accounts_that_may_hold_quota_in_the_region() -> None:
    azure = azure_with()
    for name, location, kind in (
        ("theirs", "Sweden Central", "OpenAI"),
        ("language", REGION, "TextAnalytics"),
        ("far", "eastus", "AIServices"),
    ):
        azure.add(account_id(name), {"location": location, "kind": kind, "sku": {"name": "S0"}})
    found = find_strangers(fleet_with(), azure.snapshot(), frozenset({REGION}))
    assert found == {account_id("theirs"): REGION}


CAPACITIES = st.lists(st.integers(1, 40), min_size=2, max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    before=CAPACITIES,
    after=CAPACITIES,
    turn=st.integers(0, 2),
    spare=st.integers(-20, 30),
    order=st.randoms(use_true_random=False),
)
def test_no_pool_is_ever_overdrawn_in_whatever_order_the_steps_are_done(
    before: list[int], after: list[int], turn: int, spare: int, order: Random
) -> None:
    """Deployments come, go, grow, shrink and change their model; a limit may be below what is used already."""

    def specs(units: list[int], turn: int) -> list[Spec]:
        return [(deployment_spec if (at + turn) % 3 else gpt_41)(f"d{at}", each) for at, each in enumerate(units)]

    azure = azure_with(*specs(before, 0))
    fleet = fleet_with(*specs(after, turn), prune=frozenset({"microsoft.cognitiveservices/accounts/deployments"}))
    fleet = replace(fleet, policy=replace(fleet.policy, deletes=Cap(count=100, percent=100)))
    used = {name: held_in(azure, name) for name in (GPT_4O, GPT_41)}
    limits = {name: max(1, units + spare) for name, units in used.items()}
    # What fits only together with what came to fit by it may take another look, as a run does after each plan.
    for _ in range(len(fleet.desired)):
        plan = plan_with(fleet, azure, quotas({name: held_in(azure, name) for name in used}, limits))
        if not plan.steps:
            break
        carry_out(plan, azure, limits, order)
    assert not plan.steps
    for decision in plan.decisions:
        if decision.code == "insufficient_quota":
            fields = fleet.desired[decision.id].fields
            usage = GPT_41 if fields["model.name"] == "gpt-4.1" else GPT_4O
            name, had = holdings(azure).get(decision.id, (usage, 0))
            wanted = fields["sku.capacity"]
            assert isinstance(wanted, int)
            # Nothing that fits in the end has been left out.
            assert wanted - (had if name == usage else 0) > limits[usage] - held_in(azure, usage)


def carry_out(plan: Plan, azure: PlainAzure, limits: Mapping[str, int], order: Random) -> None:
    """The steps in some order that their edges allow, as many lanes would."""
    done: set[str] = set()
    while steps := ready(plan, done):
        step = order.choice(steps)
        held = {name: held_in(azure, name) for name in limits}
        azure.write(step)
        done.add(step.name)
        for name, limit in limits.items():
            assert held_in(azure, name) <= max(limit, held[name]), (step.name, limits, done)
    assert len(done) == len(plan.steps)
