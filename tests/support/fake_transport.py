"""A transport without a network, and calls without a reader: for what the engine and the session decide."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType

from afas_async import AfasError, AnswerLostError
from afas_async.http.back_pressure import BackPressure
from afas_async.http.call import Call
from afas_async.http.events import Event
from afas_async.http.options import Options
from afas_async.policy.retrying import Retry, retry_read
from afas_async.wire.requests import Request

REQUEST = Request("GET", "connectors/X", "skip=3141592653&take=5897932384&orderbyfieldids=Id", "X")


class FakeResponse:
    """A response made of pieces: bytes, seconds to wait, or an error.

    Attributes:
        closed: Whether its connection was given back.
    """

    def __init__(self, status: int = 200, *pieces: bytes | float | AfasError, **headers: str) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {name.replace("_", "-"): value for name, value in headers.items()}
        self.closed = False
        self._pieces = iter(pieces)

    async def read(self) -> bytes:
        for piece in self._pieces:
            if isinstance(piece, AfasError):
                raise piece
            if isinstance(piece, bytes):
                return piece
            await asyncio.sleep(piece)
        return b""

    def close(self) -> None:
        self.closed = True


Script = Callable[[int], Awaitable[FakeResponse]]


def after(seconds: float, status: int = 200, *pieces: bytes | float | AfasError, **headers: str) -> Script:
    """Return the script that responds after some time."""

    async def answer(_: int) -> FakeResponse:
        await asyncio.sleep(seconds)
        return FakeResponse(status, *pieces, **headers)

    return answer


def in_turn(*scripts: Script) -> Script:
    """Return the script that does something else for each request; the last for all that follow."""

    async def answer(number: int) -> FakeResponse:
        return await scripts[min(number, len(scripts) - 1)](number)

    return answer


class FakeTransport:
    """Responds by a script.

    Args:
        script: Called with the number of the request, from 0.
        opening: Steps of the event loop that opening and closing take each.
        seconds: What opening takes besides.
        failure: What opening raises at its end.

    Attributes:
        sent: The headers of the requests, in order.
        responses: The responses, in order.
        peak: The most requests at a time.
        entered: How often it was opened.
        left: How often it was closed.
    """

    def __init__(
        self, script: Script | None = None, *, opening: int = 0, seconds: float = 0, failure: Exception | None = None
    ) -> None:
        self.sent: list[Mapping[str, str]] = []
        self.responses: list[FakeResponse] = []
        self.now = self.peak = self.entered = self.left = 0
        self._script = script or after(1, 200, b"{}")
        self._opening = opening
        self._seconds = seconds
        self._failure = failure

    async def __aenter__(self) -> object:
        for _ in range(self._opening):
            await asyncio.sleep(0)
        if self._seconds:
            await asyncio.sleep(self._seconds)
        if self._failure is not None:
            raise self._failure
        self.entered += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        self.left += 1
        for _ in range(self._opening):
            await asyncio.sleep(0)

    async def send(
        self,
        request: Request,
        headers: Mapping[str, str],
        connected: Callable[[], None],
        sent: Callable[[], None],
        _: object,
    ) -> FakeResponse:
        assert request.connector == "X"
        connected()
        sent()
        number = len(self.sent)
        self.sent.append(headers)
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            response = await self._script(number)
        finally:
            self.now -= 1
        self.responses.append(response)
        return response


class FakeCall(Call):
    """A call whose response nobody reads.

    Args:
        timeout: Seconds that it has.
        room: Bytes that it takes before its response must pause.
    """

    repeatable = True

    def __init__(self, timeout: float = 300.0, *, room: int = 1 << 30, halves: int = 0) -> None:
        self.received = b""
        super().__init__("X", timeout, BackPressure(lambda: len(self.received), room))
        self._halves = halves

    def request(self) -> Request:
        self.received = b""
        return REQUEST

    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        return retry_read(self.failures, max_retries=max_retries, jitter=jitter)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        assert status
        assert headers is not None

    def receive(self, data: bytes) -> None:
        self.received += data

    def take(self) -> None:
        """Release the back-pressure, as a reader who has caught up does."""
        assert self.back_pressure is not None
        self.back_pressure.release()

    def halve(self) -> bool:
        self._halves -= 1
        return self._halves >= 0


def options(
    timeout: float = 300.0, *, max_retries: int = 3, on_event: Callable[[Event], None] | None = None
) -> Options:
    return Options(timeout=timeout, max_retries=max_retries, language="nl-nl", on_event=on_event)


def lost() -> AnswerLostError:
    return AnswerLostError("X: the connection broke during the response", connector="X")
