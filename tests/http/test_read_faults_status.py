"""Responses with an error status: rows 41 and 56 to 70 of the fault matrix."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import Any

import pytest

from afas_async import (
    AfasError,
    ApiError,
    AuthenticationError,
    BadRequestError,
    BusinessError,
    LockedError,
    NotFoundError,
    PayloadTooLargeError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    UnavailableError,
)
from tests.support.numbered_rows import first_row
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import (
    CONNECTOR,
    LONG,
    ROWS,
    TAKE,
    Case,
    Table,
    client,
    fails,
    framed,
    head,
    mends,
    page_of,
    read,
    replies,
    says,
    table_of,
)
from tests.support.thoroughness import by_default


def profit(message: str) -> bytes:
    """Return an error body in Profit's shape."""
    return json.dumps({"externalMessage": message, "errorNumber": 30, "profitLogReference": "REF"}).encode()


def case(name: str, status: int, error: type[AfasError], requests: int, body: bytes = b"", *headers: str) -> Case:
    """Return the case of an error response."""
    return Case(f"{status}{name}", replies(status, body, *headers), error, requests)


HTML = b"<html><body><h1>Runtime Error</h1></body></html>"

FINAL = [
    *(case("", status, BadRequestError, 1) for status in (400, 405, 406, 411, 414, 415, 431)),
    case(" with a body", 400, BadRequestError, 1, b'{"message":"no"}'),
    case("", 401, AuthenticationError, 1),
    case("", 403, PermissionDeniedError, 1),
    case("", 404, NotFoundError, 1),
    case(" HTML", 404, NotFoundError, 1, HTML),
    *(case("", status, ApiError, 1) for status in (402, 407, 409, 410, 418, 451)),
    *(case("", status, ServerError, 1) for status in (501, 505)),
    case(" not modified", 304, ApiError, 1),
    case(" business message", 500, BusinessError, 1, profit("Het veld is verplicht")),
    case(" unlisted transient-looking", 500, BusinessError, 1, profit("Try again later")),
    case(" empty message", 500, BusinessError, 1, profit("")),
]

PASSING = [
    case("", 408, ApiError, 4),
    case(" HTML", 500, ServerError, 4, HTML),
    case(" empty", 500, ServerError, 4),
    case(" truncated JSON", 500, ServerError, 4, profit("Het veld is verplicht")[:30]),
    case(" other JSON", 500, ServerError, 4, b'{"message":"no"}'),
    case(" JSON, no object", 500, ServerError, 4, b'["externalMessage"]'),
    *(case("", status, ServerError, 4) for status in (502, 504, 520, 524, 599)),
    case("", 503, UnavailableError, 4),
    case(" HTML", 503, UnavailableError, 4, HTML),
    case("", 429, RateLimitError, 4),
]


@pytest.mark.sampled(2)
@table_of(FINAL)
@pytest.mark.parametrize("page", [0, 1])
async def test_final(case: Case, page: int) -> None:
    """A refusal is the error of its status at once; the request is not repeated."""
    error = await fails(case.fault, case.error, requests=1, page=page)
    assert isinstance(error, ApiError)
    assert (error.status, error.connector, error.attempts) == (int(case.name[:3]), "X", 1)


@pytest.mark.sampled(2)
@table_of(PASSING)
@pytest.mark.parametrize("page", [0, 1])
async def test_passing(case: Case, page: int) -> None:
    """A transient fault costs one more request if it passes, and is the error of its status if it stays."""
    await mends(case.fault, page=page)
    error = await fails(case.fault, case.error, requests=case.requests, page=page)
    assert isinstance(error, ApiError)
    assert (error.status, error.attempts) == (int(case.name[:3]), case.requests)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target",
    ["{base}/elsewhere", "/rest/elsewhere", "{other}/rest/connectors/X", "file:///etc/passwd", "//u:p@x.y/", ""],
)
async def test_redirects(status: int, target: str) -> None:
    """A redirect is an error, and its target is never contacted."""
    async with Table() as other, Table() as server, client(server) as afas:
        location = target.format(base=server.base_url, other=other.base_url)
        server._fault = replies(status, b"", *([f"Location: {location}"] if location else []))
        with pytest.raises(ApiError) as raised:
            await afas.page(CONNECTOR)
        assert (type(raised.value), raised.value.status) == (ApiError, status)
        assert (len(server.requests), other.connections) == (1, 0)
        assert "redirect" in raised.value.message


async def _waits(fault: Any) -> float:
    """Return how long a read waits when the first request meets a fault."""
    async with Table(fault, times=1) as server, client(server) as afas:
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert (await afas.page(CONNECTOR, take=TAKE)).rows == ROWS[:TAKE]
        assert len(server.requests) == 2
        return loop.time() - started


HALF_A_MINUTE = ("Date: Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2026 07:28:30 GMT")
THE_PAST = ("Date: Wed, 21 Oct 2026 07:28:00 GMT", "Retry-After: Wed, 21 Oct 2026 07:27:30 GMT")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "body", "least", "most"),
    [
        (["Retry-After: 20"], b"", 20, 22.1),
        (["Retry-After: 0"], b"", 0, 1.1),
        (HALF_A_MINUTE, b"", 30, 33.1),
        (THE_PAST, b"", 0, 1.1),
        (["Retry-After: -5"], b"", 0, 1.1),
        (["Retry-After: soon"], b"", 0, 1.1),
        (["Retry-After: 1e9"], b"", 0, 1.1),
        ([], b"", 0, 1.1),
        ([], b'{"retry_after": 1}', 1, 1.2),
        ([], b'{"retry_after": 20.5}', 20.5, 22.7),
        ([], b'{"retry_after": "x"}', 0, 1.1),
        ([], b'{"retry_after": -1}', 0, 1.1),
        ([], b'{"retry_after": true}', 0, 1.1),
        ([], b'{"retry_after": 1e999}', 0, 1.1),
        ([], b'{"retry_after": null}', 0, 1.1),
    ],
)
async def test_stated_wait(status: int, headers: list[str], body: bytes, least: float, most: float) -> None:
    """A wait that the service states is kept, plus a tenth at most. A senseless one is ignored."""
    assert least <= await _waits(replies(status, body, *headers)) <= most


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimitError), (503, UnavailableError)])
@pytest.mark.parametrize(
    ("headers", "body", "stated"),
    [
        (["Retry-After: 7200"], b"", 7200),
        (["Retry-After: 1000000000"], b"", 1e9),
        ([], b'{"retry_after": 7200}', 7200),
        (["Retry-After: 300"], b"", 300),
    ],
)
async def test_stated_wait_too_long(
    status: int, kind: type[ApiError], headers: list[str], body: bytes, stated: float
) -> None:
    """A stated wait that exceeds the remaining time raises at once, without waiting."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    error = await fails(replies(status, body, *headers), kind, requests=1)
    assert loop.time() - started < 1
    assert isinstance(error, ApiError)
    assert error.retry_after == stated


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (base64.b64encode("Veld é is verplicht".encode()).decode(), "Veld é is verplicht"),
        (base64.b64encode("Veld é is verplicht".encode("utf-8-sig")).decode(), "Veld é is verplicht"),
        (base64.b64encode("Veld é is verplicht".encode("cp1252")).decode(), "Veld é is verplicht"),
        (base64.b64encode("Veld é is verplicht".encode("utf-16")).decode(), "Veld é is verplicht"),
        ("No base64 at all!", "No base64 at all!"),
        (base64.b64encode(b"\x1b[31mred\x00\r\n").decode(), "\\u001b[31mred\\u0000"),
        (base64.b64encode(b"x" * 45_000).decode(), "x" * 1_997 + "..."),
    ],
    ids=["utf-8", "mark", "cp1252", "utf-16", "plain", "control", "60 kB"],
)
async def test_error_in_the_old_header(header: str, message: str) -> None:
    """Without a body, the message comes from the obsolete error header, in any encoding, made safe and short."""
    error = await fails(replies(500, b"", f"X-Profit-Error: {header}"), BusinessError, requests=1)
    assert isinstance(error, BusinessError)
    assert error.message == message


async def test_body_before_header() -> None:
    """The body takes precedence; the header is the fallback."""
    header = base64.b64encode(b"of the header").decode()
    error = await fails(replies(500, profit("of the body"), f"X-Profit-Error: {header}"), BusinessError, requests=1)
    assert isinstance(error, BusinessError)
    assert (error.message, error.error_number, error.log_reference) == ("of the body", 30, "REF")


async def test_error_body_in_gzip() -> None:
    """The message of an error is read from a gzip body too."""
    fault = says(framed(gzip.compress(profit("of the body")), "Content-Encoding: gzip", status="500 Reason"))
    error = await fails(fault, BusinessError, requests=1)
    assert isinstance(error, BusinessError)
    assert error.message == "of the body"


LOCKED = ["Het dossier is vergrendeld door JAN", "The record is LOCKED by user X", "Transaction was a Deadlock victim"]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("message", LOCKED)
@pytest.mark.parametrize("page", [0, 1])
async def test_locked(message: str, page: int) -> None:
    """A lock is retried: three refusals, seconds apart, then every row once."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    await mends(replies(500, profit(message)), page=page, requests=4, max_retries=0)
    assert loop.time() - started >= 6


async def test_locked_for_ever() -> None:
    """A lock that stays is raised after nine requests, or when the time is over."""
    error = await fails(replies(500, profit(LOCKED[0])), LockedError, requests=9)
    assert isinstance(error, BusinessError)
    assert error.attempts == 9
    await fails(replies(500, profit(LOCKED[0])), LockedError, requests=range(2, 6), timeout=10)


def _too_much(most: int, reply: Any) -> Any:
    async def script(connection: Connection, received: Received) -> None:
        if int(received.query["take"]) > most:
            await reply(connection, received)
        else:
            await connection.answer(page_of(received))

    return script


TOO_MUCH = {
    "413": (replies(413), PayloadTooLargeError),
    "out of memory": (replies(500, profit("System.OutOfMemory: Out of memory")), BusinessError),
    "out of string space": (replies(500, profit("Out of String space")), BusinessError),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", TOO_MUCH)
@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("most", [1, 2, 5])
async def test_too_much(kind: str, window: int, most: int) -> None:
    """A page that is too large is halved until it fits. No row is lost, and later pages are smaller for a while."""
    async with RawServer(_too_much(most, TOO_MUCH[kind][0])) as server:
        assert await read(server, window=window) == ROWS
        later = [int(received.query["take"]) for received in server.requests if TAKE <= first_row(received.query) < 18]
        assert later
        # Two rows at least, as one of them is the last of the page before. Some were in flight with the first page.
        assert sum(take > max(2, most) for take in later) < window


@pytest.mark.parametrize("kind", TOO_MUCH)
async def test_too_much_for_ever(kind: str) -> None:
    """A page whose single row is too large is an error."""
    await fails(*TOO_MUCH[kind], requests=range(4, 20))


async def test_too_much_within_the_window() -> None:
    """The halves of a page that is too large stay within the window, as the service is already overloaded."""

    async def slowly(connection: Connection, received: Received) -> None:
        await asyncio.sleep(1)
        await _too_much(2, TOO_MUCH["out of memory"][0])(connection, received)

    async with RawServer(slowly) as server:
        assert await read(server, window=1) == ROWS
        assert server.peak_in_flight == 1


@pytest.mark.parametrize("message", ["De maximale tijdsduur is verstreken", "The maximum duration has been exceeded"])
async def test_maximum_duration(message: str) -> None:
    """A page that exceeds the server's time is halved until it fits. A single row that exceeds it is an error."""
    fault = replies(500, profit(message))
    for most in by_default((5, 1), (5, 2, 1)):
        async with RawServer(_too_much(most, fault)) as server:
            assert await read(server) == ROWS
    await fails(fault, BusinessError, requests=range(4, 20))


async def test_unavailable_for_long() -> None:
    """An outage costs four requests for each read, not fifty."""
    await fails(replies(503), UnavailableError, requests=4, timeout=3600)


async def test_slow_text_of_an_error() -> None:
    """An error whose text does not arrive is still that error, long before the time-out."""

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


@pytest.mark.parametrize("last", [149, 199])
async def test_a_refusal_at_any_step_of_its_reader(monkeypatch: pytest.MonkeyPatch, last: int) -> None:
    """A page refused while its reader rests counts as refused, not as a response that was cut off."""
    monkeypatch.setattr("afas_async.read.pace.HOLD_SECONDS", -1)  # a rest before each step

    for steps in range(0, 120, by_default(23, 1)):

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
