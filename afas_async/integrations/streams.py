"""Rows as bytes, batch by batch, for the streaming response of any framework."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Final, cast

import msgspec

from afas_async.errors import UsageError
from afas_async.read.stream import Rows, RowStream

if TYPE_CHECKING:
    from afas_async.columns.stream import Batches

NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv; charset=utf-8"
EVENTS: Final = "text/event-stream"
PARQUET: Final = "application/vnd.apache.parquet"
_PIECE: Final = 1 << 20


async def ndjson(rows: RowStream[Any], *, cursor: bool = False) -> AsyncGenerator[bytes]:
    """Iterate over the rows as lines of JSON.

    Args:
        rows: `afas.rows(...)` or `afas.changes(...)`.
        cursor: Whether to end with a line `{"cursor": "..."}`, from which a later read goes on. A reader that finds
            this line knows that it has all rows.

    Yields:
        The lines of one batch, about 64 KiB. Decimals are texts.

    Raises:
        UsageError: There is no cursor: the rows are read without a key, or are those of `changes`.
        AfasError: As when iterating over the rows.
    """
    if cursor and not isinstance(rows, Rows):
        raise UsageError("cursor=True is for afas.rows(...): store the `watermark` of afas.changes(...)")
    encoder = msgspec.json.Encoder()
    async for batch in rows.batches():
        yield encoder.encode_lines(batch)
    if cursor:
        yield encoder.encode({"cursor": cast("Rows[Any]", rows).cursor}) + b"\n"


async def started(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Wait for the first chunk, so that what is wrong until then can have a status of its own.

    Args:
        chunks: What a function of this module returns.

    Returns:
        All chunks.

    Raises:
        AfasError: The first chunk cannot be had.
    """
    first = await anext(chunks, b"")

    async def all_of_them() -> AsyncGenerator[bytes]:
        if first:
            yield first
        async for chunk in chunks:
            yield chunk

    return all_of_them()


async def csv_lines(rows: RowStream[Any], *, delimiter: str = ",") -> AsyncGenerator[bytes]:
    """Iterate over the rows as CSV, in UTF-8, with the service's names of the fields as the first line.

    Args:
        rows: `afas.rows(...)` or `afas.changes(...)`, of Structs or dicts.
        delimiter: What stands between two fields: a Dutch Excel expects ";".

    Yields:
        The lines of one batch, about 64 KiB. A missing value is an empty field. Of dicts without a row there is no
        first line, as nothing names their fields.

    Raises:
        UsageError: The rows are of type `msgspec.Raw`.
        AfasError: As when iterating over the rows.
    """
    row_type = rows.connector.row_type
    if row_type is msgspec.Raw:
        raise UsageError("CSV needs rows of a Struct or of dict, not of msgspec.Raw")
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter)
    values: Callable[[Any], tuple[Any, ...]] | None = None
    if issubclass(row_type, msgspec.Struct):
        writer.writerow(field.encode_name for field in msgspec.structs.fields(row_type))
        values = msgspec.structs.astuple
    async for batch in rows.batches():
        if values is None:
            writer.writerow(batch[0])
            values = _values_of(tuple(batch[0]))
        writer.writerows(map(values, batch))
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    if text.tell():
        yield text.getvalue().encode()


async def parquet(batches: Batches) -> AsyncGenerator[bytes]:
    """Iterate over record batches as a Parquet file, compressed with zstd; it needs `afas-async[columns]`.

    Args:
        batches: What `columns.batches(...)` or `columns.changes(...)` returns.

    Yields:
        Pieces of 1 MiB at most. A row group of 131,072 rows is in memory. Encoding is done in a thread.

    Raises:
        AfasError: As when iterating over the batches.
    """
    from afas_async.columns.parquet import ParquetFile  # noqa: PLC0415 - only this needs pyarrow

    written = _Written()
    first = await anext(batches, None)
    file = await asyncio.to_thread(ParquetFile, cast("IO[bytes]", written), batches.schema, "zstd")
    try:
        if first is not None:
            await asyncio.to_thread(file.write, first)
        async for batch in batches:
            await asyncio.to_thread(file.write, batch)
            for piece in written.take():
                yield piece
        await asyncio.to_thread(file.finish)
    except BaseException:
        file.abandon()
        raise
    for piece in written.take():
        yield piece


class _Written(io.RawIOBase):
    """A file that is read as it is written: it keeps what nobody has taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def take(self) -> Iterator[bytes]:
        """Return what was written since the last time, in pieces."""
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                yield piece[start : start + _PIECE]


async def events(progress: AsyncIterable[Any]) -> AsyncGenerator[bytes]:
    """Iterate over server-sent events, one for each object, such as those of `load.watch()`.

    Args:
        progress: Objects that msgspec can encode.

    Yields:
        One event with the object as JSON; in the end one of the type `end`, at which a browser should close its
        EventSource, or it would connect again.
    """
    encoder = msgspec.json.Encoder()
    async for each in progress:
        yield b"data: " + encoder.encode(each) + b"\n\n"
    yield b"event: end\ndata: {}\n\n"


def _values_of(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    return lambda row: tuple(row.get(name) for name in names)
