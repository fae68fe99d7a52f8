"""The journal of a load: each call and each outcome, on disk before the next step.

The service has no idempotency key. After a crash, only a note from before the first byte shows which elements must not
be sent again. These rules hold even if the process is killed or the power fails:

- An element is sent only after the note that it is in flight is on disk. If the note fails, the element is not sent.
- An element that may have reached the service is never sent again automatically. In the next run it is "unknown", until
  a lookup finds its outcome or you set it with `python -m afas_async journal`.
- An element that is "planned" or not in the journal has had no effect, and is sent.
- One process at a time can open the journal, for one load: a connector, an action and a service. A program that
  reads, copies or hashes the file does not free its lock. A forked child can neither use the journal nor damage it.
- Where locks do not work, as on some network drives, the process that opened the journal last continues. The other one
  sends nothing more.
- A journal that is damaged, cut off, or from another load or version raises an error, and nothing is sent.

A load writes its journal in a thread (`journal_thread.py`), as each commit waits for the disk. Opening reads the whole
file: a second for a million elements.
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
    """The open journal of one load.

    Elements that are in flight in the file when it is opened become "unknown": the process that sent them has died.

    Args:
        path: The file. If it does not exist, it is created, readable by its owner only.
        identity: The load: "service", "connector" and "action". None to open the journal of any load; the file must
            exist then.
        load_id: The id of the load, for a new journal.

    Raises:
        JournalError: If the journal is in use, damaged, from another load or version, or cannot be written.

    Attributes:
        identity: The load.
        load_id: The id of the load; may be empty.
        finished: When all of its elements were applied, as text; empty before.
        reference: The beginning of the references that the load writes, the same in each run.
        calls: The number of the next call.
        last: The number of the last element when the journal was opened; -1 for an empty journal.
    """

    def __init__(
        self, path: str | os.PathLike[str], identity: Mapping[str, str] | None = None, *, load_id: str = ""
    ) -> None:
        self._path = Path(path)
        self._places: dict[bytes, int] | None = None  # positions of elements that may be at the service, by digest
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
            raise JournalError(
                f"{self._path}: this is the journal of another load: {found}, not {self.identity}: give another path"
            )
        self.identity = found

    def start(self, load_id: str) -> None:
        """Begin a run: it continues an interrupted load, or begins a new one if the old one is finished.

        Raises:
            JournalError: If the journal belongs to another load, or its load is finished and would send nothing.
        """
        if load_id != self.load_id and not self.finished:
            raise JournalError(
                f"{self._path}: the load {self.load_id!r} is not finished: run it again before {load_id!r}, or give"
                f" {load_id!r} another journal"
            )
        if load_id != self.load_id:
            self.load_id, self.finished, self.reference, self.last = load_id, "", uuid4().hex[:_REFERENCE], -1
            with self._file.writing("cannot be written") as database:
                database.execute("DELETE FROM elements")
                database.execute("UPDATE load SET identity = ?", (self._facts(),))
        elif self.finished and not load_id:
            raise JournalError(
                f"{self._path}: its load was finished at {self.finished}, so nothing would be sent: delete the file"
                " before the next load, or give each load its own load_id=, such as a date"
            )

    def finish(self) -> None:
        """Note that all elements of the load are applied.

        Raises:
            JournalError: If the note cannot be written. The next run compares all elements once more.
        """
        self.finished = datetime.now(UTC).isoformat(" ", "seconds")
        with self._file.writing("cannot be written") as database:
            database.execute("UPDATE load SET identity = ?", (self._facts(),))

    def beyond(self, number: int) -> int:
        """Return the number of elements from a position on.

        Raises:
            JournalError: If the journal cannot be read.
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
        """Close the file and free its lock. A second call does nothing."""
        self._file.close()

    def read(self, number: int, count: int) -> dict[int, Entry]:
        """Return the entries of `count` elements from a position on, by position.

        Raises:
            JournalError: If the journal cannot be read.
        """
        return {each.number: each for each in self._entries("number >= ? AND number < ?", number, number + count)}

    def read_places(self) -> None:
        """Read the positions of all elements that may have been at the service when the journal was opened.

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
        """Whether an element was at a later position and may be at the service. Call `read_places` first."""
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
        """Return an encoded element whose outcome is unknown; the bodies of others are not kept."""
        with self._file.failing("cannot be read"):
            found: bytes = self._file.database.execute(
                "SELECT body FROM elements WHERE number = ?", (number,)
            ).fetchone()[0]
        return found

    def counts(self) -> dict[State, int]:
        """Return the number of elements by state, of those that have ever been part of a call.

        Raises:
            JournalError: If they cannot be read.
        """
        counts: dict[State, int] = {"applied": 0, "rejected": 0, "unknown": 0, "planned": 0}
        with self._file.failing("cannot be read"):
            return counts | dict(self._file.database.execute("SELECT state, count(*) FROM elements GROUP BY state"))

    def begin(self, call: int, pieces: Sequence[Piece], sent: float | None = None) -> None:
        """Note on disk that the elements of a call may be at the service from now on.

        Args:
            call: The number of the call.
            pieces: Its elements.
            sent: The current moment on the clock of the event loop, in seconds. A thread without a loop must give it.

        Raises:
            JournalError: If the note fails, or an element may be at the service already. They must not be sent then.
        """
        # A process that is killed while it sends cannot note when the last byte left: assume the slowest upload.
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
            if self.finished:  # the user has added elements to a finished load
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
                raise JournalError(
                    f"{self._path}: an element of call {call} may be at the service already: nothing more is sent"
                )
        # A process that opens the journal first names itself the owner, then reads the notes. We write the note first,
        # then check the owner. So where locks do not work, at least one of the two notices the other.
        self._file.check_owner()

    def postpone(self, call: int) -> None:
        """Note that a call had no effect: its elements are "planned" again.

        Raises:
            JournalError: If the note fails. The next run finds the elements in flight.
        """
        with self._file.writing("cannot be written") as database:
            database.execute(
                "UPDATE elements SET state = 'planned', body = NULL, error = NULL"
                " WHERE call = ? AND state = 'in flight'",
                (call,),
            )

    def end(self, call: int, outcomes: Sequence[Outcome]) -> None:
        """Note the outcomes of a call, and delete the bodies of its elements unless they are unknown.

        Raises:
            JournalError: If the note fails, so the next run finds the elements in flight; or if one was not in flight.
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
            # A call that never began is not in flight either.
            if changed != len(outcomes) and any(state != "planned" for state in states):
                raise JournalError(f"{self._path}: an element of call {call} was not in flight: nothing more is sent")

    def correct(self, number: int, state: Literal["planned", "applied"]) -> None:
        """Note the state of an element whose outcome was unknown.

        Raises:
            JournalError: If the element is not unknown, or the note fails.
        """
        with self._file.writing("cannot be written") as database:
            changed = database.execute(
                "UPDATE elements SET state = ?, body = NULL, error = NULL WHERE number = ? AND state = 'unknown'",
                (state, number),
            ).rowcount
            if not changed:
                raise JournalError(f"{self._path}: the outcome of element {number} is not unknown")

    def _entries(self, condition: str, *values: int) -> list[Entry]:
        with self._file.failing("cannot be read"):
            columns = "SELECT number, state, digest, sent, key, error FROM elements"
            rows = self._file.database.execute(f"{columns} WHERE {condition} ORDER BY number", values)
            return [entry_of(row) for row in rows]
