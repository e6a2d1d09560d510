"""Where the tokens of a pool of a model go: every rule by an example, and why each slot and region has what it has."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from reconciler.plan.placement import Choice, Limit, place
from reconciler.plan.quota import PoolKey
from tests.plan.demands import LIKED, Case, demand, make_case, note_of, region_of, rooms, slot, told, why

BEST, SECOND, THIRD = LIKED


def test_what_is_wanted_is_placed_where_there_is_room_for_it() -> None:
    placement = place(demand(30), [slot()], rooms())
    assert told(placement) == {"a1": 30}
    assert (placement.tokens, placement.shortfall, placement.unmet) == (30_000, 0, None)


def test_the_best_liked_type_comes_first_even_where_that_takes_more_deployments() -> None:
    slots = [slot("a1"), slot("b1"), slot("a1", SECOND)]
    assert told(place(demand(30), slots, rooms(a=20, b=20))) == {"a1": 20, "b1": 10}
    assert told(place(demand(50), slots, rooms(a=20, b=20))) == {"a1": 20, "b1": 20, f"a1 {SECOND}": 10}


def test_a_deployment_that_runs_grows_before_a_new_one_is_made() -> None:
    assert told(place(demand(30), [slot("a1"), slot("b1", held=10)], rooms())) == {"b1": 30}


def test_as_few_new_deployments_as_can_be_are_made() -> None:
    slots = [slot("a1"), slot("b1"), slot("c1")]
    assert told(place(demand(30), slots, rooms(a=10, b=10, c=30))) == {"c1": 30}


def test_a_tie_goes_to_the_region_and_the_account_that_come_first_by_name() -> None:
    slots = [slot("b1"), slot("a2"), slot("a1")]
    assert told(place(demand(30), slots, rooms())) == {"a1": 30}


def test_accounts_of_one_region_share_its_pools() -> None:
    placement = place(demand(30), [slot("a1"), slot("a2")], rooms(a=20))
    assert (placement.tokens, placement.shortfall) == (20_000, 10_000)


def test_what_runs_stays_although_a_better_liked_type_is_free() -> None:
    slots = [slot("a1"), slot("a1", THIRD, held=30)]
    assert told(place(demand(30), slots, rooms())) == {f"a1 {THIRD}": 30}
    assert told(place(demand(40), slots, rooms())) == {"a1": 10, f"a1 {THIRD}": 30}


def test_a_limit_that_was_cut_moves_only_what_has_no_room() -> None:
    slots = [slot("a1", held=30), slot("b1", held=10), slot("c1")]
    assert told(place(demand(40), slots, rooms(a=25))) == {"a1": 25, "b1": 15}


@pytest.mark.parametrize("left", [0, -7])
def test_a_pool_without_room_is_left_altogether(left: int) -> None:
    placement = place(demand(10), [slot("a1", held=10), slot("b1")], rooms(a=left))
    assert told(placement) == {"b1": 10}
    assert why(placement, "a1") == (Choice.REMOVED, Limit.QUOTA, 1, 0)


def test_a_pool_that_nobody_knows_has_no_room() -> None:
    assert place(demand(10), [slot("a1")], {}).tokens == 0


def test_a_lowered_wish_takes_from_the_least_liked_first_and_touches_as_few_as_can_be() -> None:
    slots = [slot("a1", held=10), slot("a1", THIRD, held=8), slot("b1", THIRD, held=20), slot("c1", SECOND, held=9)]
    placement = place(demand(32), slots, rooms())
    assert told(placement) == {"a1": 10, "c1 GlobalStandard": 9, "a1 Standard": 8, "b1 Standard": 5}
    assert why(placement, "b1", THIRD) == (Choice.SHRUNK, Limit.WISH, 1000, 0)


def test_who_wants_nothing_has_nothing() -> None:
    placement = place(demand(0, least_regions=2), [slot("a1", held=10), slot("b1", held=5)], rooms())
    assert told(placement) == {}
    assert placement.unmet is None


def test_without_a_slot_everything_is_missing() -> None:
    placement = place(demand(10), [], rooms())
    assert (placement.units, placement.shortfall, placement.regions) == ({}, 10_000, ())


def test_a_wish_between_two_units_is_rounded_up() -> None:
    slots = [slot("a1", tokens=6000), slot("b1", tokens=6000)]
    assert told(place(demand(20), slots, rooms())) == {"a1": 4}
    assert told(place(demand(20), slots, rooms(a=3, b=0))) == {"a1": 3}


def test_a_wish_is_hit_exactly_where_units_can_do_that() -> None:
    slots = [slot("a1", tokens=6000), slot("b1", SECOND, tokens=10_000)]
    assert told(place(demand(22), slots, rooms())) == {"a1": 2, f"b1 {SECOND}": 1}


def test_no_more_than_the_next_size_is_placed_beyond_the_wish() -> None:
    assert told(place(demand(10), [slot(least=15, step=5)], rooms())) == {"a1": 15}
    crowded = [slot(f"{region}1", least=15, step=5) for region in "abc"]
    placement = place(demand(10, least_regions=3), crowded, rooms())
    assert told(placement) == {}
    assert placement.unmet is Limit.REGIONS


def test_sizes_are_steps_and_not_under_the_least() -> None:
    assert told(place(demand(42), [slot(least=12, step=5)], rooms(a=42))) == {"a1": 40}
    assert told(place(demand(42), [slot(least=12, step=5)], rooms(a=14))) == {}


def test_sizes_are_those_that_are_allowed() -> None:
    sized = slot(allowed=(30, 10, 20), most=20)
    assert told(place(demand(30), [sized], rooms())) == {"a1": 20}
    assert told(place(demand(30), [sized, slot("b1", allowed=(10, 20))], rooms())) == {"a1": 20, "b1": 10}


def test_a_size_that_is_none_any_longer_may_stay() -> None:
    assert told(place(demand(17), [slot(held=17, least=15, step=5)], rooms())) == {"a1": 17}
    assert told(place(demand(50), [slot(held=50, most=20)], rooms())) == {"a1": 50}


def test_two_small_deployments_are_better_than_a_large_one_that_leaves_room() -> None:
    slots = [slot("a1", allowed=(60,)), slot("a2", allowed=(50,)), slot("a3", allowed=(50,))]
    assert told(place(demand(200), slots, rooms(a=100))) == {"a2": 50, "a3": 50}


def test_no_region_has_more_than_its_share() -> None:
    slots = [slot("a1"), slot("a1", SECOND), slot("b1")]
    placement = place(demand(30, most_share=60), slots, rooms())
    assert told(placement) == {"a1": 18, "b1": 12}
    assert why(placement, "a1") == (Choice.NEW, Limit.SHARE, 1000, 0)
    assert (region_of(placement, "a").tokens, region_of(placement, "a").most) == (18_000, 18_000)


def test_a_share_that_was_lowered_moves_what_is_over_it() -> None:
    placement = place(demand(30, most_share=50), [slot("a1", held=20), slot("b1", held=10)], rooms())
    assert told(placement) == {"a1": 15, "b1": 15}
    assert why(placement, "a1") == (Choice.SHRUNK, Limit.SHARE, 1000, 0)


def test_shares_that_do_not_add_up_to_the_wish_are_told() -> None:
    placement = place(demand(30, most_share=40), [slot("a1"), slot("b1")], rooms(b=9))
    assert (placement.shortfall, placement.unmet) == (9000, Limit.SHARE)


def test_a_share_that_is_no_whole_number_of_units_is_told() -> None:
    placement = place(demand(3, most_share=50), [slot("a1"), slot("b1")], rooms())
    assert told(placement) == {"a1": 1, "b1": 1}
    assert (placement.shortfall, placement.unmet) == (1000, Limit.SHARE)
    assert why(placement, "a1") == (Choice.NEW, Limit.SHARE, 1000, 500)


def test_a_share_that_is_smaller_than_the_least_deployment_is_told() -> None:
    placement = place(demand(40, most_share=30), [slot("a1", least=15, step=5)], rooms())
    assert (placement.tokens, placement.unmet) == (0, Limit.SHARE)
    assert why(placement, "a1") == (Choice.PASSED, Limit.SHARE, 15_000, 12_000)


def test_missing_quota_is_no_matter_of_shares() -> None:
    placement = place(demand(30, most_share=60), [slot("a1"), slot("b1")], rooms(b=9))
    assert (placement.shortfall, placement.unmet) == (3000, None)


def test_as_many_regions_as_are_wanted_have_some() -> None:
    slots = [slot("a1"), slot("b1"), slot("c1")]
    assert told(place(demand(30, least_regions=2), slots, rooms())) == {"a1": 29, "b1": 1}


def test_what_runs_moves_to_another_region_only_as_far_as_has_to_be() -> None:
    placement = place(demand(30, least_regions=2), [slot("a1", held=30), slot("b1")], rooms())
    assert told(placement) == {"a1": 29, "b1": 1}
    assert why(placement, "a1") == (Choice.SHRUNK, Limit.REGIONS, 1000, 0)


def test_where_too_few_regions_can_have_some_nothing_is_added_and_what_runs_stays() -> None:
    slots = [slot("a1", held=10), slot("b1", pool=None), slot("c1", barred="retires soon"), slot("a2")]
    placement = place(demand(30, least_regions=2), slots, rooms())
    assert told(placement) == {"a1": 10}
    assert (placement.shortfall, placement.unmet) == (20_000, Limit.REGIONS)
    assert why(placement, "a1") == (Choice.KEPT, Limit.REGIONS, 2, 1)
    assert why(placement, "a2") == (Choice.PASSED, Limit.REGIONS, 2, 1)
    assert why(placement, "b1") == (Choice.PASSED, Limit.UNSOLD, 0, 0)


def test_where_too_few_regions_can_have_some_a_cut_limit_still_takes_away() -> None:
    placement = place(demand(30, least_regions=2), [slot("a1", held=10), slot("a2", held=3)], rooms(a=8))
    assert placement.tokens == 8000


def test_what_is_barred_stays_and_does_not_grow() -> None:
    slots = [slot("a1", held=10, barred="retires soon"), slot("b1", barred="retires soon"), slot("c1", SECOND)]
    placement = place(demand(30), slots, rooms())
    assert told(placement) == {"a1": 10, f"c1 {SECOND}": 20}
    assert why(placement, "a1") == (Choice.KEPT, Limit.BARRED, 0, 0)
    assert why(placement, "b1") == (Choice.PASSED, Limit.BARRED, 0, 0)


def test_what_is_barred_shrinks_with_a_wish() -> None:
    placement = place(demand(6), [slot("a1", held=10, barred="retires soon")], rooms())
    assert why(placement, "a1") == (Choice.SHRUNK, Limit.WISH, 1000, 0)


def test_what_is_sold_no_longer_stays_whatever_room_there_is() -> None:
    placement = place(demand(30), [slot("a1", held=10, pool=None), slot("b1")], rooms(a=0, b=5))
    assert told(placement) == {"a1": 10, "b1": 5}
    assert why(placement, "a1") == (Choice.KEPT, Limit.UNSOLD, 0, 0)


def test_hardware_limits_what_is_added_and_accounts_share_it() -> None:
    slots = [slot("a1", held=10, hardware=5), slot("a2", hardware=5), slot("b1", SECOND)]
    placement = place(demand(40), slots, rooms())
    assert told(placement) == {"a1": 15, f"b1 {SECOND}": 25}
    assert why(placement, "a1") == (Choice.GROWN, Limit.HARDWARE, 1, 0)
    assert why(placement, "a2") == (Choice.PASSED, Limit.HARDWARE, 1, 0)


def test_hardware_counts_for_nothing_that_runs() -> None:
    assert told(place(demand(10), [slot(held=10, hardware=-1)], rooms())) == {"a1": 10}


def test_a_deployment_is_no_larger_than_it_can_be() -> None:
    placement = place(demand(30), [slot("a1", most=20)], rooms())
    assert told(placement) == {"a1": 20}
    assert why(placement, "a1") == (Choice.NEW, Limit.LARGEST, 0, 0)


def test_what_does_not_fit_says_how_much_it_takes_and_how_much_there_is() -> None:
    placement = place(demand(30), [slot("a1", least=15, step=5), slot("b1")], rooms(a=12))
    assert why(placement, "a1") == (Choice.PASSED, Limit.QUOTA, 15, 12)
    assert why(placement, "b1") == (Choice.NEW, Limit.WISH, 1000, 0)


def test_what_stays_smaller_than_it_was_says_what_would_bring_it_back() -> None:
    placement = place(demand(40), [slot("a1", held=50, most=20)], rooms())
    assert why(placement, "a1") == (Choice.SHRUNK, Limit.WISH, 30_000, 20_000)


def test_units_that_are_worth_nothing_are_left_as_they_are() -> None:
    assert told(place(demand(10), [slot("a1", tokens=0, held=3), slot("b1")], rooms())) == {"a1": 3, "b1": 10}


def test_a_region_tells_what_becomes_of_it_and_what_came_closest_to_more() -> None:
    slots = [
        slot("a1"),
        slot("a2", barred="retires soon"),
        slot("b1", pool=None),
        slot("c1", held=5),
        slot("d1", held=2),
    ]
    placement = place(demand(30), slots, rooms(a=20, d=0))
    shown = [(each.location, each.held, each.tokens, each.choice, each.closest.limit) for each in placement.regions]
    assert shown == [
        ("a", 0, 0, Choice.PASSED, Limit.WISH),
        ("b", 0, 0, Choice.PASSED, Limit.UNSOLD),
        ("c", 5000, 30_000, Choice.GROWN, Limit.WISH),
        ("d", 2000, 0, Choice.REMOVED, Limit.QUOTA),
    ]
    assert region_of(placement, "a").closest is note_of(placement, "a1")


def test_notes_come_in_the_order_of_location_liking_and_account() -> None:
    slots = [slot("b1"), slot("a2", SECOND), slot("a2"), slot("a1", SECOND), slot("a1")]
    order = [(note.slot.account.name, note.slot.sku) for note in place(demand(3), slots, rooms()).slots]
    assert order == [("a1", BEST), ("a2", BEST), ("a1", SECOND), ("a2", SECOND), ("b1", BEST)]


def test_the_order_of_slots_makes_no_difference() -> None:
    chance = Random(7)
    for _ in range(100):
        case = make_case(chance)
        shuffled = chance.sample(case.slots, len(case.slots))
        turned = dict(chance.sample(sorted(case.rooms.items()), len(case.rooms)))
        assert place(case.demand, shuffled, turned) == place(case.demand, case.slots, case.rooms)


def test_the_seed_of_hashes_makes_no_difference() -> None:
    program = (
        "from random import Random\n"
        "from tests.plan.demands import make_case\n"
        "chance = Random(3)\n"
        "print([make_case(chance).place() for _ in range(50)])\n"
    )

    def run(seed: str) -> bytes:
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout

    assert run("1") == run("2")


def make_estate(**more: Any) -> Case:
    """Thirty regions with three accounts each, three types in all of them."""
    chance = Random(1)
    names = [f"{first}{second}{number}" for first in "abcdef" for second in "vwxyz" for number in range(3)]
    slots = tuple(slot(name, sku, held=chance.choice((0, 0, chance.randint(1, 60)))) for name in names for sku in LIKED)
    left = {pool: chance.choice((60, 150, 450)) for pool in sorted({each.pool for each in slots if each.pool})}
    return Case(demand=demand(5000, **more), slots=slots, rooms=left)


@pytest.fixture(scope="module")
def estate() -> Case:
    """What runs in it is what was placed."""
    empty = make_estate(most_share=20, least_regions=5)
    placement, units = empty.place()
    assert placement.tokens == 5_000_000
    return empty.after(units)


def moved(case: Case) -> tuple[int, int]:
    """Units that are taken away and that are added."""
    pairs = list(zip(case.slots, case.place()[1], strict=True))
    return sum(max(0, each.held - size) for each, size in pairs), sum(max(0, size - each.held) for each, size in pairs)


def held_in(case: Case, pool: PoolKey) -> int:
    return sum(each.held for each in case.slots if each.pool == pool)


def test_an_estate_of_thirty_regions_rests(estate: Case) -> None:
    assert moved(estate) == (0, 0)


def test_a_limit_cut_in_a_large_estate_moves_what_has_no_room_and_no_more(estate: Case) -> None:
    pool = max(sorted(estate.rooms), key=lambda pool: held_in(estate, pool))
    cut = replace(estate, rooms={**estate.rooms, pool: held_in(estate, pool) - 7})
    assert moved(cut) == (7, 7)


def test_a_region_lost_in_a_large_estate_moves_what_ran_there_and_no_more(estate: Case) -> None:
    left = {pool: 0 if pool[0] == "av" else units for pool, units in estate.rooms.items()}
    ran = sum(held_in(estate, pool) for pool in estate.rooms if pool[0] == "av")
    assert ran
    assert moved(replace(estate, rooms=left)) == (ran, ran)


@pytest.mark.parametrize(("units", "taken", "added"), [(4997, 3, 0), (5004, 0, 4)])
def test_another_wish_of_a_large_estate_moves_the_difference(estate: Case, units: int, taken: int, added: int) -> None:
    wish = replace(estate.demand, tokens=units * 1000)
    assert moved(replace(estate, demand=wish)) == (taken, added)


def test_pools_of_tens_of_thousands_of_units_are_not_counted_through(estate: Case) -> None:
    roomy = replace(estate, rooms=dict.fromkeys(estate.rooms, 30_000), demand=demand(900_000))
    assert moved(roomy) == (0, 895_000)


def test_a_large_estate_without_enough_quota_uses_all_of_it(estate: Case) -> None:
    wish = replace(estate.demand, tokens=100_000_000, most_share=100)
    assert replace(estate, demand=wish).place()[0].tokens == 1000 * sum(estate.rooms.values())
