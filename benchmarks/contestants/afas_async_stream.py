"""This library streams rows."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Sequence
from typing import Any

from afas_async import AfasClient, GetConnector
from afas_async.policy.order import Order
from benchmarks.rows import WideRow
from benchmarks.task import Tally, Task

STREAMS, SLOW_BATCHES = 20, 200
WIDE = GetConnector("Profit_Wide", WideRow, key="Id")


def _do_not_check(self: Order, keys: Sequence[Any], before: Any) -> bool:  # noqa: ARG001 - replaces Order.proves
    return True


async def _read_slowly(afas: AfasClient, task: Task) -> None:
    batches = 0
    async for _ in afas.rows(WIDE).batches():
        batches += 1
        if batches < SLOW_BATCHES:
            await asyncio.sleep(task.pause)


async def read(task: Task, tally: Tally) -> None:
    """Stream the rows in batches, or with the variant "rows" row by row.

    The variant "nested" iterates over the rows of batches, and "many" over twenty streams at a time. "unchecked" does
    not check keys, which users cannot choose.
    """
    if task.variant == "unchecked":
        setattr(Order, "proves", _do_not_check)  # noqa: B010 - mypy forbids the assignment, rightly elsewhere
    warnings.filterwarnings("ignore", message=".*take=-1")
    async with AfasClient(base_url=task.base_url, auth=task.token, max_concurrency=task.window) as afas:
        stream = afas.rows(WIDE, take=task.take, verify=task.verify)
        if task.variant == "rows":
            count = 0
            async for _ in stream:
                count += 1
            tally.rows = count
        elif task.variant == "many":
            await asyncio.gather(*(_read_slowly(afas, task) for _ in range(STREAMS)))
            tally.rows = task.rows * STREAMS
        elif task.variant == "nested":
            count = 0
            async for batch in stream.batches():
                for _ in batch:
                    count += 1
            tally.rows = count
        else:
            pause_at = 0
            async for batch in stream.batches():
                tally.add(batch)
                if task.pause and tally.rows >= pause_at:
                    pause_at += task.rows // 20
                    await asyncio.sleep(task.pause)
