"""An event loop whose clock jumps over idle time, so that no test waits for a time-out or a retry.

All of a test's sockets are on this machine and served by this very loop, so everything on its way arrives at once: when
nothing has arrived after a twentieth of a millisecond, nothing is going to happen until the next timer, and the clock
jumps there. A thread of the executor may be at work while the loop is idle, so the clock stands while there is one.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any

GRACE_SECONDS = 0.00005


class _JumpingSelector(selectors.DefaultSelector):
    """Reports how long it did not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= GRACE_SECONDS or self.threads:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            time.sleep(GRACE_SECONDS)  # epoll waits for whole milliseconds
            ready = super().select(0)
        if not ready:
            self.skipped += timeout - GRACE_SECONDS
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop on virtual time."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def get_debug(self) -> bool:
        """Say that debug mode is off, while its checks are on, which ask the loop itself.

        Callbacks, futures and aiohttp's connections would note where they were made, in two thirds of all tests' time.
        """
        return False

    def _check_callback(self, _callback: object, _method: str) -> None:
        """Spare each callback a look at what it is, which takes a twentieth of all tests' time."""

    def time(self) -> float:
        return super().time() + self._jumping.skipped

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        self._jumping.threads += 1  # Python 3.12 and later give up after a while
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._jumping.threads -= 1

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self._jumping.threads -= 1
