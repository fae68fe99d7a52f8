"""Outputs for rows: standard output, or a file that gets its name when it is complete and can be continued."""

from __future__ import annotations

import asyncio
import gzip
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final, Protocol, Self, TypeVar

import msgspec

from afas_async.errors import UsageError
from afas_async.http.host import to_its_end

T = TypeVar("T")

FORMATS: Final = ("ndjson", "csv", "parquet")
_SUFFIXES: Final = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".parquet": "parquet"}
_FULL: Final = 8 << 20  # bytes to collect before they are written, with the point to continue from


def format_of(path: Path | None, given: str | None) -> tuple[str, str]:
    """Return the format of a file and its compression: ".gz", ".zst" or "".

    Args:
        path: The file; None for standard output.
        given: The format that the user chose, in place of the suffix.

    Raises:
        UsageError: If the format is unknown.
    """
    packing = path.suffix.lower() if path is not None and path.suffix.lower() in {".gz", ".zst"} else ""
    if given is not None and given not in FORMATS:
        raise UsageError(f"unknown format {given!r}: give {', '.join(FORMATS)}")
    suffix = "" if path is None else Path(path.stem if packing else path).suffix.lower()
    found = given or ("ndjson" if path is None else _SUFFIXES.get(suffix))
    if found is None:
        raise UsageError(f"{path}: its suffix does not show the format: give --format {', '.join(FORMATS)}")
    if found == "parquet" and (path is None or packing):
        raise UsageError("Parquet needs a file, and compresses it itself: give -o FILE.parquet")
    return found, packing


class RowSink(Protocol):
    """Takes rows as bytes."""

    async def write(self, data: bytes, rows: int, cursor: str | None) -> None:
        """Take some rows, and the cursor after them."""
        ...


class Pipe:
    """Standard output."""

    async def write(self, data: bytes, rows: int, cursor: str | None) -> None:
        """Write some rows, in a thread because a pipe may be slow.

        Raises:
            BrokenPipeError: If the reader has gone.
        """
        del rows, cursor
        await in_thread(_write_out, data)


class _State(msgspec.Struct):
    """The note beside an incomplete file: how much of it counts, and where to continue."""

    query: str
    cursor: str
    bytes: int
    rows: int


class RowFile:
    """A file of rows. Until it is complete it is `FILE.part`, with `FILE.cursor` to continue from.

    Args:
        path: The file.
        query: The request as text; only the same request can continue.
        packing: ".gz", ".zst" or "".
        resume: Whether to continue an incomplete file, rather than start over.

    Raises:
        UsageError: If the incomplete file is of another read, or a library is missing.
        OSError: If the file cannot be written.

    Attributes:
        after: The cursor to continue from; None at the beginning.
        rows: The number of rows in it.
        size: Its size in bytes.
    """

    def __init__(self, path: Path, query: str, packing: str, *, resume: bool) -> None:
        self._path = path
        self._part = Path(f"{path}.part")
        self._note = Path(f"{path}.cursor")
        self._query = query
        self._pack = _packer(packing)
        self._waiting = bytearray()
        self._waiting_rows = 0
        self._cursor: str | None = None
        state = self._state() if resume else None
        self.after: str | None = None if state is None else state.cursor
        self.rows: int = 0 if state is None else state.rows
        self.size: int = 0 if state is None else state.bytes
        if state is None:
            self._note.unlink(missing_ok=True)
        self._file: IO[bytes] = self._part.open("wb" if state is None else "r+b")
        self._file.truncate(self.size)  # rows after the last note are read again
        self._file.seek(self.size)

    def _state(self) -> _State | None:
        if not self._note.exists() or not self._part.exists():
            return None
        try:
            state = msgspec.json.decode(self._note.read_bytes(), type=_State)
        except msgspec.DecodeError:
            raise UsageError(f"{self._note} is not a cursor file: delete it, or leave out --resume") from None
        if state.query != self._query:
            raise UsageError(f"{self._part} belongs to another read: repeat that, or leave out --resume to start over")
        return state

    async def write(self, data: bytes, rows: int, cursor: str | None) -> None:
        """Take some rows. They are written once there are some megabytes.

        Raises:
            OSError: If they cannot be written.
        """
        self._waiting += data
        self._waiting_rows += rows
        self._cursor = cursor
        if len(self._waiting) >= _FULL:
            await in_thread(self._flush)

    async def complete(self) -> None:
        """Write the last rows, and give the file its name.

        Raises:
            OSError: If it cannot be written.
        """
        await in_thread(self._complete)

    async def close(self) -> None:
        """Close the file. An incomplete one stays, to be continued."""
        await in_thread(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _flush(self) -> None:
        if not self._waiting:
            return
        data, rows = self._pack(bytes(self._waiting)), self._waiting_rows
        self._waiting, self._waiting_rows = bytearray(), 0
        self._file.write(data)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.size += len(data)
        self.rows += rows
        if self._cursor is not None:
            state = msgspec.json.encode(_State(self._query, self._cursor, self.size, self.rows))
            new = Path(f"{self._note}.new")
            new.write_bytes(state)
            new.replace(self._note)

    def _complete(self) -> None:
        self._flush()
        self._file.close()
        self._part.replace(self._path)
        self._note.unlink(missing_ok=True)

    def _close(self) -> None:
        if not self._file.closed:
            try:
                self._flush()
            finally:
                self._file.close()
                if not self._note.exists():  # nothing to continue from
                    self._part.unlink(missing_ok=True)


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run a function in a thread, to its end even if the caller is cancelled, and return its result."""
    return await to_its_end(asyncio.ensure_future(asyncio.to_thread(work, *arguments)))


def _write_out(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _packer(packing: str) -> Callable[[bytes], bytes]:
    """Return a function that compresses a part of a file. Compressed parts joined are a compressed file."""
    if packing == ".gz":
        return gzip.compress
    if packing == ".zst":
        try:
            codec = import_module("pyarrow").Codec("zstd")
        except ModuleNotFoundError:
            raise UsageError('a .zst file needs pyarrow: pip install "afas-async[columns]"') from None
        return lambda data: bytes(codec.compress(data, asbytes=True))
    return bytes
