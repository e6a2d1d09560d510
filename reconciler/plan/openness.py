"""The plan as it may be carried out: nothing open in passing, nobody cut off who must not be, every change told by whom
it lets in and whom it stops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, DecisionState, Risk, Step
from reconciler.model.resource import Fleet, Snapshot
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.exposure import part_changes
from reconciler.plan.guards import stop_dependents
from reconciler.plan.order import order, put_after
from reconciler.plan.reach.connection import CutOff
from reconciler.plan.reach.sequence import Conflict
from reconciler.plan.reach.survey import Survey, Told, survey, tell

CUT_OFF = "cutOff"


def keep_closed(drafts: Drafts, fleet: Fleet, snapshot: Snapshot) -> tuple[Drafts, tuple[Step, ...]]:
    """The drafts less what cannot be done safely, and their steps in an order that opens nothing in passing."""
    while True:
        steps = order(drafts, fleet.name)
        found = survey(fleet, snapshot, drafts, steps)
        amended = _amend(drafts, found, fleet)
        if not amended:
            steps = put_after(steps, found.after)
            return _tell(drafts, tell(found, steps)), steps
        drafts = stop_dependents({**drafts, **amended})


def _amend(drafts: Drafts, found: Survey, fleet: Fleet) -> dict[ArmId, Draft]:
    """What has to change before the plan can be carried out: one thing at a time, as each changes the rest."""
    # Who waits for something that is not done at all waits whatever the others do.
    waiting = [each for each in found.conflicts if not drafts[each.closer].acts]
    if waiting:
        return {id: draft for each in reversed(waiting) for id, draft in _resolve(drafts, each).items()}
    if found.conflicts:
        return _resolve(drafts, found.conflicts[0])
    by_id: dict[ArmId, list[CutOff]] = {}
    for each in found.cut_off:
        by_id.setdefault(_doer(each.culprit, drafts), []).append(each)
    refused = (_refuse_cut(drafts[id], by_id[id], drafts, fleet) for id in sorted(by_id) if id in drafts)
    return {draft.id: draft for draft in refused if draft is not None}


def _resolve(drafts: Drafts, conflict: Conflict) -> dict[ArmId, Draft]:
    """Make room for an order by having somebody close first and open later, or have the opener wait."""
    opener, closer = drafts[conflict.opener], drafts[conflict.closer]
    if not closer.acts:
        return {opener.id: _halve(opener, closer) if _parts(opener) else _wait(opener, closer)}
    parted = next((draft for draft in (opener, closer) if _parts(draft)), None)
    if parted:
        return {parted.id: replace(parted, apart=True)}
    reason = (
        f"no order of writes keeps it from letting somebody in before {closer.decision.ref} stops them"
        if opener.id != closer.id
        else "its writes would let somebody in on the way whom neither its state now nor its document lets in"
    )
    permit = "change the two one after the other, each in a commit of its own"
    return {opener.id: opener.blocked("never_more_open", reason, permit)}


def _parts(draft: Draft) -> bool:
    """Whether it can close in a write of its own, and then open."""
    return draft.type.patches and not draft.apart and all(part_changes(draft.decision.changes))


def _halve(draft: Draft, closer: Draft) -> Draft:
    """What closes is done; what opens waits for a plan in which that which it waits for is no longer withheld."""
    decision = draft.decision
    first, _ = part_changes(decision.changes)
    warning = f"what it opens waits for {closer.decision.ref}: {closer.decision.reason}"
    return replace(
        draft,
        apart=True,
        decision=replace(decision, changes=first, warnings=(*decision.warnings, warning), risk=Risk.CLOSES),
    )


def _wait(draft: Draft, closer: Draft) -> Draft:
    ref, state = closer.decision.ref, closer.decision.state
    if state is DecisionState.IN_PROGRESS:
        return draft.resting(DecisionState.IN_PROGRESS, f"waits for {ref}: {closer.decision.reason}")
    reason = f"would let somebody in whom {ref} is declared to stop, and that is not done: {closer.decision.reason}"
    return draft.blocked("never_more_open", reason, closer.decision.permit or f"have {ref} as declared first")


def _doer(id: ArmId, drafts: Drafts) -> ArmId:
    """Whose doing it is that a resource goes: that of what it lies in, if that goes."""
    above = drafts.get(id.parent) if id.parent else None
    return above.id if above is not None and above.action in (Action.REPLACE, Action.DELETE) else id


def _refuse_cut(draft: Draft, cuts: Iterable[CutOff], drafts: Drafts, fleet: Fleet) -> Draft | None:
    """The draft blocked, unless it may cut somebody off."""
    allowed = fleet.policy.allow | (draft.desired.lifecycle.allow if draft.desired else frozenset())
    if CUT_OFF in allowed or not draft.acts:
        return None
    each = next(iter(cuts))
    account = drafts[each.account].decision.ref if each.account in drafts else each.account.name
    briefly = " while it is written" if each.briefly else ""
    where = "spec.allow of the Fleet" + (" or lifecycle.allow of its document" if draft.desired else "")
    return draft.blocked(
        "cut_off",
        f"would cut {each.protected.word} off from {account}{briefly}, which Fleet spec.neverCutOff forbids",
        f"add {CUT_OFF} to {where}",
    )


def _tell(drafts: Drafts, told: Mapping[ArmId, Told]) -> Drafts:
    """The drafts with whom they let in and whom they stop."""
    return {
        id: replace(draft, decision=replace(draft.decision, opened=told[id].opened, closed=told[id].closed))
        if draft.acts and id in told
        else draft
        for id, draft in drafts.items()
    }
