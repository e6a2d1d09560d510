"""Where the tokens of one pool of a model go: units for each account and deployment type, within quota. Pure.

Works on plain values. What accounts there are, what quota is left and what becomes of an answer is not known here.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise

from reconciler.model.ids import ArmId
from reconciler.plan.quota import PoolKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A deployment that there is or may be: one account and one deployment type.

    `rank` is the place of `sku` in the list of preference, 0 is liked best. `pool` is what it draws on, None where the
    region does not sell it. One unit is worth `tokens` per minute. A deployment has a multiple of `step` units, at
    least `least` and at most `most`, or one of those `allowed`; what it `held` before is always fine. `hardware` is how
    many units there is hardware for on top of what is held, None if nobody knows: slots of one pool and type share it.
    `barred` says why nothing may be added; what runs stays.
    """

    account: ArmId
    location: str
    sku: str
    rank: int
    pool: PoolKey | None
    tokens: int
    least: int = 1
    step: int = 1
    most: int | None = None
    allowed: tuple[int, ...] = ()
    held: int = 0
    hardware: int | None = None
    barred: str = ""

    @property
    def key(self) -> SlotKey:
        return self.account, self.sku

    @property
    def group(self) -> Group:
        return self.pool, self.sku


SlotKey = tuple[ArmId, str]  # an account, and a deployment type as the slot spells it
Group = tuple[PoolKey | None, str]  # what shares hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """How many tokens per minute are wanted; no region gets more than `most_share` percent of them (100: as many as
    there is room for), and at least `least_regions` get some."""

    tokens: int
    most_share: int = 100
    least_regions: int = 1


# Units of each pool that these slots may fill together, those included that they hold now. Missing: none. A limit that
# was cut can leave fewer than are held, or fewer than none.
Rooms = Mapping[PoolKey, int]


class Choice(StrEnum):
    """What becomes of a slot or of a region."""

    NEW = "new"
    GROWN = "grown"
    KEPT = "kept"
    SHRUNK = "shrunk"
    REMOVED = "removed"
    PASSED = "passed over"


class Limit(StrEnum):
    """What kept a slot or a region from having more."""

    WISH = "wish"  # as much as is wanted is placed
    SHARE = "share"  # the region has as large a part of the wish as it may have
    QUOTA = "quota"  # the pool has no room for the next step
    HARDWARE = "hardware"  # there is quota and no hardware
    LARGEST = "largest"  # the deployment is as large as it can be
    REGIONS = "regions"  # too few regions can have some, so nothing is added; or what it had is needed in others
    BARRED = "barred"  # the slot's own reason
    UNSOLD = "unsold"  # the region does not sell this


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotNote:
    """What becomes of a slot and why it has no more. Its next step takes `needs`, and the limit leaves `leaves` for it:
    of the wish and of a share in tokens, of anything else in units; both 0 where a number says nothing."""

    slot: Slot
    units: int
    choice: Choice
    limit: Limit
    needs: int = 0
    leaves: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionNote:
    """What becomes of a region: `tokens` there after and `held` before, the `most` that its share permits (None: any),
    and why it has no more: the limit of the slot in it that came closest to having more, `closest`."""

    location: str
    tokens: int
    held: int
    most: int | None
    choice: Choice
    closest: SlotNote


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Units of every slot, 0 where nothing shall be; tokens per minute that they are worth, and how many are missing.

    `unmet` is the demand that cannot be met at all: SHARE when the share of all regions in which something can be
    placed adds up to less than the wish, REGIONS when too few of them can have some. There is a note for each slot and
    each region, in the order of location, liking and account.
    """

    units: Mapping[SlotKey, int]
    tokens: int
    shortfall: int
    unmet: Limit | None
    slots: tuple[SlotNote, ...]
    regions: tuple[RegionNote, ...]


def place(demand: Demand, slots: Iterable[Slot], rooms: Rooms) -> Placement:
    """The best placement of a demand. What counts, the first thing first:

    1. The tokens that are wanted, or the least more that whole steps permit, or as many as can be had. No pool, no
       share and no hardware is overdrawn, and the least number of regions is kept. Where that number is out of reach
       nothing is added, and what runs stays as far as the rest permits.
    2. What runs stays: the fewest tokens are taken from deployments that there are.
    3. The better liked types have the most tokens.
    4. The fewest new deployments, then the fewest that change at all.
    5. Regions, pools and accounts that come first by name.

    Exact as long as few enough combinations have to be looked at. Beyond that the first three are exact where every
    deployment grows by one unit of the same worth, and near elsewhere.
    """
    task = _Task(demand, slots, rooms)
    poured = _pour(task)
    return _explain(task, _search(task, poured) or poured)


_Units = tuple[int, ...]  # of each slot of a task, in its order
_PATIENCE = 60_000  # more continuations than these are not looked at: about a tenth of a second


class _Task:
    """A demand and its slots in order. `choices` are the units that each of them may have, none included, the least
    first; `share` are the most tokens of a region, `top` those of all. `frozen`: too few regions can have some."""

    def __init__(self, demand: Demand, slots: Iterable[Slot], rooms: Rooms) -> None:
        self.demand = demand
        self.slots = tuple(sorted(slots, key=_sort_key))
        self.rooms = {slot.pool: max(0, rooms.get(slot.pool, 0)) for slot in self.slots if slot.pool}
        self.wish = max(0, demand.tokens)
        self.top = self.wish + max((_rounding(slot) for slot in self.slots), default=1) - 1
        self.share = self.wish * demand.most_share // 100 if demand.most_share < 100 else self.top
        self.hardware = self._count_hardware()
        self.choices = tuple(tuple(self._choose(slot)) for slot in self.slots)
        self.quanta = self._find_quanta()
        least = sorted(self.quanta.values())[: demand.least_regions]
        self.spread = demand.least_regions if demand.least_regions > 1 and self.wish else 0
        self.frozen = self.spread > 0 and (len(least) < self.spread or sum(least) > self.top)
        if self.frozen:
            self.spread = 0
            pairs = zip(self.slots, self.choices, strict=True)
            self.choices = tuple(tuple(units for units in choice if units <= slot.held) for slot, choice in pairs)
        self.ranks = tuple(sorted({slot.rank for slot in self.slots}))
        self._base = (
            1
            + len(self.slots)
            + sum(
                slot.tokens * max(slot.held, choice[-1]) for slot, choice in zip(self.slots, self.choices, strict=True)
            )
        )

    def total(self, units: _Units) -> int:
        return sum(slot.tokens * each for slot, each in zip(self.slots, units, strict=True))

    def miss(self, total: int) -> tuple[bool, int]:
        """How far a total is from what is wanted; the smaller the better, and too much is better than too little."""
        return total < self.wish, abs(total - self.wish)

    def cost(self, at: int, units: int) -> int:
        """What is not liked about a slot that has so many units, what counts most in the highest digits. The sum over
        all slots compares as the list of the sums of each digit."""
        slot = self.slots[at]
        taken = slot.tokens * max(0, slot.held - units)
        liked = [slot.tokens * units if rank == slot.rank else 0 for rank in self.ranks]
        cost = taken
        for digit in (*(-each for each in liked), int(units > 0 and not slot.held), int(units != slot.held)):
            cost = cost * self._base + digit
        return cost

    def _count_hardware(self) -> dict[Group, int]:
        """What may be added of each type in each pool, where that is known."""
        hardware: dict[Group, int] = {}
        for slot in self.slots:
            if slot.hardware is not None:
                hardware[slot.group] = min(max(0, slot.hardware), hardware.get(slot.group, slot.hardware))
        return hardware

    def _choose(self, slot: Slot) -> Iterator[int]:
        ceiling = min(self.top, self.share) // max(1, slot.tokens)
        if slot.pool:
            ceiling = min(ceiling, self.rooms[slot.pool])
        yield 0
        reach = slot.held if slot.barred or not slot.pool else slot.held + self.hardware.get(slot.group, ceiling)
        sizes = {*_sizes(slot, min(ceiling, reach)), slot.held}
        yield from sorted(units for units in sizes if 0 < units <= ceiling)

    def _find_quanta(self) -> dict[str, int]:
        """The fewest tokens that each region can have if it has any."""
        quanta: dict[str, int] = {}
        for slot, choice in zip(self.slots, self.choices, strict=True):
            if len(choice) > 1:
                tokens = slot.tokens * choice[1]
                quanta[slot.location] = min(tokens, quanta.get(slot.location, tokens))
        return quanta


def _sort_key(slot: Slot) -> tuple[str, PoolKey, int, str, ArmId]:
    """Together what shares a region, a pool and hardware."""
    return slot.location, slot.pool or ("", ""), slot.rank, slot.sku, slot.account


def _sizes(slot: Slot, most: int) -> Iterable[int]:
    """The sizes of a deployment up to `most` units, the least first."""
    if slot.most is not None:
        most = min(most, slot.most)
    if slot.allowed:
        return sorted(units for units in slot.allowed if 0 < units <= most)
    return range(_first(slot), most + 1, slot.step)


def _first(slot: Slot) -> int:
    """The least multiple of a step that is large enough."""
    return max(1, -(-slot.least // slot.step)) * slot.step


def _rounding(slot: Slot) -> int:
    """The most tokens between two sizes of a deployment."""
    if not slot.allowed:
        return slot.tokens * max(_first(slot), slot.step)
    return slot.tokens * max(larger - smaller for smaller, larger in pairwise((0, *sorted(slot.allowed))))


class _Fill:
    """How full everything is while units are given out: what is left of each pool, of the hardware for each type in it
    and of each region's share, and how many tokens are placed."""

    def __init__(self, task: _Task, units: Iterable[int] = ()) -> None:
        self.task = task
        self.units = [0] * len(task.slots)
        self.placed = 0
        self.regions: dict[str, int] = defaultdict(int)
        self._pools = dict(task.rooms)
        self._hardware = dict(task.hardware)
        for at, each in enumerate(units):
            self.put(at, each)

    @property
    def sound(self) -> bool:
        """Whether nothing is overdrawn and enough regions have some."""
        left = (*self._pools.values(), *self._hardware.values(), self.task.top - self.placed)
        return (
            min(left) >= 0
            and max(self.regions.values(), default=0) <= self.task.share
            and self.spread >= self.task.spread
        )

    @property
    def spread(self) -> int:
        return sum(tokens > 0 for tokens in self.regions.values())

    def put(self, at: int, units: int) -> None:
        """Let a slot have so many units instead of those it has."""
        slot, before = self.task.slots[at], self.units[at]
        tokens = slot.tokens * (units - before)
        self.units[at] = units
        self.placed += tokens
        self.regions[slot.location] += tokens
        if slot.pool:
            self._pools[slot.pool] -= units - before
        if slot.group in self._hardware:
            self._hardware[slot.group] -= _added(slot, units) - _added(slot, before)

    def space(self, at: int) -> int:
        """The largest size of a slot that still fits, and is not more than is wanted."""
        slot, now, choices = self.task.slots[at], self.units[at], self.task.choices[at]
        tokens = min(self.task.share - self.regions[slot.location], self.task.wish - self.placed)
        most = now + max(0, tokens) // max(1, slot.tokens)
        if slot.pool:
            most = min(most, now + self._pools[slot.pool])
        if slot.group in self._hardware:
            most = min(most, max(now, slot.held) + self._hardware[slot.group])
        return choices[bisect_right(choices, most) - 1]

    def obstacle(self, at: int, units: int) -> tuple[Limit, int, int] | None:
        """What keeps a slot from having so many units, how much more of it that takes and how much is left."""
        slot, now = self.task.slots[at], self.units[at]
        added, more = _added(slot, units) - _added(slot, now), units - now
        if added > (left := self._hardware.get(slot.group, added)):
            return Limit.HARDWARE, added, left
        if slot.pool and more > (left := self._pools[slot.pool]):
            return Limit.QUOTA, more, left
        if slot.tokens * more > (left := self.task.share - self.regions[slot.location]):
            return Limit.SHARE, slot.tokens * more, left
        return None


def _added(slot: Slot, units: int) -> int:
    return max(0, units - slot.held)


def _pour(task: _Task) -> _Units:
    """A good placement: what runs first, then what is liked best, as much as fits each time."""
    fill = _fill_up(task, {})
    if fill.spread < task.spread:
        fill = _fill_up(task, _find_floors(task, fill))
    now = _Fill(task, (slot.held for slot in task.slots))
    if now.sound and task.miss(now.placed) <= task.miss(fill.placed):
        return tuple(now.units)
    return tuple(fill.units)


def _fill_up(task: _Task, floors: Mapping[int, int]) -> _Fill:
    """Everything poured out, above the floors of some slots."""
    fill, slots = _Fill(task), task.slots
    for at, units in floors.items():
        fill.put(at, units)
    running = (at for at, slot in enumerate(slots) if slot.held)
    for at in sorted(running, key=lambda at: (slots[at].rank, slots[at].held, at)):
        fill.put(at, max(fill.units[at], min(fill.space(at), slots[at].held)))
    for rank in task.ranks:
        liked = [at for at, slot in enumerate(slots) if slot.rank == rank]
        for at in sorted(liked, key=lambda at: (not slots[at].held, -fill.space(at), at)):
            fill.put(at, max(fill.units[at], fill.space(at)))
    _top_up(fill)
    return fill


def _top_up(fill: _Fill) -> None:
    """Place the least more than is wanted, where it cannot be hit."""
    task = fill.task
    if fill.placed >= task.wish:
        return
    steps = []
    for at, (slot, now) in enumerate(zip(task.slots, fill.units, strict=True)):
        larger = task.choices[at][bisect_right(task.choices[at], now) :]
        placed = fill.placed + slot.tokens * (larger[0] - now) if larger else 0
        if larger and placed <= task.top and not fill.obstacle(at, larger[0]):
            steps.append((placed, task.cost(at, larger[0]) - task.cost(at, now), at, larger[0]))
    if steps:
        *_, at, units = min(steps)
        fill.put(at, units)


def _find_floors(task: _Task, fill: _Fill) -> dict[int, int]:
    """The least that may be placed in as many regions as there have to be, by slot."""
    floors: dict[str, tuple[int, bool, bool, int, int]] = {}
    for at, (slot, choice) in enumerate(zip(task.slots, task.choices, strict=True)):
        if len(choice) > 1:
            tokens = slot.tokens * choice[1]
            floor = tokens, not fill.regions[slot.location], not slot.held, slot.rank, at
            floors[slot.location] = min(floor, floors.get(slot.location, floor))
    cheapest = sorted(floors.values())[: task.spread]
    return {at: task.choices[at][1] for *_, at in cheapest}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """One slot of a search: its options, each of so many units, at a cost, with so many units added and so many tokens.

    Its three limits are the pool, the hardware and the region's share. `rooms` is what there is of a limit that begins
    with this slot, None of one that goes on. `needs` is the most that the slots after it can use of each, and `rest`
    the most tokens that they can have. A region `ends` with its last slot.
    """

    options: tuple[tuple[int, int, int, int], ...]
    rooms: tuple[int | None, ...]
    needs: tuple[int, ...]
    rest: int
    ends: bool


# Tokens placed, regions that have some, whether the region at hand is one of them, and what is left of each limit at
# hand: never more than can be needed, so that what makes no difference makes no second state.
_State = tuple[int, int, bool, tuple[int, ...]]
_Label = tuple[int, _Units]  # a cost, and the units of each slot negated: what is first by name has more
_Labels = dict[_State, _Label]


def _search(task: _Task, poured: _Units) -> _Units | None:
    """The best placement, None if that takes too long. Goes from slot to slot and keeps the best way to each state."""
    found = task.total(poured)
    aim = (task.wish, found) if found >= task.wish else (found, task.top)
    labels: _Labels = {(0, 0, False, (0, 0, 0)): (0, ())}
    looked = 0
    for stage in _make_stages(task):
        looked += len(labels) * len(stage.options)
        if looked > _PATIENCE:
            return None
        labels = _advance(labels, stage, aim, task.spread)
    ends = {placed: label for (placed, spread, *_), label in labels.items() if spread >= task.spread}
    _, units = ends[min(ends, key=task.miss)]
    return tuple(-each for each in units)


def _advance(labels: _Labels, stage: _Stage, aim: tuple[int, int], enough: int) -> _Labels:
    """The best ways to each state after one more slot, of those from which the aim can be reached."""
    after: _Labels = {}
    low, high = aim[0] - stage.rest, aim[1]
    for (placed, spread, some, left), (cost, units) in labels.items():
        pool, hardware, share = (rest if room is None else room for room, rest in zip(stage.rooms, left, strict=True))
        for size, price, added, tokens in stage.options:
            total = placed + tokens
            if total > high or size > pool or added > hardware or tokens > share:
                break
            if total < low:
                continue
            here = enough > 0 and (some or size > 0)
            spent = pool - size, hardware - added, share - tokens
            unused = tuple(map(min, spent, stage.needs))
            state = total, min(enough, spread + here) if stage.ends else spread, here and not stage.ends, unused
            label = cost + price, (*units, -size)
            if state not in after or label < after[state]:
                after[state] = label
    return after


def _make_stages(task: _Task) -> list[_Stage]:
    """The stages from the first slot to the last; made from the last, because each knows what the rest can need."""
    stages: list[_Stage] = []
    ahead: dict[object, int] = defaultdict(int)
    limits = [_find_limits(task, at) for at in range(len(task.slots))]
    rest, region = 0, ""
    for at in reversed(range(len(limits))):
        slot = task.slots[at]
        options = tuple(
            (size, task.cost(at, size), _added(slot, size), slot.tokens * size) for size in task.choices[at]
        )
        before = dict(limits[at - 1]) if at else {}
        stages.append(
            _Stage(
                options=options,
                rooms=tuple(None if limit in before else room for limit, room in limits[at]),
                needs=tuple(ahead[limit] for limit, _ in limits[at]),
                rest=rest,
                ends=slot.location != region,
            )
        )
        size, _, added, tokens = options[-1]
        for (limit, _), use in zip(limits[at], (size, added, tokens), strict=True):
            ahead[limit] += use
        rest, region = rest + tokens, slot.location
    return stages[::-1]


def _find_limits(task: _Task, at: int) -> tuple[tuple[object, int], ...]:
    """The pool, the hardware and the share that limit a slot, and how much there is of each. What does not limit it has
    a name that no other slot knows."""
    slot = task.slots[at]
    return (
        (slot.pool, task.rooms[slot.pool]) if slot.pool else (at, sys.maxsize),
        (slot.group, task.hardware[slot.group]) if slot.group in task.hardware else (at, sys.maxsize),
        (slot.location, task.share) if task.demand.most_share < 100 else (at, sys.maxsize),
    )


# What comes closest to letting a region have more, first.
_CLOSEST = tuple(Limit)


def _explain(task: _Task, units: _Units) -> Placement:
    fill = _Fill(task, units)
    notes = [_note(fill, at) for at in range(len(units))]
    notes.sort(key=lambda note: (note.slot.location, note.slot.rank, note.slot.account))
    regions = tuple(_sum_up(task, tuple(members)) for _, members in groupby(notes, key=lambda note: note.slot.location))
    return Placement(
        units={note.slot.key: note.units for note in notes},
        tokens=fill.placed,
        shortfall=max(0, task.wish - fill.placed),
        unmet=_find_unmet(task, regions),
        slots=tuple(notes),
        regions=regions,
    )


def _note(fill: _Fill, at: int) -> SlotNote:
    slot, units = fill.task.slots[at], fill.units[at]
    limit, needs, leaves = _find_limit(fill, at)
    choice = _compare(slot.held, units)
    return SlotNote(slot=slot, units=units, choice=choice, limit=limit, needs=needs, leaves=leaves)


def _compare(before: int, after: int) -> Choice:
    if before == after:
        return Choice.KEPT if after else Choice.PASSED
    if after < before:
        return Choice.SHRUNK if after else Choice.REMOVED
    return Choice.GROWN if before else Choice.NEW


def _find_limit(fill: _Fill, at: int) -> tuple[Limit, int, int]:
    """Why a slot has no more, what its next size takes and what is left of that. Nothing bars it from what it had."""
    task, slot, units = fill.task, fill.task.slots[at], fill.units[at]
    larger = _next_size(slot, units)
    if units >= slot.held:
        if not slot.pool:
            return Limit.UNSOLD, 0, 0
        if slot.barred:
            return Limit.BARRED, 0, 0
        if task.frozen:
            return Limit.REGIONS, task.demand.least_regions, len(task.quanta)
        if not larger:
            return Limit.LARGEST, 0, 0
    if found := fill.obstacle(at, larger):
        return found
    reason = Limit.REGIONS if units < slot.held and task.spread and _spreads(fill) else Limit.WISH
    return reason, slot.tokens * (larger - units), max(0, task.wish - fill.placed)


def _next_size(slot: Slot, units: int) -> int:
    """The next larger size of a deployment, what it had included; 0 if it is as large as it can be."""
    most = max(_first(slot), (units // slot.step + 1) * slot.step)
    larger = [size for size in _sizes(slot, max(most, *slot.allowed, 0)) if size > units]
    if slot.held > units:
        larger.append(slot.held)
    return min(larger, default=0)


def _spreads(fill: _Fill) -> bool:
    """Whether a region has some that had none."""
    had = {slot.location for slot in fill.task.slots if slot.held}
    return any(tokens and location not in had for location, tokens in fill.regions.items())


def _sum_up(task: _Task, notes: tuple[SlotNote, ...]) -> RegionNote:
    before = sum(note.slot.tokens * note.slot.held for note in notes)
    after = sum(note.slot.tokens * note.units for note in notes)
    return RegionNote(
        location=notes[0].slot.location,
        tokens=after,
        held=before,
        most=task.share if task.demand.most_share < 100 else None,
        choice=_compare(before, after),
        closest=min(notes, key=lambda note: _CLOSEST.index(note.limit)),
    )


def _find_unmet(task: _Task, regions: tuple[RegionNote, ...]) -> Limit | None:
    if task.frozen:
        return Limit.REGIONS
    full = [region for region in regions if region.closest.limit is Limit.SHARE]
    usable = [region for region in regions if region.tokens or region in full]
    if (
        full
        and sum(region.tokens for region in regions) < task.wish
        and (len(full) == len(usable) or len(usable) * task.share < task.wish)
    ):
        return Limit.SHARE
    return None
