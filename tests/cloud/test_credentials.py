"""Signing in: each kind of credential, tokens that run out, and what it is called when it does not work."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cloud import CloudSettings, ReadOnlyViolation, open_cloud
from reconciler.cloud.credential import read_principal
from reconciler.model.finding import Fault, FaultClass
from reconciler.model.plan import Verb
from reconciler.model.ports import Write
from reconciler.model.resource import Live, Scope
from tests.cloud.canned import canned
from tests.cloud.conftest import Azure
from tests.cloud.test_transport import ACCOUNT, open_at
from tests.support.virtual_time import passed

pytestmark = pytest.mark.virtual_time


def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.x"


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (jwt(idtyp="user", upn="alice@example.com", appid="cli"), "alice@example.com"),
        (jwt(unique_name="bob@example.com", appid="cli", oid="o"), "bob@example.com"),
        (jwt(idtyp="app", appid="client", oid="object", upn="odd@example.com"), "client"),
        (jwt(azp="client", oid="object"), "client"),
        (jwt(oid="object"), "object"),
        (jwt(), None),
        ("opaque", None),
        ("a.%%%.c", None),
        (f"e30.{base64.urlsafe_b64encode(b'[]').decode()}.x", None),
    ],
)
def test_our_name_is_read_as_azure_writes_it(token: str, expected: str | None) -> None:
    assert read_principal(token) == expected


async def reads(azure: Azure, **target: str) -> Live | Fault:
    await azure.seed_accounts("aoai")
    async with azure.open(False, **target) as cloud:
        return await cloud.read(azure.account())


async def test_a_client_secret_signs_in(azure: Azure) -> None:
    assert isinstance(await reads(azure), Live)


async def test_workload_identity_signs_in(azure: Azure) -> None:
    found = await reads(azure, credential="workloadIdentity", token_file=azure.sim.federated_token_file)
    assert isinstance(found, Live)


async def test_managed_identity_signs_in(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", azure.sim.imds)
    assert isinstance(await reads(azure, credential="managedIdentity"), Live)


async def test_the_usual_chain_finds_the_secret_of_the_environment(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", azure.sim.tenant_id)
    monkeypatch.setenv("AZURE_CLIENT_ID", azure.sim.client_id)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", azure.sim.client_secret)
    assert isinstance(await reads(azure, credential="default"), Live)


async def test_the_usual_chain_takes_workload_identity_to_the_fleet_s_own_authority(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AZURE_CLIENT_SECRET", "AZURE_AUTHORITY_HOST"):
        monkeypatch.delenv(name, raising=False)
    found = await reads(azure, credential="default", token_file=azure.sim.federated_token_file)
    assert isinstance(found, Live)


async def test_the_usual_chain_says_of_each_credential_why_it_failed(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", azure.sim.tenant_id)
    monkeypatch.setenv("AZURE_CLIENT_ID", azure.sim.client_id)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "hunter2")
    fault = await reads(azure, credential="default", token_file="/nowhere/token")
    assert isinstance(fault, Fault)
    assert fault.code == "credential_failed"
    assert "EnvironmentCredential: " in fault.message
    assert "AADSTS7000215" in fault.message
    assert "hunter2" not in fault.message


async def test_an_entra_id_that_cannot_be_reached_is_no_fault_of_the_credential(
    azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The usual chain hides why each of its credentials failed in one text."""
    for name, value in (("TENANT_ID", "t"), ("CLIENT_ID", "c"), ("CLIENT_SECRET", "hunter2")):
        monkeypatch.setenv(f"AZURE_{name}", value)
    fault = await reads(azure, credential="default", authority="https://127.0.0.1:1")
    assert isinstance(fault, Fault)
    assert (fault.cls, fault.code, fault.applied) == (FaultClass.TRANSIENT, "sign_in_unavailable", False)
    assert "Cannot connect to host 127.0.0.1:1" in fault.message
    assert "network" in fault.advice


@pytest.mark.parametrize(
    ("target", "word"),
    [
        ({"secret_variable": "NOT_SET"}, "NOT_SET"),
        ({"client_id": "44444444-4444-4444-4444-444444444444"}, "AADSTS700016"),
        ({"tenant": "not a tenant"}, "tenant"),
        ({"credential": "workloadIdentity", "token_file": "/nowhere/token"}, "nowhere"),
        ({"credential": "telepathy"}, "telepathy"),
    ],
)
async def test_a_credential_that_fails_is_a_fault_with_advice(azure: Azure, target: dict[str, str], word: str) -> None:
    fault = await reads(azure, **target)
    assert isinstance(fault, Fault)
    assert (fault.cls, fault.code, fault.applied) == (FaultClass.FORBIDDEN, "credential_failed", False)
    assert word in fault.message
    assert fault.advice
    assert await azure.requests() == []


@pytest.mark.parametrize("html", [True, False])
async def test_no_answer_of_entra_is_waited_for_whatever_it_looks_like(azure: Azure, html: bool) -> None:
    """What stands before it answers in words of its own, or in none."""
    await azure.fault(kind="status", status=503, html=html, count=-1, match={"path": "oauth2/v2.0/token"})
    fault = await reads(azure)
    assert isinstance(fault, Fault)
    assert (fault.cls, fault.code, fault.applied) == (FaultClass.TRANSIENT, "sign_in_unavailable", False)
    assert await azure.requests() == []


async def test_a_wrong_secret_is_never_repeated_in_the_fault(azure: Azure) -> None:
    azure.settings = CloudSettings(environment={"AZURE_CLIENT_SECRET": "hunter2"}, ca_bundle=azure.sim.ca_bundle)
    fault = await reads(azure)
    assert isinstance(fault, Fault)
    assert fault.code == "credential_failed"
    assert "hunter2" not in repr(fault)


async def test_a_token_that_has_run_out_is_renewed_once_and_the_request_goes_through(azure: Azure) -> None:
    await azure.seed_accounts("aoai")
    async with azure.open() as cloud:
        assert isinstance(await cloud.read(azure.account()), Live)
        await azure.clock.sleep(2 * 3600)
        assert isinstance(await cloud.read(azure.account()), Live)
    assert [each["status"] for each in await azure.requests()] == [200, 401, 200]


async def test_a_token_that_is_never_taken_is_a_fault_after_two_tries(tmp_path: Path) -> None:
    async with canned(tmp_path) as server, open_at(server) as cloud:
        challenge = {"www-authenticate": 'Bearer error="invalid_token"'}
        body = {"error": {"code": "InvalidAuthenticationToken", "message": "no"}}
        server.answer = lambda _: (401, challenge, body)
        fault = await cloud.read(ACCOUNT)
    assert isinstance(fault, Fault)
    assert (fault.cls, fault.code) == (FaultClass.FORBIDDEN, "InvalidAuthenticationToken")
    assert len(server.lines) == 2
    assert len({each["authorization"] for each in server.headers}) == 2


async def test_the_principal_of_a_snapshot_is_the_one_azure_writes_down(azure: Azure) -> None:
    async with azure.open() as cloud:
        body = Write(verb=Verb.PUT, id=azure.group, body={"location": "swedencentral"})
        assert (await cloud.write(body)).fault is None
        await azure.seed_accounts("aoai")
        await cloud.write(Write(verb=Verb.PATCH, id=azure.account(), body={"tags": {"reconciler-fleet": "prod"}}))
        snapshot = await cloud.observe(Scope(subscription=azure.sim.subscription_id, fleet="prod", ids=()))
    assert snapshot.principal == snapshot.live[azure.account()].modified_by


# -- read-only sessions


@pytest.mark.parametrize("verb", list(Verb))
async def test_a_read_only_session_lets_no_write_out(azure: Azure, verb: Verb) -> None:
    await azure.seed_accounts("aoai")
    write = Write(verb=verb, id=azure.account(), body={}, location="swedencentral")
    async with azure.open(read_only=True) as cloud:
        with pytest.raises(ReadOnlyViolation, match="only reads"):
            await cloud.write(write)
    assert await azure.requests() == []


async def test_a_read_only_session_still_sees_everything(azure: Azure) -> None:
    await azure.seed_accounts("aoai", deployments=1)
    wanted = {azure.account("new"): ("name", "OpenAI")}
    scope = Scope(
        subscription=azure.sim.subscription_id, fleet="prod", ids=(azure.account(), *wanted), subdomains=wanted
    )
    async with azure.open(read_only=True) as cloud:
        snapshot = await cloud.observe(scope)
        assert isinstance(await cloud.read(azure.account()), Live)
    assert len(snapshot.live) == 3
    assert snapshot.blind == ()
    assert (await azure.summary())["mutated"] == 0


async def test_a_cloud_can_be_opened_and_closed_without_asking_anything(azure: Azure) -> None:
    target = replace(azure.target, credential="azureCli")
    async with open_cloud(target, azure.clock, random.Random(1), read_only=True, settings=azure.settings):
        pass
    assert passed() < 1
