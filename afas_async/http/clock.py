"""The event loop's own clock, which callbacks can read as well as tasks."""

from __future__ import annotations

import asyncio


def loop_time() -> float:
    """Return the seconds on the clock of the running event loop, to which deadlines of cancel scopes refer too.

    `now()` is for tasks: in a callback it finds no task, and raises where `sniffio` is installed.
    """
    return asyncio.get_running_loop().time()
