"""At what hours a fleet is written to. Pure; moments are epoch seconds."""

from __future__ import annotations

from reconciler.cron import last_strike, next_strike, show_local
from reconciler.model.pause import Maintenance, Window

_JUMPS = 200  # from one end of closed hours to the next; whoever denies more in a row denies everything


def tell_closed(maintenance: Maintenance | None, now: float) -> str:
    """Why nothing is written at this hour, and until when; "" while it may be."""
    if maintenance is None:
        return ""
    denied = _end(maintenance.deny, maintenance.zone, now) is not None
    if not denied and _is_allowed(maintenance, now):
        return ""
    what = "in hours that spec.maintenance denies" if denied else "outside the hours that spec.maintenance allows"
    opens = _find_opening(maintenance, now)
    if opens is None:
        return f"{what}, and no others are in sight"
    return f"{what}; writes go on at {show_local(opens, maintenance.zone)}"


def _find_opening(maintenance: Maintenance, now: float) -> float | None:
    moment: float | None = now
    for _ in range(_JUMPS):
        if moment is None:
            return None
        ends = _end(maintenance.deny, maintenance.zone, moment)
        if ends is None and _is_allowed(maintenance, moment):
            return moment
        moment = ends if ends is not None else _next_start(maintenance, moment)
    return None


def _is_allowed(maintenance: Maintenance, moment: float) -> bool:
    return not maintenance.allow or _end(maintenance.allow, maintenance.zone, moment) is not None


def _next_start(maintenance: Maintenance, moment: float) -> float | None:
    strikes = (next_strike(each.start, maintenance.zone, moment) for each in maintenance.allow)
    return min((each for each in strikes if each is not None), default=None)


def _end(windows: tuple[Window, ...], zone: str, moment: float) -> float | None:
    """When the last of the windows that `moment` lies in ends; None where it lies in none."""
    begun = ((last_strike(each.start, zone, moment), each.seconds) for each in windows)
    ends = (began + seconds for began, seconds in begun if began is not None)
    return max((end for end in ends if moment < end), default=None)
