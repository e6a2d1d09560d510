"""Law: no state in between is more open than what was before or what is wanted, and an account is born closed.

Who can reach an account is judged here by a reading of its own, of Azure's JSON as the simulation stores it.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from armsim.store import Resource, World
from tests.laws.fleets import firewalls
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    fleet_document,
    group_document,
    stage,
    told,
)
from tests.support.virtual_time import run

Network = ipaddress.IPv4Network
EVERYBODY = (ipaddress.IPv4Network("0.0.0.0/0"),)


@dataclass(frozen=True)
class Reach:
    """Who gets through to an account: networks, subnets, trusted services; with keys or only with Entra."""

    networks: tuple[Network, ...] = ()
    subnets: frozenset[str] = frozenset()
    services: bool = False
    keys: bool = False

    def within(self, *others: Reach) -> bool:
        networks = [network for other in others for network in other.networks]
        everybody = any(network.prefixlen == 0 for network in networks)
        return (
            all(any(each.subnet_of(network) for network in networks) for each in self.networks)
            and (everybody or self.subnets <= frozenset().union(*(other.subnets for other in others)))
            and (everybody or not self.services or any(other.services for other in others))
            and (not self.keys or any(other.keys for other in others))
        )


NOBODY = Reach()


def reach_of(account: dict[str, Any] | None) -> Reach:
    if account is None:
        return NOBODY
    properties = account["properties"]
    if properties.get("publicNetworkAccess", "Enabled") == "Disabled":
        return NOBODY
    keys = properties.get("disableLocalAuth") is not True
    acls = properties.get("networkAcls")
    if acls is None or acls["defaultAction"] == "Allow":
        return Reach(networks=EVERYBODY, services=True, keys=keys)
    return Reach(
        networks=tuple(Network(rule["value"], strict=False) for rule in acls["ipRules"]),
        subnets=frozenset(rule["id"].lower() for rule in acls["virtualNetworkRules"]),
        services=acls.get("bypass", "AzureServices") == "AzureServices",
        keys=keys,
    )


def watch(patch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every state that an account is ever in from now on."""
    states: list[dict[str, Any]] = []
    put = World.put

    def record(world: World, resource: Resource, now: float) -> Resource:
        stored = put(world, resource, now)
        if stored.type.lower().endswith("/accounts"):
            states.append(stored.body)
        return stored

    patch.setattr(World, "put", record)
    return states


@st.composite
def postures(draw: st.DrawFn, *, domain: bool = True) -> Document:
    """What a document can say about who gets in."""
    spec: Document = {"publicNetworkAccess": draw(st.sampled_from(["Enabled", "Disabled"]))}
    if domain:
        spec["customSubDomainName"] = "aoai-a"
        if spec["publicNetworkAccess"] == "Enabled" or draw(st.booleans()):
            spec["networkAcls"] = draw(firewalls())
    elif spec["publicNetworkAccess"] == "Enabled":
        spec["networkAcls"] = {"defaultAction": "Allow"}
    local = draw(st.sampled_from([None, True, False]))
    return spec if local is None else {**spec, "disableLocalAuth": local}


def documents(spec: Document, **fleet: object) -> list[Document]:
    return [fleet_document("law", **fleet), group_document(), account_document("aoai-a", **spec)]


many = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)


@many
@given(data=st.data())
def test_from_any_posture_to_any_other_nothing_opens_in_passing(data: st.DataObject, ca_dir: Path) -> None:
    had_domain = data.draw(st.booleans())
    first = data.draw(postures(domain=had_domain))
    second = data.draw(postures(domain=had_domain or data.draw(st.booleans())))
    failed = data.draw(st.booleans())

    async def law(patch: pytest.MonkeyPatch) -> None:
        async with stage(ca_dir=ca_dir) as azure:
            states = watch(patch)
            id = account_id(azure, "aoai-a")
            reports = await azure.converge(azure.load(documents(first)))
            assert reports[-1].plan.converged, told(reports[-1].plan)
            assert reach_of(states[0]) == NOBODY, "not born closed"
            before = reach_of(azure.resource(id))
            assert all(reach_of(state).within(before) for state in states)
            if failed:
                await azure.mutate("PATCH", id, {"properties": {"provisioningState": "Failed"}})
            states.clear()
            reports = await azure.converge(azure.load(documents(second)))
            assert reports[-1].plan.converged, told(reports[-1].plan)
            wanted = reach_of(azure.resource(id))
            for state in states:
                assert reach_of(state).within(before, wanted), (first, second, state["properties"])

    with pytest.MonkeyPatch.context() as patch:
        run(law(patch))


@many
@given(data=st.data())
def test_a_restore_brings_no_open_door_back(data: st.DataObject, ca_dir: Path) -> None:
    old, wanted = data.draw(postures()), data.draw(postures())

    async def law(patch: pytest.MonkeyPatch) -> None:
        async with stage(ca_dir=ca_dir) as azure:
            await azure.converge(azure.load(documents(old)))
            await azure.mutate("DELETE", account_id(azure, "aoai-a"))
            states = watch(patch)
            fleet = azure.load(documents(wanted, softDeleted="restore"))
            await azure.converge(fleet)
            live = azure.resources().get(account_id(azure, "aoai-a").key)
            for state in states:
                assert live is not None
                assert reach_of(state).within(reach_of(live)), (old, wanted, state["properties"])

    with pytest.MonkeyPatch.context() as patch:
        run(law(patch))


@pytest.mark.virtual_time
async def test_faults_on_the_way_open_nothing_either(azure: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    states = watch(monkeypatch)
    closed: Document = {
        "customSubDomainName": "aoai-a",
        "publicNetworkAccess": "Enabled",
        "networkAcls": {"defaultAction": "Deny", "ipRules": ["203.0.113.0/24"]},
        "disableLocalAuth": True,
    }
    await azure.fault(kind="cut_after", match={"method": "PUT|PATCH"}, count=-1, probability=0.3)
    await azure.fault(kind="lro_fail", match={"method": "PUT|PATCH"}, count=3)
    await azure.fault(kind="status", status=500, count=-1, probability=0.2)
    reports = await azure.converge(azure.load(documents(closed)))
    await azure.mend()
    # A pass may have ended with an operation that failed; the next one repairs it.
    reports = await azure.converge(azure.load(documents(closed)))
    wanted = reach_of(azure.resource(account_id(azure, "aoai-a")))
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert reach_of(states[0]) == NOBODY
    assert all(reach_of(state).within(wanted) for state in states)
    assert any(reach_of(state) == wanted for state in states)
