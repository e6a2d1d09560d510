"""The recordings as values. They live beside the checkout and are never part of it."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

Json = Any

BESIDE_THE_CHECKOUT = Path(__file__).resolve().parents[4] / "shared" / "azure" / "recorded"


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and its answer, as Azure gave it."""

    number: int
    method: str
    url: str
    sent: Json
    status: int
    headers: dict[str, str]
    body: Json

    @property
    def date(self) -> datetime:
        return parsedate_to_datetime(self.headers["date"])


def recordings() -> Path | None:
    """The folder of recordings, or None on a machine that does not have them."""
    folder = Path(os.environ.get("RECONCILER_RECORDINGS", BESIDE_THE_CHECKOUT))
    return folder if (folder / "README.md").is_file() else None


def load(name: str) -> list[Exchange]:
    """The exchanges of one file, in order."""
    folder = recordings()
    if folder is None:
        raise FileNotFoundError("no recordings on this machine")
    document = json.loads((folder / name).read_text(encoding="utf-8"))
    return [
        Exchange(
            number=number,
            method=each["request"]["method"],
            url=each["request"]["url"],
            sent=each["request"]["body"],
            status=each["response"]["status"],
            headers=each["response"]["headers"],
            body=each["response"]["body"],
        )
        for number, each in enumerate(document["exchanges"])
    ]
