"""Read a connector in several ranges or parts and tell what it cost: `python -m tests.reading.memory_reader WAY`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from afas_async import AfasClient, Condition, F
from afas_async.simulator import spawn
from tests.read.memory_reader import TYPED, forget_peak, peak

ROWS = {"ranges": 150_000, "ranges paused": 150_000, "overlapping": 5_000}
OVERLAPS = 100


def overlapping() -> Condition:
    """Return a condition in parts, each of which is met by nearly all rows."""
    condition = F.Quantity >= 0
    for number in range(OVERLAPS):
        text = f"no such text as this one, and this one is long {number:0400}"
        condition |= (F.Name != text) & (F.Id > number)
    return condition


WAYS: dict[str, dict[str, Any]] = {
    "ranges": {"ranges": 5},
    "ranges paused": {"ranges": 5},
    "overlapping": {"where": overlapping()},
}


async def main(way: str) -> None:
    async with (
        spawn(rows=ROWS[way]) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        await afas.page(TYPED, take=1)
        before = forget_peak()
        count = total = 0
        async with afas.rows(TYPED, **WAYS[way]) as rows:
            async for row in rows:
                count += 1
                total += row.Id
                if "paused" in way and count % 20_000 == 0:
                    await asyncio.sleep(0.3)
        print(json.dumps({"count": count, "total": total, "growth": peak() - before}))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
