"""Collects the undecoded rows of a read into groups of about 4 MiB. An error comes after the rows before it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import msgspec

from afas_async.client.client import AfasClient
from afas_async.http.channel import Channel
from afas_async.read.changes import Changes
from afas_async.read.query import query_of
from afas_async.read.stream import Progress, Rows
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import GetConnector

GROUP_BYTES: Final = 4 << 20

RawRows = Rows[msgspec.Raw] | Changes[msgspec.Raw]


def declared(afas: AfasClient, connector: GetConnector[Any] | str, key: str | tuple[str, ...]) -> GetConnector[Any]:
    """Return the connector that a user passes, as a declaration or as a name with a key.

    Raises:
        UsageError: If an argument has the wrong type or is not valid.
    """
    check_type("afas", afas, AfasClient, "an AfasClient")
    return query_of(channel_of(afas), connector, key=key).connector


def channel_of(afas: AfasClient) -> Channel:
    """Return the channel that a client sends its calls through. It is private, but this floor extends the client."""
    return afas._channel  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class RawGroup(msgspec.Struct, frozen=True):
    """Consecutive rows of a read.

    Args:
        pieces: The rows as JSON objects, with a line break between two of them. An object may contain line breaks.
        rows: The number of rows.
        before: The number of rows before them in the read.
        sample: The first row.
        cursor: The cursor after the last row; None for a read without a key.
        progress: The progress of the read after the last row.
    """

    pieces: tuple[bytes, ...]
    rows: int
    before: int
    sample: bytes
    cursor: str | None
    progress: Progress

    def text(self) -> bytes:
        """Return the rows as one text. This copies all of them: call it in a thread."""
        return b"\n".join(self.pieces)


class RawGroups:
    """Collects the rows of a read into groups.

    Args:
        rows: The read. Its rows are complete JSON objects in valid UTF-8.
        keyed: Whether the read has a key, and so a cursor.

    Attributes:
        failure: The error that ended the read, if any.
    """

    def __init__(self, rows: RawRows, *, keyed: bool) -> None:
        self.failure: Exception | None = None
        self._rows = rows
        self._keyed = keyed
        self._batches: AsyncIterator[list[Any]] = rows.batches()
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._count = 0
        self._before = 0
        self._sample = b""

    async def read(self) -> RawGroup | None:
        """Return the next group, or None at the end and after a failure. A cancelled call loses no rows."""
        while self._bytes < GROUP_BYTES and self.failure is None:
            try:
                rows: list[Any] = await anext(self._batches, list[Any]())
            except Exception as error:  # noqa: BLE001 - the caller raises it after the rows before it
                self.failure = error
                break
            except BaseException:
                self._batches = self._rows.batches()  # the error ended the generator, but not its stream
                raise
            if not rows:
                break
            self._sample = self._sample or bytes(rows[0])
            self._pieces.append(b"\n".join(rows))
            self._bytes += len(self._pieces[-1])
            self._count += len(rows)
        return self._take() if self._count else None

    def _take(self) -> RawGroup:
        cursor = self._rows.cursor if self._keyed else None
        progress = self._rows.progress
        group = RawGroup(tuple(self._pieces), self._count, self._before, self._sample, cursor, progress)
        self._before += self._count
        self._pieces, self._bytes, self._count, self._sample = [], 0, 0, b""
        return group


def split_rows(text: bytes) -> Iterator[bytes]:
    """Split a text into JSON objects that are separated by white space.

    Yields:
        Each object, unchanged.
    """
    decoder, at = json.JSONDecoder(parse_float=str, parse_int=str), 0
    whole = text.decode("utf-8", "surrogateescape")
    while at < len(whole):
        if whole[at] in " \t\r\n":
            at += 1
            continue
        _, end = decoder.raw_decode(whole, at)
        yield whole[at:end].encode("utf-8", "surrogateescape")
        at = end
