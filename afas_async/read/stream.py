"""The streams that a user iterates over: the rows of a connector, or its pages.

A stream is an object, not a generator. Its pages in flight belong to the client's host task, and end with `aclose`,
with the client, or by themselves. The generators below hold nothing but the stream, so leaving one half-way leaves
nothing open.
"""

from __future__ import annotations

__docformat__ = "google"

import asyncio
from collections.abc import AsyncIterator, Iterator
from operator import length_hint
from time import perf_counter
from types import TracebackType
from typing import TYPE_CHECKING, Generic, NoReturn, Self

import msgspec

from afas_async.errors import UsageError
from afas_async.policy.spans import Key
from afas_async.read.known_keys import KnownKeys
from afas_async.read.reader import Feed, Reader
from afas_async.read.scan import Scan
from afas_async.vocabulary.connectors import GetConnector, RowT


class Progress(msgspec.Struct, frozen=True):
    """How far a stream has come: `rows.progress` and `pages.progress`.

    You can read it at any time, while rows come or after the end.

    Args:
        rows: Rows returned to you.
        pages: Pages returned completely.
        bytes: Bytes of those pages, as received over the connection.
        seconds: Seconds since you asked for the first row, until now or until the end.

    Example:
        >>> progress = Progress(rows=5_000, pages=7, bytes=1_000_000, seconds=2.0)
        >>> progress.rows_per_second
        2500.0
    """

    rows: int
    pages: int
    bytes: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        """Rows returned to you per second; 0.0 before the first."""
        return self.rows / self.seconds if self.seconds else 0.0


class Page(msgspec.Struct, Generic[RowT], frozen=True):
    """The rows of one response, as `AfasClient.pages` and `AfasClient.page` return them.

    You get a page when its response is complete, so its rows are in memory together.

    Args:
        rows: The rows, in the order of the response.
        number: Number of the page in its read, from 0.
        skip: How many rows of the read come before it.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         pages = afas.pages("Profit_Article", key="ItemCode", take=300)
        ...         return [(page.number, page.skip, len(page.rows)) async for page in pages]
        >>> asyncio.run(main())
        [(0, 0, 300), (1, 300, 200)]
    """

    rows: list[RowT]
    number: int
    skip: int


class Stream(Generic[RowT]):
    """What `Rows`, `Changes` and `Pages` have in common: a connector, a progress and an end."""

    def __init__(self, scan: Scan[RowT]) -> None:
        self._scan = scan
        self._reader = Reader(scan.query, self._open)
        self._rows = 0
        self._last_rows = 0  # how many of them the last pull returned
        self._started: float | None = None
        self._ended: float | None = None
        self._complete = False  # whether all rows have been returned

    @property
    def connector(self) -> GetConnector[RowT]:
        """The connector that is read, with its row type and key."""
        return self._scan.query.connector

    @property
    def progress(self) -> Progress:
        """How far the stream has come; see `Progress`. You can read it at any time."""
        seconds = 0.0
        if self._started is not None:
            seconds = (self._ended if self._ended is not None else perf_counter()) - self._started
        feed = self._reader.feed
        pages, size = (feed.pages, feed.bytes) if feed is not None else (0, 0)
        return Progress(self._rows - self._waiting(), pages, size, seconds)

    def _cursor(self) -> str:
        """Return the point to continue from, after the last row or page returned."""
        batch = self._reader.batch
        if batch is None:
            return self._scan.cursor(self._scan.position)
        return self._scan.cursor(batch.position(self._last_rows - self._waiting()))

    def _waiting(self) -> int:
        """Return how many received rows have not been returned."""
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
            self._note(rows)
        elif not self._complete:
            self._complete = True
            self._ended = perf_counter()
        return rows

    def _note(self, rows: list[RowT]) -> None:
        """Look at rows before they are returned."""

    if not TYPE_CHECKING:  # type checkers report `for` and `await` by themselves

        def __iter__(self) -> NoReturn:
            raise UsageError(f"{self._scan.query.connector.name}: use `async for` to read a stream, not `for`")

        def __await__(self) -> NoReturn:
            raise UsageError(
                f"{self._scan.query.connector.name}: use `async for` to read a stream, or `await rows.to_list()`"
            )

    async def aclose(self) -> None:
        """Stop the requests in flight, and wait until they have ended, for 5 seconds at most.

        You need it only if you leave a stream early and want its requests to end now; `async with` around the stream
        calls it for you. The wait is shielded from cancellation. You may call it more than once, and from another task
        than the reader, which then gets a UsageError.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         rows = afas.rows("Profit_Article", key="ItemCode")
            ...         first = await anext(rows)
            ...         await rows.aclose()
            ...         return first["ItemCode"]
            >>> asyncio.run(main())
            '000001'
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
        # Without this, a forgotten stream would waste the requests in flight, although they end by themselves.
        if hasattr(self, "_reader"):
            self._reader.abandon()


class RowStream(Stream[RowT]):
    """Rows as an asynchronous iterator: the base of `Rows` and `Changes`.

    `async for`, `anext`, `batches()` and `to_list()` each continue where the last one stopped. One task at a time may
    read.
    """

    def __init__(self, scan: Scan[RowT]) -> None:
        super().__init__(scan)
        # A list iterator, shared by all ways to iterate: it holds the position within the batch.
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
        """Iterate over lists of rows: the fastest form.

        Each list holds the rows of about 64 KiB of the response. Use it if you pass rows on in bulk, for example to
        `executemany` or to a data frame. Like all ways to read a stream, it continues where the last one stopped.

        Yields:
            One or more rows, in order.

        Raises:
            AfasError: If rows cannot be read.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         rows = afas.rows("Profit_Article", key="ItemCode")
            ...         return sum([len(batch) async for batch in rows.batches()])
            >>> asyncio.run(main())
            500
        """
        while True:
            if rows := list(self._batch):
                yield rows
            if not (rows := await self._next_rows()):
                return
            self._batch = iter(rows)

    async def to_list(self) -> list[RowT]:
        """Return all remaining rows in one list.

        All of them are in memory together. For a large table use `async for` or `batches()`, which need about 10 MB for
        any number of rows.

        Raises:
            AfasError: If rows cannot be read. The rows read so far are dropped.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         return len(await afas.rows("Profit_Article", key="ItemCode").to_list())
            >>> asyncio.run(main())
            500
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
        """Return the first row of the read, or None if it has no rows, with one request for one row.

        The position of the stream does not matter and does not change. A condition that has to be split may take a
        request for each of its parts, and a read that begins at a cursor takes a few.

        Raises:
            AfasError: If the row cannot be read.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         row = await afas.rows("Profit_Article", key="ItemCode", where=F.ItemCode > "000100").first()
            ...         return row["ItemCode"] if row is not None else None
            >>> asyncio.run(main())
            '000101'
        """
        return await self._scan.first()

    def _waiting(self) -> int:
        return length_hint(self._batch)


class Rows(RowStream[RowT]):
    """The rows of a connector, as an asynchronous iterator: what `AfasClient.rows` returns.

    `async for`, `anext`, `batches()` and `to_list()` each continue where the last one stopped. One task at a time may
    read. Nothing is sent before you ask for the first row. You can leave at any point: nothing keeps running. The
    guide, `python -m pydoc afas_async.read`, lists what holds for every read.

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

    def __init__(self, scan: Scan[RowT], known: KnownKeys | None = None) -> None:
        super().__init__(scan)
        self._known = known

    def _note(self, rows: list[RowT]) -> None:
        if self._known is not None:
            self._known.remove(rows)

    @property
    def deleted_keys(self) -> list[Key]:
        """The `known_keys` that no row has any more, in the order in which you gave them.

        Read it after the last row. It has all of the keys if the read returned no rows: decide what that means before
        you delete everything.

        Raises:
            UsageError: If you have not read all rows, or the read has no `known_keys`.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         rows = afas.rows("Profit_Article", key="ItemCode", known_keys=["000001", "gone"])
            ...         async for batch in rows.batches():
            ...             pass  # store the rows
            ...         return rows.deleted_keys
            >>> asyncio.run(main())
            ['gone']
        """
        name = self._scan.query.connector.name
        if self._known is None:
            raise UsageError(f"{name}: deleted_keys needs the keys that you have: give rows(known_keys=...)")
        if not self._complete:
            raise UsageError(f"{name}: deleted_keys is known only at the end: read all rows first")
        return [*self._known.missing]

    @property
    def cursor(self) -> str:
        """The point to continue from, after the last row returned: text that you store and give to `rows(after=...)`.

        A read of the same query with `after=rows.cursor` begins with the next row, also in another process. Store it
        when the rows up to here are safe: a read that continues returns every row after it once more. It holds keys of
        rows, no credential. At the end of the read it stands for the rows that are added after the last one later on.

        Raises:
            UsageError: If the stream has no such point, because it is read without a key.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         rows = afas.rows("Profit_Article", key="ItemCode")
            ...         before = [await anext(rows) for _ in range(100)]
            ...         rest = await afas.rows("Profit_Article", key="ItemCode", after=rows.cursor).to_list()
            ...         return len(before), rest[0]["ItemCode"]
            >>> asyncio.run(main())
            (100, '000101')
        """
        return self._cursor()


class Pages(Stream[RowT]):
    """The pages of a connector, as an asynchronous iterator: what `AfasClient.pages` returns.

    Each `Page` holds the rows of one complete response. One task at a time may read. Nothing is sent before you ask for
    the first page, and you can leave at any point.

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
        """The point to continue from, after the last page returned: text to store, for `pages(after=...)`.

        See `Rows.cursor`, which describes what it holds and when to store it.

        Raises:
            UsageError: If the stream has no such point, because it is read without a key.
        """
        return self._cursor()
