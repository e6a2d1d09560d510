"""Pools of a model: where their tokens go, what stays, what moves in which order, and what is said about it."""

from __future__ import annotations

import pytest

from reconciler.model.plan import Action, DecisionState
from reconciler.plan import find_unplaced, make_plan
from tests.plan.pools import (
    REGIONS,
    cell_id,
    empty_azure,
    fleet_with,
    pool,
    quotas_of,
    share_of,
    spread_of,
    units_of,
)
from tests.support.builders import decided

ROOM = {"swe": 100, "fra": 100, "pol": 100}


def test_a_wish_is_placed_from_nothing_and_says_why_there() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    plan = make_plan(fleet, azure.snapshot(quotas=quotas_of(azure, ROOM)))
    azure.apply(plan)
    assert sum(units_of(azure).values()) == 150
    made = decided(plan, cell_id("fra"))
    assert (str(made.ref), made.action) == ("ModelPool/chat/fra/chat-standard", Action.CREATE)
    assert made.reason == "does not exist; 100,000 of the 150,000 tokens per minute that ModelPool/chat wants"
    assert spread_of(plan).shortfall == 0
    assert share_of(plan, "fra").choice == "new"
    again = make_plan(fleet, azure.snapshot())
    assert again.steps == ()
    assert again.converged
    assert find_unplaced(fleet, azure.snapshot()) == frozenset()
