"""Which requests a read makes: as few, as large and as many at a time as it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from afas_async import AfasClient, GetConnector
from afas_async.simulator import Latency, Simulator, SkippingLoop
from tests.read.conftest import SIMULATED, SLOW
from tests.support import canary
from tests.support.census import census
from tests.support.paged_server import PagedServer, numbered, paged
from tests.support.sample_connectors import EMPTY, TYPED_ARTICLES, WIDE, codes, spans, takes
from tests.support.thoroughness import by_default

TAKE = by_default(300, 700)  # five pages of the simulator
CAPPED = by_default(1_200, 3_000)
SMALL = GetConnector("Profit_Small", key="Id")


@asynccontextmanager
async def service(
    rows: int, *, base: float = 0.0, per_skip: float = 0.0, max_concurrency: int = 5
) -> AsyncIterator[tuple[Simulator, AfasClient]]:
    async with (
        Simulator(rows=rows, token=canary.TOKEN, latency=Latency(base=base, per_skip=per_skip)) as simulator,
        AfasClient(base_url=simulator.base_url, auth=simulator.token, max_concurrency=max_concurrency) as afas,
    ):
        yield simulator, afas


async def test_an_empty_table_costs_one_request(afas: AfasClient, simulator: Simulator) -> None:
    """An empty first page proves the end."""
    assert [row async for row in afas.rows(EMPTY)] == []
    assert [page async for page in afas.pages(EMPTY)] == []
    assert takes(simulator) == [(0, 100), (0, 100)]


async def test_nothing_is_sent_before_the_first_row_is_asked_for(afas: AfasClient, simulator: Simulator) -> None:
    """Making a stream sends nothing, and neither does entering it."""
    async with afas.rows(TYPED_ARTICLES), afas.pages(TYPED_ARTICLES):
        await asyncio.sleep(1)
    assert list(simulator.requests) == []


async def test_a_fixed_take(afas: AfasClient, simulator: Simulator) -> None:
    """With a fixed take every request is for that many new rows, and each page is requested once."""
    assert [row.code async for row in afas.rows(TYPED_ARTICLES, take=TAKE)] == codes(simulator)
    assert {take for _, take in spans(simulator)} == {TAKE}
    firsts = [first for first, _ in spans(simulator)]
    assert len(set(firsts)) == len(firsts)
    assert {*range(0, SIMULATED, TAKE), SIMULATED} <= set(firsts)


async def test_pages_overlap_by_one_row(afas: AfasClient, simulator: Simulator) -> None:
    """Every page but the first requests one more row, the last of the page before, and is found by key."""
    assert len(await afas.rows(TYPED_ARTICLES, take=TAKE, window=1).to_list()) == SIMULATED
    assert takes(simulator) == [(0, TAKE), *[(0, TAKE + 1)] * 4, (0, TAKE)]
    anchors = [request.query.get("filtervalues") for request in simulator.requests]
    assert anchors == [
        None,
        *(codes(simulator)[last] for last in (*range(TAKE - 1, SIMULATED - 1, TAKE), SIMULATED - 1)),
    ]


def peak(window: int | None, **options: Any) -> int:
    """Return how many requests run at most at a slow service. The clock skips waits."""

    async def read() -> int:
        async with (
            Simulator(rows=SLOW, latency=Latency(base=5)) as simulator,
            AfasClient(base_url=simulator.base_url, auth=simulator.token, **options) as afas,
        ):
            assert len(await afas.rows(TYPED_ARTICLES, take=SLOW // 16, window=window).to_list()) == SLOW
            return simulator.counters.peak_in_flight

    with asyncio.Runner(loop_factory=SkippingLoop) as runner:
        return runner.run(read())


@pytest.mark.parametrize("window", [1, 2, 3, 5])
def test_window(window: int) -> None:
    """As many pages are in flight as the window allows, and no more."""
    # At the end one more may be in flight: the proof, beside pages that were requested after it.
    assert window <= peak(window) <= window + (window > 1)


def test_the_default_window_is_the_clients() -> None:
    """Without a window the client's limit is used."""
    assert peak(None, max_concurrency=8) == 8


async def test_pages_grow() -> None:
    """Pages grow from 100 rows to 1,000 and 10,000, so that the first row comes soon and a large table costs little."""
    rows = by_default(12_000, 30_000)
    async with service(rows) as (simulator, afas):
        found = [len(page.rows) async for page in afas.pages(TYPED_ARTICLES, window=1)]
        assert found[:2] == [100, 1_000]
        assert 10_000 in found
        assert all(first <= second for first, second in pairwise(found[:-1]))
        assert sum(found) == rows
        # 8 columns
        assert all(take * 8 <= 150_000 for _, take in takes(simulator))


async def test_wide_pages_stay_under_the_cell_limit() -> None:
    """Columns x rows stay within 150,000, counted in the columns that the service sends."""

    class Narrow(msgspec.Struct):
        Id: int

    rows = by_default(3_000, 30_000)
    async with service(rows) as (simulator, afas):
        assert len(await afas.rows(GetConnector(WIDE.name, Narrow, key="Id")).to_list()) == rows
        asked = [take for _, take in takes(simulator)]
        assert max(asked) * 20 <= 150_000
        assert max(asked) >= 5_000


@pytest.mark.parametrize(
    ("rows", "useless"),
    [
        (0, 0),
        (1, 1),
        (50, 1),
        (2_500, 4),
        *by_default([], [(25_000, 5)]),
    ],
)
async def test_few_requests_bring_no_row(rows: int, useless: int) -> None:
    """A small table costs little more than the requests that bring its rows."""
    async with service(rows, base=0.05) as (simulator, afas):
        assert len(await afas.rows(TYPED_ARTICLES).to_list()) == rows
        asked = spans(simulator)
        brought = [first for first, _ in asked if first < rows]
        assert len(asked) - len(brought) <= max(useless, 1 - len(brought))


async def test_pages_past_the_end_keep_their_slots() -> None:
    """A request past the last row is not cut off: the service works on it, even if nobody waits for it."""
    async with service(1_000, base=0.05, per_skip=0.001) as (simulator, afas):
        async with census(afas, simulator, seconds=30):
            assert len(await afas.rows(TYPED_ARTICLES, take=90).to_list()) == 1_000
            assert afas.statistics().in_flight == simulator.counters.in_flight > 0
        assert simulator.counters.cancelled == 0
        assert afas.statistics().retries == 0


async def test_streams_that_end_side_by_side_spare_the_service() -> None:
    """Never more requests run than the client's limit, as those past the ends of streams count."""
    async with service(2_500, base=0.3) as (simulator, afas):
        await asyncio.gather(*(afas.rows(TYPED_ARTICLES, take=100).to_list() for _ in range(8)))
        assert simulator.counters.peak_in_flight == 5


@pytest.mark.sampled(2)
@pytest.mark.parametrize("rows", [1, 99, 100, 101, 1_100, 1_101, 2_000])
@pytest.mark.parametrize("take", [None, 100])
async def test_the_end_needs_proof(rows: int, take: int | None) -> None:
    """A read ends only after a response without a new row, at the first row that was not received."""
    async with service(rows) as (simulator, afas):
        assert [row.code async for row in afas.rows(TYPED_ARTICLES, take=take)] == codes(simulator)
        firsts = [first for first, _ in spans(simulator)]
        assert rows in firsts
        in_common = sum(0 < first <= rows for first in firsts)
        assert rows <= simulator.counters.rows <= rows + in_common


@pytest.mark.sampled(2)
@pytest.mark.parametrize("cap", [1, 7, 99, 100, 250, 1_000])
@pytest.mark.parametrize("window", [1, 5])
async def test_a_server_that_caps_pages_loses_no_row(cap: int, window: int) -> None:
    """A server that silently returns fewer rows than requested costs requests, but no row."""
    count = min(by_default(1_345, 2_345), cap * by_default(15, 30))
    server = PagedServer(numbered(count), cap=cap)
    async with paged(server) as afas:
        assert [row["Id"] async for row in afas.rows(SMALL, window=window)] == list(range(count))


async def test_a_capped_take_is_learned() -> None:
    """Once a cap was seen, requests keep to it, so that pages run side by side again."""
    server = PagedServer(numbered(CAPPED), cap=50, delay=0.05)
    async with paged(server) as afas:
        assert [row["Id"] async for row in afas.rows(SMALL, take=1_000)] == list(range(CAPPED))
    assert server.peak_in_flight == 5
    assert sum(take > 50 for _, take in server.spans) < 10


async def test_a_short_page_in_the_middle() -> None:
    """A page that is short once, with rows after it, ends nothing and loses nothing."""
    async with paged(PagedServer(numbered(1_000), short={299: 34})) as afas:
        assert [row["Id"] async for row in afas.rows(SMALL, take=100)] == list(range(1_000))


async def test_a_paused_reader_stops_the_fetching(reader: AfasClient, slow: Simulator) -> None:
    """Requests are sent only while you pull rows: a reader that pauses leaves at most its window in flight."""
    async with reader.rows(TYPED_ARTICLES, take=50, window=4) as rows:
        for _ in range(301):
            await anext(rows)
        await asyncio.sleep(1)
        requests = slow.counters.requests
        await asyncio.sleep(600)
        assert slow.counters.requests == requests
        assert slow.counters.in_flight == 0
        # Row 301 is on the seventh page. The eighth may be complete, and a complete page no longer counts.
        assert slow.counters.requests <= 7 + 1 + 4
        assert slow.counters.peak_in_flight <= 4
        assert 301 + len([row async for row in rows]) == SLOW


async def test_the_wait_for_the_reader_is_no_timeout(slow: Simulator) -> None:
    """A reader that is slower than the time-out gets all its rows."""
    async with AfasClient(base_url=slow.base_url, auth=slow.token, timeout=5, max_retries=0) as afas:
        count = 0
        async for _ in afas.rows(TYPED_ARTICLES, take=SLOW // 5).batches():
            count += 1
            await asyncio.sleep(60)
        assert count >= 5
        firsts = [first for first, _ in spans(slow)]
        assert len(set(firsts)) == len(firsts) - 1  # the proof of the end, which was requested ahead as well
