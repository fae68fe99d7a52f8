"""The requests that replace a span whose response broke, or was too much for the service."""

from __future__ import annotations

from random import Random

import pytest

from afas_async.policy.sizing import EVERYTHING
from afas_async.policy.spans import Slice, Span
from tests.policy.test_paging import check, run, start
from tests.support.paging_model import Read, Table

TABLE = Table(range(1_000), range(1_000))


def answer(read: Read, index: int = 0) -> None:
    """Answer a span."""
    read.ask()
    read.flights[index].rows = TABLE.answer(read.flights[index].span)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("seed", range(40))
def test_halves(seed: int) -> None:
    """Spans that are halved, anywhere in the window and repeatedly, still bring every row exactly once."""
    random = Random(seed)  # noqa: S311 - the same halves each time
    halved = 0

    def trouble(read: Read) -> None:
        nonlocal halved
        while halved == 0 or random.random() < 0.3:
            index = random.randrange(len(read.flights))
            span = read.flights[index].span
            if not read.halve(index):
                assert span.take - span.overlap < 2
                return
            halved += 1
            smaller = read.flights[-1].span
            assert (smaller.skip, smaller.within) == (span.skip, span.within)
            assert smaller.take - smaller.overlap == (span.take - span.overlap) // 2

    rows, window = random.randint(0, 3_000), random.randint(1, 8)
    take, cap = random.choice([None, 10, 64, 999]), random.choice([None, None, 7])
    check(run(rows, window=window, take=take, cap=cap, trouble=trouble), rows, window)
    assert halved > 0


@pytest.mark.parametrize(
    ("take", "received", "smaller"),
    [
        (100, 0, Span(0, 50)),
        (101, 0, Span(0, 50)),
        (100, 40, Span(0, 31, Slice("from", 39), overlap=True)),
        (2, 0, Span(0, 1)),
        (100, 99, None),
        (100, 100, None),
        (1, 0, None),
        (EVERYTHING, 0, None),
        (EVERYTHING, 5, None),
    ],
)
def test_one_half(take: int, received: int, smaller: Span | None) -> None:
    """Received rows stay, and half of the rest is requested after them by key; a single row is not halved."""
    read = start(window=2, take=take)
    answer(read)
    if received:
        read.feed(received, done=False)
    ask = read.paging.asks[0]
    assert read.paging.halve(ask) == (smaller is not None)
    assert smaller is None or ask.span == smaller


@pytest.mark.parametrize(
    ("take", "received", "rest"),
    [
        (100, 0, Span(0, 100)),
        (100, 40, Span(0, 61, Slice("from", 39), overlap=True)),
        (100, 99, Span(0, 2, Slice("from", 98), overlap=True)),
        (100, 100, Span(0, 2, Slice("from", 99), overlap=True)),  # a row more, or the response would look like the end
        (EVERYTHING, 0, Span(-1, -1)),
        (EVERYTHING, 40, Span(-1, -1, Slice("from", 39), overlap=True)),
    ],
)
def test_the_rest_of_a_broken_answer(take: int, received: int, rest: Span) -> None:
    """Rows already read are passed by key, not skipped: they may have moved meanwhile."""
    read = start(window=2, take=take)
    answer(read)
    if received:
        read.feed(received, done=False)
    for _ in range(2):
        read.renew()
        assert read.flights[0].span == rest


def test_the_rest_of_a_broken_answer_may_prove_the_end() -> None:
    """If only the overlap is left, the rows after its row are requested, and nothing else."""
    table = Table(range(10), range(10))
    read = start(window=1, take=5)
    for broken in (False, True, False, False):
        read.ask()
        read.flights[0].rows = table.answer(read.flights[0].span)
        read.feed(done=not broken)
        if broken:
            read.renew()
    assert (read.handed, read.paging.ended, len(read.asked)) == (list(range(10)), True, 4)


def test_a_cap_of_one_row_and_an_answer_that_breaks() -> None:
    """The overlap alone does not prove the end, as long as the server returned one row at most."""
    table = Table(range(5), range(5), cap=1)
    read = start(take=10)
    for broken in (True, *([False] * 9)):
        read.ask()
        if read.flights:
            read.flights[0].rows = table.answer(read.flights[0].span)
            read.feed(done=not broken)
        if broken:
            read.renew()
    assert (read.handed, read.paging.ended) == ([0, 1, 2, 3, 4], True)


def test_without_a_key_the_rest_is_counted() -> None:
    """Without a key a read has only the number of rows to go by."""
    read = start(window=1, take=10, keyed=False)
    answer(read)
    read.feed(4, done=False)
    read.renew()
    assert read.flights[0].span == Span(4, 6)


def test_pages_behind_a_broken_one_are_kept() -> None:
    """The rest of the first page and the page after it join, though they were requested at different times."""
    read = start(window=3, take=10)
    answer(read)
    read.feed()
    answer(read)
    answer(read, 1)
    read.feed(4)
    read.renew()
    answer(read)
    read.feed()
    read.feed()
    assert read.handed == list(range(30))
    assert read.dropped == 0


def test_larger_spans_are_tried_again() -> None:
    """One bad moment does not make a long read small for ever."""
    read = start(window=1, take=64)
    answer(read)
    read.feed()
    read.ask()
    assert read.halve()
    sizes = list[int]()
    table = Table(range(5_000), range(5_000))
    for _ in range(30):
        read.ask()
        read.flights[0].rows = table.answer(read.flights[0].span)
        sizes.append(read.flights[0].span.take - 1)
        read.feed()
    assert sizes[:3] == [32, 32, 32]
    assert sizes[-1] == 64


def test_halving_abandons_what_is_behind() -> None:
    """The spans after a halved one are requested anew, from its new end, and one at a time at first."""
    read = start(window=4, take=100)
    for _ in range(4):
        answer(read)
        read.feed()
    read.ask()
    assert [flight.span.take for flight in read.flights] == [101, 101, 101, 101]
    assert read.halve(1)
    read.ask()
    assert [flight.span.take for flight in read.flights] == [101, 51]
    assert read.dropped == 2
    while read.flights:
        answer(read)
        read.feed()
        read.ask()
    assert read.handed == TABLE.keys
