"""Twenty lines of a good engineer: aiohttp, msgspec, a semaphore, whole pages in order."""

from __future__ import annotations

import asyncio
from collections import deque

import aiohttp
import msgspec

from afas_async import AppToken
from benchmarks.rows import WideRow
from benchmarks.task import Tally, Task


class _Page(msgspec.Struct):
    rows: list[WideRow]


async def read(task: Task, tally: Tally) -> None:
    """Keep a window of pages in flight until a page is short."""
    gate, decoder, take = asyncio.Semaphore(task.window), msgspec.json.Decoder(_Page), task.take or 1_000
    async with aiohttp.ClientSession(headers={"Authorization": AppToken(task.token).header()}) as session:

        async def page(skip: int) -> list[WideRow]:
            params: dict[str, str | int] = {"skip": skip, "take": take, "orderbyfieldids": "Id"}
            async with gate, session.get(task.url, params=params, raise_for_status=True) as response:
                return decoder.decode(await response.read()).rows

        skip = 0
        pages = deque[asyncio.Task[list[WideRow]]]()
        more = True
        while more or pages:
            while more and len(pages) < task.window:
                pages.append(asyncio.create_task(page(skip)))
                skip += take
            rows = await pages.popleft()
            tally.add(rows)
            more = more and len(rows) == take
