"""Which rows of a GetConnector to request next, and which of the received rows to return.

This is a state machine: the caller asks it and feeds it, and it never waits. It requests several spans of rows at a
time, in the order of the read. The caller feeds their responses back in the same order.

Rows may appear and vanish between two responses, so a number of rows to skip means something else in each of them. Even
so, a row that exists, meets the condition and keeps its key during the whole read is returned exactly once:

* *Anchors.* A span counts its rows from the last row that had been returned when the span was requested (`anchor.py`),
  never from the start of the connector. So however long the read is, a span skips little more than the rows in flight
  before it. It skips nothing if its first key can be predicted (`forecast.py`). An anchor is a hint.
* *Seams.* A span requests one extra row, the one before it. A response is a contiguous run of rows of one moment. So if
  the last row returned is in the response, the rows after it are the next ones. Otherwise the response is not used. For
  whole numbers, whose order is known, it is enough that the response begins before the last row returned.
* *Repair.* A span that does not join means that rows before it have vanished or appeared. The read then requests the
  rows after the last one returned, by its key, until it meets the first row of the span. Or else it searches the span
  for the row at which the repair ended. If neither helps, everything in flight is dropped.
* *Probe.* A response that was anchored at the last row returned may not begin with it. Then that row was deleted, or
  filter and order disagree. A lookup of the row by its key decides which.
* *End.* A slice ends only at a response without a row, and the read ends with the last slice. A short response may be
  the end, or come from a server that silently caps its responses. So everything in flight after it is dropped, and the
  rows after its last one are requested. If there are some, the server caps, and they are requested again together with
  the row before them. A key of several fields takes one such request for each field.

Speculation grows (`speculation.py`), and starts anew after a short response. Without a key there are no anchors and no
seams: rows are counted from the start, and drift goes unnoticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from math import inf
from types import MappingProxyType

from afas_async.errors import KeyOrderError, NonUniqueKeyError
from afas_async.policy.anchor import Anchor
from afas_async.policy.forecast import Forecast
from afas_async.policy.order import contradiction, looks_equal, uncountable
from afas_async.policy.sizing import EVERYTHING, Sizing
from afas_async.policy.spans import Ask, Key, Role, Span, Step
from afas_async.policy.speculation import Speculation

# Gaps are usually short, and a repair that is longer than its gap keeps the reader waiting.
REPAIR_TAKE = 1_000
CONTRADICTIONS = 3


class Paging:
    """Decides which spans to request, and which rows to return.

    Args:
        sizing: Decides how many rows a span has.
        window: How many spans may be in flight at a time; a repair comes on top.
        anchor: Where to begin.
        eager: Whether to request one more span when one has arrived completely, so that the service does not wait while
            it is decoded. Otherwise a window of one means page after page.
        at_most: How many rows there can be, None if unknown. When that many have been returned, the end is proved.
        skip_limit: Without a key, the lowest `skip` that is too great to be requested, None for no limit.
        connector: The connector's name, for errors.

    Attributes:
        asks: The requested spans, in the order of the read. `ask`, `feed` and `halve` add to it and remove from it, and
            the caller sends and drops requests accordingly. The rows of the first span are fed.
        anchor: Where the read stands.
        ended: Whether the end of the rows has been proved.
        rows: How many rows have been returned.
    """

    def __init__(
        self,
        sizing: Sizing,
        *,
        window: int,
        anchor: Anchor,
        eager: bool = True,
        at_most: int | None = None,
        skip_limit: int | None = None,
        connector: str = "",
    ) -> None:
        self.asks: deque[Ask] = deque()
        self.anchor: Anchor = anchor
        self.ended: bool = False
        self.rows: int = 0
        self._sizing = sizing
        self._keyed = anchor.order is not None
        self._single = anchor.order is None or len(anchor.order.fields) == 1
        self._at_most = at_most
        self._skip_limit = skip_limit
        self._connector = connector
        self._sought: tuple[Key, ...] = ()  # keys of rows returned before; the row after the last one comes next
        self._speculation = Speculation(window, eager)
        self._most = 0  # rows in one response
        self._short: int | None = None  # the depth of the slice of the last response, if that was short
        self._trial = False  # whether to request the next rows without the one before them, as there may be none
        self._capped = False  # whether rows came after a short response
        self._recounted: Key | None = None  # the last row up to which rows were counted again
        self._gone: Key | None = None  # a key that a probe has not found
        self._contradictions = 0
        self._forecast = Forecast()
        if anchor.since:
            self._begin_again(anchor.since)

    # --- asking ---

    def ask(self, *, arrived: Mapping[Ask, int] = MappingProxyType({}), room: float = inf) -> None:
        """Request the next spans.

        Args:
            arrived: The requested spans that have arrived completely and are not used up, with the sizes of their
                bodies in bytes. If the read is eager, one such span does not count as in flight. More of them do, as
                the read would only run ahead of the reader.
            room: How many bytes of memory are left for responses. The first span is requested in any case.
        """
        full = bool(arrived) and all(self._sizing.looks_full(ask.span.take, size) for ask, size in arrived.items())
        most = self._speculation.allowed(arrived=full)
        while (ask := self._next(most, room)) is not None:
            self.asks.append(ask)
            room -= self.bytes_of(ask)

    def bytes_of(self, ask: Ask) -> int:
        """Return the probable size of the response to a span in bytes; 0 if all rows are requested."""
        return max(0, self._sizing.bytes_of(ask.span.take))

    def _next(self, most: int, room: float) -> Ask | None:
        if self.ended or len(self.asks) >= most:
            return None
        if self._sizing.everything:
            return None if self.asks else Ask(self.anchor.everything(), self.rows)
        if not self.asks:
            size = self._sizing.next_size(None, room)
            span = self.anchor.trial(size) if self._trial else self.anchor.span(0, size)
            return self._unless_too_far(Ask(span, self.rows + size))
        if self._single_rows:
            return None
        size = self._sizing.next_size(self.asks[-1].span.take)
        ahead = max(0, self.asks[-1].end - self.rows)
        ask = self._forecast.ask_after(self.asks[-1], size) or Ask(
            self.anchor.span(ahead, size), self.rows + ahead + size
        )
        queued = sum(other.span.take for other in islice(self.asks, 1, None))
        fits = self._sizing.fits(queued + ask.span.take) and self.bytes_of(ask) <= room
        return self._unless_too_far(ask) if fits else None

    def _unless_too_far(self, ask: Ask) -> Ask | None:
        return None if self._skip_limit is not None and ask.span.skip >= self._skip_limit else ask

    def halve(self, ask: Ask) -> bool:
        """Halve the rest of a span that is too large for the service; the spans after it are dropped.

        Returns:
            Whether it could be halved: a single row cannot.
        """
        self.renew(ask)
        whole = ask.span
        rows = whole.take - whole.overlap
        if rows < 2:
            return False
        ask.span = Span(whole.skip, rows // 2 + whole.overlap, whole.within, overlap=whole.overlap)
        ask.end -= rows - rows // 2
        self._abandon(self.asks.index(ask) + 1)
        self._sizing.too_large(rows)
        return True

    def renew(self, ask: Ask) -> None:
        """Reduce the span of a broken response to its rest.

        Rows of it that were returned are not skipped by number but left out by key, as they may have moved meanwhile.
        """
        if ask.joined and ask.seen and self._keyed:
            if ask.span.take == EVERYTHING:
                if self.anchor.since:  # all rows come again, and are skipped up to the last one returned
                    self._sought = self.anchor.since
                    self.anchor = self.anchor.again(self._sought)
                ask.span = self.anchor.exact().everything()
            else:  # at least one row after the overlap, or the response would look like the end
                ask.span = self.anchor.span(0, max(1, ask.span.take - ask.seen))
        elif ask.joined:
            ask.span = Span(ask.span.skip + ask.seen, ask.span.take - ask.seen)
        ask.seen = ask.returned = 0
        ask.joined = False

    # --- being fed ---

    def feed(
        self,
        keys: Sequence[Key],
        *,
        done: bool,
        size: int = 0,
        columns: int = 0,
        seconds: float = 0.0,
        page: int = 0,
    ) -> Step:
        """Take the next rows of the first requested span.

        Args:
            keys: The keys of the rows. Without a key, only their number counts.
            done: Whether they are the last ones of a complete response.
            size: Size of its body in bytes, when it is done.
            columns: Fields of its first row, 0 if it has no rows.
            seconds: How long it took.
            page: Number of the page, for errors.

        Raises:
            KeyOrderError: If filter and order disagree.
            NonUniqueKeyError: If a different row that the service may confuse with the anchor stands in its place.
        """
        head = self.asks[0]
        if head.role is Role.PROBE:
            return self._probed(keys, page)
        head.seen += len(keys)
        start = self._start(head, keys, page, done=done)
        if isinstance(start, Step):
            return start
        rows = keys[start:] if start else keys
        met = head.until is not None and head.until in rows
        if met:
            rows = rows[: rows.index(head.until) + 1]
        if len(rows):
            self._return_rows(head, rows, page, last=done)
        if met:
            self.asks.popleft()
        elif done:
            self._finish(size, columns, seconds)
        return Step(start, start + len(rows))

    def _start(self, head: Ask, keys: Sequence[Key], page: int, *, done: bool) -> int | Step:
        """Return the index of the first row to return, or what else to do."""
        if keys and self._trial and self._keyed:
            fresh, self._capped = not self._capped, True
            if self.anchor.since and not self._sought and not self._is_recounted(keys[0]):
                return self._count_again(page, fresh=fresh)
            if fresh and self._most > 1:  # a row with the key of the one before them would be missing
                self._trial = False
                return self._abandon(0)
        start = 0
        if not head.joined:
            if self.anchor.has_left(head.span.within):
                return self._abandon(0)
            place = self._place(head, keys, page)
            if place is None:
                return self._displaced(head, keys, done=done)
            start, head.joined = place, True
            # Rows have appeared before the last one, or the row from which they are counted has vanished.
            if head.span.overlap and (place > 1 or (place == 0 and self._sought)):
                self.anchor = self.anchor.found(head.span, place)
        elif not head.returned:
            start = self.anchor.count_up_to(keys, self.anchor.last) or 0
        return self._seek(keys, start) if self._sought else start

    def _return_rows(self, head: Ask, keys: Sequence[Key], page: int, *, last: bool) -> None:
        """Record rows that are returned, and check them where two pages meet."""
        if not head.returned:
            self._check_pair(self.anchor.last, keys[0], page)
        if last:
            self._check_pair(keys[-2] if len(keys) > 1 else self.anchor.last, keys[-1], page)
        self.anchor = self.anchor.advanced(keys)
        self.rows += len(keys)
        if self._short is not None and head.span.within is not None and head.span.within.depth >= self._short:
            self._capped = True
        self._short = None
        head.returned += len(keys)
        self._contradictions = 0

    def _place(self, head: Ask, keys: Sequence[Key], page: int) -> int | None:
        """Return the index of the first row to return, or None if these rows do not show it."""
        within = head.span.within
        if not head.span.overlap:
            if keys and within is not None and within.relation == "after" and keys[0] == within.key:
                raise self._contradicted(within.key, keys[0], page)
            return 0
        last = self.anchor.last
        if keys and head.seen == len(keys):
            if keys[0] == last:
                return 1
            self._check_begin(head.span, keys[:1], page)
        if self.anchor.is_at(head.span):
            if self._gone == last:
                return 0
            if last in keys:
                raise self._contradicted(last, keys[0], page)
            return None
        if last in keys:
            return keys.index(last) + 1
        # Numbers have one order: a response that begins before the last row returned has all rows after it.
        return self.anchor.count_up_to(keys, last) or None

    def _check_pair(self, one: Key | None, other: Key, page: int) -> None:
        """Check that the service can distinguish two neighbouring rows where two pages meet."""
        if self._keyed and one is not None and one != other and looks_equal(one, other):
            raise self._contradicted(one, other, page)

    def _contradicted(self, anchor: Key | None, first: Key, page: int) -> KeyOrderError | NonUniqueKeyError:
        return contradiction(anchor, first, connector=self._connector, page=page)

    def _check_begin(self, span: Span, first: Sequence[Key], page: int) -> None:
        self._check_pair(self.anchor.last, first[0], page)
        anchor = span.within.key if span.within is not None else None
        if first[0] != anchor and self.anchor.count_up_to(first, anchor):
            raise self._contradicted(anchor, first[0], page)

    def _seek(self, keys: Sequence[Key], start: int) -> int:
        """Return the index after the sought row, which was returned before."""
        sought = self._sought[-1]
        stop = keys.index(sought) + 1 if sought in keys else self.anchor.count_up_to(keys, sought)
        found = stop is not None and (sought in keys or stop < len(keys))
        stop = len(keys) if stop is None else stop
        if start < stop:
            self.anchor = self.anchor.skipped(keys[start:stop])
        self._sought = () if found else self._sought
        return stop

    def _displaced(self, head: Ask, keys: Sequence[Key], *, done: bool) -> Step:
        """Find out where rows belong whose place is unknown."""
        if self.anchor.is_at(head.span):
            if not head.contradicted:
                return self._ask_in_front(head, keys, Ask(self.anchor.probe(), self.rows, Role.PROBE))
            self.asks[0] = Ask(head.span, head.end, head.role, head.until)
            return Step()
        if self.anchor.since:
            return self._begin_again(self.anchor.since)
        if not head.repaired:
            head.repaired = True
            self._forecast = self._forecast.failed() if head.predicted else self._forecast
            self.anchor = self.anchor.exact()
            take = min(self._sizing.size(), REPAIR_TAKE)
            until = keys[0] if keys else None
            repair = Ask(self.anchor.span(0, take), self.rows + take, Role.REPAIR, until)
            return self._ask_in_front(head, keys, repair)
        if not done:
            return Step()  # skipped while looking for the last row returned
        return self._abandon(0)

    def _ask_in_front(self, head: Ask, keys: Sequence[Key], ask: Ask) -> Step:
        head.seen -= len(keys)
        self.asks.appendleft(ask)
        return Step(again=True)

    def _probed(self, keys: Sequence[Key], page: int) -> Step:
        self.asks.popleft()
        if keys:
            self._contradictions += 1
            self.asks[0].contradicted = True
            if self._contradictions == CONTRADICTIONS:  # once or twice, it may have been deleted and created again
                raise self._contradicted(self.anchor.last, keys[0], page)
        else:
            self._gone = self.anchor.last
        return Step()

    def _finish(self, size: int, columns: int, seconds: float) -> None:
        """Remove the first span, and any later ones that are no longer useful."""
        head = self.asks.popleft()
        self._forecast = self._forecast.reached(self.rows, self.anchor.last)
        if head.seen:
            self._most = max(self._most, head.seen)
            self._sizing.measure(head.seen, size=size, columns=columns)
        if self.rows == self._at_most:
            self._end()
        elif head.role is Role.REPAIR:
            self._after_repair(head)
        elif not head.seen or head.span.take == EVERYTHING:
            self._leave_slice(head)
        elif head.seen < head.span.take or head.seen == head.span.overlap:
            self._after_short(head)
        elif head.predicted and head.returned < head.seen // 2:  # keys made a jump, and so did those of later spans
            self._forecast = self._forecast.failed()
            self._abandon(0)
        elif not head.returned:  # rows have appeared before the last one
            self.anchor = self.anchor.exact()
            self._abandon(0)
        else:
            self._trial = self._single_rows
            self._sizing.full(head.seen, seconds)
            self._speculation = self._speculation.earned()

    def _after_short(self, head: Ask) -> None:
        """Find out whether a short response ended its slice, by requesting the rows after its last one."""
        if head.returned:
            self._sizing.short(head.seen)
        self._abandon(0)
        self._short = head.span.within.depth if head.span.within is not None else 0
        # When rows are counted, the row before them must come once more: some of the others may have vanished.
        sure = not self._capped and not self.anchor.since
        self._trial = sure or head.seen == head.span.overlap or self._single_rows

    @property
    def _single_rows(self) -> bool:
        """Whether the row before would fill a response, as the server seems to return single rows."""
        return self._keyed and self._most == 1 and not self.anchor.since

    def _leave_slice(self, head: Ask) -> None:
        """Continue with the next slice: this one has no more rows after the last one returned."""
        further = self.anchor.beyond(head.span.within)
        unordered = self._sought and self.anchor.count_up_to((), self._sought[-1]) is None
        if further is None and unordered:  # the last sought row has vanished; numbers would show what follows it
            self._begin_again(self._sought[:-1])
        elif further is None:
            self._end()
        else:
            self.anchor = further
            self._trial = False
            if self._short is not None and further.depth < self._short:  # the next slice was not cut off
                self._short = None
            self._abandon(0)

    def _after_repair(self, head: Ask) -> None:
        """Continue a repair that reached the end of its slice; the next span shows whether that was enough."""
        if head.seen == head.span.take or self._single or self.anchor.since:
            return
        further = self.anchor.after() if head.seen else self.anchor.beyond(head.span.within)
        if further is not None:
            self.asks.appendleft(Ask(further.span(0, head.span.take), head.end, Role.REPAIR, head.until))

    def _is_recounted(self, key: Key) -> bool:
        """Whether rows were just counted again up to the last one, so that the next rows follow it."""
        recounted, self._recounted = self._recounted, self.anchor.last
        return self._most > 1 and recounted == self.anchor.last and key not in self.anchor.since

    def _count_again(self, page: int, *, fresh: bool) -> Step:
        """Count again, as rows came after the supposed end: some of those before may have vanished."""
        if self._most > 1 or fresh:
            return self._begin_again(self.anchor.since)
        raise uncountable(connector=self._connector, page=page)

    def _begin_again(self, sought: tuple[Key, ...]) -> Step:
        """Skip all rows after the last key that can be sent, up to the last one that is sought."""
        self.anchor, self._sought = self.anchor.again(sought), sought
        self._trial, self._short = False, None
        return self._abandon(0)

    def _end(self) -> None:
        self.ended = True
        self.asks.clear()

    def _abandon(self, keep: int) -> Step:
        """Drop the spans after the first `keep`, and grow anew."""
        while len(self.asks) > keep:
            self.asks.pop()
        self._speculation = self._speculation.anew()
        return Step()
