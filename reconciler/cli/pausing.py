"""Pauses as people ask for them: until when, about what, and which are over. Pure; moments are epoch seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import isfinite

from reconciler.model.moment import show_time
from reconciler.model.pause import Pause
from reconciler.model.wire import Json, JsonObject
from reconciler.settings import read_duration

_FORMS = "write a duration such as 90m or 2h, a time such as 18:00, or 2026-11-28T18:00+01:00"


def read_until(text: str, now: float) -> float:
    """The moment that `text` means, counted from `now`; a time without a zone is one of this machine's. ValueError says
    what is wrong."""
    try:
        return _check_ahead(text, _read_moment(text, now), now)
    except OverflowError:
        raise ValueError(f"{text!r} is too far away; {_FORMS}") from None


def _read_moment(text: str, now: float) -> float:
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if clock:
        here = datetime.fromtimestamp(now, UTC).astimezone()
        moment = here.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return (moment if moment > here else moment + timedelta(days=1)).timestamp()
    try:
        return now + read_duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise ValueError(f"{text!r} is no time; {_FORMS}") from None


def _check_ahead(text: str, moment: float, now: float) -> float:
    if moment <= now:
        raise ValueError(f"{text} is over already: it is {show_time(now)}; {_FORMS}")
    return moment


def add_pause(pauses: Iterable[Pause], wanted: Pause, now: float) -> tuple[Pause, ...]:
    """The pauses with one more, less what is over and less one of the same scope."""
    kept = (each for each in pauses if each.until > now and each.scope != wanted.scope)
    return (*kept, wanted)


def end_pauses(pauses: Iterable[Pause], scope: Pause, now: float) -> tuple[tuple[Pause, ...], tuple[Pause, ...]]:
    """What stays and what was ended: every pause of the scope asked for, or of one within a fleet that alone is named,
    or all where nothing is."""
    current = [each for each in pauses if each.until > now]
    ended = [each for each in current if _is_within(each, scope)]
    return tuple(each for each in current if each not in ended), tuple(ended)


def _is_within(pause: Pause, scope: Pause) -> bool:
    pairs = zip(pause.scope, scope.scope, strict=True)
    return all(wanted in ("", found) for found, wanted in pairs)


def tell_document(pause: Pause) -> JsonObject:
    """One pause for programs; `until` is null for one that ends when somebody looks."""
    until: Json = show_time(pause.until) if isfinite(pause.until) else None
    return {
        "fleet": pause.fleet or None,
        "kind": pause.kind or None,
        "target": pause.target or None,
        "since": show_time(pause.since),
        "until": until,
        "by": pause.by,
        "reason": pause.reason,
    }
