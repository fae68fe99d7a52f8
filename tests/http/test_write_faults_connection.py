"""Writes whose connection breaks or that get no HTTP: rows 6, 12-26, 40, 41, 54, 55 and 89 of the fault matrix."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from afas_async import AfasClient, OutcomeUnknownError
from afas_async.http.events import Event
from tests.support.heard import attempts
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import End, chunk, client, end, framed, head
from tests.support.thoroughness import by_default
from tests.support.write_table import (
    BODIES,
    KEYS,
    NO_RESULT,
    OK,
    RESULT,
    WRITES,
    Case,
    Desk,
    Verdict,
    after,
    check_unknown,
    every_method,
    meets,
    says,
    table_of,
    write,
)

CHUNKED = head("Transfer-Encoding: chunked")

LOST = [
    Case("fin after the request", says(b"", "fin"), "unknown"),
    Case("rst after the request", says(b"", "rst"), "unknown"),
    Case("100 continue, then fin", says(b"HTTP/1.1 100 Continue\r\n\r\n", "fin"), "unknown"),
    Case("100 continue, then rst", says(b"HTTP/1.1 100 Continue\r\n\r\n", "rst"), "unknown"),
    Case("part of the status line", says(b"HTTP/1.1 20", "fin"), "unknown"),
    Case("status line only", says(b"HTTP/1.1 201 Created\r\n", "fin"), "unknown"),
    Case("status line only, then rst", says(b"HTTP/1.1 201 Created\r\n", "rst"), "unknown"),
    Case("half the headers, then fin", says(head(status="201 Created")[:-12], "fin"), "unknown"),
    Case("half the headers, then rst", says(head(status="201 Created")[:-12], "rst"), "unknown"),
    Case("error status line only", says(b"HTTP/1.1 500 Reason\r\n", "fin"), "unknown"),
    Case("refusal status line only", says(b"HTTP/1.1 401 Reason\r\n", "fin"), "unknown"),
]

NO_HTTP = [
    Case("garbage", says(b"\x00\x01garbage that is no HTTP\r\n\r\n", "fin"), "unknown"),
    Case("another protocol", says(b"SSH-2.0-OpenSSH_9.6\r\n", "fin"), "unknown"),
    Case("header of 100 kB", says(lambda body: framed(body, f"X-Long: {'x' * 100_000}")), "unknown"),
    Case("129 headers", says(lambda body: framed(body, *(f"X-{n}: 1" for n in range(129)))), "unknown"),
    Case("length and chunks", says(lambda body: framed(body, "Transfer-Encoding: chunked"), "fin"), "unknown"),
    Case("two lengths", says(lambda body: framed(body, f"Content-Length: {len(body) - 1}"), "fin"), "unknown"),
    Case("negative length", says(head("Content-Length: -5"), "fin"), "unknown"),
    Case("bad chunk size", says(CHUNKED + b"xyz\r\n", "fin"), "unknown"),
]

SILENT = [
    Case("silence", says(b"", "hold"), "unknown"),
    Case("100 continue, then silence", says(b"HTTP/1.1 100 Continue\r\n\r\n", "hold"), "unknown"),
    Case("interim answers without end", says(b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000, "hold"), "unknown"),
    Case("status line, then silence", says(b"HTTP/1.1 201 Created\r\n", "hold"), "unknown"),
    Case("success, then silence", says(head("Content-Length: 40", status="201 Created"), "hold"), "lost"),
    Case("half a result, then silence", says(lambda body: framed(body)[:-9], "hold"), "lost"),
    Case("chunked result without an end", says(lambda body: CHUNKED + chunk(body), "hold"), "lost"),
]


@pytest.mark.sampled(3)
@table_of(LOST + NO_HTTP)
@every_method
async def test_never_again(case: Case, method: str) -> None:
    """A write whose response is lost or invalid is unknown, and reaches the server once."""
    found = await meets(case, method)
    assert found.unknown.stage == ("answered" if case in NO_HTTP else "sent")
    assert found.seconds < 10


@pytest.mark.sampled(3)
@table_of(SILENT)
@every_method
@pytest.mark.parametrize("timeout", [1.0, 5_000.0])
async def test_silence(case: Case, method: str, timeout: float) -> None:
    """The wait for a response exceeds the service's own limit; the rest of a success gets half a minute.

    The client's time-out changes neither.
    """
    found = await meets(case, method, timeout=timeout)
    seconds = 30 if case.verdict == "lost" else 960
    assert seconds <= found.seconds < seconds + 2
    assert found.failure is None or found.unknown.stage == "sent"


@pytest.mark.sampled(2)
@every_method
@pytest.mark.parametrize("seconds", [6.0, 300.0, 900.0, 959.0])
async def test_late_answers(method: str, seconds: float) -> None:
    """A response within 960 seconds counts, also long after the client's time-out."""
    found = await meets(Case("", after(seconds, OK), "applied"), method, timeout=5)
    assert seconds <= found.seconds < seconds + 1
    assert found.result is not None
    assert found.result.keys == KEYS


async def test_too_late_an_answer() -> None:
    """A later response changes nothing, and is not taken for that of the next write."""
    async with Desk(after(961, OK), times=1) as server, client(server, timeout=5) as afas:
        with pytest.raises(OutcomeUnknownError, match="960 s"):
            await afas.insert("KnSubject", {"StId": 1, "Ds": "Café €"})
        await asyncio.sleep(2)
        assert (await afas.delete("KnSubject", key={"SbId": 201})).keys == KEYS
        assert [received.method for received in server.requests] == ["POST", "DELETE"]


async def test_times_of_an_unknown_write() -> None:
    """The error states when the write was sent, not when the caller started it or gave it up."""
    before = datetime.now(UTC)
    async with Desk(says(b"", "fin")) as server:
        error = (await write(server)).unknown
    assert before <= error.sent_at <= datetime.now(UTC)
    assert error.quiet_until == error.sent_at + timedelta(minutes=16)


@pytest.mark.parametrize("how", ["fin", "rst"])
@every_method
async def test_accept_then_close(how: End, method: str) -> None:
    """A plain connection that closes once it stands may have carried the write: unknown, and not repeated."""

    async def close(connection: Connection) -> None:
        await end(connection, how)

    async with Desk(on_connect=close) as server:
        found = await write(server, method)
        assert (found.verdict, server.connections) == ("unknown", 1)


@every_method
async def test_answer_byte_by_byte(method: str) -> None:
    """A response may arrive byte by byte."""

    async def trickle(connection: Connection, _: Received) -> None:
        for byte in framed(RESULT, status="201 Created"):
            await connection.send(bytes([byte]))
            await asyncio.sleep(0)

    found = await meets(Case("", trickle, "applied"), method)
    assert found.result is not None
    assert found.result.keys == KEYS


@pytest.mark.parametrize(
    ("of_head", "of_body", "verdict"), [(900, 29, "applied"), (900, 31, "lost"), (5, 600, "lost"), (962, 1, "unknown")]
)
async def test_slow_loris(of_head: float, of_body: float, verdict: Verdict) -> None:
    """The wait for a response that trickles is as long as for a silent one, however active its connection is."""
    start, many = head(f"Content-Length: {len(RESULT)}", status="201 Created"), by_default(5, 1)

    async def trickle(connection: Connection, _: Received) -> None:
        for part, seconds in ((start, of_head), (RESULT, of_body)):
            for place in range(0, len(part), many):
                await asyncio.sleep(seconds * len(part[place : place + many]) / len(part))
                await connection.send(part[place : place + many])

    found = await meets(Case("", trickle, verdict))
    expected = {"applied": of_head + of_body, "lost": of_head + 30, "unknown": 960}[verdict]
    assert expected <= found.seconds < expected + 2


async def test_the_first_limit_counts() -> None:
    """The half minute for a body adds no time to a response that begins late."""
    found = await meets(Case("", after(950, says(head("Content-Length: 40"), "hold")), "lost"))
    assert 960 <= found.seconds < 962


async def test_event_of_a_body_that_does_not_come() -> None:
    """The event reports a failed attempt, with the limit that has passed; the slot is free at once."""
    events: list[Event] = []
    silent = says(head("Content-Length: 40"), "hold")
    async with Desk(silent, times=1) as server, client(server, on_event=events.append, max_concurrency=1) as afas:
        lost, whole = await asyncio.gather(WRITES["POST"](afas), WRITES["POST"](afas))
    assert (lost.result_lost, whole.result_lost, whole.keys) == (True, False, KEYS)
    failed, answered = attempts(events)
    assert (failed.kind, answered.kind) == ("failed", "answered")
    assert failed.seconds == pytest.approx(30, abs=1)
    assert failed.error == "RequestTimeoutError"
    assert answered.waited == pytest.approx(30, abs=1)


async def test_informational_flood() -> None:
    """A thousand interim responses cost one request, and the final response counts."""
    flood = b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000
    await meets(Case("", says(lambda body: flood + framed(body)), "applied"))


@pytest.mark.sampled(3)
@every_method
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("framing", ["length", "chunks", "none"])
async def test_cut_at_every_byte(method: str, how: End, framing: str) -> None:
    """Wherever a response is cut: unknown before its head is complete, applied afterwards, one request each time."""
    start, body = {
        "length": (head(f"Content-Length: {len(RESULT)}"), RESULT),
        "chunks": (CHUNKED, chunk(RESULT) + b"0\r\n\r\n"),
        "none": (head(), RESULT),
    }[framing]
    whole = start + body
    cut = 0

    async def cut_once(connection: Connection, _: Received) -> None:
        await connection.send(whole[:cut])
        await end(connection, how)

    async with Desk(cut_once) as server, client(server) as afas:
        edges = {len(start) - 1, len(start), len(whole) - 1, len(whole)}
        for cut in sorted({*range(0, len(whole), by_default(9, 1)), *edges}):
            server.requests.clear()
            try:
                result = await WRITES[method](afas)
            except OutcomeUnknownError as error:
                check_unknown(error)
                assert cut < len(start), cut
            else:
                assert cut >= len(start), cut
                assert result.raw == RESULT[: len(result.raw)]
                if cut < len(whole) and framing != "chunks":
                    assert result.result_lost, cut
                if not result.result_lost:
                    assert result.keys == (KEYS if result.raw else ()), cut
            assert len(server.requests) == 1, cut


# --- connections ---


@every_method
@pytest.mark.parametrize("how", ["fin", "rst"])
async def test_never_on_a_used_connection(method: str, how: End) -> None:
    """A write never uses the connection of an earlier read or write, as the server may just be closing it."""

    async def close_after_the_first(connection: Connection, received: Received) -> None:
        await connection.answer(b'{"skip":0,"take":100,"rows":[]}' if received.method == "GET" else RESULT)
        await asyncio.sleep(0.001)
        await end(connection, how)

    async with RawServer(close_after_the_first) as server, client(server) as afas:
        rounds = by_default(3, 5)
        for _ in range(rounds):
            await afas.page("X")
            assert (await WRITES[method](afas)).keys == KEYS
        connections = [received.connection for received in server.requests if received.method == method]
        assert len(set(connections)) == rounds
        assert not {received.connection for received in server.requests if received.method == "GET"} & {*connections}


@every_method
async def test_connections_are_closed_by_the_client(method: str) -> None:
    """The client closes the connection of a write after it, and never asks the server to."""
    closed: list[int] = []

    async def answer(connection: Connection, _: Received) -> None:
        await connection.answer(RESULT)
        if await connection.reader.read() == b"":
            closed.append(connection.number)

    async with RawServer(answer) as server, client(server) as afas:
        for number in range(1, 4):
            await WRITES[method](afas)
            await asyncio.sleep(0.1)
            assert closed == list(range(1, number + 1))
        assert all("connection" not in received.headers for received in server.requests)


@pytest.mark.sampled(4)
@every_method
@pytest.mark.parametrize("after_a_read", [False, True])
@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"])
async def test_sent_once(method: str, how: End, sent: bytes, *, after_a_read: bool) -> None:
    """A write reaches the server once, with retries allowed, on whatever connection it breaks."""

    async def script(connection: Connection, received: Received) -> None:
        if received.method == "GET":
            await connection.answer(b'{"skip":0,"take":100,"rows":[]}')
        else:
            await connection.send(sent)
            await end(connection, how)

    async with RawServer(script) as server, client(server, max_retries=5) as afas:
        if after_a_read:
            await afas.page("X")
        with pytest.raises(OutcomeUnknownError):
            await WRITES[method](afas)
        await asyncio.sleep(100)
        assert [received.method for received in server.requests].count(method) == 1
        assert afas.statistics().retries == 0


async def test_extra_bytes_are_no_answer() -> None:
    """Bytes after a response never reach the next write."""
    smuggled = says(lambda body: framed(body) + framed(b'{"results":{"KnSubject":{"SbId":"666"}}}'))
    async with Desk(smuggled) as server, client(server) as afas:
        for _ in range(3):
            assert (await afas.insert("KnSubject", {"StId": 1, "Ds": "Café €"})).keys == KEYS
        assert len({received.connection for received in server.requests}) == 3


@every_method
async def test_a_router_that_forgets(method: str) -> None:
    """A flow that a device on the way drops in both directions ends with an unknown outcome."""
    async with Desk(after(10, OK)) as server:
        port = int(server.base_url.rpartition(":")[2].removesuffix("/rest"))

        async def forget(connection: Connection) -> None:
            _, there = await asyncio.open_connection("127.0.0.1", port)
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while data := await connection.reader.read(1 << 16):
                        there.write(data)
            await connection.reader.read()
            there.close()

        async with RawServer(OK, on_connect=forget) as router:
            found = await write(server, method, base_url=router.base_url)
    assert (found.verdict, len(found.requests)) == ("unknown", 1)
    assert 960 <= found.seconds < 962


async def test_limit() -> None:
    """Reads and writes share one limit, and a write that waits for its turn is not sent yet."""

    async def slowly(connection: Connection, received: Received) -> None:
        await asyncio.sleep(0.5)
        await connection.answer(b'{"skip":0,"take":100,"rows":[]}' if received.method == "GET" else RESULT)

    async def both(afas: AfasClient, number: int) -> None:
        await (afas.page("X") if number % 2 else WRITES["PUT"](afas))

    async with RawServer(slowly) as server, client(server, max_concurrency=3, timeout=1) as afas:
        await asyncio.gather(*(both(afas, number) for number in range(40)))
        assert (server.peak_in_flight, len(server.requests)) == (3, 40)
        assert {received.body for received in server.requests} == {b"", BODIES["PUT"]}


async def test_empty_results_and_late_ones() -> None:
    """A response without a body is complete with its head."""
    found = await meets(Case("", after(300, says(NO_RESULT)), "applied"), timeout=1)
    assert found.result is not None
    assert found.result.keys == ()
