"""What a plan opens and closes, the edges that keep it from opening anything in passing, and what has to be refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.kinds import account, endpoint, endpoint_connection, network_security_group, subnet
from reconciler.kinds.base import ResourceType, compose
from reconciler.kinds.catalog import type_of
from reconciler.kinds.diff import is_ignored
from reconciler.model.ids import ArmId
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.plan import Action, DecisionState, Step, Verb
from reconciler.model.reach import Way
from reconciler.model.resource import Fleet, Snapshot
from reconciler.model.wire import Json, JsonObject
from reconciler.plan.draft import Drafts
from reconciler.plan.reach.bodies import answers, default_allows
from reconciler.plan.reach.connection import CutOff, find_cut_off
from reconciler.plan.reach.paths import SERVICE, Path, find_paths, meet
from reconciler.plan.reach.security import Cells
from reconciler.plan.reach.sequence import Conflict, Links
from reconciler.plan.reach.sequence import Sequence as Search
from reconciler.plan.reach.state import State, Versions, overlay, run_steps
from reconciler.plan.reach.tell import tell_ways

_DECIDES = frozenset(
    each.TYPE.arm_type.lower() for each in (account, endpoint, endpoint_connection, network_security_group, subnet)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """`after` are the steps that each step waits for, by name. `conflicts` and `cut_off` have to be dealt with before
    the steps may run. `chains` are the steps that decide about each resource."""

    after: Mapping[str, tuple[str, ...]]
    conflicts: tuple[Conflict, ...]
    cut_off: tuple[CutOff, ...]
    paths: tuple[Path, ...]
    versions: Versions
    chains: Mapping[ArmId, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Who gets through, or does so no longer, because of one resource."""

    opened: tuple[Way, ...] = ()
    closed: tuple[Way, ...] = ()


def survey(fleet: Fleet, snapshot: Snapshot, drafts: Drafts, steps: Sequence[Step]) -> Survey:
    """What `steps`, in the order of a plan, do to reach, and what has to be added to their order."""
    before = {id: live.wire for id, live in snapshot.live.items()}
    chains = _chain(steps, before)
    withheld = dict(_withhold(drafts)) if chains else {}
    versions = Versions(
        before,
        {id: _stages(id, chain, before, snapshot) for id, chain in chains.items()},
        withheld,
        frozenset(id for id in withheld if id not in before and snapshot.hidden(id)),
    )
    names = {id: tuple(step.name for step in chain) for id, chain in chains.items()}
    never = {id: (f"withheld {id.key}",) for id in sorted(versions.withheld)}
    links = Links({**{step.name: step.after for step in steps}, **{name: () for (name,) in never.values()}})
    search = Search(versions=versions, chains={**names, **never}, links=links)
    paths = tuple(find_paths(versions, frozenset(chains)))
    for path in paths:
        search.arrange(path)
    search.refuse_waiting()
    for path in paths:
        search.smooth(path)
    cut_off: tuple[CutOff, ...] = ()
    if fleet.policy.never_cut_off:
        every = tuple(find_paths(versions, _accounts(paths)))
        cut_off = tuple(find_cut_off(fleet.policy.never_cut_off, every, search))
    return Survey(
        after={step.name: tuple(links.after[step.name]) for step in steps},
        conflicts=tuple(dict.fromkeys(search.conflicts)),
        cut_off=cut_off,
        paths=paths,
        versions=versions,
        chains=names,
    )


def _withhold(drafts: Drafts) -> Iterator[tuple[ArmId, JsonObject | None]]:
    """What documents want of resources that this plan leaves as they are, whatever keeps it from them."""
    for id, draft in drafts.items():
        decision, desired = draft.decision, draft.desired
        if draft.acts or decision.state is DecisionState.IN_SYNC or id.type.lower() not in _DECIDES:
            continue
        if desired is None:
            # Nobody declares it; what Azure is still working on is here only because it is to go.
            if draft.intent is Action.DELETE or decision.state is DecisionState.IN_PROGRESS:
                yield id, None
        elif desired.lifecycle.policy is not ManagePolicy.DETACH:
            ignored = desired.lifecycle.ignore
            wanted = {path: value for path, value in desired.fields.items() if not is_ignored(path, ignored)}
            if draft.live is None:
                yield id, _make(draft.type, wanted)
            elif (wire := overlay(draft.type, draft.live.wire, wanted)) is not draft.live.wire:
                yield id, wire


def _make(type_: ResourceType, fields: Mapping[str, Json]) -> JsonObject:
    return compose(type_, {path: value for path, value in fields.items() if value is not None}, None)


def tell(found: Survey, steps: Sequence[Step]) -> Mapping[ArmId, Told]:
    """Each way that the plan opens, told of the resource whose write is the last that it takes; each that it closes, of
    the one whose write is the first to do so. `steps` are in the order of the plan."""
    told: dict[ArmId, Told] = {}
    moved: dict[str, list[ArmId]] = {}
    for id, names in found.chains.items():
        for name in names:
            moved.setdefault(name, []).append(id)
    places: dict[ArmId, list[int]] = {}
    for at, step in enumerate(steps):
        for id in moved.get(step.name, ()):
            places.setdefault(id, []).append(at)
    for path in found.paths:
        before, final = path.read(found.versions.before), path.read(found.versions.reached)
        if path.quiet or before == final:
            continue
        about = [steps[at] for at in sorted({at for id in path.ids for at in places.get(id, ())})]
        for step, now, then in _walk(path, found.versions, [(step, moved[step.name]) for step in about]):
            opened = 0 if _is_open(path, found.versions.before) else then & ~now & final & ~before
            closed = 0 if _is_open(path, found.versions.reached) else now & ~then & before & ~final
            if opened or closed:
                known = told.get(step.id, Told())
                told[step.id] = Told(
                    opened=(*known.opened, *tell_ways(path, opened)), closed=(*known.closed, *tell_ways(path, closed))
                )
    return told


def _is_open(path: Path, state: State) -> bool:
    """Whether those whom a firewall may name come in anyhow, as it lets in everybody."""
    wire = state.get(path.target) if path.word == SERVICE else None
    return wire is not None and answers(wire) and default_allows(wire)


def _walk(
    path: Path, versions: Versions, steps: Iterable[tuple[Step, list[ArmId]]]
) -> Iterator[tuple[Step, Cells, Cells]]:
    """Who gets through before and after each write that has a say in it."""
    state, done = versions.before, dict[ArmId, int]()
    gates = [gate.read(state) for gate in path.gates]
    now = meet(gates)
    for step, moved in steps:
        ids = [id for id in moved if id in path.ids]
        if not ids:
            continue
        done |= {id: done.get(id, 0) + 1 for id in ids}
        state = state.after({id: versions.at(id, done[id]) for id in ids})
        for at, gate in enumerate(path.gates):
            if not gate.ids.isdisjoint(ids):
                gates[at] = gate.read(state)
        then = meet(gates)
        yield step, now, then
        now = then


def _accounts(paths: Iterable[Path]) -> frozenset[ArmId]:
    return frozenset(path.target for path in paths if not path.quiet)


def _chain(steps: Iterable[Step], before: Mapping[ArmId, JsonObject]) -> Mapping[ArmId, tuple[Step, ...]]:
    """The writes that decide about each resource that has a say in reach, where they are about anything but its tags:
    its own, and before them the delete of what it lies in."""
    chains: dict[ArmId, tuple[Step, ...]] = {}
    gone: dict[ArmId, Step] = {}
    for step in steps:
        if step.id.type.lower() in _DECIDES:
            chains[step.id] = (*chains.get(step.id, ()), step)
        if step.verb is Verb.DELETE:
            gone[step.id] = step
    for id in before if gone else ():
        above = gone.get(id.parent) if id.parent and id.type.lower() in _DECIDES else None
        if above is not None and not any(step.verb is Verb.DELETE for step in chains.get(id, ())):
            chains[id] = (above, *chains.get(id, ()))
    return {id: chain for id, chain in chains.items() if any(_matters(step) for step in chain)}


def _matters(step: Step) -> bool:
    return step.verb not in (Verb.PUT, Verb.PATCH) or any(not path.startswith("tags.") for path in step.fields)


def _stages(
    id: ArmId, chain: Iterable[Step], before: Mapping[ArmId, JsonObject], snapshot: Snapshot
) -> tuple[JsonObject | None, ...]:
    deleted = snapshot.deleted.get(id)
    return run_steps(before.get(id), chain, deleted.wire if deleted else None)


def live_ways(fleet: Fleet, snapshot: Snapshot) -> tuple[Way, ...]:
    """Who gets through to the accounts of a fleet as Azure is now."""
    wires = {id: live.wire for id, live in snapshot.live.items()}
    accounts = {id for id in wires if id in fleet.desired or snapshot.live[id].owner == fleet.name}
    return tuple(way for way in _ways(wires) if way.target in accounts)


def declared_ways(fleet: Fleet) -> tuple[Way, ...]:
    """Who gets through to the accounts of a fleet once everything is as its documents say."""
    wires: dict[ArmId, JsonObject] = {}
    for id, desired in fleet.desired.items():
        type_ = type_of(desired.type)
        if type_ is not None:
            wires[id] = _make(type_, desired.fields)
    return tuple(_ways(wires))


def _ways(wires: Mapping[ArmId, JsonObject]) -> Iterator[Way]:
    versions = Versions(wires, {})
    found = (tell_ways(path, path.read(State(wires))) for path in find_paths(versions) if not path.quiet)
    yield from sorted((way for ways in found for way in ways), key=lambda way: way.key)
