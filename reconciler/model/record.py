"""A journal as text, and read back.

Reads what older and newer versions wrote: what it does not know it leaves out, and an entry that makes no sense costs
that entry. Writes no more than there is room for: the oldest letters go first, and are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

from reconciler.model.alert import Alert, Journal, Letter, Level, Turn
from reconciler.model.drift import UNKNOWN_YET, Correction, Drift, Edit, Ending, Gravity
from reconciler.model.ids import ArmId, Ref
from reconciler.model.wire import Json, JsonObject, canonical_bytes, thaw

VERSION: Final = 1
ROOM: Final = 900 * 1024  # bytes; a ConfigMap holds a mebibyte

T = TypeVar("T")
_Entry = Mapping[str, Any]


def write_journal(journal: Journal) -> str:
    document: JsonObject = {
        "version": VERSION,
        "alerts": [_write_alert(each) for each in journal.alerts.values()],
        "drifts": [_write_drift(each) for each in journal.drifts.values()],
        "past": [_write_drift(each) for each in journal.past],
        "letters": [_write_letter(each) for each in journal.letters],
        "settled": thaw(journal.settled),
        "looked": thaw(journal.looked),
        "waiting": thaw(journal.waiting),
        "dead": journal.dead,
        "dropped": journal.dropped,
    }
    return canonical_bytes(document).decode(errors="replace")


def join_journals(old: Journal, new: Journal) -> Journal:
    """What was remembered by whoever led before, and what has been learned since: the later word holds, the earlier
    time. What is told from then on counts on from both, so that no letter is taken for one that was told before."""
    alerts = {key: _go_on(old.alerts.get(key), each) for key, each in new.alerts.items()}
    return replace(
        new,
        alerts={**old.alerts, **alerts},
        drifts={**old.drifts, **new.drifts},
        past=(*old.past, *new.past),
        letters=(*old.letters, *new.letters),
        settled={**old.settled, **new.settled},
        looked={**old.looked, **new.looked},
        waiting={**new.waiting, **old.waiting},
        dead=old.dead + new.dead,
        dropped=old.dropped + new.dropped,
    )


def _go_on(old: Alert | None, new: Alert) -> Alert:
    if old is None or not old.open:
        return new
    return replace(new, began=old.began, revision=max(old.revision, new.revision))


def fit_journal(journal: Journal, room: int = ROOM) -> tuple[Journal, str]:
    """As much of the journal as `room` bytes hold, and its text. What is given up costs a message that is late, or said
    twice; what was last seen of Azure goes late, for by it whatever else was given up is found again."""
    text = write_journal(journal)
    for give in (_give_letters, _give_past, _give_details, _give_drifts, _give_settled, _give_alerts):
        while len(text.encode()) > room:
            smaller = give(journal)
            if smaller is None:
                break
            journal, text = smaller, write_journal(smaller)
    return journal, text


def _give_letters(journal: Journal) -> Journal | None:
    some = max(1, len(journal.letters) // 4)
    if not journal.letters:
        return None
    return replace(journal, letters=journal.letters[some:], dropped=journal.dropped + some)


def _give_past(journal: Journal) -> Journal | None:
    return replace(journal, past=journal.past[len(journal.past) // 2 + 1 :]) if journal.past else None


def _give_details(journal: Journal) -> Journal | None:
    bare = {key: replace(each, details={}, description=each.summary) for key, each in journal.alerts.items()}
    fewer = {key: replace(each, changes=each.changes[:1], omitted=0) for key, each in journal.drifts.items()}
    smaller = replace(journal, alerts=bare, drifts=fewer)
    return smaller if smaller != journal else None


def _give_drifts(journal: Journal) -> Journal | None:
    """Fewer of them, the gravest first."""
    gravities = tuple(Gravity)
    ordered = sorted(journal.drifts.values(), key=lambda each: gravities.index(each.gravity))
    kept = {each.key for each in ordered[: len(ordered) // 2]}
    fewer = {key: each for key, each in journal.drifts.items() if key in kept}
    return replace(journal, drifts=fewer) if journal.drifts else None


def _give_settled(journal: Journal) -> Journal | None:
    return replace(journal, settled={}) if journal.settled else None


def _give_alerts(journal: Journal) -> Journal | None:
    """Fewer of them, the most urgent first."""
    ordered = sorted(journal.alerts.values(), key=lambda each: each.level.rank)
    kept = {each.key for each in ordered[: len(ordered) // 2]}
    fewer = {key: each for key, each in journal.alerts.items() if key in kept}
    return replace(journal, alerts=fewer) if journal.alerts else None


def read_journal(text: str) -> Journal:
    """What the text remembers; ValueError where it is no journal at all."""
    document = json.loads(text)
    version = document.get("version") if isinstance(document, dict) else None
    if version is None:
        raise ValueError("it is no journal of alerts")
    drifts = _read_all(document, "drifts", _read_drift)
    alerts = _read_all(document, "alerts", _read_alert)
    return Journal(
        alerts={each.key: each for each in alerts},
        drifts={each.key: each for each in drifts},
        past=tuple(each for each in _read_all(document, "past", _read_drift) if each.ending is not None),
        letters=tuple(_read_all(document, "letters", _read_letter)),
        settled={key: value for key, value in _mapping(document, "settled").items() if isinstance(value, str)},
        looked=_read_times(document, "looked"),
        waiting=_read_times(document, "waiting"),
        dead=_read_count(document, "dead"),
        dropped=_read_count(document, "dropped"),
    )


def _read_all(document: _Entry, name: str, read: Callable[[_Entry], T]) -> list[T]:
    entries = document.get(name)
    found: list[T] = []
    for entry in entries if isinstance(entries, list) else ():
        try:
            found.append(read(entry))
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
    return found


def _mapping(document: _Entry, name: str) -> _Entry:
    found = document.get(name)
    return found if isinstance(found, dict) else {}


def _read_times(document: _Entry, name: str) -> dict[str, float]:
    return {key: float(value) for key, value in _mapping(document, name).items() if isinstance(value, (int, float))}


def _read_count(document: _Entry, name: str) -> int:
    found = document.get(name)
    return found if isinstance(found, int) else 0


def _words(value: object) -> dict[str, str]:
    return {str(name): str(word) for name, word in value.items()} if isinstance(value, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _maybe(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _write_drift(drift: Drift) -> JsonObject:
    changes: list[Json] = [{"path": each.path, "before": each.before, "after": each.after} for each in drift.changes]
    return {
        "key": drift.key,
        "fleet": drift.fleet,
        "id": str(drift.id),
        "kind": drift.ref.kind,
        "name": drift.ref.name,
        "labels": thaw(drift.labels),
        "gravity": drift.gravity.value,
        "changes": changes,
        "omitted": drift.omitted,
        "gone": drift.gone,
        "firstSeen": drift.first_seen,
        "lastSeen": drift.last_seen,
        "actor": drift.actor,
        "since": drift.since,
        "after": drift.after,
        "until": drift.until,
        "correction": drift.correction.value,
        "because": drift.because,
        "returns": drift.returns,
        "undone": [*drift.undone],
        "contested": [*drift.contested],
        "yielded": drift.yielded,
        "within": drift.within,
        "wants": drift.wants,
        "ending": drift.ending.name.lower() if drift.ending else None,
        "ended": drift.ended,
    }


def _read_drift(entry: _Entry) -> Drift:
    ending = entry.get("ending")
    changes = entry.get("changes") or []
    return Drift(
        key=str(entry["key"]),
        fleet=str(entry["fleet"]),
        id=ArmId.parse(entry["id"]),
        ref=Ref(kind=str(entry["kind"]), name=str(entry["name"])),
        labels=_words(entry.get("labels")),
        gravity=_word(Gravity, entry.get("gravity"), Gravity.COSMETIC),
        changes=tuple(
            Edit(path=str(each["path"]), before=each.get("before"), after=each.get("after")) for each in changes
        ),
        omitted=int(entry.get("omitted") or 0),
        gone=bool(entry.get("gone")),
        first_seen=float(entry["firstSeen"]),
        last_seen=float(entry.get("lastSeen") or entry["firstSeen"]),
        actor=str(entry.get("actor") or UNKNOWN_YET),
        since=str(entry.get("since") or ""),
        after=float(entry.get("after") or 0.0),
        until=_maybe(entry.get("until")),
        correction=_word(Correction, entry.get("correction"), Correction.DUE),
        because=str(entry.get("because") or ""),
        returns=int(entry.get("returns") or 0),
        undone=tuple(float(each) for each in entry.get("undone") or []),
        contested=_texts(entry.get("contested")),
        yielded=_maybe(entry.get("yielded")),
        within=str(entry.get("within") or ""),
        wants=str(entry.get("wants") or ""),
        ending=Ending.__members__.get(str(ending).upper(), Ending.UNSEEN) if ending else None,
        ended=_maybe(entry.get("ended")),
    )


def _word(words: type[T], value: object, otherwise: T) -> T:
    """A word of an enumeration; another version's is taken for the plainest."""
    try:
        return words(value)  # type: ignore[call-arg]
    except ValueError:
        return otherwise


def _write_alert(alert: Alert) -> JsonObject:
    return {
        "key": alert.key,
        "name": alert.name,
        "level": alert.level.value,
        "labels": thaw(alert.labels),
        "summary": alert.summary,
        "description": alert.description,
        "began": alert.began,
        "ended": alert.ended,
        "revision": alert.revision,
        "told": alert.told,
        "essence": alert.essence,
        "sinks": [*alert.sinks],
        "actors": [*alert.actors],
        "details": thaw(alert.details),
        "members": [*alert.members],
        "over": [*alert.over],
    }


def _read_alert(entry: _Entry) -> Alert:
    details = entry.get("details")
    return Alert(
        key=str(entry["key"]),
        name=str(entry["name"]),
        level=_word(Level, entry.get("level"), Level.WARNING),
        labels=_words(entry.get("labels")),
        summary=str(entry["summary"]),
        description=str(entry.get("description") or ""),
        began=float(entry["began"]),
        ended=_maybe(entry.get("ended")),
        revision=int(entry.get("revision") or 1),
        told=float(entry.get("told") or 0.0),
        essence=str(entry.get("essence") or ""),
        sinks=_texts(entry.get("sinks")),
        actors=_texts(entry.get("actors")),
        details=details if isinstance(details, dict) else {},
        members=_texts(entry.get("members")),
        over=_texts(entry.get("over")),
    )


def _write_letter(letter: Letter) -> JsonObject:
    return {
        "sink": letter.sink,
        "turn": letter.turn.value,
        "alert": _write_alert(letter.alert),
        "written": letter.written,
        "due": letter.due,
        "tries": letter.tries,
    }


def _read_letter(entry: _Entry) -> Letter:
    return Letter(
        sink=str(entry["sink"]),
        turn=Turn(entry["turn"]),
        alert=_read_alert(entry["alert"]),
        written=float(entry["written"]),
        due=float(entry.get("due") or 0.0),
        tries=int(entry.get("tries") or 0),
    )


def same_but_for_times(one: Journal, other: Journal) -> bool:
    """Whether nothing is lost if the first one is kept in place of the second."""
    return _timeless(one) == _timeless(other)


def _timeless(journal: Journal) -> Journal:
    drifts = {key: replace(each, last_seen=0.0) for key, each in journal.drifts.items()}
    return replace(journal, looked=dict.fromkeys(journal.looked, 0.0), drifts=drifts)
