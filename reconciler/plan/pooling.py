"""Wishes for tokens of a model, turned into deployments of declared accounts. Pure and deterministic.

What runs is kept while it is what is wanted, and then nothing need be known about quota. Otherwise the wish is placed
with the quota that plain deployments leave, pool after pool in the order of their names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.kinds import deployment
from reconciler.kinds.base import declare
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.memory import NOTHING, Memory
from reconciler.model.plan import Decision, DecisionState, Plan
from reconciler.model.quota import ModelKey
from reconciler.model.resource import Desired, Fleet, Snapshot
from reconciler.model.spread import Member, Share, Spread
from reconciler.model.wire import Json
from reconciler.model.wish import PoolWish
from reconciler.plan.cells import CAPACITY, Cell, Places, find_wishes, held_units
from reconciler.plan.draft import Drafts
from reconciler.plan.graves import find_purged
from reconciler.plan.placement import Choice, Demand, Limit, Placement, Slot, SlotNote, compare, place
from reconciler.plan.pool_words import tell_gone, tell_pool, tell_region, tell_share, tell_slot
from reconciler.plan.quota import Books, PoolKey
from reconciler.plan.shelf import Shelves
from reconciler.plan.shunning import tell_shunned

POOL = "ModelPool"


def place_pools(
    fleet: Fleet, snapshot: Snapshot, shelves: Shelves, memory: Memory = NOTHING
) -> tuple[Fleet, tuple[Spread, ...]]:
    """The fleet with the deployments that its pools become, and how that came about."""
    wishes = find_wishes(fleet)
    if not wishes:
        return fleet, ()
    desk = _Desk(fleet, snapshot, shelves, memory)
    spreads = tuple(desk.serve(wish) for wish in wishes)
    everything = {**fleet.desired, **desk.results()}
    return replace(fleet, desired={id: everything[id] for id in sorted(everything)}), spreads


def find_unplaced(fleet: Fleet, snapshot: Snapshot, chosen: frozenset[ArmId] | None = None) -> frozenset[str]:
    """The folded regions whose quota has to be known because what runs is not what a pool wants."""
    places, regions = Places(fleet, snapshot), set[str]()
    for wish in find_wishes(fleet):
        if wish.lifecycle.policy is not ManagePolicy.MANAGE or places.find_unclear(wish):
            continue
        cells = places.find(wish)
        meant = chosen is None or any(cell.id in chosen for cell in cells)
        if meant and not _is_settled(wish, cells):
            regions |= {cell.region for cell in cells}
    return frozenset(regions)


def find_growing(fleet: Fleet, plan: Plan) -> frozenset[ModelKey]:
    """The models of pools of which a plan deploys more: whether there is hardware for them is worth a question."""
    more = {each.ref.name.partition("/")[0] for each in plan.decisions if each.ref.kind == POOL and _grows(each)}
    wishes = (wish for wish in find_wishes(fleet) if wish.ref.name in more and wish.version)
    return frozenset(model_of(wish) for wish in wishes)


def _grows(decision: Decision) -> bool:
    return decision.acts and any(
        change.path == CAPACITY and isinstance(change.after, int) and change.after > _whole(change.before)
        for change in decision.changes
    )


def _whole(value: Json) -> int:
    return value if isinstance(value, int) else 0


def model_of(wish: PoolWish) -> ModelKey:
    return wish.format, wish.model, wish.version


def settle_spreads(
    spreads: Iterable[Spread], drafts: Drafts, chosen: frozenset[ArmId] | None = None
) -> tuple[Spread, ...]:
    """The spreads with what is left of them where something was refused or got less than was planned; of pools that
    somebody chose, where somebody chose."""
    meant = (spread for spread in spreads if chosen is None or _has_any(spread, chosen))
    return tuple(replace(spread, shares=tuple(_settle(each, drafts) for each in spread.shares)) for spread in meant)


def _has_any(spread: Spread, chosen: frozenset[ArmId]) -> bool:
    return any(member.id in chosen for share in spread.shares for member in share.members)


def _settle(share: Share, drafts: Drafts) -> Share:
    placed = sum(each.tokens * _settled_units(each, drafts) for each in share.members)
    if placed == share.placed:
        return share
    told = (drafts[each.id].decision for each in share.members if each.id in drafts)
    refused = next((each.reason for each in told if each.state is DecisionState.BLOCKED), share.reason)
    # What it got besides others give back or a purge does: how much they leave is told with the quota.
    reason = refused if placed < share.placed else ""
    return replace(share, placed=placed, choice=compare(share.held, placed).value, reason=reason)


def _settled_units(member: Member, drafts: Drafts) -> int:
    draft = drafts.get(member.id)
    if draft is None:
        return member.units
    if not draft.acts and draft.decision.state is not DecisionState.IN_PROGRESS:
        return held_units(draft.live)
    wanted = draft.desired.fields.get(CAPACITY, 0) if draft.desired else 0
    return wanted if isinstance(wanted, int) else member.units


def _is_settled(wish: PoolWish, cells: Iterable[Cell]) -> bool:
    """Whether what runs is what is wanted, by nothing but what it says itself."""
    slots: list[Slot] = []
    for cell in cells:
        if cell.live is None:
            continue
        if not cell.allowed or cell.rate is None:
            return False
        pool = (cell.region, cell.sku.lower())
        slots.append(_slot(cell, pool=pool, tokens=cell.rate, most=cell.held))
    rooms: dict[PoolKey, int] = defaultdict(int)
    for slot in slots:
        assert slot.pool is not None
        rooms[slot.pool] += slot.held
    found = place(_demand(wish), slots, rooms)
    return not found.shortfall and not found.unmet and all(note.choice is Choice.KEPT for note in found.slots)


def _demand(wish: PoolWish) -> Demand:
    return Demand(tokens=wish.tokens, most_share=wish.most_share, least_regions=wish.least_regions)


def _slot(cell: Cell, *, pool: PoolKey | None, tokens: int, most: int | None = None) -> Slot:
    return Slot(
        account=cell.account.id,
        location=cell.region,
        sku=cell.sku,
        rank=cell.rank,
        pool=pool,
        tokens=tokens,
        most=most,
        held=cell.held,
        barred=cell.barred,
    )


@dataclass(slots=True)
class _Flow:
    """What is asked of one pool of quota and given back to it."""

    takes: int = 0
    gives: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What a cell shall have. A unit is worth `tokens`; `wants` is more than `units` where that needs quota that is not
    there. What `stays` keeps what it holds although it should not, because nobody permits to take it."""

    cell: Cell
    slot: Slot
    units: int
    because: str = ""
    gone: str = ""
    wants: int = 0
    stays: bool = False

    @property
    def added(self) -> int:
        return self.units - self.cell.held

    @property
    def placed(self) -> int:
        """Tokens per minute."""
        return self.slot.tokens * (self.cell.held if self.stays else self.units)


class _Desk:
    """Where the wishes of one fleet are served, one after the other."""

    def __init__(self, fleet: Fleet, snapshot: Snapshot, shelves: Shelves, memory: Memory) -> None:
        self._fleet = fleet
        self._shelves = shelves
        self._snapshot = snapshot
        self._memory = memory
        self._places = Places(fleet, snapshot)
        self._books = Books(fleet, snapshot) if snapshot.quotas is not None else None
        self._flows: dict[PoolKey, _Flow] = defaultdict(_Flow)
        self._served: list[tuple[PoolWish, tuple[_Result, ...]]] = []
        if self._books is not None:
            self._count_plain(self._books)

    def serve(self, wish: PoolWish) -> Spread:
        cells = self._places.find(wish)
        policy, unclear = wish.lifecycle.policy, self._places.find_unclear(wish)
        if policy is not ManagePolicy.MANAGE:
            return self._keep(wish, cells, f"lifecycle.policy: {policy} places nothing")
        if unclear:
            return self._keep(wish, cells, f"nothing is placed: {unclear}")
        known = self._books is not None and all(self._is_known(cell.region) for cell in cells)
        if self._books is None or (not known and _is_settled(wish, cells)):
            return self._keep(wish, cells, "")
        return self._place(wish, cells, self._books)

    def results(self) -> dict[ArmId, Desired]:
        """The deployments that all wishes became, what shall go included."""
        return {
            each.cell.id: self._want(wish, each, results)
            for wish, results in self._served
            for each in results
            if not each.cell.fixed and (each.cell.live or each.units or each.wants)
        }

    def _is_known(self, region: str) -> bool:
        quotas = self._snapshot.quotas
        market = quotas.markets.get(region) if quotas else None
        return quotas is not None and (region in quotas.unread or (market is not None and bool(market.terms)))

    def _keep(self, wish: PoolWish, cells: Iterable[Cell], reason: str) -> Spread:
        """Everything as it runs, whatever is wanted."""
        results = []
        for cell in cells:
            if cell.live:
                slot = _slot(cell, pool=None, tokens=self._rate(wish, cell))
                told = tell_share(wish, slot.tokens * cell.held)
                results.append(_Result(cell=cell, slot=slot, units=cell.held, because=told))
        self._served.append((wish, tuple(results)))
        regions = sorted({each.cell.region for each in results})
        shares = [_share(region, Choice.KEPT, "", results) for region in regions]
        return _spread(wish, shares, reason)

    def _rate(self, wish: PoolWish, cell: Cell) -> int:
        return cell.rate or self._snapshot.rates.get(cell.offer(wish), 0)

    def _place(self, wish: PoolWish, cells: tuple[Cell, ...], books: Books) -> Spread:
        allowed = {(cell.account.id, cell.sku): cell for cell in cells if cell.allowed}
        found = self._choose(wish, [self._appraise(wish, cell, books) for cell in allowed.values()], books)
        results = [
            *(_turn(wish, allowed[note.slot.key], note, found) for note in found.slots),
            *(self._give_up(wish, cell, books) for cell in cells if not cell.allowed),
        ]
        results = _make_up(wish, [self._permit(wish, each) for each in results])
        results = _expose(wish, found, results, books)
        for each in results:
            if each.slot.pool and not each.stays:
                self._flows[each.slot.pool].takes += max(0, each.added)
                self._flows[each.slot.pool].gives += max(0, -each.added)
        self._served.append((wish, tuple(results)))
        told = {note.location: (note.choice, tell_region(wish, note)) for note in found.regions}
        regions = sorted({each.cell.region for each in results})
        gone = (Choice.REMOVED, "it is not among the regions or types that are wanted")
        shares = [_share(region, *told.get(region, gone), results) for region in regions]
        return _spread(wish, shares, "; ".join(each for each in (tell_pool(wish, found), self._doubt(wish)) if each))

    def _doubt(self, wish: PoolWish) -> str:
        """What Azure did not tell about hardware, where it was asked."""
        fault = self._snapshot.quotas.unsure.get(model_of(wish)) if self._snapshot.quotas else None
        return f"what hardware there is for it could not be read: {fault.code}" if fault else ""

    def _appraise(self, wish: PoolWish, cell: Cell, books: Books) -> Slot:
        """On what terms a cell can have something."""
        slot = _slot(cell, pool=None, tokens=self._rate(wish, cell))
        if cell.region in books.quotas.unread:
            fault = books.quotas.unread[cell.region]
            return replace(slot, barred=cell.barred or f"quota of {cell.region} could not be read: {fault.code}")
        terms = books.terms_of(cell.offer(wish))
        if terms is None:
            return slot
        pool = (cell.region, terms.usage.lower())
        if terms.tokens is None or pool[1] not in books.quotas.markets[cell.region].usages:
            what = "does not say what a unit of {1} as {2} is worth" if terms.tokens is None else "has no quota {0}"
            told = what.format(terms.usage, wish.model, cell.sku)
            return replace(slot, barred=cell.barred or f"{cell.region} {told}")
        known = replace(
            slot,
            pool=pool,
            tokens=terms.tokens,
            least=terms.least,
            step=terms.step,
            most=terms.most,
            allowed=terms.allowed,
        )
        if told := self._tell_retired(wish, cell) or tell_shunned(cell.offer(wish), self._snapshot, self._memory):
            return replace(known, barred=cell.barred or told)
        available = books.quotas.hardware.get(cell.offer(wish))
        # What Azure tells counts no more than the quota that is left, and this very plan may free some.
        short = available is not None and available < max(0, books.left(pool))
        return replace(known, hardware=available if short else None)

    def _tell_retired(self, wish: PoolWish, cell: Cell) -> str:
        """Why nothing new of a model is deployed in a region, or nothing at all, "" where all is well."""
        shelf = self._shelves.of(cell.region)
        article = shelf.find(cell.offer(wish)) if shelf else None
        if article is None or article.takes_new(self._shelves.now):
            return ""
        retired = article.retires is not None and article.retires <= self._shelves.now
        if cell.live is not None and not retired:
            return ""
        what = f"{article.name} as {article.sku}"
        return f"{cell.region} takes no new deployment of {what}: it is {'retired' if retired else 'being withdrawn'}"

    def _choose(self, wish: PoolWish, slots: list[Slot], books: Books) -> Placement:
        """The best placement. What runs in a pool that is overdrawn moves only where there is room for it elsewhere."""
        held: dict[PoolKey, int] = defaultdict(int)
        for slot in slots:
            if slot.pool:
                held[slot.pool] += slot.held
        rooms = {pool: units + self._free(pool, books) for pool, units in held.items()}
        found = place(_demand(wish), slots, rooms)
        if not found.shortfall:
            return found
        kept = place(_demand(wish), slots, {pool: max(room, held[pool]) for pool, room in rooms.items()})
        return kept if kept.shortfall < found.shortfall else found

    def _free(self, pool: PoolKey, books: Books) -> int:
        """What is left of a pool once everybody before has had theirs; less than nothing only where more is used than
        its limit allows."""
        left, flow = books.left(pool), self._flows[pool]
        return left if left < 0 else max(0, left - max(0, flow.takes - flow.gives))

    def _give_up(self, wish: PoolWish, cell: Cell, books: Books) -> _Result:
        """What is left in a place that is not wanted any more."""
        terms = books.terms_of(cell.offer(wish))
        pool = (cell.region, terms.usage.lower()) if terms else None
        gone = f"{wish.ref} does not want {cell.sku} in {cell.region} any more"
        return _Result(cell=cell, slot=_slot(cell, pool=pool, tokens=self._rate(wish, cell)), units=0, gone=gone)

    def _permit(self, wish: PoolWish, result: _Result) -> _Result:
        """What is taken from a deployment, where that is permitted."""
        fleet, lifecycle = self._fleet, wish.lifecycle
        allow = fleet.policy.allow | lifecycle.allow
        if result.units or not result.cell.live:
            stays = result.added < 0 and "capacityCut" not in allow
        else:
            seen = fleet.complete and not self._snapshot.blind
            stays = "delete" not in allow or lifecycle.prevent_destroy or not seen
        return replace(result, stays=stays or (result.cell.fixed and result.added < 0))

    def _count_plain(self, books: Books) -> None:
        """What deployments that documents declare take and give back, but for those that take what is there."""
        for id, desired in self._fleet.desired.items():
            managed = desired.lifecycle.policy is ManagePolicy.MANAGE and desired.floor is None
            if id.type.lower() != deployment.TYPE.arm_type.lower() or not managed or desired.throughput:
                continue
            live = self._snapshot.live.get(id)
            before = deployment.read_held(live) if live else {}
            wanted = {**before, **{path: value for path, value in desired.fields.items() if value is not None}}
            after = deployment.make_holding(id, wanted, books.region_of(id, declared=True))
            now = deployment.make_holding(id, before, books.region_of(id, declared=False)) if live else None
            change: dict[PoolKey, int] = defaultdict(int)
            for held, sign in ((now, -1), (after, +1)):
                pool = books.pool_of(held) if held else None
                if held and pool:
                    change[pool] += sign * held.units
            for pool, units in change.items():
                self._flows[pool].takes += max(0, units)
                self._flows[pool].gives += max(0, -units)

    def _want(self, wish: PoolWish, result: _Result, all_: Iterable[_Result]) -> Desired:
        """The deployment of a cell as a document would declare it."""
        cell, account = result.cell, result.cell.account
        sku: dict[str, Json] = {"name": cell.sku, "capacity": result.wants or result.units}
        filter_ = account.id.child("raiPolicies", str(wish.fields.get("raiPolicyName")))
        floor = (result.units or _first_size(result.slot)) if result.wants else None
        return Desired(
            id=cell.id,
            ref=Ref(kind=wish.ref.kind, name=f"{wish.ref.name}/{account.ref.name}/{cell.id.name}"),
            fields={} if result.gone else {**wish.fields, **declare(deployment.TYPE, {"sku": sku})},
            needs=(account.id, *([filter_] if filter_ in self._fleet.desired else []), *self._await(result, all_)),
            lifecycle=wish.lifecycle,
            origin=wish.origin,
            origins=wish.origins,
            labels=wish.labels,
            floor=floor,
            because=result.because,
            gone=result.gone,
        )

    def _await(self, result: _Result, all_: Iterable[_Result]) -> Iterator[ArmId]:
        """What is given up elsewhere is given up when the new ones stand, where quota lets them be made before."""
        if result.added >= 0 or self._books is None:
            return
        for each in all_:
            pool = each.slot.pool
            if each.added > 0 and pool and self._flows[pool].takes <= max(0, self._books.left(pool)):
                yield each.cell.id


def _first_size(slot: Slot) -> int:
    """The fewest units that a deployment has if there is one."""
    return min(slot.allowed, default=max(1, -(-slot.least // slot.step)) * slot.step)


def _size_above(slot: Slot, units: int) -> int:
    """The least capacity of at least so many units, of those that are sold."""
    if units <= 0:
        return 0
    if slot.allowed:
        return min((each for each in slot.allowed if each >= units), default=max(slot.allowed))
    return max(_first_size(slot), -(-units // slot.step) * slot.step)


def _size_below(slot: Slot, units: int) -> int:
    """The largest capacity of at most so many units, of those that are sold; 0 if there is none."""
    if slot.allowed:
        return max((each for each in slot.allowed if each <= units), default=0)
    return units // slot.step * slot.step if units >= _first_size(slot) else 0


def _turn(wish: PoolWish, cell: Cell, note: SlotNote, found: Placement) -> _Result:
    gone = tell_gone(wish, note) if cell.live and not note.units else ""
    because = "" if gone else tell_slot(wish, note, found.slots)
    return _Result(cell=cell, slot=note.slot, units=note.units, because=because, gone=gone)


def _make_up(wish: PoolWish, results: list[_Result]) -> list[_Result]:
    """As much less of what is new as there stays of what should go: nobody gets twice what is wanted."""
    excess = max(0, sum(each.placed for each in results) - wish.tokens) if any(each.stays for each in results) else 0
    made = {each.cell.id: each for each in results}
    for each in sorted(results, key=lambda each: (each.slot.rank, each.cell.region, each.cell.id), reverse=True):
        slot = each.slot
        if each.added <= 0 or excess < slot.tokens:
            continue
        units = max(each.cell.held, _size_above(slot, each.units - excess // slot.tokens))
        excess -= slot.tokens * (each.units - units)
        told = tell_share(wish, slot.tokens * units)
        made[each.cell.id] = replace(each, units=units, because=told)
    return [made[each.cell.id] for each in results]


def _expose(wish: PoolWish, found: Placement, results: list[_Result], books: Books) -> list[_Result]:
    """What is missing is asked where it is liked best, rather where soft-deleted accounts hold quota that a purge would
    free: so everybody sees what the pool lacks, and whoever can get it has somebody to get it for."""
    missing = wish.tokens - sum(each.placed for each in results)
    full = {note.slot.key: note for note in found.slots if note.limit is Limit.QUOTA and not note.slot.barred}
    able = [each for each in results if each.slot.key in full and each.slot.tokens and each.added >= 0]
    if missing <= 0 or not able:
        return results
    purged = find_purged(books.fleet, books.snapshot)

    def liking(each: _Result) -> tuple[bool, bool, bool, int, str, ArmId]:
        assert each.slot.pool is not None
        none = books.residue(each.slot.pool) == 0
        return (
            none or each.cell.region not in purged,
            none,
            not each.units,
            each.slot.rank,
            each.cell.region,
            each.cell.id,
        )

    for each in sorted(able, key=liking):
        if wants := _find_wants(wish, each, results, missing):
            told = f"up to {tell_share(wish, each.slot.tokens * wants)}"
            return [replace(each, wants=wants, because=told) if other is each else other for other in results]
    return results


def _find_wants(wish: PoolWish, result: _Result, results: Iterable[_Result], missing: int) -> int:
    """How many units a result would have with as much of what is missing as its region and its size permit; 0 where
    that is no more than it has."""
    slot = result.slot
    region = sum(each.placed for each in results if each.cell.region == result.cell.region)
    share = wish.tokens * wish.most_share // 100 - region if wish.most_share < 100 else missing
    if share < missing:
        wants = _size_below(slot, result.units + share // slot.tokens)
    else:
        wants = _size_above(slot, result.units - missing // -slot.tokens)
    wants = wants if slot.most is None else _size_below(slot, min(wants, slot.most))
    return wants if wants > result.units else 0


def _share(region: str, choice: Choice, reason: str, results: Iterable[_Result]) -> Share:
    there = [each for each in results if each.cell.region == region]
    return Share(
        location=region,
        choice=choice.value,
        held=sum(each.slot.tokens * each.cell.held for each in there),
        placed=sum(each.placed for each in there),
        reason=reason,
        members=tuple(_member(each) for each in there),
    )


def _member(result: _Result) -> Member:
    """What runs under its name and is not the pool's is worth nothing to it."""
    foreign = result.cell.barred and not result.cell.live
    return Member(id=result.cell.id, tokens=0 if foreign else result.slot.tokens, units=result.units)


def _spread(wish: PoolWish, shares: Iterable[Share], reason: str) -> Spread:
    model = f"{wish.model} {wish.version}" if wish.version else wish.model
    return Spread(
        ref=wish.ref, origin=wish.origin, model=model, wanted=wish.tokens, shares=tuple(shares), reason=reason
    )
