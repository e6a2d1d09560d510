"""The best placement there is, or a good one where there are too many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from reconciler.plan.placement.fill import pour
from reconciler.plan.placement.search import search
from reconciler.plan.placement.task import Task, Units, let_run, make_task
from reconciler.plan.placement.tell import explain
from reconciler.plan.placement.values import Demand, Placement, Rooms, Slot


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
    deployment grows by one unit of the same worth, and near elsewhere. Placed again upon its own result nothing moves.
    """
    task = make_task(demand, slots, rooms)
    units = _solve(task)
    while task.total(units) != task.wish:
        again = _solve(make_task(demand, let_run(task.slots, units), rooms))
        if again == units:
            break
        units = again  # closer to what is wanted, so that this ends
    return explain(demand, task, units)


def _solve(task: Task) -> Units:
    poured = pour(task)
    if task.total(poured) == task.wish and poured == task.held:
        return poured
    return search(task, poured) or _mend(task, poured)


def _mend(task: Task, units: Units) -> Units:
    """A placement that is not what is wanted, each region searched by itself. Where all of them together have not
    enough none takes anything from another, so that nothing is lost by that."""
    for places in _find_regions(task):
        part = task.part(places, units)
        before = units[places]
        total = part.total(before)
        if total == part.wish or total == min(part.share, part.ceiling):
            continue
        after = search(part, before) or before
        if any(after) or not task.spread:
            units = (*units[: places.start], *after, *units[places.stop :])
    return units


def _find_regions(task: Task) -> Iterator[slice]:
    """Which slots lie in the same region, one region after the other."""
    for _, members in groupby(range(len(task.slots)), key=lambda at: task.slots[at].location):
        first, *rest = members
        yield slice(first, first + len(rest) + 1)
