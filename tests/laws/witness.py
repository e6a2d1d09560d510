"""Watches every state that a simulated Azure is ever in, and says who got through in passing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from armsim.store import World
from tests.support.reaching import Caller, Reader, Scene

PORTS = (443, 80, 22)


class Fact(NamedTuple):
    """A caller gets through to an account along a path."""

    caller: Caller
    target: str
    port: int
    path: str

    def __str__(self) -> str:
        return f"{self.caller} -> {self.target.rsplit('/', 1)[-1]}:{self.port} ({self.path.rsplit('/', 1)[-1]})"


@dataclass(slots=True)
class Moment:
    """A state, and the key of the resource whose change made it."""

    cause: str
    scene: Scene


@dataclass(slots=True)
class Witness:
    """Everybody who is asked about."""

    callers: list[Caller]
    moments: list[Moment] = field(default_factory=list)
    reader: Reader = field(default_factory=Reader)
    _facts: list[tuple[Scene, frozenset[Fact]]] = field(default_factory=list)

    def watch(self, world: World) -> None:
        """Look at the world after every change from now on."""

        def wrap(change: Callable[..., Any]) -> Callable[..., Any]:
            def changed(subject: Any, *rest: Any) -> Any:
                answer = change(subject, *rest)
                self.look(world, subject if isinstance(subject, str) else subject.key)
                return answer

            return changed

        for name in ("put", "remove", "bury"):
            setattr(world, name, wrap(getattr(World, name).__get__(world)))

    def look(self, world: World, cause: str) -> None:
        scene = self.reader.scene(world)
        if not self.moments or self.moments[-1].scene.essence != scene.essence:
            self.moments.append(Moment(cause, scene))

    def facts(self, scene: Scene) -> frozenset[Fact]:
        """Who gets through, where and how."""
        for known, facts in self._facts:
            if known is scene or known.essence == scene.essence:
                return facts
        facts = frozenset(self._find(scene))
        self._facts.append((scene, facts))
        return facts

    def _find(self, scene: Scene) -> Iterator[Fact]:
        for caller in self.callers:
            for account in scene.accounts:
                for port in PORTS:
                    for path in scene.paths(caller, account, port):
                        yield Fact(caller, account, port, path)

    def breaches(self, before: Scene, after: Scene) -> list[str]:
        """What some moment let through that neither end does, by the write that did it."""
        allowed = self.facts(before) | self.facts(after)
        told = []
        for moment in self.moments:
            more = self.facts(moment.scene) - allowed
            if more:
                named = sorted(map(str, more))
                told.append(f"{moment.cause.rsplit('/', 2)[-1]}: {len(named)}: {'; '.join(named[:4])}")
        return told

    def forget(self) -> None:
        del self.moments[:-1]
        self._facts.clear()
