"""One way to one cloud: connection pool, TLS context, credential and request budget, shared by all its clients."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import aiohttp

from reconciler.cloud.credential import TokenTransport, make_credential, read_principal
from reconciler.cloud.policies import BudgetPolicy
from reconciler.cloud.session import CloudSettings
from reconciler.cloud.transport import CoveredConnector, ExactTransport, Proxies, send_once
from reconciler.model.ports import Chance, Clock
from reconciler.model.resource import CloudTarget

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncSupportsTokenInfo


class Connection:
    """What `open` has opened. `scope` is what tokens are asked for."""

    def __init__(
        self, target: CloudTarget, transport: ExactTransport, credential: AsyncSupportsTokenInfo, budget: BudgetPolicy
    ) -> None:
        self.endpoint = target.endpoint.rstrip("/")
        self.scope = (target.audience or target.endpoint).rstrip("/") + "/.default"
        self.transport = transport
        self.credential = credential
        self.budget = budget

    @classmethod
    @asynccontextmanager
    async def open(
        cls, target: CloudTarget, clock: Clock, chance: Chance, trust: ssl.SSLContext, settings: CloudSettings
    ) -> AsyncIterator[Connection]:
        async with AsyncExitStack() as stack:
            session = aiohttp.ClientSession(
                # The budget bounds how many requests are under way; a second bound here would only hide a wait in it.
                connector=CoveredConnector(settings.barred, ssl=trust, limit=0, limit_per_host=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # azure-core does it
                middlewares=(send_once,),
            )
            await stack.enter_async_context(session)
            proxies = Proxies(settings.environment)
            transport = ExactTransport(session, clock, proxies)
            tokens = TokenTransport(session, clock, proxies)
            credential = make_credential(target, settings.environment, tokens)
            stack.push_async_callback(credential.close)
            budget = BudgetPolicy(target.endpoint.rstrip("/").lower(), settings.budgets, clock, chance)
            yield cls(target, transport, credential, budget)

    async def principal(self) -> str | None:
        """Our own name in systemData; raises AzureError when no token is to be had."""
        token = await self.credential.get_token_info(self.scope)
        return read_principal(token.token)
