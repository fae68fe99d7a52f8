"""One way to send: a slot, a clock, an answer, and another attempt where the rules allow it.

The order matters. A slot of the limiter is taken before the clock starts, because waiting for one's own requests is no
fault of the server's. The time-out covers all attempts and the waits between them. Retries happen here, and nowhere
else. Failures are values: a job hands its failure to whoever waits for it, who raises it in its own frame.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from contextlib import suppress

import anyio
import msgspec

from afas_async.errors import (
    AfasError,
    AnswerError,
    ApiError,
    AuthenticationError,
    RequestTimeoutError,
)
from afas_async.http.auth import NoSigner, Signer
from afas_async.http.call import Call
from afas_async.http.clock import loop_time
from afas_async.http.limiter import Limiter
from afas_async.http.options import Options
from afas_async.http.statistics import Event, Statistics
from afas_async.http.transport import Response, Transport
from afas_async.policy.retrying import WRITE_SECONDS, Retry
from afas_async.policy.verdicts import upload_seconds
from afas_async.wire.decompression import body_reader
from afas_async.wire.error_answers import error_for, token_error_for, trace_of
from afas_async.wire.requests import Request

ERROR_BODY_LIMIT = 1 << 16
ERROR_BODY_SECONDS = 5.0
RESULT_SECONDS = 30.0  # for the body of a success of a write: the work is done, and only its keys are to come

log: logging.Logger = logging.getLogger("afas_async")


class _Attempt(msgspec.Struct):
    """One request under way.

    Args:
        request: What is sent.
        started: When, by the event loop's clock.
        bytes: How many bytes of its body have come.
        connected: Whether the server may have it.
        sent: Whether its last byte has left.
        seconds_left: What was left of the call's time-out when a write began to be sent.
        limit: Seconds that a write has from then on to be sent, and then to be answered.
        succeeded: Whether the head of a success of a write has come.
    """

    request: Request
    started: float
    bytes: int = 0
    connected: bool = False
    sent: bool = False
    seconds_left: float | None = None
    limit: float = 0.0
    succeeded: bool = False


class Engine:
    """Sends calls over one transport, under one limiter.

    Args:
        transport: Sends one request, once.
        limiter: How many requests may be in flight at a time.
        integration_id: Value of the `IntegrationId` header, which AFAS asks of its partners.
        signer: Gives the credential of each request; by default there is none.
        statistics: Where requests are counted, if another engine counts there too.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        limiter: Limiter,
        integration_id: str | None = None,
        signer: Signer | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        self.statistics: Statistics = statistics or Statistics()
        self._transport = transport
        self._limiter = limiter
        self._integration_id = integration_id
        self._signer = signer or NoSigner()
        self._random = random.Random()  # noqa: S311 - jitter, no secret

    def share(self, limiter: Limiter) -> None:
        """Send under another limiter from now on; nothing may be under way."""
        self._limiter = limiter

    async def send(self, call: Call, options: Options, failure: AfasError | None = None) -> AfasError | None:
        """Send a call until it succeeds or fails for good, and return the failure; no AfasError is raised.

        Args:
            call: What to send; all its earlier failures count.
            options: Time-out, retries, language, events.
            failure: What the reader of the last answer found wrong with it; the call is then sent again as after any
                other failure, or not at all.
        """
        try:
            return await self._send(call, options, failure)
        except AfasError as error:  # before an attempt: no credential, or the call was abandoned
            last = call.failures[-1] if call.failures else None
            if isinstance(error, AuthenticationError) and isinstance(last, AuthenticationError):
                return last  # there was no other credential for another attempt
            return error.with_traceback(None)

    async def _send(self, call: Call, options: Options, failure: AfasError | None) -> AfasError | None:
        while True:
            if failure is None:
                failure = await self._attempt(call, options)
            if failure is None:
                return None
            call.failures.append(failure)
            failure.trace_id = call.trace_id  # its reader has not seen the headers
            if isinstance(failure, ApiError):
                failure.attempts = len(call.failures)
            retry = self._renewal(call, failure) or call.retry(
                max_retries=options.max_retries, jitter=self._random.random()
            )
            if retry is None or retry.wait >= call.seconds_left or not call.repeatable:
                return failure
            if retry.smaller and not call.halve():
                return failure
            await self._wait_for(retry, call, options, failure)
            if not call.repeatable:  # no longer wanted
                return failure
            failure = None

    def _renewal(self, call: Call, failure: AfasError) -> Retry | None:
        """Send a refused request once more if there may be another credential: a 401 means that nothing was done."""
        if not isinstance(failure, AuthenticationError) or call.credential is None:
            return None
        final = sum(isinstance(past, AuthenticationError) for past in call.failures) > 1
        renewable = self._signer.refused(call.connector, call.credential, failure, final=final)
        return Retry(0) if renewable else None

    async def _wait_for(self, retry: Retry, call: Call, options: Options, failure: AfasError) -> None:
        if retry.calmer:
            self._limiter.calm()
        if retry.for_all:
            self._limiter.hold(retry.wait)
        self.statistics.retries += 1
        log.info("%s: attempt %d failed, again in %.1f s: %s", call.connector, len(call.failures), retry.wait, failure)
        if options.on_event is not None:
            number = len(call.failures)
            event = Event("retrying", call.connector, "", number, retry.wait, error=failure, trace_id=call.trace_id)
            _tell(options.on_event, event)
        call.seconds_left -= retry.wait
        call.reached("waiting")
        await anyio.sleep(retry.wait)

    async def _attempt(self, call: Call, options: Options) -> AfasError | None:
        await self._limiter.take(call, self.statistics, background=options.priority == "background")
        try:
            # A request that waits for a credential keeps its slot for the one that fetches it, which takes none: so
            # the service gets no more requests at a time, and nothing waits in a circle.
            with anyio.move_on_after(call.seconds_left) as scope:
                call.credential = await self._signer.ready(call.connector)
            if scope.cancelled_caught:
                raise _timeout(call.connector, None, options)
            call.seconds_left = max(0.0, scope.deadline - loop_time())
            return await self._send_once(call, options)
        finally:
            await self._limiter.leave(call)

    async def _send_once(self, call: Call, options: Options) -> AfasError | None:
        statistics = self.statistics
        statistics.in_flight += 1
        statistics.peak_in_flight = max(statistics.peak_in_flight, statistics.in_flight)
        try:
            failure: AfasError | None = None
            await call.prepare()
            call.trace_id = ""
            statistics.requests += 1
            attempt = _Attempt(call.request(), loop_time())
            with anyio.move_on_after(call.seconds_left) as scope:
                failure = await self._exchange(call, attempt, options, scope)
            if scope.cancelled_caught:
                failure = _timeout(call.connector, attempt, options)
            if attempt.seconds_left is not None:
                call.seconds_left = attempt.seconds_left
            else:
                # The deadline has moved along with every pause, so it tells what is left.
                call.seconds_left = max(0.0, scope.deadline - loop_time())
        finally:
            statistics.in_flight -= 1
        if failure is None:
            self._limiter.grow()
        if options.on_event is not None:
            event = Event(
                "failed" if failure else "answered",
                call.connector,
                attempt.request.redacted(),
                len(call.failures) + 1,
                loop_time() - attempt.started,
                attempt.bytes,
                failure,
                call.trace_id,
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
            call.reached("connected")
            if attempt.request.writes:
                # Hanging up would only make the outcome unknown, so from here on the service's own limit counts.
                attempt.seconds_left = max(0.0, scope.deadline - loop_time())
                attempt.limit = upload_seconds(len(attempt.request.body))
                scope.deadline = loop_time() + attempt.limit

        def sent() -> None:
            attempt.sent = True
            call.reached("sent")
            if attempt.request.writes and not attempt.succeeded:  # an answer may come before the body has left
                attempt.limit = options.write_timeout
                scope.deadline = loop_time() + attempt.limit

        try:
            headers = self._headers(attempt.request, options)
            response = await self._transport.send(attempt.request, headers, connected, sent, call.credential)
            call.trace_id = trace_of(response.headers)
            if response.status not in ({200, 201, 204} if attempt.request.writes else {200, 201}):
                return await self._error(response, call, attempt)
            call.begin(response.status, response.headers)
            if attempt.request.writes:
                attempt.succeeded = True
                scope.deadline = min(scope.deadline, loop_time() + RESULT_SECONDS)
            while data := await self._read(response, attempt):
                call.receive(data)
                if call.back_pressure is not None and call.back_pressure.applied:
                    await self._limiter.pause(call.back_pressure, scope)
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
        explain = error_for if attempt.request.form is None else token_error_for
        return explain(response.status, response.headers, body, connector=connector)

    def _headers(self, request: Request, options: Options) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Accept-Language": _language_of(request, options.language),
            "User-Agent": "afas_async",
        }
        if request.body:
            headers["Content-Type"] = "application/json;charset=utf-8"  # or é arrives as ? (AFAS)
        if self._integration_id is not None:
            headers["IntegrationId"] = self._integration_id
        headers.update(request.headers)
        return headers


def _language_of(request: Request, language: str) -> str:
    """Return the language in which a request is answered: labels in the user's, what decides by a text in a known one.

    What became of a call is decided by the texts of the service too, and those in German and French are not documented.
    """
    known = language.lower()[:2] in {"en", "nl"}
    return language if known or request.path.partition("/")[0] == "metainfo" else "en-us"


def _timeout(connector: str, attempt: _Attempt | None, options: Options) -> RequestTimeoutError:
    seconds, text = options.timeout, f"no complete answer within {options.timeout:g} s (all attempts together)"
    if attempt is None:
        text = f"no credential within {seconds:g} s, so that nothing was sent"
    elif attempt.succeeded:
        seconds, text = RESULT_SECONDS, f"a success whose body is not complete {RESULT_SECONDS:g} s after its head"
    elif attempt.seconds_left is not None:
        seconds = attempt.limit
        text = f"no complete answer within {seconds:g} s after it was sent"
        if seconds == WRITE_SECONDS:
            text += ", which is longer than the service takes"
        if not attempt.sent:
            text = f"its body could not be sent within {seconds:.0f} s: the line is too slow for it"
    error = RequestTimeoutError(f"{connector}: {text}", connector=connector, seconds=seconds)
    error.sent = "maybe" if attempt is not None and attempt.connected else "no"
    return error


def _tell(on_event: Callable[[Event], None], event: Event) -> None:
    try:
        on_event(event)
    except Exception:  # a fault in a log or metric must not cost a row
        log.exception("on_event raised")
