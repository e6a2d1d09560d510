"""Settings: what the tool itself is told, by flags, environment, config file or default, and by which of them.

Promises to tell everything that is wrong at once, each with its place. Holds no secret: secrets stay in the
environment, under names that a Fleet's credential gives. Loads YAML only when there is a config file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.cron import check_cron, check_zone
from reconciler.model.alert import Route
from reconciler.model.finding import Finding, Origin
from reconciler.routes import read_routes

if TYPE_CHECKING:
    from yaml import MappingNode, Node

PREFIX: Final = "RECONCILER_"
CONFIG_FILE: Final = "reconciler.yaml"
OFF: Final = "off"
_ALERTS: Final = "alerts"  # a list of sinks: nothing that a flag or a variable could say


class Source(StrEnum):
    """Who said a value, the strongest first."""

    FLAG = "flag"
    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class Color(StrEnum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class LogFormat(StrEnum):
    CONSOLE = "console"
    JSON = "json"


class LeaseForm(StrEnum):
    """What keeps two processes from writing at once."""

    OFF = "off"
    KUBERNETES = "kubernetes"
    FILE = "file"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


Value = str | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its name is the key of the config file; the flag and the variable are the same name respelled."""

    name: str
    default: str
    read: Callable[[str], Value]
    summary: str
    flag: str = ""

    @property
    def variable(self) -> str:
        return PREFIX + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name).upper()


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A value as somebody wrote it, and where."""

    text: str
    source: Source
    place: str
    origin: Origin | None = None
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the tool itself is told; what it does to Azure is told by the Fleet documents."""

    sources: tuple[str, ...]
    endpoint: str
    authority: str
    audience: str
    ca_bundle: str
    timeout: float
    parallelism: int
    output: Output
    color: Color
    log_format: LogFormat
    log_level: LogLevel
    clock_rate: float
    simulate_pace: float
    interval: float
    jitter: float
    cron: tuple[str, ...]
    time_zone: str
    grace: float
    observe_only: bool
    alerts: tuple[Route, ...]
    alert_storm: int
    runbook_url: str
    fight_rounds: int
    journal_file: str
    journal_map: str
    model_age: float
    quota_age: float
    pause_file: str
    pause_map: str
    lease: LeaseForm
    lease_name: str
    lease_namespace: str
    lease_identity: str
    lease_file: str
    lease_duration: float
    lease_deadline: float
    lease_retry: float
    service_account: str
    listen: str
    token_variable: str
    tracing: bool
    given: Mapping[str, Given]


def read_duration(text: str) -> float:
    """Seconds from `90`, `90s`, `10m`, `2h` or `1h30m`."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not match or not text:
        raise ValueError("a duration is a number of seconds, or like 90s, 10m, 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _read_interval(text: str) -> float:
    seconds = read_duration(text)
    if seconds < 1:
        raise ValueError("an interval is at least 1s")
    return seconds


def _read_crons(text: str) -> tuple[str, ...]:
    expressions = tuple(part.strip() for part in text.split(os.pathsep) if part.strip())
    for expression in expressions:
        check_cron(expression)
    return expressions


def _read_zone(text: str) -> str:
    check_zone(text)
    return text


def _read_map_name(text: str) -> str:
    return _read_lease_name(text) if text else ""


def _read_lease_name(text: str) -> str:
    if len(text) > 253 or not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", text):
        raise ValueError("a name of Kubernetes has lower-case letters, digits, - and . only")
    return text


def _read_flag(text: str) -> str:
    if text not in ("true", "false"):
        raise ValueError("true or false")
    return text


def read_place(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8080` or `[::1]:8080`; port 0 is any that is free."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.\-]+)):(\d{1,5})", text)
    if not match or int(match[3]) > 65535:
        raise ValueError("an address is host:port, such as 127.0.0.1:8080 or [::]:8080, or off")
    return match[1] or match[2], int(match[3])


def _read_listen(text: str) -> str:
    if text != OFF:
        read_place(text)
    return text


def _read_variable(text: str) -> str:
    if text and (not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) or text.startswith(PREFIX)):
        raise ValueError(f"the name of an environment variable, which does not start with {PREFIX}")
    return text


def _read_pace(text: str) -> float:
    try:
        pace = float(text)
    except ValueError:
        pace = 0.0
    if not 0.1 <= pace <= 1000:
        raise ValueError("a pace is a number from 0.1 to 1000")
    return pace


def _read_parallelism(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise ValueError("parallelism is a whole number from 1 to 1000")
    return int(text)


def _read_count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise ValueError("a whole number from 1 to 1000")
    return int(text)


def _read_url(text: str) -> str:
    if text and not re.fullmatch(r"https://[^\s/?#]+(/[^\s?#]*)?", text):
        raise ValueError("write an https:// URL without ? and #")
    return text.rstrip("/")


def _read_sources(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(os.pathsep) if part)


def _one_of(words: type[StrEnum]) -> Callable[[str], Value]:
    def read(text: str) -> Value:
        if text not in [each.value for each in words]:
            raise ValueError(f"one of {', '.join(each.value for each in words)}")
        return text

    return read


SETTINGS: Final = (
    Setting(
        name="sources",
        default="desired_state",
        read=_read_sources,
        summary="files and directories of desired state",
        flag="PATH",
    ),
    Setting(
        name="endpoint", default="", read=_read_url, summary="Azure Resource Manager, for Fleets that name no cloud"
    ),
    Setting(name="authority", default="", read=_read_url, summary="Entra ID, for Fleets that name no cloud"),
    Setting(name="audience", default="", read=str, summary="token audience; the endpoint when left out"),
    Setting(name="caBundle", default="", read=str, summary="certificates to trust: a PEM file or a directory"),
    Setting(name="timeout", default="2h", read=read_duration, summary="how long `once` waits for provisioning"),
    Setting(name="parallelism", default="100", read=_read_parallelism, summary="writes under way at once"),
    Setting(name="output", default="text", read=_one_of(Output), summary="text, json or markdown"),
    Setting(name="color", default="auto", read=_one_of(Color), summary="auto, always or never"),
    Setting(name="logFormat", default="console", read=_one_of(LogFormat), summary="console or json"),
    Setting(name="logLevel", default="warning", read=_one_of(LogLevel), summary="debug, info, warning or error"),
    Setting(
        name="clockRate",
        default="1",
        read=_read_pace,
        summary="pace of time, for a simulation that was started with the same",
    ),
    Setting(
        name="simulatePace",
        default="30",
        read=_read_pace,
        summary="pace of time in a simulation started with --simulate",
    ),
    Setting(name="interval", default="60s", read=_read_interval, summary="how long `run` waits between two passes"),
    Setting(
        name="jitter", default="6s", read=read_duration, summary="by how much less, at random, so that no two keep step"
    ),
    Setting(name="cron", default="", read=_read_crons, summary="when else `run` makes a pass: cron expressions"),
    Setting(name="timeZone", default="UTC", read=_read_zone, summary="time zone of `cron`, by its IANA name"),
    Setting(
        name="grace",
        default="30s",
        read=read_duration,
        summary="how long `run` still waits for writes once it is told to stop",
    ),
    Setting(
        name="modelAge",
        default="10m",
        read=read_duration,
        summary="for how long a region's model list is not read again",
    ),
    Setting(
        name="quotaAge",
        default="10m",
        read=read_duration,
        summary="after how long `run` asks again how full a region's pools of quota are",
    ),
    Setting(name="pauseFile", default="", read=str, summary="where `pause` tells `run` and `once` what not to write"),
    Setting(name="pauseMap", default="", read=_read_map_name, summary="the same in a cluster: the name of a ConfigMap"),
    Setting(
        name="lease",
        default="off",
        read=_one_of(LeaseForm),
        summary="what keeps two processes from writing at once: off, kubernetes or file",
    ),
    Setting(name="leaseName", default="reconciler", read=_read_lease_name, summary="name of the Kubernetes Lease"),
    Setting(name="leaseNamespace", default="", read=str, summary="its namespace; that of the pod when left out"),
    Setting(name="leaseIdentity", default="", read=str, summary="who holds it, for people; the host when left out"),
    Setting(name="leaseFile", default="", read=str, summary="the file to lock, for `lease: file`"),
    Setting(
        name="leaseDuration",
        default="15s",
        read=read_duration,
        summary="for how long a rival leaves a lease alone that is not renewed; whole seconds",
    ),
    Setting(
        name="leaseDeadline",
        default="10s",
        read=read_duration,
        summary="after how long without a renewal the leader stops",
    ),
    Setting(name="leaseRetry", default="2s", read=read_duration, summary="how often the leader renews"),
    Setting(
        name="serviceAccount",
        default="",
        read=str,
        summary="folder with ca.crt, token and namespace; where Kubernetes mounts it when left out",
    ),
    Setting(
        name="observeOnly",
        default="false",
        read=_read_flag,
        summary="whether `run` only plans and tells, and never writes",
    ),
    Setting(name="journalFile", default="", read=str, summary="where `run` remembers what it told, on one machine"),
    Setting(
        name="journalMap",
        default="",
        read=_read_map_name,
        summary="the ConfigMap in which it does, in a cluster",
    ),
    Setting(
        name="alertStorm",
        default="10",
        read=_read_count,
        summary="how many alerts of one kind may begin at once before they are told as one",
    ),
    Setting(name="runbookUrl", default="", read=_read_url, summary="the page that alerts send people to, your runbook"),
    Setting(
        name="fightRounds",
        default="3",
        read=_read_count,
        summary="how often within an hour somebody may undo what `run` puts right before it stops",
    ),
    Setting(
        name="listen",
        default="127.0.0.1:8080",
        read=_read_listen,
        summary="where `run` shows health, metrics and a page: host:port, or off",
    ),
    Setting(
        name="tokenVariable",
        default="",
        read=_read_variable,
        summary="environment variable with the token of those who may ask `run` for a pass; without it nobody may",
    ),
    Setting(
        name="tracing",
        default="false",
        read=_read_flag,
        summary="whether `run` tells OpenTelemetry what takes how long",
    ),
)


def load_settings(
    flags: Mapping[str, str], environment: Mapping[str, str], config: str | None
) -> tuple[Settings | None, tuple[Finding, ...]]:
    """The settings, or everything that is wrong with them. `flags` holds what was on the command line, by name;
    `config` a file that must exist, None the usual one if it does."""
    written, findings = _read_config(config or environment.get(PREFIX + "CONFIG"))
    problems = [*findings, *_check_variables(environment)]
    values: dict[str, Value] = {}
    given = {each.name: _give(each, flags, environment, written) for each in SETTINGS}
    given |= {name: written[name] for name in (_ALERTS,) if name in written}
    for each in SETTINGS:
        try:
            values[each.name] = each.read(given[each.name].text)
        except ValueError as error:
            problems.append(_refuse(each, given[each.name], str(error)))
    if bool(given["endpoint"].text) != bool(given["authority"].text):
        lonely = "endpoint" if given["endpoint"].text else "authority"
        hint = "a cloud is named by both endpoint and authority"
        problems.append(Finding(code="setting_alone", message=f"{lonely} is set alone", hint=hint))
    if problems:
        return None, tuple(problems)
    return _assemble(values, given), ()


def tell_settings(settings: Settings) -> list[tuple[str, str, str]]:
    """Name, value and place of every setting, in the order of the table."""
    names = [*(each.name for each in SETTINGS), *(name for name in (_ALERTS,) if name in settings.given)]
    return [(name, settings.given[name].text, settings.given[name].place) for name in names]


def _give(
    each: Setting, flags: Mapping[str, str], environment: Mapping[str, str], written: Mapping[str, Given]
) -> Given:
    if each.name in flags:
        flag = each.flag or "--" + re.sub(r"(?<=[a-z])(?=[A-Z])", "-", each.name).lower()
        return Given(text=flags[each.name], source=Source.FLAG, place=f"{Source.FLAG} {flag}")
    if each.variable in environment:
        place = f"{Source.ENVIRONMENT} {each.variable}"
        return Given(text=environment[each.variable], source=Source.ENVIRONMENT, place=place)
    if each.name in written:
        return written[each.name]
    return Given(text=each.default, source=Source.DEFAULT, place=str(Source.DEFAULT))


def _refuse(each: Setting, given: Given, why: str) -> Finding:
    return Finding(
        code="setting_invalid",
        message=f"{each.name} is {given.text!r}, from {given.place}",
        hint=why,
        origin=given.origin,
    )


def _check_variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    known = {each.variable for each in SETTINGS} | {PREFIX + "CONFIG"}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known:
            yield Finding(
                code="setting_unknown",
                message=f"the environment variable {name} is not a setting",
                hint=_suggest(name, known),
            )


def _suggest(word: str, known: set[str]) -> str:
    close = get_close_matches(word, sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else f"settings are {', '.join(sorted(known))}"


def _read_config(named: str | None) -> tuple[dict[str, Given], list[Finding]]:
    path = Path(named or CONFIG_FILE)
    if not named and not path.exists():
        return {}, []
    start = Origin(file=str(path), line=1, column=1)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        return {}, [Finding(code="config_unreadable", message=f"config file {path}: {reason}", origin=start)]
    return _read_yaml(text, start)


def _read_yaml(text: str, start: Origin) -> tuple[dict[str, Given], list[Finding]]:
    import yaml  # noqa: PLC0415 - only needed where there is a config file

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        at = Origin(file=start.file, line=mark.line + 1, column=mark.column + 1) if mark else start
        message = getattr(error, "problem", None) or str(error).split("\n", 1)[0]
        return {}, [Finding(code="config_syntax", message=message, origin=at)]
    if root is None:
        return {}, []
    if not isinstance(root, yaml.MappingNode):
        return {}, [Finding(code="config_syntax", message="a config file is a mapping of settings", origin=start)]
    return _read_mapping(root, start.file)


def _read_mapping(root: MappingNode, file: str) -> tuple[dict[str, Given], list[Finding]]:
    known = {*(each.name for each in SETTINGS), _ALERTS}
    written: dict[str, Given] = {}
    findings: list[Finding] = []
    for key, value in root.value:
        origin = _origin(key, file)
        name = str(key.value)
        text = _scalar_text(value)
        if name not in known:
            hint = _suggest(name, known)
            findings.append(
                Finding(code="setting_unknown", message=f"unknown setting {name}", hint=hint, origin=origin)
            )
        elif name in written:
            findings.append(Finding(code="setting_twice", message=f"{name} is written twice", origin=origin))
        elif name == _ALERTS:
            routes, wrong = read_routes(value, file)
            findings += wrong
            place = f"{Source.FILE} {_origin(value, file)}"
            told = ", ".join(route.name for route in routes)
            written[name] = Given(text=told, source=Source.FILE, place=place, routes=routes)
        elif text is None:
            hint = "write one value, or for sources a list of paths"
            findings.append(
                Finding(
                    code="setting_invalid", message=f"{name} is not one value", hint=hint, origin=_origin(value, file)
                )
            )
        else:
            at = _origin(value, file)
            written[name] = Given(text=text, source=Source.FILE, place=f"{Source.FILE} {at}", origin=at)
    return written, findings


def _scalar_text(node: Node) -> str | None:
    from yaml import ScalarNode, SequenceNode  # noqa: PLC0415 - loaded already, or there would be no node

    if isinstance(node, ScalarNode):
        return str(node.value)
    if isinstance(node, SequenceNode) and all(isinstance(item, ScalarNode) for item in node.value):
        return os.pathsep.join(str(item.value) for item in node.value)
    return None


def _origin(node: Node, file: str) -> Origin:
    return Origin(file=file, line=node.start_mark.line + 1, column=node.start_mark.column + 1)


def _assemble(values: Mapping[str, Value], given: Mapping[str, Given]) -> Settings:
    sources = values["sources"]
    return Settings(
        sources=sources if isinstance(sources, tuple) else (),
        endpoint=str(values["endpoint"]),
        authority=str(values["authority"]),
        audience=str(values["audience"]),
        ca_bundle=str(values["caBundle"]),
        timeout=float(str(values["timeout"])),
        parallelism=int(str(values["parallelism"])),
        output=Output(str(values["output"])),
        color=Color(str(values["color"])),
        log_format=LogFormat(str(values["logFormat"])),
        log_level=LogLevel(str(values["logLevel"])),
        clock_rate=float(str(values["clockRate"])),
        simulate_pace=float(str(values["simulatePace"])),
        interval=float(str(values["interval"])),
        jitter=float(str(values["jitter"])),
        cron=tuple(crons) if isinstance(crons := values["cron"], tuple) else (),
        time_zone=str(values["timeZone"]),
        grace=float(str(values["grace"])),
        model_age=float(str(values["modelAge"])),
        quota_age=float(str(values["quotaAge"])),
        pause_file=str(values["pauseFile"]),
        pause_map=str(values["pauseMap"]),
        lease=LeaseForm(str(values["lease"])),
        lease_name=str(values["leaseName"]),
        lease_namespace=str(values["leaseNamespace"]),
        lease_identity=str(values["leaseIdentity"]),
        lease_file=str(values["leaseFile"]),
        lease_duration=float(str(values["leaseDuration"])),
        lease_deadline=float(str(values["leaseDeadline"])),
        lease_retry=float(str(values["leaseRetry"])),
        service_account=str(values["serviceAccount"]),
        listen=str(values["listen"]),
        token_variable=str(values["tokenVariable"]),
        tracing=values["tracing"] == "true",
        observe_only=values["observeOnly"] == "true",
        alerts=given[_ALERTS].routes if _ALERTS in given else (),
        alert_storm=int(str(values["alertStorm"])),
        runbook_url=str(values["runbookUrl"]),
        fight_rounds=int(str(values["fightRounds"])),
        journal_file=str(values["journalFile"]),
        journal_map=str(values["journalMap"]),
        given=given,
    )
