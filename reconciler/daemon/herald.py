"""Tells people: what drifts and what else is wrong, once when it begins and once when it is over, whoever is asleep.

Each look is written into the journal before anything is done about it, and before anybody is told, so that a process
that ends at any moment leaves an alert that its successor ends, and none that it repeats. Holds up a pass for no longer
than the journal takes; decides nothing about what is written to Azure, but that a fight is not gone on with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from reconciler.model.alert import BLANK, Alert, Journal, Letter, Route, SinkKind, Turn
from reconciler.model.finding import Fault, Severity
from reconciler.model.ids import ArmId
from reconciler.model.memory import Memory
from reconciler.model.outcome import CycleReport, Pass
from reconciler.model.plan import Plan
from reconciler.model.ports import Clock, Lease
from reconciler.model.record import fit_journal, join_journals, read_journal, same_but_for_times
from reconciler.report.alerts import Message, Storm, turn_alerts
from reconciler.report.conditions import Finds, find_conditions, find_invalid
from reconciler.report.drift import Look, Rounds, find_wondered, follow_drifts, forget_fleet, hold_fights
from reconciler.report.sight import find_fleets
from reconciler.runtime.journal import Store
from reconciler.runtime.sinks import Sinks

_log = structlog.get_logger("reconciler")

_TRIES, _REST = 3, 2.0  # for a journal that cannot be read just now
_LIVES = 3  # passes after which an alert that is not told again is over for those who are told again and again
_OLD = 600.0  # seconds after which a journal that only looked is written all the same
_PACE = 1.0  # seconds between two times that what has been delivered is written down
OBSERVED: Final = "the daemon only observes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What telling takes. A pass is due every `interval` seconds. `observes`: nothing is ever put right."""

    store: Store
    sinks: Sinks
    routes: tuple[Route, ...]
    clock: Clock
    lease: Lease
    interval: float
    storm: Storm = field(default_factory=Storm)
    rounds: Rounds = field(default_factory=Rounds)
    observes: bool = False


class Herald:
    """Keeps the daemon's `Chronicle` port."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._journal = BLANK
        self._written: Journal | None = None
        self._written_at = 0.0
        self._pending: tuple[Letter, ...] = ()
        # On the monotonic clock: when the last pass was over, and how long that was after the one before.
        self._closed_at = self._gap = 0.0
        self._looked: dict[str, float] = {}
        self._term: int | None = None  # that of the lease when the journal was read
        self._unread = False
        self._unkept = ""
        self._lock = asyncio.Lock()
        self._dirty = asyncio.Event()

    @property
    def journal(self) -> Journal:
        """All that is remembered now, what is on its way included."""
        sinks = self._desk.sinks.couriers.values()
        return replace(
            self._journal,
            letters=(*self._desk.sinks.letters, *self._pending),
            dead=self._journal.dead + sum(each.dead for each in sinks),
            dropped=self._journal.dropped + sum(each.dropped for each in sinks),
        )

    @property
    def unkept(self) -> str:
        """Why what is remembered would not outlive the process, or ""."""
        return self._unkept

    async def begin(self, *, fresh: bool) -> None:
        """Before a pass. What another process remembered is read where this one has just begun to lead."""
        if fresh:
            self._term = self._desk.lease.term
            self._journal, self._unread, self._unkept = BLANK, True, ""
            self._desk.sinks.forget()
            self._looked.clear()
        if self._unread:
            await self._recall(_TRIES if fresh else 1)
        elif self._unkept:
            await self._save()

    def remind(self, fleet: str, memory: Memory) -> Memory:
        """The memory of a fleet's last cycle, with what is no longer put right because somebody undoes it."""
        fights = hold_fights(self._journal, fleet, self._desk.clock.now(), self._desk.rounds)
        others = {id: held for id, held in memory.holds.items() if not held.wants}
        return replace(memory, holds={**others, **fights})

    def wonder(self, fleet: str) -> frozenset[ArmId]:
        """The resources of which nobody knows yet who changed them."""
        return find_wondered(self._journal, fleet, self._desk.clock.now())

    async def note(self, plan: Plan) -> str:
        """What a plan finds, before anything is done about it: nothing is over yet, but what is new is told. Why
        nothing may be done, where it could not be written down."""
        now = self._desk.clock.now()
        self._looked[plan.fleet] = now
        look = Look(plan=plan, now=now, refused=self._unkept, rounds=self._desk.rounds)
        self._journal = follow_drifts(self._journal, look)
        await self._turn([replace(find_conditions(self._journal, plan), blind=True)])
        return self._unkept

    async def close(self, done: Pass) -> None:
        """What a pass found and did."""
        finds = [self._find(report) for report in done.reports.values()]
        for fleet in done.faults:
            self._looked.pop(fleet, None)
        # Only a pass that has read the documents knows what is wrong with them, and which fleets they declare.
        if "" not in done.faults and done.trigger != "stop":
            finds += [find_invalid(done.findings), *self._forget(done)]
        if done.trigger != "stop":
            finds.append(find_fleets(self._journal, done, self._unkept))
        await self._turn(finds)
        now = self._desk.clock.monotonic()
        self._gap, self._closed_at = now - self._closed_at if self._closed_at else 0.0, now
        self._tell_alertmanagers()

    async def run(self) -> None:
        """Deliver, and write down what has been delivered, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._desk.sinks.run(self._leads, self._dirty.set), name="sinks")
            group.create_task(self._keep(), name="journal")

    async def flush(self, seconds: float) -> None:
        """Give what is due `seconds` to arrive, and as many to what has not, to be written down."""
        clock, sinks = self._desk.clock, self._desk.sinks
        end = clock.monotonic() + seconds
        while not sinks.idle(clock.now()) and clock.monotonic() < end:
            await clock.sleep(0.1)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._save()

    def _leads(self) -> bool:
        """Whether what is remembered is how things stand: in another term, somebody else may have gone on from it."""
        return self._desk.lease.remaining() > 0 and self._desk.lease.term == self._term

    async def _recall(self, tries: int) -> None:
        """Go on from what was remembered. Until that has been read it is not written over."""
        found = await self._load(tries)
        if isinstance(found, Fault):
            self._miss("journal.unreadable", f"the journal cannot be read: {found}")
            return
        self._unread, self._unkept = False, ""
        self._written, self._written_at = found, self._desk.clock.now()
        self._hand_over(found.letters)
        self._journal = join_journals(replace(found, letters=()), self._journal)

    async def _load(self, tries: int) -> Journal | Fault:
        found = await self._desk.store.load()
        while isinstance(found, Fault) and (tries := tries - 1):
            await self._desk.clock.sleep(_REST)
            found = await self._desk.store.load()
        return found if isinstance(found, Fault) else _read(found)

    def _miss(self, event: str, why: str) -> None:
        if why != self._unkept:
            _log.warning(event, why=why)
        self._unkept = why

    def _hand_over(self, letters: Iterable[Letter]) -> None:
        for letter in letters:
            if letter.sink in self._desk.sinks.couriers:
                self._desk.sinks.couriers[letter.sink].take((letter,))

    def _find(self, report: CycleReport) -> Finds:
        plan = report.plan
        look = Look(
            plan=plan,
            now=self._looked.pop(plan.fleet, self._desk.clock.now()),
            outcomes=report.outcomes,
            refused=OBSERVED if self._desk.observes else self._unkept if report.refused else "",
            heard=report.heard,
            rounds=self._desk.rounds,
        )
        self._journal = follow_drifts(self._journal, look)
        return find_conditions(self._journal, plan, report)

    def _forget(self, done: Pass) -> list[Finds]:
        """Fleets that no document declares any more. While a document is broken, it may be theirs."""
        if any(each.severity is Severity.ERROR for each in done.findings):
            return []
        known = {*self._journal.looked, *(each.labels.get("fleet", "") for each in self._journal.alerts.values())}
        lost = sorted(known - {"", *done.reports, *done.faults, *done.under_way})
        for fleet in lost:
            self._journal = forget_fleet(self._journal, fleet, self._desk.clock.now())
        return [Finds(fleet=fleet, conditions={}) for fleet in lost]

    async def _turn(self, finds: Iterable[Finds]) -> None:
        now, letters = self._desk.clock.now(), list[Letter]()
        opened = False
        for each in finds:
            journal, messages = turn_alerts(self._journal, each, now, self._desk.storm)
            told = [_address(message, self._desk.routes, now) for message in messages]
            alerts = {**journal.alerts, **{alert.key: alert for alert, _ in told}}
            self._journal = replace(journal, alerts=alerts)
            letters += [letter for _, some in told for letter in some]
            opened = opened or bool(messages)
            for message in messages:
                _tell(message)
        self._pending += tuple(letters)
        await self._save()
        self._post(letters)
        if opened:
            self._tell_alertmanagers()

    def _post(self, letters: list[Letter]) -> None:
        """What has been written down may go out; what another fleet adds meanwhile has not been yet."""
        self._pending = tuple(each for each in self._pending if each not in letters)
        for letter in letters:
            self._desk.sinks.couriers[letter.sink].take((letter,))

    def _tell_alertmanagers(self) -> None:
        for each in self._desk.sinks.alertmanagers:
            each.tell(self._journal.alerts.values(), _LIVES * max(self._desk.interval, self._gap))

    async def _save(self) -> None:
        """Write the journal down where it says something new, or has not been written for long. People are told
        whether or not it can be written: what they hear twice does less harm than what they never hear."""
        async with self._lock:
            journal, now = self.journal, self._desk.clock.now()
            fresh = self._written is not None and now - self._written_at < _OLD and not self._unkept
            if (
                self._unread
                or not self._leads()
                or (fresh and self._written and same_but_for_times(journal, self._written))
            ):
                return
            _, text = await asyncio.to_thread(fit_journal, journal)
            if why := await self._desk.store.save(text):
                self._miss("journal.unwritten", f"the journal cannot be written: {why}")
                return
            self._written, self._written_at, self._unkept = journal, now, ""

    async def _keep(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            await self._save()
            await self._desk.clock.sleep(_PACE)


def _read(text: str) -> Journal:
    if not text:
        return BLANK
    try:
        return read_journal(text)
    except ValueError as error:
        _log.warning("journal.unreadable", why=f"the journal makes no sense and is begun anew: {error}")
        return BLANK


def _address(message: Message, routes: tuple[Route, ...], now: float) -> tuple[Alert, list[Letter]]:
    """The alert, which knows who heard of it, and a letter to each of them: whoever heard that it began hears the
    rest."""
    alert = message.alert
    takers = [each.name for each in routes if each.sink is not SinkKind.ALERTMANAGER and each.takes(alert)]
    heard = [name for name in alert.sinks if name in {each.name for each in routes}]
    names = heard if message.turn is Turn.RESOLVED else list(dict.fromkeys((*heard, *takers)))
    alert = replace(alert, sinks=tuple(names) if message.turn is not Turn.RESOLVED else alert.sinks)
    turns = {name: message.turn if name in heard else Turn.OPENED for name in names}
    return alert, [Letter(sink=name, turn=turns[name], alert=alert, written=now) for name in names]


def _tell(message: Message) -> None:
    alert = message.alert
    told: Callable[..., object] = _log.info if message.turn is Turn.RESOLVED else _log.warning
    told(
        f"alert.{message.turn}",
        alert=alert.name,
        id=alert.key,
        severity=alert.level.value,
        summary=alert.summary,
        actors=list(alert.actors),
        labels=dict(alert.labels),
        description=alert.description,
        revision=alert.revision,
    )
