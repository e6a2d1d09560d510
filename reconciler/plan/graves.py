"""Soft-deleted accounts: what they are called, whose they were, and why Fleet spec.purge leaves one alone. Pure."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase

from reconciler.model.ids import ArmId, fold_location
from reconciler.model.moment import read_time, show_time
from reconciler.model.resource import DeletedAccount, Fleet, PurgeWhen, Snapshot

ALIVE = ("openai", "aiservices")  # the kinds of accounts that can have deployments
NEEDS_WORD = "add purge to spec.allow of the Fleet"


def find_place(deleted: DeletedAccount) -> ArmId:
    """The id under which Azure keeps it, which is not the one that it had alive."""
    return ArmId(
        subscription=deleted.id.subscription,
        provider="Microsoft.CognitiveServices",
        segments=(
            ("locations", fold_location(deleted.location)),
            ("resourceGroups", deleted.id.group),
            ("deletedAccounts", deleted.id.name),
        ),
    )


def by_age(deleted: DeletedAccount) -> tuple[float, ArmId]:
    """Orders accounts, the one deleted first before the others."""
    return read_time(deleted.deleted_at) or 0.0, deleted.id


def may_hold(deleted: DeletedAccount) -> bool:
    """Whether it is of a kind that can have deployments."""
    return str(deleted.wire.get("kind") or "OpenAI").lower() in ALIVE


def tell_owner(deleted: DeletedAccount) -> str:
    return f"of fleet {deleted.owner}" if deleted.owner else "that no fleet owned"


def spares(fleet: Fleet, deleted: DeletedAccount, now: float) -> str:
    """Why spec.purge does not cover an account, "" where it does. `now` are epoch seconds."""
    policy = fleet.policy.purge
    if policy.when is PurgeWhen.NEVER:
        return "Fleet spec.purge is never"
    if deleted.owner and deleted.owner != fleet.name:
        return f"it was fleet {deleted.owner}'s"
    name = deleted.id.name.lower()
    if not deleted.owner and not any(fnmatchcase(name, pattern) for pattern in policy.names):
        return "it did not carry this fleet's tag, nor does Fleet spec.purge.names name it"
    since = read_time(deleted.deleted_at)
    if since is None:
        return "Azure does not say when it was deleted"
    if since + policy.minimum_age > now:
        return f"it may be purged from {show_time(since + policy.minimum_age)} on (Fleet spec.purge.minimumAge)"
    return ""


def find_purged(fleet: Fleet, snapshot: Snapshot) -> frozenset[str]:
    """The folded regions in which spec.purge covers an account that may hold quota."""
    free = (each for each in snapshot.deleted.values() if each.id not in fleet.desired and may_hold(each))
    return frozenset(fold_location(each.location) for each in free if not spares(fleet, each, snapshot.taken_at))


class Names:
    """What soft-deleted accounts are called: by their group as well, where two have one name."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._times = Counter(id.name.lower() for id in snapshot.deleted)

    def of(self, deleted: DeletedAccount) -> str:
        name = deleted.id.name
        return name if self._times[name.lower()] < 2 else f"{deleted.id.group}/{name}"
