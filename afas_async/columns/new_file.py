"""Writes a file under a temporary name, syncs it, and gives it its final name when it is complete."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import AsyncIterable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from afas_async.columns.worker import Worker

PieceT = TypeVar("PieceT")
PieceT_contra = TypeVar("PieceT_contra", contravariant=True)


class Written(msgspec.Struct, frozen=True):
    """The result of `to_parquet`, `to_csv` or `to_ndjson`.

    Args:
        rows: The number of rows in your file, or in all files together.
        bytes: The size of the file, or of all files together.
        cursor: The cursor after the last row. Pass it as `after=` to continue the same query later. None for a read
            without a key or with `parts=`.
    """

    rows: int
    bytes: int
    cursor: str | None


class Sink(Protocol[PieceT_contra]):
    """Writes the pieces of a read in one file format. Its methods are called in threads, one at a time."""

    def write(self, piece: PieceT_contra, /) -> None:
        """Write the next piece."""
        ...

    def finish(self) -> None:
        """Write the rest, and close the file."""
        ...

    def abandon(self) -> None:
        """Close the file without completing it."""
        ...


async def write_file(
    path: str | os.PathLike[str], open_sink: Callable[[Path], Sink[PieceT]], pieces: AsyncIterable[PieceT]
) -> int:
    """Write a file, and return its size in bytes.

    Until the file is complete, it has a temporary name in the same folder. An error or a cancellation removes it,
    unless it has its final name by then. If the process is killed, the temporary file stays. An existing file is
    replaced.

    Args:
        path: The final path.
        open_sink: Creates the file at the path that it gets, and returns its writer.
        pieces: The content.

    Raises:
        OSError: If the file cannot be written.
    """
    file = _NewFile(Path(path), open_sink)
    async with Worker() as worker:
        try:
            await worker.run(file.open)
            async for piece in pieces:
                await worker.run(file.write, piece)
            return await worker.run(file.complete)
        except BaseException:
            await worker.run(file.remove)
            raise


def sync_folder(folder: Path) -> None:
    """Make the file names in a folder survive a power cut, where the system supports it."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class _NewFile(Generic[PieceT]):
    def __init__(self, path: Path, open_sink: Callable[[Path], Sink[PieceT]]) -> None:
        self._path = path
        self._part = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
        self._open_sink = open_sink
        self._sink: Sink[PieceT] | None = None

    def open(self) -> None:
        if self._path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self._path))
        self._sink = self._open_sink(self._part)

    def write(self, piece: PieceT) -> None:
        assert self._sink is not None  # noqa: S101 - open() comes first
        self._sink.write(piece)

    def complete(self) -> int:
        assert self._sink is not None  # noqa: S101 - open() comes first
        self._sink.finish()
        with self._part.open("rb+") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        self._part.replace(self._path)
        sync_folder(self._path.parent)
        return size

    def remove(self) -> None:
        if self._sink is not None:
            with suppress(Exception):  # a full disk fails again
                self._sink.abandon()
        self._part.unlink(missing_ok=True)
