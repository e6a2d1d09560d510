"""The chart with the oldest engine, the rules in a real Prometheus, and what a policy scanner finds."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from string import Template

import pytest
import yaml

from reconciler.report.metrics import render_metrics
from tests.report import healths
from tests.support.chart import (
    CHART,
    NAMESPACE,
    RELEASE,
    ROOT,
    Object,
    example_values,
    render,
    render_texts,
    with_values,
)

pytestmark = pytest.mark.e2e

EXAMPLES = example_values()
HELM = ROOT / "build" / "helm3" / "node_modules" / ".bin" / "helm"
CHECKOV = ROOT / "build" / "checkov" / "bin" / "checkov"
RULES = Path(__file__).parent / "rules"

# What the scanner finds and we leave so, each with the reason.
SKIPPED = {
    "CKV_K8S_11": "no limit of CPU: a throttled leader loses its lease",
    "CKV_K8S_15": "an image that is named by its digest need not be pulled again",
    "CKV_K8S_43": "an image may be named by its digest; an example need not",
    "CKV_K8S_35": "secrets of sinks are told as variables, the one way that the product reads them",
    "CKV_K8S_8": "git-sync has no probe: what was fetched last goes on being held to",
    "CKV_K8S_9": "git-sync has no probe: what was fetched last goes on being held to",
}


def helm(*words: str, values: Object | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(HELM), *words, *(["--values", "-"] if values is not None else [])]
    given = yaml.safe_dump(values) if values is not None else ""
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)


def template(values: Object) -> subprocess.CompletedProcess[str]:
    where = ("--namespace", NAMESPACE, "--kube-version", "1.32.0")
    return helm("template", RELEASE, str(CHART), *where, values=values)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_oldest_engine_and_the_newest_render_the_same(name: str) -> None:
    done = template(EXAMPLES[name])
    assert done.returncode == 0, done.stderr
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    assert sorted(objects, key=lambda each: (each["kind"], each["metadata"]["name"])) == render(EXAMPLES[name])


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_oldest_engine_finds_nothing_to_complain_of(name: str) -> None:
    done = helm("lint", "--strict", str(CHART), values=EXAMPLES[name])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 chart(s) failed" in done.stdout


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"replica": 2}, "Additional property replica is not allowed"),
        ({"replicas": "two"}, "replicas: Invalid type. Expected: integer, given: string"),
        ({"desiredState": {"source": "s3"}}, "desiredState.source must be one of the following"),
        ({"desiredState": {"documents": {"a.txt": "x"}}}, "a.txt"),
        ({"image": {"repository": ""}}, "image.repository is empty: name the repository"),
    ],
)
def test_the_oldest_engine_refuses_what_the_newest_refuses(more: Object, sentence: str) -> None:
    done = template(with_values(EXAMPLES["documents"], more))
    assert done.returncode != 0
    assert sentence in done.stderr


def test_a_cluster_that_is_too_old_is_refused() -> None:
    done = helm("template", RELEASE, str(CHART), "--kube-version", "1.28.9", values=EXAMPLES["documents"])
    assert done.returncode != 0
    assert "requires kubeVersion: >=1.29.0-0" in done.stderr


def test_the_chart_can_be_packed(tmp_path: Path) -> None:
    done = helm("package", str(CHART), "--destination", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (packed,) = tmp_path.iterdir()
    shutil.unpack_archive(packed, tmp_path / "out", "gztar")
    names = {path.relative_to(tmp_path / "out" / "reconciler").as_posix() for path in (tmp_path / "out").rglob("*")}
    assert {"values.schema.json", "files/rules.yaml", "files/dashboard.json", "templates/NOTES.txt"} <= names
    assert not [name for name in names if name.startswith("ci")]


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *words], capture_output=True, text=True, check=False, timeout=120)


def test_prometheus_takes_the_rules() -> None:
    done = promtool("check", "rules", str(CHART / "files" / "rules.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_rules_that_the_chart_renders(tmp_path: Path) -> None:
    """The operator hands groups to Prometheus as they are."""
    for name, values in EXAMPLES.items():
        for each in render(values):
            if each["kind"] == "PrometheusRule":
                file = tmp_path / f"{name}.yaml"
                file.write_text(yaml.safe_dump(each["spec"]))
                done = promtool("check", "rules", str(file))
                assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", sorted(RULES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_rules_fire_when_they_should_and_only_then(case: Path) -> None:
    done = promtool("test", "rules", str(case))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_query_of_the_dashboard_gives_something_where_something_is_wrong(tmp_path: Path) -> None:
    """Prometheus itself works it out, on what a daemon in trouble tells; counters go on counting."""
    health = healths.bad()
    written = replace(health.tallies, actions={("prod", "create", "done"): 4})
    told = render_metrics(replace(health, tallies=written), "text/plain").body.decode()
    lines = [line.rpartition(" ") for line in told.splitlines() if line.startswith("reconciler_")]
    series = []
    for name, _, value in lines:
        bare, _, labels = name.partition("{")
        grows = bare.endswith(("_total", "_bucket", "_count", "_sum"))
        of = ",".join(['namespace="ai",job="prod",instance="10.0.0.1:8080"', *([labels.rstrip("}")] if labels else [])])
        series.append({"series": f"{bare}{{{of}}}", "values": f"{float(value):g}+{'1' if grows else '0'}x60"})
    panels = json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
    values = {"namespace": "ai", "job": "prod", "fleet": ".*", "__rate_interval": "5m"}
    queries = [Template(target["expr"]).substitute(values) for panel in panels for target in panel["targets"]]
    one = [{"labels": "{}", "value": 1}]
    cases = [{"expr": f"count({each}) > bool 0", "eval_time": "30m", "exp_samples": one} for each in queries]
    test = {"input_series": series, "interval": "1m", "promql_expr_test": cases}
    file = tmp_path / "dashboard.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}))
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_is_shown_to_fire() -> None:
    groups = yaml.safe_load((CHART / "files" / "rules.yaml").read_text())["groups"]
    told = {(rule["alert"], rule["labels"].get("because", "")) for group in groups for rule in group["rules"]}
    text = "\n".join(path.read_text() for path in RULES.glob("*.yaml"))
    cases = [test for path in RULES.glob("*.yaml") for test in yaml.safe_load(path.read_text())["tests"]]
    fired = {
        (each["alertname"], alert["exp_labels"].get("because", ""))
        for test in cases
        for each in test["alert_rule_test"]
        for alert in each.get("exp_alerts", [])
    }
    assert text
    assert fired == told


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_policy_scan_finds_nothing_but_what_has_a_reason(name: str, tmp_path: Path) -> None:
    """On the rendered objects: on charts it hides what it could not render."""
    file = tmp_path / "rendered.yaml"
    file.write_text("\n---\n".join(text for text in render_texts(EXAMPLES[name]).values() if text.strip()))
    words = ("--framework", "kubernetes", "--skip-download", "--output", "json", "--compact", "--quiet")
    done = subprocess.run(
        [str(CHECKOV), "-f", str(file), *words], capture_output=True, text=True, check=False, timeout=240
    )
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 50
    found = {(each["check_id"], each["check_name"], each["resource"]) for each in report["results"]["failed_checks"]}
    assert {each for each in found if each[0] not in SKIPPED} == set()
