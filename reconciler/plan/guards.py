"""What a plan may never do. A guard may only take away, and says how to permit what it refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reconciler.kinds.base import read_links
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, DecisionState
from reconciler.model.resource import Fleet, Snapshot
from reconciler.plan.draft import Draft, Drafts

DESTRUCTIVE = (Action.DELETE, Action.REPLACE, Action.PURGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounds:
    """What guards judge by. `chosen` are the ids a person selected, None for all."""

    fleet: Fleet
    snapshot: Snapshot
    chosen: frozenset[ArmId] | None = None


Guard = Callable[[Draft, Grounds, Drafts], Draft]


def guard(drafts: Drafts, grounds: Grounds) -> Drafts:
    """Every guard over every draft that acts, in order; then what stood on a refused one is stopped too."""
    guarded = {id: _keep_to_selection(draft, grounds) for id, draft in drafts.items()}
    for each in GUARDS:
        guarded = {id: each(draft, grounds, guarded) if draft.acts else draft for id, draft in guarded.items()}
    return _stop_dependents(guarded)


def _keep_to_selection(draft: Draft, grounds: Grounds) -> Draft:
    """What a person did not select is neither acted upon nor held against the run."""
    chosen = grounds.chosen
    if chosen is None or draft.id in chosen or draft.decision.state is DecisionState.IN_SYNC:
        return draft
    if draft.deleted is not None and draft.deleted.id in chosen:
        return draft
    return draft.resting(DecisionState.IGNORED, "not selected")


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
    return draft.blocked(
        f"{missing[0]}_not_permitted",
        f"{reasons}{change}",
        f"add {', '.join(missing)} to spec.allow of the Fleet or lifecycle.allow of its document",
    )


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
    if draft.action not in DESTRUCTIVE:
        return draft
    protector = draft.desired or (grounds.fleet.desired.get(draft.id.parent) if draft.id.parent else None)
    if protector is None or not protector.lifecycle.prevent_destroy:
        return draft
    reason = f"would be destroyed, which {protector.ref} forbids (lifecycle.preventDestroy)"
    return draft.blocked("prevent_destroy", reason, "remove lifecycle.preventDestroy from its document")


def _prune_only_with_open_eyes(draft: Draft, grounds: Grounds, _drafts: Drafts) -> Draft:
    """A delete rests on absence from the documents: all must have been read, and all of Azure that matters too."""
    if draft.action is not Action.DELETE:
        return draft
    if grounds.fleet.broken:
        broken = ", ".join(str(ref) for ref in sorted(grounds.fleet.broken))
        return draft.blocked("incomplete", f"nothing is pruned while documents are broken: {broken}", "mend them")
    if grounds.snapshot.blind:
        first = grounds.snapshot.blind[0]
        return draft.blocked("unknown", f"nothing is pruned while something could not be read: {first.fault}")
    return draft


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


def _stop_dependents(drafts: Mapping[ArmId, Draft]) -> Drafts:
    """What stands on something that will not be there is blocked too, and names the root cause only."""
    stopped = dict(drafts)
    moved = True
    while moved:
        moved = False
        for id, draft in stopped.items():
            held = _held_by(draft, stopped) if draft.acts else None
            if held is not None:
                stopped[id] = held
                moved = True
    return stopped


def _held_by(draft: Draft, drafts: Mapping[ArmId, Draft]) -> Draft | None:
    for need in draft.decision.needs:
        base = drafts.get(need)
        if base is None or base.acts:
            continue
        state = base.decision.state
        if state is DecisionState.IN_PROGRESS:
            return draft.resting(DecisionState.IN_PROGRESS, f"waits for {base.decision.ref}: {base.decision.reason}")
        if base.live is None and state in (DecisionState.BLOCKED, DecisionState.DRIFTED, DecisionState.IGNORED):
            return draft.blocked("needs", f"needs {base.decision.ref}, which is not there", base.decision.permit)
    if draft.action is Action.DELETE:
        return _held_by_children(draft, drafts) or _held_by_users(draft, drafts)
    return None


def _held_by_children(draft: Draft, drafts: Mapping[ArmId, Draft]) -> Draft | None:
    """An account is not deleted while something below it may not be."""
    for child in drafts.values():
        inside = child.id != draft.id and draft.id.covers(child.id)
        if inside and child.decision.state is DecisionState.BLOCKED:
            return draft.blocked("needs", f"{child.decision.ref} below it is blocked", child.decision.permit)
    return None


def _held_by_users(draft: Draft, drafts: Mapping[ArmId, Draft]) -> Draft | None:
    """Nothing is deleted while something uses it that stays as it is: Azure would refuse, and it would be right."""
    for user in drafts.values():
        if user.live is None or user.acts or not user.type.links or user.id == draft.id:
            continue
        if draft.id.key in read_links(user.type, user.live.wire):
            return draft.blocked("in_use", f"{user.decision.ref} still uses it", user.decision.permit)
    return None


def check_caps(drafts: Drafts, fleet: Fleet) -> str:
    """Why a safety limit stops the whole plan, or "". What goes with its account counts once, with the account."""
    owned = [draft for draft in drafts.values() if draft.decision.owned]
    acting = [draft for draft in drafts.values() if draft.acts and not _goes_with_parent(draft, drafts)]
    deletes = [draft for draft in acting if draft.action in DESTRUCTIVE]
    changes = [draft for draft in acting if draft.action not in (Action.CREATE, Action.PURGE)]
    for count, cap, word, key in (
        (len(deletes), fleet.policy.deletes, "destroy", "deletes"),
        (len(changes), fleet.policy.changes, "change", "changes"),
    ):
        allowed = cap.allowed(len(owned))
        if count > max(allowed, 0) and count:
            return (
                f"the plan would {word} {count} of {len(owned)} owned resources in one run; the limit is {allowed} "
                f"(Fleet spec.limits.{key}: count {cap.count}, {cap.percent} %)"
            )
    return ""


def _goes_with_parent(draft: Draft, drafts: Drafts) -> bool:
    parent = drafts.get(draft.id.parent) if draft.id.parent else None
    return parent is not None and parent.action in (Action.DELETE, Action.REPLACE)
