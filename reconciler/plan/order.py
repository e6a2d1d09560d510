"""From decisions to writes: the steps of each draft, the edges between them, one total order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler.kinds.base import project, read_links
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, FieldChange, Phase, Step, Verb
from reconciler.model.resource import OWNER_TAG, LiveState
from reconciler.model.wire import Json
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.exposure import close_birth, phase_of

_RANK = {phase: rank for rank, phase in enumerate(Phase)}


def order(drafts: Drafts, fleet: str) -> tuple[Step, ...]:
    """Every write of the plan, each after what it needs; ties break by phase, type and id, never by chance."""
    steps = {id: tuple(_steps(draft, fleet)) for id, draft in drafts.items() if draft.acts}
    users = _users(drafts)
    edged = [
        _edge(step, draft, steps, users.get(id.key, ())) for id, draft in drafts.items() for step in steps.get(id, ())
    ]
    return _sort(edged)


def _users(drafts: Drafts) -> Mapping[str, tuple[ArmId, ...]]:
    """For what is to go: who still uses it and acts, so that it lets go first."""
    found: dict[str, tuple[ArmId, ...]] = {}
    removed = {id.key for id, draft in drafts.items() if draft.action is Action.DELETE}
    for id, draft in drafts.items():
        links = read_links(draft.type, draft.live.wire) if draft.live and draft.acts and removed else ()
        for used in dict.fromkeys(links):
            if used in removed:
                found[used] = (*found.get(used, ()), id)
    return found


def _steps(draft: Draft, fleet: str) -> Iterator[Step]:
    match draft.action:
        case Action.CREATE:
            yield from _birth(draft, "create", ())
        case Action.RESTORE:
            yield from _restore(draft)
        case Action.REPLACE:
            yield from _replace(draft, fleet)
        case Action.DELETE:
            yield _removal(draft, Verb.DELETE, fleet)
        case Action.PURGE:
            yield _removal(draft, Verb.PURGE, fleet)
        case Action.UPDATE | Action.ADOPT:
            yield from _update(draft)
        case None:
            return


def _name(draft: Draft, word: str) -> str:
    return f"{draft.decision.ref}#{word}"


def _step(draft: Draft, word: str, verb: Verb, phase: Phase, fields: Mapping[str, Json]) -> Step:
    assert draft.decision.action is not None
    return Step(
        name=_name(draft, word),
        id=draft.deleted.id if draft.deleted else draft.id,
        verb=verb,
        action=draft.decision.action,
        phase=phase,
        fields=fields,
        location=draft.decision.location,
        within=_lane(draft),
    )


def _lane(draft: Draft) -> str:
    """The lane of what a write of this type locks besides itself: as declared, else as it is."""
    path = draft.type.lane
    if not path:
        return ""
    held = draft.desired.fields.get(path) if draft.desired else None
    if held is None and draft.live:
        held = draft.type.lens(path).read(draft.live.wire)
    try:
        return ArmId.parse(held).lane if isinstance(held, str) else ""
    except ValueError:
        return ""


def _wanted(draft: Draft) -> Mapping[str, Json]:
    assert draft.desired is not None
    return {path: value for path, value in draft.desired.fields.items() if value is not None}


def _birth(draft: Draft, word: str, after: tuple[str, ...]) -> Iterator[Step]:
    """The first PUT says closed whatever was wanted; what allows is a write of its own, last."""
    closed, allowed = close_birth(draft.type, _wanted(draft))
    yield replace(_step(draft, word, Verb.PUT, Phase.BUILD, closed), after=after)
    if allowed:
        before = {path: closed[path] for path in allowed}
        opening = _step(draft, "open", Verb.PATCH, Phase.LOOSEN, allowed)
        yield replace(opening, expects=before, after=(_name(draft, word),))


def _restore(draft: Draft) -> Iterator[Step]:
    assert draft.desired is not None
    assert draft.deleted is not None
    # How it will look again: by that a restore is known that has happened already.
    had = project(draft.type, draft.deleted.wire, draft.desired.fields)
    yield replace(_step(draft, "restore", Verb.RESTORE, Phase.BUILD, {}), expects=had)
    if draft.decision.changes:
        yield from _write_changes(draft, (_name(draft, "restore"),))


def _replace(draft: Draft, fleet: str) -> Iterator[Step]:
    yield _removal(draft, Verb.DELETE, fleet)
    last = _name(draft, "delete")
    if draft.type.soft_deletes:
        yield replace(_removal(draft, Verb.PURGE, fleet), after=(last,))
        last = _name(draft, "purge")
    yield from _birth(draft, "create", (last,))


def _removal(draft: Draft, verb: Verb, fleet: str) -> Step:
    step = _step(draft, verb.value, verb, Phase.RELEASE, {})
    live = draft.live or draft.deleted
    location = str(live.wire.get("location") or "") if live else ""
    expects: Mapping[str, Json] = {f"tags.{OWNER_TAG}": fleet} if draft.type.taggable and draft.live else {}
    return replace(step, location=location or step.location, expects=expects)


def _update(draft: Draft) -> Iterator[Step]:
    if draft.live is not None and draft.live.state is LiveState.FAILED:
        yield from _repair(draft)
        return
    yield from _write_changes(draft, ())


def _repair(draft: Draft) -> Iterator[Step]:
    """A resource whose last operation failed is written whole; what would open it waits until it stands."""
    opening = {change.path: change.after for change in draft.decision.changes if change.opens}
    settled = {path: value for path, value in _wanted(draft).items() if path not in opening}
    whole = _step(draft, "repair", Verb.PUT, Phase.BUILD, settled)
    yield replace(whole, expects={})
    if opening:
        before = {change.path: change.before for change in draft.decision.changes if change.path in opening}
        verb = Verb.PATCH if draft.type.patches else Verb.PUT
        yield replace(
            _step(draft, "open", verb, Phase.LOOSEN, opening), expects=before, after=(_name(draft, "repair"),)
        )


def _write_changes(draft: Draft, after: tuple[str, ...]) -> Iterator[Step]:
    verb = Verb.PATCH if draft.type.patches else Verb.PUT
    by_path = {change.path: change for change in draft.decision.changes}
    for number, group in enumerate(draft.type.split(draft.decision.changes), start=1):
        changes: tuple[FieldChange, ...] = tuple(by_path[path] for path in group)
        word = f"write-{number}"
        step = _step(draft, word, verb, phase_of(changes), {change.path: change.after for change in changes})
        yield replace(step, expects={change.path: change.before for change in changes}, after=after)
        after = (_name(draft, word),)


def _edge(step: Step, draft: Draft, steps: Mapping[ArmId, tuple[Step, ...]], users: tuple[ArmId, ...]) -> Step:
    """The step with what it must wait for in other drafts: makers of what it needs, removers of what lies in it or
    uses it."""
    after = list(step.after)
    removes = step.verb is Verb.DELETE
    if removes:
        after += [
            last.name
            for id, own in steps.items()
            if id != draft.id and draft.id.covers(id)
            for last in own[:1]
            if last.verb is Verb.DELETE
        ]
        after += [each.name for user in users for each in steps[user]]
    elif not step.after:
        for need in draft.decision.needs:
            after += [each.name for each in _makers(steps.get(need, ()))]
    return replace(step, after=tuple(dict.fromkeys(after)))


def _makers(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The steps after which a resource stands; what merely opens it need not have happened."""
    standing = [step for step in steps if step.phase is not Phase.LOOSEN or step.verb is Verb.PUT]
    return tuple(standing[-1:])


def _sort(steps: list[Step]) -> tuple[Step, ...]:
    known = {step.name for step in steps}
    waiting = {step.name: {name for name in step.after if name in known} for step in steps}
    by_name = {step.name: step for step in steps}
    released: dict[str, list[str]] = {name: [] for name in known}
    for name, blockers in waiting.items():
        for blocker in blockers:
            released[blocker].append(name)
    ready = [(_key(by_name[name]), name) for name, blockers in waiting.items() if not blockers]
    heapq.heapify(ready)
    ordered: list[Step] = []
    while ready:
        _, name = heapq.heappop(ready)
        ordered.append(by_name[name])
        for freed in released[name]:
            waiting[freed].discard(name)
            if not waiting[freed]:
                heapq.heappush(ready, (_key(by_name[freed]), freed))
    if len(ordered) != len(steps):
        raise ValueError("the steps of this plan wait for each other in a circle")
    return tuple(ordered)


def _key(step: Step) -> tuple[int, str, str]:
    return _RANK[step.phase], step.id.type.lower(), step.id.key
