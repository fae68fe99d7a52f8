"""What a review found between the rows of the fault matrix."""

from __future__ import annotations

import asyncio
import gc
import json
from typing import Any

import pytest

from afas_async import (
    AfasClient,
    AnswerLostError,
    AuthenticationError,
    BusinessError,
    ClientClosedError,
    ConfigurationError,
    ConnectError,
    Event,
    QueryTooLongError,
    RowError,
    SortKeyRequiredError,
    UsageError,
)
from tests.support import canary
from tests.support.numbered_rows import first_row
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, Table, chunk, client, head, page_of, read_until_error
from tests.support.thoroughness import by_default

LONG = [{"Id": number, "Name": "x" * 1_000} for number in range(500)]


async def test_malformed_chunk_within_a_body() -> None:
    """A chunk that makes no sense, after bytes that did, is a broken answer at once and not a wait for the time-out."""

    async def nonsense(connection: Connection, received: Received) -> None:
        await connection.send(head("Transfer-Encoding: chunked") + chunk(page_of(received)[:40]))
        await asyncio.sleep(0.1)
        await connection.send(b"no size\r\n")
        await connection.reader.read(1)  # until the client closes

    loop = asyncio.get_running_loop()
    started = loop.time()
    async with RawServer(nonsense) as server, client(server, max_retries=0) as afas:
        with pytest.raises(AnswerLostError):
            await afas.page(CONNECTOR)
    assert loop.time() - started < 1


@pytest.mark.parametrize(
    "base_url", ["https://a..b/x", "https://./x", "https://-a.b/x", f"https://{'a' * 64}.nl/x", "https://a_b/x"]
)
def test_hosts_that_cannot_be_called(base_url: str) -> None:
    """A host name that no resolver takes is refused when the client is made."""
    with pytest.raises(ConfigurationError):
        AfasClient(base_url=base_url, auth=canary.TOKEN)


@pytest.mark.parametrize(
    "proxy", ["localhost:8080", "ftp://x", "http://", "http://a..b:1", "http://x:y", "http://u:€@x"]
)
def test_proxies_that_are_none(proxy: str) -> None:
    """A proxy that is no URL of one is refused when the client is made."""
    with pytest.raises(ConfigurationError, match="proxy"):
        AfasClient("12345", auth=canary.TOKEN, proxy=proxy)


async def test_proxy_in_trouble() -> None:
    """A proxy that is unavailable may be back soon; nothing was sent, so it is asked again."""

    async def refuse(connection: Connection, _: Received) -> None:
        await connection.send(head("Content-Length: 0", status="503 Service Unavailable"))

    async with RawServer(refuse) as proxy:
        url = proxy.base_url.removesuffix("/rest")
        async with AfasClient(base_url="https://localhost:1/x", auth=canary.TOKEN, proxy=url, max_retries=2) as afas:
            with pytest.raises(ConnectError) as raised:
                await afas.page(CONNECTOR)
    assert (raised.value.permanent, raised.value.sent, len(proxy.requests)) == (False, "no", 3)


@pytest.mark.parametrize("auth", [canary.TOKEN.encode(), None, 5])
def test_tokens_that_are_no_text(auth: Any) -> None:
    """A token file that was read as bytes, or a variable that is not set, is a clear error that shows no token."""
    with pytest.raises(ConfigurationError, match="as str"):
        AfasClient("12345", auth=auth)


@pytest.mark.parametrize("steps", range(8))
async def test_closed_while_it_opens(steps: int) -> None:
    """Closing a client that is still opening ends both: the opening does not hang, and does not report success."""
    async with Table() as server:
        afas = client(server)
        opening = asyncio.create_task(afas.open())
        for _ in range(steps):
            await asyncio.sleep(0)
        await afas.aclose()
        opened = (await asyncio.gather(opening, return_exceptions=True))[0]
        assert opened is None or isinstance(opened, UsageError)
        with pytest.raises(ClientClosedError):
            await afas.page(CONNECTOR)


@pytest.mark.parametrize("whole", [True, False], ids=["pages", "rows"])
async def test_stream_closed_at_any_step(whole: bool) -> None:  # noqa: FBT001
    """Closing a stream from another task, at whatever step of its reader, ends the reader clearly or not at all."""
    async with Table(rows=LONG) as server, client(server) as afas:
        for steps in range(0, 120, by_default(9, 3)):
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


async def test_bytes_of_a_broken_page_count() -> None:
    """Progress counts every byte that came, and the size of a row is not guessed from the end of a broken page."""
    shares = iter([0.98])
    rows = [{"Id": number, "Name": "x" * 1_000} for number in range(2_000)]

    async def breaking(connection: Connection, received: Received) -> None:
        body = page_of(received, rows)
        await connection.send(head(f"Content-Length: {len(body)}") + body[: int(len(body) * next(shares, 1))])
        connection.fin()

    async with RawServer(breaking) as server, client(server) as afas:
        async with afas.rows(CONNECTOR, window=1) as stream:
            assert sum([len(batch) async for batch in stream.batches()]) == 2_000
            assert stream.progress.bytes > 2_000 * 1_000
        assert max(int(received.query["take"]) for received in server.requests) * 1_000 < 5 << 20


async def test_slow_text_of_an_error() -> None:
    """An error whose text does not come is that error all the same, long before the time-out."""

    async def slow(connection: Connection, _: Received) -> None:
        await connection.send(head("Content-Length: 100", status="401 Unauthorized") + b"{")
        await asyncio.sleep(1_000)

    loop = asyncio.get_running_loop()
    started = loop.time()
    async with RawServer(slow) as server, client(server) as afas:
        with pytest.raises(AuthenticationError):
            await afas.page(CONNECTOR)
        assert afas.statistics().bytes == 1
    assert loop.time() - started < 10


async def test_wrong_row_of_a_resumed_page() -> None:
    """A row is numbered within the answer that brought it, also if others have brought rows of its page before."""
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


async def test_missing_key_and_missing_service() -> None:
    """That the key is missing is said also if the service does not tell which fields there are."""

    async def down(connection: Connection, _: Received) -> None:
        await connection.answer(b"", status=401)

    async with RawServer(down) as server, client(server) as afas:
        with pytest.raises(SortKeyRequiredError, match="needs a key"):
            await afas.rows("X").to_list()


async def test_orders_that_are_too_long() -> None:
    """An order that does not fit into a query is refused by the call itself, before anything is sent or counted."""
    async with Table() as server, client(server) as afas:
        order = [f"Field{number:060}"[-64:] for number in range(40)]
        for call in (afas.rows, afas.pages):
            with pytest.raises(QueryTooLongError):
                call(CONNECTOR, order_by=order)
        with pytest.raises(QueryTooLongError):
            await afas.page(CONNECTOR, order_by=order)
        assert (server.requests, afas.statistics().requests) == ([], 0)


async def test_metainfo_that_is_none() -> None:
    """A metainfo that is not as documented, or far too long, does not hide the missing key either."""
    for body in (b"[]", b"{" + b" " * (17 << 20) + b"}", json.dumps({"fields": [{}]}).encode()):

        async def answer(connection: Connection, _: Received, body: bytes = body) -> None:
            await connection.answer(body)

        async with RawServer(answer) as server, client(server) as afas:
            with pytest.raises(SortKeyRequiredError):
                await afas.rows("X").to_list()


async def test_bytes_of_events_with_others_in_flight() -> None:
    """Each event counts the bytes of its own answer, whatever else is under way."""
    events: list[Event] = []
    async with Table(rows=LONG) as server, client(server, on_event=events.append) as afas:
        async with afas.rows(CONNECTOR, take=50) as rows:
            assert sum([len(batch) async for batch in rows.batches()]) == 500
        assert sum(event.bytes for event in events) == afas.statistics().bytes
        assert max(event.bytes for event in events) < 60_000


@pytest.mark.parametrize("last", [149, 199])
async def test_a_refusal_at_any_step_of_its_reader(monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """A page that is refused while its reader rests is refused: not taken for an answer that was cut off."""
    monkeypatch.setattr("afas_async.read.fetch.HOLD_SECONDS", -1)  # a rest before each step

    for steps in range(0, 120, by_default(5, 1)):

        async def refuse(connection: Connection, received: Received, steps: int = steps) -> None:
            ahead = last - first_row(received.query)
            for _ in range({0: steps, 50: 40}.get(ahead, 0)):
                await asyncio.sleep(0)
            if ahead:
                await connection.answer(page_of(received, LONG))
            else:
                await connection.answer(b'{"externalMessage":"no"}', status=500)

        async with RawServer(refuse) as server, client(server) as afas:
            with pytest.raises(BusinessError):
                await afas.rows(CONNECTOR, take=50).to_list()
            assert [first_row(request.query) for request in server.requests].count(last) == 1, steps


async def test_columns_of_a_page_whose_end_was_lost() -> None:
    """What was counted in a page holds for the next ones also if only the end of its envelope was lost."""
    # The text in the rows lets the last of them be found before the end of the list is certain.
    wide = [{"Id": number, "Text": "},{", **{f"C{field}": 0 for field in range(400)}} for number in range(1_000)]

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


async def test_a_connection_forgets_its_answers(afas: AfasClient) -> None:
    """A connection that is used for days keeps none of the answers that came over it."""

    def kept() -> int:
        gc.collect()
        return sum(type(found).__name__ == "_AiohttpResponse" for found in gc.get_objects())

    await afas.page("Profit_Article", take=3_000)
    before = kept()
    for _ in range(20):
        await afas.page("Profit_Article", take=3_000)
    assert kept() <= before
