"""dlt loads DuckDB: with the batches of this library, or with dicts, as in dlt's tutorials."""

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
    """Run a pipeline, and fail unless the table has all rows. The variant "dicts" uses dicts."""
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    with TemporaryDirectory() as folder:
        os.environ["DLT_DATA_DIR"] = folder
        path = Path(folder, "copy.duckdb")
        pipeline: Any = dlt.pipeline("wide", destination=dlt.destinations.duckdb(str(path)), dataset_name="profit")
        tally.start()
        pipeline.run(_dicts(task) if task.variant == "dicts" else _batches(task))
        with duckdb.connect(path) as database:
            ((tally.rows,),) = database.sql("select count(*) from profit.wide").fetchall()
    if tally.rows != task.rows:
        raise RuntimeError(f"the table has {tally.rows} of {task.rows} rows")


def _batches(task: Task) -> Any:
    return resource(WIDE, name="wide", client=lambda: AfasClient(base_url=task.base_url, auth=task.token))


def _dicts(task: Task) -> Any:
    def rows() -> Iterator[list[dict[str, Any]]]:
        for text in pages(task):
            yield json.loads(text)["rows"]

    return dlt.resource(rows, name="wide", primary_key="Id", write_disposition="replace")
