"""Law: the two roles that are shipped are enough for all that is done, and hardly more than what is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from armsim.gate import VERBS
from armsim.rp.table import build
from tests.laws.stage import Stage, account_document, deployment, failures, fleet_document, group_document, told
from tests.laws.test_fixpoint import plenty

pytestmark = pytest.mark.virtual_time

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "desired_state" / "examples"
# Granted and not asked for by any example, besides deletes and the use of what bodies name.
_SPARE = {
    # Connections of other people's endpoints, which a document may approve.
    "microsoft.cognitiveservices/accounts/privateendpointconnections/read",
    "microsoft.cognitiveservices/accounts/privateendpointconnections/write",
    # One deleted account, read again before it is purged.
    "microsoft.cognitiveservices/locations/resourcegroups/deletedaccounts/read",
    # Only where a pool of a model looks for hardware.
    "microsoft.cognitiveservices/modelcapacities/read",
    # Only where a Quota declares the subscription's tier.
    "microsoft.cognitiveservices/quotatiers/read",
    "microsoft.cognitiveservices/quotatiers/write",
    # Where Azure hands out another of its URLs for the same operation.
    "microsoft.network/locations/operationresults/read",
    "microsoft.network/privatednsoperationresults/read",
    "microsoft.resources/subscriptions/operationresults/read",
}
# One fleet each, all of it in one subscription.
FLEETS = ("app-and-backend", "gateway-subnet", "private-endpoints", "regions-and-models", "secure-account")


def role(name: str) -> list[str]:
    actions: list[str] = json.loads((ROOT / "deploy" / "azure" / "roles" / f"{name}.json").read_text())["Actions"]
    return actions


async def grant(azure: Stage, subscription: str, actions: list[str]) -> None:
    await azure.set(rights_lag=0.0)
    row = {"principal": "*", "scope": f"/subscriptions/{subscription}", "actions": actions, "notActions": []}
    await azure.sim.control("PUT", "/_sim/rights", {"grants": [row]})


async def used(azure: Stage) -> set[str]:
    """The actions that Azure has asked a grant for, by its own table of routes."""
    routes, extensions = build()
    found: set[str] = set()
    for each in await azure.requests():
        segments = [part for part in each["path"].split("?")[0].split("/") if part]
        at = max((n for n, part in enumerate(segments) if part.lower() == "providers"), default=0)
        match = extensions.find(segments[at + 1 :]) if at else None
        match = match or routes.find(segments)
        if match is None or segments[:1] != ["subscriptions"]:
            continue
        route, _ = match
        verb = VERBS[each["method"]]
        found.add((route.action if route.action_verb == "" else f"{route.action}/{verb}").lower())
    return found


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


async def test_the_writer_replaces_and_prunes(azure: Stage) -> None:
    """What it takes to end: deletes of what hangs on an account, of the account and of its group."""
    documents: list[dict[str, Any]] = [
        fleet_document(allow=["delete"], prune={"accounts": True, "deployments": True}),
        group_document(),
        account_document("one", deployments=[deployment("chat")]),
    ]
    fleet = azure.load(documents)
    await grant(azure, fleet.subscription, role("writer"))
    assert (await azure.converge(fleet))[-1].plan.converged
    await azure.converge(azure.load(documents[:2]))
    assert await refused(azure) == []


async def test_the_writer_is_granted_what_is_asked_for_and_little_else(azure: Stage) -> None:
    """By the simulation's own table of what each request takes. Spare is what no example comes to."""
    asked: set[str] = set()
    for name in FLEETS:
        fleet = azure.load(EXAMPLES / name)
        await azure.seed_world(limits=plenty(fleet.subscription))
        await grant(azure, fleet.subscription, ["*"])
        assert failures(await azure.converge(fleet)) == []
        asked |= await used(azure)
    granted = {each.lower() for each in role("writer")}
    assert {each for each in asked if not _covers(granted, each)} == set()
    spare = {each for each in granted if not any(_covers({each}, action) for action in asked)}
    assert {each for each in spare if each.rpartition("/")[2] not in ("delete", "action")} == _SPARE


def _covers(granted: set[str], action: str) -> bool:
    return any(
        action == each
        or ("*" in each and action.startswith(each.split("*")[0]) and action.endswith(each.split("*")[1]))
        for each in granted
    )
