"""What deploy/ ships and was made from tables is what the tables make of it today."""

from __future__ import annotations

import inspect
import json
import re
from configparser import ConfigParser

import pytest
import yaml

from reconciler.cloud.gateway import Gateway
from reconciler.kinds.catalog import TYPES
from reconciler.settings import SETTINGS
from tests.support.azure_roles import ASKED, make_roles, spell
from tests.support.chart import CHART, ROOT, schema
from tests.support.shipped import ELSEWHERE, OWN, make_files

# What of the gateway speaks of the types of the catalog, by bindings and URLs, or of nothing at all.
_BY_TYPE = {"get", "list_all", "list_children", "send", "follow", "principal"}


@pytest.mark.parametrize("name", sorted(str(path.relative_to(ROOT)) for path in make_files()))
def test_a_made_file_is_as_its_tables_say(name: str) -> None:
    path = ROOT / name
    assert path.read_text() == make_files()[path], "run `make chart` and commit what it writes"


def test_every_call_of_the_gateway_is_in_the_roles() -> None:
    calls = {name for name, _ in inspect.getmembers(Gateway, inspect.iscoroutinefunction) if not name.startswith("_")}
    assert calls - _BY_TYPE == set(ASKED)


def test_the_reader_reads_and_asks_and_nothing_else() -> None:
    actions = make_roles()["reader.json"]["Actions"]
    others = [each for each in actions if not each.lower().endswith("/read")]
    assert others == ["Microsoft.CognitiveServices/checkDomainAvailability/action"]


def test_the_writer_is_granted_no_more_than_its_types() -> None:
    """No star, no keys, no roles; and writes on what the catalog knows only."""
    actions = make_roles()["writer.json"]["Actions"]
    known = {spell(each).lower() for each in TYPES}
    for action in actions:
        type_, _, verb = action.rpartition("/")
        assert "*" not in action, action
        assert not re.search(r"listkeys|regeneratekey|roleassignments", action, re.IGNORECASE)
        if verb == "write":
            assert type_.lower() in known, action


def test_every_setting_is_the_charts_or_its_users_or_of_no_use_in_a_pod() -> None:
    taken = set(schema()["properties"]["settings"]["properties"])
    assert {each.name for each in SETTINGS} <= taken | OWN | ELSEWHERE
    assert not taken & (OWN | ELSEWHERE)


def test_the_chart_has_the_version_of_the_product() -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == chart["version"] == config["metadata"]["version"]


def test_every_value_has_a_default_and_a_sentence() -> None:
    """The schema is one that the oldest engine enforces too: draft-07, nothing unknown let through."""
    whole, defaults = schema(), yaml.safe_load((CHART / "values.yaml").read_text())
    assert whole["$schema"] == "http://json-schema.org/draft-07/schema#"
    newer = ("dependentRequired", "unevaluatedProperties", "$defs", "prefixItems", "minContains")
    assert not [word for word in newer if f'"{word}"' in json.dumps(whole)]
    _check(whole, defaults, "")


def _check(node: dict[str, object], default: object, path: str) -> None:
    assert str(node["description"]).endswith("."), path
    properties = node.get("properties")
    if not isinstance(properties, dict):
        return
    assert node["additionalProperties"] is False, path
    for name, below in properties.items():
        here = f"{path}.{name}".lstrip(".")
        if path.startswith("settings") or here in ("global", "settings"):
            continue
        assert isinstance(default, dict), path
        assert name in default, f"{here} has no default"
        _check(below, default[name], here)
