"""Read the plans of `AfasClient.plan` with all workers of a Dask cluster: the guide.

Install it with `pip install "afas-async[dask]"`.

    from distributed import Client
    from afas_async.integrations.dask import run_plan

    parts = await afas.plan("Profit_Article", key="ItemCode", parts=40)  # any number of connectors
    with Client("scheduler:8786") as cluster:
        print(run_plan(cluster, {"12345": parts}, to="s3://bucket/afas/2024-01-31", limit=5))

Without files, `as_dask_dataframe` reads the same parts lazily. If you use Airflow, Dagster or Ray, see the folder
`tests/recipes` in the repository.

Credentials stay on the workers
-------------------------------

Set the variables of `AfasClient.from_env` on each worker, with the name of the environment at the end:
AFAS_TOKEN_12345, or AFAS_CLIENT_ID_12345 and AFAS_CLIENT_SECRET_12345. The name is the participant number. It can be
any word of yours if you also set AFAS_ENVIRONMENT_... or AFAS_BASE_URL_... for it.

You can also pass `secrets=`, a function in a module of yours that reads a vault.

A worker opens a client when it first needs it, and closes it with the run. No credential is pickled. None appears in a
task, a result, a log or on the dashboard.

Guarantees
----------

- **Complete files.** You get one file for each part, `to/environment/connector/part-00000-....parquet`, with a
  manifest of the same name beside it (`.json`). Both get their names only when they are complete. If you read
  `*.parquet`, you get each row once.
- **Workers may die.** Others read the parts of a dead worker again. A worker that is considered dead but still
  runs does no harm.
- **One limit for all workers.** In each environment, all workers together have at most `limit` requests in flight. A
  killed worker keeps its slots until they expire after 30 to 40 seconds, because the service may still work on its
  requests. If it had all slots, your other workers wait until then. You can change the time with Dask's option
  `distributed.scheduler.locks.lease-timeout`. A worker that hangs for longer loses its slots. When it resumes, its
  own requests can exceed the limit until they have responses.
- **Runs continue.** Complete files stay. If a run is interrupted, repeat it with the same plans and folder to
  continue it. A folder belongs to one plan: existing files are never read again, so use a new folder for your next
  run.
- **Retries.** Errors that may pass are retried (`retries=`). A permanent error fails its part, and the other parts
  continue.

How many workers do you need?
-----------------------------

Each part occupies one thread of a worker, which mostly waits: use two to four threads for each core. Give each
environment at least twice as many parts as you have workers.

There are two limits. An environment responds to `limit` requests at a time: with 50 ms, and 20 ms per 1,000 rows, that
is 167,000 rows/s. A core needs about 7 us for a row of 20 fields, from the bytes to the file: 140,000 rows/s. The
command `python -m benchmarks cluster` measures your core, simulates the rest, and can draw it. In thousands of rows per
second:

| Environments | 1 worker | 2 workers | 4 workers | 8 workers | the slots are full at |
|---|---|---|---|---|---|
| 1 | 141 | 166 | 166 | 166 | 1.2 workers |
| 2 | 141 | 281 | 332 | 332 | 2.4 workers |
| 4 | 141 | 281 | 561 | 662 | 4.7 workers |
| 8 | 141 | 281 | 561 | 1,117 | 9.5 workers |
| 50 | 141 | 281 | 561 | 1,117 | 59 workers |

For one environment, use one or two workers. A cluster pays off if you have many environments. These figures come from a
model: network and disks take additional time.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Dask has few types, and pandas has none.

from __future__ import annotations

__docformat__ = "google"

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from afas_async.columns import (
    Manifest,
    PartFile,
    batches,
    check_tiling,
    manifests_of,
    part_files,
    sweep,
    to_table,
    write_part,
)
from afas_async.columns.worker import Worker
from afas_async.errors import AfasError, UsageError
from afas_async.http.clock import loop_time
from afas_async.http.host import to_its_end
from afas_async.integrations.dask_workers import EnvironmentClients, Secrets
from afas_async.vocabulary.arguments import check_callback

try:
    from distributed import Client, as_completed, get_worker
except ImportError:  # pragma: no cover
    raise ImportError('install Dask: pip install "afas-async[dask]"') from None

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from afas_async.columns.part_folder import PartOptions

__all__ = ["PlanReport", "as_dask_dataframe", "run_plan"]


class PlanReport(msgspec.Struct, frozen=True):
    """The progress or the result of `run_plan`. Print it to see one line of figures.

    Attributes:
        planned: The number of parts in your plans.
        manifests: The manifests of the complete files, by the names of the files within the folder.
        kept: The number of files from an earlier run.
        seconds: The seconds since the start of this run.
    """

    planned: int
    manifests: dict[str, Manifest]
    kept: int
    seconds: float

    @property
    def parts(self) -> int:
        """The number of complete files."""
        return len(self.manifests)

    @property
    def rows(self) -> int:
        """The number of rows in all complete files."""
        return sum(manifest.rows for manifest in self.manifests.values())

    @property
    def bytes(self) -> int:
        """The size of all complete files in bytes."""
        return sum(manifest.bytes for manifest in self.manifests.values())

    def __str__(self) -> str:
        return (
            f"{self.parts:,} of {self.planned:,} parts: {self.rows:,} rows, {self.bytes:,} bytes in"
            f" {self.seconds:,.1f} s; {self.kept:,} from an earlier run"
        )


def run_plan(
    dask_client: Client,
    plans: Mapping[str, Iterable[Mapping[str, Any]]],
    *,
    to: str | os.PathLike[str],
    limit: int = 5,
    secrets: Secrets | None = None,
    options: Mapping[str, PartOptions] | None = None,
    retries: int = 3,
    on_progress: Callable[[PlanReport], None] | None = None,
) -> Any:
    """Read your plans on a Dask cluster, into one Parquet file for each part.

    You can repeat an interrupted run: complete files are kept. At the end, all manifests are checked, and the
    temporary files of killed workers are removed. See the guide `afas_async.integrations.dask`.

    Args:
        dask_client: The client of your cluster.
        plans: For each environment, by its name, the parts that `AfasClient.plan` returned for all its connectors.
        to: A folder that all workers can write to, as a path or as a URL of fsspec. Use a new one for each run.
        limit: Requests in flight in each environment, for all workers together: 1 to 8. AFAS advises at most 5.
        secrets: Called on the workers with the name of an environment; returns the arguments of its `AfasClient`. The
            workers must be able to import it. By default, they use their variables, such as AFAS_TOKEN_12345.
        options: `types` and `select` of `columns.batches`, by connector.
        retries: How often Dask retries a part after an error that may pass.
        on_progress: Called with a `PlanReport` after each part.

    Returns:
        A `PlanReport`. With an asynchronous Dask client you get an awaitable. If you cancel it, the workers stop.

    Raises:
        UsageError: If an argument is not valid, the folder has another plan, or files of a connector differ in columns.
        AfasError: The first error of a part. The other parts were written. A note on the error counts missing parts.
        OSError: In the same way, if a file could not be written.

    Example:
        >>> from afas_async.integrations.dask import run_plan
        >>> from distributed import Client
        >>> def main():  # with AFAS_TOKEN_12345 in the environment of the workers
        ...     with Client("scheduler:8786") as cluster:
        ...         print(run_plan(cluster, {"12345": parts}, to="s3://bucket/afas/2024-01-31", on_progress=print))
    """
    check_callback("on_progress", on_progress)
    workers = EnvironmentClients(limit, secrets)
    files = part_files(plans, to)
    cluster: Any = dask_client
    return cluster.sync(_run, cluster, workers, files, options=options or {}, retries=retries, on_progress=on_progress)


async def _run(
    cluster: Any,
    workers: EnvironmentClients,
    files: list[PartFile],
    *,
    options: Mapping[str, PartOptions],
    retries: int,
    on_progress: Callable[[PlanReport], None] | None,
) -> PlanReport:
    started, failures = loop_time(), list[Exception]()
    async with Worker() as disk:
        found = await disk.run(manifests_of, files)
        kept, missing = len(found), [file for file in files if file.name not in found]

        def take(file: PartFile, result: Manifest | Exception) -> None:
            if isinstance(result, Exception):
                failures.append(result)
                return
            found[file.name] = result
            if on_progress is not None:
                on_progress(PlanReport(len(files), {**found}, kept, loop_time() - started))

        if missing:
            await _read(cluster, workers, missing, take, options=options, retries=retries)
        if failures:
            missing_now = f"{len(failures)} of {len(files)} parts are missing"
            failures[0].add_note(f"{missing_now}: repeat the run to read them")
            raise failures[0]
        manifests = await disk.run(manifests_of, files)
        check_tiling(files, manifests)
        await disk.run(sweep, files)
        return PlanReport(len(files), manifests, kept, loop_time() - started)


async def _read(
    cluster: Any,
    workers: EnvironmentClients,
    files: list[PartFile],
    take: Callable[[PartFile, Manifest | Exception], None],
    *,
    options: Mapping[str, PartOptions],
    retries: int,
) -> None:
    """Have the workers read some parts, and call `take` with the result of each."""
    run = token_hex(4)
    await cluster.register_plugin(workers, run)
    futures: dict[Any, PartFile] = {}
    try:
        for file in files:
            key = (f"{file.connector}-{run}", file.name)  # the dashboard shows one bar for each connector
            future = cluster.submit(_write, file, run, options.get(file.connector, {}), key=key, retries=retries)
            futures[future] = file
        async for future in as_completed(futures, loop=cluster.loop):  # otherwise it requires a default client
            try:
                result: Manifest | Exception = await future.result()
            except Exception as error:  # noqa: BLE001 - the other parts continue
                result = error
            take(futures[future], result)
    finally:
        await to_its_end(asyncio.ensure_future(_leave(cluster, run, [*futures])))


async def _leave(cluster: Any, run: str, futures: list[Any]) -> None:
    """Stop the workers from starting more parts, and close their clients."""
    with suppress(OSError):  # the cluster has gone, and the clients with it
        await cluster.cancel(futures)
        await cluster.unregister_worker_plugin(run)


async def _write(file: PartFile, run: str, options: PartOptions) -> Manifest | AfasError:
    """Write one part, on a worker. Dask retries raised errors, so permanent errors are returned instead."""
    try:
        async with _clients(get_worker(), run).pool.client(file.environment) as afas:
            return await write_part(afas, file, **options)
    except AfasError as error:
        if error.retryable:
            raise
        return error


def as_dask_dataframe(
    dask_client: Client,
    environment: str,
    parts: Iterable[Mapping[str, Any]],
    *,
    limit: int = 5,
    secrets: Secrets | None = None,
    **options: Unpack[PartOptions],
) -> Any:
    """Return the rows of a plan as a lazy `dask.dataframe.DataFrame`, with a partition for each part, in key order.

    Now, only the columns are requested. The rows are read each time you compute. If you need them more than once, use
    `run_plan` and read its files. Values are exact: the columns have Arrow types (`pandas.ArrowDtype`). Dask cannot sum
    decimals yet: convert them with `astype("float64[pyarrow]")`, or pass other `types`.

    Args:
        dask_client: The client of the cluster that computes the frame.
        environment: The name of the environment, as in its credentials on the workers.
        parts: The parts that `AfasClient.plan` returned for one connector.
        limit: As for `run_plan`. All frames and runs of a cluster share it.
        secrets: As for `run_plan`.
        options: `types` and `select`, as for `columns.batches`.

    Returns:
        The frame. With an asynchronous Dask client you get an awaitable.

    Raises:
        UsageError: If the parts are not from one connector.
        ImportError: If dask.dataframe is not installed: run `pip install "dask[dataframe]"`.
        AfasError: If the columns cannot be read. When you compute, if rows cannot be read.

    Example:
        >>> def main():  # with AFAS_TOKEN_12345 in the environment of the workers
        ...     with Client("scheduler:8786") as cluster:
        ...         articles = as_dask_dataframe(cluster, "12345", parts, select=["ItemCode", "Stock"])
        ...         print(articles["Stock"].sum().compute())
    """
    workers = EnvironmentClients(limit, secrets)
    files = part_files({environment: parts}, "")
    if len({file.connector for file in files}) != 1:
        raise UsageError(f"{environment}: expected the parts of one connector: create one frame for each connector")
    cluster: Any = dask_client
    return cluster.sync(_frame, cluster, workers, files, options)


async def _frame(cluster: Any, workers: EnvironmentClients, files: list[PartFile], options: PartOptions) -> Any:
    import dask.dataframe  # noqa: PLC0415 - needs pandas, while `run_plan` does not

    await cluster.register_plugin(workers, workers.name)
    empty = await cluster.submit(_frame_of, files[0], workers.name, options, rows=False, pure=False)
    return dask.dataframe.from_map(
        _frame_of, files, run=workers.name, options=options, meta=empty, label=files[0].connector
    )


def _frame_of(file: PartFile, run: str, options: PartOptions, *, rows: bool = True) -> pd.DataFrame:
    """Read one part, or only its columns, from a thread of a worker. The event loop of the worker does the reading."""
    import pandas as pd  # noqa: PLC0415 - as above

    worker: Any = get_worker()
    reading = _table(_clients(worker, run), file, options, rows=rows)
    table = asyncio.run_coroutine_threadsafe(reading, worker.loop.asyncio_loop).result()
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _clients(worker: Any, run: str) -> EnvironmentClients:
    found: EnvironmentClients | None = worker.plugins.get(run)
    if found is None:
        raise UsageError(f"{run}: this run has ended, and its clients on the workers are closed: start it again")
    return found


async def _table(workers: EnvironmentClients, file: PartFile, options: PartOptions, *, rows: bool) -> pa.Table:
    async with workers.pool.client(file.environment) as afas:
        key: tuple[str, ...] = tuple(file.part["key"])
        if rows:
            return await to_table(afas, file.connector, key=key, part=file.part, **options)
        async with batches(afas, file.connector, key=key, part=file.part, **options) as stream:
            return stream.schema.empty_table()
