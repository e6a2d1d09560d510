"""Law: whatever the network provider answers, it ends in sync, or says in words who is in the way."""

from __future__ import annotations

import asyncio

import pytest

from armsim.settings import Settings
from reconciler.model.ids import ArmId
from reconciler.model.outcome import Result
from reconciler.model.plan import DecisionState
from reconciler.model.resource import Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    failures,
    fleet_document,
    group_document,
    network_document,
    network_id,
    rule,
    told,
)
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

LINK = "Microsoft.ContainerInstance/containerGroups"


def network(*more: str) -> Document:
    subnets = [{"name": "app", "addressPrefix": "10.1.1.0/24", "networkSecurityGroup": "nsg"}]
    subnets += [{"name": name, "addressPrefix": f"10.1.{at}.0/24"} for at, name in enumerate(more, start=2)]
    return network_document(
        "VirtualNetwork", "vnet", addressSpace={"addressPrefixes": ["10.1.0.0/16"]}, subnets=subnets
    )


def documents(*more: str, priority: int = 100) -> list[Document]:
    return [
        network_document("NetworkSecurityGroup", "nsg", securityRules=[rule("web", priority)]),
        network(*more),
        account_document("aoai", customSubDomainName="aoai-law"),
        network_document("PrivateEndpoint", "pe", account="aoai", subnet="vnet/app"),
    ]


def load(azure: Stage, *said: Document, **spec: object) -> Fleet:
    return azure.load([fleet_document("law", **spec), group_document(), *said])


async def converge(azure: Stage, fleet: Fleet) -> None:
    await azure.seed_world(limits=plenty(fleet.subscription))
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))


async def assert_silent(azure: Stage, fleet: Fleet) -> None:
    await azure.mend()
    await azure.forget()
    assert told(await azure.dry_run(fleet)) == []
    await azure.converge(fleet)
    assert await azure.writes() == []


BUSY = {"kind": "status", "status": 409, "code": "AnotherOperationInProgress"}
SUBNET = {"method": "PUT", "path": "/subnets/app$"}
ENDPOINT = {"method": "PUT", "path": "/privateEndpoints/pe$"}
NETWORK = {"method": "PUT", "path": "/virtualNetworks/vnet$"}
GROUP = {"method": "PUT", "path": "/networkSecurityGroups/nsg$"}
FAULTS: dict[str, Document] = {
    "busy-network": {**BUSY, "count": 5, "match": NETWORK},
    "busy-subnet": {**BUSY, "count": 5, "match": SUBNET},
    "busy-endpoint": {**BUSY, "count": 5, "match": ENDPOINT},
    "retryable": {"kind": "status", "status": 429, "code": "RetryableError", "count": 4, "match": SUBNET},
    "stumbles": {"kind": "status", "status": 500, "code": "InternalServerError", "count": 4, "match": SUBNET},
    "reference": {
        "kind": "status", "status": 400, "code": "ReferencedResourceNotProvisioned", "count": 3, "match": SUBNET
    },
    "account-view": {
        "kind": "status", "status": 400, "code": "AccountProvisioningStateInvalid", "count": 6, "match": ENDPOINT
    },
    "slow-endpoint": {"kind": "slow", "seconds": 619, "match": ENDPOINT},
    "slow-subnet": {"kind": "slow", "seconds": 35, "match": SUBNET},
    "failed-endpoint": {
        "kind": "lro_fail", "code": "AccountProvisioningStateInvalid", "message": "not yet", "match": ENDPOINT
    },
    "failed-subnet": {"kind": "lro_fail", "code": "RetryableError", "message": "A retryable error.", "match": SUBNET},
    "failed-network": {"kind": "lro_fail", "code": "InternalServerError", "message": "no", "match": NETWORK},
    "failed-group": {"kind": "lro_fail", "code": "InternalServerError", "message": "no", "match": GROUP},
    "unseen": {"kind": "not_found_after_create", "seconds": 20, "match": NETWORK},
    "lost-answer": {"kind": "cut_after", "count": 2, "match": {"method": "PUT", "path": "/Microsoft.Network/"}},
    "applied": {"kind": "applied_504", "count": 2, "match": {"method": "PUT", "path": "/Microsoft.Network/"}},
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_what_the_network_provider_stumbles_over_ends_in_sync(azure: Stage, name: str) -> None:
    fleet = load(azure, *documents())
    await azure.fault(**FAULTS[name])
    await converge(azure, fleet)
    listed = await azure.sim.control("GET", "/_sim/faults")
    assert listed["faults"][0]["hits"] == FAULTS[name].get("count", 1)
    await assert_silent(azure, fleet)


@pytest.mark.parametrize("path", ["/virtualNetworks/vnet$", "/subnets/app$", "/privateEndpoints/pe$"])
async def test_what_stays_updating_is_waited_for_and_not_sent_again(azure: Stage, path: str) -> None:
    fleet = load(azure, *documents())
    await azure.seed_world(limits=plenty(fleet.subscription))
    await azure.fault(kind="lro_stuck", match={"method": "PUT", "path": path})
    reports = await azure.converge(fleet, seconds=900)
    assert Result.FAILED not in {each.result for report in reports for each in report.outcomes}
    again = await azure.converge(fleet, seconds=100)
    assert DecisionState.IN_PROGRESS in {each.state for each in again[-1].plan.decisions}
    sent = [each for each in await azure.writes() if each["path"].lower().endswith(path.lower().strip("$"))]
    assert len(sent) == 1
    await azure.mend()
    await converge(azure, fleet)
    await assert_silent(azure, fleet)


@pytest.mark.parametrize("settings", [Settings(subnet_settles=40.0, account_view_lag=60.0)])
async def test_what_says_updating_after_its_operation_has_ended_is_waited_for(azure: Stage) -> None:
    fleet = load(azure, *documents("more", "most"))
    await converge(azure, fleet)
    await assert_silent(azure, fleet)


# -- who is in the way


def subnet_id(azure: Stage, name: str) -> ArmId:
    return network_id(azure, "virtualNetworks", "vnet").child("subnets", name)


def link(**more: object) -> Document:
    inner = {"linkedResourceType": LINK, "link": "theirs", **more}
    return {"properties": {"serviceAssociationLinks": [{"name": "acisal", "properties": inner}]}}


PRUNE = {"subnets": True, "networkSecurityGroups": True, "virtualNetworks": True}


async def interface_in(azure: Stage, name: str, group: str | None = None) -> None:
    """Somebody's network interface in a subnet, under a security group if they chose one."""
    config = {"name": "ipconfig", "properties": {"subnet": {"id": str(subnet_id(azure, name))}}}
    properties: Document = {"ipConfigurations": [config]}
    if group:
        properties["networkSecurityGroup"] = {"id": str(network_id(azure, "networkSecurityGroups", group))}
    id = network_id(azure, "networkInterfaces", "nic-theirs", "rg-theirs")
    await azure.mutate("PUT", id, {"location": "swedencentral", "properties": properties})


async def refused(azure: Stage, fleet: Fleet, ref: str) -> str:
    """Why something stays, with nothing sent to hear so."""
    await azure.forget()
    reports = await azure.converge(fleet)
    assert [each["path"] for each in await azure.writes()] == []
    decision = next(each for each in reports[-1].plan.decisions if str(each.ref) == ref)
    assert (decision.state, decision.code) == (DecisionState.BLOCKED, "in_use")
    return decision.reason


async def test_a_subnet_with_somebodys_interface_in_it_stays_and_says_whose(azure: Stage) -> None:
    await converge(azure, load(azure, *documents("old")))
    await interface_in(azure, "old")
    smaller = load(azure, *documents(), prune=PRUNE)
    reason = await refused(azure, smaller, "VirtualNetwork/vnet/subnets/old")
    assert reason == "networkInterfaces/nic-theirs in rg-theirs still uses it"
    await azure.mutate("DELETE", network_id(azure, "networkInterfaces", "nic-theirs", "rg-theirs"))
    await converge(azure, smaller)


async def test_a_subnet_with_somebodys_endpoint_in_it_stays_and_says_whose(azure: Stage) -> None:
    await converge(azure, load(azure, *documents("old")))
    connection = {"name": "theirs", "properties": {"privateLinkServiceId": str(account_id(azure, "aoai"))}}
    properties = {"subnet": {"id": str(subnet_id(azure, "old"))}, "privateLinkServiceConnections": [connection]}
    theirs = network_id(azure, "privateEndpoints", "pe-theirs", "rg-theirs")
    await azure.mutate("PUT", theirs, {"location": "swedencentral", "properties": properties})
    reason = await refused(azure, load(azure, *documents(), prune=PRUNE), "VirtualNetwork/vnet/subnets/old")
    assert reason.startswith("privateEndpoints/pe-theirs in rg-theirs, networkInterfaces/pe-theirs.nic")


async def test_a_security_group_on_somebodys_interface_stays_and_says_whose(azure: Stage) -> None:
    spare = network_document("NetworkSecurityGroup", "spare", securityRules=[])
    await converge(azure, load(azure, *documents(), spare))
    await interface_in(azure, "app", "spare")
    reason = await refused(azure, load(azure, *documents(), prune=PRUNE), "NetworkSecurityGroup/spare")
    assert reason == "networkInterfaces/nic-theirs in rg-theirs still uses it"


async def test_what_goes_itself_is_in_nobodys_way(azure: Stage) -> None:
    """An endpoint of ours and its interface use the subnet until the moment in which they go."""
    await converge(azure, load(azure, *documents()))
    prune = {**PRUNE, "privateEndpoints": True}
    await converge(azure, load(azure, account_document("aoai", customSubDomainName="aoai-law"), prune=prune))
    assert not [id for id in azure.resources() if "/microsoft.network/" in id]
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
    assert [each["path"] for each in await azure.requests() if each["status"] == 400 and each["method"] != "PUT"] == []


async def test_a_link_that_a_service_leaves_behind_is_waited_for_by_name(azure: Stage) -> None:
    await converge(azure, load(azure, *documents("old")))
    await azure.mutate("PATCH", subnet_id(azure, "old"), link())
    smaller = load(azure, *documents(), prune=PRUNE)
    plan = await azure.dry_run(smaller)
    decision = next(each for each in plan.decisions if str(each.ref).endswith("/old"))
    assert LINK in decision.reason
    await azure.forget()
    (first, *_) = await azure.converge(smaller, seconds=300)
    (outcome,) = first.outcomes
    assert outcome.result is Result.IN_PROGRESS
    assert LINK in outcome.because
    assert [why for _, why, _ in azure.watched.waits if LINK in why]
    assert await azure.writes() == []
    # It lets go while the next run waits.
    letting_go = asyncio.create_task(let_go(azure, 400.0))
    (only, *_) = await azure.converge(smaller)
    await letting_go
    (outcome,) = only.outcomes
    assert outcome.result is Result.DONE
    assert 400.0 < outcome.ended - outcome.began < 500.0
    assert [(each["method"], each["status"]) for each in await azure.writes()] == [("DELETE", 202)]


async def let_go(azure: Stage, seconds: float) -> None:
    await azure.clock.sleep(seconds)
    await azure.mutate("PATCH", subnet_id(azure, "old"), {"properties": {"serviceAssociationLinks": []}})


async def test_a_link_that_may_go_with_its_subnet_holds_up_nobody(azure: Stage) -> None:
    await converge(azure, load(azure, *documents("old")))
    await azure.mutate("PATCH", subnet_id(azure, "old"), link(allowDelete=True))
    plan = await azure.dry_run(load(azure, *documents(), prune=PRUNE))
    (decision,) = [each for each in plan.decisions if str(each.ref).endswith("/old")]
    assert decision.reason == "no document declares it"


async def test_a_refusal_of_what_nobody_could_see_is_waited_out_and_says_what_azure_says(azure: Stage) -> None:
    await converge(azure, load(azure, *documents("old")))
    await azure.fault(
        kind="status",
        status=400,
        code="InUseSubnetCannotBeDeleted",
        message="Subnet old is in use by nic-hidden and cannot be deleted.",
        count=4,
        match={"method": "DELETE", "path": "/subnets/old$"},
    )
    await converge(azure, load(azure, *documents(), prune=PRUNE))
    assert len([why for _, why, _ in azure.watched.waits if "nic-hidden" in why]) == 4
