"""Several pages of one read on their way at a time, and their rows in order.

Everything is driven by the reader's pull: pages are asked for when rows are wanted, so a reader that pauses stops the
fetching, and one that goes away leaves at most the pages that were on their way. Only the first page is decoded; the
others wait as bytes. What to ask for, and which of the rows to hand out, is decided by `policy.paging`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Generic

from afas_async.errors import BusinessError, PagingError
from afas_async.http.host import Job, stop
from afas_async.policy.order import Key
from afas_async.policy.paging import Paging
from afas_async.policy.spans import Span, Step
from afas_async.read.fetch import Pace, PageFetch
from afas_async.read.position import Position
from afas_async.read.rowkeys import KeyReader
from afas_async.read.source import Source, explain_refusal
from afas_async.vocabulary.connectors import RowT


class Window(Generic[RowT]):
    """A position in a connector, and the pages on their way to it.

    Args:
        source: What is read.
        paging: Decides what to ask for, and what to hand out.
        early: Hand out rows as they arrive; otherwise page by page.

    Attributes:
        source: What is read.
        news: Set when `poll` may have something to do.
        pages: How many pages have been handed out completely.
        bytes: Bytes of their bodies, as they came over the connection.
    """

    def __init__(self, source: Source[RowT], paging: Paging, *, early: bool) -> None:
        self.pages: int = 0
        self.bytes: int = 0
        self.source: Source[RowT] = source
        self.news: asyncio.Event = asyncio.Event()
        self._name = source.connector.name
        self._paging = paging
        self._early = early
        self._key_reader = KeyReader(source.connector, source.order) if source.keyed else None
        self._columns = 0  # counted once
        self._asking = True  # whether there may be something to ask for
        self._fetches: deque[PageFetch[RowT]] = deque()
        self._dropped: list[PageFetch[RowT]] = []
        self._handed_out = False  # rows of the first page
        self._before: Key | None = paging.last
        self._keys: Sequence[Key] = ()

    @property
    def ended(self) -> bool:
        """Whether all rows have been handed out."""
        return self._paging.ended

    @property
    def keys(self) -> Sequence[Key]:
        """The keys of the rows returned last."""
        return self._keys

    def position(self, handed_out: int) -> Position:
        """Return where the read stands if so many of the rows returned last have been handed out."""
        return Position(self._keys[handed_out - 1] if handed_out else self._before)

    def poll(self) -> list[RowT] | None:
        """Return the next rows, an empty list if there may be more at once, or None if there are none before `news`.

        It decodes 64 KiB at most, and asks for the next pages.

        Raises:
            AfasError: If rows cannot be had.
        """
        if not self._fetches:
            self._ask()
            if not self._fetches:
                return self._nothing_to_ask()
        rows = self._take()
        if self._asking:  # only now: rows that have come may tell that there are no more
            self._ask()
        return rows

    def _ask(self) -> None:
        self.source.channel.check()
        while (span := self._paging.ask(arrived=sum(not fetch.jobs for fetch in self._fetches))) is not None:
            self._fetches.append(self._start(span))
        self._asking = False

    def _take(self) -> list[RowT] | None:
        head = self._fetches[0]
        head.news = self.news
        head.number, head.columns = self.pages, head.columns or self._columns
        rows = head.take()
        if rows is None or not (rows or head.complete):
            return rows
        keys = self._keys_of(rows, head)
        step = self._paging.feed(
            keys, done=head.complete, size=head.size, columns=head.columns, seconds=head.seconds, page=self.pages
        )
        if step.again:
            head.take_back(rows)
        elif rows and self._key_reader is not None:
            head.last = keys[-1]
        self._handed_out = self._handed_out or step.start < step.stop
        self._follow(step)
        if step.start == step.stop:
            return []
        self._before = self._keys[-1] if self._keys else self._before
        self._keys = keys if step.stop - step.start == len(keys) else keys[step.start : step.stop]
        return rows[step.start : step.stop] if len(self._keys) < len(rows) else rows

    def _keys_of(self, rows: Sequence[Any], head: PageFetch[RowT]) -> Sequence[Any]:
        if self._key_reader is None or not rows:
            return rows  # without a key, their number is all that counts
        return self._key_reader.read(rows, head.last, self.pages)

    def jobs(self) -> list[Job]:
        """Return what is under way."""
        return [job for fetch in (*self._fetches, *self._dropped) for job in fetch.jobs]

    def forget(self) -> None:
        """Forget the pages on their way, once their jobs have been cancelled."""
        self._fetches.clear()
        self._dropped.clear()

    def _nothing_to_ask(self) -> list[RowT]:
        if self._paging.ended:
            return []
        raise PagingError(
            f"{self._name}: there are more rows than can be skipped over without a key: declare the connector's key",
            connector=self._name,
            page=self.pages,
        )

    def _ask_again(self) -> None:
        self._asking = True
        self.news.set()

    def _start(self, span: Span) -> PageFetch[RowT]:
        fetch = PageFetch(
            self.source, span, early=self._early, renew=self._renew, halve=self._halve, arrived=self._ask_again
        )
        fetch.start()
        return fetch

    def _follow(self, step: Step) -> None:
        """Keep the list of pages in step with that of the policy."""
        if step.over:
            head = self._fetches.popleft()
            self.bytes += head.size
            self._columns = head.columns or self._columns
            self.pages += self._handed_out  # the answer that proves the end is no page
            self._handed_out = False
            self._leave(head)
            self._ask_again()
        if step.wanted is not None:
            self._drop_behind(step.wanted)
        if step.front is not None:
            self._fetches.appendleft(self._start(step.front))

    def _drop_behind(self, wanted: int) -> None:
        while len(self._fetches) > wanted:
            self._leave(self._fetches.pop())

    def _leave(self, fetch: PageFetch[RowT]) -> None:
        if not fetch.complete:
            fetch.drop()
            self._dropped.append(fetch)
        self._dropped = [dropped for dropped in self._dropped if dropped.jobs]

    def _renew(self, fetch: PageFetch[RowT]) -> Span:
        return self._paging.renew(self._fetches.index(fetch)) if fetch in self._fetches else fetch.span

    def _halve(self, fetch: PageFetch[RowT]) -> Span | None:
        if fetch not in self._fetches:
            return None
        index = self._fetches.index(fetch)
        smaller = self._paging.halve(index)
        if smaller is not None:
            self._drop_behind(index + 1)
        return smaller


async def read_page(source: Source[RowT], span: Span) -> list[RowT]:
    """Return the rows of one span, asked for with exactly one request at a time."""
    fetch = PageFetch(source, span, early=False)
    fetch.columns = 1  # of no interest
    source.channel.check()
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
        await explain_refusal(source, error)
        raise
    else:
        source.channel.statistics.rows += len(rows)
        return rows
    finally:
        await stop(*fetch.jobs)
