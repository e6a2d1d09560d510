"""Restrict first, allow last: how a resource is born closed, and what a restore may bring back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from reconciler.kinds.addresses import within_prefixes
from reconciler.kinds.base import ResourceType
from reconciler.model.plan import FieldChange, Phase
from reconciler.model.wire import Json, JsonObject


def close_birth(type_: ResourceType, fields: Mapping[str, Json]) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    """`fields` as the first PUT may say them, and what is left to be allowed once everything else stands."""
    closed = {path: value for path, value in type_.born.items() if fields.get(path, value) != value}
    return {**fields, **type_.born}, {path: fields[path] for path in closed}


def find_wider(type_: ResourceType, fields: Mapping[str, Json], wire: JsonObject) -> tuple[str, ...]:
    """The paths at which `wire` exposes more than `fields` do. What they do not say counts as Azure's default, and
    where there is none known, nothing can be said."""
    wider = []
    for each in type_.fields:
        wanted = fields.get(each.path, each.default)
        known = each.path in fields or each.default is not None
        if known and each.opens(wanted, type_.lens(each.path).read(wire)):
            wider.append(each.path)
    return tuple(wider)


def part_changes(changes: tuple[FieldChange, ...]) -> tuple[tuple[FieldChange, ...], tuple[FieldChange, ...]]:
    """The changes in two writes: one that opens nothing, and what is left after it."""
    first: list[FieldChange] = []
    second: list[FieldChange] = []
    for change in changes:
        if not change.opens:
            first.append(change)
        elif not change.closes or not (isinstance(change.before, list) and isinstance(change.after, list)):
            second.append(change)
        else:
            kept = _narrow(change.before, change.after)
            first.append(replace(change, after=kept, opens=False))
            second.append(replace(change, before=kept, closes=False))
    return tuple(first), tuple(second)


def _narrow(before: list[Json], after: list[Json]) -> list[Json]:
    """What both lists let through: an address of one that lies in a network of the other, and what is in both."""
    inner = [item for item in after if _lies_in(item, before)]
    return [*inner, *(item for item in before if item not in inner and _lies_in(item, after))]


def _lies_in(item: Json, others: list[Json]) -> bool:
    if item in others:
        return True
    return isinstance(item, str) and within_prefixes([item], [str(each) for each in others])


def phase_of(changes: tuple[FieldChange, ...]) -> Phase:
    """When an update runs beside others: what closes first, what gives back next, what opens last."""
    if any(change.closes for change in changes):
        return Phase.TIGHTEN
    if any(change.opens for change in changes):
        return Phase.LOOSEN
    return Phase.RELEASE if any(change.cuts for change in changes) else Phase.BUILD
