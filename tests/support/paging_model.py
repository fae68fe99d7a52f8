"""A table that changes while it is read, and the least that drives a paging machine over it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from afas_async.policy.order import Key
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import EVERYTHING
from afas_async.policy.spans import Span

COLUMNS = 2
ROW_BYTES = 40


class Table:
    """Rows of a service that sorts and compares them in an order of its own.

    Args:
        universe: All keys that there could be, in the order of the service, which may be none that Python knows.
        keys: Those that there are.
        cap: The most rows that the service answers, whatever it is asked for; None for no such limit.
    """

    def __init__(self, universe: Sequence[Key], keys: Iterable[Key], *, cap: int | None = None) -> None:
        self.universe = universe
        self.cap = cap
        self._rank = {key: rank for rank, key in enumerate(universe)}
        self._ranks = sorted(map(self.rank, keys))

    def rank(self, key: Key) -> int:
        return self._rank[key]

    def _place(self, key: Key) -> float:
        """Return the rank of a key, or between which ranks a number would stand that is none of the keys."""
        if key in self._rank:
            return self._rank[key]
        numbers = cast("Sequence[int]", self.universe)
        sign = 1 if numbers[0] <= numbers[-1] else -1
        return bisect_left(numbers, sign * cast("int", key), key=sign.__mul__) - 0.5

    @property
    def keys(self) -> list[Key]:
        return [self.universe[rank] for rank in self._ranks]

    def __contains__(self, key: Key) -> bool:
        place = bisect_left(self._ranks, self.rank(key))
        return self._ranks[place : place + 1] == [self.rank(key)]

    def insert(self, key: Key) -> None:
        if key not in self:
            insort(self._ranks, self.rank(key))

    def delete(self, key: Key) -> None:
        if key in self:
            self._ranks.remove(self.rank(key))

    def answer(self, span: Span) -> list[Key]:
        """Return what the service answers to a span at this moment."""
        low, high = 0, len(self._ranks)
        if span.bound is not None:
            place = self._place(span.bound.key)
            low = (bisect_right if span.bound.relation == "after" else bisect_left)(self._ranks, place)
            high = bisect_right(self._ranks, place) if span.bound.relation == "at" else high
        if span.take != EVERYTHING:
            low += span.skip
            high = min(high, low + min(span.take, self.cap or span.take))
        return [self.universe[rank] for rank in self._ranks[low:high]]


@dataclass(slots=True)
class Flight:
    """A span that was asked for: its answer as far as it is there, and how many rows of it are dealt with."""

    span: Span
    rows: Sequence[Key] | None = None
    fed: int = 0


@dataclass(slots=True)
class Read:
    """A paging machine, and its driver's list of the spans in flight.

    Attributes:
        paging: The machine.
        flights: The spans in flight, in order.
        handed: The keys that were handed out.
        asked: All spans that were asked for.
        dropped: How many of them were given up before they were over.
    """

    paging: Paging
    flights: deque[Flight] = field(default_factory=deque[Flight])
    handed: list[Key] = field(default_factory=list[Key])
    asked: list[Span] = field(default_factory=list[Span])
    dropped: int = 0

    def ask(self, *, arrived: int = 0) -> None:
        """Ask for whatever there is to ask for."""
        while (span := self.paging.ask(arrived=arrived)) is not None:
            self.flights.append(Flight(span))
            self.asked.append(span)

    def arrived(self) -> int:
        """How many answers are there."""
        return sum(flight.rows is not None for flight in self.flights)

    def feed(
        self, count: int | None = None, *, done: bool = True, row_bytes: int = ROW_BYTES, columns: int = COLUMNS
    ) -> None:
        """Feed so many of the rows that are there, None for all; and the end of the answer behind the last of them."""
        head = self.flights[0]
        assert head.rows is not None
        keys = head.rows[head.fed : None if count is None else head.fed + count]
        done = done and head.fed + len(keys) == len(head.rows)
        size = len(head.rows) * row_bytes + 40
        step = self.paging.feed(keys, done=done, size=size, columns=columns if head.rows else 0)
        self.handed += keys[step.start : step.stop]
        head.fed += 0 if step.again else len(keys)
        if step.over:
            self.flights.popleft()
        if step.wanted is not None:
            self._drop_behind(step.wanted)
        if step.front is not None:
            self.flights.appendleft(Flight(step.front))
            self.asked.append(step.front)

    def _drop_behind(self, keep: int) -> None:
        assert 0 <= keep <= len(self.flights)
        self.dropped += len(self.flights) - keep
        while len(self.flights) > keep:
            self.flights.pop()

    def renew(self, index: int = 0) -> None:
        """An answer has broken: ask for what is left of it."""
        self._send(index, self.paging.renew(index))

    def halve(self, index: int = 0) -> bool:
        """An answer was too much for the service: ask for less, or again if that is not possible."""
        span = self.paging.halve(index)
        if span is None:
            self.renew(index)
        else:
            self._send(index, span)
            self._drop_behind(index + 1)
        return span is not None

    def _send(self, index: int, span: Span) -> None:
        self.flights[index] = Flight(span)
        self.asked.append(span)
