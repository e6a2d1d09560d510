"""The figures of one run side by side: as a table for people, as JSON for programs. Judges against the aims."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field

from bench.measure import Pass

HANDFUL = 10


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure of ours has to keep to."""

    limit: float
    inclusive: bool = True

    def met(self, value: float) -> bool:
        return value <= self.limit if self.inclusive else value < self.limit

    def __str__(self) -> str:
        return f"{'<=' if self.inclusive else '<'} {_tell(self.limit)}"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: ours, and that of what it is compared with, if it is."""

    name: str
    ours: float
    other: float | None = None
    aim: Aim | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The figures of one thing that was done. `other` names what it is compared with; "" where that is nothing."""

    title: str
    rows: tuple[Row, ...]
    other: str = "plain SDK"


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that one run of the benchmark has to say."""

    fleet: str
    machine: dict[str, str]
    sections: tuple[Section, ...] = field(default=())


def rows_of(ours: Pass, other: Pass, aims: dict[str, Aim], *, paced: bool = False) -> tuple[Row, ...]:
    """A row for each figure of a pass; `aims` by the name of the row."""
    figures: tuple[tuple[str, Callable[[Pass], float]], ...] = (
        ("requests", operator.attrgetter("requests")),
        ("of them writes", operator.attrgetter("writes")),
        ("refused 409, 429", operator.attrgetter("refused")),
        *([("seconds, simulated", operator.attrgetter("simulated"))] if paced else []),
        ("seconds", operator.attrgetter("spent.seconds")),
        ("processor seconds", operator.attrgetter("spent.processor")),
        ("peak memory, MiB", operator.attrgetter("spent.peak")),
    )
    return tuple(Row(name, read(ours), read(other), aims.get(name)) for name, read in figures)


def render(run: Run) -> str:
    """The table, 80 columns wide."""
    lines = [run.fleet, *(f"{name}: {value}" for name, value in run.machine.items())]
    for section in run.sections:
        beside = f"{section.other:>15}{'ratio':>8}" if section.other else ""
        lines += ["", f"{section.title:<26}{'reconciler':>12}{beside}  {'aim':<9} met"]
        lines += [_line(row) for row in section.rows]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    beside = "" if row.other is None else f"{_tell(row.other):>15}{_tell_ratio(row):>8}"
    aim = f"{row.aim!s:<9} {'yes' if row.aim.met(row.ours) else 'NO'}" if row.aim else ""
    return f"  {row.name:<24}{_tell(row.ours):>12}{beside}  {aim}".rstrip()


def _tell_ratio(row: Row) -> str:
    return f"{row.ours / row.other:.2f}" if row.other else "-"


def _tell(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}" if value >= 100 else f"{value:.2f}"


def describe(run: Run) -> dict[str, object]:
    """The same as plain values."""
    return {
        "format_version": 1,
        "fleet": run.fleet,
        "machine": run.machine,
        "sections": [{**asdict(section), "rows": list(map(_describe, section.rows))} for section in run.sections],
        "missed": list(missed(run.sections)),
    }


def _describe(row: Row) -> dict[str, object]:
    ratio = round(row.ours / row.other, 4) if row.other else None
    told: dict[str, object] = {"name": row.name, "reconciler": row.ours, "other": row.other, "ratio": ratio}
    return told | ({"aim": str(row.aim), "met": row.aim.met(row.ours)} if row.aim else {})


def missed(sections: Iterable[Section]) -> Iterator[str]:
    """The figures that did not keep to their aim."""
    for section in sections:
        for row in section.rows:
            if row.aim and not row.aim.met(row.ours):
                yield f"{section.title}: {row.name}"
