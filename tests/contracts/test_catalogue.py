"""What the simulation has on offer hangs together, and what people's documents name can be deployed somewhere."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from armsim import catalogue
from armsim.catalogue import Catalogue
from armsim.clock import EPOCH
from armsim.wire import Body

TYPES = {
    "Standard",
    "GlobalStandard",
    "DataZoneStandard",
    "ProvisionedManaged",
    "GlobalProvisionedManaged",
    "DataZoneProvisionedManaged",
    "GlobalBatch",
    "DataZoneBatch",
    "DeveloperTier",
}
NAMED = [
    ("gpt-35-turbo-16k", "0613", "Standard", "australiaeast"),
    ("gpt-4-32k", "0613", "Standard", "swedencentral"),
    ("gpt-4-32k", "0613", "Standard", "switzerlandnorth"),
    ("text-embedding-ada-002", "2", "Standard", "canadaeast"),
    ("gpt-4o-realtime-preview", "2024-10-01", "GlobalStandard", "eastus2"),
    ("gpt-4", "0613", "Standard", "swedencentral"),
    ("gpt-35-turbo", "0125", "Standard", "japaneast"),
    ("davinci-002", "1", "Standard", "swedencentral"),
    ("dall-e-3", "3.0", "Standard", "swedencentral"),
    ("dall-e-2", "2.0", "Standard", "eastus"),
    ("gpt-4o", "2024-11-20", "DataZoneStandard", "westus2"),
    ("gpt-4o", "2024-08-06", "DataZoneStandard", "westeurope"),
]


def alive(date: str) -> bool:
    return datetime.fromisoformat(date) > datetime.fromtimestamp(EPOCH, UTC)


def entries() -> list[tuple[str, Body]]:
    return [(place, each) for place in catalogue.regions() for each in catalogue.load_models(place)]


def test_a_model_version_is_offered_once_per_kind_and_location() -> None:
    counted = Counter(
        (place, each["kind"], each["model"]["format"], each["model"]["name"], each["model"]["version"])
        for place, each in entries()
    )
    assert [key for key, count in counted.items() if count > 1] == []


def test_every_pool_that_a_model_draws_on_has_a_limit() -> None:
    named = {sku["usageName"].lower() for _, each in entries() for sku in each["model"]["skus"]}
    assert named - set(catalogue.pools()) == set()


def test_a_model_has_at_most_one_default_version_per_location() -> None:
    defaults = Counter(
        (place, each["kind"], each["model"]["name"]) for place, each in entries() if each["model"]["isDefaultVersion"]
    )
    assert [key for key, count in defaults.items() if count > 1] == []


@pytest.mark.parametrize("kind", ["OpenAI", "AIServices"])
def test_every_deployment_type_can_be_tried_within_the_default_limits(kind: str) -> None:
    usable = {
        sku["name"]
        for place, each in entries()
        if each["kind"] == kind
        for sku in each["model"]["skus"]
        if alive(sku.get("deprecationDate", "9999-01-01T00:00:00Z"))
        and sku["capacity"].get("minimum", 1) <= room(place, sku)
    }
    assert usable >= TYPES


def room(place: str, sku: Body) -> float:
    pool = sku["usageName"].lower()
    return catalogue.regional_limits(place).get(pool, catalogue.pools()[pool].limit)


@pytest.mark.parametrize(("model", "version", "sku", "place"), NAMED)
def test_what_documents_name_can_be_deployed(model: str, version: str, sku: str, place: str) -> None:
    found = Catalogue().find(place, "OpenAI", ("OpenAI", model, version))
    assert found is not None
    offered = {each["name"]: each for each in found["skus"]}
    assert sku in offered
    assert alive(offered[sku]["deprecationDate"])
    assert found["lifecycleStatus"] not in {"Deprecated", "Deprecating"}


def test_the_usage_name_cannot_be_built_from_model_and_type() -> None:
    found = Catalogue().find("eastus", "OpenAI", ("OpenAI", "gpt-4.1", "2025-04-14"))
    assert found is not None
    names = {each["name"]: each["usageName"] for each in found["skus"]}
    assert names["GlobalStandard"] == "OpenAI.GlobalStandard.gpt4.1"
    assert names["GlobalBatch"] == "OpenAI.GlobalBatch.gpt-4.1"
