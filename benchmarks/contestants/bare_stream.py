"""A bound: reads slices of prefetched pages, as this library does, but without its checks and limits.

Its excess over `decode_only` is the cost of aiohttp, the event loop and the socket. The excess of this library over it
is the cost of the guarantees.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter

import aiohttp
import msgspec

from afas_async import AppToken
from benchmarks.rows import WideRow
from benchmarks.task import Tally, Task

_SLICE = 1 << 16
_HOLD = 0.0005


class _Page:
    def __init__(self, session: aiohttp.ClientSession, task: Task, skip: int) -> None:
        self.chunks = deque[bytes]()
        self.ended = False
        self.news = asyncio.Event()
        self._job = asyncio.create_task(self._fetch(session, task, skip))

    async def _fetch(self, session: aiohttp.ClientSession, task: Task, skip: int) -> None:
        params: dict[str, str | int] = {"skip": skip, "take": task.take or 1_000, "orderbyfieldids": "Id"}
        async with session.get(task.url, params=params, raise_for_status=True) as response:
            while chunk := await response.content.readany():
                self.chunks.append(chunk)
                self.news.set()
        self.ended = True
        self.news.set()


async def read(task: Task, tally: Tally) -> None:
    """Decode the first page of the window as its bytes arrive. The length of the table is known in advance."""
    decoder, take = msgspec.json.Decoder(list[WideRow]), task.take or 1_000
    rested = perf_counter()
    headers = {"Authorization": AppToken(task.token).header()}
    async with aiohttp.ClientSession(headers=headers, read_bufsize=1 << 18, auto_decompress=False) as session:
        pages, skips = deque[_Page](), iter(range(0, task.rows, take))
        while True:
            while len(pages) < task.window and (skip := next(skips, None)) is not None:
                pages.append(_Page(session, task, skip))
            if not pages:
                return
            page, text = pages.popleft(), bytearray()
            while page.chunks or not page.ended:
                if not page.chunks:
                    page.news.clear()
                    await page.news.wait()
                    continue
                chunk = page.chunks.popleft()
                for start in range(0, len(chunk), _SLICE):
                    text += chunk[start : start + _SLICE]
                    if text[:1] != b"[":
                        del text[: text.index(b"[")]
                    if (cut := text.rfind(b"},{") + 1) > 0:
                        text[cut] = ord("]")
                        with memoryview(text) as whole, whole[: cut + 1] as part:
                            rows = decoder.decode(part)
                        tally.add(rows)
                        del text[1 : cut + 1]
                    if perf_counter() - rested > _HOLD:
                        await asyncio.sleep(0)
                        rested = perf_counter()
            tally.add(decoder.decode(text[: text.rindex(b"]") + 1]))
