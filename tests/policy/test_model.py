"""Every way in which a table of five keys can change while it is read, two pages at a time.

There are 32 initial sets of the keys 1 to 5. There are four slots for a change: before the second response and the
three after it. Each slot has nothing, or inserts or deletes a key. This makes 11 ** 4 = 14,641 sequences, so 468,512
reads for each order in which the pages arrive. Sequences with the same effect are walked together and counted (to
insert a key that exists does nothing), and reads in the same state continue once. So all of it takes some seconds.

AFAS_MODEL_RUNS (a number of random reads, for test_model_large.py) has all sets walked through in all ways. Further
walks then have changes at any place, rows fed one by one, and three pages at a time. This takes some minutes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import pytest

from afas_async.policy.forecast import Forecast
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import Sizing
from afas_async.policy.spans import Key, Span
from tests.support.paging_model import Read, Table, anchor
from tests.support.paging_walk import KEYS, LETTERS, SLOTS, Reads, Walk
from tests.support.thoroughness import by_default

LONG = "AFAS_MODEL_RUNS" in os.environ
SETS = [set(keys) for size in range(len(KEYS) + 1) for keys in combinations(KEYS, size)]
SOME = by_default(SETS[8::4], SETS)
SEQUENCES = LETTERS**SLOTS


def all_reads(walk: Walk, sets: Sequence[set[int]] = SETS) -> Reads:
    """Return the outcomes of the reads of these sets."""
    reads = Reads()
    for initial in sets:
        reads = reads.plus(1, walk.reads(initial))
    return reads


def test_page_after_page() -> None:
    """One page at a time: 32 sets, 14,641 sequences, no stable row lost or repeated, no key out of order."""
    assert all_reads(Walk(window=1, eager=False)) == Reads(468_512)
    assert len(SETS) * SEQUENCES == 468_512


@pytest.mark.timeout(600)
@pytest.mark.parametrize("eager", [False, True])
def test_two_pages_at_a_time(*, eager: bool) -> None:
    """Two pages are in flight, or a third beside one that has arrived, in every order of arrival."""
    some = by_default([{2, 4}], [{1, 2, 4}, {1, 3, 4, 5}]) if eager else by_default([{1, 2, 5}, {1, 3, 4, 5}], SETS)
    sets = SETS if LONG else some
    reads = all_reads(Walk(eager=eager), sets)
    assert reads.wrong == 0
    assert reads.total > 3 * len(sets) * SEQUENCES


@pytest.mark.parametrize("cap", [1, 2])
@pytest.mark.parametrize("take", [1, 2, 3])
def test_a_server_that_caps_its_answers(take: int, cap: int) -> None:
    """Silently capped responses, down to one row, end no read early."""
    sets = SETS if LONG else SETS[:: by_default(15, 5)]
    reads = all_reads(Walk(take=take, cap=cap, eager=False), sets)
    assert reads.wrong == 0
    assert reads.total >= len(sets) * SEQUENCES


# Keys of two fields: rows with the same first one are few, or nearly all.
FEW = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
MANY = [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)]


@pytest.mark.sampled(8)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("universe", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize("how", [{}, {"cap": 1}, {"cap": 2, "take": 3}, {"troubles": 1, "batch": 1, "eager": False}])
@pytest.mark.parametrize("long_run", [1, 10_000])
def test_slices(monkeypatch: pytest.MonkeyPatch, universe: list[Key], how: dict[str, Any], long_run: int) -> None:
    """Whichever slices request the rows after a key of two fields, no row is lost or repeated, and all are in order."""
    monkeypatch.setattr("afas_async.policy.anchor.LONG_RUN", long_run)
    sets = SETS[::4] if LONG and "troubles" not in how else [{1, 2, 4}, {1, 2, 3, 5}][: by_default(1, 2)]
    assert all_reads(Walk(universe=universe, **how), sets).wrong == 0


def _none(_: Key) -> bool:
    return False


def _last(key: Key) -> bool:
    return key in {1, 5, FEW[0], FEW[4]}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("fits", [_none, _last])
@pytest.mark.parametrize("universe", [range(1, 6), FEW], ids=["one field", "two fields"])
def test_keys_that_cannot_be_sent(universe: Sequence[Key], fits: Callable[[Key], bool]) -> None:
    """Rows whose keys cannot be sent are counted and remembered: no stable row is lost or repeated.

    New ones may come out of order, if the rows after them have vanished.
    """
    sets = SETS[::4] if LONG else [{1, 2, 4}, {1, 3, 4, 5}][: by_default(1, 2)]
    reads = all_reads(Walk(universe=universe, fits=fits), sets)
    assert (reads.lost, reads.doubled) == (0, 0)
    assert reads.disordered < reads.total / 5


@pytest.mark.sampled(2)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("batch", [None, 1])
def test_answers_that_break(batch: int | None) -> None:
    """A response breaks after any row, or after the last one, or is too much: once in a read, at any place."""
    sets = SETS if LONG else [by_default({2, 4}, {1, 2, 3, 5})]
    assert all_reads(Walk(batch=batch, troubles=1, eager=False), sets).wrong == 0


@pytest.mark.sampled(3)
@pytest.mark.skipif(not LONG, reason="takes minutes: set AFAS_MODEL_RUNS")
@pytest.mark.timeout(600)
@pytest.mark.parametrize("how", [{"anywhere": True}, {"batch": 1}, {"window": 3, "eager": False}])
def test_further_walks(how: dict[str, Any]) -> None:
    """Changes at any places, rows one by one, three pages at a time."""
    assert all_reads(Walk(**how)).wrong == 0


class Guess(Forecast):
    """Guesses where pages begin, and is right at times."""

    ahead: int = 1

    def prediction_after(self, span: Span) -> tuple[int, int] | None:
        if span.within is None:
            return None
        assert isinstance(span.within.key, int)
        return min(span.within.key + self.ahead, KEYS[-1] if self.ahead < 9 else 39), 1


class Guesses(Paging):
    """Begins pages at guessed keys."""

    ahead = 1

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._forecast = Guess(steps=(1.0,), ahead=self.ahead)


@pytest.mark.sampled(6)
@pytest.mark.timeout(600)
@pytest.mark.parametrize("troubles", [0, 1])
@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_a_wrong_forecast_costs_no_row(ahead: int, troubles: int) -> None:
    """Wherever a page begins, no stable row is lost or repeated."""
    kind = type("Kind", (Guesses,), {"ahead": ahead})
    sets = SETS if LONG else [by_default({2, 5}, {1, 2, 3, 5})]
    reads = all_reads(Walk(kind, batch=1, troubles=troubles, eager=not troubles), sets)
    assert reads.wrong == 0
    assert reads.total > len(sets) * SEQUENCES


# --- the same walk finds what other pagers do wrong ---


def test_skip_and_take_loses_and_doubles_rows() -> None:
    """Page after page by number, the usual way, a tenth of the reads lose stable rows, and more repeat them."""
    reads = all_reads(Walk(window=1, eager=False, keyed=False))
    assert reads.total == 468_512
    assert 0.095 < reads.lost / reads.total < 0.10
    assert reads.doubled / reads.total > 0.10


def test_concurrent_skip_and_take_loses_and_doubles_rows() -> None:
    """The same happens with two pages at a time."""
    reads = all_reads(Walk(eager=False, keyed=False), SOME)
    assert reads.lost / reads.total > 0.10
    assert reads.doubled / reads.total > 0.10


class EndsAtAShortPage(Paging):
    """Takes a page with fewer rows than requested as the end."""

    def _finish(self, size: int, columns: int, seconds: float) -> None:
        head = self.asks[0]
        super()._finish(size, columns, seconds)
        if head.seen < head.span.take:
            self._end()


def test_a_short_page_proves_no_end() -> None:
    """Such a pager loses rows where the server caps its responses."""
    walk = Walk(EndsAtAShortPage, take=3, cap=2)
    reads = walk.reads({1, 2, 3})
    assert reads.lost > 0.9 * reads.total  # in the others, such rows were deleted


class TakesPagesUnseen(Paging):
    """Leaves out the first row of a page, whatever it is."""

    def _place(self, head: Any, keys: Sequence[Key], page: int) -> int | None:
        del page
        return min(len(keys), int(head.span.overlap and head.seen == len(keys)))


class UsesEveryForecast(Guesses):
    """Uses a page that begins at a guessed key, whether it joins or not."""

    def _place(self, head: Any, keys: Sequence[Key], page: int) -> int | None:
        return super()._place(head, keys, page) or 0


def _read_with(kind: type[Paging]) -> list[Key]:
    """Read a longer table, guessing where pages begin."""
    table = Table(range(40), range(0, 40, 2))
    sizing = Sizing(window=3, take=3, byte_budget=1 << 24, overlap=1)
    read = Read(type("Kind", (kind,), {"ahead": 9})(sizing, window=3, anchor=anchor(), eager=False))
    while not read.paging.ended:
        read.ask()
        read.flights[0].rows = table.answer(read.flights[0].span)
        read.feed()
    return read.handed


def test_a_forecast_is_not_to_be_trusted() -> None:
    """Where keys are closer than predicted, such a pager loses rows."""
    assert _read_with(Guesses) == list(range(0, 40, 2))
    assert set(_read_with(UsesEveryForecast)) < set(range(0, 40, 2))


def test_the_overlap_matters() -> None:
    """A pager that ignores the overlap loses and repeats rows."""
    reads = all_reads(Walk(TakesPagesUnseen, eager=False), SOME)
    assert reads.lost > 0
    assert reads.disordered > 0
