"""The Helm chart rendered by the engine of Helm 4, and what is in it; `RELEASE` in `NAMESPACE`."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from helm_python import Chart

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "reconciler"
RELEASE, NAMESPACE = "prod", "ai"

Values = dict[str, Any]
Object = dict[str, Any]


def example_values() -> dict[str, Values]:
    """The values in the chart's `ci`, by what they show."""
    files = sorted((CHART / "ci").glob("*-values.yaml"))
    return {path.name.removesuffix("-values.yaml"): yaml.safe_load(path.read_text()) for path in files}


def with_values(base: Values, more: Values) -> Values:
    """The values with others laid over them, mapping by mapping."""
    result = deepcopy(base)
    for key, value in more.items():
        below = result.get(key)
        result[key] = with_values(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return result


def render(values: Values, release: str = RELEASE) -> list[Object]:
    """Every object of the release, in the order of their kinds and names."""
    objects = [each for text in render_texts(values, release).values() for each in yaml.safe_load_all(text) if each]
    return sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"]))


def render_texts(values: Values, release: str = RELEASE) -> dict[str, str]:
    """The text of every template but the notes, by its name."""
    texts = Chart.load(CHART).render(values, name=release, namespace=NAMESPACE)
    return {name: text for name, text in texts.items() if not name.endswith("NOTES.txt")}


def render_notes(values: Values) -> str:
    texts = Chart.load(CHART).render(values, name=RELEASE, namespace=NAMESPACE)
    return next(text for name, text in texts.items() if name.endswith("NOTES.txt"))


def find(objects: list[Object], kind: str, name: str = "") -> Object:
    """The one object of that kind, of that name where there are several."""
    found = [each for each in objects if each["kind"] == kind and name in ("", each["metadata"]["name"])]
    assert len(found) == 1, (kind, [each["metadata"]["name"] for each in found])
    return found[0]


def pod_of(objects: list[Object]) -> Object:
    spec: Object = find(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def schema() -> Object:
    loaded: Object = json.loads((CHART / "values.schema.json").read_text())
    return loaded
