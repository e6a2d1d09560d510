"""The log of requests, in the order in which they were answered. Bodies are kept as digests only."""

from collections import Counter, deque
from typing import NamedTuple

from armsim.wire import Body


class Line(NamedTuple):
    n: int
    at: float
    method: str
    path: str
    query: str
    status: int
    code: str | None
    principal: str
    bytes: int
    mutated: bool
    fault: str | None
    took: float
    throttled: bool
    body_sha256: str | None
    client_request_id: str | None
    actions: list[str]


class Ledger:
    def __init__(self, size: int) -> None:
        self._lines: deque[Line] = deque(maxlen=size)
        self._next = 0

    @property
    def next(self) -> int:
        return self._next

    def write(self, line: Line) -> None:
        self._lines.append(line._replace(n=self._next))
        self._next += 1

    def clear(self) -> None:
        self._lines.clear()

    def since(self, first: int) -> Body:
        return {"requests": [line._asdict() for line in self._lines if line.n >= first], "next": self._next}

    def summary(self) -> Body:
        """Counts; `self_inflicted` are refusals that no fault asked for."""
        lines = self._lines
        return {
            "total": len(lines),
            "method": Counter(line.method for line in lines),
            "status": Counter(str(line.status) for line in lines),
            "mutated": sum(line.mutated for line in lines),
            "faults": sum(line.fault is not None for line in lines),
            "self_inflicted": {
                "409": sum(line.status == 409 and line.fault is None for line in lines),
                "429": sum(line.status == 429 and line.fault is None for line in lines),
            },
        }
