"""Hours of maintenance in a Fleet document: what they mean, and what is said about those that mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.desired import load_estate
from reconciler.model.pause import Maintenance, Window
from tests.desired.trees import FLEET, plant, tell

CRON = "write minute, hour, day, month and weekday, such as `0 22 * * mon-fri`"


def fleet(maintenance: str) -> str:
    return FLEET.replace("spec: {", f"spec: {{maintenance: {maintenance}, ")


def read(tmp_path: Path, maintenance: str) -> Maintenance | None:
    estate = load_estate([plant(tmp_path, {"fleet.yaml": fleet(maintenance)})], {})
    assert estate.findings == ()
    return estate.fleets[0].policy.maintenance


def test_without_hours_every_hour_will_do(tmp_path: Path) -> None:
    estate = load_estate([plant(tmp_path, {"fleet.yaml": FLEET})], {})
    assert estate.fleets[0].policy.maintenance is None


def test_hours_begin_as_crontab_says_and_last_as_long_as_they_say(tmp_path: Path) -> None:
    written = (
        "{timeZone: Europe/Stockholm, allow: [{start: '0 22 * * mon-fri', duration: 6h}], "
        "deny: [{start: '0 0 24 12 *', duration: 3d}, {start: '*/15 8-17 1,15 * *', duration: 90}]}"
    )
    assert read(tmp_path, written) == Maintenance(
        zone="Europe/Stockholm",
        allow=(Window(start="0 22 * * mon-fri", seconds=21_600),),
        deny=(Window(start="0 0 24 12 *", seconds=259_200), Window(start="*/15 8-17 1,15 * *", seconds=90)),
    )


@pytest.mark.parametrize(
    ("maintenance", "told"),
    [
        (
            "{timeZone: Europe/Stockholn}",
            "maintenance.timeZone: there is no time zone 'Europe/Stockholn' (did you mean Europe/Stockholm?)",
        ),
        (
            "{timeZone: Mars}",
            "maintenance.timeZone: there is no time zone 'Mars' (write its IANA name, such as Europe/Stockholm)",
        ),
        (
            "{allow: [{start: '0 25 * * *', duration: 6h}]}",
            f"maintenance.allow[0].start: '0 25 * * *' is no cron expression (bad hour; {CRON})",
        ),
        (
            "{allow: [{start: '0 0 0 22 * *', duration: 6h}]}",
            f"maintenance.allow[0].start: '0 0 0 22 * *' is no cron expression ({CRON})",
        ),
        (
            "{deny: [{start: '0 0 31 2 *', duration: 6h}]}",
            f"maintenance.deny[0].start: '0 0 31 2 *' is no cron expression (bad day-of-month; {CRON})",
        ),
        (
            "{allow: [{start: '0 22 * * *', duration: six hours}]}",
            "maintenance.allow[0].duration: 'six hours' is no duration (write it like 90s, 10m, 1h30m or 2d)",
        ),
    ],
)
def test_hours_that_mean_nothing_are_told_with_what_would(tmp_path: Path, maintenance: str, told: str) -> None:
    plant(tmp_path, {"fleet.yaml": fleet(maintenance)})
    (line,) = tell(load_estate([tmp_path], {}), tmp_path)
    assert line.partition("error: ")[2] == told


def test_everything_that_is_wrong_with_them_is_told_at_once(tmp_path: Path) -> None:
    written = "{timezone: UTC, allow: [], deny: [{start: '* * *', duration: 1}, {duration: 1h}]}"
    plant(tmp_path, {"fleet.yaml": fleet(written)})
    lines = tell(load_estate([tmp_path], {}), tmp_path)
    assert len(lines) == 4, lines
    assert "did you mean timeZone?" in "".join(lines)
