"""A server whose pages are made of rows that a test gives it, and go wrong where the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from afas_async import AfasClient
from tests import canary
from tests.raw_server import Connection, RawServer, Received


def numbered(count: int) -> list[bytes]:
    """Return so many small rows with an ascending Id."""
    return [b'{"Id":%d}' % number for number in range(count)]


def page_of(rows: Sequence[bytes], skip: int, take: int, cap: int | None = None) -> bytes:
    """Return the body of an answer."""
    first, most = (0, len(rows)) if skip == -1 else (skip, take if cap is None else min(take, cap))
    return b'{"skip":%d,"take":%d,"rows":[%s]}' % (skip, take, b",".join(rows[first : first + most]))


class PagedServer(RawServer):
    """Serves pages of rows.

    Args:
        rows: All rows as JSON texts, in order.
        cap: The most rows of any answer, whatever was asked.
        delay: Seconds before each answer.
        broken: Bodies to send, by `skip`, in place of the right one; each once.
        cut: Bytes to send of the page with this `skip`, before the connection is reset; each once.
    """

    def __init__(
        self,
        rows: Sequence[bytes],
        *,
        cap: int | None = None,
        delay: float = 0.0,
        broken: dict[int, tuple[int, bytes]] | None = None,
        cut: dict[int, int] | None = None,
    ) -> None:
        super().__init__(self._answer)
        self._rows = rows
        self._cap = cap
        self._delay = delay
        self._broken = broken or {}
        self._cut = cut or {}

    @property
    def spans(self) -> list[tuple[int, int]]:
        """Skip and take of each request."""
        return [(int(request.query["skip"]), int(request.query["take"])) for request in self.requests]

    async def _answer(self, connection: Connection, request: Received) -> None:
        skip, take = int(request.query["skip"]), int(request.query["take"])
        if self._delay:
            await asyncio.sleep(self._delay)
        if skip in self._broken:
            status, text = self._broken.pop(skip)
            await connection.answer(text, status=status)
            return
        body = page_of(self._rows, skip, take, self._cap)
        if skip in self._cut:
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            await connection.send(head + body[: self._cut.pop(skip)])
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
