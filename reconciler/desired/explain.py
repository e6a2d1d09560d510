"""The format explained by itself: a JSON Schema for editors and `explain` for the terminal, both from the specs.

Promises: what is said here is what is validated, because both read the same models. Touches no file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from textwrap import wrap

from pydantic.json_schema import GenerateJsonSchema

from reconciler.desired.schema import FLEET, SPECS, document_model, suggest
from reconciler.desired.shape import Shape, SpecField, child_fields, find_field
from reconciler.kinds.catalog import KINDS
from reconciler.kinds.spec import API_VERSION
from reconciler.model.wire import Json, JsonObject, thaw

_WIDTH = 80
_DEEP = 5


def make_schema() -> JsonObject:
    """JSON Schema (draft 2020-12) of a document of any kind, as editors with a YAML language server take it."""
    definitions: JsonObject = {}
    choices: list[Json] = []
    for kind in SPECS:
        written = thaw(document_model(kind).model_json_schema(by_alias=True, ref_template="#/$defs/{model}"))
        assert isinstance(written, dict)
        below = written.pop("$defs", {})
        assert isinstance(below, dict)
        definitions |= below
        _lift_spec(written, kind)
        definitions[kind] = {**written, "title": kind}
        choices.append({"$ref": f"#/$defs/{kind}"})
    schema: JsonObject = {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": f"Desired state of reconciler, {API_VERSION}",
        "type": "object",
        "required": ["apiVersion", "kind", "metadata"],
        "oneOf": choices,
        "$defs": {name: definitions[name] for name in sorted(definitions)},
    }
    tidy = _tidy(schema)
    assert isinstance(tidy, dict)
    return tidy


def _lift_spec(written: JsonObject, kind: str) -> None:
    """A spec whose fields may all be left out may be left out itself."""
    required = written.get("required")
    if isinstance(required, list) and not any(info.is_required() for info in SPECS[kind].model_fields.values()):
        written["required"] = [name for name in required if name != "spec"]


def _tidy(value: Json, of_fields: bool = False) -> Json:
    """Drop what pydantic adds for itself, titles made of field names and null defaults, and our words for sentences."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    if of_fields:
        return {key: _tidy(item) for key, item in value.items()}
    textual = value.get("type") == "string" and {"enum", "pattern"} & set(value)
    if textual or value.get("type") in ("integer", "boolean"):
        return _or_placeholder(value)
    note = value.get("note")
    kept: JsonObject = {}
    for key, item in value.items():
        if key in ("rule", "note") or (key == "default" and item is None):
            continue
        if key == "title" and "properties" not in value and "oneOf" not in value:
            continue
        kept[key] = _tidy(item, key in ("properties", "$defs"))
    if isinstance(note, str):
        kept["description"] = f"{kept.get('description', '')} {note}".strip()
    return kept


def _or_placeholder(value: JsonObject) -> JsonObject:
    """A value that an editor may check, unless it is only known when the environment is."""
    about: JsonObject = {key: value[key] for key in ("description", "default", "examples") if key in value}
    note = value.get("note")
    if isinstance(note, str):
        about["description"] = f"{about.get('description', '')} {note}".strip()
    checked = {key: value[key] for key in value if key not in about and key not in ("rule", "note", "title")}
    return {**about, "anyOf": [checked, {"type": "string", "pattern": r"\$\{[A-Za-z_]"}]}


class UnknownTopicError(LookupError):
    """Nothing of that name is part of the format; the text says what is near."""


def explain(topic: str) -> str:
    """What a kind or a field means, for a terminal: `Account`, `Account.networkAcls`, `Account.metadata.name`."""
    words = [word for word in re.split(r"[.\[]", re.sub(r"\[[^\]]*\]", "", topic)) if word]
    if not words:
        return _explain_all()
    kind = next((each for each in SPECS if each.lower() == words[0].lower()), None)
    if kind is None:
        known = f"known kinds: {', '.join(sorted(SPECS))}"
        raise UnknownTopicError(f"there is no kind {words[0]}; {suggest(words[0], SPECS) or known}")
    if len(words) == 1:
        return _explain_kind(kind)
    return "\n".join(_explain_field(kind, _walk(kind, words[1:]))) + "\n"


def _explain_all() -> str:
    lines = ["Kinds of documents:", ""]
    summaries = {FLEET: _sentence(FLEET), **{kind.name: kind.summary for kind in KINDS}}
    wide = max(len(name) for name in summaries)
    for name, summary in summaries.items():
        lines += _columns(f"  {name:<{wide}}  ", summary)
    return "\n".join([*lines, "", "`explain Account.networkAcls` tells about a field.", ""])


def _sentence(kind: str) -> str:
    return " ".join((SPECS[kind].__doc__ or "").split())


# What a document of a kind might be called.
_NAMES = {
    FLEET: "production",
    "Account": "aoai-swc-prod",
    "ModelPool": "chat",
    "NetworkSecurityGroup": "nsg-app",
    "PrivateDnsZone": "privatelink.openai.azure.com",
    "PrivateEndpoint": "pe-aoai-swc-prod",
    "Quota": "swedencentral",
    "ResourceGroup": "rg-ai-prod",
    "VirtualNetwork": "vnet-ai",
}


def _explain_kind(kind: str) -> str:
    model = document_model(kind)
    spec = find_field(model, ("spec",))
    assert spec is not None
    lines = [kind, "", *_columns("  ", _sentence(kind)), "", "Fields of spec:", "", *_list_fields(child_fields(spec))]
    if kind != FLEET:
        lifecycle = find_field(model, ("lifecycle",))
        assert lifecycle is not None
        lines += ["", "Fields of lifecycle, which may be left out:", "", *_list_fields(child_fields(lifecycle))]
    lines += ["", "Example:", "", f"  apiVersion: {API_VERSION}", f"  kind: {kind}", "  metadata:"]
    lines += [f"    name: {_NAMES[kind]}", *_example([], "spec", spec)]
    return "\n".join(lines) + "\n"


_Way = list[tuple[str, SpecField]]


def _walk(kind: str, words: list[str]) -> _Way:
    """The way to the field that the words name, in any case, through lists, with or without the wrapper `spec`."""
    model = document_model(kind)
    top = {name: field for name in ("metadata", "spec", "lifecycle") if (field := find_field(model, (name,)))}
    first = next((name for name in top if name.lower() == words[0].lower()), None)
    spec_fields = child_fields(top["spec"])
    if first is None or first in spec_fields:
        first, rest = "spec", words
    else:
        rest = words[1:]
    way = [(first, top[first])]
    for word in rest:
        below = child_fields(way[-1][1])
        name = next((each for each in below if each.lower() == word.lower()), None)
        if name is None:
            hint = suggest(word, below) or (f"it has: {', '.join(below)}" if below else "it has no fields")
            raise UnknownTopicError(f"{_title(kind, way)} has no field {word}; {hint}")
        way.append((name, below[name]))
    return way


def _title(kind: str, way: _Way) -> str:
    return ".".join((kind, *(name for name, _ in way if name != "spec")))


def _explain_field(kind: str, way: _Way) -> Iterator[str]:
    name, field = way[-1]
    yield _title(kind, way)
    yield ""
    for text in (field.description, field.note):
        yield from _columns("  ", text) if text else ()
    if field.description or field.note:
        yield ""
    yield f"  type      {_say_type(field)}"
    if field.values:
        yield from _columns("  values    ", ", ".join(field.values))
    for label, text in (("limits", ", ".join(field.bounds)), ("rule", field.rule), ("default", _say_default(field))):
        if text:
            yield from _columns(f"  {label:<8}  ", text)
    below = child_fields(field)
    if below:
        yield from ("", "Fields:", "", *_list_fields(below))
    yield from ("", "Example:", "", *_example(way[:-1], name, field))


def _say_type(field: SpecField) -> str:
    items = f" of {_say_item(field)}" if field.shape is Shape.LIST else ""
    kind = f"{field.shape.value}{items}"
    if field.models and field.shape is not Shape.MAPPING:
        kind += ", or a mapping of fields"
    return f"{kind}, required" if field.required else kind


def _say_item(field: SpecField) -> str:
    item = field.of_item()
    return "anything" if item is None else "mappings" if item.shape is Shape.MAPPING else f"{item.shape.value}s"


def _say_default(field: SpecField) -> str:
    if field.required or field.default is None:
        return ""
    return json.dumps(field.default) if isinstance(field.default, bool) else str(field.default)


def _list_fields(fields: dict[str, SpecField]) -> Iterator[str]:
    wide = max((len(name) for name in fields), default=0) + 1
    for name, field in fields.items():
        mark = "*" if field.required else ""
        yield from _columns(f"  {name + mark:<{wide}}  ", field.description)
    if any(field.required for field in fields.values()):
        yield ""
        yield "  * must be written"


def _columns(first: str, text: str) -> list[str]:
    lines = wrap(text, _WIDTH - len(first), break_on_hyphens=False) or [""]
    return [f"{first}{lines[0]}", *(" " * len(first) + line for line in lines[1:])]


def _example(above: _Way, name: str, field: SpecField) -> Iterator[str]:
    """The keys above the field, the field, and below it what must be written; a list on the way shows one item."""
    indent, dash = "  ", ""
    for key, each in above:
        yield f"{indent}{dash}{key}:"
        indent += "    " if dash else "  "
        dash = "- " if each.shape is Shape.LIST else ""
    for at, line in enumerate(_example_lines(name, field, "", len(above))):
        yield f"{indent}{dash if at == 0 else ' ' * len(dash)}{line}"


def _example_lines(name: str, field: SpecField, indent: str, depth: int) -> Iterator[str]:
    if field.example is not None:
        yield f"{indent}{name}: {field.example}"
        return
    target = field.of_item() if field.shape is Shape.LIST else field
    if target is None or not target.fields or depth > _DEEP:
        yield f"{indent}{name}: {_example_value(field)}"
        return
    below = child_fields(field)
    shown = [each for each in below if below[each].required or below[each].needed] or list(below)[:1]
    yield f"{indent}{name}:"
    lines = [line for each in shown for line in _example_lines(each, below[each], indent + "    ", depth + 1)]
    if field.shape is Shape.LIST:
        lines[0] = f"{indent}  - {lines[0].lstrip()}"
        yield from lines
    else:
        yield from (line[2:] for line in lines)


def _example_value(field: SpecField) -> str:
    if field.shape is Shape.LIST:
        item = field.of_item()
        return f"[{_example_value(item)}]" if item else "[…]"
    return field.values[0] if field.values else {Shape.WHOLE: "1", Shape.FLAG: "true"}.get(field.shape, "…")
