"""Whom a plan would cut off: those who are named as never to be, and get through to an account on 443 today."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from reconciler.model.ids import ArmId
from reconciler.model.resource import Protected
from reconciler.plan.reach.bodies import prefixes_of
from reconciler.plan.reach.grid import JOINED, LAST, read_ends
from reconciler.plan.reach.paths import PUBLIC, SERVICE, TRUSTED, Path
from reconciler.plan.reach.security import Cells
from reconciler.plan.reach.sequence import Sequence as Steps
from reconciler.plan.reach.state import State, Versions

Spans = list[tuple[int, int]]  # of addresses, ascending, apart from each other
_PRIVATE = [
    ends for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16") if (ends := read_ends(text))
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOff:
    """`culprit` takes from somebody protected the way to an account, for good or (`briefly`) while it is written."""

    culprit: ArmId
    account: ArmId
    protected: Protected
    briefly: bool = False


def find_cut_off(protected: Iterable[Protected], paths: Iterable[Path], steps: Steps) -> Iterator[CutOff]:
    """Everybody protected who would lose an account, with each resource whose change takes it away. Where one path is
    exchanged for another, asks `steps` to open the new one first."""
    by_account: dict[ArmId, list[Path]] = {}
    for path in paths:
        if not path.quiet:
            by_account.setdefault(path.target, []).append(path)
    for who, (account, ways) in product(protected, sorted(by_account.items())):
        look = _Look(who=who, account=account, paths=ways, steps=steps)
        if look.whom:
            yield from look.find()


@dataclass(slots=True, kw_only=True)
class _Look:
    """One protected party and one account."""

    who: Protected
    account: ArmId
    paths: Sequence[Path]
    steps: Steps

    @property
    def versions(self) -> Versions:
        return self.steps.versions

    @property
    def whom(self) -> Spans:
        """Their addresses; all there are for a subnet of which only the name is known."""
        if self.who.subnet is None:
            ends = read_ends(self.who.prefix)
            return [ends] if ends else []
        wire = self.versions.before.get(self.who.subnet)
        if wire is None:
            return [(0, LAST)]
        return merge(ends for text in prefixes_of(wire) if (ends := read_ends(text)))

    def find(self) -> Iterator[CutOff]:
        lost = self._lost(self.versions.before, self.versions.reached)
        if lost:
            takers = self._takers(lost) or self._all_takers(lost)
            yield from (self._blame(culprit) for culprit in takers)
        for culprit in self._exchange(lost):
            yield self._blame(culprit, briefly=True)
        for culprit in self._interrupters(lost):
            yield self._blame(culprit, briefly=True)

    def _blame(self, culprit: ArmId, *, briefly: bool = False) -> CutOff:
        return CutOff(culprit=culprit, account=self.account, protected=self.who, briefly=briefly)

    def _lost(self, before: State, then: State) -> Spans:
        """The addresses that get through on some path before, perhaps no longer do so then, and have no other path of
        which it is certain."""
        gone = [(path, path.read(before) & ~path.read(then)) for path in self.paths]
        kept = merge(span for path in self.paths for span in self._through(path, path.read(then), certain=True))
        lost = merge(span for path, cells in gone if cells for span in self._through(path, cells, certain=False))
        return subtract(lost, kept)

    def _through(self, path: Path, cells: Cells, *, certain: bool) -> Spans:
        """The protected addresses that get through a path on 443: those who do so whatever else is true of them, or
        those who may."""
        grid = path.grid
        if path.word == TRUSTED or path.blind or not self._takes(path):
            return []
        callers = 0
        ports = [at for at in path.columns.ports if grid.port_range(at)[0] <= 443 <= grid.port_range(at)[1]]
        for place in range(len(path.columns.places)):
            for column in path.columns.find(place, ports, (0,)):
                callers |= path.columns.read(grid, cells, column)
        if path.via is None:
            return intersect(grid.intervals(callers, whole=certain), self.whom)
        # Whoever is protected and comes by a private address is joined to the network, or would not be protected.
        joined = callers | (grid.everybody & ~grid.flagged(JOINED)) if certain else callers
        private = merge([*_PRIVATE, *grid.intervals(path.space, whole=True)])
        return intersect(intersect(grid.intervals(joined, whole=certain), private), self.whom)

    def _takes(self, path: Path) -> bool:
        """Whether the protected are known by what this path asks for. A subnet of which nothing but its name is known
        has no address that another path could ask for."""
        if path.word == SERVICE:
            return self.who.subnet in (None, path.subnet)
        return self.who.subnet is None or path.word == PUBLIC or self.versions.before.get(self.who.subnet) is not None

    def _moving(self, path: Path) -> list[ArmId]:
        return sorted(id for id in path.ids if id in self.steps.chains and id not in self.versions.withheld)

    def _takers(self, lost: Spans) -> list[ArmId]:
        """Who takes, by itself, a path that one of `lost` has today."""
        found: dict[ArmId, None] = {}
        for path in self.paths:
            before = path.read(self.versions.before)
            for id in self._moving(path):
                alone = self.versions.before.after({id: self.versions.reached.get(id)})
                taken = before & ~path.read(alone)
                if taken and intersect(self._through(path, taken, certain=False), lost):
                    found[id] = None
        return [*found]

    def _all_takers(self, lost: Spans) -> list[ArmId]:
        """Everybody who changes on a path that one of `lost` has today: they take it together."""
        having = (
            path
            for path in self.paths
            if intersect(self._through(path, path.read(self.versions.before), certain=False), lost)
        )
        return [*dict.fromkeys(id for path in having for id in self._moving(path))]

    def _interrupters(self, lost: Spans) -> list[ArmId]:
        """Who is in between, while several writes are on their way, in a state that stops somebody who gets through
        before and after."""
        found: dict[ArmId, None] = {}
        for gate in dict.fromkeys(gate for path in self.paths for gate in self.steps.moving(path)):
            for position in gate.happening() if gate.writes > 1 else ():
                moved = {id: self.versions.at(id, at) for id, at in zip(gate.ids, position, strict=True)}
                stopped = self._lost(self.versions.before, self.versions.before.after(moved))
                late = self._lost(self.versions.reached, self.versions.reached.after(moved))
                if subtract(intersect(stopped, late), lost):
                    found |= dict.fromkeys(id for id, at in zip(gate.ids, position, strict=True) if at)
        return [*found]

    def _exchange(self, lost: Spans) -> list[ArmId]:
        """Those who close one path before another opens, where no order helps; elsewhere asks for that order."""
        stuck: dict[ArmId, None] = {}
        before, then = self.versions.before, self.versions.reached
        for old, new in product(self.paths, self.paths):
            loses = self._through(old, old.read(before) & ~old.read(then), certain=False)
            gains = self._through(new, new.read(then) & ~new.read(before), certain=True)
            if not subtract(intersect(loses, gains), lost):
                continue
            closers, openers = self._writes(old, opens=False), self._writes(new, opens=True)
            for (culprit, last), (_, first) in product(closers, openers):
                if first != last and self.steps.links.leads(last, first):
                    stuck[culprit] = None
                elif first != last and not self.steps.links.leads(first, last):
                    self.steps.links.add(first, last)
        return [*stuck]

    def _writes(self, path: Path, *, opens: bool) -> list[tuple[ArmId, str]]:
        found: dict[tuple[ArmId, str], None] = {}
        for gate in self.steps.moving(path):
            found |= dict.fromkeys(gate.find_starts(-1) if opens else gate.find_stops(-1))
        return [*found]


def merge(spans: Iterable[tuple[int, int]]) -> Spans:
    merged: Spans = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def intersect(one: Spans, other: Spans) -> Spans:
    pairs = ((max(a[0], b[0]), min(a[1], b[1])) for a in one for b in other)
    return merge((first, last) for first, last in pairs if first <= last)


def subtract(one: Spans, other: Spans) -> Spans:
    left = list(one)
    for first, last in other:
        left = [
            part
            for span in left
            for part in ((span[0], min(span[1], first - 1)), (max(span[0], last + 1), span[1]))
            if part[0] <= part[1]
        ]
    return left
