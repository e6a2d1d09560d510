"""Settings: who wins, where a value came from, and everything that is wrong at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.model.finding import Finding
from reconciler.settings import (
    OFF,
    LogLevel,
    Output,
    Settings,
    load_settings,
    read_duration,
    read_place,
    tell_settings,
)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _settings(
    flags: dict[str, str] | None = None, environment: dict[str, str] | None = None, config: str | None = None
) -> Settings:
    settings, findings = load_settings(flags or {}, environment or {}, config)
    assert findings == ()
    assert settings is not None
    return settings


def _findings(
    flags: dict[str, str] | None = None, environment: dict[str, str] | None = None, config: str | None = None
) -> tuple[Finding, ...]:
    settings, findings = load_settings(flags or {}, environment or {}, config)
    assert settings is None
    return findings


def test_a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() -> None:
    Path("reconciler.yaml").write_text("output: markdown\nlogLevel: info\ntimeout: 10m\n")
    environment = {"RECONCILER_OUTPUT": "json", "RECONCILER_LOG_LEVEL": "debug"}
    settings = _settings({"output": "text"}, environment)
    assert (settings.output, settings.log_level, settings.timeout) == (Output.TEXT, LogLevel.DEBUG, 600.0)
    places = {name: place for name, _, place in tell_settings(settings)}
    assert places["output"] == "flag --output"
    assert places["logLevel"] == "environment RECONCILER_LOG_LEVEL"
    assert places["timeout"] == "file reconciler.yaml:3:10"
    assert places["parallelism"] == "default"


def test_everything_that_is_wrong_is_told_at_once_with_its_place() -> None:
    Path("reconciler.yaml").write_text("timeuot: 1h\nparallelism: many\nparallelism: 3\noutput: {a: b}\n")
    environment = {"RECONCILER_CLOCK_RATE": "fast", "RECONCILER_OUTPT": "json", "HOME": "/"}
    told = [str(finding) for finding in _findings({"color": "blue"}, environment)]
    assert told == [
        "reconciler.yaml:1:1: error: unknown setting timeuot (did you mean timeout?)",
        "reconciler.yaml:3:1: error: parallelism is written twice",
        "reconciler.yaml:4:9: error: output is not one value (write one value, or for sources a list of paths)",
        "error: the environment variable RECONCILER_OUTPT is not a setting (did you mean RECONCILER_OUTPUT?)",
        (
            "reconciler.yaml:2:14: error: parallelism is 'many', from file reconciler.yaml:2:14 "
            "(parallelism is a whole number from 1 to 1000)"
        ),
        "error: color is 'blue', from flag --color (one of auto, always, never)",
        "error: clockRate is 'fast', from environment RECONCILER_CLOCK_RATE (a pace is a number from 0.1 to 1000)",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "expected the node content"),
        ("[a]", "a config file is a mapping of settings"),
        ("\x00", "unacceptable character"),
    ],
)
def test_a_config_file_that_is_no_yaml_is_told_with_its_place(text: str, message: str) -> None:
    Path("c.yaml").write_text(text)
    (finding,) = _findings(config="c.yaml")
    assert message in finding.message
    assert finding.origin is not None
    assert finding.origin.file == "c.yaml"


def test_a_config_file_that_was_named_must_be_there() -> None:
    (finding,) = _findings(config="missing.yaml")
    assert finding.message == "config file missing.yaml: No such file or directory"
    (finding,) = _findings(environment={"RECONCILER_CONFIG": "other.yaml"})
    assert "other.yaml" in finding.message


def test_a_config_file_that_is_not_text_is_refused() -> None:
    Path("c.yaml").write_bytes(b"\xff\xfe\x00")
    (finding,) = _findings(config="c.yaml")
    assert finding.message == "config file c.yaml: it is not UTF-8"


def test_an_empty_config_file_says_nothing() -> None:
    Path("reconciler.yaml").write_text("# nothing\n")
    assert _settings().output is Output.TEXT


def test_sources_may_be_a_list_in_the_file() -> None:
    Path("reconciler.yaml").write_text("sources: [a, b]\n")
    assert _settings().sources == ("a", "b")


def test_a_cloud_is_named_by_both_its_endpoints() -> None:
    (finding,) = _findings({"endpoint": "https://arm.example"})
    assert finding.message == "endpoint is set alone"
    settings = _settings({"endpoint": "https://arm.example/", "authority": "https://login.example"})
    assert settings.endpoint == "https://arm.example"


@pytest.mark.parametrize("url", ["http://arm.example", "arm.example", "https://", "https://a b"])
def test_an_endpoint_must_be_https(url: str) -> None:
    findings = _findings({"endpoint": url, "authority": "https://login.example"})
    assert [finding.hint for finding in findings] == ["write an https:// URL without ? and #"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1.5", 1.5), ("90s", 90.0), ("10m", 600.0), ("1h30m", 5400.0), ("2h", 7200.0)]
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1d", "10 m", "h"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is"):
        read_duration(text)


def test_what_the_daemon_is_told_has_defaults() -> None:
    settings = _settings()
    assert (settings.interval, settings.jitter, settings.grace, settings.model_age) == (60.0, 6.0, 30.0, 600.0)
    assert (settings.cron, settings.time_zone, settings.observe_only, settings.pause_file) == ((), "UTC", False, "")


def test_cron_may_be_a_list_in_the_file_or_be_joined_in_the_environment() -> None:
    Path("reconciler.yaml").write_text("cron: ['0 6 * * *', '30 12 * * mon-fri']\ntimeZone: Europe/Stockholm\n")
    assert _settings().cron == ("0 6 * * *", "30 12 * * mon-fri")
    assert _settings(environment={"RECONCILER_CRON": "0 6 * * *:0 7 * * *"}).cron == ("0 6 * * *", "0 7 * * *")


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("interval", "0.5", "an interval is at least 1s"),
        ("interval", "often", "a duration is a number of seconds, or like 90s, 10m, 1h30m"),
        ("observeOnly", "yes", "true or false"),
        ("timeZone", "Europe/Stokholm", "did you mean Europe/Stockholm?"),
        ("listen", "8080", "an address is host:port, such as 127.0.0.1:8080 or [::]:8080, or off"),
        ("listen", "localhost:70000", "an address is host:port, such as 127.0.0.1:8080 or [::]:8080, or off"),
        (
            "tokenVariable",
            "RECONCILER_TOKEN",
            "the name of an environment variable, which does not start with RECONCILER_",
        ),
        ("tokenVariable", "a b", "the name of an environment variable, which does not start with RECONCILER_"),
        ("tracing", "yes", "true or false"),
        ("cron", "0 6 * *", "write minute, hour, day, month and weekday, such as `0 22 * * mon-fri`"),
    ],
)
def test_what_the_daemon_cannot_be_told_is_refused(name: str, text: str, hint: str) -> None:
    (finding,) = _findings({name: text})
    assert (finding.message, finding.hint) == (f"{name} is {text!r}, from flag {_flag(name)}", hint)


def _flag(name: str) -> str:
    return {"observeOnly": "--observe-only", "timeZone": "--time-zone", "tokenVariable": "--token-variable"}.get(
        name, f"--{name}"
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        ("host.example:65535", ("host.example", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, place: tuple[str, int]) -> None:
    assert _settings({"listen": text}).listen == text
    assert read_place(text) == place


def test_the_daemon_is_seen_on_this_machine_alone_and_nobody_may_ask_it_for_a_pass() -> None:
    settings = _settings()
    assert (settings.listen, settings.token_variable, settings.tracing) == ("127.0.0.1:8080", "", False)
    assert _settings({"listen": "off"}).listen == OFF
