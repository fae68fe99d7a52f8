"""How many rows a page has: few at first, then as many as the service and the memory can take."""

from __future__ import annotations

import pytest

from afas_async.policy.sizing import (
    CELL_LIMIT,
    EVERYTHING,
    FIRST_TAKE,
    FIXED_SHARE,
    PAGE_BYTES,
    PAGE_SECONDS,
    PAGES_AT_TINY_CAP,
    PAGES_TO_GROW,
    Sizing,
)


def sizing(*, window: int = 1, take: int | None = None, byte_budget: int = 1 << 40, overlap: int = 1) -> Sizing:
    return Sizing(window=window, take=take, byte_budget=byte_budget, overlap=overlap)


def grown(sizes: Sizing, *, columns: int = 1, row_bytes: int = 10, seconds: float = 0.0, pages: int = 8) -> int:
    """Return the size after some full pages."""
    for _ in range(pages):
        rows = sizes.size()
        sizes.measure(rows, size=rows * row_bytes, columns=columns)
        sizes.full(rows, seconds)
    return sizes.size()


def test_pages_grow() -> None:
    """From 100 rows, tenfold after each full page."""
    sizes = sizing()
    assert [grown(sizes, pages=pages) for pages in (0, 1, 1)] == [FIRST_TAKE, 1_000, 10_000]


@pytest.mark.parametrize("columns", [1, 3, 20, 149, 150, 5_000, 149_999, 1_000_000])
@pytest.mark.parametrize("overlap", [0, 1])
def test_cells(columns: int, overlap: int) -> None:
    """Columns x rows stay below 150,000, the overlap row included; one new row is requested in any case."""
    size = grown(sizing(overlap=overlap), columns=columns, row_bytes=1)
    assert size == max(1, (CELL_LIMIT - 1) // columns - overlap)
    assert (size + overlap) * columns < CELL_LIMIT or size == 1


@pytest.mark.parametrize("row_bytes", [1_000, 50_000, PAGE_BYTES, 10 * PAGE_BYTES])
def test_bytes(row_bytes: int) -> None:
    """A response stays at about 4 MB, by the measured size of rows."""
    assert grown(sizing(), row_bytes=row_bytes) == max(1, PAGE_BYTES // row_bytes)


@pytest.mark.parametrize("window", [2, 5, 8])
def test_a_window_of_pages_fits_the_budget(window: int) -> None:
    """The pages after the first fit the budget with an eighth to spare."""
    sizes = sizing(window=window, byte_budget=1 << 20)
    size = grown(sizes, row_bytes=100)
    assert (window - 1) * size * 100 <= (1 << 20) * 7 / 8
    assert sizes.fits((window - 1) * size)
    assert not sizes.fits(2 * (window - 1) * size)


def test_a_fixed_take_stays() -> None:
    """A take that the user fixed neither grows nor shrinks for rows, bytes or seconds."""
    assert grown(sizing(take=7_000), columns=500, row_bytes=10_000, seconds=100) == 7_000
    assert sizing(take=7_000).next_size(10) == 7_000


def test_everything() -> None:
    """Everything is a fixed take of its own."""
    assert sizing(take=EVERYTHING).everything
    assert not sizing(take=1).everything


def test_the_next_page_is_a_little_larger() -> None:
    """After a page in flight, pages grow by a part of the largest: later their responses come one after the other."""
    sizes = sizing(window=5)
    grown(sizes, columns=15, pages=3)
    largest = sizes.size()
    assert largest == CELL_LIMIT // 15 - 2
    steps = [100]
    while steps[-1] < largest:
        steps.append(sizes.next_size(steps[-1]))
    assert sizes.next_size(None) == largest
    assert len(steps) == 6


# --- time ---


def test_a_slow_page_is_followed_by_a_smaller_one() -> None:
    """A page should take 10 seconds at most, by the time of the last full one."""
    sizes = sizing()
    assert grown(sizes, pages=2) == 10_000
    sizes.full(10_000, 40.0)
    assert sizes.size() == 10_000 * PAGE_SECONDS / 40


def test_pages_grow_again_when_the_service_is_fast_again() -> None:
    """Only the last full page counts."""
    sizes = sizing()
    grown(sizes, pages=2)
    sizes.full(10_000, 40.0)
    sizes.full(2_500, 0.5)
    assert sizes.size() > 10_000


def test_a_page_that_takes_for_ever_still_has_a_row() -> None:
    """This holds however slow the service is."""
    sizes = sizing()
    sizes.full(3, 3_600.0)
    assert sizes.size() == 1


def test_a_time_that_was_not_measured_counts_for_nothing() -> None:
    """A time of 0 seconds sets no limit."""
    assert grown(sizing(), seconds=0.0, pages=2) == 10_000


def pages_of(fixed: float, each: float, *, pages: int = 8) -> list[int]:
    """Return the sizes of pages of a service with a fixed time per call and a time per row."""
    sizes, found = sizing(), list[int]()
    for _ in range(pages):
        rows = sizes.size()
        found.append(rows)
        sizes.measure(rows, size=rows * 10, columns=1)
        sizes.full(rows, fixed + each * rows)
    return found


@pytest.mark.parametrize("fixed", [5.0, 12.0, 30.0])
def test_a_call_that_is_slow_by_itself_does_not_make_pages_small(fixed: float) -> None:
    """A fixed time per call does not justify smaller pages: they would take as long, and there would be many."""
    found = pages_of(fixed, 0.0)
    assert found == sorted(found)
    assert found[1] >= 5 * FIRST_TAKE
    assert found[-1] == CELL_LIMIT - 2


@pytest.mark.parametrize(("fixed", "each"), [(12.0, 0.001), (30.0, 0.01), (0.5, 0.02), (0.0, 0.05), (2.0, 0.3)])
def test_two_sizes_tell_what_a_row_takes(fixed: float, each: float) -> None:
    """Pages come to take 10 seconds, or three times the fixed time of a call; none ever takes 15 minutes."""
    found = pages_of(fixed, each)
    assert fixed + each * found[-1] == pytest.approx(max(PAGE_SECONDS, FIXED_SHARE * fixed), rel=0.05)
    assert max(fixed + each * rows for rows in found) < 300


def test_the_same_size_again_tells_nothing_new() -> None:
    """Pages of about one size do not make two points of a line."""
    sizes = sizing()
    for rows in (100, 200, 150, 110, 100, 100):
        sizes.full(rows, 12.0)
    assert sizes.size() >= 1_000


# --- limits of the service ---


def test_too_large() -> None:
    """After a page that was too large, half of it is requested, whatever size was grown or fixed."""
    for sizes in (sizing(take=1_000), sizing()):
        grown(sizes, pages=2)
        sizes.too_large(1_000)
        assert sizes.size() == 500
        sizes.too_large(500)
        assert sizes.size() == 250


def test_larger_pages_are_tried_again() -> None:
    """After 20 full pages the size doubles, and so on: one bad moment must not make a long read small for ever."""
    sizes = sizing(take=1_000)
    sizes.too_large(500)
    assert grown(sizes, pages=PAGES_TO_GROW - 1) == 250
    assert grown(sizes, pages=1) == 500
    assert grown(sizes, pages=PAGES_TO_GROW - 1) == 500
    assert grown(sizes, pages=1) == 1_000
    assert grown(sizes, pages=100) == 1_000


def test_one_row_is_the_least() -> None:
    """Half of one row is one row."""
    sizes = sizing()
    sizes.too_large(1)
    assert sizes.size() == 1


@pytest.mark.parametrize("overlap", [0, 1])
def test_a_cap_is_seen_twice(overlap: int) -> None:
    """Two short pages with the same number of rows are a cap of the server; one may be the end of the table."""
    sizes = sizing(take=1_000, overlap=overlap)
    sizes.short(64)
    assert sizes.size() == 1_000
    sizes.short(64)
    assert sizes.size() == 64 - overlap


def test_a_cap_of_one_row() -> None:
    """One new row is requested in any case."""
    sizes = sizing(take=10)
    sizes.short(1)
    sizes.short(1)
    assert sizes.size() == 1


def test_short_pages_that_differ_are_no_cap() -> None:
    """Equal pages with a full one between them are not a cap either."""
    sizes = sizing(take=1_000)
    for rows in (64, 63, 64):
        sizes.short(rows)
    sizes.full(1_000, 1.0)
    sizes.short(64)
    assert sizes.size() == 1_000


def test_a_cap_is_tried_again() -> None:
    """A cap is tried again after some full pages.

    Rows that trickle in look like a cap, and must not make a long read small for ever.
    """
    sizes = sizing(take=1_000)
    sizes.short(2)
    sizes.short(2)
    assert sizes.size() == 1
    assert grown(sizes, pages=PAGES_AT_TINY_CAP) == 10
    assert grown(sizes, pages=2 * PAGES_AT_TINY_CAP) == 1_000


def test_a_cap_that_is_one_is_tried_ever_more_rarely() -> None:
    """Each trial costs the requests in flight.

    Where the server does cap its responses, the trials cost next to nothing.
    """
    sizes, trials = sizing(take=1_000), 0
    for _ in range(2):
        sizes.short(64)
    for _ in range(2_000):
        if sizes.size() > 63:
            trials += 1
            sizes.short(64)  # once is enough: it is the same cap
            assert sizes.size() == 63
        sizes.full(64, 0.1)
    assert 2 <= trials <= 4
