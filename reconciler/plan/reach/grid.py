"""A grid of everybody who could call and of every port: few cells, each of which rules treat as one.

Addresses fall into intervals between all prefixes that anybody names, ports likewise. What cannot be known of a caller
(whether a service tag means it, whether it is joined to the network, which application security group it is in) is a
flag, and a cell exists for each combination of flags: what holds for every cell holds for every caller. Sets of callers
are bits of an integer, so that sets are compared and joined at the speed of arithmetic.

IPv4 only: accounts and private endpoints have no other addresses.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, summarize_address_range
from itertools import chain, combinations

from reconciler.kinds.addresses import ANY, port_ends, read_network

LAST = 2**32 - 1
JOINED = "joined"  # to the virtual network in question: by peering, a gateway, a wire
# Let through by whatever could not be read, where others meet what is declared of it. Nothing of that changes, so that
# one flag speaks for all.
UNSEEN = "unseen"
_MANY = 4  # from so many flags on, not every combination of them is a cell


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """`bounds` are the first addresses of the intervals, `gates` the first ports of the ranges; both begin with 0."""

    bounds: tuple[int, ...]
    gates: tuple[int, ...]
    flags: tuple[str, ...]

    @cached_property
    def variants(self) -> tuple[frozenset[str], ...]:
        """Which flags a caller carries: every combination, or none, one, two and all where there are many."""
        sizes = range(len(self.flags) + 1) if len(self.flags) <= _MANY else (0, 1, 2, len(self.flags))
        return tuple(frozenset(each) for size in sizes for each in combinations(self.flags, size))

    @cached_property
    def width(self) -> int:
        """How many kinds of callers are told apart."""
        return len(self.bounds) * len(self.variants)

    @cached_property
    def everybody(self) -> int:
        return int((1 << self.width) - 1)

    @cached_property
    def _row(self) -> int:
        """All addresses of one variant."""
        return int((1 << len(self.bounds)) - 1)

    @cached_property
    def _spread(self) -> int:
        """One bit for each variant: an interval times this is the interval whatever else is true of the caller."""
        return sum(1 << (number * len(self.bounds)) for number in range(len(self.variants)))

    @cached_property
    def _flagged(self) -> dict[str, int]:
        width = len(self.bounds)
        return {
            flag: sum(self._row << (at * width) for at, carried in enumerate(self.variants) if flag in carried)
            for flag in self.flags
        }

    @cached_property
    def _masks(self) -> dict[str, int]:
        return {}

    def addresses(self, prefix: str) -> int:
        """The callers with an address in `prefix`; nobody for what is no IPv4 prefix."""
        known = self._masks.get(prefix)
        if known is None:
            ends = read_ends(prefix)
            known = self._masks[prefix] = self._between(*ends) if ends else 0
        return known

    def within(self, prefixes: Iterable[str]) -> int:
        found = 0
        for prefix in prefixes:
            found |= self.addresses(prefix)
        return found

    def flagged(self, flag: str) -> int:
        """The callers that carry a flag; nobody for one that the grid was not made for."""
        return self._flagged.get(flag, 0)

    def ports(self, texts: Iterable[str]) -> list[int]:
        """The numbers of the port ranges that `texts` name."""
        found: set[int] = set()
        for text in texts:
            ends = port_ends(text)
            if ends:
                found.update(range(bisect_left(self.gates, ends[0]), bisect_left(self.gates, ends[1] + 1)))
        return sorted(found)

    def port_range(self, number: int) -> tuple[int, int]:
        """The first and the last port of a range."""
        following = self.gates[number + 1] if number + 1 < len(self.gates) else 65536
        return self.gates[number], following - 1

    def intervals(self, callers: int, *, whole: bool) -> list[tuple[int, int]]:
        """The addresses of `callers`, neighbours joined: those that are in whatever else is true of them, or (not
        `whole`) those of which some are."""
        rows = [callers >> (at * len(self.bounds)) & self._row for at in range(len(self.variants))]
        kept = self._row if whole else 0
        for row in rows:
            kept = kept & row if whole else kept | row
        spans: list[tuple[int, int]] = []
        for at, first in enumerate(self.bounds):
            if not kept >> at & 1:
                continue
            last = self.bounds[at + 1] - 1 if at + 1 < len(self.bounds) else LAST
            if spans and spans[-1][1] == first - 1:
                spans[-1] = (spans[-1][0], last)
            else:
                spans.append((first, last))
        return spans

    def cut(self, prefixes: Iterable[str]) -> list[tuple[int, int]]:
        """The intervals that make up `prefixes`, each by itself."""
        callers = self.within(prefixes)
        ends = (*(bound - 1 for bound in self.bounds[1:]), LAST)
        return [(first, ends[at]) for at, first in enumerate(self.bounds) if callers >> at & 1]

    def _between(self, first: int, last: int) -> int:
        low, high = bisect_left(self.bounds, first), bisect_left(self.bounds, last + 1)
        return ((1 << high) - (1 << low)) * self._spread


def make_grid(prefixes: Iterable[str], ports: Iterable[str], flags: Iterable[str]) -> Grid:
    """The coarsest grid on which everything named is a union of cells."""
    spans = [ends for text in {*prefixes} if (ends := read_ends(text))]
    ranges = [ends for text in {*ports, "443"} if (ends := port_ends(text))]
    return Grid(
        bounds=_cuts(spans, LAST),
        gates=_cuts(ranges, 65535),
        flags=tuple(sorted({*flags})),
    )


def _cuts(ends: Iterable[tuple[int, int]], last: int) -> tuple[int, ...]:
    cuts = {0, *chain.from_iterable((first, final + 1) for first, final in ends)}
    return tuple(sorted(cut for cut in cuts if cut <= last))


def read_ends(text: str) -> tuple[int, int] | None:
    """The first and the last IPv4 address of a prefix as numbers; None for a tag, an IPv6 prefix, or nonsense."""
    if text == ANY:
        return 0, LAST
    network = read_network(text)
    if not isinstance(network, IPv4Network):
        return None
    return int(network.network_address), int(network.broadcast_address)


def tell_span(first: int, last: int) -> list[str]:
    """A span of addresses as prefixes, single addresses bare."""
    networks = summarize_address_range(IPv4Address(first), IPv4Address(last))
    return [str(each.network_address) if each.num_addresses == 1 else str(each) for each in networks]
