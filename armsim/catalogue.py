"""What Azure offers: regions, kinds, SKUs, models, default limits. Reads `armsim/data`, and nothing else.

A control request may replace the models of a region; limits of a subscription live in `quota`.
"""

import json
from functools import cache
from pathlib import Path
from typing import NamedTuple

from armsim.wire import Body, Json, fold_location

DATA = Path(__file__).parent / "data"


class Region(NamedTuple):
    name: str
    display: str
    openai: bool

    @property
    def label(self) -> str:
        """`WestEurope`, the form in the ids of models."""
        return self.display.replace(" ", "")


class Pool(NamedTuple):
    name: str
    label: str
    limit: float


@cache
def _read(name: str) -> Json:
    return json.loads((DATA / name).read_text(encoding="utf-8"))


@cache
def regions() -> dict[str, Region]:
    return {
        each["name"]: Region(each["name"], each["displayName"], bool(each["openai"]))
        for each in _read("locations.json")
    }


@cache
def pools() -> dict[str, Pool]:
    """Default limits by folded usage name, in the order of the answer."""
    return {
        each["value"].lower(): Pool(each["value"], each["localizedValue"], float(each["limit"]))
        for each in _read("usages.json")["defaults"]
    }


@cache
def regional_limits(location: str) -> dict[str, float]:
    """Limits that differ from the default in this region, by folded usage name."""
    found = _read("usages.json").get("locations", {}).get(location, {})
    return {name.lower(): float(limit) for name, limit in found.items()}


@cache
def load_models(location: str) -> tuple[Body, ...]:
    """Catalogue entries `{kind, model}` of a region, one per kind, in the order of the data."""
    entries: list[Body] = []
    for each in _read("models.json"):
        if location not in each["locations"]:
            continue
        kinds = each["kind"] if isinstance(each["kind"], list) else [each["kind"]]
        entries.extend({"kind": kind, "skuName": "S0", "model": each["model"]} for kind in kinds)
    return tuple(entries)


@cache
def account_template(kind: str) -> Body:
    templates: Body = _read("account.json")
    found: Body = next((value for name, value in templates.items() if name.lower() == kind.lower()), templates["*"])
    return found


@cache
def kinds() -> dict[str, str]:
    """The kinds by folded name, in Azure's spelling."""
    return {each["kind"].lower(): each["kind"] for each in _read("skus.json")}


@cache
def skus_of(kind: str) -> dict[str, Body]:
    """The account SKUs of a kind by folded name."""
    return {each["name"].lower(): each for each in _read("skus.json") if each["kind"].lower() == kind.lower()}


@cache
def sku_rows() -> tuple[Body, ...]:
    """The answer of the SKU list: one row per kind, SKU and region, regions in capitals."""
    return tuple(
        {
            "resourceType": "accounts",
            "name": each["name"],
            "tier": each["tier"],
            "kind": each["kind"],
            "locations": [location.upper()],
            "locationInfo": [{"location": location.upper(), "zones": [], "zoneDetails": []}],
            "restrictions": [],
        }
        for each in _read("skus.json")
        for location in each["locations"]
    )


class Catalogue:
    """The models on offer, with the replacements that tests make."""

    def __init__(self) -> None:
        self.replaced: dict[str, list[Body]] = {}
        self._index: dict[tuple[str, str], dict[tuple[str, str, str], Body]] = {}

    def replace(self, location: str, entries: list[Body]) -> None:
        self.replaced[fold_location(location)] = entries
        self._index.clear()

    def entries(self, location: str) -> list[Body]:
        """Entries `{kind, skuName, model}` of a region."""
        found = self.replaced.get(location)
        if found is None:
            return list(load_models(location))
        return [
            {"kind": kind, "skuName": each.get("skuName", "S0"), "model": each.get("model", each)}
            for each in found
            for kind in _kinds_of(each)
        ]

    def find(self, location: str, kind: str, model: tuple[str, str, str]) -> Body | None:
        """The model with this format, name and version."""
        form, name, version = model
        return self._models(location, kind).get((form.lower(), name.lower(), version.lower()))

    def find_any(self, location: str, model: tuple[str, str, str]) -> Body | None:
        """The same for whichever kind of account offers it."""
        offered = (self.find(location, kind, model) for kind in ("OpenAI", "AIServices"))
        return next((each for each in offered if each is not None), None)

    def versions(self, location: str, kind: str, form: str, name: str) -> list[Body]:
        return [
            model
            for (each_form, each_name, _), model in self._models(location, kind).items()
            if (each_form, each_name) == (form.lower(), name.lower())
        ]

    def _models(self, location: str, kind: str) -> dict[tuple[str, str, str], Body]:
        found = self._index.get((location, kind))
        if found is None:
            found = {}
            for entry in self.entries(location):
                model = entry["model"]
                if entry["kind"].lower() == kind.lower():
                    found[(model["format"].lower(), model["name"].lower(), model["version"].lower())] = model
            self._index[(location, kind)] = found
        return found


def _kinds_of(entry: Body) -> list[str]:
    kind = entry.get("kind", ["OpenAI", "AIServices"])
    return kind if isinstance(kind, list) else [kind]
