"""Writes, and following what they begin."""

from __future__ import annotations

import pytest

from reconciler.model.finding import Fault, FaultClass
from reconciler.model.plan import Verb
from reconciler.model.ports import Answer, Cloud, Poll, Progress, Write
from reconciler.model.resource import Live, LiveState, Scope
from reconciler.model.wire import JsonObject, read_path
from tests.cloud.conftest import Azure
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time

ACCOUNT: JsonObject = {
    "location": "swedencentral",
    "kind": "OpenAI",
    "sku": {"name": "S0"},
    "properties": {"publicNetworkAccess": "Disabled"},
}


async def follow(cloud: Cloud, azure: Azure, answer: Answer, pause: float = 5.0) -> Poll:
    """Poll to the end, as the executor does."""
    assert answer.operation is not None
    poll = await cloud.poll(answer.operation)
    while poll.progress is Progress.RUNNING:
        await azure.clock.sleep(poll.pause or pause)
        poll = await cloud.poll(answer.operation)
    return poll


async def test_an_account_is_created_followed_and_read_back(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    id = azure.account()
    answer = await cloud.write(Write(verb=Verb.PUT, id=id, body=ACCOUNT))
    assert answer.fault is None
    assert answer.live is not None
    assert answer.live.state is LiveState.IN_PROGRESS
    poll = await follow(cloud, azure, answer)
    assert poll == Poll(progress=Progress.SUCCEEDED)
    live = await cloud.read(id)
    assert isinstance(live, Live)
    assert live.state is LiveState.SETTLED
    assert live.modified_by == azure.sim.client_id
    assert passed() >= 1.0


async def test_what_does_not_exist_reads_as_absent(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    fault = await cloud.read(azure.account("nobody"))
    assert isinstance(fault, Fault)
    assert fault.cls is FaultClass.ABSENT


async def test_a_patch_is_followed_by_its_status_url_not_by_its_location(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    body: JsonObject = {"properties": {"customSubDomainName": "aoai-sub"}}
    answer = await cloud.write(Write(verb=Verb.PATCH, id=azure.account(), body=body))
    assert answer.operation is not None
    assert "operationResultResponseType" not in answer.operation.url
    assert (await follow(cloud, azure, answer)).progress is Progress.SUCCEEDED
    live = await cloud.read(azure.account())
    assert isinstance(live, Live)
    assert read_path(live.wire, ("properties", "customSubDomainName")) == "aoai-sub"


async def test_a_location_with_spaces_is_followed_to_the_end(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    answer = await cloud.write(Write(verb=Verb.PUT, id=azure.account(), body={**ACCOUNT, "location": "Sweden Central"}))
    assert answer.operation is not None
    assert "Sweden Central" in answer.operation.url
    assert (await follow(cloud, azure, answer)).progress is Progress.SUCCEEDED


async def test_a_deployment_is_there_when_its_put_returns(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    id = azure.account().child("deployments", "gpt-4o")
    body: JsonObject = {
        "sku": {"name": "GlobalStandard", "capacity": 2},
        "properties": {"model": {"format": "OpenAI", "name": "gpt-4o", "version": "2024-11-20"}},
    }
    answer = await cloud.write(Write(verb=Verb.PUT, id=id, body=body))
    assert answer.fault is None
    assert answer.operation is None
    assert answer.live is not None
    assert answer.live.state is LiveState.SETTLED
    assert passed() >= 1.0


async def test_a_content_filter_is_made_and_deleted(azure: Azure, cloud: Cloud) -> None:
    """The SDK raises when this delete is answered with 200."""
    await azure.seed_accounts("aoai")
    id = azure.account().child("raiPolicies", "strict")
    body: JsonObject = {"properties": {"basePolicyName": "Microsoft.Default", "mode": "Default", "contentFilters": []}}
    made = await cloud.write(Write(verb=Verb.PUT, id=id, body=body))
    assert made.fault is None
    assert made.live is not None
    deleted = await cloud.write(Write(verb=Verb.DELETE, id=id))
    if deleted.operation is not None:
        assert (await follow(cloud, azure, deleted)).progress is Progress.SUCCEEDED
    assert deleted.fault is None
    assert isinstance(await cloud.read(id), Fault)


async def test_deleting_purging_and_finding_nothing_left(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    id = azure.account()
    deleted = await cloud.write(Write(verb=Verb.DELETE, id=id))
    assert (deleted.fault, deleted.operation) == (None, None)
    purged = await cloud.write(Write(verb=Verb.PURGE, id=id, location="swedencentral"))
    assert purged.fault is None
    assert (await follow(cloud, azure, purged)).progress is Progress.SUCCEEDED
    for verb in (Verb.DELETE, Verb.PURGE):
        again = await cloud.write(Write(verb=verb, id=id, location="swedencentral"))
        assert (again.fault, again.operation) == (None, None)
    snapshot = await cloud.observe(Scope(subscription=azure.sim.subscription_id, fleet="prod", ids=(id,)))
    assert (dict(snapshot.deleted), id in snapshot.live) == ({}, False)


async def test_a_soft_deleted_account_is_restored(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    id = azure.account()
    await cloud.write(Write(verb=Verb.DELETE, id=id))
    refused = await cloud.write(Write(verb=Verb.PUT, id=id, body=ACCOUNT))
    assert refused.fault is not None
    assert refused.fault.cls is FaultClass.SOFT_DELETED
    body: JsonObject = {"location": "swedencentral", "properties": {"restore": True}}
    restored = await cloud.write(Write(verb=Verb.RESTORE, id=id, body=body, location="swedencentral"))
    assert restored.fault is None
    assert isinstance(await cloud.read(id), Live)


async def test_an_operation_that_fails_says_why(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    await azure.fault(kind="lro_fail", match={"method": "PUT"}, code="CustomDomainInUse", message="taken meanwhile")
    answer = await cloud.write(Write(verb=Verb.PUT, id=azure.account(), body=ACCOUNT))
    poll = await follow(cloud, azure, answer)
    assert poll.progress is Progress.FAILED
    assert poll.fault is not None
    assert (poll.fault.code, poll.fault.message) == ("CustomDomainInUse", "taken meanwhile")


@pytest.mark.parametrize("kind", ["applied_504", "cut_after", "cut_before"])
async def test_a_write_whose_answer_is_lost_may_have_worked_and_is_not_sent_again(
    azure: Azure, cloud: Cloud, kind: str
) -> None:
    await azure.seed_accounts()
    await azure.fault(kind=kind, match={"method": "PUT"})
    answer = await cloud.write(Write(verb=Verb.PUT, id=azure.account(), body=ACCOUNT))
    assert answer.fault is not None
    assert (answer.fault.cls, answer.fault.applied) == (FaultClass.TRANSIENT, True)
    assert [each["method"] for each in await azure.requests()] == ["PUT"]


async def test_a_write_that_hangs_is_given_up_after_five_minutes(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    await azure.fault(kind="hang", match={"method": "PATCH"}, seconds=4000)
    answer = await cloud.write(Write(verb=Verb.PATCH, id=azure.account(), body={"tags": {"a": "b"}}))
    assert answer.fault is not None
    assert (answer.fault.code, answer.fault.applied) == ("connection_timeout", True)
    assert passed() == pytest.approx(300, abs=5)


@pytest.mark.parametrize("status", [409, 429, 500, 503])
async def test_a_refused_write_is_never_repeated_here_not_even_when_azure_invites_to(
    azure: Azure, cloud: Cloud, status: int
) -> None:
    await azure.seed_accounts()
    await azure.fault(kind="status", match={"method": "PUT"}, status=status, code="Busy", retry_after=3, count=-1)
    answer = await cloud.write(Write(verb=Verb.PUT, id=azure.account(), body=ACCOUNT))
    assert answer.fault is not None
    assert (answer.fault.status, answer.fault.retry_after) == (status, 3.0)
    assert len(await azure.requests()) == 1


async def test_a_read_goes_through_a_cut_connection_but_leaves_answers_to_who_asked(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("aoai")
    await azure.fault(kind="cut_before", match={"method": "GET"}, count=2)
    assert isinstance(await cloud.read(azure.account()), Live)
    await azure.fault(kind="status", match={"method": "GET"}, status=503)
    fault = await cloud.read(azure.account())
    assert isinstance(fault, Fault)
    assert fault.status == 503


async def test_a_failed_look_is_not_a_failed_operation(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts()
    answer = await cloud.write(Write(verb=Verb.PUT, id=azure.account(), body=ACCOUNT))
    await azure.fault(kind="status", match={"path": "operationResults"}, status=503, retry_after=9, html=True)
    assert answer.operation is not None
    poll = await cloud.poll(answer.operation)
    assert (poll.progress, poll.pause) == (Progress.RUNNING, 9.0)
    assert poll.fault is not None
    assert (await follow(cloud, azure, answer)).progress is Progress.SUCCEEDED


@pytest.mark.parametrize(("status", "code"), [(404, "NotFound"), (403, "AuthorizationFailed")])
async def test_an_operation_that_cannot_be_seen_is_judged_by_its_resource(
    azure: Azure, cloud: Cloud, status: int, code: str
) -> None:
    await azure.seed_accounts()
    answer = await cloud.write(Write(verb=Verb.PUT, id=azure.account(), body=ACCOUNT))
    await azure.fault(kind="status", match={"path": "operationResults"}, status=status, code=code, count=-1)
    assert answer.operation is not None
    assert (await cloud.poll(answer.operation)).progress is Progress.RUNNING
    assert (await follow(cloud, azure, answer)).progress is Progress.SUCCEEDED


async def test_locks_policies_and_unregistered_providers_are_states_with_a_sentence(azure: Azure, cloud: Cloud) -> None:
    await azure.seed_accounts("locked", "free")
    await azure.seed(locks=[{"scope": str(azure.account("locked")), "level": "CanNotDelete"}])
    locked = await cloud.write(Write(verb=Verb.DELETE, id=azure.account("locked")))
    await azure.seed(
        unregisteredProviders=[
            {"subscriptionId": azure.sim.subscription_id, "namespace": "Microsoft.CognitiveServices"}
        ]
    )
    unregistered = await cloud.write(Write(verb=Verb.PUT, id=azure.account("new"), body=ACCOUNT))
    for answer, code in ((locked, "ScopeLocked"), (unregistered, "MissingSubscriptionRegistration")):
        assert answer.fault is not None
        assert (answer.fault.code, answer.fault.cls.blocking) == (code, True)
        assert answer.fault.advice
        assert answer.fault.request_id


async def test_a_name_that_azure_would_not_take_is_refused_without_asking(azure: Azure, cloud: Cloud) -> None:
    answer = await cloud.write(Write(verb=Verb.PUT, id=azure.account("-odd-"), body=ACCOUNT))
    if answer.fault is not None and answer.fault.code == "refused_by_client":
        assert await azure.requests() == []
        assert answer.fault.cls is FaultClass.INVALID


async def test_a_type_that_no_kind_knows_is_a_mistake_of_ours(azure: Azure, cloud: Cloud) -> None:
    with pytest.raises(LookupError, match="routeTables"):
        await cloud.read(azure.group.resource("Microsoft.Network/routeTables", "r"))
