"""A table that changes while it is read, and a minimal driver of a paging machine over it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from afas_async.policy.anchor import Anchor
from afas_async.policy.order import Order
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import EVERYTHING
from afas_async.policy.spans import Ask, Key, Slice, Span, values_of

COLUMNS = 2
ROW_BYTES = 40
FULL = 1 << 30  # bytes of a response that is full beyond doubt


class Table:
    """Rows of a service that sorts and compares them in an order of its own.

    Args:
        universe: All possible keys, in the order of the service, which need not be one that Python knows.
        keys: The keys that the table has.
        cap: The most rows that the service sends, whatever the request says; None for no such limit.
    """

    def __init__(self, universe: Sequence[Key], keys: Iterable[Key], *, cap: int | None = None) -> None:
        self.universe = universe
        self.cap = cap
        self._rank = {key: rank for rank, key in enumerate(universe)}
        self._ranks = sorted(map(self.rank, keys))

    def rank(self, key: Key) -> int:
        return self._rank[key]

    def _place(self, key: Key) -> float:
        """Return the rank of a key, or the place between two ranks of a number that is not one of the keys."""
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

    def _ends(self, within: Slice) -> tuple[int, int]:
        """Return between which of the rows a slice lies."""
        if not isinstance(within.key, tuple):
            place = self._place(within.key)
            low = (bisect_right if within.relation in {"after", "empty"} else bisect_left)(self._ranks, place)
            high = bisect_right(self._ranks, place) if within.relation == "at" else len(self._ranks)
            return low, low if within.relation == "empty" else high
        depth = len(within.key) if within.relation == "at" else within.depth
        alike = [rank for rank, key in enumerate(self.universe) if values_of(key)[:depth] == within.key[:depth]]
        place = self._rank[within.key]
        if within.relation == "after":
            further = [rank for rank in alike if values_of(self.universe[rank])[depth] != within.key[depth]]
            first = next((rank for rank in further if rank > place), alike[-1] + 1)
        elif within.relation == "from":
            first = next(rank for rank in alike if values_of(self.universe[rank])[depth] == within.key[depth])
        else:
            first = alike[0] if within.relation == "at" else alike[-1] + 1
        return bisect_left(self._ranks, first), bisect_right(self._ranks, alike[-1])

    def answer(self, span: Span) -> list[Key]:
        """Return what the service sends for a span at this moment."""
        low, high = 0, len(self._ranks)
        if span.within is not None:
            low, high = self._ends(span.within)
        if span.take != EVERYTHING:
            low += span.skip
            high = min(high, low + min(span.take, self.cap or span.take))
        return [self.universe[rank] for rank in self._ranks[low:high]]


def anchor(*, keyed: bool = True, after: Key | None = None, universe: Sequence[Key] = (0, 1)) -> Anchor:
    """Return the place where a read of such keys begins."""
    fields = tuple("ABCDE"[: len(values_of(universe[0]))])
    numbers = all(isinstance(key, int) for key in (universe[0], universe[-1]))
    if numbers and cast("int", universe[0]) > cast("int", universe[-1]):
        fields = ("-A",)
    return Anchor(Order(fields) if keyed else None, after, origin=after).exact()


@dataclass(slots=True)
class Flight:
    """A requested span: its response as far as it has arrived, and how many rows of it are processed."""

    ask: Ask
    span: Span
    rows: Sequence[Key] | None = None
    fed: int = 0


@dataclass(slots=True)
class Read:
    """A paging machine, and the responses to its requests.

    Attributes:
        paging: The machine.
        flights: The spans in flight, in order.
        handed: The keys that the read returned.
        asked: All spans that were requested.
        dropped: How many of them were given up before they were over.
    """

    paging: Paging
    flights: deque[Flight] = field(default_factory=deque[Flight])
    handed: list[Key] = field(default_factory=list[Key])
    asked: list[Span] = field(default_factory=list[Span])
    dropped: int = 0

    def ask(self, *, arrived: int = 0) -> None:
        """Send all requests that the machine wants; the responses to the first few have arrived whole."""
        self.paging.ask(arrived=dict.fromkeys(list(self.paging.asks)[:arrived], FULL))
        self._follow()

    def arrived(self) -> int:
        """Return how many responses have arrived."""
        return sum(flight.rows is not None for flight in self.flights)

    def feed(
        self, count: int | None = None, *, done: bool = True, row_bytes: int = ROW_BYTES, columns: int = COLUMNS
    ) -> None:
        """Feed that many of the arrived rows, None for all; and the end of the response after the last row."""
        head = self.flights[0]
        assert head.rows is not None
        keys = head.rows[head.fed : None if count is None else head.fed + count]
        done = done and head.fed + len(keys) == len(head.rows)
        size = len(head.rows) * row_bytes + 40
        step = self.paging.feed(keys, done=done, size=size, columns=columns if head.rows else 0)
        self.handed += keys[step.start : step.stop]
        head.fed += 0 if step.again else len(keys)
        self._follow(head)

    def _follow(self, over: Flight | None = None) -> None:
        """Keep the flights in step with the machine's requests. The flight `over` has ended, and was not dropped."""
        flights = {id(flight.ask): flight for flight in self.flights}
        asks = {id(ask) for ask in self.paging.asks}
        self.dropped += sum(flight is not over and id(flight.ask) not in asks for flight in self.flights)
        self.flights = deque(flights.get(id(ask)) or self._send(ask) for ask in self.paging.asks)

    def renew(self, index: int = 0) -> None:
        """Request the rest of a response that has broken."""
        ask = self.flights[index].ask
        self.paging.renew(ask)
        self.flights[index] = self._send(ask)

    def halve(self, index: int = 0) -> bool:
        """Request less after a response that was too much for the service, or the same if less is not possible."""
        ask = self.flights[index].ask
        if not self.paging.halve(ask):
            self.renew(index)
            return False
        self.flights[index] = self._send(ask)
        self._follow()
        return True

    def _send(self, ask: Ask) -> Flight:
        self.asked.append(ask.span)
        return Flight(ask, ask.span)
