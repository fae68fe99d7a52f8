"""Reads the parts of a long condition one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Generic

from afas_async.http.host import Job
from afas_async.read.position import Batch
from afas_async.read.window import Window
from afas_async.vocabulary.connectors import RowT


class InTurn(Generic[RowT]):
    """The rows of several windows, one window after the other; the next windows have pages in flight meanwhile.

    Args:
        windows: The windows, taken when they are wanted: there may be thousands.
        at_once: How many of them may have requests in flight.

    Attributes:
        news: Set when `poll` may have something to do.
    """

    def __init__(self, windows: Iterable[Window[RowT]], *, at_once: int) -> None:
        self.news: asyncio.Event = asyncio.Event()
        self._windows = iter(windows)
        self._at_once = at_once
        self._left: deque[tuple[Window[RowT], deque[Batch[RowT]]]] = deque()  # with batches that wait for their turn
        self._finished: list[Window[RowT]] = []  # with requests that still run
        self._pages = 0
        self._bytes = 0
        self._take_windows()

    @property
    def ended(self) -> bool:
        """Whether all rows have been returned."""
        return not self._left

    @property
    def pages(self) -> int:
        """How many pages have been returned completely."""
        return self._pages + sum(window.pages for window, _ in self._left)

    @property
    def bytes(self) -> int:
        """Bytes of their bodies, as received over the connection."""
        return self._bytes + sum(window.bytes for window, _ in self._left)

    def poll(self) -> Batch[RowT] | None:
        """Return the next rows, no row if there may be more at once, or None if there are none until `news` is set.

        Raises:
            AfasError: If rows of any part cannot be read.
        """
        progress = False
        for window, waiting in self._left:
            if not waiting and not window.ended and (batch := window.poll()) is not None:
                progress = True
                if batch.rows:
                    waiting.append(batch)
        head, ready = self._left[0]
        if ready:
            return ready.popleft()
        if head.ended:
            self._left.popleft()
            self._pages += head.pages
            self._bytes += head.bytes
            self._finished = [window for window in (*self._finished, head) if window.jobs()]
            self._take_windows()
            return Batch()
        return Batch() if progress else None

    def _take_windows(self) -> None:
        for window in islice(self._windows, self._at_once - len(self._left)):
            window.news = self.news
            self._left.append((window, deque()))

    def jobs(self) -> list[Job]:
        """Return the requests in flight."""
        return [job for window in (*(window for window, _ in self._left), *self._finished) for job in window.jobs()]

    def forget(self) -> None:
        """Drop the pages in flight from memory."""
        for window in (*(window for window, _ in self._left), *self._finished):
            window.forget()
