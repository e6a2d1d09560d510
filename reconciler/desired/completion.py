"""Documents of which something was refused, completed for checking: what is wrong with the rest of them?

What should have stood at a refused place is not known. So such a document is completed twice: scantily, with as little
there as the model allows, and amply, with something everywhere. A finding that arises both ways is one whatever should
have stood there; one that arises in either way only follows from the completion and is nobody's mistake. Promises: no
completion is ever planned. Knows neither kinds nor sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from reconciler.desired.refusal import Refusal, meant_by, read_refusals
from reconciler.desired.shape import Keys, Shape, SpecField, child_fields, find_field
from reconciler.desired.source import Tree
from reconciler.kinds.scalars import ID_TYPES
from reconciler.kinds.spec import Plain
from reconciler.model.finding import Finding
from reconciler.model.ids import ArmId
from reconciler.model.wire import ABSENT, Absent

Model = TypeVar("Model", bound=BaseModel)

# The fields by which others find something: their own name, and what they are about.
_SOUGHT = frozenset({"name", "virtualNetwork", "match"})
_ROUNDS = 60  # each takes away or fills in one thing at every refused place; what is not whole by then is let go


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion(Generic[Model]):
    """One way in which a document could go on. `written` turns a path of it into the path that people wrote.

    `nameless` says that something in one of its lists has lost what others find it by: it may be what any of them seek.
    """

    typed: Model
    written: Callable[[Keys], Keys]
    nameless: bool = False


def complete(
    content: Tree, model: type[Model], unfilled: Sequence[Keys] = ()
) -> tuple[Completion[Model], Completion[Model]] | None:
    """The scanty and the ample completion of a document, None where too little is left. `unfilled` are the paths of
    values that are refused although the model would take them."""
    both = tuple(_Completing(content, model, ample).run(unfilled) for ample in (False, True))
    scanty, ample = both
    return (scanty, ample) if scanty is not None and ample is not None else None


def agree(scanty: Iterable[Finding], ample: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that arise both ways. What would be right may be another thing either way; the first is kept."""
    said = {(each.code, each.message, each.origin) for each in ample}
    return tuple(each for each in scanty if (each.code, each.message, each.origin) in said)


@dataclass(slots=True)
class _Completing(Generic[Model]):
    """The search for values that the model takes at every refused place: `tried` counts how many were not taken."""

    content: Tree
    model: type[Model]
    ample: bool
    options: dict[Keys, tuple[Tree | Absent, ...]] = field(default_factory=dict)
    tried: dict[Keys, int] = field(default_factory=dict)
    names: dict[Keys, str] = field(default_factory=dict)
    nameless: bool = False

    def run(self, unfilled: Sequence[Keys]) -> Completion[Model] | None:
        for path in unfilled:
            self._offer(path, None)
        for _ in range(_ROUNDS):
            content, places = _assemble(self.content, self._chosen())
            try:
                typed = self.model.model_validate(content)
            except ValidationError as error:
                for refusal in read_refusals(content, error.errors()):
                    path = _translate(places, refusal.path)
                    if not path or not self._take(path, refusal):
                        return None
                continue
            return self._finish(typed, places)
        return None

    def _finish(self, typed: Model, places: Mapping[Keys, Keys]) -> Completion[Model]:
        now = {before: after for after, before in places.items()}
        for path, name in self.names.items():
            if path in now:
                typed = _put(typed, now[path], name)
        return Completion(typed=typed, written=lambda path: _translate(places, path), nameless=self.nameless)

    def _chosen(self) -> dict[Keys, Tree | Absent]:
        return {path: options[self.tried[path]] for path, options in self.options.items()}

    def _take(self, path: Keys, refusal: Refusal) -> bool:
        """Offer the next thing at a refused path, or else at the nearest above where anything is left to offer."""
        filled = next((path[:length] for length in range(1, len(path)) if self._fills(path[:length])), None)
        if filled is not None and refusal.type != "missing":
            return self._next(filled)
        if path in self.options:
            return self._next(path)
        if refusal.type == "extra_forbidden":
            self._offer_meant(path)
            self.options[path], self.tried[path] = (ABSENT,), 0
            return True
        if path[-1] == "name" and refusal.type == "string_pattern_mismatch" and _is_word(refusal.value):
            # Others refer to it, so it stays what it is called, also where Azure would not take it.
            self.names[path] = str(refusal.value)
        elif path[-1] in _SOUGHT or self._is_sought(path):
            self.nameless = True
        self._offer(path, refusal)
        return True

    def _is_sought(self, path: Keys) -> bool:
        found = find_field(self.model, path)
        return isinstance(path[-1], int) and found is not None and not _SOUGHT.isdisjoint(found.fields)

    def _fills(self, path: Keys) -> bool:
        """Whether what stands at `path` was put there, and is no mapping that is filled in further."""
        if path not in self.options:
            return False
        chosen = self.options[path][self.tried[path]]
        return chosen is not ABSENT and not isinstance(chosen, dict)

    def _next(self, path: Keys) -> bool:
        if self.tried[path] + 1 < len(self.options[path]):
            self.tried[path] += 1
            return True
        above = path[:-1]
        if len(above) < 2:
            # Only `kind`, `spec` and their like are left.
            return False
        for each in [each for each in self.options if each[: len(path)] == path]:
            del self.options[each], self.tried[each]
        self.nameless = self.nameless or self._is_sought(above)
        if above in self.options:
            return self._next(above)
        self._offer(above, None)
        return True

    def _offer(self, path: Keys, refusal: Refusal | None) -> None:
        number = len(self.options) + 1
        found = find_field(self.model, path)
        of_key = refusal is not None and refusal.of_key
        fills = [*_fill(found, number, self.ample)] if found is not None and not of_key else []
        if self.ample and isinstance(path[-1], int):
            beside = _find(self.content, path[:-1])
            said = _examples(find_field(self.model, path[:-1]))
            fills = [*(each for each in said if not isinstance(beside, list) or each not in beside), *fills]
        gone: tuple[Tree | Absent, ...] = () if refusal is not None and refusal.type == "missing" else (ABSENT,)
        self.options[path] = (*fills, *gone) if self.ample else (*gone, *fills)
        self.options[path] = self.options[path] or (ABSENT,)
        self.tried[path] = 0
        if self.ample and found is not None and found.shape is Shape.MAPPING:
            for name in child_fields(found) if found.models else ():
                self._offer((*path, name), None)

    def _offer_meant(self, path: Keys) -> None:
        """What an unknown field may have been meant for is there in an ample document: the field that it is a slip of,
        or else any."""
        if not self.ample:
            return
        above = find_field(self.model, path[:-1])
        near = [*meant_by(self.model, path)]
        for each in near or [(*path[:-1], name) for name in (child_fields(above) if above else ())]:
            if _find(self.content, each) is ABSENT and each not in self.options:
                self._offer(each, None)
                said = _find(self.content, path) if each in near else ABSENT
                self.options[each] = self.options[each] if said is ABSENT else (said, *self.options[each])


def _examples(found: SpecField | None) -> list[str]:
    """The words of a field's example, where it is one or a list of them."""
    text = (found.example if found else None) or ""
    return [] if "{" in text else [part for each in text.strip("[]").split(",") if (part := each.strip(' "'))]


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value != "" and "/" not in value


def _fill(found: SpecField, number: int, ample: bool) -> Iterator[Tree]:
    """Values of the shape that a field wants, each another for every number; most fields take one of them."""
    if found.values:
        yield from reversed(found.values) if ample else found.values
    if found.shape is Shape.WHOLE:
        yield from (Plain(4096 - number), Plain(1)) if ample else (Plain(100 + number), Plain(1))
    elif found.shape is Shape.FLAG:
        yield Plain("true" if ample else "false")
    elif found.shape is Shape.LIST:
        item = found.of_item()
        said = _examples(found)
        one: list[Tree] = [[*said]] if said and ample else []
        one += [[each] for each in _fill(item, number, ample)] if item else []
        yield from (*one, []) if ample else ([], *one)
    elif found.shape is Shape.MAPPING:
        yield {}
    elif not found.values:
        name, third = ("ample", 254) if ample else ("scanty", 255)
        name = f"{name}-{number}"
        yield from (name, f"{name}/{name}", "0.0.0.0/0", f"10.{third}.{number % 255}.9", "*", str(UUID(int=0)))
        for arm_type in ID_TYPES:
            yield str(ArmId(subscription=name, group=name).resource(arm_type, name))
        yield from _examples(found)


def _find(node: Tree, path: Keys) -> Tree | Absent:
    for part in path:
        if isinstance(node, dict) and part in node:
            node = node[str(part)]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            node = node[part]
        else:
            return ABSENT
    return node


def _assemble(content: Tree, chosen: Mapping[Keys, Tree | Absent]) -> tuple[Tree, dict[Keys, Keys]]:
    """The content with what was chosen, and for each path of it the path that it has in `content`."""
    places: dict[Keys, Keys] = {}
    below: dict[Keys, list[Keys]] = {}
    for path in chosen:
        below.setdefault(path[:-1], []).append(path)

    def build(node: Tree, before: Keys, after: Keys) -> Tree | Absent:
        node_or_gone = chosen.get(before, node)
        if node_or_gone is ABSENT:
            return ABSENT
        assert not isinstance(node_or_gone, Absent)
        places[after] = before
        if isinstance(node_or_gone, list):
            return build_list(node_or_gone, before, after)
        if not isinstance(node_or_gone, dict):
            return node_or_gone
        added = [str(path[-1]) for path in below.get(before, ()) if path[-1] not in node_or_gone]
        built = {key: build(node_or_gone.get(key), (*before, key), (*after, key)) for key in (*node_or_gone, *added)}
        return {key: each for key, each in built.items() if not isinstance(each, Absent)}

    def build_list(listed: list[Tree], before: Keys, after: Keys) -> list[Tree]:
        kept: list[Tree] = []
        for at, each in enumerate(listed):
            item = build(each, (*before, at), (*after, len(kept)))
            if not isinstance(item, Absent):
                kept.append(item)
        return kept

    whole = build(content, (), ())
    return (None if isinstance(whole, Absent) else whole), places


def _translate(places: Mapping[Keys, Keys], path: Keys) -> Keys:
    for length in range(len(path), -1, -1):
        if path[:length] in places:
            return (*places[path[:length]], *path[length:])
    return path


def _put(node: Model, path: Keys, value: str) -> Model:
    """The model with `value` at `path`, not validated again."""
    name = next((name for name, info in type(node).model_fields.items() if (info.alias or name) == path[0]), "")
    inner = getattr(node, name)
    return node.model_copy(update={name: _put_below(inner, path[1:], value)})


def _put_below(inner: object, path: Keys, value: str) -> object:
    if not path:
        return value
    if isinstance(inner, BaseModel):
        return _put(inner, path, value)
    if isinstance(inner, list) and isinstance(path[0], int):
        at = path[0]
        return [*inner[:at], _put_below(inner[at], path[1:], value), *inner[at + 1 :]]
    return inner
