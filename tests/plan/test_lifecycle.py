"""Models that retire are told in time with what replaces them; what Azure upgrades as it may is no drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.lifecycle import Lifecycle, ManagePolicy
from reconciler.model.outlook import Nearness, Retirement, count_days, show_day, tell_nearness
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.quota import Catalogue, Quotas
from reconciler.plan import find_asked, find_lists, make_plan
from tests.plan.markets import REGION, pool_of
from tests.plan.shops import (
    ROOMY,
    TODAY,
    Model,
    azure_with,
    catalogue_of,
    fleet_with,
    listing,
    market,
    moment,
    plan_on,
    quotas_of,
)
from tests.support.builders import (
    PlainAzure,
    Spec,
    account_id,
    account_spec,
    converged,
    decided,
    declare_account,
    deployment_id,
    deployment_spec,
    fleet_of,
)

OLD, NEW = "2024-08-06", "2024-11-20"
NEXT = Model("gpt-4.1", "2025-04-14", default=True)


def old(**more: Any) -> Model:
    return replace(Model("gpt-4o", OLD, retires="2026-03-31"), **more)


def new(**more: Any) -> Model:
    return replace(Model("gpt-4o", NEW, retires="2027-01-01", default=True), **more)


def serving(version: str = OLD, units: int = 10, name: str = "a", **more: Any) -> Spec:
    return deployment_spec(name, units, model={"name": "gpt-4o", "version": version}, **more)


def seen(plan: Plan, name: str = "a") -> Decision:
    return decided(plan, deployment_id(name))


def only(plan: Plan) -> Retirement:
    (found,) = plan.outlook.retirements
    return found


def quiet(*specs: Spec, day: str = TODAY, **more: Any) -> Plan:
    """The plan for what is as it is declared."""
    return plan_on(day, fleet_with(*specs), azure_with(*specs), **more)


# -- days


@pytest.mark.parametrize(
    ("day", "nearness", "days"),
    [
        ("2025-12-30", Nearness.FAR, 91),
        ("2025-12-31", Nearness.NOTICE, 90),
        ("2026-01-29", Nearness.NOTICE, 61),
        ("2026-01-30", Nearness.WARNING, 60),
        ("2026-02-28", Nearness.WARNING, 31),
        ("2026-03-01", Nearness.URGENT, 30),
        ("2026-03-23", Nearness.URGENT, 8),
        ("2026-03-24", Nearness.CRITICAL, 7),
        ("2026-03-30", Nearness.CRITICAL, 1),
        ("2026-03-31", Nearness.RETIRED, 0),
        ("2026-04-10", Nearness.RETIRED, -10),
    ],
)
def test_the_nearer_a_retirement_the_louder_it_is_told(day: str, nearness: Nearness, days: int) -> None:
    end, now = moment("2026-03-31"), float(moment(day))
    assert (tell_nearness(end, now), count_days(end, now), show_day(end)) == (nearness, days, "2026-03-31")


def test_a_retirement_within_ninety_days_is_a_warning_and_a_later_one_is_not() -> None:
    plan = quiet(serving(), day="2025-12-30", catalogue=catalogue_of(old(), new()))
    assert (only(plan).days, only(plan).nearness) == (91, Nearness.FAR)
    assert seen(plan).warnings == ()
    assert plan.converged
    plan = quiet(serving(), day="2026-02-28", quotas=quotas_of(old(), new()))
    (warning,) = seen(plan).warnings
    assert warning == (
        "retires in 31 days: gpt-4o 2024-08-06 as GlobalStandard in swedencentral, on 2026-03-31 (warning); gpt-4o "
        "2024-11-20 can replace it: it is sold as GlobalStandard in swedencentral and fits into the same pool"
    )
    assert plan.converged


@pytest.mark.parametrize(
    ("day", "told"),
    [
        ("2026-03-30", "retires in 1 day: gpt-4o 2024-08-06 as GlobalStandard in swedencentral, on 2026-03-31"),
        (
            "2026-03-30T12:00",
            "retires within a day: gpt-4o 2024-08-06 as GlobalStandard in swedencentral, on 2026-03-31",
        ),
        ("2026-04-10", "retired: gpt-4o 2024-08-06 as GlobalStandard in swedencentral was retired on 2026-03-31"),
    ],
)
def test_the_last_day_and_what_is_past_are_told(day: str, told: str) -> None:
    plan = quiet(serving(), day=day, catalogue=catalogue_of(old(), new()))
    assert only(plan).told == told


def test_a_type_that_retires_before_its_model_is_told_with_both_days() -> None:
    early = old(skus={"GlobalStandard": {"retires": "2026-02-27"}}, tentative=True)
    found = only(quiet(serving(), catalogue=catalogue_of(early, new())))
    assert (found.early, found.tentative, show_day(found.at)) == (True, False, "2026-02-27")
    assert found.told.endswith("on 2026-02-27, before the model itself (2026-03-31)")


def test_a_date_that_azure_may_move_is_told_as_such() -> None:
    found = only(quiet(serving(), catalogue=catalogue_of(old(tentative=True), new())))
    assert found.told.endswith("on 2026-03-31, a tentative date")


def test_deployments_of_one_offer_are_told_together_and_the_soonest_comes_first() -> None:
    specs = [serving(NEW, 5, "n"), serving(OLD, 10, "x"), serving(OLD, 20, "y")]
    plan = quiet(*specs, catalogue=catalogue_of(old(), new()))
    assert [(each.version, each.units, [id.name for id in each.deployments]) for each in plan.outlook.retirements] == [
        (OLD, 30, ["x", "y"]),
        (NEW, 5, ["n"]),
    ]
    assert [each.version for each in plan.outlook.near] == [OLD]


def test_what_is_planned_counts_and_not_what_goes() -> None:
    azure = azure_with(serving(OLD))
    plan = plan_on(TODAY, fleet_with(serving(NEW)), azure, quotas=quotas_of(old(), new(default=False)))
    assert seen(plan).action is Action.UPDATE
    assert [each.version for each in plan.outlook.retirements] == [NEW]
    prune = frozenset({"microsoft.cognitiveservices/accounts/deployments"})
    fleet = fleet_with(serving(NEW, name="b"), prune=prune, allow_empty=True)
    gone = plan_on(TODAY, fleet, azure, quotas=quotas_of(old(), new()))
    assert [each.version for each in gone.outlook.retirements] == [NEW]


def test_what_is_ours_and_undeclared_is_told_and_what_strangers_run_is_not() -> None:
    azure = azure_with(serving())
    theirs = account_id("theirs")
    azure.add(theirs, {"location": REGION, "kind": "OpenAI", "sku": {"name": "S0"}})
    azure.add(theirs.child("deployments", "x"), azure.live[deployment_id("a")])
    plan = plan_on(TODAY, fleet_with(), azure, catalogue=catalogue_of(old(), new()))
    assert [id.name for id in only(plan).deployments] == ["a"]


def test_a_model_without_a_date_or_on_no_list_is_not_told() -> None:
    assert quiet(serving(), catalogue=catalogue_of(old(retires=None), new())).outlook.retirements == ()
    assert quiet(serving(), catalogue=catalogue_of(new())).outlook.retirements == ()
    assert quiet(serving()).outlook.retirements == ()
    tuned = deployment_spec("a", model={"name": "gpt-4o-2024-08-06.ft-01", "version": "1"})
    assert quiet(tuned, catalogue=catalogue_of(old())).outlook.retirements == ()


def test_what_its_own_region_lists_no_more_is_told() -> None:
    plan = quiet(serving(), catalogue=catalogue_of(new()))
    told = "gpt-4o 2024-08-06 as GlobalStandard is not on the list of swedencentral any more"
    assert [note.told for note in plan.outlook.notes] == [f"{told}: when it retires, or whether it has, is not known"]
    assert seen(plan).reason == "as declared"
    elsewhere = quiet(serving(), catalogue=catalogue_of(new(), at="eastus"))
    assert elsewhere.outlook.notes == ()
    wanted = plan_on(TODAY, fleet_with(serving()), azure_with(), quotas=quotas_of(new()))
    assert wanted.outlook.notes == ()


def test_days_that_pass_change_no_digest() -> None:
    digests = {quiet(serving(), day=day, catalogue=catalogue_of(old(), new())).digest for day in (TODAY, "2026-03-01")}
    assert len(digests) == 1


# -- what replaces it


def advice(*models: Model, units: int = 10, pools: Mapping[str, tuple[int, int]] = ROOMY) -> str:
    sold = quotas_of(swedencentral=market(models, pools=pools))
    return only(quiet(serving(units=units), quotas=sold)).advice


def test_what_azure_names_as_replacement_comes_first_where_it_is_sold_and_has_room() -> None:
    named = old(successor=("gpt-4.1", "2025-04-14", "2026-02-12"))
    assert advice(named, new(), NEXT, pools={"OpenAI.GlobalStandard.gpt-4.1": (90, 100)}) == (
        "gpt-4.1 2025-04-14 can replace it: it is sold as GlobalStandard in swedencentral and takes 10 of the 10 that "
        "are left of its pool"
    )
    assert advice(named, new(), NEXT, pools={"OpenAI.GlobalStandard.gpt-4.1": (91, 100)}).startswith(
        "gpt-4o 2024-11-20 can"
    )
    assert advice(named, new()).startswith("gpt-4o 2024-11-20 can replace it")


def test_without_room_for_any_that_is_said() -> None:
    named = old(successor=("gpt-4.1", "2025-04-14", "2026-02-12"))
    assert advice(named, NEXT, pools={"OpenAI.GlobalStandard.gpt-4.1": (91, 100)}) == (
        "gpt-4.1 2025-04-14 would replace it as GlobalStandard in swedencentral, but quota has no room for it: it "
        "needs 10 and 9 are left"
    )


def test_without_anything_that_outlives_it_that_is_said() -> None:
    nothing = (
        "nothing that outlives it is sold as GlobalStandard in swedencentral: choose another model, type or region"
    )
    assert advice(old()) == nothing
    assert advice(old(), new(retires="2026-03-01")) == nothing
    assert advice(old(), new(status="deprecating")) == nothing
    assert advice(old(), new(skus={"Standard": {}})) == nothing


def test_the_newest_version_is_proposed() -> None:
    assert advice(old(), new(), Model("gpt-4o", "2025-03-01", retires="2028-01-01")).startswith("gpt-4o 2025-03-01")


def test_units_of_another_rate_are_converted_before_they_are_held_against_quota() -> None:
    big = replace(NEXT, skus={"GlobalStandard": {"tokens": 6000, "step": 2}})
    named = old(successor=("gpt-4.1", "2025-04-14", "2026-02-12"))
    assert "takes 4 of the 5 that are left" in advice(
        named, big, units=20, pools={"OpenAI.GlobalStandard.gpt-4.1": (0, 5)}
    )


def test_in_the_same_pool_only_what_it_takes_more_counts() -> None:
    wide = new(skus={"GlobalStandard": {"least": 15}})
    full = {"OpenAI.GlobalStandard.gpt-4o": (100, 104)}
    assert advice(old(), wide, pools=full).endswith("quota has no room for it: it needs 5 and 4 are left")
    assert advice(old(), new(), pools=full).endswith("fits into the same pool")


def test_where_quota_was_not_read_its_room_is_not_known() -> None:
    named = old(successor=("gpt-4.1", "2025-04-14", "2026-02-12"))
    assert only(quiet(serving(), catalogue=catalogue_of(named, NEXT))).advice == (
        "gpt-4.1 2025-04-14 would replace it as GlobalStandard in swedencentral; whether quota has room for it is not "
        "known"
    )


def test_a_list_of_another_region_tells_the_day_and_not_the_replacement() -> None:
    found = only(quiet(serving(), catalogue=catalogue_of(old(), new(), at="eastus")))
    assert found.days == 89
    assert found.advice == "what replaces it in swedencentral is not known: its model list was not read"


def test_quota_is_asked_where_something_retires_soon() -> None:
    fleet, azure = fleet_with(serving()), azure_with(serving())
    for day, asked in ((TODAY, {REGION}), ("2025-10-01", set())):
        plan = plan_on(day, fleet, azure, catalogue=catalogue_of(old(), new()))
        assert find_asked(plan, fleet, azure.snapshot()) == asked


def test_a_pool_tells_the_first_retirement_of_ours_in_it() -> None:
    specs = [serving(OLD, name="x"), serving(NEW, name="y")]
    pool = pool_of(quiet(*specs, quotas=quotas_of(old(), new())), "OpenAI.GlobalStandard.gpt-4o")
    assert (pool.retires, pool.days) == (moment("2026-03-31"), 89)
    idle = pool_of(quiet(*specs, quotas=quotas_of(old(), new(), NEXT)), "OpenAI.GlobalStandard.gpt-4.1")
    assert (idle.retires, idle.days) == (None, None)


def test_lists_that_could_not_be_read_are_told_unless_they_are_known_otherwise() -> None:
    fault = Fault(cls=FaultClass.FORBIDDEN, code="AuthorizationFailed", message="no", status=403)
    unread = Catalogue(unread={REGION: fault})
    assert quiet(serving(), catalogue=unread).outlook.unread == {REGION: fault}
    assert quiet(serving(), catalogue=unread, quotas=quotas_of(old())).outlook.unread == {}


# -- which lists


def test_few_lists_tell_of_everything_that_is_deployed() -> None:
    everywhere = [serving(OLD, name="x"), serving(NEW, name="y")]
    one = deployment_spec("z", model={"name": "gpt-4.1", "version": "2025-04-14"})
    fleet, azure = converged(
        declare_account("s1", account_spec(deployments=everywhere)),
        declare_account("e1", account_spec(location="East US", deployments=everywhere)),
        declare_account("w1", account_spec(location="westus", deployments=[*everywhere, one])),
        declare_account("n1", account_spec(location="norwayeast")),
    )
    assert find_lists(fleet, azure.snapshot()) == {"westus"}
    assert find_lists(fleet_of(), azure.snapshot()) == {"westus"}
    assert find_lists(replace(fleet_of(), name="other"), azure.snapshot()) == frozenset()
    assert find_lists(fleet, PlainAzure().snapshot()) == frozenset()
    tuned = deployment_spec("a", model={"name": "gpt-4o-2024-08-06.ft-01", "version": "1"})
    assert find_lists(fleet_with(tuned), azure_with(tuned).snapshot()) == frozenset()
    azure.edit(deployment_id("x", of="e1"), "properties.model.version", NEW)
    assert find_lists(fleet, azure.snapshot()) == {"eastus", "westus"}


# -- what Azure moves by itself


def moved(
    spec: Spec, to: tuple[str, str] = ("gpt-4o", NEW), option: str = "OnceNewDefaultVersionAvailable"
) -> PlainAzure:
    """An Azure in which the deployment has got another model meanwhile."""
    azure = azure_with(spec)
    azure.edit(deployment_id("a"), "properties.model.name", to[0])
    azure.edit(deployment_id("a"), "properties.model.version", to[1])
    azure.edit(deployment_id("a"), "properties.versionUpgradeOption", option)
    return azure


NOTE = (
    "runs gpt-4o 2024-11-20 in place of gpt-4o 2024-08-06, to which its versionUpgradeOption "
    "OnceNewDefaultVersionAvailable lets Azure move it: declare gpt-4o 2024-11-20, or leave model.version out, or go "
    "back with versionUpgradeOption: NoAutoUpgrade"
)


def test_an_upgrade_to_the_default_version_is_expected_and_told() -> None:
    plan = plan_on(TODAY, fleet_with(serving()), moved(serving()), catalogue=catalogue_of(old(), new()))
    assert plan.converged
    decision = seen(plan)
    assert (decision.state, decision.changes, decision.warnings) == (DecisionState.IN_SYNC, (), (NOTE,))
    assert decision.reason == NOTE.partition(":")[0]
    assert [(note.id, note.told) for note in plan.outlook.notes] == [(deployment_id("a"), NOTE)]
    assert [each.version for each in plan.outlook.retirements] == [NEW]


def test_what_else_differs_is_put_right_and_the_version_stays() -> None:
    azure = moved(serving())
    plan = plan_on(TODAY, fleet_with(serving(units=20)), azure, quotas=quotas_of(old(), new()))
    (step,) = plan.steps
    assert (step.fields["sku.capacity"], seen(plan).changes[0].path) == (20, "sku.capacity")
    assert "model.version" not in {change.path for change in seen(plan).changes}


def test_an_upgrade_that_the_document_forbids_is_drift_and_put_back() -> None:
    for pinned, option in (
        (serving(versionUpgradeOption="NoAutoUpgrade"), "OnceNewDefaultVersionAvailable"),
        (serving(), "NoAutoUpgrade"),
    ):
        plan = plan_on(TODAY, fleet_with(pinned), moved(pinned, option=option), quotas=quotas_of(old(), new()))
        assert "model.version" in {change.path for change in seen(plan).changes}
        assert seen(plan).acts


def test_what_cannot_be_put_back_because_it_is_retired_is_blocked() -> None:
    pinned = serving(versionUpgradeOption="NoAutoUpgrade")
    azure = moved(pinned, option="NoAutoUpgrade")
    plan = plan_on("2026-05-01", fleet_with(pinned), azure, quotas=quotas_of(old(), new()))
    assert (seen(plan).code, plan.steps) == ("model_retired", ())


def test_a_document_that_asks_for_a_newer_version_gets_it() -> None:
    """The live version is the default, and that it is older says that nobody but the document has moved."""
    azure = azure_with(serving(OLD))
    lists = quotas_of(old(default=True), new(default=False))
    plan = plan_on(TODAY, fleet_with(serving(NEW)), azure, quotas=lists)
    assert [change.path for change in seen(plan).changes] == ["model.version"]
    assert seen(plan).acts


def test_a_version_that_is_not_the_default_was_moved_by_somebody() -> None:
    plan = plan_on(
        TODAY, fleet_with(serving()), moved(serving()), quotas=quotas_of(old(default=True), new(default=False))
    )
    assert seen(plan).acts


def test_without_a_list_of_the_region_a_version_is_drift() -> None:
    azure = moved(serving())
    assert seen(plan_on(TODAY, fleet_with(serving()), azure)).acts
    elsewhere = catalogue_of(old(), new(), at="eastus")
    assert seen(plan_on(TODAY, fleet_with(serving()), azure, catalogue=elsewhere)).acts


@pytest.mark.parametrize(
    ("declared", "live", "expected"),
    [
        (
            Model("gpt-4", "0613", retires="2026-06-01"),
            Model("gpt-4", "1106", retires="2027-06-01", default=True),
            True,
        ),
        (
            Model("gpt-4", "1106", retires="2027-06-01"),
            Model("gpt-4", "0613", retires="2026-06-01", default=True),
            False,
        ),
        (Model("gpt-4", "0613", retires=None), Model("gpt-4", "1106", default=True), False),
        (Model("gpt-4", "0613"), Model("gpt-4", "1106", retires=None, default=True), True),
    ],
)
def test_versions_without_dates_in_their_names_are_ordered_by_how_long_they_stay(
    declared: Model, live: Model, expected: bool
) -> None:
    spec = deployment_spec("a", model={"name": declared.name, "version": declared.version})
    azure = moved(spec, (live.name, live.version))
    plan = plan_on(TODAY, fleet_with(spec), azure, quotas=quotas_of(declared, live))
    assert seen(plan).acts is not expected


def test_an_announced_upgrade_to_another_model_is_expected_and_replaces_nothing() -> None:
    named = old(successor=("gpt-4.1", "2025-04-14", "2025-12-15"))
    azure = moved(serving(), ("gpt-4.1", "2025-04-14"))
    plan = plan_on(TODAY, fleet_with(serving()), azure, catalogue=catalogue_of(named, new(), NEXT))
    assert seen(plan).state is DecisionState.IN_SYNC
    assert seen(plan).reason.startswith("runs gpt-4.1 2025-04-14 in place of gpt-4o 2024-08-06")
    later = old(successor=("gpt-4.1", "2025-04-14", "2026-02-01"))
    plan = plan_on(TODAY, fleet_with(serving()), azure, quotas=quotas_of(later, new(), NEXT))
    assert seen(plan).action is Action.REPLACE


def test_an_upgrade_may_have_taken_several_steps() -> None:
    chain = (
        old(successor=("gpt-4.1", "2025-04-14", "2025-11-01")),
        replace(NEXT, default=False),
        Model("gpt-4.1", "2025-09-01", default=True, successor=("gpt-5", "2025-08-07", "2025-12-01")),
        Model("gpt-5", "2025-08-07", default=True, successor=("gpt-4o", OLD, "2025-12-01")),
    )
    azure = moved(serving(), ("gpt-5", "2025-08-07"))
    assert seen(plan_on(TODAY, fleet_with(serving()), azure, catalogue=catalogue_of(*chain))).state is (
        DecisionState.IN_SYNC
    )
    early = plan_on("2025-11-15", fleet_with(serving()), azure, quotas=quotas_of(*chain))
    assert seen(early).action is Action.REPLACE


def test_an_upgrade_at_the_end_is_expected_once_the_declared_version_is_retired() -> None:
    option = "OnceCurrentVersionExpired"
    spec = serving(versionUpgradeOption=option)
    azure = moved(spec, option=option)
    early = plan_on(TODAY, fleet_with(spec), azure, quotas=quotas_of(old(), new()))
    assert "model.version" in {change.path for change in seen(early).changes}
    late = plan_on("2026-04-01", fleet_with(spec), azure, catalogue=catalogue_of(old(), new()))
    assert seen(late).state is DecisionState.IN_SYNC
    lead = old(successor=("gpt-4o", NEW, "2030-01-01"), lead=7)
    for day, expected in (("2026-03-23", False), ("2026-03-24", True)):
        ahead = plan_on(day, fleet_with(spec), azure, catalogue=catalogue_of(lead, new(default=False)))
        assert seen(ahead).acts is not expected
    gone = plan_on(TODAY, fleet_with(spec), azure, catalogue=catalogue_of(new()))
    assert seen(gone).state is DecisionState.IN_SYNC
    withdrawn = old(status="deprecated", skus={})
    assert seen(plan_on(TODAY, fleet_with(spec), azure, catalogue=catalogue_of(withdrawn, new()))).state is (
        DecisionState.IN_SYNC
    )


def test_a_version_left_to_azure_is_nobodys_business() -> None:
    spec = deployment_spec("a", model={"name": "gpt-4o"})
    plan = plan_on(TODAY, fleet_with(spec), moved(spec), catalogue=catalogue_of(old(), new()))
    assert (seen(plan).warnings, plan.outlook.notes) == ((), ())


@pytest.mark.parametrize(
    "lifecycle",
    [Lifecycle(policy=ManagePolicy.DETACH), Lifecycle(ignore=("deployments[a].model.version",))],
)
def test_what_a_document_leaves_alone_needs_no_excuse(lifecycle: Lifecycle) -> None:
    fleet = fleet_of(declare_account("one", account_spec(deployments=[serving()]), lifecycle))
    plan = plan_on(TODAY, fleet, moved(serving()), catalogue=catalogue_of(old(), new()))
    assert (plan.outlook.notes, seen(plan).warnings, plan.steps) == ((), (), ())


# -- what Azure will move


def test_a_scheduled_upgrade_of_pinned_versions_is_one_line_for_an_account() -> None:
    named = old(successor=("gpt-4.1", "2025-04-14", "2026-02-12"), retires="2027-01-01")
    specs = [serving(name="x"), serving(name="y"), serving(name="z", versionUpgradeOption="NoAutoUpgrade")]
    plan = quiet(*specs, catalogue=catalogue_of(named, NEXT))
    (note,) = plan.outlook.notes
    assert note.told == (
        "Azure will upgrade by itself: x from gpt-4o 2024-08-06 to gpt-4.1 2025-04-14 from 2026-02-12 on, y from "
        "gpt-4o 2024-08-06 to gpt-4.1 2025-04-14 from 2026-02-12 on; versions are pinned and versionUpgradeOption is "
        "left out: write NoAutoUpgrade to stay, or leave model.version out to go along"
    )
    assert decided(plan, account_id()).warnings == (note.told,)
    assert quiet(*specs, day="2025-11-01", catalogue=catalogue_of(named, NEXT)).outlook.notes == ()
    free = deployment_spec("x", model={"name": "gpt-4o"})
    assert quiet(free, catalogue=catalogue_of(old(default=True), named)).outlook.notes == ()


def test_only_standard_types_are_upgraded() -> None:
    named = old(successor=("gpt-4.1", "2025-04-14", "2026-02-12"), retires="2027-01-01", skus={"GlobalBatch": {}})
    spec = deployment_spec("x", model={"name": "gpt-4o", "version": OLD}, sku={"name": "GlobalBatch", "capacity": 1})
    assert quiet(spec, catalogue=catalogue_of(named)).outlook.notes == ()


def test_many_scheduled_upgrades_are_counted() -> None:
    named = old(successor=("gpt-4.1", "2025-04-14", "2026-02-12"), retires="2027-01-01")
    plan = quiet(*(serving(name=f"d{number}") for number in range(6)), catalogue=catalogue_of(named, NEXT))
    (note,) = plan.outlook.notes
    assert ", and 2 more; versions are pinned" in note.told


def test_where_quota_was_asked_its_lists_are_the_ones_that_count() -> None:
    plan = quiet(serving(), catalogue=catalogue_of(old(retires="2026-01-05")), quotas=quotas_of(old(), new()))
    assert show_day(only(plan).at) == "2026-03-31"
    assert make_plan(fleet_with(), azure_with().snapshot(quotas=Quotas())).outlook.retirements == ()
    assert listing([old()]).terms.keys() == catalogue_of(old()).listings[REGION].terms.keys()
