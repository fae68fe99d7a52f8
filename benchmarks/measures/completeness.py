"""Completeness and requests: the rows that contestants lose, P10 (wasted requests), and many values of the key."""

from __future__ import annotations

import asyncio

from afas_async import AfasClient, F
from afas_async.simulator import Latency, spawn
from benchmarks.contestants.afas_async_stream import WIDE
from benchmarks.figures import Figure, Scale, Section, Standing
from benchmarks.measures.latency import LATENCY, WINDOW
from benchmarks.measures.throughput import OURS
from benchmarks.progress import show
from benchmarks.stage import read, simulator

TAKE = 10_000
MANY_VALUES = 10_000
CONTESTANTS = (
    OURS,
    "requests_json",
    "httpx_sequential",
    "httpx_gathered",
    "aiohttp_orjson",
    "honest_script",
    "wave",
    "one_call",
)
MOST_WASTED = {0: 0, 50: 1, 2_500: 3, 25_000: WINDOW}


def completeness(scale: Scale) -> Section:
    """Count missing and duplicate rows, at a service without a default order."""
    standings = list[Standing]()
    with simulator(scale.task, Latency()) as server:
        read(server.task(OURS))  # fills the table of the simulator
        for name in CONTESTANTS:
            show(f"rows of {name}")
            before = server.requests()
            found = read(server.task(name, take=None if name == OURS else TAKE, check=True))
            standings.append(
                Standing(
                    group="",
                    contestant=name,
                    requests=server.requests() - before,
                    missing=found.missing,
                    doubled=found.doubled,
                )
            )
    lost = next(line.missing + line.doubled for line in standings if line.contestant == OURS)
    figure = Figure("-", "rows that this library misses or duplicates", lost, "rows", 0, at_most=True)
    return Section("Missing and duplicate rows", [figure], standings)


def requests(scale: Scale) -> Section:
    """Count the requests without new rows, for tables of several sizes."""
    figures = list[Figure]()
    for latency in (Latency(), LATENCY):
        for rows, most in MOST_WASTED.items():
            show(f"requests for {rows} rows")
            found = asyncio.run(_wasted(rows, latency))
            what = f"wasted requests for {rows:,} rows, {'with' if latency == LATENCY else 'without'} latency"
            figures.append(Figure("P10", what, found, "requests", most, at_most=True))
    figures = figures if not scale.quick else figures[:4]
    show("requests for many values")
    values = scale.few // 10 if scale.quick else MANY_VALUES
    found = asyncio.run(_for_values(values))
    figures.append(Figure("-", f"requests for {values:,} values of the key", found, "requests", 130, at_most=True))
    return Section("Wasted requests, and requests for many values", figures)


async def _for_values(values: int) -> int:
    """Return the number of requests to read the rows of many key values, numbers of six digits."""
    first = 100_000
    async with (
        spawn(rows=values + first // 3 + 1) as server,
        AfasClient(base_url=server.base_url, auth=server.token, max_concurrency=WINDOW) as afas,
    ):
        wanted = [first + 3 * number for number in range(values)]  # the ids are 1, 4, 7 and so on
        received = len(await afas.rows(WIDE, where=F.Id.in_(wanted)).to_list())
        if received != values:
            raise RuntimeError(f"read {received} of {values} rows")
        return (await server.counters()).requests


async def _wasted(rows: int, latency: Latency) -> int:
    async with (
        spawn(rows=rows, latency=latency) as server,
        AfasClient(base_url=server.base_url, auth=server.token, max_concurrency=WINDOW) as afas,
    ):
        async with afas.rows(WIDE) as stream:
            received = sum([len(batch) async for batch in stream.batches()])
            pages = stream.progress.pages
        if received != rows:
            raise RuntimeError(f"read {received} of {rows} rows")
        return (await server.counters()).requests - max(pages, 1)
