"""Law: what documents want of quota is told as Azure counts it, now and after the plan's own writes, at little cost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.model.plan import Decision, DecisionState, Plan
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    deployment,
    fleet_document,
    group_document,
    network_document,
    stage,
    told,
)
from tests.support.virtual_time import run

pytestmark = pytest.mark.virtual_time

CASES = int(os.environ.get("RECONCILER_LAW_EXAMPLES", "20"))
REGION = "swedencentral"
GPT_4O = "OpenAI.GlobalStandard.gpt-4o"
# The pool of gpt-4.1, which no name of a model tells.
GPT_41 = "OpenAI.GlobalStandard.gpt4.1"
POOLS = (
    {"usage": GPT_4O, "limit": 100, "headroom": "10%"},
    {"model": {"name": "gpt-4.1"}, "sku": {"name": "GlobalStandard"}, "tpm": "50k", "headroomTpm": "5k"},
)


def documents(*pools: Document, units: int = 40) -> list[Document]:
    account = account_document("one", deployments=[deployment("chat", units)])
    return [fleet_document(), group_document(), account, network_document("Quota", "watch", pools=[*pools])]


async def set_limits(azure: Stage, **limits: int) -> None:
    named = {"gpt_4o": GPT_4O, "gpt_41": GPT_41}
    regions = {REGION: {named[name]: limit for name, limit in limits.items()}}
    await azure.seed_world(limits={azure.sim.subscription_id: regions})


def watched(plan: Plan) -> dict[str, Decision]:
    return {str(each.ref).removeprefix("Quota/watch/"): each for each in plan.decisions if each.told_only}


def states(plan: Plan) -> dict[str, tuple[DecisionState, str]]:
    return {name: (each.state, each.code) for name, each in watched(plan).items()}


async def test_a_limit_that_azure_lowers_is_drift_until_it_is_raised_again(azure: Stage) -> None:
    fleet = azure.load(documents(*POOLS))
    await set_limits(azure, gpt_4o=100, gpt_41=50)
    assert told((await azure.converge(fleet))[-1].plan) == []
    await set_limits(azure, gpt_4o=60, gpt_41=49)
    plan = await azure.dry_run(fleet)
    assert {name: each.reason for name, each in watched(plan).items()} == {
        GPT_4O: "Azure grants 60, 40 fewer than declared: ask Azure for 100, or declare 60",
        "gpt-4.1 GlobalStandard": "Azure grants 49, 1 fewer than declared: ask Azure for 50, or declare 49",
    }
    assert (plan.steps, plan.converged) == ((), True)
    await azure.forget()
    assert len(await azure.converge(fleet)) == 1
    assert await azure.writes() == []
    await set_limits(azure, gpt_4o=5000, gpt_41=5000)
    assert told(await azure.dry_run(fleet)) == []


async def test_headroom_is_crossed_by_the_plans_own_takes_before_it_is_carried_out(azure: Stage) -> None:
    await set_limits(azure, gpt_4o=100, gpt_41=50)
    await azure.converge(azure.load(documents(*POOLS, units=40)))
    fleet = azure.load(documents(*POOLS, units=95))
    before = watched(await azure.dry_run(fleet))[GPT_4O]
    assert (before.state, before.code) == (DecisionState.DRIFTED, "headroom")
    assert before.reason.startswith("40 of 100 are used, this plan takes 55: 5 left, 5 fewer than the headroom of 10:")
    # It is told, and no reason not to do it.
    after = (await azure.converge(fleet))[-1].plan
    assert watched(after)[GPT_4O].reason.startswith("95 of 100 are used: 5 left, 5 fewer than the headroom of 10:")
    assert [(change.before, change.after) for change in watched(after)[GPT_4O].changes] == [(5, 10)]
    assert after.converged
    restored = (await azure.converge(azure.load(documents(*POOLS, units=90))))[-1].plan
    assert states(restored)[GPT_4O] == (DecisionState.IN_SYNC, "")


async def test_watching_costs_one_request_a_region_on_a_quiet_pass(azure: Stage) -> None:
    fleet = azure.load(documents(POOLS[0], {"usage": GPT_41, "limit": 1}))
    await azure.converge(fleet)
    await azure.forget()
    await azure.dry_run(azure.load(documents(POOLS[0])[:-1]))
    without = len(await azure.requests())
    await azure.forget()
    await azure.dry_run(fleet)
    requests = await azure.requests()
    asked = [each["path"] for each in requests if each["path"].endswith("/usages")]
    assert [path.rpartition("/locations/")[2] for path in asked] == [f"{REGION}/usages"]
    assert len(requests) == without + 1


async def test_usages_that_cannot_be_read_are_unknown_and_hold_up_nothing(azure: Stage) -> None:
    fleet = azure.load(documents(*POOLS))
    match = {"path": "/usages$"}
    await azure.fault(kind="status", status=403, code="AuthorizationFailed", match=match, count=-1)
    plan = (await azure.converge(fleet))[-1].plan
    assert {*states(plan).values()} == {(DecisionState.BLOCKED, "unknown")}
    others = [each.state for each in plan.decisions if not each.told_only]
    assert {*others} == {DecisionState.IN_SYNC}
    await azure.mend()
    await set_limits(azure, gpt_4o=100, gpt_41=50)
    assert told(await azure.dry_run(fleet)) == []


async def test_a_name_that_azure_does_not_know_is_told_with_those_that_are_close(azure: Stage) -> None:
    fleet = azure.load(documents({"usage": "OpenAI.GlobalStandard.gpt-41", "limit": 1}))
    (decision,) = watched(await azure.dry_run(fleet)).values()
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "unknown_usage")
    assert GPT_41 in decision.reason


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)
@given(turns=st.lists(st.tuples(st.integers(1, 120), st.integers(1, 60)), min_size=1, max_size=4))
def test_whatever_azure_grants_and_a_plan_takes_is_told_as_it_comes_out(
    turns: list[tuple[int, int]], ca_dir: Path
) -> None:
    """Limits and wanted capacities change at random; what a plan says is left is what is left when it is done."""

    async def law() -> None:
        async with stage(ca_dir=ca_dir) as azure:
            held = 0
            for limit, units in turns:
                await set_limits(azure, gpt_4o=limit)
                fleet = azure.load(documents({"usage": GPT_4O, "limit": 60, "headroom": "20"}, units=units))
                foretold = watched(await azure.dry_run(fleet))[GPT_4O]
                last = (await azure.converge(fleet))[-1].plan
                fits = units <= max(limit, held)
                held = units if fits else held
                found = watched(last)[GPT_4O]
                assert {change.path: (change.before, change.after) for change in found.changes} == {
                    **({"headroom": (limit - held, 20)} if limit - held < 20 else {}),
                    **({"limit": (limit, 60)} if limit < 60 else {}),
                }
                assert (foretold.state, foretold.code, foretold.changes) == (found.state, found.code, found.changes)

    run(law())
