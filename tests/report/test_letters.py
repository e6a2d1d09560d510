"""An alert in each sink's words: complete, bounded, and with nothing in it that is more than text."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.alert import Alert, Letter, Level, Shape, Turn
from reconciler.report.letters import label_alert, name_media, shape_alerts, shape_letter

NOW = 1_760_000_000.0
HOSTILE = "<!channel> & *bold* [x](http://evil) <at>all</at> \x1b[31m\u202e\ud800"
ALERT = Alert(
    key="drift-1",
    name="ReconcilerDrift",
    level=Level.WARNING,
    labels={"fleet": "prod", "app.kubernetes.io/name": HOSTILE, "0day": "x", "empty": ""},
    summary=f"Account/one: {HOSTILE}",
    description=f"first\n{HOSTILE}",
    began=NOW,
    actors=("mallory@example.com",),
)


def shaped(shape: Shape, alert: Alert = ALERT, turn: Turn = Turn.OPENED) -> Any:
    letter = Letter(sink="hook", turn=turn, alert=alert, written=NOW)
    return json.loads(shape_letter(letter, shape))


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("shape", list(Shape))
def test_nothing_steers_a_terminal_or_hides(shape: Shape) -> None:
    for text in strings(shaped(shape)):
        assert all(line.isprintable() for line in text.split("\n")), text


def test_slack_is_given_plain_text_and_an_escaped_notification() -> None:
    message = shaped(Shape.SLACK)
    assert message["text"].startswith("[warning] Account/one: &lt;!channel&gt; &amp; *bold*")
    assert message["mrkdwn"] is False
    texts = [message["blocks"][0]["text"], message["blocks"][1]["text"], *message["blocks"][2]["elements"]]
    assert {each["type"] for each in texts} == {"plain_text"}
    assert all(each["emoji"] is False for each in texts)
    assert "ReconcilerDrift; " in message["blocks"][2]["elements"][0]["text"]


def test_slack_takes_no_more_than_it_takes() -> None:
    long = replace(ALERT, summary="s" * 5000, description="d" * 5000)
    header, section, _ = shaped(Shape.SLACK, long)["blocks"]
    assert len(header["text"]["text"]) == 150
    assert len(section["text"]["text"]) <= 3000


def test_teams_is_given_an_adaptive_card_of_runs_that_know_no_markdown() -> None:
    message = shaped(Shape.TEAMS)
    assert message["type"] == "message"
    (attachment,) = message["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    runs = [run for block in card["body"] for run in block["inlines"]]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for run in runs} == {"TextRun"}
    assert runs[0]["color"] == "Warning"
    assert len(json.dumps(message)) < 28_000


@pytest.mark.parametrize("lines", [1, 60, 3000])
def test_teams_takes_no_more_than_it_takes(lines: int) -> None:
    """28 KB are documented, and about 21 were seen to be the end: larger ones are refused whole."""
    told = "\n".join(f"- {number} {'ü' * (9000 // lines)}" for number in range(lines))
    long = replace(ALERT, summary="ü" * 4000, description=told, labels={"resource": "ü" * 9000})
    body = shape_letter(Letter(sink="hook", turn=Turn.OPENED, alert=long, written=NOW), Shape.TEAMS)
    assert len(body) < 21_000
    card = json.loads(body)["attachments"][0]["content"]
    texts = [run["text"] for block in card["body"] for run in block["inlines"]]
    assert texts[1].startswith("- 0 ü")
    assert texts[-1].startswith("What to do: ")


def test_what_is_over_is_green() -> None:
    over = replace(ALERT, ended=NOW + 60)
    card = shaped(Shape.TEAMS, over, Turn.RESOLVED)["attachments"][0]["content"]
    assert card["body"][0]["inlines"][0]["color"] == "Good"
    assert card["body"][0]["inlines"][0]["text"].startswith("[over] ")


def test_a_title_says_first_whether_to_get_up() -> None:
    over = replace(ALERT, summary="over: Account/one is open", ended=NOW + 60)
    titles = [shaped(Shape.SLACK, replace(ALERT, summary="Account/one is open"), turn) for turn in Turn][:2]
    titles += [shaped(Shape.SLACK, over, turn) for turn in (Turn.RESOLVED, Turn.AMENDED)]
    assert [each["text"] for each in titles] == [
        "[warning] Account/one is open",
        "[warning, more] Account/one is open",
        "[over] Account/one is open",
        "[over, more] Account/one is open",
    ]


def test_what_the_title_says_is_said_again_only_where_it_was_cut() -> None:
    short = replace(ALERT, summary="Account/one is open", description="why")
    assert shaped(Shape.SLACK, short)["blocks"][1]["text"]["text"] == "why"
    assert shaped(Shape.SLACK, replace(short, description=""))["blocks"][1]["text"]["text"] == "ReconcilerDrift"
    long = replace(short, summary="s" * 200)
    assert shaped(Shape.SLACK, long)["blocks"][1]["text"]["text"] == f"{'s' * 200}\nwhy"


def test_everybody_is_told_where_it_says_what_to_do() -> None:
    letter = Letter(sink="hook", turn=Turn.OPENED, alert=ALERT, written=NOW)
    for page, told in (("", "docs/runbook.md"), ("https://wiki.example.com/r", "https://wiki.example.com/r")):
        for shape in Shape:
            assert f"{told}#reconcilerdrift" in shape_letter(letter, shape, page).decode()
    (linked,) = shape_alerts([ALERT], NOW, 180.0, "https://wiki.example.com/r")
    assert linked["annotations"]["runbook_url"] == "https://wiki.example.com/r#reconcilerdrift"  # type: ignore[index,call-overload]
    (bare,) = shape_alerts([ALERT], NOW, 180.0)
    assert "runbook_url" not in bare["annotations"]  # type: ignore[operator]


def test_a_cloudevent_carries_all_of_it() -> None:
    event = shaped(Shape.CLOUDEVENTS, replace(ALERT, ended=NOW + 60, details={"id": "/x"}), Turn.RESOLVED)
    assert event["type"] == "reconciler.alert.resolved"
    assert event["time"] == "2025-10-09T08:53:20.000Z"
    data = event["data"]
    assert (data["open"], data["ended"]) == (False, "2025-10-09T08:54:20.000Z")
    assert data["actors"] == ["mallory@example.com"]
    assert data["details"] == {"id": "/x"}


def test_alertmanager_is_given_names_and_values_that_it_takes() -> None:
    labels = label_alert(ALERT)
    assert labels["app_kubernetes_io_name"]
    assert labels["_0day"] == "x"
    assert "empty" not in labels
    assert (labels["alertname"], labels["severity"], labels["alert"]) == ("ReconcilerDrift", "warning", "drift-1")
    long = replace(ALERT, labels={"resource": "x" * 1000}, description="d" * 9000)
    (item,) = shape_alerts([long], NOW, 180.0)
    assert len(str(item["labels"]["resource"])) == 200  # type: ignore[index,call-overload]
    assert len(str(item["annotations"]["description"])) == 3000  # type: ignore[index,call-overload]


def test_a_documents_labels_never_take_the_place_of_ours() -> None:
    labels = label_alert(replace(ALERT, labels={"alertname": "Watchdog", "severity": "none", "alert": "x"}))
    assert (labels["alertname"], labels["severity"], labels["alert"]) == ("ReconcilerDrift", "warning", "drift-1")


def test_who_it_was_is_unknown_until_it_is_known() -> None:
    known, unknown = shape_alerts([ALERT, replace(ALERT, actors=())], NOW, 180.0)
    assert known["annotations"]["actor"] == "mallory@example.com"  # type: ignore[index,call-overload]
    assert unknown["annotations"]["actor"] == "unknown yet"  # type: ignore[index,call-overload]


def test_alertmanager_keeps_for_a_while_what_was_over_in_a_moment() -> None:
    """It waits half a minute for others to join, and tells nobody of what is over by then."""
    (brief, long) = shape_alerts([replace(ALERT, ended=NOW + 4), replace(ALERT, ended=NOW + 400)], NOW + 4, 180.0)
    assert brief["endsAt"] == "2025-10-09T08:54:20.000Z"
    assert long["endsAt"] == "2025-10-09T09:00:00.000Z"


def test_each_shape_has_its_media_type() -> None:
    assert [name_media(shape) for shape in Shape] == [
        "application/cloudevents+json",
        "application/json",
        "application/json",
    ]
