"""Law: what soft-deleted accounts hold is freed one account at a time, no more of it than it takes, and never what was
somebody else's.

The counting is the simulation's own, which shares no code with the product. There, what was purged comes back late.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from armsim.clock import EPOCH, iso_fine
from reconciler.apply import Budget
from reconciler.cycle import CycleRequest, converge, run_cycle
from reconciler.model.outcome import CycleReport, Result
from reconciler.model.plan import Action, DecisionState, Plan, Verb
from reconciler.model.resource import Fleet
from tests.laws.stage import Document, Stage, failures, stage, told
from tests.laws.test_quota import POOLS, REGION, Account, World, body, documents, held, owned_group, refused, used
from tests.support.virtual_time import run

pytestmark = pytest.mark.virtual_time

CASES = int(os.environ.get("RECONCILER_LAW_EXAMPLES", "25"))
POOL = "OpenAI.GlobalStandard.gpt-4o"
LATE = 120.0
BLOCKING: Document = {"policy": "blocking"}


def buried(azure: Stage, name: str, account: Account | int, owner: str = "", hours: float = 5) -> dict[str, Any]:
    """A soft-deleted account with its deployments, or with so many units of the first model; deleted so long ago."""
    found: Account = {"d0": (0, account)} if isinstance(account, int) else account
    return {**body(azure, name, found, owner), "deletionDate": iso_fine(EPOCH - hours * 3600)}


async def seed_full(azure: Stage, *deleted: dict[str, Any], limit: int) -> None:
    await azure.set(purge_returns=LATE)
    await azure.seed_world(
        resources=[owned_group(azure)],
        deletedAccounts=list(deleted),
        limits={azure.sim.subscription_id: {REGION: {POOLS[0]: limit}}},
    )


async def seed_region(azure: Stage) -> None:
    """A region that is full of three soft-deleted accounts of ours and of one of somebody else."""
    await seed_full(
        azure,
        buried(azure, "first", 100, "law", hours=9),
        buried(azure, "second", 100, "law", hours=8),
        buried(azure, "third", 100, "law", hours=7),
        buried(azure, "theirs", 100, hours=20),
        limit=400,
    )


def wanting(units: int, purge: object = BLOCKING, **spec: object) -> list[Document]:
    first, *rest = documents({"new": {"d0": (0, units)}})
    return [{**first, "spec": {**first["spec"], "purge": purge, **spec}}, *rest]


def purged(reports: Sequence[CycleReport]) -> list[str]:
    """The accounts that a run purged, in order."""
    outcomes = [outcome for report in reports for outcome in report.outcomes if outcome.result is Result.DONE]
    return [outcome.step.id.name for outcome in outcomes if outcome.step.verb is Verb.PURGE]


async def left_buried(azure: Stage) -> list[str]:
    state = await azure.sim.control("GET", "/_sim/state")
    return sorted(each["account"]["id"].rpartition("/")[2] for each in state["graves"])


def purges_in(plan: Plan) -> dict[str, tuple[DecisionState, int]]:
    """The accounts that a plan purges or may purge, with the most that each can free."""
    found = [each for each in plan.decisions if each.action is Action.PURGE]
    return {each.id.name: (each.state, each.frees.get(POOL, 0)) for each in found}


async def test_a_full_region_is_purged_one_account_at_a_time_until_what_is_wanted_fits(azure: Stage) -> None:
    await seed_region(azure)
    fleet = azure.load(wanting(150))
    before = await azure.fingerprint()
    plan = await azure.dry_run(fleet)
    assert await azure.fingerprint() == before
    assert purges_in(plan) == {
        "first": (DecisionState.ACT, 400),
        "second": (DecisionState.IN_PROGRESS, 400),
        "third": (DecisionState.IN_PROGRESS, 400),
    }
    reasons = {each.id.name: each.reason for each in plan.decisions}
    assert reasons["first"] == (
        "may hold quota that Account/new/deployments/d0 waits for: at most 400 of OpenAI.GlobalStandard.gpt-4o, which "
        "all that is soft-deleted in swedencentral can hold together; an account of fleet law is purged for good"
    )
    assert reasons["second"].startswith("only if what DeletedAccount/first gives back is not enough; may hold quota ")
    assert reasons["d0"] == (
        "waits for the purge of DeletedAccount/first, and for usages to show what that gives back: asks 150 of gpt-4o "
        "GlobalStandard in swedencentral"
    )
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert purged(reports) == ["first", "second"]
    assert await left_buried(azure) == ["theirs", "third"]
    assert await refused(azure) == []
    assert await used(azure) == {POOLS[0]: 350}
    becauses = [each.because for report in reports for each in report.outcomes if each.step.verb is Verb.PURGE]
    assert all(each.startswith(f"gave back 100 of {POOL} after 1") for each in becauses), becauses
    assert any("waits for usages to show what it gave back" in why for _, why, _ in azure.watched.waits)
    await azure.forget()
    assert len(await azure.converge(fleet)) == 1
    assert await azure.writes() == []


BY_HAND = (
    "purge what is soft-deleted there (theirs, first, second and 1 more), which frees 400 at most, by hand: reconciler "
    "purge theirs (it did not carry this fleet's tag, nor does Fleet spec.purge.names name it)"
)


@pytest.mark.parametrize(
    ("purge", "spec", "way"),
    [
        ("never", {"allow": []}, ": set Fleet spec.purge to blocking and add purge to spec.allow of the Fleet, or rec"),
        ("blocking", {"allow": []}, "frees 400 at most: add purge to spec.allow of the Fleet, or reconciler purge fi"),
        ({"policy": "blocking", "minimumAge": "2d"}, {}, BY_HAND),
    ],
)
async def test_what_may_not_be_purged_blocks_with_the_sentence_how_to_permit_it(
    azure: Stage, purge: object, spec: dict[str, object], way: str
) -> None:
    await seed_region(azure)
    reports = await azure.converge(azure.load(wanting(150, purge, **spec)))
    (blocked,) = [each for each in reports[-1].plan.decisions if each.state is DecisionState.BLOCKED]
    assert blocked.code == "insufficient_quota"
    assert way in blocked.permit
    assert len(await left_buried(azure)) == 4


async def test_no_more_are_purged_in_one_run_than_the_fleet_says(azure: Stage) -> None:
    await seed_region(azure)
    fleet = azure.load(wanting(150, {"policy": "blocking", "most": 1}))
    reports = await azure.converge(fleet)
    assert purged(reports) == ["first"]
    (blocked,) = [each for each in reports[-1].plan.decisions if each.state is DecisionState.BLOCKED]
    assert (
        "which frees 300 at most; no more than 1 are purged in one run: run it again, or raise spec.purge.most"
    ) in blocked.permit
    assert purged(await azure.converge(fleet)) == ["second"]


async def test_nothing_is_purged_where_all_of_it_would_not_be_enough(azure: Stage) -> None:
    await seed_region(azure)
    reports = await azure.converge(azure.load(wanting(401)))
    assert purged(reports) == []
    (blocked,) = [each for each in reports[-1].plan.decisions if each.state is DecisionState.BLOCKED]
    assert "purges can free 400 at most: 400 left for it" in blocked.reason


async def test_a_stranger_named_by_a_pattern_may_be_purged(azure: Stage) -> None:
    await seed_full(azure, buried(azure, "theirs", 100), buried(azure, "fleet-b", 100, "other"), limit=200)
    fleet = azure.load(wanting(60, {"policy": "blocking", "names": ["the?rs", "fleet-*"]}))
    assert purged(await azure.converge(fleet)) == ["theirs"]
    assert await left_buried(azure) == ["fleet-b"], "what another fleet owned never goes"


async def test_always_purges_what_is_old_enough_without_anybody_needing_it(azure: Stage) -> None:
    await seed_full(
        azure,
        *(buried(azure, f"old{hours}", 1, "law", hours=hours) for hours in (5, 9, 7)),
        buried(azure, "young", 1, "law", hours=0.5),
        buried(azure, "theirs", 1),
        limit=400,
    )
    fleet = azure.load(wanting(5, {"policy": "always", "most": 2}))
    plan = await azure.dry_run(fleet)
    (left,) = [each for each in plan.decisions if each.state is DecisionState.IGNORED]
    assert (left.id.name, left.reason) == ("old5", "no more than 2 are purged in one run (Fleet spec.purge.most)")
    reports = await azure.converge(fleet)
    assert sorted(purged(reports)) == ["old7", "old9"]
    assert reports[-1].plan.converged


async def test_whoever_holds_a_wanted_name_or_subdomain_is_purged_where_it_is_in_the_way(azure: Stage) -> None:
    holder = buried(azure, "holder", {}, "law")
    holder["properties"] = {**holder["properties"], "customSubDomainName": "aoai-sub"}
    await seed_full(azure, buried(azure, "new", {}, "law"), holder, buried(azure, "idle", {}, "law"), limit=400)
    first, *rest = wanting(5)
    sub = {**rest[-1], "metadata": {"name": "other"}, "spec": {**rest[-1]["spec"], "customSubDomainName": "aoai-sub"}}
    fleet = azure.load([first, *rest, {**sub, "spec": {**sub["spec"], "deployments": []}}])
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert sorted(purged(reports)) == ["holder", "new"]
    assert await left_buried(azure) == ["idle"]


async def test_what_a_document_wants_restored_is_not_purged_for_what_it_holds(azure: Stage) -> None:
    await seed_full(azure, buried(azure, "wanted", 100, "law", hours=30), buried(azure, "old", 50, "law"), limit=150)
    first, group, new = wanting(40, softDeleted="restore")
    wanted = {**new, "metadata": {"name": "wanted"}, "spec": {**new["spec"], "deployments": []}}
    reports = await azure.converge(azure.load([first, group, new, wanted]))
    assert purged(reports) == ["old"]


async def cut_off(azure: Stage, fleet: Fleet, seconds: float) -> None:
    """A run that ends where it stands, as a killed one does."""
    async with azure.world(fleet) as world:
        run_ = asyncio.timeout(seconds)
        with suppress(TimeoutError):
            async with run_:
                await converge(world, fleet, CycleRequest(budget=Budget(seconds=3600.0)))


async def test_a_run_that_was_cut_off_in_the_wait_is_gone_on_with_and_purges_no_more_for_it(azure: Stage) -> None:
    await seed_region(azure)
    fleet = azure.load(wanting(150))
    await cut_off(azure, fleet, 75.0)
    assert any("waits for usages" in why for _, why, _ in azure.watched.waits)
    assert await left_buried(azure) == ["second", "theirs", "third"]
    plan = await azure.dry_run(fleet)
    waiting = {each.id.name: each.reason for each in plan.decisions if each.state is DecisionState.IN_PROGRESS}
    assert waiting["d0"] == (
        "waits for usages to show what was purged in swedencentral gives back: asks 150 of gpt-4o GlobalStandard in "
        "swedencentral"
    )
    assert waiting["second"].startswith("only if what was purged before gives back is not enough; ")
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert purged(reports) == ["second"]
    assert await left_buried(azure) == ["theirs", "third"]


async def test_time_that_runs_out_in_the_wait_is_remembered_and_purges_nothing_more(azure: Stage) -> None:
    await seed_region(azure)
    fleet = azure.load(wanting(150))
    async with azure.world(fleet) as world:
        first = await run_cycle(world, fleet, CycleRequest(budget=Budget(seconds=60.0)))
        (outcome,) = [each for each in first.outcomes if each.step.verb is Verb.PURGE]
        assert outcome.result is Result.IN_PROGRESS
        assert outcome.because == f"purged; usages do not show yet what it gave back of {POOL}"
        second = await run_cycle(world, fleet, CycleRequest(budget=Budget(seconds=60.0), memory=first.memory))
        assert not [each for each in second.plan.steps if each.verb is Verb.PURGE]
        await azure.clock.sleep(600.0)
        third = await run_cycle(world, fleet, CycleRequest(budget=Budget(seconds=600.0), memory=second.memory))
    assert [each.id.name for each in third.plan.steps if each.verb is Verb.PURGE] == ["second"]


async def test_an_account_that_held_nothing_is_seen_to_have_and_the_next_one_goes(azure: Stage) -> None:
    await seed_full(
        azure, buried(azure, "empty", {}, "law", hours=9), buried(azure, "full", 400, "law", hours=8), limit=400
    )
    reports = await azure.converge(azure.load(wanting(10)))
    assert reports[-1].plan.converged
    assert purged(reports) == ["empty", "full"]
    because = next(each.because for report in reports for each in report.outcomes if each.step.id.name == "empty")
    assert because == f"gave back its place among the accounts of the region, and nothing of {POOL}"


async def test_a_purge_that_azure_refuses_ends_the_run_and_takes_no_other_account_instead(azure: Stage) -> None:
    await seed_region(azure)
    match = {"path": "/deletedAccounts/first$", "method": "DELETE"}
    await azure.fault(kind="status", match=match, status=403, code="AuthorizationFailed", count=-1)
    reports = await azure.converge(azure.load(wanting(150)))
    assert purged(reports) == []
    assert len(await left_buried(azure)) == 4
    (outcome,) = [each for each in reports[-1].outcomes if each.step.verb is Verb.PURGE]
    assert outcome.result is Result.BLOCKED
    assert len(reports) < 8


@dataclass(frozen=True)
class Grave:
    """A soft-deleted account: whose it was, how long ago it was deleted, and what it holds of both pools."""

    owner: str
    hours: float
    units: tuple[int, int]


GRAVES = st.lists(
    st.builds(
        Grave,
        owner=st.sampled_from(["law", "law", "", "other"]),
        hours=st.sampled_from([0.2, 2.0, 3.0, 5.0]),
        units=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    ),
    max_size=5,
)
UNITS = st.tuples(st.integers(0, 1), st.integers(1, 60))
ACCOUNTS = st.dictionaries(st.sampled_from(["d0", "d1"]), UNITS, max_size=2)
WORLDS = st.fixed_dictionaries(dict.fromkeys(("a0", "a1"), ACCOUNTS))


@dataclass(frozen=True)
class Case:
    before: World
    after: World
    theirs: Account
    graves: list[Grave]
    spare: tuple[int, int]
    most: int

    def deployments(self, number: int) -> Account:
        units = self.graves[number].units
        return {f"d{model}": (model, each) for model, each in enumerate(units) if each}


CASE = st.builds(
    Case,
    before=WORLDS,
    after=WORLDS,
    theirs=ACCOUNTS,
    graves=GRAVES,
    spare=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    most=st.sampled_from([1, 9, 9]),
)


async def assert_sparing(azure: Stage, case: Case) -> None:
    dead = {f"g{number}": case.deployments(number) for number in range(len(case.graves))}
    everybody = {**case.before, "theirs": case.theirs, **dead}
    limits = {pool: max(1, held(everybody)[pool] + more) for pool, more in zip(POOLS, case.spare, strict=True)}
    await azure.set(purge_returns=LATE)
    await azure.seed_world(
        resources=[
            owned_group(azure),
            *(body(azure, name, account, "law") for name, account in case.before.items()),
            body(azure, "theirs", case.theirs),
        ],
        deletedAccounts=[
            buried(azure, f"g{number}", case.deployments(number), each.owner, each.hours)
            for number, each in enumerate(case.graves)
        ],
        limits={azure.sim.subscription_id: {REGION: limits}},
    )
    first, *rest = documents(case.after)
    policy = {"policy": "blocking", "most": case.most}
    fleet = azure.load([{**first, "spec": {**first["spec"], "purge": policy}}, *rest])
    reports = await azure.converge(fleet)
    assert await refused(azure) == []
    gone = purged(reports)
    assert len(gone) <= case.most
    may_go = [f"g{number}" for number, each in enumerate(case.graves) if each.owner == "law" and each.hours >= 1]
    order = sorted(may_go, key=lambda name: (-case.graves[int(name[1:])].hours, name))
    assert gone == order[: len(gone)], "the one deleted first goes first, and nobody else"
    last = reports[-1].plan
    assert not last.steps, told(last)
    for report in reports:
        assert_needed(report)
    if gone and last.converged:
        counted, had = await used(azure), held({"": dead[gone[-1]]})
        assert any(counted.get(pool, 0) + had[pool] > limits[pool] for pool in POOLS), "the last one had to go"
    if case.most > len(case.graves):
        await azure.forget()
        assert len(await azure.converge(fleet)) == 1
        assert await azure.writes() == []


def assert_needed(report: CycleReport) -> None:
    """At the moment of a purge somebody asks for more of a pool than there is, and for no more than all can free."""
    if not [each for each in report.plan.steps if each.verb is Verb.PURGE]:
        return
    assert report.plan.ledger is not None
    waiting = [each.reason for each in report.plan.decisions if each.reason.startswith("waits for the purge of ")]
    asked = [re.search(r": asks (\d+)(?: more)? of (\S+) ", reason) for reason in waiting]
    pools = {pool.usage.lower(): pool for pool in report.plan.ledger.pools}
    for model, usage in (("gpt-4o", POOLS[0]), ("gpt-4.1", POOLS[1])):
        needed, pool = sum(int(each[1]) for each in asked if each and each[2] == model), pools[usage]
        if needed:
            # Those who wait may have something to give to each other as well.
            assert pool.left_after < needed <= pool.left_after + pool.residue + pool.ours, waiting
    assert waiting


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(case=CASE)
def test_nothing_is_purged_that_did_not_have_to_be_and_nothing_is_refused(case: Case) -> None:
    async def tried() -> None:
        async with stage() as azure:
            await assert_sparing(azure, case)

    run(tried())
