"""What a plan does with each soft-deleted account of a subscription, and a plan that only purges one. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconciler.model.burial import Burial, Graveyard
from reconciler.model.ids import ArmId, Ref, fold_location
from reconciler.model.moment import read_time
from reconciler.model.plan import Action, Decision, DecisionState, Phase, Plan, Risk, Step, Verb
from reconciler.model.quota import Pool
from reconciler.model.resource import DeletedAccount, Fleet, Snapshot
from reconciler.plan.decide import FINE_TUNED
from reconciler.plan.graves import NEEDS_WORD, Names, by_age, find_place, may_hold, spares

_HAND = "purge"


def bury(fleet: Fleet, snapshot: Snapshot, plan: Plan) -> Graveyard:
    """The soft-deleted accounts of the fleet's subscription, the one deleted first before the others."""
    names = Names(snapshot)
    decided = {decision.id: decision for decision in plan.decisions}
    burials = [
        Burial(
            deleted=deleted,
            name=names.of(deleted),
            fleet=fleet.name,
            age=_since(deleted.deleted_at, snapshot),
            left=None if (passed := _since(deleted.purge_after, snapshot)) is None else -passed,
            pools=_find_pools(deleted, plan),
            fate=_tell_fate(fleet, snapshot, deleted, decided) if fleet.name else "",
        )
        for deleted in sorted(snapshot.deleted.values(), key=by_age)
    ]
    unread = [
        (f"{blind.type} in {blind.scope}", blind.fault) for blind in snapshot.blind if "cognitive" in blind.type.lower()
    ]
    if plan.ledger:
        unread += [(f"quota of {location}", fault) for location, fault in plan.ledger.unread.items()]
        unread += [(f"deployments of {id.name}", fault) for id, fault in plan.ledger.unseen.items()]
    return Graveyard(
        subscription=fleet.subscription,
        fleets=(fleet.name,) if fleet.name else (),
        burials=tuple(burials),
        unread=tuple(unread),
    )


def merge(graveyards: Iterable[Graveyard]) -> tuple[Graveyard, ...]:
    """One of each subscription: every account once, with what the fleet does that it was or that may purge it."""
    merged: dict[str, Graveyard] = {}
    for graveyard in graveyards:
        key = graveyard.subscription.lower()
        known = merged.get(key)
        if known is None:
            merged[key] = graveyard
            continue
        chosen = {burial.deleted.id: burial for burial in known.burials}
        for burial in graveyard.burials:
            first = chosen.get(burial.deleted.id)
            chosen[burial.deleted.id] = burial if first is None or _rank(burial) < _rank(first) else first
        merged[key] = replace(
            known,
            fleets=(*known.fleets, *graveyard.fleets),
            burials=tuple(sorted(chosen.values(), key=lambda each: by_age(each.deleted))),
            unread=tuple(dict.fromkeys((*known.unread, *graveyard.unread))),
        )
    return tuple(merged.values())


def _rank(burial: Burial) -> tuple[bool, bool]:
    return burial.deleted.owner != burial.fleet, burial.fate.startswith(_LEFT)


_LEFT = "left alone"


def _since(text: str, snapshot: Snapshot) -> float | None:
    moment = read_time(text)
    return None if moment is None else snapshot.taken_at - moment


def _find_pools(deleted: DeletedAccount, plan: Plan) -> tuple[Pool, ...] | None:
    if not may_hold(deleted):
        return ()
    region = fold_location(deleted.location)
    if plan.ledger is None or region in plan.ledger.unread:
        return None
    return tuple(pool for pool in plan.ledger.pools if pool.location == region and pool.residue)


def _tell_fate(fleet: Fleet, snapshot: Snapshot, deleted: DeletedAccount, decided: dict[ArmId, Decision]) -> str:
    purge, wanted = decided.get(find_place(deleted)), decided.get(deleted.id)
    if purge is not None:
        words = {DecisionState.ACT: "the next run purges it", DecisionState.IN_PROGRESS: "the next run may purge it"}
        return f"{words.get(purge.state, _LEFT)}: {purge.reason}"
    if wanted is not None and wanted.action is Action.RESTORE and wanted.acts:
        return f"the next run restores it: {wanted.ref} wants it back"
    if wanted is not None:
        return f"{_LEFT}: {wanted.ref} has its name: {wanted.reason}"
    why = spares(fleet, deleted, snapshot.taken_at)
    if why:
        return f"{_LEFT}: {why}"
    permit = "" if "purge" in fleet.policy.allow else f"; {NEEDS_WORD} for that"
    return f"{_LEFT} until a plan needs what it holds{permit}"


def find_burials(burials: Iterable[Burial], word: str) -> tuple[Burial, ...]:
    """The accounts that somebody means: by name, by group and name, or by the id that it had alive or has now."""
    folded = word.lower()
    return tuple(burial for burial in burials if folded in {each.lower() for each in _words(burial.deleted)})


def _words(deleted: DeletedAccount) -> Iterator[str]:
    yield deleted.id.name
    yield f"{deleted.id.group}/{deleted.id.name}"
    yield str(deleted.id)
    yield str(find_place(deleted))
    yield str(deleted.wire.get("id") or deleted.id)


def find_protection(fleets: Iterable[Fleet], deleted: DeletedAccount) -> str:
    """Which document lets nobody destroy an account, not even by hand, "" where none does."""
    wanted = (fleet.desired.get(deleted.id) for fleet in fleets)
    ref = next((each.ref for each in wanted if each and each.lifecycle.prevent_destroy), None)
    return f"{ref} forbids it (lifecycle.preventDestroy): remove that from its document first" if ref else ""


def plan_one(burial: Burial) -> Plan:
    """A purge that a person wants, whatever a fleet may do; it waits for whatever the account can have held."""
    deleted, ref = burial.deleted, Ref(kind="DeletedAccount", name=burial.name)
    decision = Decision(
        id=find_place(deleted),
        ref=ref,
        state=DecisionState.ACT,
        action=Action.PURGE,
        reason="asked for by hand",
        risk=Risk.DESTROYS,
        warnings=(FINE_TUNED,),
        location=deleted.location,
        frees={pool.usage: pool.residue for pool in burial.pools or ()},
    )
    step = Step(
        name=f"{ref}#{_HAND}",
        id=deleted.id,
        verb=Verb.PURGE,
        action=Action.PURGE,
        phase=Phase.RELEASE,
        expects={},
        location=deleted.location,
        deleted_at=deleted.deleted_at,
        # Nothing is expected of how full they are: whatever they hold by then, a fall is looked for.
        awaits={pool.usage.lower(): 0 for pool in burial.pools or ()},
    )
    return Plan(fleet=burial.fleet, decisions=(decision,), steps=(step,))
