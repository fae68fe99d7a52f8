"""GetConnectors as Parquet files, or as folders of them."""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyarrow's stubs do not type all of its options, nor the values of arrays.

from __future__ import annotations

import errno
import os
import secrets
import shutil
from pathlib import Path
from typing import IO, Any, Final, Literal, Unpack, cast, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from afas_async.client.client import AfasClient
from afas_async.columns.new_file import Written, sync_folder, write_file
from afas_async.columns.stream import ColumnArguments, batches
from afas_async.columns.worker import Worker
from afas_async.errors import UsageError
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector

ROW_GROUP: Final = 131_072

Compression = Literal["zstd", "snappy", "gzip", "lz4", "none"]


async def to_parquet(
    afas: AfasClient,
    connector: GetConnector[Any] | str,
    path: str | os.PathLike[str],
    *,
    parts: int | None = None,
    compression: Compression = "zstd",
    **options: Unpack[ColumnArguments],
) -> Written:
    """Write the rows of a GetConnector to a Parquet file, in row groups of 131,072 rows.

    The file gets its name only when it is complete; see the guide `afas_async.columns`. After an error or a
    cancellation you find no new file, and an existing one unchanged. The metadata of the columns has their labels.
    Memory stays at one row group, however large the connector is.

    Args:
        afas: Your open client.
        connector: As for `batches`.
        path: The path of the file. An existing file is replaced.
        parts: The number of files, if you want several: `part-00000.parquet` and so on, each with a range of the key.
            `path` is then the new folder for them. You get fewer files if the key has few values. See
            `AfasClient.plan`.
        compression: "zstd", "snappy", "gzip", "lz4" or "none".
        options: As for `batches`.

    Returns:
        The number of rows and bytes, and the cursor after the last row.

    Raises:
        UsageError: If an argument is not valid. Nothing was sent.
        FileExistsError: If you use `parts`, and the folder is not empty.
        OSError: If the file cannot be written.
        AfasError: As for `batches`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> async def main(path):
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await columns.to_parquet(afas, "Profit_Article", path, key="ItemCode")
        >>> with TemporaryDirectory() as folder:
        ...     asyncio.run(main(f"{folder}/articles.parquet")).rows
        500
    """
    if compression not in get_args(Compression):
        raise UsageError(f"to_parquet: compression: expected one of {', '.join(get_args(Compression))}")
    if parts is None:
        return await _to_file(afas, connector, Path(path), compression, options)
    if options.get("part") is not None or options.get("after") is not None:
        raise UsageError("to_parquet: parts= makes its own parts: use it without part= and after=")
    check_type("parts", parts, int, "a whole number such as 16")
    return await _to_folder(afas, connector, Path(path), compression, options, parts=parts)


async def _to_file(
    afas: AfasClient,
    connector: GetConnector[Any] | str,
    path: Path,
    compression: Compression,
    options: ColumnArguments,
) -> Written:
    stream = batches(afas, connector, **options)
    async with stream:
        size = await write_file(path, lambda part: ParquetFile(part, stream.schema, compression), stream)
        return Written(stream.progress.rows, size, stream.cursor if stream.keyed else None)


async def _to_folder(
    afas: AfasClient,
    connector: GetConnector[Any] | str,
    path: Path,
    compression: Compression,
    options: ColumnArguments,
    *,
    parts: int,
) -> Written:
    folder = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    async with Worker() as worker:
        await worker.run(_refuse_content, path)
        plan = await afas.plan(connector, parts=parts, key=options.get("key", ()), where=options.get("where"))
        rows = size = 0
        try:
            await worker.run(folder.mkdir)
            for number, part in enumerate(plan):
                ranged: ColumnArguments = {**options, "part": part, "where": None}  # the part contains the condition
                written = await _to_file(afas, connector, folder / f"part-{number:05}.parquet", compression, ranged)
                rows, size = rows + written.rows, size + written.bytes
            await worker.run(_rename, folder, path)
        except BaseException:
            await worker.run(shutil.rmtree, folder, ignore_errors=True)
            raise
    return Written(rows, size, None)


def _rename(folder: Path, path: Path) -> None:
    folder.rename(path)
    sync_folder(path.parent)


def _refuse_content(path: Path) -> None:
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


class ParquetFile:
    """Writes record batches in row groups of 131,072 rows.

    Args:
        target: A path or an open binary file.
        schema: The schema of the batches.
        compression: See `to_parquet`.
    """

    def __init__(self, target: Path | IO[bytes], schema: pa.Schema, compression: Compression) -> None:
        # With dictionaries for numbers, too, files are larger and writing takes a third more time.
        texts = [name for name, kind in zip(schema.names, schema.types, strict=True) if pa.types.is_string(kind)]
        self._writer = pq.ParquetWriter(target, schema, compression=compression, use_dictionary=cast("Any", texts))
        self._schema = schema
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add a batch, and write each row group that is full."""
        while self._rows + batch.num_rows >= ROW_GROUP:
            rest = ROW_GROUP - self._rows
            self._held.append(batch.slice(0, rest))
            self._write_held()
            batch = batch.slice(rest)
        self._held.append(batch)
        self._rows += batch.num_rows

    def _write_held(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._held, self._schema), row_group_size=ROW_GROUP)
        self._held, self._rows = [], 0

    def finish(self) -> None:
        """Write the remaining rows and the footer, and close the file."""
        if self._rows:
            self._write_held()
        self._writer.close()

    def abandon(self) -> None:
        """Close the file without completing it."""
        self._writer.close()
