"""Soft-deleted accounts as people ask about them: how old, whose, what they may hold, what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.finding import Fault
from reconciler.model.quota import Pool
from reconciler.model.resource import DeletedAccount


@dataclass(frozen=True, slots=True, kw_only=True)
class Burial:
    """One account. `age` and `left`, until Azure purges it by itself, are seconds, None where Azure does not say;
    `left` is negative where it is overdue. `pools` are those of its region of which something is used that belongs to
    nobody alive: it may hold all of that, or nothing; None where they could not be read. `fate` is what the next run of
    `fleet` does with it, or why nothing."""

    deleted: DeletedAccount
    name: str
    fleet: str = ""
    age: float | None = None
    left: float | None = None
    pools: tuple[Pool, ...] | None = None
    fate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graveyard:
    """All of a subscription, with the `fleets` that it was looked at for, and what could not be read."""

    subscription: str
    fleets: tuple[str, ...] = ()
    burials: tuple[Burial, ...] = ()
    unread: tuple[tuple[str, Fault], ...] = ()
