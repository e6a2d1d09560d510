"""When a fleet may not be written to although it would: hours that its document names, pauses that people ask for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Hours that come again: `seconds` long, each time that the cron expression `start` strikes."""

    start: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """Writes happen within `allow`, or at any time where that is empty, and never within `deny`. `zone` is the name of
    the time zone of both."""

    zone: str = "UTC"
    allow: tuple[Window, ...] = ()
    deny: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Somebody's wish that nothing be written before `until`, in epoch seconds. It is about everything, or as much of
    it as `fleet`, `kind` and `target` (a reference or an ARM id) leave, each empty where it leaves all."""

    until: float
    fleet: str = ""
    kind: str = ""
    target: str = ""
    by: str = ""
    reason: str = ""
    since: float = 0.0

    @property
    def scope(self) -> tuple[str, str, str]:
        """What it is about, folded: a later pause of the same scope takes its place."""
        return self.fleet.lower(), self.kind.lower(), self.target.lower().rstrip("/")
