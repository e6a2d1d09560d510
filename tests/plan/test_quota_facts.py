"""Who gets what is there is a fact about documents, Azure and quota: neither chance nor any order shows in it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.plan import Action, DecisionState
from reconciler.model.quota import Market, Quotas
from reconciler.model.resource import Cap, Desired, Fleet, Snapshot
from reconciler.plan import make_plan
from tests.plan.markets import GPT_4O, GPT_41, REGION, held_in, quotas
from tests.support.builders import (
    EVERY_WORD,
    Spec,
    account_spec,
    converged,
    declare_account,
    deployment_spec,
    fleet_of,
)

NAMES = ("one", "two", "three", "four", "five")


def crowded() -> tuple[Fleet, Snapshot]:
    """Five accounts in two full pools: one is pruned, one replaced, deployments grow, shrink and change their model;
    some of it does not fit."""

    def declare(units: Iterator[int], subdomain: str) -> Iterator[tuple[Desired, ...]]:
        for at, name in enumerate(NAMES):
            members = [_member(f"d{each}", next(units), at + each) for each in range(2)]
            yield declare_account(name, account_spec(customSubDomainName=f"{name}-{subdomain}", deployments=members))

    before = [*declare(iter([10, 20, 30, 40, 50, 60, 70, 80, 90, 50]), "a")]
    _, azure = converged(*before, allow=EVERY_WORD)
    after = [*declare(iter([90, 50, 31, 41, 50, 30, 10, 20, 60, 70]), "a")]
    renamed = declare_account("four", account_spec(customSubDomainName="four-b", deployments=[_member("d0", 5, 1)]))
    fleet = fleet_of(
        *after[:3],
        renamed,
        allow=EVERY_WORD,
        prune=frozenset({each.type.lower() for each in before[0]}),
        deletes=Cap(count=100, percent=100),
    )
    used = {name: held_in(azure, name) for name in (GPT_4O, GPT_41)}
    return fleet, azure.snapshot(quotas=quotas(used, {**used, GPT_41: used[GPT_41] - 100}))


def _member(name: str, units: int, turn: int) -> Spec:
    model = {} if turn % 3 else {"model": {"name": "gpt-4.1", "version": "2025-04-14"}}
    return deployment_spec(name, units, **model)


def test_the_crowd_has_some_of_everything() -> None:
    plan = make_plan(*crowded())
    assert {each.action for each in plan.decisions if each.acts} >= {Action.UPDATE, Action.REPLACE, Action.DELETE}
    assert any(each.state is DecisionState.BLOCKED for each in plan.decisions)
    assert any(name.endswith("#delete") for step in plan.steps for name in step.after)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_neither_the_order_of_documents_nor_of_lists_shows_in_who_gets_what(data: st.DataObject) -> None:
    fleet, snapshot = crowded()
    assert snapshot.quotas is not None
    wanted = dict(data.draw(st.permutations(list(fleet.desired.items()))))
    live = dict(data.draw(st.permutations(list(snapshot.live.items()))))
    market = snapshot.quotas.markets[REGION]
    usages = dict(data.draw(st.permutations(list(market.usages.items()))))
    terms = dict(data.draw(st.permutations(list(market.terms.items()))))
    shuffled = Quotas(markets={REGION: Market(usages=usages, terms=terms)})
    again = make_plan(replace(fleet, desired=wanted), replace(snapshot, live=live, quotas=shuffled))
    plan = make_plan(fleet, snapshot)
    assert again.digest == plan.digest
    assert again.ledger == plan.ledger


def test_the_seed_of_hashes_does_not_show_in_who_gets_what() -> None:
    command = "from tests.plan.test_quota_facts import crowded, make_plan; print(make_plan(*crowded()).digest)"

    def digest(seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run(
            [sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True
        ).stdout

    assert digest("1") == digest("2") == f"{make_plan(*crowded()).digest}\n"
