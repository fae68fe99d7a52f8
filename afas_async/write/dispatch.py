"""Starts the calls of a load when slots and elements allow, and ends each call exactly once."""

from __future__ import annotations

import asyncio

from afas_async.calls.write import Write
from afas_async.errors import AfasError, ClientClosedError
from afas_async.http.channel import Channel
from afas_async.http.clock import loop_time
from afas_async.http.host import Job, stop
from afas_async.policy.schedule import LoadCall, Schedule
from afas_async.policy.verdicts import Verdict
from afas_async.write.intake import Intake
from afas_async.write.ledger import Ledger


class Dispatch:
    """Sends the elements of a schedule, several calls at a time, and records their outcomes.

    Args:
        channel: Sends the calls.
        connector: The connector's name.
        schedule: The schedule until the load begins; it is empty.
        ledger: Records the outcomes.

    Attributes:
        stopped: The reason why nothing more is sent; None while calls are sent.
    """

    def __init__(self, channel: Channel, connector: str, schedule: Schedule, ledger: Ledger) -> None:
        self.schedule: Schedule = schedule
        self.stopped: AfasError | None = None
        self._channel = channel
        self._connector = connector
        self._ledger = ledger
        self._intake: Intake | None = None
        self._jobs: dict[Job, tuple[LoadCall, Write]] = {}
        self._failure: BaseException | None = None  # a fault in this process, not the outcome of a call
        self._pump_is_due = False
        self._news = asyncio.Event()

    @property
    def under_way(self) -> int:
        """The number of calls that have not ended."""
        return len(self._jobs)

    def begin(self, intake: Intake, schedule: Schedule) -> None:
        """Begin the load.

        Args:
            intake: Makes the requests.
            schedule: The schedule of the load.
        """
        self._intake = intake
        self.schedule = schedule

    def pump_soon(self) -> None:
        """Start calls in the next turn of the event loop: by then there may be elements for several."""
        if not self._pump_is_due:
            self._pump_is_due = True
            asyncio.get_running_loop().call_soon(self._pump)

    def stop(self, reason: AfasError) -> None:
        """Send nothing more. Waiting elements become "not_sent" with `reason`, and calls in flight may finish."""
        if self.stopped is not None:
            return
        self.stopped = reason
        self._ledger.not_sent(self.schedule.stop(), reason)
        for job, (call, write) in self._jobs.items():
            # A call that waits for a slot or a retry would not be sent any more: end it now.
            if self.schedule.is_under_way(call) and not write.is_at_service and job is not asyncio.current_task():
                job.cancel()
        self._news.set()

    async def wait(self) -> None:
        """Wait until something has changed."""
        self._news.clear()
        await self._news.wait()

    async def finish(self) -> None:
        """Send the waiting elements, and wait for all responses.

        Raises:
            BaseException: If something failed in this process, not at the service.
        """
        self.schedule.finish()
        self.pump_soon()
        while self._jobs or not self.schedule.is_idle:
            await self.wait()
        if self._failure is not None:
            raise self._failure

    async def end(self) -> None:
        """End all calls; after `finish` there are none."""
        self.stop(ClientClosedError(f"{self._connector}: the load was stopped"))
        try:
            await stop(*self._jobs)
        finally:
            for job in filter(Job.done, self._jobs):  # `_job_ended` has not run for them yet
                self._give_up(*self._jobs[job])

    def _pump(self) -> None:
        self._pump_is_due = False
        while self._intake is not None and (call := self.schedule.next(loop_time())) is not None:
            write = self._write(self._intake, call)
            try:
                job = self._channel.start(self._deliver(call, write))
            except ClientClosedError as error:
                self._ended_with(call, Verdict("not_sent", 0.0, error=error))
                return
            self._jobs[job] = call, write
            job.add_done_callback(self._job_ended)
            self._news.set()

    def _write(self, intake: Intake, call: LoadCall) -> Write:
        thread, number, pieces = self._ledger.thread, call.number, call.pieces

        async def before() -> None:
            if self.stopped is not None:  # while the call waited for a slot or a retry
                raise self.stopped
            if thread is not None:
                await thread.run(thread.journal.begin, number, pieces, loop_time())

        return Write(
            self._channel,
            intake.request(pieces),
            elements=len(pieces),
            scope=intake.scope(pieces),
            lock_retries=call.lock_retries,
            before=before,
            between=None if thread is None else lambda: thread.post(thread.journal.postpone, number),
        )

    async def _deliver(self, call: LoadCall, write: Write) -> None:
        try:
            verdict = await write.send()
        except BaseException as error:  # the service continues with a call that it has
            text = f"the load was stopped by {type(error).__name__} while it was under way"
            is_at_service = write.is_at_service or self.stopped is None
            reason = ClientClosedError(text) if is_at_service else self.stopped
            self._ended_with(call, write.verdict(reason))
            raise
        self._ended_with(call, verdict)

    def _job_ended(self, job: Job) -> None:
        self._give_up(*self._jobs.pop(job))
        if not job.cancelled() and (failure := job.exception()) is not None:
            self._failure = self._failure or failure
            self.stop(ClientClosedError(f"{self._connector}: the load was stopped by {type(failure).__name__}"))
        self.pump_soon()
        self._news.set()

    def _give_up(self, call: LoadCall, _: Write) -> None:
        if self.schedule.is_under_way(call):  # its job was cancelled before its first step
            reason = self.stopped or ClientClosedError(f"{self._connector}: the load was stopped")
            self._ended_with(call, Verdict("not_sent", 0.0, error=reason))

    def _ended_with(self, call: LoadCall, verdict: Verdict) -> None:
        """Record the result of a call. It never awaits, so a cancellation cannot interrupt it."""
        ended = self.schedule.ended(call, verdict)
        if ended.again and self._ledger.thread is not None:
            self._ledger.thread.post(self._ledger.thread.journal.postpone, call.number)
        for settled, its in ended.settled:
            self._ledger.book(settled, its)
        self._ledger.hold_back(ended.held_back)
        if ended.stop is not None:
            self.stop(ended.stop)
        self._news.set()
