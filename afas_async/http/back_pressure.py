"""Back-pressure: a response pauses while too many of its bytes wait for their reader."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class BackPressure:
    """Pauses one response until its reader has caught up.

    Args:
        pending: Returns how many bytes wait for the reader.
        limit: From so many bytes on the response pauses, until half of them are left.
        releasable: Whether `release` stops it.
    """

    def __init__(self, pending: Callable[[], int], limit: int, *, releasable: bool = True) -> None:
        self._pending = pending
        self._limit = limit
        self._releasable = releasable
        self._released = False
        self._caught_up = asyncio.Event()

    @property
    def applied(self) -> bool:
        """Whether the response must pause."""
        return self._pending() >= self._limit and not self._released

    async def wait(self) -> None:
        """Wait until the reader has caught up."""
        while self.applied:
            self._caught_up.clear()
            await self._caught_up.wait()

    def relieve(self) -> None:
        """Let the response go on if its reader has caught up."""
        if self._pending() <= self._limit // 2:
            self._caught_up.set()

    def release(self) -> None:
        """Stop applying back-pressure, for good."""
        if self._releasable:
            self._released = True
            self._caught_up.set()
