"""P16: the time for a small page while bulk reads run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import perf_counter

from afas_async import AfasClient
from afas_async.http.options import Priority
from afas_async.simulator import Latency
from benchmarks.contestants.afas_async_stream import WIDE
from benchmarks.figures import Figure, Scale, Section
from benchmarks.progress import show
from benchmarks.stage import Server, simulator

LATENCY = Latency(base=0.05, per_row=0.0001)  # 50 ms, and 100 ms for each 1,000 rows
READS = 3
PAGES_PER_SECOND = 10
WARM_UP, SECONDS = 3.0, 15.0


def fairness(scale: Scale) -> Section:
    """Compare pages during bulk reads with pages alone, and the reads with reads whose pages wait their turn."""
    warm_up, seconds = (0.2, 0.5) if scale.quick else (WARM_UP, SECONDS)
    with simulator(scale.rows, LATENCY) as server:
        asyncio.run(_fill(server))
        alone, _ = asyncio.run(_pages_and_rows(server, 0, 0.0, seconds, "interactive"))
        waiting, usual = asyncio.run(_pages_and_rows(server, READS, warm_up, seconds, "background"))
        beside, rows = asyncio.run(_pages_and_rows(server, READS, warm_up, seconds, "interactive"))
        _, most = asyncio.run(_pages_and_rows(server, READS, warm_up, seconds, None))
    what = f"{PAGES_PER_SECOND} pages a second during {READS} bulk reads"
    figures = [
        Figure("P16", f"{what}: p99 against pages alone", _p99(beside) / _p99(alone), "x", 3.0, at_most=True),
        Figure("P16", f"{what}: rows of the reads, against pages that wait their turn", rows / usual, "x", 0.9),
    ]
    note = f"p99 alone {_p99(alone) * 1e3:.0f} ms, waiting their turn {_p99(waiting) * 1e3:.0f} ms; the reads return"
    note += f" {rows / most:.2f} of their rows without pages"
    return Section("Pages during bulk reads", figures, notes=[note])


async def _fill(server: Server) -> None:
    async with _client(server) as afas:
        await afas.page(WIDE, take=1)


async def _pages_and_rows(
    server: Server, reads: int, warm_up: float, seconds: float, pages: Priority | None
) -> tuple[list[float], float]:
    """Return the seconds of each page after the warm-up, and the rows per second of the reads in that time."""
    show(f"{reads} bulk reads, and {pages or 'no'} pages")
    taken = list[float]()

    async def page(afas: AfasClient) -> None:
        began = perf_counter()
        await afas.page(WIDE, take=20)
        taken.append(perf_counter() - began)

    async with _client(server) as afas, _reading(afas, reads):
        asking = afas.with_options(priority=pages)
        began, asked, counted = perf_counter(), list[asyncio.Task[None]](), 0
        while (now := perf_counter() - began) < warm_up + seconds:
            if now >= warm_up and not counted:
                counted = afas.statistics().rows
                taken.clear()
            if pages is not None and len(asked) < now * PAGES_PER_SECOND:
                asked.append(asyncio.create_task(page(asking)))
            await asyncio.sleep(0.01)
        rows = afas.statistics().rows - counted
        await asyncio.gather(*asked)
    return taken, rows / seconds


@asynccontextmanager
async def _reading(afas: AfasClient, reads: int) -> AsyncIterator[None]:
    async def read() -> None:
        while True:
            async for _ in afas.rows(WIDE).batches():
                pass

    tasks = [asyncio.create_task(read()) for _ in range(reads)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _client(server: Server) -> AfasClient:
    return AfasClient(base_url=server.base_url, auth=server.task("").token)


def _p99(taken: list[float]) -> float:
    return sorted(taken)[int(len(taken) * 0.99)]
