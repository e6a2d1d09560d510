"""Documents out to YAML, as a person would have written them: the way back of `import`.

Promises: what is written reads back exactly, placeholders included; nothing that another YAML reader might take for a
number, a date or a boolean is left unquoted where it is text; keys stand in the order of the specs. Validates nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml
from pydantic import BaseModel

from reconciler.desired.schema import SPECS, document_model
from reconciler.desired.shape import SpecField, child_fields, find_field
from reconciler.kinds.spec import API_VERSION
from reconciler.model.wire import Json, JsonObject

_HEADER = ("apiVersion", "kind", "metadata", "spec", "lifecycle")

# Begins like a number, a date or a version; or is a word that some YAML takes for a boolean or nothing.
_AMBIGUOUS = re.compile(
    r"[-+.]*[0-9].*|[-+]?\.(inf|nan)|y|n|yes|no|on|off|true|false|null|~|", re.IGNORECASE | re.DOTALL
)


def write_documents(documents: Sequence[JsonObject]) -> str:
    """One YAML document for each; `apiVersion` is added where it is missing."""
    return yaml.dump_all(
        [_arrange({"apiVersion": API_VERSION, **document}) for document in documents],
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=False,
        allow_unicode=True,
        explicit_start=len(documents) > 1,
        width=2**20,
    )


def _arrange(document: JsonObject) -> JsonObject:
    kind = document.get("kind")
    model: type[BaseModel] | None = document_model(kind) if isinstance(kind, str) and kind in SPECS else None
    ordered: JsonObject = {}
    for key in (*_HEADER, *document):
        if key in document:
            field = find_field(model, (key,)) if model else None
            ordered[key] = _order(document[key], field)
    return ordered


def _order(value: Json, field: SpecField | None) -> Json:
    """The keys of a spec in the order in which it is documented; what it does not know comes last, as it came."""
    if isinstance(value, list):
        return [_order(item, field.of_item() if field else None) for item in value]
    if not isinstance(value, dict):
        return value
    known = child_fields(field) if field and field.models else {}
    names = [*(name for name in known if name in value), *(name for name in value if name not in known)]
    return {name: _order(value[name], known.get(name)) for name in names}


class _Dumper(yaml.SafeDumper):
    """Block style, items of lists indented, no anchors."""

    def ignore_aliases(self, _data: object) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    escaped = text.replace("${", "$${")
    quoted = bool(_AMBIGUOUS.fullmatch(text)) or not text.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", escaped, style='"' if quoted else None)


_Dumper.add_representer(str, _represent_text)
