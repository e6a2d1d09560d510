"""JSON and ids as they travel. Knows no resource type."""

import json
from collections.abc import Iterable
from typing import Any

Json = Any
Body = dict[str, Any]


def encode(value: Json) -> bytes:
    """The compact UTF-8 form that Azure sends."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def fold_location(location: str) -> str:
    """`Central US EUAP` and `centraluseuap` name the same region."""
    return location.replace(" ", "").lower()


def join_list(items: Iterable[bytes], next_link: str | None = None) -> bytes:
    """A list answer, put together from items that are rendered already."""
    tail = b"]}" if next_link is None else b'],"nextLink":' + encode(next_link) + b"}"
    return b'{"value":[' + b",".join(items) + tail


def look(body: Json, path: str) -> Json:
    """The value at a dotted path, or None."""
    for part in path.split("."):
        if not isinstance(body, dict):
            return None
        body = next((value for name, value in body.items() if name.lower() == part.lower()), None)
    return body


def merge(target: Body, patch: Body) -> Body:
    """RFC 7396: a new body; null removes."""
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            current = merged.get(name)
            merged[name] = merge(current if isinstance(current, dict) else {}, value)
        else:
            merged[name] = value
    return merged


def to_bool(value: Json) -> bool:
    """Azure reads `"true"` where a boolean belongs."""
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    if isinstance(value, bool):
        return value
    raise ValueError(value)


def to_int(value: Json) -> int:
    """Azure reads `"10"` where a number belongs."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(value)
    number = float(value)
    if number != int(number):
        raise ValueError(value)
    return int(number)
