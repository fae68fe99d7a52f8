"""Success responses with the wrong content: rows 41 to 54 of the fault matrix."""

from __future__ import annotations

import codecs
import gzip
import json
import random
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from afas_async import AfasError, AnswerError, AnswerLostError, BusinessError, GetConnector, PagingError, RowError
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import (
    CONNECTOR,
    ROWS,
    TAKE,
    Case,
    Table,
    client,
    fails,
    framed,
    mends,
    page_of,
    read,
    read_until_error,
    replies,
    says,
    table_of,
)
from tests.support.thoroughness import by_default

HTML = b"<!DOCTYPE html><html><head><style>p { color: red }</style></head><body>[Maintenance], sorry</body></html>"


class Row(msgspec.Struct):
    Id: int
    Name: str = ""


class Priced(Row):
    Price: float = 0.0


def _changed(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(body: bytes) -> bytes:
        assert old in body
        return framed(body.replace(old, new, 1))

    return change


def _rows(value: str) -> Callable[[bytes], bytes]:
    return lambda body: framed(body[: body.index(b"[")] + value.encode() + b"}")


def _reordered(**changes: Any) -> Callable[[bytes], bytes]:
    """Return the body with members changed, and `rows` first, so that the wrong member comes last."""

    def change(body: bytes) -> bytes:
        envelope = json.loads(body)
        return framed(json.dumps({"rows": envelope.pop("rows"), **envelope, **changes}).encode())

    return change


NO_ANSWER = [
    Case("empty", replies(200), AnswerLostError, 4),
    Case("blank", replies(200, b" \r\n"), AnswerLostError, 4),
    Case("HTML", says(framed(HTML)), AnswerError, 3),
    Case("HTML as text/html", says(framed(HTML, "Content-Type: text/html")), AnswerError, 3),
    Case("a list", replies(200, b"[]"), AnswerError, 3),
    Case("a string", replies(200, b'"rows"'), AnswerError, 3),
    Case("another object", replies(200, b'{"version":"1"}'), AnswerError, 3),
    Case("cut at a brace", says(lambda body: framed(body[:-1])), AnswerLostError, 4),
    Case("text behind", says(lambda body: framed(body + b" and more")), AnswerError, 3),
    Case("UTF-16", says(lambda body: framed(body.decode().encode("utf-16"))), AnswerError, 3),
    Case("UTF-16 without a mark", says(lambda body: framed(body.decode().encode("utf-16-le"))), AnswerError, 3),
]

ENVELOPES = [
    Case("two documents", says(lambda body: framed(body * 2)), AnswerError, 1),
    Case("rows twice", says(_changed(b'"rows"', b'"rows":[],"rows"')), AnswerError, 1),
    Case("rows twice, the second behind", says(lambda body: framed(body[:-1] + b',"rows":[]}')), AnswerError, 1),
    Case("rows an object", says(_rows("{}")), AnswerError, 1),
    Case("rows an object of rows", says(_rows('{"0":{"Id":10}}')), AnswerError, 1),
    Case("rows a number", says(_rows("3")), AnswerError, 1),
    Case("rows a string", says(_rows('"[]"')), AnswerError, 1),
    Case("no row between commas", says(_changed(b"},{", b"},,{")), AnswerError, 1),
    Case("comma behind the last row", says(_changed(b"]}", b",]}")), AnswerError, 1),
]

OTHER_STATUSES = [202, 203, 204, 206]


@pytest.mark.sampled(2)
@table_of(NO_ANSWER)
@pytest.mark.parametrize("page", [0, 1])
async def test_mended(case: Case, page: int) -> None:
    """A response that is not valid is requested again, and costs no row."""
    await mends(case.fault, page=page)


@table_of(NO_ANSWER)
async def test_permanent(case: Case) -> None:
    """A response that stays invalid is an error after a bounded number of requests, never an empty table."""
    await fails(case.fault, case.error, requests=case.requests)
    await fails(case.fault, case.error, requests=case.requests, page=1)


@table_of(ENVELOPES)
async def test_wrong_envelope(case: Case) -> None:
    """An envelope that is not as documented is an error, never fewer rows, and is not requested again."""
    await fails(case.fault, case.error, requests=case.requests, page=1)


@pytest.mark.parametrize("status", OTHER_STATUSES)
async def test_other_successes(status: int) -> None:
    """A success status that is not documented for GET is an error, even with the right body. It is not repeated."""
    reply = says(lambda body: framed(b"" if status == 204 else body, status=f"{status} Reason"))
    await fails(reply, AnswerError, requests=1)


async def test_no_content_with_a_body() -> None:
    """A 204 with a body is an error: the bytes after its head belong to no response."""
    fault = says(lambda body: framed(body, status="204 No Content"))
    await fails(fault, AnswerError, requests=range(1, 4))
    async with Table(fault, times=1, page=1) as server:
        rows, _ = await read_until_error(server, max_retries=0)
        assert rows == ROWS[:TAKE]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("value", ["[1]", '["row"]', "[null]", "[[]]", '[{"Id":0},7]'])
@pytest.mark.parametrize("row_type", [dict, Row, msgspec.Raw])
async def test_row_is_no_object(value: str, row_type: type[Any]) -> None:
    """A row that is not an object is a RowError with its place, and is not requested again."""
    connector = GetConnector("X", row_type, key="Id")
    async with Table(says(_rows(value)), page=1) as server:
        rows, error = await read_until_error(server, connector=connector)
    assert isinstance(error, RowError)
    assert (len(rows), error.index, error.page) == (10, value.count("{"), 1)
    assert server.asked[1] == 1


@pytest.mark.parametrize("window", [1, 3])
async def test_row_error_tells_the_page(window: int) -> None:
    """A RowError names page and row, also for a prefetched page, which begins with a row of the previous one."""
    error = await fails(says(_changed(b'"Id":23', b'"Id":+3')), RowError, requests=1, page=2, window=window)
    assert isinstance(error, RowError)
    assert (error.page, error.index, error.path) == (2, 4, "$.rows[4]")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "01", "+1", "0x1", "1e", ".", "-", "1.", "9" * 5_000]
)
@pytest.mark.parametrize("row_type", [dict, Row])
async def test_no_numbers(number: str, row_type: type[Any]) -> None:
    """A number that is not valid JSON is a RowError with its place, and is not requested again."""
    fault = says(_changed(b'"Id":13', b'"Id":' + number.encode()))
    async with Table(fault, page=1) as server:
        _, error = await read_until_error(server, connector=GetConnector("X", row_type, key="Id"))
    assert isinstance(error, RowError)
    assert (error.index, error.page) == (4, 1)
    assert error.path.startswith("$.rows[4]")
    assert server.asked[1] == 1


@pytest.mark.filterwarnings("ignore::afas_async.SchemaDriftWarning")  # no other row has a price
async def test_huge_number() -> None:
    """A number beyond the range of a float never becomes infinite."""
    fault = says(_changed(b'"Id":13', b'"Price":1e999,"Id":13'))
    async with Table(fault, page=1) as server:
        _, error = await read_until_error(server, connector=GetConnector("X", Priced, key="Id"))
        assert isinstance(error, RowError)
        assert (await read(server))[13]["Price"] == Decimal("1e999")


async def test_bare_decimals() -> None:
    """Decimals without a leading zero, as Profit 6 wrote them, are read; a text that looks like one is left alone."""
    fault = says(_changed(b'"Id":13,', b'"Price":-.5,"Tax":.21,"Text":":.5,-.5","Id":13,'))
    async with Table(fault, page=1) as server:
        row = (await read(server))[13]
    assert (row["Price"], row["Tax"], row["Text"]) == (Decimal("-0.5"), Decimal("0.21"), ":.5,-.5")


BAD_TEXT = {
    "latin-1": "é".encode("latin-1"),
    "overlong": b"\xc0\xaf",
    "surrogate in UTF-8": b"\xed\xa0\x80",
    "lone surrogate": b"\\ud800",
    "cut in a character": b"\xe2\x82",
    "control character": b"\x01",
    "bad escape": b"\\x",
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("kind", BAD_TEXT)
@pytest.mark.parametrize("row_type", [dict, Row])
async def test_bad_text(kind: str, row_type: type[Any]) -> None:
    """Text that is not UTF-8 is a RowError with the row, and is not requested again."""
    fault = says(_changed(b"Row 13", b"Row " + BAD_TEXT[kind]))
    async with Table(fault, page=1) as server:
        rows, error = await read_until_error(server, connector=GetConnector("X", row_type, key="Id"))
    assert isinstance(error, RowError)
    assert (error.index, error.page) == (4, 1)
    assert len(rows) <= 13
    assert server.asked[1] == 1


TOLERATED = {
    "byte order mark": lambda body: framed(codecs.BOM_UTF8 + body),
    "text/plain": lambda body: framed(body, "Content-Type: text/plain"),
    "no content type": lambda body: b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
    "xml": lambda body: framed(body, "Content-Type: application/xml; charset=utf-8"),
    "other members": lambda body: framed(b'{"more":{"rows":[{"Id":666}]},' + body[1:-1] + b',"and":[1,{}]}'),
    "white space": lambda body: framed(json.dumps(json.loads(body), indent=3).replace("\n", "\r\n").encode()),
    "rows first": _reordered(),
    "escaped names": lambda body: framed(body.replace(b'"rows"', b'"\\u0072ows"')),
    "skip as text": _reordered(skip="0"),
    "201": lambda body: framed(body, status="201 Created"),
}


@pytest.mark.parametrize("kind", TOLERATED)
async def test_tolerated(kind: str) -> None:
    """A deviation from the documentation that does not change the rows is read, with one request."""
    async with Table(says(TOLERATED[kind]), page=1) as server:
        assert await read(server) == ROWS
        assert server.asked[1] == 1


@pytest.mark.sampled(2)
@pytest.mark.parametrize("skip", [1, 9, 10, 20, -1])
@pytest.mark.parametrize("where", ["before", "behind"])
async def test_another_skip(skip: int, where: str) -> None:
    """A response for another `skip` is a PagingError, and is not requested again."""
    change = _changed(b'"skip":0', b'"skip":%d' % skip) if where == "before" else _reordered(skip=skip)
    await fails(says(change), PagingError, requests=1, page=1)


@pytest.mark.parametrize("surplus", [1, 2, 5, 15])
async def test_more_rows_than_asked_for(surplus: int) -> None:
    """More rows than `take` are a PagingError: the server did not read the request."""
    more = b"".join(b',{"Id":%d,"Name":"more"}' % number for number in range(surplus))
    await fails(says(_changed(b"]}", more + b"]}")), PagingError, requests=1, page=1)


async def test_another_skip_behind_the_last_row() -> None:
    """A response for another `skip` is an error, even if the caller has all its rows by then."""
    other = _reordered(skip=10)
    # The text of the last row is taken for a boundary at first, so the list is read to its end in one go.
    async with Table(says(lambda body: other(body.replace(b"Row 19", b"},{"))), page=1) as server:
        _, error = await read_until_error(server)
    assert isinstance(error, PagingError)
    assert server.asked == {0: 1, 1: 1}


@pytest.mark.parametrize("cap", [1, 3, 7])
async def test_silent_cap(cap: int) -> None:
    """A server that silently returns fewer rows than requested costs requests, and no row."""

    def capped(body: bytes) -> bytes:
        envelope = json.loads(body)
        envelope["rows"] = envelope["rows"][:cap]
        return framed(json.dumps(envelope).encode())

    async with RawServer(says(capped)) as server:
        assert await read(server) == ROWS
        assert await read(server, window=5) == ROWS


@pytest.mark.parametrize(
    "body",
    [
        b'{"externalMessage":"No rights","errorNumber":7,"profitLogReference":"REF1"}',
        b'{"profitLogReference":"REF1","errorNumber":7,"externalMessage":"No rights"}',
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/xml"])
async def test_refusal_under_success(body: bytes, content_type: str) -> None:
    """Profit's refusal under a success status is the refusal, with its facts, and is not requested again."""
    fault = says(framed(body, f"Content-Type: {content_type}"))
    error = await fails(fault, BusinessError, requests=1, page=1)
    assert isinstance(error, BusinessError)
    assert (error.message, error.error_number, error.log_reference) == ("No rights", 7, "REF1")
    assert (error.status, error.connector, error.attempts) == (200, "X", 1)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("depth", [by_default(30_000, 100_000), by_default(60_000, 1_000_000)])
@pytest.mark.parametrize("where", ["row", "rows", "envelope"])
async def test_depth(depth: int, where: str) -> None:
    """Nesting far deeper than any real response is an error, not a recursion."""
    deep = b"[" * depth + b"]" * depth
    body = {
        "row": b'{"skip":0,"take":10,"rows":[{"Id":0,"Name":%b}]}',
        "rows": b'{"skip":0,"take":10,"rows":%b}',
        "envelope": b'{"skip":0,"take":10,"more":%b,"rows":[]}',
    }[where]
    async with Table(replies(200, body % deep)) as server:
        rows, error = await read_until_error(server)
    assert rows == []
    assert isinstance(error, AnswerError)
    assert len(server.requests) <= 3


async def test_endless_string() -> None:
    """A row without end is abandoned at a limit, before memory runs out."""
    endless = b'{"skip":0,"take":10,"rows":[{"Id":0,"Name":"' + b"x" * (20 << 20)
    async with Table(says(framed(endless))) as server, client(server, max_retries=0) as afas:
        with pytest.raises(AnswerError, match="longer than") as raised:
            await afas.rows(CONNECTOR, take=TAKE).to_list()
    assert isinstance(raised.value, AfasError)


# Many slices long, and hard to pack.
LONG = [{"Id": number, "Name": random.Random(number).randbytes(500).hex()} for number in range(1_000)]  # noqa: S311


async def test_damage_in_a_long_page() -> None:
    """Damage in the middle of a response, after the caller got rows of it, ends the read: they may be wrong too."""

    def damaged(_: bytes) -> bytes:
        text = json.dumps({"skip": 0, "take": 1_000, "rows": LONG}).encode()
        packer = zlib.compressobj(wbits=31)
        packed = packer.compress(text[: len(text) // 2]) + packer.flush(zlib.Z_SYNC_FLUSH)
        return framed(packed + b"\x07" + bytes(100_000), "Content-Encoding: gzip")  # no such kind of block

    async with Table(says(damaged), times=1, rows=LONG) as server:
        rows, error = await read_until_error(server, take=1_000, window=1)
        assert isinstance(error, AnswerError)
        assert 300 < len(rows) < 700
        assert rows == LONG[: len(rows)]
        assert [request.query["skip"] for request in server.requests].count("0") == 1


async def test_wrong_checksum_of_a_long_page() -> None:
    """A wrong checksum ends the read if the caller got rows of the body: any of them may be wrong."""

    def damaged(_: bytes) -> bytes:
        text = json.dumps({"skip": 0, "take": 1_000, "rows": LONG}).encode()
        packed = gzip.compress(text.replace(b'"Id": 500', b'"Id": 600'))
        return framed(packed[:-8] + gzip.compress(text)[-8:], "Content-Encoding: gzip")

    async with Table(says(damaged), times=1, rows=LONG) as server:
        _, error = await read_until_error(server, take=1_000)
        assert isinstance(error, AnswerError)


@pytest.mark.parametrize("connector", [CONNECTOR, GetConnector("X", Row, key="Id")], ids=["dict", "Struct"])
async def test_wrong_row_in_a_long_page(connector: GetConnector[Any]) -> None:
    """A wrong row in the middle of a page ends the read there: the caller gets no later row."""

    def wrong(_: bytes) -> bytes:
        return framed(json.dumps({"skip": 0, "take": 1_000, "rows": LONG}).replace('"Id": 500', '"Id": 5e').encode())

    async with Table(says(wrong), rows=LONG) as server:
        rows, error = await read_until_error(server, take=1_000, connector=connector)
        assert isinstance(error, RowError)
        assert error.index == 500
        assert len(rows) <= 500
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer", ['{{"skip":{skip},"take":7,"rows":{rows}}}', '{{"skip":{skip},"take":{take},"rows":null}}']
)
async def test_an_odd_answer_is_asked_for_once_more(answer: str) -> None:
    """An odd response may belong to another request. A constant other `take` is retried only once."""
    always_odd = "7" in answer
    seen: list[str] = []

    async def odd(connection: Connection, received: Received) -> None:
        query = dict(received.query)
        rows = json.loads(page_of(received))["rows"]
        if always_odd or not seen:
            await connection.answer(answer.format(**query, rows=json.dumps(rows)).encode())
        else:
            await connection.answer(page_of(received))
        seen.append(str(query))

    async with RawServer(odd) as server:
        assert await read(server, window=1) == ROWS
    assert len(seen) - len(set(seen)) == 1
