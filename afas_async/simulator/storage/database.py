"""The SQLite database of a simulator: what is in it at the start, and the way back to that."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from afas_async.simulator.samples.connectors import Sample
from afas_async.simulator.storage.filling import fill_sample, filled_database
from afas_async.simulator.storage.schema import create_table, key_order
from afas_async.simulator.storage.tables import Table

_LARGEST_COPY: Final = 64 * 1024 * 1024  # bytes of a database that is copied before it changes
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

    Args:
        samples: The samples.
        tables: Tables with rows of their own.
        rows: The size of the large samples.
        seed: What the samples' rows come from.
    """

    def __init__(self, samples: Sequence[Sample], tables: Sequence[Table], rows: int, seed: int) -> None:
        self._samples = samples
        self._tables = tables
        self._rows = rows
        self._seed = seed
        self._changed = False
        self._start: _Start | None = None
        self._unfilled: dict[str, Sample] = {}
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
        sample = self._unfilled.pop(name, None)
        if sample is None:
            return
        if not self._changed:
            self._start = None
        if self._is_blank and sample.rows(self._rows) <= _COPIED_ROWS:
            self.connection.deserialize(filled_database(name, self._rows, self._seed))
        else:
            fill_sample(self.connection, sample, self._rows, self._seed)
        self._is_blank = False

    def before_change(self) -> None:
        """Keep what `reset` goes back to; call it before each change."""
        if self._changed:
            return
        self._changed = True
        if self._start is None and not self._is_blank:
            size = self.connection.execute(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
            ).fetchone()[0]
            if size <= _LARGEST_COPY:
                self._start = _Start(self.connection.serialize(), dict(self._unfilled))

    def reset(self) -> None:
        """Have the rows of the start again, whatever has been written since.

        The database is copied before its first change, unless it is very large: then its rows are made again.

        Raises:
            ValueError: A file with rows has changed, and something is wrong with it.
            OSError: Such a file cannot be read any more.
        """
        if not self._changed:
            return
        # Not into the connection that is there: SQLite does not take that well once statements were run.
        self._opened.is_over = True
        self._opened.close_if_over()
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
        self._opened = _Opened(sqlite3.connect(":memory:", isolation_level=None))
        self._is_blank = True

    def _build(self) -> None:
        self._unfilled = {sample.connector.name: sample for sample in self._samples}
        for table in self._tables:
            self._load(table)

    def _load(self, table: Table) -> None:
        self._is_blank = False
        name, fields = table.connector.name, table.connector.fields
        exact = [place for place, field in enumerate(fields, 1) if field.exact]
        places = ", ".join(f"?{place}" for place in (*range(1, len(fields) + 1), *exact))
        self.connection.execute(create_table(name, fields))
        if table.connector.key:
            self.connection.execute(f'CREATE UNIQUE INDEX "{name} key" ON "{name}" ({key_order(table.connector.key)})')
        self.connection.execute("BEGIN")
        self.connection.executemany(f'INSERT INTO "{name}" VALUES ({places})', table.rows)
        self.connection.execute("COMMIT")
