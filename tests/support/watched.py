"""The daemon as a process with all that watches it in the field, each real and a process of its own: Prometheus with
the chart's rules, Alertmanager, and a receiver of webhooks.

Time passes at its natural rate, since Prometheus and Alertmanager know no other.
Every server takes a port that is free; every process is ended by its id.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from typing import Any

import yaml

from tests.support.chart import NAMESPACE, RELEASE, example_values, find, render, with_values
from tests.support.replicas import told
from tests.support.simulated import Azure, azure, clean_environment

INTERVAL = 2  # seconds between two passes
LAG = 10.0  # seconds until the activity log shows a write
SECRET = "what-only-we-and-the-receiver-know"
RUNBOOK = "https://wiki.example.com/reconciler"
CHATS = ("slack", "teams")
JOB = f"{RELEASE}-reconciler"

# What takes Azure half a minute takes it a moment here: the clocks of the others cannot be hurried.
QUICK = {
    "account_create": [0.2, 0.5],
    "account_update": 0.5,
    "security_group_write": 0.3,
    "security_rule_write": 0.3,
    "activity_lag": LAG,
}


@dataclass(frozen=True)
class Request:
    """What somebody posted; `at` is on the monotonic clock."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def is_signed(self, secret: str) -> bool:
        """As the documentation says, and no older than five minutes."""
        timestamp = self.headers.get("Reconciler-Timestamp", "0")
        mark = hmac.new(secret.encode(), timestamp.encode() + b"." + self.body, hashlib.sha256).hexdigest()
        given = self.headers.get("Reconciler-Signature", "")
        return hmac.compare_digest(f"v1={mark}", given) and abs(time.time() - int(timestamp)) < 300


@dataclass
class Inbox:
    """A receiver of webhooks that keeps what it gets."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)

    def at(self, path: str) -> list[Request]:
        return [each for each in list(self.requests) if each.path == path]


@contextmanager
def inbox() -> Iterator[Inbox]:
    kept = Inbox()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            kept.requests.append(Request(self.path, dict(self.headers), body, time.monotonic()))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        server.daemon_threads = True
        kept.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _neighbour(words: list[str], log: Path) -> Iterator[str]:
    """One of Prometheus' family; the URL it says it listens on."""
    with log.open("wb") as sink:
        process = subprocess.Popen([*words, "--web.listen-address=127.0.0.1:0"], stdout=sink, stderr=sink)
    try:
        found: list[str] = []

        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            found[:] = re.findall(r'msg="Listening on" address=(\S+)', log.read_text())
            return bool(found) and _answers(f"http://{found[0]}/-/ready")

        until(listens, 30)
        yield f"http://{found[0]}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def until(good: Callable[[], bool], seconds: float, why: Callable[[], object] = lambda: "") -> None:
    end = time.monotonic() + seconds
    while not good():
        assert time.monotonic() < end, why()
        time.sleep(0.1)


def get(url: str, **query: str) -> Any:
    where = f"{url}?{urllib.parse.urlencode(query)}" if query else url
    with urllib.request.urlopen(where, timeout=10) as answer:
        return json.load(answer)


@dataclass
class Watched:
    """A daemon and its watchers. `prometheus` and `alertmanager` are the URLs of theirs."""

    azure: Azure
    folder: Path
    inbox: Inbox
    alertmanager: str = ""
    prometheus: str = ""
    url: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / "daemon.log"

    def start(self) -> None:
        """The daemon; it comes back where it listened before."""
        before = len(self.events("server.listening"))
        environment = {**self.azure.environment, "WEBHOOK_SECRET": SECRET}
        if self.url:
            environment["RECONCILER_LISTEN"] = self.url.removeprefix("http://")
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "reconciler", "run", "--config", str(self.folder / "reconciler.yaml")],
                env=clean_environment(environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
            )
        until(lambda: len(self.events("server.listening")) > before, 30, self.tail)
        self.url = f"http://127.0.0.1:{self.events('server.listening')[-1]['port']}"

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(40)
        self.process = None
        return code

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """The daemon sees nothing of what goes on in the block until it is over."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def events(self, name: str) -> list[dict[str, Any]]:
        return told(self.log, name) if self.log.exists() else []

    def tail(self) -> str:
        return self.log.read_text()[-3000:]

    def until(self, good: Callable[[], bool], seconds: float) -> None:
        until(good, seconds, lambda: f"{self.tail()}\n{[each.document for each in self.inbox.requests]}")

    def until_told(self, name: str, status: str, seconds: float) -> None:
        """Wait until Alertmanager has notified people."""
        self.until(lambda: any(each["status"] == status for each in self.notices(name)), seconds)

    def converge(self) -> None:
        self.until(lambda: get(f"{self.url}/status")["verdict"] == "All is as declared", 60)

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = get(f"{self.prometheus}/api/v1/query", query=expression)["data"]["result"]
        return found

    def value(self, expression: str) -> float:
        (found,) = self.query(expression)
        return float(found["value"][1])

    def alerts(self) -> list[dict[str, Any]]:
        """What is open in Alertmanager."""
        found: list[dict[str, Any]] = get(f"{self.alertmanager}/api/v2/alerts")
        return found

    def letters(self, name: str = "") -> list[dict[str, Any]]:
        """The CloudEvents that have arrived, each of them signed; those about alerts of a name."""
        arrived = self.inbox.at("/events")
        assert all(each.is_signed(SECRET) for each in arrived)
        assert not any(each.is_signed("another secret") for each in arrived)
        return [each.document for each in arrived if name in ("", each.document["data"]["name"])]

    def notices(self, name: str = "") -> list[dict[str, Any]]:
        """What Alertmanager has notified of."""
        found = [each.document for each in self.inbox.at("/alertmanager")]
        return [each for each in found if name in ("", each["commonLabels"].get("alertname"))]


def rules(**values: Any) -> dict[str, Any]:
    """The rules that the chart makes for a release, as the operator hands them to Prometheus."""
    wanted = with_values({"prometheusRule": {"enabled": True}}, {"prometheusRule": values})
    groups: dict[str, Any] = find(render(with_values(example_values()["documents"], wanted)), "PrometheusRule")["spec"]
    return groups


@contextmanager
def watched(folder: Path, documents: str, **values: Any) -> Iterator[Watched]:
    """All of it over a fleet, which it has converged. `values` are those of the chart's prometheusRule."""
    (folder / "fleet.yaml").write_text(documents)
    with azure(folder, 1.0) as sim, inbox() as box:
        sim.control("PUT", "settings", QUICK)
        sim.control("POST", "clock", {"set": time.time()})
        watching = Watched(sim, folder, box)
        with _alertmanager(folder, box) as watching.alertmanager:
            _configure(watching)
            watching.start()
            try:
                watching.converge()
                with _prometheus(watching, rules(**values)) as watching.prometheus:
                    watching.until(lambda: watching.query("reconciler_leader") != [], 20)
                    yield watching
            finally:
                if watching.process is not None:
                    watching.end(signal.SIGKILL)


def _configure(watching: Watched) -> None:
    settings = {
        "sources": [str(watching.folder / "fleet.yaml")],
        "interval": f"{INTERVAL}s",
        "jitter": "0s",
        "listen": "127.0.0.1:0",
        "logFormat": "json",
        "runbookUrl": RUNBOOK,
        "journalFile": str(watching.folder / "journal.json"),
        "alerts": [
            {"sink": "alertmanager", "urls": [watching.alertmanager]},
            {"sink": "webhook", "url": f"{watching.inbox.url}/events", "secretVariable": "WEBHOOK_SECRET"},
            *(
                {"sink": "webhook", "name": each, "url": f"{watching.inbox.url}/{each}", "shape": each}
                for each in CHATS
            ),
        ],
    }
    (watching.folder / "reconciler.yaml").write_text(yaml.safe_dump(settings))


@contextmanager
def _alertmanager(folder: Path, box: Inbox) -> Iterator[str]:
    """Notifies of each resource for itself, when it begins and when it is over. As is usual a drift waits for others to
    join it, here for longer than it takes to put it right."""
    config = {
        "route": {
            "receiver": "people",
            "group_by": ["alertname", "fleet", "resource"],
            "group_wait": "15s",
            "group_interval": "3s",
            "repeat_interval": "4h",
            "routes": [{"receiver": "people", "matchers": ['alertname!="ReconcilerDrift"'], "group_wait": "0s"}],
        },
        "receivers": [
            {
                "name": "people",
                "webhook_configs": [{"url": f"{box.url}/alertmanager", "send_resolved": True}],
            }
        ],
    }
    file = folder / "alertmanager.yaml"
    file.write_text(yaml.safe_dump(config))
    words = [
        which("prometheus-alertmanager") or "alertmanager",  # as Debian names it, or as its makers do
        f"--config.file={file}",
        f"--storage.path={folder / 'alertmanager'}",
        "--cluster.listen-address=",
    ]
    with _neighbour(words, folder / "alertmanager.log") as url:
        yield url


@contextmanager
def _prometheus(watching: Watched, groups: dict[str, Any]) -> Iterator[str]:
    """Scrapes the daemon as the chart's ServiceMonitor would have it, with the labels that the operator gives."""
    folder = watching.folder
    (folder / "rules.yaml").write_text(yaml.safe_dump(groups))
    target = {"targets": [watching.url.removeprefix("http://")], "labels": {"namespace": NAMESPACE}}
    alertmanagers = [{"static_configs": [{"targets": [watching.alertmanager.removeprefix("http://")]}]}]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": JOB, "static_configs": [target]}],
        "alerting": {"alertmanagers": alertmanagers},
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    words = ["prometheus", f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with _neighbour(words, folder / "prometheus.log") as url:
        yield url
