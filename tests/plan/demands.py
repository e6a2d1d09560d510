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
# Tokens per unit; the least, the step, the sizes that are allowed: mostly one by one, as nearly everything is sold.
_WORTHS = (1000, 1000, 1000, 1000, 2000, 6000)
_STEPS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (1, 1, ()),
    (1, 1, ()),
    (3, 1, ()),
    (4, 2, ()),
    (1, 1, (2, 5, 7)),
)


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


def make_case(chance: Random, *, plain: bool = False, few: bool = False) -> Case:
    """A small one, or one of very `few` slots and units; `plain` ones are sold unit by unit, all worth the same, with
    all the hardware in the world."""
    skus = LIKED[: chance.randint(1, 3)]
    terms = {sku: (1000, 1, 1, (), None) if plain else _make_terms(chance) for sku in skus}
    slots: list[Slot] = []
    left: dict[PoolKey, int] = {}
    for location in "abcd"[: chance.randint(1, 4)]:
        left |= {(location, sku): chance.randint(-2, 12) for sku in skus}
        for number in range(chance.randint(1, 2)):
            for rank, sku in enumerate(skus):
                tokens, least, step, allowed, most = terms[sku]
                pool = location, sku if plain or chance.random() < 0.95 else skus[0]
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
                        most=most,
                        held=chance.randint(1, 8) if chance.random() < 0.35 else 0,
                        hardware=chance.randint(0, 6) if not plain and chance.random() < 0.15 else None,
                        barred="retires soon" if chance.random() < 0.07 else "",
                    )
                )
    some = tuple(chance.sample(slots, min(4 if few else 12, len(slots))))
    return Case(demand=_make_demand(chance, 7 if few else 40), slots=some, rooms=left)


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


def _make_terms(chance: Random) -> tuple[int, int, int, tuple[int, ...], int | None]:
    least, step, allowed = chance.choice(_STEPS)
    return chance.choice(_WORTHS), least, step, allowed, chance.choice((None, None, None, 5))


def _make_demand(chance: Random, units: int) -> Demand:
    return Demand(
        tokens=chance.randint(0, units) * 1000 + chance.choice((0, 0, 500)),
        most_share=chance.choice((100, 100, 60, 50, 34)),
        least_regions=chance.choice((1, 1, 2, 3)),
    )
