"""`reconciler pause` and `resume`: until when, about what, who and why, and what is said where that cannot be."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.cli.pausing import add_pause, end_pauses, read_until, tell_document
from reconciler.model.pause import Pause
from reconciler.runtime.pauses import PauseFile
from tests.cli.fleets import account, reconcile_bare, write_fleet

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC).timestamp()
SUBSCRIPTION = {
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000001",
    "AZURE_TENANT_ID": "t",
    "AZURE_CLIENT_ID": "c",
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90", "2026-11-28T12:01:30+00:00"),
        ("2h", "2026-11-28T14:00:00+00:00"),
        ("1h30m", "2026-11-28T13:30:00+00:00"),
        ("2026-11-28T18:00+01:00", "2026-11-28T17:00:00+00:00"),
        ("2026-11-30T08:00:00Z", "2026-11-30T08:00:00+00:00"),
    ],
)
def test_an_end_is_a_duration_or_a_date_with_a_time(text: str, moment: str) -> None:
    assert read_until(text, NOW) == datetime.fromisoformat(moment).timestamp()


def test_an_hour_is_the_next_one_on_this_machine() -> None:
    here = datetime.fromtimestamp(NOW, UTC).astimezone()
    later, earlier = f"{here.hour:02}:{here.minute + 1:02}", f"{here.hour:02}:{here.minute:02}"
    assert read_until(later, NOW) == NOW + 60
    assert read_until(earlier, NOW) == NOW + 86_400


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tomorrow", "'tomorrow' is no time; write a duration such as 90m or 2h, a time such as 18:00, or "),
        ("2026-11-28T11:00Z", "2026-11-28T11:00Z is over already: it is 2026-11-28T12:00:00Z; write "),
        ("0s", "0s is over already"),
        ("25:00", "'25:00' is no time"),
    ],
)
def test_an_end_that_is_none_is_refused_with_what_would_be_one(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        read_until(text, NOW)


def test_a_later_pause_of_the_same_takes_the_place_of_an_earlier_one_and_what_is_over_goes() -> None:
    old = Pause(until=NOW - 1, fleet="gone")
    first = Pause(until=NOW + 60, target="Account/One")
    other = Pause(until=NOW + 60, fleet="prod")
    second = Pause(until=NOW + 600, target="account/one/")
    assert add_pause((old, first, other), second, NOW) == (other, second)


@pytest.mark.parametrize(
    ("scope", "ended"),
    [
        (Pause(until=0.0), 4),
        (Pause(until=0.0, fleet="PROD"), 2),
        (Pause(until=0.0, kind="Account"), 1),
        (Pause(until=0.0, target="Account/a"), 1),
        (Pause(until=0.0, fleet="dev"), 0),
    ],
)
def test_what_is_ended_is_what_was_asked_for_in_these_words_or_all(scope: Pause, ended: int) -> None:
    pauses = (
        Pause(until=NOW + 1),
        Pause(until=NOW + 1, fleet="prod"),
        Pause(until=NOW + 1, fleet="prod", target="Account/a"),
        Pause(until=NOW + 1, kind="Account"),
        Pause(until=NOW - 1, kind="Account"),
    )
    kept, gone = end_pauses(pauses, scope, NOW)
    assert len(gone) == ended
    assert len(kept) == 4 - ended


def test_a_pause_without_an_end_is_told_to_programs_as_one() -> None:
    """Pauses that cannot be read pause everything until somebody looks."""
    assert tell_document(Pause(until=math.inf, reason="no"))["until"] is None


# -- the file


def _names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


async def test_pauses_are_kept_in_a_file_that_need_not_be_there(tmp_path: Path) -> None:
    store = PauseFile(str(tmp_path / "pauses.json"))
    assert await store.load() == ()
    pause = Pause(until=NOW, fleet="prod", kind="Account", target="", by="ann", reason='said "so"', since=1.5)
    await store.save((pause,))
    assert await store.load() == (pause,)
    assert _names(tmp_path) == ["pauses.json"]


async def test_without_a_file_there_is_never_a_pause() -> None:
    assert await PauseFile("").load() == ()
    with pytest.raises(FileNotFoundError, match="no file for pauses is named"):
        await PauseFile("").save(())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Expecting property name"),
        ("[]", "it is no list of pauses"),
        ('{"version": 2, "pauses": []}', "it is no list of pauses"),
        ('{"version": 1, "pauses": [{"fleet": "prod"}]}', "one of them does not say until when"),
        ('{"version": 1, "pauses": [7]}', "one of them does not say until when"),
    ],
)
async def test_pauses_that_cannot_be_read_pause_everything(tmp_path: Path, text: str, why: str) -> None:
    """Unknown is not absent: whoever asked for a pause must not be ignored because of a slip in a file."""
    file = tmp_path / "pauses.json"
    file.write_text(text)
    (pause,) = await PauseFile(str(file)).load()
    assert (pause.until, pause.scope) == (math.inf, ("", "", ""))
    assert pause.reason.startswith(f"the pauses in {file} cannot be read: {why}")


async def test_a_folder_that_is_not_there_is_told_by_its_setting(tmp_path: Path) -> None:
    file = tmp_path / "gone" / "pauses.json"
    told = rf"^{file} cannot be written: No such file or directory; pauseFile names a file in a folder that is there$"
    with pytest.raises(OSError, match=told):
        await PauseFile(str(file)).save(())


async def test_a_file_that_is_a_directory_pauses_everything(tmp_path: Path) -> None:
    (pause,) = await PauseFile(str(tmp_path)).load()
    assert pause.reason == f"the pauses in {tmp_path} cannot be read: Is a directory"


# -- the commands


def test_pausing_listing_and_resuming() -> None:
    words = ("--pause-file", "p.json")
    asked = reconcile_bare("pause", "--until", "2h", "--reason", "release", *words, environment={"USER": "ann"})
    assert (asked.code, asked.err) == (0, "")
    assert asked.out.startswith("Paused: everything, paused by ann until 20")
    assert asked.out.endswith("Z: release\n")
    listed = reconcile_bare("pause", "-o", "json", *words).document
    (pause,) = listed["pauses"]
    assert (listed["kind"], pause["by"], pause["reason"], pause["fleet"]) == ("pauses", "ann", "release", None)
    assert reconcile_bare("resume", "--fleet", "prod", *words).out == "No pause of that was there.\n"
    assert reconcile_bare("resume", *words).out.startswith("No longer paused: everything, paused by ann")
    assert reconcile_bare("pause", *words).out == "Nothing is paused.\n"
    assert json.loads(Path("p.json").read_text())["pauses"] == []


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("pause", "--until", "2h"), "name the file that keeps pauses, for whoever writes as well: --pause-file"),
        (("pause", "--until", "soon", "--pause-file", "p.json"), "--until 'soon' is no time; write a duration"),
        (
            ("pause", "--until", "2h", "--kind", "Acount", "--pause-file", "p.json"),
            "there is no kind Acount; did you mean Account?",
        ),
        (("pause", "--until", "2h", "--fleet", "dev", "--pause-file", "p.json"), "no document declares a fleet dev"),
        (
            ("pause", "--until", "2h", "--target", "Account/aoai-onne", "--pause-file", "p.json"),
            "names no document; did you mean Account/aoai-one?",
        ),
        (
            ("pause", "--kind", "Account", "--pause-file", "p.json"),
            "--until says when the pause ends, such as --until 2h",
        ),
        (
            ("resume", "--target", "a", "--target", "b", "--pause-file", "p.json"),
            "--target names one resource here; pause each by itself",
        ),
        (("pause", "--kind", "Account", "--target", "a", "--until", "2h"), "not allowed with argument"),
    ],
)
def test_what_cannot_be_paused_is_wrong_usage(tmp_path: Path, words: tuple[str, ...], hint: str) -> None:
    write_fleet(tmp_path / "desired_state", "prod", account("aoai-one"))
    done = reconcile_bare(*words, environment=SUBSCRIPTION)
    assert done.code == 64, done.out
    assert hint in done.err
    assert not Path("p.json").exists()


def test_a_file_that_cannot_be_written_is_an_error() -> None:
    done = reconcile_bare("pause", "--until", "2h", "--pause-file", "nowhere/p.json")
    assert done.code == 1
    assert "nowhere" in done.err
