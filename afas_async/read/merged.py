"""Reads the parts of a long condition side by side, in the order of their keys, which are whole numbers."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic

from afas_async.errors import KeyOrderError, NonUniqueKeyError
from afas_async.http.host import Job
from afas_async.policy.spans import Key, Slice, Span, values_of
from afas_async.read.page import PageFetch
from afas_async.read.position import Batch, Position
from afas_async.read.query import Query
from afas_async.read.window import Window
from afas_async.vocabulary.connectors import RowT
from afas_async.wire.row_requests import EVERY_ROW

MERGED = 1_000  # rows to compare before the event loop may run


@dataclass(order=True, slots=True)
class _Part(Generic[RowT]):
    """A window and its rows that wait to be compared, sorted by the next of them."""

    rank: tuple[int, ...]
    number: int
    window: Window[RowT]
    batch: Batch[RowT]
    place: int = 0


class Merged(Generic[RowT]):
    """The rows of several windows in one order; a row that is in several parts comes once.

    Args:
        query: The read without the parts of its condition.
        windows: The windows.
        at_once: How many of them may have requests in flight.
        start: Where the read begins.

    Attributes:
        news: Set when `poll` may have something to do.
    """

    def __init__(self, query: Query[RowT], windows: Sequence[Window[RowT]], *, at_once: int, start: Position) -> None:
        self.news: asyncio.Event = asyncio.Event()
        self._query = query
        self._windows = windows
        self._at_once = at_once
        # Parts with a row that waits, and parts whose next row is unknown.
        self._heap: list[_Part[RowT]] = []
        self._pending = deque(_Part((), number, window, Batch[RowT]()) for number, window in enumerate(windows))
        self._start = start
        self._last: Key | None = start.after
        self._rows = 0
        self._check: PageFetch[RowT] | None = None  # checks, once, whether two rows share a key
        self._checked = False
        for window in windows:
            window.news = self.news

    @property
    def ended(self) -> bool:
        """Whether all rows have been returned."""
        return not (self._heap or self._pending)

    @property
    def pages(self) -> int:
        """How many pages have been returned completely."""
        return sum(window.pages for window in self._windows)

    @property
    def bytes(self) -> int:
        """Bytes of their bodies, as received over the connection."""
        return sum(window.bytes for window in self._windows)

    def poll(self) -> Batch[RowT] | None:
        """Return the next rows, no row if there may be more at once, or None if there are none until `news` is set.

        Raises:
            NonUniqueKeyError: If two rows have the same key.
            AfasError: If rows of any part cannot be read.
        """
        if self._check is not None and not self._is_unique(self._check):
            return None
        progress = False
        waiting: list[_Part[RowT]] = []
        for _ in range(min(self._at_once, len(self._pending))):
            part = self._pending.popleft()
            batch = part.window.poll()
            progress = progress or batch is not None
            if batch is not None and batch.rows:
                part.batch, part.place = batch, 0
                part.rank = self._rank(batch.keys[0])
                heapq.heappush(self._heap, part)
            elif not part.window.ended:
                waiting.append(part)
        self._pending.extendleft(reversed(waiting))
        if self._pending:
            return Batch() if progress else None
        return self._merge()

    def _merge(self) -> Batch[RowT]:
        """Return rows as long as every part has one to compare."""
        rows: list[RowT] = []
        keys: list[Key] = []
        before = self._start if self._last is None else Position(self._last, parts=self._start.parts)
        while self._heap and not self._pending and len(rows) < MERGED:
            part = self._heap[0]
            key = part.batch.keys[part.place]
            if self._last is None or part.rank > self._query.order.rank(self._last):
                rows.append(part.batch.rows[part.place])
                keys.append(key)
                self._last = key
            elif self._rows + len(rows) and not self._checked:  # earlier rows were returned before the read was resumed
                self._ask_whether_unique(key)
                break
            part.place += 1
            if part.place < len(part.batch.rows):
                part.rank = self._rank(part.batch.keys[part.place])
                heapq.heapreplace(self._heap, part)
            else:
                heapq.heappop(self._heap)
                if not part.window.ended:
                    self._pending.append(part)
        self._rows += len(rows)
        return Batch(rows, keys, before)

    def _rank(self, key: Key) -> tuple[int, ...]:
        if not all(type(value) is int for value in values_of(key)):
            name = self._query.connector.name
            raise KeyOrderError(
                f"{name}: the condition was split over several requests. Their rows can be merged only if"
                f" {', '.join(self._query.order.fields)} are whole numbers, but a row has {key!r}",
                connector=name,
            )
        return self._query.order.rank(key)

    def _ask_whether_unique(self, key: Key) -> None:
        """Request the rows with a key that came twice, to see if it is one row in two parts, or two rows."""
        every = Query(self._query.channel, self._query.connector, self._query.order, EVERY_ROW)
        self._check = PageFetch(every, Span(0, 2, Slice("at", key)), early=False)
        self._check.news = self.news
        self._check.start()

    def _is_unique(self, check: PageFetch[RowT]) -> bool:
        """Return whether the response has arrived and has no second row."""
        rows = check.take()
        if not check.complete:
            return False
        if len(rows or ()) > 1:
            name = self._query.connector.name
            raise NonUniqueKeyError(
                f"{name}: two rows have the same {', '.join(self._query.connector.key)}, {self._last!r}. A read of"
                " several pages would lose or repeat such rows: declare a key that is unique",
                connector=name,
            )
        self._check, self._checked = None, True
        return True

    def jobs(self) -> list[Job]:
        """Return the requests in flight."""
        checks = self._check.jobs if self._check is not None else ()
        return [*checks, *(job for window in self._windows for job in window.jobs())]

    def forget(self) -> None:
        """Drop the pages in flight from memory."""
        for window in self._windows:
            window.forget()
