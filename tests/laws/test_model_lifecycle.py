"""Law: what Azure withdraws is refused before any write; what it moves by itself is left alone; what ends is told."""

from __future__ import annotations

import copy
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from armsim.catalogue import load_models
from reconciler.model.outlook import Nearness
from reconciler.model.plan import Decision, DecisionState, Plan, Verb
from reconciler.model.ports import Write
from reconciler.model.wire import JsonObject
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    failures,
    fleet_document,
    group_document,
    stage,
    told,
)
from tests.support.virtual_time import run

REGION, EAST = "swedencentral", "eastus2"
OLD, NEW = "2024-08-06", "2024-11-20"
DAY = 86_400.0


def entries(**versions: dict[str, Any]) -> list[dict[str, Any]]:
    """The catalogue, with other facts about versions of gpt-4o; `v2024_11_20` names one, `ends` dates all its types."""
    found = []
    for each in load_models(REGION):
        entry = copy.deepcopy(each)
        model = entry["model"]
        change = versions.get("v" + model["version"].replace("-", "_")) if model["name"] == "gpt-4o" else None
        if change is not None:
            ends = change.get("ends")
            model |= {key: value for key, value in change.items() if key != "ends"}
            if ends:
                model["deprecation"] = {**model.get("deprecation", {}), "inference": ends}
                model["skus"] = [{**sku, "deprecationDate": ends} for sku in model["skus"]]
        found.append(entry)
    return found


async def sell(azure: Stage, *regions: str, **versions: dict[str, Any]) -> None:
    await azure.seed_world(models=dict.fromkeys(regions or (REGION,), entries(**versions)))


def serving(version: str = OLD, units: int = 5, **more: Any) -> Document:
    return deployment("chat", units, model={"name": "gpt-4o", "version": version}, **more)


def documents(*deployments: Document) -> list[Document]:
    return [fleet_document(), group_document(), account_document("a0", deployments=list(deployments))]


async def move(azure: Stage, version: str, option: str = "OnceNewDefaultVersionAvailable") -> None:
    """Azure upgrades a deployment, as it does at night."""
    id = account_id(azure, "a0").child("deployments", "chat")
    body = copy.deepcopy(azure.resource(id))
    body["properties"]["model"]["version"] = version
    body["properties"]["versionUpgradeOption"] = option
    kept = ("model", "versionUpgradeOption", "raiPolicyName")
    properties = {name: body["properties"][name] for name in kept if name in body["properties"]}
    await azure.mutate("PUT", id, {"sku": body["sku"], "properties": properties}, actor="Microsoft.CognitiveServices")


async def lists(azure: Stage) -> tuple[int, int]:
    asked = [each["path"].rpartition("/")[2] for each in await azure.requests()]
    return asked.count("models"), asked.count("usages")


def chat(plan: Plan) -> Decision:
    (found,) = [each for each in plan.decisions if each.id.name == "chat"]
    return found


@pytest.mark.virtual_time
async def test_a_model_that_is_being_withdrawn_is_refused_before_any_write_of_it(azure: Stage) -> None:
    await sell(azure, v2024_08_06={"lifecycleStatus": "Deprecating"})
    fine = deployment("fine", 5)
    fleet = azure.load(documents(serving(OLD), fine))
    reports = await azure.converge(fleet)
    assert failures(reports) == []
    last = reports[-1].plan
    assert chat(last).code == "model_deprecating", told(last)
    assert chat(last).permit == "declare gpt-4.1 2025-04-14, which replaces it; or declare version 2024-11-20 of it"
    writes = await azure.writes()
    assert [each["path"].rpartition("/")[2] for each in writes if "/deployments/" in each["path"]] == ["fine"]
    assert all(each["status"] < 400 for each in writes)


@pytest.mark.virtual_time
@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (deployment("chat", model={"name": "gpt-4oh", "version": "1"}), "model_unknown"),
        (deployment("chat", model={"name": "gpt-4o", "version": "2024-11-21"}), "version_unknown"),
        (deployment("chat", 1, "DeveloperTier"), "sku_unsupported"),
        (deployment("chat", model={"name": "DeepSeek-R1", "version": "1", "format": "DeepSeek"}), "kind_unsupported"),
        (deployment("chat", 2_000_000), "capacity_invalid"),
        (deployment("chat", 17, "GlobalProvisionedManaged"), "capacity_invalid"),
    ],
)
async def test_what_azure_would_refuse_is_never_sent(azure: Stage, spec: Document, code: str) -> None:
    reports = await azure.converge(azure.load(documents(spec)))
    assert chat(reports[-1].plan).code == code, told(reports[-1].plan)
    assert failures(reports) == []
    assert not [each for each in await azure.writes() if "/deployments/" in each["path"] or each["status"] >= 400]


@pytest.mark.virtual_time
async def test_what_preflight_refuses_azure_refuses_too(azure: Stage) -> None:
    """Nothing is refused here that would have gone through: Azure is asked past the plan."""
    await sell(azure, v2024_08_06={"lifecycleStatus": "Deprecating"}, v2024_05_13={"ends": "2025-10-01T00:00:00Z"})
    await azure.converge(azure.load(documents()))
    for version, sku, units in (
        (OLD, "GlobalStandard", 5),
        ("2024-05-13", "GlobalStandard", 5),
        ("2024-11-21", "GlobalStandard", 5),
        (NEW, "DeveloperTier", 5),
        (NEW, "GlobalProvisionedManaged", 17),
        (NEW, "GlobalStandard", 1_000_001),
    ):
        spec = deployment("chat", units, sku, model={"name": "gpt-4o", "version": version})
        fleet = azure.load(documents(spec))
        assert chat(await azure.dry_run(fleet)).state is DecisionState.BLOCKED, (version, sku, units)
        id = account_id(azure, "a0").child("deployments", "chat")
        body: JsonObject = {
            "sku": spec["sku"],
            "properties": {"model": {"format": "OpenAI", "name": "gpt-4o", "version": version}},
        }
        async with azure.world(fleet) as world:
            answer = await world.cloud.write(Write(verb=Verb.PUT, id=id, body=body))
        assert answer.fault is not None, (version, sku, units)
        assert answer.fault.status == 400


@pytest.mark.virtual_time
async def test_more_accounts_than_a_region_has_place_for_are_never_asked_for(azure: Stage) -> None:
    limits = {azure.sim.subscription_id: {REGION: {"OpenAI.S0.AccountCount": 2}}}
    gone = {"id": str(account_id(azure, "gone")), "location": REGION, "kind": "OpenAI", "sku": {"name": "S0"}}
    await azure.seed_world(limits=limits, deletedAccounts=[gone])
    fleet = azure.load([fleet_document(), group_document(), *(account_document(name) for name in ("a0", "a1"))])
    reports = await azure.converge(fleet)
    assert failures(reports) == []
    accounts = [each for each in reports[-1].plan.decisions if each.ref.kind == "Account"]
    blocked = [each for each in accounts if each.state is DecisionState.BLOCKED]
    assert [(each.id.name, each.code) for each in blocked] == [("a1", "too_many_accounts")]
    assert "keep their place until they are purged (gone)" in blocked[0].reason
    assert all(each["status"] < 400 for each in await azure.writes())


@pytest.mark.virtual_time
async def test_a_thirty_third_standard_deployment_is_never_asked_for(azure: Stage) -> None:
    fleet = azure.load(documents(*(deployment(f"d{number:02}", 1) for number in range(33))))
    reports = await azure.converge(fleet)
    assert failures(reports) == []
    blocked = [each for each in reports[-1].plan.decisions if each.state is DecisionState.BLOCKED]
    assert [(each.id.name, each.code) for each in blocked] == [("d32", "too_many_deployments")]
    assert all(each["status"] < 400 for each in await azure.writes())


@pytest.mark.virtual_time
async def test_an_upgrade_that_azure_may_do_is_silence_with_a_note(azure: Stage) -> None:
    fleet = azure.load(documents(serving(OLD)))
    assert (await azure.converge(fleet))[-1].plan.converged
    await sell(azure, v2024_08_06={"isDefaultVersion": False}, v2024_11_20={"isDefaultVersion": True})
    await move(azure, NEW)
    await azure.forget()
    plan = await azure.dry_run(fleet)
    assert plan.converged, told(plan)
    assert await lists(azure) == (1, 0)
    (note,) = plan.outlook.notes
    assert note.told.startswith(f"runs gpt-4o {NEW} in place of gpt-4o {OLD}")
    reports = await azure.converge(fleet)
    assert len(reports) == 1
    assert await azure.writes() == []


@pytest.mark.virtual_time
async def test_an_upgrade_that_the_document_forbids_is_put_back_while_that_can_be(azure: Stage) -> None:
    fleet = azure.load(documents(serving(OLD, versionUpgradeOption="NoAutoUpgrade")))
    await azure.converge(fleet)
    await sell(azure, v2024_08_06={"isDefaultVersion": False}, v2024_11_20={"isDefaultVersion": True})
    await move(azure, NEW)
    assert (await azure.converge(fleet))[-1].plan.converged
    id = account_id(azure, "a0").child("deployments", "chat")
    assert azure.resource(id)["properties"]["model"]["version"] == OLD
    await move(azure, NEW, option="NoAutoUpgrade")
    await sell(azure, v2024_08_06={"lifecycleStatus": "Deprecated"}, v2024_11_20={"isDefaultVersion": True})
    await azure.forget()
    reports = await azure.converge(fleet)
    assert chat(reports[-1].plan).code == "model_deprecating"
    assert await azure.writes() == []


@pytest.mark.virtual_time
async def test_a_day_passes_and_the_warning_grows(azure: Stage) -> None:
    """The simulated day is 2025-10-28; the model goes on 2025-12-31."""
    await sell(azure, v2024_08_06={"ends": "2025-12-31T00:00:00Z"})
    fleet = azure.load(documents(serving(OLD, versionUpgradeOption="NoAutoUpgrade")))
    await azure.converge(fleet)
    seen, digests = [], set()
    for days in (0, 30, 20, 10, 10):
        await azure.clock.sleep(days * DAY)
        plan = await azure.dry_run(fleet)
        assert plan.converged, told(plan)
        (found,) = [each for each in plan.outlook.near if each.version == OLD]
        assert chat(plan).warnings[-1].startswith(found.told)
        seen.append(found.nearness)
        digests.add(plan.digest)
    assert seen == [Nearness.NOTICE, Nearness.WARNING, Nearness.URGENT, Nearness.CRITICAL, Nearness.RETIRED]
    assert len(digests) == 1
    assert found.replacement is not None
    assert (found.replacement.model, found.replacement.fits) == ("gpt-4.1", True)
    # Whatever is written to it now would be refused, so nothing is.
    grown = azure.load(documents(serving(OLD, 6, versionUpgradeOption="NoAutoUpgrade")))
    await azure.forget()
    reports = await azure.converge(grown)
    assert chat(reports[-1].plan).code == "model_retired"
    assert await azure.writes() == []


@pytest.mark.virtual_time
@pytest.mark.parametrize("option", ["", "OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired"])
async def test_what_azure_moves_when_its_day_comes_is_silence(azure: Stage, option: str) -> None:
    """Each day of two months, in which the announced day comes and the version retires."""
    named = {
        "targetModelName": "gpt-4.1",
        "targetModelVersion": "2025-04-14",
        "autoUpgradeStartDate": "2025-11-20T00:00:00Z",
        "upgradeOnExpiryLeadTimeDays": 7,
    }
    await sell(azure, v2024_08_06={"ends": "2025-12-20T00:00:00Z", "replacementConfig": named})
    more: dict[str, Any] = {"versionUpgradeOption": option} if option else {}
    fleet = azure.load(documents(serving(OLD, **more)))
    await azure.converge(fleet)
    await azure.forget()
    id = account_id(azure, "a0").child("deployments", "chat")
    versions = []
    for _ in range(60):
        await azure.clock.sleep(DAY)
        reports = await azure.converge(fleet)
        assert reports[-1].plan.converged, told(reports[-1].plan)
        versions.append(azure.resource(id)["properties"]["model"]["version"])
    assert await azure.writes() == []
    assert versions == sorted(versions)
    assert {versions[0], versions[-1]} == {OLD, "2025-04-14"}


@pytest.mark.virtual_time
async def test_a_new_default_that_azure_moves_to_is_silence(azure: Stage) -> None:
    fleet = azure.load(documents(serving(OLD)))
    await azure.converge(fleet)
    await azure.forget()
    await sell(azure, v2024_08_06={"isDefaultVersion": False}, v2024_11_20={"isDefaultVersion": True})
    for _ in range(15):
        await azure.clock.sleep(DAY)
        assert (await azure.converge(fleet))[-1].plan.converged
    id = account_id(azure, "a0").child("deployments", "chat")
    assert azure.resource(id)["properties"]["model"]["version"] == NEW
    assert await azure.writes() == []


@pytest.mark.virtual_time
async def test_a_pass_with_nothing_to_do_reads_one_list_for_regions_that_sell_the_same(azure: Stage) -> None:
    members = [
        account_document(name, location=place, deployments=[serving(OLD), deployment("other")])
        for name, place in (("a0", REGION), ("a1", EAST), ("a2", "westus"))
    ]
    fleet = azure.load([fleet_document(), group_document(), *members])
    await azure.converge(fleet)
    await azure.forget()
    plan = await azure.dry_run(fleet)
    assert plan.converged
    assert await lists(azure) == (1, 0)
    # Groups, accounts, soft-deleted ones, the deployments of each account, and that one list.
    assert plan.requests_spent == len(await azure.requests()) == 3 + len(members) + 1
    assert {each.offer.location for each in plan.outlook.retirements} == {REGION, EAST, "westus"}


@pytest.mark.virtual_time
async def test_without_the_right_to_read_lists_a_quiet_pass_is_quiet_and_says_so(azure: Stage) -> None:
    fleet = azure.load(documents(serving(OLD)))
    await azure.converge(fleet)
    await azure.fault(kind="status", match={"path": "/models$"}, status=403, code="AuthorizationFailed", count=-1)
    plan = await azure.dry_run(fleet)
    assert plan.complete
    assert plan.converged
    assert [*plan.outlook.unread] == [REGION]
    assert plan.outlook.retirements == ()


CASES = int(os.environ.get("RECONCILER_LAW_EXAMPLES", "25"))
MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "o1-mini", "whisper", "DeepSeek-R1", "gpt-4oh")
VERSIONS = ("", "2024-05-13", OLD, NEW, "2024-07-18", "2025-04-14", "2024-09-12", "001", "1", "7")
UNITS = (1, 7, 15, 50, 120, 10_000, 1_000_000, 1_000_001)
WISHES = st.fixed_dictionaries(
    {
        "model": st.sampled_from(MODELS),
        "version": st.sampled_from(VERSIONS),
        "sku": st.sampled_from(("Standard", "GlobalStandard", "ProvisionedManaged", "GlobalBatch", "DeveloperTier")),
        "units": st.sampled_from(UNITS),
    }
)
PREFLIGHT = {
    "model_unknown", "version_unknown", "sku_unsupported", "kind_unsupported", "model_retired", "model_deprecating",
    "capacity_invalid",
}  # fmt: skip


async def assert_refused_as_azure_does(azure: Stage, wishes: list[dict[str, Any]], kind: str) -> None:
    """What is planned goes through, and what is refused would not have."""
    await sell(azure, v2024_05_13={"ends": "2025-10-01T00:00:00Z"})
    pools = dict.fromkeys(every_pool(), 100000000)
    await azure.seed_world(limits={azure.sim.subscription_id: {REGION: pools}})
    specs = []
    for number, wish in enumerate(wishes):
        model = {"name": wish["model"], "format": "DeepSeek" if wish["model"] == "DeepSeek-R1" else "OpenAI"}
        model |= {"version": wish["version"]} if wish["version"] else {}
        specs.append(deployment(f"d{number}", wish["units"], wish["sku"], model=model))
    account = account_document("a0", kind=kind, deployments=specs)
    fleet = azure.load([fleet_document(), group_document(), account])
    reports = await azure.converge(fleet)
    assert failures(reports) == []
    assert all(each["status"] < 400 for each in await azure.writes())
    blocked = [each for each in reports[-1].plan.decisions if each.state is DecisionState.BLOCKED]
    async with azure.world(fleet) as world:
        for each in blocked:
            assert each.code in PREFLIGHT, each
            fields = fleet.desired[each.id].fields
            model = {path.partition(".")[2]: str(fields[path]) for path in fields if path.startswith("model.")}
            sku: JsonObject = {"name": fields["sku.name"], "capacity": fields["sku.capacity"]}
            body: JsonObject = {"sku": sku, "properties": {"model": {**model}}}
            answer = await world.cloud.write(Write(verb=Verb.PUT, id=each.id, body=body))
            assert answer.fault is not None, (each.reason, body)


def every_pool() -> set[str]:
    return {str(sku["usageName"]) for each in load_models(REGION) for sku in each["model"]["skus"]}


async def case(wishes: list[dict[str, Any]], kind: str) -> None:
    async with stage() as azure:
        await assert_refused_as_azure_does(azure, wishes, kind)


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(wishes=st.lists(WISHES, min_size=1, max_size=6), kind=st.sampled_from(("OpenAI", "AIServices")))
def test_what_is_planned_goes_through_and_what_is_refused_would_not_have(
    wishes: list[dict[str, Any]], kind: str
) -> None:
    run(case(wishes, kind))
