"""The books of a load: one outcome for each element, in report and journal, and looked up where it is unknown."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import anyio

from afas_async.errors import AfasError, JournalError, OutcomeUnknownError, UsageError
from afas_async.http.clock import loop_time
from afas_async.policy.lanes import Piece
from afas_async.policy.schedule import LoadCall
from afas_async.policy.verdicts import Resumption, Verdict, resumed
from afas_async.vocabulary.outcomes import LISTED, LoadReport, Outcome
from afas_async.write.failures import FailureFile
from afas_async.write.lookups import Finder

if TYPE_CHECKING:
    from afas_async.write.journal import Journal  # with SQLite, only when there is one


class Ledger:
    """Records what becomes of the elements of one load.

    Args:
        connector: The connector's name.
        finder: Looks up elements whose outcome is unknown; None if nothing can.
        listener: Called with each outcome.
        failures: Where those that are not applied are written, if anywhere.

    Attributes:
        report: The report.
        journal: The journal while it is open, if the load has one.
        looked_up: How many elements have been looked up.
    """

    def __init__(
        self,
        connector: str,
        *,
        finder: Finder | None,
        listener: Callable[[Outcome], None] | None = None,
        failures: FailureFile | None = None,
    ) -> None:
        self.report: LoadReport = LoadReport()
        self.journal: Journal | None = None
        self._connector = connector
        self._finder = finder
        self._listener = listener
        self._failures = failures
        self.looked_up: int = 0
        self._unknown: dict[int, tuple[Piece, float]] = {}

    def open(self, path: str | os.PathLike[str], identity: dict[str, str], load_id: str | None) -> int:
        """Open the journal, and return the number of the next call.

        Args:
            path: Its file.
            identity: What the load is.
            load_id: Which of several it is, to begin a run; None to look at one.

        Raises:
            JournalError: If it cannot be opened, or is another load's, or of one that is finished.
        """
        from afas_async.write.journal import Journal  # noqa: PLC0415 - SQLite is not part of every Python

        self.journal = Journal(path, identity, load_id=load_id or "")
        if load_id is not None:
            try:
                self.journal.start(load_id)
            except JournalError:
                self.close()
                raise
        return self.journal.calls

    def finish(self) -> None:
        """Note that no more elements come, and that the load is finished if all are applied.

        Raises:
            JournalError: If the journal cannot be read or written.
        """
        if self.journal is not None:
            report = self.report
            report.beyond = self.journal.beyond(report.total)
            if report.total and report.counts["applied"] == report.total and not report.beyond:
                self.journal.finish()

    def record(self, outcome: Outcome) -> None:
        """Record an outcome."""
        self.report.record(outcome)
        if self._failures is not None and outcome.status != "applied":
            self._failures.add(outcome)
        if self._listener is not None:
            self._listener(outcome)

    def not_sent(self, pieces: Sequence[Piece], error: AfasError) -> None:
        """Record that elements are not sent, in their order."""
        for piece in sorted(pieces, key=lambda piece: piece.index):
            self.record(Outcome(piece.index, "not_sent", error=error, item=piece.item))

    def hold_back(self, pieces: Sequence[Piece]) -> None:
        """Record that elements are not sent because of what became of an earlier one with their key."""
        text = f"{self._connector}: held back, as an earlier element with the same key is not known to be applied"
        self.not_sent(pieces, UsageError(text))

    def earlier(self, piece: Piece) -> Outcome | None:
        """Return the outcome that an element had in an earlier run, by the journal, or None if it is to be sent.

        Raises:
            JournalError: If the journal has another element in its place.
        """
        if self.journal is None:
            return None
        entry = self.journal.find(piece.index)
        same = entry is not None and entry.digest == piece.digest
        elsewhere = not same and self.journal.has_later(piece.index, piece.digest)
        match resumed(None if entry is None else entry.state, same=same, elsewhere=elsewhere):
            case Resumption.SEND:
                return None
            case Resumption.REFUSE:
                raise JournalError(
                    f"{self._connector}: element {piece.index} is not the one that the journal has in its place: give"
                    " the same elements in the same order, also those that were refused"
                )
            case Resumption.KEEP:
                assert entry is not None  # noqa: S101 - there is something to keep
                if entry.state == "applied":
                    self._take_as_control(piece)
                    return Outcome(piece.index, "applied", entry.key)
                self._keep(piece, entry.sent)
                return Outcome(piece.index, "unknown", None, entry.error, item=piece.item)

    def check_not_sent(self, index: int) -> None:
        """Make sure that an element which cannot be sent now was not sent in an earlier run.

        Raises:
            JournalError: If it may have been.
        """
        entry = self.journal.find(index) if self.journal else None
        if entry is not None and entry.state in {"applied", "unknown"}:
            raise JournalError(
                f"{self._connector}: element {index} is {entry.state} in the journal, and cannot be sent now: give the"
                " same elements in the same order"
            )

    def book(self, call: LoadCall, verdict: Verdict) -> None:
        """Record what became of the elements of a call.

        Raises:
            JournalError: If the journal cannot be written. The report is right all the same, and the next run finds the
                call in flight, so that it does not send it again.
        """
        keys = verdict.result.keys if verdict.result else ()
        known = len(keys) in {len(call.pieces), verdict.applied}
        outcomes = [
            Outcome(piece.index, "applied", keys[place] if known and keys else None, batch=call.number)
            if verdict.status == "applied" or place < verdict.applied
            else Outcome(piece.index, verdict.status, None, verdict.error, call.number, piece.item)
            for place, piece in enumerate(call.pieces)
        ]
        for outcome in outcomes:
            self.record(outcome)
        for piece, outcome in zip(call.pieces, outcomes, strict=True):
            if outcome.status == "unknown":
                self._keep(piece, loop_time() - verdict.seconds)
        if outcomes[0].status == "applied":
            self._take_as_control(call.pieces[max(verdict.applied, 1) - 1])
        if self.journal is not None:
            self.journal.end(call.number, outcomes)

    async def look_up(self, window: int) -> None:
        """Look up the elements whose outcome is unknown, some at a time, and correct what is found out.

        Raises:
            Exception: What a look-up failed of. What was found out before stays.
        """
        if self._finder is None:
            return
        finder, ahead, failures = self._finder, iter(list(self.report.unknown)), list[Exception]()

        async def work() -> None:
            for before in ahead:
                try:
                    await self._look_up_one(finder, before)
                except Exception as error:  # noqa: BLE001 - also of the user's functions; it is raised below
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
            if self.journal is not None:
                self.journal.correct(before.index, "applied" if finding == "applied" else "planned")
            found = _found(before, finding)
            self.report.correct(before, found)
            if self._failures is not None:
                self._failures.add(found)  # in place of the line that says "unknown"

    def close(self) -> None:
        """Close the journal; may be called twice."""
        if self.journal is not None:
            self.journal.close()
            self.journal = None

    def _keep(self, piece: Piece, sent: float) -> None:
        if self._finder is not None and len(self._unknown) < LISTED:
            self._unknown[piece.index] = piece, sent

    def _take_as_control(self, piece: Piece) -> None:
        if self._finder is not None:
            self._finder.control = piece.body


def _found(before: Outcome, finding: Literal["applied", "absent"]) -> Outcome:
    if finding == "applied":
        return Outcome(before.index, "applied", batch=before.batch)
    text = f"element {before.index} was sent, looked up after its quiet period, and is not there: it may be sent again"
    return Outcome(before.index, "not_sent", error=AfasError(text), batch=before.batch, item=before.item)
