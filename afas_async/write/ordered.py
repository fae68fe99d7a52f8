"""Outcomes as a stream: a load that takes elements from a source and returns their outcomes in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import anyio

from afas_async.errors import ClientClosedError, UsageError
from afas_async.http.channel import Channel
from afas_async.http.host import Job, is_cancellation, stop
from afas_async.vocabulary.outcomes import LoadReport, Outcome
from afas_async.write.loader import Load
from afas_async.write.settings import LoadProgress

_MOST_AHEAD: Final = 10_000  # elements in the load whose outcome has not been read yet


class Outcomes:
    """The outcomes of the elements of your source, as an asynchronous iterator: what `AfasClient.outcomes` returns.

    You get one `Outcome` for each element, in the order of your source. Enter it with `async with`, or read it to its
    end. If you leave early, nothing more is sent, and the end of the block waits for the responses to the calls in
    flight. After a cancellation it does not wait. One task at a time may read.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         subjects = ({"StId": 1, "Ds": f"Offerte {number}"} for number in range(3))
        ...         async with afas.outcomes("KnSubject", subjects) as outcomes:
        ...             return [outcome.status async for outcome in outcomes]
        >>> asyncio.run(main())
        ['applied', 'applied', 'applied']
    """

    def __init__(
        self,
        channel: Channel,
        source: Iterable[Any] | AsyncIterable[Any],
        load: Callable[[Callable[[Outcome], None]], Load],
    ) -> None:
        self._channel = channel
        self._source = source
        self._load = load(self._hear)
        self._job: Job | None = None
        self._known: dict[int, Outcome] = {}
        self._next = 0
        self._failure: BaseException | None = None
        self._taking = anyio.CancelScope()  # around the source, which may wait for ever
        self._left = False
        self._reading = False
        self._news = asyncio.Event()

    @property
    def report(self) -> LoadReport:
        """The report of your load so far; complete after the end."""
        return self._load.report

    @property
    def progress(self) -> LoadProgress:
        """The progress of your load at this moment."""
        return self._load.progress

    async def __aenter__(self) -> Self:
        self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if is_cancellation(error):
            self._left = True
            await stop(*([self._job] if self._job else []))
        else:
            await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Outcome:
        """Return the outcome of the next element.

        Raises:
            UsageError: If two tasks read at once.
            ClientClosedError: If you closed the client before the end. You get the known outcomes first.
            Exception: If your source raises, after the known outcomes; or if the load could not be opened.
        """
        if self._reading:
            raise UsageError("two tasks read the same outcomes at once: read them in one task")
        self._reading = True
        try:
            self._start()
            while (outcome := self._known.pop(self._next, None)) is None:
                if self._job is None or self._job.done():
                    self._end()
                self._news.clear()
                await self._news.wait()
            self._next += 1
            self._news.set()
            return outcome
        finally:
            self._reading = False

    async def aclose(self) -> None:
        """End the load: send nothing more, and wait for the responses. A second call does nothing."""
        self._left = True
        if self._job is not None:
            self._taking.cancel()
            self._load.stop(ClientClosedError("not sent, as the outcomes were closed before their end"))
            try:
                await asyncio.wait([self._job])
            except asyncio.CancelledError:
                await stop(self._job)
                raise

    def _hear(self, outcome: Outcome) -> None:
        self._known[outcome.index] = outcome
        self._news.set()

    def _end(self) -> NoReturn:
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if self._job is not None and self._job.cancelled():
            raise ClientClosedError("the load was stopped before its end")
        raise StopAsyncIteration

    def _start(self) -> None:
        if self._job is None and not self._left:
            self._channel.check()
            self._job = self._channel.start(self._feed())
            self._job.add_done_callback(lambda _: self._news.set())

    async def _feed(self) -> None:
        try:
            async with self._load as load:
                if not self._left:
                    with self._taking:
                        await self._take(load)
        except asyncio.CancelledError as error:
            if is_cancellation(error):
                raise
            self._failure = error  # the source was cancelled, not this load
        except Exception as error:  # noqa: BLE001 - raised in the task that reads
            self._failure = error

    async def _take(self, load: Load) -> None:
        if isinstance(self._source, AsyncIterable):
            async for item in self._source:
                await self._give(load, item)
        else:
            for item in self._source:
                await self._give(load, item)

    async def _give(self, load: Load, item: object) -> None:
        await load.add(item)
        while self.report.total - self._next >= _MOST_AHEAD:
            self._news.clear()
            await self._news.wait()
