"""No write leaves an account more open than it was before or is meant to be; it is born closed and opened last.

Reach is worked out here from Azure's JSON alone, with nothing of the product: who can call, as a set of callers.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from hypothesis import example, given, settings

from reconciler.model.plan import Step, Verb
from reconciler.model.resource import OWNER_TAG, Cap, Fleet
from reconciler.model.wire import JsonObject
from reconciler.plan import make_plan
from tests.plan.fleets import accounts, postures
from tests.support.builders import (
    EVERY_WORD,
    FLEET,
    PlainAzure,
    Spec,
    account_id,
    account_spec,
    declare_account,
    fleet_of,
    group_id,
    open_spec,
)

CALLERS = ("203.0.113.9", "203.0.113.77", "198.51.100.7", "192.0.2.5", "8.8.8.8")


def reach(wire: Any) -> set[tuple[str, str]]:
    """Every (caller, way in) that Azure would let through; a way in is a key or an Entra token."""
    properties = wire.get("properties", {})
    if properties.get("publicNetworkAccess", "Enabled") != "Enabled":
        return set()
    acls = properties.get("networkAcls") or {}
    callers = set()
    if acls.get("defaultAction", "Allow") == "Allow":
        callers |= {*CALLERS, "anybody", "azure"}
    for rule in acls.get("ipRules", []):
        callers |= {each for each in CALLERS if ip_network(each).subnet_of(ip_network(rule["value"]))}  # type: ignore[arg-type]
    callers |= {rule["id"].lower() for rule in acls.get("virtualNetworkRules", [])}
    if acls.get("bypass") == "AzureServices":
        callers.add("azure")
    keys = set() if properties.get("disableLocalAuth") else {"key"}
    return {(caller, way) for caller in callers for way in ("token", *keys)}


def walk(before: Spec | None, after: Spec, failed: bool = False) -> list[tuple[Step, set[tuple[str, str]]]]:
    """Every write from one posture to the other, with the reach after it; checks that each stays within bounds."""
    azure = world()
    start: set[tuple[str, str]] = set()
    if before is not None:
        azure.apply(make_plan(wanting(before), azure.snapshot()))
        start = reach(azure.live[account_id()])
    if failed:
        azure.edit(account_id(), "properties.provisioningState", "Failed")
    plan = make_plan(wanting(after), azure.snapshot())
    anew = any(step.verb is Verb.DELETE and step.id == account_id() for step in plan.steps)
    end = reach_of(after if anew or before is None else inherit(before, after))
    seen: list[tuple[Step, set[tuple[str, str]]]] = []

    def look(step: Step, _body: JsonObject | None) -> None:
        now = reach(azure.live[account_id()]) if account_id() in azure.live else set()
        assert now <= start | end, (step.name, sorted(now - start - end))
        seen.append((step, now))

    azure.after_write = look
    azure.apply(plan)
    return seen


def world() -> PlainAzure:
    azure = PlainAzure()
    azure.add(group_id(), {"location": "swedencentral", "tags": {OWNER_TAG: FLEET}})
    return azure


def wanting(spec: Spec) -> Fleet:
    return fleet_of(declare_account(spec=spec), allow=EVERY_WORD, deletes=Cap(count=99, percent=100))


def inherit(before: Spec, after: Spec) -> Spec:
    """What a document leaves out stays as it is, so it is part of what is meant."""
    acls = {**before.get("networkAcls", {}), **after.get("networkAcls", {})}
    named = {"networkAcls": acls, "customSubDomainName": "one"} if acls else {}
    posture = {key: value for key, value in before.items() if key not in ("identity", "raiPolicies", "deployments")}
    return {**posture, **after, **named}


def reach_of(spec: Spec) -> set[tuple[str, str]]:
    azure = world()
    azure.apply(make_plan(wanting(spec), azure.snapshot()))
    return reach(azure.live[account_id()])


@settings(max_examples=1000, deadline=None)
@given(before=postures(), after=postures())
@example(before=open_spec(), after=account_spec())
def test_no_write_on_the_way_is_more_open_than_both_ends(before: Spec, after: Spec) -> None:
    walk(before, after)


@settings(max_examples=300, deadline=None)
@given(before=postures(), after=postures())
def test_neither_is_a_repair(before: Spec, after: Spec) -> None:
    for step, _ in walk(before, after, failed=True)[:1]:
        assert step.name.endswith("repair") or step.name.endswith("delete")


@settings(max_examples=60, deadline=None)
@given(before=accounts(), after=accounts())
def test_neither_is_a_replacement(before: Spec, after: Spec) -> None:
    walk(before, after)


@settings(max_examples=100, deadline=None)
@given(spec=accounts())
def test_an_account_is_born_closed_and_opened_by_its_last_write(spec: Spec) -> None:
    steps = [(step, now) for step, now in walk(None, spec) if step.id == account_id()]
    assert steps[0][0].fields["publicNetworkAccess"] == "Disabled"
    assert steps[0][1] == set()
    opened = spec["publicNetworkAccess"] == "Enabled"
    assert len(steps) == (2 if opened else 1)
    assert not opened or dict(steps[1][0].fields) == {"publicNetworkAccess": "Enabled"}
