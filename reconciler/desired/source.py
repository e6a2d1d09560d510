"""The only file of this room that touches the disk: YAML trees in, documents that remember every place out.

Promises: plain scalars keep their text; each key and each value has its line and column; whatever is wrong with a file
is a finding, and a broken file or document hides no other; aliases cannot blow up memory and nesting cannot blow the
stack (libyaml's composer recurses in C, so the tree is built from its events instead). Knows nothing of kinds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Union

import yaml

from reconciler.kinds.spec import Plain
from reconciler.model.finding import Finding, Origin, Severity

Tree = Union[None, str, Plain, list["Tree"], dict[str, "Tree"]]  # noqa: UP007 - a name that refers to itself
Keys = tuple[str | int, ...]

STDIN = Path("-")
MAX_BYTES = 16 * 1024 * 1024
_PIECE = 64 * 1024
MAX_DEPTH = 60
MAX_ALIASED = 20_000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class RawDocument:
    """One YAML document as it stands in a file. `keys` and `values` give the place of each path in `content`."""

    file: str
    directory: Path
    origin: Origin
    content: Tree
    keys: Mapping[Keys, Origin]
    values: Mapping[Keys, Origin]
    findings: tuple[Finding, ...] = ()

    def place(self, path: Keys) -> Origin:
        """Where a person would look: a scalar at its value, anything larger at its key; else the nearest above."""
        for length in range(len(path), 0, -1):
            here = path[:length]
            if here not in self.values:
                continue
            whole = length == len(path)
            return self.values[here] if whole and self._is_scalar(here) else self.keys.get(here, self.values[here])
        return self.origin

    def key(self, path: Keys) -> Origin:
        """Where the key of `path` stands; its item or the nearest above where there is no key."""
        return self.keys.get(path) or self.place(path)

    def _is_scalar(self, path: Keys) -> bool:
        node = self.content
        for part in path:
            if isinstance(node, dict):
                node = node.get(str(part))
            elif isinstance(node, list) and isinstance(part, int):
                node = node[part]
        return not isinstance(node, (dict, list))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """What one file held. `findings` are about the file itself, so that nobody knows which documents they cost.

    `hides_fleet` says that a Fleet may be among those, so that nobody knows whose the documents around it are.
    """

    name: str
    directory: Path
    documents: tuple[RawDocument, ...] = ()
    findings: tuple[Finding, ...] = ()
    hides_fleet: bool = False


def read_sources(sources: Iterable[Path]) -> tuple[SourceFile, ...]:
    """Every YAML file of the sources, each once, in the order of their paths; `-` is standard input."""
    return tuple(_read_file(path) for path in walk_sources(sources))


def walk_sources(sources: Iterable[Path]) -> tuple[Path, ...]:
    """The path of every YAML file of the sources, each once, in order."""
    seen: dict[Path, Path] = {}
    for source in sources:
        for path in _walk(source, ()):
            seen.setdefault(path if path == STDIN else path.absolute(), path)
    return tuple(seen[key] for key in sorted(seen))


def _walk(path: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Files below `path`. Hidden names are skipped, and so is the `..data` behind the links of a mounted ConfigMap."""
    if path == STDIN or not path.is_dir():
        yield path
        return
    real = path.resolve()
    if real in above:
        return
    try:
        entries = sorted(path.iterdir())
    except OSError:
        yield path
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(entry, (*above, real))
        elif entry.suffix in (".yaml", ".yml") and entry.stem != "kustomization" and _is_readable(entry):
            yield entry


def _is_readable(path: Path) -> bool:
    """A file, or a link to nothing, which is worth a finding; never a pipe, which would be waited for."""
    return path.is_file() or not path.exists()


def _read_file(path: Path) -> SourceFile:
    name = "<stdin>" if path == STDIN else str(path)
    directory = STDIN if path == STDIN else path.absolute().parent
    start = Origin(file=name, line=1, column=1)
    try:
        raw = sys.stdin.buffer.read(MAX_BYTES + 1) if path == STDIN else _read_bytes(path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        finding = Finding(
            code="unreadable",
            message=f"cannot read {name}: {reason}",
            hint="check the path and its permissions",
            origin=start,
        )
        home = path.absolute() if path.is_dir() else directory
        return SourceFile(name=name, directory=home, findings=(finding,), hides_fleet=True)
    text, findings = _decode(raw, start)
    if findings:
        return SourceFile(name=name, directory=directory, findings=findings, hides_fleet=True)
    return read_text(text, name, directory)


def _read_bytes(path: Path) -> bytes:
    """No more than needed to know that it is too much. Piece by piece: to ask for so much at once takes so much memory,
    however small the file is."""
    read = bytearray()
    with path.open("rb") as stream:
        while len(read) <= MAX_BYTES and (piece := stream.read(_PIECE)):
            read += piece
    return bytes(read)


def _decode(raw: bytes, start: Origin) -> tuple[str, tuple[Finding, ...]]:
    if len(raw) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB"
        return "", (Finding(code="file_too_large", message=message, hint="split it into several", origin=start),)
    try:
        return raw.decode("utf-8-sig"), ()
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        finding = Finding(
            code="not_utf8",
            message=f"byte 0x{raw[error.start]:02x} is not UTF-8",
            hint="save the file as UTF-8",
            origin=Origin(file=start.file, line=line, column=column),
        )
        return "", (finding,)


def read_text(text: str, name: str, directory: Path) -> SourceFile:
    """The documents in `text`. After a syntax error reading goes on at the next `---`."""
    documents: list[RawDocument] = []
    findings: list[Finding] = []
    lines = text.splitlines(keepends=True)
    first = 0
    while first < len(lines):
        part = _Part(name=name, directory=directory, first=first)
        resume = part.read("".join(lines[first:]) if first else text)
        documents += part.documents
        findings += part.findings
        if resume is None:
            break
        first = next((at for at in range(max(resume, first + 1), len(lines)) if _MARKER.match(lines[at])), len(lines))
    if not documents and not findings:
        findings.append(_nothing(text, name))
    return SourceFile(
        name=name,
        directory=directory,
        documents=tuple(documents),
        findings=tuple(findings),
        hides_fleet=bool(findings) and ("Fleet" in text or not text.strip()),
    )


_MARKER = re.compile(r"---(\s|$)")


def _nothing(text: str, name: str) -> Finding:
    """A file of comments was meant; a file of nothing is more likely a write that was cut short."""
    return Finding(
        severity=Severity.WARNING if text.strip() else Severity.ERROR,
        code="empty_file",
        message="the file holds no document",
        hint="write one, or delete the file",
        origin=Origin(file=name, line=1, column=1),
    )


class _AbandonedError(Exception):
    """The document is not worth reading on: deep nesting costs libyaml quadratic time. `line` is where we stopped."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(slots=True)
class _Node:
    """A YAML node: text, items or pairs; none of these is null. An alias shares its anchor's node: this is a graph."""

    line: int
    column: int
    text: str | None = None
    items: list[_Node] | None = None
    pairs: list[tuple[_Node, _Node]] | None = None
    open: bool = False

    @property
    def merges(self) -> bool:
        """Whether this is the key `<<`."""
        return isinstance(self.text, Plain) and self.text == "<<"


class _Part:
    """Reads from one place of a file up to its end or to the first syntax error."""

    def __init__(self, *, name: str, directory: Path, first: int) -> None:
        self.documents: list[RawDocument] = []
        self.findings: list[Finding] = []
        self._name = name
        self._directory = directory
        self._first = first
        self._anchors: dict[str, _Node] = {}
        self._about: list[Finding] = []  # of the document that is being read

    def read(self, text: str) -> int | None:
        """Read all documents; the line (from 0, in the file) at which to go on after an error, None at the end."""
        try:
            self._read_documents(yaml.parse(text, _LOADER))
        except _AbandonedError as error:
            self.findings += self._about
            return self._first + error.line
        except yaml.MarkedYAMLError as error:
            self.findings += [*self._about, self._explain(error, text)]
            mark = error.problem_mark or error.context_mark
            return self._first + (mark.line if mark else 0)
        except yaml.reader.ReaderError:
            found = _UNPRINTABLE.search(text)
            at = found.start() if found else 0
            line = text.count("\n", 0, at)
            message = f"the character U+{ord(text[at]):04X} is not allowed in YAML"
            column = at - text.rfind("\n", 0, at) - 1
            self.findings += [*self._about, self._finding("syntax", message, "remove it", line, column)]
            return self._first + line + 1
        return None

    def _read_documents(self, events: Iterator[yaml.Event]) -> None:
        for event in events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            self._anchors = {}
            self._about = []
            root = self._compose(events, next(events), 0)
            next(events)
            self._keep(root)

    def _keep(self, root: _Node) -> None:
        if root.text is None and root.items is None and root.pairs is None:
            return
        build = _Build(name=self._name, first=self._first)
        content = build.run(root)
        about, self._about = self._about, []
        self.documents.append(
            RawDocument(
                file=self._name,
                directory=self._directory,
                origin=Origin(file=self._name, line=self._first + root.line + 1, column=root.column + 1),
                content=content,
                keys=build.keys,
                values=build.values,
                findings=(*about, *build.findings),
            )
        )

    def _compose(self, events: Iterator[yaml.Event], event: yaml.Event, depth: int) -> _Node:
        if isinstance(event, yaml.AliasEvent):
            return self._follow(event)
        line, column = _place(event.start_mark)
        if depth > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep"
            self._about.append(self._finding("too_deep", message, "flatten it", line, column))
            raise _AbandonedError(line)
        node = _Node(line=line, column=column, open=True)
        if isinstance(event, yaml.NodeEvent) and event.anchor:
            self._anchors[event.anchor] = node
        self._check_tag(event)
        if isinstance(event, yaml.ScalarEvent):
            node.text = _scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            node.items = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                node.items.append(self._compose(events, event, depth + 1))
        else:
            node.pairs = []
            while not isinstance(event := next(events), yaml.MappingEndEvent):
                key = self._compose(events, event, depth + 1)
                if isinstance(event, yaml.ScalarEvent) and key.text is None:
                    key.text = event.value  # as a key, null is a word like any other
                node.pairs.append((key, self._compose(events, next(events), depth + 1)))
        node.open = False
        return node

    def _follow(self, event: yaml.AliasEvent) -> _Node:
        line, column = _place(event.start_mark)
        target = self._anchors.get(event.anchor or "")
        if target is not None and not target.open:
            return target
        if target is None:
            message, hint = f"*{event.anchor} names no anchor", f"define &{event.anchor} earlier in the same document"
        else:
            message, hint = f"*{event.anchor} contains itself", "remove the alias"
        self._about.append(self._finding("alias", message, hint, line, column))
        return _Node(line=line, column=column)

    def _check_tag(self, event: yaml.Event) -> None:
        tag = event.tag if isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) else None
        if tag is not None and tag not in _KNOWN_TAGS:
            message = f"the tag {tag.replace('tag:yaml.org,2002:', '!!')} means nothing here"
            self._about.append(self._finding("tag", message, "remove it", *_place(event.start_mark)))

    def _explain(self, error: yaml.MarkedYAMLError, text: str) -> Finding:
        """libyaml's complaint in words; where the beginning of the trouble is known, the finding stands there."""
        problem = " ".join(part for part in (error.context, error.problem) if part)
        mark = error.problem_mark or error.context_mark
        if mark and text.startswith("\t", mark.index):
            problem = "violates indentation"
        for phrase, at_context, message, hint in _SYNTAX:
            if phrase in problem:
                began = (error.context_mark if at_context else None) or error.problem_mark
                return self._finding("syntax", message, hint, *_place(began))
        return self._finding("syntax", f"not YAML: {problem}", "", *_place(mark))

    def _finding(self, code: str, message: str, hint: str, line: int, column: int) -> Finding:
        origin = Origin(file=self._name, line=self._first + line + 1, column=column + 1)
        return Finding(code=code, message=message, hint=hint, origin=origin)


class _Marked(Protocol):
    @property
    def line(self) -> int: ...

    @property
    def column(self) -> int: ...


def _place(mark: _Marked | None) -> tuple[int, int]:
    return (mark.line, mark.column) if mark else (0, 0)


_KNOWN_TAGS = frozenset(
    ["!", *(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))]
)
_UNPRINTABLE = re.compile("[^\\t\\n\\r\\x20-\\x7e\\x85\\xa0-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})

# What the parser says (libyaml's or the pure one); whether the place is where it began; what is meant; what is right.
_SYNTAX = (
    ("violates indentation", False, "a tab is used as indentation", "indent with spaces"),
    ("'\\t' that cannot start", False, "a tab is used as indentation", "indent with spaces"),
    ("quoted scalar found unexpected", True, "the quote that opens here is never closed", "close it"),
    ("flow sequence", True, "the [ that opens here is not closed", "add ] or a comma between the items"),
    ("flow mapping", True, "the { that opens here is not closed", "add } or a comma between the fields"),
    ("while parsing a flow node", True, "a bracket that opens before here is not closed", "close it"),
    ("unknown escape", False, "an unknown escape in double quotes", "use single quotes, or double the backslash"),
    (
        "mapping values are not allowed",
        False,
        "a second colon or a deeper key follows a value",
        "quote the value, or align the key with its siblings",
    ),
    ("could not find expected ':'", True, "a key without a colon", "write `key: value`"),
    ("did not find expected key", False, "the indentation fits no key above", "align it with its siblings"),
    ("expected <block end>", False, "the indentation fits no key above", "align it with its siblings"),
    ("did not find expected '-'", False, "the indentation fits no item above", "align it with its siblings"),
    ("entries are not allowed", False, "a list item may not start here", "put `- ` on a line of its own"),
    ("scanning an alias", True, "* begins an alias", "quote the value"),
    ("cannot start any token", False, "a value may not begin with this character", "quote the value"),
    ("directive", True, "a % line is not read", "remove it"),
)


def _scalar(event: yaml.ScalarEvent) -> str | None:
    text: str = event.value
    tag = event.tag or ""
    plain = (event.style in (None, "") and tag == "") or tag.endswith((":int", ":float", ":bool", ":null"))
    if not plain:
        return text
    return None if text in _NULLS else Plain(text)


class _Build:
    """Turns a node graph into plain data with a place for every path; counts what aliases expand to."""

    def __init__(self, *, name: str, first: int) -> None:
        self.keys: dict[Keys, Origin] = {}
        self.values: dict[Keys, Origin] = {}
        self.findings: list[Finding] = []
        self._name = name
        self._first = first
        self._seen: set[int] = set()
        self._again = 0
        self._full = False

    def run(self, root: _Node) -> Tree:
        return self._build(root, ())

    def _build(self, node: _Node, path: Keys) -> Tree:
        self.values[path] = self._origin(node)
        if id(node) in self._seen:
            self._count(node)
        self._seen.add(id(node))
        if node.pairs is not None:
            return self._build_mapping(node.pairs, path)
        if node.items is not None:
            return [self._build(item, (*path, at)) for at, item in enumerate(node.items) if not self._full]
        return node.text

    def _build_mapping(self, pairs: list[tuple[_Node, _Node]], path: Keys) -> dict[str, Tree]:
        result: dict[str, Tree] = {}
        for key, value in pairs:
            if self._full or key.merges:
                continue
            if key.items is not None or key.pairs is not None:
                self._report("key", "a key must be text, not a list or a mapping", "quote it if braces are meant", key)
                continue
            name = str(key.text or "")
            here = (*path, name)
            if here in self.keys:
                hint = f"it stands on line {self.keys[here].line} already; keep one"
                self._report("duplicate_key", f"the key {name} appears twice", hint, key)
                continue
            self.keys[here] = self._origin(key)
            result[name] = self._build(value, here)
        for key, value in self._merged(pairs):
            name = str(key.text or "")
            if name not in result and not self._full:
                self.keys[(*path, name)] = self._origin(key)
                result[name] = self._build(value, (*path, name))
        return result

    def _merged(self, pairs: list[tuple[_Node, _Node]]) -> Iterator[tuple[_Node, _Node]]:
        """What `<<` brings in: it gives way to what is written beside it and to what was merged before."""
        for key, value in pairs:
            if not key.merges:
                continue
            for base in value.items if value.items is not None else [value]:
                if base.pairs is None:
                    self._report("merge", "<< merges mappings only", "give it a mapping, such as *defaults", key)
                    continue
                self._count(base)
                if self._full:
                    return
                yield from ((inner, each) for inner, each in base.pairs if not inner.merges)
                yield from self._merged(base.pairs)

    def _count(self, node: _Node) -> None:
        self._again += 1
        if self._again > MAX_ALIASED and not self._full:
            self._full = True
            self._report("alias_expansion", f"aliases expand to more than {MAX_ALIASED} values", "write it out", node)

    def _report(self, code: str, message: str, hint: str, node: _Node) -> None:
        self.findings.append(Finding(code=code, message=message, hint=hint, origin=self._origin(node)))

    def _origin(self, node: _Node) -> Origin:
        return Origin(file=self._name, line=self._first + node.line + 1, column=node.column + 1)
