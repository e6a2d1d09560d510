"""Opens a cloud: credential, TLS, connections, request budget, and closes them again.

Promises one connection pool and one TLS context per cloud, for tokens as for requests. Loads the Azure packages late.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.cloud.budget import Budgets
from reconciler.model.ports import Chance, Clock, Cloud
from reconciler.model.resource import CloudTarget


class ReadOnlyViolation(Exception):  # noqa: N818 — the house calls it so
    """A write was about to leave a session that only looks: a broken promise of ours, never an answer of Azure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSettings:
    """What a cloud takes from its surroundings. `ca_bundle`, a file or a directory, goes before the environment's.
    `model_age` is for how many seconds a region's model list is believed. `barred` says why no write may be sent at
    this moment, "" where it may."""

    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    ca_bundle: str = ""
    budgets: Budgets = field(default_factory=Budgets)
    model_age: float = 600.0
    barred: Callable[[], str] = str


@asynccontextmanager
async def open_cloud(
    target: CloudTarget, clock: Clock, chance: Chance, *, read_only: bool, settings: CloudSettings
) -> AsyncIterator[Cloud]:
    """A `Cloud` for `target`. With `read_only` every request that could change something raises ReadOnlyViolation.

    Raises ValueError for a CA bundle that cannot be read. Everything else that is wrong, a credential included, comes
    back as a `Fault` of the first request.
    """
    from reconciler.cloud.arm import ArmCloud  # noqa: PLC0415 — the Azure packages take half a second to load
    from reconciler.cloud.connection import Connection  # noqa: PLC0415
    from reconciler.cloud.gateway import Gateway  # noqa: PLC0415

    async with (
        Connection.open(target, clock, chance, trust(settings), settings) as connection,
        Gateway(connection, read_only=read_only) as gateway,
    ):
        yield ArmCloud(gateway, clock, chance, settings.model_age)


def trust(settings: CloudSettings) -> ssl.SSLContext:
    """Whom to believe: the CA bundle that was named, else that of the environment, else the system's."""
    environment = settings.environment
    bundle = settings.ca_bundle or environment.get("REQUESTS_CA_BUNDLE", "") or environment.get("SSL_CERT_FILE", "")
    if not bundle:
        return ssl.create_default_context()
    place = Path(bundle)
    try:
        if place.is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"the CA bundle {bundle} cannot be read: {error}") from error


def trace_requests() -> None:
    """Have the Azure packages tell OpenTelemetry of every request, for as long as the process lives."""
    from azure.core.settings import settings  # noqa: PLC0415 - only where somebody wants it

    settings.tracing_enabled = True
