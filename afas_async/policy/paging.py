"""Which rows of a GetConnector to ask for next, and which of those that came to hand out.

A machine that is asked and fed, and never waits. Several spans of rows are asked for at a time, in the order of the
read, and what they bring is fed back in that order. Rows may appear and vanish between the answers, so that a number
of rows to skip means something else in each of them. What holds nevertheless is that a row which exists, meets the
condition and keeps its key during the whole read is handed out exactly once:

* *Anchors.* A span counts its rows from the last row handed out when it was asked for (`key >= anchor`), never from the
  start of the connector. So it skips only what is in flight before it, however long the read is; and nothing if the
  key at which that ends can be foretold (`forecast.py`).
* *Seams.* A span asks for one row more, the one before it. An answer is a contiguous run of rows of one moment; so if
  the last row handed out is among them, the rows behind that row are the next ones. Otherwise they are not used. Of
  whole numbers the order is known: there it is enough that the answer begins before the last row handed out.
* *Repair.* If it is not, rows have vanished before the span, or appeared: the rows behind the last one handed out are
  asked for by its key, until the first row of the span is met, or else the span is searched for the row where the
  repair has ended. If neither helps, what is in flight is dropped.
* *Probe.* If an answer that was anchored at the last row handed out does not begin with it, that row was deleted, or
  filter and order disagree: whether the row can still be found by its key tells.
* *End.* A read ends only on proof: an answer that holds nothing but the overlap, or nothing at all. A short one may be
  the end, or a server that silently caps its answers: what is in flight behind it is dropped, and the next asked for.

Speculation grows: 1, 3, 7 ... spans in flight, each step after as many full ones, and from 1 again after a short one.
Without a key there are no anchors and no seams: rows are counted from the start, and drift goes unnoticed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice

from afas_async.errors import KeyOrderError, NonUniqueKeyError
from afas_async.policy.forecast import Forecast
from afas_async.policy.order import Key, Relation, looks_equal
from afas_async.policy.sizing import EVERYTHING, Sizing
from afas_async.policy.spans import Bound, Span, Step

# Gaps are short as a rule, and a repair that is longer than its gap keeps the reader waiting.
REPAIR_TAKE = 1_000
CONTRADICTIONS = 3


class _Role(Enum):
    PAGE = auto()
    REPAIR = auto()
    PROBE = auto()


@dataclass(slots=True)
class _Asked:
    """A span in flight.

    Attributes:
        span: What was asked for.
        end: How many rows of the read will have been handed out behind it, by what was known when it was asked for.
        role: Why it was asked for.
        until: The row at which a repair has done its work.
        foretold: Whether its beginning was foretold.
        seen: How many rows of its answer have been fed.
        handed: How many of them have been handed out.
        joined: Whether its place among the rows is found.
        repaired: Whether a repair in front of it has been tried.
        contradicted: Whether a probe has found the row that its answer lacks.
    """

    span: Span
    end: int
    role: _Role = _Role.PAGE
    until: Key | None = None
    foretold: bool = False
    seen: int = 0
    handed: int = 0
    joined: bool = False
    repaired: bool = False
    contradicted: bool = False


class Paging:
    """Decides which spans to ask for, and which rows to hand out.

    Whoever drives it keeps its own list of the spans in flight in step with the one in here: appended by `ask`,
    changed at the head and cut off behind a place by `feed`, cut off behind a place by `halve`.

    Args:
        sizing: Decides how many rows a span has.
        window: How many spans may be in flight at a time; a repair comes on top.
        keyed: Whether rows have a key; then reading is anchored and verified.
        eager: Whether to ask for one span more when one has come in whole: the service shall not wait while it is
            decoded. Otherwise a window of one means page after page.
        after: The key behind which to begin, None for the first row.
        at_most: How many rows there can be, None if that is not known; as many are taken as proof of the end.
        skip_limit: Without a key, the first `skip` that is not asked for any more, None for no limit.
        connector: The connector's name, for errors.

    Attributes:
        ended: Whether the end of the rows has been proved.
        last: The key of the last row handed out, or the one to begin after.
        rows: How many rows have been handed out.
    """

    def __init__(
        self,
        sizing: Sizing,
        *,
        window: int,
        keyed: bool,
        eager: bool = True,
        after: Key | None = None,
        at_most: int | None = None,
        skip_limit: int | None = None,
        connector: str = "",
    ) -> None:
        self.ended: bool = False
        self.last: Key | None = after
        self.rows: int = 0
        self._sizing = sizing
        self._window = window
        self._keyed = keyed
        self._eager = eager
        self._start = None if after is None else Bound("after", after)
        self._at_most = at_most
        self._skip_limit = skip_limit
        self._connector = connector
        self._width = 1
        self._full = 0  # spans at this width
        self._most = 0  # rows in one answer
        self._gone: Key | None = None  # a key that a probe has not found
        self._contradictions = 0
        self._forecast = Forecast()
        self._asked: deque[_Asked] = deque()

    # --- asking ---

    def ask(self, *, arrived: int = 0) -> Span | None:
        """Return the next span to ask for, or None while there is nothing to ask for.

        Args:
            arrived: How many of the spans asked for and not over yet have come in whole. One such span counts no more
                if the read is eager; more of them would only run ahead of the reader.
        """
        if self.ended or len(self._asked) - min(arrived, int(self._eager)) >= self._width:
            return None
        ahead = max(0, self._asked[-1].end - self.rows) if self._asked else 0
        if self._asked and (self._sizing.everything or (self._keyed and self._most == 1)):
            return None
        if self._sizing.everything:
            asked = _Asked(Span(-1, EVERYTHING, self._start), self.rows)
        else:
            size = self._sizing.next_size(self._asked[-1].span.take if self._asked else None)
            asked = self._foretold(size) or _Asked(self._span(ahead, size), self.rows + ahead + size)
            if self._skip_limit is not None and asked.span.skip >= self._skip_limit:
                return None
            behind = sum(other.span.take for other in islice(self._asked, 1, None))
            if self._asked and not self._sizing.fits(behind + asked.span.take):
                return None
        self._asked.append(asked)
        return asked.span

    def _span(self, ahead: int, size: int) -> Span:
        """Return the span of `size` rows behind the `ahead` rows in flight."""
        if not self._keyed:
            return Span(self.rows + ahead, size)
        if self.rows == 0:  # nothing to count from but the start
            return Span(ahead - 1, size + 1, self._start, overlap=True) if ahead else Span(0, size, self._start)
        if self._most == 1:  # a server that caps at one row would answer with the overlap only, for ever
            return Span(0, size + 1, self._bound("after"))
        return Span(ahead, size + 1, self._bound("from"), overlap=True)

    def _foretold(self, size: int) -> _Asked | None:
        """Return a span behind those in flight that skips nothing, if the key at which it begins can be foretold."""
        behind = self._forecast.behind(self._asked[-1].span) if self._asked else None
        if behind is None:
            return None
        begin, common = behind
        span = Span(0, size + 1, Bound("from", begin), overlap=True)
        return _Asked(span, self._asked[-1].end + max(1, size + 1 - common), foretold=True)

    def _bound(self, relation: Relation) -> Bound | None:
        return None if self.last is None else Bound(relation, self.last)

    def halve(self, index: int) -> Span | None:
        """Halve what is left of a span that is too much for the service; the spans asked for behind it are abandoned.

        Args:
            index: Which of the spans in flight.

        Returns:
            The smaller span in its place, or None if a single row is left, which cannot be halved.
        """
        whole = self.renew(index)
        rows = whole.take - whole.overlap
        if rows < 2:
            return None
        asked = self._asked[index]
        asked.span = Span(whole.skip, rows // 2 + whole.overlap, whole.bound, overlap=whole.overlap)
        asked.end -= rows - rows // 2
        self._abandon(index + 1)
        self._sizing.too_large(rows)
        return asked.span

    def renew(self, index: int) -> Span:
        """Return what to ask for in place of a span whose answer has broken: what is left of it.

        Rows of it that were handed out are not skipped but left behind by key: meanwhile they may have moved.
        """
        asked = self._asked[index]
        if asked.joined and asked.seen and self._keyed:
            everything = asked.span.take == EVERYTHING
            # At least one row behind the overlap, or the answer would look like the end.
            take = EVERYTHING if everything else max(1, asked.span.take - asked.seen) + 1
            asked.span = Span(-1 if everything else 0, take, self._bound("from"), overlap=True)
        elif asked.joined:
            asked.span = Span(asked.span.skip + asked.seen, asked.span.take - asked.seen)
        asked.seen = asked.handed = 0
        asked.joined = False
        return asked.span

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
        """Take the next rows of the first span in flight.

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
        head = self._asked[0]
        if head.role is _Role.PROBE:
            return self._probed(keys, page)
        head.seen += len(keys)
        start = 0
        if not head.joined:
            place = self._place(head, keys, page)
            if place is None:
                return self._displaced(head, keys, done=done)
            start, head.joined = place, True
        elif not head.handed:
            start = self._forecast.passed(keys, self.last)
        stop = len(keys)
        met = head.until is not None and head.until in keys[start:]
        if met:
            stop = start + keys[start:].index(head.until) + 1
        if start < stop:
            self.last = keys[stop - 1] if self._keyed else None
            self.rows += stop - start
            head.handed += stop - start
            self._contradictions = 0
        if met:
            self._asked.popleft()
            return Step(start, stop, over=True)
        if not done:
            return Step(start, stop)
        return Step(start, stop, over=True, wanted=self._finish(size, columns, seconds))

    def _place(self, head: _Asked, keys: Sequence[Key], page: int) -> int | None:
        """Return the first of the rows to hand out, or None if that cannot be told by these rows."""
        if not head.span.overlap:
            return 0
        if keys and head.seen == len(keys):
            if keys[0] == self.last:
                return 1
            self._check_begin(head.span, keys[:1], page)
        if self._is_anchored(head):
            if self._gone == self.last:
                return 0
            if self.last in keys:
                raise self._disagreement(self.last, keys[0], page)
            return None
        if self.last in keys:
            return keys.index(self.last) + 1
        # Numbers have one order: an answer that begins before the last row handed out has all that are behind it.
        return self._forecast.passed(keys, self.last) or None

    def _check_begin(self, span: Span, first: Sequence[Key], page: int) -> None:
        if span.bound is not None and first[0] != span.bound.key and self._forecast.passed(first, span.bound.key):
            raise self._disagreement(span.bound.key, first[0], page)

    def _is_anchored(self, head: _Asked) -> bool:
        """Whether a span begins at the last row handed out, so that nothing can lie between."""
        return head.span.skip <= 0 and head.span.bound == self._bound("from")

    def _displaced(self, head: _Asked, keys: Sequence[Key], *, done: bool) -> Step:
        """Find out where rows belong whose place is not known."""
        if self._is_anchored(head):
            if not head.contradicted:
                return self._ask_in_front(head, keys, Span(0, 1, self._bound("at")), _Role.PROBE)
            self._asked[0] = _Asked(head.span, head.end, head.role, head.until)
            return Step(over=True, front=head.span)
        if not head.repaired:
            head.repaired = True
            self._forecast = self._forecast.failed() if head.foretold else self._forecast
            take = min(self._sizing.size(), REPAIR_TAKE) + 1
            until = keys[0] if keys else None
            return self._ask_in_front(head, keys, Span(0, take, self._bound("from"), overlap=True), _Role.REPAIR, until)
        if not done:
            return Step()  # passed over, in search of the last row handed out
        self._abandon(0)
        return Step(over=True, wanted=0)

    def _ask_in_front(
        self, head: _Asked, keys: Sequence[Key], span: Span, role: _Role, until: Key | None = None
    ) -> Step:
        head.seen -= len(keys)
        self._asked.appendleft(_Asked(span, self.rows + span.take - 1, role, until))
        return Step(again=True, front=span)

    def _probed(self, keys: Sequence[Key], page: int) -> Step:
        self._asked.popleft()
        if keys:
            self._contradictions += 1
            self._asked[0].contradicted = True
            if self._contradictions == CONTRADICTIONS:  # once or twice, it may have been deleted and made again
                raise self._disagreement(self.last, keys[0], page)
        else:
            self._gone = self.last
        return Step(over=True)

    def _finish(self, size: int, columns: int, seconds: float) -> int | None:
        """Leave the first span behind, and return how many of the others are still wanted."""
        head = self._asked.popleft()
        self._forecast = self._forecast.reached(self.rows, self.last)
        if head.seen:
            self._most = max(self._most, head.seen)
            self._sizing.measure(head.seen, size=size, columns=columns)
        # Nothing but the overlap proves nothing as long as the server may cap its answers at one row.
        nothing = head.seen == 0 or (head.handed == 0 and head.seen <= head.span.overlap and self._most > 1)
        if head.span.take == EVERYTHING or nothing or self.rows == self._at_most:
            self.ended = True
            self._asked.clear()
            return 0
        if head.role is _Role.REPAIR:
            return None
        if head.seen < head.span.take:
            self._sizing.short(head.seen)
            self._abandon(0)
            return 0
        if head.foretold and head.handed < head.seen // 2:  # keys have made a jump, also those of the spans behind it
            self._forecast = self._forecast.failed()
            self._abandon(0)
            return 0
        self._sizing.full(head.seen, seconds)
        self._full += 1
        if self._full >= self._width:
            self._full = 0
            self._width = min(self._window, self._width * 2 + 1)
        return None

    def _abandon(self, keep: int) -> None:
        """Forget the spans behind the first `keep`, and grow anew."""
        while len(self._asked) > keep:
            self._asked.pop()
        self._width = 1
        self._full = 0

    def _disagreement(self, anchor: Key | None, first: Key, page: int) -> KeyOrderError | NonUniqueKeyError:
        if anchor is not None and first != anchor and looks_equal(first, anchor):
            return NonUniqueKeyError(
                f"{self._connector}: page {page}: {first!r} and {anchor!r} are one key for the service, which ignores"
                " the case of letters: declare a key that is unique",
                connector=self._connector,
                page=page,
            )
        return KeyOrderError(
            f"{self._connector}: page {page}: rows from key {anchor!r} on were asked for, and the answer does not begin"
            " there: the service filters by this key in another order than it sorts, or the value that it shows is not"
            " the one that it compares; declare another key",
            connector=self._connector,
            page=page,
        )
