"""On what terms a region sells each model, read out of its model list.

A list is megabytes and changes by the week, so that what was read of it is believed for some time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.cloud.gateway import Gateway, Page
from reconciler.cloud.patience import Patience
from reconciler.model.finding import Fault
from reconciler.model.ports import Clock
from reconciler.model.quota import Offer, Terms
from reconciler.model.wire import Json, JsonObject

BELIEVED = 600.0  # seconds
_AT_ONCE = 2  # lists in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """What a region's list gave: all of it, or what came before `fault`."""

    terms: Mapping[Offer, Terms] = field(default_factory=dict)
    fault: Fault | None = None


class ModelLists:
    def __init__(self, gateway: Gateway, clock: Clock, patience: Patience, believed: float = BELIEVED) -> None:
        self._gateway = gateway
        self._believed = believed
        self._clock = clock
        self._patience = patience
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._read: dict[tuple[str, str], tuple[float, ModelList]] = {}

    async def read(self, subscription: str, location: str) -> ModelList:
        """The list of a region, asked for unless it was read just now."""
        key = (subscription.lower(), location)
        async with self._room:
            at, known = self._read.get(key, (0.0, None))
            if known is not None and self._clock.monotonic() - at < self._believed:
                return known
            page = await self._patience.through_faults(
                lambda: self._gateway.list_models(subscription, location), _fault_of_page
            )
            found = ModelList(
                terms={offer: terms for entry in page.items for offer, terms in read_terms(location, entry)},
                fault=page.fault,
            )
            if found.fault is None:
                self._read[key] = (self._clock.monotonic(), found)
            return found


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


def _terms(sku: JsonObject) -> Terms:
    rule = sku.get("capacity")
    bounds = rule if isinstance(rule, dict) else {}
    tokens = _per_minute(sku, "token")
    return Terms(
        usage=str(sku.get("usageName") or ""),
        tokens=int(tokens) if tokens is not None else None,
        requests=_per_minute(sku, "request"),
        least=_whole(bounds.get("minimum")),
        step=_whole(bounds.get("step")),
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
