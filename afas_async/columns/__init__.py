"""A GetConnector as columns: exact Arrow batches, for Parquet, polars, DuckDB, pandas and databases.

Install it with `pip install "afas-async[columns]"`. Nothing of it is imported otherwise.

Recipes
-------

`columns.to_table` returns all rows, `columns.batches` about 4 MiB of the answer at a time. `columns.open_reader` is for
code without `await`: it takes its client from the environment, or the one that you give.

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
    ...     frame = table.to_pandas(types_mapper=pd.ArrowDtype)  # or whole numbers with nulls become floats
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

`columns.sync` keeps a copy in DuckDB or PostgreSQL up to date. `afas_async.integrations.dlt` gives a connector to dlt,
which loads it into its own destinations.

What holds
----------

The rows
    are those of `AfasClient.rows`, complete and in order; the guide is `python -m pydoc afas_async.read`.
Types
    come from metainfo: text and blob as `string`, whole numbers as `int64`, decimals as `decimal128` with their
    decimals (ten where they differ from row to row), dates and moments as `timestamp("s")` without a zone, which is
    wall time in Amsterdam. `types=` changes them. If the token may not see metainfo, a Struct row type gives them.
Exact or an error
    Each value is the one that the service wrote. One that does not fit raises a RowError with its row, field and value,
    and the `types=` that would do. Only `float32` and `float64`, which you ask for, round.
Every key
    is there, and differs from that of the row before. In a read with `order_by=`, the rows of a batch are compared.
Drift
    A column that no row of a batch has, and a field in rows that metainfo does not list, follow `AfasClient(drift=)`.
Files
    have their name when they are complete. They are written under a temporary name in the same folder, synced and
    renamed. After the end of the process by force, that temporary file stays.
Bounded memory
    One group of rows is read while the one before it is parsed. Parquet holds a row group of 131,072 rows beside it.
Free event loop
    Parsing, compressing, disks and databases are at work in threads, which end with the stream or the call.

Limits, today
-------------

A row that lacks a field
    which other rows have gets null there. AFAS puts every field into every row.
Duplicates out of order
    In a read with `order_by=`, two rows with one key are found if they are in one batch.
`sync`
    is one transaction: a first run of many millions of rows is begun again if it is interrupted.
"""

from __future__ import annotations

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

# What needs pyarrow or fsspec is imported when it is used.
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
    return __all__
