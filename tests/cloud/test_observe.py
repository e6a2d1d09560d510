"""Observation: by lists, complete or honest about what it could not see."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from armsim.server import Simulator
from armsim.settings import Settings
from reconciler.kinds.catalog import TYPES
from reconciler.model.finding import FaultClass
from reconciler.model.ids import ArmId
from reconciler.model.ports import Cloud
from reconciler.model.resource import LiveState, Scope, Snapshot
from reconciler.model.wire import read_path
from tests.cloud.conftest import Azure, number
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time

ACCOUNTS = "Microsoft.CognitiveServices/accounts"
DEPLOYMENTS = f"{ACCOUNTS}/deployments"
FILTERS = f"{ACCOUNTS}/raiPolicies"


def scope(azure: Azure, *ids: ArmId, prune: frozenset[str] = frozenset(), everything: bool = False) -> Scope:
    return Scope(subscription=azure.sim.subscription_id, fleet="prod", ids=ids, prune=prune, everything=everything)


def types_seen(snapshot: Snapshot) -> list[str]:
    return [id.type for id in snapshot.live]


async def test_a_hundred_accounts_take_one_list_each_and_three_more(azure: Azure, cloud: Cloud) -> None:
    names = [f"a{number:03}" for number in range(100)]
    await azure.seed_accounts(*names, deployments=10)
    snapshot = await cloud.observe(scope(azure, azure.group, *(azure.account(name) for name in names)))
    assert len(snapshot.live) == 1 + 100 + 1000
    assert snapshot.blind == ()
    assert snapshot.requests == len(await azure.requests()) == 103
    assert (await azure.summary())["mutated"] == 0


async def test_live_carries_what_azure_said_about_it(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai", deployments=1)
    id = azure.account()
    await azure.sim.control(
        "POST",
        "/_sim/mutate",
        {"method": "PATCH", "id": str(id), "body": {"tags": {"Reconciler-Fleet": "prod"}}, "actor": "eve@example.com"},
    )
    snapshot = await cloud.observe(scope(azure))
    account, child = snapshot.live[id], snapshot.live[id.child("deployments", "d0")]
    assert (account.owner, child.owner) == ("prod", "prod")
    assert account.modified_by == "eve@example.com"
    assert account.modified_at
    assert account.etag == account.wire["etag"]
    assert account.state is LiveState.SETTLED
    assert snapshot.principal == azure.sim.client_id
    assert snapshot.taken_at == azure.sim.clock.now()


async def test_the_time_of_a_look_is_when_it_began_by_azure_s_clock(azure: Azure, cloud: Cloud) -> None:
    """What changes while it is under way may not be seen by it."""
    began = azure.sim.clock.now()
    await azure.sim.control("PUT", "/_sim/settings", {"latency": 20.0})
    snapshot = await cloud.observe(scope(azure))
    assert azure.sim.clock.now() - began >= 20
    assert snapshot.taken_at - began < 2


async def test_unknown_fields_of_azure_are_kept(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    id = azure.account()
    change = {"method": "PATCH", "id": str(id), "body": {"properties": {"brandNew": {"deep": [1]}}}}
    await azure.sim.control("POST", "/_sim/mutate", change)
    snapshot = await cloud.observe(scope(azure, id))
    assert read_path(snapshot.live[id].wire, ("properties", "brandNew")) == {"deep": [1]}


async def test_children_of_strangers_are_left_alone(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("theirs", fleet="other", deployments=2)
    snapshot = await cloud.observe(scope(azure))
    assert types_seen(snapshot) == ["Microsoft.Resources/resourceGroups", ACCOUNTS]
    everything = await cloud.observe(scope(azure, everything=True))
    assert types_seen(everything).count(DEPLOYMENTS) == 2


async def test_a_named_child_makes_its_unowned_account_be_looked_into(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("theirs", fleet="other", deployments=2)
    child = azure.account("theirs").child("deployments", "d1")
    snapshot = await cloud.observe(scope(azure, child))
    assert child in snapshot.live


async def test_content_filters_are_listed_only_where_somebody_asks(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("one", "two")
    one, two = azure.account("one"), azure.account("two")

    async def listed(asked: Scope) -> list[str]:
        before = len(await azure.requests())
        await cloud.observe(asked)
        return [
            str(each["path"]).split("/")[8]
            for each in (await azure.requests())[before:]
            if str(each["path"]).endswith("/raiPolicies")
        ]

    assert await listed(scope(azure, one, two)) == []
    assert await listed(scope(azure, one, two, one.child("raiPolicies", "strict"))) == ["one"]
    assert sorted(await listed(scope(azure, prune=frozenset({FILTERS.lower()})))) == ["one", "two"]


async def test_a_lagging_list_does_not_make_an_account_absent(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    await azure.seed_accounts("fresh", deployments=1)
    await azure.fault(kind="list_lag", match={"path": "/accounts$"}, location="swedencentral", seconds=600, count=-1)
    snapshot = await cloud.observe(scope(azure, azure.account("fresh")))
    assert azure.account("fresh") in snapshot.live
    assert azure.account("fresh").child("deployments", "d0") in snapshot.live
    assert snapshot.blind == ()


async def test_what_is_absent_by_name_too_is_absent(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    snapshot = await cloud.observe(scope(azure, azure.group, azure.account("wanted")))
    assert azure.account("wanted") not in snapshot.live
    assert snapshot.hidden(azure.account("wanted")) is None
    asked = [each for each in await azure.requests() if str(each["path"]).endswith("/accounts/wanted")]
    assert len(asked) == 1


async def test_accounts_of_a_group_that_does_not_exist_are_not_asked_for(azure: Azure, cloud: Cloud) -> None:
    wanted = [azure.account(f"a{number}") for number in range(20)]
    snapshot = await cloud.observe(scope(azure, azure.group, *wanted))
    assert snapshot.live == {}
    assert snapshot.blind == ()
    assert snapshot.requests == 4


async def test_a_confirmation_that_fails_is_a_blind_spot_of_one(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("there")
    await azure.fault(kind="status", match={"path": "/accounts/wanted$"}, status=403, code="AuthorizationFailed")
    snapshot = await cloud.observe(scope(azure, azure.account("wanted"), azure.account("other")))
    hidden = snapshot.hidden(azure.account("wanted"))
    assert hidden is not None
    assert hidden.code == "AuthorizationFailed"
    assert snapshot.hidden(azure.account("wanted").child("deployments", "x")) is not None
    assert snapshot.hidden(azure.account("other")) is None


@pytest.mark.parametrize(
    ("path", "blind_type", "seen"),
    [
        (r"/resourceGroups$", "Microsoft.Resources/resourceGroups", [ACCOUNTS, DEPLOYMENTS]),
        (r"/accounts$", ACCOUNTS, ["Microsoft.Resources/resourceGroups"]),
        (r"/deployments$", DEPLOYMENTS, ["Microsoft.Resources/resourceGroups", ACCOUNTS]),
        (
            r"/deletedAccounts$",
            "Microsoft.CognitiveServices/deletedAccounts",
            ["Microsoft.Resources/resourceGroups", ACCOUNTS, DEPLOYMENTS],
        ),
    ],
)
async def test_a_list_that_keeps_failing_is_blind_and_spoils_nothing_else(
    azure: Azure, cloud: Cloud, path: str, blind_type: str, seen: list[str]
) -> None:
    await azure.seed_accounts("aoai", deployments=1)
    await azure.fault(kind="status", match={"path": path, "method": "GET"}, status=500, count=-1)
    snapshot = await cloud.observe(scope(azure, azure.group, azure.account()))
    assert types_seen(snapshot) == seen
    assert [blind.type for blind in snapshot.blind] == [blind_type]
    assert snapshot.blind[0].fault.cls is FaultClass.TRANSIENT
    for id in (azure.group, azure.account(), azure.account().child("deployments", "d0")):
        assert (id in snapshot.live) or snapshot.hidden(id) is not None


async def test_a_passing_fault_is_waited_out(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai", deployments=1)
    for kind in ("status", "cut_before"):
        await azure.fault(kind=kind, match={"path": "(accounts|deployments)$"}, status=503, html=True, count=3)
    snapshot = await cloud.observe(scope(azure, azure.account()))
    assert snapshot.blind == ()
    assert len(snapshot.live) == 3
    assert 1.0 < passed() < 120


async def test_retry_after_of_a_read_is_never_undercut(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai", "other", deployments=1)
    await azure.fault(kind="throttle", match={"path": "/deployments$"}, retry_after=45, count=1)
    snapshot = await cloud.observe(scope(azure, azure.account(), azure.account("other")))
    assert snapshot.blind == ()
    requests = await azure.requests()
    refused = [each for each in requests if each["status"] == 429]
    again = [each for each in requests if number(each["n"]) > number(refused[-1]["n"])]
    assert len(refused) == 2  # both had left before the first answer came
    assert again
    assert all(number(each["at"]) >= number(refused[0]["at"]) + 45 for each in again)


async def test_patience_with_a_read_ends(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    await azure.fault(kind="status", match={"path": "/accounts$"}, status=503, retry_after=100, count=-1)
    snapshot = await cloud.observe(scope(azure, azure.account()))
    assert [blind.type for blind in snapshot.blind] == [ACCOUNTS]
    asked = [each for each in await azure.requests() if str(each["path"]).endswith("/accounts")]
    assert len(asked) == 2
    assert passed() < 200


async def test_an_account_that_vanishes_meanwhile_is_absent_with_all_its_children(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai", deployments=1)
    await azure.fault(kind="status", match={"path": "/deployments$"}, status=404, code="ResourceNotFound")
    await azure.fault(kind="status", match={"path": "/accounts/aoai$"}, status=404, code="ResourceNotFound")
    snapshot = await cloud.observe(scope(azure, azure.account()))
    assert azure.account() not in snapshot.live
    assert snapshot.blind == ()


async def test_children_that_cannot_be_found_below_a_living_account_are_a_blind_spot(
    azure: Azure, cloud: Cloud
) -> None:
    await azure.seed_accounts("aoai", deployments=1)
    await azure.fault(kind="status", match={"path": "/deployments$"}, status=404, code="ResourceNotFound")
    snapshot = await cloud.observe(scope(azure, azure.account()))
    assert azure.account() in snapshot.live
    assert snapshot.hidden(azure.account().child("deployments", "d0")) is not None


async def test_soft_deleted_accounts_are_seen_under_the_id_they_had(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    await azure.sim.control("POST", "/_sim/mutate", {"method": "DELETE", "id": str(azure.account())})
    snapshot = await cloud.observe(scope(azure, azure.account()))
    deleted = snapshot.deleted[azure.account()]
    assert azure.account() not in snapshot.live
    assert deleted.location == "swedencentral"
    assert deleted.owner == "prod"
    assert deleted.deleted_at < deleted.purge_after


async def test_ids_in_another_case_are_the_same_resources(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai", deployments=1)
    shouted = ArmId.parse(str(azure.account()).upper())
    snapshot = await cloud.observe(scope(azure, shouted))
    assert shouted in snapshot.live
    assert shouted.child("DEPLOYMENTS", "D0") in snapshot.live


async def test_who_waits_for_a_read_is_told_once_for_what(azure: Azure, cloud: Cloud) -> None:
    await azure.fault(match={"method": "GET", "path": "/accounts$"}, kind="status", status=503, count=4)
    with capture_logs() as events:
        await cloud.observe(scope(azure))
    told = [event for event in events if event["log_level"] == "warning"]
    assert [(event["event"], event["tried"]) for event in told] == [("read.retried", 2)]


async def test_without_a_token_everything_is_blind_and_azure_is_not_asked(azure: Azure) -> None:
    await azure.seed_accounts("aoai")
    async with azure.open(secret_variable="NO_SUCH_VARIABLE") as cloud:
        snapshot = await cloud.observe(scope(azure, azure.account()))
    assert snapshot.live == {}
    assert {blind.type for blind in snapshot.blind} == {type_.arm_type for type_ in TYPES}
    fault = snapshot.hidden(azure.account())
    assert fault is not None
    assert (fault.cls, fault.code) == (FaultClass.FORBIDDEN, "credential_failed")
    assert "NO_SUCH_VARIABLE" in fault.message
    assert await azure.requests() == []


class TestPages:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(page_size=2)

    async def test_every_page_is_read(self, azure: Azure, cloud: Cloud, sim: Simulator) -> None:
        names = [f"a{number}" for number in range(7)]
        await azure.seed_accounts(*names)
        snapshot = await cloud.observe(scope(azure))
        assert types_seen(snapshot).count(ACCOUNTS) == 7
        pages = [each for each in await azure.requests() if str(each["path"]).endswith("/accounts")]
        assert len(pages) == 4

    async def test_what_came_before_a_broken_page_is_known_and_the_rest_is_not(
        self, azure: Azure, cloud: Cloud
    ) -> None:
        names = [f"a{number}" for number in range(5)]
        await azure.seed_accounts(*names)
        await azure.fault(kind="status", match={"path": "/accounts$"}, status=400, code="Odd", skip=1, count=-1)
        snapshot = await cloud.observe(scope(azure))
        assert azure.account("a0") in snapshot.live
        assert snapshot.hidden(azure.account("a0")) is None
        hidden = snapshot.hidden(azure.account("a4"))
        assert hidden is not None
        assert hidden.code == "Odd"


async def test_a_wanted_subdomain_that_somebody_else_holds_is_seen(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("holder")
    change = {"method": "PATCH", "id": str(azure.account("holder"))}
    await azure.sim.control(
        "POST", "/_sim/mutate", {**change, "body": {"properties": {"customSubDomainName": "taken"}}}
    )
    wanted = {
        azure.account("holder"): ("taken", "OpenAI"),
        azure.account("late"): ("taken", "OpenAI"),
        azure.account("free"): ("free", "OpenAI"),
    }
    snapshot = await cloud.observe(replace(scope(azure, *wanted), subdomains=wanted))
    assert snapshot.taken == {azure.account("late")}
    checks = [each for each in await azure.requests() if each["method"] == "POST"]
    assert len(checks) == 2
    assert [each["mutated"] for each in checks] == [False, False]
