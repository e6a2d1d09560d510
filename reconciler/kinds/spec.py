"""What a written value may be: the base of every spec, what every document shares, scalars that mind YAML's traps.

YAML's plain scalars arrive as `Plain`, their source text untouched, so that the field decides what was meant: a version
`0613` stays the text 0613, and `on` is never a boolean. Where a value was written is not known here.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic import Field as Described
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

API_VERSION = "reconciler/v1"


class Plain(str):
    """An unquoted YAML scalar, exactly as it stands in the file. Where text is meant it is that text."""

    __slots__ = ()


_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]*(_[0-9]+)*)")
_FRACTION = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def refuse(message: str, hint: str) -> PydanticCustomError:
    """The error a spec's validator raises for a value nobody can mean: what is wrong, and what would be right."""
    return PydanticCustomError("refused", "{message}", {"message": message, "hint": hint})


def _as_whole(value: object) -> object:
    if not isinstance(value, Plain):
        return value
    if _WHOLE.fullmatch(value):
        return int(value.replace("_", ""))
    raise refuse(f"{str(value)!r} is not a whole number", _whole_hint(value))


def _whole_hint(text: str) -> str:
    digits = text.lstrip("+-").lstrip("0").replace(",", "").replace("_", "")
    if digits.isdigit():
        return f"write {digits}"
    return "write digits only, for example 300"


def _as_flag(value: object) -> object:
    if not isinstance(value, Plain):
        return value
    if value in ("true", "false"):
        return value == "true"
    meant = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}
    folded = value.lower()
    likely = meant.get(folded, folded if folded in ("true", "false") else "")
    raise refuse(f"{str(value)!r} is not a boolean", f"write {likely}" if likely else "write true or false")


def _as_json(value: object) -> object:
    """A value no field is waiting for: only what JSON itself would write unquoted is anything but text."""
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if not isinstance(value, Plain):
        return value
    if value in ("true", "false"):
        return value == "true"
    if _WHOLE.fullmatch(value) and "_" not in value:
        return int(value)
    return float(value) if _FRACTION.fullmatch(value) else str(value)


Text = str
Whole = Annotated[int, BeforeValidator(_as_whole)]
Flag = Annotated[bool, BeforeValidator(_as_flag)]
Free = Annotated[object, BeforeValidator(_as_json)]

Permission = Literal["replace", "delete", "purge", "capacityCut", "provisioned", "cutOff"]


class Spec(BaseModel):
    """Base of every spec: Azure's camelCase names, unknown keys refused, nothing coerced."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, extra="forbid", strict=True, frozen=True
    )

    def written(self) -> dict[str, Any]:
        """The spec as it was written, in Azure's names: only what was set, null included."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class MetadataSpec(Spec):
    """What the document is called."""

    name: Annotated[Text, Described(min_length=1, description="The name in Azure; unique within its kind and fleet.")]
    labels: Annotated[
        dict[str, Text] | None, Described(description="Words to select documents by with -l; Azure never sees them.")
    ] = None
    annotations: Annotated[dict[str, Text] | None, Described(description="Notes of other tools; not looked at.")] = None


class LifecycleSpec(Spec):
    """How the reconciler treats what the document declares."""

    policy: Annotated[
        Literal["manage", "observe", "detach"],
        Described(
            description="manage converges it; observe reports drift and never writes; detach lets go and keeps it."
        ),
    ] = "manage"
    adopt: Annotated[Flag, Described(description="Take over a resource that exists and carries no owner's tag.")] = (
        False
    )
    prevent_destroy: Annotated[
        Flag, Described(description="Never delete, replace or purge it, whatever else is permitted.")
    ] = False
    ignore: Annotated[
        list[Text] | None,
        Described(
            description="Paths that others may change, such as tags.costCentre or deployments[gpt-4o].sku.capacity."
        ),
    ] = None
    moved: Annotated[
        Text | None,
        Described(description="The name the document had before it was renamed; the resource keeps it in Azure."),
    ] = None
    allow: Annotated[
        list[Permission] | None, Described(description="Dangerous actions that are permitted for this document only.")
    ] = None
