"""A process that sends requests under a limit which it shares with others."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from afas_async import AfasClient, FileLimiter
from tests.support import canary


def run(url: str, folder: Path, requests: int) -> None:
    """Send that many requests at once, and print when their responses came."""
    asyncio.run(_main(url, folder, requests))


async def _main(url: str, folder: Path, requests: int) -> None:
    async with AfasClient(base_url=url, auth=canary.TOKEN, limiter=FileLimiter(folder, 5)) as afas:

        async def one() -> None:
            await afas.page("Profit_Article", take=1)
            print(time.time(), flush=True)  # noqa: T201 (what the test reads)

        await asyncio.gather(*[one() for _ in range(requests)])
