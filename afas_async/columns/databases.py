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
_IDLE: Final = 0  # libpq, PQTRANS_IDLE


def quoted(name: str) -> str:
    """Return a name as SQL has it; that of a table may have its schema before a dot."""
    return ".".join(map(quoted_whole, name.split(".")))


def quoted_whole(name: str) -> str:
    """Return a name as SQL has it, whose dots are part of it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


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
            UsageError: If the connection commits each statement by itself, or has an open transaction.
        """
        if self._commits_by_itself():
            raise UsageError("into: the connection commits each statement by itself: open it without autocommit")
        if self._is_busy():
            raise UsageError("into: the connection has an open transaction: commit it, or take it back, first")
        self._cursor = self._connection.cursor()

    def _commits_by_itself(self) -> bool:
        return bool(self._connection.autocommit)

    def _is_busy(self) -> bool:
        return bool(self._connection.info.transaction_status != _IDLE)

    def execute(self, statement: str) -> None:
        """Carry out a statement."""
        self._cursor.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return what a query finds."""
        self._cursor.execute(statement)
        return [tuple(row) for row in self._cursor.fetchall()]

    def columns(self, table: str) -> dict[str, str]:
        """Return the names of a table's columns, with their types in the words of the database."""
        found = self.rows(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute"  # noqa: S608 - a quoted literal
            f" where attrelid = cast({literal(table)} as regclass) and attnum > 0 and not attisdropped"
        )
        return {str(name): str(kind) for name, kind in found}

    def create_once(self, table: str, columns: str) -> None:
        """Make a table unless it is there. A transaction that is making it is waited for."""
        if self.rows(f"select 1 where to_regclass({literal(table)}) is null"):
            self.lock(table)
            self.execute(f"create table if not exists {table} ({columns})")

    def lock(self, name: str) -> None:
        """Wait until no other transaction holds the lock of that name, and hold it until this one has ended."""
        self.rows(f"select 1 from pg_advisory_xact_lock(hashtextextended({literal('afas_async ' + name)}, 0))")  # noqa: S608 - a quoted literal

    def fill(self, stage: str, batch: pa.RecordBatch) -> None:
        """Add a batch to a temporary table, which has its columns."""
        columns = ", ".join(map(quoted, batch.schema.names))
        statement = f"copy {quoted(stage)} ({columns}) from stdin (format csv, encoding 'UTF8')"
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
        self._cursor = None

    def rollback(self) -> None:
        """Take everything back, unless the transaction has not begun or has ended."""
        if self._cursor is not None:
            self._connection.rollback()
            self._cursor.close()


class AdbcDatabase(Database):
    """The same by ADBC, which takes batches as they are."""

    def _commits_by_itself(self) -> bool:
        return bool(self._connection.adbc_connection.get_option("adbc.connection.autocommit") == "true")

    def _is_busy(self) -> bool:
        return False  # which ADBC does not say

    def fill(self, stage: str, batch: pa.RecordBatch) -> None:
        """Add a batch to a temporary table, which has its columns."""
        self._cursor.adbc_ingest(stage, batch, mode="append", temporary=True)


class DuckDatabase(Database):
    """A connection of DuckDB."""

    def begin(self) -> None:
        """Begin the transaction."""
        self._connection.begin()
        self._cursor = self._connection

    def columns(self, table: str) -> dict[str, str]:
        """Return the names of a table's columns, with their types in the words of the database."""
        return {name: kind for name, kind, *_ in self.rows(f"describe {table}")}

    def create_once(self, table: str, columns: str) -> None:
        """Make a table unless it is there."""
        self.execute(f"create table if not exists {table} ({columns})")

    def lock(self, name: str) -> None:
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
        self._cursor = None

    def rollback(self) -> None:
        """Take everything back, unless the transaction has not begun or has ended."""
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
