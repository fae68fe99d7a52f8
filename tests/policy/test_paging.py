"""The requests of a read: growth, waste, memory and limits; and every row once while nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest
from msgspec.structs import replace

from afas_async.errors import PagingError
from afas_async.policy.anchor import any_key
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import CELL_LIMIT, EVERYTHING, FIRST_TAKE, PAGE_BYTES, Sizing
from afas_async.policy.spans import Key, Slice, Span
from tests.support.paging_model import Read, Table, anchor
from tests.support.thoroughness import by_default

BUDGET = 16 << 20


@dataclass
class Run:
    """The course of a read of a table."""

    read: Read
    fed: list[tuple[Span, int]] = field(default_factory=list[tuple[Span, int]])
    in_flight: list[int] = field(default_factory=list[int])  # after each round of asking
    bytes_behind: list[int] = field(default_factory=list[int])  # the first of them

    @property
    def asked(self) -> list[Span]:
        return self.read.asked

    @property
    def wasted(self) -> int:
        """Requests that brought no new row; the only request of an empty table is needed."""
        useless = sum(rows <= span.overlap for span, rows in self.fed)
        return self.read.dropped + useless - (self.asked[1:] == [])


def start(
    *,
    window: int = 5,
    take: int | None = None,
    budget: int = BUDGET,
    keyed: bool = True,
    eager: bool = False,
    skip_limit: int | None = None,
    universe: Sequence[Key] = (0, 1),
) -> Read:
    """Return a read that has not begun."""
    sizing = Sizing(window=window, take=take, byte_budget=budget, overlap=int(keyed))
    return Read(
        Paging(sizing, window=window, anchor=anchor(keyed=keyed, universe=universe), eager=eager, skip_limit=skip_limit)
    )


def run(
    rows: int,
    *,
    window: int = 5,
    take: int | None = None,
    cap: int | None = None,
    budget: int = BUDGET,
    row_bytes: int = 447,
    columns: int = 20,
    keyed: bool = True,
    trouble: Callable[[Read], None] | None = None,
) -> Run:
    """Read a table of that many rows, from a server that may silently cap its responses, and feed in order."""
    table = Table(range(rows), range(rows), cap=cap)
    read = start(window=window, take=take, budget=budget, keyed=keyed)
    run = Run(read)
    while True:
        read.ask()
        run.in_flight.append(len(read.flights))
        run.bytes_behind.append(sum(flight.span.take for flight in list(read.flights)[1:]) * row_bytes)
        if not read.flights:
            break
        if trouble is not None:
            trouble(read)
        head = read.flights[0]
        head.rows = head.rows or table.answer(head.span)
        run.fed.append((head.span, len(head.rows)))
        read.feed(row_bytes=row_bytes, columns=columns)
        assert len(read.asked) <= 4 * rows + 40
    assert read.paging.ended
    assert read.paging.rows == rows
    return run


def check(run: Run, rows: int, window: int) -> None:
    """Check what holds for every read of a table that does not change."""
    assert run.read.handed == list(range(rows))
    last, found = run.fed[-1]
    assert found <= last.overlap or last.take == EVERYTHING
    assert max(run.in_flight) <= window
    assert not any(span.within is not None and span.within.relation == "at" for span in run.asked)


# --- every row ---


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("window", [1, 2, 3, 5, 8])
def test_every_small_table(window: int, *, keyed: bool) -> None:
    """Tables of 0 to 60 rows are read exactly once, in order, with every small take, and end on proof."""
    for rows in by_default([*range(12), *range(12, 61, 4)], range(61)):
        for take in (1, 2, 3, 7, 10, 30, 60, 61, None):
            check(run(rows, window=window, take=take, keyed=keyed), rows, window)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("window", [1, 2, 4, 8])
def test_every_silent_cap(window: int, *, keyed: bool) -> None:
    """The same holds if the server returns at most so many rows, whatever the take."""
    for rows in by_default((0, 1, 3, 8, 21, 40, 60), range(0, 61, 3)):
        for cap in (1, 2, 3, 7, 20, 59, 60, 61):
            for take in (1, 5, 20, None):
                check(run(rows, window=window, take=take, cap=cap, keyed=keyed), rows, window)


@pytest.mark.parametrize("seed", range(10))
def test_large_tables(seed: int) -> None:
    """Large tables with rows of all sizes, any take, any cap, any window."""
    random = Random(seed)  # noqa: S311 - the same tables each time
    rows, window = random.choice([random.randint(0, 5_000), random.randint(0, 100_000)]), random.randint(1, 8)
    take = random.choice([None, None, random.randint(max(1, rows // 300), 10_000)])
    cap = random.choice([None, None, random.randint(max(2, rows // 300), 20_000)])
    row_bytes, columns = random.choice([(30, 1), (447, 20), (5_000, 150)])
    check(run(rows, window=window, take=take, cap=cap, row_bytes=row_bytes, columns=columns), rows, window)


def test_everything() -> None:
    """A take of everything is one request, and its response is the end."""
    for rows in (0, 1, 1_000):
        assert run(rows, take=EVERYTHING).asked == [Span(-1, -1)]


# --- anchors and seams ---


def test_spans_are_anchored_and_overlap() -> None:
    """A span counts from the last row read, and includes the row before it: skips never grow."""
    asked = run(10_000, window=3, take=10).asked
    assert asked[:3] == [
        Span(0, 10),
        Span(0, 11, Slice("from", 9), overlap=True),
        Span(10, 11, Slice("from", 9), overlap=True),
    ]
    assert max(span.skip for span in asked) == 20
    assert all(span.overlap and span.take == 11 for span in asked[1:-1])
    assert asked[-1] == Span(0, 10, Slice("after", 9_999))


def test_without_a_key_rows_are_counted() -> None:
    """Without a key, spans count from the start, and share no row."""
    assert run(25, window=1, take=10, keyed=False).asked == [Span(0, 10), Span(10, 10), Span(20, 10), Span(25, 10)]


def test_after() -> None:
    """A read that resumes after a row begins there, whether or not that row still exists."""
    sizing = Sizing(window=1, take=10, byte_budget=BUDGET, overlap=1)
    read = Read(Paging(sizing, window=1, anchor=anchor(after="B")))
    read.ask()
    assert read.asked == [Span(0, 11, Slice("from", "B"), overlap=True)]


def test_unchanged_rows_need_no_repair() -> None:
    """While nothing changes, each span is requested once: each seam costs one row."""
    run_ = run(5_000, window=5, take=50)
    assert len(run_.asked) == 5_000 / 50 + 2 + run_.read.dropped  # two, as the last span is full


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("window", [2, 3, 8])
def test_after_a_change_spans_fit_again(window: int, batch: int) -> None:
    """One change costs at most a repair for the spans in flight. Later spans know where they begin."""
    for change in by_default((11, 30, 77), (10, 11, 30, 45, 77)):
        table = Table(range(2_000), range(0, 2_000, 2))
        read = start(window=window, take=7, eager=True)
        while not read.paging.ended:
            read.ask(arrived=read.arrived())
            if (head := read.flights[0]).rows is None:
                head.rows = table.answer(head.span)
            read.feed(batch)
            if len(read.handed) > 100:
                (table.delete if change % 2 else table.insert)(2 * change + 101)
                table.delete(read.handed[99])
        assert len(read.asked) <= 1_000 / 7 + 2 * window + 6


# --- growth ---


def test_takes_grow() -> None:
    """Takes grow 100, 1,000, 10,000 while rows are narrow, so that the first row comes soon."""
    asked = run(200_000, window=1, columns=3, row_bytes=60).asked
    assert [span.take - span.overlap for span in asked[:4]] == [100, 1_000, 10_000, 49_998]
    assert FIRST_TAKE == 100


@pytest.mark.parametrize(
    ("columns", "row_bytes"), [(1, 50), (20, 100), (20, 447), (20, 5_000), (600, 100), (10, 10**7)]
)
def test_takes_stay_bounded(columns: int, row_bytes: int) -> None:
    """Columns x rows stay below AFAS's 150,000, and a response at about 4 MB, but never below one new row."""
    for span in run(by_default(12_000, 30_000), columns=columns, row_bytes=row_bytes, budget=10**12).asked[1:]:
        assert span.take <= 2 or span.take * columns < CELL_LIMIT
        assert span.take <= 2 or (span.take - 1) * row_bytes <= PAGE_BYTES
        assert span.take >= 1


def test_a_fixed_take_stays() -> None:
    """A take that the user fixed is the number of new rows per request, whatever the rows look like."""
    asked = run(5_000, window=3, take=250, columns=5_000, row_bytes=5).asked
    assert {span.take - span.overlap for span in asked} == {250}


@pytest.mark.parametrize(("window", "widths"), [(1, [1]), (2, [1, 2]), (3, [1, 3]), (5, [1, 3, 5]), (8, [1, 3, 7, 8])])
def test_ramp_up(window: int, widths: list[int]) -> None:
    """Speculation grows 1, 3, 7 ... up to the window, and as many full spans earn each step."""
    in_flight = run(2_000, window=window, take=10).in_flight
    assert list(dict.fromkeys(in_flight[:-2])) == widths
    for fed, (sooner, later) in enumerate(pairwise(in_flight[:20]), start=1):
        assert later <= max(sooner, 2 * fed + 1)


def test_ramp_up_after_a_short_span() -> None:
    """It starts again from 1 when a span comes back short, after the last row that was received.

    The first request checks whether anything follows that row. As something does, the span is requested again beside
    it.
    """
    capped = run(1_000, window=8, take=10, cap=4)
    assert capped.fed[0] == (Span(0, 10), 4)
    assert capped.asked[1:3] == [Span(0, 10, Slice("after", 3)), Span(0, 11, Slice("from", 3), overlap=True)]
    assert capped.in_flight[:3] == [1, 1, 1]


def test_a_cap_is_learned() -> None:
    """A server that caps its responses is noticed after two short ones, and then read at full speed."""
    capped = run(10_000, window=5, take=1_000, cap=100)
    assert [span.take for span in capped.asked[:3]] == [1_000, 1_000, 1_001]
    assert sum(span.take != 100 for span in capped.asked[3:]) <= 6  # one trial whether that is still so
    assert len(capped.asked) <= 10_000 / 99 + 2 + 5 + 4
    assert max(capped.in_flight) == 5


def test_a_cap_of_one_row() -> None:
    """A server that returns one row would return the overlap for ever, so the read requests the rows after it."""
    capped = run(5, take=10, cap=1)
    assert [span.within for span in capped.asked] == [None, *(Slice("after", row) for row in range(5))]


# --- waste ---


@pytest.mark.parametrize(("columns", "row_bytes"), [(1, 30), (20, 447), (50, 1_500)])
@pytest.mark.parametrize(("rows", "wasted"), [(0, 0), (50, 1), (2_500, 4), (25_000, 5)])
def test_waste(rows: int, wasted: int, columns: int, row_bytes: int) -> None:
    """Requests that bring no new row are few: 0, 1, 4 and a window for tables of 0, 50, 2,500 and 25,000 rows."""
    assert run(rows, window=5, columns=columns, row_bytes=row_bytes).wasted <= wasted


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_waste_of_any_table(window: int) -> None:
    """A table of any length wastes at most a window of requests."""
    for rows in [*range(0, 3_000, by_default(111, 37)), 10_000, 99_999]:
        assert run(rows, window=window).wasted <= window


def test_short_tables_need_two_requests() -> None:
    """A table of less than the first take is read with one request and the proof of its end."""
    assert run(99).asked == [Span(0, 100), Span(0, 100, Slice("after", 98))]
    assert run(1).asked == [Span(0, 100), Span(0, 100, Slice("after", 0))]
    assert run(0).asked == [Span(0, 100)]


# --- memory and limits ---


@pytest.mark.sampled(4)
@pytest.mark.parametrize("row_bytes", [100, 447, 4_000])
@pytest.mark.parametrize("budget", [1, 100_000, 1 << 20, 16 << 20])
def test_byte_budget(budget: int, row_bytes: int) -> None:
    """Spans after the first fit the budget by the measured size of rows; the first is always admitted."""
    for take in (None, 500):
        behind = run(by_default(8_000, 50_000), window=8, take=take, budget=budget, row_bytes=row_bytes).bytes_behind
        assert all(size <= 1.01 * budget + 1_000 for size in behind[1:])


def test_skip_limit() -> None:
    """Without a key, nothing is requested past the limit, and the read does not claim to have ended."""
    read = start(window=1, take=1_000, keyed=False, skip_limit=3_000)
    table = Table(range(5_000), range(5_000))
    for _ in range(3):
        read.ask()
        read.flights[0].rows = table.answer(read.flights[0].span)
        read.feed()
    read.ask()
    assert [span.skip for span in read.asked] == [0, 1_000, 2_000]
    assert not read.paging.ended


def test_with_a_key_there_is_no_such_limit() -> None:
    """However long a read is, skips stay within the rows in flight."""
    assert max(span.skip for span in run(60_000, window=8, take=500).asked) <= 8 * 500


def test_nothing_after_the_end() -> None:
    """After the end nothing is requested."""
    read = start(take=10)
    read.ask()
    read.flights[0].rows = []
    read.feed()
    read.ask()
    assert (read.asked, read.paging.ended) == ([Span(0, 10)], True)


def test_a_span_that_has_come_in_leaves_its_place_to_another() -> None:
    """The service must not wait while a response is decoded. One such place is enough, and only within the budget."""
    read = start(window=2, take=100, eager=True)
    read.ask()
    read.ask(arrived=1)
    assert read.asked == [Span(0, 100)]  # the first page may be the last
    read.flights[0].rows = range(100)
    read.feed()
    read.ask()
    assert [span.skip for span in read.asked] == [0, 0, 100]
    read.ask(arrived=1)
    read.ask(arrived=2)
    assert [span.skip for span in read.asked] == [0, 0, 100, 200]


@pytest.mark.parametrize(
    ("take", "budget", "eager"), [(100, 1, True), (EVERYTHING, BUDGET, True), (100, BUDGET, False)]
)
def test_or_not(take: int, budget: int, *, eager: bool) -> None:
    """It leaves no place without a budget, with nothing to come, or when pages are requested one after the other."""
    read = start(window=1, take=take, budget=budget, eager=eager)
    read.ask()
    if take != EVERYTHING:
        read.flights[0].rows = range(100)
        read.feed()
        read.ask()
    read.ask(arrived=1)
    assert len(read.flights) == 1


@pytest.mark.parametrize("rows", [100, 7])
def test_rows_whose_columns_are_not_known(rows: int) -> None:
    """Rows without a field, or rows after which only the end of the envelope was lost, do not stop the read."""
    read = start()
    read.ask()
    read.flights[0].rows = range(rows)
    read.feed(columns=0)
    read.ask()
    assert len(read.flights) > 0


class BySize(Table):
    """A service that returns as many rows as fit, and at least one; some rows fit with no other."""

    def answer(self, span: Span) -> list[Key]:
        rows, room = [], 24
        for key in super().answer(span):
            room -= 20 if self.rank(key) in {19, 20, 30, 31, 70} else 1
            if rows and room < 0:
                break
            rows.append(key)
        return rows


def _no_large_one(key: Key) -> bool:
    return key not in {20, 31, 70}


@pytest.mark.parametrize(("fields", "fits"), [(1, any_key), (2, any_key), (1, _no_large_one)])
def test_a_cap_by_size(fields: int, fits: Callable[[Key], bool]) -> None:
    """A response with only the overlap row does not prove the end if the next row was too large to come with it.

    This holds for any key, even for one that cannot be sent.
    """
    universe: list[Key] = [*range(90)] if fields == 1 else [(number // 40, number) for number in range(90)]
    table = BySize(universe, universe)
    read = start(take=20, universe=universe)
    read.paging.anchor = replace(read.paging.anchor, fits=fits)
    while not read.paging.ended:
        read.ask()
        read.flights[0].rows = table.answer(read.flights[0].span)
        read.feed()
        assert len(read.asked) < 200
    assert read.handed == universe


def test_pages_of_one_row_beside_a_key_that_cannot_be_sent() -> None:
    """They are requested with the row before, as others are."""
    read = start(take=1)
    read.paging.anchor = replace(read.paging.anchor, fits=lambda key: key not in {0, 5, 6, 19})
    table = Table(range(20), range(20))
    while not read.paging.ended:
        read.ask()
        read.flights[0].rows = table.answer(read.flights[0].span)
        read.feed()
        assert len(read.asked) < 60
    assert read.handed == list(range(20))


def test_a_service_that_answers_one_row_beside_a_key_that_cannot_be_sent() -> None:
    """Neither the key nor the row before shows which rows come next. An error says so, and no row is lost."""
    read = start(take=5)
    read.paging.anchor = replace(read.paging.anchor, fits=lambda key: key != 5)
    table = Table(range(20), range(20), cap=1)

    def read_on() -> None:
        for _ in range(60):
            read.ask()
            read.flights[0].rows = table.answer(read.flights[0].span)
            read.feed()

    with pytest.raises(PagingError, match="returns one row at a time"):
        read_on()
    assert read.handed == list(range(6))


@pytest.mark.parametrize("rows", [51, 52, 53, 60])
@pytest.mark.parametrize("gone", [(), (3,), (3, 4, 5)])
def test_rows_that_are_counted_and_vanish(gone: tuple[int, ...], rows: int) -> None:
    """Where rows are counted, and a server caps its responses, a deleted row hides none of those that follow."""
    read = start(take=100)
    read.paging.anchor = replace(read.paging.anchor, fits=lambda _: False)
    table = Table(range(rows), range(rows), cap=50)
    while not read.paging.ended:
        read.ask()
        read.flights[0].rows = table.answer(read.flights[0].span)
        read.feed()
        for key in gone:
            table.delete(key)
        assert len(read.asked) < 100
    assert read.handed == list(range(rows))


@pytest.mark.parametrize("gone", [(2,), (2, 3), (3,), (1, 2, 3)])
@pytest.mark.parametrize("universe", [range(10), [(number // 6, number) for number in range(10)]], ids=["one", "two"])
def test_a_read_that_goes_on_behind_keys_that_cannot_be_sent(universe: Sequence[Key], gone: tuple[int, ...]) -> None:
    """Whichever of the remembered rows have vanished, the rows after them come, and the read ends."""
    unsendable = {universe[3], universe[4]}
    table = Table(universe, [key for place, key in enumerate(universe) if place not in gone])
    read = start(take=5, universe=universe)
    begin = replace(anchor(after=universe[2], universe=universe), fits=lambda key: key not in unsendable)
    read.paging = Paging(
        Sizing(window=1, take=5, byte_budget=BUDGET, overlap=1), window=1, anchor=replace(begin, since=(universe[3],))
    )
    while not read.paging.ended:
        read.ask()
        read.flights[0].rows = table.answer(read.flights[0].span)
        read.feed()
        assert len(read.asked) < 60
    assert read.handed == list(universe[4:])


def test_nothing_is_asked_for_behind_a_page_that_looks_short() -> None:
    """A page looks short by the bytes of its body, as long as it has not been decoded."""
    read = start(window=2, take=100, eager=True)
    read.ask()
    read.flights[0].rows = range(100)
    read.feed(row_bytes=400)
    read.ask()
    assert len(read.flights) == 2
    first, second = read.paging.asks
    read.paging.ask(arrived={first: 40_000, second: 9_000})
    assert len(read.paging.asks) == 2
    read.paging.ask(arrived={first: 40_000, second: 40_000})
    assert len(read.paging.asks) == 3
