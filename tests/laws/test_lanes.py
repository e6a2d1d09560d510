"""Law: two writes in a lane never overlap, and nothing is sent that changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest

from tests.laws.stage import WRITES, Document, Stage, account_document, deployment, fleet_document, group_document, told
from tests.laws.test_faults import change, fleet_of
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

FILTER = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}
EMPTY: tuple[Document, ...] = ({}, {"properties": {}}, {"tags": {}}, {"properties": {"networkAcls": {}}})
# Bodies that ask for nothing, in the spellings that a program would use.
NOTHING = {
    hashlib.sha256(json.dumps(body, separators=form).encode()).hexdigest()
    for body in EMPTY
    for form in ((",", ":"), (", ", ": "))
}


def lane_of(path: str) -> str:
    return "/".join(path.lower().split("/")[:9])


def assert_no_overlap(azure: Stage, requests: list[dict[str, Any]]) -> None:
    """No write leaves while another of its lane is on its way, or while Azure still works on what one began."""
    busy: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for each in requests:
        if each["method"] in WRITES:
            busy[lane_of(each["path"])].append((each["at"], each["at"] + each["took"], each["path"]))
    for lane, spans in busy.items():
        for (_, ended, first), (began, _, second) in pairwise(sorted(spans)):
            assert ended <= began + 1e-6, (lane, first, second)
    for operation in azure.sim.world.operations.values():
        if operation.lane is None or operation.end is None:
            continue
        inside = [
            path
            for began, _, path in busy[lane_of(operation.lane)]
            if operation.start + 1e-6 < began < operation.end - 1e-6
        ]
        assert not inside, (operation.target, inside)


def crowded() -> list[Document]:
    members = [
        account_document(
            name,
            customSubDomainName=name,
            publicNetworkAccess="Enabled",
            networkAcls={"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"]},
            raiPolicies=[FILTER, {**FILTER, "name": "loose"}],
            deployments=[deployment(f"d{index}", index + 1, raiPolicyName="strict") for index in range(6)],
        )
        for name in ("aoai-a", "aoai-b", "aoai-c")
    ]
    return [fleet_document(prune={"deployments": True, "raiPolicies": True}), group_document(), *members]


async def test_writes_of_one_account_never_overlap(azure: Stage) -> None:
    await azure.seed_world(limits=plenty(azure.sim.subscription_id))
    documents = crowded()
    assert (await azure.converge(azure.load(documents)))[-1].plan.converged
    for document in documents[2:]:
        spec = document["spec"]
        spec["tags"] = {"stage": "second"}
        spec["networkAcls"]["ipRules"] = ["198.51.100.7"]
        spec["raiPolicies"] = [{**FILTER, "mode": "Blocking"}]
        spec["deployments"] = [
            {**each, "sku": {"name": "GlobalStandard", "capacity": 9}} for each in spec["deployments"]
        ][1:]
    reports = await azure.converge(azure.load(documents))
    assert reports[-1].plan.converged, told(reports[-1].plan)
    requests = await azure.requests()
    assert_no_overlap(azure, requests)
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
    # Different accounts do run side by side.
    spans = sorted((each["at"], each["at"] + each["took"]) for each in requests if each["method"] == "PUT")
    assert any(ended > began + 1.0 for (_, ended), (began, _) in pairwise(spans))


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_writes_of_one_account_never_overlap_while_azure_stumbles(azure: Stage, seed: int) -> None:
    azure.sim.cloud.chance.reseed(seed)
    # Content filters are left out: they have no state, so of one whose answer was lost nobody can see that Azure is
    # still at it, and the next write is refused once.
    documents = [without_filters(document) for document in fleet_of("aoai-a", "aoai-b")]
    await azure.fault(kind="cut_after", match={"method": "PUT|PATCH"}, count=-1, probability=0.15)
    await azure.fault(kind="applied_504", match={"method": "PUT|PATCH"}, count=-1, probability=0.15)
    for fleet in (azure.load(documents), azure.load(change(documents))):
        reports = await azure.converge(fleet)
        assert reports[-1].plan.converged, told(reports[-1].plan)
    # A write whose answer was lost goes on in Azure: the next one of its lane has to wait for it.
    assert (await azure.self_inflicted())["409"] == 0
    assert_no_overlap(azure, [each for each in await azure.requests() if each["status"]])


def without_filters(document: Document) -> Document:
    spec = {key: value for key, value in document["spec"].items() if key != "raiPolicies"}
    if "deployments" in spec:
        spec["deployments"] = [
            {key: value for key, value in each.items() if key != "raiPolicyName"} for each in spec["deployments"]
        ]
    return {**document, "spec": spec}


async def test_a_write_that_asks_for_nothing_is_never_sent(azure: Stage) -> None:
    documents = fleet_of("aoai-a", "aoai-b")
    for fleet in (azure.load(documents), azure.load(change(documents)), azure.load(documents)):
        assert (await azure.converge(fleet))[-1].plan.converged
    writes = await azure.writes()
    assert len(writes) > 20
    assert not [each for each in writes if each["body_sha256"] in NOTHING]
    unchanged = [each for each in writes if not each["mutated"]]
    assert not unchanged


async def test_a_tag_alone_costs_one_request_and_no_operation(azure: Stage) -> None:
    documents = fleet_of("aoai-a")
    assert (await azure.converge(azure.load(documents)))[-1].plan.converged
    documents[2]["spec"]["tags"] = {"team": "law"}
    await azure.forget()
    assert (await azure.converge(azure.load(documents)))[-1].plan.converged
    writes = await azure.writes()
    assert [(each["method"], each["status"]) for each in writes] == [("PATCH", 200)]
