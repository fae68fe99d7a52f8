"""httpx and `asyncio.gather`, several pages at a time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from afas_async import AppToken
from benchmarks.task import Tally, Task


async def read(task: Task, tally: Tally) -> None:
    """Gather a window of pages, until a page is short."""
    headers = {"Authorization": AppToken(task.token).header()}
    take = task.take or 1_000
    async with httpx.AsyncClient(headers=headers, timeout=300) as client:

        async def page(skip: int) -> list[dict[str, Any]]:
            response = await client.get(task.url, params={"skip": skip, "take": take})
            response.raise_for_status()
            rows: list[dict[str, Any]] = response.json()["rows"]
            return rows

        skip, more = 0, True
        while more:
            for rows in await asyncio.gather(*(page(skip + number * take) for number in range(task.window))):
                tally.add(rows)
                more = len(rows) == take
            skip += task.window * take
