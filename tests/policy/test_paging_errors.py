"""A service whose filter and order disagree, or that treats two keys as one, is not confused with changing rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from afas_async.errors import KeyOrderError, NonUniqueKeyError
from afas_async.policy.paging import CONTRADICTIONS, Paging
from afas_async.policy.sizing import Sizing
from afas_async.policy.spans import Key, Slice, Span, values_of
from tests.support.paging_model import Read, Table, anchor


class OddTable(Table):
    """Rows of a service that sorts by one thing, and compares by others.

    Args:
        keys: The rows.
        sorts: The sort key of a row.
        compares: The value of a row that a filter compares.
        literal: How a filter reads its own value; None if as in a row.
        equals: The value that is compared for equality; None if the same as for the order.
    """

    def __init__(
        self,
        keys: Iterable[Key],
        *,
        sorts: Callable[[Any], Any],
        compares: Callable[[Any], Any],
        literal: Callable[[Any], Any] | None = None,
        equals: Callable[[Any], Any] | None = None,
    ) -> None:
        rows = sorted(keys, key=sorts)
        super().__init__(rows, rows)
        self._compares = compares
        self._literal = literal or compares
        self._equals = equals or compares

    def answer(self, span: Span) -> list[Key]:
        rows, within = self.keys, span.within
        if within is not None and within.relation == "at":
            return [row for row in rows if _each(self._equals, row) == _each(self._equals, within.key)][: span.take]
        if within is not None:
            depth, value = within.depth, _each(self._literal, within.key)
            rows = [row for row in rows if _each(self._compares, row)[:depth] == value[:depth]]
            if within.relation == "from":
                rows = [row for row in rows if _each(self._compares, row)[depth] >= value[depth]]
            else:
                rows = [row for row in rows if _each(self._compares, row)[depth] > value[depth]]
        return rows[span.skip : span.skip + span.take]


def _each(compares: Callable[[Any], Any], key: Key) -> tuple[Any, ...]:
    return tuple(map(compares, values_of(key)))


def start(take: int, window: int = 1, universe: Sequence[Key] = (0, 1)) -> Read:
    sizing = Sizing(window=window, take=take, byte_budget=1 << 24, overlap=1)
    return Read(
        Paging(sizing, window=window, anchor=anchor(universe=universe), eager=False, connector="Profit_Article")
    )


def read_all(table: Table, *, take: int, window: int = 1, batch: int | None = None) -> list[Key]:
    """Read a table that does not change."""
    read = start(take, window, table.universe or (0, 1))
    while True:
        read.ask()
        if not read.flights:
            return read.handed
        head = read.flights[0]
        head.rows = table.answer(head.span) if head.rows is None else head.rows
        read.feed(batch)
        assert len(read.asked) < 1_000


# --- filter and order ---


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize("window", [1, 3])
def test_sorted_as_numbers_and_compared_as_texts(window: int, batch: int | None) -> None:
    """From "10" on come "2" and "3": the filter has another order than the rows."""
    table = OddTable(map(str, range(1, 21)), sorts=int, compares=str)
    with pytest.raises(KeyOrderError, match="filters by this key in another order than it sorts") as caught:
        read_all(table, take=10, window=window, batch=batch)
    assert caught.value.connector == "Profit_Article"


@pytest.mark.parametrize("batch", [None, 1])
def test_a_value_that_is_not_the_one_that_is_compared(batch: int | None) -> None:
    """The service rounds up the values it shows. So a row is not among the rows from its own value on."""
    table = OddTable(range(20), sorts=int, compares=lambda row: row - 0.25, literal=int, equals=int)
    with pytest.raises(KeyOrderError, match="compares another value than it shows"):
        read_all(table, take=5, batch=batch)


def test_an_error_names_its_page() -> None:
    """The error names the page, so that you can find the row."""
    read = start(2)
    read.ask()
    read.paging.feed([1, 2], done=True, size=10, columns=1)
    read.paging.ask()
    with pytest.raises(KeyOrderError, match="page 7") as caught:
        read.paging.feed([3, 2], done=True, page=7)
    assert (caught.value.page, caught.value.connector) == (7, "Profit_Article")


# --- two rows with one key for the service ---


@pytest.mark.parametrize("batch", [None, 1])
@pytest.mark.parametrize(
    "keys", [["a", "A", "b"], ["a", "A"], [("x", "a"), ("x", "A"), ("y", "b")], [("a", 1), ("A", 1), ("b", 1)]]
)
def test_keys_that_differ_in_case_only(keys: list[Key], batch: int | None) -> None:
    """A service that ignores letter case treats them as one key: pages cannot be separated at it."""

    def folded(key: Key) -> str:
        return str(key).casefold()

    table = OddTable(keys, sorts=folded, compares=lambda value: str(value).casefold())
    with pytest.raises(NonUniqueKeyError, match="ignores letter case"):
        read_all(table, take=2, batch=batch)


def test_keys_that_differ_in_blanks_only() -> None:
    """Trailing blanks are ignored likewise."""
    table = OddTable(["a ", "a", "b"], sorts=lambda key: key.rstrip(), compares=lambda key: key.rstrip())
    with pytest.raises(NonUniqueKeyError, match="declare a key that is unique"):
        read_all(table, take=2)


# --- rows that come and go ---


def test_a_row_that_was_deleted_and_made_again() -> None:
    """The response lacks the anchor, but the probe finds it: this is not an error, and the page is requested again."""
    table = Table(range(10), range(10))
    read = start(3)
    read.ask()
    _answer(table, read)
    for _ in range(CONTRADICTIONS - 1):
        read.ask()
        table.delete(2)
        read.flights[0].rows = table.answer(read.flights[0].span)
        table.insert(2)
        page = Span(0, 4, Slice("from", 2), overlap=True)
        for span in (page, Span(0, 1, Slice("at", 2)), page):
            assert read.flights[0].span == span
            _answer(table, read)
    while not read.paging.ended:
        read.ask()
        _answer(table, read)
    assert read.handed == list(range(10))


def test_rows_made_again_throughout_a_read() -> None:
    """Only repeated contradictions without progress between them are an error: a long read meets many."""
    table = Table(range(40), range(40))
    read = start(3)
    read.ask()
    _answer(table, read)
    for _ in range(2 * CONTRADICTIONS):
        last = read.handed[-1]
        read.ask()
        table.delete(last)
        read.flights[0].rows = table.answer(read.flights[0].span)
        table.insert(last)
        while read.handed[-1] == last:
            read.ask()
            _answer(table, read)
    while not read.paging.ended:
        read.ask()
        _answer(table, read)
    assert read.handed == list(range(40))


def _answer(table: Table, read: Read) -> None:
    head = read.flights[0]
    head.rows = table.answer(head.span) if head.rows is None else head.rows
    read.feed()


def test_a_row_that_is_gone_is_looked_for_once() -> None:
    """One probe shows that the anchor was deleted; the rows that came without it are used."""
    table = Table(range(6), range(6))
    read = start(2)
    read.ask()
    _answer(table, read)
    table.delete(1)
    while not read.paging.ended:
        read.ask()
        _answer(table, read)
    assert read.handed == list(range(6))
    assert [span.within for span in read.asked].count(Slice("at", 1)) == 1


def test_everything_is_deleted() -> None:
    """A read whose rows have all been deleted meanwhile ends."""
    table = Table(range(6), range(6))
    read = start(2)
    read.ask()
    _answer(table, read)
    for key in range(6):
        table.delete(key)
    while not read.paging.ended:
        read.ask()
        _answer(table, read)
    assert read.handed == [0, 1]
    assert len(read.asked) == 3


def test_a_service_that_always_answers_the_same_row() -> None:
    """The error comes at the first request for the rows after it."""
    read = start(take=10)
    read.ask()
    read.flights[0].rows = ["a"]
    read.feed()
    read.ask()
    read.flights[0].rows = ["a"]
    with pytest.raises(KeyOrderError, match="does not begin there"):
        read.feed()


def test_a_pair_across_two_pages() -> None:
    """The last row of a page and the first row after it, which differ only in letter case, are noticed."""
    table = OddTable(["0", "a", "A", "b"], sorts=str.casefold, compares=lambda value: str(value).casefold())
    with pytest.raises(NonUniqueKeyError, match="ignores letter case"):
        read_all(table, take=2)
