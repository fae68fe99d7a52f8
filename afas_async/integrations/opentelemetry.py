"""Spans and metrics for OpenTelemetry: `pip install "afas-async[opentelemetry]"`.

The usual instrumentation of the HTTP library puts URLs into your spans, and with them the values of your filters. This
module uses the client's events instead. They have no values: no condition, key, record or text of the service.

    >>> from opentelemetry.sdk.trace import TracerProvider
    >>> from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    >>> from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    >>> exporter, provider = InMemorySpanExporter(), TracerProvider()
    >>> provider.add_span_processor(SimpleSpanProcessor(exporter))
    >>> async def main():
    ...     telemetry = Telemetry(tracer_provider=provider)  # Telemetry() takes the global provider
    ...     async with (
    ...         Simulator(rows=500) as sim,
    ...         AfasClient(base_url=sim.base_url, auth=sim.token, on_event=telemetry) as afas,
    ...     ):
    ...         await afas.page("Profit_Article", take=3, where=F.ItemCode > "000010")
    >>> asyncio.run(main())
    >>> [(span.name, span.attributes["afas.rows"]) for span in exporter.get_finished_spans()]
    [('page Profit_Article', 3)]

- **Spans.** You get a span for each operation: a call such as `page`, a stream or a load. It is created when the
  operation ends, with the time at which it began, as a child of the span that is current then.
- **Metrics.** `afas.operation.duration`, `afas.request.duration` and `afas.request.wait` (for a slot) are histograms
  in seconds. `afas.requests.failed`, `afas.requests.retried`, `afas.rows` and `afas.bytes` are counters. Failures
  have the class of the error as `error.type`.
"""

from __future__ import annotations

__docformat__ = "google"

import time
from typing import TypeAlias

from afas_async.http.events import Event
from afas_async.vocabulary.version import __version__

try:
    from opentelemetry import metrics, trace
except ImportError:
    raise ImportError(
        'afas_async.integrations.opentelemetry needs OpenTelemetry: run `pip install "afas-async[opentelemetry]"`'
    ) from None

Attributes: TypeAlias = dict[str, str | int | float]

_NAME = "afas_async"


class Telemetry:
    """Sends spans and metrics of your clients to OpenTelemetry: `AfasClient(..., on_event=Telemetry())`.

    You can share one between any number of clients: the attribute `server.address` is the host of an environment. If
    you have your own function for `on_event`, call the Telemetry object from it. The module's documentation lists the
    metrics, and shows a runnable example.

    Args:
        tracer_provider: The provider for spans; by default the global one.
        meter_provider: The provider for metrics; by default the global one.
    """

    def __init__(
        self,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider)
        meter = metrics.get_meter(_NAME, __version__, meter_provider)
        self._operations = meter.create_histogram("afas.operation.duration", "s", "Duration of an operation")
        self._requests = meter.create_histogram("afas.request.duration", "s", "Duration of a request")
        self._waits = meter.create_histogram("afas.request.wait", "s", "Time a request waited for a slot")
        self._failed = meter.create_counter("afas.requests.failed", "{request}", "Requests that failed")
        self._retried = meter.create_counter("afas.requests.retried", "{request}", "Requests that were retried")
        self._rows = meter.create_counter("afas.rows", "{row}", "Rows returned")
        self._bytes = meter.create_counter("afas.bytes", "By", "Bytes of response bodies")

    def __call__(self, event: Event) -> None:
        """Record an event. The client calls this."""
        common: Attributes = {"server.address": event.environment, "afas.connector": event.connector}
        if event.name:
            common["afas.operation"] = event.name
        if event.error:
            common["error.type"] = event.error
        if event.kind == "ended":
            self._end(event, common)
        elif event.kind == "retrying":
            self._retried.add(1, common)
        elif event.kind != "sent":
            common["http.request.method"] = event.method
            if event.status:
                common["http.response.status_code"] = event.status
            self._requests.record(event.seconds, common)
            self._waits.record(event.waited, common)
            self._bytes.add(event.bytes, common)
            if event.kind == "failed":
                self._failed.add(1, common)

    def _end(self, event: Event, common: Attributes) -> None:
        self._operations.record(event.seconds, common)
        self._rows.add(event.rows, common)
        ended = time.time_ns()
        facts: Attributes = {
            "afas.operation.id": event.operation,
            "afas.attempts": event.attempt,
            "afas.waited": event.waited,
            "afas.bytes": event.bytes,
            "afas.rows": event.rows,
            "afas.elements": event.elements,
        }
        if event.status:
            facts["http.response.status_code"] = event.status
        if event.trace_id:
            facts["afas.trace_id"] = event.trace_id
        span = self._tracer.start_span(
            f"{event.name} {event.connector}".strip(),
            kind=trace.SpanKind.CLIENT,
            attributes=common | facts,
            start_time=ended - int(event.seconds * 1e9),
        )
        if event.error:
            span.set_status(trace.Status(trace.StatusCode.ERROR))
        span.end(ended)
