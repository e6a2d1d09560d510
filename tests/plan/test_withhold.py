"""What must wait is not written, says until when and why, and is looked at all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.ids import Ref
from reconciler.model.memory import NOTHING, Held, Memory
from reconciler.model.outcome import Outcome, Result
from reconciler.model.pause import Maintenance, Pause, Window
from reconciler.model.plan import Action, DecisionState, Plan
from reconciler.model.resource import Fleet
from reconciler.plan import make_plan, remember_failures
from reconciler.plan.hours import tell_closed
from tests.support.builders import (
    FLEET,
    PlainAzure,
    account_id,
    account_spec,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    fleet_of,
    group_id,
)

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0
SPEC = account_spec(deployments=[deployment_spec("d")])


def drifted() -> tuple[Fleet, PlainAzure]:
    """Two accounts, each with something to put right."""
    fleet, azure = converged(declare_account("one", SPEC), declare_account("two", SPEC))
    for name in ("one", "two"):
        azure.edit(account_id(name), "properties.publicNetworkAccess", "Enabled")
    return fleet, azure


def plan(fleet: Fleet, azure: PlainAzure, memory: Memory = NOTHING, now: float = NOW) -> Plan:
    return make_plan(fleet, azure.snapshot(seen_at=now), memory=memory)


def acting(found: Plan) -> set[str]:
    return {str(each.ref) for each in found.decisions if each.acts}


# -- pauses


@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ({}, set()),
        ({"fleet": FLEET}, set()),
        ({"fleet": FLEET.upper()}, set()),
        ({"fleet": "another"}, {"Account/one", "Account/two"}),
        ({"kind": "Account"}, set()),
        ({"kind": "VirtualNetwork"}, {"Account/one", "Account/two"}),
        ({"target": "account/ONE"}, {"Account/two"}),
        ({"target": str(account_id("one"))}, {"Account/two"}),
        ({"target": "Account/on"}, {"Account/one", "Account/two"}),
        ({"until": NOW}, {"Account/one", "Account/two"}),
    ],
)
def test_a_pause_is_about_what_it_names_and_ends_by_itself(scope: dict[str, Any], left: set[str]) -> None:
    fleet, azure = drifted()
    pause = Pause(**{"until": NOW + HOUR, **scope})
    assert acting(plan(replace(fleet, pauses=(pause,)), azure)) == left


def test_a_pause_says_who_why_and_until_when_and_what_it_keeps_from_being_done() -> None:
    fleet, azure = drifted()
    pause = Pause(until=NOW + HOUR, by="ann", reason="release of the portal", target="Account/one")
    found = plan(replace(fleet, pauses=(pause,)), azure)
    one = decided(found, account_id("one"))
    assert (one.state, one.code, one.action) == (DecisionState.BLOCKED, "paused", Action.UPDATE)
    assert one.reason.startswith("paused by ann until 2026-11-28T13:00:00Z: release of the portal; ")
    assert one.permit == "wait, or end it with `reconciler resume`"
    assert [change.path for change in one.changes] == ["publicNetworkAccess"]
    assert {step.id for step in found.steps} == {account_id("two")}


def test_pauses_that_cannot_be_read_keep_everything_from_being_done_and_are_not_what_people_asked_for() -> None:
    """People know of their own pauses; nobody knows of this one, so it has a code of its own, which is told."""
    fleet, azure = drifted()
    doubt = Pause(until=inf, reason="the pauses in ConfigMap ai/pauses cannot be read: Forbidden: no")
    found = plan(replace(fleet, pauses=(doubt,)), azure)
    one = decided(found, account_id("one"))
    assert (one.state, one.code) == (DecisionState.BLOCKED, "pauses_unreadable")
    assert one.reason.startswith("paused: the pauses in ConfigMap ai/pauses cannot be read: Forbidden: no; ")
    assert one.permit.startswith("let them be read again, or delete")
    assert found.steps == ()


def test_a_pause_of_an_account_is_about_its_deployments_too() -> None:
    fleet, azure = converged(declare_account("one", SPEC))
    azure.edit(deployment_id("d"), "sku.capacity", 5)
    found = plan(replace(fleet, pauses=(Pause(until=NOW + HOUR, target="Account/one"),)), azure)
    assert decided(found, deployment_id("d")).code == "paused"
    assert not found.steps


def test_what_needs_something_paused_that_is_not_there_waits_with_it() -> None:
    fleet = fleet_of(declare_account("one", SPEC))
    azure = PlainAzure()
    azure.add(group_id(), {"location": "swedencentral"})
    found = plan(replace(fleet, pauses=(Pause(until=NOW + HOUR, target=str(account_id("one"))),)), azure)
    assert not found.steps
    assert decided(found, deployment_id("d")).state is DecisionState.BLOCKED


def test_what_is_in_sync_is_not_paused() -> None:
    fleet, azure = converged(declare_account("one", SPEC))
    found = plan(replace(fleet, pauses=(Pause(until=NOW + HOUR),)), azure)
    assert found.converged


# -- hours


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


NIGHTS = Window(start="0 22 * * mon-fri", seconds=6 * HOUR)
SWEDEN = "Europe/Stockholm"


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (at("2026-11-27T21:59:59", SWEDEN), "writes go on at 2026-11-27 22:00 Europe/Stockholm"),
        (at("2026-11-27T22:00:00", SWEDEN), ""),
        (at("2026-11-28T03:59:59", SWEDEN), ""),  # Saturday, but the window began on Friday
        (at("2026-11-28T04:00:00", SWEDEN), "writes go on at 2026-11-30 22:00 Europe/Stockholm"),
        (at("2026-11-28T22:30:00", SWEDEN), "writes go on at 2026-11-30 22:00 Europe/Stockholm"),
        # The zone's hour, not the world's: 22:00 in Sweden is 20:00 UTC in July and 21:00 in November.
        (at("2026-07-01T20:30:00"), ""),
        (at("2026-11-27T20:30:00"), "writes go on at 2026-11-27 22:00 Europe/Stockholm"),
    ],
)
def test_writes_happen_within_the_hours_that_are_allowed(now: float, told: str) -> None:
    found = tell_closed(Maintenance(zone=SWEDEN, allow=(NIGHTS,)), now)
    assert found == (f"outside the hours that spec.maintenance allows; {told}" if told else "")


def test_a_window_lasts_its_time_when_the_clocks_change() -> None:
    """In the night to 29 March 2026 two o'clock is three o'clock: six hours from ten end at five."""
    window = Maintenance(zone=SWEDEN, allow=(Window(start="0 22 * * *", seconds=6 * HOUR),))
    assert tell_closed(window, at("2026-03-29T04:59:59", SWEDEN)) == ""
    assert tell_closed(window, at("2026-03-29T05:00:00", SWEDEN)) != ""


def test_hours_that_are_denied_beat_those_that_are_allowed() -> None:
    freeze = Window(start="0 0 24 12 *", seconds=3 * 24 * HOUR)
    maintenance = Maintenance(allow=(Window(start="0 * * * *", seconds=HOUR),), deny=(freeze,))
    assert tell_closed(maintenance, at("2026-12-23T23:59:59")) == ""
    told = "in hours that spec.maintenance denies; writes go on at 2026-12-27 00:00 UTC"
    assert tell_closed(maintenance, at("2026-12-25T12:00:00")) == told
    assert tell_closed(maintenance, at("2026-12-27T00:00:00")) == ""


def test_without_allowed_hours_every_hour_is_allowed_that_is_not_denied() -> None:
    maintenance = Maintenance(deny=(Window(start="0 8 * * *", seconds=HOUR),))
    assert tell_closed(maintenance, at("2026-11-28T07:59:00")) == ""
    assert tell_closed(maintenance, at("2026-11-28T08:00:00")).endswith("writes go on at 2026-11-28 09:00 UTC")


@pytest.mark.parametrize(
    "maintenance",
    [
        Maintenance(deny=(Window(start="* * * * *", seconds=HOUR),)),
        Maintenance(allow=(Window(start="0 8 * * *", seconds=0.0),)),
    ],
)
def test_hours_that_never_come_are_said_to_be_none(maintenance: Maintenance) -> None:
    assert tell_closed(maintenance, NOW).endswith(", and no others are in sight")


def test_outside_its_hours_a_fleet_is_planned_and_not_written() -> None:
    fleet, azure = converged(declare_account("one", SPEC), maintenance=Maintenance(allow=(NIGHTS,)))
    azure.edit(account_id("one"), "properties.publicNetworkAccess", "Enabled")
    found = decided(plan(fleet, azure), account_id("one"))
    assert (found.state, found.code) == (DecisionState.BLOCKED, "maintenance")
    assert found.permit == "wait, or change spec.maintenance of the Fleet"
    assert acting(plan(fleet, azure, now=at("2026-11-27T22:30:00"))) == {"Account/one"}


# -- what fails


def fail(
    memory: Memory, found: Plan, result: Result = Result.FAILED, fault: Fault | None = None, now: float = NOW
) -> Memory:
    """What is remembered when every step of a plan has ended so."""
    outcomes = tuple(
        Outcome(step=step, result=result, because="Azure said no", fault=fault, began=now, ended=now)
        for step in found.steps
    )
    return remember_failures(memory, found, outcomes, now, lambda: 1.0)


def fault(cls: FaultClass) -> Fault:
    return Fault(cls=cls, code="No", message="no", advice="ask somebody")


def test_what_failed_is_left_alone_for_longer_each_time() -> None:
    fleet, azure = drifted()
    memory, now, pauses = NOTHING, NOW, []
    for _ in range(8):
        found = plan(fleet, azure, memory, now)
        assert found.steps
        memory = fail(memory, found, now=now)
        until = memory.holds[account_id("one")].until
        assert not plan(fleet, azure, memory, until - 1).steps
        pauses.append(until - now)
        now = until
    assert pauses == [60, 120, 240, 480, 960, 1800, 1800, 1800]


@pytest.mark.parametrize("cls", [FaultClass.INVALID, FaultClass.FORBIDDEN])
def test_what_somebody_has_to_put_right_is_looked_at_slowly(cls: FaultClass) -> None:
    fleet, azure = drifted()
    memory = fail(NOTHING, plan(fleet, azure), fault=fault(cls))
    held = memory.holds[account_id("one")]
    assert (held.until - NOW, held.advice) == (900, "ask somebody")
    for _ in range(10):
        memory = fail(memory, plan(fleet, azure), fault=fault(cls))
    assert memory.holds[account_id("one")].until - NOW == 6 * HOUR


@pytest.mark.parametrize(
    ("result", "cause", "held"),
    [
        (Result.NOT_CONVERGING, None, True),
        (Result.BLOCKED, fault(FaultClass.QUOTA), True),
        (Result.IN_PROGRESS, fault(FaultClass.CONFLICT), True),
        (Result.IN_PROGRESS, None, False),
        (Result.NOT_STARTED, None, False),
        (Result.STALE, None, False),
        (Result.DONE, None, False),
    ],
)
def test_only_what_went_wrong_by_itself_is_held_back(result: Result, cause: Fault | None, held: bool) -> None:
    fleet, azure = drifted()
    assert bool(fail(NOTHING, plan(fleet, azure), result, cause).holds) is held


def test_a_plan_says_how_often_it_failed_why_and_when_it_is_tried_again() -> None:
    fleet, azure = drifted()
    memory = fail(fail(NOTHING, plan(fleet, azure)), plan(fleet, azure))
    found = decided(plan(fleet, azure, memory), account_id("one"))
    assert (found.state, found.code) == (DecisionState.BLOCKED, "held")
    assert found.reason.startswith("failed 2 times: Azure said no; tried again at 2026-11-28T12:02:00Z; ")


def test_one_that_fails_holds_up_nobody_else() -> None:
    fleet, azure = drifted()
    memory = fail(NOTHING, plan(fleet, azure))
    only_one = replace(memory, holds={account_id("one"): memory.holds[account_id("one")]})
    found = plan(fleet, azure, only_one)
    assert acting(found) == {"Account/two"}
    assert decided(found, account_id("one")).reason.startswith("failed once: ")


def test_what_is_changed_in_its_document_is_tried_at_once() -> None:
    fleet, azure = drifted()
    memory = fail(NOTHING, plan(fleet, azure))
    changed = fleet_of(declare_account("one", account_spec(disableLocalAuth=True, deployments=[deployment_spec("d")])))
    assert "Account/one" in acting(plan(changed, azure, memory))
    again = fail(memory, plan(changed, azure, memory))
    assert again.holds[account_id("one")].times == 1


def test_success_and_being_as_declared_both_end_it() -> None:
    fleet, azure = drifted()
    memory = fail(NOTHING, plan(fleet, azure))
    later = NOW + HOUR
    assert not fail(memory, plan(fleet, azure, memory, later), Result.DONE, now=later).holds
    azure.edit(account_id("one"), "properties.publicNetworkAccess", "Disabled")
    kept = remember_failures(memory, plan(fleet, azure, memory), (), NOW, lambda: 1.0).holds
    assert set(kept) == {account_id("two")}


def test_a_hold_outlives_a_look_at_which_it_could_not_be_seen() -> None:
    fleet, azure = drifted()
    memory = fail(NOTHING, plan(fleet, azure))
    blinded = plan(replace(fleet, pauses=(Pause(until=NOW + HOUR),)), azure, memory)
    assert set(remember_failures(memory, blinded, (), NOW, lambda: 1.0).holds) == set(memory.holds)


def test_what_nobody_declares_any_more_is_forgotten() -> None:
    memory = Memory(holds={account_id("gone"): Held(until=NOW, times=3, reason="no", wanted="x")})
    fleet, azure = converged(declare_account("one", SPEC))
    assert not remember_failures(memory, plan(fleet, azure), (), NOW, lambda: 1.0).holds


# -- broken documents


def test_what_a_broken_document_declares_is_only_looked_at() -> None:
    _, azure = converged(declare_account("one", SPEC), declare_account("two", SPEC))
    fleet = fleet_of(
        declare_account("two", SPEC), allow=frozenset({"delete"}), prune=frozenset({account_id().type.lower()})
    )
    broken = replace(fleet, broken={Ref(kind="Account", name="one"): ()})
    found = plan(broken, azure)
    for id in (account_id("one"), deployment_id("d", of="one")):
        one = decided(found, id)
        assert (one.state, one.reason) == (
            DecisionState.IGNORED,
            "only looked at: Account/one, or a document that it needs, is broken",
        )
    assert not found.steps
