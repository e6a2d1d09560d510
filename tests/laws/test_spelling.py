"""Law: Azure may say the same in other letters and in another order, and nobody has anything to do."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from reconciler.model.wire import Json
from tests.laws.stage import Stage, told
from tests.laws.test_fixpoint import find_examples
from tests.laws.test_networks import settled

pytestmark = pytest.mark.virtual_time

# What means something else in other letters, by key.
IN_LETTERS = {
    "tags": "the values of tags are somebody's text",
    "description": "text for people",
    "requestMessage": "text for people",
    "provisioningState": "told apart without regard to case by the simulation's own life of a resource as well",
    "etag": "a stamp of Azure's, not of what was declared",
}
# What means something else in another order, by key.
IN_ORDER = {
    "dnsServers": "the first one that answers is asked",
}
MODES: Mapping[str, Callable[[str], str]] = {"upper": str.upper, "lower": str.lower, "swapped": str.swapcase}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("example", find_examples(), ids=lambda place: place.name)
async def test_other_letters_and_another_order_everywhere_are_silence(azure: Stage, example: Path, mode: str) -> None:
    for fleet in await settled(azure, example):
        chance = random.Random(mode)
        state = await azure.sim.control("GET", "/_sim/state")
        bodies = [respell(held["body"], MODES[mode], chance) for held in state["resources"]]
        assert bodies != [held["body"] for held in state["resources"]]
        state["resources"] = [{**held, "body": body} for held, body in zip(state["resources"], bodies, strict=True)]
        await azure.sim.control("PUT", "/_sim/state", state)
        (answered,) = [each for each in azure.resources().values() if each in bodies[:1]]
        assert answered
        plan = await azure.dry_run(fleet)
        assert told(plan) == []
        assert plan.steps == ()


def respell(value: Json, spell: Callable[[str], str], chance: random.Random, key: str = "") -> Json:
    """Every word in other letters and every list in another order, but for what carries meaning."""
    if key in IN_LETTERS:
        return value
    if isinstance(value, dict):
        spelt = {name: spell(name) if name.startswith("/") else name for name in value}
        return {spelt[name]: respell(each, spell, chance, name) for name, each in value.items()}
    if isinstance(value, list):
        listed = [respell(each, spell, chance, key) for each in value]
        if key not in IN_ORDER:
            listed.reverse()
            chance.shuffle(listed)
        return listed
    return spell(value) if isinstance(value, str) else value
