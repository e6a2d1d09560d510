"""What is planned in the benchmark is what it says: pools exactly full, every write counted. No clock is looked at."""

from __future__ import annotations

import pytest

from bench.markets import OFFERS, POOLS, REGIONS, load, look_at, make_fleet, measure
from bench.planning import CASES, Case, Figure, Spent, render
from reconciler.model.plan import Action, DecisionState
from reconciler.model.resource import Fleet, Snapshot
from reconciler.plan import make_plan

ACCOUNTS, DEPLOYMENTS = 120, 10


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return load(make_fleet(ACCOUNTS, DEPLOYMENTS), tmp_path_factory.mktemp("desired"))


@pytest.fixture(scope="module")
def azure(fleet: Fleet) -> Snapshot:
    return look_at(fleet)


def test_every_region_has_its_own_full_pools(fleet: Fleet) -> None:
    assert len(fleet.desired) == len(REGIONS) + ACCOUNTS * (1 + DEPLOYMENTS)
    markets = measure(fleet).markets
    assert len(markets) == len(REGIONS) == 30
    assert {len(market.usages) for market in markets.values()} == {len(OFFERS)} == {40}
    assert all(usage.used == usage.limit for market in markets.values() for usage in market.usages.values())


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_a_case_plans_as_many_writes_as_it_says(fleet: Fleet, azure: Snapshot, case: Case) -> None:
    asked = case.ask(fleet, azure)
    plan = make_plan(*asked)
    assert plan.stopped == ""
    assert len(plan.steps) in case.writes(len(asked[1].live) or len(asked[0].desired))


def test_only_what_does_not_fit_is_left_out(fleet: Fleet, azure: Snapshot) -> None:
    cases = {case.name: make_plan(*case.ask(fleet, azure)) for case in CASES}
    left = {
        name: {decision.code for decision in plan.decisions if decision.state is DecisionState.BLOCKED}
        for name, plan in cases.items()
        if not plan.spreads
    }
    assert left.pop("all to create, half of it fits") == {"insufficient_quota"}
    assert set().union(*left.values()) == set()
    actions = [decision.action for decision in cases["all accounts replaced"].decisions if decision.acts]
    assert (actions.count(Action.REPLACE), actions.count(Action.CREATE)) == (ACCOUNTS, ACCOUNTS * DEPLOYMENTS)
    assert any(step.after for step in cases["all capacities reshuffled"].steps)


def test_pools_of_models_are_given_what_there_is(fleet: Fleet, azure: Snapshot) -> None:
    (case,) = [each for each in CASES if each.pools]
    plan = make_plan(*case.ask(fleet, azure))
    assert len(plan.spreads) == POOLS == 20
    assert all(sum(share.placed for share in spread.shares) > 0 for spread in plan.spreads[:10])


def test_growth_is_told_beside_both_sizes() -> None:
    figures = [Figure("a plan", (Spent(1.0, 10.0), Spent(2.5, 30.0)))]
    lines = render(figures, (500, 1000), {"python": "3"}).splitlines()
    assert lines[0] == "plans of 5,000 and 10,000 deployments in 30 regions with 40 full pools each"
    assert lines[-1].split() == ["a", "plan", "1.00", "2.50", "2.5x", "10", "30", "3.0x"]
    assert all(len(line) <= 90 for line in lines)
