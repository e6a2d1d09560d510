"""On what terms a region sells a model, out of its model list."""

from __future__ import annotations

import pytest

from reconciler.cloud.models import read_editions, read_terms
from reconciler.model.ports import Cloud
from reconciler.model.quota import Edition, Offer, QuotaScope, Successor, Terms
from reconciler.model.wire import JsonObject
from tests.cloud.conftest import Azure


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


def test_amounts_and_the_day_of_a_type_are_read() -> None:
    capacity = {"maximum": 30000.0, "default": 10, "allowedValues": [50, 5, "many"]}
    skus = [{"name": "Standard", "capacity": capacity, "deprecationDate": "2026-02-27T00:00:00Z"}]
    (terms,) = terms_in(entry(skus=skus)).values()
    assert (terms.most, terms.allowed, terms.retires) == (30_000, (5, 50), 1_772_150_400)


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("2026-02-27T00:00:00Z", 1_772_150_400),
        ("2026-02-27", 1_772_150_400),
        ("2026-02-27T01:00:00+01:00", 1_772_150_400),
        ("soon", None),
        (None, None),
        (7, None),
    ],
)
def test_dates_are_in_utc_and_what_is_none_is_left_out(date: object, moment: int | None) -> None:
    (edition,) = read_editions([entry(deprecation={"inference": date})]).values()
    assert edition.retires == moment


def test_an_edition_is_read_with_its_age_its_successor_and_all_its_kinds() -> None:
    model = {
        "skus": [],
        "isDefaultVersion": True,
        "lifecycleStatus": "GenerallyAvailable",
        "deprecation": {"inference": "2026-02-27T00:00:00Z", "deprecationStatus": "Tentative"},
        "replacementConfig": {
            "targetModelName": "o3",
            "targetModelVersion": "2025-04-16",
            "autoUpgradeStartDate": "2026-02-27T00:00:00Z",
            "upgradeOnExpiryLeadTimeDays": 7,
        },
    }
    found = read_editions([entry(**model), {**entry(**model), "kind": "AIServices"}])
    assert found == {
        ("openai", "o1", "2024-12-17"): Edition(
            model="o1",
            version="2024-12-17",
            status="generallyavailable",
            retires=1_772_150_400,
            tentative=True,
            default=True,
            successor=Successor(model="o3", version="2025-04-16", starts=1_772_150_400, lead=7),
            kinds=frozenset({"openai", "aiservices"}),
        )
    }


def test_what_is_no_model_is_no_edition() -> None:
    assert read_editions([{"model": None}]) == {}
    (edition,) = read_editions([{"model": {"name": "x", "replacementConfig": "none"}}]).values()
    assert edition == Edition(model="x", version="")


@pytest.mark.virtual_time
async def test_lists_are_browsed_each_whole_or_not_at_all_and_believed_for_a_while(azure: Azure, cloud: Cloud) -> None:
    await azure.fault(
        kind="status", status=403, code="AuthorizationFailed", match={"path": "eastus2/models$"}, count=-1
    )
    places = frozenset({"swedencentral", "eastus2", "westus"})
    found = await cloud.browse(azure.sim.subscription_id, places)
    assert found.listings.keys() == {"swedencentral", "westus"}
    assert found.unread.keys() == {"eastus2"}
    assert found.requests == 3
    again = await cloud.browse(azure.sim.subscription_id, frozenset({"swedencentral"}))
    assert (again.requests, again.listings["swedencentral"]) == (0, found.listings["swedencentral"])
    key = ("openai", "gpt-4o", "2024-11-20")
    assert found.listings["westus"].editions[key] is found.listings["swedencentral"].editions[key]


@pytest.mark.virtual_time
async def test_a_market_knows_its_editions(azure: Azure, cloud: Cloud) -> None:
    scope = QuotaScope(subscription=azure.sim.subscription_id, locations=frozenset({"eastus2"}))
    found = await cloud.measure(scope)
    edition = found.markets["eastus2"].editions["openai", "gpt-4o", "2024-08-06"]
    assert (edition.model, edition.default, edition.kinds) == ("gpt-4o", True, frozenset({"openai", "aiservices"}))
