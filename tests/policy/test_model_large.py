"""Larger tables that change in every way during a read, with responses that break and reads that resume elsewhere.

AFAS_MODEL_RUNS sets how many random reads there are; each failure names the seed that makes it again.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import log
from random import Random
from typing import Any

import pytest

from afas_async.policy.forecast import Forecast
from afas_async.policy.paging import Paging
from afas_async.policy.sizing import EVERYTHING, Sizing
from afas_async.policy.spans import Key, Span, values_of
from afas_async.vocabulary.collation import folded
from tests.support.paging_model import Read, Table, anchor
from tests.support.thoroughness import by_default

RUNS = int(os.environ.get("AFAS_MODEL_RUNS", by_default("40", "300")))
PARTS = 10
LETTERS = "aAàbBcCijIJyÿzZ09 -_'"


def numbers(random: Random, count: int) -> list[Key]:
    return list[Key](sorted(random.sample(range(10 * count + 10), count)))


def even(random: Random, count: int) -> list[Key]:
    """Return numbers that are even, nearly even, or even up to a jump: pages can be predicted for them."""
    step, jump = random.randint(1, 20), random.choice([0, 0, 0, random.randint(1, 50 * count)])
    stray = random.choice([0, 0, step - 1])
    count = max(count, random.choice([count, 600, 1_200]))
    keys = [step * number + random.randint(0, stray) + jump * (2 * number > count) for number in range(count)]
    return list[Key](keys if random.random() < 0.5 else [-key for key in keys])


def texts(random: Random, count: int) -> list[Key]:
    """Return texts in an order that only the service knows: that of its collation, in which no two are equal."""
    drawn = sorted({"".join(random.choices(LETTERS, k=random.randint(3, 6))) for _ in range(count)})
    keys = [*{folded(text): text for text in drawn}.values()]
    random.shuffle(keys)
    return list[Key](keys)


def pairs(random: Random, count: int) -> list[Key]:
    """Return pairs of a text and a number. Many of them share their text."""
    names = texts(random, count // 7 + 1)
    return [(str(name), -number) for name in names for number in range(7)]


UNIVERSES: list[Callable[[Random, int], list[Key]]] = [numbers, even, even, texts, pairs]


class Guess(Forecast):
    """Guesses where pages begin: at any keys, for which there need not be rows."""

    def prediction_after(self, span: Span) -> tuple[int, int] | None:
        if not (self.steps and span.within is not None and isinstance(span.within.key, int)):
            return None
        random = Random(repr(span))  # noqa: S311 - the same guess each time
        ahead = int(random.randint(-2 * span.take, 6 * span.take) * self.steps[-1])
        return span.within.key + ahead, random.randint(1, 9)


class Guesses(Paging):
    """Begins pages at guessed keys."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._forecast = Guess()


@dataclass
class Scene:
    """A table, its changes, and the read of it.

    Args:
        random: Decides all events.
    """

    random: Random

    def __post_init__(self) -> None:
        random = self.random
        universe = random.choice(UNIVERSES)(random, random.choice([3, 12, 40, 40, 300, 2_500]))
        cap = random.choice([None, None, None, 1, 2, 3, 7, 100])
        share = random.choice([0, 0.3, 0.7, 1])
        self.table = Table(universe, [key for key in universe if random.random() < share], cap=cap)
        self.window = random.randint(1, 8)
        self.take = random.choice([None, EVERYTHING, 1, 2, 3, 7, 50, 50])
        self.eager = random.random() < 0.7
        self.batch = random.choice([1, 2, 5, 1_000])
        self.activity = random.choice([0, 0.1, 0.5, 0.9])
        self.trouble = random.choice([0, 0, 0.05, 0.3])
        self.events = random.choice([3, 20, 100])  # then nothing changes any more
        self.guesses = random.random() < 0.3
        self.stable = set(self.table.keys)
        self.made_again = Counter[Key]()
        self.handed: list[Key] = []
        self.peace: tuple[int, int] | None = None
        self.halved = False
        self.read = self._start(None)

    def _start(self, after: Key | None) -> Read:
        self.sizing = Sizing(window=self.window, take=self.take, byte_budget=1 << 24, overlap=1)
        kind = Guesses if self.guesses else Paging
        return Read(
            kind(
                self.sizing,
                window=self.window,
                anchor=anchor(after=after, universe=self.table.universe),
                eager=self.eager,
            )
        )

    # --- changes of the table ---

    def change(self) -> None:
        """Change rows, perhaps many, most of them near the place where the read is."""
        while self.events and self.random.random() < self.activity:
            self.events -= 1
            self.random.choice([self._toggle, self._toggle, self._sweep, self._flood, self._cut, self._append])()
        self.stable.intersection_update(self.table.keys)

    def _place(self) -> int:
        last = self.read.paging.anchor.last
        return 0 if last is None else self.table.rank(last)

    def _near(self) -> int:
        place = self._place() + self.random.randint(-10, 30)
        return min(max(place, 0), len(self.table.universe) - 1)

    def _toggle(self) -> None:
        key = self.table.universe[self._near()]
        (self.table.delete if key in self.table else self._insert)(key)

    def _insert(self, key: Key) -> None:
        """Insert a row; the last one read twice at most, as a third time would look like a disorder."""
        if key == self.read.paging.anchor.last and key not in self.table:
            self.made_again[key] += 1
        if self.made_again[key] < 3:
            self.table.insert(key)

    def _sweep(self) -> None:
        """Delete rows that were read, or will be; now and then all of them."""
        low = self.random.choice([0, self._near(), self._place() + 1])
        for key in self.table.universe[low : low + self.random.choice([5, 60, 3_000])]:
            self.table.delete(key)

    def _flood(self) -> None:
        """Insert more rows than a page holds, before the read or after it."""
        low = self.random.choice([0, self._near(), self._place() + 1])
        for key in self.table.universe[low : low + self.random.choice([5, 60, 300])]:
            self._insert(key)

    def _cut(self) -> None:
        """Delete the very row that was read last."""
        if self.read.paging.anchor.last is not None:
            self.table.delete(self.read.paging.anchor.last)

    def _append(self) -> None:
        for key in self.table.universe[-self.random.randint(1, 5) :]:
            self._insert(key)

    # --- the course of the read ---

    def run(self) -> None:
        """Read to the end."""
        while True:
            if self.peace is None and not self.events:
                self.peace = (
                    len(self.read.asked),
                    sum(self.table.rank(key) >= self._place() for key in self.table.keys),
                )
            self.read.ask(arrived=self.read.arrived())
            if not self.read.flights:
                break
            if self.events and self.random.random() < self.trouble:
                self.events -= 1
                self.random.choice([self._break, self._halve, self._go_on_elsewhere])()
            else:
                self._go_on()
            assert len(self.read.asked) < 20_000
        self.handed += self.read.handed

    def _go_on(self) -> None:
        head = self.read.flights[0]
        waiting = [flight for flight in self.read.flights if flight.rows is None]
        if waiting and (head.rows is None or self.random.random() < 0.5):
            self.change()
            flight = self.random.choice(waiting)
            flight.rows = self.table.answer(flight.span)
        elif head.rows is not None:
            # A response may be known to be whole only after its last row has been fed.
            done = self.random.random() < 0.7 or head.fed == len(head.rows)
            self.read.feed(self.batch, done=done)

    def _break(self) -> None:
        self.read.renew(self.random.randrange(len(self.read.flights)))

    def _halve(self) -> None:
        self.halved |= self.read.halve(self.random.randrange(len(self.read.flights)))

    def _go_on_elsewhere(self) -> None:
        """Resume on another machine after a row already read; the rows after it are read again."""
        handed = self.handed + self.read.handed
        place = self.random.randint(0, len(handed))
        self.handed = handed[:place]
        self.read = self._start(handed[place - 1] if place else None)
        self.peace, self.halved = None, False


@pytest.mark.parametrize("part", range(PARTS))
def test_every_stable_row_once_and_in_order(part: int) -> None:
    """Every row that was there all the time comes once, no key twice, all in order, in a bounded time."""
    for seed in range(part, RUNS, PARTS):
        scene = Scene(Random(seed))  # noqa: S311 - the same reads each time
        scene.run()
        assert scene.read.paging.ended, seed
        ranks = list(map(scene.table.rank, scene.handed))
        assert ranks == sorted(set(ranks)), seed
        assert scene.stable.issubset(scene.handed), seed
        check_peace(scene, seed)


def check_peace(scene: Scene, seed: int) -> None:
    """Once nothing changes or breaks any more, a read requests little more than the rest of the rows."""
    if scene.peace is None or scene.guesses:
        return
    asked, rows = scene.peace
    take = scene.take or 100
    page = rows + 1 if take == EVERYTHING else min(take + 1, scene.table.cap or take + 1)
    if take != EVERYTHING:  # responses that happen to be short, twice by as much, count as a cap
        page = min(page, scene.sizing.size() + 1)
    most = rows / max(1, page - 1) + 2 * scene.window + 8
    # More than a cap is tried again, after 3 full pages at first, then each time after four times as many.
    most += (1 + log(max(4.0, most / 3), 4)) * (scene.window + 1) if take != EVERYTHING else 0
    fields = len(values_of(scene.table.universe[0]))  # a key of several fields has as many slices
    most = most * fields if 1 in {scene.table.cap, scene.take} or scene.halved else most + 20 * (fields - 1)
    if scene.halved:  # from one row on, twice as many after each 20 full pages
        most += 21 * take.bit_length()
    assert len(scene.read.asked) - asked <= most, (seed, len(scene.read.asked) - asked, most)
