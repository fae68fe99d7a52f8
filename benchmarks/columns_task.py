"""Shared by the contestants that write columns: plain pages, exact types, and a check of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import requests

from afas_async import AppToken
from benchmarks.task import Task

PAGE = 10_000
MOMENTS = ("CreatedOn", "ModifiedOn", "DeliveryDate")
DECIMALS = {"Price": 2, "Cost": 4, "Discount": 1, "Weight": 3}


def pages(task: Task) -> Iterator[str]:
    """Request one page after the other, until a page is empty.

    Yields:
        The body of each page.
    """
    with requests.Session() as session:
        session.headers["Authorization"] = AppToken(task.token).header()
        for skip in range(0, task.rows + PAGE, PAGE):
            params: dict[str, str | int] = {"skip": skip, "take": PAGE, "orderbyfieldids": "Id"}
            response = session.get(task.url, params=params)
            response.raise_for_status()
            yield response.text


def right_schema() -> pa.Schema:
    """Return the types that store every value exactly."""
    fields: list[tuple[str, Any]] = [
        ("Id", pa.int64()),
        *((name, pa.string()) for name in ("Code", "Name", "Description", "Category", "Region", "Status")),
        *((name, pa.int64()) for name in ("Quantity", "Reserved", "Score")),
        *((name, pa.decimal128(18, scale)) for name, scale in DECIMALS.items()),
        *((name, pa.bool_()) for name in ("Active", "Blocked")),
        *((name, pa.timestamp("s")) for name in MOMENTS),
        ("Remark", pa.string()),
    ]
    return pa.schema(fields)


class ParquetFolder:
    """A temporary folder for one file. At the end, the file must have all rows.

    Args:
        rows: The number of rows that the file must have.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._folder = TemporaryDirectory()

    def __enter__(self) -> Path:
        self.path = Path(self._folder.name, "rows.parquet")
        return self.path

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None and pq.ParquetFile(self.path).metadata.num_rows != self._rows:
                raise RuntimeError("the file has too few or too many rows")
        finally:
            self._folder.cleanup()
