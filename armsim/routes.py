"""Which function answers which path: a trie over folded segments, `*` for a name. Literals win over names."""

from collections.abc import Callable
from typing import NamedTuple

from armsim.cloud import Call, Cloud, Reply

Answer = Callable[[Cloud, Call], Reply]


class Route(NamedTuple):
    """`action` is the permission without its verb, e.g. `Microsoft.CognitiveServices/accounts`."""

    answers: dict[str, Answer]
    action: str
    action_verb: str | None = None


class _Node:
    __slots__ = ("children", "route")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.route: Route | None = None


class Routes:
    def __init__(self) -> None:
        self._root = _Node()

    def add(self, pattern: str, route: Route) -> None:
        node = self._root
        for segment in pattern.lower().split("/"):
            node = node.children.setdefault(segment, _Node())
        node.route = route

    def find(self, segments: list[str]) -> tuple[Route, list[str]] | None:
        """The route and the names on the way, as they were sent."""
        return _walk(self._root, segments, 0)


def _walk(node: _Node, segments: list[str], at: int) -> tuple[Route, list[str]] | None:
    if at == len(segments):
        return (node.route, []) if node.route is not None else None
    literal = node.children.get(segments[at].lower())
    if literal is not None and (found := _walk(literal, segments, at + 1)) is not None:
        return found
    name = node.children.get("*")
    if name is None or (found := _walk(name, segments, at + 1)) is None:
        return None
    found[1].insert(0, segments[at])
    return found
