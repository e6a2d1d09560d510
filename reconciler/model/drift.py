"""Drift: a resource that is not as its document says although the document has not changed.

A drift is one resource's, from the pass that notices it to the one that finds it as declared again. Its `key` is the
same for the next drift of the same resource, so that what comes back is known again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from reconciler.model.ids import ArmId, Ref
from reconciler.model.wire import Json

UNKNOWN_YET: Final = "unknown yet"


class Gravity(StrEnum):
    """What a drift costs, the worst first: more can get in, less can be served, less is guarded, or none of these."""

    EXPOSURE = "exposure"
    CAPACITY = "capacity"
    SECURITY = "security"
    COSMETIC = "cosmetic"


class Correction(StrEnum):
    """What becomes of a drift: something is due, was done, is kept from being done, is not ours to do, or is no longer
    tried because somebody undoes it each time."""

    DUE = "due"
    DONE = "done"
    BLOCKED = "blocked"
    OBSERVED = "observed"
    GIVEN_UP = "given_up"


class Ending(StrEnum):
    """Who ended a drift: one of our writes, somebody else, one of the two (nobody saw which), or another wish in the
    documents."""

    US = "put right by us"
    SOMEBODY = "put right by somebody else"
    UNSEEN = "put right"
    DOCUMENT = "its document changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One field as it is declared, `before`, and as it was found, `after`; long values are cut, secret ones masked."""

    path: str
    before: Json
    after: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Times are epoch seconds. `gone`: the resource does not exist any more. `omitted` are further changed fields.

    `actor` is who did it, or that this is unknown yet; `since` is when they did, as Azure says; by Azure's clock they
    had not at `after`, and it was over at `until`. `because` says why it is not put right. `returns` counts how often
    it came back after it had been put right, `undone` are the times when that undid us, each time at the fields
    `contested` ("" is the whole resource), and `yielded` is when that was given up.
    `within` is the key of the drift of what it lies in, where it is gone with that. `wants` names what its document
    says.
    """

    key: str
    fleet: str
    id: ArmId
    ref: Ref
    labels: Mapping[str, str] = field(default_factory=dict)
    gravity: Gravity = Gravity.COSMETIC
    changes: tuple[Edit, ...] = ()
    omitted: int = 0
    gone: bool = False
    first_seen: float
    last_seen: float
    actor: str = UNKNOWN_YET
    since: str = ""
    after: float = 0.0
    until: float | None = None
    correction: Correction = Correction.DUE
    because: str = ""
    returns: int = 0
    undone: tuple[float, ...] = ()
    contested: tuple[str, ...] = ()
    yielded: float | None = None
    within: str = ""
    wants: str = ""
    ending: Ending | None = None
    ended: float | None = None

    @property
    def explained(self) -> bool:
        return self.actor != UNKNOWN_YET

    @property
    def paths(self) -> tuple[str, ...]:
        """What differs, "" where that is no single field."""
        paths = () if self.gone else tuple(each.path for each in self.changes)
        return paths or ("",)


def name_drift(fleet: str, id: ArmId) -> str:
    """The key of every drift of a resource, in each process and for ever."""
    return "drift-" + hashlib.sha256(f"{fleet}\n{id.key}".encode()).hexdigest()[:16]
