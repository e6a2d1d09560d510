"""Whom a plan would cut off: those who are named as never to be, and get through to an account on 443 today."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from reconciler.kinds import subnet
from reconciler.model.ids import ArmId
from reconciler.model.resource import Protected
from reconciler.plan.reach.grid import JOINED, read_ends
from reconciler.plan.reach.paths import SERVICE, TRUSTED, Path
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
        if self.who.subnet is None:
            ends = read_ends(self.who.prefix)
            return [ends] if ends else []
        wire = self.versions.before.get(self.who.subnet)
        listed = subnet.TYPE.lens("addressPrefixes").read(wire) if wire else None
        found = (read_ends(str(each)) for each in listed) if isinstance(listed, list) else ()
        return merge(ends for ends in found if ends)

    def find(self) -> Iterator[CutOff]:
        before, final = self._reach(self.versions.before), self._reach(self.versions.reached)
        lost = subtract(before, final)
        if lost:
            yield from (self._blame(culprit) for culprit in self._takers(lost))
        kept = subtract(before, lost)
        for culprit in self._interrupters(kept):
            yield self._blame(culprit, briefly=True)
        for culprit in self._exchange(kept):
            yield self._blame(culprit, briefly=True)

    def _blame(self, culprit: ArmId, *, briefly: bool = False) -> CutOff:
        return CutOff(culprit=culprit, account=self.account, protected=self.who, briefly=briefly)

    def _reach(self, state: State) -> Spans:
        return merge(span for path in self.paths for span in self._through(path, path.read(state)))

    def _through(self, path: Path, cells: Cells) -> Spans:
        """The protected addresses that a path lets through on 443, whatever else is true of them."""
        if path.word == TRUSTED or path.blind or (path.word == SERVICE and path.subnet != self.who.subnet):
            return []
        callers = 0
        ports = [at for at in path.columns.ports if path.grid.port_range(at)[0] <= 443 <= path.grid.port_range(at)[1]]
        for place in range(len(path.columns.places)):
            for column in path.columns.find(place, ports, (0,)):
                callers |= path.columns.read(path.grid, cells, column)
        if path.via is None:
            return intersect(path.grid.intervals(callers, whole=True), self.whom)
        # Whoever is protected and comes by a private address is joined to the network, or would not be protected.
        joined = path.grid.intervals(callers | (path.grid.everybody & ~path.grid.flagged(JOINED)), whole=True)
        private = [*_PRIVATE, *path.grid.intervals(path.space, whole=True)]
        return intersect(intersect(joined, merge(private)), self.whom)

    def _moving(self, path: Path) -> list[ArmId]:
        return sorted(id for id in path.ids if id in self.steps.chains and id not in self.versions.withheld)

    def _takers(self, lost: Spans) -> list[ArmId]:
        """Who takes a path that one of `lost` has today."""
        found: dict[ArmId, None] = {}
        for path in self.paths:
            before = path.read(self.versions.before)
            for id in self._moving(path):
                alone = self.versions.before.after({id: self.versions.reached.get(id)})
                taken = before & ~path.read(alone)
                if taken and intersect(self._through(path, taken), lost):
                    found[id] = None
        return [*found]

    def _interrupters(self, kept: Spans) -> list[ArmId]:
        """Who is in between, while it is written, in a state that stops one of `kept`."""
        found = []
        for id in sorted({id for path in self.paths for id in self._moving(path)}):
            middle = [self.versions.at(id, at) for at in range(1, len(self.steps.chains[id]))]
            states = [
                base.after({id: wire}) for wire in middle for base in (self.versions.before, self.versions.reached)
            ]
            bases = (self.versions.before, self.versions.reached) * len(middle)
            for state, base in zip(states, bases, strict=True):
                if subtract(intersect(self._reach(base), kept), self._reach(state)):
                    found.append(id)
                    break
        return found

    def _exchange(self, kept: Spans) -> list[ArmId]:
        """Those who close one path of `kept` before another opens, where no order helps."""
        stuck: dict[ArmId, None] = {}
        for old, new in product(self.paths, self.paths):
            loses = subtract(self._at(old, self.versions.before), self._at(old, self.versions.reached))
            gains = subtract(self._at(new, self.versions.reached), self._at(new, self.versions.before))
            if not intersect(intersect(loses, gains), kept):
                continue
            closers, openers = self._writes(old, opens=False), self._writes(new, opens=True)
            for (culprit, then), (_, first) in product(closers, openers):
                if first != then and self.steps.links.leads(then, first):
                    stuck[culprit] = None
                elif first != then and not self.steps.links.leads(first, then):
                    self.steps.links.add(first, then)
        return [*stuck]

    def _at(self, path: Path, state: State) -> Spans:
        return self._through(path, path.read(state))

    def _writes(self, path: Path, *, opens: bool) -> list[tuple[ArmId, str]]:
        found: dict[tuple[ArmId, str], None] = {}
        for gate in self.steps.moving(path):
            writes = gate.find_starts(-1) if opens else gate.find_stops(-1)
            found |= dict.fromkeys(writes)
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
