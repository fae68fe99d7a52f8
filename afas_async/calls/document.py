"""An answer that is wanted as a whole: taken as it arrives, and anew with each attempt."""

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
_REFUSAL_LIMIT: Final = 1 << 16  # bytes: a longer answer holds something else


class Download(Fetch):
    """One answer, for whoever takes its pieces.

    Args:
        channel: Sends it.
        request: The request.
    """

    def __init__(self, channel: Channel, request: Request) -> None:
        # Whoever waits here reads the answer in this very call, which waits for no other.
        super().__init__(channel, request.connector, releasable=False)
        self._request = request
        self._anew = True
        self._framed = True

    def _next_request(self) -> Request:
        return self._request

    def _forget(self) -> None:
        super()._forget()
        self._anew = True

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of a success."""
        super().begin(status, headers)
        packed = "gzip" in headers.get("Content-Encoding", "").lower()  # which has a mark at its end of its own
        self._framed = packed or is_framed(headers)

    async def run(self) -> None:
        """Send the request, and take the whole answer; an attempt that breaks, or whose body is damaged, is repeated.

        Raises:
            AfasError: If it cannot be had.
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
        """Do what comes next; return whether that was all."""
        if self._anew:
            self._anew = False
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
        """Forget what was taken of another attempt."""

    @abstractmethod
    async def _take(self, piece: bytes) -> None:
        """Take the next bytes of the body, 64 KiB at most."""

    @abstractmethod
    def _finish(self) -> None:
        """Check that all of it has come; else raise AnswerError or AnswerLostError."""


class Document(Download):
    """An answer that is kept in memory.

    Args:
        channel: Sends it.
        request: The request.
        limit: How many bytes it may have.

    Attributes:
        status: The HTTP status, once it is there, as the others.
        headers: The headers.
        data: The body.
    """

    def __init__(self, channel: Channel, request: Request, *, limit: int) -> None:
        super().__init__(channel, request)
        self.status: int = 0
        self.headers: Mapping[str, str] = {}
        self.data: bytearray = bytearray()
        self._limit = limit

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of a success."""
        super().begin(status, headers)
        self.status, self.headers = status, headers

    async def _restart(self) -> None:
        self.data.clear()

    async def _take(self, piece: bytes) -> None:
        self.data += piece
        if len(self.data) > self._limit:
            text = f"{self.connector}: the answer is longer than {self._limit} bytes"
            raise AnswerError(text, connector=self.connector)
        await checkpoint()

    def _finish(self) -> None:
        if not self._framed and isinstance(decode(self.data, _ANYTHING), Unreadable):
            raise AnswerLostError(f"{self.connector}: nothing tells where the answer ends", connector=self.connector)
        if len(self.data) <= _REFUSAL_LIMIT and (refusal := refusal_in(bytes(self.data), connector=self.connector)):
            raise refusal
