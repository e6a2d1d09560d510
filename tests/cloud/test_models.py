"""On what terms a region sells a model, out of its model list."""

from __future__ import annotations

from reconciler.cloud.models import read_terms
from reconciler.model.quota import Offer, Terms
from reconciler.model.wire import JsonObject


def entry(**model: object) -> JsonObject:
    return {"kind": "OpenAI", "model": {"format": "OpenAI", "name": "o1", "version": "2024-12-17", **model}}  # type: ignore[dict-item]


def offer(version: str, sku: str = "globalstandard") -> Offer:
    return Offer(location="swedencentral", format="openai", model="o1", version=version, sku=sku)


TOKENS = {"key": "token", "renewalPeriod": 60, "count": 6000}
REQUESTS = {"key": "request", "renewalPeriod": 60, "count": 1}


def terms_in(wire: JsonObject) -> dict[Offer, Terms]:
    return dict(read_terms("swedencentral", wire))


def test_a_unit_is_worth_what_the_rate_limits_say_per_minute() -> None:
    skus = [{"name": "GlobalStandard", "usageName": "OpenAI.GlobalStandard.o1", "rateLimits": [REQUESTS, TOKENS]}]
    terms = Terms(usage="OpenAI.GlobalStandard.o1", tokens=6000, requests=1)
    assert terms_in(entry(skus=skus)) == {offer("2024-12-17"): terms}


def test_a_rate_per_ten_seconds_counts_six_times_in_a_minute() -> None:
    skus = [{"name": "Standard", "rateLimits": [{"key": "token", "renewalPeriod": 10, "count": 100}]}]
    (terms,) = terms_in(entry(skus=skus)).values()
    assert terms.tokens == 600


def test_the_default_version_also_answers_for_a_deployment_that_names_none() -> None:
    skus = [{"name": "GlobalStandard", "rateLimits": [TOKENS]}]
    found = terms_in(entry(skus=skus, isDefaultVersion=True))
    assert found.keys() == {offer("2024-12-17"), offer("")}


def test_a_sku_without_rates_still_names_its_pool_and_its_steps() -> None:
    skus = [
        {
            "name": "GlobalProvisionedManaged",
            "usageName": "OpenAI.GlobalProvisionedManaged",
            "capacity": {"minimum": 15, "step": 5, "maximum": 100000},
        }
    ]
    (terms,) = terms_in(entry(skus=skus)).values()
    assert terms == Terms(usage="OpenAI.GlobalProvisionedManaged", least=15, step=5, most=100_000)


def test_a_model_without_skus_is_sold_on_no_terms() -> None:
    assert not terms_in(entry(skus=[]))
    assert not terms_in({"model": None})
