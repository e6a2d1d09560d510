"""On what terms a region sells each model, read out of its model list.

A list is megabytes and changes by the week, so that what was read of it is believed for some time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from reconciler.cloud.gateway import Gateway, Page
from reconciler.cloud.patience import Patience
from reconciler.model.finding import Fault
from reconciler.model.ports import Clock
from reconciler.model.quota import Catalogue, Edition, EditionKey, Listing, Offer, Successor, Terms
from reconciler.model.wire import Json, JsonObject, Maybe, read_path

BELIEVED = 600.0  # seconds
_AT_ONCE = 2  # lists in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """What a region's list gave: all of it, or what came before `fault`."""

    terms: Mapping[Offer, Terms] = field(default_factory=dict)
    editions: Mapping[EditionKey, Edition] = field(default_factory=dict)
    fault: Fault | None = None


class ModelLists:
    def __init__(self, gateway: Gateway, clock: Clock, patience: Patience, believed: float = BELIEVED) -> None:
        self._gateway = gateway
        self._believed = believed
        self._clock = clock
        self._patience = patience
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._read: dict[tuple[str, str], tuple[float, ModelList]] = {}
        # Regions sell on few different terms: of those that are alike one is kept.
        self._terms: dict[Terms, Terms] = {}
        self._editions: dict[Edition, Edition] = {}

    async def read(self, subscription: str, location: str, age: float = 0.0) -> ModelList:
        """The list of a region, asked for unless it was read just now, or `age` seconds ago where that will do."""
        key = (subscription.lower(), location)
        async with self._room:
            at, known = self._read.get(key, (0.0, None))
            if known is not None and self._clock.monotonic() - at < max(age, self._believed):
                return known
            page = await self._patience.through_faults(
                lambda: self._gateway.list_models(subscription, location), _fault_of_page
            )
            found = self._take(location, page)
            if found.fault is None:
                self._read[key] = (self._clock.monotonic(), found)
            return found

    async def browse(self, subscription: str, locations: Set[str]) -> Catalogue:
        """The lists of several regions, each whole or not at all."""
        before = self._gateway.requests
        async with asyncio.TaskGroup() as group:
            tasks = {each: group.create_task(self.read(subscription, each)) for each in sorted(locations)}
        read = {location: task.result() for location, task in tasks.items()}
        whole = {location: each for location, each in read.items() if each.fault is None}
        return Catalogue(
            listings={location: Listing(terms=each.terms, editions=each.editions) for location, each in whole.items()},
            unread={location: each.fault for location, each in read.items() if each.fault is not None},
            requests=self._gateway.requests - before,
        )

    def _take(self, location: str, page: Page) -> ModelList:
        terms = (pair for entry in page.items for pair in read_terms(location, entry))
        editions = read_editions(page.items)
        return ModelList(
            terms={offer: self._terms.setdefault(each, each) for offer, each in terms},
            editions={key: self._editions.setdefault(each, each) for key, each in editions.items()},
            fault=page.fault,
        )


def read_terms(location: str, entry: JsonObject) -> Iterator[tuple[Offer, Terms]]:
    """The terms of each SKU of one entry; a model's default version is also given unnamed."""
    model = entry.get("model")
    skus = model.get("skus") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(skus, list):
        return
    version = str(model.get("version") or "").lower()
    for sku in skus:
        if not isinstance(sku, dict):
            continue
        terms = _terms(sku)
        for named in (version, "") if model.get("isDefaultVersion") is True else (version,):
            offer = Offer(
                location=location,
                format=str(model.get("format") or "").lower(),
                model=str(model.get("name") or "").lower(),
                version=named,
                sku=str(sku.get("name") or "").lower(),
            )
            yield offer, terms


def read_editions(entries: Iterable[JsonObject]) -> dict[EditionKey, Edition]:
    """Every model of a list, those included that are sold on no terms; what is listed for several kinds of accounts is
    one."""
    found: dict[EditionKey, Edition] = {}
    for entry in entries:
        model = entry.get("model")
        if not isinstance(model, dict):
            continue
        edition = _edition(entry, model)
        key = (str(model.get("format") or "").lower(), edition.model.lower(), edition.version.lower())
        kinds = found[key].kinds if key in found else frozenset()
        found[key] = replace(edition, kinds=edition.kinds | kinds)
    return found


def _edition(entry: JsonObject, model: JsonObject) -> Edition:
    kind = str(entry.get("kind") or "").lower()
    return Edition(
        model=str(model.get("name") or ""),
        version=str(model.get("version") or ""),
        status=str(model.get("lifecycleStatus") or "").lower(),
        retires=_moment(read_path(model, ("deprecation", "inference"))),
        tentative=str(read_path(model, ("deprecation", "deprecationStatus")) or "").lower() == "tentative",
        default=model.get("isDefaultVersion") is True,
        successor=_successor(model.get("replacementConfig")),
        kinds=frozenset({kind} if kind else ()),
    )


def _successor(value: Json) -> Successor | None:
    if not isinstance(value, dict) or not value.get("targetModelName"):
        return None
    lead = value.get("upgradeOnExpiryLeadTimeDays")
    return Successor(
        model=str(value["targetModelName"]),
        version=str(value.get("targetModelVersion") or ""),
        starts=_moment(value.get("autoUpgradeStartDate")),
        lead=int(lead) if isinstance(lead, (int, float)) else 0,
    )


def _moment(value: Maybe) -> int | None:
    """Epoch seconds of an ISO 8601 time, which is in UTC where it does not say."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())


def _terms(sku: JsonObject) -> Terms:
    rule = sku.get("capacity")
    bounds = rule if isinstance(rule, dict) else {}
    tokens, most, allowed = _per_minute(sku, "token"), bounds.get("maximum"), bounds.get("allowedValues")
    values = allowed if isinstance(allowed, list) else []
    return Terms(
        usage=str(sku.get("usageName") or ""),
        tokens=int(tokens) if tokens is not None else None,
        requests=_per_minute(sku, "request"),
        least=_whole(bounds.get("minimum")),
        step=_whole(bounds.get("step")),
        most=int(most) if isinstance(most, (int, float)) else None,
        allowed=tuple(sorted(int(each) for each in values if isinstance(each, (int, float)))),
        retires=_moment(sku.get("deprecationDate")),
    )


def _whole(value: Json) -> int:
    return max(1, int(value)) if isinstance(value, (int, float)) else 1


def _per_minute(sku: JsonObject, key: str) -> float | None:
    """An entry of the SKU's rate limits: so many per renewal period, in seconds, for one unit."""
    limits = sku.get("rateLimits")
    if not isinstance(limits, list):
        return None
    entry = next((each for each in limits if isinstance(each, dict) and each.get("key") == key), {})
    count, period = entry.get("count"), entry.get("renewalPeriod")
    if not isinstance(count, (int, float)) or not isinstance(period, (int, float)) or period <= 0:
        return None
    return count * 60 / period


def _fault_of_page(page: Page) -> Fault | None:
    return page.fault
