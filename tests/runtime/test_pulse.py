"""What the daemon knows of itself: kept from pass to pass, and told as it is at the moment when somebody looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.health import Leadership, PassResult
from reconciler.model.outcome import CycleReport, Pass, Result
from reconciler.model.plan import Decision, DecisionState, Plan
from reconciler.model.ports import Alone
from reconciler.model.quota import Ledger
from reconciler.runtime.pulse import Pulse, Sources, Traffic
from tests.report import healths
from tests.report.samples import BLOCKED, CONVERGED, CREATE_STEP, DELETE_STEP, FORBIDDEN, MIXED, outcome, report

LOST = Fault(cls=FaultClass.UNKNOWN, code="crashed", message="KeyError: 1")
BLIND = replace(CONVERGED, blind=(("somewhere", FORBIDDEN),))
UNREAD = Decision(
    id=BLOCKED.id, ref=BLOCKED.ref, state=DecisionState.BLOCKED, reason="could not be read", code="unknown"
)
UNSEEN = Plan(fleet="prod", decisions=(UNREAD,), steps=(), blind=(("everything", FORBIDDEN),))


class Hand:
    """A clock that a test moves, and a lease that it gives and takes."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.leads = True
        self.traffic = Traffic()
        self.stopping = ""
        sources = Sources(clock=self, lease=Lead(self), traffic=lambda: self.traffic, stopping=lambda: self.stopping)
        self.pulse = Pulse(sources, interval=60.0, version="1")

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at - 900.0

    async def sleep(self, seconds: float) -> None:
        self.at += seconds

    async def passes(
        self, *plans: Plan | CycleReport, faults: Mapping[str, Fault] | None = None, under_way: tuple[str, ...] = ()
    ) -> None:
        self.pulse.heard(("interval",))
        began = self.at
        self.at += 2
        reports = [
            each if isinstance(each, CycleReport) else report(each, began=began, ended=self.at) for each in plans
        ]
        await self.pulse.close(
            Pass(
                began=began,
                ended=self.at,
                trigger="interval",
                reports={each.plan.fleet: each for each in reports},
                faults=faults or {},
                under_way=under_way,
            )
        )


class Lead(Alone):
    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    def remaining(self) -> float:
        return 10.0 if self._hand.leads else 0.0

    def look(self) -> Leadership:
        return Leadership(name="prod", identity="pod-b", holder="pod-a", why="is held by pod-a")


@pytest.fixture
def hand() -> Hand:
    return Hand()


async def test_before_the_first_pass_nothing_is_known(hand: Hand) -> None:
    health = hand.pulse.look()
    assert (health.fleets, health.passes, health.succeeded_at) == ((), (), None)
    assert (health.taken_at, health.began_at, health.version, health.interval) == (1000.0, 1000.0, "1", 60.0)


@pytest.mark.parametrize(
    ("plans", "faults", "result"),
    [
        ((CONVERGED,), {}, PassResult.OK),
        ((MIXED,), {}, PassResult.OK),
        ((BLIND,), {}, PassResult.PARTIAL),
        ((UNSEEN,), {}, PassResult.FAILED),
        ((CONVERGED,), {"test": LOST}, PassResult.FAILED),
        ((), {"": LOST}, PassResult.FAILED),
        ((), {}, PassResult.OK),
    ],
)
async def test_a_pass_went_as_well_as_the_fleet_that_went_worst(
    hand: Hand, plans: tuple[Plan, ...], faults: Mapping[str, Fault], result: PassResult
) -> None:
    await hand.passes(*plans, faults=faults)
    health = hand.pulse.look()
    assert health.passes[0].result is result
    assert (health.succeeded_at is None) is (result is PassResult.FAILED)
    assert health.tallies.passes == {result: 1}


async def test_a_failed_pass_leaves_when_one_last_went_well_and_says_why(hand: Hand) -> None:
    await hand.passes(CONVERGED)
    well = hand.at
    await hand.passes(faults={"prod": LOST})
    health = hand.pulse.look()
    assert health.succeeded_at == well
    assert health.passes[0].why == "prod: crashed: KeyError: 1"


async def test_a_fleet_that_breaks_off_keeps_what_was_last_seen_of_it(hand: Hand) -> None:
    await hand.passes(CONVERGED)
    seen = hand.at
    await hand.passes(faults={"prod": LOST})
    (fleet,) = hand.pulse.look().fleets
    assert fleet.fault == LOST
    assert fleet.report is not None
    assert (fleet.looked_at, fleet.in_sync_at) == (seen, seen)


async def test_a_pass_that_saw_no_documents_forgets_no_fleet_and_one_without_it_does(hand: Hand) -> None:
    await hand.passes(CONVERGED)
    await hand.passes(faults={"": LOST})
    assert [each.name for each in hand.pulse.look().fleets] == ["prod"]
    assert hand.pulse.look().fault == LOST
    await hand.passes()
    assert hand.pulse.look().fleets == ()
    assert hand.pulse.look().fault is None


def asked(hand: Hand, **more: object) -> CycleReport:
    return replace(report(CONVERGED, began=hand.at, ended=hand.at + 2), **more)  # type: ignore[arg-type]


SWEDEN, WEST = healths.pool(), healths.pool("westeurope")


async def test_quota_is_remembered_of_each_region_from_the_last_pass_that_asked_about_it(hand: Hand) -> None:
    await hand.passes(replace(MIXED, ledger=Ledger(pools=(SWEDEN, WEST), strays=("x",))))
    first = hand.at
    await hand.passes(CONVERGED)
    fuller = replace(WEST, used=299)
    await hand.passes(asked(hand, ledger=Ledger(pools=(fuller,))))
    second = hand.at
    (fleet,) = hand.pulse.look().fleets
    assert fleet.ledger == Ledger(pools=(SWEDEN, fuller), strays=("x",))
    assert fleet.measured == {"swedencentral": first, "westeurope": second}
    assert fleet.measured_at == first


async def test_of_a_region_that_cannot_be_asked_about_the_old_is_kept_and_of_one_that_was_left_nothing(
    hand: Hand,
) -> None:
    await hand.passes(asked(hand, ledger=Ledger(pools=(SWEDEN, WEST))))
    first = hand.at
    await hand.passes(asked(hand, ledger=Ledger(unread={"westeurope": LOST})))
    (fleet,) = hand.pulse.look().fleets
    assert fleet.ledger == Ledger(pools=(SWEDEN, WEST), unread={"westeurope": LOST})
    assert fleet.measured == {"swedencentral": first, "westeurope": first}
    await hand.passes(asked(hand, regions=frozenset({"swedencentral"})))
    (fleet,) = hand.pulse.look().fleets
    assert (fleet.ledger, fleet.measured) == (Ledger(pools=(SWEDEN,)), {"swedencentral": first})
    await hand.passes(asked(hand, ledger=Ledger(pools=(WEST,))))
    (fleet,) = hand.pulse.look().fleets
    assert fleet.measured == {"swedencentral": first, "westeurope": hand.at}


async def test_steps_are_counted_by_how_they_ended_and_never_twice(hand: Hand) -> None:
    done = report(MIXED, outcome(CREATE_STEP, Result.DONE), outcome(DELETE_STEP, Result.FAILED))
    await hand.passes(done)
    await hand.passes(done)
    health = hand.pulse.look()
    assert health.tallies.actions == {("prod", "create", "done"): 2, ("prod", "delete", "failed"): 2}
    assert (health.passes[0].writes, health.passes[0].failed, health.passes[0].requests) == (1, 1, 17)


async def test_durations_fall_into_every_bucket_that_is_long_enough(hand: Hand) -> None:
    await hand.passes(CONVERGED)
    durations = hand.pulse.look().tallies.durations
    assert (durations.number, durations.seconds) == (1, 2.0)
    assert durations.within == (0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)


async def test_only_so_many_passes_are_kept_the_newest_first(hand: Hand) -> None:
    for _ in range(50):
        await hand.passes(CONVERGED)
    kept = hand.pulse.look().passes
    assert len(kept) == 30
    assert kept[0].ended > kept[1].ended


async def test_silence_lasts_from_the_last_sign_of_life_whatever_it_was(hand: Hand) -> None:
    hand.pulse.heard(("interval",))
    hand.at += 100
    assert hand.pulse.look().silence == 100
    hand.traffic = Traffic(answers={"200": 1}, answered_at=hand.monotonic() - 5)
    assert hand.pulse.look().silence == 5
    assert hand.pulse.look().tallies.requests == {"200": 1}


async def test_whoever_stands_by_is_in_no_pass_and_beats_all_the_same(hand: Hand) -> None:
    hand.leads = False
    hand.at += 100
    hand.pulse.heard(("interval",))
    health = hand.pulse.look()
    assert (health.leads, health.passing_since, health.silence) == (False, None, 0.0)
    assert health.leadership is not None
    assert health.leadership.told == "the lease prod is held by pod-a"
    assert health.tallies.triggers == {"interval": 1}
    hand.leads = True


async def test_a_pass_that_is_under_way_says_since_when(hand: Hand) -> None:
    hand.pulse.heard(("files", "interval"))
    hand.at += 9
    assert hand.pulse.look().passing_since == 1000.0
    await hand.passes(CONVERGED)
    assert hand.pulse.look().passing_since is None


async def test_what_stops_it_is_asked_when_somebody_looks(hand: Hand) -> None:
    hand.stopping = "the daemon is stopping"
    assert hand.pulse.look().stopping == "the daemon is stopping"


async def test_a_health_that_was_taken_does_not_change_any_more(hand: Hand) -> None:
    await hand.passes(CONVERGED)
    taken = hand.pulse.look()
    before = repr(taken)
    await hand.passes(MIXED)
    assert repr(taken) == before


async def test_a_fleet_that_takes_longer_than_a_pass_keeps_what_is_known_of_it(hand: Hand) -> None:
    await hand.passes(CONVERGED)
    seen = hand.at
    await hand.passes(under_way=("prod",))
    health = hand.pulse.look()
    (fleet,) = health.fleets
    assert (fleet.under_way, fleet.looked_at, fleet.fault) == (True, seen, None)
    assert fleet.report is not None
    assert health.succeeded_at == hand.at
    await hand.passes(CONVERGED)
    assert not hand.pulse.look().fleets[0].under_way


async def test_no_pass_went_well_while_a_fleet_was_not_seen_yet_or_not_for_long(hand: Hand) -> None:
    await hand.passes(under_way=("prod",))
    assert hand.pulse.look().succeeded_at is None
    await hand.passes(CONVERGED)
    well = hand.pulse.look().succeeded_at
    hand.at += 500
    await hand.passes(under_way=("prod",))
    assert hand.pulse.look().succeeded_at == well
