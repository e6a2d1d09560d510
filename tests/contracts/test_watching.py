"""The rules and the dashboard ask for metrics that there are, by labels that they have."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from reconciler.model.alert import Level
from reconciler.model.drift import Gravity
from reconciler.model.health import Health
from reconciler.report import conditions
from reconciler.report.metrics import render_metrics
from tests.support.chart import CHART

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"] for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((CHART / "files" / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
QUERIES = [
    *((rule["alert"], rule["expr"]) for rule in RULES),
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
]


def metrics() -> set[str]:
    """Every name that a scrape may hold."""
    health = Health(taken_at=1.0, began_at=0.0, interval=60.0, patience=900.0)
    text = render_metrics(health, "text/plain").body.decode()
    found = re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE)
    assert found
    parts = {"histogram": ("_bucket", "_sum", "_count")}
    return {name + part for name, kind in found for part in parts.get(kind, ("",))}


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_a_query_asks_for_metrics_that_there_are(title: str, query: str) -> None:
    asked = set(re.findall(r"\breconciler_[a-z_]+", query))
    assert asked, title
    assert asked <= metrics()


def test_every_metric_of_ours_is_shown_or_watched() -> None:
    """But for what is there for people who look closer."""
    asked = {name for _, query in QUERIES for name in re.findall(r"\breconciler_[a-z_]+", query)}
    bases = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in asked}
    ours = {re.sub(r"_(bucket|sum|count|total)$", "", name) for name in metrics() if name.startswith("reconciler_")}
    assert ours - bases == {
        "reconciler_build_info",
        "reconciler_loop_silence_seconds",
        "reconciler_observe_only",
        "reconciler_quota_measured_timestamp_seconds",
        "reconciler_quota_tokens_per_minute",
    }


def test_the_dashboard_is_of_the_shape_that_grafana_takes() -> None:
    """Its classic model: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/"""
    assert "id" not in DASHBOARD  # Grafana's own number of it; one that is given would take the place of another
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", DASHBOARD["uid"])
    assert 36 <= DASHBOARD["schemaVersion"] <= 41
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    source = variables.pop("source")
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    ours = {"type": "prometheus", "uid": "${source}"}
    assert set(variables) == {"namespace", "job", "fleet"}
    for each in variables.values():
        assert (each["type"], each["datasource"]) == ("query", ours), each["name"]
    for panel in PANELS:
        assert panel["type"] in ("stat", "table", "timeseries"), panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == ["A", "B"][: len(refs)], panel["title"]
        for each in (panel, *panel["targets"]):
            assert each["datasource"] == ours, panel["title"]
        asked = {name for target in panel["targets"] for name in re.findall(r"\$\{?(\w+)", target["expr"])}
        assert asked <= {*variables, "__rate_interval"}, panel["title"]


def test_the_rules_have_the_names_of_the_alerts_that_the_daemon_tells() -> None:
    told = {
        value
        for name, value in vars(conditions).items()
        if name.isupper() and isinstance(value, str) and value.startswith("Reconciler")
    }
    assert {rule["alert"] for rule in RULES} == {*told, "ReconcilerDead"}


def test_a_rule_says_how_urgent_it_is_and_what_to_do() -> None:
    words = {level.value for level in Level} | {"{{ $labels.level }}"}
    for rule in RULES:
        assert rule["labels"]["severity"] in words
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["annotations"]["description"].rstrip("?").rstrip(".") != rule["annotations"]["description"]


def test_every_gravity_of_a_drift_has_its_rule() -> None:
    queries = " ".join(rule["expr"] for rule in RULES if rule["alert"] == "ReconcilerDrift")
    words = {word for each in re.findall(r'gravity=~?"([^"]+)"', queries) for word in each.split("|")}
    assert words == {gravity.value for gravity in Gravity}


def test_what_is_blocked_is_told_by_one_rule_or_on_purpose_by_none() -> None:
    queries = {rule["alert"]: rule["expr"] for rule in RULES}
    quota = set(re.findall(r'code=~"([^"]+)"', queries["ReconcilerQuota"])[0].split("|"))
    others = set(re.findall(r'code!~"([^"]+)"', queries["ReconcilerBlocked"])[0].split("|"))
    assert quota == conditions._QUOTAS
    assert others == conditions._QUOTAS | conditions._SILENT
