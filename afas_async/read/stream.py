"""What a user iterates over: the rows of a connector, or its pages.

A stream is an object, not a generator: the pages on their way belong to the client's host task and end with `aclose`,
with the client, or by themselves. The generators below hold nothing but the stream, so that leaving them in the middle
leaves nothing open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from operator import length_hint
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, Self

import msgspec

from afas_async.errors import UsageError
from afas_async.read.reader import Feed, Reader
from afas_async.read.scan import Scan
from afas_async.vocabulary.connectors import GetConnector, RowT


class Progress(msgspec.Struct, frozen=True):
    """How far a stream has come.

    Args:
        rows: Rows handed out.
        pages: Pages handed out completely.
        bytes: Bytes of those pages, as they came over the connection.
        seconds: Seconds since the first rows were asked for, up to now or to the end.
    """

    rows: int
    pages: int
    bytes: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows handed out per second."""
        return self.rows / self.seconds if self.seconds else 0.0


class Page(msgspec.Struct, Generic[RowT], frozen=True):
    """The rows of one answer.

    Args:
        rows: The rows, in the order of the answer.
        number: Number of the page in its read, from 0.
        skip: How many rows of the read lie before it.
    """

    rows: list[RowT]
    number: int
    skip: int


class _Stream(Generic[RowT]):
    """What rows and pages have in common: a reader, a clock, and an end."""

    def __init__(self, scan: Scan[RowT]) -> None:
        self._scan = scan
        self._reader = Reader(scan.query, self._open)
        self._rows = 0
        self._last_rows = 0  # of which the last pull brought so many
        self._started: float | None = None
        self._ended: float | None = None

    @property
    def connector(self) -> GetConnector[RowT]:
        """The connector that is read, with its row type and key."""
        return self._scan.query.connector

    @property
    def progress(self) -> Progress:
        """How far the stream has come; may be read at any time."""
        seconds = 0.0
        if self._started is not None:
            seconds = (self._ended if self._ended is not None else perf_counter()) - self._started
        feed = self._reader.feed
        pages, size = (feed.pages, feed.bytes) if feed is not None else (0, 0)
        return Progress(self._rows - self._waiting(), pages, size, seconds)

    def _cursor(self) -> str:
        """Return the point to go on from, after the last row or page returned."""
        batch = self._reader.batch
        if batch is None:
            return self._scan.cursor(self._scan.position)
        return self._scan.cursor(batch.position(self._last_rows - self._waiting()))

    def _waiting(self) -> int:
        """Return how many of the rows pulled have not been handed out."""
        return 0

    async def _open(self) -> Feed[RowT]:
        return await self._scan.open()

    async def _next_rows(self) -> list[RowT]:
        """Return the next rows, an empty list at the end."""
        if self._started is None:
            self._started = perf_counter()
        rows = await self._reader.next_rows()
        if rows:
            self._rows += len(rows)
            self._last_rows = len(rows)
        elif self._ended is None:
            self._ended = perf_counter()
        return rows

    if not TYPE_CHECKING:  # type checkers report `for` and `await` by themselves

        def __iter__(self) -> NoReturn:
            raise UsageError(f"{self._scan.query.connector.name}: use `async for` to read a stream, not `for`")

        def __await__(self) -> NoReturn:
            raise UsageError(
                f"{self._scan.query.connector.name}: use `async for` to read a stream, or `await rows.to_list()`"
            )

    async def aclose(self) -> None:
        """Stop the requests on their way and wait until they have ended: shielded, and for 5 seconds at most.

        May be called more than once, and by another task than the reader, which then gets a UsageError.
        """
        if self._started is not None and self._ended is None:
            self._ended = perf_counter()
        await self._reader.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # Without this, a forgotten stream would cost the requests on their way; they end by themselves all the same.
        if hasattr(self, "_reader"):
            self._reader.abandon()


class RowStream(_Stream[RowT]):
    """Rows as an asynchronous iterator: `Rows`, and `Changes`.

    `async for`, `anext`, `batches()` and `to_list()` go on where the last one stopped; one task at a time.
    """

    def __init__(self, scan: Scan[RowT]) -> None:
        super().__init__(scan)
        # A list iterator, shared by all ways to iterate: it is the position within the batch.
        self._batch: Iterator[RowT] = iter(())

    def __aiter__(self) -> AsyncIterator[RowT]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[RowT]:
        # A plain generator costs a third of a hand-written __anext__ per row.
        while True:
            for row in self._batch:
                yield row
            if not (rows := await self._next_rows()):
                return
            self._batch = iter(rows)

    async def __anext__(self) -> RowT:
        while True:
            for row in self._batch:
                return row
            if not (rows := await self._next_rows()):
                raise StopAsyncIteration
            self._batch = iter(rows)

    async def batches(self) -> AsyncIterator[list[RowT]]:
        """Iterate over lists of rows, about 64 KiB of the answer each: the fastest form.

        Yields:
            One or more rows, in order.
        """
        while True:
            if rows := list(self._batch):
                yield rows
            if not (rows := await self._next_rows()):
                return
            self._batch = iter(rows)

    async def to_list(self) -> list[RowT]:
        """Return all remaining rows in one list, which holds them all in memory.

        Raises:
            AfasError: As when iterating; the rows read until then are dropped.
        """
        rows: list[RowT] = []
        try:
            async for batch in self.batches():
                rows += batch
        except asyncio.CancelledError:
            await self.aclose()
            raise
        return rows

    async def first(self) -> RowT | None:
        """Return the first row of the read, or None if it has none, with one request for one row.

        The position of the stream does not matter and does not change. A condition that has to be split may take a
        request for each of its parts, and a read that begins at a cursor a few.
        """
        return await self._scan.first()

    def _waiting(self) -> int:
        return length_hint(self._batch)


class Rows(RowStream[RowT]):
    """The rows of a connector, as an asynchronous iterator. Made by `AfasClient.rows`.

    `async for`, `anext`, `batches()` and `to_list()` go on where the last one stopped; one task at a time.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         rows = afas.rows("Profit_Article", key="ItemCode")
        ...         first = await anext(rows)
        ...         rest = sum([len(batch) async for batch in rows.batches()])
        ...         return first["ItemCode"], rest, rows.progress.rows
        >>> asyncio.run(main())
        ('000001', 499, 500)
    """

    @property
    def cursor(self) -> str:
        """The point to go on from, after the last row returned: text to store, for `after=`.

        A read of the same query with `after=rows.cursor` goes on with the next row, also in another process. Store it
        once the rows up to here are safe: a read that goes on returns the rows after it once more. It holds keys of
        rows, no credential. After the end it stands for what is added after the last row later on.

        Raises:
            UsageError: If there is no such point: the stream is read without a key.
        """
        return self._cursor()


class Pages(_Stream[RowT]):
    """The pages of a connector, as an asynchronous iterator. Made by `AfasClient.pages`.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         async for page in afas.pages("Profit_Article", key="ItemCode"):
        ...             return page.number, len(page.rows)
        >>> asyncio.run(main())
        (0, 100)
    """

    def __init__(self, scan: Scan[RowT]) -> None:
        super().__init__(scan)
        self._pages = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[RowT]:
        skip, number = self._rows, self._pages
        rows = await self._next_rows()
        if not rows:
            raise StopAsyncIteration
        self._pages += 1
        return Page(rows, number, skip)

    @property
    def cursor(self) -> str:
        """The point to go on from, after the last page returned: text to store, for `after=`; see `Rows.cursor`.

        Raises:
            UsageError: If there is no such point; see `Rows.cursor`.
        """
        return self._cursor()
