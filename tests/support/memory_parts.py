"""Read a connector in several parts and report what it cost: `python -m tests.support.memory_parts`."""

from __future__ import annotations

import asyncio
import json

from afas_async import AfasClient, Condition, F
from afas_async.simulator import spawn
from tests.support.memory_reader import TYPED, forget_peak, peak

ROWS = 2_000
OVERLAPS = 100


def overlapping() -> Condition:
    """Return a condition in parts, each of which is met by nearly all rows."""
    condition = F.Quantity >= 0
    for number in range(OVERLAPS):
        text = f"no such text as this one, and this one is long {number:0400}"
        condition |= (F.Name != text) & (F.Id > number)
    return condition


async def main() -> None:
    async with (
        spawn(rows=ROWS) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        await afas.page(TYPED, take=1)
        before = forget_peak()
        count = total = 0
        async with afas.rows(TYPED, where=overlapping()) as rows:
            async for row in rows:
                count += 1
                total += row.Id
        print(json.dumps({"count": count, "total": total, "growth": peak() - before}))  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
