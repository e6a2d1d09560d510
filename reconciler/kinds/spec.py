"""What a written value may be: the base of every spec and the scalar types that mind YAML's traps.

YAML's plain scalars arrive as `Plain`, their source text untouched, so that the field decides what was meant: a version
`0613` stays the text 0613, and `on` is never a boolean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


@dataclass(frozen=True, slots=True)
class Plain:
    """An unquoted YAML scalar, exactly as it stands in the file."""

    text: str


def _as_text(value: object) -> object:
    return value.text if isinstance(value, Plain) else value


def _as_whole(value: object) -> object:
    if not isinstance(value, Plain):
        return value
    text = value.text.replace("_", "")
    if text.lstrip("+-").isdigit() and (text.lstrip("+-") == "0" or not text.lstrip("+-").startswith("0")):
        return int(text)
    raise ValueError(f"{value.text!r} is not a whole number")


def _as_flag(value: object) -> object:
    if not isinstance(value, Plain):
        return value
    if value.text in ("true", "false"):
        return value.text == "true"
    raise ValueError(f"{value.text!r} is not a boolean; write true or false")


Text = Annotated[str, BeforeValidator(_as_text)]
Whole = Annotated[int, BeforeValidator(_as_whole)]
Flag = Annotated[bool, BeforeValidator(_as_flag)]


class Spec(BaseModel):
    """Base of every spec: Azure's camelCase names, unknown keys refused, nothing coerced."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=False, extra="forbid", strict=True, frozen=True
    )

    def written(self) -> dict[str, Any]:
        """The spec as it was written, in Azure's names: only what was set, null included."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)
