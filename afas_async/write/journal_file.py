"""The file of a journal: an SQLite database of which one process is the owner, for as long as it has it open.

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
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final
from weakref import WeakSet

import msgspec

from afas_async.errors import JournalError
from afas_async.write.lock import FileLock

VERSION: Final = 1
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


class JournalFile:
    """The file of a journal, locked.

    What is opened is only read until `begin` is called: it may be another load's.

    Args:
        path: The file.
        facts: What stands in a file that is made if it is not there, readable by its owner only. Without them it must
            be there.

    Raises:
        JournalError: If it is in use, of another version, damaged, or cannot be made.

    Attributes:
        database: The database.
        facts: What the file says about its load.
    """

    def __init__(self, path: str | os.PathLike[str], facts: str | None) -> None:
        self._path = Path(path)
        self._process = os.getpid()
        self._files: dict[Path, os.stat_result] = {}  # as they were when writing began
        with self.failing("cannot be opened"):
            if facts is not None:
                self._make(facts)
            self._path.stat()  # which tells better what is wrong than SQLite does
            self._lock = FileLock(self._path)  # names the new owner before anything is read, see `check_owner`
            try:
                self.facts: str = self._connect()
            except BaseException:
                self._lock.close()
                raise
        _OPEN.add(self)

    def _make(self, facts: str) -> None:
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
                database.execute("INSERT INTO load VALUES (?, ?)", (VERSION, facts))
                database.commit()
            with suppress(FileExistsError):  # another process was faster: whoever locks it has it
                os.link(name, self._path)
        finally:
            Path(name).unlink()

    def _connect(self) -> str:
        uri = f"{self._path.absolute().as_uri()}?mode=rw"
        self.database: sqlite3.Connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=0)
        try:
            self.database.execute("PRAGMA locking_mode = EXCLUSIVE")  # the system frees it, also after kill -9
            self.database.execute("BEGIN EXCLUSIVE")
            facts = self._check()
            self.database.execute("COMMIT")
        except BaseException:
            self.database.close()
            raise
        return facts

    def _check(self) -> str:
        run = self.database.execute
        if not run("SELECT count(*) FROM sqlite_master WHERE name = 'load'").fetchone()[0]:
            raise JournalError(f"{self._path}: not the journal of a load, or it has lost what it held")
        version, facts = run("SELECT version, identity FROM load").fetchone() or (None, "{}")
        if version != VERSION:
            raise JournalError(f"{self._path}: a journal of version {version}, and this is version {VERSION}")
        if (fault := run("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise JournalError(f"{self._path}: the journal is damaged: {fault}")
        return str(facts)

    def begin(self) -> None:
        """Begin to write: whoever had it open before has died, so what was in flight is unknown."""
        run = self.database.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # with NORMAL a power cut may undo the note that a call is in flight
        run("PRAGMA fullfsync = 1")
        run("PRAGMA secure_delete = 1")  # or what is no longer kept stays legible in the file
        run("UPDATE elements SET state = 'unknown' WHERE state = 'in flight'")
        place = os.path.realpath(self._path)
        self._files = {path: path.stat() for path in (Path(place), Path(f"{place}-wal"))}

    def close(self) -> None:
        """Give the file free; may be called twice."""
        if os.getpid() != self._process or self not in _OPEN:
            return
        with suppress(JournalError):  # then the log is another's
            self.check_owner()
            self.database.close()
        self._lock.close()
        _OPEN.discard(self)

    def let_go(self) -> None:
        """Leave the file to the parent, in a forked child."""
        _never_close(self.database)
        self._lock.let_go()

    def check_owner(self) -> None:
        """Find out whether the files are still ours.

        A row in the journal could not tell that: SQLite has locked the file, and looks only at what it has read before.

        Raises:
            JournalError: If they are not. Then nothing is written any more.
        """
        with self.failing("cannot be written, so nothing more is sent"):
            if self._lock.is_held() and all(map(_is_there, self._files, self._files.values())):
                return
            _never_close(self.database)
            raise JournalError(
                f"{self._path}: the journal has been opened by another load since, or somebody has moved or deleted it,"
                " its -wal or its -lock: nothing more is sent"
            )

    @contextmanager
    def writing(self, what: str) -> Generator[sqlite3.Connection]:
        """Write in one transaction, if the file is still ours; errors say what cannot be done."""
        with self.failing(what):
            self.check_owner()
            self.database.execute("BEGIN")
            try:
                yield self.database
                self.database.execute("COMMIT")
            except BaseException:
                if self.database.in_transaction:
                    self.database.execute("ROLLBACK")
                raise

    @contextmanager
    def failing(self, what: str) -> Generator[None]:
        """Say of errors what cannot be done."""
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


_OPEN: Final[WeakSet[JournalFile]] = WeakSet()


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
    for file in list(_OPEN):
        file.let_go()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)
