"""Typed rows of this library, converted to columns by hand."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from afas_async import AfasClient, GetConnector
from benchmarks.columns_task import ParquetFolder, right_schema
from benchmarks.task import Tally, Task

GROUP = 131_072


class TypedRow(msgspec.Struct, frozen=True, gc=False):
    """A row of `Profit_Wide` with exact types, in the order of its columns."""

    Id: int
    Code: str
    Name: str
    Description: str
    Category: str
    Region: str
    Status: str
    Quantity: int
    Reserved: int
    Score: int | None
    Price: Decimal
    Cost: Decimal
    Discount: Decimal | None
    Weight: Decimal
    Active: bool
    Blocked: bool
    CreatedOn: datetime
    ModifiedOn: datetime
    DeliveryDate: datetime | None
    Remark: str | None


WIDE = GetConnector("Profit_Wide", TypedRow, key="Id")


async def read(task: Task, tally: Tally) -> None:
    """Write a Parquet file, column by column from the attributes of the rows."""
    schema = right_schema()
    with ParquetFolder(task.rows) as path:
        tally.start()
        async with AfasClient(base_url=task.base_url, auth=task.token, max_concurrency=task.window) as afas:
            with pq.ParquetWriter(path, schema, compression="zstd") as writer:
                held: list[pa.RecordBatch] = []
                async for rows in afas.rows(WIDE).batches():
                    arrays = [pa.array([getattr(row, column.name) for row in rows], column.type) for column in schema]
                    held.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
                    tally.rows += len(rows)
                    if sum(batch.num_rows for batch in held) >= GROUP:
                        writer.write_table(pa.Table.from_batches(held))
                        held = []
                writer.write_table(pa.Table.from_batches(held, schema))
