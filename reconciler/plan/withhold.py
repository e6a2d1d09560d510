"""What is not written now although it might be: paused by people, at the wrong hour, or failing again and again. Pure.

Takes away like a guard. Each reason says until when, and everything is still looked at and told.
"""

from __future__ import annotations

from math import isfinite

from reconciler.model.memory import Memory
from reconciler.model.moment import show_time
from reconciler.model.pause import Pause
from reconciler.model.plan import Decision
from reconciler.model.resource import Fleet, Snapshot
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.guards import stop_dependents
from reconciler.plan.holds import hold
from reconciler.plan.hours import tell_closed
from reconciler.plan.selection import names


def withhold(drafts: Drafts, fleet: Fleet, snapshot: Snapshot, memory: Memory) -> Drafts:
    """The drafts less those that must wait, and less what stands on them."""
    now = snapshot.seen_at
    pauses = [each for each in fleet.pauses if each.until > now and each.fleet.lower() in ("", fleet.name.lower())]
    closed = tell_closed(fleet.policy.maintenance, now)
    if not (pauses or closed or memory.holds):
        return drafts

    def judge(draft: Draft) -> Draft:
        pause = next((each for each in pauses if covers(each, draft.decision)), None)
        if pause is not None:
            return draft.blocked("paused", tell_pause(pause), "wait, or end it with `reconciler resume`")
        if closed:
            return draft.blocked("maintenance", closed, "wait, or change spec.maintenance of the Fleet")
        return hold(draft, memory, now)

    return stop_dependents({id: judge(draft) if draft.acts else draft for id, draft in drafts.items()})


def covers(pause: Pause, decision: Decision) -> bool:
    """Whether a pause of this fleet is about a resource. A deployment is of its account's kind and below its name."""
    if pause.kind and pause.kind.lower() != decision.ref.kind.lower():
        return False
    return not pause.target or names(decision.ref, decision.id, pause.target)


def tell_pause(pause: Pause) -> str:
    by = f" by {pause.by}" if pause.by else ""
    why = f": {pause.reason}" if pause.reason else ""
    until = f" until {show_time(pause.until)}" if isfinite(pause.until) else ""
    return f"paused{by}{until}{why}"
