"""What Azure would refuse though there is quota for it: what a region does not sell, or not any more, or not in such
amounts, and what an account or a region has no place for. Refused before anything is written, with the least change
that would do. Pure.

What a list does not say is no reason to refuse, and a list that was not read says nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from difflib import get_close_matches

from reconciler.kinds import deployment
from reconciler.kinds.account import TYPE as ACCOUNT
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.outlook import show_day
from reconciler.model.plan import Action
from reconciler.model.quota import Edition, Offer, Terms, Usage
from reconciler.model.resource import Fleet, Live, Snapshot
from reconciler.model.wire import Json
from reconciler.plan.draft import Draft, Drafts
from reconciler.plan.guards import stop_dependents
from reconciler.plan.quota import find_regions
from reconciler.plan.shelf import Article, Shelf, Shelves, spell_sku

_NAMED = 4  # more versions, models or regions than these are not listed
_OPENAI = "openai"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    code: str
    reason: str
    permit: str


def preflight(drafts: Drafts, fleet: Fleet, snapshot: Snapshot, shelves: Shelves) -> Drafts:
    """The drafts less those that Azure would refuse, and what stands on them."""
    if snapshot.quotas is None:
        return drafts
    market = _Market(fleet, snapshot, shelves)
    refused = {id: refusal for id, draft in drafts.items() if draft.acts and (refusal := market.refuse(draft, drafts))}
    refused |= _count_accounts(drafts, snapshot)
    refused |= _count_deployments(drafts, snapshot, refused.keys())
    if not refused:
        return drafts
    blocked = {id: drafts[id].blocked(each.code, each.reason, each.permit) for id, each in refused.items()}
    return stop_dependents({**drafts, **blocked})


class _Market:
    """Holds what deployments shall be against what their regions sell."""

    def __init__(self, fleet: Fleet, snapshot: Snapshot, shelves: Shelves) -> None:
        assert snapshot.quotas is not None
        self._fleet = fleet
        self._snapshot = snapshot
        self._shelves = shelves
        self._read = snapshot.quotas.markets
        self._now = snapshot.taken_at

    def refuse(self, draft: Draft, drafts: Drafts) -> _Refusal | None:
        if draft.type is not deployment.TYPE or draft.desired is None or comes_back(draft, drafts):
            return None
        made = draft.action in (Action.CREATE, Action.REPLACE)
        moved = made or any(change.path.startswith("model.") for change in draft.decision.changes)
        sized = moved or any(change.path == "sku.capacity" for change in draft.decision.changes)
        account = self._fleet.desired.get(draft.id.top)
        place = account.fields.get("location") if account else None
        shelf = self._shelves.of(fold_location(str(place or "")))
        if shelf is None or shelf.location not in self._read:
            return None
        values = wanted_values(draft)
        if is_fine_tuned(values):
            return None
        wanted = deployment.make_holding(draft.id, values, shelf.location)
        refusal = None if made else self._refuse_write(shelf, draft)
        if moved and refusal is None:
            refusal = self._refuse_model(shelf, wanted.offer, self._kind(draft))
        article = shelf.find(wanted.offer)
        if refusal or article is None or not sized:
            return refusal
        return _refuse_capacity(article, wanted.units, shelf.location)

    def _refuse_write(self, shelf: Shelf, draft: Draft) -> _Refusal | None:
        """A deployment whose model is retired takes no write but one that gives it another model."""
        assert draft.live is not None
        offer = deployment.read_holding(draft.live, shelf.location).offer
        edition = shelf.edition(offer)
        if edition is None or edition.retires is None or edition.retires > self._now:
            return None
        paths = [change.path for change in draft.decision.changes]
        moved = [path for path in paths if path.startswith("model.")]
        cut = any(change.cuts for change in draft.decision.changes)
        if moved and not cut:
            return None
        what = f"{_name(edition)} was retired in {shelf.location} on {show_day(edition.retires)}"
        ways = _substitutes(shelf, offer, edition, self._now)
        return _Refusal(
            code="model_retired",
            reason=f"{what}: Azure takes no other write to a deployment of it than one to another version",
            permit="change model.version in a commit of its own, before the capacity"
            if moved
            else "; or ".join([*ways, "take it out of the documents"]),
        )

    def _kind(self, draft: Draft) -> str:
        """The folded kind of the account that it is in."""
        wanted, live = self._fleet.desired.get(draft.id.top), self._snapshot.live.get(draft.id.top)
        kind = wanted.fields.get("kind") if wanted else None
        return str(kind or (live.wire.get("kind") if live else "") or "").lower()

    def _refuse_model(self, shelf: Shelf, offer: Offer, kind: str) -> _Refusal | None:
        if (offer.format, offer.model) not in shelf.editions:
            return self._refuse_unknown_model(shelf, offer)
        edition = shelf.edition(offer)
        if edition is None:
            return self._refuse_unknown_version(shelf, offer) if offer.version else None
        if kind == _OPENAI and edition.kinds and _OPENAI not in edition.kinds:
            reason = f"{shelf.location} sells {_name(edition)} to accounts of another kind only"
            return _Refusal(
                code="kind_unsupported",
                reason=f"{reason}, and its account is of kind OpenAI",
                permit="declare it in an account of kind AIServices",
            )
        article = shelf.find(offer)
        if article is None:
            return self._refuse_sku(shelf, offer, edition)
        return self._refuse_retired(shelf, offer, article)

    def _refuse_unknown_model(self, shelf: Shelf, offer: Offer) -> _Refusal:
        known = {name.lower(): name for name in shelf.names(offer.format)}
        near = [known[each] for each in get_close_matches(offer.model, known, n=_NAMED)]
        ways = [f"name one that it sells: {_either(near)}"] if near else []
        others = [each for each in shelf.formats(offer.model) if each != offer.format]
        ways = [*(f"set model.format: it is sold there as one of {each}" for each in others[:1]), *ways]
        ways += self._elsewhere(shelf, offer)
        return _Refusal(
            code="model_unknown",
            reason=f"{shelf.location} does not sell the model {offer.model}",
            permit="; or ".join(ways or ["name a model that it sells"]),
        )

    def _refuse_unknown_version(self, shelf: Shelf, offer: Offer) -> _Refusal:
        versions = [each.edition for each in shelf.versions(offer, self._now)]
        versions = versions or [*shelf.editions[offer.format, offer.model].values()]
        told = [f"{each.version} (the default)" if each.default else each.version for each in versions[:_NAMED]]
        leave = ", or leave model.version out" if any(each.default for each in versions) else ""
        ways = [f"name {_either(told)}{leave}", *self._elsewhere(shelf, offer)]
        return _Refusal(
            code="version_unknown",
            reason=f"{shelf.location} does not sell version {offer.version} of {versions[0].model}",
            permit="; or ".join(ways),
        )

    def _refuse_sku(self, shelf: Shelf, offer: Offer, edition: Edition) -> _Refusal:
        skus = shelf.skus(offer, edition)
        what = _name(edition) if offer.version else f"{_name(edition)}, the default version,"
        ways = [f"use {_either(skus)}"] if skus else []
        others = [each.edition.version for each in shelf.versions(replace(offer, version=""), self._now)]
        if others:
            ways.append(f"name version {_either(others[:_NAMED])}, which is sold as {spell_sku(offer.sku)}")
        ways += self._elsewhere(shelf, offer)
        return _Refusal(
            code="sku_unsupported",
            reason=f"{shelf.location} does not sell {what} as {spell_sku(offer.sku)}"
            + ("" if skus else ", nor as any other type of deployment"),
            permit="; or ".join(ways or ["choose another model"]),
        )

    def _refuse_retired(self, shelf: Shelf, offer: Offer, article: Article) -> _Refusal | None:
        if article.takes_new(self._now):
            return None
        edition, ends = article.edition, article.retires
        name = f"{article.name} as {article.sku}"
        if ends is not None and ends <= self._now:
            early = edition.retires if edition.retires and edition.retires > self._now else None
            later = f", before the model itself ({show_day(early)})" if early else ""
            code, reason = "model_retired", f"{name} was retired in {shelf.location} on {show_day(ends)}{later}"
        else:
            day = f" and retires on {show_day(ends)}" if ends is not None else ""
            code = "model_deprecating"
            reason = f"{article.name} is {edition.status} in {shelf.location}{day}"
        ways = [*_substitutes(shelf, offer, edition, self._now)]
        return _Refusal(
            code=code,
            reason=f"{reason}: Azure takes no new deployment of it",
            permit="; or ".join(ways or ["choose another model"]),
        )

    def _elsewhere(self, shelf: Shelf, offer: Offer) -> Iterator[str]:
        """The regions of this fleet, of those that were looked at, in which it could be deployed."""
        found = []
        for location in sorted(find_regions(self._fleet, self._snapshot)):
            other = self._shelves.of(location)
            article = other.find(offer) if other and location != shelf.location else None
            if article and article.takes_new(self._now):
                found.append(location)
        if found:
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            yield f"declare it in {_either(found[:_NAMED])}{more}, where it is sold"


def _substitutes(shelf: Shelf, offer: Offer, edition: Edition, now: float) -> Iterator[str]:
    named = shelf.successor(offer, edition, now)
    if named:
        yield f"declare {named.name}, which replaces it"
    newest = next(iter(shelf.versions(offer, now)), None)
    if newest and (named is None or newest.edition != named.edition):
        yield f"declare version {newest.edition.version} of it"


def _refuse_capacity(article: Article, units: int, location: str) -> _Refusal | None:
    below, above = find_fitting(article.terms, units)
    if below == units:
        return None
    return _Refusal(
        code="capacity_invalid",
        reason=f"a capacity of {units:,} is not sold: {location} sells {article.name} as {article.sku} "
        f"{_tell_rule(article.terms)}",
        permit=f"declare a capacity of {_either(f'{each:,}' for each in (below, above) if each is not None)}",
    )


def find_fitting(terms: Terms, units: int) -> tuple[int | None, int | None]:
    """The nearest capacities that are sold, at most so much and at least so much; the same where it is sold itself."""
    if terms.allowed:
        below = max((each for each in terms.allowed if each <= units), default=None)
        return below, min((each for each in terms.allowed if each >= units), default=None)
    most = units if terms.most is None else min(units, terms.most)
    low = most // terms.step * terms.step
    high = -(-max(units, terms.least) // terms.step) * terms.step
    return low if low >= terms.least else None, high if terms.most is None or high <= terms.most else None


def _tell_rule(terms: Terms) -> str:
    if terms.allowed:
        return f"in capacities of {_either(f'{each:,}' for each in terms.allowed)} only"
    step = f" in steps of {terms.step:,}" if terms.step > 1 else ""
    most = f", {terms.most:,} at most" if terms.most is not None else ""
    return f"from {terms.least:,} on{step}{most}"


def wanted_values(draft: Draft) -> dict[str, Json]:
    """What a deployment would be: what is declared, and of what goes on to live what is left open."""
    assert draft.desired is not None
    kept = draft.live if draft.action is not Action.REPLACE else None
    values = deployment.read_held(kept) if kept else {}
    return values | {path: value for path, value in draft.desired.fields.items() if value is not None}


def is_fine_tuned(values: dict[str, Json]) -> bool:
    """Whether it is a model that somebody made, which only the account's own list names."""
    made = values.get("model.source") or values.get("model.sourceAccount")
    return bool(made) or ".ft-" in str(values.get("model.name")).lower()


def comes_back(draft: Draft, drafts: Drafts) -> bool:
    """Whether its account is restored, with all it had."""
    account = drafts.get(draft.id.top)
    return account is not None and account.action is Action.RESTORE


def _count_deployments(drafts: Drafts, snapshot: Snapshot, refused: Iterable[ArmId]) -> dict[ArmId, _Refusal]:
    """Those that their account has no place for: what stays keeps its place, what is new gets one in order."""
    out = frozenset(refused)
    mine = [each for each in drafts.values() if each.type is deployment.TYPE and each.acts and each.id not in out]
    made = [each for each in mine if _takes_place(each, drafts)]
    if not made:
        return {}
    accounts = {each.id.top for each in made}
    before = _count_standard(live for live in snapshot.live.values() if live.id.parent in accounts)
    there = before - _count_standard(each.present for each in mine if each.goes and each.present)
    full: dict[ArmId, _Refusal] = {}
    for draft in sorted(made, key=lambda each: (each.present is None, each.id)):
        account, most = draft.id.top, deployment.STANDARD_PER_ACCOUNT
        # Where there are more already, Azure has granted more.
        if there[account] >= most >= before[account]:
            full[draft.id] = _refuse_place(account, most)
        else:
            there[account] += 1
    return full


def _takes_place(draft: Draft, drafts: Drafts) -> bool:
    made = draft.action in (Action.CREATE, Action.REPLACE) and not comes_back(draft, drafts)
    return made and deployment.is_standard(str(wanted_values(draft).get("sku.name")))


def _count_standard(live: Iterable[Live]) -> Counter[ArmId]:
    """Standard deployments by account."""
    found = (each for each in live if each.type.lower() == deployment.TYPE.arm_type.lower())
    return Counter(each.id.top for each in found if deployment.is_standard(str(deployment.read_held(each)["sku.name"])))


def _refuse_place(account: ArmId, most: int) -> _Refusal:
    return _Refusal(
        code="too_many_deployments",
        reason=f"account {account.name} would have more than {most} standard deployments, the most that Azure allows",
        permit="declare it in another account, or as a provisioned type; or take another one out of this account",
    )


def _count_accounts(drafts: Drafts, snapshot: Snapshot) -> dict[ArmId, _Refusal]:
    """Those that their region has no place for. Whoever is purged first leaves its place to its namesake."""
    assert snapshot.quotas is not None
    purged = {draft.deleted.id for draft in drafts.values() if draft.action is Action.PURGE and draft.deleted}
    taken: dict[tuple[str, str], int] = defaultdict(int)
    full: dict[ArmId, _Refusal] = {}
    for id in sorted(drafts):
        draft = drafts[id]
        if draft.type is not ACCOUNT or draft.action is not Action.CREATE or id in purged or draft.desired is None:
            continue
        location = fold_location(draft.decision.location)
        market = snapshot.quotas.markets.get(location)
        pools = [each for name in _counts_of(draft) if market and (each := market.usages.get(name))]
        tight = next((each for each in pools if each.limit - each.used <= taken[location, each.name]), None)
        if tight:
            full[id] = _refuse_account(location, tight, taken[location, tight.name], snapshot)
            continue
        for each in pools:
            taken[location, each.name] += 1
    return full


def _counts_of(draft: Draft) -> tuple[str, str]:
    """The folded names of the pools that an account has a place in: that of its kind, and that of all."""
    assert draft.desired is not None
    fields = draft.desired.fields
    kind, sku = fields.get("kind") or "OpenAI", fields.get("sku.name") or "S0"
    return f"{kind}.{sku}.AccountCount".lower(), "accountcount"


def _refuse_account(location: str, pool: Usage, taken: int, snapshot: Snapshot) -> _Refusal:
    gone = sorted(each.id.name for each in snapshot.deleted.values() if fold_location(each.location) == location)
    more = f" and {len(gone) - _NAMED} more" if len(gone) > _NAMED else ""
    names = f"{', '.join(gone[:_NAMED])}{more}"
    before = f", and this plan makes {taken:,} more before it" if taken else ""
    kept = f"; soft-deleted accounts keep their place until they are purged ({names})" if gone else ""
    ways = [f"purge what is soft-deleted there ({names})"] if gone else []
    ways += ["declare it in another region", "delete and purge an account there", "ask Azure for a higher limit"]
    return _Refusal(
        code="too_many_accounts",
        reason=f"{location} has no place for it: {pool.used:,} of {pool.limit:,} accounts are there ({pool.name})"
        f"{before}{kept}",
        permit="; or ".join(ways),
    )


def _name(edition: Edition) -> str:
    return f"{edition.model} {edition.version}"


def _either(words: Iterable[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *most, last = [*words]
    return f"{', '.join(most)} or {last}" if most else last
