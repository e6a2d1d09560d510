"""Pauses as one list of JSON objects, in a file or in a ConfigMap. What cannot be read pauses everything."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.pause import Pause
from reconciler.model.wire import Json, JsonObject, read_path
from reconciler.runtime.kube import Kube, Place, Resource

_VERSION = 1
_KEY = "pauses.json"


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
            return _pause_everything(str(self._path), getattr(error, "strerror", None) or str(error))

    async def save(self, pauses: tuple[Pause, ...]) -> None:
        if self._path is None:
            raise FileNotFoundError("no file for pauses is named")
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            beside.write_text(write_pauses(pauses), encoding="utf-8")
            beside.replace(self._path)
        except OSError as error:
            hint = "pauseFile names a file in a folder that is there"
            raise OSError(f"{self._path} cannot be written: {error.strerror}; {hint}") from error


class PauseMap:
    """Keeps the `Pauses` port in a ConfigMap that may not be there yet. What somebody else has changed since it was
    loaded is not overwritten."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        self._version: Json = None

    async def load(self) -> tuple[Pause, ...]:
        async with Kube.open(self._place) as kube:
            found = await kube.get(Resource.CONFIG_MAPS, self._name)
        if isinstance(found, Fault):
            self._version = None
            return () if found.cls is FaultClass.ABSENT else self._doubt(str(found))
        version = read_path(found, ("metadata", "resourceVersion"))
        self._version = version if isinstance(version, str) else None
        text = read_path(found, ("data", _KEY))
        try:
            return read_pauses(text) if isinstance(text, str) else ()
        except ValueError as error:
            return self._doubt(str(error))

    async def save(self, pauses: tuple[Pause, ...]) -> None:
        metadata: JsonObject = {"name": self._name, "labels": {"app.kubernetes.io/name": "reconciler"}}
        data: JsonObject = {_KEY: write_pauses(pauses)}
        body: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        async with Kube.open(self._place) as kube:
            if self._version is None:
                answer = await kube.create(Resource.CONFIG_MAPS, body)
            else:
                metadata["resourceVersion"] = self._version
                answer = await kube.replace(Resource.CONFIG_MAPS, self._name, body)
        if isinstance(answer, Fault):
            again = "; somebody else changed it just now, say it again" if answer.cls is FaultClass.CONFLICT else ""
            raise OSError(f"the ConfigMap {self._place.namespace}/{self._name} cannot be written: {answer}{again}")

    def _doubt(self, why: str) -> tuple[Pause, ...]:
        return _pause_everything(f"ConfigMap {self._place.namespace}/{self._name}", why)


def _pause_everything(where: str, why: str) -> tuple[Pause, ...]:
    return (Pause(until=math.inf, reason=f"the pauses in {where} cannot be read: {why}"),)


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
