"""Law: what one plan can put right it says and does at once, also where one of it waits for another."""

from __future__ import annotations

import asyncio

import pytest

from reconciler.cli.consent import agree_to
from reconciler.model.plan import Action, DecisionState, Plan, Step
from reconciler.model.resource import OWNER_TAG
from tests.laws.stage import Stage, account_id, told
from tests.laws.test_endpoints import STATE, account, connection_of, decided, endpoint_id, named, network, settled, zone

pytestmark = pytest.mark.virtual_time

EVE = "eve@example.com"
LAG = 121.0
GROUP, CONNECTION = "PrivateEndpoint/pe/dnsZoneGroup", "Account/aoai/privateEndpointConnections/pe"


def step_of(plan: Plan, ref: str) -> Step:
    (found,) = [each for each in plan.steps if each.name.startswith(f"{ref}#")]
    return found


async def test_what_waits_for_an_approval_of_the_same_plan_is_part_of_that_plan(azure: Stage) -> None:
    fleet = await settled(azure, network(), zone(), account(), named())
    rejected = {"properties": {STATE: {"status": "Rejected", "description": "no"}}}
    await azure.mutate("PATCH", connection_of(azure), rejected, EVE)
    await azure.mutate("DELETE", endpoint_id(azure).child("privateDnsZoneGroups", "default"), actor=EVE)
    await asyncio.sleep(LAG)
    plan = await azure.dry_run(fleet)
    group, endpoint = decided(plan, GROUP), decided(plan, "PrivateEndpoint/pe")
    assert (group.state, group.action) == (DecisionState.ACT, Action.CREATE)
    assert f"deleted by {EVE}" in group.reason
    assert endpoint.state is DecisionState.IN_PROGRESS
    assert endpoint.reason == f"held up by {CONNECTION}, which this plan puts right"
    assert step_of(plan, CONNECTION).name in step_of(plan, GROUP).after
    reports = await azure.converge(fleet)
    assert all(agree_to(plan).exceeded_by(each.plan) == () for each in reports)
    assert reports[-1].plan.converged, told(reports[-1].plan)


async def test_what_nobody_puts_right_is_blocked_and_not_waited_for(azure: Stage) -> None:
    """The account has become somebody else's, so its connection is not ours to approve any more."""
    fleet = await settled(azure, network(), account(bare=True), named(), zone())
    await azure.mutate("PATCH", account_id(azure, "aoai"), {"tags": {OWNER_TAG: "others"}}, EVE)
    await azure.mutate("PATCH", connection_of(azure), {"properties": {STATE: {"status": "Rejected"}}}, EVE)
    await azure.mutate("DELETE", endpoint_id(azure).child("privateDnsZoneGroups", "default"), actor=EVE)
    plan = await azure.dry_run(fleet)
    endpoint = decided(plan, "PrivateEndpoint/pe")
    assert (endpoint.state, endpoint.code) == (DecisionState.BLOCKED, "rejected")
    assert not any(each.state is DecisionState.IN_PROGRESS for each in plan.decisions)
    assert len(await azure.converge(fleet)) < 4


async def test_what_waits_for_azure_says_what_will_be_done_and_who_deleted_it(azure: Stage) -> None:
    fleet = await settled(azure, network(), zone(), account(), named())
    await azure.mutate("DELETE", endpoint_id(azure).child("privateDnsZoneGroups", "default"), actor=EVE)
    await azure.mutate("PATCH", endpoint_id(azure), {"properties": {"provisioningState": "Updating"}}, EVE)
    await asyncio.sleep(LAG)
    plan = await azure.dry_run(fleet)
    group = decided(plan, GROUP)
    assert (group.state, group.action) == (DecisionState.IN_PROGRESS, Action.CREATE)
    assert group.reason.startswith("waits for PrivateEndpoint/pe: Azure is still working on it (Updating)")
    assert f"deleted by {EVE}" in group.reason
    await azure.mutate("PATCH", endpoint_id(azure), {"properties": {"provisioningState": "Succeeded"}}, EVE)
    later = await azure.dry_run(fleet)
    assert decided(later, GROUP).acts
    assert agree_to(plan).exceeded_by(later) == ()
