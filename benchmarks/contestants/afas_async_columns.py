"""This library writes Parquet."""

from __future__ import annotations

import asyncio

import pyarrow.parquet as pq

from afas_async import AfasClient, GetConnector
from afas_async.columns import to_parquet
from benchmarks.columns_task import ParquetFolder
from benchmarks.task import Tally, Task

WIDE = GetConnector("Profit_Wide", key="Id")
LEAST_GROUP = 100_000


async def read(task: Task, tally: Tally) -> None:
    """Write a Parquet file, and fail unless its row groups are large."""
    with ParquetFolder(task.rows) as path:
        tally.start()
        async with AfasClient(base_url=task.base_url, auth=task.token, max_concurrency=task.window) as afas:
            tally.rows = (await to_parquet(afas, WIDE, path)).rows
        groups = await asyncio.to_thread(pq.read_metadata, path)
        if groups.num_row_groups > 1 and groups.row_group(0).num_rows < LEAST_GROUP:
            raise RuntimeError("the row groups are too small")
