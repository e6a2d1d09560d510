"""Traces as a collector gets them, from the daemon as a process: the extra is really there, and a collector that is
dead or hangs holds nothing up."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.cli.fleets import account, write_fleet
from tests.cli.test_run import daemon, deployed
from tests.support.simulated import azure

pytestmark = pytest.mark.e2e


class Collector(ThreadingHTTPServer):
    """Takes what OTLP over HTTP brings; with `hangs` it never answers."""

    daemon_threads = True

    def __init__(self, *, hangs: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Taker)
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        self.asked = threading.Event()
        self.over = threading.Event()
        self.hangs = hangs

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in self.bodies]

    @property
    def spans(self) -> dict[bytes, Span]:
        return {
            span.span_id: span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


class _Taker(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.add(self.path)
        self.server.bodies.append(gzip.decompress(body) if self.headers["Content-Encoding"] == "gzip" else body)
        self.server.asked.set()
        if self.server.hangs:
            self.server.over.wait()
            return
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting(*, hangs: bool = False) -> Iterator[Collector]:
    collector = Collector(hangs=hangs)
    thread = threading.Thread(target=collector.serve_forever)
    thread.start()
    try:
        yield collector
    finally:
        collector.over.set()
        collector.shutdown()
        thread.join()
        collector.server_close()


def ancestry(span: Span, spans: dict[bytes, Span]) -> list[str]:
    """The names of a span and of all that it is in, the outermost first."""
    above = spans.get(span.parent_span_id)
    return [*(ancestry(above, spans) if above is not None else []), span.name]


def traced(monkeypatch: pytest.MonkeyPatch, folder: Path, endpoint: str) -> tuple[str, str]:
    """The words that make a daemon tell the collector at `endpoint`."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    config = folder / "traced.yaml"
    config.write_text("tracing: true\n")
    return "--config", str(config)


def test_a_collector_gets_passes_fleets_steps_and_requests_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = write_fleet(tmp_path, "traced", account("aoai-traced"))
    with azure(tmp_path) as sim, collecting() as collector:
        with daemon(sim, tmp_path, *traced(monkeypatch, tmp_path, collector.url), home) as running:
            running.until(lambda: deployed(sim, "aoai-traced"))
            running.passes(1)
            assert running.stop() == 0
        secret = sim.environment["AZURE_CLIENT_SECRET"]
        ids = {each["trace_id"] for each in running.events("step.finished")}
    assert collector.paths == {"/v1/traces"}
    spans = collector.spans
    paths = [ancestry(span, spans) for span in spans.values()]
    assert ["pass", "fleet", "step"] in paths
    assert any(path[:3] == ["pass", "fleet", "step"] and path[-1] == "PUT" for path in paths)
    (names,) = {
        attribute.value.string_value
        for request in collector.requests
        for resource in request.resource_spans
        for attribute in resource.resource.attributes
        if attribute.key == "service.name"
    }
    assert names == "reconciler"
    assert ids <= {span.trace_id.hex() for span in spans.values()}
    assert secret.encode() not in b"".join(collector.bodies)


@pytest.mark.parametrize("hangs", [False, True])
def test_a_collector_that_is_dead_or_hangs_holds_up_neither_work_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    home = write_fleet(tmp_path, "untold", account("aoai-untold"))
    with azure(tmp_path) as sim, collecting(hangs=True) as collector:
        words = traced(monkeypatch, tmp_path, collector.url if hangs else "http://127.0.0.1:9")
        with daemon(sim, tmp_path, *words, home) as running:
            running.until(lambda: deployed(sim, "aoai-untold"))
            assert collector.asked.is_set() is hangs
            began = time.monotonic()
            assert running.stop() == 0
            assert time.monotonic() - began < 15
        assert all(line.startswith("{") for line in running.log.splitlines()), running.log
