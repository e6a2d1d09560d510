"""Who gets what is there: writes that need quota wait for writes that give it back, and what will not fit is blocked
with the arithmetic. Pure and deterministic.

Every unit that a write takes was free when the plan was made, or comes from a write that it waits for. So the pool is
never overdrawn, in whatever order the rest is done. What a purge gives back is not counted before Azure shows it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.kinds import deployment
from reconciler.model.ids import ArmId, Ref
from reconciler.model.memory import Memory
from reconciler.model.plan import Action, DecisionState, Step
from reconciler.model.quota import Holding, Ledger
from reconciler.model.resource import Fleet, Snapshot
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.elastic import Stretch, find_stretches, is_elastic, lessen, restrain
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
    until that has come back is put off: so a small one that fits now does not take what one before it waits for. What
    can do with less gets it at last, when it is known who goes without, and may have the rest when it has come back."""
    drafts, steps = keep_closed({**drafts, **restrain(books, drafts)}, books.fleet, books.snapshot)
    fitted = _Fitted(drafts=drafts, steps=steps)
    for relief in (purges.relief, {}) if purges.relief else ({},):
        while True:
            fitted.moves = count_moves(books, fitted.drafts, fitted.steps)
            found = _allot(books, fitted, relief)
            if not found.short and (relief or not found.lessened):
                break
            words = _Refusals(books, fitted, purges, relief)
            told = stop_dependents(_tell_short(fitted, found, words)) if found.short else _lessen(fitted, found, words)
            fitted.drafts, fitted.steps = keep_closed(told, books.fleet, books.snapshot)
        fitted.after = found.after
    return fitted


def _tell_short(fitted: _Fitted, found: _Allotment, words: _Refusals) -> Drafts:
    """The drafts with those refused or put off that go without, and with the purges that the latter wait for."""
    told = dict(fitted.drafts)
    for id, each in found.short.items():
        fitted.short[each.move.pool] += each.lacks
        if restored := words.await_restore(each):
            told[id] = restored
        elif words.final:
            told[id] = words.refuse(each)
        else:
            fitted.waits.append(Wait(draft=fitted.drafts[id], pool=each.move.pool))
            told[id] = words.put_off(each)
    return {**told, **words.purges.plan(fitted.waits)}


def _lessen(fitted: _Fitted, found: _Allotment, words: _Refusals) -> Drafts:
    """The drafts with those that can do with less at that, and with the purges that may free the rest."""
    told = dict(fitted.drafts)
    for id, each in found.lessened.items():
        fitted.short[each.move.pool] += each.lacks
        told[id] = words.lessen(each)
        if each.move.pool in words.purges.relief:
            fitted.waits.append(Wait(draft=told[id], pool=each.move.pool))
    return {**told, **words.purges.plan(fitted.waits)}


def _allot(books: Books, fitted: _Fitted, relief: Relief) -> _Allotment:
    """Along an order in which whoever takes comes last, so that no two writes can come to wait for each other; who can
    do with less comes after all others."""
    steps, moves = fitted.steps, fitted.moves
    counter = _Counter(books=books, stretches=find_stretches(books, fitted.drafts, steps), relief=relief)
    taking = {move.step for move in moves if move.units > 0}
    places = {step.name: at for at, step in enumerate(put_last(steps, taking, taking & counter.stretches.keys()))}
    fates = {move.id: _fate(fitted.drafts[move.id]) for move in moves}
    known = {step.name: step.after for step in steps}
    edges: dict[str, tuple[str, ...]] = {}
    short: dict[ArmId, _Shortage] = {}
    lessened: dict[ArmId, _Shortage] = {}
    staying: set[ArmId] = set()
    for group in _part(sorted(moves, key=lambda move: places[move.step]), fates):
        out = _find_short(counter, group, fates)
        served = counter.serve(move for move in group if fates[move.id] not in out)
        edges |= {name: tuple(dict.fromkeys((*known[name], *waits))) for name, waits in served.after.items()}
        lessened |= served.lessened
        short |= {id: each for found in out.values() for id, each in found.items()}
        staying |= out.keys()
    # What is new in an account that stays as it is may fit there: that is for the next plan to say.
    short = {id: each for id, each in short.items() if id.top not in staying or fates[id] == id.top}
    return _Allotment(after=edges, short=short, lessened=lessened)


def _fate(draft: Draft) -> ArmId:
    """What is refused as a whole with a deployment: it alone, or the account that it goes and comes with."""
    return draft.id.top if draft.makes_way else draft.id


def _part(moves: Iterable[Move], fates: Mapping[ArmId, ArmId]) -> Iterable[list[Move]]:
    """The moves in groups that have no pool and no fate in common, each in the order given."""
    roots: dict[ArmId | PoolKey, ArmId | PoolKey] = {}

    def root(each: ArmId | PoolKey) -> ArmId | PoolKey:
        while (above := roots.setdefault(each, each)) != each:
            roots[each] = each = roots[above]
        return each

    listed = list(moves)
    for move in listed:
        roots[root(fates[move.id])] = root(move.pool)
    groups: dict[ArmId | PoolKey, list[Move]] = defaultdict(list)
    for move in listed:
        groups[root(move.pool)].append(move)
    return groups.values()


def _find_short(
    counter: _Counter, moves: list[Move], fates: Mapping[ArmId, ArmId]
) -> dict[ArmId, Mapping[ArmId, _Shortage]]:
    """Who goes without, by fate. Whoever would have given something back takes that from others, and then there may be
    room for some who had none: those go without one at a time, and are asked once more at the end."""
    giving = {fates[move.id] for move in moves if move.units < 0}
    out: dict[ArmId, Mapping[ArmId, _Shortage]] = {}
    while True:
        short = _ask(counter, moves, fates, out)
        first = next((fate for fate in short if fate in giving), None)
        if first is None:
            break
        out[first] = short[first]
    again = bool(out)
    out |= short
    while again:
        again = False
        for fate in [*out]:
            if not _ask(counter, moves, fates, out.keys() - {fate}):
                del out[fate]
                again = True
    return out


def _ask(
    counter: _Counter, moves: list[Move], fates: Mapping[ArmId, ArmId], out: Collection[ArmId]
) -> dict[ArmId, Mapping[ArmId, _Shortage]]:
    """Who goes without, by fate, when some are left out from the start."""
    found: dict[ArmId, dict[ArmId, _Shortage]] = {}
    for id, each in counter.serve(move for move in moves if fates[move.id] not in out).short.items():
        found.setdefault(fates[id], {})[id] = each
    return {**found}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counter:
    """Where quota is given out; `stretches` are the writes that can do with less, `relief` is what may come back."""

    books: Books
    stretches: Mapping[str, Stretch]
    relief: Relief

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
            free = self.books.left(move.pool) + self.relief.get(move.pool, 0)
            till = tills.setdefault(move.pool, _Till(free=free))
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

    def await_restore(self, shortage: _Shortage) -> Draft | None:
        """What comes back with its account need not fit; whether it does is for the next plan to see."""
        draft = self._drafts[shortage.move.id]
        account = self._drafts.get(draft.id.top)
        if account is None or account.action is not Action.RESTORE:
            return None
        reason = f"waits for the restore of {account.decision.ref}, which may bring it back with what it holds"
        return draft.waiting(f"{reason}: {self._ask(draft, shortage)}")

    def put_off(self, shortage: _Shortage) -> Draft:
        draft = self._drafts[shortage.move.id]
        return draft.waiting(f"{self.purges.tell_wait(shortage.move.pool)}: {self._ask(draft, shortage)}")

    def refuse(self, shortage: _Shortage) -> Draft:
        draft = self._drafts[shortage.move.id]
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
        relief = self._relief.get(pool, 0)
        elsewhere = max(0, books.left(pool) + back + relief - shortage.available)
        if relief:
            told += f", purges can free {relief:,} at most"
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
            goes = draft.desired is None or draft.decision.action is Action.DELETE
            kept = 0 if goes else self._books.wanted(draft, self._drafts).units
            pool = self._books.pool_of(had)
            if pool and had.units > kept:
                found[pool].append((had.units - kept, draft.decision.ref))
        return {pool: sorted(each) for pool, each in found.items()}

    def _least(self, draft: Draft) -> Holding:
        """What the deployment has to hold in the end: all that it wants, unless less will do."""
        held = self._books.wanted(draft, self._drafts)
        floor = draft.desired.floor if draft.desired else None
        return held if floor is None else replace(held, units=min(held.units, floor))

    def _sku(self, draft: Draft) -> str:
        wanted = draft.desired.fields.get("sku.name") if draft.desired else None
        return str(wanted or self._books.wanted(draft, self._drafts).offer.sku)
