"""When a cron expression strikes, in a time zone: one reading of it for settings, documents, guards and triggers.

Five fields as in crontab(5), weekdays from 0 or `sun`. What falls into the hour that a zone skips in spring happens
right after it; what falls into the hour that comes twice in autumn happens once. Moments are epoch seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from difflib import get_close_matches
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError


def check_cron(expression: str) -> None:
    """ValueError says how to write it where nothing would ever strike."""
    example = "write minute, hour, day, month and weekday, such as `0 22 * * mon-fri`"
    if len(expression.split()) != 5:
        raise ValueError(example)
    try:
        strikes = next_strike(expression, "UTC", 0.0) is not None
    except CronSimError as error:
        raise ValueError(f"{str(error).lower()}; {example}") from None
    if not strikes:
        raise ValueError(f"there is no such day; {example}")


def check_zone(name: str) -> None:
    """ValueError says what a time zone is called."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(_suggest_zone(name)) from None


def _suggest_zone(name: str) -> str:
    folded = {zone.lower(): zone for zone in sorted(available_timezones())}
    close = get_close_matches(name.lower().replace(" ", "_"), folded, n=1)
    return f"did you mean {folded[close[0]]}?" if close else "write its IANA name, such as Europe/Stockholm"


def next_strike(expression: str, zone: str, moment: float) -> float | None:
    """The first one after `moment`."""
    return _first(CronSim(expression, datetime.fromtimestamp(moment, ZoneInfo(zone))))


def last_strike(expression: str, zone: str, moment: float) -> float | None:
    """The last one at or before `moment`."""
    return _first(CronSim(expression, datetime.fromtimestamp(int(moment) + 1, ZoneInfo(zone)), reverse=True))


def _first(strikes: CronSim) -> float | None:
    found = next(strikes, None)
    return found.timestamp() if found is not None else None


def show_local(moment: float, zone: str) -> str:
    """`2026-11-28 22:00 Europe/Stockholm`, to the minute."""
    return f"{datetime.fromtimestamp(moment, UTC).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"
