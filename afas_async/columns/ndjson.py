"""A GetConnector as lines of JSON, undecoded: the fastest pass-through, for which no Arrow is needed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Unpack

import msgspec

from afas_async.client.client import AfasClient
from afas_async.client.get_connectors import ReadArguments
from afas_async.columns.groups import RawGroup, RawGroups, declared, split_rows
from afas_async.columns.new_file import Written, write_file
from afas_async.vocabulary.connectors import GetConnector


async def to_ndjson(
    afas: AfasClient,
    connector: GetConnector[Any] | str,
    path: str | os.PathLike[str],
    *,
    key: str | tuple[str, ...] = (),
    **options: Unpack[ReadArguments],
) -> Written:
    """Write the rows of a GetConnector as JSON, one on each line, in the service's own words and in UTF-8.

    Nothing is decoded: numbers keep their digits, moments their false `Z`. It needs no pyarrow. The file is there when
    it is complete, as that of `to_parquet`.

    Args:
        afas: The client.
        connector: As for `batches`.
        path: The file, which is replaced if it is there.
        key: The key of a connector that you give by name.
        options: As for `AfasClient.rows`.

    Returns:
        How many rows and bytes were written, and the cursor after the last row.

    Raises:
        OSError: If the disk refuses.
        AfasError: As for `AfasClient.rows`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> async def main(path):
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await columns.to_ndjson(afas, "Profit_Article", path, key="ItemCode")
        >>> with TemporaryDirectory() as folder:
        ...     asyncio.run(main(f"{folder}/articles.ndjson")).rows
        500
    """
    named = declared(afas, connector, key)
    keyed = bool(named.key) and options.get("verify", True)
    async with afas.rows(GetConnector(named.name, msgspec.Raw, key=named.key), **options) as rows:
        size = await write_file(path, _NdjsonFile, _groups(RawGroups(rows, keyed=keyed)))
        return Written(rows.progress.rows, size, rows.cursor if keyed else None)


def one_on_each_line(text: bytes, rows: int) -> bytes:
    """Return undecoded rows, which have a line break between them, as lines of JSON.

    Args:
        text: The rows.
        rows: How many there are.
    """
    if text.count(b"\n") >= rows:  # an object is written over several lines, which JSON allows between its parts
        text = b"\n".join(row.replace(b"\r", b" ").replace(b"\n", b" ") for row in split_rows(text))
    return text + b"\n"


async def _groups(groups: RawGroups) -> AsyncIterator[RawGroup]:
    while (group := await groups.read()) is not None:
        yield group
    if groups.failure is not None:
        raise groups.failure


class _NdjsonFile:
    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")

    def write(self, group: RawGroup) -> None:
        self._file.write(one_on_each_line(group.text(), group.rows))

    def finish(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        self._file.close()
