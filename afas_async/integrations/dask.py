"""Where one machine ends, a Dask cluster takes over: the plans of this library, read by all its workers.

    from distributed import Client
    from afas_async.integrations.dask import run_plan

    parts = await afas.plan("Profit_Article", key="ItemCode", parts=40)  # of as many connectors as you like
    with Client("scheduler:8786") as cluster:
        print(run_plan(cluster, {"12345": parts}, to="s3://bucket/afas/2024-01-31", limit=5))

Credentials stay on the workers
-------------------------------
Give each worker the variables of `AfasClient.from_env`, with the name of the environment at their end:
AFAS_TOKEN_12345, or AFAS_CLIENT_ID_12345 and AFAS_CLIENT_SECRET_12345. The name is the participant number, unless
AFAS_ENVIRONMENT_... or AFAS_BASE_URL_... says otherwise; then it is any word of yours. Or give `secrets=`, a function
of a module of yours that asks a vault. A worker opens a client when it first needs it, and closes it with the run. No
credential is pickled, and none is in a task, a result, a log or on the dashboard.

What holds
----------
- Every part ends in one complete file, `to/environment/connector/part-00000-....parquet`, and a manifest of the same
  name beside it (`.json`). Both get their names when they are complete. Who reads `*.parquet` gets each row once.
- A worker may die at any moment: others read its parts again. One that was thought dead and lives harms nothing.
- In each environment, all workers together have at most `limit` requests in flight. A killed worker keeps its slots
  until they expire, 30 to 40 seconds later, because the service may still be at work on its requests. If it had all of
  them, the others wait for so long. Dask's option `distributed.scheduler.locks.lease-timeout` sets the time.
- A worker that stands still for longer than that loses its slots. If it goes on, it can exceed the limit by its own
  requests until they are answered.
- What came to its end stays. A run that was broken off goes on when you repeat it with the same plans and folder.
- A folder belongs to one plan. For the next night give another one: what is there is never read again.
- Errors that may pass are tried again (`retries=`). One that stays fails its part, and the other parts go on.

How many workers
----------------
Each part takes one thread of a worker, which mostly waits: two to four threads for each core are right. Give each
environment at least twice as many parts as there are workers.

Two things end the growth. An environment answers `limit` requests at a time: at 50 ms and 20 ms per 1,000 rows that is
167,000 rows/s. A worker's core takes about 7 us for a row of 20 fields, from the bytes to the file: 140,000 rows/s.
`python -m benchmarks cluster` measures the core, simulates the rest, and draws it. In thousands of rows per second:

    environments   1 worker   2 workers   4 workers   8 workers   the slots end it at
    1                   141         166         166         166   1.2 workers
    2                   141         281         332         332   2.4 workers
    4                   141         281         561         662   4.7 workers
    8                   141         281         561       1,117   9.5 workers
    50                  141         281         561       1,117   59 workers

So one environment is worth one worker or two, and a cluster pays when there are many. The figures are those of a model:
network and disks come on top.

`as_dask_dataframe` reads the same parts lazily, without files. In the repository, the folder
`tests/recipes` shows the same with Airflow, Dagster and Ray.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false
# Dask leaves most of its types open, and pandas has none.

from __future__ import annotations

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
    """What a run has written, up to now or to its end.

    Attributes:
        planned: Parts of the plans.
        manifests: What the parts hold that are there, by the names of their files within the folder.
        kept: How many of them an earlier run had written.
        seconds: Seconds since the start of this run.
    """

    planned: int
    manifests: dict[str, Manifest]
    kept: int
    seconds: float

    @property
    def parts(self) -> int:
        """Parts that are there."""
        return len(self.manifests)

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(manifest.rows for manifest in self.manifests.values())

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(manifest.bytes for manifest in self.manifests.values())

    def __str__(self) -> str:
        return (
            f"{self.parts:,} of {self.planned:,} parts: {self.rows:,} rows, {self.bytes:,} bytes in"
            f" {self.seconds:,.1f} s; {self.kept:,} were there before"
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
    """Read all parts of some plans on a Dask cluster, into one Parquet file each with a manifest beside it.

    A run that was broken off, in whatever way, goes on if you repeat it: the parts that are there are kept. A worker
    that dies costs the parts that it was reading, which others read again. At the end the manifests are compared with
    the plans, and what killed workers have left is removed. `afas_async.integrations.dask` is the guide.

    Args:
        dask_client: The client of the cluster.
        plans: The parts that `AfasClient.plan` returned for all connectors of an environment, by the name of the
            environment.
        to: A folder that all workers see, as a path or as a URL of fsspec. Give each run its own: for a plan that it
            holds already, nothing is read.
        limit: Requests in flight at a time, in each environment, all workers together: 1 to 8. AFAS advises 5 at most.
        secrets: Called on the workers with the name of an environment: returns the arguments of its `AfasClient`. It
            must be a function of a module that the workers can import. By default their variables AFAS_TOKEN_12345 and
            so on are used.
        options: `types` and `select` of `columns.batches`, by connector.
        retries: How often Dask tries a part again after an error that may pass.
        on_progress: Called with a `PlanReport` after each part.

    Returns:
        A `PlanReport`; in an asynchronous client an awaitable of it, as from Dask's own methods. Cancelling it stops
        the reads of the workers.

    Raises:
        UsageError: If an argument makes no sense, the folder holds parts of another plan, or the files of a connector
            have different columns.
        AfasError: The first of the errors of parts that could not be read. The others have been written: a note says
            how many are missing.
        OSError: Likewise, if a file could not be written.

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
            failures[0].add_note(f"{missing_now}: repeat the run and it goes on with them")
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
    """Have the workers read some parts, and call `take` with what comes of each."""
    run = token_hex(4)
    await cluster.register_plugin(workers, run)
    futures: dict[Any, PartFile] = {}
    try:
        for file in files:
            key = (f"{file.connector}-{run}", file.name)  # the dashboard shows a bar for each connector
            future = cluster.submit(_write, file, run, options.get(file.connector, {}), key=key, retries=retries)
            futures[future] = file
        async for future in as_completed(futures, loop=cluster.loop):  # else it asks for the default client
            try:
                result: Manifest | Exception = await future.result()
            except Exception as error:  # noqa: BLE001 - the other parts go on
                result = error
            take(futures[future], result)
    finally:
        await to_its_end(asyncio.ensure_future(_leave(cluster, run, [*futures])))


async def _leave(cluster: Any, run: str, futures: list[Any]) -> None:
    """Have the workers begin no more parts, and close their clients."""
    with suppress(OSError):  # the cluster is gone, and with it the clients
        await cluster.cancel(futures)
        await cluster.unregister_worker_plugin(run)


async def _write(file: PartFile, run: str, options: PartOptions) -> Manifest | AfasError:
    """Write one part, on a worker. An error that would come again is returned, as Dask repeats what raises."""
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
    """Return the rows of a plan as a lazy `dask.dataframe.DataFrame`, a partition for each part, in key order.

    Only the columns are asked for now. The rows are read when you compute, and each time you do: to keep them, use
    `run_plan` and read its files. Values are exact: the columns have Arrow types (`pandas.ArrowDtype`). Dask cannot add
    up decimals yet: make `astype("float64[pyarrow]")` of them first, or give other `types`.

    Args:
        dask_client: The client of the cluster that computes it.
        environment: The environment, by the name that its credentials have on the workers.
        parts: What `AfasClient.plan` returned for one connector.
        limit: As for `run_plan`. The frames and runs of a cluster share it.
        secrets: As for `run_plan`.
        options: `types` and `select`, as for `columns.batches`.

    Returns:
        The frame; in an asynchronous client an awaitable of it.

    Raises:
        UsageError: If the parts are not those of one connector.
        ImportError: If dask.dataframe is not there: run `pip install "dask[dataframe]"`.
        AfasError: If the service does not tell the columns. When you compute, if rows cannot be had.
    """
    workers = EnvironmentClients(limit, secrets)
    files = part_files({environment: parts}, "")
    if len({file.connector for file in files}) != 1:
        raise UsageError(f"{environment}: expected the parts of one connector: make a frame for each")
    cluster: Any = dask_client
    return cluster.sync(_frame, cluster, workers, files, options)


async def _frame(cluster: Any, workers: EnvironmentClients, files: list[PartFile], options: PartOptions) -> Any:
    import dask.dataframe  # noqa: PLC0415 - needs pandas, which `run_plan` does not

    await cluster.register_plugin(workers, workers.name)
    empty = await cluster.submit(_frame_of, files[0], workers.name, options, rows=False, pure=False)
    return dask.dataframe.from_map(
        _frame_of, files, run=workers.name, options=options, meta=empty, label=files[0].connector
    )


def _frame_of(file: PartFile, run: str, options: PartOptions, *, rows: bool = True) -> pd.DataFrame:
    """Read one part, or no rows, in a thread of a worker: its event loop does the reading."""
    import pandas as pd  # noqa: PLC0415 - as above

    worker: Any = get_worker()
    reading = _table(_clients(worker, run), file, options, rows=rows)
    table = asyncio.run_coroutine_threadsafe(reading, worker.loop.asyncio_loop).result()
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def _clients(worker: Any, run: str) -> EnvironmentClients:
    found: EnvironmentClients | None = worker.plugins.get(run)
    if found is None:
        raise UsageError(f"{run}: this run has ended, and with it its clients on the workers: start it again")
    return found


async def _table(workers: EnvironmentClients, file: PartFile, options: PartOptions, *, rows: bool) -> pa.Table:
    async with workers.pool.client(file.environment) as afas:
        key: tuple[str, ...] = tuple(file.part["key"])
        if rows:
            return await to_table(afas, file.connector, key=key, part=file.part, **options)
        async with batches(afas, file.connector, key=key, part=file.part, **options) as stream:
            return stream.schema.empty_table()
