"""`reconciler run` as a user runs it: it keeps everything as declared, hears signals and files, and ends in order."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.fleets import account, clean_environment, command, reconcile_bare, write_fleet
from tests.support.simulated import Azure, reconcile


class Daemon:
    """A running `reconciler run`; its log is read from a file, so that no pipe is ever full."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    def events(self, name: str = "") -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.endswith("}")]
        return [each for each in lines if name in ("", each["event"])]

    def until(self, good: Callable[[], bool], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not good():
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def passes(self, count: int) -> None:
        """Wait for so many more passes to end."""
        wanted = len(self.events("pass.finished")) + count
        self.until(lambda: len(self.events("pass.finished")) >= wanted)

    def heard(self, trigger: str) -> bool:
        return any(trigger in each["triggers"] for each in self.events("pass.started"))

    def stop(self, with_: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(with_)
        return self.process.wait(timeout=30)

    @property
    def log(self) -> str:
        return self._log.read_text()


@contextmanager
def daemon(azure: Azure, folder: Path, *words: str, interval: str = "60s") -> Iterator[Daemon]:
    log = folder / "log"
    # Whichever port is free: several run at once.
    environment = clean_environment({"RECONCILER_LISTEN": "127.0.0.1:0", **azure.environment})
    options = ("--interval", interval, "--log-format", "json", *words)
    with log.open("w") as stream:
        process = subprocess.Popen(
            command("run", *options), env=environment, stdin=subprocess.DEVNULL, stderr=stream, text=True
        )
    try:
        yield Daemon(process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def deployed(azure: Azure, name: str) -> bool:
    return any(id.endswith(f"/accounts/{name}/deployments/chat") for id in azure.resources())


def writes_to(azure: Azure, group: str) -> list[dict[str, Any]]:
    return [each for each in azure.writes() if f"/{group}" in each["path"].lower()]


def test_it_converges_puts_drift_right_and_ends_in_order(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "kept", account("aoai-kept"))
    with daemon(live, tmp_path, home) as running:
        running.until(lambda: deployed(live, "aoai-kept"))
        id = next(id for id in live.resources() if id.endswith("/accounts/aoai-kept"))
        running.passes(2)
        live.mutate("PATCH", id, {"properties": {"disableLocalAuth": False}})
        running.until(lambda: live.resources()[id]["properties"]["disableLocalAuth"] is True)
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 10
        assert running.events("drain.started")
        assert live.environment["AZURE_CLIENT_SECRET"] not in running.log
        assert reconcile(live, "once", "--dry-run", home).code == 0


@pytest.mark.parametrize("with_", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_time_in_the_middle_of_a_write_and_the_next_one_goes_on(
    live: Azure, tmp_path: Path, with_: signal.Signals
) -> None:
    name = f"aoai-cut-{with_.name.lower()}"
    home = write_fleet(tmp_path, name, account(name))
    with daemon(live, tmp_path, "--grace", "1s", home) as running:
        running.until(lambda: any(f"Account/{name}#create" == each["step"] for each in running.events("step.started")))
        began = time.monotonic()
        assert running.stop(with_) == 0
        assert time.monotonic() - began < 10
    assert reconcile(live, "once", "--yes", home).code == 0


def test_a_second_signal_ends_it_at_once(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "twice", account("aoai-twice"))
    live.fault(kind="slow", seconds=600, count=-1, match={"method": "PUT", "path": "/accounts/aoai-twice$"})
    with daemon(live, tmp_path, "--grace", "1h", home) as running:
        running.until(lambda: any("aoai-twice#create" in each["step"] for each in running.events("step.started")))
        running.process.send_signal(signal.SIGTERM)
        running.until(lambda: bool(running.events("drain.started")))
        assert running.stop() == 130
    live.control("DELETE", "faults")


def test_a_signal_and_a_changed_file_each_set_a_pass_off(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "rung")
    with daemon(live, tmp_path, home, interval="24h") as running:
        running.passes(2)
        running.process.send_signal(signal.SIGHUP)
        running.until(lambda: running.heard("sighup"))
        write_fleet(tmp_path, "rung", account("aoai-rung"))
        running.until(lambda: running.heard("files"))
        running.until(lambda: deployed(live, "aoai-rung"))
        assert running.stop() == 0


@pytest.mark.e2e
def test_cron_sets_a_pass_off_when_nothing_else_does(live: Azure, tmp_path: Path) -> None:
    """The shortest that cron knows is a minute."""
    home = write_fleet(tmp_path, "struck", account("aoai-struck"))
    config = tmp_path / "reconciler.yaml"
    config.write_text('cron: ["* * * * *"]\ntimeZone: Europe/Stockholm\n')
    with daemon(live, tmp_path, "--config", str(config), home, interval="1000h") as running:
        running.until(lambda: deployed(live, "aoai-struck"))
        count = 0
        while count != len(running.events("pass.started")):  # what follows from what was done
            count = len(running.events("pass.started"))
            time.sleep(2)
        id = next(id for id in live.resources() if id.endswith("/accounts/aoai-struck"))
        live.mutate("PATCH", id, {"properties": {"disableLocalAuth": False}})
        running.until(lambda: live.resources()[id]["properties"]["disableLocalAuth"] is True, seconds=75)
        (struck, *_) = [each for each in running.events("pass.started") if "cron" in each["triggers"]]
        assert struck["triggers"] == ["cron"]
        assert 0 <= float(struck["at"][17:].rstrip("Z")) < 5  # on the minute
        assert not running.heard("interval")
        assert running.stop() == 0


def test_a_broken_document_spoils_only_itself_and_is_told_with_its_place(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "broken", account("aoai-good"), account("aoai-bad").replace("Disabled", "Maybe"))
    with daemon(live, tmp_path, home) as running:
        running.until(lambda: deployed(live, "aoai-good"))
        wrong = running.events("document.wrong")
        assert [each["message"] for each in wrong] == ["publicNetworkAccess cannot be 'Maybe'"]
        assert re.fullmatch(r".*/broken/fleet\.yaml:\d+:\d+", wrong[0]["place"])
        assert not any(id.endswith("/accounts/aoai-bad") for id in live.resources())
        assert running.stop() == 0


def test_in_observe_only_mode_nothing_is_ever_written(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "observed", account("aoai-observed"))
    with daemon(live, tmp_path, "--observe-only", home) as running:
        running.passes(3)
        planned = running.events("cycle.planned")[-1]
        assert planned["writes"] > 0
        assert running.stop() == 0
    assert not writes_to(live, "rg-observed")


def test_what_was_written_is_in_the_log_however_quiet_that_is(live: Azure, tmp_path: Path) -> None:
    home = write_fleet(tmp_path, "quiet", account("aoai-quiet"))
    with daemon(live, tmp_path, "--log-level", "error", "--quiet", home) as running:
        running.until(lambda: deployed(live, "aoai-quiet"))
        assert running.stop() == 0
        assert {each["event"] for each in running.events()} == {"write.sending", "write.answered"}
        sent = [each["step"] for each in running.events("write.sending")]
        assert "Account/aoai-quiet/deployments/chat#create" in sent


def test_a_pause_is_heard_by_the_daemon_and_by_once_and_ends_when_somebody_says_so(live: Azure, tmp_path: Path) -> None:
    home, file = write_fleet(tmp_path, "paused", account("aoai-paused")), str(tmp_path / "pauses.json")
    said = reconcile(live, "pause", "--pause-file", file, "--fleet", "paused", "--until", "1000h", "--by", "ann", home)
    assert said.code == 0, said.err
    once = reconcile(live, "once", "--yes", "--pause-file", file, home)
    assert once.code == 3
    assert "paused by ann until" in once.out
    with daemon(live, tmp_path, "--pause-file", file, home) as running:
        running.passes(3)
        assert not writes_to(live, "rg-paused")
        assert reconcile(live, "resume", "--pause-file", file).code == 0
        running.until(lambda: deployed(live, "aoai-paused"))
        assert running.stop() == 0


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("run", "nowhere"), "there is no nowhere; name the files or directories of the desired state"),
        (("run", "-"), "standard input can be read only once"),
        (("run", "--interval", "0s", "."), "interval is '0s', from flag --interval"),
        (("run", "--interval", "soon", "."), "a duration is a number of seconds, or like 90s, 10m, 1h30m"),
    ],
)
def test_what_cannot_be_kept_is_wrong_usage(tmp_path: Path, words: tuple[str, ...], hint: str) -> None:
    done = reconcile_bare(*words, cwd=tmp_path)
    assert done.code == 64
    assert hint in done.err


def test_help_tells_what_can_be_said() -> None:
    done = reconcile_bare("run", "--help")
    assert done.code == 0
    for word in ("--interval", "--observe-only", "--grace", "--pause-file", "exit code 0"):
        assert word in done.out
