"""The paging machine against a table: every row once, in order, with no more requests than it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

import pytest

from afas_async.policy.paging import CELL_LIMIT, EVERYTHING, FIRST_TAKE, SPAN_BYTES, Paging, Span

BUDGET = 16 << 20


@dataclass
class Run:
    """What happened while a table was read."""

    covered: list[int] = field(default_factory=list)
    asked: list[Span] = field(default_factory=list)
    fed: list[tuple[Span, int]] = field(default_factory=list)
    dropped: int = 0
    peak: int = 0
    in_flight: list[int] = field(default_factory=list)  # after each round of asking
    bytes_behind: list[float] = field(default_factory=list)  # the first of them

    @property
    def wasted(self) -> int:
        """Requests that brought no new row; the only request of an empty table is needed."""
        empty = sum(rows == 0 for _, rows in self.fed)
        return self.dropped + empty - (self.asked[1:] == [])


def read(
    table: int,
    *,
    window: int,
    take: int | None = None,
    cap: int | None = None,
    budget: int = BUDGET,
    row_bytes: int = 447,
    columns: int = 20,
    trouble: Callable[[Paging, deque[Span]], None] | None = None,
) -> Run:
    """Read a table of that many rows, from a server that may silently cap its answers, and feed in order."""
    paging, flying, run = Paging(window=window, take=take, byte_budget=budget), deque[Span](), Run()
    while True:
        while (span := paging.ask()) is not None:
            flying.append(span)
            run.asked.append(span)
        run.in_flight.append(len(flying))
        run.bytes_behind.append(sum(span.take for span in list(flying)[1:]) * row_bytes)
        if not flying:
            break
        assert not paging.ended
        if trouble:
            trouble(paging, flying)
        span = flying.popleft()
        limit = table if span.take == EVERYTHING else min(span.take, cap or span.take)
        start = max(span.skip, 0)
        rows = range(start, min(start + limit, table))
        run.covered += rows
        run.fed.append((span, len(rows)))
        wanted = paging.feed(len(rows), size=len(rows) * row_bytes + 40, columns=columns if rows else 0)
        assert 0 <= wanted <= len(flying)
        run.dropped += len(flying) - wanted
        while len(flying) > wanted:
            flying.pop()
        assert len(run.asked) <= 4 * table + 40
    assert paging.ended
    return run


def check(run: Run, table: int, window: int) -> None:
    """Check what holds for every read."""
    assert run.covered == list(range(table))
    assert run.fed[-1][1] == 0 or run.fed[-1][0].take == EVERYTHING
    assert [rows for _, rows in run.fed].count(0) <= 1
    assert max(run.in_flight) <= window


# --- the cover ---


@pytest.mark.parametrize("window", [1, 2, 3, 5, 8])
def test_every_small_table(window: int) -> None:
    """Tables of 0 to 60 rows are covered exactly once, in order, with every small take, and end on proof."""
    for table in range(61):
        for take in (1, 2, 3, 5, 7, 10, 30, 60, 61):
            check(read(table, window=window, take=take), table, window)
        check(read(table, window=window), table, window)


@pytest.mark.parametrize("window", [1, 2, 4, 8])
def test_every_silent_cap(window: int) -> None:
    """The same holds if the server answers at most so many rows, whatever is asked."""
    for table in range(0, 61, 3):
        for cap in (1, 2, 3, 7, 20, 59, 60, 61):
            for take in (1, 5, 20, None):
                check(read(table, window=window, take=take, cap=cap), table, window)


@pytest.mark.parametrize("seed", range(30))
def test_large_tables(seed: int) -> None:
    """Large tables with rows of all sizes, any take, any cap, any window."""
    random = Random(seed)  # noqa: S311 - the same tables each time
    for _ in range(4):
        table, window = random.choice([random.randint(0, 5_000), random.randint(0, 300_000)]), random.randint(1, 8)
        take = random.choice([None, None, random.randint(max(1, table // 300), 10_000)])
        cap = random.choice([None, None, random.randint(max(1, table // 300), 20_000)])
        row_bytes, columns = random.choice([(30, 1), (447, 20), (5_000, 150), (100_000, 400)])
        run = read(table, window=window, take=take, cap=cap, row_bytes=row_bytes, columns=columns)
        check(run, table, window)


def test_everything() -> None:
    """A take of everything is one request, and its answer is the end."""
    for table in (0, 1, 1_000_000):
        run = read(table, window=5, take=EVERYTHING)
        assert run.covered == list(range(table))
        assert run.asked == [Span(-1, -1)]


# --- growth ---


def test_takes_grow() -> None:
    """Takes grow 100, 1,000, 10,000 while rows are narrow, so that the first row comes soon."""
    run = read(200_000, window=1, columns=3, row_bytes=60)
    assert [span.take for span in run.asked[:4]] == [100, 1_000, 10_000, 49_999]
    assert FIRST_TAKE == 100


@pytest.mark.parametrize(
    ("columns", "row_bytes"), [(1, 50), (20, 100), (20, 447), (20, 5_000), (600, 100), (10, 10**7)]
)
def test_takes_stay_bounded(columns: int, row_bytes: int) -> None:
    """Columns x rows stay at AFAS's 150,000, and an answer at about 4 MB, but never below one row."""
    run = read(30_000, window=5, columns=columns, row_bytes=row_bytes, budget=10**12)
    for span in run.asked[1:]:
        assert span.take == 1 or span.take * columns <= CELL_LIMIT
        assert span.take == 1 or span.take * row_bytes <= SPAN_BYTES
        assert span.take >= 1


def test_a_fixed_take_stays() -> None:
    """A take that the user fixed is what is asked for, whatever the rows look like."""
    run = read(5_000, window=3, take=250, columns=5_000, row_bytes=5)
    assert {span.take for span in run.asked} == {250}


@pytest.mark.parametrize(("window", "widths"), [(1, [1]), (2, [1, 2]), (3, [1, 3]), (5, [1, 3, 5]), (8, [1, 3, 7, 8])])
def test_ramp_up(window: int, widths: list[int]) -> None:
    """Speculation grows 1, 3, 7 ... up to the window, and each step has been earned by as many full spans."""
    run = read(2_000, window=window, take=10)
    assert list(dict.fromkeys(run.in_flight[:-2])) == widths
    for fed, (sooner, later) in enumerate(pairwise(run.in_flight[:20]), start=1):
        assert later <= max(sooner, 2 * fed + 1)


def test_ramp_up_after_a_short_span() -> None:
    """It starts again from 1 when a span comes back short, at the first row that was not received."""
    run = read(1_000, window=8, take=10, cap=4)
    assert run.fed[0] == (Span(0, 10), 4)
    assert run.asked[1] == Span(4, 10)
    assert run.in_flight[:2] == [1, 1]


def test_a_cap_is_learned() -> None:
    """A server that caps its answers is noticed after two short ones, and then read with full speed."""
    run = read(10_000, window=5, take=1_000, cap=100)
    assert [span.take for span in run.asked[:3]] == [1_000, 1_000, 100]
    assert len(run.asked) <= 100 + 2 + 5 + 1
    assert max(run.in_flight) == 5


# --- waste ---


@pytest.mark.parametrize(("columns", "row_bytes"), [(1, 30), (20, 447), (50, 1_500)])
@pytest.mark.parametrize(
    ("table", "wasted"),
    [
        (0, 0),
        (50, 1),
        (2_500, 4),
        (25_000, 5),
    ],
)
def test_waste(table: int, wasted: int, columns: int, row_bytes: int) -> None:
    """Requests that bring no new row are few: 0, 1, 4 and a window for tables of 0, 50, 2,500 and 25,000 rows."""
    assert read(table, window=5, columns=columns, row_bytes=row_bytes).wasted <= wasted


@pytest.mark.parametrize("window", [1, 2, 5, 8])
def test_waste_of_any_table(window: int) -> None:
    """A table of any length wastes at most a window of requests."""
    for table in [*range(0, 3_000, 37), 10_000, 99_999, 250_000]:
        assert read(table, window=window).wasted <= window


def test_short_tables_need_two_requests() -> None:
    """A table of less than the first take is read with one request and the proof of its end."""
    assert [(span.skip, span.take) for span in read(99, window=5).asked] == [(0, 100), (99, 100)]
    assert [(span.skip, span.take) for span in read(0, window=5).asked] == [(0, 100)]


# --- memory ---


@pytest.mark.parametrize("row_bytes", [100, 447, 4_000])
@pytest.mark.parametrize("budget", [1, 100_000, 1 << 20, 16 << 20])
def test_byte_budget(budget: int, row_bytes: int) -> None:
    """Spans behind the first fit the budget by what rows were seen to take; the first is always admitted."""
    for take in (None, 500):
        run = read(50_000, window=8, take=take, budget=budget, row_bytes=row_bytes)
        assert run.covered == list(range(50_000))
        assert all(size <= 1.01 * budget + 1_000 for size in run.bytes_behind[1:])


# --- limits and halves ---


def test_skip_limit() -> None:
    """Behind the limit nothing is asked for, and the end is not claimed."""
    paging = Paging(window=1, take=1_000, byte_budget=BUDGET, skip_limit=3_000)
    skips = []
    while (span := paging.ask()) is not None:
        skips.append(span.skip)
        paging.feed(1_000, size=1_000, columns=1)
    assert (skips, paging.ended) == ([0, 1_000, 2_000], False)


def test_nothing_after_the_end() -> None:
    """After the end nothing is asked for."""
    paging = Paging(window=5, take=10, byte_budget=BUDGET)
    assert paging.ask() == Span(0, 10)
    assert (paging.ask(), paging.ended) == (None, False)
    assert paging.feed(0, size=40, columns=0) == 0
    assert (paging.ask(), paging.ended) == (None, True)


def test_after() -> None:
    """What is left of a span begins behind the rows that were received."""
    assert Span(100, 50).after(0) == Span(100, 50)
    assert Span(100, 50).after(20) == Span(120, 30)


@pytest.mark.parametrize("seed", range(40))
def test_halves(seed: int) -> None:
    """Spans that are halved, at any place in the window and again, still cover every row exactly once."""
    random = Random(seed)  # noqa: S311
    halved = 0

    def trouble(paging: Paging, flying: deque[Span]) -> None:
        nonlocal halved
        while halved == 0 or random.random() < 0.3:
            index = random.randrange(len(flying))
            span = flying[index]
            received = random.randrange(span.take) if index == 0 and cap is None else 0
            smaller = paging.halve(index, received)
            assert (smaller is None) == (span.take - received < 2)
            if smaller is None:
                return
            halved += 1
            assert smaller == Span(span.skip, received + (span.take - received) // 2)
            while len(flying) > index:
                flying.pop()
            flying.append(smaller)

    table, window = random.randint(0, 3_000), random.randint(1, 8)
    take, cap = random.choice([None, 10, 64, 999]), random.choice([None, None, 7])
    check(read(table, window=window, take=take, cap=cap, trouble=trouble), table, window)
    assert halved > 0


@pytest.mark.parametrize(
    ("take", "received", "smaller"),
    [
        (100, 0, Span(0, 50)),
        (101, 0, Span(0, 50)),
        (100, 40, Span(0, 70)),
        (2, 0, Span(0, 1)),
        (100, 99, None),
        (1, 0, None),
    ],
)
def test_one_half(take: int, received: int, smaller: Span | None) -> None:
    """What was received stays, the rest is halved, and later spans have half the length; one row stays whole."""
    paging = Paging(window=2, take=take, byte_budget=BUDGET)
    paging.ask()
    assert paging.halve(0, received) == smaller
    if smaller is not None:
        paging.feed(smaller.take, size=1_000, columns=1)
        assert paging.ask() == Span(smaller.take, take // 2)


def test_larger_spans_are_tried_again() -> None:
    """One bad moment does not make a long read small for ever."""
    paging = Paging(window=1, take=1_000, byte_budget=BUDGET)
    paging.ask()
    assert paging.halve(0, 990) == Span(0, 995)  # ten rows were left, five are asked for
    takes = list[int]()
    for _ in range(45):
        span = paging.ask()
        takes += [span.take] if span else []
        paging.feed(span.take if span else 995, size=1_000, columns=1)
    assert takes[:3] == [500, 500, 500]
    assert takes[-1] == 1_000


def test_a_cap_of_the_server_stays() -> None:
    """Where the server caps its answers is no moment but a rule, so it is not tried again."""
    run = read(100_000, window=3, take=1_000, cap=100)
    assert {span.take for span in run.asked[10:]} == {100}


def test_halving_abandons_what_is_behind() -> None:
    """The spans behind a halved one are asked for anew, from where it now ends, and one at a time at first."""
    paging = Paging(window=4, take=100, byte_budget=BUDGET)
    for count in (1, 3, 3):
        while paging.ask():
            pass
        assert paging.feed(100, size=1_000, columns=1) == count - 1
    assert [paging.ask() for _ in range(2)] == [Span(500, 100), None]
    assert paging.halve(1, 0) == Span(400, 50)
    assert paging.ask() is None
    assert paging.feed(100, size=1_000, columns=1) == 1
    assert paging.feed(50, size=1_000, columns=1) == 0
    assert paging.ask() == Span(450, 50)


def test_a_span_that_has_arrived_leaves_its_place_to_another() -> None:
    """The service shall not wait while an answer is decoded; one such place is enough, and only within the budget."""
    paging = Paging(window=2, take=100, byte_budget=BUDGET)
    assert paging.ask() == Span(0, 100)
    assert paging.ask(arrived=0) is None
    assert paging.ask(arrived=1) == Span(100, 100)
    assert paging.ask(arrived=2) is None
    for window, take, budget in ((2, 100, 1), (2, EVERYTHING, BUDGET), (1, 100, BUDGET)):
        paging = Paging(window=window, take=take, byte_budget=budget)
        assert paging.ask() is not None
        assert paging.ask(arrived=1) is None


@pytest.mark.parametrize("rows", [100, 7])
def test_rows_whose_columns_are_not_known(rows: int) -> None:
    """Rows without a field, or such of which only the end of the envelope was lost, do not stop the read."""
    paging = Paging(window=5, take=None, byte_budget=BUDGET)
    paging.ask()
    paging.feed(rows, size=500, columns=0)
    assert paging.ask() is not None
