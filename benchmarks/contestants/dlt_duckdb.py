"""dlt into DuckDB: by this library's batches, or as its tutorials show it, by dicts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dlt
import duckdb

from afas_async import AfasClient, GetConnector
from afas_async.integrations.dlt import resource
from benchmarks.columns_task import pages
from benchmarks.task import Tally, Task

WIDE = GetConnector("Profit_Wide", key="Id")


def read(task: Task, tally: Tally) -> None:
    """Run a pipeline, with the variant "dicts" by dicts, and fail unless all rows are in the table."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    with TemporaryDirectory() as folder:
        os.environ["DLT_DATA_DIR"] = folder
        path = Path(folder, "wide.duckdb")
        pipeline: Any = dlt.pipeline("wide", destination=dlt.destinations.duckdb(str(path)), dataset_name="wide")
        tally.start()
        pipeline.run(_dicts(task) if task.variant == "dicts" else _batches(task))
        with duckdb.connect(path) as database:
            ((tally.rows,),) = database.sql("select count(*) from wide.wide").fetchall()
    if tally.rows != task.rows:
        raise RuntimeError("the table lacks rows")


def _batches(task: Task) -> Any:
    return resource(WIDE, name="wide", client=lambda: AfasClient(base_url=task.base_url, auth=task.token))


def _dicts(task: Task) -> Any:
    def rows() -> Iterator[list[dict[str, Any]]]:
        for text in pages(task):
            yield json.loads(text)["rows"]

    return dlt.resource(rows, name="wide", primary_key="Id", write_disposition="replace")
