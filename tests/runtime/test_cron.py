"""Cron as crontab(5) has it, in any zone: when it strikes, when it struck, and what is no cron."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from reconciler.cron import check_cron, check_zone, last_strike, next_strike, show_local

SWEDEN = "Europe/Stockholm"


def at(text: str, zone: str = SWEDEN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("expression", "moment", "last", "following"),
    [
        ("0 22 * * *", "2026-11-28T22:00:00", "2026-11-28T22:00:00", "2026-11-29T22:00:00"),
        ("0 22 * * *", "2026-11-28T21:59:59", "2026-11-27T22:00:00", "2026-11-28T22:00:00"),
        # 28 November 2026 is a Saturday: 6, or sat. A Sunday is 0 and 7.
        ("0 8 * * 6", "2026-11-28T09:00:00", "2026-11-28T08:00:00", "2026-12-05T08:00:00"),
        ("0 8 * * 0", "2026-11-28T09:00:00", "2026-11-22T08:00:00", "2026-11-29T08:00:00"),
        ("0 8 * * 7", "2026-11-28T09:00:00", "2026-11-22T08:00:00", "2026-11-29T08:00:00"),
        # A day of the month or a weekday, where both are said.
        ("0 8 1 * mon", "2026-11-28T09:00:00", "2026-11-23T08:00:00", "2026-11-30T08:00:00"),
        ("0 8 1 * mon", "2026-11-30T09:00:00", "2026-11-30T08:00:00", "2026-12-01T08:00:00"),
        ("*/20 * * * *", "2026-11-28T09:39:00", "2026-11-28T09:20:00", "2026-11-28T09:40:00"),
        # Half past two does not come in the night to 29 March, and comes twice in the night to 25 October.
        ("30 2 * * *", "2026-03-28T12:00:00", "2026-03-28T02:30:00", "2026-03-29T03:00:00"),
        ("30 2 * * *", "2026-10-24T12:00:00", "2026-10-24T02:30:00", "2026-10-25T02:30:00"),
        ("30 2 * * *", "2026-10-25T02:30:00", "2026-10-25T02:30:00", "2026-10-26T02:30:00"),
    ],
)
def test_it_strikes_as_crontab_does(expression: str, moment: str, last: str, following: str) -> None:
    assert last_strike(expression, SWEDEN, at(moment)) == at(last)
    assert next_strike(expression, SWEDEN, at(moment)) == at(following)


def test_a_strike_is_never_after_and_never_before_what_was_asked() -> None:
    moment = at("2026-01-01T00:00:00")
    for expression in ("0 22 * * *", "*/7 3-5 * * *", "15 1 29 2 *", "0 0 * * 5"):
        for step in range(200):
            now = moment + step * 17_333.3
            before, after = last_strike(expression, SWEDEN, now), next_strike(expression, SWEDEN, now)
            assert before is not None
            assert after is not None
            assert before <= now < after


@pytest.mark.parametrize("expression", ["* * * * *", "0 22 * * mon-fri", "*/5 0-6,22 1,15 jan-mar *", "0 0 29 2 *"])
def test_what_is_cron_is_taken(expression: str) -> None:
    check_cron(expression)


@pytest.mark.parametrize(
    "expression", ["", "0 22 * *", "0 0 22 * * *", "61 * * * *", "0 0 30 2 *", "0 22 * * fri-mon", "soon"]
)
def test_what_is_none_is_refused_with_what_would_be_one(expression: str) -> None:
    with pytest.raises(ValueError, match="write minute, hour, day, month and weekday, such as `0 22"):
        check_cron(expression)


@pytest.mark.parametrize("name", ["UTC", "Europe/Stockholm", "America/Argentina/Buenos_Aires"])
def test_zones_have_their_iana_names(name: str) -> None:
    check_zone(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("europe/stockholm", "did you mean Europe/Stockholm"),
        ("Europe", "did you mean Europe/"),
        ("../../etc/passwd", "write its IANA name"),
        ("", "write its IANA name"),
    ],
)
def test_what_is_no_zone_is_refused(name: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_zone(name)


def test_a_moment_is_told_in_its_zone() -> None:
    assert show_local(at("2026-07-01T22:00:00"), SWEDEN) == "2026-07-01 22:00 Europe/Stockholm"
