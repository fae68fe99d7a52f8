"""A view that takes long whatever `take` is: how large pages grow by themselves, against the best fixed size.

Time is scaled: a hundredth of it passes, at the service and in what the library calls a slow page.
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
    """Compare the time of a read whose pages grow with the best of some fixed page sizes."""
    takes = TAKES[1:2] if scale.quick else TAKES
    with _scaled():
        seconds = {take: asyncio.run(_seconds(take)) for take in (None, *takes)}
    excess = seconds.pop(None) / min(seconds.values())
    what = f"{ROWS:,} rows of a view that takes {CALL_SECONDS:.0f} s a call, against the best `take`"
    return Section("A view of a fixed cost", [Figure("-", what, excess, "x", 1.6, at_most=True)])


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
            raise RuntimeError(f"{received} of {ROWS} rows came")
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
