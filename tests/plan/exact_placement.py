"""The best placement by an exact solver: the same rules as whole numbers and inequalities, without a word of how the
product finds it. Only the values are the product's. Besides, every combination of very few, looked at one by one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise, product
from math import gcd
from operator import attrgetter

import highspy

from reconciler.plan.placement import Demand, Rooms, Slot

Units = tuple[int, ...]  # of each slot, in the order given
_Row = Mapping[int, int]  # factors by column
_Goal = Callable[[Slot, int], int]  # what a slot of a size adds to a sum
_POOL, _KIND, _LOCATION = attrgetter("pool"), attrgetter("pool", "sku"), attrgetter("location")
_EXACT = 1_000_000  # the solver tells larger sums apart no more


@dataclass(frozen=True, kw_only=True)
class Best:
    """What the best placements have in common: their score, and whether the least number of regions is out of reach.

    The score, what counts most first, less is better: whether it is too little, how far off the wish, tokens taken
    away, tokens of each liking negated, new deployments, changed ones.
    """

    score: tuple[int, ...]
    frozen: bool


def score(demand: Demand, slots: tuple[Slot, ...], units: Units) -> tuple[int, ...]:
    placed = count_tokens(slots, units)
    return (
        int(placed < demand.tokens),
        abs(placed - demand.tokens),
        *(sum(goal(slot, size) for slot, size in zip(slots, units, strict=True)) for goal in _goals(slots)),
    )


def count_tokens(slots: tuple[Slot, ...], units: Units, location: str = "") -> int:
    """What is placed, in one region or in all."""
    pairs = zip(slots, units, strict=True)
    return sum(slot.tokens * size for slot, size in pairs if location in ("", slot.location))


def find_faults(demand: Demand, slots: tuple[Slot, ...], rooms: Rooms, units: Units) -> list[str]:
    """The rules that a placement breaks, but for the least number of regions."""
    pairs = list(zip(slots, units, strict=True))
    broken = [f"{slot} cannot have {size}" for slot, size in pairs if size not in _sizes(slot, max(size, slot.held))]
    for pool in _find_pools(slots):
        used = sum(size for slot, size in pairs if slot.pool == pool)
        broken += [f"{pool} has no room for {used}"] * (used > max(0, rooms.get(pool, 0)))
    for kind, there in _find_hardware(slots).items():
        added = sum(_count_added(slot, size) for slot, size in pairs if _KIND(slot) == kind)
        broken += [f"{kind} has no hardware for {added}"] * (added > there)
    if demand.most_share < 100:
        placed = {location: count_tokens(slots, units, location) for location in _find_locations(slots)}
        most = demand.most_share * demand.tokens / 100
        broken += [f"{location} has too large a share" for location, tokens in placed.items() if tokens > most]
    if count_tokens(slots, units) > _top(demand, slots):
        broken.append("more than is wanted")
    return broken


def count_regions(slots: tuple[Slot, ...], units: Units) -> int:
    return len({slot.location for slot, size in zip(slots, units, strict=True) if size})


def look_at_all(demand: Demand, slots: tuple[Slot, ...], rooms: Rooms) -> Best:
    """The best of every combination there is."""
    ladders = [_sizes(slot, _top(demand, slots) // slot.tokens) for slot in slots]
    sound = [units for units in product(*ladders) if not find_faults(demand, slots, rooms, units)]
    frozen = False
    if _spreads(demand):
        wide = [units for units in sound if count_regions(slots, units) >= demand.least_regions]
        frozen = not wide
        sound = wide or [
            units for units in sound if all(size <= slot.held for slot, size in zip(slots, units, strict=True))
        ]
    return Best(score=min(score(demand, slots, units) for units in sound), frozen=frozen)


def solve(demand: Demand, slots: tuple[Slot, ...], rooms: Rooms) -> Best:
    """The best of all, by one program after the other: each keeps what those before it have reached."""
    program = _Program(demand, slots, rooms)
    units = program.reach(demand.tokens)
    frozen = units is None
    if frozen:
        program.freeze()
        units = program.reach(demand.tokens)
    assert units is not None
    for goals in program.bundle(_goals(slots)):
        units = program.improve(goals)
    return Best(score=score(demand, slots, units), frozen=frozen)


def _goals(slots: tuple[Slot, ...]) -> list[_Goal]:
    """What shall be least, one after the other, once as many tokens as can be are placed."""

    def taken(slot: Slot, size: int) -> int:
        return slot.tokens * max(0, slot.held - size)

    def liked(rank: int) -> _Goal:
        return lambda slot, size: -slot.tokens * size if slot.rank == rank else 0

    def new(slot: Slot, size: int) -> int:
        return int(size > 0 and slot.held == 0)

    def changed(slot: Slot, size: int) -> int:
        return int(size != slot.held)

    return [taken, *(liked(rank) for rank in sorted({slot.rank for slot in slots})), new, changed]


def _count_tokens(slot: Slot, size: int) -> int:
    return slot.tokens * size


def _count_units(_: Slot, size: int) -> int:
    return size


def _count_added(slot: Slot, size: int) -> int:
    return max(0, size - slot.held)


def _spreads(demand: Demand) -> bool:
    return demand.least_regions > 1 and demand.tokens > 0


def _top(demand: Demand, slots: tuple[Slot, ...]) -> int:
    """As many tokens as may be placed: less than the widest gap between two sizes above the wish."""
    gaps = [1]
    for slot in slots:
        enough = range(1, 2 * (slot.least + slot.step))
        ladder = sorted(slot.allowed) or [size for size in enough if size >= slot.least and size % slot.step == 0]
        gaps += [slot.tokens * (larger - smaller) for smaller, larger in pairwise((0, *ladder))]
    return demand.tokens + max(gaps) - 1


def _sizes(slot: Slot, most: int) -> list[int]:
    """What a deployment can have by itself, up to `most`; what it has now is fine."""
    if slot.most is not None:
        most = min(most, slot.most)
    if slot.barred or slot.pool is None:
        most = min(most, slot.held)
    ladder = slot.allowed or [size for size in range(1, most + 1) if size >= slot.least and size % slot.step == 0]
    return sorted({0, slot.held, *(size for size in ladder if size <= most)})


def _find_pools(slots: tuple[Slot, ...]) -> list[tuple[str, str]]:
    return sorted({slot.pool for slot in slots if slot.pool})


def _find_locations(slots: tuple[Slot, ...]) -> list[str]:
    return sorted({slot.location for slot in slots})


def _find_hardware(slots: tuple[Slot, ...]) -> dict[tuple[tuple[str, str] | None, str], int]:
    """What may be added of a type in a pool, where somebody knows: the least that anybody says."""
    known: dict[tuple[tuple[str, str] | None, str], list[int]] = defaultdict(list)
    for slot in slots:
        if slot.hardware is not None:
            known[_KIND(slot)].append(max(0, slot.hardware))
    return {kind: min(there) for kind, there in known.items()}


def _unit(row: _Row) -> int:
    """What all factors of a row are multiples of."""
    return gcd(*row.values()) or 1


class _Program:
    """A column, 0 or 1, for each slot and size, of which each slot has one; and one for each region that has some."""

    def __init__(self, demand: Demand, slots: tuple[Slot, ...], rooms: Rooms) -> None:
        self._slots = slots
        most = _top(demand, slots)
        self._columns = [(slot, size) for slot in slots for size in _sizes(slot, most // slot.tokens)]
        self._solver = highspy.Highs()  # type: ignore[no-untyped-call]
        for name, value in (("output_flag", False), ("mip_rel_gap", 0.0), ("mip_abs_gap", 0.5), ("threads", 1)):
            self._solver.setOptionValue(name, value)
        for _ in self._columns:
            self._add_column()
        for slot in slots:
            self._add_row(dict.fromkeys(self._of(slot), 1), 1, 1)
        self._add_row(self._sum(_count_tokens), 0, most)
        self._keep_rules(demand, rooms)
        self._spread = self._keep_spread(demand) if _spreads(demand) else None

    def reach(self, wish: int) -> Units | None:
        """The least that is enough, or as much as can be; that much stays. None if there is nothing at all."""
        tokens = self._sum(_count_tokens)
        row = self._add_row(tokens, wish, highspy.kHighsInf)
        units = self._minimise(tokens)
        if units is None:
            self._solver.changeRowBounds(row, 0, highspy.kHighsInf)
            units = self._minimise({at: -each for at, each in tokens.items()})
        if units is not None:
            placed = count_tokens(self._slots, units)
            self._solver.changeRowBounds(row, placed, placed)
        return units

    def freeze(self) -> None:
        """Add nothing anywhere, and do without a number of regions."""
        assert self._spread is not None
        self._solver.changeRowBounds(self._spread, 0, highspy.kHighsInf)
        for at, (slot, size) in enumerate(self._columns):
            if size > slot.held:
                self._solver.changeColBounds(at, 0, 0)

    def improve(self, goals: list[_Goal]) -> Units:
        """Have the least of each goal, the first one first, and keep it."""
        rows = [self._sum(goal) for goal in goals]
        weighed: dict[int, int] = defaultdict(int)
        weight = 1
        for row in reversed(rows):
            unit = _unit(row)
            for at, each in row.items():
                weighed[at] += weight * (each // unit)
            weight *= self._width(row)
        units = self._minimise(weighed)
        assert units is not None
        for goal, row in zip(goals, rows, strict=True):
            reached = sum(goal(slot, size) for slot, size in zip(self._slots, units, strict=True))
            self._add_row(row, reached, reached)
        return units

    def bundle(self, goals: list[_Goal]) -> list[list[_Goal]]:
        """Goals side by side that one sum can tell apart."""
        bundles: list[list[_Goal]] = [[]]
        weight = 1
        for goal in goals:
            width = self._width(self._sum(goal))
            if weight * width > _EXACT:
                bundles.append([])
                weight = 1
            bundles[-1].append(goal)
            weight *= width
        return bundles

    def _keep_rules(self, demand: Demand, rooms: Rooms) -> None:
        for pool in _find_pools(self._slots):
            self._add_row(self._sum(_count_units, _POOL, pool), 0, max(0, rooms.get(pool, 0)))
        for kind, there in _find_hardware(self._slots).items():
            self._add_row(self._sum(_count_added, _KIND, kind), 0, there)
        for location in _find_locations(self._slots) if demand.most_share < 100 else ():
            tokens = self._sum(_count_tokens, _LOCATION, location)
            self._add_row(tokens, 0, demand.most_share * demand.tokens // 100)

    def _keep_spread(self, demand: Demand) -> int:
        """A region counts only if one of its slots has some."""
        counted: dict[int, int] = {}
        for location in _find_locations(self._slots):
            column = self._add_column()
            counted[column] = 1
            some = {at: 1 for at, (slot, size) in enumerate(self._columns) if slot.location == location and size}
            self._add_row({column: -1, **some}, 0, highspy.kHighsInf)
        return self._add_row(counted, demand.least_regions, highspy.kHighsInf)

    def _of(self, slot: Slot) -> list[int]:
        return [at for at, (each, _) in enumerate(self._columns) if each is slot]

    def _sum(self, goal: _Goal, key: Callable[[Slot], object] = lambda _: None, value: object = None) -> _Row:
        """A sum over those slots whose key has a value."""
        return {at: goal(slot, size) for at, (slot, size) in enumerate(self._columns) if key(slot) == value}

    def _width(self, row: _Row) -> int:
        """How many different sums a row can have."""
        sides = [[row.get(at, 0) for at in self._of(slot)] for slot in self._slots]
        return 1 + sum(max(side) - min(side) for side in sides) // _unit(row)

    def _minimise(self, row: _Row) -> Units | None:
        columns = range(self._solver.getNumCol())
        self._solver.changeColsCost(len(columns), list(columns), [row.get(at, 0) for at in columns])
        self._solver.run()
        status = self._solver.getModelStatus()
        if status == highspy.HighsModelStatus.kInfeasible:
            return None
        assert status == highspy.HighsModelStatus.kOptimal, status
        values = self._solver.getSolution().col_value
        return tuple(self._columns[at][1] for slot in self._slots for at in self._of(slot) if values[at] > 0.5)

    def _add_column(self) -> int:
        at: int = self._solver.getNumCol()
        self._solver.addVar(0, 1)
        self._solver.changeColIntegrality(at, highspy.HighsVarType.kInteger)
        return at

    def _add_row(self, row: _Row, low: float, high: float) -> int:
        at: int = self._solver.getNumRow()
        factors = {column: factor for column, factor in row.items() if factor}
        self._solver.addRow(low, high, len(factors), list(factors), list(factors.values()))
        return at
