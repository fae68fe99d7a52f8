"""GetConnectors as exact Arrow columns, for Parquet, polars, DuckDB, pandas and databases: the guide.

Install the extra with `pip install "afas-async[columns]"`. pyarrow is imported only when you use a name that needs
it. `to_ndjson` works without it.

Which function do you need?
---------------------------

| You want | Call |
|---|---|
| all rows in memory | `await columns.to_table(afas, connector)` |
| batches of about 4 MiB of the response | `async with columns.batches(afas, connector) as stream:` |
| a file | `await columns.to_parquet(...)`, `to_csv(...)` or `to_ndjson(...)` |
| rows in code without `await` | `with columns.open_reader(connector) as reader:` |
| the rows modified since your last run | `columns.changes(...)` |
| a copy in DuckDB or PostgreSQL, kept up to date | `await columns.sync(...)` |
| a file for each part of a plan, from several machines | `columns.part_files(...)` and `write_part(...)` |
| a table in one of dlt's destinations | `afas_async.integrations.dlt` |

Recipes
-------

Each function is a recipe for one tool: copy those you use. The last lines run them on the simulator.

    >>> import asyncio, io
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from afas_async import AfasClient, F, GetConnector, columns
    >>> from afas_async.simulator import Simulator
    >>> ARTICLES = GetConnector("Profit_Article", key="ItemCode")
    >>> async def with_polars(afas, folder):
    ...     import polars as pl
    ...     frame = pl.from_arrow(await columns.to_table(afas, ARTICLES, select=["ItemCode", "Price"]))
    ...     print("polars:", frame.height, "rows,", frame.schema["Price"])
    >>> async def with_lazy_polars(afas, folder):
    ...     import polars as pl
    ...     await columns.to_parquet(afas, ARTICLES, folder / "articles.parquet")
    ...     lazy = pl.scan_parquet(folder / "articles.parquet").filter(pl.col("Stock") > 1_000)
    ...     print("lazy polars:", lazy.select(pl.len()).collect().item(), "in stock")
    >>> async def with_pandas(afas, folder):
    ...     import pandas as pd
    ...     table = await columns.to_table(afas, ARTICLES)
    ...     frame = table.to_pandas(types_mapper=pd.ArrowDtype)  # keeps whole numbers with nulls whole
    ...     print("pandas:", frame["Stock"].dtype)
    >>> async def with_duckdb(afas, folder):
    ...     import duckdb
    ...     with duckdb.connect() as database:
    ...         articles = await columns.to_table(afas, ARTICLES, where=F.Stock > 1_000)
    ...         print("DuckDB:", database.sql("select count(*) from articles").fetchall())
    >>> async def with_delta(afas, folder):
    ...     from deltalake import DeltaTable, write_deltalake
    ...     write_deltalake(folder / "delta", await columns.to_table(afas, ARTICLES))
    ...     print("Delta:", DeltaTable(folder / "delta").to_pyarrow_table().num_rows, "rows")
    >>> async def with_ndjson(afas, folder):
    ...     written = await columns.to_ndjson(afas, ARTICLES, folder / "articles.ndjson")  # needs no pyarrow
    ...     print("NDJSON:", written.rows, "rows")
    >>> def with_adbc(client, uri):
    ...     from adbc_driver_postgresql import dbapi
    ...     with dbapi.connect(uri) as connection, connection.cursor() as cursor:
    ...         with columns.open_reader(ARTICLES, client=client) as reader:
    ...             cursor.adbc_ingest("articles", reader, mode="create")
    ...         connection.commit()
    >>> def with_copy(client, uri):
    ...     import psycopg
    ...     from pyarrow import csv
    ...     no_header = csv.WriteOptions(include_header=False)
    ...     with psycopg.connect(uri) as connection, connection.cursor() as cursor:
    ...         cursor.execute("create table prices (code text primary key, price numeric(18, 2))")
    ...         with columns.open_reader(ARTICLES, client=client, select=["ItemCode", "Price"]) as reader:
    ...             with cursor.copy("copy prices from stdin (format csv, encoding 'UTF8')") as copy:
    ...                 for batch in reader:
    ...                     text = io.BytesIO()
    ...                     csv.write_csv(batch, text, no_header)
    ...                     copy.write(text.getvalue())
    >>> async def main(folder):
    ...     async with (
    ...         Simulator(rows=1_000) as simulator,
    ...         AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ...     ):
    ...         for recipe in (with_polars, with_lazy_polars, with_pandas, with_duckdb, with_delta, with_ndjson):
    ...             await recipe(afas, folder)
    >>> with TemporaryDirectory() as folder:
    ...     asyncio.run(main(Path(folder)))
    polars: 1000 rows, Decimal(precision=18, scale=2)
    lazy polars: 455 in stock
    pandas: int64[pyarrow]
    DuckDB: [(455,)]
    Delta: 1000 rows
    NDJSON: 1000 rows

Guarantees
----------

- **Rows.** You get the rows of `AfasClient.rows`, complete and in order. See the guide `afas_async.read`.
- **Types.** They come from metainfo. Text and blobs become `string`, whole numbers `int64`, and dates and moments
  `timestamp("s")` without a zone: wall time in Amsterdam. Parquet stores them in milliseconds. A decimal becomes
  `decimal128` with its number of decimals, or with ten if that number differs from row to row. You can replace each
  of them with `types=`. If your token may not see metainfo, your Struct row type supplies the types.
- **Exact or an error.** You get each value as the service wrote it. If a value does not fit its column, you get a
  RowError with its row, field, value and the `types=` to use. Only `float32` and `float64` round, and you get them
  only if you ask for them.
- **Unique keys.** Duplicate and empty keys raise NonUniqueKeyError. In a read with `order_by=`, only the rows of one
  batch are compared.
- **Drift.** A column that no row of a batch has, and a field that metainfo does not list, give you a
  SchemaDriftWarning. With `AfasClient(drift="error")` they raise.
- **Files.** A file gets its final name only when it is complete. Until then it has a temporary name in the same
  folder; then it is synced and renamed. If your process is killed, the temporary file stays.
- **A copy is never half updated.** A run of `sync` writes rows, deletions and watermark in one transaction. If it
  fails, is cancelled or killed, your copy stays as it was, and your next run reads the same changes again. A
  cancellation during the commit waits for the commit. A second run into the same table at the same time waits in
  PostgreSQL, and fails in DuckDB.
- **Bounded memory.** The stream reads one group of rows while it parses the group before. Parquet also keeps a row
  group of 131,072 rows.
- **Free event loop.** Parsing, compression, disks and databases work in threads. The threads end with the stream or
  the call.

Limits
------

- **A row that lacks a field** that other rows have gets null there. AFAS puts every field into every row.
- **Duplicates out of order.** With `order_by=`, you get an error for two rows with the same key only if both are in
  one batch.
- **A first `sync`** of many millions of rows starts over if you interrupt it, because a run is one transaction.
"""

from __future__ import annotations

__docformat__ = "google"

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from afas_async.columns.manifest import Manifest, PartFile, check_tiling, part_files
from afas_async.columns.ndjson import to_ndjson
from afas_async.columns.new_file import Written

if TYPE_CHECKING:
    from afas_async.columns.csv import to_csv
    from afas_async.columns.parquet import to_parquet
    from afas_async.columns.part_folder import manifests_of, sweep, write_part
    from afas_async.columns.reader import open_reader
    from afas_async.columns.stream import Batches, batches, changes, to_table
    from afas_async.columns.synchronise import Synced, sync

__all__ = [
    "Batches",
    "Manifest",
    "PartFile",
    "Synced",
    "Written",
    "batches",
    "changes",
    "check_tiling",
    "manifests_of",
    "open_reader",
    "part_files",
    "sweep",
    "sync",
    "to_csv",
    "to_ndjson",
    "to_parquet",
    "to_table",
    "write_part",
]

# These modules need pyarrow or fsspec, so they are imported on first use.
_HOMES: Final = {
    "Batches": "stream",
    "batches": "stream",
    "changes": "stream",
    "manifests_of": "part_folder",
    "sweep": "part_folder",
    "open_reader": "reader",
    "Synced": "synchronise",
    "sync": "synchronise",
    "to_csv": "csv",
    "to_parquet": "parquet",
    "to_table": "stream",
    "write_part": "part_folder",
}
_EXTRAS: Final = {"pyarrow": "columns", "fsspec": "dask"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as missing:
        package = (missing.name or "").partition(".")[0]
        if package not in _EXTRAS:
            raise
        raise ModuleNotFoundError(
            f'columns.{name} needs {package}: run `pip install "afas-async[{_EXTRAS[package]}]"`', name=package
        ) from None
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the names that the installed packages offer, so that `help` works without the others."""

    def is_there(name: str) -> bool:
        with suppress(ImportError):
            return name not in _HOMES or __getattr__(name) is not None
        return False

    return [name for name in __all__ if is_there(name)]
