"""Does one task in a new process, with its own memory and imports: `python -m benchmarks.child`.

It reads the task as JSON from standard input, and writes the measurement as JSON to standard output.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import re
import resource
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter, process_time, thread_time
from typing import Any

import msgspec
from anyio.lowlevel import checkpoint

from benchmarks.task import Measurement, Tally, Task

_KILOBYTES = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    """Do the task, and write the measurement."""
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    read = importlib.import_module(f"benchmarks.contestants.{task.contestant}").read
    asyncio.run(checkpoint())  # imports the rest of anyio
    gc.collect()
    memory_before = _memory_now()
    tally, hold = Tally(task), -1.0
    if inspect.iscoroutinefunction(read):
        hold = asyncio.run(_read(read, task, tally))
    else:
        read(task, tally)
    measurement = Measurement(
        seconds=perf_counter() - tally.started_at,
        cpu=process_time() - tally.cpu_before,
        memory=_peak_memory() - memory_before,
        first_row=max(tally.first_row_at - tally.started_at, 0.0),
        rows=tally.rows,
        missing=tally.missing,
        doubled=tally.doubled,
        hold=hold,
    )
    sys.stdout.buffer.write(msgspec.json.encode(measurement))


async def _read(read: Callable[[Task, Tally], Awaitable[Any]], task: Task, tally: Tally) -> float:
    """Do an asynchronous task. Returns the longest hold of the event loop; -1 if not measured."""
    if not task.ticker:
        tally.start()
        await read(task, tally)
        return -1.0
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        since = thread_time()
        while True:
            await asyncio.sleep(0)
            now = thread_time()
            longest = max(longest, now - since)
            since = now

    ticker = asyncio.create_task(tick())
    await read(task, tally)
    ticker.cancel()
    return longest


def _memory_now() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return _peak_memory()  # without /proc, memory that was freed after the imports is unknown
    return pages * resource.getpagesize() / 1e6


def _peak_memory() -> float:
    # Of this program alone where the system says so: what `getrusage` returns begins with the size of the parent.
    with suppress(OSError):
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
        if found:
            return int(found[1]) * 1024 / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KILOBYTES / 1e6


if __name__ == "__main__":
    main()
