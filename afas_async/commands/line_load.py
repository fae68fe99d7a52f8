"""Send the lines of a file to Profit, with one outcome for each and a report of all."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from afas_async.commands.failed_lines import FailedLines
from afas_async.commands.json_log import note
from afas_async.commands.lines import LineFile
from afas_async.commands.naming import NOT_ALL, PROGRAM, UNKNOWN_LEFT
from afas_async.commands.terminal import ProgressLine, print_table, remark
from afas_async.errors import AfasError, ApiError, ClientClosedError, OutcomeUnknownError, UsageError
from afas_async.policy.field_map import UnfitRecordError
from afas_async.vocabulary.elements import Element
from afas_async.vocabulary.outcomes import LoadReport, Outcome
from afas_async.write.loader import Load

_REASONS: Final = 10  # reasons to print
_INTERRUPTED: Final = "interrupted before it was sent"


class LineLoad:
    """Loads the lines of a file, and writes the lines that are not applied as soon as that is known.

    Args:
        source: The file.
        make: Makes a record from a line.
        failed: The file for lines that are not applied.

    Attributes:
        reasons: How many lines are not applied, by status and reason.
        is_interrupted: Whether a signal ended the load.
        is_read: Whether the file was read to its end. Only then the file of failed lines is complete.
        fault: The fault of a file that ended the load; empty without one.
        seconds: The time it took.
    """

    def __init__(self, source: LineFile, make: Callable[[Any], Element], failed: FailedLines | None) -> None:
        self._source = source
        self._make = make
        self._failed = failed
        self._lines: dict[int, tuple[int, Any, str | None]] = {}  # lines without an outcome, each with its fault
        self._load: Load | None = None
        self._progress = ProgressLine(what="lines")
        self.reasons: Counter[tuple[str, str]] = Counter()
        self.is_interrupted: bool = False
        self.is_read: bool = False
        self._interrupted = asyncio.Event()
        self.fault: str = ""
        self.seconds: float = 0.0

    def hear(self, outcome: Outcome) -> None:
        """Take the outcome of a line. This is the `on_outcome` of the load."""
        number, line, fault = self._lines.pop(outcome.index)
        if outcome.status != "applied":
            if fault is None and self.is_interrupted and isinstance(outcome.error, ClientClosedError):
                fault = _INTERRUPTED
            self.reasons[outcome.status, fault or _reason(outcome.error)] += 1
            if self._failed is not None:
                noted = (number, line, fault)
                self._failed.add(Outcome(outcome.index, outcome.status, error=outcome.error, item=noted))
        if self._progress.is_due and self._load is not None:
            done, counts = self._load.progress, self._load.report.counts
            self._progress.show(done.elements, **counts, calls=done.calls, seconds=done.seconds)

    async def run(self, load: Load, *, wait: bool) -> LoadReport:
        """Load the lines, until the end of the file or a signal.

        Args:
            load: The load.
            wait: Whether to wait until the service is done with unknown outcomes, and look them up again.

        Raises:
            AfasError: If the load cannot be opened, for example because its journal is in use.
            OSError: If a file cannot be read or written before anything is sent. Later, that is the `fault`.
            UsageError: If the file is malformed or breaks off before anything is sent. Later, that is the `fault`.
        """
        self._load = load
        try:
            with self._draining(load):
                with self._progress:
                    async with load:
                        if self._failed is not None:
                            await self._failed.open()  # once the load holds its journal, no other load writes
                        await self._feed(load)
                if wait and load.report.unknown:
                    await self._wait_and_resolve(load)
        except asyncio.CancelledError:
            if not self.is_interrupted:
                raise
        except (OSError, UsageError) as error:
            if not load.report.total:
                raise
            self.fault = str(error)  # the outcomes of the lines sent so far must not be lost
        finally:
            self.seconds = load.progress.seconds
            await self._close(load.report)
        return load.report

    async def _close(self, report: LoadReport) -> None:
        if self._failed is not None:
            try:
                await self._failed.close(report, is_whole=self.is_read)
            except OSError as error:
                self.fault = self.fault or str(error)

    async def _feed(self, load: Load) -> None:
        chunks = self._source.chunks()
        while chunk := await asyncio.to_thread(next, chunks, None):
            for number, line in chunk:
                if self.is_interrupted:
                    if self._failed is None:
                        return
                    # The file of failed lines may replace this very file, so it must have the rest of the lines.
                    self._failed.add(Outcome(load.report.total, "not_sent", item=(number, line, _INTERRUPTED)))
                    continue
                record: object
                fault = None
                try:
                    record = self._make(line)
                except UnfitRecordError as error:
                    record, fault = _Unfit(), str(error)
                self._lines[load.report.total] = number, line, fault
                await load.add(record)
            if self._failed is not None:
                await self._failed.flush()
        if self._failed is not None:
            for noted in self._source.left_out:
                self._failed.keep(noted)
        self.is_read = True

    async def _wait_and_resolve(self, load: Load) -> None:
        errors = [outcome.error for outcome in load.report.unknown]
        until = max(error.quiet_until for error in errors if isinstance(error, OutcomeUnknownError))
        seconds = (until - datetime.now(UTC)).total_seconds() + 1
        if seconds > 0 and not self.is_interrupted:
            remark(f"waiting until {until:%H:%M:%S} UTC, when the service is done with unknown records")
            note("waiting", seconds=round(seconds))
            await _sleep(seconds, self._interrupted)
        if not self.is_interrupted:
            await load.resolve()

    @contextmanager
    def _draining(self, load: Load) -> Generator[None]:
        """Let the first signal end the load gently, and the second one at once."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt() -> None:
            if self.is_interrupted and task is not None:
                task.cancel()
                return
            self.is_interrupted = True
            self._interrupted.set()
            remark("sending nothing more, and waiting for open calls; press Ctrl+C again to stop at once")
            load.stop(ClientClosedError("the load was interrupted"))

        signals = (signal.SIGINT, signal.SIGTERM)
        with suppress(NotImplementedError):  # on Windows Ctrl+C stops at once
            for number in signals:
                loop.add_signal_handler(number, interrupt)
        try:
            yield
        finally:
            with suppress(NotImplementedError):
                for number in signals:
                    loop.remove_signal_handler(number)


class _Unfit:
    """Stands in for a line that makes no record, so that it gets an outcome."""


def _reason(error: AfasError | None) -> str:
    """Return the reason of a failure, without details that differ from call to call."""
    match error:
        case OutcomeUnknownError():
            return error.reason
        case ApiError():
            return f"HTTP {error.status}: {error.message}"
        case _:
            return str(error)


async def _sleep(seconds: float, interrupted: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(interrupted.wait(), seconds)


def print_report(name: str, report: LoadReport, run: LineLoad, failed: Path | None, journal: Path | None) -> None:
    """Print the result of a load: counts, the reasons of failures, and what to do next."""
    counts = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in report.counts.items())
    print(f"{name}: {report.total:,} lines: {counts}, in {run.seconds:,.1f} s")
    note("loaded", connector=name, lines=report.total, **report.counts, seconds=round(run.seconds, 3))
    if report.beyond:
        print(f"The journal has {report.beyond:,} more lines than the file: the file is shorter than before.")
    if run.reasons:
        print()
        print_table(
            ("lines", "status", "reason"),
            [
                (f"{count:,}", status.replace("_", " "), reason)
                for (status, reason), count in run.reasons.most_common(_REASONS)
            ],
            right=("lines",),
        )
        if len(run.reasons) > _REASONS:
            print(f"... and {len(run.reasons) - _REASONS:,} more reasons")
    if failed is not None and (report.counts["applied"] < report.total or run.is_interrupted or not run.is_read):
        if run.is_read:
            print(f"\n{failed} has the lines that are not applied: correct them there, and load that file.")
        else:
            print(
                f"\n{failed}.part has the failed lines so far, but no lines that were not read. {failed} is unchanged."
            )
    if report.counts["unknown"]:
        look = "look them up in Profit" if journal is None else f"{PROGRAM} journal {shlex.quote(str(journal))}"
        print(f"\nUnknown lines may have been applied or not: {look}")
    if run.fault:
        print(f"\nThe load ended early, or its file of failed lines is incomplete: {run.fault}")
    if run.is_interrupted:
        again = "without a journal, applied lines would be sent again" if journal is None else "it continues"
        print(f"\nInterrupted: if you run the same command again, {again}.")


def status_of(report: LoadReport, run: LineLoad) -> int:
    """Return the exit status after a load."""
    if report.counts["unknown"]:
        return UNKNOWN_LEFT
    done = report.counts["applied"] == report.total and not (run.is_interrupted or run.fault or report.beyond)
    return 0 if done else NOT_ALL
