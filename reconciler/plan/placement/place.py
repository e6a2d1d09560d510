"""The best placement there is, or a good one where there are too many."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.plan.placement.fill import pour
from reconciler.plan.placement.search import search
from reconciler.plan.placement.task import Task, Units
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
    task = Task(demand, slots, rooms)
    units = _solve(task)
    while task.total(units) != task.wish and (better := _solve(task.after(units))) != units:
        units = better  # more tokens than before, so that this ends
    return explain(task, units)


def _solve(task: Task) -> Units:
    poured = pour(task)
    if task.total(poured) == task.wish and poured == task.held:
        return poured
    return search(task, poured) or poured
