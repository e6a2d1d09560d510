"""What holds whatever happens: counted quota is held quota, a reloaded world is the same world."""

import random
from collections import Counter

import pytest

from armsim.store import World
from tests.armsim.asking import ACCOUNTS, CS, GROUP, Asker, model

BODY = {"kind": "OpenAI", "sku": {"name": "S0"}, "properties": {}}
PLACES = ("westeurope", "eastus")


def held(world: World) -> Counter[tuple[str, str, str]]:
    """What the pools should show, counted the slow way."""
    count: Counter[tuple[str, str, str]] = Counter()
    alive = list(world.resources.values())
    buried = [each for grave in world.graves.values() for each in (grave.account, *grave.children)]
    for each in alive + buried:
        for pool, amount in each.held:
            count[(each.subscription, each.location, pool)] += int(amount)
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
