"""What an identity may do: what Azure grants it where (`Rights`), and what of that a plan tells people (`Mandate`).

A scope that could not be read is unknown: it neither grants nor refuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from reconciler.model.finding import Fault
from reconciler.model.ids import ArmId


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one role assignment gives: `actions` less `not_actions`, patterns in which `*` stands for anything and case
    means nothing. What it takes away from itself another one may give."""

    actions: tuple[str, ...]
    not_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        given = any(_pattern(each).fullmatch(action) for each in self.actions)
        return given and not any(_pattern(each).fullmatch(action) for each in self.not_actions)


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsScope:
    """What shall be read: what is granted at `places` (a subscription, a group, a resource), and whether the providers
    of `namespaces` (as Azure spells them) are registered in `subscription`."""

    subscription: str
    places: frozenset[ArmId] = frozenset()
    namespaces: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What was read. A place is in `grants`, or in `unread` with the reason.

    What is granted at a place holds for all below it, and Azure tells it at each place together with what it inherits.
    `unregistered` gives Azure's word for how a provider stands, by folded namespace; `unsure` are those of which nobody
    knows it. Without `binding` it is somebody else who will write: what is missing is told and stops nothing.
    """

    grants: Mapping[ArmId, tuple[Grant, ...]] = field(default_factory=dict)
    unread: Mapping[ArmId, Fault] = field(default_factory=dict)
    unregistered: Mapping[str, str] = field(default_factory=dict)
    unsure: Mapping[str, Fault] = field(default_factory=dict)
    binding: bool = True
    requests: int = 0

    def allows(self, action: str, id: ArmId) -> bool | None:
        """Whether the action may be done to `id`; None where that is not known."""
        known = [place for place in _above(id) if place in self.grants or place in self.unread]
        if any(grant.allows(action) for place in known for grant in self.grants.get(place, ())):
            return True
        return None if not known or known[0] in self.unread else False


def _above(id: ArmId) -> Iterator[ArmId]:
    """`id` and everything that it lies in, the nearest first."""
    place: ArmId | None = id
    while place is not None:
        yield place
        place = place.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """Actions that an identity may not do at a place and that a plan needs there for `refs`; `roles` are built-in ones
    that contain them. All in people's words."""

    place: str
    actions: tuple[str, ...]
    refs: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """What a plan tells about rights besides what it blocks: what the identity that made it lacks, where somebody else
    is to carry it out, and what could not be read of that, in people's words, each with the reason."""

    lacks: tuple[Lack, ...] = ()
    unread: tuple[tuple[str, Fault], ...] = ()
