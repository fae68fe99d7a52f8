"""What a client reports about its requests: events, log records and statistics."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from afas_async import AfasClient, AfasError, ConfigurationError, ConnectError, F, UsageError, __version__
from afas_async.http.engine import Engine
from afas_async.http.events import Event, log, log_as_asked
from afas_async.http.limiter import Limiter
from afas_async.http.statistics import MOST_CONNECTORS, OTHERS
from afas_async.simulator import Fault, Latency, Simulator
from tests.support.canary import TOKEN, leaks
from tests.support.fake_transport import FakeCall, FakeTransport, after, in_turn, options
from tests.support.heard import attempts, operations
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, LONG, ROWS, TAKE, Table, client, framed, head, page_of, replies, says


async def events_of(*scripts: Any, **changes: Any) -> list[Event]:
    """Return the events of one call."""
    events: list[Event] = []
    sender = Engine(FakeTransport(in_turn(*scripts)), limiter=Limiter(1))
    await sender.send(FakeCall(), options(on_event=events.append, **changes))
    return events


async def test_kinds_and_order() -> None:
    """Each attempt gives an event when it is sent and when it ends. Each retry gives one before its wait."""
    events = await events_of(after(2, 502), after(1, 503, Retry_After="7"), after(3, 200, b"12345"))
    assert [(event.kind, event.attempt, event.status) for event in events] == [
        ("sent", 1, 0),
        ("failed", 1, 502),
        ("retrying", 1, 0),
        ("sent", 2, 0),
        ("failed", 2, 503),
        ("retrying", 2, 0),
        ("sent", 3, 0),
        ("answered", 3, 200),
    ]
    assert {event.connector for event in events} == {"X"}
    assert {event.method for event in events if event.kind != "retrying"} == {"GET"}
    assert [round(event.seconds) for event in attempts(events) if event.kind != "retrying"] == [2, 1, 3]
    assert 7 <= events[5].seconds <= 7.7
    assert [event.error for event in attempts(events)[:2]] == ["ServerError", "ServerError"]
    assert (events[-1].error, events[-1].bytes, events[-1].waited) == ("", 5, 0)


async def test_final_failure() -> None:
    """A final failure is reported as a failed attempt."""
    events = await events_of(after(0, 404))
    assert [(event.kind, event.error) for event in attempts(events)] == [("failed", "NotFoundError")]


async def test_no_values() -> None:
    """An event shows no parameter value, no header and no body."""
    events = await events_of(after(0, 200, b"secret of the body"))
    for text in ("3141592653", "5897932384", "secret", "AfasToken", "orderbyfieldids"):
        assert text not in repr(events)


BSN = "123456782"  # in hexadecimal digits, too, so that it is the id of a file

# The connector by which each call is known, and the call, whose arguments are personal.
NAMED: dict[str, Callable[[AfasClient], Awaitable[object]]] = {
    "KnPerson": lambda afas: afas.delete("KnPerson", key={"BcCo": BSN}, sub="KnContact", sub_key={"Nr": BSN}),
    "connectors/KnPerson/@BcCo,X/...": lambda afas: afas.request("DELETE", f"connectors/KnPerson/@BcCo,X/{BSN},1"),
    "fileconnector": lambda afas: afas.file(BSN.zfill(32), f"{BSN}.pdf"),
    "imageconnector": lambda afas: afas.image(BSN),
    "subjectconnector": lambda afas: afas.subject(BSN, BSN.zfill(32)),
    "X": lambda afas: afas.page("X", where=F.BcCo == BSN),
    "KnSubject": lambda afas: afas.insert("KnSubject", {"Ds": BSN}),
}


@pytest.mark.parametrize("connector", NAMED)
@pytest.mark.parametrize("answers", [[204], [404], [500], [503, 404], ["rst"]], ids=str)
async def test_no_values_in_events_and_logs(
    connector: str, answers: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """No event and no log line has a key, a condition, a record, a file name, or the service's text."""
    caplog.set_level(logging.DEBUG, "afas_async")
    caplog.set_level(logging.DEBUG, "afas_async.events")
    events: list[Event] = []
    left = iter(answers)
    body = json.dumps({"externalMessage": f"{BSN} is locked by {BSN}", "profitLogReference": "REF"}).encode()

    async def answer(connection: Connection, _: Received) -> None:
        if (status := next(left, answers[-1])) == "rst":
            connection.rst()
        else:
            headers = ("Retry-After: 1",) if status == 503 else ()
            await connection.answer(b"" if status == 204 else body, status=status, headers=headers)

    async with RawServer(answer) as server, client(server, on_event=events.append, max_retries=1) as afas:
        with suppress(AfasError):
            await NAMED[connector](afas)
        assert all(BSN in received.target or BSN.encode() in received.body for received in server.requests)
    assert {event.connector for event in events} == {connector}
    assert len(operations(events)) == 1
    assert len({event.operation for event in events} - {""}) == 1
    assert not any(BSN in text for event in events for text in (repr(event), str(event)))
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("afas_async")]
    assert len(ours) >= len(events)
    assert not any(BSN in text for text in ours)


async def test_events_of_a_read() -> None:
    """A read reports one response for each request, and the fault on the way, without the token."""
    events: list[Event] = []
    async with Table(replies(502), page=1, times=1) as server, client(server, on_event=events.append) as afas:
        assert await afas.rows(CONNECTOR, take=TAKE, window=1).to_list() == ROWS
        assert {event.environment for event in events} == {server.base_url.split("/")[2]}
    kinds = [event.kind for event in attempts(events)]
    assert kinds == ["answered", "failed", "retrying", "answered", "answered", "answered"]
    assert not leaks(repr(events))
    (ended,) = operations(events)
    assert (ended.name, ended.rows, ended.attempt, ended.error, ended.connector) == ("rows", 25, 5, "", "X")
    assert ended.bytes == sum(event.bytes for event in attempts(events)) == afas.statistics().bytes
    assert {event.operation for event in events} == {ended.operation}


async def test_fault_in_an_answer_is_told() -> None:
    """A body that turns out to be broken is reported before it is requested again."""
    events: list[Event] = []
    broken = says(lambda body: framed(body[:-50]))
    async with Table(broken, times=1) as server, client(server, on_event=events.append) as afas:
        assert (await afas.page(CONNECTOR, take=TAKE)).rows == ROWS[:TAKE]
    assert [(event.kind, event.attempt) for event in attempts(events)] == [
        ("answered", 1),
        ("retrying", 1),
        ("answered", 2),
    ]


@pytest.mark.parametrize("error", [ValueError("in the hook"), KeyError("in the hook")])
async def test_exception_in_the_hook(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """An exception in the hook is logged, and does no harm."""

    def hook(_: Event) -> None:
        raise error

    async with Table(replies(502), page=1, times=1) as server, client(server, on_event=hook) as afas:
        assert await afas.rows(CONNECTOR, take=TAKE, window=1).to_list() == ROWS
    records = [record for record in caplog.records if record.name == "afas_async" and record.levelno == logging.ERROR]
    assert len(records) == 12
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
    assert (len(attempts(mine)), len(attempts(others))) == (1, 2)
    assert len(operations(others)) == 2


async def test_log(caplog: pytest.LogCaptureFixture) -> None:
    """Each retry is one record at INFO, with connector, attempt and cause. A clean read logs nothing."""
    caplog.set_level(logging.INFO, "afas_async")

    def ours() -> list[logging.LogRecord]:
        return [record for record in caplog.records if record.name == "afas_async"]

    async with Table() as server, client(server) as afas:
        await afas.page(CONNECTOR)
    assert ours() == []
    async with Table(replies(502), times=2) as server, client(server) as afas:
        await afas.page(CONNECTOR)
    assert [record.levelname for record in ours()] == ["INFO", "INFO"]
    assert all(
        "X: attempt" in record.getMessage() and "ServerError (HTTP 502)" in record.getMessage() for record in ours()
    )


async def test_statistics() -> None:
    """Statistics count the requests, retries, rows and bytes of all views together, and are a copy."""
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
    """Rows count once the caller gets them, also those of a broken page, and never twice."""
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
    """An attempt that finds no connection is reported like any other."""
    events: list[Event] = []
    async with Table() as server:
        nowhere = client(server, on_event=events.append, max_retries=1)
    async with nowhere as afas:
        with pytest.raises(ConnectError):
            await afas.page(CONNECTOR)
    assert [event.kind for event in events] == ["failed", "retrying", "failed", "ended"]  # nothing was sent
    assert (events[-1].error, events[-1].attempt, events[-1].status) == ("ConnectError", 2, 0)


async def test_bytes_of_a_broken_page_count() -> None:
    """Progress counts every byte received. The end of a broken page is not used to guess the size of a row."""
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
    """Each event counts the bytes of its own response, whatever else is in flight."""
    events: list[Event] = []
    async with Table(rows=LONG) as server, client(server, on_event=events.append) as afas:
        async with afas.rows(CONNECTOR, take=50) as rows:
            assert sum([len(batch) async for batch in rows.batches()]) == 500
        assert sum(event.bytes for event in attempts(events)) == afas.statistics().bytes
        assert max(event.bytes for event in attempts(events)) < 60_000


# --- operations ---


async def heard(
    simulator: Simulator, work: Callable[[AfasClient], Awaitable[object]]
) -> tuple[list[Event], AfasClient]:
    """Return the events of the calls that a client makes."""
    events: list[Event] = []
    async with AfasClient(base_url=simulator.base_url, auth=TOKEN, on_event=events.append, max_retries=0) as afas:
        with suppress(AfasError, KeyError):
            await work(afas)
        await asyncio.sleep(1)
    return events, afas


async def _load(afas: AfasClient) -> None:
    async with afas.load("KnSubject", max_elements=2) as load:
        for number in range(5):
            await load.add({"StId": 1, "Ds": f"{number}", "St": "A"})
    assert load.report.counts["applied"] == 5


async def _failing_load(afas: AfasClient) -> None:
    async with afas.load("KnSubject") as load:
        await load.add({"StId": 1})
        raise KeyError


async def _left_stream(afas: AfasClient) -> None:
    async with afas.rows("Profit_Article", key="ItemCode") as rows:
        await anext(rows)


async def _forgotten_stream(afas: AfasClient) -> None:
    await anext(afas.rows("Profit_Article", key="ItemCode"))
    gc.collect()


# The call, then the name, connector, error and rows of its end event.
CALLS: dict[str, tuple[Callable[[AfasClient], Awaitable[object]], tuple[str, str, str, int]]] = {
    "page": (lambda afas: afas.page("Profit_Article", take=3), ("page", "Profit_Article", "", 3)),
    "refused page": (
        lambda afas: afas.page("Profit_Article", where=F.Nope == 1),
        ("page", "Profit_Article", "BusinessError", 0),
    ),
    "rows": (
        lambda afas: afas.rows("Profit_Article", key="ItemCode", take=100).to_list(),
        ("rows", "Profit_Article", "", 300),
    ),
    "rows left": (_left_stream, ("rows", "Profit_Article", "", 100)),
    "rows forgotten": (_forgotten_stream, ("rows", "Profit_Article", "", 100)),
    "insert": (lambda afas: afas.insert("KnSubject", {"StId": 1}), ("insert", "KnSubject", "", 0)),
    "load": (_load, ("load", "KnSubject", "", 0)),
    "failing load": (_failing_load, ("load", "KnSubject", "KeyError", 0)),
    "verify": (lambda afas: afas.verify(), ("verify", "metainfo", "", 0)),
    "nothing sent": (lambda afas: afas.page("../x"), ("page", "", "InvalidNameError", 0)),
}


@pytest.mark.parametrize("name", CALLS)
async def test_each_call_is_one_operation(name: str) -> None:
    """All requests of a call share the id of its one end event, which states the call and its cost."""
    work, expected = CALLS[name]
    async with Simulator(rows=300, token=TOKEN) as simulator:
        events, afas = await heard(simulator, work)
    (ended,) = operations(events)
    assert (ended.name, ended.connector, ended.error, ended.rows) == expected
    assert {event.operation for event in events} == {ended.operation}
    assert {event.name for event in events} == {ended.name}
    assert ended.attempt == len(attempts(events)) == afas.statistics().requests
    if name not in {"rows left", "rows forgotten"}:  # their last requests may not have arrived
        assert ended.attempt == len(simulator.requests)
    assert ended.elements == {"load": 5, "insert": 1}.get(name, 0)


async def test_what_is_known_already_is_no_operation() -> None:
    """A call that needs no request gives no event."""
    async with Simulator(rows=3, token=TOKEN) as simulator:
        events, _ = await heard(simulator, lambda afas: _twice(afas.metainfo))
    assert len(operations(events)) == 1


async def _twice(work: Callable[[], Awaitable[object]]) -> None:
    await work()
    await work()


async def test_cancelled() -> None:
    """A cancelled attempt gives an event, and so does the operation that ends with it."""
    events: list[Event] = []
    async with (
        Simulator(rows=3, token=TOKEN, latency=Latency(base=10)) as simulator,
        AfasClient(base_url=simulator.base_url, auth=TOKEN, on_event=events.append) as afas,
    ):
        task = asyncio.create_task(afas.page("Profit_Article"))
        await asyncio.sleep(4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert [(event.kind, event.error) for event in events] == [
        ("sent", ""),
        ("cancelled", ""),
        ("ended", "CancelledError"),
    ]
    assert [event.seconds for event in events[1:]] == pytest.approx([4, 4], abs=0.1)


async def test_the_wait_for_a_slot() -> None:
    """Events state how long an attempt waited for its slot, apart from how long it took."""
    events: list[Event] = []
    async with (
        Simulator(rows=3, token=TOKEN, latency=Latency(base=2)) as simulator,
        AfasClient(base_url=simulator.base_url, auth=TOKEN, on_event=events.append, max_concurrency=1) as afas,
    ):
        await asyncio.gather(*[afas.page("Profit_Article") for _ in range(3)])
        assert afas.statistics().seconds_waited == pytest.approx(6, abs=0.2)
    assert [round(event.waited) for event in attempts(events)] == [0, 2, 4]
    assert [round(event.seconds) for event in attempts(events)] == [2, 2, 2]
    assert [(round(event.waited), round(event.seconds)) for event in operations(events)] == [(0, 2), (2, 4), (4, 6)]


# --- the caller's context ---

REQUEST_ID: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


async def test_context_variables_reach_events_and_logs(caplog: pytest.LogCaptureFixture) -> None:
    """Events and logs see the context variables of their caller, also with several callers at once."""
    caplog.set_level(logging.INFO, "afas_async")
    events: list[tuple[str, Event]] = []
    logged: list[str] = []

    class Filter(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            if "attempt" in record.getMessage():
                logged.append(REQUEST_ID.get())
            return True

    watching = Filter()
    logging.getLogger("afas_async").addFilter(watching)

    async def one(number: int, afas: AfasClient) -> None:
        REQUEST_ID.set(f"request {number}")
        await afas.page("Profit_Article", take=number + 1)
        await afas.rows("Profit_Article", key="ItemCode", take=50).to_list()
        async with afas.load("KnSubject", max_elements=1) as load:
            for _ in range(5):
                await load.add({"StId": 1, "Ds": "x", "St": "A"})

    try:
        async with (
            Simulator(rows=300, token=TOKEN) as simulator,
            AfasClient(
                base_url=simulator.base_url,
                auth=TOKEN,
                on_event=lambda event: events.append((REQUEST_ID.get(), event)),
            ) as afas,
        ):
            simulator.faults.add(Fault(status=503, times=4))
            await asyncio.gather(*[one(number, afas) for number in range(4)])
    finally:
        logging.getLogger("afas_async").removeFilter(watching)
    names: dict[str, set[str]] = {}
    for request, event in events:
        names.setdefault(event.operation, set()).add(request)
    assert len(names) == 12
    assert all(len(requests) == 1 and requests != {"none"} for requests in names.values())
    assert {event.operation: event.name for _, event in events if event.kind == "ended"}.keys() == names.keys()
    assert len(logged) == 4
    assert set(logged) <= {f"request {number}" for number in range(4)}


# --- statistics, logs and headers ---


async def test_statistics_by_connector() -> None:
    """Each connector has its own statistics, which add up to the total."""
    async with Simulator(rows=300, token=TOKEN) as simulator:
        simulator.faults.add(Fault(connector="Profit_Article", status=503))
        async with AfasClient(base_url=simulator.base_url, auth=TOKEN) as afas:
            await afas.rows("Profit_Article", key="ItemCode", take=100).to_list()
            await afas.page("Profit_Debtor", take=7)
            total, own = afas.statistics(), afas.statistics(by="connector")
            with pytest.raises(UsageError, match="by must be"):
                afas.statistics(by="tenant")  # type: ignore[call-overload]
    assert list(own) == ["Profit_Article", "Profit_Debtor"]
    article = own["Profit_Article"]
    assert (article.rows, article.retries, article.failures, own["Profit_Debtor"].rows) == (300, 1, 1, 7)
    for name in ("requests", "retries", "failures", "rows", "bytes", "in_flight"):
        assert getattr(total, name) == sum(getattr(each, name) for each in own.values())


def test_statistics_of_any_number_of_paths() -> None:
    """A program that keeps calling new paths does not fill its memory with their names."""
    afas = AfasClient("12345", auth=TOKEN)
    for number in range(MOST_CONNECTORS + 50):
        for counted in afas._session.engine.counts.of(f"path/{number}"):
            counted.requests += 1
    own = afas.statistics(by="connector")
    assert len(own) == MOST_CONNECTORS + 1
    assert own[OTHERS].requests == 50


@pytest.mark.parametrize(
    ("given", "header"), [(None, ""), ("orders/2.1", " orders/2.1"), ("a (b; c)", " a (b; c)")], ids=str
)
async def test_user_agent(given: str | None, header: str) -> None:
    """The header has the version, and the name of the program that you give."""
    async with Table() as server, client(server, user_agent=given) as afas:
        await afas.page(CONNECTOR)
        assert server.requests[0].headers["user-agent"] == f"afas_async/{__version__}{header}"


@pytest.mark.parametrize("given", ["", " x", "x\r\nX-Y: z", "é", "x" * 201, 5], ids=str)
async def test_user_agent_that_is_no_header(given: Any) -> None:
    """A name that cannot be in a header is refused when the client is made."""
    with pytest.raises(UsageError, match="user_agent"):
        AfasClient("12345", auth=TOKEN, user_agent=given)


PROGRAM = """
import asyncio
from afas_async import AfasClient
from afas_async.simulator import Fault, Simulator

async def main():
    async with Simulator(rows=3) as simulator:
        simulator.faults.add(Fault(status=503))
        async with AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
            await afas.page("Profit_Article")

asyncio.run(main())
"""


@pytest.mark.parametrize(("level", "lines"), [("debug", 7), ("INFO", 1)])
def test_afas_log(level: str, lines: int) -> None:
    """AFAS_LOG=debug shows each event on standard error, without another line of code."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={"AFAS_LOG": level}, capture_output=True, text=True, check=True
    )
    said = done.stderr.splitlines()
    assert len(said) == lines
    if level == "debug":
        assert "page GET Profit_Article: sent attempt=1 " in said[0]
        assert "DEBUG afas_async.events: page Profit_Article: ended status=200 attempt=2" in said[-1]


@pytest.mark.parametrize("has_handlers", [True, False])
def test_afas_log_and_a_configuration_of_logging(monkeypatch: pytest.MonkeyPatch, *, has_handlers: bool) -> None:
    """The level is always set. A handler is added only if the lines would go nowhere."""
    monkeypatch.setattr(log, "hasHandlers", lambda: has_handlers)
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "level", log.level)
    log_as_asked({"AFAS_LOG": "error"})
    assert log.level == logging.ERROR
    assert len(log.handlers) == (0 if has_handlers else 1)
    log_as_asked({})
    assert log.level == logging.ERROR


def test_afas_log_that_is_no_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown level is refused when the client is made."""
    monkeypatch.setenv("AFAS_LOG", "loud")
    with pytest.raises(ConfigurationError, match="AFAS_LOG must be debug, info, warning, error, not 'loud'"):
        AfasClient("12345", auth=TOKEN)
