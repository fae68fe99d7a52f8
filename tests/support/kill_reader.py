"""Read rows into a file and store where the read stands: `python -m tests.support.kill_reader FOLDER URL RANGES`.

You may kill it at any moment; started again, it continues after the last stored cursor.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from afas_async import AfasClient
from tests.support import canary
from tests.support.own_connectors import WIDE

ROWS_PER_CURSOR = 70
TAKE = 60


async def main(folder: Path, url: str) -> None:
    stored = folder / "cursor"
    cursor = stored.read_text(encoding="utf-8") if stored.exists() else None
    with (folder / "rows").open("a", encoding="ascii") as rows:
        async with AfasClient(base_url=url, auth=canary.TOKEN) as afas:
            stream = afas.rows(WIDE, take=TAKE, after=cursor)
            count = 0
            async for row in stream:
                rows.write(f"{row.number}\n")
                count += 1
                if count % ROWS_PER_CURSOR == 0:
                    rows.write("stored\n")  # before the cursor: if that is lost, the next rows may be repeated
                    rows.flush()
                    (folder / "new").write_text(stream.cursor, encoding="utf-8")
                    os.replace(folder / "new", stored)  # noqa: PTH105
    (folder / "done").touch()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
