"""Records one outcome for each element of a load, in the report and the journal, and looks up unknown outcomes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Final, Literal

import anyio

from afas_async.errors import AfasError, JournalError, OutcomeUnknownError, UsageError
from afas_async.http.clock import loop_time
from afas_async.policy.lanes import Piece
from afas_async.policy.schedule import LoadCall
from afas_async.policy.verdicts import Resumption, Verdict, resumed
from afas_async.vocabulary.outcomes import LISTED, LoadReport, Outcome
from afas_async.write.entries import Entry
from afas_async.write.failures import FailureFile
from afas_async.write.journal_thread import JournalThread
from afas_async.write.lookups import Finder

log: logging.Logger = logging.getLogger("afas_async")

_AHEAD: Final = 1_000  # journal entries to read at a time


class Ledger:
    """Records the outcomes of one load.

    Args:
        connector: The connector's name.
        finder: Looks up elements whose outcome is unknown; None for no lookups.
        listeners: Called with each outcome.
        failures: The file of failures, if the load has one.
        journal_failed: Called with the error when a note in the journal fails.

    Attributes:
        report: The report.
        thread: The journal while it is open, if the load has one.
        looked_up: The number of elements that have been looked up.
    """

    def __init__(
        self,
        connector: str,
        *,
        finder: Finder | None,
        listeners: Sequence[Callable[[Outcome], None]] = (),
        failures: FailureFile | None = None,
        journal_failed: Callable[[JournalError], None],
    ) -> None:
        self.report: LoadReport = LoadReport()
        self.thread: JournalThread | None = None
        self._entries: dict[int, Entry] = {}
        self._read_until = 0
        self._connector = connector
        self._finder = finder
        self._listeners = listeners
        self._failures = failures
        self._journal_failed = journal_failed
        self.looked_up: int = 0
        self._unknown: dict[int, tuple[Piece, float]] = {}

    async def open(self, path: str | os.PathLike[str], identity: dict[str, str], load_id: str | None) -> int:
        """Open the journal, and return the number of the next call.

        Args:
            path: The file of the journal.
            identity: The load: service, connector and action.
            load_id: The id of the load, to begin a run; None to open the journal without a run.

        Raises:
            JournalError: If it cannot be opened, or belongs to another load or to a finished one.
        """
        thread = JournalThread(self._journal_failed)
        await thread.open(path, identity, load_id)
        self.thread = thread
        if self._read_until == 0 <= thread.journal.last:
            await self.ask()
        return thread.journal.calls

    async def finish(self, *, whole: bool) -> None:
        """Count the later elements of the journal, and mark the load as finished if all elements are applied.

        Args:
            whole: Whether the source came to its end. If not, more elements may come in the next run.

        Raises:
            JournalError: If the journal cannot be read or written.
        """
        if self.thread is not None:
            report, journal = self.report, self.thread.journal
            report.beyond = await self.thread.run(journal.beyond, report.total)
            if whole and report.total and report.counts["applied"] == report.total and not report.beyond:
                await self.thread.run(journal.finish)

    def has_read(self, number: int) -> bool:
        """Whether the entry of a position has been read, or the journal has none there."""
        return self.thread is None or number < self._read_until or number > self.thread.journal.last

    def knows(self, piece: Piece) -> bool:
        """Whether `earlier` can answer without reading the journal."""
        if self.thread is None or piece.index > self.thread.journal.last or self.thread.journal.has_places:
            return True
        entry = self._entries.get(piece.index)
        return entry is not None and entry.digest == piece.digest

    async def ask(self) -> None:
        """Read the next entries of the journal, or the positions of all elements that may be at the service.

        Raises:
            JournalError: If the journal cannot be read.
        """
        assert self.thread is not None  # noqa: S101 - called only for a load with a journal
        journal = self.thread.journal
        if self.report.total < self._read_until:
            await self.thread.run(journal.read_places)
        else:
            self._entries = await self.thread.run(journal.read, self.report.total, _AHEAD)
            self._read_until = self.report.total + _AHEAD

    def record(self, outcome: Outcome, piece: Piece | None = None) -> None:
        """Record an outcome, with its element if that could be encoded."""
        self.report.record(outcome)
        if self._failures is not None and outcome.status != "applied":
            self._failures.add(outcome, None if piece is None else piece.record)
        for listener in self._listeners:
            try:
                listener(outcome)
            except Exception:  # a bug in the user's function must not cost an outcome
                log.exception("%s: on_outcome raised; the load continues", self._connector)

    def not_sent(self, pieces: Sequence[Piece], error: AfasError) -> None:
        """Record elements as not sent, in their order."""
        for piece in sorted(pieces, key=lambda piece: piece.index):
            self.record(Outcome(piece.index, "not_sent", error=error, item=piece.item), piece)

    def hold_back(self, pieces: Sequence[Piece]) -> None:
        """Record elements as not sent because an earlier one with their key was not applied."""
        text = f"{self._connector}: held back, as an earlier element with the same key is rejected, unknown or not sent"
        self.not_sent(pieces, UsageError(text))

    def earlier(self, piece: Piece) -> Outcome | None:
        """Return the outcome of an element in an earlier run, from the journal; None if it must be sent.

        Call it only if `knows` is true.

        Raises:
            JournalError: If the journal has another element at this position.
        """
        if self.thread is None or piece.index > self.thread.journal.last:
            return None
        entry = self._entries.get(piece.index)
        same = entry is not None and entry.digest == piece.digest
        elsewhere = not same and self.thread.journal.has_later(piece.index, piece.digest)
        match resumed(None if entry is None else entry.state, same=same, elsewhere=elsewhere):
            case Resumption.SEND:
                return None
            case Resumption.REFUSE:
                raise JournalError(
                    f"{self._connector}: element {piece.index}: the journal has another element at this position: give"
                    " the same elements in the same order, including refused ones"
                )
            case Resumption.KEEP:
                assert entry is not None  # noqa: S101 - only an entry can be kept
                if entry.state == "applied":
                    self._take_as_control(piece)
                    return Outcome(piece.index, "applied", entry.key)
                self._keep(piece, entry.sent)
                return Outcome(piece.index, "unknown", None, entry.error, item=piece.item)

    def check_not_sent(self, index: int) -> None:
        """Check that an element which cannot be sent now was not sent in an earlier run.

        Raises:
            JournalError: If it may have been sent.
        """
        entry = self._entries.get(index)
        if entry is not None and entry.state in {"applied", "unknown"}:
            raise JournalError(
                f"{self._connector}: element {index} is {entry.state} in the journal, but cannot be sent now: give the"
                " same elements in the same order"
            )

    def book(self, call: LoadCall, verdict: Verdict) -> None:
        """Record the outcomes of the elements of a call.

        If the journal cannot be written, the report is still correct. The next run finds the call in flight, and does
        not send it again.
        """
        keys = verdict.result.keys if verdict.result else ()
        known = len(keys) in {len(call.pieces), verdict.applied}
        outcomes = [
            Outcome(piece.index, "applied", keys[place] if known and keys else None, batch=call.number)
            if verdict.status == "applied" or place < verdict.applied
            else Outcome(piece.index, verdict.status, None, verdict.error, call.number, piece.item)
            for place, piece in enumerate(call.pieces)
        ]
        for piece, outcome in zip(call.pieces, outcomes, strict=True):
            self.record(outcome, piece)
            if outcome.status == "unknown":
                self._keep(piece, loop_time() - verdict.seconds)
        if outcomes[0].status == "applied":
            self._take_as_control(call.pieces[max(verdict.applied, 1) - 1])
        if self.thread is not None:
            self.thread.post(self.thread.journal.end, call.number, outcomes)

    async def look_up(self, window: int) -> None:
        """Look up the elements whose outcome is unknown, `window` at a time, and correct their outcomes.

        Raises:
            Exception: If a lookup fails. The results so far are kept.
        """
        if self._finder is None:
            return
        finder, ahead, failures = self._finder, iter(list(self.report.unknown)), list[Exception]()

        async def work() -> None:
            for before in ahead:
                try:
                    await self._look_up_one(finder, before)
                except Exception as error:  # noqa: BLE001 - even from the user's functions; raised below
                    failures.append(error)
                    group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for _ in range(window):
                group.start_soon(work)
        if failures:
            raise failures[0]

    async def _look_up_one(self, finder: Finder, before: Outcome) -> None:
        piece, sent = self._unknown[before.index]
        assert isinstance(before.error, OutcomeUnknownError)  # noqa: S101 - as for every unknown outcome
        finding = await finder.find(piece.body, before.error, sent=sent)
        self.looked_up += 1
        if finding != "unknown":
            with anyio.CancelScope(shield=True):  # journal and report must agree
                if self.thread is not None:
                    state: Literal["applied", "planned"] = "applied" if finding == "applied" else "planned"
                    await self.thread.run(self.thread.journal.correct, before.index, state)
            found = _found(before, finding)
            self.report.correct(before, found)
            if self._failures is not None:
                self._failures.add(
                    found, None if found.item is None else piece.record
                )  # counts instead of the line with "unknown"

    async def close(self) -> None:
        """Close the journal after the last note. A second call does nothing."""
        if self.thread is not None:
            try:
                await self.thread.run(int)  # waits for the earlier steps; a call among them may then post its outcome
            finally:
                thread, self.thread = self.thread, None
                await thread.close()

    def _keep(self, piece: Piece, sent: float) -> None:
        if self._finder is not None and len(self._unknown) < LISTED:
            self._unknown[piece.index] = piece, sent

    def _take_as_control(self, piece: Piece) -> None:
        if self._finder is not None:
            self._finder.control = piece.body


def _found(before: Outcome, finding: Literal["applied", "absent"]) -> Outcome:
    if finding == "applied":
        return Outcome(before.index, "applied", batch=before.batch)
    text = f"element {before.index} was sent, but lookups after 16 minutes show no effect: you can send it again"
    error = AfasError(text)
    error.retryable = True
    return Outcome(before.index, "not_sent", error=error, batch=before.batch, item=before.item)
