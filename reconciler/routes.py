"""Settings: where alerts go, as the config file lists it. Every mistake is told, each with its place.

alerts:
  - sink: alertmanager
    urls: [http://alertmanager-0:9093, http://alertmanager-1:9093]
  - sink: webhook
    name: on-call
    shape: slack
    urlVariable: SLACK_URL
    match: {level: critical, labels: {tier: prod}}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from reconciler.model.alert import Level, Route, Shape, SinkKind
from reconciler.model.finding import Finding, Origin

if TYPE_CHECKING:
    from yaml import Node

Word = TypeVar("Word", bound=StrEnum)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYS: Final[Mapping[SinkKind, tuple[str, ...]]] = {
    SinkKind.ALERTMANAGER: ("sink", "name", "urls", "url", "urlVariable", "tokenVariable", "match"),
    SinkKind.WEBHOOK: ("sink", "name", "url", "urlVariable", "shape", "secretVariable", "tokenVariable", "match"),
    SinkKind.EVENTS: ("sink", "name", "match"),
}
_ANY: Final = tuple(dict.fromkeys(key for keys in _KEYS.values() for key in keys))


@dataclass(frozen=True, slots=True)
class _Place:
    """A part of the file that is being read, and what was found wrong so far."""

    file: str
    findings: list[Finding] = field(default_factory=list)

    def at(self, node: Node) -> Origin:
        return Origin(file=self.file, line=node.start_mark.line + 1, column=node.start_mark.column + 1)

    def refuse(self, node: Node, message: str, hint: str = "") -> None:
        self.findings.append(Finding(code="setting_invalid", message=message, hint=hint, origin=self.at(node)))


def read_routes(node: Node, file: str) -> tuple[tuple[Route, ...], tuple[Finding, ...]]:
    """The sinks that `node`, the value of `alerts`, lists; and everything that is wrong with it."""
    place = _Place(file)
    entries = _items(node)
    if entries is None:
        place.refuse(node, "alerts is not a list", "write one entry for each sink, such as `- sink: webhook`")
        return (), tuple(place.findings)
    routes: dict[str, Route] = {}
    for number, entry in enumerate(entries, start=1):
        route = _read_route(entry, number, place)
        if route is None:
            continue
        if route.name in routes:
            place.refuse(entry, f"two sinks are named {route.name}", "give each a name of its own")
        routes[route.name] = route
    return tuple(routes.values()), tuple(place.findings)


def check_variables(routes: Iterable[Route], environment: Mapping[str, str]) -> tuple[Finding, ...]:
    """The secrets that sinks need and that nobody has set. Only whoever tells people needs them."""
    named = (
        (route, key, variable)
        for route in routes
        for key, variable in (
            ("urlVariable", route.url_variable),
            ("secretVariable", route.secret_variable),
            ("tokenVariable", route.token_variable),
        )
    )
    return tuple(
        Finding(
            code="setting_invalid",
            message=f"the environment variable {variable}, named by {key} of the sink {route.name}, is not set",
            hint="set it, or leave the sink out",
            origin=route.origin,
        )
        for route, key, variable in named
        if variable and not environment.get(variable)
    )


def _read_route(entry: Node, number: int, place: _Place) -> Route | None:
    known = len(place.findings)
    fields = _read_mapping(entry, f"sink {number} of alerts", place)
    if fields is None:
        return None
    if "sink" not in fields:
        place.refuse(entry, f"sink {number} of alerts does not say what it is", _one_of(SinkKind, "sink"))
        return None
    sink = _read_word(fields["sink"], "sink", SinkKind, place)
    _check_keys(fields, sink, place)
    if sink is None:
        return None
    level, labels = _read_match(fields.get("match"), place)
    route = Route(
        name=_read_text(fields, "name", place) or f"{sink.value}-{number}",
        sink=sink,
        urls=tuple(_read_urls(fields, place)),
        url_variable=_read_variable(fields, "urlVariable", place),
        shape=(_read_word(fields["shape"], "shape", Shape, place) if "shape" in fields else None) or Shape.CLOUDEVENTS,
        secret_variable=_read_variable(fields, "secretVariable", place),
        token_variable=_read_variable(fields, "tokenVariable", place),
        level=level,
        labels=labels,
        origin=place.at(entry),
    )
    _check_url(entry, fields, sink, place)
    return route if len(place.findings) == known else None


def _check_keys(fields: Mapping[str, Node], sink: SinkKind | None, place: _Place) -> None:
    allowed = _KEYS[sink] if sink else _ANY
    for key, node in fields.items():
        if key not in allowed:
            close = get_close_matches(key, allowed, n=1)
            hint = f"did you mean {close[0]}?" if close else f"it takes {', '.join(allowed)}"
            place.refuse(node, f"a sink{f' {sink}' if sink else ''} has no {key}", hint)


def _check_url(entry: Node, fields: Mapping[str, Node], sink: SinkKind, place: _Place) -> None:
    if sink is SinkKind.EVENTS:
        return
    named = [key for key in ("urls", "url", "urlVariable") if key in fields]
    if not named:
        hint = "write urls" if sink is SinkKind.ALERTMANAGER else "write url, or urlVariable where the URL is a secret"
        place.refuse(entry, f"this {sink} has no URL", hint)
    elif len(named) > 1:
        place.refuse(fields[named[1]], f"{' and '.join(named)} are both set", "leave all but one out")


def _read_urls(fields: Mapping[str, Node], place: _Place) -> Iterator[str]:
    if "url" in fields:
        nodes: list[Node] | None = [fields["url"]]
    elif "urls" in fields:
        nodes = _items(fields["urls"])
        if not nodes:
            place.refuse(fields["urls"], "urls is not a list of URLs", "write one or more of them")
    else:
        nodes = []
    for node in nodes or ():
        text = _scalar(node)
        if text is None or not _is_url(text):
            hint = "a URL starts with http:// or https:// and holds no user or password"
            place.refuse(node, "this is not a URL", hint)
        else:
            yield text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def _read_match(node: Node | None, place: _Place) -> tuple[Level, dict[str, str]]:
    fields = _read_mapping(node, "match", place) if node is not None else {}
    labels: dict[str, str] = {}
    level = Level.INFO
    for key, value in (fields or {}).items():
        if key == "level":
            level = _read_word(value, "level", Level, place) or level
        elif key == "labels":
            labels = _read_labels(value, place)
        else:
            place.refuse(value, f"match has no {key}", "it takes level and labels")
    return level, labels


def _read_labels(node: Node, place: _Place) -> dict[str, str]:
    labels: dict[str, str] = {}
    for key, value in (_read_mapping(node, "labels", place) or {}).items():
        text = _scalar(value)
        if text is None:
            place.refuse(value, f"the label {key} is not one value", "write one word")
        else:
            labels[key] = text
    return labels


def _read_text(fields: Mapping[str, Node], key: str, place: _Place) -> str:
    if key not in fields:
        return ""
    text = _scalar(fields[key])
    if not text or len(text) > 63 or not text.isprintable():
        place.refuse(fields[key], f"{key} is not a name", "write up to 63 characters")
        return ""
    return text


def _read_variable(fields: Mapping[str, Node], key: str, place: _Place) -> str:
    if key not in fields:
        return ""
    text = _scalar(fields[key])
    if text is None or not _VARIABLE.fullmatch(text):
        # It may be the secret itself, so it is not repeated.
        place.refuse(fields[key], f"{key} is not the name of an environment variable", "never write the secret here")
        return ""
    return text


def _read_word(node: Node, key: str, words: type[Word], place: _Place) -> Word | None:
    text = _scalar(node)
    if text not in [each.value for each in words]:
        place.refuse(node, f"{key} is {text!r}" if text is not None else f"{key} is not one value", _one_of(words, key))
        return None
    return words(text)


def _one_of(words: type[StrEnum], key: str) -> str:
    return f"{key} is one of {', '.join(words)}"


def _read_mapping(node: Node, what: str, place: _Place) -> dict[str, Node] | None:
    from yaml import MappingNode  # noqa: PLC0415 - loaded already, or there would be no node

    if not isinstance(node, MappingNode):
        place.refuse(node, f"{what} is not a mapping", "write `key: value`")
        return None
    fields: dict[str, Node] = {}
    for key, value in node.value:
        name = str(key.value)
        if name in fields:
            place.refuse(key, f"{name} is written twice", "leave one of them out")
        fields[name] = value
    return fields


def _items(node: Node) -> list[Node] | None:
    from yaml import SequenceNode  # noqa: PLC0415 - loaded already, or there would be no node

    return list(node.value) if isinstance(node, SequenceNode) else None


def _scalar(node: Node) -> str | None:
    from yaml import ScalarNode  # noqa: PLC0415 - loaded already, or there would be no node

    return str(node.value) if isinstance(node, ScalarNode) else None
