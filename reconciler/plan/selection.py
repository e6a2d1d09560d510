"""--target and -l: which resources a person meant, with everything they stand on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from reconciler.kinds.pool_relations import find_accounts
from reconciler.model.ids import ArmId, Ref
from reconciler.model.resource import Desired, Fleet
from reconciler.model.wish import QuotaWish
from reconciler.plan.cells import find_wishes


class NothingSelectedError(ValueError):
    """A target or selector matched no document; the message says what comes close."""


def select(fleets: Iterable[Fleet], targets: Iterable[str], labels: Mapping[str, str]) -> frozenset[ArmId]:
    """The ids of the documents named by `targets` (`Account/a`, a child's `Account/a/deployments/d`, or an ARM id) that
    carry all `labels`, with what is declared below them and what they need."""
    wanted = tuple(targets)
    desired: dict[ArmId, Desired | QuotaWish] = {}
    for fleet in fleets:
        desired |= {**fleet.desired, **dict(_find_possible(fleet))}
        desired |= {each.id: each for each in fleet.wishes if isinstance(each, QuotaWish)}
    for target in wanted:
        if not any(_names(each, target) for each in desired.values()):
            close = get_close_matches(target, sorted(str(each.ref) for each in desired.values()), n=1)
            raise NothingSelectedError(
                f"--target {target} names no document" + (f"; did you mean {close[0]}?" if close else "")
            )
    chosen = {
        each.id
        for each in desired.values()
        if (not wanted or any(_names(each, target) for target in wanted)) and labels.items() <= each.labels.items()
    }
    if not chosen:
        pairs = ",".join(f"{key}={value}" for key, value in labels.items())
        raise NothingSelectedError(f"-l {pairs} matches no document")
    return frozenset(_with_needs(chosen, desired))


def _find_possible(fleet: Fleet) -> Iterator[tuple[ArmId, Desired]]:
    """The deployments that pools of models may become, as if all of them were declared."""
    for wish in find_wishes(fleet):
        for account in find_accounts(wish, fleet.desired):
            for name in dict.fromkeys((*wish.names.values(), *wish.left.values())):
                id = account.id.child("deployments", name)
                if id not in fleet.desired:
                    ref = Ref(kind=wish.ref.kind, name=f"{wish.ref.name}/{account.ref.name}/{name}")
                    needs = (account.id,)
                    yield id, Desired(id=id, ref=ref, fields={}, needs=needs, origin=wish.origin, labels=wish.labels)


def _names(desired: Desired | QuotaWish, target: str) -> bool:
    return names(desired.ref, desired.id, target)


def names(ref: Ref, id: ArmId, target: str) -> bool:
    """Whether `target` means a resource, or what it lies in."""
    folded = target.lower()
    # An id is taken in any case and with doubled slashes, as ARM takes it.
    path = re.sub("/+", "/", folded).rstrip("/")
    return f"{ref}/".lower().startswith(folded + "/") or f"{id.key}/".startswith(path + "/")


def _with_needs(chosen: set[ArmId], desired: Mapping[ArmId, Desired | QuotaWish]) -> set[ArmId]:
    reached: set[ArmId] = set()
    frontier = list(chosen)
    while frontier:
        id = frontier.pop()
        if id in reached or id not in desired:
            continue
        reached.add(id)
        each = desired[id]
        frontier.extend(each.needs if isinstance(each, Desired) else ())
    return reached
