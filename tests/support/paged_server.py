"""A server whose pages have the rows of a test, and fail where the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from afas_async import AfasClient
from tests.support import canary
from tests.support.numbered_rows import first_row, rows_asked
from tests.support.raw_server import Connection, RawServer, Received


def numbered(count: int) -> list[bytes]:
    """Return that many small rows with an ascending Id."""
    return [b'{"Id":%d}' % number for number in range(count)]


def page_of(rows: Sequence[bytes], skip: int, take: int) -> bytes:
    """Return the body of a response to a request without a condition."""
    return answer_to({"skip": str(skip), "take": str(take)}, rows)


def answer_to(query: Mapping[str, str], rows: Sequence[bytes], cap: int | None = None) -> bytes:
    """Return the body of the response to a request."""
    asked = rows_asked(query, len(rows), most=cap)
    text = b",".join(rows[asked.start : asked.stop])
    return b'{"skip":%d,"take":%d,"rows":[%s]}' % (int(query["skip"]), int(query["take"]), text)


class PagedServer(RawServer):
    """Serves pages of rows, from a key on if asked.

    Args:
        rows: All rows as JSON texts, in order; the `Id` of each is its number, from 0.
        cap: The most rows of any response, whatever the request says.
        delay: Seconds before each response.
        broken: Bodies to send, by the number of the first requested row, in place of the right one; each once.
        short: Rows to send at most, by the number of the first requested row; each once.
        cut: Bytes to send of the page that begins with this row, before the connection is reset; each once.
    """

    def __init__(
        self,
        rows: Sequence[bytes],
        *,
        cap: int | None = None,
        delay: float = 0.0,
        broken: dict[int, tuple[int, bytes]] | None = None,
        short: dict[int, int] | None = None,
        cut: dict[int, int] | None = None,
    ) -> None:
        super().__init__(self._answer)
        self._rows = rows
        self._cap = cap
        self._delay = delay
        self._broken = broken or {}
        self._short = short or {}
        self._cut = cut or {}

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The number of the first row, and how many rows, each request asked for."""
        return [(first_row(request.query), int(request.query["take"])) for request in self.requests]

    async def _answer(self, connection: Connection, request: Received) -> None:
        first = first_row(request.query)
        if self._delay:
            await asyncio.sleep(self._delay)
        if first in self._broken:
            status, text = self._broken.pop(first)
            await connection.answer(text, status=status)
            return
        body = answer_to(request.query, self._rows, self._short.pop(first, self._cap))
        if first in self._cut:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            await connection.send(head + body[: self._cut.pop(first)])
            await asyncio.sleep(1)  # so that the reader has seen the rows before it
            connection.fin()
            return
        await connection.answer(body)


@asynccontextmanager
async def paged(server: PagedServer, *, max_concurrency: int = 5) -> AsyncIterator[AfasClient]:
    """Run the server, and a client of it."""
    async with (
        server,
        AfasClient(base_url=server.base_url, auth=canary.TOKEN, max_concurrency=max_concurrency) as client,
    ):
        yield client
