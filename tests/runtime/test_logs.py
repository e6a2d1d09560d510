"""The log: readable by machines and people, silent about secrets."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from reconciler.runtime.logs import HIDDEN, configure_logs

JWT = "eyJhbGciOiJub25lIn0.eyJhcHBpZCI6ImMifQ.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in ("azure", "msal", "aiohttp", "urllib3", "apscheduler")}
    handlers = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def logged(**fields: object) -> dict[str, object]:
    stream = io.StringIO()
    configure_logs("json", stream=stream)
    structlog.get_logger().info("step.finished", **fields)
    line: dict[str, object] = json.loads(stream.getvalue())
    return line


def test_an_event_is_one_line_of_json_with_its_fields() -> None:
    line = logged(id="/subscriptions/s", seconds=1.5, ok=True, nothing=None)
    assert {name: line[name] for name in ("event", "level", "id", "seconds", "ok", "nothing")} == {
        "event": "step.finished",
        "level": "info",
        "id": "/subscriptions/s",
        "seconds": 1.5,
        "ok": True,
        "nothing": None,
    }
    assert str(line["at"]).endswith("Z")


def test_what_is_bound_to_the_cycle_is_on_every_line() -> None:
    structlog.contextvars.bind_contextvars(cycle="c1")
    assert logged()["cycle"] == "c1"


@pytest.mark.parametrize(
    "name",
    ["Authorization", "client_secret", "clientSecret", "password", "token", "access_token", "key1", "api_key", "apiKey",
     "connectionString", "Cookie", "client_assertion", "accessKey"],
)  # fmt: skip
def test_a_field_named_like_a_secret_is_hidden_at_any_depth(name: str) -> None:
    assert logged(**{name: "s3cr3t"})[name] == HIDDEN
    assert "s3cr3t" not in json.dumps(logged(body={"a": [{name: "s3cr3t"}]}))


@pytest.mark.parametrize("name", ["secret_variable", "token_file", "keys_seen", "tokensPerMinute", "id", "key_vault"])
def test_a_field_that_only_sounds_like_one_is_shown(name: str) -> None:
    assert logged(**{name: "shown"})[name] == "shown"


@pytest.mark.parametrize(
    "text",
    [
        f"failed with Bearer {JWT}",
        f"the token {JWT} was refused",
        "POST client_secret=s3cr3ts3cr3ts3cr3t&scope=x",
        "https://h/x?api-version=1&s=abcdefghijklmnopqrstuvwxyz0123456789",
        "password: s3cr3ts3cr3ts3cr3t",
    ],
)
def test_a_secret_inside_a_text_is_hidden_by_its_look(text: str) -> None:
    shown = json.dumps(logged(message=text))
    assert HIDDEN in shown
    for secret in (JWT, "s3cr3ts3cr3ts3cr3t", "abcdefghijklmnopqrstuvwxyz0123456789"):
        assert secret not in shown


def test_a_traceback_is_cleaned_too() -> None:
    stream = io.StringIO()
    configure_logs("json", stream=stream)
    try:
        int(f"Bearer {JWT}")
    except ValueError:
        structlog.get_logger().exception("cycle.failed")
    assert "ValueError" in stream.getvalue()
    assert JWT not in stream.getvalue()


def test_a_level_is_a_threshold() -> None:
    stream = io.StringIO()
    configure_logs("json", level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_a_console_gets_words_without_colours_where_it_is_none() -> None:
    stream = io.StringIO()
    configure_logs("console", stream=stream)
    structlog.get_logger().info("step.finished", id="x")
    assert "step.finished" in stream.getvalue()
    assert "id=x" in stream.getvalue()
    assert "\x1b[" not in stream.getvalue()


def shown(**fields: object) -> str:
    stream = io.StringIO()
    configure_logs("console", stream=stream)
    structlog.get_logger().info("step.finished", **fields)
    return stream.getvalue()


def test_a_line_for_people_begins_with_its_time_and_tells_the_rest_in_the_order_that_it_was_said() -> None:
    line = shown(step="Account/a#create", result="done", cycle=3)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \[info +\] step\.finished +step=Account/a#create result=done cycle=3\n",
        line,
    )


def test_a_line_for_people_leaves_out_what_tells_them_nothing() -> None:
    line = shown(step="Account/a#create", id="/subscriptions/s", fault=None, because="", under_way=[], requests=0)
    assert line.endswith(" step=Account/a#create requests=0\n")
    assert shown(id="/subscriptions/s").endswith(" id=/subscriptions/s\n")
    assert shown(plan=f"sha256:{'ab' * 32}").endswith(" plan=sha256:abababababab\n")


def test_the_azure_packages_say_nothing_by_themselves() -> None:
    configure_logs("json", stream=io.StringIO())
    assert not logging.getLogger("azure.identity").isEnabledFor(logging.ERROR)


def test_what_other_packages_warn_of_is_an_event_like_any_other() -> None:
    stream = io.StringIO()
    logging.root.handlers[:] = []  # pytest's own listen too
    for _ in range(2):  # a later call replaces an earlier one
        configure_logs("json", stream=stream)
    try:
        int("client_secret=hunter2hunter2")
    except ValueError:
        logging.getLogger("asyncio").exception("task %s failed with %s", 3, f"Bearer {JWT}")
    logging.getLogger("asyncio").info("nobody needs this")
    logging.getLogger("asyncio").warning("%d is no number", "x")
    line, other = [json.loads(each) for each in stream.getvalue().splitlines()]
    assert (line["event"], line["level"], line["package"]) == ("package.warned", "error", "asyncio")
    assert line["message"] == f"task 3 failed with Bearer {HIDDEN}"
    assert "ValueError" in line["exception"]
    assert "hunter2" not in stream.getvalue()
    assert other["message"] == "%d is no number"


def test_a_level_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(KeyError):
        configure_logs("json", level="chatty")


HOSTILE = "aoai\x1b]0;owned\x07\u202e\x9b2J"


@pytest.mark.parametrize("name", [HOSTILE, f"of {HOSTILE}"])
def test_no_character_from_elsewhere_steers_a_terminal(name: str) -> None:
    stream = io.StringIO()
    configure_logs("console", stream=stream)
    try:
        int(name)
    except ValueError as error:
        error.add_note(name)
        structlog.get_logger().exception(f"step.finished {name}", id=name, deep={name: [name]})
    shown = stream.getvalue()
    assert [each for each in shown if not each.isprintable() and each != "\n"] == []
    assert shown.count("\\x1b]0;owned\\x07\\u202e\\x9b2J") == 6
    assert "Traceback" in shown.splitlines()[1]


def test_json_carries_every_character_as_it_came() -> None:
    assert logged(id=HOSTILE)["id"] == HOSTILE
