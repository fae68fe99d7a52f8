"""Where a page begins whose predecessors are still in flight, foretold by the keys so far: so nothing is skipped.

Whole numbers that were given out one after the other lie about equally far apart. Where they do, a span can begin at
the key at which the one before it is expected to end. A forecast may be wrong, which costs requests and no row: which
rows are handed out is decided by the keys that come.
"""

from __future__ import annotations

from math import ceil

import msgspec
from msgspec.structs import replace

from afas_async.policy.spans import Ask, Key, Slice, Span

MARKS = 8
PATIENCE = 2
# Fewer rows tell little about those behind them, and to skip them costs little.
ROWS = 50
# Rows that are asked for twice, to be sure, cost about as much as skipping does.
SPREAD_LIMIT = 0.05
# A field of the service may have 32 bits, and no row has a value beyond.
KEY_LIMIT = 2**31 - 1


class Forecast(msgspec.Struct, frozen=True):
    """How far apart keys lie.

    Args:
        rows: How many rows had been handed out at the last mark.
        key: The key of the last of them.
        steps: The distances of neighbouring keys, on average between two marks, from the last few of them.
        marks: How many marks there were since a forecast has failed.
        patience: How many there must be before anything is foretold: each failure makes the next one rarer.
    """

    rows: int = 0
    key: Key | None = None
    steps: tuple[float, ...] = ()
    marks: int = 0
    patience: int = PATIENCE

    def reached(self, rows: int, key: Key | None) -> Forecast:
        """Return the forecast when so many rows have been handed out, up to a key."""
        if rows - self.rows < ROWS or not isinstance(key, int):
            return self
        if not isinstance(self.key, int):
            return replace(self, rows=rows, key=key)
        steps = (*self.steps[1 - MARKS :], (key - self.key) / (rows - self.rows))
        return replace(self, rows=rows, key=key, steps=steps, marks=self.marks + 1)

    def failed(self) -> Forecast:
        """Return the forecast when what it has foretold was wrong."""
        return replace(self, marks=0, patience=self.patience * 4)

    def behind(self, span: Span) -> tuple[int, int] | None:
        """Return at which key to begin behind a span, and how many rows that has in common with it, if all goes well.

        None if keys lie too unevenly, or pages are small.
        """
        if self.marks < self.patience or span.take < ROWS:
            return None
        if span.within is None or not isinstance(span.within.key, int):
            return None
        step = sum(self.steps) / len(self.steps)
        spread = max(self.steps) - min(self.steps)
        if spread >= SPREAD_LIMIT * abs(step):
            return None
        common = 1 + ceil(spread / abs(step) * span.take)
        begin = span.within.key + round(step * (span.skip + span.take - common))
        return (begin, common) if abs(begin) <= KEY_LIMIT else None

    def ask_behind(self, ask: Ask, size: int) -> Ask | None:
        """Return an ask for so many rows that skips none, if the key at which it begins can be foretold."""
        behind = self.behind(ask.span)
        if behind is None:
            return None
        begin, common = behind
        span = Span(0, size + 1, Slice("from", begin), overlap=True)
        return Ask(span, ask.end + max(1, size + 1 - common), foretold=True)
