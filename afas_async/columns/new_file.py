"""A file that is there when it is complete, and not before: written under a temporary name, synced, and renamed."""

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
    """What was written.

    Args:
        rows: How many rows.
        bytes: The size of the file, or of all files together.
        cursor: The point to go on from after the last row: `after=` of a later read of the same query. None for a read
            without a key, and for one in parts.
    """

    rows: int
    bytes: int
    cursor: str | None


class Sink(Protocol[PieceT_contra]):
    """What a format makes of pieces of a read. Its methods are called in threads, one after the other."""

    def write(self, piece: PieceT_contra, /) -> None:
        """Write the next piece."""
        ...

    def finish(self) -> None:
        """Write what is still to be written, and close the file."""
        ...

    def abandon(self) -> None:
        """Close the file, which nobody wants any more."""
        ...


async def write_file(
    path: str | os.PathLike[str], open_sink: Callable[[Path], Sink[PieceT]], pieces: AsyncIterable[PieceT]
) -> int:
    """Write a file, and return its size in bytes.

    Until it is complete it has a temporary name in the same folder. An error or a cancellation removes it, unless the
    file has its name already when the cancellation comes. After the end of the process by force, it stays there under
    the temporary name. A file of the final name is replaced.

    Args:
        path: What the file will be called.
        open_sink: Makes the file, and returns what writes it.
        pieces: What is written.

    Raises:
        OSError: If the disk refuses.
    """
    file = _NewFile(Path(path), open_sink)
    async with Worker() as worker:
        try:
            await worker.run(file.open)
            async for piece in pieces:
                await worker.run(file.write, piece)
            return await worker.run(file.keep)
        except BaseException:
            await worker.run(file.remove)
            raise


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut, where the system can do that."""
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
        assert self._sink is not None  # noqa: S101 - it is opened first
        self._sink.write(piece)

    def keep(self) -> int:
        assert self._sink is not None  # noqa: S101 - it is opened first
        self._sink.finish()
        with self._part.open("rb+") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        self._part.replace(self._path)
        sync_folder(self._path.parent)
        return size

    def remove(self) -> None:
        if self._sink is not None:
            with suppress(Exception):  # a full disk refuses once more
                self._sink.abandon()
        self._part.unlink(missing_ok=True)
