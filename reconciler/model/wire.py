"""JSON as Azure sends it: reading and writing by path, merging, canonical bytes.

Values here are plain JSON (`dict`, `list`, `str`, `int`, `float`, `bool`, `None`) and are treated as immutable: every
function returns a new value. The sentinel `ABSENT` says "no such key", which is not the same as JSON null.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Union

Json = Union[None, bool, int, float, str, list["Json"], dict[str, "Json"]]  # noqa: UP007 - a recursive alias needs names in quotes
JsonObject = dict[str, Json]
WirePath = tuple[str, ...]


class Absent(Enum):
    """The type of `ABSENT`, so that a type checker can tell it from JSON null."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
Maybe = Json | Absent


def read_path(value: Maybe, path: WirePath) -> Maybe:
    """What stands at `path`; `ABSENT` where a key is missing or something on the way is not an object."""
    for key in path:
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value


def write_path(value: Json, path: WirePath, new: Maybe) -> Json:
    """`value` with `new` at `path`, objects made on the way; `ABSENT` removes the key (and nothing else)."""
    if not path:
        return None if new is ABSENT else new
    if new is ABSENT and not isinstance(value, dict):
        return value
    base: JsonObject = dict(value) if isinstance(value, dict) else {}
    head, rest = path[0], path[1:]
    if new is ABSENT and head not in base:
        return base
    if new is ABSENT and not rest:
        del base[head]
        return base
    base[head] = write_path(base.get(head), rest, new)
    return base


def canonical_bytes(value: Json) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, UTF-8. Equal values give equal bytes."""
    # JSON may hold half of a surrogate pair, which is no reason to fall over.
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")


def digest(value: Json) -> str:
    """SHA-256 of the canonical bytes, as `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(canonical_bytes(value)).hexdigest()


def thaw(value: object) -> Json:
    """Plain JSON from mappings, sequences and enums of any kind; raises TypeError for what JSON cannot say."""
    if isinstance(value, Enum):
        return thaw(value.value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): thaw(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [thaw(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")
