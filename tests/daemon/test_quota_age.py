"""How full pools are, as it is told on quiet days: never older than was asked for, and cheap."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from reconciler.model.outcome import Pass
from reconciler.model.quota import Pool
from reconciler.runtime.pulse import Pulse, Sources
from tests.daemon.running import INTERVAL, Running, running
from tests.daemon.test_loop import quiet
from tests.laws.stage import Stage, account_document, account_id, deployment, fleet_document, group_document

pytestmark = pytest.mark.virtual_time

REGIONS = ("eastus", "swedencentral", "uksouth", "westeurope")


def spread_out() -> list[dict[str, object]]:
    """An account with a deployment in each region."""
    accounts = [account_document(f"aoai-{each}", location=each, deployments=[deployment("chat")]) for each in REGIONS]
    return [fleet_document(), group_document(), *accounts]


async def lists(azure: Stage, word: str) -> Counter[str]:
    """How often a list of each region was asked for."""
    paths = [each["path"].partition("?")[0].lower() for each in await azure.requests()]
    return Counter(path.split("/")[-2] for path in paths if path.endswith(f"/{word}") and "/locations/" in path)


async def quiet_passes(daemon: Running, number: int) -> list[Pass]:
    done = []
    for _ in range(number):
        await asyncio.sleep(INTERVAL)
        done.append(await daemon.next_pass("interval"))
        assert quiet(done[-1])
    return done


def pools(done: Pass) -> dict[str, Pool]:
    ledger = done.reports["law"].ledger
    return {each.location: each for each in ledger.pools if each.ours} if ledger else {}


async def test_each_region_is_asked_once_in_ten_minutes_and_its_models_once_in_an_hour(azure: Stage) -> None:
    async with running(azure, spread_out()) as daemon:
        await daemon.until(quiet)
        await quiet_passes(daemon, 20)
        await azure.forget()
        done = await quiet_passes(daemon, 60)
        usages, models = await lists(azure, "usages"), await lists(azure, "models")
        assert set(usages) == set(REGIONS)
        assert all(5 <= number <= 7 for number in usages.values()), usages
        # One region's list stands for all to know when models retire, and is asked for every ten minutes.
        assert sorted(models.values())[:-1] == [1, 1, 1], models
        # Not all of them in one pass.
        assert max(len(pools(each)) for each in done) <= 2
        base = min(each.reports["law"].requests for each in done)
        assert sum(each.reports["law"].requests - base for each in done) <= 40


async def test_what_others_take_is_told_within_ten_minutes_although_nothing_is_to_do(azure: Stage) -> None:
    async with running(azure, spread_out()) as daemon:
        await daemon.until(quiet)
        before = {place: pool for done in await quiet_passes(daemon, 11) for place, pool in pools(done).items()}
        assert set(before) == set(REGIONS)
        other = account_id(azure, "aoai-other", group="rg-other")
        await azure.mutate(
            "PUT", f"/subscriptions/{other.subscription}/resourceGroups/rg-other", {"location": "uksouth"}
        )
        account = {"location": "uksouth", "kind": "OpenAI", "sku": {"name": "S0"}, "properties": {}}
        await azure.mutate("PUT", other, account)
        await asyncio.sleep(3600)
        model = {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}
        chat = {"sku": {"name": "GlobalStandard", "capacity": 7}, "properties": {"model": model}}
        await azure.mutate("PUT", other.child("deployments", "chat"), chat)
        await asyncio.sleep(600)
        after = {place: pool for done in await quiet_passes(daemon, 11) for place, pool in pools(done).items()}
        changed = {place: after[place].used - before[place].used for place in REGIONS}
        assert changed == {"eastus": 0, "swedencentral": 0, "uksouth": 7, "westeurope": 0}
        assert {pool.held for pool in after.values()} == {0}


async def test_a_region_that_may_not_be_asked_about_costs_no_more_than_one_that_may(azure: Stage) -> None:
    match = {"method": "GET", "path": "/locations/uksouth/usages$"}
    async with running(azure, spread_out()) as daemon:
        await daemon.until(quiet)
        await azure.fault(kind="status", status=403, code="AuthorizationFailed", count=-1, match=match)
        await azure.forget()
        done = await quiet_passes(daemon, 30)
        assert (await lists(azure, "usages"))["uksouth"] <= 4
        ledgers = [each.reports["law"].ledger for each in done]
        assert any(ledger and "uksouth" in ledger.unread for ledger in ledgers)


async def test_it_is_shown_with_the_moment_at_which_each_region_was_asked(azure: Stage) -> None:
    async with running(azure, spread_out()) as daemon:
        pulse = Pulse(Sources(clock=azure.clock), interval=INTERVAL)
        await daemon.until(quiet)
        for done in await quiet_passes(daemon, 25):
            await pulse.close(done)
        (fleet,) = pulse.look().fleets
        assert set(fleet.measured) == set(REGIONS)
        ages = [azure.clock.now() - at for at in fleet.measured.values()]
        assert max(ages) <= 600 + 2 * INTERVAL
        assert max(ages) - min(ages) > INTERVAL
