"""One way to send: a slot, a clock, an answer, and another attempt where the rules allow it.

The order matters. A slot of the limiter is taken before the clock starts, because waiting for one's own requests is no
fault of the server's. The time-out covers all attempts and the waits between them. Retries happen here, and nowhere
else. Failures are values: a job hands its failure to whoever waits for it, who raises it in its own frame.
"""

from __future__ import annotations

import logging
import random
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal

import anyio
import msgspec

from afas_async.errors import AfasError, AnswerError, ApiError, ConfigurationError, RequestTimeoutError
from afas_async.http.transport import Response, Transport
from afas_async.policy.retrying import WRITE_SECONDS, Retry
from afas_async.wire.answers import error_for
from afas_async.wire.bodies import body_reader
from afas_async.wire.urls import Request

ERROR_BODY_LIMIT = 1 << 16
ERROR_BODY_SECONDS = 5.0
CLEAN_ANSWERS_TO_GROW = 20
_LANGUAGE = re.compile(r"[A-Za-z]{2}-[A-Za-z]{2}", re.ASCII)

log: logging.Logger = logging.getLogger("afas_async")


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a request, for logs and metrics. It never holds a header or a parameter's value.

    An attempt that is cancelled has no event. Rows are decoded later: what is wrong with them is no event but an error
    of the stream, or a "retrying".

    Args:
        kind: "answered" (received to its end, with a success status), "failed" (this attempt), or "retrying".
        connector: The connector or path.
        request: Method, path and parameter names, such as `GET connectors/Profit_Article?skip=...&take=...`; empty for
            "retrying".
        attempt: Number of the attempt, from 1.
        seconds: Duration of the attempt; for "retrying" the seconds until the next.
        bytes: Bytes of the body as they came over the connection.
        error: The failure, if any.
    """

    kind: Literal["answered", "failed", "retrying"]
    connector: str
    request: str
    attempt: int
    seconds: float
    bytes: int = 0
    error: AfasError | None = None


class Options(msgspec.Struct, frozen=True):
    """What `with_options` can change.

    Raises:
        ConfigurationError: If one of them makes no sense.
    """

    timeout: float
    max_retries: int
    language: str
    on_event: Callable[[Event], None] | None

    def __post_init__(self) -> None:
        if not self.timeout > 0:
            raise ConfigurationError(f"timeout must be more than 0 seconds, not {self.timeout}")
        if self.max_retries < 0:
            raise ConfigurationError(f"max_retries must be 0 or more, not {self.max_retries}")
        if not _LANGUAGE.fullmatch(self.language):
            raise ConfigurationError(f"language must look like nl-nl, not {self.language!r}")


class Statistics(msgspec.Struct):
    """What a client has done since it was made, all views together.

    Args:
        requests: Requests sent, every attempt counted.
        retries: Requests sent again after a failure.
        rows: Rows handed out.
        bytes: Bytes of bodies, as they came over the connection.
        seconds_waited: Seconds that requests waited for a free slot, added up.
        in_flight: Requests in flight now.
        peak_in_flight: The most requests in flight at a time.
    """

    requests: int = 0
    retries: int = 0
    rows: int = 0
    bytes: int = 0
    seconds_waited: float = 0.0
    in_flight: int = 0
    peak_in_flight: int = 0


class Call(ABC):
    """What the engine sends, and where the answer goes. Kept by the caller across attempts.

    Args:
        connector: The connector or path, for errors.
        seconds_left: The time-out of all attempts together.
    """

    def __init__(self, connector: str, seconds_left: float) -> None:
        self.connector: str = connector
        self.failures: list[AfasError] = []
        self.seconds_left: float = seconds_left

    @property
    def repeatable(self) -> bool:
        """Whether another attempt is wanted, and can go on where the last one stopped."""
        return True

    @abstractmethod
    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        """Return how to send it again after the last of its failures, or None."""

    def ready(self) -> None:  # noqa: B027 - most calls have nothing to do
        """Do what must be done before each attempt; raise AfasError to give up. The slot is taken, nothing is sent."""

    @abstractmethod
    def request(self) -> Request:
        """Return the request for the next attempt, which starts the answer anew."""

    def connected(self) -> None:  # noqa: B027
        """Take note that from now on the server may have the request."""

    def waiting(self) -> None:  # noqa: B027
        """Take note that another attempt follows after a wait."""

    @abstractmethod
    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the head of a success; raise AnswerError if its body cannot be read."""

    @abstractmethod
    def receive(self, data: bytes) -> None:
        """Take the next bytes of the body, as they came."""

    @property
    def full(self) -> bool:
        """Whether the answer must pause until its reader has caught up."""
        return False

    async def room(self) -> None:  # noqa: B027
        """Wait until the answer may go on."""

    def hurry(self) -> None:  # noqa: B027
        """Never be full again."""

    def halve(self) -> bool:
        """Ask for half from now on; return False if it cannot be halved."""
        return False


class _Attempt(msgspec.Struct):
    """One request under way.

    Args:
        request: What is sent.
        started: When, by the event loop's clock.
        bytes: How many bytes of its body have come.
        connected: Whether the server may have it.
        seconds_left: What was left of the call's time-out when the service got a write.
    """

    request: Request
    started: float
    bytes: int = 0
    connected: bool = False
    seconds_left: float | None = None


class Engine:
    """Sends calls over one transport, under one limiter.

    Args:
        transport: Sends one request, once.
        max_concurrency: How many requests may be in flight at a time.
        integration_id: Value of the `IntegrationId` header, which AFAS asks of its partners.
    """

    def __init__(self, transport: Transport, *, max_concurrency: int, integration_id: str | None = None) -> None:
        self.statistics: Statistics = Statistics()
        self._transport = transport
        self._limit = max_concurrency
        self._limiter = anyio.CapacityLimiter(max_concurrency)
        self._integration_id = integration_id
        self._clean_answers = 0
        self._waiting = 0
        self._paused: set[Call] = set()
        self._random = random.Random()  # noqa: S311 - jitter, no secret

    async def send(self, call: Call, options: Options, failure: AfasError | None = None) -> AfasError | None:
        """Send a call until it succeeds or fails for good, and return the failure.

        Args:
            call: What to send; all its earlier failures count.
            options: Time-out, retries, language, events.
            failure: What the reader of the last answer found wrong with it; the call is then sent again as after any
                other failure, or not at all.
        """
        while True:
            if failure is None:
                failure = await self._attempt(call, options)
            if failure is None:
                return None
            call.failures.append(failure)
            if isinstance(failure, ApiError):
                failure.attempts = len(call.failures)
            retry = call.retry(max_retries=options.max_retries, jitter=self._random.random())
            if retry is None or retry.wait >= call.seconds_left or not call.repeatable:
                return failure
            if retry.smaller and not call.halve():
                return failure
            await self._wait_for(retry, call, options, failure)
            if not call.repeatable:  # no longer wanted
                return failure
            failure = None

    async def _wait_for(self, retry: Retry, call: Call, options: Options, failure: AfasError) -> None:
        if retry.calmer:
            self._clean_answers = 0
            self._limiter.total_tokens = max(1, self._limiter.total_tokens // 2)
        self.statistics.retries += 1
        log.info("%s: attempt %d failed, again in %.1f s: %s", call.connector, len(call.failures), retry.wait, failure)
        if options.on_event is not None:
            event = Event("retrying", call.connector, "", len(call.failures), retry.wait, error=failure)
            _tell(options.on_event, event)
        call.seconds_left -= retry.wait
        call.waiting()
        await anyio.sleep(retry.wait)

    async def _attempt(self, call: Call, options: Options) -> AfasError | None:
        await self._take_slot(call)
        statistics = self.statistics
        try:
            statistics.in_flight += 1
            statistics.peak_in_flight = max(statistics.peak_in_flight, statistics.in_flight)
            failure: AfasError | None = None
            call.ready()
            statistics.requests += 1
            attempt = _Attempt(call.request(), anyio.current_time())
            with anyio.move_on_after(call.seconds_left) as scope:
                failure = await self._exchange(call, attempt, options, scope)
            if scope.cancelled_caught:
                failure = _timeout(call.connector, attempt, options)
            if attempt.seconds_left is not None:
                call.seconds_left = attempt.seconds_left
            else:
                # The deadline has moved along with every pause, so it tells what is left.
                call.seconds_left = max(0.0, scope.deadline - anyio.current_time())
        finally:
            statistics.in_flight -= 1
            self._limiter.release_on_behalf_of(call)
            self._relieve()
        if failure is None:
            self._grow()
        if options.on_event is not None:
            event = Event(
                "failed" if failure else "answered",
                call.connector,
                attempt.request.redacted(),
                len(call.failures) + 1,
                anyio.current_time() - attempt.started,
                attempt.bytes,
                failure,
            )
            _tell(options.on_event, event)
        return failure

    async def _exchange(
        self, call: Call, attempt: _Attempt, options: Options, scope: anyio.CancelScope
    ) -> AfasError | None:
        """Send once, and move the body of a success into the call."""
        response: Response | None = None

        def connected() -> None:
            attempt.connected = True
            call.connected()
            if attempt.request.writes:
                # Hanging up would only make the outcome unknown, so from here on the service's own limit counts.
                attempt.seconds_left = max(0.0, scope.deadline - anyio.current_time())
                scope.deadline = anyio.current_time() + WRITE_SECONDS

        try:
            response = await self._transport.send(attempt.request, self._headers(attempt.request, options), connected)
            if response.status not in ({200, 201, 204} if attempt.request.writes else {200, 201}):
                return await self._error(response, call, attempt)
            call.begin(response.status, response.headers)
            while data := await self._read(response, attempt):
                call.receive(data)
                if call.full:
                    await self._pause(call, scope)
        except AfasError as failure:
            return failure.with_traceback(None)
        finally:
            if response is not None:
                response.close()
        return None

    async def _read(self, response: Response, attempt: _Attempt) -> bytes:
        data = await response.read()
        attempt.bytes += len(data)
        self.statistics.bytes += len(data)
        return data

    async def _error(self, response: Response, call: Call, attempt: _Attempt) -> AfasError:
        connector = call.connector
        if 200 <= response.status < 300:
            return AnswerError(
                f"{connector}: a success with status {response.status} is not documented", connector=connector
            )
        body = b""
        # A text that does not come must not hide the status.
        with anyio.move_on_after(ERROR_BODY_SECONDS), suppress(AfasError):
            reader = body_reader(response.headers.get("Content-Encoding", ""), connector=connector)
            while attempt.bytes < ERROR_BODY_LIMIT and (data := await self._read(response, attempt)):
                reader.feed(data)
                while len(body) < ERROR_BODY_LIMIT and (piece := reader.read(ERROR_BODY_LIMIT)):
                    body += piece
        return error_for(response.status, response.headers, body, connector=connector)

    def _headers(self, request: Request, options: Options) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            # Fixed, because the texts that decide about retries are localised.
            "Accept-Language": options.language,
            "User-Agent": "afas_async",
        }
        if request.body:
            headers["Content-Type"] = "application/json;charset=utf-8"  # or é arrives as ? (AFAS)
        if self._integration_id is not None:
            headers["IntegrationId"] = self._integration_id
        return headers

    # --- slots ---

    async def _take_slot(self, call: Call) -> None:
        try:
            self._limiter.acquire_on_behalf_of_nowait(call)
        except anyio.WouldBlock:
            started = anyio.current_time()
            self._waiting += 1
            self._relieve()
            try:
                await self._limiter.acquire_on_behalf_of(call)
            finally:
                self._waiting -= 1
                self.statistics.seconds_waited += anyio.current_time() - started

    async def _pause(self, call: Call, scope: anyio.CancelScope) -> None:
        """Hold an answer that outgrows its reader's memory; the time-out stands still meanwhile."""
        left, scope.deadline = scope.deadline - anyio.current_time(), float("inf")
        self._paused.add(call)
        self._relieve()
        try:
            await call.room()
        finally:
            self._paused.discard(call)
            scope.deadline = anyio.current_time() + left

    def _relieve(self) -> None:
        """Let paused answers go on if they hold all slots while another call waits for one.

        That call may come from the very loop that should read them: better to spend memory than to wait for ever.
        """
        if self._waiting and len(self._paused) >= self._limiter.borrowed_tokens:
            for call in self._paused:
                call.hurry()

    def _grow(self) -> None:
        """After many clean answers, allow one more request in flight again."""
        self._clean_answers += 1
        if self._clean_answers >= CLEAN_ANSWERS_TO_GROW and self._limiter.total_tokens < self._limit:
            self._clean_answers = 0
            self._limiter.total_tokens += 1


def _timeout(connector: str, attempt: _Attempt, options: Options) -> RequestTimeoutError:
    seconds, which = options.timeout, "(all attempts together)"
    if attempt.seconds_left is not None:
        seconds, which = WRITE_SECONDS, "after it was sent, which is longer than the service takes at most"
    text = f"{connector}: no complete answer within {seconds:g} s {which}"
    error = RequestTimeoutError(text, connector=connector, seconds=seconds)
    error.sent = "maybe" if attempt.connected else "no"
    return error


def _tell(on_event: Callable[[Event], None], event: Event) -> None:
    try:
        on_event(event)
    except Exception:  # a fault in a log or metric must not cost a row
        log.exception("on_event raised")
