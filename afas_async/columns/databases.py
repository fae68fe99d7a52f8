"""Writes Arrow batches to DuckDB, or to PostgreSQL with psycopg or ADBC. Each call blocks: use it in a thread."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow's stubs do not type the values of arrays.

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
    """Quote a name for SQL. A dot separates the schema from the table."""
    return ".".join(map(quoted_whole, name.split(".")))


def quoted_whole(name: str) -> str:
    """Quote a name for SQL. A dot is part of the name."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL."""
    return "'" + text.replace("'", "''") + "'"


def sql_type(kind: pa.DataType) -> str:
    """Return the SQL type of a column, in a spelling that both DuckDB and PostgreSQL accept."""
    if isinstance(kind, pa.Decimal128Type):
        return f"numeric({kind.precision}, {kind.scale})"
    return _TYPES.get(kind, "timestamp")


class Database:
    """One transaction on a PostgreSQL connection.

    Args:
        connection: A connection of psycopg, psycopg2 or ADBC.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._cursor: Any = None

    def begin(self) -> None:
        """Begin the transaction.

        Raises:
            UsageError: If the connection has autocommit on, or has an open transaction.
        """
        if self._commits_by_itself():
            raise UsageError("into: the connection has autocommit on: open it without autocommit")
        if self._is_busy():
            raise UsageError("into: the connection has an open transaction: commit it or roll it back first")
        self._cursor = self._connection.cursor()

    def _commits_by_itself(self) -> bool:
        return bool(self._connection.autocommit)

    def _is_busy(self) -> bool:
        return bool(self._connection.info.transaction_status != _IDLE)

    def execute(self, statement: str) -> None:
        """Execute a statement."""
        self._cursor.execute(statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        self._cursor.execute(statement)
        return [tuple(row) for row in self._cursor.fetchall()]

    def columns(self, table: str) -> dict[str, str]:
        """Return the names of a table's columns, with their types as the database spells them."""
        found = self.rows(
            "select attname::text, format_type(atttypid, atttypmod) from pg_attribute"  # noqa: S608 - a quoted literal
            f" where attrelid = cast({literal(table)} as regclass) and attnum > 0 and not attisdropped"
        )
        return {str(name): str(kind) for name, kind in found}

    def create_once(self, table: str, columns: str) -> None:
        """Create a table unless it exists. Waits for another transaction that is creating it."""
        if self.rows(f"select 1 where to_regclass({literal(table)}) is null"):
            self.lock(table)
            self.execute(f"create table if not exists {table} ({columns})")

    def lock(self, name: str) -> None:
        """Acquire the lock of that name, and hold it until this transaction ends."""
        self.rows(f"select 1 from pg_advisory_xact_lock(hashtextextended({literal('afas_async ' + name)}, 0))")  # noqa: S608 - a quoted literal

    def fill(self, stage: str, batch: pa.RecordBatch) -> None:
        """Add a batch to a temporary table with the same columns."""
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
        """Roll everything back, unless the transaction has not begun or has ended."""
        if self._cursor is not None:
            self._connection.rollback()
            self._cursor.close()


class AdbcDatabase(Database):
    """One transaction on a PostgreSQL connection of ADBC, which accepts Arrow batches."""

    def _commits_by_itself(self) -> bool:
        return bool(self._connection.adbc_connection.get_option("adbc.connection.autocommit") == "true")

    def _is_busy(self) -> bool:
        return False  # ADBC does not report open transactions

    def fill(self, stage: str, batch: pa.RecordBatch) -> None:
        """Add a batch to a temporary table with the same columns."""
        self._cursor.adbc_ingest(stage, batch, mode="append", temporary=True)


class DuckDatabase(Database):
    """One transaction on a DuckDB connection."""

    def begin(self) -> None:
        """Begin the transaction."""
        self._connection.begin()
        self._cursor = self._connection

    def columns(self, table: str) -> dict[str, str]:
        """Return the names of a table's columns, with their types as the database spells them."""
        return {name: kind for name, kind, *_ in self.rows(f"describe {table}")}

    def create_once(self, table: str, columns: str) -> None:
        """Create a table unless it exists."""
        self.execute(f"create table if not exists {table} ({columns})")

    def lock(self, name: str) -> None:
        """Do nothing: DuckDB fails the second of two transactions that write the same rows."""

    def fill(self, stage: str, batch: pa.RecordBatch) -> None:
        """Add a batch to a temporary table with the same columns."""
        self._connection.register("afas_async_batch", batch)
        columns = ", ".join(map(quoted, batch.schema.names))
        self.execute(f"insert into {quoted(stage)} select {columns} from afas_async_batch")  # noqa: S608 - quoted names
        self._connection.unregister("afas_async_batch")

    def commit(self) -> None:
        """End the transaction."""
        self._connection.commit()
        self._cursor = None

    def rollback(self) -> None:
        """Roll everything back, unless the transaction has not begun or has ended."""
        if self._cursor is not None:
            self._connection.rollback()


def database_of(connection: Any) -> Database:
    """Return the transaction for a user's connection.

    Raises:
        UsageError: If the connection is not from a supported driver.
    """
    kinds: Sequence[str] = [kind.__module__.partition(".")[0] for kind in type(connection).__mro__]
    if "duckdb" in kinds or "_duckdb" in kinds:
        return DuckDatabase(connection)
    if "adbc_driver_manager" in kinds:
        return AdbcDatabase(connection)
    if "psycopg" in kinds or "psycopg2" in kinds:
        return Database(connection)
    raise UsageError(
        "into: expected a connection of DuckDB, or a PostgreSQL connection of psycopg, psycopg2 or"
        f" adbc_driver_postgresql, got {type_name(connection)}"
    )
