"""Who gets what is there: writes that need quota wait for writes that give it back, and what will not fit is blocked
with the arithmetic. Pure and deterministic.

Every unit that a write takes was free when the plan was made, or comes from a write that it waits for. So the pool is
never overdrawn, in whatever order the rest is done. What a purge gives back is not counted before Azure shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.kinds import deployment
from reconciler.model.ids import ArmId, Ref, fold_location
from reconciler.model.memory import Memory
from reconciler.model.plan import Action, DecisionState, Step
from reconciler.model.quota import Holding, Ledger
from reconciler.model.resource import Fleet, Snapshot
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.elastic import Stretch, find_stretches, is_elastic, lessen, restrain
from reconciler.plan.guards import stop_dependents
from reconciler.plan.openness import keep_closed
from reconciler.plan.order import put_after, put_last
from reconciler.plan.quota import Books, Move, PoolKey, count_moves, make_ledger

_NAMED = 3  # more soft-deleted accounts than these are only counted


@dataclass(slots=True)
class _Till:
    """One pool while it is given out. `free` is negative where more is used than the limit allows: whoever takes waits
    for those who `paid` that back. What is given back is kept for its own deployment first."""

    free: int
    paid: list[str] = field(default_factory=list)
    spare: list[tuple[str, int]] = field(default_factory=list)
    kept: dict[ArmId, list[tuple[str, int]]] = field(default_factory=lambda: defaultdict(list))

    def put(self, move: Move, own: int) -> None:
        """Take back what a write gives; `own` is what the same deployment takes again later."""
        units = -move.units
        debt = min(units, max(0, -self.free))
        if debt:
            self.free += debt
            self.paid.append(move.step)
        mine = min(units - debt, own)
        if mine:
            self.kept[move.id].append((move.step, mine))
        if units - debt - mine:
            self.spare.append((move.step, units - debt - mine))

    def available(self, id: ArmId) -> int:
        return self.free + sum(units for _, units in (*self.kept[id], *self.spare)) if self.free >= 0 else 0

    def take(self, move: Move) -> tuple[str, ...]:
        """Give out what fits; the steps that have to be done before."""
        wanted, after = move.units, [*self.paid]
        for source in (self.kept[move.id], None, self.spare):
            if source is None:
                used = min(wanted, self.free)
                self.free -= used
                wanted -= used
                continue
            while wanted and source:
                name, units = source.pop(0)
                used = min(wanted, units)
                wanted -= used
                after.append(name)
                if units > used:
                    source.insert(0, (name, units - used))
        return tuple(after)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shortage:
    """A write that will not fit: it needs so much of a pool of which so much is there for it, and lacks so much of what
    it wants. One that can do with less needs only that, and where it gets it, `given` is the capacity that it has."""

    move: Move
    available: int
    lacks: int
    given: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allotment:
    """Who waits for whom, who goes without, and who gets less than is wanted and can do with it."""

    after: Mapping[str, tuple[str, ...]]
    short: Mapping[ArmId, _Shortage]
    lessened: Mapping[ArmId, _Shortage]


def keep_within(
    drafts: Drafts, fleet: Fleet, snapshot: Snapshot, _memory: Memory
) -> tuple[Drafts, tuple[Step, ...], Ledger | None]:
    """The drafts less what will not fit, their steps in an order that overdraws no pool, and the ledger."""
    if snapshot.quotas is None:
        return *keep_closed(drafts, fleet, snapshot), None
    books = Books(fleet, snapshot)
    drafts = {**drafts, **restrain(books, drafts)}
    short: dict[PoolKey, int] = defaultdict(int)
    while True:
        drafts, steps = keep_closed(drafts, fleet, snapshot)
        moves = count_moves(books, drafts, steps)
        found = _allot(books, steps, moves, find_stretches(books, drafts, steps))
        # Who can do with less is told how much that is when it is known who goes without.
        lacking = found.short or found.lessened
        if not lacking:
            return drafts, put_after(steps, found.after), make_ledger(books, moves, short)
        for each in lacking.values():
            short[each.move.pool] += each.lacks
        words = _Refusals(books, drafts, moves)
        changed = {id: words.refuse(each) if found.short else words.lessen(each) for id, each in lacking.items()}
        drafts = {**drafts, **changed}
        drafts = stop_dependents(drafts) if found.short else drafts


def _allot(
    books: Books, steps: tuple[Step, ...], moves: tuple[Move, ...], stretches: Mapping[str, Stretch]
) -> _Allotment:
    """Along an order in which whoever takes comes last, so that no two writes can come to wait for each other; who can
    do with less comes after all others."""
    taking = {move.step for move in moves if move.units > 0}
    giving = {move.id for move in moves if move.units < 0}
    places = {step.name: at for at, step in enumerate(put_last(steps, taking, taking & stretches.keys()))}
    moves = tuple(sorted(moves, key=lambda move: places[move.step]))
    counter = _Counter(books=books, stretches=stretches)
    out = _find_short(counter, moves, giving)
    served = counter.serve(move for move in moves if move.id not in out)
    known = {step.name: step.after for step in steps}
    edges = {name: tuple(dict.fromkeys((*known[name], *waits))) for name, waits in served.after.items()}
    return _Allotment(after=edges, short=out, lessened=served.lessened)


def _find_short(counter: _Counter, moves: tuple[Move, ...], giving: set[ArmId]) -> dict[ArmId, _Shortage]:
    """Who goes without. Whoever would have given something back takes that from others, and then there may be room for
    some who had none: those go without one at a time, and are asked once more at the end."""
    out: dict[ArmId, _Shortage] = {}
    while True:
        short = counter.serve(move for move in moves if move.id not in out).short
        first = next((id for id in short if id in giving), None)
        if first is None:
            break
        out[first] = short[first]
    again = bool(out)
    out |= short
    while again:
        again = False
        for id in [*out]:
            if not counter.serve(move for move in moves if move.id == id or move.id not in out).short:
                del out[id]
                again = True
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counter:
    """Where quota is given out; `stretches` are the writes that can do with less."""

    books: Books
    stretches: Mapping[str, Stretch]

    def serve(self, moves: Iterable[Move]) -> _Allotment:
        """What each write that takes has to wait for, who goes without and who gets less, in the order of the moves."""
        moves = tuple(moves)
        own: dict[tuple[ArmId, PoolKey], int] = defaultdict(int)
        for move in moves:
            own[move.id, move.pool] += max(0, move.units)
        tills: dict[PoolKey, _Till] = {}
        after: dict[str, tuple[str, ...]] = defaultdict(tuple)
        short: dict[ArmId, _Shortage] = {}
        lessened: dict[ArmId, _Shortage] = {}
        for move in moves:
            till = tills.setdefault(move.pool, _Till(free=self.books.left(move.pool)))
            if move.units < 0:
                till.put(move, own[move.id, move.pool])
                continue
            shortage = self._weigh(move, till.available(move.id))
            if shortage and shortage.given is None:
                short.setdefault(move.id, shortage)
                continue
            if shortage:
                lessened[move.id] = shortage
            fitting = shortage.move if shortage else move
            after[move.step] += tuple(name for name in till.take(fitting) if name != move.step)
        return _Allotment(after=after, short=short, lessened=lessened)

    def _weigh(self, move: Move, available: int) -> _Shortage | None:
        """What keeps a write from having all that it asks for; None where nothing does."""
        if available >= move.units:
            return None
        stretch = self.stretches.get(move.step)
        if stretch is None:
            return _Shortage(move=move, available=available, lacks=move.units)
        given, has = stretch.fit(move.units, available), stretch.wanted - move.units
        units = (stretch.least if given is None else given) - has
        lacks = stretch.wanted - (has if given is None else given)
        return _Shortage(move=replace(move, units=units), available=available, lacks=lacks, given=given)


def _purges(draft: Draft) -> bool:
    """Whether it frees what an account holds: one that is soft-deleted, or one that is replaced."""
    return draft.action is Action.PURGE or (draft.action is Action.REPLACE and draft.type.soft_deletes)


class _Refusals:
    """Puts what does not fit into words: what is asked, who has the pool, and the least that would make it fit."""

    def __init__(self, books: Books, drafts: Drafts, moves: tuple[Move, ...]) -> None:
        self._books = books
        self._drafts = drafts
        self._moves: dict[PoolKey, list[Move]] = defaultdict(list)
        for move in moves:
            self._moves[move.pool].append(move)
        self._purges = [draft for draft in drafts.values() if _purges(draft)]
        self._withheld = self._find_withheld()

    def refuse(self, shortage: _Shortage) -> Draft:
        move = shortage.move
        draft = self._drafts[move.id]
        lacking = move.units - shortage.available
        purge, frees = self._purge(move.pool)
        if purge and frees >= lacking:
            reason = f"waits for the purge of {purge}, and for usages to show what that gives back: "
            return draft.waiting(reason + self._ask(draft, shortage))
        reason = f"{self._ask(draft, shortage)}; {self._arithmetic(shortage)}"
        return draft.blocked("insufficient_quota", reason, self._permit(draft, shortage))

    def lessen(self, shortage: _Shortage) -> Draft:
        """What can do with less gets that."""
        assert shortage.given is not None
        return lessen(self._drafts[shortage.move.id], shortage.given, self._arithmetic(shortage))

    def _ask(self, draft: Draft, shortage: _Shortage) -> str:
        held, move = self._least(draft), shortage.move
        at_least = "at least " if is_elastic(draft) else ""
        more = " more" if held.units > move.units else ""
        offer = f"{held.offer.model} {self._sku(draft)}"
        ends = f"would be left with less than its min of {held.units:,}: " if at_least and draft.present else ""
        falls = ends if draft.action is Action.REPLACE or draft.alone else ""
        return f"{falls}asks {at_least}{move.units:,}{more} of {offer} in {move.pool[0]}"

    def _arithmetic(self, shortage: _Shortage) -> str:
        """Who has what is used, and what this plan does with the rest."""
        pool = shortage.move.pool
        books, residue = self._books, self._books.residue(pool)
        surveyed = pool[0] in books.quotas.surveyed
        parts = [f"{books.ours[pool]:,} by this fleet"]
        if books.others[pool] or surveyed:
            parts.append(f"{books.others[pool]:,} by others")
        if residue:
            who = "others or soft-deleted accounts"
            if surveyed:
                who = "soft-deleted accounts" if books.deleted_in(pool[0]) else "nobody that can be seen"
            parts.append(f"up to {residue:,} by {who}")
        usage = books.quotas.markets[pool[0]].usages[pool[1]]
        told = f"{usage.used:,} of {usage.limit:,} are used ({', '.join(parts)})"
        back = -sum(move.units for move in self._moves[pool] if move.units < 0)
        elsewhere = max(0, books.left(pool) + back - shortage.available)
        if back or elsewhere:
            told += f", this plan gives back {back:,} and needs {elsewhere:,} elsewhere"
        return f"{told}: {shortage.available:,} left for it"

    def _permit(self, draft: Draft, shortage: _Shortage) -> str:
        """What would make it fit, the cheapest first."""
        move, held = shortage.move, self._least(draft)
        lacking = move.units - shortage.available
        ways = []
        terms = self._books.terms_of(held.offer)
        step, least = (terms.step, terms.least) if terms else (1, 1)
        fitting = (held.units - lacking) // step * step
        if fitting >= least and shortage.available > 0:
            what = "min" if is_elastic(draft) else "capacity"
            ways.append(f"declare a {what} of {fitting:,}, {held.units - fitting:,} fewer")
        enough = [each for each in self._withheld.get(move.pool, ()) if each[0] >= lacking]
        ways += [f"permit what {ref} would give back ({units:,})" for units, ref in enough[:1]]
        residue, deleted = self._books.residue(move.pool), self._books.deleted_in(move.pool[0])
        if residue and deleted:
            more = f" and {len(deleted) - _NAMED} more" if len(deleted) > _NAMED else ""
            names = f"{', '.join(deleted[:_NAMED])}{more}"
            ways.append(f"purge what is soft-deleted there ({names}), which frees {residue:,} at most")
        ways.append(f"free {lacking:,} of this pool, or ask Azure for a higher limit")
        return "; or ".join(ways)

    def _find_withheld(self) -> dict[PoolKey, list[tuple[int, Ref]]]:
        """What blocked changes of this plan would give back, the least first."""
        found: dict[PoolKey, list[tuple[int, Ref]]] = defaultdict(list)
        for draft in self._drafts.values():
            blocked = draft.decision.state is DecisionState.BLOCKED and draft.type is deployment.TYPE
            if not blocked or draft.live is None or draft.decision.code == "insufficient_quota":
                continue
            had = deployment.read_holding(draft.live, self._books.region_of(draft.id, declared=False))
            kept = (
                self._books.wanted(draft).units if draft.desired and draft.decision.action is not Action.DELETE else 0
            )
            pool = self._books.pool_of(had)
            if pool and had.units > kept:
                found[pool].append((had.units - kept, draft.decision.ref))
        return {pool: sorted(each) for pool, each in found.items()}

    def _purge(self, pool: PoolKey) -> tuple[str, int]:
        """An account whose purge is part of this plan, and the most that the plan's purges can free of a pool."""
        names, frees = [], 0
        for draft in self._purges:
            if draft.deleted and self._region(draft) == pool[0]:
                names.append(str(draft.decision.ref))
                frees = max(frees, self._books.residue(pool))
            elif not draft.deleted and (held := self._below(draft.id, pool)):
                names.append(str(draft.decision.ref))
                frees += held
        return (names[0], frees) if names else ("", 0)

    def _region(self, draft: Draft) -> str:
        assert draft.deleted is not None
        return fold_location(draft.deleted.location)

    def _below(self, account: ArmId, pool: PoolKey) -> int:
        """What the deployments of an account hold of a pool."""
        books = self._books
        below = (live for live in books.snapshot.live.values() if live.id.parent == account)
        held = (
            deployment.read_holding(live, books.region_of(live.id, declared=False))
            for live in below
            if live.type.lower() == deployment.TYPE.arm_type.lower()
        )
        return sum(each.units for each in held if books.pool_of(each) == pool)

    def _least(self, draft: Draft) -> Holding:
        """What the deployment has to hold in the end: all that it wants, unless less will do."""
        held = self._books.wanted(draft)
        floor = draft.desired.floor if draft.desired else None
        return held if floor is None else replace(held, units=min(held.units, floor))

    def _sku(self, draft: Draft) -> str:
        wanted = draft.desired.fields.get("sku.name") if draft.desired else None
        return str(wanted or self._books.wanted(draft).offer.sku)
