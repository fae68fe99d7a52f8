"""What a read pays for rows that appear and vanish: it uses the pages in flight as far as possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from afas_async.policy.spans import Slice, Span
from tests.policy.test_paging import start
from tests.support.paging_model import Read, Table

Change = Callable[[Table], None]


def spaced(rows: int) -> Table:
    """Return a table with room between its rows: 0, 10, 20 ..."""
    return Table(range(10 * rows + 10), range(0, 10 * rows, 10))


def insert(*keys: int) -> Change:
    def change(table: Table) -> None:
        for key in keys:
            table.insert(key)

    return change


def delete(*keys: int) -> Change:
    def change(table: Table) -> None:
        for key in keys:
            table.delete(key)

    return change


def read_table(*changes: Change) -> Read:
    """Read 56 rows in pages of ten, two at a time; the first page gets its response when it is fed.

    The changes come before the third response, the fourth, and so on. The third page was requested after the first one:
    as ten rows and the one before them, after ten others from row 90 on.
    """
    table = spaced(56)
    read = start(window=2, take=10)
    for number in range(100):
        read.ask()
        if not read.flights:
            break
        head = read.flights[0]
        if head.rows is None:
            for change in changes[max(0, number - 2) : max(0, number - 1)]:
                change(table)
            head.rows = table.answer(head.span)
        read.feed()
    assert read.paging.ended
    assert read.asked[2] == Span(10, 11, Slice("from", 90), overlap=True)
    assert read.handed == sorted(set(read.handed))
    return read


CALM = read_table()
NEVER = delete()
REPAIR = Span(0, 11, Slice("from", 190), overlap=True)  # of the seam between the second page and the third


@pytest.mark.parametrize(
    ("changes", "repaired", "more"),
    [
        pytest.param([insert(95)], False, 1, id="rows appear before a page"),
        pytest.param([insert(*range(91, 100))], False, 1, id="as many as fit"),
        pytest.param([delete(120)], True, 1, id="a row vanishes before a page"),
        pytest.param([delete(*range(0, 150, 10))], True, 1, id="many vanish"),
        pytest.param([delete(120), delete(200)], True, 2, id="and then the first row of the page"),
        pytest.param([NEVER, insert(195)], False, 1, id="a row appears before the next page"),
        pytest.param([NEVER, delete(*range(300, 560, 10))], False, 0, id="the rest vanishes"),
    ],
)
def test_what_a_change_costs(changes: Iterable[Change], more: int, *, repaired: bool) -> None:
    """A change costs one more span, and of the spans in flight only the one past the end is dropped.

    If the end of the read is one of them, it is requested once more.
    """
    read = read_table(*changes)
    assert (REPAIR in read.asked) is repaired
    assert len(read.asked) <= len(CALM.asked) + more
    assert read.dropped <= CALM.dropped + max(0, more - 1)


def test_a_page_that_is_out_of_reach_is_given_up() -> None:
    """If more rows come before a page than a repair requests, the page is requested anew from the end of the repair."""
    read = read_table(delete(*range(0, 190, 10)), insert(*range(191, 200), *range(201, 210)))
    assert REPAIR in read.asked
    assert set(range(191, 200)) < set(read.handed)
    assert read.dropped <= CALM.dropped + 1


def test_nothing_is_asked_for_again_while_nothing_changes() -> None:
    """The seams cost one row for each page, and the one span that proves the end."""
    assert [span.take for span in CALM.asked] == [10, *([11] * 6), 10]
    assert CALM.dropped == 1


def test_a_repair_ends_where_the_page_begins() -> None:
    """The repair yields the rows in between, and the page yields the rest: no row that has arrived has to wait."""
    table = spaced(56)
    read = start(window=2, take=10)
    for vanished in ((), (), (120,)):
        read.ask()
        delete(*vanished)(table)
        read.flights[0].rows = table.answer(read.flights[0].span)
        read.feed()
    page = read.flights[1]
    assert read.flights[0].span == REPAIR
    read.flights[0].rows = table.answer(REPAIR)
    read.feed()
    assert read.flights[0] is page
    assert read.handed[-1] == 200
    read.feed()
    assert read.handed[-1] == 300
