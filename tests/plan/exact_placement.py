"""The best placement by an exact solver: the same rules as whole numbers and inequalities, without a word of how the
product finds it. Only the values are the product's. Besides, every combination of very few, looked at one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, product

import highspy

from reconciler.plan.placement import Demand, Rooms, Slot

Row = Mapping[int, int]  # factors by column


@dataclass(frozen=True, kw_only=True)
class Best:
    """What the best placements have in common: what they score, the first number first, smaller is better, and whether
    the least number of regions is out of reach. The score: too little, how far off the wish, tokens taken away, tokens
    of each liking negated, new deployments, changed ones."""

    score: tuple[int, ...]
    frozen: bool


def sizes(slot: Slot, most: int) -> list[int]:
    """Every size that a deployment can have by itself, up to `most`; what it has now is one of them."""
    upper = most if slot.most is None else min(most, slot.most)
    if slot.barred or slot.pool is None:
        upper = min(upper, slot.held)
    if slot.allowed:
        grid = [each for each in slot.allowed if each <= upper]
    else:
        grid = [each for each in range(1, upper + 1) if each >= slot.least and each % slot.step == 0]
    return sorted({0, slot.held, *grid})


def coarseness(slots: tuple[Slot, ...]) -> int:
    """The most tokens from one size of a deployment to the next."""
    gaps = [1]
    for slot in slots:
        ladder = sorted(slot.allowed) or [
            each for each in range(1, 2 * slot.least + 2 * slot.step) if each >= slot.least
        ]
        ladder = [0, *(each for each in ladder if slot.allowed or each % slot.step == 0)]
        gaps += [slot.tokens * (b - a) for a, b in zip(ladder, ladder[1:], strict=False)]
    return max(gaps)


def score(demand: Demand, slots: tuple[Slot, ...], units: tuple[int, ...]) -> tuple[int, ...]:
    placed = sum(slot.tokens * each for slot, each in zip(slots, units, strict=True))
    pairs = list(zip(slots, units, strict=True))
    return (
        int(placed < demand.tokens),
        abs(placed - demand.tokens),
        sum(slot.tokens * max(0, slot.held - each) for slot, each in pairs),
        *(-sum(slot.tokens * each for slot, each in pairs if slot.rank == rank) for rank in ranks(slots)),
        sum(each > 0 and slot.held == 0 for slot, each in pairs),
        sum(each != slot.held for slot, each in pairs),
    )


def ranks(slots: tuple[Slot, ...]) -> list[int]:
    return sorted({slot.rank for slot in slots})


def faults(demand: Demand, slots: tuple[Slot, ...], rooms: Rooms, units: tuple[int, ...]) -> list[str]:
    """The rules that a placement breaks, the least number of regions and the wish left out."""
    pairs = list(zip(slots, units, strict=True))
    broken = []
    for pool in {slot.pool for slot in slots if slot.pool}:
        if sum(each for slot, each in pairs if slot.pool == pool) > max(0, rooms.get(pool, 0)):
            broken.append(f"pool {pool}")
    for location in {slot.location for slot in slots}:
        tokens = sum(slot.tokens * each for slot, each in pairs if slot.location == location)
        if demand.most_share < 100 and tokens * 100 > demand.most_share * demand.tokens:
            broken.append(f"share of {location}")
    for pool, sku in {(slot.pool, slot.sku) for slot in slots}:
        members = [(slot, each) for slot, each in pairs if (slot.pool, slot.sku) == (pool, sku)]
        known = [slot.hardware for slot, _ in members if slot.hardware is not None]
        if known and sum(max(0, each - slot.held) for slot, each in members) > max(0, min(known)):
            broken.append(f"hardware of {sku} in {pool}")
    for slot, each in pairs:
        if each not in sizes(slot, max(each, slot.held)):
            broken.append(f"size of {slot.account.name} {slot.sku}")
    return broken


def regions(slots: tuple[Slot, ...], units: tuple[int, ...]) -> int:
    return len({slot.location for slot, each in zip(slots, units, strict=True) if each})


def look_at_all(demand: Demand, slots: tuple[Slot, ...], rooms: Rooms) -> Best:
    """The best of every combination there is."""
    top = demand.tokens + coarseness(slots) - 1
    ladders = [sizes(slot, top // slot.tokens) for slot in slots]
    sound = [
        units
        for units in product(*ladders)
        if sum(slot.tokens * each for slot, each in zip(slots, units, strict=True)) <= top
        and not faults(demand, slots, rooms, units)
    ]
    wide = [units for units in sound if regions(slots, units) >= demand.least_regions]
    frozen = demand.least_regions > 1 and demand.tokens > 0 and not wide
    if demand.least_regions > 1 and wide:
        sound = wide
    if frozen:
        sound = [units for units in sound if all(each <= slot.held for slot, each in zip(slots, units, strict=True))]
    return Best(score=min(score(demand, slots, units) for units in sound), frozen=frozen)


def solve(demand: Demand, slots: tuple[Slot, ...], rooms: Rooms) -> Best:
    """The best of all by one whole program after the other: each keeps what those before it have reached."""
    program = _Program(demand, slots, rooms)
    frozen = demand.least_regions > 1 and demand.tokens > 0 and not program.spread(demand.least_regions)
    if frozen:
        program.freeze()
    columns = program.columns
    placed = {at: slot.tokens * size for at, slot, size in columns}
    above = program.least(placed, floor=demand.tokens)
    if above is None:
        above = -(program.least({at: -tokens for at, tokens in placed.items()}) or 0)
        program.fix(placed, above)
    else:
        program.fix(placed, above)
    lower: list[int] = []
    goals: list[Row] = [
        {at: slot.tokens * max(0, slot.held - size) for at, slot, size in columns},
        *({at: -slot.tokens * size for at, slot, size in columns if slot.rank == rank} for rank in ranks(slots)),
        {at: int(size > 0 and slot.held == 0) for at, slot, size in columns},
        {at: int(size != slot.held) for at, slot, size in columns},
    ]
    for goal in goals:
        reached = program.least(goal)
        assert reached is not None
        program.fix(goal, reached)
        lower.append(reached)
    return Best(score=(int(above < demand.tokens), abs(above - demand.tokens), *lower), frozen=frozen)


class _Program:
    """A column, 0 or 1, for each slot and size; one for each region that has some."""

    def __init__(self, demand: Demand, slots: tuple[Slot, ...], rooms: Rooms) -> None:
        self._solver = highspy.Highs()
        for name, value in (("output_flag", False), ("mip_rel_gap", 0.0), ("mip_abs_gap", 0.5), ("threads", 1)):
            self._solver.setOptionValue(name, value)
        self._slots = slots
        top = demand.tokens + coarseness(slots) - 1
        self.columns: list[tuple[int, Slot, int]] = []
        for slot in slots:
            first = len(self.columns)
            self.columns += [(first + at, slot, size) for at, size in enumerate(sizes(slot, top // slot.tokens))]
        self._count = len(self.columns)
        for _ in self.columns:
            self._column()
        for slot in slots:
            self._row({at: 1 for at, each, _ in self.columns if each is slot}, 1, 1)
        self._row({at: slot.tokens * size for at, slot, size in self.columns}, -highspy.kHighsInf, top)
        self._limit(demand, rooms)

    def spread(self, least: int) -> bool:
        """Have at least so many regions; False, and nothing changed, if that cannot be."""
        before, columns = self._solver.getNumRow(), self._solver.getNumCol()
        opened: dict[int, int] = {}
        for location in sorted({slot.location for slot in self._slots}):
            column = self._column()
            opened[column] = 1
            some = {at: -1 for at, slot, size in self.columns if slot.location == location and size}
            self._row({column: 1, **some}, -highspy.kHighsInf, 0)
        self._row(opened, least, highspy.kHighsInf)
        if self.least({}) is not None:
            return True
        for row in range(before, self._solver.getNumRow()):
            self._solver.changeRowBounds(row, -highspy.kHighsInf, highspy.kHighsInf)
        assert columns < self._solver.getNumCol()
        return False

    def freeze(self) -> None:
        """Add nothing anywhere."""
        for at, slot, size in self.columns:
            if size > slot.held:
                self._solver.changeColBounds(at, 0, 0)

    def least(self, goal: Row, floor: int | None = None) -> int | None:
        """The least that a sum can be, not under a floor; None if there is no placement at all."""
        for at in range(self._solver.getNumCol()):
            self._solver.changeColCost(at, goal.get(at, 0))
        row = self._solver.getNumRow()
        if floor is not None:
            self._row(goal, floor, highspy.kHighsInf)
        self._solver.run()
        status = self._solver.getModelStatus()
        assert status in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kInfeasible), status
        found = None
        if status == highspy.HighsModelStatus.kOptimal:
            found = round(self._solver.getInfo().objective_function_value)
        if floor is not None and found is None:
            self._solver.changeRowBounds(row, -highspy.kHighsInf, highspy.kHighsInf)
        return found

    def fix(self, goal: Row, value: int) -> None:
        self._row(goal, value, value)

    def _limit(self, demand: Demand, rooms: Rooms) -> None:
        def units(pool: object) -> Row:
            return {at: size for at, slot, size in self.columns if slot.pool == pool}

        for pool in sorted({slot.pool for slot in self._slots if slot.pool}):
            self._row(units(pool), 0, max(0, rooms.get(pool, 0)))
        if demand.most_share < 100:
            for location in sorted({slot.location for slot in self._slots}):
                tokens = {at: slot.tokens * size for at, slot, size in self.columns if slot.location == location}
                self._row(tokens, 0, demand.most_share * demand.tokens // 100)
        for pool, sku, members in _alike(self._slots):
            known = [slot.hardware for slot in members if slot.hardware is not None]
            if known:
                added = {
                    at: max(0, size - slot.held)
                    for at, slot, size in self.columns
                    if (slot.pool, slot.sku) == (pool, sku)
                }
                self._row(added, 0, max(0, min(known)))

    def _column(self) -> int:
        self._solver.addVar(0, 1)
        at = int(self._solver.getNumCol()) - 1
        self._solver.changeColIntegrality(at, highspy.HighsVarType.kInteger)
        return at

    def _row(self, row: Row, low: float, high: float) -> None:
        factors = {at: factor for at, factor in row.items() if factor}
        self._solver.addRow(low, high, len(factors), list(factors), list(factors.values()))


def _alike(slots: tuple[Slot, ...]) -> Iterator[tuple[object, str, list[Slot]]]:
    def key(slot: Slot) -> tuple[tuple[str, str], str]:
        return slot.pool or ("", ""), slot.sku

    for (pool, sku), members in groupby(sorted(slots, key=key), key=key):
        yield pool if pool != ("", "") else None, sku, list(members)
