"""Law: a mistake in one place says nothing about any other, and hides nothing that is wrong elsewhere."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from reconciler.desired import load_estate
from reconciler.model.finding import Finding

HERE = Path(__file__).parents[2] / "desired_state"
TREES = sorted({each.parent for each in (HERE / "examples").rglob("fleet.yaml")})
ENVIRONMENT = {"AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001"}
# What is said of the damaged place itself.
OWN = {"value", "missing_field", "unknown_field", "kind", "document"}

Keys = tuple[str | int, ...]
Node = object


def _spoil(parent: dict[str | int, Node] | list[Node], key: str | int) -> None:
    parent[key] = {"nonsense": {"of": "no kind"}}  # type: ignore[index]


def _empty(parent: dict[str | int, Node] | list[Node], key: str | int) -> None:
    parent[key] = ""  # type: ignore[index]


def _misspell(parent: dict[str | int, Node] | list[Node], key: str | int) -> None:
    if isinstance(parent, dict):
        parent[f"{key}x"] = parent.pop(key)


def _paths(node: Node, path: Keys = ()) -> Iterator[Keys]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, each in children:
        yield (*path, key)
        yield from _paths(each, (*path, key))


def _damaged(document: Node, path: Keys, damage: Callable[..., None]) -> Node:
    spoilt = copy.deepcopy(document)
    node = spoilt
    for part in path[:-1]:
        node = node[part]  # type: ignore[index]
    damage(node, path[-1])
    return spoilt


def _find(directory: Path, documents: list[Node]) -> tuple[Finding, ...]:
    (directory / "all.yaml").write_text(yaml.safe_dump_all(documents, sort_keys=False))
    return load_estate([directory], ENVIRONMENT).findings


def _read(tree: Path) -> list[Node]:
    return [each for file in sorted(tree.glob("*.yaml")) for each in yaml.safe_load_all(file.read_text())]


@pytest.mark.parametrize("damage", [_spoil, _empty, _misspell])
@pytest.mark.parametrize("tree", TREES, ids=lambda tree: str(tree.relative_to(HERE)))
def test_damage_in_one_place_of_a_right_document_accuses_no_other(
    tmp_path: Path, tree: Path, damage: Callable[..., None]
) -> None:
    documents = _read(tree)
    before = {(each.code, each.message) for each in _find(tmp_path, documents)}
    for at, document in enumerate(documents):
        if document["kind"] == "Fleet":  # type: ignore[index]
            continue
        for path in [*_paths(document)][at % 2 :: 2]:
            if path[0] not in ("spec", "lifecycle") or len(path) < 2 or "additionalProperties" in path:
                continue
            spoilt = [*documents[:at], _damaged(document, path, damage), *documents[at + 1 :]]
            found = _find(tmp_path, spoilt)
            refused = any(each.code in OWN for each in found)
            others = [str(each) for each in found if each.code not in OWN and (each.code, each.message) not in before]
            assert not (refused and others), (path, others)
