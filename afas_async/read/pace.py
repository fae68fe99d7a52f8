"""Rests for the event loop while there is much to decode or to sort."""

from __future__ import annotations

from collections.abc import Generator
from time import perf_counter
from typing import TypeVar, cast

from anyio.lowlevel import checkpoint

HOLD_SECONDS = 0.0005

T = TypeVar("T")


class Pace:
    """Lets the event loop run after each half millisecond of decoding, rather than after each row or page."""

    def __init__(self) -> None:
        self._since = perf_counter()
        self._resting = False

    @property
    def due(self) -> bool:
        """Whether it is time for a rest."""
        # A cancelled rest is not repeated: a reader that cancels each wait at once must make progress too.
        due = perf_counter() - self._since > HOLD_SECONDS and not self._resting
        self._resting = False
        return due

    async def rest(self) -> None:
        """Yield to the event loop."""
        self._resting = True
        await checkpoint()
        self._since = perf_counter()
        self._resting = False


async def paced(steps: Generator[None, None, T]) -> T:
    """Return the result of a generator, with rests for the event loop between its steps."""
    pace = Pace()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("T", end.value)
        if pace.due:
            await pace.rest()
