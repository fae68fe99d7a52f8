"""Leaving reads of several parts, and repairs, leaves nothing running."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from afas_async import AfasClient, ClientClosedError, F, Rows, UsageError
from afas_async.simulator import Change, Latency, Simulator
from tests.read.conftest import Serve
from tests.support.census import assert_idle, census, tasks
from tests.support.own_connectors import BY_CODE, BY_NUMBER, code, numbers, row, table
from tests.support.thoroughness import by_default

END = by_default(600, 1_100)
ROWS = range(100, END)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "values": {"where": F.Id.in_(range(END + 100))},
    "merged": {"where": F.Code.in_([code(number) for number in range(END + 100)])},
}


async def _served(serve: Serve) -> tuple[Simulator, AfasClient]:
    simulator, afas = await serve(connectors={"T": table(ROWS)}, latency=Latency(base=0.05))
    simulator.changes.add(
        Change(connector="T", after=12, delete=[row(number) for number in range(100, 180)]),
        Change(connector="T", after=14, insert=[row(number) for number in range(100)]),
        Change(connector="T", after=16, delete=[row(number) for number in range(300, 500)]),
    )
    return simulator, afas


async def _break(rows: Rows[Any], count: int) -> None:
    seen = 0
    async for _ in rows:
        seen += 1
        if seen == count:
            break


async def _cancel(rows: Rows[Any], count: int) -> None:
    task = asyncio.create_task(rows.to_list())
    await asyncio.sleep(count / 800)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _close(rows: Rows[Any], count: int) -> None:
    task = asyncio.create_task(rows.to_list())
    await asyncio.sleep(count / 800)
    await rows.aclose()
    with suppress(UsageError):
        await task


async def _second_task(rows: Rows[Any], count: int) -> None:
    task = asyncio.create_task(rows.to_list())
    await asyncio.sleep(count / 800)
    if not task.done():
        with pytest.raises(UsageError, match="two tasks"):
            await anext(rows)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.sampled(6)
@pytest.mark.parametrize("way", [_break, _cancel, _close, _second_task])
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("managed", [True, False])
async def test_nothing_is_left(
    name: str, way: Callable[[Rows[Any], int], Awaitable[None]], serve: Serve, *, managed: bool
) -> None:
    """The reader leaves at five random moments, with `async with` and without."""
    simulator, afas = await _served(serve)
    chance = random.Random(name)  # noqa: S311
    for _ in range(2):
        async with census(afas, simulator, seconds=2, usable=BY_NUMBER):
            rows = afas.rows(BY_NUMBER, take=20, **OPTIONS[name])
            if managed:
                async with rows:
                    await way(rows, chance.randrange(1, by_default(300, 600)))
                if way is not _cancel:
                    assert_idle(afas)
            else:
                await way(rows, chance.randrange(1, by_default(300, 600)))
            del rows


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", OPTIONS)
async def test_a_cancelled_read_is_taken_up(name: str, serve: Serve) -> None:
    """A pull that is cancelled again and again loses no row."""
    simulator, afas = await serve(connectors={"T": table(ROWS)}, latency=Latency(base=0.05))
    simulator.changes.add(Change(connector="T", after=12, delete=[row(number) for number in range(100, 180)]))
    chance = random.Random(name)  # noqa: S311
    found: list[int] = []
    async with census(afas, simulator, seconds=2), afas.rows(BY_NUMBER, take=20, **OPTIONS[name]) as rows:
        ended = False
        while not ended:
            try:
                async with asyncio.timeout(0.01 + chance.random() / 5):
                    async for each in rows:
                        found.append(each["Id"])  # noqa: PERF401 - it may be cancelled after any of them
                ended = True
            except TimeoutError:
                pass
    assert len(found) == len(set(found))
    assert set(range(180, END)) <= set(found)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("moment", [0.0, 0.03, 0.12, by_default(0.2, 0.3), by_default(0.3, 0.6)])
async def test_the_client_closes_meanwhile(name: str, moment: float, serve: Serve) -> None:
    """The reader gets a ClientClosedError, and nothing is left."""
    simulator, _ = await _served(serve)
    before = tasks()
    client = AfasClient(base_url=simulator.base_url, auth=simulator.token)
    await client.open()
    task = asyncio.create_task(client.rows(BY_NUMBER, take=20, **OPTIONS[name]).to_list())
    await asyncio.sleep(moment)
    await client.aclose()
    with pytest.raises(ClientClosedError):
        await task
    assert tasks() - before == set()


async def test_closed_while_it_opens(serve: Serve) -> None:
    """`aclose` stops running requests, including those that a read sends before it requests rows."""
    simulator, afas = await serve(connectors={"T": table(ROWS)}, latency=Latency(base=0.1))
    rows = afas.rows(BY_NUMBER, where=F.Group.in_(range(1_000)))  # whose metainfo says by which fields to merge
    task = asyncio.create_task(rows.to_list())
    await asyncio.sleep(0.05)
    await rows.aclose()
    sent = simulator.counters.requests
    with pytest.raises(UsageError, match="closed"):
        await task
    assert simulator.counters.requests == sent


async def test_a_plan_that_is_cancelled(serve: Serve) -> None:
    """A cancelled plan leaves nothing running."""
    simulator, afas = await serve(connectors={"T": table(ROWS)}, latency=Latency(base=0.1))
    for moment in (0.05, 0.15, 0.75):
        async with census(afas, simulator):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(afas.plan(BY_CODE, parts=5), moment)


async def test_an_error_in_one_part_ends_all(serve: Serve) -> None:
    """The other parts are stopped, and the stream stays ended."""
    _, afas = await serve(connectors={"T": [*table(ROWS), row(END - 100)]}, latency=Latency(base=0.05))
    async with census(afas):
        rows = afas.rows(BY_NUMBER, take=20, where=F.Id.in_(range(END + 100)))
        with pytest.raises(Exception, match="two rows have the same Id"):
            await rows.to_list()
        assert_idle(afas)
        with pytest.raises(UsageError, match="ended with an error"):
            await anext(rows)
        assert numbers(await afas.rows(BY_NUMBER, where=F.Id < 200).to_list())
