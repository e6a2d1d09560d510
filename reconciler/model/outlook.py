"""When the models that a fleet runs retire, and what Azure does to its deployments by itself.

Everything here hangs on a clock, so none of it is part of a plan's digest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from reconciler.model.finding import Fault
from reconciler.model.ids import ArmId, Ref
from reconciler.model.quota import Offer

DAY = 86_400


class Nearness(StrEnum):
    """How near a retirement is: more than 90 days off, then within 90, 60, 30 and 7, then past."""

    FAR = "far"
    NOTICE = "notice"
    WARNING = "warning"
    URGENT = "urgent"
    CRITICAL = "critical"
    RETIRED = "retired"


_DAYS = ((7, Nearness.CRITICAL), (30, Nearness.URGENT), (60, Nearness.WARNING), (90, Nearness.NOTICE))


def count_days(moment: int, now: float) -> int:
    """Whole days from `now` to `moment`, both in epoch seconds; negative once it is past."""
    return int((moment - now) // DAY)


def tell_nearness(moment: int, now: float) -> Nearness:
    if moment <= now:
        return Nearness.RETIRED
    left = moment - now
    return next((word for days, word in _DAYS if left <= days * DAY), Nearness.FAR)


def show_day(moment: int) -> str:
    """`2026-03-31`."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What can take the place of a retiring model in the same region, as the same type of deployment. `units` is what
    that takes of its pool besides what is held already, `room` what is left there, None where nobody knows."""

    model: str
    version: str
    units: int
    room: int | None

    @property
    def fits(self) -> bool:
        return self.units <= 0 or (self.room is not None and self.units <= self.room)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retirement:
    """An offer that this fleet runs, or will once the plan is done, and when it is retired.

    `model` and `version` are as Azure spells them. `at` is in epoch seconds; it is `tentative` where Azure may move it,
    and `early` where the model itself goes on after that day, as other types of deployments. `units` is the capacity of
    all `deployments` together. `told` and `advice` are that in words.
    """

    offer: Offer
    model: str
    version: str
    usage: str
    deployments: tuple[ArmId, ...]
    units: int
    at: int
    days: int
    nearness: Nearness
    tentative: bool = False
    early: bool = False
    replacement: Replacement | None = None
    told: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What Azure has done to a resource by itself, or will do, and what a person can do about it."""

    id: ArmId
    ref: Ref
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """`retirements` soonest first. `unread` are regions whose model list could not be read: about what runs there, and
    is in no other list, nothing is known."""

    retirements: tuple[Retirement, ...] = ()
    notes: tuple[Note, ...] = ()
    unread: Mapping[str, Fault] = field(default_factory=dict)

    @property
    def near(self) -> tuple[Retirement, ...]:
        """Those that people have to be told of."""
        return tuple(each for each in self.retirements if each.nearness is not Nearness.FAR)


NO_OUTLOOK = Outlook()
