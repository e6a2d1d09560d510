"""What Azure had no hardware for: remembered by what it is, for longer each time, until there is some."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.memory import NOTHING, Memory
from reconciler.model.plan import Action, DecisionState
from reconciler.model.resource import Fleet
from reconciler.plan import forgive, make_plan, offer_of, shun
from tests.plan.markets import REGION, offer
from tests.support.builders import (
    EVERY_WORD,
    Spec,
    account_spec,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    fleet_of,
)

HERE, THERE = offer(), offer(at="westeurope")


def test_each_refusal_in_a_row_doubles_the_pause_up_to_two_hours() -> None:
    memory, pauses = NOTHING, []
    for _ in range(8):
        memory = shun(memory, [HERE], 1000.0, 1.0)
        pauses.append(memory.shunned[HERE].until - memory.shunned[HERE].at)
    assert pauses == [300.0, 600.0, 1200.0, 2400.0, 4800.0, 7200.0, 7200.0, 7200.0]
    assert memory.shunned[HERE].times == 8
    assert shun(NOTHING, [HERE], 0.0, 1.2).shunned[HERE].until == 360.0


def test_a_success_is_forgiven_to_whom_it_happened() -> None:
    memory = shun(NOTHING, [HERE, THERE], 0.0, 1.0)
    assert forgive(memory, [HERE]).shunned.keys() == {THERE}


def declared(*deployments: Spec) -> Fleet:
    return fleet_of(declare_account("one", account_spec(deployments=[*deployments])), allow=EVERY_WORD)


def test_an_offer_is_known_by_the_write_that_asks_for_it() -> None:
    _, azure = converged(declare_account("one", account_spec(deployments=[deployment_spec("a", 10)])))
    fleet = declared(deployment_spec("a", 20), deployment_spec("b", 5))
    plan = make_plan(fleet, azure.snapshot())
    asked = {step.id.name: offer_of(step, fleet, azure.snapshot()) for step in plan.steps}
    assert asked == {"a": HERE, "b": HERE}
    tagged = declared({**deployment_spec("a", 10), "tags": {"x": "y"}})
    (step,) = make_plan(tagged, azure.snapshot()).steps
    assert offer_of(step, tagged, azure.snapshot()) is None
    (gone,) = [step for step in make_plan(fleet, azure.snapshot()).steps if step.id.name == "b"]
    assert offer_of(replace(gone, id=deployment_id("b").top), fleet, azure.snapshot()) is None


def test_what_asks_for_more_waits_and_what_gives_back_does_not() -> None:
    _, azure = converged(declare_account("one", account_spec(deployments=[deployment_spec("a", 10)])))
    memory = Memory(shunned=shun(NOTHING, [HERE], 0.0, 1.0).shunned)
    grows = make_plan(declared(deployment_spec("a", 20)), azure.snapshot(), memory=memory)
    held = decided(grows, deployment_id("a"))
    assert (held.state, held.action, held.code) == (DecisionState.BLOCKED, Action.UPDATE, "no_hardware")
    assert held.reason.startswith(
        f"Azure had no hardware for gpt-4o as globalstandard in {REGION} at 1970-01-01T00:00:00Z, not asked again "
        "before 1970-01-01T00:05:00Z"
    )
    shrinks = make_plan(declared(deployment_spec("a", 5)), azure.snapshot(), memory=memory)
    assert decided(shrinks, deployment_id("a")).acts
    later = azure.snapshot(taken_at=300.0)
    assert decided(make_plan(declared(deployment_spec("a", 20)), later, memory=memory), deployment_id("a")).acts
    other = Memory(shunned=shun(NOTHING, [THERE], 0.0, 1.0).shunned)
    assert decided(
        make_plan(declared(deployment_spec("a", 20)), azure.snapshot(), memory=other), deployment_id("a")
    ).acts
