"""Documents as people wrote them in, typed documents out; each mistake becomes one sentence at its place.

Promises: every mistake of a document is reported at once, where it stands, with what would be right. Knows the kinds
only as specs: a new kind needs no line here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field as Described
from pydantic import ValidationError, create_model

from reconciler.desired.completion import Completion, agree, complete
from reconciler.desired.refusal import Refusal, meant_by, read_refusals
from reconciler.desired.shape import Shape, SpecField, fields_of, find_field, shape_of
from reconciler.desired.source import Keys, RawDocument, Tree
from reconciler.kinds.base import Document
from reconciler.kinds.catalog import KINDS
from reconciler.kinds.fleet import FleetSpec
from reconciler.kinds.spec import LifecycleSpec, MetadataSpec, Spec
from reconciler.model.finding import Finding
from reconciler.model.ids import Ref
from reconciler.model.lifecycle import Lifecycle, ManagePolicy

FLEET = "Fleet"

SPECS: Mapping[str, type[Spec]] = MappingProxyType({FLEET: FleetSpec, **{kind.name: kind.spec for kind in KINDS}})


class DocumentSpec(Spec):
    """What every document has in common; the model of a kind adds its `spec`."""

    api_version: Annotated[Literal["reconciler/v1"], Described(description="The version of this format.")]
    metadata: MetadataSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of one document. `typed` is None while anything is wrong with it; `ref` is its name if it has one.

    `completions` are then the two ways in which what is right in it is checked all the same: see `completion`.
    """

    raw: RawDocument
    kind: str = ""
    ref: Ref | None = None
    typed: DocumentSpec | None = None
    completions: tuple[Completion[DocumentSpec], ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def moved(self) -> str:
        """The name the document says it had before."""
        typed = self.typed or (self.completions[0].typed if self.completions else None)
        lifecycle = getattr(typed, "lifecycle", None)
        return (lifecycle.moved or "") if isinstance(lifecycle, LifecycleSpec) else ""

    def spec(self) -> Spec:
        return _spec_of(self.typed)

    def document(self) -> Document:
        """The typed document in the form that kinds expand. Only for one that validated."""
        assert self.typed is not None
        return self._document(self.typed, lambda path: path)

    def completed(self, ample: bool) -> Document | None:
        """The document as it is checked: as it stands, or completed in one of the two ways; None where nothing is."""
        if self.typed is not None:
            return self.document()
        if not self.completions:
            return None
        completion = self.completions[ample]
        return self._document(completion.typed, completion.written)

    @property
    def nameless(self) -> bool:
        """Whether something inside the document has lost its name."""
        return any(each.nameless for each in self.completions)

    def _document(self, typed: DocumentSpec, written: Callable[[Keys], Keys]) -> Document:
        return Document(
            ref=self.ref or Ref(kind=self.kind, name=""),
            spec=_spec_of(typed),
            lifecycle=_lifecycle(getattr(typed, "lifecycle", None)),
            labels=MappingProxyType(dict(typed.metadata.labels or {})),
            origin=self.raw.origin,
            name_origin=self.raw.place(("metadata", "name")),
            place=lambda path: self.raw.place(written(("spec", *path))),
        )


def _spec_of(typed: DocumentSpec | None) -> Spec:
    spec = getattr(typed, "spec", None)
    assert isinstance(spec, Spec)
    return spec


def _lifecycle(written: LifecycleSpec | None) -> Lifecycle:
    if written is None:
        return Lifecycle()
    return Lifecycle(
        policy=ManagePolicy(written.policy),
        adopt=written.adopt,
        prevent_destroy=written.prevent_destroy,
        ignore=tuple(written.ignore or ()),
        allow=frozenset(written.allow or ()),
    )


@cache
def document_model(kind: str) -> type[DocumentSpec]:
    """The model of a whole document of this kind; a Fleet has no lifecycle."""
    spec = SPECS[kind]
    fields: dict[str, object] = {
        "kind": (Annotated[Literal[kind], Described(description="What is declared.")], ...),
        "spec": (Annotated[spec, Described(description=_first_line(spec))], ...),
    }
    if kind != FLEET:
        described = Described(description="How the reconciler treats it.")
        fields["lifecycle"] = (Annotated[LifecycleSpec | None, described], None)
    return create_model(f"{kind}Document", __base__=DocumentSpec, __doc__=_first_line(spec), **fields)  # type: ignore[call-overload,no-any-return]


def _first_line(spec: type[Spec]) -> str:
    return " ".join((spec.__doc__ or "").split())


def read_document(raw: RawDocument) -> Reading:
    """Validate one document against the model of its kind."""
    raw = _complete(raw)
    content = raw.content
    if not isinstance(content, dict):
        finding = Finding(
            code="document",
            message="a document is a mapping, not " + _name_value(content),
            hint="begin it with `apiVersion: reconciler/v1` and `kind: …`",
            origin=raw.origin,
        )
        return Reading(raw=raw, findings=(*raw.findings, finding))
    kind, about_kind = _read_kind(raw, content)
    ref = _read_ref(content, kind)
    if about_kind is not None:
        return Reading(raw=raw, kind=kind, ref=ref, findings=(*raw.findings, about_kind))
    model = document_model(kind)
    try:
        typed = model.model_validate(content)
    except ValidationError as error:
        refusals = read_refusals(content, error.errors())
        explained = tuple(_Explainer(raw, model).explain(refusals))
        return _read_parts(Reading(raw=raw, kind=kind, ref=ref, findings=(*raw.findings, *explained)), model)
    findings = (*raw.findings, *_check_lifecycle(raw, typed, lambda path: path))
    if findings:
        return _read_parts(Reading(raw=raw, kind=kind, ref=ref, findings=findings), model)
    return Reading(raw=raw, kind=kind, ref=ref, typed=typed)


def _read_parts(reading: Reading, model: type[DocumentSpec]) -> Reading:
    """A document with mistakes in it, completed; and what is wrong with its lifecycle whatever stands elsewhere."""
    raw = reading.raw
    waiting = any(finding.code == "placeholder" for finding in raw.findings)
    completions = complete(raw.content, model, [*_find_unfilled(raw.content, ())] if waiting else ())
    if completions is None:
        return reading
    scanty, ample = (tuple(_check_lifecycle(raw, each.typed, each.written)) for each in completions)
    new = (each for each in agree(scanty, ample) if each not in reading.findings)
    return replace(reading, completions=completions, findings=(*reading.findings, *new))


def _find_unfilled(node: Tree, path: Keys) -> Iterator[Keys]:
    """Where placeholders stand that could not be filled in."""
    if isinstance(node, str) and "${" in node:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, each in children:
        yield from _find_unfilled(each, (*path, key))


def _complete(raw: RawDocument) -> RawDocument:
    """No `spec:`, or one with nothing below it, is a spec of defaults; YAML calls the latter null."""
    content = raw.content
    if not isinstance(content, dict):
        return raw
    empty = {key for key in ("spec", "lifecycle") if content.get(key) is None and (key in content or key == "spec")}
    return replace(raw, content={**content, **{key: {} for key in sorted(empty)}}) if empty else raw


def _check_lifecycle(raw: RawDocument, typed: DocumentSpec, written: Callable[[Keys], Keys]) -> Iterator[Finding]:
    """Wishes about a document that contradict each other, and ignored paths that it cannot have."""
    lifecycle = getattr(typed, "lifecycle", None)
    if not isinstance(lifecycle, LifecycleSpec):
        return
    if lifecycle.prevent_destroy and lifecycle.policy == "detach":
        yield _contradiction(raw, "preventDestroy", "policy detach lets go of it", "remove one of the two")
    if lifecycle.prevent_destroy and {"delete", "replace", "purge"} & set(lifecycle.allow or ()):
        yield _contradiction(raw, "allow", "preventDestroy forbids what is allowed here", "remove one of the two")
    if lifecycle.adopt and lifecycle.policy == "detach":
        yield _contradiction(raw, "adopt", "policy detach lets go of it", "remove one of the two")
    model, spec = type(typed), getattr(typed, "spec", None)
    extra = getattr(spec, "additional_properties", None) or {}
    for at, path in enumerate(lifecycle.ignore or ()):
        keys = tuple(0 if part.startswith("[") else part for part in re.findall(r"\[[^\]]*\]|[^.\[\]]+", path))
        if find_field(model, ("spec", *keys)) is not None or (keys and keys[0] in extra):
            continue
        known = fields_of(model, ("spec",))
        yield Finding(
            code="unknown_path",
            message=f"lifecycle.ignore names {path}, which a document of this kind cannot have",
            hint=suggest(str(keys[0]), known)
            if keys and keys[0] not in known
            else "name a field as it is written in spec",
            origin=raw.place(written(("lifecycle", "ignore", at))),
        )


def _contradiction(raw: RawDocument, field: str, why: str, hint: str) -> Finding:
    message = f"lifecycle.{field} cannot be: {why}"
    return Finding(code="contradiction", message=message, hint=hint, origin=raw.key(("lifecycle", field)))


def _read_kind(raw: RawDocument, content: dict[str, Tree]) -> tuple[str, Finding | None]:
    kind = content.get("kind")
    known = ", ".join(sorted(SPECS))
    if kind is None:
        place = raw.key(("kind",)) if "kind" in content else raw.origin
        return "", Finding(
            code="kind", message="the document has no kind", hint=f"add `kind:`, one of {known}", origin=place
        )
    if isinstance(kind, str) and kind in SPECS:
        return str(kind), None
    word = kind if isinstance(kind, str) else _name_value(kind)
    hint = suggest(word, SPECS) or f"known kinds: {known}"
    return str(word), Finding(code="kind", message=f"unknown kind {word}", hint=hint, origin=raw.place(("kind",)))


def _read_ref(content: dict[str, Tree], kind: str) -> Ref | None:
    metadata = content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return Ref(kind=kind, name=str(name)) if kind and isinstance(name, str) and name else None


def suggest(word: str, known: Iterable[str]) -> str:
    """`did you mean X?`, or nothing where nothing is near."""
    names = {each.lower(): each for each in known}
    near = get_close_matches(word.lower(), sorted(names), n=1, cutoff=0.6)
    return f"did you mean {names[near[0]]}?" if near else ""


def name_path(content: Tree, path: Keys) -> str:
    """A path as people write it: `deployments[gpt-4o].sku.capacity`, the wrapper `spec` left out."""
    text = ""
    node = content
    for at, part in enumerate(path):
        if isinstance(part, int):
            node = node[part] if isinstance(node, list) and part < len(node) else None
            name = node.get("name") if isinstance(node, dict) else None
            text += f"[{name}]" if isinstance(name, str) else f"[{part}]"
            continue
        node = node.get(part) if isinstance(node, dict) else None
        if at or part != "spec" or len(path) == 1:
            text += f".{part}" if text else str(part)
    return text


_WORDS = {Shape.TEXT: "text", Shape.WHOLE: "a whole number", Shape.FLAG: "true or false", Shape.LIST: "a list"}


def _name_value(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return f"the text {str(value)!r}"


class _Explainer:
    """Turns pydantic's errors about one document into findings."""

    def __init__(self, raw: RawDocument, model: type[Spec]) -> None:
        self._raw = raw
        self._model = model

    def explain(self, errors: Sequence[Refusal]) -> Iterator[Finding]:
        meant = {each for error in errors if error.type == "extra_forbidden" for each in self._meant(error)}
        for error in errors:
            if not self._unfilled(error) and not (error.type == "missing" and error.path in meant):
                yield self._explain(error)

    def _meant(self, error: Refusal) -> Iterator[Keys]:
        """The field that an unknown one is a slip of, which is therefore not missing on top."""
        if str(error.path[-1]) not in _HABITS:
            yield from meant_by(self._model, error.path)

    def _unfilled(self, error: Refusal) -> bool:
        """A placeholder that could not be filled in is wrong by itself; what its name looks like says nothing."""
        waiting = isinstance(error.value, str) and "${" in error.value
        return waiting and any(finding.code == "placeholder" for finding in self._raw.findings)

    def _explain(self, error: Refusal) -> Finding:
        if error.type == "missing":
            return self._missing(error)
        if error.type == "extra_forbidden":
            return self._unknown(error)
        message, hint = self._judge(error)
        place = self._raw.key if error.of_key else self._raw.place
        return Finding(code="value", message=message, hint=hint, origin=place(error.path))

    def _missing(self, error: Refusal) -> Finding:
        parent, name = error.path[:-1], str(error.path[-1])
        found = find_field(self._model, error.path)
        values = found.values if found else ()
        example = f"{name}: {' or '.join(values)}" if 0 < len(values) <= 3 else f"{name}: …"
        notes = [f"one of {', '.join(values)}" if len(values) > 3 else "", found.note if found else ""]
        where = f"under {name_path(self._raw.content, parent)}" if parent else "to the document"
        hint = f"add `{example}` {where}"
        return Finding(
            code="missing_field",
            message=f"{name_path(self._raw.content, error.path)} is missing",
            hint="; ".join([hint, *(note for note in notes if note)]),
            origin=self._raw.key(parent),
        )

    def _unknown(self, error: Refusal) -> Finding:
        parent, name = error.path[:-1], str(error.path[-1])
        where = f" in {name_path(self._raw.content, parent)}" if parent else ""
        return Finding(
            code="unknown_field",
            message=f"unknown field {name}{where}",
            hint=self._hint_unknown(name, parent),
            origin=self._raw.key(error.path),
        )

    def _hint_unknown(self, name: str, parent: Keys) -> str:
        known = fields_of(self._model, parent)
        if name in _HABITS:
            return _HABITS[name]
        near = suggest(name, known)
        if near:
            return near
        elsewhere = self._elsewhere(name, parent)
        if elsewhere:
            return f"{name} belongs in {elsewhere}"
        return f"known fields: {', '.join(known)}" if known else "remove it"

    def _elsewhere(self, name: str, parent: Keys) -> str:
        """The nearest place of the document at which the field is known: above, beside or one level below."""
        for length in range(len(parent), -1, -1):
            above = parent[:length]
            if length < len(parent) and name in fields_of(self._model, above):
                return name_path(self._raw.content, above) or "the document itself"
            for sibling in fields_of(self._model, above):
                if name in fields_of(self._model, (*above, sibling)):
                    return name_path(self._raw.content, (*above, sibling))
        return ""

    def _judge(self, error: Refusal) -> tuple[str, str]:
        """What is wrong with a value, and what would be right."""
        path = name_path(self._raw.content, error.path)
        if error.type == "refused":
            return f"{path}: {error.ctx['message']}", str(error.ctx["hint"])
        if error.value is None or error.value == "":
            return f"{path} is empty", "give it a value, or remove the line"
        if error.type in _BOUNDS:
            template, key = _BOUNDS[error.type]
            size = (
                f"{len(error.value)} long" if key.endswith("length") and isinstance(error.value, Sized) else error.value
            )
            return f"{path} is {size}", template.format(limit=error.ctx[key])
        return self._judge_value(error, path)

    def _judge_value(self, error: Refusal, path: str) -> tuple[str, str]:
        field = find_field(self._model, error.path)
        if error.type == "literal_error" and field is not None and isinstance(error.value, str):
            near = suggest(error.value, field.values)
            choice = f"write {' or '.join(field.values)}"
            return f"{path} cannot be {str(error.value)!r}", near or choice
        if error.type == "string_pattern_mismatch":
            rule = field.rule if field and field.rule else f"it must match {error.ctx['pattern']}"
            return f"{path} cannot be {str(error.value)!r}", rule
        if error.type.endswith("_type") or error.type == "literal_error":
            return self._judge_type(error, path, field)
        return f"{path}: {error.message}", ""

    def _judge_type(self, error: Refusal, path: str, field: SpecField | None) -> tuple[str, str]:
        shape = field.shape if field else shape_of(error.type)
        value = error.value
        if shape in (Shape.WHOLE, Shape.FLAG) and isinstance(value, str):
            name = error.path[-1] if error.path else ""
            return f"{path} must be {_WORDS[shape]}, not quoted text", f"remove the quotes: `{name}: {value}`"
        message = f"{path} must be {_WORDS.get(shape, 'a mapping of fields')}, not {_name_value(value)}"
        if shape is Shape.LIST:
            return message, "write each item on a line of its own, after `- `"
        if shape is Shape.TEXT:
            return message, "write one value; quote it if it holds : or # or begins with { or ["
        if field is not None and field.fields:
            return message, f"write its fields below it: {', '.join(field.fields)}"
        return message, "write `name: value` lines below it" if shape is Shape.MAPPING else ""


_BOUNDS = {
    "greater_than_equal": ("it must be at least {limit}", "ge"),
    "less_than_equal": ("it must be at most {limit}", "le"),
    "string_too_long": ("it may have at most {limit} characters", "max_length"),
    "string_too_short": ("it must have at least {limit} characters", "min_length"),
    "too_long": ("it may have at most {limit} items", "max_length"),
    "too_short": ("it must have at least {limit} items", "min_length"),
}

# What people bring along from other tools.
_HABITS = {
    "properties": "Azure's properties wrapper is left out here; write its fields directly below spec",
    "tpm": "tpm belongs below sku, instead of capacity",
    "scaleSettings": "Azure has replaced it: write sku with name and capacity",
    "skuName": "write sku with a name below it",
    "sku_name": "write sku with a name below it",
    "resource_group_name": "write resourceGroup",
    "public_network_access_enabled": "write publicNetworkAccess: Enabled or Disabled",
    "local_auth_enabled": "write disableLocalAuth: true or false",
    "id": "the id follows from subscription, resource group and metadata.name; remove it",
    "type": "the type follows from kind; remove it",
    "namespace": "documents have no namespace; a Fleet governs its directory",
    "status": "state is Azure's; remove it",
}
