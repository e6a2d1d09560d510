"""What a region sells, model by model, as its list says: what may be deployed at a moment, on what terms, until when.

Knows nothing of drafts: `preflight` refuses by it, `lifecycle` warns by it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from reconciler.kinds import deployment
from reconciler.model.quota import Edition, EditionKey, Listing, Market, Offer, Terms
from reconciler.model.resource import Snapshot

_CLOSING = ("deprecating", "deprecated")  # what takes no new deployments any more
_NEVER = 1 << 62
_SPELLED = {sku.lower(): sku for sku in deployment.SKUS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Article:
    """A version of a model as one type of deployment."""

    edition: Edition
    sku: str
    terms: Terms

    @property
    def ends(self) -> int:
        """When the first of the two is retired; what nobody says lies far off."""
        return min(each if each is not None else _NEVER for each in (self.edition.retires, self.terms.retires))

    @property
    def retires(self) -> int | None:
        return self.ends if self.ends < _NEVER else None

    def takes_new(self, now: float) -> bool:
        return self.edition.status not in _CLOSING and self.ends > now

    @property
    def name(self) -> str:
        """`gpt-4o 2024-11-20`."""
        return f"{self.edition.model} {self.edition.version}"


@dataclass(slots=True)
class Shelf:
    """One region's list, ordered by model. `editions` are by format and model, then by version."""

    location: str
    editions: dict[tuple[str, str], dict[str, Edition]] = field(default_factory=lambda: defaultdict(dict))
    terms: dict[EditionKey, dict[str, Terms]] = field(default_factory=lambda: defaultdict(dict))

    def find(self, offer: Offer) -> Article | None:
        """What the offer names, its version left out included; None where the region does not sell it so."""
        edition = self.edition(offer)
        if edition is None:
            return None
        terms = self.terms.get((offer.format, offer.model, edition.version.lower()), {}).get(offer.sku)
        return Article(edition=edition, sku=spell_sku(offer.sku), terms=terms) if terms else None

    def edition(self, offer: Offer) -> Edition | None:
        versions = self.editions.get((offer.format, offer.model), {})
        return versions.get(offer.version) if offer.version else self.default(offer)

    def default(self, offer: Offer) -> Edition | None:
        versions = self.editions.get((offer.format, offer.model), {})
        return next((each for each in versions.values() if each.default), None)

    def skus(self, offer: Offer, edition: Edition) -> tuple[str, ...]:
        """The types that documents can name and that a version is sold as."""
        sold = self.terms.get((offer.format, offer.model, edition.version.lower()), {})
        return tuple(sku for sku in deployment.SKUS if sku.lower() in sold)

    def versions(self, offer: Offer, now: float) -> tuple[Article, ...]:
        """The versions of a model that may be deployed as the same type, the newest first."""
        named = self.editions.get((offer.format, offer.model), {})
        found = (self.find(replace(offer, version=version)) for version in named if version)
        alive = [each for each in found if each and each.takes_new(now)]
        return tuple(sorted(alive, key=lambda each: (-each.ends, [-ord(letter) for letter in each.edition.version])))

    def successor(self, offer: Offer, edition: Edition, now: float) -> Article | None:
        """What Azure names as replacement, where it may be deployed here as the same type."""
        named = edition.successor
        if named is None:
            return None
        target = replace(offer, model=named.model.lower(), version=named.version.lower())
        found = self.find(target)
        return found if found and found.takes_new(now) else None

    def names(self, format_: str) -> tuple[str, ...]:
        """The models of a format, as Azure spells them, that are sold on some terms."""
        found: dict[str, None] = {}
        for (form, _), versions in self.editions.items():
            if form == format_:
                found |= {edition.model: None for edition in versions.values()}
        return tuple(sorted(found))

    def formats(self, model: str) -> tuple[str, ...]:
        return tuple(sorted(form for form, name in self.editions if name == model))


def spell_sku(sku: str) -> str:
    """A folded type as Azure spells it, where that is known."""
    return _SPELLED.get(sku, sku)


def _fill(location: str, listing: Listing | Market) -> Shelf:
    shelf = Shelf(location=location)
    for (form, model, version), edition in listing.editions.items():
        shelf.editions[form, model][version] = edition
    for offer, terms in listing.terms.items():
        if not offer.version:
            continue
        shelf.terms[offer.format, offer.model, offer.version][offer.sku] = terms
        named = Edition(model=offer.model, version=offer.version)
        shelf.editions[offer.format, offer.model].setdefault(offer.version, named)
    return shelf


class Shelves:
    """The regions whose lists a snapshot holds, each put in order when somebody asks for it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._lists: dict[str, Listing | Market] = {}
        if snapshot.catalogue:
            self._lists |= snapshot.catalogue.listings
        if snapshot.quotas:
            self._lists |= snapshot.quotas.markets
        self._filled: dict[str, Shelf] = {}
        self.now = snapshot.taken_at

    def of(self, location: str) -> Shelf | None:
        """What a region sells; None where its list was not read, or says nothing."""
        if location not in self._filled and location in self._lists:
            self._filled[location] = _fill(location, self._lists[location])
        shelf = self._filled.get(location)
        return shelf if shelf and shelf.editions else None

    def everywhere(self) -> Iterator[Shelf]:
        """Every list there is, in the order of the regions."""
        for location in sorted(self._lists):
            shelf = self.of(location)
            if shelf:
                yield shelf
