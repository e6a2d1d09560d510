"""`python -m armsim` as a process, and the unmodified Azure SDK as its client."""

import asyncio
import json
import signal
import ssl
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ClientSecretCredential, ManagedIdentityCredential, WorkloadIdentityCredential
from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient

from armsim.server import Simulator
from tests.armsim.asking import Asker, model

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def running(folder: Path, *words: str) -> AsyncIterator[tuple[dict[str, Any], asyncio.subprocess.Process]]:
    """A simulation of its own, asked to go by its id at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "armsim",
        "--ready-file",
        str(folder / "ready.json"),
        *words,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        line = await process.stdout.readline()
        ready = json.loads(line)
        assert json.loads((folder / "ready.json").read_text()) == ready
        yield ready, process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


def transport(ca_bundle: str) -> AioHttpTransport:
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca_bundle))
    return AioHttpTransport(session=aiohttp.ClientSession(connector=connector), session_owner=True)


async def control(ready: dict[str, Any], method: str, path: str, body: Any = None) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, ready["endpoint"] + path, json=body, ssl=ssl.create_default_context(cafile=ready["ca_bundle"])
        ) as answer,
    ):
        return await answer.json()


async def test_a_world_is_kept_between_runs(tmp_path: Path) -> None:
    words = (
        "--state",
        str(tmp_path / "world.json"),
        "--env-file",
        str(tmp_path / "env"),
        "--ca-dir",
        str(tmp_path / "ca"),
    )
    async with running(tmp_path, *words) as (ready, process):
        account = {
            "id": f"/subscriptions/{ready['subscription_id']}/resourceGroups/g"
            "/providers/Microsoft.CognitiveServices/accounts/a"
        }
        await control(ready, "POST", "/_sim/seed", {"resources": [account]})
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    mode = stat.S_IMODE((tmp_path / "env").stat().st_mode)
    text = (tmp_path / "env").read_text()
    assert (mode, f"ARM_ENDPOINT={ready['endpoint']}" in text) == (0o600, True)
    ca = (tmp_path / "ca" / "ca.pem").read_bytes()
    async with running(tmp_path, *words) as (again, _):
        state = await control(again, "GET", "/_sim/state")
        assert account["id"] in state["byId"]
        assert (tmp_path / "ca" / "ca.pem").read_bytes() == ca


async def test_it_leaves_when_nobody_asks_or_its_parent_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path, "--idle-timeout", "0.2") as (_, process):
        assert await process.wait() == 0
    gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "pass")
    await gone.wait()
    async with running(tmp_path, "--parent-pid", str(gone.pid)) as (_, process):
        assert await process.wait() == 0


async def test_a_fault_can_kill_the_client_before_or_after_its_write(tmp_path: Path) -> None:
    async with running(tmp_path) as (ready, _):
        for when, status in (("before", False), ("after", True)):
            victim = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(60)")
            fault = {"kind": "kill", "pid": victim.pid, "when": when, "match": {"method": "PUT"}}
            await control(ready, "POST", "/_sim/faults", fault)
            url = f"/subscriptions/{ready['subscription_id']}/resourceGroups/{when}"
            with pytest.raises(aiohttp.ClientError):
                await _put_group(ready, url)
            assert await victim.wait() == -signal.SIGKILL
            state = await control(ready, "GET", "/_sim/state")
            assert (url in state["byId"]) is status


async def _put_group(ready: dict[str, Any], path: str) -> None:
    context = ssl.create_default_context(cafile=ready["ca_bundle"])
    connector = aiohttp.TCPConnector(ssl=context, force_close=True)
    form = {
        "grant_type": "client_credentials",
        "client_id": ready["client_id"],
        "client_secret": ready["client_secret"],
        "scope": f"{ready['endpoint']}/.default",
    }
    async with aiohttp.ClientSession(connector=connector) as session:
        session._retry_connection = False
        async with session.post(f"{ready['authority']}/{ready['tenant_id']}/oauth2/v2.0/token", data=form) as answer:
            token = (await answer.json())["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        url = f"{ready['endpoint']}{path}?api-version=2022-09-01"
        async with session.put(url, json={"location": "eastus"}, headers=headers) as answer:
            await answer.read()


# -- the SDK, unmodified


def client(sim: Simulator, credential: Any) -> CognitiveServicesManagementClient:
    return CognitiveServicesManagementClient(
        credential,
        sim.subscription_id,
        base_url=sim.endpoint,
        credential_scopes=[f"{sim.endpoint}/.default"],
        transport=transport(sim.ca_bundle),
        polling_interval=0,
        retry_total=0,
    )


@pytest.mark.parametrize("kind", ["secret", "workload", "managed"])
async def test_azure_identity_signs_in(asker: Asker, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sim = asker.sim
    options = {"authority": sim.authority, "disable_instance_discovery": True, "transport": transport(sim.ca_bundle)}
    credential: Any
    if kind == "secret":
        credential = ClientSecretCredential(sim.tenant_id, sim.client_id, sim.client_secret, **options)
    elif kind == "workload":
        credential = WorkloadIdentityCredential(
            tenant_id=sim.tenant_id, client_id=sim.client_id, token_file_path=sim.federated_token_file, **options
        )
    else:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", sim.imds)
        credential = ManagedIdentityCredential(client_id=sim.client_id)
        await options["transport"].close()
    async with credential, client(sim, credential) as azure:
        assert [each.name async for each in azure.accounts.list()] == []


async def test_the_sdk_lives_through_the_life_of_an_account(asker: Asker) -> None:
    sim = asker.sim
    credential = ClientSecretCredential(
        sim.tenant_id,
        sim.client_id,
        sim.client_secret,
        authority=sim.authority,
        disable_instance_discovery=True,
        transport=transport(sim.ca_bundle),
    )
    async with credential, client(sim, credential) as azure:
        body: Any = {
            "kind": "OpenAI",
            "sku": {"name": "S0"},
            "location": "West Europe",
            "properties": {"customSubDomainName": "dom"},
        }
        account: Any = await (await azure.accounts.begin_create("rg", "a1", body)).result()
        assert account.properties.provisioning_state == "Succeeded"
        acls: Any = {"defaultAction": "Deny", "ipRules": [{"value": "20.1.2.3"}]}
        change: Any = {"properties": {"networkAcls": acls}}
        changed: Any = await (await azure.accounts.begin_update("rg", "a1", change)).result()
        assert [rule.value for rule in changed.properties.network_acls.ip_rules] == ["20.1.2.3"]
        wish: Any = model()
        deployment = await (await azure.deployments.begin_create_or_update("rg", "a1", "d1", wish)).result()
        assert deployment.properties is not None
        assert deployment.properties.rate_limits
        filters: Any = {"properties": {"mode": "Blocking", "basePolicyName": "Microsoft.Default", "contentFilters": []}}
        await azure.rai_policies.create_or_update("rg", "a1", "p1", filters)
        await (await azure.rai_policies.begin_delete("rg", "a1", "p1")).result()
        assert [each.name async for each in azure.deployments.list("rg", "a1")] == ["d1"]
        await (await azure.deployments.begin_delete("rg", "a1", "d1")).result()
        await (await azure.accounts.begin_delete("rg", "a1")).result()
        assert [each.name async for each in azure.deleted_accounts.list()] == ["a1"]
        with pytest.raises(HttpResponseError, match="FlagMustBeSetForRestore"):
            await azure.accounts.begin_create("rg", "a1", body)
        await (await azure.deleted_accounts.begin_purge("westeurope", "rg", "a1")).result()
        assert [each.name async for each in azure.deleted_accounts.list()] == []
        assert [each.limit async for each in azure.usages.list("westeurope")]
        assert [each.kind async for each in azure.models.list("westeurope")]
