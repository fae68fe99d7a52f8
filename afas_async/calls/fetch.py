"""A response that a job of the session receives in the background, while its reader takes the bytes or the failure."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping

from afas_async.errors import AfasError, ClientClosedError
from afas_async.http.back_pressure import BackPressure
from afas_async.http.call import Call
from afas_async.http.channel import Channel
from afas_async.http.clock import loop_time
from afas_async.http.host import Job
from afas_async.policy.retrying import Retry, retry_read
from afas_async.wire.decompression import BodyReader, body_reader
from afas_async.wire.requests import Request

PIECE = 1 << 16


class Fetch(Call):
    """Receives a response in the background and gives its bytes to a reader.

    Args:
        channel: Sends the request.
        connector: The connector or path, for errors.
        releasable: Whether other calls that need a slot can stop the back-pressure of this response.

    Attributes:
        size: The bytes of the body received so far, as they came over the connection, including those of broken
            responses.
        seconds: The duration of the last attempt in seconds, once it has ended.
        jobs: The jobs that still run.
        news: Set when there may be more to read. A reader of several responses lets them share one event.
    """

    def __init__(self, channel: Channel, connector: str, *, releasable: bool = True) -> None:
        self._body: BodyReader | None = None
        self._back_pressure = BackPressure(self._pending, channel.session.memory.limit, releasable=releasable)
        super().__init__(connector, channel.options.timeout, self._back_pressure)
        self.size: int = 0
        self.seconds: float = 0.0
        self.news: asyncio.Event = asyncio.Event()
        self._channel = channel
        self._sent = False
        self._unwanted = False
        self.jobs: set[Job] = set()
        self._job: Job | None = None
        self._failure: BaseException | None = None
        self._started = 0.0

    def start(self, failure: AfasError | None = None) -> None:
        """Start the job that sends the request; give the failure because of which you send it again."""
        self.cancel()
        self._forget()
        self._failure = None
        self._job = self._channel.start(self._channel.send(self, failure))
        self.jobs.add(self._job)
        self._job.add_done_callback(self._job_ended)

    def cancel(self) -> None:
        """Cancel all jobs, without waiting for their end."""
        for job in self.jobs:
            job.cancel()

    def drop(self) -> None:
        """Discard the response, without waiting for its end.

        A request that was sent continues. The service works on it even if nobody listens, so it keeps its slot until
        the response has come. The bytes that arrive are discarded, and nothing is sent again.
        """
        self._unwanted = True
        self._forget()
        self._back_pressure.relieve()
        if not self._sent:
            self.cancel()

    def _job_ended(self, job: Job) -> None:
        self.jobs.discard(job)
        if job is not self._job:
            return
        self.seconds = loop_time() - self._started
        if job.cancelled():
            self._failure = ClientClosedError(f"{self.connector}: the client was closed during the request")
        else:
            self._failure = job.exception() or job.result()
        self._job = None
        self.news.set()

    # --- called by the engine: see http.call.Call ---

    @property
    def repeatable(self) -> bool:
        """Whether the response is still wanted."""
        return not self._unwanted

    def retry(self, *, max_retries: int, jitter: float) -> Retry | None:
        """Return how to send the request again, by the rules for reads."""
        return retry_read(self.failures, max_retries=max_retries, jitter=jitter)

    def request(self) -> Request:
        """Return the request for the next attempt, and discard the bytes of the last one."""
        self._forget()
        self._sent = True
        self._started = loop_time()
        return self._next_request()

    @abstractmethod
    def _next_request(self) -> Request: ...

    def _forget(self) -> None:
        self._body = None

    def begin(self, status: int, headers: Mapping[str, str]) -> None:  # noqa: ARG002 - a read treats every success alike
        """Take the status and headers of a success."""
        self._body = body_reader(headers.get("Content-Encoding", ""), connector=self.connector)

    def receive(self, data: bytes) -> None:
        """Keep the next bytes of the body for the reader."""
        if self._unwanted or self._body is None:
            return
        self._body.feed(data)
        self.size += len(data)
        self.news.set()

    # --- called by the reader ---

    def _read(self) -> bytes:
        """Return the next bytes of the body that have arrived, at most 64 KiB."""
        if self._body is None:
            return b""
        piece = self._body.read(PIECE)
        if piece:
            self._back_pressure.relieve()
        return piece

    def _pending(self) -> int:
        return 0 if self._body is None else self._body.pending

    async def _wait(self) -> None:
        self._channel.check()
        self.news.clear()
        await self.news.wait()
