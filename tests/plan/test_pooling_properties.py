"""Any pools, any plain and elastic deployments, any limits: in whatever order the writes are done nothing is overdrawn,
nobody gets more than is wanted, and a second plan has nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.kinds import deployment as deployments
from reconciler.model.resource import Cap, Fleet
from reconciler.plan import make_plan
from tests.plan.markets import ready
from tests.plan.pools import REGIONS, empty_azure, fleet_with, held_in, pool, quotas_of, spread_of, units_of
from tests.support.builders import EVERY_WORD, PlainAzure, Spec, deployment_spec

SKUS = ("DataZoneStandard", "Standard")
ANY_NUMBER = Cap(count=1000, percent=100)

TYPES = st.permutations(SKUS).flatmap(lambda order: st.sampled_from([order, order[:1]]))
WISHES = st.fixed_dictionaries(
    {
        "tpm": st.integers(1, 150),
        "types": st.permutations(SKUS).flatmap(lambda each: st.sampled_from([each, each[:1]])),
    },
    optional={
        "maxSharePerRegion": st.sampled_from([34, 50, 70]),
        "minRegions": st.integers(1, 3),
        "regions": st.lists(st.sampled_from(sorted(REGIONS.values())), min_size=1, unique=True),
    },
)
OWN = st.none() | st.integers(1, 60) | st.tuples(st.integers(1, 60), st.integers(1, 60))
PLAINS = st.fixed_dictionaries(dict.fromkeys(REGIONS, OWN))
LIMITS = st.fixed_dictionaries(
    {name: st.fixed_dictionaries({sku: st.integers(0, 90) for sku in SKUS}) for name in REGIONS}
)
WORLDS = st.tuples(st.lists(WISHES, min_size=1, max_size=2), PLAINS)
PERMITS = st.sampled_from([EVERY_WORD, EVERY_WORD, EVERY_WORD - {"delete"}, EVERY_WORD - {"capacityCut"}, frozenset()])


def own(wish: int | tuple[int, int] | None) -> Spec:
    if wish is None:
        return {}
    capacity: Any = wish if isinstance(wish, int) else {"want": max(wish), "min": min(wish)}
    return {"deployments": [deployment_spec("own", 0, sku={"name": "Standard", "capacity": capacity})]}


def fleet_for(world: tuple[list[dict[str, Any]], Mapping[str, Any]], allow: frozenset[str] = EVERY_WORD) -> Fleet:
    wishes, plains = world
    pools = []
    for number, wish in enumerate(wishes):
        more = {key: value for key, value in wish.items() if key not in ("tpm", "types")}
        pools.append(pool(f"{wish['tpm']}k", *wish["types"], name=f"p{number}", **more))
    accounts = {name: own(wish) for name, wish in plains.items()}
    return fleet_with(*pools, accounts=accounts, allow=allow, deletes=ANY_NUMBER, prune=PRUNE)


PRUNE = frozenset({deployments.TYPE.arm_type.lower()})


def used(azure: PlainAzure) -> dict[tuple[str, str], int]:
    return {(name, sku): held_in(azure, region, sku) for name, region in REGIONS.items() for sku in SKUS}


def carry_out(fleet: Fleet, azure: PlainAzure, limits: Mapping[str, Mapping[str, int]], chance: Random) -> None:
    """One plan, its writes in whatever order its edges leave open."""
    plan = make_plan(fleet, azure.snapshot(quotas=quotas_of(azure, limits)))
    assert not plan.stopped
    done: set[str] = set()
    while waiting := ready(plan, done):
        before = used(azure)
        step = chance.choice(waiting)
        azure.write(step)
        done.add(step.name)
        for (name, sku), now in used(azure).items():
            assert now <= max(limits[name][sku], before[name, sku]), step.name
    assert len(done) == len(plan.steps)
    for spread in plan.spreads:
        held = sum(units_of(azure, spread.ref.name).values())
        assert spread.placed == held * 1000
        assert held * 1000 >= spread.wanted or spread.shortfall


@settings(max_examples=60, deadline=None)
@given(worlds=st.tuples(WORLDS, WORLDS), limits=st.tuples(LIMITS, LIMITS), allow=PERMITS, seed=st.integers(0, 9))
def test_nothing_is_overdrawn_in_any_order_and_then_there_is_nothing_to_do(
    worlds: tuple[Any, Any], limits: tuple[Any, Any], allow: frozenset[str], seed: int
) -> None:
    chance = Random(seed)
    first = fleet_for(worlds[0])
    azure = empty_azure(fleet_with())
    carry_out(first, azure, limits[0], chance)
    carry_out(first, azure, limits[0], chance)
    before = {each.ref.name: sum(units_of(azure, each.ref.name).values()) for each in first.wishes}

    second = fleet_for(worlds[1], allow)
    for _ in range(3):
        carry_out(second, azure, limits[1], chance)
    last = make_plan(second, azure.snapshot(quotas=quotas_of(azure, limits[1])))
    assert last.steps == ()
    for wish in second.wishes:
        held = sum(units_of(azure, wish.ref.name).values())
        # Nobody gets more than is wanted; what may not be taken may be more.
        assert held * 1000 <= max(spread_of(last, wish.ref.name).wanted, before.get(wish.ref.name, 0) * 1000)
