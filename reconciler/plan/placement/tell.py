"""Why each slot and each region has what it has, and no more."""

from __future__ import annotations

from itertools import groupby

from reconciler.plan.placement.fill import Fill
from reconciler.plan.placement.sizes import find_first
from reconciler.plan.placement.task import Task, Units
from reconciler.plan.placement.values import Choice, Demand, Limit, Placement, RegionNote, Slot, SlotNote

_CLOSEST = tuple(Limit)


def explain(demand: Demand, task: Task, units: Units) -> Placement:
    """What becomes of every slot and region, in people's order."""
    fill = Fill(task, units)
    notes = [_note(demand, fill, at) for at in range(len(units))]
    notes.sort(key=lambda note: (note.slot.location, note.slot.rank, note.slot.account))
    regions = tuple(
        _sum_up(demand, task, tuple(members)) for _, members in groupby(notes, key=lambda note: note.slot.location)
    )
    return Placement(
        units={note.slot.key: note.units for note in notes},
        tokens=fill.placed,
        shortfall=max(0, demand.tokens - fill.placed),
        unmet=_find_unmet(demand, task, regions),
        slots=tuple(notes),
        regions=regions,
    )


def _note(demand: Demand, fill: Fill, at: int) -> SlotNote:
    slot, units = fill.task.slots[at], fill.units[at]
    limit, needs, leaves = _find_limit(demand, fill, at)
    choice = compare(slot.held, units)
    return SlotNote(slot=slot, units=units, choice=choice, limit=limit, needs=needs, leaves=leaves)


def compare(before: int, after: int) -> Choice:
    """What becomes of what had so much and shall have so much."""
    if before == after:
        return Choice.KEPT if after else Choice.PASSED
    if after < before:
        return Choice.SHRUNK if after else Choice.REMOVED
    return Choice.GROWN if before else Choice.NEW


def _find_limit(demand: Demand, fill: Fill, at: int) -> tuple[Limit, int, int]:
    """Why a slot has no more, what its next size takes and what is left of that. Nothing bars it from what it had."""
    task, slot, units = fill.task, fill.task.slots[at], fill.units[at]
    larger = _next_size(slot, units)
    if units >= slot.held:
        if not slot.pool:
            return Limit.UNSOLD, 0, 0
        if slot.barred:
            return Limit.BARRED, 0, 0
        if task.frozen:
            return Limit.REGIONS, demand.least_regions, task.able
        if not larger:
            return Limit.LARGEST, 0, 0
    if found := fill.obstacle(at, larger):
        return found
    reason = Limit.REGIONS if units < slot.held and task.spread and _spreads(fill) else Limit.WISH
    return reason, slot.tokens * (larger - units), max(0, demand.tokens - fill.placed)


def _next_size(slot: Slot, units: int) -> int:
    """The next larger size of a deployment, what it had included; 0 if it is as large as it can be."""
    steps = slot.allowed or (max(find_first(slot), (units // slot.step + 1) * slot.step),)
    sizes = {size for size in steps if slot.most is None or size <= slot.most} | {slot.held}
    return min((size for size in sizes if size > units), default=0)


def _spreads(fill: Fill) -> bool:
    """Whether a region has some that had none."""
    had = {slot.location for slot in fill.task.slots if slot.held}
    return any(tokens and location not in had for location, tokens in fill.regions.items())


def _sum_up(demand: Demand, task: Task, notes: tuple[SlotNote, ...]) -> RegionNote:
    before = sum(note.slot.tokens * note.slot.held for note in notes)
    after = sum(note.slot.tokens * note.units for note in notes)
    return RegionNote(
        location=notes[0].slot.location,
        tokens=after,
        held=before,
        most=task.share if demand.most_share < 100 else None,
        choice=compare(before, after),
        closest=min(notes, key=lambda note: _CLOSEST.index(note.limit)),
    )


def _find_unmet(demand: Demand, task: Task, regions: tuple[RegionNote, ...]) -> Limit | None:
    if task.frozen:
        return Limit.REGIONS
    full = [region for region in regions if region.closest.limit is Limit.SHARE]
    usable = [region for region in regions if region.tokens or region in full]
    missing = sum(region.tokens for region in regions) < demand.tokens
    if missing and full and (len(full) == len(usable) or len(usable) * task.share < demand.tokens):
        return Limit.SHARE
    return None
