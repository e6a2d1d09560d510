"""A journal as text: it comes back as it was, in the room that there is, whoever wrote it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.alert import BLANK, Alert, Journal, Letter, Level, Turn
from reconciler.model.drift import Correction, Drift, Edit, Ending, Gravity
from reconciler.model.ids import ArmId, Ref
from reconciler.model.record import ROOM, fit_journal, join_journals, read_journal, same_but_for_times, write_journal

NOW = 1_760_000_000.0
DRIFT = Drift(
    key="drift-1",
    fleet="prod",
    id=ArmId.parse("/subscriptions/S/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/One"),
    ref=Ref(kind="Account", name="One"),
    labels={"tier": "prod"},
    gravity=Gravity.EXPOSURE,
    changes=(Edit(path="a", before=None, after=[1, {"b": "ü\ud800"}]),),
    omitted=2,
    gone=True,
    first_seen=NOW,
    last_seen=NOW + 1,
    actor="mallory",
    since="2025-10-09T08:53:20Z",
    after=NOW - 60,
    until=NOW - 5,
    correction=Correction.GIVEN_UP,
    because="why",
    returns=3,
    undone=(1.0, 2.0),
    contested=("a",),
    yielded=NOW,
    within="drift-0",
    wants="w",
)
ALERT = Alert(
    key="drift-1",
    name="ReconcilerDrift",
    level=Level.CRITICAL,
    labels={"fleet": "prod"},
    summary="s",
    description="d\ne",
    began=NOW,
    revision=2,
    told=NOW,
    essence="e",
    sinks=("hook",),
    actors=("mallory",),
    details={"x": [1]},
    members=("a", "b"),
    over=("b",),
)
LETTER = Letter(sink="hook", turn=Turn.RESOLVED, alert=replace(ALERT, ended=NOW), written=NOW, due=NOW + 5, tries=2)
JOURNAL = Journal(
    alerts={"drift-1": ALERT},
    drifts={"drift-1": replace(DRIFT, changes=(Edit(path="a", before=None, after="x"),))},
    past=(replace(DRIFT, changes=(), ending=Ending.UNSEEN, ended=NOW),),
    letters=(LETTER,),
    settled={"k": "w"},
    looked={"prod": NOW},
    waiting={"prod/blocked:1": NOW},
    dead=1,
    dropped=2,
)


def test_it_comes_back_as_it_was() -> None:
    assert read_journal(write_journal(JOURNAL)) == JOURNAL
    assert read_journal(write_journal(BLANK)) == BLANK


def test_what_no_text_can_say_is_replaced() -> None:
    odd = replace(JOURNAL, drifts={"drift-1": DRIFT})
    write_journal(odd).encode()
    assert read_journal(write_journal(odd)).drifts["drift-1"].changes[0].path == "a"


def document() -> Any:
    return json.loads(write_journal(JOURNAL))


def test_what_a_newer_version_adds_is_left_out() -> None:
    newer = document()
    newer |= {"version": 9, "mood": "good"}
    newer["alerts"][0]["color"] = "red"
    newer["drifts"][0] |= {"gravity": "cosmic", "correction": "prayed_for", "color": "red"}
    newer["past"][0]["ending"] = "by_magic"
    newer["letters"].append({"sink": "hook", "turn": "whispered", "alert": newer["alerts"][0], "written": 1})
    read = read_journal(json.dumps(newer))
    assert read.alerts == JOURNAL.alerts
    assert read.letters == JOURNAL.letters
    assert read.drifts["drift-1"].gravity is Gravity.COSMETIC
    assert read.drifts["drift-1"].correction is Correction.DUE
    assert read.past[0].ending is Ending.UNSEEN


def test_what_an_older_version_did_not_say_has_its_default() -> None:
    entry = document()["drifts"][0]
    older = {
        "version": 1,
        "drifts": [{name: entry[name] for name in ("key", "fleet", "id", "kind", "name", "firstSeen")}],
    }
    (drift,) = read_journal(json.dumps(older)).drifts.values()
    assert (drift.actor, drift.last_seen, drift.correction) == ("unknown yet", NOW, Correction.DUE)


@pytest.mark.parametrize(
    "entry", [None, 7, "x", [], {}, {"key": "k"}, {"key": "k", "name": "n", "summary": "s", "began": "soon"}]
)
def test_an_entry_that_makes_no_sense_costs_that_entry(entry: object) -> None:
    spoilt = document()
    for name in ("alerts", "drifts", "past", "letters"):
        spoilt[name].insert(0, entry)
    assert read_journal(json.dumps(spoilt)) == JOURNAL


@pytest.mark.parametrize("spoilt", [{"alerts": 1}, {"settled": []}, {"looked": {"a": "b"}}, {"dead": "x"}])
def test_a_part_that_makes_no_sense_costs_that_part(spoilt: dict[str, Any]) -> None:
    read = read_journal(json.dumps({**document(), **spoilt}))
    assert read.letters == JOURNAL.letters


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "{}", '"x"'])
def test_what_is_no_journal_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_journal(text)


def test_the_oldest_letters_go_first_and_are_counted() -> None:
    letters = tuple(replace(LETTER, alert=replace(ALERT, description="x" * 2000, revision=n)) for n in range(1000))
    full = replace(JOURNAL, letters=letters)
    fitted, text = fit_journal(full)
    assert len(text.encode()) <= ROOM
    assert fitted.letters == letters[-len(fitted.letters) :]
    assert fitted.dropped == 2 + 1000 - len(fitted.letters)
    assert len(fitted.letters) > 200
    assert (fitted.alerts, fitted.drifts) == (JOURNAL.alerts, JOURNAL.drifts)


def test_what_is_open_stays_longer_than_what_is_over() -> None:
    alerts = {str(n): replace(ALERT, key=str(n), summary="s" * 100, description="d" * 3000) for n in range(1000)}
    drifts = {str(n): replace(JOURNAL.drifts["drift-1"], key=str(n)) for n in range(300)}
    past = tuple(replace(JOURNAL.past[0], because="b" * 500) for _ in range(300))
    settled = {f"{n:012}": "w" * 12 for n in range(5_000)}
    fitted, text = fit_journal(replace(JOURNAL, alerts=alerts, drifts=drifts, past=past, settled=settled))
    assert len(text.encode()) <= ROOM
    assert fitted.alerts.keys() == alerts.keys()
    assert fitted.drifts.keys() == drifts.keys()
    assert fitted.settled == settled
    assert (fitted.letters, fitted.past) == ((), ())


def test_of_a_storm_of_thousands_the_gravest_stay_and_all_of_them_are_known_again() -> None:
    """What a drift says is found out again, as long as it is known what Azure was like before it."""
    gravities = [*Gravity]
    drifts = {f"drift-{n:016}": replace(DRIFT, key=f"drift-{n:016}", gravity=gravities[n % 4]) for n in range(5_000)}
    digest = replace(ALERT, key="digest:1", members=tuple(drifts))
    settled = {f"{n:012}": "w" * 12 for n in range(5_000)}
    storm = Journal(alerts={digest.key: digest}, drifts=drifts, settled=settled)
    assert len(write_journal(storm).encode()) > 3 * ROOM
    fitted, text = fit_journal(storm)
    assert len(text.encode()) <= ROOM
    assert fitted.settled == settled
    assert fitted.alerts[digest.key].members == digest.members
    assert fitted.drifts
    assert {each.gravity for each in fitted.drifts.values()} == {Gravity.EXPOSURE}


def test_where_there_is_hardly_any_room_the_most_urgent_alerts_stay() -> None:
    levels = [*Level]
    alerts = {str(n): replace(ALERT, key=str(n), level=levels[n % 3]) for n in range(300)}
    fitted, text = fit_journal(replace(JOURNAL, alerts=alerts), room=20_000)
    assert len(text.encode()) <= 20_000
    assert fitted.alerts
    assert {each.level for each in fitted.alerts.values()} == {Level.CRITICAL}


def test_nothing_at_all_is_written_however_little_room_there_is() -> None:
    fitted, _ = fit_journal(JOURNAL, room=10)
    assert (fitted.alerts, fitted.drifts, fitted.settled) == ({}, {}, {})
    assert (fitted.dead, fitted.dropped) == (1, 3)


def test_what_was_learned_before_the_journal_could_be_read_is_joined_to_it() -> None:
    alert = next(iter(JOURNAL.alerts.values()))
    old = replace(BLANK, alerts={"a": alert, "b": alert}, waiting={"x": 1.0, "y": 5.0}, dead=2, looked={"prod": 1.0})
    again = replace(alert, began=alert.began + 60, revision=1, summary="seen again")
    new = replace(BLANK, alerts={"b": again, "c": again}, waiting={"x": 3.0, "z": 3.0}, dead=1, looked={"prod": 2.0})
    joined = join_journals(old, new)
    assert joined.alerts == {"a": alert, "b": replace(again, began=alert.began, revision=2), "c": again}
    assert (joined.waiting, joined.looked, joined.dead) == ({"x": 1.0, "y": 5.0, "z": 3.0}, {"prod": 2.0}, 3)


def test_a_look_at_which_nothing_was_new_need_not_be_written_down() -> None:
    later = {"drift-1": replace(JOURNAL.drifts["drift-1"], last_seen=NOW + 60)}
    looked = replace(JOURNAL, looked={"prod": NOW + 60}, drifts=later)
    assert same_but_for_times(JOURNAL, looked)
    assert not same_but_for_times(JOURNAL, replace(JOURNAL, letters=()))
    assert not same_but_for_times(JOURNAL, replace(JOURNAL, looked={}))
