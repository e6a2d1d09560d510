"""Alerts: something that people are told once when it begins, when it changes, and once when it is over.

A `Journal` is all that is remembered of it. It outlives the process; losing it costs a repeated message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from reconciler.model.drift import Drift
from reconciler.model.finding import Origin
from reconciler.model.wire import Json

OVER: Final = "over: "  # what the summary of an alert that ended begins with


class Level(StrEnum):
    """How urgent an alert is, the most urgent first."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        return tuple(Level).index(self)


class Turn(StrEnum):
    """Why an alert is told: it began, there is more to say about it, or it is over."""

    OPENED = "opened"
    AMENDED = "amended"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert; times are epoch seconds, `ended` None while it is open. `name` is one of a few words.

    `key` is what it is about and never changes; `labels` come from small sets of words, documents' names included.
    `revision` counts from 1 what was told about it, the last time at `told`; `essence` names what that was, and `sinks`
    who heard of it. `actors` are who is behind it, as far as it says, and `details` the same as it says, for programs.
    `members` are the keys that a digest stands for, and `over` those of them that it does not any more.
    """

    key: str
    name: str
    level: Level
    labels: Mapping[str, str] = field(default_factory=dict)
    summary: str
    description: str = ""
    began: float
    ended: float | None = None
    revision: int = 1
    told: float = 0.0
    essence: str = ""
    sinks: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    over: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        return self.ended is None


class SinkKind(StrEnum):
    ALERTMANAGER = "alertmanager"
    WEBHOOK = "webhook"
    EVENTS = "events"


class Shape(StrEnum):
    """What a webhook is sent: a signed CloudEvent, or what a chat shows."""

    CLOUDEVENTS = "cloudevents"
    SLACK = "slack"
    TEAMS = "teams"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One sink and what goes there: alerts of this `level` or worse that carry all of `labels`.

    What ends in `_variable` names the environment variable that holds a secret; a URL may be one.
    """

    name: str
    sink: SinkKind
    urls: tuple[str, ...] = ()
    url_variable: str = ""
    shape: Shape = Shape.CLOUDEVENTS
    secret_variable: str = ""
    token_variable: str = ""
    level: Level = Level.INFO
    labels: Mapping[str, str] = field(default_factory=dict)
    origin: Origin | None = field(default=None, compare=False)

    def takes(self, alert: Alert) -> bool:
        known = {**alert.labels, "alertname": alert.name}
        return alert.level.rank <= self.level.rank and all(known.get(k) == v for k, v in self.labels.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One alert on its way to the sink of this name. `due` is when it may be tried (again), in epoch seconds."""

    sink: str
    turn: Turn
    alert: Alert
    written: float
    due: float = 0.0
    tries: int = 0

    @property
    def id(self) -> str:
        """The same for every attempt to deliver it, by whichever process, and another one for what says something else:
        a process may have ended before it could write down what it had told."""
        alert = self.alert
        words = (alert.key, f"{alert.began:.3f}", str(alert.revision), self.turn, alert.essence)
        return hashlib.sha256("\n".join(words).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Open alerts and drifts by their keys, and the letters that have not arrived.

    `past` are drifts that ended, the latest last: whatever comes back is known by them. `settled` names what each
    resource's document wanted when Azure was last seen to be so, and `looked` is when each fleet was looked at last, by
    Azure's clock. `waiting` says since when something is so that is only told once it lasts. `dead` counts letters that
    no sink ever took, `dropped` those that there was no room for.
    """

    alerts: Mapping[str, Alert] = field(default_factory=dict)
    drifts: Mapping[str, Drift] = field(default_factory=dict)
    past: tuple[Drift, ...] = ()
    letters: tuple[Letter, ...] = ()
    settled: Mapping[str, str] = field(default_factory=dict)
    looked: Mapping[str, float] = field(default_factory=dict)
    waiting: Mapping[str, float] = field(default_factory=dict)
    dead: int = 0
    dropped: int = 0


BLANK = Journal()
