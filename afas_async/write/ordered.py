"""Outcomes as a stream: a load that takes its elements from a source, and hands out what became of them in order."""

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

_MOST_AHEAD: Final = 10_000  # elements given whose outcome is not handed out yet


class Outcomes:
    """One Outcome for each element of a source, in the order of the source; see `AfasClient.outcomes`.

    Leave it through `async with`, or read it to its end. Left early, it sends nothing more and waits for the answers
    of what is in flight; cancelled, it does not.
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
        self._taking = anyio.CancelScope()  # around what waits for the source, which may never give another element
        self._left = False
        self._reading = False
        self._news = asyncio.Event()

    @property
    def report(self) -> LoadReport:
        """What became of the elements so far; complete after the end."""
        return self._load.report

    @property
    def progress(self) -> LoadProgress:
        """How far the load is."""
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
            ClientClosedError: If the client was closed before the end, once all outcomes are handed out.
            Exception: What the source raised, likewise; or what kept the load from being opened.
        """
        if self._reading:
            raise UsageError("two tasks read the same outcomes at once")
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
        """End the load: nothing more is sent, and what is in flight is waited for. May be called twice."""
        self._left = True
        if self._job is not None:
            self._taking.cancel()
            self._load.stop(ClientClosedError("the outcomes were left before their end"))
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
            self._failure = error  # of something that the source waited for
        except Exception as error:  # noqa: BLE001 - it travels to the task that reads
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
