"""One write on its way: sent once unless it provably had no effect, and judged by how far it came."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from afas_async.errors import AfasError, AnswerError, AnswerLostError, ClientClosedError, OutcomeUnknownError
from afas_async.http.call import Call, Stage
from afas_async.http.channel import Channel
from afas_async.http.clock import loop_time
from afas_async.http.host import Job, stop
from afas_async.policy.retrying import WRITE_SECONDS, Retry, retry_write, write_status
from afas_async.vocabulary.outcomes import Status, WriteResult
from afas_async.wire.decompression import BodyReader, body_reader, is_framed
from afas_async.wire.requests import Request
from afas_async.wire.write_answers import read_result

RESULT_LIMIT: Final = 16 << 20  # bytes of an answer to a write; what goes beyond is not read
_PIECE: Final = 1 << 16

log: logging.Logger = logging.getLogger("afas_async")


class Verdict(msgspec.Struct, frozen=True):
    """What became of a call.

    Args:
        status: What became of its elements.
        seconds: How long the service took for the last attempt.
        result: What it answered, if applied.
        error: Why it is not applied.
    """

    status: Status
    seconds: float
    result: WriteResult | None = None
    error: AfasError | None = None


class Write(Call):
    """The engine's view of a write; see `http.call.Call`.

    Args:
        channel: Sends it; its time-out counts until it is sent.
        request: What to send.
        elements: How many elements it holds.
        whole: Whether a refusal is one of the complete call.
        before: Called before each attempt; if it raises an AfasError, nothing is sent.
        between: Called when an attempt had no effect and another will follow.
    """

    def __init__(
        self,
        channel: Channel,
        request: Request,
        *,
        elements: int = 1,
        whole: bool = True,
        before: Callable[[], None] | None = None,
        between: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(request.connector, channel.options.timeout)
        self._channel = channel
        self._request = request
        self._elements = elements
        self._whole = whole
        self._before = before
        self._between = between
        self._sent_at: datetime | None = None
        self._started = 0.0
        self._content_type: str | None = None  # known once a success has begun
        self._framed = True
        self._body: BodyReader | None = None
        self._text = bytearray()

    async def send(self) -> Verdict:
        """Send it, in a job of the session.

        Cancelled, it stops at once, and `verdict` tells what is known.
        """
        return self.verdict(await self._channel.send(self))

    def verdict(self, failure: AfasError | None) -> Verdict:
        """Return what became of it.

        Args:
            failure: What came in place of a complete answer.
        """
        seconds = loop_time() - self._started if self._sent_at else 0.0
        if self._content_type is not None:
            # The service said that it succeeded: whatever came after that takes nothing back.
            return self._after_success(seconds, failure)
        if failure is None or self._sent_at is None:
            error = failure or ClientClosedError(f"{self.connector}: stopped before it was sent")
            return Verdict("not_sent", seconds, error=error)
        status = write_status(failure, connected=True, whole=self._whole)
        if status == "unknown":
            answered = not isinstance(failure, (TimeoutError, AnswerLostError, ClientClosedError))
            return self._unknown(seconds, str(failure), answered=answered)
        return Verdict(status, seconds, error=failure)

    def _after_success(self, seconds: float, failure: AfasError | None) -> Verdict:
        complete = failure is None and (self._framed or bool(self._text))
        if complete and self._body is not None:
            try:
                self._body.finish()
            except AfasError:
                complete = False
        found = self._judged(bytes(self._text), content_type=self._content_type or "", complete=complete)
        if isinstance(found, str):
            return self._unknown(seconds, found, answered=True)
        return Verdict("applied", seconds, result=msgspec.structs.replace(found, trace_id=self.trace_id))

    def _judged(self, text: bytes, *, content_type: str, complete: bool) -> WriteResult | str:
        """Return what the body of a success tells, or why it is no answer of the service's."""
        return read_result(text, content_type=content_type, complete=complete, elements=self._elements)

    def _unknown(self, seconds: float, reason: str, *, answered: bool) -> Verdict:
        assert self._sent_at is not None  # noqa: S101 - what was not sent is not unknown
        error = OutcomeUnknownError(
            connector=self.connector,
            sent_at=self._sent_at,
            quiet_until=self._sent_at + timedelta(seconds=WRITE_SECONDS),
            stage="answered" if answered else "sent",
            reason=reason,
            trace_id=self.trace_id,
        )
        return Verdict("unknown", seconds, error=error)

    # --- the engine's side: see http.call.Call ---

    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        """Decide by the rules for writes; a success that breaks off is no failure of theirs."""
        return retry_write(
            self.failures,
            connected=self._sent_at is not None,
            whole=self._whole,
            max_retries=max_retries,
            jitter=jitter,
        )

    def reached(self, stage: Stage) -> None:
        """Know whether it may be sent, and call `before` and `between`."""
        match stage:
            case "starting":
                if self._before is not None:
                    self._before()
            case "connected":
                self._sent_at = datetime.now(UTC)
                self._started = loop_time()
            case "waiting":
                self._sent_at = None  # if it is cancelled now, it is not sent
                if self._between is not None:
                    self._between()

    def request(self) -> Request:
        """Return the request, which is the same for each attempt."""
        return self._request

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Know that the service has applied it."""
        self._content_type = headers.get("Content-Type", "")
        # Without a length or chunks nothing tells an empty body from one that was cut off.
        self._framed = status == 204 or is_framed(headers)
        self._body = body_reader(headers.get("Content-Encoding", ""), connector=self.connector)

    def receive(self, data: bytes) -> None:
        """Keep the text of the answer."""
        assert self._body is not None  # noqa: S101 - an answer begins first
        self._body.feed(data)
        while piece := self._body.read(_PIECE):
            if len(self._text) >= RESULT_LIMIT:
                raise AnswerError(f"{self.connector}: the answer is too long", connector=self.connector)
            self._text += piece


async def send_one(channel: Channel, request: Request) -> WriteResult:
    """Send a request that writes one element, and return the result.

    Raises:
        AfasError: If it was not applied: rejected, or not sent.
        OutcomeUnknownError: If nobody knows.
    """
    return await settle(channel, Write(channel, request))


async def settle(channel: Channel, write: Write) -> WriteResult:
    """Send a write of one element, and return the result; see `send_one`."""
    channel.check()
    job = channel.start(write.send())
    try:
        await asyncio.wait([job])
    except asyncio.CancelledError:
        try:
            await stop(job)
        finally:  # also if the caller is cancelled once more
            verdict = _ended(job, write, "the caller was cancelled")
            if verdict.status in {"applied", "unknown"}:
                log.warning("%s: cancelled after it was sent: %s", write.connector, verdict.error or "it was applied")
        raise
    verdict = _ended(job, write, f"{write.connector}: closed while the request was under way")
    if verdict.result is None:
        raise verdict.error or AnswerError(f"{write.connector}: no outcome", connector=write.connector)
    return verdict.result


def _ended(job: Job, write: Write, reason: str) -> Verdict:
    """Return what became of a write: what its job found, or what is known if it was stopped for a reason."""
    if job.done() and not job.cancelled():
        found: Verdict = job.result()
        return found
    return write.verdict(ClientClosedError(reason))
