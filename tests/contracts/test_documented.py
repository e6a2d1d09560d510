"""What docs/ lists is what there is, both ways: events of the log, metrics, alerts and triggers, settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from reconciler.cli.parser import _make_parser
from reconciler.model.alert import Turn
from reconciler.model.health import Leadership
from reconciler.report import conditions
from reconciler.report.metrics import render_metrics
from reconciler.settings import SETTINGS
from tests.report import healths
from tests.support.chart import ROOT

_EVENT = re.compile(r"[a-z]+\.[a-z]+")
# The only setting that is no text: a list of sinks.
_LISTS = {"alerts"}


def rows(document: str, heading: str) -> list[list[str]]:
    """The cells of the tables between this heading and the next."""
    text = (ROOT / "docs" / document).read_text()
    (section,) = re.findall(rf"^#+ {heading}\n(.*?)(?=^#|\Z)", text, re.DOTALL | re.MULTILINE)
    lines = [line for line in section.splitlines() if line.startswith("|") and not line.startswith("| ---")]
    assert lines, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def events() -> dict[str, str]:
    """Every event of the log by its name, and the file that writes it: what a file that has a logger calls by an
    argument of such a form, the first, or the second behind a level."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "reconciler").rglob("*.py")):
        text = path.read_text()
        if "structlog.get_logger" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            # `sys.modules.get("opentelemetry.trace")` asks and tells nothing.
            if isinstance(node, ast.Call) and node.args and not ast.unparse(node.func).endswith(".get"):
                found |= {name: path.name for each in node.args[:2] for name in _spell(each)}
    return found


def _spell(first: ast.expr) -> Iterator[str]:
    match first:
        case ast.Constant(value=str(text)) if _EVENT.fullmatch(text):
            yield text
        case ast.IfExp(body=one, orelse=other):
            yield from _spell(one)
            yield from _spell(other)
        case ast.JoinedStr() if ast.unparse(first) == "f'alert.{message.turn}'":
            yield from (f"alert.{turn}" for turn in Turn)


def test_every_event_of_the_log_is_in_the_table_and_nothing_else() -> None:
    told = [name for first, *_ in rows("daemon.md", "Log") for name in quoted(first)]
    assert len(told) == len(set(told))
    emitted = events()
    assert set(told) == set(emitted), {name: emitted.get(name, "nobody") for name in set(told) ^ set(emitted)}


def metrics() -> Mapping[str, set[str]]:
    """Every metric of a daemon that leads and has seen everything, with its labels."""
    lease = Leadership(name="prod", identity="here", holder="here", why="", term=1, renewed_at=healths.NOW)
    found: dict[str, set[str]] = {}
    for health in (healths.bad(), healths.quiet()):
        tallies = replace(health.tallies, actions={("prod", "create", "done"): 1})
        text = render_metrics(replace(health, leadership=lease, tallies=tallies), "text/plain").body.decode()
        for family in text_string_to_metric_families(text):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            if name.startswith("reconciler_"):
                labels = found.setdefault(name, set())
                labels |= {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def test_every_metric_is_in_the_table_with_its_labels_and_nothing_else() -> None:
    told: dict[str, set[str]] = {}
    labels: set[str] = set()
    for name, with_, _ in rows("daemon.md", "Metrics"):
        labels = labels if with_ == "the same" else set(quoted(with_))
        told[quoted(name)[0]] = labels
    assert told == metrics()


def test_every_alert_is_in_the_table_and_nothing_else() -> None:
    told = [name for first, *_ in rows("daemon.md", "Alerts") for name in quoted(first)]
    names = {
        each for each in vars(conditions).values() if isinstance(each, str) and re.fullmatch(r"Reconciler\w+", each)
    }
    assert len(told) == len(set(told))
    assert set(told) == names


def test_every_setting_is_in_a_table_by_its_three_names_and_with_its_default() -> None:
    """A default is told as it is, or where there is none, what holds instead."""
    told = {
        quoted(name)[0]: (flag, variable, default)
        for document in ("cli.md", "daemon.md")
        for flag, variable, name, default in rows(document, "Settings")
        if name
    }
    assert told.keys() - _LISTS == {each.name for each in SETTINGS}
    _, commands = _make_parser()
    flags = {flag for each in commands.values() for action in each._actions for flag in action.option_strings}
    for setting in SETTINGS:
        flag, variable, default = told[setting.name]
        assert quoted(variable)[0] == setting.variable
        own = "--" + re.sub(r"(?=[A-Z])", "-", setting.name).lower()
        assert (own in quoted(flag)) is (own in flags), setting.name
        assert set(quoted(flag)) <= flags | {"PATH …"}, setting.name
        if setting.default:
            assert setting.default in default, setting.name
        else:
            assert default, setting.name
