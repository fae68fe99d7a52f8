"""How many elements a call may hold, learned from how long calls take.

AFAS ends a call after 900 seconds and advises to spread a large load over several calls that stay far below it (AFAS,
REST API for developers). How long an element takes is known to nobody before, and changes during a load.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final

FIRST: Final = (16, 32, 64, 128)
# A call of 60 seconds, the default, that is suddenly ten times slower ends before 900.
_MARGIN: Final = 1.45


class Batching:
    """Sizes the calls of one load.

    A call costs something by itself, and each element the same. Two calls of different sizes tell both: the quickest so
    far and the last. Calls before anything is known are small, and of different sizes for that. If a call takes longer
    than foreseen, the next ones are smaller at once. And even if the whole time of the last were its elements', the
    next takes no more than 1.45 times the target: what two calls tell is wrong where the service changed between them.
    The same holds for its bytes: elements may become larger, and slower with it.

    Args:
        max_elements: The most elements in a call.
        target_seconds: How long a call should take.

    Attributes:
        target_seconds: How long a call should take.
        most_bytes: The most bytes of the elements of a call, as far as its time tells.
    """

    def __init__(self, *, max_elements: int, target_seconds: float) -> None:
        self._most = max_elements
        self.target_seconds: float = target_seconds
        self.most_bytes: float = inf
        self._started = 0
        self._size = 0  # 0 as long as nothing is known
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
        """Take note of how long the service took for a call that it carried out, or gave up; `size` is in bytes."""
        seconds = max(seconds, 1e-6)
        if size:
            self.most_bytes = _MARGIN * self.target_seconds * size / seconds
        self._quickest = min(self._quickest, (elements, seconds), key=lambda call: call[1])
        fewer, least = self._quickest
        if elements >= 2 * fewer:
            self._each = max(seconds - least, 1e-9) / (elements - fewer)
            self._overhead = max(least - self._each * fewer, 0.0)
        else:
            # Half of the quickest call is a guess that cannot be wrong by much more than a factor of two.
            self._overhead = least / 2
            self._each = (seconds - self._overhead) / elements
        fits = max(self.target_seconds - self._overhead, 0.0) / self._each
        self._size = int(max(1, min(fits, self._most, _MARGIN * self.target_seconds * elements / seconds)))

    def expect(self, elements: int) -> float:
        """Return how many seconds a call should take, 0 as long as nothing is known."""
        return self._overhead + self._each * elements

    def last(self, elements: int, busy: Sequence[float]) -> int:
        """Return how many of the last elements the next call should hold, so that all calls end together.

        Args:
            elements: How many are left, once no more will come.
            busy: For each other call that may go beside it the seconds until that can start.
        """
        if not self._size:
            return self.next()
        free = [0.0]
        for seconds in sorted(busy):
            if seconds + self._overhead >= self._end(elements, free):
                break  # what is left can be done before that call ends
            free.append(seconds)
        mine = max(1, round((self._end(elements, free) - self._overhead) / self._each))
        calls = -(-mine // self._size)
        return -(-mine // calls)

    def _end(self, elements: int, free: Sequence[float]) -> float:
        """Seconds until elements are done, if calls begin when the seconds in `free` are over."""
        return (elements * self._each + sum(free) + len(free) * self._overhead) / len(free)
