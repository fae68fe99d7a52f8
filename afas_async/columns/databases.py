"""Databases that take Arrow batches: DuckDB, and PostgreSQL by psycopg or ADBC. For a thread: each call waits."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The stubs of pyarrow leave the types within arrays open.

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as arrow_csv

from afas_async.errors import UsageError
from afas_async.vocabulary.arguments import type_name

_TYPES: Final[dict[pa.DataType, str]] = {
    pa.string(): "text",
    pa.large_string(): "text",
    pa.bool_(): "boolean",
    pa.int8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "integer",
    pa.uint32(): "bigint",
    pa.uint64(): "numeric(20, 0)",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.date32(): "date",
}


def quoted(name: str) -> str:
    """Return a name as SQL has it; that of a table may have its schema before a dot."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def sql_type(kind: pa.DataType) -> str:
    """Return the type of a column, in words that DuckDB and PostgreSQL have in common."""
    if isinstance(kind, pa.Decimal128Type):
        return f"numeric({kind.precision}, {kind.scale})"
    return _TYPES.get(kind, "timestamp")


class Database:
    """A connection of PostgreSQL by DB-API, within one transaction.

    Args:
        connection: The connection of psycopg, psycopg2 or ADBC.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor: Any = None

    def begin(self) -> None:
        """Begin the transaction.

        Raises:
            UsageError: If the connection commits each statement by itself.
        """
        if getattr(self._connection, "autocommit", False):
            raise UsageError("into: the connection commits each statement by itself: open it without autocommit")
        self._cursor = self._connection.cursor()

    def execute(self, statement: str) -> None:
        """Carry out a statement."""
        self._cursor.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        self._cursor.execute(statement)
        return [tuple(row) for row in self._cursor.fetchall()]

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""
        self._cursor.execute(f"select * from {table} limit 0")  # noqa: S608 - a quoted name
        return [column[0] for column in self._cursor.description]

    def lock(self, table: str) -> None:
        """Keep another transaction from writing to a table until this one has ended."""
        self.execute(f"lock table {table} in share row exclusive mode")

    def fill(self, stage: str, batch: pa.RecordBatch) -> None:
        """Add a batch to a temporary table, which has its columns."""
        columns = ", ".join(map(quoted, batch.schema.names))
        statement = f"copy {quoted(stage)} ({columns}) from stdin (format csv)"
        text = io.BytesIO()
        arrow_csv.write_csv(batch, text, arrow_csv.WriteOptions(include_header=False))
        if hasattr(self._cursor, "copy"):
            with self._cursor.copy(statement) as copy:
                copy.write(text.getvalue())
        else:
            text.seek(0)
            self._cursor.copy_expert(statement, text)

    def commit(self) -> None:
        """End the transaction."""
        self._connection.commit()
        self._cursor.close()

    def rollback(self) -> None:
        """Take everything back."""
        if self._cursor is not None:
            self._connection.rollback()
            self._cursor.close()


class AdbcDatabase(Database):
    """The same by ADBC, which takes batches as they are."""

    def fill(self, stage: str, batch: pa.RecordBatch) -> None:
        """Add a batch to a temporary table, which has its columns."""
        self._cursor.adbc_ingest(stage, batch, mode="append", temporary=True)


class DuckDatabase(Database):
    """A connection of DuckDB."""

    def begin(self) -> None:
        """Begin the transaction."""
        self._connection.begin()
        self._cursor = self._connection

    def lock(self, table: str) -> None:
        """Do nothing: a transaction that writes the same rows as another one fails."""

    def fill(self, stage: str, batch: pa.RecordBatch) -> None:
        """Add a batch to a temporary table, which has its columns."""
        self._connection.register("afas_async_batch", batch)
        columns = ", ".join(map(quoted, batch.schema.names))
        self.execute(f"insert into {quoted(stage)} select {columns} from afas_async_batch")  # noqa: S608 - quoted names
        self._connection.unregister("afas_async_batch")

    def commit(self) -> None:
        """End the transaction."""
        self._connection.commit()

    def rollback(self) -> None:
        """Take everything back."""
        if self._cursor is not None:
            self._connection.rollback()


def database_of(connection: Any) -> Database:
    """Return what writes to a user's connection.

    Raises:
        UsageError: If it is none that is known.
    """
    kinds: Sequence[str] = [kind.__module__.partition(".")[0] for kind in type(connection).__mro__]
    if "duckdb" in kinds or "_duckdb" in kinds:
        return DuckDatabase(connection)
    if "adbc_driver_manager" in kinds:
        return AdbcDatabase(connection)
    if "psycopg" in kinds or "psycopg2" in kinds:
        return Database(connection)
    raise UsageError(
        "into: expected a connection of DuckDB, or one of PostgreSQL by psycopg, psycopg2 or adbc_driver_postgresql,"
        f" got {type_name(connection)}"
    )
