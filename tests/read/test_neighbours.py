"""Streams that meet: other readers, other tasks, the garbage collector, and the end of the client."""

# ruff: noqa: PT012 - what raises is the whole loop

from __future__ import annotations

import asyncio
import gc
from typing import Any

import anyio
import pytest

from afas_async import AfasClient, ClientClosedError, GetConnector, UsageError
from afas_async.simulator import Simulator
from tests.read.conftest import SLOW
from tests.support import canary
from tests.support.census import assert_idle, census, quiet, steps, tasks, until
from tests.support.paged_server import PagedServer, paged
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.sample_connectors import ARTICLES, TYPED_ARTICLES, codes
from tests.support.thoroughness import by_default

# More than the client keeps of a response while its reader pauses.
LONG = [b'{"Id":%d,"Text":"%s"}' % (number, b"x" * 10_000) for number in range(by_default(2_700, 4_000))]
MANY = by_default(20_000, 60_000)


async def test_a_stream_that_is_never_read(reader: AfasClient, slow: Simulator) -> None:
    """A stream that was never read costs nothing, and its collection warns of nothing."""
    async with census(reader, slow):
        reader.rows(TYPED_ARTICLES)
        reader.pages(TYPED_ARTICLES)
        aiter(reader.rows(TYPED_ARTICLES))
        reader.rows(TYPED_ARTICLES).batches()
    assert not slow.requests


@pytest.mark.parametrize("form", ["anext", "loop", "batches", "pages"])
async def test_a_half_read_stream_is_collected(reader: AfasClient, slow: Simulator, form: str) -> None:
    """A stream in a reference cycle stops its requests when the cycle is collected."""

    async def read_some() -> None:
        rows: Any = reader.rows(TYPED_ARTICLES, take=100)
        pages: Any = reader.pages(TYPED_ARTICLES, take=100)
        stream = {"anext": rows, "loop": aiter(rows), "batches": rows.batches(), "pages": pages}[form]
        for _ in range(3):
            await anext(stream)
        cycle: list[Any] = [stream]
        cycle.append(cycle)

    async with census(reader, slow, usable=TYPED_ARTICLES):
        gc.disable()
        try:
            await read_some()
        finally:
            gc.enable()
        gc.collect()
        await steps(20)
        assert reader.statistics().in_flight == 0


async def test_a_stream_collected_in_another_thread(reader: AfasClient, slow: Simulator) -> None:
    """The last reference may go away in any thread."""
    async with census(reader, slow, usable=TYPED_ARTICLES):
        holder = [reader.rows(TYPED_ARTICLES, take=100)]
        await anext(holder[0])
        await asyncio.to_thread(holder.clear)
        await steps(20)
        assert reader.statistics().in_flight == 0


async def test_a_paused_long_answer_is_collected() -> None:
    """A response that waits for a reader who never comes is cut off when the stream is collected."""
    server = PagedServer(LONG)
    async with paged(server, max_concurrency=2) as afas:
        async with census(afas):
            with pytest.warns(UserWarning, match="one response"):
                rows = afas.rows("Profit_Long", key="Id", take=-1)
            await anext(rows)
            await asyncio.sleep(30)
            assert afas.statistics().in_flight == 1
            assert afas.statistics().bytes < 24 << 20
            del rows
        await until(lambda: server.in_flight == 0)
        assert server.in_flight == 0


@pytest.mark.parametrize("managed", [True, False])
async def test_a_paused_long_answer_is_left(*, managed: bool) -> None:
    """Leaving a long response that waits for its reader cuts it off."""
    async with paged(PagedServer(LONG)) as afas, census(afas):
        with pytest.warns(UserWarning, match="one response"):
            rows = afas.rows("Profit_Long", key="Id", take=-1)
        if managed:
            async with rows:
                await anext(rows)
                await asyncio.sleep(30)
            assert_idle(afas)
        else:
            async for _ in rows:
                await asyncio.sleep(30)
                break
            await rows.aclose()


async def test_a_paused_reader_of_a_long_answer_gets_it_all() -> None:
    """A pause longer than the time-out loses no row, and takes little memory."""
    async with paged(PagedServer(LONG)) as afas, census(afas):
        with pytest.warns(UserWarning, match="one response"):
            rows = afas.rows("Profit_Long", key="Id", take=-1)
        count = 0
        async for row in rows:
            assert row["Id"] == count
            count += 1
            if count % 800 == 1:
                await asyncio.sleep(200)
                assert afas.statistics().bytes < count * 10_050 + (20 << 20)
        assert count == len(LONG)


@pytest.mark.parametrize("form", ["rows", "pages", "to_list", "page", "first", "fields"])
async def test_closing_the_client_while_another_task_reads(slow: Simulator, form: str) -> None:
    """A reader whose client is closed gets a ClientClosedError at once, and does not hang."""
    afas = AfasClient(base_url=slow.base_url, auth=slow.token)
    await afas.open()

    async def read() -> None:
        match form:
            case "rows":
                async for _ in afas.rows(TYPED_ARTICLES, take=100):
                    pass
            case "pages":
                async for _ in afas.pages(TYPED_ARTICLES, take=100):
                    pass
            case "to_list":
                await afas.rows(TYPED_ARTICLES, take=100).to_list()
            case "page":
                await afas.page(TYPED_ARTICLES)
            case "first":
                await afas.rows(TYPED_ARTICLES).first()
            case _:
                await afas.rows("Profit_Article").to_list()

    async with quiet():
        reading = asyncio.create_task(read())
        await asyncio.sleep(0.03)
        await afas.aclose()
        with pytest.raises(ClientClosedError):
            async with asyncio.timeout(1):
                await reading
        assert_idle_after_close(afas)


def assert_idle_after_close(afas: AfasClient) -> None:
    assert [task for task in tasks() if task.get_name().startswith("afas_async")] == []
    assert afas.statistics().in_flight == 0
    assert afas._session.engine._limiter.in_flight == 0


async def test_closing_the_client_under_a_paused_reader(slow: Simulator) -> None:
    """The rows you have got stay valid; the next pull raises a ClientClosedError."""
    async with quiet():
        async with AfasClient(base_url=slow.base_url, auth=slow.token) as afas:
            rows = afas.rows(TYPED_ARTICLES, take=100)
            await anext(rows)
        with pytest.raises(ClientClosedError):
            async for _ in rows:
                pass
        await rows.aclose()


async def test_closing_the_client_under_a_paused_long_answer() -> None:
    """Closing does not wait for a response whose reader pauses."""
    server = PagedServer(LONG)
    async with quiet(), asyncio.timeout(100):
        async with paged(server) as afas:
            with pytest.warns(UserWarning, match="one response"):
                rows = afas.rows("Profit_Long", key="Id", take=-1)
            await anext(rows)
            await asyncio.sleep(50)
        assert_idle_after_close(afas)


async def test_closing_the_stream_while_another_task_reads(reader: AfasClient, slow: Simulator) -> None:
    """A reader whose stream is closed gets a UsageError at once; the client is not affected."""
    async with census(reader, slow, usable=TYPED_ARTICLES):
        rows = reader.rows(TYPED_ARTICLES, take=100)
        reading = asyncio.create_task(rows.to_list())
        await asyncio.sleep(0.03)
        await rows.aclose()
        with pytest.raises(UsageError):
            await reading
        with pytest.raises(UsageError):
            await anext(rows)


async def test_closing_the_stream_while_it_opens(reader: AfasClient, slow: Simulator) -> None:
    """A reader that has not requested rows yet is stopped like any other: nothing more is sent."""
    async with census(reader, slow, usable=TYPED_ARTICLES):
        rows = reader.changes(TYPED_ARTICLES, modified="ModifiedOn")  # which requests the latest moment first
        reading = asyncio.create_task(rows.to_list())
        await asyncio.sleep(0.02)
        await rows.aclose()
        assert reader.statistics().in_flight == 0
        requests = slow.counters.requests
        with pytest.raises(UsageError):
            await reading
        assert slow.counters.requests == requests


async def test_closing_the_stream_says_so(reader: AfasClient) -> None:
    """The error says what was closed."""
    rows = reader.rows(TYPED_ARTICLES, take=100)
    reading = asyncio.create_task(rows.to_list())
    await asyncio.sleep(0.03)
    await rows.aclose()
    with pytest.raises(UsageError) as raised:
        await reading
    assert not isinstance(raised.value, ClientClosedError)


async def test_two_readers_side_by_side(reader: AfasClient, slow: Simulator) -> None:
    """Streams are private: each of two readers gets all rows, under one limit."""
    async with census(reader, slow, usable=TYPED_ARTICLES):
        both = await asyncio.gather(*(reader.rows(TYPED_ARTICLES, take=100).to_list() for _ in range(2)))
        assert [[row.code for row in rows] for rows in both] == [codes(slow)] * 2
    assert slow.counters.peak_in_flight == 5


async def test_one_of_two_readers_leaves(reader: AfasClient, slow: Simulator) -> None:
    """A reader that leaves takes nothing from another."""
    async with census(reader, slow, usable=TYPED_ARTICLES):
        staying = asyncio.create_task(reader.rows(TYPED_ARTICLES, take=100).to_list())
        for seconds in (0.01, 0.06, 0.11):
            with anyio.move_on_after(seconds):
                await reader.rows(TYPED_ARTICLES, take=50).to_list()
        assert len(await staying) == SLOW


@pytest.mark.parametrize("form", ["anext", "loop", "batches", "to_list"])
async def test_two_tasks_on_one_stream(reader: AfasClient, slow: Simulator, form: str) -> None:
    """The second task on a stream gets a UsageError, and the first continues."""
    async with census(reader, slow, usable=TYPED_ARTICLES):
        rows = reader.rows(TYPED_ARTICLES, take=100)

        async def first() -> list[str]:
            return [row.code async for row in rows]

        reading = asyncio.create_task(first())
        await asyncio.sleep(0.01)
        with pytest.raises(UsageError, match="two tasks"):
            match form:
                case "anext":
                    await anext(rows)
                case "loop":
                    async for _ in rows:
                        pass
                case "batches":
                    async for _ in rows.batches():
                        pass
                case _:
                    # The second task must not close the stream of the first.
                    await _second_list(rows)
        assert await reading == codes(slow)


async def _second_list(rows: Any) -> None:
    async for _ in rows.batches():
        pass


async def test_a_refused_list_does_not_close_the_stream(reader: AfasClient, slow: Simulator) -> None:
    """A second task that wants the list is refused like any other, and the first continues."""
    rows = reader.rows(TYPED_ARTICLES, take=100)
    reading = asyncio.create_task(rows.to_list())
    await asyncio.sleep(0.01)
    with pytest.raises(UsageError, match="two tasks"):
        await rows.to_list()
    assert [row.code for row in await reading] == codes(slow)


@pytest.mark.parametrize("take", [None, 100])
async def test_a_request_in_the_loop_with_one_slot(slow: Simulator, take: int | None) -> None:
    """A request for a row inside the loop works, even if the client may have only one in flight."""
    async with (
        AfasClient(base_url=slow.base_url, auth=canary.TOKEN, max_concurrency=1) as afas,
        census(afas, slow, usable=TYPED_ARTICLES),
        asyncio.timeout(200),
    ):
        count = 0
        async for row in afas.rows(TYPED_ARTICLES, take=take):
            if count % 150 == 0:
                page = await afas.page(ARTICLES, skip=count, take=1)
                assert page.rows[0]["ItemCode"] == row.code
            count += 1
        assert count == SLOW
    assert slow.counters.peak_in_flight == 1


async def test_decoding_lets_others_run() -> None:
    """While a long page is decoded, other tasks get their turn again and again."""
    rows = b",".join(b'{"Id":%d,"Name":"%s"}' % (number, b"x" * 100) for number in range(MANY))
    body = b'{"skip":0,"take":%d,"rows":[' % MANY + rows + b"]}"

    async def answer(connection: Connection, received: Received) -> None:
        await connection.answer(
            body if received.query["skip"] == "0" else b'{"skip":%d,"take":%d,"rows":[]}' % (MANY, MANY)
        )

    turns = 0

    async def bystander() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with RawServer(answer) as server, AfasClient(base_url=server.base_url, auth=canary.TOKEN) as afas:
        stream = afas.rows(GetConnector("X", key="Id"), take=MANY, window=1)
        await anext(stream)
        await asyncio.sleep(10)  # virtual: the rest of the page has arrived
        assert afas.statistics().bytes == len(body)
        other = asyncio.create_task(bystander())
        await asyncio.sleep(0)
        turns = 0
        for _ in range(MANY - 1_000):
            await anext(stream)
        assert turns >= 10
        other.cancel()
        await stream.aclose()
