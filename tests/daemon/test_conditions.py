"""What is wrong besides drift, from Azure's answer to the message: told once when it begins, once when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from reconciler.model.alert import Level, Turn
from reconciler.model.resource import Estate
from tests.daemon.running import sign_in
from tests.daemon.test_alerts import Shelf, Watch, watching
from tests.daemon.test_loop import fleet_of, quiet
from tests.laws.stage import Document, Stage
from tests.laws.test_model_lifecycle import DAY, NEW, OLD, documents, sell, serving

pytestmark = pytest.mark.virtual_time

POOL = "OpenAI.GlobalStandard.gpt-4o"


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """Hundreds of passes are drawn for people otherwise."""
    with capture_logs():
        yield


def estate_of(azure: Stage, written: list[Document]) -> Estate:
    return sign_in(azure, azure.load_estate(written))


async def intervals(watch: Watch, number: int) -> None:
    for _ in range(number):
        await watch.interval()


def told(watch: Watch) -> list[tuple[Turn, Level]]:
    return [(each.turn, each.alert.level) for each in watch.inbox.letters]


def lines(watch: Watch, number: int = 0) -> list[str]:
    """What somebody reads of a letter."""
    alert = watch.inbox.letters[number].alert
    return [alert.summary, *alert.description.split("\n")]


async def test_a_retirement_is_told_at_each_step_louder_and_over_once_nothing_of_it_is_deployed(azure: Stage) -> None:
    """The simulated day is 2025-10-28; the model goes on 2026-02-20."""
    await sell(azure, v2024_08_06={"ends": "2026-02-20T00:00:00Z"})
    async with watching(azure, documents(serving(OLD, versionUpgradeOption="NoAutoUpgrade"))) as watch:
        await watch.daemon.until(quiet)
        for days in (27, 1, 29, 30, 23, 6, 1):
            await asyncio.sleep(days * DAY)
            await watch.settle()
        assert told(watch) == [
            (Turn.OPENED, Level.INFO),
            (Turn.AMENDED, Level.WARNING),
            (Turn.AMENDED, Level.WARNING),
            (Turn.AMENDED, Level.CRITICAL),
            (Turn.AMENDED, Level.CRITICAL),
        ]
        left = [lines(watch, number)[1].partition(":")[0] for number in range(5)]
        assert left == [*(f"retires in {days} days" for days in (87, 57, 27, 4)), "retired"]
        assert lines(watch)[0] == "gpt-4o 2024-08-06 retires on 2026-02-20 as GlobalStandard in swedencentral"
        assert lines(watch)[2].startswith("What helps: gpt-4.1 2025-04-14 can replace it: it is sold as GlobalStandard")
        assert lines(watch)[3] == "- Account/a0/deployments/chat"
        watch.daemon.estate = estate_of(azure, documents(serving(NEW, versionUpgradeOption="NoAutoUpgrade")))
        await intervals(watch, 6)
        assert told(watch)[5:] == [(Turn.RESOLVED, Level.CRITICAL)]
        assert lines(watch, -1) == [
            "over: gpt-4o 2024-08-06 was retired on 2026-02-20 as GlobalStandard in swedencentral",
            "Nothing that retires is deployed any more after 90 d.",
            "retired: gpt-4o 2024-08-06 as GlobalStandard in swedencentral was retired on 2026-02-20",
            "- Account/a0/deployments/chat",
        ]


async def test_what_azure_does_not_get_done_is_told_once_and_over_once(azure: Stage) -> None:
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await azure.fault(kind="lro_stuck", count=-1, match={"method": "PUT", "path": "/accounts/aoai-slow$"})
        watch.daemon.estate = estate_of(azure, fleet_of("aoai-a", "aoai-slow"))
        await intervals(watch, 40)
        assert told(watch) == [(Turn.OPENED, Level.WARNING)]
        assert lines(watch) == [
            "Account/aoai-slow: Azure has been working on it for more than 15 min",
            "Azure is still working on it (Creating). Usually this takes 40 s.",
        ]
        await azure.mend()
        await intervals(watch, 20)
        assert told(watch) == [(Turn.OPENED, Level.WARNING), (Turn.RESOLVED, Level.WARNING)]
        assert quiet(watch.daemon.passes[-1])


async def test_what_quota_blocks_is_told_with_what_would_make_it_fit(azure: Stage) -> None:
    limits = {azure.sim.subscription_id: {"swedencentral": {POOL: 15}}}
    await azure.seed_world(limits=limits)
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        watch.daemon.estate = estate_of(azure, fleet_of("aoai-a", "aoai-b"))
        await intervals(watch, 20)
        assert watch.inbox.told() == [("opened", "ReconcilerQuota")]
        asks = "asks 10 of gpt-4o GlobalStandard in swedencentral"
        assert lines(watch) == [
            "Account/aoai-b/deployments/chat: blocked by quota",
            f"{asks}; 10 of 15 are used (10 by this fleet, 0 by others): 5 left for it",
            "What helps: declare a capacity of 5, 5 fewer; or free 5 of this pool, or ask Azure for a higher limit",
        ]
        limits[azure.sim.subscription_id]["swedencentral"][POOL] = 100
        await azure.seed_world(limits=limits)
        await intervals(watch, 4)
        assert watch.inbox.told() == [("opened", "ReconcilerQuota"), ("resolved", "ReconcilerQuota")]
        assert quiet(watch.daemon.passes[-1])


async def test_what_fails_each_time_is_told_once_however_often_it_is_tried(azure: Stage) -> None:
    match = {"method": "PUT", "path": "/accounts/aoai-b$"}
    refusal = {"status": 403, "code": "RequestDisallowedByPolicy", "message": "disallowed by policy 'no-openai'"}
    async with watching(azure, fleet_of("aoai-a")) as watch:
        await watch.daemon.until(quiet)
        await azure.fault(kind="status", count=-1, match=match, **refusal)
        watch.daemon.estate = estate_of(azure, fleet_of("aoai-a", "aoai-b"))
        await azure.forget()
        await intervals(watch, 90)
        assert len(await azure.writes()) >= 3
        assert watch.inbox.told() == [("opened", "ReconcilerBlocked")]
        summary, first, helps = lines(watch)
        why = "RequestDisallowedByPolicy: disallowed by policy 'no-openai'"
        assert summary == f"Account/aoai-b: failed: {why}"
        assert first.startswith(f"failed once: {why}; tried again at 2025-10-28T")
        assert helps.startswith("What helps: An Azure Policy forbids this; the message names it.")
        await azure.mend()
        await asyncio.sleep(6 * 3600)
        await intervals(watch, 4)
        assert watch.inbox.told() == [("opened", "ReconcilerBlocked"), ("resolved", "ReconcilerBlocked")]
        assert quiet(watch.daemon.passes[-1])


async def test_a_secret_that_does_not_work_any_more_is_told_at_once_and_over_with_the_next_one(azure: Stage) -> None:
    """A secret comes by the environment, so that a new one comes with a new process."""
    shelf, good = Shelf(), azure.secret
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.daemon.until(quiet)
    azure.secret = "outworn-value"
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.settle()
        assert watch.inbox.told() == [("opened", "ReconcilerCredentials")]
        await intervals(watch, 30)
        assert watch.inbox.told() == [("opened", "ReconcilerCredentials")]
        summary, first, helps = lines(watch)
        assert summary == "fleet law: its credential does not work"
        assert first.startswith("credential_failed: ")
        assert "AADSTS7000215: Invalid client secret provided." in first
        assert helps.startswith("What helps: ")
        assert azure.secret not in str(watch.inbox.letters)
    azure.secret = good
    async with watching(azure, fleet_of("aoai-a"), shelf=shelf) as watch:
        await watch.settle()
        assert watch.inbox.told() == [("resolved", "ReconcilerCredentials")]
        assert lines(watch)[1].startswith("The credential works again after ")
