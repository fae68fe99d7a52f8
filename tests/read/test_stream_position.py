"""One stream has one position, whichever way it is read."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from afas_async import AfasClient, Progress
from afas_async.simulator import Simulator
from tests.read.conftest import SIMULATED
from tests.support.sample_connectors import ARTICLES, EMPTY, KEYLESS, TYPED_ARTICLES, codes, takes

MIDDLE = SIMULATED // 2


async def test_batches(afas: AfasClient, simulator: Simulator) -> None:
    """Batches are non-empty lists that make up all rows in order."""
    batches = [batch async for batch in afas.rows(TYPED_ARTICLES).batches()]
    assert all(type(batch) is list and batch for batch in batches)
    assert [row.code for batch in batches for row in batch] == codes(simulator)


async def test_batches_are_the_readers_own(afas: AfasClient, simulator: Simulator) -> None:
    """You may change a batch without changing later rows."""
    found: list[str] = []
    async for batch in afas.rows(TYPED_ARTICLES, take=100).batches():
        found += [row.code for row in batch]
        batch.clear()
    assert found == codes(simulator)


async def test_to_list(afas: AfasClient, simulator: Simulator) -> None:
    """A list holds all unread rows, and the stream is then at its end."""
    rows = afas.rows(TYPED_ARTICLES)
    head = [(await anext(rows)).code for _ in range(130)]
    assert head + [row.code for row in await rows.to_list()] == codes(simulator)
    assert await anext(rows, None) is None


async def test_to_list_of_nothing(afas: AfasClient) -> None:
    """A table without rows is an empty list."""
    assert await afas.rows(EMPTY).to_list() == []


async def test_first(afas: AfasClient, simulator: Simulator) -> None:
    """The first row costs one request for one row."""
    row = await afas.rows(TYPED_ARTICLES).first()
    assert row is not None
    assert row.code == codes(simulator)[0]
    assert takes(simulator) == [(0, 1)]


async def test_first_of_nothing(afas: AfasClient, simulator: Simulator) -> None:
    """The first row of a table without rows is None."""
    assert await afas.rows(EMPTY).first() is None
    assert len(simulator.requests) == 1


async def test_first_follows_the_order(afas: AfasClient, simulator: Simulator) -> None:
    """The first row is that of the stream's order, and needs no key."""
    row = await afas.rows(KEYLESS, order_by="-ItemCode").first()
    assert row is not None
    assert row["ItemCode"] == codes(simulator)[-1]


async def test_first_does_not_move_the_stream(afas: AfasClient, simulator: Simulator) -> None:
    """You may request the first row at any time, and lose no row by it."""
    rows = afas.rows(TYPED_ARTICLES)
    found = [(await anext(rows)).code for _ in range(150)]
    first = await rows.first()
    assert first is not None
    assert first.code == found[0]
    assert found + [row.code async for row in rows] == codes(simulator)


@pytest.mark.parametrize("stops", [(1, 1, 1), (99, 1, 2), (100, 100, 100), (101, 250, 7), (3, MIDDLE, MIDDLE - 100)])
async def test_all_ways_share_one_position(afas: AfasClient, simulator: Simulator, stops: tuple[int, int, int]) -> None:
    """You can leave a loop in the middle of a batch and continue in any other way: no row is lost or repeated."""
    rows = afas.rows(TYPED_ARTICLES)
    found: list[str] = []
    by_loop, by_anext, by_second_loop = stops
    async for row in rows:
        found.append(row.code)
        if len(found) == by_loop:
            break
    found += [(await anext(rows)).code for _ in range(by_anext)]
    async for batch in rows.batches():
        found += [row.code for row in batch]
        break
    count = len(found)
    async for row in rows:
        found.append(row.code)
        if len(found) == count + by_second_loop:
            break
    found += [row.code for row in await rows.to_list()]
    assert found == codes(simulator)


async def test_a_timeout_in_between_loses_nothing(reader: AfasClient, slow: Simulator) -> None:
    """You may give up a wait for the next row and begin it again: no row is lost or repeated."""
    rows, found, given_up = reader.rows(TYPED_ARTICLES, take=200), list[str](), 0
    while True:
        try:
            async with asyncio.timeout(0.02):
                found.append((await anext(rows)).code)
        except TimeoutError:
            given_up += 1
        except StopAsyncIteration:
            break
    assert found == codes(slow)
    assert given_up > 2


async def test_looking_whether_a_row_is_there(reader: AfasClient) -> None:
    """A reader that never waits finds a row some time after it has arrived."""
    rows, found = reader.rows(TYPED_ARTICLES), list[str]()
    for _ in range(50):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                found.append((await anext(rows)).code)
        await asyncio.sleep(0.01)
    await rows.aclose()
    assert found


async def test_the_end_stays_the_end(afas: AfasClient, simulator: Simulator) -> None:
    """A stream that has ended keeps saying so, without another request."""
    rows = afas.rows(TYPED_ARTICLES)
    assert len([row async for row in rows]) == SIMULATED
    requests = len(simulator.requests)
    assert [row async for row in rows] == []
    assert [batch async for batch in rows.batches()] == []
    assert await anext(rows, None) is None
    assert await rows.to_list() == []
    assert len(simulator.requests) == requests


async def test_progress_counts_rows_handed_out(afas: AfasClient) -> None:
    """Progress counts the rows that the reader has got, not those that wait in a batch."""
    rows = afas.rows(TYPED_ARTICLES)
    assert rows.progress == Progress(0, 0, 0, 0.0)
    assert rows.progress.rows_per_second == 0.0
    for number in range(1, 251):
        await anext(rows)
        assert rows.progress.rows == number
    async for batch in rows.batches():
        assert rows.progress.rows == 250 + len(batch)
        break


async def test_progress_at_the_end(afas: AfasClient, simulator: Simulator) -> None:
    """At the end progress is complete, agrees with the server, and stands still."""
    rows = afas.rows(TYPED_ARTICLES, window=1)
    async for _ in rows:
        pass
    progress = rows.progress
    assert progress.rows == SIMULATED
    assert progress.pages <= len(simulator.requests)
    assert progress.bytes == simulator.counters.bytes
    assert progress.seconds > 0
    assert progress.rows_per_second == progress.rows / progress.seconds
    assert rows.progress == progress


async def test_progress_counts_pages_handed_out(afas: AfasClient) -> None:
    """Progress counts the pages that the reader has got."""
    pages = afas.pages(TYPED_ARTICLES, take=500)
    found = [page async for page in pages]
    assert len(found) == -(-SIMULATED // 500)
    assert pages.progress.pages == len(found)


async def test_progress_of_a_closed_stream(afas: AfasClient) -> None:
    """Closing a stream ends it, so its clock stands still."""
    async with afas.rows(TYPED_ARTICLES) as rows:
        await anext(rows)
    progress = rows.progress
    await asyncio.sleep(0)
    assert rows.progress == progress


@pytest.mark.parametrize("take", [None, 100, 999, 1_000, SIMULATED, 5_000])
async def test_pages(afas: AfasClient, simulator: Simulator, take: int | None) -> None:
    """Pages are whole responses of the server, numbered from 0, with the number of rows before them."""
    pages = afas.pages(TYPED_ARTICLES, take=take)
    found = [page async for page in pages]
    assert [page.number for page in found] == list(range(len(found)))
    before = 0
    for page in found:
        assert page.skip == before
        before += len(page.rows)
    assert [row.code for page in found for row in page.rows] == codes(simulator)
    assert all(len(page.rows) == (take or len(page.rows)) for page in found[:-1])
    assert all(page.rows for page in found)
    assert pages.progress.rows == SIMULATED
    assert await anext(pages, None) is None


@pytest.mark.parametrize(("skip", "take"), [(0, 20), (SIMULATED - 10, 20), (SIMULATED, 20), (0, 5_000)])
async def test_page(afas: AfasClient, simulator: Simulator, skip: int, take: int) -> None:
    """A page costs exactly one request, whether it is full, short or empty."""
    page = await afas.page(TYPED_ARTICLES, skip=skip, take=take)
    assert [row.code for row in page.rows] == codes(simulator)[skip : skip + take]
    assert (page.skip, page.number) == (skip, 0)
    assert takes(simulator) == [(skip, take)]


async def test_page_is_sorted(afas: AfasClient, simulator: Simulator) -> None:
    """A page is sorted by its order and then the key; a connector by name has no order."""
    page = await afas.page(ARTICLES, take=20, order_by="-Price")
    prices = [row["Price"] for row in page.rows]
    assert prices == sorted(prices, reverse=True)
    await afas.page("Profit_Article")
    assert [request.query.get("orderbyfieldids") for request in simulator.requests] == ["-Price,ItemCode", None]
