"""Law: the two roles that are shipped are exactly what is done: enough for all of it, and nothing besides.

What is asked for is told by the simulation's log, and named by the rule of Resource Manager itself. Neither knows the
product's tables, of which the roles are made.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.model.outcome import CycleReport
from tests.laws.deeds import EXAMPLES, FLEETS, STORIES, Story, grown, load, pooled
from tests.laws.stage import Stage, account_id, failures, network_id, stage, told
from tests.laws.test_fixpoint import plenty
from tests.support.azure_actions import find_action
from tests.support.chart import ROOT
from tests.support.virtual_time import run

pytestmark = pytest.mark.virtual_time


def role(name: str) -> list[str]:
    actions: list[str] = json.loads((ROOT / "deploy" / "azure" / "roles" / f"{name}.json").read_text())["Actions"]
    return actions


async def grant(azure: Stage, subscription: str, actions: list[str]) -> None:
    await azure.set(rights_lag=0.0)
    row = {"principal": "*", "scope": f"/subscriptions/{subscription}", "actions": actions, "notActions": []}
    await azure.sim.control("PUT", "/_sim/rights", {"grants": [row]})


async def asked(azure: Stage) -> set[str]:
    """Every action that a request took, its own and those on what its body names; of those that came so far."""
    requests = [each for each in await azure.requests() if each["status"] not in (401, 429)]
    for each in requests:
        assert each["actions"][0].lower() == find_action(each["method"], each["path"]), each
    return {action.lower() for each in requests for action in each["actions"]}


async def refused(azure: Stage) -> list[tuple[str, str]]:
    return [(each["method"], each["path"]) for each in await azure.requests() if each["status"] == 403]


@pytest.mark.parametrize("name", FLEETS)
async def test_the_writer_may_do_all_that_an_example_takes(azure: Stage, name: str) -> None:
    fleet = azure.load(EXAMPLES / name)
    await azure.seed_world(limits=plenty(fleet.subscription))
    await grant(azure, fleet.subscription, role("writer"))
    reports = await azure.converge(fleet)
    assert failures(reports) == []
    assert await refused(azure) == []
    assert reports[-1].plan.steps == (), told(reports[-1].plan)


@pytest.mark.parametrize("name", FLEETS)
async def test_the_reader_sees_the_plan_that_the_writer_sees(azure: Stage, name: str) -> None:
    fleet = azure.load(EXAMPLES / name)
    await azure.seed_world(limits=plenty(fleet.subscription))
    await grant(azure, fleet.subscription, role("writer"))
    full = await azure.dry_run(fleet)
    await azure.forget()
    await grant(azure, fleet.subscription, role("reader"))
    plan = await azure.dry_run(fleet)
    assert await refused(azure) == []
    assert plan.complete
    assert told(plan) == told(full)


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES)
async def test_the_writer_may_do_all_that_a_story_takes(azure: Stage, story: Story) -> None:
    await grant(azure, azure.sim.subscription_id, role("writer"))
    reports = await story(azure)
    assert failures(reports) == []
    assert await refused(azure) == []
    assert told(reports[-1].plan) == []


@pytest.fixture(scope="module")
def takes() -> dict[str, set[str]]:
    """What each story asks for, where everything may be done."""

    async def tell(story: Story) -> set[str]:
        async with stage() as azure:
            await story(azure)
            return await asked(azure)

    return {name: run(tell(story)) for name, story in STORIES.items()}


def test_the_writer_is_granted_exactly_what_is_asked_for(takes: dict[str, set[str]]) -> None:
    assert set().union(*takes.values()) == {each.lower() for each in role("writer")}


@pytest.mark.parametrize("action", role("writer"))
async def test_without_one_of_its_actions_the_writer_is_refused_and_it_is_told(
    azure: Stage, takes: dict[str, set[str]], action: str
) -> None:
    """By Azure, or beforehand by the plan, which knows what is granted."""
    story = next(STORIES[name] for name in reversed(STORIES) if action.lower() in takes[name])
    await grant(azure, azure.sim.subscription_id, [each for each in role("writer") if each != action])
    reports = await story(azure)
    blocked = [each for report in reports for each in words(report) if f"is not granted {action}" in each]
    denied = action.lower() in {name.lower() for name in await actions_refused(azure)}
    assert blocked or denied
    assert denied or not action.endswith("/read")


async def actions_refused(azure: Stage) -> list[str]:
    return [action for each in await azure.requests() if each["status"] == 403 for action in each["actions"]]


def words(report: CycleReport) -> list[str]:
    return [each.reason for each in report.plan.decisions]


async def test_the_reader_is_granted_exactly_what_a_look_asks_for(azure: Stage) -> None:
    """At what is not there yet, at what has drifted, at what is to be purged, pools of models and tiers of quota."""
    documents: list[dict[str, Any]] = grown(azure)
    fleet = load(azure, *documents)
    await azure.seed_world(limits=plenty(fleet.subscription))
    await azure.dry_run(fleet)
    seen = await asked(azure)
    await azure.converge(fleet)
    await azure.mutate("PATCH", network_id(azure, "networkSecurityGroups", "guard"), {"tags": {"team": "alice"}})
    await azure.mutate("DELETE", account_id(azure, "one").child("deployments", "more"))
    await azure.forget()
    await azure.dry_run(fleet)
    await azure.dry_run(load(azure, purge="always", allowEmpty=True, quota={"tierUpgrade": "NoAutoUpgrade"}))
    await azure.dry_run(load(azure, *pooled()))
    seen |= await asked(azure)
    assert seen == {each.lower() for each in role("reader")}
