"""What is not written now although it might be: paused by people, at the wrong hour, or failing again and again. Pure.

Takes away like a guard. Each reason says until when, and everything is still looked at and told.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from reconciler.model.burial import Burial
from reconciler.model.ids import ArmId, Ref
from reconciler.model.memory import Memory
from reconciler.model.moment import show_time
from reconciler.model.pause import Pause
from reconciler.model.resource import DeletedAccount, Fleet, Snapshot
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.guards import stop_dependents
from reconciler.plan.holds import hold
from reconciler.plan.hours import tell_closed
from reconciler.plan.selection import names

_RESUME = "wait, or end it with `reconciler resume`"
_READ = "let them be read again, or delete what they are kept in: then there is no pause"
_REOPEN = "wait, or change spec.maintenance of the Fleet"


def withhold(drafts: Drafts, fleet: Fleet, snapshot: Snapshot, memory: Memory) -> Drafts:
    """The drafts less those that must wait, and less what stands on them."""
    now = snapshot.seen_at
    pauses = _in_force(fleet.pauses, (fleet.name,), now)
    closed = tell_closed(fleet.policy.maintenance, now)
    if not (pauses or closed or memory.holds):
        return drafts

    def judge(draft: Draft) -> Draft:
        decision = draft.decision
        pause = next((each for each in pauses if _covers(each, decision.ref, decision.id, draft.deleted)), None)
        if pause is not None:
            code = "paused" if isfinite(pause.until) else "pauses_unreadable"
            return draft.blocked(code, tell_pause(pause), _tell_end(pause))
        if closed:
            return draft.blocked("maintenance", closed, _REOPEN)
        return hold(draft, memory, now)

    return stop_dependents({id: judge(draft) if draft.acts else draft for id, draft in drafts.items()})


def tell_withheld(fleets: Iterable[Fleet], burial: Burial, pauses: Iterable[Pause], now: float) -> str:
    """Why a soft-deleted account is not purged now, not even by hand, "" where nothing is against it."""
    ref = Ref(kind="DeletedAccount", name=burial.name)
    whose = {name.lower(): name for name in (burial.fleet, burial.deleted.owner) if name}
    for pause in _in_force(pauses, whose, now):
        if _covers(pause, ref, burial.deleted.id, burial.deleted):
            return f"{ref} is {tell_pause(pause)}; {_tell_end(pause)}"
    for fleet in fleets:
        if fleet.name.lower() in whose and (closed := tell_closed(fleet.policy.maintenance, now)):
            return f"{ref} is of fleet {fleet.name}: {closed}; {_REOPEN}"
    return ""


def _in_force(pauses: Iterable[Pause], fleets: Iterable[str], now: float) -> list[Pause]:
    """The pauses that are about one of the fleets, or about no fleet alone."""
    about = {"", *(name.lower() for name in fleets)}
    return [each for each in pauses if each.until > now and each.fleet.lower() in about]


def _covers(pause: Pause, ref: Ref, id: ArmId, deleted: DeletedAccount | None) -> bool:
    """Whether a pause of this fleet is about a resource. A deployment is of its account's kind and below its name; a
    soft-deleted account is still the account that it was."""
    if deleted is not None and _covers(pause, Ref(kind="Account", name=deleted.id.name), deleted.id, None):
        return True
    if pause.kind and pause.kind.lower() != ref.kind.lower():
        return False
    return not pause.target or names(ref, id, pause.target)


def _tell_end(pause: Pause) -> str:
    """What would end it. One without an end stands for pauses that nobody can read."""
    return _RESUME if isfinite(pause.until) else _READ


def tell_pause(pause: Pause) -> str:
    by = f" by {pause.by}" if pause.by else ""
    why = f": {pause.reason}" if pause.reason else ""
    until = f" until {show_time(pause.until)}" if isfinite(pause.until) else ""
    return f"paused{by}{until}{why}"
