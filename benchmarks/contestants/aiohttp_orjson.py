"""aiohttp and orjson, one page after the other."""

from __future__ import annotations

import aiohttp
import orjson

from afas_async import AppToken
from benchmarks.task import Tally, Task


async def read(task: Task, tally: Tally) -> None:
    """Read until a page is empty."""
    async with aiohttp.ClientSession(headers={"Authorization": AppToken(task.token).header()}) as session:
        skip = 0
        while True:
            params = {"skip": skip, "take": task.take or 1_000}
            async with session.get(task.url, params=params, raise_for_status=True) as response:
                rows = orjson.loads(await response.read())["rows"]
            if not rows:
                break
            tally.add(rows)
            skip += len(rows)
