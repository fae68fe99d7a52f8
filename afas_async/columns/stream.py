"""A GetConnector as Arrow batches: one group of rows is read while the one before it is parsed in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any, Self, Unpack, cast

import msgspec
import pyarrow as pa

from afas_async.client.client import AfasClient
from afas_async.client.get_connectors import ReadArguments
from afas_async.columns.groups import RawGroup, RawGroups, RawRows, channel_of, declared
from afas_async.columns.parse import Parsed, Parser
from afas_async.columns.schema import columns_of, columns_of_struct, read_schema, typed
from afas_async.columns.worker import Worker
from afas_async.errors import ApiError, UsageError
from afas_async.http.host import to_its_end
from afas_async.read.changes import Changes
from afas_async.read.drift import report_drift
from afas_async.read.parts import part_of
from afas_async.read.stream import Progress
from afas_async.vocabulary.connectors import GetConnector, row_fields
from afas_async.vocabulary.filters import Condition
from afas_async.wire.slices import Drift


class ColumnArguments(ReadArguments, total=False):
    """The options of all that reads columns; `batches` describes them."""

    key: str | tuple[str, ...]
    types: Mapping[str, pa.DataType] | None
    select: Iterable[str] | None


def batches(afas: AfasClient, connector: GetConnector[Any] | str, **options: Unpack[ColumnArguments]) -> Batches:
    """Return the rows of a GetConnector as Arrow record batches, about 4 MiB of the answer each.

    They come in key order, complete, and each value as the service writes it, with the guarantee of `AfasClient.rows`.
    Each key is checked: a duplicate or empty one raises, wherever it stands. In a read with `order_by=` a duplicate is
    found if both rows are in one batch.

    Args:
        afas: The client.
        connector: The connector, or its name. A Struct row type selects its fields, and gives their types if the token
            may not see metainfo.
        options: `key`, the key of a connector that you give by name. `types`, Arrow types in place of those of
            metainfo, by field id, such as `{"EntryDate": pa.date32()}`. `select`, the field ids of the columns that
            you want, in your order; others are not parsed. All options of `rows`: `where`, `order_by`, `after`, `take`,
            `window`, `part` and `verify`.

    Returns:
        A stream of `pyarrow.RecordBatch`, with `schema`, `progress` and `cursor`. Cancelling a pull loses no row.

    Raises:
        UsageError: If an argument makes no sense. Nothing was sent.
        RowError: From the stream, if a value does not fit its column; it says which type would do.
        NonUniqueKeyError: From the stream, if two rows have the same key, or a row has an empty one.
        SchemaDriftError: From the stream, if no row of a batch has a column, or rows have a field that metainfo does
            not list, and the client has `drift="error"`; else it is a warning.
        AfasError: From the stream, if rows cannot be had.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         async with columns.batches(afas, "Profit_Article", key="ItemCode", select=["Price"]) as stream:
        ...             return str(stream.schema.field("Price").type), [batch.num_rows async for batch in stream]
        >>> asyncio.run(main())
        ('decimal128(18, 2)', [500])
    """
    key, part = options.pop("key", ()), options.get("part")
    if not key and part is not None and isinstance(connector, str):
        key = part_of(connector, part).key
    named = declared(afas, connector, key)
    types, select = options.pop("types", None), options.pop("select", None)
    rows = afas.rows(GetConnector(named.name, msgspec.Raw, key=named.key), **cast("ReadArguments", options))
    keyed = bool(named.key) and options.get("verify", True)
    in_order = not options.get("order_by")
    return Batches(afas, named, rows, types=types, select=select, keyed=keyed, in_key_order=in_order)


def changes(
    afas: AfasClient,
    connector: GetConnector[Any] | str,
    *,
    modified: str,
    since: str | datetime | None = None,
    key: str | tuple[str, ...] = (),
    types: Mapping[str, pa.DataType] | None = None,
    select: Iterable[str] | None = None,
    after: str | None = None,
    where: Condition | None = None,
) -> Batches:
    """Return the rows that were modified since the last run as Arrow record batches; see `AfasClient.changes`.

    Args:
        afas: The client.
        connector: As for `batches`.
        modified: The field with the moment of the last change of a row.
        since: The `watermark` of the last run, or a datetime, or None for all rows.
        key: As for `batches`.
        types: As for `batches`.
        select: As for `batches`.
        after: The `cursor` of a run that was broken off.
        where: A further condition.

    Returns:
        A stream as that of `batches`, whose `watermark` is there after the end.

    Raises:
        UsageError: If an argument makes no sense. Nothing was sent.
        AfasError: From the stream, as for `batches`.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         stream = columns.changes(afas, "Profit_Article", key="ItemCode", modified="ModifiedOn")
        ...         rows = sum([batch.num_rows async for batch in stream])
        ...         return rows, stream.watermark[:12]
        >>> asyncio.run(main())
        (500, '{"version":1')
    """
    named = declared(afas, connector, key)
    raw = GetConnector(named.name, msgspec.Raw, key=named.key)
    rows = afas.changes(raw, modified=modified, since=since, after=after, where=where)
    return Batches(afas, named, rows, types=types, select=select, keyed=bool(named.key), in_key_order=True)


async def to_table(
    afas: AfasClient, connector: GetConnector[Any] | str, **options: Unpack[ColumnArguments]
) -> pa.Table:
    """Return all rows of a GetConnector as one Arrow table, which holds them in memory.

    polars, pandas and DuckDB take it without copying: `pl.from_arrow(table)`, `table.to_pandas()`, `duckdb.sql("from
    table")`.

    Args:
        afas: The client.
        connector: As for `batches`.
        options: As for `batches`.

    Raises:
        AfasError: As for `batches`; the rows read until then are dropped.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         table = await columns.to_table(afas, "Profit_Article", key="ItemCode")
        ...         return table.num_rows, table.column("ItemCode")[499].as_py()
        >>> asyncio.run(main())
        (500, '000500')
    """
    async with batches(afas, connector, **options) as stream:
        return pa.Table.from_batches([batch async for batch in stream], stream.schema)


class Batches:
    """The rows of a connector as Arrow record batches, as an asynchronous iterator. Made by `batches` and `changes`.

    `async with` asks for the schema, and stops the read at the end of the block. One task at a time reads.

    Attributes:
        keyed: Whether the read has a key, by which it can go on.
    """

    def __init__(
        self,
        afas: AfasClient,
        connector: GetConnector[Any],
        rows: RawRows,
        *,
        types: Mapping[str, pa.DataType] | None,
        select: Iterable[str] | None,
        keyed: bool,
        in_key_order: bool,
    ) -> None:
        self._afas = afas
        self._connector = connector
        self._rows = rows
        self._types = types
        self._select = select
        self.keyed: bool = keyed
        self._in_key_order = in_key_order
        self._groups = RawGroups(rows, keyed=keyed)
        self._declared_by = "metainfo"
        self._schema: pa.Schema | None = None
        self._parser: Parser | None = None
        self._worker = Worker()
        self._read: RawGroup | None = None
        self._ended = False
        self._parsing: tuple[RawGroup, asyncio.Future[Parsed]] | None = None
        self._last: RawGroup | None = None  # of which the rows have been returned
        self._over = ""
        self._pulling = False

    @property
    def schema(self) -> pa.Schema:
        """The columns, their types, and their labels as metadata.

        Raises:
            UsageError: Before the block of `async with` has begun, as the service is asked then.
        """
        if self._schema is None:
            raise self._misuse("the schema is there within `async with columns.batches(...) as stream`")
        return self._schema

    @property
    def progress(self) -> Progress:
        """How far the read has come with the batches that were returned."""
        return Progress(0, 0, 0, 0.0) if self._last is None else self._last.progress

    @property
    def cursor(self) -> str:
        """The point to go on from, after the last batch returned: text to store, for `after=`; see `Rows.cursor`.

        Raises:
            UsageError: If there is no such point: the connector is read without a key.
        """
        if self._last is None:
            return self._rows.cursor
        if self._last.cursor is None:
            raise self._misuse("a read without a key has no point to go on from")
        return self._last.cursor

    @property
    def watermark(self) -> str:
        """The moment up to which a run of `changes` is complete; see `Changes.watermark`.

        Raises:
            UsageError: If the last batch has not been returned, or these are no changes.
        """
        if not isinstance(self._rows, Changes):
            raise self._misuse("only columns.changes(...) has a watermark")
        if not self._ended or self._parsing is not None or self._read is not None:
            raise self._misuse(
                "the watermark is there when all batches have been read, as only then the run is complete"
            )
        return self._rows.watermark

    async def open(self) -> None:
        """Ask the service for the columns, unless that is done.

        Raises:
            UsageError: If `types` or `select` make no sense for them.
            AfasError: If the service does not tell, and no Struct row type does.
        """
        if self._schema is not None:
            return
        name, key = self._connector.name, self._connector.key
        members = row_fields(self._connector.row_type)
        try:
            columns = columns_of(await self._afas.get_metainfo(name))
        except ApiError:
            if members is None:
                raise
            columns = columns_of_struct(members)
            self._declared_by = self._connector.row_type.__name__
        select = members if self._select is None else self._select
        self._schema = read_schema(columns, connector=name, key=key, types=self._types, select=select)
        by_name = {column.name: typed(column, self._types or {}) for column in columns}
        self._parser = Parser(
            self._schema,
            [by_name[field] for field in key] if self.keyed else [],
            known=by_name if select is None else None,
            connector=name,
            in_key_order=self._in_key_order,
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        if self._pulling:
            raise self._misuse("two tasks read the same stream: give each its own")
        if self._over:
            raise self._misuse(self._over)
        self._pulling = True
        try:
            return await self._next()
        except StopAsyncIteration:
            raise
        except Exception:
            self._over = "the stream has ended with an error: start a new one"
            await self._rows.aclose()
            raise
        finally:
            self._pulling = False

    async def _next(self) -> pa.RecordBatch:
        await self.open()
        if self._parsing is None:
            await self._read_ahead()
            self._begin()
        if self._parsing is None:
            self._worker.close()
            if self._groups.failure is not None:
                raise self._groups.failure
            raise StopAsyncIteration
        await self._read_ahead()
        group, future = self._parsing
        parsed = await asyncio.shield(future)
        self._report(parsed)
        self._parsing = None
        self._begin()
        self._last = group
        return parsed.batch

    async def _read_ahead(self) -> None:
        if self._read is None and not self._ended:
            self._read = await self._groups.read()
            self._ended = self._read is None

    def _begin(self) -> None:
        if self._read is not None and self._parser is not None:
            self._parsing, self._read = (self._read, self._worker.start(self._parser.parse, self._read)), None

    def _report(self, parsed: Parsed) -> None:
        if parsed.absent or parsed.unknown:
            report_drift(
                channel_of(self._afas), self._connector.name, self._declared_by, Drift(parsed.absent, parsed.unknown)
            )

    def _misuse(self, what: str) -> UsageError:
        return UsageError(f"{self._connector.name}: {what}")

    async def aclose(self) -> None:
        """Stop the requests on their way, and wait until they and the thread have ended. May be called again."""
        self._over = self._over or "the stream is closed"
        await self._rows.aclose()
        if self._parsing is not None:
            with suppress(Exception):  # of rows that nobody wants
                await to_its_end(self._parsing[1])
            self._parsing = None
        self._worker.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
