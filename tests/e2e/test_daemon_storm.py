"""The daemon killed at a hundred random moments of one long converge, and started again each time, while somebody edits
behind its back: nothing is lost, nothing is made twice, and people hear of each edit once, and of nothing else."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.alert import Journal
from reconciler.model.record import read_journal
from tests.e2e.test_kill_storm import ACCOUNT, FLEET
from tests.support.forked import Nursery, nursery
from tests.support.kubernetes import CONFIG_MAPS, ApiServer, Fault, served_apart
from tests.support.receiver import LOSES, REFUSES, TAKES, Received, Receiver, receiving
from tests.support.simulated import Azure, azure, clean_environment, reconcile

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PACE = 60.0
KILLS, FEWER_KILLS = 100, 15
OLD = 6  # accounts that are there before the storm begins
EVERY = 6  # kills, after which another account is declared
TWICE = 2  # edits of one resource; the third would be a fight
SECRET = "storm-secret"
# Each account takes up to eight minutes of Azure's time, and others are declared all the while.
SLOW = {"account_create": [200.0, 500.0], "account_update": 90.0, "deployment_write": [20.0, 120.0]}
# Where a crash could tear something apart: before and after the journal is written, a letter or a write is sent.
MOMENTS = (
    "pass.started",
    "cycle.planned",
    "alert.opened",
    "alert.amended",
    "alert.resolved",
    "letter.delayed",
    "write.sending",
    "write.answered",
    "step.finished",
    "pass.finished",
)


@dataclass(frozen=True)
class Edit:
    """One change behind the daemon's back: what Azure was told, by whom, and when by the monotonic clock."""

    id: str
    method: str
    body: Mapping[str, Any] | None
    actor: str
    at: float


@dataclass
class Mallory:
    """Edits what nobody else is working on at that moment, one edit of a resource at a time, and keeps book of it."""

    azure: Azure
    receiver: Receiver
    chance: random.Random
    old: frozenset[str]
    book: list[Edit] = field(default_factory=list)
    _enough: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._enough.set()
            thread.join()

    def await_told(self, seconds: float) -> None:
        """Wait until somebody has heard that everything is over, if that is to come."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._count_ends() < len(self.book):
            time.sleep(0.2)

    def _count_ends(self) -> int:
        return sum(each.turn == "resolved" for each in self.receiver.letters())

    def _run(self) -> None:
        while not self._enough.wait(self.chance.uniform(0.2, 1.5)):
            targets = [id for id, body in sorted(self.azure.resources().items()) if self._may_edit(id, body)]
            if targets:
                self._edit(self.chance.choice(targets))

    def _may_edit(self, id: str, body: Mapping[str, Any]) -> bool:
        if "/accounts/storm-" not in id or body["properties"].get("provisioningState") != "Succeeded":
            return False
        mine = [each for each in self.book if each.id == id.lower()]
        return len(mine) < TWICE and len(mine) == sum(each.turn == "resolved" for each in told(self.receiver, id))

    def _edit(self, id: str) -> None:
        method, body = self.chance.choice(self._choices(id))
        actor = f"mallory-{len(self.book):03}@example.com"
        self.book.append(Edit(id=id.lower(), method=method, body=body, actor=actor, at=time.monotonic()))
        self.azure.mutate(method, id, body, actor)

    def _choices(self, id: str) -> list[tuple[str, dict[str, Any] | None]]:
        if "/deployments/" not in id:
            return [
                ("PATCH", {"properties": {"networkAcls": {"defaultAction": "Allow"}}}),
                ("PATCH", {"properties": {"disableLocalAuth": False}}),
            ]
        edits: list[tuple[str, dict[str, Any] | None]] = [("PATCH", {"sku": {"capacity": 1}})]
        # What was never seen to be there cannot be missed.
        return [*edits, ("DELETE", None)] if id.lower() in self.old else edits


def told(receiver: Receiver, id: str) -> list[Received]:
    """What was told about one resource's drifts, each letter once."""
    return [each for each in receiver.letters() if str(each.data["details"].get("id")).lower() == id.lower()]


@dataclass(frozen=True)
class Meddling:
    """What goes wrong with the journal: `begin` once a process has read it, `end` with the process."""

    begin: Callable[[], None]
    end: Callable[[], None]


NOBODY = Meddling(lambda: None, lambda: None)


@dataclass
class Storm:
    """The daemon, one process after the other, and all that outlives it."""

    azure: Azure
    nest: Nursery
    home: Path
    chance: random.Random
    settings: Mapping[str, str]
    meddling: Meddling
    declared: int = 0

    def declare(self, number: int) -> None:
        locations = ("swedencentral", "eastus2", "francecentral", "australiaeast")
        accounts = (ACCOUNT.format(number=each, location=locations[each % 4]) for each in range(1, number + 1))
        (self.home / "fleet.yaml").write_text(FLEET + "".join(accounts))
        self.declared = number

    def start(self) -> int:
        environment = clean_environment({**self.azure.environment, **self.settings})
        return self.nest.start(["run", str(self.home)], environment)

    def kill_somewhere(self) -> None:
        since = len(self.nest.lines)
        pid = self.start()
        if self.meddling is not NOBODY and self.nest.await_event(["cycle.planned"], since, 3.0):
            self.meddling.begin()
        if self.chance.random() < 0.5:
            time.sleep(0.2 + self.chance.expovariate(2.0))
        else:
            self.nest.await_event([self.chance.choice(MOMENTS)], since, 1.2)
            time.sleep(self.chance.choice((0.0, self.chance.uniform(0.0, 0.03))))
        assert self.nest.kill(pid) == -signal.SIGKILL, "it ended by itself"
        self.meddling.end()

    def await_calm(self, seconds: float) -> None:
        """Wait until all that is declared is there, and a pass that began after that has found nothing to do."""
        end = time.monotonic() + seconds
        since = -1
        while since < 0 or not self._plans_nothing(since):
            assert time.monotonic() < end, json.dumps(self.nest.lines[-12:], indent=1)
            if since < 0 and self._is_made():
                since = len(self.nest.lines)
            time.sleep(0.2)

    def _is_made(self) -> bool:
        found = {id: body for id, body in self.azure.resources().items() if "/accounts/storm-" in id}
        opened = [id for id, body in found.items() if body["properties"].get("publicNetworkAccess") == "Enabled"]
        done = all(body["properties"]["provisioningState"] == "Succeeded" for body in found.values())
        return done and len(opened) == self.declared and len(found) == 3 * self.declared

    def _plans_nothing(self, since: int) -> bool:
        """A plan that is as the one before is not told again; the first pass to finish may have begun before."""
        finished = [each for each in self.nest.lines[since:] if each["event"] == "pass.finished"]
        planned = [each for each in self.nest.lines if each["event"] == "cycle.planned"]
        return len(finished) > 1 and not planned[-1]["changes"]

    def accounts(self) -> list[str]:
        return [id for id in self.azure.resources() if id.lower().count("/") == 8 and "storm-" in id]


def test_a_hundred_kills_lose_nothing_make_nothing_twice_and_tell_each_edit_once(tmp_path: Path) -> None:
    journal = tmp_path / "journal.json"
    endure(tmp_path, {"RECONCILER_JOURNAL_FILE": str(journal)}, KILLS)
    check_journal(read_journal(journal.read_text()))
    assert sorted(each.name for each in tmp_path.iterdir() if "journal" in each.name) == ["journal.json"]


def test_a_journal_in_the_cluster_outlives_kills_conflicts_and_answers_that_nobody_heard(tmp_path: Path) -> None:
    chance = random.Random(11)
    with served_apart(ApiServer(faults=Once())) as server:

        def meddle() -> None:
            """Somebody labels the ConfigMap, or what is written to it next is written and not answered."""
            if chance.random() < 0.5:
                server.faults["daemon"] = Fault("lost")
            elif server.find(CONFIG_MAPS, "journal"):
                mark = str(chance.random())
                server.put(CONFIG_MAPS, "journal", lambda body: body["metadata"].update(labels={"by": mark}))

        account = tmp_path / "account"
        settings = {
            **server.client("daemon", account),
            "RECONCILER_SERVICE_ACCOUNT": str(account),
            "RECONCILER_JOURNAL_MAP": "journal",
        }
        endure(tmp_path, settings, FEWER_KILLS, Meddling(meddle, server.faults.clear))
        kept = server.find(CONFIG_MAPS, "journal")
    assert kept is not None
    assert {seen.status for seen in server.seen if seen.verb == "PUT"} == {200, 409}
    check_journal(read_journal(kept["data"]["journal.json"]))


class Once(dict[str, Fault]):
    """Faults of which each happens to one request."""

    def get(self, client: str, otherwise: Any = None) -> Any:
        return self.pop(client, otherwise)


def endure(tmp_path: Path, journal: Mapping[str, str], kills: int, meddling: Meddling = NOBODY) -> None:
    """A daemon that keeps its journal as these settings say, through so many kills; all is checked but the journal."""
    moods = random.Random(7)
    home = tmp_path / "desired"
    home.mkdir()
    receiver = Receiver(SECRET.encode(), lambda: moods.choices((TAKES, REFUSES, LOSES), (8, 1, 1))[0])
    with azure(tmp_path, PACE) as sim, nursery() as nest, receiving(receiver):
        config = tmp_path / "reconciler.yaml"
        sink = {"sink": "webhook", "name": "book", "url": receiver.url, "secretVariable": "WEBHOOK_SECRET"}
        config.write_text(json.dumps({"alerts": [sink]}))
        settings = {
            "RECONCILER_CONFIG": str(config),
            "WEBHOOK_SECRET": SECRET,
            "RECONCILER_ALERT_STORM": "1000",
            "RECONCILER_LISTEN": "off",
            "RECONCILER_LOG_FORMAT": "json",
            **journal,
        }
        storm = Storm(sim, nest, home, random.Random(2026), settings, meddling)
        storm.declare(OLD)
        pid = storm.start()
        storm.await_calm(60)
        nest.kill(pid)
        mallory = Mallory(sim, receiver, random.Random(3), frozenset(id.lower() for id in sim.resources()))
        sim.control("PUT", "settings", SLOW)
        with mallory.at_work():
            for number in range(kills):
                if number % EVERY == 0:
                    storm.declare(storm.declared + 1)
                storm.kill_somewhere()
        pid = storm.start()
        storm.await_calm(420)
        mallory.await_told(60)
        assert nest.stop(pid) == 0
        last = reconcile(sim, "once", "--dry-run", str(home))
        assert last.code == 0, last.out
        check_azure(sim, storm)
    assert len(mallory.book) > kills // 4, "hardly anybody edited"
    check_letters(mallory.book, receiver)
    assert not nest.noise
    assert not [each for each in nest.lines if each["event"] in ("cycle.crashed", "sink.crashed", "journal.unreadable")]


def check_azure(sim: Azure, storm: Storm) -> None:
    assert len(storm.accounts()) == storm.declared
    assert {body["properties"].get("provisioningState") for body in sim.resources().values()} == {"Succeeded"}
    assert not [each for each in sim.writes() if each["method"] == "DELETE"]


def check_letters(book: list[Edit], receiver: Receiver) -> None:
    """Each edit was told once and ended once, under one key; nothing else was told."""
    assert receiver.unsigned == 0
    bodies: dict[str, set[bytes]] = {}
    for each in receiver.received:
        bodies.setdefault(each.id, set()).add(each.body)
    assert {len(each) for each in bodies.values()} == {1}, "a letter was repeated with other words"
    letters = receiver.letters()
    assert {each.data["name"] for each in letters} == {"ReconcilerDrift"}
    edited = {each.id for each in book}
    assert {str(each.data["details"]["id"]).lower() for each in letters} == edited
    for id in edited:
        mine = told(receiver, id)
        assert len({each.key for each in mine}) == 1
        edits = [each for each in book if each.id == id]
        turns = [each for each in mine if each.turn != "amended"]
        assert [each.turn for each in turns] == ["opened", "resolved"] * len(edits), (id, edits, turns)
        for edit, opened, resolved in zip(edits, turns[::2], turns[1::2], strict=True):
            assert edit.at < opened.at < resolved.at
            actors = {tuple(each.data["actors"]) for each in (opened, resolved)}
            assert actors <= ({(edit.actor,)} if edit.method == "PATCH" else {(edit.actor,), ()})


def check_journal(journal: Journal) -> None:
    assert not journal.drifts
    assert not journal.letters
    assert not [each for each in journal.alerts.values() if each.open]
    assert not journal.dead
    assert not journal.dropped
