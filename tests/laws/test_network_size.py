"""Law: however large a security group or a network is, it is one request to read and one write to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.networks import MOST_RULES, MOST_SUBNETS, NETWORK_TYPES, OBJECTS, seed_networks, write_networks
from reconciler.model.resource import Fleet
from tests.laws.stage import Stage, told

pytestmark = pytest.mark.virtual_time


async def standing(azure: Stage, folder: Path) -> Fleet:
    """The networks of the benchmark, in Azure and in documents."""
    write_networks(folder)
    await azure.seed_world(resources=seed_networks(azure.sim.subscription_id))
    return azure.load(folder)


async def test_two_hundred_objects_are_read_with_one_request_for_each_type(azure: Stage, tmp_path: Path) -> None:
    fleet = await standing(azure, tmp_path)
    assert len(fleet.desired) == OBJECTS + 1
    plan = await azure.dry_run(fleet)
    assert told(plan) == []
    assert plan.steps == ()
    asked = [each["path"].lower() for each in await azure.requests() if "/microsoft.network/" in each["path"].lower()]
    listed = [
        path for path in asked if path.endswith(tuple(f"/microsoft.network/{each}".lower() for each in NETWORK_TYPES))
    ]
    assert len(listed) == len(NETWORK_TYPES)
    # The links of a zone are in no list but its own.
    assert all(path.endswith("/virtualnetworklinks") for path in asked if path not in listed)


async def test_a_rule_among_two_hundred_is_changed_by_one_write(azure: Stage, tmp_path: Path) -> None:
    await standing(azure, tmp_path)
    groups = tmp_path / "groups.yaml"
    groups.write_text(groups.read_text().replace('"203.0.113.150"', '"203.0.113.250"'))
    fleet = azure.load(tmp_path)
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert [change.path for each in reports[0].plan.decisions for change in each.changes] == [
        "securityRules[rule-150].sourceAddressPrefixes"
    ]
    assert [(each["method"], each["path"].rpartition("/")[2]) for each in await azure.writes()] == [("PUT", "nsg-00")]
    (group,) = [body for id, body in azure.resources().items() if id.endswith("/nsg-00")]
    assert len(group["properties"]["securityRules"]) == MOST_RULES


async def test_a_subnet_among_a_hundred_is_changed_by_one_write(azure: Stage, tmp_path: Path) -> None:
    await standing(azure, tmp_path)
    networks = tmp_path / "networks.yaml"
    said = '"addressPrefix": "10.0.77.0/24", "networkSecurityGroup": "nsg-37"'
    assert networks.read_text().count(said) == 1
    networks.write_text(networks.read_text().replace(said, said.replace("nsg-37", "nsg-01")))
    fleet = azure.load(tmp_path)
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert [(each["method"], each["path"].rpartition("/")[2]) for each in await azure.writes()] == [("PUT", "net-77")]
    (network,) = [body for id, body in azure.resources().items() if id.endswith("/vnet-00")]
    assert len(network["properties"]["subnets"]) == MOST_SUBNETS
