"""Keep a copy up to date, and be killed: `python -m tests.support.kill_syncer URL TARGET PLACE`.

TARGET is the path of a DuckDB file, or a URI of PostgreSQL. PLACE is how many batches are written before the kill, 0 to
kill when all is written and nothing is committed, or -1 to live. The token comes from the environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from afas_async import AfasClient, GetConnector, columns
from afas_async.columns import groups, synchronise
from afas_async.columns.databases import Database

WIDE = GetConnector("Profit_Wide", key="Id")


def connect(target: str) -> Any:
    """Return a connection to a database."""
    if target.startswith("postgresql:"):
        import psycopg  # noqa: PLC0415 - one of the two is needed

        return psycopg.connect(target)
    import duckdb  # noqa: PLC0415 - likewise

    return duckdb.connect(target)


def _die_at(place: int) -> None:
    upsert, commits = synchronise._Copy.upsert, [0]

    def counted(self: Any, batch: Any) -> None:
        upsert(self, batch)
        commits[0] += 1
        if commits[0] == place:
            os.kill(os.getpid(), signal.SIGKILL)

    def commit(_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    if place > 0:
        synchronise._Copy.upsert = counted  # type: ignore[method-assign]
    else:
        for kind in (Database, *Database.__subclasses__()):
            kind.commit = commit  # type: ignore[method-assign]


async def main(url: str, target: str, place: int) -> None:
    groups.GROUP_BYTES = 50_000  # type: ignore[misc]
    if place >= 0:
        _die_at(place)
    with connect(target) as connection:
        async with AfasClient(base_url=url, auth=os.environ["AFAS_TOKEN"]) as afas:
            done = await columns.sync(afas, WIDE, modified="ModifiedOn", into=connection, deletions=True)
    print(done.rows, done.deleted)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
