"""Where rows go: standard output, or a file that can go on after an interruption and is complete under its name."""

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
_FULL: Final = 8 << 20  # bytes that wait before they are written, with the point to go on from


def format_of(path: Path | None, given: str | None) -> tuple[str, str]:
    """Return the format of a file, and how it is packed: ".gz", ".zst" or not at all.

    Args:
        path: The file; None for standard output.
        given: The format that was said, in place of what the suffix says.

    Raises:
        UsageError: If it cannot be told, or there is no such format.
    """
    packing = path.suffix.lower() if path is not None and path.suffix.lower() in {".gz", ".zst"} else ""
    if given is not None and given not in FORMATS:
        raise UsageError(f"there is no format {given!r}: give {', '.join(FORMATS)}")
    suffix = "" if path is None else Path(path.stem if packing else path).suffix.lower()
    found = given or ("ndjson" if path is None else _SUFFIXES.get(suffix))
    if found is None:
        raise UsageError(f"{path}: its suffix does not say what it is: give --format {', '.join(FORMATS)}")
    if found == "parquet" and (path is None or packing):
        raise UsageError("Parquet goes into a file, which is packed by itself: give -o FILE.parquet")
    return found, packing


class RowSink(Protocol):
    """Takes rows as bytes."""

    async def write(self, data: bytes, rows: int, cursor: str | None) -> None:
        """Take some rows, and the point to go on from after them."""
        ...


class Pipe:
    """Standard output."""

    async def write(self, data: bytes, rows: int, cursor: str | None) -> None:
        """Write some rows, in a thread, as a pipe may be slow.

        Raises:
            BrokenPipeError: If nobody reads it any more.
        """
        del rows, cursor
        await in_thread(_write_out, data)


class _State(msgspec.Struct):
    """What stands beside a file that is not complete: how much of it counts, and where to go on."""

    query: str
    cursor: str
    bytes: int
    rows: int


class RowFile:
    """A file of rows, `FILE.part` until it is complete, with `FILE.cursor` beside it to go on from.

    Args:
        path: The file.
        query: What is read, as text: only the same read goes on.
        packing: ".gz", ".zst" or "".
        resume: Whether to go on with what is there, rather than begin anew.

    Raises:
        UsageError: If what is there is of another read, or a library is missing.
        OSError: If the file cannot be written.

    Attributes:
        after: The cursor to go on from; None to begin.
        rows: How many rows are in it.
        size: How many bytes are in it.
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
        self._file.truncate(self.size)  # what was written after the last note is read again
        self._file.seek(self.size)

    def _state(self) -> _State | None:
        if not self._note.exists() or not self._part.exists():
            return None
        try:
            state = msgspec.json.decode(self._note.read_bytes(), type=_State)
        except msgspec.DecodeError:
            raise UsageError(f"{self._note} is no cursor of this program: delete it, or leave --resume out") from None
        if state.query != self._query:
            raise UsageError(f"{self._part} is of another read: repeat that one, or leave --resume out to begin anew")
        return state

    async def write(self, data: bytes, rows: int, cursor: str | None) -> None:
        """Take some rows; they are written once there are some megabytes of them.

        Raises:
            OSError: If they cannot be written.
        """
        self._waiting += data
        self._waiting_rows += rows
        self._cursor = cursor
        if len(self._waiting) >= _FULL:
            await in_thread(self._flush)

    async def complete(self) -> None:
        """Write what waits, and give the file its name.

        Raises:
            OSError: If it cannot be written.
        """
        await in_thread(self._complete)

    async def close(self) -> None:
        """Close the file; one that is not complete stays, with what has come, to go on with."""
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
                if not self._note.exists():  # there is nothing to go on with
                    self._part.unlink(missing_ok=True)


async def in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Do some work in a thread, to its end also when the caller is cancelled, and return what it returns."""
    return await to_its_end(asyncio.ensure_future(asyncio.to_thread(work, *arguments)))


def _write_out(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _packer(packing: str) -> Callable[[bytes], bytes]:
    """Return what packs a part of a file: parts that are packed one by one make a file that is packed."""
    if packing == ".gz":
        return gzip.compress
    if packing == ".zst":
        try:
            codec = import_module("pyarrow").Codec("zstd")
        except ModuleNotFoundError:
            raise UsageError('a .zst file needs pyarrow: pip install "afas-async[columns]"') from None
        return lambda data: bytes(codec.compress(data, asbytes=True))
    return bytes
