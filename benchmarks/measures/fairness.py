"""P16: a page of a few rows beside bulk reads, and memory of many slow readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import perf_counter

from afas_async import AfasClient
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
    """Compare pages beside bulk reads with pages alone, and the bulk reads with those that nobody passes."""
    warm_up, seconds = (0.2, 0.5) if scale.quick else (WARM_UP, SECONDS)
    with simulator(scale.rows, LATENCY) as server:
        asyncio.run(_fill(server))
        alone, _ = asyncio.run(_pages_and_rows(server, 0, 0.0, seconds, pages=True))
        _, usual = asyncio.run(_pages_and_rows(server, READS, warm_up, seconds, pages=False))
        beside, rows = asyncio.run(_pages_and_rows(server, READS, warm_up, seconds, pages=True))
    what = f"a page beside {READS} bulk reads, {PAGES_PER_SECOND} pages a second"
    figures = [
        Figure("P16", f"{what}: p99 against pages alone", _p99(beside) / _p99(alone), "x", 3.0, at_most=True),
        Figure("P16", f"{what}: share of the rows that the reads bring alone", rows / usual, "", 0.9),
    ]
    return Section("A page beside bulk reads", figures)


async def _fill(server: Server) -> None:
    async with _client(server) as afas:
        await afas.page(WIDE, take=1)


async def _pages_and_rows(
    server: Server, reads: int, warm_up: float, seconds: float, *, pages: bool
) -> tuple[list[float], float]:
    """Return how long each page took, and how many rows a second the reads brought meanwhile."""
    show(f"{reads} bulk reads{', and pages beside them' if pages else ''}")
    taken = list[float]()

    async def page(afas: AfasClient) -> None:
        began = perf_counter()
        await afas.page(WIDE, take=20)
        taken.append(perf_counter() - began)

    async with _client(server) as afas, _reading(afas, reads):
        await asyncio.sleep(warm_up)
        before, began, asked = afas.statistics().rows, perf_counter(), list[asyncio.Task[None]]()
        while (now := perf_counter() - began) < seconds:
            if pages and len(asked) < now * PAGES_PER_SECOND:
                asked.append(asyncio.create_task(page(afas)))
            await asyncio.sleep(0.01)
        rows = afas.statistics().rows - before
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
