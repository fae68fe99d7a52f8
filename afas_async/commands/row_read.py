"""Read rows into lines of JSON, CSV or Parquet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from afas_async.columns.ndjson import one_on_each_line
from afas_async.commands.row_output import RowSink, in_thread
from afas_async.commands.terminal import ProgressLine
from afas_async.errors import UsageError
from afas_async.vocabulary.connectors import GetConnector
from afas_async.vocabulary.filters import Condition

if TYPE_CHECKING:
    from afas_async.client.client import AfasClient
    from afas_async.read.stream import Progress

_ENCODER = msgspec.json.Encoder(decimal_format="number")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A request for rows.

    Args:
        name: The connector.
        key: The fields of its key.
        where: The condition that rows must meet.
        order_by: Another order than the key's.
        select: The fields to write, in this order; empty for all.
        limit: Rows at most.
    """

    name: str
    key: tuple[str, ...]
    where: Condition | None = None
    order_by: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    limit: int | None = None

    def query(self, form: str) -> str:
        """Return the request as text, to recognise the same read."""
        facts = (self.name, self.key, repr(self.where), self.order_by, self.select, self.limit, form)
        return msgspec.json.encode(facts).decode()


async def read_into(
    afas: AfasClient, wanted: Wanted, form: str, sink: RowSink, *, after: str | None, before: int
) -> int:
    """Read rows into a sink, and return how many.

    Args:
        afas: An open client.
        wanted: What to read.
        form: "ndjson" or "csv".
        sink: Takes the rows.
        after: A cursor to continue from.
        before: The number of rows before it.

    Raises:
        AfasError: If the rows cannot be read.
        OSError: If they cannot be written.
    """
    left = None if wanted.limit is None else wanted.limit - before
    read = _read_csv if form == "csv" else _read_lines
    with ProgressLine(wanted.limit) as line:

        def show(rows: int, progress: Progress) -> None:
            if line.is_due:
                line.show(before + rows, pages=progress.pages, seconds=progress.seconds, bytes=progress.bytes)

        return (
            0 if left is not None and left <= 0 else await read(afas, wanted, sink, after=after, left=left, show=show)
        )


async def _read_lines(
    afas: AfasClient,
    wanted: Wanted,
    sink: RowSink,
    *,
    after: str | None,
    left: int | None,
    show: Callable[[int, Progress], None],
) -> int:
    # Without --select nothing is decoded, so numbers keep their digits.
    row_type: Any = dict if wanted.select else msgspec.Raw
    connector = GetConnector(wanted.name, row_type, key=wanted.key)
    done = 0
    async with afas.rows(connector, where=wanted.where, order_by=wanted.order_by, after=after) as rows:
        async for batch in rows.batches():
            found: list[Any] = batch if left is None else batch[: left - done]
            done += len(found)
            data = _chosen(wanted, found) if wanted.select else json_lines(found)
            whole = len(found) == len(batch)
            await sink.write(data, len(found), rows.cursor if whole else None)
            show(done, rows.progress)
            if not whole or done == left:
                break
    return done


def json_lines(rows: Sequence[msgspec.Raw]) -> bytes:
    """Return undecoded rows as lines of JSON."""
    return one_on_each_line(b"\n".join(rows), len(rows))


def _chosen(wanted: Wanted, rows: Sequence[dict[str, Any]]) -> bytes:
    missing = [field for field in wanted.select if field not in rows[0]]
    if missing:
        raise UsageError(f"{wanted.name}: --select: rows have no field {missing[0]!r}; `fields` lists what they have")
    return _ENCODER.encode_lines([{field: row.get(field) for field in wanted.select} for row in rows])


async def _read_csv(
    afas: AfasClient,
    wanted: Wanted,
    sink: RowSink,
    *,
    after: str | None,
    left: int | None,
    show: Callable[[int, Progress], None],
) -> int:
    columns = columns_room()
    arrow, arrow_csv = import_module("pyarrow"), import_module("pyarrow.csv")
    done, header = 0, after is None
    stream = columns.batches(afas, wanted.name, **_column_options(wanted), after=after)

    def written(batch: Any, *, header: bool) -> bytes:
        buffer = arrow.BufferOutputStream()
        arrow_csv.write_csv(batch, buffer, arrow_csv.WriteOptions(include_header=header))
        return bytes(buffer.getvalue())

    async with stream:
        async for batch in stream:
            found = batch if left is None else batch.slice(0, left - done)
            done += found.num_rows
            data = await asyncio.to_thread(written, found, header=header)
            header, whole = False, found.num_rows == batch.num_rows
            await sink.write(data, found.num_rows, stream.cursor if whole else None)
            show(done, stream.progress)
            if not whole or done == left:
                break
        if header:
            empty = stream.schema.empty_table()
            await sink.write(await asyncio.to_thread(written, empty, header=True), 0, None)
    return done


async def read_parquet(afas: AfasClient, wanted: Wanted, path: Path) -> tuple[int, int]:
    """Read rows into a Parquet file, which appears once it is complete. Return the numbers of rows and bytes.

    Raises:
        AfasError: If the rows cannot be read.
        OSError: If they cannot be written.
    """
    columns = columns_room()
    if wanted.limit is None:
        async with watched(afas):
            written = await columns.to_parquet(afas, wanted.name, path, **_column_options(wanted))
        return written.rows, written.bytes
    batches, done = list[Any](), 0
    stream = columns.batches(afas, wanted.name, **_column_options(wanted))
    async with stream:
        async for batch in stream:
            batches.append(batch.slice(0, wanted.limit - done))
            done += batches[-1].num_rows
            if done == wanted.limit:
                break
    table = import_module("pyarrow").Table.from_batches(batches, stream.schema)

    def write() -> int:
        part = path.with_name(f".{path.name}.part")
        import_module("pyarrow.parquet").write_table(table, part)
        part.replace(path)
        return path.stat().st_size

    return done, await in_thread(write)


def _column_options(wanted: Wanted) -> dict[str, Any]:
    options = {"key": wanted.key, "where": wanted.where, "order_by": wanted.order_by, "select": wanted.select or None}
    return {name: value for name, value in options.items() if value is not None and value != ()}


def columns_room() -> Any:
    """Return `afas_async.columns`, which needs pyarrow.

    Raises:
        UsageError: If pyarrow is missing.
    """
    # After a million rows pyarrow's own allocator keeps 25 MB more. It reads this variable at its import.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    try:
        import_module("pyarrow")
    except ModuleNotFoundError:
        raise UsageError('CSV and Parquet need pyarrow: pip install "afas-async[columns]"') from None
    return import_module("afas_async.columns")


@asynccontextmanager
async def watched(afas: AfasClient) -> AsyncGenerator[None]:
    """Show the progress of a client's reads, while a block runs."""
    with ProgressLine() as line:
        loop = asyncio.get_running_loop()
        started = loop.time()

        async def watch() -> None:
            while True:
                counts = afas.statistics()
                line.show(counts.rows, requests=counts.requests, seconds=loop.time() - started, bytes=counts.bytes)
                await asyncio.sleep(0.1)

        task = asyncio.create_task(watch()) if line.is_due else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
