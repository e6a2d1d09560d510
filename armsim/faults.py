"""Injected faults: which one a request meets. What each kind does is done where it bites: door, operations, reads.

Kinds that change an operation are given back when the request started none.
"""

import re
from dataclasses import dataclass, field

from armsim.clock import Chance
from armsim.wire import Body

OPERATION_KINDS = frozenset({"lro_fail", "lro_fail_then_succeed", "lro_stuck", "slow", "not_found_after_create"})
KINDS = OPERATION_KINDS | {
    "status", "throttle", "applied_504", "cut_before", "cut_after", "hang", "delay", "stale_read", "list_lag",
    "ignore_write", "kill",
}  # fmt: skip


@dataclass(slots=True)
class Fault:
    id: str
    kind: str
    methods: frozenset[str]
    path: re.Pattern[str] | None
    principal: str | None
    left: int
    probability: float
    skip: int
    detail: Body
    hits: int = 0
    spent: bool = False

    def number(self, name: str, default: float) -> float:
        return float(self.detail.get(name, default))

    def text(self, name: str, default: str) -> str:
        return str(self.detail.get(name, default))

    def describe(self) -> Body:
        return {"id": self.id, "kind": self.kind, "hits": self.hits, "left": self.left, **self.detail}


@dataclass(slots=True)
class _Hold:
    """Until when requests of a kind are refused after a throttle fault."""

    fault: Fault
    until: float
    principal: str = field(default="")


class Faults:
    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._faults: list[Fault] = []
        self._holds: list[_Hold] = []
        self._serial = 0

    def add(self, spec: Body) -> Fault:
        """Raises ValueError when the specification makes no sense."""
        kind = spec.get("kind")
        if kind not in KINDS:
            raise ValueError(f"no such fault kind: {kind!r}; there are {', '.join(sorted(KINDS))}")
        match = spec.get("match") or {}
        self._serial += 1
        path = match.get("path")
        detail = {name: value for name, value in spec.items() if name not in _OWN}
        fault = Fault(
            str(spec.get("id") or f"fault-{self._serial}"),
            str(kind),
            frozenset(str(match["method"]).upper().split("|")) if match.get("method") else frozenset(),
            re.compile(path, re.IGNORECASE) if path else None,
            match.get("principal"),
            int(spec.get("count", 1)),
            float(spec.get("probability", 1.0)),
            int(spec.get("skip", 0)),
            detail,
        )
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()
        self._holds.clear()

    def describe(self) -> list[Body]:
        return [fault.describe() for fault in self._faults]

    def pick(self, method: str, path: str, principal: str | None) -> Fault | None:
        """The first fault that fires on this request. A request to sign in has no principal yet."""
        for fault in self._faults:
            if fault.left == 0 or not _matches(fault, method, path, principal or ""):
                continue
            if principal is None and fault.path is None:
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            if fault.probability < 1.0 and self._chance.draw() >= fault.probability:
                continue
            fault.hits += 1
            fault.spent = False
            if fault.left > 0:
                fault.left -= 1
            return fault
        return None

    def give_back(self, fault: Fault) -> None:
        """The request had nothing that this fault could bite."""
        fault.hits -= 1
        if fault.left >= 0:
            fault.left += 1

    def hold(self, fault: Fault, principal: str, until: float) -> None:
        self._holds.append(_Hold(fault, until, principal))

    def held(self, method: str, path: str, principal: str, now: float) -> tuple[Fault, float] | None:
        """A Retry-After that this request undercuts: the fault and the seconds left."""
        if not self._holds:
            return None
        self._holds = [each for each in self._holds if each.until > now]
        for each in self._holds:
            if each.principal == principal and _matches(each.fault, method, path, principal):
                return each.fault, each.until - now
        return None


_OWN = frozenset({"id", "match", "kind", "count", "probability", "skip"})


def _matches(fault: Fault, method: str, path: str, principal: str) -> bool:
    if fault.methods and method not in fault.methods:
        return False
    if fault.principal is not None and fault.principal != principal:
        return False
    return fault.path is None or fault.path.search(path) is not None
