"""Keeps a copy of a GetConnector in a database: changes, deletions and watermark in one transaction."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow's stubs do not type the values of arrays.
# ruff: noqa: S608
# Names in statements are quoted. Values are sent as batches or as quoted literals.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
import pyarrow as pa

from afas_async.client.client import AfasClient
from afas_async.columns.databases import Database, database_of, literal, quoted, quoted_whole, sql_type
from afas_async.columns.groups import declared
from afas_async.columns.stream import batches, changes
from afas_async.columns.worker import Worker
from afas_async.errors import AnswerError, SortKeyRequiredError, UsageError
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector
from afas_async.vocabulary.filters import Condition

_STATE: Final = quoted("afas_async_sync")
_STAGE: Final = "afas_async_stage"
_KEYS: Final = "afas_async_keys"


class Synced(msgspec.Struct, frozen=True):
    """The result of a run of `sync`.

    Args:
        rows: The number of rows that were inserted or updated.
        deleted: The number of rows that were deleted.
        watermark: The moment up to which your copy is complete. It is stored in the same database.
    """

    rows: int
    deleted: int
    watermark: str


async def sync(
    afas: AfasClient,
    connector: GetConnector[Any] | str,
    *,
    modified: str,
    into: Any,
    table: str | None = None,
    deletions: bool = False,
    key: str | tuple[str, ...] = (),
    types: Mapping[str, pa.DataType] | None = None,
    select: Iterable[str] | None = None,
    where: Condition | None = None,
) -> Synced:
    """Keep a copy of a GetConnector up to date, in DuckDB or PostgreSQL.

    Your first run creates the table and reads everything. Later runs insert or update the rows that were modified since
    the run before. A run is one transaction; see the guide `afas_async.columns`. The guide `afas_async.read` states
    which changes a run can miss.

    Args:
        afas: Your open client.
        connector: The connector, with its key, or its name.
        modified: The field with the moment of a row's last change.
        into: Your connection of DuckDB, or of PostgreSQL with psycopg, psycopg2 or ADBC, without autocommit and without
            an open transaction. `sync` uses it in a thread, commits, and leaves it open.
        table: The table, or `schema.table`; by default the connector's name.
        deletions: Whether to delete rows that the connector no longer has. This reads the whole
            connector once more, for its keys.
        key: The key, if you pass the connector by name.
        types: As for `batches`.
        select: As for `batches`; it must include the key.
        where: A further condition, the same in each run. `deletions` deletes rows that no longer meet it.

    Returns:
        The number of rows that were written and deleted, and the watermark.

    Raises:
        UsageError: If an argument is not valid, or the table has other columns, or rows that `sync` did not write.
        AnswerError: If `deletions` would delete all rows: an empty response must not empty your copy.
        AfasError: As for `batches`.
        Exception: The error of the database. After any error, the copy is unchanged.

    Example:
        >>> import duckdb
        >>> async def main(database):
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         articles = GetConnector("Profit_Article", key="ItemCode")
        ...         done = await columns.sync(afas, articles, modified="ModifiedOn", into=database)
        ...         return done.rows, database.sql("select count(*) from Profit_Article").fetchall()
        >>> with duckdb.connect() as database:
        ...     asyncio.run(main(database))
        (500, [(500,)])
    """
    named = declared(afas, connector, key)
    check_type("deletions", deletions, bool, "True or False", connector=named.name)
    check_type("table", table, str | None, "the name of a table", connector=named.name)
    if not named.key:
        raise SortKeyRequiredError(
            f"{named.name}: a copy needs a key to update rows by: declare it in the connector or pass key="
        )
    database = database_of(into)
    async with Worker() as worker:
        try:
            await worker.run(database.begin)
            copy = _Copy(database, named, table)
            since = await worker.run(copy.watermark)
            stream = changes(afas, named, modified=modified, since=since, types=types, select=select, where=where)
            async with stream:
                await worker.run(copy.open, stream.schema)
                async for batch in stream:
                    await worker.run(copy.upsert, batch)
                rows, watermark = stream.progress.rows, stream.watermark
            deleted = 0
            if deletions and await worker.run(copy.has_rows):
                kept = {name: kind for name, kind in (types or {}).items() if name in named.key}
                keys = batches(afas, named, select=named.key, types=kept, where=where)
                async with keys:
                    await worker.run(copy.expect_keys)
                    async for batch in keys:
                        await worker.run(copy.add_keys, batch)
                deleted = await worker.run(copy.delete_others)
            await worker.run(copy.finish, watermark)
        except BaseException:
            with suppress(Exception):  # the connection is lost, or the failed commit has ended the transaction
                await worker.run(database.rollback)
            raise
    return Synced(rows, deleted, watermark)


class _Copy:
    """The table with the copy, and the table with the watermarks of all copies."""

    def __init__(self, database: Database, connector: GetConnector[Any], table: str | None) -> None:
        self._database = database
        self._connector = connector
        self._name = table or connector.name
        self._table = quoted(table) if table else quoted_whole(connector.name)
        self._key = ", ".join(map(quoted, connector.key))
        self._known = False
        self._columns: list[str] = []
        self._schema = pa.schema([])

    def watermark(self) -> str | None:
        """Return the watermark of the last run, and lock other runs out until this one ends."""
        self._database.create_once(_STATE, "target text primary key, connector text, watermark text")
        self._database.lock(self._name)
        found = self._database.rows(f"select connector, watermark from {_STATE} where target = {literal(self._name)}")
        if not found:
            return None
        ((connector, watermark),) = found
        if connector != self._connector.name:
            raise UsageError(
                f"{self._connector.name}: the table {self._name} is a copy of {connector}: use another table"
            )
        self._known = True
        return str(watermark)

    def open(self, schema: pa.Schema) -> None:
        """Create the table unless it exists, and a temporary one for batches."""
        name = self._connector.name
        if missing := [field for field in self._connector.key if field not in schema.names]:
            raise UsageError(f"{name}: select: a copy needs the key: add {', '.join(missing)}")
        self._schema, self._columns = schema, [quoted(column) for column in schema.names]
        lines = [
            f"{quoted(column.name)} {sql_type(column.type)}{'' if column.nullable else ' not null'}"
            for column in schema
        ]
        self._database.execute(
            f"create table if not exists {self._table} ({', '.join(lines)}, primary key ({self._key}))"
        )
        self._temporary(_STAGE, schema)
        there, wanted = self._database.columns(self._table), self._database.columns(quoted(_STAGE))
        if there != wanted:
            both = there.keys() & wanted.keys()
            differ = [it for it in sorted(there.keys() | wanted.keys()) if there.get(it) != wanted.get(it)]
            shown = [f"{it} is {there[it]}, not {wanted[it]}" if it in both else it for it in differ]
            raise UsageError(
                f"{name}: the table {self._name} has other columns ({', '.join(shown)}): alter it, or change select= or"
                f" types=, or drop it and delete its row in {_STATE}"
            )
        if not self._known and self.has_rows():
            raise UsageError(
                f"{name}: the table {self._name} has rows, but {_STATE} does not list it as a copy: use another table,"
                " or drop this one"
            )

    def _temporary(self, name: str, schema: pa.Schema) -> None:
        lines = [f"{quoted(column.name)} {sql_type(column.type)}" for column in schema]
        self._database.execute(f"drop table if exists {quoted(name)}")
        self._database.execute(f"create temporary table {quoted(name)} ({', '.join(lines)})")

    def upsert(self, batch: pa.RecordBatch) -> None:
        """Insert rows, or update the rows with the same keys."""
        others = [column for column in self._columns if column not in map(quoted, self._connector.key)]
        update = ", ".join(f"{column} = excluded.{column}" for column in others)
        columns = ", ".join(self._columns)
        self._database.execute(f"delete from {quoted(_STAGE)}")
        self._database.fill(_STAGE, batch)
        self._database.execute(
            f"insert into {self._table} ({columns}) select {columns} from {quoted(_STAGE)}"
            f" on conflict ({self._key}) do {f'update set {update}' if others else 'nothing'}"
        )

    def has_rows(self) -> bool:
        """Whether the copy has any rows."""
        return bool(self._database.rows(f"select 1 from {self._table} limit 1"))

    def expect_keys(self) -> None:
        """Create a temporary table for the keys of the connector."""
        self._temporary(_KEYS, pa.schema([self._schema.field(name) for name in self._connector.key]))

    def add_keys(self, batch: pa.RecordBatch) -> None:
        """Add keys of the connector to the temporary table."""
        self._database.fill(_KEYS, batch)

    def delete_others(self) -> int:
        """Delete the rows whose keys the connector does not have, and return their number."""
        same = " and ".join(f"found.{name} = {self._table}.{name}" for name in map(quoted, self._connector.key))
        others = f"from {self._table} where not exists (select 1 from {quoted(_KEYS)} as found where {same})"
        ((gone, known),) = self._database.rows(
            f"select (select count(*) {others}), (select count(*) from {self._table})"
        )
        if gone == known:
            raise AnswerError(
                f"{self._connector.name}: the connector no longer has any of the {known} rows of the copy. Nothing was"
                f" written. If this is right, drop the table and delete its row in {_STATE}",
                connector=self._connector.name,
            )
        self._database.execute(f"delete {others}")
        self._database.execute(f"drop table {quoted(_KEYS)}")
        return int(gone)

    def finish(self, watermark: str) -> None:
        """Store the watermark, and commit."""
        target, name = literal(self._name), literal(self._connector.name)
        self._database.execute(f"drop table {quoted(_STAGE)}")
        self._database.execute(
            f"insert into {_STATE} values ({target}, {name}, {literal(watermark)})"
            " on conflict (target) do update set watermark = excluded.watermark"
        )
        self._database.commit()
