"""JSON by path: what is written is read, what is removed is gone, and nothing else moves."""

from __future__ import annotations

import json
from enum import StrEnum
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.wire import ABSENT, Json, canonical_bytes, digest, read_path, thaw, write_path

KEYS = st.text(max_size=3)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=4)
JSONS: st.SearchStrategy[Json] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(tuple)


@given(value=JSONS, path=PATHS, new=JSONS)
def test_what_is_written_is_read(value: Json, path: tuple[str, ...], new: Json) -> None:
    assert read_path(write_path(value, path, new), path) == new


@given(value=JSONS, path=PATHS)
def test_what_is_removed_is_gone_and_removing_it_again_changes_nothing(value: Json, path: tuple[str, ...]) -> None:
    once = write_path(value, path, ABSENT)
    assert read_path(once, path) is ABSENT
    assert write_path(once, path, ABSENT) == once


@given(value=JSONS, path=PATHS)
def test_removing_what_is_not_there_changes_nothing(value: Json, path: tuple[str, ...]) -> None:
    if read_path(value, path) is ABSENT:
        assert write_path(value, path, ABSENT) == value


@given(value=JSONS, path=PATHS, new=JSONS)
def test_the_value_given_is_never_changed(value: Json, path: tuple[str, ...], new: Json) -> None:
    before = json.dumps(value)
    write_path(value, path, new)
    write_path(value, path, ABSENT)
    assert json.dumps(value) == before


def test_writing_leaves_the_neighbours() -> None:
    assert write_path({"a": {"b": 1, "c": 2}}, ("a", "b"), 3) == {"a": {"b": 3, "c": 2}}


def test_null_is_not_absent() -> None:
    assert read_path({"a": None}, ("a",)) is None
    assert read_path({}, ("a",)) is ABSENT
    assert read_path({"a": [1]}, ("a", "b")) is ABSENT


def test_the_whole_value_is_replaced_or_dropped_at_an_empty_path() -> None:
    assert write_path({"a": 1}, (), 2) == 2
    assert write_path({"a": 1}, (), ABSENT) is None


@given(value=st.dictionaries(KEYS, JSONS, max_size=4), data=st.data())
def test_canonical_bytes_do_not_know_the_order_of_keys(value: dict[str, Json], data: st.DataObject) -> None:
    shuffled = dict(data.draw(st.permutations(list(value.items()))))
    assert canonical_bytes(value) == canonical_bytes(shuffled)
    assert digest(value) == digest(shuffled)
    assert json.loads(canonical_bytes(value)) == value


def test_half_a_character_in_what_azure_says_has_canonical_bytes_too() -> None:
    assert digest(json.loads('"\\ud800"')) != digest("")


class Word(StrEnum):
    YES = "yes"


def test_thawing_gives_plain_json() -> None:
    thawed = thaw(MappingProxyType({"a": (1, Word.YES, None), "b": [{"c": 1.5}]}))
    assert thawed == {"a": [1, "yes", None], "b": [{"c": 1.5}]}
    assert type(thawed["a"][1]) is str  # type: ignore[index]


def test_thawing_refuses_what_json_cannot_say() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        thaw(object())
