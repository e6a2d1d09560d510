"""One comparison for every kind: the values that documents own against the values that are live.

Used to plan and, after a write, to see whether Azure did what it was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from reconciler.kinds.base import ResourceType, Shape, is_nothing
from reconciler.model.plan import FieldChange
from reconciler.model.wire import Json, JsonObject


def compare(
    type_: ResourceType, fields: Mapping[str, Json], wire: JsonObject, ignore: Iterable[str] = ()
) -> tuple[FieldChange, ...]:
    """Every owned field whose live value differs, by path. Fields that match a pattern in `ignore` are left out."""
    patterns = tuple(ignore)
    changes = []
    for path in sorted(fields):
        if is_ignored(path, patterns):
            continue
        lens = type_.lens(path)
        before, after = lens.read(wire), fields[path]
        if before == after or (lens.field.shape is Shape.WHOLE and is_nothing(before) and is_nothing(after)):
            continue
        changes.append(
            FieldChange(
                path=path,
                before=before,
                after=after,
                effect=lens.field.effect(before, after),
                opens=lens.field.opens(before, after),
                closes=lens.field.opens(after, before),
                cuts=lens.field.cuts(before, after),
                sensitive=lens.field.sensitive,
            )
        )
    return tuple(changes)


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
