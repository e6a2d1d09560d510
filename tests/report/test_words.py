"""Values and names in people's words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.ids import ArmId
from reconciler.model.pause import Pause
from reconciler.model.plan import FieldChange
from reconciler.model.text import plain
from reconciler.model.wire import Json
from reconciler.report.words import (
    count,
    join_words,
    shorten,
    show_duration,
    show_value,
    tell_change,
    tell_field,
    tell_scope,
    tell_step,
)
from tests.report.samples import CREATE, CREATE_STEP, UPDATE

S = "/subscriptions/s"
SUBNET = f"{S}/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/vnet-ai/subnets/gateway"


@pytest.mark.parametrize(
    ("id", "name"),
    [
        (f"{S}/resourceGroups/rg-ai", "ResourceGroup/rg-ai"),
        (f"{S}/resourceGroups/g/providers/microsoft.cognitiveservices/ACCOUNTS/a", "Account/a"),
        (
            f"{S}/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a/deployments/d",
            "Account/a/deployments/d",
        ),
        (SUBNET, "vnet-ai/gateway"),
        (
            f"{S}/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/mi",
            "userAssignedIdentities/mi",
        ),
        (S, "subscription s"),
    ],
)
def test_an_id_is_shortened_to_what_people_call_it(id: str, name: str) -> None:
    assert shorten(ArmId.parse(id)) == name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "none"),
        (True, "true"),
        ("true", '"true"'),
        ("", '""'),
        (" a", '" a"'),
        ("0613", "0613"),
        ([], "[]"),
        (["a", "b"], "a, b"),
        ({"id": SUBNET, "ignoreMissingVnetServiceEndpoint": False}, "vnet-ai/gateway"),
        ({"id": "x", "flag": True}, "{id: x, flag: true}"),
        ("/subscriptions/", "/subscriptions/"),
    ],
)
def test_a_value_is_short_and_unmistakable(value: Json, shown: str) -> None:
    assert show_value(value) == shown


def test_of_a_list_only_what_comes_and_goes_is_told() -> None:
    change = FieldChange(path="p", before=["a", "b"], after=["b", "c"])
    assert tell_change(change) == ("+c", "-a")


def test_a_list_that_only_changed_its_order_is_told_whole() -> None:
    assert tell_change(FieldChange(path="p", before=["a", "b"], after=["b", "a"])) == ("a, b -> b, a",)


def test_two_ids_with_the_same_short_name_are_told_in_full() -> None:
    other = SUBNET.replace("/s/", "/t/")
    assert tell_change(FieldChange(path="p", before=SUBNET, after=other)) == (f"{SUBNET} -> {other}",)
    assert tell_change(FieldChange(path="p", before=[SUBNET], after=[other])) == (f"+{other}", f"-{SUBNET}")


@given(st.text())
def test_nothing_shown_can_move_a_cursor_or_hide(text: str) -> None:
    assert plain(text).isprintable()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (72, "1 min 12 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (172_799, "48 h"),
        (172_800, "2 d"),
        (180_000, "2 d 2 h"),
    ],
)
def test_a_duration_reads_like_speech(seconds: float, shown: str) -> None:
    assert show_duration(seconds) == shown


def test_words_are_counted_and_joined() -> None:
    assert (count(1, "request"), count(2, "request"), count(2, "entry")) == ("1 request", "2 requests", "2 entries")
    assert (join_words(["a"]), join_words(["a", "b", "c"])) == ("a", "a, b and c")


@pytest.mark.parametrize(
    ("before", "after", "sensitive", "shown"),
    [
        (None, "x", False, "none -> x"),
        ("x", None, False, "x -> none"),
        (None, ["a", "b"], False, "none -> a, b"),
        ("none", None, False, '"none" -> none'),
        (None, "s", True, "none -> (sensitive)"),
        ("s", None, True, "(sensitive) -> none"),
        ("s", "t", True, "(sensitive) -> (sensitive)"),
    ],
)
def test_a_change_of_what_exists_tells_before_and_after(before: Json, after: Json, sensitive: bool, shown: str) -> None:
    assert tell_change(FieldChange(path="p", before=before, after=after, sensitive=sensitive)) == (shown,)
    (text,) = tell_field(UPDATE, FieldChange(path="p", before=before, after=after, sensitive=sensitive))
    assert text == shown


def test_of_something_new_only_the_value_is_told_and_nothing_sensitive() -> None:
    assert tell_field(CREATE, FieldChange(path="p", before=None, after="x")) == ("x",)
    assert tell_field(CREATE, FieldChange(path="p", before=None, after="x", sensitive=True)) == ("(sensitive)",)


def test_a_write_has_the_name_of_its_decision() -> None:
    subnet = replace(CREATE_STEP, id=ArmId.parse(SUBNET), name="VirtualNetwork/vnet-ai/subnets/gateway#write-1")
    assert tell_step(subnet) == "+ create VirtualNetwork/vnet-ai/subnets/gateway"


def test_a_scope_is_told_in_words() -> None:
    assert tell_scope(Pause(until=0.0)) == "everything"
    assert tell_scope(Pause(until=0.0, kind="Account")) == "every Account"
    assert tell_scope(Pause(until=0.0, fleet="prod", target="Account/a")) == "Account/a of fleet prod"
