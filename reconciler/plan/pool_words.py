"""Why a pool of a model is where it is, in sentences for people. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.wish import PoolWish
from reconciler.plan.placement import Choice, Limit, Placement, RegionNote, SlotNote


def tell_share(wish: PoolWish, tokens: int) -> str:
    """`120,000 of the 3,000,000 tokens per minute that ModelPool/chat wants`."""
    return f"{tokens:,} of the {wish.tokens:,} tokens per minute that {wish.ref} wants"


def tell_slot(wish: PoolWish, note: SlotNote, others: Iterable[SlotNote]) -> str:
    """Why a deployment has as much as it shall have."""
    share = tell_share(wish, note.slot.tokens * note.units)
    if note.choice is Choice.SHRUNK:
        return f"{share}: {_tell_less(wish, note)}"
    if note.choice not in (Choice.NEW, Choice.GROWN) or not note.slot.rank:
        return share
    liked = [each for each in others if each.slot.rank < note.slot.rank and not _has_enough(wish, each)]
    here = [each for each in liked if each.slot.location == note.slot.location] or liked
    if not here:
        return share
    return f"{share}; {here[0].slot.sku} is liked better, but {tell_limit(wish, here[0])}"


def tell_gone(wish: PoolWish, note: SlotNote) -> str:
    """Why a deployment is not needed any more."""
    return f"{wish.ref} needs nothing here any more: {_tell_less(wish, note)}"


def _has_enough(wish: PoolWish, note: SlotNote) -> bool:
    """Whether nothing but the wish itself keeps a slot from having more; the share of all is all of it."""
    return note.limit is Limit.WISH or (note.limit is Limit.SHARE and wish.most_share == 100)


def _tell_less(wish: PoolWish, note: SlotNote) -> str:
    if _has_enough(wish, note):
        return f"it has the {wish.tokens:,} tokens per minute that it wants without it"
    return tell_limit(wish, note)


def tell_region(wish: PoolWish, note: RegionNote) -> str:
    """Why a region has no more."""
    closest = note.closest
    if _has_enough(wish, closest):
        return "" if note.tokens else "all that is wanted is elsewhere"
    return tell_limit(wish, closest)


def tell_limit(wish: PoolWish, note: SlotNote) -> str:
    """What keeps a slot from having more."""
    slot = note.slot
    if slot.barred and note.limit in (Limit.BARRED, Limit.UNSOLD):
        return slot.barred
    version = f" {wish.version}" if wish.version else ""
    unsold = f"{slot.location} does not sell {wish.model}{version} as {slot.sku}"
    words = {
        Limit.WISH: "no more is wanted",
        Limit.SHARE: f"{slot.location} has the {wish.most_share} % that one region may have",
        Limit.QUOTA: f"{slot.location} has {max(0, note.leaves):,} units of quota left for {slot.sku}",
        Limit.HARDWARE: f"Azure has no hardware for more of {slot.sku} in {slot.location}",
        Limit.LARGEST: f"a deployment of {slot.sku} in {slot.location} cannot be larger",
        Limit.REGIONS: f"minRegions is {wish.least_regions}, and fewer regions can have some",
        Limit.BARRED: unsold,
        Limit.UNSOLD: unsold,
    }
    return words[note.limit]


def tell_pool(wish: PoolWish, placement: Placement) -> str:
    """What keeps the whole wish from being met, "" where its regions say that."""
    if placement.unmet is Limit.REGIONS:
        return f"minRegions is {wish.least_regions}, and fewer regions can have some: nothing is added"
    if placement.unmet is Limit.SHARE:
        return f"maxSharePerRegion is {wish.most_share}, and too few regions have room for all of it"
    return ""
