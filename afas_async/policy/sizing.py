"""How many rows to ask for with one request: few at first, then as many as the service and the memory bear.

* Pages grow from 100 rows, so that the first row comes soon and a small table costs little, up to AFAS's advice of
  columns x rows < 150,000 (AFAS, GET connector) and about 4 MB.
* A page that takes longer than 10 seconds is followed by smaller ones: the service ends every call after 15 minutes.
* Where the service was seen to cap its answers, no more is asked for; where it ran out of memory or time, half of it,
  and more again after a while.
"""

from __future__ import annotations

FIRST_TAKE = 100
GROWTH = 10
CELL_LIMIT = 150_000
PAGE_BYTES = 4 << 20
PAGE_SECONDS = 10.0
PAGES_TO_GROW = 20
EVERYTHING = -1
# What a row takes before any has been seen; the wide ones of Profit have about that.
ROW_BYTES_GUESS = 500.0


class Sizing:
    """Decides how many rows a page has.

    Args:
        window: How many pages may be in flight at a time.
        take: Rows per page, if the user fixed it; EVERYTHING for all rows in one answer; None to grow.
        byte_budget: Bytes that the answers in flight may occupy together, but for the first: that one is being read.
        overlap: How many rows each request asks for besides, which it has in common with the page before.

    Attributes:
        everything: Whether all rows are asked for at once.
    """

    def __init__(self, *, window: int, take: int | None, byte_budget: int, overlap: int = 0) -> None:
        self.everything: bool = take == EVERYTHING
        self._window = window
        self._budget = byte_budget
        self._overlap = overlap
        # A full window fits into the budget with an eighth to spare, as rows differ in size.
        self._page_bytes = min(PAGE_BYTES, byte_budget * 7 // (8 * max(1, window - 1)))
        self._growing = take is None
        self._take = FIRST_TAKE if take is None else take
        self._cap: int | None = None  # where the server was seen to cap its answers
        self._last_short = 0
        self._ceiling: int | None = None  # what the service was seen to manage; it is tried again
        self._full_below_ceiling = 0
        self._row_bytes = ROW_BYTES_GUESS
        self._columns = 1
        self._timely: int | None = None  # rows that come within PAGE_SECONDS, by the last full page

    def size(self) -> int:
        """Return how many rows a page has now."""
        size = self._take
        if self._growing:
            size = min(size, self._largest())
        for limit in (self._cap, self._ceiling):
            if limit is not None:
                size = min(size, limit)
        return max(1, size)

    def next_size(self, before: int | None) -> int:
        """Return how many rows the next page has, behind one of `before` rows that is in flight, or None if none is.

        As long as pages grow, each is only a little larger, so that their answers come one after the other later on.
        """
        size = self.size()
        if not self._growing or before is None:
            return size
        return min(size, before + self._largest() // self._window + 1)

    def fits(self, rows: int) -> bool:
        """Whether so many rows may be in flight behind the first page."""
        return rows * self._row_bytes <= self._budget

    def measure(self, rows: int, *, size: int, columns: int) -> None:
        """Take what an answer with at least one row was like: bytes of its body, and fields of a row."""
        self._row_bytes = size / rows
        self._columns = max(1, columns)

    def full(self, rows: int, seconds: float) -> None:
        """Take note of a page that came back full, and of how long it took."""
        self._last_short = 0
        self._timely = int(rows * PAGE_SECONDS / seconds) if seconds else None
        # After many full pages try larger ones again: one bad moment must not make a long read small for ever.
        self._full_below_ceiling += 1
        if self._ceiling is not None and self._full_below_ceiling >= PAGES_TO_GROW:
            self._ceiling *= 2
            self._full_below_ceiling = 0
        if self._growing and self._take < self.size() * GROWTH:
            self._take *= GROWTH

    def short(self, rows: int) -> None:
        """Take note of a page that came back with fewer rows than were asked for."""
        if rows == self._last_short:  # twice the same number of rows: the server caps its answers there
            self._cap = max(1, rows - self._overlap)
        self._last_short = rows

    def too_large(self, rows: int) -> None:
        """Take note of a page that was too much for the service, and of which half is asked for now."""
        self._ceiling = max(1, rows // 2)
        self._full_below_ceiling = 0

    def _largest(self) -> int:
        largest = min((CELL_LIMIT - 1) // self._columns - self._overlap, int(self._page_bytes / self._row_bytes))
        return max(1, largest if self._timely is None else min(largest, self._timely))
