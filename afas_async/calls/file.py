"""Files, images and reports: taken from an answer piece by piece, into memory or safely onto a disk."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec
from anyio.lowlevel import checkpoint

from afas_async.calls.document import Download
from afas_async.errors import AnswerError, NotFoundError
from afas_async.http.channel import Channel
from afas_async.vocabulary.hiding import OwnRepr
from afas_async.wire.error_answers import clean
from afas_async.wire.file_answers import About, FileDecoder
from afas_async.wire.requests import Request

# AFAS takes 75 MB at most in one request; what is larger than this was no attachment, and belongs onto a disk.
MEMORY_LIMIT: Final = 256 << 20


class File(OwnRepr, msgspec.Struct, frozen=True):
    """A file, an image or a report.

    Args:
        name: Its name as the service tells it, empty if it tells none. It may be anything: never use it as a path.
        mimetype: Its type as the service tells it, such as "application/pdf".
        data: Its bytes; empty if they were written to `path`.
        size: How many bytes it has.
        path: Where it was written to, if that was asked for.
    """

    name: str
    mimetype: str
    data: bytes
    size: int
    path: Path | None = None

    def __repr__(self) -> str:  # the bytes are many, and may be personal data
        return f"File(name={self.name!r}, mimetype={self.mimetype!r}, size={self.size})"


async def download(
    channel: Channel,
    request: Request,
    *,
    name: str = "",
    to: str | os.PathLike[str] | None = None,
    binary: bool = False,
    on_progress: Callable[[int], None] | None = None,
) -> File:
    """Return the file that a request asks for.

    Args:
        channel: Sends it.
        request: The request, which asks for bare bytes if `binary`.
        name: The name of a file that comes without one.
        to: Where to write it; None for memory.
        binary: Whether the answer holds bare bytes.
        on_progress: Called with the bytes so far.

    Raises:
        NotFoundError: If it is absent or not permitted.
        OSError: If it cannot be written.
        AfasError: If it cannot be had.
    """
    channel.check()
    path = None if to is None else Path(to)
    target = _Memory(request.connector) if path is None else _Disk(path)
    try:
        fetch = _FileDownload(channel, request, target, binary=binary, on_progress=on_progress)
        try:
            await fetch.run()
        except NotFoundError as error:
            missing = _absent(error)
        else:
            data = await target.finish()
            about = fetch.about
            return File(clean(about.filename or name), clean(about.mimetype or ""), data, fetch.taken, path)
    finally:
        target.abandon()
    raise missing


class _Target(Protocol):
    """Where the bytes go."""

    async def restart(self) -> None: ...

    async def write(self, data: bytes) -> None: ...

    async def finish(self) -> bytes: ...

    def abandon(self) -> None: ...


class _Memory:
    def __init__(self, connector: str) -> None:
        self._connector = connector
        self._data = bytearray()

    async def restart(self) -> None:
        self._data.clear()

    async def write(self, data: bytes) -> None:
        if len(self._data) + len(data) > MEMORY_LIMIT:
            text = f"{self._connector}: the file is larger than {MEMORY_LIMIT} bytes: write it to a disk with `to`"
            raise AnswerError(text, connector=self._connector)
        self._data += data
        await checkpoint()

    async def finish(self) -> bytes:
        return bytes(self._data)

    def abandon(self) -> None:
        self._data.clear()


class _Disk:
    """A file beside the one that it becomes, so that there is never half of it under its name.

    It is written in threads of the event loop: a disk can be slow.
    """

    def __init__(self, path: Path) -> None:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        self._path = path
        self._part = path.with_name(f".{secrets.token_hex(8)}.part")
        self._file = self._part.open("xb")

    async def restart(self) -> None:
        await asyncio.to_thread(self._empty)

    def _empty(self) -> None:
        self._file.seek(0)
        self._file.truncate()

    async def write(self, data: bytes) -> None:
        await asyncio.to_thread(self._file.write, data)

    async def finish(self) -> bytes:
        await asyncio.to_thread(self._file.close)
        self._part.replace(self._path)
        return b""

    def abandon(self) -> None:
        with suppress(OSError):  # a full disk fails once more, with bytes that nobody wants
            self._file.close()
        self._part.unlink(missing_ok=True)


class _FileDownload(Download):
    """One file on its way.

    Attributes:
        about: What the service tells of it, in the end.
        taken: How many bytes of it have been written.
    """

    def __init__(
        self,
        channel: Channel,
        request: Request,
        target: _Target,
        *,
        binary: bool,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        super().__init__(channel, request)
        self.about: About = About("")
        self.taken: int = 0
        self._target = target
        self._binary = binary
        self._on_progress = on_progress
        self._mimetype = ""
        self._decoder = FileDecoder(self.connector)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        super().begin(status, headers)
        self._mimetype = headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if self._binary and self._mimetype == "application/json":
            # Nothing else tells an answer in JSON with the file in it, as a service gives that does not know the
            # header, from a file that is JSON.
            text = f"{self.connector}: JSON came in place of the file itself: ask without `binary`"
            raise AnswerError(text, connector=self.connector)
        if self._binary and not self._framed:
            text = f"{self.connector}: nothing tells where the file ends: ask without `binary`"
            raise AnswerError(text, connector=self.connector)

    async def _restart(self) -> None:
        self.taken = 0
        self._decoder = FileDecoder(self.connector)
        await self._target.restart()

    async def _take(self, piece: bytes) -> None:
        data = piece if self._binary else self._decoder.feed(piece)
        await self._target.write(data)
        self.taken += len(data)
        if self._on_progress is not None and data:
            self._on_progress(self.taken)

    def _finish(self) -> None:
        self.about = About("", mimetype=self._mimetype) if self._binary else self._decoder.finish()


def _absent(error: NotFoundError) -> NotFoundError:
    found = NotFoundError(
        f"absent or not permitted, and the service does not tell which ({error.message})",
        status=error.status,
        connector=error.connector,
        error_number=error.error_number,
        log_reference=error.log_reference,
        trace_id=error.trace_id,
    )
    found.attempts = error.attempts
    return found
