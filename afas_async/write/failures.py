"""The file of failures: the records of a load that are not applied, one JSON document per line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from afas_async.errors import ApiError
from afas_async.http.host import to_its_end
from afas_async.vocabulary.arguments import type_name
from afas_async.vocabulary.elements import Element
from afas_async.vocabulary.outcomes import Outcome
from afas_async.wire.element_bodies import decode_element, encode_element

_FULL: Final = 1 << 18  # bytes that wait before they are written
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class _Line(msgspec.Struct):
    index: int
    status: str
    record: Any = None


class FailureFile:
    """Writes a line for each record that is not applied, in the order in which the outcomes arrive.

    Until the load ends, the lines are in a second file with `.part` after its name: an existing file of failures may be
    the source of this load.

    Args:
        path: The file. If it exists, it is replaced at the end.
        line: Makes the line of an outcome, from the outcome and the encoded record.
        head: Bytes before the first line.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        line: Callable[[Outcome, bytes | None], bytes] | None = None,
        head: bytes = b"",
    ) -> None:
        self._path = Path(path)
        self._line = line or line_of
        self._head = head
        self._part: Path | None = Path(f"{self._path}.part")  # None once the file is complete
        self._is_begun = False
        self._file: IO[bytes] | None = None
        self._waiting = bytearray()

    async def open(self) -> None:
        """Open the file to append lines.

        Raises:
            OSError: If it cannot be opened.
        """

        def work() -> None:
            if self._path.exists() and not self._path.is_file():
                self._part = None  # a device
            self._file = (self._part or self._path).open("ab", 0)

        await to_its_end(asyncio.ensure_future(asyncio.to_thread(work)))

    def begin(self) -> None:
        """Empty the file, and write the head.

        Raises:
            OSError: If the file cannot be written.
        """
        with (self._part or self._path).open("wb") as file:  # works for a device too
            file.write(self._head)
        self._is_begun = True

    def add(self, outcome: Outcome, body: bytes | None) -> None:
        """Add a line, to be written later. If a record has several lines, the last one counts.

        Args:
            outcome: The outcome.
            body: The encoded record, as the user may have changed the original since; None if it could not be encoded.
        """
        self._waiting += self._line(outcome, body)

    @property
    def is_full(self) -> bool:
        """Whether enough lines are waiting to be worth a write."""
        return len(self._waiting) >= _FULL

    async def flush(self) -> None:
        """Write the waiting lines.

        Raises:
            OSError: If they cannot be written.
        """
        if self._file is not None and self._waiting:
            await self._write(_write, self._file)

    async def close(self, *, is_whole: bool = True) -> None:
        """Write the waiting lines, and close the file. A second call does nothing.

        Args:
            is_whole: Whether the file is complete and gets its final name; otherwise it keeps `.part` in it.
        """
        file, self._file = self._file, None
        if file is not None:
            await self._write(self._finish if is_whole else _close, file)

    def _finish(self, file: IO[bytes], lines: bytes) -> None:
        _close(file, lines)
        if self._part is not None:
            if self._is_begun:
                self._part.replace(self._path)
            self._part = None

    async def _write(self, write: Callable[[IO[bytes], bytes], None], file: IO[bytes]) -> None:
        """Write the waiting lines even if the caller is cancelled. Lines that fail to be written stay."""
        lines, self._waiting = bytes(self._waiting), bytearray()

        def work() -> None:
            try:
                write(file, lines)
            except OSError:
                self._waiting = bytearray(lines) + self._waiting
                raise

        await to_its_end(asyncio.ensure_future(asyncio.to_thread(work)))


def failed_records(path: str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    """Read the records that you can load again from a file of failures.

    They are the records that had no effect: rejected and not sent. Correct them, and give them to your next load. You
    do not get records whose outcome is unknown, as the service may have them, nor records that a lookup found later.

    Args:
        path: The file that `load(..., failures=path)` or `load.save_failures(path)` wrote.

    Yields:
        The records as dicts, in the order of the lines.

    Raises:
        OSError: If the file cannot be read.
        msgspec.DecodeError: If the file is not a file of failures.

    Example:
        >>> async def main(path):
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         async with afas.load("KnSubject", failures=path) as load:
        ...             await load.add({"StId": 1, "Ds": "Offerte", "St": "no such status"})
        ...         return list(failed_records(path))
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     asyncio.run(main(f"{folder}/failed.ndjson"))
        [{'StId': 1, 'Ds': 'Offerte', 'St': 'no such status'}]
    """
    last: dict[int, str] = {}
    for line in _lines(path):
        last[line.index] = line.status
    for line in _lines(path):
        if last.get(line.index) == line.status and line.status in {"rejected", "not_sent"} and line.record is not None:
            del last[line.index]
            yield line.record


def save(path: str | os.PathLike[str], outcomes: list[Outcome]) -> None:
    """Write a file with one line for each outcome."""
    Path(path).write_bytes(b"".join(map(line_of, sorted(outcomes, key=lambda outcome: outcome.index))))


def line_of(outcome: Outcome, body: bytes | None = None) -> bytes:
    """Return the line of an outcome, with the encoded record; without `body`, with its item."""
    error = outcome.error
    return (
        _ENCODER.encode({
            "index": outcome.index,
            "status": outcome.status,
            "message": None if error is None else str(error),
            "log_reference": error.log_reference if isinstance(error, ApiError) else None,
            "call": outcome.batch,
            "record": _record(outcome.item) if body is None else _plain(decode_element(body)),
        })
        + b"\n"
    )


def _record(item: object) -> Any:
    """Return a record as JSON. A record that cannot be sent may not fit JSON either, and raise any exception."""
    if item is None:
        return None
    with suppress(Exception):
        return _plain(decode_element(encode_element(item, allow_none=True)))
    with suppress(Exception):
        return msgspec.Raw(_ENCODER.encode(msgspec.to_builtins(item, str_keys=True, enc_hook=str)))
    return f"not JSON: {type_name(item)}"


def _plain(element: Element) -> dict[str, Any]:
    """Return an element as a dict that `load` accepts."""
    record: dict[str, Any] = {f"@{name}": value for name, value in element.key.items()}
    if element.action is not None:
        record["@Action"] = element.action
    record |= element.fields
    for name, inner in element.objects.items():
        parts = inner if isinstance(inner, list) else [inner]
        plain = [_plain(part) for part in parts if isinstance(part, Element)]
        record[name] = plain if isinstance(inner, list) else plain[0]
    return record


def _lines(path: str | os.PathLike[str]) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(_Line, float_hook=Decimal)
    with Path(path).open("rb") as file:
        for line in file:
            try:
                yield decoder.decode(line)
            except msgspec.DecodeError:
                if line.endswith(b"\n") or not line.startswith(b'{"index":'):
                    raise
                # else the program was killed while it wrote this last line


def _write(file: IO[bytes], lines: bytes) -> None:
    """Write all of the lines, or none of them."""
    start, rest = file.seek(0, os.SEEK_END) if file.seekable() else None, memoryview(lines)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        if start is not None:
            with suppress(OSError):
                file.truncate(start)
        raise


def _close(file: IO[bytes], lines: bytes) -> None:
    with file:
        _write(file, lines)
