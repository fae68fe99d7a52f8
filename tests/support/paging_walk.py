"""Every way in which a small table can change while a machine reads it, and in which its responses can arrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from msgspec.structs import replace

from afas_async.policy.anchor import Anchor
from afas_async.policy.order import Order
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import Sizing
from afas_async.policy.spans import Ask, Key, Span, values_of
from tests.support.paging_model import COLUMNS, FULL, Table

KEYS = range(1, 6)
SLOTS = 4
LETTERS = 1 + 2 * len(KEYS)  # a slot may have: nothing, insert a key, delete a key

Keys = frozenset[Key]


class Flight(NamedTuple):
    """A span in flight, its response, and how many rows of it are processed."""

    span: Span
    rows: tuple[Key, ...] | None = None
    fed: int = 0


class State(NamedTuple):
    """Where a read stands.

    Attributes:
        machine: The frozen machine.
        flights: The spans in flight.
        table: The rows that there are.
        stable: Those of them that have been there since the first request.
        handed: The keys that the read returned.
        slots: How many of the changes are still to come; one more at first, as there is none before the first response.
        troubles: How many responses may still break or be too much.
    """

    machine: tuple[Any, ...]
    flights: tuple[Flight, ...]
    table: Keys
    stable: Keys
    handed: tuple[Key, ...]
    slots: int
    troubles: int


class Reads(NamedTuple):
    """How many reads there were, and how many of them went wrong in which way.

    Attributes:
        total: All.
        lost: Those that did not return a stable row.
        doubled: Those that returned a stable row twice.
        disordered: Those that returned a key twice, or out of order.
    """

    total: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0

    @property
    def wrong(self) -> int:
        return self.lost + self.doubled + self.disordered

    def plus(self, weight: int, other: Reads) -> Reads:
        return Reads(*(mine + weight * its for mine, its in zip(self, other, strict=True)))


class Walk:
    """Walks through all reads of one machine, each state once.

    Args:
        kind: The machine.
        window: Spans in flight.
        keyed: Whether rows have a key; without one, it is plain skip and take.
        eager: Whether the machine learns of responses that have arrived whole.
        take: Rows per page.
        cap: The most rows that the service sends.
        batch: How many rows are fed at a time, None for whole responses.
        troubles: How many responses of a read break where it hurts, or are too much for the service.
        anywhere: Whether the changes fall into any places between responses, instead of the first ones.
        universe: The five keys that there can be, in order.
        fits: Which of them can be sent.
    """

    def __init__(
        self,
        kind: type[Paging] = Paging,
        *,
        window: int = 2,
        keyed: bool = True,
        eager: bool = True,
        take: int = 2,
        cap: int | None = None,
        batch: int | None = None,
        troubles: int = 0,
        anywhere: bool = False,
        universe: Sequence[Key] = KEYS,
        fits: Callable[[Key], bool] | None = None,
    ) -> None:
        sizing = Sizing(window=window, take=take, byte_budget=1 << 24, overlap=1)
        order = Order(("A", "B")[: len(values_of(universe[0]))])
        anchor = Anchor(order if keyed else None)
        if fits is not None:
            anchor = replace(anchor, fits=fits)
        paging = kind(sizing, window=window, anchor=anchor, eager=eager)
        self._kind = kind
        self._eager = eager
        self._batch = batch
        self._troubles = troubles
        self._anywhere = anywhere
        self._cap = cap
        self._universe = universe
        self._answer = cache(self._ask_table)
        self._attributes = (list(vars(paging)), list(vars(sizing)))
        self._ask_attributes: Any = attrgetter(*Ask.__slots__)
        self._begin = self._freeze(paging)
        self._known: dict[State, Reads | None] = {}

    def reads(self, initial: Iterable[int]) -> Reads:
        """Return what becomes of the reads of a table that holds these rows at first."""
        table = frozenset(self._universe[key - 1] for key in initial)
        slots = SLOTS + (not self._anywhere)
        return self._walk(self._ask(State(self._begin, (), table, table, (), slots, self._troubles)))

    def _walk(self, state: State) -> Reads:
        if state in self._known:
            known = self._known[state]
            assert known is not None, f"the read goes in circles: {state}"
            return known
        self._known[state] = None
        if state.flights:
            reads = Reads()
            for weight, after in self._steps(state):
                reads = reads.plus(weight, self._walk(self._ask(after)))
        else:
            reads = self._judge(state)
        self._known[state] = reads
        return reads

    def _judge(self, state: State) -> Reads:
        count = 1 if self._anywhere else LETTERS ** min(state.slots, SLOTS)
        lost = not state.stable.issubset(state.handed)
        doubled = any(state.handed.count(key) > 1 for key in state.stable)
        disordered = list(state.handed) != [key for key in self._universe if key in state.handed]
        return Reads(count, count * lost, count * doubled, count * disordered)

    def _steps(self, state: State) -> Iterator[tuple[int, State]]:
        """What may happen next, and how many of the letters that may be in a slot come to it."""
        for index, flight in enumerate(state.flights):
            if flight.rows is None:
                for weight, changed in self._changes(state):
                    rows = self._answer(changed.table, flight.span)
                    yield weight, _put(changed, index, Flight(flight.span, rows))
                if state.troubles:
                    yield from self._halve(state, index)
            elif state.troubles:
                machine = self._thaw(state.machine)
                machine.renew(machine.asks[index])
                renewed = _put(state, index, Flight(machine.asks[index].span))
                yield 1, renewed._replace(machine=self._freeze(machine), troubles=state.troubles - 1)
        if state.flights[0].rows is not None:
            yield 1, self._feed(state, done=True)
            if state.troubles and state.flights[0].fed < len(state.flights[0].rows):  # the end of it comes later
                yield 1, self._feed(state, done=False)

    def _ask_table(self, table: Keys, span: Span) -> tuple[Key, ...]:
        return tuple(Table(self._universe, table, cap=self._cap).answer(span))

    def _changes(self, state: State) -> Iterator[tuple[int, State]]:
        open_slot = 0 < state.slots <= SLOTS
        left = max(0, state.slots - 1)
        if self._anywhere:
            yield 1, state
        else:
            yield LETTERS - len(KEYS) if open_slot else 1, state._replace(slots=left)
        for key in self._universe if open_slot else ():
            table = state.table ^ {key}
            yield 1, state._replace(table=table, stable=state.stable & table, slots=left)

    def _halve(self, state: State, index: int) -> Iterator[tuple[int, State]]:
        machine = self._thaw(state.machine)
        if machine.halve(machine.asks[index]):
            flights = (*state.flights[:index], Flight(machine.asks[index].span))
            frozen = self._freeze(machine)
            yield 1, state._replace(machine=frozen, flights=flights, troubles=state.troubles - 1)

    def _feed(self, state: State, *, done: bool) -> State:
        machine, head = self._thaw(state.machine), state.flights[0]
        rows, asks = head.rows or (), [*machine.asks]
        keys = rows[head.fed :][: self._batch]
        last = head.fed + len(keys) == len(rows)
        step = machine.feed(keys, done=done and last, size=100, columns=COLUMNS)
        flights = [head._replace(fed=head.fed + len(keys) * (not step.again)), *state.flights[1:]]
        in_flight = dict(zip(map(id, asks), flights, strict=True))
        handed = state.handed + keys[step.start : step.stop]
        return self._after(state, machine, in_flight)._replace(handed=handed)

    def _ask(self, state: State) -> State:
        machine, flights = self._thaw(state.machine), state.flights
        in_flight = dict(zip(map(id, machine.asks), flights, strict=True))
        there = [ask for ask, flight in zip(machine.asks, flights, strict=True) if flight.rows is not None]
        machine.ask(arrived=dict.fromkeys(there if self._eager else (), FULL))
        return self._after(state, machine, in_flight)

    def _after(self, state: State, machine: Paging, in_flight: dict[int, Flight]) -> State:
        """Return the state in which the machine's requests are in flight."""
        flights = tuple(in_flight.get(id(ask)) or Flight(ask.span) for ask in machine.asks)
        return state._replace(machine=self._freeze(machine), flights=flights)

    # --- a machine, as a value that can be compared, and walked on from more than once ---

    def _freeze(self, paging: Paging) -> tuple[Any, ...]:
        values: dict[str, Any] = vars(paging) | {
            "_sizing": (*_values(vars(paging)["_sizing"]),),
            "asks": (*map(self._ask_attributes, paging.asks),),
        }
        return tuple(values.values())

    def _thaw(self, frozen: tuple[Any, ...]) -> Paging:
        paging, sizing = self._kind.__new__(self._kind), Sizing.__new__(Sizing)
        vars(paging).update(zip(self._attributes[0], frozen, strict=True))
        vars(sizing).update(zip(self._attributes[1], vars(paging)["_sizing"], strict=True))
        asks = deque(Ask(*values) for values in vars(paging)["asks"])
        vars(paging).update(_sizing=sizing, asks=asks)
        return paging


def _values(thing: object) -> Iterable[Any]:
    return vars(thing).values()


def _put(state: State, index: int, flight: Flight) -> State:
    return state._replace(flights=(*state.flights[:index], flight, *state.flights[index + 1 :]))
