"""Spans and metrics say what happened, for whom and how long it took, and never show a value."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from afas_async import AfasClient, AfasError, BearerToken, F
from afas_async.integrations.opentelemetry import Telemetry
from afas_async.simulator import Fault, Latency, Simulator
from tests.support.canary import TOKEN, leaks

BSN = "123456782"


class Collected:
    """Collects the spans and metrics that OpenTelemetry receives."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._reader = InMemoryMetricReader()
        self._meters = MeterProvider([self._reader])
        self.listener = Telemetry(tracer_provider=self.tracers, meter_provider=self._meters)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def metrics(self) -> dict[str, list[Any]]:
        """Return the points of each metric."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def collected() -> Collected:
    return Collected()


def client(simulator: Simulator, collected: Collected, **options: Any) -> AfasClient:
    return AfasClient(base_url=simulator.base_url, auth=TOKEN, on_event=collected.listener, **options)


async def test_a_span_for_each_operation(collected: Collected) -> None:
    """A read of several pages, with a retry, is one span: with the time that it took, a child of the caller's."""
    async with Simulator(rows=300, token=TOKEN, latency=Latency(base=1)) as simulator:
        simulator.faults.add(Fault(status=503))
        tracer = collected.tracers.get_tracer("the service")
        async with client(simulator, collected) as afas:
            with tracer.start_as_current_span("GET /articles") as caller:
                await afas.rows("Profit_Article", key="ItemCode", take=100).to_list()
    span, parent = collected.spans
    assert (span.name, span.kind, span.status.status_code) == ("rows Profit_Article", SpanKind.CLIENT, StatusCode.UNSET)
    assert parent.name == "GET /articles"
    assert span.parent is not None
    assert span.parent.span_id == caller.get_span_context().span_id
    assert span.attributes is not None
    facts = dict(span.attributes)
    assert facts.pop("server.address") == simulator.base_url.split("/")[2]
    assert len(str(facts.pop("afas.operation.id"))) == 16
    assert facts.pop("afas.trace_id") in {request.trace_id for request in simulator.requests}
    assert int(str(facts.pop("afas.bytes"))) > 10_000
    assert facts.pop("afas.waited") == 0
    assert facts == {
        "afas.connector": "Profit_Article",
        "afas.operation": "rows",
        "afas.attempts": len(simulator.requests),
        "afas.rows": 300,
        "afas.elements": 0,
        "http.response.status_code": 200,
    }
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time > 2e9


async def test_a_span_of_a_failure(collected: Collected) -> None:
    """An operation that fails has the class of its error, and no text."""
    async with Simulator(rows=3, token=TOKEN) as simulator, client(simulator, collected) as afas:
        with pytest.raises(AfasError):
            await afas.page("Profit_Article", where=F.Nope == BSN)
    (span,) = collected.spans
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    assert span.attributes is not None
    assert (span.attributes["error.type"], span.attributes["http.response.status_code"]) == ("BusinessError", 200)
    assert span.events == ()


async def test_metrics(collected: Collected) -> None:
    """Time, waiting, failures, retries, rows and bytes, by connector and error."""
    async with Simulator(rows=3, token=TOKEN, latency=Latency(base=1)) as simulator:
        simulator.faults.add(Fault(status=503))
        async with client(simulator, collected, max_concurrency=1) as afas:
            await afas.page("Profit_Article")
            await afas.insert("KnSubject", {"StId": 1})
    metrics = collected.metrics()
    assert set(metrics) == {
        "afas.operation.duration",
        "afas.request.duration",
        "afas.request.wait",
        "afas.requests.failed",
        "afas.requests.retried",
        "afas.rows",
        "afas.bytes",
    }
    (failed,), (retried,) = metrics["afas.requests.failed"], metrics["afas.requests.retried"]
    assert (failed.value, retried.value, failed.attributes["error.type"]) == (1, 1, "UnavailableError")
    assert sum(point.value for point in metrics["afas.rows"]) == 3
    assert sum(point.count for point in metrics["afas.request.duration"]) == 3
    durations = {point.attributes["afas.operation"]: point.sum for point in metrics["afas.operation.duration"]}
    assert durations["insert"] == pytest.approx(1, abs=0.2)


CALLS: dict[str, Callable[[AfasClient], Awaitable[object]]] = {
    "page": lambda afas: afas.page("Profit_Article", where=F.ItemCode == BSN),
    "rows": lambda afas: afas.rows("Profit_Article", key="ItemCode", where=F.Nope == BSN).to_list(),
    "insert": lambda afas: afas.insert("KnSubject", {"StId": 1, "Ds": BSN, "St": BSN}),
    "delete": lambda afas: afas.delete("KnSubject", key={"SbId": BSN}),
    "file": lambda afas: afas.file(BSN.zfill(32), f"{BSN}.pdf"),
    "report": lambda afas: afas.report(BSN.zfill(32), where=F.BSN == BSN),
    "request": lambda afas: afas.request("GET", "connectors/X", params={"filtervalues": BSN}),
}


async def test_no_value_and_no_credential(collected: Collected) -> None:
    """No span and no metric has the URL that the HTTP library's instrumentation shows, not even after a failure."""

    async def vault() -> BearerToken:
        return BearerToken("CA9AACCE55CA9AACCE55.wrong")

    async with Simulator(rows=3, token=TOKEN) as simulator:
        async with client(simulator, collected) as afas:
            for call in CALLS.values():
                with suppress(AfasError):
                    await call(afas)
            assert sum(BSN in str(request.query) + request.path for request in simulator.requests) >= 5
        listener = collected.listener
        async with AfasClient(base_url=simulator.base_url, auth=vault, on_event=listener) as refused:
            with suppress(AfasError):
                await refused.page("Profit_Article", where=F.ItemCode == BSN)
    assert {span.name.split(" ")[0] for span in collected.spans} == {*CALLS}
    told = [span.to_json() for span in collected.spans] + [repr(collected.metrics())]
    assert not any(BSN in text or leaks(text) for text in told)


def test_without_the_extra() -> None:
    """Without OpenTelemetry one sentence says what to install."""
    code = "import sys; sys.modules['opentelemetry'] = None; import afas_async.integrations.opentelemetry"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: afas_async.integrations.opentelemetry needs OpenTelemetry: run `pip install" in done.stderr
    assert "ModuleNotFoundError" not in done.stderr
