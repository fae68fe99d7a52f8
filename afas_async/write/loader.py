"""Sends the elements of a load in batches, several calls at a time, and gives each element one outcome."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import os
import weakref
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import anyio
from msgspec.structs import replace

from afas_async.calls.metainfo import update_metainfo
from afas_async.errors import AfasError, ClientClosedError, UsageError
from afas_async.http.channel import Channel
from afas_async.http.clock import loop_time
from afas_async.http.host import is_cancellation
from afas_async.policy.batching import Batching
from afas_async.policy.schedule import Schedule
from afas_async.vocabulary.arguments import check_type
from afas_async.vocabulary.connectors import UpdateConnector
from afas_async.vocabulary.elements import Action, check_action
from afas_async.vocabulary.outcomes import LoadReport, Outcome
from afas_async.wire.element_bodies import body_of, wrapping_of
from afas_async.write.dispatch import Dispatch
from afas_async.write.entrance import Entrance
from afas_async.write.failures import FailureFile, save
from afas_async.write.intake import Intake
from afas_async.write.ledger import Ledger
from afas_async.write.lookups import Finder
from afas_async.write.settings import LoadOptions, LoadProgress

_STEP: Final = 256  # elements that you can add before the event loop gets a turn

log: logging.Logger = logging.getLogger("afas_async")


class Load:
    """Many elements to write in batches: what `AfasClient.load` returns.

    Enter it with `async with`, `add` your elements, and look at `report` after the block. From another task you can
    follow it with `watch`, or end it with `stop`. The guide `afas_async.write` says what you can rely on.

    Example:
        >>> async def main():
        ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
        ...         async with afas.load("KnSubject") as load:
        ...             await load.add({"StId": 1, "Ds": "Offerte"})
        ...         return load.report.counts["applied"]
        >>> asyncio.run(main())
        1
    """

    def __init__(
        self,
        channel: Channel,
        connector: UpdateConnector,
        action: Action,
        settings: LoadOptions,
        *,
        service: str,
        listener: Callable[[Outcome], None] | None = None,
    ) -> None:
        self._channel = channel
        self._connector = connector
        check_action(action, connector.name)
        self._action: Action = action
        self._settings = settings
        if settings.reference is not None and action != "insert":
            raise UsageError(f"{connector.name}: reference= works for inserts only: find other records by their key")
        self._identity = {"service": service, "connector": connector.name, "action": action}
        single = connector.takes_one or action == "delete"
        self._most = 1 if single else settings.max_elements
        self._slots = min(settings.in_flight, channel.session.max_concurrency)
        self._entrance: Entrance | None = None
        self._is_left = False  # no more elements will come
        self._is_whole = False  # the block ended well, so the source has no more elements
        self._is_resolving = False
        finder = None if settings.lookup is None else Finder(channel, settings.lookup, action, settings.reference)
        self._failures = None if settings.failures is None else FailureFile(settings.failures)
        self._ledger = Ledger(
            connector.name,
            finder=finder,
            listeners=[each for each in (listener, settings.on_outcome) if each is not None],
            failures=self._failures,
            journal_failed=self.stop,
        )
        self._calls = Dispatch(channel, connector.name, self._plan(0), self._ledger)
        self._first_call = 0
        self._started: float | None = None
        self._ended: float | None = None
        self._over = asyncio.Event()
        self._is_read = listener is not None or self._failures is not None  # somebody learns which elements failed
        self._take_back_reminder: Callable[[], object] | None = None

    @property
    def report(self) -> LoadReport:
        """The outcomes of your elements so far; complete after the block."""
        self._is_read = True
        if self._take_back_reminder is not None:
            self._take_back_reminder()
        return self._ledger.report

    # --- the user's side ---

    async def __aenter__(self) -> Self:
        """Open the load: fetch the metainfo to check your elements against, and open the journal.

        Raises:
            UsageError: If you have entered this load before.
            JournalError: If the journal cannot be used. Nothing was sent.
            AfasError: If the metainfo cannot be fetched. Nothing was sent.
            OSError: If the file of failures cannot be opened.
        """
        if self._started is not None:
            raise UsageError(f"{self._connector.name}: you can enter a load once: call load() again")
        self._channel.check()
        self._started = loop_time()
        metainfo = None
        try:
            if self._settings.validate:
                metainfo = await update_metainfo(self._channel, self._connector.name)
                if self._connector.root is None and metainfo.name:
                    self._connector = dataclasses.replace(self._connector, root=metainfo.name)
            if self._failures is not None:
                await self._failures.open()
            if self._settings.journal is not None:
                load_id = self._settings.load_id or ""
                self._first_call = await self._ledger.open(self._settings.journal, self._identity, load_id)
            if self._failures is not None:
                self._failures.begin()  # not earlier: a running load with the same journal may be writing this file
        except BaseException as error:
            await self._close()
            self._over.set()
            self._channel.end(error)
            raise
        thread, reference = self._ledger.thread, self._settings.reference
        begin = uuid4().hex[:16] if thread is None else thread.journal.reference
        intake = Intake(
            self._connector,
            self._action,
            transaction=self._settings.transaction,
            metainfo=metainfo,
            reference=None if reference is None else (reference, begin),
            nulls=self._settings.nulls,
        )
        self._calls.begin(intake, self._plan(self._first_call))
        self._entrance = Entrance(intake, self._ledger, self._calls, stops=self._settings.on_reject == "stop")
        return self

    def _plan(self, first_call: int) -> Schedule:
        settings = self._settings
        return Schedule(
            Batching(max_elements=self._most, target_seconds=settings.target_seconds),
            slots=self._slots,
            max_bytes=settings.max_bytes - len(body_of(self._connector.element_name, [b"", b""])),
            wrapping=wrapping_of(self._action) if settings.transaction else 1,
            on_reject=settings.on_reject,
            max_rejected=settings.max_rejected,
            first_call=first_call,
        )

    async def add(self, item: object) -> None:
        """Add an element to the load.

        It returns at once, or waits while enough elements are waiting to be sent. If your element has a fault, `add`
        does not raise: the outcome of the element is "not_sent", and the load continues, unless `on_reject` is "stop".
        If your task is cancelled while it waits, the element is still part of the load.

        Args:
            item: An Element, a dict of fields, or a `msgspec.Struct`. It is encoded at once, so you can change it
                afterwards.

        Raises:
            UsageError: If you call it outside the `async with` block.
            JournalError: If the journal has another element at this position.
            OSError: If the file of failures cannot be written.

        Example:
            See `Load`.
        """
        if self._entrance is None or self._is_left:
            raise UsageError(f"{self._connector.name}: add elements inside `async with afas.load(...) as load:`")
        await self._entrance.take(item)
        if self._ledger.report.total % _STEP == 0:
            await asyncio.sleep(0)  # or a source that never waits would keep responses unread
        if self._failures is not None and self._failures.is_full:
            await self._failures.flush()
        while self._calls.schedule.is_full(self._settings.max_elements) and not self.is_stopped:
            await self._calls.wait()

    @property
    def progress(self) -> LoadProgress:
        """The progress of the load at this moment; `watch` gives it as a stream."""
        seconds = 0.0
        if self._started is not None:
            seconds = (self._ended or loop_time()) - self._started
        counts, schedule = self._ledger.report.counts, self._calls.schedule
        return LoadProgress(
            sum(counts.values()),
            schedule.waiting,
            schedule.in_flight,
            schedule.calls - self._first_call - self._calls.under_way,
            seconds,
            self._ledger.looked_up,
            sum(counts.values()) - counts["applied"],
            self._over.is_set(),
        )

    async def watch(self, every: float = 1.0) -> AsyncIterator[LoadProgress]:
        """Follow the progress of the load, from as many tasks as you like.

        You get the current progress at once, and then again when it has changed. The last one has `ended`: then your
        report is complete. You can leave the stream at any point.

        Args:
            every: The least time between two items, in seconds.

        Yields:
            The progress of the load.

        Raises:
            UsageError: If `every` is not a number above 0.

        Example:
            >>> async def main():
            ...     async def show(load):
            ...         async for progress in load.watch():
            ...             if progress.ended:
            ...                 print(progress.elements, "elements,", progress.failed, "failed")
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with asyncio.TaskGroup() as group, afas.load("KnSubject", must="apply") as load:
            ...             group.create_task(show(load))
            ...             for number in range(1_000):
            ...                 await load.add({"StId": 1, "Ds": f"Offerte {number}"})
            >>> asyncio.run(main())
            1000 elements, 0 failed
        """
        check_type("every", every, int | float, "a number of seconds such as 1")
        if not every > 0:
            raise UsageError(f"{self._connector.name}: every must be more than 0 seconds, not {every}")
        last: LoadProgress | None = None
        while last is None or not last.ended:
            if last is not None:
                with anyio.move_on_after(every):
                    await self._over.wait()
            progress = self.progress
            if last is None or replace(progress, seconds=last.seconds) != last:
                last = progress
                yield progress

    def stop(self, reason: AfasError | None = None) -> None:
        """Stop sending, and let the calls in flight finish: for a clean end of your service on SIGTERM.

        You can call it from a task, or from a callback of the event loop such as a signal handler. It returns at once.
        Elements that the service does not have yet become "not_sent", and so do those that you add from now on. The end
        of the block waits for the responses to the calls in flight, so nothing becomes "unknown". With a journal, you
        can run the same load again to continue.

        Args:
            reason: The error of the elements that are not sent: a ClientClosedError by default.

        Example:
            >>> async def main():
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.load("KnSubject") as load:
            ...             for number in range(1_000):
            ...                 if number == 600:
            ...                     load.stop()  # asyncio.get_running_loop().add_signal_handler(SIGTERM, load.stop)
            ...                 if load.is_stopped:
            ...                     break
            ...                 await load.add({"StId": 1, "Ds": f"Offerte {number}"})
            ...         return load.report.counts["unknown"], load.report.total
            >>> asyncio.run(main())
            (0, 600)
        """
        self._calls.stop(reason or ClientClosedError(f"{self._connector.name}: the load was stopped"))

    @property
    def is_stopped(self) -> bool:
        """Whether the load sends nothing more.

        The reason may be your call of `stop`, a refused credential, or a rule such as `on_reject="stop"`.
        """
        return self._calls.stopped is not None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send the waiting elements, and wait for all responses.

        If your block raised an error, nothing more is sent, but the load still waits for the responses. After a
        cancellation it does not wait.

        Raises:
            LoadError: With `must="apply"`, if your block ended well but an element is not applied.
            JournalError: If the journal cannot be read or written.
            OSError: If the file of failures cannot be written.
        """
        try:
            if error is not None:
                self.stop(ClientClosedError(f"{self._connector.name}: the load was left by {type(error).__name__}"))
            if not is_cancellation(error):
                await self._finish()
                if error is None:
                    self._is_whole = not self.is_stopped
                    await self._look_up_once()
                    await self._ledger.finish(whole=self._is_whole)
        finally:
            await self._end(error)
        if error is None and self._settings.must == "apply":
            self.report.raise_for_failures()

    async def save_failures(self, path: str | os.PathLike[str]) -> None:
        """Write the records that are not applied to a file, one JSON document per line.

        Each line has `index`, `status`, `message`, `log_reference`, `call` and `record`. `failed_records` returns those
        that had no effect, as the source of your next load. The file has the records that the report lists, at most
        10,000 for each status. If you want all of them, use `load(..., failures=path)`, which writes the file while the
        load runs.

        Args:
            path: The file. If it exists, it is overwritten.

        Raises:
            OSError: If the file cannot be written.

        Example:
            >>> async def main(path):
            ...     async with Simulator(rows=500) as sim, AfasClient(base_url=sim.base_url, auth=sim.token) as afas:
            ...         async with afas.load("KnSubject") as load:
            ...             await load.add({"StId": 1, "Ds": "Offerte", "St": "no such status"})
            ...         await load.save_failures(path)
            ...         return list(failed_records(path))
            >>> from tempfile import TemporaryDirectory
            >>> with TemporaryDirectory() as folder:
            ...     asyncio.run(main(f"{folder}/failed.ndjson"))
            [{'StId': 1, 'Ds': 'Offerte', 'St': 'no such status'}]
        """
        report = self.report
        await asyncio.to_thread(save, path, [*report.rejected, *report.unknown, *report.not_sent])

    async def resolve(self) -> LoadReport:
        """Look up once more which of your unknown elements are applied.

        Call it after the block, for example 16 minutes later. The load looks up the first 10,000 unknown elements. If
        your `lookup` finds an element, it becomes "applied". An element that is absent becomes "not_sent"; the guide
        `afas_async.write` says when it counts as absent. The others stay "unknown". With a journal, the next run of
        your load sends those that are "not_sent".

        You can cancel it: the results so far are kept, and nothing keeps running.

        Returns:
            The corrected report.

        Raises:
            UsageError: If the load has no `lookup`, or the block has not ended yet.
            AfasError: If a lookup fails. The results so far are kept.

        """
        if self._settings.lookup is None:
            raise UsageError(f"{self._connector.name}: to look up unknown outcomes, give load(..., lookup=Lookup(...))")
        if self._ended is None:
            raise UsageError(f"{self._connector.name}: end the block of the load before you call resolve()")
        if self._is_resolving:
            raise UsageError(f"{self._connector.name}: resolve() is running already: wait for it")
        self._is_resolving = True
        try:
            if self._settings.journal is not None:
                await self._ledger.open(self._settings.journal, self._identity, None)
            if self._failures is not None:
                await self._failures.open()
            await self._ledger.look_up(self._channel.session.max_concurrency)
            await self._ledger.finish(whole=self._is_whole)
        finally:
            self._is_resolving = False
            await self._close()
        return self.report

    async def _look_up_once(self) -> None:
        try:
            await self._ledger.look_up(self._channel.session.max_concurrency)
        except Exception as failure:  # noqa: BLE001 - the report is worth more; `resolve` raises the error again
            log.warning("%s: unknown outcomes could not be looked up: %s", self._connector.name, failure)

    # --- the end ---

    async def _finish(self) -> None:
        self._is_left = True
        await self._calls.finish()

    async def _end(self, error: BaseException | None) -> None:
        """End the load and all its calls; after `_finish` there are none."""
        self._is_left = True
        try:
            await self._calls.end()
        finally:
            self._ended = loop_time()
            try:
                await self._close()
            finally:
                self._over.set()
                self._channel.end(error)
                self._remind(is_left_well=error is None)

    def _remind(self, *, is_left_well: bool) -> None:
        """Log a report with failures if nobody reads it. If the block raised, only if one is unknown."""
        report = self._ledger.report
        failed = report.counts["applied"] < report.total if is_left_well else report.counts["unknown"] > 0
        if failed and not self._is_read and self._settings.must is None:
            self._take_back_reminder = weakref.finalize(self, _complain, self._connector.name, str(report)).detach

    async def _close(self) -> None:
        try:
            await self._ledger.close()
        finally:
            if self._failures is not None:
                await self._failures.close()


def _complain(connector: str, report: str) -> None:
    log.warning(
        '%s: nobody has read the report of a load: %s. Read `load.report`, or give load(..., must="apply")',
        connector,
        report,
    )
