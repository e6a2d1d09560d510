"""What a unit of capacity is worth, out of a region's model list."""

from __future__ import annotations

from reconciler.cloud.rates import read_rates
from reconciler.model.resource import Offer
from reconciler.model.wire import JsonObject


def entry(**model: object) -> JsonObject:
    return {"kind": "OpenAI", "model": {"format": "OpenAI", "name": "o1", "version": "2024-12-17", **model}}  # type: ignore[dict-item]


def offer(version: str, sku: str = "globalstandard") -> Offer:
    return Offer(location="swedencentral", format="openai", model="o1", version=version, sku=sku)


TOKENS = {"key": "token", "renewalPeriod": 60, "count": 6000}
REQUESTS = {"key": "request", "renewalPeriod": 60, "count": 1}


def test_a_unit_is_worth_what_the_token_entry_says_per_minute() -> None:
    skus = [{"name": "GlobalStandard", "rateLimits": [REQUESTS, TOKENS]}]
    assert dict(read_rates("swedencentral", entry(skus=skus))) == {offer("2024-12-17"): 6000}


def test_a_rate_per_ten_seconds_counts_six_times_in_a_minute() -> None:
    skus = [{"name": "Standard", "rateLimits": [{"key": "token", "renewalPeriod": 10, "count": 100}]}]
    assert dict(read_rates("swedencentral", entry(skus=skus))) == {offer("2024-12-17", "standard"): 600}


def test_the_default_version_also_answers_for_a_deployment_that_names_none() -> None:
    skus = [{"name": "GlobalStandard", "rateLimits": [TOKENS]}]
    rates = dict(read_rates("swedencentral", entry(skus=skus, isDefaultVersion=True)))
    assert rates == {offer("2024-12-17"): 6000, offer(""): 6000}


def test_a_sku_without_token_rate_and_a_model_without_skus_say_nothing() -> None:
    assert not list(read_rates("swedencentral", entry(skus=[{"name": "GlobalStandard", "rateLimits": [REQUESTS]}])))
    assert not list(read_rates("swedencentral", entry(skus=[])))
    assert not list(read_rates("swedencentral", {"model": None}))
