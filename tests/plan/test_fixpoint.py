"""Apply what a plan says and the next one is empty, from wherever it began and however Azure spells it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.kinds.catalog import type_of
from reconciler.model.plan import Verb
from reconciler.model.resource import OWNER_TAG, Cap
from reconciler.model.wire import Json
from reconciler.plan import make_plan
from tests.plan.fleets import accounts
from tests.support.builders import (
    ACCOUNTS,
    EVERY_WORD,
    FLEET,
    PlainAzure,
    Spec,
    decided,
    declare_account,
    declare_group,
    fleet_of,
    group_id,
    paths_of,
)

ROOM = Cap(count=99, percent=100)
EVERYTHING: dict[str, Any] = {
    "allow": EVERY_WORD,
    "deletes": ROOM,
    "prune": frozenset({f"{ACCOUNTS}/deployments".lower(), f"{ACCOUNTS}/raiPolicies".lower()}),
}


def twist(wire: Json) -> Json:
    """The same in the spelling that Azure may come back with: sets turned round, ids and places in other letters."""
    match wire:
        case dict():
            return {key: _twist_value(key, value) for key, value in reversed(wire.items())}
        case list():
            return [twist(each) for each in reversed(wire)]
        case _:
            return wire


def _twist_value(key: str, value: Json) -> Json:
    if key == "userAssignedIdentities" and isinstance(value, dict):
        return {id.upper(): {"clientId": "c"} for id in value}
    if key == "location":
        return {"swedencentral": "Sweden Central"}.get(str(value), str(value).upper())
    if key in ("customSubDomainName", "id"):
        return str(value).upper()
    if key == "type" and isinstance(value, str):
        return value.replace(", ", ",")
    if key == "capacity" and isinstance(value, int):
        return float(value)
    return twist(value)


def world() -> PlainAzure:
    azure = PlainAzure()
    azure.add(group_id(), {"location": "swedencentral", "tags": {OWNER_TAG: FLEET}})
    return azure


@settings(max_examples=100, deadline=None)
@given(before=accounts(), after=accounts())
def test_what_a_plan_did_needs_no_other_plan(before: Spec, after: Spec) -> None:
    azure = world()
    for spec in (before, after):
        fleet = fleet_of(declare_group(), declare_account(spec=spec), **EVERYTHING)
        plan = azure.converge(fleet)
        refused = {each.code for each in plan.decisions if each.code}
        assert refused <= {"not_removable"}
        if refused:
            return
        again = make_plan(fleet, azure.snapshot())
        assert again.steps == ()
        assert again.converged, [(str(each.ref), each.reason, paths_of(each)) for each in again.decisions]
        azure.live = {id: twist(wire) for id, wire in azure.live.items()}  # type: ignore[misc]
        again = make_plan(fleet, azure.snapshot())
        assert again.converged, [(str(each.ref), each.reason, paths_of(each)) for each in again.decisions]


@settings(max_examples=60, deadline=None)
@given(spec=accounts(), data=st.data())
def test_any_owned_field_that_somebody_changes_is_the_one_the_plan_puts_right(spec: Spec, data: st.DataObject) -> None:
    azure, fleet = world(), fleet_of(declare_group(), declare_account(spec=spec), **EVERYTHING)
    azure.converge(fleet)
    wanted = fleet.desired[data.draw(st.sampled_from(sorted(fleet.desired)))]
    path = data.draw(st.sampled_from(sorted(wanted.fields)))
    type_ = type_of(wanted.type)
    assert type_
    odd: Json = ["192.0.2.200"] if isinstance(wanted.fields[path], list) else "odd"
    azure.live[wanted.id] = type_.lens(path).write(azure.live[wanted.id], odd)
    plan = make_plan(fleet, azure.snapshot())
    assert path in paths_of(decided(plan, wanted.id))
    others = {step.id for step in plan.steps} - {wanted.id}
    replaces = any(step.verb is Verb.DELETE for step in plan.steps)
    assert not others or replaces
    if not replaces:
        assert paths_of(decided(plan, wanted.id)) == [path]


@settings(max_examples=60, deadline=None)
@given(spec=accounts(), name=st.sampled_from(["somethingNew", "endpoints", "dateCreated", "callRateLimit"]))
def test_what_nobody_declared_may_change_in_silence(spec: Spec, name: str) -> None:
    azure, fleet = world(), fleet_of(declare_group(), declare_account(spec=spec), **EVERYTHING)
    azure.converge(fleet)
    for id in azure.live:
        azure.edit(id, f"properties.{name}", {"theirs": [1]})
        azure.edit(id, "tags.theirs", "x")
        azure.edit(id, "systemData.lastModifiedBy", "mallory")
        azure.edit(id, "etag", "other")
    assert make_plan(fleet, azure.snapshot()).converged
