"""How long to wait before asking again: the pace Azure asks for, or a gentle one of our own."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.finding import Fault
from reconciler.model.ports import Chance

_FIRST_LOOK = 5.0
_SLOWEST_LOOK = 15.0
_BASE = 1.0
_CAP = 60.0


def next_pause(asked: float | None, looks: int) -> float:
    """Seconds until the next look at an operation: what Azure asked for, else from 5 s rising to 15 s."""
    if asked is not None:
        return asked
    return min(_FIRST_LOOK + 2.5 * looks, _SLOWEST_LOOK)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Capped exponential backoff with jitter; Retry-After is never undercut."""

    chance: Chance

    def pause(self, attempt: int, fault: Fault) -> float:
        """Seconds before attempt `attempt` + 1 (counted from 0)."""
        ceiling = min(_CAP, _BASE * 2.0**attempt)
        jittered = self.chance.uniform(ceiling / 2, ceiling)
        if fault.retry_after is not None:
            return fault.retry_after + self.chance.uniform(0.0, min(1.0, jittered))
        return jittered
