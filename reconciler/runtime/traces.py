"""Traces: what takes how long, told to OpenTelemetry. An extra, loaded only where it is wanted.

Where to and how often is told by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_SECONDS = 5  # that what has not been sent has at the end


class Traces:
    """Keeps the `Tracer` port."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def span(self, name: str, facts: Mapping[str, str | int]) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(name, attributes=dict(facts))


def check_traces() -> None:
    """ValueError says what to install where it is missing."""
    for package in ("opentelemetry", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        try:
            found = find_spec(package) is not None
        except ModuleNotFoundError:
            found = False
        if not found:
            raise ValueError(f"tracing needs {package}, which `pip install 'reconciler[otel]'` brings")


@asynccontextmanager
async def open_traces(version: str) -> AsyncIterator[Traces]:
    """Spans that are sent over OTLP while the block runs, and what is left of them at its end."""
    from opentelemetry import trace  # noqa: PLC0415 - an extra
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": "reconciler", "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=_SECONDS)))
    # The Azure packages only know the one that is set for the process.
    trace.set_tracer_provider(provider)
    try:
        yield Traces(trace.get_tracer("reconciler", version))
    finally:
        await asyncio.to_thread(provider.shutdown)
