"""What documents want of quota, held against what there is and what the plan leaves of it. Pure.

Nothing of it is ever done by us: Azure grants quota to people who ask. So every decision here is only told, blocks
nothing and is no part of what somebody agrees to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from reconciler.kinds.deployment import SKUS
from reconciler.model.finding import Fault
from reconciler.model.ids import ArmId
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.plan import Decision, DecisionState, FieldChange
from reconciler.model.quota import Ledger, Market, Pool, Quotas, Terms, Usage
from reconciler.model.resource import Fleet, Snapshot
from reconciler.model.wish import Amount, Measure, QuotaWish
from reconciler.plan.draft import READ_AGAIN
from reconciler.plan.quota import PoolKey, find_alike

_CLOSE = 3  # names that may have been meant


def find_watched(fleet: Fleet, chosen: frozenset[ArmId] | None) -> tuple[frozenset[str], frozenset[str]]:
    """The folded regions of which documents want to know both lists, and those of which the usages alone will do."""
    wishes = [each for each in _quota_wishes(fleet) if _is_asked(each, chosen)]
    both = frozenset(each.location for each in wishes if each.priced)
    return both, frozenset(each.location for each in wishes) - both


def judge_wishes(
    fleet: Fleet, snapshot: Snapshot, ledger: Ledger | None, chosen: frozenset[ArmId] | None
) -> tuple[tuple[Decision, ...], Ledger | None]:
    """A decision for every pool that a document wants something of; and the ledger with what is wanted beside."""
    pools = {(pool.location, pool.usage.lower()): pool for pool in (ledger.pools if ledger else ())}
    verdicts = [_judge(each, snapshot, pools, chosen) for each in _quota_wishes(fleet)]
    decisions = tuple(verdict.decision for verdict in verdicts)
    return decisions, _note_wanted(ledger, verdicts) if ledger and verdicts else ledger


def _quota_wishes(fleet: Fleet) -> Iterator[QuotaWish]:
    return (each for each in fleet.wishes if isinstance(each, QuotaWish))


def _is_asked(wish: QuotaWish, chosen: frozenset[ArmId] | None) -> bool:
    return wish.lifecycle.policy is not ManagePolicy.DETACH and (chosen is None or wish.id in chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What became of a wish: the pool that it is about and what it wants of it in units, where that could be told."""

    decision: Decision
    pool: PoolKey | None = None
    limit: int = 0
    headroom: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unclear:
    """Why a wish cannot be held against anything, and what would be right."""

    code: str
    reason: str
    permit: str

    def block(self, decision: Decision) -> Decision:
        return replace(decision, state=DecisionState.BLOCKED, code=self.code, reason=self.reason, permit=self.permit)


def _judge(
    wish: QuotaWish, snapshot: Snapshot, pools: Mapping[PoolKey, Pool], chosen: frozenset[ArmId] | None
) -> _Verdict:
    decision = Decision(
        id=wish.id,
        ref=wish.ref,
        state=DecisionState.IGNORED,
        reason="detached: its document says lifecycle.policy: detach",
        location=wish.location,
        origin=wish.origin,
        told_only=True,
    )
    if wish.lifecycle.policy is ManagePolicy.DETACH:
        return _Verdict(decision=decision)
    if not _is_asked(wish, chosen):
        return _Verdict(decision=replace(decision, reason="not selected", code="not_selected"))
    standing = _stand(wish, snapshot.quotas or Quotas(), pools)
    if isinstance(standing, _Unclear):
        return _Verdict(decision=standing.block(decision))
    return _Verdict(
        decision=standing.decide(decision),
        pool=(wish.location, standing.usage.name.lower()),
        limit=standing.limit or 0,
        headroom=standing.headroom or 0,
    )


def _stand(wish: QuotaWish, quotas: Quotas, pools: Mapping[PoolKey, Pool]) -> _Standing | _Unclear:
    """How the pool that is meant stands to what is wanted of it."""
    usages, market = quotas.usages_of(wish.location), quotas.markets.get(wish.location)
    if usages is None:
        return _unread(wish, quotas.unread.get(wish.location))
    usage = _usage_sold(wish, market) if wish.offer else usages.get(wish.usage.lower()) or _unlisted(wish, usages)
    if isinstance(usage, _Unclear):
        return usage
    limit = _in_units(wish.limit, wish, usage, market)
    headroom = _in_units(wish.headroom, wish, usage, market)
    if isinstance(limit, _Unclear):
        return limit
    if isinstance(headroom, _Unclear):
        return headroom
    pool = pools.get((wish.location, usage.name.lower()))
    return _Standing(usage=usage, pool=pool, limit=limit, headroom=headroom)


def _unread(wish: QuotaWish, fault: Fault | None) -> _Unclear:
    why = f": {fault.code}" if fault else ""
    reason = f"the usages of {wish.location} could not be read, so nothing is known about it{why}"
    return _Unclear(code="unknown", reason=reason, permit=(fault.advice if fault else "") or READ_AGAIN)


def _unlisted(wish: QuotaWish, usages: Mapping[str, Usage]) -> _Unclear:
    near = get_close_matches(wish.usage.lower(), sorted(usages), n=_CLOSE)
    close = f"; close to it: {', '.join(usages[each].name for each in near)}" if near else ""
    permit = "write a usage as `reconciler quota -v` lists it for the region"
    return _Unclear(code="unknown_usage", reason=f"{wish.location} has no usage {wish.usage}{close}", permit=permit)


def _usage_sold(wish: QuotaWish, market: Market | None) -> Usage | _Unclear:
    """The usage that the wish's model and type draw on."""
    terms = _terms(wish, market) if market else None
    if market is None or terms is None:
        return _unsold(wish, market)
    usage = market.usages.get(terms.usage.lower())
    if usage is None:
        reason = f"{wish.location} says that it draws on {terms.usage}, which is none of the region's usages"
        return _Unclear(code="unknown_usage", reason=reason, permit="look again later: Azure's two lists disagree")
    return usage


def _terms(wish: QuotaWish, market: Market) -> Terms | None:
    offer = wish.offer
    assert offer is not None
    exact = market.terms.get(offer)
    return exact or find_alike(market).get((offer.format, offer.model, offer.sku))


def _unsold(wish: QuotaWish, market: Market | None) -> _Unclear:
    offer = wish.offer
    assert offer is not None
    sold = [*(market.terms if market else ())]
    types = {each.sku for each in sold if (each.format, each.model) == (offer.format, offer.model)}
    model = f"{offer.model} {offer.version}".strip()
    if types and offer.sku not in types:
        spelt = [each for each in SKUS if each.lower() in types] or sorted(types)
        reason = f"{wish.location} sells {model} as {', '.join(spelt)}, not as {_spell(offer.sku)}"
        return _Unclear(code="not_sold", reason=reason, permit="write one of those types")
    if types:
        versions = sorted({each.version for each in sold if each.model == offer.model and each.sku == offer.sku} - {""})
        reason = f"{wish.location} sells {offer.model} as {_spell(offer.sku)} in versions {', '.join(versions)}"
        return _Unclear(code="not_sold", reason=reason, permit="write one of those versions")
    near = get_close_matches(offer.model, sorted({each.model for each in sold}), n=_CLOSE)
    close = f"; close to it: {', '.join(near)}" if near else ""
    reason = f"{wish.location} sells no model {model}{close}"
    return _Unclear(code="not_sold", reason=reason, permit="write a model that the region sells")


def _spell(sku: str) -> str:
    return next((each for each in SKUS if each.lower() == sku), sku)


def _in_units(amount: Amount | None, wish: QuotaWish, usage: Usage, market: Market | None) -> int | _Unclear | None:
    """An amount in capacity units, rounded up."""
    if amount is None or amount.measure is Measure.UNITS:
        return amount.number if amount else None
    if amount.measure is Measure.PERCENT:
        return -(-max(0, usage.limit) * amount.number // 100)
    rates = _rates(wish, usage, market)
    if len(rates) == 1:
        return -(-amount.number // rates[0])
    if rates:
        told = " or ".join(f"{rate:,}" for rate in rates)
        reason = f"a unit of {usage.name} is worth {told} tokens per minute, which depends on the model"
        return _Unclear(code="unrated", reason=reason, permit="name the pool by model and sku, or write units")
    reason = f"{wish.location} does not say what a unit of {usage.name} is worth in tokens per minute"
    return _Unclear(code="unrated", reason=reason, permit="write limit and headroom in units")


def _rates(wish: QuotaWish, usage: Usage, market: Market | None) -> list[int]:
    """What one unit is worth: to the model that is named, or else to any that draws on the pool."""
    if market is None:
        return []
    if wish.offer:
        terms = _terms(wish, market)
        return [terms.tokens] if terms and terms.tokens else []
    sold: Iterable[Terms] = market.terms.values()
    return sorted({each.tokens for each in sold if each.usage.lower() == usage.name.lower() and each.tokens})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """How a pool stands to what is wanted of it, in units. `pool` is its line in the ledger, if the plan has one."""

    usage: Usage
    pool: Pool | None
    limit: int | None
    headroom: int | None

    @property
    def after(self) -> int:
        """What is left when the plan is done."""
        return self.usage.limit - self.usage.used - (self.pool.asked if self.pool else 0)

    @property
    def ungranted(self) -> int:
        return max(0, (self.limit or 0) - self.usage.limit)

    @property
    def crossed(self) -> int:
        """How much of the headroom is missing."""
        return max(0, (self.headroom or 0) - self.after) if self.headroom is not None else 0

    def decide(self, decision: Decision) -> Decision:
        if not self.ungranted and not self.crossed:
            return replace(decision, state=DecisionState.IN_SYNC, reason=self._tell_content())
        told = [*self._tell_ungranted(), *self._tell_crossed()]
        return replace(
            decision,
            state=DecisionState.DRIFTED,
            reason="; ".join(told),
            code="headroom" if self.crossed else "limit",
            changes=tuple(self._changes()),
        )

    def _changes(self) -> Iterator[FieldChange]:
        if self.crossed:
            yield FieldChange(path="headroom", before=self.after, after=self.headroom)
        if self.ungranted:
            yield FieldChange(path="limit", before=self.usage.limit, after=self.limit)

    def _tell_content(self) -> str:
        granted = f"{self.usage.limit:,}" + ("" if self.limit is None else f" of at least {self.limit:,}")
        left = f"{self.usage.limit - self.usage.used:,} left"
        if self._takes:
            left = f"{self.after:,} left when this plan is done"
        wanted = "" if self.headroom is None else f", at least {self.headroom:,} wanted"
        return f"{granted} granted, {left}{wanted}"

    def _tell_ungranted(self) -> Iterator[str]:
        if not self.ungranted:
            return
        limit = self.usage.limit
        lower = f"declare {limit:,}" if limit > 0 else "remove the limit"
        yield (
            f"Azure grants {max(0, limit):,}, {self.ungranted:,} fewer than declared: "
            f"ask Azure for {self.limit:,}, or {lower}"
        )

    def _tell_crossed(self) -> Iterator[str]:
        if not self.crossed:
            return
        usage, takes = self.usage, self._takes
        used = f"{usage.used:,} of {usage.limit:,} are used"
        yield (
            f"{used}{f', {takes}' if takes else ''}: {self.after:,} left, {self.crossed:,} fewer than the headroom of "
            f"{self.headroom:,}: free as much of this pool, or ask Azure for more"
        )

    @property
    def _takes(self) -> str:
        """What the plan does with the pool."""
        pool = self.pool
        if pool is None or not (pool.takes or pool.gives):
            return ""
        if not pool.takes:
            return f"this plan gives back {pool.gives:,}"
        return f"this plan takes {pool.takes:,}" + (f" and gives back {pool.gives:,}" if pool.gives else "")


def _note_wanted(ledger: Ledger, verdicts: Iterable[_Verdict]) -> Ledger:
    """The most that any document wants of each pool."""
    wanted: dict[PoolKey, tuple[int, int]] = {}
    for each in verdicts:
        if each.pool:
            limit, headroom = wanted.get(each.pool, (0, 0))
            wanted[each.pool] = (max(limit, each.limit), max(headroom, each.headroom))
    return replace(ledger, pools=tuple(_note(pool, wanted) for pool in ledger.pools))


def _note(pool: Pool, wanted: Mapping[PoolKey, tuple[int, int]]) -> Pool:
    limit, headroom = wanted.get((pool.location, pool.usage.lower()), (0, 0))
    return replace(pool, declared=limit, headroom=headroom) if limit or headroom else pool
