"""GetConnectors as Arrow batches: reads one group of rows while a thread parses the group before."""

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
    """The options of all functions that read columns; see `batches`."""

    key: str | tuple[str, ...]
    types: Mapping[str, pa.DataType] | None
    select: Iterable[str] | None


def batches(afas: AfasClient, connector: GetConnector[Any] | str, **options: Unpack[ColumnArguments]) -> Batches:
    """Stream the rows of a GetConnector as Arrow record batches, each from about 4 MiB of the response.

    The rows come complete and in key order, with each value as the service wrote it. See the guide
    `afas_async.columns` for types and guarantees.

    Args:
        afas: Your open client.
        connector: The connector, or its name. A Struct row type selects its fields. It also supplies their types if
            your token may not see metainfo.
        options: `key` is the key, if you pass the connector by name. `types` replaces the types of metainfo, by field
            id: `{"EntryDate": pa.date32()}`. `select` lists the field ids of the columns that you want, in your order;
            other fields are not parsed. You can also use all options of `AfasClient.rows`: `where`, `order_by`,
            `after`, `take`, `window`, `part` and `verify`.

    Returns:
        A stream of `pyarrow.RecordBatch`, with `schema`, `progress` and `cursor`. If you cancel a pull, no row is lost.

    Raises:
        UsageError: If an argument is not valid. Nothing was sent.
        RowError: From the stream, if a value does not fit its column. The message suggests a type.
        NonUniqueKeyError: From the stream, if two rows have the same key, or a row has an empty one.
        SchemaDriftError: From the stream, if you use `AfasClient(drift="error")` and the fields of the rows differ from
            the columns. By default you get a warning.
        AfasError: From the stream, if rows cannot be read.

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
    """Stream the rows that were modified since your last run, as Arrow record batches.

    The guide `afas_async.read` describes which changes you get. To keep a copy in a database, use `sync`.

    Args:
        afas: Your open client.
        connector: As for `batches`.
        modified: The field with the moment of a row's last change.
        since: The `watermark` of your last run, or a datetime, or None for all rows.
        key: As for `batches`.
        types: As for `batches`.
        select: As for `batches`.
        after: The `cursor` of an interrupted run, to continue it.
        where: A further condition.

    Returns:
        A stream as from `batches`. After its last batch, you can read its `watermark` and store it.

    Raises:
        UsageError: If an argument is not valid. Nothing was sent.
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
    """Return all rows of a GetConnector as one Arrow table in memory.

    You can pass it to other libraries without copying: `pl.from_arrow(table)` for polars, `table.to_pandas()` for
    pandas, and `duckdb.sql("from table")` for DuckDB. If the rows do not fit into memory, use `batches` or
    `to_parquet`.

    Args:
        afas: Your open client.
        connector: As for `batches`.
        options: As for `batches`.

    Returns:
        The table, with the rows in key order.

    Raises:
        AfasError: As for `batches`. The rows that were read before the error are dropped.

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
    """An asynchronous iterator over Arrow record batches. You get it from `batches` and `changes`.

    Use it as `async with ... as stream`: entering the block requests the schema, and leaving it stops the read. Only
    one task at a time can read.

    Attributes:
        keyed: Whether the read has a key, and so a cursor.
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
        self._last: RawGroup | None = None  # the last group whose rows were returned
        self._over = ""
        self._pulling = False

    @property
    def schema(self) -> pa.Schema:
        """The columns with their types. Their metadata has the labels.

        Raises:
            UsageError: If you read it before the `async with` block, which requests the schema.
        """
        if self._schema is None:
            raise self._misuse("no schema yet: read it within `async with columns.batches(...) as stream`")
        return self._schema

    @property
    def progress(self) -> Progress:
        """The progress of the read, up to the last batch that was returned."""
        return Progress(0, 0, 0, 0.0) if self._last is None else self._last.progress

    @property
    def cursor(self) -> str:
        """The cursor after the last batch that was returned: text that you can store, and pass as `after=` later.

        Raises:
            UsageError: If you read without a key.
        """
        if self._last is None:
            return self._rows.cursor
        if self._last.cursor is None:
            raise self._misuse("a read without a key has no cursor: declare a key to continue reads")
        return self._last.cursor

    @property
    def watermark(self) -> str:
        """The moment up to which your run of `changes` is complete: text to store, and pass as `since=` next time.

        Raises:
            UsageError: If you have not read the last batch, or the stream is not from `changes`.
        """
        if not isinstance(self._rows, Changes):
            raise self._misuse("only columns.changes(...) has a watermark")
        if not self._ended or self._parsing is not None or self._read is not None:
            raise self._misuse("no watermark yet: read all batches first, as only then the run is complete")
        return self._rows.watermark

    async def open(self) -> None:
        """Request the columns, unless the stream has them. `async with` calls this for you.

        Raises:
            UsageError: If `types` or `select` are not valid for the columns.
            AfasError: If the request fails, and the connector has no Struct row type.
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
            raise self._misuse("two tasks read the same stream: open one for each task")
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
        """Stop the requests and the thread, and wait for their end. You can call it more than once."""
        self._over = self._over or "the stream is closed"
        await self._rows.aclose()
        if self._parsing is not None:
            with suppress(Exception):  # an error in rows that nobody will read
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
