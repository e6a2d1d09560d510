"""Law: blind is not absent, for every type there is: a list that fails, or lags, makes nothing and removes nothing.

What is tried follows from the catalog and from the documents that the project ships: a new kind is tried with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from reconciler.desired.fleet import load_estate
from reconciler.kinds.base import ResourceType
from reconciler.kinds.catalog import TYPES, type_of
from reconciler.model.finding import Severity
from reconciler.model.ids import GROUP_TYPE, ArmId
from reconciler.model.plan import DecisionState
from reconciler.model.resource import Cap, Desired, Fleet
from tests.laws.stage import Document, Stage, failures, told
from tests.laws.test_fixpoint import find_examples, plenty

pytestmark = pytest.mark.virtual_time

ENVIRONMENT = {f"AZURE_{name}": "00000000-0000-0000-0000-000000000001" for name in ("SUBSCRIPTION_ID", "TENANT_ID")}
EVERYTHING = frozenset(type_.arm_type.lower() for type_ in TYPES)
FAILURES: tuple[Document, ...] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 403, "code": "AuthorizationFailed"},
    {"kind": "cut_after"},
)


@cache
def sizes() -> Mapping[Path, Mapping[str, int]]:
    """How often each type is declared by the one fleet of an example."""
    found: dict[Path, dict[str, int]] = {}
    for place in find_examples():
        estate = load_estate((place,), ENVIRONMENT, None)
        fleets = estate.fleets
        if len(fleets) == 1 and not any(each.severity is Severity.ERROR for each in estate.findings):
            counted = found.setdefault(place, {})
            for id in fleets[0].desired:
                counted[id.type.lower()] = counted.get(id.type.lower(), 0) + 1
    return found


def example_of(type_: ResourceType) -> Path:
    """The smallest example that declares a resource of the type."""
    having = [place for place, counted in sizes().items() if counted.get(type_.arm_type.lower())]
    assert having, f"no example of one fleet declares a {type_.word}"
    return min(having, key=lambda place: sum(sizes()[place].values()))


def read_of(type_: ResourceType) -> str:
    """The path of the request that tells of the resources of a type, as an expression."""
    if type_.arm_type == GROUP_TYPE:
        return r"/subscriptions/[^/]+/resourcegroups$"
    if type_.binding.list_all:
        return rf"/subscriptions/[^/]+/providers/{type_.arm_type}$"
    parent, _, segment = type_.arm_type.rpartition("/")
    if type_.binding.list_children:
        return rf"/providers/{parent}/[^/]+/{segment}$"
    if not type_.embedded:
        return rf"/providers/{type_.arm_type}/[^/]+$"
    above = type_of(parent)
    assert above is not None
    return read_of(above)


DECLARED = [type_ for type_ in TYPES if not type_.guest]


@pytest.fixture(params=DECLARED, ids=lambda type_: type_.word.replace(" ", "-"))
def type_(request: pytest.FixtureRequest) -> ResourceType:
    found: ResourceType = request.param
    return found


async def settled(azure: Stage, type_: ResourceType) -> Fleet:
    """The fleet of an example, as declared, which was made without a create that nobody looked before."""
    fleet = azure.load(example_of(type_))
    tenant = fleet.target.tenant or azure.sim.tenant_id
    await azure.seed_world(subscriptions=[{"subscriptionId": fleet.subscription, "tenantId": tenant}])
    await azure.seed_world(limits=plenty(fleet.subscription))
    reports = await azure.converge(fleet)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert_looked_before(await azure.requests())
    await azure.forget()
    return fleet


def assert_looked_before(requests: list[dict[str, Any]]) -> None:
    """Each create is preceded by a GET of the very place."""
    seen: set[str] = set()
    for each in requests:
        path = each["path"].lower()
        if each["method"] == "GET":
            seen.add(path)
        assert each["method"] != "PUT" or each["status"] not in (201, 202) or path in seen, each


async def test_what_could_not_be_listed_is_neither_made_nor_changed(azure: Stage, type_: ResourceType) -> None:
    fleet = await settled(azure, type_)
    ours = [id for id in fleet.desired if id.type.lower() == type_.arm_type.lower()]
    for how in FAILURES:
        await azure.fault(**how, count=-1, match={"method": "GET", "path": read_of(type_)})
        reports = await azure.converge(fleet, seconds=3600)
        assert [(each["method"], each["path"]) for each in await azure.writes()] == []
        states = {each.id: each.state for each in reports[-1].plan.decisions}
        assert {states[id] for id in ours} == {DecisionState.BLOCKED}
        assert reports[-1].plan.blind
        await azure.mend()
    assert told(await azure.dry_run(fleet)) == []


@pytest.mark.parametrize(
    "type_",
    [each for each in DECLARED if each.arm_type != GROUP_TYPE and each.binding.delete],
    ids=lambda each: each.word.replace(" ", "-"),
)
async def test_nothing_is_removed_while_anything_of_its_type_is_unseen(azure: Stage, type_: ResourceType) -> None:
    fleet = await settled(azure, type_)
    smaller = without_one(fleet, type_)
    for how in FAILURES:
        await azure.fault(**how, count=-1, match={"method": "GET", "path": read_of(type_)})
        await azure.converge(smaller, seconds=3600)
        assert [each["path"] for each in await azure.writes() if each["method"] == "DELETE"] == []
        await azure.mend()
    reports = await azure.converge(smaller)
    assert reports[-1].plan.converged, (told(reports[-1].plan), failures(reports))
    assert [each["path"] for each in await azure.writes() if each["method"] == "DELETE"] != []


def without_one(fleet: Fleet, type_: ResourceType) -> Fleet:
    """The fleet without its last resource of a type, what needs that, and every permission to clear it away."""
    first = max(id for id in fleet.desired if id.type.lower() == type_.arm_type.lower())
    gone = {first, *_standing_on(fleet.desired, first)}
    cap = Cap(count=1000, percent=100)
    policy = replace(
        fleet.policy,
        prune=EVERYTHING,
        allow=frozenset({"delete", "replace", "purge", "cutOff"}),
        allow_empty=True,
        deletes=cap,
        changes=cap,
    )
    kept = {
        id: replace(each, lifecycle=replace(each.lifecycle, prevent_destroy=False))
        for id, each in fleet.desired.items()
        if id not in gone
    }
    return replace(fleet, desired=kept, policy=policy)


def _standing_on(desired: Mapping[ArmId, Desired], base: ArmId) -> Iterator[ArmId]:
    for id, each in desired.items():
        if base in each.needs or (base.covers(id) and id != base):
            yield id
            yield from _standing_on(desired, id)


async def test_a_list_that_lags_makes_nothing_twice(azure: Stage, type_: ResourceType) -> None:
    fleet = await settled(azure, type_)
    await azure.fault(kind="list_lag", seconds=864_000, count=-1, match={"method": "GET", "path": read_of(type_)})
    await azure.converge(fleet)
    assert [(each["method"], each["path"]) for each in await azure.writes()] == []
