"""What Azure would refuse is refused before anything is written, with the reason and the least change that would do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.plan import Action, Decision, DecisionState, Plan
from reconciler.model.quota import Quotas, Terms
from reconciler.model.resource import Fleet
from reconciler.plan import find_asked, make_plan
from reconciler.plan.preflight import find_fitting
from tests.plan.markets import REGION
from tests.plan.shops import TODAY, Model, azure_with, fleet_with, market, plan_on, quotas_of
from tests.support.builders import (
    EVERY_WORD,
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
    steps_of,
)

PTU = {"least": 15, "step": 5, "most": 100_000}
GPT_4O = Model(
    "gpt-4o", "2024-11-20", default=True, skus={"GlobalStandard": {}, "Standard": {}, "GlobalProvisionedManaged": PTU}
)
OLD_4O = Model("gpt-4o", "2024-08-06")
MINI = Model("gpt-4o-mini", "2024-07-18", default=True)
NEXT = Model("gpt-4.1", "2025-04-14", default=True)
NO_NEW = ": Azure takes no new deployment of it"
SOLD = (GPT_4O, OLD_4O, MINI, NEXT)


def wanted(called: str = "a", capacity: int = 10, sku: str = "GlobalStandard", **model: str) -> Spec:
    model = {"name": "gpt-4o", "version": "2024-11-20", **model}
    left = {key: value for key, value in model.items() if value}
    return deployment_spec(called, capacity, model=left, sku={"name": sku, "capacity": capacity})


def judge(spec: Spec, *models: Model, **markets: Any) -> Decision:
    """What is decided about one new deployment, beside another one that goes on in any case."""
    fine = deployment_spec("fine", model={"name": "gpt-4.1", "version": "2025-04-14"})
    plan = plan_on(TODAY, fleet_with(spec, fine), azure_with(), quotas=quotas_of(*(models or SOLD), **markets))
    assert decided(plan, deployment_id("fine")).acts
    assert [step.id.name for step in plan.steps if step.id.name != "fine"] == (
        [spec["name"]] if decided(plan, deployment_id(spec["name"])).acts else []
    )
    return decided(plan, deployment_id(spec["name"]))


def said(decision: Decision) -> tuple[str, str, str]:
    assert decision.state is DecisionState.BLOCKED
    return decision.code, decision.reason.removesuffix(decision.who), decision.permit


def test_what_a_region_sells_goes_on() -> None:
    assert judge(wanted()).acts
    assert judge(wanted(version="")).acts
    assert judge(wanted(version="2024-08-06")).acts


def test_an_unknown_model_is_told_with_names_that_are_close() -> None:
    assert said(judge(wanted(name="gpt-4oo", version=""))) == (
        "model_unknown",
        "swedencentral does not sell the model gpt-4oo",
        "name one that it sells: gpt-4o, gpt-4.1 or gpt-4o-mini",
    )
    assert said(judge(wanted(name="whisper", version="")))[2] == "name a model that it sells"


def test_a_model_of_another_format_is_told_so() -> None:
    deep = Model("DeepSeek-R1", "1", format="DeepSeek", default=True)
    assert said(judge(wanted(name="DeepSeek-R1", version="1"), NEXT, deep))[2] == (
        "set model.format: it is sold there as one of deepseek"
    )


def test_a_model_that_another_region_of_the_fleet_sells_is_told_with_that_region() -> None:
    east = declare_account("two", account_spec(location="eastus"))
    west = declare_account("three", account_spec(location="westus"))
    fleet = fleet_of(declare_account("one", account_spec(deployments=[wanted(name="o1", version="1")])), east, west)
    o1 = Model("o1", "1", default=True)
    retired = replace(o1, retires="2025-01-01")
    quota = quotas_of(*SOLD, eastus=market([o1], "eastus"), westus=market([retired], "westus"))
    plan = plan_on(TODAY, fleet, azure_with(), quotas=quota)
    assert said(decided(plan, deployment_id("a")))[2] == "declare it in eastus, where it is sold"


def test_an_unknown_version_is_told_with_those_that_there_are() -> None:
    assert said(judge(wanted(version="2024-11-21"))) == (
        "version_unknown",
        "swedencentral does not sell version 2024-11-21 of gpt-4o",
        "name 2024-11-20 (the default) or 2024-08-06, or leave model.version out",
    )
    assert said(judge(wanted(version="7", sku="DataZoneStandard")))[2] == (
        "name 2024-11-20 (the default) or 2024-08-06, or leave model.version out"
    )


def test_a_type_that_is_not_sold_is_told_with_those_that_are() -> None:
    assert said(judge(wanted(sku="DataZoneStandard"))) == (
        "sku_unsupported",
        "swedencentral does not sell gpt-4o 2024-11-20 as DataZoneStandard",
        "use Standard, GlobalStandard or GlobalProvisionedManaged",
    )
    assert said(judge(wanted(sku="Standard", version="2024-08-06")))[2] == (
        "use GlobalStandard; or name version 2024-11-20, which is sold as Standard"
    )


def test_the_default_version_may_not_be_sold_as_a_type_that_another_one_is() -> None:
    default, other = replace(OLD_4O, default=True), replace(GPT_4O, default=False)
    assert said(judge(wanted(sku="Standard", version=""), default, other, NEXT)) == (
        "sku_unsupported",
        "swedencentral does not sell gpt-4o 2024-08-06, the default version, as Standard",
        "use GlobalStandard; or name version 2024-11-20, which is sold as Standard",
    )


def test_a_model_that_is_listed_and_sold_on_no_terms_cannot_be_deployed() -> None:
    assert said(judge(wanted(), replace(GPT_4O, skus={}), NEXT)) == (
        "sku_unsupported",
        "swedencentral does not sell gpt-4o 2024-11-20 as GlobalStandard, nor as any other type of deployment",
        "choose another model",
    )


def test_a_model_for_accounts_of_another_kind_is_told_so() -> None:
    model = Model("gpt-oss-120b", "1", kinds=frozenset({"aiservices"}))
    assert said(judge(wanted(name="gpt-oss-120b", version="1"), NEXT, model)) == (
        "kind_unsupported",
        "swedencentral sells gpt-oss-120b 1 to accounts of another kind only, and its account is of kind OpenAI",
        "declare it in an account of kind AIServices",
    )
    fleet = fleet_of(
        declare_account("one", account_spec(kind="AIServices", deployments=[wanted(name="gpt-oss-120b", version="1")]))
    )
    assert decided(
        plan_on(TODAY, fleet, PlainAzure(azure_with().live), quotas=quotas_of(model)), deployment_id("a")
    ).acts


def test_a_retired_model_is_told_with_its_day_and_what_replaces_it() -> None:
    old = replace(OLD_4O, retires="2025-12-31", successor=("gpt-4.1", "2025-04-14", "2025-11-01"))
    assert said(judge(wanted(version="2024-08-06"), GPT_4O, old, NEXT)) == (
        "model_retired",
        "gpt-4o 2024-08-06 as GlobalStandard was retired in swedencentral on 2025-12-31" + NO_NEW,
        "declare gpt-4.1 2025-04-14, which replaces it; or declare version 2024-11-20 of it",
    )


def test_a_type_may_be_retired_before_its_model() -> None:
    old = replace(OLD_4O, retires="2026-03-31", skus={"GlobalStandard": {"retires": "2026-01-01"}})
    early = "before the model itself (2026-03-31)"
    assert said(judge(wanted(version="2024-08-06"), old, NEXT)) == (
        "model_retired",
        f"gpt-4o 2024-08-06 as GlobalStandard was retired in swedencentral on 2026-01-01, {early}{NO_NEW}",
        "choose another model",
    )


@pytest.mark.parametrize("status", ["deprecating", "deprecated"])
def test_a_model_that_is_being_withdrawn_takes_no_new_deployment(status: str) -> None:
    old = replace(OLD_4O, status=status, retires="2026-03-31")
    assert said(judge(wanted(version="2024-08-06"), GPT_4O, old, NEXT)) == (
        "model_deprecating",
        f"gpt-4o 2024-08-06 is {status} in swedencentral and retires on 2026-03-31{NO_NEW}",
        "declare version 2024-11-20 of it",
    )
    undated = replace(old, retires=None)
    assert said(judge(wanted(version="2024-08-06"), undated, NEXT))[1].startswith(
        f"gpt-4o 2024-08-06 is {status} in swedencentral: Azure"
    )


@pytest.mark.parametrize(
    ("capacity", "permit"),
    [(12, "15"), (17, "15 or 20"), (100_001, "100,000"), (15, ""), (100_000, "")],
)
def test_a_capacity_that_is_not_sold_is_told_with_the_nearest_ones(capacity: int, permit: str) -> None:
    decision = judge(wanted(capacity=capacity, sku="GlobalProvisionedManaged"), *SOLD)
    sold = "swedencentral sells gpt-4o 2024-11-20 as GlobalProvisionedManaged from 15 on in steps of 5, 100,000 at most"
    if permit:
        reason = f"a capacity of {capacity:,} is not sold: {sold}"
        assert said(decision) == ("capacity_invalid", reason, f"declare a capacity of {permit}")
    else:
        assert decision.code in ("", "insufficient_quota")


def test_only_allowed_capacities_may_be_declared() -> None:
    model = replace(GPT_4O, skus={"GlobalStandard": {"allowed": (1, 4, 8), "most": None}})
    sold = "swedencentral sells gpt-4o 2024-11-20 as GlobalStandard in capacities of 1, 4 or 8 only"
    assert said(judge(wanted(capacity=5), model, NEXT)) == (
        "capacity_invalid",
        f"a capacity of 5 is not sold: {sold}",
        "declare a capacity of 4 or 8",
    )
    assert said(judge(wanted(capacity=9), model, NEXT))[2] == "declare a capacity of 8"


@pytest.mark.parametrize(
    ("terms", "units", "fitting"),
    [
        (Terms(usage=""), 7, (7, 7)),
        (Terms(usage="", least=50, step=50), 10, (None, 50)),
        (Terms(usage="", least=7, step=5), 6, (None, 10)),
        (Terms(usage="", most=10), 11, (10, None)),
        (Terms(usage="", allowed=(2, 3)), 1, (None, 2)),
    ],
)
def test_the_nearest_capacities_are_sold(terms: Terms, units: int, fitting: tuple[int | None, int | None]) -> None:
    assert find_fitting(terms, units) == fitting


def test_growth_is_held_against_the_amounts_that_are_sold_and_not_against_the_age_of_a_model() -> None:
    sold = {"GlobalStandard": {"most": 20, "retires": "2025-12-01"}}
    ageing = replace(GPT_4O, status="deprecating", retires="2026-02-01", skus=sold)
    azure = azure_with(wanted(capacity=10))
    grown = plan_on(TODAY, fleet_with(wanted(capacity=20)), azure, quotas=quotas_of(ageing))
    assert decided(grown, deployment_id("a")).acts
    refused = decided(
        plan_on(TODAY, fleet_with(wanted(capacity=30)), azure, quotas=quotas_of(ageing)), deployment_id("a")
    )
    assert (refused.code, refused.permit) == ("capacity_invalid", "declare a capacity of 20")


def test_a_change_that_asks_nothing_of_the_market_is_not_held_against_it() -> None:
    azure = azure_with(wanted())
    fleet = fleet_with({**wanted(), "raiPolicyName": "Microsoft.Default"})
    assert decided(plan_on(TODAY, fleet, azure, quotas=quotas_of(NEXT)), deployment_id("a")).acts


def test_a_deployment_of_a_retired_model_takes_no_write_but_to_another_version() -> None:
    azure = azure_with(wanted(version="2024-08-06"))
    retired = quotas_of(GPT_4O, replace(OLD_4O, retires="2025-12-01"), NEXT)
    told = (
        "gpt-4o 2024-08-06 was retired in swedencentral on 2025-12-01: Azure takes no other write to a deployment of it"
    )
    for change in ({"raiPolicyName": "Microsoft.Default"}, {"sku": {"name": "GlobalStandard", "capacity": 20}}):
        plan = plan_on(TODAY, fleet_with({**wanted(version="2024-08-06"), **change}), azure, quotas=retired)
        assert said(decided(plan, deployment_id("a"))) == (
            "model_retired",
            f"{told} than one to another version",
            "declare version 2024-11-20 of it; or take it out of the documents",
        )
    for capacity in (10, 20):
        moved = plan_on(TODAY, fleet_with(wanted(capacity=capacity)), azure, quotas=retired)
        assert decided(moved, deployment_id("a")).acts
    cut = plan_on(TODAY, fleet_with(wanted(capacity=5)), azure, quotas=retired)
    assert (
        said(decided(cut, deployment_id("a")))[2] == "change model.version in a commit of its own, before the capacity"
    )


def test_a_version_that_cannot_be_had_is_no_reason_to_touch_what_runs() -> None:
    azure = azure_with(wanted(version="2024-08-06"))
    retired = replace(GPT_4O, retires="2025-12-01")
    plan = plan_on(TODAY, fleet_with(wanted()), azure, quotas=quotas_of(retired, OLD_4O))
    assert decided(plan, deployment_id("a")).code == "model_retired"
    assert plan.steps == ()


def test_a_replacement_that_cannot_be_made_deletes_nothing() -> None:
    azure = azure_with(wanted())
    plan = plan_on(TODAY, fleet_with(wanted(sku="DataZoneStandard")), azure, quotas=quotas_of(*SOLD))
    refused = decided(plan, deployment_id("a"))
    assert (refused.action, refused.code) == (Action.REPLACE, "sku_unsupported")
    assert plan.steps == ()


def test_an_account_is_not_replaced_where_what_is_in_it_could_not_come_back() -> None:
    azure = azure_with(wanted())
    fleet = fleet_of(declare_account("one", account_spec(location="eastus", deployments=[wanted()])), allow=EVERY_WORD)
    plan = plan_on(TODAY, fleet, azure, quotas=quotas_of(eastus=market([NEXT], "eastus")))
    assert decided(plan, deployment_id("a")).code == "model_unknown"
    assert decided(plan, account_id()).state is DecisionState.BLOCKED
    assert plan.steps == ()


def test_what_was_not_read_refuses_nothing() -> None:
    fault = Fault(cls=FaultClass.FORBIDDEN, code="AuthorizationFailed", message="no", status=403)
    strange = wanted(name="nobody-knows", version="")
    fleet, azure = fleet_with(strange), azure_with()
    for quota in (Quotas(unread={REGION: fault}), quotas_of(swedencentral=market([])), Quotas()):
        assert decided(plan_on(TODAY, fleet, azure, quotas=quota), deployment_id("a")).acts
    assert decided(plan_on(TODAY, fleet, azure), deployment_id("a")).acts


def test_a_fine_tuned_model_is_on_no_list_of_a_region() -> None:
    assert judge(wanted(name="gpt-4o-2024-08-06.ft-0123456789abcdef", version="1")).acts
    source = {"name": "mine", "version": "1", "source": "/subscriptions/s/x"}
    assert judge(deployment_spec("a", model=source)).acts


def test_what_comes_back_with_its_account_is_not_new() -> None:
    azure = azure_with(wanted())
    azure.deleted[account_id()] = azure.live.pop(account_id())
    del azure.live[deployment_id("a")]
    fleet = fleet_with(wanted(), soft_deleted="restore")
    retired = replace(GPT_4O, retires="2025-12-01")
    assert decided(plan_on(TODAY, fleet, azure, quotas=quotas_of(retired)), deployment_id("a")).acts


def test_the_reason_of_the_market_comes_before_that_of_quota() -> None:
    full = market([replace(GPT_4O, retires="2025-12-01")], pools={"OpenAI.GlobalStandard.gpt-4o": (10, 10)})
    plan = plan_on(TODAY, fleet_with(wanted()), azure_with(), quotas=quotas_of(swedencentral=full))
    assert decided(plan, deployment_id("a")).code == "model_retired"


# -- places


def many(count: int, sku: str = "GlobalStandard") -> list[Spec]:
    return [wanted(f"d{number:02}", 1, sku) for number in range(count)]


def places(fleet: Fleet, azure: PlainAzure) -> Plan:
    return plan_on(
        TODAY,
        fleet,
        azure,
        quotas=quotas_of(replace(GPT_4O, skus={"GlobalStandard": {}, "GlobalProvisionedManaged": {}})),
    )


def test_an_account_has_place_for_thirty_two_standard_deployments() -> None:
    plan = places(fleet_with(*many(33), wanted("ptu", 15, "GlobalProvisionedManaged")), azure_with())
    blocked = [each for each in plan.decisions if each.state is DecisionState.BLOCKED]
    assert [each.id.name for each in blocked] == ["d32"]
    assert said(blocked[0]) == (
        "too_many_deployments",
        "account one would have more than 32 standard deployments, the most that Azure allows",
        "declare it in another account, or as a provisioned type; or take another one out of this account",
    )
    assert decided(plan, deployment_id("ptu")).acts


def test_what_goes_leaves_its_place_and_what_stays_keeps_it() -> None:
    azure = azure_with(*many(32))
    prune = frozenset({"microsoft.cognitiveservices/accounts/deployments"})
    assert decided(places(fleet_with(*many(31), wanted("new", 1), prune=prune), azure), deployment_id("new")).acts
    stays = places(fleet_with(*many(31), wanted("new", 1)), azure)
    assert decided(stays, deployment_id("new")).code == "too_many_deployments"
    replaced = [*many(31), wanted("d31", 15, "GlobalProvisionedManaged"), wanted("new", 1)]
    assert decided(places(fleet_with(*replaced), azure), deployment_id("new")).acts


def test_where_more_are_already_azure_has_granted_more() -> None:
    assert decided(places(fleet_with(*many(33), wanted("new", 1)), azure_with(*many(33))), deployment_id("new")).acts


def test_a_region_has_place_for_so_many_accounts_and_soft_deleted_ones_keep_theirs() -> None:
    azure = PlainAzure()
    azure.add(account_id("x").parent, {"location": REGION})  # type: ignore[arg-type]
    for name in ("gone", "lost"):
        azure.deleted[account_id(name)] = {"location": "Sweden Central", "kind": "OpenAI"}
    fleet = fleet_of(
        *(declare_account(name) for name in ("aa", "bb", "cc")), declare_account("ss", account_spec(kind="AIServices"))
    )
    here = market([GPT_4O], pools={"OpenAI.S0.AccountCount": (28, 30), "AccountCount": (100, 200)})
    plan = plan_on(TODAY, fleet, azure, quotas=quotas_of(swedencentral=here))
    assert steps_of(plan) == [("put", "aa"), ("put", "bb"), ("put", "ss")]
    code, reason, permit = said(decided(plan, account_id("cc")))
    assert code == "too_many_accounts"
    assert reason == (
        "swedencentral has no place for it: 28 of 30 accounts are there (OpenAI.S0.AccountCount), and this plan makes "
        "2 more before it; soft-deleted accounts keep their place until they are purged (gone, lost)"
    )
    assert permit == (
        "purge what is soft-deleted there (gone, lost); or declare it in another region; or delete and purge an "
        "account there; or ask Azure for a higher limit"
    )


def test_all_kinds_of_accounts_count_together_as_well() -> None:
    azure = azure_with()
    fleet = fleet_of(declare_account("one"), declare_account("two"))
    here = market([GPT_4O], pools={"AccountCount": (200, 200)})
    refused = decided(plan_on(TODAY, fleet, azure, quotas=quotas_of(swedencentral=here)), account_id("two"))
    assert said(refused)[1:] == (
        "swedencentral has no place for it: 200 of 200 accounts are there (AccountCount)",
        "declare it in another region; or delete and purge an account there; or ask Azure for a higher limit",
    )


def test_what_is_in_an_account_without_a_place_is_not_made_either() -> None:
    fleet = fleet_of(declare_account("one"), declare_account("two", account_spec(deployments=[wanted()])))
    here = market([GPT_4O], pools={"AccountCount": (200, 200)})
    plan = plan_on(TODAY, fleet, azure_with(), quotas=quotas_of(swedencentral=here))
    assert decided(plan, deployment_id("a", of="two")).state is DecisionState.BLOCKED
    assert plan.steps == ()


def test_an_account_that_is_purged_leaves_its_place_to_its_namesake() -> None:
    azure = azure_with()
    wire = azure.live.pop(account_id())
    azure.deleted[account_id()] = wire
    fleet = fleet_of(declare_account("one"), allow=EVERY_WORD, soft_deleted="purge")
    here = market([GPT_4O], pools={"AccountCount": (200, 200)})
    plan = plan_on(TODAY, fleet, azure, quotas=quotas_of(swedencentral=here))
    assert [verb for verb, _ in steps_of(plan)] == ["purge", "put"]


def test_quota_is_asked_where_an_account_is_made() -> None:
    fleet, azure = converged(declare_account("one"))
    plan = make_plan(fleet, azure.snapshot())
    assert find_asked(plan, fleet, azure.snapshot()) == frozenset()
    more = fleet_of(declare_account("one"), declare_account("two", account_spec(location="East US")))
    assert find_asked(make_plan(more, azure.snapshot()), more, azure.snapshot()) == {"eastus"}


# -- what was refused before already, and goes on to be


def test_a_subdomain_that_somebody_else_has_is_told() -> None:
    azure = azure_with()
    del azure.live[account_id()]
    fleet = fleet_of(declare_account("one", account_spec(customSubDomainName="one")))
    plan = plan_on(TODAY, fleet, azure, taken=frozenset({account_id()}))
    assert said(decided(plan, account_id())) == (
        "subdomain_taken",
        "its subdomain one is taken by another account, perhaps in another subscription",
        "choose another customSubDomainName",
    )


def test_a_subdomain_that_a_soft_deleted_account_holds_is_told_with_that_account() -> None:
    azure = azure_with()
    del azure.live[account_id()]
    azure.deleted[account_id("gone")] = {"location": REGION, "properties": {"customSubDomainName": "ONE"}}
    fleet = fleet_of(declare_account("one", account_spec(customSubDomainName="one")))
    plan = plan_on(TODAY, fleet, azure, taken=frozenset({account_id()}))
    assert said(decided(plan, account_id())) == (
        "subdomain_taken",
        "its subdomain one is held by the soft-deleted account gone in rg-ai until 2025-10-03T00:00:00Z",
        "purge or restore that account, or wait",
    )


def test_a_name_that_a_soft_deleted_account_holds_is_told() -> None:
    azure = azure_with()
    azure.deleted[account_id()] = azure.live.pop(account_id())
    decision = decided(plan_on(TODAY, fleet_of(declare_account("one")), azure), account_id())
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "soft_deleted")
    assert (decision.reason, decision.permit) == (
        "a soft-deleted account holds the name until 2025-10-03T00:00:00Z",
        "set Fleet spec.softDeleted to restore or purge, or wait",
    )
