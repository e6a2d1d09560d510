"""Fleets of which nothing is seen: each cause is told by its own name, once when it lasts, once when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from reconciler.model.alert import Level, Turn
from reconciler.model.finding import Finding
from reconciler.model.ports import World
from reconciler.model.resource import Estate, Scope, Snapshot
from tests.daemon.running import sign_in
from tests.daemon.test_alerts import Shelf, Watch, watching
from tests.daemon.test_loop import fleet_of, open_up, quiet
from tests.laws.stage import Stage, account_id

pytestmark = pytest.mark.virtual_time

UNSEEN = "ReconcilerFleetUnseen"
ANY_READ = {"method": "GET", "path": "^/subscriptions"}


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """Traces that are drawn for people take seconds each."""
    with capture_logs():
        yield


class Moody:
    """A cloud that answers as it feels: by a crash, late, or with nothing to tell."""

    def __init__(self) -> None:
        self.crashes = False
        self.seconds = 0.0

    async def observe(self, scope: Scope) -> Snapshot:
        if self.crashes:
            raise RuntimeError("a promise of ours was broken")
        await asyncio.sleep(self.seconds)
        return Snapshot(taken_at=0.0, live={})


def beside(azure: Stage, cloud: object) -> tuple[Estate, Mapping[str, World]]:
    """`law`, and `moody` with nothing declared, which is behind `cloud`."""
    good = azure.load_estate(fleet_of("aoai-a"))
    moody = replace(good.fleets[0], name="moody", desired={})
    world = World(cloud=cloud, clock=azure.clock, chance=None, watcher=azure.watched)  # type: ignore[arg-type]
    return replace(good, fleets=(*good.fleets, moody)), {"moody": world}


def many(azure: Stage, number: int) -> Estate:
    """So many fleets in one subscription, with nothing declared in most of them."""
    good = azure.load_estate(fleet_of("aoai-a"))
    rest = [replace(good.fleets[0], name=f"fleet-{each:02}", desired={}) for each in range(number - 1)]
    return sign_in(azure, replace(good, fleets=(*good.fleets, *rest)))


def told(watch: Watch) -> list[tuple[str, str]]:
    return [(str(each.turn), each.alert.key) for each in watch.inbox.letters]


async def test_a_fleet_whose_look_crashes_each_time_is_told_once_gets_critical_and_is_over_once(azure: Stage) -> None:
    moody = Moody()
    estate, broken = beside(azure, moody)
    async with watching(azure, estate, broken=broken) as watch:
        await watch.daemon.until(quiet)
        moody.crashes = True
        for _ in range(2):
            await watch.interval()
        assert told(watch) == []
        await watch.interval()
        (opened,) = watch.inbox.letters
        alert = opened.alert
        assert (alert.name, alert.level, alert.labels) == (UNSEEN, Level.WARNING, {"fleet": "moody", "code": "crashed"})
        assert alert.summary == "fleet moody: each look at it breaks off"
        assert alert.description.split("\n") == [
            "Drift goes unnoticed there, and nothing is put right.",
            "crashed: RuntimeError: a promise of ours was broken",
            (
                "What helps: the log has its trace (cycle.crashed); it is a fault of reconciler's own, so tell whoever "
                "maintains it"
            ),
        ]
        for _ in range(30):
            await watch.interval()
        assert [(each.turn, each.alert.level) for each in watch.inbox.letters] == [
            (Turn.OPENED, Level.WARNING),
            (Turn.AMENDED, Level.CRITICAL),
        ]
        moody.crashes = False
        for _ in range(3):
            await watch.interval()
        assert told(watch)[2:] == [("resolved", "unseen:moody")]
        assert watch.inbox.last().alert.description.startswith("It is seen again after ")


async def test_a_crash_now_and_then_is_no_news(azure: Stage) -> None:
    moody = Moody()
    estate, broken = beside(azure, moody)
    async with watching(azure, estate, broken=broken) as watch:
        await watch.daemon.until(quiet)
        for number in range(12):
            moody.crashes = number % 3 != 0
            await watch.interval()
        assert told(watch) == []


async def test_a_look_that_never_ends_is_told_and_one_that_only_takes_long_is_not(azure: Stage) -> None:
    moody = Moody()
    estate, broken = beside(azure, moody)
    async with watching(azure, estate, broken=broken) as watch:
        await watch.daemon.until(quiet)
        moody.seconds = 700.0
        for _ in range(15):
            await watch.interval()
        assert told(watch) == []
        moody.seconds = 4000.0
        for _ in range(30):
            await watch.interval()
        assert told(watch) == [("opened", "unseen:moody")]
        assert watch.inbox.last().alert.summary == "fleet moody: a look at it does not come to its end"
        moody.seconds = 0.0
        for _ in range(60):
            await watch.interval()
        assert told(watch) == [("opened", "unseen:moody"), ("resolved", "unseen:moody")]


async def test_a_fleet_that_azure_does_not_answer_for_is_told_with_what_azure_said(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await azure.fault(kind="status", status=403, code="ReadOnlyDisabledSubscription", count=-1, match=ANY_READ)
        for _ in range(5):
            await watch.interval()
        assert told(watch) == [("opened", "unseen:law")]
        alert = watch.inbox.last().alert
        assert alert.summary == "fleet law: nothing of it can be read: ReadOnlyDisabledSubscription"
        assert alert.labels == {"fleet": "law", "code": "unread"}
        assert alert.description.endswith(
            "What helps: The subscription is disabled and read-only; its owner can enable it."
        )
        await azure.mend()
        await watch.interval()
        assert told(watch) == [("opened", "unseen:law"), ("resolved", "unseen:law")]


async def test_a_part_that_cannot_be_read_for_long_is_told_too(azure: Stage) -> None:
    match = {"method": "GET", "path": "/deletedAccounts$"}
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await azure.fault(kind="status", status=403, code="AuthorizationFailed", count=-1, match=match)
        for _ in range(10):
            await watch.interval()
        assert told(watch) == []
        for _ in range(10):
            await watch.interval()
        assert told(watch) == [("opened", "unread:law")]
        alert = watch.inbox.last().alert
        assert (alert.name, alert.level) == (UNSEEN, Level.WARNING)
        assert alert.summary == "fleet law: 1 place cannot be read: AuthorizationFailed"
        await azure.mend()
        await watch.interval()
        assert told(watch)[1:] == [("resolved", "unread:law")]


async def test_an_outage_of_azure_over_many_fleets_is_one_digest(azure: Stage) -> None:
    async with watching(azure, many(azure, 20)) as watch:
        await watch.daemon.until(quiet)
        await azure.fault(kind="status", status=503, code="ServiceUnavailable", count=-1, match=ANY_READ)
        for _ in range(8):
            await watch.interval()
        assert watch.inbox.told() == [("opened", UNSEEN)]
        alert = watch.inbox.last().alert
        assert alert.labels == {"digest": "true"}
        assert alert.summary == "20 fleets are not seen"
        assert "- fleet fleet-07: nothing of it can be read: ServiceUnavailable" in alert.description
        await azure.mend()
        for _ in range(6):
            await watch.interval()
        assert watch.inbox.told() == [("opened", UNSEEN), ("resolved", UNSEEN)]
        assert watch.inbox.last().alert.description.startswith("All 20 are over, after ")


async def test_a_credential_of_many_fleets_that_fails_is_one_critical_digest_and_nothing_else(azure: Stage) -> None:
    async with watching(azure, many(azure, 20)) as watch:
        await watch.daemon.until(quiet)
        await azure.fault(kind="status", status=401, code="ExpiredAuthenticationToken", count=-1, match=ANY_READ)
        for _ in range(6):
            await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerCredentials")]
        alert = watch.inbox.last().alert
        assert (alert.level, alert.summary) == (Level.CRITICAL, "20 fleets have a credential that does not work")
        await azure.mend()
        for _ in range(3):
            await watch.interval()
        assert watch.inbox.told()[1:] == [("resolved", "ReconcilerCredentials")]


async def test_throttling_that_hides_a_fleet_is_told_as_throttling_alone(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await azure.fault(kind="status", status=429, code="TooManyRequests", count=-1, match=ANY_READ)
        for _ in range(12):
            await watch.interval()
        assert watch.inbox.told() == [("opened", "ReconcilerThrottled")]
        alert = watch.inbox.last().alert
        assert (alert.level, alert.summary) == (Level.WARNING, "fleet law: Azure throttles its requests")
        assert "What helps: Azure limits how often this identity may ask" in alert.description
        await azure.mend()
        for _ in range(8):
            await watch.interval()
        assert watch.inbox.told()[1:] == [("resolved", "ReconcilerThrottled")]


async def test_a_pass_that_never_gets_as_far_as_the_fleets_is_told(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        fine, watch.daemon.estate = watch.daemon.estate, OSError("the disk is gone")
        for _ in range(4):
            await watch.interval()
        assert told(watch) == [("opened", "unseen:")]
        alert = watch.inbox.last().alert
        assert (alert.summary, alert.labels) == ("no pass gets as far as the fleets", {"code": "crashed"})
        assert "crashed: OSError: the disk is gone" in alert.description
        watch.daemon.estate = fine
        await watch.interval()
        assert told(watch) == [("opened", "unseen:"), ("resolved", "unseen:")]


async def test_a_restart_neither_repeats_nor_forgets_what_is_not_seen(azure: Stage) -> None:
    shelf, moody = Shelf(), Moody()
    estate, broken = beside(azure, moody)
    moody.crashes = True
    async with watching(azure, estate, shelf=shelf, broken=broken) as watch:
        for _ in range(4):
            await watch.interval()
        assert told(watch) == [("opened", "unseen:moody")]
    async with watching(azure, estate, shelf=shelf, broken=broken) as watch:
        await watch.interval()
        assert told(watch) == []
        moody.crashes = False
        await watch.interval()
        assert told(watch) == [("resolved", "unseen:moody")]


async def test_a_fleet_that_a_broken_document_hides_keeps_its_alert_and_one_that_is_gone_does_not(azure: Stage) -> None:
    moody = Moody()
    estate, broken = beside(azure, moody)
    moody.crashes = True
    async with watching(azure, estate, broken=broken) as watch:
        for _ in range(4):
            await watch.interval()
        signed = watch.daemon.estate
        assert isinstance(signed, Estate)
        alone = replace(signed, fleets=signed.fleets[:1])
        watch.daemon.estate = replace(alone, findings=(Finding(code="x", message="a document is broken"),))
        await watch.interval()
        assert ("resolved", "unseen:moody") not in told(watch)
        watch.daemon.estate = alone
        await watch.interval()
        assert told(watch)[-1] == ("resolved", "unseen:moody")


async def test_what_is_open_besides_stays_open_while_nothing_is_seen(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a"), budget=None) as watch:
        await watch.daemon.next_pass("start")
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
    async with watching(azure, fleet_of("aoai-a"), budget=None) as watch:
        await watch.interval()
        await open_up(azure, account_id(azure, "aoai-a"))
        await watch.interval()
        await azure.fault(kind="status", status=503, code="ServiceUnavailable", count=-1, match=ANY_READ)
        for _ in range(8):
            await watch.interval()
        await azure.mend()
        for _ in range(6):
            await watch.interval()
        assert watch.inbox.told("ReconcilerDrift") == [("opened", "ReconcilerDrift")]
        assert watch.inbox.told(UNSEEN) == [("opened", UNSEEN), ("resolved", UNSEEN)]
