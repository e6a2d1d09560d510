"""From decisions to writes: the steps of each draft, the edges between them, one total order."""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import assert_never

from reconciler.kinds.base import project, read_links
from reconciler.kinds.diff import is_ignored
from reconciler.model.ids import ArmId
from reconciler.model.plan import Action, Effect, FieldChange, Phase, Step, Verb
from reconciler.model.resource import OWNER_TAG, LiveState
from reconciler.model.wire import Json
from reconciler.plan.draft import Draft, Drafts, group_below
from reconciler.plan.exposure import close_birth, part_changes, phase_of
from reconciler.plan.use import find_holders

_RANK = {phase: rank for rank, phase in enumerate(Phase)}


def order(drafts: Drafts, fleet: str) -> tuple[Step, ...]:
    """Every write of the plan, each after what it needs; ties break by phase, type and id, never by chance. What is
    replaced goes only when what the new one needs stands, where that can be."""
    wired, around = _wire(drafts, fleet)
    going = ((chain[0].name, _served(drafts[id], drafts)) for id, chain in around.steps.items())
    _put_off(wired, [(name, _stand_by(each, around)) for name, each in going if _gives_way(each)])
    return _sort([*wired.values()])


def order_needs(drafts: Drafts, fleet: str) -> tuple[Step, ...]:
    """The same, with nothing but what has to be."""
    return _sort([*_wire(drafts, fleet)[0].values()])


def find_circle(drafts: Drafts) -> tuple[Draft, ...]:
    """Drafts of which each waits for the next and the last for the first; none where an order exists."""
    left = {step.name: step for step in _leave(_wire(drafts, "")[0].values())}
    if not left:
        return ()
    walked: dict[str, None] = {}
    name = min(left)
    while name not in walked:
        walked[name] = None
        name = min(blocker for blocker in left[name].after if blocker in left)
    circle = list(walked)[list(walked).index(name) :]
    ids = dict.fromkeys(left[each].id for each in circle)
    return tuple(drafts[id] for id in ids if id in drafts)


def _gives_way(draft: Draft) -> bool:
    """Whether something that is deleted makes room for what it is named to need."""
    gone = draft.action is Action.DELETE and draft.desired is not None and bool(draft.desired.gone)
    return gone or draft.action is Action.REPLACE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What edges are made of: all that acts by what it lies in, who uses what goes, after which step what is made
    stands."""

    drafts: Drafts
    steps: Mapping[ArmId, tuple[Step, ...]]
    below: Mapping[ArmId, list[Draft]]
    users: Mapping[ArmId, tuple[Draft, ...]]
    makers: Mapping[ArmId, str]

    def release(self, draft: Draft) -> str:
        """The step after which a draft uses and has nothing any more that it is to leave."""
        if draft.alone and draft.id.parent:
            return self.steps[draft.id.parent][0].name
        chain = self.steps[draft.id]
        return (chain[0] if draft.goes else chain[-1]).name


def _served(draft: Draft, drafts: Drafts) -> Draft:
    """Whom its first step serves: the draft, or what it makes way for."""
    return drafts[draft.id.parent] if draft.makes_way and draft.id.parent else draft


def _wire(drafts: Drafts, fleet: str) -> tuple[dict[str, Step], _Around]:
    """The steps of all drafts with what each has to wait for, and what that was made from."""
    steps = {id: tuple(_steps(draft, fleet)) for id, draft in drafts.items() if draft.acts}
    around = _Around(
        drafts=drafts,
        steps=steps,
        below={id: [drafts[each] for each in ids] for id, ids in group_below(steps).items()},
        users=_users(drafts),
        makers={id: _maker(drafts[id], each) for id, each in steps.items()},
    )
    wired = {step.name: step for id in steps for step in _edge(drafts[id], around)}
    return wired, around


def _put_off(wired: dict[str, Step], wishes: Iterable[tuple[str, tuple[str, ...]]]) -> None:
    """Have what a replacement needs stand before the old one goes, but for what can only be made afterwards."""
    before: dict[str, set[str]] = {}
    for removal, maker in ((removal, maker) for removal, makers in wishes for maker in makers):
        if maker not in before:
            before[maker] = _find_before(wired, maker)
        if removal in before[maker]:
            continue
        wired[removal] = _follow(wired[removal], (maker,))
        for each in before.values():
            if removal in each:
                each.update(before[maker])


def _find_before(wired: Mapping[str, Step], name: str) -> set[str]:
    """A step with all that has to happen before it."""
    found, left = {name}, [name]
    while left:
        new = [each for each in wired[left.pop()].after if each in wired and each not in found]
        found.update(new)
        left += new
    return found


def put_after(steps: Iterable[Step], after: Mapping[str, tuple[str, ...]]) -> tuple[Step, ...]:
    """The steps with these edges, in the order that they make."""
    return _sort([replace(step, after=after.get(step.name, step.after)) for step in steps])


def put_last(steps: Iterable[Step], *last: Collection[str]) -> tuple[Step, ...]:
    """The steps in an order in which those named come as late as they can, those of a later collection still later:
    after all that does not wait for them."""
    return _sort([*steps], {name: rank for rank, names in enumerate(last, start=1) for name in names})


def write_alone(draft: Draft, fleet: str) -> tuple[Step, ...]:
    """The writes of one draft in their order, whatever else they would have to wait for."""
    return tuple(_steps(draft, fleet))


def _users(drafts: Drafts) -> Mapping[ArmId, tuple[Draft, ...]]:
    """For what is deleted: who still uses it, or what goes with it, and acts, so that it lets go first."""
    found: dict[ArmId, tuple[Draft, ...]] = {}
    going = {id.key: (id.parent if draft.alone else id) for id, draft in drafts.items() if draft.goes}
    for draft in drafts.values():
        links = read_links(draft.type, draft.present.wire) if draft.present and draft.acts and going else ()
        for gone in dict.fromkeys(going[used] for used in links if used in going):
            if gone is not None and not gone.covers(draft.id):
                found[gone] = (*found.get(gone, ()), draft)
    return found


def _steps(draft: Draft, fleet: str) -> Iterator[Step]:
    action = draft.action
    assert action is not None
    match action:
        case Action.CREATE if draft.makes_way:
            removal = _removal(draft, Verb.DELETE, fleet)
            yield replace(removal, action=Action.DELETE)
            yield from _birth(draft, "create", (removal.name,))
        case Action.CREATE:
            yield from _birth(draft, "create", ())
        case Action.RESTORE:
            yield from _restore(draft)
        case Action.REPLACE:
            yield from _replace(draft, fleet)
        case Action.DELETE:
            yield _removal(draft, Verb.DELETE, fleet)
        case Action.PURGE:
            deleted_at = draft.deleted.deleted_at if draft.deleted else ""
            yield replace(_removal(draft, Verb.PURGE, fleet), deleted_at=deleted_at)
        case Action.UPDATE | Action.ADOPT:
            yield from _update(draft)
        case _:
            assert_never(action)


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
        author=draft.live.author if draft.live else None,
        location=draft.decision.location,
        within=_lane(draft, draft.type.lane, verb),
        locks=tuple(lane for path in draft.type.locks if (lane := _lane(draft, path, verb))),
    )


def _lane(draft: Draft, path: str, verb: Verb) -> str:
    """The lane of what a write of this type locks besides itself: as declared, else, or when it goes, as it is."""
    if not path:
        return ""
    held = draft.desired.fields.get(path) if draft.desired and verb is not Verb.DELETE else None
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
    expects: dict[str, Json] = {f"tags.{OWNER_TAG}": fleet} if draft.type.taggable and draft.live else {}
    # If somebody else has put right what could only be replaced, it must not go.
    expects |= {change.path: change.before for change in draft.decision.changes if change.effect is Effect.REPLACE}
    return replace(step, location=location or step.location, expects=expects if verb is Verb.DELETE else {})


def _update(draft: Draft) -> Iterator[Step]:
    if draft.live is not None and draft.live.state is LiveState.FAILED:
        yield from _repair(draft)
        return
    yield from _write_changes(draft, ())


def _repair(draft: Draft) -> Iterator[Step]:
    """A resource whose last operation failed is written whole, but for what its document ignores; what Azure takes only
    afterwards follows, and what opens it comes last, when it stands."""
    assert draft.desired is not None
    assert draft.live is not None
    changes = {change.path: change for change in draft.decision.changes}
    # One PUT carries all of what takes no PATCH: nothing of it stands before the rest does.
    opening = [path for path, change in changes.items() if change.opens and draft.type.patches]
    first, *rest = [
        [path for path in group if path not in opening] for group in draft.type.split(tuple(changes.values()))
    ]
    later = [*(group for group in rest if group), *([opening] if opening else [])]
    put_off = {path for group in later for path in group}
    ignored = draft.desired.lifecycle.ignore
    whole = {
        path: value
        for path, value in draft.desired.fields.items()
        if path not in put_off and not is_ignored(path, ignored) and (value is not None or path in first)
    }
    repair = _step(draft, "repair", Verb.PUT, Phase.BUILD, whole)
    yield replace(repair, expects=project(draft.type, draft.live.wire, whole))
    yield from _write_groups(draft, [tuple(changes[path] for path in group) for group in later], (repair.name,))


def _write_changes(draft: Draft, after: tuple[str, ...]) -> Iterator[Step]:
    changes = draft.decision.changes
    by_path = {change.path: change for change in changes}
    groups = [tuple(by_path[path] for path in group) for group in draft.type.split(changes)]
    if draft.apart and len(groups) == 1:
        groups = [group for group in part_changes(changes) if group]
    yield from _write_groups(draft, groups, after)


def _write_groups(draft: Draft, groups: Iterable[tuple[FieldChange, ...]], after: tuple[str, ...]) -> Iterator[Step]:
    verb = Verb.PATCH if draft.type.patches else Verb.PUT
    told = {change.path for change in draft.decision.changes}
    ours = _ownership(draft) if f"tags.{OWNER_TAG}" not in told else {}
    for number, changes in enumerate(groups, start=1):
        word = f"write-{number}"
        step = _step(draft, word, verb, phase_of(changes), {change.path: change.after for change in changes})
        yield replace(step, expects={**ours, **{change.path: change.before for change in changes}}, after=after)
        after = (_name(draft, word),)


def _ownership(draft: Draft) -> Mapping[str, Json]:
    """The owner that was read, expected again when it is written: the name may be somebody else's account by then."""
    if not draft.type.taggable or draft.live is None:
        return {}
    return project(draft.type, draft.live.wire, (f"tags.{OWNER_TAG}",))


def _edge(draft: Draft, around: _Around) -> Iterator[Step]:
    """The draft's steps with what they must wait for in other drafts. The first removal waits for what lies in it and
    for those who still use it, the first write for makers of what it needs and for those who have its addresses."""
    writes = [step for step in around.steps[draft.id] if step.verb not in (Verb.DELETE, Verb.PURGE)]
    for step in around.steps[draft.id]:
        if step.verb is Verb.DELETE:
            yield _make_way(draft, step, around) if draft.makes_way else _take_along(draft, step, around)
        elif writes and step is writes[0]:
            yield _follow(step, (*_stand_by(draft, around), *_make_room(draft, around)))
        else:
            yield step


def _take_along(draft: Draft, removal: Step, around: _Around) -> Step:
    children = around.below.get(draft.id, ())
    return replace(_follow(removal, _clear(draft, around)), takes=tuple(sorted(child.id for child in children)))


def _make_way(draft: Draft, removal: Step, around: _Around) -> Step:
    """It goes when nothing but its like keeps what it lies in. The first of them looks whether that goes at all."""
    assert draft.id.parent is not None
    beside = [each for each in around.below[draft.id.parent] if each.makes_way]
    first = around.steps[min(each.id for each in beside)][0]
    if removal.name != first.name:
        return _follow(removal, (first.name,))
    its_own = {around.steps[each.id][0].name for each in beside}
    above = around.drafts[draft.id.parent]
    leads = _take_along(above, around.steps[above.id][0], around)
    return replace(_follow(removal, (name for name in leads.after if name not in its_own)), leads=leads)


def _follow(step: Step, names: Iterable[str]) -> Step:
    return replace(step, after=tuple(dict.fromkeys((*step.after, *names))))


def _stand_by(draft: Draft, around: _Around) -> tuple[str, ...]:
    """The steps after which what a draft needs is there."""
    return tuple(around.makers[need] for need in _needs(draft, around.below) if around.makers.get(need))


def _clear(draft: Draft, around: _Around) -> Iterator[str]:
    """The steps after which nothing keeps a resource from being deleted."""
    below, steps = around.below, around.steps
    yield from (steps[child.id][0].name for child in below.get(draft.id, ()) if steps[child.id][0].verb is Verb.DELETE)
    yield from (around.release(user) for user in around.users.get(draft.id, ()))
    if draft.action is Action.DELETE and draft.id.parent is not None and draft.id.segments[1:]:
        # Only inside an account do siblings name each other, and there are few of them.
        yield from (steps[each.id][-1].name for each in below.get(draft.id.parent, ()) if _uses(each, draft))


def _make_room(draft: Draft, around: _Around) -> Iterator[str]:
    """The steps after which nobody beside a resource has its addresses any more."""
    if draft.type.claims and draft.id.parent is not None and not draft.alone:
        yield from (around.release(each) for each in find_holders(draft, around.below.get(draft.id.parent, ())))


def _needs(draft: Draft, below: Mapping[ArmId, list[Draft]]) -> Iterator[ArmId]:
    """The ids that a draft needs, with what is below them where it needs all of that too."""
    for need in draft.decision.needs:
        yield need
        if draft.type.after_all and need.segments:
            kept = (each for each in below.get(need, ()) if each.action is not Action.DELETE and not each.type.guest)
            yield from (each.id for each in kept)


def _uses(user: Draft, draft: Draft) -> bool:
    """Whether a sibling that acts names this one in Azure now. Two that go together need not wait for each other."""
    if user.live is None or (user.action is Action.DELETE and user.type is draft.type):
        return False
    segment, name = draft.id.segments[-1]
    values = (user.type.lens(each.path).read(user.live.wire) for each in user.type.fields if each.refers == segment)
    return any(isinstance(value, str) and value.lower() == name.lower() for value in values)


def _maker(draft: Draft, steps: tuple[Step, ...]) -> str:
    """The step after which a resource stands, for those who need it; "" where it stands already. What merely opens or
    closes it is nothing that they would wait for."""
    exposing = {change.path for change in draft.decision.changes if change.opens or change.closes}
    updates = draft.action in (Action.UPDATE, Action.ADOPT)
    standing = [
        step.name
        for step in steps
        if not (updates and step.fields.keys() <= exposing)
        and (step.phase is not Phase.LOOSEN or step.verb is Verb.PUT)
    ]
    return standing[-1] if standing else ""


def _leave(steps: Iterable[Step]) -> list[Step]:
    """The steps that can never start, because they wait for each other."""
    known = list(steps)
    ordered = {step.name for step in _walk(known)}
    return [step for step in known if step.name not in ordered]


def _sort(steps: list[Step], ranks: Mapping[str, int] = MappingProxyType({})) -> tuple[Step, ...]:
    ordered = _walk(steps, ranks)
    if len(ordered) != len(steps):
        raise ValueError("the steps of this plan wait for each other in a circle")
    return tuple(ordered)


def _walk(steps: list[Step], ranks: Mapping[str, int] = MappingProxyType({})) -> list[Step]:
    """The steps in order, as far as there is one; those of a higher rank wait while there are others."""
    known = {step.name for step in steps}
    waiting = {step.name: {name for name in step.after if name in known} for step in steps}
    by_name = {step.name: step for step in steps}
    released: dict[str, list[str]] = {name: [] for name in known}
    for name, blockers in waiting.items():
        for blocker in blockers:
            released[blocker].append(name)
    ready = [(ranks.get(name, 0), _key(by_name[name]), name) for name, blockers in waiting.items() if not blockers]
    heapq.heapify(ready)
    ordered: list[Step] = []
    while ready:
        _, _, name = heapq.heappop(ready)
        ordered.append(by_name[name])
        for freed in released[name]:
            waiting[freed].discard(name)
            if not waiting[freed]:
                heapq.heappush(ready, (ranks.get(freed, 0), _key(by_name[freed]), freed))
    return ordered


def _key(step: Step) -> tuple[int, str, str]:
    return _RANK[step.phase], step.id.type.lower(), step.id.key
