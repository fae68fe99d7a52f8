"""The SQLite database of a simulator: what is in it at the start, and the way back to that."""

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

_LARGEST_COPY: Final = 64 * 1024 * 1024  # bytes of a database that is copied before it changes
_MOST_ROWS: Final = 2**63 - 1
_COPIED_ROWS: Final = 5_000  # of a sample that is drawn once for all simulators with its size and seed


@dataclass(frozen=True, slots=True)
class _Start:
    """The tables before the first change.

    Attributes:
        copy: The database.
        unfilled: The samples that it does not have yet.
    """

    copy: bytes
    unfilled: Mapping[str, Sample]


@dataclass(slots=True)
class _Opened:
    """A connection to the tables.

    Attributes:
        connection: The connection.
        readers: How many answers are read from it.
        is_over: Whether it is closed as soon as nobody reads from it.
    """

    connection: sqlite3.Connection
    readers: int = 0
    is_over: bool = False

    def close_if_over(self) -> None:
        """Close it if it is over and nobody reads from it."""
        if self.is_over and not self.readers:
            self.connection.close()


class Database:
    """A database in memory that makes the rows of a sample when they are first used.

    A simulator may be made in one thread, run in another, and looked at from both.

    Args:
        samples: The samples.
        tables: Tables with rows of their own.
        rows: The size of the large samples.
        seed: What the samples' rows come from.

    Attributes:
        lock: Held by the thread that changes something.
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
        """Forget everything; may be called more than once."""
        self._opened.connection.close()

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection, None, None]:
        """Read in the block from the rows of this moment, whatever `reset` does meanwhile."""
        opened = self._opened
        opened.readers += 1
        try:
            yield opened.connection
        finally:
            opened.readers -= 1
            opened.close_if_over()

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection of this moment; `reset` makes another."""
        return self._opened.connection

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one SQL statement."""
        return self.connection.execute(sql, parameters)

    def fill(self, name: str) -> None:
        """Make the rows of a sample if they are not there yet."""
        while self.fill_piece(name):
            pass

    def fill_piece(self, name: str) -> bool:
        """Make some of the rows of a sample that are not there yet; return whether there are more to make."""
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
            raise OverflowError(f"no table has {rows} rows")
        is_blank, self._is_blank = self._is_blank, False
        if is_blank and rows <= _COPIED_ROWS and sample in SAMPLES:
            self.connection.deserialize(filled_database(sample.connector.name, self._rows, self._seed))
        else:
            yield from fill_sample(self.connection, sample, self._rows, self._seed)

    def before_change(self) -> None:
        """Keep what `reset` goes back to; call it before each change."""
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
        """Have the rows of the start again, whatever has been written since.

        The database is copied before its first change, unless it is very large or a sample is only made in part: then
        its rows are made again.

        Raises:
            ValueError: A file with rows has changed, and something is wrong with it.
            OSError: Such a file cannot be read any more.
        """
        with self.lock:
            if not self._changed:
                return
            # Not into the connection that is there: SQLite does not take that well once statements were run.
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
