"""`${NAME}` in a value becomes what the environment says; `$${` stays `${`.

Promises: an unset or empty variable is a finding at its place and never an empty string; a value that is filled in is
text in its place and can never become structure. Knows nothing of kinds; a Fleet's defaults come as a `Setting`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

from reconciler.desired.source import Keys, RawDocument, Tree
from reconciler.kinds.spec import Plain
from reconciler.model.finding import Finding, Origin

_PLACEHOLDER = re.compile(r"(?P<escaped>\$\$\{)|\$\{(?P<name>[^}]*)(?P<end>\})?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def fill(document: RawDocument, environment: Mapping[str, str]) -> RawDocument:
    """The document with its placeholders filled in, and a finding for each that could not be."""
    filling = _Filling(document, environment)
    content = filling.fill(document.content, ())
    if not filling.findings and not filling.changed:
        return document
    return replace(document, content=content, findings=(*document.findings, *filling.findings))


class _Filling:
    def __init__(self, document: RawDocument, environment: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self.changed = False
        self._document = document
        self._environment = environment

    def fill(self, value: Tree, path: Keys) -> Tree:
        if isinstance(value, dict):
            return {self._unescape(key, path): self.fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, at)) for at, item in enumerate(value)]
        if value is None or "${" not in value:
            return value
        self.changed = True
        text = _PLACEHOLDER.sub(lambda match: self._resolve(match, value, path), value)
        return Plain(text) if isinstance(value, Plain) else text

    def _unescape(self, key: str, path: Keys) -> str:
        """A key has no placeholders, but what would be one is escaped as in a value."""
        if "${" not in key:
            return key
        self.changed = True
        if any(not match["escaped"] for match in _PLACEHOLDER.finditer(key)):
            origin = self._document.key((*path, key))
            self._report(f"the key {key} holds a placeholder", "placeholders work in values only", origin)
        return key.replace("$${", "${")

    def _resolve(self, match: re.Match[str], value: str, path: Keys) -> str:
        if match["escaped"]:
            return match[0][1:]
        name, origin = match["name"], self._place(match, value, path)
        if not match["end"] or not _NAME.fullmatch(name):
            self._report(f"{match[0]!r} is not a placeholder", "write ${NAME}, or $${ for a literal ${", origin)
        elif not self._environment.get(name):
            state = "empty" if name in self._environment else "not set"
            near = get_close_matches(name, sorted(self._environment), n=1, cutoff=0.8)
            guess = near and state == "not set"
            hint = f"did you mean {near[0]}?" if guess else f"set {name}, or write the value itself"
            self._report(f"the environment variable {name} is {state}", hint, origin)
        else:
            return self._environment[name]
        return match[0]

    def _place(self, match: re.Match[str], value: str, path: Keys) -> Origin:
        """Exact within an unquoted scalar of one line; a quoted one may hold escapes, so its beginning has to do."""
        origin = self._document.values.get(path, self._document.origin)
        exact = isinstance(value, Plain) and "\n" not in value
        return replace(origin, column=origin.column + match.start()) if exact else origin

    def _report(self, message: str, hint: str, origin: Origin) -> None:
        self.findings.append(Finding(code="placeholder", message=message, hint=hint, origin=origin))
