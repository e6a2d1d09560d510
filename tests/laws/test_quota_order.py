"""Law: quota is given back before it is taken, and nobody has less on the way than before or afterwards.

What was stored after each write is read from the simulation's own journal, and so is what it counts.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from armsim.settings import Settings
from reconciler.model.plan import Decision, DecisionState
from tests.laws.fleets import shuffled
from tests.laws.quota_worlds import (
    OFFERS,
    POOLS,
    REGIONS,
    SPARE,
    Account,
    Member,
    Pool,
    World,
    documents,
    held,
    seed,
    worlds,
)
from tests.laws.stage import (
    Stage,
    stage,
    told,
)
from tests.laws.test_kills import Killed, kill_at
from tests.support.virtual_time import run

CASES = int(os.environ.get("RECONCILER_LAW_EXAMPLES", "60"))


class Watch:
    """What the simulation stores from now on, version by version."""

    def __init__(self, azure: Stage) -> None:
        self._azure = azure
        self._began = len(azure.sim.world.journal)

    def histories(self) -> dict[str, list[int]]:
        """The capacities of each deployment that changed, 0 where there was none, by `account/name`."""
        world = self._azure.sim.world
        found: dict[str, list[int]] = defaultdict(list)
        for entry in [*world.journal][self._began :]:
            if "/deployments/" in entry.key:
                found[_short(entry.key)].append(entry.before.body["sku"]["capacity"] if entry.before else 0)
        for key, resource in world.resources.items():
            if (name := _short(key)) in found:
                found[name].append(resource.body["sku"]["capacity"])
        return found


def _short(key: str) -> str:
    account, _, name = key.rpartition("/accounts/")[2].partition("/deployments/")
    return f"{account}/{name}"


def find_floors(before: World, after: World) -> Iterator[tuple[str, int]]:
    """Below what each deployment never is that lives before and afterwards and need not go in between."""
    for name, account in before.items():
        wanted = after.get(name)
        for each, member in account.members.items():
            then = wanted.members.get(each) if wanted and wanted.fixed == account.fixed else None
            if then and then.fixed == member.fixed:
                yield f"{name}/{each}", min(member.units, then.units)


def find_unchanged(before: World, after: World) -> Iterator[str]:
    for name, account in before.items():
        wanted = after.get(name)
        if wanted and wanted.fixed == account.fixed:
            yield from (
                f"{name}/{each}" for each, member in account.members.items() if wanted.members.get(each) == member
            )


async def sent(azure: Stage) -> Counter[str]:
    """The writes that each deployment was sent."""
    return Counter(_short(each["path"].lower()) for each in await azure.writes() if "/deployments/" in each["path"])


async def refused(azure: Stage) -> list[Any]:
    """Writes that Azure has not taken."""
    return [each for each in await azure.writes() if each["status"] >= 400]


def stored(azure: Stage) -> dict[str, Account]:
    """What lives, as the simulation has it."""
    found = {}
    for id, body in azure.resources().items():
        if body.get("type", "").lower() == "microsoft.cognitiveservices/accounts":
            domain = body["properties"]["customSubDomainName"].rpartition("-")[2]
            prefix = f"{id}/deployments/"
            below = {
                key.removeprefix(prefix): each for key, each in azure.resources().items() if key.startswith(prefix)
            }
            members = {name: _read(each) for name, each in below.items()}
            found[body["name"]] = Account(body["location"], domain, members)
    return found


def _read(body: dict[str, Any]) -> Member:
    model = body["properties"]["model"]
    said = (model["name"], model["version"], body["sku"]["name"])
    return Member([offer[:3] for offer in OFFERS].index(said), body["sku"]["capacity"])


async def left(azure: Stage, limits: Mapping[Pool, int]) -> dict[Pool, float]:
    state = await azure.sim.control("GET", "/_sim/state")
    used = {(location, pool): amount for _, location, pool, amount in state["usages"]}
    return {pool: limit - used.get(pool, 0) for pool, limit in limits.items()}


async def assert_given_before_taken(
    azure: Stage, these: tuple[World, World, World], spare: tuple[int, ...]
) -> Counter[str]:
    """One run to its end; the writes that each deployment was sent."""
    before, after, theirs = these
    limits = await seed(azure, before, theirs, spare)
    fleet, watch = azure.load(documents(after)), Watch(azure)
    reports = await azure.converge(fleet)
    assert await refused(azure) == []
    last = reports[-1].plan
    assert not last.steps, told(last)

    histories = watch.histories()
    for name, floor in find_floors(before, after):
        assert min(histories.get(name, [floor])) >= floor, (name, histories[name], floor)
    writes = await sent(azure)
    assert not [name for name in find_unchanged(before, after) if writes[name]]
    assert max(writes.values(), default=0) <= 2 * len(reports), writes

    room, now = await left(azure, limits), stored(azure)
    for decision in last.decisions:
        if decision.state is DecisionState.BLOCKED:
            assert_blocked_for_want(decision, now, after, room)
    await azure.forget()
    assert len(await azure.converge(fleet)) == 1
    assert await azure.writes() == []
    return writes


def assert_blocked_for_want(
    decision: Decision, now: Mapping[str, Account], after: World, room: Mapping[Pool, float]
) -> None:
    """What was left out would not fit even now: a deployment by itself, or all that goes and comes with an account."""
    name, here, wanted = decision.id.top.name, now[decision.id.top.name], after[decision.id.top.name]
    if here.fixed != wanted.fixed and (decision.code == "needs" or decision.id.name in here.members):
        more = held(
            {
                name: Account(
                    *wanted.fixed, {each: wanted.members[each] for each in here.members if each in wanted.members}
                )
            }
        )
        more.subtract(held({name: here}))
        assert any(units > room[pool] for pool, units in more.items()), decision.reason
        return
    assert decision.code == "insufficient_quota", decision
    each = decision.id.name
    pool = (here.region, OFFERS[wanted.members[each].offer][3])
    had = here.members[each].units if each in here.members and here.pool_of(each) == pool else 0
    assert wanted.members[each].units - had > room[pool], decision.reason


async def case(these: tuple[World, World, World], spare: tuple[int, ...]) -> None:
    # What a purge gives back, usages show late.
    async with stage(Settings(purge_returns=600.0)) as azure:
        await assert_given_before_taken(azure, these, spare)


# Not shrunk: each try is a whole converge, and what fails here is readable as it is.
@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(
    these=worlds(),
    spare=SPARE,
)
def test_no_write_is_refused_and_nobody_has_less_on_the_way(
    these: tuple[World, World, World], spare: tuple[int, ...]
) -> None:
    run(case(these, spare))


TEN = tuple((f"a{number}", f"d{each}") for number in range(5) for each in range(2))


def ten(members: list[Member]) -> dict[str, Account]:
    """Ten deployments in five accounts of one region."""
    found: dict[str, dict[str, Member]] = defaultdict(dict)
    for (account, name), member in zip(TEN, members, strict=True):
        found[account][name] = member
    return {name: Account(REGIONS[0], "x", each) for name, each in found.items()}


async def reshuffle(before: list[Member], after: list[Member], data: st.DataObject) -> None:
    spare = tuple(0 if pool == (REGIONS[0], OFFERS[0][3]) else 60 for pool in POOLS)
    async with stage() as azure:
        await seed(azure, ten(before), {}, spare)
        orders = documents(ten(after)), shuffled(documents(ten(after)), data)
        digests = {(await azure.dry_run(azure.load(each))).digest for each in orders}
        assert len(digests) == 1
    async with stage() as azure:
        writes = await assert_given_before_taken(azure, (ten(before), ten(after), {}), spare)
        assert azure.watched.plans[0].digest in digests
        assert stored(azure) == ten(after)
    # Two writes where both version and capacity change, and not one more than it takes.
    for (account, name), had, wanted in zip(TEN, before, after, strict=True):
        assert writes[f"{account}/{name}"] == (had.offer != wanted.offer) + (had.units != wanted.units)


@settings(
    max_examples=max(4, CASES // 3),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(
    units=st.lists(st.integers(1, 90), min_size=10, max_size=10),
    order=st.permutations(range(10)),
    versions=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=10, max_size=10),
    data=st.data(),
)
def test_a_full_pool_is_reshuffled_between_ten_deployments_and_nobody_falls_below_their_floor(
    units: list[int], order: list[int], versions: list[tuple[int, int]], data: st.DataObject
) -> None:
    """Every unit is taken before and after; some change their version at the same time."""
    before = [Member(version, each) for each, (version, _) in zip(units, versions, strict=True)]
    after = [Member(version, units[at]) for at, (_, version) in zip(order, versions, strict=True)]
    run(reshuffle(before, after, data))


@pytest.mark.virtual_time
async def test_two_deployments_that_fill_two_pools_exchange_them(azure: Stage) -> None:
    before = {"a0": Account(REGIONS[0], "x", {"d0": Member(0, 50), "d1": Member(2, 50)})}
    after = {"a0": Account(REGIONS[0], "x", {"d0": Member(2, 50), "d1": Member(0, 50)})}
    await assert_given_before_taken(azure, (before, after, {}), (0,) * len(POOLS))
    assert stored(azure) == after


@pytest.mark.virtual_time
async def test_two_deployments_of_which_one_would_not_fit_exchange_nothing(azure: Stage) -> None:
    before = {"a0": Account(REGIONS[0], "x", {"d0": Member(0, 50), "d1": Member(2, 50)})}
    after = {"a0": Account(REGIONS[0], "x", {"d0": Member(2, 51), "d1": Member(0, 50)})}
    await assert_given_before_taken(azure, (before, after, {}), (0,) * len(POOLS))
    assert stored(azure) == before


@pytest.mark.virtual_time
@pytest.mark.parametrize("settings", [Settings(purge_returns=600.0)], ids=["late"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_replaced_account_of_a_full_region_is_finished_by_the_next_process_wherever_the_last_one_ended(
    azure: Stage, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    before = {
        "a0": Account(REGIONS[0], "x", {"d0": Member(0, 50), "d1": Member(0, 20)}),
        "a1": Account(REGIONS[0], "x", {"d0": Member(0, 10)}),
    }
    after = {
        "a0": Account(REGIONS[0], "y", {"d0": Member(0, 20), "d1": Member(0, 20)}),
        "a1": Account(REGIONS[0], "x", {"d0": Member(0, 40)}),
    }
    await seed(azure, before, {}, (0,) * len(POOLS))
    began = await azure.sim.control("GET", "/_sim/state")
    fleet_of_it, *members = documents(after)
    fleet = azure.load([{**fleet_of_it, "spec": {**fleet_of_it["spec"], "softDeleted": "purge"}}, *members])
    await azure.converge(fleet)
    assert stored(azure) == after
    number = len(await azure.writes())
    assert number == 8
    for at in range(number):
        began["now"] = azure.sim.clock.now()
        await azure.sim.control("PUT", "/_sim/state", began)
        with monkeypatch.context() as patch:
            kill_at(patch, at, when)
            with pytest.raises(BaseExceptionGroup) as ended:
                await azure.converge(fleet)
        assert ended.value.split(Killed)[1] is None
        await azure.forget()
        reports = await azure.converge(fleet)
        assert reports[-1].plan.converged, (at, told(reports[-1].plan))
        assert stored(azure) == after, f"killed {when} write {at}"
        # The purge that nobody waited for may keep the name a while longer; nothing is refused for quota.
        assert {each["status"] for each in await refused(azure)} <= {409}, f"killed {when} write {at}"
