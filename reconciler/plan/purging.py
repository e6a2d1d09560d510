"""Purges by Fleet spec.purge: what they could free, which account goes first, and what is said where none may. Pure.

What one soft-deleted account holds Azure does not tell, only what all of a region hold together at most. So a plan
purges one in each region where that could make something fit, the one deleted first, and the next plan decides about
the next one by what came back. Knows nothing of how quota is given out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.kinds import deployment
from reconciler.kinds.account import TYPE as ACCOUNT
from reconciler.model.ids import ArmId, Ref, fold_location
from reconciler.model.memory import Memory
from reconciler.model.plan import Action, Decision, DecisionState, Step
from reconciler.model.resource import DeletedAccount, Fleet, PurgeWhen, Snapshot
from reconciler.plan.decide import act
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.graves import NEEDS_WORD, Names, by_age, find_place, may_hold, spares, tell_owner
from reconciler.plan.quota import Books, Move, PoolKey
from reconciler.plan.rights import forbid_purge

_NAMED = 3  # more soft-deleted accounts than these are only counted
_PLACES = "accountcount"  # the pool of which every account has one, also a soft-deleted one
_PROVIDER = "microsoft.cognitiveservices/"


def limit_purges(drafts: Drafts, fleet: Fleet, snapshot: Snapshot, memory: Memory) -> Drafts:
    """The drafts with what `always` purges, and with no more purges by Fleet spec.purge than one run may do: those that
    a document needs come first, then the account that was deleted first."""
    drafts = {**drafts, **{draft.id: draft for draft in _purge_always(drafts, fleet, snapshot)}}
    purges = [draft for draft in drafts.values() if draft.sparing and draft.acts]
    ordered = sorted(purges, key=lambda draft: (draft.desired is None, *_by_age(draft)))
    excess = ordered[_left(fleet, memory) :]
    return {**drafts, **{draft.id: _exceed(draft, fleet) for draft in excess}}


def _purge_always(drafts: Drafts, fleet: Fleet, snapshot: Snapshot) -> Iterator[Draft]:
    if fleet.policy.purge.when is not PurgeWhen.ALWAYS:
        return
    names = Names(snapshot)
    for deleted in sorted(snapshot.deleted.values(), key=by_age):
        known = deleted.id in fleet.desired or find_place(deleted) in drafts
        if not known and not spares(fleet, deleted, snapshot.taken_at):
            reason = f"Fleet spec.purge is always; an account {tell_owner(deleted)} is purged for good"
            yield _purge(deleted, names, reason)


def _exceed(draft: Draft, fleet: Fleet) -> Draft:
    most = fleet.policy.purge.most
    reason = f"no more than {most} are purged in one run (Fleet spec.purge.most)"
    if draft.desired is None:
        return draft.resting(DecisionState.IGNORED, reason)
    return draft.blocked("purge_most", reason, "run it again, or raise spec.purge.most")


def _left(fleet: Fleet, memory: Memory) -> int:
    return max(0, fleet.policy.purge.most - len(memory.purged))


def _by_age(draft: Draft) -> tuple[float, ArmId]:
    assert draft.deleted is not None
    return by_age(draft.deleted)


def _purge(deleted: DeletedAccount, names: Names, reason: str) -> Draft:
    decision = Decision(
        id=find_place(deleted),
        ref=Ref(kind="DeletedAccount", name=names.of(deleted)),
        state=DecisionState.IN_SYNC,
        reason="",
        location=deleted.location,
    )
    return act(Draft(decision=decision, type=ACCOUNT, deleted=deleted, sparing=True), Action.PURGE, reason)


def find_lingering(snapshot: Snapshot) -> frozenset[str]:
    """The regions whose usages count more accounts than there are, living and soft-deleted: one was purged, perhaps by
    a run that was killed meanwhile, and what it held has not come back either."""
    counted: dict[str, int] = defaultdict(int)
    for live in snapshot.live.values():
        if live.type.lower() == ACCOUNT.arm_type.lower():
            counted[fold_location(str(live.wire.get("location") or ""))] += 1
    for deleted in snapshot.deleted.values():
        counted[fold_location(deleted.location)] += 1
    markets = snapshot.quotas.markets if snapshot.quotas else {}
    places = {region: market.usages[_PLACES].used for region, market in markets.items() if _PLACES in market.usages}
    return frozenset(region for region, used in places.items() if used > counted[region])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A write that has to wait for a purge: `pool` is too small for it now and would not be after that."""

    draft: Draft
    pool: PoolKey


class Purges:
    """What purges can do for the pools of a plan, by folded region. `relief` is the most that they can give back of
    each pool: what this plan purges anyway, what it may purge besides, and what was purged and has not come back."""

    def __init__(self, books: Books, drafts: Drafts, memory: Memory, shut: frozenset[str] = frozenset()) -> None:
        self._books, self._fleet, self._snapshot = books, books.fleet, books.snapshot
        self._memory = memory
        self._names = Names(books.snapshot)
        self._graves: dict[str, list[DeletedAccount]] = defaultdict(list)
        for each in sorted(books.snapshot.deleted.values(), key=by_age):
            if may_hold(each):
                self._graves[fold_location(each.location)].append(each)
        # An account that is replaced is purged too, but holds nothing by then.
        self._goes = [draft for draft in drafts.values() if draft.action is Action.PURGE]
        sparing = sum(draft.sparing and draft.acts for draft in drafts.values())
        self._budget = _left(books.fleet, memory) - sparing
        self.shut = shut
        self._lingering = find_lingering(books.snapshot)
        self._candidates = {region: self._find_candidates(region) for region in books.quotas.markets}
        self.relief: Mapping[PoolKey, int] = {
            (region, name): units
            for region, market in books.quotas.markets.items()
            for name in market.usages
            if (units := self._relieve((region, name)))
        }

    def _find_candidates(self, region: str) -> tuple[DeletedAccount, ...]:
        """The accounts that may be purged for quota, the one deleted first before the others."""
        if region in self.shut or self._budget <= 0 or self._forbids(region):
            return ()
        return tuple(each for each in self._here(region) if not self._spares(each))

    def _here(self, region: str) -> list[DeletedAccount]:
        return self._graves.get(region, [])

    def _spares(self, deleted: DeletedAccount, fleet: Fleet | None = None) -> str:
        """Why an account is no candidate, "" where it is one."""
        if deleted.id in self._fleet.desired:
            return f"{self._fleet.desired[deleted.id].ref} wants its name"
        return spares(fleet or self._fleet, deleted, self._snapshot.taken_at)

    def _forbids(self, region: str) -> str:
        """Why nothing is purged in a region for quota, in words that follow "which", or "" where something may be."""
        if self._fleet.policy.purge.when is PurgeWhen.NEVER:
            return "needs Fleet spec.purge set to blocking"
        if "purge" not in self._fleet.policy.allow:
            return "is not permitted"
        return forbid_purge(self._snapshot, self._fleet.subscription) or self._hidden(region)

    def _hidden(self, region: str) -> str:
        """Why it is not known who else holds the pools of a region: then nobody can say that a purge would help."""
        blind = [each.fault for each in self._snapshot.blind if f"{each.type}/".lower().startswith(_PROVIDER)]
        blind += [fault for id, fault in self._books.quotas.unseen.items()]
        if blind:
            return f"waits until all accounts can be read: {blind[0]}"
        return "" if region in self._books.quotas.surveyed else "waits until it is known who else holds what"

    def _relieve(self, pool: PoolKey) -> int:
        region = pool[0]
        if self._candidates[region] or self._acting(region) or self._returns(region):
            return self._books.residue(pool)
        return 0

    def _acting(self, region: str) -> Draft | None:
        """A soft-deleted account of a region that the plan purges anyway."""
        goes = (each for each in self._goes if each.deleted and fold_location(each.deleted.location) == region)
        return next(goes, None)

    def _returns(self, region: str) -> bool:
        """Whether something was purged there that may still come back."""
        now = self._snapshot.taken_at
        lingers = region in self._lingering and self._memory.lingering.get(region, now + 1) > now
        return lingers or self._memory.returning.get(region, 0.0) > now

    def tell_wait(self, pool: PoolKey) -> str:
        """What a write that finds too little of a pool now waits for."""
        region = pool[0]
        if pool not in self.relief:
            return "waits for what others of this plan give back, who wait for a purge"
        purge = self._name_purge(pool)
        if not purge:
            return f"waits for usages to show what was purged in {region} gives back"
        return f"waits for the purge of {purge}, and for usages to show what that gives back"

    def _name_purge(self, pool: PoolKey) -> str:
        region = pool[0]
        if acting := self._acting(region):
            return str(acting.decision.ref)
        if self._returns(region):
            return ""
        return str(Ref(kind="DeletedAccount", name=self._names.of(self._candidates[region][0])))

    def find_excess(self, waits: Iterable[Wait]) -> frozenset[str]:
        """The regions in which nothing can be purged in this run after all, because others come first."""
        regions = {wait.pool[0] for wait in waits if wait.pool in self.relief}
        fresh = [each for each in regions if self._candidates[each] and not self._acting(each)]
        fresh = [each for each in fresh if not self._returns(each)]
        ordered = sorted(fresh, key=lambda region: by_age(self._candidates[region][0]))
        return self.shut | {*ordered[max(0, self._budget) :]}

    def plan(self, waits: Iterable[Wait]) -> dict[ArmId, Draft]:
        """The purges that make room for those who wait, and those that may have to follow."""
        pools: dict[str, dict[str, list[Ref]]] = defaultdict(lambda: defaultdict(list))
        for wait in waits:
            if wait.pool in self.relief:
                pools[wait.pool[0]][wait.pool[1]].append(wait.draft.decision.ref)
        planned: dict[ArmId, Draft] = {}
        for region, needed in sorted(pools.items()):
            frees = {self._spell((region, name)): self.relief[region, name] for name in sorted(needed)}
            for draft in self._plan_region(region, {name: needed[name] for name in sorted(needed)}):
                decision = replace(draft.decision, frees=frees, warnings=self._warn(draft, region, needed))
                planned[draft.id] = replace(draft, decision=decision)
        return planned

    def _plan_region(self, region: str, needed: Mapping[str, list[Ref]]) -> Iterator[Draft]:
        acting = self._acting(region)
        if acting:
            yield acting
        fresh = [each for each in self._candidates[region] if not acting or acting.deleted != each]
        wanted = f"{needed[next(iter(needed))][0]}" if needed else ""
        more = sum(len(refs) for refs in needed.values()) - 1
        wanted += f" and {more} more" if more else ""
        most = self._tell_most(region, needed)
        first = None if acting or self._returns(region) else next(iter(fresh), None)
        follows = str(acting.decision.ref) if acting else ""
        for each in fresh[: max(0, self._budget)]:
            held = f"may hold quota that {wanted} waits for: {most}"
            draft = _purge(each, self._names, f"{held}; an account {tell_owner(each)} is purged for good")
            if each is first:
                follows = str(draft.decision.ref)
                yield draft
                continue
            after = f"only if what {follows or 'was purged before'} gives back is not enough"
            yield draft.waiting(f"{after}; {held}")

    def _tell_most(self, region: str, needed: Mapping[str, list[Ref]]) -> str:
        parts = [f"{self.relief[region, name]:,} of {self._spell((region, name))}" for name in needed]
        return f"at most {', '.join(parts)}, which all that is soft-deleted in {region} can hold together"

    def _warn(self, draft: Draft, region: str, needed: Mapping[str, list[Ref]]) -> tuple[str, ...]:
        warnings = draft.decision.warnings
        if any(self._billed((region, name)) for name in needed):
            return (*warnings, "provisioned units of a soft-deleted account are billed until it is purged")
        return warnings

    def _billed(self, pool: PoolKey) -> bool:
        terms = self._books.quotas.markets[pool[0]].terms.items()
        return any(offer.sku in deployment.PROVISIONED for offer, each in terms if each.usage.lower() == pool[1])

    def _spell(self, pool: PoolKey) -> str:
        return self._books.quotas.markets[pool[0]].usages[pool[1]].name

    def wire(self, steps: tuple[Step, ...], moves: Iterable[Move], waits: Iterable[Wait]) -> tuple[Step, ...]:
        """The steps, of which each purge says what it waits to see back, and comes after what else gives that back."""
        pools = {wait.pool for wait in waits if wait.pool in self.relief}
        gives = [move for move in moves if move.units < 0 and move.pool in pools]
        return tuple(self._await(step, pools, gives) if step.action is Action.PURGE else step for step in steps)

    def _await(self, step: Step, pools: set[PoolKey], gives: list[Move]) -> Step:
        region = fold_location(step.location)
        here = [move for move in gives if move.pool[0] == region]
        awaits = {}
        for pool in sorted(pools):
            if pool[0] == region:
                back = -sum(move.units for move in here if move.pool == pool)
                awaits[pool[1]] = self._books.quotas.markets[region].usages[pool[1]].used - back
        # Whoever waits for a name may come before what gives back, and must not be waited for in turn.
        alone = step.deleted_at and not any(step.id == draft.desired.id for draft in self._goes if draft.desired)
        after = (*step.after, *(move.step for move in here)) if alone else step.after
        return replace(step, awaits=awaits, after=tuple(dict.fromkeys(after)))

    def advise(self, pool: PoolKey) -> str:
        """How a person can have what a pool's soft-deleted accounts hold, "" where that would not be it."""
        region, residue = pool[0], self._books.residue(pool)
        here = self._here(region)
        if not residue or not here or self._candidates[region]:
            return ""
        more = f" and {len(here) - _NAMED} more" if len(here) > _NAMED else ""
        names = f"{', '.join(self._names.of(each) for each in here[:_NAMED])}{more}"
        how = self._tell_how(region, here)
        return f"purge what is soft-deleted there ({names}), which frees {residue:,} at most{how}"

    def _tell_how(self, region: str, here: list[DeletedAccount]) -> str:
        hand = f"reconciler purge {self._names.of(here[0])}"
        policy = self._fleet.policy
        open_ = replace(self._fleet, policy=replace(policy, purge=replace(policy.purge, when=PurgeWhen.BLOCKING)))
        reasons = [self._spares(each, open_) for each in here]
        if all(reasons):
            return f", by hand: {hand} ({reasons[0]})"
        if self._budget <= 0 or region in self.shut:
            return f"; no more than {policy.purge.most} are purged in one run: run it again, or raise spec.purge.most"
        ways = ["set Fleet spec.purge to blocking"] if policy.purge.when is PurgeWhen.NEVER else []
        ways += [NEEDS_WORD] if "purge" not in policy.allow else []
        if ways:
            return f": {' and '.join(ways)}, or {hand}"
        forbidden = forbid_purge(self._snapshot, self._fleet.subscription)
        return f"; but {forbidden}" if forbidden else f", which {self._hidden(region)}"
