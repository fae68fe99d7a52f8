"""Which rows of a GetConnector to ask for next: a machine that is asked and fed, and never waits.

The rows of a read, in the order of its sort, are numbered from 0. A *span* is a run of them, asked for with one
request. Spans are asked for in order, several at a time, and fed back in order. What the machine decides:

* Spans grow from 100 rows, so that the first row comes soon and a small table costs little, up to AFAS's advice of
  columns x rows < 150,000 (AFAS, GET connector) and about 4 MB.
* Speculation grows too: 1, 3, 7 ... spans in flight, each step after as many full spans. It starts again from 1 when
  a span comes back short, or is too much for the service.
* A read ends only on proof, an empty span: a short one may be the end, or a server that silently caps its answers. It
  makes the machine ask again at the first row not received; spans asked for behind it are dropped.
"""

from __future__ import annotations

from collections import deque

import msgspec

FIRST_TAKE = 100
GROWTH = 10
CELL_LIMIT = 150_000
SPAN_BYTES = 4 << 20
SPANS_TO_GROW = 20
EVERYTHING = -1
# What a row takes before any has been seen; the wide ones of Profit have about that.
ROW_BYTES_GUESS = 500.0


class Span(msgspec.Struct, frozen=True):
    """Rows `skip` up to `skip + take`, as AFAS counts them; both -1 for everything in one answer."""

    skip: int
    take: int

    def after(self, rows: int) -> Span:
        """Return what is left of the span when its first `rows` rows have been received."""
        return Span(self.skip + rows, self.take - rows)


class Paging:
    """Decides which spans to ask for.

    Whoever drives it keeps its own list of the spans in flight in step with the one in here: appended by `ask`, the
    first taken off by `feed`, cut off behind a place by `feed` and `halve`.

    Args:
        window: How many spans may be in flight at a time.
        take: Rows per span, if the user fixed it; EVERYTHING for all rows in one answer; None to grow.
        byte_budget: Bytes that the answers in flight may occupy together, but for the first: that one is being read.
        skip_limit: The first `skip` that is not asked for any more, None for no limit.

    Attributes:
        ended: Whether the end of the rows has been proved.
    """

    def __init__(self, *, window: int, take: int | None, byte_budget: int, skip_limit: int | None = None) -> None:
        self.ended: bool = False
        self._window = window
        self._budget = byte_budget
        # A full window fits into the budget with an eighth to spare, as rows differ in size.
        self._span_bytes = min(SPAN_BYTES, byte_budget * 7 // (8 * max(1, window - 1)))
        self._skip_limit = skip_limit
        self._width = 1
        self._full_spans = 0  # at this width
        self._growing = take is None
        self._take = FIRST_TAKE if take is None else take
        self._cap: int | None = None  # where the server was seen to cap its answers
        self._ceiling: int | None = None  # what the service was seen to manage; it is tried again
        self._full_below_ceiling = 0
        self._row_bytes = ROW_BYTES_GUESS
        self._columns = 1
        self._asked: deque[Span] = deque()
        self._next = 0
        self._last_short = 0

    def ask(self, *, arrived: int = 0) -> Span | None:
        """Return the next span to ask for, or None while there is nothing to ask for.

        Args:
            arrived: How many of the spans asked for and not fed yet have come in whole. One such span counts no more:
                the service shall not wait while it is decoded. More of them would only run ahead of the reader, and
                so would any in a window of one, which is to mean page after page.
        """
        counted = len(self._asked) - min(arrived, 1, self._window - 1)
        if self.ended or counted >= self._width:
            return None
        if self._take == EVERYTHING:
            if self._asked:
                return None
            span = Span(EVERYTHING, EVERYTHING)
        else:
            if self._skip_limit is not None and self._next >= self._skip_limit:
                return None
            span = Span(self._next, self._staggered(self._size()))
            if self._asked and not self._fits(span):
                return None
            self._next += span.take
        self._asked.append(span)
        return span

    def feed(self, rows: int, *, size: int, columns: int) -> int:
        """Take the result of the first of the spans asked for and not fed yet.

        Args:
            rows: How many rows it brought.
            size: Bytes of its body.
            columns: Fields of its first row, 0 if there is none.

        Returns:
            How many of the spans asked for behind it are still wanted; those after them are to be dropped.
        """
        span = self._asked.popleft()
        if rows == 0 or span.take == EVERYTHING:
            self.ended = True
            self._asked.clear()
            return 0
        self._row_bytes = size / rows
        self._columns = max(1, columns)
        if rows < span.take:
            if rows == self._last_short:  # twice the same number of rows: the server caps its answers there
                self._cap = rows
            self._last_short = rows
            self._go_on_from(span.skip + rows)
            return 0
        self._last_short = 0
        self._raise_ceiling()
        self._full_spans += 1
        if self._full_spans >= self._width:
            self._full_spans = 0
            self._width = min(self._window, self._width * 2 + 1)
        if self._growing and self._take < self._size() * GROWTH:
            self._take *= GROWTH
        return len(self._asked)

    def halve(self, index: int, received: int) -> Span | None:
        """Halve what is left of a span that is too much for the service; the spans asked for behind it are abandoned.

        Args:
            index: Which of the spans asked for and not fed yet.
            received: How many of its rows have been received.

        Returns:
            The smaller span in its place, or None if a single row is left, which cannot be halved.
        """
        whole = self._asked[index]
        half = (whole.take - received) // 2
        if half < 1:
            return None
        smaller = Span(whole.skip, received + half)
        before = list(self._asked)[:index]
        self._go_on_from(smaller.skip + smaller.take)
        self._asked.extend([*before, smaller])
        self._ceiling = max(1, whole.take // 2)
        self._full_below_ceiling = 0
        return smaller

    def _staggered(self, size: int) -> int:
        """Return less than `size` as long as spans grow, so that their answers come one after the other later on."""
        if not self._growing:
            return size
        before = self._asked[-1].take if self._asked else size
        return min(size, before + self._largest() // self._window + 1)

    def _largest(self) -> int:
        return max(1, min((CELL_LIMIT - 1) // self._columns, int(self._span_bytes / self._row_bytes)))

    def _size(self) -> int:
        """Return how many rows the next span asks for."""
        size = self._take
        if self._growing:
            size = min(size, self._largest())
        for limit in (self._cap, self._ceiling):
            if limit is not None:
                size = min(size, limit)
        return max(1, size)

    def _raise_ceiling(self) -> None:
        """After many full spans try larger ones again: one bad moment must not make a long read small for ever."""
        self._full_below_ceiling += 1
        if self._ceiling is not None and self._full_below_ceiling >= SPANS_TO_GROW:
            self._ceiling *= 2
            self._full_below_ceiling = 0

    def _fits(self, span: Span) -> bool:
        rows = span.take + sum(asked.take for asked in self._asked) - self._asked[0].take
        return rows * self._row_bytes <= self._budget

    def _go_on_from(self, skip: int) -> None:
        self._asked.clear()
        self._next = skip
        self._width = 1
        self._full_spans = 0
