"""How many rows to request at once: few at first, then as many as the service and the memory can bear.

* Pages grow from 100 rows, so that the first row comes soon and a small table costs little. The limits are AFAS's
  advice of columns x rows < 150,000 (AFAS, GET connector) and about 4 MB.
* A call takes a fixed time plus some time for each row. Two pages of different sizes reveal both. A page should take 10
  seconds, or three times the fixed time, so that a slow view is not read in tiny pages. The service ends every call
  after 15 minutes.
* If the service was seen to cap its responses, no more is requested. If it ran out of memory or time, half is
  requested. After a while larger pages are tried again: rows that trickle in look like a cap, and one bad moment does
  not mean another.
"""

from __future__ import annotations

from math import inf

FIRST_TAKE = 100
GROWTH = 10
CELL_LIMIT = 150_000
PAGE_BYTES = 4 << 20
LEAST_BYTES = 128 << 10  # of a page when other streams leave no memory
PAGE_SECONDS = 10.0
FIXED_SHARE = 3  # a page may take this many times the time of an empty page
ROW_SECONDS = 0.01  # the assumed maximum per row until two sizes are measured; Profit's views take far less
MOST_SECONDS = 240.0  # for a page, if its rows took all of the last page's time
SLOW_SECONDS = 1.0  # from here on an extra page costs more than a page that is too large
PAGES_TO_GROW = 20
# Full pages before more than a cap is tried. For a tiny cap few are enough, as rows that trickle in are likelier.
PAGES_AT_CAP = 50
PAGES_AT_TINY_CAP = 3
TINY_CAP = 10
FULL_SHARE = 0.8  # of the bytes of a full page; rows differ in size
EVERYTHING = -1
# The assumed size of a row before any has come; Profit's wide rows have about that.
ROW_BYTES_GUESS = 500.0


class Sizing:
    """Decides how many rows a page has.

    Args:
        window: How many pages may be in flight at a time.
        take: Rows per page, if the user fixed it; EVERYTHING for all rows in one response; None to grow.
        byte_budget: Bytes that the responses in flight may occupy together, without the first, which is being read.
        overlap: How many extra rows each request has in common with the page before.
        first: How many rows the first page has, if pages grow.

    Attributes:
        everything: Whether all rows are requested at once.
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
        self._cap: int | None = None  # the size at which the server was seen to cap its responses; more is tried again
        self._pages_at_cap = 0  # before more is tried: each failure makes the next trial rarer
        self._full_at_cap = 0
        self._tried_from = 0  # the rows of the capped responses before more was tried
        self._last_short = 0
        self._ceiling: int | None = None  # the size that the service was seen to manage; more is tried again
        self._full_below_ceiling = 0
        self._row_bytes = ROW_BYTES_GUESS
        self._columns = 1
        self._last: tuple[int, float] | None = None  # rows and seconds of the last full page
        self._other: tuple[int, float] | None = None  # and of the latest one of a clearly different size
        self._timely: int | None = None  # the rows that come in good time, computed from these two

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
        """Return how many rows the page after one of `before` rows has; None means that no page is in flight.

        While pages grow, each is only a little larger than the one before, so that later on their responses come one
        after the other. None is larger than the memory that the client's other streams leave, but 128 KiB are always
        allowed.
        """
        size = self.size()
        if self._growing and size * self._row_bytes > room:
            size = max(1, min(size, int(max(room, LEAST_BYTES) / self._row_bytes)))
        if not self._growing or before is None:
            return size
        return min(size, before + self._largest() // self._window + 1)

    def fits(self, rows: int) -> bool:
        """Whether `rows` rows may be in flight after the first page."""
        return rows * self._row_bytes <= self._budget

    def bytes_of(self, rows: int) -> int:
        """Return the probable size of `rows` rows in bytes."""
        return int(rows * self._row_bytes)

    def looks_full(self, rows: int, size: int) -> bool:
        """Whether a response of `size` bytes probably holds `rows` rows like those before."""
        return size >= FULL_SHARE * rows * self._row_bytes

    def measure(self, rows: int, *, size: int, columns: int) -> None:
        """Record a response with at least one row: the bytes of its body, and the fields of a row."""
        self._row_bytes = size / rows
        self._columns = max(1, columns)

    def full(self, rows: int, seconds: float) -> None:
        """Record a page that came back full, and the seconds it took."""
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
        """Record a page that came back with fewer rows than requested."""
        if rows in {self._last_short, self._tried_from}:  # the same number again: the server caps its responses there
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
        """Record a page that was too large for the service, and of which half is requested now."""
        self._ceiling = max(1, rows // 2)
        self._full_below_ceiling = 0

    def _largest(self) -> int:
        largest = min((CELL_LIMIT - 1) // self._columns - self._overlap, int(self._page_bytes / self._row_bytes))
        return max(1, largest if self._timely is None else min(largest, self._timely))


def _differ(rows: int, other: int) -> bool:
    """Whether two sizes differ enough for their times to reveal the time per row."""
    return not 2 * other < 3 * rows < 4.5 * other
