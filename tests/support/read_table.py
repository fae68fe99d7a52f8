"""A connector of 25 rows on a scripted server, and a fault in the way of one of its pages."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from _pytest.mark import ParameterSet

from afas_async import AfasClient, AfasError, GetConnector
from tests.support.canary import TOKEN
from tests.support.numbered_rows import first_row, rows_asked
from tests.support.raw_server import Connection, RawServer, Received

TAKE = 10
ROWS: list[dict[str, Any]] = [{"Id": number, "Name": f"Row {number}"} for number in range(25)]
# Some slices long, so that rows are returned while the rest of their page is on its way.
LONG = [{"Id": number, "Name": "x" * 1_000} for number in range(500)]
CONNECTOR = GetConnector("X", key="Id")

# Plain HTTP needs no context; making the default one, with all the world's authorities, takes longer than most tests.
_UNUSED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

Fault = Callable[[Connection, Received], Awaitable[None]]
End = Literal["fin", "rst", "keep", "hold"]


def page_of(received: Received, rows: Sequence[dict[str, Any]] = ROWS) -> bytes:
    """Return the right body for a request."""
    asked = rows_asked(received.query, len(rows))
    skip, take = int(received.query["skip"]), int(received.query["take"])
    page = rows[asked.start : asked.stop]
    return json.dumps({"skip": skip, "take": take, "rows": page}, separators=(",", ":")).encode()


def page_number(received: Received) -> int:
    """Return which page a request asks for; each but the first begins with the last row of the page before."""
    return (first_row(received.query) + 1) // TAKE


def head(*lines: str, status: str = "200 OK") -> bytes:
    """Return the head of a response, without any framing of its own."""
    return "\r\n".join([f"HTTP/1.1 {status}", "Content-Type: application/json", *lines, "", ""]).encode("latin-1")


def framed(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """Return a complete response with a Content-Length."""
    return head(f"Content-Length: {len(body)}", *lines, status=status) + body


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunked(*pieces: bytes, lines: Sequence[str] = ()) -> bytes:
    """Return a complete chunked response."""
    return head("Transfer-Encoding: chunked", *lines) + b"".join(map(chunk, pieces)) + b"0\r\n\r\n"


async def end(connection: Connection, how: End) -> None:
    """Do with a connection what a server may do after it has sent something."""
    if how == "fin":
        connection.fin()
    elif how == "rst":
        await asyncio.sleep(0.001)  # so that the reset does not overtake the sent bytes
        connection.rst()
    elif how == "hold":
        await asyncio.Event().wait()


def says(make: Callable[[bytes], bytes] | bytes, how: End = "keep") -> Fault:
    """Return the fault that sends what `make` makes of the right body, and then treats the connection as `how` says."""

    async def fault(connection: Connection, received: Received) -> None:
        await connection.send(make if isinstance(make, bytes) else make(page_of(received)))
        await end(connection, how)

    return fault


def replies(status: int, body: bytes = b"", *headers: str) -> Fault:
    """Return the fault that sends a complete error."""
    return says(framed(body, *headers, status=f"{status} Reason"))


@dataclass(frozen=True)
class Case:
    """A fault, and what it means if it never goes away.

    Args:
        name: For the test's id.
        fault: What the server does.
        error: The error, if the fault stays.
        requests: How many requests reach the server then, on the page with the fault.
        hangs: A reason not to run it, because it would never end.
    """

    name: str
    fault: Fault
    error: type[AfasError]
    requests: int
    hangs: str = ""

    def param(self) -> ParameterSet:
        """Return the case as one of a table."""
        marks = [pytest.mark.xfail(run=False, reason=self.hangs)] if self.hangs else []
        return pytest.param(self, marks=marks, id=self.name)


def table_of(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Return the mark that runs a test for each case."""
    return pytest.mark.parametrize("case", [case.param() for case in cases])


class Table(RawServer):
    """Serves the rows.

    Args:
        fault: What happens to requests of one page in place of a response.
        page: The number of that page.
        times: How many of its requests meet the fault; by default all.
    """

    def __init__(
        self,
        fault: Fault | None = None,
        *,
        page: int = 0,
        times: int | None = None,
        rows: Sequence[dict[str, Any]] = ROWS,
        **options: Any,
    ) -> None:
        super().__init__(self._reply, **options)
        self._fault = fault
        self._page = page
        self._rows = rows
        self._left = float("inf") if times is None else times

    @property
    def asked(self) -> Counter[int]:
        """How many requests reached each page."""
        return Counter(map(page_number, self.requests))

    async def _reply(self, connection: Connection, received: Received) -> None:
        if self._fault is not None and page_number(received) == self._page and self._left > 0:
            self._left -= 1
            await self._fault(connection, received)
        else:
            await connection.answer(page_of(received, self._rows))


def client(server: RawServer, **options: Any) -> AfasClient:
    """Return a client of a server that is not open yet."""
    return AfasClient(**{"base_url": server.base_url, "auth": TOKEN, "ssl_context": _UNUSED, **options})


async def read(server: RawServer, *, take: int = TAKE, window: int = 1, **options: Any) -> list[dict[str, Any]]:
    """Return all rows that a new client reads from a server."""
    async with client(server, **options) as afas:
        return await afas.rows(CONNECTOR, take=take, window=window).to_list()


async def read_until_error(
    server: RawServer, *, take: int = TAKE, window: int = 1, connector: GetConnector[Any] = CONNECTOR, **options: Any
) -> tuple[list[Any], AfasError]:
    """Return the rows that a new client yields before the read fails, and the failure."""
    rows: list[Any] = []
    async with client(server, **options) as afas:
        try:
            async for batch in afas.rows(connector, take=take, window=window).batches():
                rows += batch
        except AfasError as error:
            return rows, error
    pytest.fail(f"the read ended as if it were complete, with {len(rows)} rows")


async def mends(fault: Fault, *, page: int, window: int = 1, requests: int = 2, **options: Any) -> None:
    """Assert that a read delivers every row once, in order, although a page's first requests meet a fault."""
    async with Table(fault, page=page, times=requests - 1) as server:
        assert await read(server, window=window, **options) == ROWS
        assert server.asked[page] == requests
        assert all(count == 1 for number, count in server.asked.items() if number not in {page, 2})


async def fails(
    fault: Fault, error: type[AfasError], *, requests: int | range, page: int = 0, **options: Any
) -> AfasError:
    """Assert that a fault that stays is that error, after that many requests, and no row was made up before it."""
    async with Table(fault, page=page) as server:
        rows, failure = await read_until_error(server, **options)
        assert type(failure) is error, repr(failure)
        assert rows == ROWS[: len(rows)]
        assert len(rows) >= page * TAKE
        count = server.asked[page]
        assert count in (requests if isinstance(requests, range) else {requests})
    return failure
