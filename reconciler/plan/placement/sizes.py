"""What sizes a deployment may have, without counting them up: a pool can have tens of thousands of units."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from itertools import chain
from math import gcd

from reconciler.plan.placement.values import Slot


@dataclass(frozen=True)
class Sizes:
    """Units, the least first: some by themselves, none among them, and others at an even distance."""

    single: tuple[int, ...]
    even: range

    def __len__(self) -> int:
        return len(self.single) + len(self.even)

    def __iter__(self) -> Iterator[int]:
        return merge(self.single, self.even)

    @cached_property
    def most(self) -> int:
        return max(chain(self.single[-1:], self.even[-1:]))

    @cached_property
    def grain(self) -> int:
        """What all of them are multiples of; 0 if there is none but none."""
        return gcd(*self.single, self.even.step if self.even else 0)

    def not_above(self, units: int) -> int:
        """The largest that is not larger."""
        single, even = self._count(units)
        return max(chain(self.single[:single][-1:], self.even[:even][-1:]))

    def above(self, units: int) -> int:
        """The next larger one, 0 if there is none."""
        single, even = self._count(units)
        return min(chain(self.single[single:][:1], self.even[even:][:1]), default=0)

    def up_to(self, units: int) -> Sizes:
        """Those that are not larger."""
        single, even = self._count(units)
        return Sizes(self.single[:single], self.even[:even])

    def _count(self, units: int) -> tuple[int, int]:
        """How many of either sort are not larger."""
        return bisect_right(self.single, units), max(0, (units - self.even.start) // self.even.step + 1)


def find_sizes(slot: Slot, most: int, ceiling: int) -> Sizes:
    """The sizes up to `most` units, and the one that runs if it is not above the `ceiling`."""
    if slot.most is not None:
        most = min(most, slot.most)
    first = find_first(slot)
    even = range(first, 1 if slot.allowed else max(first, min(most, ceiling) + 1), slot.step)
    allowed = (units for units in slot.allowed if 0 < units <= min(most, ceiling))
    running = (slot.held,) if slot.held <= ceiling and slot.held not in even else ()
    return Sizes(tuple(sorted({0, *allowed, *running})), even)


def find_first(slot: Slot) -> int:
    """The least multiple of a step that is large enough."""
    return max(1, -(-slot.least // slot.step)) * slot.step
