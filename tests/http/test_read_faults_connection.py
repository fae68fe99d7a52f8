"""Connections that break, and responses that are not HTTP: rows 6 and 12 to 26 and 40 of the fault matrix."""

from __future__ import annotations

import asyncio

import pytest

from afas_async import AnswerError, AnswerLostError, RequestTimeoutError
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import (
    CONNECTOR,
    ROWS,
    Case,
    End,
    Table,
    client,
    end,
    fails,
    framed,
    head,
    mends,
    page_of,
    read,
    says,
    table_of,
)
from tests.support.thoroughness import by_default


def _without_end(body: bytes) -> bytes:
    return framed(body)[: -len(body)]


LOST = [
    Case("fin after the request", says(b"", "fin"), AnswerLostError, 4),
    Case("rst after the request", says(b"", "rst"), AnswerLostError, 4),
    Case("100 continue, then fin", says(b"HTTP/1.1 100 Continue\r\n\r\n", "fin"), AnswerLostError, 4),
    Case("100 continue, then rst", says(b"HTTP/1.1 100 Continue\r\n\r\n", "rst"), AnswerLostError, 4),
    Case("part of the status line", says(b"HTTP/1.1 20", "fin"), AnswerLostError, 4),
    Case("status line only", says(b"HTTP/1.1 200 OK\r\n", "fin"), AnswerLostError, 4),
    Case("half the headers, then fin", says(head()[:-12], "fin"), AnswerLostError, 4),
    Case("half the headers, then rst", says(head()[:-12], "rst"), AnswerLostError, 4),
    Case("headers only, then fin", says(_without_end, "fin"), AnswerLostError, 4),
    Case("headers only, then rst", says(_without_end, "rst"), AnswerLostError, 4),
]

NO_HTTP = [
    Case("garbage", says(b"\x00\x01garbage that is no HTTP\r\n\r\n", "fin"), AnswerError, 3),
    Case("another protocol", says(b"SSH-2.0-OpenSSH_9.6\r\n", "fin"), AnswerError, 3),
    Case("header of 100 kB", says(lambda body: framed(body, f"X-Long: {'x' * 100_000}")), AnswerError, 3),
    Case("129 headers", says(lambda body: framed(body, *(f"X-{n}: 1" for n in range(129)))), AnswerError, 3),
    Case(
        "length and chunks",
        says(lambda body: framed(body, "Transfer-Encoding: chunked"), "fin"),
        AnswerError,
        3,
    ),
    Case("two lengths", says(lambda body: framed(body, f"Content-Length: {len(body) - 1}"), "fin"), AnswerError, 3),
    Case("negative length", says(head("Content-Length: -5"), "fin"), AnswerError, 3),
]


@pytest.mark.sampled(4)
@table_of(LOST + NO_HTTP)
@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("page", [0, 1])
async def test_mended(case: Case, page: int, window: int) -> None:
    """A connection that breaks once, fresh or reused, costs one more request and no row."""
    await mends(case.fault, page=page, window=window)


@pytest.mark.sampled(2)
@table_of(LOST + NO_HTTP)
@pytest.mark.parametrize("page", [0, 1])
async def test_permanent(case: Case, page: int) -> None:
    """A fault that stays is its own error after a bounded number of requests."""
    await fails(case.fault, case.error, requests=case.requests, page=page)


@pytest.mark.parametrize("page", [0, 1])
async def test_which_connection(page: int) -> None:
    """The tables above meet the fault on a fresh connection at the first page, and on a reused one at the second."""
    async with Table(says(b"", "fin"), page=page, times=1) as server:
        assert await read(server) == ROWS
        assert [received.connection for received in server.requests[:3]] == [[1, 2, 2], [1, 1, 2]][page]


@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_accept_then_close(how: str) -> None:
    """A connection that is closed as soon as it is accepted costs another attempt, and no request arrives on it."""

    async def close_first(connection: Connection) -> None:
        if connection.number == 1:
            connection.fin() if how == "fin" else connection.rst()

    async with Table(on_connect=close_first) as server:
        assert await read(server) == ROWS
        assert server.requests[0].connection == 2
        assert server.asked[0] == 1


async def test_idle_close() -> None:
    """A pooled connection that the server closes between two requests is replaced without a failed attempt."""

    async def last_on_this_connection(connection: Connection, received: Received) -> None:
        await connection.answer(page_of(received))
        connection.fin()

    async with Table(last_on_this_connection) as server, client(server) as afas:
        for _ in range(3):
            assert (await afas.page(CONNECTOR, take=3)).rows == ROWS[:3]
            await asyncio.sleep(1)
        assert afas.statistics().retries == 0
        assert [received.connection for received in server.requests] == [1, 2, 3]


@pytest.mark.parametrize("size", [12_000, 60_000])
async def test_long_headers(size: int) -> None:
    """A header of up to 64 kB is read, because Profit's old error header can be that long."""
    async with Table(says(lambda body: framed(body, f"X-Profit-Error: {'x' * size}")), times=1) as server:
        assert await read(server) == ROWS
        assert server.asked[0] == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", head("Content-Length: 900"), head("Content-Length: 9")])
async def test_silence(sent: bytes) -> None:
    """A server that goes silent is abandoned at the deadline, not before it, and not asked again."""
    started = asyncio.get_running_loop().time()
    error = await fails(says(sent, "hold"), RequestTimeoutError, requests=1, timeout=300)
    assert 300 <= asyncio.get_running_loop().time() - started < 302
    assert isinstance(error, TimeoutError)
    assert error.seconds == 300
    assert error.sent == "maybe"


async def test_late_answer() -> None:
    """A response that arrives after the deadline is not taken for that of the next request."""

    async def late(connection: Connection, received: Received) -> None:
        await asyncio.sleep(11)
        await connection.answer(page_of(received))

    async with Table(late, page=1, times=1) as server, client(server, timeout=10) as afas:
        with pytest.raises(RequestTimeoutError):
            await afas.page(CONNECTOR, skip=10, take=10)
        await asyncio.sleep(2)
        assert (await afas.page(CONNECTOR, skip=0, take=10)).rows == ROWS[:10]


async def test_informational_flood() -> None:
    """A thousand interim responses cost one request and a bounded time, and the final response counts."""
    flood = b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000
    async with Table(says(lambda body: flood + framed(body)), times=1) as server:
        assert await read(server) == ROWS
        assert server.asked[0] == 1
    await fails(says(flood, "hold"), RequestTimeoutError, requests=1)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("framing", ["length", "none"])
async def test_cut_at_every_byte(how: End, framing: str) -> None:
    """Wherever a response is cut, the page arrives after one more request, or was complete already."""
    rows = ROWS[:3]
    body = b'{"skip":0,"take":3,"rows":[{"Id":0,"Name":"Row 0"},{"Id":1,"Name":"Row 1"},{"Id":2,"Name":"Row 2"}]}'
    whole = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: %d\r\n" % len(body) if framing == "length" else b"") + b"\r\n"
    whole += body
    cut = 0

    async def cut_once(connection: Connection, received: Received) -> None:
        if len(server.requests) % 2:
            await connection.send(whole[:cut])
            await end(connection, how)
        else:
            await connection.answer(page_of(received))

    async with RawServer(cut_once) as server, client(server) as afas:
        edges = {len(whole) - len(body), len(whole) - 1}
        for cut in sorted({*range(0, len(whole), by_default(6, 1)), *edges}):
            server.requests.clear()
            stream = afas.rows(CONNECTOR, take=3, window=1)
            assert [await anext(stream) for _ in rows] == rows, cut
            assert len(server.requests) == 2, cut
