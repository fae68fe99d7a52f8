"""How many elements a call may hold, learned from how long calls take.

AFAS ends a call after 900 seconds and advises to spread a large load over several calls that stay far below it (AFAS,
REST API for developers). How long an element takes is known to nobody before, and changes during a load.
"""

from __future__ import annotations

from typing import Final

FIRST: Final = 16
# A call of 60 seconds, the default, that is suddenly ten times slower ends before 900.
_MARGIN: Final = 1.45


class Batching:
    """Sizes the calls of one load.

    A call costs something by itself, at most what the quickest call so far took, and the rest is the elements'. If one
    takes longer than all before it, whether by more elements or a slower service, the next are smaller at once. And
    even if the whole time were the elements', a call would take no more than 1.45 times the target.

    Args:
        max_elements: The most elements in a call.
        target_seconds: How long a call should take.
    """

    def __init__(self, *, max_elements: int, target_seconds: float) -> None:
        self._most = max_elements
        self._target = target_seconds
        self._quickest = target_seconds
        self._size = min(FIRST, max_elements)
        self._share: int | None = None

    @property
    def size(self) -> int:
        """How many elements the next call may hold."""
        return self._size

    def learn(self, elements: int, seconds: float) -> None:
        """Take note of how long the service took for a call that it carried out, or gave up."""
        seconds = max(seconds, 1e-6)
        self._quickest = min(self._quickest, seconds)
        whole = seconds / elements
        # That the quickest call was nothing but overhead is a guess, so no more than half of the time is left out.
        each = max((seconds - self._quickest) / elements, whole / 2)
        fits = min((self._target - self._quickest) / each, _MARGIN * self._target / whole)
        self._size = max(1, min(self._most, int(fits)))

    def share(self, elements: int, in_flight: int) -> int:
        """Return how many of the last elements the next call should hold, so that all calls end together.

        Args:
            elements: How many are left, once no more will come.
            in_flight: How many calls go side by side.
        """
        if self._share is None and 0 < elements <= in_flight * self._size:
            self._share = -(-elements // in_flight)
        return self._size if self._share is None else min(self._share, self._size)
