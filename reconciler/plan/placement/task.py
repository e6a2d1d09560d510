"""A demand put in order: how many units each slot may have by itself, and what is better than what."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from math import gcd

from reconciler.model.ids import ArmId
from reconciler.plan.placement.sizes import Sizes, find_first, find_sizes
from reconciler.plan.placement.values import Demand, Group, Rooms, Slot
from reconciler.plan.quota import PoolKey

Units = tuple[int, ...]  # of each slot of a task, in its order


@dataclass(frozen=True, kw_only=True)
class Task:
    """Slots in order, and everything that limits them.

    `choices` are the units that each slot may have. `rooms` are the units of each pool,
    `hardware` those that may be added of a type in a pool. `wish` is what is wanted in tokens, rounded up, `top` the
    most that may be placed, `share` the most in one region. `spread` regions have to have some, and `able` can; where
    those are too few the task is `frozen`: nothing may be added, and no number of regions is asked for. No `__slots__`:
    what is asked often is kept.
    """

    slots: tuple[Slot, ...]
    choices: tuple[Sizes, ...]
    rooms: Mapping[PoolKey, int]
    hardware: Mapping[Group, int]
    wish: int
    top: int
    share: int
    spread: int = 0
    able: int = 0
    frozen: bool = False

    @cached_property
    def held(self) -> Units:
        return tuple(slot.held for slot in self.slots)

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        return tuple(sorted({slot.rank for slot in self.slots}))

    @property
    def ceiling(self) -> int:
        """At least as many tokens as all pools together have room for, in sizes that there are."""
        worth: dict[PoolKey | None, int] = defaultdict(int)
        grain: dict[PoolKey | None, int] = defaultdict(int)
        units: dict[PoolKey | None, int] = defaultdict(int)
        for slot, choice in zip(self.slots, self.choices, strict=True):
            worth[slot.pool] = max(worth[slot.pool], slot.tokens)
            grain[slot.pool] = gcd(grain[slot.pool], choice.grain)
            units[slot.pool] += choice.most
        rooms = {pool: min(most, self.rooms[pool]) if pool else most for pool, most in units.items()}
        return sum(worth[pool] * (room - room % (grain[pool] or 1)) for pool, room in rooms.items())

    def total(self, units: Units) -> int:
        """What so many units are worth in tokens."""
        return _count_tokens(self.slots, units)

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

    @cached_property
    def _base(self) -> int:
        """More than any digit of a cost can be."""
        pairs = zip(self.slots, self.choices, strict=True)
        return 1 + len(self.slots) + sum(slot.tokens * max(slot.held, choice.most) for slot, choice in pairs)

    def part(self, places: slice, units: Units) -> Task:
        """Some slots alone, while all others have so many units."""
        slots, choices = self.slots[places], self.choices[places]
        others = self.total(units) - _count_tokens(slots, units[places])
        return replace(self, slots=slots, choices=choices, wish=self.wish - others, top=self.top - others, spread=0)


def make_task(demand: Demand, slots: Iterable[Slot], rooms: Rooms) -> Task:
    """The task that a demand is, with every choice that a slot has by itself."""
    ordered = tuple(sorted(slots, key=_sort_key))
    wish = max(0, demand.tokens)
    bare = Task(
        slots=ordered,
        choices=(),
        rooms={slot.pool: max(0, rooms.get(slot.pool, 0)) for slot in ordered if slot.pool},
        hardware=_count_hardware(ordered),
        wish=wish,
        top=wish + max((1, *map(_find_gap, ordered))) - 1,
        share=wish * demand.most_share // 100 if demand.most_share < 100 else sys.maxsize,
        spread=demand.least_regions if demand.least_regions > 1 and wish else 0,
    )
    return _freeze(_round_up(replace(bare, choices=tuple(_choose(bare, slot) for slot in ordered))))


def let_run(slots: tuple[Slot, ...], units: Units) -> tuple[Slot, ...]:
    """Slots as they are when so many units run."""
    added: dict[Group, int] = defaultdict(int)
    for slot, each in zip(slots, units, strict=True):
        added[slot.group] += count_added(slot, each)
    return tuple(
        replace(slot, held=each, hardware=slot.hardware if slot.hardware is None else slot.hardware - added[slot.group])
        for slot, each in zip(slots, units, strict=True)
    )


def count_added(slot: Slot, units: int) -> int:
    """How many of so many units do not run yet."""
    return max(0, units - slot.held)


def _count_tokens(slots: tuple[Slot, ...], units: Units) -> int:
    return sum(slot.tokens * each for slot, each in zip(slots, units, strict=True))


def _sort_key(slot: Slot) -> tuple[str, PoolKey, str, ArmId]:
    """Side by side what shares a region, a pool, hardware."""
    return slot.location, slot.pool or ("", ""), slot.sku, slot.account


def _choose(task: Task, slot: Slot) -> Sizes:
    ceiling = min(task.top, task.share) // max(1, slot.tokens)
    if slot.pool:
        ceiling = min(ceiling, task.rooms[slot.pool])
    most = slot.held + task.hardware.get(slot.group, ceiling) if slot.pool and not slot.barred else slot.held
    return find_sizes(slot, min(most, ceiling), ceiling)


def _round_up(task: Task) -> Task:
    """The same with the least wish that is not less and that units can hit, if there is one."""
    grain = gcd(*(slot.tokens * choice.grain for slot, choice in zip(task.slots, task.choices, strict=True))) or 1
    wish = -(-task.wish // grain) * grain
    return replace(task, wish=wish) if wish <= task.top else task


def _freeze(task: Task) -> Task:
    """The same, but nothing may be added if too few regions can have some."""
    quanta: dict[str, int] = {}  # the fewest tokens that each region can have if it has any
    for slot, choice in zip(task.slots, task.choices, strict=True):
        if choice.most:
            tokens = slot.tokens * choice.above(0)
            quanta[slot.location] = min(tokens, quanta.get(slot.location, tokens))
    cheapest = sorted(quanta.values())[: task.spread]
    if len(cheapest) == task.spread and sum(cheapest) <= task.top:
        return task
    pairs = zip(task.slots, task.choices, strict=True)
    kept = tuple(choice.up_to(slot.held) for slot, choice in pairs)
    return replace(task, choices=kept, spread=0, able=len(quanta), frozen=True)


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
