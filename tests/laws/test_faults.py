"""Law: whatever Azure answers, it ends in sync or says in words what is in the way; nothing is done twice."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from reconciler.model.outcome import Result
from reconciler.model.plan import DecisionState
from reconciler.model.resource import Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    failures,
    fleet_document,
    group_document,
    told,
)

pytestmark = pytest.mark.virtual_time

# One request in five; each kind gets an equal share of it.
STORM: tuple[Document, ...] = (
    # A throttle goes on refusing whatever it matches, and Azure counts classes of requests apart.
    {"kind": "throttle", "retry_after": 17, "match": {"method": "GET"}},
    {"kind": "throttle", "retry_after": 17, "match": {"method": "PUT|PATCH"}},
    {"kind": "status", "status": 429, "retry_after": 5},
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503, "html": True},
    {"kind": "applied_504", "match": {"method": "PUT|PATCH|DELETE"}},
    {"kind": "cut_before"},
    {"kind": "cut_after"},
)


def fleet_of(*names: str) -> list[Document]:
    return [
        fleet_document(),
        group_document(),
        *(
            account_document(
                name,
                customSubDomainName=name,
                disableLocalAuth=True,
                publicNetworkAccess="Enabled",
                networkAcls={"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"]},
                raiPolicies=[{"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}],
                deployments=[deployment("chat", raiPolicyName="strict"), deployment("spare", 5)],
            )
            for name in names
        ),
    ]


def change(fleet: list[Document]) -> list[Document]:
    """The same fleet with something else everywhere: tags, firewall, a new version, less and more capacity."""
    moved: list[Document] = []
    for document in fleet:
        spec = dict(document["spec"])
        if document["kind"] == "Account":
            spec["tags"] = {"stage": "second"}
            spec["networkAcls"] = {"defaultAction": "Deny", "ipRules": ["198.51.100.7"]}
            chat, spare = (dict(each) for each in spec["deployments"])
            chat["model"], chat["sku"] = {"name": "gpt-4o", "version": "2024-08-06"}, {**chat["sku"], "capacity": 4}
            spare["model"], spare["sku"] = {"name": "gpt-4o", "version": "2024-08-06"}, {**spare["sku"], "capacity": 9}
            spec["deployments"] = [chat, spare]
        moved.append({**document, "spec": spec})
    return moved


async def assert_in_sync(azure: Stage, fleet: Fleet) -> None:
    """Nothing left to do, nothing twice, and a quiet pass that writes nothing."""
    assert set(azure.resources()) == {id.key for id in fleet.desired}
    await azure.forget()
    assert told(await azure.dry_run(fleet)) == []
    await azure.converge(fleet)
    assert await azure.writes() == []


def assert_repeats_identical(writes: list[dict[str, Any]], clean: list[dict[str, Any]]) -> None:
    """A write that was sent again is byte for byte one that a quiet run sends too."""

    def bodies(requests: list[dict[str, Any]]) -> dict[tuple[str, str], set[str | None]]:
        found: dict[tuple[str, str], set[str | None]] = defaultdict(set)
        for each in requests:
            found[each["method"], each["path"].lower()].add(each["body_sha256"])
        return found

    allowed = bodies(clean)
    for key, sent in bodies(writes).items():
        assert sent <= allowed[key], key


def assert_retry_after_kept(requests: list[dict[str, Any]], pauses: dict[str, float]) -> None:
    """After a 429 nobody asks for the same class of requests before its Retry-After is over. What left in the very
    instant of the refusal could not have known of it."""
    refusals = [each for each in requests if each["status"] == 429 and each["fault"] in pauses]
    for refusal in refusals:
        answered, toll = refusal["at"] + refusal["took"], toll_of(refusal)
        over = answered + pauses[refusal["fault"]]
        early = [each for each in requests if toll_of(each) == toll and answered + 1e-3 < each["at"] < over - 1e-3]
        assert not early, (refusal, early[0])


def toll_of(request: dict[str, Any]) -> str:
    return {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(request["method"], "writes")


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_one_request_in_five_may_fail(azure: Stage, seed: int) -> None:
    azure.seed = seed
    azure.sim.cloud.chance.reseed(seed)
    await azure.set(account_create=[60.0, 600.0], account_update=90.0, deployment_write=[20.0, 120.0])
    names = ("aoai-a", "aoai-b", "aoai-c")
    clean: list[dict[str, Any]] = []
    began = await azure.sim.control("GET", "/_sim/state")
    documents = fleet_of(*names)
    goals = [azure.load(documents), azure.load(change(documents))]
    for fleet in goals:
        assert (await azure.converge(fleet))[-1].plan.converged
        clean += await azure.writes()
        await azure.forget()
    began["now"] = azure.sim.clock.now()
    await azure.sim.control("PUT", "/_sim/state", began)

    pauses: dict[str, float] = {}
    for fault in STORM:
        id = await azure.fault(**fault, count=-1, probability=0.2 / len(STORM))
        if "retry_after" in fault:
            pauses[id] = fault["retry_after"]
    for fleet in goals:
        reports = await azure.converge(fleet)
        assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    requests, writes = await azure.requests(), await azure.writes()
    faulted = [each for each in requests if each["fault"]]
    assert len(faulted) > len(requests) * 0.1
    assert_retry_after_kept(requests, pauses)
    assert_repeats_identical(writes, clean)
    await azure.mend()
    await assert_in_sync(azure, goals[-1])


ONE = fleet_of("aoai-a")


async def converge_quietly(azure: Stage) -> Fleet:
    fleet = azure.load(ONE)
    assert (await azure.converge(fleet))[-1].plan.converged
    await azure.forget()
    return fleet


def result_of(azure: Stage, name: str) -> tuple[Result, str]:
    """How the last step of that name ended."""
    outcome = [each for each in azure.watched.ended if each.step.name == name][-1]
    return outcome.result, outcome.because


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lro_fail_then_succeed", "seconds": 40, "match": {"method": "PUT", "path": "/accounts/aoai-a$"}},
        {"kind": "lro_fail", "match": {"method": "PUT", "path": "/deployments/chat$"}},
        {"kind": "lro_fail", "match": {"method": "PATCH", "path": "/accounts/aoai-a$"}},
        {"kind": "not_found_after_create", "seconds": 20, "match": {"method": "PUT", "path": "/accounts/aoai-a$"}},
        {"kind": "not_found_after_create", "seconds": 8, "match": {"method": "PUT", "path": "/deployments/chat$"}},
        {"kind": "not_found_after_create", "seconds": 8, "match": {"method": "PUT", "path": "/raiPolicies/strict$"}},
        {"kind": "slow", "seconds": 1500, "match": {"method": "PUT", "path": "/accounts/aoai-a$"}},
        {"kind": "slow", "seconds": 200, "match": {"method": "PUT", "path": "/deployments/chat$"}},
        {"kind": "hang", "seconds": 250, "match": {"method": "PUT", "path": "/deployments/chat$"}},
        {"kind": "delay", "seconds": 90, "match": {"method": "GET"}, "count": 5},
        {
            "kind": "list_lag",
            "seconds": 600,
            "match": {"method": "GET", "path": "CognitiveServices/accounts$"},
            "count": -1,
        },
        {"kind": "stale_read", "seconds": 20, "match": {"method": "GET"}, "count": 12},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault['match'].get('path', 'any').strip('$/').rpartition('/')[2]}",
)
async def test_what_heals_by_itself_ends_in_sync(azure: Stage, fault: Document) -> None:
    fleet = azure.load(ONE)
    await azure.fault(**fault)
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
    listed = await azure.sim.control("GET", "/_sim/faults")
    assert listed["faults"][0]["hits"] > 0
    await azure.mend()
    await assert_in_sync(azure, fleet)


async def test_a_failed_operation_is_repaired_by_the_next_pass(azure: Stage) -> None:
    fleet = azure.load(ONE)
    await azure.fault(kind="lro_fail", match={"method": "PUT", "path": "/accounts/aoai-a$"}, code="Odd", message="no")
    first = await azure.cycle(fleet)
    assert [line for line in failures([first]) if "Account/aoai-a#create failed: Odd: no" in line]
    assert azure.resource(account_id(azure, "aoai-a"))["properties"]["provisioningState"] == "Failed"
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    await assert_in_sync(azure, fleet)


async def test_a_stuck_operation_ends_as_in_progress_when_time_is_over(azure: Stage) -> None:
    fleet = azure.load(ONE)
    await azure.fault(kind="lro_stuck", match={"method": "PUT", "path": "/accounts/aoai-a$"})
    reports = await azure.converge(fleet, seconds=600)
    states = {str(each.ref): each.state for each in reports[-1].plan.decisions}
    results = {each.step.name: each.result for report in reports for each in report.outcomes}
    assert results["Account/aoai-a#create"] is Result.IN_PROGRESS
    assert {result for name, result in results.items() if "deployments" in name} == {Result.NOT_STARTED}
    assert states["ResourceGroup/rg-law"] is not DecisionState.BLOCKED
    assert [each["status"] for each in await azure.writes() if each["path"].endswith("/aoai-a")] == [201]
    # The next run waits for what is under way instead of sending it again.
    await azure.forget()
    again = await azure.converge(fleet, seconds=100)
    assert {str(each.ref): each.state for each in again[-1].plan.decisions}["Account/aoai-a"] is (
        DecisionState.IN_PROGRESS
    )
    assert await azure.writes() == []
    await azure.mend()
    assert (await azure.converge(fleet))[-1].plan.converged
    await assert_in_sync(azure, fleet)


@pytest.mark.parametrize(
    ("path", "wire", "edit"),
    [
        ("tags.stage", "tags.stage", {"tags": {"stage": "x"}}),
        ("networkAcls.bypass", "properties.networkAcls.bypass", {"networkAcls": {"defaultAction": "Deny",
            "bypass": "None", "ipRules": ["203.0.113.0/24"]}}),
        ("restrictOutboundNetworkAccess", "properties.restrictOutboundNetworkAccess",
            {"restrictOutboundNetworkAccess": True}),
    ],
)  # fmt: skip
async def test_a_write_that_azure_ignores_is_named(azure: Stage, path: str, wire: str, edit: Document) -> None:
    await converge_quietly(azure)
    moved = [{**each, "spec": {**each["spec"], **edit}} if each["kind"] == "Account" else each for each in ONE]
    fleet = azure.load(moved)
    await azure.fault(kind="ignore_write", paths=[wire], count=-1, match={"method": "PATCH|PUT"})
    reports = await azure.converge(fleet, seconds=3600)
    assert not reports[-1].plan.converged
    result, because = result_of(azure, "Account/aoai-a#write-1")
    assert result is Result.NOT_CONVERGING
    assert path in because
    assert len(await azure.writes()) <= 3


async def test_a_deployment_field_that_azure_ignores_is_named(azure: Stage) -> None:
    await converge_quietly(azure)
    fleet = azure.load(change(ONE))
    await azure.fault(kind="ignore_write", paths=["sku.capacity"], count=-1, match={"path": "/deployments/chat$"})
    await azure.converge(fleet, seconds=3600)
    result, because = result_of(azure, "Account/aoai-a/deployments/chat#write-1")
    assert result is Result.NOT_CONVERGING
    assert "sku.capacity" in because


BLOCKS: dict[str, tuple[Document, str]] = {
    "lock": ({"locks": [{"scope": "{group}", "level": "ReadOnly"}]}, "lock"),
    "policy": (
        {
            "policies": [
                {
                    "scope": "{group}",
                    "deny": {"type": "Microsoft.CognitiveServices/accounts", "field": "tags.costcentre"},
                }
            ]
        },
        "polic",
    ),
    "unregistered": (
        {"unregisteredProviders": [{"subscriptionId": "{subscription}", "namespace": "Microsoft.CognitiveServices"}]},
        "regist",
    ),
    "forbidden": (
        {"denied": [{"principal": "*", "scope": "{group}", "action": "Microsoft.CognitiveServices/accounts/write"}]},
        "role",
    ),
}


@pytest.mark.parametrize("obstacle", sorted(BLOCKS))
async def test_what_a_person_must_clear_is_blocked_with_a_sentence(azure: Stage, obstacle: str) -> None:
    group = f"/subscriptions/{azure.sim.subscription_id}/resourceGroups/rg-law"
    await azure.seed_world(resources=[{"id": group, "location": "swedencentral", "tags": {"reconciler-fleet": "law"}}])
    world, word = BLOCKS[obstacle]
    await azure.seed_world(**fill(world, group=group, subscription=azure.sim.subscription_id))
    # Nobody tells beforehand what is permitted and registered, so that Azure's refusal is the first word about it.
    for asked in ("/permissions$", "/providers/[^/]*$"):
        refusal = {"status": 403, "code": "AuthorizationFailed", "match": {"method": "GET", "path": asked}}
        await azure.fault(kind="status", **refusal, count=-1)
    fleet = azure.load(ONE)
    reports = await azure.converge(fleet, seconds=3600)
    result, because = result_of(azure, "Account/aoai-a#create")
    fault = [each.fault for each in azure.watched.ended if each.step.name == "Account/aoai-a#create"][-1]
    assert result is Result.BLOCKED, because
    assert fault is not None
    assert word in fault.advice.lower(), fault.advice
    below = {each.step.name: each for report in reports for each in report.outcomes if "deployments" in each.step.name}
    assert {each.result for each in below.values()} == {Result.NOT_STARTED}
    assert all("Account/aoai-a#create" in each.because for each in below.values())
    assert len([each for each in await azure.writes() if each["method"] == "PUT"]) == 1


def fill(value: Any, **words: str) -> Any:
    if isinstance(value, dict):
        return {key: fill(item, **words) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, **words) for item in value]
    return value.format(**words) if isinstance(value, str) else value


async def test_a_strangers_account_is_left_alone(azure: Stage) -> None:
    stranger = account_id(azure, "aoai-a")
    await azure.seed_world(
        resources=[
            {"id": str(stranger), "location": "swedencentral", "tags": {"team": "theirs"}, "properties": {}},
            {"id": str(stranger.child("deployments", "theirs")), "properties": {"model": {"name": "gpt-4o"}}},
        ]
    )
    fleet = azure.load(
        [fleet_document(prune={"accounts": True, "deployments": True}), *fleet_of("aoai-a", "aoai-b")[1:]]
    )
    before = {id: body for id, body in azure.resources().items() if stranger.key in id}
    reports = await azure.converge(fleet)
    assert {id: body for id, body in azure.resources().items() if stranger.key in id} == before
    states = {str(each.ref): each for each in reports[-1].plan.decisions}
    assert states["Account/aoai-a"].state is DecisionState.BLOCKED
    assert "adopt" in states["Account/aoai-a"].permit
    assert states["Account/aoai-b"].state is DecisionState.IN_SYNC


async def test_what_is_under_way_at_the_start_is_waited_for(azure: Stage) -> None:
    """Somebody else's create, or ours before a kill: it is not sent again."""
    fleet = azure.load(ONE)
    await azure.set(account_create=[300.0, 300.0])
    first = await azure.converge(fleet, seconds=30)
    assert not first[-1].plan.converged
    await azure.forget()
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    writes = [each for each in await azure.writes() if each["path"].endswith("/accounts/aoai-a")]
    assert [each["method"] for each in writes] == ["PATCH"]
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
    await assert_in_sync(azure, fleet)
