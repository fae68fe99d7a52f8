"""A single write: sent again only if an attempt provably had no effect, and judged by how far it got."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from afas_async.errors import AfasError, AnswerError, AnswerLostError, ClientClosedError, OutcomeUnknownError
from afas_async.http.call import Call, Stage
from afas_async.http.channel import Channel
from afas_async.http.clock import loop_time
from afas_async.http.host import Job, stop
from afas_async.policy.retrying import LOCK_RETRIES, WRITE_SECONDS, Retry, retry_write
from afas_async.policy.verdicts import Attempt, Reach, Scope, Verdict, applied, failed
from afas_async.vocabulary.outcomes import WriteResult
from afas_async.wire.decompression import BodyReader, body_reader, is_framed
from afas_async.wire.requests import Request
from afas_async.wire.write_answers import Answer, Body, Ending, read_answer

RESULT_LIMIT: Final = 16 << 20  # the maximum size of the response to a write in bytes
_PIECE: Final = 1 << 16

log: logging.Logger = logging.getLogger("afas_async")


class Write(Call):
    """A write that the engine sends; see `http.call.Call`.

    Args:
        channel: Sends the request. Its time-out counts until the request is sent.
        request: The request.
        elements: The number of elements in the request.
        scope: Whether a refusal applies to all elements or to some of them.
        lock_retries: The maximum number of retries while the record is locked.
        before: Awaited before each attempt. If it raises an AfasError, nothing is sent.
        between: Called after an attempt without effect, if another one follows.
    """

    def __init__(
        self,
        channel: Channel,
        request: Request,
        *,
        elements: int = 1,
        scope: Scope = Scope.ALL,
        lock_retries: int = LOCK_RETRIES,
        before: Callable[[], Awaitable[None]] | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(request.connector, channel.options.timeout)
        self._channel = channel
        self._request = request
        self.elements = elements
        self._scope = scope
        self._lock_retries = lock_retries
        self._before = before
        self._between = between
        self._sent_at: datetime | None = None  # when the last byte was sent; until then, when the connection was made
        self._started = 0.0
        self._uploading = False
        self._content_type: str | None = None  # set as soon as the service reports success
        self._is_marked = True
        self._body: BodyReader | None = None
        self._text = bytearray()

    async def send(self) -> Verdict:
        """Send the write and return its outcome. Run it in a job of the session.

        When it is cancelled, it stops at once. You can then ask `verdict` for the outcome.
        """
        return self.verdict(await self._channel.send(self))

    def verdict(self, failure: AfasError | None) -> Verdict:
        """Return the outcome of the write.

        Args:
            failure: The error that came instead of a complete response, or None.
        """
        attempt = self._attempt()
        if self._content_type is not None:
            # The service has reported success. A later failure does not undo it.
            return self._after_success(attempt.seconds, self._ending(failure))
        if failure is None or attempt.reach is Reach.NOWHERE:
            error = failure or ClientClosedError(f"{self.connector}: the write was stopped before it was sent")
            return Verdict("not_sent", attempt.seconds, error=error)
        status = failed(attempt, failure)
        if status == "unknown":
            answered = not isinstance(failure, (TimeoutError, AnswerLostError, ClientClosedError))
            return Verdict("unknown", attempt.seconds, error=self._unknown(str(failure), answered=answered))
        return Verdict(status, attempt.seconds, error=failure)

    @property
    def is_at_service(self) -> bool:
        """Whether the service may have the write now. While it waits for a slot or a retry, the service does not."""
        return self._sent_at is not None

    def _attempt(self) -> Attempt:
        """Return the facts of the last attempt."""
        if not self.is_at_service:
            return Attempt(Reach.NOWHERE, self._scope)
        return Attempt(Reach.SERVICE, self._scope, loop_time() - self._started)

    def _ending(self, failure: AfasError | None) -> Ending:
        if failure is not None or not (self._is_marked or self._text):
            return Ending.BROKEN
        try:
            if self._body is not None:
                self._body.finish()
        except AfasError:
            return Ending.BROKEN
        return Ending.MARKED if self._is_marked else Ending.UNMARKED

    def _after_success(self, seconds: float, ending: Ending) -> Verdict:
        text = bytes(self._text)
        answer = read_answer(text, content_type=self._content_type or "", ending=ending, elements=self.elements)
        count = self._applied(answer, ending)
        lost = ending is Ending.BROKEN or answer.body is Body.BROKEN
        result = WriteResult(answer.keys, text, lost or self._is_lost(answer, ending), trace_id=self.trace_id)
        if count == self.elements:
            return Verdict("applied", seconds, result=result, applied=count)
        reason = answer.reason or f"{self.elements} elements were sent, but the response has {count} of their keys"
        error = self._unknown(reason, answered=True)
        return Verdict("unknown", seconds, result=result if count else None, error=error, applied=count)

    def _applied(self, answer: Answer, ending: Ending) -> int:
        """Return how many of the elements a success reports as applied."""
        return applied(answer.body, ending, elements=self.elements, keys=len(answer.keys))

    def _is_lost(self, answer: Answer, ending: Ending) -> bool:  # noqa: ARG002 - raw calls use them
        """Whether the result is lost although the body seems complete."""
        return False

    def _unknown(self, reason: str, *, answered: bool) -> OutcomeUnknownError:
        # An upload that failed may have reached the service until this moment.
        sent_at = datetime.now(UTC) if self._uploading or self._sent_at is None else self._sent_at
        return OutcomeUnknownError(
            connector=self.connector,
            sent_at=sent_at,
            quiet_until=sent_at + timedelta(seconds=WRITE_SECONDS),
            stage="answered" if answered else "sent",
            reason=reason,
            trace_id=self.trace_id,
        )

    # --- called by the engine: see http.call.Call ---

    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        """Return how to send the write again, by the rules for writes."""
        return retry_write(
            self.failures,
            self._attempt(),
            max_retries=max_retries,
            jitter=jitter,
            lock_retries=self._lock_retries,
        )

    async def prepare(self) -> None:
        """Await `before`."""
        if self._before is not None:
            await self._before()

    def reached(self, stage: Stage) -> None:
        """Record how far an attempt got, and call `between`."""
        match stage:
            case "connected":
                self._sent_at, self._started, self._uploading = datetime.now(UTC), loop_time(), True
            case "sent":
                self._sent_at, self._started, self._uploading = datetime.now(UTC), loop_time(), False
            case "waiting":
                self._sent_at = None  # a write that is cancelled now counts as not sent
                if self._between is not None:
                    self._between()

    def request(self) -> Request:
        """Return the request, the same one for each attempt."""
        return self._request

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Record that the service has applied the write."""
        self._content_type = headers.get("Content-Type", "")
        # Without a length or chunks, an empty body looks the same as one that was cut off.
        self._is_marked = status == 204 or is_framed(headers)
        self._body = body_reader(headers.get("Content-Encoding", ""), connector=self.connector)

    def receive(self, data: bytes) -> None:
        """Keep the text of the response."""
        assert self._body is not None  # noqa: S101 - `begin` comes first
        self._body.feed(data)
        while piece := self._body.read(_PIECE):
            if len(self._text) >= RESULT_LIMIT:
                text = f"{self.connector}: the response is longer than {RESULT_LIMIT} bytes"
                raise AnswerError(text, connector=self.connector)
            self._text += piece


async def send_one(channel: Channel, request: Request) -> WriteResult:
    """Send a request that writes one element, and return the result.

    Raises:
        AfasError: If the element was not applied: it was rejected, or not sent.
        OutcomeUnknownError: If the element may have been applied or not.
    """
    return await conclude(channel, Write(channel, request))


async def conclude(channel: Channel, write: Write) -> WriteResult:
    """Send a write of one element, and return the result; see `send_one`."""
    channel.check()
    job = channel.start(write.send())
    try:
        await asyncio.wait([job])
    except asyncio.CancelledError:
        try:
            await stop(job)
        finally:  # also if the caller is cancelled a second time
            verdict = _ended(job, write, "the caller was cancelled")
            if verdict.status in {"applied", "unknown"}:
                outcome = verdict.error or "the service applied it"
                log.warning("%s: the write was cancelled after it was sent: %s", write.connector, outcome)
        raise
    verdict = _ended(job, write, f"{write.connector}: the client was closed during the request")
    if verdict.result is None:
        raise verdict.error or AnswerError(f"{write.connector}: the write has no outcome", connector=write.connector)
    return verdict.result


def _ended(job: Job, write: Write, reason: str) -> Verdict:
    """Return the outcome of a write: the result of its job, or a verdict by the facts so far if the job was stopped.

    Args:
        job: The job that sent the write, which has ended.
        write: The write.
        reason: The reason why the job was stopped, if it was.
    """
    if job.done() and not job.cancelled():
        found: Verdict = job.result()
        return found
    return write.verdict(ClientClosedError(reason))
