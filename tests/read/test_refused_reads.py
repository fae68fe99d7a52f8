"""Reads that cannot be complete are refused, unless you ask for them by name."""

from __future__ import annotations

import asyncio
import json
import traceback
import warnings
from typing import Any, cast

import msgspec
import pytest

from afas_async import (
    AfasClient,
    F,
    GetConnector,
    InvalidNameError,
    PagingError,
    QueryTooLongError,
    SortKeyRequiredError,
    UnknownFieldError,
    UsageError,
)
from afas_async.simulator import Simulator
from tests.read.conftest import Serve
from tests.support import canary
from tests.support.census import census
from tests.support.own_connectors import BY_NUMBER, table
from tests.support.paged_server import PagedServer, numbered, page_of, paged
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, Table, client
from tests.support.sample_connectors import ARTICLES, KEYLESS, TYPED_ARTICLES, Article, codes, takes
from tests.support.thoroughness import by_default

TYPED_KEYLESS = GetConnector("Profit_Article", Article)
SMALL_KEYLESS = GetConnector("Profit_Small")


async def test_dict_rows_need_a_key(afas: AfasClient, simulator: Simulator) -> None:
    """Without a key a read of several pages names the connector's fields, and requests no rows."""
    with pytest.raises(SortKeyRequiredError) as raised:
        await anext(afas.rows("Profit_Article"))
    for field in simulator.store.connectors["Profit_Article"].fields:
        assert field.id in str(raised.value)
    assert "Profit_Article" in str(raised.value)
    assert [request.path for request in simulator.requests] == ["/profitrestservices/metainfo/get/Profit_Article"]


async def test_struct_rows_need_a_key(afas: AfasClient, simulator: Simulator) -> None:
    """The fields of a Struct are known, so nothing at all is sent."""
    with pytest.raises(SortKeyRequiredError, match="ItemCode, Stock"):
        await afas.rows(TYPED_KEYLESS).to_list()
    assert not simulator.requests


@pytest.mark.parametrize("order_by", [(), "ItemCode"])
async def test_pages_and_ordered_reads_need_a_key(afas: AfasClient, simulator: Simulator, order_by: Any) -> None:
    """An order does not replace a key, and pages need a key as rows do."""
    for stream in (afas.rows(TYPED_KEYLESS, order_by=order_by), afas.pages(TYPED_KEYLESS, order_by=order_by)):
        with pytest.raises(SortKeyRequiredError):
            await anext(stream)
        with pytest.raises(UsageError):
            await anext(stream)
    assert not simulator.requests


async def test_verify_false_needs_no_key(afas: AfasClient, simulator: Simulator) -> None:
    """You ask for best effort by name. It sorts by the given order only."""
    rows = await afas.rows(KEYLESS, order_by="ItemCode", verify=False).to_list()
    assert [row["ItemCode"] for row in rows] == codes(simulator)
    assert {request.query["orderbyfieldids"] for request in simulator.requests} == {"ItemCode"}


async def test_verify_false_hands_out_whole_pages() -> None:
    """Without a key a broken page is requested anew, so you get none of its rows before it is whole."""
    rows = [b'{"Id":%d,"Text":"%s"}' % (number, b"x" * 500) for number in range(1_000)]
    server = PagedServer(rows, cut={0: 300_000})
    async with paged(server) as afas:
        batches = [batch async for batch in afas.rows(SMALL_KEYLESS, take=1_000, verify=False).batches()]
    assert [len(batch) for batch in batches] == [1_000]
    assert server.spans[:2] == [(0, 1_000), (0, 1_000)]


@pytest.mark.parametrize("take", [None, 10_000, 30_000])
async def test_verify_false_ends_at_100000_rows(take: int | None) -> None:
    """Without a key AFAS cannot be read beyond row 100,000: the rows up to there come, then an error."""
    server, count = PagedServer(numbered(by_default(140_000, 250_000))), 0
    async with paged(server) as afas:
        rows = afas.rows(SMALL_KEYLESS, take=take, verify=False)
        with pytest.raises(PagingError, match="key"):  # noqa: PT012 - the loop is what raises
            async for batch in rows.batches():
                count += len(batch)
    assert count >= 100_000
    assert max(skip for skip, _ in server.spans) < 100_000


async def test_a_key_goes_beyond_100000_rows() -> None:
    """With a key there is no such end."""
    async with paged(PagedServer(numbered(120_000))) as afas:
        rows = [row["Id"] async for row in afas.rows("Profit_Small", key="Id")]
    assert rows == list(range(120_000))


async def test_everything_in_one_answer_warns(afas: AfasClient, simulator: Simulator) -> None:
    """AFAS discourages it, so a warning names the line that asked; it costs one request."""
    with pytest.warns(UserWarning, match="Profit_Article") as warned:
        rows = afas.rows(TYPED_ARTICLES, take=-1)
    assert warned[0].filename == __file__
    assert [row.code async for row in rows] == codes(simulator)
    assert takes(simulator) == [(-1, -1)]
    assert simulator.requests[0].query["orderbyfieldids"] == "ItemCode"


async def test_everything_needs_no_key(afas: AfasClient, simulator: Simulator) -> None:
    """One response is complete without a key."""
    with pytest.warns(UserWarning, match="one response"):
        rows = await afas.rows(KEYLESS, take=-1).to_list()
    assert sorted(row["ItemCode"] for row in rows) == codes(simulator)
    assert takes(simulator) == [(-1, -1)]


async def test_everything_streams() -> None:
    """The rows of one long response come while it still arrives."""
    rest = asyncio.Event()

    async def answer(connection: Connection, _: Received) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        body = page_of(numbered(50_000), -1, -1)
        await connection.send(head + b"%x\r\n%s\r\n" % (200_000, body[:200_000]))
        await rest.wait()
        await connection.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) - 200_000, body[200_000:]))

    async with RawServer(answer) as server, AfasClient(base_url=server.base_url, auth=canary.TOKEN) as afas:
        with pytest.warns(UserWarning, match="one response"):
            rows = afas.rows("Profit_Small", key="Id", take=-1)
        found = [(await anext(rows))["Id"] for _ in range(10_000)]
        assert rows.progress.pages == 0
        assert server.in_flight == 1
        rest.set()
        found += [row["Id"] async for row in rows]
        assert found == list(range(50_000))
        assert rows.progress.pages == 1


async def test_everything_with_one_slot_and_a_request_in_the_loop() -> None:
    """A long response that holds the only slot does not lock out the reader's own requests."""
    text, size = b"x" * 10_000, by_default(2_700, 4_000)
    server = PagedServer([b'{"Id":%d,"Text":"%s"}' % (number, text) for number in range(size)])
    async with paged(server, max_concurrency=1) as afas:
        with pytest.warns(UserWarning, match="one response"):
            rows = afas.rows("Profit_Small", key="Id", take=-1)
        count = 0
        async with census(afas), asyncio.timeout(250):
            async for row in rows:
                if count in {0, 10, 2_000}:
                    assert len((await afas.page("Profit_Small", skip=count, take=1)).rows) == 1
                assert row["Id"] == count
                count += 1
        assert count == size
    assert server.peak_in_flight == 1


@pytest.mark.parametrize("take", [0, -2, -100])
@pytest.mark.parametrize("kind", ["rows", "pages"])
async def test_bad_takes(afas: AfasClient, simulator: Simulator, kind: str, take: int) -> None:
    """A number of rows per page is 1 or more."""
    with pytest.raises(UsageError, match="take"):
        getattr(afas, kind)(TYPED_ARTICLES, take=take)
    assert not simulator.requests


@pytest.mark.parametrize("window", [0, -1, 6, 100])
@pytest.mark.parametrize("kind", ["rows", "pages"])
async def test_bad_windows(afas: AfasClient, simulator: Simulator, kind: str, window: int) -> None:
    """A window is 1 up to the client's limit."""
    with pytest.raises(UsageError, match="window"):
        getattr(afas, kind)(TYPED_ARTICLES, window=window)
    assert not simulator.requests


@pytest.mark.parametrize(
    ("skip", "take"),
    [
        (-1, 10),
        (-1, -1),
        (0, 0),
        (0, -1),
        (-5, 5),
    ],
)
async def test_bad_pages(afas: AfasClient, simulator: Simulator, skip: int, take: int) -> None:
    """A page has a skip of 0 or more and a take of 1 or more."""
    with pytest.raises(UsageError):
        await afas.page(TYPED_ARTICLES, skip=skip, take=take)
    assert not simulator.requests
    assert afas.statistics().requests == 0


async def test_other_bad_arguments(afas: AfasClient, simulator: Simulator) -> None:
    """Arguments that cannot work are refused with an error of their own before anything is sent."""
    with pytest.raises(UsageError, match="one page"):
        afas.pages(TYPED_ARTICLES, take=-1)
    with pytest.raises(UsageError, match="GetConnector"):
        afas.rows(TYPED_ARTICLES, key="ItemCode")  # type: ignore[call-overload]
    for order in ("a b", "-", "", "--ItemCode", "ItemCode,Stock", "Stock&skip=0", ["ItemCode", "\u00e9.b"]):
        with pytest.raises(InvalidNameError):
            afas.rows(TYPED_ARTICLES, order_by=order)
        with pytest.raises(InvalidNameError):
            await afas.page(TYPED_ARTICLES, order_by=order)
    with pytest.raises(UnknownFieldError):
        GetConnector("Profit_Article", Article, key="Price")
    with pytest.raises(UsageError):
        GetConnector("Profit_Article", list)  # type: ignore[type-var]
    assert not simulator.requests


async def test_bad_names(afas: AfasClient) -> None:
    """A name that may not enter a URL is refused, with an error that a crash reporter can show."""
    errors = []
    for name in ("", "../metainfo", "a/b", "a?b", "a b", "%2e", "x" * 129):
        with pytest.raises(InvalidNameError) as raised:
            afas.rows(name, key="Id")
        errors.append(raised.value)
    for error in errors:
        traceback.TracebackException.from_exception(error, capture_locals=True)


async def test_a_query_that_is_too_long(afas: AfasClient, simulator: Simulator) -> None:
    """An order that makes the query string longer than the service accepts is refused before it is sent."""
    order = [f"Field_{number:055}" for number in range(40)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(QueryTooLongError):
            await anext(afas.rows(ARTICLES, order_by=order))
    async with census(afas, simulator, usable=TYPED_ARTICLES):
        with pytest.raises(QueryTooLongError):
            await afas.page(ARTICLES, order_by=order)


async def test_a_raw_connector_needs_a_key_too(afas: AfasClient, simulator: Simulator) -> None:
    """Undecoded rows are read in pages like others."""
    with pytest.raises(SortKeyRequiredError, match="ItemCode"):
        await afas.rows(GetConnector("Profit_Article", msgspec.Raw)).to_list()
    assert [request.path.rsplit("/", 2)[1] for request in simulator.requests] == ["get"]


async def test_a_field_is_no_condition(serve: Serve) -> None:
    """A forgotten comparison is a clear error."""
    _, afas = await serve(connectors={"T": table(range(10))})
    with pytest.raises(UsageError, match="where: expected a condition"):
        afas.rows(BY_NUMBER, where=cast("Any", F.Blocked))


async def test_missing_key_and_missing_service() -> None:
    """The error says that the key is missing, even if the service does not report the fields."""

    async def down(connection: Connection, _: Received) -> None:
        await connection.answer(b"", status=401)

    async with RawServer(down) as server, client(server) as afas:
        with pytest.raises(SortKeyRequiredError, match="needs a key"):
            await afas.rows("X").to_list()


async def test_orders_that_are_too_long() -> None:
    """The call itself refuses an order that does not fit into a query, before anything is sent or counted."""
    async with Table() as server, client(server) as afas:
        order = [f"Field{number:060}"[-64:] for number in range(40)]
        for call in (afas.rows, afas.pages):
            with pytest.raises(QueryTooLongError):
                call(CONNECTOR, order_by=order)
        with pytest.raises(QueryTooLongError):
            await afas.page(CONNECTOR, order_by=order)
        assert (server.requests, afas.statistics().requests) == ([], 0)


async def test_unreadable_metainfo_and_missing_key() -> None:
    """Undocumented or far too long metainfo does not hide the missing key either."""
    for body in (b"[]", b"{" + b" " * (17 << 20) + b"}", json.dumps({"fields": [{}]}).encode()):

        async def answer(connection: Connection, _: Received, body: bytes = body) -> None:
            await connection.answer(body)

        async with RawServer(answer) as server, client(server) as afas:
            with pytest.raises(SortKeyRequiredError):
                await afas.rows("X").to_list()
