"""The journal of a load: what was sent and what became of it, on disk before the next step is taken.

The service has no idempotency key, so after a crash only a note made before the first byte left can tell what must not
be sent again. What to rely on, whenever the process is killed or the power fails:

- An element is sent only after the note that it is in flight has been synced to the disk. If the note cannot be made,
  it is not sent.
- An element that may have reached the service is never sent again by itself. In the next run it is "unknown" until it
  is looked up, or by hand with `python -m afas_async journal`.
- An element that is not in the journal, or "planned" there, has had no effect, and is sent.
- One process has the journal open at a time, and for one load: connector, action and service. Whoever reads, copies or
  hashes the file does not change that. A forked child cannot use the journal, nor harm it.
- Where locks do not hold, as on some network drives, the process that opened the journal last goes on with it. The one
  before sends nothing more.
- A journal that is damaged, cut off, or of another load or version is refused, and then nothing is sent.

A load uses it in a thread of its own (`journal_thread.py`), as a commit takes as long as the disk takes to sync.
Opening reads the whole file, a second for a million elements.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

import msgspec

from afas_async.errors import JournalError, OutcomeUnknownError
from afas_async.http.clock import loop_time
from afas_async.policy.lanes import Piece
from afas_async.policy.retrying import WRITE_SECONDS
from afas_async.policy.verdicts import State, noted, upload_seconds
from afas_async.vocabulary.outcomes import Outcome
from afas_async.write.entries import Entry, entry_of, error_text
from afas_async.write.journal_file import JournalFile

_REFERENCE: Final = 16  # hex digits


class Journal:
    """The journal of one load, which one process may have open.

    What is in flight in the file when it is opened is "unknown": whoever sent it has died.

    Args:
        path: The file; it is made if it is not there, readable by its owner only.
        identity: What the load is: "service", "connector" and "action". A journal belongs to one load. Without it the
            journal is opened whatever its load is, and must be there.
        load_id: Which of several loads to one connector it is, for a journal that is made.

    Raises:
        JournalError: If it is in use, another load's, of another version, damaged, or cannot be written.

    Attributes:
        identity: What the load is.
        load_id: Which of several it is; may be empty.
        finished: When all of its elements were applied, as text; empty before.
        reference: What the references that a load writes begin with, the same in each run.
        calls: The number of the next call.
        last: The number of the last element when it was opened, -1 if there is none.
    """

    def __init__(
        self, path: str | os.PathLike[str], identity: Mapping[str, str] | None = None, *, load_id: str = ""
    ) -> None:
        self._path = Path(path)
        self._places: dict[bytes, int] | None = None  # of elements that may be at the service, by their digests
        self.identity: dict[str, str] = dict(identity or {})
        self.load_id: str = load_id
        self.finished: str = ""
        self.reference: str = uuid4().hex[:_REFERENCE]
        self._file = JournalFile(path, None if identity is None else self._facts())
        try:
            with self._file.failing("cannot be opened"):
                self._recognise()
                self._file.begin()
                self.calls: int
                self.last: int
                self.calls, self.last = self._file.database.execute(
                    "SELECT coalesce(max(call), -1) + 1, coalesce(max(number), -1) FROM elements"
                ).fetchone()
        except BaseException:
            self._file.close()
            raise

    def _recognise(self) -> None:
        found = msgspec.json.decode(self._file.facts, type=dict[str, str])
        self.load_id, self.finished = found.pop("load_id", ""), found.pop("finished", "")
        self.reference = found.pop("reference", self.reference)
        if self.identity and self.identity != found:
            raise JournalError(f"{self._path}: the journal of another load: {found}, and this is {self.identity}")
        self.identity = found

    def start(self, load_id: str) -> None:
        """Begin a run of a load, which goes on with one that was broken off, or is a new one after it was finished.

        Raises:
            JournalError: If it is another load's; or if it is finished, so that nothing of a new load would be sent.
        """
        if load_id != self.load_id and not self.finished:
            raise JournalError(
                f"{self._path}: the journal of the load {self.load_id!r}, which is not finished, and this is"
                f" {load_id!r}: finish that one, or give this one a journal of its own"
            )
        if load_id != self.load_id:
            self.load_id, self.finished, self.reference, self.last = load_id, "", uuid4().hex[:_REFERENCE], -1
            with self._file.writing("cannot be written") as database:
                database.execute("DELETE FROM elements")
                database.execute("UPDATE load SET identity = ?", (self._facts(),))
        elif self.finished and not load_id:
            raise JournalError(
                f"{self._path}: its load was finished at {self.finished}, so that nothing would be sent: delete it"
                " before the next load, or give each load a load_id= of its own, such as its date"
            )

    def finish(self) -> None:
        """Note that all elements of the load are applied.

        Raises:
            JournalError: If that cannot be written: the next run goes through the elements once more.
        """
        self.finished = datetime.now(UTC).isoformat(" ", "seconds")
        with self._file.writing("cannot be written") as database:
            database.execute("UPDATE load SET identity = ?", (self._facts(),))

    def beyond(self, number: int) -> int:
        """Return how many elements stand in places from a number on.

        Raises:
            JournalError: If they cannot be read.
        """
        with self._file.failing("cannot be read"):
            row = self._file.database.execute("SELECT count(*) FROM elements WHERE number >= ?", (number,)).fetchone()
        count: int = row[0]
        return count

    def _facts(self) -> str:
        facts = {"load_id": self.load_id, "finished": self.finished, "reference": self.reference}
        kept = self.identity | {name: text for name, text in facts.items() if text}
        return msgspec.json.encode(kept, order="sorted").decode()

    def close(self) -> None:
        """Give the file free; may be called twice."""
        self._file.close()

    def read(self, number: int, count: int) -> dict[int, Entry]:
        """Return what is known of so many elements from a number on.

        Raises:
            JournalError: If it cannot be read.
        """
        return {each.number: each for each in self._entries("number >= ? AND number < ?", number, number + count)}

    def read_places(self) -> None:
        """Read where all elements were that may be at the service, when the journal was opened.

        Raises:
            JournalError: If the journal cannot be read.
        """
        with self._file.failing("cannot be read"):
            self._places = dict(
                self._file.database.execute(
                    "SELECT digest, max(number) FROM elements WHERE state IN ('applied', 'unknown') AND call < ?"
                    " GROUP BY digest",
                    (self.calls,),
                )
            )

    @property
    def has_places(self) -> bool:
        """Whether `read_places` was called."""
        return self._places is not None

    def has_later(self, number: int, digest: bytes) -> bool:
        """Whether an element was in a later place, and may be at the service; needs `read_places`."""
        assert self._places is not None  # noqa: S101
        return self._places.get(digest, -1) > number

    def unknown(self) -> list[Entry]:
        """Return the elements whose outcome is unknown, in order.

        Raises:
            JournalError: If they cannot be read.
        """
        return self._entries("state = 'unknown'")

    def rejected(self) -> list[Entry]:
        """Return the elements that the service refused, in order.

        Raises:
            JournalError: If they cannot be read.
        """
        return self._entries("state = 'rejected'")

    def body(self, number: int) -> bytes:
        """Return the encoded element, for one whose outcome is unknown: of others it is not kept."""
        with self._file.failing("cannot be read"):
            found: bytes = self._file.database.execute(
                "SELECT body FROM elements WHERE number = ?", (number,)
            ).fetchone()[0]
        return found

    def counts(self) -> dict[State, int]:
        """Return how many elements have each state, of those that were ever begun.

        Raises:
            JournalError: If they cannot be read.
        """
        counts: dict[State, int] = {"applied": 0, "rejected": 0, "unknown": 0, "planned": 0}
        with self._file.failing("cannot be read"):
            return counts | dict(self._file.database.execute("SELECT state, count(*) FROM elements GROUP BY state"))

    def begin(self, call: int, pieces: Sequence[Piece], sent: float | None = None) -> None:
        """Note that a call's elements may be at the service from now on, durably.

        Args:
            call: The number of the call.
            pieces: Its elements.
            sent: The moment by the clock of event loops, which has to be given in a thread without one.

        Raises:
            JournalError: If that cannot be written, so that they must not be sent, or one of them may be there already.
        """
        # Whoever is killed while it sends cannot note when the last byte has left, if it ever did.
        uploading = upload_seconds(sum(len(piece.body) for piece in pieces))
        in_flight = error_text(
            OutcomeUnknownError(
                connector=self.identity["connector"],
                sent_at=(now := datetime.now(UTC)),
                quiet_until=now + timedelta(seconds=uploading + WRITE_SECONDS),
                stage="sent",
                reason="the load ended while it was being sent",
            )
        )
        with self._file.writing("cannot be written, so nothing is sent") as database:
            sent = loop_time() if sent is None else sent
            if self.finished:  # its load has become longer
                self.finished = ""
                database.execute("UPDATE load SET identity = ?", (self._facts(),))
            changed = database.executemany(
                """INSERT INTO elements VALUES (?, 'in flight', ?, ?, ?, ?, NULL, ?)
                   ON CONFLICT (number) DO UPDATE
                   SET state = 'in flight', digest = excluded.digest, call = excluded.call, sent = excluded.sent,
                       body = excluded.body, error = excluded.error
                   WHERE state IN ('planned', 'rejected')""",
                [(piece.index, piece.digest, call, sent, piece.body, in_flight) for piece in pieces],
            ).rowcount
            if changed != len(pieces):
                raise JournalError(f"{self._path}: an element of call {call} may be at the service already")
        # Whoever opens the journal names itself the owner, and then reads the notes. We note, and then look who is the
        # owner. So where locks do not hold, at least one of the two sees the other.
        self._file.check_owner()

    def postpone(self, call: int) -> None:
        """Note that a call had no effect, so that its elements are still to be sent.

        Raises:
            JournalError: If that cannot be written: the next run finds them in flight.
        """
        with self._file.writing("cannot be written") as database:
            database.execute(
                "UPDATE elements SET state = 'planned', body = NULL, error = NULL"
                " WHERE call = ? AND state = 'in flight'",
                (call,),
            )

    def end(self, call: int, outcomes: Sequence[Outcome]) -> None:
        """Note what became of the elements of a call; what is applied or rejected is not kept any longer.

        Raises:
            JournalError: If that cannot be written: the next run finds them in flight. Or if one was not in flight.
        """
        states = [noted(each.status, elements=len(outcomes), error=each.error) for each in outcomes]
        with self._file.writing("cannot be written") as database:
            changed = database.executemany(
                """UPDATE elements SET state = ?, key = ?, error = ?, body = CASE ? WHEN 'unknown' THEN body END
                   WHERE number = ? AND call = ? AND state = 'in flight'""",
                [
                    (
                        state,
                        None if outcome.key is None else msgspec.json.encode(outcome.key).decode(),
                        None if state == "planned" else error_text(outcome.error),
                        state,
                        outcome.index,
                        call,
                    )
                    for outcome, state in zip(outcomes, states, strict=True)
                ],
            ).rowcount
            # A call that was not even begun is not in flight either.
            if changed != len(outcomes) and any(state != "planned" for state in states):
                raise JournalError(f"{self._path}: an element of call {call} was not in flight")

    def correct(self, number: int, state: Literal["planned", "applied"]) -> None:
        """Note what was found out about an element whose outcome was unknown.

        Raises:
            JournalError: If there is none with this number, or it cannot be written.
        """
        with self._file.writing("cannot be written") as database:
            changed = database.execute(
                "UPDATE elements SET state = ?, body = NULL, error = NULL WHERE number = ? AND state = 'unknown'",
                (state, number),
            ).rowcount
            if not changed:
                raise JournalError(f"{self._path}: element {number} is not one whose outcome is unknown")

    def _entries(self, condition: str, *values: int) -> list[Entry]:
        with self._file.failing("cannot be read"):
            columns = "SELECT number, state, digest, sent, key, error FROM elements"
            rows = self._file.database.execute(f"{columns} WHERE {condition} ORDER BY number", values)
            return [entry_of(row) for row in rows]
