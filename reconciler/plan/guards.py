"""What a plan may never do. A guard may only take away, and says how to permit what it refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.kinds.base import read_ids, tell_users
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, DecisionState
from reconciler.model.resource import Blind, Cap, Fleet, LiveState, Snapshot
from reconciler.model.wire import Json, Maybe, read_path
from reconciler.plan.decide import follow_parents, leave_parents
from reconciler.plan.draft import READ_AGAIN, Draft, Drafts, group_below
from reconciler.plan.order import find_circle
from reconciler.plan.use import find_holders, find_users, goes, held, keeps, still_holds

DESTRUCTIVE = (Action.DELETE, Action.REPLACE, Action.PURGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What guards judge by. `chosen` are the ids a person selected, None for all."""

    fleet: Fleet
    snapshot: Snapshot
    chosen: frozenset[ArmId] | None = None


Guard = Callable[[Draft, Grounds, Drafts], Draft]


def guard(drafts: Drafts, grounds: Grounds) -> Drafts:
    """Every guard over every draft that acts, in order; then what stood on a refused one is stopped too, and what lies
    in a resource that may be replaced follows it."""
    guarded = {id: _keep_to_selection(draft, grounds) for id, draft in drafts.items()}
    for each in GUARDS:
        guarded = {id: each(draft, grounds, guarded) if draft.acts else draft for id, draft in guarded.items()}
    return stop_dependents({id: _wait_for_menders(draft, guarded) for id, draft in guarded.items()})


def _keep_to_selection(draft: Draft, grounds: Grounds) -> Draft:
    """What a person did not select is neither acted upon nor held against the run."""
    chosen = grounds.chosen
    if chosen is None or draft.id in chosen or draft.decision.state is DecisionState.IN_SYNC:
        return draft
    if draft.deleted is not None and draft.deleted.id in chosen:
        return draft
    if (draft.type.guest or draft.type.sole) and draft.desired and draft.id.parent in chosen:
        # What it is called was not known when people chose.
        return draft
    return draft.resting(DecisionState.IGNORED, "not selected", "not_selected")


def _keep_children_of_strangers(draft: Draft, _grounds: Grounds, drafts: Drafts) -> Draft:
    parent = drafts.get(draft.id.parent) if draft.id.parent else None
    if parent is None or parent.type.arm_type == draft.type.arm_type or not draft.id.segments[1:]:
        return draft
    if parent.decision.code == "not_owned":
        return draft.blocked("not_owned", f"its {parent.type.word} is not this fleet's", parent.decision.permit)
    return draft


def _need_permission(draft: Draft, grounds: Grounds, _drafts: Drafts) -> Draft:
    needed = _permissions(draft)
    granted = set(grounds.fleet.policy.allow)
    if draft.desired is not None:
        granted |= draft.desired.lifecycle.allow
    missing = [word for word in needed if word not in granted]
    if not missing:
        return draft
    words = {
        "replace": "would have to be deleted and made again",
        "delete": "would be deleted",
        "purge": "needs a soft-deleted account purged for good",
        "capacityCut": "would lose capacity",
        "provisioned": "would add provisioned throughput, which is billed by the hour",
    }
    reasons = " and ".join(words[word] for word in missing)
    change = f" ({draft.decision.reason})" if draft.action is Action.REPLACE else ""
    where = "spec.allow of the Fleet" + (" or lifecycle.allow of its document" if draft.desired else "")
    return draft.blocked(f"{missing[0]}_not_permitted", f"{reasons}{change}", f"add {', '.join(missing)} to {where}")


def _permissions(draft: Draft) -> list[str]:
    """The permission words that a draft needs."""
    words = []
    if draft.action is Action.REPLACE:
        words += ["replace", "purge"] if draft.type.soft_deletes else ["replace"]
    if draft.action is Action.DELETE:
        words.append("delete")
    if draft.action is Action.PURGE:
        words.append("purge")
    if any(change.cuts for change in draft.decision.changes) and draft.action is not Action.CREATE:
        words.append("capacityCut")
    if _added_units(draft) > 0:
        words.append("provisioned")
    return words


def _added_units(draft: Draft) -> int:
    if draft.desired is None:
        return 0
    wanted = draft.type.billed(draft.desired.fields)
    if draft.live is None or not wanted:
        return wanted
    lenses = {path: draft.type.lens(path).read(draft.live.wire) for path in ("sku.name", "sku.capacity")}
    return wanted - draft.type.billed(lenses)


def _prevent_destroy(draft: Draft, grounds: Grounds, _drafts: Drafts) -> Draft:
    if draft.action not in DESTRUCTIVE or _is_holder(draft):
        return draft
    protector = draft.desired or (grounds.fleet.desired.get(draft.id.parent) if draft.id.parent else None)
    if protector is None or not protector.lifecycle.prevent_destroy:
        return draft
    reason = f"would be destroyed, which {protector.ref} forbids (lifecycle.preventDestroy)"
    return draft.blocked("prevent_destroy", reason, "remove lifecycle.preventDestroy from its document")


def _is_holder(draft: Draft) -> bool:
    """Whether it is no account of a document that is purged, but one that has what a document wants."""
    return draft.deleted is not None and draft.desired is not None and draft.deleted.id != draft.desired.id


def _prune_only_with_open_eyes(draft: Draft, grounds: Grounds, _drafts: Drafts) -> Draft:
    """A delete rests on absence from the documents: all must have been read, and all of Azure that matters too."""
    blind = grounds.snapshot.blind
    if draft.action is Action.REPLACE:
        # Whatever lies in it goes with it, so that must have been seen.
        unseen = next((each.fault for each in blind if _is_below(each, draft)), None)
        reason = "what lies in it could not be read, and would go with it"
        return draft.blocked("unknown", f"{reason}: {unseen}", unseen.advice or READ_AGAIN) if unseen else draft
    if draft.action is not Action.DELETE:
        return draft
    if grounds.fleet.broken:
        broken = ", ".join(str(ref) for ref in sorted(grounds.fleet.broken))
        return draft.blocked("incomplete", f"nothing is pruned while documents are broken: {broken}", "mend them")
    if blind:
        reason = f"nothing is pruned while something could not be read: {blind[0].fault}"
        return draft.blocked("unknown", reason, blind[0].fault.advice or READ_AGAIN)
    return draft


def _is_below(blind: Blind, draft: Draft) -> bool:
    below = blind.type.lower().startswith(draft.id.type.lower() + "/")
    return below and (blind.scope.covers(draft.id) or draft.id.covers(blind.scope))


def _refuse_empty_fleet(draft: Draft, grounds: Grounds, drafts: Drafts) -> Draft:
    if draft.action is not Action.DELETE or grounds.fleet.policy.allow_empty:
        return draft
    if any(each.desired is not None and each.type.soft_deletes for each in drafts.values()):
        return draft
    reason = "the fleet declares no account at all, which is more often an accident than a wish"
    return draft.blocked("empty_fleet", reason, "set Fleet spec.allowEmpty: true")


GUARDS: tuple[Guard, ...] = (
    _keep_children_of_strangers,
    _prevent_destroy,
    _prune_only_with_open_eyes,
    _refuse_empty_fleet,
    _need_permission,
)


def stop_dependents(drafts: Drafts) -> Drafts:
    """What stands on something that will not be there is blocked too; what lies in something that goes and comes back
    does the same; and what would wait for itself is refused. Takes what it gave before: nothing follows a parent that
    has been refused since."""
    settled = _settle(drafts)
    while circle := find_circle(settled):
        refused = _refuse_circle(circle)
        settled = _settle({**settled, refused.id: refused})
    return settled


def _settle(drafts: Drafts) -> Drafts:
    return follow_parents(_stop(leave_parents(drafts)))


def _refuse_circle(circle: tuple[Draft, ...]) -> Draft:
    """One of those that wait for each other refused: rather what would be destroyed than what would be made."""
    ranks = {Action.REPLACE: 0, Action.DELETE: 1}
    at = min(range(len(circle)), key=lambda each: (ranks.get(circle[each].action or Action.CREATE, 2), circle[each].id))
    first, *others = (*circle[at:], *circle[:at])
    waits = "".join(f"{each.decision.ref}, which waits for " for each in others)
    reason = f"would have to wait for itself: it waits for {waits}{first.decision.ref}"
    return first.blocked("circle", reason, "make one of these changes in a commit of its own, before the others")


def _stop(drafts: Drafts) -> Drafts:
    stopped = {id: _despair(draft, drafts) for id, draft in drafts.items()}
    acting = any(draft.acts for draft in drafts.values())
    below, users = (group_below(stopped), find_users(stopped)) if acting else ({}, {})
    moved = True
    while moved:
        moved = False
        for id, draft in stopped.items():
            if not draft.acts:
                continue
            held = _held(draft, stopped, below, users)
            if held is not None:
                stopped[id] = held
                moved = True
    return stopped


def _held(
    draft: Draft, drafts: Drafts, below: Mapping[ArmId, list[ArmId]], users: Mapping[str, list[ArmId]]
) -> Draft | None:
    return (
        _held_by_needs(draft, drafts)
        or _held_by_lane(draft, drafts)
        or _held_by_host(draft, drafts)
        or _held_by_children(draft, [drafts[child] for child in below.get(draft.id, ())])
        or _held_by_purpose(draft, drafts)
        or _held_by_users(draft, drafts, users.get(draft.id.key, ()))
        or _held_by_strangers(draft, drafts)
        or _held_by_neighbours(draft, drafts, below)
    )


def _held_by_needs(draft: Draft, drafts: Drafts) -> Draft | None:
    for need in draft.decision.needs:
        base = drafts.get(need)
        if base is None or base.acts:
            continue
        ref = base.decision.ref
        if base.decision.state is DecisionState.IN_PROGRESS:
            if _find_mender(base, drafts) is not None:
                continue
            return _put_off(draft, f"waits for {ref}: {base.decision.reason}")
        if base.deleted is not None and base.deleted.id != base.id:
            reason = f"needs the purge of {ref}: {base.decision.reason}"
            return draft.blocked("needs", reason, base.decision.permit)
        if base.live is None:
            permit = base.decision.permit or f"make {ref} by hand, or let its document manage it"
            return draft.blocked("needs", f"needs {ref}, which is not there", permit)
    return None


def _put_off(draft: Draft, reason: str) -> Draft:
    """The draft at rest until what it waits for has settled; what it will do then stays told."""
    resting = draft.resting(DecisionState.IN_PROGRESS, reason)
    return replace(resting, decision=replace(resting.decision, action=draft.action))


def _find_mender(base: Draft, drafts: Drafts) -> Draft | None:
    """What this very plan does so that `base`, which stands as declared, can do its work again."""
    if base.live is None or base.live.state is not LiveState.SETTLED:
        return None
    menders = (each for each in drafts.values() if each.acts and each.live and each.type.serves)
    return next((each for each in menders if _served_by(each) == base.id), None)


def _served_by(mender: Draft) -> ArmId | None:
    return _id_of(read_path(mender.live.wire, mender.type.serves)) if mender.live else None


def _wait_for_menders(draft: Draft, drafts: Drafts) -> Draft:
    """What needs something that this plan puts right is done by this plan too, after that."""
    bases = (drafts[need] for need in draft.decision.needs if need in drafts)
    waited = (each for each in bases if each.decision.state is DecisionState.IN_PROGRESS)
    menders = [mender.id for each in waited if (mender := _find_mender(each, drafts)) is not None]
    if not draft.acts or not menders:
        return draft
    return replace(draft, decision=replace(draft.decision, needs=(*draft.decision.needs, *menders)))


def _despair(draft: Draft, drafts: Drafts) -> Draft:
    """What somebody holds up is blocked after all where that which would have put it right was refused."""
    waits = draft.decision.state is DecisionState.IN_PROGRESS and draft.decision.action is None
    hold = draft.type.held(draft.live.wire) if waits and draft.live else None
    if hold is None or draft.live is None or draft.live.state is not LiveState.SETTLED:
        return draft
    hopeful = (DecisionState.ACT, DecisionState.IN_PROGRESS)
    menders = (each for each in drafts.values() if each.type.serves and _served_by(each) == draft.id)
    if any(each.decision.state in hopeful for each in menders):
        return draft
    return draft.blocked(hold.code, hold.reason, hold.permit)


def _held_by_lane(draft: Draft, drafts: Drafts) -> Draft | None:
    """What a write locks besides its own resource may be locked already, by a run that ended or by somebody else."""
    for path in (each for each in (draft.type.lane, *draft.type.locks) if each):
        lens = draft.type.lens(path)
        held = (
            lens.read(draft.live.wire) if draft.live else None,
            draft.desired.fields.get(path) if draft.desired else None,
        )
        for each in held:
            busy = drafts.get(top) if (top := _top_of(each)) else None
            if busy is not None and busy.decision.state is DecisionState.IN_PROGRESS and busy.live is not None:
                return _put_off(draft, f"waits for {busy.decision.ref}: {busy.decision.reason}")
    return None


def _held_by_host(draft: Draft, drafts: Drafts) -> Draft | None:
    """What came with something that goes now goes with it: its like will come with the next one."""
    if not draft.type.guest or draft.live is None:
        return None
    served = _served_by(draft)
    host = drafts.get(served) if served else None
    if host is None or host.action not in (Action.DELETE, Action.REPLACE):
        return None
    return draft.resting(DecisionState.IGNORED, f"goes with {host.decision.ref}")


def _id_of(value: Maybe) -> ArmId | None:
    try:
        return ArmId.parse(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _top_of(value: Json) -> ArmId | None:
    id = _id_of(value)
    return id.top if id else None


def _held_by_children(draft: Draft, children: Sequence[Draft]) -> Draft | None:
    """Nothing goes while something in it must stay, or cannot be said to come back."""
    if draft.action not in (Action.DELETE, Action.REPLACE):
        return None
    for child in children:
        ref, state = child.decision.ref, child.decision.state
        if child.live is None:
            continue
        if state is DecisionState.IN_PROGRESS:
            return _put_off(draft, f"waits for {ref}: {child.decision.reason}")
        if state is DecisionState.BLOCKED:
            return draft.blocked("needs", f"{ref} in it is blocked: {child.decision.reason}", child.decision.permit)
        if state is DecisionState.IGNORED and child.desired is None:
            permit = child.decision.permit or "declare it, or delete it by hand"
            return draft.blocked("needs", f"{ref} in it would go too, and no document declares it", permit)
    return None


def _held_by_purpose(draft: Draft, drafts: Drafts) -> Draft | None:
    """A purge is only worth what its name is wanted for."""
    wanted = drafts.get(draft.desired.id) if draft.desired else None
    if draft.action is not Action.PURGE or wanted is None or wanted.acts:
        return None
    reason = f"{wanted.decision.ref} would not be made: {wanted.decision.reason}"
    return draft.blocked("needs", reason, wanted.decision.permit)


def _held_by_users(draft: Draft, drafts: Drafts, users: Iterable[ArmId]) -> Draft | None:
    """Nothing is deleted while something uses it that goes on to do so: Azure would refuse, and it would be right.
    What Azure lets go of in use, and what comes back, may be replaced all the same."""
    replaced = draft.action is Action.REPLACE and bool(draft.type.users)
    if draft.action is not Action.DELETE and not replaced:
        return None
    for user in (drafts[id] for id in users):
        kept = None if draft.id.covers(user.id) else keeps(user, draft.id, drafts)
        if kept is None:
            continue
        ref, what = user.decision.ref, "it" if kept == draft.id else f"{kept.name} in it"
        advice = f"have {ref} use another {draft.type.word}, or none, in a commit of its own" if replaced else ""
        return draft.blocked("in_use", f"{ref} still uses {what}", user.decision.permit or advice)
    return None


def _held_by_strangers(draft: Draft, drafts: Drafts) -> Draft | None:
    """Azure tells who uses it: whoever is no business of this plan keeps it, and nothing need be sent to hear so."""
    users = draft.type.users if draft.action in (Action.DELETE, Action.REPLACE) and draft.live else ()
    ids = [*read_ids(draft.live.wire, users)] if draft.live and users else []
    if not ids:
        return None
    leaving = [each for each in drafts.values() if each.live and (each.acts or goes(each, drafts))]
    leaving = [each for each in leaving if keeps(each, draft.id, drafts) is None]
    moving = {each.id.key for each in leaving}
    moving |= {id.lower() for each in leaving if each.live for id in read_ids(each.live.wire, each.type.brings)}
    strangers = [id for id in ids if not any(f"{id}/".lower().startswith(f"{each}/") for each in moving)]
    if not strangers:
        return None
    return draft.blocked("in_use", f"{tell_users(strangers)} still uses it", "delete or move what uses it")


def _held_by_neighbours(draft: Draft, drafts: Drafts, below: Mapping[ArmId, list[ArmId]]) -> Draft | None:
    """Azure refuses addresses that somebody beside a resource has: they must be given up first."""
    parent = draft.id.parent
    if not draft.type.claims or parent is None or (parent in drafts and drafts[parent].action is Action.REPLACE):
        return None
    for other in find_holders(draft, (drafts[each] for each in below.get(parent, ()))):
        if still_holds(other, draft):
            ref, why = other.decision.ref, other.decision.reason
            reason = f"{ref} has {', '.join(held(other))}, which overlaps what it is to get, and keeps them: {why}"
            permit = other.decision.permit or f"choose other addresses, or have {ref} give them up first"
            return draft.blocked("overlap", reason, permit)
    return None


def check_caps(drafts: Drafts, fleet: Fleet) -> str:
    """Why a safety limit stops the whole plan, or "". What goes with its account counts once, with the account.

    What destroys is held against what we own of all types and of each: many deployments must not hide few accounts.
    """
    drafts = {id: draft for id, draft in drafts.items() if not draft.sparing}
    ours = [each for each in drafts.values() if each.decision.owned or each.action not in (None, Action.CREATE)]
    acting = [draft for draft in drafts.values() if draft.acts and not _goes_with_parent(draft, drafts)]
    deletes = [draft for draft in acting if draft.action in DESTRUCTIVE]
    changes = [draft for draft in acting if draft.action not in (Action.CREATE, Action.PURGE)]
    policy = fleet.policy
    stops = [_exceeds(deletes, ours, policy.deletes, "destroy"), _exceeds(changes, ours, policy.changes, "change")]
    for word in sorted({draft.type.word for draft in deletes}):
        some = [draft for draft in deletes if draft.type.word == word]
        of = [draft for draft in ours if draft.type.word == word]
        stops.append(_exceeds(some, of, policy.deletes, "destroy", f"{word}s"))
    return next((stop for stop in stops if stop), "")


def _exceeds(acting: Sequence[Draft], of: Sequence[Draft], cap: Cap, word: str, things: str = "resources") -> str:
    allowed = cap.allowed(len(of))
    if len(acting) <= allowed:
        return ""
    key = "deletes" if word == "destroy" else "changes"
    return (
        f"the plan would {word} {len(acting)} of {len(of)} owned {things} in one run; the limit is {allowed} "
        f"(Fleet spec.limits.{key}: count {cap.count}, {cap.percent} %)"
    )


def _goes_with_parent(draft: Draft, drafts: Drafts) -> bool:
    parent = drafts.get(draft.id.parent) if draft.id.parent else None
    return parent is not None and parent.action in (Action.DELETE, Action.REPLACE)
