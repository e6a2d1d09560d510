"""Capacities that take what there is: as much as is wanted, never less than their floor, in whole steps. Pure.

They are served when everybody else has what they asked for, and nobody else's shortage ever makes them smaller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.kinds import deployment
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, DecisionState, FieldChange, Step
from reconciler.model.resource import LiveState
from reconciler.plan.draft import Draft, Drafts, name_wish
from reconciler.plan.quota import Books

_PATH = "sku.capacity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A write that may bring about less than it says: it asks for `wanted`, and `least` will do, in whole steps, or in
    one of the capacities that are `allowed`."""

    wanted: int
    least: int
    step: int
    allowed: tuple[int, ...] = ()

    def fit(self, units: int, available: int) -> int | None:
        """The capacity that there is room for where the write adds `units`; None where that will not do."""
        has = self.wanted - units
        room = has + available
        sizes = [each for each in self.allowed if each <= room] if self.allowed else [room // self.step * self.step]
        most = max(has, *sizes)
        return most if most >= self.least else None


def find_stretches(books: Books, drafts: Drafts, steps: Iterable[Step]) -> Mapping[str, Stretch]:
    """The steps that write an elastic capacity, by their names."""
    found: dict[str, Stretch] = {}
    for step in steps:
        draft, wanted = drafts.get(step.id), step.fields.get(_PATH)
        if draft is None or not is_elastic(draft) or not isinstance(wanted, int):
            continue
        assert draft.desired is not None
        assert draft.desired.floor is not None
        terms = books.terms_of(books.wanted(draft, drafts).offer)
        least, pace, allowed = (terms.least, terms.step, terms.allowed) if terms else (1, 1, ())
        least = min(wanted, max(draft.desired.floor, least))
        found[step.name] = Stretch(wanted=wanted, least=least, step=pace, allowed=allowed)
    return found


def is_elastic(draft: Draft) -> bool:
    return draft.desired is not None and draft.desired.floor is not None


def restrain(books: Books, drafts: Drafts) -> dict[ArmId, Draft]:
    """What asks for more of a pool that nothing is known about keeps to what it has, or begins with its floor."""
    found: dict[ArmId, Draft] = {}
    for id, draft in drafts.items():
        if not draft.acts or not is_elastic(draft) or books.pool_of(books.wanted(draft, drafts)) is not None:
            continue
        assert draft.desired is not None
        assert draft.desired.floor is not None
        had = deployment.read_held(draft.live)[_PATH] if draft.live and draft.action is not Action.REPLACE else 0
        wanted, least = draft.desired.fields[_PATH], draft.desired.floor
        kept = max(had if isinstance(had, int) else 0, least)
        if isinstance(wanted, int) and kept < wanted:
            found[id] = lessen(draft, kept, "how much quota is left there is not known")
    return found


def lessen(draft: Draft, capacity: int, why: str) -> Draft:
    """The draft with so much less of what it wants, and why."""
    assert draft.desired is not None
    wanted = draft.desired.fields[_PATH]
    assert isinstance(wanted, int)
    desired = replace(draft.desired, fields={**draft.desired.fields, _PATH: capacity})
    decision = draft.decision
    changes = tuple(_lessen(change, capacity) for change in decision.changes)
    if draft.action is not Action.CREATE:
        changes = tuple(change for change in changes if change.path != _PATH or change.before != change.after)
    short = decision.short + wanted - capacity
    told = f"{capacity:,} of the {wanted + decision.short:,} that it wants: {why}"
    # What it gets is what is wanted of it: whatever is less than that is somebody else's doing, and more is not.
    decision = replace(decision, changes=changes, short=short, wants=name_wish(desired))
    draft = replace(draft, desired=desired, decision=decision)
    if draft.action is Action.UPDATE and not changes and (not draft.live or draft.live.state is not LiveState.FAILED):
        rested = draft.resting(DecisionState.IN_SYNC, f"has {told}")
        return replace(rested, decision=replace(rested.decision, changes=()))
    return replace(draft, decision=replace(decision, reason=f"{decision.reason}; gets {told}"))


def _lessen(change: FieldChange, capacity: int) -> FieldChange:
    return replace(change, after=capacity) if change.path == _PATH else change
