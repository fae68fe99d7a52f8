"""Outcomes as a stream: in the order of the elements, as soon as they exist, and whatever the source does."""

# ruff: noqa: PT012 - what raises is the whole loop

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from afas_async import AfasClient, ClientClosedError, Outcome, UsageError
from afas_async.simulator import Fault, Latency
from afas_async.write import ordered
from tests.support import canary
from tests.support.census import census, tasks
from tests.support.thoroughness import by_default
from tests.support.written_service import SUBJECT, agree, element, elements, serving, statuses, written


class SourceError(Exception):
    """Raised by a source."""


def failing(count: int) -> Iterator[dict[str, Any]]:
    """Give so many elements, and fail."""
    yield from elements(count)
    raise SourceError


async def slow(count: int, seconds: float) -> AsyncIterator[dict[str, Any]]:
    """Give so many elements, and take some time before each."""
    for number in range(count):
        await asyncio.sleep(seconds)
        yield element(number)


async def stuck(count: int) -> AsyncIterator[dict[str, Any]]:
    """Give so many elements, and then wait for ever."""
    for number in range(count):
        yield element(number)
    await asyncio.Event().wait()


async def test_order() -> None:
    """Outcomes come in the order of the elements, whatever the order of the responses."""
    async with serving(latency=Latency(base=0.05)) as (simulator, afas):
        for after in range(0, 60, 3):
            simulator.faults.add(Fault(method="POST", delay=2, after=after))
        async with census(afas), afas.outcomes(SUBJECT, elements(200), max_elements=5) as outcomes:
            found = [outcome async for outcome in outcomes]
        assert [outcome.index for outcome in found] == list(range(200))
        assert outcomes.report.counts["applied"] == outcomes.progress.elements == 200
        agree(outcomes.report, simulator)


async def test_every_outcome_has_its_place() -> None:
    """Applied, refused, lost and invalid elements come in one order."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas):
        simulator.faults.add(Fault(method="POST", cut="reset", after=5), Fault(method="POST", status=400, after=2))
        items = elements(60)
        items[31] = {"Nope": 1}
        outcomes = afas.outcomes(SUBJECT, items, max_elements=5)
        found = [outcome async for outcome in outcomes]
        assert [outcome.index for outcome in found] == list(range(60))
        counts = outcomes.report.counts
        assert {status: statuses(found).count(status) for status in counts} == counts
        assert counts["rejected"] == counts["unknown"] == 5
        assert counts["not_sent"] == 1
        agree(outcomes.report, simulator)


@pytest.mark.parametrize("managed", [True, False])
async def test_nothing_to_load(*, managed: bool) -> None:
    """No elements, no outcomes, and no call."""
    async with serving() as (simulator, afas):
        outcomes = afas.outcomes(SUBJECT, [])
        if managed:
            async with outcomes:
                assert [outcome async for outcome in outcomes] == []
        assert [outcome async for outcome in outcomes] == []
        assert simulator.counters.writes == 0


async def test_an_outcome_does_not_wait_for_the_next_element() -> None:
    """An applied element is reported while the source still waits for more."""
    async with serving(latency=Latency(base=0.1)) as (_, afas):
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with afas.outcomes(SUBJECT, slow(5, 10)) as outcomes:
            moments = [(outcome.index, loop.time() - started) async for outcome in outcomes]
        for index, moment in moments:
            assert 10 * (index + 1) < moment < 10 * (index + 1) + 1


@pytest.mark.parametrize("count", [0, 1, 40])
async def test_a_source_that_fails(count: int) -> None:
    """All outcomes of earlier elements come first, and then the exception of the source."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas), census(afas):
        found = list[Outcome]()
        outcomes = afas.outcomes(SUBJECT, failing(count), max_elements=5)
        with pytest.raises(SourceError):
            async for outcome in outcomes:
                found.append(outcome)
        assert [outcome.index for outcome in found] == list(range(count))
        assert [outcome async for outcome in outcomes] == [], "it is raised once"
        agree(outcomes.report, simulator)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("way", ["break", "exception"])
@pytest.mark.parametrize("source", ["list", "endless", "slow", "stuck"])
async def test_left_early(way: str, source: str) -> None:
    """Calls in flight are waited for, and nothing more is sent, whatever the source is doing."""
    async with serving(latency=Latency(base=1)) as (simulator, afas), census(afas, simulator):
        sources: dict[str, Any] = {
            "list": elements(5_000),
            "endless": map(element, itertools.count()),
            "slow": slow(5_000, 0.1),
            "stuck": stuck(12),
        }
        outcomes = afas.outcomes(SUBJECT, sources[source], max_elements=5, in_flight=2)
        loop = asyncio.get_running_loop()

        async def read() -> None:
            async with outcomes:
                async for outcome in outcomes:
                    if outcome.index == 6:
                        if way == "exception":
                            raise SourceError
                        break
                left.append((loop.time(), simulator.counters.writes))

        left = list[tuple[float, int]]()
        async with asyncio.timeout(60):
            if way == "exception":
                with pytest.raises(SourceError):
                    await read()
            else:
                await read()
                assert loop.time() - left[0][0] < 1.5
                assert simulator.counters.writes <= left[0][1] + 2, "more was sent than was in flight"
        assert outcomes.report.counts["unknown"] == 0
        agree(outcomes.report, simulator)


async def test_an_endless_source_and_a_slow_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements are taken at most ten thousand ahead of the outcomes that are read."""
    assert ordered._MOST_AHEAD == 10_000
    most = by_default(1_000, 10_000)
    monkeypatch.setattr(ordered, "_MOST_AHEAD", most)
    taken = 0

    def count() -> Iterator[dict[str, Any]]:
        nonlocal taken
        for taken in itertools.count(1):
            yield {"@SbId": taken, "Ds": None}  # invalid, so that it costs little

    async with serving() as (_, afas), census(afas):
        async with afas.outcomes(SUBJECT, count(), action="update", validate=False) as outcomes:
            for number in range(25):
                assert (await anext(outcomes)).index == number
                await asyncio.sleep(10)
                assert taken <= most + number + 2
        assert taken >= most


async def test_without_a_block() -> None:
    """A loop that reads to the end needs no block."""
    async with serving() as (simulator, afas), census(afas):
        found = [outcome async for outcome in afas.outcomes(SUBJECT, elements(30))]
        assert len(found) == 30
        assert len(written(simulator)) == 30


async def test_forgotten() -> None:
    """A stream that is left without a block ends with the client, and without a warning."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas), census(afas):
        client = AfasClient(base_url=simulator.base_url, auth=canary.TOKEN)
        before = tasks()
        async with client:
            async for _ in client.outcomes(SUBJECT, map(element, itertools.count()), max_elements=5):
                break
            await asyncio.sleep(1)
        gc.collect()
        assert tasks() - before == set()


@pytest.mark.parametrize("managed", [True, False])
async def test_never_read(*, managed: bool) -> None:
    """A stream that is made and not used does nothing; one that is entered and not read ends at once."""
    async with serving(latency=Latency(base=0.1)) as (simulator, afas), census(afas):
        outcomes = afas.outcomes(SUBJECT, elements(1_000), max_elements=5)
        if managed:
            async with outcomes:
                pass
            await outcomes.aclose()
            assert outcomes.report.total == 0, "no element is taken for nothing"
        del outcomes
        gc.collect()
        await asyncio.sleep(5)
        assert simulator.counters.writes <= 4


async def test_closed_before_it_began() -> None:
    """A stream closed before it began has no outcomes."""
    async with serving() as (simulator, afas):
        outcomes = afas.outcomes(SUBJECT, elements(10))
        await outcomes.aclose()
        assert [outcome async for outcome in outcomes] == []
        assert simulator.counters.requests == 0


async def test_two_readers() -> None:
    """Two tasks that read at once would each get a part."""
    async with serving(latency=Latency(base=1)) as (_, afas), afas.outcomes(SUBJECT, elements(10)) as outcomes:
        first = asyncio.create_task(anext(outcomes))
        await asyncio.sleep(0.1)
        with pytest.raises(UsageError, match="two tasks"):
            await anext(outcomes)
        assert (await first).index == 0
        assert (await anext(outcomes)).index == 1


async def test_a_pull_that_is_cancelled() -> None:
    """A cancelled pull costs no outcome: the next pull gets it."""
    async with serving(latency=Latency(base=1)) as (simulator, afas), census(afas):
        found = list[int]()
        async with afas.outcomes(SUBJECT, elements(50), max_elements=5) as outcomes:
            while len(found) < 50:
                with anyio.move_on_after(0.3):
                    async for outcome in outcomes:
                        found.append(outcome.index)
        assert found == list(range(50))
        agree(outcomes.report, simulator)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("way", ["task", "timeout", "scope"])
@pytest.mark.parametrize("moment", [0.0, 0.5, 2.5, 8.0])
async def test_cancelled(way: str, moment: float) -> None:
    """A cancelled reader does not wait for elements in flight, which are then unknown."""
    async with serving(latency=Latency(base=60)) as (simulator, afas), census(afas):
        simulator.latency = Latency(base=0.2)
        outcomes = afas.outcomes(SUBJECT, elements(100), max_elements=5)

        async def read() -> None:
            async with outcomes:
                async for outcome in outcomes:
                    if outcome.index == 10:
                        simulator.latency = Latency(base=60)

        loop = asyncio.get_running_loop()
        started = loop.time()
        if way == "task":
            task = asyncio.create_task(read())
            await asyncio.sleep(moment)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        elif way == "timeout":
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(moment):
                    await read()
        else:
            with anyio.move_on_after(moment) as scope:
                await read()
            assert scope.cancelled_caught
        assert loop.time() - started < moment + 1
        if moment > 2:
            assert outcomes.report.counts["unknown"] > 0
        assert sum(outcomes.report.counts.values()) == outcomes.report.total
        agree(outcomes.report, simulator)
        await asyncio.sleep(120)
        agree(outcomes.report, simulator)


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.3, 1.0, 1.5])
async def test_the_client_closes_meanwhile(moment: float) -> None:
    """Finished outcomes come first, and then a ClientClosedError, as some elements remain."""
    async with serving(latency=Latency(base=0.2)) as (simulator, _):
        before = tasks()
        client = AfasClient(base_url=simulator.base_url, auth=canary.TOKEN)
        await client.open()
        outcomes = client.outcomes(SUBJECT, map(element, itertools.count()), max_elements=5)
        found = list[Outcome]()

        async def read() -> None:
            async for outcome in outcomes:
                found.append(outcome)

        task = asyncio.create_task(read())
        await asyncio.sleep(moment)
        await client.aclose()
        with pytest.raises(ClientClosedError):
            await task
        assert [outcome.index for outcome in found] == list(range(outcomes.report.total))
        assert tasks() - before == set()
        await asyncio.sleep(1)
        agree(outcomes.report, simulator)


async def test_a_client_that_is_not_open() -> None:
    """The stream raises when it is entered or read."""
    client = AfasClient(base_url="http://127.0.0.1:1/rest", auth=canary.TOKEN)
    with pytest.raises(ClientClosedError):
        await anext(client.outcomes(SUBJECT, []))
    with pytest.raises(ClientClosedError):
        async with client.outcomes(SUBJECT, []):
            pass


async def test_a_load_that_cannot_be_opened() -> None:
    """The stream raises the error, and no element is taken."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="GET", status=401))
        source = iter(elements(3))
        async with afas.outcomes(SUBJECT, source) as outcomes:
            with pytest.raises(Exception, match="401"):
                await anext(outcomes)
        assert len(list(source)) == 3
