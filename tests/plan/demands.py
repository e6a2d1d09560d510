"""Demands for tests of placements: slots by hand, and cases by chance that are small and have everything in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from reconciler.plan.placement import Choice, Demand, Limit, Placement, RegionNote, Slot, SlotNote, place
from reconciler.plan.quota import PoolKey
from tests.support.builders import account_id

LIKED = ("DataZoneStandard", "GlobalStandard", "Standard")  # the best first


def slot(account: str = "a1", sku: str = LIKED[0], **more: Any) -> Slot:
    """Sold one unit by one, each worth 1,000 tokens; an account `b2` is in region `b`."""
    location = account.rstrip("0123456789")
    more = {"pool": (location, sku.lower()), "tokens": 1000, "rank": LIKED.index(sku), **more}
    return Slot(account=account_id(account), location=location, sku=sku, **more)


def rooms(units: int = 100, **of: int) -> dict[PoolKey, int]:
    """So many units in every pool; those of the best liked type in the regions that are named have others."""
    every = {(location, sku.lower()): units for location in "abcdef" for sku in LIKED}
    return {**every, **{(location, LIKED[0].lower()): left for location, left in of.items()}}


def demand(units: int, **more: Any) -> Demand:
    return Demand(tokens=units * 1000, **more)


def told(placement: Placement) -> dict[str, int]:
    """What is placed, by account, and by type but for the best liked."""
    return {_name(note.slot): note.units for note in placement.slots if note.units}


def note_of(placement: Placement, account: str, sku: str = LIKED[0]) -> SlotNote:
    (found,) = [note for note in placement.slots if note.slot.key == (account_id(account), sku)]
    return found


def why(placement: Placement, account: str, sku: str = LIKED[0]) -> tuple[Choice, Limit, int, int]:
    note = note_of(placement, account, sku)
    return note.choice, note.limit, note.needs, note.leaves


def region_of(placement: Placement, location: str) -> RegionNote:
    (found,) = [region for region in placement.regions if region.location == location]
    return found


def _name(slot: Slot) -> str:
    return slot.account.name if slot.sku == LIKED[0] else f"{slot.account.name} {slot.sku}"


@dataclass(frozen=True, kw_only=True)
class Case:
    demand: Demand
    slots: tuple[Slot, ...]
    rooms: Mapping[PoolKey, int]

    def place(self) -> tuple[Placement, tuple[int, ...]]:
        """The placement, and its units in the order of the slots."""
        placement = place(self.demand, self.slots, self.rooms)
        return placement, tuple(placement.units[each.key] for each in self.slots)

    def after(self, units: tuple[int, ...]) -> Case:
        """The same when so much runs. Hardware that was taken is there no longer; what is still there is for all."""
        taken: dict[tuple[PoolKey | None, str], int] = {}
        for each, size in zip(self.slots, units, strict=True):
            taken[each.group] = taken.get(each.group, 0) + max(0, size - each.held)
        slots = tuple(
            replace(each, held=size, hardware=None if each.hardware is None else each.hardware - taken[each.group])
            for each, size in zip(self.slots, units, strict=True)
        )
        return replace(self, slots=slots)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large cases are: at most so many regions, slots, units of room in a pool and units of a wish; and which sizes
    deployments come in, by tokens per unit, least, step, and what is allowed."""

    regions: str = "abcd"
    slots: int = 12
    room: int = 12
    wish: int = 40
    sizes: tuple[tuple[int, int, int, tuple[int, ...]], ...] = (
        *((1000, 1, 1, ()),) * 8,
        *((1000, 3, 1, ()), (1000, 4, 2, ()), (1000, 1, 1, (2, 5, 7))) * 2,
        *((2000, 1, 1, ()), (6000, 1, 1, ()), (2000, 3, 1, ()), (6000, 1, 1, (2, 5, 7))),
    )


SMALL = Scale()
TINY = Scale(slots=4, wish=7)
PLAIN = Scale(sizes=((1000, 1, 1, ()),))
LARGE = Scale(
    regions="abcdefghij",
    slots=40,
    room=120,
    wish=600,
    sizes=((1000, 1, 1, ()), (1000, 15, 5, ()), (1000, 50, 50, ()), (6000, 1, 1, ()), (1000, 1, 1, (20, 50, 70))),
)


def make_case(chance: Random, scale: Scale = SMALL) -> Case:
    skus = LIKED[: chance.randint(1, 3)]
    sizes = {sku: chance.choice(scale.sizes) for sku in skus}
    most = {sku: chance.choice((None, None, None, scale.room // 2)) for sku in skus}
    slots: list[Slot] = []
    left: dict[PoolKey, int] = {}
    for location in scale.regions[: chance.randint(1, len(scale.regions))]:
        left |= {(location, sku): chance.randint(-2, scale.room) for sku in skus}
        there = {sku: chance.choice((None, None, None, None, None, chance.randint(0, scale.room // 2))) for sku in skus}
        for number in range(chance.randint(1, 2)):
            for rank, sku in enumerate(skus):
                tokens, least, step, allowed = sizes[sku]
                pool = location, sku if chance.random() < 0.95 else skus[0]
                slots.append(
                    Slot(
                        account=account_id(f"{location}{number}"),
                        location=location,
                        sku=sku,
                        rank=rank,
                        pool=None if chance.random() < 0.07 else pool,
                        tokens=tokens,
                        least=least,
                        step=step,
                        allowed=allowed,
                        most=most[sku],
                        held=chance.randint(1, scale.room * 2 // 3) if chance.random() < 0.35 else 0,
                        hardware=there[sku],
                        barred="retires soon" if chance.random() < 0.07 else "",
                    )
                )
    some = tuple(chance.sample(slots, min(scale.slots, len(slots))))
    return Case(demand=_make_demand(chance, scale.wish), slots=some, rooms=left)


def change(case: Case, chance: Random) -> Case:
    """Something small has happened: a limit was cut or raised, the wish is another, a region or an account is lost."""
    kind = chance.randrange(4)
    if kind == 0:
        pool = chance.choice(sorted(case.rooms))
        return replace(case, rooms={**case.rooms, pool: case.rooms[pool] + chance.choice((-4, -2, -1, 2))})
    if kind == 1:
        tokens = max(0, case.demand.tokens + chance.choice((-6000, -2000, -500, 1000, 3000)))
        return replace(case, demand=replace(case.demand, tokens=tokens))
    if kind == 2:
        lost = chance.choice(case.slots).location
        return replace(case, rooms={pool: 0 if pool[0] == lost else units for pool, units in case.rooms.items()})
    lost_account = chance.choice(case.slots).account
    return replace(case, slots=tuple(each for each in case.slots if each.account != lost_account) or case.slots)


def _make_demand(chance: Random, units: int) -> Demand:
    return Demand(
        tokens=chance.randint(0, units) * 1000 + chance.choice((0, 0, 500)),
        most_share=chance.choice((100, 100, 60, 50, 34)),
        least_regions=chance.choice((1, 1, 2, 3)),
    )
