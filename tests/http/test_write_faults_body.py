"""Successes whose body is cut, wrongly packed or not the service's: rows 27 to 45 of the fault matrix, for writes.

The service has applied every write that it reports as a success. A broken body loses only the keys.
"""

from __future__ import annotations

import asyncio
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import Fault, chunk, chunked, client, framed, head
from tests.support.thoroughness import by_default
from tests.support.write_table import (
    HTML,
    KEYS,
    NO_RESULT,
    RESULT,
    WRITES,
    Case,
    Desk,
    every_method,
    meets,
    profit,
    replies,
    says,
    table_of,
    write,
)

CHUNKED = head("Transfer-Encoding: chunked")
GZIP = "Content-Encoding: gzip"
PACKED = gzip.compress(RESULT)


def packed(body: bytes, *lines: str) -> Fault:
    """Return a response that claims to be packed."""
    return says(framed(body, GZIP, *lines))


def bare(body: bytes) -> bytes:
    """Return a response without framing."""
    return head() + body


LOST = [
    Case("length, cut by fin", says(lambda body: framed(body)[:-9], "fin"), "lost"),
    Case("length, cut by rst", says(lambda body: framed(body)[:-9], "rst"), "lost"),
    Case("length, no byte of the body", says(head("Content-Length: 40"), "fin"), "lost"),
    Case(
        "length, no byte of the body, XML",
        says(head("Content-Length: 40", "Content-Type: application/xml"), "fin"),
        "lost",
    ),
    Case("length of more than there is", says(lambda body: head("Content-Length: 90") + body, "fin"), "lost"),
    Case("whole length, JSON cut", says(lambda body: framed(body[:-9])), "lost"),
    Case("whole length, one brace", says(framed(b"{")), "lost"),
    Case("whole length, a bracket too many", says(lambda body: framed(body + b"}")), "lost"),
    Case("chunks: no first size", says(CHUNKED, "fin"), "lost"),
    Case("chunks: within the size line", says(lambda body: CHUNKED + chunk(body[:20]) + b"5", "fin"), "lost"),
    Case("chunks: within the data", says(lambda body: CHUNKED + chunk(body)[:-9], "fin"), "lost"),
    Case("chunks: reset", says(lambda body: CHUNKED + chunk(body)[:-9], "rst"), "lost"),
    Case("chunks: within the line end", says(lambda body: CHUNKED + chunk(body)[:-1], "fin"), "lost"),
    Case("chunks: no last chunk", says(lambda body: CHUNKED + chunk(body), "fin"), "lost"),
    Case("chunks: clean end, JSON cut", says(lambda body: chunked(body[:-9])), "lost"),
    Case("no framing, fin", says(lambda body: bare(body)[:-9], "fin"), "lost"),
    Case("no framing, rst", says(lambda body: bare(body)[:-9], "rst"), "lost"),
    Case("no framing, last brace missing", says(lambda body: bare(body)[:-1], "fin"), "lost"),
    Case("no framing, no body", says(bare(b""), "fin"), "lost"),
    Case("gzip cut, right length", packed(PACKED[:-20]), "lost"),
    Case("gzip trailer missing", packed(PACKED[:-8]), "lost"),
    Case("gzip trailer half", packed(PACKED[:-4]), "lost"),
    Case("gzip trailer wrong", packed(PACKED[:-8] + bytes(8)), "lost"),
    Case("gzip, then more bytes", packed(PACKED + b"trailing"), "lost"),
    Case("gzip twice", packed(PACKED * 2), "lost"),
    Case("gzip announced, plain sent", packed(RESULT), "lost"),
    Case("gzip announced, zlib sent", packed(zlib.compress(RESULT)), "lost"),
    Case("gzip cut, no framing", says(head(GZIP) + PACKED[:-20], "fin"), "lost"),
]

WHOLE = [
    Case("length", says(framed), "applied"),
    Case("created", says(lambda body: framed(body, status="201 Created")), "applied"),
    Case("chunks", says(chunked), "applied"),
    Case("many chunks", says(lambda body: chunked(*(body[at : at + 1] for at in range(len(body))))), "applied"),
    Case("no framing", says(bare, "fin"), "applied"),
    Case("gzip", packed(PACKED), "applied"),
    Case("gzip in chunks", says(chunked(PACKED, lines=[GZIP])), "applied"),
    Case("gzip without framing", says(head(GZIP) + PACKED, "fin"), "applied"),
    Case("identity", says(framed(RESULT, "Content-Encoding: identity")), "applied"),
    Case("byte order mark", says(framed(b"\xef\xbb\xbf" + RESULT)), "applied"),
    Case("white space", says(framed(b"\r\n " + RESULT + b"\r\n")), "applied"),
    Case("as text", says(framed(RESULT, "Content-Type: text/plain")), "applied"),
    Case("as HTML", says(framed(RESULT, "Content-Type: text/html")), "applied"),
    Case("as XML", says(framed(RESULT, "Content-Type: application/xml; charset=utf-8")), "applied"),
    Case(
        "without a type",
        says(lambda body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body),
        "applied",
    ),
    Case("not modified since, and other headers", says(framed(RESULT, "ETag: x", "Retry-After: 9")), "applied"),
    Case("old header", says(framed(RESULT, f"X-Profit-Info: {'x' * 60_000}")), "applied"),
]

EMPTY = [
    Case("200", replies(200), "applied"),
    Case("201", replies(201), "applied"),
    Case("201 as XML", says(NO_RESULT.replace(b"json", b"xml; charset=utf-8")), "applied"),
    Case("204", says(b"HTTP/1.1 204 No Content\r\n\r\n"), "applied"),
    Case("no chunks", says(chunked()), "applied"),
    Case("gzip of nothing", packed(gzip.compress(b"")), "applied"),
    Case("white space", says(framed(b"\r\n")), "applied"),
    Case("empty results", says(framed(b'{"results":{}}')), "applied"),
    Case("no results", says(framed(b'{"results":null}')), "applied"),
]

NOT_THE_SERVICE = [
    Case("HTML", says(framed(HTML, "Content-Type: text/html")), "unknown"),
    Case("HTML as JSON", says(framed(HTML)), "unknown"),
    Case("HTML in gzip", packed(gzip.compress(HTML)), "unknown"),
    Case("HTML, cut", says(framed(HTML, "Content-Type: text/html")[:-9], "fin"), "unknown"),
    Case(
        "HTML, no byte of it",
        says(head("Content-Length: 90").replace(b"application/json", b"text/html"), "fin"),
        "unknown",
    ),
    Case("text", says(framed(b"OK", "Content-Type: text/plain")), "unknown"),
    Case("a JSON text", says(framed(b'"OK"')), "unknown"),
    Case("a JSON number", says(framed(b"1")), "unknown"),
    Case("null", says(framed(b"null")), "unknown"),
    Case("XML", says(framed(b"<results/>", "Content-Type: application/xml")), "unknown"),
    Case("refusal under 200", replies(200, profit("Het veld is verplicht")), "unknown"),
    Case("refusal under 201", replies(201, profit("Het veld is verplicht")), "unknown"),
    # aiohttp drops a response with garbage after it, and then does not report its status.
    Case("garbage behind it", says(lambda body: framed(body) + b"more"), "unknown"),
    Case("length of less than there is", says(lambda body: head("Content-Length: 30") + body), "unknown"),
    *(Case(f"status {status}", replies(status, RESULT), "unknown") for status in (202, 203, 205, 206, 207, 226)),
]


@pytest.mark.sampled(4)
@table_of(LOST)
@every_method
async def test_lost(case: Case, method: str) -> None:
    """A success stays a success, whatever happens to its body, and the write is not repeated for its keys."""
    found = await meets(case, method)
    assert found.seconds < 10


@pytest.mark.sampled(4)
@table_of(WHOLE)
@every_method
async def test_whole(case: Case, method: str) -> None:
    """A whole body gives the keys, whatever its framing, packing and type."""
    found = await meets(case, method)
    assert found.result is not None
    assert found.result.keys == KEYS
    assert found.result.raw.strip().removeprefix(b"\xef\xbb\xbf") == RESULT


@pytest.mark.sampled(3)
@table_of(EMPTY)
@every_method
async def test_empty(case: Case, method: str) -> None:
    """Half of the connectors return no key: a complete empty body is a success without keys."""
    found = await meets(case, method)
    assert found.result is not None
    assert found.result.keys == ()


@pytest.mark.sampled(3)
@table_of(NOT_THE_SERVICE)
@every_method
async def test_not_the_service(case: Case, method: str) -> None:
    """A success that does not look like the service's may come from elsewhere: the outcome is unknown."""
    found = await meets(case, method)
    assert found.unknown.stage == "answered"


async def test_a_refusal_under_success_is_told() -> None:
    """The error has the service's message, without terminal control characters."""
    refusal = b'{"externalMessage":"\\u001b[31mGeen \\u202erechten","errorNumber":7,"profitLogReference":"REF1"}'
    found = await meets(Case("", replies(200, refusal), "unknown"))
    assert "\\u001b[31mGeen \\u202erechten" in found.unknown.reason
    assert "REF1" in found.unknown.reason


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "encoding", ["deflate", "br", "zstd", "compress", "gzip, gzip", "identity, gzip", "unheard-of"]
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
async def test_unasked_encodings(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    """An encoding that was not offered hides the keys, not the success."""
    await meets(Case("", says(framed(pack(RESULT), f"Content-Encoding: {encoding}")), "lost"))


async def test_gzip_cut_at_every_byte() -> None:
    """Wherever a gzip stream ends inside correct framing, the write is applied and its keys are lost."""
    at = 0

    async def cut(connection: Connection, _: Received) -> None:
        await connection.send(framed(PACKED[:at], GZIP))

    async with RawServer(cut) as server, client(server) as afas:
        for number, at in enumerate([*range(0, len(PACKED), by_default(3, 1)), len(PACKED)]):
            result = await WRITES["POST"](afas)
            assert result.result_lost == (at < len(PACKED)), at
            assert len(server.requests) == number + 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize("gzipped", [False, True])
async def test_every_split(*, gzipped: bool) -> None:
    """A response may arrive in two pieces, cut anywhere."""
    whole = framed(PACKED, GZIP) if gzipped else framed(RESULT)
    at = 0

    async def split(connection: Connection, _: Received) -> None:
        await connection.send(whole[:at])
        await asyncio.sleep(0.001)
        await connection.send(whole[at:])

    async with RawServer(split) as server, client(server) as afas:
        for at in range(0, len(whole), by_default(4, 1)):
            assert (await WRITES["PUT"](afas)).keys == KEYS, at


@pytest.mark.sampled(2)
@pytest.mark.parametrize("status", ["200 OK", "500 Reason"])
async def test_bomb(status: str) -> None:
    """A small body that unpacks to a huge one is stopped long before it is unpacked."""
    packer = zlib.compressobj(wbits=31)
    start = b'{"results":{"KnSubject":{"SbId":"' + bytes(1 << 20)
    bomb = (
        packer.compress(start)
        + b"".join(packer.compress(bytes(1 << 20)) for _ in range(by_default(70, 200)))
        + packer.flush()
    )
    # Debug mode reports slow steps with what they returned, which here takes more memory than all else.
    asyncio.get_running_loop().slow_callback_duration = 60
    async with Desk(says(framed(bomb, GZIP, status=status))) as server:
        tracemalloc.start()
        try:
            found = await write(server)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert found.verdict == ("lost" if status == "200 OK" else "unknown")
    assert len(found.requests) == 1
    assert peak < 64 << 20


async def test_endless_body() -> None:
    """A success whose body does not end is cut off at a limit, in bounded memory."""
    sent = 0

    async def endless(connection: Connection, _: Received) -> None:
        nonlocal sent
        await connection.send(head())
        while sent < 1 << 30:
            await connection.send(b"{" + bytes(1 << 20))
            sent += 1 << 20

    found = await meets(Case("", endless, "lost"))
    assert sent < 64 << 20
    assert found.result is not None
    assert len(found.result.raw) < 32 << 20


# Python 3.12 and later read ten times as deep.
@pytest.mark.parametrize("depth", [1_000 if sys.version_info < (3, 12) else 20_000, 1_000_000])
@pytest.mark.parametrize("nesting", [b"[", b'{"a":'])
async def test_depth(depth: int, nesting: bytes) -> None:
    """Nesting far deeper than any real response causes no recursion, and the write stays applied."""
    await meets(Case("", says(framed(nesting * depth + b"1" + (b"]" if nesting == b"[" else b"}") * depth)), "lost"))
