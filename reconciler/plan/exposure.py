"""Restrict first, allow last: how a resource is born closed, and what a restore may bring back."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.kinds.base import ResourceType
from reconciler.model.plan import FieldChange, Phase
from reconciler.model.wire import Json


def close_birth(type_: ResourceType, fields: Mapping[str, Json]) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    """`fields` as the first PUT may say them, and what is left to be allowed once everything else stands."""
    closed = {path: value for path, value in type_.born.items() if fields.get(path, value) != value}
    return {**fields, **type_.born}, {path: fields[path] for path in closed}


def widens(type_: ResourceType, change: FieldChange) -> bool:
    """Whether going back to the old value would expose more than the new one does."""
    return type_.lens(change.path).field.opens(change.after, change.before)


def phase_of(changes: tuple[FieldChange, ...]) -> Phase:
    """When an update runs beside others: what closes first, what gives back next, what opens last."""
    if any(change.closes for change in changes):
        return Phase.TIGHTEN
    if any(change.opens for change in changes):
        return Phase.LOOSEN
    return Phase.RELEASE if any(change.cuts for change in changes) else Phase.BUILD
