"""Send calls: take a slot, start the clock, receive the response, and retry where the rules allow it.

The order matters. A call takes a slot of the limiter before its clock starts, because the server is not to blame for
the wait. The time-out covers all attempts and the waits between them. Only the engine retries. Failures are values: a
job returns its failure, and the task that waits for the job raises it in its own frame.
"""

from __future__ import annotations

import random
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
from afas_async.http.events import Event, EventKind, emit, is_heard, log
from afas_async.http.limiter import Limiter
from afas_async.http.options import Options
from afas_async.http.statistics import Counts
from afas_async.http.transport import Response, Transport
from afas_async.policy.retrying import WRITE_SECONDS, Retry
from afas_async.policy.verdicts import upload_seconds
from afas_async.vocabulary.version import __version__
from afas_async.wire.decompression import body_reader
from afas_async.wire.error_answers import error_for, token_error_for, trace_of
from afas_async.wire.requests import Request

ERROR_BODY_LIMIT = 1 << 16
ERROR_BODY_SECONDS = 5.0
USER_AGENT = f"afas_async/{__version__}"
RESULT_SECONDS = 30.0  # for the body of a successful write: the work is done, and only the keys are missing


class Sender(msgspec.Struct, frozen=True):
    """The sender of requests, as headers and events describe it.

    Args:
        environment: The host, for events.
        integration_id: Value of the `IntegrationId` header, which AFAS asks of its partners.
        user_agent: Value of the `User-Agent` header.
    """

    environment: str = ""
    integration_id: str | None = None
    user_agent: str = USER_AGENT


class _Attempt(msgspec.Struct):
    """One attempt to send a request.

    Args:
        request: The request.
        started: The start, by the clock of the event loop.
        waited: The seconds that it has waited for a slot.
        status: The status of the response, once its head has arrived.
        bytes: The number of bytes of the response body so far.
        connected: Whether the server may have the request.
        sent: Whether the last byte of the request was sent.
        seconds_left: The rest of the call's time-out when the upload of a write began; None before that.
        limit: The time limit of a write from then on, in seconds: first for the upload, then for the response.
        succeeded: Whether the service has reported the success of a write.
    """

    request: Request
    started: float
    waited: float = 0.0
    status: int = 0
    bytes: int = 0
    connected: bool = False
    sent: bool = False
    seconds_left: float | None = None
    limit: float = 0.0
    succeeded: bool = False


class Engine:
    """Sends calls over one transport, under one limiter.

    Args:
        transport: Sends a single request, exactly once.
        limiter: Limits the requests in flight.
        signer: Gives the credential of each request. By default requests have no credential.
        counts: The counters, if the engine shares them with another one.
        sender: Who sends, for requests and events.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        limiter: Limiter,
        signer: Signer | None = None,
        counts: Counts | None = None,
        sender: Sender | None = None,
    ) -> None:
        self.counts: Counts = counts or Counts()
        self.sender: Sender = sender or Sender()
        self._transport = transport
        self._limiter = limiter
        self._signer = signer or NoSigner()
        self._random = random.Random()  # noqa: S311 - jitter, no secret

    def share(self, limiter: Limiter) -> None:
        """Use another limiter from now on. No call may be running."""
        self._limiter = limiter

    async def send(self, call: Call, options: Options, failure: AfasError | None = None) -> AfasError | None:
        """Send a call until it succeeds or finally fails, and return the failure. It raises no AfasError.

        Args:
            call: The call. All its earlier failures count.
            options: The time-out, retries, language and events.
            failure: An error that the reader found in the last response. The call is then retried by the same rules as
                after any other failure.
        """
        try:
            return await self._send(call, options, failure)
        except AfasError as error:  # raised before an attempt: the credential is missing, or the call was abandoned
            last = call.failures[-1] if call.failures else None
            if isinstance(error, AuthenticationError) and isinstance(last, AuthenticationError):
                return last  # no other credential was available for another attempt
            return error.with_traceback(None)

    async def _send(self, call: Call, options: Options, failure: AfasError | None) -> AfasError | None:
        while True:
            if failure is None:
                failure = await self._attempt(call, options)
            if failure is None:
                return None
            call.failures.append(failure)
            failure.trace_id = call.trace_id  # a reader that finds a failure has not seen the headers
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
        """Return a retry after a 401 if another credential may be available: the service has then done nothing."""
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
        for counted in self.counts.of(call.connector):
            counted.retries += 1
        status = f" (HTTP {failure.status})" if isinstance(failure, ApiError) else ""
        # Not the text, in which the service may repeat a value.
        text = "%s: attempt %d failed: %s%s, again in %.1f s"
        log.info(text, call.connector, len(call.failures), type(failure).__name__, status, retry.wait)
        if is_heard(options.on_event):
            self._emit("retrying", call, options, seconds=retry.wait, attempt=len(call.failures), failure=failure)
        call.seconds_left -= retry.wait
        call.reached("waiting")
        await anyio.sleep(retry.wait)

    async def _attempt(self, call: Call, options: Options) -> AfasError | None:
        waited = await self._limiter.take(call, background=options.priority == "background")
        if waited:
            for counted in self.counts.of(call.connector):
                counted.seconds_waited += waited
        try:
            # A request that waits for a credential keeps its slot, and the request that fetches the credential needs
            # none of its own here. So the service never gets more requests at a time, and a deadlock is impossible.
            with anyio.move_on_after(call.seconds_left) as scope:
                call.credential = await self._signer.ready(call.connector)
            if scope.cancelled_caught:
                raise _timeout(call.connector, None, options)
            call.seconds_left = max(0.0, scope.deadline - loop_time())
            return await self._send_once(call, options, waited)
        finally:
            await self._limiter.leave(call)

    async def _send_once(self, call: Call, options: Options, waited: float) -> AfasError | None:
        await call.prepare()
        call.trace_id = ""
        attempt = _Attempt(call.request(), loop_time(), waited)
        both = self.counts.of(call.connector)
        for counted in both:
            counted.requests += 1
            counted.in_flight += 1
            counted.peak_in_flight = max(counted.peak_in_flight, counted.in_flight)
        failure: AfasError | None = None
        kind: EventKind = "cancelled"
        try:
            with anyio.move_on_after(call.seconds_left) as scope:
                failure = await self._exchange(call, attempt, options, scope)
            if scope.cancelled_caught:
                failure = _timeout(call.connector, attempt, options)
            if attempt.seconds_left is not None:
                call.seconds_left = attempt.seconds_left
            else:
                # Every pause has moved the deadline, so the rest of the time-out follows from it.
                call.seconds_left = max(0.0, scope.deadline - loop_time())
            kind = "answered" if failure is None else "failed"
        finally:
            for counted in both:
                counted.in_flight -= 1
                counted.failures += failure is not None
            both[1].bytes += attempt.bytes
            if is_heard(options.on_event):
                self._emit(kind, call, options, under_way=attempt, failure=failure)
        if failure is None:
            self._limiter.grow()
        return failure

    async def _exchange(
        self, call: Call, attempt: _Attempt, options: Options, scope: anyio.CancelScope
    ) -> AfasError | None:
        """Send the request once, and pass the body of a success to the call."""
        response: Response | None = None

        def connected() -> None:
            attempt.connected = True
            call.reached("connected")
            if attempt.request.writes:
                # To disconnect now would only make the outcome unknown. From here on the service's own limit counts.
                attempt.seconds_left = max(0.0, scope.deadline - loop_time())
                attempt.limit = upload_seconds(len(attempt.request.body))
                scope.deadline = loop_time() + attempt.limit

        def sent() -> None:
            attempt.sent = True
            call.reached("sent")
            if is_heard(options.on_event):
                self._emit("sent", call, options, under_way=attempt)
            if attempt.request.writes and not attempt.succeeded:  # a response may come before the upload has ended
                attempt.limit = options.write_timeout
                scope.deadline = loop_time() + attempt.limit

        try:
            headers = self._headers(attempt.request, options)
            response = await self._transport.send(attempt.request, headers, connected, sent, call.credential)
            call.trace_id = trace_of(response.headers)
            attempt.status = response.status
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
        self.counts.total.bytes += len(data)
        return data

    async def _error(self, response: Response, call: Call, attempt: _Attempt) -> AfasError:
        connector = call.connector
        if 200 <= response.status < 300:
            return AnswerError(
                f"{connector}: the success status {response.status} is not documented", connector=connector
            )
        body = b""
        # An error text that does not arrive must not hide the status.
        with anyio.move_on_after(ERROR_BODY_SECONDS), suppress(AfasError):
            reader = body_reader(response.headers.get("Content-Encoding", ""), connector=connector)
            while attempt.bytes < ERROR_BODY_LIMIT and (data := await self._read(response, attempt)):
                reader.feed(data)
                while len(body) < ERROR_BODY_LIMIT and (piece := reader.read(ERROR_BODY_LIMIT)):
                    body += piece
        explain = error_for if attempt.request.form is None else token_error_for
        return explain(response.status, response.headers, body, connector=connector)

    def _emit(
        self,
        kind: EventKind,
        call: Call,
        options: Options,
        *,
        under_way: _Attempt | None = None,
        attempt: int = 0,
        seconds: float = 0.0,
        failure: AfasError | None = None,
    ) -> None:
        operation = call.operation
        event = Event(
            kind=kind,
            operation="" if operation is None else operation.id,
            name="" if operation is None else operation.name,
            environment=self.sender.environment,
            connector=call.connector,
            method="" if under_way is None else under_way.request.method,
            attempt=attempt or len(call.failures) + 1,
            status=0 if under_way is None else under_way.status,
            waited=0.0 if under_way is None else under_way.waited,
            seconds=seconds if under_way is None else loop_time() - under_way.started,
            bytes=0 if under_way is None else under_way.bytes,
            elements=call.elements,
            error="" if failure is None else type(failure).__name__,
            trace_id=call.trace_id,
        )
        if operation is not None and kind in {"answered", "failed", "cancelled"}:
            operation.note(event)
        emit(event, options.on_event)

    def _headers(self, request: Request, options: Options) -> dict[str, str]:
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Accept-Language": _language_of(request, options.language),
            "User-Agent": self.sender.user_agent,
        }
        if request.body:
            headers["Content-Type"] = "application/json;charset=utf-8"  # without the charset é arrives as ? (AFAS)
        if self.sender.integration_id is not None:
            headers["IntegrationId"] = self.sender.integration_id
        headers.update(request.headers)
        return headers


def _language_of(request: Request, language: str) -> str:
    """Return the language of the response.

    Metainfo comes in the user's language. All other responses come in English or Dutch: the outcome of a call is
    decided by the service's texts too, and those in German and French are not documented.
    """
    known = language.lower()[:2] in {"en", "nl"}
    return language if known or request.path.partition("/")[0] == "metainfo" else "en-us"


def _timeout(connector: str, attempt: _Attempt | None, options: Options) -> RequestTimeoutError:
    seconds, text = options.timeout, f"no complete response within {options.timeout:g} s (all attempts together)"
    if attempt is None:
        text = f"auth took longer than {seconds:g} s; nothing was sent"
    elif attempt.succeeded:
        seconds = RESULT_SECONDS
        text = f"the service reported success, but the body of the response was not complete {seconds:g} s later"
    elif attempt.seconds_left is not None:
        seconds = attempt.limit
        text = f"no complete response within {seconds:g} s after the request was sent"
        if seconds == WRITE_SECONDS:
            text += ", which is longer than the service takes"
        if not attempt.sent:
            text = f"the body could not be sent within {seconds:.0f} s: the connection is too slow for it"
    error = RequestTimeoutError(f"{connector}: {text}", connector=connector, seconds=seconds)
    error.sent = "maybe" if attempt is not None and attempt.connected else "no"
    return error
