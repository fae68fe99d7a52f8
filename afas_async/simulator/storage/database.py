"""The SQLite database of a simulator: its content at the start, and the way back to it."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from afas_async.simulator.samples.connectors import SAMPLES, Sample
from afas_async.simulator.storage.filling import fill_sample, filled_database
from afas_async.simulator.storage.schema import create_table, key_order
from afas_async.simulator.storage.tables import Table

_LARGEST_COPY: Final = 64 * 1024 * 1024  # bytes; a larger database is not copied before its first change
_MOST_ROWS: Final = 2**63 - 1
_COPIED_ROWS: Final = 5_000  # a smaller sample is made once for all simulators with the same size and seed


@dataclass(frozen=True, slots=True)
class _Start:
    """The tables before the first change.

    Attributes:
        copy: The database.
        unfilled: The samples whose rows were not made yet.
    """

    copy: bytes
    unfilled: Mapping[str, Sample]


@dataclass(slots=True)
class _Opened:
    """A connection to the tables.

    Attributes:
        connection: The connection.
        readers: How many responses read from it.
        is_over: Whether to close it as soon as no response reads from it.
    """

    connection: sqlite3.Connection
    readers: int = 0
    is_over: bool = False

    def close_if_over(self) -> None:
        """Close it if it is over and no response reads from it."""
        if self.is_over and not self.readers:
            self.connection.close()


class Database:
    """A database in memory that makes the rows of a sample when they are first used.

    You may create a simulator in one thread, run it in another, and use it from both.

    Args:
        samples: The samples.
        tables: The user's own tables.
        rows: The number of rows of the large samples.
        seed: The seed of the samples' rows.

    Attributes:
        lock: Held by a thread while it changes something.
    """

    def __init__(self, samples: Sequence[Sample], tables: Sequence[Table], rows: int, seed: int) -> None:
        self._samples = samples
        self._tables = tables
        self._rows = rows
        self._seed = seed
        self._changed = False
        self._start: _Start | None = None
        self._unfilled: dict[str, Sample] = {}
        self._filling: dict[str, Iterator[None]] = {}
        self.lock: AbstractContextManager[bool] = threading.RLock()
        self._is_blank: bool = True
        self._opened: _Opened
        self._open()
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Drop all rows. You may call it more than once."""
        self._opened.connection.close()

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """Read in the block from the current rows, even if `reset` restores others meanwhile."""
        opened = self._opened
        opened.readers += 1
        try:
            yield opened.connection
        finally:
            opened.readers -= 1
            opened.close_if_over()

    @property
    def connection(self) -> sqlite3.Connection:
        """The current connection; `reset` opens another."""
        return self._opened.connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one SQL statement."""
        return self.connection.execute(sql, parameters)

    def fill(self, name: str) -> None:
        """Make the rows of a sample if they were not made yet."""
        while self.fill_piece(name):
            pass

    def fill_piece(self, name: str) -> bool:
        """Make some of the rows of a sample; return whether more are left to make."""
        with self.lock:
            sample = self._unfilled.pop(name, None)
            if sample is not None:
                self._filling[name] = self._pieces(sample)
                if not self._changed:
                    self._start = None
            pieces = self._filling.get(name)
            if pieces is not None and next(pieces, self) is self:
                del self._filling[name]
            return name in self._filling

    def _pieces(self, sample: Sample) -> Iterator[None]:
        rows = sample.rows(self._rows)
        if rows > _MOST_ROWS:
            raise OverflowError(f"{rows} rows are too many for SQLite: give {_MOST_ROWS} at most")
        is_blank, self._is_blank = self._is_blank, False
        if is_blank and rows <= _COPIED_ROWS and sample in SAMPLES:
            self.connection.deserialize(filled_database(sample.connector.name, self._rows, self._seed))
        else:
            yield from fill_sample(self.connection, sample, self._rows, self._seed)

    def before_change(self) -> None:
        """Copy the database for `reset`. Call it before each change."""
        with self.lock:
            if self._changed:
                return
            self._changed = True
            if self._start is None and not self._is_blank and not self._filling:
                size = self.connection.execute(
                    "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
                ).fetchone()[0]
                if size <= _LARGEST_COPY:
                    self._start = _Start(self.connection.serialize(), dict(self._unfilled))

    def reset(self) -> None:
        """Restore the rows of the start.

        They come from a copy that was taken before the first change. If the database was very large then, or a sample
        only made in part, all rows are made again.

        Raises:
            ValueError: A file with rows has changed, and is invalid now.
            OSError: Such a file cannot be read any more.
        """
        with self.lock:
            if not self._changed:
                return
            # Not into the old connection: SQLite cannot safely restore into one whose statements were run.
            self._opened.is_over = True
            self._opened.close_if_over()
            self._filling.clear()
            self._open()
            start = self._start
            if start is None:
                self._build()
            else:
                self.connection.deserialize(start.copy)
                self._is_blank = False
                self._unfilled = dict(start.unfilled)
            self._changed = False

    def _open(self) -> None:
        self._opened = _Opened(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False))
        self._is_blank = True

    def _build(self) -> None:
        self._unfilled = {sample.connector.name: sample for sample in self._samples}
        for table in self._tables:
            self._load(table)

    def _load(self, table: Table) -> None:
        self._is_blank = False
        name, fields = table.connector.name, table.connector.fields
        exact = [place for place, field in enumerate(fields) if field.exact]
        places = ", ".join("?" * (len(fields) + len(exact)))
        rows = ((*row, *(row[place] for place in exact)) for row in table.rows) if exact else table.rows
        self.connection.execute(create_table(name, fields))
        if table.connector.key:
            self.connection.execute(f'CREATE UNIQUE INDEX "{name} key" ON "{name}" ({key_order(table.connector.key)})')
        self.connection.execute("BEGIN")
        self.connection.executemany(f'INSERT INTO "{name}" VALUES ({places})', rows)
        self.connection.execute("COMMIT")
