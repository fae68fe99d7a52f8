"""GetConnectors as resources of dlt, which loads them into its destinations: DuckDB, BigQuery, Snowflake, files, ..."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# The stubs of pyarrow leave the types within arrays open.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from afas_async.client.client import AfasClient
from afas_async.columns.reader import ReaderThread
from afas_async.columns.stream import Batches, batches, changes
from afas_async.errors import UsageError
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector
from afas_async.vocabulary.filters import Condition


def _wall_time(schema: pa.Schema) -> dict[str, Any]:
    """Return what keeps dlt from taking wall time for UTC."""
    hint = {"data_type": "timestamp", "timezone": False}
    return {column.name: {"name": column.name, **hint} for column in schema if pa.types.is_timestamp(column.type)}


def resource(
    connector: GetConnector[Any],
    *,
    modified: str | None = None,
    client: Callable[[], AfasClient] = AfasClient.from_env,
    name: str | None = None,
    types: Mapping[str, pa.DataType] | None = None,
    select: Iterable[str] | None = None,
    where: Condition | None = None,
) -> DltResource:
    """Return a GetConnector as a resource of dlt: Arrow batches with the types of metainfo, and the key as primary key.

    Without `modified` each run replaces the table. With it, each run merges what was modified since the last one: the
    watermark is in the state of the pipeline, which dlt stores with the rows. Deleted rows stay.

    Args:
        connector: The connector, with its key.
        modified: The field with the moment of the last change of a row.
        client: Makes the client of a run, which is opened and closed in a thread of its own.
        name: The name of the resource; by default that of the connector. dlt makes the table's name of it.
        types: Arrow types in place of those of metainfo, as for `columns.batches`.
        select: The columns, as for `columns.batches`.
        where: The condition that rows must meet.

    Raises:
        UsageError: If an argument makes no sense.
        AfasError: From the pipeline as the cause of dlt's own error, as for `columns.batches`.

    Example:
        >>> import dlt
        >>> from afas_async.integrations.dlt import resource
        >>> articles = GetConnector("Profit_Article", key="ItemCode")
        >>> pipeline = dlt.pipeline("afas", destination="duckdb")  # doctest: +SKIP
        >>> pipeline.run(resource(articles, modified="ModifiedOn"))  # doctest: +SKIP
        >>> resource(articles, modified="ModifiedOn").name
        'Profit_Article'
    """
    check_type("connector", connector, GetConnector, "a GetConnector with its key")
    if not callable(client):
        raise UsageError(f"{connector.name}: client: expected a function that returns an AfasClient")
    chosen = list(select) if select is not None and not isinstance(select, str) else select

    def rows() -> Iterator[Any]:
        state: dict[str, Any] = dlt.current.resource_state() if modified is not None else {}

        def opening(afas: AfasClient) -> Batches:
            if modified is None:
                return batches(afas, connector, types=types, select=chosen, where=where)
            since = state.get("watermark")
            return changes(afas, connector, modified=modified, since=since, types=types, select=chosen, where=where)

        thread = ReaderThread(connector.name, client(), opening)
        try:
            stream = thread.begin()
            hints: Any = dlt.mark.make_hints(columns=_wall_time(stream.schema))
            yield dlt.mark.with_hints(stream.schema.empty_table(), hints)
            while (batch := thread.pull()) is not None:
                yield pa.Table.from_batches([batch])
            if modified is not None:
                state["watermark"] = stream.watermark
        finally:
            thread.end()

    make: Any = dlt.resource  # whose overloads know no function without arguments
    made: DltResource = make(
        rows,
        name=name or connector.name,
        primary_key=connector.key,
        write_disposition="replace" if modified is None else "merge",
    )
    return made
