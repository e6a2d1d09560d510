"""What one unit of capacity is worth, read out of a region's model list."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.resource import Offer
from reconciler.model.wire import JsonObject


def read_rates(location: str, entry: JsonObject) -> Iterator[tuple[Offer, int]]:
    """Tokens per minute of a unit, for each SKU of one entry; a model's default version is also given unnamed."""
    model = entry.get("model")
    skus = model.get("skus") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(skus, list):
        return
    version = str(model.get("version") or "").lower()
    for sku in skus:
        rate = _tokens_per_minute(sku) if isinstance(sku, dict) else None
        if rate is None or not isinstance(sku, dict):
            continue
        for named in (version, "") if model.get("isDefaultVersion") is True else (version,):
            offer = Offer(
                location=location,
                format=str(model.get("format") or "").lower(),
                model=str(model.get("name") or "").lower(),
                version=named,
                sku=str(sku.get("name") or "").lower(),
            )
            yield offer, rate


def _tokens_per_minute(sku: JsonObject) -> int | None:
    """The `token` entry of the SKU's rate limits: so many tokens per renewal period, in seconds, for one unit."""
    limits = sku.get("rateLimits")
    if not isinstance(limits, list):
        return None
    entry = next((each for each in limits if isinstance(each, dict) and each.get("key") == "token"), {})
    count, period = entry.get("count"), entry.get("renewalPeriod")
    if not isinstance(count, (int, float)) or not isinstance(period, (int, float)) or period <= 0:
        return None
    return int(count * 60 / period)
