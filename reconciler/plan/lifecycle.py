"""What becomes of models: versions that Azure has moved by itself, as it was permitted to, and days that are left.

Everything is read out of the regions' model lists. A list of another region stands in where a deployment's own was not
read; what no list says is not known, and nothing is told about it. Pure.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from reconciler.kinds import deployment
from reconciler.kinds.diff import is_ignored
from reconciler.model.ids import ArmId, fold_location
from reconciler.model.lifecycle import ManagePolicy
from reconciler.model.outlook import (
    DAY,
    Nearness,
    Note,
    Outlook,
    Replacement,
    Retirement,
    count_days,
    show_day,
    tell_nearness,
)
from reconciler.model.plan import Action, Decision, DecisionState
from reconciler.model.quota import Edition, Holding, Ledger, Offer
from reconciler.model.resource import Desired, Fleet, Live, Snapshot
from reconciler.model.wire import Json, read_path
from reconciler.plan.draft import Drafts
from reconciler.plan.preflight import is_fine_tuned, wanted_values
from reconciler.plan.shelf import Article, Shelf, Shelves, spell_sku

_DEFAULT, _EXPIRED, _NEVER = "OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}$")
_AHEAD = 90 * DAY  # how far ahead people are told
_DEPLOYMENTS = deployment.TYPE.arm_type.lower()
_NAMED = 4  # more deployments than these are only counted


def find_lists(fleet: Fleet, snapshot: Snapshot) -> frozenset[str]:
    """The folded regions whose model lists tell of everything that is deployed: few, as regions mostly sell the same.

    Where a version is not the declared one it matters what its own region says.
    """
    places: dict[str, set[Offer]] = defaultdict(set)
    forced: set[str] = set()
    for live in snapshot.live.values():
        wanted = fleet.desired.get(live.id)
        if live.type.lower() != _DEPLOYMENTS or not (wanted or live.owner == fleet.name):
            continue
        location, held = _region(live.id, fleet, snapshot), deployment.read_held(live)
        if not location or is_fine_tuned(held):
            continue
        places[location].add(deployment.make_holding(live.id, held, "").offer)
        if wanted and _moved(wanted, live):
            forced.add(location)
    return frozenset(_cover(places, forced))


def _cover(places: Mapping[str, set[Offer]], chosen: set[str]) -> set[str]:
    """The chosen regions, and greedily as many more as it takes to have each offer in one of them."""
    left = {offer for offers in places.values() for offer in offers}
    for location in chosen:
        left -= places[location]
    found = set(chosen)
    while left:
        best = max(sorted(places), key=lambda location: len(places[location] & left))
        found.add(best)
        left -= places[best]
    return found


def _region(id: ArmId, fleet: Fleet, snapshot: Snapshot) -> str:
    """The folded region of a deployment's account, as it is; else as its document wants it."""
    live, wanted = snapshot.live.get(id.top), fleet.desired.get(id.top)
    place = (live.wire.get("location") if live else None) or (wanted.fields.get("location") if wanted else None)
    return fold_location(str(place or ""))


def _moved(wanted: Desired, live: Live) -> bool:
    """Whether a live model is not the one that is declared."""
    return any(
        wanted.fields.get(path) is not None and _fold(wanted.fields[path]) != _fold(read_path(live.wire, wire))
        for path, wire in (
            ("model.version", ("properties", "model", "version")),
            ("model.name", ("properties", "model", "name")),
        )
    )


def _fold(value: object) -> str:
    return str(value or "").lower()


def expect_upgrades(fleet: Fleet, snapshot: Snapshot, shelves: Shelves) -> tuple[Fleet, tuple[Note, ...]]:
    """The fleet with the models that Azure has moved deployments to, where their versionUpgradeOption lets it, in place
    of the declared ones; and what is to be said about each."""
    notes: list[Note] = []
    changed: dict[ArmId, Desired] = {}
    for id, wanted in fleet.desired.items():
        live = snapshot.live.get(id)
        if live is None or id.type.lower() != _DEPLOYMENTS or not _moved(wanted, live):
            continue
        if wanted.lifecycle.policy is ManagePolicy.DETACH or is_ignored("model.version", wanted.lifecycle.ignore):
            continue
        shelf = shelves.of(_region(id, fleet, snapshot))
        option = shelf and _permitting(wanted, live)
        if not shelf or not option or not _is_upgrade(shelf, wanted, live, (option, shelves.now)):
            continue
        held = deployment.read_held(live)
        kept = {path: held[path] for path in ("model.name", "model.version")}
        changed[id] = replace(wanted, fields={**wanted.fields, **kept})
        notes.append(Note(id=id, ref=wanted.ref, told=_tell_upgrade(wanted, kept, option)))
    if not changed:
        return fleet, ()
    return replace(fleet, desired={**fleet.desired, **changed}), tuple(sorted(notes, key=lambda each: each.id))


def _permitting(wanted: Desired, live: Live) -> str:
    """The option by which Azure may have moved it, "" where the live one or the document forbids that."""
    found = str(deployment.TYPE.lens("versionUpgradeOption").read(live.wire))
    options = {found, str(wanted.fields.get("versionUpgradeOption") or found)}
    if options - {_DEFAULT, _EXPIRED}:
        return ""
    return _EXPIRED if _EXPIRED in options else _DEFAULT


def _is_upgrade(shelf: Shelf, wanted: Desired, live: Live, by: tuple[str, float]) -> bool:
    """Whether Azure goes from the declared model to the live one by itself, in one step or several, and has had reason
    to.

    A version that is older than the declared one was not Azure's doing: there a document asks for a newer one.
    """
    values = {path: value for path, value in wanted.fields.items() if value is not None}
    before = deployment.make_holding(wanted.id, values, shelf.location).offer
    after = deployment.read_holding(live, shelf.location).offer
    reached = [before] if before.version else []
    for offer in reached:  # which grows while it is gone through
        reached += [each for each in _find_targets(shelf, offer, by) if each not in reached]
    return after in reached


def _find_targets(shelf: Shelf, offer: Offer, by: tuple[str, float]) -> Iterator[Offer]:
    """What Azure moves deployments of an offer to now."""
    option, now = by
    edition, over = shelf.edition(offer), _is_over(shelf, offer, now)
    if edition and option == _EXPIRED and not over:
        return
    named = edition.successor if edition else None
    if named and (over or named.starts is None or named.starts <= now):
        yield replace(offer, model=named.model.lower(), version=named.version.lower())
    default = shelf.default(offer)
    if default and _is_newer(default, edition, offer.version):
        yield replace(offer, version=default.version.lower())


def _is_over(shelf: Shelf, offer: Offer, now: float) -> bool:
    """Whether Azure moves away from an offer because it expires, which it does some days before."""
    article, edition = shelf.find(offer), shelf.edition(offer)
    if edition is None:
        return False
    ends = article.retires if article else edition.retires
    lead = edition.successor.lead if edition.successor else 0
    return edition.status == "deprecated" or (ends is not None and ends - lead * DAY <= now)


def _is_newer(new: Edition, old: Edition | None, version: str) -> bool:
    """Whether a version came after another one, by their names where those are dates, else by how long they stay."""
    if _DATED.match(new.version) and _DATED.match(version):
        return new.version > version
    if old is None or old.retires is None:
        return False
    return new.retires is None or new.retires > old.retires


def _tell_upgrade(wanted: Desired, kept: Mapping[str, Json], option: str) -> str:
    before = f"{wanted.fields.get('model.name')} {wanted.fields.get('model.version')}"
    after = f"{kept['model.name']} {kept['model.version']}"
    return (
        f"runs {after} in place of {before}, to which its versionUpgradeOption {option} lets Azure move it: declare "
        f"{after}, or leave model.version out, or go back with versionUpgradeOption: {_NEVER}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stand:
    """What a deployment will hold once the plan is done."""

    holding: Holding
    pinned: bool
    option: str | None  # None where the document leaves it to Azure


def foresee(drafts: Drafts, fleet: Fleet, snapshot: Snapshot, shelves: Shelves) -> Outlook:
    """When what is deployed, or will be, retires, and what Azure will do about it by itself."""
    stands = {id: stand for id in sorted(drafts) if (stand := _stand(drafts, id, fleet, snapshot))}
    groups: dict[Offer, list[_Stand]] = defaultdict(list)
    for stand in stands.values():
        groups[stand.holding.offer].append(stand)
    found = [each for offer, group in groups.items() if (each := _retirement(offer, group, snapshot, shelves))]
    found.sort(key=lambda each: (each.at, each.offer))
    unread = dict(snapshot.catalogue.unread) if snapshot.catalogue else {}
    return Outlook(
        retirements=tuple(found),
        notes=(*_foresee_upgrades(stands, drafts, shelves), *_find_unlisted(groups, drafts, shelves)),
        unread={location: fault for location, fault in unread.items() if not shelves.of(location)},
    )


def _stand(drafts: Drafts, id: ArmId, fleet: Fleet, snapshot: Snapshot) -> _Stand | None:
    draft = drafts[id]
    if draft.type is not deployment.TYPE or draft.action is Action.DELETE:
        return None
    stays = draft.live is not None and not draft.acts
    if stays or draft.desired is None:
        values = deployment.read_held(draft.live) if draft.live else {}
    else:
        values = wanted_values(draft)
    if not values or is_fine_tuned(values):
        return None
    declared = draft.desired.fields if draft.desired else {}
    option = declared.get("versionUpgradeOption")
    return _Stand(
        holding=deployment.make_holding(id, values, _region(id, fleet, snapshot)),
        pinned=declared.get("model.version") is not None,
        option=str(option) if option else None,
    )


def _retirement(offer: Offer, group: list[_Stand], snapshot: Snapshot, shelves: Shelves) -> Retirement | None:
    article = _look_up(offer, shelves)
    if article is None or article.retires is None:
        return None
    edition, at, now = article.edition, article.retires, snapshot.taken_at
    units = sum(each.holding.units for each in group)
    nearness = tell_nearness(at, now)
    found = Retirement(
        offer=offer,
        model=edition.model,
        version=edition.version,
        usage=article.terms.usage,
        deployments=tuple(each.holding.id for each in group),
        units=units,
        at=at,
        days=count_days(at, now),
        nearness=nearness,
        tentative=edition.tentative and at == edition.retires,
        early=at != edition.retires,
    )
    if nearness is Nearness.FAR:
        return replace(found, told=_tell(found, article))
    shelf = shelves.of(offer.location)
    best, advice = _find_replacement(shelf, found, article, snapshot) if shelf else (None, "")
    advice = advice or f"what replaces it in {offer.location} is not known: its model list was not read"
    return replace(found, replacement=best, told=_tell(found, article), advice=advice)


def _look_up(offer: Offer, shelves: Shelves) -> Article | None:
    """What its own region says of an offer; what another one says where that was not asked."""
    own = shelves.of(offer.location)
    if own is not None:
        return own.find(offer)
    others = (shelf.find(replace(offer, location=shelf.location)) for shelf in shelves.everywhere())
    return next((each for each in others if each), None)


def _tell(found: Retirement, article: Article) -> str:
    day = f"on {show_day(found.at)}" + (", a tentative date" if found.tentative else "")
    later = article.edition.retires
    early = f", before the model itself ({show_day(later)})" if found.early and later is not None else ""
    what = f"{article.name} as {spell_sku(found.offer.sku)} in {found.offer.location}"
    if found.nearness is Nearness.RETIRED:
        return f"retired: {what} was retired {day}{early}"
    when = "within a day" if found.days < 1 else "in 1 day" if found.days == 1 else f"in {found.days:,} days"
    return f"retires {when}: {what}, {day}{early}"


def _find_replacement(
    shelf: Shelf, found: Retirement, article: Article, snapshot: Snapshot
) -> tuple[Replacement | None, str]:
    """What Azure names, else the newest version of the same model, if its pool has room; and that in words."""
    offer, now = found.offer, snapshot.taken_at
    named = shelf.successor(offer, article.edition, now)
    others = [each for each in shelf.versions(offer, now) if each.edition != article.edition]
    lasting = [each for each in (named, *others) if each and each.ends > found.at]
    weighed = [_weigh(shelf, found, (article, each), snapshot) for each in lasting]
    fitting = next((each for each in weighed if each.fits), None)
    place = f"{spell_sku(offer.sku)} in {offer.location}"
    if fitting:
        takes = "fits into the same pool"
        if fitting.units > 0:
            takes = f"takes {fitting.units:,} of the {fitting.room:,} that are left of its pool"
        return fitting, f"{fitting.model} {fitting.version} can replace it: it is sold as {place} and {takes}"
    if not weighed:
        return None, f"nothing that outlives it is sold as {place}: choose another model, type or region"
    first = weighed[0]
    name = f"{first.model} {first.version}"
    if first.room is None:
        return None, f"{name} would replace it as {place}; whether quota has room for it is not known"
    wants = f"needs {first.units:,} and {first.room:,} are left"
    return None, f"{name} would replace it as {place}, but quota has no room for it: it {wants}"


def _weigh(shelf: Shelf, found: Retirement, articles: tuple[Article, Article], snapshot: Snapshot) -> Replacement:
    """What it takes to serve the same tokens per minute by another model, beside what can be given back for it."""
    old, new = (each.terms for each in articles)
    units = -(-found.units * old.tokens // new.tokens) if old.tokens and new.tokens else found.units
    units = max(new.least, -(-units // new.step) * new.step)
    market = snapshot.quotas.markets.get(shelf.location) if snapshot.quotas else None
    usage = market.usages.get(new.usage.lower()) if market else None
    edition = articles[1].edition
    return Replacement(
        model=edition.model,
        version=edition.version,
        units=units - found.units if new.usage.lower() == old.usage.lower() else units,
        room=usage.limit - usage.used if usage else None,
    )


def _foresee_upgrades(stands: Mapping[ArmId, _Stand], drafts: Drafts, shelves: Shelves) -> Iterator[Note]:
    """One note for each account in which versions are pinned that Azure is about to leave."""
    told: dict[ArmId, list[str]] = defaultdict(list)
    for id, stand in stands.items():
        draft = drafts[id]
        live = draft.live and str(deployment.TYPE.lens("versionUpgradeOption").read(draft.live.wire))
        moves = deployment.is_standard(stand.holding.offer.sku) and (live or _DEFAULT) == _DEFAULT
        if not stand.pinned or stand.option or not moves:
            continue
        article = _look_up(stand.holding.offer, shelves)
        named = article.edition.successor if article else None
        if article and named and named.starts is not None and named.starts - shelves.now <= _AHEAD:
            to = f"{named.model} {named.version}".strip()
            told[id.top].append(f"{id.name} from {article.name} to {to} from {show_day(named.starts)} on")
    for account, words in sorted(told.items()):
        more = f", and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
        text = f"Azure will upgrade by itself: {', '.join(words[:_NAMED])}{more}; versions are pinned and "
        text += f"versionUpgradeOption is left out: write {_NEVER} to stay, or leave model.version out to go along"
        yield Note(id=account, ref=drafts[account].decision.ref, told=text)


def _find_unlisted(groups: Mapping[Offer, list[_Stand]], drafts: Drafts, shelves: Shelves) -> Iterator[Note]:
    """What runs and is on its own region's list no more: mostly because it is retired."""
    for offer, group in sorted(groups.items()):
        shelf = shelves.of(offer.location)
        if shelf is None or shelf.find(offer) or not offer.version:
            continue
        text = (
            f"{offer.model} {offer.version} as {spell_sku(offer.sku)} is not on the list of {offer.location} any more"
        )
        for each in group:
            draft = drafts[each.holding.id]
            if draft.live and not draft.acts:
                told = f"{text}: when it retires, or whether it has, is not known"
                yield Note(id=draft.id, ref=draft.decision.ref, told=told)


def tell_outlook(decisions: Iterable[Decision], outlook: Outlook, upgrades: Iterable[Note]) -> tuple[Decision, ...]:
    """The decisions with what people have to know about the models behind them; of those notes that are `upgrades` also
    in the reason of what is quiet otherwise."""
    warnings: dict[ArmId, list[str]] = defaultdict(list)
    for note in outlook.notes:
        warnings[note.id].append(note.told)
    for each in outlook.near:
        for id in each.deployments:
            warnings[id].append(f"{each.told} ({each.nearness.value}); {each.advice}")
    if not warnings:
        return tuple(decisions)
    moved = {note.id: note.told.partition(":")[0] for note in upgrades}
    return tuple(_warn(each, warnings[each.id], moved) if each.id in warnings else each for each in decisions)


def _warn(decision: Decision, warnings: list[str], moved: Mapping[ArmId, str]) -> Decision:
    quiet = decision.state is DecisionState.IN_SYNC
    reason = moved.get(decision.id, decision.reason) if quiet else decision.reason
    return replace(decision, reason=reason, warnings=(*decision.warnings, *warnings))


def date_pools(ledger: Ledger | None, outlook: Outlook) -> Ledger | None:
    """The ledger with the first retirement among what this fleet has in each pool."""
    soonest: dict[tuple[str, str], Retirement] = {}
    for each in outlook.retirements:
        soonest.setdefault((each.offer.location, each.usage.lower()), each)
    if ledger is None or not soonest:
        return ledger
    pools = []
    for pool in ledger.pools:
        found = soonest.get((pool.location, pool.usage.lower()))
        pools.append(replace(pool, retires=found.at, days=found.days) if found else pool)
    return replace(ledger, pools=tuple(pools))
