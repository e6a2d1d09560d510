"""Placements against an exact solver, by chance: as good as the best there is, and as little moved as there has to be.

`RECONCILER_PLACEMENT_CASES` says how many, each looked at before and after something small has happened.
"""

from __future__ import annotations

import os
import sys
from random import Random

import pytest

from reconciler.plan.placement import Limit, Placement, place
from reconciler.plan.placement.search import search
from reconciler.plan.placement.task import Task
from tests.plan.demands import LARGE, PLAIN, TINY, Case, change, make_case
from tests.plan.exact_placement import Best, Units, count_regions, count_tokens, find_faults, look_at_all, score, solve

CASES = int(os.environ.get("RECONCILER_PLACEMENT_CASES", "1600"))
BATCHES = 16


def find_best(case: Case) -> Best:
    return solve(case.demand, case.slots, case.rooms)


def score_of(case: Case, units: Units) -> tuple[int, ...]:
    return score(case.demand, case.slots, units)


def assert_sound(case: Case, placement: Placement, units: Units) -> None:
    """No room, share, hardware or size is overdrawn, and what is told about it is right."""
    wish = case.demand
    assert not find_faults(wish, case.slots, case.rooms, units)
    assert placement.tokens == count_tokens(case.slots, units)
    assert placement.shortfall == max(0, wish.tokens - placement.tokens)
    if placement.unmet is not Limit.REGIONS and wish.tokens and wish.least_regions > 1:
        assert count_regions(case.slots, units) >= wish.least_regions
    assert [(note.slot.key, note.units) for note in placement.slots] == list(placement.units.items())
    assert {each.location: each.tokens for each in placement.regions} == {
        location: count_tokens(case.slots, units, location) for location in {slot.location for slot in case.slots}
    }
    assert all(note.limit is not Limit.WISH or note.leaves < note.needs for note in placement.slots)


def assert_best(case: Case) -> Units:
    placement, units = case.place()
    best = find_best(case)
    assert_sound(case, placement, units)
    assert (placement.unmet is Limit.REGIONS) == best.frozen
    assert score_of(case, units) == best.score
    return units


def assert_rests(case: Case, units: Units) -> None:
    """Placed again upon itself, nothing moves."""
    assert case.after(units).place()[1] == units


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_placement_is_the_best_there_is_before_and_after_something_small_has_happened(batch: int) -> None:
    for number in range(batch, CASES, BATCHES):
        chance = Random(number)
        case = make_case(chance)
        units = assert_best(case)
        assert_rests(case, units)
        assert_best(change(case.after(units), chance))


def test_the_exact_solver_finds_the_best_of_every_combination() -> None:
    chance = Random(5)
    for _ in range(60):
        case = make_case(chance, TINY)
        assert find_best(case) == look_at_all(case.demand, case.slots, case.rooms)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all regions together were always too many to be searched."""

    def search_one_region(task: Task, poured: Units) -> Units | None:
        return None if len({slot.location for slot in task.slots}) > 1 else search(task, poured)

    monkeypatch.setattr(sys.modules[place.__module__], "search", search_one_region)


@pytest.mark.usefixtures("impatient")
def test_what_is_too_large_to_be_searched_is_as_good_where_all_units_are_alike() -> None:
    """One more may change than there have to: their number is the last that counts."""
    for number in range(200):
        chance = Random(number)
        case = make_case(chance, PLAIN)
        for _ in range(2):
            placement, units = case.place()
            best = find_best(case)
            assert_sound(case, placement, units)
            assert (placement.unmet is Limit.REGIONS) == best.frozen
            *reached, changed = score_of(case, units)
            assert (*reached, max(changed - 1, best.score[-1])) == best.score
            assert_rests(case, units)
            case = change(case.after(units), chance)


def assert_near(case: Case) -> None:
    """As many regions as can be, and a total within 5 % of the best; where that is the wish, of the wish."""
    placement, units = case.place()
    best = find_best(case)
    assert_sound(case, placement, units)
    assert (placement.unmet is Limit.REGIONS) == best.frozen
    missing, off, *_ = best.score
    assert placement.tokens >= 0.95 * (case.demand.tokens - missing * off)
    assert_rests(case, units)


@pytest.mark.usefixtures("impatient")
def test_what_is_too_large_to_be_searched_is_near_the_best_whatever_it_is_made_of() -> None:
    for number in range(200):
        assert_near(make_case(Random(number)))


def test_large_estates_of_odd_sizes_are_near_the_best() -> None:
    for number in range(max(8, CASES // 200)):
        assert_near(make_case(Random(number), LARGE))


@pytest.mark.usefixtures("impatient")
def test_what_is_too_large_to_be_searched_keeps_every_rule() -> None:
    for number in range(500):
        chance = Random(number)
        case = make_case(chance)
        placement, units = case.place()
        assert_sound(case, placement, units)
        assert_rests(case, units)
