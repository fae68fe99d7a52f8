"""Leaving a load in any way at any moment: it leaves nothing, and its report agrees with the tables."""

# ruff: noqa: PT012 - what raises is the whole block

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from afas_async import AfasClient, ClientClosedError, LoadReport, UsageError
from afas_async.simulator import Fault, Latency, Simulator
from tests.support import canary
from tests.support.census import assert_idle, census, quiet, steps, tasks, until
from tests.support.thoroughness import by_default
from tests.support.written_service import SUBJECT, agree, element, elements, faulty, serving

MOST_STEPS = 3_000


class BodyError(Exception):
    """Raised by the body of a load."""


@dataclass
class Scene:
    """A service, its clients, and the reports of their loads."""

    server: Simulator
    afas: AfasClient
    reports: list[LoadReport] = field(default_factory=list[LoadReport])
    clients: list[AfasClient] = field(default_factory=list[AfasClient])

    def load(self, **options: Any) -> Any:
        load = self.afas.load(SUBJECT, **options)
        self.reports.append(load.report)
        return load


async def _load(scene: Scene) -> None:
    """Batches, several in flight, and more elements than may wait."""
    async with scene.load(max_elements=3, in_flight=2) as load:
        for number in range(12):
            await load.add(element(number))


async def _split(scene: Scene) -> None:
    """A refused call, whose halves wait."""
    async with scene.load(in_flight=1, on_reject="split", validate=False) as load:
        for item in elements(4, 1):
            await load.add(item)


async def _lanes(scene: Scene) -> None:
    """Elements that wait for an earlier one with their key."""
    async with scene.load(validate=False, in_flight=2) as load:
        for number in range(5):
            await load.add({"@SbId": str(number % 2), **element(number)})


async def _failing_body(scene: Scene) -> None:
    """An error in the body, after which calls in flight are waited for."""
    with suppress(BodyError):
        async with scene.load(max_elements=2, validate=False) as load:
            for number in range(6):
                await load.add(element(number))
                await asyncio.sleep(0)
            raise BodyError


async def _outcomes(scene: Scene) -> None:
    """A stream that is read to its end."""
    outcomes = scene.afas.outcomes(SUBJECT, elements(12, 5), max_elements=3, validate=False)
    scene.reports.append(outcomes.report)
    async with outcomes:
        async for _ in outcomes:
            pass


async def _outcomes_left(scene: Scene) -> None:
    """A stream that is left early, while its source is at work."""

    async def source() -> AsyncIterator[dict[str, Any]]:
        for number in range(12):
            await asyncio.sleep(0)
            yield element(number)
        await asyncio.Event().wait()

    outcomes = scene.afas.outcomes(SUBJECT, source(), max_elements=3, validate=False)
    scene.reports.append(outcomes.report)
    async with outcomes:
        async for outcome in outcomes:
            if outcome.index == 3:
                break


async def _client_closed(scene: Scene) -> None:
    """The client is closed in the middle of a load."""
    client = AfasClient(base_url=scene.server.base_url, auth=canary.TOKEN)
    scene.clients.append(client)
    async with client:
        load = client.load(SUBJECT, max_elements=2, validate=False, in_flight=3)
        scene.reports.append(load.report)
        with suppress(ClientClosedError):
            async with load:
                for number in range(12):
                    await load.add(element(number))
                    if number == 9:
                        await steps(20)
                        await client.aclose()


SCENARIOS = [_load, _split, _lanes, _failing_body, _outcomes, _outcomes_left, _client_closed]


@asynccontextmanager
async def _scene() -> AsyncIterator[Scene]:
    async with serving() as (simulator, afas):
        async with afas.load(SUBJECT) as load:  # the one-time setup happens before
            await load.add({"StId": 1, "Ds": "first"})
        yield Scene(simulator, afas)


async def _check(scene: Scene, before: set[asyncio.Task[Any]]) -> None:
    for client in scene.clients:
        await client.aclose()
    scene.clients.clear()
    assert len(scene.reports) <= 1
    for report in scene.reports:
        assert sum(report.counts.values()) == report.total, "an element is not accounted for"
    await steps(5)  # pending requests arrive, and the service applies them, though the client is gone
    works = scene.server._service._pending._tasks
    await until(lambda: tasks() == before and not works and scene.server.counters.in_flight == 0)
    assert tasks() == before
    assert_idle(scene.afas)
    for report in scene.reports:
        agree(report, scene.server)
    scene.reports.clear()
    scene.server.store.execute("DELETE FROM Profit_Subjects")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[scenario.__name__.strip("_") for scenario in SCENARIOS])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
async def test_cancelled_at_any_step(scenario: Callable[[Scene], Awaitable[None]], *, twice: bool) -> None:
    """A cancellation is raised unchanged, all elements are accounted for, and nothing is left."""
    async with _scene() as scene:
        before = tasks()
        async with quiet():
            for step in range(0, MOST_STEPS, by_default(17, 3) if twice else by_default(7, 1)):
                task = asyncio.ensure_future(scenario(scene))
                await steps(step)
                running = task.cancel()
                if twice:
                    await steps(1)
                    task.cancel()
                if running:
                    with pytest.raises(asyncio.CancelledError):
                        await task
                else:
                    await task
                await _check(scene, before)
                if not running:
                    break
            else:
                pytest.fail("the scenario never ended")


@pytest.mark.parametrize("later", [0, 1, 2])
async def test_cancelled_and_closed_at_any_step(later: int) -> None:
    """The client is closed, and shortly after that the load is cancelled."""
    async with serving() as (simulator, afas):
        before = tasks()
        async with quiet():
            for step in range(0, MOST_STEPS, by_default(11, 4)):
                client = AfasClient(base_url=simulator.base_url, auth=canary.TOKEN)
                await client.open()
                scene = Scene(simulator, client)
                task = asyncio.ensure_future(_load(scene))
                await steps(step)
                running = not task.done()
                closing = asyncio.ensure_future(client.aclose())
                await steps(later)
                task.cancel()
                with suppress(asyncio.CancelledError, ClientClosedError):
                    await task
                for report in scene.reports:
                    assert sum(report.counts.values()) == report.total, "an element is not accounted for"
                await closing
                scene.afas = afas
                await _check(scene, before)
                if not running:
                    break
            else:
                pytest.fail("the load never ended")


Way = Callable[[Callable[[], Awaitable[None]]], Awaitable[None]]


async def _by_timeout(body: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await body()


async def _by_fail_after(body: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(TimeoutError), anyio.fail_after(5):
        await body()


async def _by_wait_for(body: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(body(), 5)


async def _by_task_group(body: Callable[[], Awaitable[None]]) -> None:
    async def fail() -> None:
        await asyncio.sleep(5)
        raise BodyError

    async def group() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await body()

    with pytest.raises(ExceptionGroup) as failure:
        await asyncio.create_task(group())
    assert [type(error) for error in failure.value.exceptions] == [BodyError]


@pytest.mark.sampled(3)
@pytest.mark.parametrize("way", [_by_timeout, _by_fail_after, _by_wait_for, _by_task_group])
@pytest.mark.parametrize("where", ["inside", "at the end"])
async def test_cancelled_while_calls_are_in_flight(way: Way, where: str) -> None:
    """Calls in flight are unknown at once. The service continues with them, and waiting elements are not sent."""
    async with serving(latency=Latency(base=100)) as (simulator, afas), census(afas, simulator):
        load = afas.load(SUBJECT, max_elements=5, in_flight=2, validate=False)

        async def body() -> None:
            async with load:
                for number in range(15):
                    await load.add(element(number))
                if where == "inside":
                    await asyncio.sleep(1_000)

        started = asyncio.get_running_loop().time()
        await way(body)
        assert asyncio.get_running_loop().time() - started < 6
        assert load.report.counts == {"applied": 0, "rejected": 0, "unknown": 10, "not_sent": 5}
        agree(load.report, simulator)
        await asyncio.sleep(200)
        agree(load.report, simulator)
        assert simulator.counters.writes == 2


async def test_cancelled_while_a_call_waits_to_be_sent_again() -> None:
    """The call had no effect so far, and is not sent."""
    async with serving() as (simulator, afas):
        simulator.faults.add(Fault(method="POST", refusal="locked", times=None))
        load = afas.load(SUBJECT, validate=False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1), load:
                await load.add(element(0))
        assert load.report.counts["not_sent"] == 1
        assert isinstance(load.report.not_sent[0].error, ClientClosedError)


async def test_an_error_in_the_block() -> None:
    """Calls in flight are waited for, the rest is not sent, and the error is raised unchanged."""
    async with serving(latency=Latency(base=30)) as (simulator, afas), census(afas, simulator):
        load = afas.load(SUBJECT, max_elements=5, in_flight=2, validate=False)
        with pytest.raises(BodyError):
            async with load:
                for number in range(15):
                    await load.add(element(number))
                await asyncio.sleep(1)
                raise BodyError
        assert load.report.counts == {"applied": 10, "rejected": 0, "unknown": 0, "not_sent": 5}
        assert "left by BodyError" in str(load.report.not_sent[0].error)
        agree(load.report, simulator)


@pytest.mark.parametrize("moment", [0.0, 0.5, 5.0])
async def test_the_client_closes(moment: float) -> None:
    """Elements in flight are unknown; elements added later are not sent."""
    async with serving(latency=Latency(base=3)) as (simulator, _), quiet():
        client = AfasClient(base_url=simulator.base_url, auth=canary.TOKEN)
        await client.open()
        async with client.load(SUBJECT, max_elements=5, in_flight=2, validate=False) as load:
            for number in range(15):
                await load.add(element(number))
            await asyncio.sleep(moment)
            await client.aclose()
            await load.add(element(15))
        counts = load.report.counts
        assert counts["unknown"] == (0 if moment == 0 else 10 if moment == 0.5 else 5)
        assert isinstance(load.report.not_sent[-1].error, ClientClosedError) or counts["unknown"]
        agree(load.report, simulator)
        await asyncio.sleep(10)
        agree(load.report, simulator)


async def test_cancelled_while_it_opens() -> None:
    """Nothing is sent, and the load cannot be used."""
    async with serving(latency=Latency(base=60)) as (simulator, afas), census(afas, simulator):
        load = afas.load(SUBJECT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1), load:
                pytest.fail("the service has not told about the connector")
        with pytest.raises(UsageError, match="inside"):
            await load.add(element(0))
        assert load.report.total == 0
        assert simulator.counters.writes == 0


async def test_a_load_that_adds_while_it_is_stopped() -> None:
    """Elements added after a stop are accounted for, and a source that waits for room continues."""
    async with serving(latency=Latency(base=1)) as (simulator, afas), census(afas, simulator):
        async with afas.load(SUBJECT, max_elements=2, in_flight=1, validate=False, on_reject="stop") as load:
            for number in range(50):
                await load.add(faulty(number))
        assert load.report.counts == {"applied": 0, "rejected": 2, "unknown": 0, "not_sent": 48}
        agree(load.report, simulator)


async def test_a_call_that_is_stopped_before_its_first_step() -> None:
    """The report is complete after the block, even if the client stops a call at the same moment."""
    async with serving() as (simulator, afas):
        load = afas.load(SUBJECT, validate=False)
        host = afas._session._host
        assert host is not None

        async def body() -> None:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            with suppress(asyncio.CancelledError):
                async with load:
                    await load.add(element(0))
                    loop.call_soon(lambda: [job.cancel() for job in host._jobs])
                    loop.call_soon(task.cancel)
                    await asyncio.Event().wait()
            assert load.report.counts["not_sent"] == load.report.total == 1

        await asyncio.create_task(body())
        agree(load.report, simulator)


async def test_nothing_is_sent_again_after_an_error_in_the_block() -> None:
    """A call that waits to be sent again had no effect, and has none afterwards."""
    async with serving() as (simulator, afas), census(afas, simulator):
        simulator.faults.add(Fault(method="POST", status=429, retry_after=5))
        load = afas.load(SUBJECT, validate=False)
        with pytest.raises(BodyError):
            async with load:
                await load.add(element(0))
                await asyncio.sleep(1)
                raise BodyError
        assert load.report.counts == {"applied": 0, "rejected": 0, "unknown": 0, "not_sent": 1}
        assert simulator.counters.writes == 1
        agree(load.report, simulator)
