"""How full everything is while units are given out, and a good placement that is found by pouring."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from reconciler.plan.placement.task import Task, Units, count_added
from reconciler.plan.placement.values import Limit


class Fill:
    """How full everything is while units are given out: what is left of each pool, of the hardware for each type in it
    and of each region's share, and how many tokens are placed."""

    def __init__(self, task: Task, units: Iterable[int] = ()) -> None:
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
            self._hardware[slot.group] -= count_added(slot, units) - count_added(slot, before)

    def space(self, at: int) -> int:
        """The largest size of a slot that still fits, and is not more than is wanted."""
        slot, now = self.task.slots[at], self.units[at]
        tokens = min(self.task.share - self.regions[slot.location], self.task.wish - self.placed)
        most = now + max(0, tokens) // max(1, slot.tokens)
        if slot.pool:
            most = min(most, now + self._pools[slot.pool])
        if slot.group in self._hardware:
            most = min(most, max(now, slot.held) + self._hardware[slot.group])
        return self.task.choices[at].not_above(most)

    def obstacle(self, at: int, units: int) -> tuple[Limit, int, int] | None:
        """What keeps a slot from having so many units, how much more of it that takes and how much is left."""
        slot, now = self.task.slots[at], self.units[at]
        added, more = count_added(slot, units) - count_added(slot, now), units - now
        if slot.pool and more > (left := self._pools[slot.pool]):
            return Limit.QUOTA, more, left
        if added > (left := self._hardware.get(slot.group, added)):
            return Limit.HARDWARE, added, left
        if slot.tokens * more > (left := self.task.share - self.regions[slot.location]):
            return Limit.SHARE, slot.tokens * more, left
        return None


def pour(task: Task) -> Units:
    """A good placement: what runs first, then what is liked best, as much as fits each time."""
    fill = _fill_up(task, {})
    if fill.spread < task.spread:
        fill = _fill_up(task, _find_floors(task, fill))
    now = Fill(task, task.held)
    if now.sound and task.miss(now.placed) <= task.miss(fill.placed):
        return tuple(now.units)
    return tuple(fill.units)


def _fill_up(task: Task, floors: Mapping[int, int]) -> Fill:
    """Everything poured out, above the floors of some slots."""
    fill, slots = Fill(task), task.slots
    for at, units in floors.items():
        fill.put(at, units)
    running = (at for at, slot in enumerate(slots) if slot.held)
    for at in sorted(running, key=lambda at: (slots[at].rank, slots[at].held, at)):
        fill.put(at, max(fill.units[at], min(fill.space(at), slots[at].held)))
    for rank in task.ranks:
        liked = [at for at, slot in enumerate(slots) if slot.rank == rank]
        for at in sorted(liked, key=lambda at: (not slots[at].held, -fill.space(at), at)):
            fill.put(at, max(fill.units[at], fill.space(at)))
    _gather(fill)
    _top_up(fill)
    return fill


def _gather(fill: Fill) -> None:
    """Have fewer deployments change: what one was given goes to others as well liked that change anyway."""
    slots, placed, spread = fill.task.slots, fill.placed, fill.spread
    grown = {at: each for at, each in enumerate(fill.units) if each > slots[at].held}
    for at in sorted(grown, key=lambda at: (slots[at].held > 0, grown[at] - slots[at].held, at)):
        before = tuple(fill.units)
        fill.put(at, slots[at].held)
        for other in grown:
            if other != at and slots[other].rank == slots[at].rank and fill.units[other] > slots[other].held:
                fill.put(other, max(fill.units[other], fill.space(other)))
        if fill.placed < placed or fill.spread < spread:
            for each, units in enumerate(before):
                fill.put(each, units)


def _top_up(fill: Fill) -> None:
    """Place the least more than is wanted, where it cannot be hit."""
    task = fill.task
    if fill.placed >= task.wish:
        return
    steps = []
    for at, (slot, now) in enumerate(zip(task.slots, fill.units, strict=True)):
        larger = task.choices[at].above(now)
        placed = fill.placed + slot.tokens * (larger - now)
        if larger and placed <= task.top and not fill.obstacle(at, larger):
            steps.append((placed, task.cost(at, larger) - task.cost(at, now), at, larger))
    if steps:
        *_, at, units = min(steps)
        fill.put(at, units)


def _find_floors(task: Task, fill: Fill) -> dict[int, int]:
    """The least that may be placed in as many regions as there have to be, by slot."""
    floors: dict[str, tuple[int, bool, bool, int, int]] = {}
    for at, (slot, choice) in enumerate(zip(task.slots, task.choices, strict=True)):
        if choice.most:
            floor = slot.tokens * choice.above(0), not fill.regions[slot.location], not slot.held, slot.rank, at
            floors[slot.location] = min(floor, floors.get(slot.location, floor))
    cheapest = sorted(floors.values())[: task.spread]
    return {at: task.choices[at].above(0) for *_, at in cheapest}
