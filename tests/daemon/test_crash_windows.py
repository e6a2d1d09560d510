"""What may happen between two lines of the daemon: a kill, somebody's edit, another leader. Nothing is lost by it."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace

import pytest

from reconciler.daemon.herald import Desk, Herald
from reconciler.model.alert import BLANK, Route, SinkKind
from reconciler.model.plan import Plan
from reconciler.model.ports import Alone
from reconciler.model.record import read_journal, write_journal
from reconciler.model.resource import Actor
from reconciler.runtime.sinks import Courier, Sinks
from tests.daemon.running import INTERVAL
from tests.daemon.test_alerts import MALLORY, Inbox, Shelf, watching
from tests.daemon.test_loop import fleet_of, open_up, quiet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    fleet_document,
    group_document,
)
from tests.report.test_drift import MALLORY as SOMEBODY
from tests.report.test_drift import differing, plan_of
from tests.support.virtual_time import LoopClock

pytestmark = pytest.mark.virtual_time


async def test_an_edit_of_what_is_half_made_is_told_even_where_we_were_about_to_write_to_it(azure: Stage) -> None:
    """Nothing is remembered of a resource that was never as declared: all that tells is its last author, and that must
    not become us."""
    async with watching(azure, fleet_of("aoai-a", tags={"team": "a"})) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a", tags={"team": "b"})) as watch:
        note = watch.herald.note

        async def meddle(plan: Plan) -> str:
            untold = await note(plan)
            if any(each.fields == {"tags.team": "b"} for each in plan.steps):
                await open_up(azure, account_id(azure, "aoai-a"))
            return untold

        watch.herald.note = meddle  # type: ignore[method-assign]
        await watch.settle()
        watch.herald.note = note  # type: ignore[method-assign]
        await watch.daemon.until(quiet)
        await asyncio.sleep(1)
        assert watch.inbox.told() == [("opened", "ReconcilerDrift"), ("resolved", "ReconcilerDrift")]
        assert watch.inbox.letters[0].alert.actors == (MALLORY,)


async def test_what_an_account_takes_along_when_its_document_replaces_it_is_no_drift(azure: Stage) -> None:
    shelf = Shelf()

    def documents(location: str) -> list[Document]:
        account = account_document("aoai-a", deployments=[deployment("chat")], location=location)
        return [fleet_document(allow=["replace", "purge", "delete"]), group_document(), account]

    async with watching(azure, documents("swedencentral"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, documents("eastus2"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
        assert watch.inbox.letters == []
        assert "DELETE" in {each["method"] for each in await azure.writes()}


@dataclass
class SlowShelf(Shelf):
    """A store whose next text is kept once somebody says so."""

    go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))

    async def save(self, text: str) -> str:
        await self.go.acquire()
        return await super().save(text)


def herald_of(shelf: Shelf) -> tuple[Herald, Courier]:
    clock = LoopClock(1_760_000_000.0)
    courier = Courier("inbox", Inbox(), clock, random.Random(1))
    desk = Desk(
        store=shelf,
        sinks=Sinks(couriers={"inbox": courier}),
        routes=(Route(name="inbox", sink=SinkKind.WEBHOOK),),
        clock=clock,
        lease=Alone(),
        interval=INTERVAL,
    )
    return Herald(desk), courier


def edited(fleet: str) -> Plan:
    return replace(plan_of(differing(author=Actor(name=SOMEBODY))), fleet=fleet)


async def test_no_letter_goes_out_before_it_is_written_down_whatever_other_fleets_write_down_meanwhile() -> None:
    shelf = SlowShelf()
    herald, courier = herald_of(shelf)
    await herald.begin(fresh=True)
    async with asyncio.TaskGroup() as group:
        group.create_task(herald.note(edited("one")))
        await asyncio.sleep(1)
        group.create_task(herald.note(edited("two")))
        await asyncio.sleep(1)
        for written in (1, 2):
            shelf.go.release()
            await asyncio.sleep(1)
            kept = {each.id for each in read_journal(shelf.text).letters}
            assert len(kept) == written
            assert {each.id for each in courier.letters} == kept


async def test_whoever_led_in_between_is_heard_even_where_nobody_noticed_that_the_lease_was_away(azure: Stage) -> None:
    """The lease is lost and had again between two passes, and the other leader has told that all is over."""
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, budget=None) as watch:
        await watch.interval()
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift")]
        shelf.text = write_journal(replace(BLANK, dead=7))
        watch.daemon.lead.term += 1
        await asyncio.sleep(INTERVAL)
        assert read_journal(shelf.text).dead == 7, "it was replaced by what is remembered of another term"
        await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"publicNetworkAccess": "Disabled"}})
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift")]
        assert watch.herald.journal.dead == 7
