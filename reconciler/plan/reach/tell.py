"""Cells in words: who gets through, on which ports."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.ids import ArmId
from reconciler.model.reach import ANYBODY, EVERYBODY, Way
from reconciler.plan.reach.grid import JOINED, Grid, tell_span
from reconciler.plan.reach.paths import PUBLIC, SERVICE, TRUSTED, Path
from reconciler.plan.reach.security import INTERNET, NETWORK, Cells

SERVICES = "trusted Azure services"


def tell_ways(path: Path, cells: Cells) -> tuple[Way, ...]:
    """The ways that `cells` stand for: those who get through, with the ports that are theirs together."""
    ways = []
    for callers, ports in _by_callers(path, cells):
        for source, subnet, meant in _sources(path, callers):
            ways.append(
                Way(
                    source=source,
                    target=path.target,
                    path=path.word,
                    ports=ports,
                    subnet=subnet,
                    via=path.via,
                    addresses=tuple(path.grid.intervals(meant, whole=False)),
                )
            )
    return tuple(sorted(ways, key=lambda way: way.key))


def _by_callers(path: Path, cells: Cells) -> Iterator[tuple[int, str]]:
    """Sets of callers, each with all ports that it gets through on."""
    columns, grouped = path.columns, dict[int, list[int]]()
    width = len(columns.protocols)
    for at, port in enumerate(columns.ports):
        callers = 0
        for place in range(len(columns.places)):
            base = (place * len(columns.ports) + at) * width
            for column in range(base, base + width):
                callers |= columns.read(path.grid, cells, column)
        if callers:
            grouped.setdefault(callers, []).append(port)
    for callers, ports in grouped.items():
        yield callers, _tell_ports([path.grid.port_range(port) for port in ports])


def _tell_ports(ranges: list[tuple[int, int]]) -> str:
    merged: list[tuple[int, int]] = []
    for first, last in ranges:
        if merged and merged[-1][1] == first - 1:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    if merged == [(0, 65535)]:
        return "any"
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in merged)


_Source = tuple[str, ArmId | None, int]  # what people call them, the subnet that they are, all whom it stands for


def _sources(path: Path, callers: int) -> Iterator[_Source]:
    if path.word == TRUSTED:
        yield SERVICES, None, callers
    elif path.word == SERVICE and path.subnet is not None and callers == path.own:
        yield _name(path.subnet), path.subnet, callers
    elif callers == path.grid.everybody:
        yield (EVERYBODY if path.word == PUBLIC else f"{ANYBODY} behind it" if path.blind else ANYBODY), None, callers
    else:
        yield from _tell_callers(path.grid, callers, path)


def _tell_callers(grid: Grid, callers: int, path: Path) -> Iterator[_Source]:
    """Service tags that are meant as a whole, then subnets, then addresses."""
    network = path.space | grid.flagged(JOINED)
    for word, meant in (
        (NETWORK, network if path.space else 0),
        (INTERNET, grid.everybody & ~network if path.space else 0),
        *((flag.removeprefix("from:"), grid.flagged(flag)) for flag in grid.flags if flag.startswith("from:")),
    ):
        if meant and not meant & ~callers:
            yield word.rpartition("/")[2], None, meant
            callers &= ~meant
    for subnet, prefixes in path.neighbours.items():
        meant = grid.within(prefixes)
        if meant and not meant & ~callers:
            yield _name(subnet), subnet, meant
            callers &= ~meant
    for whole in (True, False):
        spans = grid.intervals(callers, whole=whole)
        for span in spans:
            yield from ((text, None, grid.addresses(text)) for text in tell_span(*span))
            callers &= ~grid.within(tell_span(*span))


def _name(subnet: ArmId) -> str:
    return f"{subnet.parent.name}/{subnet.name}" if subnet.parent else subnet.name
