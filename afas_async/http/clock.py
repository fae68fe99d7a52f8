"""The clock of the event loop, which both callbacks and tasks can read."""

from __future__ import annotations

import asyncio


def loop_time() -> float:
    """Return the time of the running event loop in seconds; the deadlines of cancel scopes use the same clock.

    Do not use anyio's clock in a callback: it looks for a task, and raises where `sniffio` is installed.
    """
    return asyncio.get_running_loop().time()
