"""The file of a journal: an SQLite database that belongs to one process while it is open.

The file holds the encoded elements that are in flight or unknown. For other elements it holds a SHA-256, the returned
key and the refusal. It never holds the token.

A file with `-wal` after its name is part of the journal. It stays until the journal is closed, so also after a crash:
never copy, move or delete one without the other. The file with `-lock` after its name is the lock: do not delete it
while a load runs. Keep the journal on a local disk: where locks do not work, two processes can damage it.
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
    """The locked file of a journal.

    Nothing is written until `begin` is called, as the file may belong to another load.

    Args:
        path: The file.
        facts: The facts for a new file, which is created if it does not exist, readable by its owner only. None if the
            file must exist.

    Raises:
        JournalError: If the file is in use, damaged, of another version, or cannot be created.

    Attributes:
        database: The database.
        facts: The facts of its load, as JSON.
    """

    def __init__(self, path: str | os.PathLike[str], facts: str | None) -> None:
        self._path = Path(path)
        self._process = os.getpid()
        self._files: dict[Path, os.stat_result] = {}  # their state when writing began
        with self.failing("cannot be opened"):
            if facts is not None:
                self._make(facts)
            self._path.stat()  # its error is clearer than that of SQLite
            self._lock = FileLock(self._path)  # sets the new owner before reading: see `check_owner`
            try:
                self.facts: str = self._connect()
            except BaseException:
                self._lock.close()
                raise
        _OPEN.add(self)

    def _make(self, facts: str) -> None:
        """Create the file completely or not at all: an empty file has lost its content, and must not count as new."""
        log = Path(f"{self._path}-wal")
        if log.exists() and not self._path.exists():
            raise JournalError(
                f"{log} is part of the journal {self._path}, which is missing: restore it, or delete this file"
            )
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
            with suppress(FileExistsError):  # another process was faster: the lock decides
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
            raise JournalError(f"{self._path}: this is not the journal of a load, or it has lost its content")
        version, facts = run("SELECT version, identity FROM load").fetchone() or (None, "{}")
        if version != VERSION:
            raise JournalError(f"{self._path}: a journal of version {version}: this library reads version {VERSION}")
        if (fault := run("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise JournalError(f"{self._path}: the journal is damaged: {fault}")
        return str(facts)

    def begin(self) -> None:
        """Begin to write. The process that had the file before has died, so calls in flight become unknown."""
        run = self.database.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")  # with NORMAL a power cut may undo the note that a call is in flight
        run("PRAGMA fullfsync = 1")
        run("PRAGMA secure_delete = 1")  # or deleted bodies stay readable in the file
        run("UPDATE elements SET state = 'unknown' WHERE state = 'in flight'")
        place = os.path.realpath(self._path)
        self._files = {path: path.stat() for path in (Path(place), Path(f"{place}-wal"))}

    def close(self) -> None:
        """Close the file and free its lock. A second call does nothing."""
        if os.getpid() != self._process or self not in _OPEN:
            return
        with suppress(JournalError):  # then the log belongs to another process
            self.check_owner()
            self.database.close()
        self._lock.close()
        _OPEN.discard(self)

    def let_go(self) -> None:
        """Leave the file to the parent, in a forked child."""
        _never_close(self.database)
        self._lock.let_go()

    def check_owner(self) -> None:
        """Check that the files still belong to this process.

        A row in the database cannot show that: SQLite has locked the file, so it relies on its cache.

        Raises:
            JournalError: If they do not. Nothing is written from then on.
        """
        with self.failing("cannot be written, so nothing more is sent"):
            if self._lock.is_held() and all(map(_is_there, self._files, self._files.values())):
                return
            _never_close(self.database)
            raise JournalError(
                f"{self._path}: another load has opened the journal, or somebody has moved or deleted it, its -wal or"
                " its -lock: nothing more is sent"
            )

    @contextmanager
    def writing(self, what: str) -> Generator[sqlite3.Connection]:
        """Write in one transaction, if the file still belongs to this process; `what` says in errors what failed."""
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
        """Raise the errors of SQLite and the disk as a JournalError, which says with `what` what failed."""
        if os.getpid() != self._process:
            raise JournalError(f"{self._path}: opened before this process was forked: use it in the parent only")
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
    """Never close a connection, not even when the program ends: closing writes the file and deletes the log."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(database))


def _is_there(path: Path, stat: os.stat_result) -> bool:
    """Return whether a path still leads to the same file."""
    try:
        return os.path.samestat(stat, path.stat())
    except FileNotFoundError:
        return False


def _let_go() -> None:
    for file in list(_OPEN):
        file.let_go()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_let_go)
