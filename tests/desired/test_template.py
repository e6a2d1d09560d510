"""Placeholders take values from the environment, and nothing else happens to the text around them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired.source import RawDocument, read_text
from reconciler.desired.template import fill
from reconciler.kinds.spec import Plain

ENVIRONMENT = {"NAME": "prod", "CAPACITY": "300", "EMPTY": "", "NULL": "null", "TRICKY": "x\n- y: ${NAME}"}


def filled(text: str) -> RawDocument:
    (document,) = read_text(text, "f.yaml", Path("/d")).documents
    return fill(document, ENVIRONMENT)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("${NAME}", "prod"),
        ("a-${NAME}-${CAPACITY}", "a-prod-300"),
        ('"${NAME}"', "prod"),
        ("$${NAME}", "${NAME}"),
        ("a$$b", "a$$b"),
        ("$NAME", "$NAME"),
        ("$$${NAME}", "$${NAME}"),
    ],
)
def test_a_placeholder_is_filled_in_and_can_be_escaped(written: str, meant: str) -> None:
    document = filled(f"a: {written}\n")
    assert document.findings == ()
    assert document.content == {"a": meant}


def test_an_unquoted_value_stays_unquoted_so_that_a_number_is_one() -> None:
    content = filled("a: ${CAPACITY}\nb: '${CAPACITY}'\n").content
    assert isinstance(content, dict)
    assert isinstance(content["a"], Plain)
    assert not isinstance(content["b"], Plain)


def test_a_value_is_text_and_never_structure() -> None:
    assert filled("a: ${TRICKY}\nb: ${NULL}\n").content == {"a": "x\n- y: ${NAME}", "b": "null"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: x-${NOWHERE}\n", "f.yaml:1:6: error: the environment variable NOWHERE is not set (set NOWHERE"),
        ("a: ${NAMEE}\n", "f.yaml:1:4: error: the environment variable NAMEE is not set (did you mean NAME?"),
        ("a: ${EMPTY}\n", "f.yaml:1:4: error: the environment variable EMPTY is empty"),
        ("a: [b, '${NOWHERE}']\n", "f.yaml:1:8: error: the environment variable NOWHERE is not set"),
        ("a: ${not-a-name}\n", "f.yaml:1:4: error: '${not-a-name}' is not a placeholder"),
        ('a: "${NAME"\n', "f.yaml:1:4: error: '${NAME' is not a placeholder"),
        ("${NAME}: b\n", "f.yaml:1:1: error: the key ${NAME} holds a placeholder"),
    ],
)
def test_what_cannot_be_filled_in_is_a_finding_at_its_place(text: str, expected: str) -> None:
    (finding,) = filled(text).findings
    assert str(finding).startswith(expected)


@given(st.text(alphabet="ab${}N'", max_size=12))
def test_any_text_survives_escaping(text: str) -> None:
    quoted = text.replace("${", "$${").replace("'", "''")
    assert filled(f"a: '{quoted}'\n").content == {"a": text}
