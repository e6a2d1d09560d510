"""In which order writes may happen so that no state in between lets anybody through whom neither the state before nor
the state after does.

Two things are asked for. Each gate by itself never lets more through than before or after (a subnet changes its
security group while that group changes its rules). And where one gate begins to let somebody through whom another gate
of the same path is about to stop, the one that stops comes first. Both are said as edges between steps, so they hold
whatever runs at once and whatever fails: what should have come first and did not keeps the other from starting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise, product

from reconciler.model.ids import ArmId
from reconciler.plan.reach.ground import Gate
from reconciler.plan.reach.paths import Path
from reconciler.plan.reach.security import Cells
from reconciler.plan.reach.state import Versions

Position = tuple[int, ...]  # how many writes of each chain have happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """No order would do: `opener` lets in whom `closer` stops too late."""

    opener: ArmId
    closer: ArmId


class Links:
    """What must have happened before what: the steps of a plan by name, with the edges that were found."""

    def __init__(self, after: Mapping[str, Iterable[str]]):
        self.after = {name: dict.fromkeys(names) for name, names in after.items()}

    def leads(self, first: str, last: str) -> bool:
        """Whether `last` waits for `first`, directly or not; also when they are the same."""
        seen, left = {last}, [last]
        while left:
            name = left.pop()
            if name == first:
                return True
            fresh = [each for each in self.after.get(name, ()) if each not in seen]
            seen.update(fresh)
            left.extend(fresh)
        return False

    def find_before(self, names: Iterable[str]) -> set[str]:
        """These and all that they wait for, directly or not."""
        left = [*names]
        found = {*left}
        while left:
            fresh = [each for each in self.after.get(left.pop(), ()) if each not in found]
            found.update(fresh)
            left.extend(fresh)
        return found

    def add(self, first: str, then: str) -> None:
        self.after[then][first] = None


@dataclass(slots=True, kw_only=True)
class Sequence:
    """The search for edges. `chains` are the names of the steps of each resource, in their own order; the one step of
    what is withheld never happens, so whatever comes to wait for it must not either."""

    versions: Versions
    chains: Mapping[ArmId, tuple[str, ...]]
    links: Links
    conflicts: list[Conflict] = field(default_factory=list)
    _gates: dict[Gate, _Moving] = field(default_factory=dict)

    def arrange(self, path: Path) -> None:
        """Add the edges that `path` asks for, or the conflict that keeps it from being kept."""
        moving = self.moving(path)
        if sum(each.writes for each in moving) < 2:
            return
        for each in moving:
            each.keep_within()
        openers, closers = [each for each in moving if each.opened], [each for each in moving if each.closed]
        for opener, closer in product(openers, closers):
            shared = opener.opened & closer.closed
            if opener is not closer and shared and self._still_passing(path, shared, opener, closer):
                self._order(opener, closer, shared)

    def smooth(self, path: Path) -> None:
        """Where an order can be had that never stops anybody who passes before and after, ask for it."""
        for each in self.moving(path):
            each.keep_open()

    def moving(self, path: Path) -> list[_Moving]:
        """The gates of a path that change, or are changed more than once."""
        for gate in path.gates:
            if gate not in self._gates:
                self._gates[gate] = _Moving(gate, self._movers(gate), self)
        found = (self._gates[gate] for gate in path.gates)
        return [each for each in found if each.ids and each.changes]

    def refuse_waiting(self) -> None:
        """A conflict for everything that has come to wait for what does not happen."""
        never = {self.chains[id][0]: id for id in self.versions.withheld}
        for id, names in self.chains.items() if never else ():
            if id in self.versions.withheld:
                continue
            before = self.links.find_before(names)
            self.conflicts.extend(Conflict(opener=id, closer=never[name]) for name in never if name in before)

    def _movers(self, gate: Gate) -> tuple[ArmId, ...]:
        """Those who decide a gate and change, what is withheld last: a row that ends with it can be gone without it."""
        return tuple(sorted((id for id in gate.ids if id in self.chains), key=lambda id: (self._never(id), id)))

    def _never(self, id: ArmId) -> bool:
        return id in self.versions.withheld

    def _still_passing(self, path: Path, cells: Cells, opener: _Moving, closer: _Moving) -> Cells:
        """Those of `cells` whom every other gate lets through in some state."""
        for gate in path.gates:
            if gate not in (opener.gate, closer.gate) and cells:
                cells &= gate.read(self.versions.before) | gate.read(self.versions.final)
        return cells

    def _order(self, opener: _Moving, closer: _Moving, cells: Cells) -> None:
        """What stops somebody comes before what lets them in."""
        closers, openers = closer.find_stops(cells), opener.find_starts(cells)
        for (stopper, first), (starter, then) in product(closers, openers):
            if first == then or self._never(starter):
                continue
            if self.links.leads(then, first):
                self.conflicts.append(Conflict(opener=starter, closer=stopper))
            elif not self.links.leads(first, then):
                self.links.add(first, then)


@dataclass(eq=False)
class _Moving:
    """A gate with the resources that decide it and are about to change."""

    gate: Gate
    ids: tuple[ArmId, ...]
    sequence: Sequence
    _known: dict[Position, Cells] = field(default_factory=dict)

    @cached_property
    def _lengths(self) -> Position:
        return tuple(len(self.sequence.chains[id]) for id in self.ids)

    @cached_property
    def writes(self) -> int:
        return sum(self._lengths)

    @cached_property
    def before(self) -> Cells:
        return self.read((0,) * len(self.ids))

    @cached_property
    def final(self) -> Cells:
        return self.read(self._lengths)

    @cached_property
    def opened(self) -> Cells:
        return self.final & ~self.before

    @cached_property
    def closed(self) -> Cells:
        return self.before & ~self.final

    @cached_property
    def changes(self) -> bool:
        return self.writes > 1 or self.before != self.final

    def read(self, position: Position) -> Cells:
        """Whom the gate lets through after so many writes of each chain."""
        known = self._known.get(position)
        if known is None:
            versions = self.sequence.versions
            moved = {id: versions.at(id, at) for id, at in zip(self.ids, position, strict=True)}
            known = self._known[position] = self.gate.read(versions.before.after(moved))
        return known

    def keep_within(self) -> None:
        """Order the gate's own writes so that it never lets more through than before or after."""
        wrong = self._find_outside(0)
        start = (0,) * len(self.ids)
        # One that stops nobody in between, if there is one.
        row = (self._find_row(start, self.before & self.final) or self._find_row(start, 0)) if wrong else []
        if row is None:
            opener, closer = self._blame(wrong)
            self.sequence.conflicts.append(Conflict(opener=opener, closer=closer))
        self._chain(row or [])

    def keep_open(self) -> None:
        """The same, and never less than before and after, where there is such an order."""
        floor = self.before & self.final
        if self._find_outside(floor):
            self._chain(self._find_row((0,) * len(self.ids), floor) or [])

    def _chain(self, row: list[str]) -> None:
        for first, then in pairwise(row):
            if not self.sequence.links.leads(first, then):
                self.sequence.links.add(first, then)

    def _find_outside(self, floor: Cells) -> list[Position]:
        """The states that may be met and let through more than before or after, or less than `floor`."""
        if self.writes < 2:
            return []
        return [each for each in self.happening() if not self._is_within(each, floor)]

    def happening(self) -> Iterator[Position]:
        """The states that may be met: what is withheld never happens, and edges are kept."""
        never = self.sequence.versions.withheld
        rows = (range(1 if id in never else length + 1) for id, length in zip(self.ids, self._lengths, strict=True))
        return (each for each in product(*rows) if self._may_be(each))

    def _is_within(self, position: Position, floor: Cells) -> bool:
        cells = self.read(position)
        return not cells & ~(self.before | self.final) and not floor & ~cells

    def _positions(self) -> Iterator[Position]:
        return product(*(range(length + 1) for length in self._lengths))

    def _may_be(self, position: Position) -> bool:
        """Whether the edges there are permit that exactly these writes have happened."""
        done, left = self._split(position)
        return not any(self.sequence.links.leads(each, other) for each in left for other in done)

    def _split(self, position: Position) -> tuple[list[str], list[str]]:
        """The last write that has happened of each chain, and the first that has not."""
        rows = [(self.sequence.chains[id], at) for id, at in zip(self.ids, position, strict=True)]
        return [names[at - 1] for names, at in rows if at], [names[at] for names, at in rows if at < len(names)]

    def _find_row(self, position: Position, floor: Cells) -> list[str] | None:
        """The gate's writes one after the other, every state on the way within bounds; None where there is no such
        row. Tries the chains in the order of their ids."""
        if position == self._lengths:
            return []
        for at, id in enumerate(self.ids):
            if position[at] == self._lengths[at]:
                continue
            further = (*position[:at], position[at] + 1, *position[at + 1 :])
            if self._may_be(further) and self._is_within(further, floor):
                rest = self._find_row(further, floor)
                if rest is not None:
                    return [self.sequence.chains[id][position[at]], *rest]
        return None

    def _blame(self, wrong: list[Position]) -> tuple[ArmId, ArmId]:
        """Who opens and who should have closed, in the first state that lets too much through."""
        position = wrong[0]
        moved = [id for id, at in zip(self.ids, position, strict=True) if at]
        rows = zip(self.ids, position, self._lengths, strict=True)
        left = [id for id, at, length in rows if at < length]
        return (moved or [self.ids[0]])[0], (left or [self.ids[-1]])[0]

    def find_starts(self, cells: Cells) -> list[tuple[ArmId, str]]:
        """The writes that, in some state, begin to let one of `cells` through."""
        return self._find_writes(lambda now, then: bool(then & ~now & cells))

    def find_stops(self, cells: Cells) -> list[tuple[ArmId, str]]:
        """The writes that, in some state, stop one of `cells`."""
        return self._find_writes(lambda now, then: bool(now & ~then & cells))

    def _find_writes(self, matters: Callable[[Cells, Cells], bool]) -> list[tuple[ArmId, str]]:
        found: dict[str, ArmId] = {}
        for position in self._positions():
            for at, id in enumerate(self.ids):
                names = self.sequence.chains[id]
                if position[at] == len(names) or names[position[at]] in found:
                    continue
                further = (*position[:at], position[at] + 1, *position[at + 1 :])
                if matters(self.read(position), self.read(further)):
                    found[names[position[at]]] = id
        return [(id, name) for name, id in found.items()]
