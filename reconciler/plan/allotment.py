"""Who gets what is there: writes that need quota wait for writes that give it back, and what will not fit is blocked
with the arithmetic. Pure and deterministic.

Every unit that a write takes was free when the plan was made, or comes from a write that it waits for. So the pool is
never overdrawn, in whatever order the rest is done. What a purge gives back is not counted before Azure shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.kinds import deployment
from reconciler.model.ids import ArmId, Ref
from reconciler.model.memory import Memory
from reconciler.model.plan import Action, DecisionState, Step
from reconciler.model.quota import Holding, Ledger
from reconciler.model.resource import Fleet, Snapshot
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.guards import stop_dependents
from reconciler.plan.openness import keep_closed
from reconciler.plan.order import put_after, put_last
from reconciler.plan.purging import Purges, Wait
from reconciler.plan.quota import Books, Move, PoolKey, count_moves, make_ledger

Relief = Mapping[PoolKey, int]  # what may come back besides


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
    """A write that will not fit: it needs so much of a pool of which so much is there for it."""

    move: Move
    available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Allotment:
    after: Mapping[str, tuple[str, ...]]
    short: Mapping[ArmId, _Shortage]


def keep_within(
    drafts: Drafts, fleet: Fleet, snapshot: Snapshot, memory: Memory
) -> tuple[Drafts, tuple[Step, ...], Ledger | None]:
    """The drafts less what will not fit, their steps in an order that overdraws no pool, and the ledger."""
    if snapshot.quotas is None:
        return *keep_closed(drafts, fleet, snapshot), None
    books = Books(fleet, snapshot)
    purges = Purges(books, drafts, memory)
    while True:
        fitted = _fit(drafts, books, purges)
        shut = purges.find_excess(fitted.waits)
        if shut == purges.shut:
            steps = purges.wire(fitted.steps, fitted.moves, fitted.waits)
            ledger = make_ledger(books, fitted.moves, fitted.short)
            return fitted.drafts, put_after(steps, fitted.after), ledger
        purges = Purges(books, drafts, memory, shut)


@dataclass(slots=True, kw_only=True)
class _Fitted:
    """Drafts of which none asks for more than there is, or will be after what it waits for."""

    drafts: Drafts
    steps: tuple[Step, ...] = ()
    moves: tuple[Move, ...] = ()
    after: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    short: dict[PoolKey, int] = field(default_factory=lambda: defaultdict(int))
    waits: list[Wait] = field(default_factory=list)


def _fit(drafts: Drafts, books: Books, purges: Purges) -> _Fitted:
    """First what would not fit even if everything came back that purges can free is refused, then what does not fit
    until that has come back is put off: so a small one that fits now does not take what one before it waits for."""
    drafts, steps = keep_closed(drafts, books.fleet, books.snapshot)
    fitted = _Fitted(drafts=drafts, steps=steps)
    for relief in (purges.relief, {}) if purges.relief else ({},):
        while True:
            fitted.moves = count_moves(books, fitted.drafts, fitted.steps)
            found = _allot(books, fitted.steps, fitted.moves, relief)
            if not found.short:
                break
            told = _tell_short(fitted, found, _Refusals(books, fitted, purges, relief))
            fitted.drafts, fitted.steps = keep_closed(stop_dependents(told), books.fleet, books.snapshot)
        fitted.after = found.after
    return fitted


def _tell_short(fitted: _Fitted, found: _Allotment, words: _Refusals) -> Drafts:
    """The drafts with those refused or put off that go without, and with the purges that the latter wait for."""
    told = dict(fitted.drafts)
    for id, each in found.short.items():
        fitted.short[each.move.pool] += each.move.units
        if words.final:
            told[id] = words.refuse(each)
        else:
            fitted.waits.append(Wait(draft=fitted.drafts[id], pool=each.move.pool))
            told[id] = words.put_off(each)
    return {**told, **words.purges.plan(fitted.waits)}


def _allot(books: Books, steps: tuple[Step, ...], moves: tuple[Move, ...], relief: Relief) -> _Allotment:
    """Along an order in which whoever takes comes last, so that no two writes can come to wait for each other."""
    taking = {move.step for move in moves if move.units > 0}
    giving = {move.id for move in moves if move.units < 0}
    places = {step.name: at for at, step in enumerate(put_last(steps, taking))}
    moves = tuple(sorted(moves, key=lambda move: places[move.step]))
    out = _find_short(books, moves, giving, relief)
    after, _ = _serve(books, [move for move in moves if move.id not in out], relief)
    known = {step.name: step.after for step in steps}
    edges = {name: tuple(dict.fromkeys((*known[name], *waits))) for name, waits in after.items()}
    return _Allotment(after=edges, short=out)


def _find_short(books: Books, moves: tuple[Move, ...], giving: set[ArmId], relief: Relief) -> dict[ArmId, _Shortage]:
    """Who goes without. Whoever would have given something back takes that from others, and then there may be room for
    some who had none: those go without one at a time, and are asked once more at the end."""
    out: dict[ArmId, _Shortage] = {}
    while True:
        _, short = _serve(books, [move for move in moves if move.id not in out], relief)
        first = next((id for id in short if id in giving), None)
        if first is None:
            break
        out[first] = short[first]
    again = bool(out)
    out |= short
    while again:
        again = False
        for id in [*out]:
            _, still = _serve(books, [move for move in moves if move.id == id or move.id not in out], relief)
            if not still:
                del out[id]
                again = True
    return out


def _serve(books: Books, moves: list[Move], relief: Relief) -> tuple[dict[str, list[str]], dict[ArmId, _Shortage]]:
    """What each write that takes has to wait for, and who goes without, in the order of the moves."""
    own: dict[tuple[ArmId, PoolKey], int] = defaultdict(int)
    for move in moves:
        own[move.id, move.pool] += max(0, move.units)
    tills: dict[PoolKey, _Till] = {}
    after: dict[str, list[str]] = defaultdict(list)
    short: dict[ArmId, _Shortage] = {}
    for move in moves:
        till = tills.setdefault(move.pool, _Till(free=books.left(move.pool) + relief.get(move.pool, 0)))
        if move.units < 0:
            till.put(move, own[move.id, move.pool])
        elif till.available(move.id) < move.units:
            short.setdefault(move.id, _Shortage(move=move, available=till.available(move.id)))
        else:
            after[move.step] += [name for name in till.take(move) if name != move.step]
    return after, short


class _Refusals:
    """Puts what does not fit into words: what is asked, who has the pool, and the least that would make it fit."""

    def __init__(self, books: Books, fitted: _Fitted, purges: Purges, relief: Relief) -> None:
        self._books = books
        self._drafts = fitted.drafts
        self._relief = relief
        self.purges = purges
        # Whether it is the last word about what does not fit, or only until purges have done what they can.
        self.final = relief is purges.relief or not purges.relief
        self._moves: dict[PoolKey, list[Move]] = defaultdict(list)
        for move in fitted.moves:
            self._moves[move.pool].append(move)
        self._withheld = self._find_withheld()

    def put_off(self, shortage: _Shortage) -> Draft:
        draft = self._drafts[shortage.move.id]
        return draft.waiting(f"{self.purges.tell_wait(shortage.move.pool)}: {self._ask(draft, shortage)}")

    def refuse(self, shortage: _Shortage) -> Draft:
        draft = self._drafts[shortage.move.id]
        reason = f"{self._ask(draft, shortage)}; {self._arithmetic(shortage)}"
        return draft.blocked("insufficient_quota", reason, self._permit(draft, shortage))

    def _ask(self, draft: Draft, shortage: _Shortage) -> str:
        held, move = self._wanted(draft), shortage.move
        more = " more" if held.units > move.units else ""
        offer = f"{held.offer.model} {self._sku(draft)}"
        return f"asks {move.units:,}{more} of {offer} in {move.pool[0]}"

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
        relief = self._relief.get(pool, 0)
        elsewhere = max(0, books.left(pool) + back + relief - shortage.available)
        if relief:
            told += f", purges can free {relief:,} at most"
        if back or elsewhere:
            told += f", this plan gives back {back:,} and needs {elsewhere:,} elsewhere"
        return f"{told}: {shortage.available:,} left for it"

    def _permit(self, draft: Draft, shortage: _Shortage) -> str:
        """What would make it fit, the cheapest first."""
        move, held = shortage.move, self._wanted(draft)
        lacking = move.units - shortage.available
        ways = []
        terms = self._books.terms_of(held.offer)
        step, least = (terms.step, terms.least) if terms else (1, 1)
        fitting = (held.units - lacking) // step * step
        if fitting >= least and shortage.available > 0:
            ways.append(f"declare a capacity of {fitting:,}, {held.units - fitting:,} fewer")
        enough = [each for each in self._withheld.get(move.pool, ()) if each[0] >= lacking]
        ways += [f"permit what {ref} would give back ({units:,})" for units, ref in enough[:1]]
        ways += [way for way in (self.purges.advise(move.pool),) if way]
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
            kept = self._wanted(draft).units if draft.desired and draft.decision.action is not Action.DELETE else 0
            pool = self._books.pool_of(had)
            if pool and had.units > kept:
                found[pool].append((had.units - kept, draft.decision.ref))
        return {pool: sorted(each) for pool, each in found.items()}

    def _wanted(self, draft: Draft) -> Holding:
        """What the deployment would hold in the end."""
        values = dict(deployment.read_held(draft.live)) if draft.live else {}
        if draft.desired:
            values |= {path: value for path, value in draft.desired.fields.items() if value is not None}
        return deployment.make_holding(draft.id, values, self._books.region_of(draft.id, declared=True))

    def _sku(self, draft: Draft) -> str:
        wanted = draft.desired.fields.get("sku.name") if draft.desired else None
        return str(wanted or self._wanted(draft).offer.sku)
