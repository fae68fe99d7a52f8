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

It keeps the encoded elements that are in flight or unknown, and of the others a SHA-256, the key that was answered and
the refusal; never the token. The file with `-wal` after its name, which is there until the journal is closed, is part
of it: one without the other must not be copied, moved or deleted. The file with `-lock` after its name is its lock:
while a load runs, do not delete it. The journal belongs on a local disk: where locks do not hold, two processes can
damage it.

A load uses it in a thread of its own (`journal_thread.py`), as a commit takes as long as the disk takes to sync.
Opening reads the whole file, a second for a million elements.
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4
from weakref import WeakSet

import msgspec

from afas_async.errors import JournalError, OutcomeUnknownError
from afas_async.http.clock import loop_time
from afas_async.policy.lanes import Piece
from afas_async.policy.retrying import WRITE_SECONDS
from afas_async.policy.verdicts import State, noted, upload_seconds
from afas_async.vocabulary.outcomes import Outcome
from afas_async.write.entries import Entry, entry_of, error_text
from afas_async.write.lock import FileLock

VERSION: Final = 1
_REFERENCE: Final = 16  # hex digits
_SCHEMA: Final = """
    CREATE TABLE load (version INTEGER NOT NULL, identity TEXT NOT NULL);
    CREATE TABLE elements (
        number INTEGER PRIMARY KEY,
        state TEXT NOT NULL CHECK (state IN ('planned', 'in flight', 'applied', 'rejected', 'unknown')),
        digest BLOB NOT NULL CHECK (length(digest) = 32),
        call INTEGER NOT NULL,
        sent REAL NOT NULL,
        body BLOB CHECK (body IS NOT NULL OR state NOT IN ('in flight', 'unknown')),
        key TEXT,
        error TEXT
    );
    CREATE INDEX calls ON elements (call) WHERE state = 'in flight';
"""


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
        self._process = os.getpid()
        self._places: dict[bytes, int] | None = None  # of elements that may be at the service, by their digests
        self.identity: dict[str, str] = dict(identity or {})
        self.load_id: str = load_id
        self.finished: str = ""
        self.reference: str = uuid4().hex[:_REFERENCE]
        self.calls: int = 0
        self.last: int = -1
        with self._failing("cannot be opened"):
            if identity is not None:
                self._make()
            self._path.stat()  # which tells better what is wrong than SQLite does
            self._lock = FileLock(self._path)  # names the new owner before anything is read, see `begin`
            try:
                self._connect()
            except BaseException:
                self._lock.close()
                raise
        _OPEN.add(self)

    def _make(self) -> None:
        """Make the file, complete or not at all: one without content has lost it, and must not pass for a new one."""
        log = Path(f"{self._path}-wal")
        if log.exists() and not self._path.exists():
            raise JournalError(f"{log} is part of a journal {self._path}, which is gone: bring it back, or delete both")
        if self._path.exists():
            return
        if not self._path.parent.is_dir():
            raise FileNotFoundError(f"the folder {self._path.parent} does not exist")
        descriptor, name = tempfile.mkstemp(dir=self._path.parent, prefix=f"{self._path.name}.")  # with mode 0600
        os.close(descriptor)
        try:
            with closing(sqlite3.connect(name)) as database:
                database.executescript(f"BEGIN;{_SCHEMA}")
                database.execute("INSERT INTO load VALUES (?, ?)", (VERSION, self._facts()))
                database.commit()
            with suppress(FileExistsError):  # another process was faster: whoever locks it has it
                os.link(name, self._path)
        finally:
            Path(name).unlink()

    def _connect(self) -> None:
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        self._database = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)
        try:
            self._open()
            place = os.path.realpath(self._path)
            self._files = {path: path.stat() for path in (Path(place), Path(f"{place}-wal"))}
        except BaseException:
            self._database.close()
            raise

    def _open(self) -> None:
        run = self._database.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # the system frees it, also after kill -9
        run("BEGIN EXCLUSIVE")
        self._check()  # before anything is changed in a file that may be no journal
        run("COMMIT")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # with NORMAL a power cut may undo the note that a call is in flight
        run("PRAGMA fullfsync = 1")
        run("PRAGMA secure_delete = 1")  # or what is no longer kept stays legible in the file
        run("UPDATE elements SET state = 'unknown' WHERE state = 'in flight'")
        self.calls, self.last = run(
            "SELECT coalesce(max(call), -1) + 1, coalesce(max(number), -1) FROM elements"
        ).fetchone()

    def _check(self) -> None:
        run = self._database.execute
        if not run("SELECT count(*) FROM sqlite_master WHERE name = 'load'").fetchone()[0]:
            raise JournalError(f"{self._path}: not the journal of a load, or it has lost what it held")
        version, text = run("SELECT version, identity FROM load").fetchone() or (None, "{}")
        if version != VERSION:
            raise JournalError(f"{self._path}: a journal of version {version}, and this is version {VERSION}")
        if (fault := run("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise JournalError(f"{self._path}: the journal is damaged: {fault}")
        found = msgspec.json.decode(text, type=dict[str, str])
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
            with self._writing("cannot be written"):
                self._database.execute("DELETE FROM elements")
                self._database.execute("UPDATE load SET identity = ?", (self._facts(),))
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
        with self._writing("cannot be written"):
            self._database.execute("UPDATE load SET identity = ?", (self._facts(),))

    def beyond(self, number: int) -> int:
        """Return how many elements stand in places from a number on.

        Raises:
            JournalError: If they cannot be read.
        """
        with self._failing("cannot be read"):
            row = self._database.execute("SELECT count(*) FROM elements WHERE number >= ?", (number,)).fetchone()
        count: int = row[0]
        return count

    def _facts(self) -> str:
        facts = {"load_id": self.load_id, "finished": self.finished, "reference": self.reference}
        kept = self.identity | {name: text for name, text in facts.items() if text}
        return msgspec.json.encode(kept, order="sorted").decode()

    def close(self) -> None:
        """Give the file free; may be called twice."""
        if os.getpid() != self._process or self not in _OPEN:
            return
        with suppress(JournalError):  # then the log is another's
            self._check_owner()
            self._database.close()
        self._lock.close()
        _OPEN.discard(self)

    def let_go(self) -> None:
        """Leave the file to the parent, in a forked child."""
        _never_close(self._database)
        self._lock.let_go()

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
        with self._failing("cannot be read"):
            self._places = dict(
                self._database.execute(
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
        with self._failing("cannot be read"):
            found: bytes = self._database.execute("SELECT body FROM elements WHERE number = ?", (number,)).fetchone()[0]
        return found

    def counts(self) -> dict[State, int]:
        """Return how many elements have each state, of those that were ever begun.

        Raises:
            JournalError: If they cannot be read.
        """
        counts: dict[State, int] = {"applied": 0, "rejected": 0, "unknown": 0, "planned": 0}
        with self._failing("cannot be read"):
            return counts | dict(self._database.execute("SELECT state, count(*) FROM elements GROUP BY state"))

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
        with self._writing("cannot be written, so nothing is sent"):
            sent = loop_time() if sent is None else sent
            if self.finished:  # its load has become longer
                self.finished = ""
                self._database.execute("UPDATE load SET identity = ?", (self._facts(),))
            changed = self._database.executemany(
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
        self._check_owner()

    def postpone(self, call: int) -> None:
        """Note that a call had no effect, so that its elements are still to be sent.

        Raises:
            JournalError: If that cannot be written: the next run finds them in flight.
        """
        with self._writing("cannot be written"):
            self._database.execute(
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
        with self._writing("cannot be written"):
            changed = self._database.executemany(
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
        with self._writing("cannot be written"):
            changed = self._database.execute(
                "UPDATE elements SET state = ?, body = NULL, error = NULL WHERE number = ? AND state = 'unknown'",
                (state, number),
            ).rowcount
            if not changed:
                raise JournalError(f"{self._path}: element {number} is not one whose outcome is unknown")

    def _entries(self, condition: str, *values: int) -> list[Entry]:
        with self._failing("cannot be read"):
            columns = "SELECT number, state, digest, sent, key, error FROM elements"
            rows = self._database.execute(f"{columns} WHERE {condition} ORDER BY number", values)
            return [entry_of(row) for row in rows]

    def _check_owner(self) -> None:
        """Find out whether the files are still ours.

        A row in the journal could not tell that: SQLite has locked the file, and looks only at what it has read before.

        Raises:
            JournalError: If they are not. Then nothing is written any more.
        """
        with self._failing("cannot be written, so nothing more is sent"):
            if self._lock.is_held() and all(map(_is_there, self._files, self._files.values())):
                return
            _never_close(self._database)
            raise JournalError(
                f"{self._path}: the journal has been opened by another load since, or somebody has moved or deleted it,"
                " its -wal or its -lock: nothing more is sent"
            )

    @contextmanager
    def _writing(self, what: str) -> Generator[None]:
        with self._failing(what):
            self._check_owner()
            self._database.execute("BEGIN")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _failing(self, what: str) -> Generator[None]:
        if os.getpid() != self._process:
            raise JournalError(f"{self._path}: opened before this process was forked")
        try:
            yield
        except (sqlite3.OperationalError, BlockingIOError) as error:
            is_locked = isinstance(error, BlockingIOError) or "locked" in str(error)
            reason = "a running load has it open, here or in another process" if is_locked else str(error)
        except (sqlite3.Error, OSError, msgspec.MsgspecError) as error:
            reason = str(error)
        else:
            return
        raise JournalError(f"{self._path}: the journal {what}: {reason}")


_OPEN: Final[WeakSet[Journal]] = WeakSet()


def _never_close(database: sqlite3.Connection) -> None:
    """Keep a connection from being closed, also at the end of the program: closing writes the file, deletes the log."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(database))


def _is_there(path: Path, stat: os.stat_result) -> bool:
    """Return whether a file is still the one that it was."""
    try:
        return os.path.samestat(stat, path.stat())
    except FileNotFoundError:
        return False


def _let_go() -> None:
    for journal in list(_OPEN):
        journal.let_go()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)
