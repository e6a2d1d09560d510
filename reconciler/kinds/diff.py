"""One comparison for every kind: the values that documents own against the values that are live.

Used to plan and, after a write, to see whether Azure did what it was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from reconciler.kinds.base import Lens, ResourceType, Shape, is_nothing
from reconciler.model.plan import FieldChange
from reconciler.model.wire import Json, JsonObject


def compare(
    type_: ResourceType, fields: Mapping[str, Json], wire: JsonObject, ignore: Iterable[str] = ()
) -> tuple[FieldChange, ...]:
    """Every owned field whose live value differs, by path. Fields that match a pattern in `ignore` are left out."""
    patterns = tuple(ignore)
    changes = []
    items: dict[tuple[str, str], JsonObject] = {}
    for path in sorted(fields):
        if is_ignored(path, patterns):
            continue
        lens = type_.lens(path)
        before, after = _read(lens, wire, items), fields[path]
        plain = lens.field.shape is Shape.WHOLE or lens.field.items is not None
        if before == after or (plain and is_nothing(before) and is_nothing(after)):
            continue
        opens, closes = tell_exposure(lens, wire, fields)
        changes.append(
            FieldChange(
                path=path,
                before=before,
                after=after,
                effect=lens.field.effect(before, after),
                opens=opens,
                closes=closes,
                cuts=lens.field.cuts(before, after),
                sensitive=lens.field.sensitive,
            )
        )
    return tuple(changes)


def _read(lens: Lens, wire: JsonObject, items: dict[tuple[str, str], JsonObject]) -> Json:
    """The live value; an item is told once, whatever the number of its attributes."""
    if lens.field.items is None or not lens.item:
        return lens.read(wire)
    name = lens.field.path, lens.item
    if name not in items:
        items[name] = lens.read_item(wire) or {}
    return items[name].get(lens.attribute)


def tell_exposure(lens: Lens, wire: JsonObject, fields: Mapping[str, Json]) -> tuple[bool, bool]:
    """Whether making `wire` say what `fields` wants at this path lets more through, and whether it lets less."""
    before, after = lens.read(wire), fields[lens.path]
    items = lens.field.items
    if items is None:
        return lens.field.opens(before, after), lens.field.opens(after, before)
    if not lens.item:
        gone = [_item(lens, name, wire) for name in _names(before) if name not in _names(after)]
        return any(items.opens(each, None) for each in gone), any(items.opens(None, each) for each in gone)
    old = lens.read_item(wire)
    if old is None:
        prefix = f"{lens.field.path}[{lens.item}]."
        new = {name: fields[prefix + name] for name in items.read({}) if prefix + name in fields}
        return items.opens(None, new), items.opens(new, None)
    new = {**old, lens.attribute: after}
    return items.opens(old, new), items.opens(new, old)


def _names(value: Json) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _item(lens: Lens, name: str, wire: JsonObject) -> JsonObject | None:
    return replace(lens, item=name).read_item(wire)


def is_ignored(path: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern names the path or something above it; `*` stands for anything, letters in either case."""
    folded = path.lower()
    return any(
        fnmatchcase(folded, _literal(pattern)) or folded.startswith((pattern.lower() + ".", pattern.lower() + "["))
        for pattern in patterns
    )


def _literal(pattern: str) -> str:
    # Brackets name a child here; fnmatch would read them as a set of characters.
    return pattern.lower().replace("[", "[[]")
