"""A view that is slow for any `take`: growing pages against the best fixed page size.

Time is scaled to a hundredth, in the service and in the library's limits for slow pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

from afas_async import AfasClient
from afas_async.policy import sizing
from afas_async.simulator import Latency, Simulator
from benchmarks.contestants.afas_async_stream import WIDE
from benchmarks.figures import Figure, Scale, Section
from benchmarks.progress import show

ROWS = 5_000
CALL_SECONDS = 12.0
SCALE = 0.01
TAKES = (100, 1_000, 5_000)


def slow_view(scale: Scale) -> Section:
    """Compare the time of a read with growing pages to that of the best fixed page size."""
    takes = TAKES[1:2] if scale.quick else TAKES
    with _scaled():
        seconds = {take: asyncio.run(_seconds(take)) for take in (None, *takes)}
    excess = seconds.pop(None) / min(seconds.values())
    what = f"{ROWS:,} rows of a view with {CALL_SECONDS:.0f} s per call, against the best `take`"
    return Section("A slow view", [Figure("-", what, excess, "x", 1.6, at_most=True)])


async def _seconds(take: int | None) -> float:
    show(f"a slow view, take={take}")
    latency = Latency(base=CALL_SECONDS * SCALE)
    async with (
        Simulator(rows=ROWS, latency=latency) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        began = perf_counter()
        received = sum([len(batch) async for batch in afas.rows(WIDE, take=take).batches()])
        if received != ROWS:
            raise RuntimeError(f"read {received} of {ROWS} rows")
        return perf_counter() - began


@contextmanager
def _scaled() -> Iterator[None]:
    names = ("PAGE_SECONDS", "ROW_SECONDS", "MOST_SECONDS", "SLOW_SECONDS")
    values = {name: getattr(sizing, name) for name in names}
    try:
        for name, value in values.items():
            setattr(sizing, name, value * SCALE)
        yield
    finally:
        for name, value in values.items():
            setattr(sizing, name, value)
