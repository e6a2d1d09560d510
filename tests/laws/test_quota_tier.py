"""Law: a subscription's quota tier is as its Fleet says, at one request a pass, and nobody's business otherwise."""

from __future__ import annotations

import pytest

from reconciler.kinds.quota_tier import TYPE, tier_of
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.resource import Scope
from tests.laws.stage import Document, Stage, fleet_document, group_document, told

pytestmark = pytest.mark.virtual_time

ONCE, NEVER = "OnceUpgradeIsAvailable", "NoAutoUpgrade"
GPT_4O = "OpenAI.GlobalStandard.gpt-4o"
# As a subscription that has grown: what the next tier brings comes by itself, unless somebody forbids it.
GROWN = {
    "currentTierName": "Tier-1",
    "assignmentDate": "2025-09-01T00:00:00Z",
    "tierUpgradePolicy": ONCE,
    "tierUpgradeEligibilityInfo": {
        "nextTierName": "Tier-2",
        "upgradeAvailabilityStatus": "Available",
        "upgradeApplicableDate": "2025-12-24T00:00:00Z",
    },
}


def documents(wanted: str = NEVER, **more: str) -> list[Document]:
    return [fleet_document(quota={"tierUpgrade": wanted, **more}), group_document()]


async def seed(azure: Stage, **tier: object) -> None:
    await azure.seed_world(quotaTiers=[{"subscriptionId": azure.sim.subscription_id, **tier}])


def judged(plan: Plan) -> Decision:
    (found,) = [each for each in plan.decisions if each.id.type == TYPE.arm_type]
    return found


def paths(requests: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(each["method"], each["path"]) for each in requests if "/quotaTiers" in each["path"]]


async def test_a_policy_that_somebody_changed_is_written_verified_and_then_silence(azure: Stage) -> None:
    fleet = azure.load(documents())
    await azure.converge(fleet)
    await seed(azure, **GROWN)
    decision = judged(await azure.dry_run(fleet))
    assert (decision.action, str(decision.ref)) == (Action.UPDATE, "Fleet/law/quotaTiers/default")
    assert [(each.path, each.before, each.after) for each in decision.changes] == [("tierUpgradePolicy", ONCE, NEVER)]
    assert "; tier Tier-1 since 2025-09-01; Tier-2 is available from 2025-12-24 on" in decision.reason
    await azure.forget()
    plan = (await azure.converge(fleet))[-1].plan
    assert [path for path in paths(await azure.requests()) if path[0] != "GET"] == [("PATCH", str(decision.id))]
    assert told(plan) == []
    assert judged(plan).reason.startswith("as declared; tier Tier-1 since 2025-09-01; Tier-2 is available")
    await azure.forget()
    await azure.converge(fleet)
    assert await azure.writes() == []


async def test_only_a_fleet_that_speaks_of_it_asks_and_it_costs_one_request(azure: Stage) -> None:
    await azure.converge(azure.load(documents()))
    silent = azure.load([fleet_document(), group_document()])
    await azure.forget()
    await azure.dry_run(silent)
    requests = len(await azure.requests())
    assert paths(await azure.requests()) == []
    await azure.forget()
    await azure.dry_run(azure.load(documents()))
    assert paths(await azure.requests()) == [("GET", str(tier_of(azure.sim.subscription_id)))]
    assert len(await azure.requests()) == requests + 1


async def test_what_is_only_observed_is_told_and_left_alone(azure: Stage) -> None:
    fleet = azure.load(documents(NEVER, policy="observe"))
    await azure.converge(fleet)
    await seed(azure, **GROWN)
    await azure.forget()
    plan = (await azure.converge(fleet))[-1].plan
    assert judged(plan).state is DecisionState.DRIFTED
    assert await azure.writes() == []


async def test_nothing_is_written_while_it_could_not_be_read(azure: Stage) -> None:
    fleet = azure.load(documents())
    await seed(azure, **GROWN)
    await azure.fault(kind="status", status=403, code="AuthorizationFailed", match={"path": "/quotaTiers"}, count=-1)
    await azure.converge(azure.load([fleet_document(), group_document()]))
    await azure.forget()
    plan = (await azure.converge(fleet))[-1].plan
    assert not plan.complete
    assert judged(plan).code == "unknown"
    assert await azure.writes() == []


async def test_a_tier_that_rises_by_itself_is_no_drift_and_its_limits_are_seen(azure: Stage) -> None:
    watch: Document = {
        "apiVersion": "reconciler/v1",
        "kind": "Quota",
        "metadata": {"name": "watch"},
        "spec": {"pools": [{"usage": GPT_4O, "limit": 900}]},
    }
    fleet = azure.load([*documents(ONCE), watch])
    await azure.converge(fleet)
    limits = {"swedencentral": {GPT_4O: 450}}
    await azure.seed_world(limits={azure.sim.subscription_id: limits})
    await seed(azure, **GROWN, nextLimits={"*": {GPT_4O: 900}})
    plan = await azure.dry_run(fleet)
    assert [each.state for each in plan.decisions if each.told_only] == [DecisionState.DRIFTED]
    await azure.clock.sleep(90 * 86_400.0)
    plan = await azure.dry_run(fleet)
    assert told(plan) == []
    assert "; tier Tier-2 since 2025-12-24" in judged(plan).reason


async def test_it_is_never_imported(azure: Stage) -> None:
    fleet = azure.load(documents())
    await azure.converge(fleet)
    await azure.forget()
    async with azure.world(fleet, read_only=True) as world:
        everything = Scope(subscription=fleet.subscription, fleet="", ids=(), everything=True)
        snapshot = await world.cloud.observe(everything)
    assert tier_of(fleet.subscription) not in snapshot.live
    assert paths(await azure.requests()) == []


async def test_who_may_not_write_it_is_told_before_anything_is_sent(azure: Stage) -> None:
    fleet = azure.load(documents())
    await azure.converge(fleet)
    await seed(azure, **GROWN)
    scope = f"/subscriptions/{azure.sim.subscription_id}"
    rows = [{"principal": "*", "scope": scope, "actions": ["*/read"], "notActions": []}]
    await azure.set(rights_lag=0.0)
    await azure.sim.control("PUT", "/_sim/rights", {"grants": rows})
    await azure.forget()
    decision = judged((await azure.converge(fleet))[-1].plan)
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "not_permitted_by_azure")
    assert "Microsoft.CognitiveServices/quotaTiers/write on subscription" in decision.reason
    assert await azure.writes() == []
