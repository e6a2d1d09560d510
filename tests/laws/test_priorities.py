"""Law: rules of a security group change places in one write, and nobody is let in or kept out in passing.

Who gets through is judged by a reading of its own, of Azure's JSON at every state that the simulation ever stores.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import pytest

from armsim.store import SECURITY_GROUP, Resource, World
from reconciler.model.resource import Fleet
from tests.laws.stage import Document, Stage, fleet_document, group_document, network_document, network_id, told

pytestmark = pytest.mark.virtual_time

RULES = 12
SOURCES = ("10.1.0.0/16", "10.1.1.0/24", "10.1.1.128/25", "203.0.113.0/24", "*", "203.0.113.64/26")
PORTS = ("443", "440-450", "*", "22", "1-1024")
PROBES = [*product(("10.1.1.7", "10.1.1.200", "10.1.9.9", "203.0.113.5", "203.0.113.70", "8.8.8.8"),
                   (22, 443, 445, 1024, 5000))]  # fmt: skip

Access = Mapping[tuple[str, int], str]


def rules() -> list[Document]:
    """Twelve that overlap and contradict each other, so that their order decides."""
    return [
        {
            "name": f"rule-{at:02}",
            "direction": "Inbound",
            "access": "Allow" if at % 2 else "Deny",
            "protocol": "*",
            "sourceAddressPrefix": SOURCES[at % len(SOURCES)],
            "destinationAddressPrefix": "*",
            "destinationPortRange": PORTS[at * 2 % len(PORTS)],
        }
        for at in range(RULES)
    ]


def judge(group: Mapping[str, Any]) -> Access:
    """For each probe, the rule of lowest number that speaks of it; what none speaks of is left to Azure's own."""
    listed = sorted((each["properties"] for each in group["properties"]["securityRules"]), key=_priority)
    return {probe: next((each["access"] for each in listed if _speaks(each, *probe)), "none") for probe in PROBES}


def _priority(rule: Mapping[str, Any]) -> int:
    return int(rule["priority"])


def _speaks(rule: Mapping[str, Any], source: str, port: int) -> bool:
    prefix, ports = rule["sourceAddressPrefix"], rule["destinationPortRange"]
    first, _, last = ("0-65535" if ports == "*" else ports).partition("-")
    inside = prefix == "*" or ipaddress.ip_address(source) in ipaddress.ip_network(prefix)
    return inside and int(first) <= port <= int(last or first)


def load(azure: Stage, order: Sequence[int]) -> Fleet:
    """The rules in an order: each place is a priority."""
    placed = [{**each, "priority": 100 + 10 * order[at]} for at, each in enumerate(rules())]
    group = network_document("NetworkSecurityGroup", "nsg", securityRules=placed)
    return azure.load([fleet_document("law"), group_document(), group])


def watch(patch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every state that a security group is ever in from now on."""
    states: list[dict[str, Any]] = []
    put = World.put

    def record(world: World, resource: Resource, now: float) -> Resource:
        stored = put(world, resource, now)
        if stored.type == SECURITY_GROUP:
            states.append(stored.body)
        return stored

    patch.setattr(World, "put", record)
    return states


def orders(moving: int) -> Iterator[list[int]]:
    """Ways in which that many of the rules change places, in turns and at random."""
    chance = random.Random(moving)
    for _ in range(6):
        places, order = sorted(chance.sample(range(RULES), moving)), [*range(RULES)]
        for at, place in enumerate(places):
            order[place] = places[(at + 1) % moving]
        yield order
    if moving == RULES:
        yield [*reversed(range(RULES))]


@pytest.mark.parametrize("moving", [2, 3, RULES])
async def test_rules_that_change_places_leave_no_gap_and_open_none(
    azure: Stage, monkeypatch: pytest.MonkeyPatch, moving: int
) -> None:
    start = [*range(RULES)]
    fleet = load(azure, start)
    assert (await azure.converge(fleet))[-1].plan.converged
    nsg = network_id(azure, "networkSecurityGroups", "nsg")
    different = 0
    for order in orders(moving):
        for goal in (order, start):
            states = watch(monkeypatch)
            before = judge(azure.resource(nsg))
            await azure.forget()
            reports = await azure.converge(load(azure, goal))
            monkeypatch.undo()
            assert reports[-1].plan.converged, told(reports[-1].plan)
            assert [(each["method"], each["status"]) for each in await azure.writes()] == [("PUT", 200)]
            after = judge(azure.resource(nsg))
            different += before != after
            assert states
            for state in map(judge, states):
                wrong = [probe for probe in PROBES if state[probe] not in (before[probe], after[probe])]
                assert not wrong, (order, wrong)
                assert state in (before, after), "half of the rules had moved"
    assert different, "no order mattered: the probes see nothing"
