"""Report: security rules as people think of them, one line for a rule that comes whole. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from reconciler.model.plan import FieldChange
from reconciler.model.wire import Json
from reconciler.report.openings import name_entry
from reconciler.report.words import show_value

_RULES: Final = "securityRules"
# Without one of these there is no sentence; a document may have left it to somebody else.
_SAID: Final = (
    "access",
    "direction",
    "priority",
    "protocol",
    "sourceAddressPrefixes",
    "sourcePortRanges",
    "destinationAddressPrefixes",
    "destinationPortRanges",
)
_ANY: Final = "*"


def fold_rules(changes: tuple[FieldChange, ...]) -> tuple[FieldChange, ...]:
    """The changes with each new rule as one of them, in the order in which Azure asks the rules."""
    rules: dict[str, list[FieldChange]] = {}
    for change in changes:
        entry = name_entry(change.path)
        if is_rule(entry) and entry != change.path:
            rules.setdefault(entry, []).append(change)
    whole = {entry: _fold(entry, members) for entry, members in rules.items() if _is_new(members)}
    if not whole:
        return changes
    kept = [_without_new(change) for change in changes if name_entry(change.path) not in whole]
    new = sorted(whole, key=lambda entry: _rank(rules[entry]))
    return (*(change for change in kept if change is not None), *(whole[entry] for entry in new))


def is_rule(path: str) -> bool:
    return path.startswith(f"{_RULES}[")


def _is_new(members: list[FieldChange]) -> bool:
    said = {change.path.rpartition("].")[2] for change in members}
    return said.issuperset(_SAID) and all(change.before is None for change in members)


def _fold(entry: str, members: list[FieldChange]) -> FieldChange:
    return replace(
        members[0],
        path=entry,
        before=None,
        after=_tell_rule(_attributes(members)),
        opens=any(change.opens for change in members),
        closes=any(change.closes for change in members),
    )


def _attributes(members: list[FieldChange]) -> Mapping[str, Json]:
    return {change.path.rpartition("].")[2]: change.after for change in members}


def _rank(members: list[FieldChange]) -> tuple[str, int, str]:
    rule = _attributes(members)
    priority = rule["priority"]
    return str(rule["direction"]), priority if isinstance(priority, int) else 0, members[0].path


def _tell_rule(rule: Mapping[str, Json]) -> str:
    """`Inbound 100: Allow Tcp from 10.20.0.0/23 to 10.20.4.0/24 on 443`."""
    protocol = "any protocol" if rule["protocol"] == _ANY else show_value(rule["protocol"])
    source, target = (_tell_side(rule, side) for side in ("source", "destination"))
    ports = show_value(rule["destinationPortRanges"])
    words = f"{rule['direction']} {rule['priority']}: {rule['access']} {protocol} from {source} to {target}"
    words += " on any port" if ports == _ANY else f" on {ports}"
    return f'{words} "{rule["description"]}"' if rule.get("description") else words


def _tell_side(rule: Mapping[str, Json], side: str) -> str:
    groups = rule.get(f"{side}ApplicationSecurityGroups")
    listed = [each for each in (rule[f"{side}AddressPrefixes"], groups) if each]
    who = ", ".join("anywhere" if each == [_ANY] else show_value(each) for each in listed) or "nowhere"
    ports = show_value(rule["sourcePortRanges"])
    return f"{who} port {ports}" if side == "source" and ports != _ANY else who


def _without_new(change: FieldChange) -> FieldChange | None:
    """The list of rules less those that come: what is left of it are those that go."""
    if change.path != _RULES or not isinstance(change.after, list):
        return change
    before = change.before if isinstance(change.before, list) else []
    gone = [name for name in before if name not in change.after]
    return replace(change, before=before, after=[name for name in before if name not in gone]) if gone else None
