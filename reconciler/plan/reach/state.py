"""Resources as they are, and as they would be after some of the writes of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from reconciler.kinds.base import ResourceType, compose
from reconciler.kinds.catalog import type_of
from reconciler.model.ids import ArmId
from reconciler.model.plan import Step, Verb
from reconciler.model.wire import Json, JsonObject, Maybe


class State:
    """The bodies of resources by id; None for one that is not there. `moved` are those that differ from `base`."""

    def __init__(self, base: Mapping[ArmId, JsonObject], moved: Mapping[ArmId, JsonObject | None] | None = None):
        self._base = base
        self._moved = moved or {}

    def get(self, id: ArmId) -> JsonObject | None:
        return self._moved[id] if id in self._moved else self._base.get(id)

    def after(self, moved: Mapping[ArmId, JsonObject | None]) -> State:
        return State(self._base, {**self._moved, **moved})

    def __iter__(self) -> Iterator[ArmId]:
        yield from (id for id in self._base if self.get(id) is not None)
        yield from (id for id, wire in self._moved.items() if wire is not None and id not in self._base)


class Versions:
    """Every body that a resource has or will have while a plan runs: the live one, then one for each write.

    `withheld` are those whose document wants something that this plan does not do: their one stage is never reached.
    `reached` is what the plan comes to, `final` what the documents want. How those `unseen` are now nobody knows.
    """

    def __init__(
        self,
        before: Mapping[ArmId, JsonObject],
        stages: Mapping[ArmId, tuple[JsonObject | None, ...]],
        withheld: Mapping[ArmId, JsonObject | None] | None = None,
        unseen: frozenset[ArmId] = frozenset(),
    ):
        self.before = State(before)
        self.unseen = unseen
        self.withheld = frozenset(withheld or {})
        self.stages = {**stages, **{id: (wire,) for id, wire in (withheld or {}).items()}}
        self.reached = self.before.after({id: wires[-1] for id, wires in stages.items()})
        self.final = self.before.after({id: wires[-1] for id, wires in self.stages.items()})

    def look(self, id: ArmId, state: State) -> tuple[JsonObject | None, bool]:
        """A resource in a state, and whether that is only what is declared of one that nobody could see."""
        wire = state.get(id)
        return (self.stages[id][-1], True) if wire is None and id in self.unseen else (wire, False)

    def of(self, id: ArmId) -> tuple[JsonObject, ...]:
        wires = (self.before.get(id), *self.stages.get(id, ()))
        return tuple(wire for wire in wires if wire is not None)

    def at(self, id: ArmId, position: int) -> JsonObject | None:
        """The body after so many of the writes of a resource."""
        return self.before.get(id) if position == 0 else self.stages[id][position - 1]

    def __iter__(self) -> Iterator[ArmId]:
        yield from self.before
        yield from (id for id in self.stages if self.before.get(id) is None)


def run_steps(
    before: JsonObject | None, steps: Iterable[Step], deleted: JsonObject | None = None
) -> tuple[JsonObject | None, ...]:
    """What becomes of a resource by each of its steps, as far as documents and fields can tell; `deleted` is what a
    restore would bring back."""
    wires: list[JsonObject | None] = []
    wire = before
    for step in steps:
        wire = deleted if step.verb is Verb.RESTORE else _run(wire, step)
        wires.append(wire)
    return tuple(wires)


def _run(wire: JsonObject | None, step: Step) -> JsonObject | None:
    if step.verb in (Verb.DELETE, Verb.PURGE):
        return None
    type_ = type_of(step.id.type)
    assert type_ is not None, step.id.type
    return compose(type_, step.fields, None) if wire is None else overlay(type_, wire, step.fields)


def overlay(type_: ResourceType, wire: JsonObject, fields: Mapping[str, Json]) -> JsonObject:
    """`wire` saying what `fields` want, all else as it is."""
    for path, value in fields.items():
        lens = type_.lens(path)
        if not lens.holds(wire, value):
            wire = lens.write(wire, value)
    return wire


@lru_cache(maxsize=65536)
def _parse(text: str) -> ArmId | None:
    try:
        return ArmId.parse(text)
    except ValueError:
        return None


def read_id(value: Maybe) -> ArmId | None:
    """The id that a body names; None for what is none."""
    return _parse(value) if isinstance(value, str) and value else None
