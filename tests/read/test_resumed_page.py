"""A page that breaks after you got some of its rows."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import pytest

from afas_async import AfasClient, AnswerLostError, GetConnector, KeyOrderError, RowError
from afas_async.simulator import Change, Fault
from tests.read.conftest import Serve
from tests.support.numbered_rows import first_row
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import (
    CONNECTOR,
    LONG,
    client,
    framed,
    head,
    mends,
    page_of,
    read_until_error,
    says,
)
from tests.support.thoroughness import by_default


class Breaking(RawServer):
    """Breaks off each response after a share of its body, until a page has been requested often enough."""

    def __init__(self, shares: list[float]) -> None:
        super().__init__(self._break)
        self._shares = iter(shares)

    async def _break(self, connection: Connection, received: Received) -> None:
        body = page_of(received, LONG)
        whole, share = framed(body), next(self._shares, None)
        if share is None:
            await connection.send(whole)
            return
        await connection.send(whole[: len(whole) - len(body) + int(len(body) * share)])
        await asyncio.sleep(0.01)
        connection.fin()

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Return the number of the first row, and how many rows, for each request."""
        return [(first_row(received.query), int(received.query["take"])) for received in self.requests]


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9, 0.999, 0.99999])
async def test_only_the_rest_is_asked_for(share: float) -> None:
    """After a break in the middle of a page, its rest is requested, from the last row you got on."""
    async with Breaking([share]) as server, client(server) as afas:
        stream = afas.rows(CONNECTOR, take=500, window=1)
        assert [await anext(stream) for _ in range(500)] == LONG
        assert server.spans[0] == (0, 500)
        last, take = server.spans[1]
        assert last + take == 500
        assert share * 500 - 130 <= last < share * 500  # at most two slices of 65 rows had not been yielded
        assert (server.requests[1].query["skip"], server.requests[1].query["filtervalues"]) == ("0", str(last))


async def test_breaks_in_a_row() -> None:
    """Each break in a row moves the start on; the retries of one page are bounded."""
    async with Breaking([0.5, 0.5, 0.5]) as server, client(server) as afas:
        assert await afas.rows(CONNECTOR, take=500, window=1).to_list() == LONG
        firsts = [first for first, _ in server.spans[:4]]
        assert firsts == sorted(set(firsts))
        assert all(first + take == 500 for first, take in server.spans[:4])
    async with Breaking([0.5] * 9) as server, client(server) as afas:
        stream = afas.rows(CONNECTOR, take=500, window=1)
        with pytest.raises(AnswerLostError):
            await stream.to_list()
        assert len(server.requests) == 4
        assert afas.statistics().rows < 500


async def test_pages_are_replayed() -> None:
    """A read of whole pages requests a broken page anew, and returns nothing of it before it is whole."""
    async with Breaking([0.5]) as server, client(server) as afas:
        async for page in afas.pages(CONNECTOR, take=500, window=1):
            assert page.rows == LONG
        assert server.spans[:2] == [(0, 500), (0, 500)]


async def test_everything_in_one_answer() -> None:
    """A broken response of everything is resumed by key where it broke, and no row is lost or repeated."""
    async with Breaking([0.5, 0.5]) as server, client(server) as afas:
        with pytest.warns(UserWarning, match="take=-1"):
            stream = afas.rows(CONNECTOR, take=-1)
        assert await stream.to_list() == LONG
        firsts = [first for first, _ in server.spans]
        assert firsts == sorted(set(firsts))
        assert [take for _, take in server.spans] == [-1] * 3
    async with Breaking([0.0]) as server, client(server) as afas:
        with pytest.warns(UserWarning, match="take=-1"):
            stream = afas.rows(CONNECTOR, take=-1)
        assert await stream.to_list() == LONG
        assert len(server.requests) == 2


async def test_everything_in_one_answer_without_a_key() -> None:
    """Without a key a response of everything is not resumed: an error is raised, and no row is repeated."""
    async with Breaking([0.5]) as server, client(server) as afas:
        with pytest.warns(UserWarning, match="take=-1"):
            stream = afas.rows(GetConnector("X"), take=-1)
        with pytest.raises(AnswerLostError):
            await stream.to_list()
        assert len(server.requests) == 1


@pytest.fixture
async def slow() -> AsyncIterator[AfasClient]:
    """A client of a server that sends a page's rows a hundred at a time, a second apart."""

    async def script(connection: Connection, received: Received) -> None:
        body = page_of(received, LONG)
        whole = framed(body)
        for start in range(0, len(whole), 102_400):
            await connection.send(whole[start : start + 102_400])
            await asyncio.sleep(1)

    async with RawServer(script) as server, client(server) as afas:
        yield afas


async def test_a_break_while_the_place_of_a_page_is_looked_for(serve: Serve) -> None:
    """Rows wait until a lookup finds whether the row before them was deleted.

    They come once, even if their page breaks.
    """
    simulator, afas = await serve(connectors={"X": LONG})
    simulator.changes.add(Change(connector="X", after=1, delete=[LONG[199]]))
    simulator.faults.add(Fault(after=1, cut="reset", at=150_000), Fault(after=1, delay=20))
    assert await afas.rows(CONNECTOR, take=200, window=1).to_list() == LONG


async def test_a_compressed_answer_without_its_end() -> None:
    """The missing end may hold no row, but the response was cut: it is requested again."""
    await mends(says(lambda body: framed(gzip.compress(body)[:-4], "Content-Encoding: gzip")), page=1)


async def test_rows_arrive_before_their_page(slow: AfasClient) -> None:
    """Rows come as their bytes arrive, not when their page is complete."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    stream = slow.rows(CONNECTOR, take=500, window=1)
    assert await anext(stream) == LONG[0]
    assert loop.time() - started < 0.5
    assert [row async for row in stream] == LONG[1:]


async def test_wrong_rows_are_not_stitched() -> None:
    """A response that first says it is for another `skip` yields no row: rows would be repeated."""

    async def stubborn(connection: Connection, _: Received) -> None:
        whole = framed(json.dumps({"skip": 0, "take": 500, "rows": LONG}).encode())
        await connection.send(whole if len(server.requests) > 1 else whole[: len(whole) // 2])
        connection.fin()

    async with RawServer(stubborn) as server:
        rows, error = await read_until_error(server, take=500)
        assert isinstance(error, KeyOrderError)
        assert rows == LONG[: len(rows)]


async def test_faults_behind_the_head() -> None:
    """Faults on prefetched pages lose no row either."""

    async def second_chance(connection: Connection, received: Received) -> None:
        first = sum(other.target == received.target for other in server.requests) == 1
        if first and int(received.query["take"]) == 20:
            await connection.send(framed(page_of(received, LONG))[:3_000])
            connection.fin()
        else:
            await connection.answer(page_of(received, LONG))

    async with RawServer(second_chance) as server, client(server) as afas:
        assert await afas.rows(CONNECTOR, take=20, window=5).to_list() == LONG


async def test_wrong_row_of_a_resumed_page() -> None:
    """A row is numbered within its own response, even if other responses brought rows of its page before."""
    shares = iter([0.5])

    async def breaking(connection: Connection, received: Received) -> None:
        body = page_of(received, LONG).replace(b'"Id":480', b'"Id":4e')
        await connection.send(head(f"Content-Length: {len(body)}") + body[: int(len(body) * next(shares, 1))])
        await asyncio.sleep(0.01)
        connection.fin()

    async with RawServer(breaking) as server:
        _, error = await read_until_error(server, take=500)
    assert isinstance(error, RowError)
    assert len(server.requests) == 2
    assert (error.page, first_row(server.requests[1].query) + error.index) == (0, 480)
    assert 0 < error.index < 480
    assert error.path.startswith(f"$.rows[{error.index}]")


async def test_columns_of_a_page_whose_end_was_lost() -> None:
    """The column count of a page holds for the next ones, even if the end of its envelope was lost."""
    # The text in the rows lets the parser find the last of them before the end of the list is certain.
    wide = [
        {"Id": number, "Text": "},{", **{f"C{field}": 0 for field in range(400)}}
        for number in range(by_default(500, 1_000))
    ]

    async def cut(connection: Connection, received: Received) -> None:
        body = page_of(received, wide)
        first = first_row(received.query) == 0
        await connection.send(head(f"Content-Length: {len(body)}") + body[: len(body) - first])
        await asyncio.sleep(0.1)
        connection.fin()

    async with RawServer(cut) as server, client(server) as afas:
        assert await afas.rows(CONNECTOR).to_list() == wide
        assert [first_row(received.query) for received in server.requests].count(0) == 1
        assert max(int(received.query["take"]) for received in server.requests) * 402 < 150_000
