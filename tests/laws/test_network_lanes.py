"""Law: in one virtual network one write at a time, whatever it is a write to; networks do not wait for each other."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import pytest

from tests.laws.stage import (
    WRITES,
    Document,
    Stage,
    account_document,
    failures,
    fleet_document,
    group_document,
    network_document,
    rule,
    told,
)
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

# Subnets and endpoints of each network.
SIZES = {"vnet-a": (20, 10), "vnet-b": (8, 4)}
Span = tuple[float, float, str]


def network(name: str, guard: str, moved: bool) -> list[Document]:
    """A network with its security group, an account, and endpoints to it, which can move to other subnets."""
    count, crowd = SIZES[name]
    move = crowd if moved else 0
    subnets = [
        {"name": f"net-{at}", "addressPrefix": f"10.1.{at}.0/24", "networkSecurityGroup": guard} for at in range(count)
    ]
    endpoints = [
        network_document("PrivateEndpoint", f"{name}-pe-{at}", account=name, subnet=f"{name}/net-{at + move}")
        for at in range(crowd)
    ]
    return [
        network_document("NetworkSecurityGroup", f"{name}-nsg", securityRules=[rule("web", 100 + move)]),
        network_document(
            "VirtualNetwork",
            name,
            addressSpace={"addressPrefixes": ["10.1.0.0/16"]},
            subnets=subnets,
            tags={"stage": str(move)},
        ),
        account_document(name, customSubDomainName=f"law-{name}", tags={"stage": str(move)}),
        *endpoints,
    ]


def fleet(moved: bool) -> list[Document]:
    """Two of them in one group; later each takes the other's security group and its endpoints stand elsewhere."""
    first, second = ("vnet-b-nsg", "vnet-a-nsg") if moved else ("vnet-a-nsg", "vnet-b-nsg")
    return [
        fleet_document("law"),
        group_document(),
        *network("vnet-a", first, moved),
        *network("vnet-b", second, moved),
    ]


def network_of(path: str) -> str:
    """The network that a write locks, by the names of this fleet; "" where it locks none."""
    name = path.lower().split("/")[8] if path.count("/") >= 8 else ""
    if "/virtualnetworks/" in path.lower() or "/privateendpoints/" in path.lower():
        return name[: len("vnet-a")]
    return ""


def spans(azure: Stage, requests: list[dict[str, Any]]) -> dict[str, list[Span]]:
    """For each network, what Azure was busy with in it and when: each write until its operation had ended."""
    found: dict[str, list[Span]] = {}
    ends = {
        (operation.target.lower(), round(operation.start, 3)): operation.end or float("inf")
        for operation in azure.sim.world.operations.values()
        if operation.verb != "Updating"
    }
    for each in requests:
        lane = network_of(each["path"])
        if each["method"] in WRITES and lane and "/privatednszonegroups/" not in each["path"].lower():
            answered = each["at"] + each["took"]
            ended = ends.get((each["path"].lower(), round(each["at"], 3)), answered)
            found.setdefault(lane, []).append((each["at"], max(ended, answered), each["path"]))
    return {lane: sorted(rows) for lane, rows in found.items()}


async def test_one_write_at_a_time_in_a_network_and_two_networks_at_once(azure: Stage) -> None:
    await azure.seed_world(limits=plenty(azure.sim.subscription_id))
    for moved in (False, True):
        await azure.forget()
        reports = await azure.converge(azure.load(fleet(moved)))
        assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
        requests = await azure.requests()
        busy = spans(azure, requests)
        assert {*busy} == {*SIZES}
        for lane, rows in busy.items():
            subnets, endpoints = SIZES[lane]
            assert len(rows) >= 1 + subnets + (2 * endpoints if moved else endpoints)
            for (_, ended, one), (began, _, other) in pairwise(rows):
                assert ended <= began + 1e-6, (lane, one, other)
        refused = [(each["method"], each["path"], each["status"]) for each in requests if each["status"] in (409, 429)]
        assert refused == []
        # Side by side: for much of the time that one of them is busy, so is the other.
        together = sum(
            max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
            for one in busy["vnet-a"]
            for other in busy["vnet-b"]
        )
        alone = min(sum(ended - began for began, ended, _ in rows) for rows in busy.values())
        assert together > alone / 3


async def test_security_groups_are_written_side_by_side(azure: Stage) -> None:
    groups = [network_document("NetworkSecurityGroup", f"nsg-{at}", securityRules=[rule("web")]) for at in range(8)]
    reports = await azure.converge(azure.load([fleet_document("law"), group_document(), *groups]))
    assert reports[-1].plan.converged, told(reports[-1].plan)
    began = [each["at"] for each in await azure.writes() if "/networkSecurityGroups/" in each["path"]]
    assert len(began) == len(groups)
    assert all(abs(one - other) < 1.0 for one, other in combinations(began, 2))


async def test_an_endpoint_that_moves_out_locks_the_network_that_it_leaves_and_its_account(azure: Stage) -> None:
    def documents(home: str, stage: str) -> list[Document]:
        """Both networks, each of their subnets and the account are written while the endpoint goes over."""
        networks = [
            network_document(
                "VirtualNetwork",
                name,
                addressSpace={"addressPrefixes": [f"10.{number}.0.0/16"]},
                tags={"stage": stage},
                subnets=[
                    {
                        "name": f"net-{at}",
                        "addressPrefix": f"10.{number}.{at}.0/24",
                        "privateEndpointNetworkPolicies": stage,
                    }
                    for at in range(4)
                ],
            )
            for number, name in enumerate(SIZES)
        ]
        acls = {"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"] if stage == "Enabled" else []}
        account = account_document("aoai", customSubDomainName="law-aoai", networkAcls=acls)
        endpoint = network_document("PrivateEndpoint", "pe", account="aoai", subnet=f"{home}/net-0")
        return [fleet_document("law"), group_document(), *networks, account, endpoint]

    for home, stage in (("vnet-a", "Disabled"), ("vnet-b", "Enabled"), ("vnet-a", "Disabled")):
        await azure.seed_world(limits=plenty(azure.sim.subscription_id))
        reports = await azure.converge(azure.load(documents(home, stage)))
        assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert len(await azure.writes()) > 30
    assert await azure.self_inflicted() == {"409": 0, "429": 0}
