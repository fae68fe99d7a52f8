"""The parts of a condition too long for one request, side by side, in the order of their keys: whole numbers."""

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

MERGED = 1_000  # rows that are compared before the event loop may run


@dataclass(order=True, slots=True)
class _Part(Generic[RowT]):
    """A window, and the rows of it that wait to be compared; in the order of the next one."""

    rank: tuple[int, ...]
    number: int
    window: Window[RowT]
    batch: Batch[RowT]
    place: int = 0


class Merged(Generic[RowT]):
    """The rows of several windows in one order; a row of several parts comes once.

    Args:
        query: What is read of all parts.
        windows: The windows.
        at_once: How many of them may have requests under way.
        start: Where the read begins.

    Attributes:
        news: Set when `poll` may have something to do.
    """

    def __init__(self, query: Query[RowT], windows: Sequence[Window[RowT]], *, at_once: int, start: Position) -> None:
        self.news: asyncio.Event = asyncio.Event()
        self._query = query
        self._windows = windows
        self._at_once = at_once
        # Parts of which a row waits, and parts of which the next row is not known.
        self._heap: list[_Part[RowT]] = []
        self._hungry = deque(_Part((), number, window, Batch[RowT]()) for number, window in enumerate(windows))
        self._start = start
        self._last: Key | None = start.after
        self._rows = 0
        self._check: PageFetch[RowT] | None = None  # whether two rows have one key; made once
        self._checked = False
        for window in windows:
            window.news = self.news

    @property
    def ended(self) -> bool:
        """Whether all rows have been handed out."""
        return not (self._heap or self._hungry)

    @property
    def pages(self) -> int:
        """How many pages have been handed out completely."""
        return sum(window.pages for window in self._windows)

    @property
    def bytes(self) -> int:
        """Bytes of their bodies, as they came over the connection."""
        return sum(window.bytes for window in self._windows)

    def poll(self) -> Batch[RowT] | None:
        """Return the next rows, no row if there may be more at once, or None if there are none before `news`.

        Raises:
            NonUniqueKeyError: If two rows have one key.
            AfasError: If rows of any part cannot be had.
        """
        if self._check is not None and not self._is_unique(self._check):
            return None
        progress = False
        waiting: list[_Part[RowT]] = []
        for _ in range(min(self._at_once, len(self._hungry))):
            part = self._hungry.popleft()
            batch = part.window.poll()
            progress = progress or batch is not None
            if batch is not None and batch.rows:
                part.batch, part.place = batch, 0
                part.rank = self._rank(batch.keys[0])
                heapq.heappush(self._heap, part)
            elif not part.window.ended:
                waiting.append(part)
        self._hungry.extendleft(reversed(waiting))
        if self._hungry:
            return Batch() if progress else None
        return self._merge()

    def _merge(self) -> Batch[RowT]:
        """Return rows while every part has one to compare."""
        rows: list[RowT] = []
        keys: list[Key] = []
        before = self._start if self._last is None else Position(self._last, parts=self._start.parts)
        while self._heap and not self._hungry and len(rows) < MERGED:
            part = self._heap[0]
            key = part.batch.keys[part.place]
            if self._last is None or part.rank > self._query.order.rank(self._last):
                rows.append(part.batch.rows[part.place])
                keys.append(key)
                self._last = key
            elif self._rows + len(rows) and not self._checked:  # others were handed out before the read was resumed
                self._ask_whether_unique(key)
                break
            part.place += 1
            if part.place < len(part.batch.rows):
                part.rank = self._rank(part.batch.keys[part.place])
                heapq.heapreplace(self._heap, part)
            else:
                heapq.heappop(self._heap)
                if not part.window.ended:
                    self._hungry.append(part)
        self._rows += len(rows)
        return Batch(rows, keys, before)

    def _rank(self, key: Key) -> tuple[int, ...]:
        if not all(type(value) is int for value in values_of(key)):
            name = self._query.connector.name
            raise KeyOrderError(
                f"{name}: the condition was split over several requests, whose rows can be put into one order only if"
                f" {', '.join(self._query.order.fields)} are whole numbers, and a row has {key!r}",
                connector=name,
            )
        return self._query.order.rank(key)

    def _ask_whether_unique(self, key: Key) -> None:
        """Ask for the rows with a key that came twice: is it the same row, in two parts, or are there two rows?"""
        every = Query(self._query.channel, self._query.connector, self._query.order, EVERY_ROW)
        self._check = PageFetch(every, Span(0, 2, Slice("at", key)), early=False)
        self._check.news = self.news
        self._check.start()

    def _is_unique(self, check: PageFetch[RowT]) -> bool:
        """Return whether the answer is there, and has no two rows."""
        rows = check.take()
        if not check.complete:
            return False
        if len(rows or ()) > 1:
            name = self._query.connector.name
            raise NonUniqueKeyError(
                f"{name}: two rows have the same {', '.join(self._query.connector.key)}, {self._last!r}: a read of"
                " several pages would lose or double such rows, so declare a key that is unique",
                connector=name,
            )
        self._check, self._checked = None, True
        return True

    def jobs(self) -> list[Job]:
        """Return what is under way."""
        checks = self._check.jobs if self._check is not None else ()
        return [*checks, *(job for window in self._windows for job in window.jobs())]

    def forget(self) -> None:
        """Forget what is on its way."""
        for window in self._windows:
            window.forget()
