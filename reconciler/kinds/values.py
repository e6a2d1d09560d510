"""Normal forms of values that kinds share. Each is total and idempotent, and serves either side of a comparison.

Where Azure does not tell letters of either case apart, the normal form is a `Folded`: compared without regard to case,
written as it was said.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from reconciler.model.ids import fold_location
from reconciler.model.wire import Json, JsonObject


class Folded(str):
    """A word in lower case, or in the spelling that is known for it, which remembers how it was said."""

    __slots__ = ("said",)
    said: str

    def __new__(cls, said: str, folded: str = "") -> Folded:
        """`said` as it is compared: in lower case unless `folded` says otherwise."""
        word = super().__new__(cls, folded or said.lower())
        word.said = said.said if isinstance(said, Folded) else str(said)
        return word


def as_said(value: Json) -> Json:
    """The value with every word as it was said."""
    if isinstance(value, Folded):
        return value.said
    if isinstance(value, list):
        return [as_said(each) for each in value]
    return {key: as_said(each) for key, each in value.items()} if isinstance(value, dict) else value


def location(value: Json) -> Json:
    return fold_location(value) if isinstance(value, str) else value


def folded(value: Json) -> Json:
    return Folded(value) if isinstance(value, str) else value


def one_of(*words: str) -> Callable[[Json], Json]:
    """The normal form of a closed word: the spelling that is known of it, compared without regard to case where none
    is."""
    known = {word.lower(): word for word in words}

    def fold(value: Json) -> Json:
        return (known.get(value.lower()) or Folded(value)) if isinstance(value, str) else value

    return fold


def names(value: Json) -> Json:
    """A list that is a set of names, such as those of hosts."""
    return [*sorted({Folded(str(item)) for item in value})] if isinstance(value, list) else value


def networks(value: Json) -> Json:
    """IP rules as a set of canonical networks; a bare address stays bare because Azure refuses /32."""
    if not isinstance(value, list):
        return value
    return [*sorted({_network(item.get("value") if isinstance(item, dict) else item) for item in value})]


def _network(item: Json) -> str:
    text = str(item).strip()
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return text
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def networks_to_wire(value: Json) -> Json:
    return [{"value": item} for item in value] if isinstance(value, list) else value


def subnet_rules(value: Json) -> Json:
    """Virtual network rules as a set of {id, ignoreMissingVnetServiceEndpoint}, ids folded."""
    if not isinstance(value, list):
        return value
    rules: dict[str, Json] = {}
    for item in value:
        rule: JsonObject = item if isinstance(item, dict) else {"id": item}
        id = Folded(_text(rule.get("id")))
        rules[id] = {"id": id, "ignoreMissingVnetServiceEndpoint": bool(rule.get("ignoreMissingVnetServiceEndpoint"))}
    return [rules[id] for id in sorted(rules)]


_IDENTITY = one_of("None", "SystemAssigned", "UserAssigned")


def identity_type(value: Json) -> Json:
    """`SystemAssigned,UserAssigned` in any order and spacing."""
    if not isinstance(value, str):
        return value
    return ", ".join(sorted(str(_IDENTITY(part.strip())) for part in value.split(",")))


def id_keys(value: Json) -> Json:
    """User-assigned identities: Azure keeps a map whose values are its own, people may write a list."""
    if isinstance(value, (dict, list)):
        return [*sorted({Folded(_text(id)) for id in value})]
    return value


def id_keys_to_wire(value: Json) -> Json:
    return {str(id): {} for id in value} if isinstance(value, list) else value


def reference(value: Json) -> Json:
    """An id, folded, which Azure wraps into an object."""
    id = value.get("id") if isinstance(value, dict) else value
    return Folded(id) if isinstance(id, str) else None


def reference_to_wire(value: Json) -> Json:
    return {"id": value}


def _text(value: Json) -> str:
    return value if isinstance(value, str) else str(value or "")


def whole_number(value: Json) -> Json:
    return int(value) if isinstance(value, float) and value.is_integer() else value
