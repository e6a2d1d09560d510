"""The same fleet by a script over the Azure SDK, as one writes it: a GET for each resource, the SDK's own pollers.

    python -m bench.plain_sdk FLEET.json         what differs; exit code 2 where something does
    python -m bench.plain_sdk --apply FLEET.json  create what is missing

Sixteen GETs at a time; accounts side by side, deployments one after the other within an account. It compares a handful
of fields, adopts whatever it finds, verifies nothing and has no other safety: the least that could be measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline.transport._aiohttp import AioHttpTransport  # the public name is not typed
from azure.identity.aio import ClientSecretCredential
from azure.mgmt.cognitiveservices.aio import CognitiveServicesManagementClient
from azure.mgmt.resource.resources.aio import ResourceManagementClient

T = TypeVar("T")

AT_ONCE = 16
POLLING = 30.0  # the SDK's default


class PacedTransport(AioHttpTransport):
    """The SDK's transport, its waits as much shorter as the simulation's clock is faster."""

    def __init__(self, session: aiohttp.ClientSession, pace: float) -> None:
        super().__init__(session=session, session_owner=False)
        self._pace = pace

    async def sleep(self, duration: float) -> None:
        await asyncio.sleep(duration / self._pace)  # noqa: TID251 — no clock here, it is a script


class Script:
    def __init__(self, accounts: Any, groups: Any, fleet: dict[str, Any]) -> None:
        self._accounts = accounts
        self._groups = groups
        self._fleet = fleet
        self._reading = asyncio.Semaphore(AT_ONCE)

    async def plan(self) -> list[str]:
        """The names of what is missing or differs."""
        found: list[str] = []
        async with asyncio.TaskGroup() as tasks:
            for name, location in self._fleet["groups"]:
                tasks.create_task(self._check_group(name, location, found))
            for account in self._fleet["accounts"]:
                tasks.create_task(self._check_account(account, found))
        return found

    async def _check_group(self, name: str, location: str, found: list[str]) -> None:
        live = await self._get(lambda: self._groups.resource_groups.get(name))
        if live is None or live.location != location:
            found.append(name)

    async def _check_account(self, account: dict[str, Any], found: list[str]) -> None:
        group, name = account["group"], account["name"]
        live = await self._get(lambda: self._accounts.accounts.get(group, name))
        if live is None:
            # What would be in it is not there either and need not be asked for.
            found.extend([name, *(f"{name}/{member['name']}" for member in account["deployments"])])
            return
        if _account_differs(live, account, self._fleet["firewall"]):
            found.append(name)
        async with asyncio.TaskGroup() as tasks:
            for member in account["deployments"]:
                tasks.create_task(self._check_deployment(group, name, member, found))

    async def _check_deployment(self, group: str, account: str, member: dict[str, Any], found: list[str]) -> None:
        live = await self._get(lambda: self._accounts.deployments.get(group, account, member["name"]))
        if live is None or _deployment_differs(live, member):
            found.append(f"{account}/{member['name']}")

    async def _get(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        async with self._reading:
            try:
                return await ask()
            except ResourceNotFoundError:
                return None

    async def apply(self) -> None:
        """Create all of it."""
        async with asyncio.TaskGroup() as tasks:
            for name, location in self._fleet["groups"]:
                tasks.create_task(self._groups.resource_groups.create_or_update(name, {"location": location}))
        async with asyncio.TaskGroup() as tasks:
            for account in self._fleet["accounts"]:
                tasks.create_task(self._create(account))

    async def _create(self, account: dict[str, Any]) -> None:
        group, name = account["group"], account["name"]
        body = {
            "kind": "OpenAI",
            "location": account["location"],
            "sku": {"name": "S0"},
            "properties": {
                "customSubDomainName": name,
                "disableLocalAuth": True,
                "publicNetworkAccess": "Enabled",
                "networkAcls": {
                    "defaultAction": "Deny",
                    "ipRules": [{"value": each} for each in self._fleet["firewall"]],
                },
            },
        }
        poller = await self._accounts.accounts.begin_create(group, name, body)
        await poller.result()
        for member in account["deployments"]:
            model = {"format": "OpenAI", "name": member["model"], "version": member["version"]}
            wanted = {
                "sku": {"name": "GlobalStandard", "capacity": member["capacity"]},
                "properties": {"model": model},
            }
            poller = await self._accounts.deployments.begin_create_or_update(group, name, member["name"], wanted)
            await poller.result()


def _account_differs(live: Any, account: dict[str, Any], firewall: list[str]) -> bool:
    rules = live.properties.network_acls
    return bool(
        live.location != account["location"]
        or live.properties.custom_sub_domain_name != account["name"]
        or not live.properties.disable_local_auth
        or live.properties.public_network_access != "Enabled"
        or rules is None
        or rules.default_action != "Deny"
        or [rule.value for rule in rules.ip_rules or ()] != firewall
    )


def _deployment_differs(live: Any, member: dict[str, Any]) -> bool:
    model = live.properties.model
    return bool(
        (model.name, model.version) != (member["model"], member["version"])
        or (live.sku.name, live.sku.capacity) != ("GlobalStandard", member["capacity"])
    )


async def _run(fleet: dict[str, Any], *, apply: bool) -> int:
    endpoint, pace = os.environ["RECONCILER_ENDPOINT"], float(os.environ["RECONCILER_CLOCK_RATE"])
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False))
        transport = PacedTransport(session, pace)
        credential = await stack.enter_async_context(
            ClientSecretCredential(
                os.environ["AZURE_TENANT_ID"],
                os.environ["AZURE_CLIENT_ID"],
                os.environ["AZURE_CLIENT_SECRET"],
                authority=os.environ["RECONCILER_AUTHORITY"],
            )
        )
        settings: dict[str, Any] = {
            "base_url": endpoint,
            "credential_scopes": [f"{endpoint}/.default"],
            "transport": transport,
            "polling_interval": POLLING,
        }
        subscription = os.environ["AZURE_SUBSCRIPTION_ID"]
        accounts: Any = CognitiveServicesManagementClient(credential, subscription, **settings)
        groups: Any = ResourceManagementClient(credential, subscription, **settings)
        await stack.enter_async_context(accounts)
        await stack.enter_async_context(groups)
        script = Script(accounts, groups, fleet)
        if apply:
            await script.apply()
            return 0
        return 2 if await script.plan() else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.plain_sdk", description="The fleet by a plain script over the SDK.")
    parser.add_argument("fleet", type=Path)
    parser.add_argument("--apply", action="store_true")
    options = parser.parse_args()
    fleet = json.loads(options.fleet.read_text(encoding="utf-8"))
    return asyncio.run(_run(fleet, apply=options.apply))


if __name__ == "__main__":
    sys.exit(main())
