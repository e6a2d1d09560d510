"""Traces: a pass holds its fleets, a fleet its steps and requests; a log line names its trace; no secret is told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from io import StringIO

import pytest
import structlog
from azure.core.settings import settings as azure_settings
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reconciler.cloud.session import trace_requests
from reconciler.model.outcome import Pass
from reconciler.runtime.logs import configure_logs
from reconciler.runtime.traces import Traces, check_traces
from tests.daemon.running import running
from tests.laws.stage import Stage, account_document, deployment, fleet_document, group_document

pytestmark = pytest.mark.virtual_time

DOCUMENTS = [fleet_document(), group_document(), account_document("aoai-a", deployments=[deployment("chat")])]


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    """There is one provider in a process, so it stays when the tests are over; nothing uses it any more then."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    return kept


@pytest.fixture
def traces(exporter: InMemorySpanExporter) -> Iterator[Traces]:
    exporter.clear()
    before = azure_settings.tracing_enabled()
    trace_requests()
    yield Traces(trace.get_tracer("test"))
    azure_settings.tracing_enabled = before


def quiet(done: Pass) -> bool:
    return bool(done.reports) and all(report.plan.converged for report in done.reports.values())


def path_of(span: ReadableSpan, spans: dict[int, ReadableSpan]) -> list[str]:
    """The names of a span and of all that it is in, the outermost first."""
    names = [span.name]
    while span.parent is not None and span.parent.span_id in spans:
        span = spans[span.parent.span_id]
        names.append(span.name)
    return names[::-1]


async def test_a_pass_holds_its_fleets_and_a_fleet_its_steps_and_requests(
    azure: Stage, traces: Traces, exporter: InMemorySpanExporter
) -> None:
    async with running(azure, DOCUMENTS, tracer=traces) as daemon:
        await daemon.until(quiet)
    spans = {each.context.span_id: each for each in exporter.get_finished_spans() if each.context}
    paths = [path_of(span, spans) for span in spans.values()]
    assert ["pass", "fleet", "step"] in paths
    requests = [path for path in paths if path[-1] in ("GET", "PUT", "PATCH")]
    assert requests
    assert all(path[:2] == ["pass", "fleet"] for path in requests)
    assert any(path[2] == "step" and path[-1] == "PUT" for path in requests)
    step = next(span for span in spans.values() if span.name == "step")
    assert step.attributes is not None
    assert str(step.attributes["reconciler.id"]).startswith("/subscriptions/")
    assert azure.secret not in str([span.to_json() for span in spans.values()])


async def test_without_a_tracer_nothing_is_told(azure: Stage, exporter: InMemorySpanExporter) -> None:
    exporter.clear()
    async with running(azure, DOCUMENTS) as daemon:
        await daemon.until(quiet)
    assert exporter.get_finished_spans() == ()


async def test_a_log_line_names_the_trace_that_it_is_part_of(traces: Traces) -> None:
    before, stream = structlog.get_config(), StringIO()
    configure_logs("json", "info", stream)
    try:
        structlog.get_logger().info("outside")
        with traces.span("pass", {}):
            structlog.get_logger().info("inside")
            await asyncio.sleep(0)
    finally:
        structlog.configure(**before)
    outside, inside = stream.getvalue().splitlines()
    assert "trace_id" not in outside
    assert '"trace_id": "' in inside
    assert '"span_id": "' in inside


def test_what_is_missing_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    check_traces()
    monkeypatch.setattr("reconciler.runtime.traces.find_spec", lambda _: None)
    with pytest.raises(ValueError, match="tracing needs opentelemetry, which `pip install 'reconciler") as told:
        check_traces()
    assert str(told.value).endswith("[otel]'` brings")
