"""A demand put in order: how many units each slot may have by itself, and what is better than what."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

from reconciler.model.ids import ArmId
from reconciler.plan.placement.values import Demand, Group, Rooms, Slot
from reconciler.plan.quota import PoolKey

Units = tuple[int, ...]  # of each slot of a task, in its order


class Task:
    """A demand, its slots in order, and everything that limits them.

    `choices` are the units that each slot may have, none included, the least first. `share` is the most tokens that a
    region may have, `top` that all may have; `rooms` are the units of each pool, `hardware` those that may be added of
    a type in a pool. `spread` regions have to have some; `quanta` are the fewest tokens that each can have if it has
    any. `frozen`: too few can, so nothing is added.
    """

    def __init__(self, demand: Demand, slots: Iterable[Slot], rooms: Rooms) -> None:
        self.demand = demand
        self.slots = tuple(sorted(slots, key=_sort_key))
        self.held = tuple(slot.held for slot in self.slots)
        self.ranks = tuple(sorted({slot.rank for slot in self.slots}))
        self.rooms = {slot.pool: max(0, rooms.get(slot.pool, 0)) for slot in self.slots if slot.pool}
        self.hardware = _count_hardware(self.slots)
        self.wish = max(0, demand.tokens)
        self.top = self.wish + max((1, *map(_find_gap, self.slots))) - 1
        self.share = self.wish * demand.most_share // 100 if demand.most_share < 100 else sys.maxsize
        self.choices = tuple(self._choose(slot) for slot in self.slots)
        self.quanta = self._find_quanta()
        self.spread = demand.least_regions if demand.least_regions > 1 and self.wish else 0
        cheapest = sorted(self.quanta.values())[: self.spread]
        self.frozen = len(cheapest) < self.spread or sum(cheapest) > self.top
        if self.frozen:
            self.spread, self.choices = 0, tuple(map(_keep, self.slots, self.choices))
        # More than any digit of a cost can be.
        self._base = 1 + len(self.slots) + sum(map(_weigh, self.slots, self.choices))

    def after(self, units: Units) -> Task:
        """The same when so many units run."""
        added: dict[Group, int] = defaultdict(int)
        for slot, each in zip(self.slots, units, strict=True):
            added[slot.group] += count_added(slot, each)
        slots = (
            replace(slot, held=each, hardware=left - added[slot.group] if (left := slot.hardware) is not None else None)
            for slot, each in zip(self.slots, units, strict=True)
        )
        return Task(self.demand, slots, self.rooms)

    def total(self, units: Units) -> int:
        """What so many units are worth in tokens."""
        return sum(slot.tokens * each for slot, each in zip(self.slots, units, strict=True))

    def miss(self, total: int) -> tuple[bool, int]:
        """How far a total is from what is wanted; the smaller the better, and too much is better than too little."""
        return total < self.wish, abs(total - self.wish)

    def cost(self, at: int, units: int) -> int:
        """What is not liked about a slot that has so many units, as digits of one number: tokens taken away, tokens of
        each liking negated, whether it is new, whether it changes. The costs of all slots add up digit by digit, so
        that the smaller sum is the better placement."""
        slot = self.slots[at]
        liked = (slot.tokens * units if rank == slot.rank else 0 for rank in self.ranks)
        cost = slot.tokens * max(0, slot.held - units)
        for digit in (*(-tokens for tokens in liked), units > 0 and not slot.held, units != slot.held):
            cost = cost * self._base + digit
        return cost

    def _choose(self, slot: Slot) -> Units:
        ceiling = min(self.top, self.share) // max(1, slot.tokens)
        if slot.pool:
            ceiling = min(ceiling, self.rooms[slot.pool])
        most = slot.held + self.hardware.get(slot.group, ceiling) if slot.pool and not slot.barred else slot.held
        found = {0, slot.held, *find_sizes(slot, min(most, ceiling))}
        return tuple(sorted(units for units in found if units <= ceiling))

    def _find_quanta(self) -> dict[str, int]:
        quanta: dict[str, int] = {}
        for slot, choice in zip(self.slots, self.choices, strict=True):
            for units in choice[1:2]:
                tokens = slot.tokens * units
                quanta[slot.location] = min(tokens, quanta.get(slot.location, tokens))
        return quanta


def find_sizes(slot: Slot, most: int) -> Iterable[int]:
    """The sizes that a deployment can have, up to `most` units."""
    if slot.most is not None:
        most = min(most, slot.most)
    if slot.allowed:
        return tuple(units for units in slot.allowed if 0 < units <= most)
    return range(find_first(slot), most + 1, slot.step)


def find_first(slot: Slot) -> int:
    """The least multiple of a step that is large enough."""
    return max(1, -(-slot.least // slot.step)) * slot.step


def count_added(slot: Slot, units: int) -> int:
    """How many of so many units do not run yet."""
    return max(0, units - slot.held)


def _sort_key(slot: Slot) -> tuple[str, PoolKey, str, ArmId]:
    """Side by side what shares a region, a pool, hardware."""
    return slot.location, slot.pool or ("", ""), slot.sku, slot.account


def _find_gap(slot: Slot) -> int:
    """The most tokens between a size of a deployment and the next."""
    if not slot.allowed:
        return slot.tokens * find_first(slot)
    return slot.tokens * max(larger - smaller for smaller, larger in pairwise((0, *sorted(slot.allowed))))


def _count_hardware(slots: Iterable[Slot]) -> dict[Group, int]:
    hardware: dict[Group, int] = {}
    for slot in slots:
        if slot.hardware is not None:
            there = max(0, slot.hardware)
            hardware[slot.group] = min(there, hardware.get(slot.group, there))
    return hardware


def _keep(slot: Slot, choice: Units) -> Units:
    """What a slot may have where nothing may be added."""
    return tuple(units for units in choice if units <= slot.held)


def _weigh(slot: Slot, choice: Units) -> int:
    """The most tokens that a slot has or may have."""
    return slot.tokens * max(slot.held, choice[-1])
