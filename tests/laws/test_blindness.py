"""Law: blind is not absent. Whatever read fails, nothing is made or removed that only seems missing or surplus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.model.plan import DecisionState
from reconciler.model.resource import Fleet
from tests.laws.stage import (
    Document,
    Stage,
    account_document,
    account_id,
    deployment,
    fleet_document,
    group_document,
    told,
)

pytestmark = pytest.mark.virtual_time

POLICY = {"name": "strict", "basePolicyName": "Microsoft.DefaultV2"}
PRUNING: Document = {"prune": {"accounts": True, "deployments": True, "raiPolicies": True}}


def before() -> list[Document]:
    """Two accounts; what `after` leaves out becomes surplus, and what it adds is missing."""
    kept = account_document("kept", raiPolicies=[POLICY], deployments=[deployment("one"), deployment("surplus")])
    return [fleet_document("law", **PRUNING), group_document(), kept, account_document("surplus")]


def after() -> list[Document]:
    more = [POLICY, {**POLICY, "name": "new"}]
    kept = account_document(
        "kept", tags={"moved": "yes"}, raiPolicies=more, deployments=[deployment("one", 20), deployment("new")]
    )
    return [fleet_document("law", **PRUNING), group_document(), kept, account_document("missing")]


async def moved(azure: Stage) -> Fleet:
    assert (await azure.converge(azure.load(before())))[-1].plan.converged
    await azure.forget()
    return azure.load(after())


LISTS = {
    "groups": r"/subscriptions/[^/]+/resourcegroups$",
    "accounts": r"/subscriptions/[^/]+/providers/Microsoft.CognitiveServices/accounts$",
    "deleted": r"/deletedAccounts$",
    "deployments": r"/accounts/kept/deployments$",
    "filters": r"/accounts/kept/raiPolicies$",
    "account": r"/accounts/missing$",
}

Write = dict[str, Any]


def creates(*parts: str) -> Callable[[Write], bool]:
    return lambda write: write["method"] == "PUT" and any(write["path"].lower().endswith(part) for part in parts)


# What must not be sent while that read fails. Deletes are forbidden whichever it is.
HIDDEN: dict[str, Callable[[Write], bool]] = {
    "groups": creates("/rg-law"),
    "accounts": creates("/accounts/missing", "/accounts/kept", "/deployments/new", "/raipolicies/new"),
    "deleted": creates("/accounts/missing"),
    "deployments": creates("/deployments/new", "/deployments/one"),
    "filters": creates("/raipolicies/new", "/raipolicies/strict"),
    "account": creates("/accounts/missing"),
}


@pytest.mark.parametrize("how", [{"status": 500}, {"status": 403, "code": "AuthorizationFailed"}], ids=["500", "403"])
@pytest.mark.parametrize("read", sorted(LISTS))
async def test_a_failed_read_never_becomes_a_create_or_a_delete(azure: Stage, read: str, how: Document) -> None:
    fleet = await moved(azure)
    await azure.fault(kind="status", count=-1, match={"method": "GET", "path": LISTS[read]}, **how)
    reports = await azure.converge(fleet, seconds=3600)
    writes = await azure.writes()
    assert not [each for each in writes if each["method"] == "DELETE"]
    assert not [each for each in writes if HIDDEN[read](each)]
    assert not reports[-1].plan.converged
    assert reports[-1].plan.blind
    # Seeing again is all it takes.
    await azure.mend()
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, told(reports[-1].plan)
    assert {id.key for id in fleet.desired} == set(azure.resources())


async def test_one_blind_spot_does_not_stop_the_rest(azure: Stage) -> None:
    fleet = await moved(azure)
    await azure.fault(kind="status", status=403, count=-1, match={"method": "GET", "path": LISTS["deployments"]})
    reports = await azure.converge(fleet, seconds=3600)
    states = {str(each.ref): each.state for each in reports[-1].plan.decisions}
    assert states["Account/missing"] is DecisionState.IN_SYNC
    assert states["Account/kept"] is DecisionState.IN_SYNC
    assert states["Account/kept/deployments/new"] is DecisionState.BLOCKED


@pytest.mark.parametrize("read", ["accounts", "deleted", "deployments", "groups"])
async def test_a_list_that_is_cut_short_is_not_believed(azure: Stage, read: str) -> None:
    fleet = await moved(azure)
    await azure.fault(kind="cut_after", count=-1, match={"method": "GET", "path": LISTS[read]})
    await azure.converge(fleet, seconds=3600)
    assert not [each for each in await azure.writes() if each["method"] == "DELETE" or HIDDEN[read](each)]


async def test_a_second_page_that_fails_hides_what_would_be_on_it(azure: Stage) -> None:
    await azure.set(page_size=1)
    fleet = await moved(azure)
    accounts = r"Microsoft.CognitiveServices/accounts$"
    await azure.fault(kind="status", status=500, count=-1, skip=1, match={"method": "GET", "path": accounts})
    await azure.converge(fleet, seconds=3600)
    assert not [each for each in await azure.writes() if each["method"] == "DELETE"]


async def test_a_list_that_lags_makes_nothing_twice(azure: Stage) -> None:
    fleet = azure.load(before())
    assert (await azure.converge(fleet))[-1].plan.converged
    await azure.forget()
    await azure.fault(
        kind="list_lag", seconds=86_400, count=-1, match={"method": "GET", "path": "CognitiveServices/accounts$"}
    )
    assert told(await azure.dry_run(fleet)) == []
    await azure.converge(fleet)
    assert await azure.writes() == []


async def test_a_create_is_preceded_by_a_look_at_the_very_place(azure: Stage) -> None:
    fleet = azure.load(before())
    assert (await azure.converge(fleet))[-1].plan.converged
    seen: set[str] = set()
    for each in await azure.requests():
        path = each["path"].lower()
        if each["method"] == "GET":
            seen.add(path)
        if each["method"] == "PUT" and each["status"] == 201:
            assert path in seen, each


async def test_without_credentials_nothing_is_written(azure: Stage) -> None:
    fleet = await moved(azure)
    azure.secret = "wrong"
    reports = await azure.converge(fleet, seconds=600)
    assert await azure.requests() == []
    assert reports[-1].plan.steps == ()
    assert {each.state for each in reports[-1].plan.decisions} == {DecisionState.BLOCKED}
    fault = reports[-1].plan.blind[0][1]
    assert fault.advice
    assert "wrong" not in str(fault)


async def test_an_account_that_moved_away_during_the_look_is_no_blind_spot(azure: Stage) -> None:
    fleet = await moved(azure)
    await azure.mutate("DELETE", account_id(azure, "surplus"))
    plan = await azure.dry_run(fleet)
    assert not plan.blind
