"""The JSON readers of DuckDB and polars: fast, but they round values without a warning."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl

from afas_async import AfasClient, GetConnector, columns
from benchmarks.columns_task import ParquetFolder
from benchmarks.task import Tally, Task

WIDE = GetConnector("Profit_Wide", key="Id")


@contextmanager
def _lines(task: Task, folder: Path) -> Iterator[Path]:
    path = folder / "rows.ndjson"

    async def write() -> None:
        async with AfasClient(base_url=task.base_url, auth=task.token, max_concurrency=task.window) as afas:
            await columns.to_ndjson(afas, WIDE, path)

    asyncio.run(write())
    yield path


def read(task: Task, tally: Tally) -> None:
    """Write the rows as lines of JSON. DuckDB converts them to Parquet, or polars with the variant "polars"."""
    with ParquetFolder(task.rows) as path:
        tally.start()
        with _lines(task, path.parent) as lines:
            if task.variant == "polars":
                pl.read_ndjson(io.BytesIO(lines.read_bytes()), infer_schema_length=None).write_parquet(path)
            else:
                with duckdb.connect() as database:
                    database.execute("set threads = 1")
                    database.execute(f"copy (from read_json('{lines}')) to '{path}' (compression zstd)")
        tally.rows = task.rows
