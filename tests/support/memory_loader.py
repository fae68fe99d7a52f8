"""Load many elements and report the cost: `python -m tests.support.memory_loader KIND ELEMENTS`.

The service runs in a process of its own, so that this process holds nothing but the loader.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from afas_async import AfasClient, LoadReport
from afas_async.simulator import spawn
from tests.support import canary
from tests.support.memory_reader import forget_peak, peak
from tests.support.raw_server import Connection, RawServer, Received

TEXTS = {"load": "", "outcomes": "", "large": "x" * 20_000, "invalid": "x" * 20_000}


async def serve() -> None:
    """Say yes to everything, as the simulator has no field for large texts."""

    async def agree(connection: Connection, _: Received) -> None:
        server.requests.clear()
        await connection.answer(b"", status=201)

    async with RawServer(agree) as server:
        print(server.base_url, flush=True)  # noqa: T201
        await asyncio.Event().wait()


@asynccontextmanager
async def yes_man() -> AsyncIterator[str]:
    """Run `serve` in another process, and return its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.memory_loader", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.kill()
        await process.wait()


def elements(count: int, text: str) -> Iterator[dict[str, Any]]:
    """Yield that many elements, and keep none of them."""
    for number in range(count):
        yield {"StId": 1, "Ds": f"element {number}", "SbTx": f"{text}{number}"}


async def load(afas: AfasClient, source: Iterator[dict[str, Any]], *, validate: bool) -> LoadReport:
    """Load from a generator, one by one."""
    async with afas.load("KnSubject", validate=validate) as load:
        for element in source:
            await load.add(element)
    return load.report


async def read(afas: AfasClient, source: Iterator[dict[str, Any]]) -> LoadReport:
    """Load from a generator, and read every outcome."""
    index = 0
    async with afas.outcomes("KnSubject", source) as outcomes:
        async for outcome in outcomes:
            assert outcome.index == index
            index += 1
    return outcomes.report


async def measure(kind: str, count: int, base_url: str) -> dict[str, Any]:
    """Load, and return the cost."""
    async with AfasClient(base_url=base_url, auth=canary.TOKEN) as afas:
        await afas.insert("KnSubject", {"StId": 1})
        source = elements(count, TEXTS[kind])
        before = forget_peak()
        started = time.perf_counter()
        report = await (read(afas, source) if kind == "outcomes" else load(afas, source, validate=kind != "large"))
        seconds = time.perf_counter() - started
        return {"counts": report.counts, "growth": peak() - before, "seconds": seconds}


async def main(kind: str, count: int) -> None:
    if kind == "large":
        async with yes_man() as base_url:
            found = await measure(kind, count, base_url)
    else:
        async with spawn(rows=0, token=canary.TOKEN) as simulator:
            found = await measure(kind, count, simulator.base_url)
            found["rows"] = (await simulator.checksum("Profit_Subjects")).rows
    print(json.dumps(found))  # noqa: T201


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    asyncio.run(main(sys.argv[1], int(sys.argv[2])) if len(sys.argv) > 1 else serve())
