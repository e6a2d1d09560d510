"""The daemon as a process against a simulated Azure, asked over HTTP while it works, and by Prometheus' own tool."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import Any, NamedTuple

import pytest

from tests.support.simulated import Azure, azure, clean_environment

pytestmark = pytest.mark.e2e

TOKEN = "a-token-that-nobody-guesses"
FLEET = Path("desired_state/demo")


class Answer(NamedTuple):
    status: int
    text: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


class Daemon:
    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.url = ""

    def ask(self, path: str, method: str = "GET", token: str = "") -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return Answer(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.read().decode())

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [each for each in (json.loads(line) for line in lines if line.startswith("{")) if each["event"] == name]

    def until(self, good: Callable[[], bool], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not good():
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.05)


@contextmanager
def daemon(sim: Azure, folder: Path, **settings: str) -> Iterator[Daemon]:
    log = folder / "log"
    environment = clean_environment(
        {
            **sim.environment,
            "RECONCILER_LISTEN": "127.0.0.1:0",
            "RECONCILER_LOG_FORMAT": "json",
            "RECONCILER_TOKEN_VARIABLE": "PASS_TOKEN",
            "PASS_TOKEN": TOKEN,
            **settings,
        }
    )
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "run", str(FLEET)], env=environment, stdout=sink, stderr=sink
        )
        running = Daemon(process, log)
        try:
            running.until(lambda: bool(running.events("server.listening")))
            running.url = f"http://127.0.0.1:{running.events('server.listening')[0]['port']}"
            yield running
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(30)


def in_sync(running: Daemon) -> bool:
    return bool(running.ask("/status").document["verdict"] == "All is as declared")


def test_it_lives_at_once_is_ready_after_a_pass_and_tells_what_became_of_its_fleet(tmp_path: Path) -> None:
    with azure(tmp_path) as sim, daemon(sim, tmp_path) as running:
        assert running.ask("/livez") == (200, "ok\n")
        assert running.ask("/readyz").status in (200, 503)
        running.until(lambda: in_sync(running))
        assert running.ask("/readyz") == (200, "ok, leading\n")
        assert "All is as declared" in running.ask("/").text
        told = running.ask("/status").document
        assert told["fleets"][0]["principal"]
        assert told["requests"]["201"] > 0
        assert len(running.events("write.sending")) == len(running.events("write.answered")) == len(sim.writes())


def test_an_edit_is_told_and_then_that_it_is_over(tmp_path: Path) -> None:
    with azure(tmp_path) as sim, daemon(sim, tmp_path) as running:
        running.until(lambda: in_sync(running))
        closed = (id for id, each in sim.resources().items() if _access(each) == "Disabled")
        sim.mutate("PATCH", next(closed), {"properties": {"publicNetworkAccess": "Enabled"}})
        running.until(lambda: any("mallory@example.com" in each["reason"] for each in running.events("write.sending")))
        running.until(lambda: in_sync(running))
        last = running.events("write.sending")[-1]
        assert last["diff"] == {"publicNetworkAccess": "Enabled -> Disabled"}
        assert running.events("write.answered")[-1]["result"] == "accepted"


def _access(resource: dict[str, Any]) -> object:
    body = resource.get("body", resource)
    return body.get("properties", {}).get("publicNetworkAccess")


def test_who_has_the_token_sets_off_a_pass_at_once(tmp_path: Path) -> None:
    with azure(tmp_path) as sim, daemon(sim, tmp_path, RECONCILER_INTERVAL="2h") as running:
        running.until(lambda: in_sync(running))
        assert running.ask("/reconcile", "POST").status == 401
        assert running.ask("/reconcile", "POST", TOKEN).status == 202
        running.until(lambda: running.events("pass.finished")[-1]["trigger"] == "request")


def test_metrics_are_what_prometheus_takes(tmp_path: Path) -> None:
    tool = which("promtool")
    if tool is None:
        pytest.skip("needs promtool: apt-get install --no-install-recommends prometheus")
    with azure(tmp_path) as sim, daemon(sim, tmp_path) as running:
        running.until(lambda: in_sync(running))
        metrics = running.ask("/metrics").text
    checked = subprocess.run([tool, "check", "metrics"], input=metrics, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert re.search(r'reconciler_resources\{fleet="demo",kind="Account",state="in_sync"\} [1-9]', metrics)


def test_a_drain_is_not_ready_and_a_stopped_one_is_gone(tmp_path: Path) -> None:
    with azure(tmp_path) as sim, daemon(sim, tmp_path) as running:
        running.until(lambda: in_sync(running))
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
        with pytest.raises(urllib.error.URLError):
            running.ask("/livez")


def test_no_secret_is_shown_or_written_down(tmp_path: Path) -> None:
    with azure(tmp_path) as sim, daemon(sim, tmp_path) as running:
        running.until(lambda: in_sync(running))
        running.ask("/reconcile", "POST", TOKEN)
        shown = [running.ask(path).text for path in ("/", "/status", "/metrics", "/readyz")]
        secret = str(sim.ready["client_secret"])
    for each in (*shown, running.log.read_text()):
        assert secret not in each
        assert TOKEN not in each


def test_an_address_that_is_taken_ends_it_with_a_sentence(tmp_path: Path) -> None:
    with azure(tmp_path) as sim, daemon(sim, tmp_path) as running:
        place = running.url.removeprefix("http://")
        environment = clean_environment({**sim.environment, "RECONCILER_LISTEN": place})
        second = subprocess.run(
            [sys.executable, "-m", "reconciler", "run", str(FLEET)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 1
    assert f"nobody can listen at {place}: Address already in use; name another place" in second.stderr
    assert "Traceback" not in second.stderr
