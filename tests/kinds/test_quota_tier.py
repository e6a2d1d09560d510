"""The quota tier of a subscription: what a Fleet wants of it, what is told about it, and what is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.cloud.gateway import _names
from reconciler.desired import load_estate
from reconciler.kinds.base import compose_patch
from reconciler.kinds.quota_tier import TYPE, tell_tier, tier_of
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.plan import Action, DecisionState, Plan, Verb
from reconciler.model.resource import Desired, Fleet
from reconciler.plan import make_plan
from reconciler.report.document import Envelope
from reconciler.report.paint import Style
from reconciler.report.quota import Filter, render_quota, render_quota_json, render_quota_markdown
from tests.desired.trees import FLEET, SUBSCRIPTION, plant
from tests.support.builders import PlainAzure, decided, live_of

ONCE, NEVER = "OnceUpgradeIsAvailable", "NoAutoUpgrade"
TIER = tier_of(SUBSCRIPTION)


def asking(quota: str, name: str = "prod") -> str:
    """A Fleet with the inside of a flow mapping as its quota."""
    return FLEET.replace("name: prod", f"name: {name}").replace("location:", f"quota: {{{quota}}}, location:")


def wire(policy: str = ONCE, **more: Any) -> dict[str, Any]:
    return {"id": str(TIER), "properties": {"currentTierName": "Tier-1", "tierUpgradePolicy": policy, **more}}


def fleet_of(root: Path, quota: str = f"tierUpgrade: {NEVER}") -> Fleet:
    estate = load_estate([plant(root, {"fleet.yaml": asking(quota)})], {})
    assert estate.findings == ()
    return estate.fleets[0]


def planned(fleet: Fleet, live: dict[str, Any] | None) -> Plan:
    snapshot = PlainAzure().snapshot()
    return make_plan(fleet, replace(snapshot, live={TIER: live_of(TIER, live)} if live else {}))


def test_a_fleet_wants_the_one_tier_of_its_subscription(tmp_path: Path) -> None:
    wanted = fleet_of(tmp_path).desired[TIER]
    assert str(TIER) == f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.CognitiveServices/quotaTiers/default"
    assert ArmId.parse(str(TIER)) == TIER
    assert (wanted.fields, wanted.ref) == (
        {"tierUpgradePolicy": NEVER},
        Ref(kind="Fleet", name="prod/quotaTiers/default"),
    )
    assert wanted.needs == ()
    line = asking(f"tierUpgrade: {NEVER}").splitlines()[wanted.origin.line - 1]
    assert line[wanted.origin.column - 1 :].startswith(NEVER)


def test_a_fleet_that_says_nothing_wants_nothing(tmp_path: Path) -> None:
    estate = load_estate([plant(tmp_path, {"fleet.yaml": FLEET})], {})
    assert estate.fleets[0].desired == {}


@pytest.mark.parametrize(
    ("quota", "message", "hint"),
    [
        ("tierUpgrade: Never", "quota.tierUpgrade cannot be 'Never'", f"write {ONCE} or {NEVER}"),
        (f"tierUpgrade: {ONCE.lower()}", f"cannot be '{ONCE.lower()}'", f"did you mean {ONCE}?"),
        ("policy: observe", "quota.tierUpgrade is missing", f"`tierUpgrade: {ONCE} or {NEVER}`"),
        (f"tierUpgrade: {ONCE}, policy: detach", "quota.policy cannot be 'detach'", "write manage or observe"),
        (f"tierUpgrade: {ONCE}, limit: 5", "unknown field limit in quota", "known fields: tierUpgrade, policy"),
    ],
)
def test_a_mistake_is_told_with_what_would_be_right(tmp_path: Path, quota: str, message: str, hint: str) -> None:
    (finding,) = load_estate([plant(tmp_path, {"fleet.yaml": asking(quota)})], {}).findings
    assert message in finding.message
    assert hint in finding.hint


def test_fleets_that_contradict_each_other_about_one_subscription_are_told_and_leave_it_alone(tmp_path: Path) -> None:
    files = {
        "a/fleet.yaml": asking(f"tierUpgrade: {ONCE}", "a"),
        "b/fleet.yaml": asking(f"tierUpgrade: {NEVER}", "b"),
        "c/fleet.yaml": asking(f"tierUpgrade: {ONCE}", "c"),
    }
    estate = load_estate([plant(tmp_path, files)], {})
    (finding,) = estate.findings
    assert finding.code == "two_tiers"
    assert finding.message == f"quota.tierUpgrade is {NEVER}, and {ONCE} in Fleet a of the same subscription"
    assert finding.hint.startswith(f"the other one is at {tmp_path}/a/fleet.yaml:4:")
    assert finding.hint.endswith("; a subscription has one tier, so say the same, or say it once")
    assert finding.origin is not None
    assert finding.origin.file.endswith("b/fleet.yaml")
    assert [(fleet.desired, fleet.complete) for fleet in estate.fleets] == [({}, False)] * 3


def test_fleets_that_say_the_same_are_right_and_so_are_other_subscriptions(tmp_path: Path) -> None:
    other = asking(f"tierUpgrade: {NEVER}", "c").replace("00000001", "00000002")
    files = {f"{name}/fleet.yaml": asking(f"tierUpgrade: {ONCE}", name) for name in "ab"} | {"c/fleet.yaml": other}
    estate = load_estate([plant(tmp_path, files)], {})
    assert estate.findings == ()
    assert [len(fleet.desired) for fleet in estate.fleets] == [1, 1, 1]


def test_another_policy_is_patched_and_nothing_else_is_sent(tmp_path: Path) -> None:
    plan = planned(fleet_of(tmp_path), wire(ONCE))
    decision = decided(plan, TIER)
    assert decision.action is Action.UPDATE
    assert decision.reason.startswith("differs from its document; tier Tier-1; ")
    (step,) = plan.steps
    assert step.verb is Verb.PATCH
    assert compose_patch(TYPE, step.fields, wire(ONCE)) == {"properties": {"tierUpgradePolicy": NEVER}}


def test_the_same_policy_in_other_letters_is_as_declared(tmp_path: Path) -> None:
    decision = decided(planned(fleet_of(tmp_path), wire(NEVER.upper())), TIER)
    assert (decision.state, decision.reason) == (DecisionState.IN_SYNC, "as declared; tier Tier-1")


def test_a_subscription_without_a_tier_is_given_one_and_no_group_is_missed(tmp_path: Path) -> None:
    plan = planned(fleet_of(tmp_path), None)
    assert decided(plan, TIER).action is Action.CREATE
    assert [step.verb for step in plan.steps] == [Verb.PUT]


def test_what_is_only_observed_is_never_written(tmp_path: Path) -> None:
    fleet = fleet_of(tmp_path, f"tierUpgrade: {NEVER}, policy: observe")
    assert fleet.desired[TIER].lifecycle.policy is ManagePolicy.OBSERVE
    plan = planned(fleet, wire(ONCE))
    assert (decided(plan, TIER).state, plan.steps) == (DecisionState.DRIFTED, ())


def test_a_tier_that_nobody_speaks_of_is_nobodys(tmp_path: Path) -> None:
    (fleet,) = load_estate([plant(tmp_path, {"fleet.yaml": FLEET})], {}).fleets
    assert planned(fleet, wire()).decisions == ()


def about(**eligibility: str) -> dict[str, Any]:
    return {"tierUpgradeEligibilityInfo": eligibility}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "tier Tier-1"),
        ({"assignmentDate": "2025-10-01T00:00:00Z"}, "tier Tier-1 since 2025-10-01"),
        ({"currentTierName": None}, "tier unknown"),
        (
            about(
                nextTierName="Tier-2",
                upgradeAvailabilityStatus="Available",
                upgradeApplicableDate="2025-12-24T00:00:00Z",
            ),
            "tier Tier-1; Tier-2 is available from 2025-12-24 on",
        ),
        (about(upgradeAvailabilityStatus="available"), "tier Tier-1; a higher one is available"),
        (
            about(
                nextTierName="Tier-2",
                upgradeAvailabilityStatus="NotAvailable",
                upgradeUnavailabilityReason="Too little is used.",
            ),
            "tier Tier-1; Tier-2 is not available: Too little is used",
        ),
        (about(upgradeAvailabilityStatus="NotAvailable"), "tier Tier-1; a higher one is not available"),
        (about(nextTierName="Tier-2"), "tier Tier-1"),
    ],
)
def test_which_tier_it_is_and_what_follows_is_told(more: dict[str, Any], said: str) -> None:
    assert tell_tier(wire(**more)) == said


def test_what_lies_in_no_group_has_no_keyword_for_one() -> None:
    assert _names(TYPE.binding, TIER) == {"default": "default"}


def test_the_quota_table_tells_the_tier_that_the_fleet_speaks_of(tmp_path: Path) -> None:
    plan = planned(fleet_of(tmp_path), wire(NEVER, assignmentDate="2025-10-01T00:00:00Z"))
    told = "quota tier: as declared; tier Tier-1 since 2025-10-01"
    assert f"\n  {told}\n" in render_quota([plan], Filter(), Style())
    assert f"- `{told}`" in render_quota_markdown([plan], Filter())
    assert '"reason": "as declared; tier Tier-1 since 2025-10-01"' in render_quota_json(
        [plan], Filter(), Envelope(exit_code=0)
    )
    other = render_quota([planned(fleet_of(tmp_path), wire(ONCE))], Filter(), Style(width=200))
    assert f"\n  quota tier: tierUpgradePolicy {ONCE} -> {NEVER}; differs from its document; tier Tier-1" in other
    silent = Plan(fleet="prod", decisions=(), steps=())
    assert '"tier": null' in render_quota_json([silent], Filter(), Envelope(exit_code=0))


def test_a_desired_tier_lies_in_no_group(tmp_path: Path) -> None:
    wanted: Desired = fleet_of(tmp_path).desired[TIER]
    assert (wanted.id.group, wanted.id.lane, wanted.id.parent) == ("", TIER.key, ArmId(subscription=SUBSCRIPTION))
