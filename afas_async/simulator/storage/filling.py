"""Making the rows of the samples out of a seed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import lru_cache
from typing import Final

from afas_async.simulator.files.files import drawn_attachments
from afas_async.simulator.samples.connectors import ATTACHMENTS, SAMPLES, Sample
from afas_async.simulator.storage.schema import create_table, key_order

PRIME: Final = 2_147_483_647  # of the two Lehmer generators; products with it stay within SQLite's 64 bits


def fill_sample(database: sqlite3.Connection, sample: Sample, size: int, seed: int) -> None:
    """Make the table of a sample with its rows.

    Args:
        database: Where to make it.
        sample: The sample.
        size: The size of the large samples.
        seed: What the rows come from.
    """
    name, fields = sample.connector.name, sample.connector.fields
    database.execute(create_table(name, fields, sample.connector.hidden))
    if rows := sample.rows(size):
        database.execute(
            f"""WITH RECURSIVE draw(n, g, h) AS (
                    SELECT 0, ?1, ?2 UNION ALL
                    SELECT n + 1, g * 69621 % {PRIME}, h * 48271 % {PRIME} FROM draw LIMIT ?3)
                INSERT INTO "{name}" SELECT {", ".join(sample.values[field.id] for field in fields)} FROM draw""",
            (_first_draw(seed), _first_draw(~seed), rows),
        )
    if name == ATTACHMENTS:
        # Their bytes are not in the table: `Files` has them.
        files = [(file.subject_id, file.id, file.name) for file in drawn_attachments(seed)]
        database.executemany(f'INSERT INTO "{name}" VALUES (?, ?, ?, NULL)', files)
    database.execute(f'CREATE UNIQUE INDEX "{name} key" ON "{name}" ({key_order(sample.connector.key)})')


@lru_cache(maxsize=8)
def filled_database(name: str, size: int, seed: int) -> bytes:
    """Return a database with one sample in it: to copy it takes a tenth of the time of drawing its rows again."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        fill_sample(database, next(sample for sample in SAMPLES if sample.connector.name == name), size, seed)
        return database.serialize()


def _first_draw(seed: int) -> int:
    return 1 + (seed * 1_618_033_988 + 271_828_182) % (PRIME - 1)
