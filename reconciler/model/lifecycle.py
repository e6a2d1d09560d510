"""How a document wants what it declares to be treated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ManagePolicy(StrEnum):
    """Who may change the resource: `manage` converges, `observe` only reports drift, `detach` lets go of it. `require`
    never writes either, and is not content until somebody else has made it as declared."""

    MANAGE = "manage"
    OBSERVE = "observe"
    DETACH = "detach"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """How a document wants its resources treated. `ignore` holds dotted paths, with `[name]` for a child."""

    policy: ManagePolicy = ManagePolicy.MANAGE
    adopt: bool = False
    prevent_destroy: bool = False
    ignore: tuple[str, ...] = ()
    allow: frozenset[str] = frozenset()


MANAGED = Lifecycle()
