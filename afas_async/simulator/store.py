"""The rows behind the connectors: a SQLite table for each, filled when somebody first uses it.

Every table carries the JSON text of each row in a generated column, so that a page is a concatenation of texts and
SQLite itself keeps them in step with whatever an `execute` changes.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from afas_async.simulator.samples import SAMPLES, Connector, FieldType, Sample

_COLUMN_TYPES: Final[dict[FieldType, str]] = {
    "string": "TEXT COLLATE NOCASE",
    "int": "INTEGER",
    "decimal": "REAL",
    "boolean": "INTEGER",
    "date": "TEXT",
}
_PRIME: Final = 2_147_483_647  # of the two Lehmer generators; products with it stay within SQLite's 64 bits
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
    """What a complete reading of a connector must add up to.

    Attributes:
        rows: The number of rows.
        crc32: The CRC-32 over the JSON texts of the rows in the order of the key, a line feed behind each.
    """

    rows: int
    crc32: int


class UnknownFieldError(LookupError):
    """A sort names a field that the connector does not have.

    Attributes:
        field: The name as asked.
    """

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class Store:
    """The tables of all connectors, in memory.

    Use it from one thread, and close it.

    Attributes:
        connectors: The connectors by name.
    """

    def __init__(self, rows: int, seed: int) -> None:
        self.connectors: dict[str, Connector] = {sample.connector.name: sample.connector for sample in SAMPLES}
        self._rows = rows
        self._seed = seed
        self._unfilled: dict[str, Sample] = {sample.connector.name: sample for sample in SAMPLES}
        self._turn = 0
        self._database = sqlite3.connect(":memory:", isolation_level=None)

    def close(self) -> None:
        """Forget all rows; may be called more than once."""
        self._database.close()

    def count(self, name: str) -> int:
        """Count the rows of a connector."""
        self._fill(name)
        rows: int = self._database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
        return rows

    def page(self, name: str, skip: int, take: int, order: Sequence[tuple[str, bool]] = ()) -> Page:
        """Read one page.

        Args:
            name: The connector.
            skip: How many rows to pass over.
            take: How many rows to read at most; -1 reads all.
            order: The fields to sort by, each with whether it descends. Rows that it leaves equal come in an order
                that changes from one call to the next, as at the real service
                (docs.afas.help, "GetConnector": sorting is mandatory with skip and take).

        Raises:
            UnknownFieldError: `order` names a field that the connector does not have.
        """
        blocks = list(self.blocks(name, skip, take, order, size=max(take, 1000)))
        return Page(sum(block.rows for block in blocks), b",".join(block.json for block in blocks))

    def blocks(
        self, name: str, skip: int, take: int, order: Sequence[tuple[str, bool]], *, size: int
    ) -> Iterator[Page]:
        """Read what `page` reads in blocks of at most `size` rows; no block is empty.

        A row that changes between two blocks may be seen or missed.
        """
        self._fill(name)
        self._turn += 1
        connector = self.connectors[name]
        if order:
            ranges = [(skip, take)]
            terms = self._sorting(connector, order)
        else:
            ranges = self._rotation(name, skip, take)
            terms = _columns(connector.key)
        # The rowids come out of a narrow index, so that passing over many rows does not touch their texts. A subquery
        # with LIMIT keeps its order, and CROSS JOIN keeps it on the outside.
        return self._read(
            f"""SELECT CAST("{name}".json AS BLOB)
                FROM (SELECT rowid AS id FROM "{name}" ORDER BY {terms} LIMIT ?2 OFFSET ?1) AS page
                CROSS JOIN "{name}" ON "{name}".rowid = page.id""",
            ranges,
            size,
        )

    def checksum(self, name: str) -> Checksum:
        """Add up a whole connector straight from its table: the truth that readers are compared with."""
        self._fill(name)
        cursor = self._database.execute(
            f'SELECT CAST(json AS BLOB) FROM "{name}" ORDER BY {_columns(self.connectors[name].key)}'
        )
        rows = crc32 = 0
        for (text,) in cursor:
            rows += 1
            crc32 = zlib.crc32(text + b"\n", crc32)
        return Checksum(rows, crc32)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run one SQL statement and return its rows.

        Each connector is a table of its name and each field a column: text for a string and for a date
        (`2012-11-22T09:49:49Z`), 0 or 1 for a boolean. The rows of the connectors that the statement names are made
        first where they are not there yet.
        """
        for name in self.connectors:
            if name.lower() in sql.lower():
                self._fill(name)
        return self._database.execute(sql, parameters).fetchall()

    def _fill(self, name: str) -> None:
        sample = self._unfilled.pop(name, None)
        if sample is None:
            return
        fields = sample.connector.fields
        columns = "".join(f'"{field.id}" {_COLUMN_TYPES[field.type]}, ' for field in fields)
        members = ", ".join(
            f"'{field.id}', " + (_boolean_json(field.id) if field.type == "boolean" else f'"{field.id}"')
            for field in fields
        )
        self._database.execute(
            f'CREATE TABLE "{name}" ({columns} json TEXT GENERATED ALWAYS AS (json_object({members})) STORED)'
        )
        if rows := sample.rows(self._rows):
            self._database.execute(
                f"""WITH RECURSIVE draw(n, g, h) AS (
                        SELECT 0, ?1, ?2 UNION ALL
                        SELECT n + 1, g * 69621 % {_PRIME}, h * 48271 % {_PRIME} FROM draw LIMIT ?3)
                    INSERT INTO "{name}" SELECT {", ".join(sample.values[field.id] for field in fields)} FROM draw""",
                (_first_draw(self._seed), _first_draw(~self._seed), rows),
            )
        self._database.execute(f'CREATE UNIQUE INDEX "{name}.key" ON "{name}" ({_columns(sample.connector.key)})')

    def _read(self, sql: str, ranges: list[tuple[int, int]], size: int) -> Iterator[Page]:
        for bounds in ranges:
            cursor = self._database.execute(sql, bounds)
            while texts := cursor.fetchmany(size):
                yield Page(len(texts), b",".join([text for (text,) in texts]))

    def _sorting(self, connector: Connector, order: Sequence[tuple[str, bool]]) -> str:
        known = {field.id for field in connector.fields}
        for field, _ in order:
            if field not in known:
                raise UnknownFieldError(field)
        terms = [f'"{field}" DESC' if descending else f'"{field}"' for field, descending in order]
        if not {field for field, _ in order}.issuperset(connector.key):
            terms.append(f"rowid * {self._turn * 1_234_567_891 % _PRIME} % {_PRIME}")
        return ", ".join(terms)

    def _rotation(self, name: str, skip: int, take: int) -> list[tuple[int, int]]:
        """Where the rows lie in key order when this turn's order starts somewhere else in the table.

        A valid order that costs no sorting, and moves by more than a third of the table each turn.
        """
        count = self.count(name)
        wanted = count - skip if take == _ALL else min(take, count - skip)
        if wanted <= 0:
            return []
        start = (skip + self._turn * (1 + (count - 1) * 382 // 1000)) % count
        ahead = min(wanted, count - start)
        return [(start, ahead), (0, wanted - ahead)]


def _first_draw(seed: int) -> int:
    return 1 + (seed * 1_618_033_988 + 271_828_182) % (_PRIME - 1)


def _columns(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _boolean_json(column: str) -> str:
    return f"""json(CASE "{column}" WHEN 1 THEN 'true' WHEN 0 THEN 'false' ELSE 'null' END)"""
