"""Security rules: how one is told in comparable attributes, which lets more through than which, which never acts.

Azure has a singular and a plural key for each side of a rule; here a side is one set, under the plural's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.kinds.addresses import ANY, ports, prefixes, within_ports, within_prefixes
from reconciler.kinds.base import Items
from reconciler.kinds.values import Folded, whole_number
from reconciler.model.wire import Json, JsonObject

PROTOCOLS = (ANY, "Tcp", "Udp", "Icmp", "Esp", "Ah")
_WORDS = {word.lower(): word for word in (*PROTOCOLS, "Allow", "Deny", "Inbound", "Outbound")} | {"any": ANY}

# Each side of a rule: the name of the set, which is Azure's plural, and the singular.
ADDRESSES = {
    "sourceAddressPrefixes": "sourceAddressPrefix",
    "destinationAddressPrefixes": "destinationAddressPrefix",
}
PORTS = {"sourcePortRanges": "sourcePortRange", "destinationPortRanges": "destinationPortRange"}
GROUPS = ("sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups")
_PLAIN = ("access", "direction", "protocol")


def read_rule(item: JsonObject) -> JsonObject:
    """Everything a rule says, as Azure or as people write it. What it does not say of a side is an empty set."""
    inner = item.get("properties")
    rule = inner if isinstance(inner, dict) else item
    told: JsonObject = {name: _word(rule.get(name)) for name in _PLAIN}
    told["priority"] = whole_number(rule.get("priority"))
    told |= {many: prefixes(_both(rule, many, one)) for many, one in ADDRESSES.items()}
    told |= {many: ports(_both(rule, many, one)) for many, one in PORTS.items()}
    told |= {name: _ids(rule.get(name)) for name in GROUPS}
    if "description" in rule:
        told["description"] = rule["description"] or None
    return told


def _word(value: Json) -> Json:
    return _WORDS.get(value.lower(), value) if isinstance(value, str) else value


def _both(rule: JsonObject, many: str, one: str) -> list[Json]:
    listed, single = rule.get(many), rule.get(one)
    return [*(listed if isinstance(listed, list) else []), *([single] if isinstance(single, str) and single else [])]


def _ids(value: Json) -> Json:
    listed = value if isinstance(value, list) else []
    ids = (each.get("id") if isinstance(each, dict) else each for each in listed)
    return [*sorted({Folded(each) for each in ids if isinstance(each, str)})]


def write_rule(item: JsonObject, attribute: str, value: Json) -> JsonObject:
    """The rule as Azure takes it, with one attribute as told: a set of one as the singular, of more as the plural."""
    inner = item.get("properties")
    rule: JsonObject = dict(inner) if isinstance(inner, dict) else {}
    singular = ADDRESSES.get(attribute) or PORTS.get(attribute)
    if singular:
        listed = value if isinstance(value, list) else []
        rule.pop(singular, None)
        rule[attribute] = listed if len(listed) > 1 else []
        if len(listed) == 1:
            rule[singular] = listed[0]
    elif attribute in GROUPS:
        listed = value if isinstance(value, list) else []
        rule[attribute] = [{"id": each} for each in listed]
    else:
        rule[attribute] = value
    kept: JsonObject = {
        name: each for name, each in rule.items() if each is not None and not (name in GROUPS and not each)
    }
    return {**item, "properties": kept}


def opens_rule(before: JsonObject | None, after: JsonObject | None) -> bool:
    """Whether a rule that becomes another (None: none) lets something through that it did not let through before.

    Said of the rule alone: what others allow or deny is not known here.
    """
    if before is None or after is None:
        return _allows(after) if before is None else before.get("access") == "Deny"
    if before.get("access") != after.get("access"):
        return _allows(after)
    if before.get("direction") != after.get("direction"):
        return True
    wide, narrow = (before, after) if _allows(after) else (after, before)
    return not within(narrow, wide) or _rank(narrow) < _rank(wide)


def _allows(rule: JsonObject | None) -> bool:
    return rule is not None and rule.get("access") == "Allow"


def _rank(rule: Mapping[str, Json]) -> int:
    priority = rule.get("priority")
    return priority if isinstance(priority, int) else 0


def within(inner: Mapping[str, Json], outer: Mapping[str, Json]) -> bool:
    """Whether every packet that `inner` speaks of is one that `outer` speaks of, as far as can be known here."""
    if outer.get("protocol") not in (ANY, inner.get("protocol")):
        return False
    if not all(within_ports(_texts(inner, name), _texts(outer, name)) for name in PORTS):
        return False
    return all(_side_within(inner, outer, names) for names in zip(ADDRESSES, GROUPS, strict=True))


def _side_within(inner: Mapping[str, Json], outer: Mapping[str, Json], names: tuple[str, str]) -> bool:
    addresses, groups = names
    wide = _texts(outer, addresses)
    if ANY in wide:
        return True
    if set(_texts(inner, groups)) - set(_texts(outer, groups)):
        return False
    narrow = _texts(inner, addresses)
    return within_prefixes(narrow, wide) and bool(narrow or _texts(inner, groups))


def _texts(rule: Mapping[str, Json], name: str) -> list[str]:
    value = rule.get(name)
    return [str(each) for each in value] if isinstance(value, list) else []


def find_shadowed(rules: Iterable[tuple[str, JsonObject]]) -> Iterator[tuple[str, str, bool]]:
    """(rule, earlier rule, same access) for every rule that never acts: an earlier one takes all it speaks of."""
    ordered = sorted(rules, key=lambda each: _rank(each[1]))
    for at, (name, rule) in enumerate(ordered):
        for earlier, before in ordered[:at]:
            if before["direction"] == rule["direction"] and _rank(before) < _rank(rule) and within(rule, before):
                yield name, earlier, before["access"] == rule["access"]
                break


RULES = Items(read=read_rule, write=write_rule, opens=opens_rule)
