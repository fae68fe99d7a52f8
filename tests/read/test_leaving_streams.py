"""Leaving a stream in any way leaves nothing running."""

# ruff: noqa: PT012 - what raises is the whole loop

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest

from afas_async import AfasClient, ClientClosedError, Rows, UsageError
from afas_async.simulator import Simulator
from tests.read.conftest import SLOW
from tests.support.census import census, steps
from tests.support.read_table import CONNECTOR, LONG, Table, client
from tests.support.sample_connectors import TYPED_ARTICLES, Article
from tests.support.thoroughness import by_default

# A row in the middle of a page, with full pages in flight after it.
SEEN = 130
ALL = SLOW

Way = Callable[[Rows[Article]], Awaitable[None]]


class BodyError(Exception):
    """Raised by the body of a loop."""


async def _break(rows: Rows[Article]) -> None:
    count = 0
    async for _ in rows:
        count += 1
        if count == SEEN:
            break


async def _return(rows: Rows[Article]) -> None:
    count = 0
    async for batch in rows.batches():
        count += len(batch)
        if count >= SEEN:
            return


async def _exception(rows: Rows[Article]) -> None:
    count = 0
    with pytest.raises(BodyError):
        async for _ in rows:
            count += 1
            if count == SEEN:
                raise BodyError


async def _fail_after(rows: Rows[Article]) -> None:
    with pytest.raises(TimeoutError), anyio.fail_after(0.12):
        async for _ in rows:
            pass


async def _move_on_after(rows: Rows[Article]) -> None:
    with anyio.move_on_after(0.12) as scope:
        async for _ in rows.batches():
            pass
    assert scope.cancelled_caught


async def _timeout(rows: Rows[Article]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.12):
            async for _ in rows:
                pass


async def _timeout_in_the_body(rows: Rows[Article]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            async for _ in rows:
                await asyncio.sleep(7)


async def _timeout_around_each(rows: Rows[Article]) -> None:
    with pytest.raises(TimeoutError):
        while True:
            async with asyncio.timeout(0.03):
                await anext(rows)


async def _fail_after_around_each(rows: Rows[Article]) -> None:
    with pytest.raises(TimeoutError):
        while True:
            with anyio.fail_after(0.03):
                await anext(rows)


async def _wait_for(rows: Rows[Article]) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(rows.to_list(), 0.12)


async def _task_cancelled_while_waiting(rows: Rows[Article]) -> None:
    async def read() -> None:
        async for _ in rows:
            pass

    await _cancelled(asyncio.create_task(read()), 0.12)


async def _task_cancelled_in_the_body(rows: Rows[Article]) -> None:
    async def read() -> None:
        async for _ in rows:
            await asyncio.sleep(7)

    await _cancelled(asyncio.create_task(read()), 60)


async def _task_cancelled_in_the_users_generator(rows: Rows[Article]) -> None:
    async def wrapped() -> AsyncIterator[str]:
        async for row in rows:
            yield row.code

    async def read() -> None:
        async for _ in wrapped():
            await asyncio.sleep(7)

    await _cancelled(asyncio.create_task(read()), 60)


async def _users_generator_closed(rows: Rows[Article]) -> None:
    async def wrapped() -> AsyncIterator[str]:
        async for row in rows:
            yield row.code

    async with contextlib.aclosing(wrapped()) as texts:
        async for _ in texts:
            break


async def _task_group_cancelled(rows: Rows[Article]) -> None:
    async def read() -> None:
        async for _ in rows:
            pass

    async with anyio.create_task_group() as group:
        group.start_soon(read)
        await asyncio.sleep(0.12)
        group.cancel_scope.cancel()


async def _read_to_the_end(rows: Rows[Article]) -> None:
    assert len([row async for row in rows]) == ALL


async def _never_read(_: Rows[Article]) -> None:
    await asyncio.sleep(0)


async def _cancelled(task: asyncio.Task[Any], seconds: float) -> None:
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


WAYS = [
    _break,
    _return,
    _exception,
    _fail_after,
    _move_on_after,
    _timeout,
    _timeout_in_the_body,
    _timeout_around_each,
    _fail_after_around_each,
    _wait_for,
    _task_cancelled_while_waiting,
    _task_cancelled_in_the_body,
    _task_cancelled_in_the_users_generator,
    _users_generator_closed,
    _task_group_cancelled,
    _read_to_the_end,
    _never_read,
]
every_way = pytest.mark.parametrize("way", WAYS, ids=[way.__name__.strip("_") for way in WAYS])


@every_way
async def test_with_a_block(reader: AfasClient, slow: Simulator, way: Way) -> None:
    """When you leave a stream inside `async with`, its requests have stopped at the end of the block."""
    async with census(reader, slow, usable=TYPED_ARTICLES):
        async with reader.rows(TYPED_ARTICLES, take=100) as rows:
            await way(rows)
        jobs = [task for task in asyncio.all_tasks() if task.get_name() == "afas_async job"]
        assert jobs == []
        assert reader.statistics().in_flight == 0
        assert reader._session.engine._limiter.in_flight == 0


@every_way
async def test_bare(reader: AfasClient, slow: Simulator, way: Way) -> None:
    """A stream left without a block, and still referenced, ends its running requests by itself."""
    rows = reader.rows(TYPED_ARTICLES, take=100)
    async with census(reader, slow, seconds=1, usable=TYPED_ARTICLES):
        await way(rows)
    assert rows.progress.rows <= ALL


@every_way
async def test_forgotten(reader: AfasClient, slow: Simulator, way: Way) -> None:
    """A stream that nothing references any more stops its requests at once."""
    async with census(reader, slow, usable=TYPED_ARTICLES):
        await way(reader.rows(TYPED_ARTICLES, take=100))


@every_way
async def test_before_the_client_closes(slow: Simulator, way: Way) -> None:
    """Closing the client ends everything that a reader left running."""
    async with AfasClient(base_url=slow.base_url, auth=slow.token) as afas:
        rows = afas.rows(TYPED_ARTICLES, take=100)
        await way(rows)
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("afas_async")] == []
    assert afas.statistics().in_flight == 0
    del rows
    await steps(50)
    assert slow.counters.in_flight == 0


@pytest.mark.parametrize("managed", [True, False])
@pytest.mark.parametrize("way", ["break", "timeout", "cancel"])
async def test_pages(reader: AfasClient, slow: Simulator, way: str, *, managed: bool) -> None:
    """Leaving pages works as leaving rows does."""

    async def read() -> None:
        stream = reader.pages(TYPED_ARTICLES, take=100)
        async with stream if managed else contextlib.nullcontext(stream) as pages:
            async for page in pages:
                if way == "break" and page.number == 2:
                    break
                await asyncio.sleep(0.01)

    async with census(reader, slow, seconds=1, usable=TYPED_ARTICLES):
        task = asyncio.create_task(read())
        if way == "cancel":
            await _cancelled(task, 0.12)
        elif way == "timeout":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(task, 0.12)
        else:
            await task
        del task


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.051])
@pytest.mark.parametrize("call", ["page", "first", "fields"])
async def test_single_requests(reader: AfasClient, slow: Simulator, call: str, seconds: float) -> None:
    """A cancelled call leaves no request running."""
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "page": lambda: reader.page(TYPED_ARTICLES, take=1_000),
        "first": lambda: reader.rows(TYPED_ARTICLES).first(),
        "fields": lambda: reader.rows("Profit_Article").to_list(),
    }
    async with census(reader, slow, usable=TYPED_ARTICLES):
        with anyio.move_on_after(seconds), contextlib.suppress(LookupError), contextlib.suppress(Exception):
            await calls[call]()


@pytest.mark.parametrize("whole", [True, False], ids=["pages", "rows"])
async def test_stream_closed_at_any_step(whole: bool) -> None:  # noqa: FBT001
    """Another task closes a stream at any step of its reader. The reader ends with a clear error, or not at all."""
    async with Table(rows=LONG) as server, client(server) as afas:
        for steps in range(0, 120, by_default(17, 3)):
            stream: Any = afas.pages(CONNECTOR, take=50) if whole else afas.rows(CONNECTOR, take=50).batches()
            closer = stream if whole else stream.ag_frame.f_locals["self"]
            reading = asyncio.create_task(_drain(stream))
            for _ in range(steps):
                await asyncio.sleep(0)
            await closer.aclose()
            ended = (await asyncio.gather(reading, return_exceptions=True))[0]
            assert ended is None or (isinstance(ended, UsageError) and not isinstance(ended, ClientClosedError)), steps


async def _drain(stream: Any) -> None:
    async for _ in stream:
        pass
