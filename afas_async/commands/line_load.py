"""The lines of a file on their way to Profit: each with one outcome, and a report of all."""

from __future__ import annotations

import asyncio
import shlex
import signal
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from afas_async.commands.failed_lines import FailedLines
from afas_async.commands.json_log import note
from afas_async.commands.lines import BrokenLine, LineFile
from afas_async.commands.naming import NOT_ALL, PROGRAM, UNKNOWN_LEFT
from afas_async.commands.terminal import ProgressLine, print_table, remark
from afas_async.errors import AfasError, ApiError, ClientClosedError, OutcomeUnknownError
from afas_async.policy.field_map import UnfitRecordError
from afas_async.vocabulary.outcomes import LoadReport, Outcome

if TYPE_CHECKING:
    from afas_async.write.ordered import Outcomes

_REASONS: Final = 10  # that are printed
_INTERRUPTED: Final = "interrupted before it was sent"


@dataclass(slots=True)
class Run:
    """What a load has come to.

    Attributes:
        pending: The lines whose outcome is to come: number, line, and the fault of one that makes no record.
        reasons: Why lines are not applied, by status and reason.
        is_interrupted: Whether it is being ended by a signal.
        seconds: How long it took.
    """

    pending: deque[tuple[int, Any, str | None]] = field(default_factory=deque[tuple[int, Any, str | None]])
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    is_interrupted: bool = False
    seconds: float = 0.0


class _Unfit:
    """Stands for a line that makes no record, so that it has a place and an outcome."""


async def load_lines(
    outcomes_of: Callable[[AsyncIterator[Any]], Outcomes],
    source: LineFile,
    make: Callable[[Any], dict[str, Any]],
    failed: FailedLines | None,
    *,
    wait: bool,
) -> tuple[LoadReport, Run]:
    """Load the lines of a file, and write those that are not applied as that is known.

    Args:
        outcomes_of: Begins a load of records.
        source: The file.
        make: What makes the record of a line.
        failed: Where lines that are not applied are written.
        wait: Whether to wait out the quiet period of unknown outcomes, and look them up once more.

    Raises:
        AfasError: If the load cannot be opened, such as for a journal that is in use.
        OSError: If a file cannot be read or written.
    """
    run = Run()
    outcomes = outcomes_of(_records(source, make, run, failed))
    try:
        with _draining(outcomes, run), ProgressLine(what="lines") as progress:
            async with outcomes:
                async for outcome in outcomes:
                    await _take(outcome, run, failed)
                    counts, done = outcomes.report.counts, outcomes.progress
                    progress.show(
                        outcome.index + 1,
                        **{status.replace("_", " "): count for status, count in counts.items()},
                        calls=done.calls,
                        seconds=done.seconds,
                    )
        if wait and outcomes.report.unknown:
            await _wait_and_resolve(outcomes)
    finally:
        run.seconds = outcomes.progress.seconds
        if failed is not None:
            await failed.close(outcomes.report)
    return outcomes.report, run


async def _records(
    source: LineFile, make: Callable[[Any], dict[str, Any]], run: Run, failed: FailedLines | None
) -> AsyncIterator[Any]:
    if failed is not None:
        await failed.open()  # the load has its journal by now, so that no other one writes there
    chunks = source.chunks()
    while chunk := await asyncio.to_thread(next, chunks, None):
        for number, line in chunk:
            record: Any = None
            fault: str | None = None
            if isinstance(line, BrokenLine):
                fault = line.fault
            else:
                try:
                    record = make(line)
                except UnfitRecordError as error:
                    fault = str(error)
            run.pending.append((number, line, fault))
            yield _Unfit() if fault is not None else record


async def _take(outcome: Outcome, run: Run, failed: FailedLines | None) -> None:
    number, line, fault = run.pending.popleft()
    if outcome.status == "applied":
        return
    if fault is None and run.is_interrupted and isinstance(outcome.error, ClientClosedError):
        fault = _INTERRUPTED
    run.reasons[outcome.status, fault or _reason(outcome.error)] += 1
    if failed is not None:
        await failed.add(Outcome(outcome.index, outcome.status, error=outcome.error, item=(number, line, fault)))


def _reason(error: AfasError | None) -> str:
    """Return why lines are not applied, without what differs from call to call."""
    match error:
        case OutcomeUnknownError():
            return error.reason
        case ApiError():
            return f"HTTP {error.status}: {error.message}"
        case _:
            return str(error)


@contextmanager
def _draining(outcomes: Outcomes, run: Run) -> Generator[None]:
    """Let the first signal end the load in good order, and the second one at once."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    ending = set[asyncio.Task[None]]()

    def interrupt() -> None:
        if run.is_interrupted and task is not None:
            task.cancel()
            return
        run.is_interrupted = True
        remark("sending nothing more, and waiting for what is under way; Ctrl+C once more stops at once")
        ending.add(loop.create_task(outcomes.aclose()))

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


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _wait_and_resolve(outcomes: Outcomes) -> None:
    errors = [outcome.error for outcome in outcomes.report.unknown]
    until = max(error.quiet_until for error in errors if isinstance(error, OutcomeUnknownError))
    seconds = (until - datetime.now(UTC)).total_seconds() + 1
    if seconds > 0:
        remark(f"waiting until {until:%H:%M:%S} UTC, when the service is done with what is unknown")
        note("waiting", seconds=round(seconds))
        await _sleep(seconds)
    await outcomes.resolve()


def print_report(name: str, report: LoadReport, run: Run, failed: Path | None, journal: Path | None) -> None:
    """Print what became of a load: counts, the reasons of what is not applied, and what to do next."""
    counts = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in report.counts.items())
    print(f"{name}: {report.total:,} lines: {counts}, in {run.seconds:,.1f} s")
    note("loaded", connector=name, lines=report.total, **report.counts, seconds=round(run.seconds, 3))
    if report.beyond:
        print(f"The journal has {report.beyond:,} more lines than the file, which is shorter than before.")
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
    if failed is not None and report.counts["applied"] < report.total:
        print(f"\nThe lines that are not applied are in {failed}: correct them there, and load that file.")
    if report.counts["unknown"]:
        look = "look them up in Profit" if journal is None else f"{PROGRAM} journal {shlex.quote(str(journal))}"
        print(f"\nUnknown lines may be applied or not: {look}")
    if run.is_interrupted:
        again = "without a journal, lines that were applied would be sent again" if journal is None else "it goes on"
        print(f"\nInterrupted: run the same command again, and {again}.")


def status_of(report: LoadReport, run: Run) -> int:
    """Return the exit status after a load."""
    if report.counts["unknown"]:
        return UNKNOWN_LEFT
    done = report.counts["applied"] == report.total and not run.is_interrupted and not report.beyond
    return 0 if done else NOT_ALL
