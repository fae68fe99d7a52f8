"""How many spans are in flight: 1, 3, 7 ... up to a window, each step after as many full ones."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace


class Speculation(msgspec.Struct, frozen=True):
    """How far a read runs ahead of the rows that it has received.

    Args:
        window: The maximum number of spans in flight.
        eager: Whether to allow one more span when one has arrived completely, so that the service does not wait while
            it is decoded. Otherwise a window of one means page after page.
        width: How many spans may be in flight now.
        full: How many full spans came back at this width.
    """

    window: int
    eager: bool = True
    width: int = 1
    full: int = 0

    def earned(self) -> Speculation:
        """Return the speculation after a full span."""
        if self.full + 1 < self.width or self.width == self.window:
            return replace(self, full=self.full + 1)
        return replace(self, full=0, width=min(self.window, self.width * 2 + 1))

    def anew(self) -> Speculation:
        """Return the speculation after a span that came back short, or whose place is unknown."""
        return replace(self, width=1, full=0)

    def allowed(self, *, arrived: bool) -> int:
        """Return how many spans may be in flight; `arrived` is whether one of them seems to have arrived completely.

        Nothing is requested after the first page, which may be the last one.
        """
        return self.width + int(arrived and self.eager and (self.width > 1 or self.full > 0))
