"""What people hear of a drift: once that it is there, once who did it, once that it is over; of a storm, one digest."""

from __future__ import annotations

import asyncio
import random
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.apply import Budget
from reconciler.cloud.activity import Witness
from reconciler.daemon.herald import Desk, Herald
from reconciler.model.alert import BLANK, Alert, Journal, Letter, Level, Route, SinkKind, Turn
from reconciler.model.drift import Correction, Ending
from reconciler.model.finding import Fault, Finding
from reconciler.model.ids import ArmId
from reconciler.model.pause import Pause
from reconciler.model.plan import DecisionState
from reconciler.model.ports import World
from reconciler.model.record import fit_journal, read_journal, write_journal
from reconciler.model.resource import Activity, Estate
from reconciler.report.drift import ASKED_FOR
from reconciler.runtime.sinks import Alertmanager, Courier, Receipt, Sinks
from tests.daemon.running import DAY, INTERVAL, Running, running, sign_in
from tests.daemon.test_loop import fleet_of, open_up, quiet, state
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    fleet_document,
    group_document,
    network_document,
    network_id,
    rule,
)
from tests.support.logged import logged, told

pytestmark = pytest.mark.virtual_time

MALLORY = "mallory@example.com"


@dataclass
class Shelf:
    """A store that outlives its daemons. `fault` is what reading it says; `why` is why writing fails."""

    text: str = ""
    fault: Fault | None = None
    why: str = ""

    async def load(self) -> str | Fault:
        return self.fault or self.text

    async def save(self, text: str) -> str:
        if not self.why:
            self.text = text
        return self.why


@dataclass
class Inbox:
    """Everything that was delivered, in order."""

    letters: list[Letter] = field(default_factory=list)
    refuses: bool = False

    async def __call__(self, letter: Letter) -> Receipt:
        if self.refuses:
            return Receipt(why="HTTP 503")
        self.letters.append(letter)
        return Receipt()

    def told(self, name: str = "") -> list[tuple[str, str]]:
        return [(str(each.turn), each.alert.name) for each in self.letters if name in ("", each.alert.name)]

    def last(self) -> Letter:
        return self.letters[-1]


@dataclass
class Watch:
    """A daemon that tells, who hears it, and what it remembers."""

    daemon: Running
    herald: Herald
    inbox: Inbox

    async def settle(self) -> None:
        """A pass, and the time for what it tells to arrive."""
        await self.daemon.next_pass("interval")
        await asyncio.sleep(1)

    async def interval(self) -> None:
        await self.settle()
        await asyncio.sleep(INTERVAL)


@asynccontextmanager
async def watching(
    azure: Stage,
    documents: Iterable[Document] | Estate,
    shelf: Shelf | None = None,
    inbox: Inbox | None = None,
    budget: Budget | None = Budget(seconds=INTERVAL),  # noqa: B008 - a frozen value
    broken: Mapping[str, World] | None = None,
) -> AsyncIterator[Watch]:
    inbox = inbox or Inbox()
    made: list[Herald] = []

    def remember(daemon: Running) -> Herald:
        courier = Courier("inbox", inbox, azure.clock, random.Random(azure.seed))
        desk = Desk(
            store=shelf or Shelf(),
            sinks=Sinks(couriers={"inbox": courier}),
            routes=(Route(name="inbox", sink=SinkKind.WEBHOOK),),
            clock=azure.clock,
            lease=daemon.lead,
            interval=INTERVAL,
            observes=budget is None,
        )
        made.append(Herald(desk))
        return made[0]

    async with running(azure, documents, broken, budget, remember) as daemon, asyncio.TaskGroup() as group:
        task = group.create_task(made[0].run())
        yield Watch(daemon, made[0], inbox)
        daemon.stop()
        await daemon.ended.wait()
        await made[0].flush(5)
        task.cancel()


def guarded(*rules: Document) -> list[Document]:
    group = network_document("NetworkSecurityGroup", "nsg", securityRules=[rule("web"), *rules])
    return [fleet_document(), group_document(), group]


async def test_a_converge_tells_nobody_anything(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a", "aoai-b")) as watch:
        await watch.daemon.until(quiet)
        await watch.interval()
        assert watch.inbox.letters == []
        assert not watch.herald.journal.drifts


async def test_an_edit_is_told_once_with_its_author_and_once_when_it_is_over(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        opened, resolved = watch.inbox.letters
        assert opened.alert.level is Level.CRITICAL
        assert opened.alert.summary == ("Account/aoai-a: publicNetworkAccess is Enabled, declared Disabled")
        assert opened.alert.labels == {
            "fleet": "law",
            "kind": "Account",
            "resource": "aoai-a",
            "gravity": "exposure",
        }
        assert opened.alert.actors == (MALLORY,)
        assert opened.alert.key == resolved.alert.key
        assert resolved.alert.summary.startswith("over: ")
        assert resolved.alert.description.startswith("Put right by us after ")


async def test_the_log_says_how_bad_it_is_and_who_did_it(azure: Stage) -> None:
    """`level` is the level of the line, so how urgent the alert is has a word of its own."""
    with logged() as logs:
        async with watching(azure, fleet_of("aoai-a")) as watch:
            await watch.daemon.until(quiet)
            await open_up(azure, account_id(azure, "aoai-a"))
            await watch.interval()
            await watch.interval()
    (opened,), (resolved,) = told(logs, "alert.opened"), told(logs, "alert.resolved")
    assert (opened["log_level"], opened["severity"], opened["actors"]) == ("warning", "critical", [MALLORY])
    assert (resolved["log_level"], resolved["severity"]) == ("info", "critical")
    assert "level" not in opened
    assert "\nWhere: " in opened["description"]


async def test_who_did_it_is_told_as_soon_as_azure_says_so(azure: Stage) -> None:
    """A security group carries no systemData: only the activity log knows, minutes later, when we have written too."""
    await azure.set(activity_lag=240.0)
    async with watching(azure, guarded()) as watch:
        await watch.daemon.until(quiet)
        await asyncio.sleep(600)
        await watch.interval()
        name = network_id(azure, "networkSecurityGroups", "nsg")
        body = azure.resource(name)
        body = {**body, "properties": {**body["properties"], "securityRules": []}}
        await azure.mutate("PUT", name, body)
        for _ in range(8):
            await watch.interval()
        assert watch.inbox.told() == [
            ("opened", "ReconcilerDrift"),
            ("resolved", "ReconcilerDrift"),
            ("amended", "ReconcilerDrift"),
        ]
        opened, _, amended = watch.inbox.letters
        assert "By: unknown yet." in opened.alert.description
        assert amended.alert.actors == (MALLORY,)
        assert MALLORY in amended.alert.summary
        assert not watch.herald.wonder("law")


async def test_who_did_it_is_not_asked_for_ever(azure: Stage) -> None:
    await azure.set(activity_lag=7200.0)
    async with watching(azure, guarded()) as watch:
        await watch.daemon.until(quiet)
        name = network_id(azure, "networkSecurityGroups", "nsg")
        body = azure.resource(name)
        await azure.mutate("PUT", name, {**body, "properties": {**body["properties"], "securityRules": []}})
        await watch.interval()
        assert watch.herald.wonder("law") == {name}
        await asyncio.sleep(ASKED_FOR)
        await watch.interval()
        assert not watch.herald.wonder("law")


async def test_who_did_it_is_asked_again_of_the_last_hour_alone(azure: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy subscription's day is hundreds of requests, and this is asked every minute."""
    asked: list[float] = []
    who = Witness.who

    async def listen(self: Witness, ids: Collection[ArmId], seconds: float) -> Activity:
        asked.append(seconds)
        return await who(self, ids, seconds)

    monkeypatch.setattr(Witness, "who", listen)
    await azure.set(activity_lag=240.0)
    async with watching(azure, guarded()) as watch:
        await watch.daemon.until(quiet)
        name = network_id(azure, "networkSecurityGroups", "nsg")
        body = azure.resource(name)
        await azure.mutate("PUT", name, {**body, "properties": {**body["properties"], "securityRules": []}})
        asked.clear()
        for _ in range(8):
            await watch.interval()
        assert watch.inbox.last().alert.actors == (MALLORY,)
    assert asked[0] == DAY
    assert len(asked) >= 4
    assert max(asked[1:]) < 3600


async def test_fifty_edits_at_once_are_one_digest_and_end_as_one(azure: Stage) -> None:
    names = [f"aoai-{number:02}" for number in range(50)]
    regions = ("swedencentral", "eastus2")
    accounts = [account_document(name, location=regions[number % 2]) for number, name in enumerate(names)]
    documents = [fleet_document(), group_document(), *accounts]
    async with watching(azure, documents) as watch:
        await watch.daemon.until(quiet)
        for name in names:
            await open_up(azure, account_id(azure, name))
        for _ in range(4):
            await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        opened, resolved = watch.inbox.letters
        assert opened.alert.summary == f"fleet law: 50 resources are not as declared, by {MALLORY}"
        assert opened.alert.labels == {"digest": "true", "fleet": "law"}
        assert "- and 30 more" in opened.alert.description
        assert resolved.alert.description.startswith("All 50 are over: 50 put right by us, after ")


async def test_whoever_undoes_us_each_time_is_named_and_left_alone(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        name = account_id(azure, "aoai-a")

        async def meddle() -> None:
            if azure.resource(name)["properties"]["publicNetworkAccess"] == "Disabled":
                await open_up(azure, name)

        watch.daemon.after = meddle
        await open_up(azure, name)
        await azure.forget()
        for _ in range(12):
            await watch.interval()
        writes = [each for each in await azure.writes() if each["path"].lower() == name.key]
        assert len(writes) == 3
        (drift,) = watch.herald.journal.drifts.values()
        assert (drift.correction, drift.returns) == (Correction.GIVEN_UP, 3)
        (fight,) = [each.alert for each in watch.inbox.letters if each.alert.name == "ReconcilerFight"]
        assert fight.summary == f"Account/aoai-a: {MALLORY} undoes each time what its document says"
        assert fight.level is Level.CRITICAL
        done = await watch.daemon.next_pass("interval")
        (decision,) = [each for each in done.reports["law"].plan.decisions if each.code == "given_up"]
        assert decision.state is DecisionState.BLOCKED
        assert f"{MALLORY} undid it 3 times, so it is left as it is; tried again at " in decision.reason
        # Once they have stopped it is put right again.
        watch.daemon.after = None
        await asyncio.sleep(6 * 3600)
        await watch.interval()
        await watch.interval()
        assert state(watch.daemon.passes[-1], "Account/aoai-a") is DecisionState.IN_SYNC
        assert watch.inbox.told("ReconcilerFight") == [
            ("opened", "ReconcilerFight"),
            ("resolved", "ReconcilerFight"),
        ]
        assert watch.inbox.told("ReconcilerDrift")[-1] == ("resolved", "ReconcilerDrift")


async def test_a_fight_over_one_field_leaves_no_door_open(azure: Stage) -> None:
    """Whoever wants a door to stay open might begin with a quarrel about a tag."""
    async with watching(azure, fleet_of("aoai-a", tags={"team": "law"})) as watch:
        await watch.daemon.until(quiet)
        name = account_id(azure, "aoai-a")

        async def meddle() -> None:
            await azure.mutate("PATCH", name, {"tags": {"team": "other"}})

        watch.daemon.after = meddle
        await meddle()
        for _ in range(8):
            await watch.interval()
        assert watch.inbox.told("ReconcilerFight") == [("opened", "ReconcilerFight")]
        await open_up(azure, name)
        await watch.interval()
        assert azure.resource(name)["properties"]["publicNetworkAccess"] == "Disabled"
        assert azure.resource(name)["tags"]["team"] == "other"


async def test_a_fight_is_over_when_its_document_says_something_else(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        name = account_id(azure, "aoai-a")

        async def meddle() -> None:
            await open_up(azure, name)

        watch.daemon.after = meddle
        for _ in range(8):
            await watch.interval()
        assert watch.inbox.told("ReconcilerFight") == [("opened", "ReconcilerFight")]
        watch.daemon.after = None
        estate = azure.load_estate(fleet_of("aoai-a", disableLocalAuth=True))
        watch.daemon.estate = sign_in(azure, estate)
        await watch.interval()
        await watch.interval()
        assert quiet(watch.daemon.passes[-1])
        assert watch.inbox.last().turn is Turn.RESOLVED
        endings = {each.ending for each in watch.herald.journal.past}
        assert Ending.DOCUMENT in endings


async def test_a_change_of_a_document_is_no_drift(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        watch.daemon.estate = sign_in(azure, azure.load_estate(fleet_of("aoai-a", disableLocalAuth=True)))
        await watch.interval()
        await watch.interval()
        assert quiet(watch.daemon.passes[-1])
        assert watch.inbox.letters == []


async def lag(azure: Stage) -> None:
    """From now on lists tell what was so 40 seconds ago."""
    for path in ("CognitiveServices/accounts$", "CognitiveServices/accounts/[^/]+/deployments$"):
        await azure.fault(kind="stale_read", seconds=40, count=-1, match={"method": "GET", "path": path})


async def test_a_list_that_lags_behind_our_own_write_is_nobody_who_undid_it(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await asyncio.sleep(INTERVAL)
        await lag(azure)
        await open_up(azure, account_id(azure, "aoai-a"))
        await asyncio.sleep(INTERVAL)
        for _ in range(6):
            await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        assert {each.returns for each in watch.herald.journal.past} == {0}


@pytest.mark.parametrize(
    "how", [{"kind": "status", "status": 500}, {"kind": "list_lag", "seconds": 86_400}], ids=["fails", "lags"]
)
async def test_where_accounts_cannot_be_listed_after_a_write_to_one_its_deployments_do_not_seem_gone(
    azure: Stage, how: dict[str, Any]
) -> None:
    """It is asked for by name, since we wrote to it lately; what is in it is not."""
    members = [deployment("chat"), deployment("more")]
    documents = [fleet_document(), group_document(), account_document("aoai-a", deployments=members)]
    async with watching(azure, documents) as watch:
        await watch.daemon.until(quiet)
        await asyncio.sleep(600)  # what was made lately is asked for by name, too
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        await azure.forget()
        await azure.fault(count=-1, match={"method": "GET", "path": "CognitiveServices/accounts$"}, **how)
        if how["kind"] == "list_lag":
            # The first look at what the list lacks does not see it yet either.
            await azure.fault(kind="status", status=404, code="ResourceNotFound", match={"path": "/aoai-a$"})
        before = len(watch.daemon.passes)
        for _ in range(5):
            await watch.interval()
        plans = [report.plan for each in watch.daemon.passes[before:] for report in each.reports.values()]
        chat = account_id(azure, "aoai-a").child("deployments", "chat")
        stands = {(each.state, each.code) for plan in plans for each in plan.decisions if each.id == chat}
        assert stands - {(DecisionState.IN_SYNC, "")} == {(DecisionState.BLOCKED, "unknown")}
        assert not [step for plan in plans for step in plan.steps]
        assert await azure.writes() == []
        await azure.mend()
        await watch.interval()
        await watch.interval()
        assert quiet(watch.daemon.passes[-1])
        assert watch.inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]


async def test_a_list_that_lags_behind_a_change_of_a_document_shows_no_drift(azure: Stage) -> None:
    members = [deployment("chat", capacity=5), deployment("more")]
    changed = account_document("aoai-a", deployments=members, disableLocalAuth=True)
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await asyncio.sleep(INTERVAL)
        await lag(azure)
        documents = [fleet_document(), group_document(), changed]
        watch.daemon.estate = sign_in(azure, azure.load_estate(documents))
        for _ in range(6):
            await watch.interval()
        assert watch.inbox.told() == []
        assert quiet(watch.daemon.passes[-1])


async def test_an_edit_is_told_too_while_a_change_of_its_document_has_yet_to_be_made(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        watch.daemon.pausing.pauses = (Pause(until=azure.clock.now() + DAY, by="ann"),)
        watch.daemon.estate = sign_in(azure, azure.load_estate(fleet_of("aoai-a", disableLocalAuth=True)))
        await watch.interval()
        assert watch.inbox.told() == []
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift")]
        assert watch.inbox.last().alert.level is Level.CRITICAL
        assert "publicNetworkAccess is Enabled, declared Disabled" in watch.inbox.last().alert.summary
        assert "disableLocalAuth" not in watch.inbox.last().alert.description
        watch.daemon.pausing.pauses = ()
        await watch.interval()
        await watch.interval()
        assert watch.inbox.told()[-1] == ("resolved", "ReconcilerDrift")
        assert quiet(watch.daemon.passes[-1])


def connected() -> list[Document]:
    """An account whose one connection comes with its private endpoint."""
    judged = [{"match": "pe", "status": "Approved", "description": "by us"}]
    return [
        fleet_document(),
        group_document(),
        account_document("aoai-a", customSubDomainName="aoai-a", privateEndpointConnections=judged),
        network_document(
            "VirtualNetwork",
            "vnet",
            addressSpace={"addressPrefixes": ["10.1.0.0/16"]},
            subnets=[{"name": "ends", "addressPrefix": "10.1.2.0/24"}],
        ),
        network_document("PrivateEndpoint", "pe", subnet="vnet/ends", account="aoai-a"),
    ]


async def pass_in_an_outage(azure: Stage, watch: Watch) -> None:
    await azure.fault(kind="status", status=503, count=-1, match={"path": "^/subscriptions"})
    await watch.interval()
    await watch.interval()
    await azure.mend()


async def test_a_connection_that_somebody_rejects_is_told_once_also_through_an_outage(azure: Stage) -> None:
    async with watching(azure, connected()) as watch:
        await watch.daemon.until(quiet)
        watch.daemon.pausing.pauses = (Pause(until=azure.clock.now() + DAY, by="ann"),)
        connection = next(each for each in azure.resources() if "/privateendpointconnections/" in each)
        rejected = {"privateLinkServiceConnectionState": {"status": "Rejected", "description": "no"}}
        await azure.mutate("PATCH", connection, {"properties": rejected}, MALLORY)
        await watch.interval()
        told = watch.inbox.told("ReconcilerDrift")
        assert {turn for turn, _ in told} == {"opened"}
        await pass_in_an_outage(azure, watch)
        await watch.interval()
        assert [turn for turn, _ in watch.inbox.told("ReconcilerDrift") if turn != "amended"] == ["opened"] * len(told)
        watch.daemon.pausing.pauses = ()
        await watch.daemon.until(quiet)
        await watch.interval()
        turns = [turn for turn, _ in watch.inbox.told("ReconcilerDrift") if turn != "amended"]
        assert turns == ["opened"] * len(told) + ["resolved"] * len(told)


async def test_an_endpoint_that_somebody_deletes_is_told_once_and_nothing_of_what_it_led_to(azure: Stage) -> None:
    async with watching(azure, connected()) as watch:
        await watch.daemon.until(quiet)
        await azure.set(endpoint_write=4 * INTERVAL)
        await azure.mutate("DELETE", network_id(azure, "privateEndpoints", "pe"), None, MALLORY)
        await watch.interval()
        await pass_in_an_outage(azure, watch)
        await watch.daemon.until(quiet)
        await watch.interval()
        about = {str(each.alert.details["id"]) for each in watch.inbox.letters if each.alert.name == "ReconcilerDrift"}
        assert about == {str(network_id(azure, "privateEndpoints", "pe"))}
        turns = [turn for turn, _ in watch.inbox.told("ReconcilerDrift") if turn != "amended"]
        assert turns == ["opened", "resolved"]


async def test_what_is_only_observed_is_told_and_amended_and_ends_by_somebody_else(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, budget=None) as watch:
        await watch.interval()
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift")]
        assert "It is not put right: the daemon only observes." in watch.inbox.last().alert.description
        await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"publicNetworkAccess": "Disabled"}})
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        assert watch.inbox.last().alert.description.startswith("Put right by somebody else after ")


async def test_a_successor_ends_what_was_open_and_repeats_nothing(azure: Stage) -> None:
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, budget=None) as watch:
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift")]
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, budget=None) as watch:
        await watch.interval()
        assert watch.inbox.letters == []
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.interval()
        await watch.interval()
        assert watch.inbox.told() == [("amended", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]


async def test_what_a_killed_process_put_right_is_still_told(azure: Stage) -> None:
    """The journal as it was when the write left; nothing after that was remembered."""
    shelf, lost = Shelf(), Inbox(refuses=True)
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, inbox=lost) as watch:
        await watch.daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        texts: list[str] = []
        save = shelf.save

        async def note(text: str) -> str:
            texts.append(text)
            return await save(text)

        shelf.save = note  # type: ignore[method-assign]
        await watch.settle()
    killed = Shelf(text=texts[0])
    async with watching(azure, fleet_of("aoai-a"), shelf=killed) as watch:
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        assert watch.inbox.last().alert.description.startswith("Put right after ")


async def test_letters_outlive_a_receiver_that_is_down(azure: Stage) -> None:
    shelf, inbox = Shelf(), Inbox(refuses=True)
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, inbox=inbox) as watch:
        await watch.daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        await watch.interval()
        assert len(watch.herald.journal.letters) == 2
    inbox.refuses = False
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, inbox=inbox) as watch:
        await asyncio.sleep(INTERVAL)
        await watch.interval()
        await asyncio.sleep(300)
        assert inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        assert watch.herald.journal.letters == ()


async def test_the_loop_goes_on_while_a_large_journal_is_made_to_fit(
    azure: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, went_on = asyncio.get_running_loop(), threading.Event()
    waits: list[bool] = []

    def squeeze(journal: Journal) -> tuple[Journal, str]:
        loop.call_soon_threadsafe(went_on.set)
        waits.append(went_on.wait(5))
        return fit_journal(journal)

    monkeypatch.setattr("reconciler.daemon.herald.fit_journal", squeeze)
    async with watching(azure, [fleet_document(), group_document()]) as watch:
        await watch.interval()
    assert waits
    assert all(waits)


async def test_what_cannot_be_read_leaves_open_what_is_open(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a"), budget=None) as watch:
        await watch.interval()
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        await azure.fault(kind="status", status=403, count=-1, match={"method": "GET", "path": "/accounts$"})
        await watch.interval()
        assert watch.inbox.told("ReconcilerDrift") == [("opened", "ReconcilerDrift")]
        await azure.mend()
        await watch.interval()
        assert watch.inbox.told("ReconcilerDrift") == [("opened", "ReconcilerDrift")]


async def test_documents_with_errors_are_told_until_they_are_mended(azure: Stage) -> None:
    broken: list[dict[str, Any]] = [*fleet_of("aoai-a"), {"apiVersion": "reconciler/v1", "kind": "Acount"}]
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        good = watch.daemon.estate
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "fleet.yaml"
            place.write_text(yaml.safe_dump_all(broken), encoding="utf-8")
            watch.daemon.estate = sign_in(azure, azure._read(place))
            await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerInvalidDesiredState")]
        assert "fleet.yaml:" in watch.inbox.last().alert.description
        watch.daemon.estate = good
        await watch.interval()
        assert watch.inbox.told() == [
            ("opened", "ReconcilerInvalidDesiredState"),
            ("resolved", "ReconcilerInvalidDesiredState"),
        ]


async def test_a_fleet_that_no_document_declares_any_more_has_no_alerts(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a"), budget=None) as watch:
        await watch.interval()
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        watch.daemon.estate = Estate(fleets=(), findings=(Finding(code="x", message="a document is broken"),))
        await watch.interval()
        assert watch.inbox.told("ReconcilerDrift") == [("opened", "ReconcilerDrift")]
        watch.daemon.estate = Estate(fleets=())
        await watch.interval()
        assert watch.inbox.told("ReconcilerDrift") == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        assert watch.inbox.last().alert.description.startswith("Its document changed after ")


async def test_whoever_leads_again_goes_on_from_what_the_other_wrote(azure: Stage) -> None:
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, budget=None) as watch:
        await watch.interval()
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        assert len(watch.herald.journal.alerts) == 1
        watch.daemon.lead.seconds = 0.0
        watch.daemon.bell.fire("interval")
        await asyncio.sleep(INTERVAL)
        shelf.text = write_journal(replace(BLANK, dead=7))
        watch.daemon.lead.seconds, watch.daemon.lead.term = DAY, 3
        await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"publicNetworkAccess": "Disabled"}})
        await watch.interval()
        # The other one has told that it is over.
        assert watch.inbox.told() == [("opened", "ReconcilerDrift")]
        assert (watch.herald.journal.dead, len(watch.herald.journal.alerts)) == (7, 0)


async def test_a_term_of_somebody_else_between_two_passes_counts_too(azure: Stage) -> None:
    """It may begin and end while nothing rings here."""
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
        await asyncio.sleep(1)
        watch.inbox.refuses = True
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.settle()
        assert watch.herald.journal.letters
        # The other one delivers what was left.
        shelf.text = write_journal(replace(BLANK, dead=7))
        watch.daemon.lead.term = 3
        watch.inbox.refuses = False
        await asyncio.sleep(INTERVAL)
        assert watch.inbox.told() == []
        assert read_journal(shelf.text).dead == 7
        await watch.settle()
        assert watch.herald.journal.dead == 7
    assert watch.inbox.told() == []


async def test_what_alertmanager_is_told_follows_each_pass(azure: Stage) -> None:
    told: list[tuple[int, float]] = []

    class Told(Alertmanager):
        def __init__(self) -> None: ...

        def tell(self, alerts: Iterable[Alert], lifetime: float) -> None:
            told.append((sum(each.open for each in alerts), lifetime))

        def forget(self) -> None: ...

        async def run(self, leads: Callable[[], bool]) -> None: ...

        @property
        def busy(self) -> bool:
            return False

        name = "am"

    async with watching(azure, fleet_of("aoai-a")) as watch:
        watch.herald._desk.sinks.alertmanagers.append(Told())
        await watch.daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        told.clear()
        await watch.interval()
    # Once before it is put right, once after that pass, once when it is seen to be right and after that pass.
    assert [number for number, _ in told] == [1, 1, 0, 0]
    assert {lifetime for _, lifetime in told} == {3 * INTERVAL}


async def test_a_cycle_that_outlasts_its_pass_loses_no_alert_and_counts_once(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await azure.set(account_update=400.0)
        await open_up(azure, account_id(azure, "aoai-a"))
        for _ in range(20):
            await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        assert {each.returns for each in watch.herald.journal.past} == {0}


async def test_the_end_of_the_daemon_is_the_end_of_no_alert(azure: Stage) -> None:
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, budget=None) as watch:
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        await azure.set(latency=100.0)
        watch.daemon.bell.fire("interval")
        await asyncio.sleep(1)
        watch.daemon.stop()
        await watch.daemon.ended.wait()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift")]
        assert [each.open for each in watch.herald.journal.alerts.values()] == [True]
