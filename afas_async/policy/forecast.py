"""Predicts the first key of a page while earlier pages are still in flight, so that the page skips no rows.

Whole numbers that were assigned one after the other are spaced about evenly. If they are, a span can begin at the key
at which the span before it is expected to end. A wrong guess costs an extra request, never a row: the keys that arrive
decide which rows are returned.
"""

from __future__ import annotations

from math import ceil

import msgspec
from msgspec.structs import replace

from afas_async.policy.spans import Ask, Key, Slice, Span

MARKS = 8
PATIENCE = 2
# Fewer rows say little about those after them, and skipping them costs little.
ROWS = 50
# Requesting this share of rows twice, to be safe, costs about as much as skipping does.
SPREAD_LIMIT = 0.05
# A field of the service may have 32 bits, and then no row has a greater value.
KEY_LIMIT = 2**31 - 1


class Forecast(msgspec.Struct, frozen=True):
    """How far apart keys are.

    Args:
        rows: How many rows had been returned at the last mark.
        key: The key of the last of them.
        steps: The average distance of neighbouring keys between two marks, for the last few marks.
        marks: How many marks there were since a prediction failed.
        patience: How many marks are needed before the next prediction: each failure makes predictions rarer.
    """

    rows: int = 0
    key: Key | None = None
    steps: tuple[float, ...] = ()
    marks: int = 0
    patience: int = PATIENCE

    def reached(self, rows: int, key: Key | None) -> Forecast:
        """Return the forecast after `rows` rows have been returned, up to `key`."""
        if rows - self.rows < ROWS or not isinstance(key, int):
            return self
        if not isinstance(self.key, int):
            return replace(self, rows=rows, key=key)
        steps = (*self.steps[1 - MARKS :], (key - self.key) / (rows - self.rows))
        return replace(self, rows=rows, key=key, steps=steps, marks=self.marks + 1)

    def failed(self) -> Forecast:
        """Return the forecast after a wrong prediction."""
        return replace(self, marks=0, patience=self.patience * 4)

    def prediction_after(self, span: Span) -> tuple[int, int] | None:
        """Return the key at which to begin after a span, and how many rows the two spans probably share.

        None if keys are spaced too unevenly, or pages are small.
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

    def ask_after(self, ask: Ask, size: int) -> Ask | None:
        """Return an ask for the next `size` rows that skips none, or None if its first key cannot be predicted."""
        prediction = self.prediction_after(ask.span)
        if prediction is None:
            return None
        begin, common = prediction
        span = Span(0, size + 1, Slice("from", begin), overlap=True)
        return Ask(span, ask.end + max(1, size + 1 - common), predicted=True)
