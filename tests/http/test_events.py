"""What a client tells of its requests: events, log records and statistics."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from afas_async import AfasClient, AfasError, ApiError, ConnectError, F, ServerError
from afas_async.http.engine import Engine
from afas_async.http.limiter import Limiter
from afas_async.http.statistics import Event
from tests.support.canary import leaks
from tests.support.fake_transport import FakeCall, FakeTransport, after, in_turn, options
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, LONG, ROWS, TAKE, Table, client, framed, head, page_of, replies, says


async def events_of(*scripts: Any, **changes: Any) -> list[Event]:
    """Return the events of one call."""
    events: list[Event] = []
    sender = Engine(FakeTransport(in_turn(*scripts)), limiter=Limiter(1))
    await sender.send(FakeCall(), options(on_event=events.append, **changes))
    return events


async def test_kinds_and_order() -> None:
    """Each attempt is told when it has ended, and each retry before its wait."""
    events = await events_of(after(2, 502), after(1, 503, Retry_After="7"), after(3, 200, b"12345"))
    assert [(event.kind, event.attempt) for event in events] == [
        ("failed", 1),
        ("retrying", 1),
        ("failed", 2),
        ("retrying", 2),
        ("answered", 3),
    ]
    assert [event.connector for event in events] == ["X"] * 5
    assert [round(event.seconds) for event in events if event.kind != "retrying"] == [2, 1, 3]
    assert 7 <= events[3].seconds <= 7.7
    assert [type(event.error) for event in events[:2]] == [ServerError, ServerError]
    assert events[-1].error is None
    assert events[-1].bytes == 5


async def test_final_failure() -> None:
    """A failure for good is told as the failed attempt that it is."""
    events = await events_of(after(0, 404))
    assert [event.kind for event in events] == ["failed"]
    assert isinstance(events[0].error, ApiError)


async def test_no_values() -> None:
    """An event names parameters and never shows their values, nor a header, nor a body."""
    events = await events_of(after(0, 200, b"secret of the body"))
    assert events[0].request == "GET connectors/X?skip=...&take=...&orderbyfieldids=..."
    for text in ("31415", "9265", "secret", "AfasToken", "Id"):
        assert text not in repr(events)


BSN = "123456782"  # in hexadecimal digits, too, so that it is the id of a file

NAMED: dict[str, Callable[[AfasClient], Awaitable[object]]] = {
    "DELETE connectors/KnPerson/KnPerson/@BcCo/...": lambda afas: afas.delete("KnPerson", key={"BcCo": BSN}),
    "DELETE connectors/KnPerson/KnPerson/@BcCo,@X/.../KnContact/@Nr/...": lambda afas: afas.delete(
        "KnPerson", key={"BcCo": BSN, "X": 1}, sub="KnContact", sub_key={"Nr": BSN}
    ),
    "DELETE connectors/KnPerson/@BcCo,X/...": lambda afas: afas.request(
        "DELETE", f"connectors/KnPerson/@BcCo,X/{BSN},1"
    ),
    "GET fileconnector/...": lambda afas: afas.file(BSN.zfill(32), f"{BSN}.pdf"),
    "GET imageconnector/...?format=...": lambda afas: afas.image(BSN),
    "GET subjectconnector/...": lambda afas: afas.subject(BSN, BSN.zfill(32)),
    "GET connectors/X?skip=...&take=...&filterfieldids=...&filtervalues=...&operatortypes=...": lambda afas: afas.page(
        "X", where=F.BcCo == BSN
    ),
}


@pytest.mark.parametrize("shown", NAMED)
@pytest.mark.parametrize("answers", [[204], [404], [500], [503, 404], ["rst"]], ids=str)
async def test_no_values_in_paths(shown: str, answers: list[Any]) -> None:
    """Nor does an event show the key of what is deleted, or which file is asked for, however the call ends."""
    events: list[Event] = []
    left = iter(answers)

    async def answer(connection: Connection, _: Received) -> None:
        if (status := next(left, answers[-1])) == "rst":
            connection.rst()
        else:
            await connection.answer(b"", status=status, headers=("Retry-After: 1",) if status == 503 else ())

    async with RawServer(answer) as server, client(server, on_event=events.append, max_retries=1) as afas:
        with suppress(AfasError):
            await NAMED[shown](afas)
        assert all(BSN in received.target for received in server.requests)
    assert {event.request for event in events} - {""} == {shown}
    assert not any(BSN in text for event in events for text in (repr(event), str(event.error), repr(event.error)))


async def test_events_of_a_read() -> None:
    """A read tells one answer for each request, and the fault in its way, without the token."""
    events: list[Event] = []
    async with Table(replies(502), page=1, times=1) as server, client(server, on_event=events.append) as afas:
        assert await afas.rows(CONNECTOR, take=TAKE, window=1).to_list() == ROWS
    assert [event.kind for event in events] == ["answered", "failed", "retrying", "answered", "answered", "answered"]
    assert not leaks(repr(events))


async def test_fault_in_an_answer_is_told() -> None:
    """A body that turns out to be broken is told before it is asked for again."""
    events: list[Event] = []
    broken = says(lambda body: framed(body[:-50]))
    async with Table(broken, times=1) as server, client(server, on_event=events.append) as afas:
        assert (await afas.page(CONNECTOR, take=TAKE)).rows == ROWS[:TAKE]
    assert [(event.kind, event.attempt) for event in events] == [("answered", 1), ("retrying", 1), ("answered", 2)]


@pytest.mark.parametrize("error", [ValueError("in the hook"), KeyError("in the hook")])
async def test_exception_in_the_hook(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the hook is logged and costs nothing."""

    def hook(_: Event) -> None:
        raise error

    async with Table(replies(502), page=1, times=1) as server, client(server, on_event=hook) as afas:
        assert await afas.rows(CONNECTOR, take=TAKE, window=1).to_list() == ROWS
    records = [record for record in caplog.records if record.name == "afas_async" and record.levelno == logging.ERROR]
    assert len(records) == 6
    assert "in the hook" in caplog.text


async def test_hooks_of_views() -> None:
    """A view's hook hears the view's requests and no others."""
    mine: list[Event] = []
    others: list[Event] = []
    async with Table() as server, client(server, on_event=mine.append) as afas:
        view = afas.with_options(on_event=others.append)
        await view.page(CONNECTOR)
        await view.page(CONNECTOR)
        await afas.page(CONNECTOR)
    assert (len(mine), len(others)) == (1, 2)


async def test_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each retry is one record at INFO, with connector, attempt and cause; a clean read logs nothing."""
    caplog.set_level(logging.DEBUG, "afas_async")

    def ours() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.name == "afas_async"]

    async with Table() as server, client(server) as afas:
        await afas.page(CONNECTOR)
    assert ours() == []
    async with Table(replies(502), times=2) as server, client(server) as afas:
        await afas.page(CONNECTOR)
    assert [record.levelname for record in ours()] == ["INFO", "INFO"]
    assert all("X: attempt" in record.getMessage() and "502" in record.getMessage() for record in ours())


async def test_statistics() -> None:
    """Statistics count requests, retries, rows and bytes of all views together, and are a copy."""
    async with Table(replies(502), page=1, times=2) as server, client(server) as afas:
        before = afas.statistics()
        await afas.with_options(max_retries=5).rows(CONNECTOR, take=TAKE, window=1).to_list()
        statistics = afas.statistics()
        assert (before.requests, before.rows) == (0, 0)
        assert (statistics.requests, statistics.retries, statistics.rows) == (len(server.requests), 2, 25)
        bodies = [page_of(received) for received in [*server.requests[:1], *server.requests[3:]]]
        assert statistics.bytes == sum(map(len, bodies))
        assert (statistics.in_flight, statistics.peak_in_flight) == (0, 1)


async def test_statistics_count_rows_handed_out() -> None:
    """Rows count once they are handed out, those of a broken page too, and none twice."""
    rows = [{"Id": number, "Name": "x" * 1_000} for number in range(500)]

    def half(_: bytes) -> bytes:
        whole = framed(page_of(Received("GET", "/?skip=0&take=500", {}, b"", 1), rows))
        return whole[: len(whole) // 2]

    async with Table(says(half, "fin"), times=1, rows=rows) as server, client(server) as afas:
        stream = afas.rows(CONNECTOR, take=500, window=1)
        assert await stream.to_list() == rows
        assert afas.statistics().rows == 500
        assert stream.progress.rows == 500


async def test_connect_errors_are_events() -> None:
    """An attempt that finds no connection is told as any other."""
    events: list[Event] = []
    async with Table() as server:
        nowhere = client(server, on_event=events.append, max_retries=1)
    async with nowhere as afas:
        with pytest.raises(ConnectError):
            await afas.page(CONNECTOR)
    assert [event.kind for event in events] == ["failed", "retrying", "failed"]


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


async def test_bytes_of_events_with_others_in_flight() -> None:
    """Each event counts the bytes of its own answer, whatever else is under way."""
    events: list[Event] = []
    async with Table(rows=LONG) as server, client(server, on_event=events.append) as afas:
        async with afas.rows(CONNECTOR, take=50) as rows:
            assert sum([len(batch) async for batch in rows.batches()]) == 500
        assert sum(event.bytes for event in events) == afas.statistics().bytes
        assert max(event.bytes for event in events) < 60_000
