"""Who holds which pool of quota, what a plan's writes take and give back, and the ledger of both. Pure.

Which pool a deployment draws on is what its region's model list says. Knows nothing of what is to be done when a pool
is too small.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.kinds import deployment
from reconciler.kinds.account import TYPE as ACCOUNT
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.plan import Action, Decision, Plan, Step, Verb
from reconciler.model.quota import Holding, Ledger, Market, Offer, Pool, Quotas, Terms
from reconciler.model.resource import Fleet, Live, Snapshot
from reconciler.model.wire import Json
from reconciler.model.wish import QuotaWish
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.graves import ALIVE, may_hold

# A folded region and a folded usage name.
PoolKey = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """What one write changes in one pool: more where `units` is positive, less where it is negative."""

    step: str
    id: ArmId
    pool: PoolKey
    units: int


class Books:
    """The pools of one snapshot, and who holds what in them before anything is done."""

    def __init__(self, fleet: Fleet, snapshot: Snapshot) -> None:
        assert snapshot.quotas is not None
        self.fleet = fleet
        self.snapshot = snapshot
        self.quotas: Quotas = snapshot.quotas
        self.strays: dict[str, None] = {}
        self.ours: dict[PoolKey, int] = defaultdict(int)
        self.others: dict[PoolKey, int] = defaultdict(int)
        self._alike = {location: find_alike(market) for location, market in self.quotas.markets.items()}
        self._deleted = _find_deleted(snapshot)
        for live in snapshot.live.values():
            if live.type.lower() == deployment.TYPE.arm_type.lower():
                held = deployment.read_holding(live, self.region_of(live.id, declared=False))
                self._enter(self.ours if live.owner == fleet.name else self.others, held)
        for stranger in self.quotas.strangers:
            self._enter(self.others, stranger)

    def region_of(self, id: ArmId, *, declared: bool) -> str:
        """The folded region of a deployment's account: as it is, or as its document wants it."""
        return region_of(self.fleet, self.snapshot, id, declared=declared)

    def terms_of(self, offer: Offer) -> Terms | None:
        """On what terms the offer is sold; of a version that is no longer listed the pool of the others, if it is one
        for all of them."""
        market = self.quotas.markets.get(offer.location)
        if market is None:
            return None
        exact = market.terms.get(offer)
        return exact or self._alike[offer.location].get((offer.format, offer.model, offer.sku))

    def pool_of(self, held: Holding) -> PoolKey | None:
        """The pool that a deployment draws on; one that none can be told for is remembered as a stray."""
        terms = self.terms_of(held.offer)
        key = (held.offer.location, terms.usage.lower()) if terms else None
        market = self.quotas.markets.get(held.offer.location)
        if market is None or (key and key[1] in market.usages):
            return key
        self.strays[_tell_stray(held)] = None
        return None

    def wanted(self, draft: Draft, drafts: Drafts) -> Holding:
        """What a deployment would hold in the end."""
        values = dict(deployment.read_held(draft.live)) if draft.live else {}
        if draft.desired:
            values |= {path: value for path, value in draft.desired.fields.items() if value is not None}
        region = self.region_of(draft.id, declared=born_anew(draft, drafts))
        return deployment.make_holding(draft.id, values, region)

    def left(self, pool: PoolKey) -> int:
        usage = self.quotas.markets[pool[0]].usages[pool[1]]
        return usage.limit - usage.used

    def residue(self, pool: PoolKey) -> int:
        """The most that soft-deleted accounts can hold of it."""
        usage = self.quotas.markets[pool[0]].usages[pool[1]]
        return max(0, usage.used - self.ours[pool] - self.others[pool])

    def deleted_in(self, location: str) -> tuple[str, ...]:
        """The soft-deleted accounts of a region that may hold quota."""
        return self._deleted.get(location, ())

    def _enter(self, column: dict[PoolKey, int], held: Holding) -> None:
        pool = self.pool_of(held)
        if pool:
            column[pool] += held.units


def _find_deleted(snapshot: Snapshot) -> Mapping[str, tuple[str, ...]]:
    """The names of soft-deleted accounts that may hold quota, by folded region."""
    found: dict[str, list[str]] = defaultdict(list)
    for each in snapshot.deleted.values():
        if may_hold(each):
            found[fold_location(each.location)].append(each.id.name)
    return {location: tuple(sorted(names)) for location, names in found.items()}


def region_of(fleet: Fleet, snapshot: Snapshot, id: ArmId, *, declared: bool) -> str:
    """The folded region of a deployment's account: as it is, or as its document wants it."""
    live, wanted = snapshot.live.get(id.top), fleet.desired.get(id.top)
    places = (live.wire.get("location") if live else None, wanted.fields.get("location") if wanted else None)
    first, second = reversed(places) if declared else places
    return fold_location(str(first or second or ""))


def find_alike(market: Market) -> Mapping[tuple[str, str, str], Terms]:
    """The terms of a model and SKU where every version draws on the same pool."""
    versions: dict[tuple[str, str, str], dict[str, Terms]] = defaultdict(dict)
    for offer, terms in market.terms.items():
        versions[offer.format, offer.model, offer.sku].setdefault(terms.usage.lower(), terms)
    return {key: next(iter(found.values())) for key, found in versions.items() if len(found) == 1}


def _tell_stray(held: Holding) -> str:
    offer = held.offer
    name = f"{held.id.parent.name}/{held.id.name}" if held.id.parent else held.id.name
    version = f" {offer.version}" if offer.version else ""
    return f"{name} ({offer.model}{version} as {offer.sku} in {offer.location})"


def find_asked(plan: Plan, fleet: Fleet, snapshot: Snapshot) -> frozenset[str]:
    """The folded regions in which a plan makes accounts or changes what deployments hold, or in which a model is about
    to be retired: only there quota has to be known."""
    regions = {each.offer.location for each in plan.outlook.near}
    for decision in plan.decisions:
        if decision.acts and (_changes_holding(decision) or _makes_account(decision)):
            live, wanted = snapshot.live.get(decision.id.top), fleet.desired.get(decision.id.top)
            places = (live.wire.get("location") if live else None, wanted.fields.get("location") if wanted else None)
            regions |= {fold_location(str(each)) for each in places if each}
    return frozenset(regions)


def _changes_holding(decision: Decision) -> bool:
    if decision.id.type.lower() != deployment.TYPE.arm_type.lower():
        return False
    if decision.action in (Action.CREATE, Action.REPLACE, Action.DELETE):
        return True
    return any(change.path.startswith(("model.", "sku.")) for change in decision.changes)


def _makes_account(decision: Decision) -> bool:
    return _is_account(decision.id) and decision.action is Action.CREATE


def find_regions(fleet: Fleet, snapshot: Snapshot) -> frozenset[str]:
    """Every folded region in which the fleet has or wants an account, or of whose quota a document speaks."""
    wanted = (each.fields.get("location") for each in fleet.desired.values() if _is_account(each.id))
    live = (each.wire.get("location") for each in snapshot.live.values() if _is_ours(each, fleet))
    spoken_of = (each.location for each in fleet.wishes if isinstance(each, QuotaWish))
    return frozenset(fold_location(str(each)) for each in (*wanted, *live, *spoken_of) if each)


def find_strangers(fleet: Fleet, snapshot: Snapshot, regions: frozenset[str]) -> dict[ArmId, str]:
    """The accounts of regions that nobody has looked into and that may hold quota there, each with its region."""
    named = {id.top for id in fleet.desired}
    found: dict[ArmId, str] = {}
    for live in snapshot.live.values():
        region = fold_location(str(live.wire.get("location") or ""))
        if not _is_account(live.id) or region not in regions or live.owner == fleet.name or live.id in named:
            continue
        if str(live.wire.get("kind") or "openai").lower() in ALIVE:
            found[live.id] = region
    return found


def _is_account(id: ArmId) -> bool:
    return id.type.lower() == ACCOUNT.arm_type.lower()


def _is_ours(live: Live, fleet: Fleet) -> bool:
    return _is_account(live.id) and live.owner == fleet.name


def count_moves(books: Books, drafts: Drafts, steps: Iterable[Step]) -> tuple[Move, ...]:
    """What each write changes in which pool, in the order of the writes."""
    moves: list[Move] = []
    now: dict[ArmId, Mapping[str, Json] | None] = {}
    for step in steps:
        draft = drafts.get(step.id)
        if draft is None or draft.type is not deployment.TYPE:
            continue
        if draft.id not in now:
            now[draft.id] = deployment.read_held(draft.present) if draft.present else None
        before = now[draft.id]
        after = None if step.verb is Verb.DELETE else {**(before or {}), **step.fields}
        now[draft.id] = after
        moves += _net(books, step, before, after, born_anew(draft, drafts))
    return tuple(moves)


def born_anew(draft: Draft, drafts: Drafts) -> bool:
    """Whether its account will be where its document wants it; one that is not replaced stays where it is."""
    account = drafts.get(draft.id.top)
    return account is not None and account.action in (Action.CREATE, Action.REPLACE)


def _net(
    books: Books, step: Step, before: Mapping[str, Json] | None, after: Mapping[str, Json] | None, anew: bool
) -> Iterator[Move]:
    change: dict[PoolKey, int] = defaultdict(int)
    for values, sign, declared in ((before, -1, False), (after, +1, anew)):
        if values is None:
            continue
        held = deployment.make_holding(step.id, values, books.region_of(step.id, declared=declared))
        pool = books.pool_of(held)
        if pool:
            change[pool] += sign * held.units
    for pool, units in sorted(change.items()):
        if units:
            yield Move(step=step.name, id=step.id, pool=pool, units=units)


def count_pools(fleet: Fleet, snapshot: Snapshot) -> Ledger:
    """The pools of the regions whose quota the snapshot holds, as they stand."""
    return make_ledger(Books(fleet, snapshot), (), {})


def make_ledger(books: Books, moves: Iterable[Move], short: Mapping[PoolKey, int]) -> Ledger:
    """Every pool that some model of an asked region draws on."""
    takes: dict[PoolKey, int] = defaultdict(int)
    gives: dict[PoolKey, int] = defaultdict(int)
    for move in moves:
        (takes if move.units > 0 else gives)[move.pool] += abs(move.units)
    pools: list[Pool] = []
    for location, market in sorted(books.quotas.markets.items()):
        sold: dict[str, list[tuple[Offer, Terms]]] = defaultdict(list)
        for offer, terms in market.terms.items():
            sold[terms.usage.lower()].append((offer, terms))
        deleted = books.deleted_in(location)
        for name in sorted(market.usages.keys() & sold.keys()):
            usage, key = market.usages[name], (location, name)
            skus = {offer.sku for offer, _ in sold[name]}
            pools.append(
                Pool(
                    subscription=books.fleet.subscription,
                    location=location,
                    usage=usage.name,
                    limit=usage.limit,
                    used=usage.used,
                    ours=books.ours.get(key, 0),
                    others=books.others.get(key, 0),
                    takes=takes.get(key, 0),
                    gives=gives.get(key, 0),
                    short=short.get(key, 0),
                    surveyed=location in books.quotas.surveyed,
                    models=tuple(sorted({offer.model for offer, _ in sold[name]})),
                    skus=tuple(sorted(skus)),
                    tokens=tuple(sorted({terms.tokens for _, terms in sold[name] if terms.tokens is not None})),
                    requests=tuple(sorted({terms.requests for _, terms in sold[name] if terms.requests is not None})),
                    deleted=deleted,
                    billed=bool(skus & deployment.PROVISIONED),
                )
            )
    return Ledger(
        pools=tuple(pools), unread=books.quotas.unread, unseen=books.quotas.unseen, strays=tuple(sorted(books.strays))
    )
