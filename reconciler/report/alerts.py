"""Report: which alerts begin, change and end. Pure: what is so is told as conditions, and turned into alerts.

A condition that holds opens one alert, which ends once it does not hold any more. What could not be read leaves open
what is open. Many of one name that begin together are one digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.model.alert import OVER, Alert, Journal, Level, Turn
from reconciler.model.drift import UNKNOWN_YET, Ending
from reconciler.model.wire import Json
from reconciler.report.conditions import (
    BLOCKED,
    CREDENTIALS,
    DRIFT,
    FIGHT,
    INVALID,
    JOURNAL,
    LISTED,
    QUOTA,
    RETIREMENT,
    STUCK,
    THROTTLED,
    UNSEEN,
    Condition,
    Finds,
    capital,
    leave_standing,
    make_essence,
    tell_doer,
)
from reconciler.report.sight import FLEET_WIDE, FLEETS
from reconciler.report.words import join_words, show_duration

_PAUSE = 60.0  # of a digest
_JOINS = 900.0  # how long a digest takes in more of its kind
FORGOTTEN: Final = 1800.0  # seconds after which nothing is known any more of an alert that ended

_MANY: Final[Mapping[str, str]] = {
    DRIFT: "resources are not as declared",
    FIGHT: "resources are changed back each time",
    BLOCKED: "resources are blocked",
    QUOTA: "resources are blocked by quota",
    RETIREMENT: "models retire soon",
    STUCK: "resources are stuck",
    THROTTLED: "fleets are throttled by Azure",
    CREDENTIALS: "fleets have a credential that does not work",
    UNSEEN: "fleets are not seen",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """How many of one name may begin at once before they are told as one."""

    most: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One alert to be told of, and why."""

    turn: Turn
    alert: Alert


def turn_alerts(journal: Journal, finds: Finds, now: float, storm: Storm) -> tuple[Journal, tuple[Message, ...]]:
    """The alerts of one fleet after a look, and what there is to tell about them."""
    mine = {key: _shed(each, finds) for key, each in journal.alerts.items() if _scope(each) == finds.fleet}
    waiting = _wait(journal, finds, now)
    since = {key: waiting.get(f"{finds.fleet}/{key}", now) for key in finds.conditions}
    finds = replace(finds, conditions={key: each.lasting(now - since[key]) for key, each in finds.conditions.items()})
    ripe = {key: each for key, each in finds.conditions.items() if now - since[key] >= each.after}
    messages = [*_follow(journal, mine, finds, now), *_amend_ended(journal, mine, now)]
    told = {each.alert.key: each.alert for each in messages}
    messages += _begin({**mine, **told}, ripe, now, storm)
    known = {**journal.alerts, **mine}
    alerts = {key: each for key, each in known.items() if each.open or now - (each.ended or now) < FORGOTTEN}
    alerts |= {each.alert.key: each.alert for each in messages}
    return replace(journal, alerts=alerts, waiting=waiting), tuple(messages)


def _scope(alert: Alert) -> str:
    return FLEETS if alert.name in FLEET_WIDE else alert.labels.get("fleet", "")


def _shed(alert: Alert, finds: Finds) -> Alert:
    """A digest knows what of it is over: should that come back, it is news."""
    if not (alert.open and alert.members) or finds.blind:
        return alert
    gone = {key for key in alert.members if key not in finds.conditions and not _is_unseen(key, finds)}
    gone |= {*alert.over}
    return replace(alert, over=tuple(key for key in alert.members if key in gone))


def _wait(journal: Journal, finds: Finds, now: float) -> dict[str, float]:
    """Since when each condition that must last has been so."""
    prefix = f"{finds.fleet}/"
    waiting = {key: at for key, at in journal.waiting.items() if not key.startswith(prefix)}
    for key, at in journal.waiting.items():
        name = key.removeprefix(prefix)
        if key.startswith(prefix) and (finds.blind or name in finds.unseen or name in finds.conditions):
            waiting[key] = at
    for name, each in finds.conditions.items():
        if each.after:
            waiting.setdefault(prefix + name, now)
    return waiting


def _follow(journal: Journal, mine: Mapping[str, Alert], finds: Finds, now: float) -> Iterator[Message]:
    """What there is to tell about alerts that are open."""
    for alert in mine.values():
        if not alert.open:
            continue
        if alert.members:
            yield from _follow_digest(journal, alert, finds, now)
        elif condition := finds.conditions.get(alert.key):
            yield from _amend(alert, condition, now)
        elif not _is_unseen(alert.key, finds):
            yield _end(alert, _tell_end(journal, alert), now)


def _is_unseen(key: str, finds: Finds) -> bool:
    return finds.blind or key in finds.unseen


def _amend(alert: Alert, condition: Condition, now: float) -> Iterator[Message]:
    worse = condition.level.rank < alert.level.rank
    if not worse and (condition.essence == alert.essence or now - alert.told < condition.quiet):
        return
    amended = replace(
        alert,
        level=condition.level if worse else alert.level,
        labels=condition.labels,
        summary=condition.summary,
        description=condition.description,
        actors=condition.actors,
        details=condition.details,
        essence=condition.essence,
        revision=alert.revision + 1,
        told=now,
    )
    yield Message(turn=Turn.AMENDED, alert=amended)


def _end(alert: Alert, how: str, now: float) -> Message:
    ended = replace(
        alert,
        summary=f"{OVER}{alert.summary}",
        description=f"{how} after {show_duration(now - alert.began)}.\n{leave_standing(alert.description)}",
        ended=now,
        revision=alert.revision + 1,
        told=now,
    )
    return Message(turn=Turn.RESOLVED, alert=ended)


def _tell_end(journal: Journal, alert: Alert) -> str:
    drift = next((each for each in reversed(journal.past) if each.key == _drift_key(alert.key)), None)
    if alert.name in (DRIFT, FIGHT) and drift is not None and drift.ending is not None:
        return capital(drift.ending.value)
    return {
        FIGHT: "It is tried again",
        RETIREMENT: "Nothing that retires is deployed any more",
        INVALID: "Every document is valid again",
        THROTTLED: "Azure answers again",
        CREDENTIALS: "The credential works again",
        UNSEEN: "It is seen again",
        JOURNAL: "What is told is remembered again",
    }.get(alert.name, "This is not so any more")


def _drift_key(key: str) -> str:
    return key.removeprefix("fight:")


def _amend_ended(journal: Journal, mine: Mapping[str, Alert], now: float) -> Iterator[Message]:
    """Whose doing it was may only be known when it is over."""
    past = {each.key: each for each in journal.past if each.explained}
    for alert in mine.values():
        if alert.open or alert.name != DRIFT or now - (alert.ended or now) >= FORGOTTEN:
            continue
        known = [past[key] for key in alert.members or (alert.key,) if key in past]
        late = sorted({each.actor for each in known} - {*alert.actors})
        if late:
            doers = join_words(sorted({each.actor for each in known}))
            summary = f"{alert.summary} (by {join_words(late)})"
            told = alert.description.replace(tell_doer(UNKNOWN_YET), tell_doer(doers))
            description = f"It is known now whose doing it was: {doers}.\n{told}"
            amended = replace(
                alert,
                summary=summary,
                description=description,
                actors=tuple(sorted({*alert.actors, *late})),
                details={**alert.details, "actor": doers},
                revision=alert.revision + 1,
                told=now,
            )
            yield Message(turn=Turn.AMENDED, alert=amended)


def _begin(known: Mapping[str, Alert], ripe: Mapping[str, Condition], now: float, storm: Storm) -> list[Message]:
    """What begins: each for itself, or many of one name as one."""
    open_ = {key: each for key, each in known.items() if each.open}
    covered = {member for each in open_.values() for member in _standing(each)}
    fresh: dict[str, list[Condition]] = {}
    for key, condition in ripe.items():
        if key not in open_ and key not in covered:
            fresh.setdefault(condition.name, []).append(condition)
    messages: list[Message] = []
    for name, conditions in fresh.items():
        digest_ = next((each for each in open_.values() if each.members and each.name == name), None)
        if digest_ is not None and now - digest_.began < _JOINS:
            everybody = [ripe[key] for key in _standing(digest_) if key in ripe] + conditions
            messages.append(_retell(_join(digest_, conditions), everybody, now))
        elif len(conditions) > storm.most:
            messages.append(_open_digest(conditions, now))
        else:
            messages += [_open(each, now) for each in conditions]
    return messages


def _standing(digest_: Alert) -> tuple[str, ...]:
    """What a digest still stands for."""
    over = {*digest_.over}
    return tuple(key for key in digest_.members if key not in over)


def _join(digest_: Alert, conditions: Iterable[Condition]) -> Alert:
    fresh = dict.fromkeys(each.key for each in conditions)
    over = tuple(key for key in digest_.over if key not in fresh)
    return replace(digest_, members=tuple(dict.fromkeys((*digest_.members, *fresh))), over=over)


def _open(condition: Condition, now: float) -> Message:
    alert = Alert(
        key=condition.key,
        name=condition.name,
        level=condition.level,
        labels=condition.labels,
        summary=condition.summary,
        description=condition.description,
        actors=condition.actors,
        details=condition.details,
        began=now,
        told=now,
        essence=condition.essence,
    )
    return Message(turn=Turn.OPENED, alert=alert)


def _open_digest(conditions: list[Condition], now: float) -> Message:
    first, fleet = conditions[0], _share_fleet(conditions)
    labels = {"digest": "true"} | ({"fleet": fleet} if fleet else {})
    members = tuple(each.key for each in conditions)
    alert = Alert(
        key=f"digest:{first.name}:{make_essence([*members])}",
        name=first.name,
        level=_worst(conditions),
        labels=labels,
        summary=_sum_up(conditions, f"{len(members)}"),
        description=_list(conditions, len(members)),
        actors=_actors(conditions),
        details=_detail(conditions),
        began=now,
        told=now,
        essence=make_essence([*_actors(conditions)]),
        members=members,
    )
    return Message(turn=Turn.OPENED, alert=alert)


def _follow_digest(journal: Journal, alert: Alert, finds: Finds, now: float) -> Iterator[Message]:
    standing = _standing(alert)
    conditions = [finds.conditions[key] for key in standing if key in finds.conditions]
    if conditions:
        learned = make_essence([*_actors(conditions)]) != alert.essence and now - alert.told >= _PAUSE
        if learned or _is_worse(alert, conditions):
            yield _retell(alert, conditions, now)
    elif not standing:
        yield _end(alert, _tell_digest_end(journal, alert), now)


def _is_worse(alert: Alert, conditions: list[Condition]) -> bool:
    """Whether it is more urgent than it was, or one more of them is as urgent as can be."""
    told = alert.details.get(Level.CRITICAL)
    known = {*told} if isinstance(told, list) else set[Json]()
    critical = (each.key for each in conditions if each.level is Level.CRITICAL)
    return _worst(conditions).rank < alert.level.rank or any(key not in known for key in critical)


def _retell(alert: Alert, conditions: list[Condition], now: float) -> Message:
    worst, number = _worst(conditions), len(_standing(alert))
    many = f"{number} of {len(alert.members)}" if alert.over else f"{number}"
    amended = replace(
        alert,
        level=worst if worst.rank < alert.level.rank else alert.level,
        summary=_sum_up(conditions, many),
        description=_list(conditions, number),
        actors=_actors(conditions),
        details=_detail(conditions),
        essence=make_essence([*_actors(conditions)]),
        revision=alert.revision + 1,
        told=now,
    )
    return Message(turn=Turn.AMENDED, alert=amended)


def _tell_digest_end(journal: Journal, alert: Alert) -> str:
    endings = {each.key: each.ending for each in journal.past if each.ending is not None}
    tally: dict[Ending, int] = {}
    for key in alert.members:
        if ending := endings.get(key):
            tally[ending] = tally.get(ending, 0) + 1
    told = join_words(f"{number} {ending.value}" for ending, number in sorted(tally.items())) if tally else ""
    return f"All {len(alert.members)} are over{': ' + told if told else ''},"


def _share_fleet(conditions: Iterable[Condition]) -> str:
    """The one fleet that all of them are about, or "" where there are several, or none."""
    fleets = {each.labels.get("fleet", "") for each in conditions}
    return fleets.pop() if len(fleets) == 1 else ""


def _worst(conditions: Iterable[Condition]) -> Level:
    return min((each.level for each in conditions), key=lambda each: each.rank)


def _actors(conditions: Iterable[Condition]) -> tuple[str, ...]:
    return tuple(sorted({actor for each in conditions for actor in each.actors}))


def _detail(conditions: list[Condition]) -> dict[str, Json]:
    return {Level.CRITICAL.value: [each.key for each in conditions if each.level is Level.CRITICAL]}


def _sum_up(conditions: list[Condition], many: str) -> str:
    first, fleet = conditions[0], _share_fleet(conditions)
    where = f"fleet {fleet}: " if fleet else ""
    by = _actors(conditions)
    whose = f", by {join_words(by[:3])}{' and others' if by[3:] else ''}" if by else ""
    return f"{where}{many} {_MANY.get(first.name, 'alerts of one kind')}{whose}"


def _list(conditions: list[Condition], number: int) -> str:
    ordered = sorted(conditions, key=lambda each: (each.level.rank, each.summary))
    mixed = ordered[0].level is not ordered[-1].level
    listed = [f"- {f'{each.level}: ' if mixed else ''}{each.summary}" for each in ordered[:LISTED]]
    return "\n".join([*listed, *([f"- and {number - len(listed)} more"] if number > len(listed) else [])])
