"""GetConnectors as lines of undecoded JSON: the fastest export, without pyarrow."""

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
    """Write the rows of a GetConnector as lines of JSON in UTF-8, exactly as the service wrote them.

    Nothing is decoded: numbers keep their digits, and moments their false `Z`. You do not need pyarrow. The file gets
    its name only when it is complete; see the guide `afas_async.columns`.

    Args:
        afas: Your open client.
        connector: As for `batches`.
        path: The path of the file. An existing file is replaced.
        key: The key, if you pass the connector by name.
        options: As for `AfasClient.rows`.

    Returns:
        The number of rows and bytes, and the cursor after the last row.

    Raises:
        OSError: If the file cannot be written.
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
    """Return undecoded rows as lines of JSON.

    Args:
        text: The rows, with a line break between two of them.
        rows: The number of rows.
    """
    if text.count(b"\n") >= rows:  # JSON allows line breaks within an object
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
