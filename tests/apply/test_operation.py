"""One step against Azure: what is re-read before, what is made of each answer, what is left for the next look."""

from __future__ import annotations

import pytest

from reconciler.apply import Budget, run_plan
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Action, Plan, Verb
from reconciler.model.resource import Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    fleet_document,
    group_document,
    told,
)

pytestmark = pytest.mark.virtual_time

FIREWALL: Document = {
    "customSubDomainName": "aoai-a",
    "publicNetworkAccess": "Enabled",
    "networkAcls": {"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"]},
    "disableLocalAuth": True,
}


def documents(fleet: Document | None = None, **spec: object) -> list[Document]:
    return [fleet_document("law", **(fleet or {})), group_document(), account_document("aoai-a", None, **spec)]


async def settled(azure: Stage, *, fleet: Document | None = None, **spec: object) -> Fleet:
    loaded = azure.load(documents(fleet, **spec))
    reports = await azure.converge(loaded)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    await azure.forget()
    return loaded


async def carry_out(azure: Stage, fleet: Fleet, plan: Plan, seconds: float = 7200) -> dict[str, Outcome]:
    """Exactly this plan, whatever the world is like by now."""
    async with azure.world(fleet) as world:
        outcomes = await run_plan(plan, world, Budget(seconds=seconds))
    return {outcome.step.name: outcome for outcome in outcomes}


async def test_a_plan_that_the_world_overtook_is_stale_and_sends_nothing(azure: Stage) -> None:
    await settled(azure, **FIREWALL, tags={"team": "a"})
    wanted = azure.load(documents(**FIREWALL, tags={"team": "b"}))
    plan = await azure.dry_run(wanted)
    await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"tags": {"team": "c"}})
    outcome = (await carry_out(azure, wanted, plan))["Account/aoai-a#write-1"]
    assert outcome.result is Result.STALE
    assert "tags.team" in outcome.because
    assert await azure.writes() == []


async def test_what_somebody_else_wrote_to_since_the_plan_keeps_its_author_until_the_next_one(azure: Stage) -> None:
    """Our write would hide whose the other field's change was."""
    await settled(azure, **FIREWALL, tags={"team": "a"})
    wanted = azure.load(documents(**FIREWALL, tags={"team": "b"}))
    plan = await azure.dry_run(wanted)
    await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"disableLocalAuth": False}})
    outcome = (await carry_out(azure, wanted, plan))["Account/aoai-a#write-1"]
    assert outcome.result is Result.STALE
    assert "mallory@example.com wrote to it since the plan" in outcome.because
    assert await azure.writes() == []
    assert (await azure.converge(wanted))[-1].plan.converged


async def test_what_somebody_else_wrote_to_before_the_plan_is_written(azure: Stage) -> None:
    fleet = await settled(azure, **FIREWALL, tags={"team": "a"})
    await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"disableLocalAuth": False}})
    plan = await azure.dry_run(fleet)
    outcomes = await carry_out(azure, fleet, plan)
    assert {each.result for each in outcomes.values()} == {Result.DONE}


async def test_what_somebody_else_did_meanwhile_is_done_and_not_sent(azure: Stage) -> None:
    await settled(azure, **FIREWALL, tags={"team": "a"})
    wanted = azure.load(documents(**FIREWALL, tags={"team": "b"}))
    plan = await azure.dry_run(wanted)
    await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"tags": {"team": "b"}})
    outcome = (await carry_out(azure, wanted, plan))["Account/aoai-a#write-1"]
    assert (outcome.result, outcome.because) == (Result.DONE, "was already so")
    assert await azure.writes() == []


async def test_what_appeared_since_the_plan_is_not_overwritten(azure: Stage) -> None:
    await settled(azure)
    wanted = azure.load(documents(deployments=[deployment("chat")]))
    plan = await azure.dry_run(wanted)
    theirs = {
        "sku": {"name": "Standard", "capacity": 3},
        "properties": {"model": {"format": "OpenAI", "name": "gpt-4o"}},
    }
    await azure.mutate("PUT", account_id(azure, "aoai-a").child("deployments", "chat"), theirs)
    outcome = (await carry_out(azure, wanted, plan))["Account/aoai-a/deployments/chat#create"]
    assert outcome.result is Result.STALE
    assert "exists by now" in outcome.because
    assert await azure.writes() == []


async def test_what_vanished_since_the_plan_is_not_made_again_by_an_update(azure: Stage) -> None:
    await settled(azure, deployments=[deployment("chat")])
    wanted = azure.load(documents(deployments=[deployment("chat", 20)]))
    plan = await azure.dry_run(wanted)
    await azure.mutate("DELETE", account_id(azure, "aoai-a").child("deployments", "chat"))
    outcome = (await carry_out(azure, wanted, plan))["Account/aoai-a/deployments/chat#write-1"]
    assert outcome.result is Result.STALE
    assert await azure.writes() == []


async def test_an_account_that_lost_our_tag_since_the_plan_is_kept(azure: Stage) -> None:
    fleet: Document = {"prune": {"accounts": True}, "allowEmpty": True}
    await settled(azure, fleet=fleet)
    wanted = azure.load([fleet_document("law", **fleet), group_document()])
    plan = await azure.dry_run(wanted)
    assert [step.verb for step in plan.steps] == [Verb.DELETE]
    await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"tags": {"reconciler-fleet": None}})
    outcome = next(iter((await carry_out(azure, wanted, plan)).values()))
    assert outcome.result is Result.STALE
    assert "kept" in outcome.because
    assert account_id(azure, "aoai-a").key in azure.resources()


async def test_what_was_deleted_meanwhile_counts_as_deleted(azure: Stage) -> None:
    fleet: Document = {"prune": {"deployments": True}}
    await settled(azure, fleet=fleet, deployments=[deployment("chat")])
    wanted = azure.load(documents(fleet))
    plan = await azure.dry_run(wanted)
    await azure.mutate("DELETE", account_id(azure, "aoai-a").child("deployments", "chat"))
    outcome = next(iter((await carry_out(azure, wanted, plan)).values()))
    assert (outcome.result, outcome.because) == (Result.DONE, "was already gone")
    assert await azure.writes() == []


async def test_an_account_that_azure_works_on_is_waited_for_before_it_is_written(azure: Stage) -> None:
    await settled(azure, **FIREWALL)
    wanted = azure.load(documents(**FIREWALL, tags={"team": "b"}))
    plan = await azure.dry_run(wanted)
    id = account_id(azure, "aoai-a")
    await azure.mutate("PATCH", id, {"properties": {"provisioningState": "Accepted"}})
    await azure.fault(kind="delay", seconds=1, match={"method": "PATCH"})
    # It never settles: the step ends as in progress at the end of its time, without having sent anything.
    outcome = (await carry_out(azure, wanted, plan, seconds=300))["Account/aoai-a#write-1"]
    assert outcome.result is Result.IN_PROGRESS
    assert "Accepted" in outcome.because
    assert outcome.ended - outcome.began <= 300
    assert await azure.writes() == []
    await azure.mutate("PATCH", id, {"properties": {"provisioningState": "Succeeded"}})
    assert (await azure.converge(wanted))[-1].plan.converged


async def test_a_replace_takes_the_account_away_for_good_and_brings_everything_back(azure: Stage) -> None:
    spec: Document = {**FIREWALL, "raiPolicies": [{"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}]}
    chat = deployment("chat", raiPolicyName="strict")
    await settled(azure, **spec, deployments=[chat])
    wanted = azure.load(documents(**spec, location="eastus2", deployments=[chat]))
    plan = await azure.dry_run(wanted)
    names = [step.name for step in plan.steps]
    assert names[:4] == [
        "Account/aoai-a/deployments/chat#delete",
        "Account/aoai-a#delete",
        "Account/aoai-a#purge",
        "Account/aoai-a#create",
    ]
    reports = await azure.converge(wanted)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert azure.resource(account_id(azure, "aoai-a"))["location"] == "eastus2"
    assert not azure.sim.world.graves
    assert await azure.self_inflicted() == {"409": 0, "429": 0}


@pytest.mark.parametrize("missing", ["replace", "purge"])
async def test_a_replace_needs_both_its_permissions(azure: Stage, missing: str) -> None:
    await settled(azure)
    allow = [word for word in ("replace", "purge", "delete") if word != missing]
    plan = await azure.dry_run(azure.load(documents({"allow": allow}, location="eastus2")))
    assert plan.steps == ()
    assert missing in next(each.permit for each in plan.decisions if str(each.ref) == "Account/aoai-a")


async def test_another_deployment_type_is_a_replace_of_the_deployment_alone(azure: Stage) -> None:
    await settled(azure, deployments=[deployment("chat"), deployment("other")])
    wanted = azure.load(documents(deployments=[deployment("chat", sku="Standard"), deployment("other")]))
    assert (await azure.converge(wanted))[-1].plan.converged
    assert [(each["method"], each["path"].rpartition("/")[2]) for each in await azure.writes()] == [
        ("DELETE", "chat"),
        ("PUT", "chat"),
    ]


async def buried(azure: Stage, policy: str, **changes: object) -> Fleet:
    """An account of ours that somebody deleted, and a fleet that wants it (perhaps another one) by that policy."""
    await settled(azure, **FIREWALL, deployments=[deployment("chat")])
    await azure.mutate("DELETE", account_id(azure, "aoai-a"))
    return azure.load(
        documents({"softDeleted": policy}, **{**FIREWALL, **changes}, deployments=[deployment("chat", 12)])
    )


async def test_a_soft_deleted_account_is_restored_with_all_it_had(azure: Stage) -> None:
    fleet = await buried(azure, "restore", tags={"team": "b"})
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert [each.action for each in reports[0].plan.decisions if each.action] == [Action.RESTORE, Action.CREATE]
    assert azure.resource(account_id(azure, "aoai-a"))["tags"]["team"] == "b"
    assert azure.resource(account_id(azure, "aoai-a").child("deployments", "chat"))["sku"]["capacity"] == 12


@pytest.mark.parametrize("kind", ["cut_after", "applied_504", "cut_before"])
async def test_a_restore_whose_answer_is_lost_is_not_sent_over_the_restored_account(azure: Stage, kind: str) -> None:
    """A second PUT would meet a live account and replace everything on it, its closed doors included."""
    fleet = await buried(azure, "restore")
    await azure.fault(kind=kind, match={"method": "PUT", "path": "/accounts/aoai-a$"})
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    sent = [each for each in await azure.writes() if each["path"].endswith("/accounts/aoai-a") and each["mutated"]]
    assert [each["method"] for each in sent] == ["PUT"]
    properties = azure.resource(account_id(azure, "aoai-a"))["properties"]
    assert properties["disableLocalAuth"] is True
    assert properties["networkAcls"]["defaultAction"] == "Deny"


async def test_a_soft_deleted_account_is_purged_and_made_again(azure: Stage) -> None:
    fleet = await buried(azure, "purge")
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert [(each["method"], each["status"]) for each in await azure.writes()][:2] == [("DELETE", 202), ("PUT", 201)]
    assert not azure.sim.world.graves


@pytest.mark.parametrize("kind", ["cut_after", "applied_504", "cut_before"])
async def test_a_purge_whose_answer_is_lost_is_purged_once(azure: Stage, kind: str) -> None:
    fleet = await buried(azure, "purge")
    await azure.fault(kind=kind, match={"method": "DELETE", "path": "/deletedAccounts/"})
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert not azure.sim.world.graves


@pytest.mark.parametrize("kind", ["cut_after", "applied_504", "cut_before"])
@pytest.mark.parametrize("path", ["/accounts/aoai-a$", "/deployments/chat$", "/raiPolicies/strict$"])
async def test_a_delete_whose_answer_is_lost_is_deleted_once(azure: Stage, kind: str, path: str) -> None:
    strict = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}
    fleet: Document = {
        "prune": {"accounts": True, "deployments": True, "raiPolicies": True},
        "allowEmpty": True,
    }
    await settled(azure, fleet=fleet, raiPolicies=[strict], deployments=[deployment("chat", raiPolicyName="strict")])
    left = [] if "accounts" in path else [account_document("aoai-a")]
    wanted = azure.load([fleet_document("law", **fleet), group_document(), *left])
    await azure.fault(kind=kind, match={"method": "DELETE", "path": path})
    reports = await azure.converge(wanted)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert {id.key for id in wanted.desired} == set(azure.resources())


async def test_children_go_before_the_account_and_the_filter_after_its_deployment(azure: Stage) -> None:
    strict = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}
    fleet: Document = {"prune": {"deployments": True, "raiPolicies": True}}
    await settled(azure, fleet=fleet, raiPolicies=[strict], deployments=[deployment("chat", raiPolicyName="strict")])
    wanted = azure.load(documents(fleet))
    reports = await azure.converge(wanted)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert len(reports) <= 3
    assert [each["path"].rpartition("/")[2] for each in await azure.writes()] == ["chat", "strict"]


async def test_adopting_an_account_that_fits_writes_our_tag_and_nothing_else(azure: Stage) -> None:
    id = account_id(azure, "aoai-a")
    await settled(azure, **FIREWALL, tags={"team": "a"}, deployments=[deployment("chat")])
    await azure.mutate("PATCH", id, {"tags": {"reconciler-fleet": None, "Theirs": "kept"}})
    before = azure.resources()
    refused = azure.load(documents(**FIREWALL, deployments=[deployment("chat")]))
    plan = await azure.dry_run(refused)
    assert plan.steps == ()
    assert "adopt" in next(each.permit for each in plan.decisions if str(each.ref) == "Account/aoai-a")
    permitted = account_document("aoai-a", {"adopt": True}, **FIREWALL, deployments=[deployment("chat")])
    reports = await azure.converge(azure.load([fleet_document(), group_document(), permitted]))
    assert reports[-1].plan.converged, told(reports[-1].plan)
    writes = await azure.writes()
    assert [(each["method"], each["path"].rpartition("/")[2]) for each in writes] == [("PATCH", "aoai-a")]
    assert azure.resource(id)["tags"] == {"team": "a", "Theirs": "kept", "reconciler-fleet": "law"}
    assert azure.resource(id)["properties"] == before[id.key]["properties"]


async def test_what_a_document_does_not_own_survives_every_write(azure: Stage) -> None:
    id = account_id(azure, "aoai-a")
    chat = id.child("deployments", "chat")
    await settled(azure, **FIREWALL, deployments=[deployment("chat")])
    theirs: Document = {
        "tags": {"Theirs": "kept"},
        "identity": {"type": "SystemAssigned"},
        "properties": {
            "restrictOutboundNetworkAccess": True,
            "networkAcls": {"bypass": "None"},
        },
    }
    await azure.mutate("PATCH", id, theirs)
    await azure.mutate(
        "PATCH", chat, {"properties": {"versionUpgradeOption": "NoAutoUpgrade"}, "tags": {"Theirs": "1"}}
    )
    firewall = {"defaultAction": "Deny", "ipRules": ["198.51.100.7"]}
    changes = {**FIREWALL, "networkAcls": firewall, "tags": {"team": "b"}}
    wanted = azure.load(documents(**changes, deployments=[deployment("chat", 20)]))
    reports = await azure.converge(wanted)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    live = azure.resource(id)
    assert live["tags"] == {"reconciler-fleet": "law", "Theirs": "kept", "team": "b"}
    assert live["identity"]["type"] == "SystemAssigned"
    assert live["properties"]["restrictOutboundNetworkAccess"] is True
    assert live["properties"]["networkAcls"]["bypass"] == "None"
    assert live["properties"]["networkAcls"]["virtualNetworkRules"] == []  # a firewall is declared whole
    assert azure.resource(chat)["properties"]["versionUpgradeOption"] == "NoAutoUpgrade"
    assert azure.resource(chat)["tags"] == {"Theirs": "1"}
