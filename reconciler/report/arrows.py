"""Report: who reaches which account, as few arrows as say it. Pure; knows nothing of how they are drawn.

Azure's trusted services have none: they reach nearly every account, and that is said in its node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from reconciler.model.ids import ArmId
from reconciler.model.reach import Way
from reconciler.report.openings import TRUSTED, is_wide, sum_up, tell_ports

_PRIVATE: Final = "private endpoint "


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Caller:
    """Who is no resource of the picture: addresses, a service tag, everybody. Those who get through to the same
    accounts in the same ways are one."""

    names: tuple[str, ...]

    @property
    def key(self) -> str:
        return "\n".join(self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """Somebody reaches an account. `ways` are ports and path of each."""

    source: ArmId | Caller
    target: ArmId
    ways: tuple[tuple[str, str], ...]

    @property
    def wide(self) -> bool:
        """Whether the world is let in. Any address behind a private endpoint is still one of those that get there."""
        return (
            isinstance(self.source, Caller)
            and any(is_wide(name) for name in self.source.names)
            and any(not path.startswith(_PRIVATE) for _, path in self.ways)
        )


def draw_arrows(ways: Iterable[Way]) -> tuple[Arrow, ...]:
    """Each pair of caller and account once. A way has its `subnet` only where that is drawn."""
    subnets: dict[ArmId, dict[Way, None]] = {}
    names: dict[str, dict[Way, None]] = {}
    for way in (each for each in ways if each.path != TRUSTED):
        known = subnets.setdefault(way.subnet, {}) if way.subnet else names.setdefault(way.source, {})
        known[way] = None
    alike: dict[frozenset[tuple[ArmId, str, str]], list[str]] = {}
    for name, known in names.items():
        alike.setdefault(frozenset((way.target, way.path, way.ports) for way in known), []).append(name)
    arrows: list[Arrow] = []
    for subnet, known in sorted(subnets.items()):
        arrows += _arrows(subnet, {(way.target, way.path, way.ports) for way in known})
    for members in sorted(alike.values()):
        known = names[members[0]]
        arrows += _arrows(Caller(names=sum_up(sorted(members))), {(way.target, way.path, way.ports) for way in known})
    return tuple(arrows)


def _arrows(source: ArmId | Caller, ways: set[tuple[ArmId, str, str]]) -> Iterator[Arrow]:
    for target in sorted({target for target, _, _ in ways}):
        mine = sorted((path, ports) for each, path, ports in ways if each == target)
        yield Arrow(source=source, target=target, ways=tuple((tell_ports(ports), path) for path, ports in mine))
