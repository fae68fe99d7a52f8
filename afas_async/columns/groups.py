"""Undecoded rows in groups: as text with a row on each line, about 4 MiB at a time; an error comes after its rows."""

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
    """Return the connector that a user names, or gives with its key.

    Raises:
        UsageError: If an argument is of a wrong type, or makes no sense.
    """
    check_type("afas", afas, AfasClient, "an AfasClient")
    return query_of(channel_of(afas), connector, key=key).connector


def channel_of(afas: AfasClient) -> Channel:
    """Return what the calls of a client go through: this floor is the client's own."""
    return afas._channel  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


class RawGroup(msgspec.Struct, frozen=True):
    """Some rows of a read that stand together.

    Args:
        pieces: The rows as JSON objects, with a line break between two of them. An object may have some in itself.
        rows: How many there are.
        before: How many rows of the read stand before them.
        sample: The first of them.
        cursor: The point to go on from after them; None for a read without a key.
        progress: How far the read has come with them.
    """

    pieces: tuple[bytes, ...]
    rows: int
    before: int
    sample: bytes
    cursor: str | None
    progress: Progress

    def text(self) -> bytes:
        """Return the rows as one text: for a thread, as it copies all of them."""
        return b"\n".join(self.pieces)


class RawGroups:
    """Collects the rows of a read into groups.

    Args:
        rows: The read, of rows whose boundaries are proved, and whose text is UTF-8.
        keyed: Whether the read has a key to go on by.

    Attributes:
        failure: What the read has ended with, if it has failed.
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
        """Return the next group, or None at the end and after a failure; a call that is cancelled loses no row."""
        while self._bytes < GROUP_BYTES and self.failure is None:
            try:
                rows: list[Any] = await anext(self._batches, list[Any]())
            except Exception as error:  # noqa: BLE001 - it is raised when the rows before it have been returned
                self.failure = error
                break
            except BaseException:
                self._batches = self._rows.batches()  # a generator that raised has ended, and its stream has not
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
    """Return the JSON objects of a text, which have white space between them.

    Yields:
        Each object, as it is written.
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
