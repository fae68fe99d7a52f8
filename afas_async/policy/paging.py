"""Which rows of a GetConnector to ask for next, and which of those that came to hand out.

A machine that is asked and fed, and never waits. Several spans of rows are asked for at a time, in the order of the
read, and what they bring is fed back in that order. Rows may appear and vanish between the answers, so that a number
of rows to skip means something else in each of them. What holds nevertheless is that a row which exists, meets the
condition and keeps its key during the whole read is handed out exactly once:

* *Anchors.* A span counts its rows from the last row handed out when it was asked for (`anchor.py`), never from the
  start of the connector. So it skips little more than what is in flight before it, however long the read is; and
  nothing if the key at which that ends can be foretold (`forecast.py`). An anchor is a hint.
* *Seams.* A span asks for one row more, the one before it. An answer is a contiguous run of rows of one moment; so if
  the last row handed out is among them, the rows behind that row are the next ones. Otherwise they are not used. Of
  whole numbers the order is known: there it is enough that the answer begins before the last row handed out.
* *Repair.* If it is not, rows have vanished before the span, or appeared: the rows behind the last one handed out are
  asked for by its key, until the first row of the span is met, or else the span is searched for the row where the
  repair has ended. If neither helps, what is in flight is dropped.
* *Probe.* If an answer that was anchored at the last row handed out does not begin with it, that row was deleted, or
  filter and order disagree: whether the row can still be found by its key tells.
* *End.* A slice ends, and with the last one the read, only at an answer without a row. A short answer may be the end,
  or a server that caps its answers without a word: what is in flight behind it is dropped, and the rows behind its last
  one are asked for. If there are some, the server caps, and they are asked for again, behind the one before them. By a
  key of several fields that takes a request for each of them.

Speculation grows (`speculation.py`), and begins anew after a short answer. Without a key there are no anchors and no
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

# Gaps are short as a rule, and a repair that is longer than its gap keeps the reader waiting.
REPAIR_TAKE = 1_000
CONTRADICTIONS = 3


class Paging:
    """Decides which spans to ask for, and which rows to hand out.

    Args:
        sizing: Decides how many rows a span has.
        window: How many spans may be in flight at a time; a repair comes on top.
        anchor: Where to begin.
        eager: Whether to ask for one span more when one has come in whole: the service shall not wait while it is
            decoded. Otherwise a window of one means page after page.
        at_most: How many rows there can be, None if that is not known; as many are taken as proof of the end.
        skip_limit: Without a key, the first `skip` that is not asked for any more, None for no limit.
        connector: The connector's name, for errors.

    Attributes:
        asks: What is asked for, in the order of the read: `ask`, `feed` and `halve` add to it and take from it, and
            whoever drives it sends and drops requests accordingly. The first is the one whose rows are fed.
        anchor: Where the read stands.
        ended: Whether the end of the rows has been proved.
        rows: How many rows have been handed out.
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
        self._sought: tuple[Key, ...] = ()  # keys of rows that were handed out before; what follows the last comes next
        self._speculation = Speculation(window, eager)
        self._most = 0  # rows in one answer
        self._short: int | None = None  # the depth of the slice of the last answer, if that was short
        self._trial = False  # whether the next rows are asked for without the one before them: there may be none
        self._capped = False  # whether rows came behind a short answer
        self._recounted: Key | None = None  # the last row up to which rows were counted anew
        self._gone: Key | None = None  # a key that a probe has not found
        self._contradictions = 0
        self._forecast = Forecast()
        if anchor.since:
            self._begin_again(anchor.since)

    # --- asking ---

    def ask(self, *, arrived: Mapping[Ask, int] = MappingProxyType({}), room: float = inf) -> None:
        """Ask for what is wanted next.

        Args:
            room: How many bytes of memory there are for the answers. The first span is asked for in any case.
            arrived: What has come in whole of the spans asked for and not over yet, with the bytes of their bodies. One
                such span counts no more if the read is eager; more of them would only run ahead of the reader.
        """
        full = bool(arrived) and all(self._sizing.looks_full(ask.span.take, size) for ask, size in arrived.items())
        most = self._speculation.allowed(arrived=full)
        while (ask := self._next(most, room)) is not None:
            self.asks.append(ask)
            room -= self.bytes_of(ask)

    def bytes_of(self, ask: Ask) -> int:
        """Return how many bytes the answer to a span probably has; 0 if all rows are asked for."""
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
        if self._blind:
            return None
        size = self._sizing.next_size(self.asks[-1].span.take)
        ahead = max(0, self.asks[-1].end - self.rows)
        ask = self._forecast.ask_behind(self.asks[-1], size) or Ask(
            self.anchor.span(ahead, size), self.rows + ahead + size
        )
        behind = sum(other.span.take for other in islice(self.asks, 1, None))
        fits = self._sizing.fits(behind + ask.span.take) and self.bytes_of(ask) <= room
        return self._unless_too_far(ask) if fits else None

    def _unless_too_far(self, ask: Ask) -> Ask | None:
        return None if self._skip_limit is not None and ask.span.skip >= self._skip_limit else ask

    def halve(self, ask: Ask) -> bool:
        """Halve what is left of a span that is too much for the service; the spans behind it are dropped.

        Returns:
            Whether there is more than one row, which cannot be halved.
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
        """Make the span of a broken answer what is left of it.

        Rows of it that were handed out are not skipped but left behind by key: meanwhile they may have moved.
        """
        if ask.joined and ask.seen and self._keyed:
            if ask.span.take == EVERYTHING:
                if self.anchor.since:  # all of it comes again, and is passed over up to the last row handed out
                    self._sought = self.anchor.since
                    self.anchor = self.anchor.again(self._sought)
                ask.span = self.anchor.exact().everything()
            else:  # at least one row behind the overlap, or the answer would look like the end
                ask.span = self.anchor.span(0, max(1, ask.span.take - ask.seen))
        elif ask.joined:
            ask.span = Span(ask.span.skip + ask.seen, ask.span.take - ask.seen)
        ask.seen = ask.handed = 0
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
        """Take the next rows of the first span that is asked for.

        Args:
            keys: The keys of the rows. Without a key their number is all that counts.
            done: Whether they are the last ones, and the answer was whole.
            size: Bytes of its body, once it is done.
            columns: Fields of its first row, 0 if there is none.
            seconds: How long it took.
            page: Number of the page, for errors.

        Raises:
            KeyOrderError: If filter and order disagree.
            NonUniqueKeyError: If another row stands in the place of the anchor that looks like it.
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
            self._hand_out(head, rows, page, last=done)
        if met:
            self.asks.popleft()
        elif done:
            self._finish(size, columns, seconds)
        return Step(start, start + len(rows))

    def _start(self, head: Ask, keys: Sequence[Key], page: int, *, done: bool) -> int | Step:
        """Return the first of the rows to hand out, or what else to do."""
        if keys and self._trial and self._keyed:
            fresh, self._capped = not self._capped, True
            if self.anchor.since and not self._sought and not self._is_recounted(keys[0]):
                return self._count_again(page, fresh=fresh)
            if fresh and self._most > 1:  # a row with the key of the one before them would not be among them
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
            # Rows have appeared before the last one, or the one has vanished from which they are counted.
            if head.span.overlap and (place > 1 or (place == 0 and self._sought)):
                self.anchor = self.anchor.found(head.span, place)
        elif not head.handed:
            start = self.anchor.passed_by(keys, self.anchor.last) or 0
        return self._seek(keys, start) if self._sought else start

    def _hand_out(self, head: Ask, keys: Sequence[Key], page: int, *, last: bool) -> None:
        """Take note of rows that are handed out, and check those where two pages meet."""
        if not head.handed:
            self._check_pair(self.anchor.last, keys[0], page)
        if last:
            self._check_pair(keys[-2] if len(keys) > 1 else self.anchor.last, keys[-1], page)
        self.anchor = self.anchor.behind(keys)
        self.rows += len(keys)
        if self._short is not None and head.span.within is not None and head.span.within.depth >= self._short:
            self._capped = True
        self._short = None
        head.handed += len(keys)
        self._contradictions = 0

    def _place(self, head: Ask, keys: Sequence[Key], page: int) -> int | None:
        """Return the first of the rows to hand out, or None if that cannot be told by these rows."""
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
        # Numbers have one order: an answer that begins before the last row handed out has all that are behind it.
        return self.anchor.passed_by(keys, last) or None

    def _check_pair(self, one: Key | None, other: Key, page: int) -> None:
        """Check that the service can tell two rows apart that stand together where two pages meet."""
        if self._keyed and one is not None and one != other and looks_equal(one, other):
            raise self._contradicted(one, other, page)

    def _contradicted(self, anchor: Key | None, first: Key, page: int) -> KeyOrderError | NonUniqueKeyError:
        return contradiction(anchor, first, connector=self._connector, page=page)

    def _check_begin(self, span: Span, first: Sequence[Key], page: int) -> None:
        self._check_pair(self.anchor.last, first[0], page)
        anchor = span.within.key if span.within is not None else None
        if first[0] != anchor and self.anchor.passed_by(first, anchor):
            raise self._contradicted(anchor, first[0], page)

    def _seek(self, keys: Sequence[Key], start: int) -> int:
        """Return the first of the rows behind the one that is sought, which was handed out before."""
        sought = self._sought[-1]
        stop = keys.index(sought) + 1 if sought in keys else self.anchor.passed_by(keys, sought)
        found = stop is not None and (sought in keys or stop < len(keys))
        stop = len(keys) if stop is None else stop
        if start < stop:
            self.anchor = self.anchor.passed(keys[start:stop])
        self._sought = () if found else self._sought
        return stop

    def _displaced(self, head: Ask, keys: Sequence[Key], *, done: bool) -> Step:
        """Find out where rows belong whose place is not known."""
        if self.anchor.is_at(head.span):
            if not head.contradicted:
                return self._ask_in_front(head, keys, Ask(self.anchor.probe(), self.rows, Role.PROBE))
            self.asks[0] = Ask(head.span, head.end, head.role, head.until)
            return Step()
        if self.anchor.since:
            return self._begin_again(self.anchor.since)
        if not head.repaired:
            head.repaired = True
            self._forecast = self._forecast.failed() if head.foretold else self._forecast
            self.anchor = self.anchor.exact()
            take = min(self._sizing.size(), REPAIR_TAKE)
            until = keys[0] if keys else None
            repair = Ask(self.anchor.span(0, take), self.rows + take, Role.REPAIR, until)
            return self._ask_in_front(head, keys, repair)
        if not done:
            return Step()  # passed over, in search of the last row handed out
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
            if self._contradictions == CONTRADICTIONS:  # once or twice, it may have been deleted and made again
                raise self._contradicted(self.anchor.last, keys[0], page)
        else:
            self._gone = self.anchor.last
        return Step()

    def _finish(self, size: int, columns: int, seconds: float) -> None:
        """Leave the first span behind, and with it those behind it that are of no use any more."""
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
        elif head.foretold and head.handed < head.seen // 2:  # keys have made a jump, also those of the spans behind it
            self._forecast = self._forecast.failed()
            self._abandon(0)
        elif not head.handed:  # rows have appeared before the last one
            self.anchor = self.anchor.exact()
            self._abandon(0)
        else:
            self._trial = self._blind
            self._sizing.full(head.seen, seconds)
            self._speculation = self._speculation.earned()

    def _after_short(self, head: Ask) -> None:
        """Find out whether a short answer was the last of its slice, by asking for the rows behind its last one."""
        if head.handed:
            self._sizing.short(head.seen)
        self._abandon(0)
        self._short = head.span.within.depth if head.span.within is not None else 0
        # Where rows are counted, the row before them must come once more: some of the others may have vanished.
        sure = not self._capped and not self.anchor.since
        self._trial = sure or head.seen == head.span.overlap or self._blind

    @property
    def _blind(self) -> bool:
        """Whether the row before would be all of an answer, as far as was seen: of a server that answers one row."""
        return self._keyed and self._most == 1 and not self.anchor.since

    def _leave_slice(self, head: Ask) -> None:
        """Go on with the next slice: behind the last row handed out, this one has no more."""
        further = self.anchor.beyond(head.span.within)
        unordered = self._sought and self.anchor.passed_by((), self._sought[-1]) is None
        if further is None and unordered:  # the last of them has vanished; of numbers it is known what is behind it
            self._begin_again(self._sought[:-1])
        elif further is None:
            self._end()
        else:
            self.anchor = further
            self._trial = False
            if self._short is not None and further.depth < self._short:  # what follows was not cut off
                self._short = None
            self._abandon(0)

    def _after_repair(self, head: Ask) -> None:
        """Go on with a repair that has come to the end of its slice: whether it was enough shows at the next span."""
        if head.seen == head.span.take or self._single or self.anchor.since:
            return
        further = self.anchor.after() if head.seen else self.anchor.beyond(head.span.within)
        if further is not None:
            self.asks.appendleft(Ask(further.span(0, head.span.take), head.end, Role.REPAIR, head.until))

    def _is_recounted(self, key: Key) -> bool:
        """Whether rows were just counted anew up to the last one, so that what follows comes next."""
        recounted, self._recounted = self._recounted, self.anchor.last
        return self._most > 1 and recounted == self.anchor.last and key not in self.anchor.since

    def _count_again(self, page: int, *, fresh: bool) -> Step:
        """Count anew, as rows came behind what was taken for the end: some of those before may have vanished."""
        if self._most > 1 or fresh:
            return self._begin_again(self.anchor.since)
        raise uncountable(connector=self._connector, page=page)

    def _begin_again(self, sought: tuple[Key, ...]) -> Step:
        """Pass over all rows behind the last key that can be sent, up to the last one that is sought."""
        self.anchor, self._sought = self.anchor.again(sought), sought
        self._trial, self._short = False, None
        return self._abandon(0)

    def _end(self) -> None:
        self.ended = True
        self.asks.clear()

    def _abandon(self, keep: int) -> Step:
        """Drop the spans behind the first `keep`, and grow anew."""
        while len(self.asks) > keep:
            self.asks.pop()
        self._speculation = self._speculation.anew()
        return Step()
