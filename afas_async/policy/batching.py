"""How many elements a call may hold, learned from how long calls take.

AFAS ends a call after 900 seconds, and advises you to spread a large load over several calls that stay far below that
(AFAS, REST API for developers). How long an element takes cannot be known beforehand, and changes during a load.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

FIRST: Final = (16, 32, 64, 128)
# A call of 60 seconds, the default, ends before 900 seconds even if the service is suddenly ten times slower.
_MARGIN: Final = 1.45


class Batching:
    """Sizes the calls of one load.

    A call has a fixed cost, and each element adds the same amount. Two calls of different sizes reveal both: the
    quickest so far and the last one. So the first calls are small and differ in size.

    If a call takes longer than expected, the next ones are smaller at once. The next call would take 1.45 times the
    target at most, even if the elements alone caused the whole time of the last one. This bounds the error when the
    service changes between two calls. The same bound holds for its bytes, as larger elements may be slower.

    Args:
        max_elements: The maximum number of elements in a call.
        target_seconds: How long a call should take.

    Attributes:
        target_seconds: How long a call should take.
        most_bytes: The maximum size of a call's elements in bytes, derived from the time of the last call.
    """

    def __init__(self, *, max_elements: int, target_seconds: float) -> None:
        self._most = max_elements
        self.target_seconds: float = target_seconds
        self.most_bytes: float = inf
        self._started = 0
        self._size = 0  # 0 until a call has been measured
        self._quickest = (0, float("inf"))
        self._overhead = 0.0
        self._each = 0.0

    def next(self) -> int:
        """Return how many elements the next call may hold."""
        if self._size:
            return self._size
        self._started += 1
        return min(self._most, FIRST[(self._started - 1) % len(FIRST)])

    def learn(self, elements: int, seconds: float, *, size: int = 0) -> None:
        """Record how long the service took for a call that it carried out, or gave up; `size` is in bytes."""
        seconds = max(seconds, 1e-6)
        if size:
            self.most_bytes = _MARGIN * self.target_seconds * size / seconds
        self._quickest = min(self._quickest, (elements, seconds), key=lambda call: call[1])
        fewer, least = self._quickest
        if elements >= 2 * fewer:
            self._each = max(seconds - least, 1e-9) / (elements - fewer)
            self._overhead = max(least - self._each * fewer, 0.0)
        else:
            # Half of the quickest call: this guess cannot be wrong by much more than a factor of two.
            self._overhead = least / 2
            self._each = (seconds - self._overhead) / elements
        fits = max(self.target_seconds - self._overhead, 0.0) / self._each
        self._size = int(max(1, min(fits, self._most, _MARGIN * self.target_seconds * elements / seconds)))

    def expect(self, elements: int) -> float:
        """Return how many seconds a call should take, 0 until one has been measured."""
        return self._overhead + self._each * elements

    def last(self, elements: int, busy: Sequence[float]) -> int:
        """Return how many of the last elements the next call should hold, so that all calls end together.

        Args:
            elements: How many are left, when no more will come.
            busy: For each other call that may run beside it, the seconds until it can start.
        """
        if not self._size:
            return self.next()
        free = [0.0]
        for seconds in sorted(busy):
            if seconds + self._overhead >= self._end(elements, free):
                break  # the rest can be done before that call ends
            free.append(seconds)
        mine = max(1, round((self._end(elements, free) - self._overhead) / self._each))
        calls = -(-mine // self._size)
        return -(-mine // calls)

    def _end(self, elements: int, free: Sequence[float]) -> float:
        """Seconds until the elements are done, if one call begins at each of the times in `free`."""
        return (elements * self._each + sum(free) + len(free) * self._overhead) / len(free)
