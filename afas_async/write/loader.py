"""Loading: elements in batches, several calls in flight, and one outcome for each element."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from afas_async.calls.metainfo import update_metainfo
from afas_async.calls.write import Write
from afas_async.errors import (
    AfasError,
    ClientClosedError,
    InvalidElementError,
    UsageError,
)
from afas_async.http.channel import Channel
from afas_async.http.clock import loop_time
from afas_async.http.host import Job, is_cancellation, stop, to_its_end
from afas_async.policy.batching import Batching
from afas_async.policy.schedule import LoadCall, Schedule
from afas_async.policy.verdicts import Verdict
from afas_async.vocabulary.connectors import UpdateConnector
from afas_async.vocabulary.elements import Action, check_action
from afas_async.vocabulary.outcomes import LoadReport, Outcome
from afas_async.wire.element_bodies import body_of, wrapping_of
from afas_async.write.failures import FailureFile, save
from afas_async.write.intake import Intake
from afas_async.write.ledger import Ledger
from afas_async.write.lookups import Finder
from afas_async.write.settings import LoadOptions, LoadProgress

_STEP: Final = 256  # elements that may be added before the event loop has a turn

log: logging.Logger = logging.getLogger("afas_async")


class Load:
    """A load, as `AfasClient.load` returns it: `async with` it, and `add` elements.

    Attributes:
        report: What became of the elements so far; complete once the block is left.
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
            raise UsageError(f"{connector.name}: reference= is for inserts: a record that is there has a key")
        self._identity = {"service": service, "connector": connector.name, "action": action}
        single = connector.takes_one or action == "delete"
        self._most = 1 if single else settings.max_elements
        self._slots = min(settings.in_flight, channel.session.max_concurrency)
        self._schedule = self._plan(0)
        self._jobs: dict[Job, LoadCall] = {}
        self._intake: Intake | None = None
        self._is_left = False  # no more elements will come
        self._is_whole = False  # it was left in good order, so that its source is at its end
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
        self.report: LoadReport = self._ledger.report
        self._first_call = 0
        self._started: float | None = None
        self._ended: float | None = None
        self._stopped: AfasError | None = None
        self._failure: BaseException | None = None  # no outcome of a call, but a fault here
        self._pump_is_due = False
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._accepting = 0  # elements that are compared with the journal, or wait for that

    # --- the user's side ---

    async def __aenter__(self) -> Self:
        """Open the load: fetch what its elements are checked against, and open the journal.

        Raises:
            AfasError: If one of them cannot be had. Nothing is sent then.
        """
        if self._started is not None:
            raise UsageError(f"{self._connector.name}: a load is entered once: make a new one")
        self._channel.check()
        self._started = loop_time()
        metainfo = None
        if self._settings.validate:
            metainfo = await update_metainfo(self._channel, self._connector.name)
            if self._connector.root is None and metainfo.name:
                self._connector = replace(self._connector, root=metainfo.name)
        try:
            if self._failures is not None:
                await self._failures.open()
            if self._settings.journal is not None:
                load_id = self._settings.load_id or ""
                self._first_call = await self._ledger.open(self._settings.journal, self._identity, load_id)
            if self._failures is not None:
                self._failures.begin()  # not before: it may be the file of the load that has the journal open
        except BaseException:
            await self._close()
            raise
        thread, reference = self._ledger.thread, self._settings.reference
        begin = uuid4().hex[:16] if thread is None else thread.journal.reference
        self._intake = Intake(
            self._connector,
            self._action,
            transaction=self._settings.transaction,
            metainfo=metainfo,
            reference=None if reference is None else (reference, begin),
            nulls=self._settings.nulls,
        )
        self._schedule = self._plan(self._first_call)
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
        """Give an element, and wait as long as enough of them wait to be sent.

        What is wrong with an element is told by its outcome, not raised: it is "not_sent", and the load goes on, unless
        `on_reject` is "stop". Cancelled, the element is part of the load nevertheless.

        Args:
            item: An Element, a dict of fields, or a `msgspec.Struct`. Encoded at once: it may be changed later.

        Raises:
            UsageError: If the load is not entered, or left.
            JournalError: If the journal has another element in its place.
        """
        if self._intake is None or self._is_left:
            raise UsageError(f"{self._connector.name}: elements are added within `async with afas.load(...) as load:`")
        if self._accepting or not self._accept(self._intake, item):
            await self._accept_in_turn(self._intake, item)
        if self.report.total % _STEP == 0:
            await asyncio.sleep(0)  # a source that never waits must not keep answers from being seen
        if self._failures is not None and self._failures.is_full:
            await self._failures.flush()
        while self._schedule.is_full(self._settings.max_elements) and self._stopped is None:
            await self._wait()

    @property
    def progress(self) -> LoadProgress:
        """How far the load is."""
        seconds = 0.0
        if self._started is not None:
            seconds = (self._ended or loop_time()) - self._started
        return LoadProgress(
            sum(self.report.counts.values()),
            self._schedule.waiting,
            self._schedule.in_flight,
            self._schedule.calls - self._first_call - len(self._jobs),
            seconds,
            self._ledger.looked_up,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Send what waits, and wait for the answers.

        After an error nothing more is sent, and the answers are waited for; after a cancellation they are not.
        """
        try:
            if error is not None:
                self.stop(ClientClosedError(f"{self._connector.name}: the load was left by {type(error).__name__}"))
            if not is_cancellation(error):
                await self._finish()
                if error is None:
                    self._is_whole = self._stopped is None
                    await self._look_up_once()
                    await self._ledger.finish(whole=self._is_whole)
        finally:
            await self._end()

    async def save_failures(self, path: str | os.PathLike[str]) -> None:
        """Write the records that are not applied to a file, a JSON document a line, as far as the report lists them.

        A line has `index`, `status`, `message`, `log_reference`, `call` and `record`. `failed_records` reads those that
        had no effect, as the source of the next load. With `load(..., failures=path)` the file is written meanwhile,
        and has all of them.

        Args:
            path: The file; one that is there is written anew.

        Raises:
            OSError: If it cannot be written.
        """
        report = self.report
        await asyncio.to_thread(save, path, [*report.rejected, *report.unknown, *report.not_sent])

    async def resolve(self) -> LoadReport:
        """Look up once more the elements whose outcome is unknown, the first 10,000 of them.

        One that is found is "applied". One that is not is "not_sent", but only after its quiet period, if it is missing
        twice, and if the same lookup finds an element that is known to be applied. The others stay "unknown". With a
        journal, the next run sends those that are "not_sent".

        Returns:
            The report, in which that is corrected.

        Raises:
            UsageError: If the load has no `lookup`, or is not left yet.
            AfasError: If a lookup fails. What was found out before stays. A cancelled call leaves nothing behind.
        """
        if self._settings.lookup is None:
            raise UsageError(f"{self._connector.name}: to have outcomes looked up, give load(..., lookup=Lookup(...))")
        if self._ended is None:
            raise UsageError(f"{self._connector.name}: leave the load before you resolve its unknown outcomes")
        if self._is_resolving:
            raise UsageError(f"{self._connector.name}: the unknown outcomes are being resolved already")
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
        except Exception as failure:  # noqa: BLE001 - no reason to lose the report, and `resolve` tells why
            log.warning("%s: unknown outcomes could not be looked up: %s", self._connector.name, failure)

    # --- elements that come in ---

    async def _accept_in_turn(self, intake: Intake, item: object) -> None:
        """Accept an element of which the journal has to be asked, in the order of the load, whoever is cancelled."""

        async def accept() -> None:
            async with self._turn:
                while not self._accept(intake, item):
                    await self._ledger.ask()

        self._accepting += 1
        try:
            await to_its_end(asyncio.ensure_future(accept()))
        finally:
            self._accepting -= 1

    def _accept(self, intake: Intake, item: object) -> bool:
        """Make an element part of the load, unless the journal has to be asked first."""
        index = self.report.total
        if not self._ledger.has_read(index):
            return False
        try:
            piece = intake.piece(index, item)
        except InvalidElementError as error:
            self._ledger.check_not_sent(index)
            self.report.total += 1
            # A later element with its key must not overtake the corrected one.
            self._schedule.close(intake.lane_of(item))
            error.__traceback__ = error.__context__ = None  # their frames would keep the element in memory
            self._ledger.record(Outcome(index, "not_sent", error=error, item=item))
            if self._settings.on_reject == "stop":
                self.stop(error)
            return True
        if not self._ledger.knows(piece):
            return False
        earlier = self._ledger.earlier(piece)
        self.report.total += 1
        if intake.is_blind:
            self._schedule.one_at_a_time()
        if earlier is not None:
            if earlier.status != "applied":
                self._schedule.close(piece.lane)
            self._ledger.record(earlier, piece)
        elif self._stopped is not None:
            self._ledger.not_sent([piece], self._stopped)
        elif self._schedule.add(piece):
            self._pump_soon()
        else:
            self._ledger.hold_back([piece])
        return True

    # --- calls that go out ---

    def _pump_soon(self) -> None:
        """Start calls when the event loop has its next turn: by then there may be elements for more than one."""
        if not self._pump_is_due:
            self._pump_is_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_is_due = False
        while self._intake is not None and (call := self._schedule.next(loop_time())) is not None:
            try:
                job = self._channel.start(self._deliver(self._intake, call))
            except ClientClosedError as error:
                self._ended_with(call, Verdict("not_sent", 0.0, error=error))
                return
            self._jobs[job] = call
            job.add_done_callback(self._job_ended)
            self._news.set()

    async def _deliver(self, intake: Intake, call: LoadCall) -> None:
        thread, number, pieces = self._ledger.thread, call.number, call.pieces

        async def before() -> None:
            if self._stopped is not None:  # while it waited for a slot, or to be sent again
                raise self._stopped
            if thread is not None:
                await thread.run(thread.journal.begin, number, pieces, loop_time())

        write = Write(
            self._channel,
            intake.request(pieces),
            elements=len(pieces),
            scope=intake.scope(pieces),
            lock_retries=call.lock_retries,
            before=before,
            between=None if thread is None else lambda: thread.post(thread.journal.postpone, number),
        )
        try:
            verdict = await write.send()
        except BaseException as error:  # whatever it is, the service goes on with what it was sent
            reason = f"the load was stopped by {type(error).__name__} while it was under way"
            self._ended_with(call, write.verdict(ClientClosedError(reason)))
            raise
        self._ended_with(call, verdict)

    def _job_ended(self, job: Job) -> None:
        self._give_up(self._jobs.pop(job))
        if not job.cancelled() and (failure := job.exception()) is not None:
            self._failure = self._failure or failure
            self.stop(ClientClosedError(f"{self._connector.name}: the load was stopped by {type(failure).__name__}"))
        self._pump_soon()
        self._news.set()

    def _give_up(self, call: LoadCall) -> None:
        if self._schedule.is_under_way(call):  # its job was cancelled before its first step
            self._ended_with(call, Verdict("not_sent", 0.0, error=ClientClosedError("the load was stopped")))

    # --- outcomes ---

    def _ended_with(self, call: LoadCall, verdict: Verdict) -> None:
        """Take what became of a call; without an await, so that a cancellation finds it done."""
        ended = self._schedule.ended(call, verdict)
        if ended.again and self._ledger.thread is not None:
            self._ledger.thread.post(self._ledger.thread.journal.postpone, call.number)
        for settled, its in ended.settled:
            self._ledger.book(settled, its)
        self._ledger.hold_back(ended.held_back)
        if ended.stop is not None:
            self.stop(ended.stop)
        self._news.set()

    # --- the end ---

    def stop(self, reason: AfasError) -> None:
        """Send nothing more, because of `reason`; what waits is "not_sent"."""
        if self._stopped is not None:
            return
        self._stopped = reason
        self._ledger.not_sent(self._schedule.stop(), reason)
        self._news.set()

    async def _finish(self) -> None:
        self._is_left = True
        self._schedule.finish()
        self._pump_soon()
        while self._jobs or not self._schedule.is_idle:
            await self._wait()
        if self._failure is not None:
            raise self._failure

    async def _wait(self) -> None:
        self._news.clear()
        await self._news.wait()

    async def _end(self) -> None:
        """End the load whatever is under way; after `_finish` nothing is."""
        self._is_left = True
        self.stop(ClientClosedError(f"{self._connector.name}: the load was stopped"))
        try:
            await stop(*self._jobs)
        finally:
            for job in filter(Job.done, self._jobs):  # just now, so that nobody has been told yet
                self._give_up(self._jobs[job])
            self._ended = loop_time()
            await self._close()

    async def _close(self) -> None:
        try:
            await self._ledger.close()
        finally:
            if self._failures is not None:
                await self._failures.close()
