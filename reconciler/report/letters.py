"""Report: an alert as each sink wants it: for Alertmanager, as a CloudEvent, for Slack and for Teams. Pure.

Whatever a document or Azure says is text and nothing else, everywhere: no mention, no markup, no link. Everything is
bounded, and nothing in here has ever seen a secret.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from reconciler.model.alert import OVER, Alert, Letter, Level, Shape, Turn
from reconciler.model.moment import show_moment
from reconciler.model.text import plain
from reconciler.model.wire import Json, JsonObject, canonical_bytes, thaw

SOURCE: Final = "/reconciler"
RUNBOOK: Final = "docs/runbook.md"
_LABEL, _SUMMARY, _FOOT, _DESCRIPTION = 200, 300, 600, 3000  # characters
_NOTICED = 60.0  # seconds: Alertmanager tells nobody of what is over before its group_wait, usually 30 s, has passed
_HEADER, _SECTION = 150, 2900  # what Slack takes
_LINES = 60  # of a description, each a block with a frame of its own: Teams takes 28 KB, at times less
_MARKS: Final[Mapping[Level, str]] = {Level.CRITICAL: "Attention", Level.WARNING: "Warning", Level.INFO: "Accent"}


def shape_letter(letter: Letter, shape: Shape, runbook: str = "") -> bytes:
    """The body of the request that carries the letter. `runbook` is where people read what to do; without it they are
    told which of the documents that come with the product says so."""
    return canonical_bytes(_SHAPES[shape](letter, runbook))


def name_media(shape: Shape) -> str:
    return "application/cloudevents+json" if shape is Shape.CLOUDEVENTS else "application/json"


def point_to_runbook(name: str, runbook: str) -> str:
    """Where it says what to do about alerts of this name."""
    return f"{runbook or RUNBOOK}#{name.lower()}"


def shape_alerts(alerts: Iterable[Alert], now: float, lifetime: float, runbook: str = "") -> list[JsonObject]:
    """What Alertmanager's v2 API takes. An open alert is one for `lifetime` seconds, unless it is told again, and one
    that is over until people will have heard of it."""
    return [
        {
            "labels": label_alert(alert),
            "annotations": {
                "summary": _cut(alert.summary, _SUMMARY),
                "description": _cut(alert.description, _DESCRIPTION),
                "actor": _cut(", ".join(alert.actors), _SUMMARY) or "unknown yet",
                **({"runbook_url": point_to_runbook(alert.name, runbook)} if runbook else {}),
            },
            "startsAt": show_moment(alert.began),
            "endsAt": show_moment(now + lifetime if alert.ended is None else max(alert.ended, alert.began + _NOTICED)),
        }
        for alert in alerts
    ]


def label_alert(alert: Alert) -> dict[str, Json]:
    """The labels by which Alertmanager tells alerts apart. Names are of the kind that it has always taken."""
    labels: dict[str, Json] = {}
    for name, value in sorted(alert.labels.items()):
        folded = re.sub(r"[^a-zA-Z0-9_]", "_", name) or "_"
        folded = f"_{folded}" if folded[0].isdigit() else folded
        if value:
            labels.setdefault(folded, _cut(value, _LABEL))
    labels |= {"alertname": alert.name, "severity": alert.level.value, "alert": _cut(alert.key, _LABEL)}
    return labels


def _shape_event(letter: Letter, runbook: str) -> JsonObject:
    alert = letter.alert
    return {
        "specversion": "1.0",
        "id": letter.id,
        "source": SOURCE,
        "type": f"reconciler.alert.{letter.turn}",
        "subject": plain(alert.key),
        "time": show_moment(letter.written),
        "datacontenttype": "application/json",
        "data": {
            "key": plain(alert.key),
            "name": alert.name,
            "level": alert.level.value,
            "open": alert.open,
            "labels": {plain(name): _cut(value, _LABEL) for name, value in alert.labels.items()},
            "summary": _cut(alert.summary, _SUMMARY),
            "description": _cut(alert.description, _DESCRIPTION),
            "actors": [plain(each) for each in alert.actors],
            "began": show_moment(alert.began),
            "ended": show_moment(alert.ended) if alert.ended is not None else None,
            "revision": alert.revision,
            "members": [*alert.members],
            "details": thaw(alert.details),
            "runbook": point_to_runbook(alert.name, runbook),
        },
    }


def _shape_slack(letter: Letter, runbook: str) -> JsonObject:
    """Blocks of plain text, which Slack takes for nothing else; the line of a notification is escaped as it asks."""
    title = _title(letter, _HEADER)
    told = letter.alert.description or letter.alert.name
    whole = f"{letter.alert.summary}\n{told}" if title.endswith("…") else told
    return {
        "text": title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
        "mrkdwn": False,
        "blocks": [
            {"type": "header", "text": _slack_text(title)},
            {"type": "section", "text": _slack_text(_cut(whole, _SECTION))},
            {"type": "context", "elements": [_slack_text(_cut(_foot(letter.alert, runbook), _SECTION))]},
        ],
    }


def _slack_text(text: str) -> JsonObject:
    return {"type": "plain_text", "text": text, "emoji": False}


def _shape_teams(letter: Letter, runbook: str) -> JsonObject:
    """An adaptive card out of runs of text, in which Teams reads no markdown."""
    alert = letter.alert
    color = _MARKS[alert.level] if alert.open else "Good"
    lines = _cut(alert.description, _DESCRIPTION).split("\n")[:_LINES]
    body: list[Json] = [
        _teams_line(_title(letter, _SUMMARY), weight="Bolder", color=color, size="Medium"),
        *(_teams_line(line) for line in lines if line),
        _teams_line(_cut(_foot(alert, runbook), _FOOT), isSubtle=True, size="Small"),
    ]
    card: JsonObject = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [thaw(content)]}


def _teams_line(text: str, **look: Json) -> JsonObject:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **look}]}


def _title(letter: Letter, most: int) -> str:
    """`[critical] Account/one: …`, `[critical, more] …` or `[over] …`: whether to get up, before anything else."""
    alert, more = letter.alert, ", more" if letter.turn is Turn.AMENDED else ""
    return _cut(f"[{alert.level if alert.open else 'over'}{more}] {alert.summary.removeprefix(OVER)}", most)


def _foot(alert: Alert, runbook: str) -> str:
    """What to do comes before the labels, which may be long."""
    labels = "".join(f"; {name}: {value}" for name, value in sorted(alert.labels.items()))
    return f"What to do: {point_to_runbook(alert.name, runbook)}\n{alert.name}{labels}"


def _cut(text: str, most: int) -> str:
    """`text` as it can be shown, on its lines, and no longer than `most`."""
    shown = "\n".join(plain(line) for line in text.split("\n"))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


_SHAPES: Final[Mapping[Shape, Callable[[Letter, str], JsonObject]]] = {
    Shape.CLOUDEVENTS: _shape_event,
    Shape.SLACK: _shape_slack,
    Shape.TEAMS: _shape_teams,
}
