"""What pydantic refuses of a document, each with the path that people wrote it at.

Promises: of a value that may be one of several things only the mistakes of the likeliest are told. Knows no sentences
and no places in files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from reconciler.desired.shape import Keys, fields_of
from reconciler.desired.source import Tree
from reconciler.model.wire import ABSENT, Absent


@dataclass(frozen=True, slots=True)
class Refusal:
    """One of pydantic's errors with its real path; at `fork` it went into `branch`, a member of a union."""

    path: Keys
    type: str
    value: object
    ctx: Mapping[str, object]
    message: str
    fork: Keys | None
    branch: str
    of_key: bool


def read_refusals(content: Tree, errors: Iterable[ErrorDetails]) -> tuple[Refusal, ...]:
    """The errors about `content`, those of unions after all others."""
    plain: list[Refusal] = []
    forks: dict[Keys, dict[str, list[Refusal]]] = {}
    for details in errors:
        refusal = _locate(content, details)
        if refusal.fork is None:
            plain.append(refusal)
        else:
            forks.setdefault(refusal.fork, {}).setdefault(refusal.branch, []).append(refusal)
    for fork, branches in forks.items():
        plain += _choose(fork, branches)
    return tuple(plain)


def meant_by(model: type[BaseModel], path: Keys) -> Iterator[Keys]:
    """The field that an unknown one at `path` is probably a slip of."""
    parent, name = path[:-1], str(path[-1])
    known = fields_of(model, parent)
    near = get_close_matches(name.lower(), [each.lower() for each in known], n=1, cutoff=0.6)
    yield from ((*parent, each) for each in known if each.lower() in near)


def _locate(content: Tree, details: ErrorDetails) -> Refusal:
    """Drop the names of union members that pydantic puts into its locations."""
    node: Tree = content
    path: list[str | int] = []
    fork: Keys | None = None
    branch = ""
    loc = details["loc"]
    for at, part in enumerate(loc):
        below = _below(node, part)
        if below is not ABSENT:
            node = below
        elif at == len(loc) - 1 and details["type"] == "missing":
            node = None
        elif part == "[key]":
            continue
        else:
            fork, branch = (tuple(path), str(part)) if fork is None else (fork, branch)
            continue
        path.append(part)
    return Refusal(
        path=tuple(path),
        type=details["type"],
        value=details["input"],
        ctx=details.get("ctx", {}),
        message=details["msg"],
        fork=fork,
        branch=branch,
        of_key=loc[-1:] == ("[key]",),
    )


def _below(node: Tree, part: str | int) -> Tree | Absent:
    if isinstance(node, dict) and isinstance(part, str):
        return node.get(part, ABSENT)
    if isinstance(node, list) and isinstance(part, int) and part < len(node):
        return node[part]
    return ABSENT


def _choose(fork: Keys, branches: Mapping[str, list[Refusal]]) -> list[Refusal]:
    """Of the members of a union only the one that was probably meant is worth a sentence."""

    def fits(refusals: list[Refusal]) -> bool:
        return not any(each.path == fork and _misses(each) for each in refusals)

    fitting = [refusals for refusals in branches.values() if fits(refusals)]
    return min(fitting or list(branches.values()), key=len)


def _misses(refusal: Refusal) -> bool:
    """Whether a value has not even the shape that a member of a union is about."""
    wrong_shape = refusal.type == "literal_error" and not isinstance(refusal.value, str)
    return refusal.type.endswith("_type") or wrong_shape
