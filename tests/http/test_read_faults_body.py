"""Bodies that are cut, wrongly framed or wrongly packed: rows 29 to 40, 54 and 55 of the fault matrix."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from afas_async import AnswerError, AnswerLostError, RequestTimeoutError
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import (
    CONNECTOR,
    ROWS,
    Case,
    Fault,
    Table,
    chunk,
    chunked,
    client,
    fails,
    framed,
    head,
    mends,
    page_of,
    read,
    read_until_error,
    says,
    table_of,
)
from tests.support.thoroughness import by_default

CHUNKED = head("Transfer-Encoding: chunked")
GZIP = "Content-Encoding: gzip"


def _packed(body: bytes) -> bytes:
    return framed(gzip.compress(body), GZIP)


def _gzip_fault(damage: str) -> Fault:
    def make(body: bytes) -> bytes:
        packed = gzip.compress(body)
        return framed(
            {
                "cut": packed[:-20],
                "trailer missing": packed[:-8],
                "length missing": packed[:-4],
                "trailer wrong": packed[:-8] + bytes(8),
                "trailing bytes": packed + b"trailing",
                "two members": packed + gzip.compress(body),
                "two halves": gzip.compress(body[:200]) + gzip.compress(body[200:]),
                "plain body": body,
                "zlib body": zlib.compress(body),
                "empty": b"",
            }[damage],
            GZIP,
        )

    return says(make)


def _encoded(pack: Callable[[bytes], bytes], encoding: str) -> Callable[[bytes], bytes]:
    return lambda body: framed(pack(body), f"Content-Encoding: {encoding}")


CUT = [
    Case("chunks: no first size", says(CHUNKED, "fin"), AnswerLostError, 4),
    Case(
        "chunks: within the size line", says(lambda body: CHUNKED + chunk(body[:50]) + b"5", "fin"), AnswerLostError, 4
    ),
    Case("chunks: within the data", says(lambda body: CHUNKED + chunk(body)[:-60], "fin"), AnswerLostError, 4),
    Case("chunks: reset", says(lambda body: CHUNKED + chunk(body)[:-60], "rst"), AnswerLostError, 4),
    Case("chunks: within the line end", says(lambda body: CHUNKED + chunk(body)[:-1], "fin"), AnswerLostError, 4),
    Case("chunks: no last chunk", says(lambda body: CHUNKED + chunk(body), "fin"), AnswerLostError, 4),
    Case("chunks: last line end missing", says(lambda body: chunked(body)[:-2], "fin"), AnswerLostError, 4),
    Case("chunks: clean end, JSON cut", says(lambda body: chunked(body[:-60])), AnswerLostError, 4),
    Case("chunks: clean end, no body", says(chunked()), AnswerLostError, 4),
    Case("no framing, fin", says(lambda body: head() + body[:-60], "fin"), AnswerLostError, 4),
    Case("no framing, last brace missing", says(lambda body: head() + body[:-1], "fin"), AnswerLostError, 4),
    Case("no framing, rst", says(lambda body: head() + body[:-60], "rst"), AnswerLostError, 4),
    Case("gzip cut, right length", _gzip_fault("cut"), AnswerLostError, 4),
    Case("gzip trailer missing", _gzip_fault("trailer missing"), AnswerLostError, 4),
    Case("gzip trailer half", _gzip_fault("length missing"), AnswerLostError, 4),
    Case("gzip of nothing", _gzip_fault("empty"), AnswerLostError, 4),
    Case("gzip cut, no framing", says(lambda body: head(GZIP) + gzip.compress(body)[:-20], "fin"), AnswerLostError, 4),
]

BROKEN = [
    Case("length too short", says(lambda body: head(f"Content-Length: {len(body) - 60}") + body), AnswerError, 3),
    Case("bad chunk size", says(CHUNKED + b"xyz\r\n", "fin"), AnswerError, 3),
    Case("gzip trailer wrong", _gzip_fault("trailer wrong"), AnswerError, 3),
    Case("gzip, then more bytes", _gzip_fault("trailing bytes"), AnswerError, 3),
    Case("gzip twice", _gzip_fault("two members"), AnswerError, 3),
    Case("gzip in two members", _gzip_fault("two halves"), AnswerError, 3),
    Case("gzip announced, plain sent", _gzip_fault("plain body"), AnswerError, 3),
    Case("gzip announced, zlib sent", _gzip_fault("zlib body"), AnswerError, 3),
]

ENCODINGS = ["deflate", "br", "zstd", "compress", "gzip, gzip", "identity, gzip", "unheard-of"]


@pytest.mark.sampled(5)
@table_of(CUT + BROKEN)
@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("page", [0, 1])
async def test_mended(case: Case, page: int, window: int) -> None:
    """A body that breaks once costs one more request and no row, however many of its rows were already returned."""
    await mends(case.fault, page=page, window=window)


@table_of(CUT + BROKEN)
async def test_permanent(case: Case) -> None:
    """A body that stays broken is never taken for a complete one."""
    await fails(case.fault, case.error, requests=case.requests, page=1)


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_unasked_encodings(encoding: str) -> None:
    """An encoding that was not offered is a final error, even if the body could be read: nothing is guessed."""
    for pack in (lambda body: body, gzip.compress, lambda body: gzip.compress(gzip.compress(body))):
        await fails(says(_encoded(pack, encoding)), AnswerError, requests=1)


WHOLE = [
    says(lambda body: head() + body, "fin"),
    says(chunked),
    says(lambda body: chunked(*(body[at : at + 7] for at in range(0, len(body), 7)))),
    says(_packed),
    says(lambda body: chunked(gzip.compress(body), lines=[GZIP])),
    says(lambda body: head(GZIP) + gzip.compress(body), "fin"),
    says(lambda body: framed(gzip.compress(body), "content-encoding: X-GZIP")),
    says(lambda body: framed(body, "Content-Encoding: identity")),
    says(lambda body: framed(body + b"\r\n \t")),
]


@pytest.mark.parametrize("fault", WHOLE, ids=range(len(WHOLE)))
async def test_whole(fault: Fault) -> None:
    """A complete body is read with one request, whatever its framing and packing."""
    async with Table(fault, page=1) as server:
        assert await read(server) == ROWS
        assert server.asked[1] == 1


async def test_unframed_and_reset() -> None:
    """An unframed body whose connection is reset after its last byte is accepted, as its JSON is complete."""
    async with Table(says(lambda body: head() + body, "rst")) as server:
        assert await read(server) == ROWS
        assert server.asked[0] <= 2


async def test_extra_bytes_are_no_answer() -> None:
    """Bytes after a body, even if they look like a response, never reach another request."""

    def smuggled(body: bytes) -> bytes:
        return framed(body) + framed(b'{"skip":0,"take":10,"rows":[{"Id":666,"Name":"smuggled"}]}')

    async with Table(says(smuggled), page=0) as server:
        assert await read(server) == ROWS
    async with Table(says(smuggled), page=1, times=1) as server:
        assert await read(server) == ROWS


@pytest.mark.parametrize("shown", ["gzip", "plain"])
async def test_one_byte_at_a_time(shown: str) -> None:
    """A response may arrive byte by byte."""

    async def trickle(connection: Connection, received: Received) -> None:
        body = page_of(received)
        for byte in _packed(body) if shown == "gzip" else framed(body):
            await connection.send(bytes([byte]))
            await asyncio.sleep(0)

    async with Table(trickle) as server:
        assert await read(server) == ROWS
        assert server.asked[0] == 1


@pytest.mark.parametrize("packed", [False, True])
async def test_every_split(packed: bool) -> None:  # noqa: FBT001
    """A response may arrive in two pieces, cut anywhere, and a gzip stream cut anywhere is noticed."""
    rows = [{"Id": 0, "Name": 'a},{"b\\"é'}, {"Id": 1, "Name": "]}"}]
    at = 0

    async def split(connection: Connection, received: Received) -> None:
        whole = (_packed if packed else framed)(page_of(received, rows))
        await connection.send(whole[:at])
        await asyncio.sleep(0.001)
        await connection.send(whole[at:])

    async with RawServer(split) as server, client(server) as afas:
        for at in range(len(_packed(b"")), 200, by_default(4, 1)):
            assert (await afas.page(CONNECTOR, take=2)).rows == rows, at


async def test_gzip_cut_at_every_byte() -> None:
    """Wherever a gzip stream ends inside correct framing, the page is requested again."""

    at = 0

    async def cut(connection: Connection, received: Received) -> None:
        packed = gzip.compress(page_of(received))
        left = packed[:at] if len(server.requests) % 2 else packed
        await connection.send(framed(left, GZIP))

    async with RawServer(cut) as server, client(server) as afas:
        size = len(gzip.compress(b'{"skip":0,"take":2,"rows":[]}'))
        for at in range(0, size, by_default(3, 1)):
            server.requests.clear()
            assert (await afas.page(CONNECTOR, take=2)).rows == ROWS[:2]
            assert len(server.requests) == 2, at


async def test_slow_loris() -> None:
    """A response that trickles ends at the deadline, however active its connection is."""

    async def trickle(connection: Connection, received: Received) -> None:
        for byte in framed(page_of(received)):
            await connection.send(bytes([byte]))
            await asyncio.sleep(1)

    loop = asyncio.get_running_loop()
    started = loop.time()
    await fails(trickle, RequestTimeoutError, requests=1, timeout=60)
    assert 60 <= loop.time() - started < 62


@pytest.mark.sampled(2)
@pytest.mark.parametrize("status", ["200 OK", "500 Reason"])
async def test_bomb(status: str) -> None:
    """A small body that unpacks to a huge one is stopped long before it is unpacked."""
    packer = zlib.compressobj(wbits=31)
    zeros = b'{"skip":0,"take":10,"rows":[{"Id":0,"Name":"' + bytes(1 << 20)
    bomb = (
        packer.compress(zeros)
        + b"".join(packer.compress(bytes(1 << 20)) for _ in range(by_default(32, 200)))
        + packer.flush()
    )
    async with Table(says(framed(bomb, GZIP, status=status))) as server:
        tracemalloc.start()
        try:
            rows, error = await read_until_error(server, max_retries=0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert rows == []
    assert isinstance(error, AnswerError) or status != "200 OK"
    assert peak < 24 << 20  # one row may be 16 MiB long
    assert len(server.requests) == 1


async def test_malformed_chunk_within_a_body() -> None:
    """A malformed chunk after valid bytes breaks the response at once, without a wait for the time-out."""

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
