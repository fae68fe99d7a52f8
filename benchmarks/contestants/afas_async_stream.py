"""This library."""

from __future__ import annotations

import asyncio
import warnings

from afas_async import AfasClient, GetConnector
from benchmarks.rows import WideRow
from benchmarks.task import Tally, Task

WIDE = GetConnector("Profit_Wide", WideRow, key="Id")


async def read(task: Task, tally: Tally) -> None:
    """Stream the rows: in batches, or with the variant "rows" row by row."""
    warnings.filterwarnings("ignore", message=".*take=-1")
    async with AfasClient(base_url=task.base_url, auth=task.token, max_concurrency=task.window) as afas:
        stream = afas.rows(WIDE, take=task.take, verify=task.verify)
        if task.variant == "rows":
            count = 0
            async for _ in stream:
                count += 1
            tally.rows = count
        elif task.variant == "nested":
            count = 0
            async for batch in stream.batches():
                for _ in batch:
                    count += 1
            tally.rows = count
        else:
            pause_at = 0
            async for batch in stream.batches():
                tally.add(batch)
                if task.pause and tally.rows >= pause_at:
                    pause_at += task.rows // 20
                    await asyncio.sleep(task.pause)
