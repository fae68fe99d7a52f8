"""The books of a load: one outcome for each element, in report and journal, and looked up where it is unknown."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from afas_async.errors import AfasError, JournalError, OutcomeUnknownError, UsageError
from afas_async.http.clock import loop_time
from afas_async.policy.lanes import Piece
from afas_async.policy.schedule import LoadCall
from afas_async.policy.verdicts import Resumption, Verdict, resumed
from afas_async.vocabulary.outcomes import LISTED, LoadReport, Outcome
from afas_async.write.lookups import Finder

if TYPE_CHECKING:
    from afas_async.write.journal import Journal  # with SQLite, only when there is one


class Ledger:
    """Records what becomes of the elements of one load.

    Args:
        connector: The connector's name.
        finder: Looks up elements whose outcome is unknown; None if nothing can.
        listener: Told of each outcome.

    Attributes:
        report: The report.
        journal: The journal while it is open, if the load has one.
    """

    def __init__(
        self, connector: str, *, finder: Finder | None, listener: Callable[[Outcome], None] | None = None
    ) -> None:
        self.report: LoadReport = LoadReport()
        self.journal: Journal | None = None
        self._connector = connector
        self._finder = finder
        self._listener = listener
        self._unknown: dict[int, tuple[Piece, float]] = {}

    def open(self, path: str | os.PathLike[str], identity: dict[str, str]) -> int:
        """Open the journal, and return the number of the next call.

        Raises:
            JournalError: If it cannot be opened, or is another load's.
        """
        from afas_async.write.journal import Journal  # noqa: PLC0415 - SQLite is not part of every Python

        self.journal = Journal(path, identity)
        return self.journal.calls

    def record(self, outcome: Outcome) -> None:
        """Record an outcome."""
        self.report.record(outcome)
        if self._listener is not None:
            self._listener(outcome)

    def not_sent(self, pieces: Sequence[Piece], error: AfasError) -> None:
        """Record that elements are not sent, in their order."""
        for index in sorted(piece.index for piece in pieces):
            self.record(Outcome(index, "not_sent", error=error))

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
                else:
                    self._keep(piece, entry.sent)
                return Outcome(
                    piece.index, "applied" if entry.state == "applied" else "unknown", entry.key, entry.error
                )

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
            else Outcome(piece.index, verdict.status, None, verdict.error, call.number)
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

    async def look_up(self) -> None:
        """Look up the elements whose outcome is unknown, and correct what is found out."""
        if self._finder is None:
            return
        for before in list(self.report.unknown):
            piece, sent = self._unknown[before.index]
            assert isinstance(before.error, OutcomeUnknownError)  # noqa: S101 - as for every unknown outcome
            finding = await self._finder.find(piece.body, before.error, sent=sent)
            if finding != "unknown":
                if self.journal is not None:
                    self.journal.settle(before.index, "applied" if finding == "applied" else "planned")
                self.report.correct(before, _found(before, finding))

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
    return Outcome(before.index, "not_sent", error=AfasError(text), batch=before.batch)
