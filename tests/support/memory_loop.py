"""An event loop without sockets, whose clock jumps at once: for runs by the thousand."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _NeverWaiting(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again: the read hangs")
        self.skipped += max(0.0, timeout)
        return []


class MemoryLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time in which nothing comes from outside, so that a read that hangs is noticed."""

    def __init__(self) -> None:
        self._never_waiting = _NeverWaiting()
        super().__init__(self._never_waiting)

    def time(self) -> float:
        return super().time() + self._never_waiting.skipped


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own."""
    with asyncio.Runner(loop_factory=MemoryLoop) as runner:
        return runner.run(work)
