"""What a spec's types say about a path, for sentences and for `explain`: its shape, its values, its fields, its words.

Reads pydantic models only; knows neither documents nor places.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Keys = tuple[str | int, ...]


class Shape(StrEnum):
    TEXT = "text"
    WHOLE = "whole number"
    FLAG = "true or false"
    LIST = "list"
    MAPPING = "mapping"
    ANY = "anything"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecField:
    """One field of a spec, or an item of a list or mapping in it. `needed`: it or a sibling has to be said."""

    name: str
    shape: Shape
    values: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    models: tuple[type[BaseModel], ...] = ()
    item: object = None
    required: bool = False
    nullable: bool = False
    default: object = None
    description: str = ""
    rule: str = ""
    note: str = ""
    bounds: tuple[str, ...] = ()
    needed: bool = False
    example: str | None = None

    def of_item(self) -> SpecField | None:
        """What an item of this list (or a value of this mapping) is."""
        return None if self.item is None else _describe("", self.item)


def find_field(model: type[BaseModel], path: Keys) -> SpecField | None:
    """The field at `path`, list positions and keys of mappings included; None where the model has no such place."""
    here = SpecField(name="", shape=Shape.MAPPING, models=(model,), fields=_aliases((model,)))
    for part in path:
        below = _step(here, part)
        if below is None:
            return None
        here = below
    return here


def fields_of(model: type[BaseModel], path: Keys) -> tuple[str, ...]:
    """The names of the fields that may stand at `path`, in the order of the model."""
    found = find_field(model, path)
    return found.fields if found else ()


def shape_of(error_type: str) -> Shape:
    """The shape that one of pydantic's type errors was waiting for."""
    words = {"string_type": Shape.TEXT, "int_type": Shape.WHOLE, "bool_type": Shape.FLAG, "list_type": Shape.LIST}
    return words.get(error_type, Shape.MAPPING)


def child_fields(field: SpecField) -> dict[str, SpecField]:
    """The fields below this one by name; of a list, those of its items."""
    target = field if field.models else field.of_item() or field
    found: dict[str, SpecField] = {}
    for name in target.fields:
        below = _step(target, name)
        if below is not None:
            found[name] = below
    return found


def _step(here: SpecField, part: str | int) -> SpecField | None:
    if isinstance(part, str):
        for model in here.models:
            for name, info in model.model_fields.items():
                if (info.alias or name) == part:
                    return _from_info(part, info)
        return _describe(part, here.item) if here.shape is Shape.MAPPING and here.item is not None else None
    return _describe("", here.item) if here.shape is Shape.LIST and here.item is not None else None


def _from_info(name: str, info: FieldInfo) -> SpecField:
    found = _describe(name, info.annotation)
    extra: Mapping[str, object] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    return SpecField(
        name=name,
        shape=found.shape,
        values=found.values,
        fields=found.fields,
        models=found.models,
        item=found.item,
        required=info.is_required(),
        nullable=found.nullable,
        default=None if info.is_required() else info.default,
        description=info.description or "",
        rule=str(extra.get("rule", "")),
        note=str(extra.get("note", "")),
        bounds=tuple(_bounds([*info.metadata, *_inner_metadata(info.annotation)])),
        needed=bool(extra.get("needed")),
        example=str(info.examples[0]) if info.examples else None,
    )


def _inner_metadata(annotation: object) -> list[object]:
    """The constraints that the alternatives of a type bring along."""
    if get_origin(annotation) is Annotated:
        _, *said = get_args(annotation)
        return [inner for each in said for inner in (each.metadata if isinstance(each, FieldInfo) else [each])]
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for member in get_args(annotation) for inner in _inner_metadata(member)]
    return []


def _bounds(constraints: Iterable[object]) -> list[str]:
    words = {"ge": "at least {:,}", "le": "at most {:,}", "max_length": "at most {:,} items"}
    return [
        words[name].format(limit)
        for constraint in constraints
        for name in words
        if (limit := getattr(constraint, name, None)) is not None
    ]


def _describe(name: str, annotation: object) -> SpecField:
    shapes: list[Shape] = []
    values: list[str] = []
    models: list[type[BaseModel]] = []
    item: object = None
    nullable = False
    for member in _members(annotation):
        origin = get_origin(member)
        if member is type(None):
            nullable = True
        elif origin is Literal:
            shapes.append(Shape.TEXT)
            values += [str(value) for value in get_args(member)]
        elif origin is list:
            shapes.append(Shape.LIST)
            item = get_args(member)[0]
        elif origin is dict:
            shapes.append(Shape.MAPPING)
            item = get_args(member)[1]
        elif isinstance(member, type) and issubclass(member, BaseModel):
            shapes.append(Shape.MAPPING)
            models.append(member)
        else:
            shapes.append(_SCALARS.get(member, Shape.ANY))
    return SpecField(
        name=name,
        shape=shapes[0] if shapes else Shape.ANY,
        values=tuple(values),
        fields=_aliases(models),
        models=tuple(models),
        item=item,
        nullable=nullable,
    )


_SCALARS: Mapping[object, Shape] = {str: Shape.TEXT, int: Shape.WHOLE, bool: Shape.FLAG}


def _members(annotation: object) -> list[object]:
    """The alternatives of a type, `Annotated` unwrapped."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for member in get_args(annotation) for each in _members(member)]
    return [annotation]


def _aliases(models: tuple[type[BaseModel], ...] | list[type[BaseModel]]) -> tuple[str, ...]:
    return tuple(info.alias or name for model in models for name, info in model.model_fields.items())
