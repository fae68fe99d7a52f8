"""The responses that wait for slow readers share the memory of their client, however many streams there are."""

from __future__ import annotations

import asyncio

from afas_async import AfasClient
from afas_async.policy.sizing import LEAST_BYTES
from afas_async.simulator import Simulator
from tests.support import canary
from tests.support.thoroughness import by_default

MEMORY = 4 << 20
STREAMS = 20
ROWS = by_default(12_000, 60_000)


async def test_twenty_slow_readers() -> None:
    """Each stream has its page, a small one when memory is short. Together they keep to the bound, and all end."""
    async with (
        Simulator(rows=ROWS, token=canary.TOKEN) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token, memory=MEMORY) as afas,
    ):
        most, memory = 0, afas._session.memory

        async def read() -> int:
            nonlocal most
            count = 0
            async with afas.rows("Profit_Article", key="ItemCode") as rows:
                async for batch in rows.batches():
                    count += len(batch)
                    waiting = sum(claim._pending() for claim in memory._claims)  # type: ignore[attr-defined]  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
                    most = max(most, waiting)
                    if count < ROWS // 2:
                        await asyncio.sleep(1)
            return count

        assert await asyncio.gather(*(read() for _ in range(STREAMS))) == [ROWS] * STREAMS
        assert MEMORY // 2 < most < MEMORY + STREAMS * LEAST_BYTES


async def test_one_reader_has_all_of_it() -> None:
    """A single stream requests pages as before, also beside streams that hold nothing."""
    async with (
        Simulator(rows=20_000, token=canary.TOKEN) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token) as afas,
    ):
        idle = [afas.rows("Profit_Debtor", key="DebtorId") for _ in range(STREAMS)]
        for rows in idle:
            await anext(rows)
            await rows.aclose()
        before = simulator.counters.requests
        assert len(await afas.rows("Profit_Article", key="ItemCode").to_list()) == 20_000
        assert simulator.counters.requests - before < 15
