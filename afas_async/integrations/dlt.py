"""GetConnectors as resources of dlt, so that you can load them into DuckDB, BigQuery, Snowflake, files and others.

Install it with `pip install "afas-async[columns]" dlt`.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow's stubs do not type the values of arrays.

from __future__ import annotations

__docformat__ = "google"

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
    """Return the hints for dlt that moments are wall time, not UTC."""
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
    """Return a GetConnector as a resource that you can pass to a dlt pipeline.

    It loads Arrow batches with the types of metainfo, and the key as primary key. Without `modified`, each run replaces
    the table. With `modified`, each run merges the rows that were modified since your last run. dlt stores the
    watermark for that in the state of your pipeline, together with the rows. Deleted rows stay in the table.

    Args:
        connector: The connector, with its key.
        modified: The field with the moment of a row's last change.
        client: A function that returns the client for a run. A thread opens and closes the client.
        name: The name of the resource, from which dlt derives the name of the table; by default the connector's name.
        types: Arrow types that replace those of metainfo, as for `columns.batches`.
        select: The columns, as for `columns.batches`.
        where: The condition that rows must meet.

    Returns:
        The resource.

    Raises:
        UsageError: If an argument is not valid.
        AfasError: When you run the pipeline, as for `columns.batches`. It is the cause of dlt's own error.

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

    make: Any = dlt.resource  # its overloads require a function with arguments
    made: DltResource = make(
        rows,
        name=name or connector.name,
        primary_key=connector.key,
        write_disposition="replace" if modified is None else "merge",
    )
    return made
