"""What holds whatever happens: counted quota is what is held and what lingers, a reloaded world is the same world."""

import random
from collections import Counter

import pytest

from armsim.server import Simulator
from armsim.store import ACCOUNT, ENDPOINT, INTERFACE, NETWORK, SECURITY_GROUP, World
from tests.armsim.asking import ACCOUNTS, CS, GROUP, Asker, model
from tests.armsim.networking import NSG, PE, VNET, endpoint, network, rule, security_group, subnet

BODY = {"kind": "OpenAI", "sku": {"name": "S0"}, "properties": {}}
PLACES = ("westeurope", "eastus")


def held(world: World) -> Counter[tuple[str, str, str]]:
    """What the pools should show, counted the slow way: what is alive, buried, and gone but not yet given back."""
    count: Counter[tuple[str, str, str]] = Counter()
    alive = list(world.resources.values())
    buried = [each for grave in world.graves.values() for each in (grave.account, *grave.children)]
    for each in alive + buried:
        for pool, amount in each.held:
            count[(each.subscription, each.location, pool)] += int(amount)
    for key, amount in (row for held in world.lingering.values() for row in held):
        count[key] += int(amount)
    return count


async def step(asker: Asker, chance: random.Random) -> None:
    name, place = f"a{chance.randrange(3)}", chance.choice(PLACES)
    account = f"{ACCOUNTS}/{name}"
    deployment = f"{account}/deployments/d{chance.randrange(3)}"
    match chance.randrange(9):
        case 0 | 1:
            await asker.put(account, BODY | {"location": place})
        case 2 | 3:
            await asker.put(deployment, model(capacity=chance.randrange(1, 60)))
        case 4:
            await asker.delete(deployment)
        case 5:
            await asker.delete(account)
        case 6:
            await asker.put(account, {"location": place, "properties": {"restore": True}})
        case 7:
            await asker.delete(f"{CS}/locations/{place}/resourceGroups/rg/deletedAccounts/{name}")
        case _:
            change = {"method": "PATCH", "id": deployment, "body": model(capacity=chance.randrange(1, 60))}
            if asker.sim.world.get(account.lower()) is not None:
                await asker.sim.control("POST", "/_sim/mutate", change)
    await asker.advance(chance.choice((0, 2, 45)))


@pytest.mark.parametrize("seed", range(6))
async def test_counted_quota_is_held_quota_after_anything(asker: Asker, seed: int) -> None:
    chance = random.Random(seed)
    await asker.sim.control("PUT", "/_sim/settings", {"deployment_returns": 60.0 * (seed % 2)})
    for _ in range(60):
        await step(asker, chance)
        world = asker.sim.world
        assert {key: used for key, used in world.used.items() if used} == held(world)
    saved = await asker.sim.control("GET", "/_sim/state")
    again = World.load(saved, saved["now"])
    assert {key: used for key, used in again.used.items() if used} == held(world)
    assert again.dump() == {name: saved[name] for name in again.dump()}


async def test_nothing_stays_locked_or_unfinished_for_ever(asker: Asker) -> None:
    chance = random.Random(99)
    for _ in range(60):
        await step(asker, chance)
    await asker.advance(600)
    await asker.get(GROUP)
    world = asker.sim.world
    assert world.lanes == {}
    assert {each.state for each in world.resources.values()} <= {"Succeeded"}


async def test_a_group_that_vanishes_behind_everybodys_back_takes_its_accounts_along(asker: Asker) -> None:
    await asker.account()
    await asker.sim.control("POST", "/_sim/mutate", {"method": "DELETE", "id": GROUP})
    assert (await asker.get(f"{ACCOUNTS}/a1")).code == "ResourceGroupNotFound"
    assert len((await asker.get(f"{CS}/deletedAccounts")).body["value"]) == 1


async def test_an_account_that_is_planted_unfinished_comes_to_an_end(slow: Asker) -> None:
    unfinished = {"id": f"{ACCOUNTS}/a1", "location": "eastus", "properties": {"provisioningState": "Accepted"}}
    await slow.seed(resources=[unfinished])
    assert (await slow.patch(f"{ACCOUNTS}/a1", {"tags": {}})).code == "RequestConflict"
    await slow.advance(32)
    assert (await slow.get(f"{ACCOUNTS}/a1")).body["properties"]["provisioningState"] == "Succeeded"


async def test_a_replacement_behind_everybodys_back_is_still_the_same_account(asker: Asker) -> None:
    before = await asker.account(disableLocalAuth=True)
    change = {"method": "PUT", "id": f"{ACCOUNTS}/a1", "body": {"properties": {}}}
    await asker.sim.control("POST", "/_sim/mutate", change)
    after = (await asker.get(f"{ACCOUNTS}/a1")).body
    assert after["properties"]["internalId"] == before["properties"]["internalId"]
    assert (after["location"], after["kind"]) == (before["location"], before["kind"])
    assert "disableLocalAuth" not in after["properties"]


def mentioned(world: World) -> tuple[Counter[str], Counter[str]]:
    """Who refers to whom, seen from those who refer and from those who are referred to."""
    said: Counter[str] = Counter()
    known: Counter[str] = Counter()
    for each in world.resources.values():
        properties = each.body.get("properties", {})
        for inner in properties.get("subnets", []) if each.type == NETWORK else []:
            group = inner["properties"].get("networkSecurityGroup")
            if group:
                said[f"{group['id']} {inner['id']}".lower()] += 1
            for field in ("privateEndpoints", "ipConfigurations"):
                known.update(f"{inner['id']} {row['id']}".lower() for row in inner["properties"].get(field, []))
        if each.type == SECURITY_GROUP:
            known.update(f"{each.id} {row['id']}".lower() for row in properties.get("subnets", []))
        if each.type == ENDPOINT:
            said[f"{properties['subnet']['id']} {each.id}".lower()] += 1
        if each.type == INTERFACE:
            said.update(
                f"{row['properties']['subnet']['id']} {row['id']}".lower() for row in properties["ipConfigurations"]
            )
    return said, known


async def network_step(asker: Asker, chance: random.Random) -> None:
    number = chance.randrange(2)
    group, net = NSG[:-1] + str(number), VNET[:-1] + str(chance.randrange(2))
    place, end = f"{net}/subnets/s{number}", PE[:-1] + str(chance.randrange(3))
    child = subnet(f"s{number}", f"10.0.{number}.0/28")
    if chance.random() < 0.7:
        child["properties"]["networkSecurityGroup"] = {"id": group}
    writes: list[tuple[str, str, object]] = [
        ("PUT", group, security_group(rule("one"))),
        ("DELETE", group, None),
        ("PUT", net, network(*([child] if chance.random() < 0.8 else []))),
        ("DELETE", net, None),
        ("PUT", place, child),
        ("DELETE", place, None),
        ("PUT", end, endpoint(f"{ACCOUNTS}/a{number}", place)),
        ("PUT", end, endpoint(f"{ACCOUNTS}/a{number}", place, manual=True)),
        ("DELETE", end, None),
    ]
    method, path, body = chance.choice(writes)
    answer = await asker.ask(method, path, body)
    assert answer.status < 500, answer.text
    await asker.advance(chance.choice((0, 1, 11, 45)))


@pytest.mark.parametrize("seed", range(4))
async def test_networks_are_known_to_what_they_refer_to_after_anything(slow: Asker, seed: int) -> None:
    chance = random.Random(seed)
    for number in range(2):
        await slow.account(f"a{number}", customSubDomainName=f"names-a{number}")
    most = 0
    for _ in range(150):
        await network_step(slow, chance)
        said, known = mentioned(slow.sim.world)
        assert said == known
        most = max(most, len(said))
    assert most > 2
    await slow.advance(100)
    states = {each.state for each in slow.sim.world.resources.values() if "microsoft.network" in each.type}
    assert states <= {"Succeeded"}
    held = {
        row["properties"]["privateEndpoint"]["id"].lower()
        for account in slow.sim.world.of_type(Simulator.subscription_id, ACCOUNT)
        for row in account.body["properties"]["privateEndpointConnections"]
    }
    assert held == {each.key for each in slow.sim.world.of_type(Simulator.subscription_id, ENDPOINT)}
