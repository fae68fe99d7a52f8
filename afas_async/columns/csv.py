"""GetConnectors as CSV files, written by pyarrow."""
# pyright: reportUnknownMemberType=false
# pyarrow's stubs do not type all of its options.

from __future__ import annotations

import io
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Unpack

import pyarrow as pa
import pyarrow.csv as arrow_csv

from afas_async.client.client import AfasClient
from afas_async.columns.new_file import Written, write_file
from afas_async.columns.stream import ColumnArguments, batches
from afas_async.vocabulary.connectors import GetConnector

_PLAIN_DECIMALS: Final = 6  # pyarrow writes an exponent only for numbers with more decimals
_TEXT_OR_EXPONENT: Final = re.compile(rb'"[^"]*"|-?[0-9.]+E-[0-9]+')


async def to_csv(
    afas: AfasClient,
    connector: GetConnector[Any] | str,
    path: str | os.PathLike[str],
    *,
    delimiter: str = ",",
    **options: Unpack[ColumnArguments],
) -> Written:
    """Write the rows of a GetConnector to a CSV file in UTF-8, with the field ids in its first line.

    Texts are quoted, so you can distinguish an empty text (`""`) from a missing value (nothing). Decimals have a dot
    and all their digits, never an exponent. Moments look like `2024-01-31 09:30:00`. The file gets its name only when
    it is complete; see the guide `afas_async.columns`.

    Args:
        afas: Your open client.
        connector: As for `batches`.
        path: The path of the file. An existing file is replaced.
        delimiter: The character between two values.
        options: As for `batches`.

    Returns:
        The number of rows and bytes, and the cursor after the last row.

    Raises:
        OSError: If the file cannot be written.
        AfasError: As for `batches`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from pathlib import Path
        >>> async def main(path):
        ...     async with Simulator(rows=5) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         await columns.to_csv(afas, "Profit_Article", path, key="ItemCode", select=["ItemCode", "Stock"])
        ...         return path.read_text().splitlines()[:2]
        >>> with TemporaryDirectory() as folder:
        ...     asyncio.run(main(Path(folder, "articles.csv")))
        ['"ItemCode","Stock"', '"000001",335']
    """
    stream = batches(afas, connector, **options)
    async with stream:
        size = await write_file(path, lambda part: _CsvFile(part, stream.schema, delimiter), stream)
        return Written(stream.progress.rows, size, stream.cursor if stream.keyed else None)


class _CsvFile:
    def __init__(self, path: Path, schema: pa.Schema, delimiter: str) -> None:
        options = arrow_csv.WriteOptions(delimiter=delimiter)
        has_exponents = any(pa.types.is_decimal(kind) and kind.scale > _PLAIN_DECIMALS for kind in schema.types)
        self._file = _PlainDecimals(path.open("wb", buffering=0)) if has_exponents else path.open("wb")
        self._writer = arrow_csv.CSVWriter(self._file, schema, write_options=options)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def finish(self) -> None:
        with self._file:
            self._writer.close()

    def abandon(self) -> None:
        with self._file:
            self._writer.close()


class _PlainDecimals(io.BufferedWriter):
    """Writes pyarrow's 1.2E-9 as 0.0000000012. pyarrow writes whole rows to it, about a thousand at a time."""

    def write(self, rows: Any) -> int:
        text = bytes(rows)
        return super().write(_TEXT_OR_EXPONENT.sub(_plain, text) if b"E-" in text else text)


def _plain(found: re.Match[bytes]) -> bytes:
    value = found[0]
    return value if value.startswith(b'"') else format(Decimal(value.decode()), "f").encode()
