"""When a page goes wrong, the reader gets the rows before it and one plain error. A read never continues silently."""

# ruff: noqa: PT012, PERF401 - what raises is the whole loop, and the rows before that count

from __future__ import annotations

import asyncio

import msgspec
import pytest

from afas_async import (
    AfasClient,
    AnswerLostError,
    BusinessError,
    ClientClosedError,
    GetConnector,
    NotFoundError,
    PagingError,
    RowError,
    UsageError,
)
from tests.support import canary
from tests.support.census import census
from tests.support.paged_server import PagedServer, numbered, page_of, paged
from tests.support.raw_server import Connection, RawServer, Received


class Row(msgspec.Struct):
    Id: int


TYPED = GetConnector("Profit_Small", Row, key="Id")
REFUSAL = b'{"externalMessage":"Not today","errorNumber":-2147180996,"profitLogReference":"0A1B"}'


def first_of(page: int) -> int:
    """Return the first row of the request for a page of 100 rows: the last row of the page before."""
    return max(0, page * 100 - 1)


def spoiled(count: int, bad: int, text: bytes = b'{"Id":"no number"}') -> list[bytes]:
    rows = numbered(count)
    rows[bad] = text
    return rows


@pytest.mark.parametrize("bad", [0, 7, 99])
async def test_a_row_that_does_not_fit(bad: int) -> None:
    """The error names the page, the row and the place in the response; the rows before it may have come."""
    server = PagedServer(spoiled(1_000, bad))
    async with paged(server) as afas, census(afas):
        rows = afas.rows(TYPED, take=100)
        with pytest.raises(RowError) as raised:
            async for _ in rows:
                pass
    error = raised.value
    assert (error.connector, error.page, error.index) == ("Profit_Small", 0, bad)
    assert error.path == f"$.rows[{bad}].Id"
    assert len(server.requests) == 1


@pytest.mark.parametrize("window", [1, 2, 5])
async def test_a_row_that_does_not_fit_in_a_later_page(window: int) -> None:
    """The page is counted from 0 over the whole read, also if it was prefetched; the row within its response."""
    async with paged(PagedServer(spoiled(1_000, 742), delay=0.05)) as afas, census(afas):
        found = []
        with pytest.raises(RowError) as raised:
            async for row in afas.rows(TYPED, take=100, window=window):
                found.append(row.Id)
        assert found == list(range(len(found)))
        assert len(found) >= 700
        # The response begins with the last row of the page before.
        assert (raised.value.page, raised.value.index, raised.value.path) == (7, 43, "$.rows[43].Id")


async def test_a_row_that_does_not_fit_in_a_page() -> None:
    """Pages and single pages raise the same error, and return nothing of the spoiled response."""
    async with paged(PagedServer(spoiled(300, 150))) as afas, census(afas):
        pages = afas.pages(TYPED, take=100, window=1)
        assert len((await anext(pages)).rows) == 100
        with pytest.raises(RowError) as raised:
            await anext(pages)
        assert (raised.value.page, raised.value.index) == (1, 51)
        with pytest.raises(UsageError):
            await anext(pages)
        with pytest.raises(RowError) as raised:
            await afas.page(TYPED, skip=100, take=100)
        assert (raised.value.index, raised.value.path) == (50, "$.rows[50].Id")


async def test_the_stream_cannot_be_gone_on_with() -> None:
    """After an error, no way of reading continues as if nothing had happened."""
    async with paged(PagedServer(spoiled(1_000, 150))) as afas, census(afas):
        rows = afas.rows(TYPED, take=100)
        with pytest.raises(RowError):
            async for _ in rows:
                pass
        requests = afas.statistics().requests
        for again in (rows.__anext__(), rows.to_list(), anext(aiter(rows)), anext(rows.batches())):
            with pytest.raises(UsageError, match="error"):
                await again
        assert afas.statistics().requests == requests
        await rows.aclose()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("managed", [True, False])
@pytest.mark.parametrize("window", [1, 2, 5])
@pytest.mark.parametrize("page", [0, 1, 3, 6])
async def test_an_error_in_one_page_of_the_window(*, page: int, window: int, managed: bool) -> None:
    """All rows before the failing page come first, then its plain error; the other pages stop."""
    server = PagedServer(numbered(2_000), delay=0.05, broken={first_of(page): (500, REFUSAL)})
    async with paged(server) as afas:
        found: list[int] = []

        async def read() -> None:
            stream = afas.rows(TYPED, take=100, window=window)
            if managed:
                async with stream as rows:
                    async for row in rows:
                        found.append(row.Id)
            else:
                async for row in stream:
                    found.append(row.Id)

        async with census(afas):
            with pytest.raises(BusinessError) as raised:
                await read()
            assert raised.value.log_reference == "0A1B"
            assert raised.value.__context__ is None
            del raised
        assert found == list(range(page * 100))


async def test_several_errors_in_one_window() -> None:
    """When many pages fail, the first in the order of rows is raised, not a group."""
    broken = dict.fromkeys(map(first_of, (3, 4, 5)), (500, REFUSAL))
    broken[first_of(2)] = (404, b"")
    async with paged(PagedServer(numbered(2_000), broken=broken, delay=0.05)) as afas, census(afas):
        with pytest.raises(NotFoundError):
            await afas.rows(TYPED, take=100).to_list()


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("first", [0, 999, 3_999])
async def test_a_page_that_breaks_is_taken_up_again(*, first: int, early: bool) -> None:
    """A page that breaks in the middle loses and repeats no row, whether or not you have its first rows."""
    rows = [b'{"Id":%d,"Text":"%s"}' % (number, b"x" * 500) for number in range(5_000)]
    server = PagedServer(rows, cut={first: 300_000})
    async with paged(server) as afas, census(afas):
        if early:
            found = [row.Id async for row in afas.rows(TYPED, take=1_000)]
        else:
            found = [row.Id async for page in afas.pages(TYPED, take=1_000) for row in page.rows]
        assert found == list(range(5_000))
        assert afas.statistics().retries == 1


@pytest.mark.parametrize("take", [100, None])
async def test_only_the_end_of_the_envelope_is_lost(take: int | None) -> None:
    """A response that breaks after its last row may count as complete: all rows are there."""
    # The text looks like a boundary between rows. So the parser looks closely, and sees the end of the list.
    rows = [b'{"Id":%d,"Text":"},{"}' % number for number in range(1_000)]
    server = PagedServer(rows, cut={0: len(page_of(rows, 0, 100)) - 1})
    async with paged(server) as afas, census(afas):
        assert [row.Id async for row in afas.rows(TYPED, take=take)] == list(range(1_000))


async def test_an_answer_that_always_breaks() -> None:
    """A page that never arrives whole ends the stream with the transport's error after its retries."""

    async def answer(connection: Connection, _: Received) -> None:
        await connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"skip":0,')
        connection.fin()

    async with (
        RawServer(answer) as server,
        AfasClient(base_url=server.base_url, auth=canary.TOKEN) as afas,
        census(afas),
    ):
        with pytest.raises(AnswerLostError):
            await afas.rows(TYPED).to_list()
        assert afas.statistics().retries == 3
        with pytest.raises(AnswerLostError):
            await afas.rows(TYPED).first()


async def test_a_page_with_too_many_rows() -> None:
    """A response with more rows than requested is not the requested page."""
    too_many = page_of(numbered(101), 0, 100).replace(b'"rows":[', b'"rows":[{"Id":-1},')
    async with paged(PagedServer(numbered(500), broken={0: (200, too_many)})) as afas, census(afas):
        with pytest.raises(PagingError):
            await afas.rows(TYPED, take=100).to_list()


async def test_a_page_for_another_skip() -> None:
    """A response that says it is for other rows is never taken for the right one."""
    rows = numbered(500)
    async with paged(PagedServer(rows, broken={first_of(1): (200, page_of(rows, 100, 101))})) as afas:
        with pytest.raises(PagingError, match="skip=0"):
            await afas.rows(TYPED, take=100, window=1).to_list()


async def test_an_error_in_the_loop_body_is_the_users() -> None:
    """An exception from the body of a loop comes out unchanged, group or not."""
    async with paged(PagedServer(numbered(500))) as afas, census(afas):
        for error in (ValueError("mine"), ExceptionGroup("mine", [ValueError()]), ClientClosedError("mine")):
            with pytest.raises(type(error)) as raised:
                async with afas.rows(TYPED, take=50) as rows:
                    async for _ in rows:
                        raise error
            assert raised.value is error
        await asyncio.sleep(0)
