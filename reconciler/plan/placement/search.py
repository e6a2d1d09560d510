"""The best placement of all: from slot to slot, the best way to each state in which the rest can go on."""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass

from reconciler.plan.placement.task import Task, Units, count_added

# A search that would look at more than these combinations of a way so far and what the next slot may have is given up:
# a tenth of a second or less.
_PATIENCE = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What a search knows about the slot `at` which it has come to.

    Its three limits are the pool, the hardware and the region's share. `rooms` is what there is of a limit that begins
    with this slot, None of one that goes on. `needs` is the most that the slots after it can use of each, `rest` the
    most tokens that they can have, and `hope` what they cost at least. A region `ends` with its last slot.
    """

    at: int
    rooms: tuple[int | None, ...]
    needs: tuple[int, ...]
    rest: int
    hope: int
    ends: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Aim:
    """What a better placement than the one that is known has: tokens from `low` to `high`, and no higher `cost`."""

    low: int
    high: int
    cost: int


# Tokens placed, regions that have some, whether the region at hand is one of them, and what is left of each limit at
# hand: never more than can be needed, so that what makes no difference makes no second state.
_State = tuple[int, int, bool, tuple[int, ...]]
_Label = tuple[int, Units]  # a cost, and the units of each slot negated: what is first by name has more
_Labels = dict[_State, _Label]


def search(task: Task, poured: Units) -> Units | None:
    """The best placement, None if that takes too long. Goes from slot to slot and keeps the best way to each state."""
    aim = _find_aim(task, poured)
    labels: _Labels = {(0, 0, False, (0, 0, 0)): (0, ())}
    looked, ahead = 0, sum(map(len, task.choices))
    for stage in _make_stages(task):
        if looked + len(labels) * ahead > _PATIENCE:  # if there will be no fewer ways than there are now
            return None
        looked += len(labels) * len(task.choices[stage.at])
        ahead -= len(task.choices[stage.at])
        labels = _advance(task, labels, stage, aim)
    ends = {placed: label for (placed, spread, *_), label in labels.items() if spread >= task.spread}
    _, units = ends[min(ends, key=task.miss)]
    return tuple(-each for each in units)


def _find_aim(task: Task, known: Units) -> _Aim:
    """Costs can only be compared once it is certain that the total cannot be better."""
    total = task.total(known)
    compared = known if total == task.wish else (0,) * len(known)  # nothing costs more than to have nothing
    cost = sum(map(task.cost, range(len(known)), compared))
    if total < task.wish:
        return _Aim(low=total, high=task.top, cost=cost)
    return _Aim(low=task.wish, high=total, cost=cost)


def _advance(task: Task, labels: _Labels, stage: _Stage, aim: _Aim) -> _Labels:
    """The best ways to each state after one more slot, of those from which the aim can be reached."""
    after: _Labels = {}
    slot, enough = task.slots[stage.at], task.spread
    options = [
        (size, task.cost(stage.at, size), count_added(slot, size), slot.tokens * size)
        for size in task.choices[stage.at]
    ]
    low, high, highest = aim.low - stage.rest, aim.high, aim.cost - stage.hope
    for (placed, spread, some, left), (cost, units) in labels.items():
        pool, hardware, share = (rest if room is None else room for room, rest in zip(stage.rooms, left, strict=True))
        for size, price, added, tokens in options:
            total = placed + tokens
            if total > high or size > pool or added > hardware or tokens > share:
                break
            if total < low or cost + price > highest:
                continue
            here = enough > 0 and (some or size > 0)
            spent = pool - size, hardware - added, share - tokens
            unused = tuple(map(min, spent, stage.needs))
            state = total, min(enough, spread + here) if stage.ends else spread, here and not stage.ends, unused
            label = cost + price, (*units, -size)
            if state not in after or label < after[state]:
                after[state] = label
    return after


def _make_stages(task: Task) -> list[_Stage]:
    """The stages from the first slot to the last; made from the last, because each knows what the rest can need."""
    stages: list[_Stage] = []
    ahead: dict[object, int] = defaultdict(int)
    limits = [_find_limits(task, at) for at in range(len(task.slots))]
    rest, hope, region = 0, 0, ""
    for at in reversed(range(len(limits))):
        slot = task.slots[at]
        before = dict(limits[at - 1]) if at else {}
        stages.append(
            _Stage(
                at=at,
                rooms=tuple(None if limit in before else room for limit, room in limits[at]),
                needs=tuple(ahead[limit] for limit, _ in limits[at]),
                rest=rest,
                hope=hope,
                ends=slot.location != region,
            )
        )
        size = task.choices[at].most
        tokens = slot.tokens * size
        for (limit, _), use in zip(limits[at], (size, count_added(slot, size), tokens), strict=True):
            ahead[limit] += use
        rest, hope, region = rest + tokens, hope + task.cost(at, size), slot.location
    return stages[::-1]


def _find_limits(task: Task, at: int) -> tuple[tuple[object, int], ...]:
    """The pool, the hardware and the region's share that a slot may use, and how much there is of each."""
    slot = task.slots[at]
    return (
        (slot.pool, task.rooms[slot.pool] if slot.pool else sys.maxsize),
        (slot.group, task.hardware.get(slot.group, sys.maxsize)),
        (slot.location, task.share),
    )
