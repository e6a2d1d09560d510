"""Passes: what sets them off, that one bad fleet spoils only itself, and that nothing slow blinds the rest."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import datetime
from math import inf
from typing import Any

import pytest

from reconciler.daemon.loop import OBSERVED, Forgetful
from reconciler.model.ids import ArmId
from reconciler.model.moment import show_time
from reconciler.model.outcome import Pass, Result
from reconciler.model.pause import Pause
from reconciler.model.plan import DecisionState, Plan
from reconciler.model.ports import World
from reconciler.model.resource import Estate, Scope, Snapshot
from reconciler.plan import make_plan
from tests.daemon.running import INTERVAL, running, sign_in
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    fleet_document,
    group_document,
    told,
)
from tests.support.logged import Event, logged
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time

NETWORK = {"networkAcls": {"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"]}}


def fleet_of(*names: str, fleet: str = "law", **spec: Any) -> list[Document]:
    members = [account_document(name, deployments=[deployment("chat")], **spec) for name in names]
    return [fleet_document(fleet), group_document(), *members]


def quiet(done: Pass) -> bool:
    return bool(done.reports) and all(report.plan.converged for report in done.reports.values())


def state(done: Pass, ref: str, fleet: str = "law") -> DecisionState:
    return next(each.state for each in done.reports[fleet].plan.decisions if str(each.ref) == ref)


async def open_up(azure: Stage, id: ArmId) -> None:
    """What somebody does in the portal."""
    await azure.mutate("PATCH", id, {"properties": {"publicNetworkAccess": "Enabled"}})


async def test_passes_converge_and_then_are_quiet(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a", "aoai-b")) as daemon:
        done = await daemon.until(quiet)
        assert done.findings == ()
        await azure.forget()
        await daemon.next_pass("interval")
        assert await azure.writes() == []


async def test_a_pass_that_got_something_done_is_followed_by_another_at_once(azure: Stage) -> None:
    async with running(azure, [fleet_document(), group_document()]) as daemon:
        await daemon.next_pass("start")
        began = passed()
        assert (await daemon.next_pass()).trigger == "progress"
        assert passed() - began < 10
        assert quiet(daemon.passes[-1])


async def test_what_two_undo_each_other_is_not_done_without_end(azure: Stage) -> None:
    """Somebody else writes after every pass, always something else, so that every pass gets something done."""
    async with running(azure, fleet_of("aoai-a", "aoai-b")) as daemon:
        await daemon.until(quiet)
        names = [account_id(azure, "aoai-a"), account_id(azure, "aoai-b")]
        count = len(daemon.passes)

        async def meddle() -> None:
            await open_up(azure, names[len(daemon.passes) % 2])

        daemon.after = meddle
        await meddle()
        daemon.bell.fire("interval")
        await asyncio.sleep(20 * INTERVAL)
        assert len(daemon.passes) - count == 11


async def test_drift_is_put_right_by_the_next_pass(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        done = await daemon.next_pass("interval")
        (outcome,) = done.reports["law"].outcomes
        assert outcome.result is Result.DONE
        assert "mallory@example.com" in next(each.reason for each in done.reports["law"].plan.decisions if each.acts)
        assert quiet(await daemon.next_pass())


async def test_the_loop_goes_on_while_a_plan_is_made(azure: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of thousands takes longer than a lease may go without being renewed."""
    loop, went_on = asyncio.get_running_loop(), threading.Event()

    def ponder(*grounds: Any) -> Plan:
        loop.call_soon_threadsafe(went_on.set)
        assert went_on.wait(5), "nothing else ran meanwhile"
        return make_plan(*grounds)

    monkeypatch.setattr("reconciler.cycle.make_plan", ponder)
    async with running(azure, [fleet_document(), group_document()]) as daemon:
        assert (await daemon.next_pass("start")).faults == {}


async def test_triggers_during_a_pass_become_one(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await daemon.until(quiet)
        await azure.set(latency=1.0)
        count = len(daemon.passes)
        daemon.bell.fire("interval")
        await asyncio.sleep(0.5)
        assert len(daemon.passes) == count  # under way
        for trigger in ("files", "interval", "sighup", "interval"):
            daemon.bell.fire(trigger)
        await daemon.next_pass()
        assert (await daemon.next_pass()).trigger == "files"
        await asyncio.sleep(INTERVAL)
        assert len(daemon.passes) == count + 2


class Brittle:
    """A cloud that breaks what it promises."""

    async def observe(self, scope: object) -> None:
        raise RuntimeError("a promise of ours was broken")


async def test_one_bad_fleet_spoils_only_itself(azure: Stage) -> None:
    good = azure.load_estate(fleet_of("aoai-a"))
    bad = replace(good.fleets[0], name="bad", desired={})
    world = World(cloud=Brittle(), clock=azure.clock, chance=None, watcher=azure.watched)  # type: ignore[arg-type]
    estate = replace(good, fleets=(bad, *good.fleets))
    async with running(azure, estate, broken={"bad": world}) as daemon:
        done = await daemon.until(quiet)
        assert set(done.reports) == {"law"}
        assert set(done.faults) == {"bad"}
        assert str(done.faults["bad"]) == "crashed: RuntimeError: a promise of ours was broken"


class Slow:
    """A cloud that takes its time, as one that throttles or that cannot be reached."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    async def observe(self, scope: Scope) -> Snapshot:
        await asyncio.sleep(self.seconds)
        return Snapshot(taken_at=0.0, live={})


def two_fleets(azure: Stage, cloud: object) -> tuple[Estate, dict[str, World]]:
    """`law`, and `slow` behind `cloud`, with nothing declared in it."""
    good = azure.load_estate(fleet_of("aoai-a"))
    slow = replace(good.fleets[0], name="slow", desired={})
    world = World(cloud=cloud, clock=azure.clock, chance=None, watcher=azure.watched)  # type: ignore[arg-type]
    return replace(good, fleets=(*good.fleets, slow)), {"slow": world}


async def test_a_fleet_that_is_slow_to_read_holds_up_no_other_and_is_told_when_it_has_ended(azure: Stage) -> None:
    estate, broken = two_fleets(azure, Slow(500.0))
    async with running(azure, estate, broken=broken) as daemon:
        began = passed()
        done = await daemon.next_pass("start")
        assert passed() - began <= INTERVAL + 1
        assert (set(done.reports), dict(done.faults), done.under_way) == ({"law"}, {}, ("slow",))
        for _ in range(6):
            done = await daemon.next_pass("interval")
        assert "law" in done.reports
        ended = [each for each in daemon.passes if "slow" in each.reports]
        assert not ended
        await daemon.until(lambda _done: any("slow" in each.reports for each in daemon.passes))
        assert 500 <= passed() - began < 700


async def test_a_slow_fleet_that_nobody_declares_any_more_is_let_go_when_it_has_ended(azure: Stage) -> None:
    estate, broken = two_fleets(azure, Slow(500.0))
    async with running(azure, estate, broken=broken) as daemon:
        await daemon.next_pass("start")
        assert not isinstance(daemon.estate, Exception)
        daemon.estate = replace(daemon.estate, fleets=daemon.estate.fleets[:1])
        await daemon.until(lambda _done: any("slow" in each.reports for each in daemon.passes))
        done = await daemon.next_pass("interval")
        assert (set(done.reports), done.under_way) == ({"law"}, ())


async def test_a_desired_state_that_cannot_be_loaded_is_a_fault_and_the_next_pass_goes_on(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        fine, daemon.estate = daemon.estate, OSError("the disk is gone")
        done = await daemon.next_pass("start")
        assert (dict(done.reports), str(done.faults[""])) == ({}, "crashed: OSError: the disk is gone")
        daemon.estate = fine
        await daemon.until(quiet)


async def test_slow_provisioning_does_not_hide_the_drift_of_others(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await daemon.until(quiet)
        await azure.set(account_create=[3600.0, 3600.0])
        daemon.estate = sign_in(azure, azure.load_estate(fleet_of("aoai-a", "aoai-slow")))
        began = passed()
        done = await daemon.next_pass("files")
        assert passed() - began < 2 * INTERVAL
        results = {each.step.name: each.result for each in done.reports["law"].outcomes}
        assert results["Account/aoai-slow#create"] is Result.IN_PROGRESS
        await open_up(azure, account_id(azure, "aoai-a"))
        done = await daemon.next_pass("interval")
        assert [each.step.id.name for each in done.reports["law"].outcomes] == ["aoai-a"]
        assert state(done, "Account/aoai-slow") is DecisionState.IN_PROGRESS
        await azure.forget()
        await daemon.until(quiet, passes=90)
        creates = [each for each in await azure.writes() if each["path"].lower().endswith("/accounts/aoai-slow")]
        assert [each["method"] for each in creates] in ([], ["PATCH"])  # gone on with, not begun again


async def test_what_fails_is_held_back_and_tried_again_later(azure: Stage) -> None:
    match = {"method": "PUT", "path": "/accounts/bad$"}
    await azure.fault(kind="status", status=400, code="InvalidTemplate", count=-1, match=match)
    async with running(azure, fleet_of("bad", "good")) as daemon:
        await daemon.until(lambda done: state(done, "Account/good/deployments/chat") is DecisionState.IN_SYNC)
        await azure.forget()
        for _ in range(10):
            await asyncio.sleep(INTERVAL)
            done = await daemon.next_pass("interval")
        assert await azure.writes() == []
        held = next(each for each in done.reports["law"].plan.decisions if str(each.ref) == "Account/bad")
        assert (held.state, held.code) == (DecisionState.BLOCKED, "held")
        assert held.reason.startswith("failed once: InvalidTemplate")
        await azure.mend()
        await daemon.until(quiet)


@pytest.mark.parametrize(
    ("status", "code", "pauses"),
    [
        # What Azure calls invalid is looked at more and more slowly, up to six hours.
        (400, "InvalidTemplate", (15, 30, 60, 120, 240, 360, 360)),
        # What waiting may heal is tried again sooner, and within half an hour for ever.
        (409, "RequestConflict", (1, 2, 4, 8, 16, 30, 30)),
    ],
)
async def test_what_goes_on_failing_is_tried_more_and_more_seldom_and_says_when(
    azure: Stage, status: int, code: str, pauses: tuple[int, ...]
) -> None:
    match = {"method": "PUT", "path": "/accounts/bad$"}
    await azure.fault(kind="status", status=status, code=code, count=-1, match=match)
    async with running(azure, fleet_of("bad")) as daemon:
        await daemon.next_pass("start")
        await azure.forget()
        for number, pause in enumerate(pauses, 1):
            held = next(
                each
                for each in (await daemon.next_pass("interval")).reports["law"].plan.decisions
                if str(each.ref) == "Account/bad"
            )
            times = "once" if number == 1 else f"{number} times"
            assert held.reason.startswith(f"failed {times}: ")
            assert code in held.reason
            until = datetime.fromisoformat(held.reason.rpartition(" ")[2]).timestamp()
            assert 0.75 * pause * 60 - 90 <= until - azure.clock.now() <= 1.25 * pause * 60
            assert await azure.writes() == []
            await asyncio.sleep(until - azure.clock.now() + 1)
            await daemon.next_pass("interval")
            assert await azure.writes() != []
            await azure.forget()


async def test_a_pause_keeps_from_writing_until_it_is_over(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await daemon.until(quiet)
        await open_up(azure, account_id(azure, "aoai-a"))
        pause = Pause(until=azure.clock.now() + 600, by="ann", reason="release", target="Account/aoai-a")
        daemon.pausing.pauses = (pause,)
        await azure.forget()
        done = await daemon.next_pass("interval")
        assert done.pauses == (pause,)
        assert await azure.writes() == []
        await asyncio.sleep(600)
        assert (await daemon.next_pass("interval")).pauses == ()
        assert len(await azure.writes()) == 1


async def test_a_pause_is_in_the_log_when_it_begins_and_when_it_is_over(azure: Stage) -> None:
    now = azure.clock.now()
    asked = Pause(until=now + 600, by="ann", reason="release", fleet="law")
    unread = Pause(until=inf, reason="the pauses in p.json cannot be read: it is no list of pauses")
    with logged() as logs:
        async with running(azure, [fleet_document(), group_document()]) as daemon:
            await daemon.until(quiet)
            daemon.pausing.pauses = (asked,)
            await daemon.next_pass("interval")
            daemon.pausing.pauses = (asked, unread)
            await daemon.next_pass("interval")
            daemon.pausing.pauses = ()
            await daemon.next_pass("interval")
    began = [each for each in logs if each["event"] == "pause.began"]
    assert [(each["log_level"], each["reason"]) for each in began] == [
        ("info", "release"),
        ("warning", unread.reason),
    ]
    assert (began[0]["fleet"], began[0]["by"], began[0]["until"]) == ("law", "ann", show_time(now + 600))
    assert began[1]["until"] == ""
    assert [each["reason"] for each in logs if each["event"] == "pause.ended"] == ["release", unread.reason]


async def test_at_other_hours_than_the_fleet_s_nothing_is_written(azure: Stage) -> None:
    """The simulation begins at two in the afternoon; writes are allowed from three to four."""
    hours = {"allow": [{"start": "0 15 * * *", "duration": "1h"}]}
    documents = [fleet_document(maintenance=hours), *fleet_of("aoai-a")[1:]]
    async with running(azure, documents) as daemon:
        done = await daemon.next_pass("start")
        told = [each.reason for each in done.reports["law"].plan.decisions if each.code == "maintenance"]
        outside = "outside the hours that spec.maintenance allows; writes go on at 2025-10-28 15:00 UTC"
        assert told
        assert all(each.startswith(outside) for each in told)
        assert await azure.writes() == []
        await asyncio.sleep(3600 - azure.clock.now() % 3600)
        await daemon.until(quiet)
        await asyncio.sleep(3600 - azure.clock.now() % 3600)
        await open_up(azure, account_id(azure, "aoai-a"))
        await azure.forget()
        done = await daemon.next_pass("interval")
        assert state(done, "Account/aoai-a") is DecisionState.BLOCKED
        assert await azure.writes() == []


async def test_without_a_budget_everything_is_told_and_nothing_written(azure: Stage) -> None:
    before = await azure.fingerprint()
    async with running(azure, fleet_of("aoai-a"), budget=None) as daemon:
        done = await daemon.next_pass("start")
        report = done.reports["law"]
        assert report.plan.steps, told(report.plan)
        assert (report.outcomes, report.refused) == ((), OBSERVED)
    assert await azure.fingerprint() == before


async def test_whoever_does_not_lead_looks_at_nothing_until_it_does(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        daemon.lead.seconds = 0.0
        daemon.bell.fire("start")
        await asyncio.sleep(INTERVAL)
        assert (daemon.passes, await azure.requests()) == ([], [])
        daemon.lead.seconds = 10.0
        await daemon.next_pass("lease")


async def test_whoever_stands_by_says_whose_the_lease_is_once_and_again_when_it_is_somebody_elses(azure: Stage) -> None:
    with logged() as logs:
        async with running(azure, [fleet_document(), group_document()]) as daemon:
            daemon.lead.seconds = 0.0
            for holder in ("a", "a", "b"):
                daemon.lead.holder = f"pod-{holder}"
                daemon.bell.fire("interval")
                await asyncio.sleep(1)
            daemon.lead.seconds = 10.0
            await daemon.next_pass("lease")
    awaited = [each["why"] for each in logs if each["event"] == "leader.awaited"]
    assert awaited == ["the lease prod is held by pod-a", "the lease prod is held by pod-b"]


async def test_connections_live_from_pass_to_pass_and_a_fleet_that_moved_gets_new_ones(azure: Stage) -> None:
    async with running(azure, fleet_of("aoai-a")) as daemon:
        await daemon.until(quiet)
        tokens = [each for each in await azure.requests() if "oauth2" in each["path"]]
        await azure.forget()
        await daemon.next_pass("interval")
        assert not [each for each in await azure.requests() if "oauth2" in each["path"]], tokens
        assert not isinstance(daemon.estate, Exception)
        (fleet,) = daemon.estate.fleets
        moved = replace(fleet, target=replace(fleet.target, secret_variable="AZURE_OTHER_SECRET"))
        daemon.estate = replace(daemon.estate, fleets=(moved,))
        done = await daemon.next_pass("files")
        assert not done.reports["law"].plan.complete
        assert "AZURE_OTHER_SECRET" in str(done.reports["law"].plan.blind[0][1])


class Confused(Forgetful):
    """Cannot say anything about one fleet."""

    def wonder(self, fleet: str) -> frozenset[ArmId]:
        if fleet == "odd":
            raise RuntimeError("a promise of ours was broken")
        return frozenset()


async def test_whoever_remembers_nonsense_about_one_fleet_spoils_only_that(azure: Stage) -> None:
    fleets = [azure.load([fleet_document(name), group_document()]) for name in ("law", "odd")]
    estate = Estate(fleets=tuple(fleets))
    async with running(azure, estate, remember=lambda _daemon: Confused()) as daemon:
        done = await daemon.next_pass("start")
        assert (set(done.reports), set(done.faults)) == ({"law"}, {"odd"})
        await daemon.next_pass("interval")


async def test_the_log_of_a_pass_says_how_many_places_it_could_not_read(azure: Stage) -> None:
    with logged() as logs:
        async with running(azure, fleet_of("aoai-a")) as daemon:
            await daemon.until(quiet)
            assert last_pass(logs)["unread"] == 0
            await azure.fault(kind="status", status=403, count=-1, match={"method": "GET", "path": r".*/deployments.*"})
            done = await daemon.next_pass("interval")
    unread = len(done.reports["law"].plan.blind)
    assert unread > 0
    assert last_pass(logs)["unread"] == unread


def last_pass(logs: list[Event]) -> Event:
    return [each for each in logs if each["event"] == "pass.finished"][-1]


async def test_a_crash_of_whoever_is_told_ends_nothing(azure: Stage) -> None:
    async with running(azure, [fleet_document(), group_document()]) as daemon:

        async def crash() -> None:
            raise RuntimeError("no")

        daemon.after = crash
        await daemon.until(lambda done: len(daemon.passes) > 2 and quiet(done))
