"""The vocabulary of a kind: fields, ARM types, bindings, document kinds; and the four things done with a field table.

`project` turns Azure's JSON into flat comparable values, `declare` turns a written spec into the same, `compose` turns
values back into the body of a write, `describe` turns Azure's JSON back into a spec. One table drives all four, so they
cannot disagree. No I/O and no Azure package here: a `Binding` is words, resolved by `cloud`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from reconciler.kinds.spec import Spec
from reconciler.model.finding import Finding, Origin
from reconciler.model.ids import Ref
from reconciler.model.plan import Effect, FieldChange
from reconciler.model.resource import Desired, Lifecycle, Live, LiveState
from reconciler.model.wire import ABSENT, Json, JsonObject, Maybe, WirePath, read_path, write_path

Normal = Callable[[Json], Json]
Compare = Callable[[Json, Json], bool]
EffectOf = Callable[[Json, Json], Effect]


class Shape(StrEnum):
    """How a field's value is owned: as one value, per key of a map, or per item of a list matched by key."""

    WHOLE = "whole"
    MAP = "map"
    KEYED = "keyed"


def _same(value: Json) -> Json:
    return value


def _never(_before: Json, _after: Json) -> bool:
    return False


def _in_place(_before: Json, _after: Json) -> Effect:
    return Effect.IN_PLACE


def once(before: Json, _after: Json) -> Effect:
    """Settable while unset; afterwards only by replacing the resource. What Azure left out never destroys anything."""
    return Effect.IN_PLACE if is_nothing(before) else Effect.REPLACE


def is_nothing(value: Json) -> bool:
    """Absent, null and empty are one and the same to Azure."""
    return value is None or value in ("", [], {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an ARM type.

    `path` is what people write, `wire` where Azure keeps it. `normal` must be total and idempotent and gives the
    comparable form of a present value, of either side; `to_wire` turns that form into what Azure takes. `default` is
    what Azure means by an absent key. `whole` names the object that a PATCH must carry complete. For a KEYED field,
    `keys` are the attributes that name an item and `normal` applies to each attribute value. `refers` is the ARM
    type segment of the siblings that the value names.
    """

    path: str
    wire: WirePath
    shape: Shape = Shape.WHOLE
    effect: EffectOf = _in_place
    normal: Normal = _same
    to_wire: Normal = _same
    default: Json = None
    opens: Compare = _never
    whole: WirePath = ()
    keys: tuple[str, ...] = ()
    cuts: Compare = _never
    refers: str = ""
    sensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where the SDK keeps the operations of a type. Words only; `cloud` resolves them and a contract test checks them.

    `names` are the keyword arguments that take the resource group and then each name of the id, in that order.
    `body` is the keyword of the body. `list_all` lists a subscription, `list_children` a parent.
    """

    client: Literal["cognitiveservices", "resources"]
    group: str
    names: tuple[str, ...]
    get: str
    put: str
    delete: str
    body: str
    patch: str = ""
    patch_body: str = ""
    list_all: str = ""
    list_children: str = ""
    deleted_group: str = ""
    deleted_list: str = ""
    purge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a write of this type may take before it counts as still in progress, and what is usual, in seconds."""

    create: float = 1800.0
    update: float = 1800.0
    delete: float = 1800.0
    usual_create: int = 5
    usual_update: int = 5


Split = Callable[[tuple[FieldChange, ...]], tuple[tuple[str, ...], ...]]


def _all_at_once(changes: tuple[FieldChange, ...]) -> tuple[tuple[str, ...], ...]:
    return (tuple(change.path for change in changes),)


def _free(_fields: Mapping[str, Json]) -> int:
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """One ARM type as a table.

    `readonly` are wire paths that a write made from a fresh read must leave out, `*` standing for any key. `reserved`
    begins the names of what Azure itself keeps, in lower case. `split` groups the paths of an update
    into the writes that Azure takes, in order. `billed` counts the units of `fields` that cost money while they exist.
    """

    arm_type: str
    word: str  # what people call it
    binding: Binding
    fields: tuple[Field, ...]
    readonly: tuple[WirePath, ...] = ()
    state: WirePath = ("properties", "provisioningState")
    passthrough: WirePath = ("properties",)
    patches: bool = False
    soft_deletes: bool = False
    taggable: bool = False
    reserved: str = ""
    patience: Patience = Patience()
    born: Mapping[str, Json] = field(
        default_factory=dict
    )  # the closed value of a first PUT; what was wanted comes last
    split: Split = _all_at_once
    billed: Callable[[Mapping[str, Json]], int] = _free

    def reserves(self, name: str) -> bool:
        """Whether a resource of this name is Azure's own: never declared, never deleted."""
        return bool(self.reserved) and name.lower().startswith(self.reserved)

    def lens(self, path: str) -> Lens:
        """The way to one value: a field, a key of a map, an attribute of a keyed item, or a passed-through path."""
        for each in self.fields:
            if each.path == path:
                return Lens(field=each, path=path)
            if each.shape is Shape.MAP and path.startswith(each.path + "."):
                return Lens(field=each, path=path, item=path[len(each.path) + 1 :])
            if each.shape is Shape.KEYED and path.startswith(each.path + "["):
                match = re.fullmatch(r"\[(.*)\]\.([^.\[\]]+)", path[len(each.path) :])
                if match:
                    return Lens(field=each, path=path, item=match[1], attribute=match[2])
        return Lens(field=Field(path=path, wire=(*self.passthrough, *path.split("."))), path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lens:
    """One path of one type: reads the normalised value out of Azure's JSON and writes a value back into it."""

    field: Field
    path: str
    item: str = ""
    attribute: str = ""

    def read(self, wire: JsonObject) -> Json:
        """The normalised live value; the field's default where Azure left it out; None for absent."""
        raw = self._find(read_path(wire, self.field.wire))
        if raw is ABSENT or raw is None:
            return self.field.default
        return self.field.normal(raw)

    def holds(self, wire: JsonObject, value: Json) -> bool:
        """Whether `wire` says this value outright, in whatever spelling."""
        raw = self._find(read_path(wire, self.field.wire))
        return raw is not ABSENT and raw is not None and self.field.normal(raw) == value

    def write(self, wire: JsonObject, value: Json) -> JsonObject:
        """`wire` with `value` here; None takes the key away (what Azure does with an explicit null is not known)."""
        current = read_path(wire, self.field.wire)
        new: Maybe
        if self.field.shape is Shape.MAP:
            new = self._write_map(current, value)
        elif self.field.shape is Shape.KEYED and self.item:
            new = self._write_item(current, value)
        else:
            new = ABSENT if value is None else self.field.to_wire(value)
        result = write_path(wire, self.field.wire, new)
        assert isinstance(result, dict)
        return result

    def _find(self, raw: Maybe) -> Maybe:
        if self.field.shape is Shape.MAP and isinstance(raw, dict):
            return next((value for key, value in raw.items() if key.lower() == self.item.lower()), ABSENT)
        if self.field.shape is Shape.KEYED and self.item and isinstance(raw, list):
            item = next((each for each in raw if isinstance(each, dict) and self._names(each)), None)
            return ABSENT if item is None else item.get(self.attribute, ABSENT)
        return raw

    def _names(self, item: JsonObject) -> bool:
        return bool(self.field.keys) and item_name(self.field, item).lower() == self.item.lower()

    def _write_map(self, current: Maybe, value: Json) -> Json:
        kept: JsonObject = {}
        if isinstance(current, dict):
            kept = {key: each for key, each in current.items() if key.lower() != self.item.lower()}
        if value is not None:
            kept[self.item] = self.field.to_wire(value)
        return kept

    def _write_item(self, current: Maybe, value: Json) -> Json:
        items: list[Json] = list(current) if isinstance(current, list) else []
        for index, each in enumerate(items):
            if isinstance(each, dict) and self._names(each):
                items[index] = {**each, self.attribute: value}
                return items
        # Only the first key is free text and may hold a colon itself.
        names = zip(self.field.keys, self.item.rsplit(":", len(self.field.keys) - 1), strict=False)
        return [*items, {**dict(names), self.attribute: value}]


def item_name(keyed: Field, item: JsonObject) -> str:
    """What a KEYED field calls one of its items: the values of its keys, such as `Hate:Prompt`."""
    return ":".join(str(item.get(key, "")) for key in keyed.keys)


def project(type_: ResourceType, wire: JsonObject, paths: Iterable[str]) -> dict[str, Json]:
    """The normalised live values at `paths`, in the order asked."""
    return {path: type_.lens(path).read(wire) for path in paths}


def compose(type_: ResourceType, fields: Mapping[str, Json], live: JsonObject | None) -> JsonObject:
    """The body of a PUT: what is live less what is read-only, overlaid with `fields`. `live` is None for a create.

    A value that means the same as the live one keeps Azure's spelling: a subdomain in other letters is refused.
    """
    body: JsonObject = {"properties": {}} if type_.passthrough else {}
    if live is not None:
        body = _writable(type_, live)
    implied = _implied(type_, fields, body)
    for path, value in fields.items():
        lens = type_.lens(path)
        says_nothing = is_nothing(value) and value != "" and lens.read(body) == value
        if path in implied or says_nothing or lens.holds(body, value):
            continue
        body = lens.write(body, value)
    return body


def _implied(type_: ResourceType, fields: Mapping[str, Json], body: JsonObject) -> frozenset[str]:
    """The paths inside an object that is not there and would say nothing but Azure's defaults. It is not sent:
    without a subdomain Azure takes no networkAcls at all, not even those that mean the same as none."""
    inside: dict[WirePath, list[str]] = {}
    for path in fields:
        whole = type_.lens(path).field.whole
        if whole and read_path(body, whole) is ABSENT:
            inside.setdefault(whole, []).append(path)
    return frozenset(
        path for paths in inside.values() if all(_is_default(type_, each, fields) for each in paths) for path in paths
    )


def _is_default(type_: ResourceType, path: str, fields: Mapping[str, Json]) -> bool:
    return type_.lens(path).field.shape is Shape.WHOLE and type_.lens(path).field.default == fields[path]


def compose_patch(type_: ResourceType, fields: Mapping[str, Json], live: JsonObject) -> JsonObject:
    """The body of a PATCH: `fields` only, but each object that Azure replaces as a whole is sent whole, from `live`."""
    body: JsonObject = {}
    for path in fields:
        whole = type_.lens(path).field.whole
        present = read_path(live, whole) if whole else ABSENT
        if whole and read_path(body, whole) is ABSENT and present is not ABSENT:
            seeded = write_path(body, whole, present)
            assert isinstance(seeded, dict)
            body = seeded
    for path, value in fields.items():
        body = type_.lens(path).write(body, value)
    return _without(body, type_.readonly)


def _writable(type_: ResourceType, live: JsonObject) -> JsonObject:
    body = {key: value for key, value in live.items() if key not in _ENVELOPE}
    return _without(body, (*type_.readonly, type_.state))


def _without(body: JsonObject, paths: tuple[WirePath, ...]) -> JsonObject:
    for path in paths:
        for each in _spell_out(body, path):
            stripped = write_path(body, each, ABSENT)
            assert isinstance(stripped, dict)
            body = stripped
    return body


def _spell_out(body: JsonObject, path: WirePath) -> list[WirePath]:
    """The path, or one for each key that its `*` can stand for."""
    if "*" not in path:
        return [path]
    at = path.index("*")
    inside = read_path(body, path[:at])
    return [(*path[:at], key, *path[at + 1 :]) for key in inside] if isinstance(inside, dict) else []


_ENVELOPE = frozenset({"id", "name", "type", "etag", "systemData"})


def declare(type_: ResourceType, spec: Mapping[str, Json]) -> dict[str, Json]:
    """What a written spec owns: path → normalised value for every field that was written, null included."""
    fields: dict[str, Json] = {}
    for each in type_.fields:
        raw = read_path(dict(spec), tuple(each.path.split(".")))
        if raw is ABSENT:
            continue
        if each.shape is Shape.WHOLE:
            fields[each.path] = _normalise(each, raw)
        elif isinstance(raw, dict):
            fields.update({f"{each.path}.{key}": _normalise(each, value) for key, value in fold_keys(raw).items()})
        elif isinstance(raw, list):
            fields.update(_declare_items(each, raw))
    extra = spec.get("additionalProperties")
    if isinstance(extra, dict):
        fields.update(_leaves("", extra))
    return fields


def fold_keys(*maps: Mapping[str, Json]) -> dict[str, Json]:
    """The maps as one; of keys that differ only in case, which Azure does not tell apart, the last is kept."""
    spelled = {key.lower(): (key, value) for each in maps for key, value in each.items()}
    return dict(spelled.values())


def _normalise(each: Field, value: Json) -> Json:
    return each.default if value is None else each.normal(value)


def _declare_items(each: Field, items: list[Json]) -> Iterator[tuple[str, Json]]:
    for item in items:
        if not isinstance(item, dict):
            continue
        # What names the item says nothing more about it, unless nothing else is said.
        said = {name: value for name, value in item.items() if name not in each.keys} or item
        for attribute, value in said.items():
            yield f"{each.path}[{item_name(each, item)}].{attribute}", _normalise(each, value)


def _leaves(prefix: str, value: JsonObject) -> Iterator[tuple[str, Json]]:
    for key, item in value.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(item, dict) and item:
            yield from _leaves(path, item)
        else:
            yield path, item


def describe(type_: ResourceType, wire: JsonObject, keep: frozenset[str] = frozenset()) -> JsonObject:
    """The spec that declares what is live: every field of the table that is there and is not Azure's default, and
    those in `keep` whatever they are."""
    spec: JsonObject = {}
    for each in type_.fields:
        raw = read_path(wire, each.wire)
        value = each.default
        if raw is not ABSENT and raw is not None:
            value = each.normal(raw) if each.shape is Shape.WHOLE else raw
        elif each.path not in keep:
            continue
        if each.path not in keep and (value == each.default or value in ({}, [])):
            continue
        written = write_path(spec, tuple(each.path.split(".")), value)
        assert isinstance(written, dict)
        spec = written
    return spec


def settle(type_: ResourceType, wire: JsonObject) -> tuple[LiveState, str]:
    """What Azure's provisioning state means; a resource without one is settled."""
    raw = read_path(wire, type_.state)
    word = raw if isinstance(raw, str) else ""
    folded = word.lower()
    if folded in ("", "succeeded", "disabled"):
        return LiveState.SETTLED, word
    if folded in ("failed", "canceled"):
        return LiveState.FAILED, word
    return (LiveState.DELETING if folded == "deleting" else LiveState.IN_PROGRESS), word


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One desired-state document after validation. `place` gives the origin of a path such as ("sku", "capacity")."""

    ref: Ref
    spec: Spec
    lifecycle: Lifecycle
    labels: Mapping[str, str]
    origin: Origin
    name_origin: Origin
    place: Callable[[tuple[str | int, ...]], Origin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a document takes from its fleet where it says nothing itself. `moved` gives renamed documents' old names."""

    fleet: str
    subscription: str
    group: str = ""
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[Ref, str] = field(default_factory=dict)

    def name_of(self, ref: Ref) -> str:
        """The name in Azure of what a document declares: its own, or the one it had before it was renamed."""
        return self.moved.get(ref, ref.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What a document stands for: ARM resources, or what keeps it from standing for any."""

    desired: tuple[Desired, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A document kind: its typed spec, how it expands to ARM resources, how live resources are written as it again.

    `describe` takes the resource and everything live below it and gives (metadata name, spec). Pure; never raises for a
    spec that validated.
    """

    name: str
    spec: type[Spec]
    types: tuple[ResourceType, ...]
    expand: Callable[[Document, Setting], Expansion]
    describe: Callable[[Live, tuple[Live, ...]], JsonObject]
    summary: str
