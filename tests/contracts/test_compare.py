"""The comparison with recordings notices what a careless one would let pass."""

import pytest

from tests.contracts.recorded.compare import Comparison, Names, Rules
from tests.contracts.recorded.exchanges import Json

HERE = "https://127.0.0.1:4433"
ONE = "7d002afd-0000-0500-0000-64bf54870000"
TWO = "7d002bfd-0000-0500-0000-64bf54880000"
MADE = "aaaaaaaa-0000-1100-0000-65bf54870000"
SIGNED = "api-version=2017-04-18&t=638972597022747676&c=REDACTED&s=REDACTED&h=REDACTED"


def comparison(*, unfiltered: bool = False, shortened: bool = False) -> Comparison:
    return Comparison(Names(same=()), Rules(HERE, unfiltered, shortened))


def found(recorded: Json, simulated: Json) -> list[tuple[str, str]]:
    compared = comparison()
    compared.json("body", recorded, simulated)
    return [(each.path, each.kind) for each in compared.found]


@pytest.mark.parametrize(
    ("recorded", "simulated", "expected"),
    [
        ({"a": 1}, {"a": 2}, ("body.a", "value")),
        ({"a": True}, {"a": 1}, ("body.a", "value")),
        ({"a": {"b": "x"}}, {"a": {}}, ("body.a.b", "missing")),
        ({}, {"a": None}, ("body.a", "extra")),
        ({"a": None}, {"a": "x"}, ("body.a", "extra")),
        ([{"name": "x"}], [], ("body[x]", "missing")),
        ([], [{"name": "x"}], ("body[x]", "extra")),
        ([{"name": "x"}, {"name": "y"}], [{"name": "y"}, {"name": "x"}], ("body", "order")),
        ("2025-10-28T14:48:22Z", "2025-10-28T14:49:22Z", ("body", "value")),
        ("2025-10-28T14:48:22Z", "2025-10-28T14:48:22.1234567Z", ("body", "value")),
        (f'"{ONE}"', '"0a1b2c3d-1111-2222-3333-444444444444"', ("body", "value")),
        ("2026-02-27T00:00:00Z", "2036-02-27T00:00:00Z", ("body", "ten years")),
    ],
)
def test_a_difference_is_named(recorded: Json, simulated: Json, expected: tuple[str, str]) -> None:
    assert found(recorded, simulated) == [expected]


def test_an_etag_that_should_have_changed_is_noticed() -> None:
    compared = comparison()
    compared.json("first", ONE, MADE)
    assert compared.found == []
    compared.json("second", TWO, MADE)
    assert [each.path for each in compared.found] == ["second"]


def test_an_etag_that_should_not_have_changed_is_noticed() -> None:
    compared = comparison()
    compared.json("first", ONE, MADE)
    compared.json("second", ONE, MADE.replace("a", "b"))
    assert [each.path for each in compared.found] == ["second"]


@pytest.mark.parametrize(
    ("simulated", "path"),
    [
        (None, "headers.location"),
        ("https://management.azure.com/x?api-version=1", "headers.location.host"),
        (f"{HERE}/y?{SIGNED}{'x' * 4000}", "headers.location.path"),
        (f"{HERE}/x?api-version=2017-04-18", "headers.location.query"),
        (f"{HERE}/x?{SIGNED.replace('2017', '2018')}{'x' * 4000}", "headers.location.query.api-version"),
        (f"{HERE}/x?{SIGNED}", "headers.location.query.length"),
    ],
)
def test_a_link_that_leads_elsewhere_is_noticed(simulated: str | None, path: str) -> None:
    compared = comparison()
    recorded = {"location": f"https://management.azure.com/x?{SIGNED}", "date": "now"}
    compared.headers(recorded, {"date": "now"} | ({} if simulated is None else {"location": simulated}))
    assert [each.path for each in compared.found] == [path]


def test_a_retry_after_that_azure_does_not_send_is_noticed_where_all_headers_were_kept() -> None:
    for unfiltered in (False, True):
        compared = comparison(unfiltered=unfiltered)
        compared.headers({"date": "now"}, {"date": "now", "retry-after": "10"})
        assert bool(compared.found) is unfiltered


def test_more_entries_are_no_difference_only_where_a_list_was_cut() -> None:
    for shortened in (False, True):
        compared = comparison(shortened=shortened)
        compared.json("body", {"value": []}, {"value": [{"name": "x"}]})
        assert bool(compared.found) is not shortened
