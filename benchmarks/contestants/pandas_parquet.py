"""Common practice for columns: requests, json, a DataFrame of dicts, `to_parquet`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.columns_task import MOMENTS, ParquetFolder, pages, right_schema
from benchmarks.task import Tally, Task


def read(task: Task, tally: Tally) -> None:
    """Write a Parquet file with the types that pandas guesses. The variant "typed" uses exact types."""
    with ParquetFolder(task.rows) as path:
        tally.start()
        rows: list[dict[str, Any]] = []
        for text in pages(task):
            rows += json.loads(text, parse_float=Decimal if task.variant == "typed" else None)["rows"]
        frame = pd.DataFrame(rows)
        if task.variant == "typed":
            for name in MOMENTS:
                frame[name] = pd.to_datetime(frame[name], format="%Y-%m-%dT%H:%M:%SZ")
            pq.write_table(pa.Table.from_pandas(frame, right_schema()), path, compression="zstd")
        else:
            frame.to_parquet(path, compression="zstd")
        tally.rows = len(frame)
