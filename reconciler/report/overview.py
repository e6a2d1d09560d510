"""Report: how the daemon is, from the most to the least important: whether it lives, is ready, and what is wrong. Pure.

What is wrong is what alerts are made of, so that nobody reads one thing here and another in a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isinf
from typing import Final

from reconciler.model.alert import Level
from reconciler.model.drift import Drift
from reconciler.model.finding import Fault
from reconciler.model.health import FleetHealth, Health
from reconciler.model.outcome import Outcome, Result
from reconciler.model.plan import Decision, DecisionState, Plan
from reconciler.model.text import plain
from reconciler.report.conditions import (
    AGREE,
    DRIFT,
    FIGHT,
    RETIREMENT,
    STUCK,
    THROTTLED,
    UNSEEN,
    Condition,
    Finds,
    find_conditions,
    find_drifts,
    find_invalid,
    tell_standing,
)
from reconciler.report.sight import (
    FLEETS,
    find_broken_off,
    find_sight,
    find_undeclared,
    find_under_way,
    find_unkept,
    is_sign_in,
)
from reconciler.report.words import HELPS, RESULT_WORDS, count, group_blind, join_words, show_duration, tell_reason

UNREAD: Final = "Unread"
BROKEN_OFF: Final = "BrokenOff"
PAUSES: Final = "Pauses"
_INTERVALS = 3  # without a pass that saw every fleet, after which nobody knows any more


class Mood(StrEnum):
    """How everything is in one word; whoever only stands by, or has not looked yet, cannot tell."""

    CALM = "calm"
    BUSY = "busy"
    NOTICE = "notice"
    TROUBLE = "trouble"
    ALARM = "alarm"
    STANDBY = "standby"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """One thing that is wrong. `since` is in epoch seconds, or None where that is not known. `doing` is what becomes of
    it and `lines` are all there is to say; `drift` is there where it is one."""

    key: str
    name: str
    level: Level
    fleet: str
    what: str
    since: float | None = None
    who: str = ""
    doing: str = ""
    lines: tuple[str, ...] = ()
    drift: Drift | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """One resource that something is being done about, or that Azure is working on."""

    fleet: str
    ref: str
    why: str
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Resources that are left alone for one reason, which somebody wanted or which is told elsewhere."""

    fleet: str
    code: str
    why: str
    refs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    mood: Mood
    verdict: str
    concerns: tuple[Concern, ...] = ()
    waits: tuple[Wait, ...] = ()
    holds: tuple[Hold, ...] = ()


def judge_live(health: Health) -> str:
    """Why the process must be started anew; "" while it lives."""
    if health.silence > health.patience:
        return f"the loop has given no sign of life for {show_duration(health.silence)}"
    lease = health.leadership
    if lease is not None and lease.silence > lease.patience:
        return f"nobody has looked after the lease {plain(lease.name)} for {show_duration(lease.silence)}"
    return ""


def judge_ready(health: Health) -> str:
    """Why nobody should count on this process; "" while it looks after the fleets, or stands by and could."""
    if health.stopping:
        return f"draining: {health.stopping}"
    if stuck := judge_live(health):
        return stuck
    return _judge_leader(health) if health.leads else ""


def _judge_leader(health: Health) -> str:
    if health.fault is not None:
        return f"the last pass broke off: {plain(str(health.fault))}"
    for fleet in health.fleets:
        if (fault := _find_sign_in(fleet)) is not None:
            return f"the credential of fleet {plain(fleet.name)} does not work: {plain(str(fault))}"
    if health.unkept:
        return f"{plain(health.unkept)}; nothing is written until it can"
    if health.succeeded_at is None:
        return f"no pass has seen every fleet yet{_tell_last(health)}"
    return ""


def _find_sign_in(fleet: FleetHealth) -> Fault | None:
    faults = [fleet.fault] if fleet.fault else []
    if fleet.report and not fleet.fault:
        faults += [fault for _, fault in fleet.report.plan.blind]
    return next((fault for fault in faults if is_sign_in(fault)), None)


def _tell_last(health: Health) -> str:
    return f": {plain(health.passes[0].why)}" if health.passes and health.passes[0].why else ""


def survey(health: Health) -> Overview:
    """Everything that is worth a look, the most urgent first."""
    concerns = sorted(_find_concerns(health), key=_rank)
    waits = tuple(wait for fleet in health.fleets for wait in _find_waits(fleet))
    holds = tuple(hold for fleet in health.fleets for hold in _find_holds(fleet))
    mood, verdict = _judge(health, concerns, waits)
    return Overview(mood=mood, verdict=verdict, concerns=tuple(concerns), waits=waits, holds=holds)


def _rank(concern: Concern) -> tuple[object, ...]:
    """What is open at this moment comes before what has days left, and the older before the newer."""
    return concern.level.rank, concern.name == RETIREMENT, concern.drift is None, concern.since or 0.0, concern.what


def _judge(health: Health, concerns: list[Concern], waits: tuple[Wait, ...]) -> tuple[Mood, str]:
    if stuck := judge_live(health):
        return Mood.ALARM, f"Stuck: {stuck}"
    if health.stopping:
        return Mood.UNKNOWN, "Stopping: nothing new is begun"
    if not health.leads:
        lease = health.leadership
        return Mood.STANDBY, f"Standing by: {plain(lease.told) if lease else 'somebody else looks after the fleets'}"
    if not health.passes:
        return Mood.UNKNOWN, "Looking for the first time"
    seen = health.succeeded_at or health.began_at
    if health.taken_at - seen > _INTERVALS * health.interval and health.passes[0].result == "failed":
        return Mood.ALARM, f"Blind: no pass has seen every fleet for {show_duration(health.taken_at - seen)}"
    return _judge_fleets(health, concerns, waits)


def _judge_fleets(health: Health, concerns: list[Concern], waits: tuple[Wait, ...]) -> tuple[Mood, str]:
    unseen = [each for each in health.fleets if each.report is None and each.fault is None]
    if unseen and not concerns:
        return Mood.UNKNOWN, f"Nothing is wrong so far; {count(len(unseen), 'fleet')} not seen yet"
    if not (health.fleets or concerns):
        return Mood.NOTICE, "No document declares a fleet"
    return _weigh(concerns, waits, resting=bool(health.pauses))


def _weigh(concerns: list[Concern], waits: tuple[Wait, ...], *, resting: bool) -> tuple[Mood, str]:
    urgent = [each for each in concerns if each.level is Level.CRITICAL]
    if urgent:
        rest = f", and {count(len(concerns) - len(urgent), 'thing')} besides" if len(concerns) > len(urgent) else ""
        return Mood.ALARM, f"{_need(len(urgent))} attention now{rest}"
    if any(each.level is Level.WARNING for each in concerns):
        return Mood.TROUBLE, f"{_need(len(concerns))} attention"
    if concerns:
        return Mood.NOTICE, f"{count(len(concerns), 'small difference')} from what is declared"
    under_way = [each for each in waits if not each.done]
    if under_way:
        return Mood.BUSY, f"Nothing is wrong; {count(len(under_way), 'resource')} under way"
    if waits:
        return Mood.BUSY, f"Nothing is wrong; {count(len(waits), 'resource')} written just now"
    return (Mood.NOTICE, "Nothing is wrong; some is paused") if resting else (Mood.CALM, "All is as declared")


def _need(number: int) -> str:
    return f"{count(number, 'thing')} {'needs' if number == 1 else 'need'}"


def _find_concerns(health: Health) -> Iterator[Concern]:
    if health.fault is not None:
        yield _broken_off(health, "", health.fault)
    if health.unkept:
        yield from _read_fleets(health, [find_unkept(health.unkept)])
    yield from _read(health, find_invalid(health.findings))
    yield from _find_endless(health)
    seen = {each.name for each in health.fleets}
    yield from _read_fleets(health, find_undeclared(health.journal, health.findings, seen))
    for name in sorted({each.fleet for each in health.journal.drifts.values()} - seen):
        yield from _read_unwatched(health, name)
    for fleet in health.fleets:
        if fleet.under_way:
            yield from _read_fleets(health, [find_under_way(fleet.name)])
        if fleet.report is None or fleet.fault is not None:
            yield from _read_unwatched(health, fleet.name)
        if fleet.fault is not None:
            named = [*_read_fleets(health, find_broken_off(fleet.name, fleet.fault))]
            yield from named or [_broken_off(health, fleet.name, fleet.fault)]
        elif fleet.report is not None:
            yield from _read(health, find_conditions(health.journal, fleet.report.plan, fleet.report))
            named = [*_read_fleets(health, find_sight(fleet.name, fleet.report))]
            yield from named
            if not any(each.name == UNSEEN for each in named):
                yield from _find_unread(health, fleet.report.plan)


def _find_endless(health: Health) -> Iterator[Concern]:
    """Pauses that cannot be read: nobody asked for that one, and nobody knows when it ends."""
    for pause in health.pauses:
        if isinf(pause.until):
            yield Concern(
                key="pauses",
                name=PAUSES,
                level=Level.WARNING,
                fleet="",
                what=f"everything is paused: {plain(pause.reason)}",
                doing=f"{HELPS}put it right, or remove it; nothing is written before.",
            )


def _read_unwatched(health: Health, fleet: str) -> Iterator[Concern]:
    """What was wrong with a fleet when it was last seen: that nobody sees it now makes nothing right."""
    conditions = {each.key: each for each in find_drifts(health.journal, fleet)}
    for concern in _read(health, Finds(fleet=fleet, conditions=conditions)):
        yield replace(concern, doing="It was so when the fleet was last seen, which it is not at present.")


def _read_fleets(health: Health, conditions: Iterable[Condition]) -> Iterator[Concern]:
    return _read(health, Finds(fleet=FLEETS, conditions={each.key: each for each in conditions}))


def _read(health: Health, finds: Finds) -> Iterator[Concern]:
    for condition in finds.conditions.values():
        drift = health.journal.drifts.get(condition.key.removeprefix("fight:"))
        since = _find_since(health, finds.fleet, condition, drift)
        if condition.name == RETIREMENT and condition.level is Level.INFO:
            continue  # it has a place of its own, and nobody has to act tonight
        lasted = health.taken_at - (since or health.taken_at)
        if condition.name in _PASSING and lasted < condition.after:
            continue
        yield Concern(
            key=condition.key,
            name=condition.name,
            level=condition.lasting(lasted).level,
            fleet=condition.labels.get("fleet", ""),
            what=condition.summary,
            since=since,
            who=_tell_who(condition, drift),
            doing=_tell_doing(condition, drift),
            lines=tuple(condition.description.split("\n")),
            drift=drift,
        )


# What usually ends by itself, and is no concern before it has lasted.
_PASSING: Final = (STUCK, THROTTLED, UNSEEN)


def _find_since(health: Health, fleet: str, condition: Condition, drift: Drift | None) -> float | None:
    if drift is not None and condition.name == DRIFT:
        return drift.first_seen
    alert = health.journal.alerts.get(condition.key)
    began = [alert.began] if alert is not None and alert.open else []
    waits = health.journal.waiting.get(f"{fleet}/{condition.key}")
    return min([*began, *([] if waits is None else [waits])], default=None)


def _tell_who(condition: Condition, drift: Drift | None) -> str:
    if condition.actors:
        return plain(join_words(condition.actors))
    return drift.actor if drift is not None else ""


def _tell_doing(condition: Condition, drift: Drift | None) -> str:
    if condition.name == FIGHT:
        return AGREE
    if drift is not None:
        return tell_standing(drift)
    helps = [line for line in condition.description.split("\n") if line.startswith(HELPS)]
    return helps[0] if helps else ""


def _broken_off(health: Health, fleet: str, fault: Fault) -> Concern:
    name = f"fleet {plain(fleet)}" if fleet else "the whole pass"
    seen = next((each.looked_at for each in health.fleets if each.name == fleet), health.succeeded_at)
    return Concern(
        key=f"broken-off:{fleet}",
        name=BROKEN_OFF,
        level=Level.WARNING,
        fleet=fleet,
        what=f"{name} broke off: {plain(str(fault))}",
        since=seen,
        doing=f"{HELPS}{plain(fault.advice)}" if fault.advice else "It is tried again with the next pass.",
    )


def _find_unread(health: Health, plan: Plan) -> Iterator[Concern]:
    for (told, advice), places in group_blind(plan).items():
        yield Concern(
            key=f"unread:{plan.fleet}:{told}",
            name=UNREAD,
            level=Level.WARNING,
            fleet=plan.fleet,
            what=f"{count(len(places), 'place')} could not be read: {plain(told)}",
            since=health.passes[0].began if health.passes else None,
            doing=f"{HELPS}{plain(advice)}" if advice else "It is read again with the next pass.",
            lines=tuple(plain(place) for place in places),
        )


def _find_waits(fleet: FleetHealth) -> Iterator[Wait]:
    report = fleet.report
    if report is None or fleet.fault is not None:
        return
    outcomes = {outcome.step.id: outcome for outcome in report.outcomes}
    for decision in report.plan.decisions:
        ref = plain(str(decision.ref))
        outcome = outcomes.get(decision.id)
        if decision.acts and outcome is not None and outcome.result in _GOING:
            yield Wait(fleet=fleet.name, ref=ref, why=_tell_outcome(decision, outcome), done=_is_done(outcome))
        elif decision.acts and outcome is None:
            yield Wait(fleet=fleet.name, ref=ref, why=plain(report.refused or tell_reason(decision)))
        elif decision.state is DecisionState.IN_PROGRESS:
            yield Wait(fleet=fleet.name, ref=ref, why=tell_reason(decision))


_GOING: Final = (Result.DONE, Result.IN_PROGRESS, Result.NOT_STARTED, Result.STALE)


def _is_done(outcome: Outcome) -> bool:
    return outcome.result is Result.DONE


def _tell_outcome(decision: Decision, outcome: Outcome) -> str:
    action = decision.action.value if decision.action else ""
    because = f": {plain(outcome.because)}" if outcome.because else ""
    return f"{action} {RESULT_WORDS[outcome.result]}{because}"


def _find_holds(fleet: FleetHealth) -> Iterator[Hold]:
    """What is blocked, by why; a drift that is kept from being put right is told there as well."""
    groups: dict[tuple[str, str], list[str]] = {}
    for decision in fleet.report.plan.decisions if fleet.report else ():
        if decision.state is DecisionState.BLOCKED:
            why = plain(decision.reason) + (f". What helps: {plain(decision.permit)}" if decision.permit else "")
            groups.setdefault((decision.code or "blocked", why), []).append(plain(str(decision.ref)))
    for (code, why), refs in sorted(groups.items()):
        yield Hold(fleet=fleet.name, code=code, why=why, refs=tuple(refs))
