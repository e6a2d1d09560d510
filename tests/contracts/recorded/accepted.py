"""The accepted differences, read from `armsim/FIDELITY.md`, where people read them too."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import armsim
from tests.contracts.recorded.compare import Difference

FIDELITY = Path(armsim.__file__).parent / "FIDELITY.md"
HEADING = "## Accepted differences"
COLUMNS = 5


@dataclass(frozen=True, slots=True)
class Accepted:
    """One row: where, what kind of difference, and why it is right to differ."""

    line: int
    file: str
    exchange: str
    path: str
    kind: str
    reason: str

    def covers(self, file: str, number: int, difference: Difference) -> bool:
        return (
            difference.kind == self.kind
            and fnmatchcase(file, self.file)
            and (self.exchange == "*" or str(number) in self.exchange.replace(" ", "").split(","))
            and re.fullmatch(_pattern(self.path), difference.path) is not None
        )


def _pattern(path: str) -> str:
    return re.escape(path).replace(re.escape("[*]"), r"\[[^\]]+\]")


def accepted() -> list[Accepted]:
    """All rows of the table, with their line numbers."""
    lines = FIDELITY.read_text(encoding="utf-8").splitlines()
    start = lines.index(HEADING)
    rows = []
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if line.startswith("## "):
            break
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| `"):
            continue
        if len(cells) != COLUMNS or not all(cells):
            raise ValueError(f"FIDELITY.md:{number}: a row has {COLUMNS} filled cells: {line}")
        rows.append(Accepted(number, *cells))
    return rows
