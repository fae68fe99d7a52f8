"""Waves of eight pages of 40,000 rows, into one list. Each wave waits for its slowest page."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from afas_async import AppToken
from benchmarks.task import Tally, Task

WIDTH = 8
TAKE = 40_000


async def read(task: Task, tally: Tally) -> None:
    """Send waves until a page is empty."""
    everything: list[dict[str, Any]] = []
    timeout = aiohttp.ClientTimeout(total=900)
    headers = {"Authorization": AppToken(task.token).header()}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:

        async def page(skip: int) -> list[dict[str, Any]]:
            async with session.get(task.url, params={"skip": skip, "take": TAKE}, raise_for_status=True) as response:
                rows: list[dict[str, Any]] = (await response.json())["rows"]
                return rows

        skip, pages = 0, list[list[dict[str, Any]]]()
        while all(pages):
            pages = await asyncio.gather(*(page(skip + number * TAKE) for number in range(WIDTH)))
            for rows in pages:
                everything += rows
            skip += WIDTH * TAKE
    tally.add(everything)
