"""Pools of a model: where their tokens go, what stays, what moves in which order, and what is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from reconciler.model.finding import Finding
from reconciler.model.ids import ArmId, Ref
from reconciler.model.lifecycle import Lifecycle, ManagePolicy
from reconciler.model.memory import Memory, Shunned
from reconciler.model.moment import read_time
from reconciler.model.plan import Action, DecisionState, Plan, Verb
from reconciler.model.quota import Edition, Quotas
from reconciler.model.resource import OWNER_TAG, Fleet, PurgePolicy, PurgeWhen
from reconciler.model.wire import JsonObject
from reconciler.plan import find_asked, find_growing, find_unplaced, make_plan, select
from reconciler.plan.placement import Choice, Limit, Slot, SlotNote
from reconciler.plan.pool_words import tell_slot
from tests.plan.pools import (
    REGIONS,
    VERSION,
    cell_id,
    empty_azure,
    fleet_with,
    offer,
    pool,
    pool_of_usage,
    quotas_of,
    share_of,
    spread_of,
    units_of,
)
from tests.support.builders import (
    ACCOUNTS,
    DEPLOYMENTS,
    EVERY_WORD,
    ORIGIN,
    PlainAzure,
    Spec,
    account_id,
    blind_to,
    decided,
    deployment_spec,
    fault_of,
    filter_id,
)

ROOM = {"swe": 100, "fra": 100, "pol": 100}


def plan_for(fleet: Fleet, azure: PlainAzure, limits: Mapping[str, Any] = ROOM, **more: Any) -> Plan:
    memory = more.pop("memory", Memory())
    return make_plan(fleet, azure.snapshot(quotas=quotas_of(azure, limits, **more)), memory=memory)


def settled(fleet: Fleet, limits: Mapping[str, Any] = ROOM, **more: Any) -> PlainAzure:
    azure = empty_azure(fleet)
    azure.apply(plan_for(fleet, azure, limits, **more))
    return azure


def plain(capacity: int, name: str = "plain") -> Spec:
    """An account with a deployment of its own that draws on the pool's quota."""
    own = deployment_spec(name, capacity, sku={"name": "Standard", "capacity": capacity})
    return {"deployments": [own]}


def bare(fleet: Fleet) -> Fleet:
    """The fleet without any deployment."""
    return replace(fleet, desired={id: each for id, each in fleet.desired.items() if len(id.segments) < 2})


def words(plan: Plan, id: ArmId) -> tuple[DecisionState, Action | None, str]:
    found = decided(plan, id)
    return found.state, found.action, found.reason


# -- placing


def test_a_wish_is_placed_from_nothing_and_says_why_there() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    plan = plan_for(fleet, azure)
    azure.apply(plan)
    assert units_of(azure) == {("fra", "Standard"): 100, ("pol", "Standard"): 50}
    made = decided(plan, cell_id("fra"))
    assert (str(made.ref), made.action, made.needs) == (
        "ModelPool/chat/fra/chat-standard",
        Action.CREATE,
        (account_id("fra"),),
    )
    assert made.reason == "does not exist; 100,000 of the 150,000 tokens per minute that ModelPool/chat wants"
    spread = spread_of(plan)
    assert (spread.model, spread.wanted, spread.placed, spread.shortfall) == (f"gpt-4o {VERSION}", 150_000, 150_000, 0)
    told = [(share.location, share.choice, share.placed, share.reason) for share in spread.shares]
    assert told == [
        ("francecentral", "new", 100_000, "francecentral has 0 units of quota left for Standard"),
        ("polandcentral", "new", 50_000, ""),
        ("swedencentral", "passed over", 0, "all that is wanted is elsewhere"),
    ]


def test_what_runs_is_kept_without_a_word_about_quota() -> None:
    fleet = fleet_with(pool("150k"))
    azure = settled(fleet)
    snapshot = azure.snapshot()
    again = make_plan(fleet, snapshot)
    assert (again.steps, again.converged) == ((), True)
    assert find_unplaced(fleet, snapshot) == find_asked(again, fleet, snapshot) == frozenset()
    kept = decided(again, cell_id("fra"))
    assert kept.reason == "as declared; 100,000 of the 150,000 tokens per minute that ModelPool/chat wants"
    assert plan_for(fleet, azure).steps == ()


def test_what_is_not_as_wanted_makes_the_quota_of_every_region_of_the_pool_known() -> None:
    fleet = fleet_with(pool("150k"))
    azure = settled(fleet)
    everywhere = frozenset(REGIONS.values())
    for wish in (pool("160k"), pool("100k"), pool("150k", minRegions=3), pool("150k", maxSharePerRegion=50)):
        assert find_unplaced(fleet_with(wish), azure.snapshot()) == everywhere
    only = pool("150k", regions=["France Central", "polandcentral"])
    assert find_unplaced(fleet_with(only), azure.snapshot()) == frozenset()
    assert find_unplaced(fleet, azure.snapshot(), frozenset({account_id("fra")})) == frozenset()
    larger = fleet_with(pool("160k"))
    assert find_unplaced(larger, azure.snapshot(), frozenset({account_id("fra")})) == frozenset()
    assert find_unplaced(larger, azure.snapshot(), frozenset({cell_id("swe")})) == everywhere


def test_a_rate_that_a_deployment_does_not_tell_is_asked_for() -> None:
    fleet = fleet_with(pool("150k"))
    azure = settled(fleet)
    azure.edit(cell_id("fra"), "properties.rateLimits", [])
    assert find_unplaced(fleet, azure.snapshot())
    assert plan_for(fleet, azure).steps == ()


def test_before_quota_is_known_nothing_is_placed_and_nothing_is_taken() -> None:
    fleet = fleet_with(pool("150k"))
    assert make_plan(fleet, empty_azure(fleet).snapshot()).steps == ()
    azure = settled(fleet)
    plan = make_plan(fleet_with(pool("50k")), azure.snapshot())
    assert plan.steps == ()


def test_types_are_used_in_the_order_in_which_they_are_liked() -> None:
    limits = {name: {"DataZoneStandard": 30, "Standard": 40} for name in REGIONS}
    fleet = fleet_with(pool("150k", "DataZoneStandard", "Standard"))
    azure = empty_azure(fleet)
    plan = plan_for(fleet, azure, limits)
    azure.apply(plan)
    units = units_of(azure)
    assert {key: each for key, each in units.items() if key[1] == "DataZoneStandard"} == {
        (name, "DataZoneStandard"): 30 for name in REGIONS
    }
    assert sum(units.values()) == 150
    assert decided(plan, cell_id("fra")).reason == (
        "does not exist; 40,000 of the 150,000 tokens per minute that ModelPool/chat wants; DataZoneStandard is liked "
        "better, but francecentral has 0 units of quota left for DataZoneStandard"
    )


def test_a_share_and_a_number_of_regions_are_kept() -> None:
    fleet = fleet_with(pool("90k", maxSharePerRegion=40, minRegions=3))
    azure = settled(fleet)
    units = units_of(azure)
    assert len(units) == 3
    assert sum(units.values()) == 90
    assert max(units.values()) <= 36


def test_what_cannot_be_spread_is_told_and_not_placed_half() -> None:
    fleet = fleet_with(pool("90k", minRegions=3))
    azure = empty_azure(fleet)
    plan = plan_for(fleet, azure, {**ROOM, "swe": 0})
    assert plan.steps == ()
    spread = spread_of(plan)
    assert spread.reason == "minRegions is 3, and fewer regions can have some: nothing is added"
    assert spread.shortfall == 90_000
    assert not plan.converged


def test_only_accounts_with_the_labels_in_regions_that_are_named_are_used() -> None:
    fleet = fleet_with(pool("150k", regions=["swedencentral", "polandcentral"]))
    assert units_of(settled(fleet)) == {("pol", "Standard"): 100, ("swe", "Standard"): 50}
    fleet = fleet_with(pool("150k", "Standard", dataZone="EU"))
    assert sum(units_of(settled(fleet)).values()) == 150


def test_its_filter_its_tags_and_its_upgrades_are_those_of_every_deployment() -> None:
    strict = {"raiPolicies": [{"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}]}
    wish = pool("150k", raiPolicyName="strict", versionUpgradeOption="NoAutoUpgrade", tags={"team": "ai"})
    fleet = fleet_with(wish, accounts=dict.fromkeys(REGIONS, strict))
    azure = empty_azure(fleet)
    plan = plan_for(fleet, azure)
    assert filter_id("strict", of="fra") in decided(plan, cell_id("fra")).needs
    azure.apply(plan)
    body: Any = azure.live[cell_id("fra")]
    assert body["tags"] == {"team": "ai"}
    assert (body["properties"]["raiPolicyName"], body["properties"]["versionUpgradeOption"]) == (
        "strict",
        "NoAutoUpgrade",
    )
    azure.edit(cell_id("fra"), "tags.team", "others")
    again = make_plan(fleet, azure.snapshot())
    assert [change.path for change in decided(again, cell_id("fra")).changes] == ["tags.team"]
    assert find_asked(again, fleet, azure.snapshot()) == find_unplaced(fleet, azure.snapshot()) == frozenset()


def test_the_same_wishes_in_any_order_give_the_same_plan() -> None:
    wishes = [pool("150k"), pool("90k", name="draft"), pool("40k", name="notes")]
    digests = set()
    for order in permutations(wishes):
        fleet = replace(fleet_with(), wishes=order)
        digests.add(plan_for(fleet, empty_azure(fleet)).digest)
    assert len(digests) == 1


# -- what moves


def test_a_wish_that_grows_takes_from_nobody() -> None:
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("260k"))
    plan = plan_for(fleet, azure)
    azure.apply(plan)
    assert units_of(azure) == {("fra", "Standard"): 100, ("pol", "Standard"): 100, ("swe", "Standard"): 60}
    assert decided(plan, cell_id("pol")).reason.startswith(
        "100,000 of the 260,000 tokens per minute that ModelPool/chat"
    )
    assert share_of(plan, "pol").choice == "grown"


def test_a_wish_that_shrinks_gives_back_and_says_so() -> None:
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("100k"))
    plan = plan_for(fleet, azure)
    assert words(plan, cell_id("pol")) == (
        DecisionState.ACT,
        Action.DELETE,
        "ModelPool/chat needs nothing here any more: it has the 100,000 tokens per minute that it wants without it",
    )
    azure.apply(plan)
    assert units_of(azure) == {("fra", "Standard"): 100}
    assert make_plan(fleet, azure.snapshot()).converged


def test_a_region_that_is_lost_is_left_when_the_others_have_what_it_had() -> None:
    """What comes is made first, so that nobody goes without in between."""
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("150k", regions=["polandcentral", "swedencentral"]))
    plan = plan_for(fleet, azure)
    assert words(plan, cell_id("fra"))[1:] == (
        Action.DELETE,
        "ModelPool/chat does not want Standard in francecentral any more",
    )
    assert [(step.id.top.name, step.verb.value) for step in plan.steps] == [("swe", "put"), ("fra", "delete")]
    assert plan.steps[1].after == ("ModelPool/chat/swe/chat-standard#create",)
    assert share_of(plan, "fra").reason == "it is not among the regions or types that are wanted"
    azure.apply(plan)
    assert sum(units_of(azure).values()) == 150


def test_where_quota_does_not_suffice_for_both_the_old_one_gives_up_first() -> None:
    """Two types that draw on one pool of quota: the new one takes what the old one gives back."""
    limits = {"fra": {"Standard": 100, "DataZoneStandard": 100}}
    azure = settled(fleet_with(pool("100k", "Standard", regions=["francecentral"])), limits)
    fleet = fleet_with(pool("100k", "DataZoneStandard", regions=["francecentral"]))
    quotas = quotas_of(azure, limits)
    here = quotas.markets["francecentral"]
    terms = dict.fromkeys(here.terms, here.terms[offer("francecentral")])
    one = replace(quotas, markets={"francecentral": replace(here, terms=terms)})
    plan = make_plan(fleet, azure.snapshot(quotas=one))
    assert [(step.id.name, step.verb.value) for step in plan.steps] == [
        ("chat-standard", "delete"),
        ("chat-datazonestandard", "put"),
    ]


def test_a_limit_that_is_cut_moves_no_more_than_it_must() -> None:
    azure = settled(fleet_with(pool("150k")))
    plan = plan_for(fleet_with(pool("150k")), azure, {**ROOM, "fra": 70})
    changes = {str(each.ref): [change.after for change in each.changes] for each in plan.decisions if each.acts}
    assert changes == {"ModelPool/chat/fra/chat-standard": [70], "ModelPool/chat/pol/chat-standard": [80]}
    assert decided(plan, cell_id("fra")).reason.startswith(
        "70,000 of the 150,000 tokens per minute that ModelPool/chat wants: francecentral has 0 units of quota left "
        "for Standard"
    )


def test_a_limit_that_is_cut_takes_nothing_where_there_is_no_other_place() -> None:
    azure = settled(fleet_with(pool("300k")))
    plan = plan_for(fleet_with(pool("300k")), azure, {**ROOM, "fra": 70})
    assert plan.steps == ()


@pytest.mark.parametrize("word", ["delete", "capacityCut"])
def test_what_may_not_be_taken_stays_and_counts(word: str) -> None:
    """The wish does not get twice what it wants."""
    azure = settled(fleet_with(pool("150k")))
    allow = EVERY_WORD - {word}
    if word == "delete":
        fleet = fleet_with(pool("150k", regions=["polandcentral", "swedencentral"]), allow=allow)
        plan = plan_for(fleet, azure)
        blocked = decided(plan, cell_id("fra"))
    else:
        fleet = fleet_with(pool("150k", maxSharePerRegion=40), allow=allow)
        plan = plan_for(fleet, azure)
        blocked = decided(plan, cell_id("fra"))
    assert (blocked.state, blocked.code) == (DecisionState.BLOCKED, f"{word}_not_permitted")
    assert plan.steps == ()
    assert spread_of(plan).placed == 150_000


def test_what_has_to_grow_grows_beside_what_stays() -> None:
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("180k", regions=["polandcentral", "swedencentral"]), allow=frozenset())
    azure.apply(plan_for(fleet, azure))
    units = units_of(azure)
    assert units["fra", "Standard"] == 100
    assert sum(units.values()) == 180


def test_what_must_not_be_destroyed_stays_and_counts() -> None:
    kept = Lifecycle(prevent_destroy=True)
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("150k", regions=["polandcentral", "swedencentral"], lifecycle=kept))
    plan = plan_for(fleet, azure)
    assert decided(plan, cell_id("fra")).code == "prevent_destroy"
    assert plan.steps == ()


def test_its_own_document_may_permit_what_the_fleet_does_not() -> None:
    azure = settled(fleet_with(pool("150k")))
    permits = Lifecycle(allow=frozenset({"delete"}))
    fleet = fleet_with(pool("100k", lifecycle=permits), allow=frozenset())
    assert [step.verb.value for step in plan_for(fleet, azure).steps] == ["delete"]


def test_a_type_that_is_no_longer_wanted_gives_way_to_the_one_that_is() -> None:
    limits = {name: {"DataZoneStandard": 100, "Standard": 100} for name in REGIONS}
    azure = settled(fleet_with(pool("50k", "Standard")), limits)
    fleet = fleet_with(pool("50k", "DataZoneStandard"))
    plan = plan_for(fleet, azure, limits)
    assert [(step.id.name, step.verb.value) for step in plan.steps] == [
        ("chat-datazonestandard", "put"),
        ("chat-standard", "delete"),
    ]
    azure.apply(plan)
    assert make_plan(fleet, azure.snapshot()).converged


def test_what_is_liked_better_moves_nothing_that_runs() -> None:
    limits = {name: {"DataZoneStandard": 100, "Standard": 100} for name in REGIONS}
    azure = settled(fleet_with(pool("50k", "Standard")), limits)
    fleet = fleet_with(pool("50k", "DataZoneStandard", "Standard"))
    assert plan_for(fleet, azure, limits).steps == ()


# -- beside others


def test_plain_capacities_are_served_before_pools() -> None:
    fleet = fleet_with(pool("100k", regions=["francecentral"]), accounts={"fra": plain(60)})
    azure = empty_azure(
        replace(fleet, desired={id: each for id, each in fleet.desired.items() if len(id.segments) < 2})
    )
    plan = plan_for(fleet, azure)
    azure.apply(plan)
    assert units_of(azure) == {("fra", "Standard"): 40}
    assert spread_of(plan).shortfall == 60_000


def test_a_plain_capacity_that_fits_nowhere_takes_nothing_from_what_runs() -> None:
    azure = settled(fleet_with(pool("100k", regions=["francecentral"])))
    fleet = fleet_with(pool("100k", regions=["francecentral"]), accounts={"fra": plain(60)})
    plan = plan_for(fleet, azure)
    assert plan.steps == ()
    assert decided(plan, account_id("fra").child("deployments", "plain")).code == "insufficient_quota"


def test_of_two_pools_the_first_by_name_is_served_first() -> None:
    fleet = fleet_with(pool("250k", name="zulu"), pool("200k", name="alpha"))
    azure = settled(fleet)
    assert sum(units_of(azure, "alpha").values()) == 200
    assert sum(units_of(azure, "zulu").values()) == 100


def test_elastic_deployments_get_what_pools_leave() -> None:
    own = deployment_spec("own", 0, sku={"name": "Standard", "capacity": {"want": 80, "min": 10}})
    fleet = fleet_with(pool("70k", regions=["francecentral"]), accounts={"fra": {"deployments": [own]}})
    azure = empty_azure(bare(fleet))
    plan = plan_for(fleet, azure)
    made = {step.id.name: step.fields["sku.capacity"] for step in plan.steps if "sku.capacity" in step.fields}
    assert made == {"chat-standard": 70, "own": 30}


def test_what_is_missing_is_asked_where_a_purge_would_free_it() -> None:
    """So that whoever frees quota sees what the pool lacks."""
    fleet = fleet_with(pool("400k"))
    azure = empty_azure(fleet)
    azure.deleted[account_id("gone")] = {"location": "polandcentral", "kind": "OpenAI"}
    plan = plan_for(fleet, azure, {**ROOM, "pol": 180}, others={"pol": 80}, surveyed=frozenset(REGIONS.values()))
    short = decided(plan, cell_id("pol"))
    assert (short.action, short.short) == (Action.CREATE, 100)
    assert short.reason.startswith(
        "does not exist; up to 200,000 of the 400,000 tokens per minute that ModelPool/chat wants; gets 100 of the 200 "
        "that it wants: 80 of 180 are used (0 by this fleet, 0 by others, up to 80 by soft-deleted accounts)"
    )
    assert pool_of_usage(plan, "polandcentral").short == 100
    assert spread_of(plan).shortfall == 100_000
    azure.apply(plan)
    again = plan_for(fleet, azure, {**ROOM, "pol": 180}, others={"pol": 80})
    assert again.steps == ()
    assert decided(again, cell_id("pol")).short == 100
    assert not again.converged


def soft_deleted(region: str, **wire: Any) -> JsonObject:
    return {"location": region, "kind": "OpenAI", **wire}


def purged_by(fleet: Fleet, azure: PlainAzure, others: Mapping[str, int]) -> list[str]:
    """What a plan purges, a day after the soft-deleted accounts were deleted, where every region allows 60."""
    quotas = quotas_of(azure, {"fra": 60, "pol": 60}, others=others, surveyed=frozenset(REGIONS.values()))
    plan = make_plan(fleet, replace(azure.snapshot(quotas=quotas), taken_at=read_time("2025-10-02T00:00:00Z") or 0.0))
    return [each.ref.name for each in plan.decisions if each.action is Action.PURGE]


def test_what_is_missing_is_asked_where_the_share_of_the_region_permits_it() -> None:
    """A region that has all that it may have cannot be helped by a purge, and must not keep others from it."""
    wish = pool("100k", regions=["francecentral", "polandcentral"], maxSharePerRegion=50)
    fleet = fleet_with(wish, purge=PurgePolicy(when=PurgeWhen.BLOCKING))
    azure = empty_azure(fleet)
    for name, region in (("a", "francecentral"), ("b", "polandcentral")):
        azure.deleted[account_id(name)] = soft_deleted(region, tags={OWNER_TAG: fleet.name})
    assert purged_by(fleet, azure, {"fra": 10, "pol": 60}) == ["b"]


def test_what_is_missing_is_asked_where_an_account_may_be_purged_rather_than_where_one_may_not() -> None:
    fleet = fleet_with(
        pool("50k", regions=["francecentral", "polandcentral"]), purge=PurgePolicy(when=PurgeWhen.BLOCKING)
    )
    azure = empty_azure(fleet)
    azure.deleted[account_id("strangers")] = soft_deleted("francecentral")
    azure.deleted[account_id("ours")] = soft_deleted("polandcentral", tags={OWNER_TAG: fleet.name})
    assert purged_by(fleet, azure, {"fra": 60, "pol": 60}) == ["ours"]


def test_what_stays_and_what_is_missing_leave_only_capacities_that_are_sold() -> None:
    azure = settled(fleet_with(pool("150k")))
    sold = {"terms": {"allowed": (10, 50, 100)}}
    fleet = fleet_with(pool("180k", regions=["polandcentral", "swedencentral"]), allow=frozenset())
    plan = plan_for(fleet, azure, **sold)
    assert {step.id.top.name: step.fields["sku.capacity"] for step in plan.steps} == {"pol": 100}
    lacking = fleet_with(pool("300k", regions=["polandcentral"]))
    assert decided(plan_for(lacking, azure, {"pol": 90}, **sold), cell_id("pol")).short == 50


def test_what_a_region_may_have_besides_is_asked_in_capacities_that_are_sold() -> None:
    fleet = fleet_with(pool("200k", regions=["francecentral", "polandcentral"], maxSharePerRegion=60))
    azure = empty_azure(fleet)
    plan = plan_for(fleet, azure, {"fra": 60, "pol": 60}, terms={"allowed": (10, 50, 100)})
    wanted = {name: decided(plan, cell_id(name)).short for name in ("fra", "pol")}
    assert wanted == {"fra": 50, "pol": 0}


def test_what_is_missing_is_asked_in_whole_steps() -> None:
    fleet = fleet_with(pool("70k", regions=["francecentral"]))
    azure = empty_azure(fleet)
    plan = plan_for(fleet, azure, {"fra": 60}, terms={"step": 50})
    made = decided(plan, cell_id("fra"))
    assert (made.action, made.short) == (Action.CREATE, 50)


def test_nothing_is_placed_while_an_account_comes_back_with_what_it_had() -> None:
    """Else the wish would be placed a second time, and be taken away again."""
    fleet = fleet_with(pool("50k"), soft_deleted="restore")
    azure = settled(fleet)
    azure.live.pop(cell_id("fra"))
    azure.deleted[account_id("fra")] = azure.live.pop(account_id("fra"))
    plan = plan_for(fleet, azure, {**ROOM, "fra": 50}, others={"fra": 50})
    assert [step.id for step in plan.steps] == [account_id("fra")]
    assert spread_of(plan).reason == (
        "nothing is placed: Account/fra is restored first, and what it had comes back with it"
    )


def test_a_capacity_that_somebody_changed_is_seen_while_its_limits_are_those_of_the_old_one() -> None:
    fleet = fleet_with(pool("150k"))
    azure = settled(fleet)
    azure.edit(cell_id("fra"), "sku.capacity", 20)
    assert find_unplaced(fleet, azure.snapshot())


def test_what_another_pool_gives_back_is_told_of_the_one_that_gets_it() -> None:
    france = ["francecentral"]
    azure = settled(fleet_with(pool("100k", name="a", regions=france)))
    wishes = pool("40k", name="a", regions=france), pool("60k", name="b", regions=france)
    plan = plan_for(fleet_with(*wishes), azure)
    made = decided(plan, cell_id("fra", name="b"))
    assert made.reason == "does not exist; up to 60,000 of the 60,000 tokens per minute that ModelPool/b wants"
    share = share_of(plan, "fra", "b")
    assert (share.placed, share.choice, share.reason) == (60_000, "new", "")


def test_what_is_left_outside_of_its_regions_goes_unless_another_pool_of_that_name_has_it_there() -> None:
    named: dict[str, Any] = {"deploymentName": "d"}
    azure = settled(fleet_with(pool("150k", **named)))
    north = pool("50k", regions=["swedencentral"], **named)
    west = pool("100k", name="west", regions=["francecentral"], **named)
    plan = plan_for(fleet_with(north, west), azure)
    assert {(step.id.top.name, step.verb) for step in plan.steps} == {("swe", Verb.PUT), ("pol", Verb.DELETE)}


# -- what is not to be used


def test_an_account_that_cannot_be_made_is_passed_over() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    azure.deleted[account_id("fra")] = azure.live.pop(account_id("fra"))
    plan = plan_for(fleet, azure)
    azure.apply(plan)
    assert sum(units_of(azure).values()) == 150
    assert share_of(plan, "fra").reason == (
        "Account/fra: a soft-deleted account holds the name until 2025-10-03T00:00:00Z"
    )


def test_an_account_that_is_not_ours_is_neither_used_nor_counted() -> None:
    fleet = fleet_with(pool("150k"))
    azure = settled(fleet)
    azure.edit(account_id("fra"), "tags", {"reconciler-fleet": "others"})
    plan = plan_for(fleet, azure)
    azure.apply(plan)
    assert sum(each for (name, _), each in units_of(azure).items() if name != "fra") == 150
    assert units_of(azure)["fra", "Standard"] == 100
    assert "belongs to fleet others" in share_of(plan, "fra").reason


def test_what_runs_in_an_account_that_is_only_observed_counts_and_stays() -> None:
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("120k"))
    watched = replace(fleet.desired[account_id("fra")], lifecycle=Lifecycle(policy=ManagePolicy.OBSERVE))
    fleet = replace(fleet, desired={**fleet.desired, watched.id: watched})
    azure.apply(plan_for(fleet, azure))
    assert units_of(azure) == {("fra", "Standard"): 100, ("pol", "Standard"): 20}


def test_a_deployment_of_another_model_is_left_alone() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    foreign: JsonObject = {
        "sku": {"name": "Standard", "capacity": 7},
        "properties": {"model": {"format": "OpenAI", "name": "o1"}},
    }
    azure.add(cell_id("fra"), foreign)
    plan = plan_for(fleet, azure)
    assert cell_id("fra") not in {step.id for step in plan.steps}
    share = share_of(plan, "fra")
    assert (share.placed, share.reason) == (0, "Account/fra has a deployment chat-standard of o1 as Standard")
    assert spread_of(plan).placed == 150_000
    assert spread_of(plan).shortfall == 0


def test_where_something_could_not_be_read_everything_stays() -> None:
    fleet = fleet_with(pool("150k"))
    azure = settled(fleet)
    del azure.live[cell_id("fra")]
    snapshot = azure.snapshot(quotas=quotas_of(azure, ROOM), blind=(blind_to(DEPLOYMENTS, account_id("fra")),))
    plan = make_plan(fleet, snapshot)
    assert plan.steps == ()
    assert spread_of(plan).reason == (
        "nothing is placed: what runs in Account/fra could not be read: AuthorizationFailed"
    )
    assert find_unplaced(fleet, snapshot) == frozenset()


def test_while_a_document_is_broken_everything_stays() -> None:
    azure = settled(fleet_with(pool("150k")))
    finding = Finding(code="x", message="x", origin=ORIGIN)
    broken = {Ref(kind="Account", name="esp"): (finding,)}
    fleet = replace(fleet_with(pool("260k")), broken=broken)
    plan = plan_for(fleet, azure)
    assert plan.steps == ()
    assert "while documents are broken: Account/esp" in spread_of(plan).reason


def test_a_region_whose_quota_could_not_be_read_gets_nothing_new() -> None:
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("280k"))
    quotas = quotas_of(azure, {"fra": 100, "pol": 100}, unread={REGIONS["swe"]: fault_of()})
    plan = make_plan(fleet, azure.snapshot(quotas=quotas))
    assert share_of(plan, "swe").reason == "quota of swedencentral could not be read: AuthorizationFailed"
    assert spread_of(plan).placed == 200_000


def test_a_region_that_does_not_sell_the_model_is_passed_over() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    quotas = quotas_of(azure, ROOM)
    other = {replace(offer(REGIONS["swe"]), model="gpt-4.1"): _terms()}
    there = replace(quotas.markets[REGIONS["swe"]], terms=other)
    nothing = Quotas(markets={**quotas.markets, REGIONS["swe"]: there})
    plan = make_plan(fleet, azure.snapshot(quotas=nothing))
    assert share_of(plan, "swe").reason == f"swedencentral does not sell gpt-4o {VERSION} as Standard"


def _terms() -> Any:
    return next(iter(quotas_of(PlainAzure(), {"fra": 1}).markets["francecentral"].terms.values()))


@pytest.mark.parametrize("policy", [ManagePolicy.OBSERVE, ManagePolicy.DETACH])
def test_a_pool_that_is_not_managed_places_nothing_and_takes_nothing(policy: ManagePolicy) -> None:
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("260k", lifecycle=Lifecycle(policy=policy)), prune=frozenset({DEPLOYMENTS.lower()}))
    assert find_unplaced(fleet, azure.snapshot()) == frozenset()
    plan = plan_for(fleet, azure)
    assert plan.steps == ()
    assert spread_of(plan).reason == f"lifecycle.policy: {policy} places nothing"


def test_what_a_pool_has_is_not_pruned() -> None:
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("150k"), prune=frozenset({DEPLOYMENTS.lower(), ACCOUNTS.lower()}))
    assert make_plan(fleet, azure.snapshot()).steps == ()


def test_a_selection_of_a_pool_is_what_it_may_become_with_its_accounts() -> None:
    fleet = fleet_with(pool("150k"))
    chosen = select([fleet], ("ModelPool/chat",), {})
    assert {cell_id("fra"), account_id("fra"), cell_id("swe")} <= chosen
    azure = empty_azure(fleet)
    snapshot = azure.snapshot(quotas=quotas_of(azure, ROOM))
    assert len(make_plan(fleet, snapshot, chosen).steps) == 2
    others = make_plan(fleet, snapshot, frozenset({account_id("fra")}))
    assert (others.steps, others.spreads, others.converged) == ((), (), True)


def test_an_account_that_has_to_be_replaced_keeps_what_it_has_until_then() -> None:
    azure = settled(fleet_with(pool("150k")))
    fleet = fleet_with(pool("160k"))
    home = fleet.desired[account_id("fra")]
    away = replace(home, fields={**home.fields, "location": "italynorth"})
    fleet = replace(fleet, desired={**fleet.desired, home.id: away}, policy=replace(fleet.policy, allow=frozenset()))
    plan = plan_for(fleet, azure)
    assert share_of(plan, "fra").reason == "Account/fra has to be replaced first"
    assert {step.id.top.name for step in plan.steps} == {"pol"}
    assert spread_of(plan).placed == 160_000


def test_what_azure_is_working_on_is_left_alone() -> None:
    azure = settled(fleet_with(pool("150k")))
    azure.edit(cell_id("pol"), "properties.provisioningState", "Accepted")
    fleet = fleet_with(pool("160k"))
    plan = plan_for(fleet, azure)
    assert share_of(plan, "pol").reason == "Azure is still working on chat-standard (Accepted)"
    assert {step.id.top.name for step in plan.steps} == {"swe"}
    smaller = plan_for(fleet_with(pool("100k")), azure)
    assert decided(smaller, cell_id("pol")).state is DecisionState.IN_PROGRESS


@pytest.mark.parametrize("case", ["pool", "tokens"])
def test_what_a_region_says_only_half_of_is_passed_over(case: str) -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    quotas = quotas_of(azure, ROOM)
    here = quotas.markets[REGIONS["fra"]]
    half = replace(here, usages={})
    told = "francecentral has no quota OpenAI.Standard.gpt-4o"
    if case == "tokens":
        half = replace(here, terms={each: replace(terms, tokens=None) for each, terms in here.terms.items()})
        told = "francecentral does not say what a unit of gpt-4o as Standard is worth"
    plan = make_plan(fleet, azure.snapshot(quotas=replace(quotas, markets={**quotas.markets, REGIONS["fra"]: half})))
    assert share_of(plan, "fra").reason == told
    assert spread_of(plan).shortfall == 0


@pytest.mark.parametrize(
    ("retires", "status", "told"),
    [(None, "deprecating", "being withdrawn"), (-1, "generallyavailable", "retired")],
)
def test_a_model_that_is_withdrawn_is_placed_nowhere_new(retires: int | None, status: str, told: str) -> None:
    azure = settled(fleet_with(pool("150k")))
    quotas = quotas_of(azure, ROOM)
    edition = Edition(model="gpt-4o", version=VERSION, status=status, retires=retires)
    editions = {("openai", "gpt-4o", VERSION): edition}
    markets = {region: replace(each, editions=editions) for region, each in quotas.markets.items()}
    fleet = fleet_with(pool("300k"))
    plan = make_plan(fleet, azure.snapshot(quotas=replace(quotas, markets=markets)))
    assert share_of(plan, "swe").reason == (
        f"swedencentral takes no new deployment of gpt-4o {VERSION} as Standard: it is {told}"
    )
    # What runs may grow until its model is retired.
    assert {step.id.top.name for step in plan.steps} == ({"pol"} if told == "being withdrawn" else set())


def test_capacities_are_whole_steps_and_no_larger_than_they_may_be() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    azure.apply(plan_for(fleet, azure, terms={"least": 20, "step": 20, "most": 60}))
    units = units_of(azure)
    assert sum(units.values()) == 160
    assert all(each % 20 == 0 and each <= 60 for each in units.values())


def test_a_share_that_no_room_makes_up_for_is_told() -> None:
    fleet = fleet_with(pool("300k", maxSharePerRegion=34))
    azure = empty_azure(fleet)
    limits = {"swe": 200, "fra": 200, "pol": 0}
    plan = plan_for(fleet, azure, limits)
    spread = spread_of(plan)
    assert (spread.placed, spread.reason) == (
        204_000,
        "maxSharePerRegion is 34, and too few regions have room for all of it",
    )


def test_a_change_of_versions_is_written_where_the_tokens_are() -> None:
    azure = settled(fleet_with(pool("150k")))
    azure.edit(cell_id("fra"), "properties.model.version", "2024-08-06")
    plan = plan_for(fleet_with(pool("150k")), azure)
    assert [change.path for change in decided(plan, cell_id("fra")).changes] == ["model.version"]
    assert decided(plan, cell_id("fra")).reason.startswith(
        "differs from its document; 100,000 of the 150,000 tokens per minute that ModelPool/chat wants"
    )
    assert spread_of(plan).placed == 150_000


def test_what_is_liked_better_is_not_blamed_where_it_has_all_that_it_can_use() -> None:
    wish = pool("150k", "DataZoneStandard", "Standard")
    account = account_id("fra")
    better = Slot(account=account, location="francecentral", sku="DataZoneStandard", rank=0, pool=None, tokens=1000)
    other = replace(better, sku="Standard", rank=1)
    notes = [
        SlotNote(slot=better, units=100, choice=Choice.NEW, limit=Limit.WISH),
        SlotNote(slot=other, units=50, choice=Choice.NEW, limit=Limit.WISH),
    ]
    assert tell_slot(wish, notes[1], notes) == "50,000 of the 150,000 tokens per minute that ModelPool/chat wants"


# -- hardware


def test_quota_without_hardware_is_not_counted_on() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    before = plan_for(fleet, azure)
    assert find_growing(fleet, before) == {("openai", "gpt-4o", VERSION)}
    known = {offer("francecentral"): 30, offer("polandcentral"): 100, offer("swedencentral"): 100}
    plan = plan_for(fleet, azure, hardware=known)
    azure.apply(plan)
    assert sum(units_of(azure).values()) == 150
    assert units_of(azure).get(("fra", "Standard"), 0) <= 30


def test_what_azure_counts_by_quota_is_not_taken_for_a_lack_of_hardware() -> None:
    """What is told is never more than the quota that is left now, and a plan may free some."""
    azure = settled(fleet_with(pool("300k")))
    fleet = fleet_with(pool("300k", regions=list(REGIONS.values())))
    none = {offer(region): 0 for region in REGIONS.values()}
    assert plan_for(fleet, azure, hardware=none).steps == ()
    assert find_growing(fleet, plan_for(fleet, azure, hardware=none)) == frozenset()


def test_an_unknown_amount_of_hardware_stops_nothing_and_is_told() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    plan = plan_for(fleet, azure, unsure={("openai", "gpt-4o", VERSION): fault_of()})
    assert spread_of(plan).shortfall == 0
    assert spread_of(plan).reason == "what hardware there is for it could not be read: AuthorizationFailed"


def test_a_place_that_was_refused_hardware_is_left_alone_for_a_while() -> None:
    fleet = fleet_with(pool("150k"))
    azure = empty_azure(fleet)
    memory = Memory(shunned={offer("francecentral"): Shunned(at=-60.0, until=240.0)})
    plan = plan_for(fleet, azure, memory=memory)
    azure.apply(plan)
    assert units_of(azure) == {("pol", "Standard"): 100, ("swe", "Standard"): 50}
    assert share_of(plan, "fra").reason == (
        "Azure had no hardware for gpt-4o as standard in francecentral at 1969-12-31T23:59:00Z, not asked again before "
        "1970-01-01T00:04:00Z"
    )
    later = Memory(shunned={offer("francecentral"): Shunned(at=-600.0, until=0.0)})
    assert cell_id("fra") in {step.id for step in plan_for(fleet, empty_azure(fleet), memory=later).steps}


def test_a_plain_deployment_that_was_refused_hardware_is_held_back() -> None:
    fleet = fleet_with(accounts={"fra": plain(60)})
    azure = empty_azure(
        replace(fleet, desired={id: each for id, each in fleet.desired.items() if len(id.segments) < 2})
    )
    memory = Memory(shunned={offer("francecentral"): Shunned(at=0.0, until=300.0)})
    held = decided(plan_for(fleet, azure, memory=memory), account_id("fra").child("deployments", "plain"))
    assert (held.state, held.action, held.code) == (DecisionState.BLOCKED, Action.CREATE, "no_hardware")
    assert held.reason.startswith(
        "Azure had no hardware for gpt-4o as standard in francecentral at 1970-01-01T00:00:00Z"
    )
    assert held.permit == "wait, or declare another region or deployment type; a ModelPool looks for one by itself"
