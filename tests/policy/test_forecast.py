"""Pages begin at predicted places if keys are evenly spaced. A wrong prediction costs a few requests and no row."""

from __future__ import annotations

from random import Random

import pytest

from afas_async.errors import KeyOrderError
from afas_async.policy.forecast import KEY_LIMIT, MARKS, Forecast
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import Sizing
from afas_async.policy.spans import Key, Slice, Span
from tests.support.paging_model import Read, Table, anchor

TAKE = 100
EVEN = Forecast(1_000, 3_000, (3.0, 3.0), marks=2)


def span(key: Key, *, skip: int = 0, take: int = TAKE) -> Span:
    return Span(skip, take, Slice("from", key), overlap=True)


# --- predictions ---


def test_even_keys() -> None:
    """A span begins with the last row of the span before it, the only row that they share."""
    assert EVEN.prediction_after(span(301)) == (301 + 99 * 3, 1)
    assert EVEN.prediction_after(span(301, skip=200)) == (301 + 299 * 3, 1)


def test_nearly_even_keys() -> None:
    """The less even keys were of late, the more rows are requested twice, to be sure."""
    forecast = Forecast(1_000, 3_000, (2.95, 3.05), marks=2)
    assert forecast.prediction_after(span(0, take=1_000)) == (3 * (1_000 - 35), 35)


@pytest.mark.parametrize("steps", [(), (3.0,), (3.0, 3.2), (3.0, -3.0), (0.0, 0.0)])
def test_uneven_or_unknown_keys(steps: tuple[float, ...]) -> None:
    """Too few steps, or too different ones, predict nothing."""
    assert Forecast(1_000, 3_000, steps, marks=len(steps)).prediction_after(span(1)) is None


@pytest.mark.parametrize(
    "before", [span("a"), span((1, 2)), span(1, take=49), span(KEY_LIMIT - 200), Span(0, TAKE, None, overlap=True)]
)
def test_not_to_be_foretold(before: Span) -> None:
    """Nothing is predicted for texts, keys of several fields, small pages, or numbers that may not fit a field."""
    assert EVEN.prediction_after(before) is None


def test_steps_are_measured() -> None:
    """Steps are measured between two marks that are some rows apart, and the latest ones count."""
    forecast = Forecast().reached(100, 1_000).reached(120, 0).reached(200, 1_300)
    assert forecast == Forecast(200, 1_300, (3.0,), marks=1)
    for number in range(1, MARKS + 3):
        forecast = forecast.reached(200 + 100 * number, 1_300 + 500 * number)
    assert forecast.steps == (5.0,) * MARKS
    assert Forecast().reached(100, "a").reached(200, ("b", 1)) == Forecast()


# --- reads ---


def read_all(keys: list[Key], *, window: int = 5, take: int = TAKE, batch: int | None = 30) -> Read:
    """Read a table that does not change."""
    table = Table(keys, keys)
    sizing = Sizing(window=window, take=take, byte_budget=1 << 24, overlap=1)
    read = Read(Paging(sizing, window=window, anchor=anchor()))
    while not read.paging.ended:
        read.ask(arrived=read.arrived())
        if read.flights[0].rows is None:
            read.flights[0].rows = table.answer(read.flights[0].span)
        else:
            read.feed(batch)
    assert read.handed == keys
    return read


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("window", [2, 5, 8])
def test_nothing_is_skipped(window: int, sign: int) -> None:
    """Once the step between keys is known, every span begins at a key, and none is requested twice."""
    keys = list[Key](range(1, 1 + sign * 60_000, sign * 3))
    read = read_all(keys, window=window)
    assert len(read.asked) <= len(keys) / TAKE + window + 2
    assert not any(asked.skip for asked in read.asked[4 * window :])


def test_rows_that_were_deleted_here_and_there() -> None:
    """A third of the consecutive numbers is left. A few more rows are requested, and few pages twice."""
    random = Random(1)  # noqa: S311 - the same keys each time
    keys = list[Key](key for key in range(300_000) if random.random() < 1 / 3)
    read = read_all(keys, take=5_000, batch=None)
    assert len(read.asked) <= 1.1 * len(keys) / 5_000 + 6
    assert sum(asked.skip == 0 for asked in read.asked) > len(read.asked) / 2


@pytest.mark.parametrize("jump", [100, 400, 100_000, 10**9])
def test_a_jump(jump: int) -> None:
    """Keys that jump cost at most a window of pages, and a few more."""
    keys = list[Key]([*range(10_000), *range(10_000 + jump, 20_000 + jump)])
    assert len(read_all(keys).asked) <= len(keys) / TAKE + 14


@pytest.mark.parametrize("density", [2, 10, 1_000])
def test_keys_that_lie_closer_from_somewhere_on(density: int) -> None:
    """More rows than expected come before a page. They are requested, and at most the pages in flight are dropped."""
    keys = list[Key]([*range(0, 10_000 * density, density), *range(10_000 * density, 10_000 * density + 10_000)])
    assert len(read_all(keys).asked) <= len(keys) / TAKE + 13


class Texts(Table):
    """Numbers that the service sorts as numbers, and compares as texts in a filter."""

    def answer(self, span: Span) -> list[Key]:
        rows = self.keys
        if span.within is not None:
            rows = [key for key in rows if str(key) >= str(span.within.key)]
        return rows[span.skip : span.skip + span.take]


@pytest.mark.parametrize(("steps", "begin"), [((1.0, 1.0), 1_199), ((1.0, 1.02), 1_197)])
def test_an_answer_that_begins_before_its_key(steps: tuple[float, ...], begin: int) -> None:
    """The service filters by another order than it sorts. An error says so at once: rows might be missing."""
    keys = list[Key](range(1_000, 9_000))
    table = Texts(range(10_000), [*range(1, 100), *keys])
    paging = Paging(Sizing(window=3, take=TAKE, byte_budget=1 << 24, overlap=1), window=3, anchor=anchor(after=999))
    paging._forecast = Forecast(0, 999, steps, marks=2)  # pyright: ignore[reportPrivateUsage] - as if after many rows
    read = Read(paging)
    for rows in ([999, *keys[:TAKE]], keys[TAKE - 1 : 2 * TAKE]):
        read.ask()
        read.flights[0].rows = rows
        read.feed()
    page = read.flights[0]
    assert page.span == Span(0, TAKE + 1, Slice("from", begin), overlap=True)
    page.rows = table.answer(page.span)
    with pytest.raises(KeyOrderError, match=f"rows from key {begin} on"):
        read.feed()
