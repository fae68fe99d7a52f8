"""The request log and the counters."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Final

from aiohttp import web

from afas_async.simulator.faults import WRITES, Fault

TOKEN_PARAMETER: Final = "token"  # noqa: S105 (the name of the parameter)
_SECRET_HEADERS: Final = {"authorization", "referer"}  # a browser's referer repeats the parameter


@dataclass(slots=True)
class RequestRecord:
    """One request to the API as your client sent it, without its token.

        assert simulator.requests[0].status == 503

    Attributes:
        method: The HTTP method.
        path: The decoded path.
        query: The query parameters except `token`; the last value of a repeated one.
        headers: The headers except `Authorization` and `Referer`, by the names that your client gave them.
        peer: The address and port of your client.
        started: When the request arrived, in seconds of the event loop's clock.
        status: The HTTP status, or None until there is a response.
        ended: When the response was complete or your client had gone, on the same clock; None until then.
        bytes: The size of the body as sent, in bytes.
        fault: The scripted fault that the request got, or None.
        elements: The number of elements in a write, without those in objects; 0 if the service did not read them.
        trace_id: The `X-Trace-Identifier` of the response, by which your client should know it; empty until then.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    peer: tuple[str, int]
    started: float
    status: int | None = None
    ended: float | None = None
    bytes: int = 0
    fault: Fault | None = None
    elements: int = 0
    trace_id: str = ""


class RequestLog(deque[RequestRecord]):
    """The last 10,000 requests in order of arrival. You can iterate while more arrive."""

    def __init__(self) -> None:
        super().__init__(maxlen=10_000)
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[RequestRecord]:
        with self._lock:
            return iter(list(super().__iter__()))

    def append(self, record: RequestRecord, /) -> None:
        """Log a request."""
        with self._lock:
            super().append(record)


@dataclass(slots=True)
class Counters:
    """Sums over all requests to the API since the start.

    Attributes:
        requests: Requests that arrived.
        writes: Requests with POST, PUT or DELETE.
        answered: Requests with a complete response, including errors.
        in_flight: Requests in flight now.
        peak_in_flight: The most requests in flight at the same time.
        rows: Rows sent.
        bytes: Bytes of bodies sent.
        cancelled: Requests whose client left before the response was complete.
    """

    requests: int = 0
    writes: int = 0
    answered: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0
    rows: int = 0
    bytes: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class Traffic:
    """The request log and the counters."""

    requests: RequestLog = field(default_factory=RequestLog)
    counters: Counters = field(default_factory=Counters)

    def reset(self) -> None:
        """Clear the log and the counters; requests in flight still count as in flight."""
        self.requests.clear()
        in_flight = self.counters.in_flight
        for counter in fields(Counters):
            setattr(self.counters, counter.name, 0)
        self.counters.in_flight = self.counters.peak_in_flight = in_flight

    @contextmanager
    def watch(self, request: web.BaseRequest) -> Generator[RequestRecord, None, None]:
        """Log a request while the block responds to it. A client that leaves is counted, and not an error."""
        record = RequestRecord(
            method=request.method,
            path=request.path,
            query={name: value for name, value in request.query.items() if name.lower() != TOKEN_PARAMETER},
            headers={name: value for name, value in request.headers.items() if name.lower() not in _SECRET_HEADERS},
            peer=_peer(request),
            started=asyncio.get_running_loop().time(),
        )
        self.requests.append(record)
        counters = self.counters
        counters.requests += 1
        counters.writes += request.method in WRITES
        counters.in_flight += 1
        counters.peak_in_flight = max(counters.peak_in_flight, counters.in_flight)
        try:
            yield record
        except (asyncio.CancelledError, ConnectionError) as gone:
            if record.ended is None:
                counters.cancelled += 1
            if isinstance(gone, asyncio.CancelledError):
                raise
        finally:
            if record.ended is None:
                self._end(record)

    def sent(self, record: RequestRecord, *, rows: int, size: int) -> None:
        """Count a part of a body that was sent."""
        record.bytes += size
        self.counters.bytes += size
        self.counters.rows += rows

    def answered(self, record: RequestRecord) -> None:
        """Count a request with a complete response."""
        self.counters.answered += 1
        self._end(record)

    def _end(self, record: RequestRecord) -> None:
        self.counters.in_flight -= 1
        record.ended = asyncio.get_running_loop().time()


def _peer(request: web.BaseRequest) -> tuple[str, int]:
    transport = request.transport
    address = transport.get_extra_info("peername") if transport else None
    return (address[0], address[1]) if address else ("", 0)
