"""A copy of a connector in a database, kept up to date: changes, deletions and watermark in one transaction."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The stubs of pyarrow leave the types within arrays open.
# ruff: noqa: S608
# The names in statements are quoted, and values travel as batches or as quoted literals.

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
    """What a run of `sync` did.

    Args:
        rows: Rows that were inserted or updated.
        deleted: Rows that were deleted.
        watermark: The moment up to which the copy is complete; it is stored beside the copy.
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

    The first run makes the table out of the schema and reads everything. Each further one reads what was modified since
    the watermark of the last, and inserts or updates. Rows, deletions and watermark are one transaction: whatever ends
    a run, a cancellation or `kill -9`, the copy is that of the run before, and the next run does it again. If you
    cancel during the commit, the commit is done first. The guide, `python -m pydoc afas_async.read`, states which
    changes a run can miss. Two runs into one table exclude each other.

    Args:
        afas: The client.
        connector: The connector, with its key, or its name.
        modified: The field with the moment of the last change of a row.
        into: A connection of DuckDB, or of PostgreSQL by psycopg, psycopg2 or ADBC, without autocommit and without an
            open transaction. It is committed here, and stays open. It is used in a thread.
        table: The name of the table, or schema and table with a dot between them; by default that of the connector.
        deletions: Whether to delete rows that the connector no longer has. That reads the whole connector
            once more, for its keys, into a temporary table.
        key: The key of a connector that you give by name.
        types: As for `batches`.
        select: As for `batches`; it must have the key.
        where: A further condition, the same in each run. A row that no longer meets it is deleted by `deletions`.

    Returns:
        How many rows were written and deleted.

    Raises:
        UsageError: If an argument makes no sense, or the table has columns of other names or types, or rows that no run
            has written. Nothing is written.
        AnswerError: If no row of the copy is there any more: an empty connector must not empty the copy.
        AfasError: As for `batches`. Nothing is written.
        Exception: The database's own, if it refuses. Nothing is written.

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
        raise SortKeyRequiredError(f"{named.name}: a copy needs a key, by which rows are updated")
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
    """The table, and beside it the table that keeps the watermarks."""

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
        """Return the watermark of the last run, and keep other runs out until this one has ended."""
        self._database.create_once(_STATE, "target text primary key, connector text, watermark text")
        self._database.lock(self._name)
        found = self._database.rows(f"select connector, watermark from {_STATE} where target = {literal(self._name)}")
        if not found:
            return None
        ((connector, watermark),) = found
        if connector != self._connector.name:
            raise UsageError(f"{self._connector.name}: the table {self._name} is a copy of {connector}: give another")
        self._known = True
        return str(watermark)

    def open(self, schema: pa.Schema) -> None:
        """Make the table unless it is there, and a temporary one for batches."""
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
                f"{name}: the table {self._name} has other columns ({', '.join(shown)}): alter it, or give select= or"
                f" types=, or drop it and delete its row in {_STATE}"
            )
        if not self._known and self.has_rows():
            raise UsageError(
                f"{name}: the table {self._name} has rows, and is no copy that {_STATE} knows by this name: give"
                " another, or drop it"
            )

    def _temporary(self, name: str, schema: pa.Schema) -> None:
        lines = [f"{quoted(column.name)} {sql_type(column.type)}" for column in schema]
        self._database.execute(f"drop table if exists {quoted(name)}")
        self._database.execute(f"create temporary table {quoted(name)} ({', '.join(lines)})")

    def upsert(self, batch: pa.RecordBatch) -> None:
        """Insert rows, or update those with their keys."""
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
        """Whether there are any."""
        return bool(self._database.rows(f"select 1 from {self._table} limit 1"))

    def expect_keys(self) -> None:
        """Make a temporary table for the keys that the connector has."""
        self._temporary(_KEYS, pa.schema([self._schema.field(name) for name in self._connector.key]))

    def add_keys(self, batch: pa.RecordBatch) -> None:
        """Take note of keys that the connector has."""
        self._database.fill(_KEYS, batch)

    def delete_others(self) -> int:
        """Delete the rows whose keys the connector does not have, and return how many those were."""
        same = " and ".join(f"found.{name} = {self._table}.{name}" for name in map(quoted, self._connector.key))
        others = f"from {self._table} where not exists (select 1 from {quoted(_KEYS)} as found where {same})"
        ((gone, known),) = self._database.rows(
            f"select (select count(*) {others}), (select count(*) from {self._table})"
        )
        if gone == known:
            raise AnswerError(
                f"{self._connector.name}: none of the {known} rows of the copy is there any more: nothing was written;"
                f" if that is right, drop the table and delete its row in {_STATE}",
                connector=self._connector.name,
            )
        self._database.execute(f"delete {others}")
        self._database.execute(f"drop table {quoted(_KEYS)}")
        return int(gone)

    def finish(self, watermark: str) -> None:
        """Store the watermark, and make everything last."""
        target, name = literal(self._name), literal(self._connector.name)
        self._database.execute(f"drop table {quoted(_STAGE)}")
        self._database.execute(
            f"insert into {_STATE} values ({target}, {name}, {literal(watermark)})"
            " on conflict (target) do update set watermark = excluded.watermark"
        )
        self._database.commit()
