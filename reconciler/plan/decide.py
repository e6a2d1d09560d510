"""What every resource needs, before anybody asks whether it is allowed: one draft for each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from reconciler.kinds.base import Hold, ResourceType, Shape
from reconciler.kinds.catalog import kind_of, type_of
from reconciler.kinds.diff import compare, tell_exposure
from reconciler.model.finding import Fault
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.plan import Action, Decision, DecisionState, Effect, FieldChange, Risk
from reconciler.model.resource import (
    OWNER_TAG,
    DeletedAccount,
    Desired,
    Fleet,
    Live,
    LiveState,
    PurgeWhen,
    Snapshot,
    SoftDeleted,
    Throughput,
)
from reconciler.model.wire import digest, read_path, thaw
from reconciler.plan.draft import READ_AGAIN, Draft, Drafts
from reconciler.plan.exposure import find_wider
from reconciler.plan.graves import find_place, spares, tell_owner

_OWNER_PATH = f"tags.{OWNER_TAG}"
_DIFFERS = "differs from its document"  # who is behind it is told at the end, when all has been decided
FINE_TUNED = "deleting an account takes its fine-tuned models and uploaded files with it; a purge makes that final"


def decide(fleet: Fleet, snapshot: Snapshot) -> Drafts:
    """A draft for every desired resource, every soft-deleted account in the way, and every surplus resource we own."""
    drafts: dict[ArmId, Draft] = {}
    for id in sorted(fleet.desired):
        for draft in _decide_desired(fleet, snapshot, fleet.desired[id]):
            drafts[draft.id] = _say_because(draft)
    for id in sorted(snapshot.live):
        if id not in fleet.desired:
            surplus = _decide_surplus(fleet, snapshot.live[id])
            drafts |= {surplus.id: _spare_broken(fleet, surplus)} if surplus else {}
    return _tell_apart(_await_service(drafts))


def decide_alone(fleet: Fleet, snapshot: Snapshot, desired: Desired) -> Draft:
    """The draft of one resource, before anybody else has a say."""
    *_, draft = _decide_desired(fleet, snapshot, desired)
    return draft


def _say_because(draft: Draft) -> Draft:
    """What no document declares itself says why it is wanted."""
    because = draft.desired.because if draft.desired else ""
    if not because or draft.decision.state not in (DecisionState.ACT, DecisionState.IN_SYNC):
        return draft
    sized = draft.decision.reason == _DIFFERS and all(each.path == "sku.capacity" for each in draft.decision.changes)
    reason = because if sized else f"{draft.decision.reason}; {because}"
    return replace(draft, decision=replace(draft.decision, reason=reason))


def _await_service(drafts: Drafts) -> Drafts:
    """What others hold up is only waited for, where this very plan puts that right."""
    menders = {
        str(read_path(draft.live.wire, draft.type.serves)).lower(): draft
        for draft in drafts.values()
        if draft.acts and draft.live and draft.type.serves
    }
    served = dict(drafts)
    for id, draft in drafts.items():
        mender = menders.get(id.key)
        if mender and draft.live and draft.decision.code and _hold(draft):
            reason = f"held up by {mender.decision.ref}, which this plan puts right"
            served[id] = draft.resting(DecisionState.IN_PROGRESS, reason)
    return served


def _hold(draft: Draft) -> Hold | None:
    return draft.type.held(draft.live.wire) if draft.live else None


def _tell_apart(drafts: Drafts) -> Drafts:
    """What no document names is called by its group as well where its name alone would be somebody else's."""
    named = Counter(str(draft.decision.ref).lower() for draft in drafts.values())
    apart = dict(drafts)
    for id, draft in drafts.items():
        ref = draft.decision.ref
        if named[str(ref).lower()] > 1 and (draft.action is Action.PURGE or not draft.desired):
            group = (draft.deleted or draft).id.group
            ref = Ref(kind=ref.kind, name=f"{group}/{ref.name}")
            apart[id] = replace(draft, decision=replace(draft.decision, ref=ref))
    return apart


def _decide_desired(fleet: Fleet, snapshot: Snapshot, desired: Desired) -> Iterator[Draft]:
    type_ = type_of(desired.type)
    assert type_ is not None, desired.type
    live = snapshot.live.get(desired.id)
    base = _draft(fleet, desired, type_, live)
    hidden = snapshot.hidden(desired.id)
    if desired.lifecycle.policy is ManagePolicy.DETACH:
        yield base.resting(DecisionState.IGNORED, "detached: its document says lifecycle.policy: detach")
    elif hidden:
        yield _refuse_unread(base, "could not be read, so nothing is known about it", hidden)
    elif desired.gone:
        yield _decide_gone(base)
    elif desired.throughput:
        yield _refuse_unrated(base, desired.throughput)
    elif live is not None:
        yield _note(_decide_existing(fleet, base), type_.tells(live.wire))
    elif desired.lifecycle.policy is ManagePolicy.OBSERVE:
        yield base.resting(DecisionState.DRIFTED, "does not exist; observed only")
    elif desired.lifecycle.policy is ManagePolicy.REQUIRE:
        yield _refuse_required(base, "is left to others, who have not made it")
    elif groupless := _refuse_without_group(fleet, snapshot, base):
        yield groupless
    elif type_.soft_deletes and (deleted := snapshot.deleted.get(desired.id)):
        yield from _decide_soft_deleted(fleet, snapshot, base, deleted)
    elif desired.id in snapshot.taken:
        yield from _decide_taken(fleet, snapshot, base)
    else:
        yield _decide_missing(snapshot, base)


def _decide_gone(draft: Draft) -> Draft:
    assert draft.desired is not None
    if draft.live is None:
        return draft.resting(DecisionState.IN_SYNC, "is gone, as it shall be")
    if draft.live.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
        return draft.resting(DecisionState.IN_PROGRESS, _still_working(draft.live))
    return act(draft, Action.DELETE, draft.desired.gone)


def _still_working(live: Live) -> str:
    return f"Azure is still working on it ({live.provisioning_state})"


def _note(draft: Draft, told: str) -> Draft:
    """The draft with something worth knowing at the end of its reason."""
    decision = draft.decision
    return replace(draft, decision=replace(decision, reason=f"{decision.reason}; {told}")) if told else draft


def _refuse_unrated(draft: Draft, wanted: Throughput) -> Draft:
    offer = wanted.offer
    version = f" {offer.version}" if offer.version else ""
    reason = f"{offer.location} does not say what a unit of {offer.model}{version} as {offer.sku} is worth"
    return draft.blocked(
        "unrated", f"{reason}, so its tpm cannot be turned into capacity", "write sku.capacity instead"
    )


def _refuse_unread(draft: Draft, reason: str, fault: Fault) -> Draft:
    # The whole story is told once, where the plan lists what could not be read.
    return draft.blocked("unknown", f"{reason}: {fault.code}", fault.advice or READ_AGAIN)


def _draft(fleet: Fleet, desired: Desired, type_: ResourceType, live: Live | None) -> Draft:
    decision = Decision(
        id=desired.id,
        ref=desired.ref,
        state=DecisionState.IN_SYNC,
        reason="as declared",
        needs=desired.needs,
        location=str(desired.fields.get("location") or ""),
        origin=desired.origin,
        owned=live is not None and live.owner == fleet.name,
        wants=_name_wish(desired),
        labels=desired.labels,
        missing=live is None,
    )
    return Draft(decision=decision, type=type_, desired=desired, live=live)


def _name_wish(desired: Desired) -> str:
    """The same as long as a document says the same about a resource, and says the same to leave out."""
    lifecycle = desired.lifecycle
    return digest(thaw([desired.fields, lifecycle.policy, sorted(lifecycle.ignore)]))


def act(draft: Draft, action: Action, reason: str, changes: tuple[FieldChange, ...] = ()) -> Draft:
    """The draft with something to do, its risk and what it will cost."""
    births = action in (Action.CREATE, Action.REPLACE, Action.RESTORE)
    patience = draft.type.patience
    decision = replace(
        draft.decision,
        state=DecisionState.ACT,
        action=action,
        reason=reason,
        permit="",
        changes=changes,
        risk=_risk(draft, action, changes),
        warnings=_warnings(draft, action),
        requests=_requests(draft, action, changes),
        seconds=patience.usual_create if births else patience.usual_update,
    )
    return replace(draft, decision=decision)


def _risk(draft: Draft, action: Action, changes: tuple[FieldChange, ...]) -> Risk:
    if action in (Action.DELETE, Action.REPLACE, Action.PURGE):
        return Risk.DESTROYS
    if any(change.opens for change in changes):
        return Risk.OPENS
    if any(change.cuts for change in changes):
        return Risk.CUTS
    if draft.desired and draft.type.billed(draft.desired.fields):
        return Risk.SPENDS
    return Risk.CLOSES if any(change.closes for change in changes) else Risk.NONE


def _warnings(draft: Draft, action: Action) -> tuple[str, ...]:
    return (FINE_TUNED,) if draft.type.soft_deletes and action in (Action.DELETE, Action.REPLACE, Action.PURGE) else ()


def _requests(draft: Draft, action: Action, changes: tuple[FieldChange, ...]) -> int:
    """A read before, the write, a read after, two looks at a long operation; what is born closed is written twice."""
    once = 5 if draft.type.patches else 3
    born = draft.type.born
    opens = any(change.path in born and change.after != born[change.path] for change in changes)
    twice = action is Action.REPLACE or (action is Action.CREATE and (opens or (draft.type.outlasts and draft.present)))
    return once * (2 if twice else 1)


def _decide_missing(snapshot: Snapshot, draft: Draft) -> Draft:
    assert draft.desired is not None
    unseen = _unseen_graves(snapshot, draft) if draft.type.soft_deletes else None
    if unseen:
        reason = f"does not exist, but whether a soft-deleted {draft.type.word} holds its name is not known: {unseen}"
        return draft.blocked("unknown", reason, unseen.advice or READ_AGAIN)
    return act(draft, Action.CREATE, "does not exist", _birth(draft))


def _refuse_without_group(fleet: Fleet, snapshot: Snapshot, draft: Draft) -> Draft | None:
    """Nothing is made in a group that is not there, or of which nothing is known."""
    group = ArmId(subscription=draft.id.subscription, group=draft.id.group)
    if not draft.id.segments or not draft.id.group or group in fleet.desired or group in snapshot.live:
        return None
    if fault := snapshot.hidden(group):
        return _refuse_unread(draft, f"its resource group {group.name} could not be read", fault)
    reason = f"its resource group {group.name} does not exist and no document declares it"
    return draft.blocked("group_missing", reason, f"declare a ResourceGroup named {group.name}, or create it")


def _unseen_graves(snapshot: Snapshot, draft: Draft) -> Fault | None:
    """Why the soft-deleted resources of a type could not be listed, or None when they were."""
    provider, _, kind = draft.type.arm_type.lower().partition("/")
    graves = (blind for blind in snapshot.blind if blind.type.lower() == f"{provider}/deleted{kind}")
    return next((blind.fault for blind in graves if blind.scope.covers(draft.id)), None)


def _decide_taken(fleet: Fleet, snapshot: Snapshot, draft: Draft) -> Iterator[Draft]:
    """Azure would tell only after it has begun to create the account."""
    assert draft.desired is not None
    name = str(draft.desired.fields.get("customSubDomainName"))
    known = (snapshot.deleted[id] for id in sorted(snapshot.deleted))
    holders = (each for each in known if _subdomain(each) == name.lower())
    holder = next(holders, None)
    if holder is None:
        reason = f"its subdomain {name} is taken by another account, perhaps in another subscription"
        yield draft.blocked("subdomain_taken", reason, "choose another customSubDomainName")
        return
    held = f"its subdomain {name} is held by the soft-deleted account {holder.id.name} in {holder.id.group}"
    held += _until(holder)
    why = "a document declares it" if holder.id in fleet.desired else spares(fleet, holder, snapshot.taken_at)
    if fleet.policy.purge.when is PurgeWhen.NEVER:
        yield draft.blocked("subdomain_taken", held, "purge or restore that account, or wait")
    elif why:
        yield draft.blocked("subdomain_taken", f"{held}; {why}", "purge or restore that account by hand, or wait")
    else:
        held = f"holds the subdomain {name}, which {draft.decision.ref} wants{_until(holder)}"
        yield from _purge_and_create(draft, replace(plan_purge(draft, holder, held), sparing=True))


def _subdomain(deleted: DeletedAccount) -> str:
    name = read_path(deleted.wire, ("properties", "customSubDomainName"))
    return name.lower() if isinstance(name, str) else ""


def _decide_soft_deleted(fleet: Fleet, snapshot: Snapshot, draft: Draft, deleted: DeletedAccount) -> Iterator[Draft]:
    held = f"a soft-deleted account holds the name{_until(deleted)}"
    assert draft.desired is not None
    policy = fleet.policy.soft_deleted
    if policy is SoftDeleted.STOP:
        yield from _decide_stop(fleet, snapshot, draft, deleted)
        return
    if deleted.owner != fleet.name and not _may_adopt(fleet, draft.desired, deleted.owner):
        whose = f"it was fleet {deleted.owner}'s" if deleted.owner else "it was not this fleet's"
        permit = "purge or restore it by hand" if deleted.owner else "set lifecycle.adopt: true in its document"
        yield draft.blocked("not_owned", f"{held}, and {whose}", permit)
        return
    if policy is SoftDeleted.RESTORE:
        yield _decide_restore(draft, deleted, held)
        return
    yield from _purge_and_create(draft, plan_purge(draft, deleted, held))


def _decide_stop(fleet: Fleet, snapshot: Snapshot, draft: Draft, deleted: DeletedAccount) -> Iterator[Draft]:
    """Whoever holds the name is purged only where Fleet spec.purge says so of any account in the way."""
    held = f"a soft-deleted account holds the name{_until(deleted)}"
    why = spares(fleet, deleted, snapshot.taken_at)
    if not why:
        yield from _purge_and_create(draft, replace(plan_purge(draft, deleted, held), sparing=True))
        return
    told = "" if fleet.policy.purge.when is PurgeWhen.NEVER else f"; {why}"
    yield draft.blocked("soft_deleted", held + told, "set Fleet spec.softDeleted to restore or purge, or wait")


def _purge_and_create(draft: Draft, purge: Draft) -> Iterator[Draft]:
    yield purge
    created = act(draft, Action.CREATE, "does not exist; its name is free after the purge", _birth(draft))
    yield replace(created, decision=replace(created.decision, needs=(*created.decision.needs, purge.id)))


def _until(deleted: DeletedAccount) -> str:
    return f" until {deleted.purge_after}" if deleted.purge_after else ""


def _birth(draft: Draft) -> tuple[FieldChange, ...]:
    """A create writes every declared field, also one that equals Azure's default: exposure is always named."""
    assert draft.desired is not None
    fields, born = draft.desired.fields, draft.type.born
    changes = []
    for path in sorted(path for path, value in fields.items() if value is not None):
        lens = draft.type.lens(path)
        unlike_born = path in born and fields[path] != born[path]
        opens = unlike_born or tell_exposure(lens, {}, fields)[0]
        changes.append(FieldChange(path=path, before=None, after=fields[path], opens=opens))
    return tuple(changes)


def _decide_restore(draft: Draft, deleted: DeletedAccount, held: str) -> Draft:
    assert draft.desired is not None
    changes = compare(draft.type, draft.desired.fields, deleted.wire, draft.desired.lifecycle.ignore)
    wider = find_wider(draft.type, draft.desired.fields, deleted.wire)
    if wider:
        reason = f"{held}; restoring it would bring back a wider network posture ({', '.join(wider)})"
        return draft.blocked("restore_widens", reason, "set Fleet spec.softDeleted: purge, or restore it by hand")
    fixed = tuple(change.path for change in changes if change.effect is not Effect.IN_PLACE)
    if fixed:
        reason = f"{held}; it cannot become what is declared ({', '.join(fixed)} cannot be changed)"
        return draft.blocked("restore_differs", reason, "set Fleet spec.softDeleted: purge")
    return act(replace(draft, deleted=deleted), Action.RESTORE, f"{held}; it is restored, with all it had", changes)


def plan_purge(draft: Draft, deleted: DeletedAccount, held: str) -> Draft:
    """The purge of what holds something that `draft` wants."""
    id = find_place(deleted)
    ref = Ref(kind="DeletedAccount", name=deleted.id.name)
    decision = replace(draft.decision, id=id, ref=ref, needs=(), location=deleted.location)
    purge = Draft(decision=decision, type=draft.type, desired=draft.desired, deleted=deleted)
    return act(purge, Action.PURGE, f"{held}; an account {tell_owner(deleted)} is purged for good")


def _decide_existing(fleet: Fleet, draft: Draft) -> Draft:
    desired, live = draft.desired, draft.live
    assert desired is not None
    assert live is not None
    if live.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
        return draft.resting(DecisionState.IN_PROGRESS, _still_working(live))
    observed = desired.lifecycle.policy in (ManagePolicy.OBSERVE, ManagePolicy.REQUIRE)
    ignore = (*desired.lifecycle.ignore, *((_OWNER_PATH,) if observed else ()))
    changes = compare(draft.type, desired.fields, live.wire, ignore)
    draft = replace(draft, decision=replace(draft.decision, changes=changes))
    if changes and desired.lifecycle.policy is ManagePolicy.REQUIRE:
        return _refuse_required(draft, "is left to others, who have made another one")
    if observed:
        return draft.resting(DecisionState.DRIFTED, _DIFFERS) if changes else draft
    if not draft.type.taggable or live.owner == fleet.name:
        return _decide_owned(draft)
    if not _may_adopt(fleet, desired, live.owner):
        return _refuse_stranger(draft, live.owner)
    return _decide_adopted(draft)


def _decide_adopted(draft: Draft) -> Draft:
    """What is taken over is changed in place; nothing of a stranger's is ever destroyed."""
    adopted = _decide_owned(draft)
    if adopted.action is Action.REPLACE:
        reason = f"exists but is not ours, and taking it over would not do: {adopted.decision.reason}"
        return draft.blocked("adopt_replaces", reason, "declare the live values, or another name")
    if not adopted.acts:
        return adopted
    return act(draft, Action.ADOPT, "exists already and is taken over, as permitted", draft.decision.changes)


def _may_adopt(fleet: Fleet, desired: Desired, owner: str | None) -> bool:
    """Only what nobody owns can be taken over; two fleets would change it back and forth for ever."""
    return not owner and (desired.lifecycle.adopt or fleet.policy.adopt_all)


def _refuse_stranger(draft: Draft, owner: str | None) -> Draft:
    if owner:
        permit = f"let that fleet detach it and remove its tag {OWNER_TAG}, then set lifecycle.adopt: true here"
        return draft.blocked("not_owned", f"exists and belongs to fleet {owner}", permit)
    reason = f"exists but does not carry our tag {OWNER_TAG}: it was made by somebody else, or the tag was removed"
    return draft.blocked("not_owned", reason, "set lifecycle.adopt: true in its document to take it over")


def _decide_owned(draft: Draft) -> Draft:
    live, changes = draft.live, draft.decision.changes
    assert live is not None
    if impossible := _refuse_changes(draft):
        return impossible
    if fixed := [change.path for change in changes if change.effect is Effect.REPLACE]:
        return act(draft, Action.REPLACE, f"{', '.join(fixed)} cannot be changed in place", changes)
    if live.state is LiveState.FAILED:
        return act(draft, Action.UPDATE, "its last operation failed in Azure; it is written again", changes)
    if not changes:
        return _stand(draft)
    return act(draft, Action.UPDATE, _DIFFERS, changes)


def _stand(draft: Draft) -> Draft:
    """What is as declared, unless somebody keeps it from its work."""
    hold = _hold(draft)
    if hold is None:
        return draft
    if hold.state is DecisionState.ACT:
        return act(draft, Action.REPLACE, hold.reason)
    return draft.blocked(hold.code, hold.reason, hold.permit)


def _refuse_required(draft: Draft, reason: str) -> Draft:
    permit = "see to whoever should make it, such as a policy assignment, or have its document own it"
    return draft.blocked("required", reason, permit)


def _refuse_changes(draft: Draft) -> Draft | None:
    """What Azure cannot do at all, whatever is permitted."""
    changes = draft.decision.changes
    if draft.live and changes and (hold := draft.type.refuses(changes, draft.live.wire)):
        return draft.blocked(hold.code, hold.reason, hold.permit)
    backwards = [change.path for change in changes if change.effect is Effect.ONE_WAY]
    if backwards:
        reason = f"{', '.join(backwards)} cannot be turned back in Azure once it is on"
        return draft.blocked("one_way", reason, "declare the live value, or replace the resource by hand")
    stuck = [change.path for change in changes if _cannot_be_removed(draft.type, change)]
    if stuck:
        reason = f"{', '.join(stuck)} cannot be removed from what exists: Azure has no word for it"
        return draft.blocked("not_removable", reason, "declare a value, or leave the field out of the document")
    fixed = [change.path for change in changes if change.effect is Effect.REPLACE]
    if fixed and not draft.id.segments:
        # Deleting a group deletes everything in it, ours or not; no permission covers that.
        reason = f"{', '.join(fixed)} of a resource group cannot be changed, and groups are never deleted"
        return draft.blocked("group_fixed", reason, "declare the live value, or another group")
    return None


def _cannot_be_removed(type_: ResourceType, change: FieldChange) -> bool:
    """A PATCH can leave a key out only of what it carries whole; what an explicit null does is not known."""
    field = type_.lens(change.path).field
    in_place = change.after is None and change.effect is Effect.IN_PLACE
    return in_place and type_.patches and field.shape is Shape.WHOLE


def _decide_surplus(fleet: Fleet, live: Live) -> Draft | None:
    """What carries our tag, or lies in what does, and no document declares. Groups are never ours to delete."""
    type_ = type_of(live.type)
    if type_ is None or live.owner != fleet.name or not live.id.segments or not _may_be_surplus(type_, live):
        return None
    parent_id = live.id.parent
    decision = Decision(
        id=live.id,
        ref=_surplus_ref(live.id),
        state=DecisionState.IGNORED,
        reason="no document declares it; pruning is off",
        permit=f"set Fleet spec.prune for {type_.word}s to delete it",
        needs=(parent_id,) if parent_id and parent_id.segments else (),
        owned=True,
    )
    draft = Draft(decision=decision, type=type_, live=live)
    parent = fleet.desired.get(parent_id) if parent_id else None
    if parent is not None and parent.lifecycle.policy is not ManagePolicy.MANAGE:
        above = type_of(parent.type)
        word = above.word if above else "parent"
        return draft.resting(DecisionState.IGNORED, f"no document declares it, and its {word} is not managed")
    if parent is not None and live.type.lower() in parent.leaves:
        return draft.resting(DecisionState.IGNORED, "left to others, as its document says")
    if live.type.lower() not in fleet.policy.prune and not _parent_pruned(fleet, live.id):
        return draft
    if live.state in (LiveState.IN_PROGRESS, LiveState.DELETING):
        return draft.resting(DecisionState.IN_PROGRESS, _still_working(live))
    lingering = ", ".join(type_.lingers(live.wire))
    waits = f"; goes as soon as it is let go by {lingering}" if lingering else ""
    return act(draft, Action.DELETE, f"no document declares it{waits}")


def _spare_broken(fleet: Fleet, draft: Draft) -> Draft:
    """What a document that could not be read declares, or what lies in it, is not undeclared: nobody knows what is."""
    said = f"{draft.decision.ref}/".lower()
    broken = next((ref for ref in fleet.broken if said.startswith(f"{ref}/".lower())), None)
    if broken is None:
        return draft
    kept = draft.resting(DecisionState.IGNORED, f"only looked at: {broken}, or a document that it needs, is broken")
    return replace(kept, decision=replace(kept.decision, permit="mend it"))


def _may_be_surplus(type_: ResourceType, live: Live) -> bool:
    """What Azure made itself, and what others brought, is never ours to miss in the documents."""
    return not type_.reserves(live.id.name) and not type_.guest


def _parent_pruned(fleet: Fleet, id: ArmId) -> bool:
    parent = id.parent
    if parent is None or not parent.segments:
        return False
    return parent not in fleet.desired and parent.type.lower() in fleet.policy.prune


def _surplus_ref(id: ArmId) -> Ref:
    name = "/".join([id.segments[0][1], *(part for segment in id.segments[1:] for part in segment)])
    kind = kind_of(id.top.type)
    return Ref(kind=kind.name if kind else "Account", name=name)


def follow_parents(drafts: Drafts) -> Drafts:
    """A child whose account is replaced is made again with it, whatever the child itself looks like now."""
    followed: dict[ArmId, Draft] = {}
    for id, draft in drafts.items():
        parent = drafts.get(id.parent) if id.parent else None
        stays = draft.desired is not None and not draft.desired.gone
        if parent is not None and parent.action is Action.REPLACE and stays and draft.live:
            reborn = replace(draft, live=None, alone=draft)
            followed[id] = act(reborn, Action.CREATE, f"goes and comes back with its {parent.type.word}", _birth(draft))
        else:
            followed[id] = draft
    return followed


def leave_parents(drafts: Drafts) -> Drafts:
    """The drafts as they were before they followed their parents; one that was refused since then stays refused."""
    return {id: _leave_parent(draft) if draft.alone else draft for id, draft in drafts.items()}


def _leave_parent(draft: Draft) -> Draft:
    assert draft.alone is not None
    if draft.acts:
        return replace(draft.alone, apart=draft.apart)
    return replace(draft, live=draft.alone.live, intent=draft.alone.action or draft.alone.intent, alone=None)
