"""Recorded answer against simulated answer.

Promises to name every difference by a path. Values that a server makes up (guids, etags, ids, times) need not be equal,
but the same recorded value must always stand for the same simulated one, and times must agree with the clock.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

from tests.contracts.recorded.exchanges import Json

GUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
HEX = r"[0-9a-f]{32}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"
MADE_BY_A_SERVER = re.compile(f"(?P<guid>{GUID})|(?P<hex>{HEX})|(?P<time>{TIME})")
DAY = re.compile(r"\d{4}-\d\d-\d\dT00:00:00Z")
COSMOS_ETAG = re.compile(r"[0-9a-f]{8}-0000-[0-9a-f]{4}-0000-[0-9a-f]{8}0000")
SHAPES = {"guid": GUID, "hex": HEX, "time": TIME}
# Times differ by what a request takes: the recorded clock is that of the answer, resources carry that of the request.
TOLERANCE_SECONDS = 6.0
SIGNATURE = ["t", "c", "s", "h"]
SIGNED_URL_LENGTH = 3000
COMPARED_HEADERS = ("azure-asyncoperation", "location", "etag", "x-ms-failure-cause")
AZURE = re.compile(r"https://management\.azure\.com(?::443)?")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where the simulation answers otherwise than Azure did."""

    path: str
    kind: str
    recorded: Json
    simulated: Json

    def __str__(self) -> str:
        return f"{self.path}  {self.kind}  recorded={self.recorded!r:.160}  simulated={self.simulated!r:.160}"


class Names:
    """Which simulated value stands for which recorded one, both ways."""

    def __init__(self, same: tuple[str, ...]) -> None:
        self._simulated = {each: each for each in same}
        self._recorded = {each: each for each in same}

    def bind(self, recorded: str, simulated: str) -> bool:
        """False if either already stands for something else."""
        if self._simulated.setdefault(recorded, simulated) != simulated:
            return False
        return self._recorded.setdefault(simulated, recorded) == recorded

    def translate(self, text: str) -> str:
        """A recorded request with the simulation's names in it."""
        return re.sub(f"{GUID}|{HEX}", lambda found: self._simulated.get(found[0], found[0]), text)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is known about one file: complete headers, shortened lists, the address of the simulation."""

    endpoint: str
    unfiltered: bool = False
    shortened: bool = False
    ordered: bool = True


class Comparison:
    """Collects the differences of one answer."""

    def __init__(self, names: Names, rules: Rules) -> None:
        self.names = names
        self.rules = rules
        self.found: list[Difference] = []

    def note(self, path: str, kind: str, recorded: Json, simulated: Json) -> None:
        self.found.append(Difference(path, kind, recorded, simulated))

    # --- headers

    def headers(self, recorded: Mapping[str, str], simulated: Mapping[str, str]) -> None:
        for name in COMPARED_HEADERS:
            self._header(name, recorded.get(name), simulated.get(name))
        if self.rules.unfiltered:
            self._plain("retry-after", recorded.get("retry-after"), simulated.get("retry-after"))
        self._content_type(recorded, simulated)
        for name in recorded:
            if name.startswith("x-ms-ratelimit-remaining-") and not simulated.get(name, "").isdigit():
                self.note(f"headers.{name}", "missing", recorded[name], simulated.get(name))
        if "date" not in simulated:
            self.note("headers.date", "missing", recorded["date"], None)

    def _content_type(self, recorded: Mapping[str, str], simulated: Mapping[str, str]) -> None:
        if "content-type" in recorded:
            self._plain("content-type", recorded["content-type"], simulated.get("content-type"))

    def _plain(self, name: str, recorded: str | None, simulated: str | None) -> None:
        if recorded != simulated:
            self.note(f"headers.{name}", _kind(recorded, simulated), recorded, simulated)

    def _header(self, name: str, recorded: str | None, simulated: str | None) -> None:
        if recorded is None or simulated is None:
            self._plain(name, recorded, simulated)
        elif name in {"azure-asyncoperation", "location"}:
            self.link(f"headers.{name}", recorded, simulated)
        else:
            self.text(f"headers.{name}", recorded, simulated)

    def link(self, path: str, recorded: str, simulated: str) -> None:
        """A URL that a client must follow: the simulation's own host, the same path, the same query."""
        here = simulated.startswith(self.rules.endpoint)
        if not here:
            self.note(f"{path}.host", "value", recorded[:60], simulated[:60])
            return
        was = urlsplit(AZURE.sub("", recorded))
        now = urlsplit(simulated.removeprefix(self.rules.endpoint))
        opaque = "operationresults/" in was.path and "/locations/" not in was.path
        if opaque or "/privateDnsOperation" in was.path:
            self._job(path, was.path, now.path)
        else:
            self.text(f"{path}.path", was.path, now.path)
        self._query(f"{path}.query", was.query, now.query, len(simulated))

    def _job(self, path: str, recorded: str, simulated: str) -> None:
        """The token of a resource group's deletion or of private DNS is opaque; what is in front of it is not."""
        was, _, _ = recorded.rpartition("/")
        now, _, token = simulated.rpartition("/")
        self.text(f"{path}.path", was, now)
        if not token:
            self.note(f"{path}.token", "missing", recorded, simulated)

    def _query(self, path: str, recorded: str, simulated: str, length: int) -> None:
        was = dict(parse_qsl(recorded, keep_blank_values=True))
        now = dict(parse_qsl(simulated, keep_blank_values=True))
        if list(was) != list(now):
            self.note(path, "value", list(was), list(now))
            return
        for name, value in was.items():
            if name == "$skipToken":
                continue
            if name not in SIGNATURE and value != now[name]:
                self.note(f"{path}.{name}", "value", value, now[name])
        if "c" in was and length < SIGNED_URL_LENGTH:
            self.note(f"{path}.length", "value", "over 4 kB", length)

    # --- bodies

    def json(self, path: str, recorded: Json, simulated: Json) -> None:
        """Any value; goes down into objects and lists."""
        if isinstance(recorded, dict) and isinstance(simulated, dict):
            self._object(path, recorded, simulated)
        elif isinstance(recorded, list) and isinstance(simulated, list):
            self._list(path, recorded, simulated)
        elif isinstance(recorded, str) and isinstance(simulated, str):
            self._string(path, recorded, simulated)
        elif isinstance(recorded, bool) is not isinstance(simulated, bool) or recorded != simulated:
            self.note(path, _kind(recorded, simulated), recorded, simulated)

    def _object(self, path: str, recorded: dict[str, Json], simulated: dict[str, Json]) -> None:
        for name, value in recorded.items():
            if name == "__trimmed_from":
                continue
            if name not in simulated:
                self.note(f"{path}.{name}", "missing", value, None)
            else:
                self.json(f"{path}.{name}", value, simulated[name])
        for name in simulated.keys() - recorded.keys():
            if not (name == "nextLink" and "__trimmed_from" in recorded):
                self.note(f"{path}.{name}", "extra", None, simulated[name])

    def _list(self, path: str, recorded: list[Json], simulated: list[Json]) -> None:
        was, now = _keyed(recorded), _keyed(simulated)
        if was is None or now is None:
            was = {str(number): value for number, value in enumerate(recorded)}
            now = {str(number): value for number, value in enumerate(simulated)}
        was = {self.names.translate(key): value for key, value in was.items()}
        for key, value in was.items():
            if key in now:
                self.json(f"{path}[{key}]", value, now[key])
            else:
                self.note(f"{path}[{key}]", "missing", value, None)
        if not (self.rules.shortened and path == "body.value"):
            for key in now.keys() - was.keys():
                self.note(f"{path}[{key}]", "extra", None, now[key])
        order = [key for key in now if key in was]
        if (self.rules.ordered or path != "body.value") and order != [key for key in was if key in now]:
            self.note(path, "order", list(was), order)

    def _string(self, path: str, recorded: str, simulated: str) -> None:
        if recorded == "REDACTED":
            if not simulated:
                self.note(path, "value", recorded, simulated)
        elif path.endswith(".nextLink"):
            self.link(path, recorded, simulated)
        elif DAY.fullmatch(recorded) and simulated == f"{int(recorded[:4]) + 10}{recorded[4:]}":
            self.note(path, "ten years", recorded, simulated)
        else:
            self.text(path, recorded, simulated)

    def text(self, path: str, recorded: str, simulated: str) -> None:
        """Equal but for what a server makes up, which must be of the same shape and always the same."""
        tokens = list(MADE_BY_A_SERVER.finditer(recorded))
        pattern, end = "", 0
        for token in tokens:
            pattern += re.escape(recorded[end : token.start()]) + f"({SHAPES[str(token.lastgroup)]})"
            end = token.end()
        found = re.fullmatch(pattern + re.escape(recorded[end:]), simulated)
        if found is None or not all(
            self._stands_for(str(token.lastgroup), token[0], here)
            for token, here in zip(tokens, found.groups(), strict=True)
        ):
            self.note(path, "value", recorded, simulated)

    def _stands_for(self, shape: str, recorded: str, simulated: str) -> bool:
        if shape == "time":
            return _same_time(recorded, simulated)
        if COSMOS_ETAG.fullmatch(recorded) and not COSMOS_ETAG.fullmatch(simulated):
            return False
        return self.names.bind(recorded, simulated)


def _same_time(recorded: str, simulated: str) -> bool:
    if ("." in recorded) is not ("." in simulated):
        return False
    was, now = (datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", each)) for each in (recorded, simulated))
    return abs((was - now).total_seconds()) <= TOLERANCE_SECONDS


def _kind(recorded: Json, simulated: Json) -> str:
    if simulated is None:
        return "missing"
    return "extra" if recorded is None else "value"


def _keyed(items: list[Json]) -> dict[str, Json] | None:
    keys = [_key(item) for item in items]
    if None in keys or len(set(keys)) != len(keys):
        return None
    return {str(key): item for key, item in zip(keys, items, strict=True)}


def _key(item: Json) -> str | None:  # noqa: PLR0911 — one line per kind of list
    if not isinstance(item, dict):
        return None
    if "resourceType" in item:
        return f"{item['kind']} {item['name']} {item['locations'][0]}"
    if "key" in item:
        return str(item["key"])
    if isinstance(item.get("model"), dict):
        return f"{item.get('kind')} {_key(item['model'])}"
    name = item.get("name")
    if isinstance(name, dict):
        return str(name["value"])
    if "version" in item:
        return f"{name} {item['version']}"
    return None if name is None else str(name)
