"""Rows as pieces of bytes, and responses of them with a fake server where a real one cannot show the case."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.background import BackgroundTask

from afas_async import AfasClient, AnswerLostError, F
from afas_async.integrations.starlette import ndjson_response, sse_response
from afas_async.integrations.streams import ndjson, parquet, started
from afas_async.simulator import Simulator
from tests.support.web_server import until

pa = pytest.importorskip("pyarrow")


class Numbers:
    """Record batches of 70,000 rows, of which the last may be an error."""

    schema = pa.schema([("number", pa.int64())])

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self.left = [pa.record_batch([range(70_000)], schema=self.schema) for _ in range(count)]
        self.error = error

    def __aiter__(self) -> Numbers:
        return self

    async def __anext__(self) -> Any:
        if self.left:
            return self.left.pop()
        raise self.error or StopAsyncIteration


async def test_a_parquet_file_goes_out_row_group_by_row_group() -> None:
    """Pieces come before the end, and together they make the file."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - where it is installed

    batches = Numbers(4)
    pieces = list[bytes]()
    left = list[int]()
    async for piece in parquet(batches):  # type: ignore[arg-type]
        pieces.append(piece)
        left.append(len(batches.left))
    assert left[0] > 0
    assert max(map(len, pieces)) <= 1 << 20
    file = pq.ParquetFile(io.BytesIO(b"".join(pieces)))
    assert [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)] == [
        131_072,
        131_072,
        17_856,
    ]


async def test_a_parquet_file_that_breaks_off() -> None:
    """The error of the rows is raised, and no writer is left."""
    with pytest.raises(AnswerLostError):
        async for _ in parquet(Numbers(3, AnswerLostError("gone", connector="Profit_X"))):  # type: ignore[arg-type]
            pass


async def test_a_start_without_a_row(afas: AfasClient) -> None:
    """A stream without rows has no first piece to wait for."""
    rows = afas.rows("Profit_Article", key="ItemCode", where=F.ItemCode == "none")
    assert [piece async for piece in await started(ndjson(rows))] == []


SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


async def receive() -> None:
    """Return no message, as for a reader who stays connected."""
    await asyncio.Event().wait()


async def test_a_server_that_says_by_an_error_that_the_reader_has_gone(afas: AfasClient, simulator: Simulator) -> None:
    """The error is not one of the response: the read ends, and nothing is raised."""

    async def send(message: Any) -> None:
        if message.get("body"):
            raise OSError

    await ndjson_response(afas.rows("Profit_Article", key="ItemCode"))(SCOPE, receive, send)
    await until(lambda: not simulator.counters.in_flight)


async def test_a_task_for_afterwards() -> None:
    """A background task of the response runs at its end."""
    done = list[str]()

    async def source() -> AsyncIterator[int]:
        yield 1

    async def send(message: Any) -> None:
        done.append(message.get("body", b"").decode())

    response = sse_response(source())
    response.background = BackgroundTask(done.append, "afterwards")
    await response(SCOPE, receive, send)
    assert done == ["", "data: 1\n\n", "event: end\ndata: {}\n\n", "", "afterwards"]
