"""Lets one task at a time pull rows from a read, which starts with the first pull and ends once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol

from afas_async.errors import ClientClosedError, UsageError
from afas_async.http.events import Operation
from afas_async.http.host import Job, stop
from afas_async.http.statistics import Statistics
from afas_async.read.pace import Pace
from afas_async.read.position import Batch
from afas_async.read.query import Query, explain_refusal
from afas_async.vocabulary.connectors import RowT


class Feed(Protocol[RowT]):
    """A source of rows: one window, or several."""

    @property
    def news(self) -> asyncio.Event:
        """Set when `poll` may have something to do."""
        ...

    @property
    def ended(self) -> bool:
        """Whether all rows have been returned."""
        ...

    @property
    def pages(self) -> int:
        """How many pages have been returned completely."""
        ...

    @property
    def bytes(self) -> int:
        """Bytes of their bodies, as received over the connection."""
        ...

    def poll(self) -> Batch[RowT] | None:
        """Return the next rows, no row if there may be more at once, or None if there are none until `news` is set."""
        ...

    def jobs(self) -> list[Job]:
        """Return the requests in flight."""
        ...

    def forget(self) -> None:
        """Drop the pages in flight from memory."""
        ...


class Reader(Generic[RowT]):
    """Reads from a feed, for one task at a time.

    Args:
        query: The read.
        opening: Makes the feed when the first rows are wanted; it may send requests, or raise.

    Attributes:
        query: The read.
        feed: The source of the rows, None before the first pull.
        batch: The rows that were returned last, None before the first.
    """

    def __init__(self, query: Query[RowT], opening: Callable[[], Awaitable[Feed[RowT]]]) -> None:
        self.query: Query[RowT] = query
        self.feed: Feed[RowT] | None = None
        self.batch: Batch[RowT] | None = None
        self._opening: Callable[[], Awaitable[Feed[RowT]]] | None = opening
        self._opener: Job | None = None
        self._pace = Pace()
        self._counters: tuple[Statistics | Operation, ...] = ()
        self._reading = False
        self._end_reason: str | None = None

    async def next_rows(self) -> list[RowT]:
        """Return the next rows, an empty list at the end.

        Raises:
            UsageError: If another task is reading, or the stream was closed or failed before.
            AfasError: If rows cannot be read; the other pages in flight are stopped first.
        """
        if self._reading:
            raise self._misuse("two tasks read the same stream: give each task its own")
        if self._end_reason is not None:
            raise self._misuse(self._end_reason)
        if self.feed is None or not self.feed.ended:
            self.query.channel.check()  # even rows that have arrived must not be taken in another event loop
        self._reading = True
        try:
            return await self._next_rows()
        except Exception as error:
            if isinstance(error, ClientClosedError) and self._end_reason is not None:
                raise self._misuse(self._end_reason) from None
            self._end_reason = "the stream has ended with an error: start a new one"
            await self._stop()
            await explain_refusal(self.query, error)
            self.query.channel.end(error)
            raise
        finally:
            self._reading = False

    async def _next_rows(self) -> list[RowT]:
        channel = self.query.channel
        if self.feed is None:
            self.feed = await self._open()
        while True:
            if self._pace.due:
                await self._pace.rest()
            if self._end_reason is not None:  # another task has closed it meanwhile
                raise self._misuse(self._end_reason)
            if self.feed.ended:
                self.feed.forget()  # requests past the end keep their slots, as the service works on them all the same
                channel.end()
                return []
            batch = self.feed.poll()
            if batch is not None and batch.rows:
                self._counters = self._counters or channel.counters(self.query.connector.name)
                for counted in self._counters:
                    counted.rows += len(batch.rows)
                self.batch = batch
                return batch.rows
            if batch is None:
                channel.check()
                self.feed.news.clear()
                await self.feed.news.wait()

    async def _open(self) -> Feed[RowT]:
        """Make the feed in a job of the session: closing the stream can stop it, and a cancelled reader can resume."""
        job = self._opener = self._opener or self.query.channel.start(self._outcome())
        if not job.done():
            await asyncio.wait({job})
        self._opener = None
        if job.cancelled():
            raise ClientClosedError(f"{self.query.connector.name}: the client was closed while the read was starting")
        outcome: Feed[RowT] | Exception = job.result()
        if isinstance(outcome, Exception):
            raise outcome
        self._opening = None  # it refers to the stream, which must be collected as soon as nobody holds it
        return outcome

    async def _outcome(self) -> Feed[RowT] | Exception:
        assert self._opening is not None  # noqa: S101 - there is no feed yet
        try:
            return await self._opening()
        except Exception as error:  # noqa: BLE001 - the reader raises it
            return error

    def _misuse(self, fault: str) -> UsageError:
        return UsageError(f"{self.query.connector.name}: {fault}")

    async def aclose(self) -> None:
        """Stop the pages in flight and wait until they have ended; may be called again."""
        self._end_reason = self._end_reason or "the stream is closed: start a new one"
        try:
            await self._stop()
        finally:
            self.query.channel.end()

    def abandon(self) -> None:
        """Stop the pages in flight without waiting; safe to call during garbage collection."""
        channel = self.query.channel
        if self._jobs() or channel.operation is not None:
            channel.session.call_soon(self._cancel)

    def _cancel(self) -> None:
        jobs, channel = self._jobs(), self.query.channel
        for job in jobs:
            job.cancel()
        if channel.operation is not None:
            asyncio.gather(*jobs, return_exceptions=True).add_done_callback(lambda _: channel.end())

    def _jobs(self) -> list[Job]:
        opening = [self._opener] if self._opener is not None else []
        return self.feed.jobs() if self.feed is not None else opening

    async def _stop(self) -> None:
        jobs = self._jobs()
        if self.feed is not None:
            self.feed.forget()
        await stop(*jobs)
