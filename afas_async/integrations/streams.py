"""Rows as bytes, batch by batch, for the streaming responses of any web framework.

The guide `afas_async.integrations` shows them with aiohttp.web and Litestar.
"""

from __future__ import annotations

__docformat__ = "google"

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
    """Iterate over your rows as lines of JSON.

    Args:
        rows: `afas.rows(...)` or `afas.changes(...)`.
        cursor: Whether the last line is `{"cursor": "..."}`. Your reader can pass it as `after=` of a later read. If
            the line is there, the reader knows that it has all rows.

    Yields:
        The lines of one batch, about 64 KiB. Decimals become text.

    Raises:
        UsageError: If you want a cursor, but read without a key or use `changes`.
        AfasError: As when you iterate over the rows.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         articles = afas.rows(GetConnector("Profit_Article", key="ItemCode"))
        ...         return b"".join([chunk async for chunk in ndjson(articles, cursor=True)])
        >>> len(asyncio.run(main()).splitlines())
        501
    """
    if cursor and not isinstance(rows, Rows):
        raise UsageError("cursor=True works with afas.rows(...) only: for afas.changes(...), store its `watermark`")
    encoder = msgspec.json.Encoder()
    async for batch in rows.batches():
        yield encoder.encode_lines(batch)
    if cursor:
        yield encoder.encode({"cursor": cast("Rows[Any]", rows).cursor}) + b"\n"


async def started(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Wait for the first chunk of a stream, before you send the status of your response.

    If the read fails before its first chunk, you can still respond with the status of the error. Without `started`, the
    error comes when the response has begun.

    Args:
        chunks: The result of `ndjson`, `csv_lines`, `parquet` or `events`.

    Returns:
        The same stream, with all its chunks.

    Raises:
        AfasError: If the read fails before the first chunk.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         await started(ndjson(afas.rows(GetConnector("Profit_Article", key="Nothing"))))
        >>> asyncio.run(main())  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        afas_async.errors.BusinessError: Profit_Article: HTTP 500: ...
    """
    first = await anext(chunks, b"")

    async def all_of_them() -> AsyncGenerator[bytes]:
        if first:
            yield first
        async for chunk in chunks:
            yield chunk

    return all_of_them()


async def csv_lines(rows: RowStream[Any], *, delimiter: str = ",") -> AsyncGenerator[bytes]:
    """Iterate over your rows as CSV in UTF-8, with the field ids in the first line.

    Args:
        rows: `afas.rows(...)` or `afas.changes(...)`, with Structs or dicts as rows.
        delimiter: The character between two fields. A Dutch Excel expects ";".

    Yields:
        The lines of one batch, about 64 KiB. A missing value becomes an empty field. If you read dicts and there are no
        rows, the field ids are unknown and there is no first line.

    Raises:
        UsageError: If the row type is `msgspec.Raw`.
        AfasError: As when you iterate over the rows.

    Example:
        >>> class Article(msgspec.Struct):
        ...     code: str = msgspec.field(name="ItemCode")
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         articles = afas.rows(GetConnector("Profit_Article", Article, key="ItemCode"))
        ...         return b"".join([chunk async for chunk in csv_lines(articles)])
        >>> asyncio.run(main()).split()[:2]
        [b'ItemCode', b'000001']
    """
    row_type = rows.connector.row_type
    if row_type is msgspec.Raw:
        raise UsageError("CSV needs a Struct or dict as row type, not msgspec.Raw")
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
    """Iterate over the bytes of a Parquet file, compressed with zstd. Install `afas-async[columns]` to use it.

    A thread encodes the rows. The memory that you need is one row group of 131,072 rows.

    Args:
        batches: `columns.batches(...)` or `columns.changes(...)`.

    Yields:
        Pieces of the file, of 1 MiB at most.

    Raises:
        AfasError: As when you iterate over the batches.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         async with columns.batches(afas, "Profit_Article", key="ItemCode") as stream:
        ...             return b"".join([chunk async for chunk in parquet(stream)])
        >>> asyncio.run(main())[:4]
        b'PAR1'
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
    """A file that keeps the written bytes until they are taken."""

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
        """Return the bytes that were written since the last call, in pieces of 1 MiB at most."""
        pieces, self._pieces = self._pieces, []
        for piece in pieces:
            for start in range(0, len(piece), _PIECE):
                yield piece[start : start + _PIECE]


async def events(progress: AsyncIterable[Any]) -> AsyncGenerator[bytes]:
    """Iterate over server-sent events, one for each object, so that a browser can follow a load of yours.

    Args:
        progress: An async iterable of objects that msgspec can encode, such as `load.watch()`.

    Yields:
        An event with the object as JSON. The last event has the type `end`. When your page gets it, close the
        EventSource, or it connects again.

    Example:
        >>> async def progress():
        ...     yield {"applied": 3}
        >>> async def main():
        ...     return [event.strip().splitlines() async for event in events(progress())]
        >>> asyncio.run(main())
        [[b'data: {"applied":3}'], [b'event: end', b'data: {}']]
    """
    encoder = msgspec.json.Encoder()
    async for each in progress:
        yield b"data: " + encoder.encode(each) + b"\n\n"
    yield b"event: end\ndata: {}\n\n"


def _values_of(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    return lambda row: tuple(row.get(name) for name in names)
