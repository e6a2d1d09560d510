"""Quota tiers: the policy that a subscription sets, and limits that rise by themselves."""

from datetime import UTC, datetime
from typing import Any

import pytest

from armsim.clock import EPOCH
from tests.armsim.asking import CS, SUB, Asker
from tests.armsim.test_deployments import usage

TIER = f"{CS}/quotaTiers/default"
POOL = "OpenAI.GlobalStandard.gpt-4o"
NEXT: dict[str, Any] = {
    "subscriptionId": SUB,
    "nextLimits": {"*": {POOL: 1000}, "West Europe": {"OpenAI.GlobalStandard.new-model": 7, "AccountCount": 1}},
}
NEVER, ONCE = {"tierUpgradePolicy": "NoAutoUpgrade"}, {"tierUpgradePolicy": "OnceUpgradeIsAvailable"}


def eligible(seconds: float, status: str = "Available") -> dict[str, Any]:
    date = datetime.fromtimestamp(EPOCH + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    info = {"nextTierName": "Tier-2", "upgradeAvailabilityStatus": status, "upgradeApplicableDate": date}
    return {**NEXT, "tierUpgradeEligibilityInfo": info}


async def properties(asker: Asker) -> dict[str, Any]:
    body = (await asker.get(TIER)).body
    assert (body["id"], body["name"], body["type"]) == (TIER, "default", "Microsoft.CognitiveServices/quotaTiers")
    assert (await asker.get(f"{CS}/quotaTiers")).body["value"] == [body]
    return dict(body["properties"])


async def test_a_subscription_rises_by_itself_unless_it_says_otherwise(asker: Asker) -> None:
    told = await properties(asker)
    assert told["currentTierName"] == "Tier-1"
    assert told["tierUpgradePolicy"] == "OnceUpgradeIsAvailable"
    assert told["tierUpgradeEligibilityInfo"]["upgradeAvailabilityStatus"] == "NotAvailable"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
async def test_only_the_policy_can_be_written(asker: Asker, method: str) -> None:
    before = await properties(asker)
    sent = {"properties": {"tierUpgradePolicy": "noautoupgrade", "currentTierName": "Tier-6"}}
    answer = await asker.ask(method, TIER, sent)
    assert answer.status == 200
    assert answer.body["properties"] == await properties(asker) == {**before, **NEVER}
    assert (await asker.ask(method, TIER, {})).body["properties"] == {**before, **NEVER}
    refused = await asker.ask(method, TIER, {"properties": {"tierUpgradePolicy": "Perhaps"}})
    assert (refused.status, "OnceUpgradeIsAvailable, NoAutoUpgrade; it is 'Perhaps'" in refused.message) == (400, True)
    assert (await asker.ask(method, TIER, {"properties": []})).status == 400


async def test_limits_rise_at_the_date_when_the_policy_lets_them(slow: Asker) -> None:
    await slow.seed(quotaTiers=[eligible(600)])
    await slow.advance(600 + 59)
    assert (await usage(slow, POOL))[1] == 450
    await slow.advance(2)
    for location in ("westeurope", "eastus"):
        assert (await usage(slow, POOL, location))[1] == 1000
    assert (await usage(slow, "OpenAI.GlobalStandard.new-model"))[1] == 7
    told = await properties(slow)
    assert told["currentTierName"] == "Tier-2"
    assert told["assignmentDate"] == "2025-10-28T14:11:00Z"
    assert told["tierUpgradeEligibilityInfo"]["upgradeAvailabilityStatus"] == "NotAvailable"


async def test_an_upgrade_never_lowers_a_limit(slow: Asker) -> None:
    await slow.seed(limits={SUB: {"westeurope": {POOL: 2000}}}, quotaTiers=[eligible(0)])
    await slow.advance(61)
    assert (await usage(slow, POOL))[1] == 2000
    assert (await usage(slow, "AccountCount"))[1] == 200


async def test_a_subscription_that_opted_out_rises_when_it_opts_in_again(slow: Asker) -> None:
    await slow.patch(TIER, {"properties": NEVER})
    await slow.seed(quotaTiers=[eligible(600)])
    await slow.advance(1200)
    assert (await usage(slow, POOL))[1] == 450
    assert (await properties(slow))["tierUpgradeEligibilityInfo"]["upgradeAvailabilityStatus"] == "Available"
    await slow.patch(TIER, {"properties": ONCE})
    saved = await slow.sim.control("GET", "/_sim/state")
    await slow.sim.control("PUT", "/_sim/state", saved)
    assert (await usage(slow, POOL))[1] == 450
    await slow.advance(61)
    assert (await usage(slow, POOL))[1] == 1000


async def test_a_subscription_that_opts_out_in_time_does_not_rise(slow: Asker) -> None:
    await slow.seed(quotaTiers=[eligible(600)])
    await slow.patch(TIER, {"properties": NEVER})
    await slow.advance(1200)
    assert (await usage(slow, POOL))[1] == 450


async def test_a_date_that_is_put_off_holds(slow: Asker) -> None:
    await slow.seed(quotaTiers=[eligible(600)])
    await slow.seed(quotaTiers=[eligible(1200)])
    await slow.advance(700)
    assert (await usage(slow, POOL))[1] == 450
    await slow.advance(700)
    assert (await usage(slow, POOL))[1] == 1000


async def test_what_is_not_available_does_not_come(slow: Asker) -> None:
    await slow.seed(quotaTiers=[eligible(0, "NotAvailable")])
    await slow.advance(1200)
    assert (await usage(slow, POOL))[1] == 450


async def test_limits_change_while_things_run(asker: Asker) -> None:
    await asker.account()
    await asker.deploy(capacity=30)
    await asker.seed(limits={SUB: {"West Europe": {POOL: 20}}})
    assert await usage(asker, POOL) == (30, 20)
    assert (await asker.deploy(capacity=30)).status == 200
    assert (await asker.deploy(capacity=31)).code == "InsufficientQuota"
    assert (await asker.deploy(capacity=25)).status == 200
    await asker.seed(limits={SUB: {"westeurope": {POOL: 40}}})
    assert (await asker.deploy(capacity=40)).status == 200
    await asker.seed(limits={SUB: {"westeurope": {POOL: None}}})
    assert await usage(asker, POOL) == (40, 450)


async def test_a_tier_that_makes_no_sense_is_refused(asker: Asker) -> None:
    for tier, words in (
        ({**NEXT, "tier": 1}, "no such part of a tier: tier"),
        ({**NEXT, "nextLimits": {"*": {POOL: "many"}}}, "many"),
        ({**NEXT, "tierUpgradePolicy": "Perhaps"}, "it is 'Perhaps'"),
    ):
        answer = await asker.raw("POST", f"{asker.sim.endpoint}/_sim/seed", json={"quotaTiers": [tier]})
        assert answer.status == 400
        assert words in answer.body["error"]
