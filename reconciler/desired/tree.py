"""The desired state as a whole: whether anything in it has changed. Reads a file again only when it looks different."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from reconciler.desired.source import walk_sources

_Look = tuple[int, int, int]


class Tree:
    """Sources by what is in them. It does not matter how a change came about: an edit, links that point somewhere else
    as in a mounted ConfigMap, or a directory that was swapped for another."""

    def __init__(self, sources: Iterable[Path]) -> None:
        self._sources = tuple(sources)
        self._known: dict[Path, tuple[_Look, bytes]] = {}

    def digest(self) -> str:
        """A name for all paths and contents; equal only where the same documents would be read. A tree that cannot be
        walked has a name too: reading it tells what is wrong."""
        whole, known = hashlib.sha256(), {}
        try:
            paths = walk_sources(self._sources)
        except OSError as error:
            return f"cannot be walked: {error}"
        for path in paths:
            found = self._read(path)
            if found is not None:
                known[path] = found
            whole.update(str(path).encode(errors="surrogateescape") + b"\0" + (found[1] if found else b"?"))
        self._known = known
        return whole.hexdigest()

    def _read(self, path: Path) -> tuple[_Look, bytes] | None:
        """How a file looks from outside and the digest of what is in it; None where it cannot be read."""
        try:
            state = path.stat()
            look = (state.st_ino, state.st_mtime_ns, state.st_size)
            before = self._known.get(path)
            if before is not None and before[0] == look:
                return before
            return look, hashlib.sha256(path.read_bytes()).digest()
        except OSError:
            return None
