"""Responses that are read to their end in one go, and from the start again with each attempt."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Final

import msgspec
from anyio.lowlevel import checkpoint

from afas_async.calls.fetch import Fetch
from afas_async.errors import AnswerError, AnswerLostError, BusinessError
from afas_async.http.channel import Channel
from afas_async.http.host import stop
from afas_async.wire.decompression import is_framed
from afas_async.wire.error_answers import refusal_in
from afas_async.wire.json_documents import Unreadable, decode
from afas_async.wire.requests import Request

_ANYTHING: Final = msgspec.json.Decoder()
_REFUSAL_LIMIT: Final = 1 << 16  # bytes: a longer response is not a refusal


class Download(Fetch):
    """A response whose pieces a subclass takes.

    Args:
        channel: Sends the request.
        request: The request.
    """

    def __init__(self, channel: Channel, request: Request) -> None:
        # Not releasable: the caller of `run` reads this response itself, and waits for no other call meanwhile.
        super().__init__(channel, request.connector, releasable=False)
        self._request = request
        self._must_restart = True
        self._framed = True

    def _next_request(self) -> Request:
        return self._request

    def _forget(self) -> None:
        super()._forget()
        self._must_restart = True

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the status and headers of a success."""
        super().begin(status, headers)
        compressed = "gzip" in headers.get("Content-Encoding", "").lower()  # gzip marks its own end
        self._framed = compressed or is_framed(headers)

    async def run(self) -> None:
        """Send the request, and take the whole response.

        An attempt that breaks off, or whose body is damaged, is repeated.

        Raises:
            AfasError: If no attempt gives a complete response.
        """
        self._channel.check()
        self.start()
        try:
            while not self._failure:
                try:
                    if await self._step():
                        return
                except (AnswerError, AnswerLostError, BusinessError) as failure:
                    self.start(failure.with_traceback(None))
            raise self._failure
        finally:
            await stop(*self.jobs)

    async def _step(self) -> bool:
        """Take one step, and return whether the response is complete."""
        if self._must_restart:
            self._must_restart = False
            await self._restart()
        elif piece := self._read():
            await self._take(piece)
        elif self._job is not None:
            await self._wait()
        else:
            if self._body is not None:
                self._body.finish()
            self._finish()
            return True
        return False

    @abstractmethod
    async def _restart(self) -> None:
        """Discard everything that an earlier attempt has given."""

    @abstractmethod
    async def _take(self, piece: bytes) -> None:
        """Take the next bytes of the body, at most 64 KiB."""

    @abstractmethod
    def _finish(self) -> None:
        """Raise AnswerError or AnswerLostError unless the response is complete."""


class Document(Download):
    """A response that is kept in memory.

    Args:
        channel: Sends the request.
        request: The request.
        limit: The maximum size of the body in bytes.

    Attributes:
        status: The HTTP status; 0 before the response begins.
        headers: The headers; empty before the response begins.
        data: The part of the body that has arrived.
    """

    def __init__(self, channel: Channel, request: Request, *, limit: int) -> None:
        super().__init__(channel, request)
        self.status: int = 0
        self.headers: Mapping[str, str] = {}
        self.data: bytearray = bytearray()
        self._limit = limit

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the status and headers of a success."""
        super().begin(status, headers)
        self.status, self.headers = status, headers

    async def _restart(self) -> None:
        self.data.clear()

    async def _take(self, piece: bytes) -> None:
        self.data += piece
        if len(self.data) > self._limit:
            text = f"{self.connector}: the response is longer than {self._limit} bytes"
            raise AnswerError(text, connector=self.connector)
        await checkpoint()

    def _finish(self) -> None:
        if not self._framed and isinstance(decode(self.data, _ANYTHING), Unreadable):
            raise AnswerLostError(f"{self.connector}: the response has no marked end", connector=self.connector)
        if len(self.data) <= _REFUSAL_LIMIT and (refusal := refusal_in(bytes(self.data), connector=self.connector)):
            raise refusal
