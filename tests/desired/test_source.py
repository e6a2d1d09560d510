"""YAML comes in as text with places; nothing a file can hold breaks more than its own document."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired import source
from reconciler.desired.source import RawDocument, SourceFile, read_sources, read_text
from reconciler.kinds.spec import Plain
from reconciler.model.finding import Origin, Severity
from tests.desired.trees import plant


def read(text: str) -> SourceFile:
    return read_text(text, "f.yaml", Path("/d"))


def only(text: str) -> RawDocument:
    (document,) = read(text).documents
    assert document.findings == ()
    return document


def complaints(text: str) -> list[str]:
    file = read(text)
    return [str(finding) for finding in (*file.findings, *(each for doc in file.documents for each in doc.findings))]


@pytest.mark.parametrize(
    "text", ["0613", "on", "no", "2024-11-20", "1:30", "1e3", "010", "true", "3.10", "y", "=", "-"]
)
def test_a_plain_scalar_keeps_its_text_whatever_yaml_makes_of_it(text: str) -> None:
    value = only(f"a: {text}\n" if text != "-" else "a: -x\n").content
    assert isinstance(value, dict)
    assert isinstance(value["a"], Plain)
    assert value["a"] == (text if text != "-" else "-x")


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nothing_is_null(text: str) -> None:
    assert only(f"a: {text}\n").content == {"a": None}


@pytest.mark.parametrize("text", ['"null"', "'~'", '""', "!!str null", "|\n  null"])
def test_quoted_nothing_is_text(text: str) -> None:
    value = only(f"a: {text}\n").content
    assert isinstance(value, dict)
    assert isinstance(value["a"], str)
    assert not isinstance(value["a"], Plain)


def test_a_key_is_always_text() -> None:
    assert only("on: 1\nnull: 2\n0613: 3\n").content == {"on": "1", "null": "2", "0613": "3"}


def test_every_key_and_value_has_its_place() -> None:
    document = only("a:\n  b: [x, {c: y}]\n")
    assert document.keys[("a",)] == Origin(file="f.yaml", line=1, column=1)
    assert document.keys[("a", "b")] == Origin(file="f.yaml", line=2, column=3)
    assert document.values[("a", "b", 0)] == Origin(file="f.yaml", line=2, column=7)
    assert document.values[("a", "b", 1, "c")] == Origin(file="f.yaml", line=2, column=14)


def test_a_place_that_was_not_written_is_the_nearest_above() -> None:
    document = only("a:\n  b: x\n")
    assert document.place(("a", "b")).column == 6
    assert document.place(("a", "c", "d")) == document.keys[("a",)]
    assert document.place(("z",)) == document.origin


def test_merge_keys_give_way_to_what_is_written() -> None:
    merged = only("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 3}\n").content
    assert isinstance(merged, dict)
    assert merged["z"] == {"a": "3", "b": "1", "c": "2"}


def test_a_quoted_merge_key_is_an_ordinary_key() -> None:
    assert only('"<<": x\n').content == {"<<": "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: error: the key a appears twice"),
        ("a: {{ .Values.x }}\n", "f.yaml:1:5: error: a key must be text"),
        ("a: [\n", "f.yaml:2:1: error: a bracket that opens before here is not closed"),
        ("a: [1, 2\nb: 1\n", "f.yaml:1:4: error: the [ that opens here is not closed"),
        ("a: b: c\n", "f.yaml:1:5: error: a second colon"),
        ("a:\n  b: 1\n c: 2\n", "f.yaml:3:2: error: the indentation fits no key above"),
        ("a: 1\nb\nc: 2\n", "f.yaml:2:1: error: a key without a colon"),
        ("a: @b\n", "f.yaml:1:4: error: a value may not begin with this character"),
        ('a: "\\q"\n', "f.yaml:1:5: error: an unknown escape"),
        ("a: *\n", "f.yaml:1:4: error: * begins an alias"),
        ("<<: 1\n", "f.yaml:1:1: error: << merges mappings only"),
        ("é: ü\nb: \x01\n", "f.yaml:2:4: error: the character U+0001 is not allowed"),
        ("a: &x [*x]\n", "f.yaml:1:8: error: *x contains itself"),
        ("a: !!python/object:os.system x\n", "f.yaml:1:4: error: the tag !!python/object:os.system means nothing"),
    ],
)
def test_what_is_not_yaml_is_said_in_words(text: str, expected: str) -> None:
    (complaint,) = complaints(text)
    assert complaint.startswith(expected)


def test_documents_around_a_broken_one_are_read() -> None:
    file = read("a: 1\n---\nb: [\n---\nc: 3\n---\nd: 'x\n")
    assert [document.content for document in file.documents] == [{"a": "1"}, {"c": "3"}]
    assert [finding.origin.line for finding in file.findings if finding.origin] == [4, 7]
    assert file.documents[1].origin.line == 5


def test_a_billion_laughs_is_one_finding() -> None:
    text = "a: &a [x]\n" + "".join(
        f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join(['*' + chr(97 + level)] * 9)}]\n" for level in range(20)
    )
    (complaint,) = complaints(text)
    assert "aliases expand to more than" in complaint


def test_a_billion_merges_is_one_finding() -> None:
    text = "a: &a {x: 1}\n" + "".join(
        f"{chr(98 + level)}: &{chr(98 + level)} {{<<: [{', '.join(['*' + chr(97 + level)] * 9)}]}}\n"
        for level in range(20)
    )
    (complaint,) = complaints(text)
    assert "aliases expand to more than" in complaint


@pytest.mark.parametrize("deep", ["a: " + "[" * 300_000, "".join(" " * at + "a:\n" for at in range(500))])
def test_deep_nesting_is_a_finding_and_not_a_crash(deep: str) -> None:
    (complaint,) = complaints(deep)
    assert "nested more than" in complaint


def test_a_sane_use_of_anchors_is_no_finding() -> None:
    lines = "".join(f"  - {{<<: *one, name: n{at}}}\n" for at in range(500))
    document = only(f"one: &one {{a: 1, b: 2}}\nall:\n{lines}")
    assert isinstance(document.content, dict)


def test_the_pure_parser_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: 0613\nb: {c: [1, 'two']}\n---\nx: &x {y: ~}\nz: *x\n---\nq: 'open\n"
    fast = read(text)
    monkeypatch.setattr(source, "_LOADER", yaml.SafeLoader)
    assert read(text) == fast


def test_hidden_names_and_other_suffixes_are_not_read(tmp_path: Path) -> None:
    plant(tmp_path, {"a.yaml": "a: 1", "b.yml": "b: 1", ".c.yaml": "c: 1", ".d/d.yaml": "d: 1", "e.md": "# no"})
    plant(tmp_path, {"kustomization.yaml": "resources: []"})
    assert [Path(file.name).name for file in read_sources([tmp_path])] == ["a.yaml", "b.yml"]


def test_a_mounted_configmap_is_read_once(tmp_path: Path) -> None:
    plant(tmp_path, {"..2026_01_01/prod.yaml": "a: 1"})
    (tmp_path / "..data").symlink_to("..2026_01_01")
    (tmp_path / "prod.yaml").symlink_to("..data/prod.yaml")
    assert [Path(file.name).name for file in read_sources([tmp_path])] == ["prod.yaml"]


def test_a_directory_that_contains_itself_is_read_once(tmp_path: Path) -> None:
    plant(tmp_path, {"below/a.yaml": "a: 1"})
    (tmp_path / "below" / "again").symlink_to(tmp_path)
    assert len(read_sources([tmp_path])) == 1


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    plant(tmp_path, {"a.yaml": "a: 1"})
    assert len(read_sources([tmp_path, tmp_path / "a.yaml"])) == 1


def test_a_missing_source_is_a_finding(tmp_path: Path) -> None:
    (file,) = read_sources([tmp_path / "nowhere"])
    assert "no such file" in file.findings[0].message


def test_a_link_to_nothing_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("gone.yaml")
    (file,) = read_sources([tmp_path])
    assert "cannot read" in file.findings[0].message


def test_what_is_not_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    assert read_sources([tmp_path]) == ()


def test_standard_input_is_a_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a: 1")))
    (file,) = read_sources([source.STDIN])
    assert file.name == "<stdin>"
    assert file.documents[0].content == {"a": "1"}


def test_a_huge_file_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 10)
    (file,) = read_sources([plant(tmp_path, {"a.yaml": "a: 12345678901"})])
    assert file.findings[0].code == "file_too_large"


def test_reading_a_small_file_takes_little_memory(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text("kind: Account\n")
    tracemalloc.start()
    try:
        read_sources((tmp_path,))
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_file_of_several_pieces_is_read_whole(tmp_path: Path) -> None:
    words = "x" * 200_000
    (tmp_path / "large.yaml").write_text(f"kind: {words}\n")
    (file,) = read_sources((tmp_path,))
    assert file.documents[0].content == {"kind": words}


def test_a_file_of_comments_is_a_warning_and_a_file_of_nothing_an_error() -> None:
    assert read("# later\n").findings[0].severity is Severity.WARNING
    assert read("\n").findings[0].severity is Severity.ERROR


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    (file,) = read_sources([plant(tmp_path, {"a.yaml": b"\xef\xbb\xbfa: 1"})])
    assert file.documents[0].keys[("a",)].column == 1


@given(st.text(max_size=60))
def test_any_text_is_read_or_explained(text: str) -> None:
    file = read(text)
    assert file.documents or file.findings or not text.strip()


@given(st.text(alphabet="ab: -[]{}&*#'\"\n\t|>!<,?%@`~", max_size=60))
def test_any_yaml_like_text_is_read_or_explained(text: str) -> None:
    file = read(text)
    for finding in (*file.findings, *(each for document in file.documents for each in document.findings)):
        assert finding.origin is not None
        assert 1 <= finding.origin.line <= text.count("\n") + 2
        assert finding.message
