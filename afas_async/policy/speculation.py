"""How many spans are in flight: 1, 3, 7 ... up to a window, each step after as many full ones."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace


class Speculation(msgspec.Struct, frozen=True):
    """How far a read runs ahead of what it knows.

    Args:
        window: The most spans in flight.
        eager: Whether one more may be, when one has come in whole: the service shall not wait while it is decoded.
            Otherwise a window of one means page after page.
        width: How many spans may be in flight now.
        full: How many full ones there were at this width.
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
        """Return the speculation after a span that came back short, or whose place was not found."""
        return replace(self, width=1, full=0)

    def allowed(self, *, arrived: bool) -> int:
        """Return how many spans may be in flight, and whether one of them has come in whole, as far as it looks.

        Nothing is asked for behind the first page, which may be the last one.
        """
        return self.width + int(arrived and self.eager and (self.width > 1 or self.full > 0))
