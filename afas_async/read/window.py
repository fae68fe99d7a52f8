"""Several pages of a connector on their way at a time, and their rows in order.

Everything is driven by the reader's pull: pages are asked for when rows are wanted, so a reader that pauses stops the
fetching, and one that goes away leaves at most the pages that were on their way. Only the first page is decoded; the
others wait as bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, NoReturn

from afas_async.connectors import RowT
from afas_async.errors import ClientClosedError, PagingError, UsageError
from afas_async.http.host import Job, stop
from afas_async.policy.paging import Paging, Span
from afas_async.read.fetch import Pace, PageFetch, Source


class Window(Generic[RowT]):
    """A position in a connector, and the pages on their way to it.

    Args:
        source: What is read.
        paging: Decides what to ask for.
        early: Hand out rows as they arrive; otherwise page by page.
        refuse: Called in place of the first request if this read must not be; it raises.

    Attributes:
        source: What is read.
        pages: How many pages have been handed out completely.
        bytes: Bytes of their bodies, as they came over the connection.
    """

    def __init__(
        self,
        source: Source[RowT],
        paging: Paging,
        *,
        early: bool,
        refuse: Callable[[Source[Any]], Awaitable[NoReturn]] | None = None,
    ) -> None:
        self.pages: int = 0
        self.bytes: int = 0
        self.source: Source[RowT] = source
        self._name = source.connector.name
        self._paging = paging
        self._early = early
        self._refuse = refuse
        self._columns = 0  # counted once
        self._asking = True  # whether there may be something to ask for
        self._pace = Pace()
        self._fetches: deque[PageFetch[RowT]] = deque()
        self._dropped: list[PageFetch[RowT]] = []
        self._reading = False
        self._over: str | None = None

    async def next_rows(self) -> list[RowT]:
        """Return the next rows, an empty list at the end.

        Raises:
            UsageError: If another task reads, or the stream was closed or has failed before.
            AfasError: If rows cannot be had; the other pages on their way are stopped first.
        """
        if self._reading:
            raise self._misuse("two tasks read the same stream: give each its own")
        if self._over is not None:
            raise self._misuse(self._over)
        self._reading = True
        try:
            return await self._next_rows()
        except Exception as error:
            if isinstance(error, ClientClosedError) and self._over is not None:
                raise self._misuse(self._over) from None
            self._over = "the stream has ended with an error: start a new one"
            await self._stop()
            raise
        finally:
            self._reading = False

    def _misuse(self, what: str) -> UsageError:
        return UsageError(f"{self._name}: {what}")

    async def _next_rows(self) -> list[RowT]:
        if self._refuse is not None:
            await self._refuse(self.source)
        while True:
            if self._asking:
                self._ask()
            if not self._fetches:
                await self._stop()
                return []
            head = self._fetches[0]
            head.number, head.columns = self.pages, head.columns or self._columns
            rows = await head.next_rows()
            if self._over is not None:  # closed by another task meanwhile
                raise self._misuse(self._over)
            if head.complete:
                self._advance(head)
            if rows:
                self.source.session.engine.statistics.rows += len(rows)
                return rows

    async def aclose(self) -> None:
        """Stop the pages on their way and wait until they have ended; may be called again."""
        self._over = self._over or "the stream is closed"
        await self._stop()

    def abandon(self) -> None:
        """Stop the pages on their way without waiting, from wherever garbage is collected."""
        if self._fetches or self._dropped:
            self.source.session.call_soon(self._cancel)

    def _cancel(self) -> None:
        for job in self._jobs():
            job.cancel()

    def _ask(self) -> None:
        self.source.session.check()
        while (span := self._paging.ask(arrived=sum(not fetch.jobs for fetch in self._fetches))) is not None:
            self._fetches.append(self._start(span))
        if not self._fetches and not self._paging.ended:
            raise PagingError(
                f"{self._name}: there are more rows than can be skipped over without a key:"
                " declare the connector's key",
                connector=self._name,
                page=self.pages,
            )
        self._asking = False

    def _ask_again(self) -> None:
        self._asking = True

    def _start(self, span: Span) -> PageFetch[RowT]:
        fetch = PageFetch(
            self.source, span, early=self._early, pace=self._pace, halve=self._halve, arrived=self._ask_again
        )
        fetch.start()
        return fetch

    def _advance(self, head: PageFetch[RowT]) -> None:
        """Leave a complete page behind, and drop the pages that it has shown to be of no use."""
        self.pages += head.rows > 0  # the empty answer that proves the end is no page
        self.bytes += head.size
        self._columns = head.columns
        self._fetches.popleft()
        self._ask_again()
        self._drop_behind(self._paging.feed(head.rows, size=head.size, columns=head.columns))

    def _drop_behind(self, wanted: int) -> None:
        while len(self._fetches) > wanted:
            dropped = self._fetches.pop()
            dropped.drop()
            self._dropped.append(dropped)
        self._dropped = [fetch for fetch in self._dropped if fetch.jobs]

    def _halve(self, fetch: PageFetch[RowT]) -> bool:
        if fetch not in self._fetches:
            return False
        index = self._fetches.index(fetch)
        smaller = self._paging.halve(index, fetch.rows)
        if smaller is None:
            return False
        fetch.span = smaller
        self._drop_behind(index + 1)
        return True

    def _jobs(self) -> list[Job]:
        return [job for fetch in (*self._fetches, *self._dropped) for job in fetch.jobs]

    async def _stop(self) -> None:
        jobs = self._jobs()
        self._fetches.clear()
        self._dropped.clear()
        await stop(*jobs)


async def read_page(source: Source[RowT], span: Span) -> list[RowT]:
    """Return the rows of one span, asked for with exactly one request at a time."""
    fetch = PageFetch(source, span, early=False, pace=Pace())
    fetch.columns = 1  # of no interest
    source.session.check()
    fetch.start()
    try:
        rows = await fetch.next_rows()
        source.session.engine.statistics.rows += len(rows)
        return rows
    finally:
        await stop(*fetch.jobs)
