"""How many rows to ask for with one request: few at first, then as many as the service and the memory bear.

* Pages grow from 100 rows, so that the first row comes soon and a small table costs little, up to AFAS's advice of
  columns x rows < 150,000 (AFAS, GET connector) and about 4 MB.
* A call takes some seconds whatever its size, and some for each row: two pages of different sizes tell both. A page
  should take 10 seconds, or three times what any page takes, so that a view which is slow by itself is not read in
  tiny pages. The service ends every call after 15 minutes.
* Where the service was seen to cap its answers, no more is asked for; where it ran out of memory or time, half of it.
  After a while more is tried again: rows that trickle in look like a cap, and one bad moment is not the next one.
"""

from __future__ import annotations

from math import inf

FIRST_TAKE = 100
GROWTH = 10
CELL_LIMIT = 150_000
PAGE_BYTES = 4 << 20
LEAST_BYTES = 128 << 10  # of a page where other streams leave no room
PAGE_SECONDS = 10.0
FIXED_SHARE = 3  # a page may take so many times what a page of no rows takes
ROW_SECONDS = 0.01  # the most that a row is thought to take before two sizes tell; Profit's views take far less
MOST_SECONDS = 240.0  # for a page, if all of the time of the last one was its rows'
SLOW_SECONDS = 1.0  # from here on a page more costs more than a page that is too large
PAGES_TO_GROW = 20
# Full pages before more than a cap is tried: few if it is so small that rows which trickle in are likelier.
PAGES_AT_CAP = 50
PAGES_AT_TINY_CAP = 3
TINY_CAP = 10
FULL_SHARE = 0.8  # of the bytes of a full page; rows differ in size
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
        first: How many rows the first page has, where pages grow.

    Attributes:
        everything: Whether all rows are asked for at once.
    """

    def __init__(
        self, *, window: int, take: int | None, byte_budget: int, overlap: int = 0, first: int = FIRST_TAKE
    ) -> None:
        self.everything: bool = take == EVERYTHING
        self._window = window
        self._budget = byte_budget
        self._overlap = overlap
        # A full window fits into the budget with an eighth to spare, as rows differ in size.
        self._page_bytes = min(PAGE_BYTES, byte_budget * 7 // (8 * max(1, window - 1)))
        self._growing = take is None
        self._take = first if take is None else take
        self._cap: int | None = None  # where the server was seen to cap its answers; more is tried again
        self._pages_at_cap = 0  # before more is tried: each failure makes the next trial rarer
        self._full_at_cap = 0
        self._tried_from = 0  # the rows of the answers that were capped before more was tried
        self._last_short = 0
        self._ceiling: int | None = None  # what the service was seen to manage; it is tried again
        self._full_below_ceiling = 0
        self._row_bytes = ROW_BYTES_GUESS
        self._columns = 1
        self._last: tuple[int, float] | None = None  # rows and seconds of the last full page
        self._other: tuple[int, float] | None = None  # and of the latest one of clearly another size
        self._timely: int | None = None  # rows that come in good time, by these two

    def size(self) -> int:
        """Return how many rows a page has now."""
        size = self._take
        if self._growing:
            size = min(size, self._largest())
        for limit in (self._cap, self._ceiling):
            if limit is not None:
                size = min(size, limit)
        return max(1, size)

    def next_size(self, before: int | None, room: float = inf) -> int:
        """Return how many rows the next page has, behind one of `before` rows that is in flight, or None if none is.

        As long as pages grow, each is only a little larger, so that their answers come one after the other later on;
        and none is larger than the room that the client's other streams leave, or than 128 KiB.
        """
        size = self.size()
        if self._growing and size * self._row_bytes > room:
            size = max(1, min(size, int(max(room, LEAST_BYTES) / self._row_bytes)))
        if not self._growing or before is None:
            return size
        return min(size, before + self._largest() // self._window + 1)

    def fits(self, rows: int) -> bool:
        """Whether so many rows may be in flight behind the first page."""
        return rows * self._row_bytes <= self._budget

    def bytes_of(self, rows: int) -> int:
        """Return how many bytes so many rows probably have."""
        return int(rows * self._row_bytes)

    def looks_full(self, rows: int, size: int) -> bool:
        """Whether an answer of so many bytes can hold so many rows like those before."""
        return size >= FULL_SHARE * rows * self._row_bytes

    def measure(self, rows: int, *, size: int, columns: int) -> None:
        """Take what an answer with at least one row was like: bytes of its body, and fields of a row."""
        self._row_bytes = size / rows
        self._columns = max(1, columns)

    def full(self, rows: int, seconds: float) -> None:
        """Take note of a page that came back full, and of how long it took."""
        self._last_short = 0
        self._timely = self._in_time(rows, seconds) if seconds > 0 else None
        self._full_below_ceiling += 1
        if self._ceiling is not None and self._full_below_ceiling >= PAGES_TO_GROW:
            self._ceiling *= 2
            self._full_below_ceiling = 0
        self._full_at_cap += 1
        if self._cap is not None and self._full_at_cap >= self._pages_at_cap:
            self._tried_from = self._cap + self._overlap
            self._cap *= GROWTH
            self._full_at_cap = 0
        if self._growing and self._take < self.size() * GROWTH:
            slow = self._timely if seconds >= SLOW_SECONDS and self._timely is not None else 0
            self._take = max(self._take * GROWTH, slow)

    def short(self, rows: int) -> None:
        """Take note of a page that came back with fewer rows than were asked for."""
        if rows in {self._last_short, self._tried_from}:  # the same number again: the server caps its answers there
            cap = max(1, rows - self._overlap)
            first = PAGES_AT_TINY_CAP if cap < TINY_CAP else PAGES_AT_CAP
            self._pages_at_cap = self._pages_at_cap * 4 if self._cap is not None else first
            self._cap = cap
            self._full_at_cap = 0
        self._last_short = rows

    def _in_time(self, rows: int, seconds: float) -> int:
        """Return how many rows a page may have to come in good time."""
        if self._last is not None and _differ(rows, self._last[0]):
            self._other = self._last
        self._last = (rows, seconds)
        each = min(seconds / rows, ROW_SECONDS)
        if self._other is not None and _differ(rows, self._other[0]):
            other, its = self._other
            each = min(max(0.0, (seconds - its) / (rows - other)), seconds / rows)
        fixed = seconds - each * rows
        left = max(PAGE_SECONDS, FIXED_SHARE * fixed) - fixed
        most = rows * MOST_SECONDS / seconds
        return max(1, int(min(most, left / each) if each else most))

    def too_large(self, rows: int) -> None:
        """Take note of a page that was too much for the service, and of which half is asked for now."""
        self._ceiling = max(1, rows // 2)
        self._full_below_ceiling = 0

    def _largest(self) -> int:
        largest = min((CELL_LIMIT - 1) // self._columns - self._overlap, int(self._page_bytes / self._row_bytes))
        return max(1, largest if self._timely is None else min(largest, self._timely))


def _differ(rows: int, other: int) -> bool:
    """Whether two sizes differ so much that their times tell what a row takes."""
    return not 2 * other < 3 * rows < 4.5 * other
