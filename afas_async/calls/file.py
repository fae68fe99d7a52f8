"""Files, images and reports: downloaded piece by piece, into memory or safely onto a disk."""

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

# AFAS accepts at most 75 MB in one request. A file above this limit was not an attachment, and belongs on a disk.
MEMORY_LIMIT: Final = 256 << 20


class File(OwnRepr, msgspec.Struct, frozen=True):
    """A file, an image or a report that you downloaded.

    `AfasClient.file`, `subject`, `image` and `report` return it.

    Args:
        name: The name that the service reports, empty if it reports none. It can be any text: never use it as a path.
        mimetype: The type that the service reports, such as "application/pdf"; empty if it reports none.
        data: The bytes of the file; empty if they were written to `path`.
        size: The size of the file in bytes.
        path: The path that you gave as `to`; None if the file is in memory.

    Example:
        >>> async def main():
        ...     async with Simulator() as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         return await afas.image(sim.files.images[0].id)
        >>> asyncio.run(main()).mimetype
        'image/png'
    """

    name: str
    mimetype: str
    data: bytes
    size: int
    path: Path | None = None

    def __repr__(self) -> str:  # without the data, which may be large and personal
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
    """Download the file that a request asks for.

    Args:
        channel: Sends the request.
        request: The request, which asks for the plain bytes if `binary` is True.
        name: The name of the file, if the response has none.
        to: The path to write the file to; None keeps it in memory.
        binary: Whether the response holds the plain bytes of the file.
        on_progress: Called with the number of bytes so far.

    Raises:
        NotFoundError: If the file is absent or not permitted.
        OSError: If the file cannot be written.
        AfasError: If the download fails.
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
    """The destination of the bytes."""

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
            text = f"{self._connector}: the file is larger than {MEMORY_LIMIT} bytes: write it to disk with `to`"
            raise AnswerError(text, connector=self._connector)
        self._data += data
        await checkpoint()

    async def finish(self) -> bytes:
        return bytes(self._data)

    def abandon(self) -> None:
        self._data.clear()


class _Disk:
    """Writes to a temporary file next to the final one, so that an incomplete file never has the final name.

    It writes in threads of the event loop, because a disk can be slow.
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
        with suppress(OSError):  # a full disk fails again when it flushes bytes that are discarded anyway
            self._file.close()
        self._part.unlink(missing_ok=True)


class _FileDownload(Download):
    """The download of one file.

    Attributes:
        about: The name and type that the service reports, once the download has ended.
        taken: The number of bytes written so far.
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
            # A service that does not know the header responds with JSON that contains the file. Nothing distinguishes
            # that from a file that is JSON.
            text = f"{self.connector}: got JSON instead of the file: retry without binary=True"
            raise AnswerError(text, connector=self.connector)
        if self._binary and not self._framed:
            text = f"{self.connector}: the end of the file is not marked: retry without binary=True"
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
        f"absent or not permitted, the service does not report which ({error.message})",
        status=error.status,
        connector=error.connector,
        error_number=error.error_number,
        log_reference=error.log_reference,
        trace_id=error.trace_id,
    )
    found.attempts = error.attempts
    return found
