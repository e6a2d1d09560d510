"""Report: what becomes of the models that a fleet runs, as lines and as JSON. Pure.

How many days are left hangs on the day somebody looks, so none of it is part of a plan's digest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.outlook import Nearness, Outlook, Retirement, show_day
from reconciler.model.quota import Pool
from reconciler.model.wire import JsonObject
from reconciler.report.words import count, shorten

_PRESSING = (Nearness.URGENT, Nearness.CRITICAL, Nearness.RETIRED)
_SHOWN = 3  # more deployments than these are only counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing to tell, what can be done about it, and whether that is pressing."""

    told: str
    advice: str = ""
    pressing: bool = False


def tell_ahead(outlook: Outlook, retirements: Iterable[Retirement]) -> tuple[Line, ...]:
    """Some of its retirements, in their order, then what Azure does by itself, then what is not known."""
    lines = [_tell(each) for each in retirements]
    lines += [Line(told=f"{note.ref}: {note.told}") for note in outlook.notes]
    lines += [
        Line(told=f"{location}: its model list could not be read, so when its models retire is not known: {fault}")
        for location, fault in outlook.unread.items()
    ]
    return tuple(lines)


def _tell(found: Retirement) -> Line:
    names = [shorten(id) for id in found.deployments]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    severity = "" if found.nearness is Nearness.FAR else f"{found.nearness.value}: "
    who = f"{count(len(names), 'deployment')} ({', '.join(names[:_SHOWN])}{more})"
    return Line(told=f"{severity}{found.told}; {who}", advice=found.advice, pressing=found.nearness in _PRESSING)


def tell_pool_end(pool: Pool) -> str:
    """`the first of ours in it retires on 2026-02-27, in 25 days`; "" where nothing is known to."""
    if pool.retires is None or pool.days is None:
        return ""
    day = show_day(pool.retires)
    if pool.days < 0:
        return f"the first of ours in it was retired on {day}"
    return f"the first of ours in it retires on {day}, in {count(pool.days, 'day')}"


def tell_outlook_json(outlook: Outlook) -> JsonObject:
    return {
        "retirements": [_retirement(each) for each in outlook.retirements],
        "notes": [{"id": str(each.id), "ref": str(each.ref), "message": each.told} for each in outlook.notes],
        "unread": [*outlook.unread],
    }


def _retirement(found: Retirement) -> JsonObject:
    best = found.replacement
    return {
        "location": found.offer.location,
        "format": found.offer.format,
        "model": found.model,
        "version": found.version,
        "sku": found.offer.sku,
        "usage": found.usage,
        "deployments": [str(id) for id in found.deployments],
        "capacity": found.units,
        "retires": show_day(found.at),
        "days_left": found.days,
        "severity": found.nearness.value,
        "tentative": found.tentative,
        "before_model": found.early,
        "replacement": {"model": best.model, "version": best.version, "takes": best.units} if best else None,
        "message": found.told,
        "advice": found.advice,
    }
