"""Responses larger than the memory of their reader: 16 MiB may wait, the rest stays with the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from afas_async import AfasClient
from afas_async.http.memory import MEMORY
from tests.support.raw_server import Connection, RawServer, Received
from tests.support.read_table import CONNECTOR, client, page_of
from tests.support.thoroughness import by_default

PADDING = "x" * 10_000
# More than the 25 MB that the reader's memory and the kernel's buffers hold.
ROWS = [{"Id": number, "Name": PADDING} for number in range(by_default(2_600, 3_000))]


class Everything(RawServer):
    """Sends all rows at once, as fast as the client reads, and counts the bytes taken; or sends a single row."""

    def __init__(self) -> None:
        super().__init__(self._reply)
        self.taken = 0

    async def _reply(self, connection: Connection, received: Received) -> None:
        body = page_of(received, ROWS)
        await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 1 << 20):
            await connection.send(body[start : start + (1 << 20)])
            self.taken = start


@pytest.fixture
async def server() -> AsyncIterator[Everything]:
    async with Everything() as running:
        yield running


async def read_everything(afas: AfasClient, *, pause: float) -> int:
    """Read everything in one response, with a pause after the first row."""
    with pytest.warns(UserWarning, match="take=-1"):
        stream = afas.rows(CONNECTOR, take=-1)
    assert await anext(stream) == ROWS[0]
    await asyncio.sleep(pause)
    count = 1
    async for batch in stream.batches():
        assert batch == ROWS[count : count + len(batch)]
        count += len(batch)
    return count


async def test_pause_outlasts_the_time_out(server: Everything) -> None:
    """A reader may pause longer than the time-out. The response waits, in bounded memory, and resumes."""

    async def look() -> None:
        await asyncio.sleep(500)
        assert MEMORY < server.taken < MEMORY + (9 << 20)  # the kernel's buffers hold some

    async with client(server, timeout=20) as afas:
        looker = asyncio.create_task(look())
        assert await read_everything(afas, pause=1_000) == len(ROWS)
        await looker
        assert afas.statistics().requests == 1


@pytest.mark.parametrize("before", [0, 100])
async def test_call_from_the_loop_of_a_paused_answer(server: Everything, before: float) -> None:
    """With one slot, a call from the loop that reads an endless response does not wait for ever.

    The call may come before the response has filled the reader's memory, or after it has paused.
    """
    async with client(server, max_concurrency=1) as afas:
        with pytest.warns(UserWarning, match="take=-1"):
            stream = afas.rows(CONNECTOR, take=-1)
        assert await anext(stream) == ROWS[0]
        await asyncio.sleep(before)
        async with asyncio.timeout(10_000):
            assert (await afas.page(CONNECTOR, skip=7, take=1)).rows == ROWS[7:8]
        assert len(await stream.to_list()) == len(ROWS) - 1
