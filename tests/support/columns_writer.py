"""Write a large connector as Parquet and report what it cost: `python -m tests.support.columns_writer ROWS FOLDER`.

The service runs in a process of its own, so that this process holds nothing but the writer.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from time import thread_time

from afas_async import AfasClient, GetConnector
from afas_async.columns import to_parquet
from afas_async.simulator import spawn
from tests.support.memory_reader import forget_peak, peak

WIDE = GetConnector("Profit_Wide", key="Id")


async def main(rows: int, folder: str) -> None:
    longest = 0.0

    async def tick() -> None:
        nonlocal longest
        since = thread_time()
        while True:
            await asyncio.sleep(0)
            now = thread_time()
            longest = max(longest, now - since)
            since = now

    async with spawn(rows=rows) as simulator, AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas:
        await to_parquet(afas, WIDE, Path(folder, "first.parquet"), where=None, select=["Id"])
        before = forget_peak()
        ticker = asyncio.create_task(tick())
        written = await to_parquet(afas, WIDE, Path(folder, "rows.parquet"))
        ticker.cancel()
        growth = peak() - before
    print(json.dumps({"rows": written.rows, "growth": growth, "hold": longest}))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
