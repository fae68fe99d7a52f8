"""A read for code without `await`: its thread ends with its block, whatever ends the block."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Iterator

import duckdb
import polars as pl
import pyarrow as pa
import pytest

from afas_async import AfasClient, ConfigurationError, NonUniqueKeyError, RowError, UsageError, columns
from afas_async.columns.reader import ReaderThread
from afas_async.simulator import Latency, Simulator
from tests.support import canary

ROWS = 3_000


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator.running(rows=ROWS, token=canary.TOKEN) as simulator:
        yield simulator


@pytest.fixture
def client(running: Simulator) -> AfasClient:
    return AfasClient(base_url=running.base_url, auth=running.token)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    gc.collect()
    for _ in range(200):
        left = [thread.name for thread in threading.enumerate() if thread.name.startswith("afas_async reader")]
        if not left:
            return
        time.sleep(0.01)
    assert left == []


def test_others_take_it_as_it_is(running: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyarrow, polars and DuckDB take the reader, each with a client made from the environment."""
    monkeypatch.setenv("AFAS_TOKEN", running.token)
    monkeypatch.setenv("AFAS_BASE_URL", running.base_url)
    with columns.open_reader("Profit_Wide", key="Id", select=["Id", "Price"]) as reader:
        assert isinstance(reader, pa.RecordBatchReader)
        assert reader.schema.names == ["Id", "Price"]
        assert reader.read_all().num_rows == ROWS
    with columns.open_reader("Profit_Wide", key="Id") as reader:
        frame = pl.DataFrame(pl.from_arrow(reader))
    assert frame["Price"].sum() > 0
    with columns.open_reader("Profit_Wide", key="Id") as reader, duckdb.connect() as database:
        database.sql("create table wide as from reader")
        (found,) = database.sql("select count(*), sum(Price) from wide").fetchall()
    assert found == (ROWS, frame["Price"].sum())


def test_without_environment_nothing_is_started() -> None:
    with pytest.raises(ConfigurationError, match="AFAS_TOKEN"):
        columns.open_reader("Profit_Wide", key="Id")
    with pytest.raises(UsageError, match="client: expected an AfasClient"):
        columns.open_reader("Profit_Wide", key="Id", client="12345")  # type: ignore[arg-type]


def test_errors_come_as_they_are(running: Simulator) -> None:
    """Errors arrive unchanged at the beginning of the block, and through an error of another library."""

    def client() -> AfasClient:
        return AfasClient(base_url=running.base_url, auth=running.token)

    with pytest.raises(UsageError, match="did you mean Price"):
        columns.open_reader("Profit_Wide", key="Id", select=["Prise"], client=client()).__enter__()
    types = {"Price": pa.int64()}
    with (
        pytest.raises(RowError, match="Price"),
        columns.open_reader("Profit_Wide", key="Id", types=types, client=client()) as reader,
    ):
        reader.read_all()
    with (
        pytest.raises(RowError, match="Price") as caught,
        columns.open_reader("Profit_Wide", key="Id", types=types, client=client()) as reader,
        duckdb.connect() as database,
    ):
        database.sql("create table wide as from reader")
    assert isinstance(caught.value.__cause__, duckdb.Error)
    with (
        pytest.raises(NonUniqueKeyError),
        columns.open_reader("Profit_Wide", key="Category", client=client()) as reader,
    ):
        reader.read_all()


def test_an_error_of_the_block_is_its_own(client: AfasClient) -> None:
    with pytest.raises(ZeroDivisionError), columns.open_reader("Profit_Wide", key="Id", client=client):
        _ = 1 / 0


def test_a_reader_is_closed_with_its_block(client: AfasClient) -> None:
    opened = columns.open_reader("Profit_Wide", key="Id", client=client)
    with opened as reader:
        pass
    with pytest.raises(UsageError, match="the reader is closed"):
        reader.read_next_batch()
    with pytest.raises(UsageError, match="opened before"):
        opened.__enter__()


def test_a_forgotten_reader_ends(client: AfasClient) -> None:
    """The reader itself keeps the read alive, and nothing else does."""
    reader = columns.open_reader("Profit_Wide", key="Id", client=client).__enter__()
    gc.collect()
    assert reader.read_next_batch().num_rows > 0
    del reader


def test_one_that_was_never_opened_is_no_trouble(client: AfasClient) -> None:
    columns.open_reader("Profit_Wide", key="Id", client=client)


def test_a_reader_that_is_stopped_before_its_task_begins_ends(client: AfasClient) -> None:
    """At that moment no task exists yet that could be cancelled."""
    thread = ReaderThread("Profit_Wide", client, lambda afas: columns.batches(afas, "Profit_Wide", key="Id"))
    thread._loop.call_soon(thread._cancel)
    thread._stopping = True
    with pytest.raises(asyncio.CancelledError):
        thread.begin()
    thread.end()


def test_leaving_in_the_middle_of_a_slow_read(running: Simulator) -> None:
    """Requests on their way, and a pull of another thread, end at once."""
    failures: list[BaseException] = []

    def pull() -> None:
        try:
            reader.read_all()
        except BaseException as error:  # noqa: BLE001 - to look at
            failures.append(error)

    try:
        client = AfasClient(base_url=running.base_url, auth=running.token)
        started = time.monotonic()
        with columns.open_reader("Profit_Wide", key="Id", client=client) as reader:
            running.latency = Latency(base=5)
            other = threading.Thread(target=pull)
            other.start()
            time.sleep(0.05)
        other.join()
    finally:
        running.latency = Latency()
    assert time.monotonic() - started < 4
    assert [type(error) for error in failures] == [UsageError]
