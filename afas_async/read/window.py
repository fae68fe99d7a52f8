"""Keeps several pages of one read in flight, and returns their rows in order.

The reader drives everything: pages are requested when rows are wanted. So a reader that pauses stops the requests, and
one that leaves abandons at most the pages in flight. Only the first page is decoded; the others wait as bytes.
`policy.paging` decides what to request and which of the rows to return.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Generic

from afas_async.errors import BusinessError, PagingError
from afas_async.http.host import Job, stop
from afas_async.policy.paging import Paging
from afas_async.policy.spans import Ask, Span
from afas_async.read.keys import KeyReader
from afas_async.read.pace import Pace
from afas_async.read.page import PageFetch
from afas_async.read.position import START, Batch, Position
from afas_async.read.query import Query, explain_refusal
from afas_async.vocabulary.connectors import RowT


class Window(Generic[RowT]):
    """A position in a connector, and the pages in flight after it.

    Args:
        query: The read.
        paging: Decides what to request, and which rows to return.
        early: Return rows as they arrive; otherwise page by page.
        place: The part of the read that this window reads.

    Attributes:
        query: The read.
        news: Set when `poll` may have something to do.
        pages: How many pages have been returned completely.
        bytes: Bytes of their bodies, as received over the connection.
    """

    def __init__(self, query: Query[RowT], paging: Paging, *, early: bool, place: Position = START) -> None:
        self.pages: int = 0
        self.bytes: int = 0
        self.query: Query[RowT] = query
        self.news: asyncio.Event = asyncio.Event()
        self._paging = paging
        self._early = early
        self._key_reader = KeyReader(query.connector, query.order) if query.keyed else None
        self._columns = 0  # counted once
        self._lenient = False  # whether odd responses are accepted, because retries did not change them
        self._asking = True  # whether there may be something to request
        self._fetches: dict[Ask, PageFetch[RowT]] = {}
        self._dropped: list[PageFetch[RowT]] = []
        self._returned = False  # whether rows of the first page were
        self._place = place

    @property
    def ended(self) -> bool:
        """Whether all rows have been returned."""
        return self._paging.ended

    def poll(self) -> Batch[RowT] | None:
        """Return the next rows, no row if there may be more at once, or None if there are none until `news` is set.

        It decodes 64 KiB at most, and requests the next pages.

        Raises:
            AfasError: If rows cannot be read.
        """
        if not self._paging.asks:
            self._ask()
            if not self._paging.asks:
                return self._nothing_to_ask()
        batch = self._take()
        if self._asking:  # only now, as these rows may show that there are no more
            self._ask()
        return batch

    def _ask(self) -> None:
        self.query.channel.check()
        head = self._fetches[self._paging.asks[0]] if self._paging.asks else None
        self._paging.ask(
            arrived={ask: fetch.size for ask, fetch in self._fetches.items() if not fetch.jobs},
            room=self.query.channel.session.memory.room(beside=head),
        )
        self._follow()
        self._asking = False

    def _take(self) -> Batch[RowT] | None:
        ask = self._paging.asks[0]
        head = self._fetches[ask]
        head.news = self.news
        head.number, head.columns, head.lenient = self.pages, head.columns or self._columns, self._lenient
        rows = head.take()
        if rows is None:
            return None
        if not (rows or head.complete):
            return Batch()
        keys = self._keys_of(rows, head)
        anchor = self._paging.anchor
        step = self._paging.feed(
            keys, done=head.complete, size=head.size, columns=head.columns, seconds=head.seconds, page=self.pages
        )
        if step.again:
            head.take_back(rows)
        elif rows and self._key_reader is not None:
            head.last = keys[-1]
        self._returned = self._returned or step.start < step.stop
        asks = self._paging.asks
        if not asks or asks[0] is not ask or len(asks) != len(self._fetches):
            if ask not in asks:
                self._leave_page(head)
            self._follow()
        if step.start == step.stop:
            return Batch()
        if step.stop - step.start < len(keys):
            rows, keys = rows[step.start : step.stop], keys[step.start : step.stop]
        before = Position(anchor.origin, anchor.since, self._place.parts, self._place.over)
        return Batch(rows, keys, before, self.query.fits)

    def _keys_of(self, rows: Sequence[Any], head: PageFetch[RowT]) -> Sequence[Any]:
        if self._key_reader is None or not rows:
            return rows  # without a key, only their number counts
        return self._key_reader.read(rows, head.last, self.pages)

    def jobs(self) -> list[Job]:
        """Return the requests in flight."""
        return [job for fetch in (*self._fetches.values(), *self._dropped) for job in fetch.jobs]

    def forget(self) -> None:
        """Drop the pages in flight from memory."""
        for fetch in self._fetches.values():
            self.query.channel.session.memory.remove(fetch)
            fetch.drop()
        self._fetches.clear()
        self._dropped.clear()

    def _nothing_to_ask(self) -> Batch[RowT]:
        if self._paging.ended:
            return Batch()
        name = self.query.connector.name
        raise PagingError(
            f"{name}: there are more rows than can be read without a key: declare the connector's key",
            connector=name,
            page=self.pages,
        )

    def _ask_again(self) -> None:
        self._asking = True
        self.news.set()

    def _leave_page(self, head: PageFetch[RowT]) -> None:
        self.bytes += head.size
        self._columns = head.columns or self._columns
        self._lenient = self._lenient or head.was_odd
        self.pages += self._returned  # the response that proves the end is not a page
        self._returned = False
        self._ask_again()

    def _follow(self) -> None:
        """Send the requests that the policy wants, and drop those that it no longer wants."""
        asks = self._paging.asks
        for ask in [ask for ask in self._fetches if ask not in asks]:
            fetch = self._fetches.pop(ask)
            self.query.channel.session.memory.remove(fetch)
            if not fetch.complete:
                fetch.drop()
                self._dropped.append(fetch)
        for ask in asks:
            if ask not in self._fetches:
                self._fetches[ask] = self._start(ask)
        self._dropped = [dropped for dropped in self._dropped if dropped.jobs]

    def _start(self, ask: Ask) -> PageFetch[RowT]:
        fetch = PageFetch(
            self.query,
            ask.span,
            early=self._early,
            renew=lambda: self._renew(ask),
            halve=lambda: self._halve(ask),
            arrived=self._ask_again,
            expected=self._paging.bytes_of(ask),
        )
        self.query.channel.session.memory.add(fetch)
        fetch.start()
        return fetch

    def _renew(self, ask: Ask) -> Span:
        if ask in self._paging.asks:
            self._paging.renew(ask)
        return ask.span

    def _halve(self, ask: Ask) -> bool:
        halved = ask in self._paging.asks and self._paging.halve(ask)
        self._follow()
        return halved


async def read_page(query: Query[RowT], span: Span) -> list[RowT]:
    """Return the rows of one span, with one request at a time."""
    fetch = PageFetch(query, span, early=False)
    query.channel.check()
    fetch.start()
    pace = Pace()
    rows: list[RowT] = []
    try:
        while not fetch.complete:
            if pace.due:
                await pace.rest()
            taken = fetch.take()
            if taken is None:
                await fetch.wait()
            else:
                rows += taken
    except BusinessError as error:
        await explain_refusal(query, error)
        raise
    else:
        for counted in query.channel.counters(query.connector.name):
            counted.rows += len(rows)
        return rows
    finally:
        await stop(*fetch.jobs)
