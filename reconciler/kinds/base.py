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
from reconciler.kinds.values import as_said
from reconciler.model.finding import Finding, Origin
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import Lifecycle
from reconciler.model.plan import DecisionState, Effect, FieldChange
from reconciler.model.resource import Desired, Live, LiveState
from reconciler.model.wire import ABSENT, Json, JsonObject, Maybe, WirePath, read_path, write_path
from reconciler.model.wish import Wish

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


def fixed(_before: Json, _after: Json) -> Effect:
    """Said when the resource is made and never again: also what was left out then stays as it is."""
    return Effect.REPLACE


def is_nothing(value: Json) -> bool:
    """Absent, null and empty are one and the same to Azure."""
    return value is None or value in ("", [], {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """How one item of a KEYED field is told in comparable attributes, where its own JSON is not flat.

    `read` gives every attribute of an item, of either side, in its normal form: total and idempotent, the keys left
    out. `write` gives the item with one of them as Azure takes it; None takes it away. `opens` says whether an item
    that becomes another (None: is not there) lets more through.
    """

    read: Callable[[JsonObject], JsonObject]
    write: Callable[[JsonObject, str, Json], JsonObject]
    opens: Callable[[JsonObject | None, JsonObject | None], bool] = lambda _before, _after: False


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an ARM type.

    `path` is what people write, `wire` where Azure keeps it. `normal` must be total and idempotent and gives the
    comparable form of a present value, of either side; `to_wire` turns that form into what Azure takes, or `overlay`
    does, given what stands there, where something of that has to stay. `default` is what Azure means by an absent key.
    `whole` names the object that a PATCH must carry complete. For a KEYED field, `keys` are the attributes that name an
    item and `normal` applies to each attribute value; or `items` says how an item is told, and the field's own path, if
    a document owns it, stands for which items there are: `item_names`. `refers` is the ARM type segment of the siblings
    that the value names.
    """

    path: str
    wire: WirePath
    shape: Shape = Shape.WHOLE
    effect: EffectOf = _in_place
    normal: Normal = _same
    to_wire: Normal = _same
    overlay: Callable[[Json, Json], Json] | None = None
    default: Json = None
    opens: Compare = _never
    whole: WirePath = ()
    keys: tuple[str, ...] = ()
    items: Items | None = None
    cuts: Compare = _never
    refers: str = ""
    sensitive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Where the SDK keeps the operations of a type. Words only; `cloud` resolves them and a contract test checks them.

    `names` are the keyword arguments that take the resource group and then each name of the id, in that order.
    `body` is the keyword of the body. `list_all` lists a subscription, `list_children` a parent; what neither lists is
    read by its id. What has no `delete` is never deleted.
    """

    client: Literal["cognitiveservices", "resources", "network", "privatedns"]
    group: str
    names: tuple[str, ...]
    get: str
    put: str
    body: str
    delete: str = ""
    patch: str = ""
    patch_body: str = ""
    list_all: str = ""
    list_children: str = ""
    deleted_group: str = ""
    deleted_list: str = ""
    deleted_get: str = ""
    purge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a write of this type may take before it counts as still in progress, and what is usual, in seconds."""

    create: float = 1800.0
    update: float = 1800.0
    delete: float = 1800.0
    usual_create: int = 5
    usual_update: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why a resource that is as declared does not do its work: blocked by somebody, or (`ACT`) to be made again."""

    state: DecisionState
    code: str
    reason: str
    permit: str = ""


def _free_of_others(_wire: JsonObject) -> Hold | None:
    return None


Split = Callable[[tuple[FieldChange, ...]], tuple[tuple[str, ...], ...]]


def _all_at_once(changes: tuple[FieldChange, ...]) -> tuple[tuple[str, ...], ...]:
    return (tuple(change.path for change in changes),)


def _free(_fields: Mapping[str, Json]) -> int:
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """One ARM type as a table.

    `readonly` are wire paths that a write made from a fresh read must leave out, `*` standing for any key of a map or
    any item of a list. `reserved` begins the names of what Azure itself keeps, in lower case. `split` groups the paths
    of an update into the writes that Azure takes, in order. `billed` counts the units of `fields` that cost money while
    they exist. `on_demand` types are looked at only where a document names one or they are pruned. `embedded` is where
    the parent's own answer holds the children of this type, so that nobody asks for them. `links` are the wire paths
    of the ids that a live resource uses: what they name cannot go while it does. `users` are those of whom Azure says
    that they use it, and `brings` of what comes and goes with it; `lingers` tells who else holds it, and lets go by
    itself after a while. `lane` is the path of a field that
    holds the id of what every write of this type locks as well, whose lane it therefore takes; `locks` are paths of
    more such ids. `later` is a second
    state that comes to rest after the first. A `guest` comes and goes with somebody else's resource: it is never
    surplus, and nobody declares it by name. Of a `sole` type a parent has one at most, whatever it is called. `serves`
    is where a resource names the one that waits for its write. `held` tells what keeps a live resource from working.
    What is `after_all` needs what it needs with all that is below it. `claims` is the path of addresses that no two
    siblings may share. `refuses` tells why a live resource cannot be changed as wanted, whatever is permitted. `joins`
    are wire paths of ids in what is written, each with the end of the action that must be permitted on what it names.
    `tells` gives what people want to know of a live resource whatever becomes of it.
    What `outlasts` its parent goes on holding something scarce while that is soft-deleted, so it is deleted before it.
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
    on_demand: bool = False
    embedded: WirePath = ()
    links: tuple[WirePath, ...] = ()
    users: tuple[WirePath, ...] = ()
    brings: tuple[WirePath, ...] = ()
    lingers: Callable[[JsonObject], tuple[str, ...]] = lambda _wire: ()
    lane: str = ""
    locks: tuple[str, ...] = ()
    later: WirePath = ()
    guest: bool = False
    sole: bool = False
    serves: WirePath = ()
    held: Callable[[JsonObject], Hold | None] = _free_of_others
    after_all: bool = False
    claims: str = ""
    refuses: Callable[[tuple[FieldChange, ...], JsonObject], Hold | None] = lambda _changes, _wire: None
    joins: tuple[tuple[WirePath, str], ...] = ()
    tells: Callable[[JsonObject], str] = lambda _wire: ""
    outlasts: bool = False

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
            return None if self.field.items and self.item else self.field.default
        return self._normal(raw)

    def read_item(self, wire: JsonObject) -> JsonObject | None:
        """All attributes of the item that this path is about, None where there is no such item."""
        listed = read_path(wire, self.field.wire)
        item = self._item(listed) if isinstance(listed, list) else None
        return self.field.items.read(item) if item is not None and self.field.items else None

    def holds(self, wire: JsonObject, value: Json) -> bool:
        """Whether `wire` says this value outright, in whatever spelling."""
        raw = self._find(read_path(wire, self.field.wire))
        return raw is not ABSENT and raw is not None and self._normal(raw) == value

    def write(self, wire: JsonObject, value: Json) -> JsonObject:
        """`wire` with `value` here; None takes the key away (what Azure does with an explicit null is not known)."""
        value = as_said(value)
        current = read_path(wire, self.field.wire)
        new: Maybe
        if self.field.shape is Shape.MAP:
            new = self._write_map(current, value)
        elif self.field.shape is Shape.KEYED and self.item:
            new = self._write_item(current, value)
        elif self.field.items:
            new = self._keep_items(current, value)
        elif self.field.overlay:
            new = self.field.overlay(None if current is ABSENT else current, value)
        else:
            new = ABSENT if value is None else self.field.to_wire(value)
        result = write_path(wire, self.field.wire, new)
        assert isinstance(result, dict)
        return result

    def _find(self, raw: Maybe) -> Maybe:
        if self.field.shape is Shape.MAP and isinstance(raw, dict):
            return next((value for key, value in raw.items() if key.lower() == self.item.lower()), ABSENT)
        if self.field.shape is Shape.KEYED and self.item and isinstance(raw, list):
            item = self._item(raw)
            if item is None:
                return ABSENT
            return (self.field.items.read(item) if self.field.items else item).get(self.attribute, ABSENT)
        return raw

    def _normal(self, raw: Json) -> Json:
        if self.field.items is None:
            return self.field.normal(raw)
        return raw if self.item else item_names(self.field, raw)

    def _item(self, listed: list[Json]) -> JsonObject | None:
        if len(self.field.keys) == 1:
            # The usual case, and a list may be long: whoever spells it as we do is found without further ado.
            key = self.field.keys[0]
            for each in listed:
                if isinstance(each, dict) and each.get(key) == self.item:
                    return each
        return next((each for each in listed if isinstance(each, dict) and self._names(each)), None)

    def _keep_items(self, current: Maybe, value: Json) -> Json:
        """The items that `value` names; those that are not there yet are made by their attributes."""
        names = value if isinstance(value, list) else []
        items = current if isinstance(current, list) else []
        return [each for each in items if isinstance(each, dict) and item_name(self.field, each).lower() in names]

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
                items[index] = self._with_attribute(each, value)
                return items
        # Only the first key is free text and may hold a colon itself.
        names = zip(self.field.keys, self.item.rsplit(":", len(self.field.keys) - 1), strict=False)
        return [*items, self._with_attribute(dict(names), value)]

    def _with_attribute(self, item: JsonObject, value: Json) -> JsonObject:
        if self.field.items:
            return self.field.items.write(item, self.attribute, value)
        return {**item, self.attribute: value}


def item_name(keyed: Field, item: JsonObject) -> str:
    """What a KEYED field calls one of its items: the values of its keys, such as `Hate:Prompt`."""
    return ":".join(str(item.get(key, "")) for key in keyed.keys)


def item_names(keyed: Field, items: Json) -> Json:
    """Which items there are: their names, folded and in order."""
    listed = items if isinstance(items, list) else []
    return [
        *sorted(
            {
                (item_name(keyed, each) if isinstance(each, dict) else str(each)).lower()
                for each in listed
                if isinstance(each, (dict, str))
            }
        )
    ]


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
        stripped = _strip(body, path)
        assert isinstance(stripped, dict)
        body = stripped
    return body


def _strip(value: Json, path: WirePath) -> Json:
    """`value` without what stands at `path`; `*` is every key of an object or every item of a list."""
    head, rest = path[0], path[1:]
    if head == "*" and isinstance(value, list):
        return [_strip(each, rest) for each in value] if rest else []
    if not isinstance(value, dict):
        return value
    keys = [key for key in value if head in ("*", key)]
    kept = {key: each for key, each in value.items() if key not in keys or rest}
    return kept | ({key: _strip(value[key], rest) for key in keys} if rest else {})


def read_links(type_: ResourceType, wire: JsonObject) -> Iterator[str]:
    """The folded ids of what a live resource uses."""
    yield from (each.lower() for each in read_ids(wire, type_.links))


_TOLD = 3


def read_ids(wire: JsonObject, paths: tuple[WirePath, ...]) -> Iterator[str]:
    """The ids that stand at `paths`, as Azure spells them; of a map those that are its keys."""
    for path in paths:
        for found in _gather(wire, path):
            for each in found if isinstance(found, dict) else (found,):
                if isinstance(each, str) and each:
                    yield each


def find_users(type_: ResourceType, wire: JsonObject) -> str:
    """Who still has a hand on a live resource, in words; "" when nobody does as far as Azure tells."""
    return _tell((*type_.lingers(wire), *_name_users(read_ids(wire, type_.users))))


def tell_users(ids: Iterable[str]) -> str:
    """Those who use something, by their ids, in words."""
    return _tell(_name_users(ids))


def _tell(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return ", ".join(names[:_TOLD]) + more


def _name_users(ids: Iterable[str]) -> tuple[str, ...]:
    """What people call the resources of these ids: what lies in a network interface is the interface."""
    return tuple(dict.fromkeys(_name_user(id) for id in ids))


def _name_user(id: str) -> str:
    try:
        parsed = ArmId.parse(id)
    except ValueError:
        return id
    owner = parsed.top if parsed.segments[1:2] and parsed.segments[1][0].lower() == "ipconfigurations" else parsed
    path = "/".join(part for segment in owner.segments for part in segment)
    return f"{path} in {owner.group}" if path else id


def _gather(value: Json, path: WirePath) -> Iterator[Json]:
    if not path:
        yield value
    elif path[0] == "*" and isinstance(value, list):
        for each in value:
            yield from _gather(each, path[1:])
    elif isinstance(value, dict):
        for key, each in value.items():
            if path[0] in ("*", key):
                yield from _gather(each, path[1:])


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
        if each.items:
            for attribute, value in each.items.read(item).items():
                yield f"{each.path}[{item_name(each, item)}].{attribute}", value
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
            value = as_said(each.normal(raw)) if each.shape is Shape.WHOLE else raw
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
    state, word = _meaning(read_path(wire, type_.state))
    if state is LiveState.SETTLED and type_.later:
        late, last = _meaning(read_path(wire, type_.later))
        return (state, word) if late is LiveState.SETTLED else (late, last)
    return state, word


def _meaning(raw: Maybe) -> tuple[LiveState, str]:
    word = raw if isinstance(raw, str) else ""
    folded = word.lower()
    if folded in ("", "succeeded", "disabled", "completed"):
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
    """What a document takes from its fleet where it says nothing itself. `moved` gives renamed documents' old names.

    `places` are the ids of all documents of the fleet, also of broken ones; `adopts_all` that existing resources may be
    taken over without a word in their document.
    """

    fleet: str
    subscription: str
    group: str = ""
    location: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[Ref, str] = field(default_factory=dict)
    places: Mapping[Ref, ArmId] = field(default_factory=dict)
    adopts_all: bool = False

    def find(self, kind: str, name: str) -> ArmId | None:
        """The id of the document of that kind and name, letters in either case."""
        folded = name.lower()
        return next((id for ref, id in self.places.items() if ref.kind == kind and ref.name.lower() == folded), None)

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of all documents of a kind."""
        return tuple(sorted(ref.name for ref in self.places if ref.kind == kind))

    def name_of(self, ref: Ref) -> str:
        """The name in Azure of what a document declares: its own, or the one it had before it was renamed."""
        return self.moved.get(ref, ref.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What a document stands for, resources or wishes, and what is wrong with it; with an error it is compared to
    others, never planned."""

    desired: tuple[Desired, ...] = ()
    wishes: tuple[Wish, ...] = ()
    findings: tuple[Finding, ...] = ()


def _says_nothing(_own: tuple[Desired, ...], _all: Mapping[ArmId, Desired]) -> tuple[Finding, ...]:
    return ()


def _wishes_nothing(
    _own: tuple[Wish, ...], _all: Mapping[ArmId, Desired], _wishes: tuple[Wish, ...]
) -> tuple[Finding, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A document kind: its typed spec, how it expands to ARM resources, how live resources are written as it again.

    `describe` takes the resource and everything live below it and gives the spec. `relate` takes what one document
    stands for and everything its fleet wants, and says what is wrong between them; what is not among the latter may be
    broken, or not ours. A kind without `types` stands for no resource, only for wishes, and describes none;
    `relate_wishes` takes those of one document, everything its fleet wants, and all its wishes. Pure; never raises for
    a spec that validated.
    """

    name: str
    spec: type[Spec]
    types: tuple[ResourceType, ...]
    expand: Callable[[Document, Setting], Expansion]
    summary: str
    describe: Callable[[Live, tuple[Live, ...]], JsonObject] = lambda _live, _below: {}
    relate: Callable[[tuple[Desired, ...], Mapping[ArmId, Desired]], tuple[Finding, ...]] = _says_nothing
    relate_wishes: Callable[[tuple[Wish, ...], Mapping[ArmId, Desired], tuple[Wish, ...]], tuple[Finding, ...]] = (
        _wishes_nothing
    )
