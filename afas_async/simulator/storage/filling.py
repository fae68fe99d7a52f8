"""Makes the rows of the samples from a seed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import lru_cache
from typing import Final

from afas_async.simulator.files.files import drawn_attachments
from afas_async.simulator.samples.connectors import ATTACHMENTS, SAMPLES, Sample
from afas_async.simulator.storage.schema import create_table, key_order

PRIME: Final = 2_147_483_647  # the modulus of both Lehmer generators; products stay within SQLite's 64 bits
_G: Final = 69_621
_H: Final = 48_271
_PIECE_ROWS: Final = 250  # made at once, in two or three milliseconds


def fill_sample(database: sqlite3.Connection, sample: Sample, size: int, seed: int) -> Iterator[None]:
    """Create the table of a sample and make its rows, in pieces; yields between two pieces.

    Args:
        database: The database.
        sample: The sample.
        size: The number of rows of the large samples.
        seed: The seed of the rows.
    """
    name, fields, rows = sample.connector.name, sample.connector.fields, sample.rows(size)
    database.execute(create_table(name, fields, sample.connector.hidden))
    if sample.connector.key:
        database.execute(f'CREATE UNIQUE INDEX "{name} key" ON "{name}" ({key_order(sample.connector.key)})')
    g, h = _first_draw(seed), _first_draw(~seed)
    for start in range(0, rows, _PIECE_ROWS):
        if start:
            yield
        piece = min(_PIECE_ROWS, rows - start)
        database.execute(
            f"""WITH RECURSIVE draw(n, g, h) AS (
                    SELECT ?, ?, ? UNION ALL
                    SELECT n + 1, g * {_G} % {PRIME}, h * {_H} % {PRIME} FROM draw LIMIT ?)
                INSERT INTO "{name}" SELECT {", ".join(sample.values[field.id] for field in fields)} FROM draw""",
            (start, g, h, piece),
        )
        g, h = g * pow(_G, piece, PRIME) % PRIME, h * pow(_H, piece, PRIME) % PRIME
    if name == ATTACHMENTS and sample in SAMPLES:
        # `Files` has their bytes.
        files = [(file.subject_id, file.id, file.name) for file in drawn_attachments(seed)]
        database.executemany(f'INSERT INTO "{name}" VALUES (?, ?, ?, NULL)', files)


@lru_cache(maxsize=8)
def filled_database(name: str, size: int, seed: int) -> bytes:
    """Return a database with one sample in it. A copy takes a tenth of the time of making its rows again."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        sample = next(sample for sample in SAMPLES if sample.connector.name == name)
        for _ in fill_sample(database, sample, size, seed):
            pass
        return database.serialize()


def _first_draw(seed: int) -> int:
    return 1 + (seed * 1_618_033_988 + 271_828_182) % (PRIME - 1)
