"""Where a read stands: the key from which its rows are counted, and how many of them come before the next one.

A read continues from the key of the last row returned. `a >= x` selects the rows from there on, and the rows with the
same `a` that were already returned are skipped. Usually that is one row. It may be thousands, for example when all rows
of one company have the same first field. Then the read uses a deeper slice: `a = x and b >= y`, and after its last row
`a > x`.

A key that cannot be sent does not move the anchor. From then on the read counts and remembers the rows after the last
key that can be sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

import msgspec
from msgspec.structs import replace

from afas_async.policy.order import Order, looks_equal
from afas_async.policy.sizing import EVERYTHING
from afas_async.policy.spans import Key, Slice, Span, values_of

LONG_RUN = 10_000  # rows to skip at most; beyond, a deeper slice is used
REMEMBERED = 1_000
ONE_FIELD = (1.0,)


def any_key(_: Key) -> bool:
    """Whether a key can be sent, for reads in which every key can."""
    return True


class Anchor(msgspec.Struct, frozen=True):
    """A place in a read.

    Args:
        order: The sort order of the read; None without a key, when rows are counted from the start of the read.
        last: The key of the last row returned.
        within: The slice in which rows are counted; None for the whole read.
        offset: How many rows of the slice come before the next one.
        runs: For each field of the key, how many of the returned rows, up to the last one, share that field and those
            before it; infinite if unknown.
        origin: The key of the last row returned whose key can be sent.
        since: The keys of the rows returned after that one.
        fits: Whether a key can be sent, with all its fields.
    """

    order: Order | None
    last: Key | None = None
    within: Slice | None = None
    offset: int = 0
    runs: tuple[float, ...] = ()
    origin: Key | None = None
    since: tuple[Key, ...] = ()
    fits: Callable[[Key], bool] = any_key

    def span(self, ahead: int, size: int) -> Span:
        """Return the next `size` rows after the `ahead` rows that are in flight."""
        skip = self.offset + ahead
        if self.order is None or not skip:
            return Span(skip, size, self.within)
        return Span(skip - 1, size + 1, self.within, overlap=True)

    def trial(self, size: int) -> Span:
        """Return the next rows without the one before them, for the case that there are no more rows."""
        return Span(self.offset, size, self.within) if self.since else self.after().span(0, size)

    def everything(self) -> Span:
        """Return the span of all rows in one response."""
        overlap = self.within is not None and self.within.relation == "from"
        return Span(-1, EVERYTHING, self.within, overlap=overlap)

    def probe(self) -> Span:
        """Return the span of the last row returned."""
        assert self.last is not None  # noqa: S101 - a probe looks for the last row
        return Span(0, 1, Slice("at", self.last))

    def advanced(self, keys: Sequence[Key]) -> Anchor:
        """Return the anchor after the rows with these keys have been returned."""
        if self.order is None:
            return replace(self, offset=self.offset + len(keys))
        last = keys[-1]
        runs = self._runs(keys) if isinstance(last, tuple) else ONE_FIELD
        if not self.fits(last):
            since = (*self.since, *keys[-REMEMBERED:])[-REMEMBERED:]
            return replace(self, last=last, offset=self.offset + len(keys), runs=runs, since=since)
        # This runs for each slice of rows: hence the short way for one field, and a new object instead of `replace`.
        depth = 0 if runs is ONE_FIELD else next(depth for depth, run in enumerate(runs) if run <= LONG_RUN)
        return Anchor(self.order, last, Slice("from", last, depth), int(runs[depth]), runs, last, (), self.fits)

    def found(self, span: Span, place: int) -> Anchor:
        """Return the anchor after the last row was found just before `place` in the response to a span."""
        if span.within != self.within:
            return self
        return replace(self, offset=span.skip + place)

    def skipped(self, keys: Sequence[Key]) -> Anchor:
        """Return the anchor after rows with these keys were received once more and skipped."""
        runs = (*[inf] * (len(values_of(keys[-1])) - 1), 1)
        return replace(self, last=keys[-1], offset=self.offset + len(keys), runs=runs)

    def exact(self) -> Anchor:
        """Return the anchor that counts no rows before the last one, as some of them may have vanished."""
        if self.last is None or self.since:
            return self
        depth = len(values_of(self.last)) - 1
        return replace(self, within=Slice("from", self.last, depth), offset=1, runs=(*[inf] * depth, 1))

    def after(self) -> Anchor:
        """Return the anchor for the rows after the last one, without that one."""
        exact = self.exact()
        if exact.within is None or exact.since:
            return self
        return replace(exact, within=replace(exact.within, relation="after"), offset=0)

    def again(self, since: tuple[Key, ...]) -> Anchor:
        """Return the anchor at the last key that can be sent; rows with the keys `since` were returned after it."""
        begin = replace(self, last=self.origin, within=None, offset=0, runs=(), since=())
        return replace(begin if self.origin is None else begin.exact(), since=since)

    def beyond(self, within: Slice | None) -> Anchor | None:
        """Return the anchor for the rows after a slice, or None if the read ends with it."""
        if self.order is None or within is None:
            return None
        if within.relation != "empty" and self.order.descending(within.depth):
            return replace(self, within=Slice("empty", within.key, within.depth), offset=0)
        if not within.depth:
            return None
        return replace(self, within=Slice("after", within.key, within.depth - 1), offset=0)

    @property
    def depth(self) -> int:
        """How many of the first fields the rows of the slice share with its key."""
        return 0 if self.within is None else self.within.depth

    def is_at(self, span: Span) -> bool:
        """Whether a span begins at the last row returned, so that no row can lie between them."""
        within = span.within
        if span.skip > 0 or within is None or within.relation != "from" or within.key != self.last:
            return False
        return within.depth == len(values_of(within.key)) - 1

    def has_left(self, within: Slice | None) -> bool:
        """Whether the last row returned comes after all rows of a slice."""
        if within is None or not within.depth or self.last is None:
            return False
        return not _alike(self.last, within.key, within.depth)

    def count_up_to(self, keys: Sequence[Key], key: Key | None) -> int | None:
        """Return the number of `keys` that sort at or before `key`; None if unknown."""
        return None if self.order is None else self.order.count_up_to(keys, key)

    def _runs(self, keys: Sequence[Key]) -> tuple[float, ...]:
        last = keys[-1]
        runs: list[float] = []
        for fields in range(1, len(values_of(last))):
            run: float = _run(keys, fields)
            if run == len(keys) and self.last is not None and _alike(self.last, last, fields):
                run += self.runs[fields - 1]
            runs.append(run)
        return (*runs, 1)


def _run(keys: Sequence[Key], fields: int) -> int:
    """Return how many keys at the end share the first fields."""
    last, low, high = keys[-1], 0, len(keys) - 1
    while low < high:
        middle = (low + high) // 2
        if _alike(keys[middle], last, fields):
            high = middle
        else:
            low = middle + 1
    return len(keys) - low


def _alike(one: Key, other: Key, fields: int) -> bool:
    """Whether two keys share the first fields, as far as the service can distinguish them."""
    mine, its = values_of(one)[:fields], values_of(other)[:fields]
    return mine == its or looks_equal(mine, its)
