"""The parts of a long condition that are read one after the other, while the next ones are fetched."""

from __future__ import annotations

import asyncio
from collections import Counter

from afas_async import F, GetConnector
from afas_async.simulator import Fault, Latency, Rules
from tests.read.conftest import Serve
from tests.support.census import assert_idle, census
from tests.support.own_connectors import BY_NUMBER, numbers

PAGES = 10  # of each part
GROUPS = [f"{'g' * 20}{number:04}" for number in range(80)]  # 12 of them fit into a request
VALUES = range(300)  # of which about 120 do


async def test_later_parts_wait_until_they_are_wanted(serve: Serve) -> None:
    """While you read the first part, each of the four that follow it requests two pages at most."""
    rows = [{"Id": number, "Group": GROUPS[number // PAGES]} for number in range(PAGES * len(GROUPS))]
    simulator, afas = await serve(connectors={"T": rows}, latency=Latency(base=0.05))
    async with afas.rows(BY_NUMBER, where=F.Group.in_(GROUPS), verify=False, take=12) as stream:
        assert {(await anext(stream))["Group"] for _ in range(PAGES * 12)} == {*GROUPS[:12]}
        first, *others = Counter(request.query["filterjson"] for request in simulator.requests).values()
    assert first >= PAGES
    assert len(others) == 4
    assert max(others) <= 2


async def test_leaving_stops_what_a_part_has_left_behind(serve: Serve) -> None:
    """A part may end while a response that it no longer needs hangs.

    When you leave the stream, that request stops too.
    """
    rows = [{"Id": number, "Group": GROUPS[number // 10]} for number in range(200)]
    simulator, afas = await serve(connectors={"T": rows}, rules=Rules(page_cap=25))
    # It requests the rows after the first page, which is short, and finds some. Then it requests them in another way.
    simulator.faults.add(Fault(after=2, cut="stall", at=150))
    connector = GetConnector("T", key=("Group", "Id"))
    async with census(afas, simulator), afas.rows(connector, where=F.Group.in_(GROUPS), window=1) as stream:
        assert numbers([await anext(stream) for _ in range(120)]) == [*range(120)]
        assert simulator.counters.in_flight == 1
        await stream.aclose()
        assert_idle(afas)


async def test_pages_that_are_long_come_by_themselves(serve: Serve) -> None:
    """Pages that take several steps to decode come although no further byte arrives meanwhile."""
    rows = [{"Id": number, "Text": "x" * 10_000} for number in VALUES]
    _, afas = await serve(connectors={"T": rows})
    async with asyncio.timeout(5):
        pages = [page async for page in afas.pages(BY_NUMBER, where=F.Id.in_(VALUES), take=50)]
    assert numbers([row for page in pages for row in page.rows]) == [*VALUES]
    assert max(len(page.rows) for page in pages) == 50
