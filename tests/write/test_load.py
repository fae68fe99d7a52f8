"""Large loads: every element arrives once, in calls that stay below the service's limit however slow it becomes."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from afas_async import AfasClient, OutcomeUnknownError
from afas_async.simulator import Fault, Latency, Rules, Simulator
from tests.support.thoroughness import by_default
from tests.support.written_service import SUBJECT, agree, element, elements, posts, serving, statuses, written

# 100,000 on an idle machine.
ELEMENTS = int(os.environ.get("AFAS_LOAD_ELEMENTS", by_default("3000", "20000")))
TARGET = 0.6
LIMIT = Rules(time_limit=15 * TARGET)


def longest(simulator: Simulator) -> float:
    """Return the seconds that the longest write took."""
    return max(record.ended - record.started for record in simulator.requests if record.ended and record.elements)


@pytest.mark.timeout(600)
async def test_a_service_that_drifts() -> None:
    """Elements come to take ten times as long: no call passes the limit, and all elements arrive, once."""
    async with serving(rules=LIMIT) as (simulator, afas):
        async with afas.load(SUBJECT, target_seconds=TARGET) as load:
            for number in range(ELEMENTS):
                if number % 100 == 0:
                    drift = 1 + 9 * number / ELEMENTS
                    simulator.latency = Latency(base=0.05, per_element=max(0.0005, 10 / ELEMENTS) * drift)
                await load.add(element(number))
        assert load.report.counts == {"applied": ELEMENTS, "rejected": 0, "unknown": 0, "not_sent": 0}
        assert load.report.total == ELEMENTS
        assert written(simulator) == Counter(range(ELEMENTS))
        assert {record.status for record in simulator.requests} == {200, 201}
        assert sum(posts(simulator)) == ELEMENTS
        assert simulator.counters.writes == load.progress.calls
        assert simulator.counters.peak_in_flight == 4
        assert posts(simulator)[-20] < max(posts(simulator)) / 3, "calls became smaller as elements became slower"


@pytest.mark.sampled(2)
@pytest.mark.parametrize("moment", [0, 1, 700, 3_000])
async def test_a_service_that_is_suddenly_ten_times_slower(moment: int) -> None:
    """Calls that were just sent still end below the limit."""
    more = by_default(800, 1_500)
    async with serving(latency=Latency(base=0.02, per_element=0.002), rules=LIMIT) as (simulator, afas):
        async with afas.load(SUBJECT, target_seconds=TARGET) as load:
            for number in range(moment + more):
                if number == moment:
                    simulator.latency = Latency(base=0.2, per_element=0.02)
                await load.add(element(number))
        assert load.report.counts["applied"] == moment + more
        assert {record.status for record in simulator.requests} == {200, 201}
        assert longest(simulator) < 9
        agree(load.report, simulator)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("late", [True, False])
async def test_a_service_that_times_out(late: bool) -> None:  # noqa: FBT001
    """The elements of a call that took too long are unknown, and later calls are smaller."""
    rules = Rules(time_limit=9, finish_late=late)
    async with serving(latency=Latency(per_element=0.001), rules=rules) as (simulator, afas):
        async with afas.load(SUBJECT, target_seconds=TARGET) as load:
            for number in range(1_100):
                if number == 900:
                    simulator.latency = Latency(per_element=0.1)  # a hundred times slower
                await load.add(element(number))
        counts = load.report.counts
        assert counts["unknown"] > 0
        assert counts["applied"] > 200
        assert counts["rejected"] == counts["not_sent"] == 0
        assert all(isinstance(outcome.error, OutcomeUnknownError) for outcome in load.report.unknown)
        slow = [record.elements for record in simulator.requests if record.status == 500]
        assert len(slow) <= 4, "only what was in flight when nothing was known"
        assert max(posts(simulator)[-10:]) <= 10
        agree(load.report, simulator)
        await asyncio.sleep(200)
        assert len(written(simulator)) == counts["applied"] + (counts["unknown"] if late else 0)
        agree(load.report, simulator)


async def test_calls_that_get_lost_after_too_long() -> None:
    """A proxy that hangs up shows the time as well as a response does: later calls are smaller."""
    async with serving(latency=Latency(per_element=0.001)) as (simulator, afas):
        async with afas.load(SUBJECT, target_seconds=TARGET, in_flight=1) as load:
            for number in range(2_000):
                if number == 1_000:
                    simulator.faults.add(Fault(method="POST", status=504, delay=6))
                await load.add(element(number))
        lost = next(place for place, record in enumerate(simulator.requests) if record.status == 504)
        before, after = load.report.counts["unknown"], list(simulator.requests)[lost + 1].elements
        assert 0 < after < before / 5
        agree(load.report, simulator)


async def test_a_service_that_takes_too_long_for_one_element() -> None:
    """Calls shrink to one element. After ten unknown ones in a row nothing more is sent."""
    async with serving(latency=Latency(per_element=10), rules=LIMIT) as (simulator, afas):
        async with afas.load(SUBJECT, target_seconds=TARGET) as load:
            for number in range(5_000):
                await load.add(element(number))
        assert min(posts(simulator)) == 1
        assert 10 <= len(posts(simulator)) <= 13, "at most three are in flight beside the tenth"
        assert load.report.counts["unknown"] == sum(posts(simulator))
        assert load.report.counts["not_sent"] == 5_000 - sum(posts(simulator))
        assert str(load.report.not_sent[0].error) == str(load.report.unknown[-1].error) or isinstance(
            load.report.not_sent[0].error, OutcomeUnknownError
        )
        agree(load.report, simulator)


async def test_ten_in_a_row() -> None:
    """Nine lost responses and one that arrives do not end a load; ten lost ones do."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", cut="reset", times=9))
        simulator.faults.add(Fault(method="POST", cut="reset", times=9, after=10))
        async with afas.load(SUBJECT, max_elements=1, in_flight=1) as load:
            for number in range(40):
                await load.add(element(number))
        assert load.report.counts == {"applied": 22, "rejected": 0, "unknown": 18, "not_sent": 0}
        assert len(written(simulator)) == 40
        simulator.faults.add(Fault(method="POST", cut="reset", times=10))
        async with afas.load(SUBJECT, max_elements=1, in_flight=1) as load:
            for number in range(40, 80):
                await load.add(element(number))
        assert load.report.counts == {"applied": 0, "rejected": 0, "unknown": 10, "not_sent": 30}


async def test_a_slow_source() -> None:
    """Elements are sent as soon as a call is free, without waiting for more to fill it."""
    async with serving(latency=Latency(base=0.5)) as (simulator, afas):
        async with afas.load(SUBJECT, in_flight=2) as load:
            await asyncio.sleep(1)  # the description
            for number in range(10):
                await load.add(element(number))
                await asyncio.sleep(0.2)
            await asyncio.sleep(2)
            assert load.report.counts["applied"] == 10
            assert load.progress.waiting == 0
        assert posts(simulator)[:2] == [1, 1]
        assert len(posts(simulator)) >= 6
        agree(load.report, simulator)


async def test_the_last_elements_go_to_all_calls() -> None:
    """When the source ends, the remaining elements are spread over the free calls."""
    async with serving(latency=Latency(base=0.01, per_element=0.01)) as (simulator, afas):
        async with afas.load(SUBJECT, target_seconds=5, validate=False) as load:
            for number in range(256):
                await load.add(element(number))
            await asyncio.sleep(30)
            assert load.report.counts["applied"] == 256
            for number in range(256, 356):
                await load.add(element(number))
        assert posts(simulator)[-4:] == pytest.approx([25] * 4, abs=3)
        assert sum(posts(simulator)) == 356


@pytest.mark.parametrize(("in_flight", "max_concurrency", "expected"), [(1, 5, 1), (3, 5, 3), (8, 2, 2), (5, 8, 5)])
async def test_in_flight(in_flight: int, max_concurrency: int, expected: int) -> None:
    """No more calls are in flight than the load allows, nor than the client allows for all its requests."""
    async with serving(latency=Latency(base=0.1), max_concurrency=max_concurrency) as (simulator, afas):
        async with afas.load(SUBJECT, in_flight=in_flight, max_elements=5) as load:
            for number in range(100):
                await load.add(element(number))
                assert load.progress.in_flight <= 5 * expected
        assert simulator.counters.peak_in_flight == expected
        agree(load.report, simulator)


async def test_reads_beside_a_load() -> None:
    """Reads and loads share the limit of the client, and both make progress."""
    async with serving(rows=500, latency=Latency(base=0.1), max_concurrency=3) as (simulator, afas):

        async def read() -> int:
            return len(await afas.rows("Profit_Article", key="ItemCode", take=50).to_list())

        reading = asyncio.create_task(read())
        async with afas.load(SUBJECT, in_flight=3, max_elements=5) as load:
            for number in range(100):
                await load.add(element(number))
        assert await reading == 500
        assert simulator.counters.peak_in_flight == 3
        agree(load.report, simulator)


async def test_the_source_waits() -> None:
    """No more elements wait than all calls could hold, however quick the source is."""
    async with serving(latency=Latency(base=1)) as (simulator, afas):
        async with afas.load(SUBJECT, in_flight=2, max_elements=10) as load:
            for number in range(300):
                await load.add(element(number))
                assert load.progress.waiting <= 20
                assert number < load.report.counts["applied"] + 20 + 20 + 1
        agree(load.report, simulator)


async def test_the_source_waits_for_memory() -> None:
    """Elements of a megabyte fill the memory long before there are many of them."""
    async with serving(latency=Latency(base=1)) as (simulator, afas):
        text = "x" * 1_000_000
        async with afas.load(SUBJECT, max_elements=1_000, in_flight=2, validate=False) as load:
            for number in range(by_default(40, 60)):
                await load.add({**element(number), "SbTx": text})
                assert load.progress.waiting <= 17
        assert max(posts(simulator)) <= 8, "eight megabytes in a call"
        agree(load.report, simulator)


async def test_bytes_of_a_call() -> None:
    """A call of several elements stays below the limit of bytes; a larger element goes alone."""
    async with serving() as (simulator, afas):
        sizes = [10, 2_500, 10, 300, 300, 300, 300, 5_000, 10, 10]
        async with afas.load(SUBJECT, max_bytes=1_000, in_flight=1, validate=False) as load:
            for number, size in enumerate(sizes):
                await load.add({**element(number), "SbTx": "x" * size})
        assert posts(simulator) == [1, 1, 3, 1, 1, 2] or sum(posts(simulator)) == len(sizes)
        lengths = [int(record.headers["Content-Length"]) for record in simulator.requests if record.elements > 1]
        assert lengths
        assert max(lengths) < 1_000 + 40 + 30 * 3, "what stands around the elements, and their actions"
        agree(load.report, simulator)


async def _slowly(count: int) -> AsyncIterator[dict[str, object]]:
    for number in range(count):
        await asyncio.sleep(0.01)
        yield element(number)


@pytest.mark.parametrize("kind", ["list", "generator", "async"])
async def test_sources(kind: str, simulator: Simulator, afas: AfasClient) -> None:
    """Any iterable works as a source of outcomes, and any loop as one of a load."""
    sources: dict[str, Any] = {
        "list": elements(50),
        "generator": (element(number) for number in range(50)),
        "async": _slowly(50),
    }
    outcomes = [outcome async for outcome in afas.outcomes(SUBJECT, sources[kind])]
    assert [outcome.index for outcome in outcomes] == list(range(50))
    assert set(statuses(outcomes)) == {"applied"}
    assert written(simulator) == Counter(range(50))


async def test_several_tasks_add() -> None:
    """Elements may come from several tasks; each is accounted for."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas):

        async def give(first: int) -> None:
            for number in range(first, 400, 4):
                await load.add(element(number))
                await asyncio.sleep(0.001)

        async with afas.load(SUBJECT, max_elements=10) as load:
            await asyncio.gather(*map(give, range(4)))
        assert load.report.counts["applied"] == load.report.total == 400
        assert written(simulator) == Counter(range(400))
