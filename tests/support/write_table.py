"""One write to a scripted server, a fault in its way, and its known outcome."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import pytest

from afas_async import AfasClient, AfasError, ApiError, OutcomeUnknownError, TransportError, WriteResult
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import End, Fault, client, end, framed, head

Verdict = Literal["applied", "lost", "rejected", "unknown", "not_sent"]

RESULT = b'{"results":{"KnSubject":{"SbId":"201"}}}'
KEYS = ({"SbId": "201"},)
BODIES = {
    "POST": b'{"KnSubject":{"Element":{"Fields":{"StId":1,"Ds":"Caf\xc3\xa9 \xe2\x82\xac"}}}}',
    "PUT": b'{"KnSubject":{"Element":{"Fields":{"Ds":"Caf\xc3\xa9 \xe2\x82\xac"},"@SbId":201}}}',
    "DELETE": b"",
}
WRITES: dict[str, Callable[[AfasClient], Awaitable[WriteResult]]] = {
    "POST": lambda afas: afas.insert("KnSubject", {"StId": 1, "Ds": "Café €"}),
    "PUT": lambda afas: afas.update("KnSubject", {"@SbId": 201, "Ds": "Café €"}),
    "DELETE": lambda afas: afas.delete("KnSubject", key={"SbId": 201}),
}
every_method = pytest.mark.parametrize("method", WRITES)


def says(make: bytes | Callable[[bytes], bytes], how: End = "keep") -> Fault:
    """Return the fault that sends what `make` makes of the right body, and then treats the connection as `how` says."""

    async def fault(connection: Connection, _: Received) -> None:
        await connection.send(make if isinstance(make, bytes) else make(RESULT))
        await end(connection, how)

    return fault


def replies(status: int, body: bytes = b"", *headers: str) -> Fault:
    """Return the fault that sends a complete error."""
    return says(framed(body, *headers, status=f"{status} Reason"))


def after(seconds: float, fault: Fault) -> Fault:
    """Return the fault that begins after some time."""

    async def late(connection: Connection, received: Received) -> None:
        await asyncio.sleep(seconds)
        await fault(connection, received)

    return late


def profit(message: str) -> bytes:
    """Return an error body in Profit's shape."""
    return json.dumps({"externalMessage": message, "errorNumber": 30, "profitLogReference": "REF"}).encode()


OK = says(framed)
HTML = b"<html><body><h1>Runtime Error</h1></body></html>"
NO_RESULT = head("Content-Length: 0", status="201 Created")


@dataclass(frozen=True)
class Case:
    """A fault, and the known outcome of a write that meets it each time.

    Args:
        name: For the test's id.
        fault: What the server does.
        verdict: What became of the write.
        requests: How many requests reach the server.
        error: The class of the error, where the verdict does not imply it.
    """

    name: str
    fault: Fault
    verdict: Verdict
    requests: int = 1
    error: type[AfasError] | None = None


def table_of(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Return the mark that runs a test for each case."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


class Desk(RawServer):
    """Takes writes, and returns keys for each.

    Args:
        fault: What happens to a write instead.
        times: How many writes meet the fault; by default all.
    """

    def __init__(self, fault: Fault = OK, *, times: int | None = None, **options: Any) -> None:
        super().__init__(self._reply, **options)
        self.fault = fault
        self._left = float("inf") if times is None else times

    async def _reply(self, connection: Connection, received: Received) -> None:
        self._left -= 1
        await (self.fault if self._left >= 0 else OK)(connection, received)


@dataclass
class Found:
    """What a caller learned of a write, and what the server saw of it."""

    verdict: Verdict
    result: WriteResult | None
    failure: AfasError | None
    requests: list[Received]
    seconds: float

    @property
    def unknown(self) -> OutcomeUnknownError:
        """The error of a write with an unknown outcome."""
        assert isinstance(self.failure, OutcomeUnknownError), repr(self.failure)
        return self.failure

    @property
    def refusal(self) -> ApiError:
        """The error that the service returned."""
        assert isinstance(self.failure, ApiError), repr(self.failure)
        return self.failure


async def write(server: RawServer, method: str = "POST", **options: Any) -> Found:
    """Write once with a new client, and check what holds for every write, however it ends."""
    loop = asyncio.get_running_loop()
    result, failure = None, None
    async with AsyncExitStack() as stack:
        afas = await stack.enter_async_context(client(server, **options))
        started = loop.time()
        try:
            result = await WRITES[method](afas)
        except AfasError as error:
            failure = error
        seconds = loop.time() - started
        await asyncio.sleep(1)  # late requests are seen too
        statistics = afas.statistics()
        assert statistics.in_flight == 0
        assert statistics.requests >= len(server.requests)
        assert statistics.requests == statistics.retries + 1, "an attempt is counted, and each but the first a retry"
    check_requests(server.requests, method)
    found = Found(_verdict(result, failure), result, failure, list(server.requests), seconds)
    if found.verdict == "unknown":
        check_unknown(found.unknown)
    return found


def check_requests(requests: Sequence[Received], method: str) -> None:
    """Assert that each request is the intended write, on a connection of its own."""
    assert [received.connection for received in requests] == sorted({received.connection for received in requests})
    for received in requests:
        assert (received.method, received.body) == (method, BODIES[method])
        assert "connection" not in received.headers
        assert "expect" not in received.headers


def check_unknown(error: OutcomeUnknownError) -> None:
    """Assert that an error has all that a caller needs to look up the write."""
    assert error.connector == "KnSubject"
    assert error.quiet_until - error.sent_at == timedelta(seconds=960)
    assert error.sent_at.utcoffset() == timedelta(0)
    assert error.stage in {"sent", "answered"}
    assert error.reason
    assert error.reason in str(error)
    assert f"{error.quiet_until:%Y-%m-%d %H:%M:%S} UTC" in str(error)
    assert not isinstance(error, (TransportError, ApiError, OSError)), "no handler that repeats may catch it"


def _verdict(result: WriteResult | None, failure: AfasError | None) -> Verdict:
    if result is not None:
        return "lost" if result.result_lost else "applied"
    match failure:
        case OutcomeUnknownError():
            return "unknown"
        case TransportError():
            assert failure.sent == "no", repr(failure)
            return "not_sent"
        case ApiError(status=429 | 503):
            return "not_sent"
        case ApiError():
            return "rejected"
        case _:
            pytest.fail(f"{failure!r} tells nothing about the write")


async def meets(case: Case, method: str = "POST", **options: Any) -> Found:
    """Assert that a write that meets a fault each time ends as the case says."""
    async with Desk(case.fault) as server:
        found = await write(server, method, **options)
        assert server.connections == case.requests
    assert (found.verdict, len(found.requests)) == (case.verdict, case.requests), repr(found.failure or found.result)
    if case.error is not None:
        assert type(found.failure) is case.error, repr(found.failure)
    return found


async def mends(fault: Fault, *, times: int = 1, method: str = "POST", **options: Any) -> Found:
    """Assert that a write is applied by the first request that no longer meets the fault, and by no other."""
    async with Desk(fault, times=times) as server:
        found = await write(server, method, **options)
    assert (found.verdict, len(found.requests)) == ("applied", times + 1), repr(found.failure)
    assert found.result is not None
    assert found.result.keys == KEYS
    return found
