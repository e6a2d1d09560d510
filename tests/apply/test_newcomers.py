"""What comes into an account after the plan does not go with the account."""

from __future__ import annotations

import pytest

from reconciler.model.outcome import Result
from reconciler.model.plan import Action
from tests.apply.test_operation import carry_out, documents, settled
from tests.laws.stage import Document, Stage, account_id, deployment, fleet_document, group_document

pytestmark = pytest.mark.virtual_time

LATE: Document = {
    "sku": {"name": "GlobalStandard", "capacity": 1},
    "properties": {"model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}},
}


async def test_a_deployment_made_after_the_plan_keeps_its_account_from_a_prune(azure: Stage) -> None:
    fleet: Document = {"prune": {"accounts": True}, "allowEmpty": True}
    await settled(azure, fleet=fleet, deployments=[deployment("chat")])
    wanted = azure.load([fleet_document("law", **fleet), group_document()])
    plan = await azure.dry_run(wanted)
    assert [step.action for step in plan.steps] == [Action.DELETE, Action.DELETE]
    account = account_id(azure, "aoai-a")
    await azure.mutate("PUT", account.child("deployments", "late"), LATE)
    outcomes = await carry_out(azure, wanted, plan)
    last = outcomes[plan.steps[-1].name]
    assert last.result is Result.STALE
    assert "late appeared below it" in last.because
    assert account.key in azure.resources()
    assert account.child("deployments", "late").key in azure.resources()


async def test_a_deployment_made_after_the_plan_keeps_its_account_from_a_replacement(azure: Stage) -> None:
    await settled(azure, deployments=[deployment("chat")])
    wanted = azure.load(documents(location="francecentral", deployments=[deployment("chat")]))
    plan = await azure.dry_run(wanted)
    account = account_id(azure, "aoai-a")
    assert plan.steps[1].takes == (account.child("deployments", "chat"),)
    await azure.mutate("PUT", account.child("deployments", "late"), LATE)
    outcomes = await carry_out(azure, wanted, plan)
    # Known before what lies in it is deleted, and not after.
    assert outcomes[plan.steps[0].name].result is Result.STALE
    assert "late appeared below it" in outcomes[plan.steps[0].name].because
    assert {outcome.result for outcome in outcomes.values()} == {Result.STALE, Result.NOT_STARTED}
    assert azure.resource(account)["location"] == "swedencentral"
    assert account.child("deployments", "chat").key in azure.resources()


async def test_an_account_that_is_another_by_now_keeps_its_deployments(azure: Stage) -> None:
    await settled(azure, deployments=[deployment("chat"), deployment("more")])
    wanted = azure.load(documents(location="francecentral", deployments=[deployment("chat"), deployment("more")]))
    plan = await azure.dry_run(wanted)
    await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"tags": {"reconciler-fleet": "others"}})
    await azure.forget()
    outcomes = await carry_out(azure, wanted, plan)
    assert {outcome.result for outcome in outcomes.values()} == {Result.STALE, Result.NOT_STARTED}
    assert "tags.reconciler-fleet changed since the plan" in outcomes[plan.steps[0].name].because
    assert await azure.writes() == []


async def test_whether_an_account_goes_is_asked_once_for_all_its_deployments(azure: Stage) -> None:
    members = [deployment(f"d{number}", 1) for number in range(4)]
    await settled(azure, deployments=members)
    wanted = azure.load(documents(location="francecentral", deployments=members))
    plan = await azure.dry_run(wanted)
    outcomes = await carry_out(azure, wanted, plan)
    first, *others = [outcomes[step.name] for step in plan.steps[:4]]
    assert first.requests > 3
    assert {each.requests for each in others} == {3}


async def test_a_replaced_account_that_is_gone_already_comes_back_with_its_deployments(azure: Stage) -> None:
    await settled(azure, deployments=[deployment("chat")])
    wanted = azure.load(documents(location="francecentral", deployments=[deployment("chat")]))
    plan = await azure.dry_run(wanted)
    account = account_id(azure, "aoai-a")
    await azure.mutate("DELETE", account)
    outcomes = await carry_out(azure, wanted, plan)
    assert [outcomes[step.name].because for step in plan.steps[:2]] == ["was already gone", "was already gone"]
    assert {outcome.result for outcome in outcomes.values()} == {Result.DONE}
    assert azure.resource(account)["location"] == "francecentral"


async def test_an_account_that_cannot_be_looked_at_keeps_its_deployments(azure: Stage) -> None:
    await settled(azure, deployments=[deployment("chat")])
    wanted = azure.load(documents(location="francecentral", deployments=[deployment("chat")]))
    plan = await azure.dry_run(wanted)
    await azure.fault(
        kind="status", match={"path": "/accounts/aoai-a$"}, status=403, code="AuthorizationFailed", count=-1
    )
    await azure.forget()
    outcomes = await carry_out(azure, wanted, plan)
    assert outcomes[plan.steps[0].name].result is Result.BLOCKED
    assert await azure.writes() == []
