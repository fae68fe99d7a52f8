"""Several streams at a time share the slots of their client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from afas_async import AfasClient, F, GetConnector, Rows
from afas_async.simulator import Latency
from tests.read.conftest import Serve
from tests.support.own_connectors import WIDE
from tests.support.thoroughness import by_default

STREAMS = 10
ROWS = by_default(800, 2_000)
TAKE = 100
MANY = by_default(600, 4_000)


async def _read(rows: Rows[Any], seen: list[int], number: int, check: Callable[[], None]) -> int:
    async for batch in rows.batches():
        seen[number] += len(batch)
        check()
    return seen[number]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("options", [{}, {"window": 1}, {"window": 2}], ids=str)
async def test_ten_connectors(options: dict[str, Any], serve: Serve) -> None:
    """At most `max_concurrency` requests run at a time, all streams complete, and none gets far ahead."""
    names = [f"T{number}" for number in range(STREAMS)]
    connectors = {name: [{"Id": number} for number in range(ROWS)] for name in names}
    simulator, afas = await serve(connectors=connectors, latency=Latency(base=0.05))
    seen = [0] * STREAMS

    def check() -> None:
        low, high = min(seen) // TAKE, max(seen) // TAKE
        if high < ROWS // TAKE:  # while all of them run
            assert high <= 2 * low + 6, seen

    streams = [afas.rows(GetConnector(name, key="Id"), take=TAKE, **options) for name in names]
    found = await asyncio.gather(*(_read(rows, seen, number, check) for number, rows in enumerate(streams)))
    assert found == [ROWS] * STREAMS
    assert simulator.counters.peak_in_flight == 5
    assert afas.statistics().peak_in_flight == 5


async def _paced(afas: AfasClient, wide: Rows[Any]) -> tuple[int, int]:
    """Read a plain stream beside another, and return how many pages of each came when the first one ended."""
    plain = afas.rows(WIDE, take=TAKE, window=2)
    tasks = [asyncio.create_task(rows.to_list()) for rows in (plain, wide)]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    pages = plain.progress.pages, wide.progress.pages
    await asyncio.gather(*tasks)
    assert len(tasks[0].result()) == ROWS
    return pages


@pytest.mark.sampled(2)
@pytest.mark.parametrize("field", ["Id", "Code"])
async def test_beside_a_condition_of_thousands_of_parts(field: str, serve: Serve) -> None:
    """A split condition does not starve a plain stream, nor the other way round."""
    _, afas = await serve(rows=ROWS, latency=Latency(base=0.05))
    values = range(1, MANY) if field == "Id" else [f"W{number:07}" for number in range(MANY)]
    plain, wide = await _paced(afas, afas.rows(WIDE, where=F[field].in_(values)))
    assert plain >= ROWS // TAKE - 1 or plain >= 3  # a read of key values takes few requests
    assert wide >= 5 or field == "Code"
