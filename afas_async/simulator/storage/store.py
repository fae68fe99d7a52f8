"""The rows of the connectors: each has a SQLite table. The rows of a sample are made when it is first used.

A generated column of each table has the JSON text of its rows. So a page is a concatenation of texts, and SQLite
updates these texts when you change a row with `execute`.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from afas_async.simulator.samples.connectors import SAMPLES, Connector, Sample
from afas_async.simulator.samples.update_connectors import UPDATES, UpdateConnector
from afas_async.simulator.storage.database import Database
from afas_async.simulator.storage.filling import PRIME
from afas_async.simulator.storage.schema import key_order
from afas_async.simulator.storage.tables import Table

Value = str | int | float | None

_ALL: Final = -1


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a connector.

    Attributes:
        rows: The number of rows.
        json: The rows as JSON objects in UTF-8 with commas between them, without the brackets of an array.
    """

    rows: int
    json: bytes


@dataclass(frozen=True, slots=True)
class Checksum:
    """The checksum of all rows of a connector, with which you compare the rows that you read.

    Attributes:
        rows: The number of rows.
        crc32: The CRC-32 over the JSON texts of the rows, each with a line feed after it. They are in the order of the
            key, or as they were given if there is no key.
        crc32_sum: The sum of the CRC-32 of each of these texts without the line feed, which is the same in any order.
    """

    rows: int
    crc32: int
    crc32_sum: int


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on the rows of a connector.

    Attributes:
        sql: An SQL expression with a `?` for each value, made of the connector's own column names.
        values: The values for the question marks.
    """

    sql: str
    values: tuple[Value, ...]


class UnknownFieldError(LookupError):
    """A sort names a field that the connector does not have.

    Attributes:
        field: The name in the request.
    """

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class DuplicateKeyError(ValueError):
    """Another row has this key."""


class Store:
    """The tables of all connectors, in memory.

    You can use it from any thread, and must close it. While one thread is in a `transaction`, no other thread writes.

        price = simulator.store.execute("SELECT Price FROM Profit_Article WHERE ItemCode = ?", ["000001"])[0][0]

    Args:
        rows: The number of rows of the large samples.
        seed: The seed of the samples' rows.
        tables: Your own GetConnectors. They come first, and replace samples of the same name.
        updates: Your own UpdateConnectors. They come first, and replace samples of the same name.
        hidden: The tables of `updates` without a GetConnector.
        samples: The connectors whose rows come from the seed.

    Raises:
        ValueError: Two tables have the same name.

    Attributes:
        connectors: The GetConnectors by name.
        updates: The UpdateConnectors by name: your own, and the samples that write only to samples.
    """

    def __init__(
        self,
        rows: int,
        seed: int,
        tables: Sequence[Table] = (),
        updates: Sequence[UpdateConnector] = (),
        hidden: Sequence[Table] = (),
        *,
        samples: Sequence[Sample] = SAMPLES,
    ) -> None:
        self._rows = rows
        self._seed = seed
        self._samples = samples
        self._first = (tuple(tables), tuple(updates), tuple(hidden))
        self._now = self._first
        self.connectors: dict[str, Connector]
        self.updates: dict[str, UpdateConnector]
        self._numbers: dict[tuple[Value, ...], int] = {}
        self._turn = 0
        self._database = self._build(*self._first)

    def define(
        self, tables: Sequence[Table], updates: Sequence[UpdateConnector] = (), hidden: Sequence[Table] = ()
    ) -> None:
        """Add connectors until `reset`; they replace those of the same name. All rows go back to those of the start.

        An UpdateConnector disappears with the tables that it writes, as with samples.

        Args:
            tables: See the class.
            updates: See the class.
            hidden: See the class.

        Raises:
            ValueError: Two tables have the same name.
        """
        new = {each.connector.name.lower() for each in (*tables, *hidden)}
        new_updates = {each.name.lower() for each in updates}
        shown, known, unseen = self._now
        now = (
            (*tables, *(each for each in shown if each.connector.name.lower() not in new)),
            (
                *updates,
                *(
                    each
                    for each in known
                    if each.name.lower() not in new_updates and new.isdisjoint(map(str.lower, each.root.tables()))
                ),
            ),
            (*hidden, *(each for each in unseen if each.connector.name.lower() not in new)),
        )
        self._replace(now)

    def _replace(self, now: tuple[tuple[Table, ...], tuple[UpdateConnector, ...], tuple[Table, ...]]) -> None:
        before, self._database = self._database, self._build(*now)
        self._now = now
        before.close()
        self._numbers.clear()
        self._turn = 0

    def _build(self, tables: Sequence[Table], updates: Sequence[UpdateConnector], hidden: Sequence[Table]) -> Database:
        own = {table.connector.name.lower() for table in (*tables, *hidden)}
        if len(own) < len(tables) + len(hidden):
            raise ValueError("two connectors have the same name (letter case does not count)")
        own_updates = {update.name.lower() for update in updates}
        if len(own_updates) < len(updates):
            raise ValueError("two UpdateConnectors have the same name (letter case does not count)")
        samples = [sample for sample in self._samples if sample.connector.name.lower() not in own]
        database = Database(samples, (*tables, *hidden), self._rows, self._seed)
        made: tuple[Table | Sample, ...] = (*tables, *samples)
        self.connectors = {each.connector.name: each.connector for each in made}
        kept = {sample.connector.name for sample in samples}
        self.updates = {each.name: each for each in updates}
        self.updates |= {
            each.name: each
            for each in UPDATES
            if each.name.lower() not in own_updates and kept.issuperset(each.root.tables())
        }
        return database

    def close(self) -> None:
        """Drop all rows. You may call it more than once."""
        self._database.close()

    def reset(self) -> None:
        """Restore the rows of the start.

        Raises:
            ValueError: A file with rows has changed, and is invalid now.
            OSError: Such a file cannot be read any more.
        """
        if self._now is not self._first:
            self._replace(self._first)
        self._numbers.clear()
        self._turn = 0
        self._database.reset()

    def count(self, name: str, where: Where | None = None, at_most: int = _ALL) -> int:
        """Count the rows of a connector, or those that meet a condition, up to `at_most` of them."""
        self._database.fill(name)
        sql, values = f'SELECT count(*) FROM "{name}"', tuple[Any, ...]()
        if where is not None:
            sql = f'SELECT count(*) FROM (SELECT 1 FROM "{name}" WHERE {where.sql} LIMIT ?)'
            values = (*where.values, at_most)
        with self._database.lock:  # the first sample, which another thread may be making, replaces a blank database
            rows: int = self._database.execute(sql, values).fetchone()[0]
        return rows

    def page(
        self, name: str, skip: int, take: int, order: Sequence[tuple[str, bool]] = (), where: Where | None = None
    ) -> Page:
        """Read one page.

        Args:
            name: The connector.
            skip: How many rows to skip.
            take: How many rows to read at most; -1 reads all.
            order: The fields to sort by, each with whether it descends. Rows that sort equally come in another order
                with each call, as from the real service
                (docs.afas.help, "GetConnector": sorting is mandatory with skip and take).
            where: The condition that the rows must meet, or None for all rows.

        Raises:
            UnknownFieldError: `order` names a field that the connector does not have.
        """
        blocks = list(self.blocks(name, skip, take, order, where, size=max(take, 1000)))
        return Page(sum(block.rows for block in blocks), b",".join(block.json for block in blocks))

    def blocks(
        self,
        name: str,
        skip: int,
        take: int,
        order: Sequence[tuple[str, bool]],
        where: Where | None = None,
        *,
        size: int,
    ) -> Iterator[Page]:
        """Read the rows of a page in blocks of 1 to `size` rows.

        You may see or miss a row that changes between two blocks.
        """
        self._database.fill(name)
        self._turn += 1
        connector = self.connectors[name]
        if order or where:
            ranges = [(take, skip)]
            terms = self._sorting(connector, order)
        else:
            ranges = self._rotation(name, skip, take)
            terms = key_order(connector.key)
        condition, values = (f"WHERE {where.sql}", where.values) if where else ("", ())
        # The rowids come from a narrow index, so skipping many rows does not read their texts. A subquery with LIMIT
        # keeps its order, and CROSS JOIN keeps it as the outer loop. The alias has a space, because otherwise ORDER BY
        # could confuse it with a field of that name.
        return self._read(
            f"""SELECT CAST("{name}".json AS BLOB)
                FROM (SELECT rowid AS "a row" FROM "{name}" {condition} ORDER BY {terms} LIMIT ? OFFSET ?) AS page
                CROSS JOIN "{name}" ON page."a row" = "{name}".rowid""",
            [(*values, *bounds) for bounds in ranges],
            size,
        )

    def checksum(self, name: str) -> Checksum:
        """Return the checksum of all rows of a connector, computed from its table."""
        self._database.fill(name)
        cursor = self._database.execute(
            f'SELECT CAST(json AS BLOB) FROM "{name}" ORDER BY {key_order(self.connectors[name].key)}'
        )
        rows = crc32 = crc32_sum = 0
        for (text,) in cursor:
            rows += 1
            crc32 = zlib.crc32(text + b"\n", crc32)
            crc32_sum += zlib.crc32(text)
        return Checksum(rows, crc32, crc32_sum)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one SQL statement and return its rows.

        Each connector is a table with its name, and each field a column. A string and a date are texts
        (`2012-11-22T09:49:49Z`), a boolean is 0 or 1. If the statement names a sample, you find its rows made.

            simulator.store.execute("UPDATE Profit_Article SET Stock = 0 WHERE ItemCode = ?", ["000001"])

        Args:
            sql: The statement.
            parameters: The values for its question marks.

        Raises:
            sqlite3.Error: SQLite cannot run the statement.
        """
        for name in self.connectors:
            if name.lower() in sql.lower():
                self._database.fill(name)
        with self._database.lock:
            if sql.lstrip()[:6].lower() != "select":
                self._database.before_change()
            return self._database.execute(sql, parameters).fetchall()

    @contextmanager
    def transaction(self, *names: str) -> Generator[None, None, None]:
        """Write to the tables of connectors in the block. An exception undoes all of it."""
        for name in names:
            self._database.fill(name)  # before BEGIN: a rollback would drop the table
        with self._database.lock:
            self._database.before_change()
            self._database.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def next_number(self, name: str, column: str, within: Mapping[str, Value]) -> int:
        """Return the number for a new row, unused so far by rows with the same values in the columns `within`."""
        self._database.fill(name)
        highest: int = self._database.execute(
            f'SELECT coalesce(max("{column}"), 0) FROM "{name}" WHERE {_where(within).sql}', tuple(within.values())
        ).fetchone()[0]
        place = (name, *within.values())
        self._numbers[place] = max(highest, self._numbers.get(place, 0)) + 1
        return self._numbers[place]

    def next_text(self, name: str, column: str, within: Mapping[str, Value]) -> str:
        """Return the number for a new row as a text, for a column that may have other texts than numbers."""
        self._database.fill(name)
        place = (name, *within.values())
        if place not in self._numbers:
            self._numbers[place] = self._database.execute(
                f'SELECT coalesce(max(CAST("{column}" AS INTEGER)), 0) FROM "{name}" WHERE {_where(within).sql}',
                tuple(within.values()),
            ).fetchone()[0]
        while True:
            self._numbers[place] += 1
            text = str(self._numbers[place])
            if not self.has(name, {**within, column: text}):
                return text

    def has(self, name: str, values: Mapping[str, Value]) -> bool:
        """Whether a connector has a row with these values by column."""
        return self.count(name, _where(values), 1) > 0

    def insert(self, name: str, values: Mapping[str, Value]) -> None:
        """Add a row with values by column.

        Raises:
            DuplicateKeyError: Another row has this key.
        """
        self._database.fill(name)
        self._database.before_change()
        columns = ", ".join(f'"{column}"' for column in values)
        try:
            self._database.execute(
                f'INSERT INTO "{name}" ({columns}) VALUES ({", ".join("?" * len(values))})', tuple(values.values())
            )
        except sqlite3.IntegrityError:
            raise DuplicateKeyError(name) from None

    def update(self, name: str, key: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
        """Change values of the row with a key, both by column; return whether the row exists.

        Raises:
            DuplicateKeyError: Another row has the new key.
        """
        if not values:
            return self.has(name, key)
        self._database.fill(name)
        self._database.before_change()
        where = _where(key)
        changes = ", ".join(f'"{column}" = ?' for column in values)
        try:
            cursor = self._database.execute(
                f'UPDATE "{name}" SET {changes} WHERE {where.sql}', (*values.values(), *where.values)
            )
        except sqlite3.IntegrityError:
            raise DuplicateKeyError(name) from None
        return cursor.rowcount > 0

    def delete(self, name: str, key: Mapping[str, Value]) -> bool:
        """Remove the row with a key by column; return whether it existed."""
        self._database.fill(name)
        self._database.before_change()
        where = _where(key)
        return self._database.execute(f'DELETE FROM "{name}" WHERE {where.sql}', where.values).rowcount > 0

    def fill_piece(self, name: str) -> bool:
        """Make some of the rows of a sample that was not used yet; return whether more are left to make.

        All methods make the rows that they need at once. Call this first if you cannot wait that long.
        """
        return self._database.fill_piece(name)

    def _read(self, sql: str, readings: list[tuple[Value, ...]], size: int) -> Iterator[Page]:
        with self._database.reading() as connection:
            for values in readings:
                cursor = connection.execute(sql, values)
                while texts := cursor.fetchmany(size):
                    yield Page(len(texts), b",".join([text for (text,) in texts]))

    def _sorting(self, connector: Connector, order: Sequence[tuple[str, bool]]) -> str:
        known = {field.id for field in connector.fields}
        for field, _ in order:
            if field not in known:
                raise UnknownFieldError(field)
        terms = [f'"{field}" DESC' if descending else f'"{field}"' for field, descending in order]
        if not connector.key or not {field for field, _ in order}.issuperset(connector.key):
            if order and not connector.key:
                # Without an index, SQLite would sort the whole table for each page.
                index = f"{connector.name} by" + "".join(terms).replace('"', " ")
                self._database.execute(
                    f'CREATE INDEX IF NOT EXISTS "{index}" ON "{connector.name}" ({", ".join(terms)})'
                )
            terms.append(f"rowid * {self._turn * 1_234_567_891 % PRIME} % {PRIME}")
        return ", ".join(terms)

    def _rotation(self, name: str, skip: int, take: int) -> list[tuple[int, int]]:
        """The limits and offsets of rows in key order, when the order starts at another row each turn.

        The start moves by more than a third of the table each turn, and nothing needs sorting.
        """
        count = self.count(name)
        wanted = count - skip if take == _ALL else min(take, count - skip)
        if wanted <= 0:
            return []
        start = (skip + self._turn * (1 + (count - 1) * 382 // 1000)) % count
        ahead = min(wanted, count - start)
        return [(ahead, start), (wanted - ahead, 0)]


def _where(key: Mapping[str, Value]) -> Where:
    return Where(" AND ".join(f'"{column}" IS ?' for column in key) or "TRUE", tuple(key.values()))
