"""What one cycle tells the next one of the same process. An empty one is always safe: it costs a repeated question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.model.ids import ArmId
from reconciler.model.quota import Offer


@dataclass(frozen=True, slots=True, kw_only=True)
class Shunned:
    """An offer for which Azure had no hardware `times` in a row, the last time `at`; it is not asked for again before
    `until`, both in epoch seconds."""

    at: float
    until: float
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Something that failed `times` in a row, the last time because of `reason`, while bringing about what `wanted`
    names. It is not tried again before `until`, in epoch seconds of our clock, unless something else is wanted.

    Where somebody undid it each time, `wants` names what its document said meanwhile: then it is held for as long as
    the document says that and no more than `paths` differ, or whatever differs where there are none."""

    until: float
    times: int
    reason: str
    advice: str = ""
    wanted: str = ""
    wants: str = ""
    paths: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """`purged` are the soft-deleted accounts that this run has purged, by the ids that they had alive. `returning` are
    the folded regions in which usages have not shown yet what a purge gave back, each with the moment, in epoch seconds
    of Azure's clock, from which that is waited for no longer. `lingering` are the same for regions where something that
    is gone still had its place among the accounts, as it has after a purge that nobody here remembers. `shunned` are
    offers that Azure had no hardware for. `holds` are resources that failed. `written` are those that we wrote to
    lately, with when that ended, in epoch seconds of our clock."""

    purged: tuple[ArmId, ...] = ()
    returning: Mapping[str, float] = field(default_factory=dict)
    lingering: Mapping[str, float] = field(default_factory=dict)
    shunned: Mapping[Offer, Shunned] = field(default_factory=dict)
    holds: Mapping[ArmId, Held] = field(default_factory=dict)
    written: Mapping[ArmId, float] = field(default_factory=dict)


NOTHING = Memory()
