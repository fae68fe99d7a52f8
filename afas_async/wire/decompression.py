"""Body bytes as they arrive, decompressed in bounded steps.

aiohttp's own decompression accepts a truncated gzip body as complete, and decompresses everything that has arrived at
once. So it is switched off, and bodies are decompressed here. The end of the gzip stream and its checksum must have
been seen, nothing may follow it, and no step returns more than it was asked for.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from afas_async.errors import AnswerError, AnswerLostError

_GZIP = 31  # window size for zlib: 15 bits, with a gzip header and trailer


class BodyReader(Protocol):
    """Turns received bytes into body bytes, at most `limit` at a time."""

    @property
    def pending(self) -> int:
        """How many received bytes have not been read."""
        ...

    def feed(self, data: bytes) -> None:
        """Take bytes as they came from the connection."""
        ...

    def read(self, limit: int) -> bytes:
        """Return the next body bytes, `limit` at most; empty if none are ready."""
        ...

    def finish(self) -> None:
        """Declare the end of the received bytes, after `read` has returned empty; raise if the body is incomplete."""
        ...


def body_reader(content_encoding: str, *, connector: str, page: int | None = None) -> BodyReader:
    """Return the reader for a `Content-Encoding`; the client offers only gzip to the server.

    Raises:
        AnswerError: If the encoding is another one, or there are several.
    """
    encoding = content_encoding.strip().lower()
    if encoding in {"", "identity"}:
        return _Plain()
    if encoding in {"gzip", "x-gzip"}:
        return _Gzip(connector, page)
    raise AnswerError(
        f"{connector}: the response has the content encoding {encoding[:40]!r}, which the client did not offer",
        connector=connector,
        page=page,
    )


def is_framed(headers: Mapping[str, str]) -> bool:
    """Whether the head of a response marks where its body ends; without a mark, a truncated body looks complete.

    Args:
        headers: The response headers, looked up without regard to case.
    """
    return "Content-Length" in headers or "chunked" in headers.get("Transfer-Encoding", "").lower()


class _Plain:
    def __init__(self) -> None:
        self.pending = 0
        self._chunks: deque[bytes] = deque()
        self._offset = 0

    def feed(self, data: bytes) -> None:
        if data:
            self.pending += len(data)
            self._chunks.append(data)

    def read(self, limit: int) -> bytes:
        if not self._chunks:
            return b""
        chunk = self._chunks[0]
        piece = chunk[self._offset : self._offset + limit]
        self._offset += len(piece)
        self.pending -= len(piece)
        if self._offset >= len(chunk):
            self._chunks.popleft()
            self._offset = 0
        return piece

    def finish(self) -> None:
        """Accept: a plain body is complete when its framing and its JSON are."""


class _Gzip:
    def __init__(self, connector: str, page: int | None) -> None:
        self._connector = connector
        self._page = page
        self._packed = _Plain()
        self._inflater = zlib.decompressobj(_GZIP)

    @property
    def pending(self) -> int:
        return self._packed.pending + len(self._inflater.unconsumed_tail)

    def feed(self, data: bytes) -> None:
        self._packed.feed(data)

    def read(self, limit: int) -> bytes:
        while True:
            packed = self._inflater.unconsumed_tail
            if not packed:
                packed = self._packed.read(limit)
            if packed and self._inflater.eof:
                raise self._error("bytes follow the end of its gzip stream")
            try:
                piece = self._inflater.decompress(packed, limit)
            except zlib.error as error:
                raise self._error(f"its gzip stream is damaged ({error})") from None
            if self._inflater.unused_data:
                raise self._error("bytes follow the end of its gzip stream")
            if piece or not packed:
                return piece

    def finish(self) -> None:
        if not self._inflater.eof:
            raise AnswerLostError(f"{self._connector}: the gzip body is incomplete", connector=self._connector)

    def _error(self, what: str) -> AnswerError:
        text = f"{self._connector}: the body is damaged: {what}"
        return AnswerError(text, connector=self._connector, page=self._page, damaged=True)
