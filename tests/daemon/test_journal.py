"""A journal that cannot be kept: alerts still go out, nothing is written to Azure, and somebody is told."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from reconciler.model.alert import Level, Turn
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.record import read_journal
from tests.daemon.running import INTERVAL
from tests.daemon.test_alerts import Shelf, watching
from tests.daemon.test_loop import fleet_of, open_up, quiet
from tests.laws.stage import Stage, account_id, fleet_document
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time

JOURNAL = "ReconcilerJournal"
FULL = "journal.json: No space left on device"
SILENT = Fault(cls=FaultClass.TRANSIENT, code="no_answer", message="no answer within 5.0 s")


async def test_nothing_is_put_right_that_could_not_be_written_down_but_people_are_told(azure: Stage) -> None:
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        await azure.forget()
        shelf.why = FULL
        for _ in range(3):
            await watch.interval()
        assert await azure.writes() == []
        done = watch.daemon.passes[-1]
        assert done.reports["law"].refused == f"the journal cannot be written: {FULL}"
        drifts = [each.alert for each in watch.inbox.letters if each.alert.name == "ReconcilerDrift"]
        assert (drifts[0].level, drifts[0].summary) == (
            Level.CRITICAL,
            "Account/aoai-a: publicNetworkAccess is Enabled, declared Disabled",
        )
        assert f"It is not put right: the journal cannot be written: {FULL}." in drifts[-1].description
        (opened,) = [each.alert for each in watch.inbox.letters if each.alert.name == JOURNAL]
        assert (opened.level, opened.labels) == (Level.WARNING, {})
        assert opened.summary == f"the journal cannot be written: {FULL}"
        assert opened.description.startswith("Nothing is written to Azure until it can. Alerts still go out")
        shelf.why = ""
        for _ in range(2):
            await watch.interval()
        assert len(await azure.writes()) == 1
        assert watch.inbox.told(JOURNAL) == [("opened", JOURNAL), ("resolved", JOURNAL)]
        assert watch.inbox.told("ReconcilerDrift")[-1] == ("resolved", "ReconcilerDrift")
        assert not [each for each in read_journal(shelf.text).alerts.values() if each.open]


async def test_a_journal_that_cannot_be_written_for_long_is_critical_and_one_hiccup_is_no_news(azure: Stage) -> None:
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, budget=None) as watch:
        await watch.interval()
        shelf.why = "HTTP 500"
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.settle()
        shelf.why = ""
        await asyncio.sleep(INTERVAL)
        await watch.interval()
        assert watch.inbox.told(JOURNAL) == []
        shelf.why = "Forbidden: configmaps is forbidden"
        await azure.mutate("PATCH", account_id(azure, "aoai-a"), {"properties": {"publicNetworkAccess": "Disabled"}})
        for _ in range(20):
            await watch.interval()
        told = [each for each in watch.inbox.letters if each.alert.name == JOURNAL]
        assert [(each.turn, each.alert.level) for each in told] == [
            (Turn.OPENED, Level.WARNING),
            (Turn.AMENDED, Level.CRITICAL),
        ]


async def test_what_is_remembered_is_not_written_over_by_who_could_not_read_it(azure: Stage) -> None:
    """What the one before told is ended by its successor, although that could not read for a while what it was."""
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf, budget=None) as watch:
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerDrift")]
    before, shelf.fault = shelf.text, SILENT
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        with capture_logs() as logs:
            await azure.forget()
            for _ in range(3):
                await watch.interval()
        assert (shelf.text, await azure.writes()) == (before, [])
        # Three tries at first, one in each pass after that; told once.
        assert len([each for each in logs if each["event"] == "journal.unreadable"]) == 1
        assert watch.inbox.told(JOURNAL) == [("opened", JOURNAL)]
        assert watch.inbox.last().alert.summary == "the journal cannot be read: no_answer: no answer within 5.0 s"
        shelf.fault = None
        for _ in range(3):
            await watch.interval()
        assert watch.inbox.told(JOURNAL) == [("opened", JOURNAL), ("resolved", JOURNAL)]
        assert watch.inbox.told("ReconcilerDrift")[-1] == ("resolved", "ReconcilerDrift")
        assert quiet(watch.daemon.passes[-1])


@pytest.mark.parametrize("text", ["{", "[]"])
async def test_a_journal_that_makes_no_sense_is_begun_anew(azure: Stage, text: str) -> None:
    async with watching(azure, fleet_of("aoai-a"), shelf=Shelf(text=text)) as watch:
        with capture_logs() as logs:
            await watch.daemon.until(quiet)
        (told,) = [each for each in logs if each["event"] == "journal.unreadable"]
        assert told["why"].startswith("the journal makes no sense and is begun anew: ")
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        assert watch.inbox.told()[0] == ("opened", "ReconcilerDrift")


class Mire(Shelf):
    """A store that takes a minute for what it is given, from some moment on."""

    slow = False

    async def save(self, text: str) -> str:
        await asyncio.sleep(60 if self.slow else 0)
        return await super().save(text)


async def test_a_store_that_hangs_holds_up_the_end_for_as_long_as_letters_may(azure: Stage) -> None:
    shelf = Mire()
    async with watching(azure, [fleet_document()], shelf=shelf) as watch:
        await watch.settle()
        await asyncio.sleep(900)
        shelf.slow, began = True, passed()
    assert 5 <= passed() - began < 6


async def test_what_breaks_off_while_it_is_written_down_is_not_put_right_either(azure: Stage) -> None:
    shelf = Shelf()
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        await azure.forget()

        async def crash(text: str) -> str:
            raise RuntimeError("a bug of ours")

        shelf.save = crash  # type: ignore[method-assign]
        with capture_logs():
            done = await watch.daemon.next_pass("interval")
        assert done.reports["law"].refused == "crashed: RuntimeError: a bug of ours"
        assert await azure.writes() == []
        del shelf.save
        await watch.daemon.until(quiet)
