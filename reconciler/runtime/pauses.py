"""Pauses in a file, one list of objects as JSON. What cannot be read pauses everything until somebody looks."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from reconciler.model.pause import Pause
from reconciler.model.wire import Json, JsonObject

_VERSION = 1


class PauseFile:
    """Keeps the `Pauses` port in a file that may not be there yet. Without a path there is never a pause."""

    def __init__(self, path: str) -> None:
        self._path = Path(path) if path else None

    async def load(self) -> tuple[Pause, ...]:
        if self._path is None:
            return ()
        try:
            return read_pauses(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            return (Pause(until=math.inf, reason=f"the pauses in {self._path} cannot be read: {why}"),)

    async def save(self, pauses: tuple[Pause, ...]) -> None:
        if self._path is None:
            raise FileNotFoundError("no file for pauses is named")
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        beside.write_text(write_pauses(pauses), encoding="utf-8")
        beside.replace(self._path)


def write_pauses(pauses: tuple[Pause, ...]) -> str:
    entries: list[Json] = [
        {
            "until": pause.until,
            "fleet": pause.fleet,
            "kind": pause.kind,
            "target": pause.target,
            "by": pause.by,
            "reason": pause.reason,
            "since": pause.since,
        }
        for pause in pauses
    ]
    document: JsonObject = {"version": _VERSION, "pauses": entries}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def read_pauses(text: str) -> tuple[Pause, ...]:
    """ValueError for anything but what `write_pauses` gives."""
    document = json.loads(text)
    entries = document.get("pauses") if isinstance(document, dict) else None
    if not isinstance(entries, list) or document.get("version") != _VERSION:
        raise ValueError("it is no list of pauses")
    return tuple(_read_pause(entry) for entry in entries)


def _read_pause(entry: object) -> Pause:
    found = entry if isinstance(entry, dict) else {}
    words = {name: str(found.get(name) or "") for name in ("fleet", "kind", "target", "by", "reason")}
    try:
        return Pause(until=float(found["until"]), since=float(found.get("since") or 0.0), **words)
    except (KeyError, TypeError, ValueError):
        raise ValueError("one of them does not say until when") from None
