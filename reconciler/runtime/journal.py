"""What outlives the process: one text, in a file, in a ConfigMap, or nowhere.

Promises that a text is there as a whole or not at all, whenever the process ends. Knows nothing of what it says.
"""

from __future__ import annotations

import asyncio
import glob
import os
from pathlib import Path
from typing import Final, Protocol

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ports import Lease
from reconciler.model.wire import Json, JsonObject, read_path
from reconciler.runtime.kube import Kube, Resource

_KEY: Final = "journal.json"
_LABELS: Final[JsonObject] = {"app.kubernetes.io/name": "reconciler", "app.kubernetes.io/component": "journal"}


class Store(Protocol):
    """Keeps one text. Both verbs take a few seconds at most; "" from `save` says that it is kept, else why not."""

    async def load(self) -> str | Fault:
        """The text that was saved last; "" where none ever was."""
        ...

    async def save(self, text: str) -> str: ...


class NoStore:
    """Keeps nothing."""

    async def load(self) -> str | Fault:
        return ""

    async def save(self, text: str) -> str:
        del text
        return ""


class FileStore:
    """Keeps the text in a file: written beside it, flushed to the disk, and put in its place at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> str | Fault:
        try:
            return await asyncio.to_thread(self._read)
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            return Fault(cls=FaultClass.UNKNOWN, code="journal_unreadable", message=f"{self._path}: {_tell(error)}")

    async def save(self, text: str) -> str:
        try:
            await asyncio.to_thread(self._replace, text)
        except OSError as error:
            return f"{self._path}: {_tell(error)}"
        return ""

    def _read(self) -> str:
        # What a process that was killed while it wrote has left there. Whoever still writes may not any more.
        for beside in self._path.parent.glob(f".{glob.escape(self._path.name)}.*"):
            beside.unlink(missing_ok=True)
        return self._path.read_text(encoding="utf-8")

    def _replace(self, text: str) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        # The new name of the file is on the disk only once its directory is.
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _tell(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


class ConfigMapStore:
    """Keeps the text in a ConfigMap of ours. Whoever leads is the only one to write it, so a conflict is a leader that
    has gone: what it wrote is read for its version and replaced. Unless it is we who have gone by then."""

    def __init__(self, kube: Kube, name: str, lease: Lease) -> None:
        self._kube = kube
        self._name = name
        self._lease = lease
        self._version: Json = None

    async def load(self) -> str | Fault:
        found = await self._kube.get(Resource.CONFIG_MAPS, self._name)
        if isinstance(found, Fault):
            self._version = None
            return "" if found.cls is FaultClass.ABSENT else found
        self._learn(found)
        text = read_path(found, ("data", _KEY))
        return text if isinstance(text, str) else ""

    async def save(self, text: str) -> str:
        term = self._lease.term
        answer = await self._put(text)
        if isinstance(answer, Fault) and answer.cls in (FaultClass.CONFLICT, FaultClass.ABSENT):
            current = await self.load()
            if isinstance(current, Fault):
                return str(current)
            # Asked only now: whoever leads after us has written before that, or makes the next try a conflict.
            if self._lease.remaining() <= 0 or self._lease.term != term:
                return "somebody else has written it, and leads by now"
            answer = await self._put(text)
        if isinstance(answer, Fault):
            return str(answer)
        self._learn(answer)
        return ""

    async def _put(self, text: str) -> JsonObject | Fault:
        metadata: JsonObject = {"name": self._name, "labels": _LABELS}
        body: JsonObject = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {_KEY: text}}
        if self._version is None:
            return await self._kube.create(Resource.CONFIG_MAPS, body)
        metadata["resourceVersion"] = self._version
        return await self._kube.replace(Resource.CONFIG_MAPS, self._name, body)

    def _learn(self, found: JsonObject) -> None:
        version = read_path(found, ("metadata", "resourceVersion"))
        self._version = version if isinstance(version, str) else None
