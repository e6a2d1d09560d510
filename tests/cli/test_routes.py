"""Sinks in the config file: what is taken, and every mistake with its place and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.alert import Alert, Level, Route, Shape, SinkKind
from reconciler.routes import check_variables
from reconciler.settings import Settings, load_settings, tell_settings

ALERT = Alert(key="k", name="ReconcilerDrift", level=Level.WARNING, labels={"tier": "prod"}, summary="s", began=0.0)


def load(tmp_path: Path, text: str) -> Settings:
    settings, findings = load_settings({}, {}, str(written(tmp_path, text)))
    assert settings is not None, [str(each) for each in findings]
    return settings


def refused(tmp_path: Path, text: str) -> list[str]:
    path = written(tmp_path, text)
    settings, findings = load_settings({}, {}, str(path))
    assert settings is None
    return [str(each).replace(str(path), "f") for each in findings]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "reconciler.yaml"
    path.write_text(text, encoding="utf-8")
    return path


FULL = """\
alertStorm: 20
fightRounds: 5
journalMap: reconciler-journal
alerts:
  - sink: alertmanager
    urls: [http://am-0:9093, "https://am-1:9093/prefix"]
    tokenVariable: AM_TOKEN
  - sink: webhook
    name: on-call
    shape: slack
    urlVariable: SLACK_URL
    match: {level: critical, labels: {tier: prod}}
  - sink: webhook
    url: https://example.com/hook?to=me
    secretVariable: HOOK_SECRET
  - sink: events
runbookUrl: https://wiki.example.com/reconciler
"""


def test_sinks_are_read_with_all_they_say(tmp_path: Path) -> None:
    settings = load(tmp_path, FULL)
    assert settings.alerts == (
        Route(
            name="alertmanager-1",
            sink=SinkKind.ALERTMANAGER,
            urls=("http://am-0:9093", "https://am-1:9093/prefix"),
            token_variable="AM_TOKEN",
        ),
        Route(
            name="on-call",
            sink=SinkKind.WEBHOOK,
            shape=Shape.SLACK,
            url_variable="SLACK_URL",
            level=Level.CRITICAL,
            labels={"tier": "prod"},
        ),
        Route(
            name="webhook-3",
            sink=SinkKind.WEBHOOK,
            urls=("https://example.com/hook?to=me",),
            secret_variable="HOOK_SECRET",
        ),
        Route(name="events-4", sink=SinkKind.EVENTS),
    )
    assert (settings.alert_storm, settings.fight_rounds) == (20, 5)
    assert settings.runbook_url == "https://wiki.example.com/reconciler"
    assert settings.journal_map == "reconciler-journal"
    shown = {name: (value, place) for name, value, place in tell_settings(settings)}
    assert shown["alerts"][0] == "alertmanager-1, on-call, webhook-3, events-4"
    assert shown["alerts"][1].endswith("reconciler.yaml:5:3")


def test_without_a_word_about_it_nobody_is_told(tmp_path: Path) -> None:
    settings = load(tmp_path, "interval: 30s\n")
    assert settings.alerts == ()
    assert (settings.alert_storm, settings.fight_rounds, settings.journal_map) == (10, 3, "")


URL_HINT = "a URL starts with http:// or https:// and holds no user or password"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "alerts: none\n",
            "f:1:9: error: alerts is not a list (write one entry for each sink, such as `- sink: webhook`)",
        ),
        ("alerts: [x]\n", "f:1:10: error: sink 1 of alerts is not a mapping (write `key: value`)"),
        (
            "alerts: [{url: 'http://a'}]\n",
            "f:1:10: error: sink 1 of alerts does not say what it is (sink is one of alertmanager, webhook, events)",
        ),
        (
            "alerts: [{sink: pager}]\n",
            "f:1:17: error: sink is 'pager' (sink is one of alertmanager, webhook, events)",
        ),
        (
            "alerts: [{sink: [a]}]\n",
            "f:1:17: error: sink is not one value (sink is one of alertmanager, webhook, events)",
        ),
        (
            "alerts: [{sink: events, lable: x}]\n",
            "f:1:32: error: a sink events has no lable (it takes sink, name, match)",
        ),
        (
            "alerts: [{sink: webhook, url: 'http://a', shap: x}]\n",
            "f:1:49: error: a sink webhook has no shap (did you mean shape?)",
        ),
        (
            "alerts: [{sink: webhook}]\n",
            "f:1:10: error: this webhook has no URL (write url, or urlVariable where the URL is a secret)",
        ),
        ("alerts: [{sink: alertmanager}]\n", "f:1:10: error: this alertmanager has no URL (write urls)"),
        (
            "alerts: [{sink: webhook, url: 'http://a', urlVariable: B}]\n",
            "f:1:56: error: url and urlVariable are both set (leave all but one out)",
        ),
        ("alerts: [{sink: webhook, url: 'ftp://a'}]\n", f"f:1:31: error: this is not a URL ({URL_HINT})"),
        ("alerts: [{sink: webhook, url: 'http://u:p@a'}]\n", f"f:1:31: error: this is not a URL ({URL_HINT})"),
        ("alerts: [{sink: webhook, url: 'http://a:x'}]\n", f"f:1:31: error: this is not a URL ({URL_HINT})"),
        ("alerts: [{sink: webhook, url: [a]}]\n", f"f:1:31: error: this is not a URL ({URL_HINT})"),
        (
            "alerts: [{sink: alertmanager, urls: []}]\n",
            "f:1:37: error: urls is not a list of URLs (write one or more of them)",
        ),
        (
            "alerts: [{sink: webhook, url: 'http://a', secretVariable: 'se cret'}]\n",
            "f:1:59: error: secretVariable is not the name of an environment variable (never write the secret here)",
        ),
        (
            "alerts: [{sink: webhook, url: 'http://a', shape: discord}]\n",
            "f:1:50: error: shape is 'discord' (shape is one of cloudevents, slack, teams)",
        ),
        (
            "alerts: [{sink: events, match: {level: panic}}]\n",
            "f:1:40: error: level is 'panic' (level is one of critical, warning, info)",
        ),
        (
            "alerts: [{sink: events, match: {severity: x}}]\n",
            "f:1:43: error: match has no severity (it takes level and labels)",
        ),
        ("alerts: [{sink: events, match: all}]\n", "f:1:32: error: match is not a mapping (write `key: value`)"),
        (
            "alerts: [{sink: events, match: {labels: {a: [b]}}}]\n",
            "f:1:45: error: the label a is not one value (write one word)",
        ),
        ("alerts: [{sink: events, name: ''}]\n", "f:1:31: error: name is not a name (write up to 63 characters)"),
        (
            "alerts: [{sink: events, name: a}, {sink: events, name: a}]\n",
            "f:1:35: error: two sinks are named a (give each a name of its own)",
        ),
        ("alerts: [{sink: events, sink: events}]\n", "f:1:25: error: sink is written twice (leave one of them out)"),
        ("alertStorm: 0\n", "f:1:13: error: alertStorm is '0', from file f:1:13 (a whole number from 1 to 1000)"),
        (
            "runbookUrl: w\n",
            "f:1:13: error: runbookUrl is 'w', from file f:1:13 (write an https:// URL without ? and #)",
        ),
        ("fightRounds: x\n", "f:1:14: error: fightRounds is 'x', from file f:1:14 (a whole number from 1 to 1000)"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(tmp_path: Path, text: str, message: str) -> None:
    assert refused(tmp_path, text) == [message]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = "alerts:\n  - sink: webhook\n    shape: x\n    match: {level: y}\n  - sink: z\ninterval: never\n"
    assert len(refused(tmp_path, text)) == 5


def test_no_secret_that_was_written_in_the_wrong_place_is_repeated(tmp_path: Path) -> None:
    text = "alerts: [{sink: webhook, url: 'hooks/T0/s3cr3t', secretVariable: 'my s3cr3t'}]\n"
    assert "s3cr3t" not in "".join(refused(tmp_path, text))


def test_a_secret_that_nobody_set_is_told_by_whoever_needs_it(tmp_path: Path) -> None:
    routes = load(tmp_path, FULL).alerts
    (missing,) = check_variables(routes, {"AM_TOKEN": "x", "HOOK_SECRET": "y"})
    assert str(missing).partition("reconciler.yaml:")[2] == (
        "8:5: error: the environment variable SLACK_URL, named by urlVariable of the sink on-call, is not set"
        " (set it, or leave the sink out)"
    )
    assert check_variables(routes, {"AM_TOKEN": "x", "HOOK_SECRET": "y", "SLACK_URL": "z"}) == ()


@pytest.mark.parametrize(
    ("level", "labels", "takes"),
    [
        (Level.INFO, {}, True),
        (Level.WARNING, {"tier": "prod"}, True),
        (Level.WARNING, {"alertname": "ReconcilerDrift"}, True),
        (Level.CRITICAL, {}, False),
        (Level.INFO, {"tier": "dev"}, False),
        (Level.INFO, {"team": "x"}, False),
    ],
)
def test_a_route_takes_what_is_as_urgent_and_labelled(level: Level, labels: dict[str, str], takes: bool) -> None:
    route = Route(name="r", sink=SinkKind.WEBHOOK, level=level, labels=labels)
    assert route.takes(ALERT) is takes
